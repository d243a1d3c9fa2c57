/* SPDX-License-Identifier: MIT */
/* RAM in a stream: records of be64 (offset | flags), as in migration/ram.h; and disks, as in
 * migration/block_migration.h. */
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "tools/stasis-img-stream.h"
#include "util/bits.h"

enum {
    RAM_ZERO = 0x02,
    RAM_MEM_SIZE = 0x04,
    RAM_PAGE = 0x08,
    RAM_EOS = 0x10,
    RAM_CONTINUE = 0x20,
    RAM_XBZRLE = 0x40,
    RAM_COMPRESS = 0x100,
    RAM_FLAGS = 0xfff,

    DISK_DATA = 0x01,
    DISK_EOS = 0x02,
    DISK_PROGRESS = 0x04,
    DISK_ZERO = 0x08,
    DISK_FLAGS = 0x1ff,
    DISK_CHUNK = 1 << 20,
};

static const uint8_t zero_page[STREAM_PAGE];

static gint ram_offset_order(gconstpointer a, gconstpointer b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

GArray *stream_block_offsets(const StreamBlock *b)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    GHashTableIter it;
    gpointer key;

    g_hash_table_iter_init(&it, b->pages);
    while (g_hash_table_iter_next(&it, &key, NULL)) g_array_append_val(list, *(uint64_t *)key);
    g_array_sort(list, ram_offset_order);
    return list;
}

StreamBlock *stream_block_find(const GPtrArray *list, const char *name)
{
    for (guint i = 0; i < list->len; i++) {
        StreamBlock *b = list->pdata[i];

        if (!strcmp(b->name, name)) return b;
    }
    return NULL;
}

static StreamBlock *block_new(GPtrArray *list, const char *name)
{
    StreamBlock *b = g_new(StreamBlock, 1);

    *b = (StreamBlock){ .name = g_strdup(name),
        .pages = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL) };
    g_ptr_array_add(list, b);
    return b;
}

static void block_keep(StreamBlock *b, uint64_t off, const uint8_t *page)
{
    g_hash_table_insert(b->pages, g_memdup2(&off, sizeof(off)), (void *)page);
}

static void ram_list(StreamFile *f, uint64_t total)
{
    Stream *st = &f->st;
    char name[256];

    while (stream_ok(st) && total) {
        uint64_t size;

        stream_get_str8(st, name);
        size = stream_get_be64(st);
        if (!stream_ok(st)) return;
        if (stream_block_find(f->blocks, name) || size > total) {
            stream_fail(st, "RAM block '%s' of %" PRIu64 " bytes", name, size);
            return;
        }
        total -= size;
        block_new(f->blocks, name)->size = size;
    }
}

static void ram_keep(StreamFile *f, uint64_t off, const uint8_t *page)
{
    block_keep(f->last, off, page);
}

static uint8_t *ram_new_page(StreamFile *f, const uint8_t *from)
{
    uint8_t *page = g_memdup2(from, STREAM_PAGE);

    g_ptr_array_add(f->owned, page);
    return page;
}

/* The next n bytes, where they are; NULL where they are not. */
static const uint8_t *ram_take(Stream *st, size_t n)
{
    const uint8_t *p = st->data + st->pos;

    stream_skip(st, n);
    return stream_ok(st) ? p : NULL;
}

static void ram_fill(StreamFile *f, uint64_t off)
{
    uint8_t fill = stream_get_u8(&f->st), *page;

    if (!stream_ok(&f->st)) return;
    if (!fill) {
        ram_keep(f, off, zero_page);
        return;
    }
    page = ram_new_page(f, zero_page);
    memset(page, fill, STREAM_PAGE);
    ram_keep(f, off, page);
}

static void ram_compressed(StreamFile *f, uint64_t off)
{
    uint32_t len = stream_get_be32(&f->st);
    const uint8_t *from = ram_take(&f->st, len);
    uint8_t *page;
    uLongf size = STREAM_PAGE;

    if (!from) return;
    page = ram_new_page(f, zero_page);
    if (uncompress(page, &size, from, len) != Z_OK || size != STREAM_PAGE)
        stream_fail(&f->st, "a compressed page is damaged");
    else
        ram_keep(f, off, page);
}

