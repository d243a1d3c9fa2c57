/* SPDX-License-Identifier: MIT */
/* The ATAPI CD-ROM against its standards: packets by PIO and DMA, media, tray, events, saves. */
#include <glib/gstdio.h>
#include <unistd.h>

#include "block/block.h"
#include "hw/ide.h"
#include "tests/device/pci_bare.h"

enum { PORT = 0x170, CONTROL = 0x376, BM = 0xc008, IRQ = 15, CD_SECTORS = 300 };
enum { FEATURES = PORT + 1, REASON, SECTOR, LCYL, HCYL, DEVICE, STATUS };
enum { TABLE = 0x1000, BUFFER = 0x20000, LONG_NS = 1000000000 };

typedef struct Fixture {
    Machine *m;
    char *path;
    bool empty;
} Fixture;

static uint8_t pattern(unsigned sector, unsigned i) { return (uint8_t)(sector * 11 + i * 5 + 3); }

static char *make_image(unsigned sectors)
{
    char *path = NULL;
    int fd = g_file_open_tmp("stasis-cd-XXXXXX", &path, NULL);
    uint8_t buf[CD_SECTOR];

    g_assert_cmpint(fd, >=, 0);
    for (unsigned s = 0; s < sectors; s++) {
        for (unsigned i = 0; i < CD_SECTOR; i++) buf[i] = pattern(s, i);
        g_assert_cmpint(write(fd, buf, sizeof(buf)), ==, sizeof(buf));
    }
    close(fd);
    return path;
}

static void free_drive(void *bd) { block_dev_free(bd); }

static void add_drive(Machine *m, const char *file)
{
    Error err = ERROR_INIT;
    Options *o = options_new();
    BlockDev *bd;

    options_set(o, "media", "cdrom");
    if (file) {
        options_set(o, "file", file);
        options_set(o, "format", "raw");
    }
    bd = block_dev_new(m->ctx, "cd0", o, false, &err);
    if (!bd || !machine_object_add(m, "drive", "cd0", bd, free_drive, &err)) g_error("%s", err.msg);
    options_free(o);
}

static void open_machine(Fixture *f)
{
    f->m = bare_new();
    add_drive(f->m, f->empty ? NULL : f->path);
    bare_add_pci(f->m);
    bare_add(f->m, "piix3-ide", "ide", "addr", "01.1", "drive10", "cd0", "cd10", "on");
    config_out(f->m, 1, 1, 0x20, (BM & 0xfff0) | 1, 4);
    config_out(f->m, 1, 1, 0x04, 5, 2);
}

static void setup(Fixture *f, gconstpointer empty)
{
    f->path = make_image(CD_SECTORS);
    f->empty = empty != NULL;
    open_machine(f);
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
    g_unlink(f->path);
    g_free(f->path);
}

static BlockDev *drive(Fixture *f) { return machine_object(f->m, "drive", "cd0"); }

/* -- a driver -- */

static void send_packet(Machine *m, const uint8_t *packet, unsigned limit, bool dma)
{
    out8(m, DEVICE, 0xa0);
    out8(m, FEATURES, dma);
    out8(m, LCYL, limit);
    out8(m, HCYL, limit >> 8);
    out8(m, STATUS, 0xa0);
    g_assert_cmphex(in8(m, STATUS) & (ST_BUSY | ST_DRQ), ==, ST_DRQ);
    g_assert_cmphex(in8(m, REASON) & 7, ==, 1);
    for (int i = 0; i < 12; i += 2) pio_write(m, PORT, load_le16(packet + i), 2);
}

/* Takes all blocks of the reply; their bytes. */
static unsigned take_reply(Machine *m, uint8_t *buf, unsigned limit)
{
    unsigned total = 0;

    for (;;) {
        unsigned n;

        bare_run(m, LONG_NS);
        g_assert_true(bare_irq(m, IRQ));
        if (!(in8(m, STATUS) & ST_DRQ)) break;
        g_assert_cmphex(in8(m, REASON) & 7, ==, 2);
        n = in8(m, LCYL) | in8(m, HCYL) << 8;
        g_assert_cmpuint(n, <=, limit);
        for (unsigned i = 0; i < n; i += 2) {
            uint16_t word = (uint16_t)pio_read(m, PORT, 2);

            buf[total + i] = (uint8_t)word;
            if (i + 1 < n) buf[total + i + 1] = (uint8_t)(word >> 8);
        }
        total += n;
    }
    g_assert_cmphex(in8(m, REASON) & 7, ==, 3);
    return total;
}

