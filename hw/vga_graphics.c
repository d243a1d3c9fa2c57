/* SPDX-License-Identifier: MIT */
/*
 * Drawing of graphics modes, line by line; lines whose pages of video memory are clean stay as they
 * are.  Source: IBM VGA XGA Technical Reference Manual, "Video memory organization".
 */
#include "hw/vga.h"

#include <string.h>

/* Draws a line of mode->columns character clocks (or of mode->width pixels) to dst. */
typedef void LineFn(const Vga *vga, const VgaMode *mode, const uint8_t *src, uint32_t *dst);

static uint32_t *put_dot(uint32_t *dst, uint32_t rgb, unsigned repeat)
{
    for (unsigned i = 0; i < repeat; i++) *dst++ = rgb;
    return dst;
}

static void line_planar(const Vga *vga, const VgaMode *mode, const uint8_t *src, uint32_t *dst)
{
    /* Bit i of the index at bit 4 * i. */
    static const uint16_t spread[16] = { 0x0000, 0x0001, 0x0010, 0x0011, 0x0100, 0x0101, 0x0110,
        0x0111, 0x1000, 0x1001, 0x1010, 0x1011, 0x1100, 0x1101, 0x1110, 0x1111 };

    for (unsigned n = mode->fetch / 4; n; n--, src += 4) {
        uint32_t dots = 0; /* eight pixels, the leftmost on top */

        for (unsigned p = 0; p < 4; p++) {
            dots |= ((uint32_t)spread[src[p] >> 4] << 16 | spread[src[p] & 15]) << p;
        }
        for (int i = 28; i >= 0; i -= 4) {
            dst = put_dot(dst, vga->colours[dots >> i & 15], mode->dot_repeat);
        }
    }
}

/* Two bits of plane 0 and two of plane 2 make a pixel, four of them; then those of 1 and 3. */
static void line_cga4(const Vga *vga, const VgaMode *mode, const uint8_t *src, uint32_t *dst)
{
    for (unsigned n = mode->fetch / 4; n; n--, src += 4) {
        for (unsigned p = 0; p < 2; p++) {
            for (int i = 6; i >= 0; i -= 2) {
                unsigned dot = (src[p] >> i & 3u) | (src[p + 2] >> i & 3u) << 2;

                dst = put_dot(dst, vga->colours[dot], mode->dot_repeat);
            }
        }
    }
}

static void line_256(const Vga *vga, const VgaMode *mode, const uint8_t *src, uint32_t *dst)
{
    for (unsigned n = mode->fetch; n; n--) {
        dst = put_dot(dst, vga->colours[*src++], mode->dot_repeat);
    }
}

static void line_vbe8(const Vga *vga, const VgaMode *mode, const uint8_t *src, uint32_t *dst)
{
    for (unsigned n = mode->width; n; n--) *dst++ = vga->colours[*src++];
}

/* Fewer bits to eight, the highest filling up. */
static uint32_t level5(unsigned v) { return (v & 31) << 3 | (v & 31) >> 2; }
static uint32_t level6(unsigned v) { return (v & 63) << 2 | (v & 63) >> 4; }

static void line_vbe15(const Vga *vga, const VgaMode *mode, const uint8_t *src, uint32_t *dst)
{
    (void)vga;
    for (unsigned n = mode->width; n; n--, src += 2) {
        unsigned v = load_le16(src);

        *dst++ = level5(v >> 10) << 16 | level5(v >> 5) << 8 | level5(v);
    }
}

static void line_vbe16(const Vga *vga, const VgaMode *mode, const uint8_t *src, uint32_t *dst)
{
    (void)vga;
    for (unsigned n = mode->width; n; n--, src += 2) {
        unsigned v = load_le16(src);

        *dst++ = level5(v >> 11) << 16 | level6(v >> 5) << 8 | level5(v);
    }
}

static void line_vbe24(const Vga *vga, const VgaMode *mode, const uint8_t *src, uint32_t *dst)
{
    (void)vga;
    for (unsigned n = mode->width; n; n--, src += 3) {
        *dst++ = (uint32_t)src[2] << 16 | (uint32_t)src[1] << 8 | src[0];
    }
}

static void line_vbe32(const Vga *vga, const VgaMode *mode, const uint8_t *src, uint32_t *dst)
{
    (void)vga;
    for (unsigned n = mode->width; n; n--, src += 4) *dst++ = load_le32(src) & 0xffffff;
}

static LineFn *const line_fns[] = {
    [VGA_PLANAR] = line_planar,
    [VGA_CGA4] = line_cga4,
    [VGA_256] = line_256,
    [VGA_VBE8] = line_vbe8,
    [VGA_VBE15] = line_vbe15,
    [VGA_VBE16] = line_vbe16,
    [VGA_VBE24] = line_vbe24,
    [VGA_VBE32] = line_vbe32,
};

