/* SPDX-License-Identifier: MIT */
/*
 * What PC boards have in common: RAM, firmware, and what the firmware is told through CMOS and
 * fw_cfg.  CMOS locations are those that SeaBIOS reads.
 */
#include "hw/board.h"

#include <stdio.h>
#include <string.h>

#include "block/block.h"
#include "core/apic.h"
#include "hw/boot_order.h"
#include "hw/fdc.h"
#include "hw/fw_cfg.h"
#include "hw/ide.h"
#include "hw/rtc.h"

enum { ROM_GPA = 0xc0000, BIOS_GPA = 0xe0000, ROM_BYTES = 0x20000, ROM_PRIO = 1 };
enum { FW_CFG_E820_RAM = 1 };

static void board_destroy(void *slot)
{
    Board *b = slot;

    machine_notifier_del(b->m, &b->notifier);
    g_free(b->firmware);
    if (b->bootorder) g_string_free(b->bootorder, TRUE);
}

static void board_notify(void *opaque, MachineEvent event);

Board *board_get(Machine *m)
{
    Board *b = machine_slot(m, "board", sizeof(Board), board_destroy);

    if (b->m) return b;
    b->m = m;
    b->bootorder = g_string_new("");
    b->notifier = (MachineNotifier){ .notify = board_notify, .opaque = b };
    machine_notifier_add(m, &b->notifier);
    return b;
}

/* -- memory -- */

static void board_map(Board *b, MemRegion *r, const char *name, uint64_t gpa, RamBlock *ram,
    uint64_t off, uint64_t size, int prio)
{
    *r = (MemRegion){ .name = name,
        .gpa = gpa,
        .size = size,
        .prio = prio,
        .enabled = true,
        .ram = ram,
        .ram_off = off };
    mem_region_add(b->m, r);
}

bool board_ram(Board *b, uint64_t below_4g, Error *err)
{
    uint64_t size = b->m->config.ram_size;

    b->below_4g = MIN_OF(size, below_4g);
    b->ram = ram_block_new(b->m, "pc.ram", size, err);
    if (!b->ram) return false;
    board_map(b, &b->low, "ram-below-4g", 0, b->ram, 0, b->below_4g, 0);
    if (size > b->below_4g)
        board_map(b, &b->high, "ram-above-4g", 4 * GiB, b->ram, b->below_4g, size - b->below_4g, 0);
    return true;
}

bool board_firmware(Board *b, const char *file, Error *err)
{
    const char *name = b->m->config.bios ? b->m->config.bios : file;
    char *path = machine_find_firmware(b->m, name, err);
    GError *gerr = NULL;

    if (!path) return false;
    if (!g_file_get_contents(path, &b->firmware, &b->firmware_size, &gerr)) {
        error_set(err, "%s", gerr->message);
        g_error_free(gerr);
    } else if (!b->firmware_size || b->firmware_size % 65536 || b->firmware_size > 16 * MiB) {
        error_set(err, "could not load PC BIOS '%s': its size is no multiple of 64 KiB", path);
    } else {
        b->bios = ram_block_new(b->m, "pc.bios", b->firmware_size, err);
        b->rom = b->bios ? ram_block_new(b->m, "pc.rom", ROM_BYTES, err) : NULL;
    }
    g_free(path);
    if (!b->rom) return false;
    ram_block_write(b->bios, 0, b->firmware, b->firmware_size);
    board_map(b, &b->rom_top, "pc.bios", 4 * GiB - b->bios->size, b->bios, 0, b->bios->size, 0);
    b->rom_top.readonly = true;
    mem_commit(b->m);
    return true;
}

void board_map_roms(Board *b)
{
    uint64_t low = MIN_OF(b->bios->size, ROM_BYTES);

    b->rom_is_ram = true;
    b->rom_top.readonly = false;
    board_map(b, &b->option_roms, "pc.rom", ROM_GPA, b->rom, 0, ROM_BYTES, ROM_PRIO);
    board_map(b, &b->rom_low, "isa-bios", BIOS_GPA + ROM_BYTES - low, b->bios, b->bios->size - low,
        low, ROM_PRIO);
}

/* -- chips -- */

Device *board_reserve(Board *b, const char *cls, const char *id, Error *err)
{
    return device_new(b->m, cls, id, err);
}

bool board_add(Board *b, const char *cls, const char *id, Error *err)
{
    return device_create(b->m, cls, id, err, NULL) != NULL;
}

