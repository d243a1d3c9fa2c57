/* SPDX-License-Identifier: MIT */
/*
 * SSE where the host's user mode cannot judge: what CR0, CR4 and the model forbid, the vector of an
 * unmasked exception, faults in the midst of an operand, MXCSR between slices, random numbers.
 */
#include "tests/unit/cpu_machine.h"

enum { CODE = 0x1000, DATA = 0x2000, GDT = 0x100, IDT = 0x200, HANDLERS = 0x3000, STACK = 0x8000 };

static Machine *sse_machine(const char *model, uint64_t cr0, uint64_t cr4, const void *code)
{
    Machine *m = test_machine_new(model);
    Cpu *cpu = test_cpu(m);
    uint8_t gdt[24] = { 0 }, idt[8];

    test_flat32(cpu, CODE);
    store_le64(gdt + 8, 0x00cf9b000000ffff);
    store_le64(gdt + 16, 0x00cf93000000ffff);
    test_poke(m, GDT, gdt, sizeof(gdt));
    for (unsigned v = 0; v < 32; v++) {
        static const uint8_t hlt = 0xf4;

        store_le64(idt, 0x00008e0000080000 | (HANDLERS + 16 * v));
        test_poke(m, IDT + 8 * v, idt, sizeof(idt));
        test_poke(m, HANDLERS + 16 * v, &hlt, 1);
    }
    test_poke(m, CODE, code, 16);
    cpu->s.gdt = (SegReg){ .base = GDT, .limit = 23 };
    cpu->s.idt = (SegReg){ .base = IDT, .limit = 0x7ff };
    cpu->s.cr[0] |= cr0;
    cpu->s.cr[4] = cr4;
    cpu->s.regs[R_ESP] = STACK;
    cpu->s.regs[R_ESI] = DATA;
    cpu_update_mode(cpu);
    device_sync(&cpu->dev);
    return m;
}

/* The vector that the code's first instruction raises, or -1. */
static int vector_of(const char *model, uint64_t cr0, uint64_t cr4, const char *code, size_t len)
{
    uint8_t bytes[16];
    Machine *m;
    uint64_t eip;

    memset(bytes, 0xf4, sizeof(bytes));
    memcpy(bytes, code, len);
    m = sse_machine(model, cr0, cr4, bytes);
    test_cpu(m)->s.mxcsr = 0x1d00; /* division by zero is unmasked, and invalid */
    test_run(m, 1);
    eip = test_cpu(m)->s.eip;
    machine_free(m);
    return eip >= HANDLERS && eip < HANDLERS + 512 ? (int)(eip - HANDLERS) / 16 : -1;
}
#define RAISES(model, cr0, cr4, code, vector)                                                      \
    g_assert_cmpint(vector_of(model, cr0, cr4, code, sizeof(code) - 1), ==, vector)

#define ADDPS "\x0f\x58\xc1"
#define PXOR "\x66\x0f\xef\xc0"
#define PMAXUB_MMX "\x0f\xde\xc1"
#define MOVDQ2Q "\xf2\x0f\xd6\xc0"
#define STMXCSR "\x0f\xae\x1e"
#define MOVNTI "\x0f\xc3\x06"
#define SFENCE "\x0f\xae\xf8"
#define POPCNT "\xf3\x0f\xb8\xc0"
#define RCPPS_UNALIGNED "\x0f\x53\x46\x01"
#define DIVPS "\x0f\x5e\xc1"

