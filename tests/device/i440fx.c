/* SPDX-License-Identifier: MIT */
/* 440FX: who answers at C0000h-FFFFFh and at A0000h, by its registers. */
#include "tests/device/pci_bare.h"

enum { PAM0 = 0x59, SMRAM = 0x72 };

/* ROM blocks full of 11h (C0000h) and 22h (E0000h). */
static Machine *new_machine(void)
{
    Machine *m = bare_new();
    Error err = ERROR_INIT;
    RamBlock *rom = ram_block_new(m, "pc.rom", 0x20000, &err);
    RamBlock *bios = ram_block_new(m, "pc.bios", 0x40000, &err);

    memset(rom->host, 0x11, rom->size);
    memset(bios->host, 0x22, bios->size);
    bare_add_pci(m);
    bare_add(m, "i440FX", "i440fx", "addr", "00.0");
    return m;
}

static uint8_t peek(Machine *m, uint64_t gpa, bool smm)
{
    return (uint8_t)mem_load(m, (MemAttrs){ .smm = smm }, gpa, 1);
}

static void poke(Machine *m, uint64_t gpa, uint8_t val)
{
    mem_store(m, (MemAttrs){ 0 }, gpa, val, 1);
}

static uint8_t ram(Machine *m, uint64_t gpa) { return ram_block_find(m, "pc.ram")->host[gpa]; }

static void set(Machine *m, unsigned reg, unsigned val) { config_out(m, 0, 0, reg, val, 1); }

static void test_rom(void)
{
    Machine *m = new_machine();

    g_assert_cmphex(config_in(m, 0, 0, 0, 4), ==, 0x12378086);
    g_assert_cmphex(peek(m, 0xc0000, false), ==, 0x11);
    g_assert_cmphex(peek(m, 0xdffff, false), ==, 0x11);
    g_assert_cmphex(peek(m, 0xe0000, false), ==, 0x22);
    g_assert_cmphex(peek(m, 0xfffff, false), ==, 0x22);
    poke(m, 0xc0000, 0x99);
    poke(m, 0xf1234, 0x99);
    g_assert_cmphex(peek(m, 0xc0000, false), ==, 0x11);
    g_assert_cmphex(ram(m, 0xf1234), ==, 0);
    machine_free(m);
}

/* The four modes of one segment, by its register and nibble. */
static void check_segment(Machine *m, unsigned reg, bool high, uint64_t first, uint64_t last)
{
    unsigned shift = high ? 4 : 0;
    uint8_t rom = peek(m, first, false);

    set(m, reg, 2u << shift); /* reads ROM, writes RAM: copying */
    poke(m, first, 0xa1);
    poke(m, last, 0xa2);
    g_assert_cmphex(peek(m, first, false), ==, rom);
    g_assert_cmphex(ram(m, first), ==, 0xa1);
    set(m, reg, 1u << shift); /* reads RAM, writes nothing */
    g_assert_cmphex(peek(m, first, false), ==, 0xa1);
    g_assert_cmphex(peek(m, last, false), ==, 0xa2);
    poke(m, last, 0xff);
    g_assert_cmphex(peek(m, last, false), ==, 0xa2);
    set(m, reg, 3u << shift);
    poke(m, last, 0xa3);
    g_assert_cmphex(peek(m, last, false), ==, 0xa3);
    if (last != 0xfffff) g_assert_cmphex(peek(m, last + 1, false), !=, 0xa3);
    set(m, reg, 0);
    g_assert_cmphex(peek(m, last, false), ==, rom);
}

static void test_pam(void)
{
    Machine *m = new_machine();

    check_segment(m, PAM0, true, 0xf0000, 0xfffff);
    for (unsigned i = 0; i < 12; i++)
        check_segment(m, PAM0 + 1 + i / 2, i & 1, 0xc0000 + i * 0x4000, 0xc3fff + i * 0x4000);
    machine_free(m);
}

/* What stands in front of the RAM at A0000h. */
static uint64_t window_read(Device *dev, MemAttrs attrs, uint64_t off, unsigned size)
{
    (void)dev, (void)attrs, (void)off, (void)size;
    return 0x77;
}
static void window_write(Device *dev, MemAttrs attrs, uint64_t off, uint64_t val, unsigned size)
{
    (void)dev, (void)attrs, (void)off, (void)val, (void)size;
}

