/* SPDX-License-Identifier: MIT */
/*
 * The TLB of a 32-bit guest, and the accesses that go through it.
 *
 * Six tables of 2^20 entries (supervisor and user; read, write and, under NX or SMEP, fetch),
 * backed by memory only where they are used.  entry + linear address = host address; zero sends the
 * access to cpu/mmu.c.  Every filled entry is listed (global ones apart), so that a flush costs
 * what was filled; the lists are capped.  gen counts whatever may have changed a translation:
 * caches of linear addresses compare it.
 */
#pragma once

#include "cpu/decode.h"
#include "cpu/walk.h"

enum { TLB_PAGES = 1 << 20, TLB_CAP = 65536, TLB_WATCHED = 64 };

/* A page that may be written, but whose writes have to be told: mostly data beside code. */
typedef struct TlbWatched {
    uint64_t gen;
    uint32_t page;
    bool user;
    RamBlock *block;
    uint64_t off; /* of the page */
} TlbWatched;

struct Tlb {
    uint64_t *table[2][3]; /* [user][enum MmuKind]; MMU_FETCH is used only under NX or SMEP */
    uint32_t *list[2];     /* [global]: page << 3 | user << 2 | kind */
    unsigned n[2];
    uint64_t gen;
    uint32_t large[1024 / 32]; /* 4 MiB regions of which a large page has filled entries */
    TlbWatched watched[TLB_WATCHED];
};

bool tlb_init(Cpu *cpu, Error *err);
void tlb_free(Cpu *cpu);
void tlb_fill(
    Cpu *cpu, uint32_t lin, uint8_t *host, bool user, enum MmuKind kind, bool global, bool large);
/* Takes pages of a RAM block out of the write tables, absent ones out of the read tables too. */
void tlb_drop_ram(Cpu *cpu, RamBlock *b, uint64_t first_page, uint64_t pages);

/* -- slow paths (cpu/mmu.c): in is the instruction for which it happens -- */
uint64_t mmu_load(Cpu *cpu, const Insn *in, uint32_t lin, unsigned size);
void mmu_store(Cpu *cpu, const Insn *in, uint32_t lin, uint64_t val, unsigned size);
/* The first half of a read-modify-write: raises what the write would raise, then reads. */
uint64_t mmu_load_rmw(Cpu *cpu, const Insn *in, uint32_t lin, unsigned size);
/* Where code at lin stands in host memory, for execution at the current CPL; NULL: in no RAM.
 * Raises page faults. */
uint8_t *mmu_fetch(Cpu *cpu, uint32_t lin);
/* A byte of code that stands in no RAM. */
uint8_t mmu_fetch_byte(Cpu *cpu, uint32_t lin);
/* Page table entries: physical memory, A20 applied; waits for an absent page. */
uint64_t mmu_phys_load(Cpu *cpu, uint64_t gpa, unsigned size);
void mmu_phys_store(Cpu *cpu, uint64_t gpa, uint64_t val, unsigned size);
/* Host memory for size bytes in one page, or NULL where that is no plain RAM (any more). */
uint8_t *mmu_plain(Cpu *cpu, uint32_t lin, bool write);

/* -- fast paths -- */

typedef uint16_t __attribute__((aligned(1), may_alias)) Mem16;
typedef uint32_t __attribute__((aligned(1), may_alias)) Mem32;
typedef uint64_t __attribute__((aligned(1), may_alias)) Mem64;
typedef uint8_t __attribute__((may_alias)) Mem8;

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

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
    }
TLB_ACCESSORS(8)
TLB_ACCESSORS(16)
TLB_ACCESSORS(32)
TLB_ACCESSORS(64)
#undef TLB_ACCESSORS
