/* SPDX-License-Identifier: MIT */
/*
 * The decoder against Zydis: lengths, validity, address and operand fields; and by itself: the
 * 15-byte limit, LOCK, and that a decoder that is given too few bytes asks for more.
 */
#include "cpu/models.h"
#include "tests/unit/cpu_test.h"

static Machine *machine;
static Cpu *cpu;

static enum DecodeResult decode_as(unsigned bits, const uint8_t *code, unsigned avail, Insn *in)
{
    uint32_t mode = MODE_PE | (bits == 64 ? MODE_LM | MODE_CS64 : MODE_FLAT << R_DS);

    if (bits == 32) mode |= MODE_CS32 | MODE_SS32;
    in->off = 0;
    return insn_decode(cpu, mode, code, avail, in);
}

static enum DecodeResult decode(bool big, const uint8_t *code, unsigned avail, Insn *in)
{
    return decode_as(big ? 32 : 16, code, avail, in);
}

static bool valid(const Insn *in) { return in->fn != op_ud; }

static uint64_t seed;

static uint32_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

/* -- by itself -- */

static void test_length(void)
{
    uint8_t code[16];
    Insn in;

    memset(code, 0x66, sizeof(code));
    code[14] = 0x90;
    g_assert_cmpint(decode(true, code, 15, &in), ==, DECODE_OK);
    g_assert_cmpint(in.len, ==, 15);
    code[14] = 0x66;
    g_assert_cmpint(decode(true, code, 15, &in), ==, DECODE_LONG);
    code[13] = 0xb8; /* mov ax, imm16: one byte too many */
    g_assert_cmpint(decode(true, code, 15, &in), ==, DECODE_LONG);
}

static void test_more(void)
{
    static const uint8_t code[] = { 0x66, 0x81, 0x84, 0x8b, 1, 2, 3, 4, 5, 6 };
    Insn in;

    for (unsigned n = 0; n < sizeof(code); n++)
        g_assert_cmpint(decode(true, code, n, &in), ==, DECODE_MORE);
    g_assert_cmpint(decode(true, code, sizeof(code), &in), ==, DECODE_OK);
    g_assert_cmpint(in.len, ==, sizeof(code));
    g_assert_cmpint(in.opsize, ==, 2);
    g_assert_cmphex((uint32_t)in.disp, ==, 0x04030201);
    g_assert_cmphex(in.imm & 0xffff, ==, 0x0605);
}

static void test_lock(void)
{
    static const struct {
        uint8_t code[5];
        bool ok;
    } t[] = { { { 0xf0, 0x01, 0x00 }, true }, { { 0xf0, 0x01, 0xc0 }, false },
        { { 0xf0, 0x03, 0x00 }, false }, { { 0xf0, 0x39, 0x00 }, false },
        { { 0xf0, 0x83, 0x38, 0x00 }, false }, { { 0xf0, 0x83, 0x30, 0x00 }, true },
        { { 0xf0, 0x90 }, false }, { { 0xf0, 0x0f, 0xc7, 0x08 }, true },
        { { 0xf0, 0x0f, 0xa3, 0x00 }, false }, { { 0xf0, 0x0f, 0xab, 0x00 }, true },
        { { 0xf0, 0x89, 0x00 }, false }, { { 0xf0, 0x87, 0x00 }, true } };
    Insn in;

    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        g_assert_cmpint(decode(true, t[i].code, 5, &in), ==, DECODE_OK);
        if (valid(&in) != t[i].ok) g_error("lock case %u", i);
    }
}

#ifdef HAVE_ZYDIS
#include <Zydis/Zydis.h>

/* Instruction sets that this processor has, as Zydis names them. */
static bool isa_ours(const ZydisDecodedInstruction *z)
{
    switch (z->meta.isa_set) {
    case ZYDIS_ISA_SET_I86:
    case ZYDIS_ISA_SET_I186:
    case ZYDIS_ISA_SET_I286PROTECTED:
    case ZYDIS_ISA_SET_I286REAL:
    case ZYDIS_ISA_SET_I386:
    case ZYDIS_ISA_SET_I486:
    case ZYDIS_ISA_SET_I486REAL:
    case ZYDIS_ISA_SET_PENTIUMREAL:
    case ZYDIS_ISA_SET_PENTIUMMMX:
    case ZYDIS_ISA_SET_PPRO:
    case ZYDIS_ISA_SET_CMOV:
    case ZYDIS_ISA_SET_X87:
    case ZYDIS_ISA_SET_FCMOV:
    case ZYDIS_ISA_SET_LONGMODE:
    case ZYDIS_ISA_SET_CMPXCHG16B:
    case ZYDIS_ISA_SET_LAHF:
    case ZYDIS_ISA_SET_FAT_NOP: return true;
    default: return false;
    }
}

