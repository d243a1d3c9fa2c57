/* SPDX-License-Identifier: MIT */
/* Commands about the host side: character devices, descriptors handed over, the log. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/qmp.h"
#include "monitor/hmp.h"

/* -- character devices -- */

typedef struct ChardevLine {
    const char *id, *filename;
} ChardevLine;

static void host_collect_chardev(void *ctx, const char *id, void *obj)
{
    ChardevLine line = { id, ((Chardev *)obj)->filename };
    Chardev *base = chardev_mux_base(obj);

    g_array_append_val((GArray *)ctx, line);
    if (!base) return;
    line = (ChardevLine){ base->id, base->filename };
    g_array_append_val((GArray *)ctx, line);
}

static int host_order(gconstpointer a, gconstpointer b)
{
    return strcmp(((const ChardevLine *)a)->id, ((const ChardevLine *)b)->id);
}

static void cmd_info_chardev(CommandCall *call, Error *err)
{
    GArray *lines = g_array_new(FALSE, FALSE, sizeof(ChardevLine));

    (void)err;
    machine_object_each(call->m, "chardev", host_collect_chardev, lines);
    g_array_sort(lines, host_order);
    for (unsigned i = 0; i < lines->len; i++) {
        const ChardevLine *l = &g_array_index(lines, ChardevLine, i);
        sink_printf(call->out, "%s: filename=%s\n", l->id, l->filename);
    }
    g_array_free(lines, TRUE);
}
COMMAND(info_chardev, .name = "info chardev", .args = "", .usage = "",
    .help = "show the character devices", .run = cmd_info_chardev);

static void host_query_chardev(void *ctx, const char *id, void *obj)
{
    const Chardev *chr = obj, *base = chardev_mux_base(obj);

    json_array_append_new(ctx, json_pack("{s:s,s:s,s:b}", "label", id, "filename", chr->filename,
                                   "frontend-open", chr->front || base));
    if (!base) return;
    json_array_append_new(ctx, json_pack("{s:s,s:s,s:b}", "label", base->id, "filename",
                                   base->filename, "frontend-open", base->front != NULL));
}

static json_t *query_chardev_run(QmpCall *call, Error *err)
{
    json_t *list = json_array();

    (void)err;
    machine_object_each(call->m, "chardev", host_query_chardev, list);
    return list;
}
QMP_COMMAND(query_chardev, .name = "query-chardev", .run = query_chardev_run);

/* -- descriptors -- */

/* Puts a descriptor that came (or -1) into the table of a monitor. */
static void host_name_fd(GHashTable *fds, int fd, const char *name, Error *err)
{
    if (fd < 0) {
        error_set(err, "No file descriptor supplied via SCM_RIGHTS");
    } else if (isdigit((unsigned char)*name)) {
        close(fd);
        error_set(err, "Parameter 'fdname' expects a name not starting with a digit");
    } else {
        g_hash_table_replace(fds, g_strdup(name), GINT_TO_POINTER(fd));
    }
}

static void cmd_getfd(CommandCall *call, Error *err)
{
    Monitor *mon = hmp_of_sink(call->out);

    host_name_fd(mon ? mon->fds : NULL, mon ? chardev_take_fd(mon->chr) : -1,
        command_text(call, "fdname"), err);
}
COMMAND(getfd, .name = "getfd", .args = "fdname:s", .usage = "name",
    .help = "receive a file descriptor via SCM rights and assign it a name", .run = cmd_getfd);

static json_t *getfd_qmp_run(QmpCall *call, Error *err)
{
    host_name_fd(call->fds, call->next_fd(call), qmp_text(call, "fdname"), err);
    return NULL;
}
QMP_COMMAND(getfd, .name = "getfd", .args = "fdname:s", .run = getfd_qmp_run);

static void host_close_fd(GHashTable *fds, const char *name, Error *err)
{
    if (!fds || !g_hash_table_remove(fds, name)) {
        error_set(err, "File descriptor named '%s' not found", name);
    }
}

static void cmd_closefd(CommandCall *call, Error *err)
{
    Monitor *mon = hmp_of_sink(call->out);

    host_close_fd(mon ? mon->fds : NULL, command_text(call, "fdname"), err);
}
COMMAND(closefd, .name = "closefd", .args = "fdname:s", .usage = "name",
    .help = "close a file descriptor previously passed via SCM rights", .run = cmd_closefd);

static json_t *closefd_qmp_run(QmpCall *call, Error *err)
{
    host_close_fd(call->fds, qmp_text(call, "fdname"), err);
    return NULL;
}
QMP_COMMAND(closefd, .name = "closefd", .args = "fdname:s", .run = closefd_qmp_run);

/* -- the log -- */

static void host_log_help(Sink *out)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (!f) return;
    log_help(f);
    fclose(f);
    sink_printf(out, "%s", text);
    free(text);
}

static void cmd_log(CommandCall *call, Error *err)
{
    const char *items = command_text(call, "items");

    if (!strcmp(items, "help") || !log_set_mask(&call->m->log, items, err)) {
        if (!error_is_set(err)) host_log_help(call->out);
    }
}
COMMAND(log, .name = "log", .args = "items:s", .usage = "item1[,...]",
    .help = "activate logging of the specified items", .run = cmd_log);

static void cmd_logfile(CommandCall *call, Error *err)
{
    log_set_file(&call->m->log, command_text(call, "filename"), err);
}
COMMAND(logfile, .name = "logfile", .args = "filename:F", .usage = "filename",
    .help = "output logs to 'filename'", .run = cmd_logfile);
