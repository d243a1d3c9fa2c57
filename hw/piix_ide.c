/* SPDX-License-Identifier: MIT */
/*
 * PIIX3 function 1: two IDE channels with bus masters, at the ports and interrupts of old.
 * Source: Intel 82371FB/82371SB data sheet (order 290550), chapter 2.3 and 2.7.
 * Not modelled: timing registers (they hold what is written) and channels that they disable.
 */
#include "core/machine.h"
#include "hw/bmdma.h"
#include "hw/pci.h"

enum { CHANNELS = 2, BAR_BM = 4, FIRST_BM_REG = 0 };

typedef struct PiixIde {
    PciDev pci;
    IdeBus bus[CHANNELS];
    struct PiixIdeState {
        PciState pci;
        Bmdma bmdma[CHANNELS];
        IdeBusState bus[CHANNELS];
        IdeDrive ifs0[IDE_UNITS], ifs1[IDE_UNITS];
    } s;
} PiixIde;
#define PIIX_IDE(d) ((PiixIde *)(d))

/* -- tables -- */

#define VM_LISTED(S, f, name, table, v)                                                            \
    VM_FIELD(S, f, name, &vm_struct, 2, sizeof(VM_AT(S, f)[0]), .vmsd = &(table),                  \
        .struct_version = (v), .flags = VMF_LISTED)

static const VmField piix_ide_fields[] = {
    VM_PCI_DEVICE(struct PiixIdeState, "parent_obj"),
    VM_LISTED(struct PiixIdeState, bmdma, "bmdma", bmdma_vmstate, 3),
    VM_LISTED(struct PiixIdeState, bus, "bus", ide_bus_vmstate, 1),
    VM_LISTED(struct PiixIdeState, ifs0, "bus[0].ifs", ide_drive_vmstate, 3),
    VM_LISTED(struct PiixIdeState, ifs1, "bus[1].ifs", ide_drive_vmstate, 3),
    VM_END,
};

static bool piix_ide_pre_save(void *state, Error *err)
{
    struct PiixIdeState *s = state;

    (void)err;
    for (int i = 0; i < CHANNELS; i++) {
        ide_flight_to_wire(&s->bus[i], i ? s->ifs1 : s->ifs0);
        bmdma_to_wire(&s->bmdma[i], &s->bus[i]);
    }
    return true;
}

static bool piix_ide_post_load(void *state, int version, Error *err)
{
    struct PiixIdeState *s = state;

    (void)version;
    for (int i = 0; i < CHANNELS; i++) {
        IdeDrive *ifs = i ? s->ifs1 : s->ifs0;

        if (!ide_bus_check(&s->bus[i], ifs, err)) return false;
        bmdma_from_wire(&s->bmdma[i], &s->bus[i]);
        ide_flight_from_wire(&s->bus[i], ifs);
    }
    return true;
}

static const VmState piix_ide_vmstate = {
    .name = "ide",
    .version = 3,
    .min_version = 0,
    .fields = piix_ide_fields,
    .pre_save = piix_ide_pre_save,
    .post_load = piix_ide_post_load,
};

static const VmField piix_ide_exact[] = {
    IDE_EXACT(struct PiixIdeState, bus[0], ifs0, "0"),
    IDE_EXACT(struct PiixIdeState, bus[1], ifs1, "1"),
    VM_END,
};

static const Prop piix_ide_props[] = {
    PCI_PROPS(PiixIde),
    PROP_AS(PiixIde, bus[0].irq, "irq0", "pic.14"),
    PROP_AS(PiixIde, bus[1].irq, "irq1", "pic.15"),
    IDE_DRIVE_PROPS(PiixIde, bus[0], "0"),
    IDE_DRIVE_PROPS(PiixIde, bus[1], "1"),
    PROP_END,
};

/* -- what a channel asks of its bus master -- */

static Bmdma *piix_ide_bmdma(IdeBus *bus) { return &PIIX_IDE(bus->dev)->s.bmdma[bus->number]; }

static bool piix_ide_started(IdeBus *bus)
{
    PciDev *pd = &PIIX_IDE(bus->dev)->pci;

    return piix_ide_bmdma(bus)->status & BM_ACTIVE &&
           load_le16(pci_config(pd) + PCI_COMMAND) & PCI_COMMAND_MASTER;
}

static void piix_ide_resume(Device *dev)
{
    for (int i = 0; i < CHANNELS; i++) ide_flight_kick(&PIIX_IDE(dev)->bus[i]);
}

static bool piix_ide_present(IdeBus *bus, size_t len)
{
    return bmdma_present(piix_ide_bmdma(bus), bus->dev, len, piix_ide_resume);
}

static size_t piix_ide_move(IdeBus *bus, void *buf, size_t len, bool to_memory, bool *longer)
{
    return bmdma_move(piix_ide_bmdma(bus), bus->dev, buf, len, to_memory, longer);
}

