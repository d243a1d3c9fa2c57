/* SPDX-License-Identifier: MIT */
/*
 * Integer instructions against the host's processor: random encodings and operands, run natively in
 * a 32-bit code segment and by the interpreter, from the same registers, flags and memory.  Flags
 * that the manuals leave undefined are not compared.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/unit/cpu_test.h"

enum {
    LOW = 0x00b00000, /* the stub: the same addresses in host and guest */
    LOW_STUB32 = LOW + 0x100,
    LOW_EXIT = LOW + 0xf00,
    LOW_STATE = LOW + 0x1000,
    LOW_RSP = LOW_STATE + 0x200,
    LOW_DATA = LOW + 0x2000,
    LOW_STACK = LOW + 0x4000,
    LOW_SIZE = 0x4000,
    GUEST_CODE = 0x00c00000,
    CASES = 1000000
};

typedef struct State {
    uint32_t regs[8], flags;
} State;

/* One instruction to be tried. */
typedef struct Case {
    uint8_t code[16];
    unsigned len;
    uint32_t undefined; /* flags */
    State in;
    uint8_t data[PAGE_SIZE];
    bool string; /* runs as a block, with its repetitions */
} Case;

/* -- the host's side -- */

static volatile sig_atomic_t native_signal;

static void native_fault(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;

    (void)info;
    native_signal = sig;
    uc->uc_mcontext.gregs[REG_RIP] = LOW_EXIT;
    uc->uc_mcontext.gregs[REG_CSGSFS] = (uc->uc_mcontext.gregs[REG_CSGSFS] & ~0xffffll) | 0x33;
}

typedef struct Emit {
    uint8_t *p;
} Emit;

static void emit(Emit *e, const char *hex)
{
    while (*hex) {
        *e->p++ = (uint8_t)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]));
        hex += hex[2] == ' ' ? 3 : 2;
    }
}

static void emit32(Emit *e, uint32_t v)
{
    memcpy(e->p, &v, 4);
    e->p += 4;
}

/* The frame of the stub: into 32-bit mode, and back. */
static void native_frame(void)
{
    Emit e = { (uint8_t *)(uintptr_t)LOW };

    emit(&e, "53 55 41 54 41 55 41 56 41 57 9c fc"); /* push rbx rbp r12-r15, pushf, cld */
    emit(&e, "48 89 24 25"), emit32(&e, LOW_RSP);    /* mov [LOW_RSP], rsp */
    emit(&e, "b8 2b 00 00 00 8e d8 8e c0 8e d0");    /* mov eax, 2bh; mov ds, es, ss, eax */
    emit(&e, "bc"), emit32(&e, LOW_STACK);           /* mov esp, LOW_STACK */
    emit(&e, "6a 23 68"), emit32(&e, LOW_STUB32);    /* push 23h; push LOW_STUB32 */
    emit(&e, "48 cb");                               /* retfq */
    e.p = (uint8_t *)(uintptr_t)LOW_EXIT;
    emit(&e, "48 8b 24 25"), emit32(&e, LOW_RSP);
    emit(&e, "9d 41 5f 41 5e 41 5d 41 5c 5d 5b c3");
}

static void native_insn(const Case *c)
{
    static const char *const load[] = { "a1", "8b 0d", "8b 15", "8b 1d", "8b 25", "8b 2d", "8b 35",
        "8b 3d" };
    static const char *const store[] = { "a3", "89 0d", "89 15", "89 1d", "89 25", "89 2d", "89 35",
        "89 3d" };
    Emit e = { (uint8_t *)(uintptr_t)LOW_STUB32 };

    emit(&e, "bc"), emit32(&e, LOW_STATE + 32); /* mov esp, &flags; popfd */
    emit(&e, "9d");
    for (uint32_t i = 0; i < 8; i++) emit(&e, load[i]), emit32(&e, LOW_STATE + 4 * i);
    memcpy(e.p, c->code, c->len);
    e.p += c->len;
    for (uint32_t i = 0; i < 8; i++) emit(&e, store[i]), emit32(&e, LOW_STATE + 4 * i);
    emit(&e, "bc"), emit32(&e, LOW_STATE + 36); /* pushfd into flags */
    emit(&e, "9c ea"), emit32(&e, LOW_EXIT);    /* jmp 33h:LOW_EXIT */
    emit(&e, "33 00");
}

