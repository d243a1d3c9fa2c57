/* SPDX-License-Identifier: MIT */
/* Events of the machine's life: STOP, RESUME, RESET, SHUTDOWN.  What a folder alone knows of it
 * tells itself, by qmp_event. */
#include "monitor/qmp_events.h"

#include "core/qmp.h"

typedef struct QmpEvents {
    Machine *m;
    MachineNotifier notifier;
    bool running; /* when we last looked */
} QmpEvents;

static void qmp_events_run_state(QmpEvents *e)
{
    bool running = machine_running(e->m);

    if (running == e->running) return;
    e->running = running;
    qmp_event(e->m, running ? "RESUME" : "STOP", NULL);
}

static void qmp_events_cause(QmpEvents *e, const char *name, bool guest, const char *reason)
{
    qmp_event(e->m, name, json_pack("{s:b,s:s}", "guest", guest, "reason", reason));
}

static void qmp_events_reset(QmpEvents *e)
{
    switch (e->m->reset_reason) {
    case RESET_HOST: qmp_events_cause(e, "RESET", false, "host-qmp-system-reset"); break;
    case RESET_GUEST: qmp_events_cause(e, "RESET", true, "guest-reset"); break;
    case RESET_SILENT: break;
    }
}

static void qmp_events_shutdown(QmpEvents *e)
{
    switch (e->m->shutdown_reason) {
    case SHUTDOWN_HOST_QUIT: qmp_events_cause(e, "SHUTDOWN", false, "host-qmp-quit"); break;
    case SHUTDOWN_HOST_SIGNAL: qmp_events_cause(e, "SHUTDOWN", false, "host-signal"); break;
    case SHUTDOWN_GUEST: qmp_events_cause(e, "SHUTDOWN", true, "guest-shutdown"); break;
    case SHUTDOWN_GUEST_RESET: qmp_events_cause(e, "SHUTDOWN", true, "guest-reset"); break;
    case SHUTDOWN_ERROR: qmp_events_cause(e, "SHUTDOWN", false, "host-error"); break;
    }
}

static void qmp_events_notify(void *opaque, MachineEvent event)
{
    QmpEvents *e = opaque;

    if (event == EVENT_RUN_STATE) qmp_events_run_state(e);
    if (event == EVENT_RESET) qmp_events_reset(e);
    if (event == EVENT_SHUTDOWN) qmp_events_shutdown(e);
}

void qmp_events_start(Machine *m)
{
    QmpEvents *e = machine_slot(m, "qmp-events", sizeof(QmpEvents), NULL);

    if (e->m) return;
    *e = (QmpEvents){ .m = m, .running = machine_running(m) };
    e->notifier = (MachineNotifier){ .notify = qmp_events_notify, .opaque = e };
    machine_notifier_add(m, &e->notifier);
}
