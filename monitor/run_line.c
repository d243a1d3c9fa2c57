/* SPDX-License-Identifier: MIT */
/* One monitor line without a monitor: what it prints is collected. */
#include <glib.h>
#include <string.h>

#include "monitor/monitor.h"
#include "monitor/parse.h"

typedef struct RunLine {
    Sink sink;
    GString *text;
    bool done;
} RunLine;

static void run_line_write(Sink *s, const char *text)
{
    g_string_append(((RunLine *)s)->text, text);
}

static void run_line_done(Sink *s, const Error *err)
{
    RunLine *run = (RunLine *)s;

    if (error_is_set(err)) g_string_append_printf(run->text, "Error: %s\n", err->msg);
    run->done = true;
}

static int run_line_take_fd(Sink *s, const char *name)
{
    (void)s, (void)name;
    return -1;
}

static void run_line_command(Machine *m, RunLine *run, const ParsedLine *line)
{
    ParseState ps;
    unsigned n;
    char *complaint = NULL;
    Error err = ERROR_INIT;

    parse_state_init(&ps);
    Arg *args = parse_args(m, &ps, line, &n, &complaint);
    if (!args) {
        g_string_append(run->text, complaint);
        g_free(complaint);
        return;
    }
    CommandCall call = { m, &run->sink, args, n };
    line->cmd->run(&call, &err);
    if (!line->cmd->async || error_is_set(&err)) {
        if (!run->done) run_line_done(&run->sink, &err);
    }
    while (!run->done) g_main_context_iteration(m->ctx, TRUE);
    parse_args_free(args, n);
}

char *monitor_run_line(Machine *m, const char *line)
{
    RunLine run = { .sink = { run_line_write, run_line_done, run_line_take_fd },
        .text = g_string_new(NULL) };
    ParsedLine parsed;
    char *complaint = NULL;

    if (!parse_line(line, &parsed, &complaint)) {
        g_string_append(run.text, complaint);
        g_free(complaint);
    } else if (parsed.cmd) {
        run_line_command(m, &run, &parsed);
    }
    g_free(parsed.typed);
    return g_string_free(run.text, FALSE);
}