static void test_control(void)
{
    enum { ON = CR4_OSFXSR, XM = CR4_OSFXSR | CR4_OSXMMEXCPT };
    static const char *const codes[] = { ADDPS, PXOR, MOVDQ2Q };

    for (unsigned i = 0; i < G_N_ELEMENTS(codes); i++) {
        size_t len = strlen(codes[i]);

        g_assert_cmpint(vector_of("max", 0, ON, codes[i], len), ==, -1);
        g_assert_cmpint(vector_of("max", 0, 0, codes[i], len), ==, EXC_UD);
        g_assert_cmpint(vector_of("max", CR0_EM, ON, codes[i], len), ==, EXC_UD);
        g_assert_cmpint(vector_of("max", CR0_TS, ON, codes[i], len), ==, EXC_NM);
        g_assert_cmpint(vector_of("max", CR0_TS | CR0_EM, ON, codes[i], len), ==, EXC_UD);
    }
    RAISES("max", 0, 0, STMXCSR, EXC_UD);
    RAISES("max", CR0_TS, ON, STMXCSR, EXC_NM);
    RAISES("max", 0, 0, PMAXUB_MMX, -1); /* MMX does not ask for OSFXSR */
    RAISES("max", CR0_EM, 0, PMAXUB_MMX, EXC_UD);
    RAISES("max", CR0_TS, 0, PMAXUB_MMX, EXC_NM);
    RAISES("max", CR0_TS | CR0_EM, 0, MOVNTI, -1); /* no SSE state */
    RAISES("max", CR0_TS | CR0_EM, 0, SFENCE, -1);
    RAISES("max", CR0_TS | CR0_EM, 0, POPCNT, -1);
    RAISES("max", 0, ON, RCPPS_UNALIGNED, EXC_GP);
    RAISES("max", 0, XM, DIVPS, EXC_XM);
    RAISES("max", 0, ON, DIVPS, EXC_UD);
}

static void test_models(void)
{
    RAISES("pentium3", 0, CR4_OSFXSR, ADDPS, -1);
    RAISES("pentium3", 0, CR4_OSFXSR, PXOR, EXC_UD);
    RAISES("pentium3", 0, CR4_OSFXSR, PMAXUB_MMX, -1);
    RAISES("pentium3", 0, CR4_OSFXSR, MOVNTI, EXC_UD);
    RAISES("pentium3", 0, CR4_OSFXSR, SFENCE, -1);
    RAISES("pentium2", 0, CR4_OSFXSR, ADDPS, EXC_UD);
    RAISES("pentium2", 0, CR4_OSFXSR, PMAXUB_MMX, EXC_UD);
    RAISES("pentium2", 0, CR4_OSFXSR, STMXCSR, EXC_UD);
    RAISES("pentium2", 0, CR4_OSFXSR, SFENCE, EXC_UD);
    RAISES("pentium3", 0, CR4_OSFXSR, POPCNT, EXC_UD);
    RAISES("qemu32", 0, CR4_OSFXSR, "\x66\x0f\x38\x00\xc1", EXC_UD); /* PSHUFB */
    RAISES("Nehalem", 0, CR4_OSFXSR, "\x66\x0f\x38\x00\xc1", -1);
    RAISES("Nehalem", 0, CR4_OSFXSR, "\x66\x0f\x38\xdc\xc1", EXC_UD); /* AESENC */
    RAISES("Nehalem", 0, CR4_OSFXSR, "\x0f\xc7\xf0", EXC_UD);         /* RDRAND */
    RAISES("max", 0, CR4_OSFXSR, "\x0f\xc7\xf0", -1);
    RAISES("max", 0, CR4_OSFXSR, "\xf0\x0f\x58\xc1", EXC_UD); /* LOCK ADDPS */
}

/* A store into a present and an absent page changes neither. */
static void test_torn_store(void)
{
    static const uint8_t movups[16] = { 0x0f, 0x11, 0x06, 0xf4 }; /* [esi], xmm0 */
    static const uint32_t directory = 0x10000, table = 0x11000, page = 0x20000;
    Machine *m = sse_machine("max", 0, CR4_OSFXSR, movups);
    Cpu *cpu = test_cpu(m);
    uint8_t entry[4], zero[8] = { 0 };

    store_le32(entry, table | 3);
    test_poke(m, directory, entry, 4);
    for (uint32_t i = 0; i < 256; i++) {
        store_le32(entry, i << 12 | (i << 12 == page + 4096 ? 0 : 3));
        test_poke(m, table + 4 * i, entry, 4);
    }
    cpu->s.cr[3] = directory;
    cpu->s.cr[0] |= CR0_PG;
    cpu->s.regs[R_ESI] = page + 4096 - 8;
    cpu->s.xmm[0] = (XmmReg){ { UINT64_MAX, UINT64_MAX } };
    cpu_update_mode(cpu);
    device_sync(&cpu->dev);
    test_run(m, 1);
    g_assert_cmphex(cpu->s.eip, ==, HANDLERS + 16 * EXC_PF);
    g_assert_cmphex(cpu->s.cr[2], ==, page + 4096);
    g_assert_cmpmem(test_ram(m) + page + 4096 - 8, 8, zero, 8);
    machine_free(m);
}

