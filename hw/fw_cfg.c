/* SPDX-License-Identifier: MIT */
/*
 * The firmware configuration interface of QEMU: items by key, and files, read through a data port
 * or by DMA.
 * Source: QEMU's specification "fw_cfg".
 * Not modelled: items that the guest may write.
 */
#include "hw/fw_cfg.h"

#include "core/machine.h"
#include "hw/acpi.h"

enum { REG_SELECT, REG_DATA, REG_DMA, FILE_NAME = 56, FILE_SLOTS = 32, DIR_ENTRY = 64 };
enum { KEY_NONE = 0xffff, KEY_WRITE = 0x4000 };
enum { ID_TRADITIONAL = 1, ID_DMA = 2 };
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };
enum { DMA_DESCRIPTOR = 16, DMA_CHUNK = 4096 };

typedef struct FwCfgItem {
    uint8_t *data;
    size_t len;
    RamBlock *block; /* whose content data is, or NULL */
    void (*select)(Device *owner);
    Device *owner;
} FwCfgItem;

typedef struct FwCfgFile {
    char name[FILE_NAME];
    FwCfgItem item;
} FwCfgFile;

typedef struct FwCfg {
    Device dev;
    GHashTable *items;           /* key -> FwCfgItem */
    FwCfgFile files[FILE_SLOTS]; /* sorted by name */
    unsigned nfiles;
    struct FwCfgState {
        uint16_t cur_entry;
        uint32_t cur_offset;
        uint64_t dma_addr;
        uint64_t table_mr_size, linker_mr_size, rsdp_mr_size; /* wire only: of ACPI's files, or 0 */
        uint8_t dma_waits;                                    /* for pages that have not arrived */
    } s;
} FwCfg;
#define FW_CFG(d) ((FwCfg *)(d))

static const VmField fw_cfg_fields[] = {
    VM_INT(struct FwCfgState, cur_entry),
    VM_INT_AS(struct FwCfgState, cur_offset, "cur_offset[1]"),
    VM_END,
};

static const VmField fw_cfg_dma_fields[] = { VM_INT(struct FwCfgState, dma_addr), VM_END };

static const VmState fw_cfg_dma_vmstate = {
    .name = "fw_cfg/dma",
    .fields = fw_cfg_dma_fields,
};

static const VmField fw_cfg_acpi_fields[] = {
    VM_INT(struct FwCfgState, table_mr_size),
    VM_INT(struct FwCfgState, linker_mr_size),
    VM_INT(struct FwCfgState, rsdp_mr_size),
    VM_END,
};

static bool fw_cfg_acpi_needed(const void *state)
{
    return ((const struct FwCfgState *)state)->table_mr_size != 0;
}

static const VmState fw_cfg_acpi_vmstate = {
    .name = "fw_cfg/acpi_mr",
    .version = 1,
    .min_version = 1,
    .fields = fw_cfg_acpi_fields,
    .needed = fw_cfg_acpi_needed,
};

static const VmState fw_cfg_vmstate = {
    .name = "fw_cfg",
    .version = 2,
    .min_version = 2,
    .fields = fw_cfg_fields,
    .subsections = VMSTATES(&fw_cfg_dma_vmstate, &fw_cfg_acpi_vmstate),
};

static const VmField fw_cfg_exact[] = { VM_INT(struct FwCfgState, dma_waits), VM_END };

/* -- items -- */

static void fw_cfg_set_item(FwCfgItem *item, const void *data, size_t len)
{
    if (!item->block) g_free(item->data);
    *item = (FwCfgItem){ .data = g_memdup2(data, len), .len = len };
}

static void fw_cfg_free_item(void *item)
{
    g_free(((FwCfgItem *)item)->data);
    g_free(item);
}

static const FwCfgItem *fw_cfg_item(const FwCfg *f, uint16_t key)
{
    unsigned slot = key - FW_CFG_FILE_FIRST;

    if (key >= FW_CFG_FILE_FIRST && slot < f->nfiles) return &f->files[slot].item;
    return g_hash_table_lookup(f->items, GUINT_TO_POINTER(key));
}

