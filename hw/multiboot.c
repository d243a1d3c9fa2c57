/* SPDX-License-Identifier: MIT */
/*
 * -kernel with a multiboot image: 32-bit ELF, or any file with addresses in its header.  Modules
 * come from -initrd "file arguments,file ...".  The option ROM (hw/rom/multiboot.S) adds the memory
 * map and starts the kernel.
 * Source: Multiboot Specification 0.6.96.  Not modelled: video modes, symbol tables.
 *
 * One block of guest memory is built here: the kernel's segments, then the modules at page
 * boundaries, then the information structure with its texts.
 */
#include <string.h>

#include "hw/boot_kernel.h"
#include "hw/fw_cfg.h"

enum { MB_MAGIC = 0x1badb002, MB_SEARCH = 8192, MB_ADDRESSES = 1 << 16 };
enum {
    INFO_MEMORY = 1,
    INFO_BOOT_DEVICE = 2,
    INFO_CMDLINE = 4,
    INFO_MODULES = 8,
    INFO_MAP = 0x40,
    INFO_LOADER = 0x200
};
/* Offsets in the information structure. */
enum {
    INFO_FLAGS = 0,
    INFO_DEVICE = 12,
    INFO_CMDLINE_AT = 16,
    INFO_MODS_COUNT = 20,
    INFO_MODS_AT = 24,
    INFO_LOADER_AT = 64,
    INFO_BYTES = 128,     /* the structure, with room */
    INFO_MAP_ROOM = 4096, /* behind it, for the memory map: the option ROM writes it */
};
enum { MODULE_BYTES = 16, MODULES_MAX = 64 };
enum { ELF_MAGIC = 0x464c457f, ELF_386 = 3, PT_LOAD = 1, PHDR_BYTES = 32 };

typedef struct Multiboot {
    GByteArray *blob; /* guest memory from base on */
    uint32_t base, entry;
} Multiboot;

/* The offset of the header in the image, or -1. */
static long mb_find(const uint8_t *image, size_t len)
{
    for (size_t off = 0; off + 12 <= len && off < MB_SEARCH; off += 4) {
        uint32_t magic = load_le32(image + off), flags = load_le32(image + off + 4);

        if (magic == MB_MAGIC && magic + flags + load_le32(image + off + 8) == 0) return (long)off;
    }
    return -1;
}

bool multiboot_is(const uint8_t *image, size_t len) { return mb_find(image, len) >= 0; }

/* Makes the block reach up to address end. */
static void mb_reach(Multiboot *mb, uint32_t end)
{
    guint was = mb->blob->len, want = end - mb->base;

    if (want <= was) return;
    g_byte_array_set_size(mb->blob, want);
    memset(mb->blob->data + was, 0, want - was);
}

static uint32_t mb_end(const Multiboot *mb) { return mb->base + mb->blob->len; }

/* Appends bytes at the end; their address. */
static uint32_t mb_append(Multiboot *mb, const void *data, size_t len)
{
    uint32_t at = mb_end(mb);

    g_byte_array_append(mb->blob, data, (guint)len);
    return at;
}

static uint32_t mb_text(Multiboot *mb, const char *text)
{
    return mb_append(mb, text, strlen(text) + 1);
}

static bool mb_elf_segments(
    Multiboot *mb, const uint8_t *image, size_t len, uint64_t limit, bool measure, Error *err)
{
    uint32_t phoff = load_le32(image + 28);
    uint16_t phnum = load_le16(image + 44);

    for (unsigned i = 0; i < phnum; i++) {
        const uint8_t *ph = image + phoff + (size_t)i * PHDR_BYTES;
        uint32_t off, addr, file_size, size;

        if ((size_t)phoff + (i + 1) * PHDR_BYTES > len)
            return error_set(err, "program headers are outside the file");
        if (load_le32(ph) != PT_LOAD) continue;
        off = load_le32(ph + 4);
        addr = load_le32(ph + 12);
        file_size = load_le32(ph + 16);
        size = load_le32(ph + 20);
        if (off > len || file_size > len - off || file_size > size || addr + (uint64_t)size > limit)
            return error_set(err, "a segment is outside the file or memory");
        if (measure) {
            mb->base = MIN_OF(mb->base, addr);
            /* An entry point among linked addresses is meant where these are loaded. */
            if (load_le32(image + 24) - load_le32(ph + 8) < size)
                mb->entry = load_le32(image + 24) - load_le32(ph + 8) + addr;
            continue;
        }
        mb_reach(mb, addr + size);
        memcpy(mb->blob->data + (addr - mb->base), image + off, file_size);
    }
    return true;
}

static bool mb_load_elf(Multiboot *mb, const uint8_t *image, size_t len, uint64_t limit, Error *err)
{
    if (len < 52 || load_le32(image) != ELF_MAGIC || image[4] != 1 ||
        load_le16(image + 18) != ELF_386)
        return error_set(err, "a multiboot image without addresses must be a 32-bit x86 ELF file");
    mb->base = UINT32_MAX;
    mb->entry = load_le32(image + 24);
    if (!mb_elf_segments(mb, image, len, limit, true, err)) return false;
    if (mb->base == UINT32_MAX) return error_set(err, "no segment is to be loaded");
    return mb_elf_segments(mb, image, len, limit, false, err);
}

