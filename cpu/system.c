/* SPDX-License-Identifier: MIT */
/*
 * System registers and what only a kernel may do: CRx, DRx, descriptor-table registers, HLT,
 * INVLPG, IF and the flags' privileged bits, ports.  Source: Intel SDM volume 2; volume 3
 * chapters 2, 17 and 20.  Not modelled: caches (INVD and WBINVD do nothing).
 */
#include <string.h>

#include "core/apic.h"
#include "cpu/cpus.h"
#include "cpu/debug.h"
#include "cpu/decode.h"
#include "cpu/descriptor.h"
#include "cpu/models.h"
#include "cpu/walk.h"

enum { DR6_FIXED = 0xffff0ff0u, DR6_WRITABLE = 0xe00f, DR6_BD = 1 << 13 };
enum { DR7_FIXED = 0x400, DR7_WRITABLE = 0xffff23ffu, DR7_GD = 1 << 13 };
#define CR0_WRITABLE                                                                               \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)

/* What changes translations, and has PAE's pointers read anew. */
enum { CR4_TRANSLATION = CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP };

static void system_need_cpl0(Cpu *cpu)
{
    if (cpu_cpl(cpu)) cpu_raise(cpu, EXC_GP, 0);
}

static unsigned system_iopl(const Cpu *cpu) { return (unsigned)(cpu->s.eflags >> 12) & 3; }

/* -- control registers -- */

/* What a write to a control register makes of PAE's PDPTEs; #GP where they are bad.  Comes before
 * the write itself. */
static void system_load_pdptrs(Cpu *cpu, uint64_t cr0, uint64_t cr3, uint64_t cr4)
{
    uint64_t pdptr[4] = { 0 };
    bool used = (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(cpu->s.efer & EFER_LME);

    if (used && !mmu_read_pdptrs(cpu, cr3, pdptr)) cpu_raise(cpu, EXC_GP, 0);
    memcpy(cpu->s.pdptr, pdptr, sizeof(pdptr));
    cpu->s.pdptr_valid = used;
}

/* What stands against a change of paging where EFER.LME is set; long mode begins and ends by it. */
static void system_check_long(Cpu *cpu, bool paging)
{
    unsigned tss = cpu->s.tr.flags >> SEGF_TYPE_SHIFT & 15;
    bool tss16 = tss == DESC_TSS16 || tss == DESC_TSS16_BUSY;

    if (cpu->s.segs[R_CS].flags & SEGF_L && (paging || cpu_long(cpu))) cpu_raise(cpu, EXC_GP, 0);
    if (paging && (!(cpu->s.cr[4] & CR4_PAE) || tss16)) cpu_raise(cpu, EXC_GP, 0);
}

void cpu_write_cr0(Cpu *cpu, uint64_t val)
{
    uint32_t old = (uint32_t)cpu->s.cr[0];
    uint32_t new = ((uint32_t)val & CR0_WRITABLE) | CR0_ET;
    bool lme = cpu->s.efer & EFER_LME;

    if (val >> 32 || (new &(CR0_PG | CR0_PE)) == CR0_PG) cpu_raise(cpu, EXC_GP, 0);
    if (lme && ((old ^ new) & CR0_PG)) system_check_long(cpu, new &CR0_PG);
    if ((new &(CR0_NW | CR0_CD)) == CR0_NW) cpu_raise(cpu, EXC_GP, 0);
    if ((old ^ new) & (CR0_PG | CR0_CD | CR0_NW))
        system_load_pdptrs(cpu, new, cpu->s.cr[3], cpu->s.cr[4]);
    cpu->s.cr[0] = new;
    if (lme && ((old ^ new) & CR0_PG)) cpu->s.efer ^= EFER_LMA;
    if ((old ^ new) & (CR0_PG | CR0_WP | CR0_PE)) cpu_tlb_flush(cpu, true);
    cpu_update_mode(cpu);
}

void cpu_write_cr3(Cpu *cpu, uint64_t val)
{
    if (cpu_long(cpu) && val >> cpu_phys_bits(cpu)) cpu_raise(cpu, EXC_GP, 0);
    system_load_pdptrs(cpu, cpu->s.cr[0], val, cpu->s.cr[4]);
    cpu->s.cr[3] = cpu_long(cpu) ? val : (uint32_t)val;
    cpu_tlb_flush(cpu, false);
}

uint32_t cpu_cr4_bits(const Cpu *cpu)
{
    static const struct {
        uint8_t feature;
        uint16_t bits;
    } map[] = { { 1, CR4_VME | CR4_PVI }, { 2, CR4_DE }, { 3, CR4_PSE }, { 4, CR4_TSD },
        { 6, CR4_PAE }, { 7, CR4_MCE }, { 13, CR4_PGE }, { 23, CR4_PCE }, { 24, CR4_OSFXSR },
        { 25, CR4_OSXMMEXCPT } };
    uint32_t bits = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(map); i++) {
        if (cpu->features.edx1 >> map[i].feature & 1) bits |= map[i].bits;
    }
    if (cpu->features.ebx7 >> FEAT7_FSGSBASE & 1) bits |= CR4_FSGSBASE;
    if (cpu->features.ebx7 >> FEAT7_SMEP & 1) bits |= CR4_SMEP;
    if (cpu->features.ebx7 >> FEAT7_SMAP & 1) bits |= CR4_SMAP;
    if (cpu->features.ecx7 >> FEAT7_UMIP & 1) bits |= CR4_UMIP;
    return bits;
}

