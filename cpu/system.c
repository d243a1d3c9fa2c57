/* SPDX-License-Identifier: MIT */
/*
 * System registers and what only a kernel may do: CRx, DRx, descriptor-table registers, HLT,
 * INVLPG, IF and the flags' privileged bits, SYSENTER, ports.  Source: Intel SDM volume 2; volume 3
 * chapters 2, 17 and 20.  Not modelled: SMM (RSM is invalid), caches (INVD and WBINVD do nothing).
 */
#include <string.h>

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
enum { CR4_TRANSLATION = CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP };

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
    bool used = (cr0 & CR0_PG) && (cr4 & CR4_PAE);

    if (used && !mmu_read_pdptrs(cpu, cr3, pdptr)) cpu_raise(cpu, EXC_GP, 0);
    memcpy(cpu->s.pdptr, pdptr, sizeof(pdptr));
    cpu->s.pdptr_valid = used;
}

void cpu_write_cr0(Cpu *cpu, uint64_t val)
{
    uint32_t old = (uint32_t)cpu->s.cr[0];
    uint32_t new = ((uint32_t)val & CR0_WRITABLE) | CR0_ET;

    if ((new &(CR0_PG | CR0_PE)) == CR0_PG) cpu_raise(cpu, EXC_GP, 0);
    if ((new &(CR0_NW | CR0_CD)) == CR0_NW) cpu_raise(cpu, EXC_GP, 0);
    if ((old ^ new) & (CR0_PG | CR0_CD | CR0_NW))
        system_load_pdptrs(cpu, new, cpu->s.cr[3], cpu->s.cr[4]);
    cpu->s.cr[0] = new;
    if ((old ^ new) & (CR0_PG | CR0_WP | CR0_PE)) cpu_tlb_flush(cpu, true);
    cpu_update_mode(cpu);
}

void cpu_write_cr3(Cpu *cpu, uint64_t val)
{
    system_load_pdptrs(cpu, cpu->s.cr[0], val, cpu->s.cr[4]);
    cpu->s.cr[3] = (uint32_t)val;
    cpu_tlb_flush(cpu, false);
}

/* The bits of CR4 that this model has. */
static uint32_t system_cr4_bits(const Cpu *cpu)
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
    if (cpu->features.ebx7 >> FEAT7_SMEP & 1) bits |= CR4_SMEP;
    if (cpu->features.ecx7 >> FEAT7_UMIP & 1) bits |= CR4_UMIP;
    return bits;
}

void cpu_write_cr4(Cpu *cpu, uint64_t val)
{
    uint32_t changed = (uint32_t)(val ^ cpu->s.cr[4]);

    if (val & ~(uint64_t)system_cr4_bits(cpu)) cpu_raise(cpu, EXC_GP, 0);
    if (changed & CR4_TRANSLATION) system_load_pdptrs(cpu, cpu->s.cr[0], cpu->s.cr[3], val);
    cpu->s.cr[4] = val;
    if (changed & CR4_TRANSLATION) cpu_tlb_flush(cpu, true);
    cpu_debug_update(cpu);
    cpu_update_mode(cpu);
    cpu->exit_pending = true;
}

void op_mov_r_cr(Cpu *cpu, const Insn *in)
{
    unsigned n = in->modrm >> 3 & 7;

    if (n == 1 || n > 4) cpu_raise(cpu, EXC_UD, 0);
    system_need_cpl0(cpu);
    cpu_write_reg(cpu, in->modrm & 7, cpu->s.cr[n], 4, false);
}

