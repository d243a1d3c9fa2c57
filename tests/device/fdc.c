/* SPDX-License-Identifier: MIT */
/*
 * The floppy controller against the 82077AA data sheet: commands, results, media, DMA and the
 * FIFO by the port, errors of guest and host, and saves in the midst of all that.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "block/block.h"
#include "hw/fdc.h"
#include "tests/device/bare.h"

enum { BASE = 0x3f0, DOR = BASE + 2, TDR, MSR, DATA, DIR_REG = BASE + 7, CCR = DIR_REG };
enum { DSR = MSR, IRQ = 6, LONG_NS = 100000000, BUFFER = 0x20000 };
enum { READ = 0xe6, WRITE = 0xc5, READ_ONE_SIDE = 0x66 };

typedef struct Fixture {
    Machine *m;
    Device *dma, *fdc;
    char *path;
    unsigned kib;
} Fixture;

static uint8_t pattern(unsigned sector, unsigned i) { return (uint8_t)(sector * 5 + i * 3 + 1); }

static char *make_image(unsigned kib)
{
    char *path = NULL;
    int fd = g_file_open_tmp("stasis-fdc-XXXXXX", &path, NULL);
    uint8_t sector[FDC_SECTOR];

    g_assert_cmpint(fd, >=, 0);
    for (unsigned n = 0; n < kib * 2; n++) {
        for (unsigned i = 0; i < FDC_SECTOR; i++) sector[i] = pattern(n, i);
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

    if (path) {
        options_set(o, "file", path);
        if (!options_get(o, "format")) options_set(o, "format", "raw");
    }
    bd = block_dev_new(m->ctx, id, o, false, &err);
    if (!bd || !machine_object_add(m, "drive", id, bd, free_drive, &err)) g_error("%s", err.msg);
    options_free(o);
}

static Machine *machine_with(const char *path, const char *more)
{
    Machine *m = bare_new();

    add_drive(m, "floppy0", path, more);
    bare_add(m, "i8257", "dma");
    bare_add(m, "isa-fdc", "fdc", "driveA", "floppy0");
    return m;
}

static void setup(Fixture *f, gconstpointer data)
{
    f->kib = data ? GPOINTER_TO_UINT(data) : 1440;
    f->path = make_image(f->kib);
    f->m = machine_with(f->path, "");
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
    g_unlink(f->path);
    g_free(f->path);
}

/* -- a driver -- */

static void put(Machine *m, unsigned n, const uint8_t *bytes)
{
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmphex(in8(m, MSR) & (MSR_RQM | MSR_DIO), ==, MSR_RQM);
        out8(m, DATA, bytes[i]);
    }
}
#define PUT(m, ...) put(m, sizeof((uint8_t[]){ __VA_ARGS__ }), (const uint8_t[]){ __VA_ARGS__ })

/* The result, as hexadecimal text. */
static const char *result(Machine *m, char text[64])
{
    unsigned n = 0;

    text[0] = 0;
    while ((in8(m, MSR) & (MSR_RQM | MSR_DIO)) == (MSR_RQM | MSR_DIO) && n < 60) {
        g_snprintf(text + n, 4, n ? " %02x" : "%02x", in8(m, DATA));
        n = (unsigned)strlen(text);
    }
    return text;
}
#define EXPECT(m, want)                                                                            \
    do {                                                                                           \
        char text_[64];                                                                            \
        g_assert_cmpstr(result(m, text_), ==, want);                                               \
    } while (0)

static void program_dma(Machine *m, unsigned mode, unsigned bytes)
{
    out8(m, 0x0a, 6);
    out8(m, 0x0c, 0);
    out8(m, 0x0b, mode | 2);
    out8(m, 4, BUFFER & 0xff);
    out8(m, 4, BUFFER >> 8 & 0xff);
    out8(m, 5, (bytes - 1) & 0xff);
    out8(m, 5, (bytes - 1) >> 8);
    out8(m, 0x81, BUFFER >> 16);
    out8(m, 0x0a, 2);
}

