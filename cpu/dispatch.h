/* SPDX-License-Identifier: MIT */
/*
 * How handlers pass on to one another.
 *
 * A fast handler does its work and ends with NEXT, a terminator with CHAIN (a direct jump whose
 * successor may be linked) or JUMP (any other).  In an optimised build these are sibling calls: the
 * host's stack does not grow, and each handler has its own indirect jump to be predicted.  With
 * sanitizers or -O0 they return to a loop in dispatch_run.  A handler must not take the address of
 * a local, or the compiler cannot jump.
 *
 * LEAVE ends it: s.eip is exact and the run loop decides.
 */
#pragma once

#include "cpu/blocks.h"
#include "cpu/tlb.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer) ||             \
    __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define DISPATCH_LOOP 1
#endif
#endif
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||     \
    defined(STASIS_DISPATCH_LOOP)
#define DISPATCH_LOOP 1
#endif

#if defined(__has_attribute)
#if __has_attribute(musttail)
#define MUSTTAIL __attribute__((musttail))
#endif
#endif
#ifndef MUSTTAIL
#define MUSTTAIL
#endif

#ifdef DISPATCH_LOOP
#define TAIL(cpu, insn)                                                                            \
    do {                                                                                           \
        (cpu)->resume = (insn);                                                                    \
        return;                                                                                    \
    } while (0)
#define TAIL_CALL(fn_, cpu, in)                                                                    \
    do {                                                                                           \
        fn_(cpu, in);                                                                              \
        return;                                                                                    \
    } while (0)
#define LEAVE(cpu)                                                                                 \
    do {                                                                                           \
        (cpu)->resume = NULL;                                                                      \
        return;                                                                                    \
    } while (0)
#else
#define TAIL(cpu, insn)                                                                            \
    do {                                                                                           \
        const Insn *tail_ = (insn);                                                                \
        MUSTTAIL return tail_->fn(cpu, tail_);                                                     \
    } while (0)
#define TAIL_CALL(fn_, cpu, in)                                                                    \
    do {                                                                                           \
        MUSTTAIL return fn_(cpu, in);                                                              \
    } while (0)
#define LEAVE(cpu) return
#endif

#define NEXT(cpu, in) TAIL(cpu, (in) + 1)

/* s.eip is the successor's: k says which of the two. */
#define CHAIN(cpu, in, k)                                                                          \
    do {                                                                                           \
        Block *to_ = (in)->block->next[k];                                                         \
                                                                                                   \
        if (LIKELY(to_ && to_->n <= (cpu)->slice_left && !(cpu)->exit_pending)) {                  \
            (cpu)->slice_left -= to_->n;                                                           \
            (cpu)->block = to_;                                                                    \
            TAIL(cpu, to_->insns);                                                                 \
        }                                                                                          \
        (cpu)->link = &(in)->block->next[k];                                                       \
        TAIL_CALL(dispatch_continue, cpu, in);                                                     \
    } while (0)
#define JUMP(cpu, in) TAIL_CALL(dispatch_continue, cpu, in)

/* The block at s.eip by the jump cache, or leaves. */
InsnFn dispatch_continue;
/* Runs blocks from b on until one leaves; b's instructions are taken off the slice here. */
void dispatch_run(Cpu *cpu, Block *b);

/* Before an instruction: the shadow and RF last for that one. */
static inline void dispatch_hold(Cpu *cpu)
{
    cpu->held = (CpuHeld){ .left = cpu->slice_left + cpu->slice_rest,
        .shadow = cpu->s.hflags & HF_SHADOW,
        .rf = cpu->s.eflags & FLAG_RF };
    cpu->s.hflags &= ~(uint32_t)HF_SHADOW;
    cpu->s.eflags &= ~(uint64_t)FLAG_RF;
}

/* What stands in blocks beside real instructions. */
InsnFn op_slow, op_mid, op_end, op_leave, op_stop, op_ud;
