/* SPDX-License-Identifier: MIT */
/*
 * The human monitor: greets, takes lines, runs commands, prompts.  On a terminal lines are edited
 * (edit.c); elsewhere they are plain: nothing is echoed or redrawn, the answer to a line is a line
 * end, the command's text, and the prompt.  Line ends go out as CR LF.
 */
#include "monitor/hmp.h"

#include <string.h>
#include <unistd.h>

#include "monitor/monitor.h"

enum { HMP_LINE_MAX = 65536, HMP_CHUNK = 4096 };

const char hmp_prompt[] = "(qemu) ";

/* A command under way.  Outlives its monitor where that is closed meanwhile. */
typedef struct HmpCall {
    Sink sink;
    Monitor *mon; /* NULL: gone */
    ParsedLine line;
    Arg *args;
    unsigned nargs;
    bool returned; /* run() is back, so a sink_done comes from outside */
    bool done;
} HmpCall;

static void hmp_send(Monitor *mon, const char *text, size_t len)
{
    if (mon->focused) {
        chardev_write(mon->chr, text, len);
    } else {
        g_string_append_len(mon->held, text, (gssize)len);
    }
}

void hmp_puts(Monitor *mon, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        if (n) hmp_send(mon, text, n);
        text += n;
        if (!*text) return;
        hmp_send(mon, "\r\n", 2);
        text++;
    }
}

static void hmp_ready(Monitor *mon)
{
    if (mon->edit) {
        editor_prompt(mon->edit);
    } else {
        hmp_puts(mon, hmp_prompt);
    }
}

/* -- commands -- */

static void hmp_call_free(HmpCall *call)
{
    if (call->mon) call->mon->calls = g_list_remove(call->mon->calls, call);
    parse_args_free(call->args, call->nargs);
    g_free(call->line.typed);
    g_free(call);
}

static void hmp_drain(Monitor *mon);

static void hmp_sink_write(Sink *s, const char *text)
{
    HmpCall *call = (HmpCall *)s;
    if (call->mon) hmp_puts(call->mon, text);
}

static void hmp_sink_done(Sink *s, const Error *err)
{
    HmpCall *call = (HmpCall *)s;
    Monitor *mon = call->mon;

    g_assert(!call->done);
    call->done = true;
    if (mon && error_is_set(err)) {
        hmp_puts(mon, "Error: ");
        hmp_puts(mon, err->msg);
        hmp_puts(mon, "\n");
    }
    if (!call->returned) return; /* hmp_run goes on itself */
    hmp_call_free(call);
    if (!mon) return;
    mon->suspended = false;
    hmp_ready(mon);
    hmp_drain(mon);
    chardev_accept_input(mon->chr);
}

static int hmp_sink_take_fd(Sink *s, const char *name)
{
    Monitor *mon = ((HmpCall *)s)->mon;
    gpointer fd;

    if (!mon || !g_hash_table_steal_extended(mon->fds, name, NULL, &fd)) return -1;
    return GPOINTER_TO_INT(fd);
}

Monitor *hmp_of_sink(Sink *s) { return s->write == hmp_sink_write ? ((HmpCall *)s)->mon : NULL; }

/* True where the command has ended. */
static bool hmp_run_command(Monitor *mon, ParsedLine *line)
{
    char *complaint = NULL;
    Error err = ERROR_INIT;
    HmpCall *call = g_new0(HmpCall, 1);

    call->sink = (Sink){ hmp_sink_write, hmp_sink_done, hmp_sink_take_fd };
    call->line = *line;
    call->args = parse_args(mon->m, &mon->parse, line, &call->nargs, &complaint);
    if (!call->args) {
        hmp_puts(mon, complaint);
        g_free(complaint);
        call->nargs = 0;
        hmp_call_free(call);
        return true;
    }
    call->mon = mon;
    mon->calls = g_list_prepend(mon->calls, call);
    CommandCall cc = { mon->m, &call->sink, call->args, call->nargs };
    call->line.cmd->run(&cc, &err);
    call->returned = true;
    if (!call->line.cmd->async || error_is_set(&err)) {
        if (!call->done) {
            call->returned = false;
            hmp_sink_done(&call->sink, &err);
        }
    }
    if (!call->done) return false;
    hmp_call_free(call);
    return true;
}

void hmp_run(Monitor *mon, const char *line)
{
    ParsedLine parsed;
    char *complaint = NULL;

    if (!parse_line(line, &parsed, &complaint)) {
        hmp_puts(mon, complaint);
        g_free(complaint);
        g_free(parsed.typed);
    } else if (parsed.cmd && !hmp_run_command(mon, &parsed)) {
        mon->suspended = true;
        return;
    }
    hmp_ready(mon);
}

