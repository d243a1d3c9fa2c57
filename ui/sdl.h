/* SPDX-License-Identifier: MIT */
/* The inside of the SDL display: sdl.c (life and events), sdl_window.c, sdl_keys.c, sdl_grab.c. */
#pragma once

#include "ui/ui.h"

typedef struct SDL_Window SDL_Window;
typedef struct SDL_Renderer SDL_Renderer;
typedef struct SDL_Texture SDL_Texture;
typedef struct SDL_KeyboardEvent SDL_KeyboardEvent;
typedef union SDL_Event SDL_Event;

typedef struct Sdl {
    Machine *m;
    Console *console;
    GSource *timer;
    MachineNotifier notifier;
    int64_t refreshed_ns; /* host time */
    bool close_quits;
    /* Window. */
    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *texture;
    unsigned texture_width, texture_height;
    double zoom; /* window pixels for one of the guest's */
    bool hidden, full_screen, redraw;
    /* Keys that the guest was told of, by SDL's scan codes. */
    bool held[512];
    /* Mouse: what moved since it was last told. */
    bool grabbed;
    int dx, dy, dz;
    unsigned buttons;
    bool mouse_changed;
} Sdl;

/* sdl_window.c */
bool sdl_window_open(Sdl *d, bool accelerated, Error *err);
void sdl_window_close(Sdl *d);
void sdl_window_title(Sdl *d);
void sdl_window_draw(Sdl *d); /* what has changed on the console */
void sdl_window_zoom(Sdl *d, double zoom);
void sdl_window_full_screen(Sdl *d, bool on);
void sdl_window_sized(Sdl *d); /* by the user */

/* sdl_keys.c */
void sdl_key(Sdl *d, const SDL_KeyboardEvent *ev);
void sdl_keys_release(Sdl *d);
void sdl_keys_focus(Sdl *d);

/* sdl_grab.c */
void sdl_grab(Sdl *d, bool on);
void sdl_mouse(Sdl *d, const SDL_Event *ev);
void sdl_mouse_flush(Sdl *d);
