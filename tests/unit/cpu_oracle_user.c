/* SPDX-License-Identifier: MIT */
/* TEST-TIMEOUT: 900 */
/*
 * Every unprivileged instruction in 16-bit, 32-bit and 64-bit code against the host's CPU, one at a
 * time, with random prefixes, operands, segments and stacks: what it does, and what it raises where
 * an operand, a selector or the code itself is out of bounds.
 */
#include "tests/unit/user_oracle.h"

#include "cpu/debug.h"
#include "cpu/dispatch.h"

enum { CASES = 60000, LONG_CASES = 10000000, ROUNDS = 12 };

/* An instruction with what the generator knows of it. */
typedef struct Form {
    uint8_t bytes[16];
    unsigned len;
    unsigned op; /* 0F xx: 1xx; 0F 38 xx: 2xx; 0F 3A xx: 3xx */
    unsigned modrm_at;
    Insn in;
    bool lock, rep, seg, op66;
} Form;

/* -- which instructions -- */

static bool op_among(unsigned op, const uint16_t (*ranges)[2], unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (op >= ranges[i][0] && op <= ranges[i][1]) return true;
    return false;
}

/* Leaves the test's reach (system calls), tells what differs between machines (time, model, host's
 * FS, pointers of the x87), or is newer than what we have. */
static bool form_excluded(const Form *f)
{
    static const uint16_t ops[][2] = { { 0x101, 0x101 }, { 0x104, 0x105 }, { 0x107, 0x107 },
        { 0x10e, 0x10f }, { 0x10d, 0x10d }, { 0x124, 0x127 }, { 0x131, 0x131 }, { 0x133, 0x137 },
        { 0x139, 0x139 }, { 0x13b, 0x13f }, { 0x178, 0x179 }, { 0x17a, 0x17b }, { 0x1a2, 0x1a2 },
        { 0x1a6, 0x1a7 }, { 0x11a, 0x11b }, { 0x1aa, 0x1aa } };
    unsigned reg = f->in.modrm >> 3 & 7;
    bool mem = f->in.modrm < 0xc0;

    if (op_among(f->op, ops, ARRAY_SIZE(ops))) return true;
    switch (f->op) {
    case 0x64: return true;
    case 0xc6:
    case 0xc7: return reg == 7; /* transactions */
    case 0xcd: return f->in.imm == 0x80;
    case 0xd9: return mem && reg == 6;
    case 0xdd: return mem && reg == 6;
    case 0xf1: return true; /* hypervisors get its EIP wrong */
    case 0x6c:
    case 0x6d:
    case 0x6e:
    case 0x6f: return f->rep; /* whether none of them needs the port, too */
    case 0xe0:
    case 0xe1: return f->rep; /* AMD's take ZF's sense from the prefix */
    case 0x100: return reg < 2;
    case 0x120:
    case 0x121:
    case 0x122:
    case 0x123: return f->lock || reg == 4 || reg == 5 || f->in.reg > 7 || reg == 1;
    case 0x1ae: return reg == 4 || (mem && reg != 2 && reg != 3) || f->rep || f->op66;
    case 0x1bc:
    case 0x1bd: return f->in.rep == 0xf3; /* TZCNT, LZCNT */
    case 0x1c7: return reg != 1 || !mem;
    case 0x1a0:
    case 0x1a1:
    case 0x1b4: return f->op != 0x1a0; /* FS is the host's */
    case 0x8e: return reg == R_FS;
    default: return false;
    }
}

/* An invalid one is compared where no newer processor gives it a meaning. */
static bool form_invalid_excluded(const Form *f)
{
    static const uint16_t newer[][2] = { { 0x62, 0x62 }, { 0x8f, 0x8f }, { 0xc4, 0xc5 } };

    if (f->op > 0xff) return f->op != 0x10b;
    return op_among(f->op, newer, ARRAY_SIZE(newer));
}

static bool is_near_jump(const Form *f)
{
    static const uint16_t ops[][2] = { { 0x70, 0x7f }, { 0xc2, 0xc3 }, { 0xe0, 0xe3 },
        { 0xe8, 0xe9 }, { 0xeb, 0xeb }, { 0x180, 0x18f } };
    unsigned reg = f->in.modrm >> 3 & 7;

    return op_among(f->op, ops, ARRAY_SIZE(ops)) || (f->op == 0xff && (reg == 2 || reg == 4));
}

static bool is_far(const Form *f)
{
    static const uint16_t ops[][2] = { { 0x9a, 0x9a }, { 0xca, 0xcb }, { 0xcf, 0xcf },
        { 0xea, 0xea } };
    unsigned reg = f->in.modrm >> 3 & 7;

    return op_among(f->op, ops, ARRAY_SIZE(ops)) || (f->op == 0xff && (reg == 3 || reg == 5));
}

static bool is_jump(const Form *f) { return is_near_jump(f) || is_far(f); }