/* The header itself says what goes where. */
static bool mb_load_addresses(
    Multiboot *mb, const uint8_t *image, size_t len, size_t header, uint64_t limit, Error *err)
{
    const uint8_t *h = image + header;
    uint32_t header_addr, load_addr, load_end, bss_end, start;

    if (header + 32 > len) return error_set(err, "the multiboot header is cut off");
    header_addr = load_le32(h + 12);
    load_addr = load_le32(h + 16);
    load_end = load_le32(h + 20);
    bss_end = load_le32(h + 24);
    if (load_addr > header_addr || header_addr - load_addr > header)
        return error_set(err, "the multiboot header's addresses make no sense");
    start = (uint32_t)header - (header_addr - load_addr);
    if (!load_end) load_end = load_addr + (uint32_t)(len - start);
    if (load_end < load_addr || load_end - load_addr > len - start || load_end > limit ||
        bss_end > limit)
        return error_set(err, "the multiboot header's addresses are outside the file or memory");
    mb->base = load_addr;
    mb->entry = load_le32(h + 28);
    mb_append(mb, image + start, load_end - load_addr);
    mb_reach(mb, MAX_OF(bss_end, load_end));
    return true;
}

/* "file arguments": the file goes into the block, the whole text becomes its command line. */
static bool mb_module(Multiboot *mb, const char *text, uint64_t limit, uint8_t *entry, Error *err)
{
    char *file = g_strndup(text, strcspn(text, " "));
    uint8_t *data;
    size_t len;
    bool ok = boot_read_file(file, &data, &len, err);

    g_free(file);
    if (!ok) return false;
    mb_reach(mb, (uint32_t)align_up(mb_end(mb), PAGE_SIZE));
    if (len > limit - mb_end(mb)) {
        g_free(data);
        return error_set(err, "module '%s' does not fit into memory", text);
    }
    store_le32(entry, mb_append(mb, data, len));
    store_le32(entry + 4, mb_end(mb));
    g_free(data);
    return true;
}

static bool mb_modules(Multiboot *mb, const char *list, uint64_t limit, uint8_t *info, Error *err)
{
    char **texts = g_strsplit(list ? list : "", ",", MODULES_MAX);
    uint8_t entries[MODULES_MAX][MODULE_BYTES] = { 0 };
    uint32_t n = 0;
    bool ok = true;

    for (; ok && texts[n]; n++) ok = mb_module(mb, texts[n], limit, entries[n], err);
    for (uint32_t i = 0; ok && i < n; i++) store_le32(entries[i] + 8, mb_text(mb, texts[i]));
    if (ok && n) {
        mb_reach(mb, (uint32_t)align_up(mb_end(mb), 4));
        store_le32(info + INFO_MODS_COUNT, n);
        store_le32(info + INFO_MODS_AT, mb_append(mb, entries, n * MODULE_BYTES));
        store_le32(info, load_le32(info) | INFO_MODULES);
    }
    g_strfreev(texts);
    return ok;
}

/* Modules, texts, and the information structure behind all; its address. */
static bool mb_info(Multiboot *mb, Board *b, uint64_t limit, uint32_t *info_at, Error *err)
{
    const MachineConfig *c = &b->m->config;
    uint8_t info[INFO_BYTES + INFO_MAP_ROOM] = { 0 };
    char *cmdline =
        g_strdup_printf("%s%s%s", c->kernel, c->append ? " " : "", c->append ? c->append : "");

    store_le32(info, INFO_MEMORY | INFO_BOOT_DEVICE | INFO_CMDLINE | INFO_MAP | INFO_LOADER);
    if (!mb_modules(mb, c->initrd, limit, info, err)) {
        g_free(cmdline);
        return false;
    }
    store_le32(info + INFO_DEVICE, 0x8000ffff); /* the first hard disk */
    store_le32(info + INFO_CMDLINE_AT, mb_text(mb, cmdline));
    store_le32(info + INFO_LOADER_AT, mb_text(mb, "stasis"));
    mb_reach(mb, (uint32_t)align_up(mb_end(mb), 16));
    *info_at = mb_append(mb, info, sizeof(info));
    g_free(cmdline);
    return true;
}

bool multiboot_load(Board *b, const uint8_t *image, size_t len, Error *err)
{
    long header = mb_find(image, len);
    uint64_t limit = b->below_4g - MiB;
    Multiboot mb = { .blob = g_byte_array_new() };
    uint32_t info_at = 0;
    bool ok = load_le32(image + header + 4) & MB_ADDRESSES
                  ? mb_load_addresses(&mb, image, len, (size_t)header, limit, err)
                  : mb_load_elf(&mb, image, len, limit, err);

    ok = ok && mb_info(&mb, b, limit, &info_at, err);
    if (ok) {
        fw_cfg_add_u32(b->fw_cfg, FW_CFG_KERNEL_ENTRY, mb.entry);
        fw_cfg_add_u32(b->fw_cfg, FW_CFG_KERNEL_ADDR, mb.base);
        fw_cfg_add_u32(b->fw_cfg, FW_CFG_KERNEL_SIZE, mb.blob->len);
        fw_cfg_add(b->fw_cfg, FW_CFG_KERNEL_DATA, mb.blob->data, mb.blob->len);
        fw_cfg_add_u32(b->fw_cfg, FW_CFG_INITRD_ADDR, info_at);
        ok = boot_add_rom(b, "multiboot.bin", multiboot_rom, multiboot_rom_size, err);
    } else {
        error_prefix(err, "'%s': ", b->m->config.kernel);
    }
    g_byte_array_free(mb.blob, TRUE);
    return ok;
}
