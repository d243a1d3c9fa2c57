/* SPDX-License-Identifier: MIT */
/* The TLB: fills and flushes.  See tlb.h. */
#include "cpu/tlb.h"

#include <assert.h>
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>

enum { TLB_BYTES = TLB_PAGES * 8, TLB_TABLES = 6 };

static uint64_t **tlb_table(Tlb *t, unsigned n) { return &t->table[n / 3][n % 3]; }

bool tlb_init(Cpu *cpu, Error *err)
{
    Tlb *t = cpu->tlb = g_new0(Tlb, 1);

    for (int i = 0; i < TLB_TABLES; i++) {
        void *p = mmap(NULL, TLB_BYTES, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (p == MAP_FAILED) {
            error_errno(err, errno, "cannot get the CPU's TLB");
            tlb_free(cpu);
            return false;
        }
        *tlb_table(t, i) = p;
    }
    for (int g = 0; g < 2; g++) t->list[g] = g_new(uint32_t, TLB_CAP);
    t->gen = 1;
    return true;
}

void tlb_free(Cpu *cpu)
{
    Tlb *t = cpu->tlb;

    if (!t) return;
    for (int i = 0; i < TLB_TABLES; i++)
        if (*tlb_table(t, i)) munmap(*tlb_table(t, i), TLB_BYTES);
    g_free(t->list[0]);
    g_free(t->list[1]);
    g_free(t);
    cpu->tlb = NULL;
}

static uint64_t *tlb_entry(Tlb *t, uint32_t listed)
{
    return &t->table[listed >> 2 & 1][listed & 3][listed >> 3];
}

static void tlb_flush_list(Tlb *t, bool global)
{
    for (unsigned i = 0; i < t->n[global]; i++) *tlb_entry(t, t->list[global][i]) = 0;
    t->n[global] = 0;
}

void tlb_fill(
    Cpu *cpu, uint32_t lin, uint8_t *host, bool user, enum MmuKind kind, bool global, bool large)
{
    Tlb *t = cpu->tlb;
    uint32_t page = lin >> PAGE_BITS;
    uint64_t *e = &t->table[user][kind][page];

    if (t->n[global] == TLB_CAP) tlb_flush_list(t, global);
    *e = (uint64_t)host - (lin & ~(uint32_t)PAGE_MASK);
    assert(*e);
    t->list[global][t->n[global]++] = page << 3 | (uint32_t)user << 2 | kind;
    if (large) t->large[page >> 15] |= 1u << (page >> 10 & 31);
}

void cpu_tlb_flush(Cpu *cpu, bool globals_too)
{
    Tlb *t = cpu->tlb;

    tlb_flush_list(t, false);
    if (globals_too) {
        tlb_flush_list(t, true);
        memset(t->large, 0, sizeof(t->large));
    }
    t->gen++;
}

void cpu_tlb_flush_page(Cpu *cpu, uint64_t lin)
{
    Tlb *t = cpu->tlb;
    uint32_t page = (uint32_t)lin >> PAGE_BITS, first = page, n = 1;

    if (t->large[page >> 15] & 1u << (page >> 10 & 31)) {
        first = page & ~1023u;
        n = 1024;
        t->large[page >> 15] &= ~(1u << (page >> 10 & 31));
    }
    for (int i = 0; i < TLB_TABLES; i++) memset(&(*tlb_table(t, i))[first], 0, n * 8);
    t->gen++;
}

void tlb_drop_ram(Cpu *cpu, RamBlock *b, uint64_t first_page, uint64_t pages)
{
    Tlb *t = cpu->tlb;
    uint64_t base = (uint64_t)b->host + (first_page << PAGE_BITS), size = pages << PAGE_BITS;

    for (int g = 0; g < 2; g++)
        for (unsigned i = 0; i < t->n[g]; i++) {
            uint32_t listed = t->list[g][i];
            uint64_t *e = tlb_entry(t, listed);
            uint64_t at = *e + ((uint64_t)(listed >> 3) << PAGE_BITS) - base;

            if (!*e || at >= size) continue;
            if ((listed & 3) == MMU_WRITE) {
                *e = 0;
            } else if (b->watch[first_page + (at >> PAGE_BITS)] & WATCH_ABSENT) {
                *e = 0;
                t->gen++;
            }
        }
}
