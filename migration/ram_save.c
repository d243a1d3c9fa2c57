/* SPDX-License-Identifier: MIT */
/*
 * Writing RAM.
 *
 * Invariants of a live save: a page whose WATCH_MIGRATION bit is set is clean: what was sent of it
 * is what it holds.  A bit is set right after the page was sent, before the guest runs again; the
 * first write clears it.  So the dirty pages are those whose bit is clear, from the start.
 */
#include <assert.h>
#include <string.h>

#include "migration/qmp_migrate.h"
#include "migration/ram_put.h"

enum { ZIP_PIECE = 2 * COMPRESS_BATCH }; /* pages compressed at a time: the guest waits */

struct RamSave {
    GPtrArray *blocks; /* RamBlock, the longest first */
    guint block;       /* where the current round is */
    uint64_t page;
    bool jumped;       /* there because of a request: pages before it may not have gone */
    uint64_t data_end; /* up to which page of its block there are no holes, and never will be */
    uint64_t **at;     /* ram_save_note: of each block */
    RamPut put;
    RamStats stats;
    GQueue requests;     /* RamRequest */
    RamBlock *requested; /* the block of the last one */
};

typedef struct RamRequest {
    RamBlock *block;
    uint64_t page;
} RamRequest;

static gint ram_longest_first(gconstpointer a, gconstpointer b)
{
    const RamBlock *x = *(RamBlock *const *)a, *y = *(RamBlock *const *)b;

    return x->size < y->size ? 1 : x->size > y->size ? -1 : 0;
}

static GPtrArray *ram_blocks(Machine *m)
{
    GPtrArray *list = g_ptr_array_new();

    for (RamBlock *b = ram_block_first(m); b; b = b->next) g_ptr_array_add(list, b);
    g_ptr_array_sort(list, ram_longest_first);
    return list;
}

static void ram_setup(SaveRun *run, Stream *st)
{
    RamSave *r = run->ram = g_new0(RamSave, 1);

    r->blocks = ram_blocks(run->m);
    for (guint i = 0; i < r->blocks->len; i++) {
        RamBlock *b = r->blocks->pdata[i];

        ram_unwatch(b, WATCH_MIGRATION);
        r->stats.total += b->size;
    }
    ram_put_begin(&r->put, run, &r->stats);
    stream_put_be64(st, r->stats.total | RAM_MEM_SIZE);
    for (guint i = 0; i < r->blocks->len; i++) {
        RamBlock *b = r->blocks->pdata[i];

        stream_put_str8(st, b->idstr);
        stream_put_be64(st, b->size);
    }
    stream_put_be64(st, RAM_EOS);
    r->stats.rounds = 1;
    migration_event_pass(run->m, 1);
}

/* From the cursor to the end of its block, or until max bytes are written. */
static void ram_sweep_block(SaveRun *run, Stream *st, size_t max)
{
    RamSave *r = run->ram;
    RamBlock *b = r->blocks->pdata[r->block];
    uint64_t pages = b->size >> PAGE_BITS, first = r->page;
    unsigned zip_max = max < SIZE_MAX ? ZIP_PIECE : UINT_MAX;
    size_t end = max > SIZE_MAX - st->size ? SIZE_MAX : st->size + max;
    uint64_t hole_end = 0;

    r->put.at = r->at ? r->at[r->block] : NULL;
    while (r->page < pages && st->size < end && r->put.zipped < zip_max) {
        if (run->live) r->page = ram_next_dirty(b, r->page, WATCH_MIGRATION);
        if (r->page >= pages) break;
        /* The guest may fill a hole before the next piece. */
        if (r->page >= r->data_end && r->page >= hole_end && !ram_is_hole(b, r->page, &hole_end))
            r->data_end = hole_end;
        ram_put_page(&r->put, run, st, b, r->page, r->page >= r->data_end);
        r->page++;
    }
    ram_put_flush(&r->put, st);
    if (run->live && r->page > first) ram_watch(b, first, r->page - first, WATCH_MIGRATION);
    if (r->page < pages) return;
    r->page = r->data_end = 0;
    r->block++;
}

/* About max bytes of the current round; false at its end. */
static bool ram_sweep(SaveRun *run, Stream *st, size_t max)
{
    RamSave *r = run->ram;
    size_t start = st->size;
    unsigned zip_max = max < SIZE_MAX ? ZIP_PIECE : UINT_MAX;

    r->put.zipped = 0;
    while (r->block < r->blocks->len && st->size - start < max && r->put.zipped < zip_max)
        ram_sweep_block(run, st, max - (st->size - start));
    return r->block < r->blocks->len;
}

static uint64_t ram_pending(SaveRun *run, uint64_t enough)
{
    RamSave *r = run->ram;
    uint64_t n = 0, most = enough >> PAGE_BITS;

    for (guint i = run->live ? 0 : r->block; i < r->blocks->len && n <= most; i++) {
        RamBlock *b = r->blocks->pdata[i];

        n += run->live ? ram_count_dirty(b, WATCH_MIGRATION, most)
                       : (b->size >> PAGE_BITS) - (i == r->block ? r->page : 0);
    }
    return n << PAGE_BITS;
}

static void ram_account(RamSave *r, const Stream *st, size_t before, uint64_t *kind)
{
    r->stats.transferred += st->size - before;
    *kind += st->size - before;
}

