/* SPDX-License-Identifier: MIT */
/*
 * String instructions, single and repeated.  Source: Intel SDM volume 2.
 *
 * A repeated one ends its block and counts one instruction per iteration (one where there is none).
 * It commits iteration by iteration: where the budget ends, a fault strikes or something becomes
 * pending, EIP stays on it and the registers say how far it is.  Runs inside plain pages go at
 * once.
 * INS and OUTS probe memory before they touch the port.
 */
#include <string.h>

#include "cpu/debug.h"
#include "cpu/operand.h"

/* One string operand: where it is, and how many bytes may follow in one go. */
typedef struct StrOperand {
    uint32_t lin;
    uint8_t *host; /* plain memory, or NULL */
    uint32_t room; /* bytes up to the end of page, segment and address size */
} StrOperand;

static uint32_t string_mask(const Insn *in) { return in->adsize == 2 ? 0xffff : 0xffffffff; }

static int32_t string_step(const Cpu *cpu, unsigned size)
{
    return cpu->s.eflags & FLAG_DF ? -(int32_t)size : (int32_t)size;
}

static void string_advance(Cpu *cpu, const Insn *in, unsigned reg, int64_t by)
{
    cpu_write_reg(cpu, reg, (uint32_t)(cpu->s.regs[reg] + (uint64_t)by), in->adsize, true);
}

/* Checks the operand at [reg] of seg and finds out about its surroundings. */
static StrOperand string_operand(Cpu *cpu, const Insn *in, unsigned reg, int seg, bool write)
{
    uint32_t mask = string_mask(in), off = (uint32_t)cpu->s.regs[reg] & mask;
    const SegReg *sr = &cpu->s.segs[seg];
    StrOperand o = { .lin = (uint32_t)cpu_seg_lin(cpu, seg, off, in->opsize, write) };
    uint64_t e = (write ? cpu->wr : cpu->rd)[o.lin >> PAGE_BITS];

    o.room = PAGE_SIZE - (o.lin & PAGE_MASK);
    if (e && o.room >= in->opsize) o.host = (uint8_t *)(e + o.lin);
    o.room = MIN_OF(o.room, (uint64_t)mask - off + 1);
    if ((sr->flags & (SEGF_CODE | SEGF_EC)) == SEGF_EC)
        o.room = MIN_OF(o.room, in->opsize);
    else
        o.room = MIN_OF(o.room, (uint64_t)MAX_OF(sr->limit, off) - off + 1);
    if (!o.host || (cpu->s.eflags & FLAG_DF)) o.room = in->opsize;
    return o;
}

static uint32_t string_load(Cpu *cpu, const Insn *in, const StrOperand *o)
{
    return (uint32_t)(o->host ? cpu_load(cpu, o->lin, in->opsize)
                              : mmu_load(cpu, in, o->lin, in->opsize));
}

static uint32_t string_peek(const uint8_t *p, unsigned size)
{
    return size == 1 ? *p : size == 2 ? *(const Mem16 *)p : *(const Mem32 *)p;
}

static void string_poke(uint8_t *p, uint32_t v, unsigned size)
{
    if (size == 1)
        *p = (uint8_t)v;
    else if (size == 2)
        *(Mem16 *)p = (uint16_t)v;
    else
        *(Mem32 *)p = v;
}

static void string_compare(Cpu *cpu, uint32_t a, uint32_t b, unsigned size)
{
    if (size == 1)
        cc_put(cpu, CC_SUB, (int8_t)(a - b), (int8_t)a, (int8_t)b);
    else if (size == 2)
        cc_put(cpu, CC_SUB, (int16_t)(a - b), (int16_t)a, (int16_t)b);
    else
        cc_put(cpu, CC_SUB, (int32_t)(a - b), (int32_t)a, (int32_t)b);
}

/* -- each does 1 to max iterations and returns how many; max is at least 1 -- */

static uint32_t string_movs(Cpu *cpu, const Insn *in, uint32_t max)
{
    unsigned size = in->opsize;
    StrOperand src = string_operand(cpu, in, R_ESI, in->seg, false);
    StrOperand dst = string_operand(cpu, in, R_EDI, R_ES, true);
    uint32_t n = 1;

    if (src.host && dst.host) {
        uint32_t bytes;

        n = MIN_OF(max, MIN_OF(src.room, dst.room) / size);
        bytes = n * size;
        if (dst.host <= src.host || dst.host >= src.host + bytes)
            memmove(dst.host, src.host, bytes);
        else /* overlapping upwards: the copied is copied again */
            for (uint32_t i = 0; i < bytes; i += size)
                string_poke(dst.host + i, string_peek(src.host + i, size), size);
    } else {
        if (!src.host) cpu_probe(cpu, src.lin, size, false, false);
        cpu_probe(cpu, dst.lin, size, true, false);
        mmu_store(cpu, in, dst.lin, string_load(cpu, in, &src), size);
    }
    string_advance(cpu, in, R_ESI, (int64_t)string_step(cpu, size) * n);
    string_advance(cpu, in, R_EDI, (int64_t)string_step(cpu, size) * n);
    return n;
}

