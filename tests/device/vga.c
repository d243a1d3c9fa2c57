/* SPDX-License-Identifier: MIT */
/*
 * The VGA through its ports and its window in memory: registers, planes against a plain model of
 * them, and the picture of every kind of mode against pixels reckoned here.
 */
#include "hw/vga.h"

#include <string.h>

enum { TEST_RAM = 1 << 20 };

static bool vga_test_init(Machine *m, Error *err)
{
    return device_create(m, "isa-vga", "vga", err, "vgamem_mb", "1", NULL) != NULL;
}
MACHINE(vga_test, .name = "vga-test", .desc = "a VGA and nothing else", .default_ram = TEST_RAM,
    .init = vga_test_init);

typedef struct Fixture {
    Machine *m;
    Vga *vga;
    Console *c;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    Error err = ERROR_INIT;

    (void)data;
    f->m = machine_new("vga-test", NULL, &err);
    g_assert_nonnull(f->m);
    if (!machine_init(f->m, &err)) g_error("%s", err.msg);
    f->vga = vga_of(device_find(f->m, "vga"));
    f->c = console_first(f->m);
    g_assert_nonnull(f->c);
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
}

/* -- how a guest reaches it -- */

static void out8(Fixture *f, unsigned port, unsigned val) { pio_write(f->m, port, val, 1); }
static unsigned in8(Fixture *f, unsigned port) { return pio_read(f->m, port, 1); }

static void set_index(Fixture *f, unsigned port, unsigned index, unsigned val)
{
    pio_write(f->m, port, index | val << 8, 2);
}

static unsigned get_index(Fixture *f, unsigned port, unsigned index)
{
    out8(f, port, index);
    return in8(f, port + 1);
}

static void set_attr(Fixture *f, unsigned index, unsigned val)
{
    in8(f, 0x3da);
    out8(f, 0x3c0, index);
    out8(f, 0x3c0, val);
}

static void vbe(Fixture *f, unsigned index, unsigned val)
{
    pio_write(f->m, 0x1ce, index, 2);
    pio_write(f->m, 0x1cf, val, 2);
}

static unsigned vbe_get(Fixture *f, unsigned index)
{
    pio_write(f->m, 0x1ce, index, 2);
    return pio_read(f->m, 0x1cf, 2);
}

static void poke(Fixture *f, uint32_t gpa, unsigned val)
{
    mem_store(f->m, (MemAttrs){ 0 }, gpa, val, 1);
}

static unsigned peek(Fixture *f, uint32_t gpa)
{
    return (unsigned)mem_load(f->m, (MemAttrs){ 0 }, gpa, 1);
}

/* -- the BIOS modes, as the IBM manual lists their registers -- */

typedef struct ModeRegs {
    uint8_t misc, seq[5], crtc[25], attr[20], gfx[9];
} ModeRegs;

static const ModeRegs mode_03 = { 0x67, { 0x03, 0x00, 0x03, 0x00, 0x02 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00,
        0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff },
    { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e,
        0x3f, 0x0c, 0x00, 0x0f, 0x08 },
    { 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff } };
static const ModeRegs mode_04 = { 0x63, { 0x03, 0x09, 0x03, 0x00, 0x02 },
    { 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff },
    { 0x00, 0x13, 0x15, 0x17, 0x02, 0x04, 0x06, 0x07, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16,
        0x17, 0x01, 0x00, 0x03, 0x00 },
    { 0x00, 0x00, 0x00, 0x00, 0x00, 0x30, 0x0f, 0x0f, 0xff } };
static const ModeRegs mode_06 = { 0x63, { 0x03, 0x01, 0x01, 0x00, 0x06 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x00, 0x96, 0xb9, 0xc2, 0xff },
    { 0x00, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17,
        0x17, 0x01, 0x00, 0x01, 0x00 },
    { 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0d, 0x0f, 0xff } };
static const ModeRegs mode_0d = { 0x63, { 0x03, 0x09, 0x0f, 0x00, 0x06 },
    { 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xe3, 0xff },
    { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16,
        0x17, 0x01, 0x00, 0x0f, 0x00 },
    { 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x0f, 0xff } };
static const ModeRegs mode_12 = { 0xe3, { 0x03, 0x01, 0x0f, 0x00, 0x06 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff },
    { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e,
        0x3f, 0x01, 0x00, 0x0f, 0x00 },
    { 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x0f, 0xff } };
static const ModeRegs mode_13 = { 0x63, { 0x03, 0x01, 0x0f, 0x00, 0x0e },
    { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff },
    { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e,
        0x0f, 0x41, 0x00, 0x0f, 0x00 },
    { 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x05, 0x0f, 0xff } };

/* The colour that the tests give to a DAC entry, and how it looks: six bits to eight. */
static unsigned dac_component(unsigned entry, unsigned i)
{
    static const unsigned factor[] = { 1, 3, 5 };

    return (entry * factor[i] + entry / 64) & 63;
}

static uint32_t rgb_of(unsigned entry)
{
    uint32_t rgb = 0;

    for (unsigned i = 0; i < 3; i++) {
        unsigned v = dac_component(entry, i);

        rgb = rgb << 8 | v << 2 | (v & 1 ? 3 : 0);
    }
    return rgb;
}

