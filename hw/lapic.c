/* SPDX-License-Identifier: MIT */
/*
 * The local APIC: priorities, local vectors, timer, interprocessor interrupts.
 * Source: Intel SDM volume 3 of 1999, chapter 7.
 * x2APIC mode and the TSC deadline: volume 3 of 2010, chapter 10.
 * Not modelled: thermal and performance interrupts (nothing raises them),
 * arbitration on the bus; the timer counts at 1 GHz.
 *
 * CPUs may have their registers at addresses of their own.  What lies beneath is hidden from the
 * others, too, who see nothing there.
 *
 * Its inputs: LINT0, to which the INT output of the 8259s leads, and LINT1.  After a reset LINT0
 * hands the 8259s through (virtual wire).
 */
#include "hw/lapic.h"

#include <string.h>

#include "core/machine.h"
#include "core/wires.h"

enum {
    REG_ID = 0x02,
    REG_VERSION = 0x03,
    REG_TPR = 0x08,
    REG_APR = 0x09,
    REG_PPR = 0x0a,
    REG_EOI = 0x0b,
    REG_LDR = 0x0d,
    REG_DFR = 0x0e,
    REG_SVR = 0x0f,
    REG_ISR = 0x10,
    REG_TMR = 0x18,
    REG_IRR = 0x20,
    REG_ESR = 0x28,
    REG_ICR = 0x30,
    REG_ICR_HIGH = 0x31,
    REG_LVT = 0x32,
    REG_INITIAL = 0x38,
    REG_CURRENT = 0x39,
    REG_DIVIDE = 0x3e,
    REG_SELF = 0x3f, /* in x2APIC mode */
};
enum { LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVTS };
enum { LVT_MODE_SHIFT = 8, LVT_LEVEL = 1 << 15, LVT_MASKED = 1 << 16, LVT_PERIODIC = 1 << 17 };
enum { LVT_DEADLINE = 1 << 18 };
enum { LVT_EXTINT = APIC_EXTINT << LVT_MODE_SHIFT };
enum { SVR_ENABLED = 1 << 8, SVR_RESET = 0xff, SVR_MASK = 0x3ff };
enum { ICR_LOGICAL = 1 << 11, ICR_ASSERT = 1 << 14, ICR_LEVEL = 1 << 15, ICR_MASK = 0xccfff };
enum { TO_DEST, TO_SELF, TO_ALL, TO_OTHERS };
enum { ESR_SEND_ILLEGAL = 1 << 5, ESR_RECEIVED_ILLEGAL = 1 << 6, ESR_REGISTER = 1 << 7 };
enum { BASE_BOOT = 1 << 8, VERSION = 0x50014, APIC_BYTES = 0x1000 };
enum { DEST_FLAT = 0xf, VECTOR_FIRST = 16, NO_DIVIDE = 0xb };
#define APIC_BASE 0xfee00000u
#define BASE_ADDRESS 0xfffff000u

typedef struct Lapic {
    Device dev;
    uint32_t index; /* of the CPU */
    Device *cpu;
    ApicBus *bus;
    Timer timer;
    MemRegion region; /* of the first one at an address: all who are there answer their own CPU */
    struct LapicState {
        uint32_t apicbase;
        uint8_t id, arb_id, tpr;
        uint32_t spurious_vec;
        uint8_t log_dest, dest_mode;
        uint32_t isr[8], tmr[8], irr[8], lvt[LVTS], esr, icr[2];
        uint32_t divide_conf;
        int32_t count_shift; /* of divide_conf */
        uint32_t initial_count;
        int64_t initial_count_load_time;
        int64_t next_time;    /* when it expired last, or will next */
        int64_t timer_expiry; /* when it will, or TIMER_NEVER */
        int32_t sipi_vector, wait_for_sipi;
        uint32_t esr_pending; /* exact: errors that a write to ESR will show */
        uint8_t lint;         /* exact: levels of the inputs, a bit each */
        uint8_t sipi_pending; /* exact: sipi_vector has come, and the CPU has not looked yet */
    } s;
} Lapic;
#define LAPIC(d) ((Lapic *)(d))
typedef struct LapicState State;

