/* SPDX-License-Identifier: MIT */
/* What handlers are made of: registers, addresses, and the forms of a family. */
#pragma once

#include "cpu/dispatch.h"
#include "cpu/flags.h"
#include "cpu/opcodes.h"

/* -- registers by their byte offset in s.regs -- */

#define REG_AT(cpu, type, at) (*(type *)((char *)(cpu)->s.regs + (at)))
#define RD_8(cpu, at) REG_AT(cpu, Mem8, at)
#define RD_16(cpu, at) REG_AT(cpu, Mem16, at)
#define RD_32(cpu, at) REG_AT(cpu, Mem32, at)
#define RD_64(cpu, at) REG_AT(cpu, Mem64, at)
#define WR_8(cpu, at, v) (REG_AT(cpu, Mem8, at) = (v))
#define WR_16(cpu, at, v) (REG_AT(cpu, Mem16, at) = (v))
#define WR_32(cpu, at, v) (REG_AT(cpu, Mem64, at) = (uint32_t)(v))
#define WR_64(cpu, at, v) (REG_AT(cpu, Mem64, at) = (v))

#define EAX(cpu) ((uint32_t)(cpu)->s.regs[R_EAX])
#define AL_AT 0
#define AH_AT 1
#define REG_OFFSET(r) ((r)*8)

/* -- linear addresses by kind of memory operand -- */

static inline uint32_t ea_base(const Cpu *cpu, const Insn *in)
{
    return *(const Mem32 *)((const char *)cpu + in->base_at) + (uint32_t)in->disp;
}

static inline uint32_t ea_sib(const Cpu *cpu, const Insn *in)
{
    return ea_base(cpu, in) + (*(const Mem32 *)((const char *)cpu + in->index_at) << in->scale);
}

/* The same for 64-bit code.  RIP is a base register, FS's or GS's base an index. */
static inline uint64_t ea_lbase(const Cpu *cpu, const Insn *in)
{
    return *(const Mem64 *)((const char *)cpu + in->base_at) + (uint64_t)in->disp;
}

static inline uint64_t ea_lsib(const Cpu *cpu, const Insn *in)
{
    return ea_lbase(cpu, in) + (*(const Mem64 *)((const char *)cpu + in->index_at) << in->scale);
}

/* With segment, limit and alignment checks; whatever faults later counts for this instruction. */
uint64_t ea_checked(Cpu *cpu, const Insn *in, unsigned size, bool write);

#define LIN_base(cpu, in, size, write) ea_base(cpu, in)
#define LIN_sib(cpu, in, size, write) ea_sib(cpu, in)
#define LIN_lbase(cpu, in, size, write) ea_lbase(cpu, in)
#define LIN_lsib(cpu, in, size, write) ea_lsib(cpu, in)
#define LIN_seg(cpu, in, size, write) ea_checked(cpu, in, size, write)
/* The type of such an address, and the accessors that go with it. */
#define ADDR_base uint32_t
#define ADDR_sib uint32_t
#define ADDR_lbase uint64_t
#define ADDR_lsib uint64_t
#define ADDR_seg uint64_t
#define LD_base(bits) ld_##bits
#define LD_sib(bits) ld_##bits
#define LD_lbase(bits) ldl_##bits
#define LD_lsib(bits) ldl_##bits
#define LD_seg(bits) ldx_##bits
#define ST_base(bits) st_##bits
#define ST_sib(bits) st_##bits
#define ST_lbase(bits) stl_##bits
#define ST_lsib(bits) stl_##bits
#define ST_seg(bits) stx_##bits
#define WP_base(bits) wp_##bits
#define WP_sib(bits) wp_##bits
#define WP_lbase(bits) wpl_##bits
#define WP_lsib(bits) wpl_##bits
#define WP_seg(bits) wpx_##bits

/* The host's address of an operand, or NULL where it takes the slow path. */
static inline void *host_at(const uint64_t *table, uint32_t lin, unsigned size)
{
    uint64_t e = table[lin >> PAGE_BITS];

    if (LIKELY(e && (lin & PAGE_MASK) <= PAGE_SIZE - size)) return (void *)(e + lin);
    return NULL;
}

