/* SPDX-License-Identifier: MIT */
/* NE2000 on the ISA bus.  Source: see ne2000.c.  Not modelled: the boot ROM socket. */
#include "hw/ne2000.h"

typedef struct Ne2000Isa {
    Device dev;
    uint32_t iobase;
    Irq irq;
    NetPort *netdev;
    Ne2000 chip;
    struct Ne2000IsaState {
        Ne2000State chip;
    } s;
} Ne2000Isa;
#define NE2000_ISA(d) ((Ne2000Isa *)(d))

static const VmField ne2000_isa_fields[] = { VM_NE2000(struct Ne2000IsaState), VM_END };
static const VmState ne2000_isa_vmstate = {
    .name = "ne2000", .version = 2, .fields = ne2000_isa_fields
};
static const VmField ne2000_isa_exact[] = { NE2000_EXACT(struct Ne2000IsaState), VM_END };

static const Prop ne2000_isa_props[] = { PROP(Ne2000Isa, iobase, "0x300"),
    PROP(Ne2000Isa, irq, "pic.9"), PROP(Ne2000Isa, netdev, ""),
    PROP_MAC_ADDR(Ne2000Isa, chip.mac, "00:00:00:00:00:00"),
    PROP_AS(Ne2000Isa, chip.flow, "flow", "on"), PROP_END };

static uint32_t ne2000_isa_read(Device *dev, uint32_t reg, unsigned size)
{
    return ne2000_read(&NE2000_ISA(dev)->chip, reg, size);
}

static void ne2000_isa_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    ne2000_write(&NE2000_ISA(dev)->chip, reg, val, size);
}

static const IoOps ne2000_isa_io = {
    .read = ne2000_isa_read, .write = ne2000_isa_write, .width = 2
};

static void ne2000_isa_set_irq(Device *dev, bool level) { irq_set(&NE2000_ISA(dev)->irq, level); }

static bool ne2000_isa_realize(Device *dev, Error *err)
{
    Ne2000Isa *n = NE2000_ISA(dev);

    n->chip.dev = dev;
    n->chip.s = &n->s.chip;
    n->chip.set_irq = ne2000_isa_set_irq;
    if (!ne2000_realize(&n->chip, "ne2k_isa", n->netdev, err)) return false;
    if (pio_map(dev, n->iobase, NE2000_PORTS, &ne2000_isa_io, 0, "ne2000", err)) return true;
    ne2000_unrealize(&n->chip);
    return false;
}

static void ne2000_isa_unrealize(Device *dev) { ne2000_unrealize(&NE2000_ISA(dev)->chip); }

static void ne2000_isa_power_on(Device *dev)
{
    ne2000_power_on(&NE2000_ISA(dev)->s.chip, NE2000_ISA(dev)->chip.mac);
}

static void ne2000_isa_reset(Device *dev) { ne2000_reset(&NE2000_ISA(dev)->s.chip); }

static void ne2000_isa_sync(Device *dev) { ne2000_sync(&NE2000_ISA(dev)->chip); }

DEVICE(ne2k_isa, "NE2000 on the ISA bus", Ne2000Isa, .bus = "isa", .user_creatable = true,
    .props = ne2000_isa_props, .vmstates = VMSTATES(&ne2000_isa_vmstate), .exact = ne2000_isa_exact,
    .realize = ne2000_isa_realize, .unrealize = ne2000_isa_unrealize,
    .power_on = ne2000_isa_power_on, .reset = ne2000_isa_reset, .sync = ne2000_isa_sync);