void cpu_write_cr4(Cpu *cpu, uint64_t val)
{
    uint32_t changed = (uint32_t)(val ^ cpu->s.cr[4]);

    if (val & ~(uint64_t)cpu_cr4_bits(cpu)) cpu_raise(cpu, EXC_GP, 0);
    if (cpu_long(cpu) && !(val & CR4_PAE)) cpu_raise(cpu, EXC_GP, 0);
    if (changed & CR4_TRANSLATION) system_load_pdptrs(cpu, cpu->s.cr[0], cpu->s.cr[3], val);
    cpu->s.cr[4] = val;
    if (changed & CR4_TRANSLATION) cpu_tlb_flush(cpu, true);
    cpu_debug_update(cpu);
    cpu_update_mode(cpu);
    cpu->exit_pending = true;
}

/* CR0, CR2, CR3, CR4; in 64-bit code CR8, the local APIC's task priority. */
static unsigned system_cr(Cpu *cpu, const Insn *in)
{
    if (in->reg != 8 && (in->reg == 1 || in->reg > 4)) cpu_raise(cpu, EXC_UD, 0);
    system_need_cpl0(cpu);
    return in->reg;
}

static uint64_t system_read_cr8(Cpu *cpu)
{
    const CpuApic *apic = machine_apic(cpu->dev.m, cpu->index);

    return apic->dev ? apic->ops->priority(apic->dev) : cpu->s.v_tpr;
}

static void system_write_cr8(Cpu *cpu, uint64_t val)
{
    const CpuApic *apic = machine_apic(cpu->dev.m, cpu->index);

    if (val >> 4) cpu_raise(cpu, EXC_GP, 0);
    cpu->s.v_tpr = (uint8_t)val;
    if (apic->dev) apic->ops->set_priority(apic->dev, (uint8_t)val);
}

void op_mov_r_cr(Cpu *cpu, const Insn *in)
{
    unsigned n = system_cr(cpu, in);

    cpu_write_reg(cpu, in->rm, n == 8 ? system_read_cr8(cpu) : cpu->s.cr[n], in->opsize, true);
}

void op_mov_cr_r(Cpu *cpu, const Insn *in)
{
    unsigned n = system_cr(cpu, in);
    uint64_t val = cpu_read_reg(cpu, in->rm, in->opsize, true);

    switch (n) {
    case 0: cpu_write_cr0(cpu, val); break;
    case 2: cpu->s.cr[2] = val; break;
    case 3: cpu_write_cr3(cpu, val); break;
    case 4: cpu_write_cr4(cpu, val); break;
    default: system_write_cr8(cpu, val); break;
    }
}

