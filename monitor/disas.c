/* SPDX-License-Identifier: MIT */
/* Disassembly in AT&T syntax, by Zydis where it was built in. */
#include "monitor/disas.h"

#include <inttypes.h>

#include "cpu/cpu.h"

#ifdef HAVE_ZYDIS
#include <Zydis/Zydis.h>

enum { DISAS_BYTES_COLUMN = 23 };

/* 16, 32 or 64 bits: by the code segment, or by CR0.PE where the CPU does not tell. */
static void disas_init(Machine *m, ZydisDecoder *decoder)
{
    uint64_t bits = 0, cr0 = 0;

    if (!cpu_register(m, "code_bits", &bits)) {
        cpu_register(m, "cr0", &cr0);
        bits = cr0 & 1 ? 32 : 16;
    }
    if (bits == 64)
        ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    else if (bits == 32)
        ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    else
        ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
}

static size_t disas_read(Machine *m, bool physical, uint64_t addr, uint8_t *buf)
{
    size_t n = 0;

    if (physical) {
        mem_read(m, (MemAttrs){ 0 }, addr, buf, DISAS_MAX);
        return DISAS_MAX;
    }
    while (n < DISAS_MAX && cpu_read_virtual(m, addr + n, buf + n, 1)) n++;
    return n;
}

static void disas_line(Sink *out, uint64_t addr, const uint8_t *code, size_t len, const char *text)
{
    GString *line = g_string_new(NULL);

    g_string_printf(line, "0x%08" PRIx64 ":  ", addr);
    size_t start = line->len;
    for (size_t i = 0; i < len; i++) g_string_append_printf(line, "%02x ", code[i]);
    while (line->len < start + DISAS_BYTES_COLUMN) g_string_append_c(line, ' ');
    sink_printf(out, "%s %s\n", line->str, text);
    g_string_free(line, TRUE);
}

void disas_print(Machine *m, Sink *out, bool physical, uint64_t addr, int count)
{
    ZydisDecoder decoder;
    ZydisFormatter formatter;
    uint8_t code[DISAS_MAX];
    char text[256];

    disas_init(m, &decoder);
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_ATT);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
    while (count-- > 0) {
        ZydisDecodedInstruction insn;
        ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
        size_t n = disas_read(m, physical, addr, code);
        if (!n) {
            sink_printf(out, "0x%08" PRIx64 ":  Cannot access memory\n", addr);
            return;
        }
        if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, n, &insn, operands)) &&
            ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &insn, operands,
                insn.operand_count_visible, text, sizeof(text), addr, NULL))) {
            disas_line(out, addr, code, insn.length, text);
            addr += insn.length;
        } else {
            g_snprintf(text, sizeof(text), ".byte    0x%02x", code[0]);
            disas_line(out, addr, code, 1, text);
            addr++;
        }
    }
}

#else

void disas_print(Machine *m, Sink *out, bool physical, uint64_t addr, int count)
{
    (void)m, (void)physical, (void)addr, (void)count;
    sink_printf(out, "this build has no disassembler (configure --enable-zydis)\n");
}

#endif
