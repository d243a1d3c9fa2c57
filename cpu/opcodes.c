/* SPDX-License-Identifier: MIT */
/*
 * The opcode table.  Source: Intel SDM volume 2, opcode maps.  What prefixes tell apart (MMX, SSE)
 * stands in opcodes_sse.c.
 */
#include "cpu/opcodes.h"

#include <stddef.h>

#define ROW(text, form_, size_, ...)                                                               \
    {                                                                                              \
        .name = text, .form = form_, .size = size_, __VA_ARGS__                                    \
    }
#define MODRM(text, size, ...) ROW(text, FORM_MODRM, size, __VA_ARGS__)
#define PLAIN(text, fns_, ...) ROW(text, FORM_NONE, SIZE_V, .fns = &fns_, __VA_ARGS__)
#define PLAIN32(text, fns_, ...) PLAIN(text, fns_, .flags = OP_NO64, __VA_ARGS__)
#define SLOW(text, fn, ...) SLOW_AND(text, fn, 0, __VA_ARGS__)
#define SLOW_AND(text, fn, more, ...)                                                              \
    ROW(text, FORM_NONE, SIZE_V, .slow = fn, .flags = OP_SLOW | (more), __VA_ARGS__)
#define SLOW_RM(text, size, fn, more) MODRM(text, size, .slow = fn, .flags = OP_SLOW | (more))
#define GROUP(text, size, rows, ...) MODRM(text, size, .group = rows, __VA_ARGS__)
/* A group's member: what its opcode's row says is added. */
#define IN_GROUP(text, fns_, ...)                                                                  \
    {                                                                                              \
        .name = text, .fns = &fns_, __VA_ARGS__                                                    \
    }

/* Six encodings of one arithmetic operation. */
#define ALU(at, n, text, lock)                                                                     \
    [at] = MODRM(text, SIZE_B, .fns = &alu_mr[n], .flags = lock),                                  \
    [at + 1] = MODRM(text, SIZE_V, .fns = &alu_mr[n], .flags = lock),                              \
    [at + 2] = MODRM(text, SIZE_B, .fns = &alu_rm[n]),                                             \
    [at + 3] = MODRM(text, SIZE_V, .fns = &alu_rm[n]),                                             \
    [at + 4] = ROW(text, FORM_ACC, SIZE_B, .imm = IMM_8S, .fns = &alu_mi[n]),                      \
    [at + 5] = ROW(text, FORM_ACC, SIZE_V, .imm = IMM_Z, .fns = &alu_mi[n])

#define X8(M, at) M(at, 0), M(at, 1), M(at, 2), M(at, 3), M(at, 4), M(at, 5), M(at, 6), M(at, 7)
#define X16(M, at)                                                                                 \
    X8(M, at), M(at, 8), M(at, 9), M(at, 10), M(at, 11), M(at, 12), M(at, 13), M(at, 14), M(at, 15)

#define INC_R(at, i) [(at) + (i)] = ROW("inc", FORM_OPREG, SIZE_V, .fns = &inc_m)
#define DEC_R(at, i) [(at) + (i)] = ROW("dec", FORM_OPREG, SIZE_V, .fns = &dec_m)
#define STACK64 (OP_STACK | OP_WIDE64)
#define PUSH_R(at, i)                                                                              \
    [(at) + (i)] = ROW("push", FORM_OPREG, SIZE_V, .fns = &push_r, .flags = STACK64)
#define POP_R(at, i) [(at) + (i)] = ROW("pop", FORM_OPREG, SIZE_V, .fns = &pop_r, .flags = STACK64)
#define JUMP_FLAGS (OP_END | OP_REL | OP_CODE | OP_FORCE64)
#define JCC8(at, i)                                                                                \
    [(at) + (i)] =                                                                                 \
        ROW("jcc", FORM_NONE, SIZE_V, .imm = IMM_8S, .fns = &jcc_rel[i], .flags = JUMP_FLAGS)
#define JCCZ(at, i)                                                                                \
    [(at) + (i)] =                                                                                 \
        ROW("jcc", FORM_NONE, SIZE_V, .imm = IMM_Z, .fns = &jcc_rel[i], .flags = JUMP_FLAGS)