void op_lmsw(Cpu *cpu, const Insn *in)
{
    uint32_t msw, old = (uint32_t)cpu->s.cr[0];

    system_need_cpl0(cpu);
    msw = (uint32_t)insn_read_rm(cpu, in, 2) & (CR0_PE | CR0_MP | CR0_EM | CR0_TS);
    /* PE can be set this way, never cleared */
    cpu_write_cr0(cpu, (old & ~(uint32_t)(CR0_MP | CR0_EM | CR0_TS)) | msw);
}

void cpu_check_umip(Cpu *cpu)
{
    if ((cpu->s.cr[4] & CR4_UMIP) && cpu_cpl(cpu)) cpu_raise(cpu, EXC_GP, 0);
}

void op_smsw(Cpu *cpu, const Insn *in)
{
    cpu_check_umip(cpu);
    insn_write_rm(cpu, in, cpu->s.cr[0], in->modrm >= 0xc0 ? in->opsize : 2);
}

void op_clts(Cpu *cpu, const Insn *in)
{
    (void)in;
    system_need_cpl0(cpu);
    cpu->s.cr[0] &= ~(uint64_t)CR0_TS;
    cpu_update_mode(cpu);
}

/* -- debug registers -- */

/* Which register a number means; DR4 and DR5 are other names of 6 and 7 unless CR4.DE. */
static unsigned system_dr(Cpu *cpu, const Insn *in)
{
    static const uint8_t names[8] = { 0, 1, 2, 3, 6, 7, 6, 7 };
    unsigned n = in->reg;

    if (n > 7 || ((n == 4 || n == 5) && cpu->s.cr[4] & CR4_DE)) cpu_raise(cpu, EXC_UD, 0);
    system_need_cpl0(cpu);
    if (cpu->s.dr[7] & DR7_GD) {
        cpu->s.dr[6] |= DR6_BD;
        cpu->s.dr[7] &= ~(uint64_t)DR7_GD;
        cpu_raise(cpu, EXC_DB, 0);
    }
    return names[n];
}

void op_mov_r_dr(Cpu *cpu, const Insn *in)
{
    unsigned n = system_dr(cpu, in);

    cpu_write_reg(cpu, in->rm, cpu->s.dr[n], in->opsize, true);
}

void op_mov_dr_r(Cpu *cpu, const Insn *in)
{
    unsigned n = system_dr(cpu, in);
    uint64_t val = cpu_read_reg(cpu, in->rm, in->opsize, true);

    if ((n == 6 || n == 7) && val >> 32) cpu_raise(cpu, EXC_GP, 0);
    if (n == 6)
        cpu->s.dr[6] = (val & DR6_WRITABLE) | DR6_FIXED;
    else if (n == 7)
        cpu->s.dr[7] = (val & DR7_WRITABLE) | DR7_FIXED;
    else
        cpu->s.dr[n] = val;
    cpu_debug_update(cpu);
    if (n != 6) cpu_tlb_flush(cpu, true); /* watched pages must not be in it */
}

/* -- descriptor-table registers -- */

static void system_load_table(Cpu *cpu, const Insn *in, SegReg *table)
{
    unsigned size = cpu_code64(cpu) ? 8 : 4;
    uint64_t lin, base;
    uint32_t limit;

    if (in->modrm >= 0xc0) cpu_raise(cpu, EXC_UD, 0);
    system_need_cpl0(cpu);
    lin = insn_lin(cpu, in, 2 + size, false);
    limit = (uint32_t)cpu_load(cpu, lin, 2);
    base = cpu_load(cpu, lin + 2, size);
    if (!cpu_is_canonical(base)) cpu_raise(cpu, EXC_GP, 0);
    table->limit = limit;
    table->base = in->opsize == 2 && size == 4 ? base & 0xffffff : base;
}

static void system_store_table(Cpu *cpu, const Insn *in, const SegReg *table)
{
    unsigned size = cpu_code64(cpu) ? 8 : 4;
    uint64_t lin;

    if (in->modrm >= 0xc0) cpu_raise(cpu, EXC_UD, 0);
    cpu_check_umip(cpu);
    lin = insn_lin(cpu, in, 2 + size, true);
    cpu_probe(cpu, lin, 2 + size, true, false);
    cpu_store(cpu, lin, table->limit & 0xffff, 2);
    cpu_store(cpu, lin + 2, table->base, size); /* all of it, whatever the operand size */
}