static const VmField lapic_fields[] = {
    VM_INT(State, apicbase),
    VM_INT(State, id),
    VM_INT(State, arb_id),
    VM_INT(State, tpr),
    VM_INT(State, spurious_vec),
    VM_INT(State, log_dest),
    VM_INT(State, dest_mode),
    VM_INTS(State, isr),
    VM_INTS(State, tmr),
    VM_INTS(State, irr),
    VM_INTS(State, lvt),
    VM_INT(State, esr),
    VM_INTS(State, icr),
    VM_INT(State, divide_conf),
    VM_INT(State, count_shift),
    VM_INT(State, initial_count),
    VM_INT(State, initial_count_load_time),
    VM_INT(State, next_time),
    VM_INT(State, timer_expiry),
    VM_END,
};

static bool lapic_sipi_needed(const void *state) { return ((const State *)state)->wait_for_sipi; }

static const VmField lapic_sipi_fields[] = { VM_INT(State, sipi_vector),
    VM_INT(State, wait_for_sipi), VM_END };
static const VmState lapic_sipi_vmstate = {
    .name = "apic_sipi",
    .version = 1,
    .min_version = 1,
    .needed = lapic_sipi_needed,
    .fields = lapic_sipi_fields,
};
static const VmState *const lapic_subsections[] = { &lapic_sipi_vmstate, NULL };

/* Without the subsection nobody waits. */
static bool lapic_pre_load(void *state, Error *err)
{
    State *s = state;

    (void)err;
    s->wait_for_sipi = s->sipi_vector = 0;
    return true;
}

static bool lapic_post_load(void *state, int version, Error *err)
{
    const State *s = state;

    (void)version;
    if (s->count_shift < 0 || s->count_shift > 7) return error_set(err, "apic: no such divisor");
    if (s->timer_expiry < TIMER_NEVER || s->initial_count_load_time < 0 ||
        s->initial_count_load_time > INT64_MAX / 2)
        return error_set(err, "apic: the timer is out of time");
    return true;
}

static const VmState lapic_vmstate = {
    .name = "apic",
    .version = 3,
    .min_version = 3,
    .fields = lapic_fields,
    .subsections = lapic_subsections,
    .pre_load = lapic_pre_load,
    .post_load = lapic_post_load,
};
static const VmField lapic_exact[] = { VM_INT(State, esr_pending), VM_INT(State, lint),
    VM_INT(State, sipi_vector), VM_INT(State, sipi_pending), VM_END };

static const Prop lapic_props[] = { PROP(Lapic, index, "0"), PROP(Lapic, cpu, "cpu0"), PROP_END };

ApicBus *apic_bus(Machine *m) { return machine_slot(m, "apic-bus", sizeof(ApicBus), NULL); }

/* -- sets of vectors -- */

static bool vector_in(const uint32_t *set, unsigned v) { return set[v >> 5] >> (v & 31) & 1; }
static void vector_add(uint32_t *set, unsigned v) { set[v >> 5] |= 1u << (v & 31); }
static void vector_drop(uint32_t *set, unsigned v) { set[v >> 5] &= ~(1u << (v & 31)); }

static int vector_highest(const uint32_t *set)
{
    for (int i = 7; i >= 0; i--)
        if (set[i]) return i * 32 + 31 - __builtin_clz(set[i]);
    return -1;
}

/* -- what goes to the CPU -- */

static bool lapic_enabled(const Lapic *a)
{
    return a->s.apicbase & APIC_BASE_ENABLED && a->s.spurious_vec & SVR_ENABLED;
}

/* Registers are MSRs, and memory at the base address is no APIC. */
static bool lapic_is_x2(const Lapic *a) { return a->s.apicbase & APIC_BASE_X2; }

static uint32_t lapic_x2_id(const Lapic *a) { return machine_apic_id(a->dev.m, a->index); }

/* Sixteen of a cluster, a bit each. */
static uint32_t lapic_x2_logical(const Lapic *a)
{
    return lapic_x2_id(a) >> 4 << 16 | 1u << (lapic_x2_id(a) & 15);
}

static uint8_t lapic_ppr(const State *s)
{
    int serving = vector_highest(s->isr);
    uint8_t class = serving < 0 ? 0 : (uint8_t)(serving & 0xf0);

    return (s->tpr & 0xf0) >= class ? s->tpr : class;
}