/* Out of reset, motor on, rate set, head at track 0. */
static void start(Machine *m, unsigned rate)
{
    out8(m, DOR, 0);
    out8(m, DOR, 0x1c);
    for (int i = 0; i < 4; i++) {
        char text[64];

        PUT(m, 0x08);
        g_assert_cmpint(result(m, text)[1], ==, '0' + i); /* "c0 00" */
        g_assert_cmpint(text[0], ==, 'c');
    }
    out8(m, CCR, rate);
    PUT(m, 0x03, 0xaf, 0x02);
    PUT(m, 0x07, 0);
    PUT(m, 0x08);
    EXPECT(m, "20 00");
}

static uint8_t ram(Machine *m, uint32_t gpa)
{
    uint8_t byte;

    mem_read(m, (MemAttrs){ .cpu = NULL }, gpa, &byte, 1);
    return byte;
}

static void fill(Machine *m, unsigned bytes, unsigned sector)
{
    for (unsigned i = 0; i < bytes; i++) {
        uint8_t byte = pattern(sector + i / FDC_SECTOR, i % FDC_SECTOR);

        mem_write(m, (MemAttrs){ .cpu = NULL }, BUFFER + i, &byte, 1);
    }
}

static void check_buffer(Machine *m, unsigned sector, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        g_assert_cmphex(ram(m, BUFFER + i), ==, pattern(sector + i / FDC_SECTOR, i % FDC_SECTOR));
}

static uint8_t on_disk(Fixture *f, unsigned sector, unsigned i)
{
    uint8_t byte = 0;
    int fd = g_open(f->path, O_RDONLY, 0);

    g_assert_cmpint(pread(fd, &byte, 1, sector * FDC_SECTOR + i), ==, 1);
    close(fd);
    return byte;
}

/* -- registers and settings -- */

static void test_reset(Fixture *f, gconstpointer data)
{
    (void)data;
    g_assert_cmphex(in8(f->m, MSR), ==, MSR_RQM);
    g_assert_cmphex(in8(f->m, DOR), ==, 0x0c);
    g_assert_false(bare_irq(f->m, IRQ));
    out8(f->m, DOR, 0x08);
    g_assert_cmphex(in8(f->m, MSR), ==, 0);
    g_assert_false(bare_irq(f->m, IRQ));
    out8(f->m, DOR, 0x0c);
    g_assert_true(bare_irq(f->m, IRQ));
    start(f->m, 0);
    PUT(f->m, 0x08); /* nothing more to tell */
    EXPECT(f->m, "80");
    out8(f->m, DSR, 0x80); /* resets itself */
    g_assert_cmphex(in8(f->m, MSR), ==, MSR_RQM);
    g_assert_true(bare_irq(f->m, IRQ));
    out8(f->m, DOR, 0x14); /* the gate is shut */
    g_assert_false(bare_irq(f->m, IRQ));
    out8(f->m, TDR, 0xff);
    g_assert_cmphex(in8(f->m, TDR), ==, 3);
    PUT(f->m, 0x1f);
    EXPECT(f->m, "80");
}

static void test_settings(Fixture *f, gconstpointer data)
{
    (void)data;
    start(f->m, 0);
    PUT(f->m, 0x10);
    EXPECT(f->m, "90");
    PUT(f->m, 0x18);
    EXPECT(f->m, "41");
    PUT(f->m, 0x13, 0, 0x57, 0x20);
    PUT(f->m, 0x12, 0x87);
    PUT(f->m, 0x03, 0xd5, 0x0a);
    PUT(f->m, 0x0f, 0, 5);
    PUT(f->m, 0x08);
    EXPECT(f->m, "20 05");
    PUT(f->m, 0x0e);
    EXPECT(f->m, "05 00 00 00 d5 0a 00 07 57 20");
    PUT(f->m, 0x94);
    EXPECT(f->m, "10");
    out8(f->m, DSR, 0x80);
    PUT(f->m, 0x0e); /* locked: the FIFO's settings stay, the others do not */
    EXPECT(f->m, "05 00 00 00 d5 0a 00 84 07 20");
    PUT(f->m, 0x14);
    EXPECT(f->m, "00");
    out8(f->m, DSR, 0x80);
    PUT(f->m, 0x0e);
    EXPECT(f->m, "05 00 00 00 d5 0a 00 04 20 00");
    PUT(f->m, 0x8e, 0x05, 0x26, 0x80);
    EXPECT(f->m, "05 06 00 00");
    PUT(f->m, 0x8e, 0x05, 0xc0);
    g_assert_cmphex(in8(f->m, MSR), ==, MSR_RQM);
    PUT(f->m, 0x04, 0);
    EXPECT(f->m, "28");
    PUT(f->m, 0x04, 0x05); /* no second drive: its lines are high */
    EXPECT(f->m, "2d");
}

