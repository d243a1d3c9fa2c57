/* SPDX-License-Identifier: MIT */
/* The block cache: see blocks.h. */
#include "cpu/blocks.h"

#include <assert.h>
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>

#include "cpu/cpus.h"
#include "cpu/dispatch.h"
#include "cpu/fuse.h"
#include "cpu/trace.h"

enum {
    ARENA_BYTES = 64 * MiB,
    HITS_MAX = 64,   /* killing writes until a page is run uncached ... */
    COOL_RUNS = 4096 /* ... and for how many instructions */
};
#define BLOCK_SIZE(n) (sizeof(Block) + ((size_t)(n) + 1) * sizeof(Insn))

/* -- pages with code -- */

static CodePage **page_bucket(BlockCache *c, const uint8_t *host)
{
    return &c->pages[((uintptr_t)host >> PAGE_BITS) % PAGE_HASH];
}

static uint8_t *page_start(const uint8_t *host)
{
    return (uint8_t *)((uintptr_t)host & ~(uintptr_t)PAGE_MASK);
}

static CodePage *page_find(BlockCache *c, const uint8_t *host)
{
    uint8_t *start = page_start(host);

    for (CodePage *p = *page_bucket(c, host); p; p = p->next)
        if (p->host == start) return p;
    return NULL;
}

bool blocks_init(Cpu *cpu, Error *err)
{
    BlockCache *c = cpu->blocks = g_new0(BlockCache, 1);

    c->arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (c->arena == MAP_FAILED) {
        g_free(c);
        cpu->blocks = NULL;
        return error_errno(err, errno, "cannot get the CPU's block cache");
    }
    c->single = g_malloc0(BLOCK_SIZE(BLOCK_MAX));
    return true;
}

void blocks_free(Cpu *cpu)
{
    if (!cpu->blocks) return;
    blocks_drop(cpu);
    munmap(cpu->blocks->arena, ARENA_BYTES);
    g_free(cpu->blocks->single);
    g_free(cpu->blocks);
    cpu->blocks = NULL;
}

/* The CPU has no code left in this page: it is watched no longer, unless another CPU has some. */
static void page_unwatch(Cpu *cpu, RamBlock *ram, uint64_t page)
{
    const uint8_t *host = ram->host + (page << PAGE_BITS);

    for (unsigned i = 0; i < cpu->cpus->n; i++) {
        Cpu *other = cpu->cpus->cpu[i];
        const CodePage *p = other != cpu ? page_find(other->blocks, host) : NULL;

        if (p && p->blocks) return;
    }
    ram->watch[page] &= (uint8_t)~WATCH_CODE;
}

/* A page's RAM block may have gone with its device. */
static bool page_alive(Cpu *cpu, const CodePage *p)
{
    for (RamBlock *b = ram_block_first(cpu->dev.m); b; b = b->next)
        if (b == p->ram) return true;
    return false;
}

void blocks_drop(Cpu *cpu)
{
    BlockCache *c = cpu->blocks;

    for (unsigned i = 0; i < PAGE_HASH; i++)
        while (c->pages[i]) {
            CodePage *p = c->pages[i];

            c->pages[i] = p->next;
            if (page_alive(cpu, p)) page_unwatch(cpu, p->ram, p->page);
            g_free(p);
        }
    memset(c->hash, 0, sizeof(c->hash));
    memset(c->jump, 0, sizeof(c->jump));
    c->used = 0;
    c->source = NULL;
    cpu->link = NULL;
    cpu->block = NULL;
}

static CodePage *page_get(Cpu *cpu, const uint8_t *host)
{
    CodePage *p = page_find(cpu->blocks, host), **bucket;
    RamBlock *b;

    if (p) return p;
    for (b = ram_block_first(cpu->dev.m); b; b = b->next)
        if (host >= b->host && host < b->host + b->size) break;
    assert(b);
    p = g_new0(CodePage, 1);
    p->host = page_start(host);
    p->ram = b;
    p->page = (uint64_t)(host - b->host) >> PAGE_BITS;
    bucket = page_bucket(cpu->blocks, host);
    p->next = *bucket;
    *bucket = p;
    return p;
}

/* The bits of bytes first to last of a page that lie in word w of its map. */
static uint64_t page_bits(unsigned w, uint32_t first, uint32_t last)
{
    uint64_t bits = UINT64_MAX;

    if (w == first / 64) bits &= UINT64_MAX << first % 64;
    if (w == last / 64) bits &= UINT64_MAX >> (63 - last % 64);
    return bits;
}

