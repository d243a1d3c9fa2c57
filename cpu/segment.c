/* SPDX-License-Identifier: MIT */
/*
 * Segment registers: loads with all their checks, derived modes, descriptors and privileged stacks.
 * Source: Intel SDM volume 3, chapters 3 and 5; volume 2 for the instructions' pseudo code.
 */
#include "cpu/debug.h"
#include "cpu/decode.h"
#include "cpu/descriptor.h"
#include "cpu/tlb.h"

/* -- descriptors -- */

SegReg desc_segreg(uint16_t sel, const Desc *d)
{
    return (
        SegReg){ .selector = sel, .base = desc_base(d), .limit = desc_limit(d), .flags = d->hi };
}

SegReg segreg_null(uint16_t sel) { return (SegReg){ .selector = sel }; }

SegReg segreg_real(uint16_t sel)
{
    return (SegReg){ .selector = sel,
        .base = (uint32_t)sel << 4,
        .limit = 0xffff,
        .flags = SEGF_P | SEGF_S | SEGF_RW | SEGF_A };
}

SegReg segreg_v86(uint16_t sel)
{
    SegReg seg = segreg_real(sel);

    seg.flags |= SEGF_DPL;
    return seg;
}

bool segreg_holds(const SegReg *seg, uint32_t off, uint32_t size)
{
    uint32_t last = off + size - 1;

    if (last < off) return false;
    if ((seg->flags & (SEGF_CODE | SEGF_EC)) == SEGF_EC) {
        return off > seg->limit && last <= (seg->flags & SEGF_DB ? 0xffffffff : 0xffff);
    }
    return last <= seg->limit;
}

bool desc_read(Cpu *cpu, uint16_t sel, Desc *d)
{
    const SegReg *table = sel & 4 ? &cpu->s.ldt : &cpu->s.gdt;
    uint32_t off = sel & 0xfff8;
    uint64_t raw;

    if (sel & 4 && !(table->flags & SEGF_P)) return false;
    if (off + 7 > table->limit) return false;
    d->lin = table->base + off;
    d->top = 0;
    raw = mmu_load_desc(cpu, d->lin);
    d->lo = (uint32_t)raw;
    d->hi = (uint32_t)(raw >> 32);
    return true;
}

void desc_fetch(Cpu *cpu, uint16_t sel, Desc *d, int vector, uint32_t ext)
{
    if (!desc_read(cpu, sel, d)) cpu_raise(cpu, vector, (sel & 0xfffc) | ext);
}

void desc_fetch_top(Cpu *cpu, uint16_t sel, Desc *d, int vector, uint32_t ext)
{
    const SegReg *table = sel & 4 ? &cpu->s.ldt : &cpu->s.gdt;
    uint64_t raw;

    if (!cpu_long(cpu)) return;
    if ((sel & 0xfff8) + 15u > table->limit) cpu_raise(cpu, vector, (sel & 0xfffc) | ext);
    raw = cpu_load_sys(cpu, d->lin + 8, 8);
    d->top = (uint32_t)raw;
    if (raw >> 40 & 31) cpu_raise(cpu, vector, (sel & 0xfffc) | ext);
}

void desc_mark_accessed(Cpu *cpu, Desc *d)
{
    if (d->hi & SEGF_A) return;
    d->hi |= SEGF_A;
    cpu_store_sys(cpu, d->lin + 5, d->hi >> 8 & 0xff, 1);
}

void desc_set_type(Cpu *cpu, Desc *d, unsigned type)
{
    d->hi = (d->hi & ~(15u << SEGF_TYPE_SHIFT)) | type << SEGF_TYPE_SHIFT;
    cpu_store_sys(cpu, d->lin + 5, d->hi >> 8 & 0xff, 1);
}

/* -- derived modes -- */

void cpu_update_mode(Cpu *cpu)
{
    struct CpuState *s = &cpu->s;
    uint32_t keep = HF_CPL | HF_SHADOW | HF_SMM;
    uint32_t h = s->hflags & keep;
    bool wide = cpu_code64(cpu);

    if (s->segs[R_CS].flags & SEGF_DB || wide) h |= HF_CS32;
    if (s->segs[R_SS].flags & SEGF_DB || wide) h |= HF_SS32;
    if (cpu_long(cpu)) h |= HF_LMA;
    if (wide) h |= HF_CS64;
    if (s->cr[0] & CR0_PE) h |= HF_PE;
    h |= (s->cr[0] & (CR0_MP | CR0_EM | CR0_TS)) << 8;
    if (s->cr[4] & CR4_OSFXSR) h |= HF_OSFXSR;
    if (!wide && (!(h & HF_PE) || s->eflags & FLAG_VM || !(h & HF_CS32) ||
                     s->segs[R_DS].base | s->segs[R_ES].base | s->segs[R_SS].base)) {
        h |= HF_ADDSEG;
    }
    s->hflags = h;
    cpu_mode_changed(cpu);
}

