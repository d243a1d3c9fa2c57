/* SPDX-License-Identifier: MIT */
/*
 * The main loop.  A turn is: act on requests, fire due timers, run the CPU for a slice, let GLib
 * dispatch what the host has.  A slice ends at the next virtual deadline or after about a
 * millisecond: without -icount its length in instructions comes from the measured speed, with it
 * from the deadline alone, so that a run does not depend on the host.  GLib sleeps in whole
 * milliseconds; an idle machine therefore arms a timerfd for its deadline.
 */
#include "system/loop.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/absent.h"
#include "cpu/cpu.h"
#include "migration/migration.h"
#include "util/bits.h"

enum {
    SLICE_NS = 1000000,     /* how long the CPU runs before host events get a look */
    POLL_NS = 200000,       /* shorter slices do not ask for host events each time */
    SLICE_MIN_INSNS = 200,  /* below this the overhead of a slice weighs more than its length */
    SLICE_ICOUNT = 1 << 18, /* instructions of a slice where no deadline is near */
    RATE_FIRST = 20,        /* instructions per microsecond, until measured */
    RATE_MAX = 20000,
};

typedef struct Loop {
    Machine *m;
    int timer_fd; /* -1: not made yet */
    GSource *timer;
    double insns_per_ns;
    int64_t polled_ns;                   /* host time of the last look at host events */
    int64_t rest_until_ns;               /* host time: the CPU rests, as m->throttle has it */
    int64_t torture_every, torture_next; /* in executed instructions; 0: off */
    GSource *signals[3];
} Loop;

static gboolean loop_timer_fired(gint fd, GIOCondition cond, gpointer opaque)
{
    uint64_t expirations;

    (void)cond, (void)opaque;
    if (read(fd, &expirations, sizeof(expirations)) < 0) return G_SOURCE_CONTINUE;
    return G_SOURCE_CONTINUE;
}

static void loop_free(void *slot)
{
    Loop *l = slot;

    if (l->timer) {
        g_source_destroy(l->timer);
        g_source_unref(l->timer);
        close(l->timer_fd);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(l->signals); i++) {
        if (!l->signals[i]) continue;
        g_source_destroy(l->signals[i]);
        g_source_unref(l->signals[i]);
    }
}

static Loop *loop_of(Machine *m)
{
    Loop *l = machine_slot(m, "loop", sizeof(Loop), loop_free);

    if (l->m) return l;
    l->m = m;
    l->insns_per_ns = RATE_FIRST / 1000.0;
    l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (l->timer_fd >= 0) {
        l->timer = g_unix_fd_source_new(l->timer_fd, G_IO_IN);
        g_source_set_callback(l->timer, G_SOURCE_FUNC(loop_timer_fired), l, NULL);
        g_source_attach(l->timer, m->ctx);
    }
    return l;
}

/* -- requests -- */

static void loop_shutdown(Machine *m)
{
    ShutdownReason why = m->shutdown_reason;

    m->shutdown_requested = false;
    machine_notify(m, EVENT_SHUTDOWN);
    if ((why == SHUTDOWN_GUEST || why == SHUTDOWN_GUEST_RESET) && m->config.no_shutdown) {
        machine_stop(m, RUN_SHUTDOWN);
        return;
    }
    m->quit = true;
}

static void loop_reset(Machine *m)
{
    m->reset_requested = false;
    if (m->reset_reason == RESET_GUEST && m->config.no_reboot) {
        machine_request_shutdown(m, SHUTDOWN_GUEST_RESET);
        loop_shutdown(m);
        return;
    }
    machine_reset(m);
    if (!machine_running(m) && m->run_state != RUN_INMIGRATE &&
        m->run_state != RUN_FINISH_MIGRATE) {
        machine_set_run_state(m, RUN_PRELAUNCH);
    }
}

/* What comes while a snapshot is saved or loaded waits for its end: a reset in between would be of
 * half a machine. */
static void loop_requests(Machine *m)
{
    if (snapshot_under_way(m)) return;
    if (m->shutdown_requested) loop_shutdown(m);
    if (m->quit) return;
    if (m->reset_requested) loop_reset(m);
}

/* -- waiting -- */

/* Lets GLib dispatch; waits for a host event until the deadline (host monotonic ns; INT64_MAX: none
 * comes of itself). */
