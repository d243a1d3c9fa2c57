/* SPDX-License-Identifier: MIT */
/*
 * The host's CPU as judge: short sequences of instructions run natively and in the interpreter, at
 * the same addresses, from the same state; then registers, flags, memory and exceptions must be the
 * same.  Natively they run in 64-bit mode; the guest does so, too, or runs in 32-bit mode what
 * means the same there.  RSP, R15, ES to GS and privileged state are out of its reach.
 */
#pragma once

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "cpu/flags.h"
#include "cpu/opcodes.h"
#include "tests/unit/cpu_machine.h"

enum {
    ORACLE_CODE = 0x40000, /* slots of code, in the guest and natively */
    ORACLE_SLOT = 64,
    ORACLE_SLOTS = 2048,
    ORACLE_DATA = 0x90000, /* two pages ... */
    ORACLE_WINDOW = 512,   /* ... in whose middle instructions read and write */
    ORACLE_AT = ORACLE_DATA + 4096 - ORACLE_WINDOW / 2,
    ORACLE_SPREAD = 128, /* ESI points so far into the window, at most */
    ORACLE_IDT = 0x800,
    ORACLE_GDT = 0x600,
    ORACLE_HANDLERS = 0x3000,
    ORACLE_STACK = 0x8000,
    ORACLE_TABLES = 0xa0000, /* of pages */
    ORACLE_POOL = 1 << 16,
    ORACLE_INSNS = 4, /* of a sequence, at most */
};

/* FXSAVE image and the rest.  Offsets are known to the assembler code below. */
typedef struct OracleState {
    uint8_t fx[512];
    uint64_t gpr[16]; /* RSP and R15 are others' */
    uint64_t flags;
    uint64_t entry;      /* natively: where to start ... */
    uint64_t host_stack; /* ... and to return to */
    int64_t vector;      /* exception, or -1 ... */
    uint64_t fault;      /* ... of the instruction at this address */
    uint8_t mem[ORACLE_WINDOW];
} __attribute__((aligned(16))) OracleState;
_Static_assert(offsetof(OracleState, gpr) == 512, "see oracle_native");
_Static_assert(offsetof(OracleState, flags) == 640, "see oracle_native");

void oracle_native(OracleState *s);
extern const char oracle_native_end[];
__asm__(".pushsection .text\n"
        "oracle_native:\n\t"
        "push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
        "mov %rdi, %r15\n\tmov %rsp, 656(%r15)\n\t"
        "fxrstor64 (%r15)\n\t"
        "pushq 640(%r15)\n\tpopfq\n\t"
        "mov 512(%r15), %rax\n\t"
        "mov 520(%r15), %rcx\n\t"
        "mov 528(%r15), %rdx\n\t"
        "mov 536(%r15), %rbx\n\t"
        "mov 552(%r15), %rbp\n\t"
        "mov 560(%r15), %rsi\n\t"
        "mov 568(%r15), %rdi\n\t"
        "mov 576(%r15), %r8\n\t"
        "mov 584(%r15), %r9\n\t"
        "mov 592(%r15), %r10\n\t"
        "mov 600(%r15), %r11\n\t"
        "mov 608(%r15), %r12\n\t"
        "mov 616(%r15), %r13\n\t"
        "mov 624(%r15), %r14\n\t"
        "jmp *648(%r15)\n"
        "oracle_native_end:\n\t"
        "mov %rax, 512(%r15)\n\t"
        "mov %rcx, 520(%r15)\n\t"
        "mov %rdx, 528(%r15)\n\t"
        "mov %rbx, 536(%r15)\n\t"
        "mov %rbp, 552(%r15)\n\t"
        "mov %rsi, 560(%r15)\n\t"
        "mov %rdi, 568(%r15)\n\t"
        "mov %r8, 576(%r15)\n\t"
        "mov %r9, 584(%r15)\n\t"
        "mov %r10, 592(%r15)\n\t"
        "mov %r11, 600(%r15)\n\t"
        "mov %r12, 608(%r15)\n\t"
        "mov %r13, 616(%r15)\n\t"
        "mov %r14, 624(%r15)\n\t"
        "mov 656(%r15), %rsp\n\tpushfq\n\tpopq 640(%r15)\n\tcld\n\t"
        "fxsave64 (%r15)\n\tfninit\n\t"
        "pushq $0x1f80\n\tldmxcsr (%rsp)\n\tpop %rax\n\t"
        "pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\tret\n"
        ".popsection");

