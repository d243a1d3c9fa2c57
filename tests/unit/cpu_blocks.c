/* SPDX-License-Identifier: MIT */
/*
 * Blocks must not be noticed: a program runs alike in one slice and in slices of any size, with
 * caches kept or dropped in between; code that changes itself runs as changed; MMIO and debug traps
 * come at their instruction.  Most programs are random bytes with handlers that step over faults.
 */
#include "tests/unit/cpu_test.h"

enum { CODE = 0x10000, HANDLER_AT = 0x600, PROGRAMS = 60 };
#define LENGTH test_length
static int64_t test_length = 4000;

static uint64_t seed;

static uint32_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

/* -- random programs -- */

/* Opcodes that make random code livelier than evenly chosen bytes: jumps, strings, stack, ports. */
static const uint8_t lively[] = { 0xe8, 0xeb, 0x75, 0x74, 0xc3, 0xf3, 0xa4, 0xab, 0x50, 0x58, 0x60,
    0x61, 0xe2, 0x88, 0x89, 0x00, 0x01, 0xff, 0x9c, 0x9d, 0xfb, 0xfa, 0x8e, 0xcd, 0xec, 0xee, 0x6c,
    0x0f, 0x66, 0x67, 0x81, 0x83, 0xc7, 0xf7, 0xd1, 0xd8, 0xdd, 0x0f, 0xb0, 0xb8, 0xbc };

static void fill_random(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = rnd() % 3 ? (uint8_t)rnd() : lively[rnd() % ARRAY_SIZE(lively)];
}

/* Real mode: every vector steps over one byte of what it interrupted and goes on. */
static void setup_real(Machine *m)
{
    static const uint8_t handler[] = { 0x55, 0x89, 0xe5, 0xff, 0x46, 0x02, 0x5d, 0xcf };
    Cpu *cpu = test_cpu(m);
    uint8_t *ram = test_ram(m);

    for (int v = 0; v < 256; v++) store_le32(ram + 4 * v, HANDLER_AT);
    memcpy(ram + HANDLER_AT, handler, sizeof(handler));
    fill_random(ram + CODE, 0x30000);
    test_real(cpu, CODE >> 4);
    cpu->s.eip = rnd() & 0xffff;
    cpu->s.segs[R_SS].selector = 0x3000;
    cpu->s.segs[R_SS].base = 0x30000;
    cpu_update_mode(cpu);
}

static void put_gate(uint8_t *idt, int v, uint32_t at)
{
    store_le32(idt + 8 * v, 8u << 16 | (at & 0xffff));
    store_le32(idt + 8 * v + 4, (at & 0xffff0000) | 0xee00);
}

/* Protected mode, flat, with an IDT and a GDT; paging too, where asked for. */
static void setup_protected(Machine *m, bool paging)
{
    static const uint8_t plain[] = { 0xff, 0x04, 0x24, 0xcf };                  /* inc [esp] */
    static const uint8_t code[] = { 0x83, 0xc4, 0x04, 0xff, 0x04, 0x24, 0xcf }; /* error code */
    static const uint64_t gdt[] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff };
    Cpu *cpu = test_cpu(m);
    uint8_t *ram = test_ram(m);

    memcpy(ram + 0x800, gdt, sizeof(gdt));
    memcpy(ram + HANDLER_AT, plain, sizeof(plain));
    memcpy(ram + HANDLER_AT + 16, code, sizeof(code));
    for (int v = 0; v < 256; v++)
        put_gate(ram + 0x1000, v, HANDLER_AT + (v < 32 && (0x27d00 >> v & 1) ? 16 : 0));
    fill_random(ram + CODE, 0x30000);
    test_flat(cpu, 0);
    cpu->s.gdt = (SegReg){ .base = 0x800, .limit = sizeof(gdt) - 1 };
    cpu->s.idt = (SegReg){ .base = 0x1000, .limit = 0x7ff };
    for (int i = 0; i < 8; i++) cpu->s.regs[i] = CODE + (rnd() & 0x1ffff);
    cpu->s.regs[R_ECX] = rnd() & 63;
    cpu->s.eip = CODE + (rnd() & 0x1ffff);
    if (paging) {
        for (uint32_t i = 0; i < 1024; i++) store_le32(ram + 0x5000 + 4 * i, i << 12 | 7);
        store_le32(ram + 0x4000, 0x5007);
        cpu_write_cr3(cpu, 0x4000);
        cpu_write_cr0(cpu, cpu->s.cr[0] | CR0_PG | CR0_WP);
    }
    cpu_update_mode(cpu);
}

