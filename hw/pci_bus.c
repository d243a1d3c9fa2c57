/* SPDX-License-Identifier: MIT */
/*
 * The PCI bus and the host's way to it: configuration mechanism #1 at CF8h/CFCh.
 * Source: PCI Local Bus Specification 2.1, section 3.7.4.1.  Not modelled: further buses (type 1
 * cycles find nobody), special cycles.
 */
#include "hw/pci_bus.h"

#include <inttypes.h>

#include "core/command.h"
#include "core/machine.h"

enum { CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc };
enum { CONFIG_ENABLE = 1u << 31 };

/* -- PCIBUS -- */

static const VmField bus_fields[] = {
    VM_ELEM(struct PciBusState, nirq, "nirq", &vm_i32_equal),
    VM_INTS(struct PciBusState, irq_count),
    VM_END,
};

static bool bus_post_load(void *state, int version, Error *err)
{
    const struct PciBusState *s = state;

    (void)version;
    for (int i = 0; i < PCI_PIRQS; i++)
        if (s->irq_count[i] < 0) return error_set(err, "a negative count of interrupts");
    return true;
}

static const VmState bus_vmstate = {
    .name = "PCIBUS",
    .version = 1,
    .min_version = 1,
    .fields = bus_fields,
    .post_load = bus_post_load,
};

static const Prop bus_props[] = {
    PROP_AS(PciBus, irq[0], "irq0", ""),
    PROP_AS(PciBus, irq[1], "irq1", ""),
    PROP_AS(PciBus, irq[2], "irq2", ""),
    PROP_AS(PciBus, irq[3], "irq3", ""),
    PROP_END,
};

static void bus_power_on(Device *dev) { ((PciBus *)dev)->s.nirq = PCI_PIRQS; }

static void bus_reset(Device *dev)
{
    PciBus *bus = (PciBus *)dev;

    memset(bus->s.irq_count, 0, sizeof(bus->s.irq_count));
}

static void bus_sync(Device *dev)
{
    PciBus *bus = (PciBus *)dev;

    for (int i = 0; i < PCI_PIRQS; i++) irq_set(&bus->irq[i], bus->s.irq_count[i] > 0);
}

void pci_bus_update(Device *dev)
{
    PciBus *bus = (PciBus *)dev;

    memset(bus->s.irq_count, 0, sizeof(bus->s.irq_count));
    for (unsigned addr = 0, pirq; addr < PCI_ADDRS; addr++)
        if (bus->devs[addr] && pci_irq_asserted(bus->devs[addr], &pirq)) bus->s.irq_count[pirq]++;
    bus_sync(dev);
}

DEVICE(pci_bus, "PCI bus", PciBus, .name = "PCIBUS", .props = bus_props,
    .vmstates = VMSTATES(&bus_vmstate), .power_on = bus_power_on, .reset = bus_reset,
    .sync = bus_sync);

PciBus *pci_bus_find(Machine *m)
{
    EACH_DEVICE (dev, m)
        if (dev->cls == &pci_bus_class) return (PciBus *)dev;
    return NULL;
}

/* -- PCIHost -- */

typedef struct PciHost {
    Device dev;
    Device *bus;
    struct PciHostState {
        uint32_t config_reg;
    } s;
} PciHost;
#define PCI_HOST(d) ((PciHost *)(d))

static const VmField host_fields[] = { VM_INT(struct PciHostState, config_reg), VM_END };
static const VmState host_vmstate = {
    .name = "PCIHost", .version = 1, .min_version = 1, .fields = host_fields
};

static const Prop host_props[] = { PROP(PciHost, bus, "pci.0"), PROP_END };

/* Who answers the cycle that the address register describes, or NULL. */
static PciDev *host_target(PciHost *h)
{
    uint32_t reg = h->s.config_reg;

    if (!(reg & CONFIG_ENABLE) || (reg >> 16 & 0xff)) return NULL;
    return ((PciBus *)h->bus)->devs[reg >> 8 & 0xff];
}

/* The address register is accessed by whole double words only; other cycles there are not its. */
static uint32_t host_address_read(Device *dev, uint32_t reg, unsigned size)
{
    (void)reg;
    return size == 4 ? PCI_HOST(dev)->s.config_reg : UINT32_MAX;
}

static void host_address_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    (void)reg;
    if (size == 4) PCI_HOST(dev)->s.config_reg = val & 0x80fffffc;
}

static uint32_t host_data_read(Device *dev, uint32_t reg, unsigned size)
{
    PciHost *h = PCI_HOST(dev);
    PciDev *pd = host_target(h);

    return pd ? pci_config_read(pd, (h->s.config_reg & 0xfc) + reg, size) : UINT32_MAX;
}

static void host_data_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    PciHost *h = PCI_HOST(dev);
    PciDev *pd = host_target(h);

    if (pd) pci_config_write(pd, (h->s.config_reg & 0xfc) + reg, val, size);
}

