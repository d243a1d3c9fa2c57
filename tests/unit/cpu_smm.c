/* SPDX-License-Identifier: MIT */
/*
 * System management mode: what an SMI saves and RSM brings back, for every mode and both forms of
 * the save area; what is blocked meanwhile; what RSM refuses.  tests/guest/smm.asm has the same by
 * a guest, with SMRAM and APICs.
 */
#include "cpu/cpus.h"
#include "cpu/models.h"
#include "tests/unit/cpu_machine.h"

enum { SMBASE = 0x30000, HANDLER = SMBASE + 0x8000, AREA_END = SMBASE + 0x10000, CODE = 0x2000 };
enum { AT_CR0 = -0xa8, AT_CR3 = -0xb0, AT_CR4 = -0xb8, AT_EFER = -0x130, AT_HALT = -0x137 };
enum { AT_SMBASE = -0x100, AT_REVISION = -0x104, AT_RIP = -0x88, AT_RAX = -8, AT_CS = -0x1f0 };

static const uint8_t rsm[] = { 0x0f, 0xaa };

static Machine *smm_machine(const char *model)
{
    Machine *m = test_machine_new(model);

    test_flat32(test_cpu(m), CODE);
    memset(test_ram(m) + CODE, 0x90, 64);
    test_poke(m, HANDLER, rsm, sizeof(rsm));
    return m;
}

static void pulse(Machine *m, int wire)
{
    irq_set(&(Irq){ &test_cpu(m)->dev, wire }, true);
    irq_set(&(Irq){ &test_cpu(m)->dev, wire }, false);
}

static bool in_smm(Machine *m) { return test_cpu(m)->s.hflags & HF_SMM; }

/* Into the handler, with none of its instructions executed. */
static void enter(Machine *m)
{
    pulse(m, CPU_WIRE_SMI);
    g_assert_true(cpu_poll_events(test_cpu(m)));
    g_assert_true(in_smm(m));
}

static uint64_t area(Machine *m, int at, unsigned bytes)
{
    const uint8_t *p = test_ram(m) + AREA_END + at;

    return bytes == 2 ? load_le16(p) : bytes == 4 ? load_le32(p) : load_le64(p);
}

static void put_area(Machine *m, int at, uint64_t val, unsigned bytes)
{
    uint8_t buf[8];

    store_le64(buf, val);
    test_poke(m, AREA_END + (uint32_t)at, buf, bytes);
}

/* -- entry -- */

static void test_entry(void)
{
    Machine *m = smm_machine("qemu64");
    Cpu *cpu = test_cpu(m);
    struct CpuState *s = &cpu->s;

    s->regs[R_EAX] = 0x1122334455667788;
    s->eflags = 0x246;
    s->dr[7] = 0x455;
    enter(m);
    g_assert_cmphex(s->eip, ==, 0x8000);
    g_assert_cmphex(s->segs[R_CS].selector, ==, 0x3000);
    g_assert_cmphex(s->segs[R_CS].base, ==, SMBASE);
    for (unsigned i = 0; i < 6; i++) {
        g_assert_cmphex(s->segs[i].limit, ==, UINT32_MAX);
        if (i != R_CS) g_assert_cmphex(s->segs[i].base | s->segs[i].selector, ==, 0);
    }
    g_assert_cmphex(s->cr[0], ==, CR0_ET | CR0_NE);
    g_assert_cmphex(s->cr[4] | s->efer, ==, 0);
    g_assert_cmphex(cpu_get_eflags(cpu), ==, 2);
    g_assert_cmphex(s->dr[7], ==, 0x400);
    g_assert_cmphex(cpu->mode & (MODE_CS32 | MODE_PE), ==, 0);
    g_assert_cmphex(area(m, AT_REVISION, 4), ==, 0x20064);
    g_assert_cmphex(area(m, AT_SMBASE, 4), ==, SMBASE);
    g_assert_cmphex(area(m, AT_RAX, 8), ==, 0x1122334455667788);
    g_assert_cmphex(area(m, AT_RIP, 8), ==, CODE);
    g_assert_cmphex(area(m, AT_CR0, 4), ==, CR0_PE | CR0_ET | CR0_NE);
    g_assert_cmphex(area(m, AT_CS, 2), ==, 8);
    g_assert_cmphex(area(m, AT_CS + 2, 2), ==, 0xc09b);
    g_assert_cmphex(area(m, AT_CS + 4, 4), ==, UINT32_MAX);
    g_assert_cmpuint(s->msr_smi_count, ==, 1);
    machine_free(m);
}

