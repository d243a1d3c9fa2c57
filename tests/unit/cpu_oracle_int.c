/* SPDX-License-Identifier: MIT */
/*
 * Integer and x87 instructions of the opcode table against the host's CPU.  Left out: what 64-bit
 * mode lacks or means otherwise, what moves the stack or jumps, what is privileged.
 */
#include "tests/unit/oracle.h"

enum { MAX_TARGETS = 600, CASES = 40000, LONG_CASES = 5000000, ROUNDS = 40 };

/* A row of the table, or a group's member. */
typedef struct Target {
    const OpRow *row, *member;
    uint16_t op; /* index of opcodes */
    int reg;     /* of a group's member, or -1 */
    uint64_t ran;
} Target;

typedef struct Targets {
    Target t[MAX_TARGETS];
    unsigned n;
} Targets;

/* Opcodes that the native side cannot run, or runs differently. */
static bool target_skipped(unsigned op)
{
    static const uint16_t ranges[][2] = { { 0x06, 0x07 }, { 0x0e, 0x0f }, { 0x16, 0x17 },
        { 0x1e, 0x1f }, { 0x27, 0x27 }, { 0x2f, 0x2f }, { 0x37, 0x37 }, { 0x3f, 0x63 },
        { 0x68, 0x68 }, { 0x6a, 0x6a }, { 0x6c, 0x7f }, { 0x82, 0x82 }, { 0x8c, 0x8c },
        { 0x8e, 0x8f }, { 0x9a, 0x9d }, { 0xa0, 0xa3 }, { 0xc2, 0xc5 }, { 0xc8, 0xcf },
        { 0xd4, 0xf4 }, { 0xfa, 0xfb }, { 0x100, 0x118 }, { 0x120, 0x13f }, { 0x180, 0x18f },
        { 0x1a0, 0x1a2 }, { 0x1a8, 0x1aa }, { 0x1ae, 0x1ae }, { 0x1b2, 0x1b2 }, { 0x1b4, 0x1b5 },
        { 0x1b9, 0x1b9 }, { 0x1ff, 0x1ff } };

    for (unsigned i = 0; i < G_N_ELEMENTS(ranges); i++) {
        if (op >= ranges[i][0] && op <= ranges[i][1]) return true;
    }
    return opcodes[op].prefixed || opcodes[op].map;
}

static bool target_is(const Target *t, const char *names)
{
    const char *name = t->member->name;
    char **list = g_strsplit(names, " ", 0);
    bool found = g_strv_contains((const char *const *)list, name);

    g_strfreev(list);
    return found;
}

static bool target_wanted(const Target *t)
{
    bool byte = t->row->size == SIZE_B;

    if (t->row->form == FORM_OPREG && (t->op & 7) > R_EBX && !byte) return false;
    /* bit strings reach far; the random ones are of another test */
    return !target_is(t, "call jmp push rdrand rdseed") && !(t->member->flags & OP_SLOW);
}

static Targets *targets_new(void)
{
    Targets *all = g_new0(Targets, 1);

    for (unsigned op = 0; op < 512; op++) {
        const OpRow *row = &opcodes[op];

        if (!row->name || target_skipped(op)) continue;
        for (int reg = 0; reg < (row->group ? 8 : 1); reg++) {
            Target t = { row, row->group ? &row->group[reg] : row, (uint16_t)op,
                row->group ? reg : -1, 0 };

            g_assert_cmpint(all->n, <, MAX_TARGETS);
            if (t.member->name && target_wanted(&t)) all->t[all->n++] = t;
        }
    }
    return all;
}

/* Flags that the manual leaves open. */
static uint32_t target_undefined(const Target *t, unsigned size, unsigned imm)
{
    bool once = t->op == 0xd0 || t->op == 0xd1;
    bool by_imm = t->op == 0xc0 || t->op == 0xc1;

    if (target_is(t, "shl shr sal sar shift")) {
        bool far = size < 4 && !(by_imm && (imm & 31) < 8) && !once;

        return FLAG_AF | (once ? 0 : FLAG_OF) | (far ? FLAG_CF : 0);
    }
    if (target_is(t, "rol ror rcl rcr")) return once ? 0 : FLAG_OF;
    if (target_is(t, "shld shrd")) return FLAG_OF | FLAG_AF;
    if (target_is(t, "mul imul")) return FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF;
    if (target_is(t, "div idiv")) return FLAGS_ARITH;
    if (target_is(t, "bsf bsr")) return FLAGS_ARITH & ~(uint32_t)FLAG_ZF;
    if (target_is(t, "bt bts btr btc")) return FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF;
    if (target_is(t, "and or xor test")) return FLAG_AF;
    return 0;
}

