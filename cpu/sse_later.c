/* SPDX-License-Identifier: MIT */
/*
 * SSSE3, SSE4, AES and PCLMULQDQ in XMM registers.  Source: Intel SDM volume 2.
 */
#include "cpu/sse.h"

#include "cpu/flags.h"

#define INT(name) SSE_HOST(name, #name, 16, 0)

INT(pshufb)
INT(phaddw)
INT(phaddd)
INT(phaddsw)
INT(pmaddubsw)
INT(phsubw)
INT(phsubd)
INT(phsubsw)
INT(psignb)
INT(psignw)
INT(psignd)
INT(pmulhrsw)
INT(pabsb)
INT(pabsw)
INT(pabsd)
SSE_HOST_IMM(palignr, "palignr", 16, 0)

INT(pmuldq)
INT(pcmpeqq)
INT(packusdw)
INT(pcmpgtq)
INT(pminsb)
INT(pminsd)
INT(pminuw)
INT(pminud)
INT(pmaxsb)
INT(pmaxsd)
INT(pmaxuw)
INT(pmaxud)
INT(pmulld)
INT(phminposuw)
SSE_HOST(pmovsxbw, "pmovsxbw", 8, 0)
SSE_HOST(pmovsxbd, "pmovsxbd", 4, 0)
SSE_HOST(pmovsxbq, "pmovsxbq", 2, 0)
SSE_HOST(pmovsxwd, "pmovsxwd", 8, 0)
SSE_HOST(pmovsxwq, "pmovsxwq", 4, 0)
SSE_HOST(pmovsxdq, "pmovsxdq", 8, 0)
SSE_HOST(pmovzxbw, "pmovzxbw", 8, 0)
SSE_HOST(pmovzxbd, "pmovzxbd", 4, 0)
SSE_HOST(pmovzxbq, "pmovzxbq", 2, 0)
SSE_HOST(pmovzxwd, "pmovzxwd", 8, 0)
SSE_HOST(pmovzxwq, "pmovzxwq", 4, 0)
SSE_HOST(pmovzxdq, "pmovzxdq", 8, 0)
SSE_HOST_IMM(blendps, "blendps", 16, 0)
SSE_HOST_IMM(blendpd, "blendpd", 16, 0)
SSE_HOST_IMM(pblendw, "pblendw", 16, 0)
SSE_HOST_IMM(mpsadbw, "mpsadbw", 16, 0)
SSE_HOST_IMM(roundps, "roundps", 16, SSE_FLOAT)
SSE_HOST_IMM(roundpd, "roundpd", 16, SSE_FLOAT)
SSE_HOST_IMM(roundss, "roundss", 4, SSE_FLOAT)
SSE_HOST_IMM(roundsd, "roundsd", 8, SSE_FLOAT)

INT(aesimc)
INT(aesenc)
INT(aesenclast)
INT(aesdec)
INT(aesdeclast)
SSE_HOST_IMM(aeskeygenassist, "aeskeygenassist", 16, 0)
SSE_HOST_IMM(pclmulqdq, "pclmulqdq", 16, 0)

/* INSERTPS from memory takes its only number, whichever the immediate names. */
SSE_STUBS(insertps, "insertps")
SSE_STUB_CORE(insertps, 16)
SSE_CORE(insertps_mem_core)
{
    XmmReg one = { { *(const Mem32 *)s, 0 } };

    insertps_core(d, &one, imm & 0x3f);
}
SSE_OP2(insertps, insertps_core, insertps_mem_core, 4)

/* -- blends by the signs in XMM0 -- */

