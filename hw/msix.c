/* SPDX-License-Identifier: MIT */
/* See msix.h. */
#include "hw/msix.h"

#include <string.h>

#include "core/machine.h"
#include "hw/lapic.h"

enum { CAP_ID = 0x11, CAP_CONTROL = 2, CAP_TABLE = 4, CAP_PBA = 8 };
enum { CONTROL_SIZE = 0x7ff, CONTROL_ENABLE = 0x8000, CONTROL_MASK = 0x4000 };
enum { ENTRY_ADDRESS = 0, ENTRY_UPPER = 4, ENTRY_DATA = 8, ENTRY_CONTROL = 12, ENTRY_MASKED = 1 };
enum { BAR_BYTES = 4096, PCI_STATUS_CAPS = 0x10 };

static MsixState *msix_state(PciDev *pd)
{
    return (MsixState *)((char *)device_state(&pd->dev) + pd->msix.offset);
}

/* The waiting bits stand in the middle of a page, unless the table reaches beyond that. */
static uint32_t pba_at(const PciDev *pd)
{
    return MAX_OF(BAR_BYTES / 2, pd->msix.vectors * MSIX_ENTRY);
}

static uint32_t bar_bytes(const PciDev *pd)
{
    uint32_t pba_bytes = (pd->msix.vectors + 63) / 64 * 8;

    return pba_at(pd) + pba_bytes > BAR_BYTES ? 2 * BAR_BYTES : BAR_BYTES;
}

static uint16_t msix_control(PciDev *pd)
{
    return load_le16(pci_config(pd) + pd->msix.cap + CAP_CONTROL);
}

bool msix_enabled(PciDev *pd) { return pd->msix.vectors && msix_control(pd) & CONTROL_ENABLE; }

bool msix_masked(PciDev *pd) { return !msix_enabled(pd) || msix_control(pd) & CONTROL_MASK; }

static bool msix_vector_masked(PciDev *pd, unsigned vector)
{
    const uint8_t *entry = msix_state(pd)->table + vector * MSIX_ENTRY;

    return msix_masked(pd) || entry[ENTRY_CONTROL] & ENTRY_MASKED;
}

/* -- messages -- */

/* A write to where the local APICs are is an interrupt (SDM volume 3, 10.11). */
static void msix_interrupt(PciDev *pd, uint32_t address, uint32_t data)
{
    ApicMessage msg = { .dest = address >> 12 & 0xff,
        .logical = address & 4,
        .level = data & 0x8000,
        .mode = data >> 8 & 7,
        .vector = (uint8_t)data };

    apic_send(apic_bus(pd->dev.m), &msg);
}

static void msix_send(PciDev *pd, unsigned vector)
{
    const uint8_t *entry = msix_state(pd)->table + vector * MSIX_ENTRY;
    uint64_t address = load_le64(entry + ENTRY_ADDRESS) & ~3ull;

    if (!(load_le16(pci_config(pd) + PCI_COMMAND) & PCI_COMMAND_MASTER)) return;
    if (address >> 20 == 0xfee)
        msix_interrupt(pd, (uint32_t)address, load_le32(entry + ENTRY_DATA));
    else
        dma_write(&pd->dev, address, entry + ENTRY_DATA, 4);
}

void msix_notify(PciDev *pd, unsigned vector)
{
    if (vector >= pd->msix.vectors) return;
    if (msix_vector_masked(pd, vector))
        msix_state(pd)->pba[vector / 8] |= (uint8_t)(1 << vector % 8);
    else
        msix_send(pd, vector);
}

void msix_forget(PciDev *pd, unsigned vector)
{
    if (vector < pd->msix.vectors) msix_state(pd)->pba[vector / 8] &= (uint8_t) ~(1u << vector % 8);
}

/* The vector is masked no longer: what waits for that goes out. */
static void msix_unmasked(PciDev *pd, unsigned vector)
{
    if (msix_vector_masked(pd, vector) || !(msix_state(pd)->pba[vector / 8] >> vector % 8 & 1))
        return;
    msix_forget(pd, vector);
    msix_send(pd, vector);
}

/* -- registers -- */

