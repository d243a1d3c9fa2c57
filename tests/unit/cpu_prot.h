/* SPDX-License-Identifier: MIT */
/*
 * A protected-mode world for tests of what privilege does: GDT, IDT, TSSs, stacks.  Every vector's
 * handler is a HLT of its own, so that where the CPU halts tells what was raised, and its stack
 * what was pushed.  Expectations are the manual's.
 */
#pragma once

#include "tests/unit/cpu_machine.h"

/* Where things are. */
enum {
    AT_GDT = 0x1000,
    AT_LDT = 0x1400,
    AT_IDT = 0x1800,
    AT_TSS_A = 0x2000,
    AT_TSS_B = 0x2200,
    AT_TSS16 = 0x2400,
    AT_HANDLERS = 0x3000,
    AT_CODE = 0x4000,
    AT_DATA = 0x5000,
    AT_STACK0 = 0x8000,
    AT_STACK3 = 0x9000,
    AT_STACK_B = 0xa000,
    AT_STACK16 = 0xb000,
    AT_V86 = 0x10000,
    AT_PAGES = 0x20000,
    HANDLER_SIZE = 8,
};

/* Selectors. */
enum {
    CODE0 = 0x08,
    DATA0 = 0x10,
    CODE3 = 0x1b,
    DATA3 = 0x23,
    TSS_A = 0x28,
    TSS_B = 0x30,
    TSS_16 = 0x38,
    LDT = 0x40,
    GATE = 0x48,
    CONFORMING = 0x50,
    ABSENT = 0x58,
    READONLY = 0x60,
    EXECONLY = 0x68,
    DOWN = 0x70,
    CODE16 = 0x78,
    STACK16 = 0x80,
    TASKGATE = 0x88,
    CODE1 = 0x91,
    GDT_LIMIT = 0x9f,
};

/* The descriptor's bytes 5 and 6 as they stand in its high doubleword. */
enum {
    D_P = 0x8000,
    D_DPL3 = 0x6000,
    D_S = 0x1000,
    D_CODE = 0x1a00,
    D_DATA = 0x1200,
    D_32 = 0x400000,
    D_G = 0x800000,
    D_FLAT = 0xcf0000,
};

static inline void put_desc(
    Machine *m, uint32_t table, uint32_t sel, uint32_t base, uint32_t limit, uint32_t high)
{
    uint8_t d[8];

    store_le32(d, (limit & 0xffff) | base << 16);
    store_le32(d + 4, (base >> 16 & 0xff) | (base & 0xff000000) | (limit & 0xf0000) | high);
    test_poke(m, table + (sel & ~7u), d, sizeof(d));
}

/* type: 12 call, 14 interrupt, 15 trap, 5 task; the 16-bit ones are 4, 6, 7. */
static inline void put_gate(Machine *m, uint32_t at, unsigned type, unsigned dpl, uint32_t sel,
    uint32_t offset, unsigned params)
{
    uint8_t d[8];

    store_le32(d, (offset & 0xffff) | sel << 16);
    store_le32(d + 4, (offset & 0xffff0000) | D_P | dpl << 13 | type << 8 | params);
    test_poke(m, at, d, sizeof(d));
}

static inline void put_idt(Machine *m, unsigned vector, unsigned type, unsigned dpl, uint32_t sel)
{
    put_gate(m, AT_IDT + vector * 8, type, dpl, sel, AT_HANDLERS + vector * HANDLER_SIZE, 0);
}

static inline uint32_t peek32(Machine *m, uint32_t gpa) { return load_le32(test_ram(m) + gpa); }
static inline uint32_t peek16(Machine *m, uint32_t gpa) { return load_le16(test_ram(m) + gpa); }
static inline void poke32(Machine *m, uint32_t gpa, uint32_t v)
{
    uint8_t b[4];

    store_le32(b, v);
    test_poke(m, gpa, b, 4);
}
static inline void poke16(Machine *m, uint32_t gpa, uint16_t v) { test_poke(m, gpa, &v, 2); }

