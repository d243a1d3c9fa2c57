/* SPDX-License-Identifier: MIT */
/*
 * Port 92h: fast A20 and fast reset.
 * Source: 82371SB (PIIX3) data sheet, "port 92 register".
 * Not modelled: the password lock; a reset request resets the machine, not only the CPU.
 *
 * Whether A20 is open is the CPU's state: the port drives the line when it is written, and a load
 * does not drive it.
 */
#include "core/machine.h"

enum { PORT92_RESET = 1, PORT92_A20 = 2 };

typedef struct Port92 {
    Device dev;
    Irq a20;
    struct Port92State {
        uint8_t outport;
    } s;
} Port92;
#define PORT92(d) ((Port92 *)(d))

static const VmField port92_fields[] = { VM_INT(struct Port92State, outport), VM_END };

static const VmState port92_vmstate = {
    .name = "port92",
    .version = 1,
    .min_version = 1,
    .fields = port92_fields,
};

static const Prop port92_props[] = { PROP(Port92, a20, "cpu0.3"), PROP_END };

static uint32_t port92_read(Device *dev, uint32_t reg, unsigned size)
{
    (void)reg, (void)size;
    return PORT92(dev)->s.outport;
}

static void port92_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    Port92 *p = PORT92(dev);
    uint8_t old = p->s.outport;

    (void)reg, (void)size;
    p->s.outport = (uint8_t)val;
    irq_set(&p->a20, val & PORT92_A20);
    if (val & ~old & PORT92_RESET) machine_request_reset(dev->m, RESET_GUEST);
}

static const IoOps port92_io = { .read = port92_read, .write = port92_write };

static bool port92_realize(Device *dev, Error *err)
{
    return pio_map(dev, 0x92, 1, &port92_io, 0, "port92", err);
}

static void port92_reset(Device *dev) { PORT92(dev)->s.outport &= ~PORT92_RESET; }

DEVICE(port92, "port 92h", Port92, .bus = "isa", .props = port92_props,
    .vmstates = VMSTATES(&port92_vmstate), .realize = port92_realize, .reset = port92_reset);
