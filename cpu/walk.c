/* SPDX-License-Identifier: MIT */
/*
 * Page walks.  Source: Intel SDM volume 3, chapter 4: 32-bit paging with 4 MiB pages and PSE-36,
 * PAE paging with 2 MiB pages and NX, four-level paging with 1 GiB pages; PGE, WP, SMEP, SMAP.
 *
 * Under PAE the four entries at CR3 are registers: loaded by writes to control registers and not
 * looked at in memory again.  Where they are not known (a task switch, a stream of another program)
 * the next walk loads them.
 */
#include "cpu/walk.h"

#include <string.h>

#include "cpu/models.h"
#include "cpu/tlb.h"
#include "util/bits.h"

enum {
    PTE_P = 1 << 0,
    PTE_W = 1 << 1,
    PTE_U = 1 << 2,
    PTE_A = 1 << 5,
    PTE_D = 1 << 6,
    PTE_PS = 1 << 7,
    PTE_G = 1 << 8,
    PDPTE_RESERVED = 0x1e6,
};
#define PTE_NX (1ull << 63)
#define BITS(first, last) ((~0ull >> (63 - (last))) & (~0ull << (first)))

enum { PF_P = 1 << 0, PF_W = 1 << 1, PF_U = 1 << 2, PF_RSVD = 1 << 3, PF_I = 1 << 4 };

enum { WALK_LEVELS = 4, SHIFT_2M = 21, SHIFT_4M = 22, SHIFT_1G = 30, SHIFT_512G = 39 };

/* The entries that lead to a page, and what all of them grant.  wide: of eight bytes. */
typedef struct WalkPath {
    bool wide, four; /* levels */
    uint64_t at[WALK_LEVELS], entry[WALK_LEVELS];
    unsigned n;
    unsigned shift; /* log2 of the page's size */
    uint64_t all;   /* what all entries have set: rights, and whether they are marked accessed */
    bool nx;
} WalkPath;

/* -- formats -- */

static uint64_t walk_reserved(const Cpu *cpu, const WalkPath *p, bool large)
{
    unsigned phys = cpu_phys_bits(cpu);
    uint64_t nx = mmu_nx(cpu) ? 0 : PTE_NX;

    if (p->four) {
        uint64_t ps =
            p->shift > SHIFT_1G || (p->shift == SHIFT_1G && !cpu_has_1g(cpu)) ? PTE_PS : 0;

        return BITS(phys, 51) | nx | ps | (large ? BITS(13, p->shift - 1) : 0);
    }
    return BITS(phys, 62) | nx | (large ? BITS(13, 20) : 0);
}

/* Of a page of 4 MiB, by whether there is PSE-36. */
static uint64_t walk_reserved_4m(const Cpu *cpu)
{
    unsigned phys = cpu_phys_bits(cpu);

    return phys > 32 ? BITS(MIN_OF(phys, 40u) - 32 + 13, 21) : BITS(13, 21);
}

static uint64_t walk_frame(uint64_t entry, bool wide, unsigned shift)
{
    uint64_t low = entry & BITS(shift, wide ? 51 : 31);

    return !wide && shift > PAGE_BITS ? low | (entry & BITS(13, 20)) << 19 : low;
}

/* The entry at `at` is the next one of the path; false with the bits of the error code where it
 * leads nowhere. */
static inline bool walk_step(WalkPath *p, uint64_t at, uint64_t e, uint64_t reserved, int *fault)
{
    *fault = 0;
    if (!(e & PTE_P)) return false;
    *fault = PF_P | PF_RSVD;
    if (e & reserved) return false;
    p->at[p->n] = at;
    p->entry[p->n++] = e;
    p->all &= e;
    return true;
}

/* 32-bit paging, from the directory down. */
static inline bool walk_short(
    Cpu *cpu, uint64_t lin, uint64_t directory, WalkPath *p, int *fault)
{
    uint64_t at = directory | (lin >> SHIFT_4M & 1023) * 4, e = mmu_phys_load(cpu, at, 4);
    bool large = (e & PTE_PS) && (cpu->s.cr[4] & CR4_PSE);

    p->shift = large ? SHIFT_4M : PAGE_BITS;
    if (!walk_step(p, at, e, large ? walk_reserved_4m(cpu) : 0, fault)) return false;
    if (large) return true;
    at = (e & BITS(PAGE_BITS, 31)) | (lin >> PAGE_BITS & 1023) * 4;
    return walk_step(p, at, mmu_phys_load(cpu, at, 4), 0, fault);
}

/* Entries of eight bytes, from the table that p->shift tells down. */
static bool walk_wide(Cpu *cpu, uint64_t lin, uint64_t table, WalkPath *p, int *fault)
{
    for (;;) {
        uint64_t at = table | (lin >> p->shift & 511) * 8, e = mmu_phys_load(cpu, at, 8);
        bool large = (e & PTE_PS) && p->shift > PAGE_BITS && p->shift <= SHIFT_1G;

        if (!walk_step(p, at, e, walk_reserved(cpu, p, large), fault)) return false;
        p->nx |= e >> 63;
        if (large || p->shift == PAGE_BITS) return true;
        table = walk_frame(e, true, PAGE_BITS);
        p->shift -= 9;
    }
}

/* -- PAE's registers -- */

