/* SPDX-License-Identifier: MIT */
/*
 * The disks of a machine as holders of snapshots.  One named snapshot of a machine is a set: an
 * entry on every writable disk, of one name, date (to the nanosecond) and VM clock; the first
 * capable disk also holds the VM state.
 */
#pragma once

#include "block/block.h"
#include "core/machine.h"
#include "migration/snapshot.h"

typedef struct SnapshotDisk {
    BlockDev *bd;
    int entry; /* of the set in question, in the disk's table; -1: none */
} SnapshotDisk;

typedef struct SnapshotDisks {
    SnapshotDisk *disk;
    unsigned n;
    unsigned holder; /* index of the disk that holds (or will hold) the VM state */
} SnapshotDisks;

/* The chosen disks (choice NULL: every writable one); fails where one cannot have snapshots, or
 * where there is none. */
bool snapshot_disks_collect(Machine *m, const SnapshotChoice *choice, SnapshotDisks *d, Error *err);
/* Whether a save may take this name: where a choice says to keep others, nobody may have it. */
bool snapshot_name_free(
    const SnapshotDisks *d, const char *name, const SnapshotChoice *choice, Error *err);
void snapshot_disks_free(SnapshotDisks *d);
/* Fills in the entries of the newest complete set of this name. */
bool snapshot_disks_find(SnapshotDisks *d, const char *name, Error *err);
/* Deletes every entry of this name but `keep` (an id on each disk; NULL keeps none). */
bool snapshot_disks_delete(
    SnapshotDisks *d, const char *name, const SnapshotInfo *keep, Error *err);
static inline const SnapshotInfo *snapshot_disk_info(const SnapshotDisk *d)
{
    return image_snapshot(block_dev_image(d->bd), (unsigned)d->entry);
}
/* Whether two entries belong to one set. */
bool snapshot_same_set(const SnapshotInfo *a, const SnapshotInfo *b);
