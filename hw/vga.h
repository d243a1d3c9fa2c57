/* SPDX-License-Identifier: MIT */
/*
 * The inside of the VGA: what its files share.  Nothing outside hw/vga*.c (and its test) needs it.
 *
 * vga.c        life, state tables, the picture's owner
 * vga_regs.c   ports 3B0h-3DFh
 * vga_mem.c    the window at A0000h: planes, write and read modes
 * vga_vbe.c    the dispi registers: linear modes
 * vga_mode.c   what the registers say about the picture: size, addresses, colours
 * vga_text.c   drawing of text, vga_graphics.c of everything else
 * vga_pci.c    VGA on PCI, vga_isa.c on ISA
 *
 * Video memory is plane-interleaved: the byte of plane p at plane offset k is vram[4 * k + p].
 */
#pragma once

#include "core/machine.h"
#include "hw/pci.h"
#include "ui/ui.h"

/* Attribute controller. */
enum { AR_MODE = 0x10, AR_OVERSCAN, AR_PLANES, AR_PAN, AR_COLOUR, AR_COUNT };
enum {
    AR_MODE_GRAPHICS = 0x01,
    AR_MODE_MONO = 0x02,
    AR_MODE_LINE = 0x04,
    AR_MODE_BLINK = 0x08,
    AR_MODE_PAN_TOP = 0x20, /* panning ends at the line compare */
    AR_MODE_256 = 0x40,
    AR_MODE_P54 = 0x80,  /* palette bits 5 and 4 come from AR_COLOUR */
    AR_INDEX_PAS = 0x20, /* palette address source: the screen is on */
};
/* Sequencer. */
enum { SR_RESET, SR_CLOCK, SR_MASK, SR_FONT, SR_MODE };
enum { SR_CLOCK_8DOT = 0x01, SR_CLOCK_HALF = 0x08, SR_CLOCK_OFF = 0x20 };
enum { SR_MODE_CHAIN4 = 0x08 };
/* Graphics controller. */
enum {
    GR_SET,
    GR_ENABLE_SET,
    GR_COMPARE,
    GR_FUNCTION,
    GR_READ_MAP,
    GR_MODE,
    GR_MISC,
    GR_CARE,
    GR_BITS
};
enum { GR_MODE_READ1 = 0x08, GR_MODE_ODD_EVEN = 0x10, GR_MODE_CGA = 0x20, GR_MODE_256 = 0x40 };
/* CRT controller. */
enum {
    CR_HTOTAL = 0x00,
    CR_HDISP = 0x01,
    CR_VTOTAL = 0x06,
    CR_OVERFLOW = 0x07,
    CR_ROW_SCAN = 0x08,
    CR_MAX_SCAN = 0x09,
    CR_CURSOR_START = 0x0a,
    CR_CURSOR_END = 0x0b,
    CR_START_HI = 0x0c,
    CR_CURSOR_HI = 0x0e,
    CR_VSYNC_START = 0x10,
    CR_VSYNC_END = 0x11,
    CR_VDISP = 0x12,
    CR_OFFSET = 0x13,
    CR_UNDERLINE = 0x14,
    CR_MODE = 0x17,
    CR_LINE_COMPARE = 0x18,
};
enum { MSR_COLOUR = 0x01 };
/* Dispi registers and the bits of VBE_ENABLE. */
enum {
    VBE_ID,
    VBE_XRES,
    VBE_YRES,
    VBE_BPP,
    VBE_ENABLE,
    VBE_BANK,
    VBE_VIRT_WIDTH,
    VBE_VIRT_HEIGHT,
    VBE_X_OFFSET,
    VBE_Y_OFFSET,
    VBE_REGS,
    VBE_MEMORY = VBE_REGS, /* video memory in units of 64 KiB; not stored */
};
enum { VBE_ENABLED = 0x01, VBE_GETCAPS = 0x02, VBE_8BIT_DAC = 0x20, VBE_NOCLEAR = 0x80 };
enum { VBE_MAX_XRES = 16000, VBE_MAX_YRES = 12000, VBE_MAX_BPP = 32 };

/* Guest state: members in order of size, names as on the wire. */
typedef struct VgaState {
    uint32_t latch;
    int32_t ar_flip_flop;
    int32_t bank_offset;      /* bytes */
    uint32_t vbe_start_addr;  /* in units of 4 bytes */
    uint32_t vbe_line_offset; /* bytes */
    uint32_t vbe_bank_mask;
    uint16_t vbe_index;
    uint16_t vbe_regs[VBE_REGS];
    uint8_t sr_index, gr_index, ar_index, cr_index;
    uint8_t sr[8], gr[16], ar[AR_COUNT], cr[256];
    uint8_t msr, fcr, st00, st01;
    uint8_t dac_state, dac_sub_index, dac_read_index, dac_write_index, dac_cache[3];
    uint8_t palette[768];
    uint8_t is_vbe;
    uint8_t pel_mask; /* not on the wire of others: exact */
} VgaState;
extern const VmState vga_vmstate; /* "vga" version 2 */