static void check_smram(Machine *m, unsigned reg, uint8_t all, uint8_t smm)
{
    set(m, SMRAM, reg);
    for (uint32_t gpa = 0xa0000; gpa < 0xc0000; gpa += 0x1ffff) { /* the first and the last */
        g_assert_cmphex(peek(m, gpa, false), ==, all);
        g_assert_cmphex(peek(m, gpa, true), ==, smm);
    }
    g_assert_cmphex(peek(m, 0x9ffff, true), ==, 0);
    g_assert_cmphex(peek(m, 0xc0000, true), ==, 0x11);
}

static void test_smram_seen(void)
{
    static const MmioOps ops = { .read = window_read, .write = window_write };
    Machine *m = new_machine();
    MemRegion window = {
        .name = "window", .gpa = 0xa0000, .size = 0x20000, .prio = 1, .enabled = true, .ops = &ops
    };

    mem_region_add(m, &window);
    mem_commit(m);
    memset(ram_block_find(m, "pc.ram")->host + 0xa0000, 0x55, 0x20000);
    check_smram(m, 0x02, 0x77, 0x77);
    check_smram(m, 0x0a, 0x77, 0x55);
    poke(m, 0xa1234, 0x99); /* to the window */
    g_assert_cmphex(ram(m, 0xa1234), ==, 0x55);
    mem_store(m, (MemAttrs){ .smm = true }, 0xa1234, 0x66, 1);
    g_assert_cmphex(ram(m, 0xa1234), ==, 0x66);
    check_smram(m, 0x4a, 0x55, 0x55);
    g_assert_cmphex(peek(m, 0xa1234, false), ==, 0x66);
    check_smram(m, 0x2a, 0x77, 0x77); /* closed to data, not to code */
    g_assert_cmphex(mem_load(m, (MemAttrs){ .smm = true, .code = true }, 0xa0000, 1), ==, 0x55);
    g_assert_cmphex(mem_load(m, (MemAttrs){ .code = true }, 0xa0000, 1), ==, 0x77);
    check_smram(m, 0x5a, 0x77, 0x55); /* locked */
    check_smram(m, 0x4a, 0x77, 0x55);
    mem_region_del(m, &window);
    machine_free(m);
}

static void test_smram(void)
{
    Machine *m = new_machine();

    memset(ram_block_find(m, "pc.ram")->host + 0xa0000, 0x55, 0x20000);
    g_assert_cmphex(config_in(m, 0, 0, SMRAM, 1), ==, 0x02);
    set(m, SMRAM, 0x0a);
    g_assert_true(mem_find(m, (MemAttrs){ .smm = true }, 0xa0000)->region->smm_only);
    g_assert_false(mem_find(m, (MemAttrs){ 0 }, 0xa0000)->region->smm_only);
    set(m, SMRAM, 0x4a); /* open to all */
    g_assert_cmpstr(mem_find(m, (MemAttrs){ 0 }, 0xb0000)->region->name, ==, "smram");
    set(m, SMRAM, 0x1a); /* locked */
    g_assert_cmphex(config_in(m, 0, 0, SMRAM, 1), ==, 0x1a);
    set(m, SMRAM, 0x4a);
    g_assert_cmphex(config_in(m, 0, 0, SMRAM, 1), ==, 0x1a);
    machine_reset(m);
    set(m, SMRAM, 0x4a);
    g_assert_cmphex(config_in(m, 0, 0, SMRAM, 1), ==, 0x4a);
    set(m, SMRAM, 0x5a); /* locking closes */
    g_assert_cmphex(config_in(m, 0, 0, SMRAM, 1), ==, 0x1a);
    machine_free(m);
}

static void test_load(void)
{
    Machine *m = new_machine(), *twin = new_machine();

    set(m, PAM0 + 1, 0x13);
    poke(m, 0xc0000, 0x77);
    set(m, SMRAM, 0x1a);
    bare_copy(twin, m);
    g_assert_cmphex(peek(twin, 0xc0000, false), ==, 0x77);
    set(twin, SMRAM, 0x4a);
    g_assert_cmphex(config_in(twin, 0, 0, SMRAM, 1), ==, 0x1a);
    machine_reset(twin);
    g_assert_cmphex(peek(twin, 0xc0000, false), ==, 0x11);
    machine_free(m);
    machine_free(twin);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/device/i440fx/rom", test_rom);
    g_test_add_func("/device/i440fx/pam", test_pam);
    g_test_add_func("/device/i440fx/smram", test_smram);
    g_test_add_func("/device/i440fx/smram-seen", test_smram_seen);
    g_test_add_func("/device/i440fx/load", test_load);
    return g_test_run();
}
