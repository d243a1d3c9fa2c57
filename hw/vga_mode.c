/* SPDX-License-Identifier: MIT */
/*
 * What the VGA's registers say about the picture.  Source: IBM VGA XGA Technical Reference Manual,
 * chapter 2.  Not modelled: count by two and by four, the vertical counter's halving, interlace.
 */
#include "hw/vga.h"

#include <string.h>

enum { NO_LINE_COMPARE = 0xffffffff };

static void mode_vbe(const Vga *vga, VgaMode *mode)
{
    static const struct {
        uint8_t bpp, bits, kind;
    } depths[] = { { 4, 4, VGA_PLANAR }, { 8, 8, VGA_VBE8 }, { 15, 16, VGA_VBE15 },
        { 16, 16, VGA_VBE16 }, { 24, 24, VGA_VBE24 }, { 32, 32, VGA_VBE32 } };
    const VgaState *s = vga->s;
    const uint16_t *r = s->vbe_regs;

    for (unsigned i = 0; i < ARRAY_SIZE(depths); i++) {
        if (depths[i].bpp != r[VBE_BPP]) continue;
        mode->kind = depths[i].kind;
        mode->fetch = r[VBE_XRES] / 8 * depths[i].bits;
    }
    mode->width = r[VBE_XRES] & ~7u;
    mode->height = r[VBE_YRES];
    mode->columns = mode->width / 8;
    mode->line_repeat = mode->dot_repeat = 1;
    mode->start = s->vbe_start_addr * 4;
    mode->line_offset = s->vbe_line_offset;
    mode->line_compare = NO_LINE_COMPARE;
    /* The registers may come from a stream. */
    if (!mode->width || mode->width > VBE_MAX_XRES || !mode->height ||
        mode->height > VBE_MAX_YRES || (uint64_t)mode->fetch * mode->height > vga->vram->size) {
        mode->kind = VGA_BLANK;
    }
}

/* Pixels that the attribute controller shifts out at the left (its register 13h). */
static unsigned mode_pan(const VgaState *s, const VgaMode *mode)
{
    unsigned pan = s->ar[AR_PAN] & 0x0f;

    if (mode->kind == VGA_256) return (pan & 7) / 2;
    if (mode->kind == VGA_TEXT && mode->cell_width == 9) return pan >= 8 ? 0 : pan + 1;
    return pan & 7;
}

static void mode_text(const VgaState *s, VgaMode *mode)
{
    unsigned select = s->sr[SR_FONT];
    unsigned map_b = (select & 3) | (select >> 2 & 4),
             map_a = (select >> 2 & 3) | (select >> 3 & 4);

    mode->kind = VGA_TEXT;
    mode->cell_width = s->sr[SR_CLOCK] & SR_CLOCK_8DOT ? 8 : 9;
    mode->width = mode->columns * mode->cell_width * mode->dot_repeat;
    /* Maps 0-3 at 0, 16, 32 and 48 KiB, 4-7 each 8 KiB behind. */
    mode->font[0] = (map_b & 3) * 0x4000 + (map_b >> 2) * 0x2000;
    mode->font[1] = (map_a & 3) * 0x4000 + (map_a >> 2) * 0x2000;
    mode->underline = s->cr[CR_UNDERLINE] & 0x1f;
}

static void mode_graphics(const VgaState *s, VgaMode *mode)
{
    /* A row scan counter bit replaces bit 13 (14) of the address on the bus. */
    unsigned shift = s->cr[CR_UNDERLINE] & 0x40 ? 2 : s->cr[CR_MODE] & 0x40 ? 0 : 1;

    mode->width = mode->columns * 8 * mode->dot_repeat;
    mode->fetch = mode->columns * 4;
    if (!(s->cr[CR_MODE] & 1)) mode->cga_bit0 = 0x2000 * 4 >> shift;
    if (!(s->cr[CR_MODE] & 2)) mode->cga_bit1 = 0x4000 * 4 >> shift;
    if (s->gr[GR_MODE] & GR_MODE_256) {
        mode->kind = VGA_256;
        mode->dot_repeat *= 2;
    } else {
        mode->kind = s->gr[GR_MODE] & GR_MODE_CGA ? VGA_CGA4 : VGA_PLANAR;
    }
}

