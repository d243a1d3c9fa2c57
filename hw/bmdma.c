/* SPDX-License-Identifier: MIT */
/* The bus master of one IDE channel: registers and the walk of its table.  See bmdma.h. */
#include "hw/bmdma.h"

#include "core/machine.h"

enum { REG_COMMAND = 0, REG_STATUS = 2, REG_TABLE = 4 };
enum { TABLE_BYTES = 65536, ENTRY_BYTES = 8 };

/* -- tables -- */

static bool current_needed(const void *state) { return ((const Bmdma *)state)->cur_prd_len != 0; }

static const VmField current_fields[] = {
    VM_INT(Bmdma, cur_addr),
    VM_INT(Bmdma, cur_prd_last),
    VM_INT(Bmdma, cur_prd_addr),
    VM_INT(Bmdma, cur_prd_len),
    VM_END,
};
static const VmState current_vmstate = {
    .name = "ide bmdma/current",
    .version = 1,
    .min_version = 1,
    .needed = current_needed,
    .fields = current_fields,
};

/* migration_compat_status has no room for the bits that it uses otherwise. */
static bool status_needed(const void *state)
{
    return (((const Bmdma *)state)->status & RETRY_BMDMA) != 0;
}

static const VmField status_fields[] = { VM_INT(Bmdma, status), VM_END };
static const VmState status_vmstate = {
    .name = "ide bmdma/status",
    .version = 1,
    .min_version = 1,
    .needed = status_needed,
    .fields = status_fields,
};

static const VmField bmdma_fields[] = {
    VM_INT(Bmdma, cmd),
    VM_INT(Bmdma, migration_compat_status),
    VM_INT(Bmdma, addr),
    VM_INT(Bmdma, migration_retry_sector_num),
    VM_INT(Bmdma, migration_retry_nsector),
    VM_INT(Bmdma, migration_retry_unit),
    VM_END,
};
const VmState bmdma_vmstate = {
    .name = "ide bmdma",
    .version = 3,
    .min_version = 0,
    .fields = bmdma_fields,
    .subsections = VMSTATES(&current_vmstate, &status_vmstate),
};

void bmdma_to_wire(Bmdma *bm, const IdeBusState *bus)
{
    bm->migration_retry_unit = bus->retry_unit;
    bm->migration_retry_sector_num = bus->retry_sector_num;
    bm->migration_retry_nsector = bus->retry_nsector;
    bm->migration_compat_status =
        (uint8_t)((bm->status & ~RETRY_BMDMA) | (bus->error_status & RETRY_BMDMA));
}

void bmdma_from_wire(Bmdma *bm, IdeBusState *bus)
{
    if (!bm->status) bm->status = bm->migration_compat_status & (uint8_t)~RETRY_BMDMA;
    bm->status &= BM_ACTIVE | BM_ERROR | BM_INTERRUPT | BM_CAPABLE;
    if (bus->error_status) {
        bus->retry_unit = bm->migration_retry_unit;
        bus->retry_sector_num = bm->migration_retry_sector_num;
        bus->retry_nsector = bm->migration_retry_nsector;
    }
    bm->migration_compat_status = bm->migration_retry_unit = 0;
    bm->migration_retry_nsector = 0;
    bm->migration_retry_sector_num = 0;
    bm->cur_addr = bm->cur_prd_last = bm->cur_prd_addr = bm->cur_prd_len = 0;
}

/* -- registers -- */

uint32_t bmdma_read(const Bmdma *bm, unsigned reg)
{
    if (reg == REG_COMMAND) return bm->cmd;
    if (reg == REG_STATUS) return bm->status;
    return reg >= REG_TABLE ? bm->addr >> 8 * (reg - REG_TABLE) & 0xff : 0xff;
}

bool bmdma_write(Bmdma *bm, unsigned reg, uint8_t val)
{
    if (reg >= REG_TABLE) {
        unsigned shift = 8 * (reg - REG_TABLE);

        bm->addr = (bm->addr & ~(0xffu << shift)) | (uint32_t)val << shift;
        bm->addr &= ~3u;
        return false;
    }
    if (reg == REG_STATUS) {
        bm->status = (uint8_t)((val & BM_CAPABLE) | (bm->status & BM_ACTIVE) |
                               (bm->status & ~val & (BM_ERROR | BM_INTERRUPT)));
        return false;
    }
    if (reg == REG_COMMAND) {
        bool changed = (bm->cmd ^ val) & BM_START;

        bm->cmd = val & (BM_START | BM_TO_MEMORY);
        if (changed) {
            bm->status &= (uint8_t)~BM_ACTIVE;
            if (val & BM_START) bm->status |= BM_ACTIVE;
        }
        return changed;
    }
    return false;
}

/* -- the table -- */

typedef struct Entry {
    uint32_t base, bytes;
    bool last;
} Entry;

static uint32_t entry_addr(const Bmdma *bm, uint32_t n) { return bm->addr + n * ENTRY_BYTES; }

static Entry entry_read(const Bmdma *bm, Device *dev, uint32_t n)
{
    uint8_t raw[ENTRY_BYTES];
    uint32_t count;

    dma_read(dev, entry_addr(bm, n), raw, sizeof(raw));
    count = load_le32(raw + 4);
    return (Entry){ .base = load_le32(raw) & ~1u,
        .bytes = count & 0xfffe ? count & 0xfffe : 0x10000,
        .last = count >> 31 || (n + 2) * ENTRY_BYTES > TABLE_BYTES };
}

size_t bmdma_move(const Bmdma *bm, Device *dev, void *buf, size_t len, bool to_memory, bool *longer)
{
    size_t done = 0;
    Entry e = { 0 };

    *longer = false;
    for (uint32_t n = 0; !e.last; n++) {
        size_t bytes;

        if (done == len && n) {
            *longer = true;
            break;
        }
        e = entry_read(bm, dev, n);
        bytes = MIN_OF(e.bytes, len - done);
        if (to_memory)
            dma_write(dev, e.base, (char *)buf + done, bytes);
        else
            dma_read(dev, e.base, (char *)buf + done, bytes);
        done += bytes;
        if (bytes < e.bytes) {
            *longer = true;
            break;
        }
    }
    return done;
}

bool bmdma_present(const Bmdma *bm, Device *dev, size_t len, void (*resume)(Device *dev))
{
    size_t done = 0;
    Entry e = { 0 };

    for (uint32_t n = 0; !e.last && done < len; n++) {
        if (!dma_probe(dev, entry_addr(bm, n), ENTRY_BYTES, resume)) return false;
        e = entry_read(bm, dev, n);
        if (!dma_probe(dev, e.base, MIN_OF(e.bytes, len - done), resume)) return false;
        done += e.bytes;
    }
    return true;
}
