/* SPDX-License-Identifier: MIT */
/*
 * Descriptors and privileged stacks: shared by segment.c, far.c, interrupt.c and task.c.  In long
 * mode descriptors of the system kind have 16 bytes, and code, gates and stacks may be wide.
 * Source: Intel SDM volume 3, chapters 3 (descriptors), 5 (protection) and 7 (tasks).
 */
#pragma once

#include "cpu/tlb.h"

/* Types of system descriptors. */
enum {
    DESC_TSS16 = 1,
    DESC_LDT = 2,
    DESC_TSS16_BUSY = 3,
    DESC_CALL16 = 4,
    DESC_TASK_GATE = 5,
    DESC_INT16 = 6,
    DESC_TRAP16 = 7,
    DESC_TSS32 = 9,
    DESC_TSS32_BUSY = 11,
    DESC_CALL32 = 12,
    DESC_INT32 = 14,
    DESC_TRAP32 = 15,
    DESC_BUSY = 2,  /* what turns an available TSS into a busy one */
    DESC_IS_32 = 8, /* of a gate or TSS */
};

typedef struct Desc {
    uint32_t lo, hi;
    uint32_t top; /* long mode, system kind: bits 63 to 32 of base or offset */
    uint64_t lin; /* where it stands, for the accessed and busy bits */
} Desc;

static inline unsigned desc_dpl(const Desc *d) { return d->hi >> SEGF_DPL_SHIFT & 3; }
static inline unsigned desc_type(const Desc *d) { return d->hi >> SEGF_TYPE_SHIFT & 15; }
static inline bool desc_present(const Desc *d) { return d->hi & SEGF_P; }
static inline bool desc_is_code(const Desc *d)
{
    return (d->hi & (SEGF_S | SEGF_CODE)) == (SEGF_S | SEGF_CODE);
}
static inline bool desc_is_conforming(const Desc *d)
{
    return (d->hi & (SEGF_S | SEGF_CODE | SEGF_EC)) == (SEGF_S | SEGF_CODE | SEGF_EC);
}
static inline bool desc_is_writable(const Desc *d)
{
    return (d->hi & (SEGF_S | SEGF_CODE | SEGF_RW)) == (SEGF_S | SEGF_RW);
}
static inline bool desc_is_readable(const Desc *d)
{
    return (d->hi & SEGF_S) && (d->hi & (SEGF_CODE | SEGF_RW)) != SEGF_CODE;
}
static inline uint16_t desc_gate_sel(const Desc *d) { return (uint16_t)(d->lo >> 16); }
static inline uint64_t desc_gate_offset(const Desc *d)
{
    uint32_t low = d->lo & 0xffff;

    return desc_type(d) & DESC_IS_32 ? (uint64_t)d->top << 32 | (d->hi & 0xffff0000) | low : low;
}
/* Code that long mode runs as 64-bit code. */
static inline bool desc_is_code64(const Cpu *cpu, const Desc *d)
{
    return cpu_long(cpu) && (d->hi & SEGF_L);
}
static inline bool selector_null(uint16_t sel) { return (sel & 0xfffc) == 0; }

static inline uint64_t desc_base(const Desc *d)
{
    return (uint64_t)d->top << 32 | d->lo >> 16 | (d->hi & 0xff) << 16 | (d->hi & 0xff000000);
}

/* In bytes. */
static inline uint32_t desc_limit(const Desc *d)
{
    uint32_t limit = (d->lo & 0xffff) | (d->hi & 0xf0000);

    return d->hi & SEGF_G ? limit << 12 | 0xfff : limit;
}

SegReg desc_segreg(uint16_t sel, const Desc *d);

/* Reads a descriptor; false where the selector lies beyond its table. */
bool desc_read(Cpu *cpu, uint16_t sel, Desc *d);
/* The same, raising vector(sel | ext) instead. */
void desc_fetch(Cpu *cpu, uint16_t sel, Desc *d, int vector, uint32_t ext);
/* Completes a descriptor of the system kind in long mode by its second half; vector(sel | ext)
 * where that lies beyond the table or is not what it must be. */
void desc_fetch_top(Cpu *cpu, uint16_t sel, Desc *d, int vector, uint32_t ext);
/* Sets the accessed bit in memory where it is clear: the last thing that can fault. */
void desc_mark_accessed(Cpu *cpu, Desc *d);
/* Changes the type field in memory (busy bits). */
void desc_set_type(Cpu *cpu, Desc *d, unsigned type);
/* A segment register without a segment. */
SegReg segreg_null(uint16_t sel);
SegReg segreg_real(uint16_t sel);
SegReg segreg_v86(uint16_t sel);
/* Whether off .. off+size-1 lies within the limit, upwards or downwards. */
bool segreg_holds(const SegReg *seg, uint32_t off, uint32_t size);

/* On a return to an outer level: drops data segments that it may not use. */
void segs_drop_inner(Cpu *cpu, unsigned cpl);

/* -- stacks -- */

/* A stack that a transfer pushes to, current or about to be. */
typedef struct Stack {
    SegReg ss;
    uint64_t esp;
    uint64_t mask; /* 16, 32 or 64 ones */
    bool sys;      /* pages are accessed as supervisor */
    bool flat;     /* offsets are linear addresses */
    bool wide;     /* 64-bit code's: no segment, canonical addresses */
    uint8_t *host; /* of what was pushed last, where all of what is reserved stands in one page */
} Stack;

