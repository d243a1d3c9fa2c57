/* SPDX-License-Identifier: MIT */
/* TEST-TIMEOUT: 300 */
/*
 * Exactness of small guests: the demo, from its firmware on; edges.asm, which is all awkward
 * moments; memtest86+, which reads all memory over and over.  See exact.h; exact_linux.c has Linux.
 */
#include "tests/live/exact.h"

static void test_repeatable(gconstpointer data)
{
    Guest *g = (Guest *)data;
    char **want = wanted(g), **again = undisturbed(g);

    for (unsigned i = 0; i < points(g); i++) assert_same(again[i], want[i], "run twice");
    g_strfreev(again);
}

/* A machine that is reloaded in place four times on its way. */
static void test_in_place(gconstpointer data)
{
    Guest *g = (Guest *)data;
    char **want = wanted(g), *disk = disk_copy(g, ".b");
    Machine *m = start_at(g, disk, NULL);

    for (unsigned i = 0; i < points(g); i++) {
        for (int64_t part = 1; part <= 4; part++) {
            Error err = ERROR_INIT;

            run_until(m, point(g, i) + LATER * part / 5 - 37 * (5 - part));
            if (!machine_roundtrip(m, &err)) g_error("%s", err.msg);
        }
        check_later(m, g, i, want, "reloaded on the way");
        tell_point(g, i, "in place");
    }
    machine_free(m);
    g_free(disk);
}

static Guest demo = { .name = "demo",
    .args = { "-m", "16", "-device", "ne2k_pci" },
    .first = 20000000,
    .span = 3 * NS_PER_S,
    .quick = 12,
    .slow = 420 };

static Guest edges = { .name = "edges",
    .args = { "-m", "1", "-bios" },
    .first = 100000,
    .span = 4 * NS_PER_S,
    .quick = 60,
    .slow = 640 };

static Guest memtest = { .name = "memtest",
    .args = { "-m", "4", "-kernel" },
    .first = 50000000,
    .span = 6 * NS_PER_S,
    .quick = 5,
    .slow = 420 };

static void add(const char *path, Guest *g, GTestDataFunc fn) { g_test_add_data_func(path, g, fn); }

static void add_demo(void)
{
    demo.disk = make_demo_disk();
    add("/exact/demo/repeatable", &demo, test_repeatable);
    add("/exact/demo/restored", &demo, test_guest);
    add("/exact/demo/in-place", &demo, test_in_place);
    add("/exact/demo/digests", &demo, test_digests);
}

static void add_edges(void)
{
    char *source = in_source("tests/live/edges.asm"), *rom = exact_tmp("edges.rom");

    run_program("nasm", "-f", "bin", "-o", rom, source, NULL);
    edges.args[3] = rom;
    edges.disk = make_qcow2("edges.qcow2", NULL, "4M");
    add("/exact/edges/restored", &edges, test_guest);
    add("/exact/edges/in-place", &edges, test_in_place);
    add("/exact/edges/digests", &edges, test_digests);
    g_free(source);
}

static void add_memtest(void)
{
    char **lines = guest_paths("memtest");

    if (!lines) return;
    memtest.args[3] = g_strdup(lines[0]);
    g_strfreev(lines);
    memtest.disk = make_qcow2("memtest.qcow2", NULL, "1M");
    add("/exact/memtest/restored", &memtest, test_guest);
    add("/exact/memtest/digests", &memtest, test_digests);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_demo();
    add_edges();
    add_memtest();
    return g_test_run();
}
