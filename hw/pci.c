/* SPDX-License-Identifier: MIT */
/*
 * The PCI bus: devices' configuration space, base address registers and interrupt lines.
 * Source: PCI Local Bus Specification 2.1, chapters 3.7 and 6.  Not modelled: bridges, parity.
 *
 * What a BAR maps is a function of configuration space: pci_map_bars compares it with what is
 * mapped.  Lines of devices are counted by the bus (irq_count) and wired to the interrupt router.
 */
#include "hw/boot_order.h"
#include "hw/pci.h"

#include <assert.h>
#include <stdio.h>

#include "core/machine.h"
#include "hw/msix.h"
#include "hw/pci_bus.h"

enum { PCI_COMMAND_INTX_OFF = 0x400, PCI_COMMAND_SERR = 0x100, PCI_STATUS_INTX = 0x08 };
enum { PCI_STATUS_ERRORS = 0xf9 };       /* of the high byte: a written 1 clears */
#define PCI_ROM_DIR "/usr/lib/ipxe/qemu" /* where Debian keeps iPXE's */
#define PCI_SPACE (1ull << 40) /* where a 64-bit register may still point: physical addresses */
enum { PCI_PRIO = -1 };        /* RAM covers what a guest maps over it */
enum { PCI_SUBSYSTEM_VENDOR = 0x1af4, PCI_SUBSYSTEM_DEVICE = 0x1100 };
enum { PCI_ROM_ENABLE = 1, PCI_BAR_IO = 1, PCI_BAR_WIDE = 4, PCI_BAR_PREFETCH = 8 };

static const VmField pci_device_fields[] = {
    VM_ELEM(PciState, version_id, "version_id", &vm_i32_le),
    VM_FIELD(PciState, config, "config[0]", &vm_pci_config, 1, PCI_CONFIG),
    VM_FIELD(PciState, irq_state, "irq_state", &vm_pci_irq_state, 1, 16),
    VM_END,
};

/* Identity and wiring of the device must be those that the stream's had. */
static bool pci_device_post_load(void *state, int version, Error *err)
{
    PciState *s = state;

    (void)version, (void)err;
    s->version_id = 2;
    return true;
}

const VmState pci_device_vmstate = {
    .name = "PCIDevice",
    .version = 2,
    .min_version = 1,
    .fields = pci_device_fields,
    .post_load = pci_device_post_load,
};

/* -- the place on the bus -- */

static bool pci_parse_addr(const char *text, unsigned *addr)
{
    unsigned slot, fn = 0;
    char end;
    int n = sscanf(text, "%x.%u%c", &slot, &fn, &end);

    *addr = slot * 8 + fn;
    return (n == 1 || n == 2) && slot < 32 && fn < 8;
}

static unsigned pci_free_slot(PciBus *bus)
{
    unsigned slot = 1; /* that of the host bridge is never offered */

    while (slot < 32 && bus->devs[slot * 8]) slot++;
    return slot * 8;
}

bool pci_attach(PciDev *pd, Error *err)
{
    Device *dev = &pd->dev;
    PciBus *bus = pci_bus_find(dev->m);
    unsigned addr;

    if (!bus) return error_set(err, "No 'PCI' bus found for device '%s'", dev->cls->name);
    if (!*pd->addr_text)
        addr = pci_free_slot(bus);
    else if (!pci_parse_addr(pd->addr_text, &addr))
        return error_set(err, "'%s' is no PCI address: expected slot.function", pd->addr_text);
    if (addr >= PCI_ADDRS) return error_set(err, "PCI: no slot/function available for %s", dev->id);
    if (bus->devs[addr])
        return error_set(err, "PCI: slot %u function %u not available for %s, in use by %s",
            addr / 8, addr % 8, dev->cls->name, bus->devs[addr]->dev.id);
    pd->addr = (uint16_t)addr;
    pd->bus = &bus->dev;
    bus->devs[addr] = pd;
    dev->path = g_strdup_printf("0000:00:%02x.%x", addr / 8, addr % 8);
    memset(pd->wmask + PCI_INTERRUPT_LINE, 0xff, 1);
    pd->wmask[0x0c] = 0xff; /* cache line size */
    store_le16(pd->wmask + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
                                            PCI_COMMAND_SERR | PCI_COMMAND_INTX_OFF);
    pd->w1cmask[PCI_STATUS + 1] = PCI_STATUS_ERRORS;
    return true;
}

