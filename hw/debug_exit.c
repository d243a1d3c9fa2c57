/* SPDX-License-Identifier: MIT */
/* A port that ends the emulator: exit status (value << 1) | 1, so never 0.  For tests and CI. */
#include "core/machine.h"

typedef struct DebugExit {
    Device dev;
    uint16_t iobase, iosize;
} DebugExit;
#define DEBUG_EXIT(d) ((DebugExit *)(d))

static const Prop debug_exit_props[] = {
    PROP(DebugExit, iobase, "0x501"),
    PROP(DebugExit, iosize, "2"),
    PROP_END,
};

static uint32_t debug_exit_read(Device *dev, uint32_t reg, unsigned size)
{
    (void)dev, (void)reg, (void)size;
    return 0;
}

static void debug_exit_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    (void)reg, (void)size;
    dev->m->exit_code = (int)((val << 1 | 1) & 0xff);
    dev->m->quit = true;
    machine_kick(dev->m);
}

static const IoOps debug_exit_io = {
    .read = debug_exit_read, .write = debug_exit_write, .width = 4
};

static bool debug_exit_realize(Device *dev, Error *err)
{
    const DebugExit *d = DEBUG_EXIT(dev);

    return pio_map(dev, d->iobase, d->iosize, &debug_exit_io, 0, "isa-debug-exit", err);
}

DEVICE_STATELESS(debug_exit, "port that ends the emulator", DebugExit, .name = "isa-debug-exit",
    .bus = "isa", .user_creatable = true, .props = debug_exit_props, .realize = debug_exit_realize);
