/* SPDX-License-Identifier: MIT */
/*
 * Guest memory: RAM blocks, the physical map, ports, and who wants to know of writes.
 *
 * RAM blocks live in anonymous memory, in huge pages where the host has them, and a block's host
 * address never changes.  The physical map is a list of regions with priorities, flattened into
 * sorted ranges (once as CPUs see it, twice as CPUs in SMM do: for data and for code).  CPUs cache
 * host addresses in their TLBs and are told by a MemListener when to drop them; devices reach RAM
 * by mem_read/mem_write only.
 *
 * Watches: one byte per page and block, a bit per client.  A set bit means "tell me of the next
 * write" (the page is *clean* for that client); the write slow path clears it.  A page whose byte
 * is zero may be written without telling anyone, so it may stand in a CPU's write TLB.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

typedef struct Machine Machine;
typedef struct Device Device;

enum { PAGE_BITS = 12, PAGE_SIZE = 1 << PAGE_BITS, PAGE_MASK = PAGE_SIZE - 1 };

/* Who accesses. */
typedef struct MemAttrs {
    Device *cpu; /* the CPU, or NULL for a device's DMA */
    bool smm;
    bool code; /* fetches it; makes a difference in SMM alone */
} MemAttrs;

enum Watch {
    WATCH_MIGRATION = 1 << 0,
    WATCH_VGA = 1 << 1,
    WATCH_SNAPSHOT = 1 << 2,
    WATCH_CODE = 1 << 3,   /* holds decoded code: the CPU invalidates */
    WATCH_ABSENT = 1 << 4, /* not loaded yet: reads need fetching too */
};

typedef struct RamBlock RamBlock;
struct RamBlock {
    char idstr[256]; /* name on the wire: "pc.ram", "0000:00:02.0/vga.vram" */
    uint8_t *host;
    uint64_t size;     /* bytes, a multiple of PAGE_SIZE */
    uint8_t *watch;    /* a byte of Watch bits per page */
    uint32_t watching; /* clients that armed anything since their last ram_unwatch */
    bool shrinks;      /* pages of it have been given back */
    GHashTable
        *newer;     /* absent page -> a bit for each byte that was written meanwhile; NULL: none */
    RamBlock *next; /* in order of creation */
    Machine *m;
};

/* A device's registers in memory.  off counts from the region's start, size is 1, 2, 4 or 8.
 * Accesses wider than max are split, narrower than min are widened. */
typedef struct MmioOps {
    uint64_t (*read)(Device *dev, MemAttrs attrs, uint64_t off, unsigned size);
    void (*write)(Device *dev, MemAttrs attrs, uint64_t off, uint64_t val, unsigned size);
    uint8_t min, max; /* 0 means 1 and 8 */
    /* For a window into RAM: the pages that an access in the page of off may reach.  A CPU waits
     * for them before it accesses.  NULL: there are none. */
    RamBlock *(*behind)(Device *dev, uint64_t off, uint64_t *first_page, uint64_t *pages);
} MmioOps;

/* A range of the physical map; owned by the device that embeds it. */
typedef struct MemRegion MemRegion;
struct MemRegion {
    const char *name;   /* `info mtree` */
    uint64_t gpa, size; /* page-aligned */
    int prio;           /* the higher one covers the lower one */
    bool enabled;
    bool smm_only;  /* seen by CPUs in SMM alone */
    bool code_only; /* ... and by these where they fetch code */
    RamBlock *ram;  /* RAM or ROM: reads (and writes unless readonly) go to ram + ram_off ... */
    uint64_t ram_off;
    bool readonly;      /* writes are dropped */
    const MmioOps *ops; /* ... or registers */
    Device *dev;
    MemRegion *next;
};

/* A flattened piece of the map: gpa .. gpa+size belongs to region, starting at region_off. */
typedef struct FlatRange {
    uint64_t gpa, size;
    MemRegion *region;
    uint64_t region_off;
} FlatRange;

