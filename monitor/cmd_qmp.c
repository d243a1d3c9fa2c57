/* SPDX-License-Identifier: MIT */
/* QMP's commands about itself: query-commands, and the way to the human monitor. */
#include <string.h>

#include "core/qmp.h"
#include "cpu/cpu.h"
#include "monitor/monitor.h"

static int qmp_by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *query_commands_run(QmpCall *call, Error *err)
{
    GPtrArray *names = g_ptr_array_new();
    json_t *list = json_array();

    (void)call, (void)err;
    SET_EACH (QmpCommand, cmd, qmp_commands) g_ptr_array_add(names, (void *)cmd->name);
    g_ptr_array_sort(names, qmp_by_name);
    for (guint i = 0; i < names->len; i++)
        json_array_append_new(list, json_pack("{s:s}", "name", names->pdata[i]));
    g_ptr_array_free(names, TRUE);
    return list;
}
QMP_COMMAND(query_commands, .name = "query-commands", .run = query_commands_run);

/* The answer has line ends as on a terminal. */
static void qmp_human_done(void *opaque, char *text)
{
    char **lines = g_strsplit(text, "\n", -1), *answer = g_strjoinv("\r\n", lines);
    char *valid = g_utf8_make_valid(answer, -1);

    qmp_done(opaque, json_string(valid), NULL);
    g_free(valid);
    g_free(answer);
    g_strfreev(lines);
    g_free(text);
}

static json_t *human_monitor_command_run(QmpCall *call, Error *err)
{
    Machine *m = call->m; /* the call may be over before this function is */
    int64_t cpu = qmp_int(call, "cpu-index", cpu_shown(m)), was = cpu_shown(m);

    if (cpu < 0 || cpu >= call->m->config.cpus) {
        qmp_expects("cpu-index", "a CPU number", err);
        return NULL;
    }
    call->pending = true;
    cpu_show(m, (unsigned)cpu);
    monitor_start_line(m, qmp_text(call, "command-line"), qmp_human_done, call);
    if (cpu != was) cpu_show(m, (unsigned)was);
    return NULL;
}
QMP_COMMAND(human_monitor_command, .name = "human-monitor-command",
    .args = "command-line:s,cpu-index:i?", .run = human_monitor_command_run);
