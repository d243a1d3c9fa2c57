/* SPDX-License-Identifier: MIT */
/*
 * x87: every encoding of D8 to DF with random operands, control words and tags, against the host's
 * x87 doing the same instruction natively; status word, tags, registers and memory must agree.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "tests/unit/cpu_machine.h"

enum { CODE = 0x1000, DATA = 0x2000, DATA_LEN = 128, ROUNDS = 400 };

typedef struct Image { /* FNSAVE, 32-bit protected form */
    uint32_t cw, sw, tw, fip, fcs, fdp, fds;
    uint8_t regs[8][10];
} __attribute__((packed)) Image;

typedef struct Native {
    Image image;
    uint8_t data[DATA_LEN];
    uint64_t eax, flags;
} Native;

/* -- the host -- */

typedef struct Host {
    uint8_t *code; /* instruction bytes, then a return */
} Host;

static Host host_new(void)
{
    uint8_t *p =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    g_assert_true(p != MAP_FAILED);
    return (Host){ p };
}

static void host_run(Host *h, const uint8_t *insn, unsigned len, Native *n)
{
    static const uint16_t host_cw = 0x37f;

    memcpy(h->code, insn, len);
    h->code[len] = 0xc3;
    __asm__ volatile("frstor %0\n\t"
                     "push %2\n\tpopfq\n\t"
                     "call *%4\n\t"
                     "pushfq\n\tpop %2\n\t"
                     "fnsave %0\n\tfninit\n\tfldcw %5"
                     : "+m"(n->image), "+a"(n->eax), "+r"(n->flags)
                     : "c"(n->data), "r"(h->code), "m"(host_cw)
                     : "memory", "cc");
}

/* -- random operands -- */

static uint64_t random64(GRand *r) { return (uint64_t)g_rand_int(r) << 32 | g_rand_int(r); }

static void random_reg(GRand *r, uint8_t *to)
{
    static const uint16_t exps[] = { 0, 1, 0x7fff, 0x7ffe, 0x3fff, 0x3ffe, 0x4000, 0x403e, 0x400d,
        0x43ff, 0x3f80, 0x3c00 };
    uint64_t mant = random64(r);
    uint16_t exp = (uint16_t)g_rand_int_range(r, 0x3fc0, 0x4041);

    switch (g_rand_int_range(r, 0, 8)) {
    case 0: exp = exps[g_rand_int_range(r, 0, G_N_ELEMENTS(exps))]; break;
    case 1: exp = (uint16_t)g_rand_int_range(r, 0, 0x8000); break;
    default: break;
    }
    switch (g_rand_int_range(r, 0, 10)) {
    case 0: mant = 0; break;
    case 1: mant = 1ull << 63; break;
    case 2: mant = 3ull << 62; break;
    case 3: mant = random64(r) & 0xffff; break;
    case 4: mant |= 1ull << 63, mant &= ~0ull << 40; break;
    default: mant |= 1ull << 63; break;
    }
    if (exp && g_rand_int_range(r, 0, 20)) mant |= 1ull << 63; /* unsupported ones are rare */
    exp |= (uint16_t)(g_rand_boolean(r) << 15);
    store_le64(to, mant);
    store_le16(to + 8, exp);
}

static void random_data(GRand *r, uint8_t *to)
{
    static const uint32_t singles[] = { 0, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000,
        0x7fa00000, 1, 0x3f800000, 0x7f7fffff };
    uint64_t v = random64(r);

    for (unsigned i = 0; i < DATA_LEN; i++) to[i] = (uint8_t)g_rand_int(r);
    switch (g_rand_int_range(r, 0, 6)) {
    case 0: store_le64(to, singles[g_rand_int_range(r, 0, G_N_ELEMENTS(singles))]); break;
    case 1: store_le64(to, (uint64_t)singles[g_rand_int_range(r, 0, 9)] << 32); break;
    case 2: store_le64(to, (v & 0xfffffffffffff) | 0x3ff0000000000000); break;
    case 3: store_le64(to, v & 0xffff); break;
    case 4: random_reg(r, to); break;
    default: /* BCD */
        for (unsigned i = 0; i < 9; i++) to[i] = (uint8_t)(to[i] % 10 | to[i] / 26 % 10 << 4);
        to[9] &= 0x80;
        break;
    }
}