static void test_heads(Fixture *f, gconstpointer data)
{
    (void)data;
    start(f->m, 0);
    PUT(f->m, 0x0f, 4, 40);
    g_assert_true(bare_irq(f->m, IRQ));
    PUT(f->m, 0x08);
    EXPECT(f->m, "20 28");
    g_assert_false(bare_irq(f->m, IRQ));
    PUT(f->m, 0xcf, 0, 10);
    PUT(f->m, 0x08);
    EXPECT(f->m, "20 32");
    PUT(f->m, 0x8f, 0, 20);
    PUT(f->m, 0x08);
    EXPECT(f->m, "20 1e");
    PUT(f->m, 0x0f, 0, 200); /* the last cylinder stops it */
    PUT(f->m, 0x08);
    EXPECT(f->m, "20 4f");
    PUT(f->m, 0x07, 0);
    PUT(f->m, 0x08);
    EXPECT(f->m, "20 00");
    PUT(f->m, 0x04, 0);
    EXPECT(f->m, "38");
    PUT(f->m, 0x07, 1); /* there is no drive B: track 0 never comes */
    PUT(f->m, 0x08);
    EXPECT(f->m, "71 00");
}

/* -- reading and writing -- */

static void test_read(Fixture *f, gconstpointer data)
{
    (void)data;
    start(f->m, 0);
    program_dma(f->m, 0x44, 1024);
    PUT(f->m, READ, 0, 0, 0, 3, 2, 18, 0x1b, 0xff);
    g_assert_cmphex(in8(f->m, MSR), ==, MSR_BUSY);
    g_assert_false(bare_irq(f->m, IRQ));
    bare_run(f->m, LONG_NS);
    g_assert_true(bare_irq(f->m, IRQ));
    EXPECT(f->m, "00 00 00 00 00 05 02");
    g_assert_false(bare_irq(f->m, IRQ));
    check_buffer(f->m, 2, 1024);
    /* Both sides of a cylinder, to its end. */
    program_dma(f->m, 0x44, 36 * FDC_SECTOR);
    PUT(f->m, READ, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "00 00 00 01 00 01 02");
    check_buffer(f->m, 0, 36 * FDC_SECTOR);
    /* Terminal count in the midst of a sector. */
    program_dma(f->m, 0x44, 600);
    PUT(f->m, READ, 4, 0, 1, 1, 2, 18, 0x1b, 0xff);
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "04 00 00 00 01 03 02");
    check_buffer(f->m, 18, 600);
    g_assert_cmphex(ram(f->m, BUFFER + 600), ==, pattern(1, 88)); /* from the read before */
}

static void test_end_of_cylinder(Fixture *f, gconstpointer data)
{
    (void)data;
    start(f->m, 0);
    program_dma(f->m, 0x44, 10 * FDC_SECTOR);
    PUT(f->m, READ_ONE_SIDE, 0, 0, 0, 17, 2, 18, 0x1b, 0xff);
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "40 80 00 01 00 01 02");
    check_buffer(f->m, 16, 2 * FDC_SECTOR);
    program_dma(f->m, 0x44, 10 * FDC_SECTOR);
    PUT(f->m, READ_ONE_SIDE, 0, 0, 0, 17, 2, 21, 0x1b, 0xff); /* no sector 19 comes */
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "40 04 00 00 00 13 02");
}