static unsigned packet(Machine *m, const uint8_t *p, uint8_t *buf)
{
    send_packet(m, p, 0xf000, false);
    return take_reply(m, buf, 0xf000);
}

/* The sense key and additional code of the last error. */
static unsigned sense(Machine *m)
{
    uint8_t buf[64];

    g_assert_cmpuint(packet(m, (uint8_t[12]){ 0x03, 0, 0, 0, 18 }, buf), ==, 18);
    return buf[2] << 8u | buf[12];
}

static bool failed(Machine *m) { return in8(m, STATUS) & ST_ERR; }

static void test_ready(Machine *m)
{
    uint8_t buf[8];

    packet(m, (uint8_t[12]){ 0 }, buf);
}

static void check_sectors(const uint8_t *buf, unsigned first, unsigned n)
{
    for (unsigned s = 0; s < n; s++)
        for (unsigned i = 0; i < CD_SECTOR; i++)
            if (buf[s * CD_SECTOR + i] != pattern(first + s, i))
                g_error("sector %u, byte %u is wrong", first + s, i);
}

static void read10(uint8_t *p, uint32_t lba, unsigned n)
{
    memset(p, 0, 12);
    p[0] = 0x28;
    store_be32(p + 2, lba);
    store_be16(p + 7, (uint16_t)n);
}

/* -- tests -- */

static void test_identity(Fixture *f, gconstpointer data)
{
    uint8_t buf[512];

    (void)data;
    g_assert_cmphex(in8(f->m, LCYL), ==, 0x14);
    g_assert_cmphex(in8(f->m, HCYL), ==, 0xeb);
    out8(f->m, STATUS, 0xec); /* IDENTIFY DEVICE: not with me */
    g_assert_true(in8(f->m, STATUS) & ST_ERR);
    g_assert_cmphex(in8(f->m, LCYL), ==, 0x14);
    out8(f->m, STATUS, 0xa1);
    for (int i = 0; i < 512; i += 2) store_le16(buf + i, (uint16_t)pio_read(f->m, PORT, 2));
    g_assert_cmphex(load_le16(buf), ==, 0x85c0);
    g_assert_cmpint(memcmp(buf + 54, "TSSASIC -DOR M", 14), ==, 0);
    out8(f->m, STATUS, 0x08); /* DEVICE RESET */
    g_assert_cmphex(in8(f->m, STATUS), ==, 0);
    g_assert_cmpuint(packet(f->m, (uint8_t[12]){ 0x12, 0, 0, 0, 36 }, buf), ==, 36);
    g_assert_cmphex(buf[0], ==, 5);
    g_assert_cmphex(buf[1], ==, 0x80);
}

static void test_capacity(Fixture *f, gconstpointer data)
{
    uint8_t buf[64];

    (void)data;
    g_assert_cmpuint(packet(f->m, (uint8_t[12]){ 0x25 }, buf), ==, 8);
    g_assert_cmpuint(load_be32(buf), ==, CD_SECTORS - 1);
    g_assert_cmpuint(load_be32(buf + 4), ==, 2048);
    g_assert_cmpuint(packet(f->m, (uint8_t[12]){ 0x43, 0, 0, 0, 0, 0, 0, 0, 64 }, buf), ==, 20);
    g_assert_cmpuint(load_be16(buf), ==, 18);
    g_assert_cmphex(buf[5], ==, 0x14); /* track 1: data, ... */
    g_assert_cmphex(buf[14], ==, 0xaa);
    g_assert_cmpuint(load_be32(buf + 16), ==, CD_SECTORS); /* ... up to here */
    g_assert_cmpuint(packet(f->m, (uint8_t[12]){ 0x43, 2, 0, 0, 0, 0, 0, 0, 12 }, buf), ==, 12);
    g_assert_cmphex(load_be32(buf + 8), ==, 0x0200); /* 00:02:00 */
    packet(f->m, (uint8_t[12]){ 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 64 }, buf);
    g_assert_cmphex(buf[8], ==, 0x2a);
    packet(f->m, (uint8_t[12]){ 0x46, 0, 0, 0, 0, 0, 0, 0, 64 }, buf);
    g_assert_cmphex(load_be16(buf + 6), ==, 8); /* a CD-ROM is in */
    packet(f->m, (uint8_t[12]){ 0xf1 }, buf);
    g_assert_true(failed(f->m));
    g_assert_cmphex(sense(f->m), ==, 0x0520);
    g_assert_cmphex(sense(f->m), ==, 0); /* told once */
}