static void piix_ide_stop(IdeBus *bus, bool stay_active)
{
    if (!stay_active) piix_ide_bmdma(bus)->status &= (uint8_t)~BM_ACTIVE;
}

static void piix_ide_interrupt(IdeBus *bus) { piix_ide_bmdma(bus)->status |= BM_INTERRUPT; }

static const IdeDma piix_ide_dma = {
    .started = piix_ide_started,
    .present = piix_ide_present,
    .move = piix_ide_move,
    .stop = piix_ide_stop,
    .interrupt = piix_ide_interrupt,
};

/* -- the bus masters' ports: eight bytes for each channel -- */

static uint32_t piix_ide_bm_read(Device *dev, uint32_t reg, unsigned size)
{
    uint32_t val = 0;

    for (unsigned i = 0; i < size; i++) {
        unsigned at = reg - FIRST_BM_REG + i;

        val |= bmdma_read(&PIIX_IDE(dev)->s.bmdma[at / BM_REGS], at % BM_REGS) << 8 * i;
    }
    return val;
}

static void piix_ide_bm_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    PiixIde *p = PIIX_IDE(dev);

    for (unsigned i = 0; i < size; i++) {
        unsigned at = reg - FIRST_BM_REG + i, n = at / BM_REGS;

        if (bmdma_write(&p->s.bmdma[n], at % BM_REGS, (uint8_t)(val >> 8 * i)))
            ide_flight_kick(&p->bus[n]);
    }
}

static const IoOps piix_ide_bm_io = {
    .read = piix_ide_bm_read, .write = piix_ide_bm_write, .width = 4
};

static void piix_ide_config_written(PciDev *pd, unsigned off, unsigned len)
{
    (void)len;
    if (off == PCI_COMMAND) piix_ide_resume(&pd->dev);
}

/* -- life -- */

static bool piix_ide_realize(Device *dev, Error *err)
{
    static const struct {
        uint16_t port, control;
    } ports[CHANNELS] = { { 0x1f0, 0x3f6 }, { 0x170, 0x376 } };
    PiixIde *p = PIIX_IDE(dev);

    if (!pci_attach(&p->pci, err)) return false;
    pci_bar_io(&p->pci, BAR_BM, "piix-bmdma", 2 * BM_REGS, &piix_ide_bm_io, FIRST_BM_REG);
    memset(p->pci.wmask + 0x40, 0xff, 5);
    p->pci.config_written = piix_ide_config_written;
    for (unsigned i = 0; i < CHANNELS; i++) {
        IdeBus *bus = &p->bus[i];

        bus->dev = dev;
        bus->s = &p->s.bus[i];
        bus->ifs = i ? p->s.ifs1 : p->s.ifs0;
        bus->dma = &piix_ide_dma;
        bus->number = i;
        if (!ide_bus_realize(bus, ports[i].port, ports[i].control, err)) return false;
    }
    return true;
}

static void piix_ide_unrealize(Device *dev)
{
    for (int i = 0; i < CHANNELS; i++) ide_bus_unrealize(&PIIX_IDE(dev)->bus[i]);
}

static void piix_ide_power_on(Device *dev)
{
    PiixIde *p = PIIX_IDE(dev);

    pci_power_on(&p->pci, 0x8086, 0x7010, 0, 0x0101, 0);
    store_le16(pci_config(&p->pci) + PCI_STATUS, 0x0280);
    pci_config(&p->pci)[PCI_CLASS_PROG] = 0x80; /* bus master; ports of old */
    for (int i = 0; i < CHANNELS; i++) ide_bus_power_on(&p->bus[i]);
}

static void piix_ide_reset(Device *dev)
{
    PiixIde *p = PIIX_IDE(dev);

    pci_reset(&p->pci);
    memset(pci_config(&p->pci) + 0x40, 0, 5);
    memset(p->s.bmdma, 0, sizeof(p->s.bmdma));
    for (int i = 0; i < CHANNELS; i++) ide_bus_reset(&p->bus[i]);
}

static void piix_ide_sync(Device *dev)
{
    pci_sync(&PIIX_IDE(dev)->pci);
    for (int i = 0; i < CHANNELS; i++) ide_bus_sync(&PIIX_IDE(dev)->bus[i]);
}

DEVICE(piix_ide, "PIIX3 IDE controller", PiixIde, .name = "piix3-ide", .bus = "pci",
    .props = piix_ide_props, .vmstates = VMSTATES(&piix_ide_vmstate), .exact = piix_ide_exact,
    .realize = piix_ide_realize, .unrealize = piix_ide_unrealize, .power_on = piix_ide_power_on,
    .reset = piix_ide_reset, .sync = piix_ide_sync);