/* The vector to be served next, or -1. */
static int lapic_pending(const Lapic *a)
{
    int v = lapic_enabled(a) ? vector_highest(a->s.irr) : -1;

    return v >= 0 && (v & 0xf0) > (lapic_ppr(&a->s) & 0xf0) ? v : -1;
}

static bool lapic_passes_pic(const Lapic *a)
{
    if (!(a->s.apicbase & APIC_BASE_ENABLED)) return !a->index;
    return (a->s.lvt[LVT_LINT0] & (LVT_MASKED | 7 << LVT_MODE_SHIFT)) == LVT_EXTINT;
}

static void lapic_update(Lapic *a)
{
    bool pic = a->s.lint & 1 && lapic_passes_pic(a);

    irq_set(&(Irq){ a->cpu, CPU_WIRE_INTR }, pic || lapic_pending(a) >= 0);
}

static int lapic_take(Device *dev)
{
    Lapic *a = LAPIC(dev);
    int v = lapic_pending(a);

    if (v < 0) return a->s.lint & 1 && lapic_passes_pic(a) ? machine_inta(dev->m) : -1;
    vector_drop(a->s.irr, (unsigned)v);
    vector_add(a->s.isr, (unsigned)v);
    lapic_update(a);
    return v;
}

static void lapic_accept(Lapic *a, uint8_t vector, bool level);

static void lapic_error(Lapic *a, uint32_t bit)
{
    uint32_t lvt = a->s.lvt[LVT_ERROR];

    a->s.esr_pending |= bit;
    /* An error in the error's own vector raises nothing further. */
    if (!(lvt & LVT_MASKED) && (lvt & 0xff) >= VECTOR_FIRST) lapic_accept(a, (uint8_t)lvt, false);
}

static void lapic_accept(Lapic *a, uint8_t vector, bool level)
{
    if (!lapic_enabled(a)) return;
    if (vector < VECTOR_FIRST) {
        lapic_error(a, ESR_RECEIVED_ILLEGAL);
        return;
    }
    vector_add(a->s.irr, vector);
    if (level)
        vector_add(a->s.tmr, vector);
    else
        vector_drop(a->s.tmr, vector);
    lapic_update(a);
}

static void lapic_pulse(Lapic *a, int wire)
{
    irq_set(&(Irq){ a->cpu, wire }, true);
    irq_set(&(Irq){ a->cpu, wire }, false);
}

static void lapic_local(Lapic *a, int n)
{
    uint32_t lvt = a->s.lvt[n];

    if (lvt & LVT_MASKED) return;
    switch (n == LVT_TIMER ? APIC_FIXED : lvt >> LVT_MODE_SHIFT & 7) {
    case APIC_FIXED: lapic_accept(a, (uint8_t)lvt, n == LVT_LINT0 && lvt & LVT_LEVEL); break;
    case APIC_NMI: lapic_pulse(a, CPU_WIRE_NMI); break;
    case APIC_SMI: lapic_pulse(a, CPU_WIRE_SMI); break;
    default: break; /* ExtINT is a level: lapic_update */
    }
}

static void lapic_irq_in(Device *dev, int line, bool level)
{
    Lapic *a = LAPIC(dev);
    uint8_t bit = (uint8_t)(1 << line), was = a->s.lint;

    a->s.lint = level ? was | bit : was & (uint8_t)~bit;
    if (level && !(was & bit) && !dev->m->syncing) lapic_local(a, line ? LVT_LINT1 : LVT_LINT0);
    lapic_update(a);
}

/* -- between APICs -- */

static bool lapic_is_meant(const Lapic *a, const ApicMessage *msg)
{
    uint32_t all = msg->wide ? UINT32_MAX : 0xff, mine;

    if (!msg->logical || (msg->wide && msg->dest == all))
        return msg->dest == all || msg->dest == (lapic_is_x2(a) ? lapic_x2_id(a) : a->s.id);
    if (lapic_is_x2(a)) {
        mine = lapic_x2_logical(a);
        return msg->dest >> 16 == mine >> 16 && msg->dest & mine & 0xffff;
    }
    if (a->s.dest_mode == DEST_FLAT) return msg->dest & a->s.log_dest;
    return (msg->dest >> 4 == 0xf || msg->dest >> 4 == (uint32_t)a->s.log_dest >> 4) &&
           msg->dest & a->s.log_dest & 0xf;
}

