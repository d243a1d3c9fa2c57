/* SPDX-License-Identifier: MIT */
/*
 * The decoder.  Source: Intel SDM volume 2, chapter 2 (instruction formats).  It reads the opcode
 * table and picks handlers by operand size and kind of operand.
 */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "cpu/dispatch.h"
#include "cpu/opcodes.h"
#include "cpu/x87.h"

enum { CPUID_CX8 = 1 << 8, CPUID_CX16 = 1 << 13, CPUID_CMOV = 1 << 15 };

typedef struct Decoder {
    const uint8_t *code;
    unsigned n, avail;
    bool more, too_long; /* than avail bytes; than the architecture allows */
    uint32_t mode;
    bool wide; /* 64-bit code */
    bool lock;
    int seg; /* prefix, or SEG_NONE */
    const SseOp *sse;
    Insn *in;
} Decoder;

static uint32_t decode_byte(Decoder *d)
{
    if (d->n >= INSN_MAX) {
        d->too_long = true;
        return 0;
    }
    if (d->n >= d->avail) {
        d->more = true;
        return 0;
    }
    return d->code[d->n++];
}

static uint64_t decode_bytes(Decoder *d, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++) v |= (uint64_t)decode_byte(d) << (8 * i);
    return v;
}

static void decode_sizes(Decoder *d, bool ad67)
{
    Insn *in = d->in;
    bool big = d->wide || d->mode & MODE_CS32;

    if (in->rex) in->flags |= INSN_REX;
    in->opsize = in->rex & REX_W ? 8 : big != !!(in->flags & INSN_66) ? 4 : 2;
    if (d->wide)
        in->adsize = ad67 ? 4 : 8;
    else
        in->adsize = big != ad67 ? 4 : 2;
}

/* Prefixes; returns the first opcode byte. */
static uint8_t decode_prefixes(Decoder *d)
{
    Insn *in = d->in;
    bool ad67 = false;

    for (;;) {
        uint8_t b = (uint8_t)decode_byte(d);

        if (d->more || d->too_long) return 0;
        if (d->wide && (b & 0xf0) == 0x40) {
            in->rex = b;
            continue;
        }
        switch (b) {
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
            if (!d->wide) d->seg = b >> 3 & 3; /* ES CS SS DS mean nothing in 64-bit code */
            break;
        case 0x64: d->seg = R_FS; break;
        case 0x65: d->seg = R_GS; break;
        case 0x66: in->flags |= INSN_66; break;
        case 0x67: ad67 = true; break;
        case 0xf0: d->lock = true; break;
        case 0xf2:
        case 0xf3: in->rep = b; break;
        default: decode_sizes(d, ad67); return b;
        }
        in->rex = 0; /* it counts only right before the opcode */
    }
}

/* Which of four rows the prefixes choose: F2 and F3 go before 66. */
static unsigned decode_prefix_row(const Insn *in)
{
    if (in->rep) return in->rep == 0xf3 ? ROW_F3 : ROW_F2;
    return in->flags & INSN_66 ? ROW_66 : ROW_NP;
}

static const OpRow *decode_row(const Decoder *d, unsigned opcode)
{
    const OpRow *row = &opcodes[opcode];

    if (opcode == 0x90 && d->in->rep == 0xf3 && !(d->in->rex & REX_B)) return &opcode_pause;
    if (opcode == 0x90 && d->in->rex & REX_B) return &opcodes[0x91]; /* XCHG R8, RAX */
    return d->wide && row->in64 ? row->in64 : row;
}

/* Prefixes and opcode bytes; the row that they lead to. */
static const OpRow *decode_opcode(Decoder *d)
{
    Insn *in = d->in;
    unsigned opcode = decode_prefixes(d);
    const OpRow *row;

    if (opcode == 0x0f) opcode = 0x100 | decode_byte(d);
    in->op = (uint8_t)opcode;
    row = decode_row(d, opcode);
    if (row->map) {
        in->op = (uint8_t)decode_byte(d);
        return &row->map[in->op * ROW_PREFIXES + decode_prefix_row(in)];
    }
    return row->prefixed ? &row->prefixed[decode_prefix_row(in)] : row;
}

