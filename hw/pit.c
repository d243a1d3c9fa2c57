/* SPDX-License-Identifier: MIT */
/*
 * 8254 programmable interval timer; channel 0 drives IRQ 0.
 * Source: Intel 8254 data sheet (order 231164).
 * Not modelled: a count takes effect with its last byte, not with the clock pulse after it; a new
 * count in modes 2 and 3 starts a new period at once; in modes 1 and 5 it cancels a running one.
 *
 * A channel's counter is a function of the time of its last load, so nothing ticks.  Only channel
 * 0 has a timer: it wakes at the transitions of the output.
 */
#include "core/machine.h"
#include "hw/pit.h"

enum { PIT_HZ = 1193182, PIT_CHANNELS = 3, PIT_CONTROL = 3 };
/* rw_mode, and what the next access of the count is. */
enum { RW_LSB = 1, RW_MSB = 2, RW_WORD = 3, RW_WORD_MSB = 4 };
/* waiting */
enum { WAIT_COUNT = 1, WAIT_TRIGGER = 2 };

typedef struct PitChannel {
    int32_t count; /* ticks: 1 to 10000h, or to 10000 in BCD */
    uint16_t latched_count;
    uint8_t count_latched; /* what is left to read of the latch: RW_.. or 0 */
    uint8_t status_latched, status;
    uint8_t read_state, write_state, write_latch, rw_mode, mode, bcd, gate;
    int64_t count_load_time;      /* virtual ns */
    int64_t next_transition_time; /* of the output, as far as it has been driven; -1: none */
} PitChannel;

typedef struct Pit {
    Device dev;
    uint16_t iobase;
    Irq irq;
    Timer timer;
    struct PitState {
        uint32_t irq_disabled; /* the event timers have taken IRQ 0 over */
        PitChannel channels[PIT_CHANNELS];
        uint8_t waiting[PIT_CHANNELS];    /* for a count after a control word, for a trigger */
        int64_t held_ticks[PIT_CHANNELS]; /* counted when the gate went low */
    } s;
} Pit;
#define PIT(d) ((Pit *)(d))

static const VmField pit_channel_fields[] = {
    VM_INT(PitChannel, count),
    VM_INT(PitChannel, latched_count),
    VM_INT(PitChannel, count_latched),
    VM_INT(PitChannel, status_latched),
    VM_INT(PitChannel, status),
    VM_INT(PitChannel, read_state),
    VM_INT(PitChannel, write_state),
    VM_INT(PitChannel, write_latch),
    VM_INT(PitChannel, rw_mode),
    VM_INT(PitChannel, mode),
    VM_INT(PitChannel, bcd),
    VM_INT(PitChannel, gate),
    VM_INT(PitChannel, count_load_time),
    VM_INT(PitChannel, next_transition_time),
    VM_END,
};

static bool pit_channel_post_load(void *state, int version, Error *err)
{
    PitChannel *c = state;

    (void)version;
    if (c->count < 1 || c->count > 0x10000) return error_set(err, "i8254: count out of range");
    if (c->mode > 7) return error_set(err, "i8254: mode out of range");
    if (c->count_load_time < 0 || c->count_load_time > INT64_MAX / 2)
        return error_set(err, "i8254: time of load out of range");
    if (c->mode > 5) c->mode -= 4;
    return true;
}

static const VmState pit_channel_vmstate = {
    .name = "pit channel",
    .version = 2,
    .min_version = 2,
    .fields = pit_channel_fields,
    .post_load = pit_channel_post_load,
};

static const VmField pit_fields[] = {
    VM_INT_V(struct PitState, irq_disabled, "channels[0].irq_disabled", 3),
    VM_STRUCTS(struct PitState, channels, "channels", pit_channel_vmstate, 2),
    VM_INT_AS(
        struct PitState, channels[0].next_transition_time, "channels[0].next_transition_time"),
    VM_END,
};

static const VmState pit_vmstate = {
    .name = "i8254",
    .version = 3,
    .min_version = 2,
    .fields = pit_fields,
};

static const VmField pit_exact[] = {
    VM_INTS(struct PitState, waiting),
    VM_INTS(struct PitState, held_ticks),
    VM_END,
};