static void set_mode(Fixture *f, const ModeRegs *r)
{
    out8(f, 0x3c2, r->misc);
    for (unsigned i = 0; i < 5; i++) set_index(f, 0x3c4, i, r->seq[i]);
    set_index(f, 0x3d4, 0x11, 0);
    for (unsigned i = 0; i < 25; i++) set_index(f, 0x3d4, i, r->crtc[i]);
    for (unsigned i = 0; i < 9; i++) set_index(f, 0x3ce, i, r->gfx[i]);
    for (unsigned i = 0; i < 20; i++) set_attr(f, i, r->attr[i]);
    in8(f, 0x3da);
    out8(f, 0x3c0, 0x20);
    out8(f, 0x3c8, 0);
    for (unsigned i = 0; i < 768; i++) out8(f, 0x3c9, dac_component(i / 3, i % 3));
}

static uint32_t pixel(Fixture *f, unsigned x, unsigned y)
{
    g_assert_cmpuint(x, <, f->c->width);
    g_assert_cmpuint(y, <, f->c->height);
    return console_row(f->c, y)[x] & 0xffffff;
}

static void check_size(Fixture *f, unsigned width, unsigned height)
{
    console_refresh(f->c);
    g_assert_cmpuint(f->c->width, ==, width);
    g_assert_cmpuint(f->c->height, ==, height);
}

/* -- registers -- */

static void test_registers(Fixture *f, gconstpointer data)
{
    (void)data;
    /* Monochrome addresses answer until the miscellaneous register says colour. */
    out8(f, 0x3b4, 0x0e);
    g_assert_cmphex(in8(f, 0x3b4), ==, 0x0e);
    g_assert_cmphex(in8(f, 0x3d4), ==, 0xff);
    set_mode(f, &mode_03);
    g_assert_cmphex(in8(f, 0x3b4), ==, 0xff);
    g_assert_cmphex(in8(f, 0x3cc), ==, 0x67);
    for (unsigned i = 0; i < 25; i++) g_assert_cmphex(get_index(f, 0x3d4, i), ==, mode_03.crtc[i]);
    for (unsigned i = 0; i < 5; i++) g_assert_cmphex(get_index(f, 0x3c4, i), ==, mode_03.seq[i]);
    for (unsigned i = 0; i < 9; i++) g_assert_cmphex(get_index(f, 0x3ce, i), ==, mode_03.gfx[i]);
    /* Unused bits are not there. */
    set_index(f, 0x3c4, 2, 0xff);
    g_assert_cmphex(get_index(f, 0x3c4, 2), ==, 0x0f);
    set_index(f, 0x3ce, 5, 0xff);
    g_assert_cmphex(get_index(f, 0x3ce, 5), ==, 0x7b);
    /* CR11 bit 7 protects CR0-7 but for the line compare bit. */
    set_index(f, 0x3d4, 0x11, 0x8e);
    set_index(f, 0x3d4, 0x00, 0x12);
    set_index(f, 0x3d4, 0x07, 0x00);
    g_assert_cmphex(get_index(f, 0x3d4, 0x00), ==, 0x5f);
    g_assert_cmphex(get_index(f, 0x3d4, 0x07), ==, 0x0f);
}

static void test_attributes(Fixture *f, gconstpointer data)
{
    (void)data;
    set_mode(f, &mode_03);
    /* The flip-flop: index, data, index ... ; reading input status 1 starts over. */
    in8(f, 0x3da);
    out8(f, 0x3c0, 0x10);
    in8(f, 0x3da);
    out8(f, 0x3c0, 0x12);
    out8(f, 0x3c0, 0x05);
    out8(f, 0x3c0, 0x32);
    g_assert_cmphex(in8(f, 0x3c1), ==, 0x05);
    /* While the screen is on, the palette cannot be changed. */
    set_attr(f, 0x23, 0x3f);
    out8(f, 0x3c0, 0x23);
    g_assert_cmphex(in8(f, 0x3c1), ==, 0x03);
    set_attr(f, 0x03, 0x3f);
    out8(f, 0x3c0, 0x03);
    g_assert_cmphex(in8(f, 0x3c1), ==, 0x3f);
}

static void test_dac(Fixture *f, gconstpointer data)
{
    (void)data;
    out8(f, 0x3c8, 254);
    for (unsigned i = 0; i < 9; i++) out8(f, 0x3c9, 0x40 + 10 + i); /* runs over to entry 0 */
    g_assert_cmphex(in8(f, 0x3c7), ==, 0);
    g_assert_cmpuint(in8(f, 0x3c8), ==, 1);
    out8(f, 0x3c7, 255);
    g_assert_cmphex(in8(f, 0x3c7), ==, 3);
    for (unsigned i = 3; i < 9; i++) g_assert_cmpuint(in8(f, 0x3c9), ==, 10 + i);
    /* Eight bits where the dispi interface says so. */
    vbe(f, VBE_ENABLE, VBE_8BIT_DAC);
    out8(f, 0x3c8, 7);
    for (unsigned i = 0; i < 3; i++) out8(f, 0x3c9, 0xf0 + i);
    g_assert_cmphex(vga_colour(f->vga->s, 7), ==, 0xf0f1f2);
    out8(f, 0x3c6, 0x0f);
    g_assert_cmphex(vga_colour(f->vga->s, 0xf7), ==, 0xf0f1f2);
}

/* Input status 1 follows the clock: 449 lines of 900 dots at 28.322 MHz in mode 3. */
static void test_retrace(Fixture *f, gconstpointer data)
{
    const double line_ns = 900 * 1e6 / 28322, frame_ns = 449 * line_ns;
    static const struct {
        double line, part;
        unsigned status;
    } at[] = { { 0, 0.1, 0 }, { 10, 0.9, 1 }, { 399, 0.5, 0 }, { 400, 0.5, 1 }, { 411, 0.5, 1 },
        { 412, 0.5, 9 }, { 413, 0.5, 9 }, { 414, 0.5, 1 }, { 448, 0.5, 1 } };

    (void)data;
    set_mode(f, &mode_03);
    for (unsigned frame = 0; frame < 1000; frame += 333) {
        for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
            double ns = frame * frame_ns + (at[i].line + at[i].part) * line_ns;

            clock_set(&f->m->clock, (int64_t)ns);
            g_assert_cmphex(in8(f, 0x3da), ==, at[i].status);
        }
    }
}