static void test_wrong(Fixture *f, gconstpointer data)
{
    (void)data;
    start(f->m, 0);
    program_dma(f->m, 0x44, 512);
    PUT(f->m, READ, 0, 0, 0, 19, 2, 19, 0x1b, 0xff); /* no such sector */
    EXPECT(f->m, "40 04 00 00 00 13 02");
    PUT(f->m, READ, 0, 7, 0, 1, 2, 18, 0x1b, 0xff); /* another cylinder */
    EXPECT(f->m, "40 04 10 00 00 01 02");
    PUT(f->m, READ, 0, 0, 0, 1, 3, 18, 0x1b, 0xff); /* another size */
    EXPECT(f->m, "40 04 00 00 00 01 02");
    PUT(f->m, READ, 1, 0, 0, 1, 2, 18, 0x1b, 0xff); /* no drive */
    EXPECT(f->m, "41 01 00 00 00 00 02");
    out8(f->m, CCR, 2); /* the wrong rate */
    PUT(f->m, READ, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    EXPECT(f->m, "40 01 00 00 00 01 02");
    PUT(f->m, 0x4a, 0);
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "40 01 00 00 00 01 02");
    out8(f->m, CCR, 0);
    PUT(f->m, 0x13, 0, 0x60, 0); /* implied seeks */
    PUT(f->m, READ, 0, 7, 0, 1, 2, 18, 0x1b, 0xff);
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "00 00 00 07 00 02 02");
    check_buffer(f->m, 7 * 36, 512);
}

static void test_write(Fixture *f, gconstpointer data)
{
    (void)data;
    start(f->m, 0);
    fill(f->m, 3 * FDC_SECTOR, 1000);
    program_dma(f->m, 0x48, 3 * FDC_SECTOR);
    PUT(f->m, WRITE, 0, 0, 0, 17, 2, 18, 0x1b, 0xff);
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "04 00 00 00 01 02 02");
    for (unsigned i = 0; i < 3 * FDC_SECTOR; i++)
        g_assert_cmphex(on_disk(f, 16 + i / FDC_SECTOR, i % FDC_SECTOR), ==,
            pattern(1000 + i / FDC_SECTOR, i % FDC_SECTOR));
    g_assert_cmphex(on_disk(f, 19, 0), ==, pattern(19, 0));
    /* A short block is filled up with zeroes. */
    program_dma(f->m, 0x48, 100);
    PUT(f->m, 0x49, 0, 0, 0, 1, 2, 18, 0x1b, 0xff); /* WRITE DELETED */
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "00 00 00 00 00 02 02");
    g_assert_cmphex(on_disk(f, 0, 99), ==, pattern(1000, 99));
    g_assert_cmphex(on_disk(f, 0, 100), ==, 0);
    g_assert_cmphex(on_disk(f, 1, 0), ==, pattern(1, 0));
}