static Machine *program(uint64_t from, int kind)
{
    Machine *m = test_machine();

    seed = from;
    if (kind == 0)
        setup_real(m);
    else
        setup_protected(m, kind == 2);
    return m;
}

/* How a program is run: in slices of up to max instructions, dropping caches sometimes. */
typedef struct Manner {
    int64_t max;
    bool drop;
} Manner;

/* A halted CPU goes on at once; a triple fault ends it.  Returns instructions done. */
static int64_t run_program(Machine *m, Manner how)
{
    Cpu *cpu = test_cpu(m);
    int64_t left = LENGTH, done;

    while (left > 0) {
        int64_t n = how.max >= LENGTH ? left : 1 + rnd() % how.max;

        n = MIN_OF(n, left);
        switch (cpu_run(m, n, &done)) {
        case CPU_HALTED: cpu->s.halted = 0; break;
        case CPU_SHUTDOWN: return LENGTH - left + done;
        default: break;
        }
        left -= done;
        if (how.drop && rnd() % 4 == 0) {
            cpu_get_eflags(cpu);
            cpu_core_drop(cpu);
        }
    }
    return LENGTH;
}

static void clean_seg(SegReg *seg)
{
    SegReg r = *seg;

    memset(seg, 0, sizeof(*seg));
    seg->selector = r.selector;
    seg->base = r.base;
    seg->limit = r.limit;
    seg->flags = r.flags;
}

/* The state without what padding happens to hold. */
static struct CpuState clean_state(Machine *m)
{
    struct CpuState s;

    device_settle(device_find(m, "cpu0"));
    s = test_cpu(m)->s;
    for (int i = 0; i < 8; i++) {
        FpReg r = s.fpregs[i];

        memset(&s.fpregs[i], 0, sizeof(r));
        s.fpregs[i].mant = r.mant;
        s.fpregs[i].exp = r.exp;
    }
    for (int i = 0; i < 6; i++) clean_seg(&s.segs[i]);
    clean_seg(&s.ldt);
    clean_seg(&s.tr);
    clean_seg(&s.gdt);
    clean_seg(&s.idt);
    return s;
}

static void compare(Machine *a, Machine *b, uint64_t from, int kind, Manner how)
{
    struct CpuState sa = clean_state(a), sb = clean_state(b), *x = &sa, *y = &sb;

    if (memcmp(x, y, sizeof(*x)) || memcmp(test_ram(a), test_ram(b), MiB)) {
        uint32_t at = 0;

        while (at < MiB && test_ram(a)[at] == test_ram(b)[at]) at++;
        g_test_message("first differing byte of RAM %x", at);
        for (at = 0; at < sizeof(*x) && ((uint8_t *)x)[at] == ((uint8_t *)y)[at];) at++;
        g_test_message("first differing byte of state %u", at);
        g_test_message("eip %lx %lx eflags %lx %lx", x->eip, y->eip, x->eflags, y->eflags);
        for (int i = 0; i < 8; i++) g_test_message("reg %d %lx %lx", i, x->regs[i], y->regs[i]);
        g_error("program %lx kind %d slices of %ld drop %d differ", from, kind, (long)how.max,
            how.drop);
    }
}