static void lapic_receive(Lapic *a, const ApicMessage *msg)
{
    switch (msg->mode) {
    case APIC_FIXED:
    case APIC_LOWEST: lapic_accept(a, msg->vector, msg->level); break;
    case APIC_SMI: lapic_pulse(a, CPU_WIRE_SMI); break;
    case APIC_NMI: lapic_pulse(a, CPU_WIRE_NMI); break;
    case APIC_INIT:
        a->s.sipi_pending = 0;
        lapic_pulse(a, CPU_WIRE_INIT);
        break;
    case APIC_EXTINT: lapic_accept(a, msg->vector, false); break;
    case APIC_STARTUP: /* only a CPU that waits for it takes notice, and of the first one */
        if (!a->s.sipi_pending) a->s.sipi_vector = msg->vector;
        a->s.sipi_pending = 1;
        lapic_pulse(a, CPU_WIRE_STARTUP);
        break;
    }
}

/* Of those meant, the one that does the least important thing. */
static void apic_send_lowest(ApicBus *bus, const ApicMessage *msg)
{
    Lapic *best = NULL;

    for (unsigned i = 0; i < bus->n; i++) {
        Lapic *a = LAPIC(bus->apic[i]);

        if (!lapic_enabled(a) || !lapic_is_meant(a, msg)) continue;
        if (!best || lapic_ppr(&a->s) < lapic_ppr(&best->s)) best = a;
    }
    if (best) lapic_receive(best, msg);
}

void apic_send(ApicBus *bus, const ApicMessage *msg)
{
    if (msg->mode == APIC_LOWEST) {
        apic_send_lowest(bus, msg);
        return;
    }
    for (unsigned i = 0; i < bus->n; i++)
        if (lapic_is_meant(LAPIC(bus->apic[i]), msg)) lapic_receive(LAPIC(bus->apic[i]), msg);
}

static void lapic_send(Lapic *a)
{
    uint32_t icr = a->s.icr[0];
    ApicMessage msg = { .dest = lapic_is_x2(a) ? a->s.icr[1] : a->s.icr[1] >> 24,
        .wide = lapic_is_x2(a),
        .logical = icr & ICR_LOGICAL,
        .level = icr & ICR_LEVEL,
        .mode = icr >> LVT_MODE_SHIFT & 7,
        .vector = (uint8_t)icr };
    unsigned to = icr >> 18 & 3;

    if (msg.mode <= APIC_LOWEST && msg.vector < VECTOR_FIRST) {
        lapic_error(a, ESR_SEND_ILLEGAL);
        return;
    }
    if (msg.mode == APIC_INIT && !(icr & ICR_ASSERT)) { /* everyone's arbitration starts over */
        for (unsigned i = 0; i < a->bus->n; i++)
            LAPIC(a->bus->apic[i])->s.arb_id = LAPIC(a->bus->apic[i])->s.id;
        return;
    }
    if (to == TO_DEST) {
        apic_send(a->bus, &msg);
        return;
    }
    for (unsigned i = 0; i < a->bus->n; i++) {
        bool self = LAPIC(a->bus->apic[i]) == a;

        if (to == TO_ALL || (to == TO_SELF) == self) lapic_receive(LAPIC(a->bus->apic[i]), &msg);
    }
}

static void lapic_eoi(Lapic *a)
{
    int v = vector_highest(a->s.isr);

    if (v < 0) return;
    vector_drop(a->s.isr, (unsigned)v);
    if (vector_in(a->s.tmr, (unsigned)v) && a->bus->eoi) a->bus->eoi(a->bus->ioapic, (uint8_t)v);
    lapic_update(a);
}

/* -- the timer -- */

static uint64_t lapic_ticks(const Lapic *a, int64_t now)
{
    int64_t since = now - a->s.initial_count_load_time;

    return since < 0 ? 0 : (uint64_t)since >> a->s.count_shift;
}

