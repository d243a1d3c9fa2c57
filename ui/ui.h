/* SPDX-License-Identifier: MIT */
/*
 * The screen and the input devices.
 *
 * A display device owns a Console and draws into its pixman image (x8r8g8b8) when asked to refresh;
 * displays (SDL, none, text ...) show it.  Keys are named by QEMU's key codes ("ret", "kp_5"), pass
 * through here as numbers of one table and reach whoever takes keyboard input.
 */
#pragma once

#include <pixman.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/machine.h"
#include "util/error.h"
#include "util/options.h"
#include "util/registry.h"

typedef struct Console Console;

typedef struct ConsoleOps {
    /* Brings the image up to date with the guest's video memory; reports damage by
     * console_damage and a new size by console_resize. */
    void (*refresh)(void *opaque);
    /* Text modes: fills cells (character | attribute << 8), row by row; false in graphics modes. */
    bool (*text)(void *opaque, uint16_t *cells, unsigned max, unsigned *columns, unsigned *rows,
        unsigned *cursor);
} ConsoleOps;

struct Console {
    Machine *m;
    const ConsoleOps *ops;
    void *opaque;
    Device *dev;           /* the display device, set by it: how commands name the console */
    pixman_image_t *image; /* owned; never NULL after console_new (640 x 480, black) */
    unsigned width, height;
    bool resized; /* since the display looked */
    struct {
        unsigned x0, y0, x1, y1;
    } damage; /* since the display looked; x1 == 0: none */
};

Console *console_new(Machine *m, const ConsoleOps *ops, void *opaque);
void console_free(Console *c);
Console *console_first(Machine *m);                               /* NULL: no display device */
void console_resize(Console *c, unsigned width, unsigned height); /* no-op on the same size */
void console_damage(Console *c, unsigned x, unsigned y, unsigned w, unsigned h);
void console_refresh(Console *c);
static inline uint32_t *console_row(Console *c, unsigned y)
{
    return pixman_image_get_data(c->image) +
           (size_t)y * ((unsigned)pixman_image_get_stride(c->image) / 4);
}

/* Refreshes and writes the picture: format "ppm" or "png" (NULL: by the file's ending, PPM). */
bool console_screendump(Console *c, const char *path, const char *format, Error *err);

/* -- input -- */

/* Key codes are PC scan code set 1 codes; 0x80 set means prefixed by E0.  Pause is KEY_PAUSE. */
enum { KEY_PAUSE = 0x100, KEY_PRINT = 0x54 | 0x200, KEY_MAX = 0x400 };
int key_from_name(const char *name); /* "ret", "a", "0x1c"; -1: unknown */
const char *key_name(int key);
void key_names_each(void (*fn)(void *ctx, const char *name), void *ctx);

typedef struct InputHandler InputHandler;
struct InputHandler {
    const char *name;
    void (*key)(void *opaque, int key, bool down);                         /* keyboards */
    void (*mouse)(void *opaque, int dx, int dy, int dz, unsigned buttons); /* relative pointers */
    void *opaque;
    InputHandler *next;
};
void input_handler_add(Machine *m, InputHandler *h); /* the newest one of a kind gets the input */
void input_handler_del(Machine *m, InputHandler *h);
void input_key(Machine *m, int key, bool down);
enum { MOUSE_LEFT = 1, MOUSE_RIGHT = 2, MOUSE_MIDDLE = 4 };
void input_mouse(Machine *m, int dx, int dy, int dz, unsigned buttons);
/* Keyboard lights, told by the keyboard: bit 0 scroll, 1 num, 2 caps. */
enum { LED_SCROLL = 1, LED_NUM = 2, LED_CAPS = 4 };
void input_set_leds(Machine *m, unsigned leds);
unsigned input_leds(Machine *m);

/* -- displays: one file each -- */
typedef struct DisplayClass {
    const char *name; /* of -display */
    const char *desc;
    int priority; /* the default is the usable one with the highest; negative: never by default */
    bool (*usable)(void);
    bool (*open)(Machine *m, Options *opts, Error *err);
} DisplayClass;
#define DISPLAY(d) SET_ADD(displays, d)
SET_DECLARE(displays);

/* Whether -display text names one that there is. */
bool display_exists(const char *text, Error *err);
/* -display text; NULL: the default. */
bool display_open(Machine *m, const char *text, Error *err);
