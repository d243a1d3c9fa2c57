/* SPDX-License-Identifier: MIT */
/*
 * savevm and loadvm as state machines on the main loop.
 *
 *   savevm:  checks -> stop, drain -> state written piece by piece -> entry on every disk
 *            -> older entries of the name deleted -> run on
 *   loadvm:  checks -> stop, drain -> state read piece by piece into copies -> disks checked
 *            -> disks switched -> copies committed -> run on
 *
 * Whatever fails before the last arrow but one leaves machine and disks as they were.
 */
#pragma once

#include "core/machine.h"

/* Told once, when all is over; err is empty on success. */
typedef void SnapshotDone(void *opaque, const Error *err);
/* Told now and then: percent of the work. */
typedef void SnapshotProgress(void *opaque, unsigned percent);

/* name NULL: vm-YYYYMMDDHHMMSS.  done may run before these return. */
void snapshot_save(
    Machine *m, const char *name, SnapshotProgress *progress, SnapshotDone *done, void *opaque);
void snapshot_load(
    Machine *m, const char *name, SnapshotProgress *progress, SnapshotDone *done, void *opaque);
bool snapshot_delete(Machine *m, const char *name, Error *err);
