/* SPDX-License-Identifier: MIT */
/*
 * High precision event timers: a counter of 100 MHz and three comparators.
 * Source: Intel IA-PC HPET specification 1.0a.
 * Not modelled: interrupts by messages (FSB); status and progress of a timer whose interrupt is
 * off; that a one-shot timer which has matched does so again when the counter has come round.
 *
 * The counter is a function of time, and a timer's next match an instant in the state, so nothing
 * ticks.  A comparator that is written when the counter has just gone past it matches at once: on a
 * host, a guest may have waited in between for longer than on any board.
 *
 * With legacy replacement timers 0 and 1 have IRQ 0 and IRQ 8.  The interval timer is told to keep
 * still then (the wire "pit"), and the real-time clock's interrupt, which comes in at line 8, goes
 * no further.
 */
#include "core/machine.h"
#include "core/wires.h"
#include "hw/acpi.h"
#include "hw/fw_cfg.h"

enum { TIMERS = 3, TICK_NS = 10, HPET_BYTES = 0x1000, IRQ_PIT = 0, IRQ_RTC = 8 };
enum { REG_ID = 0x00, REG_CONFIG = 0x10, REG_STATUS = 0x20, REG_COUNTER = 0xf0 };
enum { REG_TIMER = 0x100, REG_NEXT_TIMER = 0x20, OFF_CONFIG = 0, OFF_CMP = 8, OFF_FSB = 0x10 };
enum { ENABLED = 1, LEGACY = 2 };
enum { T_LEVEL = 1 << 1, T_ON = 1 << 2, T_PERIODIC = 1 << 3, T_CAN_PERIODIC = 1 << 4 };
enum { T_CAN_64 = 1 << 5, T_SET_VALUE = 1 << 6, T_32 = 1 << 8, T_ROUTE_SHIFT = 9 };
enum { T_ROUTE = 31 << T_ROUTE_SHIFT, T_FSB = 1 << 14, T_CAN_FSB = 1 << 15 };
enum { T_WRITABLE = T_LEVEL | T_ON | T_PERIODIC | T_SET_VALUE | T_32 | T_ROUTE };
enum { ROUTES = 1 << 2 }; /* pins of the I/O APIC */
/* Revision 1, three timers, 64 bits, legacy replacement, Intel's; the period is in femtoseconds. */
#define BLOCK_ID (0x8086a001u | (TIMERS - 1) << 8)
#define PERIOD_FS (TICK_NS * UINT64_C(1000000))
#define HPET_GPA 0xfed00000u

typedef struct HpetTimer {
    uint8_t tn;
    uint64_t config, cmp, fsb;
    uint64_t period;   /* what was written to the comparator last */
    uint8_t wrap_flag; /* what comes next is not the match, but the end of the 32-bit counter */
    int64_t expiry;    /* virtual ns, or TIMER_NEVER */
} HpetTimer;

typedef struct Hpet Hpet;
typedef struct HpetAlarm {
    Hpet *h;
    unsigned n;
    Timer timer;
} HpetAlarm;

struct Hpet {
    Device dev;
    Irq irq;     /* the first of the wires that go by lines */
    Irq rtc_irq; /* where the real-time clock's goes on to */
    Irq pit;     /* high: the interval timer keeps still */
    Device *fw_cfg;
    HpetAlarm alarms[TIMERS];
    MemRegion region;
    struct HpetState {
        uint64_t config, isr;
        /* The counter when it was looked at last; ten times that, less hpet_offset, is the virtual
         * time of that look, modulo 2^64.  Where it stands still, the offset is 0. */
        uint64_t hpet_counter, hpet_offset;
        uint8_t num_timers;
        HpetTimer timer[TIMERS];
        uint8_t rtc_irq_level;
    } s;
};
#define HPET(d) ((Hpet *)(d))
typedef struct HpetState State;

/* -- on the wire -- */

static const VmField hpet_timer_fields[] = {
    VM_INT(HpetTimer, tn),
    VM_INT(HpetTimer, config),
    VM_INT(HpetTimer, cmp),
    VM_INT(HpetTimer, fsb),
    VM_INT(HpetTimer, period),
    VM_INT(HpetTimer, wrap_flag),
    VM_TIMER(HpetTimer, expiry, "qemu_timer"),
    VM_END,
};
static const VmState hpet_timer_vmstate = {
    .name = "hpet_timer", .version = 1, .min_version = 1, .fields = hpet_timer_fields
};

