/* SPDX-License-Identifier: MIT */
/*
 * Drawing of text modes: a cell is drawn when its character, attribute, blinking or glyph differs
 * from what was drawn there.  Source: IBM VGA XGA Technical Reference Manual, "Alphanumeric
 * modes".  Blinking follows the host's time: the picture is not guest state.
 */
#include "hw/vga.h"

#include <limits.h>
#include <string.h>

enum { CELL_CURSOR = 1, CELL_HIDDEN = 2, CELL_FONT = 4, CELL_NEVER = 0x80 };
enum { CURSOR_OFF = 0x20, ATTR_BLINK = 0x80, ATTR_FONT = 0x08 };

/* At 60 frames a second the cursor changes every 8 frames, blinking characters every 16. */
enum { BLINK_HALF_MS = 133 };

typedef struct TextCursor {
    uint32_t at;          /* bytes of vram */
    unsigned top, bottom; /* lines; top > bottom: none */
    unsigned phase;       /* counts half periods */
} TextCursor;

/* A character row, or what of it is to be seen, on its way to the picture. */
typedef struct TextRow {
    uint32_t at;    /* vram */
    unsigned first; /* its first line that is shown */
    unsigned lines; /* how many */
    unsigned y;     /* where, in the picture */
    unsigned pan;
    VgaCell *cells;
} TextRow;

static TextCursor cursor_get(const VgaState *s)
{
    uint8_t start = s->cr[CR_CURSOR_START], end = s->cr[CR_CURSOR_END];
    TextCursor c;

    c.at = ((uint32_t)load_be16(&s->cr[CR_CURSOR_HI]) + (end >> 5 & 3)) * 4;
    c.top = start & 0x1f;
    c.bottom = end & 0x1f;
    c.phase = (unsigned)(host_ns() / (BLINK_HALF_MS * NS_PER_MS));
    if (start & CURSOR_OFF || c.phase & 1) c.top = 0xff;
    return c;
}

/* Gathers a font from plane 2; true where it has changed. */
static bool font_update(Vga *vga, unsigned which, uint32_t plane_offset)
{
    uint8_t *font = vga->fonts[which];
    bool changed = false;

    for (uint32_t i = 0; i < VGA_FONT_BYTES; i++) {
        uint8_t v = vga->vram->host[((plane_offset + i) * 4 + 2) & vga->vram_mask];

        changed |= font[i] != v;
        font[i] = v;
    }
    return changed;
}

static VgaCell cell_get(const Vga *vga, const VgaMode *mode, const TextCursor *cur, uint32_t at)
{
    const uint8_t *p = vga->vram->host + (at & vga->vram_mask);
    VgaCell cell = { .ch = p[0], .attr = p[1] };

    if (at == cur->at && cur->top <= cur->bottom) cell.flags |= CELL_CURSOR;
    if (mode->attr_mode & AR_MODE_BLINK && cell.attr & ATTR_BLINK) {
        if (cur->phase & 2) cell.flags |= CELL_HIDDEN;
    }
    if (cell.attr & ATTR_FONT && mode->font[0] != mode->font[1]) cell.flags |= CELL_FONT;
    return cell;
}

/* The dots of one line of a cell, the leftmost in bit 8 (of nine). */
static unsigned glyph_line(
    const Vga *vga, const VgaMode *mode, VgaCell cell, const TextCursor *cur, unsigned line)
{
    unsigned dots = vga->fonts[cell.flags & CELL_FONT ? 1 : 0][cell.ch * 32u + (line & 31)] << 1;

    if (dots & 2 && mode->attr_mode & AR_MODE_LINE && (cell.ch & 0xe0) == 0xc0) dots |= 1;
    if (line == mode->underline && (cell.attr & 0x77) == 0x01) dots = 0x1ff;
    if (cell.flags & CELL_HIDDEN) dots = 0;
    if (cell.flags & CELL_CURSOR && line >= cur->top && line <= cur->bottom) dots = 0x1ff;
    return dots;
}

static void cell_draw(
    Vga *vga, const VgaMode *mode, const TextRow *row, unsigned column, const TextCursor *cur)
{
    VgaCell cell = row->cells[column];
    bool blinks = mode->attr_mode & AR_MODE_BLINK;
    unsigned ink = cell.attr & 0x0f;
    uint32_t fg = vga->colours[ink], bg = vga->colours[cell.attr >> 4 & (blinks ? 0x07 : 0x0f)];
    int x0 = (int)((column * mode->cell_width - row->pan) * mode->dot_repeat);

    for (unsigned y = 0; y < row->lines; y++) {
        unsigned dots = glyph_line(vga, mode, cell, cur, row->first + y / mode->line_repeat);
        uint32_t *dst = console_row(vga->console, row->y + y);
        int x = x0;

        for (unsigned i = 0; i < mode->cell_width; i++) {
            for (unsigned n = 0; n < mode->dot_repeat; n++, x++) {
                if (x >= 0 && x < (int)mode->width) dst[x] = dots & 0x100 >> i ? fg : bg;
            }
        }
    }
}

