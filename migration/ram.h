/* SPDX-License-Identifier: MIT */
/* The section `ram`, version 4: records of be64 (offset | flags). */
#pragma once

#include "core/machine.h"
#include "migration/load.h"
#include "migration/save.h"

enum {
    RAM_ZERO = 0x02,      /* a page of one repeated byte, which follows */
    RAM_MEM_SIZE = 0x04,  /* the list of blocks follows */
    RAM_PAGE = 0x08,      /* 4096 bytes follow */
    RAM_EOS = 0x10,       /* end of this START, PART or END */
    RAM_CONTINUE = 0x20,  /* in the same block as the record before: no name follows */
    RAM_XBZRLE = 0x40,    /* byte 1, be16 length and a difference follow */
    RAM_COMPRESS = 0x100, /* be32 length and zlib's stream follow */
    RAM_FLAGS = 0xfff,
};

typedef struct RamStats {
    uint64_t total;             /* bytes of all blocks */
    uint64_t transferred;       /* bytes written to the stream */
    uint64_t precopy, downtime; /* of them while the guest ran, while it stood ... */
    uint64_t postcopy;          /* ... and after it had left */
    uint64_t requests;          /* pages that the far side could not wait for */
    uint64_t pages;             /* dealt with: sent in any form, or found unchanged */
    uint64_t duplicate, normal; /* of them, sent as one byte and whole */
    uint64_t cache_size;        /* xbzrle is on: its bytes; else 0 */
    uint64_t xbzrle_pages, xbzrle_bytes, xbzrle_misses, xbzrle_overflows;
    bool compress;                                          /* is on */
    uint64_t compress_pages, compress_bytes, compress_busy; /* busy: pages that no thread took */
    uint64_t rounds;                                        /* dirty syncs */
} RamStats;

bool ram_register(Machine *m, Error *err);
/* Post-copy: pages that the far side waits for, sent first.  name "": the block of the last
 * request.  False where there are no such pages. */
bool ram_save_request(SaveRun *run, const char *name, uint64_t start, uint64_t len);
/* A new connection: nothing is asked for, and pages name their blocks again ... */
void ram_save_restart(SaveRun *run);
/* ... and of a block these pages have come (a bit each, 64-bit words, little endian), and no
 * others. */
void ram_save_received(RamBlock *b, const uint8_t *bits);
/* Such pages are waiting to be sent. */
bool ram_save_urgent(const SaveRun *run);
/* Before the first page of a save of a stopped guest: where each page goes is noted ... */
void ram_save_note(SaveRun *run);
/* ... and told for a block, as LoadBlock.at has it; g_free it.  Once. */
uint64_t *ram_save_noted(SaveRun *run, const RamBlock *b);
const RamStats *ram_save_stats(const SaveRun *run);
/* Bytes of pages that are dirty now. */
uint64_t ram_save_remaining(const SaveRun *run);

extern const IterableOps ram_ops;
void ram_load_record(LoadRun *run, Stream *st, int version, bool *end);