/* -- there and back -- */

static SegReg any_segment(unsigned selector, uint32_t base)
{
    return (SegReg){
        .selector = selector, .base = base, .limit = 0x10fff + selector, .flags = 0x00c09300
    };
}

/* A state in which no two registers are alike. */
static void fill(Cpu *cpu)
{
    struct CpuState *s = &cpu->s;
    bool lm = cpu_has_ext(cpu, FEAT_LM);

    for (unsigned i = 0; i < (lm ? 16 : 8); i++)
        s->regs[i] = lm ? 0x0101010101010101 * (i + 1) : 0x01010101 * (i + 1);
    for (unsigned i = R_DS; i <= R_GS; i++) s->segs[i] = any_segment(8 * i, 0x10000 * i);
    s->segs[R_ES] = any_segment(0x77, 0x1234);
    s->segs[R_CS].flags = 0x00c09b00; /* the limit's copy in here is not saved */
    s->segs[R_SS].flags = 0x00c09300;
    s->ldt = any_segment(0x40, 0x40000);
    s->ldt.flags = 0x8200;
    s->tr = any_segment(0x48, 0x50000);
    s->tr.flags = 0x8b00;
    s->gdt = (SegReg){ .base = 0x60000, .limit = 0x1234 };
    s->idt = (SegReg){ .base = 0x70000, .limit = 0x567 };
    s->dr[6] = 0xffff0ff1;
    s->dr[7] = 0x700;
    s->cr[3] = 0x90000;
    s->cr[4] = CR4_PSE | CR4_DE;
    s->eflags = 0x2ad7 | FLAG_AC;
}

static void check_back(Machine *m, const char *what)
{
    Cpu *cpu = test_cpu(m);
    struct CpuState before;

    device_sync(&cpu->dev);
    g_assert_false(cpu->debug);
    cpu->s.pdptr_valid = 0;
    before = cpu->s;
    enter(m);
    for (unsigned i = 0; i < 16; i++) cpu->s.regs[i] = ~cpu->s.regs[i];
    cpu->s.gdt = cpu->s.idt = (SegReg){ 0 };
    cpu->s.ldt = cpu->s.tr = any_segment(0, 0);
    cpu->s.dr[6] = 0;
    cpu->s.cr[3] = 0;
    if (cpu->smm_legacy) memcpy(cpu->s.regs + 8, before.regs + 8, 8 * sizeof(before.regs[0]));
    g_assert_cmpint(test_run(m, 1), ==, CPU_BUDGET);
    g_assert_false(in_smm(m));
    g_assert_cmpuint(cpu->s.msr_smi_count, ==, before.msr_smi_count + 1);
    before.msr_smi_count++;
    if (memcmp(&before, &cpu->s, sizeof(before))) {
        for (size_t i = 0; i < sizeof(before); i++)
            if (((char *)&before)[i] != ((char *)&cpu->s)[i])
                g_error("%s: byte %zu of the state has changed", what, i);
    }
}

static void round_trips(Machine *m)
{
    Cpu *cpu = test_cpu(m);

    fill(cpu);
    check_back(m, "protected mode");
    cpu->s.cr[0] &= ~(uint64_t)CR0_PE;
    cpu->s.segs[R_CS].flags = cpu->s.segs[R_SS].flags = 0x9300;
    check_back(m, "real mode");
    cpu->s.cr[0] |= CR0_PE | CR0_TS | CR0_EM;
    for (unsigned i = 0; i < 6; i++) cpu->s.segs[i].flags = 0xf300;
    cpu->s.segs[R_CS].flags = 0xfb00;
    cpu_set_cpl(cpu, 3);
    check_back(m, "level 3");
    cpu->s.eflags |= FLAG_VM;
    check_back(m, "v86 mode");
    machine_free(m);
}

static void test_back(void) { round_trips(smm_machine("qemu64")); }

static void test_back_legacy(void)
{
    Machine *m = smm_machine("pentium3");

    test_cpu(m)->smm_legacy = true;
    round_trips(m);
}

/* Page tables that lead nowhere: no instruction is fetched but the handler's. */
static void test_back_long(void)
{
    Machine *m = smm_machine("qemu64");
    struct CpuState *s = &test_cpu(m)->s;

    fill(test_cpu(m));
    s->cr[0] |= CR0_PG | CR0_WP;
    s->cr[4] = CR4_PAE | CR4_PGE | CR4_OSFXSR;
    s->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    s->segs[R_CS].flags = 0x00209b00;
    s->segs[R_GS].base = 0xffff888000000000;
    s->gdt.base = 0xffffffff80001000;
    s->eip = 0xffffffff81000000;
    check_back(m, "64-bit code");
    g_assert_true(cpu_code64(test_cpu(m)));
    s->segs[R_CS].flags = 0x00c09b00;
    s->eip = 0x81000000;
    check_back(m, "compatibility mode");
    machine_free(m);
}

