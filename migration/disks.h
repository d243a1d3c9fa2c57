/* SPDX-License-Identifier: MIT */
/* Who owns the disks: given up before a switchover, taken after an arrival or a failure. */
#pragma once

#include "core/machine.h"

/* Waits for every request of every drive. */
void disks_drain(Machine *m);
/* Flushes and unlocks every image / locks and reads its tables anew. */
bool disks_give_up(Machine *m, Error *err);
bool disks_take(Machine *m, Error *err);
/* One drive, that is to be written to before the others; again is no harm. */
bool disks_take_one(struct BlockDev *bd, Error *err);
/* Someone else has a disk that this machine would write. */
bool disks_contested(Machine *m);

/* A flush of every drive while the guest runs, so that the one at its stop has little to do. */
typedef struct DisksFlush DisksFlush;
DisksFlush *disks_flush_begin(Machine *m);
bool disks_flush_done(const DisksFlush *f);
/* Also before it is done: what is under way ends by itself.  f may be NULL. */
void disks_flush_end(DisksFlush *f);
