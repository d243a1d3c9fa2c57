/* SPDX-License-Identifier: MIT */
/*
 * Pages as zlib's streams (flag 0x100 of the section `ram`).  Threads compress and decompress
 * them, a batch at a time.  The pages of a batch do not change until it is done.
 */
#pragma once

#include "migration/ram.h"

enum {
    COMPRESS_BATCH = 64,
    COMPRESSED_MAX = PAGE_SIZE + 14, /* what zlib may make of a page that it cannot shorten */
};

typedef struct RamZip RamZip;

typedef struct RamZipJob {
    RamBlock *block;
    uint64_t page;
    uint8_t *data;
    size_t len; /* of zip; 0: it would be no shorter than the page */
    uint8_t zip[COMPRESSED_MAX];
} RamZipJob;

RamZip *ram_zip_new(unsigned level, unsigned threads);
RamZip *ram_unzip_new(unsigned threads);
void ram_zip_free(RamZip *z);

/* The next job of the batch, to be filled; before, there is room for one. */
RamZipJob *ram_zip_add(RamZip *z);
bool ram_zip_full(const RamZip *z);
/* Compresses, or decompresses, the batch; the jobs are then read with ram_zip_job, and the next
 * batch begins with ram_zip_clear.  wait: where all threads are busy, the caller waits for one;
 * otherwise jobs are left undone, *undone of them, with len 0. */
void ram_zip_run(RamZip *z, bool wait, unsigned *undone);
RamZipJob *ram_zip_job(RamZip *z, unsigned i); /* NULL behind the last one */
void ram_zip_clear(RamZip *z);
/* Decompressed, they were all pages. */
bool ram_zip_ok(const RamZip *z);
/* The batch has a job for this page. */
bool ram_zip_holds(const RamZip *z, const uint8_t *data);
