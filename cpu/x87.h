/* SPDX-License-Identifier: MIT */
/*
 * The x87, from inside: registers, exceptions, and running an operation on the host's x87.
 * Source: Intel SDM volume 1 chapter 8, volume 2.
 *
 * An operation is executed by the host's own instruction, with the guest's rounding and precision
 * and with every exception masked, between x87_begin and x87_end; the host's stack is empty
 * outside.
 * The host's exception flags are sticky and dear to clear, so they are left standing while the
 * guest has the same ones (cpu->x87_host says which there are).
 */
#pragma once

#include "cpu/decode.h"
#include "cpu/opcodes.h"

#if !defined(__x86_64__)
#error "the x87 runs on the host's x87: an x86-64 host is needed"
#endif

enum {
    FSW_IE = 1 << 0,
    FSW_DE = 1 << 1,
    FSW_ZE = 1 << 2,
    FSW_OE = 1 << 3,
    FSW_UE = 1 << 4,
    FSW_PE = 1 << 5,
    FSW_SF = 1 << 6,
    FSW_ES = 1 << 7,
    FSW_C0 = 1 << 8,
    FSW_C1 = 1 << 9,
    FSW_C2 = 1 << 10,
    FSW_C3 = 1 << 14,
    FSW_B = 1 << 15,
    FSW_FLAGS = 0x3f,
    FSW_CC = FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3,
    FSW_TOP_SHIFT = 11,
};
enum { FCW_MASKS = 0x3f, FCW_HOST = 0x37f };
enum { X87_HOST_UNKNOWN = 0xff };

typedef void X87Fn(Cpu *cpu, const Insn *in);

/* A kind of operation on the host: operand(s) in, result and status word out. */
typedef uint16_t X87Binary(const FpReg *a, const void *b, FpReg *r);

/* -- registers -- */

static inline unsigned x87_phys(const Cpu *cpu, unsigned i) { return (cpu->s.fpstt + i) & 7; }
static inline FpReg *x87_st(Cpu *cpu, unsigned i) { return &cpu->s.fpregs[x87_phys(cpu, i)]; }
static inline bool x87_used(const Cpu *cpu, unsigned i)
{
    return cpu->s.fptags >> x87_phys(cpu, i) & 1;
}
static inline void x87_pop(Cpu *cpu)
{
    cpu->s.fptags &= (uint8_t) ~(1u << cpu->s.fpstt);
    cpu->s.fpstt = (cpu->s.fpstt + 1) & 7;
}
static inline void x87_put(Cpu *cpu, unsigned i, const FpReg *r)
{
    unsigned p = x87_phys(cpu, i);

    cpu->s.fpregs[p] = *r;
    cpu->s.fptags |= (uint8_t)(1u << p);
}
static inline void x87_push(Cpu *cpu, const FpReg *r)
{
    cpu->s.fpstt = (cpu->s.fpstt - 1) & 7;
    x87_put(cpu, 0, r);
}

static const FpReg x87_indefinite = { 0xc000000000000000, 0xffff };

/* -- status -- */

/* Adds exception flags; an unmasked one raises ES and what follows from it. */
void x87_flag(Cpu *cpu, unsigned flags);
/* After a change of the control word or the flags by a load: ES, B and FERR. */
void x87_update_es(Cpu *cpu);

/* Merges an operation's flags and C1; true where its result may be committed (nothing unmasked
 * of IE, DE, ZE). */
bool x87_merge_slow(Cpu *cpu, unsigned sw);
static inline bool x87_merge(Cpu *cpu, unsigned sw)
{
    if (__builtin_expect(sw & ~(unsigned)cpu->s.fpuc & FSW_FLAGS, 0)) {
        return x87_merge_slow(cpu, sw);
    }
    cpu->s.fpus = (uint16_t)((cpu->s.fpus & ~FSW_C1) | (sw & (FSW_FLAGS | FSW_C1)));
    return true;
}
static inline unsigned x87_unmasked(const Cpu *cpu, unsigned sw)
{
    return sw & ~(unsigned)cpu->s.fpuc & FSW_FLAGS;
}

/* Stack faults.  They raise IE; true where it is masked, so that a default result is due. */
bool x87_underflow(Cpu *cpu);
bool x87_overflow(Cpu *cpu);

/* -- running an operation on the host -- */

static inline void x87_begin(Cpu *cpu)
{
    uint16_t cw = (uint16_t)((cpu->s.fpuc & 0x0f00) | 0x7f);

    /* what stands in the host's status must be in the guest's, and masked there */
    if (__builtin_expect(cpu->x87_host & (~cpu->s.fpus | ~cpu->s.fpuc) & FSW_FLAGS, 0)) {
        __asm__ volatile("fnclex" ::: "memory");
    }
    if (__builtin_expect(cw != (FCW_HOST & 0x0f7f), 0)) {
        __asm__ volatile("fldcw %0" ::"m"(cw) : "memory");
    }
}

static inline void x87_end(Cpu *cpu, unsigned sw)
{
    static const uint16_t host = FCW_HOST;

    cpu->x87_host = sw & FSW_FLAGS;
    if (__builtin_expect((cpu->s.fpuc & 0x0f00) != (FCW_HOST & 0x0f00), 0)) {
        __asm__ volatile("fldcw %0" ::"m"(host) : "memory");
    }
}

/* -- memory operands -- */

void x87_store80(Cpu *cpu, uint64_t lin, const FpReg *r);
FpReg x87_load80(Cpu *cpu, uint64_t lin);

/* -- instructions; x87.c's tables say which opcode is which -- */

/* x87_arith.c */
X87Fn x87_arith_m32, x87_arith_i32, x87_arith_m64, x87_arith_i16; /* D8 DA DC DE with memory */
X87Fn x87_arith_st0, x87_arith_sti;                               /* D8; DC and DE */
/* x87_compare.c */
X87Fn x87_com_m32, x87_com_i32, x87_com_m64, x87_com_i16;
X87Fn x87_com_reg, x87_com_pop2, x87_comi, x87_tst, x87_xam, x87_cmov;
/* x87_move.c */
X87Fn x87_fld_m32, x87_fld_m64, x87_fld_m80, x87_fild_16, x87_fild_32, x87_fild_64, x87_fbld;
X87Fn x87_fst_m32, x87_fst_m64, x87_fstp_m80, x87_fist_16, x87_fist_32, x87_fistp_64, x87_fbstp;
X87Fn x87_fisttp_16, x87_fisttp_32, x87_fisttp_64; /* SSE3 */
X87Fn x87_fld_reg, x87_fst_reg, x87_fxch, x87_ffree, x87_incdec;
/* x87_function.c */
X87Fn x87_sign, x87_const, x87_unary, x87_binary, x87_two, x87_prem;
/* x87_env.c */
X87Fn x87_fldcw, x87_fstcw, x87_fstsw, x87_fstsw_ax, x87_fldenv, x87_fstenv, x87_frstor, x87_fsave;
X87Fn x87_db_control, x87_fnop;

/* A handler for the common case of this encoding that stands in blocks, or NULL: x87_fast.c */
InsnFn *x87_fast(unsigned op, unsigned modrm, enum OpKind kind);