static uint32_t lapic_count(const Lapic *a)
{
    uint64_t ticks = lapic_ticks(a, clock_now(&a->dev.m->clock));
    uint64_t period = (uint64_t)a->s.initial_count + 1;

    if (a->s.lvt[LVT_TIMER] & LVT_PERIODIC) return (uint32_t)(period - 1 - ticks % period);
    return ticks >= period ? 0 : (uint32_t)(period - 1 - ticks);
}

/* After a write: when it will expire.  Now is the write's instant: a count so short that it has
 * passed by the time that it is planned expires all the same. */
static void lapic_plan(Lapic *a, int64_t now)
{
    uint64_t ticks = lapic_ticks(a, now), period = (uint64_t)a->s.initial_count + 1;
    uint32_t lvt = a->s.lvt[LVT_TIMER];

    if (lvt & LVT_DEADLINE) return;
    a->s.timer_expiry = TIMER_NEVER;
    if (!(lvt & LVT_MASKED) && a->s.initial_count && (lvt & LVT_PERIODIC || ticks < period)) {
        ticks = lvt & LVT_PERIODIC ? (ticks / period + 1) * period : period;
        a->s.next_time = a->s.initial_count_load_time + (int64_t)(ticks << a->s.count_shift);
        a->s.timer_expiry = a->s.next_time;
    }
    timer_arm(&a->timer, a->s.timer_expiry);
}

static void lapic_fire(void *opaque)
{
    Lapic *a = opaque;

    a->s.timer_expiry = TIMER_NEVER;
    lapic_local(a, LVT_TIMER);
    lapic_plan(a, clock_now(&a->dev.m->clock));
}

static void lapic_divide(State *s, uint32_t val)
{
    s->divide_conf = val & 0xb;
    s->count_shift = (int32_t)(((val & 3) | (val >> 1 & 4)) + 1) & 7;
}

/* -- registers -- */

static uint32_t lapic_read_reg(Lapic *a, unsigned reg)
{
    const State *s = &a->s;

    switch (reg) {
    case REG_ID: return (uint32_t)s->id << 24;
    case REG_VERSION: return VERSION;
    case REG_TPR: return s->tpr;
    case REG_APR: return 0;
    case REG_PPR: return lapic_ppr(s);
    case REG_EOI: return 0;
    case REG_LDR: return (uint32_t)s->log_dest << 24;
    case REG_DFR: return (uint32_t)s->dest_mode << 28 | 0x0fffffff;
    case REG_SVR: return s->spurious_vec;
    case REG_ISR ... REG_ISR + 7: return s->isr[reg & 7];
    case REG_TMR ... REG_TMR + 7: return s->tmr[reg & 7];
    case REG_IRR ... REG_IRR + 7: return s->irr[reg & 7];
    case REG_ESR: return s->esr;
    case REG_ICR: return s->icr[0];
    case REG_ICR_HIGH: return s->icr[1];
    case REG_LVT ... REG_LVT + LVTS - 1: return s->lvt[reg - REG_LVT];
    case REG_INITIAL: return s->initial_count;
    case REG_CURRENT: return lapic_count(a);
    case REG_DIVIDE: return s->divide_conf;
    default: lapic_error(a, ESR_REGISTER); return 0;
    }
}

static void lapic_write_lvt(Lapic *a, unsigned n, uint32_t val)
{
    static const uint32_t writable[LVTS] = { 0x300ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff };

    uint32_t mask = writable[n], was = a->s.lvt[n];

    if (n == LVT_TIMER && machine_wants_apics(a->dev.m) & APIC_DEADLINE) mask |= LVT_DEADLINE;
    a->s.lvt[n] = val & mask;
    if (n == LVT_TIMER && (was ^ val) & LVT_DEADLINE & mask) { /* either mode's timer stops */
        a->s.timer_expiry = TIMER_NEVER;
        timer_arm(&a->timer, TIMER_NEVER);
        a->s.initial_count = 0;
    }
    if (!(a->s.spurious_vec & SVR_ENABLED)) a->s.lvt[n] |= LVT_MASKED;
    if (n == LVT_TIMER) lapic_plan(a, clock_now(&a->dev.m->clock));
}

