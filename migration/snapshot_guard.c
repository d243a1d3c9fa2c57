/* SPDX-License-Identifier: MIT */
/* A loadvm over several disks, cut short: see snapshot_guard.h. */
#include "migration/snapshot_guard.h"

#include <string.h>

#include "migration/migration.h"

#define GUARD "stasis:before-loadvm:"

/* What the entries on a set of disks tell. */
typedef struct Guard {
    SnapshotInfo info;         /* of the guard's entries; VM clock: on how many disks */
    unsigned n;                /* disks that have it */
    unsigned before, at, both; /* disks that are what they were, at the snapshot, or the same */
    const char *first_before, *first_at;
    SnapshotInfo target;
    Error *err;
} Guard;

static bool guard_is(const SnapshotInfo *info) { return g_str_has_prefix(info->name, GUARD); }

/* -- on the workers -- */

static void guard_set_call(BlockImage *img, void *opaque)
{
    Guard *g = opaque;
    SnapshotInfo info = g->info;

    image_snapshot_create(img, &info, g->err);
}

static void guard_clear_call(BlockImage *img, void *opaque)
{
    (void)opaque;
    for (unsigned k = image_snapshot_count(img); k-- > 0;)
        if (guard_is(image_snapshot(img, k))) image_snapshot_delete(img, k, NULL);
}

static void guard_compare(BlockImage *img, const SnapshotInfo *like, bool *same)
{
    *same = false;
    for (unsigned k = image_snapshot_count(img); k-- > 0;)
        if (snapshot_same_set(image_snapshot(img, k), like)) {
            image_snapshot_is_active(img, k, same, NULL);
            return;
        }
}

static void guard_look_call(BlockImage *img, void *opaque)
{
    Guard *g = opaque;
    bool before, at;

    guard_compare(img, &g->info, &before);
    guard_compare(img, &g->target, &at);
    g->both += before && at;
    g->before += before && !at;
    g->at += at && !before;
}

/* -- deciding -- */

/* Leaves in d the disks that have the first guard entry found; false: there is none. */
static bool guard_find(SnapshotDisks *d, Guard *g)
{
    unsigned n = 0;

    for (unsigned i = 0; i < d->n; i++) {
        BlockImage *img = block_dev_image(d->disk[i].bd);
        bool here = false;

        for (unsigned k = 0; k < image_snapshot_count(img) && !here; k++) {
            const SnapshotInfo *info = image_snapshot(img, k);

            if (!g->n && guard_is(info)) g->info = *info;
            here = guard_is(info) && snapshot_same_set(info, &g->info);
            if (here) g->n++;
        }
        if (here) d->disk[n++] = d->disk[i];
    }
    d->n = n;
    return n > 0;
}

/* Whether the disks are of different moments.  An incomplete guard tells nothing: it was being set,
 * or taken away. */
static bool guard_mixed(SnapshotDisks *d, Guard *g)
{
    if (!guard_find(d, g) || g->n != g->info.vm_clock_ns) return false;
    if (!snapshot_disks_find(d, g->info.name + strlen(GUARD), NULL)) return false;
    g->target = *snapshot_disk_info(&d->disk[d->holder]);
    for (unsigned i = 0; i < d->n; i++) {
        unsigned before = g->before, at = g->at;

        block_call_sync(d->disk[i].bd, guard_look_call, g);
        if (g->before > before) g->first_before = block_dev_id(d->disk[i].bd);
        if (g->at > at) g->first_at = block_dev_id(d->disk[i].bd);
    }
    return g->before && g->at && g->before + g->at + g->both == d->n;
}

static SnapshotDisks guard_copy(const SnapshotDisks *d)
{
    SnapshotDisks copy = *d;

    copy.disk = g_memdup2(d->disk, d->n * sizeof(*d->disk));
    return copy;
}

/* -- outside -- */

void snapshot_guard_clear(SnapshotDisks *d)
{
    for (unsigned i = 0; i < d->n; i++) block_call_sync(d->disk[i].bd, guard_clear_call, NULL);
}

bool snapshot_guard_set(SnapshotDisks *d, const char *name, Error *err)
{
    SnapshotDisks copy;
    int64_t now = host_wall_ns();
    Guard old = { .n = 0 }, g = { .err = err };
    bool mixed;

    if (d->n < 2) return true;
    copy = guard_copy(d);
    mixed = guard_mixed(&copy, &old);
    snapshot_disks_free(&copy);
    if (mixed) return true; /* what they were before the first attempt still stands */
    snapshot_guard_clear(d);
    g.info = (SnapshotInfo){ .date_s = (uint32_t)(now / NS_PER_S),
        .date_ns = (uint32_t)(now % NS_PER_S),
        .vm_clock_ns = d->n,
        .icount = UINT64_MAX };
    g_snprintf(g.info.name, sizeof(g.info.name), "%s%s", GUARD, name);
    for (unsigned i = 0; i < d->n && !error_is_set(err); i++) {
        block_call_sync(d->disk[i].bd, guard_set_call, &g);
        if (error_is_set(err))
            error_prefix(err, "Error while activating snapshot '%s' on '%s': ", name,
                block_dev_id(d->disk[i].bd));
    }
    if (error_is_set(err)) snapshot_guard_clear(d);
    return !error_is_set(err);
}

static void guard_collect_one(void *opaque, const char *id, void *obj)
{
    SnapshotDisk d = { obj, -1 };

    (void)id;
    if (block_dev_has_medium(obj) && block_dev_writable(obj) &&
        image_can_snapshot(block_dev_image(obj)))
        g_array_append_val((GArray *)opaque, d);
}

bool snapshot_guard_check(Machine *m, Error *err)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(SnapshotDisk));
    SnapshotDisks d = { .n = 0 };
    Guard g = { .n = 0 };
    bool mixed;

    machine_object_each(m, "drive", guard_collect_one, all);
    d.n = all->len;
    d.disk = (SnapshotDisk *)(void *)g_array_free(all, FALSE);
    mixed = guard_mixed(&d, &g);
    if (!mixed && g.n && g.n == g.info.vm_clock_ns) snapshot_guard_clear(&d);
    snapshot_disks_free(&d);
    if (!mixed) return true;
    return error_set(err,
        "loadvm '%s' was cut short: disk '%s' is at it and '%s' is not; start with -loadvm %s, or "
        "take it back with stasis-img snapshot -a '%s' on each disk",
        g.target.name, g.first_at, g.first_before, g.target.name, g.info.name);
}
