/* SPDX-License-Identifier: MIT */
/* RAM blocks and their watches.  See memory.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/memory_internal.h"
#include "util/bits.h"

enum { HUGE = 2 * MiB, KINDS = 512 };

/* Address space whose pages the host gives as they are written to; it starts where a huge page of
 * the host would. */
static uint8_t *ram_map(uint64_t size, Error *err)
{
    size_t room = size + HUGE, head, tail;
    uint8_t *p = mmap(
        NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED) {
        error_errno(err, errno, "cannot get %" G_GUINT64_FORMAT " MiB of guest RAM", size / MiB);
        return NULL;
    }
    head = -(uintptr_t)p & (HUGE - 1);
    tail = room - head - size;
    if (head) munmap(p, head);
    if (tail) munmap(p + head + size, tail);
    return p + head;
}

RamBlock *ram_block_new(Machine *m, const char *idstr, uint64_t size, Error *err)
{
    RamBlock *b = g_new0(RamBlock, 1), **p;

    assert(strlen(idstr) < sizeof(b->idstr) && !ram_block_find(m, idstr));
    strcpy(b->idstr, idstr);
    b->m = m;
    b->size = align_up(size, PAGE_SIZE);
    b->host = ram_block_shadow(b, true, err);
    if (!b->host) {
        g_free(b);
        return NULL;
    }
    b->watch = g_malloc0(b->size >> PAGE_BITS);
    for (p = &m->mem->blocks; *p;) p = &(*p)->next;
    *p = b;
    return b;
}

void ram_block_free(RamBlock *b)
{
    for (RamBlock **p = &b->m->mem->blocks; *p; p = &(*p)->next) {
        if (*p != b) continue;
        *p = b->next;
        break;
    }
    munmap(b->host, b->size);
    if (b->newer) g_hash_table_destroy(b->newer);
    g_free(b->watch);
    g_free(b);
}

RamBlock *ram_block_first(Machine *m) { return m->mem->blocks; }

RamBlock *ram_block_find(Machine *m, const char *idstr)
{
    for (RamBlock *b = m->mem->blocks; b; b = b->next)
        if (!strcmp(b->idstr, idstr)) return b;
    return NULL;
}

uint8_t *ram_block_shadow(const RamBlock *b, bool dense, Error *err)
{
    uint8_t *host = ram_map(b->size, err);

    if (host && dense) madvise(host, b->size, MADV_HUGEPAGE);
    return host;
}

bool ram_block_adopt(RamBlock *b, uint8_t *host, Error *err)
{
    /* Moving the mapping keeps its page tables: no page is faulted in again. */
    if (mremap(host, b->size, b->size, MREMAP_MAYMOVE | MREMAP_FIXED, b->host) == MAP_FAILED)
        return error_errno(err, errno, "cannot put the new RAM in place");
    madvise(b->host, b->size, MADV_HUGEPAGE);
    b->shrinks = false;
    ram_written(b, 0, b->size);
    return true;
}

void ram_block_write(RamBlock *b, uint64_t off, const void *buf, uint64_t len)
{
    assert(off <= b->size && len <= b->size - off);
    ram_written(b, off, len);
    memcpy(b->host + off, buf, len);
}

/* A page that was sent is dirty again. */
static void ram_dirtied(Machine *m)
{
    if (m->dirty_budget == DIRTY_UNLIMITED || --m->dirty_budget > 0) return;
    clock_end_slice(&m->clock);
}

void ram_written(RamBlock *b, uint64_t off, uint64_t len)
{
    if (!len) return;
    for (uint64_t page = off >> PAGE_BITS; page <= (off + len - 1) >> PAGE_BITS; page++) {
        uint64_t start = MAX_OF(off, page << PAGE_BITS);
        uint64_t end = MIN_OF(off + len, (page + 1) << PAGE_BITS);

        if (!b->watch[page]) continue;
        if (b->watch[page] & WATCH_CODE)
            for (MemListener *l = b->m->mem->listeners; l; l = l->next)
                if (l->code_written) l->code_written(l->opaque, b, start, end - start);
        if (b->watch[page] & WATCH_ABSENT) absent_written(b, page, start, end);
        if (b->watch[page] & WATCH_MIGRATION) ram_dirtied(b->m);
        b->watch[page] &= WATCH_CODE | WATCH_ABSENT;
    }
}