/* -- planes against a plain model: bit by bit, plane by plane -- */

typedef struct Model {
    uint8_t plane[4][0x10000], latch[4];
    uint8_t sr2, gr[9];
} Model;

static uint8_t model_read(Model *m, uint32_t at)
{
    uint8_t match = 0xff;

    for (unsigned p = 0; p < 4; p++) m->latch[p] = m->plane[p][at];
    if (!(m->gr[5] & 8)) return m->latch[m->gr[4] & 3];
    for (unsigned bit = 0; bit < 8; bit++) {
        for (unsigned p = 0; p < 4; p++) {
            bool want = m->gr[2] >> p & 1, is = m->latch[p] >> bit & 1;

            if (m->gr[7] >> p & 1 && want != is) match &= (uint8_t) ~(1 << bit);
        }
    }
    return match;
}

static bool model_source(const Model *m, unsigned p, unsigned bit, uint8_t val)
{
    bool turned = val >> ((bit + (m->gr[3] & 7)) & 7) & 1, set = m->gr[0] >> p & 1;

    switch (m->gr[5] & 3) {
    case 0: return m->gr[1] >> p & 1 ? set : turned;
    case 2: return val >> p & 1;
    default: return set;
    }
}

static void model_write(Model *m, uint32_t at, uint8_t val)
{
    for (unsigned p = 0; p < 4; p++) {
        uint8_t result = 0;

        if (!(m->sr2 >> p & 1)) continue;
        for (unsigned bit = 0; bit < 8; bit++) {
            bool old = m->latch[p] >> bit & 1, v = model_source(m, p, bit, val);
            bool mask = m->gr[8] >> bit & 1;

            if ((m->gr[5] & 3) == 3) mask &= val >> ((bit + (m->gr[3] & 7)) & 7) & 1;
            if (m->gr[3] >> 3 == 1) v &= old;
            if (m->gr[3] >> 3 == 2) v |= old;
            if (m->gr[3] >> 3 == 3) v ^= old;
            if (!mask || (m->gr[5] & 3) == 1) v = old;
            result |= (uint8_t)(v << bit);
        }
        m->plane[p][at] = result;
    }
}

static void test_planes(Fixture *f, gconstpointer data)
{
    Model *model = g_new0(Model, 1);
    GRand *rand = g_rand_new_with_seed(3);

    (void)data;
    set_mode(f, &mode_12);
    model->sr2 = mode_12.seq[2];
    memcpy(model->gr, mode_12.gfx, sizeof(model->gr));
    for (unsigned n = 0; n < 200000; n++) {
        uint32_t at = (uint32_t)g_rand_int_range(rand, 0, 64) * 1021 & 0xffff;
        uint8_t val = (uint8_t)g_rand_int(rand);

        switch (g_rand_int_range(rand, 0, 4)) {
        case 0: {
            static const uint8_t masks[9] = { 15, 15, 15, 0x1f, 3, 0x0b, 0x0f, 15, 0xff };
            unsigned reg = (unsigned)g_rand_int_range(rand, 0, 10);

            if (reg == 9) {
                model->sr2 = val & 15;
                set_index(f, 0x3c4, 2, val & 15);
            } else if (reg != 6) {
                model->gr[reg] = val & masks[reg];
                set_index(f, 0x3ce, reg, val & masks[reg]);
            }
            break;
        }
        case 1: g_assert_cmphex(peek(f, 0xa0000 + at), ==, model_read(model, at)); break;
        default: model_write(model, at, val); poke(f, 0xa0000 + at, val);
        }
    }
    for (uint32_t at = 0; at < 0x10000; at++) {
        for (unsigned p = 0; p < 4; p++) {
            g_assert_cmphex(f->vga->vram->host[4 * at + p], ==, model->plane[p][at]);
        }
    }
    g_rand_free(rand);
    g_free(model);
}

/* Text is odd/even: characters in plane 0, attributes in plane 1; other map selects see nothing. */
static void test_odd_even(Fixture *f, gconstpointer data)
{
    (void)data;
    set_mode(f, &mode_03);
    for (unsigned i = 0; i < 2000; i++) {
        mem_store(f->m, (MemAttrs){ 0 }, 0xb8000 + 2 * i, (i * 7 & 0xff) | (i * 3 & 0xff) << 8, 2);
    }
    for (unsigned i = 0; i < 2000; i++) {
        const uint8_t *p = f->vga->vram->host + 4 * i;

        g_assert_cmphex(p[0], ==, i * 7 & 0xff);
        g_assert_cmphex(p[1], ==, i * 3 & 0xff);
        g_assert_cmphex(p[2] | p[3], ==, 0);
        g_assert_cmphex(peek(f, 0xb8000 + 2 * i), ==, i * 7 & 0xff);
        g_assert_cmphex(peek(f, 0xb8001 + 2 * i), ==, i * 3 & 0xff);
    }
    g_assert_cmphex(peek(f, 0xa0002), ==, 0xff);
    g_assert_cmphex(peek(f, 0xb0002), ==, 0xff);
    /* A font: sequential access to plane 2. */
    set_index(f, 0x3c4, 2, 4);
    set_index(f, 0x3c4, 4, 7);
    set_index(f, 0x3ce, 5, 0);
    set_index(f, 0x3ce, 6, 4);
    poke(f, 0xa0000 + 32 * 0x41 + 5, 0x5a);
    g_assert_cmphex(f->vga->vram->host[4 * (32 * 0x41 + 5) + 2], ==, 0x5a);
    /* The same without the memory's enable bit and the sequencer's bit that says so, too: firmware
     * may never have set them. */
    out8(f, 0x3c2, 0x65);
    set_index(f, 0x3c4, 4, 0);
    set_index(f, 0x3ce, 4, 2);
    for (unsigned i = 0; i < 16; i++) poke(f, 0xa0000 + 32 * 0x42 + i, (uint8_t)(3 * i));
    for (unsigned i = 0; i < 16; i++) {
        g_assert_cmphex(f->vga->vram->host[4 * (32 * 0x42 + i) + 2], ==, 3 * i);
        g_assert_cmphex(peek(f, 0xa0000 + 32 * 0x42 + i), ==, 3 * i);
    }
}

