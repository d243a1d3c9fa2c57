/* SPDX-License-Identifier: MIT */
/* Commands that start, stop, reset and end the machine, and say how it is. */
#include <sys/syscall.h>
#include <unistd.h>

#include "core/qmp.h"
#include "cpu/cpu.h"
#include "monitor/qmp_version.h"

/* -- running -- */

static void cmd_quit(CommandCall *call, Error *err)
{
    (void)err;
    machine_request_shutdown(call->m, SHUTDOWN_HOST_QUIT);
}
COMMAND(
    quit, .name = "quit|q", .args = "", .usage = "", .help = "quit the emulator", .run = cmd_quit);

static json_t *quit_qmp_run(QmpCall *call, Error *err)
{
    (void)err;
    machine_request_shutdown(call->m, SHUTDOWN_HOST_QUIT);
    return NULL;
}
QMP_COMMAND(quit, .name = "quit", .run = quit_qmp_run);

static void run_stop(Machine *m)
{
    if (m->run_state == RUN_INMIGRATE) m->config.stopped = true;
    if (machine_running(m)) machine_stop(m, RUN_PAUSED);
}

static void cmd_stop(CommandCall *call, Error *err)
{
    (void)err;
    run_stop(call->m);
}
COMMAND(stop, .name = "stop|s", .args = "", .usage = "", .help = "stop emulation", .run = cmd_stop);

static json_t *stop_qmp_run(QmpCall *call, Error *err)
{
    (void)err;
    run_stop(call->m);
    return NULL;
}
QMP_COMMAND(stop, .name = "stop", .run = stop_qmp_run);

static void run_cont(Machine *m, Error *err)
{
    switch (m->run_state) {
    case RUN_INMIGRATE: m->config.stopped = false; break; /* runs once it has arrived */
    case RUN_SHUTDOWN:
    case RUN_INTERNAL_ERROR: error_set(err, "Resetting the Virtual Machine is required"); break;
    case RUN_FINISH_MIGRATE: error_set(err, "Migration is not finalized yet"); break;
    case RUN_SAVE_VM: error_set(err, "A snapshot is being saved"); break;
    case RUN_RESTORE_VM: error_set(err, "A snapshot is being loaded"); break;
    default: machine_start(m, err);
    }
}

static void cmd_cont(CommandCall *call, Error *err) { run_cont(call->m, err); }
COMMAND(
    cont, .name = "cont|c", .args = "", .usage = "", .help = "resume emulation", .run = cmd_cont);

static json_t *cont_qmp_run(QmpCall *call, Error *err)
{
    run_cont(call->m, err);
    return NULL;
}
QMP_COMMAND(cont, .name = "cont", .run = cont_qmp_run);

static void cmd_system_reset(CommandCall *call, Error *err)
{
    (void)err;
    machine_request_reset(call->m, RESET_HOST);
}
COMMAND(system_reset, .name = "system_reset", .args = "", .usage = "", .help = "reset the system",
    .run = cmd_system_reset);

static json_t *system_reset_qmp_run(QmpCall *call, Error *err)
{
    (void)err;
    machine_request_reset(call->m, RESET_HOST);
    return NULL;
}
QMP_COMMAND(system_reset, .name = "system_reset", .run = system_reset_qmp_run);

/* -- how it is -- */

static void cmd_info_status(CommandCall *call, Error *err)
{
    RunState state = call->m->run_state;

    (void)err;
    if (state == RUN_RUNNING) {
        sink_printf(call->out, "VM status: running\n");
    } else if (state == RUN_PAUSED) {
        sink_printf(call->out, "VM status: paused\n");
    } else {
        sink_printf(call->out, "VM status: paused (%s)\n", run_state_name(state));
    }
}
COMMAND(info_status, .name = "info status", .args = "", .usage = "",
    .help = "show the current VM status (running|paused)", .run = cmd_info_status);

