/* SPDX-License-Identifier: MIT */
/* Reading RAM, into shadows that replace the blocks' own memory when the load commits, or where
 * little in them differs from what is there, are copied from. */
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration/parameters.h"
#include "migration/ram.h"
#include "migration/ram_compress.h"
#include "migration/xbzrle.h"
#include "util/bits.h"

enum {
    RECEIVED = 1,      /* it is in LoadBlock.host */
    RECEIVED_SAME = 2, /* it is what the block itself holds */
    FEW = 4,           /* one page in so many is written where it belongs */
};

static LoadBlock *ram_load_find(LoadRun *run, const char *idstr)
{
    for (LoadBlock *b = run->blocks; b; b = b->next)
        if (!strcmp(b->block->idstr, idstr)) return b;
    return NULL;
}

static bool ram_load_add(LoadRun *run, RamBlock *block)
{
    LoadBlock *b = ram_load_find(run, block->idstr);

    if (b) return true;
    b = g_new0(LoadBlock, 1);
    b->block = block;
    if (!run->again) b->host = ram_block_shadow(block, !run->compare, &run->st.err);
    if (!run->again && !b->host) {
        g_free(b);
        return false;
    }
    b->received = g_malloc0(block->size >> PAGE_BITS);
    if (run->again) memset(b->received, RECEIVED, block->size >> PAGE_BITS);
    if (run->index.on) b->at = g_new0(uint64_t, block->size >> PAGE_BITS);
    b->requested = g_malloc0(block->size >> PAGE_BITS);
    b->next = run->blocks;
    run->blocks = b;
    return true;
}

/* Firmware tables of others, made anew here. */
static void ram_load_skip(LoadRun *run, const char *name, uint64_t length)
{
    LoadSkipped *s = g_new(LoadSkipped, 1);

    *s = (LoadSkipped){ g_strdup(name), length, run->skipped };
    run->skipped = s;
}

/* The list of blocks behind a MEM_SIZE word. */
static void ram_load_list(LoadRun *run, Stream *st, uint64_t total)
{
    while (total && stream_ok(st)) {
        char name[256];
        uint64_t length;
        RamBlock *b;

        stream_get_str8(st, name);
        length = stream_get_be64(st);
        if (!stream_ok(st)) return;
        b = ram_block_find(run->m, name);
        if (!b && !strncmp(name, "/rom@", 5) && length <= total) {
            ram_load_skip(run, name, length);
            total -= length;
            continue;
        }
        if (!b || length > total) {
            stream_fail(st, "Unknown ramblock \"%s\", cannot accept migration", b ? "" : name);
        } else if (length != b->size) {
            stream_fail(st, "Size mismatch: %s: 0x%" PRIx64 " != 0x%" PRIx64 ": Invalid argument",
                name, length, b->size);
        } else {
            ram_load_add(run, b);
            total -= length;
        }
    }
}

/* Waits for the threads that decompress. */
static bool ram_load_unzip(LoadRun *run)
{
    unsigned undone;

    if (!run->unzip) return true;
    ram_zip_run(run->unzip, true, &undone);
    ram_zip_clear(run->unzip);
    return ram_zip_ok(run->unzip) || stream_fail(&run->st, "a compressed page makes no sense");
}

/* The page that a record speaks of: *b is NULL for blocks that are skipped. */
static bool ram_load_where(LoadRun *run, Stream *st, uint64_t word, LoadBlock **b)
{
    uint64_t off = word & ~(uint64_t)RAM_FLAGS;
    char name[256];

    if (word & RAM_CONTINUE) {
        *b = run->last_block;
        if (!*b && !run->skipping_block)
            return stream_fail(st, "Ack, bad migration stream!: Illegal RAM offset %" PRIx64, off);
    } else {
        stream_get_str8(st, name);
        if (!stream_ok(st)) return false;
        *b = ram_load_find(run, name);
        run->skipping_block = !*b && !strncmp(name, "/rom@", 5);
        if (!*b && !run->skipping_block)
            return stream_fail(st, "Can't find block %s: Illegal RAM offset %" PRIx64, name, off);
    }
    if (*b && off >= (*b)->block->size) return stream_fail(st, "Illegal RAM offset %" PRIx64, off);
    if (run->again) return stream_fail(st, "the snapshot has changed since it was loaded");
    if (*b && !run->committed && run->unzip && ram_zip_holds(run->unzip, (*b)->host + off))
        return ram_load_unzip(run);
    return true;
}

/* Whether a page of the block itself reads as zeroes and has no host page: where it is absent, what
 * the guest wrote there is newer anyway. */
