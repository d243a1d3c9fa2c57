/* SPDX-License-Identifier: MIT */
/* The emulator's main program. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "system/build.h"
#include "system/daemon.h"
#include "system/loop.h"

static int main_failed(const Error *err)
{
    fprintf(stderr, "stasis: %s\n", err->msg);
    return 1;
}

/* Everything between the parsed command line and the exit status. */
static int main_run(CommandLine *cl)
{
    Error err = ERROR_INIT;
    int ready_fd = -1, status = 1;
    Machine *m = NULL;
    char *pidfile = NULL;

    if (cl->daemonize && !daemon_fork(&ready_fd, &err)) return main_failed(&err);
    if (cl->pidfile) {
        if (!pidfile_create(cl->pidfile, &err)) {
            error_prefix(&err, "-pidfile %s: ", cl->pidfile);
            return main_failed(&err);
        }
        pidfile = realpath(cl->pidfile, NULL);
    }
    m = machine_build(cl, NULL, &err);
    if (!m) {
        main_failed(&err);
        goto out;
    }
    machine_catch_signals(m);
    if (!machine_begin(m, &err) || (cl->daemonize && !daemon_ready(ready_fd, &err))) {
        main_failed(&err);
        goto out;
    }
    machine_main_loop(m);
    status = m->exit_code;
out:
    machine_free(m);
    if (pidfile) unlink(pidfile);
    free(pidfile);
    return status;
}

static int main_dump_vmstate(const CommandLine *cl)
{
    const char *type = cl->config.type ? cl->config.type : machine_default();
    const MachineClass *cls = machine_class_find(type);
    FILE *f = cls ? fopen(cl->dump_vmstate, "w") : NULL;
    Error err = ERROR_INIT;
    bool ok = f && vmstate_dump(f, cls->name);

    if (!cls) {
        error_set(&err, "-M %s: no such machine", type);
        return main_failed(&err);
    }
    if (f && fclose(f)) ok = false;
    if (ok) return 0;
    error_errno(&err, errno, "-dump-vmstate %s", cl->dump_vmstate);
    return main_failed(&err);
}

int main(int argc, char **argv)
{
    CommandLine cl;
    Error err = ERROR_INIT;
    int status = 0;

    if (!options_parse_args(&cl, argc, argv, &err)) {
        status = main_failed(&err);
    } else if (!cl.answered && cl.dump_vmstate) {
        status = main_dump_vmstate(&cl);
    } else if (!cl.answered) {
        status = main_run(&cl);
    }
    command_line_free(&cl);
    return status;
}
