/* SPDX-License-Identifier: MIT */
/*
 * The decoder against Zydis, in 16, 32 and 64-bit code: every opcode of one to three bytes with
 * every ModRM and every combination of prefixes (in the short run a part of the ModRM bytes), and
 * random bytes.  Compared are length, validity, address and operand sizes, registers, the parts of
 * an address, its segment and immediates.
 */
#include "cpu/dispatch.h"
#include "tests/unit/cpu_machine.h"

#include "cpu/opcodes.h"

#ifdef HAVE_ZYDIS
#include <Zydis/Zydis.h>

enum { OPCODES = 1024, RANDOM = 300000, LONG_RANDOM = 100000000 };

typedef struct Judge {
    Cpu *cpu;
    ZydisDecoder zd[3];
    uint64_t seed, cases;
    bool valid_seen[3][OPCODES]; /* by both */
} Judge;

static uint32_t rnd(Judge *j)
{
    j->seed ^= j->seed << 13;
    j->seed ^= j->seed >> 7;
    j->seed ^= j->seed << 17;
    return (uint32_t)(j->seed >> 16);
}

/* Instruction sets that the model "max" has, as Zydis names them. */
static bool isa_ours(const Cpu *cpu, ZydisISASet isa)
{
    static const uint8_t ours[] = { ZYDIS_ISA_SET_I86, ZYDIS_ISA_SET_I186,
        ZYDIS_ISA_SET_I286PROTECTED, ZYDIS_ISA_SET_I286REAL, ZYDIS_ISA_SET_I386, ZYDIS_ISA_SET_I486,
        ZYDIS_ISA_SET_I486REAL, ZYDIS_ISA_SET_PENTIUMREAL, ZYDIS_ISA_SET_PENTIUMMMX,
        ZYDIS_ISA_SET_PPRO, ZYDIS_ISA_SET_CMOV, ZYDIS_ISA_SET_X87, ZYDIS_ISA_SET_FCMOV,
        ZYDIS_ISA_SET_LONGMODE, ZYDIS_ISA_SET_CMPXCHG16B, ZYDIS_ISA_SET_LAHF, ZYDIS_ISA_SET_FAT_NOP,
        ZYDIS_ISA_SET_SSE, ZYDIS_ISA_SET_SSE2, ZYDIS_ISA_SET_SSE2MMX, ZYDIS_ISA_SET_SSE3,
        ZYDIS_ISA_SET_SSE3X87, ZYDIS_ISA_SET_SSE4, ZYDIS_ISA_SET_SSE42, ZYDIS_ISA_SET_SSSE3,
        ZYDIS_ISA_SET_SSSE3MMX, ZYDIS_ISA_SET_SSEMXCSR, ZYDIS_ISA_SET_SSE_PREFETCH,
        ZYDIS_ISA_SET_POPCNT, ZYDIS_ISA_SET_MOVBE, ZYDIS_ISA_SET_RDRAND, ZYDIS_ISA_SET_RDSEED,
        ZYDIS_ISA_SET_RDTSCP, ZYDIS_ISA_SET_RDWRFSGS, ZYDIS_ISA_SET_SMAP, ZYDIS_ISA_SET_CLFSH,
        ZYDIS_ISA_SET_FXSAVE, ZYDIS_ISA_SET_FXSAVE64, ZYDIS_ISA_SET_PAUSE,
        ZYDIS_ISA_SET_PREFETCH_NOP };

    if (isa == ZYDIS_ISA_SET_AES) return opcode_built_in(cpu, NEED_AES);
    if (isa == ZYDIS_ISA_SET_PCLMULQDQ) return opcode_built_in(cpu, NEED_PCLMULQDQ);
    return memchr(ours, (int)isa, sizeof(ours)) != NULL;
}

/* A three-byte opcode is 2xx or 3xx. */
static const OpRow *row_of(unsigned op, const Insn *in)
{
    unsigned prefix = in->rep == 0xf3       ? ROW_F3
                      : in->rep == 0xf2     ? ROW_F2
                      : in->flags & INSN_66 ? ROW_66
                                            : ROW_NP;

    if (op >= 0x300) return &opcodes_0f3a[op & 0xff][prefix];
    if (op >= 0x200) return &opcodes_0f38[op & 0xff][prefix];
    return opcodes[op].prefixed ? &opcodes[op].prefixed[prefix] : &opcodes[op];
}

