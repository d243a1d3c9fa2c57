/* SPDX-License-Identifier: MIT */
/*
 * x87: control and status words, environment and state in memory, FXSAVE and FXRSTOR.
 * Source: Intel SDM volume 1 chapter 8 (figures of the four environment formats), volume 2.
 */
#include "cpu/models.h"
#include "cpu/sse.h"
#include "cpu/x87.h"

enum {
    FCW_INIT = 0x37f,
    FCW_FIXED = 0x40,
    FCW_BITS = 0x1f3f,
    FXSAVE_SIZE = 512,
};

static void env_init(Cpu *cpu)
{
    cpu->s.fpuc = FCW_INIT;
    cpu->s.fpus = 0;
    cpu->s.fpstt = 0;
    cpu->s.fptags = 0;
    cpu->s.fpop = 0;
    cpu->s.fpip = cpu->s.fpdp = 0;
    x87_update_es(cpu);
}

static uint16_t env_status(const Cpu *cpu)
{
    return (uint16_t)(cpu->s.fpus | cpu->s.fpstt << FSW_TOP_SHIFT);
}

static void env_set_status(Cpu *cpu, unsigned sw)
{
    cpu->s.fpus = (uint16_t)(sw & ~(7u << FSW_TOP_SHIFT));
    cpu->s.fpstt = sw >> FSW_TOP_SHIFT & 7;
}

/* The tag word with two bits a register: valid, zero, special, empty. */
static uint16_t env_tags(const Cpu *cpu)
{
    unsigned tags = 0;

    for (unsigned i = 0; i < 8; i++) {
        const FpReg *r = &cpu->s.fpregs[i];
        unsigned exp = r->exp & 0x7fff, tag = 0;

        if (!(cpu->s.fptags >> i & 1)) {
            tag = 3;
        } else if (!exp && !r->mant) {
            tag = 1;
        } else if (!exp || exp == 0x7fff || !(r->mant >> 63)) {
            tag = 2;
        }
        tags |= tag << (2 * i);
    }
    return (uint16_t)tags;
}

static void env_set_tags(Cpu *cpu, unsigned tags)
{
    cpu->s.fptags = 0;
    for (unsigned i = 0; i < 8; i++) {
        if ((tags >> (2 * i) & 3) != 3) cpu->s.fptags |= (uint8_t)(1u << i);
    }
}

/* -- words -- */

void x87_fnop(Cpu *cpu, const Insn *in)
{
    (void)cpu;
    (void)in;
}

void x87_fldcw(Cpu *cpu, const Insn *in)
{
    uint64_t cw = cpu_load(cpu, insn_lin(cpu, in, 2, false), 2);

    cpu->s.fpuc = (uint16_t)((cw & FCW_BITS) | FCW_FIXED);
    x87_update_es(cpu);
}

void x87_fstcw(Cpu *cpu, const Insn *in)
{
    cpu_store(cpu, insn_lin(cpu, in, 2, true), cpu->s.fpuc, 2);
}

void x87_fstsw(Cpu *cpu, const Insn *in)
{
    cpu_store(cpu, insn_lin(cpu, in, 2, true), env_status(cpu), 2);
}

void x87_fstsw_ax(Cpu *cpu, const Insn *in)
{
    (void)in;
    cpu_write_reg(cpu, R_EAX, env_status(cpu), 2, false);
}

/* DB E0 to E7: FNCLEX, FNINIT, and what the 8087 and 80287 had. */
void x87_db_control(Cpu *cpu, const Insn *in)
{
    switch (in->modrm) {
    case 0xe0:
    case 0xe1:
    case 0xe4: break;
    case 0xe2:
        cpu->s.fpus &= (uint16_t) ~(FSW_FLAGS | FSW_SF | FSW_ES | FSW_B);
        x87_update_es(cpu);
        break;
    case 0xe3: env_init(cpu); break;
    default: cpu_raise(cpu, EXC_UD, 0);
    }
}

/* -- environment -- */

static unsigned env_size(const Insn *in) { return in->opsize == 2 ? 14 : 28; }

/* Instruction and data pointers in real-mode formats are linear and 20 or 32 bits wide. */
static uint32_t env_linear(uint64_t pointer)
{
    return (uint32_t)((pointer >> 32 & 0xffff) << 4) + (uint32_t)pointer;
}

static bool env_is_real(const Cpu *cpu) { return !cpu_protected(cpu) || cpu_v86(cpu); }

static void env_pack16(Cpu *cpu, uint8_t *m)
{
    uint32_t ip = env_linear(cpu->s.fpip), dp = env_linear(cpu->s.fpdp);

    store_le16(m, cpu->s.fpuc);
    store_le16(m + 2, env_status(cpu));
    store_le16(m + 4, env_tags(cpu));
    if (env_is_real(cpu)) {
        store_le16(m + 6, (uint16_t)ip);
        store_le16(m + 8, (uint16_t)((ip >> 16 & 15) << 12 | (cpu->s.fpop & 0x7ff)));
        store_le16(m + 10, (uint16_t)dp);
        store_le16(m + 12, (uint16_t)((dp >> 16 & 15) << 12));
    } else {
        store_le16(m + 6, (uint16_t)cpu->s.fpip);
        store_le16(m + 8, (uint16_t)(cpu->s.fpip >> 32));
        store_le16(m + 10, (uint16_t)cpu->s.fpdp);
        store_le16(m + 12, (uint16_t)(cpu->s.fpdp >> 32));
    }
}