/* Told of what concerns cached host addresses and decoded code.  Each may be NULL. */
typedef struct MemListener MemListener;
struct MemListener {
    void (*map_changed)(void *opaque); /* drop every cached translation */
    /* these pages got a watch bit: drop them from the write (ABSENT: read, too) tables */
    void (*armed)(void *opaque, RamBlock *b, uint64_t first_page, uint64_t pages);
    /* bytes of pages with WATCH_CODE are being written: invalidate blocks there */
    void (*code_written)(void *opaque, RamBlock *b, uint64_t off, uint64_t len);
    void *opaque;
    MemListener *next;
};

/* A device's ports.  reg counts from the range's first register; size is 1, 2 or 4.
 * Accesses wider than width are split into byte-wise-ascending ones of that width. */
typedef struct IoOps {
    uint32_t (*read)(Device *dev, uint32_t reg, unsigned size);
    void (*write)(Device *dev, uint32_t reg, uint32_t val, unsigned size);
    uint8_t width; /* widest access it takes: 1, 2 or 4 (0 means 1) */
} IoOps;

typedef struct Memory Memory; /* a machine's map, blocks and ports; core/memory.c */

Memory *memory_new(Machine *m);
void memory_free(Memory *mem);

/* -- RAM blocks -- */

/* A zeroed block; idstr is copied.  Size is rounded up to pages. */
RamBlock *ram_block_new(Machine *m, const char *idstr, uint64_t size, Error *err);
void ram_block_free(RamBlock *b);
RamBlock *ram_block_first(Machine *m);
RamBlock *ram_block_find(Machine *m, const char *idstr);

/* Writes by the emulator itself (loading firmware, draw-free): marks and invalidates as a device's
 * would.  off + len is inside the block (asserted). */
void ram_block_write(RamBlock *b, uint64_t off, const void *buf, uint64_t len);

/* Someone wrote (or is about to write) bytes through b->host: clears the watch bits of these pages
 * and tells the code listeners.  The write slow path of CPUs calls it too. */
void ram_written(RamBlock *b, uint64_t off, uint64_t len);

/* How many pages are dirty for client; counting may stop at any number above enough. */
uint64_t ram_count_dirty(const RamBlock *b, enum Watch client, uint64_t enough);

/* Whether a page was never written to, or has been given back, so that it holds zeroes without a
 * host page of its own (reading it would make one).  *end: the pages up to there are of the same
 * kind. */
bool ram_is_hole(const RamBlock *b, uint64_t page, uint64_t *end);

/* Gives pages of a guest that does not run back to the host: they hold zeroes from now on.  For a
 * migration they stay what they were, clean or dirty. */
void ram_give_back(RamBlock *b, uint64_t first_page, uint64_t pages);

/* Arms a client's watch on pages (marks them clean). */
void ram_watch(RamBlock *b, uint64_t first_page, uint64_t pages, enum Watch client);
/* Ends watching: clears the client's bits everywhere. */
void ram_unwatch(RamBlock *b, enum Watch client);
/* As if one page had been written to, for this client alone. */
void ram_unwatch_page(RamBlock *b, uint64_t page, enum Watch client);
static inline bool ram_is_clean(const RamBlock *b, uint64_t page, enum Watch client)
{
    return (b->watch[page] & client) != 0;
}
/* The first page >= from whose bit of client is clear (that is: dirty), or b->size >> PAGE_BITS. */
uint64_t ram_next_dirty(const RamBlock *b, uint64_t from, enum Watch client);

/* Puts a shadow (below) in the place of a block's content, at the block's host address; takes the
 * mapping. */
bool ram_block_adopt(RamBlock *b, uint8_t *host, Error *err);
/* A new mapping of the block's size, for a load in the background; the caller's, b->size bytes to
 * unmap.  dense: most of it will be written to. */
uint8_t *ram_block_shadow(const RamBlock *b, bool dense, Error *err);

/* -- the physical map -- */

void mem_region_add(Machine *m, MemRegion *r);
void mem_region_del(Machine *m, MemRegion *r);
/* The device goes: takes back its ports and every region whose dev it is. */
void memory_drop_device(Device *dev);
/* After changing gpa, enabled, prio, readonly, ram_off of added regions: rebuilds the map if it
 * differs and tells the listeners. */
void mem_commit(Machine *m);
/* The regions as they were added, covered and disabled ones too, the higher priority first: the one
 * after r, or the first for NULL; NULL at the end. */