static bool ram_load_is_hole(LoadBlock *b, uint64_t page)
{
    if (page < b->kind_first || page >= b->kind_end) {
        b->hole = ram_is_hole(b->block, page, &b->kind_end);
        b->kind_first = page;
    }
    return b->hole;
}

static bool ram_load_is_zero(const uint8_t *p) { return !p[0] && !memcmp(p, p + 1, PAGE_SIZE - 1); }

/* Notes a page that the block itself holds already; data NULL: zeroes. */
static bool ram_load_same(LoadRun *run, LoadBlock *b, uint64_t page, const uint8_t *data)
{
    const uint8_t *held = b->block->host + (page << PAGE_BITS);
    bool same;

    if (!run->compare || b->received[page] == RECEIVED) return false;
    if (!ram_is_clean(b->block, page, WATCH_SNAPSHOT)) return false;
    if (ram_load_is_hole(b, page))
        same = !data;
    else
        same = data ? !memcmp(held, data, PAGE_SIZE) : ram_load_is_zero(held);
    if (same) b->received[page] = RECEIVED_SAME;
    return same;
}

/* A page that comes while the guest runs: once it is here, it is the guest's. */
static void ram_load_late(LoadBlock *b, uint64_t off, const uint8_t *data)
{
    uint64_t page = off >> PAGE_BITS;

    if (b->received[page]) return;
    b->received[page] = RECEIVED;
    ram_page_arrived(b->block, page, data);
}

static void ram_load_zero(LoadRun *run, Stream *st, LoadBlock *b, uint64_t off)
{
    uint8_t fill = stream_get_u8(st);

    if (!stream_ok(st) || !b) return;
    if (run->committed) {
        uint8_t page[PAGE_SIZE];

        memset(page, fill, sizeof(page));
        ram_load_late(b, off, !fill && ram_load_is_hole(b, off >> PAGE_BITS) ? NULL : page);
        return;
    }
    if (b->at) b->at[off >> PAGE_BITS] = LOAD_FILL | fill;
    if (!fill && ram_load_same(run, b, off >> PAGE_BITS, NULL)) return;
    if (fill || b->received[off >> PAGE_BITS] == RECEIVED || b->discarded)
        memset(b->host + off, fill, PAGE_SIZE);
    b->received[off >> PAGE_BITS] = RECEIVED;
}

static void ram_load_page(LoadRun *run, Stream *st, LoadBlock *b, uint64_t off)
{
    if (!b) {
        stream_skip(st, PAGE_SIZE);
        return;
    }
    if (stream_left(st) < PAGE_SIZE) {
        st->starved = true;
        return;
    }
    if (run->committed) {
        ram_load_late(b, off, st->data + st->pos);
        stream_skip(st, PAGE_SIZE);
        return;
    }
    if (b->at) b->at[off >> PAGE_BITS] = st->offset + st->pos;
    if (ram_load_same(run, b, off >> PAGE_BITS, st->data + st->pos)) {
        stream_skip(st, PAGE_SIZE);
        return;
    }
    stream_get(st, b->host + off, PAGE_SIZE);
    b->received[off >> PAGE_BITS] = RECEIVED;
}

/* A difference from what the page holds: of this stream, or before it. */
static void ram_load_difference(LoadRun *run, Stream *st, LoadBlock *b, uint64_t off)
{
    uint8_t header = stream_get_u8(st), diff[PAGE_SIZE];
    uint16_t len = stream_get_be16(st);

    if (stream_ok(st) && header != XBZRLE_HEADER) stream_fail(st, "XBZRLE page of kind %u", header);
    if (stream_ok(st) && len > PAGE_SIZE) stream_fail(st, "XBZRLE page of %u bytes", len);
    if (stream_ok(st) && run->committed)
        stream_fail(st, "XBZRLE page after the guest has come: Illegal RAM offset %" PRIx64, off);
    if (!stream_ok(st)) return;
    stream_get(st, diff, len);
    if (!stream_ok(st) || !b) return;
    if (b->received[off >> PAGE_BITS] != RECEIVED)
        memcpy(b->host + off, b->block->host + off, PAGE_SIZE);
    if (!xbzrle_decode(b->host + off, diff, len))
        stream_fail(st, "XBZRLE page at %" PRIx64 " of %s makes no sense", off, b->block->idstr);
    b->received[off >> PAGE_BITS] = RECEIVED;
}

/* Compressed pages are handed out until a batch is full, another record for the same page comes, or
 * the section ends. */