static void run_programs(int kind)
{
    static const Manner manners[] = { { 1, false }, { 40, false }, { 7, true } };

    for (int i = 0; i < PROGRAMS; i++) {
        uint64_t from = (uint64_t)(uint32_t)g_test_rand_int() << 20 | 0xabcde;
        Machine *whole = program(from, kind);
        int64_t done = run_program(whole, (Manner){ LENGTH, false });

        for (unsigned k = 0; k < ARRAY_SIZE(manners); k++) {
            Machine *m;

            if (kind == 2 && manners[k].drop) continue; /* a TLB hides changed page tables */
            m = program(from, kind);
            g_assert_cmpint(run_program(m, manners[k]), ==, done);
            compare(whole, m, from, kind, manners[k]);
            machine_free(m);
        }
        machine_free(whole);
    }
}

static void test_random_real(void) { run_programs(0); }
static void test_random_protected(void) { run_programs(1); }
static void test_random_paging(void) { run_programs(2); }

/* -- code that changes itself -- */

#define PUT(m, at, ...)                                                                            \
    do {                                                                                           \
        static const uint8_t code_[] = { __VA_ARGS__ };                                            \
        test_put(m, at, code_, sizeof(code_));                                                     \
    } while (0)

/* The next instruction of the running block is changed: it must run as changed. */
static void test_smc_next(void)
{
    Machine *m = test_machine();
    Cpu *cpu = test_cpu(m);

    test_flat(cpu, 0);
    cpu->s.regs[R_EAX] = 0;
    PUT(m, 0x2000, 0xc6, 0x05, 0x08, 0x20, 0, 0, 42, /* mov byte [2008h], 42 */
        0xb0, 0x01,                                  /* mov al, 1 */
        0xeb, 0xfe);                                 /* jmp $ */
    cpu->s.eip = 0x2000;
    test_run(m, 3);
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 42);
    g_assert_cmphex(cpu->s.eip, ==, 0x2009);
    machine_free(m);
}

/* A loop whose immediate is patched in every round, through another instruction's bytes. */
static void test_smc_loop(void)
{
    Machine *m = test_machine();
    Cpu *cpu = test_cpu(m);

    test_flat(cpu, 0);
    PUT(m, 0x2000, 0x05, 1, 0, 0, 0,   /* add eax, 1 */
        0xff, 0x05, 0x01, 0x20, 0, 0,  /* inc dword [2001h] */
        0x49, 0x75, 0xf2, 0xeb, 0xfe); /* dec ecx; jnz; jmp $ */
    cpu->s.regs[R_EAX] = 0;
    cpu->s.regs[R_ECX] = 1000;
    cpu->s.eip = 0x2000;
    test_run(m, 4000);
    g_assert_cmpuint(cpu->s.regs[R_EAX], ==, 1000 * 1001 / 2);
    g_assert_cmphex(cpu->s.eip, ==, 0x200e);
    machine_free(m);
}

/* Code written by somebody else than the CPU. */
static void test_smc_dma(void)
{
    Machine *m = test_machine();
    Cpu *cpu = test_cpu(m);

    test_flat(cpu, 0);
    PUT(m, 0x2000, 0xb0, 0x01, 0xeb, 0xfc);
    cpu->s.eip = 0x2000;
    test_run(m, 2000);
    PUT(m, 0x2001, 0x07);
    test_run(m, 2);
    g_assert_cmphex(cpu->s.regs[R_EAX] & 0xff, ==, 7);
    machine_free(m);
}

/* An instruction across two pages, patched in the second one. */
static void test_smc_crossing(void)
{
    Machine *m = test_machine();
    Cpu *cpu = test_cpu(m);

    test_flat(cpu, 0);
    PUT(m, 0x2ffe, 0xb8, 1, 2, 3, 4, 0xeb, 0xf9); /* mov eax, 04030201h; jmp back */
    cpu->s.eip = 0x2ffe;
    test_run(m, 100);
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 0x04030201);
    PUT(m, 0x3002, 9);
    test_run(m, 2);
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 0x09030201);
    machine_free(m);
}

/* A page with thousands of blocks of one instruction, and a byte of data among them: each write to
 * that is cheap.  Where it is not, this takes minutes. */