static void page_mark(CodePage *p, uint32_t first, uint32_t last)
{
    for (unsigned w = first / 64; w <= last / 64; w++) p->code[w] |= page_bits(w, first, last);
}

static bool page_has_code(const CodePage *p, uint32_t first, uint32_t last)
{
    for (unsigned w = first / 64; w <= last / 64; w++)
        if (p->code[w] & page_bits(w, first, last)) return true;
    return false;
}

/* The bytes of a block that lie in its k-th page. */
static void block_extent(const Block *b, int k, uint32_t *first, uint32_t *last)
{
    uint32_t off = (uint32_t)((uintptr_t)b->host & PAGE_MASK);

    *first = k ? 0 : off;
    *last = k ? off + b->bytes - 1 - PAGE_SIZE : MIN_OF(off + b->bytes - 1, (uint32_t)PAGE_MASK);
}

static void page_add(Cpu *cpu, Block *b, int k)
{
    CodePage *p = page_get(cpu, k ? b->host2 : b->host);
    uint32_t first, last;

    block_extent(b, k, &first, &last);
    page_mark(p, first, last);
    b->page_next[k] = p->blocks;
    p->blocks = b;
    if (!(p->ram->watch[p->page] & WATCH_CODE)) ram_watch(p->ram, p->page, 1, WATCH_CODE);
}

static int block_page_index(const Block *b, const CodePage *p)
{
    return page_start(b->host) == p->host ? 0 : 1;
}

static void page_remove(CodePage *p, Block *b)
{
    for (Block **at = &p->blocks; *at; at = &(*at)->page_next[block_page_index(*at, p)]) {
        if (*at != b) continue;
        *at = b->page_next[block_page_index(b, p)];
        return;
    }
}

/* -- death -- */

static unsigned block_bucket(const uint8_t *host)
{
    return (unsigned)(((uintptr_t)host ^ (uintptr_t)host >> 15) % BLOCK_HASH);
}

static void block_poison(Block *b)
{
    for (int i = 0; i <= b->count; i++) b->insns[i].fn = op_leave;
}

static void block_kill(Cpu *cpu, Block *b)
{
    BlockCache *c = cpu->blocks;
    CodePage *p;

    for (Block **at = &c->hash[block_bucket(b->host)]; *at; at = &(*at)->hash_next) {
        if (*at != b) continue;
        *at = b->hash_next;
        break;
    }
    page_remove(page_find(c, b->host), b);
    if (b->crossing && (p = page_find(c, b->host2))) page_remove(p, b);
    b->n = BLOCK_DEAD;
    block_poison(b);
    if (c->source == b && cpu->block == c->single) block_poison(c->single);
}

/* Recomputes what hangs on the list of blocks. */
static void page_update(Cpu *cpu, CodePage *p)
{
    uint32_t first, last;

    memset(p->code, 0, sizeof(p->code));
    for (Block *b = p->blocks; b; b = b->page_next[block_page_index(b, p)]) {
        block_extent(b, block_page_index(b, p), &first, &last);
        page_mark(p, first, last);
    }
    if (!p->blocks) page_unwatch(cpu, p->ram, p->page);
}

void blocks_code_written(Cpu *cpu, RamBlock *ram, uint64_t off, uint64_t len)
{
    CodePage *p = page_find(cpu->blocks, ram->host + off);
    uint32_t from = off & PAGE_MASK, to = from + (uint32_t)len - 1;
    bool hit = false;

    if (!p) {
        page_unwatch(cpu, ram, off >> PAGE_BITS);
        return;
    }
    if (!page_has_code(p, from, to)) return;
    for (Block *b = p->blocks, *next; b; b = next) {
        uint32_t first, last;
        int k = block_page_index(b, p);

        next = b->page_next[k];
        block_extent(b, k, &first, &last);
        if (last < from || first > to) continue;
        block_kill(cpu, b);
        hit = true;
    }
    /* Without a hit, the map has a block that was killed by its other page. */
    if (hit && ++p->hits >= HITS_MAX) {
        p->hits = 0;
        p->cool = COOL_RUNS;
        while (p->blocks) block_kill(cpu, p->blocks);
    }
    page_update(cpu, p);
}

/* -- birth -- */

/* Marks the end behind the last of b's instructions, and that one as the last. */
static void block_finish(Block *b, InsnFn *end)
{
    Insn *last = &b->insns[b->count - 1], *mark = last + 1;

    b->bytes = (uint16_t)(last->off + last->len);
    last->flags |= INSN_LAST;
    if (!(last->flags & (INSN_SLOW | INSN_MID))) last->block = b;
    memset(mark, 0, sizeof(*mark));
    mark->fn = end;
    mark->block = b;
    mark->off = (uint8_t)b->bytes;
    mark->flags = INSN_LAST;
    b->next[0] = b->next[1] = NULL;
}