/* Whether the guest wrote to the line at a vram offset since it was drawn. */
static bool line_dirty(const Vga *vga, uint32_t at, uint32_t len)
{
    for (uint32_t off = at & ~(uint32_t)PAGE_MASK; off < at + len; off += PAGE_SIZE) {
        if (!ram_is_clean(vga->vram, (off & vga->vram_mask) >> PAGE_BITS, WATCH_VGA)) return true;
    }
    return false;
}

/* The bytes of a line; put together where it wraps at the end of vram. */
static const uint8_t *line_fetch(Vga *vga, uint32_t at, uint32_t len)
{
    uint32_t first = (uint32_t)vga->vram->size - at;

    if (len <= first) return vga->vram->host + at;
    if (vga->fetched_size < len) {
        vga->fetched = g_realloc(vga->fetched, len);
        vga->fetched_size = len;
    }
    memcpy(vga->fetched, vga->vram->host + at, first);
    memcpy(vga->fetched + first, vga->vram->host, len - first);
    return vga->fetched;
}

static void line_draw(Vga *vga, const VgaMode *mode, uint32_t at, unsigned pan, uint32_t *dst)
{
    VgaMode wide = *mode;

    if (!pan) {
        line_fns[mode->kind](vga, mode, line_fetch(vga, at, mode->fetch), dst);
        return;
    }
    wide.fetch += 4; /* one more character clock, at most 16 * 2 pixels */
    if (vga->pixels_size < mode->width + 32) {
        vga->pixels_size = mode->width + 32;
        vga->pixels = g_renew(uint32_t, vga->pixels, vga->pixels_size);
    }
    line_fns[mode->kind](vga, &wide, line_fetch(vga, at, wide.fetch), vga->pixels);
    memcpy(dst, vga->pixels + pan * mode->dot_repeat, 4 * (size_t)mode->width);
}

/* Where the CRT controller is as it goes down the picture. */
typedef struct Scan {
    uint32_t row;  /* vram offset of the character row */
    unsigned line; /* row scan counter */
    unsigned repeated;
    unsigned pan;
} Scan;

static uint32_t scan_address(const Scan *sc, const VgaMode *mode)
{
    uint32_t at = sc->row;

    if (mode->cga_bit0) at = (at & ~mode->cga_bit0) | (sc->line & 1 ? mode->cga_bit0 : 0);
    if (mode->cga_bit1) at = (at & ~mode->cga_bit1) | (sc->line & 2 ? mode->cga_bit1 : 0);
    return at;
}

static void scan_next(Scan *sc, const VgaMode *mode, unsigned y)
{
    if (y == mode->line_compare) { /* the lower part starts at address 0 */
        *sc = (Scan){ .pan = mode->pan_top_only ? 0 : sc->pan };
        return;
    }
    if (++sc->repeated < mode->line_repeat) return;
    sc->repeated = 0;
    if (sc->line++ >= mode->max_scan) {
        sc->line = 0;
        sc->row += mode->line_offset;
    }
}

/* Marks the pages between the lowest and the highest line as seen. */
static void watch_drawn(Vga *vga, uint32_t low, uint32_t high)
{
    uint64_t end = (uint64_t)MIN_OF(high, vga->vram_mask) / PAGE_SIZE + 1;

    for (uint64_t page = ram_next_dirty(vga->vram, low / PAGE_SIZE, WATCH_VGA); page < end;
         page = ram_next_dirty(vga->vram, page, WATCH_VGA)) {
        uint64_t first = page;

        while (page < end && !ram_is_clean(vga->vram, page, WATCH_VGA)) page++;
        ram_watch(vga->vram, first, page - first, WATCH_VGA);
    }
}

void vga_graphics_draw(Vga *vga, const VgaMode *mode)
{
    Scan sc = { .row = mode->start, .line = mode->row_scan, .pan = mode->pan };
    uint32_t low = UINT32_MAX, high = 0, drawn_at = UINT32_MAX;
    unsigned drawn_pan = 0, top = mode->height, bottom = 0;

    for (unsigned y = 0; y < mode->height; y++) {
        uint32_t at = scan_address(&sc, mode) & vga->vram_mask,
                 len = mode->fetch + (sc.pan ? 4 : 0);

        if (vga->draw_all || line_dirty(vga, at, len)) {
            uint32_t *dst = console_row(vga->console, y);

            if (at == drawn_at && sc.pan == drawn_pan) {
                memcpy(dst, console_row(vga->console, y - 1), 4 * (size_t)mode->width);
            } else {
                line_draw(vga, mode, at, sc.pan, dst);
            }
            drawn_at = at;
            drawn_pan = sc.pan;
            top = MIN_OF(top, y);
            bottom = y + 1;
        } else {
            drawn_at = UINT32_MAX;
        }
        low = MIN_OF(low, at + len > vga->vram->size ? 0 : at);
        high = MAX_OF(high, at + len);
        scan_next(&sc, mode, y);
    }
    watch_drawn(vga, low, high);
    if (bottom) console_damage(vga->console, 0, top, mode->width, bottom - top);
}