static void env_pack32(Cpu *cpu, uint8_t *m)
{
    uint32_t ip = env_linear(cpu->s.fpip), dp = env_linear(cpu->s.fpdp);
    uint32_t ones = 0xffff0000, op = cpu->s.fpop & 0x7ff;

    store_le32(m, cpu->s.fpuc | ones);
    store_le32(m + 4, env_status(cpu) | ones);
    store_le32(m + 8, env_tags(cpu) | ones);
    if (env_is_real(cpu)) {
        store_le32(m + 12, (ip & 0xffff) | ones);
        store_le32(m + 16, ip >> 16 << 12 | op);
        store_le32(m + 20, (dp & 0xffff) | ones);
        store_le32(m + 24, dp >> 16 << 12);
    } else {
        store_le32(m + 12, (uint32_t)cpu->s.fpip);
        store_le32(m + 16, (uint32_t)(cpu->s.fpip >> 32 & 0xffff) | op << 16);
        store_le32(m + 20, (uint32_t)cpu->s.fpdp);
        store_le32(m + 24, (uint32_t)(cpu->s.fpdp >> 32 & 0xffff) | ones);
    }
}

static void env_pack(Cpu *cpu, const Insn *in, uint8_t *m)
{
    if (in->opsize == 2) {
        env_pack16(cpu, m);
    } else {
        env_pack32(cpu, m);
    }
}

static void env_unpack16(Cpu *cpu, const uint8_t *m)
{
    uint32_t op = load_le16(m + 8);

    cpu->s.fpuc = (load_le16(m) & FCW_BITS) | FCW_FIXED;
    env_set_status(cpu, load_le16(m + 2));
    env_set_tags(cpu, load_le16(m + 4));
    cpu->s.fpip = load_le16(m + 6);
    cpu->s.fpdp = load_le16(m + 10);
    if (env_is_real(cpu)) {
        cpu->s.fpip |= (op & 0xf000) << 4;
        cpu->s.fpdp |= (load_le16(m + 12) & 0xf000u) << 4;
        cpu->s.fpop = op & 0x7ff;
    } else {
        cpu->s.fpip |= (uint64_t)op << 32;
        cpu->s.fpdp |= (uint64_t)load_le16(m + 12) << 32;
        cpu->s.fpop = 0;
    }
}

static void env_unpack32(Cpu *cpu, const uint8_t *m)
{
    uint32_t op = load_le32(m + 16);

    cpu->s.fpuc = (load_le16(m) & FCW_BITS) | FCW_FIXED;
    env_set_status(cpu, load_le16(m + 4));
    env_set_tags(cpu, load_le16(m + 8));
    if (env_is_real(cpu)) {
        cpu->s.fpip = load_le16(m + 12) | (op & 0x0ffff000) << 4;
        cpu->s.fpdp = load_le16(m + 20) | (load_le32(m + 24) & 0x0ffff000) << 4;
        cpu->s.fpop = op & 0x7ff;
    } else {
        cpu->s.fpip = load_le32(m + 12) | (uint64_t)(op & 0xffff) << 32;
        cpu->s.fpdp = load_le32(m + 20) | (uint64_t)load_le16(m + 24) << 32;
        cpu->s.fpop = op >> 16 & 0x7ff;
    }
}

static void env_unpack(Cpu *cpu, const Insn *in, const uint8_t *m)
{
    if (in->opsize == 2) {
        env_unpack16(cpu, m);
    } else {
        env_unpack32(cpu, m);
    }
    x87_update_es(cpu);
}

static void env_read(Cpu *cpu, uint64_t lin, uint8_t *m, unsigned len)
{
    for (unsigned i = 0; i < len; i += 2) {
        store_le16(m + i, (uint16_t)cpu_load(cpu, lin + i, 2));
    }
}

static void env_write(Cpu *cpu, uint64_t lin, const uint8_t *m, unsigned len)
{
    cpu_probe(cpu, lin, len, true, false);
    for (unsigned i = 0; i < len; i += 2) {
        cpu_store(cpu, lin + i, load_le16(m + i), 2);
    }
}

void x87_fldenv(Cpu *cpu, const Insn *in)
{
    unsigned len = env_size(in);
    uint8_t m[28];

    env_read(cpu, insn_lin_parts(cpu, in, len, in->opsize == 2 ? 2 : 4, false), m, len);
    env_unpack(cpu, in, m);
}

void x87_fstenv(Cpu *cpu, const Insn *in)
{
    unsigned len = env_size(in);
    uint8_t m[28];

    env_pack(cpu, in, m);
    env_write(cpu, insn_lin_parts(cpu, in, len, in->opsize == 2 ? 2 : 4, true), m, len);
    cpu->s.fpuc |= FCW_MASKS;
    x87_update_es(cpu);
}

