/* SPDX-License-Identifier: MIT */
/*
 * Time.  Every guest clock (TSC, PIT, PM timer ...) derives from the machine's virtual clock, which
 * counts nanoseconds while the machine runs.  Without -icount it follows the host's monotonic
 * clock; with it, it is the number of executed instructions times 2^shift plus what HLT skipped,
 * and a run is repeatable.  Timers belong to devices and are armed by their sync() from state.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

typedef struct Clock Clock;
typedef struct Timer Timer;

enum { TIMER_NEVER = -1 };

struct Timer {
    Clock *clock;
    int64_t expire_ns; /* virtual time, TIMER_NEVER while not armed */
    void (*fire)(void *opaque);
    void *opaque;
    Timer *next;  /* in the clock's list, by expire_ns then rank */
    int32_t rank; /* fixed order between timers of the same instant: the order of timer_init */
};

struct Clock {
    bool running;
    int64_t base_ns;    /* virtual time when it was last started or read while stopped */
    int64_t host_start; /* host monotonic ns when it was last started */
    bool icount;
    bool icount_sleep; /* an idle guest waits for the host's clock too (-icount sleep=on) */
    uint8_t icount_shift;
    int64_t insns;   /* executed instructions, up to the current slice's start */
    int64_t warp_ns; /* virtual time that HLT skipped (icount) */
    int64_t (*slice_insns)(void *opaque); /* executed in the current slice so far; set by the CPU */
    void *slice_opaque;
    Timer *timers;
    int32_t next_rank;
    void (*end_slice)(void *opaque); /* the CPU's: see clock_end_slice */
    void *end_slice_opaque;
    uint64_t tsc_hz;    /* the guest's TSC rate */
    int64_t tsc_offset; /* TSC = virtual ns scaled by tsc_hz, plus this */
    int64_t rtc_offset; /* of clock_rtc against its source, ns */
    enum { RTC_CLOCK_HOST, RTC_CLOCK_VM, RTC_CLOCK_RT } rtc_source;
};

void clock_init(Clock *c);

/* Switches to instruction counting (0 <= shift <= 10); before the machine first runs. */
void clock_set_icount(Clock *c, unsigned shift, bool sleep);

/* The main loop has to look at something now (an earlier deadline than before): the CPU's slice
 * ends with the block that is running.  Nothing happens outside of a slice. */
void clock_end_slice(Clock *c);

/* Virtual time in ns.  Stands still while the machine is stopped. */
int64_t clock_now(const Clock *c);
void clock_start(Clock *c);
void clock_stop(Clock *c);
/* After a load: virtual time continues from ns. */
void clock_set(Clock *c, int64_t ns);

/* Executed instructions, exact at call-outs (icount only counts as time; this always counts). */
int64_t clock_insns(const Clock *c);

/* The guest's time stamp counter. */
uint64_t clock_tsc(const Clock *c);

/* The clock that the RTC follows (-rtc clock=): host wall clock, virtual, or host monotonic; ns. */
int64_t clock_rtc(const Clock *c);

/* Host clocks, for what is not guest time: monotonic ns, wall clock ns. */
int64_t host_ns(void);
int64_t host_wall_ns(void);

void timer_init(Timer *t, Clock *c, void (*fire)(void *opaque), void *opaque);
/* Arms for a virtual time (now or past: fires at the next opportunity); TIMER_NEVER disarms. */
void timer_arm(Timer *t, int64_t expire_ns);
void timer_cancel(Timer *t);
static inline bool timer_armed(const Timer *t) { return t->expire_ns != TIMER_NEVER; }

/* Earliest armed instant, or INT64_MAX. */
int64_t clock_deadline(const Clock *c);
/* Fires every timer whose time has come, in order of (expire, rank). */
void clock_run_timers(Clock *c);
/* Fires the first of those that are due at an instant; false where none is. */
bool clock_run_timer(Clock *c, int64_t now);
/* icount: the guest is idle; skip to the next deadline.  False where there is none. */
bool clock_warp(Clock *c);
