/* SPDX-License-Identifier: MIT */
/* Keyboard controller with its keyboard and mouse, as a driver meets them. */
#include "tests/device/bare.h"
#include "ui/ui.h"

enum { DATA = 0x60, COMMAND = 0x64, STATUS = 0x64, OBF = 0x01, MOUSE_OBF = 0x20 };
enum { KBD_IRQ = 1, MOUSE_IRQ = 12, EMPTY = -1 };
enum { KEY_A = 0x1e, KEY_LEFT = 0xcb };

typedef struct Fixture {
    Machine *m;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    (void)data;
    f->m = bare_new();
    bare_add(f->m, "i8042", "kbc");
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
}

static void command(Fixture *f, unsigned c) { out8(f->m, COMMAND, c); }
static void write_data(Fixture *f, unsigned v) { out8(f->m, DATA, v); }
static int get(Fixture *f) { return in8(f->m, STATUS) & OBF ? in8(f->m, DATA) : EMPTY; }

static void set_mode(Fixture *f, unsigned mode)
{
    command(f, 0x60);
    write_data(f, mode);
}

static void to_mouse(Fixture *f, unsigned v)
{
    command(f, 0xd4);
    write_data(f, v);
}

/* The bytes that come, and then no more. */
static void expect(Fixture *f, const char *what, const int *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int byte = get(f);

        if (byte != bytes[i]) g_error("%s: byte %zu is %x, not %x", what, i, byte, bytes[i]);
    }
    if (get(f) != EMPTY) g_error("%s: more than %zu bytes", what, n);
}
#define EXPECT(f, ...)                                                                             \
    expect(f, G_STRLOC, (const int[]){ __VA_ARGS__ }, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int))

static void test_controller(Fixture *f, gconstpointer data)
{
    (void)data;
    g_assert_cmphex(in8(f->m, STATUS), ==, 0x18);
    command(f, 0xaa);
    g_assert_cmphex(in8(f->m, STATUS), ==, 0x1d);
    EXPECT(f, 0x55);
    command(f, 0xab);
    EXPECT(f, 0x00);
    command(f, 0xa9);
    EXPECT(f, 0x00);
    command(f, 0x20);
    EXPECT(f, 0x03);
    set_mode(f, 0x47);
    g_assert_cmphex(in8(f->m, STATUS) & 0x08, ==, 0); /* the last write was data */
    command(f, 0x20);
    EXPECT(f, 0x47);
    command(f, 0xad);
    command(f, 0xa7);
    command(f, 0x20);
    EXPECT(f, 0x77);
    command(f, 0xae);
    command(f, 0xa8);
    command(f, 0x20);
    EXPECT(f, 0x47);
    command(f, 0xc0);
    EXPECT(f, 0x80);
    command(f, 0xd2);
    write_data(f, 0x12);
    g_assert_cmphex(in8(f->m, STATUS) & (OBF | MOUSE_OBF), ==, OBF);
    EXPECT(f, 0x12);
    command(f, 0xd3);
    write_data(f, 0x34);
    g_assert_cmphex(in8(f->m, STATUS) & (OBF | MOUSE_OBF), ==, OBF | MOUSE_OBF);
    EXPECT(f, 0x34);
}

static bool a20(Fixture *f) { return bare_probe(f->m, "cpu0")->level[CPU_WIRE_A20]; }

static void test_a20_and_reset(Fixture *f, gconstpointer data)
{
    (void)data;
    command(f, 0xd1);
    write_data(f, 0xdf);
    g_assert_true(a20(f));
    command(f, 0xd1);
    write_data(f, 0xdd);
    g_assert_false(a20(f));
    command(f, 0xd0);
    g_assert_cmphex(get(f) & 0x02, ==, 0);
    command(f, 0xdf);
    g_assert_true(a20(f));
    command(f, 0xdd);
    g_assert_false(a20(f));
    g_assert_false(f->m->reset_requested);
    command(f, 0xff); /* pulses nothing */
    g_assert_false(f->m->reset_requested);
    command(f, 0xfe);
    g_assert_true(f->m->reset_requested);
    g_assert_cmpint(f->m->reset_reason, ==, RESET_GUEST);
    f->m->reset_requested = false;
    command(f, 0xd1);
    write_data(f, 0x02);
    g_assert_true(f->m->reset_requested);
}

