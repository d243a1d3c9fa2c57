/* SPDX-License-Identifier: MIT */
/*
 * VGA registers, ports 3B0h-3DFh.  Source: IBM VGA XGA Technical Reference Manual, chapter 2.
 * Not modelled: the vertical retrace interrupt, light pen; switch sense reads 0.
 */
#include "hw/vga.h"

#include <string.h>

/* Bits that can be set. */
static const uint8_t sr_mask[8] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0x00, 0x00, 0xff };
static const uint8_t gr_mask[16] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };
static const uint8_t ar_mask[AR_COUNT] = { 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
    0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f };

enum { CR_PROTECT = 0x80, CR_LINE_COMPARE_8 = 0x10 }; /* of CR11h and CR07h */
enum { DAC_WRITING = 0, DAC_READING = 3 };
enum { ST01_BLANKED = 0x01, ST01_RETRACE = 0x08 };

/* A vertical CRTC value: eight bits in reg, bit 8 and 9 in the overflow register. */
unsigned vga_vertical(const VgaState *s, unsigned reg, unsigned bit8, unsigned bit9)
{
    unsigned high = s->cr[CR_OVERFLOW];

    return s->cr[reg] | (high >> bit8 & 1) << 8 | (high >> bit9 & 1) << 9;
}

uint8_t vga_retrace(const Vga *vga)
{
    const VgaState *s = vga->s;
    unsigned cell = s->sr[SR_CLOCK] & SR_CLOCK_8DOT ? 8 : 9;
    uint64_t khz = s->msr & 0x04 ? 28322 : 25175;
    unsigned columns = s->cr[CR_HTOTAL] + 5, shown_columns = s->cr[CR_HDISP] + 1;
    unsigned lines = vga_vertical(s, CR_VTOTAL, 0, 5) + 2;
    unsigned shown_lines = vga_vertical(s, CR_VDISP, 1, 6) + 1;
    unsigned retrace = vga_vertical(s, CR_VSYNC_START, 2, 7);
    uint8_t st = 0;

    if (s->sr[SR_CLOCK] & SR_CLOCK_HALF) khz /= 2;
    if (lines < shown_lines || columns < shown_columns || retrace >= lines || lines < 100) {
        /* Not programmed for a picture: 640 x 480 at 60 Hz. */
        columns = 100, shown_columns = 80, lines = 525, shown_lines = 480, retrace = 490;
        cell = 8, khz = 25175;
    }
    uint64_t line_dots = (uint64_t)columns * cell;
    uint64_t frame_ns = lines * line_dots * 1000000 / khz;
    uint64_t dot = (uint64_t)clock_now(&vga->dev->m->clock) % frame_ns * khz / 1000000;
    unsigned line = (unsigned)(dot / line_dots), column = (unsigned)(dot % line_dots) / cell;
    unsigned length = (s->cr[CR_VSYNC_END] - retrace) & 0x0f;

    if (line >= shown_lines || column >= shown_columns) st |= ST01_BLANKED;
    if (line >= retrace && line < retrace + MAX_OF(length, 2)) st |= ST01_RETRACE;
    return st;
}

static uint8_t vga_dac_read(VgaState *s)
{
    uint8_t val = s->palette[3 * s->dac_read_index + s->dac_sub_index % 3];

    if (++s->dac_sub_index >= 3) {
        s->dac_sub_index = 0;
        s->dac_read_index++;
    }
    return val;
}

static void vga_dac_write(VgaState *s, uint8_t val)
{
    if (!(s->vbe_regs[VBE_ENABLE] & VBE_8BIT_DAC)) val &= 0x3f;
    s->dac_cache[s->dac_sub_index % 3] = val;
    if (++s->dac_sub_index >= 3) {
        memcpy(&s->palette[3 * s->dac_write_index], s->dac_cache, 3);
        s->dac_sub_index = 0;
        s->dac_write_index++;
    }
}

static void vga_attr_write(VgaState *s, uint8_t val)
{
    unsigned i = s->ar_index & 0x1f;

    if (!s->ar_flip_flop) {
        s->ar_index = val & 0x3f;
    } else if (i < AR_COUNT && (i >= AR_MODE || !(s->ar_index & AR_INDEX_PAS))) {
        /* While the screen is on the palette is the display's. */
        s->ar[i] = val & ar_mask[i];
    }
    s->ar_flip_flop = !s->ar_flip_flop;
}

