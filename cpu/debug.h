/* SPDX-License-Identifier: MIT */
/*
 * Debug exceptions: TF, and the breakpoints of DR0 to DR3.  Source: Intel SDM volume 3, debugging.
 *
 * cpu->debug says what is armed; while it is not zero the run loop goes instruction by instruction:
 *     cpu_debug_fetch(cpu);            (where DEBUG_FETCH; may raise #DB, a fault)
 *     tf = s.eflags & FLAG_TF; execute; commit; clear RF unless the instruction set it
 *     cpu_debug_step(cpu, tf);         (not where DEBUG_SHADOW has begun; raises #DB, a trap, with
 *                                       s.eip after the instruction)
 * While it is zero nothing of this needs calling: debug_pending has no bits of DR6, either.
 */
#pragma once

#include "cpu/state.h"

enum {
    DEBUG_TF = 1 << 0,      /* EFLAGS.TF is set */
    DEBUG_FETCH = 1 << 1,   /* an instruction breakpoint is enabled */
    DEBUG_DATA = 1 << 2,    /* a data breakpoint is enabled: its pages must not enter the TLB */
    DEBUG_IO = 1 << 3,      /* a port breakpoint is enabled */
    DEBUG_PENDING = 1 << 4, /* a breakpoint has been met and waits for the instruction's end */
};

/* Of debug_pending, beside DR6's bits: SS has just been loaded.  Its traps come behind the next
 * instruction, in front of which no breakpoint stops. */
#define DEBUG_SHADOW (1u << 31)

/* Recomputes cpu->debug after a change of TF, DR7, CR4.DE or a load. */
void cpu_debug_update(Cpu *cpu);
/* Before the instruction at s.eip: raises #DB where a breakpoint waits and RF is clear. */
void cpu_debug_fetch(Cpu *cpu);
/* After a committed instruction at whose start TF had the value tf. */
void cpu_debug_step(Cpu *cpu, bool tf);
/* DEBUG_DATA: the linear page holds a watched byte, so its accesses take the slow path ... */
bool cpu_debug_page(const Cpu *cpu, uint64_t lin);
/* ... which reports each access; the trap follows at the instruction's end. */
void cpu_debug_data(Cpu *cpu, uint64_t lin, unsigned size, bool write);
void cpu_debug_io(Cpu *cpu, uint32_t port, unsigned size);
