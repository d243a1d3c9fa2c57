/* SPDX-License-Identifier: MIT */
/*
 * A loadvm over several disks, cut short.
 *
 * Each disk is switched by one write of its header, one disk after the other: whoever is killed in
 * between leaves disks of different moments.  So before the first switch every disk gets an entry
 * that holds what it is then, named "stasis:before-loadvm:" and the snapshot's name, and loses it
 * after the last one.  A start that finds the entries asks of each disk which of the two it is:
 * all before, or all at the snapshot, and they are taken away; some of either, and it is refused.
 * A disk that is neither has been written to since, and whoever did that knew what he had.
 */
#pragma once

#include "migration/snapshot_set.h"

/* Before the first switch, in a load of the snapshot `name`; one disk needs no guard. */
bool snapshot_guard_set(SnapshotDisks *d, const char *name, Error *err);
/* After the last one, or after all have been switched back. */
void snapshot_guard_clear(SnapshotDisks *d);
