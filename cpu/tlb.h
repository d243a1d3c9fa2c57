/* SPDX-License-Identifier: MIT */
/*
 * The TLB, and the accesses that go through it.
 *
 * It has two forms, each with nine tables (by who accesses; read, write and, under NX or SMEP,
 * fetch).  Direct: 2^20 entries, backed by memory only where they are used, for 32-bit code, whose
 * linear addresses they cover.  entry + linear address = host address; zero sends the access to
 * cpu/mmu.c.  Tagged: for 64-bit code, and for descriptor tables and stacks beyond 4 GiB; an entry
 * holds one of the pages that share its place.  Every filled entry is listed (global ones apart),
 * so that a flush costs what was filled; the lists are capped.  gen counts whatever may have
 * changed a translation that somebody remembers by its linear address (code, in blocks.c): such
 * caches compare it, and say with tlb_remember which pages they hold, so that INVLPG of any other
 * page leaves them alone.
 */
#pragma once

#include "cpu/decode.h"
#include "cpu/walk.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

enum { TLB_PAGES = 1 << 20, TLB_TAGGED = 8192, TLB_CAP = 65536, TLB_WATCHED = 64, TLB_PHYS = 256 };
enum { TLB_REGIONS = 1024, TLB_REMEMBERED = 1024 };

/* Of the tagged form: the linear page, and what leads from linear to host addresses.  A tag with
 * bit 0 set fits nothing. */
struct TlbEntry {
    uint64_t tag, add;
};

/* A page that may be written, but whose writes have to be told: mostly data beside code. */
typedef struct TlbWatched {
    uint64_t gen, page;
    enum MmuWho who;
    RamBlock *block;
    uint64_t off; /* of the page */
} TlbWatched;

/* Where a physical page of RAM or ROM stands, by the map as it is. */
typedef struct TlbPhys {
    uint64_t key; /* its address, and a low bit under SMM, of data or code; TLB_NO_PAGE: none */
    RamBlock *block;
    uint64_t off;
    uint8_t *host, *watch; /* of the page */
    bool readonly;
} TlbPhys;
#define TLB_NO_PAGE UINT64_MAX

struct Tlb {
    /* [enum MmuWho][enum MmuKind], the fourth of which does not exist; MMU_FETCH is used only under
     * NX or SMEP */
    uint64_t *table[WHO_COUNT][4];
    /* By page of the direct form: a bit for each table that may have an entry for it, and in the
     * upper half for each of which the list of pages that are not global says so. */
    uint32_t *filled;
    TlbEntry *tagged[WHO_COUNT][4];
    uint32_t *list[2]; /* [global]: index << 5 | tagged << 4 | who << 2 | kind: those last are the
                        * table's bit in filled */
    unsigned n[2];
    uint64_t gen;
    uint32_t large[TLB_REGIONS / 32]; /* 4 MiB regions of which a large page has filled entries */
    /* By low address bits: 2 MiB regions, the same for the tagged form; 1 GiB, for both. */
    uint8_t large_tagged[TLB_REGIONS], huge[TLB_REGIONS];
    TlbWatched watched[TLB_WATCHED];
    TlbPhys phys[TLB_PHYS];                   /* by a hash of the physical page */
    uint64_t remembered[TLB_REMEMBERED / 64]; /* bits, by low bits of the linear page; since gen */
};

bool tlb_init(Cpu *cpu, Error *err);
void tlb_free(Cpu *cpu);
/* Whether accesses to lin go by the tagged form. */
static inline bool tlb_is_tagged(const Cpu *cpu, uint64_t lin)
{
    return (cpu->mode & MODE_CS64) || lin >> 32;
}
/* A translation of lin is kept elsewhere, together with gen. */
static inline void tlb_remember(Cpu *cpu, uint64_t lin)
{
    unsigned bit = lin >> PAGE_BITS & (TLB_REMEMBERED - 1);

    cpu->tlb->remembered[bit / 64] |= 1ull << bit % 64;
}
/* Enters the page of lin, which w describes, in the form that serves it. */
void tlb_fill(
    Cpu *cpu, uint64_t lin, uint8_t *host, enum MmuWho who, enum MmuKind kind, const MmuWalk *w);
/* The physical map has changed: everything goes. */
void tlb_map_changed(Cpu *cpu);
/* Takes pages of a RAM block out of the write tables, absent ones out of the read tables too. */
void tlb_drop_ram(Cpu *cpu, RamBlock *b, uint64_t first_page, uint64_t pages);

/* An access fits an entry where its last byte is in the page of its first. */
#define TLB_INDEX(lin) ((lin) >> PAGE_BITS & (TLB_TAGGED - 1))
#define TLB_TAG(lin, size) (((lin) + ((size)-1)) & ~(uint64_t)PAGE_MASK)