static const Prop pit_props[] = {
    PROP(Pit, iobase, "0x40"),
    PROP(Pit, irq, "pic.0"),
    PROP_END,
};

/* -- the counter as a function of time -- */

/* A low gate stops all but the triggered modes. */
static bool pit_halted(const PitChannel *c) { return !c->gate && c->mode != 1 && c->mode != 5; }

/* The first ns at which n ticks have passed. */
static int64_t pit_ticks_ns(uint64_t n)
{
    return (int64_t)(((unsigned __int128)n * NS_PER_S + PIT_HZ - 1) / PIT_HZ);
}

static uint64_t pit_elapsed(const struct PitState *s, unsigned n, int64_t t)
{
    const PitChannel *c = &s->channels[n];

    if (pit_halted(c)) return (uint64_t)s->held_ticks[n];
    if (t < c->count_load_time) return 0;
    return muldiv64((uint64_t)t - (uint64_t)c->count_load_time, PIT_HZ, NS_PER_S);
}

static bool pit_out_at(const struct PitState *s, unsigned n, int64_t t)
{
    const PitChannel *c = &s->channels[n];
    uint64_t count = (uint64_t)c->count, d = pit_elapsed(s, n, t);

    if (s->waiting[n] & WAIT_COUNT) return c->mode != 0;
    if (s->waiting[n] & WAIT_TRIGGER) return true;
    switch (c->mode) {
    case 0:
    case 1: return d >= count;
    case 2: return !c->gate || d % count != count - 1;
    case 3: return !c->gate || d % count < (count + 1) / 2;
    default: return d != count;
    }
}

/* When the output changes next after t, or -1. */
static int64_t pit_transition_after(const struct PitState *s, unsigned n, int64_t t)
{
    const PitChannel *c = &s->channels[n];
    uint64_t count = (uint64_t)c->count, d = pit_elapsed(s, n, t), at, first;

    if (s->waiting[n] || pit_halted(c)) return TIMER_NEVER;
    if (c->mode == 2 || c->mode == 3) {
        if (count == 1) return TIMER_NEVER;
        first = c->mode == 2 ? count - 1 : (count + 1) / 2;
        at = d % count < first ? d - d % count + first : d - d % count + count;
    } else if (d < count) {
        at = count;
    } else if (c->mode >= 4 && d == count) {
        at = count + 1;
    } else {
        return TIMER_NEVER;
    }
    return c->count_load_time + pit_ticks_ns(at);
}

static uint16_t pit_to_bcd(uint64_t v)
{
    return (uint16_t)(v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12);
}

static int32_t pit_from_bcd(uint16_t v)
{
    return (v & 15) + (v >> 4 & 15) * 10 + (v >> 8 & 15) * 100 + (v >> 12) * 1000;
}

/* The counting element, as a read at that instant shows it. */
static uint16_t pit_counter(const Pit *p, unsigned n, int64_t now)
{
    const PitChannel *c = &p->s.channels[n];
    uint64_t count = (uint64_t)c->count, wrap = c->bcd ? 10000 : 0x10000, v;
    uint64_t d = pit_elapsed(&p->s, n, now);

    if (p->s.waiting[n]) d = 0;
    if (c->mode == 2) {
        v = count - d % count;
    } else if (c->mode == 3) {
        /* By two; an odd count is loaded less one and stays a pulse longer in the high half. */
        uint64_t half = (count + 1) / 2, in = d % count;

        v = (count & ~1ull) - 2 * (in < half ? in : in - half);
    } else {
        v = count + wrap - d % wrap;
    }
    return c->bcd ? pit_to_bcd(v % wrap) : (uint16_t)v;
}

/* -- the output of channel 0 -- */

/* Drives IRQ 0 as of time t and waits for the next transition. */
static void pit_update(Pit *p, int64_t t)
{
    PitChannel *c = &p->s.channels[0];

    c->next_transition_time = pit_transition_after(&p->s, 0, t);
    timer_arm(&p->timer, p->s.irq_disabled ? TIMER_NEVER : c->next_transition_time);
    irq_set(&p->irq, !p->s.irq_disabled && pit_out_at(&p->s, 0, t));
}