typedef struct OracleInsn {
    uint8_t bytes[16];
    unsigned len;
    unsigned target;    /* what it is an example of: the test's number */
    uint32_t undefined; /* flags that it leaves undefined */
} OracleInsn;

typedef struct Oracle {
    Machine *m;
    Cpu *cpu;
    bool wide; /* the guest runs 64-bit code */
    uint64_t seed;
    uint8_t pool[ORACLE_POOL + 4096]; /* operands: edge cases and noise */
    uint64_t cases;
    bool x87;     /* any control and status word, not only what FNINIT leaves ... */
    bool scaling; /* ... overflow and underflow unmasked, too */
} Oracle;

/* -- chance -- */

static inline uint32_t oracle_random(Oracle *o)
{
    o->seed ^= o->seed << 13;
    o->seed ^= o->seed >> 7;
    o->seed ^= o->seed << 17;
    return (uint32_t)(o->seed >> 24);
}
static inline uint32_t oracle_below(Oracle *o, uint32_t n) { return oracle_random(o) % n; }

static inline void oracle_fill_element(Oracle *o, uint8_t *p)
{
    static const uint32_t singles[] = { 0, 0x80000000, 0x3f800000, 0xbf800000, 1, 0x807fffff,
        0x800000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001,
        0xffc12345, 0x4f000000, 0xcf000000, 0x3f000000, 0x00800001, 0x5f000000, 0x33800000 };
    static const uint64_t doubles[] = { 0, 1ull << 63, 0x3ff0000000000000, 0xbff0000000000000, 1,
        0x800fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff, 0x7ff0000000000000,
        0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001, 0xfff8123456789abc,
        0x41e0000000000000, 0xc1e0000000200000, 0x41dfffffffc00000, 0x3fe0000000000000,
        0x43e0000000000000, 0x36a0000000000000, 0x47efffffe0000000, 0x3ca0000000000000 };
    static const uint8_t bytes[] = { 0, 1, 0x7f, 0x80, 0xff, 0xfe, 0x40, 0x0f };
    unsigned how = oracle_below(o, 10);

    for (unsigned i = 0; i < 16; i++) p[i] = (uint8_t)oracle_random(o);
    for (unsigned i = 0; i < 4 && how <= 2; i++) {
        if (oracle_below(o, 8)) store_le32(p + 4 * i, singles[oracle_below(o, 20)]);
    }
    for (unsigned i = 0; i < 2 && how >= 3 && how <= 5; i++) {
        if (oracle_below(o, 8)) store_le64(p + 8 * i, doubles[oracle_below(o, 21)]);
    }
    for (unsigned i = 0; i < 16 && how == 6; i++) p[i] = bytes[oracle_below(o, 8)];
    if (how == 7) { /* a small count, or small whole numbers */
        memset(p, 0, 16);
        p[0] = (uint8_t)oracle_below(o, 70);
        p[8] = (uint8_t)oracle_below(o, 3);
    }
    if (how == 8) { /* numbers whose exponents are near each other */
        for (unsigned i = 0; i < 4; i++)
            store_le32(p + 4 * i, (load_le32(p + 4 * i) & 0x80ffffff) | 0x3f000000);
    }
}

static inline const uint8_t *oracle_operand(Oracle *o)
{
    return o->pool + 16 * oracle_below(o, ORACLE_POOL / 16);
}

/* A REX prefix, where the guest knows it.  REX.B and REX.X make R14 and R13 of ESI and EBP in
 * addresses. */
static inline unsigned oracle_rex(Oracle *o, OracleInsn *in)
{
    unsigned rex = 0x40 | oracle_below(o, 16);

    if (!o->wide || !oracle_below(o, 3)) return 0;
    in->bytes[in->len++] = (uint8_t)rex;
    return rex;
}

/* An operand in memory at ESI, with displacement or index.  Aligned: to eight bytes, since a locked
 * access across cache lines is trapped and put to sleep by some hosts. */