static void test_data_beside(void)
{
    enum { BLOCKS = 0xc00, ROUNDS = 4000000 };
    Machine *m = test_machine();
    Cpu *cpu = test_cpu(m);

    test_real(cpu, 0x200);
    cpu->s.segs[R_DS].selector = cpu->s.segs[R_CS].selector;
    cpu->s.segs[R_DS].base = cpu->s.segs[R_CS].base;
    memset(test_ram(m) + 0x2000, 0x07, BLOCKS);     /* pop es */
    PUT(m, 0x2000 + BLOCKS, 0xfe, 0x06, 0x10, 0x0c, /* inc byte [0c10h] */
        0x66, 0x49, 0x75, 0xf8, 0xeb, 0xfe);        /* dec ecx; jnz; jmp $ */
    cpu->s.eip = 0;
    cpu->s.regs[R_ECX] = ROUNDS;
    test_run(m, BLOCKS + 3 * ROUNDS);
    g_assert_cmpuint(cpu->s.regs[R_ECX], ==, 0);
    g_assert_cmpuint(test_ram(m)[0x2c10], ==, ROUNDS % 256);
    g_assert_cmphex(cpu->s.eip, ==, BLOCKS + 8);
    machine_free(m);
}

/* -- comparisons and their jumps, which are run as one -- */

static uint32_t edge(void)
{
    static const uint32_t edges[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fffffff, 0x80000000, 0xffffffff };

    return rnd() % 2 ? edges[rnd() % ARRAY_SIZE(edges)] : rnd();
}

/* In a slice of two and in two slices of one, from the same state. */
static void run_pair(Machine *m, const uint8_t *first, unsigned n, unsigned cc)
{
    Cpu *cpu = test_cpu(m);
    uint8_t jcc[] = { (uint8_t)(0x70 | cc), 0x10 };
    struct CpuState before, one;

    cpu_core_drop(cpu); /* a page that is patched too often runs uncached */
    test_put(m, 0x2000, first, n);
    test_put(m, 0x2000 + n, jcc, 2);
    for (int i = 0; i < 4; i++) cpu->s.regs[i] = edge();
    cpu->s.regs[R_EBX] = 0x4000;
    store_le32(test_ram(m) + 0x4000, edge());
    cpu->s.eflags = 2 | (rnd() & FLAGS_ARITH);
    cpu->cc_kind = CC_EFLAGS;
    cpu->s.eip = 0x2000;
    before = cpu->s;
    test_run(m, 2);
    one = clean_state(m);
    cpu->s = before;
    cpu->cc_kind = CC_EFLAGS;
    test_run(m, 1);
    g_assert_cmphex(cpu->s.eip, ==, 0x2000 + n);
    test_run(m, 1);
    before = clean_state(m);
    g_assert_cmpmem(&one, sizeof(one), &before, sizeof(before));
}

static void test_pairs(void)
{
    static const struct {
        uint8_t n, code[6];
    } firsts[] = { { 2, { 0x39, 0xd0 } }, { 2, { 0x3b, 0xc2 } }, { 3, { 0x83, 0xf8, 0x80 } },
        { 5, { 0x3d, 0xff, 0xff, 0xff, 0x7f } }, { 2, { 0x3b, 0x03 } }, { 3, { 0x83, 0x3b, 1 } },
        { 2, { 0x38, 0xe0 } }, { 2, { 0x3c, 0x7f } }, { 3, { 0x80, 0x3b, 0x80 } },
        { 2, { 0x85, 0xc0 } }, { 2, { 0x84, 0xd4 } }, { 2, { 0xa8, 0x80 } },
        { 3, { 0xf6, 0x03, 0x81 } }, { 1, { 0x48 } }, { 2, { 0x39, 0x03 } } };
    Machine *m = test_machine();

    test_flat(test_cpu(m), 0);
    seed = (uint64_t)(uint32_t)g_test_rand_int() << 20 | 0x777;
    for (unsigned i = 0; i < ARRAY_SIZE(firsts); i++)
        for (unsigned cc = 0; cc < 16; cc++)
            for (int k = 0; k < 40; k++) run_pair(m, firsts[i].code, firsts[i].n, cc);
    machine_free(m);
}

/* -- repeated string instructions -- */

enum { STRINGS = 0x6000, STRING_BYTES = 64 };