static const IoOps host_address_io = {
    .read = host_address_read, .write = host_address_write, .width = 4
};
static const IoOps host_data_io = { .read = host_data_read, .write = host_data_write, .width = 4 };

static bool host_realize(Device *dev, Error *err)
{
    if (PCI_HOST(dev)->bus->cls != &pci_bus_class)
        return error_set(err, "'%s' is no PCI bus", PCI_HOST(dev)->bus->id);
    return pio_map(dev, CONFIG_ADDRESS, 4, &host_address_io, 0, "pci-conf-idx", err) &&
           pio_map(dev, CONFIG_DATA, 4, &host_data_io, 0, "pci-conf-data", err);
}

static void host_reset(Device *dev) { PCI_HOST(dev)->s.config_reg = 0; }

DEVICE(pci_host, "PCI configuration mechanism #1", PciHost, .name = "PCIHost", .props = host_props,
    .vmstates = VMSTATES(&host_vmstate), .realize = host_realize, .reset = host_reset);

/* -- info pci -- */

static const struct {
    uint16_t class;
    const char *text;
} class_names[] = {
    { 0x0100, "SCSI controller" },
    { 0x0101, "IDE controller" },
    { 0x0102, "Floppy controller" },
    { 0x0106, "SATA controller" },
    { 0x0180, "Storage controller" },
    { 0x0200, "Ethernet controller" },
    { 0x0300, "VGA controller" },
    { 0x0380, "Display controller" },
    { 0x0401, "Audio controller" },
    { 0x0500, "RAM controller" },
    { 0x0600, "Host bridge" },
    { 0x0601, "ISA bridge" },
    { 0x0604, "PCI bridge" },
    { 0x0680, "Bridge" },
    { 0x0700, "Serial port" },
    { 0x0780, "Communication controller" },
    { 0x0c03, "USB controller" },
    { 0x0c05, "SMBus" },
};

const char *pci_class_text(uint16_t class)
{
    for (size_t i = 0; i < ARRAY_SIZE(class_names); i++)
        if (class_names[i].class == class) return class_names[i].text;
    return NULL;
}

static void print_class(Sink *out, uint16_t class)
{
    const char *text = pci_class_text(class);

    if (text)
        sink_printf(out, "    %s: ", text);
    else
        sink_printf(out, "    Class %04d: ", class);
}

static void print_bar(Sink *out, const PciBar *bar, int n)
{
    uint64_t at = bar->mapped ? bar->at : UINT64_MAX, last = at + bar->size - 1;

    if (!bar->size) return;
    sink_printf(out, "      BAR%d: ", n);
    if (bar->io)
        sink_printf(out, "I/O at 0x%04" PRIx64 " [0x%04" PRIx64 "].\n", at, last);
    else
        sink_printf(out, "%d bit%s memory at 0x%08" PRIx64 " [0x%08" PRIx64 "].\n",
            bar->wide ? 64 : 32, bar->prefetchable ? " prefetchable" : "", at, last);
}

/* The id that -device gave, or "": the board's own devices have none to show. */
static const char *user_id(Device *dev)
{
    GPtrArray *devices = dev->m->config.devices;

    for (guint i = 0; i < devices->len; i++)
        if (!strcmp(options_get_or(devices->pdata[i], "id", ""), dev->id)) return dev->id;
    return "";
}

static void print_device(Sink *out, PciDev *pd)
{
    const uint8_t *config = pci_config(pd);

    sink_printf(out, "  Bus  0, device %3d, function %d:\n", pd->addr / 8, pd->addr % 8);
    print_class(out, load_le16(config + PCI_CLASS));
    sink_printf(out, "PCI device %04x:%04x\n", load_le16(config + PCI_VENDOR_ID),
        load_le16(config + PCI_DEVICE_ID));
    sink_printf(out, "      PCI subsystem %04x:%04x\n", load_le16(config + PCI_SUBSYSTEM_VENDOR_ID),
        load_le16(config + PCI_SUBSYSTEM_ID));
    if (config[PCI_INTERRUPT_PIN])
        sink_printf(out, "      IRQ %d, pin %c\n", config[PCI_INTERRUPT_LINE],
            'A' + config[PCI_INTERRUPT_PIN] - 1);
    for (int n = 0; n <= PCI_ROM; n++) print_bar(out, &pd->bars[n], n);
    sink_printf(out, "      id \"%s\"\n", user_id(&pd->dev));
}

static void info_pci(CommandCall *call, Error *err)
{
    PciDev *pd;

    (void)err;
    for (unsigned n = 0; (pd = pci_nth(call->m, n)); n++) print_device(call->out, pd);
}

COMMAND(info_pci, .name = "info pci", .args = "", .usage = "", .help = "show PCI info",
    .run = info_pci);
