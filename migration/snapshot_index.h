/* SPDX-License-Identifier: MIT */
/*
 * What lets a snapshot be loaded over and over: where each page stands in its VM state, and which
 * pages the guest has written to since it was loaded (WATCH_SNAPSHOT: a page whose bit is set is
 * what the snapshot has).  A load of that snapshot then reads those pages and the devices alone.
 *
 * Invariant: while there is an index, a page whose bit is set holds what the index says of it,
 * whatever happens to the machine in between: every write clears the bit, as it does for a
 * migration; an incoming one writes every page, and the load of another snapshot drops the index.
 */
#pragma once

#include "block/block.h"
#include "migration/load.h"

typedef struct SnapshotIndex SnapshotIndex;

/* A snapshot with this entry on the disk with the VM state has been loaded by run, which was told
 * to note where RAM stands: kept in place of the one before. */
void snapshot_index_keep(LoadRun *run, const SnapshotInfo *info);
/* WATCH_SNAPSHOT is about to be used for something else. */
void snapshot_index_drop(Machine *m);
/* The index of this snapshot, or NULL where it is another one's, or the machine's RAM has become
 * another. */
SnapshotIndex *snapshot_index_find(Machine *m, const SnapshotInfo *info);

/* The pages to be read, for LoadRun.again: LoadPage without content.  NULL where they are so many
 * that all may as well be read. */
GArray *snapshot_index_changed(const SnapshotIndex *x);
/* The content of pages, and the parts of the VM state that are not RAM, with an end for the section
 * of RAM between them.  Runs on the drive's worker. */
bool snapshot_index_read(const SnapshotIndex *x, BlockImage *img, unsigned entry, GArray *pages,
    Stream *rest, Error *err);