static bool hpet_rtc_needed(const void *state) { return ((const State *)state)->rtc_irq_level; }
static const VmField hpet_rtc_fields[] = { VM_INT(State, rtc_irq_level), VM_END };
static const VmState hpet_rtc_vmstate = {
    .name = "hpet/rtc_irq_level",
    .version = 1,
    .min_version = 1,
    .needed = hpet_rtc_needed,
    .fields = hpet_rtc_fields,
};

static bool hpet_offset_needed(const void *state)
{
    return ((const State *)state)->config & ENABLED;
}
static const VmField hpet_offset_fields[] = { VM_INT(State, hpet_offset), VM_END };
static const VmState hpet_offset_vmstate = {
    .name = "hpet/offset",
    .version = 1,
    .min_version = 1,
    .needed = hpet_offset_needed,
    .fields = hpet_offset_fields,
};

static bool hpet_has_three(const void *state, int version)
{
    (void)version;
    return ((const State *)state)->num_timers == TIMERS;
}

static const VmField hpet_fields[] = {
    VM_INT(State, config),
    VM_INT(State, isr),
    VM_INT(State, hpet_counter),
    VM_INT_V(State, num_timers, "num_timers", 2),
    VM_VALIDATE("num_timers must be 3", hpet_has_three),
    VM_STRUCTS(State, timer, "timer", hpet_timer_vmstate, 1),
    VM_END,
};

/* Without their subsections they are zero. */
static bool hpet_pre_load(void *state, Error *err)
{
    State *s = state;

    (void)err;
    s->hpet_offset = s->rtc_irq_level = 0;
    return true;
}

static bool hpet_post_load(void *state, int version, Error *err)
{
    const State *s = state;

    (void)version;
    for (unsigned n = 0; n < TIMERS; n++) {
        const HpetTimer *t = &s->timer[n];

        if (t->tn != n) return error_set(err, "hpet: timers are out of order");
        if (t->config & (T_CAN_FSB | T_FSB))
            return error_set(err, "hpet: interrupts by messages are not modelled");
    }
    return true;
}

static const VmState hpet_vmstate = {
    .name = "hpet",
    .version = 2,
    .min_version = 1,
    .fields = hpet_fields,
    .subsections = VMSTATES(&hpet_rtc_vmstate, &hpet_offset_vmstate),
    .pre_load = hpet_pre_load,
    .post_load = hpet_post_load,
};

static const Prop hpet_props[] = {
    PROP(Hpet, irq, "pic.48"), /* PIC_WIRE_HPET */
    PROP_AS(Hpet, rtc_irq, "rtc-irq", "pic.8"),
    PROP(Hpet, pit, ""),
    PROP(Hpet, fw_cfg, ""),
    PROP_END,
};

/* -- lines -- */

static bool hpet_in_legacy_mode(const State *s) { return s->config & LEGACY; }

/* The line that a timer has. */
static unsigned hpet_line(const State *s, unsigned n)
{
    if (hpet_in_legacy_mode(s) && n < 2) return n ? IRQ_RTC : IRQ_PIT;
    return (s->timer[n].config & T_ROUTE) >> T_ROUTE_SHIFT;
}

/* Whether a timer may interrupt: its line is one that leads somewhere. */
static bool hpet_may_interrupt(const State *s, unsigned n)
{
    if (!(s->config & ENABLED) || !(s->timer[n].config & T_ON)) return false;
    return (hpet_in_legacy_mode(s) && n < 2) || ROUTES >> hpet_line(s, n) & 1;
}

/* Lines that level-triggered timers hold. */
static uint32_t hpet_levels(const State *s)
{
    uint32_t lines = 0;

    for (unsigned n = 0; n < TIMERS; n++)
        if (s->isr >> n & 1 && hpet_may_interrupt(s, n)) lines |= 1u << hpet_line(s, n);
    return lines;
}

static void hpet_drive(Hpet *h)
{
    static const uint8_t lines[] = { IRQ_PIT, 2, IRQ_RTC };
    uint32_t levels = hpet_levels(&h->s);

    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
        irq_set(&(Irq){ h->irq.dev, h->irq.line + lines[i] }, levels >> lines[i] & 1);
    irq_set(&h->pit, hpet_in_legacy_mode(&h->s));
    irq_set(&h->rtc_irq, h->s.rtc_irq_level && !hpet_in_legacy_mode(&h->s));
}

static void hpet_irq_in(Device *dev, int line, bool level)
{
    (void)line;
    HPET(dev)->s.rtc_irq_level = level;
    if (!hpet_in_legacy_mode(&HPET(dev)->s)) irq_set(&HPET(dev)->rtc_irq, level);
}