bool pci_boot_order(PciDev *pd, const char *name, const char *part, Error *err)
{
    char function[8] = "", *path;
    bool ok;

    if (pd->addr % 8) g_snprintf(function, sizeof(function), ",%x", pd->addr % 8);
    path = g_strdup_printf("/pci@i0cf8/%s@%x%s%s", name, pd->addr / 8, function, part);
    ok = boot_order_add(pd->dev.m, pd->bootindex, path, err);
    g_free(path);
    return ok;
}

PciDev *pci_nth(Machine *m, unsigned n)
{
    PciBus *bus = pci_bus_find(m);

    for (unsigned addr = 0; bus && addr < PCI_ADDRS; addr++)
        if (bus->devs[addr] && !n--) return bus->devs[addr];
    return NULL;
}

/* -- base address registers -- */

static unsigned pci_bar_offset(int n) { return n == PCI_ROM ? PCI_ROM_ADDRESS : PCI_BAR0 + 4 * n; }

/* The bits of a BAR that the guest cannot change. */
static uint32_t pci_bar_type(const PciBar *bar)
{
    if (bar->io) return PCI_BAR_IO;
    return (bar->prefetchable ? PCI_BAR_PREFETCH : 0u) | (bar->wide ? PCI_BAR_WIDE : 0u);
}

static void pci_bar_describe(PciDev *pd, int n, const char *name, uint32_t size)
{
    PciBar *bar = &pd->bars[n];

    assert(is_pow2(size) && !bar->size);
    bar->name = name;
    bar->size = size;
    store_le32(pd->wmask + pci_bar_offset(n), ~(size - 1) | (n == PCI_ROM ? PCI_ROM_ENABLE : 0));
    if (bar->wide) store_le32(pd->wmask + pci_bar_offset(n) + 4, UINT32_MAX);
}

void pci_bar_io(
    PciDev *pd, int n, const char *name, uint32_t size, const IoOps *ops, uint32_t first_reg)
{
    assert(size >= 4);
    pci_bar_describe(pd, n, name, size);
    pd->bars[n].io = ops;
    pd->bars[n].first_reg = first_reg;
}

void pci_bar_mmio(PciDev *pd, int n, const char *name, uint32_t size, const MmioOps *ops)
{
    pci_bar_describe(pd, n, name, size);
    pd->bars[n].region = (MemRegion){ .ops = ops };
}

void pci_bar_ram(PciDev *pd, int n, const char *name, RamBlock *ram, bool readonly)
{
    pci_bar_describe(pd, n, name, (uint32_t)ram->size);
    pd->bars[n].region = (MemRegion){ .ram = ram, .readonly = readonly };
}

bool pci_load_rom(PciDev *pd, const char *file, const char *block_name, Error *err)
{
    char *path = machine_find_firmware(pd->dev.m, file, err), *data, name[256];
    GError *gerr = NULL;
    RamBlock *b = NULL;
    uint64_t size = PAGE_SIZE;
    gsize len;

    if (!path) return false;
    if (!g_file_get_contents(path, &data, &len, &gerr)) {
        error_set(err, "%s", gerr->message);
        g_error_free(gerr);
        g_free(path);
        return false;
    }
    while (size < len) size *= 2;
    g_snprintf(name, sizeof(name), "%s/%s", pd->dev.path, block_name);
    if (size <= 16 * MiB)
        b = ram_block_new(pd->dev.m, name, size, err);
    else
        error_set(err, "%s is too large for an option ROM", path);
    if (b) {
        ram_block_write(b, 0, data, len);
        pci_bar_ram(pd, PCI_ROM, block_name, b, true);
    }
    g_free(data);
    g_free(path);
    return b != NULL;
}