static inline void oracle_memory(Oracle *o, OracleInsn *in, unsigned reg, bool aligned)
{
    unsigned disp = aligned || oracle_below(o, 8) ? 16 * oracle_below(o, 7) : oracle_below(o, 100);
    unsigned how = oracle_below(o, 4);
    uint8_t *p = in->bytes + in->len;

    switch (how) {
    case 0: *p++ = (uint8_t)(reg << 3 | R_ESI); break;
    case 1: *p++ = (uint8_t)(0x40 | reg << 3 | R_ESI); break;
    case 2: *p++ = (uint8_t)(0x80 | reg << 3 | R_ESI); break;
    case 3:
        *p++ = (uint8_t)(0x44 | reg << 3);
        *p++ = (uint8_t)(oracle_below(o, 4) << 6 | R_EBP << 3 | R_ESI);
    }
    if (how == 1 || how == 3) *p++ = (uint8_t)disp;
    if (how == 2) {
        store_le32(p, disp);
        p += 4;
    }
    in->len = (unsigned)(p - in->bytes);
}

/* -- setting up -- */

static void oracle_signal(int sig, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    OracleState *s = (OracleState *)r[REG_R15];

    (void)sig;
    (void)info;
    if (r[REG_RIP] < ORACLE_CODE || r[REG_RIP] >= ORACLE_CODE + ORACLE_SLOT * ORACLE_SLOTS) abort();
    s->vector = r[REG_TRAPNO];
    s->fault = (uint64_t)r[REG_RIP];
    r[REG_RIP] = (greg_t)oracle_native_end;
}

