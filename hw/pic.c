/* SPDX-License-Identifier: MIT */
/*
 * 8259A interrupt controllers of a PC, with edge/level control registers (ELCR) at 4D0h/4D1h.
 * Source: Intel 8259A data sheet (order 231468); 82371SB (PIIX3) data sheet for ELCR.
 * Not modelled: buffered mode and the CALL vectors of the 8080.
 *
 * One device is one chip.  The master (id "pic") is created with the defaults; the slave with
 * iobase 0xa0, elcr_addr 0x4d1, elcr_mask 0xde, irq "pic.2", master "pic".  The master takes all
 * sixteen lines of a PC and hands 8 to 15 to its slave, so a wire reads "pic.14".
 */
#include "core/command.h"
#include "core/machine.h"
#include "core/wires.h"

enum { PIC_CASCADE = 2, PIC_LINES = 8 };

typedef struct Pic Pic;
struct Pic {
    Device dev;
    uint16_t iobase, elcr_addr;
    uint8_t elcr_mask; /* lines that may be level-triggered */
    Irq irq;           /* INT */
    Device *master;    /* the chip that this one is cascaded to, or NULL */
    Pic *slave;
    Device *ioapic;                  /* master: gets all lines, too; or NULL */
    uint16_t inputs[PIC_WIRES / 16]; /* master: levels by who drives them; told anew by each sync */
    uint64_t raised[PIC_LINES];      /* for `info irq`: statistics, no guest state */
    struct PicState {
        uint8_t last_irr;         /* levels of the input lines (exact) */
        uint8_t last_irr_vmstate; /* the same as the wire has them: pic_settle */
        uint8_t irr, imr, isr;
        uint8_t priority_add; /* the line with the highest priority */
        uint8_t irq_base;
        uint8_t read_reg_select; /* command port reads ISR, not IRR */
        uint8_t poll;            /* the next read acknowledges */
        uint8_t special_mask;
        uint8_t init_state; /* the ICW expected next (2, 3 or 4 as 1, 2, 3), or 0 */
        uint8_t auto_eoi, rotate_on_auto_eoi;
        uint8_t special_fully_nested_mode;
        uint8_t init4; /* ICW4 will come */
        uint8_t single_mode;
        uint8_t elcr;
    } s;
};
#define PIC(d) ((Pic *)(d))

static const VmField pic_fields[] = {
    VM_INT_AS(struct PicState, last_irr_vmstate, "last_irr"),
    VM_INT(struct PicState, irr),
    VM_INT(struct PicState, imr),
    VM_INT(struct PicState, isr),
    VM_INT(struct PicState, priority_add),
    VM_INT(struct PicState, irq_base),
    VM_INT(struct PicState, read_reg_select),
    VM_INT(struct PicState, poll),
    VM_INT(struct PicState, special_mask),
    VM_INT(struct PicState, init_state),
    VM_INT(struct PicState, auto_eoi),
    VM_INT(struct PicState, rotate_on_auto_eoi),
    VM_INT(struct PicState, special_fully_nested_mode),
    VM_INT(struct PicState, init4),
    VM_INT(struct PicState, single_mode),
    VM_INT(struct PicState, elcr),
    VM_END,
};

static bool pic_post_load(void *state, int version, Error *err)
{
    struct PicState *s = state;

    (void)version;
    if (s->priority_add >= PIC_LINES) return error_set(err, "i8259: priority out of range");
    if (s->init_state > 3) return error_set(err, "i8259: initialization state out of range");
    s->last_irr = s->last_irr_vmstate;
    return true;
}

static const VmState pic_vmstate = {
    .name = "i8259",
    .version = 1,
    .min_version = 1,
    .fields = pic_fields,
    .post_load = pic_post_load,
};
static const VmField pic_exact[] = { VM_INT(struct PicState, last_irr), VM_END };

static const Prop pic_props[] = {
    PROP(Pic, iobase, "0x20"),
    PROP(Pic, elcr_addr, "0x4d0"),
    PROP(Pic, elcr_mask, "0xf8"),
    PROP(Pic, irq, "cpu0.0"),
    PROP(Pic, master, ""),
    PROP(Pic, ioapic, ""),
    PROP_END,
};

/* How far from the top the highest set line of mask is: 0 the highest, 8 none set. */
static int pic_rank(const struct PicState *s, uint8_t mask)
{
    int rank = 0;

    while (rank < PIC_LINES && !(mask & 1 << ((rank + s->priority_add) & 7))) rank++;
    return rank;
}

/* The line to be served next, or -1. */
static int pic_pending(const Pic *p)
{
    const struct PicState *s = &p->s;
    uint8_t serving = s->isr;
    int rank = pic_rank(s, s->irr & ~s->imr);

    if (s->special_mask) serving &= ~s->imr;
    /* The slave's own priorities decide between requests of its lines. */
    if (s->special_fully_nested_mode && p->slave) serving &= ~(1 << PIC_CASCADE);
    return rank < pic_rank(s, serving) ? (rank + s->priority_add) & 7 : -1;
}

