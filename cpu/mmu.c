/* SPDX-License-Identifier: MIT */
/*
 * Memory management: the slow path of every access, over cpu/walk.c's page walks.  Source: Intel
 * SDM volume 3, chapters 3 and 4.  Not modelled: memory types.
 *
 * An access first translates and checks every page it touches, then acts.  Accesses to registers
 * (and to nothing) have side effects, so only the last instruction of a block may make them: any
 * other leaves by fault_cut and comes back as a last one.
 */
#include <string.h>

#include "cpu/blocked.h"
#include "cpu/blocks.h"
#include "cpu/cpu.h"
#include "cpu/cpus.h"
#include "cpu/debug.h"
#include "cpu/fault.h"
#include "cpu/sse.h"
#include "cpu/tlb.h"
#include "cpu/walk.h"

/* A page as one access sees it. */
typedef struct MmuPage {
    uint64_t gpa;    /* of the access's first byte */
    RamBlock *block; /* RAM or ROM, or NULL */
    uint64_t off;
    bool readonly;
} MmuPage;

static MemAttrs mmu_attrs(Cpu *cpu)
{
    return (MemAttrs){ .cpu = &cpu->dev, .smm = cpu->s.hflags & HF_SMM };
}

static void mmu_resume(Device *dev)
{
    CPU(dev)->exit_pending = true;
    blocked_end(CPU(dev));
    machine_kick(dev->m);
}

/* Looks a page up in the physical map; false where no RAM answers.  Waits where the registers that
 * answer reach an absent page. */
static bool mmu_map(Cpu *cpu, uint64_t gpa, bool code, TlbPhys *t)
{
    MemAttrs attrs = mmu_attrs(cpu);
    const FlatRange *r;

    attrs.code = code;
    r = mem_find(cpu->dev.m, attrs, gpa);
    if (!r) return false;
    if (!r->region->ram) {
        if (!mmio_probe(&cpu->dev, r, gpa, mmu_resume)) cpu_blocked(cpu);
        return false;
    }
    t->block = r->region->ram;
    t->off = r->region->ram_off + r->region_off + ((gpa & ~(uint64_t)PAGE_MASK) - r->gpa);
    t->host = t->block->host + t->off;
    t->watch = &t->block->watch[t->off >> PAGE_BITS];
    t->readonly = r->region->readonly;
    return true;
}

/* The page of RAM or ROM at a physical address, present; NULL where there is none. */
static inline const TlbPhys *mmu_phys_page(Cpu *cpu, uint64_t gpa, bool code)
{
    TlbPhys *t = tlb_phys(cpu, gpa);
    uint64_t key = tlb_phys_key(cpu, gpa, code);

    if (UNLIKELY(t->key != key)) {
        if (!mmu_map(cpu, gpa, code, t)) return NULL;
        t->key = key;
    }
    if (UNLIKELY(*t->watch & WATCH_ABSENT)) {
        sse_settle(cpu);
        if (!ram_probe(&cpu->dev, t->block, t->off >> PAGE_BITS, 1, mmu_resume)) cpu_blocked(cpu);
    }
    return t;
}

/* Where a physical address leads. */
static inline void mmu_physical(Cpu *cpu, uint64_t gpa, bool code, MmuPage *p)
{
    const TlbPhys *t = mmu_phys_page(cpu, gpa, code);

    p->gpa = gpa;
    p->block = t ? t->block : NULL;
    p->off = t ? t->off + (gpa & PAGE_MASK) : 0;
    p->readonly = t && t->readonly;
}

void mmu_smram_await(Cpu *cpu, uint64_t gpa, uint64_t len)
{
    MemAttrs attrs = { .cpu = &cpu->dev, .smm = true };

    for (uint64_t at = gpa & ~(uint64_t)PAGE_MASK; at < gpa + len; at += PAGE_SIZE) {
        const FlatRange *r = mem_find(cpu->dev.m, attrs, at);
        uint64_t off = r ? r->region->ram_off + r->region_off + (at - r->gpa) : 0;

        if (r && r->region->ram &&
            !ram_probe(&cpu->dev, r->region->ram, off >> PAGE_BITS, 1, mmu_resume))
            cpu_blocked(cpu);
    }
}