static void vga_crtc_write(VgaState *s, uint8_t val)
{
    uint8_t i = s->cr_index;

    if (s->cr[CR_VSYNC_END] & CR_PROTECT && i <= CR_OVERFLOW) {
        if (i == CR_OVERFLOW) {
            s->cr[i] = (uint8_t)((s->cr[i] & ~CR_LINE_COMPARE_8) | (val & CR_LINE_COMPARE_8));
        }
        return;
    }
    s->cr[i] = val;
}

/* 3B4h, 3B5h, 3BAh answer in monochrome modes, 3D4h, 3D5h, 3DAh in colour ones. */
static bool vga_port_absent(const VgaState *s, unsigned port)
{
    return s->msr & MSR_COLOUR ? port < 0x3c0 : port >= 0x3d0;
}

static uint8_t vga_crtc_port_read(Vga *vga, unsigned port)
{
    VgaState *s = vga->s;

    switch (port & 0x0f) {
    case 0x4: return s->cr_index;
    case 0x5: return s->cr[s->cr_index];
    case 0xa: s->ar_flip_flop = 0; return s->st01 = vga_retrace(vga);
    default: return 0xff;
    }
}

uint8_t vga_port_read(Vga *vga, unsigned port)
{
    VgaState *s = vga->s;
    unsigned attr = s->ar_index & 0x1f;

    if (vga_port_absent(s, port)) return 0xff;
    switch (port) {
    case 0x3c0: return s->ar_flip_flop ? 0 : s->ar_index;
    case 0x3c1: return attr < AR_COUNT ? s->ar[attr] : 0;
    case 0x3c2: return s->st00;
    case 0x3c4: return s->sr_index;
    case 0x3c5: return s->sr[s->sr_index & 7];
    case 0x3c6: return s->pel_mask;
    case 0x3c7: return s->dac_state;
    case 0x3c8: return s->dac_write_index;
    case 0x3c9: return vga_dac_read(s);
    case 0x3ca: return s->fcr;
    case 0x3cc: return s->msr;
    case 0x3ce: return s->gr_index;
    case 0x3cf: return s->gr[s->gr_index & 15];
    default: return port < 0x3c0 || port >= 0x3d0 ? vga_crtc_port_read(vga, port) : 0xff;
    }
}

static void vga_dac_address(VgaState *s, uint8_t val, uint8_t state)
{
    if (state == DAC_READING)
        s->dac_read_index = val;
    else
        s->dac_write_index = val;
    s->dac_sub_index = 0;
    s->dac_state = state;
}

void vga_port_write(Vga *vga, unsigned port, uint8_t val)
{
    VgaState *s = vga->s;

    if (vga_port_absent(s, port)) return;
    switch (port) {
    case 0x3c0:
    case 0x3c1: vga_attr_write(s, val); return;
    case 0x3c2: s->msr = (uint8_t)(val & ~0x10); break;
    case 0x3c4: s->sr_index = val & 7; return;
    case 0x3c5: s->sr[s->sr_index & 7] = val & sr_mask[s->sr_index & 7]; break;
    case 0x3c6: s->pel_mask = val; return;
    case 0x3c7: vga_dac_address(s, val, DAC_READING); return;
    case 0x3c8: vga_dac_address(s, val, DAC_WRITING); return;
    case 0x3c9: vga_dac_write(s, val); return;
    case 0x3ce: s->gr_index = val & 15; return;
    case 0x3cf: s->gr[s->gr_index & 15] = val & gr_mask[s->gr_index & 15]; break;
    case 0x3b4:
    case 0x3d4: s->cr_index = val; return;
    case 0x3b5:
    case 0x3d5: vga_crtc_write(s, val); return;
    case 0x3ba:
    case 0x3da: s->fcr = val & 0x10; return;
    default: return;
    }
    vga_map_window(vga);
}

static uint32_t vga_io_read(Device *dev, uint32_t reg, unsigned size)
{
    (void)size;
    return vga_port_read(vga_of(dev), reg);
}

static void vga_io_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    (void)size;
    vga_port_write(vga_of(dev), reg, (uint8_t)val);
}

static const IoOps vga_io_ops = { .read = vga_io_read, .write = vga_io_write, .width = 1 };

bool vga_map_ports(Vga *vga, Error *err)
{
    static const struct {
        uint16_t port, count;
    } ranges[] = { { 0x3b4, 2 }, { 0x3ba, 1 }, { 0x3c0, 16 }, { 0x3d4, 2 }, { 0x3da, 1 } };

    for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
        unsigned port = ranges[i].port;

        if (!pio_map(vga->dev, port, ranges[i].count, &vga_io_ops, port, "vga", err)) return false;
    }
    return true;
}