void stack_current(Cpu *cpu, Stack *st);
/* The stack of 64-bit code of level cpl. */
void stack_long(Stack *st, uint64_t rsp, unsigned cpl);
void stack_inner(Stack *st, const SegReg *ss, uint32_t esp, unsigned cpl);
/* Room for n pushes of size bytes, or vector(code); afterwards stack_push cannot fault. */
void stack_reserve(Cpu *cpu, Stack *st, unsigned n, unsigned size, int vector, uint32_t code);
void stack_push(Cpu *cpu, Stack *st, uint64_t val, unsigned size);
/* The item off bytes above the current stack's top. */
uint64_t stack_peek(Cpu *cpu, uint32_t off, unsigned size);
/* Where those bytes of the current stack stand, whose first one is off behind its top, if nothing
 * keeps them from being accessed so; or NULL. */
static inline uint8_t *stack_view(
    Cpu *cpu, int off, unsigned bytes, enum MmuWho who, enum MmuKind kind)
{
    uint64_t sp = cpu->s.regs[R_ESP] & cpu->sp_mask, lin = sp + (uint64_t)(int64_t)off;

    if (!(cpu->mode & (MODE_FLAT << R_SS | MODE_CS64)) || cpu->mode & MODE_AC) return NULL;
    return off < 0 && lin > sp ? NULL : tlb_find(cpu, lin, who, kind, bytes);
}
/* Moves RSP, ESP or SP, as CS and SS say. */
void stack_adjust(Cpu *cpu, uint64_t bytes);
static inline uint32_t stack_mask(const SegReg *ss) { return ss->flags & SEGF_DB ? ~0u : 0xffff; }

/* Reads SS:ESP of an inner level from the TSS; #TS where that is too short. */
void tss_inner_stack(Cpu *cpu, unsigned cpl, uint32_t ext, uint16_t *ss, uint32_t *esp);
/* Reads the eight bytes at off of a 64-bit TSS: an RSP; #TS where it is too short. */
uint64_t tss_long_stack(Cpu *cpu, uint32_t off, uint32_t ext);
enum { TSS64_RSP0 = 4, TSS64_IST1 = 0x24 };
/* Checks a selector for SS of level cpl taken from the TSS, raising #TS and #SS. */
void stack_check_inner_ss(Cpu *cpu, uint16_t sel, unsigned cpl, uint32_t ext, Desc *d);

/* -- tasks -- */

enum TaskWhy { TASK_JMP, TASK_CALL, TASK_IRET, TASK_INT_SOFT, TASK_INT };
/* cpu_task_switch with the flags that the outgoing task gets. */
void task_switch(Cpu *cpu, uint16_t sel, enum TaskWhy why, uint32_t eip, uint32_t eflags,
    bool has_code, uint32_t code);
/* What a switch has done is there to stay: it is through, or the fault of its second half has been
 * delivered.  Cheap where there was none. */
void task_done(Cpu *cpu);
/* An absent page was met: nothing has happened, in `s` or in memory. */
void task_undo(Cpu *cpu);
void task_free(Cpu *cpu); /* with the CPU */
/* The event on its way (interrupt_injected, nmi_injected) has been taken: forgets it. */
void interrupt_taken(Cpu *cpu);

/* -- far transfers -- */

/* Raises #GP where eip lies beyond the code segment d, or is not canonical in 64-bit code. */
static inline void far_check_target(Cpu *cpu, const Desc *d, uint64_t eip, uint32_t ext)
{
    bool ok = desc_is_code64(cpu, d) ? cpu_is_canonical(eip) : eip <= desc_limit(d);

    if (!ok) cpu_raise(cpu, EXC_GP, ext);
}
/* Whether sel names the very descriptor that CS was loaded from: then a transfer to it at this
 * level has only its target to check, and nothing to load. */
static inline bool cs_is_current(Cpu *cpu, uint16_t sel)
{
    const SegReg *gdt = &cpu->s.gdt;
    uint32_t off = sel & 0xfff8;

    if (!cpu->cs_desc || (sel ^ cpu->s.segs[R_CS].selector) & 0xfffc || off + 7 > gdt->limit)
        return false;
    return mmu_load_desc(cpu, gdt->base + off) == cpu->cs_desc;
}
/* SS where 64-bit code of level cpl starts on a stack of its own: none. */
SegReg segreg_null_ss(unsigned cpl);
/* Returns to 64-bit code of an inner level may load a null SS. */
bool stack_null_is_good(Cpu *cpu, const Desc *cs, uint16_t ss, unsigned cpl);
/* The RSP that a return loads, by what of it the stack of the level returned to uses. */
uint64_t stack_returned(Cpu *cpu, const Desc *cs, uint64_t rsp);
/* CS becomes the descriptor's segment at privilege cpl. */
void cs_commit(Cpu *cpu, uint16_t sel, const Desc *d, unsigned cpl);
/* The same where CPL, SS and VM stay: cheap where the segment is the one that is there. */
void cs_commit_same(Cpu *cpu, uint16_t sel, const Desc *d);
/* Checks the CS that RET or IRET pops, raising #GP and #NP ... */
void cs_check_return(Cpu *cpu, uint16_t sel, Desc *d);
/* ... and the SS for the outer level cpl. */
void stack_check_outer_ss(Cpu *cpu, uint16_t sel, unsigned cpl, Desc *d);
