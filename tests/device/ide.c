/* SPDX-License-Identifier: MIT */
/*
 * ATA disks against the standard: registers, PIO and DMA, addresses, errors; when the guest sees
 * what; and saves in the midst of all that.
 */
#include <glib/gstdio.h>
#include <unistd.h>

#include "block/block.h"
#include "hw/ide.h"
#include "tests/device/pci_bare.h"

enum { PORT = 0x1f0, CONTROL = 0x3f6, BM = 0xc000, IRQ = 14, SECTORS = 4096 };
enum { ERROR_REG = PORT + 1, COUNT, SECTOR, LCYL, HCYL, DEVICE, STATUS };
enum { BM_CMD = BM, BM_STATUS = BM + 2, BM_TABLE = BM + 4, TABLE = 0x1000, BUFFER = 0x10000 };
enum { LONG_NS = 100000000 };

typedef struct Fixture {
    Machine *m;
    char *path, *other; /* the disks' files */
} Fixture;

/* What each sector of the test disk begins with and is filled with. */
static uint8_t pattern(unsigned sector, unsigned i) { return (uint8_t)(sector * 7 + i * 3 + 1); }

static void fill(uint8_t *buf, unsigned sector)
{
    for (unsigned i = 0; i < IDE_SECTOR; i++) buf[i] = pattern(sector, i);
    store_le32(buf, sector);
}

static char *make_image(void)
{
    char *path = NULL;
    int fd = g_file_open_tmp("stasis-ide-XXXXXX", &path, NULL);
    uint8_t sector[IDE_SECTOR];

    g_assert_cmpint(fd, >=, 0);
    for (unsigned i = 0; i < SECTORS; i++) {
        fill(sector, i);
        g_assert_cmpint(write(fd, sector, sizeof(sector)), ==, sizeof(sector));
    }
    close(fd);
    return path;
}

static void free_drive(void *bd) { block_dev_free(bd); }

static void add_drive(Machine *m, const char *id, const char *path, const char *more)
{
    Error err = ERROR_INIT;
    Options *o = options_parse(more, NULL, &err);
    BlockDev *bd;

    options_set(o, "file", path);
    options_set(o, "format", "raw");
    bd = block_dev_new(m->ctx, id, o, false, &err);
    if (!bd || !machine_object_add(m, "drive", id, bd, free_drive, &err)) g_error("%s", err.msg);
    options_free(o);
}

static void machine_with_disk(Fixture *f)
{
    f->path = make_image();
    f->other = NULL;
    f->m = bare_new();
    add_drive(f->m, "hd0", f->path, "");
    bare_add_pci(f->m);
    bare_add(f->m, "piix3-ide", "ide", "addr", "01.1", "drive00", "hd0");
    config_out(f->m, 1, 1, 0x20, BM | 1, 4);
    config_out(f->m, 1, 1, 0x04, 5, 2);
}

static void setup(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_with_disk(f);
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
    g_unlink(f->path);
    if (f->other) g_unlink(f->other);
    g_free(f->path);
    g_free(f->other);
}

/* -- a driver -- */

static void set_lba(Machine *m, uint32_t lba, unsigned count)
{
    out8(m, DEVICE, 0xe0 | lba >> 24);
    out8(m, COUNT, count);
    out8(m, SECTOR, lba);
    out8(m, LCYL, lba >> 8);
    out8(m, HCYL, lba >> 16);
}

static void set_lba48(Machine *m, uint64_t lba, unsigned count)
{
    out8(m, DEVICE, 0xe0);
    out8(m, COUNT, count >> 8);
    out8(m, SECTOR, (unsigned)(lba >> 24));
    out8(m, LCYL, (unsigned)(lba >> 32));
    out8(m, HCYL, (unsigned)(lba >> 40));
    out8(m, COUNT, count);
    out8(m, SECTOR, (unsigned)lba);
    out8(m, LCYL, (unsigned)(lba >> 8));
    out8(m, HCYL, (unsigned)(lba >> 16));
}

static uint8_t alt_status(Machine *m) { return in8(m, CONTROL); }

/* Lets time pass until the drive is no longer busy; the status, interrupt acknowledged. */
static uint8_t wait_idle(Machine *m)
{
    bare_run(m, LONG_NS);
    g_assert_false(alt_status(m) & ST_BUSY);
    return in8(m, STATUS);
}