/* A late timer catches up transition by transition, unless it is hopelessly late. */
static void pit_fire(void *opaque)
{
    Pit *p = opaque;
    int64_t now = clock_now(&p->dev.m->clock), t = p->s.channels[0].next_transition_time;

    pit_update(p, t < now - NS_PER_S ? now : t);
}

/*
 * The line is as it was before the transition that is still to come.  Another emulator's idea of
 * when that is may differ: it is never later than the next one from now.
 */
static void pit_sync(Device *dev)
{
    Pit *p = PIT(dev);
    PitChannel *c = &p->s.channels[0];
    int64_t now = clock_now(&dev->m->clock), next = pit_transition_after(&p->s, 0, now);

    if (next >= 0 && (c->next_transition_time < 0 || c->next_transition_time > next))
        c->next_transition_time = next;
    if (c->next_transition_time >= 0) now = c->next_transition_time - 1;
    timer_arm(&p->timer, p->s.irq_disabled ? TIMER_NEVER : c->next_transition_time);
    irq_set(&p->irq, !p->s.irq_disabled && pit_out_at(&p->s, 0, now));
}

/* -- pins and ports -- */

/* Keeps IRQ 0 still. */
static void pit_irq_in(Device *dev, int line, bool level)
{
    Pit *p = PIT(dev);

    (void)line;
    if (!!p->s.irq_disabled == level) return;
    p->s.irq_disabled = level;
    if (!dev->m->syncing) pit_update(p, clock_now(&dev->m->clock));
}

void pit_set_gate(Device *dev, unsigned channel, bool level)
{
    Pit *p = PIT(dev);
    PitChannel *c = &p->s.channels[channel];
    int64_t now = clock_now(&dev->m->clock);

    if (c->gate == level) return;
    if (!level) {
        p->s.held_ticks[channel] = (int64_t)pit_elapsed(&p->s, channel, now);
    } else if (c->mode == 0 || c->mode == 4) {
        c->count_load_time = now - pit_ticks_ns((uint64_t)p->s.held_ticks[channel]);
        if (c->count_load_time < 0) c->count_load_time = 0;
    } else {
        c->count_load_time = now;
        p->s.waiting[channel] &= ~WAIT_TRIGGER;
    }
    c->gate = level;
    if (level) p->s.held_ticks[channel] = 0;
    if (channel == 0) pit_update(p, now);
}

bool pit_gate(Device *dev, unsigned channel) { return PIT(dev)->s.channels[channel].gate; }

bool pit_out(Device *dev, unsigned channel)
{
    return pit_out_at(&PIT(dev)->s, channel, clock_now(&dev->m->clock));
}

static void pit_load(Pit *p, unsigned n, uint16_t val)
{
    PitChannel *c = &p->s.channels[n];

    c->count = c->bcd ? pit_from_bcd(val) : val;
    if (c->count == 0) c->count = c->bcd ? 10000 : 0x10000;
    c->count_load_time = clock_now(&p->dev.m->clock);
    p->s.held_ticks[n] = 0;
    p->s.waiting[n] = c->mode == 1 || c->mode == 5 ? WAIT_TRIGGER : 0;
    if (n == 0) pit_update(p, c->count_load_time);
}

static void pit_latch_count(Pit *p, unsigned n, int64_t now)
{
    PitChannel *c = &p->s.channels[n];

    if (c->count_latched) return; /* the first one holds until it is read */
    c->latched_count = pit_counter(p, n, now);
    c->count_latched = c->rw_mode;
}

static void pit_latch_status(Pit *p, unsigned n, int64_t now)
{
    PitChannel *c = &p->s.channels[n];

    if (c->status_latched) return;
    c->status = (uint8_t)(pit_out_at(&p->s, n, now) << 7 | (p->s.waiting[n] & WAIT_COUNT) << 6 |
                          c->rw_mode << 4 | c->mode << 1 | c->bcd);
    c->status_latched = 1;
}