void op_mov_cr_r(Cpu *cpu, const Insn *in)
{
    unsigned n = in->modrm >> 3 & 7;
    uint64_t val = cpu_read_reg(cpu, in->modrm & 7, 4, false);

    if (n == 1 || n > 4) cpu_raise(cpu, EXC_UD, 0);
    system_need_cpl0(cpu);
    switch (n) {
    case 0: cpu_write_cr0(cpu, val); break;
    case 2: cpu->s.cr[2] = val; break;
    case 3: cpu_write_cr3(cpu, val); break;
    default: cpu_write_cr4(cpu, val); break;
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
    unsigned n = in->modrm >> 3 & 7;

    if (n == 4 || n == 5) {
        if (cpu->s.cr[4] & CR4_DE) cpu_raise(cpu, EXC_UD, 0);
        n += 2;
    }
    system_need_cpl0(cpu);
    if (cpu->s.dr[7] & DR7_GD) {
        cpu->s.dr[6] |= DR6_BD;
        cpu->s.dr[7] &= ~(uint64_t)DR7_GD;
        cpu_raise(cpu, EXC_DB, 0);
    }
    return n;
}

void op_mov_r_dr(Cpu *cpu, const Insn *in)
{
    unsigned n = system_dr(cpu, in);

    cpu_write_reg(cpu, in->modrm & 7, cpu->s.dr[n], 4, false);
}

void op_mov_dr_r(Cpu *cpu, const Insn *in)
{
    unsigned n = system_dr(cpu, in);
    uint32_t val = (uint32_t)cpu_read_reg(cpu, in->modrm & 7, 4, false);

    if (n == 6) val = (val & DR6_WRITABLE) | DR6_FIXED;
    if (n == 7) val = (val & DR7_WRITABLE) | DR7_FIXED;
    cpu->s.dr[n] = val;
    cpu_debug_update(cpu);
    if (n != 6) cpu_tlb_flush(cpu, true); /* watched pages must not be in it */
}

/* -- descriptor-table registers -- */

static void system_load_table(Cpu *cpu, const Insn *in, SegReg *table)
{
    uint64_t lin, base;
    uint32_t limit;

    if (in->modrm >= 0xc0) cpu_raise(cpu, EXC_UD, 0);
    system_need_cpl0(cpu);
    lin = insn_lin(cpu, in, 6, false);
    limit = (uint32_t)cpu_load(cpu, lin, 2);
    base = cpu_load(cpu, (uint32_t)(lin + 2), 4);
    table->limit = limit;
    table->base = in->opsize == 2 ? base & 0xffffff : base;
}

static void system_store_table(Cpu *cpu, const Insn *in, const SegReg *table)
{
    uint64_t lin;

    if (in->modrm >= 0xc0) cpu_raise(cpu, EXC_UD, 0);
    cpu_check_umip(cpu);
    lin = insn_lin(cpu, in, 6, true);
    cpu_probe(cpu, lin, 6, true, false);
    cpu_store(cpu, lin, table->limit & 0xffff, 2);
    cpu_store(cpu, (uint32_t)(lin + 2), in->opsize == 2 ? table->base & 0xffffff : table->base, 4);
}

void op_lgdt(Cpu *cpu, const Insn *in) { system_load_table(cpu, in, &cpu->s.gdt); }
void op_lidt(Cpu *cpu, const Insn *in) { system_load_table(cpu, in, &cpu->s.idt); }
void op_sgdt(Cpu *cpu, const Insn *in) { system_store_table(cpu, in, &cpu->s.gdt); }
void op_sidt(Cpu *cpu, const Insn *in) { system_store_table(cpu, in, &cpu->s.idt); }

/* -- caches, HLT, SMM -- */

void op_invlpg(Cpu *cpu, const Insn *in)
{
    if (in->modrm >= 0xc0) cpu_raise(cpu, EXC_UD, 0);
    system_need_cpl0(cpu);
    cpu_tlb_flush_page(cpu, (uint32_t)(cpu->s.segs[in->seg].base + insn_ea(cpu, in)));
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

void op_rsm(Cpu *cpu, const Insn *in)
{
    (void)in;
    cpu_raise(cpu, EXC_UD, 0);
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
    uint32_t flags = stack_peek(cpu, 0, in->opsize);

    if (in->opsize == 4) {
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

/* -- SYSENTER and SYSEXIT -- */

static SegReg system_flat(uint32_t sel, uint32_t dpl, uint32_t type)
{
    return (SegReg){ .selector = sel,
        .limit = 0xffffffff,
        .flags = 0x00c00000 | 0xf0000 | SEGF_P | dpl << SEGF_DPL_SHIFT | SEGF_S |
                 type << SEGF_TYPE_SHIFT };
}

static void system_switch(Cpu *cpu, uint32_t cs, unsigned cpl, uint64_t esp, uint64_t eip)
{
    cpu->s.segs[R_CS] = system_flat((cs & 0xfffc) | cpl, cpl, 11);
    cpu->s.segs[R_SS] = system_flat(((cs + 8) & 0xfffc) | cpl, cpl, 3);
    cpu->s.regs[R_ESP] = (uint32_t)esp;
    cpu->next_eip = (uint32_t)eip;
    cpu_set_cpl(cpu, cpl);
    cpu_update_mode(cpu);
}

void op_sysenter(Cpu *cpu, const Insn *in)
{
    (void)in;
    if (!(cpu->features.edx1 >> 11 & 1)) cpu_raise(cpu, EXC_UD, 0);
    if (!cpu_protected(cpu) || selector_null((uint16_t)cpu->s.sysenter_cs)) {
        cpu_raise(cpu, EXC_GP, 0);
    }
    cpu_set_eflags(cpu, 0, FLAG_VM | FLAG_IF | FLAG_RF);
    system_switch(cpu, cpu->s.sysenter_cs, 0, cpu->s.sysenter_esp, cpu->s.sysenter_eip);
}

void op_sysexit(Cpu *cpu, const Insn *in)
{
    (void)in;
    if (!(cpu->features.edx1 >> 11 & 1)) cpu_raise(cpu, EXC_UD, 0);
    if (!cpu_protected(cpu) || selector_null((uint16_t)cpu->s.sysenter_cs) || cpu_cpl(cpu)) {
        cpu_raise(cpu, EXC_GP, 0);
    }
    system_switch(cpu, cpu->s.sysenter_cs + 16, 3, cpu->s.regs[R_ECX], cpu->s.regs[R_EDX]);
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
    off = (uint32_t)cpu_load_sys(cpu, (uint32_t)(tr->base + 0x66), 2) + port / 8;
    if (off + 1 > tr->limit) cpu_raise(cpu, EXC_GP, 0);
    bits = (uint32_t)cpu_load_sys(cpu, (uint32_t)(tr->base + off), 2);
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
