/* SPDX-License-Identifier: MIT */
/* How pages are written: whole, as one repeated byte, or as a difference.  Which ones is
 * ram_save.c's. */
#pragma once

#include "migration/ram.h"
#include "migration/xbzrle.h"

typedef struct RamPut {
    RamBlock *named;    /* whose name the last record gave */
    RamStats *stats;    /* counts of pages and encodings; its rounds are read */
    XbzrleCache *cache; /* where xbzrle is on */
    bool last;          /* the guest stands: what is sent now is sent for good */
} RamPut;

void ram_put_begin(RamPut *p, SaveRun *run, RamStats *stats);
void ram_put_page(RamPut *p, SaveRun *run, Stream *st, RamBlock *b, uint64_t page);
void ram_put_end(RamPut *p);