/* Where ours goes with the other of AMD's and Intel's processors. */
static bool form_is_of_another_make(const User *u, const Form *f, unsigned bits)
{
    static const uint16_t far64[][2] = { { 0x1b2, 0x1b5 } };
    static const uint16_t segs[][2] = { { 0x06, 0x06 }, { 0x0e, 0x0e }, { 0x16, 0x16 },
        { 0x1e, 0x1e }, { 0x1a0, 0x1a0 }, { 0x1a8, 0x1a8 } };
    bool wide = bits == 64;

    if (!u->amd) /* Intel's leave the rest of the stack's place, or of the register, alone */
        return op_among(f->op, segs, ARRAY_SIZE(segs)) || (f->op | 1) == 0x1bd;
    if (wide && f->op66 && is_near_jump(f)) return true; /* a 16-bit IP, or ignored */
    if (wide && f->op66 && f->op == 0x63) return true;   /* MOVSXD of 32 or 16 bits */
    if (!wide || !(f->in.rex & REX_W)) return false;
    return op_among(f->op, far64, ARRAY_SIZE(far64)) || is_far(f); /* 64-bit far pointers */
}

/* -- flags that stay open -- */

static uint32_t undefined_shift(const Form *f, const UserState *s)
{
    unsigned reg = f->in.modrm >> 3 & 7, bits = f->in.opsize * 8;
    unsigned count = f->op < 0xc2                     ? (unsigned)f->in.imm
                     : f->op == 0xd0 || f->op == 0xd1 ? 1
                                                      : (unsigned)s->o.gpr[R_ECX];

    count &= f->in.opsize == 8 ? 63 : 31;
    if (!count) return 0;
    return (count == 1 ? 0 : FLAG_OF) | (reg >= 4 ? FLAG_AF : 0) |
           (reg >= 4 && reg != 7 && count >= bits ? FLAG_CF : 0);
}

static uint32_t undefined_double(const Form *f, const UserState *s)
{
    bool imm = !(f->op & 1);
    unsigned count = (unsigned)(imm ? f->in.imm : s->o.gpr[R_ECX]) & (f->in.opsize == 8 ? 63 : 31);

    if (!count) return 0;
    return FLAG_AF | (count == 1 ? 0 : FLAG_OF) | (count > f->in.opsize * 8u ? FLAGS_ARITH : 0);
}

static uint32_t undefined_one_byte(const Form *f, const UserState *s)
{
    unsigned op = f->op, reg = f->in.modrm >> 3 & 7;

    if (op < 0x40 && (op & 7) < 6) reg = op >> 3, op = 0x80;
    switch (op) {
    case 0x80:
    case 0x81:
    case 0x82:
    case 0x83: return reg == 1 || reg == 4 || reg == 6 ? FLAG_AF : 0;
    case 0x84:
    case 0x85:
    case 0xa8:
    case 0xa9: return FLAG_AF;
    case 0x27:
    case 0x2f: return FLAG_OF;
    case 0x37:
    case 0x3f: return FLAG_OF | FLAG_SF | FLAG_ZF | FLAG_PF;
    case 0xd4:
    case 0xd5: return FLAG_OF | FLAG_AF | FLAG_CF;
    case 0x69:
    case 0x6b: return FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF;
    case 0xc0:
    case 0xc1:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3: return undefined_shift(f, s);
    case 0xf6:
    case 0xf7:
        return reg < 2   ? FLAG_AF
               : reg < 4 ? 0
               : reg < 6 ? FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF
                         : FLAGS_ARITH;
    default: return 0;
    }
}

static uint32_t form_undefined(const Form *f, const UserState *s)
{
    switch (f->op) {
    case 0x1a4:
    case 0x1a5:
    case 0x1ac:
    case 0x1ad: return undefined_double(f, s);
    case 0x1a3:
    case 0x1ab:
    case 0x1b3:
    case 0x1ba:
    case 0x1bb: return FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF;
    case 0x1bc:
    case 0x1bd: return FLAGS_ARITH & ~(uint32_t)FLAG_ZF;
    case 0x1af: return FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF;
    default: return f->op < 0x100 ? undefined_one_byte(f, s) : 0;
    }
}

/* A result that is open: a double shift beyond the operand's size, BSWAP of a word. */
static bool form_result_open(const Form *f, const UserState *s)
{
    if ((f->op & ~9u) == 0x1a4) return undefined_double(f, s) == FLAGS_ARITH;
    return f->op >= 0x1c8 && f->op <= 0x1cf && f->in.opsize == 2;
}

/* -- making one -- */

static uint16_t random_selector(Oracle *o)
{
    switch (oracle_below(o, 8)) {
    case 0: return (uint16_t)oracle_below(o, 4);
    case 1: return (uint16_t)(oracle_random(o) & 0x7f);
    case 2: return USER_DS;
    case 3: return oracle_below(o, 3) ? USER_CS32 : USER_CS64;
    default: return (uint16_t)(oracle_below(o, SEG_ENTRIES + 1) * 8 | (oracle_below(o, 9) ? 7 : 4));
    }
}