uint64_t ram_count_dirty(const RamBlock *b, enum Watch client, uint64_t enough)
{
    const uint64_t ones = 0x0101010101010101ull;
    uint64_t n = b->size >> PAGE_BITS, dirty = 0, i, word;
    int shift = __builtin_ctz(client);

    for (i = 0; i + 8 <= n && dirty <= enough; i += 8) {
        memcpy(&word, b->watch + i, 8);
        dirty += (~word >> shift & ones) * ones >> 56; /* the sum of the bytes */
    }
    for (; i < n && dirty <= enough; i++) dirty += !ram_is_clean(b, i, client);
    return dirty;
}

/* Whether pages have a host page, in memory or in its swap space: bits 62 and 63 of a 64-bit word
 * for each (Linux, admin-guide/mm/pagemap).  0: the host does not say. */
static uint64_t ram_read_kinds(const RamBlock *b, uint64_t page, uint64_t n, uint64_t *kinds)
{
    uint64_t at = ((uint64_t)b->host >> PAGE_BITS) + page;
    Memory *mem = b->m->mem;
    ssize_t got;

    if (mem->pagemap < 0) mem->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    got = pread(mem->pagemap, kinds, n * sizeof(*kinds), (off_t)(at * sizeof(*kinds)));
    return got < 0 ? 0 : (uint64_t)got / sizeof(*kinds);
}

bool ram_is_hole(const RamBlock *b, uint64_t page, uint64_t *end)
{
    uint64_t pages = b->size >> PAGE_BITS, kinds[KINDS], first = 0, want = 8;

    for (*end = page; *end < pages;) {
        uint64_t n = ram_read_kinds(b, *end, MIN_OF(want, pages - *end), kinds);

        if (!n) {
            *end = pages;
            return false;
        }
        if (*end == page) first = kinds[0] >> 62;
        for (uint64_t i = 0; i < n; i++, ++*end)
            if (!first != !(kinds[i] >> 62)) return !first;
        want = MIN_OF(2 * want, (uint64_t)KINDS);
    }
    return !first;
}

void ram_give_back(RamBlock *b, uint64_t first_page, uint64_t pages)
{
    uint8_t *from = b->host + (first_page << PAGE_BITS);

    assert(first_page + pages <= b->size >> PAGE_BITS);
    for (uint64_t i = 0; i < pages; i++)
        b->watch[first_page + i] &= (uint8_t) ~(WATCH_VGA | WATCH_SNAPSHOT);
    /* Or the host would fill a huge page again for the sake of what is left in it. */
    if (!b->shrinks) madvise(b->host, b->size, MADV_NOHUGEPAGE);
    b->shrinks = true;
    if (!madvise(from, pages << PAGE_BITS, MADV_DONTNEED)) return;
    memset(from, 0, pages << PAGE_BITS); /* a host that takes none back */
}

void ram_watch(RamBlock *b, uint64_t first_page, uint64_t pages, enum Watch client)
{
    assert(first_page + pages <= b->size >> PAGE_BITS);
    b->watching |= client;
    for (uint64_t i = 0; i < pages; i++) b->watch[first_page + i] |= client;
    for (MemListener *l = b->m->mem->listeners; l; l = l->next)
        if (l->armed) l->armed(l->opaque, b, first_page, pages);
}

void ram_unwatch(RamBlock *b, enum Watch client)
{
    if (!(b->watching & client)) return;
    b->watching &= ~(uint32_t)client;
    for (uint64_t i = 0; i < b->size >> PAGE_BITS; i++) b->watch[i] &= (uint8_t)~client;
}

void ram_unwatch_page(RamBlock *b, uint64_t page, enum Watch client)
{
    assert(page < b->size >> PAGE_BITS);
    b->watch[page] &= (uint8_t)~client;
}

uint64_t ram_next_dirty(const RamBlock *b, uint64_t from, enum Watch client)
{
    uint64_t n = b->size >> PAGE_BITS, all = client * 0x0101010101010101ull, word;

    while (from < n) {
        if (!(from & 7) && from + 8 <= n) {
            memcpy(&word, b->watch + from, 8);
            if ((word & all) == all) {
                from += 8;
                continue;
            }
        }
        if (!(b->watch[from] & client)) return from;
        from++;
    }
    return n;
}