static void complain(const uint8_t *code, unsigned bits, const char *what, long a, long b)
{
    GString *s = g_string_new(NULL);

    for (int i = 0; i < 15; i++) g_string_append_printf(s, "%02x ", code[i]);
    g_error("%s(%u) %s: ours %lx, zydis %lx", s->str, bits, what, a, b);
}

/* Where we and Zydis differ on purpose. */
static bool excused(const Cpu *cpu, const ZydisDecodedInstruction *z, bool z_ok, const Insn *in)
{
    if (!z_ok) {
        if (in->op >= 0xd8 && in->op <= 0xdf) return true; /* x87 decides when it runs */
        if (in->slow == op_mov_r_cr || in->slow == op_mov_cr_r) return true; /* likewise */
        if (in->slow == op_mov_r_dr || in->slow == op_mov_dr_r) return true;
        if (in->slow == op_syscall || in->slow == op_sysret) return true;
        /* MPX is a no-operation where it is not enabled; a repeat prefix without a meaning is
         * ignored here. */
        return in->op == 0x1a || in->op == 0x1b || in->rep;
    }
    if (!isa_ours(cpu, z->meta.isa_set)) return true;
    switch (z->mnemonic) {
    case ZYDIS_MNEMONIC_UD0: /* valid encodings of what raises #UD */
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2: return true;
    default: return false;
    }
}

static void compare_address(const uint8_t *code, unsigned bits, const Insn *in,
    const ZydisDecodedInstruction *z, const ZydisDecodedOperand *op)
{
    static const uint8_t segs[] = { ZYDIS_REGISTER_ES, ZYDIS_REGISTER_CS, ZYDIS_REGISTER_SS,
        ZYDIS_REGISTER_DS, ZYDIS_REGISTER_FS, ZYDIS_REGISTER_GS };
    int base = op->mem.base == ZYDIS_REGISTER_NONE  ? REG_NONE
               : op->mem.base == ZYDIS_REGISTER_RIP ? REG_PC
               : op->mem.base == ZYDIS_REGISTER_EIP ? REG_PC
                                                    : ZydisRegisterGetId(op->mem.base);
    int index = op->mem.index == ZYDIS_REGISTER_NONE ? REG_NONE : ZydisRegisterGetId(op->mem.index);

    /* Zydis 4.0 takes REX.B for a base where there is none */
    bool none = in->base == REG_NONE && z->raw.modrm.mod == 0 && z->raw.sib.base == 5;

    if (in->base != base && !none) complain(code, bits, "base", in->base, base);
    if (in->index != index) complain(code, bits, "index", in->index, index);
    if (index != REG_NONE && 1 << in->scale != (op->mem.scale ? op->mem.scale : 1))
        complain(code, bits, "scale", in->scale, op->mem.scale);
    if (op->mem.type != ZYDIS_MEMOP_TYPE_AGEN && segs[in->seg % 6] != op->mem.segment &&
        (bits != 64 || in->seg >= R_FS))
        complain(code, bits, "segment", in->seg, op->mem.segment);
}

/* Sizes of what is no plain integer operand: the instruction's own matter. */
static bool size_is_special(const ZydisDecodedInstruction *z, const OpRow *row, const Insn *in)
{
    const OpRow *member = row->group ? &row->group[in->modrm >> 3 & 7] : row;

    if (row->sse || member->sse || in->flags & (INSN_MID | INSN_SLOW)) return true;
    if (row->flags & OP_SEGREG || member->fns == &nop_fns) return true;
    switch (z->mnemonic) {
    case ZYDIS_MNEMONIC_LEA:
    case ZYDIS_MNEMONIC_MOVSXD: /* with 66: words for Intel's, doublewords for AMD's */
    case ZYDIS_MNEMONIC_CMPXCHG8B:
    case ZYDIS_MNEMONIC_CMPXCHG16B: return true;
    default: return false;
    }
}

static void compare_register(
    const uint8_t *code, unsigned bits, unsigned ours, const ZydisDecodedOperand *op)
{
    ZydisRegisterClass c = ZydisRegisterGetClass(op->reg.value);
    int theirs = ZydisRegisterGetId(op->reg.value);

    if (c == ZYDIS_REGCLASS_GPR8 && op->reg.value >= ZYDIS_REGISTER_SPL) theirs -= 4;
    if (c == ZYDIS_REGCLASS_MMX || c == ZYDIS_REGCLASS_SEGMENT) ours &= 7;
    if (c == ZYDIS_REGCLASS_X87 || c == ZYDIS_REGCLASS_SEGMENT || c == ZYDIS_REGCLASS_CONTROL ||
        c == ZYDIS_REGCLASS_DEBUG || c == ZYDIS_REGCLASS_BOUND)
        return;
    if ((int)ours != theirs) complain(code, bits, "register", ours, theirs);
}

