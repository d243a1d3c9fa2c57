/* SPDX-License-Identifier: MIT */
/* The TLB: fills and flushes.  See tlb.h. */
#include "cpu/tlb.h"

#include <assert.h>
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>

enum { TLB_BYTES = TLB_PAGES * 8, TLB_FILLED_BYTES = TLB_PAGES * 4 };
enum { TLB_TABLES = 3 * WHO_COUNT, TLB_EMPTY = 1 };

static uint64_t **tlb_table(Tlb *t, unsigned n) { return &t->table[n / 3][n % 3]; }
static TlbEntry **tlb_tagged(Tlb *t, unsigned n) { return &t->tagged[n / 3][n % 3]; }

static void *tlb_map(size_t bytes, Error *err)
{
    void *p = mmap(
        NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p != MAP_FAILED) return p;
    error_errno(err, errno, "cannot get the CPU's TLB");
    return NULL;
}

bool tlb_init(Cpu *cpu, Error *err)
{
    Tlb *t = cpu->tlb = g_new0(Tlb, 1);

    t->filled = tlb_map(TLB_FILLED_BYTES, err);
    if (!t->filled) {
        tlb_free(cpu);
        return false;
    }
    for (unsigned i = 0; i < TLB_TABLES; i++) {
        *tlb_table(t, i) = tlb_map(TLB_BYTES, err);
        if (!*tlb_table(t, i)) {
            tlb_free(cpu);
            return false;
        }
        *tlb_tagged(t, i) = g_new(TlbEntry, TLB_TAGGED);
        for (unsigned k = 0; k < TLB_TAGGED; k++) (*tlb_tagged(t, i))[k].tag = TLB_EMPTY;
    }
    for (int g = 0; g < 2; g++) t->list[g] = g_new(uint32_t, TLB_CAP);
    t->gen = 1;
    for (unsigned i = 0; i < TLB_PHYS; i++) t->phys[i].key = TLB_NO_PAGE;
    return true;
}

void tlb_free(Cpu *cpu)
{
    Tlb *t = cpu->tlb;

    if (!t) return;
    for (unsigned i = 0; i < TLB_TABLES; i++) {
        if (*tlb_table(t, i)) munmap(*tlb_table(t, i), TLB_BYTES);
        g_free(*tlb_tagged(t, i));
    }
    if (t->filled) munmap(t->filled, TLB_FILLED_BYTES);
    g_free(t->list[0]);
    g_free(t->list[1]);
    g_free(t);
    cpu->tlb = NULL;
}

/* -- listed entries -- */

enum { LISTED_TABLE = 15, LISTED_TAGGED = 16, LISTED_SHIFT = 5 };
/* Of Tlb.filled: where the upper half begins, and both bits of table 0. */
enum { FILLED_LISTED = 16, FILLED_BITS = 1 << FILLED_LISTED | 1 };

static uint64_t *tlb_direct(Tlb *t, uint32_t listed)
{
    return &t->table[listed >> 2 & 3][listed & 3][listed >> LISTED_SHIFT];
}

static TlbEntry *tlb_entry(Tlb *t, uint32_t listed)
{
    return &t->tagged[listed >> 2 & 3][listed & 3][listed >> LISTED_SHIFT];
}

static void tlb_clear(Tlb *t, uint32_t listed)
{
    if (listed & LISTED_TAGGED)
        tlb_entry(t, listed)->tag = TLB_EMPTY;
    else
        *tlb_direct(t, listed) = 0;
}

static void tlb_flush_list(Tlb *t, bool global)
{
    for (unsigned i = 0; i < t->n[global]; i++) {
        uint32_t listed = t->list[global][i];

        tlb_clear(t, listed);
        if (!(listed & LISTED_TAGGED))
            t->filled[listed >> LISTED_SHIFT] &=
                ~((uint32_t)FILLED_BITS << (listed & LISTED_TABLE));
    }
    t->n[global] = 0;
}

/* -- fills -- */

static void tlb_mark_region(uint8_t *regions, uint64_t lin, unsigned shift)
{
    regions[lin >> shift & (TLB_REGIONS - 1)] = 1;
}

/* Notes where the direct form gets an entry; false where it need not be listed. */
static bool tlb_note(Tlb *t, uint32_t listed, bool global)
{
    uint32_t *filled = &t->filled[listed >> LISTED_SHIFT];
    uint32_t bit = 1u << (listed & LISTED_TABLE), on_list = bit << FILLED_LISTED;

    if (!global && *filled & on_list) {
        *filled |= bit;
        return false;
    }
    *filled |= global ? bit : bit | on_list;
    return true;
}

void tlb_fill(
    Cpu *cpu, uint64_t lin, uint8_t *host, enum MmuWho who, enum MmuKind kind, const MmuWalk *w)
{
    Tlb *t = cpu->tlb;
    uint64_t page = lin >> PAGE_BITS, add = (uint64_t)host - (lin & ~(uint64_t)PAGE_MASK);
    uint32_t listed = (uint32_t)who << 2 | kind;

    assert(add);
    if (t->n[w->global] == TLB_CAP) tlb_flush_list(t, w->global);
    if (w->huge) tlb_mark_region(t->huge, lin, 30);
    if (tlb_is_tagged(cpu, lin)) {
        listed |= (uint32_t)TLB_INDEX(lin) << LISTED_SHIFT | LISTED_TAGGED;
        *tlb_entry(t, listed) = (TlbEntry){ .tag = page << PAGE_BITS, .add = add };
        if (w->large) tlb_mark_region(t->large_tagged, lin, 21);
    } else {
        listed |= (uint32_t)page << LISTED_SHIFT;
        *tlb_direct(t, listed) = add;
        if (w->large) t->large[page >> 15] |= 1u << (page >> 10 & 31);
        if (!tlb_note(t, listed, w->global)) return;
    }
    t->list[w->global][t->n[w->global]++] = listed;
}