#define BLEND(name)                                                                                \
    static void op_##name(Cpu *cpu, const Insn *in)                                                \
    {                                                                                              \
        register __m128i mask __asm__("xmm0");                                                     \
        XmmReg s;                                                                                  \
        __m128i a;                                                                                 \
                                                                                                   \
        sse_check(cpu);                                                                            \
        s = sse_read_rm(cpu, in, 16);                                                              \
        a = sse_get(&cpu->s.xmm[in->reg]);                                                         \
        mask = sse_get(&cpu->s.xmm[0]);                                                            \
        __asm__(#name " %%xmm0, %1, %0" : "+x"(a) : "x"(sse_get(&s)), "x"(mask));                  \
        sse_put(&cpu->s.xmm[in->reg], a);                                                          \
    }                                                                                              \
    const SseOp sse_##name = { { NULL }, op_##name };
BLEND(pblendvb)
BLEND(blendvps)
BLEND(blendvpd)

static void op_ptest(Cpu *cpu, const Insn *in)
{
    XmmReg s;
    bool z, c;

    sse_check(cpu);
    s = sse_read_rm(cpu, in, 16);
    __asm__("ptest %3, %2"
            : "=@ccz"(z), "=@ccc"(c)
            : "x"(sse_get(&cpu->s.xmm[in->reg])), "x"(sse_get(&s)));
    cpu->s.eflags =
        (cpu->s.eflags & ~(uint64_t)FLAGS_ARITH) | (z ? FLAG_ZF : 0) | (c ? FLAG_CF : 0);
    cpu->cc_kind = CC_EFLAGS;
}
const SseOp sse_ptest = { { NULL }, op_ptest };

/* -- parts in and out -- */

/* PINSRB, PINSRD, PINSRQ: size bytes at a multiple of size. */
static void later_insert(Cpu *cpu, const Insn *in, unsigned size)
{
    uint64_t v;

    sse_check(cpu);
    v = in->modrm >= 0xc0 ? cpu->s.regs[in->rm]
                          : cpu_load(cpu, insn_lin(cpu, in, size, false), size);
    memcpy((char *)&cpu->s.xmm[in->reg] + (in->imm * size & 15), &v, size);
}

static void later_extract(Cpu *cpu, const Insn *in, unsigned size)
{
    uint64_t v = 0;

    sse_check(cpu);
    memcpy(&v, (const char *)&cpu->s.xmm[in->reg] + (in->imm * size & 15), size);
    if (in->modrm >= 0xc0)
        cpu->s.regs[in->rm] = v;
    else
        cpu_store(cpu, insn_lin(cpu, in, size, true), v, size);
}

#define PART(name, act, size)                                                                      \
    static void op_##name(Cpu *cpu, const Insn *in) { act(cpu, in, size); }                        \
    const SseOp sse_##name = { { NULL }, op_##name };
PART(pinsrb, later_insert, 1)
PART(pinsrd, later_insert, in->opsize)
PART(pextrb, later_extract, 1)
PART(pextrw_rm, later_extract, 2)
PART(pextrd, later_extract, in->opsize)
PART(extractps, later_extract, 4)

/* -- strings: PCMPESTRM, PCMPESTRI, PCMPISTRM, PCMPISTRI -- */

/* Like SSE_STUBS, but RAX is an operand: back by RSI. */
#define TEXT_STUBS(name)                                                                           \
    extern const uint8_t text_stubs_##name[] __attribute__((visibility("hidden")));                \
    __asm__(".pushsection .text\n\t.balign 16\ntext_stubs_" #name ":\n\t.set text_imm, 0\n\t"      \
            ".rept 256\n\t" #name " $text_imm, %xmm1, %xmm0\n\tjmp *%rsi\n\t.balign 8\n\t"         \
            ".set text_imm, text_imm + 1\n\t.endr\n\t.popsection");
TEXT_STUBS(pcmpestrm)
TEXT_STUBS(pcmpestri)
TEXT_STUBS(pcmpistrm)
TEXT_STUBS(pcmpistri)

/* A length of which only "more than sixteen" matters, either way. */
static uint32_t text_length(const Cpu *cpu, const Insn *in, unsigned reg)
{
    int64_t v = (int64_t)cpu->s.regs[reg];

    if (in->opsize != 8) return (uint32_t)v;
    return (uint32_t)(v > 16 ? 16 : v < -16 ? -16 : v);
}

static void text_run(Cpu *cpu, const Insn *in, const uint8_t *stubs, bool index)
{
    register __m128i a __asm__("xmm0");
    register __m128i b __asm__("xmm1");
    uint32_t ecx, eax = text_length(cpu, in, R_EAX), edx = text_length(cpu, in, R_EDX);
    bool z, c, s, o;
    XmmReg other;

    sse_check(cpu);
    other = sse_read_rm(cpu, in, 16 | SSE_UNALIGNED);
    a = sse_get(&cpu->s.xmm[in->reg]);
    b = sse_get(&other);
    __asm__ volatile("lea 1f(%%rip), %%rsi\n\tjmp *%8\n1:"
                     : "+x"(a), "=c"(ecx), "=@ccz"(z), "=@ccc"(c), "=@ccs"(s), "=@cco"(o), "+a"(eax)
                     : "x"(b), "r"(stubs + 8 * (in->imm & 0xff)), "d"(edx)
                     : "rsi");
    if (index)
        cpu->s.regs[R_ECX] = ecx;
    else
        sse_put(&cpu->s.xmm[0], a);
    cpu->s.eflags = (cpu->s.eflags & ~(uint64_t)FLAGS_ARITH) | (z ? FLAG_ZF : 0) |
                    (c ? FLAG_CF : 0) | (s ? FLAG_SF : 0) | (o ? FLAG_OF : 0);
    cpu->cc_kind = CC_EFLAGS;
}

#define TEXT(name, index)                                                                          \
    static void op_##name(Cpu *cpu, const Insn *in)                                                \
    {                                                                                              \
        text_run(cpu, in, text_stubs_##name, index);                                               \
    }                                                                                              \
    const SseOp sse_##name = { { NULL }, op_##name };
TEXT(pcmpestrm, false)
TEXT(pcmpestri, true)
TEXT(pcmpistrm, false)
TEXT(pcmpistri, true)
