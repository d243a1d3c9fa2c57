/* SPDX-License-Identifier: MIT */
/*
 * 82371SB (PIIX3) PCI-to-ISA bridge, function 0: routing of PCI interrupts to the 8259s and the
 * reset control register.
 * Source: Intel 82371FB/82371SB data sheet (order 290550), sections 2.2.8 (PIRQRC) and 2.5.4.2
 * (RC).
 * Not modelled: chip selects, DMA and decode control: their registers hold what is written.
 *
 * Its interrupt inputs 0 to 3 are PIRQA..PIRQD.
 */
#include "core/machine.h"
#include "core/wires.h"
#include "hw/pci.h"

enum { PIRQS = 4, PIC_LINES = 16, REG_PIRQ = 0x60, PIRQ_OFF = 0x80, PIRQ_LINE = 0x0f };
enum { RESET_PORT = 0xcf9, RESET_CPU = 0x04, RESET_HARD = 0x02 };

typedef struct Piix3 {
    PciDev pci;
    Device *pic;
    uint16_t driven; /* the 8259s' lines that are held high from here: a cache */
    struct Piix3State {
        PciState pci;
        int32_t pci_irq_levels_vmstate[PIRQS];
        uint8_t rcr;
    } s;
} Piix3;
#define PIIX3(d) ((Piix3 *)(d))

static bool piix3_rcr_needed(const void *s) { return ((const struct Piix3State *)s)->rcr != 0; }

static const VmField piix3_rcr_fields[] = { VM_INT(struct Piix3State, rcr), VM_END };
static const VmState piix3_rcr_vmstate = {
    .name = "PIIX3/rcr",
    .version = 1,
    .min_version = 1,
    .needed = piix3_rcr_needed,
    .fields = piix3_rcr_fields,
};

static const VmField piix3_fields[] = {
    VM_PCI_DEVICE(struct Piix3State, "dev"),
    VM_FIELD(struct Piix3State, pci_irq_levels_vmstate, "pci_irq_levels_vmstate", &vm_i32, PIRQS, 4,
        .since = 3),
    VM_END,
};

static bool piix3_post_load(void *state, int version, Error *err)
{
    const struct Piix3State *s = state;

    (void)version;
    for (int i = 0; i < PIRQS; i++)
        if (s->pci_irq_levels_vmstate[i] < 0) return error_set(err, "negative interrupt level");
    return true;
}

static const VmState piix3_vmstate = {
    .name = "PIIX3",
    .version = 3,
    .min_version = 2,
    .fields = piix3_fields,
    .subsections = VMSTATES(&piix3_rcr_vmstate),
    .post_load = piix3_post_load,
};

static const Prop piix3_props[] = { PCI_PROPS(Piix3), PROP(Piix3, pic, "pic"), PROP_END };

/* The 8259 line that a PIRQ is routed to, or -1. */
static int piix3_route(Piix3 *p, int pirq)
{
    uint8_t reg = pci_config(&p->pci)[REG_PIRQ + pirq];

    return reg & PIRQ_OFF ? -1 : reg & PIRQ_LINE;
}

/* Drives the lines that PIRQs are or were routed to; others belong to ISA devices alone. */
static void piix3_drive(Piix3 *p, bool all)
{
    uint16_t high = 0, routed = 0;

    for (int pirq = 0; pirq < PIRQS; pirq++) {
        int line = piix3_route(p, pirq);

        if (line < 0) continue;
        routed |= (uint16_t)(1 << line);
        if (p->s.pci_irq_levels_vmstate[pirq]) high |= (uint16_t)(1 << line);
    }
    for (int line = 0; line < PIC_LINES; line++) {
        uint16_t bit = (uint16_t)(1 << line);
        bool change = (high ^ p->driven) & bit;

        if (change || (all && routed & bit))
            irq_set(&(Irq){ p->pic, PIC_WIRE_PIRQ + line }, (high & bit) != 0);
    }
    p->driven = high;
}

