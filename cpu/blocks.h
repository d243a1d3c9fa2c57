/* SPDX-License-Identifier: MIT */
/*
 * Blocks of decoded instructions.
 *
 * A block is a straight line of up to BLOCK_MAX instructions inside one page, found by the host
 * address of its first byte (hence by physical address) and the mode.  An instruction that crosses
 * into the next page is a block of its own that remembers both pages.
 *
 * Writes into pages with code are told by the MemListener.  A block that is hit dies: all its
 * instructions become op_leave, so that whoever runs or enters it leaves it; its memory is reused
 * only when the whole cache is dropped, between blocks.  A page that is hit again and again is run
 * uncached for a while.
 */
#pragma once

#include "cpu/decode.h"

enum {
    BLOCK_MAX = 32,    /* instructions */
    BLOCK_BYTES = 240, /* Insn.off is a byte */
    JUMP_CACHE = 4096, /* entries by linear address */
    BLOCK_HASH = 32768,
    PAGE_HASH = 4096,
    BLOCK_DEAD = INT32_MAX /* Block.n of a dead one: never fits a budget */
};

typedef struct Block Block;
struct Block {
    Block *next[2]; /* chained successors: fallen through to, jumped to */
    int32_t n;      /* instructions; BLOCK_DEAD */
    int32_t count;  /* instructions, also of a dead one */
    uint32_t mode;
    uint16_t bytes;
    bool crossing;
    uint8_t *host;  /* of the first byte ... */
    uint8_t *host2; /* ... and of the second page, where it crosses */
    Block *hash_next, *page_next[2];
    Insn insns[]; /* and an end mark */
};

typedef struct JumpEntry {
    uint64_t lin, gen;
    uint32_t mode;
    Block *block;
} JumpEntry;

/* A page of RAM that holds decoded code. */
typedef struct CodePage CodePage;
struct CodePage {
    uint8_t *host;
    RamBlock *ram;
    uint64_t page;                 /* of ram */
    uint64_t code[PAGE_SIZE / 64]; /* a bit for each byte that blocks have, and maybe more */
    uint32_t hits;                 /* writes that killed blocks */
    uint32_t cool;                 /* lookups during which it is run uncached */
    Block *blocks;
    CodePage *next;
};

typedef struct BlockCache {
    JumpEntry jump[JUMP_CACHE];
    Block *hash[BLOCK_HASH];    /* by host address */
    CodePage *pages[PAGE_HASH]; /* by host page */
    uint8_t *arena;
    size_t used;
    Block *single;       /* a copied or uncached block: cut short, or one instruction ... */
    const Block *source; /* ... and the block it was copied from, or NULL */
} BlockCache;

static inline unsigned jump_index(uint64_t lin)
{
    return (unsigned)(lin ^ lin >> 12) & (JUMP_CACHE - 1);
}

bool blocks_init(Cpu *cpu, Error *err);
void blocks_free(Cpu *cpu);
/* Forgets every block; not while one runs. */
void blocks_drop(Cpu *cpu);
/* The block at s.eip, decoded where it is new.  NULL: go by blocks_single.  Raises what fetching
 * the first instruction raises. */
Block *blocks_find(Cpu *cpu);
/* The first n instructions of b as a block that leaves behind them. */
Block *blocks_copy(Cpu *cpu, const Block *b, int n);
/* The instruction at s.eip alone, uncached. */
Block *blocks_single(Cpu *cpu);
/* b ends behind its instruction `in` from now on: that one does I/O. */
void blocks_cut(Cpu *cpu, Block *b, const Insn *in);
/* MemListener: bytes of pages with code are being written. */
void blocks_code_written(Cpu *cpu, RamBlock *ram, uint64_t off, uint64_t len);