static void decode_ea16(Decoder *d, unsigned mod, unsigned rm)
{
    static const uint8_t base[8] = { R_EBX, R_EBX, R_EBP, R_EBP, R_ESI, R_EDI, R_EBP, R_EBX };
    static const uint8_t index[8] = { R_ESI, R_EDI, R_ESI, R_EDI, REG_NONE, REG_NONE, REG_NONE,
        REG_NONE };
    Insn *in = d->in;

    in->base = base[rm];
    in->index = index[rm];
    if (mod == 0 && rm == 6) {
        in->base = REG_NONE;
        in->disp = (int64_t)decode_bytes(d, 2);
    } else if (mod == 1) {
        in->disp = (int8_t)decode_byte(d);
    } else if (mod == 2) {
        in->disp = (int16_t)decode_bytes(d, 2);
    }
    in->seg = in->base == R_EBP ? R_SS : R_DS;
}

static void decode_ea32(Decoder *d, unsigned mod, unsigned rm)
{
    Insn *in = d->in;

    bool sib = rm == 4;

    in->base = (uint8_t)rm;
    if (sib) {
        uint8_t b = (uint8_t)decode_byte(d);

        in->base = b & 7;
        in->index = (b >> 3 & 7) | (in->rex & REX_X ? 8 : 0);
        in->scale = b >> 6;
        if (in->index == 4) {
            in->index = REG_NONE;
            in->scale = 0;
        }
    }
    if (mod == 0 && in->base == 5) {
        in->base = d->wide && !sib ? REG_PC : REG_NONE;
        in->disp = (int32_t)decode_bytes(d, 4);
    } else if (mod == 1) {
        in->disp = (int8_t)decode_byte(d);
    } else if (mod == 2) {
        in->disp = (int32_t)decode_bytes(d, 4);
    }
    if (in->base < 8 && in->rex & REX_B) in->base |= 8;
    in->seg = in->base == R_ESP || in->base == R_EBP ? R_SS : R_DS;
}

static void decode_modrm(Decoder *d)
{
    Insn *in = d->in;

    in->reg = (in->modrm >> 3 & 7) | (in->rex & REX_R ? 8 : 0);
    in->rm = in->modrm & 7;
    if (in->modrm >= 0xc0)
        in->rm |= in->rex & REX_B ? 8 : 0;
    else if (in->adsize == 2)
        decode_ea16(d, in->modrm >> 6, in->rm);
    else
        decode_ea32(d, in->modrm >> 6, in->rm);
}

static void decode_imm_z(Decoder *d)
{
    if (d->in->opsize == 2)
        d->in->imm = (uint64_t)(int64_t)(int16_t)decode_bytes(d, 2);
    else
        d->in->imm = (uint64_t)(int64_t)(int32_t)decode_bytes(d, 4);
}

static void decode_imm(Decoder *d, unsigned imm)
{
    Insn *in = d->in;

    switch (imm) {
    case IMM_8: in->imm = decode_byte(d); break;
    case IMM_8S: in->imm = (uint64_t)(int64_t)(int8_t)decode_byte(d); break;
    case IMM_16: in->imm = decode_bytes(d, 2); break;
    case IMM_Z: decode_imm_z(d); break;
    case IMM_V:
        if (in->opsize == 8)
            in->imm = decode_bytes(d, 8);
        else
            decode_imm_z(d);
        break;
    case IMM_16_8:
        in->imm = decode_bytes(d, 2);
        in->sel = (uint16_t)decode_byte(d);
        break;
    case IMM_FAR:
        in->imm = decode_bytes(d, in->opsize);
        in->sel = (uint16_t)decode_bytes(d, 2);
        break;
    }
}

static uint8_t decode_reg_at(const Insn *in, unsigned reg, unsigned size)
{
    if (size == 1 && reg >= 4 && !in->rex) return (uint8_t)((reg - 4) * 8 + 1);
    return (uint8_t)(reg * 8);
}

static uint16_t decode_addr_at(unsigned reg)
{
    if (reg == REG_NONE) return offsetof(Cpu, zero);
    if (reg == REG_PC) return offsetof(Cpu, s.eip);
    return (uint16_t)(offsetof(Cpu, s.regs) + reg * 8);
}

static enum OpKind decode_kind64(const Decoder *d, const OpRow *row, uint32_t flags)
{
    const Insn *in = d->in;
    bool checks = d->mode & MODE_AC, based = in->seg == R_FS || in->seg == R_GS;

