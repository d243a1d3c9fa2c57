/* SPDX-License-Identifier: MIT */
/*
 * Debug console: a byte written to its port appears on a character device, and a read tells that
 * somebody listens (E9h, as on Bochs).  Firmware uses ports 402h and E9h.
 */
#include "core/machine.h"
#include "util/chardev.h"

typedef struct Debugcon {
    Device dev;
    uint16_t iobase;
    uint8_t readback;
    Chardev *chardev;
} Debugcon;
#define DEBUGCON(d) ((Debugcon *)(d))

static const Prop debugcon_props[] = {
    PROP(Debugcon, iobase, "0xe9"),
    PROP(Debugcon, readback, "0xe9"),
    PROP(Debugcon, chardev, ""),
    PROP_END,
};

static uint32_t debugcon_read(Device *dev, uint32_t reg, unsigned size)
{
    (void)reg, (void)size;
    return DEBUGCON(dev)->readback;
}

static void debugcon_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    uint8_t byte = (uint8_t)val;

    (void)reg, (void)size;
    if (DEBUGCON(dev)->chardev) chardev_write(DEBUGCON(dev)->chardev, &byte, 1);
}

static const IoOps debugcon_io = { .read = debugcon_read, .write = debugcon_write };
static const ChardevFront debugcon_front = { 0 };

static bool debugcon_realize(Device *dev, Error *err)
{
    Debugcon *d = DEBUGCON(dev);

    if (!pio_map(dev, d->iobase, 1, &debugcon_io, 0, "isa-debugcon", err)) return false;
    if (d->chardev) chardev_attach(d->chardev, &debugcon_front, d);
    return true;
}

static void debugcon_unrealize(Device *dev)
{
    if (DEBUGCON(dev)->chardev) chardev_attach(DEBUGCON(dev)->chardev, NULL, dev);
}

DEVICE_STATELESS(debugcon, "debug console", Debugcon, .name = "isa-debugcon", .bus = "isa",
    .user_creatable = true, .props = debugcon_props, .realize = debugcon_realize,
    .unrealize = debugcon_unrealize);