static void test_interrupts(Fixture *f, gconstpointer data)
{
    (void)data;
    set_mode(f, 0x03);
    to_mouse(f, 0xf4);
    EXPECT(f, 0xfa);
    input_key(f->m, KEY_A, true);
    g_assert_true(bare_irq(f->m, KBD_IRQ));
    g_assert_false(bare_irq(f->m, MOUSE_IRQ));
    in8(f->m, DATA);
    g_assert_false(bare_irq(f->m, KBD_IRQ));
    input_mouse(f->m, 1, 0, 0, 0);
    g_assert_true(bare_irq(f->m, MOUSE_IRQ));
    g_assert_false(bare_irq(f->m, KBD_IRQ));
    for (int i = 0; i < 3; i++) { /* an edge for each byte */
        unsigned rises = bare_rises(f->m, MOUSE_IRQ);

        in8(f->m, DATA);
        g_assert_cmpuint(bare_rises(f->m, MOUSE_IRQ) - rises, ==, i < 2);
    }
    set_mode(f, 0x00);
    input_key(f->m, KEY_A, false);
    g_assert_false(bare_irq(f->m, KBD_IRQ));
    g_assert_cmphex(in8(f->m, STATUS) & OBF, ==, OBF);
}

/* A device that is turned off keeps its bytes. */
static void test_disabled(Fixture *f, gconstpointer data)
{
    (void)data;
    command(f, 0xad);
    input_key(f->m, KEY_A, true);
    g_assert_cmpint(get(f), ==, EMPTY);
    command(f, 0xae);
    EXPECT(f, 0x1c);
    command(f, 0xad);
    write_data(f, 0xee); /* talking to it turns it on */
    EXPECT(f, 0xee);
}

static void test_kbd_commands(Fixture *f, gconstpointer data)
{
    (void)data;
    write_data(f, 0xff);
    EXPECT(f, 0xfa, 0xaa);
    write_data(f, 0xf2);
    EXPECT(f, 0xfa, 0xab, 0x83);
    set_mode(f, 0x40);
    write_data(f, 0xf2);
    EXPECT(f, 0xfa, 0xab, 0x41);
    set_mode(f, 0x00);
    write_data(f, 0xee);
    EXPECT(f, 0xee);
    write_data(f, 0xf0);
    EXPECT(f, 0xfa);
    write_data(f, 0x00);
    EXPECT(f, 0xfa, 0x02);
    write_data(f, 0xf3);
    EXPECT(f, 0xfa);
    write_data(f, 0x20);
    EXPECT(f, 0xfa);
    write_data(f, 0xed);
    EXPECT(f, 0xfa);
    write_data(f, 0x02);
    EXPECT(f, 0xfa);
    write_data(f, 0x10); /* no command */
    EXPECT(f, 0xfe);
    write_data(f, 0xf5);
    EXPECT(f, 0xfa);
    input_key(f->m, KEY_A, true);
    g_assert_cmpint(get(f), ==, EMPTY);
    write_data(f, 0xf4);
    EXPECT(f, 0xfa);
    input_key(f->m, KEY_A, false);
    EXPECT(f, 0xf0, 0x1c);
    write_data(f, 0xfe); /* resend */
    EXPECT(f, 0x1c);
}

static void scancode_set(Fixture *f, unsigned n)
{
    write_data(f, 0xf0);
    EXPECT(f, 0xfa);
    write_data(f, n);
    EXPECT(f, 0xfa);
}