/* A timer has matched. */
static void hpet_interrupt(Hpet *h, unsigned n)
{
    Irq line = { h->irq.dev, h->irq.line + (int)hpet_line(&h->s, n) };

    if (h->s.timer[n].config & T_LEVEL) {
        h->s.isr |= 1u << n;
        hpet_drive(h);
    } else if (hpet_may_interrupt(&h->s, n)) {
        irq_set(&line, true);
        irq_set(&line, hpet_levels(&h->s) >> hpet_line(&h->s, n) & 1);
    }
}

/* -- counter and comparators -- */

/* Since it was looked at. */
static int64_t hpet_elapsed(const State *s, int64_t now)
{
    return (int64_t)((uint64_t)now - (s->hpet_counter * TICK_NS - s->hpet_offset));
}

static uint64_t hpet_counter(const State *s, int64_t now)
{
    if (!(s->config & ENABLED)) return s->hpet_counter;
    return s->hpet_counter + (uint64_t)(hpet_elapsed(s, now) / TICK_NS);
}

static uint64_t hpet_mask(const HpetTimer *t) { return t->config & T_32 ? UINT32_MAX : UINT64_MAX; }

/* Whether the counter has passed a comparator, by less than half of its range. */
static bool hpet_is_past(const HpetTimer *t, uint64_t counter)
{
    return ((counter - t->cmp) & hpet_mask(t)) <= hpet_mask(t) >> 1;
}

/* The virtual time at which the counter will have gone so much further. */
static int64_t hpet_instant(const State *s, int64_t now, uint64_t ticks)
{
    int64_t start = (int64_t)((uint64_t)now - (uint64_t)(hpet_elapsed(s, now) % TICK_NS)), at;

    if (ticks > INT64_MAX / TICK_NS) return TIMER_NEVER;
    return __builtin_add_overflow(start, (int64_t)ticks * TICK_NS, &at) ? TIMER_NEVER : at;
}

static bool hpet_runs(const State *s, const HpetTimer *t)
{
    return s->config & ENABLED && t->config & T_ON;
}

/* Finds the next event of a timer, at the counter or behind it. */
static void hpet_plan(Hpet *h, unsigned n, int64_t now)
{
    const State *s = &h->s;
    HpetTimer *t = &h->s.timer[n];
    uint64_t counter = hpet_counter(s, now), ahead = (t->cmp - counter) & hpet_mask(t);
    uint64_t end = (UINT64_C(1) << 32) - (uint32_t)counter;

    t->wrap_flag = 0;
    t->expiry = TIMER_NEVER;
    if (hpet_runs(s, t)) {
        t->wrap_flag = t->config & T_32 && !(t->config & T_PERIODIC) && end < ahead;
        t->expiry = hpet_instant(s, now, t->wrap_flag ? end : ahead);
    }
    timer_arm(&h->alarms[n].timer, t->expiry);
}

/* A periodic comparator goes on by whole periods, until it is ahead of the counter. */
static void hpet_advance(const State *s, HpetTimer *t, int64_t now)
{
    uint64_t counter = hpet_counter(s, now), late = (counter - t->cmp) & hpet_mask(t);

    if (!(t->config & T_PERIODIC) || !t->period || !hpet_is_past(t, counter)) return;
    t->cmp = (t->cmp + (late / t->period + 1) * t->period) & hpet_mask(t);
}

static void hpet_fire(void *opaque)
{
    HpetAlarm *alarm = opaque;
    Hpet *h = alarm->h;
    HpetTimer *t = &h->s.timer[alarm->n];
    int64_t at = t->expiry, now = clock_now(&h->dev.m->clock);

    t->expiry = TIMER_NEVER;
    if (!hpet_runs(&h->s, t)) return; /* so another emulator has sent it */
    if (t->config & T_PERIODIC && t->period) {
        hpet_advance(&h->s, t, now);
        hpet_plan(h, alarm->n, now);
    } else if (t->wrap_flag) { /* the match itself is still to come, however late this is */
        hpet_plan(h, alarm->n, at);
    }
    hpet_interrupt(h, alarm->n);
}

/* A timer is switched on, or the counter is. */
static void hpet_start(Hpet *h, unsigned n, int64_t now)
{
    hpet_advance(&h->s, &h->s.timer[n], now);
    hpet_plan(h, n, now);
}

/* -- registers -- */

/* The counter as it is now becomes the one that was looked at last. */
static void hpet_look(State *s, int64_t now) { s->hpet_counter = hpet_counter(s, now); }