const MemRegion *mem_region_next(Machine *m, const MemRegion *r);
/* The flattened map, sorted by gpa, for lookups of CPUs and `info mtree -f`. */
const FlatRange *mem_ranges(Machine *m, bool smm, size_t *n);
/* CPUs in SMM see another map where they fetch code. */
bool mem_code_differs(Machine *m);
/* The range holding gpa, or NULL where nothing answers. */
const FlatRange *mem_find(Machine *m, MemAttrs attrs, uint64_t gpa);
void mem_listener_add(Machine *m, MemListener *l);
void mem_listener_del(Machine *m, MemListener *l);

/* -- accesses; gpa is masked by A20 by the CPU, not here -- */

/* Any length, RAM and registers alike; unmapped reads give ones.  Never waits: absent pages read as
 * what is there (see mem_probe). */
void mem_read(Machine *m, MemAttrs attrs, uint64_t gpa, void *buf, uint64_t len);
void mem_write(Machine *m, MemAttrs attrs, uint64_t gpa, const void *buf, uint64_t len);
/* One access of 1, 2, 4 or 8 bytes that a CPU's slow path makes; naturally little endian. */
uint64_t mem_load(Machine *m, MemAttrs attrs, uint64_t gpa, unsigned size);
void mem_store(Machine *m, MemAttrs attrs, uint64_t gpa, uint64_t val, unsigned size);

/* DMA by a device, after dma_probe: not seen by SMM, subject to the map. */
void dma_read(Device *dev, uint64_t gpa, void *buf, uint64_t len);
void dma_write(Device *dev, uint64_t gpa, const void *buf, uint64_t len);

/* -- absent pages (post-copy, lazy loads): core/absent.c -- */

/* For DMA: true when every page of the range is present.  Otherwise the first one that is not is
 * asked for and resume(dev) is called once it is there; the device does nothing until then. */
bool dma_probe(Device *dev, uint64_t gpa, uint64_t len, void (*resume)(Device *dev));
/* The same for pages of a block, and for a CPU that is about to access registers in r at gpa. */
bool ram_probe(
    Device *dev, RamBlock *b, uint64_t first_page, uint64_t pages, void (*resume)(Device *dev));
bool mmio_probe(Device *cpu, const FlatRange *r, uint64_t gpa, void (*resume)(Device *dev));
/* The first absent page of a range of guest-physical memory; false where all is present. */
bool mem_find_absent(Machine *m, uint64_t gpa, uint64_t len, RamBlock **block, uint64_t *page);
/* For the monitor: asks for a page and tells when it is there, or that it cannot be had for now. */
void ram_await(RamBlock *b, uint64_t page, void (*told)(void *opaque, bool there), void *opaque);

/* Who fetches absent pages; NULL ends it. */
typedef struct PageSource {
    /* False: it cannot be had for now, and is remembered. */
    bool (*request)(void *opaque, RamBlock *b, uint64_t page);
    void *opaque;
} PageSource;
void mem_set_page_source(Machine *m, const PageSource *src);
/* Pages may be absent: there is a source. */
bool mem_has_page_source(Machine *m);
/* Pages cannot be had for now: tells those who wait by ram_await; devices wait on. */
void mem_source_lost(Machine *m);
/* An absent page has come; data NULL: what stands in its place is right.  Bytes that were written
 * there meanwhile are newer and stay.  Resumes who waited. */
void ram_page_arrived(RamBlock *b, uint64_t page, const void *data);

/* -- ports -- */

/* Maps count ports from port; the device sees reg = first_reg + (port - base).  A later mapping of
 * the same port covers an earlier one. */
bool pio_map(Device *dev, uint32_t port, uint32_t count, const IoOps *ops, uint32_t first_reg,
    const char *name, Error *err);
/* Takes back every port of dev whose reg is in first_reg .. first_reg+count-1. */
void pio_unmap(Device *dev, uint32_t first_reg, uint32_t count);
uint32_t pio_read(Machine *m, uint32_t port, unsigned size);
void pio_write(Machine *m, uint32_t port, uint32_t val, unsigned size);

/* For `info mtree`: calls fn for each mapped run of ports, ascending. */
void pio_each(Machine *m,
    void (*fn)(void *opaque, uint32_t first, uint32_t last, Device *dev, const char *name),
    void *opaque);
