/* SPDX-License-Identifier: MIT */
/*
 * Decoded instructions.  Source: Intel SDM volume 2 and its opcode maps.
 *
 * One table (cpu/opcodes.c) describes every opcode; decoder, interpreter, tests (and a translator)
 * read it.  A row names its operands, its handler and its kind.
 */
#pragma once

#include "cpu/state.h"

/* A handler of an instruction that runs inside a block.  How it passes on to the next one is
 * cpu/dispatch.h's matter. */
typedef void InsnFn(Cpu *cpu, const Insn *in);

struct Insn {
    InsnFn *fn;
    union {
        InsnFn *slow;        /* what op_slow and op_mid call */
        struct Block *block; /* of a block's last instruction and its end mark */
    };
    uint64_t imm;     /* sign-extended as the opcode says; far pointers: offset ... */
    int64_t disp;     /* of the address; jumps and RIP-relative: from the block's start */
    uint16_t base_at; /* where in Cpu the base and index registers are (or Cpu.zero) */
    uint16_t index_at;
    uint8_t reg_at; /* byte offsets in s.regs of the operand of ModRM.reg ... */
    uint8_t rm_at;  /* ... and of ModRM.rm in the register form, AH..BH resolved */
    uint8_t scale;
    uint8_t off;         /* of the instruction from its block's start, in bytes */
    uint8_t len;         /* bytes */
    uint8_t opsize;      /* operand size: 1, 2, 4, 8 */
    uint8_t adsize;      /* address size: 2, 4, 8 */
    uint8_t modrm;       /* the byte itself; modrm >= 0xc0: register form */
    uint8_t reg, rm;     /* its fields, extended by REX */
    uint8_t base, index; /* of the address; REG_NONE where there is none, REG_PC */
    uint8_t seg;         /* the segment that the address uses, prefix applied */
    uint8_t flags;       /* INSN_* */
    uint8_t rep;         /* 0, 0xf2 or 0xf3 */
    uint8_t rex;         /* the prefix, or 0 */
    uint8_t op;          /* last opcode byte: condition codes, x87 groups */
    uint16_t sel;        /* far pointers: selector; ENTER: level */
};
enum { REG_NONE = 0xff, REG_PC = 0xfe };
enum { REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8 };
enum {
    INSN_LOCK = 1,
    INSN_LAST = 2, /* ends its block: may do I/O */
    INSN_SLOW = 4,
    INSN_REX = 8,
    INSN_66 = 16,
    INSN_END = 32, /* its handler is a terminator */
    INSN_REL = 64, /* a relative jump: disp is the target */
    INSN_MID = 128 /* called by op_mid */
};

/* Decodes one instruction from avail bytes; out->off is kept.  An invalid one is DECODE_OK with a
 * handler that raises #UD. */
enum DecodeResult { DECODE_OK, DECODE_MORE /* than avail bytes */, DECODE_LONG /* than 15 */ };
enum DecodeResult insn_decode(
    const Cpu *cpu, uint32_t mode, const uint8_t *code, unsigned avail, Insn *out);
enum { INSN_MAX = 15 };

/* Offset part of a memory operand, wrapped to the address size. */
static inline uint64_t insn_wrap(const Insn *in, uint64_t off)
{
    return in->adsize == 8 ? off : in->adsize == 4 ? (uint32_t)off : (uint16_t)off;
}
static inline uint64_t insn_ea(const Cpu *cpu, const Insn *in)
{
    uint64_t off = (uint64_t)in->disp;

    if (in->base == REG_PC) /* disp counts from the block's start, where EIP is for fast handlers */
        off += cpu->s.eip - (in->flags & (INSN_SLOW | INSN_MID) ? in->off : 0);
    else if (in->base != REG_NONE)
        off += cpu->s.regs[in->base];
    if (in->index != REG_NONE) off += cpu->s.regs[in->index] << in->scale;
    return insn_wrap(in, off);
}
/* The memory operand of size bytes: segment checks done, linear address. */
uint64_t insn_lin(Cpu *cpu, const Insn *in, unsigned size, bool write);
/* The same for one of several parts, whose own alignment is what #AC asks for (SDM volume 3,
 * "Alignment Requirements by Data Type"). */
