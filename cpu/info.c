/* SPDX-License-Identifier: MIT */
/*
 * What the monitor shows of a CPU: registers and page tables.  Nothing here changes any state,
 * accessed bits included.
 */
#include <stdio.h>
#include <string.h>

#include "core/command.h"
#include "cpu/cpu.h"
#include "cpu/cpus.h"
#include "cpu/state.h"

enum {
    PTE_P = 1,
    PTE_W = 2,
    PTE_U = 4,
    PTE_PWT = 8,
    PTE_PCD = 16,
    PTE_A = 32,
    PTE_D = 64,
    PTE_PS = 128,
    PTE_G = 256,
    PTE_PSE36 = 0x1fe000
};
#define PTE_NX (1ull << 63)
#define PTE_FRAME 0x000ffffffffff000ull

Cpu *cpus_shown(Machine *m)
{
    const Cpus *cpus = cpus_of(m);

    return cpus->shown < cpus->n ? cpus->cpu[cpus->shown] : NULL;
}

static Cpu *info_by_number(CommandCall *call, int64_t index, Error *err)
{
    const Cpus *cpus = cpus_of(call->m);

    if (index >= 0 && index < cpus->n) return cpus->cpu[index];
    if (cpus->n)
        error_set(
            err, "there is no CPU#%lld: they are numbered 0 to %u", (long long)index, cpus->n - 1);
    else
        error_set(err, "No CPU");
    return NULL;
}

static void info_select(CommandCall *call, Error *err)
{
    const Cpu *cpu = info_by_number(call, command_num(call, "index", 0), err);

    if (cpu) cpus_of(call->m)->shown = cpu->index;
}
COMMAND(select, .name = "cpu", .args = "index:i", .usage = "index", .help = "set the default CPU",
    .run = info_select);

unsigned cpu_shown(Machine *m) { return cpus_of(m)->shown; }

unsigned cpu_show(Machine *m, unsigned index)
{
    unsigned was = cpus_of(m)->shown;

    cpus_of(m)->shown = index;
    return was;
}

/* -- info registers -- */

/* Digits of an address. */
static int info_width(const Cpu *cpu) { return cpu_long(cpu) ? 16 : 8; }

static void info_segment(const Cpu *cpu, Sink *out, const char *name, const SegReg *seg)
{
    static const char *const system_types[] = { "Reserved", "TSS16-avl", "LDT", "TSS16-busy",
        "CallGate16", "TaskGate", "IntGate16", "TrapGate16", "Reserved", "TSS32-avl", "Reserved",
        "TSS32-busy", "CallGate32", "Reserved", "IntGate32", "TrapGate32" };
    static const char *const system_types64[] = { "Reserved", "Reserved", "LDT", "Reserved",
        "Reserved", "Reserved", "Reserved", "Reserved", "Reserved", "TSS64-avl", "Reserved",
        "TSS64-busy", "CallGate64", "Reserved", "IntGate64", "TrapGate64" };
    unsigned type = seg->flags >> SEGF_TYPE_SHIFT & 15;
    uint32_t f = seg->flags;

    sink_printf(out, "%-3s=%04x %0*llx %08x %08x", name, seg->selector, info_width(cpu),
        (unsigned long long)seg->base, seg->limit, f & 0x00ffff00);
    if (cpu_protected(cpu) && f & SEGF_P) {
        sink_printf(out, " DPL=%u ", f >> SEGF_DPL_SHIFT & 3);
        if (!(f & SEGF_S)) {
            sink_printf(out, "%s", (cpu_long(cpu) ? system_types64 : system_types)[type]);
        } else if (f & SEGF_CODE) {
            sink_printf(out, "CS%s [%c%c%c]",
                cpu_long(cpu) && f & SEGF_L ? "64"
                : f & SEGF_DB               ? "32"
                                            : "16",
                f & SEGF_EC ? 'C' : '-', f & SEGF_RW ? 'R' : '-', f & SEGF_A ? 'A' : '-');
        } else {
            sink_printf(out, "DS%s [%c%c%c]", f & SEGF_DB || cpu_long(cpu) ? "  " : "16",
                f & SEGF_EC ? 'E' : '-', f & SEGF_RW ? 'W' : '-', f & SEGF_A ? 'A' : '-');
        }
    }
    sink_printf(out, "\n");
}