static void read_block(Machine *m, uint8_t *buf, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 2) store_le16(buf + i, (uint16_t)pio_read(m, PORT, 2));
}

static void write_block(Machine *m, const uint8_t *buf, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 4) pio_write(m, PORT, load_le32(buf + i), 4);
}

static void check_sector(const uint8_t *buf, unsigned sector)
{
    uint8_t want[IDE_SECTOR];

    fill(want, sector);
    g_assert_cmpmem(buf, IDE_SECTOR, want, IDE_SECTOR);
}

static unsigned identify_word(const uint8_t *data, unsigned n) { return load_le16(data + 2 * n); }

static void identify(Machine *m, uint8_t *data)
{
    out8(m, DEVICE, 0xe0);
    out8(m, STATUS, 0xec);
    g_assert_cmphex(in8(m, STATUS) & (ST_DRQ | ST_ERR), ==, ST_DRQ);
    read_block(m, data, 512);
    g_assert_cmphex(in8(m, STATUS), ==, ST_READY | ST_SEEK);
}

/* -- registers -- */

static void test_signature(Fixture *f, gconstpointer data)
{
    Machine *m = f->m;

    (void)data;
    out8(m, CONTROL, CTL_SRST);
    g_assert_true(in8(m, STATUS) & ST_BUSY);
    out8(m, CONTROL, 0);
    g_assert_cmphex(in8(m, STATUS), ==, ST_READY | ST_SEEK);
    g_assert_cmphex(in8(m, ERROR_REG), ==, 1);
    g_assert_cmphex(in8(m, COUNT), ==, 1);
    g_assert_cmphex(in8(m, SECTOR), ==, 1);
    g_assert_cmphex(in8(m, LCYL), ==, 0);
    g_assert_cmphex(in8(m, HCYL), ==, 0);
    out8(m, DEVICE, 0xb0); /* nobody */
    g_assert_cmphex(in8(m, STATUS), ==, 0);
    out8(m, STATUS, 0xec);
    g_assert_cmphex(in8(m, STATUS), ==, 0);
    g_assert_cmphex(in8(m, 0x177), ==, 0);
}

static void test_hob(Fixture *f, gconstpointer data)
{
    (void)data;
    out8(f->m, LCYL, 0x12);
    out8(f->m, LCYL, 0x34);
    g_assert_cmphex(in8(f->m, LCYL), ==, 0x34);
    out8(f->m, CONTROL, CTL_HOB);
    g_assert_cmphex(in8(f->m, LCYL), ==, 0x12);
    out8(f->m, HCYL, 0); /* any write to the command block shows the newer bytes again */
    g_assert_cmphex(in8(f->m, LCYL), ==, 0x34);
}

static void test_identify(Fixture *f, gconstpointer data)
{
    uint8_t id[512];

    (void)data;
    identify(f->m, id);
    g_assert_cmphex(identify_word(id, 0), ==, 0x40);
    g_assert_cmpuint(identify_word(id, 3), ==, 16);
    g_assert_cmpuint(identify_word(id, 6), ==, 63);
    g_assert_cmpuint(load_le32(id + 120), ==, SECTORS);
    g_assert_cmpuint(load_le64(id + 200), ==, SECTORS);
    g_assert_cmphex(identify_word(id, 49) & 0x300, ==, 0x300);
    g_assert_cmphex(identify_word(id, 83) & 0xc000, ==, 0x4000);
    g_assert_cmpint(memcmp(id + 54, "TSSASIH RADDSI K", 16), ==, 0); /* bytes are swapped */
    g_assert_cmpint(memcmp(id + 20, "MQ0000 1", 8), ==, 0);
}

