/* SPDX-License-Identifier: MIT */
/* The opcode table's rows, and the families of handlers that they name. */
#pragma once

#include "cpu/decode.h"

/* The handlers of one operation by operand size (1, 2, 4, 8 bytes) and by kind of operand. */
enum OpKind {
    KIND_REG,   /* register; without ModRM: flat code or stack segment, 32 bits */
    KIND_BASE,  /* memory: flat, base + displacement; string instructions: repeated */
    KIND_SIB,   /* memory: flat, with an index */
    KIND_SEG,   /* memory: anything else; without ModRM: any segment and size */
    KIND_LBASE, /* memory: 64-bit code, base + displacement; without ModRM: 64-bit code, 8 bytes */
    KIND_LSIB,  /* memory: 64-bit code, with an index */
    KIND_COUNT
};
typedef struct OpFns {
    InsnFn *f[4][KIND_COUNT];
} OpFns;

enum OpForm {
    FORM_NONE, /* no operand byte */
    FORM_MODRM,
    FORM_OPREG, /* the register in the opcode's low bits stands for ModRM.rm */
    FORM_ACC,   /* the accumulator stands for ModRM.rm */
    FORM_MOFFS, /* accumulator as ModRM.reg, absolute address */
    FORM_STR,   /* string instruction */
};
enum OpSize {
    SIZE_V, /* 2, 4 or 8 by mode, 66 and REX.W */
    SIZE_B,
    SIZE_W,
    SIZE_D,
    SIZE_Y, /* 4, or 8 with REX.W */
    SIZE_Q,
    SIZE_NATIVE, /* 4, in 64-bit code 8 */
};
enum OpImm {
    IMM_NONE,
    IMM_8,  /* zero-extended */
    IMM_8S, /* sign-extended */
    IMM_Z,  /* 2 or 4 by operand size */
    IMM_V,  /* 2, 4 or 8 by operand size */
    IMM_16,
    IMM_16_8, /* ENTER */
    IMM_FAR,
};
enum {
    OP_LOCK = 1 << 0,  /* may be locked where its destination is memory */
    OP_SLOW = 1 << 1,  /* ends the block; called by op_slow */
    OP_MID = 1 << 2,   /* called by op_mid */
    OP_END = 1 << 3,   /* a terminator */
    OP_REL = 1 << 4,   /* imm is relative to the next instruction */
    OP_CODE = 1 << 5,  /* the kind depends on CS being flat and 32 bits wide ... */
    OP_STACK = 1 << 6, /* ... on SS */
    OP_MEM = 1 << 7,   /* #UD in the register form */
    OP_REG = 1 << 8,   /* #UD in the memory form */
    OP_PROT = 1 << 9,  /* #UD in real and v86 mode */
    OP_RM8 = 1 << 10,  /* ModRM.rm is a byte ... */
    OP_RM16 = 1 << 11, /* ... a word, whatever the operand size */
    OP_CRDR = 1 << 12, /* ModRM.mod is ignored: a register */
    OP_CMOV = 1 << 13, /* #UD without the CPUID bit */
    OP_CX8 = 1 << 14,
    OP_NP = 1 << 15,      /* #UD with 66, F2 or F3 */
    OP_SEGREG = 1 << 16,  /* ModRM.reg is a segment register: 0 to 5 ... */
    OP_NOCS = 1 << 17,    /* ... but not CS */
    OP_NO64 = 1 << 18,    /* #UD in 64-bit code */
    OP_WIDE64 = 1 << 19,  /* in 64-bit code 8 bytes where 4 is the default ... */
    OP_FORCE64 = 1 << 20, /* ... 8 bytes always */
    OP_MAX32 = 1 << 21,   /* REX.W changes nothing */
    OP_NOSEG = 1 << 22,   /* no segment's base is added */
    OP_LAHF = 1 << 23,    /* #UD in 64-bit code without the CPUID bit */
    OP_CX16 = 1 << 24,    /* REX.W makes it CMPXCHG16B */
    OP_ONLY64 = 1 << 25,  /* #UD outside 64-bit code */
};

/* What CPUID must tell of, or the opcode is invalid: word of Cpu.features (from 1) and bit. */
enum OpNeed {
    NEED_SSE3 = 1 << 5 | 0,
    NEED_MONITOR = 1 << 5 | 3,
    NEED_PCLMULQDQ = 1 << 5 | 1,
    NEED_SSSE3 = 1 << 5 | 9,
    NEED_SSE41 = 1 << 5 | 19,
    NEED_SSE42 = 1 << 5 | 20,
    NEED_MOVBE = 1 << 5 | 22,
    NEED_POPCNT = 1 << 5 | 23,
    NEED_AES = 1 << 5 | 25,
    NEED_RDRAND = 1 << 5 | 30,
    NEED_CLFLUSH = 2 << 5 | 19,
    NEED_MMX = 2 << 5 | 23,
    NEED_FXSR = 2 << 5 | 24,
    NEED_SSE = 2 << 5 | 25,
    NEED_SSE2 = 2 << 5 | 26,
    NEED_RDSEED = 5 << 5 | 18,
    NEED_SYSCALL = 4 << 5 | 11,
    NEED_RDTSCP = 4 << 5 | 27,
    NEED_FSGSBASE = 5 << 5 | 0,
    NEED_SMAP = 5 << 5 | 20,
};