/* Where size bytes at lin stand by the table of this kind, or NULL. */
static inline uint8_t *tlb_find(
    const Cpu *cpu, uint64_t lin, enum MmuWho who, enum MmuKind kind, unsigned size)
{
    const Tlb *t = cpu->tlb;
    const TlbEntry *e;
    uint64_t add;

    if (tlb_is_tagged(cpu, lin)) {
        e = &t->tagged[who][kind][TLB_INDEX(lin)];
        return e->tag == TLB_TAG(lin, size) ? (uint8_t *)(e->add + lin) : NULL;
    }
    add = t->table[who][kind][lin >> PAGE_BITS];
    return add && (lin & PAGE_MASK) <= PAGE_SIZE - size ? (uint8_t *)(add + lin) : NULL;
}

/* -- slow paths (cpu/mmu.c): in is the instruction for which it happens -- */
uint64_t mmu_load(Cpu *cpu, const Insn *in, uint64_t lin, unsigned size);
void mmu_store(Cpu *cpu, const Insn *in, uint64_t lin, uint64_t val, unsigned size);
/* The first half of a read-modify-write: raises what the write would raise, then reads. */
uint64_t mmu_load_rmw(Cpu *cpu, const Insn *in, uint64_t lin, unsigned size);
/* Where code at lin stands in host memory, for execution at the current CPL; NULL: in no RAM.
 * Raises page faults. */
uint8_t *mmu_fetch(Cpu *cpu, uint64_t lin);
/* A byte of code that stands in no RAM. */
uint8_t mmu_fetch_byte(Cpu *cpu, uint64_t lin);
/* Page table entries: physical memory, A20 applied; waits for an absent page. */
uint64_t mmu_phys_load_slow(Cpu *cpu, uint64_t gpa, unsigned size);
void mmu_phys_store(Cpu *cpu, uint64_t gpa, uint64_t val, unsigned size);

/* The place of the page at gpa (A20 applied) among those whose RAM is known, and what it is known
 * by. */
static inline TlbPhys *tlb_phys(Cpu *cpu, uint64_t gpa)
{
    return &cpu->tlb->phys[(gpa >> PAGE_BITS ^ gpa >> 21) % TLB_PHYS];
}
static inline uint64_t tlb_phys_key(const Cpu *cpu, uint64_t gpa, bool code)
{
    return (gpa & ~(uint64_t)PAGE_MASK) | (cpu->s.hflags & HF_SMM ? 1 + code : 0);
}

/* Waits for absent pages of what a CPU in system management mode has at gpa: then it may be read
 * and written with mem_read and mem_write. */
void mmu_smram_await(Cpu *cpu, uint64_t gpa, uint64_t len);

/* -- fast paths: ld_ st_ wp_ of 32-bit code, ldl_ stl_ wpl_ of 64-bit code, ldx_ stx_ wpx_ of
 * either -- */

typedef uint16_t __attribute__((aligned(1), may_alias)) Mem16;
typedef uint32_t __attribute__((aligned(1), may_alias)) Mem32;
typedef uint64_t __attribute__((aligned(1), may_alias)) Mem64;
typedef uint8_t __attribute__((may_alias)) Mem8;

/* 1, 2, 4 or 8 bytes of plain memory. */
static inline uint64_t host_load(const uint8_t *p, unsigned size)
{
    switch (size) {
    case 1: return *p;
    case 2: return *(const Mem16 *)p;
    case 4: return *(const Mem32 *)p;
    default: return *(const Mem64 *)p;
    }
}

static inline void host_store(uint8_t *p, uint64_t val, unsigned size)
{
    switch (size) {
    case 1: *p = (uint8_t)val; break;
    case 2: *(Mem16 *)p = (uint16_t)val; break;
    case 4: *(Mem32 *)p = (uint32_t)val; break;
    default: *(Mem64 *)p = val;
    }
}

static inline uint64_t mmu_phys_load(Cpu *cpu, uint64_t gpa, unsigned size)
{
    uint64_t at = gpa & (uint64_t)(int64_t)cpu->s.a20_mask;
    const TlbPhys *t = tlb_phys(cpu, at);

    if (UNLIKELY(t->key != (at & ~(uint64_t)PAGE_MASK) || (cpu->s.hflags & HF_SMM) ||
                 (*t->watch & WATCH_ABSENT)))
        return mmu_phys_load_slow(cpu, gpa, size);
    return host_load(t->host + (at & PAGE_MASK), size);
}

/* Eight bytes that the supervisor reads: descriptors. */
static inline uint64_t mmu_load_desc(Cpu *cpu, uint64_t lin)
{
    uint64_t e = lin >> 32 ? 0 : cpu->tlb->table[WHO_SYSTEM][MMU_READ][lin >> PAGE_BITS];

    if (LIKELY(e && (lin & PAGE_MASK) <= PAGE_SIZE - 8 && !(cpu->mode & MODE_CS64)))
        return *(const Mem64 *)(e + lin);
    return cpu_load_sys(cpu, lin, 8);
}

