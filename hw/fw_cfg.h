/* SPDX-License-Identifier: MIT */
/* What a board and its devices hand to the firmware. */
#pragma once

#include "core/device.h"

/* Well-known items. */
enum FwCfgKey {
    FW_CFG_SIGNATURE = 0x00, /* the interface's own */
    FW_CFG_ID = 0x01,        /* likewise */
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_KERNEL_ADDR = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_DEVICE = 0x0c,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_ENTRY = 0x10,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16,
    FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19, /* likewise */
    FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_ARCH = 0x8000,
    FW_CFG_IRQ0_OVERRIDE = 0x8002,
    FW_CFG_HPET = 0x8004,
};

/* Adds an item, or replaces it; the bytes are copied. */
void fw_cfg_add(Device *dev, uint16_t key, const void *data, size_t len);
void fw_cfg_add_u16(Device *dev, uint16_t key, uint16_t v);
void fw_cfg_add_u32(Device *dev, uint16_t key, uint32_t v);
void fw_cfg_add_u64(Device *dev, uint16_t key, uint64_t v);

/* Adds a file, or replaces it; fails on a name of more than 55 bytes and when all slots are taken.
 * Files get their keys in the order of their names. */
bool fw_cfg_add_file(Device *dev, const char *name, const void *data, size_t len, Error *err);

/* A file that is the start of a RAM block, which travels by itself.  select, if not NULL, is called
 * when the guest selects the file, and may write the block. */
bool fw_cfg_add_block(Device *dev, const char *name, RamBlock *block, size_t len,
    void (*select)(Device *owner), Device *owner, Error *err);