/* From the same start in slices of so many iterations; memory comes out in mem. */
static struct CpuState run_string(
    Machine *m, const struct CpuState *from, const uint8_t *data, int64_t slice, uint8_t *mem)
{
    Cpu *cpu = test_cpu(m);
    uint8_t *ram = test_ram(m);
    struct CpuState s;

    memcpy(ram + STRINGS, data, 2 * STRING_BYTES);
    cpu->s = *from;
    cpu->cc_kind = CC_EFLAGS;
    while (cpu->s.eip == 0x2000) test_run(m, slice);
    memcpy(mem, ram + STRINGS, 2 * STRING_BYTES);
    s = clean_state(m);
    return s;
}

/* Runs inside a page go at once, and by eight bytes: as if each iteration had been made alone. */
static void test_strings(void)
{
    static const uint8_t ops[] = { 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf };
    Machine *m = test_machine();
    Cpu *cpu = test_cpu(m);

    test_flat(cpu, 0x2000);
    seed = (uint64_t)(uint32_t)g_test_rand_int() << 20 | 0x351;
    for (int i = 0; i < 20000; i++) {
        uint8_t data[2 * STRING_BYTES], alone[sizeof(data)], together[sizeof(data)];
        uint8_t code[] = { 0x66, (uint8_t)(0xf2 + rnd() % 2), ops[rnd() % ARRAY_SIZE(ops)] };
        bool wide = rnd() % 2;
        struct CpuState from, one, all;

        for (size_t k = 0; k < sizeof(data); k++) data[k] = rnd() % 12 ? 0x5a : (uint8_t)rnd();
        test_put(m, 0x2000, code + wide, sizeof(code) - wide);
        PUT(m, 0x2003 - wide, 0xf4);
        cpu->s.regs[R_ECX] = 1 + rnd() % (STRING_BYTES / 8);
        cpu->s.regs[R_EAX] = rnd() % 4 ? 0x5a5a5a5a : rnd();
        cpu->s.regs[R_ESI] = STRINGS + rnd() % 16;
        cpu->s.regs[R_EDI] = STRINGS + (rnd() % 4 ? STRING_BYTES : 8) + rnd() % 16;
        cpu->s.eflags = 2;
        cpu->s.eip = 0x2000;
        cpu->s.halted = 0;
        from = cpu->s;
        one = run_string(m, &from, data, 1, alone);
        all = run_string(m, &from, data, 1000, together);
        one.eip = all.eip; /* the longer slice has gone on to HLT */
        one.halted = all.halted;
        g_assert_cmpmem(&one, sizeof(one), &all, sizeof(all));
        g_assert_cmpmem(alone, sizeof(alone), together, sizeof(together));
    }
    machine_free(m);
}

/* -- pages of code that become others -- */

enum { REMAP_PDIR = 0x4000, REMAP_PTAB = 0x5000, REMAP_LIN = 0x40000 };

/* Calls the code at `at` after INVLPG of page lin, which is gpa from now on; answers AL. */
static uint8_t call_remapped(Machine *m, uint32_t lin, uint32_t gpa, uint32_t at)
{
    Cpu *cpu = test_cpu(m);

    store_le32(test_ram(m) + REMAP_PTAB + 4 * (lin >> PAGE_BITS), gpa | 7);
    cpu->s.regs[R_EAX] = 0;
    cpu->s.regs[R_EDI] = lin;
    cpu->s.regs[R_EBX] = at;
    cpu->s.regs[R_ESP] = 0x3000;
    cpu->s.eip = 0x2000;
    cpu->s.halted = 0;
    test_run(m, 6);
    g_assert_true(cpu->s.halted);
    return (uint8_t)cpu->s.regs[R_EAX];
}

/* What was found by its linear address is not run once INVLPG has said that it is something else;
 * nor is an instruction whose second page alone became another. */