void fw_cfg_add(Device *dev, uint16_t key, const void *data, size_t len)
{
    GHashTable *items = FW_CFG(dev)->items;
    FwCfgItem *item = g_hash_table_lookup(items, GUINT_TO_POINTER(key));

    if (!item) {
        item = g_new0(FwCfgItem, 1);
        g_hash_table_insert(items, GUINT_TO_POINTER(key), item);
    }
    fw_cfg_set_item(item, data, len);
}

void fw_cfg_add_u16(Device *dev, uint16_t key, uint16_t v)
{
    uint8_t bytes[2];

    store_le16(bytes, v);
    fw_cfg_add(dev, key, bytes, sizeof(bytes));
}

void fw_cfg_add_u32(Device *dev, uint16_t key, uint32_t v)
{
    uint8_t bytes[4];

    store_le32(bytes, v);
    fw_cfg_add(dev, key, bytes, sizeof(bytes));
}

void fw_cfg_add_u64(Device *dev, uint16_t key, uint64_t v)
{
    uint8_t bytes[8];

    store_le64(bytes, v);
    fw_cfg_add(dev, key, bytes, sizeof(bytes));
}

/* The directory: be32 count, then be32 size, be16 key, 2 bytes reserved and the name of each. */
static void fw_cfg_write_directory(FwCfg *f)
{
    uint8_t dir[4 + FILE_SLOTS * DIR_ENTRY] = { 0 };

    store_be32(dir, f->nfiles);
    for (unsigned i = 0; i < f->nfiles; i++) {
        uint8_t *e = dir + 4 + i * DIR_ENTRY;

        store_be32(e, (uint32_t)f->files[i].item.len);
        store_be16(e + 4, (uint16_t)(FW_CFG_FILE_FIRST + i));
        memcpy(e + 8, f->files[i].name, FILE_NAME);
    }
    fw_cfg_add(&f->dev, FW_CFG_FILE_DIR, dir, 4 + f->nfiles * DIR_ENTRY);
}

/* The file of this name, made where there is none. */
static FwCfgItem *fw_cfg_file(FwCfg *f, const char *name, Error *err)
{
    unsigned at = 0;

    if (strlen(name) >= FILE_NAME) {
        error_set(err, "fw_cfg: name '%s' is too long", name);
        return NULL;
    }
    while (at < f->nfiles && strcmp(f->files[at].name, name) < 0) at++;
    if (at < f->nfiles && !strcmp(f->files[at].name, name)) return &f->files[at].item;
    if (f->nfiles == FILE_SLOTS) {
        error_set(err, "fw_cfg: no slot left for '%s'", name);
        return NULL;
    }
    memmove(&f->files[at + 1], &f->files[at], (f->nfiles - at) * sizeof(FwCfgFile));
    f->files[at] = (FwCfgFile){ .name = "" };
    g_strlcpy(f->files[at].name, name, FILE_NAME);
    f->nfiles++;
    return &f->files[at].item;
}

bool fw_cfg_add_file(Device *dev, const char *name, const void *data, size_t len, Error *err)
{
    FwCfgItem *item = fw_cfg_file(FW_CFG(dev), name, err);

    if (!item) return false;
    fw_cfg_set_item(item, data, len);
    fw_cfg_write_directory(FW_CFG(dev));
    return true;
}

bool fw_cfg_add_block(Device *dev, const char *name, RamBlock *block, size_t len,
    void (*select)(Device *owner), Device *owner, Error *err)
{
    FwCfgItem *item = fw_cfg_file(FW_CFG(dev), name, err);

    if (!item) return false;
    *item = (FwCfgItem){
        .data = block->host, .len = len, .block = block, .select = select, .owner = owner
    };
    fw_cfg_write_directory(FW_CFG(dev));
    return true;
}

/* -- ports -- */

