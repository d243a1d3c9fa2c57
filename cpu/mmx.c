/* SPDX-License-Identifier: MIT */
/*
 * MMX, with what SSE and SSE2 added to it.  Source: Intel SDM volume 1 chapter 9, volume 2; volume
 * 3 chapter 12 for the registers that it shares with the x87.  Each operation is the host's, on the
 * low half of an XMM register.
 */
#include <emmintrin.h>

#include "cpu/mmx.h"
#include "cpu/models.h"
#include "cpu/sse.h"

typedef uint64_t MmxFn(uint64_t a, uint64_t b);

static inline __m128i mmx_in(uint64_t v) { return _mm_cvtsi64_si128((int64_t)v); }
static inline uint64_t mmx_out(__m128i v) { return (uint64_t)_mm_cvtsi128_si64(v); }

#define MMX_OP(name, intrinsic)                                                                    \
    static uint64_t mmx_##name(uint64_t a, uint64_t b)                                             \
    {                                                                                              \
        return mmx_out(intrinsic(mmx_in(a), mmx_in(b)));                                           \
    }
/* The high halves interleaved: the high half of what the low ones give. */
#define MMX_HIGH(name, intrinsic)                                                                  \
    static uint64_t mmx_##name(uint64_t a, uint64_t b)                                             \
    {                                                                                              \
        return mmx_out(_mm_srli_si128(intrinsic(mmx_in(a), mmx_in(b)), 8));                        \
    }
/* Both operands, one behind the other, become one. */
#define MMX_PACK(name, intrinsic)                                                                  \
    static uint64_t mmx_##name(uint64_t a, uint64_t b)                                             \
    {                                                                                              \
        __m128i v = _mm_unpacklo_epi64(mmx_in(a), mmx_in(b));                                      \
                                                                                                   \
        return mmx_out(intrinsic(v, v));                                                           \
    }
MMX_OP(punpcklbw, _mm_unpacklo_epi8)
MMX_OP(punpcklwd, _mm_unpacklo_epi16)
MMX_OP(punpckldq, _mm_unpacklo_epi32)
MMX_HIGH(punpckhbw, _mm_unpacklo_epi8)
MMX_HIGH(punpckhwd, _mm_unpacklo_epi16)
MMX_HIGH(punpckhdq, _mm_unpacklo_epi32)
MMX_PACK(packsswb, _mm_packs_epi16)
MMX_PACK(packuswb, _mm_packus_epi16)
MMX_PACK(packssdw, _mm_packs_epi32)
MMX_OP(pcmpgtb, _mm_cmpgt_epi8)
MMX_OP(pcmpgtw, _mm_cmpgt_epi16)
MMX_OP(pcmpgtd, _mm_cmpgt_epi32)
MMX_OP(pcmpeqb, _mm_cmpeq_epi8)
MMX_OP(pcmpeqw, _mm_cmpeq_epi16)
MMX_OP(pcmpeqd, _mm_cmpeq_epi32)
MMX_OP(psrlw, _mm_srl_epi16)
MMX_OP(psrld, _mm_srl_epi32)
MMX_OP(psrlq, _mm_srl_epi64)
MMX_OP(psraw, _mm_sra_epi16)
MMX_OP(psrad, _mm_sra_epi32)
MMX_OP(psllw, _mm_sll_epi16)
MMX_OP(pslld, _mm_sll_epi32)
MMX_OP(psllq, _mm_sll_epi64)
MMX_OP(pmullw, _mm_mullo_epi16)
MMX_OP(pmulhw, _mm_mulhi_epi16)
MMX_OP(pmaddwd, _mm_madd_epi16)
MMX_OP(paddb, _mm_add_epi8)
MMX_OP(paddw, _mm_add_epi16)
MMX_OP(paddd, _mm_add_epi32)
MMX_OP(paddsb, _mm_adds_epi8)
MMX_OP(paddsw, _mm_adds_epi16)
MMX_OP(paddusb, _mm_adds_epu8)
MMX_OP(paddusw, _mm_adds_epu16)
MMX_OP(psubb, _mm_sub_epi8)
MMX_OP(psubw, _mm_sub_epi16)
MMX_OP(psubd, _mm_sub_epi32)
MMX_OP(psubsb, _mm_subs_epi8)
MMX_OP(psubsw, _mm_subs_epi16)
MMX_OP(psubusb, _mm_subs_epu8)
MMX_OP(psubusw, _mm_subs_epu16)
MMX_OP(paddq, _mm_add_epi64)
MMX_OP(psubq, _mm_sub_epi64)
MMX_OP(pmuludq, _mm_mul_epu32)
MMX_OP(pminub, _mm_min_epu8)
MMX_OP(pmaxub, _mm_max_epu8)
MMX_OP(pminsw, _mm_min_epi16)
MMX_OP(pmaxsw, _mm_max_epi16)
MMX_OP(pavgb, _mm_avg_epu8)
MMX_OP(pavgw, _mm_avg_epu16)
MMX_OP(pmulhuw, _mm_mulhi_epu16)
MMX_OP(psadbw, _mm_sad_epu8)