/* Where we and Zydis differ on purpose. */
static bool excused(const ZydisDecodedInstruction *z, bool z_ok, const Insn *in)
{
    static const uint8_t sse[] = { 0x70, 0xc4, 0xc5, 0xda, 0xde, 0xe0, 0xe3, 0xe4, 0xe7, 0xea, 0xee,
        0xf6, 0xf7 };

    if (!z_ok) {
        if (in->op >= 0xd8 && in->op <= 0xdf) return true; /* x87 decides when it runs */
        if (in->slow == op_mov_r_cr || in->slow == op_mov_cr_r) return true; /* likewise */
        if (in->slow == op_mov_r_dr || in->slow == op_mov_dr_r) return true;
        if (in->slow == op_syscall || in->slow == op_sysret) return true;
        /* MPX is a no-operation where it is not enabled; a repeat prefix without a meaning is
         * ignored here. */
        return in->op == 0x1a || in->op == 0x1b || in->rep;
    }
    if (!isa_ours(z)) return true;
    /* What SSE added to MMX. */
    if (z->opcode_map == ZYDIS_OPCODE_MAP_0F && memchr(sse, z->opcode, sizeof(sse))) return true;
    switch (z->mnemonic) {
    case ZYDIS_MNEMONIC_UD0: /* valid encodings of what raises #UD */
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2: return true;
    default: return false;
    }
}

static void complain(const uint8_t *code, unsigned bits, const char *what, long a, long b)
{
    GString *s = g_string_new(NULL);

    for (int i = 0; i < 15; i++) g_string_append_printf(s, "%02x ", code[i]);
    g_error("%s(%u) %s: ours %lx, zydis %lx", s->str, bits, what, a, b);
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
    if (z->raw.imm[0].size && !z->raw.imm[0].is_relative && z->raw.imm[0].size <= 32 &&
        (in->imm ^ z->raw.imm[0].value.u) & ((1ull << z->raw.imm[0].size) - 1))
        complain(code, bits, "immediate", (long)in->imm, (long)z->raw.imm[0].value.s);
}

static void compare(const ZydisDecoder *zd, const uint8_t *code, unsigned bits)
{
    ZydisDecodedInstruction z;
    bool z_ok = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(zd, NULL, code, 15, &z));
    Insn in;
    enum DecodeResult r = decode_as(bits, code, 15, &in);
    bool ok = r == DECODE_OK && valid(&in);

    if (r != DECODE_OK && z_ok) complain(code, bits, "result", r, 0);
    if (ok && z_ok) compare_fields(code, bits, &in, &z);
    if (ok != z_ok && !excused(&z, z_ok, &in)) complain(code, bits, "validity", ok, z_ok);
}

static void compare_modes(ZydisDecoder zd[3], const uint8_t *code)
{
    compare(&zd[0], code, 16);
    compare(&zd[1], code, 32);
    compare(&zd[2], code, 64);
}

static void test_zydis(void)
{
    static const uint8_t prefixes[] = { 0, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x64, 0x48, 0x45 };
    ZydisDecoder zd[3];
    uint8_t code[16];

    ZydisDecoderInit(&zd[0], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&zd[1], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    ZydisDecoderInit(&zd[2], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    seed = (uint64_t)(uint32_t)g_test_rand_int() << 32 | 0x12345;
    /* Every opcode of one and two bytes with every ModRM, with each prefix. */
    for (unsigned p = 0; p < ARRAY_SIZE(prefixes); p++)
        for (unsigned op = 0; op < 512; op++)
            for (unsigned modrm = 0; modrm < 256; modrm++) {
                unsigned n = 0;

                for (unsigned i = 0; i < 15; i++) code[i] = (uint8_t)rnd();
                if (prefixes[p]) code[n++] = prefixes[p];
                if (op > 255) code[n++] = 0x0f;
                code[n++] = (uint8_t)op;
                code[n] = (uint8_t)modrm;
                compare_modes(zd, code);
            }
    /* Anything. */
    for (unsigned i = 0; i < 500000; i++) {
        for (unsigned k = 0; k < 15; k++) code[k] = (uint8_t)rnd();
        for (unsigned k = rnd() % 4; k--;) code[k] = prefixes[rnd() % ARRAY_SIZE(prefixes)];
        compare_modes(zd, code);
    }
}
#endif

int main(int argc, char **argv)
{
    int r;

    g_test_init(&argc, &argv, NULL);
    machine = test_machine();
    cpu = test_cpu(machine);
    cpu->features.edx80000001 |= 1u << FEAT_SYSCALL | 1u << FEAT_LM | 1u << FEAT_RDTSCP;
    cpu->features.ecx80000001 |= 1u << FEAT_LAHF;
    cpu->features.ecx1 |= 1u << FEAT_CX16;
    g_test_add_func("/decode/length", test_length);
    g_test_add_func("/decode/more", test_more);
    g_test_add_func("/decode/lock", test_lock);
#ifdef HAVE_ZYDIS
    g_test_add_func("/decode/zydis", test_zydis);
#endif
    r = g_test_run();
    machine_free(machine);
    return r;
}
