/* SPDX-License-Identifier: MIT */
/* Commands about drives: info block, info blockstats, change, eject. */
#include <inttypes.h>
#include <string.h>

#include "block/block.h"
#include "monitor/cmd_block.h"

/* -- listings -- */

/* The device that holds a drive, by its place among all: "/machine/unattached/device[3]". */
static char *block_attached(Machine *m, const BlockDev *bd)
{
    unsigned n = 0;

    EACH_DEVICE (dev, m) {
        for (const Prop *p = dev->cls->props; p && p->name; p++) {
            if (p->type != PROP_BLOCK) continue;
            if (*(BlockDev **)((char *)dev + p->offset) != bd) continue;
            return g_strdup_printf("/machine/unattached/device[%u]", n);
        }
        n++;
    }
    return NULL;
}

bool block_locked(BlockDev *bd)
{
    void *opaque;
    const BlockMediaOps *ops = block_dev_media_ops(bd, &opaque);

    return ops && ops->locked && ops->locked(opaque);
}

bool block_tray_open(BlockDev *bd)
{
    void *opaque;
    const BlockMediaOps *ops = block_dev_media_ops(bd, &opaque);

    return ops && ops->tray_open && ops->tray_open(opaque);
}

static const char *block_tray(BlockDev *bd)
{
    bool locked = block_locked(bd), open = block_tray_open(bd);

    if (locked) return open ? "locked, tray open" : "locked, tray closed";
    return open ? "not locked, tray open" : "not locked, tray closed";
}

typedef struct BlockListing {
    CommandCall *call;
    const char *only; /* id, or NULL: all */
    bool verbose, found;
    unsigned node;
} BlockListing;

static void block_list(void *ctx, const char *id, void *obj)
{
    BlockListing *l = ctx;
    BlockDev *bd = obj;
    GString *inserted = g_string_new(NULL);
    Sink *out = l->call->out;

    l->node++;
    if (l->only && strcmp(l->only, id)) {
        g_string_free(inserted, TRUE);
        return;
    }
    if (l->found) sink_printf(out, "\n");
    l->found = true;
    char *at = block_attached(l->call->m, bd);
    if (block_dev_inserted_info(bd, inserted, false)) {
        sink_printf(out, "%s (#block%03u): %s\n", id, l->node, inserted->str);
    } else {
        sink_printf(out, "%s: [not inserted]\n", id);
    }
    if (at) sink_printf(out, "    Attached to:      %s\n", at);
    if (block_dev_removable(bd)) sink_printf(out, "    Removable device: %s\n", block_tray(bd));
    if (block_dev_has_medium(bd)) {
        sink_printf(out, "    Cache mode:       writeback\n");
        if (l->verbose && block_dev_image(bd)) {
            g_string_truncate(inserted, 0);
            image_describe(block_dev_image(bd), inserted);
            sink_printf(out, "\nImages:\n%s", inserted->str);
        }
    }
    g_free(at);
    g_string_free(inserted, TRUE);
}

static void cmd_info_block(CommandCall *call, Error *err)
{
    BlockListing l = {
        .call = call, .only = command_text(call, "device"), .verbose = command_flag(call, "verbose")
    };

    machine_object_each(call->m, "drive", block_list, &l);
    if (l.only && !l.found) error_set(err, "Device '%s' not found", l.only);
}
COMMAND(info_block, .name = "info block", .args = "nodes:-n,verbose:-v,device:B?",
    .usage = "[-v] [device]",
    .help = "show info of one block device or all block devices (-v: show details)",
    .run = cmd_info_block);

static void block_stats(void *ctx, const char *id, void *obj)
{
    CommandCall *call = ctx;
    const BlockStats *s = block_dev_stats(obj);

    sink_printf(call->out,
        "%s: rd_bytes=%" PRIu64 " wr_bytes=%" PRIu64 " rd_operations=%" PRIu64
        " wr_operations=%" PRIu64 " flush_operations=%" PRIu64 " wr_total_time_ns=%" PRIu64
        " rd_total_time_ns=%" PRIu64 " flush_total_time_ns=%" PRIu64 " rd_merged=0 wr_merged=0\n",
        id, s->rd_bytes, s->wr_bytes, s->rd_ops, s->wr_ops, s->flush_ops, s->wr_ns, s->rd_ns,
        s->flush_ns);
}

static void cmd_info_blockstats(CommandCall *call, Error *err)
{
    (void)err;
    machine_object_each(call->m, "drive", block_stats, call);
}
COMMAND(info_blockstats, .name = "info blockstats", .args = "", .usage = "",
    .help = "show block device statistics", .run = cmd_info_blockstats);

/* -- media -- */

static void block_collect(void *ctx, const char *id, void *obj)
{
    (void)obj;
    g_ptr_array_add(ctx, (void *)id);
}

bool block_openable(BlockDev *bd, bool force, Error *err)
{
    const char *id = block_dev_id(bd);
    void *opaque;
    const BlockMediaOps *ops = block_dev_media_ops(bd, &opaque);

    if (!block_dev_removable(bd)) return error_set(err, "Device '%s' is not removable", id);
    if (!force && block_locked(bd) && !block_tray_open(bd)) {
        if (ops->eject_request) ops->eject_request(opaque, false);
        return error_set(err,
            "Device '%s' is locked and force was not specified, wait for tray to open "
            "and try again",
            id);
    }
    return true;
}

bool block_change(BlockDev *bd, const char *file, const char *format, const char *mode, Error *err)
{
    bool keep = !mode || !strcmp(mode, "retain");
    bool read_only = keep ? !block_dev_writable(bd) : !strcmp(mode, "read-only");

    return block_dev_change(bd, file, format, read_only, err);
}

bool block_eject(BlockDev *bd, Error *err) { return block_dev_change(bd, NULL, NULL, true, err); }

/* The drive of a call, with the nearest name where there is none. */
static BlockDev *block_named(CommandCall *call, Error *err)
{
    const char *id = command_text(call, "device");
    BlockDev *bd = machine_object(call->m, "drive", id);

    if (!bd) {
        GPtrArray *ids = g_ptr_array_new();
        machine_object_each(call->m, "drive", block_collect, ids);
        const char *near = did_you_mean(id, (const char *const *)ids->pdata, ids->len);
        error_set(err, "Device '%s' not found%s%s%s", id, near ? "; did you mean '" : "",
            near ? near : "", near ? "'?" : "");
        g_ptr_array_unref(ids);
    }
    return bd;
}

static void cmd_change(CommandCall *call, Error *err)
{
    const char *format = command_text(call, "format"), *mode = command_text(call, "mode");
    BlockDev *bd = block_named(call, err);

    if (!bd || !block_openable(bd, command_flag(call, "force"), err)) return;
    if (mode && strcmp(mode, "retain") && strcmp(mode, "read-only") && strcmp(mode, "read-write")) {
        error_set(err, "invalid parameter value: %s", mode);
        return;
    }
    block_change(bd, command_text(call, "target"), format, mode, err);
}
COMMAND(change, .name = "change", .args = "device:B,force:-f,target:F,format:s?,mode:s?",
    .usage = "device [-f] filename [format [read-only-mode]]",
    .help = "change a removable medium, optional format, use -f to force the operation",
    .run = cmd_change);

static void cmd_eject(CommandCall *call, Error *err)
{
    BlockDev *bd = block_named(call, err);

    if (bd && block_openable(bd, command_flag(call, "force"), err)) block_eject(bd, err);
}
COMMAND(eject, .name = "eject", .args = "force:-f,device:B", .usage = "[-f] device",
    .help = "eject a removable medium (use -f to force it)", .run = cmd_eject);
