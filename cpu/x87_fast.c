/* SPDX-License-Identifier: MIT */
/*
 * x87: handlers of the common cases that stand in blocks beside the integer ones.  They do what
 * x87.c's would where all exceptions are masked, the stack is as the instruction needs it, and a
 * memory operand is plain RAM in a flat segment; in every other case they hand over to op_mid,
 * having done nothing.
 */
#include "cpu/operand.h"
#include "cpu/x87.h"

/* Control words by precision and rounding, every exception masked. */
static const uint16_t fast_cw[16] = { 0x07f, 0x17f, 0x27f, 0x37f, 0x47f, 0x57f, 0x67f, 0x77f, 0x87f,
    0x97f, 0xa7f, 0xb7f, 0xc7f, 0xd7f, 0xe7f, 0xf7f };
enum { FAST_CW_HOST = 3, CC_ALL = FSW_C0 | FSW_C2 | FSW_C3 };

static inline bool fast_ready(const Cpu *cpu)
{
    return !((cpu->s.hflags & (HF_EM | HF_TS)) | (~cpu->s.fpuc & FCW_MASKS));
}

static inline void fast_begin(Cpu *cpu)
{
    if (UNLIKELY(cpu->x87_host & ~cpu->s.fpus & FSW_FLAGS)) __asm__ volatile("fnclex" ::: "memory");
    if (UNLIKELY((cpu->s.fpuc >> 8 & 15) != FAST_CW_HOST)) {
        __asm__ volatile("fldcw %0" ::"m"(fast_cw[cpu->s.fpuc >> 8 & 15]) : "memory");
    }
}

/* Takes over the operation's flags, and C1 or what else mask says. */
static inline void fast_end(Cpu *cpu, unsigned sw, unsigned mask)
{
    cpu->x87_host = sw & FSW_FLAGS;
    if (UNLIKELY((cpu->s.fpuc >> 8 & 15) != FAST_CW_HOST)) {
        __asm__ volatile("fldcw %0" ::"m"(fast_cw[FAST_CW_HOST]) : "memory");
    }
    cpu->s.fpus = (uint16_t)((cpu->s.fpus & ~(mask | FSW_C1)) | (sw & (FSW_FLAGS | mask)));
}

static inline void fast_pointers(Cpu *cpu, const Insn *in)
{
    cpu->s.fpip = (uint32_t)(cpu->s.eip + in->off) | (uint64_t)cpu->s.segs[R_CS].selector << 32;
    cpu->s.fpop = (uint16_t)((in->op & 7) << 8 | in->modrm);
}

static inline void fast_data_pointer(Cpu *cpu, const Insn *in, uint32_t lin)
{
    cpu->s.fpdp = lin | (uint64_t)cpu->s.segs[in->seg].selector << 32;
}

#define SLOW_UNLESS(condition)                                                                     \
    do {                                                                                           \
        if (UNLIKELY(!(condition))) TAIL_CALL(op_mid, cpu, in);                                    \
    } while (0)

/* -- the four operations -- */