/* A CPU and its local APIC.  Only the first one's FERR leads anywhere. */
static bool board_add_cpu(Board *b, const char *model, unsigned i, Error *err)
{
    enum { APIC_IDS = 255 }; /* the last one means all */
    char cpu[16], apic[16], index[16];

    if (machine_apic_id(b->m, i) >= APIC_IDS)
        return error_set(err, "-smp %u: there is no APIC id for the last CPU", b->m->config.cpus);
    g_snprintf(cpu, sizeof(cpu), "cpu%u", i);
    g_snprintf(apic, sizeof(apic), "apic%u", i);
    g_snprintf(index, sizeof(index), "%u", i);
    if (!device_create(b->m, "x86-cpu", cpu, err, "model", model, "index", index, "ferr",
            i ? "" : "pic.13", NULL))
        return false;
    if (machine_wants_apics(b->m))
        return device_create(b->m, "apic", apic, err, "index", index, "cpu", cpu, NULL) != NULL;
    return b->m->config.cpus == 1 ||
           error_set(err, "-smp %u: the CPU model has no APIC, so there can be one CPU only",
               b->m->config.cpus);
}

bool board_cpu(Board *b, Error *err)
{
    const char *model = b->m->config.cpu ? b->m->config.cpu : b->m->cls->default_cpu;

    for (unsigned i = 0; i < b->m->config.cpus; i++)
        if (!board_add_cpu(b, model, i, err)) return false;
    b->fw_cfg = device_create(b->m, "fw_cfg", "fw_cfg", err, NULL);
    return b->fw_cfg != NULL;
}

bool board_dma(Board *b, Error *err)
{
    return device_create(b->m, "i8257", "dma0", err, NULL) &&
           device_create(b->m, "i8257", "dma1", err, "base", "0xc0", "page-base", "0x88", "dshift",
               "1", NULL);
}

bool board_pics(Board *b, Device *master, Error *err)
{
    return device_set(master, "irq", machine_wants_apics(b->m) ? "apic0.0" : "cpu0.0", err) &&
           device_realize(master, err) &&
           device_create(b->m, "isa-i8259", "pic2", err, "iobase", "0xa0", "elcr_addr", "0x4d1",
               "elcr_mask", "0xde", "irq", "pic.2", "master", "pic", NULL);
}

static bool board_fdc(Board *b, Error *err)
{
    b->fdc = device_create(b->m, "isa-fdc", "fdc", err, "driveA",
        b->floppies[0] ? b->floppies[0] : "", "driveB", b->floppies[1] ? b->floppies[1] : "", NULL);
    return b->fdc != NULL;
}

bool board_isa_chips(Board *b, Error *err)
{
    Machine *m = b->m;

    b->rtc =
        device_create(m, "mc146818rtc", "rtc", err, "irq", b->rtc_irq ? b->rtc_irq : "pic.8", NULL);
    return b->rtc && (b->pit ? device_realize(b->pit, err) : board_add(b, "isa-pit", "pit", err)) &&
           device_create(m, "isa-pcspk", "pcspk", err, "pit", "pit", NULL) &&
           board_serials(b, err) && board_parallels(b, err) && board_fdc(b, err) &&
           board_add(b, "i8042", "i8042", err) && board_add(b, "port92", "port92", err) &&
           board_add(b, "ioport80", "ioport80", err) && board_debugcon(b, err);
}

/* -- CMOS -- */

static void board_cmos16(Board *b, unsigned index, uint64_t val)
{
    rtc_set_cmos(b->rtc, index, (uint8_t)val);
    rtc_set_cmos(b->rtc, index + 1, (uint8_t)(val >> 8));
}

static void board_cmos_memory(Board *b)
{
    uint64_t below = b->below_4g, above = b->ram->size - below;
    uint64_t extended_kb = below > MiB ? (below - MiB) / KiB : 0;

    board_cmos16(b, 0x15, 640);
    board_cmos16(b, 0x17, MIN_OF(extended_kb, 0xffff));
    board_cmos16(b, 0x30, MIN_OF(extended_kb, 0xffff));
    board_cmos16(b, 0x34, below > 16 * MiB ? MIN_OF((below - 16 * MiB) / 65536, 0xffff) : 0);
    board_cmos16(b, 0x5b, above / 65536);
    rtc_set_cmos(b->rtc, 0x5d, (uint8_t)(above / 65536 >> 16));
    rtc_set_cmos(b->rtc, 0x5f, (uint8_t)(b->m->config.cpus - 1));
}

/* 10h: the types of the floppy drives; 14h: how many there are, x87, PS/2 mouse. */
static void board_cmos_floppies(Board *b)
{
    unsigned a = fdc_drive_type(b->fdc, 0), second = fdc_drive_type(b->fdc, 1);
    unsigned count = (a != FDC_NONE) + (second != FDC_NONE);

    rtc_set_cmos(b->rtc, 0x10, (uint8_t)(a << 4 | second));
    rtc_set_cmos(b->rtc, 0x14, (uint8_t)(0x06 | (count ? (count - 1) << 6 | 1 : 0)));
}