uint64_t insn_lin_parts(Cpu *cpu, const Insn *in, unsigned size, unsigned align, bool write);

/* r/m operand of in->opsize (or the given size), register or memory. */
uint64_t insn_read_rm(Cpu *cpu, const Insn *in, unsigned size);
void insn_write_rm(Cpu *cpu, const Insn *in, uint64_t val, unsigned size);
uint64_t cpu_read_reg(const Cpu *cpu, unsigned reg, unsigned size, bool rex);
void cpu_write_reg(Cpu *cpu, unsigned reg, uint64_t val, unsigned size, bool rex);

/* Stack, by SS's size: linear addresses are checked; ESP changes only by cpu_write_reg at
 * commit. */
void cpu_push(Cpu *cpu, uint64_t val, unsigned size);
uint64_t cpu_pop(Cpu *cpu, unsigned size);
/* Writes as much of RSP as is the stack pointer. */
void cpu_set_sp(Cpu *cpu, uint64_t sp);

/*
 * Slow handlers (INSN_SLOW).  They end their block (all but those of the x87, MMX and SSE,
 * op_pushf, op_cli and op_bound, which may stand in its middle; those see the same s.eip and
 * next_eip, may set exit_pending, but never jump).  On entry s.eip is the instruction's own, and
 * next_eip the following one's; a jump sets next_eip (and CS by cpu/segment.c); the dispatcher then
 * commits s.eip = next_eip.  Implemented outside the interpreter's own files:
 */
/* cpu/far.c */
InsnFn op_call_far_imm, op_call_far_mem, op_jmp_far_imm, op_jmp_far_mem, op_ret_far, op_iret;
/* cpu/interrupt.c */
InsnFn op_int_n, op_int3, op_into, op_icebp, op_bound;
/* cpu/segment.c */
InsnFn op_mov_sreg_rm, op_pop_sreg, op_load_far_ptr /* LES LDS LSS LFS LGS: in->op tells */;
InsnFn op_arpl, op_lar, op_lsl, op_verr, op_verw, op_lldt, op_sldt, op_ltr, op_str;
/* cpu/system.c */
InsnFn op_lgdt, op_lidt, op_sgdt, op_sidt, op_lmsw, op_smsw, op_clts, op_mov_r_cr, op_mov_cr_r;
InsnFn op_mov_r_dr, op_mov_dr_r, op_invlpg, op_invd, op_wbinvd, op_hlt, op_pause, op_cli, op_sti,
    op_monitor, op_mwait;
InsnFn op_pushf, op_popf, op_rsm, op_in, op_out;
/* cpu/syscall.c */
InsnFn op_sysenter, op_sysexit, op_syscall, op_sysret, op_swapgs, op_rdtscp, op_fsgsbase,
    op_stac_clac;
/* cpu/msr.c, cpu/models.c */
InsnFn op_rdmsr, op_wrmsr, op_rdtsc, op_rdpmc, op_cpuid;
/* cpu/x87.c: all of D8..DF (in->op, in->modrm), and WAIT; slow or not is the table's choice */
InsnFn op_x87, op_wait, op_fxsave, op_fxrstor;
/* cpu/mmx.c: in->op tells which of 0F xx */
InsnFn op_mmx, op_emms;
InsnFn op_mmx_ssse3; /* cpu/mmx_ssse3.c: 0F 38 xx and PALIGNR */
/* cpu/count.c */
InsnFn op_popcnt, op_crc32, op_movbe_load, op_movbe_store, op_rdrand;
/* cpu/sse_move.c */
InsnFn op_ldmxcsr, op_stmxcsr, op_fence, op_sfence_clflush;
