/* SPDX-License-Identifier: MIT */
/* The commands savevm, loadvm, delvm and info snapshots. */
#include <string.h>
#include <time.h>

#include "core/command.h"
#include "migration/snapshot.h"
#include "migration/snapshot_set.h"
#include "util/size.h"

static void snapshot_command_done(void *opaque, const Error *err) { sink_done(opaque, err); }

static void snapshot_command_progress(void *opaque, unsigned percent)
{
    sink_printf(opaque, "%u %%\n", percent);
}

static void savevm_run(CommandCall *call, Error *err)
{
    (void)err;
    snapshot_save(call->m, command_text(call, "name"), NULL, snapshot_command_progress,
        snapshot_command_done, call->out);
}

static void loadvm_run(CommandCall *call, Error *err)
{
    (void)err;
    snapshot_load(call->m, command_text(call, "name"), NULL, snapshot_command_progress,
        snapshot_command_done, call->out);
}

static void delvm_run(CommandCall *call, Error *err)
{
    snapshot_delete(call->m, command_text(call, "name"), NULL, err);
}

/* -- info snapshots -- */

typedef struct SnapshotList {
    Sink *out;
    GPtrArray *disks; /* BlockDev with snapshots to list */
} SnapshotList;

static void snapshot_list_collect(void *opaque, const char *id, void *obj)
{
    SnapshotList *l = opaque;
    BlockDev *bd = obj;

    (void)id;
    if (block_dev_has_medium(bd) && block_dev_writable(bd) &&
        image_can_snapshot(block_dev_image(bd)))
        g_ptr_array_add(l->disks, bd);
}

static void snapshot_print_header(Sink *out)
{
    sink_printf(
        out, "%-9s %-16s %8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE", "DATE", "VM CLOCK", "ICOUNT");
}

static void snapshot_print(Sink *out, const SnapshotInfo *info, const char *id)
{
    char size[32], date[64], clock[32], icount[32] = "";
    time_t t = info->date_s;
    uint64_t ms = info->vm_clock_ns / (uint64_t)NS_PER_MS, s = ms / 1000;
    struct tm tm;

    size_format(info->vm_state_size, size, sizeof(size));
    localtime_r(&t, &tm);
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
    g_snprintf(clock, sizeof(clock), "%02u:%02u:%02u.%03u", (unsigned)(s / 3600),
        (unsigned)(s / 60 % 60), (unsigned)(s % 60), (unsigned)(ms % 1000));
    if (info->icount != UINT64_MAX)
        g_snprintf(icount, sizeof(icount), "%" G_GUINT64_FORMAT, info->icount);
    sink_printf(out, "%-9s %-16s %8s%20s%13s%11s\n", id, info->name, size, date, clock, icount);
}

static bool snapshot_on_disk(BlockDev *bd, const SnapshotInfo *like)
{
    BlockImage *img = block_dev_image(bd);

    for (unsigned k = 0; k < image_snapshot_count(img); k++)
        if (snapshot_same_set(image_snapshot(img, k), like)) return true;
    return false;
}

static bool snapshot_on_all(const GPtrArray *disks, const SnapshotInfo *like)
{
    for (guint i = 0; i < disks->len; i++)
        if (!snapshot_on_disk(disks->pdata[i], like)) return false;
    return true;
}

/* The VM state may be on any disk of the set; its size is listed. */
static SnapshotInfo snapshot_with_size(const GPtrArray *disks, const SnapshotInfo *like)
{
    SnapshotInfo found = *like;

    for (guint i = 0; i < disks->len && !found.vm_state_size; i++) {
        BlockImage *img = block_dev_image(disks->pdata[i]);

        for (unsigned k = 0; k < image_snapshot_count(img); k++)
            if (snapshot_same_set(image_snapshot(img, k), like))
                found.vm_state_size = image_snapshot(img, k)->vm_state_size;
    }
    return found;
}