static bool ram_iterate(SaveRun *run, Stream *st, size_t max)
{
    RamSave *r = run->ram;
    size_t before = st->size;
    bool more = ram_sweep(run, st, max);

    stream_put_be64(st, RAM_EOS);
    ram_account(r, st, before, &r->stats.precopy);
    if (more) return true;
    if (!run->live || !ram_pending(run, 0)) return false;
    r->block = 0;
    migration_event_pass(run->m, ++r->stats.rounds);
    return true;
}

bool ram_save_request(SaveRun *run, const char *name, uint64_t start, uint64_t len)
{
    RamSave *r = run->ram;
    RamBlock *b = *name ? ram_block_find(run->m, name) : r->requested;

    if (!b || start > b->size || len > b->size - start || (start | len) & PAGE_MASK) return false;
    r->requested = b;
    r->stats.requests++;
    for (uint64_t at = start; at < start + len; at += PAGE_SIZE) {
        RamRequest *q = g_new(RamRequest, 1);

        *q = (RamRequest){ b, at >> PAGE_BITS };
        g_queue_push_tail(&r->requests, q);
    }
    return true;
}

bool ram_save_urgent(const SaveRun *run) { return !g_queue_is_empty(&run->ram->requests); }

void ram_save_restart(SaveRun *run)
{
    RamSave *r = run->ram;

    g_queue_clear_full(&r->requests, g_free);
    r->put.named = r->requested = NULL;
    r->block = 0;
    r->page = r->data_end = 0;
    r->jumped = false;
}

void ram_save_received(RamBlock *b, const uint8_t *bits)
{
    uint64_t pages = b->size >> PAGE_BITS;

    ram_unwatch(b, WATCH_MIGRATION);
    for (uint64_t page = 0, n; page < pages; page += MAX_OF(n, 1)) {
        for (n = 0; page + n < pages && bits[(page + n) / 8] >> (page + n) % 8 & 1; n++) continue;
        if (n) ram_watch(b, page, n, WATCH_MIGRATION);
    }
}

/* What was asked for and has not gone meanwhile.  What lies behind it goes next: most likely that
 * will be asked for. */
static void ram_serve_requests(SaveRun *run, Stream *st)
{
    RamSave *r = run->ram;
    RamRequest *q;

    while ((q = g_queue_pop_head(&r->requests))) {
        if (!ram_is_clean(q->block, q->page, WATCH_MIGRATION)) {
            ram_put_page(&r->put, run, st, q->block, q->page, false);
            ram_watch(q->block, q->page, 1, WATCH_MIGRATION);
            r->jumped = g_ptr_array_find(r->blocks, q->block, &r->block);
            r->page = q->page + 1;
            r->data_end = 0;
        }
        g_free(q);
    }
}

/* From the cursor on, and once more from the start where that leaves some. */
static void ram_sweep_all(SaveRun *run, Stream *st, size_t max)
{
    RamSave *r = run->ram;

    if (ram_sweep(run, st, max) || !run->live || !ram_pending(run, 0)) return;
    r->block = 0;
    if (!r->jumped) migration_event_pass(run->m, ++r->stats.rounds);
    r->jumped = false;
    ram_sweep(run, st, max);
}

static bool ram_complete(SaveRun *run, Stream *st, size_t max)
{
    RamSave *r = run->ram;
    size_t before = st->size;

    r->put.last = true;
    ram_serve_requests(run, st);
    ram_sweep_all(run, st, max);
    stream_put_be64(st, RAM_EOS);
    ram_account(r, st, before, run->postcopy ? &r->stats.postcopy : &r->stats.downtime);
    return true;
}

static void ram_cleanup(SaveRun *run)
{
    RamSave *r = run->ram;

    if (!r) return;
    for (guint i = 0; i < r->blocks->len; i++) ram_unwatch(r->blocks->pdata[i], WATCH_MIGRATION);
    ram_put_end(&r->put);
    for (guint i = 0; r->at && i < r->blocks->len; i++) g_free(r->at[i]);
    g_free(r->at);
    g_queue_clear_full(&r->requests, g_free);
    g_ptr_array_free(r->blocks, TRUE);
    g_free(r);
    run->ram = NULL;
}

void ram_save_note(SaveRun *run)
{
    RamSave *r = run->ram;

    assert(!run->live);
    r->at = g_new(uint64_t *, r->blocks->len);
    for (guint i = 0; i < r->blocks->len; i++) {
        const RamBlock *b = r->blocks->pdata[i];

        r->at[i] = g_new(uint64_t, b->size >> PAGE_BITS);
    }
}

uint64_t *ram_save_noted(SaveRun *run, const RamBlock *b)
{
    guint i;

    if (!g_ptr_array_find(run->ram->blocks, b, &i)) return NULL;
    return g_steal_pointer(&run->ram->at[i]);
}

const RamStats *ram_save_stats(const SaveRun *run) { return &run->ram->stats; }

uint64_t ram_save_remaining(const SaveRun *run) { return ram_pending((SaveRun *)run, UINT64_MAX); }

const IterableOps ram_ops = {
    .setup = ram_setup,
    .iterate = ram_iterate,
    .pending = ram_pending,
    .complete = ram_complete,
    .cleanup = ram_cleanup,
    .load = ram_load_record,
};

bool ram_register(Machine *m, Error *err)
{
    Section s = { .idstr = "ram", .version = 4, .iterable = &ram_ops, .alias_id = -1 };

    return section_register(m, NULL, &s, err) != NULL;
}