static void hpet_write_config(Hpet *h, uint64_t val)
{
    State *s = &h->s;
    int64_t now = clock_now(&h->dev.m->clock);
    bool was = s->config & ENABLED, is = val & ENABLED;

    hpet_look(s, now);
    s->config = val & (ENABLED | LEGACY);
    if (was != is) {
        s->hpet_offset = is ? s->hpet_counter * TICK_NS - (uint64_t)now : 0;
        for (unsigned n = 0; n < TIMERS; n++) hpet_start(h, n, now);
    }
    hpet_drive(h);
}

static void hpet_write_timer_config(Hpet *h, unsigned n, uint64_t val)
{
    HpetTimer *t = &h->s.timer[n];
    uint64_t was = t->config;
    unsigned route = (val & T_ROUTE) >> T_ROUTE_SHIFT;

    if (!(ROUTES >> route & 1)) /* a route that is none reads as what it was */
        val = (val & ~(uint64_t)T_ROUTE) | (was & T_ROUTE);
    if (val & T_FSB) unimplemented(&h->dev, "interrupts by messages");
    t->config = (was & ~(uint64_t)T_WRITABLE) | (val & T_WRITABLE);
    if (!(t->config & T_LEVEL)) h->s.isr &= ~(UINT64_C(1) << n);
    t->cmp &= hpet_mask(t);
    t->period &= hpet_mask(t);
    if ((was ^ t->config) & (T_ON | T_32 | T_PERIODIC))
        hpet_start(h, n, clock_now(&h->dev.m->clock));
    hpet_drive(h);
}

/* Written bytes are those of mask. */
static void hpet_write_cmp(Hpet *h, unsigned n, uint64_t val, uint64_t mask)
{
    HpetTimer *t = &h->s.timer[n];
    int64_t now = clock_now(&h->dev.m->clock);

    mask &= hpet_mask(t);
    if (!(t->config & T_PERIODIC) || t->config & T_SET_VALUE)
        t->cmp = (t->cmp & ~mask) | (val & mask);
    if (t->config & T_PERIODIC) t->period = (t->period & ~mask) | (val & mask);
    t->config &= ~(uint64_t)T_SET_VALUE;
    hpet_plan(h, n, now);
    if (!hpet_runs(&h->s, t) || !hpet_is_past(t, hpet_counter(&h->s, now))) return;
    t->wrap_flag = 0;
    t->expiry = now;
    timer_arm(&h->alarms[n].timer, now);
}

static uint64_t hpet_read_reg(const Hpet *h, uint64_t reg)
{
    const State *s = &h->s;
    uint64_t n = (reg - REG_TIMER) / REG_NEXT_TIMER;

    switch (reg) {
    case REG_ID: return PERIOD_FS << 32 | BLOCK_ID;
    case REG_CONFIG: return s->config;
    case REG_STATUS: return s->isr;
    case REG_COUNTER: return hpet_counter(s, clock_now(&h->dev.m->clock));
    }
    if (reg < REG_TIMER || n >= TIMERS) return 0;
    switch (reg % REG_NEXT_TIMER) {
    case OFF_CONFIG: return s->timer[n].config;
    case OFF_CMP: return s->timer[n].cmp;
    case OFF_FSB: return s->timer[n].fsb;
    default: return 0;
    }
}

static void hpet_write_counter(Hpet *h, uint64_t val)
{
    if (h->s.config & ENABLED)
        guest_error(&h->dev, "the counter is written while it runs");
    else
        h->s.hpet_counter = val;
}

/* What is not of mask is in val as it was. */
static void hpet_write_reg(Hpet *h, uint64_t reg, uint64_t val, uint64_t mask)
{
    uint64_t n = (reg - REG_TIMER) / REG_NEXT_TIMER;

    switch (reg) {
    case REG_CONFIG: hpet_write_config(h, val); return;
    case REG_STATUS:
        h->s.isr &= ~(val & mask);
        hpet_drive(h);
        return;
    case REG_COUNTER: hpet_write_counter(h, val); return;
    }
    if (reg < REG_TIMER || n >= TIMERS) return;
    switch (reg % REG_NEXT_TIMER) {
    case OFF_CONFIG: hpet_write_timer_config(h, (unsigned)n, val); break;
    case OFF_CMP: hpet_write_cmp(h, (unsigned)n, val, mask); break;
    case OFF_FSB: h->s.timer[n].fsb = val; break;
    default: break;
    }
}

static uint64_t hpet_load(Device *dev, MemAttrs attrs, uint64_t off, unsigned size)
{
    (void)attrs, (void)size;
    return hpet_read_reg(HPET(dev), off & ~UINT64_C(7)) >> 8 * (off & 4);
}

