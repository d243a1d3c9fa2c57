/* SPDX-License-Identifier: MIT */
/*
 * Writing disks.
 *
 * A drive marks the chunks that its requests write as dirty when they are submitted, and its
 * worker keeps the order of requests.  A mark is cleared right before the chunk's read is
 * submitted: what is read has everything that came before, and what comes later marks it again.
 */
#include <string.h>

#include "block/block.h"
#include "migration/block_migration.h"
#include "migration/capability.h"
#include "migration/parameters.h"
#include "util/bits.h"

enum { AHEAD = 8 }; /* chunks being read */

typedef struct BlockDisk {
    BlockDev *dev;
    uint64_t chunks;
    uint64_t next;  /* the first one that has not been read at all */
    uint8_t *dirty; /* a byte per chunk, set by the drive */
} BlockDisk;

typedef struct BlockRead {
    BlockReq req;
    BlockDisk *disk;
    uint64_t chunk;
    bool only_own; /* what the backing file has stays unread ... */
    bool absent;   /* ... and this is */
    uint8_t data[BLOCK_CHUNK];
} BlockRead;

struct BlockSave {
    GArray *disks; /* BlockDisk */
    GQueue reads;  /* BlockRead, in order of submission */
    bool own, skip_zeroes;
    int told; /* the last percentage sent */
    BlockTotals totals;
};

static bool block_active(Machine *m) { return capability_on(m, "block"); }

static void block_add_disk(void *opaque, const char *id, void *obj)
{
    BlockSave *b = opaque;
    BlockDisk d = { .dev = obj };

    (void)id;
    if (!block_dev_has_medium(obj) || !block_dev_writable(obj)) return;
    d.chunks = (block_dev_size(obj) + BLOCK_CHUNK - 1) / BLOCK_CHUNK;
    if (!d.chunks) return;
    d.dirty = g_malloc0(d.chunks);
    b->totals.total += block_dev_size(obj);
    block_dev_track(obj, d.dirty, BLOCK_CHUNK);
    g_array_append_val(b->disks, d);
}

static BlockDisk *block_disk(const BlockSave *b, unsigned i)
{
    return &g_array_index(b->disks, BlockDisk, i);
}

static void block_setup(SaveRun *run, Stream *st)
{
    BlockSave *b = run->block = g_new0(BlockSave, 1);

    b->disks = g_array_new(FALSE, FALSE, sizeof(BlockDisk));
    b->own = migration_parameters(run->m)->block_incremental;
    b->skip_zeroes = capability_on(run->m, "zero-blocks");
    b->told = -1;
    machine_object_each(run->m, "drive", block_add_disk, b);
    stream_put_be64(st, BLOCK_EOS);
}

static size_t block_length(const BlockDisk *d, uint64_t chunk)
{
    return (size_t)MIN_OF((uint64_t)BLOCK_CHUNK, block_dev_size(d->dev) - chunk * BLOCK_CHUNK);
}

/* On the worker: reads a chunk, unless the image itself has nothing of it. */
static void block_read_own(BlockReq *req, BlockImage *img)
{
    BlockRead *r = container_of(req, BlockRead, req);
    size_t len = block_length(r->disk, r->chunk), at = 0;
    uint64_t off = r->chunk * BLOCK_CHUNK;
    ImageExtent e = { 0 };

    r->absent = r->only_own && image_backing(img);
    while (r->absent && at < len && !req->ret) {
        req->ret = image_extent(img, off + at, len - at, &e);
        if (e.present && !e.depth) r->absent = false;
        at += (size_t)e.len;
    }
    if (!req->ret && !r->absent) req->ret = image_read(img, off, r->data, len);
}

static void block_submit_read(BlockSave *b, BlockDisk *d, uint64_t chunk, bool only_own)
{
    BlockRead *r = g_malloc(sizeof(*r));

    memset(&r->req, 0, sizeof(r->req));
    memset(r->data + block_length(d, chunk), 0, BLOCK_CHUNK - block_length(d, chunk));
    r->req.op = BLOCK_CALL;
    r->req.call = block_read_own;
    r->disk = d;
    r->chunk = chunk;
    r->only_own = only_own;
    d->dirty[chunk] = 0;
    g_queue_push_tail(&b->reads, r);
    block_submit(d->dev, &r->req);
}

/* Keeps the workers busy with what was never read; false where nothing of that is left. */
static bool block_read_ahead(BlockSave *b)
{
    for (unsigned i = 0; i < b->disks->len; i++) {
        BlockDisk *d = block_disk(b, i);

        while (d->next < d->chunks) {
            if (g_queue_get_length(&b->reads) >= AHEAD) return true;
            block_submit_read(b, d, d->next++, b->own);
        }
    }
    return !g_queue_is_empty(&b->reads);
}