static inline void oracle_map(uint64_t at, size_t len)
{
    void *want = (void *)at;

    g_assert_true(mmap(want, len, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == want);
}

/* Long mode, the first 2 MiB mapped to themselves. */
static inline void oracle_long_mode(Oracle *o)
{
    static const uint64_t entries[] = { (ORACLE_TABLES + 0x1000) | 7, (ORACLE_TABLES + 0x2000) | 7,
        0x87 };

    for (unsigned i = 0; i < ARRAY_SIZE(entries); i++)
        test_poke(o->m, ORACLE_TABLES + 0x1000 * i, &entries[i], 8);
    o->cpu->s.cr[3] = ORACLE_TABLES;
    o->cpu->s.cr[4] |= CR4_PAE;
    o->cpu->s.cr[0] |= CR0_PG;
    o->cpu->s.efer = EFER_LME | EFER_LMA;
    o->cpu->s.segs[R_CS].flags = 0x00af9b00;
}

static inline void oracle_guest(Oracle *o)
{
    uint8_t gdt[24] = { 0 }, idt[16] = { 0 };
    unsigned gate = o->wide ? 16 : 8;

    store_le64(gdt + 8, o->wide ? 0x00af9b000000ffff : 0x00cf9b000000ffff);
    store_le64(gdt + 16, 0x00cf93000000ffff);
    test_poke(o->m, ORACLE_GDT, gdt, sizeof(gdt));
    for (unsigned v = 0; v < 32; v++) {
        static const uint8_t hlt = 0xf4;

        store_le64(idt, 0x00008e0000080000 | (ORACLE_HANDLERS + 16 * v));
        test_poke(o->m, ORACLE_IDT + gate * v, idt, gate);
        test_poke(o->m, ORACLE_HANDLERS + 16 * v, &hlt, 1);
    }
    test_flat32(o->cpu, ORACLE_CODE);
    o->cpu->s.gdt = (SegReg){ .base = ORACLE_GDT, .limit = 23 };
    o->cpu->s.idt = (SegReg){ .base = ORACLE_IDT, .limit = 0x7ff };
    o->cpu->s.cr[4] = CR4_OSFXSR | CR4_OSXMMEXCPT;
    if (o->wide) oracle_long_mode(o);
    cpu_update_mode(o->cpu);
    device_sync(&o->cpu->dev);
}

static inline Oracle *oracle_new(const char *model, bool wide, uint64_t seed)
{
    static const int signals[] = { SIGSEGV, SIGILL, SIGFPE, SIGBUS };
    struct sigaction act = { .sa_sigaction = oracle_signal, .sa_flags = SA_SIGINFO | SA_NODEFER };
    Oracle *o = g_new0(Oracle, 1);

    for (unsigned i = 0; i < ARRAY_SIZE(signals); i++) sigaction(signals[i], &act, NULL);
    o->m = test_machine_new(model);
    o->cpu = test_cpu(o->m);
    o->seed = seed;
    o->wide = wide;
    oracle_map(ORACLE_CODE, ORACLE_SLOT * ORACLE_SLOTS);
    oracle_map(ORACLE_DATA, 8192);
    oracle_guest(o);
    for (unsigned i = 0; i < sizeof(o->pool); i += 16) oracle_fill_element(o, o->pool + i);
    return o;
}

static inline void oracle_free(Oracle *o)
{
    munmap((void *)(uint64_t)ORACLE_CODE, ORACLE_SLOT * ORACLE_SLOTS);
    munmap((void *)(uint64_t)ORACLE_DATA, 8192);
    machine_free(o->m);
    g_free(o);
}

/* Puts a sequence into a slot, and behind it the way back to oracle_native_end. */
static inline uint32_t oracle_place(Oracle *o, unsigned slot, const OracleInsn *insns, unsigned n)
{
    uint32_t at = ORACLE_CODE + slot * ORACLE_SLOT;
    uint8_t code[ORACLE_SLOT] = { 0 }, *p = code;

    for (unsigned i = 0; i < n; i++) {
        memcpy(p, insns[i].bytes, insns[i].len);
        p += insns[i].len;
    }
    g_assert_true(p + 14 <= code + ORACLE_SLOT);
    store_le16(p, 0x25ff); /* jmp *0(%rip) */
    store_le64(p + 6, (uint64_t)oracle_native_end);
    memcpy((void *)(uint64_t)at, code, ORACLE_SLOT);
    test_poke(o->m, at, code, ORACLE_SLOT);
    return at;
}

/* -- running -- */

/* Control word, status without a pending exception, registers of kinds that the x87 treats
 * apart. */
static inline void oracle_x87(Oracle *o, OracleState *s)
{
    static const uint16_t exps[] = { 0, 0x7fff, 0x3fff, 0x3ffe, 1, 0x7ffe, 0x403e, 0x3c01 };
    uint16_t cw = 0x37f, sw;

    if (oracle_below(o, 2)) cw = (uint16_t)((cw & 0xff) | (oracle_random(o) & 0xf00));
    if (!oracle_below(o, 4)) cw &= (uint16_t)(oracle_random(o) | (o->scaling ? 0xffc0 : 0xffd8));
    sw = oracle_random(o) & 0x7f00;
    if (oracle_below(o, 2)) sw |= oracle_random(o) & cw & 0x3f;
    store_le16(s->fx, cw);
    store_le16(s->fx + 2, sw);
    if (oracle_below(o, 4)) s->fx[4] = 0xff;
    for (unsigned i = 0; i < 8; i++) {
        uint8_t *p = s->fx + 32 + 16 * i;
        uint32_t how = oracle_random(o);

        if (how & 3)
            store_le16(p + 8, (uint16_t)(exps[how >> 2 & 7] + (how >> 5 & 3)) ^ (how & 0x8000));
        if (how & 0x300) p[7] |= 0x80;
        if (!(how & 0x1c00)) memset(p, 0, 7);
    }
}

/* A random state: MXCSR, x87 and MMX registers, XMM registers, general ones, memory. */
static inline void oracle_state(Oracle *o, OracleState *s)
{
    uint32_t mxcsr = 0x1f80, how = oracle_random(o);

    memset(s, 0, offsetof(OracleState, mem));
    if (how & 1) mxcsr |= oracle_random(o) & 0xe07f; /* rounding, flags, DAZ, FTZ */
    if ((how & 14) == 14) mxcsr &= ~(oracle_random(o) & 0x1f80);
    store_le16(s->fx, 0x37f);
    store_le16(s->fx + 2, (uint16_t)((how >> 4 & 7) << 11));
    s->fx[4] = (uint8_t)oracle_random(o);
    store_le32(s->fx + 24, mxcsr);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(s->fx + 32 + 16 * i, oracle_operand(o), 10);
        memcpy(s->fx + 160 + 16 * i, oracle_operand(o), 16);
        memcpy(s->fx + 288 + 16 * i, oracle_operand(o), 16);
    }
    for (unsigned i = 0; i < 4; i++) {
        const uint8_t *p = oracle_operand(o);

        s->gpr[i] = o->wide ? load_le64(p) : load_le32(p);
        s->gpr[8 + i] = o->wide ? load_le64(p + 8) : 0;
    }
    if (!(how & 0x1c000)) { /* for CMPXCHG and the like */
        s->gpr[how >> 17 & 3] = s->gpr[R_EAX];
        if (o->wide) s->gpr[8 + (how >> 17 & 3)] = s->gpr[R_EAX] ^ 1ull << 63;
    }
    if (o->x87) oracle_x87(o, s);
    s->gpr[R_EBP] = 8 * oracle_below(o, 3);
    s->gpr[R_ESI] = ORACLE_AT + 16 * oracle_below(o, ORACLE_SPREAD / 16);
    s->gpr[R_EDI] = ORACLE_AT + oracle_below(o, ORACLE_SPREAD);
    s->gpr[13] = 8 * oracle_below(o, 3); /* what REX makes of EBP and ESI */
    s->gpr[14] = ORACLE_AT + 16 * oracle_below(o, ORACLE_SPREAD / 16);
    s->flags = 2 | (oracle_random(o) & FLAGS_ARITH);
    s->vector = -1;
    memcpy(s->mem, o->pool + 16 * oracle_below(o, ORACLE_POOL / 16), ORACLE_WINDOW);
}