void cpu_set_cpl(Cpu *cpu, unsigned cpl)
{
    cpu->s.hflags = (cpu->s.hflags & ~(uint32_t)HF_CPL) | cpl;
    cpu_mode_changed(cpu);
}

/* -- loads -- */

void cpu_load_seg_real(Cpu *cpu, int seg, uint16_t selector)
{
    SegReg *r = &cpu->s.segs[seg];

    if (cpu_v86(cpu)) {
        *r = segreg_v86(selector);
    } else { /* limit and rights stay: "unreal" mode lives on that */
        r->selector = selector;
        r->base = (uint32_t)selector << 4;
    }
    cpu_update_mode(cpu);
}

static void segment_load_ss(Cpu *cpu, uint16_t sel)
{
    unsigned cpl = cpu_cpl(cpu);
    Desc d;

    if (selector_null(sel)) {
        if (!cpu_code64(cpu) || cpl == 3 || (sel & 3) != cpl) cpu_raise(cpu, EXC_GP, 0);
        cpu->s.segs[R_SS] = segreg_null_ss(cpl);
        return;
    }
    desc_fetch(cpu, sel, &d, EXC_GP, 0);
    if ((sel & 3) != cpl || !desc_is_writable(&d) || desc_dpl(&d) != cpl) {
        cpu_raise(cpu, EXC_GP, sel & 0xfffc);
    }
    if (!desc_present(&d)) cpu_raise(cpu, EXC_SS, sel & 0xfffc);
    desc_mark_accessed(cpu, &d);
    cpu->s.segs[R_SS] = desc_segreg(sel, &d);
}

static void segment_load_data(Cpu *cpu, int seg, uint16_t sel)
{
    unsigned level = MAX_OF(cpu_cpl(cpu), (unsigned)(sel & 3));
    Desc d;

    if (selector_null(sel)) {
        cpu->s.segs[seg] = segreg_null(sel);
        return;
    }
    desc_fetch(cpu, sel, &d, EXC_GP, 0);
    if (!desc_is_readable(&d)) cpu_raise(cpu, EXC_GP, sel & 0xfffc);
    if (!desc_is_conforming(&d) && level > desc_dpl(&d)) cpu_raise(cpu, EXC_GP, sel & 0xfffc);
    if (!desc_present(&d)) cpu_raise(cpu, EXC_NP, sel & 0xfffc);
    desc_mark_accessed(cpu, &d);
    cpu->s.segs[seg] = desc_segreg(sel, &d);
}

void cpu_load_seg(Cpu *cpu, int seg, uint16_t selector)
{
    if (!cpu_protected(cpu) || cpu_v86(cpu)) {
        cpu_load_seg_real(cpu, seg, selector);
        return;
    }
    if (seg == R_SS) {
        segment_load_ss(cpu, selector);
    } else {
        segment_load_data(cpu, seg, selector);
    }
    cpu_update_mode(cpu);
}

void segs_drop_inner(Cpu *cpu, unsigned cpl)
{
    static const uint8_t segs[] = { R_ES, R_DS, R_FS, R_GS };

    for (unsigned i = 0; i < ARRAY_SIZE(segs); i++) {
        SegReg *r = &cpu->s.segs[segs[i]];
        bool conforming = (r->flags & (SEGF_CODE | SEGF_EC)) == (SEGF_CODE | SEGF_EC);
        bool based = i >= 2 && selector_null((uint16_t)r->selector); /* by MSR: stays */

        if (cpu_long(cpu) && based) continue;
        if ((r->flags >> SEGF_DPL_SHIFT & 3) < cpl && !conforming) *r = segreg_null(0);
    }
}

/* -- stacks -- */