static void test_settings(Fixture *f, gconstpointer data)
{
    uint8_t id[512];
    Machine *m = f->m;

    (void)data;
    out8(m, COUNT, 8);
    out8(m, STATUS, 0xc6); /* SET MULTIPLE MODE */
    g_assert_cmphex(in8(m, STATUS), ==, ST_READY | ST_SEEK);
    out8(m, COUNT, 5);
    out8(m, STATUS, 0xc6);
    g_assert_true(in8(m, STATUS) & ST_ERR);
    out8(m, ERROR_REG, 0x82); /* no write cache */
    out8(m, STATUS, 0xef);
    g_assert_cmphex(in8(m, STATUS), ==, ST_READY | ST_SEEK);
    out8(m, ERROR_REG, 0x03); /* multiword DMA 1 */
    out8(m, COUNT, 0x21);
    out8(m, STATUS, 0xef);
    out8(m, STATUS, 0xf8);                                            /* READ NATIVE MAX */
    g_assert_cmphex(in8(m, STATUS), ==, ST_READY | ST_SEEK | ST_ERR); /* needs LBA */
    identify(m, id);
    g_assert_cmphex(identify_word(id, 59), ==, 0x108);
    g_assert_cmphex(identify_word(id, 85) & 0x20, ==, 0);
    g_assert_cmphex(identify_word(id, 63), ==, 0x207);
    g_assert_cmphex(identify_word(id, 88), ==, 0x3f);
    set_lba(m, 0, 0);
    out8(m, STATUS, 0xf8);
    g_assert_cmpuint(in8(m, SECTOR) | in8(m, LCYL) << 8, ==, SECTORS - 1);
    out8(m, STATUS, 0x90);
    g_assert_cmphex(in8(m, ERROR_REG), ==, 1);
    out8(m, STATUS, 0xe5);
    g_assert_cmphex(in8(m, COUNT), ==, 0xff);
    out8(m, STATUS, 0xff); /* no such command */
    g_assert_cmphex(in8(m, STATUS), ==, ST_READY | ST_SEEK | ST_ERR);
    g_assert_cmphex(in8(m, ERROR_REG), ==, ERR_ABRT);
}

/* -- PIO -- */

static void test_read(Fixture *f, gconstpointer data)
{
    Machine *m = f->m;
    uint8_t buf[IDE_SECTOR];

    (void)data;
    set_lba(m, 100, 3);
    out8(m, STATUS, 0x20);
    g_assert_true(alt_status(m) & ST_BUSY); /* not before its time */
    g_assert_false(bare_irq(m, IRQ));
    out8(m, SECTOR, 99); /* a busy drive does not listen */
    for (unsigned i = 0; i < 3; i++) {
        bare_run(m, LONG_NS);
        g_assert_true(bare_irq(m, IRQ));
        g_assert_cmphex(in8(m, STATUS), ==, ST_READY | ST_SEEK | ST_DRQ);
        g_assert_false(bare_irq(m, IRQ));
        read_block(m, buf, IDE_SECTOR);
        check_sector(buf, 100 + i);
    }
    g_assert_cmphex(alt_status(m), ==, ST_READY | ST_SEEK);
    bare_run(m, LONG_NS);
    g_assert_cmpuint(bare_rises(m, IRQ), ==, 3);
    g_assert_cmphex(pio_read(m, PORT, 2), ==, 0); /* nothing more */
}

static void test_read_multiple(Fixture *f, gconstpointer data)
{
    uint8_t buf[16 * IDE_SECTOR];
    unsigned done = 0;

    (void)data;
    set_lba48(f->m, 10, 40);
    out8(f->m, STATUS, 0x29);
    while (done < 40) {
        unsigned n = MIN_OF(16, 40 - done);

        g_assert_cmphex(wait_idle(f->m), ==, ST_READY | ST_SEEK | ST_DRQ);
        read_block(f->m, buf, n * IDE_SECTOR);
        for (unsigned i = 0; i < n; i++) check_sector(buf + i * IDE_SECTOR, 10 + done + i);
        done += n;
    }
    g_assert_cmphex(wait_idle(f->m), ==, ST_READY | ST_SEEK);
    g_assert_cmpuint(bare_rises(f->m, IRQ), ==, 3);
}

static void test_write(Fixture *f, gconstpointer data)
{
    Machine *m = f->m;
    uint8_t buf[2 * IDE_SECTOR], back[IDE_SECTOR];

    (void)data;
    fill(buf, 7777);
    fill(buf + IDE_SECTOR, 8888);
    set_lba(m, 50, 2);
    out8(m, STATUS, 0x30);
    g_assert_cmphex(in8(m, STATUS), ==, ST_READY | ST_SEEK | ST_DRQ);
    g_assert_cmpuint(bare_rises(m, IRQ), ==, 0); /* the first block needs no interrupt */
    write_block(m, buf, IDE_SECTOR);
    g_assert_true(alt_status(m) & ST_BUSY);
    g_assert_cmphex(wait_idle(m), ==, ST_READY | ST_SEEK | ST_DRQ);
    write_block(m, buf + IDE_SECTOR, IDE_SECTOR);
    g_assert_cmphex(wait_idle(m), ==, ST_READY | ST_SEEK);
    g_assert_cmpuint(bare_rises(m, IRQ), ==, 2);
    set_lba(m, 51, 1);
    out8(m, STATUS, 0x20);
    wait_idle(m);
    read_block(m, back, IDE_SECTOR);
    check_sector(back, 8888);
    out8(m, STATUS, 0xe7); /* FLUSH CACHE */
    g_assert_true(alt_status(m) & ST_BUSY);
    g_assert_cmphex(wait_idle(m), ==, ST_READY | ST_SEEK);
}