static json_t *query_status_run(QmpCall *call, Error *err)
{
    (void)err;
    return json_pack("{s:s,s:b,s:b}", "status", run_state_name(call->m->run_state), "singlestep", 0,
        "running", machine_running(call->m));
}
QMP_COMMAND(query_status, .name = "query-status", .run = query_status_run);

static void cmd_info_version(CommandCall *call, Error *err)
{
    (void)err;
    sink_printf(call->out, "%s\n", STASIS_VERSION);
}
COMMAND(info_version, .name = "info version", .args = "", .usage = "",
    .help = "show the version of Stasis", .run = cmd_info_version);

static json_t *query_version_run(QmpCall *call, Error *err)
{
    (void)call, (void)err;
    return qmp_version();
}
QMP_COMMAND(query_version, .name = "query-version", .run = query_version_run);

static void cmd_info_name(CommandCall *call, Error *err)
{
    (void)err;
    if (call->m->config.name) sink_printf(call->out, "%s\n", call->m->config.name);
}
COMMAND(info_name, .name = "info name", .args = "", .usage = "", .help = "show the current VM name",
    .run = cmd_info_name);

static json_t *query_name_run(QmpCall *call, Error *err)
{
    (void)err;
    return json_pack("{s:s*}", "name", call->m->config.name);
}
QMP_COMMAND(query_name, .name = "query-name", .run = query_name_run);

static const char *run_uuid(const Machine *m)
{
    return m->config.uuid ? m->config.uuid : "00000000-0000-0000-0000-000000000000";
}

static void cmd_info_uuid(CommandCall *call, Error *err)
{
    (void)err;
    sink_printf(call->out, "%s\n", run_uuid(call->m));
}
COMMAND(info_uuid, .name = "info uuid", .args = "", .usage = "", .help = "show the current VM UUID",
    .run = cmd_info_uuid);

static json_t *query_uuid_run(QmpCall *call, Error *err)
{
    (void)err;
    return json_pack("{s:s}", "UUID", run_uuid(call->m));
}
QMP_COMMAND(query_uuid, .name = "query-uuid", .run = query_uuid_run);

static void cmd_info_kvm(CommandCall *call, Error *err)
{
    (void)err;
    sink_printf(call->out, "kvm support: disabled\n");
}
COMMAND(info_kvm, .name = "info kvm", .args = "", .usage = "", .help = "show KVM information",
    .run = cmd_info_kvm);

static json_t *query_kvm_run(QmpCall *call, Error *err)
{
    (void)call, (void)err;
    return json_pack("{s:b,s:b}", "enabled", 0, "present", 0);
}
QMP_COMMAND(query_kvm, .name = "query-kvm", .run = query_kvm_run);

static void cmd_info_cpus(CommandCall *call, Error *err)
{
    (void)err;
    for (unsigned i = 0; i < call->m->config.cpus; i++) {
        sink_printf(call->out, "%c CPU #%u: thread_id=%ld\n", i == cpu_shown(call->m) ? '*' : ' ',
            i, syscall(SYS_gettid));
    }
}
COMMAND(info_cpus, .name = "info cpus", .args = "", .usage = "", .help = "show infos for each CPU",
    .run = cmd_info_cpus);

static json_t *query_cpus_fast_run(QmpCall *call, Error *err)
{
    const MachineConfig *c = &call->m->config;
    json_t *cpus = json_array();

    (void)err;
    for (unsigned i = 0; i < call->m->config.cpus; i++) {
        json_array_append_new(cpus,
            json_pack("{s:i,s:o,s:I,s:{s:i,s:i,s:i},s:s}", "cpu-index", i, "qom-path",
                json_sprintf("/machine/unattached/device[%u]", i), "thread-id",
                (json_int_t)syscall(SYS_gettid), "props", "core-id",
                (int)(i / c->threads % c->cores), "thread-id", (int)(i % c->threads), "socket-id",
                (int)(i / (c->threads * c->cores * c->dies)), "target", "x86_64"));
    }
    return cpus;
}
QMP_COMMAND(query_cpus_fast, .name = "query-cpus-fast", .run = query_cpus_fast_run);