static bool window_is_ram(Fixture *f, uint32_t gpa)
{
    const FlatRange *r = mem_find(f->m, (MemAttrs){ 0 }, gpa);

    return r && r->region->ram == f->vga->vram;
}

/* Chain 4 is plain memory as long as nothing stands between; else it goes through the planes. */
static void test_chain4(Fixture *f, gconstpointer data)
{
    (void)data;
    set_mode(f, &mode_12);
    g_assert_false(window_is_ram(f, 0xa0000));
    set_mode(f, &mode_13);
    g_assert_true(window_is_ram(f, 0xaffff));
    g_assert_false(window_is_ram(f, 0xb0000));
    poke(f, 0xa0123, 0x77);
    g_assert_cmphex(f->vga->vram->host[0x123], ==, 0x77);
    set_index(f, 0x3c4, 2, 0x07);
    g_assert_false(window_is_ram(f, 0xa0000));
    poke(f, 0xa0122, 0x11);
    poke(f, 0xa0123, 0x22);
    g_assert_cmphex(peek(f, 0xa0122), ==, 0x11);
    g_assert_cmphex(peek(f, 0xa0123), ==, 0x77);
    set_index(f, 0x3c4, 2, 0x0f);
    g_assert_true(window_is_ram(f, 0xa0000));
    device_reset(&((VgaDev *)f->vga->dev)->dev);
    g_assert_false(window_is_ram(f, 0xa0000));
}

/* -- pictures -- */

static void set_font_row(Fixture *f, unsigned ch, unsigned row, uint8_t dots)
{
    f->vga->vram->host[4 * (32 * ch + row) + 2] = dots;
}

static void set_cell(Fixture *f, unsigned column, unsigned row, unsigned ch, unsigned attr)
{
    mem_store(f->m, (MemAttrs){ 0 }, 0xb8000 + 2 * (80 * row + column), ch | attr << 8, 2);
}

static void start_text(Fixture *f)
{
    set_mode(f, &mode_03);
    set_index(f, 0x3d4, CR_CURSOR_START, 0x20);
    set_attr(f, AR_MODE | 0x20, 0x04); /* line graphics, no blinking */
    memset(f->vga->vram->host, 0, f->vga->vram->size);
}

/* The colour of a text attribute's nibble in mode 3: through the palette, then the DAC. */
static uint32_t text_rgb(unsigned nibble) { return rgb_of(mode_03.attr[nibble]); }

static void check_glyph(
    Fixture *f, unsigned x, unsigned y, unsigned dots9, unsigned fg, unsigned bg)
{
    for (unsigned i = 0; i < 9; i++) {
        g_assert_cmphex(pixel(f, x + i, y), ==, text_rgb(dots9 & 0x100 >> i ? fg : bg));
    }
}

static void test_text(Fixture *f, gconstpointer data)
{
    (void)data;
    start_text(f);
    for (unsigned row = 0; row < 16; row++) {
        set_font_row(f, 'A', row, (uint8_t)(0x81 + row * 2));
        set_font_row(f, 0xc4, row, 0x0f);
    }
    set_cell(f, 3, 2, 'A', 0x1e);
    set_cell(f, 79, 24, 0xc4, 0x9a);
    check_size(f, 720, 400);
    for (unsigned row = 0; row < 16; row++) {
        /* The ninth dot is background, but for line graphics, where it repeats the eighth. */
        check_glyph(f, 27, 32 + row, (0x81 + row * 2) << 1, 14, 1);
        check_glyph(f, 79 * 9, 24 * 16 + row, 0x0f << 1 | 1, 10, 9);
    }
    check_glyph(f, 36, 32, 0, 0, 0);
    /* Without line graphics the ninth dot of C4h goes dark. */
    set_attr(f, AR_MODE | 0x20, 0x00);
    console_refresh(f->c);
    check_glyph(f, 79 * 9, 24 * 16, 0x0f << 1, 10, 9);
    /* Eight dots. */
    set_index(f, 0x3c4, SR_CLOCK, 1);
    check_size(f, 640, 400);
    g_assert_cmphex(pixel(f, 3 * 8, 32), ==, text_rgb(14));
    g_assert_cmphex(pixel(f, 3 * 8 + 1, 32), ==, text_rgb(1));
    /* Whichever planes are enabled: firmware may show text without setting that register. */
    set_attr(f, AR_PLANES | 0x20, 0);
    console_refresh(f->c);
    g_assert_cmphex(pixel(f, 3 * 8, 32), ==, text_rgb(14));
}