bool pci_load_boot_rom(
    PciDev *pd, const char *romfile, const char *usual, const char *block_name, Error *err)
{
    char *path, *found;
    bool ok = true;

    if (!*romfile) return true;
    if (strcmp(romfile, usual)) return pci_load_rom(pd, romfile, block_name, err);
    path = g_build_filename(PCI_ROM_DIR, usual, NULL);
    found = machine_find_firmware(pd->dev.m, usual, NULL);
    if (!found && g_file_test(path, G_FILE_TEST_IS_REGULAR)) found = g_strdup(path);
    if (found) ok = pci_load_rom(pd, found, block_name, err);
    g_free(path);
    g_free(found);
    return ok;
}

/* Offsets in an expansion ROM (PCI Firmware Specification 5.1). */
enum { ROM_SIGNATURE = 0xaa55, ROM_CHECKSUM = 6, ROM_PCIR = 0x18, PCIR_VENDOR = 4 };

void pci_rom_set_ids(PciDev *pd, uint16_t vendor, uint16_t device)
{
    RamBlock *b = pd->bars[PCI_ROM].region.ram;
    uint16_t pcir = b ? load_le16(b->host + ROM_PCIR) : 0;
    uint8_t ids[4], sum;

    if (!b || load_le16(b->host) != ROM_SIGNATURE || pcir > b->size - 8 ||
        memcmp(b->host + pcir, "PCIR", 4) != 0) {
        return;
    }
    store_le16(ids, vendor);
    store_le16(ids + 2, device);
    sum = b->host[ROM_CHECKSUM];
    for (unsigned i = 0; i < 4; i++) sum += (uint8_t)(b->host[pcir + PCIR_VENDOR + i] - ids[i]);
    ram_block_write(b, ROM_CHECKSUM, &sum, 1);
    ram_block_write(b, pcir + PCIR_VENDOR, ids, sizeof(ids));
}

/* Whether the BAR answers, by what configuration space says, and where. */
static bool pci_bar_decodes(PciDev *pd, int n, uint64_t *at)
{
    const PciBar *bar = &pd->bars[n];
    const uint8_t *config = pci_config(pd);
    uint16_t command = load_le16(config + PCI_COMMAND);
    uint32_t reg = load_le32(config + pci_bar_offset(n));

    *at = reg & ~(bar->size - 1);
    if (bar->wide) *at |= (uint64_t)load_le32(config + pci_bar_offset(n) + 4) << 32;
    if (!bar->size || !*at) return false;
    if (bar->io) return command & PCI_COMMAND_IO && *at <= 0x10000 - bar->size;
    if (n == PCI_ROM && !(reg & PCI_ROM_ENABLE)) return false;
    /* The last page of the space belongs to the firmware: a register being sized ends there. */
    return command & PCI_COMMAND_MEMORY && (uint32_t)(*at + (bar->size - 1)) != UINT32_MAX &&
           *at < PCI_SPACE;
}

static void pci_bar_unmap(PciDev *pd, PciBar *bar)
{
    if (!bar->mapped) return;
    bar->mapped = false;
    if (bar->io)
        pio_unmap(&pd->dev, bar->first_reg, bar->size);
    else
        mem_region_del(pd->dev.m, &bar->region);
}

static void pci_bar_map(PciDev *pd, PciBar *bar, uint64_t at)
{
    bar->mapped = true;
    bar->at = at;
    if (bar->io) {
        pio_map(&pd->dev, (uint32_t)at, bar->size, bar->io, bar->first_reg, bar->name, NULL);
        return;
    }
    bar->region.name = bar->name;
    bar->region.gpa = at & ~(uint64_t)PAGE_MASK;
    bar->region.size = MAX_OF(bar->size, PAGE_SIZE);
    bar->region.prio = PCI_PRIO;
    bar->region.enabled = true;
    bar->region.dev = &pd->dev;
    mem_region_add(pd->dev.m, &bar->region);
}

static void pci_map_bars(PciDev *pd)
{
    for (int n = 0; n <= PCI_ROM; n++) {
        PciBar *bar = &pd->bars[n];
        uint64_t at;
        bool decodes = pci_bar_decodes(pd, n, &at);

        if (bar->mapped == decodes && (!decodes || bar->at == at)) continue;
        pci_bar_unmap(pd, bar);
        if (decodes) pci_bar_map(pd, bar, at);
    }
}

/* -- life -- */

