/* SPDX-License-Identifier: MIT */
/* Sets of snapshots over the disks of a machine: see snapshot_set.h. */
#include "migration/snapshot_set.h"

#include <string.h>

typedef struct Collect {
    GArray *disks;
    Error *err;
    bool failed;
} Collect;

static void snapshot_collect_one(void *opaque, const char *id, void *obj)
{
    Collect *c = opaque;
    BlockDev *bd = obj;
    SnapshotDisk d = { bd, -1 };

    if (c->failed || !block_dev_has_medium(bd) || !block_dev_writable(bd)) return;
    if (!image_can_snapshot(block_dev_image(bd))) {
        c->failed = true;
        error_set(c->err, "Device '%s' is writable but does not support snapshots", id);
        return;
    }
    g_array_append_val(c->disks, d);
}

/* -- chosen disks -- */

typedef struct FindDisk {
    const char *name;
    BlockDev *found;
} FindDisk;

static void snapshot_find_one(void *opaque, const char *id, void *obj)
{
    FindDisk *f = opaque;

    if (!g_strcmp0(block_dev_option(obj, "node-name"), f->name) || !strcmp(id, f->name))
        f->found = obj;
}

static bool snapshot_choose_one(Machine *m, const char *name, GArray *disks, Error *err)
{
    FindDisk f = { name, NULL };
    SnapshotDisk d = { NULL, -1 };

    machine_object_each(m, "drive", snapshot_find_one, &f);
    if (!f.found) return error_set(err, "No block device node '%s'", name);
    if (!block_dev_has_medium(f.found) || !block_dev_writable(f.found))
        return error_set(err, "Device '%s' is not writable", name);
    if (!image_can_snapshot(block_dev_image(f.found)))
        return error_set(err, "Device '%s' is writable but does not support snapshots", name);
    for (guint i = 0; i < disks->len; i++)
        if (g_array_index(disks, SnapshotDisk, i).bd == f.found) return true; /* named twice */
    d.bd = f.found;
    g_array_append_val(disks, d);
    return true;
}

static bool snapshot_choose(Machine *m, const SnapshotChoice *c, GArray *disks, Error *err)
{
    if (!c->disks[0]) return error_set(err, "At least one device is required for snapshot");
    for (unsigned i = 0; c->disks[i]; i++)
        if (!snapshot_choose_one(m, c->disks[i], disks, err)) return false;
    return true;
}

/* The index of the disk that gets the VM state. */
static bool snapshot_choose_holder(Machine *m, SnapshotDisks *d, const char *name, Error *err)
{
    FindDisk f = { name, NULL };

    machine_object_each(m, "drive", snapshot_find_one, &f);
    for (d->holder = 0; d->holder < d->n; d->holder++)
        if (d->disk[d->holder].bd == f.found) return true;
    return error_set(err, "vmstate block device '%s' does not exist", name);
}

bool snapshot_name_free(
    const SnapshotDisks *d, const char *name, const SnapshotChoice *choice, Error *err)
{
    if (!choice || !choice->keep_others) return true;
    for (unsigned i = 0; i < d->n; i++) {
        BlockImage *img = block_dev_image(d->disk[i].bd);

        for (unsigned k = 0; k < image_snapshot_count(img); k++)
            if (!strcmp(image_snapshot(img, k)->name, name))
                return error_set(err, "Snapshot '%s' already exists in one or more devices", name);
    }
    return true;
}

/* -- sets -- */

bool snapshot_disks_collect(Machine *m, const SnapshotChoice *choice, SnapshotDisks *d, Error *err)
{
    Collect c = { .disks = g_array_new(FALSE, FALSE, sizeof(SnapshotDisk)), .err = err };

    *d = (SnapshotDisks){ 0 };
    if (choice)
        c.failed = !snapshot_choose(m, choice, c.disks, err);
    else
        machine_object_each(m, "drive", snapshot_collect_one, &c);
    if (!c.failed && !c.disks->len)
        c.failed = !error_set(err, "no block device can store vmstate for snapshot");
    d->n = c.disks->len;
    d->disk = (SnapshotDisk *)(void *)g_array_free(c.disks, FALSE);
    if (!c.failed && choice && choice->vmstate)
        c.failed = !snapshot_choose_holder(m, d, choice->vmstate, err);
    if (c.failed) snapshot_disks_free(d);
    return !c.failed;
}

