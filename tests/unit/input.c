/* SPDX-License-Identifier: MIT */
/* Keys by name, sendkey in guest time, what a stopped guest hears, screendumps' refusals. */
#include <unistd.h>

#include "core/command.h"
#include "tests/device/bare.h"
#include "ui/ui.h"

typedef struct Fixture {
    Machine *m;
    InputHandler keyboard, mouse, other;
    GString *heard;
    Sink sink;
    GString *said;
} Fixture;

static void hear_key(void *opaque, int key, bool down)
{
    Fixture *f = opaque;

    g_string_append_printf(f->heard, "%s%s ", down ? "+" : "-", key_name(key));
}

static void hear_mouse(void *opaque, int dx, int dy, int dz, unsigned buttons)
{
    g_string_append_printf(((Fixture *)opaque)->heard, "%d,%d,%d,%u ", dx, dy, dz, buttons);
}

static void say(Sink *s, const char *text)
{
    g_string_append(container_of(s, Fixture, sink)->said, text);
}

static void setup(Fixture *f, gconstpointer data)
{
    (void)data;
    f->m = bare_new();
    f->heard = g_string_new(NULL);
    f->said = g_string_new(NULL);
    f->sink.write = say;
    f->keyboard = (InputHandler){ .name = "keys", .key = hear_key, .opaque = f };
    f->mouse = (InputHandler){ .name = "A mouse", .mouse = hear_mouse, .opaque = f };
    f->other = (InputHandler){ .name = "Another", .mouse = hear_mouse, .opaque = f };
    input_handler_add(f->m, &f->keyboard);
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
    g_string_free(f->heard, TRUE);
    g_string_free(f->said, TRUE);
}

/* Runs a command with arguments given as "name", "text" (or a number as text), ..., NULL. */
G_GNUC_NULL_TERMINATED static void run(Fixture *f, const char *name, ...)
{
    static const char *const all[] = { "keys", "hold_ms", "dx", "dy", "dz", "state", "filename",
        "format", "device", "head", "index" };
    Arg args[ARRAY_SIZE(all)] = { 0 };
    CommandCall call = { .m = f->m, .out = &f->sink, .args = args, .nargs = ARRAY_SIZE(all) };
    Error err = ERROR_INIT;
    const char *arg;
    va_list ap;

    va_start(ap, name);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) args[i].name = all[i];
    while ((arg = va_arg(ap, const char *))) {
        const char *text = va_arg(ap, const char *);

        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
            if (strcmp(all[i], arg)) continue;
            args[i].given = true;
            args[i].text = (char *)text;
            args[i].num = g_ascii_strtoll(text, NULL, 0);
        }
    }
    va_end(ap);
    SET_EACH (Command, cmd, commands) {
        if (!strcmp(cmd->name, name)) cmd->run(&call, &err);
    }
    if (error_is_set(&err)) g_string_append_printf(f->said, "Error: %s\n", err.msg);
}

static void check(GString *got, const char *want)
{
    g_assert_cmpstr(got->str, ==, want);
    g_string_truncate(got, 0);
}

static void each_name(void *ctx, const char *name)
{
    int key = key_from_name(name);

    g_assert_cmpint(key, >, 0);
    g_assert_cmpint(key, <, KEY_MAX);
    g_assert_cmpint(key_from_name(key_name(key)), ==, key);
    ++*(unsigned *)ctx;
}

static void test_names(Fixture *f, gconstpointer data)
{
    unsigned n = 0;

    (void)f, (void)data;
    key_names_each(each_name, &n);
    g_assert_cmpuint(n, >, 140);
    g_assert_cmphex(key_from_name("a"), ==, 0x1e);
    g_assert_cmphex(key_from_name("delete"), ==, 0xd3);
    g_assert_cmphex(key_from_name("0x1c"), ==, key_from_name("ret"));
    g_assert_cmphex(key_from_name("0xc6"), ==, KEY_PAUSE);
    g_assert_cmphex(key_from_name("print"), ==, KEY_PRINT);
    static const char *const wrong[] = { "", "A", "foo", "0x", "0x0", "0x100", "0x1g", "ret " };

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) g_assert_cmpint(key_from_name(wrong[i]), ==, -1);
}

static void test_sendkey(Fixture *f, gconstpointer data)
{
    (void)data;
    run(f, "sendkey", "keys", "ctrl-alt-delete", NULL);
    check(f->heard, "+ctrl ");
    bare_run(f->m, 99 * NS_PER_MS);
    check(f->heard, "");
    bare_run(f->m, 2 * NS_PER_MS);
    check(f->heard, "+alt ");
    bare_run(f->m, NS_PER_S);
    check(f->heard, "+delete -delete -alt -ctrl ");
    /* A second command waits for the first. */
    run(f, "sendkey", "keys", "a", "hold_ms", "10", NULL);
    run(f, "sendkey", "keys", "<", "hold_ms", "10", NULL);
    check(f->heard, "+a ");
    bare_run(f->m, NS_PER_S);
    check(f->heard, "-a +less -less ");
    check(f->said, "");
    run(f, "sendkey", "keys", "ctrl-xyz", NULL);
    check(f->said, "invalid parameter: xyz\n");
    run(f, "sendkey", "keys", "a--b", NULL);
    check(f->said, "invalid parameter: \n");
    bare_run(f->m, NS_PER_S);
    check(f->heard, "");
}

