/* SPDX-License-Identifier: MIT */
/*
 * -kernel: a Linux kernel (bzImage, or what looks like one) goes to the guest as fw_cfg items, and
 * an option ROM (hw/rom/linuxboot.S) puts it into memory and starts it.  A multiboot image is
 * handed on to multiboot.c.
 * Source: the Linux/x86 boot protocol, versions 2.00 to 2.15.
 */
#include <string.h>

#include "hw/board.h"
#include "hw/boot_kernel.h"
#include "hw/fw_cfg.h"

enum { SECTOR = 512, HEADER_END = 0x268, SETUP_SECTORS_OLD = 4 };
/* Offsets in the real-mode part. */
enum {
    SETUP_SECTS = 0x1f1,
    VID_MODE = 0x1fa,
    MAGIC = 0x202,
    VERSION = 0x206,
    TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    HEAP_END = 0x224,
    CMD_LINE_PTR = 0x228,
    INITRD_ADDR_MAX = 0x22c,
    CL_MAGIC = 0x20,  /* version 2.01 and before: A33Fh, ... */
    CL_OFFSET = 0x22, /* ... and where the command line is */
};
enum { HDRS = 0x53726448, LOADED_HIGH = 0x01, CAN_USE_HEAP = 0x80, LOADER_UNKNOWN = 0xff };
/* What firmware keeps at the end of low memory. */
enum { FIRMWARE_TOP = 512 * KiB };

bool boot_read_file(const char *path, uint8_t **data, size_t *len, Error *err)
{
    GError *gerr = NULL;
    gsize size;

    if (g_file_get_contents(path, (char **)data, &size, &gerr)) {
        *len = size;
        return true;
    }
    error_set(err, "could not load '%s': %s", path, gerr->message);
    g_error_free(gerr);
    return false;
}

/* The video mode of "vga=" in the command line. */
static void linux_set_vga(uint8_t *setup, const char *cmdline)
{
    const char *vga = strstr(cmdline, "vga=");
    uint16_t mode;

    if (!vga) return;
    vga += strlen("vga=");
    if (g_str_has_prefix(vga, "normal"))
        mode = 0xffff;
    else if (g_str_has_prefix(vga, "ext"))
        mode = 0xfffe;
    else if (g_str_has_prefix(vga, "ask"))
        mode = 0xfffd;
    else
        mode = (uint16_t)g_ascii_strtoull(vga, NULL, 0);
    store_le16(setup + VID_MODE, mode);
}

static bool linux_initrd(Board *b, uint8_t *setup, uint32_t max, Error *err)
{
    const char *path = b->m->config.initrd;
    uint32_t addr;
    uint8_t *data;
    size_t len;

    if (!path) return true;
    if (!boot_read_file(path, &data, &len, err)) return false;
    max = (uint32_t)MIN_OF(max, b->below_4g - FIRMWARE_TOP - 1);
    if (len >= max - MiB) {
        g_free(data);
        return error_set(err, "initrd '%s' is too large: %zu MiB do not fit below %u MiB", path,
            len / MiB, max / MiB);
    }
    addr = (max - (uint32_t)len) & ~(uint32_t)PAGE_MASK;
    fw_cfg_add_u32(b->fw_cfg, FW_CFG_INITRD_ADDR, addr);
    fw_cfg_add_u32(b->fw_cfg, FW_CFG_INITRD_SIZE, (uint32_t)len);
    fw_cfg_add(b->fw_cfg, FW_CFG_INITRD_DATA, data, len);
    store_le32(setup + RAMDISK_IMAGE, addr);
    store_le32(setup + RAMDISK_SIZE, (uint32_t)len);
    g_free(data);
    return true;
}

typedef struct LinuxPlace {
    uint32_t setup, cmdline, kernel;
} LinuxPlace;

/* Where the parts go; older kernels leave less choice. */
static LinuxPlace linux_place(uint16_t version, uint8_t loadflags, size_t cmdline_size)
{
    LinuxPlace p = { 0x10000, 0x20000, 0x100000 };

    if (version >= 0x200 && loadflags & LOADED_HIGH) {
        if (version < 0x202) {
            p.setup = 0x90000;
            p.cmdline = (uint32_t)(0x9a000 - cmdline_size) & ~15u;
        }
        return p;
    }
    p.setup = 0x90000;
    p.cmdline = (uint32_t)(0x9a000 - cmdline_size) & ~15u;
    p.kernel = 0x10000;
    return p;
}