/* Flags that stand in the host's MXCSR come back when a slice ends, whoever used it meanwhile. */
static void test_mxcsr(void)
{
    static const uint8_t divps[16] = { 0x0f, 0x5e, 0xc1, 0x0f, 0x58, 0xc1, 0xf4 };
    Machine *m = sse_machine("max", 0, CR4_OSFXSR, divps);
    Cpu *cpu = test_cpu(m);
    volatile double three = 3, zero = 0;
    uint32_t host;

    cpu->s.mxcsr = 0x7f80; /* towards zero */
    for (unsigned i = 0; i < 2; i++) {
        cpu->s.xmm[0].q[i] = 0x3f8000003f800000;
        cpu->s.xmm[1].q[i] = 0x4040000040400000;
    }
    test_run(m, 1);
    g_assert_cmphex(cpu->s.mxcsr, ==, 0x7fa0);
    g_assert_cmphex(cpu->s.xmm[0].q[0], ==, 0x3eaaaaaa3eaaaaaa);
    __asm__ volatile("stmxcsr %0" : "=m"(host));
    g_assert_cmphex(host & 0xffc0, ==, 0x1f80);
    three = three / zero; /* the emulator's own business */
    test_run(m, 1);
    g_assert_cmphex(cpu->s.mxcsr, ==, 0x7fa0);
    machine_free(m);
}

/* What a stream brings must not reach the host's MXCSR unchecked. */
static void test_hostile_mxcsr(void)
{
    static const uint8_t addps[16] = { 0x0f, 0x58, 0xc1, 0xf4 };
    Machine *m = sse_machine("max", 0, CR4_OSFXSR, addps);

    test_cpu(m)->s.mxcsr = 0xffffffff;
    test_run(m, 1);
    g_assert_cmphex(test_cpu(m)->s.eip, ==, CODE + 3);
    machine_free(m);
}

/* Numbers of a run under -icount: always the same, one from the other different. */
static void random_numbers(uint32_t r[2])
{
    static const uint8_t code[16] = { 0x0f, 0xc7, 0xf0, 0x0f, 0xc7, 0xf9, 0xf4 }; /* eax, ecx */
    Machine *m = sse_machine("max", 0, 0, code);
    Cpu *cpu = test_cpu(m);

    cpu->s.eflags |= FLAG_ZF | FLAG_SF;
    test_run(m, 2);
    r[0] = (uint32_t)cpu->s.regs[R_EAX];
    r[1] = (uint32_t)cpu->s.regs[R_ECX];
    g_assert_cmphex(cpu_get_eflags(cpu) & FLAGS_ARITH, ==, FLAG_CF);
    machine_free(m);
}

static void test_random(void)
{
    uint32_t a[2], b[2];

    random_numbers(a);
    random_numbers(b);
    g_assert_cmpmem(a, sizeof(a), b, sizeof(b));
    g_assert_cmphex(a[0], !=, a[1]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/sse/control", test_control);
    g_test_add_func("/cpu/sse/models", test_models);
    g_test_add_func("/cpu/sse/torn-store", test_torn_store);
    g_test_add_func("/cpu/sse/mxcsr", test_mxcsr);
    g_test_add_func("/cpu/sse/hostile-mxcsr", test_hostile_mxcsr);
    g_test_add_func("/cpu/sse/random", test_random);
    return g_test_run();
}
