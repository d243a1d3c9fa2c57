/* SPDX-License-Identifier: MIT */
/* Traces of decoded blocks and executed instructions: see trace.h. */
#include "cpu/trace.h"

#include <inttypes.h>
#include <stdio.h>

#ifdef HAVE_ZYDIS
#include <Zydis/Zydis.h>
#endif

enum { TRACE_TEXT = 160 };

static void trace_bytes(const uint8_t *code, unsigned len, char text[TRACE_TEXT])
{
    unsigned n = 0;

    for (unsigned i = 0; i < len; i++) n += (unsigned)sprintf(text + n, "%02x ", code[i]);
    text[n ? n - 1 : 0] = 0;
}

static void trace_disassemble(
    uint32_t mode, uint64_t eip, const uint8_t *code, unsigned len, char text[TRACE_TEXT])
{
#ifdef HAVE_ZYDIS
    ZydisMachineMode zmode = mode & MODE_CS64   ? ZYDIS_MACHINE_MODE_LONG_64
                             : mode & MODE_CS32 ? ZYDIS_MACHINE_MODE_LEGACY_32
                                                : ZYDIS_MACHINE_MODE_LEGACY_16;
    ZydisDisassembledInstruction z;

    if (ZYAN_SUCCESS(ZydisDisassembleIntel(zmode, eip, code, len, &z))) {
        snprintf(text, TRACE_TEXT, "%s", z.text);
        return;
    }
#else
    (void)mode, (void)eip;
#endif
    trace_bytes(code, len, text);
}

/* Instruction i of a block that begins at eip. */
static void trace_insn(const Block *b, int i, uint64_t eip, char text[TRACE_TEXT])
{
    const Insn *in = &b->insns[i];
    uint8_t code[INSN_MAX];
    unsigned room = PAGE_SIZE - (unsigned)((uintptr_t)(b->host + in->off) & PAGE_MASK);

    for (unsigned k = 0; k < in->len; k++)
        code[k] = k < room ? b->host[in->off + k] : b->host2[k - room];
    trace_disassemble(b->mode, eip + in->off, code, in->len, text);
}

void trace_block(Cpu *cpu, const Block *b)
{
    Log *log = &cpu->dev.m->log;
    uint64_t eip = cpu->s.eip;
    char text[TRACE_TEXT];

    log_printf(log, "----------------\nIN: cs=%04x base=%08x mode=%04x\n",
        cpu->s.segs[R_CS].selector, (uint32_t)cpu->code_base, b->mode);
    for (int i = 0; i < b->count; i++) {
        trace_insn(b, i, eip, text);
        log_printf(log, "0x%08" PRIx64 ":  %s\n", eip + b->insns[i].off, text);
    }
}

static void trace_exec64(Cpu *cpu, const char *text)
{
    static const char *const names[16] = { "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
        "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15" };
    Log *log = &cpu->dev.m->log;

    log_printf(log, "%04x:%016" PRIx64, cpu->s.segs[R_CS].selector, cpu->s.eip);
    for (int i = 0; i < 16; i++)
        log_printf(log, " %s=%016" PRIx64, names[i], (uint64_t)cpu->s.regs[i]);
    log_printf(log, " EFL=%08x  %s\n", cpu_get_eflags(cpu), text);
}

void trace_exec(Cpu *cpu, const Block *b)
{
    const struct CpuState *s = &cpu->s;
    char text[TRACE_TEXT] = "";

    if (b->host) trace_insn(b, 0, s->eip, text); /* else: code in no RAM */
    if (cpu_code64(cpu)) {
        trace_exec64(cpu, text);
        return;
    }
    log_printf(&cpu->dev.m->log,
        "%04x:%08x EAX=%08x EBX=%08x ECX=%08x EDX=%08x ESI=%08x EDI=%08x EBP=%08x ESP=%04x:%08x "
        "EFL=%08x  %s\n",
        s->segs[R_CS].selector, (uint32_t)s->eip, (uint32_t)s->regs[R_EAX],
        (uint32_t)s->regs[R_EBX], (uint32_t)s->regs[R_ECX], (uint32_t)s->regs[R_EDX],
        (uint32_t)s->regs[R_ESI], (uint32_t)s->regs[R_EDI], (uint32_t)s->regs[R_EBP],
        s->segs[R_SS].selector, (uint32_t)s->regs[R_ESP], cpu_get_eflags(cpu), text);
}
