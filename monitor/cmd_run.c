/* SPDX-License-Identifier: MIT */
/* Commands that start, stop, reset and end the machine, and say how it is. */
#include <sys/syscall.h>
#include <unistd.h>

#include "core/command.h"

static void cmd_quit(CommandCall *call, Error *err)
{
    (void)err;
    machine_request_shutdown(call->m, SHUTDOWN_HOST_QUIT);
}
COMMAND(
    quit, .name = "quit|q", .args = "", .usage = "", .help = "quit the emulator", .run = cmd_quit);

static void cmd_stop(CommandCall *call, Error *err)
{
    (void)err;
    if (call->m->run_state == RUN_INMIGRATE) call->m->config.stopped = true;
    if (machine_running(call->m)) machine_stop(call->m, RUN_PAUSED);
}
COMMAND(stop, .name = "stop|s", .args = "", .usage = "", .help = "stop emulation", .run = cmd_stop);

static void cmd_cont(CommandCall *call, Error *err)
{
    Machine *m = call->m;

    switch (m->run_state) {
    case RUN_INMIGRATE: m->config.stopped = false; break; /* runs once it has arrived */
    case RUN_SHUTDOWN:
    case RUN_INTERNAL_ERROR: error_set(err, "Resetting the Virtual Machine is required"); break;
    case RUN_FINISH_MIGRATE: error_set(err, "Migration is not finalized yet"); break;
    case RUN_SAVE_VM: error_set(err, "A snapshot is being saved"); break;
    default: machine_start(m, err);
    }
}
COMMAND(
    cont, .name = "cont|c", .args = "", .usage = "", .help = "resume emulation", .run = cmd_cont);

static void cmd_system_reset(CommandCall *call, Error *err)
{
    (void)err;
    machine_request_reset(call->m, RESET_HOST);
}
COMMAND(system_reset, .name = "system_reset", .args = "", .usage = "", .help = "reset the system",
    .run = cmd_system_reset);

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

static void cmd_info_version(CommandCall *call, Error *err)
{
    (void)err;
    sink_printf(call->out, "%s\n", STASIS_VERSION);
}
COMMAND(info_version, .name = "info version", .args = "", .usage = "",
    .help = "show the version of Stasis", .run = cmd_info_version);

static void cmd_info_name(CommandCall *call, Error *err)
{
    (void)err;
    if (call->m->config.name) sink_printf(call->out, "%s\n", call->m->config.name);
}
COMMAND(info_name, .name = "info name", .args = "", .usage = "", .help = "show the current VM name",
    .run = cmd_info_name);

static void cmd_info_uuid(CommandCall *call, Error *err)
{
    const char *uuid = call->m->config.uuid;

    (void)err;
    sink_printf(call->out, "%s\n", uuid ? uuid : "00000000-0000-0000-0000-000000000000");
}
COMMAND(info_uuid, .name = "info uuid", .args = "", .usage = "", .help = "show the current VM UUID",
    .run = cmd_info_uuid);

static void cmd_info_kvm(CommandCall *call, Error *err)
{
    (void)err;
    sink_printf(call->out, "kvm support: disabled\n");
}
COMMAND(info_kvm, .name = "info kvm", .args = "", .usage = "", .help = "show KVM information",
    .run = cmd_info_kvm);

static void cmd_info_cpus(CommandCall *call, Error *err)
{
    (void)err;
    for (unsigned i = 0; i < call->m->config.cpus; i++) {
        sink_printf(
            call->out, "%c CPU #%u: thread_id=%ld\n", i ? ' ' : '*', i, syscall(SYS_gettid));
    }
}
COMMAND(info_cpus, .name = "info cpus", .args = "", .usage = "", .help = "show infos for each CPU",
    .run = cmd_info_cpus);
