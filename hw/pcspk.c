/* SPDX-License-Identifier: MIT */
/*
 * Port 61h: gate and output of timer channel 2, speaker data, refresh toggle.
 * Source: IBM PC AT Technical Reference, 82371SB (PIIX3) data sheet, "NMI status and control".
 * Not modelled: sound; NMI enables and causes (bits 2, 3, 6, 7 read 0).
 */
#include "core/machine.h"
#include "hw/pit.h"

enum { SPK_GATE = 0x01, SPK_DATA = 0x02, SPK_REFRESH = 0x10, SPK_OUT = 0x20 };
enum { SPK_CHANNEL = 2, REFRESH_NS = 15085 };

typedef struct Pcspk {
    Device dev;
    uint16_t iobase;
    Device *pit;
    struct PcspkState {
        uint8_t data_on;
        uint8_t dummy_refresh_clock; /* bit 4 as last read */
    } s;
} Pcspk;
#define PCSPK(d) ((Pcspk *)(d))

static const VmField pcspk_fields[] = {
    VM_INT(struct PcspkState, data_on),
    VM_INT(struct PcspkState, dummy_refresh_clock),
    VM_END,
};

static const VmState pcspk_vmstate = {
    .name = "pcspk",
    .version = 1,
    .min_version = 1,
    .fields = pcspk_fields,
};

static const Prop pcspk_props[] = {
    PROP(Pcspk, iobase, "0x61"),
    PROP(Pcspk, pit, ""),
    PROP_END,
};

static uint32_t pcspk_read(Device *dev, uint32_t reg, unsigned size)
{
    Pcspk *k = PCSPK(dev);
    uint32_t val = k->s.data_on ? SPK_DATA : 0;

    (void)reg, (void)size;
    k->s.dummy_refresh_clock = clock_now(&dev->m->clock) / REFRESH_NS & 1 ? SPK_REFRESH : 0;
    if (k->pit && pit_gate(k->pit, SPK_CHANNEL)) val |= SPK_GATE;
    if (k->pit && pit_out(k->pit, SPK_CHANNEL)) val |= SPK_OUT;
    return val | k->s.dummy_refresh_clock;
}

static void pcspk_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    Pcspk *k = PCSPK(dev);

    (void)reg, (void)size;
    k->s.data_on = (val & SPK_DATA) != 0;
    if (k->pit) pit_set_gate(k->pit, SPK_CHANNEL, val & SPK_GATE);
}

static const IoOps pcspk_io = { .read = pcspk_read, .write = pcspk_write };

static bool pcspk_realize(Device *dev, Error *err)
{
    return pio_map(dev, PCSPK(dev)->iobase, 1, &pcspk_io, 0, "pcspk", err);
}

static void pcspk_reset(Device *dev) { PCSPK(dev)->s = (struct PcspkState){ 0 }; }

DEVICE(pcspk, "PC speaker port", Pcspk, .name = "isa-pcspk", .bus = "isa", .props = pcspk_props,
    .vmstates = VMSTATES(&pcspk_vmstate), .realize = pcspk_realize, .power_on = pcspk_reset,
    .reset = pcspk_reset);