static void fw_cfg_select(FwCfg *f, uint16_t key)
{
    const FwCfgItem *item = fw_cfg_item(f, key & (uint16_t)~KEY_WRITE);

    f->s.cur_offset = 0;
    f->s.cur_entry = item ? key & (uint16_t)~KEY_WRITE : KEY_NONE;
    if (item && item->select) item->select(item->owner);
}

/* What is left of the selected item. */
static size_t fw_cfg_left(const FwCfg *f, const uint8_t **data)
{
    const FwCfgItem *item = fw_cfg_item(f, f->s.cur_entry);

    if (!item || f->s.cur_offset >= item->len) return 0;
    *data = item->data + f->s.cur_offset;
    return item->len - f->s.cur_offset;
}

static uint32_t fw_cfg_read(Device *dev, uint32_t reg, unsigned size)
{
    FwCfg *f = FW_CFG(dev);
    const uint8_t *data;

    (void)reg, (void)size;
    if (!fw_cfg_left(f, &data)) return 0;
    f->s.cur_offset++;
    return *data;
}

static void fw_cfg_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    if (reg == REG_SELECT && size == 2)
        fw_cfg_select(FW_CFG(dev), (uint16_t)val);
    else
        guest_error(dev, "items are read-only");
}

/* -- DMA -- */

static void fw_cfg_run_dma(Device *dev);

/* One piece of a transfer, at most DMA_CHUNK bytes; beyond an item's end are zeros. */
static uint32_t fw_cfg_dma_piece(FwCfg *f, uint32_t control, uint64_t gpa, uint32_t len)
{
    static const uint8_t zeros[DMA_CHUNK];
    const uint8_t *data = zeros;
    size_t left = fw_cfg_left(f, &data);

    len = MIN_OF(len, DMA_CHUNK);
    if (left) len = (uint32_t)MIN_OF(len, left);
    if (control & DMA_READ) dma_write(&f->dev, gpa, data, len);
    if (left) f->s.cur_offset += len;
    return len;
}

static bool fw_cfg_dma_present(FwCfg *f, uint32_t control, uint64_t gpa, uint32_t len)
{
    uint16_t key = control & DMA_SELECT ? (uint16_t)(control >> 16) : f->s.cur_entry;
    const FwCfgItem *item = fw_cfg_item(f, key & (uint16_t)~KEY_WRITE);

    if (!(control & DMA_READ) || !len) return true;
    if (item && item->block &&
        !ram_probe(&f->dev, item->block, 0, item->block->size >> PAGE_BITS, fw_cfg_run_dma))
        return false;
    return dma_probe(&f->dev, gpa, len, fw_cfg_run_dma);
}

/* Does what the descriptor at dma_addr says, as soon as all the memory is there. */
static void fw_cfg_run_dma(Device *dev)
{
    FwCfg *f = FW_CFG(dev);
    uint64_t at = f->s.dma_addr, gpa;
    uint8_t d[DMA_DESCRIPTOR], result[4];
    uint32_t control, len;

    if (!f->s.dma_waits || !dma_probe(dev, at, DMA_DESCRIPTOR, fw_cfg_run_dma)) return;
    dma_read(dev, at, d, sizeof(d));
    control = load_be32(d);
    len = load_be32(d + 4);
    gpa = load_be64(d + 8);
    if (!fw_cfg_dma_present(f, control, gpa, len)) return;
    f->s.dma_waits = 0;
    f->s.dma_addr = 0;
    if (control & DMA_SELECT) fw_cfg_select(f, (uint16_t)(control >> 16));
    while (len && control & (DMA_READ | DMA_SKIP)) {
        uint32_t n = fw_cfg_dma_piece(f, control, gpa, len);

        gpa += n;
        len -= n;
    }
    store_be32(result, len && control & DMA_WRITE ? DMA_ERROR : 0);
    dma_write(dev, at, result, sizeof(result));
}

