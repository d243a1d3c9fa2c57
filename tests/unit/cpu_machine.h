/* SPDX-License-Identifier: MIT */
/*
 * A machine of RAM and a CPU, for tests that run a few instructions.  Interrupt vectors come from
 * the test (cpu_vector), time is the instruction count.
 */
#pragma once

#include <glib.h>
#include <string.h>

#include "core/machine.h"
#include "core/wires.h"
#include "cpu/cpu.h"
#include "cpu/state.h"

enum { TEST_RAM = 1 * MiB };

typedef struct TestMachine {
    MemRegion ram;
    RamBlock *block;
    int vector; /* what INTA answers */
} TestMachine;

static inline TestMachine *test_machine(Machine *m)
{
    return machine_slot(m, "test-cpu", sizeof(TestMachine), NULL);
}

static int test_inta(Device *dev)
{
    int vector = test_machine(dev->m)->vector;

    dev->cls->irq_in(dev, CPU_WIRE_INTR, false);
    return vector;
}

static bool test_machine_init(Machine *m, Error *err)
{
    TestMachine *t = test_machine(m);
    const char *model = m->config.cpu ? m->config.cpu : "pentium3";
    Device *cpu;

    t->block = ram_block_new(m, "pc.ram", TEST_RAM, err);
    if (!t->block) return false;
    t->ram = (MemRegion){ .name = "ram", .size = TEST_RAM, .enabled = true, .ram = t->block };
    mem_region_add(m, &t->ram);
    cpu = device_create(m, "x86-cpu", "cpu0", err, "model", model, NULL);
    if (cpu) machine_set_inta(m, cpu, test_inta);
    return cpu != NULL;
}

static const MachineClass test_machine_class = {
    .name = "cpu-test", .desc = "for tests", .init = test_machine_init, .default_ram = TEST_RAM
};
SET_ADD(machines, test_machine_class);

static inline Machine *test_machine_new(const char *model)
{
    Error err = ERROR_INIT;
    Machine *m = machine_new("cpu-test", NULL, &err);

    g_assert_nonnull(m);
    m->config.cpu = g_strdup(model);
    clock_set_icount(&m->clock, 0, false);
    if (!machine_init(m, &err)) g_error("%s", err.msg);
    machine_set_run_state(m, RUN_RUNNING);
    return m;
}

static inline Cpu *test_cpu(Machine *m) { return CPU(device_find(m, "cpu0")); }

static inline uint8_t *test_ram(Machine *m) { return test_machine(m)->block->host; }

static inline void test_poke(Machine *m, uint32_t gpa, const void *bytes, size_t len)
{
    ram_block_write(test_machine(m)->block, gpa, bytes, len);
}

/* Protected mode, everything flat, CPL 0, at eip. */
static inline void test_flat32(Cpu *cpu, uint32_t eip)
{
    static const uint32_t code = 0x00cf9b00, data = 0x00cf9300;

    for (unsigned i = 0; i < 6; i++) {
        cpu->s.segs[i] = (SegReg){
            .selector = i == R_CS ? 8 : 16, .limit = 0xffffffff, .flags = i == R_CS ? code : data
        };
    }
    cpu->s.cr[0] = CR0_PE | CR0_ET | CR0_NE;
    cpu->s.eip = eip;
    cpu->s.eflags = 2;
    device_sync(&cpu->dev);
}

/* Runs n instructions (or until HLT). */
static inline CpuExit test_run(Machine *m, int64_t n)
{
    int64_t done;

    return cpu_run(m, n, &done);
}