/* Only what changes is drawn again. */
static void test_text_damage(Fixture *f, gconstpointer data)
{
    (void)data;
    start_text(f);
    check_size(f, 720, 400);
    f->c->damage.x1 = 0;
    console_refresh(f->c);
    g_assert_cmpuint(f->c->damage.x1, ==, 0);
    set_cell(f, 10, 5, 'x', 7);
    console_refresh(f->c);
    g_assert_cmpuint(f->c->damage.x0, ==, 90);
    g_assert_cmpuint(f->c->damage.x1, ==, 99);
    g_assert_cmpuint(f->c->damage.y0, ==, 80);
    g_assert_cmpuint(f->c->damage.y1, ==, 96);
    /* A glyph that changes shape under it. */
    f->c->damage.x1 = 0;
    set_font_row(f, 'x', 0, 0xff);
    console_refresh(f->c);
    check_glyph(f, 90, 80, 0x1fe, 7, 0);
}

static void test_text_fonts(Fixture *f, gconstpointer data)
{
    (void)data;
    start_text(f);
    set_font_row(f, 1, 0, 0xaa);
    set_font_row(f, 512 + 1, 0, 0x55); /* map 1 is 16 KiB behind map 0 */
    set_cell(f, 0, 0, 1, 0x07);
    set_cell(f, 1, 0, 1, 0x0f);
    set_index(f, 0x3c4, SR_FONT, 0x04); /* bit 3 of the attribute set: map 1 */
    console_refresh(f->c);
    check_glyph(f, 0, 0, 0xaa << 1, 7, 0);
    check_glyph(f, 9, 0, 0x55 << 1, 15, 0);
    /* Underline, as monochrome text has it. */
    set_index(f, 0x3d4, CR_UNDERLINE, 12);
    set_cell(f, 2, 0, 0, 0x01);
    set_cell(f, 3, 0, 0, 0x02);
    console_refresh(f->c);
    check_glyph(f, 18, 12, 0x1ff, 1, 0);
    check_glyph(f, 18, 11, 0, 1, 0);
    check_glyph(f, 27, 12, 0, 2, 0);
}

static void test_text_split(Fixture *f, gconstpointer data)
{
    (void)data;
    start_text(f);
    set_font_row(f, 'T', 0, 0xff);
    set_cell(f, 0, 0, 'T', 7);
    set_index(f, 0x3d4, CR_START_HI + 1, 80); /* the picture begins with the second row ... */
    set_index(f, 0x3d4, CR_LINE_COMPARE, 199);
    set_index(f, 0x3d4, CR_OVERFLOW, 0x0f);
    set_index(f, 0x3d4, CR_MAX_SCAN, 0x0f);
    console_refresh(f->c);
    check_glyph(f, 0, 0, 0, 7, 0);
    check_glyph(f, 0, 200, 0x1fe, 7, 0); /* ... and with the first below line 199 */
    /* Panning by three dots (a value of two, with nine of them), above the split alone. */
    set_cell(f, 0, 1, 'T', 7);
    set_attr(f, AR_MODE | 0x20, 0x24);
    set_attr(f, AR_PAN | 0x20, 2);
    console_refresh(f->c);
    for (unsigned x = 0; x < 9; x++) {
        g_assert_cmphex(pixel(f, x, 0), ==, text_rgb(x < 5 ? 7 : 0));
    }
    check_glyph(f, 0, 200, 0x1fe, 7, 0);
    /* The first row begins four lines down. */
    set_index(f, 0x3d4, CR_ROW_SCAN, 4);
    set_font_row(f, 'U', 4, 0xff);
    set_cell(f, 0, 1, 'U', 7);
    set_cell(f, 0, 2, 'T', 7);
    console_refresh(f->c);
    g_assert_cmphex(pixel(f, 0, 0), ==, text_rgb(7));
    g_assert_cmphex(pixel(f, 0, 12), ==, text_rgb(7));
    g_assert_cmphex(pixel(f, 0, 11), ==, text_rgb(0));
}

/* The cursor comes and goes with the host's time: look until it has been seen both ways. */
static void test_text_cursor(Fixture *f, gconstpointer data)
{
    bool on = false, off = false;

    (void)data;
    start_text(f);
    set_cell(f, 5, 1, ' ', 0x07);
    set_index(f, 0x3d4, CR_CURSOR_START, 13);
    set_index(f, 0x3d4, CR_CURSOR_END, 14);
    set_index(f, 0x3d4, CR_CURSOR_HI, 0);
    set_index(f, 0x3d4, CR_CURSOR_HI + 1, 85);
    for (int64_t end = host_ns() + 2 * NS_PER_S; host_ns() < end && !(on && off);) {
        console_refresh(f->c);
        bool shown = pixel(f, 45, 16 + 13) == text_rgb(7);

        on |= shown;
        off |= !shown;
        check_glyph(f, 45, 16 + 12, 0, 7, 0);
        check_glyph(f, 45, 16 + 14, shown ? 0x1ff : 0, 7, 0);
        check_glyph(f, 45, 16 + 15, 0, 7, 0);
        check_glyph(f, 54, 16 + 13, 0, 7, 0);
        g_usleep(10000);
    }
    g_assert_true(on && off);
}

static void test_text_cells(Fixture *f, gconstpointer data)
{
    uint16_t cells[2000];
    unsigned columns, rows, cursor;

    (void)data;
    start_text(f);
    set_cell(f, 1, 1, 'q', 0x1f);
    set_index(f, 0x3d4, CR_CURSOR_START, 0);
    set_index(f, 0x3d4, CR_CURSOR_HI + 1, 81);
    g_assert_true(f->c->ops->text(f->c->opaque, cells, 2000, &columns, &rows, &cursor));
    g_assert_cmpuint(columns, ==, 80);
    g_assert_cmpuint(rows, ==, 25);
    g_assert_cmpuint(cursor, ==, 81);
    g_assert_cmphex(cells[81], ==, 0x1f00 | 'q');
    set_mode(f, &mode_12);
    g_assert_false(f->c->ops->text(f->c->opaque, cells, 2000, &columns, &rows, &cursor));
}