/* -- flushes -- */

static __attribute__((noinline)) void tlb_forget(Tlb *t)
{
    t->gen++;
    memset(t->remembered, 0, sizeof(t->remembered));
}

void cpu_tlb_flush(Cpu *cpu, bool globals_too)
{
    Tlb *t = cpu->tlb;

    tlb_flush_list(t, false);
    if (globals_too) {
        tlb_flush_list(t, true);
        memset(t->large, 0, sizeof(t->large));
        memset(t->large_tagged, 0, sizeof(t->large_tagged));
        memset(t->huge, 0, sizeof(t->huge));
    }
    tlb_forget(t);
}

void tlb_map_changed(Cpu *cpu)
{
    for (unsigned i = 0; i < TLB_PHYS; i++) cpu->tlb->phys[i].key = TLB_NO_PAGE;
    cpu_tlb_flush(cpu, true);
}

static __attribute__((noinline)) void tlb_flush_large(Tlb *t, uint32_t page)
{
    t->large[page >> 15] &= ~(1u << (page >> 10 & 31));
    for (unsigned i = 0; i < TLB_TABLES; i++)
        memset(&(*tlb_table(t, i))[page & ~1023u], 0, 1024 * sizeof(uint64_t));
}

/* Whether anything but this one page went. */
static bool tlb_flush_direct(Tlb *t, uint32_t page)
{
    if (UNLIKELY(t->large[page >> 15] >> (page >> 10 & 31) & 1)) {
        tlb_flush_large(t, page);
        return true;
    }
    for (uint32_t bits = t->filled[page] & 0xffff; bits; bits &= bits - 1)
        *tlb_direct(t, page << LISTED_SHIFT | (uint32_t)__builtin_ctz(bits)) = 0;
    t->filled[page] &= ~0xffffu;
    return false;
}

static uint64_t tlb_linear(Tlb *t, uint32_t listed)
{
    if (listed & LISTED_TAGGED) return tlb_entry(t, listed)->tag;
    return (uint64_t)(listed >> LISTED_SHIFT) << PAGE_BITS;
}

/* The region of 2^shift bytes around lin. */
static void tlb_flush_region(Tlb *t, uint64_t lin, unsigned shift)
{
    for (int g = 0; g < 2; g++)
        for (unsigned i = 0; i < t->n[g]; i++)
            if ((tlb_linear(t, t->list[g][i]) ^ lin) >> shift == 0) tlb_clear(t, t->list[g][i]);
}

static __attribute__((noinline)) bool tlb_flush_tagged(Tlb *t, uint64_t lin)
{
    bool large = t->large_tagged[lin >> 21 & (TLB_REGIONS - 1)];
    bool huge = t->huge[lin >> 30 & (TLB_REGIONS - 1)];

    for (unsigned i = 0; i < TLB_TABLES; i++) {
        TlbEntry *e = &(*tlb_tagged(t, i))[TLB_INDEX(lin)];

        if (e->tag == (lin & ~(uint64_t)PAGE_MASK)) e->tag = TLB_EMPTY;
    }
    if (large) tlb_flush_region(t, lin, 21);
    if (huge) tlb_flush_region(t, lin, 30);
    return large || huge;
}

/* What is remembered of the page itself, or of everything where it was part of a larger one. */
static void tlb_forget_page(Tlb *t, uint64_t page, bool larger)
{
    TlbWatched *w = &t->watched[page % TLB_WATCHED];

    if (w->page == page) w->gen = 0;
    page &= TLB_REMEMBERED - 1;
    if (larger || t->remembered[page / 64] >> page % 64 & 1) tlb_forget(t);
}

void cpu_tlb_flush_page(Cpu *cpu, uint64_t lin)
{
    bool larger = false;

    if (!(lin >> 32)) larger |= tlb_flush_direct(cpu->tlb, (uint32_t)(lin >> PAGE_BITS));
    if (cpu->mode & MODE_LM) larger |= tlb_flush_tagged(cpu->tlb, lin);
    tlb_forget_page(cpu->tlb, lin >> PAGE_BITS, larger);
}

/* What a listed entry leads to: the host address of its page, or 0. */
static uint64_t tlb_host(Tlb *t, uint32_t listed)
{
    uint64_t lin = tlb_linear(t, listed);
    uint64_t add = listed & LISTED_TAGGED ? tlb_entry(t, listed)->add : *tlb_direct(t, listed);

    return lin == TLB_EMPTY || !add ? 0 : add + lin;
}

void tlb_drop_ram(Cpu *cpu, RamBlock *b, uint64_t first_page, uint64_t pages)
{
    Tlb *t = cpu->tlb;
    uint64_t base = (uint64_t)b->host + (first_page << PAGE_BITS), size = pages << PAGE_BITS;

    for (int g = 0; g < 2; g++)
        for (unsigned i = 0; i < t->n[g]; i++) {
            uint32_t listed = t->list[g][i];
            uint64_t host = tlb_host(t, listed), at = host - base;

            if (!host || at >= size) continue;
            if ((listed & 3) == MMU_WRITE) {
                tlb_clear(t, listed);
            } else if (b->watch[first_page + (at >> PAGE_BITS)] & WATCH_ABSENT) {
                tlb_clear(t, listed);
                tlb_forget(t);
            }
        }
}