static uint64_t msix_read(Device *dev, MemAttrs attrs, uint64_t off, unsigned size)
{
    PciDev *pd = (PciDev *)dev;
    const MsixState *s = msix_state(pd);
    uint8_t buf[8] = { 0 };

    (void)attrs;
    off &= bar_bytes(pd) - 1;
    for (unsigned i = 0; i < size; i++, off++) {
        if (off < pd->msix.vectors * MSIX_ENTRY) buf[i] = s->table[off];
        if (off >= pba_at(pd) && off - pba_at(pd) < sizeof(s->pba))
            buf[i] = s->pba[off - pba_at(pd)];
    }
    return load_le64(buf);
}

static void msix_write(Device *dev, MemAttrs attrs, uint64_t off, uint64_t val, unsigned size)
{
    PciDev *pd = (PciDev *)dev;
    unsigned vector;

    (void)attrs;
    off &= bar_bytes(pd) - 1;
    vector = (unsigned)off / MSIX_ENTRY;
    if (vector >= pd->msix.vectors) return;
    if (size < 4 || off & 3) { /* by doublewords only */
        guest_error(dev, "MSI-X: write of %u bytes at %#x", size, (unsigned)off);
        return;
    }
    store_le32(msix_state(pd)->table + off, (uint32_t)val);
    msix_unmasked(pd, vector);
}

static const MmioOps msix_ops = { .read = msix_read, .write = msix_write, .max = 4 };

void msix_config_written(PciDev *pd, bool was_masked)
{
    if (!msix_enabled(pd)) return;
    pci_set_irq(pd, false);
    if (!was_masked || msix_masked(pd)) return;
    for (unsigned vector = 0; vector < pd->msix.vectors; vector++) msix_unmasked(pd, vector);
}

/* -- life -- */

bool msix_init(
    PciDev *pd, int bar, const char *name, unsigned vectors, size_t offset, uint8_t cap, Error *err)
{
    if (vectors > MSIX_VECTORS)
        return error_set(err, "vectors=%u: at most %d are there", vectors, MSIX_VECTORS);
    pd->msix = (PciMsix){ .vectors = vectors, .cap = cap, .bar = bar, .offset = offset };
    if (!vectors) return true;
    pci_bar_mmio(pd, bar, name, bar_bytes(pd), &msix_ops);
    store_le16(pd->wmask + cap + CAP_CONTROL, CONTROL_ENABLE | CONTROL_MASK);
    return true;
}

void msix_power_on(PciDev *pd)
{
    uint8_t *config = pci_config(pd), *cap = config + pd->msix.cap;

    if (!pd->msix.vectors) return;
    cap[0] = CAP_ID;
    cap[1] = config[PCI_CAPABILITY_LIST];
    store_le16(cap + CAP_CONTROL, (uint16_t)(pd->msix.vectors - 1));
    store_le32(cap + CAP_TABLE, (uint32_t)pd->msix.bar);
    store_le32(cap + CAP_PBA, pba_at(pd) | (uint32_t)pd->msix.bar);
    config[PCI_CAPABILITY_LIST] = pd->msix.cap;
    config[PCI_STATUS] |= PCI_STATUS_CAPS;
}

void msix_reset(PciDev *pd)
{
    MsixState *s;

    if (!pd->msix.vectors) return;
    s = msix_state(pd);
    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < pd->msix.vectors; i++)
        s->table[i * MSIX_ENTRY + ENTRY_CONTROL] = ENTRY_MASKED;
    store_le16(pci_config(pd) + pd->msix.cap + CAP_CONTROL, (uint16_t)(pd->msix.vectors - 1));
}

/* -- the wire -- */

unsigned msix_vectors(const uint8_t *config)
{
    unsigned at = config[PCI_CAPABILITY_LIST], steps = 0;

    while (at && config[at] != CAP_ID && steps++ < PCI_CONFIG / 4)
        at = config[(at + 1) % PCI_CONFIG];
    if (!at || config[at] != CAP_ID || at > PCI_CONFIG - MSIX_CAP_BYTES) return 0;
    return (load_le16(config + at + CAP_CONTROL) & CONTROL_SIZE) + 1u;
}

void msix_save(Stream *st, const MsixState *s, unsigned vectors)
{
    stream_put(st, s->table, (size_t)vectors * MSIX_ENTRY);
    stream_put(st, s->pba, (vectors + 7) / 8);
}

void msix_load(Stream *st, MsixState *s, unsigned vectors)
{
    stream_get(st, s->table, (size_t)vectors * MSIX_ENTRY);
    stream_get(st, s->pba, (vectors + 7) / 8);
}