static inline void oracle_run_host(OracleState *s, uint32_t at)
{
    memcpy((void *)(uint64_t)ORACLE_AT, s->mem, ORACLE_WINDOW);
    s->entry = at;
    oracle_native(s);
    memcpy(s->mem, (void *)(uint64_t)ORACLE_AT, ORACLE_WINDOW);
}

static inline void oracle_to_guest(Cpu *cpu, const OracleState *s, uint32_t at)
{
    cpu->s.fpuc = load_le16(s->fx);
    cpu->s.fpus = load_le16(s->fx + 2) & 0xc7ff;
    cpu->s.fpstt = load_le16(s->fx + 2) >> 11 & 7;
    cpu->s.fptags = s->fx[4];
    cpu->s.mxcsr = load_le32(s->fx + 24);
    for (unsigned i = 0; i < 8; i++) {
        cpu->s.fpregs[(cpu->s.fpstt + i) & 7] =
            (FpReg){ load_le64(s->fx + 32 + 16 * i), load_le16(s->fx + 40 + 16 * i) };
    }
    for (unsigned i = 0; i < 16; i++) {
        memcpy(&cpu->s.xmm[i], s->fx + 160 + 16 * i, 16);
        cpu->s.regs[i] = s->gpr[i];
    }
    cpu->s.regs[R_ESP] = ORACLE_STACK;
    cpu->s.eflags = s->flags;
    cpu->cc_kind = CC_EFLAGS;
    cpu->s.eip = at;
}

static inline void oracle_from_guest(Cpu *cpu, OracleState *s)
{
    store_le16(s->fx, cpu->s.fpuc);
    store_le16(s->fx + 2, (uint16_t)(cpu->s.fpus | cpu->s.fpstt << 11));
    s->fx[4] = cpu->s.fptags;
    store_le32(s->fx + 24, cpu->s.mxcsr);
    for (unsigned i = 0; i < 8; i++) {
        const FpReg *r = &cpu->s.fpregs[(cpu->s.fpstt + i) & 7];

        store_le64(s->fx + 32 + 16 * i, r->mant);
        store_le16(s->fx + 40 + 16 * i, r->exp);
    }
    for (unsigned i = 0; i < 16; i++) {
        memcpy(s->fx + 160 + 16 * i, &cpu->s.xmm[i], 16);
        if (i != R_ESP) s->gpr[i] = cpu->s.regs[i];
    }
    s->flags = cpu_get_eflags(cpu);
}

static inline void oracle_run_guest(Oracle *o, OracleState *s, uint32_t at, unsigned insns)
{
    Cpu *cpu = o->cpu;
    unsigned word = o->wide ? 8 : 4, code;
    uint32_t handler;

    test_poke(o->m, ORACLE_AT, s->mem, ORACLE_WINDOW);
    cpu->s.halted = 0;
    oracle_to_guest(cpu, s, at);
    test_run(o->m, insns);
    handler = (uint32_t)cpu->s.eip - ORACLE_HANDLERS;
    if (handler < 16 * 32) {
        const uint8_t *p = test_ram(o->m) + (uint32_t)cpu->s.regs[R_ESP];

        s->vector = handler / 16;
        code = (ORACLE_STACK - (uint32_t)cpu->s.regs[R_ESP]) % (o->wide ? 16 : 8) == 0 ? word : 0;
        s->fault = load_le32(p + code);
        cpu_set_eflags(cpu, load_le32(p + code + 2 * word), FLAGS_ARITH);
    }
    oracle_from_guest(cpu, s);
    memcpy(s->mem, test_ram(o->m) + ORACLE_AT, ORACLE_WINDOW);
}