static bool native_run(const Case *c, State *out, uint8_t *data)
{
    State *state = (State *)(uintptr_t)LOW_STATE;
    void (*stub)(void) = (void (*)(void))(uintptr_t)LOW;

    native_insn(c);
    *state = c->in;
    memcpy((void *)(uintptr_t)LOW_DATA, c->data, PAGE_SIZE);
    native_signal = 0;
    stub();
    *out = *state;
    memcpy(data, (void *)(uintptr_t)LOW_DATA, PAGE_SIZE);
    return !native_signal;
}

static bool native_init(void)
{
    struct sigaction sa = { .sa_sigaction = native_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    static uint8_t stack[64 * KiB];
    stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
    Case c = { .code = { 0x40 }, .len = 1, .in = { .regs = { 41 }, .flags = 2 } };
    State out;
    uint8_t data[PAGE_SIZE];
    void *p;

    sigaltstack(&ss, NULL);
    sigaction(SIGFPE, &sa, NULL);
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGILL, &sa, NULL);
    p = mmap((void *)(uintptr_t)LOW, LOW_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (p != (void *)(uintptr_t)LOW) return false;
    native_frame();
    return native_run(&c, &out, data) && out.regs[0] == 42;
}

/* -- ours -- */

static void guest_body(Cpu *cpu, void *arg)
{
    const Case *c = arg;
    bool string = c->string;

    cpu->exit_pending = false;
    cpu->slice_left = string ? 1000 : 1;
    cpu->slice_rest = 0;
    dispatch_run(cpu, string ? blocks_copy(cpu, blocks_find(cpu), 1) : blocks_single(cpu));
}

/* Returns the exception, or -1. */
static int guest_run(Cpu *cpu, const Case *c, State *out, uint8_t *data)
{
    uint8_t *ram = test_ram(cpu->dev.m);
    FaultFrame f;
    FaultKind kind;

    test_put(cpu->dev.m, GUEST_CODE, c->code, c->len);
    memcpy(ram + LOW_DATA, c->data, PAGE_SIZE);
    for (int i = 0; i < 8; i++) cpu->s.regs[i] = c->in.regs[i];
    cpu->s.eflags = c->in.flags;
    cpu->cc_kind = CC_EFLAGS;
    cpu->s.eip = GUEST_CODE;
    if (c->string) cpu_core_drop(cpu);
    kind = fault_guard(cpu, &f, guest_body, (void *)c);
    for (int i = 0; i < 8; i++) {
        out->regs[i] = (uint32_t)cpu->s.regs[i];
        g_assert_cmphex(cpu->s.regs[i] >> 32, ==, 0);
    }
    out->flags = cpu_get_eflags(cpu);
    memcpy(data, ram + LOW_DATA, PAGE_SIZE);
    if (kind == FAULT_NONE) g_assert_cmphex(cpu->s.eip, ==, GUEST_CODE + c->len);
    return kind == FAULT_NONE ? -1 : f.vector;
}

/* -- cases -- */

static uint64_t seed;

static uint32_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

static uint32_t rnd_value(void)
{
    static const uint32_t edges[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff,
        0x10000, 0x7fffffff, 0x80000000, 0x80000001, 0xffffff80, 0xffff8000, 0xffffffff, 0x99999999,
        0x0f0f0f0f, 31, 32, 33 };

    switch (rnd() % 4) {
    case 0: return edges[rnd() % ARRAY_SIZE(edges)];
    case 1: return edges[rnd() % ARRAY_SIZE(edges)] ^ (1u << (rnd() & 31));
    case 2: return rnd() & 0xff;
    default: return rnd();
    }
}

/* What is tried: opcode bytes, what follows, and which flags are undefined. */
enum {
    MODRM = 1,
    IMM8 = 2,
    IMMZ = 4,
    BYTE = 8,
    MEMONLY = 16,
    BITREG = 32,
    STACK = 64,
    SHIFT = 128,
    NOPREFIX66 = 256,
    XLAT = 512,
    ROTATE = 1024,
    STRING = 2048
};
#define UNDEF_LOGIC FLAG_AF
#define UNDEF_MUL (FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF)
#define UNDEF_DIV FLAGS_ARITH
#define UNDEF_BT (FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF)
#define UNDEF_BSF (FLAGS_ARITH & ~FLAG_ZF)

typedef struct Template {
    uint8_t bytes[2];
    uint8_t n;
    int16_t group; /* ModRM.reg, or -1: any */
    uint32_t what;
    uint32_t undefined;
} Template;

static Template templates[2048];
static unsigned ntemplates;

static void add(unsigned opcode, int group, uint32_t what, uint32_t undefined)
{
    Template *t = &templates[ntemplates++];

    g_assert_cmpuint(ntemplates, <, ARRAY_SIZE(templates));
    *t = (Template){ .group = (int16_t)group, .what = what, .undefined = undefined };
    if (opcode > 0xff) t->bytes[t->n++] = 0x0f;
    t->bytes[t->n++] = (uint8_t)opcode;
}

static void add_alu(void)
{
    for (unsigned op = 0; op < 8; op++) {
        uint32_t undef = op == 1 || op == 4 || op == 6 ? UNDEF_LOGIC : 0;

        for (unsigned i = 0; i < 4; i++) add(op * 8 + i, -1, MODRM | (i & 1 ? 0 : BYTE), undef);
        add(op * 8 + 4, -1, IMM8 | BYTE, undef);
        add(op * 8 + 5, -1, IMMZ, undef);
        add(0x80, (int)op, MODRM | IMM8 | BYTE, undef);
        add(0x81, (int)op, MODRM | IMMZ, undef);
        add(0x83, (int)op, MODRM | IMM8, undef);
        add(0x40 + op, -1, 0, 0);
        add(0x48 + op, -1, 0, 0);
    }
    add(0x84, -1, MODRM | BYTE, UNDEF_LOGIC);
    add(0x85, -1, MODRM, UNDEF_LOGIC);
    add(0xa8, -1, IMM8 | BYTE, UNDEF_LOGIC);
    add(0xa9, -1, IMMZ, UNDEF_LOGIC);
    for (unsigned b = 0; b < 2; b++) {
        uint32_t byte = b ? 0 : BYTE;

        add(0xf6 + b, 0, MODRM | byte | (b ? IMMZ : IMM8), UNDEF_LOGIC);
        add(0xf6 + b, 2, MODRM | byte, 0);
        add(0xf6 + b, 3, MODRM | byte, 0);
        add(0xf6 + b, 4, MODRM | byte, UNDEF_MUL);
        add(0xf6 + b, 5, MODRM | byte, UNDEF_MUL);
        add(0xf6 + b, 6, MODRM | byte, UNDEF_DIV);
        add(0xf6 + b, 7, MODRM | byte, UNDEF_DIV);
        add(0xfe + b, 0, MODRM | byte, 0);
        add(0xfe + b, 1, MODRM | byte, 0);
        for (int op = 0; op < 8; op++) {
            uint32_t kind = (op < 4 ? ROTATE : SHIFT) | byte | MODRM;

            add(0xc0 + b, op, kind | IMM8, 0);
            add(0xd0 + b, op, kind, 0);
            add(0xd2 + b, op, kind, 0);
        }
    }
    add(0x69, -1, MODRM | IMMZ, UNDEF_MUL);
    add(0x6b, -1, MODRM | IMM8, UNDEF_MUL);
    add(0x1af, -1, MODRM, UNDEF_MUL);
}

static void add_rest(void)
{
    static const unsigned plain[] = { 0x27, 0x2f, 0x37, 0x3f, 0x98, 0x99, 0x9e, 0x9f, 0xf5, 0xf8,
        0xf9, 0xd6, 0xfc, 0x90 };

    for (unsigned i = 0; i < ARRAY_SIZE(plain); i++) {
        uint32_t undef = plain[i] == 0x27 || plain[i] == 0x2f ? FLAG_OF : 0;

        if (plain[i] == 0x37 || plain[i] == 0x3f) undef = FLAG_OF | FLAG_SF | FLAG_ZF | FLAG_PF;
        add(plain[i], -1, 0, undef);
    }
    add(0xd4, -1, IMM8, FLAG_OF | FLAG_AF | FLAG_CF);
    add(0xd5, -1, IMM8, FLAG_OF | FLAG_AF | FLAG_CF);
    for (unsigned i = 0; i < 16; i++) {
        add(0x140 + i, -1, MODRM, 0);
        add(0x190 + i, 0, MODRM | BYTE, 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        add(0x88 + i, -1, MODRM | (i & 1 ? 0 : BYTE), 0);
        add(0x1a3 + 8 * i, -1, MODRM | BITREG, UNDEF_BT);
        add(0x1ba, 4 + (int)i, MODRM | IMM8, UNDEF_BT);
    }
    for (unsigned i = 0; i < 2; i++) {
        uint32_t byte = i ? 0 : BYTE;

        add(0x86 + i, -1, MODRM | byte, 0);
        add(0xc6 + i, 0, MODRM | byte | (i ? IMMZ : IMM8), 0);
        add(0x1b0 + i, -1, MODRM | byte, 0);
        add(0x1c0 + i, -1, MODRM | byte, 0);
        add(0x1b6 + i, -1, MODRM, 0);
        add(0x1be + i, -1, MODRM, 0);
        add(0x1bc + i, -1, MODRM, UNDEF_BSF);
    }
    for (unsigned i = 0; i < 8; i++) {
        add(0x90 + i, -1, 0, 0);
        add(0xb0 + i, -1, IMM8 | BYTE, 0);
        add(0xb8 + i, -1, IMMZ, 0);
        add(0x1c8 + i, -1, NOPREFIX66, 0);
        add(0x50 + i, -1, STACK, 0);
        add(0x58 + i, -1, STACK, 0);
    }
    add(0x8d, -1, MODRM | MEMONLY, 0);
    add(0x1c7, 1, MODRM | MEMONLY | NOPREFIX66, 0);
    add(0x1a4, -1, MODRM | IMM8 | SHIFT, 0);
    add(0x1a5, -1, MODRM | SHIFT, 0);
    add(0x1ac, -1, MODRM | IMM8 | SHIFT, 0);
    add(0x1ad, -1, MODRM | SHIFT, 0);
    add(0x68, -1, IMMZ | STACK, 0);
    add(0x6a, -1, IMM8 | STACK, 0);
    add(0x60, -1, STACK, 0);
    add(0x61, -1, STACK, 0);
    add(0xff, 6, MODRM | STACK, 0);
    add(0x8f, 0, MODRM | STACK, 0);
    add(0xd7, -1, XLAT, 0);
    for (unsigned i = 0xa4; i < 0xb0; i++)
        if (i != 0xa8 && i != 0xa9) add(i, -1, STRING | (i & 1 ? 0 : BYTE), 0);
}

static void put8(Case *c, uint32_t v) { c->code[c->len++] = (uint8_t)v; }

static void put32(Case *c, uint32_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) put8(c, v >> (8 * i));
}

/* A memory operand whose address falls into the data page, by a random form. */
static void put_memory(Case *c, const Template *t, unsigned reg, uint32_t bit_bytes)
{
    uint32_t target = LOW_DATA + 256 + rnd() % (PAGE_SIZE - 512) - bit_bytes;
    unsigned base = rnd() & 7, index = rnd() & 7, scale = rnd() & 3;
    uint32_t sp = t->what & STACK && t->bytes[0] == 0x8f ? 4 : 0;

    if (sp && c->code[0] == 0x66) sp = 2;
    if (rnd() % 3 == 0) {
        put8(c, reg << 3 | 5);
        put32(c, target, 4);
    } else if (base != 4 && rnd() % 2) {
        put8(c, 0x80 | reg << 3 | base);
        put32(c, target - c->in.regs[base], 4);
    } else {
        uint32_t at = c->in.regs[base] + (base == 4 ? sp : 0);

        if (index != 4) at += c->in.regs[index] << scale;
        put8(c, 0x84 | reg << 3);
        put8(c, scale << 6 | index << 3 | base);
        put32(c, target - at, 4);
    }
}

/* Flags that the count leaves undefined. */
static void case_shift(Case *c, const Template *t, bool wide, uint32_t count)
{
    uint32_t bits = t->what & BYTE ? 8 : wide ? 32 : 16;
    bool dbl = t->n == 2;

    count &= 31;
    if (!count) return;
    if (t->what & SHIFT) c->undefined |= FLAG_AF;
    if (count != 1) c->undefined |= FLAG_OF;
    if ((t->what & SHIFT) && count >= bits && t->group != 7) c->undefined |= FLAG_CF;
    if (dbl && count > bits) c->len = 0; /* wholly undefined */
    if (dbl && count == bits) c->undefined |= FLAG_OF;
}

static void case_operands(Case *c, const Template *t)
{
    bool wide = c->code[0] != 0x66;
    unsigned reg = t->group >= 0 ? (unsigned)t->group : rnd() & 7;
    uint32_t count = t->bytes[0] < 0xd2 && t->n == 1 ? 1 : c->in.regs[R_ECX];
    bool memory = false;

    if (t->what & MODRM) {
        memory = t->what & MEMONLY || rnd() % 2;
        if (memory) {
            uint32_t moved = 0;

            if (t->what & BITREG) {
                c->in.regs[reg] = rnd() % 1024;
                moved = c->in.regs[reg] / 8;
            }
            put_memory(c, t, reg, moved);
        } else {
            put8(c, 0xc0 | reg << 3 | (rnd() & 7));
        }
    }
    if (t->what & IMM8) {
        count = rnd_value() & 0xff;
        put8(c, count);
    }
    if (t->what & IMMZ) put32(c, rnd_value(), wide ? 4 : 2);
    if (t->what & (SHIFT | ROTATE)) case_shift(c, t, wide, count);
}

/* Both operands in the middle of the page, near one another at times; few or many iterations. */
static void case_string(Case *c)
{
    c->in.regs[R_ESI] = LOW_DATA + PAGE_SIZE / 2 + rnd() % 256;
    c->in.regs[R_EDI] = rnd() % 2 ? c->in.regs[R_ESI] + rnd() % 16 - 8
                                  : (uint32_t)LOW_DATA + PAGE_SIZE / 2 + rnd() % 256;
    c->in.regs[R_ECX] = rnd() % 3 ? rnd() % 8 : rnd() % 400;
    if (rnd() % 4 == 0) c->in.flags |= FLAG_DF;
    if (rnd() % 4) put8(c, rnd() % 2 ? 0xf2 : 0xf3);
}

static bool case_make(Case *c)
{
    const Template *t = &templates[rnd() % ntemplates];

    c->len = 0;
    c->string = t->what & STRING;
    c->undefined = t->undefined;
    for (int i = 0; i < 8; i++) c->in.regs[i] = rnd_value();
    c->in.flags = 0x202 | (rnd() & FLAGS_ARITH);
    for (unsigned i = 0; i < 32; i++) {
        uint32_t v = rnd_value();

        memcpy(c->data + rnd() % (PAGE_SIZE - 4), &v, 4);
    }
    if (t->what & STACK) c->in.regs[R_ESP] = LOW_DATA + 1024 + (rnd() & 0x3ff);
    if (t->what & XLAT) c->in.regs[R_EBX] = LOW_DATA + (rnd() & 0x3ff);
    if (!(t->what & (BYTE | NOPREFIX66 | XLAT)) && rnd() % 3 == 0) put8(c, 0x66);
    if (t->what & STRING) case_string(c);
    for (unsigned i = 0; i < t->n; i++) put8(c, t->bytes[i]);
    case_operands(c, t);
    return c->len > 0;
}

/* -- comparing -- */

static void case_fail(const Case *c, const State *host, const State *ours, const char *what)
{
    GString *s = g_string_new(NULL);

    for (unsigned i = 0; i < c->len; i++) g_string_append_printf(s, "%02x ", c->code[i]);
    g_string_append_printf(s, "differs in %s\n", what);
    for (int i = 0; i < 8; i++)
        g_string_append_printf(s, "  reg %d: in %08x host %08x ours %08x\n", i, c->in.regs[i],
            host->regs[i], ours->regs[i]);
    g_string_append_printf(s, "  flags: in %08x host %08x ours %08x undefined %08x", c->in.flags,
        host->flags, ours->flags, c->undefined);
    g_error("%s", s->str);
}

static void case_compare(Cpu *cpu, const Case *c)
{
    uint8_t host_data[PAGE_SIZE], data[PAGE_SIZE];
    State host, ours;
    bool ok = native_run(c, &host, host_data);
    int vector = guest_run(cpu, c, &ours, data);

    if (!ok || vector >= 0) {
        if (ok || vector != (native_signal == SIGFPE ? EXC_DE : EXC_GP))
            case_fail(c, &host, &ours, "fault");
        return;
    }
    if (memcmp(host.regs, ours.regs, sizeof(host.regs))) case_fail(c, &host, &ours, "registers");
    if ((host.flags ^ ours.flags) & (FLAGS_ARITH | FLAG_DF) & ~c->undefined)
        case_fail(c, &host, &ours, "flags");
    if (memcmp(host_data, data, PAGE_SIZE)) case_fail(c, &host, &ours, "memory");
}

static void test_native(void)
{
    const char *cases = g_getenv("STASIS_ALU_CASES");
    long n = cases ? atol(cases) : CASES;
    Machine *m;
    Cpu *cpu;
    Case c = { .len = 0 };

    if (!native_init()) {
        g_test_skip("the host's processor runs no 32-bit code");
        return;
    }
    m = test_machine();
    cpu = test_cpu(m);
    test_flat(cpu, 0);
    cpu->s.segs[R_CS].limit = UINT32_MAX;
    seed = (uint64_t)(uint32_t)g_test_rand_int() << 32 | 0x9e3779b9;
    add_alu();
    add_rest();
    while (n-- > 0)
        if (case_make(&c)) case_compare(cpu, &c);
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/native", test_native);
    return g_test_run();
}
