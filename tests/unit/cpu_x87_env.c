/* SPDX-License-Identifier: MIT */
/* x87: the environment's four formats, pointers, pending exceptions by #MF and by FERR. */
#include "tests/unit/cpu_prot.h"

/* FNSTENV by its bytes: assemblers disagree on which size is meant. */
GUEST_CODE(env_store, 32,
    "fldl (%ecx); .byte 0xd9, 0xb1; .long 0x100; .byte 0x66, 0xd9, 0xb1; .long 0x180; hlt");

static void put_double(Machine *m, uint32_t gpa, double d) { test_poke(m, gpa, &d, 8); }

static void test_env_protected(void)
{
    Machine *m = prot_new();
    uint32_t at = AT_DATA + 0x100;

    prot_code(m, env_store);
    put_double(m, AT_DATA, 1.5);
    test_cpu(m)->s.regs[R_ECX] = AT_DATA;
    test_run(m, 2);
    g_assert_cmphex(peek32(m, at), ==, 0xffff037f);
    g_assert_cmphex(peek32(m, at + 4), ==, 0xffff3800);
    g_assert_cmphex(peek32(m, at + 8), ==, 0xffff3fff); /* R7 valid, the rest empty */
    g_assert_cmphex(peek32(m, at + 12), ==, AT_CODE);
    g_assert_cmphex(peek32(m, at + 16), ==, 0x05010000 | CODE0);
    g_assert_cmphex(peek32(m, at + 20), ==, AT_DATA);
    g_assert_cmphex(peek32(m, at + 24), ==, 0xffff0000 | DATA0);
    test_run(m, 1);
    at = AT_DATA + 0x180;
    g_assert_cmphex(peek16(m, at + 4), ==, 0x3fff);
    g_assert_cmphex(peek16(m, at + 6), ==, AT_CODE);
    g_assert_cmphex(peek16(m, at + 8), ==, CODE0);
    g_assert_cmphex(peek16(m, at + 10), ==, AT_DATA);
    g_assert_cmphex(peek16(m, at + 12), ==, DATA0);
    machine_free(m);
}

GUEST_CODE(
    env_real, 16, "fldl (%bx); .byte 0xd9, 0xb7, 0, 1; .byte 0x66, 0xd9, 0xb7, 0x80, 1; hlt");

static void test_env_real(void)
{
    Machine *m = test_machine_new("pentium3");
    Cpu *cpu = test_cpu(m);
    uint32_t at = 0x15100;

    test_poke(m, 0x14000, env_real, (size_t)(env_real_end - env_real));
    cpu->s.segs[R_CS].selector = 0x1000;
    cpu->s.segs[R_CS].base = 0x10000;
    cpu->s.segs[R_DS].selector = 0x1000;
    cpu->s.segs[R_DS].base = 0x10000;
    cpu->s.eip = 0x4000;
    cpu->s.regs[R_EBX] = 0x5000;
    device_sync(&cpu->dev);
    test_run(m, 3);
    g_assert_cmphex(peek16(m, at), ==, 0x37f);
    g_assert_cmphex(peek16(m, at + 6), ==, 0x4000); /* linear 14000h */
    g_assert_cmphex(peek16(m, at + 8), ==, 0x1000 | 0x507);
    g_assert_cmphex(peek16(m, at + 10), ==, 0x5000);
    g_assert_cmphex(peek16(m, at + 12), ==, 0x1000);
    at = 0x15180;
    g_assert_cmphex(peek32(m, at + 12), ==, 0xffff4000);
    g_assert_cmphex(peek32(m, at + 16), ==, 0x1000 | 0x507);
    g_assert_cmphex(peek32(m, at + 24), ==, 0x1000);
    machine_free(m);
}

GUEST_CODE(
    save_restore, 32, "fld1; fldpi; fnsave (%ecx); fldz; frstor (%ecx); fnstenv 0x100(%ecx); hlt");

static void test_save_restore(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, save_restore);
    cpu->s.regs[R_ECX] = AT_DATA;
    test_run(m, 3);
    g_assert_cmphex(cpu->s.fptags, ==, 0);
    g_assert_cmphex(cpu->s.fpuc, ==, 0x37f);
    g_assert_cmphex(load_le64(test_ram(m) + AT_DATA + 28), ==, 0xc90fdaa22168c235);
    g_assert_cmphex(peek16(m, AT_DATA + 28 + 18), ==, 0x3fff);
    test_run(m, 3);
    g_assert_cmphex(cpu->s.fptags, ==, 0xc0);
    g_assert_cmpuint(cpu->s.fpstt, ==, 6);
    g_assert_cmphex(cpu->s.fpregs[6].mant, ==, 0xc90fdaa22168c235);
    g_assert_cmphex(peek32(m, AT_DATA + 0x108) & 0xffff, ==, 0x0fff);
    machine_free(m);
}

