/* SPDX-License-Identifier: MIT */
/*
 * Segment registers: loads with all their checks, derived modes, descriptors and privileged stacks.
 * Source: Intel SDM volume 3, chapters 3 and 5; volume 2 for the instructions' pseudo code.
 * Not modelled: 64-bit mode.
 */
#include "cpu/debug.h"
#include "cpu/decode.h"
#include "cpu/descriptor.h"

/* -- descriptors -- */

uint32_t desc_base(const Desc *d)
{
    return d->lo >> 16 | (d->hi & 0xff) << 16 | (d->hi & 0xff000000);
}

uint32_t desc_limit(const Desc *d)
{
    uint32_t limit = (d->lo & 0xffff) | (d->hi & 0xf0000);

    return d->hi & SEGF_G ? limit << 12 | 0xfff : limit;
}

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
    d->lin = (uint32_t)(table->base + off);
    raw = cpu_load_sys(cpu, d->lin, 8);
    d->lo = (uint32_t)raw;
    d->hi = (uint32_t)(raw >> 32);
    return true;
}

void desc_fetch(Cpu *cpu, uint16_t sel, Desc *d, int vector, uint32_t ext)
{
    if (!desc_read(cpu, sel, d)) cpu_raise(cpu, vector, (sel & 0xfffc) | ext);
}

void desc_mark_accessed(Cpu *cpu, Desc *d)
{
    if (d->hi & SEGF_A) return;
    d->hi |= SEGF_A;
    cpu_store_sys(cpu, (uint32_t)(d->lin + 5), d->hi >> 8 & 0xff, 1);
}

void desc_set_type(Cpu *cpu, Desc *d, unsigned type)
{
    d->hi = (d->hi & ~(15u << SEGF_TYPE_SHIFT)) | type << SEGF_TYPE_SHIFT;
    cpu_store_sys(cpu, (uint32_t)(d->lin + 5), d->hi >> 8 & 0xff, 1);
}

/* -- derived modes -- */

void cpu_update_mode(Cpu *cpu)
{
    struct CpuState *s = &cpu->s;
    uint32_t keep = HF_CPL | HF_SHADOW | HF_SMM;
    uint32_t h = s->hflags & keep;

    if (s->segs[R_CS].flags & SEGF_DB) h |= HF_CS32;
    if (s->segs[R_SS].flags & SEGF_DB) h |= HF_SS32;
    if (s->cr[0] & CR0_PE) h |= HF_PE;
    h |= (s->cr[0] & (CR0_MP | CR0_EM | CR0_TS)) << 8;
    if (s->cr[4] & CR4_OSFXSR) h |= HF_OSFXSR;
    if (!(h & HF_PE) || s->eflags & FLAG_VM || !(h & HF_CS32) ||
        s->segs[R_DS].base | s->segs[R_ES].base | s->segs[R_SS].base) {
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

    if (selector_null(sel)) cpu_raise(cpu, EXC_GP, 0);
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

        if ((r->flags >> SEGF_DPL_SHIFT & 3) < cpl && !conforming) *r = segreg_null(0);
    }
}

/* -- stacks -- */

void stack_current(Cpu *cpu, Stack *st)
{
    st->ss = cpu->s.segs[R_SS];
    st->esp = (uint32_t)cpu->s.regs[R_ESP];
    st->mask = stack_mask(&st->ss);
    st->sys = cpu_cpl(cpu) < 3;
    if (!cpu_protected(cpu)) st->ss.flags &= ~(uint32_t)SEGF_EC; /* types mean nothing there */
}

void stack_inner(Stack *st, const SegReg *ss, uint32_t esp, unsigned cpl)
{
    st->ss = *ss;
    st->esp = esp;
    st->mask = stack_mask(ss);
    st->sys = cpl < 3;
}

void stack_reserve(Cpu *cpu, const Stack *st, unsigned n, unsigned size, int vector, uint32_t code)
{
    uint32_t sp = st->esp & st->mask, page = 0;

    /* in the order of the pushes, so that the right one faults; a page is probed once */
    for (unsigned i = 1; i <= n; i++) {
        uint32_t off = (sp - i * size) & st->mask, lin = (uint32_t)st->ss.base + off;

        if (!segreg_holds(&st->ss, off, size)) cpu_raise(cpu, vector, code);
        if (i > 1 && lin >> PAGE_BITS == page && (lin & PAGE_MASK) <= PAGE_SIZE - size) continue;
        page = lin >> PAGE_BITS;
        cpu_probe(cpu, lin, size, true, st->sys);
    }
}

void stack_push(Cpu *cpu, Stack *st, uint32_t val, unsigned size)
{
    uint32_t sp = (st->esp - size) & st->mask;
    uint64_t lin = (uint32_t)(st->ss.base + sp);

    if (st->sys) {
        cpu_store_sys(cpu, lin, val, size);
    } else {
        cpu_store(cpu, lin, val, size);
    }
    st->esp = (st->esp & ~st->mask) | sp;
}

uint32_t stack_peek(Cpu *cpu, uint32_t off, unsigned size)
{
    uint32_t mask = stack_mask(&cpu->s.segs[R_SS]);
    uint32_t sp = ((uint32_t)cpu->s.regs[R_ESP] + off) & mask;

    return (uint32_t)cpu_load(cpu, cpu_seg_lin(cpu, R_SS, sp, size, false), size);
}

void stack_adjust(Cpu *cpu, uint32_t bytes)
{
    uint32_t mask = stack_mask(&cpu->s.segs[R_SS]);
    uint32_t esp = (uint32_t)cpu->s.regs[R_ESP];

    cpu->s.regs[R_ESP] = (esp & ~mask) | ((esp + bytes) & mask);
}

void tss_inner_stack(Cpu *cpu, unsigned cpl, uint32_t ext, uint16_t *ss, uint32_t *esp)
{
    const SegReg *tr = &cpu->s.tr;
    bool wide = tr->flags >> SEGF_TYPE_SHIFT & DESC_IS_32;
    uint32_t off = wide ? cpl * 8 + 4 : cpl * 4 + 2;
    uint32_t last = off + (wide ? 5 : 3);
    uint64_t lin = (uint32_t)(tr->base + off);

    if (last > tr->limit) cpu_raise(cpu, EXC_TS, (tr->selector & 0xfffc) | ext);
    *esp = (uint32_t)cpu_load_sys(cpu, lin, wide ? 4 : 2);
    *ss = (uint16_t)cpu_load_sys(cpu, (uint32_t)(lin + (wide ? 4 : 2)), 2);
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

/* After a load of SS neither interrupts nor debug traps come before the next instruction. */
static void segment_shadow(Cpu *cpu)
{
    cpu->s.hflags |= HF_SHADOW;
    cpu_debug_hold(cpu);
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
    uint32_t mask = stack_mask(&cpu->s.segs[R_SS]), esp = (uint32_t)cpu->s.regs[R_ESP];

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
    lin = insn_lin(cpu, in, in->opsize + 2u, false);
    off = cpu_load(cpu, lin, in->opsize);
    sel = (uint16_t)cpu_load(cpu, (uint32_t)(lin + in->opsize), 2);
    cpu_load_seg(cpu, seg, sel);
    cpu_write_reg(cpu, in->reg, off, in->opsize, in->flags & INSN_REX);
}