/* -- what the handler changes -- */

static void test_relocation(void)
{
    Machine *m = smm_machine("qemu64");
    struct CpuState *s = &test_cpu(m)->s;

    enter(m);
    put_area(m, AT_SMBASE, 0x50000, 4);
    put_area(m, AT_RAX, 0xabcd, 8);
    put_area(m, AT_RIP, CODE + 7, 8);
    test_run(m, 1);
    g_assert_cmphex(s->smbase, ==, 0x50000);
    g_assert_cmphex(s->regs[R_EAX], ==, 0xabcd);
    g_assert_cmphex(s->eip, ==, CODE + 7);
    enter(m);
    g_assert_cmphex(s->segs[R_CS].base, ==, 0x50000);
    g_assert_cmphex(load_le32(test_ram(m) + 0x5ff00), ==, 0x50000);
    machine_reset(m);
    g_assert_cmphex(s->smbase, ==, 0x30000);
    g_assert_false(in_smm(m));
    machine_free(m);
}

static void test_halt(void)
{
    static const uint8_t hlt[] = { 0xf4 };
    Machine *m = smm_machine("qemu64");
    struct CpuState *s = &test_cpu(m)->s;

    test_poke(m, CODE, hlt, 1);
    g_assert_cmpint(test_run(m, 5), ==, CPU_HALTED);
    pulse(m, CPU_WIRE_SMI);
    g_assert_false(cpu_idle(m));
    g_assert_cmpint(test_run(m, 5), ==, CPU_HALTED); /* there and back to the HLT */
    g_assert_cmpuint(s->msr_smi_count, ==, 1);
    g_assert_cmphex(s->eip, ==, CODE + 1);
    enter(m);
    g_assert_cmphex(area(m, AT_HALT, 2) & 0xff, ==, 1);
    put_area(m, AT_HALT, 0, 1); /* behind it */
    g_assert_cmpint(test_run(m, 3), ==, CPU_BUDGET);
    g_assert_cmphex(s->eip, ==, CODE + 3);
    enter(m);
    g_assert_cmphex(area(m, AT_HALT, 2) & 0xff, ==, 0);
    machine_free(m);
}

static void check_refused(int at, uint64_t val, unsigned bytes)
{
    Machine *m = smm_machine("qemu64");

    enter(m);
    put_area(m, at, val, bytes);
    test_run(m, 1);
    g_assert_true(m->reset_requested);
    machine_free(m);
}

static void test_refused(void)
{
    check_refused(AT_CR0, CR0_PG | CR0_ET, 4);
    check_refused(AT_CR0, CR0_PE | CR0_ET | CR0_NW, 4);
    check_refused(AT_CR4, 1u << 31, 4);
    check_refused(AT_EFER, 1 << 1, 8);
    check_refused(AT_EFER, EFER_LMA, 8);
    check_refused(AT_EFER, EFER_LME | EFER_LMA, 8); /* without paging */
}

/* -- what is blocked -- */

static void test_outside(void)
{
    Machine *m = smm_machine("qemu64");

    test_poke(m, CODE, rsm, sizeof(rsm));
    test_cpu(m)->s.idt.limit = 0; /* #UD, and nothing to deliver it by */
    g_assert_cmpint(test_run(m, 5), ==, CPU_SHUTDOWN);
    machine_free(m);
}

static void test_blocked(void)
{
    Machine *m = smm_machine("qemu64");
    Cpu *cpu = test_cpu(m);

    enter(m);
    pulse(m, CPU_WIRE_NMI);
    pulse(m, CPU_WIRE_INIT);
    pulse(m, CPU_WIRE_SMI);
    pulse(m, CPU_WIRE_SMI);
    g_assert_false(cpu_has_event(cpu));
    g_assert_false(cpu_poll_events(cpu));
    test_run(m, 1);
    g_assert_false(in_smm(m));
    g_assert_true(cpu_poll_events(cpu)); /* one SMI of two, before INIT and the NMI */
    g_assert_true(in_smm(m));
    g_assert_cmpuint(cpu->s.msr_smi_count, ==, 2);
    test_run(m, 1);
    g_assert_true(cpu_poll_events(cpu));
    g_assert_false(in_smm(m));
    g_assert_cmphex(cpu->s.segs[R_CS].selector, ==, 0xf000);
    g_assert_cmphex(cpu->s.smbase, ==, 0x30000);
    machine_free(m);
}