static void info_general64(const Cpu *cpu, Sink *out)
{
    static const char *const names[] = { "RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP",
        "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15" };
    static const uint8_t order[] = { R_EAX, R_EBX, R_ECX, R_EDX, R_ESI, R_EDI, R_EBP, R_ESP };

    for (unsigned i = 0; i < 16; i++)
        sink_printf(out, "%s=%016llx%c", names[i],
            (unsigned long long)cpu->s.regs[i < 8 ? order[i] : i], i % 4 == 3 ? '\n' : ' ');
}

static void info_general32(const Cpu *cpu, Sink *out)
{
    uint32_t r[8];

    for (unsigned i = 0; i < 8; i++) r[i] = (uint32_t)cpu->s.regs[i];
    sink_printf(
        out, "EAX=%08x EBX=%08x ECX=%08x EDX=%08x\n", r[R_EAX], r[R_EBX], r[R_ECX], r[R_EDX]);
    sink_printf(
        out, "ESI=%08x EDI=%08x EBP=%08x ESP=%08x\n", r[R_ESI], r[R_EDI], r[R_EBP], r[R_ESP]);
}

static void info_general(const Cpu *cpu, Sink *out)
{
    static const char letters[] = "DOSZAPC";
    static const uint16_t bits[] = { FLAG_DF, FLAG_OF, FLAG_SF, FLAG_ZF, FLAG_AF, FLAG_PF,
        FLAG_CF };
    const struct CpuState *s = &cpu->s;
    bool wide = cpu_code64(cpu);
    char flags[8] = { 0 };

    for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
        flags[i] = s->eflags & bits[i] ? letters[i] : '-';
    }
    (wide ? info_general64 : info_general32)(cpu, out);
    sink_printf(out, "%cIP=%0*llx %cFL=%08x [%s] CPL=%u II=%d A20=%d SMM=%d HLT=%u\n",
        wide ? 'R' : 'E', wide ? 16 : 8, (unsigned long long)s->eip, wide ? 'R' : 'E',
        (uint32_t)s->eflags, flags, cpu_cpl(cpu), !!(s->hflags & HF_SHADOW), s->a20_mask >> 20 & 1,
        !!(s->hflags & HF_SMM), s->halted);
}

static void info_system(const Cpu *cpu, Sink *out)
{
    static const char *const names[] = { "ES ", "CS ", "SS ", "DS ", "FS ", "GS " };
    const struct CpuState *s = &cpu->s;
    int width = info_width(cpu);

    for (unsigned i = 0; i < 6; i++) info_segment(cpu, out, names[i], &s->segs[i]);
    info_segment(cpu, out, "LDT", &s->ldt);
    info_segment(cpu, out, "TR", &s->tr);
    sink_printf(
        out, "GDT=     %0*llx %08x\n", width, (unsigned long long)s->gdt.base, s->gdt.limit);
    sink_printf(
        out, "IDT=     %0*llx %08x\n", width, (unsigned long long)s->idt.base, s->idt.limit);
    sink_printf(out, "CR0=%08x CR2=%0*llx CR3=%0*llx CR4=%08x\n", (uint32_t)s->cr[0], width,
        (unsigned long long)s->cr[2], width, (unsigned long long)s->cr[3], (uint32_t)s->cr[4]);
    for (unsigned i = 0; i < 4; i++)
        sink_printf(out, "DR%u=%0*llx ", i, width, (unsigned long long)s->dr[i]);
    sink_printf(out, "\nDR6=%0*llx DR7=%0*llx\n", width, (unsigned long long)s->dr[6], width,
        (unsigned long long)s->dr[7]);
    sink_printf(out, "EFER=%016llx\n", (unsigned long long)s->efer);
}

static void info_fpu(const Cpu *cpu, Sink *out)
{
    const struct CpuState *s = &cpu->s;

    sink_printf(out, "FCW=%04x FSW=%04x [ST=%d] FTW=%02x MXCSR=%08x\n", s->fpuc, s->fpus_vmstate,
        s->fpstt, s->fptags, s->mxcsr);
    for (unsigned i = 0; i < 8; i++) {
        sink_printf(out, "FPR%u=%016llx %04x%c", i, (unsigned long long)s->fpregs[i].mant,
            s->fpregs[i].exp, i & 1 ? '\n' : ' ');
    }
    for (unsigned i = 0; i < (cpu_code64(cpu) ? 16u : 8u); i++) {
        sink_printf(out, "XMM%02u=%016llx %016llx%c", i, (unsigned long long)s->xmm[i].q[1],
            (unsigned long long)s->xmm[i].q[0], i & 1 ? '\n' : ' ');
    }
}