static uint64_t mmx_pand(uint64_t a, uint64_t b) { return a & b; }
static uint64_t mmx_pandn(uint64_t a, uint64_t b) { return ~a & b; }
static uint64_t mmx_por(uint64_t a, uint64_t b) { return a | b; }
static uint64_t mmx_pxor(uint64_t a, uint64_t b) { return a ^ b; }

/* By opcode: mm, mm/m64. */
static MmxFn *const mmx_table[256] = {
    [0x60] = mmx_punpcklbw,
    [0x61] = mmx_punpcklwd,
    [0x62] = mmx_punpckldq,
    [0x63] = mmx_packsswb,
    [0x64] = mmx_pcmpgtb,
    [0x65] = mmx_pcmpgtw,
    [0x66] = mmx_pcmpgtd,
    [0x67] = mmx_packuswb,
    [0x68] = mmx_punpckhbw,
    [0x69] = mmx_punpckhwd,
    [0x6a] = mmx_punpckhdq,
    [0x6b] = mmx_packssdw,
    [0x74] = mmx_pcmpeqb,
    [0x75] = mmx_pcmpeqw,
    [0x76] = mmx_pcmpeqd,
    [0xd1] = mmx_psrlw,
    [0xd2] = mmx_psrld,
    [0xd3] = mmx_psrlq,
    [0xd4] = mmx_paddq,
    [0xd5] = mmx_pmullw,
    [0xd8] = mmx_psubusb,
    [0xd9] = mmx_psubusw,
    [0xda] = mmx_pminub,
    [0xdb] = mmx_pand,
    [0xdc] = mmx_paddusb,
    [0xdd] = mmx_paddusw,
    [0xde] = mmx_pmaxub,
    [0xdf] = mmx_pandn,
    [0xe0] = mmx_pavgb,
    [0xe1] = mmx_psraw,
    [0xe2] = mmx_psrad,
    [0xe3] = mmx_pavgw,
    [0xe4] = mmx_pmulhuw,
    [0xe5] = mmx_pmulhw,
    [0xe8] = mmx_psubsb,
    [0xe9] = mmx_psubsw,
    [0xea] = mmx_pminsw,
    [0xeb] = mmx_por,
    [0xec] = mmx_paddsb,
    [0xed] = mmx_paddsw,
    [0xee] = mmx_pmaxsw,
    [0xef] = mmx_pxor,
    [0xf1] = mmx_psllw,
    [0xf2] = mmx_pslld,
    [0xf3] = mmx_psllq,
    [0xf4] = mmx_pmuludq,
    [0xf5] = mmx_pmaddwd,
    [0xf6] = mmx_psadbw,
    [0xf8] = mmx_psubb,
    [0xf9] = mmx_psubw,
    [0xfa] = mmx_psubd,
    [0xfb] = mmx_psubq,
    [0xfc] = mmx_paddb,
    [0xfd] = mmx_paddw,
    [0xfe] = mmx_paddd,
};

/* 71 to 73, by ModRM.reg: shifts by an immediate. */
static MmxFn *const mmx_shifts[3][8] = {
    { NULL, NULL, mmx_psrlw, NULL, mmx_psraw, NULL, mmx_psllw, NULL },
    { NULL, NULL, mmx_psrld, NULL, mmx_psrad, NULL, mmx_pslld, NULL },
    { NULL, NULL, mmx_psrlq, NULL, NULL, NULL, mmx_psllq, NULL },
};

void mmx_check(Cpu *cpu, const Insn *in)
{
    if (!cpu_has(cpu, FEAT_MMX) || cpu->s.hflags & HF_EM || in->flags & INSN_66 || in->rep) {
        cpu_raise(cpu, EXC_UD, 0);
    }
    if (cpu->s.hflags & HF_TS) cpu_raise(cpu, EXC_NM, 0);
    cpu_fpu_check(cpu);
}