static unsigned random_opcode(Oracle *o)
{
    static const uint16_t often[] = { 0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x60, 0x61, 0x62,
        0x63, 0x68, 0x6a, 0x8c, 0x8e, 0x8f, 0x9a, 0x9c, 0x9d, 0xc2, 0xc3, 0xc4, 0xc5, 0xc8, 0xc9,
        0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xd7, 0xe0, 0xe1, 0xe2, 0xe3, 0xe8, 0xe9, 0xea, 0xeb,
        0xff, 0xff, 0xff, 0x100, 0x102, 0x103, 0x1a0, 0x1a8, 0x1a9, 0x1b2, 0x1b5, 0x1c7, 0xa4, 0xa5,
        0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf };

    switch (oracle_below(o, 16)) {
    case 0: return 0x200 | (oracle_random(o) & 0xff);
    case 1: return 0x300 | (oracle_random(o) & 0xff);
    case 2:
    case 3:
    case 4: return 0x100 | (oracle_random(o) & 0xff);
    case 5:
    case 6:
    case 7:
    case 8:
    case 9: return often[oracle_below(o, ARRAY_SIZE(often))];
    default: return oracle_random(o) & 0xff;
    }
}

static bool is_prefix(unsigned op, unsigned bits)
{
    static const uint8_t all[] = { 0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2,
        0xf3 };

    return (op < 0x100 && memchr(all, (int)op, sizeof(all))) || (bits == 64 && (op & ~15u) == 0x40);
}

static void put_prefixes(Oracle *o, Form *f, unsigned bits)
{
    static const uint8_t segs[] = { 0x26, 0x2e, 0x36, 0x3e, 0x65 };

    f->op66 = !oracle_below(o, 4);
    f->seg = !oracle_below(o, 4);
    f->rep = !oracle_below(o, 6);
    f->lock = !oracle_below(o, 20);
    if (f->seg) f->bytes[f->len++] = segs[oracle_below(o, bits == 64 ? 4 : 5)];
    if (f->op66) f->bytes[f->len++] = 0x66;
    if (!oracle_below(o, 5)) f->bytes[f->len++] = 0x67;
    if (f->rep) f->bytes[f->len++] = 0xf2 | (oracle_random(o) & 1);
    if (f->lock) f->bytes[f->len++] = 0xf0;
    if (bits == 64 && oracle_below(o, 3)) f->bytes[f->len++] = 0x40 | (oracle_random(o) & 15);
}

/* A random instruction that may be asked about; false: not this one. */
static bool form_make(User *u, Form *f, unsigned bits)
{
    uint32_t mode = MODE_PE | MODE_USER | (u->long_mode ? MODE_LM : 0);
    Oracle *o = u->o;
    unsigned op = random_opcode(o);

    *f = (Form){ .op = op };
    if (is_prefix(op, bits)) return false;
    put_prefixes(o, f, bits);
    if (op > 0xff) f->bytes[f->len++] = 0x0f;
    if (op > 0x1ff) f->bytes[f->len++] = op > 0x2ff ? 0x3a : 0x38;
    f->bytes[f->len++] = (uint8_t)op;
    f->modrm_at = f->len;
    memcpy(f->bytes + f->len, oracle_operand(o), 16 - f->len);
    f->bytes[f->len] = (uint8_t)oracle_random(o); /* ModRM and SIB are any */
    if (f->len < 15) f->bytes[f->len + 1] = (uint8_t)oracle_random(o);
    mode |= bits == 64 ? MODE_CS64 : bits == 32 ? MODE_CS32 | MODE_SS32 : 0;
    if (insn_decode(u->cpu, mode, f->bytes, 15, &f->in) != DECODE_OK) return false;
    f->len = f->in.len;
    if (form_excluded(f) || form_is_of_another_make(u, f, bits)) return false;
    return f->in.fn != op_ud || !form_invalid_excluded(f);
}

/* -- a state for it -- */

static uint16_t pick_data(Oracle *o)
{
    static const uint16_t sels[] = { USER_DS, USER_DS, USER_DS, SEG_STACK16 * 8 | 7,
        SEG_TOP16 * 8 | 7, SEG_SMALL * 8 | 7, SEG_DOWN16 * 8 | 7, SEG_DOWN32 * 8 | 7,
        SEG_CONST * 8 | 7, SEG_CODE32 * 8 | 7, SEG_PAGES * 8 | 7, USER_CS32, 0 };

    return sels[oracle_below(o, ARRAY_SIZE(sels))];
}

static uint16_t pick_stack(Oracle *o)
{
    static const uint16_t sels[] = { USER_DS, USER_DS, SEG_STACK16 * 8 | 7, SEG_STACK16 * 8 | 7,
        SEG_TOP16 * 8 | 7, SEG_SMALL * 8 | 7, SEG_DOWN16 * 8 | 7, SEG_DOWN32 * 8 | 7,
        SEG_PAGES * 8 | 7 };

    return sels[oracle_below(o, ARRAY_SIZE(sels))];
}