static void info_registers_of(Cpu *cpu, Sink *out)
{
    device_settle(&cpu->dev);
    sink_printf(out, "\nCPU#%u\n", cpu->index);
    info_general(cpu, out);
    info_system(cpu, out);
    info_fpu(cpu, out);
}

static void info_registers(CommandCall *call, Error *err)
{
    const Cpus *cpus = cpus_of(call->m);
    Cpu *cpu;

    if (command_flag(call, "cpustate_all")) {
        for (unsigned i = 0; i < cpus->n; i++) info_registers_of(cpus->cpu[i], call->out);
        return;
    }
    cpu = info_by_number(call, command_num(call, "vcpu", cpus->shown), err);
    if (cpu) info_registers_of(cpu, call->out);
}
COMMAND(info_registers, .name = "info registers", .args = "cpustate_all:-a,vcpu:i?",
    .usage = "[-a|vcpu]", .help = "show the cpu registers (-a: show register info for all cpus)",
    .run = info_registers);

/* -- page tables -- */

static uint64_t info_entry(const Cpu *cpu, uint64_t gpa, bool wide)
{
    MemAttrs attrs = { .cpu = (Device *)&cpu->dev };

    return mem_load(cpu->dev.m, attrs, gpa & (uint64_t)(int64_t)cpu->s.a20_mask, wide ? 8 : 4);
}

/* The page that maps lin. */
typedef struct InfoPage {
    uint64_t pte; /* its own entry, 0: nothing is mapped */
    uint64_t gpa;
    uint32_t rights; /* PTE_P, PTE_U and PTE_W of all levels */
    uint64_t size;   /* of the page, or of what is known to be unmapped */
} InfoPage;

static InfoPage info_page(const Cpu *cpu, uint64_t lin)
{
    bool wide = cpu->s.cr[4] & CR4_PAE, four = cpu_long(cpu);
    unsigned bits = wide ? 9 : 10, shift = four ? 39 : PAGE_BITS + bits, entry = wide ? 8 : 4;
    uint64_t frame = wide ? PTE_FRAME : 0xfffff000,
             table = cpu->s.cr[3] & (four ? frame : 0xfffff000);
    InfoPage p = { .rights = PTE_P | PTE_U | PTE_W, .size = 1ull << shift };

    if (wide && !four) {
        uint64_t e = info_entry(cpu, (cpu->s.cr[3] & 0xffffffe0) + (lin >> 30) * 8, true);

        if (!(e & PTE_P)) return p;
        table = e & frame;
    }
    for (;; shift -= bits) {
        uint64_t e = info_entry(cpu, table + (lin >> shift & ((1u << bits) - 1)) * entry, wide);
        bool large =
            shift > PAGE_BITS && shift < 39 && e & PTE_PS && (wide || cpu->s.cr[4] & CR4_PSE);

        p.size = 1ull << shift;
        p.rights &= (uint32_t)e;
        if (!(e & PTE_P)) return p;
        table = e & frame;
        if (!large && shift > PAGE_BITS) continue;
        p.pte = e;
        p.gpa = table & ~(p.size - 1);
        if (large && !wide) p.gpa |= (e & PTE_PSE36) << 19;
        return p;
    }
}

/* The linear addresses are gone through without their upper bits, which repeat bit 47. */
static uint64_t info_end(const Cpu *cpu) { return cpu_long(cpu) ? 1ull << 48 : 4 * GiB; }
static uint64_t info_sign(uint64_t lin) { return (uint64_t)((int64_t)(lin << 16) >> 16); }

static bool info_paging_on(CommandCall *call, const Cpu *cpu)
{
    if (cpu && cpu->s.cr[0] & CR0_PG) return true;
    sink_printf(call->out, "PG disabled\n");
    return false;
}

static void info_mem_range(Sink *out, uint64_t start, uint64_t end, uint32_t rights)
{
    if (!rights) return;
    sink_printf(out, "%016llx-%016llx %016llx %c%c%c\n", (unsigned long long)start,
        (unsigned long long)end, (unsigned long long)(end - start), rights & PTE_U ? 'u' : '-', 'r',
        rights & PTE_W ? 'w' : '-');
}

