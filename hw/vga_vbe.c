/* SPDX-License-Identifier: MIT */
/*
 * The dispi registers of the Bochs VGA: linear modes of any size.  Source: the interface as the
 * Bochs documentation defines it (versions B0C0h to B0C5h).  Index at port 1CEh, data at 1CFh
 * (and 1D0h); both 16 bits.  While enabled they override the VGA's mode registers without changing
 * them.
 */
#include "hw/vga.h"

#include <string.h>

enum { VBE_PORT_INDEX = 0x1ce, VBE_PORTS = 4 };
enum { VBE_ID_FIRST = 0xb0c0, VBE_ID_LAST = 0xb0c5 };

uint16_t vga_vbe_read(const Vga *vga, unsigned index)
{
    const VgaState *s = vga->s;

    if (index == VBE_MEMORY) return (uint16_t)(vga->vram->size >> 16);
    if (index >= VBE_REGS) return 0;
    if (s->vbe_regs[VBE_ENABLE] & VBE_GETCAPS) {
        if (index == VBE_XRES) return VBE_MAX_XRES;
        if (index == VBE_YRES) return VBE_MAX_YRES;
        if (index == VBE_BPP) return VBE_MAX_BPP;
    }
    return s->vbe_regs[index];
}

static unsigned vbe_bits(uint16_t *bpp)
{
    switch (*bpp) {
    case 4:
    case 8:
    case 16:
    case 24:
    case 32: return *bpp;
    case 15: return 16;
    default: return *bpp = 8;
    }
}

static uint16_t clamp16(uint32_t v, uint32_t low, uint32_t high)
{
    return (uint16_t)(v < low ? low : v > high ? high : v);
}

/* Bends the registers to what fits the memory, and derives line length and start. */
static void vbe_fit(VgaState *s, uint32_t vram_bytes)
{
    uint16_t *r = s->vbe_regs;
    unsigned bits = vbe_bits(&r[VBE_BPP]);

    r[VBE_XRES] = clamp16(r[VBE_XRES] & ~7u, 8, VBE_MAX_XRES);
    r[VBE_VIRT_WIDTH] = clamp16(r[VBE_VIRT_WIDTH] & ~7u, r[VBE_XRES], VBE_MAX_XRES);
    uint32_t line = r[VBE_VIRT_WIDTH] * bits / 8, lines = vram_bytes / line;

    r[VBE_YRES] = clamp16(r[VBE_YRES], 1, MIN_OF((uint32_t)VBE_MAX_YRES, lines));
    r[VBE_VIRT_HEIGHT] = clamp16(lines, 0, 0xffff);
    r[VBE_X_OFFSET] = clamp16(r[VBE_X_OFFSET], 0, VBE_MAX_XRES);
    r[VBE_Y_OFFSET] = clamp16(r[VBE_Y_OFFSET], 0, VBE_MAX_YRES);

    uint32_t left = r[VBE_X_OFFSET] * bits / 8, shown = r[VBE_YRES] * line;

    if (left + (uint64_t)r[VBE_Y_OFFSET] * line + shown > vram_bytes) r[VBE_Y_OFFSET] = 0;
    if (left + (uint64_t)r[VBE_Y_OFFSET] * line + shown > vram_bytes) {
        r[VBE_X_OFFSET] = 0;
        left = 0;
    }
    s->vbe_line_offset = line;
    s->vbe_start_addr = (left + r[VBE_Y_OFFSET] * line) / 4;
}

static void vbe_write_enable(Vga *vga, uint16_t val)
{
    VgaState *s = vga->s;

    if (val & VBE_ENABLED && !vga_vbe_enabled(s)) {
        s->vbe_regs[VBE_VIRT_WIDTH] = 0;
        s->vbe_regs[VBE_X_OFFSET] = 0;
        s->vbe_regs[VBE_Y_OFFSET] = 0;
        vbe_fit(s, (uint32_t)vga->vram->size);
        if (!(val & VBE_NOCLEAR)) {
            uint32_t bytes = s->vbe_regs[VBE_YRES] * s->vbe_line_offset;

            ram_written(vga->vram, 0, bytes);
            memset(vga->vram->host, 0, bytes);
        }
    } else {
        s->bank_offset = 0;
    }
    s->vbe_regs[VBE_ENABLE] = val;
}

static void vbe_write_bank(VgaState *s, uint16_t val)
{
    val &= (uint16_t)(s->vbe_regs[VBE_BPP] == 4 ? s->vbe_bank_mask >> 2 : s->vbe_bank_mask);
    s->vbe_regs[VBE_BANK] = val;
    s->bank_offset = (int32_t)((uint32_t)val << 16);
}

void vga_vbe_write(Vga *vga, unsigned index, uint16_t val)
{
    VgaState *s = vga->s;

    switch (index) {
    case VBE_ID:
        if (val >= VBE_ID_FIRST && val <= VBE_ID_LAST) s->vbe_regs[VBE_ID] = val;
        return;
    case VBE_XRES:
    case VBE_YRES:
    case VBE_BPP:
    case VBE_VIRT_WIDTH:
    case VBE_X_OFFSET:
    case VBE_Y_OFFSET:
        s->vbe_regs[index] = val;
        if (vga_vbe_enabled(s)) vbe_fit(s, (uint32_t)vga->vram->size);
        break;
    case VBE_BANK: vbe_write_bank(s, val); break;
    case VBE_ENABLE: vbe_write_enable(vga, val); break;
    default: return; /* VBE_VIRT_HEIGHT follows from the rest */
    }
    vga_map_window(vga);
}

static uint32_t vbe_io_read(Device *dev, uint32_t reg, unsigned size)
{
    Vga *vga = vga_of(dev);

    if (reg == VBE_PORT_INDEX) return size == 2 ? vga->s->vbe_index : vga->s->vbe_index & 0xff;
    return vga_vbe_read(vga, vga->s->vbe_index);
}

static void vbe_io_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    Vga *vga = vga_of(dev);

    (void)size;
    if (reg == VBE_PORT_INDEX)
        vga->s->vbe_index = (uint16_t)val;
    else
        vga_vbe_write(vga, vga->s->vbe_index, (uint16_t)val);
}

static const IoOps vbe_io_ops = { .read = vbe_io_read, .write = vbe_io_write, .width = 2 };

bool vga_vbe_map_ports(Vga *vga, Error *err)
{
    return pio_map(vga->dev, VBE_PORT_INDEX, VBE_PORTS, &vbe_io_ops, VBE_PORT_INDEX, "vbe", err);
}