static void ram_load_compressed(LoadRun *run, Stream *st, LoadBlock *b, uint64_t off)
{
    uint32_t len = stream_get_be32(st);
    uint8_t zip[COMPRESSED_MAX], page[PAGE_SIZE];
    RamZipJob *j;

    if (stream_ok(st) && len > sizeof(zip)) stream_fail(st, "a compressed page of %u bytes", len);
    if (!stream_ok(st)) return;
    stream_get(st, zip, len);
    if (!stream_ok(st) || !b) return;
    if (!run->unzip)
        run->unzip = ram_unzip_new((unsigned)migration_parameters(run->m)->decompress_threads);
    j = ram_zip_add(run->unzip);
    memcpy(j->zip, zip, len);
    j->len = len;
    j->data = run->committed ? page : b->host + off;
    if ((run->committed || ram_zip_full(run->unzip)) && !ram_load_unzip(run)) return;
    if (run->committed)
        ram_load_late(b, off, page);
    else
        b->received[off >> PAGE_BITS] = RECEIVED;
}

void ram_load_record(LoadRun *run, Stream *st, int version, bool *end)
{
    uint64_t word = stream_get_be64(st), flags = word & RAM_FLAGS & ~(uint64_t)RAM_CONTINUE;
    uint64_t off = word & ~(uint64_t)RAM_FLAGS;
    LoadBlock *b = NULL, *last = run->last_block;
    bool skipping = run->skipping_block;

    (void)version;
    if (!stream_ok(st)) return;
    switch (flags) {
    case RAM_EOS: *end = ram_load_unzip(run); return;
    case RAM_MEM_SIZE: ram_load_list(run, st, off); return;
    case RAM_ZERO:
        if (ram_load_where(run, st, word, &b)) ram_load_zero(run, st, b, off);
        break;
    case RAM_PAGE:
        if (ram_load_where(run, st, word, &b)) ram_load_page(run, st, b, off);
        break;
    case RAM_COMPRESS:
        run->index.on = false;
        if (ram_load_where(run, st, word, &b)) ram_load_compressed(run, st, b, off);
        break;
    case RAM_XBZRLE:
        run->index.on = false;
        if (ram_load_where(run, st, word, &b)) ram_load_difference(run, st, b, off);
        break;
    default:
        stream_fail(st, "Unknown combination of migration flags: 0x%" PRIx64, word & RAM_FLAGS);
        return;
    }
    /* A starved record is read again: its name must then find the block that was before. */
    run->last_block = stream_ok(st) ? b : last;
    if (!stream_ok(st)) run->skipping_block = skipping;
}

/* The guest will run before these pages have come. */
static void ram_load_arm(LoadRun *run)
{
    for (LoadBlock *b = run->blocks; b; b = b->next) {
        uint64_t pages = b->block->size >> PAGE_BITS;

        for (uint64_t p = 0, n; p < pages; p += MAX_OF(n, 1)) {
            for (n = 0; p + n < pages && !b->received[p + n]; n++) continue;
            if (n) ram_watch(b->block, p, n, WATCH_ABSENT);
        }
    }
}

/* Only these pages are others than those that are here. */
static void ram_load_again(LoadRun *run)
{
    for (guint i = 0; i < run->again->len; i++) {
        const LoadPage *p = &g_array_index(run->again, LoadPage, i);

        ram_block_write(p->block, p->page << PAGE_BITS, p->data, PAGE_SIZE);
        ram_watch(p->block, p->page, 1, WATCH_SNAPSHOT);
    }
}

void ram_load_compare(LoadRun *run)
{
    if (mem_has_page_source(run->m)) return;
    run->compare = true;
    for (RamBlock *b = ram_block_first(run->m); b; b = b->next)
        ram_watch(b, 0, b->size >> PAGE_BITS, WATCH_SNAPSHOT);
}

/* Whether what was found to be right still is, and whether little differs. */
static bool ram_load_compared(LoadRun *run, LoadBlock *b)
{
    uint64_t pages = b->block->size >> PAGE_BITS, other = 0;

    for (uint64_t p = 0; p < pages; p++) {
        if (b->received[p] == RECEIVED_SAME && !ram_is_clean(b->block, p, WATCH_SNAPSHOT))
            return false;
        other += b->received[p] == RECEIVED;
        if (!b->received[p]) run->index.on = false; /* the stream does not say what it is */
    }
    b->few = run->compare && other <= pages / FEW;
    return true;
}