static void test_chs(Fixture *f, gconstpointer data)
{
    uint8_t buf[IDE_SECTOR];

    (void)data;
    out8(f->m, DEVICE, 0xa0 | 2); /* 1/2/3 of 16 heads and 63 sectors */
    out8(f->m, COUNT, 1);
    out8(f->m, SECTOR, 3);
    out8(f->m, LCYL, 1);
    out8(f->m, HCYL, 0);
    out8(f->m, STATUS, 0x20);
    wait_idle(f->m);
    read_block(f->m, buf, IDE_SECTOR);
    check_sector(buf, (1 * 16 + 2) * 63 + 2);
    out8(f->m, SECTOR, 0); /* there is no sector 0 */
    out8(f->m, COUNT, 1);
    out8(f->m, STATUS, 0x20);
    g_assert_true(wait_idle(f->m) & ST_ERR);
    out8(f->m, DEVICE, 0xa0 | 3); /* 4 heads of 17 sectors from now on */
    out8(f->m, COUNT, 17);
    out8(f->m, STATUS, 0x91);
    out8(f->m, DEVICE, 0xa0 | 1);
    out8(f->m, COUNT, 1);
    out8(f->m, SECTOR, 1);
    out8(f->m, LCYL, 2);
    out8(f->m, STATUS, 0x20);
    wait_idle(f->m);
    read_block(f->m, buf, IDE_SECTOR);
    check_sector(buf, (2 * 4 + 1) * 17);
}

static void test_errors(Fixture *f, gconstpointer data)
{
    (void)data;
    set_lba(f->m, SECTORS - 1, 2);
    out8(f->m, STATUS, 0x20);
    g_assert_cmphex(wait_idle(f->m), ==, ST_READY | ST_SEEK | ST_ERR);
    g_assert_cmphex(in8(f->m, ERROR_REG), ==, ERR_IDNF);
    set_lba48(f->m, 1ull << 40, 1);
    out8(f->m, STATUS, 0x34);
    g_assert_cmphex(wait_idle(f->m), ==, ST_READY | ST_SEEK | ST_ERR);
}

static void test_interrupt_mask(Fixture *f, gconstpointer data)
{
    (void)data;
    out8(f->m, CONTROL, CTL_NIEN);
    set_lba(f->m, 0, 1);
    out8(f->m, STATUS, 0x40); /* VERIFY */
    g_assert_false(bare_irq(f->m, IRQ));
    out8(f->m, CONTROL, 0);
    g_assert_true(bare_irq(f->m, IRQ));
    in8(f->m, STATUS);
    g_assert_false(bare_irq(f->m, IRQ));
}

static void test_reset_in_flight(Fixture *f, gconstpointer data)
{
    (void)data;
    set_lba(f->m, 0, 200);
    out8(f->m, STATUS, 0x20);
    out8(f->m, CONTROL, CTL_SRST);
    out8(f->m, CONTROL, 0);
    g_assert_cmphex(wait_idle(f->m), ==, ST_READY | ST_SEEK);
    g_assert_cmpuint(bare_rises(f->m, IRQ), ==, 0);
}

/* -- DMA -- */

static void put_entry(Machine *m, unsigned n, uint32_t base, uint32_t bytes, bool last)
{
    uint8_t entry[8];

    store_le32(entry, base);
    store_le32(entry + 4, (bytes & 0xffff) | (last ? 0x80000000u : 0));
    mem_write(m, (MemAttrs){ 0 }, TABLE + 8 * n, entry, sizeof(entry));
}