/* -- judging -- */

static inline void oracle_print(const char *who, const OracleState *s)
{
    printf("# %s: vector %d at %llx flags %llx mxcsr %x fcw %x fsw %x tags %x\n# ", who,
        (int)s->vector, (unsigned long long)s->fault, (unsigned long long)s->flags,
        load_le32(s->fx + 24), load_le16(s->fx), load_le16(s->fx + 2), s->fx[4]);
    for (unsigned i = 0; i < 15; i++) printf(" %llx", (unsigned long long)s->gpr[i]);
    for (unsigned i = 0; i < 16; i++) {
        printf("\n#  st%u %04x %016llx  xmm%u %016llx %016llx", i & 7,
            load_le16(s->fx + 40 + 16 * (i & 7)),
            (unsigned long long)load_le64(s->fx + 32 + 16 * (i & 7)), i,
            (unsigned long long)load_le64(s->fx + 168 + 16 * i),
            (unsigned long long)load_le64(s->fx + 160 + 16 * i));
    }
    printf("\n");
}

/* Where overflow or underflow is unmasked, whether the result was exact is told of the one that the
 * exponent's range would not limit: not modelled. */
static inline bool oracle_same_mxcsr(const OracleState *a, const OracleState *b)
{
    uint32_t x = load_le32(a->fx + 24), y = load_le32(b->fx + 24);
    bool scaled = a->vector == EXC_XM && x & ~(x >> 7) & 0x18;

    return !((x ^ y) & ~(scaled ? 0x20u : 0));
}

static inline bool oracle_same(const OracleState *a, const OracleState *b, uint32_t undefined)
{
    uint32_t flags = (FLAGS_ARITH | FLAG_DF) & ~undefined;

    if (a->vector != b->vector || a->fault != b->fault) return false;
    if ((a->flags ^ b->flags) & flags) return false;
    if (memcmp(a->fx, b->fx, 5) || !oracle_same_mxcsr(a, b)) return false;
    if (memcmp(a->fx + 160, b->fx + 160, 256)) return false;
    for (unsigned i = 0; i < 8; i++) {
        if (memcmp(a->fx + 32 + 16 * i, b->fx + 32 + 16 * i, 10)) return false;
    }
    for (unsigned i = 0; i < 15; i++) {
        if (i != R_ESP && a->gpr[i] != b->gpr[i]) return false;
    }
    return !memcmp(a->mem, b->mem, ORACLE_WINDOW);
}

/* AMD's processors let bit 17 of MXCSR be loaded (misaligned operands); ours is Intel's there. */
static inline bool oracle_is_of_another_make(const OracleState *host, const OracleState *ours)
{
    return ours->vector == EXC_GP && load_le32(host->fx + 24) & 1u << 17;
}

/* Runs the sequence at `at` both ways from a random state; true where no exception came. */
static inline bool oracle_case(Oracle *o, uint32_t at, const OracleInsn *insns, unsigned n)
{
    static OracleState before, host, ours;
    uint32_t undefined = 0;

    for (unsigned i = 0; i < n; i++) undefined |= insns[i].undefined;
    oracle_state(o, &before);
    host = ours = before;
    oracle_run_host(&host, at);
    oracle_run_guest(o, &ours, at, n);
    o->cases++;
    if (oracle_same(&host, &ours, undefined)) return host.vector < 0;
    if (oracle_is_of_another_make(&host, &ours)) return false;
    for (unsigned i = 0; i < n; i++) {
        printf("# insn:");
        for (unsigned k = 0; k < insns[i].len; k++) printf(" %02x", insns[i].bytes[k]);
        printf("\n");
    }
    oracle_print("before", &before);
    oracle_print("host", &host);
    oracle_print("ours", &ours);
    for (unsigned i = 0; i < ORACLE_WINDOW; i++) {
        if (host.mem[i] != ours.mem[i])
            printf("# memory +%u: was %02x, host %02x, ours %02x\n", i, before.mem[i], host.mem[i],
                ours.mem[i]);
    }
    fflush(stdout);
    g_error("the host's CPU does something else");
    return false;
}