static bool snapshot_is_partial(const GPtrArray *disks, const SnapshotInfo *info)
{
    return !snapshot_on_all(disks, info) || !snapshot_with_size(disks, info).vm_state_size;
}

static void snapshot_list_partial(SnapshotList *l)
{
    for (guint i = 0; i < l->disks->len; i++) {
        BlockImage *img = block_dev_image(l->disks->pdata[i]);
        bool header = false;

        for (unsigned k = 0; k < image_snapshot_count(img); k++) {
            const SnapshotInfo *info = image_snapshot(img, k);

            if (!snapshot_is_partial(l->disks, info)) continue;
            if (!header) {
                sink_printf(l->out, "\nList of partial (non-loadable) snapshots on '%s':\n",
                    block_dev_id(l->disks->pdata[i]));
                snapshot_print_header(l->out);
            }
            header = true;
            snapshot_print(l->out, info, info->id);
        }
    }
}

static void snapshot_list(SnapshotList *l)
{
    BlockImage *first = block_dev_image(l->disks->pdata[0]);
    bool any = false, full = false;

    for (guint i = 0; i < l->disks->len; i++)
        any |= image_snapshot_count(block_dev_image(l->disks->pdata[i])) > 0;
    if (!any) {
        sink_printf(l->out, "There is no snapshot available.\n");
        return;
    }
    sink_printf(l->out, "List of snapshots present on all disks:\n");
    for (unsigned k = 0; k < image_snapshot_count(first); k++) {
        SnapshotInfo info = snapshot_with_size(l->disks, image_snapshot(first, k));

        if (snapshot_is_partial(l->disks, &info)) continue;
        if (!full) snapshot_print_header(l->out);
        full = true;
        snapshot_print(l->out, &info, "--");
    }
    if (!full) sink_printf(l->out, "None\n");
    snapshot_list_partial(l);
}

static void info_snapshots_run(CommandCall *call, Error *err)
{
    SnapshotList l = { .out = call->out, .disks = g_ptr_array_new() };

    (void)err;
    machine_object_each(call->m, "drive", snapshot_list_collect, &l);
    if (l.disks->len)
        snapshot_list(&l);
    else
        sink_printf(call->out, "no block device can store vmstate for snapshot\n");
    g_ptr_array_free(l.disks, TRUE);
}

typedef struct CompleteNames {
    void (*offer)(void *ctx, const char *word);
    void *ctx;
    const char *prefix;
} CompleteNames;

static void snapshot_complete_disk(void *opaque, const char *id, void *obj)
{
    CompleteNames *c = opaque;
    BlockImage *img = block_dev_has_medium(obj) ? block_dev_image(obj) : NULL;

    (void)id;
    for (unsigned k = 0; img && k < image_snapshot_count(img); k++)
        if (g_str_has_prefix(image_snapshot(img, k)->name, c->prefix))
            c->offer(c->ctx, image_snapshot(img, k)->name);
}

static void snapshot_complete(Machine *m, unsigned n, const char *prefix,
    void (*offer)(void *ctx, const char *word), void *ctx)
{
    CompleteNames c = { offer, ctx, prefix };

    if (n == 0) machine_object_each(m, "drive", snapshot_complete_disk, &c);
}

COMMAND(savevm, .name = "savevm", .args = "name:s?", .usage = "tag",
    .help = "save a VM snapshot. If no tag is provided, a new snapshot is created",
    .run = savevm_run, .async = true);
COMMAND(loadvm, .name = "loadvm", .args = "name:s", .usage = "tag",
    .help = "restore a VM snapshot from its tag", .run = loadvm_run, .async = true,
    .complete = snapshot_complete);
COMMAND(delvm, .name = "delvm", .args = "name:s", .usage = "tag",
    .help = "delete a VM snapshot from its tag", .run = delvm_run, .complete = snapshot_complete);
COMMAND(info_snapshots, .name = "info snapshots", .args = "", .usage = "",
    .help = "show the currently saved VM snapshots", .run = info_snapshots_run);
