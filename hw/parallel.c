/* SPDX-License-Identifier: MIT */
/*
 * Parallel port with a printer that takes whatever is strobed out at once, to a character device.
 * Its handshake goes on with each look at it: BUSY from the strobe on, then an acknowledge, then
 * ready again.  Its interrupt is the acknowledge.
 * Source: IBM PC AT Technical Reference, "Serial/Parallel Adapter"; IEEE 1284 for EPP registers.
 * Not modelled: EPP and ECP cycles (those registers read ones), input through the data lines.
 */
#include "core/machine.h"
#include "hw/acpi.h"
#include "util/chardev.h"

enum { REG_DATA, REG_STATUS, REG_CONTROL, REGS = 8 };
enum { STATUS_TIMEOUT = 0x01, STATUS_ERROR = 0x08, STATUS_ONLINE = 0x10, STATUS_ACK = 0x40 };
enum { STATUS_READY = 0x80, STATUS_IDLE = 0xd8 };
enum { CONTROL_STROBE = 0x01, CONTROL_INIT = 0x04, CONTROL_SELECT = 0x08, CONTROL_INT = 0x10 };
enum { CONTROL_ONES = 0xc0 }; /* not connected */

typedef struct Parallel {
    Device dev;
    int32_t index; /* LPT1 is 0; -1: the next one */
    uint16_t iobase;
    Irq irq;
    Chardev *chardev;
    struct ParallelState {
        uint8_t dataw, datar, status, control;
        int32_t irq_pending, epp_timeout;
    } s;
} Parallel;
#define PARALLEL(d) ((Parallel *)(d))

static const VmField parallel_fields[] = {
    VM_INT_AS(struct ParallelState, dataw, "state.dataw"),
    VM_INT_AS(struct ParallelState, datar, "state.datar"),
    VM_INT_AS(struct ParallelState, status, "state.status"),
    VM_INT_AS(struct ParallelState, control, "state.control"),
    VM_INT_AS(struct ParallelState, irq_pending, "state.irq_pending"),
    VM_INT_AS(struct ParallelState, epp_timeout, "state.epp_timeout"),
    VM_END,
};

static const VmState parallel_vmstate = {
    .name = "parallel_isa",
    .version = 1,
    .min_version = 1,
    .fields = parallel_fields,
};

static const Prop parallel_props[] = {
    PROP(Parallel, index, "-1"),
    PROP(Parallel, iobase, "0"), /* by index */
    PROP(Parallel, irq, ""),     /* by index */
    PROP(Parallel, chardev, ""),
    PROP_END,
};

static void parallel_sync(Device *dev)
{
    irq_set(&PARALLEL(dev)->irq, PARALLEL(dev)->s.irq_pending);
}

static void parallel_write_control(Parallel *p, uint8_t val)
{
    struct ParallelState *s = &p->s;
    bool was = s->control & CONTROL_STROBE, strobe = val & CONTROL_STROBE;

    s->control = val | CONTROL_ONES;
    if (!(val & CONTROL_INT)) s->irq_pending = 0;
    if (!(val & CONTROL_INIT)) { /* the printer is reset */
        s->status = STATUS_IDLE;
        return;
    }
    if (!(val & CONTROL_SELECT)) return;
    if (strobe) s->status &= (uint8_t)~STATUS_READY;
    if (strobe && !was && p->chardev) chardev_write(p->chardev, &s->dataw, 1);
    if (!strobe && was && val & CONTROL_INT) s->irq_pending = 1;
}

/* The status now; the printer does the next step of its handshake. */
static uint8_t parallel_next_status(struct ParallelState *s)
{
    uint8_t status = s->status;

    if (status & STATUS_READY || s->control & CONTROL_STROBE) return status;
    s->status =
        status & STATUS_ACK ? status & (uint8_t)~STATUS_ACK : status | STATUS_ACK | STATUS_READY;
    return status;
}

static void parallel_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    Parallel *p = PARALLEL(dev);

    (void)size;
    if (reg == REG_DATA) p->s.dataw = (uint8_t)val;
    if (reg == REG_CONTROL) parallel_write_control(p, (uint8_t)val);
    parallel_sync(dev);
}

static uint32_t parallel_read(Device *dev, uint32_t reg, unsigned size)
{
    struct ParallelState *s = &PARALLEL(dev)->s;

    (void)size;
    switch (reg) {
    case REG_DATA: return s->control & 0x20 ? s->datar : s->dataw;
    case REG_STATUS:
        s->irq_pending = 0;
        parallel_sync(dev);
        return parallel_next_status(s);
    case REG_CONTROL: return s->control;
    default: return UINT32_MAX;
    }
}

static const IoOps parallel_io = { .read = parallel_read, .write = parallel_write };
static const ChardevFront parallel_front = { 0 };

static void parallel_reset(Device *dev)
{
    PARALLEL(dev)->s = (struct ParallelState){ .dataw = 0xff,
        .datar = 0xff,
        .status = STATUS_IDLE | STATUS_TIMEOUT,
        .control = CONTROL_ONES | CONTROL_SELECT | CONTROL_INIT };
}

static bool parallel_realize(Device *dev, Error *err);

static void parallel_unrealize(Device *dev)
{
    if (PARALLEL(dev)->chardev) chardev_attach(PARALLEL(dev)->chardev, NULL, dev);
}

DEVICE(parallel, "parallel port", Parallel, .name = "isa-parallel", .bus = "isa",
    .user_creatable = true, .props = parallel_props, .vmstates = VMSTATES(&parallel_vmstate),
    .realize = parallel_realize, .unrealize = parallel_unrealize, .power_on = parallel_reset,
    .reset = parallel_reset, .sync = parallel_sync);

static void parallel_declare(Device *dev, Aml *a)
{
    Parallel *p = PARALLEL(dev);
    char name[] = { 'L', 'P', 'T', (char)('1' + p->index), 0 };
    Aml *res = aml_new();

    aml_res_io(res, p->iobase, p->iobase & 7 ? 3 : REGS);
    if (p->irq.dev) aml_res_irq(res, (unsigned)p->irq.line);
    acpi_isa_device(a, name, "PNP0400", p->index + 1, res);
    aml_free(res);
}
ACPI_PART(parallel, ACPI_ON_ISA, parallel_declare);

static bool parallel_realize(Device *dev, Error *err)
{
    static const uint16_t bases[] = { 0x378, 0x278, 0x3bc };
    Parallel *p = PARALLEL(dev);
    Device *pic = device_find(dev->m, "pic");

    if (p->index < 0) {
        p->index = 0;
        EACH_DEVICE (d, dev->m) p->index += d->cls == &parallel_class && d->realized;
    }
    if (p->index >= (int)ARRAY_SIZE(bases))
        return error_set(err, "Max. supported number of parallel ports is 3.");
    if (!p->iobase) p->iobase = bases[p->index];
    if (!p->irq.dev && pic) p->irq = (Irq){ pic, 7 };
    /* LPT3's neighbours are the display's. */
    if (!pio_map(dev, p->iobase, p->iobase & 7 ? 3 : REGS, &parallel_io, 0, "parallel", err))
        return false;
    if (p->chardev) chardev_attach(p->chardev, &parallel_front, p);
    return true;
}