/* What the registers say the picture is; derived, compared to know when all must be drawn. */
typedef enum VgaKind {
    VGA_BLANK,
    VGA_TEXT,
    VGA_PLANAR, /* 4 bits per pixel, one from each plane */
    VGA_CGA4,   /* 2 bits per pixel, packed */
    VGA_256,    /* a byte per pixel, each drawn twice as wide */
    VGA_VBE8,
    VGA_VBE15,
    VGA_VBE16,
    VGA_VBE24,
    VGA_VBE32,
} VgaKind;

typedef struct VgaMode {
    VgaKind kind;
    unsigned width, height; /* pixels of the picture */
    unsigned columns;       /* character clocks of a line */
    unsigned cell_width;    /* text: pixels of a character: 8, 9, 16 */
    unsigned max_scan;      /* lines of a character row, less one */
    unsigned line_repeat;   /* 1, or 2 for double scan */
    unsigned dot_repeat;    /* pixels of the picture for one of the guest's */
    unsigned row_scan;      /* first line of the first row */
    unsigned pan;           /* pixels shifted out at the left */
    bool pan_top_only;
    uint32_t start, line_offset; /* bytes of vram */
    uint32_t line_compare;
    uint32_t cga_bit0, cga_bit1; /* address bits that the row scan counter drives, or 0 */
    unsigned fetch;              /* graphics: bytes of vram of a line */
    uint32_t font[2];            /* text: plane offsets; [0] for attribute bit 3 clear */
    unsigned underline;          /* text: line of the underline */
    uint8_t attr_mode;
} VgaMode;

enum { VGA_FONT_BYTES = 256 * 32 };

/* A text cell as it was drawn. */
typedef struct VgaCell {
    uint8_t ch, attr, flags;
} VgaCell;

typedef struct Vga {
    Device *dev;
    VgaState *s; /* inside the front's s */
    RamBlock *vram;
    uint32_t vram_mask; /* bytes less one: wraps what the guest addresses */
    MemRegion window;   /* A0000h-BFFFFh through the planes */
    MemRegion linear;   /* the same where it is plain memory: chain 4 and VBE banks */
    Console *console;
    /* What has been drawn. */
    VgaMode drawn;
    uint32_t colours[256];
    bool draw_all;
    VgaCell *cells; /* text */
    size_t cells_count;
    uint8_t fonts[2][VGA_FONT_BYTES];
    unsigned cursor_drawn; /* shape of the cursor: first and last line */
    uint8_t *fetched;      /* graphics: one line of vram that wraps */
    uint32_t *pixels;      /* and its pixels before panning */
    size_t fetched_size, pixels_size;
} Vga;

/* Both fronts start alike, so that ports and memory find the Vga. */
typedef struct VgaDev {
    union {
        Device dev;
        PciDev pci;
    };
    Vga vga;
} VgaDev;
static inline Vga *vga_of(Device *dev) { return &((VgaDev *)dev)->vga; }

/* vga.c */
bool vga_realize(
    Vga *vga, Device *dev, VgaState *s, const char *vram_name, uint32_t vram_mb, Error *err);
void vga_unrealize(Vga *vga);
void vga_reset(VgaState *s, uint32_t vram_bytes);
void vga_sync(Vga *vga);

/* vga_regs.c */
uint8_t vga_port_read(Vga *vga, unsigned port);
void vga_port_write(Vga *vga, unsigned port, uint8_t val);
bool vga_map_ports(Vga *vga, Error *err);
/* Display and retrace bits of input status 1 at the present virtual time. */
uint8_t vga_retrace(const Vga *vga);

/* vga_mem.c */
extern const MmioOps vga_window_ops;
uint8_t vga_mem_read(Vga *vga, uint32_t off); /* off counts from A0000h */
void vga_mem_write(Vga *vga, uint32_t off, uint8_t val);
void vga_map_window(Vga *vga); /* after registers changed that decide about it */

/* vga_vbe.c */
uint16_t vga_vbe_read(const Vga *vga, unsigned index);
void vga_vbe_write(Vga *vga, unsigned index, uint16_t val);
bool vga_vbe_map_ports(Vga *vga, Error *err);
static inline bool vga_vbe_enabled(const VgaState *s)
{
    return s->vbe_regs[VBE_ENABLE] & VBE_ENABLED;
}

/* vga_mode.c */
void vga_mode_get(const Vga *vga, VgaMode *mode);
/* Whether pictures of both need no full redraw between them. */
bool vga_mode_equal(const VgaMode *a, const VgaMode *b);
uint32_t vga_colour(const VgaState *s, unsigned dac_index); /* x8r8g8b8 */
unsigned vga_attr_index(const VgaState *s, unsigned attr);  /* 4-bit colour to DAC index */
/* Brings vga->colours up to date; true where a colour has changed. */
bool vga_colours_update(Vga *vga, const VgaMode *mode);
unsigned vga_vertical(const VgaState *s, unsigned reg, unsigned bit8, unsigned bit9);

/* vga_text.c */
void vga_text_draw(Vga *vga, const VgaMode *mode);
bool vga_text_cells(
    Vga *vga, uint16_t *cells, unsigned max, unsigned *columns, unsigned *rows, unsigned *cursor);

/* vga_graphics.c */
void vga_graphics_draw(Vga *vga, const VgaMode *mode);