static void loop_wait(Loop *l, int64_t until_host_ns)
{
    if (until_host_ns != INT64_MAX && until_host_ns <= host_ns()) {
        g_main_context_iteration(l->m->ctx, FALSE);
        return;
    }
    struct itimerspec at = { 0 };
    if (until_host_ns != INT64_MAX) {
        at.it_value.tv_sec = until_host_ns / NS_PER_S;
        at.it_value.tv_nsec = until_host_ns % NS_PER_S;
        if (!at.it_value.tv_sec && !at.it_value.tv_nsec) at.it_value.tv_nsec = 1;
    }
    timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
    g_main_context_iteration(l->m->ctx, TRUE);
}

static int64_t loop_limit(int64_t max_ns) { return max_ns < 0 ? INT64_MAX : host_ns() + max_ns; }

/* The guest has nothing to do before an interrupt. */
static void loop_idle(Loop *l, int64_t max_ns)
{
    Clock *c = &l->m->clock;
    int64_t deadline = clock_deadline(c), limit = loop_limit(max_ns), until = INT64_MAX;

    if (c->icount && !c->icount_sleep && deadline != INT64_MAX) {
        clock_warp(c);
        g_main_context_iteration(l->m->ctx, FALSE);
        return;
    }
    if (deadline != INT64_MAX) until = host_ns() + MAX_OF(deadline - clock_now(c), 0);
    if (until > limit) {
        loop_wait(l, limit);
        return;
    }
    loop_wait(l, until);
    /* With -icount the virtual clock stands still while the guest sleeps: it catches up where the
     * whole time has gone by and nothing else happened. */
    if (c->icount && deadline != INT64_MAX && host_ns() >= until && machine_running(l->m) &&
        cpu_idle(l->m) && clock_deadline(c) == deadline) {
        clock_warp(c);
    }
}

/* -- running -- */

static int64_t loop_budget(Loop *l, int64_t max_ns)
{
    Clock *c = &l->m->clock;
    int64_t deadline = clock_deadline(c), left = INT64_MAX, insns;
    int64_t slice = l->m->slice_ns ? l->m->slice_ns : SLICE_NS;

    if (deadline != INT64_MAX) left = MAX_OF(deadline - clock_now(c), 0);
    if (c->icount) {
        int64_t unit = (int64_t)1 << c->icount_shift;
        if (max_ns >= 0) left = MIN_OF(left, max_ns);
        insns = left > SLICE_ICOUNT * unit ? SLICE_ICOUNT : (left + unit - 1) / unit;
        insns = MAX_OF(insns, 1);
    } else {
        int64_t ns = MIN_OF(left, max_ns < 0 ? slice : MIN_OF(max_ns, slice));
        insns = MAX_OF((int64_t)((double)ns * l->insns_per_ns), SLICE_MIN_INSNS);
    }
    if (l->torture_every) {
        insns = MIN_OF(insns, MAX_OF(l->torture_next - clock_insns(c), 1));
    }
    return insns;
}

/* The speed follows what was measured, halfway each time; short slices tell nothing. */
static void loop_measure(Loop *l, int64_t done, int64_t ns)
{
    if (ns < SLICE_NS / 20 || done < SLICE_MIN_INSNS) return;
    double rate = (double)done / (double)ns;
    if (rate > RATE_MAX / 1000.0) rate = RATE_MAX / 1000.0;
    l->insns_per_ns = (l->insns_per_ns + rate) / 2;
}

static void loop_torture(Loop *l)
{
    Error err = ERROR_INIT;

    if (!l->torture_every || clock_insns(&l->m->clock) < l->torture_next) return;
    l->torture_next = clock_insns(&l->m->clock) + l->torture_every;
    if (machine_roundtrip(l->m, &err)) return;
    fprintf(stderr, "stasis: -torture: after %lld instructions: %s\n",
        (long long)clock_insns(&l->m->clock), err.msg);
    l->m->exit_code = 1;
    machine_request_shutdown(l->m, SHUTDOWN_ERROR);
}

/* The page that a CPU waits for comes by a host event; meanwhile a timer may wake another one. */
static void loop_await_page(Loop *l, int64_t max_ns)
{
    const Clock *c = &l->m->clock;
    int64_t until = loop_limit(max_ns < 0 ? 100 * NS_PER_MS : max_ns), deadline = clock_deadline(c);

    if (!c->icount && deadline != INT64_MAX)
        until = MIN_OF(until, host_ns() + MAX_OF(deadline - clock_now(c), 0));
    loop_wait(l, until);
}