static uint32_t string_stos(Cpu *cpu, const Insn *in, uint32_t max)
{
    unsigned size = in->opsize;
    StrOperand dst = string_operand(cpu, in, R_EDI, R_ES, true);
    uint32_t n = 1, val = EAX(cpu);

    if (dst.host) {
        n = MIN_OF(max, dst.room / size);
        if (size == 1)
            memset(dst.host, (int)(val & 0xff), n);
        else
            for (uint32_t i = 0; i < n; i++) string_poke(dst.host + i * size, val, size);
    } else {
        mmu_store(cpu, in, dst.lin, val, size);
    }
    string_advance(cpu, in, R_EDI, (int64_t)string_step(cpu, size) * n);
    return n;
}

static uint32_t string_lods(Cpu *cpu, const Insn *in, uint32_t max)
{
    unsigned size = in->opsize;
    StrOperand src = string_operand(cpu, in, R_ESI, in->seg, false);
    uint32_t n = src.host ? MIN_OF(max, src.room / size) : 1;
    uint32_t val =
        src.host ? string_peek(src.host + (n - 1) * size, size) : string_load(cpu, in, &src);

    cpu_write_reg(cpu, R_EAX, val, size, true);
    string_advance(cpu, in, R_ESI, (int64_t)string_step(cpu, size) * n);
    return n;
}

/* Repeated comparisons go on while ZF is as the prefix says. */
static bool string_goes_on(const Insn *in, bool equal)
{
    return !in->rep || equal == (in->rep == 0xf3);
}

static uint32_t string_scas(Cpu *cpu, const Insn *in, uint32_t max)
{
    unsigned size = in->opsize;
    StrOperand dst = string_operand(cpu, in, R_EDI, R_ES, false);
    uint32_t mask = size == 4 ? UINT32_MAX : (1u << 8 * size) - 1, acc = EAX(cpu) & mask, n = 0, v;

    if (dst.host) {
        uint32_t most = MIN_OF(max, dst.room / size);

        do v = string_peek(dst.host + n++ * size, size);
        while (n < most && string_goes_on(in, v == acc));
    } else {
        v = string_load(cpu, in, &dst) & mask;
        n = 1;
    }
    string_compare(cpu, acc, v, size);
    string_advance(cpu, in, R_EDI, (int64_t)string_step(cpu, size) * n);
    return n;
}

static uint32_t string_cmps(Cpu *cpu, const Insn *in, uint32_t max)
{
    unsigned size = in->opsize;
    StrOperand src = string_operand(cpu, in, R_ESI, in->seg, false);
    StrOperand dst = string_operand(cpu, in, R_EDI, R_ES, false);
    uint32_t n = 0, a, b;

    if (src.host && dst.host) {
        uint32_t most = MIN_OF(max, MIN_OF(src.room, dst.room) / size);

        do {
            a = string_peek(src.host + n * size, size);
            b = string_peek(dst.host + n * size, size);
            n++;
        } while (n < most && string_goes_on(in, a == b));
    } else {
        cpu_probe(cpu, src.lin, size, false, false);
        cpu_probe(cpu, dst.lin, size, false, false);
        a = string_load(cpu, in, &src);
        b = string_load(cpu, in, &dst);
        n = 1;
    }
    string_compare(cpu, a, b, size);
    string_advance(cpu, in, R_ESI, (int64_t)string_step(cpu, size) * n);
    string_advance(cpu, in, R_EDI, (int64_t)string_step(cpu, size) * n);
    return n;
}

static uint32_t string_ins(Cpu *cpu, const Insn *in, uint32_t max)
{
    unsigned size = in->opsize;
    uint32_t port = (uint16_t)cpu->s.regs[R_EDX];
    StrOperand dst;

    (void)max;
    cpu_check_io(cpu, port, size);
    dst = string_operand(cpu, in, R_EDI, R_ES, true);
    cpu_probe(cpu, dst.lin, size, true, false);
    if (cpu->debug & DEBUG_IO) cpu_debug_io(cpu, port, size);
    cpu_store(cpu, dst.lin, pio_read(cpu->dev.m, port, size), size);
    string_advance(cpu, in, R_EDI, string_step(cpu, size));
    return 1;
}