static inline void prot_tables(Machine *m)
{
    uint32_t g = AT_GDT;

    put_desc(m, g, CODE0, 0, 0xfffff, D_FLAT | D_P | D_CODE);
    put_desc(m, g, DATA0, 0, 0xfffff, D_FLAT | D_P | D_DATA);
    put_desc(m, g, CODE3, 0, 0xfffff, D_FLAT | D_P | D_CODE | D_DPL3);
    put_desc(m, g, DATA3, 0, 0xfffff, D_FLAT | D_P | D_DATA | D_DPL3);
    put_desc(m, g, CODE1, 0, 0xfffff, D_FLAT | D_P | D_CODE | 0x2000);
    put_desc(m, g, TSS_A, AT_TSS_A, 0x67 + 0x80, D_P | 0x900);
    put_desc(m, g, TSS_B, AT_TSS_B, 0x67, D_P | 0x900);
    put_desc(m, g, TSS_16, AT_TSS16, 0x2b, D_P | 0x100);
    put_desc(m, g, LDT, AT_LDT, 0xff, D_P | 0x200);
    put_desc(m, g, CONFORMING, 0, 0xfffff, D_FLAT | D_P | D_CODE | 0x400);
    put_desc(m, g, ABSENT, 0, 0xfffff, D_FLAT | D_DATA);
    put_desc(m, g, READONLY, 0, 0xfffff, D_FLAT | D_P | D_S);
    put_desc(m, g, EXECONLY, 0, 0xfffff, D_FLAT | D_P | 0x1800);
    put_desc(m, g, DOWN, 0, 0x4fff, D_32 | D_P | D_DATA | 0x400);
    put_desc(m, g, CODE16, 0, 0xffff, D_P | D_CODE);
    put_desc(m, g, STACK16, 0, 0xffff, D_P | D_DATA);
    put_gate(m, g + TASKGATE, 5, 3, TSS_B, 0, 0);
}

static inline Machine *prot_new(void)
{
    Machine *m = test_machine_new("pentium3");
    Cpu *cpu = test_cpu(m);
    uint8_t hlt = 0xf4;

    prot_tables(m);
    for (unsigned v = 0; v < 256; v++) {
        put_idt(m, v, 14, 0, CODE0);
        test_poke(m, AT_HANDLERS + v * HANDLER_SIZE, &hlt, 1);
    }
    poke32(m, AT_TSS_A + 4, AT_STACK0);
    poke32(m, AT_TSS_A + 8, DATA0);
    poke16(m, AT_TSS_A + 0x66, 0x68 + 0x20); /* after 32 bytes of redirection bits */
    cpu->s.gdt = (SegReg){ .base = AT_GDT, .limit = GDT_LIMIT };
    cpu->s.idt = (SegReg){ .base = AT_IDT, .limit = 0x7ff };
    cpu->s.tr =
        (SegReg){ .selector = TSS_A, .base = AT_TSS_A, .limit = 0x67 + 0x80, .flags = D_P | 0xb00 };
    put_desc(m, AT_GDT, TSS_A, AT_TSS_A, 0x67 + 0x80, D_P | 0xb00); /* busy */
    test_flat32(cpu, AT_CODE);
    cpu->s.segs[R_SS].selector = cpu->s.segs[R_DS].selector = DATA0;
    cpu->s.regs[R_ESP] = AT_STACK0;
    return m;
}

/* CPL 3, with the flags given. */
static inline void prot_ring3(Machine *m, uint32_t eflags)
{
    Cpu *cpu = test_cpu(m);

    for (unsigned i = 0; i < 6; i++) {
        cpu->s.segs[i].selector = i == R_CS ? CODE3 : DATA3;
        cpu->s.segs[i].flags |= D_DPL3;
    }
    cpu->s.hflags |= 3;
    cpu->s.regs[R_ESP] = AT_STACK3;
    cpu->s.eflags = 2 | eflags;
    device_sync(&cpu->dev);
}

/* Code between two labels, assembled into this program and never run by it. */
#define GUEST_CODE(name, bits, text)                                                               \
    extern const uint8_t name[], name##_end[];                                                     \
    __asm__(".pushsection .rodata\n.code" #bits "\n" #name ":\n" text "\n" #name                   \
            "_end:\n.code64\n.popsection")
#define prot_code(m, name) test_poke((m), AT_CODE, name, (size_t)(name##_end - name))

/* Runs until a HLT; -1: none came. */
static inline int prot_run(Machine *m)
{
    CpuExit why = test_run(m, 1000);
    uint32_t eip = (uint32_t)test_cpu(m)->s.eip;

    if (why != CPU_HALTED || eip <= AT_HANDLERS) return -1;
    return eip < AT_HANDLERS + 256 * HANDLER_SIZE ? (int)((eip - AT_HANDLERS) / HANDLER_SIZE) : -1;
}

/* The nth doubleword on the current stack. */
static inline uint32_t prot_stack(Machine *m, unsigned n)
{
    Cpu *cpu = test_cpu(m);

    return peek32(m, (uint32_t)(cpu->s.segs[R_SS].base + cpu->s.regs[R_ESP]) + 4 * n);
}

/* The code faults at its offset with this vector and error code, at the CPL it ran at. */
static inline void prot_expect_fault(Machine *m, int vector, uint32_t code, uint32_t offset)
{
    g_assert_cmpint(prot_run(m), ==, vector);
    g_assert_cmphex(prot_stack(m, 0), ==, code);
    g_assert_cmphex(prot_stack(m, 1), ==, AT_CODE + offset);
}