static void test_protected(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
    f->m = machine_with(f->path, "readonly=on");
    start(f->m, 0);
    PUT(f->m, WRITE, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    EXPECT(f->m, "40 02 00 00 00 01 02");
    PUT(f->m, 0x4d, 0, 2, 18, 0x54, 0xf6);
    EXPECT(f->m, "40 02 00 00 00 01 02");
    PUT(f->m, 0x04, 0);
    EXPECT(f->m, "78");
}

static void test_format(Fixture *f, gconstpointer data)
{
    (void)data;
    start(f->m, 0);
    for (unsigned i = 0; i < 18; i++) {
        uint8_t id[4] = { 0, 1, (uint8_t)(18 - i), 2 };

        mem_write(f->m, (MemAttrs){ .cpu = NULL }, BUFFER + 4 * i, id, 4);
    }
    program_dma(f->m, 0x48, 72);
    PUT(f->m, 0x4d, 4, 2, 18, 0x54, 0xf6);
    bare_run(f->m, LONG_NS);
    g_assert_true(bare_irq(f->m, IRQ));
    g_assert_cmphex(in8(f->m, DATA), ==, 0x04);
    g_assert_cmphex(on_disk(f, 17, 511), ==, pattern(17, 511));
    for (unsigned i = 0; i < 18 * FDC_SECTOR; i++)
        g_assert_cmphex(on_disk(f, 18 + i / FDC_SECTOR, i % FDC_SECTOR), ==, 0xf6);
    g_assert_cmphex(on_disk(f, 36, 0), ==, pattern(36, 0));
}

static void test_read_kinds(Fixture *f, gconstpointer data)
{
    (void)data;
    start(f->m, 0);
    PUT(f->m, 0x4a, 4); /* READ ID: the next one each time */
    g_assert_cmphex(in8(f->m, MSR), ==, MSR_BUSY);
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "04 00 00 00 01 02 02");
    PUT(f->m, 0x4a, 4);
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "04 00 00 00 01 03 02");
    program_dma(f->m, 0x44, 4 * FDC_SECTOR);
    PUT(f->m, 0x4c, 0, 0, 0, 5, 2, 18, 0x1b, 0xff); /* READ DELETED: a normal one ends it */
    bare_run(f->m, LONG_NS);
    check_buffer(f->m, 4, FDC_SECTOR);
    g_assert_cmphex(in8(f->m, DATA), ==, 0);
    g_assert_cmphex(in8(f->m, DATA), ==, 0);
    g_assert_cmphex(in8(f->m, DATA), ==, ST2_CONTROL_MARK);
    while (in8(f->m, MSR) & MSR_BUSY) in8(f->m, DATA);
    PUT(f->m, 0x6c, 0, 0, 0, 5, 2, 18, 0x1b, 0xff); /* SK: none is there */
    EXPECT(f->m, "00 00 40 01 00 01 02");
    program_dma(f->m, 0x44, 2 * FDC_SECTOR);
    PUT(f->m, 0x42, 0, 0, 0, 9, 2, 18, 0x1b, 0xff); /* READ TRACK, from the index hole */
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "00 00 00 00 00 03 02");
    check_buffer(f->m, 0, 2 * FDC_SECTOR);
    PUT(f->m, 0x56, 0x80, 0, 0, 4, 2, 18, 0x1b, 3); /* VERIFY of three */
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "00 00 00 00 00 07 02");
    PUT(f->m, 0x56, 0, 0, 0, 4, 2, 18, 0x1b, 0xff); /* to the end */
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "00 00 00 01 00 01 02");
}

static void test_scan(Fixture *f, gconstpointer data)
{
    static const struct {
        uint8_t op;
        int delta; /* of the medium's second sector against memory */
        const char *want;
    } cases[] = {
        { 0x51, 0, "00 00 08 00 00 03 02" },
        { 0x59, -1, "00 00 00 00 00 03 02" },
        { 0x59, 0, "00 00 08 00 00 03 02" },
        { 0x5d, 1, "00 00 00 00 00 03 02" },
    };

    (void)data;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        start(f->m, 0);
        for (unsigned n = 0; n < 18; n++) {
            uint8_t host[FDC_SECTOR];

            /* The first sector misses, whichever way. */
            for (unsigned k = 0; k < FDC_SECTOR; k++) host[k] = pattern(n, k);
            if (n == 0) host[0] = (uint8_t)(cases[i].op == 0x59 ? host[0] - 1 : host[0] + 1);
            if (n == 1) host[0] = (uint8_t)(host[0] - cases[i].delta);
            if (n == 1) host[7] = 0xff; /* matches anything */
            mem_write(f->m, (MemAttrs){ .cpu = NULL }, BUFFER + n * FDC_SECTOR, host, FDC_SECTOR);
        }
        program_dma(f->m, 0x48, 18 * FDC_SECTOR);
        PUT(f->m, cases[i].op, 0, 0, 0, 1, 2, 18, 0x1b, 1);
        bare_run(f->m, LONG_NS);
        {
            char text[64];

            /* The result's sector is that of the hit, or the one behind it. */
            result(f->m, text);
            g_assert_cmpmem(text, 9, cases[i].want, 9);
            g_assert_cmpint(text[16], >=, '2');
        }
    }
    fill(f->m, 2 * FDC_SECTOR, 500);
    program_dma(f->m, 0x48, 2 * FDC_SECTOR);
    PUT(f->m, 0x51, 0, 0, 0, 1, 2, 2, 0x1b, 1);
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "00 00 04 00 00 02 02");
}