/* Boot devices in the firmware's numbers, the first one in the low nibble of 3Dh. */
static void board_cmos_boot(Board *b, const char *order)
{
    static const char letters[] = " acdn";
    uint8_t devs[3] = { 0 };

    for (int i = 0; i < 3 && order[i]; i++) {
        const char *at = strchr(letters + 1, order[i]);

        devs[i] = at ? (uint8_t)(at - letters) : 0;
    }
    rtc_set_cmos(b->rtc, 0x3d, (uint8_t)(devs[1] << 4 | devs[0]));
    rtc_set_cmos(b->rtc, 0x38, (uint8_t)(devs[2] << 4));
}

/* The size in sectors of the hard disk that is drive n, or 0. */
static uint64_t board_disk_sectors(Board *b, unsigned n)
{
    const IdeBus *bus = ide_bus_find(b->m, n / IDE_UNITS);
    unsigned unit = n % IDE_UNITS;

    if (!bus || !bus->blk[unit] || bus->cdrom[unit]) return 0;
    return block_dev_size(bus->blk[unit]) / IDE_SECTOR;
}

/* A hard disk of the primary channel: type 47 with its parameters from CMOS index on. */
static void board_cmos_disk(Board *b, unsigned drive, unsigned type, unsigned index)
{
    enum { HEADS = 16, SECTORS = 63, TYPE = 47, CONTROL = 0xc8 };
    uint64_t cylinders = MIN_OF(board_disk_sectors(b, drive) / (HEADS * SECTORS), 16383);

    if (!cylinders) return;
    rtc_set_cmos(b->rtc, type, TYPE);
    board_cmos16(b, index, cylinders);
    rtc_set_cmos(b->rtc, index + 2, HEADS);
    board_cmos16(b, index + 3, 0xffff); /* no write precompensation */
    rtc_set_cmos(b->rtc, index + 5, CONTROL);
    board_cmos16(b, index + 6, cylinders);
    rtc_set_cmos(b->rtc, index + 8, SECTORS);
}

/* 12h: types of the two disks; 39h: how the BIOS translates CHS addresses, two bits a drive. */
static void board_cmos_disks(Board *b)
{
    enum { TRANSLATE_LBA = 1, CYLINDERS_PLAIN = 1024 };
    uint8_t types = 0, translation = 0;

    for (unsigned i = 0; i < BOARD_DRIVES; i++) {
        uint64_t sectors = board_disk_sectors(b, i);

        if (!sectors) continue;
        if (i < 2) types |= i ? 0x0f : 0xf0;
        if (sectors / (16 * 63) > CYLINDERS_PLAIN) translation |= (uint8_t)(TRANSLATE_LBA << 2 * i);
    }
    rtc_set_cmos(b->rtc, 0x12, types);
    rtc_set_cmos(b->rtc, 0x39, translation);
    board_cmos_disk(b, 0, 0x19, 0x1b);
    board_cmos_disk(b, 1, 0x1a, 0x24);
}

/* -- fw_cfg -- */

static void board_uuid(Board *b)
{
    uint8_t uuid[16];

    if (machine_uuid(b->m, uuid)) fw_cfg_add(b->fw_cfg, FW_CFG_UUID, uuid, sizeof(uuid));
}

static void put_e820(GByteArray *to, uint64_t addr, uint64_t len)
{
    uint8_t entry[20];

    store_le64(entry, addr);
    store_le64(entry + 8, len);
    store_le32(entry + 16, FW_CFG_E820_RAM);
    g_byte_array_append(to, entry, sizeof(entry));
}

static bool board_e820(Board *b, Error *err)
{
    GByteArray *map = g_byte_array_new();
    bool ok;

    put_e820(map, 0, b->below_4g);
    if (b->ram->size > b->below_4g) put_e820(map, 4 * GiB, b->ram->size - b->below_4g);
    ok = fw_cfg_add_file(b->fw_cfg, "etc/e820", map->data, map->len, err);
    g_byte_array_free(map, TRUE);
    return ok;
}

/* -fw_cfg name=NAME,string=TEXT or ,file=FILE */
static bool board_user_file(Board *b, Options *o, Error *err)
{
    const char *name = options_get(o, "name"), *text = options_get(o, "string");
    const char *file = options_get(o, "file");
    GError *gerr = NULL;
    char *data = NULL;
    gsize len = text ? strlen(text) : 0;
    bool ok;

    if (!name || !*name) return error_set(err, "name= is missing");
    if (!text == !file) return error_set(err, "one of string= and file= expected");
    if (!options_check_used(o, "fw_cfg", err)) return false;
    if (file && !g_file_get_contents(file, &data, &len, &gerr)) {
        error_set(err, "%s", gerr->message);
        g_error_free(gerr);
        return false;
    }
    ok = fw_cfg_add_file(b->fw_cfg, name, file ? data : text, len, err);
    g_free(data);
    return ok;
}

