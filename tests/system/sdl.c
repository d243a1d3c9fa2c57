/* SPDX-License-Identifier: MIT */
/*
 * The SDL window, for real: on an X server without a screen (Xvfb), whose frame buffer is a file
 * that can be compared with the screendump.
 */
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ui/ui.h"

enum { WIDTH = 320, HEIGHT = 200 };

#ifdef HAVE_SDL
#include <SDL.h>

/* -- a machine with a display device of the test's -- */

typedef struct Picture {
    Device dev;
    Console *c;
    unsigned phase; /* what is shown */
    unsigned drawn;
    InputHandler input;
    GString *heard;
} Picture;

static uint32_t picture_rgb(unsigned phase, unsigned x, unsigned y)
{
    return (x * 7 & 0xff) << 16 | (y & 0xff) << 8 | ((x ^ y ^ phase * 40) & 0xff);
}

static void picture_refresh(void *opaque)
{
    Picture *p = opaque;

    if (p->phase == p->drawn) return;
    console_resize(p->c, WIDTH * p->phase, HEIGHT * p->phase);
    for (unsigned y = 0; y < p->c->height; y++) {
        for (unsigned x = 0; x < p->c->width; x++) {
            console_row(p->c, y)[x] = picture_rgb(p->phase, x, y);
        }
    }
    console_damage(p->c, 0, 0, p->c->width, p->c->height);
    p->drawn = p->phase;
}

static const ConsoleOps picture_ops = { .refresh = picture_refresh };

static void picture_key(void *opaque, int key, bool down)
{
    g_string_append_printf(((Picture *)opaque)->heard, "%s%s ", down ? "+" : "-", key_name(key));
}

static void picture_mouse(void *opaque, int dx, int dy, int dz, unsigned buttons)
{
    g_string_append_printf(((Picture *)opaque)->heard, "%d,%d,%d,%u ", dx, dy, dz, buttons);
}

static bool picture_realize(Device *dev, Error *err)
{
    Picture *p = (Picture *)dev;

    (void)err;
    p->c = console_new(dev->m, &picture_ops, p);
    p->phase = 1;
    p->heard = g_string_new(NULL);
    p->input =
        (InputHandler){ .name = "test", .key = picture_key, .mouse = picture_mouse, .opaque = p };
    input_handler_add(dev->m, &p->input);
    return true;
}

static void picture_unrealize(Device *dev)
{
    Picture *p = (Picture *)dev;

    input_handler_del(dev->m, &p->input);
    g_string_free(p->heard, TRUE);
    console_free(p->c);
}
DEVICE_STATELESS(sdl_test_picture, "a picture and an ear", Picture, .realize = picture_realize,
    .unrealize = picture_unrealize);

static bool sdl_test_init(Machine *m, Error *err)
{
    return device_create(m, "sdl_test_picture", "picture", err, NULL) != NULL;
}
MACHINE(sdl_test, .name = "sdl-test", .desc = "a picture", .init = sdl_test_init);

/* -- the X server -- */

typedef struct Server {
    GPid pid;
    char *dir;
} Server;

