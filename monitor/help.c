/* SPDX-License-Identifier: MIT */
/* `help` and `info` without a subject: lists made from the set of commands. */
#include <glib.h>
#include <string.h>

#include "monitor/hmp.h"

static int help_order(const void *a, const void *b)
{
    return strcmp((*(const Command *const *)a)->name, (*(const Command *const *)b)->name);
}

/* Commands whose names begin with prefix (info: "info "), or (prefix NULL) those that do not. */
static GPtrArray *help_list(const char *prefix)
{
    GPtrArray *list = g_ptr_array_new();

    SET_EACH (Command, cmd, commands) {
        if (g_str_has_prefix(cmd->name, prefix ? prefix : "info ") == (prefix != NULL)) {
            g_ptr_array_add(list, (void *)cmd);
        }
    }
    g_ptr_array_sort(list, help_order);
    return list;
}

static void help_line(Sink *out, const Command *cmd)
{
    sink_printf(out, "%s %s -- %s\n", cmd->name, cmd->usage ? cmd->usage : "", cmd->help);
}

static void help_lines(Sink *out, const char *prefix)
{
    GPtrArray *list = help_list(prefix);

    for (unsigned i = 0; i < list->len; i++) help_line(out, list->pdata[i]);
    g_ptr_array_unref(list);
}

void help_print(Sink *out, const char *name)
{
    const Command *cmd;

    if (!name) {
        help_lines(out, NULL);
    } else if (!strcmp(name, "info")) {
        help_lines(out, "info ");
    } else if ((cmd = command_find(name))) {
        help_line(out, cmd);
    } else {
        ParsedLine parsed;
        char *complaint = NULL;
        parse_line(name, &parsed, &complaint);
        if (complaint) sink_printf(out, "%s", complaint);
        g_free(complaint);
        g_free(parsed.typed);
    }
}

/* "info   block" as "info block". */
static void help_run(CommandCall *call, Error *err)
{
    const char *text = command_text(call, "name");

    (void)err;
    if (!text) {
        help_print(call->out, NULL);
        return;
    }
    char **words = g_strsplit_set(text, " \t", -1);
    GString *name = g_string_new(NULL);
    for (char **w = words; *w; w++) {
        if (**w) g_string_append_printf(name, "%s%s", name->len ? " " : "", *w);
    }
    help_print(call->out, name->str);
    g_string_free(name, TRUE);
    g_strfreev(words);
}

COMMAND(help, .name = "help|?", .args = "name:S?", .usage = "[cmd]", .help = "show the help",
    .run = help_run);

static void help_info_run(CommandCall *call, Error *err)
{
    (void)err;
    help_print(call->out, "info");
}

COMMAND(info, .name = "info", .args = "", .usage = "[subcommand]",
    .help = "show various information about the system state", .run = help_info_run);
