/* SPDX-License-Identifier: MIT */
/* Who owns the disks: see disks.h. */
#include "migration/disks.h"

#include "block/block.h"

typedef struct DisksWalk {
    bool (*call)(BlockImage *img, Error *err);
    Error err;
} DisksWalk;

static void disks_call(BlockImage *img, void *opaque)
{
    DisksWalk *w = opaque;

    if (img) w->call(img, &w->err);
}

static void disks_walk_one(void *opaque, const char *id, void *obj)
{
    DisksWalk *w = opaque;

    if (error_is_set(&w->err) || !block_dev_has_medium(obj)) return;
    block_call_sync(obj, disks_call, w);
    error_prefix(&w->err, "%s: ", id);
}

static bool disks_walk(Machine *m, bool (*call)(BlockImage *img, Error *err), Error *err)
{
    DisksWalk w = { .call = call };

    machine_object_each(m, "drive", disks_walk_one, &w);
    return !error_is_set(&w.err) || error_set(err, "%s", w.err.msg);
}

static void disks_drain_one(void *opaque, const char *id, void *obj)
{
    (void)opaque;
    (void)id;
    block_drain(obj);
}

void disks_drain(Machine *m) { machine_object_each(m, "drive", disks_drain_one, NULL); }

bool disks_give_up(Machine *m, Error *err) { return disks_walk(m, image_inactivate, err); }

bool disks_take(Machine *m, Error *err) { return disks_walk(m, image_activate, err); }

bool disks_take_one(BlockDev *bd, Error *err)
{
    DisksWalk w = { .call = image_activate };

    block_call_sync(bd, disks_call, &w);
    return !error_is_set(&w.err) || error_set(err, "%s: %s", block_dev_id(bd), w.err.msg);
}

static bool disks_probe(BlockImage *img, Error *err)
{
    return !image_locked_elsewhere(img) || error_set(err, "locked");
}

bool disks_contested(Machine *m)
{
    Error err = ERROR_INIT;

    return !disks_walk(m, disks_probe, &err);
}

struct DisksFlush {
    unsigned left;
    bool orphan; /* the last request frees it */
};

static void disks_flush_one_done(BlockReq *req)
{
    DisksFlush *f = req->opaque;

    g_free(req);
    if (!--f->left && f->orphan) g_free(f);
}

static void disks_flush_one(void *opaque, const char *id, void *obj)
{
    DisksFlush *f = opaque;
    BlockReq *req;

    (void)id;
    if (!block_dev_has_medium(obj) || !block_dev_writable(obj)) return;
    req = g_new0(BlockReq, 1);
    req->op = BLOCK_FLUSH;
    req->done = disks_flush_one_done;
    req->opaque = f;
    f->left++;
    block_submit(obj, req);
}

DisksFlush *disks_flush_begin(Machine *m)
{
    DisksFlush *f = g_new0(DisksFlush, 1);

    machine_object_each(m, "drive", disks_flush_one, f);
    return f;
}

bool disks_flush_done(const DisksFlush *f) { return !f->left; }

void disks_flush_end(DisksFlush *f)
{
    if (!f) return;
    f->orphan = true;
    if (!f->left) g_free(f);
}