/* In system management mode nothing masks it. */
static uint64_t mmu_a20(const Cpu *cpu)
{
    return cpu->s.hflags & HF_SMM ? UINT64_MAX : (uint64_t)(int64_t)cpu->s.a20_mask;
}

/* -- what a page walk does -- */

/* The monitor looks: it cannot wait here. */
static uint64_t mmu_peek_entry(Cpu *cpu, uint64_t gpa, unsigned size)
{
    RamBlock *b;
    uint64_t page, v = 0;

    if (mem_find_absent(cpu->dev.m, gpa, size, &b, &page)) cpu->peek_absent = gpa;
    mem_read(cpu->dev.m, mmu_attrs(cpu), gpa, &v, size);
    return v;
}

uint64_t mmu_phys_load_slow(Cpu *cpu, uint64_t gpa, unsigned size)
{
    const TlbPhys *t;

    gpa &= mmu_a20(cpu);
    if (!cpu->fault_frame) return mmu_peek_entry(cpu, gpa, size);
    t = mmu_phys_page(cpu, gpa, false);
    if (!t) return mem_load(cpu->dev.m, mmu_attrs(cpu), gpa, size);
    return host_load(t->host + (gpa & PAGE_MASK), size);
}

void mmu_phys_store(Cpu *cpu, uint64_t gpa, uint64_t val, unsigned size)
{
    mem_store(cpu->dev.m, mmu_attrs(cpu), gpa & mmu_a20(cpu), val, size);
}

/* -- pages -- */

static TlbWatched *mmu_watched(const Cpu *cpu, uint64_t lin)
{
    return &cpu->tlb->watched[(lin >> PAGE_BITS) % TLB_WATCHED];
}

/* Whether writes to the page are known to be permitted, and to be told. */
static bool mmu_is_watched(const Cpu *cpu, uint64_t lin, enum MmuWho who)
{
    const TlbWatched *t = mmu_watched(cpu, lin);

    return t->gen == cpu->tlb->gen && t->page == lin >> PAGE_BITS && t->who == who &&
           t->block->watch[t->off >> PAGE_BITS] == WATCH_CODE;
}

/* An address that no page table reaches: a fault of the segment that was used. */
static void mmu_check_canonical(Cpu *cpu, uint64_t lin)
{
    if (LIKELY(cpu_is_canonical(lin))) return;
    cpu_raise(cpu, cpu->cur && cpu->cur->seg == R_SS ? EXC_SS : EXC_GP, 0);
}

/* Fills the TLB with a page that may be accessed so. */
static void mmu_fill(
    Cpu *cpu, uint64_t lin, const MmuPage *p, enum MmuKind kind, enum MmuWho who, const MmuWalk *w)
{
    uint64_t page = p->off & ~(uint64_t)PAGE_MASK;
    uint8_t *host = p->block->host + page;
    enum MmuKind reads = kind != MMU_FETCH || !mmu_fetch_differs(cpu) ? MMU_READ : MMU_FETCH;

    if (!tlb_find(cpu, lin, who, reads, 1)) tlb_fill(cpu, lin, host, who, reads, w);
    if (kind != MMU_WRITE || p->readonly) return; /* a write sets the dirty bit */
    if (!p->block->watch[p->off >> PAGE_BITS])
        tlb_fill(cpu, lin, host, who, MMU_WRITE, w);
    else
        *mmu_watched(cpu, lin) = (TlbWatched){ .gen = cpu->tlb->gen,
            .page = lin >> PAGE_BITS,
            .who = who,
            .block = p->block,
            .off = page };
}

/* Translates for one access inside a page, raises its page fault, fills the TLB. */
static void mmu_page(Cpu *cpu, uint64_t lin, enum MmuKind kind, enum MmuWho who, MmuPage *p)
{
    MmuWalk w;
    int code;

    if (kind == MMU_WRITE && mmu_is_watched(cpu, lin, who)) {
        const TlbWatched *t = mmu_watched(cpu, lin);

        *p = (MmuPage){ .block = t->block, .off = t->off + (lin & PAGE_MASK) };
        return;
    }
    mmu_check_canonical(cpu, lin);
    code = mmu_walk(cpu, lin, kind, who, true, &w);
    if (code >= 0) cpu_page_fault(cpu, lin, (uint32_t)code);
    mmu_physical(cpu, (w.gpa & mmu_a20(cpu)) | (lin & PAGE_MASK), kind == MMU_FETCH, p);
    if (!p->block || ((cpu->debug & DEBUG_DATA) && cpu_debug_page(cpu, lin))) return;
    mmu_fill(cpu, lin, p, kind, who, &w);
}