/* Sets a pixel of a 16-colour mode by write mode 2 and the bit mask. */
static void plot_planar(Fixture *f, unsigned bytes, unsigned x, unsigned y, unsigned colour)
{
    set_index(f, 0x3ce, GR_MODE, 2);
    set_index(f, 0x3ce, GR_BITS, 0x80 >> (x & 7));
    peek(f, 0xa0000 + y * bytes + x / 8);
    poke(f, 0xa0000 + y * bytes + x / 8, colour);
}

static void test_planar(Fixture *f, gconstpointer data)
{
    (void)data;
    set_mode(f, &mode_12);
    for (unsigned i = 0; i < 16; i++) plot_planar(f, 80, 37 * i, 29 * i, i);
    check_size(f, 640, 480);
    for (unsigned i = 1; i < 16; i++) {
        g_assert_cmphex(pixel(f, 37 * i, 29 * i), ==, rgb_of(mode_12.attr[i]));
        g_assert_cmphex(pixel(f, 37 * i + 1, 29 * i), ==, rgb_of(0));
    }
    /* Panning shifts to the left. */
    set_attr(f, AR_PAN | 0x20, 3);
    console_refresh(f->c);
    g_assert_cmphex(pixel(f, 37 * 5 - 3, 29 * 5), ==, rgb_of(mode_12.attr[5]));
    set_attr(f, AR_PLANES | 0x20, 0x0a);
    console_refresh(f->c);
    g_assert_cmphex(pixel(f, 37 * 7 - 3, 29 * 7), ==, rgb_of(mode_12.attr[2]));
    /* 320 x 200: everything twice as large. */
    set_mode(f, &mode_0d);
    memset(f->vga->vram->host, 0, f->vga->vram->size);
    plot_planar(f, 40, 319, 199, 12);
    check_size(f, 640, 400);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmphex(pixel(f, 638 + i % 2, 398 + i / 2), ==, rgb_of(mode_0d.attr[12]));
    }
    g_assert_cmphex(pixel(f, 637, 399), ==, rgb_of(0));
    g_assert_cmphex(pixel(f, 639, 397), ==, rgb_of(0));
}

static void test_cga(Fixture *f, gconstpointer data)
{
    (void)data;
    /* Four colours: even lines at 0, odd ones at 2000h, four pixels a byte. */
    set_mode(f, &mode_04);
    poke(f, 0xb8000 + 80 * 50 + 3, 0x1b);
    poke(f, 0xb8000 + 0x2000 + 80 * 99 + 79, 0xe4);
    check_size(f, 640, 400);
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmphex(pixel(f, 24 + i, 200), ==, rgb_of(mode_04.attr[i / 2]));
        g_assert_cmphex(pixel(f, 24 + i, 201), ==, rgb_of(mode_04.attr[i / 2]));
        g_assert_cmphex(pixel(f, 24 + i, 202), ==, rgb_of(0));
        g_assert_cmphex(pixel(f, 632 + i, 399), ==, rgb_of(mode_04.attr[3 - i / 2]));
    }
    /* Two colours: a bit a pixel. */
    set_mode(f, &mode_06);
    memset(f->vga->vram->host, 0, f->vga->vram->size);
    poke(f, 0xb8000 + 0x2000 + 80 * 10 + 4, 0x90);
    check_size(f, 640, 400);
    for (unsigned i = 0; i < 8; i++) {
        bool on = 0x90 >> (7 - i) & 1;

        g_assert_cmphex(pixel(f, 32 + i, 42), ==, rgb_of(on ? 0x17 : 0));
        g_assert_cmphex(pixel(f, 32 + i, 41), ==, rgb_of(0));
    }
}

static void test_256(Fixture *f, gconstpointer data)
{
    (void)data;
    set_mode(f, &mode_13);
    for (unsigned i = 0; i < 256; i++) poke(f, 0xa0000 + 320 * (i % 200) + i, i);
    check_size(f, 640, 400);
    for (unsigned i = 0; i < 256; i++) {
        for (unsigned n = 0; n < 4; n++) {
            g_assert_cmphex(pixel(f, 2 * i + n % 2, i % 200 * 2 + n / 2), ==, rgb_of(i));
        }
    }
    /* The mask in front of the DAC. */
    out8(f, 0x3c6, 0x0f);
    console_refresh(f->c);
    g_assert_cmphex(pixel(f, 2 * 0x57, 2 * 0x57), ==, rgb_of(7));
    /* Mode X: the same memory by planes, 240 lines, pages by the start address. */
    set_mode(f, &mode_13);
    out8(f, 0x3c6, 0xff);
    memset(f->vga->vram->host, 0, f->vga->vram->size);
    out8(f, 0x3c2, 0xe3);
    set_index(f, 0x3c4, SR_MODE, 0x06);
    set_index(f, 0x3d4, CR_UNDERLINE, 0x00);
    set_index(f, 0x3d4, CR_MODE, 0xe3);
    set_index(f, 0x3d4, 0x11, 0);
    set_index(f, 0x3d4, CR_OVERFLOW, 0x3e);
    set_index(f, 0x3d4, CR_VTOTAL, 0x0d);
    set_index(f, 0x3d4, CR_VDISP, 0xdf);
    set_index(f, 0x3d4, CR_START_HI, 0x4b); /* behind 80 * 240 bytes */
    set_index(f, 0x3c4, SR_MASK, 1 << (157 & 3));
    poke(f, 0xa0000 + 0x4b00 + 80 * 239 + 157 / 4, 0xe9);
    check_size(f, 640, 480);
    g_assert_cmphex(pixel(f, 314, 478), ==, rgb_of(0xe9));
    g_assert_cmphex(pixel(f, 315, 479), ==, rgb_of(0xe9));
    g_assert_cmphex(pixel(f, 313, 479), ==, rgb_of(0));
    g_assert_cmphex(pixel(f, 316, 479), ==, rgb_of(0));
}