/* -- by the port -- */

static void test_port(Fixture *f, gconstpointer data)
{
    (void)data;
    start(f->m, 0);
    PUT(f->m, 0x03, 0xaf, 0x03);
    PUT(f->m, READ_ONE_SIDE, 0, 0, 0, 17, 2, 18, 0x1b, 0xff);
    g_assert_cmphex(in8(f->m, MSR), ==, MSR_BUSY | MSR_NONDMA);
    for (unsigned i = 0; i < 2 * FDC_SECTOR; i++) {
        if (i % FDC_SECTOR == 0) bare_run(f->m, LONG_NS);
        g_assert_true(bare_irq(f->m, IRQ));
        g_assert_cmphex(in8(f->m, MSR), ==, MSR_RQM | MSR_DIO | MSR_NONDMA | MSR_BUSY);
        g_assert_cmphex(in8(f->m, DATA), ==, pattern(16 + i / FDC_SECTOR, i % FDC_SECTOR));
    }
    EXPECT(f->m, "40 80 00 01 00 01 02"); /* nobody counts, so the cylinder ends it */
    PUT(f->m, 0x45, 0, 0, 0, 18, 2, 18, 0x1b, 0xff);
    for (unsigned i = 0; i < FDC_SECTOR; i++) {
        g_assert_cmphex(in8(f->m, MSR), ==, MSR_RQM | MSR_NONDMA | MSR_BUSY);
        out8(f->m, DATA, 0x55);
    }
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "40 80 00 01 00 01 02");
    g_assert_cmphex(on_disk(f, 17, 0), ==, 0x55);
    g_assert_cmphex(on_disk(f, 17, 511), ==, 0x55);
}

/* An interrupt for each burst of the FIFO. */
static void test_port_bursts(Fixture *f, gconstpointer data)
{
    unsigned rises;

    (void)data;
    start(f->m, 0);
    PUT(f->m, 0x03, 0xaf, 0x03);
    PUT(f->m, 0x13, 0, 0x08, 0);
    PUT(f->m, READ_ONE_SIDE, 0, 0, 0, 18, 2, 18, 0x1b, 0xff);
    rises = bare_rises(f->m, IRQ);
    bare_run(f->m, LONG_NS);
    for (unsigned i = 0; i < FDC_SECTOR; i++) in8(f->m, DATA);
    g_assert_cmpuint(bare_rises(f->m, IRQ) - rises, ==, FDC_SECTOR / 8 + 1);
}

/* -- DMA that is late -- */

static void test_late_dma(Fixture *f, gconstpointer data)
{
    (void)data;
    start(f->m, 0);
    program_dma(f->m, 0x44, 1024);
    out8(f->m, 0x0a, 6);
    PUT(f->m, READ, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    bare_run(f->m, LONG_NS);
    g_assert_cmphex(in8(f->m, MSR), ==, MSR_BUSY);
    g_assert_cmphex(in8(f->m, 0x08) & 0x40, ==, 0x40);
    out8(f->m, 0x0a, 2);
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "00 00 00 00 00 03 02");
    check_buffer(f->m, 0, 1024);
    g_assert_cmphex(in8(f->m, 0x08) & 0x40, ==, 0);
    /* A reset ends what never comes. */
    PUT(f->m, READ, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    bare_run(f->m, LONG_NS);
    start(f->m, 0);
    g_assert_cmphex(in8(f->m, 0x08) & 0x40, ==, 0);
}

/* -- media -- */

static void test_change(Fixture *f, gconstpointer data)
{
    BlockDev *bd = machine_object(f->m, "drive", "floppy0");
    char *other = make_image(720);
    Error err = ERROR_INIT;

    (void)data;
    start(f->m, 0);
    g_assert_cmphex(in8(f->m, DIR_REG) & 0x80, ==, 0); /* the head has been moved */
    if (!block_dev_change(bd, NULL, NULL, true, &err)) g_error("%s", err.msg);
    g_assert_cmphex(in8(f->m, DIR_REG) & 0x80, ==, 0x80);
    PUT(f->m, 0x0f, 0, 1); /* no medium: the line stays */
    PUT(f->m, 0x08);
    EXPECT(f->m, "20 01");
    g_assert_cmphex(in8(f->m, DIR_REG) & 0x80, ==, 0x80);
    PUT(f->m, READ, 0, 1, 0, 1, 2, 18, 0x1b, 0xff);
    EXPECT(f->m, "40 01 00 01 00 01 02");
    if (!block_dev_change(bd, other, "raw", false, &err)) g_error("%s", err.msg);
    g_assert_cmphex(in8(f->m, DIR_REG) & 0x80, ==, 0x80);
    out8(f->m, DOR, 0x0c); /* the line is read with the motor on */
    g_assert_cmphex(in8(f->m, DIR_REG) & 0x80, ==, 0);
    start(f->m, 2);
    g_assert_cmphex(in8(f->m, DIR_REG) & 0x80, ==, 0);
    program_dma(f->m, 0x44, 512);
    PUT(f->m, READ, 4, 0, 1, 9, 2, 9, 0x1b, 0xff);
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "00 00 00 01 00 01 02");
    check_buffer(f->m, 17, 512);
    g_unlink(other);
    g_free(other);
}

