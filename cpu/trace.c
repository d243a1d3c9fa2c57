/* SPDX-License-Identifier: MIT */
/* Traces of decoded blocks and executed instructions: see trace.h. */
#include "cpu/trace.h"

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
    uint32_t mode, uint32_t eip, const uint8_t *code, unsigned len, char text[TRACE_TEXT])
{
#ifdef HAVE_ZYDIS
    ZydisMachineMode zmode =
        mode & MODE_CS32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16;
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

void trace_block(Cpu *cpu, const Block *b)
{
    Log *log = &cpu->dev.m->log;
    uint32_t eip = (uint32_t)cpu->s.eip;
    char text[TRACE_TEXT];

    log_printf(log, "----------------\nIN: cs=%04x base=%08x mode=%04x\n",
        cpu->s.segs[R_CS].selector, (uint32_t)cpu->s.segs[R_CS].base, b->mode);
    for (int i = 0; i < b->count; i++) {
        const Insn *in = &b->insns[i];
        uint8_t code[INSN_MAX];
        unsigned room = PAGE_SIZE - (unsigned)((uintptr_t)(b->host + in->off) & PAGE_MASK);

        for (unsigned k = 0; k < in->len; k++)
            code[k] = k < room ? b->host[in->off + k] : b->host2[k - room];
        trace_disassemble(b->mode, eip + in->off, code, in->len, text);
        log_printf(log, "0x%08x:  %s\n", eip + in->off, text);
    }
}

void trace_exec(Cpu *cpu)
{
    const struct CpuState *s = &cpu->s;

    log_printf(&cpu->dev.m->log,
        "%04x:%08x EAX=%08x EBX=%08x ECX=%08x EDX=%08x ESI=%08x EDI=%08x EBP=%08x ESP=%04x:%08x "
        "EFL=%08x\n",
        s->segs[R_CS].selector, (uint32_t)s->eip, (uint32_t)s->regs[R_EAX],
        (uint32_t)s->regs[R_EBX], (uint32_t)s->regs[R_ECX], (uint32_t)s->regs[R_EDX],
        (uint32_t)s->regs[R_ESI], (uint32_t)s->regs[R_EDI], (uint32_t)s->regs[R_EBP],
        s->segs[R_SS].selector, (uint32_t)s->regs[R_ESP], cpu_get_eflags(cpu));
}
