/* SPDX-License-Identifier: MIT */
/*
 * The window at A0000h.  Source: IBM VGA XGA Technical Reference Manual, "Graphics controller".
 *
 * Three ways to reach the planes: sequential (an address is the same byte of all planes), odd/even
 * (address bit 0 chooses between planes 0/2 and 1/3) and chain 4 (bits 0 and 1 choose the plane).
 * What odd/even and chain 4 leave over of the address counts on densely (a real chip leaves holes),
 * and so does the display: only a guest that changes the way over the same data sees a difference.
 */
#include "hw/vga.h"

/* Where in vram, as an offset of plane 0 (a multiple of 4), and which planes. */
typedef struct VgaAccess {
    uint32_t at;
    uint8_t planes;
} VgaAccess;

/* A nibble, one bit for each plane, as a dword with all bits of each plane's byte alike. */
static uint32_t planes_spread(unsigned nibble)
{
    uint32_t v = 0;

    for (unsigned p = 0; p < 4; p++) v |= (nibble >> p & 1 ? 0xffu : 0) << 8 * p;
    return v;
}

/* The part of the window that the map select field lets answer.  The miscellaneous output's bit
 * that lets a VGA's memory answer is not asked, as this adapter, which firmware finds by its PCI
 * id, does not: GRUB as firmware leaves it clear and writes its menu all the same. */
static void window_range(const VgaState *s, uint32_t *first, uint32_t *size)
{
    static const uint32_t bases[] = { 0, 0, 0x10000, 0x18000 };
    static const uint32_t sizes[] = { 0x20000, 0x10000, 0x8000, 0x8000 };
    unsigned select = vga_vbe_enabled(s) ? 1 : s->gr[GR_MISC] >> 2 & 3;

    *first = bases[select];
    *size = sizes[select];
}

static bool window_offset(const VgaState *s, uint32_t *off)
{
    uint32_t first, size;

    window_range(s, &first, &size);
    if (*off - first >= size) return false;
    *off -= first;
    return true;
}

static bool vbe_linear(const VgaState *s)
{
    return vga_vbe_enabled(s) && s->vbe_regs[VBE_BPP] != 4;
}

/* Resolves an offset in the window (already relative to its first byte).  Whether even and odd
 * bytes are different planes' is the graphics controller's to say, for reading and for writing;
 * that the sequencer's bit be its complement is what software sees to, but for GRUB as firmware,
 * which loads its font into each byte with that bit clear. */
static VgaAccess access_at(const Vga *vga, uint32_t off)
{
    const VgaState *s = vga->s;
    uint32_t bank = (uint32_t)s->bank_offset;
    VgaAccess a;

    if (vbe_linear(s) || s->sr[SR_MODE] & SR_MODE_CHAIN4) {
        a.at = (off + bank) & ~3u;
        a.planes = (uint8_t)(1 << (off & 3));
    } else if (s->gr[GR_MODE] & GR_MODE_ODD_EVEN && !vga_vbe_enabled(s)) {
        a.at = (off >> 1) * 4;
        a.planes = off & 1 ? 0x0a : 0x05;
    } else {
        a.at = (off + bank) * 4;
        a.planes = 0x0f;
    }
    a.at &= vga->vram_mask;
    return a;
}

uint8_t vga_mem_read(Vga *vga, uint32_t off)
{
    VgaState *s = vga->s;
    bool chain4 = vbe_linear(s) || s->sr[SR_MODE] & SR_MODE_CHAIN4;

    if (!window_offset(s, &off)) return 0xff;
    VgaAccess a = access_at(vga, off);

    if (chain4) return vga->vram->host[a.at + (off & 3)];
    s->latch = load_le32(vga->vram->host + a.at);
    if (s->gr[GR_MODE] & GR_MODE_READ1) {
        uint32_t differ =
            (s->latch ^ planes_spread(s->gr[GR_COMPARE])) & planes_spread(s->gr[GR_CARE]);

        differ |= differ >> 16;
        differ |= differ >> 8;
        return (uint8_t)~differ;
    }
    unsigned plane = s->gr[GR_READ_MAP] & 3;

    if (a.planes != 0x0f) plane = (plane & 2) | (off & 1);
    return (uint8_t)(s->latch >> 8 * plane);
}