/* Far pointers in the code itself. */
static void far_immediate(User *u, const UserState *s, Form *f)
{
    Oracle *o = u->o;
    uint16_t sel = oracle_below(o, 3) ? random_selector(o) : s->seg[R_CS];
    uint32_t at = oracle_below(o, 2) ? 0x300 : USER_CODE + 0x300;

    if (!oracle_below(o, 4)) return;
    store_le16(f->bytes + f->modrm_at, (uint16_t)at);
    if (f->in.opsize == 4) store_le32(f->bytes + f->modrm_at, at);
    store_le16(f->bytes + f->modrm_at + f->in.opsize, sel);
}

static void put_code(User *u, UserState *s, Form *f, unsigned bits)
{
    Oracle *o = u->o;
    uint32_t at = 0x100 + oracle_below(o, 0x200), base = 0;

    if (!oracle_below(o, 8)) at = 0x1000 - oracle_below(o, 20);
    if (bits == 64)
        s->seg[R_CS] = USER_CS64;
    else if (bits == 16)
        s->seg[R_CS] = SEG_CODE16 * 8 | 7;
    else
        s->seg[R_CS] = oracle_below(o, 4) ? USER_CS32 : SEG_CODE32 * 8 | 7;
    if (s->seg[R_CS] & 4) base = USER_CODE;
    if (s->seg[R_CS] == (SEG_CODE32 * 8 | 7)) {
        at &= 0x7ff;
        if (!oracle_below(o, 4)) at = 0x7ff - oracle_below(o, 20);
    }
    if (f->op == 0x9a || f->op == 0xea) far_immediate(u, s, f);
    memset(u->code, 0xf4, 4096);
    memcpy(u->code + at, f->bytes, MIN_OF(f->len, 4096 - at));
    test_poke(u->m, USER_CODE, u->code, 4096);
    s->rip = USER_CODE + at - base;
}

static uint64_t operand_offset(User *u, const UserState *s, const Form *f)
{
    memcpy(u->cpu->s.regs, s->o.gpr, sizeof(s->o.gpr));
    u->cpu->s.eip = s->rip;
    return insn_ea(u->cpu, &f->in);
}

/* Adds to an address register, or to the displacement, what brings the operand to the target. */
static void aim(User *u, UserState *s, const Form *f, uint64_t target, unsigned bits)
{
    uint64_t mask = f->in.adsize == 8 ? ~0ull : f->in.adsize == 4 ? UINT32_MAX : 0xffff, delta;

    delta = target - operand_offset(u, s, f);
    if (f->in.base < 16)
        s->o.gpr[f->in.base] += delta;
    else if (f->in.index < 16 && f->in.base != REG_PC)
        s->o.gpr[f->in.index] += delta >> f->in.scale;
    for (unsigned i = 0; i < 16 && bits != 64; i++) s->o.gpr[i] = (uint32_t)s->o.gpr[i];
    if (mask == 0xffff && bits == 16 && f->in.base < 16 && oracle_below(u->o, 2))
        s->o.gpr[f->in.base] &= 0xffff;
}

/* An offset in the segment that lies in the data's pages, mostly. */
static uint64_t random_target(User *u, const UserState *s, unsigned seg, unsigned bits)
{
    Oracle *o = u->o;
    SegReg sr = user_segment(u, s->seg[seg]);
    uint32_t at = USER_DATA + 64 + oracle_below(o, 0xf00);

    switch (oracle_below(o, 16)) {
    case 0: at = USER_DATA + oracle_below(o, 40) - 20; break;
    case 1: at = USER_CONST + oracle_below(o, 40) - 20; break;
    case 2: at = USER_CONST + 0x1000 + oracle_below(o, 40) - 20; break;
    case 3: at = (uint32_t)sr.base + sr.limit + oracle_below(o, 24) - 12; break;
    default:
        if (oracle_below(o, 3)) at &= ~7u;
        if (sr.base == USER_DATA && sr.limit < 0x800) at = USER_DATA + at % 0x7c0;
    }
    if (bits == 64) {
        if (!oracle_below(o, 32)) return 0x7fffffffffff - oracle_below(o, 4);
        return at;
    }
    return at - (uint32_t)sr.base;
}

static void user_memory(User *u, uint64_t lin, const void *bytes, unsigned n)
{
    if (lin - USER_DATA > 4096 - n) return;
    memcpy((void *)lin, bytes, n);
    memcpy(test_ram(u->m) + lin, bytes, n);
}

static void random_flags(User *u, UserState *s, bool step)
{
    Oracle *o = u->o;

    s->o.flags |= FLAG_IF | (step ? FLAG_TF : 0);
    if (!oracle_below(o, 4)) s->o.flags |= FLAG_DF;
    if (!oracle_below(o, 16)) s->o.flags |= FLAG_ID;
    if (!oracle_below(o, 16)) s->o.flags |= FLAG_AC;
}

