/* SPDX-License-Identifier: MIT */
/* QMP's commands about drives.  Not modelled: throttling, accounting of failures, the protocol
 * layer below a format. */
#include <string.h>

#include "core/qmp.h"
#include "monitor/cmd_block.h"

/* -- query-block -- */

static json_t *block_image_json(BlockImage *img)
{
    json_t *image = json_pack("{s:s,s:s,s:I,s:I,s:b}", "filename", image_filename(img), "format",
        image_format(img), "virtual-size", (json_int_t)image_size(img), "actual-size",
        (json_int_t)image_allocated_bytes(img), "dirty-flag", image_is_dirty(img));
    json_t *snapshots = json_array();

    if (image_cluster_size(img))
        json_object_set_new(
            image, "cluster-size", json_integer((json_int_t)image_cluster_size(img)));
    if (image_backing_filename(img))
        json_object_set_new(image, "backing-filename", json_string(image_backing_filename(img)));
    for (unsigned i = 0; i < image_snapshot_count(img); i++) {
        const SnapshotInfo *s = image_snapshot(img, i);
        json_t *entry = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "id", s->id, "name", s->name,
            "vm-state-size", (json_int_t)s->vm_state_size, "date-sec", (json_int_t)s->date_s,
            "date-nsec", (json_int_t)s->date_ns, "vm-clock-sec",
            (json_int_t)(s->vm_clock_ns / NS_PER_S), "vm-clock-nsec",
            (json_int_t)(s->vm_clock_ns % NS_PER_S));

        if (s->icount != UINT64_MAX)
            json_object_set_new(entry, "icount", json_integer((json_int_t)s->icount));
        json_array_append_new(snapshots, entry);
    }
    if (json_array_size(snapshots)) json_object_set(image, "snapshots", snapshots);
    json_decref(snapshots);
    return image;
}

static int block_depth(BlockImage *img)
{
    int depth = 0;

    while ((img = image_backing(img))) depth++;
    return depth;
}

static json_t *block_inserted(BlockDev *bd)
{
    static const char *const limits[] = { "bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr" };
    BlockImage *img = block_dev_image(bd);
    json_t *o = json_pack("{s:s,s:s,s:b,s:b,s:i,s:s,s:i,s:o,s:{s:b,s:b,s:b}}", "file",
        image_filename(img), "drv", image_format(img), "ro", !block_dev_writable(bd), "encrypted",
        0, "backing_file_depth", block_depth(img), "detect_zeroes", "off", "write_threshold", 0,
        "image", block_image_json(img), "cache", "writeback", 1, "direct", 0, "no-flush",
        !!strcmp(block_dev_cache_mode(bd), "writeback"));

    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        json_object_set_new(o, limits[i], json_integer(0));
    if (image_backing_filename(img))
        json_object_set_new(o, "backing_file", json_string(image_backing_filename(img)));
    return o;
}

typedef struct BlockQuery {
    QmpCall *call;
    json_t *list;
} BlockQuery;

static void block_query(void *ctx, const char *id, void *obj)
{
    BlockQuery *q = ctx;
    BlockDev *bd = obj;
    char *holder = qmp_drive_holder(q->call->m, bd);
    json_t *o = json_pack("{s:s,s:b,s:b,s:s,s:s*}", "device", id, "locked", block_locked(bd),
        "removable", block_dev_removable(bd), "type", "unknown", "qdev", holder);

    if (block_dev_removable(bd))
        json_object_set_new(o, "tray_open", json_boolean(block_tray_open(bd)));
    if (block_dev_image(bd)) {
        block_drain(bd);
        json_object_set_new(o, "inserted", block_inserted(bd));
        const char *node = block_dev_option(bd, "node-name");
        json_object_set_new(
            json_object_get(o, "inserted"), "node-name", json_string(node ? node : id));
    }
    if (holder) json_object_set_new(o, "io-status", json_string("ok"));
    json_array_append_new(q->list, o);
    g_free(holder);
}