static void random_image(GRand *r, Image *im)
{
    uint32_t masks = g_rand_int_range(r, 0, 3) ? 0x3f : g_rand_int(r) & 0x3f;
    uint32_t pc = (uint32_t[]){ 0, 2, 3, 3, 3 }[g_rand_int_range(r, 0, 5)];
    uint32_t rc = g_rand_int_range(r, 0, 2) ? 0 : g_rand_int(r) & 3, tw = 0;

    memset(im, 0, sizeof(*im));
    im->cw = 0xffff0040 | masks | pc << 8 | rc << 10;
    im->sw = 0xffff0000 | (g_rand_int(r) & 0x4700) | (g_rand_int(r) & masks) |
             (uint32_t)g_rand_int_range(r, 0, 8) << 11;
    for (unsigned i = 0; i < 8; i++) {
        random_reg(r, im->regs[i]);
        if (!g_rand_int_range(r, 0, 4)) tw |= 3u << (2 * i);
    }
    im->tw = 0xffff0000 | tw;
}

/* -- our CPU -- */

static void ours_load(Cpu *cpu, const Native *n, const uint8_t *insn, unsigned len)
{
    unsigned top = n->image.sw >> 11 & 7;

    test_flat32(cpu, CODE);
    cpu->s.fpuc = (uint16_t)n->image.cw;
    cpu->s.fpus = n->image.sw & 0xffff & ~(7u << 11);
    cpu->s.fpstt = (uint8_t)top;
    cpu->s.fptags = 0;
    for (unsigned i = 0; i < 8; i++) {
        if ((n->image.tw >> (2 * i) & 3) != 3) cpu->s.fptags |= (uint8_t)(1u << i);
        cpu->s.fpregs[(top + i) & 7].mant = load_le64(n->image.regs[i]);
        cpu->s.fpregs[(top + i) & 7].exp = load_le16(n->image.regs[i] + 8);
    }
    cpu->s.regs[R_ECX] = DATA;
    cpu->s.regs[R_EAX] = (uint32_t)n->eax;
    cpu_set_eflags(cpu, (uint32_t)n->flags, FLAGS_ARITH);
    test_poke(cpu->dev.m, CODE, insn, len);
    test_poke(cpu->dev.m, DATA, n->data, DATA_LEN);
}

static void report(const char *what, const uint8_t *insn, const Native *before)
{
    fprintf(stderr, "# %s: %02x %02x cw %04x sw %04x tw %04x data %016llx\n", what, insn[0],
        insn[1], before->image.cw & 0xffff, before->image.sw & 0xffff, before->image.tw & 0xffff,
        (unsigned long long)load_le64(before->data));
    for (unsigned i = 0; i < 3; i++) {
        fprintf(stderr, "#   ST%u %04x %016llx\n", i, load_le16(before->image.regs[i] + 8),
            (unsigned long long)load_le64(before->image.regs[i]));
    }
}

static bool same_registers(const Cpu *cpu, const Native *n)
{
    unsigned top = n->image.sw >> 11 & 7;
    bool ok = true;

    for (unsigned i = 0; i < 8; i++) {
        const FpReg *r = &cpu->s.fpregs[(top + i) & 7];

        if (r->mant == load_le64(n->image.regs[i]) && r->exp == load_le16(n->image.regs[i] + 8)) {
            continue;
        }
        fprintf(stderr, "#   ST%u is %04x %016llx, host has %04x %016llx\n", i, r->exp,
            (unsigned long long)r->mant, load_le16(n->image.regs[i] + 8),
            (unsigned long long)load_le64(n->image.regs[i]));
        ok = false;
    }
    return ok;
}

