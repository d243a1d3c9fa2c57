/* SPDX-License-Identifier: MIT */
/* MMX: every instruction with random operands against the host's, and what it does to the x87. */
#include <stdio.h>
#include <sys/mman.h>

#include "tests/unit/cpu_machine.h"

enum { CODE = 0x1000, DATA = 0x2000, ROUNDS = 300 };

static const uint8_t opcodes[] = { 0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a,
    0x6b, 0x6e, 0x6f, 0x74, 0x75, 0x76, 0x7e, 0x7f, 0xd1, 0xd2, 0xd3, 0xd5, 0xd8, 0xd9, 0xdb, 0xdc,
    0xdd, 0xdf, 0xe1, 0xe2, 0xe5, 0xe8, 0xe9, 0xeb, 0xec, 0xed, 0xef, 0xf1, 0xf2, 0xf3, 0xf5, 0xf8,
    0xf9, 0xfa, 0xfc, 0xfd, 0xfe };

typedef struct Regs {
    uint64_t mm0, mm1, data, eax;
} Regs;

static uint64_t random64(GRand *r)
{
    uint64_t v = (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);

    switch (g_rand_int_range(r, 0, 6)) {
    case 0: return v & 0x3f; /* a sensible shift count */
    case 1: return v | 0x8000800080008000;
    case 2: return v & 0x00ff00ff00ff00ff;
    default: return v;
    }
}

/* Runs the instruction natively: mm0 and mm1 in and out, memory at rcx, eax. */
static void host_run(uint8_t *code, const uint8_t *insn, unsigned len, Regs *r)
{
    uint64_t eax = r->eax;

    memcpy(code, insn, len);
    code[len] = 0xc3;
    __asm__ volatile("movq %0, %%mm0\n\tmovq %1, %%mm1\n\tcall *%5\n\t"
                     "movq %%mm0, %0\n\tmovq %%mm1, %1\n\temms"
                     : "+m"(r->mm0), "+m"(r->mm1), "+m"(r->data), "+a"(eax)
                     : "c"(&r->data), "r"(code)
                     : "memory", "cc");
    r->eax = (uint32_t)eax;
}

static void ours_run(Machine *m, const uint8_t *insn, unsigned len, Regs *r)
{
    Cpu *cpu = test_cpu(m);

    test_flat32(cpu, CODE);
    test_poke(m, CODE, insn, len);
    test_poke(m, DATA, &r->data, 8);
    cpu->s.fpregs[0] = (FpReg){ r->mm0, 0x1234 };
    cpu->s.fpregs[1] = (FpReg){ r->mm1, 0x1234 };
    cpu->s.fpstt = 5;
    cpu->s.fptags = 0;
    cpu->s.regs[R_ECX] = DATA;
    cpu->s.regs[R_EAX] = (uint32_t)r->eax;
    test_run(m, 1);
    g_assert_cmphex(cpu->s.eip, ==, CODE + len);
    g_assert_cmphex(cpu->s.fptags, ==, 0xff);
    g_assert_cmphex(cpu->s.fpstt, ==, 0);
    r->mm0 = cpu->s.fpregs[0].mant;
    r->mm1 = cpu->s.fpregs[1].mant;
    memcpy(&r->data, test_ram(m) + DATA, 8);
    r->eax = cpu->s.regs[R_EAX];
}

static uint8_t *host_page(void)
{
    uint8_t *p =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    g_assert_true(p != MAP_FAILED);
    return p;
}

static void check(Machine *m, uint8_t *code, GRand *r, const uint8_t *insn, unsigned len)
{
    Regs before = { random64(r), random64(r), random64(r), g_rand_int(r) };
    Regs host = before, ours = before;

    host_run(code, insn, len, &host);
    ours_run(m, insn, len, &ours);
    if (!memcmp(&host, &ours, sizeof(host))) return;
    g_error("0f %02x %02x on %016llx %016llx %016llx: %016llx %016llx %016llx %llx, host has "
            "%016llx %016llx %016llx %llx",
        insn[1], insn[2], (unsigned long long)before.mm0, (unsigned long long)before.mm1,
        (unsigned long long)before.data, (unsigned long long)ours.mm0, (unsigned long long)ours.mm1,
        (unsigned long long)ours.data, (unsigned long long)ours.eax, (unsigned long long)host.mm0,
        (unsigned long long)host.mm1, (unsigned long long)host.data, (unsigned long long)host.eax);
}

static void test_operations(void)
{
    static const uint8_t modrms[] = { 0xc1, 0xc8, 0x01, 0x09 };
    Machine *m = test_machine_new("pentium");
    GRand *r = g_rand_new_with_seed(7);
    uint8_t *code = host_page();

    for (unsigned i = 0; i < G_N_ELEMENTS(opcodes); i++) {
        for (unsigned k = 0; k < ROUNDS; k++) {
            uint8_t insn[3] = { 0x0f, opcodes[i], modrms[k % 4] };

            if ((insn[1] == 0x6e || insn[1] == 0x7e) && insn[2] == 0xc1) insn[2] = 0xc8;
            check(m, code, r, insn, 3);
        }
    }
    munmap(code, 4096);
    g_rand_free(r);
    machine_free(m);
}