/* The last sector of media of every size, at the rate they are recorded at. */
static void test_sizes(void)
{
    static const struct {
        unsigned kib, type, rate, track, head, sector;
    } media[] = { { 160, FDC_120, 2, 39, 0, 8 }, { 180, FDC_120, 1, 39, 0, 9 },
        { 320, FDC_120, 2, 39, 1, 8 }, { 360, FDC_120, 1, 39, 1, 9 }, { 720, FDC_144, 2, 79, 1, 9 },
        { 1200, FDC_120, 0, 79, 1, 15 }, { 1440, FDC_144, 0, 79, 1, 18 },
        { 1680, FDC_144, 0, 79, 1, 21 }, { 1743, FDC_144, 0, 82, 1, 21 },
        { 2880, FDC_288, 3, 79, 1, 36 }, { 3840, FDC_288, 3, 79, 1, 48 } };

    for (unsigned i = 0; i < ARRAY_SIZE(media); i++) {
        char *path = make_image(media[i].kib);
        Machine *m = machine_with(path, "");
        uint8_t last = (uint8_t)media[i].sector, unit = (uint8_t)(media[i].head << 2);

        g_assert_cmpuint(fdc_drive_type(device_find(m, "fdc"), 0), ==, media[i].type);
        g_assert_cmpuint(fdc_drive_type(device_find(m, "fdc"), 1), ==, FDC_NONE);
        start(m, media[i].rate);
        PUT(m, 0x0f, unit, (uint8_t)media[i].track);
        PUT(m, 0x08);
        while (in8(m, MSR) & MSR_BUSY) in8(m, DATA);
        program_dma(m, 0x44, 512);
        PUT(m, 0x46, unit, (uint8_t)media[i].track, (uint8_t)media[i].head, last, 2, last, 27, 255);
        bare_run(m, LONG_NS);
        g_assert_cmphex(in8(m, DATA), ==, unit);
        check_buffer(m, media[i].kib * 2 - 1, 512);
        machine_free(m);
        g_unlink(path);
        g_free(path);
    }
}

/* -- host errors -- */

static void replace_by_failing(Fixture *f, const char *fault, const char *more)
{
    char *file = g_strdup_printf("fault:%s:%s", fault, f->path);

    machine_free(f->m);
    f->m = machine_with(file, more);
    start(f->m, 0);
    g_free(file);
}