static uint32_t string_outs(Cpu *cpu, const Insn *in, uint32_t max)
{
    unsigned size = in->opsize;
    uint32_t port = (uint16_t)cpu->s.regs[R_EDX];
    StrOperand src;

    (void)max;
    cpu_check_io(cpu, port, size);
    src = string_operand(cpu, in, R_ESI, in->seg, false);
    if (cpu->debug & DEBUG_IO) cpu_debug_io(cpu, port, size);
    pio_write(cpu->dev.m, port, string_load(cpu, in, &src), size);
    string_advance(cpu, in, R_ESI, string_step(cpu, size));
    return 1;
}

/* -- repetition -- */

typedef uint32_t StringFn(Cpu *cpu, const Insn *in, uint32_t max);

/* Whether the instruction has to be fetched anew: it wrote over itself, or nobody watches it. */
static bool string_stale(const Cpu *cpu, const Insn *in)
{
    return in->fn == op_leave || (cpu->block == cpu->blocks->single && !cpu->blocks->source);
}

/* True where the instruction is complete; false: EIP stays.  Each iteration is taken off the slice
 * before it happens; the first one was, with the block. */
static bool string_repeat(Cpu *cpu, const Insn *in, StringFn *once, bool compares)
{
    uint32_t mask = string_mask(in), count = (uint32_t)cpu->s.regs[R_ECX] & mask;

    while (count) {
        uint32_t max = (uint32_t)MIN_OF(cpu->slice_left + 1, (int64_t)count), n;

        if (string_stale(cpu, in)) max = 1;
        n = once(cpu, in, max);

        cpu->slice_left -= n - 1;
        count -= n;
        cpu_write_reg(cpu, R_ECX, count, in->adsize, true);
        if (compares && cc_zf(cpu) != (in->rep == 0xf3)) return true;
        if (!count) return true;
        if (cpu->slice_left <= 0 || cpu->exit_pending || string_stale(cpu, in)) return false;
        cpu->slice_left--;
    }
    return true;
}

#define STRING_ONE(name)                                                                           \
    HANDLER(name##_one)                                                                            \
    {                                                                                              \
        cpu->cur = in;                                                                             \
        string_##name(cpu, in, 1);                                                                 \
        NEXT(cpu, in);                                                                             \
    }
#define STRING_REP(name, compares)                                                                 \
    HANDLER(name##_rep)                                                                            \
    {                                                                                              \
        cpu->cur = in;                                                                             \
        if (!string_repeat(cpu, in, string_##name, compares)) {                                    \
            cpu->s.eip += in->off;                                                                 \
            JUMP(cpu, in);                                                                         \
        }                                                                                          \
        cpu->s.eip = (uint32_t)(cpu->s.eip + in->off + in->len);                                   \
        CHAIN(cpu, in, 0);                                                                         \
    }
/* Ports: a terminator even alone. */
#define STRING_IO(name)                                                                            \
    HANDLER(name##_one)                                                                            \
    {                                                                                              \
        cpu->cur = in;                                                                             \
        string_##name(cpu, in, 1);                                                                 \
        cpu->s.eip = (uint32_t)(cpu->s.eip + in->off + in->len);                                   \
        JUMP(cpu, in);                                                                             \
    }                                                                                              \
    STRING_REP(name, false)
STRING_ONE(movs)
STRING_REP(movs, false)
STRING_ONE(stos)
STRING_REP(stos, false)
STRING_ONE(lods)
STRING_REP(lods, false)
STRING_ONE(scas)
STRING_REP(scas, true)
STRING_ONE(cmps)
STRING_REP(cmps, true)
STRING_IO(ins)
STRING_IO(outs)

#define STRING_ROW(name)                                                                           \
    {                                                                                              \
        name##_one, name##_rep                                                                     \
    }
#define STRING_FNS(name)                                                                           \
    {                                                                                              \
        {                                                                                          \
            STRING_ROW(name), STRING_ROW(name), STRING_ROW(name)                                   \
        }                                                                                          \
    }
const OpFns movs_fns = STRING_FNS(movs);
const OpFns stos_fns = STRING_FNS(stos);
const OpFns lods_fns = STRING_FNS(lods);
const OpFns scas_fns = STRING_FNS(scas);
const OpFns cmps_fns = STRING_FNS(cmps);
const OpFns ins_fns = STRING_FNS(ins);
const OpFns outs_fns = STRING_FNS(outs);
