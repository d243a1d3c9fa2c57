/* SPDX-License-Identifier: MIT */
/* The DMA controllers: registers, transfers of a device, terminal count, wrap. */
#include "hw/dma.h"

#include "tests/device/bare.h"

typedef struct Fixture {
    Machine *m;
    unsigned ready;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    (void)data;
    f->m = bare_new();
    bare_add(f->m, "i8257", "dma1");
    bare_add(f->m, "i8257", "dma2", "base", "0xc0", "page-base", "0x88", "dshift", "1");
    f->ready = 0;
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
}

/* A channel of the first controller. */
static void program(Fixture *f, unsigned ch, unsigned mode, uint32_t address, unsigned bytes)
{
    static const uint8_t pages[] = { 0x87, 0x83, 0x81, 0x82 };

    out8(f->m, 0x0a, 4 | ch);
    out8(f->m, 0x0c, 0);
    out8(f->m, 0x0b, mode | ch);
    out8(f->m, 2 * ch, address & 0xff);
    out8(f->m, 2 * ch, address >> 8);
    out8(f->m, 2 * ch + 1, (bytes - 1) & 0xff);
    out8(f->m, 2 * ch + 1, (bytes - 1) >> 8);
    out8(f->m, pages[ch], address >> 16);
    out8(f->m, 0x0a, ch);
}

static unsigned word(Fixture *f, unsigned port)
{
    unsigned low = in8(f->m, port);

    return low | in8(f->m, port) << 8;
}

static uint8_t ram(Fixture *f, uint32_t gpa)
{
    uint8_t byte;

    mem_read(f->m, (MemAttrs){ .cpu = NULL }, gpa, &byte, 1);
    return byte;
}

static void test_to_memory(Fixture *f, gconstpointer data)
{
    uint8_t buf[300];
    bool tc;

    (void)data;
    for (unsigned i = 0; i < sizeof(buf); i++) buf[i] = (uint8_t)(i * 7);
    program(f, 2, 0x44, 0x23456, 300);
    g_assert_cmpuint(isa_dma_space(f->m, 2), ==, 300);
    g_assert_cmpint(isa_dma_direction(f->m, 2), ==, ISA_DMA_TO_MEMORY);
    g_assert_cmpuint(isa_dma_move(f->m, 2, buf, 100, &tc), ==, 100);
    g_assert_false(tc);
    out8(f->m, 0x0c, 0);
    g_assert_cmphex(word(f, 4), ==, 0x3456 + 100);
    g_assert_cmpuint(word(f, 5), ==, 199);
    g_assert_cmphex(in8(f->m, 0x08) & 0x0f, ==, 0);
    g_assert_cmpuint(isa_dma_move(f->m, 2, buf + 100, 1000, &tc), ==, 200);
    g_assert_true(tc);
    for (unsigned i = 0; i < sizeof(buf); i++) g_assert_cmphex(ram(f, 0x23456 + i), ==, buf[i]);
    g_assert_cmphex(in8(f->m, 0x08), ==, 0x04); /* and reading clears */
    g_assert_cmphex(in8(f->m, 0x08), ==, 0x00);
    g_assert_cmpuint(word(f, 5), ==, 0xffff);
    g_assert_cmpuint(isa_dma_space(f->m, 2), ==, 0); /* masked by itself */
    g_assert_cmphex(in8(f->m, 0x0f) & 4, ==, 4);
}

static void test_from_memory(Fixture *f, gconstpointer data)
{
    uint8_t text[5] = "hallo", buf[5];
    bool tc;

    (void)data;
    mem_write(f->m, (MemAttrs){ .cpu = NULL }, 0x8000, text, 5);
    program(f, 1, 0x48, 0x8000, 5);
    g_assert_cmpint(isa_dma_direction(f->m, 1), ==, ISA_DMA_FROM_MEMORY);
    g_assert_cmpuint(isa_dma_move(f->m, 1, buf, 5, &tc), ==, 5);
    g_assert_true(tc);
    g_assert_cmpmem(buf, 5, text, 5);
}

static void test_autoinit(Fixture *f, gconstpointer data)
{
    uint8_t buf[16] = { 1, 2, 3 };
    bool tc;

    (void)data;
    program(f, 3, 0x54, 0x9000, 16);
    for (int i = 0; i < 3; i++) {
        g_assert_cmpuint(isa_dma_move(f->m, 3, buf, 16, &tc), ==, 16);
        g_assert_true(tc);
        g_assert_cmpuint(isa_dma_space(f->m, 3), ==, 16);
    }
    out8(f->m, 0x0c, 0);
    g_assert_cmphex(word(f, 6), ==, 0x9000);
    g_assert_cmpuint(word(f, 7), ==, 15);
}