/* -- the dispi interface -- */

static void vbe_mode(Fixture *f, unsigned width, unsigned height, unsigned bpp, unsigned flags)
{
    vbe(f, VBE_ENABLE, 0);
    vbe(f, VBE_XRES, width);
    vbe(f, VBE_YRES, height);
    vbe(f, VBE_BPP, bpp);
    vbe(f, VBE_ENABLE, VBE_ENABLED | flags);
}

static void test_vbe_registers(Fixture *f, gconstpointer data)
{
    (void)data;
    g_assert_cmphex(vbe_get(f, VBE_ID), ==, 0xb0c5);
    vbe(f, VBE_ID, 0xb0c4);
    g_assert_cmphex(vbe_get(f, VBE_ID), ==, 0xb0c4);
    vbe(f, VBE_ID, 0xb0c9);
    g_assert_cmphex(vbe_get(f, VBE_ID), ==, 0xb0c4);
    g_assert_cmpuint(vbe_get(f, VBE_MEMORY), ==, 16);
    vbe(f, VBE_ENABLE, VBE_GETCAPS);
    g_assert_cmpuint(vbe_get(f, VBE_XRES), ==, 16000);
    g_assert_cmpuint(vbe_get(f, VBE_YRES), ==, 12000);
    g_assert_cmpuint(vbe_get(f, VBE_BPP), ==, 32);
    /* A mode too large for 1 MiB is cut to what fits. */
    vbe_mode(f, 1027, 768, 24, 0);
    g_assert_cmpuint(vbe_get(f, VBE_XRES), ==, 1024);
    g_assert_cmpuint(vbe_get(f, VBE_YRES), ==, 341);
    g_assert_cmpuint(vbe_get(f, VBE_VIRT_WIDTH), ==, 1024);
    g_assert_cmpuint(f->vga->s->vbe_line_offset, ==, 3072);
    vbe(f, VBE_VIRT_WIDTH, 2048);
    g_assert_cmpuint(vbe_get(f, VBE_VIRT_HEIGHT), ==, 170);
    g_assert_cmpuint(f->vga->s->vbe_line_offset, ==, 6144);
    /* Banks move the window. */
    vbe_mode(f, 640, 480, 16, 0);
    g_assert_true(window_is_ram(f, 0xa0000));
    vbe(f, VBE_BANK, 0xf5);
    g_assert_cmphex(vbe_get(f, VBE_BANK), ==, 5);
    poke(f, 0xa0001, 0x3c);
    g_assert_cmphex(f->vga->vram->host[0x50001], ==, 0x3c);
    vbe(f, VBE_ENABLE, 0);
    g_assert_cmpint(f->vga->s->bank_offset, ==, 0);
    /* Enabling clears, unless it is told not to. */
    vbe_mode(f, 640, 480, 16, VBE_NOCLEAR);
    g_assert_cmphex(f->vga->vram->host[0x50001], ==, 0x3c);
    vbe_mode(f, 640, 480, 16, 0);
    g_assert_cmphex(f->vga->vram->host[0x50001], ==, 0);
}

static void test_vbe_depths(Fixture *f, gconstpointer data)
{
    static const struct {
        unsigned bpp;
        uint32_t raw, rgb;
    } depths[] = { { 15, 0x56b5, 0xadadad }, { 15, 0x7c1f, 0xff00ff }, { 16, 0xfd28, 0xffa642 },
        { 16, 0x07e0, 0x00ff00 }, { 24, 0x123456, 0x123456 }, { 32, 0xff654321, 0x654321 },
        { 8, 0x9c, 0 } };
    const unsigned x = 131, y = 77;

    (void)data;
    set_mode(f, &mode_13);
    for (unsigned i = 0; i < ARRAY_SIZE(depths); i++) {
        unsigned bytes = (depths[i].bpp + 7) / 8;
        uint32_t at = (y * 320 + x) * bytes;

        vbe_mode(f, 320, 200, depths[i].bpp, 0);
        check_size(f, 320, 200);
        g_assert_cmphex(pixel(f, x, y), ==, rgb_of(0) & (bytes == 1 ? 0xffffff : 0));
        for (unsigned n = 0; n < bytes; n++) {
            poke(f, 0xe0000000 + at + n, depths[i].raw >> 8 * n & 0xff);
        }
        console_refresh(f->c);
        g_assert_cmphex(pixel(f, x, y), ==, bytes == 1 ? rgb_of(0x9c) : depths[i].rgb);
        g_assert_cmphex(pixel(f, x + 1, y), ==, bytes == 1 ? rgb_of(0) : 0);
        /* Scrolled. */
        vbe(f, VBE_Y_OFFSET, 7);
        vbe(f, VBE_X_OFFSET, 4);
        console_refresh(f->c);
        g_assert_cmphex(pixel(f, x - 4, y - 7), ==, bytes == 1 ? rgb_of(0x9c) : depths[i].rgb);
    }
    vbe_mode(f, 800, 600, 4, 0);
    set_index(f, 0x3c4, SR_MODE, 6);
    set_index(f, 0x3c4, SR_MASK, 0x0f);
    set_index(f, 0x3ce, GR_MISC, 5);
    plot_planar(f, 100, 799, 599, 11);
    check_size(f, 800, 600);
    g_assert_cmphex(pixel(f, 799, 599), ==, rgb_of(mode_13.attr[11]));
}

