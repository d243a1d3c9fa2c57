/* SPDX-License-Identifier: MIT */
/* How pages are written: whole, as one byte, as a difference, or compressed.  Which ones, is
 * ram_save.c's. */
#pragma once

#include "migration/ram.h"
#include "migration/ram_compress.h"
#include "migration/xbzrle.h"

typedef struct RamPut {
    RamBlock *named;    /* whose name the last record gave */
    RamStats *stats;    /* counts of pages and encodings; its rounds are read */
    XbzrleCache *cache; /* where xbzrle is on */
    RamZip *zip;        /* where compress is on */
    bool wait;          /* for its threads */
    unsigned zipped;    /* pages since ram_put_flush's caller set it to 0 */
    uint64_t *at;       /* where pages of the current block go is noted here, or NULL */
    bool last;          /* the guest stands: what is sent now is sent for good */
} RamPut;

void ram_put_begin(RamPut *p, SaveRun *run, RamStats *stats);
void ram_put_page(RamPut *p, SaveRun *run, Stream *st, RamBlock *b, uint64_t page, bool hole);
/* Writes what the threads have: before anything but pages is written, and the guest runs. */
void ram_put_flush(RamPut *p, Stream *st);
void ram_put_end(RamPut *p);