#define SETCC(at, i) [(at) + (i)] = MODRM("setcc", SIZE_B, .fns = &setcc_m[i])
#define CMOVCC(at, i) [(at) + (i)] = MODRM("cmovcc", SIZE_V, .fns = &cmov_rm[i], .flags = OP_CMOV)
#define XCHG_R(at, i) [(at) + (i)] = ROW("xchg", FORM_OPREG, SIZE_V, .fns = &xchg_mr)
#define BSWAP_R(at, i) [(at) + (i)] = ROW("bswap", FORM_OPREG, SIZE_V, .fns = &bswap_r)
#define MOV_R8(at, i) [(at) + (i)] = ROW("mov", FORM_OPREG, SIZE_B, .imm = IMM_8, .fns = &mov_mi)
#define MOV_RV(at, i) [(at) + (i)] = ROW("mov", FORM_OPREG, SIZE_V, .imm = IMM_V, .fns = &mov_mi)
#define X87(at, i) [(at) + (i)] = MODRM("x87", SIZE_V, .slow = op_x87, .flags = OP_MID)
#define NOP_RM(at, i) [(at) + (i)] = MODRM("nop", SIZE_V, .fns = &nop_fns)
#define SSE_AT(at, i)                                                                              \
    [0x100 + (at) + (i)] = MODRM("sse", SIZE_V, .prefixed = opcodes_0f[(at) + (i)])

#define GROUP1_ROW(n, text, lock) [n] = IN_GROUP(text, alu_mi[n], .flags = lock)
static const OpRow group1[8] = { GROUP1_ROW(0, "add", OP_LOCK), GROUP1_ROW(1, "or", OP_LOCK),
    GROUP1_ROW(2, "adc", OP_LOCK), GROUP1_ROW(3, "sbb", OP_LOCK), GROUP1_ROW(4, "and", OP_LOCK),
    GROUP1_ROW(5, "sub", OP_LOCK), GROUP1_ROW(6, "xor", OP_LOCK), GROUP1_ROW(7, "cmp", 0) };

const OpRow opcode_pause = SLOW("pause", op_pause);

static const OpRow group1a[8] = { IN_GROUP("pop", pop_m, .flags = OP_WIDE64) };

#define GROUP2(fns)                                                                                \
    {                                                                                              \
        IN_GROUP("rol", fns[0]), IN_GROUP("ror", fns[1]), IN_GROUP("rcl", fns[2]),                 \
            IN_GROUP("rcr", fns[3]), IN_GROUP("shl", fns[4]), IN_GROUP("shr", fns[5]),             \
            IN_GROUP("sal", fns[6]), IN_GROUP("sar", fns[7])                                       \
    }
static const OpRow group2_imm[8] = GROUP2(shift_imm);
static const OpRow group2_1[8] = GROUP2(shift_1);
static const OpRow group2_cl[8] = GROUP2(shift_cl);

#define GROUP3(imm_)                                                                               \
    {                                                                                              \
        IN_GROUP("test", test_mi, .imm = imm_), IN_GROUP("test", test_mi, .imm = imm_),            \
            IN_GROUP("not", not_m, .flags = OP_LOCK), IN_GROUP("neg", neg_m, .flags = OP_LOCK),    \
            IN_GROUP("mul", mul_m), IN_GROUP("imul", imul_m), IN_GROUP("div", div_m),              \
            IN_GROUP("idiv", idiv_m)                                                               \
    }
static const OpRow group3_b[8] = GROUP3(IMM_8);
static const OpRow group3_v[8] = GROUP3(IMM_Z);

static const OpRow group4[8] = { IN_GROUP("inc", inc_m, .flags = OP_LOCK),
    IN_GROUP("dec", dec_m, .flags = OP_LOCK) };

static const OpRow group5[8] = { IN_GROUP("inc", inc_m, .flags = OP_LOCK),
    IN_GROUP("dec", dec_m, .flags = OP_LOCK),
    IN_GROUP("call", call_m, .flags = OP_END | OP_FORCE64),
    { .name = "call far", .slow = op_call_far_mem, .flags = OP_SLOW | OP_MEM },
    IN_GROUP("jmp", jmp_m, .flags = OP_END | OP_FORCE64),
    { .name = "jmp far", .slow = op_jmp_far_mem, .flags = OP_SLOW | OP_MEM },
    IN_GROUP("push", push_m, .flags = OP_WIDE64) };