void x87_frstor(Cpu *cpu, const Insn *in)
{
    unsigned env = env_size(in), len = env + 80;
    uint8_t m[28 + 80];

    env_read(cpu, insn_lin_parts(cpu, in, len, in->opsize == 2 ? 2 : 4, false), m, len);
    env_unpack(cpu, in, m);
    for (unsigned i = 0; i < 8; i++) {
        FpReg *r = x87_st(cpu, i);

        r->mant = load_le64(m + env + 10 * i);
        r->exp = load_le16(m + env + 10 * i + 8);
    }
}

void x87_fsave(Cpu *cpu, const Insn *in)
{
    unsigned env = env_size(in), len = env + 80;
    uint8_t m[28 + 80];

    env_pack(cpu, in, m);
    for (unsigned i = 0; i < 8; i++) {
        store_le64(m + env + 10 * i, x87_st(cpu, i)->mant);
        store_le16(m + env + 10 * i + 8, x87_st(cpu, i)->exp);
    }
    env_write(cpu, insn_lin_parts(cpu, in, len, in->opsize == 2 ? 2 : 4, true), m, len);
    env_init(cpu);
}

/* -- FXSAVE and FXRSTOR -- */

static uint64_t env_fx_operand(Cpu *cpu, const Insn *in, bool write)
{
    uint64_t lin;

    if (!cpu_has(cpu, FEAT_FXSR) || in->modrm >= 0xc0) cpu_raise(cpu, EXC_UD, 0);
    if (cpu->s.hflags & (HF_EM | HF_TS)) cpu_raise(cpu, EXC_NM, 0);
    lin = insn_lin(cpu, in, FXSAVE_SIZE, write);
    if (lin & 15) cpu_raise(cpu, EXC_GP, 0);
    cpu_probe(cpu, lin, FXSAVE_SIZE, write, false);
    return lin;
}

void op_fxsave(Cpu *cpu, const Insn *in)
{
    uint64_t lin = env_fx_operand(cpu, in, true);
    bool sse = cpu_has(cpu, FEAT_SSE); /* without it neither MXCSR nor XMM registers are there */
    unsigned xmms = cpu_code64(cpu) ? 16 : 8;
    uint8_t m[416] = { 0 };

    store_le16(m, cpu->s.fpuc);
    store_le16(m + 2, env_status(cpu));
    m[4] = cpu->s.fptags;
    store_le16(m + 6, cpu->s.fpop);
    store_le64(m + 8, cpu->s.fpip);
    store_le64(m + 16, cpu->s.fpdp);
    if (sse) {
        store_le32(m + 24, cpu->s.mxcsr);
        store_le32(m + 28, sse_mxcsr_mask(cpu));
    }
    for (unsigned i = 0; i < 8; i++) {
        store_le64(m + 32 + 16 * i, x87_st(cpu, i)->mant);
        store_le16(m + 32 + 16 * i + 8, x87_st(cpu, i)->exp);
    }
    for (unsigned i = 0; i < xmms; i++) {
        store_le64(m + 160 + 16 * i, cpu->s.xmm[i].q[0]);
        store_le64(m + 160 + 16 * i + 8, cpu->s.xmm[i].q[1]);
    }
    env_write(cpu, lin, m, sse && cpu->s.cr[4] & CR4_OSFXSR ? 160 + 16 * xmms : 160);
}

void op_fxrstor(Cpu *cpu, const Insn *in)
{
    uint64_t lin = env_fx_operand(cpu, in, false);
    bool sse = cpu_has(cpu, FEAT_SSE);
    unsigned xmms = cpu_code64(cpu) ? 16 : 8;
    uint8_t m[416];

    env_read(cpu, lin, m, sizeof(m));
    if (sse && load_le32(m + 24) & ~sse_mxcsr_mask(cpu)) cpu_raise(cpu, EXC_GP, 0);
    cpu->s.fpuc = (load_le16(m) & FCW_BITS) | FCW_FIXED;
    env_set_status(cpu, load_le16(m + 2));
    cpu->s.fptags = m[4];
    cpu->s.fpop = load_le16(m + 6) & 0x7ff;
    cpu->s.fpip = load_le64(m + 8);
    cpu->s.fpdp = load_le64(m + 16);
    for (unsigned i = 0; i < 8; i++) {
        x87_st(cpu, i)->mant = load_le64(m + 32 + 16 * i);
        x87_st(cpu, i)->exp = load_le16(m + 32 + 16 * i + 8);
    }
    x87_update_es(cpu);
    if (!sse || !(cpu->s.cr[4] & CR4_OSFXSR)) return;
    cpu->s.mxcsr = load_le32(m + 24);
    for (unsigned i = 0; i < xmms; i++) {
        cpu->s.xmm[i].q[0] = load_le64(m + 160 + 16 * i);
        cpu->s.xmm[i].q[1] = load_le64(m + 160 + 16 * i + 8);
    }
}