/* -- accesses inside one page, translated -- */

/* Before an access with side effects.  What it may bring about is looked at after the
 * instruction. */
static void mmu_io(Cpu *cpu)
{
    if (cpu->cur && !(cpu->cur->flags & INSN_LAST)) fault_cut(cpu);
    sse_settle(cpu);
    cpu->exit_pending = true;
}

static uint64_t mmu_get(Cpu *cpu, const MmuPage *p, unsigned size)
{
    bool whole = is_pow2(size);
    uint64_t v = 0;

    if (p->block && whole) return host_load(p->block->host + p->off, size);
    if (whole) return mem_load(cpu->dev.m, mmu_attrs(cpu), p->gpa, size);
    if (p->block)
        memcpy(&v, p->block->host + p->off, size);
    else
        mem_read(cpu->dev.m, mmu_attrs(cpu), p->gpa, &v, size);
    return v;
}

static void mmu_put(Cpu *cpu, const MmuPage *p, uint64_t val, unsigned size)
{
    if (p->block && !p->readonly) {
        if (p->block->watch[p->off >> PAGE_BITS]) ram_written(p->block, p->off, size);
        memcpy(p->block->host + p->off, &val, size);
    } else if (is_pow2(size)) {
        mem_store(cpu->dev.m, mmu_attrs(cpu), p->gpa, val, size);
    } else {
        mem_write(cpu->dev.m, mmu_attrs(cpu), p->gpa, &val, size);
    }
}

/* -- any access -- */

/* Linear addresses have 32 bits where long mode is off ... */
static uint64_t mmu_wrap(const Cpu *cpu, uint64_t lin)
{
    return cpu->mode & MODE_LM ? lin : (uint32_t)lin;
}

/* ... and in 32-bit code. */
static uint64_t mmu_next(const Cpu *cpu, uint64_t lin, unsigned n)
{
    return tlb_is_tagged(cpu, lin) ? lin + n : (uint32_t)(lin + n);
}

/* Splits an access at the page boundary: bytes in the first page. */
static unsigned mmu_first(uint64_t lin, unsigned size)
{
    unsigned room = PAGE_SIZE - (unsigned)(lin & PAGE_MASK);

    return MIN_OF(room, size);
}

/* Before a read: it may have side effects, or be watched. */
static void mmu_before_read(Cpu *cpu, uint64_t lin, unsigned size, bool plain)
{
    if (!plain) mmu_io(cpu);
    if (UNLIKELY(cpu->debug & DEBUG_DATA)) {
        mmu_io(cpu);
        cpu_debug_data(cpu, lin, size, false);
    }
}

static __attribute__((noinline)) uint64_t mmu_read_two(
    Cpu *cpu, uint64_t lin, unsigned size, enum MmuWho who, enum MmuKind kind)
{
    unsigned n = mmu_first(lin, size);
    MmuPage p, q;

    mmu_page(cpu, lin, kind, who, &p);
    mmu_page(cpu, mmu_next(cpu, lin, n), kind, who, &q);
    mmu_before_read(cpu, lin, size, p.block && q.block && !(kind == MMU_WRITE && p.readonly));
    return mmu_get(cpu, &p, n) | mmu_get(cpu, &q, size - n) << (8 * n);
}

static inline uint64_t mmu_read(
    Cpu *cpu, uint64_t lin, unsigned size, enum MmuWho who, bool for_write)
{
    enum MmuKind kind = for_write ? MMU_WRITE : MMU_READ;
    MmuPage p;

    if (UNLIKELY(mmu_first(lin, size) < size)) return mmu_read_two(cpu, lin, size, who, kind);
    mmu_page(cpu, lin, kind, who, &p);
    mmu_before_read(cpu, lin, size, p.block && !(for_write && p.readonly));
    return mmu_get(cpu, &p, size);
}