void stack_current(Cpu *cpu, Stack *st)
{
    st->ss = cpu->s.segs[R_SS];
    st->wide = cpu_code64(cpu);
    st->flat = cpu->mode & MODE_FLAT << R_SS;
    st->esp = cpu->s.regs[R_ESP] & cpu->eip_mask;
    st->mask = cpu->sp_mask;
    st->sys = cpu_cpl(cpu) < 3;
    if (!cpu_protected(cpu)) st->ss.flags &= ~(uint32_t)SEGF_EC; /* types mean nothing there */
}

void stack_inner(Stack *st, const SegReg *ss, uint32_t esp, unsigned cpl)
{
    st->ss = *ss;
    st->esp = esp;
    st->mask = stack_mask(ss);
    st->sys = cpl < 3;
    st->wide = st->flat = false;
}

void stack_long(Stack *st, uint64_t rsp, unsigned cpl)
{
    *st = (Stack){ .esp = rsp, .mask = UINT64_MAX, .sys = cpl < 3, .wide = true };
}

/* Where a push goes; false where the stack has no such place. */
static bool stack_place(const Stack *st, uint64_t off, unsigned size, uint64_t *lin)
{
    *lin = st->wide ? off : (uint32_t)(st->ss.base + off);
    if (st->wide) return cpu_is_canonical(off) && cpu_is_canonical(off + size - 1);
    return segreg_holds(&st->ss, (uint32_t)off, size);
}

/* Where bytes up to st's top stand, which nothing keeps from being written; or NULL. */
static uint8_t *stack_host(Cpu *cpu, const Stack *st, unsigned bytes)
{
    uint64_t top = st->esp & st->mask, lin = top - bytes;
    uint8_t *at;

    if (top < bytes || (!st->sys && cpu->mode & MODE_AC)) return NULL;
    if (!st->flat && !stack_place(st, top - bytes, bytes, &lin)) return NULL;
    at = tlb_find(cpu, lin, st->sys ? WHO_SYSTEM : mmu_who(cpu), MMU_WRITE, bytes);
    return at ? at + bytes : NULL;
}

void stack_reserve(Cpu *cpu, Stack *st, unsigned n, unsigned size, int vector, uint32_t code)
{
    uint64_t sp = st->esp & st->mask, page = 0, lin;

    st->host = stack_host(cpu, st, n * size);
    if (st->host) return;
    /* in the order of the pushes, so that the right one faults; a page is probed once */
    for (unsigned i = 1; i <= n; i++) {
        uint64_t off = (sp - i * size) & st->mask;

        if (!stack_place(st, off, size, &lin)) cpu_raise(cpu, vector, code);
        if (i > 1 && lin >> PAGE_BITS == page && (lin & PAGE_MASK) <= PAGE_SIZE - size) continue;
        page = lin >> PAGE_BITS;
        if (!st->sys && cpu->mode & MODE_AC && lin & (size - 1)) cpu_raise(cpu, EXC_AC, 0);
        cpu_probe(cpu, lin, size, true, st->sys);
    }
}

void stack_push(Cpu *cpu, Stack *st, uint64_t val, unsigned size)
{
    uint64_t sp = (st->esp - size) & st->mask, lin;

    if (st->host) {
        st->host -= size;
        host_store(st->host, val, size);
    } else {
        stack_place(st, sp, size, &lin);
        if (st->sys)
            cpu_store_sys(cpu, lin, val, size);
        else
            cpu_store(cpu, lin, val, size);
    }
    st->esp = (st->esp & ~st->mask) | sp;
}

uint64_t stack_peek(Cpu *cpu, uint32_t off, unsigned size)
{
    uint64_t sp = (cpu->s.regs[R_ESP] + off) & cpu->sp_mask;

    return cpu_load(cpu, cpu_seg_lin(cpu, R_SS, sp, size, false), size);
}

void stack_adjust(Cpu *cpu, uint64_t bytes) { cpu_set_sp(cpu, cpu->s.regs[R_ESP] + bytes); }

SegReg segreg_null_ss(unsigned cpl)
{
    return (SegReg){ .selector = cpl, .flags = cpl << SEGF_DPL_SHIFT };
}

bool stack_null_is_good(Cpu *cpu, const Desc *cs, uint16_t ss, unsigned cpl)
{
    return selector_null(ss) && desc_is_code64(cpu, cs) && cpl < 3 && (ss & 3u) == cpl;
}

uint64_t stack_returned(Cpu *cpu, const Desc *cs, uint64_t rsp)
{
    if (desc_is_code64(cpu, cs)) return rsp;
    if (cpu->s.segs[R_SS].flags & SEGF_DB) return (uint32_t)rsp;
    return (cpu->s.regs[R_ESP] & ~(uint64_t)0xffff) | (uint16_t)rsp;
}

