/* SPDX-License-Identifier: MIT */
/* The physical map and accesses to it.  See memory.h. */
#include "core/memory.h"

#include <assert.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "core/memory_internal.h"
#include "util/bits.h"

Memory *memory_new(Machine *m)
{
    Memory *mem = g_new0(Memory, 1);

    (void)m;
    mem->pagemap = -1;
    return mem;
}

void memory_free(Memory *mem)
{
    while (mem->blocks) ram_block_free(mem->blocks);
    while (mem->waiters) {
        PageWaiter *w = mem->waiters;

        mem->waiters = w->next;
        g_free(w);
    }
    for (int i = 0; i < VIEW_COUNT; i++) g_free(mem->view[i].ranges);
    memory_free_ports(mem);
    if (mem->pagemap >= 0) close(mem->pagemap);
    g_free(mem);
}

void mem_listener_add(Machine *m, MemListener *l)
{
    l->next = m->mem->listeners;
    m->mem->listeners = l;
}

void mem_listener_del(Machine *m, MemListener *l)
{
    for (MemListener **p = &m->mem->listeners; *p; p = &(*p)->next) {
        if (*p != l) continue;
        *p = l->next;
        return;
    }
}

static void regions_insert(Memory *mem, MemRegion *r)
{
    MemRegion **p = &mem->regions;

    while (*p && (*p)->prio > r->prio) p = &(*p)->next;
    r->next = *p;
    *p = r;
}

static void regions_remove(Memory *mem, MemRegion *r)
{
    for (MemRegion **p = &mem->regions; *p; p = &(*p)->next) {
        if (*p != r) continue;
        *p = r->next;
        return;
    }
}

const MemRegion *mem_region_next(Machine *m, const MemRegion *r)
{
    return r ? r->next : m->mem->regions;
}

void mem_region_add(Machine *m, MemRegion *r)
{
    assert(!(r->gpa & PAGE_MASK) && r->size && (r->ram || r->ops));
    regions_insert(m->mem, r);
    mem_commit(m);
}

void mem_region_del(Machine *m, MemRegion *r)
{
    regions_remove(m->mem, r);
    mem_commit(m);
}

void memory_drop_device(Device *dev)
{
    MemRegion **p = &dev->m->mem->regions;
    bool found = false;

    while (*p) {
        if ((*p)->dev != dev) {
            p = &(*p)->next;
            continue;
        }
        *p = (*p)->next;
        found = true;
    }
    absent_forget(dev->m->mem, dev);
    if (found) mem_commit(dev->m);
    if (dev->m->mem->ports) pio_unmap(dev, 0, UINT32_MAX);
}