/* What far returns and far pointers in memory read. */
static void far_pointer(User *u, uint64_t lin, unsigned size, const UserState *s)
{
    Oracle *o = u->o;
    uint64_t target = oracle_below(o, 4) ? (uint32_t)s->rip + oracle_below(o, 64) : 0x300;
    uint16_t sel = oracle_below(o, 3) ? random_selector(o) : s->seg[R_CS];
    uint8_t bytes[10];

    if (!oracle_below(o, 3)) target = oracle_below(o, 2) ? oracle_random(o) : USER_CODE + 0x300;
    store_le64(bytes, target);
    store_le16(bytes + size, sel);
    user_memory(u, lin, bytes, size + 2);
}

static void stack_contents(User *u, const UserState *s, const Form *f, unsigned bits)
{
    Oracle *o = u->o;
    SegReg ss = user_segment(u, s->seg[R_SS]);
    uint64_t sp = s->o.gpr[R_ESP], lin;
    uint64_t flags = (oracle_random(o) & 0x254fd5) | 0x202;

    if (bits != 64) sp = ss.flags & SEGF_DB ? (uint32_t)sp : (uint16_t)sp;
    lin = bits == 64 ? sp : (uint32_t)(ss.base + sp);
    far_pointer(u, lin, f->in.opsize, s);
    if (f->op == 0xcf) { /* IRET: in 64-bit code with a stack */
        uint64_t rest[2] = { 0 };
        uint16_t sel = oracle_below(o, 4) ? pick_stack(o) : random_selector(o);

        store_le64((uint8_t *)rest, sp + 8);
        user_memory(u, lin + 2 * f->in.opsize, &flags, f->in.opsize);
        if (bits == 64) user_memory(u, lin + 3 * f->in.opsize, rest, f->in.opsize);
        if (bits == 64) user_memory(u, lin + 4 * f->in.opsize, &sel, 2);
    } else if (f->op == 0x9d) {
        user_memory(u, lin, &flags, f->in.opsize);
    } else if (f->op < 0x20 || f->op == 0x1a9) {
        uint16_t sel = random_selector(o);

        user_memory(u, lin, &sel, 2);
    }
}

static void operand_contents(User *u, const UserState *s, const Form *f, unsigned bits)
{
    Oracle *o = u->o;
    SegReg sr = user_segment(u, s->seg[f->in.seg % 6]);
    uint16_t sel = random_selector(o);
    uint64_t lin, ea;

    ea = operand_offset(u, s, f);
    lin = bits == 64 ? ea : (uint32_t)(sr.base + ea);
    if ((f->op == 0xff && (f->in.modrm >> 3 & 7) > 1) || f->op == 0xc4 || f->op == 0xc5 ||
        (f->op >= 0x1b2 && f->op <= 0x1b5))
        far_pointer(u, lin, f->in.opsize, s);
    else if (f->op == 0x8e || f->op == 0x100 || f->op == 0x102 || f->op == 0x103)
        user_memory(u, lin, &sel, 2);
    else if (oracle_below(o, 2))
        user_memory(u, lin, oracle_operand(o), 16);
}

static void registers(User *u, UserState *s, const Form *f, unsigned bits)
{
    Oracle *o = u->o;

    for (unsigned i = 0; i < 16; i++) {
        if (i == R_ESP) continue;
        if (!oracle_below(o, 3)) s->o.gpr[i] = load_le64(oracle_operand(o));
        if (!oracle_below(o, 12)) s->o.gpr[i] = random_selector(o);
    }
    if (f->in.rep || oracle_below(o, 2)) s->o.gpr[R_ECX] = oracle_below(o, 40);
    s->o.gpr[R_ESI] = random_target(u, s, f->seg ? f->in.seg % 6 : R_DS, bits);
    s->o.gpr[R_EDI] = random_target(u, s, R_ES, bits);
    if (oracle_below(o, 3)) s->o.gpr[R_EBP] = random_target(u, s, R_SS, bits);
    s->o.gpr[R_ESP] = random_target(u, s, R_SS, bits);
    if (oracle_below(o, 4)) s->o.gpr[R_ESP] &= ~7ull;
    if (f->op == 0xd7) s->o.gpr[R_EBX] = random_target(u, s, f->seg ? f->in.seg % 6 : R_DS, bits);
    if (f->op >= 0x1a3 && f->op <= 0x1bb && f->op != 0x1ba && oracle_below(o, 8))
        s->o.gpr[f->in.reg] = oracle_below(o, 2048) - 1024ull;
    for (unsigned i = 0; i < 16 && bits != 64; i++) s->o.gpr[i] = (uint32_t)s->o.gpr[i];
}

/* IRETQ leaves the upper half of ESP where a 16-bit stack is entered: what it was. */
static void entered_stack(User *u, UserState *s)
{
    uint32_t upper = (uint32_t)(uintptr_t)&user_frame.rip & 0xffff0000;

    if (!(user_segment(u, s->seg[R_SS]).flags & SEGF_DB))
        s->o.gpr[R_ESP] = upper | (s->o.gpr[R_ESP] & 0xffff);
}

static bool has_memory(const Form *f)
{
    static const uint16_t moffs[][2] = { { 0xa0, 0xa3 } };

    return (f->in.modrm && f->in.modrm < 0xc0) || f->in.base != REG_NONE ||
           f->in.index != REG_NONE || op_among(f->op, moffs, 1);
}