/* How an SSE instruction runs: inside blocks by kind of operand (NULL, as for KIND_SEG: by op_mid),
 * and in general. */
typedef struct SseOp {
    InsnFn *fast[KIND_COUNT];
    InsnFn *general;
} SseOp;

/* Four rows of an opcode that prefixes tell apart. */
enum { ROW_NP, ROW_66, ROW_F3, ROW_F2, ROW_PREFIXES };

typedef struct OpRow OpRow;
struct OpRow {
    const char *name; /* NULL: #UD */
    uint8_t form, size, imm;
    uint8_t need; /* enum OpNeed, or 0 */
    uint32_t flags;
    const OpFns *fns;
    InsnFn *slow;
    const OpRow *in64;     /* the row that stands here in 64-bit code */
    const OpRow *group;    /* 8 rows by ModRM.reg; form, size, imm and flags are added */
    const OpRow *rm;       /* 8 rows by ModRM.rm, of a group's member in its register form */
    const OpRow *prefixed; /* ROW_PREFIXES rows that stand for this one */
    const OpRow *map;      /* 256 times ROW_PREFIXES rows, by one more opcode byte */
    const SseOp *sse;
};

extern const OpRow opcodes[512]; /* 0F xx behind the one-byte ones */
extern const OpRow opcode_pause; /* F3 90 */
/* By the last opcode byte, prefixed: 0F xx (as far as SSE has it), 0F 38 xx, 0F 3A xx. */
extern const OpRow opcodes_0f[256][ROW_PREFIXES], opcodes_0f38[256][ROW_PREFIXES],
    opcodes_0f3a[256][ROW_PREFIXES];

static inline bool opcode_built_in(const Cpu *cpu, unsigned need)
{
    const struct CpuFeatures *f = &cpu->features;
    const uint32_t words[] = { 1, f->ecx1, f->edx1, f->ecx80000001, f->edx80000001, f->ebx7 };

    return words[need >> 5] >> (need & 31) & 1;
}

/* Arithmetic in the order of the opcode map: ADD OR ADC SBB AND SUB XOR CMP. */
extern const OpFns alu_mr[8], alu_rm[8], alu_mi[8];
extern const OpFns test_mr, test_mi, inc_m, dec_m, neg_m, not_m;
/* ROL ROR RCL RCR SHL SHR SAL SAR. */
extern const OpFns shift_imm[8], shift_cl[8], shift_1[8];
extern const OpFns shld_imm, shld_cl, shrd_imm, shrd_cl;
extern const OpFns mul_m, imul_m, div_m, idiv_m, imul_rm, imul_rmi;
/* BT BTS BTR BTC. */
extern const OpFns bt_mr[4], bt_mi[4];
extern const OpFns bsf_rm, bsr_rm, bswap_r, cmpxchg_mr, cmpxchg8b_m, cmpxchg16b_m, xadd_mr;
extern const OpFns mov_mr, mov_rm, mov_mi, lea_rm, xchg_mr, movzx8, movzx16, movsx8, movsx16;
extern const OpFns movsxd;
extern const OpFns mov_m_sreg, cmov_rm[16], setcc_m[16], xlat_fns, nop_fns, ud_fns;
extern const OpFns push_r, push_m, push_i, push_sreg, pop_r, pop_m, pusha_fns, popa_fns;
extern const OpFns enter_fns, leave_fns;
extern const OpFns jcc_rel[16], jmp_rel, call_rel, ret_fns, ret_imm, jmp_m, call_m;
extern const OpFns loop_fns, loope_fns, loopne_fns, jcxz_fns;
extern const OpFns movs_fns, stos_fns, lods_fns, scas_fns, cmps_fns, ins_fns, outs_fns;
extern const OpFns cbw_fns, cwd_fns, lahf_fns, sahf_fns, salc_fns, cmc_fns, clc_fns, stc_fns;
extern const OpFns cld_fns, std_fns, daa_fns, das_fns, aaa_fns, aas_fns, aam_fns, aad_fns;

#define OP_ROW(fn)                                                                                 \
    {                                                                                              \
        fn, fn, fn, fn, fn, fn                                                                     \
    }
#define OP_SAME(fn)                                                                                \
    {                                                                                              \
        {                                                                                          \
            OP_ROW(fn), OP_ROW(fn), OP_ROW(fn), OP_ROW(fn)                                         \
        }                                                                                          \
    }
