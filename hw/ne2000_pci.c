/* SPDX-License-Identifier: MIT */
/*
 * NE2000 on the PCI bus, as the RTL8029.  Source: Realtek RTL8029AS data sheet, and ne2000.c.
 * Its boot ROM is iPXE's, where that is installed.
 */
#include <string.h>

#include "hw/ne2000.h"
#include "hw/pci.h"

enum {
    NE2000_VENDOR = 0x10ec,
    NE2000_DEVICE = 0x8029,
    NE2000_PCI_CLASS = 0x0200, /* Ethernet */
    NE2000_BAR = 256,          /* ports, of which the upper ones read as ones */
};
#define NE2000_ROM "efi-ne2k_pci.rom" /* for BIOS and EFI */

typedef struct Ne2000Pci {
    PciDev pci;
    NetPort *netdev;
    char *romfile;
    Ne2000 chip;
    struct Ne2000PciState {
        PciState pci;
        Ne2000State chip;
    } s;
} Ne2000Pci;
#define NE2000_PCI(d) ((Ne2000Pci *)(d))

static const VmField ne2000_pci_fields[] = { VM_PCI_DEVICE(struct Ne2000PciState, "dev"),
    VM_NE2000(struct Ne2000PciState), VM_END };
static const VmState ne2000_pci_vmstate = {
    .name = "ne2000", .version = 3, .min_version = 3, .fields = ne2000_pci_fields
};
static const VmField ne2000_pci_exact[] = { NE2000_EXACT(struct Ne2000PciState), VM_END };

static const Prop ne2000_pci_props[] = { PCI_PROPS(Ne2000Pci), PCI_BOOT_PROP(Ne2000Pci),
    PROP(Ne2000Pci, netdev, ""), PROP_MAC_ADDR(Ne2000Pci, chip.mac, "00:00:00:00:00:00"),
    PROP_AS(Ne2000Pci, chip.flow, "flow", "on"), PROP(Ne2000Pci, romfile, NE2000_ROM), PROP_END };

static uint32_t ne2000_pci_read(Device *dev, uint32_t reg, unsigned size)
{
    return reg < NE2000_PORTS ? ne2000_read(&NE2000_PCI(dev)->chip, reg, size) : UINT32_MAX;
}

static void ne2000_pci_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    if (reg < NE2000_PORTS) ne2000_write(&NE2000_PCI(dev)->chip, reg, val, size);
}

static const IoOps ne2000_pci_io = {
    .read = ne2000_pci_read, .write = ne2000_pci_write, .width = 4
};

static void ne2000_pci_set_irq(Device *dev, bool level) { pci_set_irq((PciDev *)dev, level); }

static bool ne2000_pci_realize(Device *dev, Error *err)
{
    Ne2000Pci *n = NE2000_PCI(dev);

    n->chip.dev = dev;
    n->chip.s = &n->s.chip;
    n->chip.realtek = true;
    n->chip.set_irq = ne2000_pci_set_irq;
    if (!pci_attach(&n->pci, err) || !pci_boot_order(&n->pci, "ethernet", "/ethernet-phy@0", err))
        return false;
    if (!ne2000_realize(&n->chip, "ne2k_pci", n->netdev, err)) return false;
    pci_bar_io(&n->pci, 0, "ne2000", NE2000_BAR, &ne2000_pci_io, 0);
    if (!pci_load_boot_rom(&n->pci, n->romfile, NE2000_ROM, "ne2000.rom", err)) {
        ne2000_unrealize(&n->chip);
        return false;
    }
    if (!strcmp(n->romfile, NE2000_ROM)) pci_rom_set_ids(&n->pci, NE2000_VENDOR, NE2000_DEVICE);
    return true;
}

static void ne2000_pci_unrealize(Device *dev) { ne2000_unrealize(&NE2000_PCI(dev)->chip); }

static void ne2000_pci_power_on(Device *dev)
{
    Ne2000Pci *n = NE2000_PCI(dev);

    pci_power_on(&n->pci, NE2000_VENDOR, NE2000_DEVICE, 0, NE2000_PCI_CLASS, 1);
    ne2000_power_on(&n->s.chip, n->chip.mac);
}

static void ne2000_pci_reset(Device *dev)
{
    pci_reset(&NE2000_PCI(dev)->pci);
    ne2000_reset(&NE2000_PCI(dev)->s.chip);
}

static void ne2000_pci_sync(Device *dev)
{
    pci_sync(&NE2000_PCI(dev)->pci);
    ne2000_sync(&NE2000_PCI(dev)->chip);
}

DEVICE(ne2k_pci, "NE2000 on the PCI bus (RTL8029)", Ne2000Pci, .bus = "pci", .user_creatable = true,
    .props = ne2000_pci_props, .vmstates = VMSTATES(&ne2000_pci_vmstate), .exact = ne2000_pci_exact,
    .realize = ne2000_pci_realize, .unrealize = ne2000_pci_unrealize,
    .power_on = ne2000_pci_power_on, .reset = ne2000_pci_reset, .sync = ne2000_pci_sync);
