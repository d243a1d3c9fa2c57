/* SPDX-License-Identifier: MIT */
/* TEST-TIMEOUT: 120 */
/*
 * Post-copy between two machines in one process, under an instruction clock: a guest that runs
 * before its RAM has come does what it would have done anyway.  And what the emulator itself reads
 * and writes where a page is still to come.  See exact.h.
 */
#include "tests/live/exact.h"

static void test_exact(gconstpointer data)
{
    const Guest *g = data;
    char **want = undisturbed(g), *disk = disk_copy(g, ".p");
    Machine *m = start_at(g, disk, NULL);

    for (unsigned i = 0; i < points(g); i++) {
        run_until(m, point(g, i));
        m = move_ahead(m, g, disk, i, want);
    }
    machine_free(m);
    g_strfreev(want);
    g_unlink(disk);
    g_free(disk);
}

/* The last page of RAM, which is sent late: what it holds at the source ... */
enum { LATE = 16 * MiB - PAGE_SIZE };

static Machine *switch_marked(Machine **source, const Guest *g, const char *disk)
{
    uint8_t old[PAGE_SIZE];
    Machine *m = start_at(g, disk, NULL);

    memset(old, 0xa5, sizeof(old));
    ram_block_write(ram_block_find(m, "pc.ram"), LATE, old, sizeof(old));
    ram_block_write(ram_block_find(m, "0000:00:02.0/vga.vram"), MiB, old, sizeof(old));
    *source = m;
    return switch_machine(m, g, disk);
}

static void assert_byte(const RamBlock *b, uint64_t off, uint8_t want)
{
    g_assert_cmphex(b->host[off], ==, want);
}

/* ... is what commands show, and does not undo what was written here before it came. */
static void test_emulator(gconstpointer data)
{
    const Guest *g = data;
    char *disk = disk_copy(g, ".e"), *text, *path = exact_tmp("saved"), *line;
    Machine *m, *to = switch_marked(&m, g, disk);
    RamBlock *ram = ram_block_find(to, "pc.ram");
    uint64_t page = LATE >> PAGE_BITS;
    uint8_t *saved;
    gsize len;

    g_assert_true(ram_is_clean(ram, page, WATCH_ABSENT));
    mem_write(to, (MemAttrs){ 0 }, LATE + 3, "new", 3);
    g_assert_true(ram_is_clean(ram, page, WATCH_ABSENT));
    text = monitor_run_line(to, "xp /2wx 0xfff000");
    g_assert_cmpstr(text, ==, "0000000000fff000: 0x6ea5a5a5 0xa5a57765\n");
    g_assert_false(ram_is_clean(ram, page, WATCH_ABSENT));
    g_free(text);
    assert_byte(ram, LATE + 2, 0xa5);
    assert_byte(ram, LATE + 3, 'n');
    assert_byte(ram, LATE + 6, 0xa5);

    line = g_strdup_printf("pmemsave 0xf00000 0xfd000 \"%s\"", path);
    text = monitor_run_line(to, line);
    g_assert_cmpstr(text, ==, "");
    g_free(text);
    g_assert_true(g_file_get_contents(path, (char **)&saved, &len, NULL));
    all_arrives(m, to);
    g_assert_cmpuint(len, ==, 0xfd000);
    g_assert_cmpmem(saved, len, ram->host + 0xf00000, 0xfd000);
    g_free(saved);
    g_unlink(path);
    machine_free(m);
    machine_free(to);
    g_free(line);
    g_free(path);
    g_unlink(disk);
    g_free(disk);
}

/* A page that has come, and of which only zeroes are left when the guest goes. */
static void test_zeroed(gconstpointer data)
{
    const Guest *g = data;
    char *path = exact_tmp("zeroed.sock"), *uri = g_strdup_printf("unix:%s", path);
    char *disk = disk_copy(g, ".z"), *line = g_strdup_printf("migrate -d %s", uri);
    Machine *m = start_at(g, disk, NULL), *to = start(g, disk, uri);
    RamBlock *ram = ram_block_find(m, "pc.ram");
    uint8_t page[PAGE_SIZE];

    memset(page, 0xa5, sizeof(page));
    ram_block_write(ram, PAGE_SIZE, page, sizeof(page));
    command(m, "migrate_set_capability postcopy-ram on");
    command(to, "migrate_set_capability postcopy-ram on");
    command(m, "migrate_set_parameter max-bandwidth 64k");
    command(m, line);
    while (!ram_is_clean(ram, 1, WATCH_MIGRATION)) g_main_context_iteration(m->ctx, TRUE);
    memset(page, 0, sizeof(page));
    ram_block_write(ram, PAGE_SIZE, page, sizeof(page));
    command(m, "migrate_start_postcopy");
    while (to->run_state == RUN_INMIGRATE) g_main_context_iteration(to->ctx, TRUE);
    all_arrives(m, to);
    g_assert_cmpmem(ram_block_find(to, "pc.ram")->host + PAGE_SIZE, PAGE_SIZE, page, PAGE_SIZE);
    machine_free(m);
    machine_free(to);
    g_unlink(path);
    g_free(path);
    g_free(uri);
    g_free(line);
    g_unlink(disk);
    g_free(disk);
}

static Guest demo = { .name = "demo",
    .args = { "-m", "16", "-device", "ne2k_pci" },
    .first = 20000000,
    .span = NS_PER_S / 5,
    .quick = 3,
    .slow = 60 };

static Guest edges = { .name = "edges",
    .args = { "-m", "1", "-bios" },
    .first = 100000,
    .span = NS_PER_S / 2,
    .quick = 8,
    .slow = 200 };

int main(int argc, char **argv)
{
    char *source = in_source("tests/live/edges.asm"), *rom = exact_tmp("edges.rom");

    g_test_init(&argc, &argv, NULL);
    demo.disk = make_demo_disk();
    g_test_add_data_func("/postcopy/emulator", &demo, test_emulator);
    g_test_add_data_func("/postcopy/zeroed", &demo, test_zeroed);
    g_test_add_data_func("/postcopy/demo", &demo, test_exact);
    run_program("nasm", "-f", "bin", "-o", rom, source, NULL);
    edges.args[3] = rom;
    edges.disk = make_qcow2("edges.qcow2", NULL, "4M");
    g_test_add_data_func("/postcopy/edges", &edges, test_exact);
    g_free(source);
    return g_test_run();
}