static uint32_t fw_cfg_dma_reg_read(Device *dev, uint32_t reg, unsigned size)
{
    static const char signature[8] = { 'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G' };
    uint32_t val = 0;

    (void)dev;
    for (unsigned i = 0; i < size; i++)
        val |= (uint32_t)(uint8_t)signature[(reg - REG_DMA + i) & 7] << 8 * i;
    return val;
}

/* The address comes big-endian, its high half first; the low half starts the transfer. */
static void fw_cfg_dma_reg_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    FwCfg *f = FW_CFG(dev);
    uint8_t bytes[4];

    if (size != 4 || (reg - REG_DMA) & 3) {
        guest_error(dev, "partial write to the DMA address");
        return;
    }
    store_le32(bytes, val);
    if (reg == REG_DMA) {
        f->s.dma_addr = (uint64_t)load_be32(bytes) << 32;
        return;
    }
    f->s.dma_addr |= load_be32(bytes);
    f->s.dma_waits = 1;
    fw_cfg_run_dma(dev);
}

static const IoOps fw_cfg_io = { .read = fw_cfg_read, .write = fw_cfg_write, .width = 2 };
static const IoOps fw_cfg_dma_io = {
    .read = fw_cfg_dma_reg_read, .write = fw_cfg_dma_reg_write, .width = 4
};

/* -- life -- */

static bool fw_cfg_realize(Device *dev, Error *err)
{
    FwCfg *f = FW_CFG(dev);

    f->items = g_hash_table_new_full(NULL, NULL, NULL, fw_cfg_free_item);
    fw_cfg_add(dev, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add_u32(dev, FW_CFG_ID, ID_TRADITIONAL | ID_DMA);
    fw_cfg_write_directory(f);
    return pio_map(dev, 0x510, 2, &fw_cfg_io, REG_SELECT, "fwcfg", err) &&
           pio_map(dev, 0x514, 8, &fw_cfg_dma_io, REG_DMA, "fwcfg.dma", err);
}

static void fw_cfg_unrealize(Device *dev)
{
    FwCfg *f = FW_CFG(dev);

    for (unsigned i = 0; i < f->nfiles; i++)
        if (!f->files[i].item.block) g_free(f->files[i].item.data);
    g_hash_table_destroy(f->items);
}

static void fw_cfg_reset(Device *dev)
{
    FW_CFG(dev)->s = (struct FwCfgState){ 0 };
    fw_cfg_select(FW_CFG(dev), FW_CFG_SIGNATURE);
}

static uint64_t fw_cfg_block_len(FwCfg *f, const char *name)
{
    for (unsigned i = 0; i < f->nfiles; i++)
        if (f->files[i].item.block && !strcmp(f->files[i].name, name)) return f->files[i].item.len;
    return 0;
}

static void fw_cfg_settle(Device *dev)
{
    FwCfg *f = FW_CFG(dev);

    f->s.table_mr_size = fw_cfg_block_len(f, ACPI_FILE_TABLES);
    f->s.linker_mr_size = fw_cfg_block_len(f, ACPI_FILE_LOADER);
    f->s.rsdp_mr_size = fw_cfg_block_len(f, ACPI_FILE_RSDP);
}

DEVICE(fw_cfg, "firmware configuration", FwCfg, .vmstates = VMSTATES(&fw_cfg_vmstate),
    .exact = fw_cfg_exact, .realize = fw_cfg_realize, .unrealize = fw_cfg_unrealize,
    .power_on = fw_cfg_reset, .reset = fw_cfg_reset, .settle = fw_cfg_settle,
    .sync = fw_cfg_run_dma);

static void fw_cfg_declare(Device *dev, Aml *a)
{
    size_t mark = aml_device(a, "FWCF");
    Aml *res = aml_new();

    (void)dev;
    aml_res_io(res, 0x510, 12);
    aml_name_text(a, "_HID", "QEMU0002");
    aml_name_int(a, "_STA", 0x0b); /* there, and nothing to show to a user */
    aml_name_resources(a, "_CRS", res);
    aml_close(a, mark);
    aml_free(res);
}
ACPI_PART(fw_cfg, ACPI_ON_PCI, fw_cfg_declare);
