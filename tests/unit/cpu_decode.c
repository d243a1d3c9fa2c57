/* SPDX-License-Identifier: MIT */
/*
 * The decoder by itself: the 15-byte limit, LOCK, and that a decoder that is given too few bytes
 * asks for more.
 */
#include "tests/unit/cpu_test.h"

static Machine *machine;
static Cpu *cpu;

static enum DecodeResult decode(bool big, const uint8_t *code, unsigned avail, Insn *in)
{
    uint32_t mode = MODE_PE | MODE_FLAT << R_DS | (big ? MODE_CS32 | MODE_SS32 : 0);

    in->off = 0;
    return insn_decode(cpu, mode, code, avail, in);
}

static bool valid(const Insn *in) { return in->fn != op_ud; }

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

int main(int argc, char **argv)
{
    int r;

    g_test_init(&argc, &argv, NULL);
    machine = test_machine();
    cpu = test_cpu(machine);
    g_test_add_func("/decode/length", test_length);
    g_test_add_func("/decode/more", test_more);
    g_test_add_func("/decode/lock", test_lock);
    r = g_test_run();
    machine_free(machine);
    return r;
}
