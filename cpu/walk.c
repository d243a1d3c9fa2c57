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

/* The entries of eight bytes that lead to a page. */
typedef struct WalkPath {
    bool four; /* levels */
    uint64_t at[WALK_LEVELS], entry[WALK_LEVELS];
    unsigned n;
    unsigned shift; /* log2 of the page's size */
    uint64_t all;   /* what all entries have set: they grant it */
    bool nx;
} WalkPath;

/* -- rights -- */

/* all: what all entries have set. */
static inline bool walk_permits(
    const Cpu *cpu, uint64_t all, bool nx, enum MmuKind kind, enum MmuWho who)
{
    bool user = who == WHO_USER;

    if (user && !(all & PTE_U)) return false;
    if (kind == MMU_FETCH) {
        if (!user && (all & PTE_U) && (cpu->s.cr[4] & CR4_SMEP)) return false;
        return !nx || !mmu_nx(cpu);
    }
    if (who == WHO_SYSTEM && (all & PTE_U) && (cpu->s.cr[4] & CR4_SMAP)) return false;
    if (kind == MMU_READ || (all & PTE_W)) return true;
    return !user && !(cpu->s.cr[0] & CR0_WP);
}

/* The error code of a page fault, without what the walk says. */
static int walk_code(const Cpu *cpu, enum MmuKind kind, enum MmuWho who)
{
    bool tells_fetch = mmu_nx(cpu) || cpu->s.cr[4] & CR4_SMEP;

    return (kind == MMU_WRITE ? PF_W : 0) | (who == WHO_USER ? PF_U : 0) |
           (kind == MMU_FETCH && tells_fetch ? PF_I : 0);
}

/* Sets bits that are clear in an entry: accessed, dirty.  They are in the low half of any. */
static inline void walk_mark(Cpu *cpu, uint64_t at, uint64_t *entry, uint64_t bits)
{
    if ((*entry & bits) == bits) return;
    *entry |= bits;
    mmu_phys_store(cpu, at, (uint32_t)*entry, 4);
}

static inline uint64_t walk_leaf_marks(enum MmuKind kind)
{
    return kind == MMU_WRITE ? PTE_A | PTE_D : PTE_A;
}

/* What the last entry says of the page, but for where it stands. */
static inline void walk_describe(const Cpu *cpu, uint64_t leaf, unsigned shift, MmuWalk *w)
{
    w->large = shift > PAGE_BITS;
    w->huge = shift == SHIFT_1G;
    w->global = (leaf & PTE_G) && (cpu->s.cr[4] & CR4_PGE);
}

/* -- 32-bit paging -- */

/* Of a page of 4 MiB, by whether there is PSE-36. */
static uint64_t walk_reserved_4m(const Cpu *cpu)
{
    unsigned phys = cpu_phys_bits(cpu);

    return phys > 32 ? BITS(MIN_OF(phys, 40u) - 32 + 13, 21) : BITS(13, 21);
}

static uint64_t walk_frame_4m(uint64_t entry)
{
    return (entry & BITS(SHIFT_4M, 31)) | (entry & BITS(13, 20)) << 19;
}