static void test_remapped(void)
{
    const uint32_t cross = REMAP_LIN + PAGE_SIZE - 1, second = REMAP_LIN + PAGE_SIZE;
    Machine *m = test_machine();
    Cpu *cpu = test_cpu(m);

    test_flat(cpu, 0x2000);
    for (uint32_t i = 0; i < 1024; i++)
        store_le32(test_ram(m) + REMAP_PTAB + 4 * i, i << PAGE_BITS | 7);
    store_le32(test_ram(m) + REMAP_PDIR, REMAP_PTAB | 7);
    cpu_write_cr3(cpu, REMAP_PDIR);
    cpu_write_cr0(cpu, cpu->s.cr[0] | CR0_PG);
    PUT(m, 0x2000, 0x0f, 0x01, 0x3f, 0xff, 0xd3, 0xf4); /* invlpg [edi]; call ebx; hlt */
    PUT(m, 0x20000, 0xb0, 1, 0xc3);                     /* mov al, 1; ret */
    PUT(m, 0x21000, 0xb0, 2, 0xc3);
    PUT(m, 0x20ff0, 0xb0, 3, 0xc3);
    PUT(m, 0x20ff8, 0xb0, 4, 0xc3);
    PUT(m, 0x20fff, 0xe9); /* jmp; how far, the next page says */
    PUT(m, 0x22000, 0xec, 0xff, 0xff, 0xff);
    PUT(m, 0x23000, 0xf4, 0xff, 0xff, 0xff);
    for (int i = 0; i < 3; i++) {
        g_assert_cmpuint(call_remapped(m, REMAP_LIN, 0x20000, REMAP_LIN), ==, 1);
        g_assert_cmpuint(call_remapped(m, REMAP_LIN, 0x21000, REMAP_LIN), ==, 2);
    }
    call_remapped(m, REMAP_LIN, 0x20000, REMAP_LIN);
    for (int i = 0; i < 3; i++) {
        g_assert_cmpuint(call_remapped(m, second, 0x22000, cross), ==, 3);
        g_assert_cmpuint(call_remapped(m, second, 0x23000, cross), ==, 4);
    }
    machine_free(m);
}

/* -- instructions executed alone -- */

static void single_body(Cpu *cpu, void *arg) { *(Block **)arg = blocks_single(cpu); }

/* The immediate of MOV EAX at eip, fetched alone; or -1 and the fault. */
static int64_t single(Cpu *cpu, uint32_t eip, FaultFrame *f)
{
    Block *b = NULL;

    cpu->s.eip = eip;
    if (fault_guard(cpu, f, single_body, &b) != FAULT_NONE) return -1;
    g_assert_cmpuint(b->insns[0].len, ==, 5);
    return (uint32_t)b->insns[0].imm;
}

/* One that ends with its page or its segment looks no further; one that goes on finds the page that
 * is mapped there, not the one that lies behind in RAM. */
static void test_single(void)
{
    enum { FIRST = 0x20000, SECOND = 0x21000, ELSEWHERE = 0x30000, MOV = 0xb8 };
    Machine *m = test_machine();
    Cpu *cpu = test_cpu(m);
    uint8_t *second = test_ram(m) + REMAP_PTAB + 4 * (SECOND >> PAGE_BITS);
    FaultFrame f;

    test_flat(cpu, 0);
    for (uint32_t i = 0; i < 1024; i++)
        store_le32(test_ram(m) + REMAP_PTAB + 4 * i, i << PAGE_BITS | 7);
    store_le32(test_ram(m) + REMAP_PDIR, REMAP_PTAB | 7);
    store_le32(second, ELSEWHERE | 7);
    cpu_write_cr3(cpu, REMAP_PDIR);
    cpu_write_cr0(cpu, cpu->s.cr[0] | CR0_PG);
    PUT(m, SECOND - 5, MOV, 1, 2, 3, MOV);
    PUT(m, SECOND, 0x66, 0x66, 0x66, 0x66);
    PUT(m, ELSEWHERE, 5, 6, 7, 8);
    g_assert_cmphex(single(cpu, SECOND - 1, &f), ==, 0x08070605);
    g_assert_cmphex(single(cpu, SECOND - 5, &f), ==, (uint32_t)MOV << 24 | 0x030201);
    store_le32(second, 0);
    cpu_tlb_flush(cpu, true);
    g_assert_cmphex(single(cpu, SECOND - 5, &f), ==, (uint32_t)MOV << 24 | 0x030201);
    g_assert_cmpint(single(cpu, SECOND - 1, &f), ==, -1);
    g_assert_cmpint(f.vector, ==, EXC_PF);
    g_assert_cmphex(f.cr2, ==, SECOND);
    cpu->s.segs[R_CS].limit = SECOND - 1;
    g_assert_cmphex(single(cpu, SECOND - 5, &f), ==, (uint32_t)MOV << 24 | 0x030201);
    cpu->s.segs[R_CS].limit--;
    g_assert_cmpint(single(cpu, SECOND - 5, &f), ==, -1);
    g_assert_cmpint(f.vector, ==, EXC_GP);
    machine_free(m);
}