void op_lgdt(Cpu *cpu, const Insn *in) { system_load_table(cpu, in, &cpu->s.gdt); }
void op_lidt(Cpu *cpu, const Insn *in) { system_load_table(cpu, in, &cpu->s.idt); }
void op_sgdt(Cpu *cpu, const Insn *in) { system_store_table(cpu, in, &cpu->s.gdt); }
void op_sidt(Cpu *cpu, const Insn *in) { system_store_table(cpu, in, &cpu->s.idt); }

/* -- caches, HLT -- */

void op_invlpg(Cpu *cpu, const Insn *in)
{
    bool based = !cpu_code64(cpu) || in->seg >= R_FS;
    uint64_t lin = insn_ea(cpu, in) + (based ? cpu->s.segs[in->seg].base : 0);

    system_need_cpl0(cpu);
    lin &= cpu->eip_mask;
    if (cpu_is_canonical(lin)) cpu_tlb_flush_page(cpu, lin);
}

void op_invd(Cpu *cpu, const Insn *in)
{
    (void)in;
    system_need_cpl0(cpu);
}

void op_wbinvd(Cpu *cpu, const Insn *in)
{
    (void)in;
    system_need_cpl0(cpu);
}

void op_hlt(Cpu *cpu, const Insn *in)
{
    (void)in;
    system_need_cpl0(cpu);
    cpu->s.halted = 1;
    cpu->exit_pending = true;
}

/* Whoever waits for another CPU lets it run. */
void op_pause(Cpu *cpu, const Insn *in)
{
    (void)in;
    cpus_yield(cpu->cpus);
}

static void system_need_monitor(Cpu *cpu, uint32_t known)
{
    if (cpu_cpl(cpu)) cpu_raise(cpu, EXC_UD, 0);
    if ((uint32_t)cpu->s.regs[R_ECX] & ~known) cpu_raise(cpu, EXC_GP, 0);
}

/* Nothing is watched: MWAIT goes on at once, as it may. */
void op_monitor(Cpu *cpu, const Insn *in)
{
    system_need_monitor(cpu, 0);
    cpu_probe(cpu, cpu_seg_lin(cpu, in->seg, insn_wrap(in, cpu->s.regs[R_EAX]), 1, false), 1, false,
        false);
}

/* With bit 0 of ECX interrupts end the wait even where they are not to be delivered. */
void op_mwait(Cpu *cpu, const Insn *in)
{
    (void)in;
    system_need_monitor(cpu, 1);
    cpus_yield(cpu->cpus);
}

/* -- IF and the flags -- */

/* CLI and STI where IOPL forbids IF: true where VIF stands for it (VME, PVI). */
static bool system_virtual_if(const Cpu *cpu)
{
    if (cpu_v86(cpu)) return cpu->s.cr[4] & CR4_VME;
    return cpu->s.cr[4] & CR4_PVI && cpu_cpl(cpu) == 3;
}

static bool system_owns_if(const Cpu *cpu)
{
    return !cpu_protected(cpu) || cpu_cpl(cpu) <= system_iopl(cpu);
}

void op_cli(Cpu *cpu, const Insn *in)
{
    (void)in;
    if (system_owns_if(cpu)) {
        cpu_set_eflags(cpu, 0, FLAG_IF);
    } else if (system_virtual_if(cpu)) {
        cpu_set_eflags(cpu, 0, FLAG_VIF);
    } else {
        cpu_raise(cpu, EXC_GP, 0);
    }
}

void op_sti(Cpu *cpu, const Insn *in)
{
    (void)in;
    if (system_owns_if(cpu)) {
        if (!(cpu->s.eflags & FLAG_IF)) cpu->s.hflags |= HF_SHADOW;
        cpu_set_eflags(cpu, FLAG_IF, FLAG_IF);
    } else if (system_virtual_if(cpu) && !(cpu->s.eflags & FLAG_VIP)) {
        cpu_set_eflags(cpu, FLAG_VIF, FLAG_VIF);
    } else {
        cpu_raise(cpu, EXC_GP, 0);
    }
}

