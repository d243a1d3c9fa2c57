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
    uint64_t lin;
    uint8_t *host; /* plain memory, or NULL */
    uint32_t room; /* bytes up to the end of page, segment and address size */
} StrOperand;

static int32_t string_step(const Cpu *cpu, unsigned size)
{
    return cpu->s.eflags & FLAG_DF ? -(int32_t)size : (int32_t)size;
}

static void string_advance(Cpu *cpu, const Insn *in, unsigned reg, int64_t by)
{
    cpu_write_reg(cpu, reg, cpu->s.regs[reg] + (uint64_t)by, in->adsize, true);
}

/* Bytes from off up to the end of the segment and of what the address size reaches. */
static uint64_t string_room(const Cpu *cpu, const Insn *in, int seg, uint64_t off)
{
    const SegReg *sr = &cpu->s.segs[seg];
    uint64_t top = insn_wrap(in, UINT64_MAX);

    if (!(cpu->mode & MODE_CS64)) {
        if ((sr->flags & (SEGF_CODE | SEGF_EC)) == SEGF_EC) return in->opsize;
        top = MIN_OF(top, MAX_OF((uint64_t)sr->limit, off));
    }
    return MIN_OF(top - off, (uint64_t)PAGE_SIZE) + 1;
}

/* Checks the operand at [reg] of seg and finds out about its surroundings. */
static StrOperand string_operand(Cpu *cpu, const Insn *in, unsigned reg, int seg, bool write)
{
    uint64_t off = insn_wrap(in, cpu->s.regs[reg]), room = string_room(cpu, in, seg, off);
    StrOperand o = { .lin = cpu_seg_lin(cpu, seg, off, in->opsize, write) };

    o.host = tlb_find(cpu, o.lin, mmu_who(cpu), write ? MMU_WRITE : MMU_READ, in->opsize);
    o.room = PAGE_SIZE - (uint32_t)(o.lin & PAGE_MASK);
    o.room = (uint32_t)MIN_OF(o.room, room);
    if (!o.host || (cpu->s.eflags & FLAG_DF)) o.room = in->opsize;
    return o;
}

/* The operand at [ESI], which is read before the other one is looked at. */
static StrOperand string_source(Cpu *cpu, const Insn *in)
{
    StrOperand o = string_operand(cpu, in, R_ESI, in->seg, false);

    if (!o.host) cpu_probe(cpu, o.lin, in->opsize, false, false);
    return o;
}

static uint64_t string_load(Cpu *cpu, const Insn *in, const StrOperand *o)
{
    return o->host ? cpu_load(cpu, o->lin, in->opsize) : mmu_load(cpu, in, o->lin, in->opsize);
}

static void string_compare(Cpu *cpu, uint64_t a, uint64_t b, unsigned size)
{
    if (size == 1)
        cc_put(cpu, CC_SUB, (int8_t)(a - b), (int8_t)a, (int8_t)b);
    else if (size == 2)
        cc_put(cpu, CC_SUB, (int16_t)(a - b), (int16_t)a, (int16_t)b);
    else if (size == 4)
        cc_put(cpu, CC_SUB, (int32_t)(a - b), (int32_t)a, (int32_t)b);
    else
        cc_put(cpu, CC_SUB, (int64_t)(a - b), (int64_t)a, (int64_t)b);
}

/* -- each does 1 to max iterations and returns how many; max is at least 1 -- */

static uint32_t string_movs(Cpu *cpu, const Insn *in, uint32_t max)
{
    unsigned size = in->opsize;
    StrOperand src = string_source(cpu, in), dst = string_operand(cpu, in, R_EDI, R_ES, true);
    uint32_t n = 1;

    if (src.host && dst.host) {
        uint32_t bytes;

        n = MIN_OF(max, MIN_OF(src.room, dst.room) / size);
        bytes = n * size;
        if (dst.host <= src.host || dst.host >= src.host + bytes)
            memmove(dst.host, src.host, bytes);
        else /* overlapping upwards: the copied is copied again */
            for (uint32_t i = 0; i < bytes; i += size)
                host_store(dst.host + i, host_load(src.host + i, size), size);
    } else {
        cpu_probe(cpu, dst.lin, size, true, false);
        mmu_store(cpu, in, dst.lin, string_load(cpu, in, &src), size);
    }
    string_advance(cpu, in, R_ESI, (int64_t)string_step(cpu, size) * n);
    string_advance(cpu, in, R_EDI, (int64_t)string_step(cpu, size) * n);
    return n;
}

/* The first element, then twice as many each time. */
static void string_fill(uint8_t *to, uint64_t val, unsigned size, uint32_t bytes)
{
    if (size == 1) {
        memset(to, (int)(val & 0xff), bytes);
        return;
    }
    host_store(to, val, size);
    for (uint32_t done = size; done < bytes;) {
        uint32_t n = MIN_OF(done, bytes - done);

        memcpy(to + done, to, n);
        done += n;
    }
}