static void compare_operands(const uint8_t *code, unsigned bits, unsigned op, const Insn *in,
    const ZydisDecodedInstruction *z, const ZydisDecodedOperand *ops)
{
    const OpRow *row = row_of(op, in);
    bool special = size_is_special(z, row, in);
    unsigned rm_size = row->flags & OP_RM8 ? 1 : row->flags & OP_RM16 ? 2 : in->opsize;

    for (unsigned i = 0; i < z->operand_count_visible; i++) {
        const ZydisDecodedOperand *o = &ops[i];

        switch (o->encoding) {
        case ZYDIS_OPERAND_ENCODING_MODRM_REG:
            if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) compare_register(code, bits, in->reg, o);
            if (!special && o->size != in->opsize * 8u &&
                ZydisRegisterGetClass(o->reg.value) != ZYDIS_REGCLASS_SEGMENT)
                complain(code, bits, "register's size", in->opsize * 8, o->size);
            break;
        case ZYDIS_OPERAND_ENCODING_MODRM_RM:
            if (o->type == ZYDIS_OPERAND_TYPE_REGISTER)
                compare_register(code, bits, in->rm, o);
            else if (o->type == ZYDIS_OPERAND_TYPE_MEMORY)
                compare_address(code, bits, in, z, o);
            if (!special && o->size != rm_size * 8u)
                complain(code, bits, "operand's size", rm_size * 8, o->size);
            break;
        default: break;
        }
    }
}

static void compare_fields(
    const uint8_t *code, unsigned bits, const Insn *in, const ZydisDecodedInstruction *z)
{
    uint64_t disp = (uint64_t)z->raw.disp.value + (in->base == REG_PC ? in->len : 0);

    if (in->len != z->length) complain(code, bits, "length", in->len, z->length);
    /* MPX, a no-operation here, has no 32-bit addresses in 64-bit code */
    if (in->adsize * 8 != z->address_width && z->meta.isa_set != ZYDIS_ISA_SET_MPX)
        complain(code, bits, "address size", in->adsize * 8, z->address_width);
    if (z->raw.disp.size && !(in->flags & INSN_REL) &&
        ((uint64_t)in->disp ^ disp) & (UINT64_MAX >> (64 - 8 * in->adsize)))
        complain(code, bits, "displacement", in->disp, (long)disp);
    if (z->raw.imm[0].size &&
        (in->imm ^ z->raw.imm[0].value.u) & (UINT64_MAX >> (64 - z->raw.imm[0].size)))
        complain(code, bits, "immediate", (long)in->imm, (long)z->raw.imm[0].value.s);
}

/* op: where it is known, as in Judge.valid_seen, or OPCODES. */
static void compare(Judge *j, const uint8_t *code, unsigned mode, unsigned op)
{
    static const uint32_t modes[] = { 0, MODE_CS32 | MODE_SS32, MODE_LM | MODE_CS64 };
    unsigned bits = 16u << mode;
    ZydisDecodedInstruction z;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecoderContext context;
    bool z_ok = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&j->zd[mode], &context, code, 15, &z));
    Insn in = { .off = 0 };
    enum DecodeResult r = insn_decode(j->cpu, MODE_PE | modes[mode], code, 15, &in);
    bool ok = r == DECODE_OK && in.fn != op_ud;

    j->cases++;
    if (r != DECODE_OK && z_ok) complain(code, bits, "result", r, 0);
    if (ok != z_ok && !excused(j->cpu, &z, z_ok, &in)) complain(code, bits, "validity", ok, z_ok);
    if (!ok || !z_ok) return;
    compare_fields(code, bits, &in, &z);
    if (op == OPCODES || !isa_ours(j->cpu, z.meta.isa_set)) return;
    j->valid_seen[mode][op] = true;
    if (ZYAN_SUCCESS(ZydisDecoderDecodeOperands(&j->zd[mode], &context, &z, ops, z.operand_count)))
        compare_operands(code, bits, op, &in, &z, ops);
}