static void check_memory(Machine *m, uint64_t gpa, unsigned sector)
{
    uint8_t buf[IDE_SECTOR];

    mem_read(m, (MemAttrs){ 0 }, gpa, buf, sizeof(buf));
    check_sector(buf, sector);
}

static void start_dma(Machine *m, unsigned lba, unsigned count, bool write)
{
    pio_write(m, BM_TABLE, TABLE, 4);
    out8(m, BM_STATUS, 0x06);
    set_lba(m, lba, count);
    out8(m, STATUS, write ? 0xca : 0xc8);
    out8(m, BM_CMD, write ? 0x01 : 0x09);
}

static void test_dma_read(Fixture *f, gconstpointer data)
{
    Machine *m = f->m;

    (void)data;
    put_entry(m, 0, BUFFER, 3 * IDE_SECTOR, false);
    put_entry(m, 1, BUFFER + 0x8000, 5 * IDE_SECTOR, true);
    start_dma(m, 20, 8, false);
    g_assert_cmphex(in8(m, BM_STATUS) & 7, ==, 1);
    g_assert_true(alt_status(m) & ST_BUSY);
    bare_run(m, LONG_NS);
    g_assert_cmphex(in8(m, BM_STATUS) & 7, ==, 4);
    g_assert_true(bare_irq(m, IRQ));
    g_assert_cmphex(in8(m, STATUS), ==, ST_READY | ST_SEEK);
    for (unsigned i = 0; i < 8; i++)
        check_memory(
            m, i < 3 ? BUFFER + i * IDE_SECTOR : BUFFER + 0x8000 + (i - 3) * IDE_SECTOR, 20 + i);
    out8(m, BM_CMD, 0);
    out8(m, BM_STATUS, 4);
    g_assert_cmphex(in8(m, BM_STATUS) & 7, ==, 0);
}

static void test_dma_write(Fixture *f, gconstpointer data)
{
    Machine *m = f->m;
    uint8_t buf[IDE_SECTOR];

    (void)data;
    fill(buf, 9999);
    mem_write(m, (MemAttrs){ 0 }, BUFFER, buf, sizeof(buf));
    put_entry(m, 0, BUFFER, IDE_SECTOR, true);
    start_dma(m, 30, 1, true);
    g_assert_cmphex(wait_idle(m), ==, ST_READY | ST_SEEK);
    set_lba(m, 30, 1);
    out8(m, STATUS, 0x20);
    wait_idle(m);
    read_block(m, buf, IDE_SECTOR);
    check_sector(buf, 9999);
}

/* The table and the transfer need not be of the same length. */
static void test_dma_lengths(Fixture *f, gconstpointer data)
{
    Machine *m = f->m;

    (void)data;
    put_entry(m, 0, BUFFER, 4 * IDE_SECTOR, true);
    start_dma(m, 0, 2, false); /* the table is longer: active and interrupt */
    bare_run(m, LONG_NS);
    g_assert_cmphex(in8(m, BM_STATUS) & 7, ==, 5);
    out8(m, BM_CMD, 0);
    in8(m, STATUS);
    start_dma(m, 0, 8, false); /* shorter: neither */
    bare_run(m, LONG_NS);
    g_assert_cmphex(in8(m, BM_STATUS) & 7, ==, 0);
    g_assert_false(bare_irq(m, IRQ));
    check_memory(m, BUFFER + 3 * IDE_SECTOR, 3);
}

/* Nothing moves until the bus master is started, and may master. */
static void test_dma_start(Fixture *f, gconstpointer data)
{
    Machine *m = f->m;

    (void)data;
    put_entry(m, 0, BUFFER, IDE_SECTOR, true);
    config_out(m, 1, 1, 4, 1, 2); /* not a bus master */
    pio_write(m, BM_TABLE, TABLE, 4);
    set_lba(m, 5, 1);
    out8(m, STATUS, 0xc8);
    bare_run(m, LONG_NS);
    g_assert_true(alt_status(m) & ST_BUSY);
    out8(m, BM_CMD, 9);
    bare_run(m, LONG_NS);
    g_assert_true(alt_status(m) & ST_BUSY);
    config_out(m, 1, 1, 4, 5, 2);
    g_assert_cmphex(wait_idle(m), ==, ST_READY | ST_SEEK);
    check_memory(m, BUFFER, 5);
}

/* -- drives as devices -- */

