/* SPDX-License-Identifier: MIT */
/* Firmware configuration: items, the file directory, reads by port and by DMA. */
#include "hw/fw_cfg.h"

#include "tests/device/bare.h"

enum { SELECT = 0x510, DATA = 0x511, DMA_HIGH = 0x514, DMA_LOW = 0x518, DESCRIPTOR = 0x1000 };
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };

typedef struct Fixture {
    Machine *m;
    Device *cfg;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    (void)data;
    f->m = bare_new();
    f->cfg = bare_add(f->m, "fw_cfg", "fw_cfg");
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
}

static void pick(Fixture *f, unsigned key) { pio_write(f->m, SELECT, key, 2); }

static void get(Fixture *f, void *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) ((uint8_t *)buf)[i] = in8(f->m, DATA);
}

static void test_items(Fixture *f, gconstpointer data)
{
    uint8_t buf[8];

    (void)data;
    get(f, buf, 4); /* the signature is selected after a reset */
    g_assert_cmpmem(buf, 4, "QEMU", 4);
    pick(f, FW_CFG_ID);
    get(f, buf, 5);
    g_assert_cmphex(load_le32(buf), ==, 3);
    g_assert_cmphex(buf[4], ==, 0); /* beyond the end */
    fw_cfg_add_u16(f->cfg, FW_CFG_NB_CPUS, 0x1234);
    fw_cfg_add_u64(f->cfg, FW_CFG_RAM_SIZE, 0x123456789abcdef0);
    pick(f, FW_CFG_NB_CPUS);
    get(f, buf, 2);
    g_assert_cmphex(load_le16(buf), ==, 0x1234);
    pick(f, FW_CFG_RAM_SIZE);
    get(f, buf, 8);
    g_assert_cmphex(load_le64(buf), ==, 0x123456789abcdef0);
    fw_cfg_add_u16(f->cfg, FW_CFG_NB_CPUS, 7); /* replaced */
    pick(f, FW_CFG_NB_CPUS);
    g_assert_cmphex(in8(f->m, DATA), ==, 7);
    pick(f, 0x77); /* nothing there */
    g_assert_cmphex(in8(f->m, DATA), ==, 0);
    out8(f->m, SELECT, FW_CFG_ID); /* a byte selects nothing */
    g_assert_cmphex(in8(f->m, DATA), ==, 0);
}

static void test_files(Fixture *f, gconstpointer data)
{
    static const char *const names[] = { "genroms/x", "bootorder", "etc/e820" };
    uint8_t dir[4 + 3 * 64];
    Error err = ERROR_INIT;
    char name[16], byte;

    (void)data;
    for (size_t i = 0; i < 3; i++)
        g_assert_true(fw_cfg_add_file(f->cfg, names[i], names[i], strlen(names[i]), &err));
    pick(f, FW_CFG_FILE_DIR);
    get(f, dir, sizeof(dir));
    g_assert_cmpuint(load_be32(dir), ==, 3);
    g_assert_cmpstr((char *)dir + 4 + 8, ==, "bootorder");
    g_assert_cmpstr((char *)dir + 68 + 8, ==, "etc/e820");
    g_assert_cmpstr((char *)dir + 132 + 8, ==, "genroms/x");
    g_assert_cmpuint(load_be32(dir + 68), ==, 8);
    g_assert_cmphex(load_be16(dir + 68 + 4), ==, 0x21);
    pick(f, 0x21);
    get(f, name, 8);
    g_assert_cmpmem(name, 8, "etc/e820", 8);
    g_assert_true(fw_cfg_add_file(f->cfg, "etc/e820", "!", 1, &err));
    pick(f, 0x21);
    get(f, &byte, 1);
    g_assert_cmpint(byte, ==, '!');
    g_assert_false(fw_cfg_add_file(
        f->cfg, "a-name-of-fifty-six-characters-is-one-character-too-long", "", 0, &err));
    g_assert_nonnull(strstr(err.msg, "too long"));
}

static void test_slots(Fixture *f, gconstpointer data)
{
    Error err = ERROR_INIT;
    char name[8];

    (void)data;
    for (int i = 0; i < 32; i++) {
        g_snprintf(name, sizeof(name), "f%d", i);
        g_assert_true(fw_cfg_add_file(f->cfg, name, name, 2, &err));
    }
    g_assert_false(fw_cfg_add_file(f->cfg, "one more", "", 0, &err));
    g_assert_true(fw_cfg_add_file(f->cfg, "f7", "new", 3, NULL));
}

static uint32_t dma(Fixture *f, uint32_t control, uint32_t len, uint64_t to)
{
    MemAttrs attrs = { .cpu = NULL };
    uint8_t d[16], swapped[4];

    store_be32(d, control);
    store_be32(d + 4, len);
    store_be64(d + 8, to);
    mem_write(f->m, attrs, DESCRIPTOR, d, sizeof(d));
    store_be32(swapped, 0);
    pio_write(f->m, DMA_HIGH, load_le32(swapped), 4);
    store_be32(swapped, DESCRIPTOR);
    pio_write(f->m, DMA_LOW, load_le32(swapped), 4);
    mem_read(f->m, attrs, DESCRIPTOR, d, 4);
    return load_be32(d);
}

static void test_dma(Fixture *f, gconstpointer data)
{
    MemAttrs attrs = { .cpu = NULL };
    uint8_t *big = g_malloc(20000), *seen = g_malloc(20000);

    (void)data;
    g_assert_cmphex(pio_read(f->m, DMA_HIGH, 4), ==, 0x554d4551);
    g_assert_cmphex(pio_read(f->m, DMA_LOW + 3, 1), ==, 'G');
    for (int i = 0; i < 20000; i++) big[i] = (uint8_t)(i * 13 >> 3);
    fw_cfg_add(f->cfg, FW_CFG_KERNEL_DATA, big, 20000);
    g_assert_cmphex(dma(f, FW_CFG_KERNEL_DATA << 16 | DMA_SELECT | DMA_READ, 19000, 0x4001), ==, 0);
    mem_read(f->m, attrs, 0x4001, seen, 19000);
    g_assert_cmpmem(seen, 19000, big, 19000);
    g_assert_cmphex(in8(f->m, DATA), ==, big[19000]); /* both ways share the offset */
    g_assert_cmphex(dma(f, DMA_SKIP, 99, 0), ==, 0);
    g_assert_cmphex(dma(f, DMA_READ, 1000, 0x4000), ==, 0); /* 900 and then zeros */
    mem_read(f->m, attrs, 0x4000, seen, 1000);
    g_assert_cmpmem(seen, 900, big + 19100, 900);
    for (int i = 900; i < 1000; i++) g_assert_cmphex(seen[i], ==, 0);
    g_assert_cmphex(dma(f, DMA_WRITE, 4, 0x4000), ==, DMA_ERROR);
    g_assert_cmphex(dma(f, 0x77 << 16 | DMA_SELECT | DMA_READ, 16, 0x4000), ==, 0);
    mem_read(f->m, attrs, 0x4000, seen, 16);
    for (int i = 0; i < 16; i++) g_assert_cmphex(seen[i], ==, 0);
    g_free(big);
    g_free(seen);
}

#define CASE(name) g_test_add("/device/fw_cfg/" #name, Fixture, NULL, setup, test_##name, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    CASE(items);
    CASE(files);
    CASE(slots);
    CASE(dma);
    return g_test_run();
}