static void lapic_write_svr(State *s, uint32_t val)
{
    s->spurious_vec = val & SVR_MASK;
    for (int n = 0; !(val & SVR_ENABLED) && n < LVTS; n++) s->lvt[n] |= LVT_MASKED;
}

static void lapic_write_reg(Lapic *a, unsigned reg, uint32_t val)
{
    State *s = &a->s;
    int64_t now = clock_now(&a->dev.m->clock);

    switch (reg) {
    case REG_ID: s->id = (uint8_t)(val >> 24); break;
    case REG_TPR: s->tpr = (uint8_t)val; break;
    case REG_EOI: lapic_eoi(a); break;
    case REG_LDR: s->log_dest = (uint8_t)(val >> 24); break;
    case REG_DFR: s->dest_mode = (uint8_t)(val >> 28); break;
    case REG_SVR:
        lapic_write_svr(s, val);
        lapic_plan(a, now);
        break;
    case REG_ESR:
        s->esr = s->esr_pending;
        s->esr_pending = 0;
        break;
    case REG_ICR:
        s->icr[0] = val & ICR_MASK;
        lapic_send(a);
        break;
    case REG_ICR_HIGH: s->icr[1] = val & 0xff000000; break;
    case REG_LVT ... REG_LVT + LVTS - 1: lapic_write_lvt(a, reg - REG_LVT, val); break;
    case REG_INITIAL:
        if (s->lvt[LVT_TIMER] & LVT_DEADLINE) break;
        s->initial_count = val;
        s->initial_count_load_time = now;
        lapic_plan(a, now);
        break;
    case REG_DIVIDE:
        lapic_divide(s, val);
        lapic_plan(a, now);
        break;
    default: lapic_error(a, ESR_REGISTER); break;
    }
    lapic_update(a);
}

/* Whether an APIC's registers are in memory, and at the same place as another's. */
static bool lapic_is_mapped(const Lapic *a) { return a->s.apicbase & APIC_BASE_ENABLED; }
static bool lapic_is_beside(const Lapic *a, const Lapic *b)
{
    return lapic_is_mapped(a) && ((a->s.apicbase ^ b->s.apicbase) & BASE_ADDRESS) == 0;
}

/* Each CPU sees its own, if that is here; whoever is no CPU, that of the first.  NULL: nothing is
 * here. */
static Lapic *lapic_of(Device *dev, MemAttrs attrs)
{
    const ApicBus *bus = LAPIC(dev)->bus;
    Lapic *a = LAPIC(dev);

    for (unsigned i = 0; i < bus->n; i++)
        if (LAPIC(bus->apic[i])->cpu == attrs.cpu) a = LAPIC(bus->apic[i]);
    return lapic_is_beside(a, LAPIC(dev)) && !lapic_is_x2(a) ? a : NULL;
}

static uint64_t lapic_load(Device *dev, MemAttrs attrs, uint64_t off, unsigned size)
{
    Lapic *a = lapic_of(dev, attrs);

    (void)size;
    if (!a) return UINT32_MAX;
    return off & 0xf ? 0 : lapic_read_reg(a, (unsigned)off >> 4);
}

static void lapic_store(Device *dev, MemAttrs attrs, uint64_t off, uint64_t val, unsigned size)
{
    Lapic *a = lapic_of(dev, attrs);

    (void)size;
    if (a && !(off & 0xf)) lapic_write_reg(a, (unsigned)off >> 4, (uint32_t)val);
}

static const MmioOps lapic_mmio = { .read = lapic_load, .write = lapic_store, .min = 4, .max = 4 };

/* -- x2APIC mode -- */

static bool lapic_read_msr(Device *dev, unsigned reg, uint64_t *val)
{
    Lapic *a = LAPIC(dev);

    if (!lapic_is_x2(a)) return false;
    switch (reg) {
    case REG_ID: *val = lapic_x2_id(a); return true;
    case REG_LDR: *val = lapic_x2_logical(a); return true;
    case REG_ICR: *val = (uint64_t)a->s.icr[1] << 32 | a->s.icr[0]; return true;
    case REG_VERSION:
    case REG_TPR:
    case REG_PPR:
    case REG_SVR:
    case REG_ISR ... REG_IRR + 7:
    case REG_ESR:
    case REG_LVT ... REG_LVT + LVTS - 1:
    case REG_INITIAL:
    case REG_CURRENT:
    case REG_DIVIDE: *val = lapic_read_reg(a, reg); return true;
    default: return false;
    }
}