static int compare_u64(gconstpointer a, gconstpointer b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static bool region_seen(const MemRegion *r, enum MemView view)
{
    if (r->code_only && view != VIEW_SMM_CODE) return false;
    return r->enabled && (view != VIEW_ALL || !r->smm_only);
}

/* Who answers at gpa: the regions are sorted by priority. */
static MemRegion *region_at(Memory *mem, enum MemView view, uint64_t gpa)
{
    for (MemRegion *r = mem->regions; r; r = r->next)
        if (region_seen(r, view) && gpa >= r->gpa && gpa - r->gpa < r->size) return r;
    return NULL;
}

/* Cuts the address space at every region's ends; between two cuts one region answers. */
static FlatView flatten(Memory *mem, enum MemView as)
{
    GArray *cuts = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    GArray *out = g_array_new(FALSE, FALSE, sizeof(FlatRange));
    FlatView view;

    for (MemRegion *r = mem->regions; r; r = r->next) {
        uint64_t end = r->gpa + r->size;

        if (!region_seen(r, as)) continue;
        g_array_append_val(cuts, r->gpa);
        g_array_append_val(cuts, end);
    }
    g_array_sort(cuts, compare_u64);
    for (guint i = 0; i + 1 < cuts->len; i++) {
        uint64_t a = g_array_index(cuts, uint64_t, i), b = g_array_index(cuts, uint64_t, i + 1);
        MemRegion *r = a < b ? region_at(mem, as, a) : NULL;
        FlatRange *last = out->len ? &g_array_index(out, FlatRange, out->len - 1) : NULL;
        FlatRange add;

        if (!r) continue;
        add = (FlatRange){ .gpa = a, .size = b - a, .region = r, .region_off = a - r->gpa };
        if (last && last->region == r && last->gpa + last->size == a)
            last->size += add.size;
        else
            g_array_append_val(out, add);
    }
    g_array_free(cuts, TRUE);
    view.n = out->len;
    view.ranges = (FlatRange *)(void *)g_array_free(out, FALSE);
    return view;
}

void mem_commit(Machine *m)
{
    Memory *mem = m->mem;
    MemRegion *unsorted = mem->regions;

    mem->regions = NULL;
    while (unsorted) {
        MemRegion *r = unsorted;

        unsorted = r->next;
        regions_insert(mem, r);
    }
    mem->code_differs = false;
    for (MemRegion *r = mem->regions; r; r = r->next)
        mem->code_differs |= r->enabled && r->code_only;
    for (int view = VIEW_ALL; view < VIEW_COUNT; view++) {
        g_free(mem->view[view].ranges);
        mem->view[view] = flatten(mem, view);
    }
    for (MemListener *l = mem->listeners; l; l = l->next)
        if (l->map_changed) l->map_changed(l->opaque);
}

const FlatRange *mem_ranges(Machine *m, bool smm, size_t *n)
{
    const FlatView *v = &m->mem->view[smm ? VIEW_SMM : VIEW_ALL];

    *n = v->n;
    return v->ranges;
}

bool mem_code_differs(Machine *m) { return m->mem->code_differs; }

const FlatRange *mem_find(Machine *m, MemAttrs attrs, uint64_t gpa)
{
    enum MemView view = !attrs.smm ? VIEW_ALL : attrs.code ? VIEW_SMM_CODE : VIEW_SMM;
    const FlatView *v = &m->mem->view[view];
    size_t low = 0, high = v->n;

    while (low < high) {
        size_t mid = (low + high) / 2;
        const FlatRange *r = &v->ranges[mid];

        if (gpa < r->gpa)
            high = mid;
        else if (gpa - r->gpa >= r->size)
            low = mid + 1;
        else
            return r;
    }
    return NULL;
}

/* -- registers -- */

static uint64_t ones(unsigned size) { return size == 8 ? UINT64_MAX : (1ull << 8 * size) - 1; }

/* One access of size bytes as accesses that the device takes. */
static uint64_t mmio_read(const MemRegion *r, MemAttrs attrs, uint64_t off, unsigned size)
{
    unsigned max = r->ops->max ? r->ops->max : 8, min = r->ops->min ? r->ops->min : 1;
    uint64_t val = 0;

    if (!r->ops->read) return ones(size);
    if (size < min) {
        unsigned shift = 8 * (unsigned)(off & (min - 1));

        return r->ops->read(r->dev, attrs, off & ~(uint64_t)(min - 1), min) >> shift & ones(size);
    }
    if (size <= max) return r->ops->read(r->dev, attrs, off, size) & ones(size);
    for (unsigned i = 0; i < size; i += max)
        val |= (r->ops->read(r->dev, attrs, off + i, max) & ones(max)) << 8 * i;
    return val;
}

static void mmio_write(
    const MemRegion *r, MemAttrs attrs, uint64_t off, uint64_t val, unsigned size)
{
    unsigned max = r->ops->max ? r->ops->max : 8, min = r->ops->min ? r->ops->min : 1;

    if (!r->ops->write) return;
    if (size < min) {
        unsigned shift = 8 * (unsigned)(off & (min - 1));

        r->ops->write(r->dev, attrs, off & ~(uint64_t)(min - 1), val << shift, min);
    } else if (size <= max) {
        r->ops->write(r->dev, attrs, off, val & ones(size), size);
    } else {
        for (unsigned i = 0; i < size; i += max)
            r->ops->write(r->dev, attrs, off + i, val >> 8 * i & ones(max), max);
    }
}

/* The largest naturally aligned power of two at gpa, at most len and 8. */
static unsigned natural_size(uint64_t gpa, uint64_t len)
{
    unsigned size = 8;

    while (size > 1 && (size > len || gpa & (size - 1))) size /= 2;
    return size;
}

static uint64_t load_le(const void *p, unsigned size)
{
    uint64_t v = 0;

    memcpy(&v, p, size);
    return GUINT64_FROM_LE(v);
}

static uint64_t mem_access(
    Machine *m, MemAttrs attrs, uint64_t gpa, void *buf, uint64_t len, bool write)
{
    const FlatRange *r = mem_find(m, attrs, gpa);
    uint64_t off, n;

    if (!r) {
        n = MIN_OF(len, PAGE_SIZE - (gpa & PAGE_MASK));
        if (!write) memset(buf, 0xff, n);
        return n;
    }
    off = r->region_off + (gpa - r->gpa);
    n = MIN_OF(len, r->size - (gpa - r->gpa));
    if (r->region->ram) {
        RamBlock *b = r->region->ram;
        uint64_t at = r->region->ram_off + off;

        if (!write) {
            memcpy(buf, b->host + at, n);
        } else if (!r->region->readonly) {
            ram_written(b, at, n);
            memcpy(b->host + at, buf, n);
        } else if (r->region->ops) {
            n = natural_size(gpa, n);
            mmio_write(r->region, attrs, off, load_le(buf, (unsigned)n), (unsigned)n);
        }
        return n;
    }
    n = natural_size(gpa, n);
    if (write) {
        mmio_write(r->region, attrs, off, load_le(buf, (unsigned)n), (unsigned)n);
    } else {
        uint64_t v = GUINT64_TO_LE(mmio_read(r->region, attrs, off, (unsigned)n));

        memcpy(buf, &v, n);
    }
    return n;
}

void mem_read(Machine *m, MemAttrs attrs, uint64_t gpa, void *buf, uint64_t len)
{
    for (uint64_t n; len; gpa += n, buf = (char *)buf + n, len -= n)
        n = mem_access(m, attrs, gpa, buf, len, false);
}

void mem_write(Machine *m, MemAttrs attrs, uint64_t gpa, const void *buf, uint64_t len)
{
    for (uint64_t n; len; gpa += n, buf = (const char *)buf + n, len -= n)
        n = mem_access(m, attrs, gpa, (void *)buf, len, true);
}

uint64_t mem_load(Machine *m, MemAttrs attrs, uint64_t gpa, unsigned size)
{
    const FlatRange *r = mem_find(m, attrs, gpa);
    uint8_t buf[8] = { 0 };

    if (r && !r->region->ram && r->size - (gpa - r->gpa) >= size)
        return mmio_read(r->region, attrs, r->region_off + (gpa - r->gpa), size);
    mem_read(m, attrs, gpa, buf, size);
    return load_le(buf, size);
}

void mem_store(Machine *m, MemAttrs attrs, uint64_t gpa, uint64_t val, unsigned size)
{
    const FlatRange *r = mem_find(m, attrs, gpa);

    if (r && !r->region->ram && r->size - (gpa - r->gpa) >= size) {
        mmio_write(r->region, attrs, r->region_off + (gpa - r->gpa), val, size);
    } else {
        uint64_t le = GUINT64_TO_LE(val);

        mem_write(m, attrs, gpa, &le, size);
    }
}

void dma_read(Device *dev, uint64_t gpa, void *buf, uint64_t len)
{
    mem_read(dev->m, (MemAttrs){ 0 }, gpa, buf, len);
}

void dma_write(Device *dev, uint64_t gpa, const void *buf, uint64_t len)
{
    mem_write(dev->m, (MemAttrs){ 0 }, gpa, buf, len);
}
