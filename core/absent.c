/* SPDX-License-Identifier: MIT */
/*
 * Pages of RAM that are not there yet.  See memory.h.
 *
 * Who reads one waits: a CPU's slice ends, a device's DMA is put off, a command of the monitor ends
 * later.  Who writes one need not: the bytes written are kept when the page comes.
 */
#include <string.h>

#include "core/absent.h"
#include "core/memory_internal.h"
#include "util/bits.h"

void mem_set_page_source(Machine *m, const PageSource *src)
{
    m->mem->source = src ? *src : (PageSource){ 0 };
    if (!src) mem_source_lost(m);
}

bool mem_has_page_source(Machine *m) { return m->mem->source.request != NULL; }

bool mem_device_waits(Machine *m)
{
    for (PageWaiter *w = m->mem->waiters; w; w = w->next)
        if (w->dev) return true;
    return false;
}

/* -- who waits -- */

/* One that waits already (a CPU tries again now and then) is not entered twice. */
static bool absent_wait(const PageWaiter *what)
{
    Memory *mem = what->block->m->mem;
    PageWaiter *w;

    for (w = mem->waiters; w; w = w->next)
        if (w->dev && w->dev == what->dev && w->block == what->block && w->page == what->page)
            return true;
    w = g_memdup2(what, sizeof(*what));
    w->next = mem->waiters;
    mem->waiters = w;
    return mem->source.request(mem->source.opaque, w->block, w->page);
}

/* Takes out of the list what fits: a page's waiters, a device's, or (block and dev NULL) all that
 * are no devices. */
static PageWaiter *absent_take(Memory *mem, const RamBlock *b, uint64_t page, const Device *dev)
{
    PageWaiter **p = &mem->waiters, *taken = NULL;

    while (*p) {
        PageWaiter *w = *p;
        bool fits = b ? w->block == b && w->page == page : w->dev == dev;

        if (!fits) {
            p = &w->next;
            continue;
        }
        *p = w->next;
        w->next = taken;
        taken = w;
    }
    return taken;
}

static void absent_tell(PageWaiter *w, bool there)
{
    while (w) {
        PageWaiter *next = w->next;

        if (w->dev)
            w->resume(w->dev);
        else
            w->told(w->opaque, there);
        g_free(w);
        w = next;
    }
}

void mem_source_lost(Machine *m) { absent_tell(absent_take(m->mem, NULL, 0, NULL), false); }

void absent_forget(Memory *mem, Device *dev)
{
    PageWaiter *w = absent_take(mem, NULL, 0, dev);

    while (w) {
        PageWaiter *next = w->next;

        g_free(w);
        w = next;
    }
}

void ram_await(RamBlock *b, uint64_t page, void (*told)(void *opaque, bool there), void *opaque)
{
    PageWaiter w = { .block = b, .page = page, .told = told, .opaque = opaque };

    if (!b->m->mem->source.request)
        told(opaque, false);
    else if (!absent_wait(&w))
        mem_source_lost(b->m);
}

/* -- probes -- */

bool ram_probe(
    Device *dev, RamBlock *b, uint64_t first_page, uint64_t pages, void (*resume)(Device *dev))
{
    if (!dev->m->mem->source.request) return true;
    for (uint64_t page = first_page; page < first_page + pages; page++) {
        if (!(b->watch[page] & WATCH_ABSENT)) continue;
        absent_wait(&(PageWaiter){ .block = b, .page = page, .dev = dev, .resume = resume });
        return false;
    }
    return true;
}

bool mmio_probe(Device *cpu, const FlatRange *r, uint64_t gpa, void (*resume)(Device *dev))
{
    const MemRegion *region = r->region;
    uint64_t first, pages;
    RamBlock *b;

    if (!region->ops || !region->ops->behind || !cpu->m->mem->source.request) return true;
    b = region->ops->behind(region->dev, r->region_off + (gpa - r->gpa), &first, &pages);
    return !b || ram_probe(cpu, b, first, pages, resume);
}

bool mem_find_absent(Machine *m, uint64_t gpa, uint64_t len, RamBlock **block, uint64_t *page)
{
    while (len) {
        const FlatRange *r = mem_find(m, (MemAttrs){ 0 }, gpa);
        uint64_t in_page = PAGE_SIZE - (gpa & PAGE_MASK), n = MIN_OF(len, in_page);

        if (r && r->region->ram) {
            RamBlock *b = r->region->ram;
            uint64_t off = r->region->ram_off + r->region_off + (gpa - r->gpa);

            if (b->watch[off >> PAGE_BITS] & WATCH_ABSENT) {
                *block = b;
                *page = off >> PAGE_BITS;
                return true;
            }
        }
        gpa += n;
        len -= n;
    }
    return false;
}

bool dma_probe(Device *dev, uint64_t gpa, uint64_t len, void (*resume)(Device *dev))
{
    RamBlock *b;
    uint64_t page;

    if (!dev->m->mem->source.request || !mem_find_absent(dev->m, gpa, len, &b, &page)) return true;
    return ram_probe(dev, b, page, 1, resume);
}

/* -- what comes -- */

void absent_written(RamBlock *b, uint64_t page, uint64_t start, uint64_t end)
{
    uint8_t *bits;

    if (!b->newer) b->newer = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    bits = g_hash_table_lookup(b->newer, &page);
    if (!bits) {
        bits = g_malloc0(PAGE_SIZE / 8);
        g_hash_table_insert(b->newer, g_memdup2(&page, sizeof(page)), bits);
    }
    for (uint64_t i = start & PAGE_MASK; start < end; start++, i++) bits[i / 8] |= 1 << i % 8;
}

void ram_page_arrived(RamBlock *b, uint64_t page, const void *data)
{
    uint8_t *to = b->host + (page << PAGE_BITS);
    const uint8_t *bits = b->newer ? g_hash_table_lookup(b->newer, &page) : NULL, *from = data;

    b->watch[page] &= (uint8_t)~WATCH_ABSENT;
    if (data) ram_written(b, page << PAGE_BITS, PAGE_SIZE);
    for (unsigned i = 0; data && bits && i < PAGE_SIZE; i++)
        if (!(bits[i / 8] >> i % 8 & 1)) to[i] = from[i];
    if (data && !bits) memcpy(to, data, PAGE_SIZE);
    if (bits) g_hash_table_remove(b->newer, &page);
    absent_tell(absent_take(b->m->mem, b, page, NULL), true);
}