static bool lapic_write_msr(Device *dev, unsigned reg, uint64_t val)
{
    Lapic *a = LAPIC(dev);

    if (!lapic_is_x2(a) || (reg != REG_ICR && val >> 32)) return false;
    switch (reg) {
    case REG_ICR: a->s.icr[1] = val >> 32; break;
    case REG_SELF:
        if (val <= 0xff) lapic_accept(a, (uint8_t)val, false);
        return val <= 0xff;
    case REG_EOI:
    case REG_ESR:
        if (val) return false;
        break;
    case REG_TPR:
    case REG_SVR:
    case REG_LVT ... REG_LVT + LVTS - 1:
    case REG_INITIAL:
    case REG_DIVIDE: break;
    default: return false;
    }
    lapic_write_reg(a, reg, (uint32_t)val);
    return true;
}

/* -- for the CPU -- */

static bool lapic_set_deadline(Device *dev, int64_t ns)
{
    Lapic *a = LAPIC(dev);

    if (!(a->s.lvt[LVT_TIMER] & LVT_DEADLINE)) return false;
    a->s.timer_expiry = ns;
    if (ns != TIMER_NEVER) a->s.next_time = ns;
    timer_arm(&a->timer, ns);
    return true;
}

static bool lapic_deadline_armed(Device *dev)
{
    const State *s = &LAPIC(dev)->s;

    return s->lvt[LVT_TIMER] & LVT_DEADLINE && s->timer_expiry != TIMER_NEVER;
}

/* The first APIC at an address has the region there. */
static void lapic_map_all(ApicBus *bus, Machine *m)
{
    for (unsigned i = 0; i < bus->n; i++) {
        Lapic *a = LAPIC(bus->apic[i]);
        unsigned first = 0;

        while (first < i && !lapic_is_beside(LAPIC(bus->apic[first]), a)) first++;
        a->region.enabled = first == i && lapic_is_mapped(a);
        a->region.gpa = a->s.apicbase & BASE_ADDRESS;
    }
    mem_commit(m);
}

static uint64_t lapic_base(Device *dev) { return LAPIC(dev)->s.apicbase; }

/* All but base, id and arbitration id.  All CPUs but the boot CPU wait to be started. */
static void lapic_clear(Lapic *a)
{
    State *s = &a->s, was = *s;

    *s = (State){ .apicbase = was.apicbase, .id = was.id, .arb_id = was.arb_id, .lint = was.lint };
    s->sipi_vector = was.sipi_vector; /* a startup message may have come right behind INIT */
    s->sipi_pending = was.sipi_pending;
    s->spurious_vec = SVR_RESET;
    s->dest_mode = DEST_FLAT;
    for (int n = 0; n < LVTS; n++) s->lvt[n] = LVT_MASKED;
    if (s->apicbase & BASE_BOOT) s->lvt[LVT_LINT0] = LVT_EXTINT;
    s->wait_for_sipi = !(s->apicbase & BASE_BOOT);
    s->timer_expiry = TIMER_NEVER;
    lapic_divide(s, 0);
}

static bool lapic_set_base(Device *dev, uint64_t val)
{
    Lapic *a = LAPIC(dev);

    uint32_t modes = APIC_BASE_ENABLED, was = a->s.apicbase;

    if (machine_wants_apics(dev->m) & APIC_X2) modes |= APIC_BASE_X2;
    if (val & ~(uint64_t)(BASE_ADDRESS | modes | BASE_BOOT)) return false;
    /* x2APIC mode is entered from the other one, and left by switching off. */
    if ((val & modes) == APIC_BASE_X2) return false;
    if (val & APIC_BASE_X2 && !(was & APIC_BASE_ENABLED)) return false;
    if (was & APIC_BASE_X2 && (val & modes) == APIC_BASE_ENABLED) return false;
    if (was & APIC_BASE_X2 && !(val & APIC_BASE_ENABLED)) {
        lapic_clear(a);
        a->s.wait_for_sipi = 0;
        timer_arm(&a->timer, TIMER_NEVER);
    }
    a->s.apicbase = ((uint32_t)val & ~(uint32_t)BASE_BOOT) | (a->s.apicbase & BASE_BOOT);
    lapic_map_all(a->bus, dev->m);
    lapic_update(a);
    return true;
}