    if (flags & (OP_CODE | OP_STACK)) return in->opsize == 8 && !checks ? KIND_LBASE : KIND_SEG;
    if (row->form == FORM_STR) return in->rep ? KIND_BASE : KIND_REG;
    if (row->form != FORM_MODRM && row->form != FORM_MOFFS) return KIND_REG;
    if (in->modrm >= 0xc0) return KIND_REG;
    if (in->adsize != 8 || checks) return KIND_SEG;
    if (in->index == REG_NONE) return based && !(flags & OP_NOSEG) ? KIND_LSIB : KIND_LBASE;
    return based && !(flags & OP_NOSEG) ? KIND_SEG : KIND_LSIB;
}

static enum OpKind decode_kind(const Decoder *d, const OpRow *row, uint32_t flags)
{
    const Insn *in = d->in;
    uint32_t flat_code = MODE_CS32 | MODE_FLAT << R_CS, flat_stack = MODE_SS32 | MODE_FLAT << R_SS;

    if (d->wide) return decode_kind64(d, row, flags);
    if (flags & (OP_CODE | OP_STACK)) {
        if ((flags & OP_CODE) && (~d->mode & flat_code)) return KIND_SEG;
        if ((flags & OP_STACK) && ((~d->mode & flat_stack) || (d->mode & MODE_AC))) return KIND_SEG;
        return KIND_REG;
    }
    if (row->form == FORM_STR) return in->rep ? KIND_BASE : KIND_REG;
    if (row->form != FORM_MODRM && row->form != FORM_MOFFS) return KIND_REG;
    if (in->modrm >= 0xc0) return KIND_REG;
    if (in->adsize != 4 || in->seg == R_CS || (d->mode & MODE_AC) ||
        !(d->mode & MODE_FLAT << in->seg))
        return KIND_SEG;
    return in->index == REG_NONE ? KIND_BASE : KIND_SIB;
}

static bool decode_valid(const Decoder *d, const Cpu *cpu, const OpRow *row, uint32_t flags)
{
    const Insn *in = d->in;
    bool reg_form = in->modrm >= 0xc0;

    if (!row->name || (flags & (d->wide ? OP_NO64 : OP_ONLY64))) return false;
    if ((flags & OP_LAHF) && d->wide && !(cpu->features.ecx80000001 & 1)) return false;
    if (d->lock && (!(flags & OP_LOCK) || (reg_form && row->form == FORM_MODRM))) return false;
    if ((flags & OP_MEM) && reg_form) return false;
    if ((flags & OP_REG) && !reg_form) return false;
    if ((flags & OP_PROT) && (!(d->mode & MODE_PE) || (d->mode & MODE_VM))) return false;
    if ((flags & OP_CMOV) && !(cpu->features.edx1 & CPUID_CMOV)) return false;
    if ((flags & OP_CX8) && !(cpu->features.edx1 & CPUID_CX8)) return false;
    if ((flags & OP_CX16) && (in->rex & REX_W) && !(cpu->features.ecx1 & CPUID_CX16)) return false;
    if ((flags & OP_NP) && (in->rep || (in->flags & INSN_66))) return false;
    if ((flags & OP_SEGREG) && in->reg > R_GS) return false;
    return !((flags & OP_NOCS) && in->reg == R_CS);
}

/* The handler in blocks of what op_mid calls otherwise, or NULL. */
static InsnFn *decode_fast(const Decoder *d, const OpRow *row, uint32_t flags)
{
    enum OpKind kind = decode_kind(d, row, flags);

    if (d->sse) return d->sse->fast[kind];
    return d->in->slow == op_x87 ? x87_fast(d->in->op, d->in->modrm, kind) : NULL;
}

/* Everything that hangs on the row's sizes: register offsets, address registers, handler. */
static void decode_choose(Decoder *d, const OpRow *row, uint32_t flags, const OpFns *fns)
{
    static const uint8_t size_index[9] = { [1] = 0, [2] = 1, [4] = 2, [8] = 3 };
    Insn *in = d->in;
    unsigned rm_size = flags & OP_RM8 ? 1 : in->opsize;

    if (d->seg != SEG_NONE) in->seg = (uint8_t)d->seg;
    in->reg_at = decode_reg_at(in, in->reg, in->opsize);
    in->rm_at = decode_reg_at(in, in->rm, rm_size);
    in->base_at = decode_addr_at(in->base);
    in->index_at = decode_addr_at(in->index);
    if (d->wide && in->index == REG_NONE && d->seg != SEG_NONE)
        in->index_at = (uint16_t)(offsetof(Cpu, s.segs[0].base) + (size_t)d->seg * sizeof(SegReg));
    if (d->lock) in->flags |= INSN_LOCK;
    if (flags & OP_REL) in->flags |= INSN_REL;
    if (flags & OP_SLOW) {
        in->flags |= INSN_SLOW | INSN_END;
        in->fn = op_slow;
    } else if (flags & OP_MID) {
        InsnFn *fast = decode_fast(d, row, flags);

        in->flags |= INSN_MID;
        in->fn = fast ? fast : op_mid;
    } else {
        in->fn = fns->f[size_index[in->opsize]][decode_kind(d, row, flags)];
        if ((flags & OP_END) || (row->form == FORM_STR && in->rep && fns != &xlat_fns))
            in->flags |= INSN_END;
        assert(in->fn);
    }
}