static void info_mem(CommandCall *call, Error *err)
{
    const Cpu *cpu = cpus_shown(call->m);
    uint64_t start = 0, lin = 0;
    uint32_t last = 0;

    (void)err;
    if (!info_paging_on(call, cpu)) return;
    while (lin < info_end(cpu)) {
        InfoPage p = info_page(cpu, lin);
        uint32_t rights = p.pte ? p.rights : 0;

        if (rights != last) {
            info_mem_range(call->out, info_sign(start), info_sign(lin), last);
            start = lin;
            last = rights;
        }
        lin += p.size;
    }
    info_mem_range(call->out, info_sign(start), info_sign(lin), last);
}
COMMAND(info_mem, .name = "info mem", .usage = "",
    .help = "show the active virtual memory mappings", .run = info_mem);

static void info_tlb(CommandCall *call, Error *err)
{
    const Cpu *cpu = cpus_shown(call->m);

    (void)err;
    if (!info_paging_on(call, cpu)) return;
    for (uint64_t lin = 0; lin < info_end(cpu);) {
        InfoPage p = info_page(cpu, lin);
        uint64_t pte = p.pte;

        if (pte) {
            sink_printf(call->out, "%016llx: %016llx %c%c%c%c%c%c%c%c%c\n",
                (unsigned long long)info_sign(lin), (unsigned long long)p.gpa,
                pte & PTE_NX ? 'X' : '-', pte & PTE_G ? 'G' : '-', p.size > PAGE_SIZE ? 'P' : '-',
                pte & PTE_D ? 'D' : '-', pte & PTE_A ? 'A' : '-', pte & PTE_PCD ? 'C' : '-',
                pte & PTE_PWT ? 'T' : '-', pte & PTE_U ? 'U' : '-', pte & PTE_W ? 'W' : '-');
        }
        lin += p.size;
    }
}
COMMAND(info_tlb, .name = "info tlb", .usage = "",
    .help = "show virtual to physical memory mappings", .run = info_tlb);

/* -- $register -- */

static bool info_segment_register(const Cpu *cpu, const char *name, uint64_t *val)
{
    static const char names[][3] = { "es", "cs", "ss", "ds", "fs", "gs" };

    for (unsigned i = 0; i < 6; i++) {
        const SegReg *seg = &cpu->s.segs[i];

        if (strncmp(name, names[i], 2)) continue;
        if (!name[2]) {
            *val = seg->selector;
        } else if (!strcmp(name + 2, ".base")) {
            *val = seg->base;
        } else if (!strcmp(name + 2, ".limit")) {
            *val = seg->limit;
        } else {
            return false;
        }
        return true;
    }
    return false;
}

bool cpu_register(Machine *m, const char *name, uint64_t *val)
{
    static const char *const regs[] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi",
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi" };
    static const struct {
        const char *name;
        uint8_t reg;
    } aliases[] = { { "sp", R_ESP }, { "fp", R_EBP } };
    Cpu *cpu = cpus_shown(m);
    unsigned n;
    char more;

    if (!cpu) return false;
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
        if (!strcmp(name, regs[i])) return *val = cpu->s.regs[i & 7], true;
    }
    if (sscanf(name, "r%u%c", &n, &more) == 1 && n >= 8 && n < 16)
        return *val = cpu->s.regs[n], true;
    for (unsigned i = 0; i < ARRAY_SIZE(aliases); i++) {
        if (!strcmp(name, aliases[i].name)) return *val = cpu->s.regs[aliases[i].reg], true;
    }
    if (!strcmp(name, "eip") || !strcmp(name, "rip") || !strcmp(name, "pc"))
        return *val = cpu->s.eip, true;
    if (!strcmp(name, "code_bits")) { /* of the code segment: for disassembly */
        return *val = cpu_code64(cpu) ? 64 : cpu->s.segs[R_CS].flags & SEGF_DB ? 32 : 16, true;
    }
    if (!strcmp(name, "eflags")) return *val = cpu_get_eflags(cpu), true;
    if (!strncmp(name, "cr", 2) && name[2] >= '0' && name[2] <= '4' && !name[3]) {
        return *val = cpu->s.cr[name[2] - '0'], true;
    }
    return info_segment_register(cpu, name, val);
}