static json_t *query_block_run(QmpCall *call, Error *err)
{
    BlockQuery q = { call, json_array() };

    (void)err;
    machine_object_each(call->m, "drive", block_query, &q);
    return q.list;
}
QMP_COMMAND(query_block, .name = "query-block", .run = query_block_run);

static void block_query_stats(void *ctx, const char *id, void *obj)
{
    BlockQuery *q = ctx;
    const BlockStats *s = block_dev_stats(obj);
    char *holder = qmp_drive_holder(q->call->m, obj);

    json_array_append_new(q->list,
        json_pack("{s:s,s:s*,s:{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}}", "device", id, "qdev", holder,
            "stats", "rd_bytes", (json_int_t)s->rd_bytes, "wr_bytes", (json_int_t)s->wr_bytes,
            "rd_operations", (json_int_t)s->rd_ops, "wr_operations", (json_int_t)s->wr_ops,
            "flush_operations", (json_int_t)s->flush_ops, "rd_total_time_ns", (json_int_t)s->rd_ns,
            "wr_total_time_ns", (json_int_t)s->wr_ns, "flush_total_time_ns",
            (json_int_t)s->flush_ns));
    g_free(holder);
}

static json_t *query_blockstats_run(QmpCall *call, Error *err)
{
    BlockQuery q = { call, json_array() };

    (void)err;
    machine_object_each(call->m, "drive", block_query_stats, &q);
    return q.list;
}
QMP_COMMAND(query_blockstats, .name = "query-blockstats", .args = "query-nodes:b?",
    .run = query_blockstats_run);

/* -- media -- */

typedef struct BlockFind {
    Machine *m;
    const char *holder; /* a device's id */
    BlockDev *found;
} BlockFind;

static void block_find_held(void *ctx, const char *id, void *obj)
{
    BlockFind *f = ctx;
    char *holder = qmp_drive_holder(f->m, obj);

    (void)id;
    if (holder && !strcmp(holder, f->holder)) f->found = obj;
    g_free(holder);
}

/* The drive that "device" (its own id) or "id" (of the device that holds it) names. */
static BlockDev *block_of_call(QmpCall *call, Error *err)
{
    const char *device = qmp_text(call, "device"), *id = qmp_text(call, "id");
    BlockFind f = { call->m, id, NULL };

    if (!device == !id) {
        error_set(err, "Need exactly one of 'device' and 'id'");
        return NULL;
    }
    if (device) {
        f.found = machine_object(call->m, "drive", device);
    } else {
        machine_object_each(call->m, "drive", block_find_held, &f);
    }
    if (!f.found) qmp_device_not_found(call, device ? device : id, err);
    return f.found;
}

static json_t *eject_qmp_run(QmpCall *call, Error *err)
{
    BlockDev *bd = block_of_call(call, err);

    if (bd && block_openable(bd, qmp_bool(call, "force", false), err)) block_eject(bd, err);
    return NULL;
}
QMP_COMMAND(eject, .name = "eject", .args = "device:s?,id:s?,force:b?", .run = eject_qmp_run);

static json_t *change_medium_run(QmpCall *call, Error *err)
{
    static const char *const modes[] = { "retain", "read-only", "read-write", NULL };
    const char *mode = qmp_text(call, "read-only-mode");
    BlockDev *bd;

    if (mode && !g_strv_contains(modes, mode)) {
        qmp_bad_value("read-only-mode", mode, err);
        return NULL;
    }
    bd = block_of_call(call, err);
    if (bd && block_openable(bd, qmp_bool(call, "force", false), err))
        block_change(bd, qmp_text(call, "filename"), qmp_text(call, "format"), mode, err);
    return NULL;
}
QMP_COMMAND(change_medium, .name = "blockdev-change-medium",
    .args = "device:s?,id:s?,filename:s,format:s?,force:b?,read-only-mode:s?",
    .run = change_medium_run);