static void test_host_errors(Fixture *f, gconstpointer data)
{
    (void)data;
    /* What was read ahead fails, and the first sector alone. */
    replace_by_failing(f, "eio,at=1,times=2,reads=on", "");
    program_dma(f->m, 0x44, 4 * FDC_SECTOR);
    PUT(f->m, READ, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "40 20 00 00 00 01 02");
    program_dma(f->m, 0x44, 4 * FDC_SECTOR);
    PUT(f->m, READ, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "00 00 00 00 00 05 02");
    replace_by_failing(f, "eio,at=2", "");
    fill(f->m, 3 * FDC_SECTOR, 300);
    program_dma(f->m, 0x48, 3 * FDC_SECTOR);
    PUT(f->m, WRITE, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "40 20 00 00 00 02 02");
    replace_by_failing(f, "eio,at=1,times=0", "werror=ignore");
    program_dma(f->m, 0x48, FDC_SECTOR);
    PUT(f->m, WRITE, 0, 0, 0, 9, 2, 18, 0x1b, 0xff);
    bare_run(f->m, LONG_NS);
    EXPECT(f->m, "00 00 00 00 00 0a 02");
    g_assert_cmphex(on_disk(f, 8, 0), ==, pattern(8, 0));
}

/* A full host stops the machine; the sector is written once there is room. */
static void test_host_full(Fixture *f, gconstpointer data)
{
    (void)data;
    replace_by_failing(f, "enospc,at=2", "");
    fill(f->m, 3 * FDC_SECTOR, 300);
    program_dma(f->m, 0x48, 3 * FDC_SECTOR);
    PUT(f->m, WRITE, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    for (int i = 0; i < 10 && f->m->run_state == RUN_RUNNING; i++) {
        clock_warp(&f->m->clock);
        clock_run_timers(&f->m->clock);
    }
    g_assert_cmpint(f->m->run_state, ==, RUN_IO_ERROR);
    g_assert_cmphex(in8(f->m, MSR), ==, MSR_BUSY);
    machine_set_run_state(f->m, RUN_RUNNING);
    bare_run(f->m, LONG_NS); /* there is room now */
    EXPECT(f->m, "00 00 00 00 00 04 02");
    for (unsigned i = 0; i < 3; i++) g_assert_cmphex(on_disk(f, i, 5), ==, pattern(300 + i, 5));
}

/* -- saves -- */

/* A transfer is taken over by a twin at every point of it, and ends there as it would have here. */
static void test_twins(Fixture *f, gconstpointer data)
{
    static const uint8_t ops[] = { READ, 0x51, 0x56, WRITE };

    (void)data;
    for (unsigned op = 0; op < ARRAY_SIZE(ops); op++) {
        for (int64_t at = 0; at < 5; at++) {
            char *path = make_image(1440);
            Machine *twin = machine_with(path, "");
            char want[64], got[64];

            start(f->m, 0);
            fill(f->m, 4 * FDC_SECTOR, op == 3 ? 700 : 0);
            program_dma(f->m, op ? 0x48 : 0x44, 3 * FDC_SECTOR);
            PUT(f->m, ops[op], 0, 0, 0, 1, 2, 18, 0x1b, 0x01);
            bare_run(f->m, at * 15000);
            bare_copy(twin, f->m);
            bare_run(f->m, LONG_NS);
            bare_run(twin, LONG_NS);
            g_assert_cmpint(bare_irq(f->m, IRQ), ==, bare_irq(twin, IRQ));
            result(f->m, want);
            g_assert_cmpstr(result(twin, got), ==, want);
            g_assert_cmpint(strlen(want), ==, 20);
            for (unsigned i = 0; i < 4 * FDC_SECTOR; i++)
                g_assert_cmphex(ram(twin, BUFFER + i), ==, ram(f->m, BUFFER + i));
            machine_free(twin);
            g_unlink(path);
            g_free(path);
        }
    }
}

#define CASE(name) g_test_add("/device/fdc/" #name, Fixture, NULL, setup, test_##name, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    CASE(reset);
    CASE(settings);
    CASE(heads);
    CASE(read);
    CASE(end_of_cylinder);
    CASE(wrong);
    CASE(write);
    CASE(protected);
    CASE(format);
    CASE(read_kinds);
    CASE(scan);
    CASE(port);
    CASE(port_bursts);
    CASE(late_dma);
    CASE(change);
    g_test_add_func("/device/fdc/sizes", test_sizes);
    CASE(host_errors);
    CASE(host_full);
    CASE(twins);
    return g_test_run();
}