/* What the graphics controller makes of a byte: four planes. */
static uint32_t alu(const VgaState *s, uint8_t val)
{
    unsigned mode = s->gr[GR_MODE] & 3, rotate = s->gr[GR_FUNCTION] & 7;
    uint8_t turned = (uint8_t)(val >> rotate | val << (8 - rotate));
    uint32_t mask = s->gr[GR_BITS] * 0x01010101u, set = planes_spread(s->gr[GR_SET]), v;

    switch (mode) {
    case 0: {
        uint32_t enable = planes_spread(s->gr[GR_ENABLE_SET]);

        v = (turned * 0x01010101u & ~enable) | (set & enable);
        break;
    }
    case 1: return s->latch;
    case 2: v = planes_spread(val & 0x0f); break;
    default:
        v = set;
        mask &= turned * 0x01010101u;
        break;
    }
    switch (s->gr[GR_FUNCTION] >> 3) {
    case 1: v &= s->latch; break;
    case 2: v |= s->latch; break;
    case 3: v ^= s->latch; break;
    default: break;
    }
    return (v & mask) | (s->latch & ~mask);
}

static void vram_written(Vga *vga, uint32_t at)
{
    if (vga->vram->watch[at >> PAGE_BITS]) ram_written(vga->vram, at, 4);
}

void vga_mem_write(Vga *vga, uint32_t off, uint8_t val)
{
    VgaState *s = vga->s;

    if (!window_offset(s, &off)) return;
    VgaAccess a = access_at(vga, off);
    uint8_t *p = vga->vram->host + a.at;

    vram_written(vga, a.at);
    if (vbe_linear(s)) {
        p[off & 3] = val;
        return;
    }
    uint32_t planes = planes_spread(a.planes & s->sr[SR_MASK]);

    store_le32(p, (load_le32(p) & ~planes) | (alu(s, val) & planes));
}

static uint64_t window_read(Device *dev, MemAttrs attrs, uint64_t off, unsigned size)
{
    uint64_t val = 0;

    (void)attrs;
    for (unsigned i = 0; i < size; i++) {
        val |= (uint64_t)vga_mem_read(vga_of(dev), (uint32_t)off + i) << 8 * i;
    }
    return val;
}

static void window_write(Device *dev, MemAttrs attrs, uint64_t off, uint64_t val, unsigned size)
{
    (void)attrs;
    for (unsigned i = 0; i < size; i++) {
        vga_mem_write(vga_of(dev), (uint32_t)off + i, (uint8_t)(val >> 8 * i));
    }
}

/* What a page of the window leads to. */
static RamBlock *window_behind(Device *dev, uint64_t off, uint64_t *first_page, uint64_t *pages)
{
    const Vga *vga = vga_of(dev);
    uint32_t from = (uint32_t)off & ~(uint32_t)PAGE_MASK, to = from + PAGE_MASK;

    if (!window_offset(vga->s, &from) || !window_offset(vga->s, &to)) return NULL;
    *first_page = access_at(vga, from).at >> PAGE_BITS;
    *pages = (access_at(vga, to).at >> PAGE_BITS) - *first_page + 1;
    return vga->vram;
}

const MmioOps vga_window_ops = {
    .read = window_read, .write = window_write, .behind = window_behind
};

/* True where a byte written through the window is that byte of vram and nothing else happens. */
static bool window_is_plain(const VgaState *s)
{
    if (vbe_linear(s)) return true;
    return s->sr[SR_MODE] & SR_MODE_CHAIN4 && s->sr[SR_MASK] == 0x0f && !(s->gr[GR_MODE] & 3) &&
           !s->gr[GR_ENABLE_SET] && !s->gr[GR_FUNCTION] && s->gr[GR_BITS] == 0xff;
}

void vga_map_window(Vga *vga)
{
    const VgaState *s = vga->s;
    uint32_t first, size, bank = (uint32_t)s->bank_offset & vga->vram_mask;
    MemRegion *r = &vga->linear;
    bool enabled = window_is_plain(s);

    window_range(s, &first, &size);
    /* A bank that is not whole pages, or the end of vram, wants the long way. */
    if (bank & PAGE_MASK || bank + size > vga->vram->size) enabled = false;
    if (!enabled) {
        if (!r->enabled) return;
        r->enabled = false;
    } else {
        if (r->enabled && r->gpa == 0xa0000 + first && r->size == size && r->ram_off == bank)
            return;
        r->enabled = true;
        r->gpa = 0xa0000 + first;
        r->size = size;
        r->ram_off = bank;
    }
    mem_commit(vga->dev->m);
}