static uint32_t string_stos(Cpu *cpu, const Insn *in, uint32_t max)
{
    unsigned size = in->opsize;
    StrOperand dst = string_operand(cpu, in, R_EDI, R_ES, true);
    uint32_t n = 1;
    uint64_t val = cpu->s.regs[R_EAX];

    if (dst.host) {
        n = MIN_OF(max, dst.room / size);
        string_fill(dst.host, val, size, n * size);
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
    uint64_t val =
        src.host ? host_load(src.host + (n - 1) * size, size) : string_load(cpu, in, &src);

    cpu_write_reg(cpu, R_EAX, val, size, true);
    string_advance(cpu, in, R_ESI, (int64_t)string_step(cpu, size) * n);
    return n;
}

/* Repeated comparisons go on while ZF is as the prefix says. */
static bool string_goes_on(const Insn *in, bool equal)
{
    return !in->rep || equal == (in->rep == 0xf3);
}

/* How many elements repeated comparisons pass at once, because they end at none of them: eight
 * bytes of one against eight of the other, which may be a pattern (step 0). */
static uint32_t string_equal_run(
    const uint8_t *a, const uint8_t *b, unsigned step, unsigned size, uint32_t bytes)
{
    uint32_t done = 0;

    for (; done + 8 <= bytes; done += 8, b += step) {
        uint64_t differs = *(const Mem64 *)(a + done) ^ *(const Mem64 *)b;

        if (differs) return (done + (unsigned)__builtin_ctzll(differs) / 8) / size;
    }
    return done / size;
}

/* Elements in front of the one with which SCAS may end; the loop goes on from there. */
static uint32_t string_scas_skip(
    const Insn *in, const uint8_t *p, uint64_t acc, unsigned size, uint32_t n)
{
    uint8_t pattern[8];
    const uint8_t *hit;

    if (in->rep == 0xf3) {
        string_fill(pattern, acc, size, sizeof(pattern));
        n = string_equal_run(p, pattern, 0, size, n * size);
    } else if (in->rep && size == 1) {
        hit = memchr(p, (int)acc, n);
        if (hit) n = (uint32_t)(hit - p);
    } else {
        return 0;
    }
    return n;
}

static uint32_t string_scas(Cpu *cpu, const Insn *in, uint32_t max)
{
    unsigned size = in->opsize;
    StrOperand dst = string_operand(cpu, in, R_EDI, R_ES, false);
    uint64_t mask = UINT64_MAX >> (64 - 8 * size), acc = cpu->s.regs[R_EAX] & mask, v;
    uint32_t n = 0;

    if (dst.host) {
        uint32_t most = MIN_OF(max, dst.room / size);

        n = string_scas_skip(in, dst.host, acc, size, most - 1);
        do v = host_load(dst.host + n++ * size, size);
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
    StrOperand src = string_source(cpu, in), dst = string_operand(cpu, in, R_EDI, R_ES, false);
    uint64_t a, b;
    uint32_t n = 0;

    if (src.host && dst.host) {
        uint32_t most = MIN_OF(max, MIN_OF(src.room, dst.room) / size);

        if (in->rep == 0xf3) n = string_equal_run(src.host, dst.host, 8, size, (most - 1) * size);
        do {
            a = host_load(src.host + n * size, size);
            b = host_load(dst.host + n * size, size);
            n++;
        } while (n < most && string_goes_on(in, a == b));
    } else {
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
    pio_write(cpu->dev.m, port, (uint32_t)string_load(cpu, in, &src), size);
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
    uint64_t count = insn_wrap(in, cpu->s.regs[R_ECX]);

    while (count) {
        uint32_t max = (uint32_t)MIN_OF((uint64_t)cpu->slice_left + 1, count), n;

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
            cpu->s.eip = (cpu->s.eip + in->off) & cpu->eip_mask;                                   \
            JUMP(cpu, in);                                                                         \
        }                                                                                          \
        cpu->s.eip = insn_next(cpu, in);                                                           \
        CHAIN(cpu, in, 0);                                                                         \
    }
/* Ports: a terminator even alone. */
#define STRING_IO(name)                                                                            \
    HANDLER(name##_one)                                                                            \
    {                                                                                              \
        cpu->cur = in;                                                                             \
        string_##name(cpu, in, 1);                                                                 \
        cpu->s.eip = insn_next(cpu, in);                                                           \
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
            STRING_ROW(name), STRING_ROW(name), STRING_ROW(name), STRING_ROW(name)                 \
        }                                                                                          \
    }
const OpFns movs_fns = STRING_FNS(movs);
const OpFns stos_fns = STRING_FNS(stos);
const OpFns lods_fns = STRING_FNS(lods);
const OpFns scas_fns = STRING_FNS(scas);
const OpFns cmps_fns = STRING_FNS(cmps);
const OpFns ins_fns = STRING_FNS(ins);
const OpFns outs_fns = STRING_FNS(outs);
