/* SPDX-License-Identifier: MIT */
/* The mouse of the SDL display: relative movements while the window has grabbed it. */
#include <SDL.h>

#include "ui/sdl.h"

void sdl_grab(Sdl *d, bool on)
{
    if (d->grabbed == on) return;
    d->grabbed = on;
    SDL_SetRelativeMouseMode(on ? SDL_TRUE : SDL_FALSE);
    SDL_SetWindowGrab(d->window, on ? SDL_TRUE : SDL_FALSE);
    if (!on && d->buttons) {
        d->buttons = 0;
        d->mouse_changed = true;
    }
    sdl_window_title(d);
}

static unsigned mouse_button(int button)
{
    switch (button) {
    case SDL_BUTTON_LEFT: return MOUSE_LEFT;
    case SDL_BUTTON_MIDDLE: return MOUSE_MIDDLE;
    case SDL_BUTTON_RIGHT: return MOUSE_RIGHT;
    default: return 0;
    }
}

static void mouse_press(Sdl *d, const SDL_MouseButtonEvent *ev)
{
    unsigned button = mouse_button(ev->button);

    if (!d->grabbed) { /* the click that takes the mouse is not the guest's */
        if (ev->type == SDL_MOUSEBUTTONUP && button == MOUSE_LEFT) sdl_grab(d, true);
        return;
    }
    sdl_mouse_flush(d); /* presses stay in order with movements */
    if (ev->type == SDL_MOUSEBUTTONDOWN)
        d->buttons |= button;
    else
        d->buttons &= ~button;
    d->mouse_changed = true;
    sdl_mouse_flush(d);
}

void sdl_mouse(Sdl *d, const SDL_Event *ev)
{
    if (ev->type == SDL_MOUSEBUTTONDOWN || ev->type == SDL_MOUSEBUTTONUP) {
        mouse_press(d, &ev->button);
    } else if (d->grabbed && ev->type == SDL_MOUSEMOTION) {
        d->dx += ev->motion.xrel;
        d->dy += ev->motion.yrel;
        d->mouse_changed = true;
    } else if (d->grabbed && ev->type == SDL_MOUSEWHEEL) {
        d->dz -= ev->wheel.y;
        d->mouse_changed = true;
    }
}

void sdl_mouse_flush(Sdl *d)
{
    if (!d->mouse_changed) return;
    input_mouse(d->m, d->dx, d->dy, d->dz, d->buttons);
    d->dx = d->dy = d->dz = 0;
    d->mouse_changed = false;
}