static void row_draw(Vga *vga, const VgaMode *mode, const TextRow *row, const TextCursor *cur)
{
    unsigned columns = mode->columns + (row->pan ? 1 : 0), left = columns, right = 0;

    for (unsigned i = 0; i < columns; i++) {
        VgaCell cell = cell_get(vga, mode, cur, row->at + 4 * i);

        if (!memcmp(&cell, &row->cells[i], sizeof(cell))) continue;
        row->cells[i] = cell;
        cell_draw(vga, mode, row, i, cur);
        left = MIN_OF(left, i);
        right = i + 1;
    }
    if (right) {
        unsigned cell = mode->cell_width * mode->dot_repeat, pan = row->pan * mode->dot_repeat;
        unsigned x0 = left ? left * cell - pan : 0;

        console_damage(
            vga->console, x0, row->y, MIN_OF(right * cell, mode->width) - x0, row->lines);
    }
}

/* Room for every cell that the picture could hold; all marked as never drawn where asked. */
static void cells_prepare(Vga *vga, const VgaMode *mode, bool forget)
{
    size_t n = (size_t)(mode->height + 2) * (mode->columns + 1);

    if (vga->cells_count < n) {
        vga->cells = g_renew(VgaCell, vga->cells, n);
        vga->cells_count = n;
        forget = true;
    }
    if (forget) memset(vga->cells, CELL_NEVER, vga->cells_count * sizeof(VgaCell));
}

/* How many lines of the picture a row that starts at y takes. */
static unsigned row_lines(const VgaMode *mode, unsigned y, unsigned first)
{
    unsigned lines = first > mode->max_scan ? 1 : mode->max_scan + 1 - first;
    unsigned end = mode->height;

    if (y <= mode->line_compare && mode->line_compare + 1 < end) end = mode->line_compare + 1;
    return MIN_OF(lines * mode->line_repeat, end - y);
}

void vga_text_draw(Vga *vga, const VgaMode *mode)
{
    TextCursor cur = cursor_get(vga->s);
    bool fonts = font_update(vga, 0, mode->font[0]);
    unsigned index = 0;

    fonts |= font_update(vga, 1, mode->font[1]);
    /* The cursor's shape is not in the cells. */
    fonts |= vga->cursor_drawn != (cur.top << 8 | cur.bottom) && cur.top != 0xff;
    if (cur.top != 0xff) vga->cursor_drawn = cur.top << 8 | cur.bottom;
    cells_prepare(vga, mode, vga->draw_all || fonts);

    TextRow row = { .at = mode->start, .first = mode->row_scan, .pan = mode->pan };

    while (row.y < mode->height) {
        row.lines = row_lines(mode, row.y, row.first);
        row.cells = vga->cells + (size_t)index++ * (mode->columns + 1);
        row_draw(vga, mode, &row, &cur);
        row.y += row.lines;
        row.first = 0;
        row.at += mode->line_offset;
        if (row.y == mode->line_compare + 1) { /* the lower part starts at address 0 */
            row.at = 0;
            if (mode->pan_top_only) row.pan = 0;
        }
    }
}

bool vga_text_cells(
    Vga *vga, uint16_t *cells, unsigned max, unsigned *columns, unsigned *rows, unsigned *cursor)
{
    VgaMode mode;

    vga_mode_get(vga, &mode);
    if (mode.kind != VGA_TEXT) return false;
    TextCursor cur = cursor_get(vga->s);

    *columns = mode.columns;
    *rows = mode.height / ((mode.max_scan + 1) * mode.line_repeat);
    *cursor = UINT_MAX;
    for (unsigned i = 0; i < *columns * *rows; i++) {
        uint32_t at = mode.start + i / mode.columns * mode.line_offset + i % mode.columns * 4;

        if (at == cur.at && !(vga->s->cr[CR_CURSOR_START] & CURSOR_OFF)) *cursor = i;
        if (i < max) cells[i] = load_le16(vga->vram->host + (at & vga->vram_mask));
    }
    return true;
}
