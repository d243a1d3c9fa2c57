/* SPDX-License-Identifier: MIT */
/*
 * Leaving an instruction in its midst.  fault_guard is the one place that can be jumped back to.
 */
#pragma once

#include <setjmp.h>

#include "cpu/state.h"

typedef enum FaultKind {
    FAULT_NONE,      /* the body returned */
    FAULT_EXCEPTION, /* vector, code (and cr2): to be delivered */
    FAULT_BLOCKED,   /* an absent page: nothing has happened */
    FAULT_CUT        /* I/O by an instruction in a block's midst: to be run as a last one */
} FaultKind;

typedef struct FaultFrame FaultFrame;
struct FaultFrame {
    jmp_buf env;
    FaultFrame *outer;
    int vector;
    uint32_t code;
    uint64_t cr2;
};

/* Runs body under a new frame and says how it ended.  What f says is then valid; s.eip and the
 * slice are those of the instruction (which an exception counts as done). */
FaultKind fault_guard(Cpu *cpu, FaultFrame *f, void (*body)(Cpu *cpu, void *arg), void *arg);

/* See mmu.c. */
_Noreturn void fault_cut(Cpu *cpu);

/* Delivers an exception; others that arise from it become double and triple faults.  A triple fault
 * requests a reset and returns FAULT_EXCEPTION; FAULT_BLOCKED: nothing was delivered. */
FaultKind fault_deliver(Cpu *cpu, const FaultFrame *f);
