/* SPDX-License-Identifier: MIT */
/* One instruction at a time, for tests of paging: an including file says where by its CODE. */
#pragma once

#include "tests/unit/cpu_test.h"

static inline void step_body(Cpu *cpu, void *arg)
{
    (void)arg;
    cpu->slice_left = 1;
    cpu->slice_rest = 0;
    dispatch_run(cpu, blocks_copy(cpu, blocks_find(cpu), 1));
}

/* Runs one instruction; the exception's vector, or -1. */
static inline int step(Cpu *cpu, const void *code, size_t n, uint32_t eip, FaultFrame *f)
{
    if (n) test_put(cpu->dev.m, eip, code, n);
    cpu->s.eip = eip;
    if (fault_guard(cpu, f, step_body, NULL) == FAULT_NONE) return -1;
    g_assert_cmphex(cpu->s.eip, ==, eip);
    return f->vector;
}
#define STEP(cpu, f, ...)                                                                          \
    step(cpu, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), CODE, f)