#define PROT_SLOW(text, fn)                                                                        \
    {                                                                                              \
        .name = text, .slow = fn, .flags = OP_SLOW | OP_PROT                                       \
    }
static const OpRow group6[8] = { PROT_SLOW("sldt", op_sldt), PROT_SLOW("str", op_str),
    PROT_SLOW("lldt", op_lldt), PROT_SLOW("ltr", op_ltr), PROT_SLOW("verr", op_verr),
    PROT_SLOW("verw", op_verw) };

#define MEM_SLOW(text, fn)                                                                         \
    {                                                                                              \
        .name = text, .slow = fn, .flags = OP_SLOW | OP_MEM                                        \
    }
static const OpRow group7_1[8] = {
    [0] = { .name = "monitor", .slow = op_monitor, .flags = OP_SLOW | OP_NP, .need = NEED_MONITOR },
    [1] = { .name = "mwait", .slow = op_mwait, .flags = OP_SLOW | OP_NP, .need = NEED_MONITOR },
    [2] = { .name = "clac", .slow = op_stac_clac, .flags = OP_SLOW | OP_NP, .need = NEED_SMAP },
    [3] = { .name = "stac", .slow = op_stac_clac, .flags = OP_SLOW | OP_NP, .need = NEED_SMAP },
};
static const OpRow group7_7[8] = {
    { .name = "swapgs", .slow = op_swapgs, .flags = OP_SLOW | OP_ONLY64 },
    { .name = "rdtscp", .slow = op_rdtscp, .flags = OP_SLOW, .need = NEED_RDTSCP },
};
static const OpRow group7[8] = { MEM_SLOW("sgdt", op_sgdt),
    { .name = "sidt", .slow = op_sidt, .flags = OP_SLOW, .rm = group7_1 },
    MEM_SLOW("lgdt", op_lgdt), MEM_SLOW("lidt", op_lidt),
    { .name = "smsw", .slow = op_smsw, .flags = OP_SLOW }, { .name = NULL },
    { .name = "lmsw", .slow = op_lmsw, .flags = OP_SLOW },
    { .name = "invlpg", .slow = op_invlpg, .flags = OP_SLOW, .rm = group7_7 } };

static const OpRow group8[8] = { [4] = IN_GROUP("bt", bt_mi[0]),
    [5] = IN_GROUP("bts", bt_mi[1], .flags = OP_LOCK),
    [6] = IN_GROUP("btr", bt_mi[2], .flags = OP_LOCK),
    [7] = IN_GROUP("btc", bt_mi[3], .flags = OP_LOCK) };

#define RANDOM(text, need_)                                                                        \
    {                                                                                              \
        .name = text, .slow = op_rdrand, .need = need_, .flags = OP_SLOW | OP_REG                  \
    }
static const OpRow group9[8] = { [1] = IN_GROUP("cmpxchg8b", cmpxchg8b_m, .size = SIZE_Q,
                                     .flags = OP_LOCK | OP_MEM | OP_CX8 | OP_CX16),
    [6] = RANDOM("rdrand", NEED_RDRAND),
    [7] = RANDOM("rdseed", NEED_RDSEED) };

static const OpRow group11[8] = { IN_GROUP("mov", mov_mi) };

#define MID(text, fn, ...)                                                                         \
    {                                                                                              \
        .name = text, .slow = fn, __VA_ARGS__                                                      \
    }
#define BASE_ROW(text)                                                                             \
    {                                                                                              \
        .name = text, .slow = op_fsgsbase, .need = NEED_FSGSBASE, .flags = OP_SLOW | OP_ONLY64     \
    }
static const OpRow group15_f3[8] = { BASE_ROW("rdfsbase"), BASE_ROW("rdgsbase"),
    BASE_ROW("wrfsbase"), BASE_ROW("wrgsbase") };