/* NMIs that were blocked before are blocked behind RSM, whatever the handler has done. */
static void test_nmi(void)
{
    Machine *m = smm_machine("qemu64");
    struct CpuState *s = &test_cpu(m)->s;

    for (unsigned in_nmi = 0; in_nmi < 2; in_nmi++)
        for (unsigned iret = 0; iret < 2; iret++) {
            s->hflags2 = HF2_GIF | HF2_VGIF | (in_nmi ? HF2_NMI : 0);
            enter(m);
            g_assert_true(s->hflags2 & HF2_NMI);
            if (iret) s->hflags2 &= ~(uint32_t)HF2_NMI;
            test_run(m, 1);
            g_assert_cmphex(s->hflags2, ==, HF2_GIF | HF2_VGIF | (in_nmi ? HF2_NMI : 0));
        }
    machine_free(m);
}

/* Address line 20 is let through in the handler. */
static void test_a20(void)
{
    static const uint8_t load[] = { 0x66, 0x67, 0xa1, 0, 0x41, 0x10, 0, 0x0f, 0xaa };
    Machine *m = smm_machine("qemu64");
    Cpu *cpu = test_cpu(m);

    memset(test_ram(m) + 0x4100, 0x44, 4);
    test_poke(m, HANDLER, load, sizeof(load)); /* EAX from 104100h, where there is nothing */
    irq_set(&(Irq){ &cpu->dev, CPU_WIRE_A20 }, false);
    enter(m);
    test_run(m, 1);
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 0xffffffff);
    test_run(m, 1);
    test_poke(m, CODE, load + 2, 5);
    cpu->s.eip = CODE;
    test_run(m, 1);
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 0x44444444);
    machine_free(m);
}

/* -- pages that are still to come -- */

static bool request(void *opaque, RamBlock *b, uint64_t page)
{
    (void)b;
    *(uint64_t *)opaque = page;
    return true;
}

/* The save area's page is awaited, with nothing done meanwhile. */
static void test_absent(void)
{
    Machine *m = smm_machine("qemu64");
    Cpu *cpu = test_cpu(m);
    RamBlock *ram = test_machine(m)->block;
    uint64_t asked = 0, page = (AREA_END - 1) >> PAGE_BITS;
    PageSource source = { .request = request, .opaque = &asked };
    struct CpuState before;

    mem_set_page_source(m, &source);
    ram_watch(ram, page, 1, WATCH_ABSENT);
    pulse(m, CPU_WIRE_SMI);
    before = cpu->s;
    g_assert_cmpint(test_run(m, 1), ==, CPU_BLOCKED);
    g_assert_cmpuint(asked, ==, page);
    g_assert_cmpmem(&before, sizeof(before), &cpu->s, sizeof(before));
    ram_page_arrived(ram, page, NULL);
    test_run(m, 0); /* the kick */
    g_assert_true(cpu_poll_events(cpu));
    g_assert_true(in_smm(m));
    ram_watch(ram, page, 1, WATCH_ABSENT);
    before = cpu->s;
    g_assert_cmpint(test_run(m, 1), ==, CPU_BLOCKED);
    g_assert_cmpmem(&before, sizeof(before), &cpu->s, sizeof(before));
    ram_page_arrived(ram, page, NULL);
    test_run(m, 0);
    test_run(m, 1);
    g_assert_false(in_smm(m));
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/smm/entry", test_entry);
    g_test_add_func("/cpu/smm/back", test_back);
    g_test_add_func("/cpu/smm/back-legacy", test_back_legacy);
    g_test_add_func("/cpu/smm/back-long", test_back_long);
    g_test_add_func("/cpu/smm/relocation", test_relocation);
    g_test_add_func("/cpu/smm/halt", test_halt);
    g_test_add_func("/cpu/smm/refused", test_refused);
    g_test_add_func("/cpu/smm/outside", test_outside);
    g_test_add_func("/cpu/smm/blocked", test_blocked);
    g_test_add_func("/cpu/smm/nmi", test_nmi);
    g_test_add_func("/cpu/smm/a20", test_a20);
    g_test_add_func("/cpu/smm/absent", test_absent);
    return g_test_run();
}
