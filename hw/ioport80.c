/* SPDX-License-Identifier: MIT */
/*
 * Ports that only take a write: 80h, whose access time is used as a delay (and which takes POST
 * codes), and F0h, which tells the FPU interface that the error interrupt has been seen.
 * Source: IBM PC AT Technical Reference; Intel486 data sheet, IGNNE#.
 * Not modelled: F1h (reset of a 287).
 */
#include "core/machine.h"

enum { REG_DELAY, REG_FERR };

typedef struct Ioport80 {
    Device dev;
    Irq ignne;
} Ioport80;
#define IOPORT80(d) ((Ioport80 *)(d))

static const Prop ioport80_props[] = { PROP(Ioport80, ignne, "cpu0.5"), PROP_END };

static uint32_t ioport80_read(Device *dev, uint32_t reg, unsigned size)
{
    (void)dev, (void)reg, (void)size;
    return UINT32_MAX;
}

static void ioport80_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    (void)val, (void)size;
    if (reg == REG_FERR) irq_set(&IOPORT80(dev)->ignne, true);
}

static const IoOps ioport80_io = { .read = ioport80_read, .write = ioport80_write };

static bool ioport80_realize(Device *dev, Error *err)
{
    return pio_map(dev, 0x80, 1, &ioport80_io, REG_DELAY, "ioport80", err) &&
           pio_map(dev, 0xf0, 1, &ioport80_io, REG_FERR, "ioportF0", err);
}

DEVICE_STATELESS(ioport80, "ports 80h and F0h", Ioport80, .bus = "isa", .props = ioport80_props,
    .realize = ioport80_realize);
