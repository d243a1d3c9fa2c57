/* SPDX-License-Identifier: MIT */
/* How pages are written: see ram_put.h.  A cached page is what the far side has; whatever is sent
 * of a page goes into its cache entry, too. */
#include "migration/ram_put.h"

#include <string.h>

#include "migration/capability.h"
#include "migration/parameters.h"
#include "migration/ram_release.h"

void ram_put_begin(RamPut *p, SaveRun *run, RamStats *stats)
{
    const MigrationParameters *par = migration_parameters(run->m);

    *p = (RamPut){ .stats = stats };
    if (!run->live) return;
    if (capability_on(run->m, "xbzrle")) {
        stats->cache_size = par->xbzrle_cache_size;
        p->cache = xbzrle_cache_new(stats->cache_size, stats->total);
    }
    if (capability_on(run->m, "compress")) {
        stats->compress = true;
        p->wait = par->compress_wait_thread;
        p->zip = ram_zip_new((unsigned)par->compress_level, (unsigned)par->compress_threads);
    }
}

void ram_put_end(RamPut *p)
{
    xbzrle_cache_free(p->cache);
    ram_zip_free(p->zip);
}

static bool ram_is_zero(const uint8_t *p)
{
    uint64_t first;

    memcpy(&first, p, sizeof(first));
    return !first && !memcmp(p, p + sizeof(first), PAGE_SIZE - sizeof(first));
}

/* The word in front of a page, and its block's name where that is another one than before. */
static void ram_put_head(RamPut *p, Stream *st, RamBlock *b, uint64_t page, uint64_t flags)
{
    if (p->named == b) flags |= RAM_CONTINUE;
    stream_put_be64(st, page << PAGE_BITS | flags);
    if (p->named != b) stream_put_str8(st, b->idstr);
    p->named = b;
}

static void ram_put_zero(RamPut *p, Stream *st, RamBlock *b, uint64_t page)
{
    uint8_t *sent = p->cache ? xbzrle_cache_find(p->cache, b, page, p->stats->rounds) : NULL;

    if (sent) memset(sent, 0, PAGE_SIZE);
    if (p->at) p->at[page] = LOAD_FILL;
    ram_put_head(p, st, b, page, RAM_ZERO);
    stream_put_u8(st, 0);
    p->stats->duplicate++;
}

static void ram_put_whole(
    RamPut *p, Stream *st, RamBlock *b, uint64_t page, const uint8_t data[PAGE_SIZE])
{
    ram_put_head(p, st, b, page, RAM_PAGE);
    if (p->at) p->at[page] = st->offset + st->size;
    stream_put(st, data, PAGE_SIZE);
    p->stats->normal++;
}

/* False: it has to be sent whole.  In the first round every page is. */
static bool ram_put_difference(
    RamPut *p, Stream *st, RamBlock *b, uint64_t page, const uint8_t data[PAGE_SIZE])
{
    uint8_t diff[PAGE_SIZE], *sent;
    size_t before = st->size;
    int n;

    if (!p->cache || p->stats->rounds < 2) return false;
    sent = xbzrle_cache_find(p->cache, b, page, p->stats->rounds);
    if (!sent) {
        p->stats->xbzrle_misses++;
        if (!p->last) xbzrle_cache_add(p->cache, b, page, p->stats->rounds, data);
        return false;
    }
    n = xbzrle_encode(sent, data, diff);
    if (n) memcpy(sent, data, PAGE_SIZE);
    if (n == XBZRLE_NO_GAIN) {
        p->stats->xbzrle_overflows++;
        return false;
    }
    p->stats->xbzrle_pages++;
    if (!n) return true; /* it was written to and is the same */
    ram_put_head(p, st, b, page, RAM_XBZRLE);
    stream_put_u8(st, XBZRLE_HEADER);
    stream_put_be16(st, (uint16_t)n);
    stream_put(st, diff, (size_t)n);
    p->stats->xbzrle_bytes += st->size - before;
    return true;
}

static void ram_put_zip(RamPut *p, Stream *st, const RamZipJob *j)
{
    size_t before = st->size;

    if (!j->len) {
        ram_put_whole(p, st, j->block, j->page, j->data);
        return;
    }
    ram_put_head(p, st, j->block, j->page, RAM_COMPRESS);
    stream_put_be32(st, (uint32_t)j->len);
    stream_put(st, j->zip, j->len);
    p->stats->compress_pages++;
    p->stats->compress_bytes += st->size - before;
}

void ram_put_flush(RamPut *p, Stream *st)
{
    const RamZipJob *j;
    unsigned undone;

    if (!p->zip) return;
    ram_zip_run(p->zip, p->wait, &undone);
    p->stats->compress_busy += undone;
    for (unsigned i = 0; (j = ram_zip_job(p->zip, i)); i++) ram_put_zip(p, st, j);
    ram_zip_clear(p->zip);
}

/* False: it has to be sent in another form. */
static bool ram_put_compressed(RamPut *p, Stream *st, RamBlock *b, uint64_t page)
{
    RamZipJob *j;

    if (!p->zip || (p->cache && p->stats->rounds > 1)) return false;
    j = ram_zip_add(p->zip);
    j->block = b;
    j->page = page;
    j->data = b->host + (page << PAGE_BITS);
    p->zipped++;
    if (ram_zip_full(p->zip)) ram_put_flush(p, st);
    return true;
}

void ram_put_page(RamPut *p, SaveRun *run, Stream *st, RamBlock *b, uint64_t page, bool hole)
{
    const uint8_t *data = b->host + (page << PAGE_BITS);

    p->stats->pages++;
    if (run->postcopy) ram_release_sent(run, b, page);
    if (hole || ram_is_zero(data)) {
        ram_put_zero(p, st, b, page);
    } else if (run->postcopy ||
               (!ram_put_difference(p, st, b, page, data) && !ram_put_compressed(p, st, b, page))) {
        ram_put_whole(p, st, b, page, data);
    }
}