static void mmu_write(Cpu *cpu, uint64_t lin, uint64_t val, unsigned size, enum MmuWho who)
{
    unsigned n = mmu_first(lin, size);
    MmuPage p, q;

    mmu_page(cpu, lin, MMU_WRITE, who, &p);
    if (n < size) mmu_page(cpu, mmu_next(cpu, lin, n), MMU_WRITE, who, &q);
    if (!p.block || p.readonly || (n < size && (!q.block || q.readonly))) mmu_io(cpu);
    if (UNLIKELY(cpu->debug & DEBUG_DATA)) {
        mmu_io(cpu);
        cpu_debug_data(cpu, lin, size, true);
    }
    mmu_put(cpu, &p, val, n);
    if (n < size) mmu_put(cpu, &q, val >> (8 * n), size - n);
}

/* The most frequent of them: one function down to the page walk. */
__attribute__((flatten)) uint64_t mmu_load(Cpu *cpu, const Insn *in, uint64_t lin, unsigned size)
{
    cpu->cur = in;
    return mmu_read(cpu, lin, size, mmu_who(cpu), false);
}

void mmu_store(Cpu *cpu, const Insn *in, uint64_t lin, uint64_t val, unsigned size)
{
    cpu->cur = in;
    mmu_write(cpu, lin, val, size, mmu_who(cpu));
}

uint64_t mmu_load_rmw(Cpu *cpu, const Insn *in, uint64_t lin, unsigned size)
{
    cpu->cur = in;
    return mmu_read(cpu, lin, size, mmu_who(cpu), true);
}

static uint64_t mmu_load_as(Cpu *cpu, uint64_t lin, unsigned size, enum MmuWho who)
{
    const uint8_t *p = tlb_find(cpu, lin, who, MMU_READ, size);

    return p ? host_load(p, size) : mmu_read(cpu, lin, size, who, false);
}

static void mmu_store_as(Cpu *cpu, uint64_t lin, uint64_t val, unsigned size, enum MmuWho who)
{
    uint8_t *p = tlb_find(cpu, lin, who, MMU_WRITE, size);

    if (p)
        host_store(p, val, size);
    else
        mmu_write(cpu, lin, val, size, who);
}

uint64_t cpu_load(Cpu *cpu, uint64_t lin, unsigned size)
{
    return mmu_load_as(cpu, lin & cpu->eip_mask, size, mmu_who(cpu));
}

void cpu_store(Cpu *cpu, uint64_t lin, uint64_t val, unsigned size)
{
    mmu_store_as(cpu, lin & cpu->eip_mask, val, size, mmu_who(cpu));
}

uint64_t cpu_load_sys(Cpu *cpu, uint64_t lin, unsigned size)
{
    return mmu_load_as(cpu, mmu_wrap(cpu, lin), size, WHO_SYSTEM);
}

void cpu_store_sys(Cpu *cpu, uint64_t lin, uint64_t val, unsigned size)
{
    mmu_store_as(cpu, mmu_wrap(cpu, lin), val, size, WHO_SYSTEM);
}

void cpu_probe(Cpu *cpu, uint64_t lin, unsigned len, bool write, bool sys)
{
    enum MmuWho who = sys ? WHO_SYSTEM : mmu_who(cpu);
    enum MmuKind kind = write ? MMU_WRITE : MMU_READ;
    uint64_t first = mmu_wrap(cpu, lin), last = first + (len ? len - 1 : 0);
    MmuPage p;

    if (!tlb_find(cpu, first, who, kind, 1)) mmu_page(cpu, first, kind, who, &p);
    for (uint64_t page = first >> PAGE_BITS; page != last >> PAGE_BITS;) {
        uint64_t at = mmu_wrap(cpu, ++page << PAGE_BITS);

        if (!tlb_find(cpu, at, who, kind, 1)) mmu_page(cpu, at, kind, who, &p);
    }
}

/* -- code -- */