static const OpRow group15[8] = { MEM_SLOW("fxsave", op_fxsave), MEM_SLOW("fxrstor", op_fxrstor),
    MID("ldmxcsr", op_ldmxcsr, .need = NEED_SSE, .flags = OP_MID | OP_MEM),
    MID("stmxcsr", op_stmxcsr, .need = NEED_SSE, .flags = OP_MID | OP_MEM), { .name = NULL },
    MID("lfence", op_fence, .need = NEED_SSE2, .flags = OP_MID | OP_REG),
    MID("mfence", op_fence, .need = NEED_SSE2, .flags = OP_MID | OP_REG),
    MID("sfence", op_sfence_clflush, .flags = OP_MID) };

static const OpRow group15_rows[ROW_PREFIXES] = { [ROW_NP] = GROUP("group15", SIZE_V, group15),
    [ROW_F3] = GROUP("group15", SIZE_V, group15_f3, .flags = OP_REG) };

#define STRING(text, size, fns_) ROW(text, FORM_STR, size, .fns = &fns_)
#define STRING_IO(text, size, fns_)                                                                \
    ROW(text, FORM_STR, size, .fns = &fns_, .flags = OP_END | OP_MAX32)
#define LOOP(text, fns_)                                                                           \
    ROW(text, FORM_NONE, SIZE_V, .imm = IMM_8S, .fns = &fns_, .flags = JUMP_FLAGS)
#define SEG_PUSH(text, more)                                                                       \
    ROW(text, FORM_NONE, SIZE_V, .fns = &push_sreg, .flags = OP_WIDE64 | (more))
#define SHIFTS(size, rows, imm_) GROUP("shift", size, rows, .imm = imm_)

static const OpRow movsxd_row = MODRM("movsxd", SIZE_V, .fns = &movsxd);

