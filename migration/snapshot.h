/* SPDX-License-Identifier: MIT */
/*
 * savevm and loadvm as state machines on the main loop.
 *
 *   savevm:  checks -> stop, drain -> state written piece by piece -> entry on every disk
 *            -> older entries of the name deleted -> run on
 *   loadvm:  checks -> stop, drain -> state read piece by piece into copies -> disks checked
 *            -> disks switched -> copies committed -> run on
 *            (of several disks each keeps what it was until all are there: snapshot_guard.h)
 *            (the snapshot that was loaded last: only what has changed is read: snapshot_index.h)
 *
 * Whatever fails before the last arrow but one leaves machine and disks as they were.
 */
#pragma once

#include "core/machine.h"

/* Told once, when all is over; err is empty on success. */
typedef void SnapshotDone(void *opaque, const Error *err);
/* Told now and then: percent of the work. */
typedef void SnapshotProgress(void *opaque, unsigned percent);

/* Which disks take part; NULL instead: every writable one. */
typedef struct SnapshotChoice {
    const char *const *disks; /* names (node-name= or id=), ended by NULL */
    const char *vmstate;      /* the one that gets the VM state; NULL: not asked */
    bool keep_others;         /* a save is refused where the name is taken, instead of replacing */
} SnapshotChoice;

/* name NULL: vm-YYYYMMDDHHMMSS.  done may run before these return; choice is not kept. */
void snapshot_save(Machine *m, const char *name, const SnapshotChoice *choice,
    SnapshotProgress *progress, SnapshotDone *done, void *opaque);
void snapshot_load(Machine *m, const char *name, const SnapshotChoice *choice,
    SnapshotProgress *progress, SnapshotDone *done, void *opaque);
bool snapshot_delete(Machine *m, const char *name, const SnapshotChoice *choice, Error *err);