static void insn_immediate(Oracle *o, OracleInsn *in, unsigned kind, unsigned size, unsigned *imm)
{
    unsigned n = kind == IMM_8 || kind == IMM_8S ? 1
                 : kind == IMM_Z                 ? MIN_OF(size, 4u)
                 : kind == IMM_V                 ? size
                                                 : 0;
    uint64_t v = load_le64(oracle_operand(o));

    memcpy(in->bytes + in->len, &v, n);
    in->len += n;
    *imm = (unsigned)v & 0xff;
}

static void insn_modrm(
    Oracle *o, const Target *t, OracleInsn *in, uint32_t flags, bool bits, bool rex)
{
    bool byte = t->row->size == SIZE_B, memory;
    unsigned limit = byte && !rex ? 8 : 4; /* REX makes SPL of AH */
    unsigned reg = t->reg >= 0 ? (unsigned)t->reg : oracle_below(o, limit);

    memory = flags & OP_MEM || (!(flags & OP_REG) && !bits && oracle_below(o, 2));
    if (memory) {
        bool locked = target_is(t, "xchg");

        if (flags & OP_LOCK && !oracle_below(o, 4)) {
            locked = true;
            memmove(in->bytes + 1, in->bytes, in->len++);
            in->bytes[0] = 0xf0;
        }
        oracle_memory(o, in, reg, locked);
    } else {
        in->bytes[in->len++] =
            (uint8_t)(0xc0 | reg << 3 | oracle_below(o, !rex && (byte || flags & OP_RM8) ? 8 : 4));
    }
}

static OracleInsn insn_make(Oracle *o, const Targets *all, unsigned n)
{
    const Target *t = &all->t[n];
    uint32_t flags = t->row->flags | t->member->flags;
    bool wide = t->row->size != SIZE_V || oracle_below(o, 3);
    unsigned size = t->row->size == SIZE_B ? 1 : wide ? 4 : 2, imm = 0, rex;
    unsigned kind = t->row->imm ? t->row->imm : t->member->imm;
    OracleInsn in = { .target = n };

    /* past the operand's size a double shift's result is open, too */
    if (target_is(t, "shld shrd")) size = 4;
    /* a bit string in memory reaches as far as its index says */
    bool bits = target_is(t, "bt bts btr btc") && t->reg < 0;
    if (size == 2) in.bytes[in.len++] = 0x66;
    /* REX makes SPL of AH, in the opcode too */
    rex = t->row->form == FORM_OPREG && (t->op & 7) > R_EBX ? 0 : oracle_rex(o, &in);
    if (rex & 8 && t->row->size == SIZE_V) size = 8;
    if (t->op > 0xff) in.bytes[in.len++] = 0x0f;
    in.bytes[in.len++] = (uint8_t)t->op;
    if (t->row->form == FORM_MODRM) insn_modrm(o, t, &in, flags, bits, rex);
    insn_immediate(o, &in, kind, size, &imm);
    in.undefined = target_undefined(t, size, imm);
    return in;
}

static void run_slots(Oracle *o, Targets *all, uint64_t cases)
{
    OracleInsn insns[ORACLE_INSNS];
    unsigned next = 0;

    for (unsigned slot = 0; o->cases < cases; slot++) {
        unsigned want = 1 + oracle_below(o, ORACLE_INSNS), n = 0;
        uint32_t at;

        do { /* nothing behind one whose flags are open could be told from it */
            insns[n] = insn_make(o, all, n ? oracle_below(o, all->n) : next);
        } while (!insns[n++].undefined && n < want);
        next = (next + 1) % all->n;
        at = oracle_place(o, slot % ORACLE_SLOTS, insns, n);
        for (unsigned k = 0; k < ROUNDS; k++) {
            if (!oracle_case(o, at, insns, n)) continue;
            for (unsigned i = 0; i < n; i++) all->t[insns[i].target].ran++;
        }
    }
}

