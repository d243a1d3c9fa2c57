/* SPDX-License-Identifier: MIT */
/*
 * What lets snapshots be loaded over and over: where each page stands in a snapshot's VM state, and
 * which pages are others in RAM.  A load of such a snapshot then reads those pages and the devices
 * alone.
 *
 * There are a few at a time.  One is the base: the snapshot that was saved or loaded last, and a
 * page whose WATCH_SNAPSHOT bit is set is what that one has.  Each other has a set of pages, `far`,
 * in which it may differ from the base.  To load another than the base, its far pages lose their
 * bits, and it is the base; what it may differ in from the others grows by as much.
 *
 * Invariant: a page whose bit is set holds what the base's index says of it, whatever happens to
 * the machine in between: every write clears the bit, as it does for a migration; an incoming one
 * writes every page, and a load of a snapshot that has no index drops them all.
 */
#pragma once

#include "block/block.h"
#include "migration/load.h"
#include "migration/save.h"

typedef struct SnapshotIndex SnapshotIndex;

/* A snapshot with this entry on the disk with the VM state has been loaded by run, which was told
 * to note where RAM stands: its index is the only one. */
void snapshot_index_keep(LoadRun *run, const SnapshotInfo *info);
/* A save of the stopped guest begins, which notes where RAM goes ... */
void snapshot_index_saving(SaveRun *run);
/* ... and is a snapshot with this entry now. */
void snapshot_index_saved(SaveRun *run, const SnapshotInfo *info);
/* WATCH_SNAPSHOT is about to be used for something else. */
void snapshot_index_drop(Machine *m);
/* The index of this snapshot, or NULL where there is none, or the machine's RAM has become
 * another. */
SnapshotIndex *snapshot_index_find(Machine *m, const SnapshotInfo *info);

/* The pages to be read, for LoadRun.again: LoadPage without content.  NULL where they are so many
 * that all may as well be read.  The snapshot is the base from here. */
GArray *snapshot_index_changed(SnapshotIndex *x);
/* The content of pages, and the parts of the VM state that are not RAM, with an end for the section
 * of RAM between them.  Runs on the drive's worker. */
bool snapshot_index_read(const SnapshotIndex *x, BlockImage *img, unsigned entry, GArray *pages,
    Stream *rest, Error *err);