/* v86 with IOPL below 3: a 16-bit PUSHF or POPF works under VME, with VIF as IF. */
static bool system_vme_flags(Cpu *cpu, unsigned size)
{
    if (!cpu_v86(cpu) || system_iopl(cpu) == 3) return false;
    if (size != 2 || !(cpu->s.cr[4] & CR4_VME)) cpu_raise(cpu, EXC_GP, 0);
    return true;
}

void op_pushf(Cpu *cpu, const Insn *in)
{
    bool vme = system_vme_flags(cpu, in->opsize);
    uint32_t flags = cpu_get_eflags(cpu) & ~(uint32_t)(FLAG_VM | FLAG_RF);

    if (vme) {
        flags = (flags & ~(uint32_t)FLAG_IF) | FLAG_IOPL | (flags & FLAG_VIF ? FLAG_IF : 0);
    }
    cpu_push(cpu, flags, in->opsize);
}

void op_popf(Cpu *cpu, const Insn *in)
{
    bool vme = system_vme_flags(cpu, in->opsize);
    uint32_t mask = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
    uint32_t flags = (uint32_t)stack_peek(cpu, 0, in->opsize);

    if (in->opsize >= 4) {
        mask |= FLAG_AC | FLAG_ID | FLAG_RF;
        flags &= ~(uint32_t)FLAG_RF;
    }
    if (vme) {
        if (flags & FLAG_TF || (flags & FLAG_IF && cpu->s.eflags & FLAG_VIP)) {
            cpu_raise(cpu, EXC_GP, 0);
        }
        flags = (flags & 0xffff) | (flags & FLAG_IF ? FLAG_VIF : 0);
        mask |= FLAG_VIF;
    } else {
        if (system_owns_if(cpu)) mask |= FLAG_IF;
        if (!cpu_protected(cpu) || !cpu_cpl(cpu)) mask |= FLAG_IOPL;
    }
    stack_adjust(cpu, in->opsize);
    cpu_set_eflags(cpu, flags, mask);
}

/* -- ports -- */

void cpu_check_io(Cpu *cpu, uint32_t port, unsigned size)
{
    const SegReg *tr = &cpu->s.tr;
    uint32_t off, bits;

    if (!cpu_protected(cpu) || (!cpu_v86(cpu) && cpu_cpl(cpu) <= system_iopl(cpu))) return;
    if (!(tr->flags & SEGF_P) || !(tr->flags >> SEGF_TYPE_SHIFT & DESC_IS_32) || tr->limit < 103) {
        cpu_raise(cpu, EXC_GP, 0);
    }
    off = (uint32_t)cpu_load_sys(cpu, tr->base + 0x66, 2) + port / 8;
    if (off + 1 > tr->limit) cpu_raise(cpu, EXC_GP, 0);
    bits = (uint32_t)cpu_load_sys(cpu, tr->base + off, 2);
    if (bits >> (port & 7) & ((1u << size) - 1)) cpu_raise(cpu, EXC_GP, 0);
}

static uint32_t system_port(Cpu *cpu, const Insn *in, unsigned *size)
{
    uint32_t port = in->op >= 0xec ? (uint16_t)cpu->s.regs[R_EDX] : in->imm & 0xff;

    *size = in->op & 1 ? in->opsize : 1;
    cpu_check_io(cpu, port, *size);
    if (cpu->debug & DEBUG_IO) cpu_debug_io(cpu, port, *size);
    return port;
}

void op_in(Cpu *cpu, const Insn *in)
{
    unsigned size;
    uint32_t port = system_port(cpu, in, &size);

    cpu_write_reg(cpu, R_EAX, pio_read(cpu->dev.m, port, size), size, false);
}

void op_out(Cpu *cpu, const Insn *in)
{
    unsigned size;
    uint32_t port = system_port(cpu, in, &size);

    pio_write(cpu->dev.m, port, (uint32_t)cpu_read_reg(cpu, R_EAX, size, false), size);
}
