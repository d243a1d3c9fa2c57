/* SPDX-License-Identifier: MIT */
/* EFLAGS as a whole.  See flags.h for the lazy part. */
#include "cpu/flags.h"

#include "cpu/debug.h"

uint32_t cpu_get_eflags(Cpu *cpu)
{
    uint64_t f;

    if (cpu->cc_kind == CC_EFLAGS) return (uint32_t)cpu->s.eflags;
    f = cpu->s.eflags & ~(uint64_t)FLAGS_ARITH;
    if (cc_cf(cpu)) f |= FLAG_CF;
    if (cc_pf(cpu)) f |= FLAG_PF;
    if (cc_af(cpu)) f |= FLAG_AF;
    if (cc_zf(cpu)) f |= FLAG_ZF;
    if (cc_sf(cpu)) f |= FLAG_SF;
    if (cc_of(cpu)) f |= FLAG_OF;
    cpu->s.eflags = f;
    cpu->cc_kind = CC_EFLAGS;
    return (uint32_t)f;
}

void cpu_set_eflags(Cpu *cpu, uint32_t val, uint32_t mask)
{
    uint32_t old, changed;

    if ((mask & FLAGS_ARITH) == FLAGS_ARITH) cpu->cc_kind = CC_EFLAGS; /* none is kept */
    old = cpu_get_eflags(cpu);
    changed = (old ^ val) & mask;
    cpu->s.eflags = (cpu->s.eflags & ~(uint64_t)mask) | (val & mask);
    if (!(changed & (FLAG_VM | FLAG_AC | FLAG_TF | FLAG_IF))) return;
    if (changed & FLAG_VM) cpu_update_mode(cpu);
    if (changed & FLAG_AC) cpu_mode_changed(cpu);
    if (changed & FLAG_TF) cpu_debug_update(cpu);
    if (changed & FLAG_IF) cpu->exit_pending = true;
}