static void pit_control(Pit *p, uint8_t val)
{
    unsigned n = val >> 6, rw = val >> 4 & 3;
    PitChannel *c = &p->s.channels[n % PIT_CHANNELS];
    int64_t now = clock_now(&p->dev.m->clock);

    if (n == PIT_CONTROL) { /* read-back: of all at one instant */
        for (n = 0; n < PIT_CHANNELS; n++) {
            if (!(val & 2 << n)) continue;
            if (!(val & 0x20)) pit_latch_count(p, n, now);
            if (!(val & 0x10)) pit_latch_status(p, n, now);
        }
        return;
    }
    if (rw == 0) {
        pit_latch_count(p, n, now);
        return;
    }
    c->rw_mode = c->read_state = c->write_state = (uint8_t)rw;
    c->mode = val >> 1 & 7;
    if (c->mode > 5) c->mode -= 4;
    c->bcd = val & 1;
    c->count_latched = c->status_latched = 0;
    p->s.waiting[n] = WAIT_COUNT;
    if (n == 0) pit_update(p, now);
}

static void pit_write(Device *dev, uint32_t reg, uint32_t data, unsigned size)
{
    Pit *p = PIT(dev);
    PitChannel *c = &p->s.channels[reg % PIT_CHANNELS];
    uint8_t val = (uint8_t)data;

    (void)size;
    if (reg == PIT_CONTROL) {
        pit_control(p, val);
        return;
    }
    switch (c->write_state) {
    case RW_MSB: pit_load(p, reg, (uint16_t)(val << 8)); break;
    case RW_WORD:
        c->write_latch = val;
        c->write_state = RW_WORD_MSB;
        break;
    case RW_WORD_MSB:
        c->write_state = RW_WORD;
        pit_load(p, reg, (uint16_t)(c->write_latch | val << 8));
        break;
    default: pit_load(p, reg, val);
    }
}

static uint8_t pit_read_latch(PitChannel *c)
{
    uint8_t part = c->count_latched;

    c->count_latched = part == RW_WORD ? RW_MSB : 0;
    return get_byte16(c->latched_count, part == RW_MSB);
}

static uint32_t pit_read(Device *dev, uint32_t reg, unsigned size)
{
    Pit *p = PIT(dev);
    PitChannel *c = &p->s.channels[reg % PIT_CHANNELS];
    bool high;

    (void)size;
    if (reg == PIT_CONTROL) return 0; /* write-only: the bus floats, PCs read zero */
    if (c->status_latched) {
        c->status_latched = 0;
        return c->status;
    }
    if (c->count_latched) return pit_read_latch(c);
    high = c->read_state == RW_MSB || c->read_state == RW_WORD_MSB;
    if (c->read_state >= RW_WORD) c->read_state = high ? RW_WORD : RW_WORD_MSB;
    return get_byte16(pit_counter(p, reg, clock_now(&p->dev.m->clock)), high);
}

static const IoOps pit_io = { .read = pit_read, .write = pit_write };

static bool pit_realize(Device *dev, Error *err)
{
    device_set_alias(dev, PIT(dev)->iobase, 3);
    timer_init(&PIT(dev)->timer, &dev->m->clock, pit_fire, dev);
    return pio_map(dev, PIT(dev)->iobase, 4, &pit_io, 0, "pit", err);
}

static void pit_unrealize(Device *dev) { timer_cancel(&PIT(dev)->timer); }

/* The chip comes up undefined; PCs find square waves of full length. */
static void pit_reset(Device *dev)
{
    struct PitState *s = &PIT(dev)->s;
    int64_t now = clock_now(&dev->m->clock);

    *s = (struct PitState){ 0 };
    for (unsigned n = 0; n < PIT_CHANNELS; n++)
        s->channels[n] = (PitChannel){ .mode = 3,
            .gate = n != 2,
            .count = 0x10000,
            .rw_mode = RW_LSB,
            .read_state = RW_LSB,
            .write_state = RW_LSB,
            .count_load_time = now,
            .next_transition_time = TIMER_NEVER };
    s->channels[0].next_transition_time = pit_transition_after(s, 0, now);
}

DEVICE(pit, "8254 interval timer", Pit, .name = "isa-pit", .bus = "isa", .props = pit_props,
    .vmstates = VMSTATES(&pit_vmstate), .exact = pit_exact, .realize = pit_realize,
    .unrealize = pit_unrealize, .power_on = pit_reset, .reset = pit_reset, .sync = pit_sync,
    .irq_in = pit_irq_in);