#define FAST_ARITH(n)                                                                              \
    HANDLER(fast_st0_##n)                                                                          \
    {                                                                                              \
        FpReg *a = x87_st(cpu, 0), *b = x87_st(cpu, in->modrm & 7);                                \
        uint16_t sw;                                                                               \
                                                                                                   \
        SLOW_UNLESS(fast_ready(cpu) && x87_used(cpu, 0) && x87_used(cpu, in->modrm & 7));          \
        fast_begin(cpu);                                                                           \
        __asm__ volatile("fldt (%2)\n\tfldt (%1)\n\t.byte 0xd8, 0xc1 + 8 * " #n                    \
                         "\n\tfnstsw %%ax\n\tfstpt (%1)\n\tfstp %%st(0)"                           \
                         : "=&a"(sw)                                                               \
                         : "r"(a), "r"(b)                                                          \
                         : "memory");                                                              \
        fast_end(cpu, sw, FSW_C1);                                                                 \
        fast_pointers(cpu, in);                                                                    \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    HANDLER(fast_sti_##n)                                                                          \
    {                                                                                              \
        FpReg *a = x87_st(cpu, 0), *b = x87_st(cpu, in->modrm & 7);                                \
        uint16_t sw;                                                                               \
                                                                                                   \
        SLOW_UNLESS(fast_ready(cpu) && x87_used(cpu, 0) && x87_used(cpu, in->modrm & 7));          \
        fast_begin(cpu);                                                                           \
        __asm__ volatile("fldt (%2)\n\tfldt (%1)\n\t.byte 0xdc, 0xc1 + 8 * " #n                    \
                         "\n\tfnstsw %%ax\n\tfstp %%st(0)\n\tfstpt (%2)"                           \
                         : "=&a"(sw)                                                               \
                         : "r"(a), "r"(b)                                                          \
                         : "memory");                                                              \
        fast_end(cpu, sw, FSW_C1);                                                                 \
        if (in->op == 0xde) x87_pop(cpu);                                                          \
        fast_pointers(cpu, in);                                                                    \
        NEXT(cpu, in);                                                                             \
    }
#define FAST_ARITH_MEM(kind, n, insn, bits)                                                        \
    HANDLER(fast_##kind##_m##bits##_##n)                                                           \
    {                                                                                              \
        uint32_t lin = LIN_##kind(cpu, in, bits / 8, false);                                       \
        const void *m = host_at(cpu->rd, lin, bits / 8);                                           \
        FpReg *a = x87_st(cpu, 0);                                                                 \
        uint16_t sw;                                                                               \
                                                                                                   \
        SLOW_UNLESS(m &&fast_ready(cpu) && x87_used(cpu, 0));                                      \
        fast_begin(cpu);                                                                           \
        __asm__ volatile("fldt (%1)\n\t" insn " (%2)\n\tfnstsw %%ax\n\tfstpt (%1)"                 \
                         : "=&a"(sw)                                                               \
                         : "r"(a), "r"(m)                                                          \
                         : "memory");                                                              \
        fast_end(cpu, sw, FSW_C1);                                                                 \
        fast_pointers(cpu, in);                                                                    \
        fast_data_pointer(cpu, in, lin);                                                           \
        NEXT(cpu, in);                                                                             \
    }
#define FAST_ARITH_ALL(n, name)                                                                    \
    FAST_ARITH(n)                                                                                  \
    FAST_ARITH_MEM(base, n, "f" name "s", 32)                                                      \
    FAST_ARITH_MEM(sib, n, "f" name "s", 32)                                                       \
    FAST_ARITH_MEM(base, n, "f" name "l", 64)                                                      \
    FAST_ARITH_MEM(sib, n, "f" name "l", 64)
FAST_ARITH_ALL(0, "add")
FAST_ARITH_ALL(1, "mul")
FAST_ARITH_ALL(4, "sub")
FAST_ARITH_ALL(5, "subr")
FAST_ARITH_ALL(6, "div")
FAST_ARITH_ALL(7, "divr")

#define FAST_ROW(form)                                                                             \
    {                                                                                              \
        form##_0, form##_1, NULL, NULL, form##_4, form##_5, form##_6, form##_7                     \
    }
enum FastForm { FORM_ST0, FORM_STI, FORM_BASE_M32, FORM_SIB_M32, FORM_BASE_M64, FORM_SIB_M64 };
static InsnFn *const fast_arith[][8] = { FAST_ROW(fast_st0), FAST_ROW(fast_sti),
    FAST_ROW(fast_base_m32), FAST_ROW(fast_sib_m32), FAST_ROW(fast_base_m64),
    FAST_ROW(fast_sib_m64) };

/* -- loads and stores -- */

static inline bool fast_can_push(const Cpu *cpu) { return fast_ready(cpu) && !x87_used(cpu, 7); }

/* Pushes a value that raises nothing. */
static inline void fast_push(Cpu *cpu, const Insn *in, uint64_t mant, uint32_t exp)
{
    unsigned p = (cpu->s.fpstt - 1) & 7;

    cpu->s.fpregs[p].mant = mant;
    cpu->s.fpregs[p].exp = (uint16_t)exp;
    cpu->s.fpstt = (uint8_t)p;
    cpu->s.fptags |= (uint8_t)(1u << p);
    cpu->s.fpus &= (uint16_t)~FSW_C1;
    fast_pointers(cpu, in);
}

static inline void fast_push_int(Cpu *cpu, const Insn *in, int64_t v)
{
    uint64_t mag = v < 0 ? -(uint64_t)v : (uint64_t)v;
    int shift = mag ? __builtin_clzll(mag) : 0;

    fast_push(
        cpu, in, mag << shift, !mag ? 0 : (v < 0 ? 0x8000u : 0) | (uint32_t)(16383 + 63 - shift));
}

#define FAST_LOADS(kind)                                                                           \
    HANDLER(fast_fld_m32_##kind)                                                                   \
    {                                                                                              \
        uint32_t lin = LIN_##kind(cpu, in, 4, false), m, exp;                                      \
        const void *p = host_at(cpu->rd, lin, 4);                                                  \
                                                                                                   \
        SLOW_UNLESS(p &&fast_can_push(cpu));                                                       \
        m = *(const Mem32 *)p;                                                                     \
        exp = m >> 23 & 0xff;                                                                      \
        SLOW_UNLESS(exp - 1 < 0xfe);                                                               \
        fast_push(cpu, in, (uint64_t)m << 40 | 1ull << 63, m >> 31 << 15 | (exp + 16383 - 127));   \
        fast_data_pointer(cpu, in, lin);                                                           \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    HANDLER(fast_fld_m64_##kind)                                                                   \
    {                                                                                              \
        uint32_t lin = LIN_##kind(cpu, in, 8, false), exp;                                         \
        const void *p = host_at(cpu->rd, lin, 8);                                                  \
        uint64_t m;                                                                                \
                                                                                                   \
        SLOW_UNLESS(p &&fast_can_push(cpu));                                                       \
        m = *(const Mem64 *)p;                                                                     \
        exp = m >> 52 & 0x7ff;                                                                     \
        SLOW_UNLESS(exp - 1 < 0x7fe);                                                              \
        fast_push(                                                                                 \
            cpu, in, m << 11 | 1ull << 63, (uint32_t)(m >> 63) << 15 | (exp + 16383 - 1023));      \
        fast_data_pointer(cpu, in, lin);                                                           \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    FAST_FILD(kind, 16)                                                                            \
    FAST_FILD(kind, 32)                                                                            \
    FAST_FILD(kind, 64)
#define FAST_FILD(kind, bits)                                                                      \
    HANDLER(fast_fild_##bits##_##kind)                                                             \
    {                                                                                              \
        uint32_t lin = LIN_##kind(cpu, in, bits / 8, false);                                       \
        const void *p = host_at(cpu->rd, lin, bits / 8);                                           \
                                                                                                   \
        SLOW_UNLESS(p &&fast_can_push(cpu));                                                       \
        fast_push_int(cpu, in, (int##bits##_t) * (const Mem##bits *)p);                            \
        fast_data_pointer(cpu, in, lin);                                                           \
        NEXT(cpu, in);                                                                             \
    }
/* ModRM.reg 2 leaves the stack alone; 3 and 7 pop. */
#define FAST_STORE(kind, name, insn, bits)                                                         \
    HANDLER(fast_##name##_##kind)                                                                  \
    {                                                                                              \
        uint32_t lin = LIN_##kind(cpu, in, bits / 8, true);                                        \
        void *m = host_at(cpu->wr, lin, bits / 8);                                                 \
        uint16_t sw;                                                                               \
                                                                                                   \
        SLOW_UNLESS(m &&fast_ready(cpu) && x87_used(cpu, 0));                                      \
        fast_begin(cpu);                                                                           \
        __asm__ volatile("fldt (%1)\n\t" insn " (%2)\n\tfnstsw %%ax"                               \
                         : "=&a"(sw)                                                               \
                         : "r"(x87_st(cpu, 0)), "r"(m)                                             \
                         : "memory");                                                              \
        fast_end(cpu, sw, FSW_C1);                                                                 \
        if (in->modrm & 8) x87_pop(cpu);                                                           \
        fast_pointers(cpu, in);                                                                    \
        fast_data_pointer(cpu, in, lin);                                                           \
        NEXT(cpu, in);                                                                             \
    }
#define FAST_STORES(kind)                                                                          \
    FAST_STORE(kind, fst_m32, "fstps", 32)                                                         \
    FAST_STORE(kind, fst_m64, "fstpl", 64)                                                         \
    FAST_STORE(kind, fist_16, "fistps", 16)                                                        \
    FAST_STORE(kind, fist_32, "fistpl", 32)                                                        \
    FAST_STORE(kind, fist_64, "fistpll", 64)
#define FAST_WORDS(kind)                                                                           \
    HANDLER(fast_fldcw_##kind)                                                                     \
    {                                                                                              \
        uint32_t lin = LIN_##kind(cpu, in, 2, false), cw;                                          \
        const void *p = host_at(cpu->rd, lin, 2);                                                  \
                                                                                                   \
        SLOW_UNLESS(p &&fast_ready(cpu));                                                          \
        cw = *(const Mem16 *)p;                                                                    \
        SLOW_UNLESS(!(cpu->s.fpus & ~cw & FSW_FLAGS));                                             \
        cpu->s.fpuc = (uint16_t)((cw & 0x1f3f) | 0x40);                                            \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    HANDLER(fast_fstcw_##kind)                                                                     \
    {                                                                                              \
        uint32_t lin = LIN_##kind(cpu, in, 2, true);                                               \
        void *p = host_at(cpu->wr, lin, 2);                                                        \
                                                                                                   \
        SLOW_UNLESS(p &&fast_ready(cpu));                                                          \
        *(Mem16 *)p = cpu->s.fpuc;                                                                 \
        NEXT(cpu, in);                                                                             \
    }
FAST_LOADS(base)
FAST_LOADS(sib)
FAST_STORES(base)
FAST_STORES(sib)
FAST_WORDS(base)
FAST_WORDS(sib)

HANDLER(fast_fld_reg)
{
    const FpReg *r = x87_st(cpu, in->modrm & 7);

    SLOW_UNLESS(fast_can_push(cpu) && x87_used(cpu, in->modrm & 7));
    fast_push(cpu, in, r->mant, r->exp);
    NEXT(cpu, in);
}

HANDLER(fast_fst_reg)
{
    SLOW_UNLESS(fast_ready(cpu) && x87_used(cpu, 0));
    x87_put(cpu, in->modrm & 7, x87_st(cpu, 0));
    cpu->s.fpus &= (uint16_t)~FSW_C1;
    if (in->op != 0xdd || in->modrm & 8) x87_pop(cpu);
    fast_pointers(cpu, in);
    NEXT(cpu, in);
}

HANDLER(fast_fxch)
{
    FpReg *a = x87_st(cpu, 0), *b = x87_st(cpu, in->modrm & 7);
    uint64_t mant = a->mant;
    uint16_t exp = a->exp;

    SLOW_UNLESS(fast_ready(cpu) && x87_used(cpu, 0) && x87_used(cpu, in->modrm & 7));
    *a = *b;
    b->mant = mant;
    b->exp = exp;
    cpu->s.fpus &= (uint16_t)~FSW_C1;
    fast_pointers(cpu, in);
    NEXT(cpu, in);
}

HANDLER(fast_fld1)
{
    SLOW_UNLESS(fast_can_push(cpu));
    fast_push(cpu, in, 1ull << 63, 16383);
    NEXT(cpu, in);
}

HANDLER(fast_fldz)
{
    SLOW_UNLESS(fast_can_push(cpu));
    fast_push(cpu, in, 0, 0);
    NEXT(cpu, in);
}

/* FCHS (E0), FABS (E1). */
HANDLER(fast_sign)
{
    FpReg *a = x87_st(cpu, 0);

    SLOW_UNLESS(fast_ready(cpu) && x87_used(cpu, 0));
    a->exp = in->modrm & 1 ? a->exp & 0x7fff : a->exp ^ 0x8000;
    cpu->s.fpus &= (uint16_t)~FSW_C1;
    fast_pointers(cpu, in);
    NEXT(cpu, in);
}

/* -- comparisons and the status word -- */

#define FAST_COMPARE(name, insn)                                                                   \
    HANDLER(fast_##name)                                                                           \
    {                                                                                              \
        unsigned i = in->modrm & 7, n = in->modrm >> 3 & 7;                                        \
        uint16_t sw;                                                                               \
                                                                                                   \
        SLOW_UNLESS(fast_ready(cpu) && x87_used(cpu, 0) && x87_used(cpu, i));                      \
        fast_begin(cpu);                                                                           \
        __asm__ volatile("fldt (%2)\n\tfldt (%1)\n\t" insn "\n\tfnstsw %%ax"                       \
                         : "=&a"(sw)                                                               \
                         : "r"(x87_st(cpu, 0)), "r"(x87_st(cpu, i))                                \
                         : "memory");                                                              \
        fast_end(cpu, sw, CC_ALL);                                                                 \
        if (n & 1) x87_pop(cpu);                                                                   \
        if (in->op == 0xda || in->op == 0xde) x87_pop(cpu); /* FUCOMPP, FCOMPP */                  \
        fast_pointers(cpu, in);                                                                    \
        NEXT(cpu, in);                                                                             \
    }
FAST_COMPARE(fcom, "fcompp")
FAST_COMPARE(fucom, "fucompp")

HANDLER(fast_fstsw_ax)
{
    SLOW_UNLESS(fast_ready(cpu));
    WR_16(cpu, R_EAX * 8, (uint16_t)(cpu->s.fpus | cpu->s.fpstt << FSW_TOP_SHIFT));
    NEXT(cpu, in);
}

/* -- which handler -- */

static InsnFn *fast_reg(unsigned op, unsigned modrm)
{
    unsigned n = modrm >> 3 & 7;

    switch (op) {
    case 0xd8: return n == 2 || n == 3 ? fast_fcom : fast_arith[FORM_ST0][n];
    case 0xd9:
        if (n == 0) return fast_fld_reg;
        if (n == 1) return fast_fxch;
        if (modrm == 0xe0 || modrm == 0xe1) return fast_sign;
        return modrm == 0xe8 ? fast_fld1 : modrm == 0xee ? fast_fldz : NULL;
    case 0xda: return modrm == 0xe9 ? fast_fucom : NULL;
    case 0xdc: return n == 2 || n == 3 ? NULL : fast_arith[FORM_STI][n];
    case 0xdd: return n == 2 || n == 3 ? fast_fst_reg : n == 4 || n == 5 ? fast_fucom : NULL;
    case 0xde: return modrm == 0xd9 ? fast_fcom : fast_arith[FORM_STI][n];
    case 0xdf: return modrm == 0xe0 ? fast_fstsw_ax : NULL;
    default: return NULL;
    }
}

InsnFn *x87_fast(unsigned op, unsigned modrm, enum OpKind kind)
{
    /* by opcode and ModRM.reg, without and with an index register */
    static InsnFn *const moves[8][8][2] = {
        [1] = { [0] = { fast_fld_m32_base, fast_fld_m32_sib },
            [2] = { fast_fst_m32_base, fast_fst_m32_sib },
            [3] = { fast_fst_m32_base, fast_fst_m32_sib },
            [5] = { fast_fldcw_base, fast_fldcw_sib },
            [7] = { fast_fstcw_base, fast_fstcw_sib } },
        [3] = { [0] = { fast_fild_32_base, fast_fild_32_sib },
            [2] = { fast_fist_32_base, fast_fist_32_sib },
            [3] = { fast_fist_32_base, fast_fist_32_sib } },
        [5] = { [0] = { fast_fld_m64_base, fast_fld_m64_sib },
            [2] = { fast_fst_m64_base, fast_fst_m64_sib },
            [3] = { fast_fst_m64_base, fast_fst_m64_sib } },
        [7] = { [0] = { fast_fild_16_base, fast_fild_16_sib },
            [2] = { fast_fist_16_base, fast_fist_16_sib },
            [3] = { fast_fist_16_base, fast_fist_16_sib },
            [5] = { fast_fild_64_base, fast_fild_64_sib },
            [7] = { fast_fist_64_base, fast_fist_64_sib } },
    };
    unsigned n = modrm >> 3 & 7, sib = kind == KIND_SIB;

    if (modrm >= 0xc0) return fast_reg(op, modrm);
    if (kind == KIND_SEG) return NULL;
    if (op == 0xd8) return fast_arith[sib ? FORM_SIB_M32 : FORM_BASE_M32][n];
    if (op == 0xdc) return fast_arith[sib ? FORM_SIB_M64 : FORM_BASE_M64][n];
    return moves[op & 7][n][sib];
}