static void state_make(User *u, UserState *s, Form *f, unsigned bits)
{
    Oracle *o = u->o;
    bool step = oracle_below(o, 3) == 0 || (bits == 64 && is_jump(f));

    o->x87 = oracle_below(o, 2);
    oracle_state(o, &s->o);
    for (unsigned i = 0; i < 6; i++) s->seg[i] = bits == 64 ? USER_DS : pick_data(o);
    s->seg[R_SS] = bits == 64 ? USER_DS : pick_stack(o);
    s->seg[R_FS] = 0;
    if (!oracle_below(o, 16)) {
        unsigned seg = oracle_below(o, 2) ? R_DS : R_ES;

        s->seg[seg] = 0;
    }
    put_code(u, s, f, bits);
    registers(u, s, f, bits);
    random_flags(u, s, step);
    if (has_memory(f) && oracle_below(o, 16))
        aim(u, s, f, random_target(u, s, f->in.seg % 6, bits), bits);
    entered_stack(u, s);
    if (has_memory(f)) operand_contents(u, s, f, bits);
    stack_contents(u, s, f, bits);
}

/* -- whether the host may run it -- */

/* In 64-bit code the host's own memory is within reach: addresses must be low, or none. */
static bool harmless64(uint64_t lin)
{
    return lin < 0xf0000000 || !cpu_is_canonical(lin) || lin - 0x7fffffffffe0 < 0x20;
}

static bool may_run(User *u, const UserState *s, const Form *f, unsigned bits)
{
    uint64_t ea, extra = 0;

    if (form_result_open(f, s)) return false;
    if (!has_memory(f) || f->in.fn == op_ud) {
        if (bits != 64) return true;
        return harmless64(s->o.gpr[R_ESI]) && harmless64(s->o.gpr[R_EDI]) &&
               harmless64(s->o.gpr[R_EBX]) && harmless64(s->o.gpr[R_ESP]) &&
               harmless64(s->o.gpr[R_EBP]);
    }
    ea = operand_offset(u, s, f);
    if (f->op >= 0x1a3 && f->op <= 0x1bb && (f->op & 7) == 3) extra = 1;
    if (f->lock || f->op == 0x86 || f->op == 0x87) { /* not across cache lines */
        if (extra) return false;
        ea += bits == 64 ? 0 : user_segment(u, s->seg[f->in.seg % 6]).base;
        if ((ea & 63) + (f->op == 0x1c7 ? 16 : 8) > 64) return false;
    }
    if (bits != 64) return true;
    if (f->in.seg == R_FS || f->in.seg == R_GS) return false;
    if (extra) ea += (uint64_t)((int64_t)s->o.gpr[f->in.reg] >> 3);
    return harmless64(ea) && harmless64(s->o.gpr[R_ESP]) && harmless64(s->o.gpr[R_EBP]) &&
           harmless64(s->o.gpr[R_ESI]) && harmless64(s->o.gpr[R_EDI]);
}

/* Without single step a jump must not lead the host into the instruction's own bytes, of which it
 * would make another one. */
static bool may_land(const UserState *before, const UserState *ours, const Form *f)
{
    uint64_t off = (ours->rip - before->rip) & 0xfff;

    if (!is_jump(f) || before->o.flags & FLAG_TF) return true;
    if (ours->rip == before->rip && ours->seg[R_CS] == before->seg[R_CS]) return true;
    return off >= f->len + 16u;
}

/* -- judging -- */

static void print_state(const char *who, const UserState *s)
{
    printf("# rip %llx error %llx cr2 %llx es %x cs %x ss %x ds %x fs %x gs %x esp %llx r15 %llx\n",
        (unsigned long long)s->rip, (unsigned long long)s->error, (unsigned long long)s->cr2,
        s->seg[R_ES], s->seg[R_CS], s->seg[R_SS], s->seg[R_DS], s->seg[R_FS], s->seg[R_GS],
        (unsigned long long)s->o.gpr[R_ESP], (unsigned long long)s->o.gpr[15]);
    oracle_print(who, &s->o);
}

static const char *differ_faults(const UserState *h, const UserState *g, unsigned bits)
{
    bool fault = h->o.vector != EXC_DB && h->o.vector != EXC_BP && h->o.vector != EXC_OF;
    uint64_t open = 0;

    if (h->o.vector != g->o.vector) return "vector";
    if (h->rip != g->rip) return "rip";
    if (h->o.vector == EXC_PF) {
        uint64_t mask = bits == 64 ? ~0ull : UINT32_MAX;

        if ((h->cr2 ^ g->cr2) & mask) return "cr2";
        /* the guest's own tables are mapped where the host has nothing */
        if (g->cr2 - USER_SUP < USER_SUP_SIZE) open = 1;
    }
    if (fault && (h->error ^ g->error) & ~open) return "error code";
    return NULL;
}

static bool is_fault(const UserState *s)
{
    return s->o.vector >= EXC_TS && s->o.vector <= EXC_AC && s->o.vector != EXC_MF;
}