GUEST_CODE(
    fxsave_restore, 32, "fld1; fldpi; fxsave (%ecx); fninit; fxrstor (%ecx); fxsave 8(%ecx); hlt");

static void test_fxsave(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, fxsave_restore);
    cpu->s.regs[R_ECX] = AT_DATA;
    test_run(m, 3);
    g_assert_cmphex(cpu->s.fptags, ==, 0xc0);
    g_assert_cmphex(peek16(m, AT_DATA), ==, 0x37f);
    g_assert_cmphex(peek16(m, AT_DATA + 2), ==, 0x3000);
    g_assert_cmphex(peek16(m, AT_DATA + 4), ==, 0xc0);
    g_assert_cmphex(peek16(m, AT_DATA + 6), ==, 0x1eb); /* FLDPI */
    g_assert_cmphex(peek32(m, AT_DATA + 8), ==, AT_CODE + 2);
    g_assert_cmphex(load_le64(test_ram(m) + AT_DATA + 32), ==, 0xc90fdaa22168c235);
    test_run(m, 2);
    g_assert_cmphex(cpu->s.fptags, ==, 0xc0);
    g_assert_cmpuint(cpu->s.fpstt, ==, 6);
    g_assert_cmphex(cpu->s.fpregs[7].mant, ==, 1ull << 63);
    g_assert_cmpint(prot_run(m), ==, EXC_GP); /* not on 16 bytes */
    machine_free(m);
}

/* Divides by zero, unmasked: seen by the next instruction that waits. */
GUEST_CODE(divide, 32,
    "fninit; fldcw (%ecx); fld1; fldz; fdivrp; nop; fnstsw %ax; fld1; fnclex; fld1; hlt");

static void test_pending(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, divide);
    poke16(m, AT_DATA, 0x37b);
    cpu->s.regs[R_ECX] = AT_DATA;
    g_assert_cmpint(prot_run(m), ==, EXC_MF);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_CODE + 13); /* fld1 */
    g_assert_cmphex(cpu->s.regs[R_EAX] & 0xffff, ==, 0xb084);
    machine_free(m);
}

static void test_wait(void)
{
    static const uint8_t wait[] = { 0x9b };
    Machine *m = prot_new();

    test_poke(m, AT_CODE, wait, 1);
    test_cpu(m)->s.cr[0] |= CR0_TS | CR0_MP;
    cpu_update_mode(test_cpu(m));
    g_assert_cmpint(prot_run(m), ==, EXC_NM);
    machine_free(m);
}

/* -- FERR -- */

typedef struct FerrProbe {
    Device dev;
    bool level;
} FerrProbe;

static void ferr_in(Device *dev, int line, bool level)
{
    g_assert_cmpint(line, ==, 13);
    ((FerrProbe *)dev)->level = level;
}

static const DeviceClass ferr_class = {
    .name = "test-ferr", .desc = "wire", .size = sizeof(FerrProbe), .irq_in = ferr_in
};
SET_ADD(devices, ferr_class);

static void test_ferr(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);
    Error err = ERROR_INIT;
    FerrProbe *probe = (FerrProbe *)device_create(m, "test-ferr", "pic", &err, NULL);
    Irq ignne = { &cpu->dev, CPU_WIRE_IGNNE };

    g_assert_nonnull(probe);
    prot_code(m, divide);
    poke16(m, AT_DATA, 0x37b);
    cpu->s.regs[R_ECX] = AT_DATA;
    cpu->s.cr[0] &= ~(uint64_t)CR0_NE;
    device_sync(&cpu->dev);
    test_run(m, 4);
    g_assert_false(probe->level);
    test_run(m, 1);
    g_assert_true(probe->level);
    irq_set(&ignne, true); /* as the handler of IRQ 13 does by port F0h */
    g_assert_false(probe->level);
    test_run(m, 3); /* and the x87 goes on in spite of what is pending */
    g_assert_false(probe->level);
    g_assert_true(cpu->s.hflags2 & HF2_IGNNE);
    test_run(m, 1); /* until FNCLEX */
    g_assert_false(cpu->s.hflags2 & HF2_IGNNE);
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/x87-env/protected", test_env_protected);
    g_test_add_func("/cpu/x87-env/real", test_env_real);
    g_test_add_func("/cpu/x87-env/save-restore", test_save_restore);
    g_test_add_func("/cpu/x87-env/fxsave", test_fxsave);
    g_test_add_func("/cpu/x87-env/pending", test_pending);
    g_test_add_func("/cpu/x87-env/wait", test_wait);
    g_test_add_func("/cpu/x87-env/ferr", test_ferr);
    return g_test_run();
}