void pci_power_on(
    PciDev *pd, uint16_t vendor, uint16_t device, uint8_t revision, uint16_t class, uint8_t pin)
{
    uint8_t *config = pci_config(pd);

    pci_state(pd)->version_id = 2;
    store_le16(config + PCI_VENDOR_ID, vendor);
    store_le16(config + PCI_DEVICE_ID, device);
    config[PCI_REVISION] = revision;
    store_le16(config + PCI_CLASS, class);
    store_le16(config + PCI_SUBSYSTEM_VENDOR_ID, PCI_SUBSYSTEM_VENDOR);
    store_le16(config + PCI_SUBSYSTEM_ID, PCI_SUBSYSTEM_DEVICE);
    config[PCI_INTERRUPT_PIN] = pin;
}

void pci_reset(PciDev *pd)
{
    PciState *s = pci_state(pd);

    memset(s->irq_state, 0, sizeof(s->irq_state));
    store_le16(s->config + PCI_COMMAND, 0);
    s->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTX;
    s->config[PCI_STATUS + 1] &= (uint8_t)~PCI_STATUS_ERRORS;
    s->config[0x0c] = 0;
    s->config[PCI_INTERRUPT_LINE] = 0;
    for (int n = 0; n <= PCI_ROM; n++) {
        const PciBar *bar = &pd->bars[n];

        if (bar->size) store_le32(s->config + pci_bar_offset(n), pci_bar_type(bar));
        if (bar->wide) store_le32(s->config + pci_bar_offset(n) + 4, 0);
    }
}

void pci_sync(PciDev *pd) { pci_map_bars(pd); }

/* -- interrupts -- */

bool pci_irq_asserted(PciDev *pd, unsigned *pirq)
{
    const PciState *s = pci_state(pd);
    unsigned pin = s->config[PCI_INTERRUPT_PIN];

    if (!pin || pin > 4 || !s->irq_state[pin - 1]) return false;
    if (load_le16(s->config + PCI_COMMAND) & PCI_COMMAND_INTX_OFF) return false;
    /* The board's wiring: INTA of slot 1 is PIRQA, and each slot is one further on. */
    *pirq = (pin - 1 + pd->addr / 8 - 1) & 3;
    return true;
}

void pci_set_irq(PciDev *pd, bool level)
{
    PciState *s = pci_state(pd);
    unsigned pin = s->config[PCI_INTERRUPT_PIN];

    if (!pin || pin > 4 || s->irq_state[pin - 1] == level) return;
    s->irq_state[pin - 1] = level;
    s->config[PCI_STATUS] =
        (uint8_t)((s->config[PCI_STATUS] & ~PCI_STATUS_INTX) | (level ? PCI_STATUS_INTX : 0));
    pci_bus_update(pd->bus);
}

/* -- configuration cycles -- */

static bool touches(unsigned off, unsigned len, unsigned reg, unsigned reg_len)
{
    return off < reg + reg_len && reg < off + len;
}

uint32_t pci_config_read(PciDev *pd, unsigned off, unsigned len)
{
    const uint8_t *config = pci_config(pd);
    uint32_t val = 0;

    if (pd->config_reading) pd->config_reading(pd, off, len);
    for (unsigned i = 0; i < len; i++) val |= (uint32_t)config[(off + i) % PCI_CONFIG] << 8 * i;
    return val;
}

void pci_config_write(PciDev *pd, unsigned off, uint32_t val, unsigned len)
{
    uint8_t *config = pci_config(pd);
    bool masked = msix_masked(pd);

    for (unsigned i = 0; i < len; i++, val >>= 8) {
        unsigned at = (off + i) % PCI_CONFIG;
        uint8_t w = pd->wmask[at];

        config[at] = (uint8_t)((config[at] & ~w) | (val & w));
        config[at] &= (uint8_t) ~(val & pd->w1cmask[at]);
    }
    if (touches(off, len, PCI_COMMAND, 2) || touches(off, len, PCI_BAR0, 4 * PCI_BARS) ||
        touches(off, len, PCI_ROM_ADDRESS, 4))
        pci_map_bars(pd);
    if (touches(off, len, PCI_COMMAND, 2)) pci_bus_update(pd->bus);
    if (pd->msix.vectors && touches(off, len, pd->msix.cap, 4)) msix_config_written(pd, masked);
    if (pd->config_written) pd->config_written(pd, off, len);
}