static void piix3_irq_in(Device *dev, int pirq, bool level)
{
    Piix3 *p = PIIX3(dev);

    if (p->s.pci_irq_levels_vmstate[pirq] == level) return;
    p->s.pci_irq_levels_vmstate[pirq] = level;
    piix3_drive(p, false);
}

static void piix3_config_written(PciDev *pd, unsigned off, unsigned len)
{
    if (off < REG_PIRQ + PIRQS && off + len > REG_PIRQ) piix3_drive(PIIX3(pd), false);
}

static uint32_t piix3_reset_read(Device *dev, uint32_t reg, unsigned size)
{
    (void)reg, (void)size;
    return PIIX3(dev)->s.rcr;
}

static void piix3_reset_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    (void)reg, (void)size;
    if (val & RESET_CPU)
        machine_request_reset(dev->m, RESET_GUEST);
    else
        PIIX3(dev)->s.rcr = val & RESET_HARD;
}

static const IoOps piix3_reset_io = { .read = piix3_reset_read, .write = piix3_reset_write };

/* Registers behind the header that hold what is written; the rest reads as the chip was made. */
static void piix3_writable(PciDev *pd)
{
    static const struct {
        uint8_t off, len;
    } ranges[] = { { 0x4c, 1 }, { 0x4e, 2 }, { 0x60, 4 }, { 0x69, 3 }, { 0x70, 2 }, { 0x76, 4 },
        { 0x80, 1 }, { 0x82, 1 }, { 0xa0, 1 }, { 0xa2, 2 }, { 0xa4, 4 }, { 0xa8, 1 }, { 0xaa, 2 },
        { 0xac, 1 }, { 0xae, 1 } };

    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
        memset(pd->wmask + ranges[i].off, 0xff, ranges[i].len);
}

static bool piix3_realize(Device *dev, Error *err)
{
    Piix3 *p = PIIX3(dev);

    if (!p->pic->cls->irq_in) return error_set(err, "'%s' has no interrupt lines", p->pic->id);
    if (!pci_attach(&p->pci, err)) return false;
    p->pci.config_written = piix3_config_written;
    piix3_writable(&p->pci);
    return pio_map(dev, RESET_PORT, 1, &piix3_reset_io, 0, "piix3-reset-control", err);
}

static void piix3_power_on(Device *dev)
{
    PciDev *pd = &PIIX3(dev)->pci;

    pci_power_on(pd, 0x8086, 0x7000, 0, 0x0601, 0);
    store_le16(pci_config(pd) + PCI_STATUS, 0x0200); /* DEVSEL# timing medium */
    pci_config(pd)[PCI_HEADER_TYPE] = 0x80;          /* the IDE controller is function 1 */
}

static void piix3_reset(Device *dev)
{
    static const struct {
        uint8_t reg, val;
    } defaults[] = { { 0x4c, 0x4d }, { 0x4e, 0x03 }, { 0x60, 0x80 }, { 0x61, 0x80 }, { 0x62, 0x80 },
        { 0x63, 0x80 }, { 0x69, 0x02 }, { 0x70, 0x80 }, { 0x76, 0x0c }, { 0x77, 0x0c },
        { 0x78, 0x02 }, { 0xa0, 0x08 }, { 0xa8, 0x0f } };
    Piix3 *p = PIIX3(dev);

    pci_reset(&p->pci);
    memset(pci_config(&p->pci) + 0x40, 0, PCI_CONFIG - 0x40);
    for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
        pci_config(&p->pci)[defaults[i].reg] = defaults[i].val;
    memset(p->s.pci_irq_levels_vmstate, 0, sizeof(p->s.pci_irq_levels_vmstate));
    p->s.rcr = 0;
}

static void piix3_sync(Device *dev)
{
    pci_sync(&PIIX3(dev)->pci);
    piix3_drive(PIIX3(dev), true);
}

DEVICE(piix3, "PIIX3 PCI-to-ISA bridge", Piix3, .name = "PIIX3", .bus = "pci", .props = piix3_props,
    .vmstates = VMSTATES(&piix3_vmstate), .realize = piix3_realize, .power_on = piix3_power_on,
    .reset = piix3_reset, .sync = piix3_sync, .irq_in = piix3_irq_in);