static void test_read_pio(Fixture *f, gconstpointer data)
{
    uint8_t p[12], *buf = g_malloc(200 * CD_SECTOR);

    (void)data;
    read10(p, 7, 3);
    send_packet(f->m, p, 2048, false);
    g_assert_true(in8(f->m, CONTROL) & ST_BUSY);
    g_assert_cmpuint(take_reply(f->m, buf, 2048), ==, 3 * CD_SECTOR);
    check_sectors(buf, 7, 3);
    read10(p, 50, 200); /* more than one bufferful, in odd blocks */
    send_packet(f->m, p, 5000, false);
    g_assert_cmpuint(take_reply(f->m, buf, 5000), ==, 200 * CD_SECTOR);
    check_sectors(buf, 50, 200);
    read10(p, CD_SECTORS - 1, 2);
    packet(f->m, p, buf);
    g_assert_true(failed(f->m));
    g_assert_cmphex(sense(f->m), ==, 0x0521);
    read10(p, 5, 0); /* nothing is no error */
    g_assert_cmpuint(packet(f->m, p, buf), ==, 0);
    g_assert_false(failed(f->m));
    g_free(buf);
}

static void test_read_raw(Fixture *f, gconstpointer data)
{
    uint8_t *buf = g_malloc(4 * 2352);

    (void)data;
    g_assert_cmpuint(
        packet(f->m, (uint8_t[12]){ 0xbe, 0, 0, 0, 0, 9, 0, 0, 2, 0xf8 }, buf), ==, 2 * 2352);
    check_sectors(buf + 16, 9, 1);
    check_sectors(buf + 2352 + 16, 10, 1);
    g_assert_cmphex(load_be32(buf + 12), ==, 0x00020901); /* 00:02:09, mode 1 */
    g_free(buf);
}

static void start_dma_read(Machine *m, uint32_t lba, unsigned n)
{
    uint8_t p[12], entry[8];

    store_le32(entry, BUFFER);
    store_le32(entry + 4, (n * CD_SECTOR & 0xffff) | 0x80000000u);
    mem_write(m, (MemAttrs){ 0 }, TABLE, entry, sizeof(entry));
    pio_write(m, BM + 4, TABLE, 4);
    out8(m, BM + 2, 6);
    read10(p, lba, n);
    send_packet(m, p, 0, true);
    out8(m, BM, 9);
}

static void check_dma(Machine *m, uint32_t lba, unsigned n)
{
    uint8_t *buf = g_malloc(n * CD_SECTOR);

    bare_run(m, LONG_NS);
    g_assert_true(bare_irq(m, IRQ));
    g_assert_cmphex(in8(m, BM + 2) & 7, ==, 4);
    g_assert_cmphex(in8(m, STATUS), ==, ST_READY | ST_SEEK);
    g_assert_cmphex(in8(m, REASON) & 7, ==, 3);
    mem_read(m, (MemAttrs){ 0 }, BUFFER, buf, n * CD_SECTOR);
    check_sectors(buf, lba, n);
    g_free(buf);
}

static void test_read_dma(Fixture *f, gconstpointer data)
{
    (void)data;
    start_dma_read(f->m, 100, 16);
    g_assert_true(in8(f->m, CONTROL) & ST_BUSY);
    check_dma(f->m, 100, 16);
}

static void test_no_medium(Fixture *f, gconstpointer data)
{
    Error err = ERROR_INIT;
    uint8_t buf[64];

    (void)data;
    test_ready(f->m);
    g_assert_true(failed(f->m));
    g_assert_cmphex(sense(f->m), ==, 0x023a);
    if (!block_dev_change(drive(f), f->path, "raw", true, &err)) g_error("%s", err.msg);
    packet(f->m, (uint8_t[12]){ 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 }, buf);
    g_assert_cmphex(buf[4], ==, 2); /* a new medium, ... */
    g_assert_cmphex(buf[5], ==, 2); /* ... present, tray closed */
    test_ready(f->m);               /* there was none a moment ago, */
    g_assert_cmphex(sense(f->m), ==, 0x023a);
    test_ready(f->m); /* and then there is another one */
    g_assert_cmphex(sense(f->m), ==, 0x0628);
    test_ready(f->m);
    g_assert_false(failed(f->m));
    packet(f->m, (uint8_t[12]){ 0x25 }, buf);
    g_assert_cmpuint(load_be32(buf), ==, CD_SECTORS - 1);
}