static void test_down(Fixture *f, gconstpointer data)
{
    uint8_t buf[4] = { 1, 2, 3, 4 };
    bool tc;

    (void)data;
    program(f, 1, 0x64, 0x8003, 4);
    isa_dma_move(f->m, 1, buf, 4, &tc);
    g_assert_true(tc);
    for (unsigned i = 0; i < 4; i++) g_assert_cmphex(ram(f, 0x8003 - i), ==, buf[i]);
}

/* The address counter wraps inside its 64 KiB. */
static void test_wrap(Fixture *f, gconstpointer data)
{
    uint8_t buf[4] = { 0x11, 0x22, 0x33, 0x44 };
    bool tc;

    (void)data;
    program(f, 1, 0x44, 0x2fffe, 4);
    isa_dma_move(f->m, 1, buf, 4, &tc);
    g_assert_cmphex(ram(f, 0x2fffe), ==, 0x11);
    g_assert_cmphex(ram(f, 0x2ffff), ==, 0x22);
    g_assert_cmphex(ram(f, 0x20000), ==, 0x33);
    g_assert_cmphex(ram(f, 0x20001), ==, 0x44);
    g_assert_cmphex(ram(f, 0x30000), ==, 0);
}

/* Channel 5 counts words; its address lines are shifted by one. */
static void test_words(Fixture *f, gconstpointer data)
{
    uint8_t buf[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    bool tc;

    (void)data;
    out8(f->m, 0xd8, 0);
    out8(f->m, 0xd6, 0x45);
    out8(f->m, 0xc4, 0x00);
    out8(f->m, 0xc4, 0x10); /* 1000h: byte 2000h */
    out8(f->m, 0xc6, 3);
    out8(f->m, 0xc6, 0);
    out8(f->m, 0x8b, 0x03); /* bit 0 is not used */
    out8(f->m, 0xd4, 0x01);
    g_assert_cmpuint(isa_dma_space(f->m, 5), ==, 8);
    g_assert_cmpuint(isa_dma_move(f->m, 5, buf, 5, &tc), ==, 4); /* whole words */
    out8(f->m, 0xd8, 0);
    g_assert_cmphex(word(f, 0xc4), ==, 0x1002);
    g_assert_cmpuint(word(f, 0xc6), ==, 1);
    g_assert_cmpuint(isa_dma_move(f->m, 5, buf + 4, 4, &tc), ==, 4);
    g_assert_true(tc);
    for (unsigned i = 0; i < 8; i++) g_assert_cmphex(ram(f, 0x22000 + i), ==, buf[i]);
}

static void test_pages(Fixture *f, gconstpointer data)
{
    static const uint8_t ports[] = { 0x81, 0x82, 0x83, 0x87, 0x89, 0x8a, 0x8b, 0x8f };

    (void)data;
    for (unsigned i = 0; i < sizeof(ports); i++) out8(f->m, ports[i], 0x10 + i);
    for (unsigned i = 0; i < sizeof(ports); i++) g_assert_cmphex(in8(f->m, ports[i]), ==, 0x10 + i);
}

static void on_ready(void *opaque) { ((Fixture *)opaque)->ready++; }

static void test_requests(Fixture *f, gconstpointer data)
{
    IsaDmaClient client = { on_ready, f };
    Error err = ERROR_INIT;

    (void)data;
    g_assert_true(isa_dma_attach(f->m, 2, &client, &err));
    g_assert_false(isa_dma_attach(f->m, 2, &client, &err));
    program(f, 2, 0x44, 0x1000, 4);
    g_assert_cmpuint(f->ready, ==, 0);
    out8(f->m, 0x0a, 6);
    isa_dma_request(f->m, 2, true);
    g_assert_cmphex(in8(f->m, 0x08), ==, 0x40);
    g_assert_cmpuint(isa_dma_space(f->m, 2), ==, 0);
    out8(f->m, 0x0a, 2); /* unmasked: the device hears of it */
    g_assert_cmpuint(f->ready, ==, 1);
    g_assert_cmpuint(isa_dma_space(f->m, 2), ==, 4);
    out8(f->m, 0x08, 4); /* controller disabled */
    g_assert_cmpuint(isa_dma_space(f->m, 2), ==, 0);
    out8(f->m, 0x08, 0);
    g_assert_cmpuint(f->ready, ==, 2);
    out8(f->m, 0x0d, 0); /* master clear masks all */
    g_assert_cmphex(in8(f->m, 0x0f), ==, 0x0f);
    out8(f->m, 0x0e, 0);
    g_assert_cmphex(in8(f->m, 0x0f), ==, 0x00);
    isa_dma_request(f->m, 2, false);
    isa_dma_detach(f->m, 2);
    g_assert_false(isa_dma_attach(f->m, 8, &client, NULL));
}

#define CASE(name) g_test_add("/device/dma/" #name, Fixture, NULL, setup, test_##name, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    CASE(to_memory);
    CASE(from_memory);
    CASE(autoinit);
    CASE(down);
    CASE(wrap);
    CASE(words);
    CASE(pages);
    CASE(requests);
    return g_test_run();
}
