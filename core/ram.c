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

static int ram_memfd(const char *name, uint64_t size, Error *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd >= 0 && !ftruncate(fd, (off_t)size)) return fd;
    error_errno(err, errno, "cannot get %" G_GUINT64_FORMAT " MiB for '%s'", size / MiB, name);
    if (fd >= 0) close(fd);
    return -1;
}

static uint8_t *ram_map(int fd, uint64_t size, void *at, Error *err)
{
    void *p = mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | (at ? MAP_FIXED : 0), fd, 0);

    if (p != MAP_FAILED) return p;
    error_errno(err, errno, "cannot map %" G_GUINT64_FORMAT " MiB of guest RAM", size / MiB);
    return NULL;
}

RamBlock *ram_block_new(Machine *m, const char *idstr, uint64_t size, Error *err)
{
    RamBlock *b = g_new0(RamBlock, 1), **p;

    assert(strlen(idstr) < sizeof(b->idstr) && !ram_block_find(m, idstr));
    strcpy(b->idstr, idstr);
    b->m = m;
    b->size = align_up(size, PAGE_SIZE);
    b->fd = ram_memfd(idstr, b->size, err);
    if (b->fd >= 0) b->host = ram_map(b->fd, b->size, NULL, err);
    if (!b->host) {
        if (b->fd >= 0) close(b->fd);
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
    close(b->fd);
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

bool ram_block_shadow(const RamBlock *b, int *fd, uint8_t **host, Error *err)
{
    *fd = ram_memfd(b->idstr, b->size, err);
    if (*fd < 0) return false;
    *host = ram_map(*fd, b->size, NULL, err);
    if (*host) return true;
    close(*fd);
    return false;
}

bool ram_block_adopt(RamBlock *b, int fd, uint8_t *host, Error *err)
{
    /* Moving the mapping keeps its page tables: no page is faulted in again. */
    if (mremap(host, b->size, b->size, MREMAP_MAYMOVE | MREMAP_FIXED, b->host) == MAP_FAILED)
        return error_errno(err, errno, "cannot put the new RAM in place");
    close(b->fd);
    b->fd = fd;
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

bool ram_is_hole(const RamBlock *b, uint64_t page, uint64_t *end)
{
    off_t from = (off_t)(page << PAGE_BITS), to = lseek(b->fd, from, SEEK_DATA);
    bool hole = to != from;

    if (!hole) to = lseek(b->fd, from, SEEK_HOLE);
    *end = to < 0 ? b->size >> PAGE_BITS : (uint64_t)to >> PAGE_BITS;
    return hole;
}

void ram_give_back(RamBlock *b, uint64_t first_page, uint64_t pages)
{
    off_t from = (off_t)(first_page << PAGE_BITS), len = (off_t)(pages << PAGE_BITS);

    assert(first_page + pages <= b->size >> PAGE_BITS);
    for (uint64_t i = 0; i < pages; i++)
        b->watch[first_page + i] &= (uint8_t) ~(WATCH_VGA | WATCH_SNAPSHOT);
    if (!fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, len)) return;
    memset(b->host + from, 0, (size_t)len); /* a host that takes none back */
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
