/* SPDX-License-Identifier: MIT */
/*
 * 82441FX (440FX) host bridge: which parts of C0000h-FFFFFh are shadow RAM (PAM) and who sees the
 * RAM behind the VGA window (SMRAM).
 * Source: Intel 440FX PCIset data sheet (order 290549), sections 3.2.19 (PAM) and 3.2.26 (SMRAM).
 * Not modelled: DRAM timing and row boundaries, error reporting.
 *
 * Over the board's RAM (priority 0) and the ROMs (priority 1) lie the PAM segments (priority 2),
 * each enabled where its segment reads RAM, and the SMRAM (priority 3).
 */
#include "core/machine.h"
#include "hw/pci.h"

enum { REG_RAM_SIZE = 0x57, REG_PAM0 = 0x59, REG_PAM6 = 0x5f, REG_SMRAM = 0x72 };
enum { PAM_READ = 1, PAM_WRITE = 2 };
enum {
    SMRAM_OPEN = 0x40,   /* seen by everyone */
    SMRAM_CLOSED = 0x20, /* seen by nobody's data accesses */
    SMRAM_LOCK = 0x10,
    SMRAM_ENABLE = 0x08,
    SMRAM_BASE = 0x02, /* at A0000h: the only choice */
};
enum { SEGMENTS = 13, SEGMENT_BYTES = 0x4000, ROM_GPA = 0xc0000, BIOS_GPA = 0xe0000 };
enum { F_SEGMENT_GPA = 0xf0000, TOP_GPA = 0x100000, SMRAM_GPA = 0xa0000, SMRAM_BYTES = 0x20000 };
enum { ROM_PRIO = 1, PAM_PRIO = 2, SMRAM_PRIO = 3, ROM_BYTES = 0x20000 };

typedef struct I440fx {
    PciDev pci;
    RamBlock *ram;
    MemRegion rom, bios;     /* pc.rom at C0000h, the end of pc.bios at E0000h */
    MemRegion pam[SEGMENTS]; /* the first is F0000h, the others 16 KiB each from C0000h on */
    MemRegion smram;
    struct I440fxState {
        PciState pci;
    } s;
} I440fx;
#define I440FX(d) ((I440fx *)(d))

static const VmField i440fx_fields[] = {
    VM_PCI_DEVICE(struct I440fxState, "parent_obj"),
    VM_UNUSED(1),
    VM_END,
};
static const VmState i440fx_vmstate = {
    .name = "I440FX", .version = 3, .min_version = 3, .fields = i440fx_fields
};

static const Prop i440fx_props[] = { PCI_PROPS(I440fx), PROP_END };

/* The attribute bits of a segment: PAM0 has one in its high nibble, the others have two each. */
static unsigned i440fx_pam_mode(I440fx *f, unsigned segment)
{
    const uint8_t *pam = pci_config(&f->pci) + REG_PAM0;

    if (!segment) return pam[0] >> 4 & 3;
    return pam[(segment + 1) / 2] >> (segment & 1 ? 0 : 4) & 3;
}

/* Makes the region's mapping follow the registers; true where it has changed. */
static bool i440fx_map_segment(I440fx *f, unsigned segment)
{
    MemRegion *r = &f->pam[segment];
    unsigned mode = i440fx_pam_mode(f, segment);
    bool enabled = mode & PAM_READ, readonly = !(mode & PAM_WRITE);
    bool changed = r->enabled != enabled || r->readonly != readonly;

    r->enabled = enabled;
    r->readonly = readonly;
    return changed;
}

/* Writes to ROM: where the segment reads ROM and writes RAM, it is being copied into its shadow. */
static void i440fx_rom_write(I440fx *f, uint64_t gpa, uint64_t val, unsigned size)
{
    unsigned segment = gpa >= F_SEGMENT_GPA ? 0 : 1 + (unsigned)(gpa - ROM_GPA) / SEGMENT_BYTES;
    uint8_t buf[8];

    if (!(i440fx_pam_mode(f, segment) & PAM_WRITE)) return;
    store_le64(buf, val);
    ram_block_write(f->ram, gpa, buf, size);
}

static void i440fx_option_rom_write(
    Device *dev, MemAttrs attrs, uint64_t off, uint64_t val, unsigned size)
{
    (void)attrs;
    i440fx_rom_write(I440FX(dev), ROM_GPA + off, val, size);
}

static void i440fx_bios_write(
    Device *dev, MemAttrs attrs, uint64_t off, uint64_t val, unsigned size)
{
    (void)attrs;
    i440fx_rom_write(I440FX(dev), BIOS_GPA + off, val, size);
}

static const MmioOps i440fx_option_rom_ops = { .write = i440fx_option_rom_write };
static const MmioOps i440fx_bios_ops = { .write = i440fx_bios_write };

static bool i440fx_map_smram(I440fx *f)
{
    uint8_t smram = pci_config(&f->pci)[REG_SMRAM];
    bool enabled = smram & SMRAM_ENABLE, smm = !(smram & SMRAM_OPEN), code = smram & SMRAM_CLOSED;
    bool changed =
        f->smram.enabled != enabled || f->smram.smm_only != smm || f->smram.code_only != code;

    f->smram.enabled = enabled;
    f->smram.smm_only = smm;
    f->smram.code_only = code;
    return changed;
}