#define TLB_ACCESSORS(bits)                                                                        \
    static inline uint##bits##_t ld_##bits(Cpu *cpu, const Insn *in, uint32_t lin)                 \
    {                                                                                              \
        uint64_t e = cpu->rd[lin >> PAGE_BITS];                                                    \
                                                                                                   \
        if (LIKELY(e && (lin & PAGE_MASK) <= PAGE_SIZE - bits / 8))                                \
            return *(const Mem##bits *)(e + lin);                                                  \
        return (uint##bits##_t)mmu_load(cpu, in, lin, bits / 8);                                   \
    }                                                                                              \
    static inline void st_##bits(Cpu *cpu, const Insn *in, uint32_t lin, uint##bits##_t val)       \
    {                                                                                              \
        uint64_t e = cpu->wr[lin >> PAGE_BITS];                                                    \
                                                                                                   \
        if (LIKELY(e && (lin & PAGE_MASK) <= PAGE_SIZE - bits / 8))                                \
            *(Mem##bits *)(e + lin) = val;                                                         \
        else                                                                                       \
            mmu_store(cpu, in, lin, val, bits / 8);                                                \
    }                                                                                              \
    /* For read-modify-write: the place itself, or NULL for the slow path. */                      \
    static inline Mem##bits *wp_##bits(Cpu *cpu, uint32_t lin)                                     \
    {                                                                                              \
        uint64_t e = cpu->wr[lin >> PAGE_BITS];                                                    \
                                                                                                   \
        if (UNLIKELY(!e || (lin & PAGE_MASK) > PAGE_SIZE - bits / 8)) return NULL;                 \
        if (!(e + lin)) __builtin_unreachable();                                                   \
        return (Mem##bits *)(e + lin);                                                             \
    }                                                                                              \
    static inline uint##bits##_t ldl_##bits(Cpu *cpu, const Insn *in, uint64_t lin)                \
    {                                                                                              \
        const TlbEntry *e = &cpu->lrd[TLB_INDEX(lin)];                                             \
                                                                                                   \
        if (LIKELY(e->tag == TLB_TAG(lin, bits / 8))) return *(const Mem##bits *)(e->add + lin);   \
        return (uint##bits##_t)mmu_load(cpu, in, lin, bits / 8);                                   \
    }                                                                                              \
    static inline void stl_##bits(Cpu *cpu, const Insn *in, uint64_t lin, uint##bits##_t val)      \
    {                                                                                              \
        const TlbEntry *e = &cpu->lwr[TLB_INDEX(lin)];                                             \
                                                                                                   \
        if (LIKELY(e->tag == TLB_TAG(lin, bits / 8)))                                              \
            *(Mem##bits *)(e->add + lin) = val;                                                    \
        else                                                                                       \
            mmu_store(cpu, in, lin, val, bits / 8);                                                \
    }                                                                                              \
    static inline Mem##bits *wpl_##bits(Cpu *cpu, uint64_t lin)                                    \
    {                                                                                              \
        const TlbEntry *e = &cpu->lwr[TLB_INDEX(lin)];                                             \
                                                                                                   \
        if (UNLIKELY(e->tag != TLB_TAG(lin, bits / 8))) return NULL;                               \
        if (!(e->add + lin)) __builtin_unreachable();                                              \
        return (Mem##bits *)(e->add + lin);                                                        \
    }                                                                                              \
    static inline uint##bits##_t ldx_##bits(Cpu *cpu, const Insn *in, uint64_t lin)                \
    {                                                                                              \
        return cpu->mode & MODE_CS64 ? ldl_##bits(cpu, in, lin)                                    \
                                     : ld_##bits(cpu, in, (uint32_t)lin);                          \
    }                                                                                              \
    static inline void stx_##bits(Cpu *cpu, const Insn *in, uint64_t lin, uint##bits##_t val)      \
    {                                                                                              \
        if (cpu->mode & MODE_CS64)                                                                 \
            stl_##bits(cpu, in, lin, val);                                                         \
        else                                                                                       \
            st_##bits(cpu, in, (uint32_t)lin, val);                                                \
    }                                                                                              \
    static inline Mem##bits *wpx_##bits(Cpu *cpu, uint64_t lin)                                    \
    {                                                                                              \
        return cpu->mode & MODE_CS64 ? wpl_##bits(cpu, lin) : wp_##bits(cpu, (uint32_t)lin);       \
    }
TLB_ACCESSORS(8)
TLB_ACCESSORS(16)
TLB_ACCESSORS(32)
TLB_ACCESSORS(64)
#undef TLB_ACCESSORS