static void mode_vga(const VgaState *s, VgaMode *mode)
{
    unsigned byte_pan = s->cr[CR_ROW_SCAN] >> 5 & 3;

    mode->columns = s->cr[CR_HDISP] + 1;
    mode->height = vga_vertical(s, CR_VDISP, 1, 6) + 1;
    mode->max_scan = s->cr[CR_MAX_SCAN] & 0x1f;
    mode->line_repeat = s->cr[CR_MAX_SCAN] & 0x80 ? 2 : 1;
    mode->dot_repeat = s->sr[SR_CLOCK] & SR_CLOCK_HALF ? 2 : 1;
    mode->row_scan = s->cr[CR_ROW_SCAN] & 0x1f;
    mode->start = ((uint32_t)load_be16(&s->cr[CR_START_HI]) + byte_pan) * 4;
    mode->line_offset = s->cr[CR_OFFSET] * 8;
    mode->line_compare = s->cr[CR_LINE_COMPARE] | (s->cr[CR_OVERFLOW] >> 4 & 1) << 8 |
                         (s->cr[CR_MAX_SCAN] >> 6 & 1) << 9;
    mode->attr_mode = s->ar[AR_MODE];
    mode->pan_top_only = mode->attr_mode & AR_MODE_PAN_TOP;
    if (s->gr[GR_MISC] & 1)
        mode_graphics(s, mode);
    else
        mode_text(s, mode);
    mode->pan = mode_pan(s, mode);
}

void vga_mode_get(const Vga *vga, VgaMode *mode)
{
    const VgaState *s = vga->s;

    memset(mode, 0, sizeof(*mode));
    if (!(s->ar_index & AR_INDEX_PAS) || s->sr[SR_CLOCK] & SR_CLOCK_OFF)
        mode->kind = VGA_BLANK;
    else if (vga_vbe_enabled(s))
        mode_vbe(vga, mode);
    else
        mode_vga(s, mode);
    if (mode->kind == VGA_BLANK) *mode = (VgaMode){ .kind = VGA_BLANK };
}

bool vga_mode_equal(const VgaMode *a, const VgaMode *b)
{
    /* Text is compared cell by cell, so that scrolling by the start address is cheap. */
    bool moved = a->kind != VGA_TEXT && a->start != b->start;

    return !moved && a->kind == b->kind && a->width == b->width && a->height == b->height &&
           a->columns == b->columns && a->cell_width == b->cell_width &&
           a->max_scan == b->max_scan && a->line_repeat == b->line_repeat &&
           a->dot_repeat == b->dot_repeat && a->row_scan == b->row_scan && a->pan == b->pan &&
           a->pan_top_only == b->pan_top_only && a->line_offset == b->line_offset &&
           a->line_compare == b->line_compare && a->cga_bit0 == b->cga_bit0 &&
           a->cga_bit1 == b->cga_bit1 && a->underline == b->underline &&
           a->attr_mode == b->attr_mode;
}

/* Six bits to eight: the lowest bit fills up, so that 0 and 63 are black and white. */
static uint32_t dac_level(const VgaState *s, uint8_t v)
{
    if (s->vbe_regs[VBE_ENABLE] & VBE_8BIT_DAC) return v;
    return (v & 0x3fu) << 2 | (v & 1u) * 3;
}

uint32_t vga_colour(const VgaState *s, unsigned dac_index)
{
    const uint8_t *p = &s->palette[3 * (dac_index & s->pel_mask)];

    return dac_level(s, p[0]) << 16 | dac_level(s, p[1]) << 8 | dac_level(s, p[2]);
}

unsigned vga_attr_index(const VgaState *s, unsigned attr)
{
    /* The planes' enable bits are graphics' here, as with this adapter elsewhere: GRUB as firmware
     * shows text without ever setting one. */
    unsigned planes = s->gr[GR_MISC] & 1 ? s->ar[AR_PLANES] : 0x0f;
    unsigned v = s->ar[attr & planes & 0x0f] & 0x3f, select = s->ar[AR_COLOUR];

    if (s->ar[AR_MODE] & AR_MODE_P54) v = (v & 0x0f) | (select & 3) << 4;
    return v | (select & 0x0c) << 4;
}

bool vga_colours_update(Vga *vga, const VgaMode *mode)
{
    bool direct = mode->kind == VGA_256 || mode->kind == VGA_VBE8, changed = false;

    for (unsigned i = 0; i < (direct ? 256 : 16); i++) {
        uint32_t rgb = vga_colour(vga->s, direct ? i : vga_attr_index(vga->s, i));

        changed |= vga->colours[i] != rgb;
        vga->colours[i] = rgb;
    }
    return changed && mode->kind != VGA_BLANK;
}
