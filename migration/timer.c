/* SPDX-License-Identifier: MIT */
/* The section `timer`: virtual time, the TSC and the instruction count. */
#include "core/machine.h"
#include "migration/timer.h"

typedef struct TimerState {
    int64_t cpu_ticks_offset; /* TSC */
    int64_t cpu_clock_offset; /* virtual ns */
    int64_t icount_bias;      /* virtual ns that HLT skipped */
    int64_t icount;           /* executed instructions */
    bool counting;
} TimerState;

static bool timer_icount_needed(const void *s) { return ((const TimerState *)s)->counting; }

static const VmField timer_icount_fields[] = {
    VM_INT_AS(TimerState, icount_bias, "qemu_icount_bias"),
    VM_INT_AS(TimerState, icount, "qemu_icount"),
    VM_END,
};

/* Sums of an instant and a slice stay in range: no machine runs for a century. */
static bool timer_sane(int64_t v) { return v > INT64_MIN / 2 && v < INT64_MAX / 2; }

static bool timer_icount_post_load(void *opaque, int version, Error *err)
{
    const TimerState *s = opaque;

    (void)version;
    return (timer_sane(s->icount) && timer_sane(s->icount_bias)) ||
           error_set(err, "an instruction count out of range");
}

static bool timer_post_load(void *opaque, int version, Error *err)
{
    (void)version;
    return timer_sane(((const TimerState *)opaque)->cpu_clock_offset) ||
           error_set(err, "a virtual time out of range");
}

/* When an idle guest sleeps: sent by others, nothing that we need. */
static const VmField timer_warp_fields[] = { VM_UNUSED(16), VM_END };
static bool timer_warp_needed(const void *s)
{
    (void)s;
    return false;
}
static const VmState timer_warp_vmstate = {
    .name = "timer/icount/warp_timer",
    .version = 1,
    .min_version = 1,
    .needed = timer_warp_needed,
    .fields = timer_warp_fields,
};
static const VmState timer_icount_vmstate = {
    .name = "timer/icount",
    .version = 1,
    .min_version = 1,
    .needed = timer_icount_needed,
    .post_load = timer_icount_post_load,
    .fields = timer_icount_fields,
    .subsections = (const VmState *const[]){ &timer_warp_vmstate, NULL },
};

static const VmField timer_fields[] = {
    VM_INT(TimerState, cpu_ticks_offset),
    VM_UNUSED(8),
    VM_INT(TimerState, cpu_clock_offset),
    VM_END,
};
static const VmState timer_vmstate = {
    .name = "timer",
    .version = 2,
    .min_version = 1,
    .fields = timer_fields,
    .post_load = timer_post_load,
    .subsections = (const VmState *const[]){ &timer_icount_vmstate, NULL },
};

static TimerState *timer_state(Machine *m)
{
    return machine_slot(m, "timer", sizeof(TimerState), NULL);
}

static void timer_settle(void *opaque)
{
    Machine *m = opaque;
    TimerState *s = timer_state(m);
    const Clock *c = &m->clock;

    s->cpu_ticks_offset = (int64_t)clock_tsc(c);
    s->cpu_clock_offset = clock_now(c);
    s->counting = c->icount;
    s->icount = clock_insns(c);
    s->icount_bias = c->warp_ns;
}

/* Virtual time first, then the TSC, which is an offset against it. */
static void timer_commit(void *opaque)
{
    Machine *m = opaque;
    TimerState *s = timer_state(m);
    Clock *c = &m->clock;

    if (c->icount) c->insns = s->icount;
    clock_set(c, s->cpu_clock_offset);
    c->tsc_offset = 0;
    c->tsc_offset = s->cpu_ticks_offset - (int64_t)clock_tsc(c);
}

static const SectionOps timer_ops = { .settle = timer_settle, .commit = timer_commit };

bool timer_register(Machine *m, Error *err)
{
    Section sec = { .idstr = "timer",
        .version = 2,
        .vmsd = &timer_vmstate,
        .ops = &timer_ops,
        .state = timer_state(m),
        .state_size = sizeof(TimerState),
        .opaque = m,
        .alias_id = -1 };

    return section_register(m, NULL, &sec, err) != NULL;
}
