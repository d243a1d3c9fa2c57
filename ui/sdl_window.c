/* SPDX-License-Identifier: MIT */
/* The window of the SDL display: the console as a texture, size, zoom, full screen, title. */
#include <SDL.h>

#include "ui/sdl.h"

static const double zoom_min = 0.25, zoom_max = 8;

void sdl_window_title(Sdl *d)
{
    static const char *const states[RUN_STATES] = {
        [RUN_PRELAUNCH] = " [Not started]",
        [RUN_INMIGRATE] = " [Waiting for a migration]",
        [RUN_PAUSED] = " [Paused]",
        [RUN_SAVE_VM] = " [Saving]",
        [RUN_RESTORE_VM] = " [Loading]",
        [RUN_FINISH_MIGRATE] = " [Migrating]",
        [RUN_POSTMIGRATE] = " [Migrated]",
        [RUN_POSTCOPY_PAUSED] = " [Migration interrupted]",
        [RUN_SHUTDOWN] = " [Shut down]",
        [RUN_IO_ERROR] = " [I/O error]",
        [RUN_INTERNAL_ERROR] = " [Internal error]",
        [RUN_DEBUG] = " [Debugging]",
    };
    const char *name = d->m->config.name, *state = states[d->m->run_state];
    char *title = g_strconcat("Stasis", name ? " (" : "", name ? name : "", name ? ")" : "",
        state ? state : "", d->grabbed ? " - Ctrl-Alt-G frees the mouse" : "", NULL);

    SDL_SetWindowTitle(d->window, title);
    g_free(title);
}

static void window_fit(Sdl *d)
{
    if (d->full_screen) return;
    SDL_SetWindowSize(
        d->window, (int)(d->console->width * d->zoom), (int)(d->console->height * d->zoom));
}

bool sdl_window_open(Sdl *d, bool accelerated, Error *err)
{
    Uint32 flags = SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI;

    d->zoom = 1;
    d->redraw = true;
    d->window = SDL_CreateWindow("Stasis", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED,
        (int)d->console->width, (int)d->console->height, flags);
    if (d->window) {
        d->renderer = SDL_CreateRenderer(d->window, -1, accelerated ? 0 : SDL_RENDERER_SOFTWARE);
    }
    if (!d->renderer) {
        error_set(err, "could not open a window: %s", SDL_GetError());
        sdl_window_close(d);
        return false;
    }
    sdl_window_title(d);
    return true;
}

void sdl_window_close(Sdl *d)
{
    if (d->texture) SDL_DestroyTexture(d->texture);
    if (d->renderer) SDL_DestroyRenderer(d->renderer);
    if (d->window) SDL_DestroyWindow(d->window);
    d->texture = NULL;
    d->renderer = NULL;
    d->window = NULL;
}

static bool window_texture(Sdl *d)
{
    Console *c = d->console;

    if (d->texture && d->texture_width == c->width && d->texture_height == c->height) return true;
    if (d->texture) SDL_DestroyTexture(d->texture);
    d->texture = SDL_CreateTexture(d->renderer, SDL_PIXELFORMAT_RGB888, SDL_TEXTUREACCESS_STREAMING,
        (int)c->width, (int)c->height);
    if (!d->texture) return false; /* too large for the renderer: a later mode may fit */
    d->texture_width = c->width;
    d->texture_height = c->height;
    console_damage(c, 0, 0, c->width, c->height);
    return true;
}

/* The texture as large as the window lets it be, in the middle. */
static void window_present(Sdl *d)
{
    int width, height;
    double zoom;
    SDL_Rect to;

    if (SDL_GetRendererOutputSize(d->renderer, &width, &height)) return;
    zoom = MIN_OF((double)width / d->texture_width, (double)height / d->texture_height);
    to.w = (int)(d->texture_width * zoom + 0.5);
    to.h = (int)(d->texture_height * zoom + 0.5);
    to.x = (width - to.w) / 2;
    to.y = (height - to.h) / 2;
    SDL_SetTextureScaleMode(
        d->texture, zoom == (int)zoom ? SDL_ScaleModeNearest : SDL_ScaleModeLinear);
    SDL_SetRenderDrawColor(d->renderer, 0, 0, 0, 255);
    SDL_RenderClear(d->renderer);
    SDL_RenderCopy(d->renderer, d->texture, NULL, &to);
    SDL_RenderPresent(d->renderer);
}

void sdl_window_draw(Sdl *d)
{
    Console *c = d->console;

    if (c->resized) {
        c->resized = false;
        d->redraw = true;
        window_fit(d);
    }
    if (!window_texture(d)) return;
    if (c->damage.x1) {
        SDL_Rect r = { .x = (int)c->damage.x0,
            .y = (int)c->damage.y0,
            .w = (int)(c->damage.x1 - c->damage.x0),
            .h = (int)(c->damage.y1 - c->damage.y0) };

        SDL_UpdateTexture(d->texture, &r, console_row(c, c->damage.y0) + c->damage.x0,
            pixman_image_get_stride(c->image));
        c->damage.x1 = 0;
        d->redraw = true;
    }
    if (!d->redraw) return;
    d->redraw = false;
    window_present(d);
}

void sdl_window_zoom(Sdl *d, double zoom)
{
    d->zoom = CLAMP(zoom, zoom_min, zoom_max);
    window_fit(d);
    d->redraw = true;
}

void sdl_window_full_screen(Sdl *d, bool on)
{
    if (d->full_screen == on) return;
    d->full_screen = on;
    SDL_SetWindowFullscreen(d->window, on ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
    if (on)
        sdl_grab(d, true);
    else
        window_fit(d);
    d->redraw = true;
}

void sdl_window_sized(Sdl *d)
{
    int width, height;

    if (d->full_screen) return;
    SDL_GetWindowSize(d->window, &width, &height);
    d->zoom = MIN_OF((double)width / d->console->width, (double)height / d->console->height);
    d->zoom = CLAMP(d->zoom, zoom_min, zoom_max);
    d->redraw = true;
}