static void i440fx_map(I440fx *f)
{
    bool changed = i440fx_map_smram(f);

    /* What a lock leaves to be written: D_CLS alone. */
    f->pci.wmask[REG_SMRAM] = pci_config(&f->pci)[REG_SMRAM] & SMRAM_LOCK
                                  ? SMRAM_CLOSED
                                  : SMRAM_OPEN | SMRAM_CLOSED | SMRAM_LOCK | SMRAM_ENABLE;
    for (unsigned i = 0; i < SEGMENTS; i++) changed |= i440fx_map_segment(f, i);
    if (changed) mem_commit(f->pci.dev.m);
}

static void i440fx_config_written(PciDev *pd, unsigned off, unsigned len)
{
    uint8_t *smram = &pci_config(pd)[REG_SMRAM];

    if (off > REG_SMRAM || off + len <= REG_PAM0) return;
    if (*smram & SMRAM_LOCK) *smram &= (uint8_t)~SMRAM_OPEN;
    i440fx_map(I440FX(pd));
}

/* A region of the board's RAM at its own address. */
static void i440fx_add_ram(
    I440fx *f, MemRegion *r, const char *name, uint64_t gpa, uint64_t size, int prio)
{
    *r = (MemRegion){ .name = name,
        .gpa = gpa,
        .size = size,
        .prio = prio,
        .ram = f->ram,
        .ram_off = gpa,
        .dev = &f->pci.dev };
    mem_region_add(f->pci.dev.m, r);
}

/* The end of a ROM, as the bus shows it below 1 MiB. */
static void i440fx_add_rom(
    I440fx *f, MemRegion *r, const char *name, uint64_t gpa, RamBlock *rom, const MmioOps *ops)
{
    uint64_t size = MIN_OF(rom->size, ROM_BYTES);

    *r = (MemRegion){ .name = name,
        .gpa = gpa + ROM_BYTES - size,
        .size = size,
        .prio = ROM_PRIO,
        .enabled = true,
        .ram = rom,
        .ram_off = rom->size - size,
        .readonly = true,
        .ops = ops,
        .dev = &f->pci.dev };
    mem_region_add(f->pci.dev.m, r);
}

static void i440fx_add_regions(I440fx *f)
{
    RamBlock *rom = ram_block_find(f->pci.dev.m, "pc.rom");
    RamBlock *bios = ram_block_find(f->pci.dev.m, "pc.bios");

    if (rom) i440fx_add_rom(f, &f->rom, "pc.rom", ROM_GPA, rom, &i440fx_option_rom_ops);
    if (bios) i440fx_add_rom(f, &f->bios, "isa-bios", BIOS_GPA, bios, &i440fx_bios_ops);
    i440fx_add_ram(f, &f->pam[0], "pam", F_SEGMENT_GPA, TOP_GPA - F_SEGMENT_GPA, PAM_PRIO);
    for (unsigned i = 1; i < SEGMENTS; i++)
        i440fx_add_ram(
            f, &f->pam[i], "pam", ROM_GPA + (i - 1) * SEGMENT_BYTES, SEGMENT_BYTES, PAM_PRIO);
    i440fx_add_ram(f, &f->smram, "smram", SMRAM_GPA, SMRAM_BYTES, SMRAM_PRIO);
}

static bool i440fx_realize(Device *dev, Error *err)
{
    I440fx *f = I440FX(dev);

    f->ram = ram_block_find(dev->m, "pc.ram");
    if (!f->ram || f->ram->size < TOP_GPA)
        return error_set(err, "the i440FX needs 1 MiB of RAM at least");
    if (!pci_attach(&f->pci, err)) return false;
    f->pci.config_written = i440fx_config_written;
    memset(f->pci.wmask + 0x50, 0xff, 0x72 - 0x50);
    f->pci.wmask[0x90] = f->pci.wmask[0x93] = 0xff;
    f->pci.w1cmask[0x91] = 0xff;
    i440fx_add_regions(f);
    return true;
}

static void i440fx_power_on(Device *dev)
{
    pci_power_on(&I440FX(dev)->pci, 0x8086, 0x1237, 2, 0x0600, 0);
}

static void i440fx_reset(Device *dev)
{
    I440fx *f = I440FX(dev);
    uint8_t *config = pci_config(&f->pci);

    pci_reset(&f->pci);
    memset(config + REG_PAM0, 0, REG_PAM6 - REG_PAM0 + 1);
    config[REG_SMRAM] = SMRAM_BASE;
    /* No register of the chip: firmware finds the size of RAM here, in units of 8 MiB. */
    config[REG_RAM_SIZE] = (uint8_t)MIN_OF(f->ram->size / (8 * MiB), 0xff);
}

static void i440fx_sync(Device *dev)
{
    pci_sync(&I440FX(dev)->pci);
    i440fx_map(I440FX(dev));
}

DEVICE(i440fx, "440FX host bridge", I440fx, .name = "i440FX", .bus = "pci", .props = i440fx_props,
    .vmstates = VMSTATES(&i440fx_vmstate), .realize = i440fx_realize, .power_on = i440fx_power_on,
    .reset = i440fx_reset, .sync = i440fx_sync);
