/* SPDX-License-Identifier: MIT */
/*
 * -display sdl: a window with SDL 2.  SDL has no descriptor to wait for, so a timer of the
 * machine's context polls it.  Its event queue is the process's: one machine can have the window.
 */
#include "ui/sdl.h"

#include <SDL.h>
#include <stdlib.h>

enum { SDL_POLL_MS = 15, SDL_REFRESH_MS = 30 };

static void sdl_window_event(Sdl *d, const SDL_WindowEvent *ev)
{
    switch (ev->event) {
    case SDL_WINDOWEVENT_EXPOSED: d->redraw = true; break;
    case SDL_WINDOWEVENT_SIZE_CHANGED: d->redraw = true; break;
    case SDL_WINDOWEVENT_RESIZED: sdl_window_sized(d); break;
    case SDL_WINDOWEVENT_HIDDEN:
    case SDL_WINDOWEVENT_MINIMIZED: d->hidden = true; break;
    case SDL_WINDOWEVENT_SHOWN:
    case SDL_WINDOWEVENT_RESTORED:
        d->hidden = false;
        d->redraw = true;
        break;
    case SDL_WINDOWEVENT_FOCUS_GAINED: sdl_keys_focus(d); break;
    case SDL_WINDOWEVENT_FOCUS_LOST:
        sdl_keys_release(d);
        sdl_grab(d, false);
        break;
    case SDL_WINDOWEVENT_CLOSE:
        if (d->close_quits) machine_request_shutdown(d->m, SHUTDOWN_HOST_QUIT);
        break;
    default: break;
    }
}

static void sdl_event(Sdl *d, const SDL_Event *ev)
{
    switch (ev->type) {
    case SDL_WINDOWEVENT: sdl_window_event(d, &ev->window); break;
    case SDL_KEYDOWN:
    case SDL_KEYUP: sdl_key(d, &ev->key); break;
    case SDL_MOUSEMOTION:
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP:
    case SDL_MOUSEWHEEL: sdl_mouse(d, ev); break;
    case SDL_RENDER_TARGETS_RESET:
    case SDL_RENDER_DEVICE_RESET:
        d->texture_width = 0; /* its content is lost: make another */
        d->redraw = true;
        break;
    default: break;
    }
}

static gboolean sdl_poll(gpointer opaque)
{
    Sdl *d = opaque;
    int64_t now = host_ns();
    SDL_Event ev;

    while (SDL_PollEvent(&ev)) sdl_event(d, &ev);
    sdl_mouse_flush(d);
    if (!d->hidden && now - d->refreshed_ns >= SDL_REFRESH_MS * NS_PER_MS) {
        d->refreshed_ns = now;
        console_refresh(d->console);
        sdl_window_draw(d);
    }
    return G_SOURCE_CONTINUE;
}

static void sdl_notify(void *opaque, MachineEvent event)
{
    if (event == EVENT_RUN_STATE) sdl_window_title(opaque);
}

static void sdl_destroy(void *slot)
{
    Sdl *d = slot;

    if (!d->timer) return;
    g_source_destroy(d->timer);
    g_source_unref(d->timer);
    machine_notifier_del(d->m, &d->notifier);
    sdl_window_close(d);
    SDL_QuitSubSystem(SDL_INIT_VIDEO);
}

static bool sdl_usable(void)
{
    const char *x = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");

    return (x && *x) || (wayland && *wayland);
}

static bool sdl_init(Error *err)
{
    if (SDL_WasInit(SDL_INIT_VIDEO)) {
        return error_set(err, "another machine of this process has the window");
    }
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
    SDL_SetHint(SDL_HINT_GRAB_KEYBOARD, "1");
    /* The software renderer draws to the window itself, not to a texture of another renderer. */
    SDL_SetHint(SDL_HINT_FRAMEBUFFER_ACCELERATION, "0");
    if (!SDL_InitSubSystem(SDL_INIT_VIDEO)) return true;
    return error_set(err, "could not open a window: %s", SDL_GetError());
}

static bool sdl_open(Machine *m, Options *opts, Error *err)
{
    bool gl = true, full_screen = false, close_quits = true;
    Console *c = console_first(m);

    if (!options_get_bool(opts, "gl", &gl, err) ||
        !options_get_bool(opts, "full-screen", &full_screen, err) ||
        !options_get_bool(opts, "window-close", &close_quits, err)) {
        return false;
    }
    if (!c) return true; /* no display device: nothing to show */
    if (!sdl_init(err)) return false;

    Sdl *d = machine_slot(m, "ui.sdl", sizeof(Sdl), sdl_destroy);

    d->m = m;
    d->console = c;
    d->close_quits = close_quits;
    if (!sdl_window_open(d, gl, err)) {
        SDL_QuitSubSystem(SDL_INIT_VIDEO);
        return false;
    }
    sdl_window_full_screen(d, full_screen);
    d->notifier = (MachineNotifier){ .notify = sdl_notify, .opaque = d };
    machine_notifier_add(m, &d->notifier);
    d->timer = g_timeout_source_new(SDL_POLL_MS);
    g_source_set_callback(d->timer, sdl_poll, d, NULL);
    g_source_attach(d->timer, m->ctx);
    return true;
}

static const DisplayClass sdl_display = { .name = "sdl",
    .desc = "window with SDL 2",
    .priority = 10,
    .usable = sdl_usable,
    .open = sdl_open };
DISPLAY(sdl_display);