static const char *differ(const UserState *h, const UserState *g, uint32_t undefined, unsigned bits)
{
    uint64_t mask = bits == 64 ? ~0ull : UINT32_MAX;
    const char *what = differ_faults(h, g, bits);

    if (what) return what;
    if ((h->o.flags ^ g->o.flags) & ~(uint64_t)undefined) return "flags";
    for (unsigned i = 0; i < (bits == 64 ? 16 : 8); i++) {
        if (i == R_ESP && (h->seg[R_CS] | 3) != USER_CS64) continue;
        if ((h->o.gpr[i] ^ g->o.gpr[i]) & mask) return "registers";
    }
    if ((uint32_t)(h->o.gpr[R_ESP] ^ g->o.gpr[R_ESP])) return "ESP";
    for (unsigned i = 0; i < 6; i++) /* on the way out null selectors become 0 */
        if (h->seg[i] != g->seg[i] && (h->seg[i] | g->seg[i]) > 3) return "segments";
    if (memcmp(h->o.fx, g->o.fx, 5) || !oracle_same_mxcsr(&h->o, &g->o)) return "control words";
    if (memcmp(h->o.fx + 160, g->o.fx + 160, 256)) return "XMM registers";
    for (unsigned i = 0; i < 8; i++)
        if (memcmp(h->o.fx + 32 + 16 * i, g->o.fx + 32 + 16 * i, 10)) return "x87 registers";
    return NULL;
}

/* Reads or writes memory in parts, so that it may be half done, or half read, when it faults. */
static bool has_parts(const Form *f)
{
    static const uint16_t ops[][2] = { { 0x60, 0x62 }, { 0xa6, 0xa7 }, { 0xc4, 0xc5 },
        { 0xc8, 0xc8 }, { 0xd8, 0xdf }, { 0xe8, 0xe8 }, { 0x1b2, 0x1b2 }, { 0x1b4, 0x1b5 } };

    return op_among(f->op, ops, ARRAY_SIZE(ops)) || is_far(f) ||
           (f->op == 0xff && (f->in.modrm >> 3 & 7) == 2);
}

/* Both raise a fault, and which one of several is the processor's choice: of two operands or parts
 * the one that is looked at first, of a call's target and its stack; whether what is wrong or only
 * misaligned counts; whether an operand ends at 4 GiB or where addresses stop being canonical. */
static bool excused_fault(const User *u, const Form *f, const UserState *h, const UserState *g)
{
    bool pages = h->o.vector == EXC_PF || g->o.vector == EXC_PF;
    bool stack = h->o.vector == EXC_SS || g->o.vector == EXC_SS;
    bool other =
        h->o.vector != g->o.vector || (pages && (h->cr2 != g->cr2 || h->error != g->error));

    if (!u->amd && other) return true; /* seen on AMD's alone */
    if (other && (h->o.vector == EXC_AC || g->o.vector == EXC_AC)) return true;
    if (h->o.vector == EXC_PF && h->cr2 >= 0x7fffffff0000) return true;
    if (f->op > 0xff && h->o.vector == EXC_GP && g->o.vector == EXC_SS) return true;
    if (g->o.vector == EXC_PF && (uint32_t)(g->cr2 + 0x1000) < 0x2000) return true;
    if (f->op == 0xcf && g->seg[R_CS] == USER_CS64 && !(h->error & g->error)) return true;
    return other && has_parts(f) && (pages || stack || !is_far(f));
}

/* Whether a difference is one that the manuals allow. */
static bool excused(const User *u, const Form *f, unsigned bits, const UserState *before,
    const UserState *h, const UserState *g)
{
    if (oracle_is_of_another_make(&h->o, &g->o)) return true;
    if (!is_fault(h)) return false;
    if (f->op == 0x1f7) return true; /* MASKMOVQ: also of bytes that its mask leaves out */
    if (f->op >= 0xd8 && f->op <= 0xdf && load_le16(g->o.fx + 2) & 0x80)
        return true; /* a store that an unmasked exception prevents */
    if (h->rip != before->rip || g->rip != before->rip || !is_fault(g)) return false;
    if (excused_fault(u, f, h, g)) return true;
    if (f->op == 0x61) return true;                /* POPA: with some registers popped */
    return has_parts(f) && !differ(h, g, 0, bits); /* but memory */
}

/* Where AMD's and Intel's x87 part with each other: see cpu_x87.c. */
static void level_makers(const Form *f, UserState *host, UserState *ours)
{
    unsigned sw = load_le16(host->o.fx + 2), cw = load_le16(host->o.fx), open = 0;

    if (f->op < 0xd8 || f->op > 0xdf) return;
    if (sw & ~cw & 7) open = 0x4500;
    if ((f->op | 4) == 0xdf && f->in.modrm >= 0xe8 && f->in.modrm < 0xf8) open |= 0x200;
    store_le16(host->o.fx + 2, (uint16_t)(sw & ~open));
    store_le16(ours->o.fx + 2, (uint16_t)(load_le16(ours->o.fx + 2) & ~open));
}

