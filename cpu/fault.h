/* SPDX-License-Identifier: MIT */
/*
 * Leaving an instruction in its midst.  fault_guard is the one place that can be jumped back to:
 * set up once, it delivers each exception and goes on, since jumping back is cheaper.
 */
#pragma once

#include <setjmp.h>

#include "cpu/dispatch.h"

/* The compiler's own pair is the shorter one; sanitizers know only the library's. */
#ifdef DISPATCH_LOOP
typedef jmp_buf FaultEnv;
#define FAULT_SET(env) _setjmp(env)
#define FAULT_JUMP(env) _longjmp(env, 1)
#else
typedef void *FaultEnv[5];
#define FAULT_SET(env) __builtin_setjmp(env)
#define FAULT_JUMP(env) __builtin_longjmp(env, 1)
#endif

typedef enum FaultKind {
    FAULT_NONE,      /* the body returned */
    FAULT_EXCEPTION, /* vector, code (and cr2): raised, or where it is delivered a triple fault */
    FAULT_BLOCKED,   /* an absent page: nothing has happened */
    FAULT_CUT        /* I/O by an instruction in a block's midst: to be run as a last one */
} FaultKind;

typedef struct FaultFrame FaultFrame;
struct FaultFrame {
    FaultEnv env;
    FaultFrame *outer;
    FaultKind kind; /* why it was jumped back to */
    int vector;
    uint32_t code;
    uint64_t cr2;
    int on_way; /* the exception in whose delivery this one was raised, or -1 */
};

typedef void FaultBody(Cpu *cpu, void *arg);

/* Runs body under a new frame and says how it ended.  What f says is then valid; s.eip and the
 * slice are those of the instruction (which an exception counts as done). */
FaultKind fault_guard(Cpu *cpu, FaultFrame *f, FaultBody *body, void *arg);
/* The same, but exceptions are delivered, those that arise from that as double faults where they
 * have to, and body is run again behind each.  A triple fault requests a reset and returns
 * FAULT_EXCEPTION. */
FaultKind fault_guard_delivering(Cpu *cpu, FaultFrame *f, FaultBody *body, void *arg);

/* See mmu.c. */
_Noreturn void fault_cut(Cpu *cpu);
