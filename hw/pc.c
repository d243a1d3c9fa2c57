/* SPDX-License-Identifier: MIT */
/*
 * The machine "pc": 440FX and PIIX3, as QEMU's pc-i440fx-7.2 has them, without USB.  Devices are
 * created in the order of the stream's sections; slots: 00.0 host bridge, 01.0 PIIX3, 01.1 IDE,
 * 01.3 power management (ACPI), 02.0 VGA, 03.0 NICs.
 */
#include "core/apic.h"
#include "hw/board.h"

enum { LOW_RAM = 0xe0000000, LOW_RAM_OF_MUCH = 0xc0000000 };

static bool pc_ram(Board *b, Error *err)
{
    /* With more than fits below 4 GiB the border is at a whole GiB. */
    return board_ram(b, b->m->config.ram_size < LOW_RAM ? LOW_RAM : LOW_RAM_OF_MUCH, err);
}

/* Wires lead to devices that exist: those whose sections come later are reserved first. */
static bool pc_north(Board *b, Error *err)
{
    Machine *m = b->m;
    Device *pic = board_reserve(b, "isa-i8259", "pic", err);
    Device *piix3 = pic ? board_reserve(b, "PIIX3", "piix3", err) : NULL;
    Device *bus = piix3 ? board_reserve(b, "PCIBUS", "pci.0", err) : NULL;
    Device *ioapic = bus ? board_reserve(b, "ioapic", "ioapic", err) : NULL;

    if (!ioapic || !device_set(pic, "ioapic", "ioapic", err) || !board_cpu(b, err)) return false;
    for (int i = 0; i < 4; i++) {
        char name[8], wire[16];

        g_snprintf(name, sizeof(name), "irq%d", i);
        g_snprintf(wire, sizeof(wire), "piix3.%d", i);
        if (!device_set(bus, name, wire, err)) return false;
    }
    return board_add(b, "PCIHost", "pcihost", err) && device_realize(bus, err) &&
           device_create(m, "i440FX", "i440fx", err, "addr", "00.0", NULL) && board_dma(b, err) &&
           device_set(piix3, "addr", "01.0", err) && device_realize(piix3, err) &&
           board_pics(b, pic, err) && device_realize(ioapic, err);
}

static bool pc_vga(Board *b, Error *err)
{
    const char *vga = b->m->config.vga;

    if (!vga || !strcmp(vga, "none")) return true;
    if (strcmp(vga, "std")) return error_set(err, "-vga %s: 'std' and 'none' are there", vga);
    return device_create(b->m, "VGA", "vga", err, "addr", "02.0", NULL) != NULL;
}

static bool pc_ide(Board *b, Error *err)
{
    static const char *const drive[] = { "drive00", "drive01", "drive10", "drive11" };
    static const char *const cd[] = { "cd00", "cd01", "cd10", "cd11" };
    static const char *const serial[] = { "serial00", "serial01", "serial10", "serial11" };
    Device *ide = board_reserve(b, "piix3-ide", "ide", err);

    if (!ide || !device_set(ide, "addr", "01.1", err)) return false;
    for (unsigned i = 0; i < BOARD_DRIVES; i++) {
        const BoardDrive *d = &b->drives[i];

        if (!d->backend) continue;
        if (!device_set(ide, drive[i], d->backend, err) ||
            !device_set(ide, cd[i], d->cdrom ? "on" : "off", err) ||
            (d->serial && !device_set(ide, serial[i], d->serial, err)))
            return false;
    }
    return device_realize(ide, err);
}

static bool pc_power(Board *b, Error *err)
{
    return !b->m->config.acpi || (board_add(b, "i2c-bus", "smbus", err) &&
                                     device_create(b->m, "PIIX4_PM", "pm", err, "addr", "01.3",
                                         "smi", b->m->config.smm ? "cpu0.4" : "", NULL));
}

/* It stands between two chips and their interrupts. */
static bool pc_hpet(Board *b, Error *err)
{
    if (!b->m->config.hpet) return true;
    b->rtc_irq = "hpet.8";
    b->pit = board_reserve(b, "isa-pit", "pit", err);
    return b->pit &&
           device_create(b->m, "hpet", "hpet", err, "pit", "pit.0", "fw_cfg", "fw_cfg", NULL);
}

static bool pc_acpi_tables(Board *b, Error *err)
{
    return !b->m->config.acpi ||
           device_create(b->m, "acpi-build", "acpi", err, "fw_cfg", "fw_cfg", NULL);
}

static bool pc_init(Machine *m, Error *err)
{
    Board *b = board_get(m);

    return board_take_drives(b, err) && pc_ram(b, err) && board_firmware(b, "bios-256k.bin", err) &&
           pc_north(b, err) && pc_vga(b, err) && pc_hpet(b, err) && board_isa_chips(b, err) &&
           board_nics(b, "e1000", "pci", err) && pc_ide(b, err) && pc_power(b, err) &&
           board_nics(b, "e1000", "isa", err) && board_smbios(b, err) && board_finish(b, err) &&
           pc_acpi_tables(b, err);
}

MACHINE(pc, .name = "pc-i440fx-7.2", .alias = "pc", .desc = "Standard PC (i440FX + PIIX, 1996)",
    .default_cpu = "qemu32", .is_default = true, .default_ram = 128 * MiB, .max_cpus = MACHINE_CPUS,
    .init = pc_init);