/* Bytes of code that CS's limit leaves from s.eip on. */
static uint64_t block_limit_room(const Cpu *cpu)
{
    const SegReg *cs = &cpu->s.segs[R_CS];

    if (cpu->mode & MODE_CS64) return UINT64_MAX;
    return cpu->s.eip > cs->limit ? 0 : (uint64_t)cs->limit - cpu->s.eip + 1;
}

static void block_fix_jump(Insn *in)
{
    if (in->flags & INSN_REL) in->disp = in->off + in->len + (int64_t)in->imm;
}

/* Decodes a straight line from host; room bytes are there.  False where not even the first
 * instruction fits into them. */
static bool block_decode(Cpu *cpu, Block *b, const uint8_t *host, uint32_t room, int max)
{
    uint32_t off = 0;

    b->count = 0;
    while (b->count < max && off < room && off + INSN_MAX <= BLOCK_BYTES) {
        Insn *in = &b->insns[b->count];
        uint32_t avail = MIN_OF(room - off, (uint32_t)INSN_MAX);

        in->off = (uint8_t)off;
        switch (insn_decode(cpu, cpu->mode, host + off, avail, in)) {
        case DECODE_OK: break;
        case DECODE_MORE: return b->count > 0;
        case DECODE_LONG:
            if (!b->count) cpu_raise(cpu, EXC_GP, 0);
            return true;
        }
        block_fix_jump(in);
        b->count++;
        off += in->len;
        if (in->flags & INSN_END) break;
    }
    return b->count > 0;
}

/* The bytes of the instruction at s.eip, the last ones from the next page.  False where one page is
 * no RAM. */
static bool block_cross_bytes(
    Cpu *cpu, uint64_t lin, const uint8_t *host, uint8_t code[INSN_MAX], uint8_t **host2)
{
    uint32_t first = PAGE_SIZE - (uint32_t)(lin & PAGE_MASK);

    *host2 = mmu_fetch(cpu, (lin + first) & cpu->eip_mask);
    if (!*host2) return false;
    memcpy(code, host, first);
    memcpy(code + first, *host2, INSN_MAX - first);
    return true;
}

static Block *block_build(Cpu *cpu, uint64_t lin, uint8_t *host)
{
    BlockCache *c = cpu->blocks;
    uint32_t room = PAGE_SIZE - (uint32_t)(lin & PAGE_MASK);
    uint64_t limit = block_limit_room(cpu);
    uint8_t code[INSN_MAX];
    Block *b;

    if (c->used + BLOCK_SIZE(BLOCK_MAX) > ARENA_BYTES) blocks_drop(cpu);
    b = (Block *)(c->arena + c->used);
    memset(b, 0, sizeof(*b));
    b->mode = cpu->mode;
    b->host = host;
    if (!block_decode(cpu, b, host, (uint32_t)MIN_OF(room, limit), BLOCK_MAX)) {
        if (limit <= room) cpu_raise(cpu, EXC_GP, 0);
        if (!block_cross_bytes(cpu, lin, host, code, &b->host2)) return NULL;
        if (!block_decode(cpu, b, code, (uint32_t)MIN_OF(limit, (uint64_t)INSN_MAX), 1))
            cpu_raise(cpu, EXC_GP, 0);
        b->crossing = true;
    }
    b->n = b->count;
    if (b->count > 1) fuse_pair(&b->insns[b->count - 2], &b->insns[b->count - 1]);
    block_finish(b, op_end);
    c->used += BLOCK_SIZE(b->count);
    b->hash_next = c->hash[block_bucket(host)];
    c->hash[block_bucket(host)] = b;
    page_add(cpu, b, 0);
    if (b->crossing) page_add(cpu, b, 1);
    if (UNLIKELY(trace_on(cpu, LOG_IN_ASM))) trace_block(cpu, b);
    return b;
}

/* -- lookup -- */

static Block *block_lookup(Cpu *cpu, uint64_t lin, const uint8_t *host)
{
    uint8_t *host2 = NULL;

    for (Block *b = cpu->blocks->hash[block_bucket(host)]; b; b = b->hash_next) {
        if (b->host != host || b->mode != cpu->mode) continue;
        if (!b->crossing) return b;
        if (!host2) host2 = mmu_fetch(cpu, ((lin | PAGE_MASK) + 1) & cpu->eip_mask);
        if (b->host2 == host2) return b;
    }
    return NULL;
}