static bool lengthy(void) { return g_getenv("TEST_LONG") != NULL; }

static void test_integer(const void *wide)
{
    Oracle *o =
        oracle_new("max", wide != NULL, lengthy() ? 0x9e3779b97f4a7c15 : 0x2545f4914f6cdd1d);
    Targets *all = targets_new();

    run_slots(o, all, lengthy() ? LONG_CASES : CASES);
    for (unsigned i = 0; i < all->n; i++) {
        const Target *t = &all->t[i];

        if (!t->ran) g_error("never ran: %03x /%d %s", t->op, t->reg, t->member->name);
    }
    g_test_message("%u instructions, %llu cases", all->n, (unsigned long long)o->cases);
    g_free(all);
    oracle_free(o);
}

/* -- x87 -- */

/* Whether it loads a control word, which may unmask what the rest of a sequence must not have. */
static bool x87_loads_control(const OracleInsn *in)
{
    unsigned op = in->bytes[0], modrm = in->bytes[1], reg = modrm >> 3 & 7;

    return modrm < 0xc0 && ((op == 0xd9 && (reg == 4 || reg == 5)) || (op == 0xdd && reg == 4));
}

static OracleInsn x87_make(Oracle *o)
{
    OracleInsn in = { .target = 0 };
    unsigned op = 0xd8 + oracle_below(o, 8), reg = oracle_below(o, 8);

    if (o->scaling) { /* the four operations alone */
        op &= 0xfe;
        while (reg == 2 || reg == 3) reg = oracle_below(o, 8);
    }
    in.bytes[in.len++] = (uint8_t)op;
    if (oracle_below(o, 2) && (!o->scaling || op != 0xda)) {
        in.bytes[in.len++] =
            (uint8_t)(0xc0 | (o->scaling ? reg << 3 | oracle_below(o, 8) : oracle_below(o, 64)));
        return in;
    }
    /* FNSTENV and FNSAVE store pointers, which are 64 bits wide natively */
    while ((op == 0xd9 || op == 0xdd) && reg == 6) reg = oracle_below(o, 8);
    in.target = 1;
    oracle_memory(o, &in, reg, false);
    return in;
}

static void x87_cases(bool scaling)
{
    Oracle *o = oracle_new("max", false, lengthy() ? 0x123456789abcdef1 : 0xf4914f6cdd1d2545);
    uint64_t ran[2] = { 0, 0 };

    o->x87 = true;
    o->scaling = scaling;
    for (unsigned slot = 0; o->cases < (lengthy() ? LONG_CASES : CASES); slot++) {
        OracleInsn insns[ORACLE_INSNS];
        unsigned n = 0, want = 1 + oracle_below(o, ORACLE_INSNS);
        uint32_t at;

        do {
            insns[n] = x87_make(o);
        } while (!x87_loads_control(&insns[n++]) && n < want);
        at = oracle_place(o, slot % ORACLE_SLOTS, insns, n);
        for (unsigned k = 0; k < ROUNDS; k++) ran[insns[0].target] += oracle_case(o, at, insns, n);
    }
    g_test_message("%llu cases, without exception %llu and %llu", (unsigned long long)o->cases,
        (unsigned long long)ran[0], (unsigned long long)ran[1]);
    g_assert_cmpint(MIN_OF(ran[0], ran[1]), >, CASES / 10);
    oracle_free(o);
}

static void test_x87(void) { x87_cases(false); }
static void test_x87_scaling(void) { x87_cases(true); }

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/cpu/oracle/integer", NULL, test_integer);
    g_test_add_data_func("/cpu/oracle/integer64", "64-bit code", test_integer);
    g_test_add_func("/cpu/oracle/x87", test_x87);
    g_test_add_func("/cpu/oracle/x87-scaling", test_x87_scaling);
    return g_test_run();
}