/* -- call-outs -- */

typedef struct Port {
    Device dev;
    MemRegion mmio;
    int64_t at[8]; /* instructions done at each access */
    unsigned n;
} Port;

static void port_note(Device *dev)
{
    Port *p = (Port *)dev;

    p->at[p->n++ & 7] = clock_insns(&dev->m->clock);
}

static uint32_t port_read(Device *dev, uint32_t reg, unsigned size)
{
    (void)reg, (void)size;
    port_note(dev);
    return 0x5a;
}

static uint64_t mmio_read(Device *dev, MemAttrs attrs, uint64_t off, unsigned size)
{
    (void)attrs, (void)off, (void)size;
    port_note(dev);
    return 0xa5;
}

static const IoOps port_ops = { .read = port_read };
static const MmioOps mmio_ops = { .read = mmio_read };

static bool port_realize(Device *dev, Error *err)
{
    Port *p = (Port *)dev;

    p->mmio = (MemRegion){ .name = "port",
        .gpa = 0xe0000000,
        .size = PAGE_SIZE,
        .enabled = true,
        .ops = &mmio_ops,
        .dev = dev };
    mem_region_add(dev->m, &p->mmio);
    return pio_map(dev, 0x80, 1, &port_ops, 0, "port", err);
}
DEVICE_STATELESS(
    port, "notes when it is asked", Port, .name = "test-port", .realize = port_realize);

/* Whatever the slices, a device sees the same instant, and each access happens once. */
static void test_callout(int64_t slice)
{
    Error err = ERROR_INIT;
    Machine *m = test_machine();
    Cpu *cpu = test_cpu(m);
    Port *p = (Port *)device_create(m, "test-port", "port", &err, NULL);

    g_assert_nonnull(p);
    test_flat(cpu, 0);
    PUT(m, 0x2000, 0x90, 0x90, 0xa1, 0, 0, 0, 0xe0, /* nop nop mov eax, [e0000000h] */
        0x90, 0xe4, 0x80,                           /* nop; in al, 80h */
        0x8b, 0x0d, 0, 0, 0, 0xe0,                  /* mov ecx, [e0000000h] */
        0x90, 0xf3, 0x6c, 0xeb, 0xfe);              /* nop; rep insb; jmp $ */
    cpu->s.regs[R_ECX] = 0;
    cpu->s.regs[R_EDX] = 0x80;
    cpu->s.regs[R_EDI] = 0x3000;
    cpu->s.eip = 0x2000;
    for (int64_t left = 12; left > 0; left -= slice) test_run(m, MIN_OF(left, slice));
    g_assert_cmpuint(p->n, ==, 3 + 5);
    g_assert_cmpint(p->at[0], ==, 3);
    g_assert_cmpint(p->at[1], ==, 5);
    g_assert_cmpint(p->at[2], ==, 6);
    for (int i = 0; i < 5; i++) g_assert_cmpint(p->at[3 + i], ==, 8 + i);
    g_assert_cmpuint(cpu->s.regs[R_ECX], ==, 0xa5 - 5);
    machine_free(m);
}

static void test_callouts(void)
{
    for (int64_t slice = 1; slice < 13; slice++) test_callout(slice);
}