/* Legacy mode takes a 64-bit code segment for another one, and IRET with NT for a task's end. */
static bool left_legacy(const User *u, const Form *f, const UserState *host)
{
    if (u->long_mode) return false;
    return host->seg[R_CS] == USER_CS64 || (f->op == 0xcf && host->o.flags & FLAG_NT);
}

static void report(const Form *f, unsigned bits, const char *what, const UserState *before,
    const UserState *host, const UserState *ours, const User *u)
{
    const uint8_t *a = (const uint8_t *)(uint64_t)USER_DATA, *b = test_ram(u->m) + USER_DATA;

    printf("# %s differs, %u-bit code%s:", what, bits, u->long_mode ? ", long mode" : "");
    for (unsigned i = 0; i < f->len; i++) printf(" %02x", f->bytes[i]);
    printf("\n");
    print_state("before", before);
    print_state("host", host);
    print_state("ours", ours);
    for (unsigned i = 0; i < 4096; i++)
        if (a[i] != b[i]) printf("# memory +%x: host %02x, ours %02x\n", i, a[i], b[i]);
    fflush(stdout);
    g_error("the host's CPU does something else: %s", what);
}

/* The case does not count; both go on with the host's memory. */
static void again(User *u)
{
    u->skipped++;
    test_poke(u->m, USER_DATA, (void *)(uint64_t)USER_DATA, 4096);
}

/* A far call into 64-bit code pushes by all of RSP, in which IRETQ leaves the host's own upper half
 * where it enters a 16-bit stack. */
static bool calls_from_16bit_stack(User *u, const UserState *s, const Form *f)
{
    const uint8_t *p = f->bytes + f->modrm_at;
    uint64_t lin;

    if (user_segment(u, s->seg[R_SS]).flags & SEGF_DB) return false;
    if (f->op == 0xff && (f->in.modrm >> 3 & 7) == 3) {
        lin = (uint32_t)(user_segment(u, s->seg[f->in.seg % 6]).base + operand_offset(u, s, f));
        if (lin - USER_DATA > 8192 - 6) return false;
        p = test_ram(u->m) + lin;
    } else if (f->op != 0x9a) {
        return false;
    }
    return (load_le16(p + f->in.opsize) | 3) == USER_CS64;
}

static void one_case(User *u, Form *f, unsigned bits)
{
    static UserState before, host, ours;
    uint8_t saved[4096];
    const char *what;

    state_make(u, &before, f, bits);
    if (!may_run(u, &before, f, bits) || (bits != 64 && calls_from_16bit_stack(u, &before, f)))
        return;
    host = ours = before;
    memcpy(saved, test_ram(u->m) + USER_DATA, 4096);
    if (!user_run_guest(u, &ours) || !may_land(&before, &ours, f) || left_legacy(u, f, &ours)) {
        test_poke(u->m, USER_DATA, saved, 4096);
        return;
    }
    user_run_host(&host);
    if (host.o.vector == USER_INTERRUPTED) {
        again(u);
        return;
    }
    u->cases++;
    level_makers(f, &host, &ours);
    what = differ(&host, &ours, form_undefined(f, &before), bits);
    if (!what && memcmp((void *)(uint64_t)USER_DATA, test_ram(u->m) + USER_DATA, 4096))
        what = "memory";
    if (what && (excused(u, f, bits, &before, &host, &ours) || left_legacy(u, f, &host))) {
        again(u);
        return;
    }
    if (what) report(f, bits, what, &before, &host, &ours, u);
}

typedef struct Variant {
    const char *name;
    unsigned bits;
    bool long_mode;
} Variant;

static void test_variant(const void *arg)
{
    const Variant *v = arg;
    bool lengthy = g_getenv("TEST_LONG") != NULL;
    const char *why, *cases = g_getenv("STASIS_USER_CASES");
    uint64_t want = cases ? strtoull(cases, NULL, 0) : lengthy ? LONG_CASES : CASES;
    User *u = user_new(v->long_mode,
        lengthy ? (uint32_t)g_test_rand_int() | 1ull << 40 : 0x2545f4914f6cdd1d, &why);
    Form f;

    u->amd = __builtin_cpu_is("amd");
    if (why) {
        g_test_skip(why);
        user_free(u);
        return;
    }
    while (u->cases < want) {
        if (!form_make(u, &f, v->bits)) continue;
        for (unsigned i = 0; i < ROUNDS; i++) one_case(u, &f, v->bits);
    }
    g_test_message(
        "%llu cases, %llu left out", (unsigned long long)u->cases, (unsigned long long)u->skipped);
    g_assert_cmpuint(u->skipped, <, want / 20);
    user_free(u);
}

int main(int argc, char **argv)
{
    static const Variant variants[] = { { "/cpu/user/16", 16, false },
        { "/cpu/user/32", 32, false }, { "/cpu/user/compat16", 16, true },
        { "/cpu/user/compat32", 32, true }, { "/cpu/user/64", 64, true } };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(variants); i++)
        g_test_add_data_func(variants[i].name, &variants[i], test_variant);
    return g_test_run();
}