static void pic_update(Pic *p) { irq_set(&p->irq, pic_pending(p) >= 0); }

static void pic_sync(Device *dev) { pic_update(PIC(dev)); }

/* The level of one of the chip's own lines; at the end of a pulse its request stays. */
static void pic_input(Pic *p, int line, bool level, bool pulse)
{
    uint8_t bit = (uint8_t)(1 << line);

    if (level == !!(p->s.last_irr & bit)) return;
    p->s.last_irr ^= bit;
    /* While outputs are being recomputed after a load, irr already says what was latched. */
    if (p->dev.m->syncing && !(p->s.elcr & bit)) return;
    /* Both modes drop a request whose line falls before it is acknowledged. */
    if (level)
        p->s.irr |= bit;
    else if (!pulse || p->s.elcr & bit)
        p->s.irr &= ~bit;
    p->raised[line] += level;
    pic_update(p);
}

static void pic_irq_in(Device *dev, int wire, bool level)
{
    Pic *p = PIC(dev);
    uint16_t *driver = &p->inputs[wire / 16];
    int line = wire % 16;
    bool pulse = wire >= PIC_WIRE_HPET;

    if (pulse && line == PIC_CASCADE) {
        irq_set(&(Irq){ p->ioapic, IOAPIC_WIRE_HPET }, level);
        return;
    }
    *driver = (uint16_t)((*driver & ~(1 << line)) | level << line);
    level = (p->inputs[0] | p->inputs[1] | p->inputs[2] | p->inputs[3]) >> line & 1;
    if (p->ioapic && line != PIC_CASCADE) irq_set(&(Irq){ p->ioapic, line }, level);
    if (line < PIC_LINES)
        pic_input(p, line, level, pulse);
    else if (p->slave)
        pic_input(p->slave, line - PIC_LINES, level, pulse);
}

static void pic_acknowledge(Pic *p, int line)
{
    struct PicState *s = &p->s;
    uint8_t bit = (uint8_t)(1 << line);

    if (!s->auto_eoi)
        s->isr |= bit;
    else if (s->rotate_on_auto_eoi)
        s->priority_add = (line + 1) & 7;
    if (!(s->elcr & bit)) s->irr &= ~bit;
}

/* One chip's answer to the acknowledge cycles: a line that is no longer there reads as 7. */
static int pic_take(Pic *p)
{
    int line = pic_pending(p);

    if (line < 0) return 7;
    pic_acknowledge(p, line);
    return line;
}

static int pic_inta(Device *dev)
{
    Pic *p = PIC(dev), *from = p;
    int line = pic_pending(p) < 0 ? 7 : pic_take(p);

    if (line == PIC_CASCADE && p->slave) {
        from = p->slave;
        line = pic_take(from);
        pic_update(from);
    }
    pic_update(p);
    return from->s.irq_base + line;
}

/* OCW2: end of interrupt and rotation. */
static void pic_command(Pic *p, uint8_t val)
{
    enum { ROTATE = 4, SPECIFIC = 2, EOI = 1 };
    struct PicState *s = &p->s;
    unsigned op = val >> 5;
    int line = val & 7;

    if (!(op & EOI)) {
        if (op == (ROTATE | SPECIFIC)) s->priority_add = (line + 1) & 7;
        if (!(op & SPECIFIC)) s->rotate_on_auto_eoi = !!(op & ROTATE);
        return;
    }
    if (!(op & SPECIFIC)) {
        int rank = pic_rank(s, s->special_mask ? s->isr & ~s->imr : s->isr);

        if (rank == PIC_LINES) return;
        line = (rank + s->priority_add) & 7;
    }
    s->isr &= ~(1 << line);
    if (op & ROTATE) s->priority_add = (line + 1) & 7;
}

/* ICW1.  The lines stay as they are, so that a high one must fall and rise to count as an edge. */
static void pic_start_init(Pic *p, uint8_t val)
{
    struct PicState *s = &p->s;

    *s = (struct PicState){
        .last_irr = s->last_irr,
        .irr = s->irr & s->elcr,
        .elcr = s->elcr,
        .init_state = 1,
        .init4 = val & 1,
        .single_mode = (val >> 1) & 1,
    };
    if (val & 8) unimplemented(&p->dev, "level-triggered mode by ICW1");
}

static void pic_init_word(struct PicState *s, uint8_t val)
{
    switch (s->init_state) {
    case 1:
        s->irq_base = val & 0xf8;
        s->init_state = s->single_mode ? (s->init4 ? 3 : 0) : 2;
        break;
    case 2: /* which line a slave is on is wiring */ s->init_state = s->init4 ? 3 : 0; break;
    default:
        s->special_fully_nested_mode = (val >> 4) & 1;
        s->auto_eoi = (val >> 1) & 1;
        s->init_state = 0;
    }
}

