/* SPDX-License-Identifier: MIT */
/*
 * The standard VGA as a PCI device (1234h:1111h).  BAR 0 is the video memory, BAR 2 holds the VGA
 * ports from 400h (as 3C0h-3DFh), the dispi registers from 500h and two more registers at 600h.
 * The legacy ports and the window at A0000h answer whatever the command register says.
 */
#include "hw/vga.h"

enum { VGA_VENDOR = 0x1234, VGA_DEVICE = 0x1111, VGA_REVISION = 2, VGA_PCI_CLASS = 0x0300 };
enum { BAR_VRAM = 0, BAR_MMIO = 2, MMIO_BYTES = 0x1000 };
enum {
    MMIO_PORTS = 0x400,
    MMIO_PORTS_END = 0x420,
    MMIO_DISPI = 0x500,
    MMIO_DISPI_END = MMIO_DISPI + 2 * (VBE_REGS + 1),
    MMIO_EXTENSION = 0x600, /* its size in bytes, then the byte order of the linear modes */
};
enum { EXTENSION_BYTES = 8, ORDER_LITTLE = 0x1e1e1e1e };

typedef struct VgaPci {
    VgaDev front;
    uint32_t vgamem_mb;
    char *romfile;
    struct VgaPciState {
        PciState pci;
        VgaState vga;
    } s;
} VgaPci;
#define VGA_PCI(d) ((VgaPci *)(d))

static const VmField vga_pci_fields[] = {
    VM_PCI_DEVICE(struct VgaPciState, "dev"),
    VM_STRUCT(struct VgaPciState, vga, "vga", vga_vmstate, 2),
    VM_END,
};
static const VmState vga_pci_vmstate = {
    .name = "vga", .version = 2, .min_version = 2, .fields = vga_pci_fields
};
static const VmField vga_pci_exact[] = {
    VM_INT_AS(struct VgaPciState, vga.pel_mask, "pel_mask"),
    VM_END,
};

static const Prop vga_pci_props[] = {
    PCI_PROPS(VgaDev),
    PROP(VgaPci, vgamem_mb, "16"),
    PROP(VgaPci, romfile, "vgabios-stdvga.bin"),
    PROP_END,
};

/* Byte-wide VGA ports: an access of two bytes is one to each of two ports. */
static uint64_t mmio_read(Device *dev, MemAttrs attrs, uint64_t off, unsigned size)
{
    Vga *vga = vga_of(dev);
    uint64_t val = 0;

    (void)attrs;
    if (off >= MMIO_PORTS && off + size <= MMIO_PORTS_END) {
        for (unsigned i = 0; i < size; i++) {
            val |= (uint64_t)vga_port_read(vga, (unsigned)(off - MMIO_PORTS) + 0x3c0 + i) << 8 * i;
        }
    } else if (off >= MMIO_DISPI && off < MMIO_DISPI_END) {
        val = vga_vbe_read(vga, (unsigned)(off - MMIO_DISPI) / 2);
        if (size == 1) val = val >> 8 * (off & 1) & 0xff;
    } else if (off == MMIO_EXTENSION) {
        val = EXTENSION_BYTES;
    } else if (off == MMIO_EXTENSION + 4) {
        val = ORDER_LITTLE;
    }
    return val;
}

static void mmio_write(Device *dev, MemAttrs attrs, uint64_t off, uint64_t val, unsigned size)
{
    Vga *vga = vga_of(dev);

    (void)attrs;
    if (off >= MMIO_PORTS && off + size <= MMIO_PORTS_END) {
        for (unsigned i = 0; i < size; i++) {
            vga_port_write(vga, (unsigned)(off - MMIO_PORTS) + 0x3c0 + i, (uint8_t)(val >> 8 * i));
        }
    } else if (off >= MMIO_DISPI && off < MMIO_DISPI_END && size >= 2) {
        vga_vbe_write(vga, (unsigned)(off - MMIO_DISPI) / 2, (uint16_t)val);
    } else if (off == MMIO_EXTENSION + 4 && val != ORDER_LITTLE) {
        unimplemented(dev, "big-endian frame buffer");
    }
}

static const MmioOps mmio_ops = { .read = mmio_read, .write = mmio_write, .min = 1, .max = 4 };

static bool vga_pci_realize(Device *dev, Error *err)
{
    VgaPci *v = VGA_PCI(dev);
    Vga *vga = &v->front.vga;
    char name[256];

    if (!pci_attach(&v->front.pci, err)) return false;
    g_snprintf(name, sizeof(name), "%s/vga.vram", dev->path);
    if (!vga_realize(vga, dev, &v->s.vga, name, v->vgamem_mb, err)) return false;
    pci_bar_ram(&v->front.pci, BAR_VRAM, "vga.vram", vga->vram, false);
    v->front.pci.bars[BAR_VRAM].prefetchable = true;
    pci_bar_mmio(&v->front.pci, BAR_MMIO, "vga.mmio", MMIO_BYTES, &mmio_ops);
    if (!*v->romfile || pci_load_rom(&v->front.pci, v->romfile, "vga.rom", err)) return true;
    vga_unrealize(vga);
    return false;
}

static void vga_pci_unrealize(Device *dev) { vga_unrealize(vga_of(dev)); }

static void vga_pci_power_on(Device *dev)
{
    pci_power_on(&VGA_PCI(dev)->front.pci, VGA_VENDOR, VGA_DEVICE, VGA_REVISION, VGA_PCI_CLASS, 0);
}

static void vga_pci_reset(Device *dev)
{
    pci_reset(&VGA_PCI(dev)->front.pci);
    vga_reset(&VGA_PCI(dev)->s.vga, (uint32_t)vga_of(dev)->vram->size);
}

static void vga_pci_sync(Device *dev)
{
    pci_sync(&VGA_PCI(dev)->front.pci);
    vga_sync(vga_of(dev));
}

DEVICE(vga_pci, "standard VGA", VgaPci, .name = "VGA", .bus = "pci", .user_creatable = true,
    .props = vga_pci_props, .vmstates = VMSTATES(&vga_pci_vmstate), .exact = vga_pci_exact,
    .realize = vga_pci_realize, .unrealize = vga_pci_unrealize, .power_on = vga_pci_power_on,
    .reset = vga_pci_reset, .sync = vga_pci_sync);
