/* SPDX-License-Identifier: MIT */
/* Forms of pages on the wire: pages change in every way between the rounds of a live save, some of
 * them while it is nearly over, and what is loaded is what was there. */
#include <glib.h>
#include <string.h>

#include "core/machine.h"
#include "migration/capability.h"
#include "migration/load.h"
#include "migration/migration.h"
#include "migration/parameters.h"
#include "migration/ram.h"
#include "migration/save.h"

enum { PAGES = 48, ROUNDS = 24, PIECE = 20000 };

static bool two_blocks_init(Machine *m, Error *err)
{
    return ram_block_new(m, "one", PAGES * PAGE_SIZE, err) &&
           ram_block_new(m, "two", PAGES * PAGE_SIZE, err);
}

MACHINE(two_blocks, .name = "two-blocks", .desc = "for tests", .init = two_blocks_init);

static Machine *make(void)
{
    Error err = ERROR_INIT;
    Machine *m = machine_new("two-blocks", NULL, &err);

    g_assert_true(m && migration_init(m, &err) && machine_init(m, &err));
    return m;
}

static void change_page(RamBlock *b, uint64_t page)
{
    static const uint8_t zero[PAGE_SIZE];
    uint64_t off = page << PAGE_BITS;
    uint8_t data[PAGE_SIZE];
    int from;

    for (size_t i = 0; i < sizeof(data); i++) data[i] = (uint8_t)g_test_rand_int();
    switch (g_test_rand_int_range(0, 6)) {
    case 0: ram_block_write(b, off, zero, PAGE_SIZE); break;
    case 1: ram_block_write(b, off, data, PAGE_SIZE); break;
    case 2: /* always the same */
        memset(data, (int)page + 1, PAGE_SIZE);
        ram_block_write(b, off, data, PAGE_SIZE);
        break;
    case 3: ram_written(b, off, 1); break; /* written to and not changed */
    default:
        from = g_test_rand_int_range(0, PAGE_SIZE - 40);
        ram_block_write(b, off + (unsigned)from, data, (unsigned)g_test_rand_int_range(1, 40));
    }
}

static void change_some(Machine *m)
{
    for (RamBlock *b = ram_block_first(m); b; b = b->next)
        for (uint64_t page = 0; page < PAGES; page++)
            if (g_test_rand_bit()) change_page(b, page);
}

static void load_into(Machine *m, const Stream *st)
{
    LoadRun *run = load_begin(m);
    Error err = ERROR_INIT;
    LoadStatus status = LOAD_MORE;

    for (size_t off = 0; off < st->size && status == LOAD_MORE; off += 777) {
        load_feed(run, st->data + off, MIN_OF((size_t)777, st->size - off));
        status = load_step(run);
    }
    if (status == LOAD_FAILED) g_error("%s", run->err.msg);
    g_assert_cmpint(status, ==, LOAD_DONE);
    if (!load_commit(run, &err)) g_error("%s", err.msg);
    load_end(run);
}

static RamStats save_and_load(Machine *a, Machine *b)
{
    SaveRun *run = save_begin(a, true, false);
    RamStats stats;

    for (int round = 0; round < ROUNDS; round++) {
        if (round && g_test_rand_bit()) change_some(a);
        save_iterate(run, g_test_rand_bit() ? PIECE : SIZE_MAX);
    }
    change_some(a);
    while (!save_complete(run, PIECE)) {}
    load_into(b, &run->st);
    for (RamBlock *x = ram_block_first(a), *y = ram_block_first(b); x; x = x->next, y = y->next)
        for (unsigned page = 0; page < PAGES; page++)
            g_assert_cmpmem(
                x->host + page * PAGE_SIZE, PAGE_SIZE, y->host + page * PAGE_SIZE, PAGE_SIZE);
    stats = *ram_save_stats(run);
    save_end(run);
    return stats;
}

static void add_up(RamStats *sum, const RamStats *one)
{
    sum->normal += one->normal;
    sum->duplicate += one->duplicate;
    sum->xbzrle_pages += one->xbzrle_pages;
    sum->xbzrle_misses += one->xbzrle_misses;
    sum->xbzrle_overflows += one->xbzrle_overflows;
    sum->compress_pages += one->compress_pages;
    sum->compress_busy += one->compress_busy;
}

/* names: capabilities that are on. */
static bool waits = true; /* for threads */

static RamStats turns(const char *const *names, uint64_t cache_size)
{
    Machine *a = make(), *b = make();
    RamStats sum = { 0 };
    Error err = ERROR_INIT;

    for (; *names; names++) g_assert_true(capability_set(a, *names, true, &err));
    migration_parameters(a)->xbzrle_cache_size = cache_size;
    migration_parameters(a)->compress_wait_thread = waits;
    for (int turn = 0; turn < 8; turn++) {
        RamStats one = save_and_load(a, b);

        add_up(&sum, &one);
    }
    machine_free(a);
    machine_free(b);
    g_assert_cmpint(sum.normal, >, 100);
    g_assert_cmpint(sum.duplicate, >, 100);
    return sum;
}

static void test_whole(void)
{
    RamStats s = turns((const char *const[]){ NULL }, 1 * MiB);

    g_assert_cmpint(s.xbzrle_pages, ==, 0);
}

static void test_differences(void)
{
    RamStats s = turns((const char *const[]){ "xbzrle", NULL }, 1 * MiB);

    g_assert_cmpint(s.xbzrle_pages, >, 100);
    g_assert_cmpint(s.xbzrle_overflows, >, 100);
    g_assert_cmpint(s.xbzrle_misses, >, 100);
}

static void test_small_cache(void)
{
    RamStats s = turns((const char *const[]){ "xbzrle", NULL }, 16 * PAGE_SIZE);

    g_assert_cmpint(s.xbzrle_pages, >, 100);
    g_assert_cmpint(s.xbzrle_misses, >, 1000);
}

static void test_compressed(void)
{
    RamStats s = turns((const char *const[]){ "compress", NULL }, 1 * MiB);

    g_assert_cmpint(s.compress_pages, >, 100);
    g_assert_cmpint(s.compress_busy, ==, 0);
}

static void test_compressed_first(void)
{
    RamStats s = turns((const char *const[]){ "compress", "xbzrle", NULL }, 1 * MiB);

    g_assert_cmpint(s.compress_pages, >, 10);
    g_assert_cmpint(s.xbzrle_pages, >, 100);
}

/* What no thread is free for goes whole. */
static void test_busy(void)
{
    waits = false;
    g_assert_cmpint(turns((const char *const[]){ "compress", NULL }, 1 * MiB).compress_busy, >, 0);
    waits = true;
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/encodings/whole", test_whole);
    g_test_add_func("/encodings/differences", test_differences);
    g_test_add_func("/encodings/small-cache", test_small_cache);
    g_test_add_func("/encodings/compressed", test_compressed);
    g_test_add_func("/encodings/compressed-first", test_compressed_first);
    g_test_add_func("/encodings/busy", test_busy);
    return g_test_run();
}
