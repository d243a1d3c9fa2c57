/* SPDX-License-Identifier: MIT */
/*
 * Every SSE and MMX instruction of the opcode table against the host's CPU: random operands, all
 * rounding modes, masked and unmasked exceptions, aligned and unaligned memory, in sequences.
 */
#include "tests/unit/oracle.h"

#include "cpu/sse_ops.h"

enum { MAX_TARGETS = 800, CASES = 150000, LONG_CASES = 20000000, ROUNDS = 40 };

/* A row of the table, or a group's member. */
typedef struct Target {
    const OpRow *row, *member;
    uint8_t prefix, escape, op; /* 66, F2, F3 or 0; 38, 3A or 0 */
    int reg;                    /* of a group's member, or -1 */
    uint64_t ran;               /* without an exception */
} Target;

typedef struct Targets {
    Target t[MAX_TARGETS];
    unsigned n;
} Targets;

static void target_add(Targets *all, Target t)
{
    static const uint8_t prefixes[] = { 0, 0x66, 0xf3, 0xf2 };

    t.prefix = prefixes[t.prefix];
    if (t.row->group) {
        for (t.reg = 0; t.reg < 8; t.reg++) {
            t.member = &t.row->group[t.reg];
            if (t.member->name) all->t[all->n++] = t;
        }
    } else if (t.row->name) {
        t.reg = -1;
        t.member = t.row;
        all->t[all->n++] = t;
    }
    g_assert_cmpint(all->n, <, MAX_TARGETS - 8);
}

/* What cannot be compared: FXSAVE's reserved bytes. */
static bool target_wanted(const Target *t)
{
    return t->member->slow != op_fxsave && t->member->slow != op_fxrstor;
}

static Targets *targets_new(void)
{
    Targets *all = g_new0(Targets, 1), *some = g_new0(Targets, 1);

    for (unsigned op = 0; op < 256; op++) {
        for (unsigned p = 0; p < ROW_PREFIXES; p++) {
            const uint8_t prefix = (uint8_t)p, opcode = (uint8_t)op;

            target_add(all, (Target){ &opcodes_0f[op][p], NULL, prefix, 0, opcode, 0, 0 });
            target_add(all, (Target){ &opcodes_0f38[op][p], NULL, prefix, 0x38, opcode, 0, 0 });
            target_add(all, (Target){ &opcodes_0f3a[op][p], NULL, prefix, 0x3a, opcode, 0, 0 });
        }
    }
    target_add(all, (Target){ &opcodes[0x1ae].prefixed[ROW_NP], NULL, 0, 0, 0xae, 0, 0 });
    for (unsigned i = 0; i < all->n; i++) {
        if (target_wanted(&all->t[i])) some->t[some->n++] = all->t[i];
    }
    g_free(all);
    return some;
}

static OracleInsn insn_make(Oracle *o, const Targets *all, unsigned n)
{
    const Target *t = &all->t[n];
    uint32_t flags = t->row->flags | t->member->flags;
    unsigned size = t->member->size ? t->member->size : t->row->size;
    unsigned limit = size == SIZE_Y || size == SIZE_V ? 4 : 8; /* ESI is none of the results */
    unsigned reg = t->reg >= 0 ? (unsigned)t->reg : oracle_below(o, limit);
    OracleInsn in = { .target = n };
    bool memory = flags & OP_MEM || (!(flags & OP_REG) && oracle_below(o, 2));

    if (t->prefix) in.bytes[in.len++] = t->prefix;
    oracle_rex(o, &in);
    in.bytes[in.len++] = 0x0f;
    if (t->escape) in.bytes[in.len++] = t->escape;
    in.bytes[in.len++] = t->op;
    if (t->row->form != FORM_MODRM) return in;
    if (memory) {
        oracle_memory(o, &in, reg, false);
    } else {
        in.bytes[in.len++] = (uint8_t)(0xc0 | reg << 3 | oracle_below(o, limit));
    }
    if (t->row->imm || t->member->imm) {
        unsigned imm = oracle_random(o) & 0xff;

        in.bytes[in.len++] = (uint8_t)(oracle_below(o, 2) ? imm : imm & 0x1f);
    }
    return in;
}

static void run_slots(Oracle *o, Targets *all, uint64_t cases)
{
    OracleInsn insns[ORACLE_INSNS];
    unsigned next = 0;

    for (unsigned slot = 0; o->cases < cases; slot++) {
        unsigned n = oracle_below(o, 3) ? 1 : 1 + oracle_below(o, ORACLE_INSNS);
        uint32_t at;

        for (unsigned i = 0; i < n; i++) {
            insns[i] = insn_make(o, all, i ? oracle_below(o, all->n) : next);
        }
        next = (next + 1) % all->n;
        at = oracle_place(o, slot % ORACLE_SLOTS, insns, n);
        for (unsigned k = 0; k < ROUNDS; k++) {
            if (!oracle_case(o, at, insns, n)) continue;
            for (unsigned i = 0; i < n; i++) all->t[insns[i].target].ran++;
        }
    }
}

static void test_all(const void *wide)
{
    bool lengthy = g_getenv("TEST_LONG") != NULL;
    Oracle *o = oracle_new("max", wide != NULL, lengthy ? 0x9e3779b97f4a7c15 : 0x2545f4914f6cdd1d);
    Targets *all = targets_new();

    run_slots(o, all, lengthy ? LONG_CASES : CASES);
    for (unsigned i = 0; i < all->n; i++) {
        const Target *t = &all->t[i];

        if (!t->ran)
            g_error("never ran: %02x 0f %02x %02x /%d", t->prefix, t->escape, t->op, t->reg);
    }
    g_test_message("%u instructions, %llu cases", all->n, (unsigned long long)o->cases);
    g_free(all);
    oracle_free(o);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/cpu/oracle/sse", NULL, test_all);
    g_test_add_data_func("/cpu/oracle/sse64", "64-bit code", test_all);
    return g_test_run();
}