static uint8_t lapic_priority(Device *dev) { return LAPIC(dev)->s.tpr >> 4; }

static void lapic_set_priority(Device *dev, uint8_t cr8)
{
    LAPIC(dev)->s.tpr = (uint8_t)(cr8 << 4);
    lapic_update(LAPIC(dev));
}

static bool lapic_waits(Device *dev) { return LAPIC(dev)->s.wait_for_sipi; }

static bool lapic_init(Device *dev)
{
    lapic_clear(LAPIC(dev));
    timer_arm(&LAPIC(dev)->timer, TIMER_NEVER);
    lapic_update(LAPIC(dev));
    return lapic_waits(dev);
}

static int lapic_startup(Device *dev)
{
    State *s = &LAPIC(dev)->s;

    s->sipi_pending = 0;
    if (!s->wait_for_sipi) return -1;
    s->wait_for_sipi = 0;
    return s->sipi_vector & 0xff;
}

static const CpuApicOps lapic_ops = {
    .take = lapic_take,
    .base = lapic_base,
    .set_base = lapic_set_base,
    .priority = lapic_priority,
    .set_priority = lapic_set_priority,
    .read_msr = lapic_read_msr,
    .write_msr = lapic_write_msr,
    .set_deadline = lapic_set_deadline,
    .deadline_armed = lapic_deadline_armed,
    .init = lapic_init,
    .waits = lapic_waits,
    .startup = lapic_startup,
};

/* -- life -- */

static bool lapic_realize(Device *dev, Error *err)
{
    Lapic *a = LAPIC(dev);

    a->bus = apic_bus(dev->m);
    if (a->index != a->bus->n || a->bus->n == MACHINE_CPUS)
        return error_set(err, "no place for an APIC of CPU %u", a->index);
    a->bus->apic[a->bus->n++] = dev;
    dev->instance = (int)machine_apic_id(dev->m, a->index);
    timer_init(&a->timer, &dev->m->clock, lapic_fire, a);
    machine_set_apic(dev->m, a->index, dev, &lapic_ops);
    a->region = (MemRegion){ .name = "apic-msi",
        .gpa = APIC_BASE,
        .size = APIC_BYTES,
        .prio = 1,
        .enabled = !a->index,
        .ops = &lapic_mmio,
        .dev = dev };
    mem_region_add(dev->m, &a->region);
    mem_commit(dev->m);
    return true;
}

static void lapic_unrealize(Device *dev)
{
    Lapic *a = LAPIC(dev);

    timer_cancel(&a->timer);
    if (a->bus && a->bus->n) a->bus->n--; /* devices go in the reverse order of their creation */
    machine_set_apic(dev->m, a->index, NULL, NULL);
}

static void lapic_reset(Device *dev)
{
    Lapic *a = LAPIC(dev);

    a->s.apicbase = APIC_BASE | APIC_BASE_ENABLED | (a->index ? 0 : BASE_BOOT);
    lapic_clear(a);
    a->s.sipi_vector = a->s.sipi_pending = 0;
    a->s.id = a->s.arb_id = (uint8_t)machine_apic_id(a->dev.m, a->index);
}

static void lapic_sync(Device *dev)
{
    Lapic *a = LAPIC(dev);

    lapic_map_all(a->bus, dev->m);
    timer_arm(&a->timer, a->s.timer_expiry);
    lapic_update(a);
}

DEVICE(lapic, "local APIC", Lapic, .name = "apic", .props = lapic_props,
    .vmstates = VMSTATES(&lapic_vmstate), .exact = lapic_exact, .realize = lapic_realize,
    .unrealize = lapic_unrealize, .reset = lapic_reset, .sync = lapic_sync, .irq_in = lapic_irq_in);