uint64_t tss_long_stack(Cpu *cpu, uint32_t off, uint32_t ext)
{
    const SegReg *tr = &cpu->s.tr;

    if (off + 7 > tr->limit) cpu_raise(cpu, EXC_TS, (tr->selector & 0xfffc) | ext);
    return cpu_load_sys(cpu, tr->base + off, 8);
}

void tss_inner_stack(Cpu *cpu, unsigned cpl, uint32_t ext, uint16_t *ss, uint32_t *esp)
{
    const SegReg *tr = &cpu->s.tr;
    bool wide = tr->flags >> SEGF_TYPE_SHIFT & DESC_IS_32;
    uint32_t off = wide ? cpl * 8 + 4 : cpl * 4 + 2;
    uint32_t last = off + (wide ? 5 : 3);
    uint64_t lin = tr->base + off;

    if (last > tr->limit) cpu_raise(cpu, EXC_TS, (tr->selector & 0xfffc) | ext);
    *esp = (uint32_t)cpu_load_sys(cpu, lin, wide ? 4 : 2);
    *ss = (uint16_t)cpu_load_sys(cpu, lin + (wide ? 4 : 2), 2);
}

void stack_check_inner_ss(Cpu *cpu, uint16_t sel, unsigned cpl, uint32_t ext, Desc *d)
{
    if (selector_null(sel)) cpu_raise(cpu, EXC_TS, ext);
    desc_fetch(cpu, sel, d, EXC_TS, ext);
    if ((sel & 3) != (int)cpl || desc_dpl(d) != cpl || !desc_is_writable(d)) {
        cpu_raise(cpu, EXC_TS, (sel & 0xfffc) | ext);
    }
    if (!desc_present(d)) cpu_raise(cpu, EXC_SS, (sel & 0xfffc) | ext);
    desc_mark_accessed(cpu, d);
}

/* -- MOV, POP and LxS -- */

/* After a load of SS neither interrupts nor debug traps come before the next instruction.  Of
 * several in a row only the first one does this. */
static void segment_shadow(Cpu *cpu)
{
    if (cpu->s.debug_pending & DEBUG_SHADOW) return;
    cpu->s.hflags |= HF_SHADOW;
    cpu->s.debug_pending |= DEBUG_SHADOW;
}

void op_mov_sreg_rm(Cpu *cpu, const Insn *in)
{
    int seg = in->modrm >> 3 & 7;

    if (seg == R_CS || seg > R_GS) cpu_raise(cpu, EXC_UD, 0);
    cpu_load_seg(cpu, seg, (uint16_t)insn_read_rm(cpu, in, 2));
    if (seg == R_SS) segment_shadow(cpu);
}

void op_pop_sreg(Cpu *cpu, const Insn *in)
{
    int seg = in->op == 0x07   ? R_ES
              : in->op == 0x17 ? R_SS
              : in->op == 0x1f ? R_DS
              : in->op == 0xa1 ? R_FS
                               : R_GS;
    uint64_t mask = cpu->sp_mask, esp = cpu->s.regs[R_ESP];

    /* ESP moves by the old SS's size even where SS is what is loaded */
    cpu_load_seg(cpu, seg, (uint16_t)stack_peek(cpu, 0, in->opsize));
    cpu->s.regs[R_ESP] = (esp & ~mask) | ((esp + in->opsize) & mask);
    if (seg == R_SS) segment_shadow(cpu);
}

void op_load_far_ptr(Cpu *cpu, const Insn *in)
{
    int seg = in->op == 0xc4   ? R_ES
              : in->op == 0xc5 ? R_DS
              : in->op == 0xb2 ? R_SS
              : in->op == 0xb4 ? R_FS
                               : R_GS;
    uint64_t lin, off;
    uint16_t sel;

    if (in->modrm >= 0xc0) cpu_raise(cpu, EXC_UD, 0);
    lin = insn_lin_parts(cpu, in, in->opsize + 2u, in->opsize, false);
    off = cpu_load(cpu, lin, in->opsize);
    sel = (uint16_t)cpu_load(cpu, lin + in->opsize, 2);
    cpu_load_seg(cpu, seg, sel);
    cpu_write_reg(cpu, in->reg, off, in->opsize, in->flags & INSN_REX);
}
