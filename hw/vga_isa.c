/* SPDX-License-Identifier: MIT */
/*
 * The standard VGA on the ISA bus: ports, the window at A0000h, and the video memory once more at
 * E0000000h for the linear modes.  Its BIOS comes through fw_cfg, put there by the board.
 */
#include "hw/vga.h"

enum { LINEAR_GPA = 0xe0000000 };

typedef struct VgaIsa {
    VgaDev front;
    uint32_t vgamem_mb;
    MemRegion frame_buffer;
    struct VgaIsaState {
        VgaState vga;
    } s;
} VgaIsa;
#define VGA_ISA(d) ((VgaIsa *)(d))

static const VmField vga_isa_exact[] = {
    VM_INT_AS(struct VgaIsaState, vga.pel_mask, "pel_mask"),
    VM_END,
};

static const Prop vga_isa_props[] = { PROP(VgaIsa, vgamem_mb, "8"), PROP_END };

static bool vga_isa_realize(Device *dev, Error *err)
{
    VgaIsa *v = VGA_ISA(dev);
    Vga *vga = &v->front.vga;

    if (!vga_realize(vga, dev, &v->s.vga, "vga.vram", v->vgamem_mb, err)) return false;
    v->frame_buffer = (MemRegion){ .name = "vga.vram",
        .gpa = LINEAR_GPA,
        .size = vga->vram->size,
        .prio = 1,
        .enabled = true,
        .ram = vga->vram,
        .dev = dev };
    mem_region_add(dev->m, &v->frame_buffer);
    return true;
}

static void vga_isa_unrealize(Device *dev)
{
    if (VGA_ISA(dev)->frame_buffer.ram) mem_region_del(dev->m, &VGA_ISA(dev)->frame_buffer);
    vga_unrealize(vga_of(dev));
}

static void vga_isa_reset(Device *dev)
{
    vga_reset(&VGA_ISA(dev)->s.vga, (uint32_t)vga_of(dev)->vram->size);
}

static void vga_isa_sync(Device *dev) { vga_sync(vga_of(dev)); }

DEVICE(vga_isa, "standard VGA on ISA", VgaIsa, .name = "isa-vga", .bus = "isa",
    .user_creatable = true, .props = vga_isa_props, .vmstates = VMSTATES(&vga_vmstate),
    .exact = vga_isa_exact, .realize = vga_isa_realize, .unrealize = vga_isa_unrealize,
    .reset = vga_isa_reset, .sync = vga_isa_sync);