/* -1, or the bits of the error code. */
static inline int walk_short(
    Cpu *cpu, uint64_t lin, enum MmuKind kind, enum MmuWho who, bool marks, MmuWalk *w)
{
    uint64_t at = (cpu->s.cr[3] & BITS(PAGE_BITS, 31)) | (lin >> SHIFT_4M & 1023) * 4, leaf_at = at;
    uint64_t first = mmu_phys_load(cpu, at, 4), leaf = first;
    bool large = (first & PTE_PS) && (cpu->s.cr[4] & CR4_PSE);

    if (!(first & PTE_P)) return 0;
    if (large) {
        if (first & walk_reserved_4m(cpu)) return PF_P | PF_RSVD;
    } else {
        leaf_at = (first & BITS(PAGE_BITS, 31)) | (lin >> PAGE_BITS & 1023) * 4;
        leaf = mmu_phys_load(cpu, leaf_at, 4);
        if (!(leaf & PTE_P)) return 0;
    }
    if (!walk_permits(cpu, first & leaf, false, kind, who)) return PF_P;
    if (marks && !large) walk_mark(cpu, at, &first, PTE_A);
    if (marks) walk_mark(cpu, leaf_at, &leaf, walk_leaf_marks(kind));
    walk_describe(cpu, leaf, large ? SHIFT_4M : PAGE_BITS, w);
    w->gpa = large ? walk_frame_4m(leaf) | (lin & BITS(PAGE_BITS, SHIFT_4M - 1))
                   : leaf & BITS(PAGE_BITS, 31);
    return -1;
}

/* -- entries of eight bytes -- */

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

static uint64_t walk_frame(uint64_t entry, unsigned shift) { return entry & BITS(shift, 51); }

/* From the table that p->shift tells down; -1, or the bits of the error code. */
static int walk_path(Cpu *cpu, uint64_t lin, uint64_t table, WalkPath *p)
{
    for (;;) {
        uint64_t at = table | (lin >> p->shift & 511) * 8, e = mmu_phys_load(cpu, at, 8);
        bool large = (e & PTE_PS) && p->shift > PAGE_BITS && p->shift <= SHIFT_1G;

        if (!(e & PTE_P)) return 0;
        if (e & walk_reserved(cpu, p, large)) return PF_P | PF_RSVD;
        p->at[p->n] = at;
        p->entry[p->n++] = e;
        p->all &= e;
        p->nx |= e >> 63;
        if (large || p->shift == PAGE_BITS) return -1;
        table = walk_frame(e, PAGE_BITS);
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
    *table = walk_frame(pdptr[quarter], PAGE_BITS);
    return pdptr[quarter] & PTE_P;
}

/* -- the walk -- */

static __attribute__((noinline)) int walk_wide(
    Cpu *cpu, uint64_t lin, enum MmuKind kind, enum MmuWho who, bool marks, MmuWalk *w)
{
    WalkPath p = { .four = cpu_long(cpu), .all = UINT64_MAX };
    uint64_t table = cpu->s.cr[3] & BITS(PAGE_BITS, 51), leaf;
    int fault;

    p.shift = p.four ? SHIFT_512G : SHIFT_2M;
    if (!p.four && !walk_pdpte(cpu, lin >> 30 & 3, marks, &table, &fault)) return fault;
    fault = walk_path(cpu, lin, table, &p);
    if (fault >= 0) return fault;
    if (!walk_permits(cpu, p.all, p.nx, kind, who)) return PF_P;
    for (unsigned i = 0; marks && i < p.n - 1; i++) walk_mark(cpu, p.at[i], &p.entry[i], PTE_A);
    if (marks) walk_mark(cpu, p.at[p.n - 1], &p.entry[p.n - 1], walk_leaf_marks(kind));
    leaf = p.entry[p.n - 1];
    walk_describe(cpu, leaf, p.shift, w);
    w->gpa = walk_frame(leaf, p.shift) | (lin & ((1ull << p.shift) - PAGE_SIZE));
    return -1;
}

int mmu_walk(Cpu *cpu, uint64_t lin, enum MmuKind kind, enum MmuWho who, bool marks, MmuWalk *w)
{
    int fault;

    if (!(cpu->s.cr[0] & CR0_PG)) {
        *w = (MmuWalk){ .gpa = lin & ~(uint64_t)PAGE_MASK };
        return -1;
    }
    if (cpu->s.cr[4] & CR4_PAE)
        fault = walk_wide(cpu, lin, kind, who, marks, w);
    else
        fault = walk_short(cpu, lin, kind, who, marks, w);
    return fault < 0 ? -1 : fault | walk_code(cpu, kind, who);
}
