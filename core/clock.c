/* SPDX-License-Identifier: MIT */
/* Virtual time and timers: see clock.h. */
#include "core/clock.h"

#include <assert.h>
#include <stddef.h>
#include <time.h>

#include "util/bits.h"

static int64_t clock_read_host(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t host_ns(void) { return clock_read_host(CLOCK_MONOTONIC); }
int64_t host_wall_ns(void) { return clock_read_host(CLOCK_REALTIME); }

/* The host's TSC rate, to the next MHz, so that two processes on one host agree; 1 GHz where the
 * host has none. */
static uint64_t clock_measure_tsc(void)
{
#if defined(__x86_64__) || defined(__i386__)
    int64_t start = host_ns(), elapsed;
    uint64_t tsc = __builtin_ia32_rdtsc();

    do {
        elapsed = host_ns() - start;
    } while (elapsed < 5 * NS_PER_MS);
    tsc = __builtin_ia32_rdtsc() - tsc;
    return (tsc * 1000 + (uint64_t)elapsed / 2) / (uint64_t)elapsed * 1000000;
#else
    return 1000000000;
#endif
}

void clock_init(Clock *c)
{
    *c = (Clock){ .tsc_hz = clock_measure_tsc(), .rtc_source = RTC_CLOCK_HOST };
}

void clock_set_icount(Clock *c, unsigned shift, bool sleep)
{
    assert(!c->running && !c->insns);
    c->icount = true;
    c->icount_shift = (uint8_t)shift;
    c->icount_sleep = sleep;
    c->tsc_hz = 1000000000;
    c->rtc_source = RTC_CLOCK_VM;
}

int64_t clock_insns(const Clock *c)
{
    return c->insns + (c->slice_insns ? c->slice_insns(c->slice_opaque) : 0);
}

int64_t clock_now(const Clock *c)
{
    if (c->icount) /* a loaded count may be anything */
        return (int64_t)(((uint64_t)clock_insns(c) << c->icount_shift) + (uint64_t)c->warp_ns);
    return c->running ? c->base_ns + host_ns() - c->host_start : c->base_ns;
}

void clock_start(Clock *c)
{
    if (c->running) return;
    c->running = true;
    c->host_start = host_ns();
}

void clock_stop(Clock *c)
{
    if (!c->running) return;
    c->base_ns = clock_now(c);
    c->running = false;
}

void clock_set(Clock *c, int64_t ns)
{
    if (c->icount) {
        c->warp_ns = (int64_t)((uint64_t)ns - ((uint64_t)clock_insns(c) << c->icount_shift));
    } else {
        c->base_ns = ns;
        c->host_start = host_ns();
    }
}

uint64_t clock_tsc(const Clock *c)
{
    return muldiv64((uint64_t)clock_now(c), c->tsc_hz, NS_PER_S) + (uint64_t)c->tsc_offset;
}

int64_t clock_rtc(const Clock *c)
{
    switch (c->rtc_source) {
    case RTC_CLOCK_HOST: return host_wall_ns() + c->rtc_offset;
    case RTC_CLOCK_RT: return host_ns() + c->rtc_offset;
    default: return clock_now(c) + c->rtc_offset;
    }
}

void timer_init(Timer *t, Clock *c, void (*fire)(void *opaque), void *opaque)
{
    *t = (Timer){
        .clock = c, .expire_ns = TIMER_NEVER, .fire = fire, .opaque = opaque, .rank = c->next_rank++
    };
}

void timer_cancel(Timer *t)
{
    if (!t->clock || t->expire_ns == TIMER_NEVER) return;
    for (Timer **p = &t->clock->timers; *p; p = &(*p)->next) {
        if (*p != t) continue;
        *p = t->next;
        break;
    }
    t->expire_ns = TIMER_NEVER;
    t->next = NULL;
}

/* Whether a fires before b.  Between equal instants the devices' order of creation decides: unlike
 * the order of arming it is the same before a save and after a load. */
static bool timer_before(const Timer *a, const Timer *b)
{
    return a->expire_ns < b->expire_ns || (a->expire_ns == b->expire_ns && a->rank < b->rank);
}

void clock_end_slice(Clock *c)
{
    if (c->end_slice) c->end_slice(c->end_slice_opaque);
}

void timer_arm(Timer *t, int64_t expire_ns)
{
    Clock *c = t->clock;
    Timer **p;

    if (t->expire_ns == expire_ns) return;
    timer_cancel(t);
    if (expire_ns == TIMER_NEVER) return;
    t->expire_ns = MAX_OF(expire_ns, 0);
    for (p = &c->timers; *p && timer_before(*p, t);) p = &(*p)->next;
    t->next = *p;
    *p = t;
    if (c->timers == t) clock_end_slice(c);
}

int64_t clock_deadline(const Clock *c) { return c->timers ? c->timers->expire_ns : INT64_MAX; }

bool clock_run_timer(Clock *c, int64_t now)
{
    Timer *t = c->timers;

    if (!t || t->expire_ns > now) return false;
    timer_cancel(t);
    t->fire(t->opaque);
    return true;
}

void clock_run_timers(Clock *c)
{
    int64_t now = clock_now(c);

    while (clock_run_timer(c, now)) continue;
}

bool clock_warp(Clock *c)
{
    int64_t deadline = clock_deadline(c);

    assert(c->icount);
    if (deadline == INT64_MAX) return false;
    c->warp_ns += MAX_OF(deadline - clock_now(c), 0);
    return true;
}