/* A test that fails takes its server along. */
static void server_child(gpointer unused)
{
    (void)unused;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static bool server_start(Server *s)
{
    int fds[2];
    char number[32] = "", fd_text[16];
    const char *argv[] = { "Xvfb", "-displayfd", fd_text, "-screen", "0", "1024x768x24", "-fbdir",
        NULL, "-nolisten", "tcp", NULL };
    ssize_t n;

    s->dir = g_dir_make_tmp("stasis-sdl-XXXXXX", NULL);
    argv[7] = s->dir;
    g_assert_cmpint(pipe(fds), ==, 0);
    g_snprintf(fd_text, sizeof(fd_text), "%d", fds[1]);
    bool ok = g_spawn_async(NULL, (char **)argv, NULL,
        G_SPAWN_SEARCH_PATH | G_SPAWN_LEAVE_DESCRIPTORS_OPEN | G_SPAWN_DO_NOT_REAP_CHILD |
            G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL,
        server_child, NULL, &s->pid, NULL);

    close(fds[1]);
    n = ok ? read(fds[0], number, sizeof(number) - 1) : 0; /* blocks until it listens or dies */
    close(fds[0]);
    if (n <= 0) return false;
    char *display = g_strdup_printf(":%d", atoi(number));

    g_setenv("DISPLAY", display, TRUE);
    g_setenv("SDL_VIDEODRIVER", "x11", TRUE);
    g_setenv("SDL_RENDER_DRIVER", "software", TRUE);
    g_free(display);
    return true;
}

static void server_stop(Server *s)
{
    char *file = g_build_filename(s->dir, "Xvfb_screen0", NULL);

    if (s->pid) {
        kill(s->pid, SIGTERM);
        waitpid(s->pid, NULL, 0);
    }
    unlink(file);
    rmdir(s->dir);
    g_free(file);
    g_free(s->dir);
}

/* A pixel of the screen, out of the frame buffer in X window dump format. */
typedef struct Screen {
    char *data;
    uint32_t header, colours, bytes_per_line;
    bool lsb_first;
} Screen;

static void screen_load(Screen *sc, const Server *s)
{
    char *file = g_build_filename(s->dir, "Xvfb_screen0", NULL);
    gsize len;

    g_assert_true(g_file_get_contents(file, &sc->data, &len, NULL));
    sc->header = load_be32(sc->data);
    sc->lsb_first = load_be32(sc->data + 4 * 7) == 0;
    g_assert_cmpuint(load_be32(sc->data + 4 * 11), ==, 32); /* bits per pixel */
    sc->bytes_per_line = load_be32(sc->data + 4 * 12);
    sc->colours = load_be32(sc->data + 4 * 19);
    g_free(file);
}

static uint32_t screen_pixel(const Screen *sc, unsigned x, unsigned y)
{
    const char *p = sc->data + sc->header + 12 * sc->colours + y * sc->bytes_per_line + 4 * x;

    return (sc->lsb_first ? load_le32(p) : load_be32(p)) & 0xffffff;
}

/* -- tests -- */

static SDL_Window *window(void)
{
    for (Uint32 id = 1; id < 16; id++) {
        if (SDL_GetWindowFromID(id)) return SDL_GetWindowFromID(id);
    }
    return NULL;
}

static void run_for(Machine *m, int ms)
{
    for (int64_t end = host_ns() + ms * NS_PER_MS; host_ns() < end;) {
        if (!g_main_context_iteration(m->ctx, FALSE)) g_usleep(1000);
    }
}

/* Whether the window on the screen shows what a screendump shows. */
static bool window_shows(Machine *m, const Server *s, unsigned zoom)
{
    Console *c = console_first(m);
    Screen sc;
    int left, top, width, height;
    unsigned wrong = 0;

    SDL_GetWindowPosition(window(), &left, &top);
    SDL_GetWindowSize(window(), &width, &height);
    if (width != (int)(c->width * zoom) || height != (int)(c->height * zoom)) return false;
    screen_load(&sc, s);
    for (unsigned y = 0; y < c->height * zoom; y++) {
        for (unsigned x = 0; x < c->width * zoom; x++) {
            wrong += screen_pixel(&sc, (unsigned)left + x, (unsigned)top + y) !=
                     console_row(c, y / zoom)[x / zoom];
        }
    }
    g_free(sc.data);
    return wrong == 0;
}

static void check_shown(Machine *m, const Server *s, unsigned zoom)
{
    for (int i = 0; i < 100 && !window_shows(m, s, zoom); i++) run_for(m, 50);
    g_assert_true(window_shows(m, s, zoom));
}

static void check_picture_is_screendump(Machine *m, const Server *s)
{
    Error err = ERROR_INIT;
    char *path = g_build_filename(s->dir, "dump.ppm", NULL), *data;
    gsize len;

    g_assert_true(console_screendump(console_first(m), path, NULL, &err));
    g_assert_true(g_file_get_contents(path, &data, &len, NULL));
    g_assert_true(g_str_has_prefix(data, "P6\n320 200\n255\n"));
    g_assert_cmpuint(len, ==, 15 + WIDTH * HEIGHT * 3);
    for (unsigned i = 0; i < WIDTH * HEIGHT; i++) {
        const uint8_t *p = (const uint8_t *)data + 15 + 3 * i;

        g_assert_cmphex(
            (uint32_t)p[0] << 16 | p[1] << 8 | p[2], ==, picture_rgb(1, i % WIDTH, i / WIDTH));
    }
    unlink(path);
    g_free(data);
    g_free(path);
}

static void push_key(SDL_Scancode code, uint16_t mod, bool down)
{
    SDL_Event ev = { .key = { .type = down ? SDL_KEYDOWN : SDL_KEYUP,
                         .keysym = { .scancode = code, .mod = mod } } };

    SDL_PushEvent(&ev);
}

static void push_hotkey(SDL_Scancode code)
{
    push_key(SDL_SCANCODE_LCTRL, KMOD_LCTRL, true);
    push_key(SDL_SCANCODE_LALT, KMOD_LCTRL | KMOD_LALT, true);
    push_key(code, KMOD_LCTRL | KMOD_LALT, true);
    push_key(code, KMOD_LCTRL | KMOD_LALT, false);
    push_key(SDL_SCANCODE_LALT, KMOD_LCTRL, false);
    push_key(SDL_SCANCODE_LCTRL, 0, false);
}

static void check_heard(Machine *m, const char *want)
{
    Picture *p = (Picture *)device_find(m, "picture");

    run_for(m, 60);
    g_assert_cmpstr(p->heard->str, ==, want);
    g_string_truncate(p->heard, 0);
}

static void check_input(Machine *m)
{
    SDL_Event move = { .motion = { .type = SDL_MOUSEMOTION, .xrel = 5, .yrel = -3 } };
    SDL_Event press = { .button = { .type = SDL_MOUSEBUTTONDOWN, .button = SDL_BUTTON_RIGHT } };

    check_heard(m, "");
    push_key(SDL_SCANCODE_A, 0, true);
    push_key(SDL_SCANCODE_A, 0, false);
    push_key(SDL_SCANCODE_RIGHT, 0, true);
    push_key(SDL_SCANCODE_RIGHT, 0, false);
    check_heard(m, "+a -a +right -right ");
    SDL_PushEvent(&move); /* not grabbed: the host's */
    check_heard(m, "");
    push_hotkey(SDL_SCANCODE_G);
    check_heard(m, "+ctrl +alt -ctrl -alt ");
    g_assert_nonnull(strstr(SDL_GetWindowTitle(window()), "Ctrl-Alt-G"));
    SDL_PushEvent(&move);
    SDL_PushEvent(&press);
    check_heard(m, "5,-3,0,0 0,0,0,2 ");
    push_hotkey(SDL_SCANCODE_G);
    check_heard(m, "+ctrl +alt -ctrl -alt 0,0,0,0 ");
    g_assert_null(strstr(SDL_GetWindowTitle(window()), "Ctrl-Alt-G"));
}

static void check_window(Machine *m, const Server *s)
{
    Picture *p = (Picture *)device_find(m, "picture");
    SDL_Event close_it = { .window = { .type = SDL_WINDOWEVENT, .event = SDL_WINDOWEVENT_CLOSE } };
    Error err = ERROR_INIT;

    g_assert_nonnull(window());
    g_assert_cmpstr(SDL_GetWindowTitle(window()), ==, "Stasis (sheep) [Not started]");
    SDL_ShowCursor(SDL_DISABLE); /* the server draws it into the picture */
    run_for(m, 100);
    check_shown(m, s, 1);
    check_picture_is_screendump(m, s);
    g_assert_true(machine_start(m, &err));
    g_assert_cmpstr(SDL_GetWindowTitle(window()), ==, "Stasis (sheep)");
    check_input(m);
    p->phase = 2; /* the guest changes its mode: the window follows */
    run_for(m, 100);
    check_shown(m, s, 1);
    g_assert_cmpuint(console_first(m)->width, ==, 2 * WIDTH);
    p->phase = 1;
    run_for(m, 100);
    for (int i = 0; i < 4; i++) push_hotkey(SDL_SCANCODE_EQUALS);
    run_for(m, 100);
    int width;

    SDL_GetWindowSize(window(), &width, NULL);
    g_assert_cmpint(width, ==, (int)(WIDTH * 1.25 * 1.25 * 1.25 * 1.25));
    push_hotkey(SDL_SCANCODE_0);
    check_shown(m, s, 1);
    machine_stop(m, RUN_PAUSED);
    g_assert_cmpstr(SDL_GetWindowTitle(window()), ==, "Stasis (sheep) [Paused]");
    g_assert_false(m->shutdown_requested);
    SDL_PushEvent(&close_it);
    run_for(m, 60);
    g_assert_true(m->shutdown_requested);
    g_assert_cmpint(m->shutdown_reason, ==, SHUTDOWN_HOST_QUIT);
}

static void test_window(void)
{
    Error err = ERROR_INIT;
    Server s = { 0 };

    if (!server_start(&s)) {
        g_test_skip("there is no Xvfb to open a window on (install xvfb)");
        server_stop(&s);
        return;
    }
    Machine *m = machine_new("sdl-test", NULL, &err);

    m->config.name = g_strdup("sheep");
    if (!machine_init(m, &err) || !display_open(m, NULL, &err)) g_error("%s", err.msg);
    check_window(m, &s);
    machine_free(m);
    g_assert_false(SDL_WasInit(SDL_INIT_VIDEO));
    server_stop(&s);
}
#else
static void test_window(void) { g_test_skip("built without SDL"); }
#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sdl/window", test_window);
    return g_test_run();
}