/* TF: the handler counts one trap per instruction. */
static void test_trap_flag(void)
{
    Machine *m = test_machine();
    Cpu *cpu = test_cpu(m);
    uint8_t *ram = test_ram(m);

    test_real(cpu, 0);
    store_le32(ram + 4, HANDLER_AT);
    PUT(m, HANDLER_AT, 0xff, 0x06, 0x00, 0x09, 0xcf);        /* inc word [900h]; iret */
    PUT(m, 0x2000, 0x9c, 0x58, 0x80, 0xcc, 0x01, 0x50, 0x9d, /* pushf pop ax or ah,1 push popf */
        0x90, 0x90, 0x90, 0xf3, 0xaa,                        /* nop nop nop; rep stosb (cx = 3) */
        0x9c, 0x58, 0x80, 0xe4, 0xfe, 0x50, 0x9d, 0x90, 0xeb, 0xfe);
    cpu->s.regs[R_ECX] = 3;
    cpu->s.regs[R_EDI] = 0x3000;
    cpu->s.regs[R_ESP] = 0x8000;
    cpu->s.eip = 0x2000;
    test_run(m, 100);
    /* three nops, three iterations, pushf pop and push popf */
    g_assert_cmpuint(load_le16(ram + 0x900), ==, 3 + 3 + 5);
    machine_free(m);
}

/* -- sibling calls -- */

#ifndef DISPATCH_LOOP
/* Whether a symbol is a fast handler's, by its name. */
static bool is_handler(const char *name)
{
    return g_regex_match_simple("_(8|16|32)_(reg|base|sib)$|_flat$", name, 0, 0);
}
#endif

/* In the host's code every fast handler goes on by an indirect jump, and none by an indirect call:
 * else the host's stack would grow with every instruction. */
static void test_sibling_calls(void)
{
#ifdef DISPATCH_LOOP
    g_test_skip("this build runs handlers in a loop");
#else
    char *out = NULL, *self = g_file_read_link("/proc/self/exe", NULL), *cmd, *name = NULL;
    int handlers = 0, jumps = 0;

    cmd = g_strdup_printf("objdump -d --no-show-raw-insn %s", self);
    if (!g_spawn_command_line_sync(cmd, &out, NULL, NULL, NULL)) {
        g_test_skip("no objdump");
        out = g_strdup("");
    }
    for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n")) {
        char *symbol = strchr(line, '<');

        if (g_str_has_suffix(line, ">:")) {
            if (name && !jumps) g_error("%s does not go on by a jump", name);
            symbol[strlen(symbol) - 2] = 0;
            name = is_handler(symbol + 1) ? symbol + 1 : NULL;
            handlers += name != NULL;
            jumps = 0;
        } else if (name) {
            jumps += strstr(line, "jmp ") && !strchr(line, '+');
            if (strstr(line, "call ") && strchr(line, '*'))
                g_error("%s calls the next handler", name);
        }
    }
    if (*out) g_assert_cmpint(handlers, >, 500);
    g_free(out);
    g_free(cmd);
    g_free(self);
#endif
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/blocks/random-real", test_random_real);
    g_test_add_func("/blocks/random-protected", test_random_protected);
    g_test_add_func("/blocks/random-paging", test_random_paging);
    g_test_add_func("/blocks/smc-next", test_smc_next);
    g_test_add_func("/blocks/smc-loop", test_smc_loop);
    g_test_add_func("/blocks/smc-dma", test_smc_dma);
    g_test_add_func("/blocks/smc-crossing", test_smc_crossing);
    g_test_add_func("/blocks/data-beside", test_data_beside);
    g_test_add_func("/blocks/strings", test_strings);
    g_test_add_func("/blocks/remapped", test_remapped);
    g_test_add_func("/blocks/single", test_single);
    g_test_add_func("/blocks/pairs", test_pairs);
    g_test_add_func("/blocks/callouts", test_callouts);
    g_test_add_func("/blocks/trap-flag", test_trap_flag);
    g_test_add_func("/blocks/sibling-calls", test_sibling_calls);
    return g_test_run();
}
