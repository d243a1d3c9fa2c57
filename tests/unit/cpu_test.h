/* SPDX-License-Identifier: MIT */
/* A machine with a CPU, RAM from 0 and nothing else, for tests of the interpreter. */
#pragma once

#include <glib.h>
#include <string.h>

#include "core/machine.h"
#include "cpu/blocks.h"
#include "cpu/cpu.h"
#include "cpu/debug.h"
#include "cpu/dispatch.h"
#include "cpu/fault.h"
#include "cpu/flags.h"
#include "util/bits.h"

enum { TEST_RAM = 16 * MiB };

typedef struct TestBoard {
    MemRegion ram;
} TestBoard;

static inline bool cpu_board_init(Machine *m, Error *err)
{
    TestBoard *b = machine_slot(m, "board", sizeof(TestBoard), NULL);
    RamBlock *ram = ram_block_new(m, "pc.ram", TEST_RAM, err);

    if (!ram) return false;
    b->ram = (MemRegion){ .name = "ram", .size = TEST_RAM, .enabled = true, .ram = ram };
    mem_region_add(m, &b->ram);
    return device_create(m, "x86-cpu", "cpu0", err, "model", "pentium3", NULL);
}
MACHINE(cpu_board, .name = "cpu-board", .desc = "for tests", .default_ram = TEST_RAM,
    .init = cpu_board_init);

static inline Machine *test_machine(void)
{
    Error err = ERROR_INIT;
    Machine *m = machine_new("cpu-board", NULL, &err);

    if (!m || !machine_init(m, &err)) g_error("%s", err.msg);
    clock_set_icount(&m->clock, 0, false);
    machine_reset(m);
    return m;
}

static inline Cpu *test_cpu(Machine *m) { return CPU(device_find(m, "cpu0")); }
static inline uint8_t *test_ram(Machine *m) { return ram_block_find(m, "pc.ram")->host; }

/* Flat 32-bit protected mode, CPL 0 or 3, without tables: nothing may load a segment. */
static inline void test_flat(Cpu *cpu, unsigned cpl)
{
    struct CpuState *s = &cpu->s;
    uint32_t common = SEGF_P | SEGF_S | SEGF_DB | SEGF_G | SEGF_A | SEGF_RW | cpl << SEGF_DPL_SHIFT;

    for (int i = 0; i < 6; i++)
        s->segs[i] = (SegReg){ .selector = (i == R_CS ? 8 : 16) | cpl,
            .limit = UINT32_MAX,
            .flags = common | (i == R_CS ? SEGF_CODE : 0) };
    s->cr[0] |= CR0_PE;
    s->eflags = 2;
    cpu->cc_kind = CC_EFLAGS;
    cpu_set_cpl(cpu, cpl);
    cpu_update_mode(cpu);
}

/* Real mode with all segments at base. */
static inline void test_real(Cpu *cpu, uint16_t selector)
{
    for (int i = 0; i < 6; i++)
        cpu->s.segs[i] = (SegReg){ .selector = selector,
            .base = (uint32_t)selector << 4,
            .limit = 0xffff,
            .flags = SEGF_P | SEGF_S | SEGF_A | SEGF_RW | (i == R_CS ? SEGF_CODE : 0) };
    cpu->s.cr[0] &= ~(uint64_t)CR0_PE;
    cpu->s.eflags = 2;
    cpu->cc_kind = CC_EFLAGS;
    cpu_set_cpl(cpu, 0);
    cpu_update_mode(cpu);
}

static inline void test_put(Machine *m, uint64_t gpa, const void *code, size_t n)
{
    ram_block_write(ram_block_find(m, "pc.ram"), gpa, code, n);
}

/* Runs exactly n instructions in one slice. */
static inline CpuExit test_run(Machine *m, int64_t n)
{
    int64_t done;
    CpuExit why = cpu_run(m, n, &done);

    if (why == CPU_BUDGET) g_assert_cmpint(done, ==, n);
    return why;
}