static bool same(Cpu *cpu, const Native *n, const uint8_t *insn)
{
    unsigned sw = cpu->s.fpus | cpu->s.fpstt << 11, tags = 0;
    /* an unmasked IE, DE or ZE: Intel leaves the condition codes alone, AMD does not */
    unsigned undefined = n->image.sw & ~n->image.cw & 7 ? 0x4500 : 0;
    /* FCOMI clears C1 on Intel's */
    bool comi = (insn[0] | 4) == 0xdf && insn[1] >= 0xe8 && insn[1] < 0xf8;
    const uint8_t *data = test_ram(cpu->dev.m) + DATA;
    bool ok = true;

    for (unsigned i = 0; i < 8; i++) {
        if ((n->image.tw >> (2 * i) & 3) != 3) tags |= 1u << i;
    }
    if ((sw ^ n->image.sw) & 0xffff & ~(undefined | (comi ? 0x200 : 0))) {
        fprintf(stderr, "#   status is %04x, host has %04x\n", sw, n->image.sw & 0xffff);
        ok = false;
    }
    if (cpu->s.fpuc != (n->image.cw & 0xffff) || cpu->s.fptags != tags) {
        fprintf(stderr, "#   control %04x, tags %02x; host has %04x, %02x\n", cpu->s.fpuc,
            cpu->s.fptags, n->image.cw & 0xffff, tags);
        ok = false;
    }
    if (memcmp(data, n->data, DATA_LEN)) {
        fprintf(stderr, "#   memory is %016llx %04x, host has %016llx %04x\n",
            (unsigned long long)load_le64(data), load_le16(data + 8),
            (unsigned long long)load_le64(n->data), load_le16(n->data + 8));
        ok = false;
    }
    if ((cpu->s.regs[R_EAX] ^ n->eax) & 0xffff ||
        (!undefined && (cpu_get_eflags(cpu) ^ n->flags) & FLAGS_ARITH)) {
        fprintf(stderr, "#   AX %04x, flags %04x; host has %04x, %04x\n",
            (unsigned)cpu->s.regs[R_EAX] & 0xffff, cpu_get_eflags(cpu) & FLAGS_ARITH,
            (unsigned)n->eax & 0xffff, (unsigned)n->flags & FLAGS_ARITH);
        ok = false;
    }
    return same_registers(cpu, n) && ok;
}

/* What cannot be compared: environments (their pointers are the host's), invalid encodings, SSE3's
 * FISTTP, FCMOV and FCOMI are compared as the rest. */
static bool skipped(unsigned op, unsigned modrm)
{
    unsigned n = modrm >> 3 & 7;

    if (modrm < 0xc0) {
        if (op == 0xd9) return n == 1 || n == 4 || n == 6;
        if (op == 0xdb) return n == 1 || n == 4 || n == 6;
        if (op == 0xdd) return n == 1 || n == 4 || n == 5 || n == 6;
        return op == 0xdf && n == 1;
    }
    switch (op) {
    case 0xd9:
        return (modrm > 0xd0 && modrm < 0xd8) || modrm == 0xe2 || modrm == 0xe3 || modrm == 0xe6 ||
               modrm == 0xe7 || modrm == 0xef;
    case 0xda: return modrm >= 0xe0 && modrm != 0xe9;
    case 0xdb: return n == 7 || (n == 4 && modrm != 0xe2 && modrm != 0xe3);
    case 0xdd: return n >= 6;
    case 0xde: return n == 3 && modrm != 0xd9;
    case 0xdf: return n == 7 || (n == 4 && modrm != 0xe0);
    default: return false;
    }
}

