/* SPDX-License-Identifier: MIT */
/* One IDE channel on the ISA bus, PIO only.  Source: see hw/ide.c.  A PC has two. */
#include "core/machine.h"
#include "hw/ide.h"

typedef struct IsaIde {
    Device dev;
    uint16_t iobase, iobase2;
    uint32_t channel; /* for the drives' serial numbers */
    IdeBus bus;
    struct IsaIdeState {
        IdeBusState bus;
        IdeDrive ifs[IDE_UNITS];
    } s;
} IsaIde;
#define ISA_IDE(d) ((IsaIde *)(d))

static const VmField isa_ide_fields[] = {
    VM_STRUCT(struct IsaIdeState, bus, "bus", ide_bus_vmstate, 1),
    VM_FIELD(struct IsaIdeState, ifs, "bus.ifs", &vm_struct, IDE_UNITS, sizeof(IdeDrive),
        .vmsd = &ide_drive_vmstate, .struct_version = 3, .flags = VMF_LISTED),
    VM_END,
};

static bool isa_ide_pre_save(void *state, Error *err)
{
    struct IsaIdeState *s = state;

    (void)err;
    ide_flight_to_wire(&s->bus, s->ifs);
    return true;
}

static bool isa_ide_post_load(void *state, int version, Error *err)
{
    struct IsaIdeState *s = state;

    (void)version;
    if (!ide_bus_check(&s->bus, s->ifs, err)) return false;
    ide_flight_from_wire(&s->bus, s->ifs);
    return true;
}

static const VmState isa_ide_vmstate = {
    .name = "isa-ide",
    .version = 3,
    .min_version = 0,
    .fields = isa_ide_fields,
    .pre_save = isa_ide_pre_save,
    .post_load = isa_ide_post_load,
};

static const VmField isa_ide_exact[] = { IDE_EXACT(struct IsaIdeState, bus, ifs, ""), VM_END };

static const Prop isa_ide_props[] = {
    PROP(IsaIde, iobase, "0x1f0"),
    PROP(IsaIde, iobase2, "0x3f6"),
    PROP(IsaIde, channel, "0"),
    PROP_AS(IsaIde, bus.irq, "irq", "pic.14"),
    IDE_DRIVE_PROPS(IsaIde, bus, ""),
    PROP_END,
};

static bool isa_ide_realize(Device *dev, Error *err)
{
    IsaIde *ide = ISA_IDE(dev);

    ide->bus.dev = dev;
    ide->bus.s = &ide->s.bus;
    ide->bus.ifs = ide->s.ifs;
    ide->bus.number = ide->channel;
    return ide_bus_realize(&ide->bus, ide->iobase, ide->iobase2, err);
}

static void isa_ide_unrealize(Device *dev) { ide_bus_unrealize(&ISA_IDE(dev)->bus); }
static void isa_ide_power_on(Device *dev) { ide_bus_power_on(&ISA_IDE(dev)->bus); }
static void isa_ide_reset(Device *dev) { ide_bus_reset(&ISA_IDE(dev)->bus); }
static void isa_ide_sync(Device *dev) { ide_bus_sync(&ISA_IDE(dev)->bus); }

DEVICE(isa_ide, "IDE channel on ISA", IsaIde, .name = "isa-ide", .bus = "isa",
    .props = isa_ide_props, .vmstates = VMSTATES(&isa_ide_vmstate), .exact = isa_ide_exact,
    .realize = isa_ide_realize, .unrealize = isa_ide_unrealize, .power_on = isa_ide_power_on,
    .reset = isa_ide_reset, .sync = isa_ide_sync);