Block *blocks_find(Cpu *cpu)
{
    uint64_t lin = cpu_code_lin(cpu);
    BlockCache *c = cpu->blocks;
    JumpEntry *e = &c->jump[jump_index(lin)];
    CodePage *p;
    Block *b;

    cpu->cur = NULL;
    if (e->lin == lin && e->mode == cpu->mode && e->gen == cpu->tlb->gen &&
        e->block->n <= BLOCK_MAX) {
        b = e->block;
    } else {
        uint8_t *host;

        if (!block_limit_room(cpu)) cpu_raise(cpu, EXC_GP, 0);
        host = mmu_fetch(cpu, lin);
        if (!host) return NULL;
        b = block_lookup(cpu, lin, host);
        if (!b) {
            p = page_find(c, host);
            if (p && p->cool) {
                p->cool--;
                return NULL;
            }
            b = block_build(cpu, lin, host);
            if (!b) return NULL;
        }
        tlb_remember(cpu, lin);
        if (b->crossing) tlb_remember(cpu, lin + b->bytes - 1);
        *e = (JumpEntry){ .lin = lin, .mode = cpu->mode, .gen = cpu->tlb->gen, .block = b };
    }
    if (cpu->mode & (MODE_FLAT << R_CS | MODE_CS64)) return b;
    return b->bytes <= block_limit_room(cpu) ? b : NULL;
}

/* -- blocks for once -- */

Block *blocks_copy(Cpu *cpu, const Block *from, int n)
{
    Block *b = cpu->blocks->single;

    assert(n > 0 && n <= from->count);
    memcpy(b, from, sizeof(*b) + (size_t)n * sizeof(Insn));
    b->n = b->count = n;
    b->crossing = true; /* is never linked */
    cpu->blocks->source = from;
    if (n < from->count) fuse_undo(&b->insns[n - 1]);
    block_finish(b, op_stop);
    return b;
}

/* Decodes the instruction at s.eip where all of it stands in one page of RAM. */
static enum DecodeResult single_in_page(Cpu *cpu, uint64_t lin, uint64_t limit, Insn *in)
{
    uint64_t avail = MIN_OF(PAGE_SIZE - (lin & PAGE_MASK), (uint64_t)INSN_MAX);
    const uint8_t *host = limit ? mmu_fetch(cpu, lin) : NULL;

    return host ? insn_decode(cpu, cpu->mode, host, (uint32_t)MIN_OF(avail, limit), in)
                : DECODE_MORE;
}

/* Byte by byte: what lies behind the instruction's last one is not looked at. */
static enum DecodeResult single_by_bytes(Cpu *cpu, uint64_t lin, uint64_t limit, Insn *in)
{
    enum DecodeResult r = DECODE_MORE;
    uint8_t code[INSN_MAX];

    for (unsigned n = 0; r == DECODE_MORE; n++) {
        if (n == limit) cpu_raise(cpu, EXC_GP, 0);
        code[n] = mmu_fetch_byte(cpu, (lin + n) & cpu->eip_mask);
        in->off = 0;
        r = insn_decode(cpu, cpu->mode, code, n + 1, in);
        if (n + 1 == INSN_MAX && r == DECODE_MORE) r = DECODE_LONG;
    }
    return r;
}

Block *blocks_single(Cpu *cpu)
{
    uint64_t lin = cpu_code_lin(cpu);
    uint64_t limit = block_limit_room(cpu);
    Block *b = cpu->blocks->single;
    Insn *in = b->insns;
    enum DecodeResult r;

    cpu->cur = NULL;
    memset(b, 0, sizeof(*b));
    b->n = b->count = 1;
    b->mode = cpu->mode;
    b->crossing = true;
    cpu->blocks->source = NULL;
    r = single_in_page(cpu, lin, limit, in);
    if (r == DECODE_MORE) r = single_by_bytes(cpu, lin, limit, in);
    if (r == DECODE_LONG) cpu_raise(cpu, EXC_GP, 0);
    block_fix_jump(in);
    block_finish(b, op_stop);
    return b;
}

void blocks_cut(Cpu *cpu, Block *b, const Insn *in)
{
    int n = (int)(in - b->insns) + 1;

    if (b == cpu->blocks->single) {
        b = (Block *)cpu->blocks->source;
        if (!b) return;
    }
    if (b->n > BLOCK_MAX || n >= b->count) return;
    b->n = b->count = n;
    fuse_undo(&b->insns[n - 1]);
    block_finish(b, op_end);
}