static inline void *host_at_long(const TlbEntry *table, uint64_t lin, unsigned size)
{
    const TlbEntry *e = &table[TLB_INDEX(lin)];

    return LIKELY(e->tag == TLB_TAG(lin, size)) ? (void *)(e->add + lin) : NULL;
}

/* By kind of address; table is rd or wr. */
#define HOST_AT_base(cpu, table, lin, size) host_at((cpu)->table, lin, size)
#define HOST_AT_sib(cpu, table, lin, size) host_at((cpu)->table, lin, size)
#define HOST_AT_lbase(cpu, table, lin, size) host_at_long((cpu)->l##table, lin, size)
#define HOST_AT_lsib(cpu, table, lin, size) host_at_long((cpu)->l##table, lin, size)

/* The r/m operand of an instruction that pushes afterwards (cpu/stack.c). */
uint64_t stack_read_before_push(Cpu *cpu, const Insn *in);

/* -- families -- */

#define HANDLER(name) static void name(Cpu *cpu, const Insn *in)
/* M(kind, ...) for the kinds of memory operand. */
#define EACH_MEM(M, ...)                                                                           \
    M(seg, __VA_ARGS__)                                                                            \
    M(base, __VA_ARGS__)                                                                           \
    M(sib, __VA_ARGS__)                                                                            \
    M(lbase, __VA_ARGS__)                                                                          \
    M(lsib, __VA_ARGS__)

/* First in a handler of the flat kinds: where the TLB misses, the general form takes over, so that
 * nothing else in the handler calls anything (and the compiler drops the checks that follow). */
#define MISS_base(table, size, general) MISS(ea_base(cpu, in), table, size, general)
#define MISS_sib(table, size, general) MISS(ea_sib(cpu, in), table, size, general)
#define MISS_lbase(table, size, general) MISS_LONG(ea_lbase(cpu, in), l##table, size, general)
#define MISS_lsib(table, size, general) MISS_LONG(ea_lsib(cpu, in), l##table, size, general)
#define MISS_seg(table, size, general) (void)0
#define MISS(ea, table, size, general)                                                             \
    do {                                                                                           \
        uint32_t lin_ = ea;                                                                        \
                                                                                                   \
        if (UNLIKELY(!cpu->table[lin_ >> PAGE_BITS] || (lin_ & PAGE_MASK) > PAGE_SIZE - (size)))   \
            TAIL_CALL(general, cpu, in);                                                           \
    } while (0)
#define MISS_LONG(ea, table, size, general)                                                        \
    do {                                                                                           \
        uint64_t lin_ = ea;                                                                        \
                                                                                                   \
        if (UNLIKELY(cpu->table[TLB_INDEX(lin_)].tag != TLB_TAG(lin_, size)))                      \
            TAIL_CALL(general, cpu, in);                                                           \
    } while (0)
/* The table of a family whose handlers are called name_bits_kind. */
#define FNS_ROW(name, bits)                                                                        \
    {                                                                                              \
        name##_##bits##_reg, name##_##bits##_base, name##_##bits##_sib, name##_##bits##_seg,       \
            name##_##bits##_lbase, name##_##bits##_lsib                                            \
    }
#define FNS(name)                                                                                  \
    {                                                                                              \
        {                                                                                          \
            FNS_ROW(name, 8), FNS_ROW(name, 16), FNS_ROW(name, 32), FNS_ROW(name, 64)              \
        }                                                                                          \
    }
/* The same without byte forms. */
#define FNS_V(name)                                                                                \
    {                                                                                              \
        {                                                                                          \
            { 0 }, FNS_ROW(name, 16), FNS_ROW(name, 32), FNS_ROW(name, 64)                         \
        }                                                                                          \
    }

/* The address of the next instruction, from inside a block. */
static inline uint64_t insn_next(const Cpu *cpu, const Insn *in)
{
    return (cpu->s.eip + in->off + in->len) & cpu->eip_mask;
}

/* Raises a fault from a fast handler. */
#define RAISE(cpu, in, vector, code)                                                               \
    do {                                                                                           \
        (cpu)->cur = (in);                                                                         \
        cpu_raise(cpu, vector, code);                                                              \
    } while (0)