static void pic_write(Device *dev, uint32_t reg, uint32_t data, unsigned size)
{
    Pic *p = PIC(dev);
    struct PicState *s = &p->s;
    uint8_t val = (uint8_t)data;

    (void)size;
    if (reg == 1) {
        if (s->init_state)
            pic_init_word(s, val);
        else
            s->imr = val;
    } else if (val & 0x10) {
        pic_start_init(p, val);
    } else if (val & 0x08) { /* OCW3 */
        if (val & 0x04) s->poll = 1;
        if (val & 0x02) s->read_reg_select = val & 1;
        if (val & 0x40) s->special_mask = (val >> 5) & 1;
    } else {
        pic_command(p, val);
    }
    pic_update(p);
}

static uint32_t pic_read(Device *dev, uint32_t reg, unsigned size)
{
    Pic *p = PIC(dev);
    struct PicState *s = &p->s;
    int line;

    (void)size;
    if (s->poll) {
        s->poll = 0;
        line = pic_pending(p);
        if (line < 0) return 0;
        pic_acknowledge(p, line);
        pic_update(p);
        return 0x80 | (uint32_t)line;
    }
    if (reg == 1) return s->imr;
    return s->read_reg_select ? s->isr : s->irr;
}

static uint32_t pic_elcr_read(Device *dev, uint32_t reg, unsigned size)
{
    (void)reg, (void)size;
    return PIC(dev)->s.elcr;
}

static void pic_elcr_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    Pic *p = PIC(dev);

    (void)reg, (void)size;
    p->s.elcr = val & p->elcr_mask;
    /* A level-triggered request is the line itself. */
    p->s.irr = (p->s.irr & ~p->s.elcr) | (p->s.last_irr & p->s.elcr);
    pic_update(p);
}

static const IoOps pic_io = { .read = pic_read, .write = pic_write };
static const IoOps pic_elcr_io = { .read = pic_elcr_read, .write = pic_elcr_write };

static bool pic_realize(Device *dev, Error *err);

/* The timer's line is sent as low.  Another emulator has the output of the 8254's modes 4 and 5 the
 * other way round, so a high one would hide the next edge there.  Where both have it high, it falls
 * before it rises; and here sync() drives it anew. */
static void pic_settle(Device *dev)
{
    Pic *p = PIC(dev);

    p->s.last_irr_vmstate = p->master ? p->s.last_irr : p->s.last_irr & (uint8_t)~1;
}

static void pic_power_on(Device *dev) { PIC(dev)->s = (struct PicState){ 0 }; }

static void pic_reset(Device *dev) { pic_power_on(dev); }

DEVICE(pic, "8259A interrupt controller", Pic, .name = "isa-i8259", .bus = "isa",
    .props = pic_props, .vmstates = VMSTATES(&pic_vmstate), .exact = pic_exact,
    .realize = pic_realize, .settle = pic_settle, .power_on = pic_power_on, .reset = pic_reset,
    .sync = pic_sync, .irq_in = pic_irq_in);

static bool pic_realize(Device *dev, Error *err)
{
    Pic *p = PIC(dev);

    if (p->master && p->master->cls != &pic_class)
        return error_set(err, "'%s' is no interrupt controller", p->master->id);
    if (p->master)
        PIC(p->master)->slave = p;
    else
        machine_set_inta(dev->m, dev, pic_inta);
    device_set_alias(dev, p->iobase, 1);
    return pio_map(dev, p->iobase, 2, &pic_io, 0, "pic", err) &&
           pio_map(dev, p->elcr_addr, 1, &pic_elcr_io, 2, "elcr", err);
}

static Pic *pic_find(Machine *m, bool slave)
{
    EACH_DEVICE (dev, m)
        if (dev->cls == &pic_class && !PIC(dev)->master == !slave) return PIC(dev);
    return NULL;
}

static void pic_print(Sink *out, const Pic *p, int n)
{
    const struct PicState *s = &p->s;

    sink_printf(out,
        "pic%d: irr=%02x imr=%02x isr=%02x hprio=%d irq_base=%02x rr_sel=%d elcr=%02x fnm=%d\n", n,
        s->irr, s->imr, s->isr, s->priority_add, s->irq_base, s->read_reg_select, s->elcr,
        s->special_fully_nested_mode);
}

static void pic_info(CommandCall *call, Error *err)
{
    const Pic *master = pic_find(call->m, false), *slave = pic_find(call->m, true);

    (void)err;
    if (slave) pic_print(call->out, slave, 1);
    if (master) pic_print(call->out, master, 0);
}

static void pic_info_irq(CommandCall *call, Error *err)
{
    const Pic *p = pic_find(call->m, false);

    (void)err;
    if (!p) return;
    sink_printf(call->out, "IRQ statistics for %s:\n", p->dev.cls->name);
    for (int i = 0; i < 2 * PIC_LINES; i++) {
        const Pic *chip = i < PIC_LINES ? p : p->slave;
        uint64_t n = chip && !(p->slave && i == PIC_CASCADE) ? chip->raised[i & 7] : 0;

        if (n) sink_printf(call->out, "%2d: %llu\n", i, (unsigned long long)n);
    }
}

COMMAND(info_pic, .name = "info pic", .help = "show PIC state", .run = pic_info);
COMMAND(info_irq, .name = "info irq", .help = "show the interrupts statistics (if available)",
    .run = pic_info_irq);