static bool board_user_files(Board *b, Error *err)
{
    const GPtrArray *files = b->m->config.fw_cfg_files;

    for (guint i = 0; files && i < files->len; i++)
        if (!board_user_file(b, files->pdata[i], err)) return error_prefix(err, "-fw_cfg: ");
    return true;
}

static bool board_fw_cfg(Board *b, Error *err)
{
    const MachineConfig *c = &b->m->config;
    /* APIC ids end below this one. */
    uint16_t ids = (uint16_t)(machine_apic_id(b->m, c->cpus - 1) + 1);
    static const uint8_t com1[] = { 0xf8, 0x03 };
    uint32_t retry = GUINT32_TO_LE((uint32_t)c->boot_retry_ms); /* -1: never */
    uint16_t wait = GUINT16_TO_LE((uint16_t)c->boot_menu_timeout_ms);
    void *no_numa;

    fw_cfg_add_u64(b->fw_cfg, FW_CFG_RAM_SIZE, b->ram->size);
    fw_cfg_add_u16(b->fw_cfg, FW_CFG_NB_CPUS, (uint16_t)c->cpus);
    fw_cfg_add_u16(b->fw_cfg, FW_CFG_MAX_CPUS, ids);
    fw_cfg_add_u16(b->fw_cfg, FW_CFG_BOOT_MENU, c->boot_menu);
    fw_cfg_add_u16(b->fw_cfg, FW_CFG_NOGRAPHIC, 0);
    fw_cfg_add_u32(b->fw_cfg, FW_CFG_IRQ0_OVERRIDE, 1);
    no_numa = g_malloc0((1 + ids) * sizeof(uint64_t));
    fw_cfg_add(b->fw_cfg, FW_CFG_NUMA, no_numa, (1 + ids) * sizeof(uint64_t));
    g_free(no_numa);
    board_uuid(b);
    if (c->boot_menu_timeout_ms >= 0 &&
        !fw_cfg_add_file(b->fw_cfg, "etc/boot-menu-wait", &wait, sizeof(wait), err))
        return false;
    if (b->m->config.firmware_on_serial &&
        !fw_cfg_add_file(b->fw_cfg, "etc/sercon-port", com1, sizeof(com1), err))
        return false;
    if (!fw_cfg_add_file(b->fw_cfg, "etc/boot-fail-wait", &retry, sizeof(retry), err) ||
        !board_e820(b, err))
        return false;
    return board_user_files(b, err);
}

/* What -kernel boots, then what has a bootindex; with -boot strict=on nothing else. */
static bool board_boot_order(Board *b, Error *err)
{
    boot_order_put(b->m, b->bootorder);
    if (!b->bootorder->len) return true;
    if (b->m->config.boot_strict) g_string_append(b->bootorder, "\nHALT");
    return fw_cfg_add_file(b->fw_cfg, "bootorder", b->bootorder->str, b->bootorder->len + 1, err);
}

bool board_rom_file(Board *b, const char *name, const char *file, Error *err)
{
    char *path = machine_find_firmware(b->m, file, err), *data;
    GError *gerr = NULL;
    bool ok = false;
    gsize len;

    if (!path) return false;
    if (g_file_get_contents(path, &data, &len, &gerr)) {
        ok = fw_cfg_add_file(b->fw_cfg, name, data, len, err);
        g_free(data);
    } else {
        error_set(err, "%s", gerr->message);
        g_error_free(gerr);
    }
    g_free(path);
    return ok;
}

bool board_finish(Board *b, Error *err)
{
    const MachineConfig *c = &b->m->config;
    const char *usual = c->boot_order ? c->boot_order : "cad";

    if (!board_kernel(b, err) || !board_fw_cfg(b, err) || !board_user_devices(b, err) ||
        !board_virtio_drives(b, err) || !board_boot_order(b, err))
        return false;
    board_cmos_memory(b);
    board_cmos_floppies(b);
    board_cmos_disks(b);
    board_cmos_boot(b, c->boot_once ? c->boot_once : usual);
    return true;
}

/* -- resets -- */

static void board_notify(void *opaque, MachineEvent event)
{
    Board *b = opaque;
    const MachineConfig *c = &b->m->config;

    if (event != EVENT_RESET || !b->rtc) return;
    if (b->rom_is_ram) {
        void *zeroes = g_malloc0(b->rom->size);

        ram_block_write(b->rom, 0, zeroes, b->rom->size);
        ram_block_write(b->bios, 0, b->firmware, b->firmware_size);
        g_free(zeroes);
    }
    /* The first reset is power-on; -boot once= holds until the next. */
    if (b->resets++ == 1 && c->boot_once) board_cmos_boot(b, c->boot_order ? c->boot_order : "cad");
}
