/* SPDX-License-Identifier: MIT */
/*
 * Debug exceptions.  Source: Intel SDM volume 3, chapter 17 (1999's 15).  See debug.h for who
 * calls.
 * Not modelled: DR6 bits of breakpoints that match without being enabled.
 */
#include "cpu/debug.h"

enum { BP_EXEC, BP_WRITE, BP_IO, BP_ACCESS }; /* DR7's R/W fields */
enum { DR6_BS = 1 << 14 };

static bool debug_enabled(const Cpu *cpu, unsigned n) { return cpu->s.dr[7] >> (2 * n) & 3; }
static unsigned debug_kind(const Cpu *cpu, unsigned n)
{
    return (unsigned)(cpu->s.dr[7] >> (16 + 4 * n)) & 3;
}
/* Bytes minus one. */
static uint32_t debug_len(const Cpu *cpu, unsigned n)
{
    static const uint8_t len[] = { 0, 1, 7, 3 };

    return len[cpu->s.dr[7] >> (18 + 4 * n) & 3];
}

/* The DR6 bits of the breakpoints of these kinds that overlap addr .. addr+size-1. */
static uint32_t debug_match(const Cpu *cpu, uint32_t kinds, uint64_t addr, uint32_t size)
{
    uint32_t hits = 0;

    for (unsigned n = 0; n < 4; n++) {
        uint64_t len = debug_len(cpu, n), first = cpu->s.dr[n] & ~len;

        if (!debug_enabled(cpu, n) || !(kinds >> debug_kind(cpu, n) & 1)) continue;
        if (addr <= first + len && first <= addr + (size - 1)) hits |= 1u << n;
    }
    return hits;
}

void cpu_debug_update(Cpu *cpu)
{
    uint8_t debug = cpu->s.eflags & FLAG_TF ? DEBUG_TF : 0;

    for (unsigned n = 0; n < 4; n++) {
        if (!debug_enabled(cpu, n)) continue;
        switch (debug_kind(cpu, n)) {
        case BP_EXEC: debug |= DEBUG_FETCH; break;
        case BP_IO:
            if (cpu->s.cr[4] & CR4_DE) debug |= DEBUG_IO;
            break;
        default: debug |= DEBUG_DATA; break;
        }
    }
    if (cpu->s.debug_pending & ~DEBUG_SHADOW) debug |= DEBUG_PENDING;
    if (debug && !cpu->debug) cpu->exit_pending = true;
    cpu->debug = debug;
}

void cpu_debug_fetch(Cpu *cpu)
{
    uint64_t lin = cpu_code_lin(cpu);
    uint32_t hits;

    if (cpu->s.eflags & FLAG_RF || cpu->s.debug_pending & DEBUG_SHADOW) return;
    hits = debug_match(cpu, 1 << BP_EXEC, lin, 1);
    if (!hits) return;
    cpu->s.dr[6] |= hits;
    cpu_raise(cpu, EXC_DB, 0);
}

void cpu_debug_step(Cpu *cpu, bool tf)
{
    uint32_t hits = cpu->s.debug_pending;

    if (tf) hits |= DR6_BS;
    if (!hits) return;
    cpu->s.debug_pending = 0;
    cpu->s.dr[6] |= hits;
    cpu_debug_update(cpu);
    cpu_raise(cpu, EXC_DB, 0);
}

bool cpu_debug_page(const Cpu *cpu, uint64_t lin)
{
    return debug_match(cpu, 1 << BP_WRITE | 1 << BP_ACCESS, lin & ~0xfffull, 0x1000);
}

void cpu_debug_data(Cpu *cpu, uint64_t lin, unsigned size, bool write)
{
    uint32_t kinds = 1 << BP_ACCESS | (write ? 1 << BP_WRITE : 0);
    uint32_t hits = debug_match(cpu, kinds, lin, size);

    if (!hits) return;
    cpu->s.debug_pending |= hits;
    cpu->debug |= DEBUG_PENDING;
}

void cpu_debug_io(Cpu *cpu, uint32_t port, unsigned size)
{
    uint32_t hits = cpu->s.cr[4] & CR4_DE ? debug_match(cpu, 1 << BP_IO, port, size) : 0;

    if (!hits) return;
    cpu->s.debug_pending |= hits;
    cpu->debug |= DEBUG_PENDING;
}