/* All of a block, for it to take the place of the old one. */
static void ram_load_fill(LoadRun *run, LoadBlock *b)
{
    for (uint64_t p = 0; p < b->block->size >> PAGE_BITS; p++) {
        if (b->received[p] == RECEIVED || (!b->received[p] && run->postcopy == LOAD_RUNNING))
            continue;
        if (b->received[p] && ram_load_is_hole(b, p)) continue;
        memcpy(b->host + (p << PAGE_BITS), b->block->host + (p << PAGE_BITS), PAGE_SIZE);
    }
}

static void ram_load_patch(LoadBlock *b)
{
    for (uint64_t p = 0; p < b->block->size >> PAGE_BITS; p++)
        if (b->received[p] == RECEIVED)
            ram_block_write(b->block, p << PAGE_BITS, b->host + (p << PAGE_BITS), PAGE_SIZE);
}

/* Pages were listed because they are dirty; nobody may have written to one more since. */
static bool ram_load_listed(LoadRun *run)
{
    uint64_t dirty = 0;

    for (RamBlock *b = ram_block_first(run->m); b; b = b->next)
        dirty += ram_count_dirty(b, WATCH_SNAPSHOT, UINT64_MAX);
    return dirty == run->again->len;
}

bool ram_load_check(LoadRun *run, Error *err)
{
    bool right = !run->again || ram_load_listed(run);

    for (LoadBlock *b = run->blocks; b && !run->again; b = b->next)
        right = ram_load_compared(run, b) && right;
    return right || error_set(err, "RAM has been written to meanwhile: try again");
}

bool ram_load_commit(LoadRun *run, Error *err)
{
    if (run->again) {
        ram_load_again(run);
        return true;
    }
    for (LoadBlock *b = run->blocks; b; b = b->next)
        if (!b->few) ram_load_fill(run, b);
    for (LoadBlock *b = run->blocks; b; b = b->next) {
        if (b->few) continue;
        if (!ram_block_adopt(b->block, b->host, err)) return false;
        b->host = NULL;
    }
    for (LoadBlock *b = run->blocks; b; b = b->next)
        if (b->few) ram_load_patch(b);
    if (run->postcopy == LOAD_RUNNING) ram_load_arm(run);
    return true;
}

bool ram_load_discard(LoadRun *run, const char *name, uint64_t start, uint64_t len)
{
    LoadBlock *b = ram_load_find(run, name);

    if (!b) return !strncmp(name, "/rom@", 5);
    if (start > b->block->size || len > b->block->size - start) return false;
    for (uint64_t p = start >> PAGE_BITS; p < (start + len) >> PAGE_BITS; p++) b->received[p] = 0;
    b->discarded = true;
    return true;
}

bool ram_load_bitmap(const LoadRun *run, const char *name, Stream *out)
{
    const LoadBlock *b = run->blocks;
    const LoadSkipped *s = run->skipped;
    uint64_t pages, bytes;

    while (b && strcmp(b->block->idstr, name)) b = b->next;
    while (s && strcmp(s->idstr, name)) s = s->next;
    if (!b && !s) return false;
    pages = (b ? b->block->size : s->size) >> PAGE_BITS;
    bytes = align_up(pages, 64) / 8;
    stream_put_be64(out, bytes);
    for (uint64_t i = 0; i < bytes; i++) {
        unsigned bits = 0;

        for (uint64_t p = i * 8; p < MIN_OF(i * 8 + 8, pages); p++)
            bits |= (unsigned)(!b || b->received[p]) << p % 8;
        stream_put_u8(out, (uint8_t)bits);
    }
    return true;
}

bool ram_load_missing(LoadRun *run)
{
    for (LoadBlock *b = run->blocks; b; b = b->next)
        if (memchr(b->received, 0, b->block->size >> PAGE_BITS)) return true;
    return false;
}

static void ram_load_free_again(LoadRun *run)
{
    if (!run->again) return;
    for (guint i = 0; i < run->again->len; i++) g_free(g_array_index(run->again, LoadPage, i).data);
    g_array_free(run->again, TRUE);
    run->again = NULL;
}

void ram_load_free(LoadRun *run)
{
    ram_load_free_again(run);
    ram_zip_free(run->unzip);
    while (run->blocks) {
        LoadBlock *b = run->blocks;

        run->blocks = b->next;
        if (b->host) munmap(b->host, b->block->size);
        g_free(b->received);
        g_free(b->requested);
        g_free(b->at);
        g_free(b);
    }
    while (run->skipped) {
        LoadSkipped *s = run->skipped;

        run->skipped = s->next;
        g_free(s->idstr);
        g_free(s);
    }
}