static void test_stopped(Fixture *f, gconstpointer data)
{
    (void)data;
    input_key(f->m, 0x1e, true);
    machine_set_run_state(f->m, RUN_PAUSED);
    input_key(f->m, 0x30, true);
    input_key(f->m, 0x30, false);
    input_key(f->m, 0x1e, false);
    check(f->heard, "+a ");
    machine_set_run_state(f->m, RUN_RUNNING);
    check(f->heard, "-a ");
    /* What a load brings in knows of no key. */
    input_key(f->m, 0x1e, true);
    run(f, "sendkey", "keys", "x", NULL);
    machine_set_run_state(f->m, RUN_RESTORE_VM);
    input_key(f->m, 0x1e, false);
    machine_notify(f->m, EVENT_LOADED);
    machine_set_run_state(f->m, RUN_RUNNING);
    bare_run(f->m, NS_PER_S);
    check(f->heard, "+a +x ");
}

static void test_mouse(Fixture *f, gconstpointer data)
{
    (void)data;
    run(f, "info mice", NULL);
    check(f->said, "No mouse devices connected\n");
    input_handler_add(f->m, &f->mouse);
    input_handler_add(f->m, &f->other);
    run(f, "info mice", NULL);
    check(f->said, "* Mouse #3: Another\n  Mouse #2: A mouse\n");
    run(f, "mouse_set", "index", "2", NULL);
    run(f, "mouse_set", "index", "1", NULL);
    check(f->said, "Mouse at index '1' not found\n");
    run(f, "info mice", NULL);
    check(f->said, "  Mouse #3: Another\n* Mouse #2: A mouse\n");
    input_handler_del(f->m, &f->other);
    run(f, "info mice", NULL);
    check(f->said, "* Mouse #2: A mouse\n");
    run(f, "mouse_move", "dx", "5", "dy", "-7", NULL);
    run(f, "mouse_button", "state", "1", NULL);
    run(f, "mouse_move", "dx", "0", "dy", "0", "dz", "1", NULL);
    check(f->heard, "5,-7,0,0 0,0,0,1 0,0,1,1 ");
}

static void test_screendump(Fixture *f, gconstpointer data)
{
    char *path = g_build_filename(g_get_tmp_dir(), "input-test.ppm", NULL), *text, *got;
    gsize len;

    (void)data;
    run(f, "screendump", "filename", path, NULL);
    check(f->said, "Error: There is no console to take a screendump from\n");
    bare_add(f->m, "isa-vga", "vga", "vgamem_mb", "1");
    run(f, "screendump", "filename", path, "device", "nosuch", NULL);
    check(f->said, "Error: Device 'nosuch' not found\n");
    run(f, "screendump", "filename", path, "device", "pic", NULL);
    check(f->said, "Error: Device pic (head 0) is not bound to a QemuConsole\n");
    run(f, "screendump", "filename", path, "format", "gif", NULL);
    check(f->said, "Error: invalid parameter value: gif\n");
    run(f, "screendump", "filename", "/nonexistent/x", NULL);
    check(f->said, "Error: failed to open file '/nonexistent/x': No such file or directory\n");
    if (!access("/dev/full", W_OK)) {
        run(f, "screendump", "filename", "/dev/full", "format", "ppm", NULL);
        check(f->said, "Error: failed to write file '/dev/full': No space left on device\n");
        run(f, "screendump", "filename", "/dev/full", "format", "png", NULL);
        text = g_strdup_printf("Error: failed to write file '/dev/full': ");
        g_assert_true(g_str_has_prefix(f->said->str, text));
        g_string_truncate(f->said, 0);
        g_free(text);
    }
    run(f, "screendump", "filename", path, "device", "vga", NULL);
    check(f->said, "");
    g_assert_true(g_file_get_contents(path, &got, &len, NULL));
    g_assert_cmpuint(len, ==, 15 + 640 * 480 * 3);
    g_assert_true(g_str_has_prefix(got, "P6\n640 480\n255\n"));
    unlink(path);
    g_free(got);
    g_free(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/input/names", Fixture, NULL, setup, test_names, teardown);
    g_test_add("/input/sendkey", Fixture, NULL, setup, test_sendkey, teardown);
    g_test_add("/input/stopped", Fixture, NULL, setup, test_stopped, teardown);
    g_test_add("/input/mouse", Fixture, NULL, setup, test_mouse, teardown);
    g_test_add("/input/screendump", Fixture, NULL, setup, test_screendump, teardown);
    return g_test_run();
}