static void tap(Fixture *f, int key)
{
    input_key(f->m, key, true);
    input_key(f->m, key, false);
}

static void test_scancode_sets(Fixture *f, gconstpointer data)
{
    (void)data;
    set_mode(f, 0x00);
    tap(f, KEY_A);
    EXPECT(f, 0x1c, 0xf0, 0x1c);
    tap(f, KEY_LEFT);
    EXPECT(f, 0xe0, 0x6b, 0xe0, 0xf0, 0x6b);
    tap(f, 0x41); /* F7 */
    EXPECT(f, 0x83, 0xf0, 0x83);
    tap(f, KEY_PAUSE);
    EXPECT(f, 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77);
    tap(f, KEY_PRINT);
    EXPECT(f, 0xe0, 0x12, 0xe0, 0x7c, 0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12);
    scancode_set(f, 1);
    tap(f, KEY_A);
    EXPECT(f, 0x1e, 0x9e);
    tap(f, KEY_LEFT);
    EXPECT(f, 0xe0, 0x4b, 0xe0, 0xcb);
    tap(f, KEY_PAUSE);
    EXPECT(f, 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
    scancode_set(f, 3);
    tap(f, KEY_A);
    EXPECT(f, 0x1c, 0xf0, 0x1c);
    tap(f, KEY_LEFT);
    EXPECT(f, 0x61, 0xf0, 0x61);
    tap(f, 0x1d); /* left control */
    EXPECT(f, 0x11, 0xf0, 0x11);
    tap(f, 0x9d);
    EXPECT(f, 0x58, 0xf0, 0x58);
    write_data(f, 0xf6);
    EXPECT(f, 0xfa);
    tap(f, KEY_LEFT);
    EXPECT(f, 0xe0, 0x6b, 0xe0, 0xf0, 0x6b);
}

/* Through the controller's translation every key is its code of set 1 again. */
static void test_translation(Fixture *f, gconstpointer data)
{
    (void)data;
    set_mode(f, 0x40);
    for (int key = 1; key <= 0x58; key++) {
        if (key == 0x55) continue; /* no key has it */
        tap(f, key);
        EXPECT(f, key, key | 0x80);
    }
    tap(f, KEY_LEFT);
    EXPECT(f, 0xe0, 0x4b, 0xe0, 0xcb);
    tap(f, KEY_PRINT);
    EXPECT(f, 0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa);
    tap(f, KEY_PAUSE);
    EXPECT(f, 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
}

/* A full queue drops whole keys, and an answer still gets through, in front. */
static void test_overflow(Fixture *f, gconstpointer data)
{
    int first[8];

    (void)data;
    for (int i = 0; i < 20; i++) tap(f, KEY_LEFT);
    in8(f->m, DATA);
    write_data(f, 0xee);
    g_assert_cmphex(get(f), ==, 0xee);
    for (int i = 0; i < 8; i++) first[i] = get(f);
    g_assert_cmphex(first[0], ==, 0x6b);
    g_assert_cmphex(first[1], ==, 0xe0);
    g_assert_cmphex(first[3], ==, 0x6b);
    while (get(f) != EMPTY) continue;
    tap(f, KEY_A);
    EXPECT(f, 0x1c, 0xf0, 0x1c);
}

static void mouse_on(Fixture *f)
{
    set_mode(f, 0x00);
    to_mouse(f, 0xf4);
    EXPECT(f, 0xfa);
}

static void test_mouse_commands(Fixture *f, gconstpointer data)
{
    (void)data;
    to_mouse(f, 0xff);
    EXPECT(f, 0xfa, 0xaa, 0x00);
    to_mouse(f, 0xf2);
    EXPECT(f, 0xfa, 0x00);
    to_mouse(f, 0xe9);
    EXPECT(f, 0xfa, 0x00, 0x02, 100);
    to_mouse(f, 0xe8);
    EXPECT(f, 0xfa);
    to_mouse(f, 3);
    EXPECT(f, 0xfa);
    to_mouse(f, 0xf3);
    EXPECT(f, 0xfa);
    to_mouse(f, 40);
    EXPECT(f, 0xfa);
    to_mouse(f, 0xe7);
    EXPECT(f, 0xfa);
    to_mouse(f, 0xf4);
    EXPECT(f, 0xfa);
    to_mouse(f, 0xe9);
    EXPECT(f, 0xfa, 0x30, 3, 40);
    to_mouse(f, 0xee); /* wrap: echoes */
    EXPECT(f, 0xfa);
    to_mouse(f, 0xf2);
    EXPECT(f, 0xf2);
    to_mouse(f, 0xec);
    EXPECT(f, 0xfa);
    to_mouse(f, 0xf6);
    EXPECT(f, 0xfa);
    to_mouse(f, 0xe9);
    EXPECT(f, 0xfa, 0x00, 2, 100);
    to_mouse(f, 0x12);
    EXPECT(f, 0xfe);
}

static void test_mouse_stream(Fixture *f, gconstpointer data)
{
    (void)data;
    input_mouse(f->m, 5, 5, 0, 0); /* not enabled */
    mouse_on(f);
    input_mouse(f->m, 5, 3, 0, MOUSE_LEFT); /* down on the screen is negative */
    EXPECT(f, 0x29, 0x05, 0xfd);
    input_mouse(f->m, -1, 0, 0, MOUSE_RIGHT | MOUSE_MIDDLE);
    EXPECT(f, 0x1e, 0xff, 0x00);
    input_mouse(f->m, 300, 0, 0, 0); /* in pieces */
    EXPECT(f, 0x08, 127, 0, 0x08, 127, 0, 0x08, 46, 0);
    input_mouse(f->m, 2000, 0, 0, 0); /* more than the queue holds */
    for (int sum = 0; sum < 2000;) {
        g_assert_cmphex(get(f), ==, 0x08);
        sum += get(f);
        g_assert_cmpint(get(f), ==, 0);
        g_assert_cmpint(sum, <=, 2000);
    }
    g_assert_cmpint(get(f), ==, EMPTY);
}

static void test_mouse_remote(Fixture *f, gconstpointer data)
{
    (void)data;
    mouse_on(f);
    to_mouse(f, 0xf0);
    EXPECT(f, 0xfa);
    input_mouse(f->m, 4, 0, 0, 0);
    input_mouse(f->m, 3, 0, 0, 0);
    g_assert_cmpint(get(f), ==, EMPTY);
    to_mouse(f, 0xeb);
    EXPECT(f, 0xfa, 0x08, 7, 0);
    to_mouse(f, 0xea);
    EXPECT(f, 0xfa);
    input_mouse(f->m, 1, 0, 0, 0);
    EXPECT(f, 0x08, 1, 0);
}

static void mouse_rates(Fixture *f, unsigned a, unsigned b, unsigned c)
{
    const unsigned rates[] = { a, b, c };

    for (int i = 0; i < 3; i++) {
        to_mouse(f, 0xf3);
        EXPECT(f, 0xfa);
        to_mouse(f, rates[i]);
        EXPECT(f, 0xfa);
    }
}

static void test_mouse_wheel(Fixture *f, gconstpointer data)
{
    (void)data;
    mouse_on(f);
    mouse_rates(f, 200, 100, 80);
    to_mouse(f, 0xf2);
    EXPECT(f, 0xfa, 3);
    input_mouse(f->m, 0, 0, -1, 0);
    EXPECT(f, 0x08, 0, 0, 0xff);
    mouse_rates(f, 200, 200, 80);
    to_mouse(f, 0xf2);
    EXPECT(f, 0xfa, 4);
    input_mouse(f->m, 0, 0, 1, 0x18);
    EXPECT(f, 0x08, 0, 0, 0x31);
    to_mouse(f, 0xff);
    EXPECT(f, 0xfa, 0xaa, 0);
    to_mouse(f, 0xf2);
    EXPECT(f, 0xfa, 0);
}

/* The controller's own answers come before what waits in the devices. */
static void test_order(Fixture *f, gconstpointer data)
{
    (void)data;
    mouse_on(f);
    input_key(f->m, KEY_A, true); /* in the output buffer */
    input_mouse(f->m, 1, 0, 0, 0);
    command(f, 0x20);
    EXPECT(f, 0x1c, 0x00, 0x08, 1, 0);
}

/* A state of a sender that has no extended_state. */
static void test_old_sender(Fixture *f, gconstpointer data)
{
    static const uint8_t wire[] = { 0, 0x1d, 0x03, 0x03, 0x7e };
    Section *sec = section_find(f->m, "pckbd", 0);
    Stream st;

    (void)data;
    input_key(f->m, KEY_A, true);
    stream_init(&st);
    stream_put(&st, wire, sizeof(wire));
    device_initial_state(sec->dev, sec->state);
    if (!vmstate_load(&st, sec->vmsd, sec->state, 3)) g_error("%s", st.err.msg);
    stream_free(&st);
    machine_sync(f->m);
    g_assert_true(bare_irq(f->m, KBD_IRQ));
    command(f, 0xd0);
    g_assert_cmphex(get(f), ==, 0x1c);
    g_assert_cmphex(get(f), ==, 0x13); /* the output port has its default */
}

/* What a guest may be in the midst of goes on after a load. */
static void test_load(Fixture *f, gconstpointer data)
{
    Fixture g;

    setup(&g, data);
    mouse_on(f);
    to_mouse(f, 0xf3);
    EXPECT(f, 0xfa);
    to_mouse(f, 200);
    EXPECT(f, 0xfa);
    to_mouse(f, 0xf3); /* its argument is still to come */
    bare_copy(g.m, f->m);
    EXPECT(&g, 0xfa);
    to_mouse(&g, 100);
    EXPECT(&g, 0xfa);
    bare_copy(f->m, g.m); /* two steps of the wheel's sequence done */
    to_mouse(f, 0xf3);
    EXPECT(f, 0xfa);
    to_mouse(f, 80);
    EXPECT(f, 0xfa);
    bare_copy(g.m, f->m);
    to_mouse(&g, 0xf2);
    EXPECT(&g, 0xfa, 3);
    to_mouse(&g, 0xf0); /* motion and buttons that are not yet reported */
    EXPECT(&g, 0xfa);
    input_mouse(g.m, 3, -4, 5, MOUSE_LEFT);
    bare_copy(f->m, g.m);
    to_mouse(f, 0xeb);
    EXPECT(f, 0xfa, 0x09, 3, 4, 5);
    to_mouse(f, 0xee);
    EXPECT(f, 0xfa);
    bare_copy(g.m, f->m); /* echoing */
    to_mouse(&g, 0xf2);
    EXPECT(&g, 0xf2);
    command(&g, 0xd1);
    write_data(&g, 0xdd); /* A20 shut: not the output port's default */
    command(&g, 0xd1);
    bare_copy(f->m, g.m);
    g_assert_false(a20(f));
    write_data(f, 0xdd);
    command(f, 0xd0);
    EXPECT(f, 0xdd & ~0x30);
    teardown(&g, data);
}

#define CASE(name) g_test_add("/device/kbc/" #name, Fixture, NULL, setup, test_##name, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    CASE(controller);
    CASE(a20_and_reset);
    CASE(interrupts);
    CASE(disabled);
    CASE(kbd_commands);
    CASE(scancode_sets);
    CASE(translation);
    CASE(overflow);
    CASE(mouse_commands);
    CASE(mouse_stream);
    CASE(mouse_remote);
    CASE(mouse_wheel);
    CASE(order);
    CASE(old_sender);
    CASE(load);
    return g_test_run();
}