/* -- input -- */

/* Runs the plain lines that are complete, until one suspends. */
static void hmp_drain(Monitor *mon)
{
    while (!mon->edit && !mon->suspended) {
        char *end = strpbrk(mon->line->str, "\r\n");
        if (!end) return;
        size_t n = (size_t)(end - mon->line->str);
        char *line = g_strndup(mon->line->str, n);
        n += end[0] == '\r' && end[1] == '\n' ? 2 : 1;
        g_string_erase(mon->line, 0, (gssize)n);
        hmp_puts(mon, "\n");
        hmp_run(mon, line);
        g_free(line);
    }
}

static size_t hmp_can_receive(void *opaque)
{
    Monitor *mon = opaque;
    return mon->suspended || mon->line->len > HMP_LINE_MAX ? 0 : HMP_CHUNK;
}

static void hmp_receive(void *opaque, const uint8_t *buf, size_t len)
{
    Monitor *mon = opaque;

    if (mon->edit) {
        editor_feed(mon->edit, buf, len);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        if (buf[i] == 0) continue;
        if ((buf[i] == '\b' || buf[i] == 0x7f) && mon->line->len) {
            g_string_truncate(mon->line, mon->line->len - 1);
        } else {
            g_string_append_c(mon->line, (char)buf[i]);
        }
    }
    hmp_drain(mon);
    if (mon->line->len > HMP_LINE_MAX && !strpbrk(mon->line->str, "\r\n")) {
        g_string_truncate(mon->line, 0); /* nobody types that */
        hmp_puts(mon, "\nline too long\n");
        hmp_ready(mon);
    }
}

static void hmp_greet(Monitor *mon)
{
    if (mon->greeted) return;
    mon->greeted = true;
    if (mon->chr->is_terminal && !mon->edit) mon->edit = editor_new(mon);
    hmp_puts(mon, "Stasis " STASIS_VERSION " monitor - type 'help' for more information\n");
    if (!mon->suspended) hmp_ready(mon);
}

static void hmp_gone(Monitor *mon)
{
    mon->greeted = false;
    g_string_truncate(mon->line, 0);
    g_string_truncate(mon->held, 0);
}

static void hmp_event(void *opaque, ChardevEvent event)
{
    Monitor *mon = opaque;

    switch (event) {
    case CHARDEV_OPENED: hmp_greet(mon); break;
    case CHARDEV_CLOSED: hmp_gone(mon); break;
    case CHARDEV_FOCUS_OUT: mon->focused = false; break;
    case CHARDEV_FOCUS_IN:
        mon->focused = true;
        if (mon->held->len) {
            chardev_write(mon->chr, mon->held->str, mon->held->len);
            g_string_truncate(mon->held, 0);
        } else if (mon->greeted && !mon->suspended) {
            hmp_puts(mon, "\n");
            hmp_ready(mon);
        }
        break;
    case CHARDEV_BREAK: break;
    }
}

/* -- life -- */

static const ChardevFront hmp_front = { hmp_can_receive, hmp_receive, hmp_event };

static void hmp_free(void *opaque)
{
    Monitor *mon = opaque;

    for (GList *l = mon->calls; l; l = l->next) ((HmpCall *)l->data)->mon = NULL;
    g_list_free(mon->calls);
    chardev_attach(mon->chr, NULL, mon);
    editor_free(mon->edit);
    g_hash_table_destroy(mon->fds);
    g_string_free(mon->line, TRUE);
    g_string_free(mon->held, TRUE);
    g_free(mon);
}

static void hmp_close_fd(gpointer fd) { close(GPOINTER_TO_INT(fd)); }

bool monitor_new(Machine *m, Chardev *chr, Error *err)
{
    Monitor *mon = g_new0(Monitor, 1);

    mon->m = m;
    mon->chr = chr;
    mon->line = g_string_new(NULL);
    mon->held = g_string_new(NULL);
    mon->fds = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, hmp_close_fd);
    mon->focused = !chardev_is_mux(chr);
    parse_state_init(&mon->parse);
    if (!machine_object_add(m, "monitor", chr->id, mon, hmp_free, err)) {
        mon->chr = NULL;
        g_hash_table_destroy(mon->fds);
        g_string_free(mon->line, TRUE);
        g_string_free(mon->held, TRUE);
        g_free(mon);
        return false;
    }
    chardev_attach(chr, &hmp_front, mon);
    return true;
}
