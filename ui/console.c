/* SPDX-License-Identifier: MIT */
/* Consoles: an image, its size, and what of it has changed.  Not modelled: several heads. */
#include "ui/ui.h"

#include <string.h>

#include "ui/consoles.h"

enum { FIRST_WIDTH = 640, FIRST_HEIGHT = 480 };

static void consoles_destroy(void *slot)
{
    Consoles *all = slot;

    if (all->list) g_ptr_array_free(all->list, TRUE);
}

GPtrArray *consoles_of(Machine *m)
{
    Consoles *all = machine_slot(m, "ui.consoles", sizeof(Consoles), consoles_destroy);

    if (!all->list) all->list = g_ptr_array_new();
    return all->list;
}

static void console_set_image(Console *c, unsigned width, unsigned height)
{
    if (c->image) pixman_image_unref(c->image);
    c->image = pixman_image_create_bits(PIXMAN_x8r8g8b8, (int)width, (int)height, NULL, 0);
    if (!c->image) g_error("no memory for a picture of %u x %u", width, height);
    c->width = width;
    c->height = height;
    c->damage.x1 = 0;
    console_damage(c, 0, 0, width, height);
}

Console *console_new(Machine *m, const ConsoleOps *ops, void *opaque)
{
    Console *c = g_new0(Console, 1);

    c->m = m;
    c->ops = ops;
    c->opaque = opaque;
    console_set_image(c, FIRST_WIDTH, FIRST_HEIGHT);
    g_ptr_array_add(consoles_of(m), c);
    return c;
}

void console_free(Console *c)
{
    g_ptr_array_remove(consoles_of(c->m), c);
    pixman_image_unref(c->image);
    g_free(c);
}

Console *console_first(Machine *m)
{
    GPtrArray *all = consoles_of(m);

    return all->len ? all->pdata[0] : NULL;
}

void console_resize(Console *c, unsigned width, unsigned height)
{
    if (c->width == width && c->height == height) return;
    console_set_image(c, width, height);
    c->resized = true;
    machine_notify(c->m, EVENT_DISPLAY);
}

void console_damage(Console *c, unsigned x, unsigned y, unsigned w, unsigned h)
{
    unsigned x1 = MIN_OF(x + w, c->width), y1 = MIN_OF(y + h, c->height);

    if (x >= x1 || y >= y1) return;
    if (!c->damage.x1) {
        c->damage.x0 = x;
        c->damage.y0 = y;
        c->damage.y1 = 0;
    }
    c->damage.x0 = MIN_OF(c->damage.x0, x);
    c->damage.y0 = MIN_OF(c->damage.y0, y);
    c->damage.x1 = MAX_OF(c->damage.x1, x1);
    c->damage.y1 = MAX_OF(c->damage.y1, y1);
}

void console_refresh(Console *c) { c->ops->refresh(c->opaque); }