uint8_t *mmu_fetch(Cpu *cpu, uint64_t lin)
{
    enum MmuWho who = mmu_who(cpu);
    uint8_t *host = tlb_find(cpu, lin, who, mmu_fetch_differs(cpu) ? MMU_FETCH : MMU_READ, 1);
    MmuPage p;

    if (host) return host;
    mmu_page(cpu, lin, MMU_FETCH, who, &p);
    return p.block ? p.block->host + p.off : NULL;
}

uint8_t mmu_fetch_byte(Cpu *cpu, uint64_t lin)
{
    MmuPage p;

    mmu_page(cpu, lin, MMU_FETCH, mmu_who(cpu), &p);
    return (uint8_t)mmu_get(cpu, &p, 1);
}

/* -- for the monitor -- */

bool cpu_translate(Machine *m, uint64_t gva, uint64_t *gpa)
{
    Cpu *cpu = cpus_shown(m);
    MmuWalk w;

    if (!cpu || !cpu_is_canonical(gva = mmu_wrap(cpu, gva))) return false;
    if (mmu_walk(cpu, gva, MMU_READ, WHO_OVERRIDE, false, &w) >= 0) return false;
    *gpa = (w.gpa & mmu_a20(cpu)) | (gva & PAGE_MASK);
    return true;
}

bool cpu_table_absent(Machine *m, uint64_t gva, uint64_t *gpa)
{
    Cpu *cpu = cpus_shown(m);
    uint64_t unused;

    if (!cpu) return false;
    cpu->peek_absent = 0;
    cpu_translate(m, gva, &unused);
    *gpa = cpu->peek_absent;
    return *gpa != 0;
}

bool cpu_read_virtual(Machine *m, uint64_t gva, void *buf, uint64_t len)
{
    uint8_t *to = buf;

    while (len) {
        uint64_t gpa, n = MIN_OF(len, PAGE_SIZE - (gva & PAGE_MASK));

        if (!cpu_translate(m, gva, &gpa)) return false;
        mem_read(m, mmu_attrs(cpus_shown(m)), gpa, to, n);
        to += n;
        gva += n;
        len -= n;
    }
    return true;
}

/* -- mode -- */

static bool mode_flat(const SegReg *sr, bool code)
{
    uint32_t want = SEGF_P | SEGF_S | SEGF_RW | (code ? SEGF_CODE : 0);
    uint32_t mask = SEGF_P | SEGF_S | SEGF_RW | SEGF_CODE | (code ? 0 : SEGF_EC);

    return !sr->base && sr->limit == UINT32_MAX && (sr->flags & mask) == want;
}

void cpu_mode_changed(Cpu *cpu)
{
    const CpuState *s = &cpu->s;
    enum MmuWho who = mmu_who(cpu);
    bool user = who == WHO_USER, wide = cpu_code64(cpu);
    uint32_t mode = 0;

    if (s->efer & EFER_LMA) mode |= MODE_LM;
    if (wide) mode |= MODE_CS64;
    if (s->cr[0] & CR0_PE) mode |= MODE_PE;
    if (s->eflags & FLAG_VM) mode |= MODE_VM;
    if (user) mode |= MODE_USER;
    if (user && (s->cr[0] & CR0_AM) && (s->eflags & FLAG_AC)) mode |= MODE_AC;
    cpu->mode = mode;
    cpu->cs_desc = 0;
    cpu->rd = cpu->tlb->table[who][MMU_READ];
    cpu->wr = cpu->tlb->table[who][MMU_WRITE];
    cpu->lrd = cpu->tlb->tagged[who][MMU_READ];
    cpu->lwr = cpu->tlb->tagged[who][MMU_WRITE];
    cpu->code_base = wide ? 0 : s->segs[R_CS].base;
    cpu->eip_mask = wide ? UINT64_MAX : UINT32_MAX;
    cpu->sp_mask = UINT64_MAX;
    if (wide) return;
    if (s->segs[R_CS].flags & SEGF_DB) cpu->mode |= MODE_CS32;
    if (s->segs[R_SS].flags & SEGF_DB) cpu->mode |= MODE_SS32;
    cpu->sp_mask = cpu->mode & MODE_SS32 ? UINT32_MAX : UINT16_MAX;
    for (int i = R_ES; i <= R_GS; i++)
        if (mode_flat(&s->segs[i], i == R_CS)) cpu->mode |= MODE_FLAT << i;
}
