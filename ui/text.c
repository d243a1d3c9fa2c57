/* SPDX-License-Identifier: MIT */
/*
 * -display text: what the guest's text screen shows, as plain lines on standard output.  A row is
 * printed when it changes; rows that only scroll up are not printed again.  Not modelled: colours,
 * the cursor, keyboard input (use sendkey).
 */
#include "ui/ui.h"

#include <string.h>

enum { TEXT_CELLS = 256 * 128, TEXT_PERIOD_MS = 100 };

/* The characters of code page 437. */
static const uint16_t cp437[256] = { 0x0020, 0x263a, 0x263b, 0x2665, 0x2666, 0x2663, 0x2660, 0x2022,
    0x25d8, 0x25cb, 0x25d9, 0x2642, 0x2640, 0x266a, 0x266b, 0x263c, 0x25ba, 0x25c4, 0x2195, 0x203c,
    0x00b6, 0x00a7, 0x25ac, 0x21a8, 0x2191, 0x2193, 0x2192, 0x2190, 0x221f, 0x2194, 0x25b2, 0x25bc,
    0x0020, 0x0021, 0x0022, 0x0023, 0x0024, 0x0025, 0x0026, 0x0027, 0x0028, 0x0029, 0x002a, 0x002b,
    0x002c, 0x002d, 0x002e, 0x002f, 0x0030, 0x0031, 0x0032, 0x0033, 0x0034, 0x0035, 0x0036, 0x0037,
    0x0038, 0x0039, 0x003a, 0x003b, 0x003c, 0x003d, 0x003e, 0x003f, 0x0040, 0x0041, 0x0042, 0x0043,
    0x0044, 0x0045, 0x0046, 0x0047, 0x0048, 0x0049, 0x004a, 0x004b, 0x004c, 0x004d, 0x004e, 0x004f,
    0x0050, 0x0051, 0x0052, 0x0053, 0x0054, 0x0055, 0x0056, 0x0057, 0x0058, 0x0059, 0x005a, 0x005b,
    0x005c, 0x005d, 0x005e, 0x005f, 0x0060, 0x0061, 0x0062, 0x0063, 0x0064, 0x0065, 0x0066, 0x0067,
    0x0068, 0x0069, 0x006a, 0x006b, 0x006c, 0x006d, 0x006e, 0x006f, 0x0070, 0x0071, 0x0072, 0x0073,
    0x0074, 0x0075, 0x0076, 0x0077, 0x0078, 0x0079, 0x007a, 0x007b, 0x007c, 0x007d, 0x007e, 0x2302,
    0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef,
    0x00ee, 0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9,
    0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa,
    0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb,
    0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557,
    0x255d, 0x255c, 0x255b, 0x2510, 0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f,
    0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559,
    0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580,
    0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4,
    0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248,
    0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0 };

typedef struct TextScreen {
    unsigned columns, rows; /* 0 in graphics modes */
    unsigned width, height; /* of the picture there */
    uint16_t cells[TEXT_CELLS];
} TextScreen;

typedef struct TextDisplay {
    Machine *m;
    GSource *timer;
    MachineNotifier notifier;
    TextScreen shown, now;
} TextDisplay;

static const uint16_t *text_row(const TextScreen *t, unsigned row)
{
    return t->cells + (size_t)row * t->columns;
}

/* Whether two rows show the same characters, in whatever colours. */
static bool text_rows_equal(const uint16_t *a, const uint16_t *b, unsigned columns)
{
    for (unsigned i = 0; i < columns; i++) {
        if (cp437[a[i] & 0xff] != cp437[b[i] & 0xff]) return false;
    }
    return true;
}

static void text_row_print(const TextScreen *t, unsigned row)
{
    GString *line = g_string_new(NULL);
    const uint16_t *cells = text_row(t, row);

    for (unsigned i = 0; i < t->columns; i++) {
        g_string_append_unichar(line, cp437[cells[i] & 0xff]);
    }
    while (line->len && line->str[line->len - 1] == ' ') g_string_truncate(line, line->len - 1);
    if (line->len) printf("%s\n", line->str);
    g_string_free(line, TRUE);
}

/* By how many rows the screen has scrolled up: the shift under which most rows are as they were. */
static unsigned text_scrolled(const TextScreen *old, const TextScreen *now)
{
    unsigned best = 0, best_same = 0;

    for (unsigned shift = 0; shift < now->rows; shift++) {
        unsigned same = 0;

        for (unsigned i = 0; i + shift < now->rows; i++) {
            same += text_rows_equal(text_row(old, i + shift), text_row(now, i), now->columns);
        }
        if (same > best_same) {
            best = shift;
            best_same = same;
        }
    }
    return best;
}

static void text_diff(const TextScreen *old, const TextScreen *now)
{
    bool same_shape = old->columns == now->columns && old->rows == now->rows;
    unsigned shift = same_shape ? text_scrolled(old, now) : 0;

    for (unsigned i = 0; i < now->rows; i++) {
        if (same_shape && i + shift < now->rows &&
            text_rows_equal(text_row(old, i + shift), text_row(now, i), now->columns)) {
            continue;
        }
        text_row_print(now, i);
    }
}

static gboolean text_tick(gpointer opaque)
{
    TextDisplay *d = opaque;
    Console *c = console_first(d->m);
    TextScreen *now = &d->now;
    unsigned cursor;

    if (!c) return G_SOURCE_CONTINUE;
    now->columns = now->rows = 0;
    if (!c->ops->text ||
        !c->ops->text(c->opaque, now->cells, TEXT_CELLS, &now->columns, &now->rows, &cursor) ||
        now->columns * now->rows > TEXT_CELLS) {
        console_refresh(c);
        now->columns = now->rows = 0;
        now->width = c->width;
        now->height = c->height;
        if (d->shown.columns || d->shown.width != now->width || d->shown.height != now->height) {
            printf("[graphics, %u x %u]\n", now->width, now->height);
        }
    } else {
        text_diff(&d->shown, now);
    }
    fflush(stdout);
    d->shown = *now;
    return G_SOURCE_CONTINUE;
}

static void text_notify(void *opaque, MachineEvent event)
{
    if (event == EVENT_SHUTDOWN) text_tick(opaque); /* what was written last */
}

static void text_destroy(void *slot)
{
    TextDisplay *d = slot;

    if (!d->timer) return;
    machine_notifier_del(d->m, &d->notifier);
    g_source_destroy(d->timer);
    g_source_unref(d->timer);
}

static bool text_open(Machine *m, Options *opts, Error *err)
{
    TextDisplay *d = machine_slot(m, "ui.text", sizeof(TextDisplay), text_destroy);

    (void)opts;
    (void)err;
    d->m = m;
    d->timer = g_timeout_source_new(TEXT_PERIOD_MS);
    g_source_set_callback(d->timer, text_tick, d, NULL);
    g_source_attach(d->timer, m->ctx);
    d->notifier = (MachineNotifier){ .notify = text_notify, .opaque = d };
    machine_notifier_add(m, &d->notifier);
    return true;
}

static const DisplayClass text_display = { .name = "text",
    .desc = "text screen as lines on standard output",
    .priority = -1,
    .open = text_open };
DISPLAY(text_display);