static uint32_t delta_number(Stream *d)
{
    uint32_t n = 0;

    for (unsigned shift = 0; shift < 28; shift += 7) {
        uint8_t b = stream_get_u8(d);

        n |= (uint32_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) return n;
    }
    stream_fail(d, "a run without end");
    return 0;
}

/* Runs of what has stayed and of what is new, in turn, each behind its length. */
static void ram_delta(StreamFile *f, uint64_t off)
{
    uint8_t kind = stream_get_u8(&f->st);
    uint16_t len = stream_get_be16(&f->st);
    const uint8_t *from = ram_take(&f->st, len), *old;
    uint8_t *page;
    size_t at = 0;
    Stream d;

    if (!from) return;
    old = g_hash_table_lookup(f->last->pages, &off);
    page = ram_new_page(f, old ? old : zero_page);
    d = (Stream){ .data = (uint8_t *)from, .size = len, .eof = true };
    for (bool same = true; stream_ok(&d) && stream_left(&d); same = !same) {
        uint32_t n = delta_number(&d);

        if (n > STREAM_PAGE - at) stream_fail(&d, "a run beyond the page");
        if (!stream_ok(&d)) break;
        if (!same) stream_get(&d, page + at, n);
        at += n;
    }
    if (kind != 1 || !stream_ok(&d))
        stream_fail(&f->st, "a page's delta is damaged");
    else
        ram_keep(f, off, page);
}

static void ram_page(StreamFile *f, uint64_t flags, uint64_t off)
{
    Stream *st = &f->st;
    const uint8_t *page;
    char name[256];

    if (!(flags & RAM_CONTINUE)) {
        stream_get_str8(st, name);
        f->last = stream_ok(st) ? stream_block_find(f->blocks, name) : NULL;
    }
    if (stream_ok(st) && (!f->last || off >= f->last->size))
        stream_fail(st, "a page at 0x%" PRIx64 " of no block", off);
    if (!stream_ok(st)) return;
    switch (flags & ~(uint64_t)RAM_CONTINUE) {
    case RAM_ZERO: ram_fill(f, off); break;
    case RAM_PAGE:
        page = ram_take(st, STREAM_PAGE);
        if (page) ram_keep(f, off, page);
        break;
    case RAM_COMPRESS: ram_compressed(f, off); break;
    case RAM_XBZRLE: ram_delta(f, off); break;
    default: stream_fail(st, "Unknown combination of migration flags: 0x%" PRIx64, flags);
    }
}

bool stream_file_ram(StreamFile *f)
{
    while (stream_ok(&f->st)) {
        uint64_t word = stream_get_be64(&f->st), flags = word & RAM_FLAGS;

        if (!stream_ok(&f->st)) break;
        if (flags == RAM_EOS) return true;
        if (flags == RAM_MEM_SIZE)
            ram_list(f, word - flags);
        else
            ram_page(f, flags, word - flags);
    }
    return false;
}

/* A chunk, page by page. */
static void disk_chunk(StreamFile *f, uint64_t off, bool zero)
{
    const uint8_t *data = zero_page;
    StreamBlock *b;
    char name[256];

    stream_get_str8(&f->st, name);
    if (!zero) data = ram_take(&f->st, DISK_CHUNK);
    if (!stream_ok(&f->st)) return;
    if (off > INT64_MAX - DISK_CHUNK || off % DISK_CHUNK) {
        stream_fail(&f->st, "a chunk at 0x%" PRIx64 " of disk '%s'", off, name);
        return;
    }
    b = stream_block_find(f->disks, name);
    if (!b) b = block_new(f->disks, name);
    b->size = MAX_OF(b->size, off + DISK_CHUNK);
    for (unsigned at = 0; at < DISK_CHUNK; at += STREAM_PAGE)
        block_keep(b, off + at, zero ? zero_page : data + at);
}

bool stream_file_disks(StreamFile *f)
{
    while (stream_ok(&f->st)) {
        uint64_t word = stream_get_be64(&f->st), flags = word & DISK_FLAGS;

        if (!stream_ok(&f->st)) break;
        if (flags == DISK_EOS) return true;
        if (flags == DISK_PROGRESS) continue;
        if (flags == DISK_DATA || flags == (DISK_DATA | DISK_ZERO))
            disk_chunk(f, word - flags, flags & DISK_ZERO);
        else
            stream_fail(&f->st, "Unknown block flags: 0x%" PRIx64, flags);
    }
    return false;
}