static unsigned try_insn(Host *h, Cpu *cpu, GRand *r, unsigned op, unsigned modrm)
{
    uint8_t insn[2] = { (uint8_t)op, (uint8_t)modrm };
    Native before, after;

    memset(&before, 0, sizeof(before));
    random_image(r, &before.image);
    random_data(r, before.data);
    before.eax = g_rand_int(r);
    before.flags = 0x202 | (g_rand_int(r) & FLAGS_ARITH);
    after = before;
    host_run(h, insn, sizeof(insn), &after);
    ours_load(cpu, &before, insn, sizeof(insn));
    test_run(cpu->dev.m, 1);
    g_assert_cmpuint(cpu->s.eip, ==, CODE + 2);
    if (same(cpu, &after, insn)) return 0;
    report("differs", insn, &before);
    return 1;
}

static void test_opcode(gconstpointer data)
{
    unsigned op = GPOINTER_TO_UINT(data), bad = 0;
    Machine *m = test_machine_new("pentium3");
    GRand *r = g_rand_new_with_seed(op);
    Host h = host_new();

    for (unsigned modrm = 0; modrm < 0x100 && bad < 12; modrm++) {
        if (modrm < 0xc0 && (modrm & 0xc7) != 1) continue; /* [ECX] alone */
        if (skipped(op, modrm)) continue;
        for (unsigned i = 0; i < ROUNDS && bad < 12; i++) {
            bad += try_insn(&h, test_cpu(m), r, op, modrm);
        }
    }
    g_assert_cmpuint(bad, ==, 0);
    munmap(h.code, 4096);
    g_rand_free(r);
    machine_free(m);
}

/* -- sequences: what one instruction leaves behind in the host's x87 must not reach the next -- */

enum { SEQUENCE = 12, SEQUENCES = 3000 };

/* Appends a random instruction; control words stay as they are, so that nothing is unmasked. */
static unsigned random_insn(GRand *r, uint8_t *to)
{
    for (;;) {
        unsigned op = (unsigned)g_rand_int_range(r, 0xd8, 0xe0);
        unsigned modrm = (unsigned)g_rand_int_range(r, g_rand_boolean(r) ? 0xc0 : 0, 0x100);

        if (modrm < 0xc0) modrm = (modrm & 0x38) | 1;
        if (skipped(op, modrm) || (op == 0xd9 && modrm == 0x29)) continue;
        if ((op | 4) == 0xdf && modrm >= 0xe8 && modrm < 0xf8) continue; /* FCOMI: C1 */
        to[0] = (uint8_t)op;
        to[1] = (uint8_t)modrm;
        return 2;
    }
}

static unsigned try_sequence(Host *h, Cpu *cpu, GRand *r)
{
    uint8_t code[2 * SEQUENCE];
    Native before, after;
    unsigned len = 0;

    memset(&before, 0, sizeof(before));
    random_image(r, &before.image);
    before.image.cw |= 0x3f;
    random_data(r, before.data);
    before.flags = 0x202;
    for (unsigned i = 0; i < SEQUENCE; i++) len += random_insn(r, code + len);
    after = before;
    host_run(h, code, len, &after);
    ours_load(cpu, &before, code, len);
    test_run(cpu->dev.m, SEQUENCE);
    g_assert_cmpuint(cpu->s.eip, ==, CODE + len);
    if (same(cpu, &after, code)) return 0;
    report("a sequence differs", code, &before);
    for (unsigned i = 0; i < len; i += 2) fprintf(stderr, "# %02x %02x\n", code[i], code[i + 1]);
    return 1;
}

static void test_sequences(void)
{
    Machine *m = test_machine_new("pentium3");
    GRand *r = g_rand_new_with_seed(99);
    Host h = host_new();
    unsigned bad = 0;

    for (unsigned i = 0; i < SEQUENCES && bad < 3; i++) bad += try_sequence(&h, test_cpu(m), r);
    g_assert_cmpuint(bad, ==, 0);
    munmap(h.code, 4096);
    g_rand_free(r);
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned op = 0xd8; op <= 0xdf; op++) {
        char name[32];

        snprintf(name, sizeof(name), "/cpu/x87/%02x", op);
        g_test_add_data_func(name, GUINT_TO_POINTER(op), test_opcode);
    }
    g_test_add_func("/cpu/x87/sequences", test_sequences);
    return g_test_run();
}