static void loop_run(Loop *l, int64_t max_ns)
{
    Machine *m = l->m;
    int64_t done = 0, start = host_ns();
    CpuExit why = cpu_run(m, loop_budget(l, max_ns), &done);
    int64_t end = host_ns();

    if (!m->clock.icount) loop_measure(l, done, end - start);
    loop_torture(l);
    if (m->throttle)
        l->rest_until_ns =
            end + (end - start) * (int64_t)m->throttle / (int64_t)(100 - m->throttle);
    if (why == CPU_BLOCKED) {
        loop_await_page(l, max_ns);
    } else if (end - l->polled_ns >= POLL_NS || why != CPU_BUDGET) {
        l->polled_ns = end;
        g_main_context_iteration(m->ctx, FALSE);
    }
}

/* The CPU rests: for a while, or until it may make pages dirty again. */
static bool loop_rests(const Loop *l)
{
    return l->m->dirty_budget <= 0 || l->rest_until_ns > host_ns();
}

/* Nothing but time passes: instructions are counted as ever, so -icount stays exact. */
static void loop_rest(Loop *l, int64_t max_ns)
{
    Clock *c = &l->m->clock;
    int64_t deadline = clock_deadline(c);
    int64_t until = l->m->dirty_budget <= 0 ? INT64_MAX : l->rest_until_ns;

    if (!c->icount && deadline != INT64_MAX)
        until = MIN_OF(until, host_ns() + MAX_OF(deadline - clock_now(c), 0));
    loop_wait(l, MIN_OF(until, loop_limit(max_ns)));
}

/* A DMA that waits for a page is at an instant that must not pass without it. */
static bool loop_stands(const Loop *l) { return l->m->clock.icount && mem_device_waits(l->m); }

static void loop_run_timers(Loop *l)
{
    Clock *c = &l->m->clock;
    int64_t now = clock_now(c);

    while (!loop_stands(l) && clock_run_timer(c, now)) continue;
}

bool machine_step(Machine *m, int64_t max_ns)
{
    Loop *l = loop_of(m);

    /* A kick from here on ends the next slice; one from before has had its effect. */
    atomic_store(&m->kick, 0);
    loop_requests(m);
    if (m->quit) return false;
    if (!machine_running(m)) {
        loop_wait(l, loop_limit(max_ns));
        loop_requests(m);
        return !m->quit;
    }
    if (loop_stands(l)) {
        loop_wait(l, loop_limit(max_ns));
        loop_requests(m);
        return !m->quit;
    }
    loop_run_timers(l);
    if (m->shutdown_requested || m->reset_requested || !machine_running(m)) return true;
    if (loop_stands(l)) return true;
    if (loop_rests(l)) {
        loop_rest(l, max_ns);
    } else if (cpu_idle(m)) {
        loop_idle(l, max_ns);
    } else {
        loop_run(l, max_ns);
    }
    loop_requests(m);
    return !m->quit;
}

void machine_main_loop(Machine *m)
{
    while (machine_step(m, -1)) continue;
}

void machine_set_torture(Machine *m, int64_t insns)
{
    Loop *l = loop_of(m);

    l->torture_every = insns;
    l->torture_next = clock_insns(&m->clock) + insns;
}

/* -- signals -- */

static gboolean loop_signal(Machine *m, int sig)
{
    fprintf(stderr, "stasis: terminating on signal %d\n", sig);
    machine_request_shutdown(m, SHUTDOWN_HOST_SIGNAL);
    return G_SOURCE_CONTINUE;
}

static gboolean loop_sigint(gpointer m) { return loop_signal(m, SIGINT); }
static gboolean loop_sigterm(gpointer m) { return loop_signal(m, SIGTERM); }
static gboolean loop_sighup(gpointer m) { return loop_signal(m, SIGHUP); }

void machine_catch_signals(Machine *m)
{
    static const struct {
        int sig;
        GSourceFunc fn;
    } caught[] = { { SIGINT, loop_sigint }, { SIGTERM, loop_sigterm }, { SIGHUP, loop_sighup } };
    Loop *l = loop_of(m);

    for (unsigned i = 0; i < ARRAY_SIZE(caught); i++) {
        l->signals[i] = g_unix_signal_source_new(caught[i].sig);
        g_source_set_callback(l->signals[i], caught[i].fn, m, NULL);
        g_source_attach(l->signals[i], m->ctx);
    }
    /* A peer that has gone, or a limit on files, is an error of the write and no more. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}