/* A write is seen by the line that it is on, and by no other. */
static void test_dirty_lines(Fixture *f, gconstpointer data)
{
    (void)data;
    set_mode(f, &mode_13);
    vbe_mode(f, 512, 256, 32, 0); /* two lines a page */
    check_size(f, 512, 256);
    f->c->damage.x1 = 0;
    console_refresh(f->c);
    g_assert_cmpuint(f->c->damage.x1, ==, 0);
    for (unsigned way = 0; way < 3; way++) {
        uint32_t at = 100 * 2048 + 16;

        f->c->damage.x1 = 0;
        if (way == 0) poke(f, 0xe0000000 + at, 0x11);
        if (way == 1) ram_block_write(f->vga->vram, at, "\x22", 1);
        if (way == 2) {
            vbe(f, VBE_BANK, at >> 16);
            poke(f, 0xa0000 + (at & 0xffff), 0x33);
        }
        console_refresh(f->c);
        g_assert_cmpuint(f->c->damage.y0, ==, 100);
        g_assert_cmpuint(f->c->damage.y1, ==, 102);
        g_assert_cmphex(pixel(f, 4, 100) & 0xff, ==, 0x11 * (way + 1));
    }
    /* Through the planes. */
    set_mode(f, &mode_12);
    vbe(f, VBE_ENABLE, 0);
    console_refresh(f->c);
    f->c->damage.x1 = 0;
    plot_planar(f, 80, 5, 300, 9);
    console_refresh(f->c);
    g_assert_cmphex(pixel(f, 5, 300), ==, rgb_of(mode_12.attr[9]));
    g_assert_cmpuint(f->c->damage.y0, >, 280);
    g_assert_cmpuint(f->c->damage.y1, <, 320);
}

static void test_blank(Fixture *f, gconstpointer data)
{
    (void)data;
    set_mode(f, &mode_13);
    poke(f, 0xa0000, 5);
    check_size(f, 640, 400);
    g_assert_cmphex(pixel(f, 0, 0), ==, rgb_of(5));
    set_index(f, 0x3c4, SR_CLOCK, 0x21);
    check_size(f, 640, 400);
    g_assert_cmphex(pixel(f, 0, 0), ==, 0);
    set_index(f, 0x3c4, SR_CLOCK, 0x01);
    console_refresh(f->c);
    g_assert_cmphex(pixel(f, 0, 0), ==, rgb_of(5));
    in8(f, 0x3da);
    out8(f, 0x3c0, 0); /* the palette belongs to the CPU */
    console_refresh(f->c);
    g_assert_cmphex(pixel(f, 0, 0), ==, 0);
}

/* Whatever a stream may hold: nothing is drawn from outside of video memory. */
static void test_hostile_state(Fixture *f, gconstpointer data)
{
    GRand *rand = g_rand_new_with_seed(7);

    (void)data;
    for (unsigned n = 0; n < 300; n++) {
        uint8_t *s = (uint8_t *)f->vga->s;

        for (size_t i = 0; i < sizeof(VgaState); i++) s[i] = (uint8_t)g_rand_int(rand);
        f->vga->s->ar_index |= AR_INDEX_PAS;
        if (n & 1) {
            f->vga->s->vbe_regs[VBE_ENABLE] |= VBE_ENABLED;
            f->vga->s->vbe_regs[VBE_BPP] = (uint16_t)(n & 2 ? 32 : 8);
            f->vga->s->vbe_regs[VBE_XRES] &= 0x3ff;
            f->vga->s->vbe_regs[VBE_YRES] &= 0x3ff;
        } else {
            f->vga->s->vbe_regs[VBE_ENABLE] = 0;
        }
        device_sync(f->vga->dev);
        console_refresh(f->c);
        for (unsigned i = 0; i < 64; i++) {
            uint32_t gpa = 0xa0000 + (uint32_t)g_rand_int_range(rand, 0, 0x20000);

            poke(f, gpa, i);
            peek(f, gpa);
            if (i < 32) pio_read(f->m, 0x3b0 + i, 1);
        }
        console_refresh(f->c);
    }
    g_rand_free(rand);
}

static void test_wire(Fixture *f, gconstpointer data)
{
    Stream st;

    (void)data;
    stream_init(&st);
    vmstate_save(&st, &vga_vmstate, f->vga->s);
    g_assert_cmpuint(st.size, ==, 1131);
    stream_free(&st);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "/vga/registers", test_registers },
        { "/vga/attributes", test_attributes },
        { "/vga/dac", test_dac },
        { "/vga/retrace", test_retrace },
        { "/vga/planes", test_planes },
        { "/vga/odd-even", test_odd_even },
        { "/vga/chain4", test_chain4 },
        { "/vga/text/cell", test_text },
        { "/vga/text/damage", test_text_damage },
        { "/vga/text/fonts", test_text_fonts },
        { "/vga/text/split", test_text_split },
        { "/vga/text/cursor", test_text_cursor },
        { "/vga/text/cells", test_text_cells },
        { "/vga/planar", test_planar },
        { "/vga/cga", test_cga },
        { "/vga/256", test_256 },
        { "/vga/vbe/registers", test_vbe_registers },
        { "/vga/vbe/depths", test_vbe_depths },
        { "/vga/dirty-lines", test_dirty_lines },
        { "/vga/blank", test_blank },
        { "/vga/hostile-state", test_hostile_state },
        { "/vga/wire", test_wire },
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add(tests[i].name, Fixture, NULL, setup, tests[i].fn, teardown);
    }
    return g_test_run();
}