static void test_plug(Fixture *f, gconstpointer data)
{
    Error err = ERROR_INIT;
    uint8_t buf[IDE_SECTOR];

    (void)data;
    f->other = make_image();
    add_drive(f->m, "hd1", f->other, "");
    bare_add(f->m, "ide-hd", "second", "drive", "hd1", "bus", "ide.0", "serial", "ABC");
    out8(f->m, DEVICE, 0xf0); /* the first free place: unit 1 */
    out8(f->m, STATUS, 0xec);
    read_block(f->m, buf, 512);
    g_assert_cmpint(memcmp(buf + 20, "BA C", 4), ==, 0);
    set_lba(f->m, 12, 1);
    out8(f->m, DEVICE, 0xf0);
    out8(f->m, STATUS, 0x20);
    wait_idle(f->m);
    read_block(f->m, buf, IDE_SECTOR);
    check_sector(buf, 12);
    g_assert_null(device_create(f->m, "ide-hd", "again", &err, "drive", "hd1", NULL));
    g_assert_nonnull(strstr(err.msg, "in use"));
}

/* -- a host that fails -- */

/* A second disk whose host fails; selected. */
static void add_failing(Fixture *f, const char *fault, const char *more)
{
    char *file;

    f->other = make_image();
    file = g_strdup_printf("fault:%s:%s", fault, f->other);
    add_drive(f->m, "hd1", file, more);
    bare_add(f->m, "ide-hd", "second", "drive", "hd1", "bus", "ide.0");
    set_lba(f->m, 3, 1);
    out8(f->m, DEVICE, 0xf0);
    g_free(file);
}

static void test_host_read_error(Fixture *f, gconstpointer data)
{
    (void)data;
    add_failing(f, "eio,at=1,times=0,reads=on", "");
    out8(f->m, STATUS, 0x20);
    g_assert_cmphex(wait_idle(f->m), ==, ST_READY | ST_SEEK | ST_ERR);
    g_assert_cmphex(in8(f->m, ERROR_REG), ==, ERR_UNC);
}

/* A full host stops the machine; once there is room the write is done. */
static void test_host_full(Fixture *f, gconstpointer data)
{
    Machine *m = f->m;
    uint8_t buf[IDE_SECTOR];
    Fixture twin;

    (void)data;
    add_failing(f, "enospc,at=1", "");
    fill(buf, 4242);
    out8(m, STATUS, 0x30);
    write_block(m, buf, IDE_SECTOR);
    clock_warp(&m->clock);
    clock_run_timers(&m->clock);
    g_assert_cmpint(m->run_state, ==, RUN_IO_ERROR);
    g_assert_true(alt_status(m) & ST_BUSY);
    setup(&twin, NULL); /* saved like this, it goes on elsewhere */
    add_failing(&twin, "enospc,at=9", "");
    bare_copy(twin.m, m);
    machine_set_run_state(m, RUN_RUNNING);
    g_assert_cmphex(wait_idle(m), ==, ST_READY | ST_SEEK);
    g_assert_cmphex(wait_idle(twin.m), ==, ST_READY | ST_SEEK);
    set_lba(twin.m, 3, 1);
    out8(twin.m, DEVICE, 0xf0);
    out8(twin.m, STATUS, 0x20);
    wait_idle(twin.m);
    read_block(twin.m, buf, IDE_SECTOR);
    check_sector(buf, 4242);
    teardown(&twin, NULL);
}

static void test_host_policies(Fixture *f, gconstpointer data)
{
    Error err = ERROR_INIT;
    uint8_t buf[IDE_SECTOR] = { 0 };

    (void)data;
    add_failing(f, "eio,at=1,times=0", "werror=ignore");
    out8(f->m, STATUS, 0x30);
    write_block(f->m, buf, IDE_SECTOR);
    g_assert_cmphex(wait_idle(f->m), ==, ST_READY | ST_SEEK);
    add_drive(f->m, "hd2", "/dev/zero", "werror=perhaps,readonly=on");
    g_assert_null(
        device_create(f->m, "ide-hd", "third", &err, "drive", "hd2", "bus", "ide.1", NULL));
    g_assert_cmpstr(err.msg, ==, "'perhaps' invalid write error action");
}

/* -- saves -- */

/* The twin, which has another copy of the disk, does after a load what the first would have. */
static void load_into(Fixture *twin, Fixture *f)
{
    machine_with_disk(twin);
    bare_copy(twin->m, f->m);
}