void snapshot_disks_free(SnapshotDisks *d)
{
    g_free(d->disk);
    *d = (SnapshotDisks){ 0 };
}

bool snapshot_same_set(const SnapshotInfo *a, const SnapshotInfo *b)
{
    return !strcmp(a->name, b->name) && a->date_s == b->date_s && a->date_ns == b->date_ns &&
           a->vm_clock_ns == b->vm_clock_ns;
}

/* Sets each disk's entry to the newest one that belongs to the set of `like`. */
static bool snapshot_disks_match(SnapshotDisks *d, const SnapshotInfo *like)
{
    for (unsigned i = 0; i < d->n; i++) {
        BlockImage *img = block_dev_image(d->disk[i].bd);

        d->disk[i].entry = -1;
        for (unsigned k = image_snapshot_count(img); k-- > 0 && d->disk[i].entry < 0;)
            if (snapshot_same_set(image_snapshot(img, k), like)) d->disk[i].entry = (int)k;
        if (d->disk[i].entry < 0) return false;
    }
    return true;
}

bool snapshot_disks_find(SnapshotDisks *d, const char *name, Error *err)
{
    BlockImage *first = block_dev_image(d->disk[0].bd);
    bool found = false, on_all = true;

    for (unsigned i = 0; i < d->n; i++) {
        BlockImage *img = block_dev_image(d->disk[i].bd);
        bool here = false;

        for (unsigned k = 0; k < image_snapshot_count(img); k++)
            here |= !strcmp(image_snapshot(img, k)->name, name);
        on_all &= here;
    }
    if (!on_all) return error_set(err, "Snapshot '%s' does not exist in one or more devices", name);
    for (unsigned k = image_snapshot_count(first); !found && k-- > 0;)
        found = !strcmp(image_snapshot(first, k)->name, name) &&
                snapshot_disks_match(d, image_snapshot(first, k));
    if (!found)
        return error_set(err,
            "Snapshot '%s' was not taken of all devices at one time: it does not fit together",
            name);
    for (d->holder = 0; d->holder < d->n; d->holder++)
        if (snapshot_disk_info(&d->disk[d->holder])->vm_state_size) return true;
    return error_set(err, "This is a disk-only snapshot. Revert to it offline using qemu-img");
}

typedef struct DeleteCall {
    const char *name;
    const SnapshotInfo *keep;
    Error *err;
    bool ok;
} DeleteCall;

/* On the worker.  From the end, so that numbers stay valid. */
static void snapshot_delete_call(BlockImage *img, void *opaque)
{
    DeleteCall *c = opaque;

    for (unsigned k = image_snapshot_count(img); c->ok && k-- > 0;) {
        const SnapshotInfo *info = image_snapshot(img, k);

        if (strcmp(info->name, c->name)) continue;
        if (c->keep && snapshot_same_set(info, c->keep)) continue;
        c->ok = image_snapshot_delete(img, k, c->err);
    }
}

bool snapshot_disks_delete(SnapshotDisks *d, const char *name, const SnapshotInfo *keep, Error *err)
{
    DeleteCall c = { .name = name, .keep = keep, .err = err, .ok = true };

    for (unsigned i = 0; c.ok && i < d->n; i++) {
        block_call_sync(d->disk[i].bd, snapshot_delete_call, &c);
        if (!c.ok)
            error_prefix(
                err, "Error while deleting snapshot on device '%s': ", block_dev_id(d->disk[i].bd));
    }
    return c.ok;
}