/* Any combination of the classes of prefixes, in their usual order. */
static unsigned put_prefixes(uint8_t *code, unsigned combination)
{
    static const uint8_t groups[] = { 0, 0xf0, 0xf2, 0xf3 }, segs[] = { 0, 0x36, 0x65 };
    unsigned n = 0;

    if (combination & 1) code[n++] = 0x66;
    if (combination & 2) code[n++] = 0x67;
    if (groups[combination >> 2 & 3]) code[n++] = groups[combination >> 2 & 3];
    if (segs[(combination >> 4) % 3]) code[n++] = segs[(combination >> 4) % 3];
    return n;
}

/* Without REX in 64-bit code, and everywhere else: rex 0. */
static void compare_opcode(
    Judge *j, unsigned op, unsigned combination, unsigned rex, unsigned modrm)
{
    uint8_t code[16];
    unsigned n;

    for (unsigned i = 0; i < 15; i++) code[i] = (uint8_t)rnd(j);
    n = put_prefixes(code, combination);
    if (rex) code[n++] = (uint8_t)rex;
    if (op > 0xff) code[n++] = 0x0f;
    if (op > 0x1ff) code[n++] = op > 0x2ff ? 0x3a : 0x38;
    code[n++] = (uint8_t)op;
    code[n] = (uint8_t)modrm;
    for (unsigned mode = rex ? 2 : 0; mode < 3; mode++) {
        bool prefix = mode == 2 && (op & ~15u) == 0x40;

        compare(j, code, mode, prefix ? OPCODES : op);
    }
}

/* What stands for no opcode: prefixes and escapes. */
static bool is_opcode(unsigned op)
{
    static const uint8_t none[] = { 0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0,
        0xf2, 0xf3 };

    if (op == 0x138 || op == 0x13a) return false;
    return op > 0xff || !memchr(none, (int)op, sizeof(none));
}

static Judge *judge_new(Machine **m)
{
    Judge *j = g_new0(Judge, 1);

    *m = test_machine_new("max");
    j->cpu = test_cpu(*m);
    j->seed = (uint64_t)(uint32_t)g_test_rand_int() << 32 | 0x12345;
    ZydisDecoderInit(&j->zd[0], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&j->zd[1], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    ZydisDecoderInit(&j->zd[2], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return j;
}

static bool lengthy(void) { return g_getenv("TEST_LONG") != NULL; }

static void test_opcodes(void)
{
    Machine *m;
    Judge *j = judge_new(&m);
    unsigned step = lengthy() ? 1 : 13, seen = 0; /* coprime to 256: all of them in the end */

    for (unsigned op = 0; op < OPCODES; op++) {
        unsigned modrm = 0;

        if (!is_opcode(op)) continue;
        for (unsigned c = 0; c < 48; c++)
            for (unsigned i = 0; i < 256; i += step, modrm += step) {
                compare_opcode(j, op, c, 0, modrm);
                if (lengthy()) {
                    for (unsigned rex = 0x40; rex < 0x50; rex++) compare_opcode(j, op, c, rex, i);
                } else {
                    compare_opcode(j, op, c, 0x40 | (rnd(j) & 15), modrm);
                }
            }
    }
    for (unsigned op = 0; op < OPCODES; op++) {
        bool any = j->valid_seen[0][op] || j->valid_seen[1][op] || j->valid_seen[2][op];

        seen += any;
    }
    g_test_message("%llu encodings, %u opcodes", (unsigned long long)j->cases, seen);
    g_assert_cmpuint(seen, >, 540);
    machine_free(m);
    g_free(j);
}

static void test_random(void)
{
    static const uint8_t prefixes[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x64, 0x48, 0x45,
        0x0f };
    Machine *m;
    Judge *j = judge_new(&m);
    uint8_t code[16];

    for (unsigned i = 0; i < (lengthy() ? LONG_RANDOM : RANDOM); i++) {
        for (unsigned k = 0; k < 15; k++) code[k] = (uint8_t)rnd(j);
        for (unsigned k = rnd(j) % 6; k--;) code[k] = prefixes[rnd(j) % ARRAY_SIZE(prefixes)];
        for (unsigned mode = 0; mode < 3; mode++) compare(j, code, mode, OPCODES);
    }
    machine_free(m);
    g_free(j);
}
#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#ifdef HAVE_ZYDIS
    g_test_add_func("/decode/zydis/opcodes", test_opcodes);
    g_test_add_func("/decode/zydis/random", test_random);
#endif
    return g_test_run();
}