static void test_shifts(void)
{
    static const uint8_t groups[][2] = { { 0x71, 2 }, { 0x71, 4 }, { 0x71, 6 }, { 0x72, 2 },
        { 0x72, 4 }, { 0x72, 6 }, { 0x73, 2 }, { 0x73, 6 } };
    Machine *m = test_machine_new("pentium");
    GRand *r = g_rand_new_with_seed(8);
    uint8_t *code = host_page();

    for (unsigned i = 0; i < G_N_ELEMENTS(groups); i++) {
        for (unsigned n = 0; n < 256; n++) {
            uint8_t insn[4] = { 0x0f, groups[i][0], (uint8_t)(0xc0 | groups[i][1] << 3),
                (uint8_t)n };

            check(m, code, r, insn, 4);
        }
    }
    munmap(code, 4096);
    g_rand_free(r);
    machine_free(m);
}

/* The instruction raises this vector: no other has a handler. */
static void check_raises(
    const char *model, uint32_t cr0, uint16_t fpus, const uint8_t *insn, unsigned vector)
{
    Machine *m = test_machine_new(model);
    Cpu *cpu = test_cpu(m);
    static const uint8_t hlt = 0xf4;
    uint8_t gdt[24] = { 0 }, idt[8];

    test_flat32(cpu, CODE);
    store_le64(gdt + 8, 0x00cf9b000000ffff);
    store_le64(gdt + 16, 0x00cf93000000ffff);
    test_poke(m, 0x100, gdt, sizeof(gdt));
    store_le64(idt, 0x00008e0000080000 | (0x3000 + vector));
    test_poke(m, 0x200 + 8 * vector, idt, sizeof(idt));
    test_poke(m, 0x3000 + vector, &hlt, 1);
    test_poke(m, CODE, insn, 3);
    cpu->s.gdt = (SegReg){ .base = 0x100, .limit = 23 };
    cpu->s.idt = (SegReg){ .base = 0x200, .limit = 0x7ff };
    cpu->s.cr[0] |= cr0;
    cpu->s.fpuc = 0x340;
    cpu->s.fpus = fpus;
    cpu->s.regs[R_ESP] = 0x8000;
    device_sync(&cpu->dev);
    g_assert_cmpint(test_run(m, 10), ==, CPU_HALTED);
    g_assert_cmphex(cpu->s.eip, ==, 0x3000 + vector + 1);
    machine_free(m);
}

static void test_exceptions(void)
{
    static const uint8_t pxor[] = { 0x0f, 0xef, 0xc0 }, emms[] = { 0x0f, 0x77, 0x90 };
    static const uint8_t paddq[] = { 0x0f, 0xd4, 0xc0 }, bad_shift[] = { 0x0f, 0x71, 0xc0 };

    check_raises("pentium", CR0_TS, 0, pxor, EXC_NM);
    check_raises("pentium", CR0_EM, 0, pxor, EXC_UD);
    check_raises("pentium", CR0_EM | CR0_TS, 0, emms, EXC_UD);
    check_raises("pentium", CR0_NE, 0x8081, pxor, EXC_MF);
    check_raises("pentium", CR0_NE, 0x8081, emms, EXC_MF);
    check_raises("pentium", 0, 0, paddq, EXC_UD);
    check_raises("pentium", 0, 0, bad_shift, EXC_UD);
    check_raises("486", 0, 0, pxor, EXC_UD);
    check_raises("pentium,-mmx", 0, 0, emms, EXC_UD);
}

static void test_aliasing(void)
{
    static const uint8_t code[] = { 0x0f, 0x6e, 0xc0, 0x0f, 0x77 }; /* movd %eax, %mm0; emms */
    Machine *m = test_machine_new("pentium");
    Cpu *cpu = test_cpu(m);

    test_flat32(cpu, CODE);
    test_poke(m, CODE, code, sizeof(code));
    cpu->s.regs[R_EAX] = 0x89abcdef;
    test_run(m, 1);
    g_assert_cmphex(cpu->s.fpregs[0].mant, ==, 0x89abcdef);
    g_assert_cmphex(cpu->s.fpregs[0].exp, ==, 0xffff);
    test_run(m, 1);
    g_assert_cmphex(cpu->s.fptags, ==, 0);
    g_assert_cmphex(cpu->s.fpregs[0].mant, ==, 0x89abcdef);
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/mmx/operations", test_operations);
    g_test_add_func("/cpu/mmx/shifts", test_shifts);
    g_test_add_func("/cpu/mmx/exceptions", test_exceptions);
    g_test_add_func("/cpu/mmx/aliasing", test_aliasing);
    return g_test_run();
}
