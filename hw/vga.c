/* SPDX-License-Identifier: MIT */
/*
 * Standard VGA: life, state and picture.  Sources: IBM VGA XGA Technical Reference Manual (1992);
 * the dispi interface as Bochs defines it.  Not modelled: EDID, overscan border, light pen,
 * interlace, the feature connector.  A page that is absent (post-copy) is drawn as it stands, and
 * again when it has come.
 */
#include "hw/vga.h"

#include <string.h>

static const VmField vga_fields[] = {
    VM_INT(VgaState, latch),
    VM_INT(VgaState, sr_index),
    VM_BUFFER(VgaState, sr),
    VM_INT(VgaState, gr_index),
    VM_BUFFER(VgaState, gr),
    VM_INT(VgaState, ar_index),
    VM_BUFFER(VgaState, ar),
    VM_INT(VgaState, ar_flip_flop),
    VM_INT(VgaState, cr_index),
    VM_BUFFER(VgaState, cr),
    VM_INT(VgaState, msr),
    VM_INT(VgaState, fcr),
    VM_INT(VgaState, st00),
    VM_INT(VgaState, st01),
    VM_INT(VgaState, dac_state),
    VM_INT(VgaState, dac_sub_index),
    VM_INT(VgaState, dac_read_index),
    VM_INT(VgaState, dac_write_index),
    VM_BUFFER(VgaState, dac_cache),
    VM_BUFFER(VgaState, palette),
    VM_INT(VgaState, bank_offset),
    VM_ELEM(VgaState, is_vbe, "is_vbe_vmstate", &vm_u8_equal),
    VM_INT(VgaState, vbe_index),
    VM_INTS(VgaState, vbe_regs),
    VM_INT(VgaState, vbe_start_addr),
    VM_INT(VgaState, vbe_line_offset),
    VM_INT(VgaState, vbe_bank_mask),
    VM_END,
};

const VmState vga_vmstate = { .name = "vga", .version = 2, .min_version = 2, .fields = vga_fields };

void vga_reset(VgaState *s, uint32_t vram_bytes)
{
    memset(s, 0, sizeof(*s));
    s->vbe_regs[VBE_ID] = 0xb0c5;
    s->vbe_bank_mask = (vram_bytes >> 16) - 1;
    s->is_vbe = 1;
    s->pel_mask = 0xff;
}

static void vga_blank(Vga *vga)
{
    Console *c = vga->console;

    for (unsigned y = 0; y < c->height; y++) memset(console_row(c, y), 0, 4 * (size_t)c->width);
    console_damage(c, 0, 0, c->width, c->height);
}

static void vga_refresh(void *opaque)
{
    Vga *vga = opaque;
    VgaMode mode;

    vga_mode_get(vga, &mode);
    if (!vga_mode_equal(&mode, &vga->drawn)) {
        vga->drawn = mode;
        vga->draw_all = true;
        ram_unwatch(vga->vram, WATCH_VGA);
        if (mode.kind != VGA_BLANK) console_resize(vga->console, mode.width, mode.height);
    }
    if (vga_colours_update(vga, &mode)) vga->draw_all = true;
    if (mode.kind == VGA_BLANK) {
        if (vga->draw_all) vga_blank(vga);
    } else if (mode.kind == VGA_TEXT) {
        vga_text_draw(vga, &mode);
    } else {
        vga_graphics_draw(vga, &mode);
    }
    vga->draw_all = false;
}

static bool vga_text(void *opaque, uint16_t *cells, unsigned max, unsigned *columns, unsigned *rows,
    unsigned *cursor)
{
    return vga_text_cells(opaque, cells, max, columns, rows, cursor);
}

static const ConsoleOps vga_console_ops = {
    .refresh = vga_refresh,
    .text = vga_text,
};

static void vga_add_window(Vga *vga)
{
    vga->window = (MemRegion){ .name = "vga-lowmem",
        .gpa = 0xa0000,
        .size = 0x20000,
        .prio = 1,
        .enabled = true,
        .ops = &vga_window_ops,
        .dev = vga->dev };
    vga->linear = (MemRegion){ .name = "vga.chain4",
        .gpa = 0xa0000,
        .size = 0x10000,
        .prio = 2,
        .ram = vga->vram,
        .dev = vga->dev };
    mem_region_add(vga->dev->m, &vga->window);
    mem_region_add(vga->dev->m, &vga->linear);
}

bool vga_realize(
    Vga *vga, Device *dev, VgaState *s, const char *vram_name, uint32_t vram_mb, Error *err)
{
    if (vram_mb < 1 || vram_mb > 256 || !is_pow2(vram_mb)) {
        return error_set(err, "vgamem_mb must be a power of two from 1 to 256");
    }
    vga->dev = dev;
    vga->s = s;
    vga->vram = ram_block_new(dev->m, vram_name, (uint64_t)vram_mb * MiB, err);
    if (!vga->vram) return false;
    vga->vram_mask = vram_mb * MiB - 1;
    vga->draw_all = true;
    if (!vga_map_ports(vga, err) || !vga_vbe_map_ports(vga, err)) {
        vga_unrealize(vga);
        return false;
    }
    vga_add_window(vga);
    vga->console = console_new(dev->m, &vga_console_ops, vga);
    vga->console->dev = dev;
    return true;
}

void vga_unrealize(Vga *vga)
{
    if (vga->console) {
        console_free(vga->console);
        mem_region_del(vga->dev->m, &vga->linear);
        mem_region_del(vga->dev->m, &vga->window);
    }
    pio_unmap(vga->dev, 0, 0x10000);
    g_free(vga->cells);
    g_free(vga->fetched);
    g_free(vga->pixels);
}

void vga_sync(Vga *vga)
{
    vga_map_window(vga);
    vga->draw_all = true;
}