static uint64_t block_dirty_chunks(const BlockSave *b)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < b->disks->len; i++) {
        const BlockDisk *d = block_disk(b, i);

        for (uint64_t c = 0; c < d->next; c++) n += d->dirty[c];
    }
    return n;
}

/* Reads what was written since it was read, up to max chunks. */
static void block_read_dirty(BlockSave *b, uint64_t max)
{
    for (unsigned i = 0; i < b->disks->len; i++) {
        BlockDisk *d = block_disk(b, i);

        for (uint64_t c = 0; c < d->next; c++) {
            if (!d->dirty[c]) continue;
            if (!max--) return;
            block_submit_read(b, d, c, false);
        }
    }
}

static bool block_all_zero(const uint8_t *p) { return !p[0] && !memcmp(p, p + 1, BLOCK_CHUNK - 1); }

static void block_put_chunk(const BlockSave *b, Stream *st, const BlockRead *r)
{
    uint64_t flags = BLOCK_DATA;

    if (b->skip_zeroes && block_all_zero(r->data)) flags |= BLOCK_ZERO_CHUNK;
    stream_put_be64(st, r->chunk * BLOCK_CHUNK | flags);
    stream_put_str8(st, block_dev_id(r->disk->dev));
    if (!(flags & BLOCK_ZERO_CHUNK)) stream_put(st, r->data, BLOCK_CHUNK);
}

/* Writes the oldest chunk that is being read; false where there is none. */
static bool block_put_next(BlockSave *b, Stream *st)
{
    BlockRead *r = g_queue_pop_head(&b->reads);

    if (!r) return false;
    block_wait(&r->req);
    if (r->req.ret)
        stream_fail(
            st, "Could not read '%s': %s", block_dev_id(r->disk->dev), g_strerror(-r->req.ret));
    else if (!r->absent)
        block_put_chunk(b, st, r);
    b->totals.transferred += block_length(r->disk, r->chunk);
    g_free(r);
    return true;
}

static void block_put_progress(BlockSave *b, Stream *st, bool all)
{
    uint64_t total = MAX_OF(b->totals.total, UINT64_C(1));
    int percent = all ? 100 : (int)(MIN_OF(b->totals.transferred, total) * 99 / total);

    if (percent == b->told) return;
    b->told = percent;
    stream_put_be64(st, (uint64_t)percent << 9 | BLOCK_PROGRESS);
}

static bool block_iterate(SaveRun *run, Stream *st, size_t max)
{
    BlockSave *b = run->block;
    size_t before = st->size;
    bool bulk = block_read_ahead(b);

    if (!bulk) block_read_dirty(b, MAX_OF(max / BLOCK_CHUNK, (size_t)1));
    block_put_progress(b, st, false);
    while (st->size - before < max && block_put_next(b, st)) {
        if (bulk) bulk = block_read_ahead(b);
    }
    stream_put_be64(st, BLOCK_EOS);
    return bulk;
}

static uint64_t block_pending(SaveRun *run, uint64_t enough)
{
    BlockSave *b = run->block;
    uint64_t n = block_dirty_chunks(b) + g_queue_get_length(&b->reads);

    (void)enough;
    for (unsigned i = 0; i < b->disks->len; i++)
        n += block_disk(b, i)->chunks - block_disk(b, i)->next;
    return n * BLOCK_CHUNK;
}

static bool block_complete(SaveRun *run, Stream *st, size_t max)
{
    BlockSave *b = run->block;
    size_t before = st->size;

    do {
        if (!block_read_ahead(b)) block_read_dirty(b, AHEAD);
    } while (block_put_next(b, st) && st->size - before < max);
    block_put_progress(b, st, max == SIZE_MAX);
    stream_put_be64(st, BLOCK_EOS);
    return true;
}

static void block_cleanup(SaveRun *run)
{
    BlockSave *b = run->block;
    BlockRead *r;

    if (!b) return;
    while ((r = g_queue_pop_head(&b->reads))) {
        block_wait(&r->req);
        g_free(r);
    }
    for (unsigned i = 0; i < b->disks->len; i++) {
        block_dev_track(block_disk(b, i)->dev, NULL, 0);
        g_free(block_disk(b, i)->dirty);
    }
    g_array_free(b->disks, TRUE);
    g_free(b);
    run->block = NULL;
}

bool block_save_totals(const SaveRun *run, BlockTotals *t)
{
    if (!run->block) return false;
    *t = run->block->totals;
    t->transferred = MIN_OF(t->transferred, t->total);
    return t->transferred < t->total;
}

static const IterableOps block_ops = {
    .active = block_active,
    .setup = block_setup,
    .iterate = block_iterate,
    .pending = block_pending,
    .complete = block_complete,
    .cleanup = block_cleanup,
    .load = block_load_record,
};

bool block_register(Machine *m, Error *err)
{
    Section s = { .idstr = "block", .version = 1, .iterable = &block_ops, .alias_id = -1 };

    return section_register(m, NULL, &s, err) != NULL;
}
