/* SPDX-License-Identifier: MIT */
/*
 * What the boards (pc.c, isapc.c) share.
 *
 * board.c          memory, firmware, CMOS, fw_cfg
 * board_devices.c  what the command line attaches: ports, cards, drives, -device
 * linux_boot.c     -kernel
 * smbios.c         tables about the machine, for firmware to show
 */
#pragma once

#include "core/machine.h"

enum { BOARD_DRIVES = 4, BOARD_FLOPPIES = 2 };

/* An IDE drive by bus * 2 + unit; backend NULL: none. */
typedef struct BoardDrive {
    const char *backend, *serial;
    bool cdrom;
} BoardDrive;

typedef struct Board {
    Machine *m;
    Device *fw_cfg, *rtc, *fdc;
    Device *pit;         /* where it has been reserved */
    const char *rtc_irq; /* where the clock's interrupt leads, unless to IRQ 8 */
    RamBlock *ram, *bios, *rom;
    uint64_t below_4g;
    MemRegion low, high, rom_top, rom_low, option_roms;
    bool rom_is_ram; /* firmware lies in RAM: it is written anew at each reset */
    char *firmware;  /* its content */
    size_t firmware_size;
    GString *bootorder;
    unsigned resets;
    unsigned nics; /* MAC addresses given out */
    unsigned isa_nics;
    BoardDrive drives[BOARD_DRIVES];
    const char *floppies[BOARD_FLOPPIES]; /* back ends, or NULL */
    MachineNotifier notifier;
} Board;

/* The machine's board, made on first use; lives as long as the machine. */
Board *board_get(Machine *m);

/* pc.ram, and where it is seen: up to below_4g, the rest from 4 GiB on. */
bool board_ram(Board *b, uint64_t below_4g, Error *err);
/* pc.bios (the file, at the top of 4 GiB) and pc.rom. */
bool board_firmware(Board *b, const char *file, Error *err);
/* Without a host bridge: ROMs below 1 MiB are mapped, and are RAM. */
void board_map_roms(Board *b);

/* A device that later ones are wired to: named now, realized when its turn has come. */
Device *board_reserve(Board *b, const char *cls, const char *id, Error *err);
bool board_add(Board *b, const char *cls, const char *id, Error *err);
/* CPU with its local APIC, fw_cfg. */
bool board_cpu(Board *b, Error *err);
/* RTC, timer, speaker, then serial and parallel ports, floppy and keyboard controllers, ports 92h
 * and 80h. */
bool board_isa_chips(Board *b, Error *err);
bool board_pics(Board *b, Device *master, Error *err);
bool board_dma(Board *b, Error *err);
/* Once all is there: CMOS, fw_cfg items, -kernel. */
bool board_finish(Board *b, Error *err);

/* Sorts the IDE and floppy drives of the command line into b->drives and b->floppies. */
bool board_take_drives(Board *b, Error *err);
/* Disks of -drive if=virtio, each on a slot of its own, behind those of -device. */
bool board_virtio_drives(Board *b, Error *err);
bool board_serials(Board *b, Error *err);
bool board_parallels(Board *b, Error *err);
/* NICs of -nic: those on this bus ("pci" or "isa"), model unless they name one. */
bool board_nics(Board *b, const char *model, const char *bus, Error *err);
bool board_debugcon(Board *b, Error *err);
bool board_user_devices(Board *b, Error *err);

/* SMBIOS tables, of the machine's defaults and -smbios, for the firmware to publish. */
bool board_smbios(Board *b, Error *err);

/* -kernel, -initrd, -append: fw_cfg items and an option ROM. */
bool board_kernel(Board *b, Error *err);
/* A file of firmware in fw_cfg: "genroms/x.bin", "vgaroms/y.bin". */
bool board_rom_file(Board *b, const char *name, const char *file, Error *err);