static const OpFns *decode_fns(const Decoder *d, const OpRow *row, const OpRow *member)
{
    if (member->flags & OP_CX16 && d->in->rex & REX_W) return &cmpxchg16b_m;
    return member->fns ? member->fns : row->fns;
}

static void decode_invalid(Insn *in)
{
    in->fn = op_ud;
    in->flags |= INSN_END;
}

/* What the opcode makes of the size that mode and prefixes give. */
static void decode_opsize(Decoder *d, unsigned size, uint32_t flags)
{
    Insn *in = d->in;

    switch (size) {
    case SIZE_B: in->opsize = 1; break;
    case SIZE_W: in->opsize = 2; break;
    case SIZE_D: in->opsize = 4; break;
    case SIZE_Q: in->opsize = 8; break;
    case SIZE_Y: in->opsize = in->rex & REX_W ? 8 : 4; break;
    case SIZE_NATIVE: in->opsize = d->wide ? 8 : 4; break;
    }
    if (!d->wide) return;
    if (flags & OP_FORCE64 || (flags & OP_WIDE64 && in->opsize == 4)) in->opsize = 8;
    if (flags & OP_MAX32 && in->opsize == 8) in->opsize = 4;
}

enum DecodeResult insn_decode(
    const Cpu *cpu, uint32_t mode, const uint8_t *code, unsigned avail, Insn *in)
{
    uint8_t off = in->off;
    Decoder d = { .code = code,
        .avail = avail,
        .mode = mode,
        .wide = mode & MODE_CS64,
        .seg = SEG_NONE,
        .in = in };
    const OpRow *row, *member;
    uint32_t flags;

    memset(in, 0, sizeof(*in));
    in->off = off;
    in->base = in->index = REG_NONE;
    in->seg = R_DS;
    member = row = decode_opcode(&d);
    if (row->form == FORM_MODRM) in->modrm = (uint8_t)decode_byte(&d);
    if (d.more || d.too_long) return d.too_long ? DECODE_LONG : DECODE_MORE;
    if (row->group) member = &row->group[in->modrm >> 3 & 7];
    if (member->rm && in->modrm >= 0xc0) member = &member->rm[in->modrm & 7];
    flags = row->flags | member->flags;
    decode_opsize(&d, member->size ? member->size : row->size, flags);
    if (flags & OP_CRDR) in->modrm |= 0xc0;
    if (row->form == FORM_MODRM) decode_modrm(&d);
    if (flags & OP_SEGREG) in->reg &= 7;
    if (row->form == FORM_OPREG) in->rm = (in->op & 7) | (in->rex & REX_B ? 8 : 0);
    if (row->form == FORM_OPREG || row->form == FORM_ACC) in->modrm = 0xc0 | (in->rm & 7);
    if (row->form == FORM_MOFFS) in->disp = (int64_t)decode_bytes(&d, in->adsize);
    decode_imm(&d, row->imm ? row->imm : member->imm);
    if (d.more || d.too_long) return d.too_long ? DECODE_LONG : DECODE_MORE;
    in->len = (uint8_t)d.n;
    if (in->base == REG_PC) in->disp += in->off + in->len;
    d.sse = member->sse ? member->sse : row->sse;
    in->slow = d.sse ? d.sse->general : member->slow ? member->slow : row->slow;
    if (decode_valid(&d, cpu, member->name ? row : member, flags) &&
        opcode_built_in(cpu, member->need ? member->need : row->need))
        decode_choose(&d, row, flags, decode_fns(&d, row, member));
    else
        decode_invalid(in);
    return DECODE_OK;
}