bool mmu_read_pdptrs(Cpu *cpu, uint64_t cr3, uint64_t pdptr[4])
{
    uint64_t reserved = PDPTE_RESERVED | BITS(cpu_phys_bits(cpu), 63);
    bool ok = true;

    for (unsigned i = 0; i < 4; i++) {
        pdptr[i] = mmu_phys_load(cpu, (cr3 & 0xffffffe0) + 8 * i, 8);
        if ((pdptr[i] & PTE_P) && (pdptr[i] & reserved)) ok = false;
    }
    return ok;
}

/* The page directory of a quarter; false with the bits of the error code. */
static bool walk_pdpte(Cpu *cpu, uint64_t quarter, bool marks, uint64_t *table, int *fault)
{
    uint64_t own[4], *pdptr = cpu->s.pdptr;

    *fault = PF_P | PF_RSVD;
    if (!cpu->s.pdptr_valid) {
        if (!mmu_read_pdptrs(cpu, cpu->s.cr[3], own)) return false;
        pdptr = own;
        if (marks) {
            memcpy(cpu->s.pdptr, own, sizeof(own));
            cpu->s.pdptr_valid = 1;
        }
    }
    *fault = 0;
    *table = walk_frame(pdptr[quarter], true, PAGE_BITS);
    return pdptr[quarter] & PTE_P;
}

/* -- the walk -- */

static inline bool walk_permits(const Cpu *cpu, const WalkPath *p, enum MmuKind kind, enum MmuWho who)
{
    bool user = who == WHO_USER;

    if (user && !(p->all & PTE_U)) return false;
    if (kind == MMU_FETCH) {
        if (!user && (p->all & PTE_U) && (cpu->s.cr[4] & CR4_SMEP)) return false;
        return !p->nx || !mmu_nx(cpu);
    }
    if (who == WHO_SYSTEM && (p->all & PTE_U) && (cpu->s.cr[4] & CR4_SMAP)) return false;
    if (kind == MMU_READ || (p->all & PTE_W)) return true;
    return !user && !(cpu->s.cr[0] & CR0_WP);
}

/* Accessed bits all the way, dirty at the end.  They are in the low half of any entry. */
static inline void walk_mark(Cpu *cpu, WalkPath *p, bool write)
{
    if (p->all & PTE_A && (!write || p->entry[p->n - 1] & PTE_D)) return;
    for (unsigned i = 0; i < p->n; i++) {
        uint64_t marks = i == p->n - 1 && write ? PTE_A | PTE_D : PTE_A;

        if ((p->entry[i] & marks) == marks) continue;
        p->entry[i] |= marks;
        mmu_phys_store(cpu, p->at[i], (uint32_t)p->entry[i], 4);
    }
}

/* The error code of a page fault, without what the walk says. */
static int walk_code(const Cpu *cpu, enum MmuKind kind, enum MmuWho who)
{
    bool tells_fetch = mmu_nx(cpu) || cpu->s.cr[4] & CR4_SMEP;

    return (kind == MMU_WRITE ? PF_W : 0) | (who == WHO_USER ? PF_U : 0) |
           (kind == MMU_FETCH && tells_fetch ? PF_I : 0);
}

/* From CR3 to a page; -1, or the bits of the error code. */
static inline int walk_tables(Cpu *cpu, uint64_t lin, bool marks, WalkPath *p)
{
    uint64_t table = cpu->s.cr[3] & BITS(PAGE_BITS, 31);
    int fault = 0;
    bool ok;

    p->four = cpu_long(cpu);
    p->wide = cpu->s.cr[4] & CR4_PAE;
    p->nx = false;
    p->n = 0;
    p->all = UINT64_MAX;
    if (!p->wide) {
        ok = walk_short(cpu, lin, table, p, &fault);
    } else if (p->four) {
        p->shift = SHIFT_512G;
        ok = walk_wide(cpu, lin, cpu->s.cr[3] & BITS(PAGE_BITS, 51), p, &fault);
    } else {
        p->shift = SHIFT_2M;
        ok = walk_pdpte(cpu, lin >> 30 & 3, marks, &table, &fault) &&
             walk_wide(cpu, lin, table, p, &fault);
    }
    return ok ? -1 : fault;
}

int mmu_walk(Cpu *cpu, uint64_t lin, enum MmuKind kind, enum MmuWho who, bool marks, MmuWalk *w)
{
    WalkPath p; /* not set as a whole: that would cost more than a walk */
    uint64_t leaf;
    int fault;

    if (!(cpu->s.cr[0] & CR0_PG)) {
        *w = (MmuWalk){ .gpa = lin & ~(uint64_t)PAGE_MASK, .writable = true };
        return -1;
    }
    fault = walk_tables(cpu, lin, marks, &p);
    if (fault < 0 && !walk_permits(cpu, &p, kind, who)) fault = PF_P;
    if (fault >= 0) return walk_code(cpu, kind, who) | fault;
    if (marks) walk_mark(cpu, &p, kind == MMU_WRITE);
    leaf = p.entry[p.n - 1];
    w->large = p.shift > PAGE_BITS;
    w->huge = p.shift == SHIFT_1G;
    w->gpa = walk_frame(leaf, p.wide, p.shift) | (lin & ((1ull << p.shift) - PAGE_SIZE));
    w->global = (leaf & PTE_G) && (cpu->s.cr[4] & CR4_PGE);
    w->writable = (leaf & PTE_D) && walk_permits(cpu, &p, MMU_WRITE, who);
    return -1;
}