const OpRow opcodes[512] = {
    ALU(0x00, 0, "add", OP_LOCK),
    ALU(0x08, 1, "or", OP_LOCK),
    ALU(0x10, 2, "adc", OP_LOCK),
    ALU(0x18, 3, "sbb", OP_LOCK),
    ALU(0x20, 4, "and", OP_LOCK),
    ALU(0x28, 5, "sub", OP_LOCK),
    ALU(0x30, 6, "xor", OP_LOCK),
    ALU(0x38, 7, "cmp", 0),
    [0x06] = SEG_PUSH("push es", OP_NO64),
    [0x07] = SLOW_AND("pop es", op_pop_sreg, OP_NO64),
    [0x0e] = SEG_PUSH("push cs", OP_NO64),
    [0x16] = SEG_PUSH("push ss", OP_NO64),
    [0x17] = SLOW_AND("pop ss", op_pop_sreg, OP_NO64),
    [0x1e] = SEG_PUSH("push ds", OP_NO64),
    [0x1f] = SLOW_AND("pop ds", op_pop_sreg, OP_NO64),
    [0x27] = PLAIN32("daa", daa_fns),
    [0x2f] = PLAIN32("das", das_fns),
    [0x37] = PLAIN32("aaa", aaa_fns),
    [0x3f] = PLAIN32("aas", aas_fns),
    X8(INC_R, 0x40),
    X8(DEC_R, 0x48),
    X8(PUSH_R, 0x50),
    X8(POP_R, 0x58),
    [0x60] = PLAIN32("pusha", pusha_fns),
    [0x61] = PLAIN32("popa", popa_fns),
    [0x62] = MODRM("bound", SIZE_V, .slow = op_bound, .flags = OP_MID | OP_MEM | OP_NO64),
    [0x63] =
        MODRM("arpl", SIZE_W, .slow = op_arpl, .flags = OP_SLOW | OP_PROT, .in64 = &movsxd_row),
    [0x68] = ROW("push", FORM_NONE, SIZE_V, .imm = IMM_Z, .fns = &push_i, .flags = STACK64),
    [0x69] = MODRM("imul", SIZE_V, .imm = IMM_Z, .fns = &imul_rmi),
    [0x6a] = ROW("push", FORM_NONE, SIZE_V, .imm = IMM_8S, .fns = &push_i, .flags = STACK64),
    [0x6b] = MODRM("imul", SIZE_V, .imm = IMM_8S, .fns = &imul_rmi),
    [0x6c] = STRING_IO("ins", SIZE_B, ins_fns),
    [0x6d] = STRING_IO("ins", SIZE_V, ins_fns),
    [0x6e] = STRING_IO("outs", SIZE_B, outs_fns),
    [0x6f] = STRING_IO("outs", SIZE_V, outs_fns),
    X16(JCC8, 0x70),
    [0x80] = GROUP("group1", SIZE_B, group1, .imm = IMM_8S),
    [0x81] = GROUP("group1", SIZE_V, group1, .imm = IMM_Z),
    [0x82] = GROUP("group1", SIZE_B, group1, .imm = IMM_8S, .flags = OP_NO64),
    [0x83] = GROUP("group1", SIZE_V, group1, .imm = IMM_8S),
    [0x84] = MODRM("test", SIZE_B, .fns = &test_mr),
    [0x85] = MODRM("test", SIZE_V, .fns = &test_mr),
    [0x86] = MODRM("xchg", SIZE_B, .fns = &xchg_mr, .flags = OP_LOCK),
    [0x87] = MODRM("xchg", SIZE_V, .fns = &xchg_mr, .flags = OP_LOCK),
    [0x88] = MODRM("mov", SIZE_B, .fns = &mov_mr),
    [0x89] = MODRM("mov", SIZE_V, .fns = &mov_mr),
    [0x8a] = MODRM("mov", SIZE_B, .fns = &mov_rm),
    [0x8b] = MODRM("mov", SIZE_V, .fns = &mov_rm),
    [0x8c] = MODRM("mov", SIZE_V, .fns = &mov_m_sreg, .flags = OP_SEGREG),
    [0x8d] = MODRM("lea", SIZE_V, .fns = &lea_rm, .flags = OP_MEM | OP_NOSEG),
    [0x8e] = SLOW_RM("mov", SIZE_W, op_mov_sreg_rm, OP_SEGREG | OP_NOCS),
    [0x8f] = GROUP("group1a", SIZE_V, group1a),
    [0x90] = PLAIN("nop", nop_fns),
    [0x91] = ROW("xchg", FORM_OPREG, SIZE_V, .fns = &xchg_mr),
    XCHG_R(0x90, 2),
    XCHG_R(0x90, 3),
    XCHG_R(0x90, 4),
    XCHG_R(0x90, 5),
    XCHG_R(0x90, 6),
    XCHG_R(0x90, 7),
    [0x98] = PLAIN("cbw", cbw_fns),
    [0x99] = PLAIN("cwd", cwd_fns),
    [0x9a] = ROW("call far", FORM_NONE, SIZE_V, .imm = IMM_FAR, .slow = op_call_far_imm,
        .flags = OP_SLOW | OP_NO64),
    [0x9b] = ROW("wait", FORM_NONE, SIZE_V, .slow = op_wait, .flags = OP_MID),
    [0x9c] = ROW("pushf", FORM_NONE, SIZE_V, .slow = op_pushf, .flags = OP_MID | OP_WIDE64),
    [0x9d] = SLOW_AND("popf", op_popf, OP_WIDE64),
    [0x9e] = PLAIN("sahf", sahf_fns, .flags = OP_LAHF),
    [0x9f] = PLAIN("lahf", lahf_fns, .flags = OP_LAHF),
    [0xa0] = ROW("mov", FORM_MOFFS, SIZE_B, .fns = &mov_rm),
    [0xa1] = ROW("mov", FORM_MOFFS, SIZE_V, .fns = &mov_rm),
    [0xa2] = ROW("mov", FORM_MOFFS, SIZE_B, .fns = &mov_mr),
    [0xa3] = ROW("mov", FORM_MOFFS, SIZE_V, .fns = &mov_mr),
    [0xa4] = STRING("movs", SIZE_B, movs_fns),
    [0xa5] = STRING("movs", SIZE_V, movs_fns),
    [0xa6] = STRING("cmps", SIZE_B, cmps_fns),
    [0xa7] = STRING("cmps", SIZE_V, cmps_fns),
    [0xa8] = ROW("test", FORM_ACC, SIZE_B, .imm = IMM_8, .fns = &test_mi),
    [0xa9] = ROW("test", FORM_ACC, SIZE_V, .imm = IMM_Z, .fns = &test_mi),
    [0xaa] = STRING("stos", SIZE_B, stos_fns),
    [0xab] = STRING("stos", SIZE_V, stos_fns),
    [0xac] = STRING("lods", SIZE_B, lods_fns),
    [0xad] = STRING("lods", SIZE_V, lods_fns),
    [0xae] = STRING("scas", SIZE_B, scas_fns),
    [0xaf] = STRING("scas", SIZE_V, scas_fns),
    X8(MOV_R8, 0xb0),
    X8(MOV_RV, 0xb8),
    [0xc0] = SHIFTS(SIZE_B, group2_imm, IMM_8),
    [0xc1] = SHIFTS(SIZE_V, group2_imm, IMM_8),
    [0xc2] =
        ROW("ret", FORM_NONE, SIZE_V, .imm = IMM_16, .fns = &ret_imm, .flags = OP_END | OP_FORCE64),
    [0xc3] = ROW("ret", FORM_NONE, SIZE_V, .fns = &ret_fns,
        .flags = OP_END | OP_CODE | OP_STACK | OP_FORCE64),
    [0xc4] = SLOW_RM("les", SIZE_V, op_load_far_ptr, OP_MEM | OP_NO64),
    [0xc5] = SLOW_RM("lds", SIZE_V, op_load_far_ptr, OP_MEM | OP_NO64),
    [0xc6] = GROUP("group11", SIZE_B, group11, .imm = IMM_8),
    [0xc7] = GROUP("group11", SIZE_V, group11, .imm = IMM_Z),
    [0xc8] = PLAIN("enter", enter_fns, .imm = IMM_16_8, .flags = OP_WIDE64),
    [0xc9] = PLAIN("leave", leave_fns, .flags = STACK64),
    [0xca] = ROW("ret far", FORM_NONE, SIZE_V, .imm = IMM_16, .slow = op_ret_far, .flags = OP_SLOW),
    [0xcb] = SLOW("ret far", op_ret_far),
    [0xcc] = SLOW("int3", op_int3),
    [0xcd] = ROW("int", FORM_NONE, SIZE_V, .imm = IMM_8, .slow = op_int_n, .flags = OP_SLOW),
    [0xce] = SLOW_AND("into", op_into, OP_NO64),
    [0xcf] = SLOW("iret", op_iret),
    [0xd0] = SHIFTS(SIZE_B, group2_1, IMM_NONE),
    [0xd1] = SHIFTS(SIZE_V, group2_1, IMM_NONE),
    [0xd2] = SHIFTS(SIZE_B, group2_cl, IMM_NONE),
    [0xd3] = SHIFTS(SIZE_V, group2_cl, IMM_NONE),
    [0xd4] = PLAIN32("aam", aam_fns, .imm = IMM_8),
    [0xd5] = PLAIN32("aad", aad_fns, .imm = IMM_8),
    [0xd6] = PLAIN32("salc", salc_fns),
    [0xd7] = ROW("xlat", FORM_STR, SIZE_B, .fns = &xlat_fns),
    X8(X87, 0xd8),
    [0xe0] = LOOP("loopne", loopne_fns),
    [0xe1] = LOOP("loope", loope_fns),
    [0xe2] = LOOP("loop", loop_fns),
    [0xe3] = LOOP("jcxz", jcxz_fns),
    [0xe4] = ROW("in", FORM_NONE, SIZE_B, .imm = IMM_8, .slow = op_in, .flags = OP_SLOW),
    [0xe5] = ROW("in", FORM_NONE, SIZE_V, .imm = IMM_8, .slow = op_in, .flags = OP_SLOW | OP_MAX32),
    [0xe6] = ROW("out", FORM_NONE, SIZE_B, .imm = IMM_8, .slow = op_out, .flags = OP_SLOW),
    [0xe7] =
        ROW("out", FORM_NONE, SIZE_V, .imm = IMM_8, .slow = op_out, .flags = OP_SLOW | OP_MAX32),
    [0xe8] = ROW(
        "call", FORM_NONE, SIZE_V, .imm = IMM_Z, .fns = &call_rel, .flags = JUMP_FLAGS | OP_STACK),
    [0xe9] = ROW("jmp", FORM_NONE, SIZE_V, .imm = IMM_Z, .fns = &jmp_rel, .flags = JUMP_FLAGS),
    [0xea] = ROW("jmp far", FORM_NONE, SIZE_V, .imm = IMM_FAR, .slow = op_jmp_far_imm,
        .flags = OP_SLOW | OP_NO64),
    [0xeb] = ROW("jmp", FORM_NONE, SIZE_V, .imm = IMM_8S, .fns = &jmp_rel, .flags = JUMP_FLAGS),
    [0xec] = ROW("in", FORM_NONE, SIZE_B, .slow = op_in, .flags = OP_SLOW),
    [0xed] = SLOW_AND("in", op_in, OP_MAX32),
    [0xee] = ROW("out", FORM_NONE, SIZE_B, .slow = op_out, .flags = OP_SLOW),
    [0xef] = SLOW_AND("out", op_out, OP_MAX32),
    [0xf1] = SLOW("icebp", op_icebp),
    [0xf4] = SLOW("hlt", op_hlt),
    [0xf5] = PLAIN("cmc", cmc_fns),
    [0xf6] = GROUP("group3", SIZE_B, group3_b),
    [0xf7] = GROUP("group3", SIZE_V, group3_v),
    [0xf8] = PLAIN("clc", clc_fns),
    [0xf9] = PLAIN("stc", stc_fns),
    [0xfa] = ROW("cli", FORM_NONE, SIZE_V, .slow = op_cli, .flags = OP_MID),
    [0xfb] = SLOW("sti", op_sti),
    [0xfc] = PLAIN("cld", cld_fns),
    [0xfd] = PLAIN("std", std_fns),
    [0xfe] = GROUP("group4", SIZE_B, group4),
    [0xff] = GROUP("group5", SIZE_V, group5),

    /* 0F xx */
    [0x100] = GROUP("group6", SIZE_V, group6),
    [0x101] = GROUP("group7", SIZE_V, group7),
    [0x102] = SLOW_RM("lar", SIZE_V, op_lar, OP_PROT | OP_RM16),
    [0x103] = SLOW_RM("lsl", SIZE_V, op_lsl, OP_PROT | OP_RM16),
    [0x105] = SLOW("syscall", op_syscall, .need = NEED_SYSCALL),
    [0x106] = SLOW("clts", op_clts),
    [0x107] = SLOW("sysret", op_sysret, .need = NEED_SYSCALL),
    [0x108] = SLOW("invd", op_invd),
    [0x109] = SLOW("wbinvd", op_wbinvd),
    X8(SSE_AT, 0x10),
    [0x10d] = MODRM("prefetchw", SIZE_V, .fns = &nop_fns),
    X8(NOP_RM, 0x118),
    [0x138] = ROW("0f38", FORM_NONE, SIZE_V, .map = opcodes_0f38[0]),
    [0x13a] = ROW("0f3a", FORM_NONE, SIZE_V, .map = opcodes_0f3a[0]),
    X8(SSE_AT, 0x28),
    [0x120] = SLOW_RM("mov", SIZE_NATIVE, op_mov_r_cr, OP_CRDR),
    [0x121] = SLOW_RM("mov", SIZE_NATIVE, op_mov_r_dr, OP_CRDR),
    [0x122] = SLOW_RM("mov", SIZE_NATIVE, op_mov_cr_r, OP_CRDR),
    [0x123] = SLOW_RM("mov", SIZE_NATIVE, op_mov_dr_r, OP_CRDR),
    [0x130] = SLOW("wrmsr", op_wrmsr),
    [0x131] = SLOW("rdtsc", op_rdtsc),
    [0x132] = SLOW("rdmsr", op_rdmsr),
    [0x133] = SLOW("rdpmc", op_rdpmc),
    [0x134] = SLOW("sysenter", op_sysenter),
    [0x135] = SLOW("sysexit", op_sysexit),
    X16(CMOVCC, 0x140),
    X8(SSE_AT, 0x50),
    X8(SSE_AT, 0x58),
    X8(SSE_AT, 0x60),
    X8(SSE_AT, 0x68),
    X8(SSE_AT, 0x70),
    X8(SSE_AT, 0x78),
    X16(JCCZ, 0x180),
    X16(SETCC, 0x190),
    [0x1a0] = SEG_PUSH("push fs", 0),
    [0x1a1] = SLOW_AND("pop fs", op_pop_sreg, OP_WIDE64),
    [0x1a2] = SLOW("cpuid", op_cpuid),
    [0x1a3] = MODRM("bt", SIZE_V, .fns = &bt_mr[0]),
    [0x1a4] = MODRM("shld", SIZE_V, .imm = IMM_8, .fns = &shld_imm),
    [0x1a5] = MODRM("shld", SIZE_V, .fns = &shld_cl),
    [0x1a8] = SEG_PUSH("push gs", 0),
    [0x1a9] = SLOW_AND("pop gs", op_pop_sreg, OP_WIDE64),
    [0x1aa] = SLOW("rsm", op_rsm),
    [0x1ab] = MODRM("bts", SIZE_V, .fns = &bt_mr[1], .flags = OP_LOCK),
    [0x1ac] = MODRM("shrd", SIZE_V, .imm = IMM_8, .fns = &shrd_imm),
    [0x1ad] = MODRM("shrd", SIZE_V, .fns = &shrd_cl),
    [0x1ae] = MODRM("group15", SIZE_V, .prefixed = group15_rows),
    [0x1af] = MODRM("imul", SIZE_V, .fns = &imul_rm),
    [0x1b0] = MODRM("cmpxchg", SIZE_B, .fns = &cmpxchg_mr, .flags = OP_LOCK),
    [0x1b1] = MODRM("cmpxchg", SIZE_V, .fns = &cmpxchg_mr, .flags = OP_LOCK),
    [0x1b2] = SLOW_RM("lss", SIZE_V, op_load_far_ptr, OP_MEM),
    [0x1b3] = MODRM("btr", SIZE_V, .fns = &bt_mr[2], .flags = OP_LOCK),
    [0x1b4] = SLOW_RM("lfs", SIZE_V, op_load_far_ptr, OP_MEM),
    [0x1b5] = SLOW_RM("lgs", SIZE_V, op_load_far_ptr, OP_MEM),
    [0x1b6] = MODRM("movzx", SIZE_V, .fns = &movzx8, .flags = OP_RM8),
    [0x1b7] = MODRM("movzx", SIZE_V, .fns = &movzx16, .flags = OP_RM16),
    SSE_AT(0xb8, 0),
    [0x1b9] = MODRM("ud1", SIZE_V, .fns = &ud_fns),
    [0x1ba] = GROUP("group8", SIZE_V, group8, .imm = IMM_8),
    [0x1bb] = MODRM("btc", SIZE_V, .fns = &bt_mr[3], .flags = OP_LOCK),
    [0x1bc] = MODRM("bsf", SIZE_V, .fns = &bsf_rm),
    [0x1bd] = MODRM("bsr", SIZE_V, .fns = &bsr_rm),
    [0x1be] = MODRM("movsx", SIZE_V, .fns = &movsx8, .flags = OP_RM8),
    [0x1bf] = MODRM("movsx", SIZE_V, .fns = &movsx16, .flags = OP_RM16),
    [0x1c0] = MODRM("xadd", SIZE_B, .fns = &xadd_mr, .flags = OP_LOCK),
    [0x1c1] = MODRM("xadd", SIZE_V, .fns = &xadd_mr, .flags = OP_LOCK),
    SSE_AT(0xc2, 0),
    SSE_AT(0xc2, 1),
    SSE_AT(0xc2, 2),
    SSE_AT(0xc2, 3),
    SSE_AT(0xc2, 4),
    [0x1c7] = GROUP("group9", SIZE_V, group9),
    X8(BSWAP_R, 0x1c8),
    X8(SSE_AT, 0xd0),
    X8(SSE_AT, 0xd8),
    X8(SSE_AT, 0xe0),
    X8(SSE_AT, 0xe8),
    X8(SSE_AT, 0xf0),
    SSE_AT(0xf8, 0),
    SSE_AT(0xf8, 1),
    SSE_AT(0xf8, 2),
    SSE_AT(0xf8, 3),
    SSE_AT(0xf8, 4),
    SSE_AT(0xf8, 5),
    SSE_AT(0xf8, 6),
    [0x1ff] = MODRM("ud0", SIZE_V, .fns = &ud_fns),
};