static void test_tray(Fixture *f, gconstpointer data)
{
    const BlockMediaOps *ops;
    uint8_t buf[64];
    void *opaque;

    (void)data;
    ops = block_dev_media_ops(drive(f), &opaque);
    packet(f->m, (uint8_t[12]){ 0x1e, 0, 0, 0, 1 }, buf); /* lock */
    g_assert_true(ops->locked(opaque));
    packet(f->m, (uint8_t[12]){ 0x1b, 0, 0, 0, 2 }, buf); /* eject */
    g_assert_true(failed(f->m));
    g_assert_cmphex(sense(f->m), ==, 0x0553);
    ops->eject_request(opaque, false);
    packet(f->m, (uint8_t[12]){ 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 }, buf);
    g_assert_cmphex(buf[4], ==, 1); /* someone wants it out */
    packet(f->m, (uint8_t[12]){ 0x1e }, buf);
    packet(f->m, (uint8_t[12]){ 0x1b, 0, 0, 0, 2 }, buf);
    g_assert_true(ops->tray_open(opaque));
    test_ready(f->m);
    g_assert_cmphex(sense(f->m), ==, 0x023a);
    packet(f->m, (uint8_t[12]){ 0x1b, 0, 0, 0, 3 }, buf); /* load */
    g_assert_false(ops->tray_open(opaque));
    test_ready(f->m);
    g_assert_false(failed(f->m));
}

/* -- saves -- */

static void replace_by_twin(Fixture *f)
{
    Fixture twin = { .path = g_strdup(f->path) };

    open_machine(&twin); /* a read-only image may be open twice */
    bare_copy(twin.m, f->m);
    machine_free(f->m);
    g_free(f->path);
    *f = twin;
}

static void test_save(Fixture *f, gconstpointer data)
{
    uint8_t p[12], *buf = g_malloc(100 * CD_SECTOR);
    unsigned total = 0;

    (void)data;
    read10(p, 20, 100);
    send_packet(f->m, p, 8192, false);
    do {
        replace_by_twin(f); /* while busy */
        bare_run(f->m, LONG_NS);
        g_assert_true(in8(f->m, STATUS) & ST_DRQ);
        for (unsigned i = 0, n = in8(f->m, LCYL) | in8(f->m, HCYL) << 8; i < n;
             i += 2, total += 2) {
            if (i == n / 2) replace_by_twin(f); /* within a block */
            store_le16(buf + total, (uint16_t)pio_read(f->m, PORT, 2));
        }
    } while (total < 100 * CD_SECTOR);
    check_sectors(buf, 20, 100);
    packet(f->m, (uint8_t[12]){ 0x1e, 0, 0, 0, 1 }, buf);
    start_dma_read(f->m, 30, 4);
    replace_by_twin(f);
    check_dma(f->m, 30, 4);
    packet(f->m, (uint8_t[12]){ 0x1b, 0, 0, 0, 2 }, buf);
    g_assert_true(failed(f->m)); /* still locked */
    g_free(buf);
}

int main(int argc, char **argv)
{
    static const char empty[] = "empty";
    static const struct {
        const char *name, *medium;
        void (*run)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "/device/atapi/identity", NULL, test_identity },
        { "/device/atapi/capacity", NULL, test_capacity },
        { "/device/atapi/read-pio", NULL, test_read_pio },
        { "/device/atapi/read-raw", NULL, test_read_raw },
        { "/device/atapi/read-dma", NULL, test_read_dma },
        { "/device/atapi/no-medium", empty, test_no_medium },
        { "/device/atapi/tray", NULL, test_tray },
        { "/device/atapi/save", NULL, test_save },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
        g_test_add(tests[i].name, Fixture, tests[i].medium, setup, tests[i].run, teardown);
    return g_test_run();
}