/* The interleaving of low halves reads no more than those. */
static uint64_t mmx_operand(Cpu *cpu, const Insn *in)
{
    if (in->modrm < 0xc0 && in->op <= 0x62) return cpu_load(cpu, insn_lin(cpu, in, 4, false), 4);
    return mmx_read_rm(cpu, in);
}

static void mmx_shift(Cpu *cpu, const Insn *in)
{
    MmxFn *fn = mmx_shifts[in->op - 0x71][in->modrm >> 3 & 7];

    if (!fn || in->modrm < 0xc0) cpu_raise(cpu, EXC_UD, 0);
    mmx_write(cpu, in->modrm, fn(cpu->s.fpregs[in->modrm & 7].mant, in->imm & 0xff));
}

static uint64_t mmx_shuffle(uint64_t v, unsigned order)
{
    uint64_t r = 0;

    for (unsigned i = 0; i < 4; i++) {
        r |= (v >> 16 * (order >> 2 * i & 3) & 0xffff) << 16 * i;
    }
    return r;
}

static void mmx_insert_word(Cpu *cpu, const Insn *in)
{
    unsigned reg = in->modrm >> 3 & 7, shift = 16 * (in->imm & 3);
    uint64_t v = in->modrm >= 0xc0 ? (uint16_t)cpu->s.regs[in->rm]
                                   : cpu_load(cpu, insn_lin(cpu, in, 2, false), 2);

    mmx_write(cpu, reg, (cpu->s.fpregs[reg].mant & ~(0xffffull << shift)) | v << shift);
}

static uint32_t mmx_signs(uint64_t v) { return (uint32_t)_mm_movemask_epi8(mmx_in(v)) & 0xff; }

static void mmx_to_general(Cpu *cpu, const Insn *in, uint32_t v)
{
    mmx_enter(cpu);
    cpu->s.regs[in->reg] = v;
}

static void mmx_mask_store(Cpu *cpu, const Insn *in)
{
    uint8_t v[8], mask[8];

    store_le64(v, cpu->s.fpregs[in->modrm >> 3 & 7].mant);
    store_le64(mask, cpu->s.fpregs[in->modrm & 7].mant);
    sse_mask_store(cpu, sse_mask_lin(cpu, in, 8), v, mask, 8);
    mmx_enter(cpu);
}

static void mmx_store(Cpu *cpu, const Insn *in)
{
    uint64_t v = cpu->s.fpregs[in->modrm >> 3 & 7].mant;

    if (in->modrm >= 0xc0) {
        mmx_write(cpu, in->modrm, v);
    } else {
        cpu_store(cpu, insn_lin(cpu, in, 8, true), v, 8);
        mmx_enter(cpu);
    }
}

void op_mmx(Cpu *cpu, const Insn *in)
{
    unsigned reg = in->modrm >> 3 & 7;
    MmxFn *fn = mmx_table[in->op];

    mmx_check(cpu, in);
    switch (in->op) {
    case 0x6e: mmx_write(cpu, reg, insn_read_rm(cpu, in, in->opsize)); break; /* MOVD, MOVQ */
    case 0x6f: mmx_write(cpu, reg, mmx_read_rm(cpu, in)); break;              /* MOVQ */
    case 0x70: mmx_write(cpu, reg, mmx_shuffle(mmx_read_rm(cpu, in), (unsigned)in->imm)); break;
    case 0x71:
    case 0x72:
    case 0x73: mmx_shift(cpu, in); break;
    case 0x7e:
        insn_write_rm(cpu, in, cpu->s.fpregs[reg].mant, in->opsize);
        mmx_enter(cpu);
        break;
    case 0x7f:
    case 0xe7: mmx_store(cpu, in); break;
    case 0xc4: mmx_insert_word(cpu, in); break;
    case 0xc5:
        mmx_to_general(cpu, in, cpu->s.fpregs[in->modrm & 7].mant >> 16 * (in->imm & 3) & 0xffff);
        break;
    case 0xd7: mmx_to_general(cpu, in, mmx_signs(cpu->s.fpregs[in->modrm & 7].mant)); break;
    case 0xf7: mmx_mask_store(cpu, in); break;
    default:
        if (!fn) cpu_raise(cpu, EXC_UD, 0);
        mmx_write(cpu, reg, fn(cpu->s.fpregs[reg].mant, mmx_operand(cpu, in)));
        break;
    }
}

void op_emms(Cpu *cpu, const Insn *in)
{
    mmx_check(cpu, in);
    cpu->s.fpstt = 0;
    cpu->s.fptags = 0;
}