/* Saves, loads elsewhere, and goes on there. */
static void replace_by_twin(Fixture *f)
{
    Fixture twin;

    load_into(&twin, f);
    g_assert_cmphex(alt_status(twin.m), ==, alt_status(f->m));
    teardown(f, NULL);
    *f = twin;
}

static void test_save_pio(Fixture *f, gconstpointer data)
{
    uint8_t buf[IDE_SECTOR];

    (void)data;
    set_lba(f->m, 60, 4);
    out8(f->m, STATUS, 0x20);
    for (unsigned sector = 60; sector < 64; sector++) {
        g_assert_true(alt_status(f->m) & ST_BUSY);
        replace_by_twin(f);
        wait_idle(f->m);
        read_block(f->m, buf, 100);
        replace_by_twin(f);
        g_assert_true(alt_status(f->m) & ST_DRQ);
        read_block(f->m, buf + 100, IDE_SECTOR - 100);
        check_sector(buf, sector);
    }
    g_assert_cmphex(wait_idle(f->m), ==, ST_READY | ST_SEEK);
}

static void test_save_dma(Fixture *f, gconstpointer data)
{
    Fixture twin;

    (void)data;
    put_entry(f->m, 0, BUFFER, 2 * IDE_SECTOR, true);
    start_dma(f->m, 77, 2, false);
    bare_run(f->m, 1000);
    load_into(&twin, f);
    g_assert_true(alt_status(twin.m) & ST_BUSY);
    g_assert_cmpint(clock_deadline(&twin.m->clock), ==, clock_deadline(&f->m->clock));
    bare_run(twin.m, LONG_NS);
    bare_run(f->m, LONG_NS);
    check_memory(twin.m, BUFFER + IDE_SECTOR, 78);
    g_assert_cmpuint(bare_rises(twin.m, IRQ), ==, 1);
    g_assert_cmphex(in8(twin.m, BM_STATUS), ==, in8(f->m, BM_STATUS));
    teardown(&twin, NULL);
}

/* Without the fields of exactness, as another emulator sends it: the request is done over. */
static void test_load_retry(Fixture *f, gconstpointer data)
{
    Device *ide = device_find(f->m, "ide");
    Section *sec = section_find(f->m, "0000:00:01.1/ide", 0);
    uint8_t *state = g_malloc(ide->cls->state_size);
    Stream st;

    (void)data;
    put_entry(f->m, 0, BUFFER, 2 * IDE_SECTOR, true);
    start_dma(f->m, 200, 2, false);
    stream_init(&st);
    vmstate_save(&st, sec->vmsd, sec->state);
    stream_put_u8(&st, BARE_FOOTER);
    device_initial_state(ide, state);
    g_assert_true(vmstate_load(&st, sec->vmsd, state, sec->version));
    memcpy(device_state(ide), state, ide->cls->state_size);
    machine_sync(f->m);
    g_assert_cmphex(wait_idle(f->m), ==, ST_READY | ST_SEEK);
    check_memory(f->m, BUFFER + IDE_SECTOR, 201);
    stream_free(&st);
    g_free(state);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "/device/ide/signature", test_signature },
        { "/device/ide/hob", test_hob },
        { "/device/ide/identify", test_identify },
        { "/device/ide/settings", test_settings },
        { "/device/ide/read", test_read },
        { "/device/ide/read-multiple", test_read_multiple },
        { "/device/ide/write", test_write },
        { "/device/ide/chs", test_chs },
        { "/device/ide/errors", test_errors },
        { "/device/ide/interrupt-mask", test_interrupt_mask },
        { "/device/ide/reset-in-flight", test_reset_in_flight },
        { "/device/ide/dma-read", test_dma_read },
        { "/device/ide/dma-write", test_dma_write },
        { "/device/ide/dma-lengths", test_dma_lengths },
        { "/device/ide/dma-start", test_dma_start },
        { "/device/ide/plug", test_plug },
        { "/device/ide/host-read-error", test_host_read_error },
        { "/device/ide/host-full", test_host_full },
        { "/device/ide/host-policies", test_host_policies },
        { "/device/ide/save-pio", test_save_pio },
        { "/device/ide/save-dma", test_save_dma },
        { "/device/ide/load-retry", test_load_retry },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, setup, tests[i].run, teardown);
    return g_test_run();
}