static void hpet_store(Device *dev, MemAttrs attrs, uint64_t off, uint64_t val, unsigned size)
{
    uint64_t reg = off & ~UINT64_C(7), mask = size == 8 ? UINT64_MAX : UINT64_C(0xffffffff);
    unsigned shift = 8 * (off & 4);

    (void)attrs;
    mask <<= shift;
    val = (val << shift & mask) | (hpet_read_reg(HPET(dev), reg) & ~mask);
    hpet_write_reg(HPET(dev), reg, val, mask);
}

static const MmioOps hpet_mmio = { .read = hpet_load, .write = hpet_store, .min = 4, .max = 8 };

/* -- life -- */

/* For firmware without ACPI tables: the blocks that there are, with room for more. */
static void hpet_tell_firmware(Hpet *h)
{
    enum { BLOCKS = 8, BLOCK = 15 };
    uint8_t item[1 + BLOCKS * BLOCK] = { 1 };

    if (!h->fw_cfg) return;
    store_le32(item + 1, BLOCK_ID);
    store_le64(item + 5, HPET_GPA);
    fw_cfg_add(h->fw_cfg, FW_CFG_HPET, item, sizeof(item));
}

static bool hpet_realize(Device *dev, Error *err)
{
    Hpet *h = HPET(dev);

    (void)err;
    for (unsigned n = 0; n < TIMERS; n++) {
        h->alarms[n].h = h;
        h->alarms[n].n = n;
        timer_init(&h->alarms[n].timer, &dev->m->clock, hpet_fire, &h->alarms[n]);
    }
    h->region = (MemRegion){ .name = "hpet",
        .gpa = HPET_GPA,
        .size = HPET_BYTES,
        .prio = 1,
        .enabled = true,
        .ops = &hpet_mmio,
        .dev = dev };
    mem_region_add(dev->m, &h->region);
    mem_commit(dev->m);
    hpet_tell_firmware(h);
    return true;
}

static void hpet_unrealize(Device *dev)
{
    for (unsigned n = 0; n < TIMERS; n++) timer_cancel(&HPET(dev)->alarms[n].timer);
}

/* The line of the clock is as it was. */
static void hpet_reset(Device *dev)
{
    State *s = &HPET(dev)->s;

    *s = (State){ .num_timers = TIMERS, .rtc_irq_level = s->rtc_irq_level };
    for (unsigned n = 0; n < TIMERS; n++)
        s->timer[n] = (HpetTimer){ .tn = (uint8_t)n,
            .config = (uint64_t)ROUTES << 32 | T_CAN_PERIODIC | T_CAN_64,
            .cmp = UINT64_MAX,
            .expiry = TIMER_NEVER };
}

static void hpet_settle(Device *dev) { hpet_look(&HPET(dev)->s, clock_now(&dev->m->clock)); }

static void hpet_sync(Device *dev)
{
    Hpet *h = HPET(dev);

    for (unsigned n = 0; n < TIMERS; n++) timer_arm(&h->alarms[n].timer, h->s.timer[n].expiry);
    hpet_drive(h);
}

DEVICE(hpet, "high precision event timers", Hpet, .props = hpet_props,
    .vmstates = VMSTATES(&hpet_vmstate), .realize = hpet_realize, .unrealize = hpet_unrealize,
    .power_on = hpet_reset, .reset = hpet_reset, .settle = hpet_settle, .sync = hpet_sync,
    .irq_in = hpet_irq_in);

/* -- what ACPI tells of it -- */

static void hpet_append_table(Device *dev, GByteArray *to)
{
    enum { MEMORY = 0, BITS = 64, SHORTEST_PERIOD = 100 };

    (void)dev;
    acpi_put(to, BLOCK_ID, 4);
    acpi_put(to, MEMORY, 1);
    acpi_put(to, BITS, 1);
    acpi_put(to, 0, 2);
    acpi_put(to, HPET_GPA, 8);
    acpi_put(to, 0, 1); /* the first block */
    acpi_put(to, SHORTEST_PERIOD, 2);
    acpi_put(to, 0, 1);
}
ACPI_TABLE(hpet, .signature = "HPET", .revision = 1, .append = hpet_append_table);

static void hpet_declare(Device *dev, Aml *a)
{
    enum { DECODED = 0x400 };
    Aml *res = aml_new();

    (void)dev;
    aml_res_memory(res, HPET_GPA, DECODED);
    acpi_isa_device(a, "HPET", "PNP0103", 0, res);
    aml_free(res);
}
ACPI_PART(hpet, ACPI_ON_SYSTEM, hpet_declare);