static void linux_fill_header(
    uint8_t *setup, uint16_t version, const LinuxPlace *p, const char *cmdline)
{
    linux_set_vga(setup, cmdline);
    if (version >= 0x202) {
        store_le32(setup + CMD_LINE_PTR, p->cmdline);
    } else {
        store_le16(setup + CL_MAGIC, 0xa33f);
        store_le16(setup + CL_OFFSET, (uint16_t)(p->cmdline - p->setup));
    }
    if (version >= 0x200) setup[TYPE_OF_LOADER] = LOADER_UNKNOWN;
    if (version >= 0x201) {
        setup[LOADFLAGS] |= CAN_USE_HEAP;
        store_le16(setup + HEAP_END, (uint16_t)(p->cmdline - p->setup - 0x200));
    }
}

static bool linux_load(Board *b, uint8_t *image, size_t len, Error *err)
{
    const MachineConfig *c = &b->m->config;
    const char *cmdline = c->append ? c->append : "";
    size_t cmdline_size = align_up(strlen(cmdline) + 1, 16);
    uint16_t version = load_le32(image + MAGIC) == HDRS ? load_le16(image + VERSION) : 0;
    size_t sects = image[SETUP_SECTS] ? image[SETUP_SECTS] : SETUP_SECTORS_OLD;
    size_t setup_size = (sects + 1) * SECTOR;
    uint32_t initrd_max = version >= 0x203 ? load_le32(image + INITRD_ADDR_MAX) : 0x37ffffff;
    LinuxPlace p = linux_place(version, image[LOADFLAGS], cmdline_size);
    char *padded;

    if (setup_size >= len) return error_set(err, "'%s' ends in the midst of its setup", c->kernel);
    if (p.kernel + (len - setup_size) > b->below_4g)
        return error_set(err, "kernel '%s' does not fit into memory", c->kernel);
    linux_fill_header(image, version, &p, cmdline);
    if (!linux_initrd(b, image, initrd_max, err)) return false;
    padded = g_malloc0(cmdline_size);
    memcpy(padded, cmdline, strlen(cmdline));
    fw_cfg_add_u32(b->fw_cfg, FW_CFG_CMDLINE_ADDR, p.cmdline);
    fw_cfg_add_u32(b->fw_cfg, FW_CFG_CMDLINE_SIZE, (uint32_t)cmdline_size);
    fw_cfg_add(b->fw_cfg, FW_CFG_CMDLINE_DATA, padded, cmdline_size);
    fw_cfg_add_u32(b->fw_cfg, FW_CFG_SETUP_ADDR, p.setup);
    fw_cfg_add_u32(b->fw_cfg, FW_CFG_SETUP_SIZE, (uint32_t)setup_size);
    fw_cfg_add(b->fw_cfg, FW_CFG_SETUP_DATA, image, setup_size);
    fw_cfg_add_u32(b->fw_cfg, FW_CFG_KERNEL_ADDR, p.kernel);
    fw_cfg_add_u32(b->fw_cfg, FW_CFG_KERNEL_SIZE, (uint32_t)(len - setup_size));
    fw_cfg_add(b->fw_cfg, FW_CFG_KERNEL_DATA, image + setup_size, len - setup_size);
    g_free(padded);
    return boot_add_rom(b, "linuxboot.bin", linuxboot_rom, linuxboot_rom_size, err);
}

bool boot_add_rom(Board *b, const char *name, const uint8_t *rom, size_t len, Error *err)
{
    char *file = g_strdup_printf("genroms/%s", name);
    bool ok = fw_cfg_add_file(b->fw_cfg, file, rom, len, err);

    g_string_append_printf(b->bootorder, "%s/rom@%s", b->bootorder->len ? "\n" : "", file);
    g_free(file);
    return ok;
}

bool board_kernel(Board *b, Error *err)
{
    const MachineConfig *c = &b->m->config;
    uint8_t *image;
    size_t len;
    bool ok;

    if (!c->kernel) {
        if (c->append) return error_set(err, "-append only allowed with -kernel option");
        if (c->initrd) return error_set(err, "-initrd only allowed with -kernel option");
        return true;
    }
    if (!boot_read_file(c->kernel, &image, &len, err)) return false;
    if (multiboot_is(image, len))
        ok = multiboot_load(b, image, len, err);
    else if (len >= HEADER_END && load_le16(image + 0x1fe) == 0xaa55)
        ok = linux_load(b, image, len, err);
    else
        ok = error_set(err, "'%s' is neither a Linux kernel nor a multiboot image", c->kernel);
    g_free(image);
    return ok;
}
