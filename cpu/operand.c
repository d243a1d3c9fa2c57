/* SPDX-License-Identifier: MIT */
/*
 * Operands: effective addresses, segment checks, the general forms of register, memory and stack
 * access.  Source: Intel SDM volume 1, chapter 3; volume 3, protection (limit and type checks).
 */
#include "cpu/operand.h"

static _Noreturn void seg_fault(Cpu *cpu, int seg)
{
    cpu_raise(cpu, seg == R_SS ? EXC_SS : EXC_GP, 0);
}

/* Protected mode: whether rights allow the access at all. */
static bool seg_allows(const SegReg *sr, bool write)
{
    if (!(sr->flags & SEGF_P) || !(sr->flags & SEGF_S)) return false;
    if (sr->flags & SEGF_CODE) return !write && (sr->flags & SEGF_RW);
    return !write || (sr->flags & SEGF_RW);
}

static bool seg_expands_down(const SegReg *sr)
{
    return (sr->flags & (SEGF_CODE | SEGF_EC)) == SEGF_EC;
}

static void seg_check_alignment(Cpu *cpu, uint64_t lin, unsigned align)
{
    if (UNLIKELY(cpu->mode & MODE_AC) && (lin & (align - 1))) cpu_raise(cpu, EXC_AC, 0);
}

/* 64-bit code: of segments only the bases of FS and GS are left. */
static uint64_t seg_lin64(Cpu *cpu, int seg, uint64_t off, unsigned size, unsigned align)
{
    uint64_t lin = off + (seg == R_FS || seg == R_GS ? cpu->s.segs[seg].base : 0);

    if (!cpu_is_canonical(lin) || !cpu_is_canonical(lin + size - 1)) seg_fault(cpu, seg);
    seg_check_alignment(cpu, lin, align);
    return lin;
}

/* A data segment of which nothing has to be checked. */
static inline bool seg_is_flat(const Cpu *cpu, int seg)
{
    return cpu->mode & MODE_FLAT << seg && seg != R_CS && !(cpu->mode & MODE_AC);
}

static uint64_t seg_lin(Cpu *cpu, int seg, uint64_t off, unsigned size, unsigned align, bool write)
{
    const SegReg *sr = &cpu->s.segs[seg];
    uint64_t last = off + size - 1;
    uint32_t lin = (uint32_t)(sr->base + off);

    if (cpu->mode & MODE_CS64) return seg_lin64(cpu, seg, off, size, align);
    if (seg_is_flat(cpu, seg)) return lin;
    if ((cpu->mode & (MODE_PE | MODE_VM)) == MODE_PE && !seg_allows(sr, write)) seg_fault(cpu, seg);
    if (UNLIKELY(seg_expands_down(sr) && (cpu->mode & (MODE_PE | MODE_VM)) == MODE_PE)) {
        uint64_t top = sr->flags & SEGF_DB ? UINT32_MAX : UINT16_MAX;

        if (off <= sr->limit || last > top) seg_fault(cpu, seg);
    } else if (last > sr->limit) {
        /* Through the top of a 4 GiB segment an access wraps; anything smaller ends. */
        if (sr->limit != UINT32_MAX) seg_fault(cpu, seg);
    }
    seg_check_alignment(cpu, lin, align);
    return lin;
}

uint64_t cpu_seg_lin(Cpu *cpu, int seg, uint64_t off, unsigned size, bool write)
{
    return seg_lin(cpu, seg, off, size, is_pow2(size) ? size : 1, write);
}

uint64_t insn_lin_parts(Cpu *cpu, const Insn *in, unsigned size, unsigned align, bool write)
{
    return seg_lin(cpu, in->seg, insn_ea(cpu, in), size, align, write);
}

uint64_t insn_lin(Cpu *cpu, const Insn *in, unsigned size, bool write)
{
    return cpu_seg_lin(cpu, in->seg, insn_ea(cpu, in), size, write);
}

uint64_t ea_checked(Cpu *cpu, const Insn *in, unsigned size, bool write)
{
    uint64_t ea = insn_ea(cpu, in);

    cpu->cur = in;
    return seg_is_flat(cpu, in->seg) ? (uint32_t)ea : cpu_seg_lin(cpu, in->seg, ea, size, write);
}

uint64_t cpu_read_reg(const Cpu *cpu, unsigned reg, unsigned size, bool rex)
{
    switch (size) {
    case 1:
        return reg >= 4 && !rex ? (uint8_t)(cpu->s.regs[reg - 4] >> 8) : (uint8_t)cpu->s.regs[reg];
    case 2: return (uint16_t)cpu->s.regs[reg];
    case 4: return (uint32_t)cpu->s.regs[reg];
    default: return cpu->s.regs[reg];
    }
}

void cpu_write_reg(Cpu *cpu, unsigned reg, uint64_t val, unsigned size, bool rex)
{
    switch (size) {
    case 1:
        WR_8(cpu, reg >= 4 && !rex ? REG_OFFSET(reg - 4) + 1 : REG_OFFSET(reg), (uint8_t)val);
        break;
    case 2: WR_16(cpu, REG_OFFSET(reg), (uint16_t)val); break;
    case 4: WR_32(cpu, REG_OFFSET(reg), val); break;
    default: cpu->s.regs[reg] = val;
    }
}

uint64_t insn_read_rm(Cpu *cpu, const Insn *in, unsigned size)
{
    if (in->modrm >= 0xc0) return cpu_read_reg(cpu, in->rm, size, in->flags & INSN_REX);
    return cpu_load(cpu, insn_lin(cpu, in, size, false), size);
}

void insn_write_rm(Cpu *cpu, const Insn *in, uint64_t val, unsigned size)
{
    if (in->modrm >= 0xc0)
        cpu_write_reg(cpu, in->rm, val, size, in->flags & INSN_REX);
    else
        cpu_store(cpu, insn_lin(cpu, in, size, true), val, size);
}

void cpu_set_sp(Cpu *cpu, uint64_t sp)
{
    unsigned size = cpu->mode & MODE_CS64 ? 8 : cpu->mode & MODE_SS32 ? 4 : 2;

    cpu_write_reg(cpu, R_ESP, sp, size, true);
}

void cpu_push(Cpu *cpu, uint64_t val, unsigned size)
{
    uint64_t sp = (cpu->s.regs[R_ESP] - size) & cpu->sp_mask;

    cpu_store(cpu, cpu_seg_lin(cpu, R_SS, sp, size, true), val, size);
    cpu_set_sp(cpu, sp);
}

uint64_t cpu_pop(Cpu *cpu, unsigned size)
{
    uint64_t sp = cpu->s.regs[R_ESP] & cpu->sp_mask;
    uint64_t val = cpu_load(cpu, cpu_seg_lin(cpu, R_SS, sp, size, false), size);

    cpu_set_sp(cpu, sp + size);
    return val;
}
