/* SPDX-License-Identifier: MIT */
/*
 * The bus master of one IDE channel.
 * Source: Programming Interface for Bus Master IDE Controller, revision 1.0.
 */
#pragma once

#include "hw/ide.h"

enum { BM_START = 0x01, BM_TO_MEMORY = 0x08 };
enum { BM_ACTIVE = 0x01, BM_ERROR = 0x02, BM_INTERRUPT = 0x04, BM_CAPABLE = 0x60 };
enum { BM_REGS = 8 }; /* bytes of ports per channel */

typedef struct Bmdma { /* guest state */
    uint32_t addr;     /* of the table */
    uint8_t cmd, status;
    /* Only on the wire: filled by bmdma_to_wire. */
    uint8_t migration_compat_status;
    uint8_t migration_retry_unit;
    uint32_t migration_retry_nsector;
    int64_t migration_retry_sector_num;
    uint32_t cur_addr, cur_prd_last, cur_prd_addr, cur_prd_len; /* of others' half-done transfers */
} Bmdma;
extern const VmState bmdma_vmstate;

uint32_t bmdma_read(const Bmdma *bm, unsigned reg);
/* True where the engine was started or stopped. */
bool bmdma_write(Bmdma *bm, unsigned reg, uint8_t val);

/* Before a save and after a load of the channel's section. */
void bmdma_to_wire(Bmdma *bm, const IdeBusState *bus);
void bmdma_from_wire(Bmdma *bm, IdeBusState *bus);

/* Walks the table: moves up to len bytes between buf and memory. */
size_t bmdma_move(
    const Bmdma *bm, Device *dev, void *buf, size_t len, bool to_memory, bool *longer);
/* Whether the table and what it describes, as far as len bytes, is in memory. */
bool bmdma_present(const Bmdma *bm, Device *dev, size_t len, void (*resume)(Device *dev));
