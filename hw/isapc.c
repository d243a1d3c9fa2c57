/* SPDX-License-Identifier: MIT */
/*
 * The machine "isapc": a PC without PCI.  Its firmware lies in RAM at E0000h and is written anew at
 * each reset.  The two IDE channels are instances 0 and 1 of section "isa-ide".
 */
#include "hw/board.h"

enum { RAM_MAX = 0xe0000000 };

static bool isapc_vga(Board *b, Error *err)
{
    const char *vga = b->m->config.vga;

    if (!vga || !strcmp(vga, "none")) return true;
    if (strcmp(vga, "std")) return error_set(err, "-vga %s: 'std' and 'none' are there", vga);
    return board_add(b, "isa-vga", "vga", err) &&
           board_rom_file(b, "vgaroms/vgabios-isavga.bin", "vgabios-isavga.bin", err);
}

static bool isapc_ide(Board *b, unsigned channel, Error *err)
{
    static const struct {
        const char *id, *iobase, *iobase2, *irq, *channel;
    } wiring[] = { { "ide0", "0x1f0", "0x3f6", "pic.14", "0" },
        { "ide1", "0x170", "0x376", "pic.15", "1" } };
    const BoardDrive *d = &b->drives[2 * channel];

    return device_create(b->m, "isa-ide", wiring[channel].id, err, "iobase", wiring[channel].iobase,
               "iobase2", wiring[channel].iobase2, "irq", wiring[channel].irq, "channel",
               wiring[channel].channel, "drive0", d[0].backend ? d[0].backend : "", "cd0",
               d[0].cdrom ? "on" : "off", "serial0", d[0].serial ? d[0].serial : "", "drive1",
               d[1].backend ? d[1].backend : "", "cd1", d[1].cdrom ? "on" : "off", "serial1",
               d[1].serial ? d[1].serial : "", NULL) != NULL;
}

static bool isapc_init(Machine *m, Error *err)
{
    Board *b = board_get(m);
    Device *pic = board_reserve(b, "isa-i8259", "pic", err);

    if (m->config.ram_size > RAM_MAX)
        return error_set(err, "isapc has at most %u MiB of RAM", RAM_MAX / MiB);
    if (!pic || !board_take_drives(b, err) || !board_ram(b, RAM_MAX, err) ||
        !board_firmware(b, "bios.bin", err))
        return false;
    board_map_roms(b);
    return board_cpu(b, err) && board_dma(b, err) && board_pics(b, pic, err) && isapc_vga(b, err) &&
           board_isa_chips(b, err) && board_nics(b, "ne2k_isa", "isa", err) &&
           isapc_ide(b, 0, err) && isapc_ide(b, 1, err) && board_finish(b, err);
}

MACHINE(isapc, .name = "isapc", .desc = "ISA-only PC", .default_cpu = "486",
    .default_ram = 128 * MiB, .init = isapc_init);
