/* SPDX-License-Identifier: MIT */
/*
 * The section `block`, version 1: disks that the two sides do not share, in chunks of 1 MiB.
 * Records of be64 (sector * 512 | flags).  Whole once, then what was written meanwhile.
 */
#pragma once

#include "core/machine.h"
#include "migration/load.h"
#include "migration/save.h"

enum {
    BLOCK_DATA = 0x01, /* the drive's name and a chunk follow; behind the disk's end, zeroes */
    BLOCK_EOS = 0x02,
    BLOCK_PROGRESS = 0x04,   /* the offset is a percentage * 512 */
    BLOCK_ZERO_CHUNK = 0x08, /* with BLOCK_DATA: all zeroes, nothing follows the name */
    BLOCK_FLAGS = 0x1ff,
    BLOCK_CHUNK = 1 << 20,
};

typedef struct BlockTotals {
    uint64_t total, transferred; /* bytes */
} BlockTotals;

/* `migrate -b`, `-i`: the capability and block-incremental, for the next migration alone. */
bool block_options_begin(Machine *m, bool whole, bool incremental, Error *err);
void block_options_end(Machine *m);

bool block_register(Machine *m, Error *err);
/* False where this save sends no disks, or has sent them whole. */
bool block_save_totals(const SaveRun *run, BlockTotals *t);
void block_load_record(LoadRun *run, Stream *st, int version, bool *end);
