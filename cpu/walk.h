/* SPDX-License-Identifier: MIT */
/* Page walks: from a linear address to a physical page and what may be done there. */
#pragma once

#include "cpu/state.h"

enum MmuKind { MMU_READ, MMU_WRITE, MMU_FETCH };
/* Who accesses: the supervisor, level 3, and under SMAP the supervisor with AC set. */
enum MmuWho { WHO_SYSTEM, WHO_USER, WHO_OVERRIDE, WHO_COUNT };

static inline enum MmuWho mmu_who(const Cpu *cpu)
{
    bool override = cpu->s.cr[4] & CR4_SMAP && cpu->s.eflags & FLAG_AC;

    return cpu_cpl(cpu) == 3 ? WHO_USER : override ? WHO_OVERRIDE : WHO_SYSTEM;
}

/* The outcome of a walk. */
typedef struct MmuWalk {
    uint64_t gpa;             /* of the page */
    bool global, large, huge; /* larger than 4 KiB; 1 GiB */
} MmuWalk;

/* Walks the tables for one access.  Returns -1, or the page fault's error code.  With marks false
 * nothing is written: accessed and dirty bits stay, for lookups by the monitor. */
int mmu_walk(Cpu *cpu, uint64_t lin, enum MmuKind kind, enum MmuWho who, bool marks, MmuWalk *w);
/* Reads the four entries that CR3 points to under PAE; false where one has reserved bits. */
bool mmu_read_pdptrs(Cpu *cpu, uint64_t cr3, uint64_t pdptr[4]);

/* NX counts. */
static inline bool mmu_nx(const Cpu *cpu)
{
    return (cpu->s.efer & EFER_NXE) && (cpu->s.cr[4] & CR4_PAE);
}
/* A page may be readable and not executable: under NX, and by the supervisor under SMEP; or the
 * other way round under SMAP; or be two pages in system management mode. */
static inline bool mmu_fetch_differs(const Cpu *cpu)
{
    return mmu_nx(cpu) || (cpu->s.cr[4] & (CR4_SMEP | CR4_SMAP)) ||
           (cpu->s.hflags & HF_SMM && mem_code_differs(cpu->dev.m));
}
