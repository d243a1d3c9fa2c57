/* SPDX-License-Identifier: MIT */
/* One monitor line without a monitor: what it prints is collected. */
#include <glib.h>
#include <string.h>

#include "monitor/monitor.h"
#include "monitor/parse.h"

typedef struct RunLine {
    Sink sink;
    GString *text;
    ParsedLine line;
    Arg *args;
    unsigned nargs;
    bool returned; /* run() is back, so a sink_done comes from outside */
    bool ended;
    void (*done)(void *opaque, char *text);
    void *opaque;
} RunLine;

static void run_line_free(RunLine *run)
{
    parse_args_free(run->args, run->nargs);
    g_free(run->line.typed);
    run->done(run->opaque, g_string_free(run->text, FALSE));
    g_free(run);
}

static void run_line_write(Sink *s, const char *text)
{
    g_string_append(((RunLine *)s)->text, text);
}

static void run_line_done(Sink *s, const Error *err)
{
    RunLine *run = (RunLine *)s;

    if (error_is_set(err)) g_string_append_printf(run->text, "Error: %s\n", err->msg);
    run->ended = true;
    if (run->returned) run_line_free(run);
}

static int run_line_take_fd(Sink *s, const char *name)
{
    (void)s, (void)name;
    return -1;
}

static void run_line_command(Machine *m, RunLine *run)
{
    ParseState ps;
    char *complaint = NULL;
    Error err = ERROR_INIT;

    parse_state_init(&ps);
    run->args = parse_args(m, &ps, &run->line, &run->nargs, &complaint);
    if (!run->args) {
        g_string_append(run->text, complaint);
        g_free(complaint);
        run->nargs = 0;
        run->ended = true;
        return;
    }
    CommandCall call = { m, &run->sink, run->args, run->nargs };
    run->line.cmd->run(&call, &err);
    if (!run->line.cmd->async || error_is_set(&err)) {
        if (!run->ended) run_line_done(&run->sink, &err);
    }
}

void monitor_start_line(
    Machine *m, const char *line, void (*done)(void *opaque, char *text), void *opaque)
{
    RunLine *run = g_new0(RunLine, 1);
    char *complaint = NULL;

    run->sink = (Sink){ run_line_write, run_line_done, run_line_take_fd };
    run->text = g_string_new(NULL);
    run->done = done;
    run->opaque = opaque;
    if (!parse_line(line, &run->line, &complaint)) {
        g_string_append(run->text, complaint);
        g_free(complaint);
        run->ended = true;
    } else if (run->line.cmd) {
        run_line_command(m, run);
    } else {
        run->ended = true;
    }
    run->returned = true;
    if (run->ended) run_line_free(run);
}

static void run_line_keep(void *opaque, char *text) { *(char **)opaque = text; }

char *monitor_run_line(Machine *m, const char *line)
{
    char *text = NULL;

    monitor_start_line(m, line, run_line_keep, &text);
    while (!text) g_main_context_iteration(m->ctx, TRUE);
    return text;
}
