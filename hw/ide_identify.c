/* SPDX-License-Identifier: MIT */
/*
 * What IDE drives say about themselves: IDENTIFY (PACKET) DEVICE data.
 * Source: ATA/ATAPI-6, sections 8.15 and 8.16.  The data is guest state: SET FEATURES and others
 * change it, and it moves along with the guest.
 */
#include "core/machine.h"
#include "hw/ide.h"

enum { HEADS = 16, SECTORS = 63, CYLINDERS_MAX = 16383, LBA28_MAX = 0x0fffffff };

uint16_t ide_identify_word(const IdeDrive *d, unsigned n)
{
    return load_le16(d->identify_data + 2 * n);
}

void ide_identify_set_word(IdeDrive *d, unsigned n, uint16_t val)
{
    store_le16(d->identify_data + 2 * n, val);
}

/* Texts are padded with blanks, and the first letter is in the high byte. */
static void identify_text(IdeDrive *d, unsigned word, unsigned words, const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < 2 * words; i++)
        d->identify_data[2 * word + (i ^ 1)] = i < len ? (uint8_t)text[i] : ' ';
}

static void identify_words(IdeDrive *d, const uint16_t (*pairs)[2], size_t n)
{
    for (size_t i = 0; i < n; i++) ide_identify_set_word(d, pairs[i][0], pairs[i][1]);
}

static void identify_u32(IdeDrive *d, unsigned word, uint32_t val)
{
    ide_identify_set_word(d, word, (uint16_t)val);
    ide_identify_set_word(d, word + 1, (uint16_t)(val >> 16));
}

static void identify_disk(IdeDrive *d, uint64_t sectors)
{
    static const uint16_t fixed[][2] = {
        { 0, 0x0040 }, /* fixed drive */
        { 3, HEADS }, { 6, SECTORS }, { 47, 0x8000 | IDE_MULT_MAX },
        { 48, 1 },      /* 32-bit data port */
        { 49, 0x0b00 }, /* IORDY, LBA, DMA */
        { 50, 0x4000 }, { 51, 0x0200 }, { 52, 0x0200 },
        { 53, 0x0007 }, /* words 54-58, 64-70 and 88 hold something */
        { 55, HEADS }, { 56, SECTORS }, { 59, 0x0100 | IDE_MULT_MAX },
        { 62, 0x0007 }, /* single word DMA 0-2 */
        { 63, 0x0007 }, /* multiword DMA 0-2 */
        { 64, 0x0003 }, /* PIO 3, 4 */
        { 65, 120 }, { 66, 120 }, { 67, 120 }, { 68, 120 },
        { 80, 0x00f0 },                 /* ATA-4 to ATA/ATAPI-7 */
        { 81, 0x0016 }, { 82, 0x4021 }, /* NOP, write cache, SMART */
        { 83, 0x7400 },                 /* FLUSH CACHE (EXT), 48-bit addresses */
        { 84, 0x4000 }, { 85, 0x4021 }, { 86, 0x3400 }, { 87, 0x4000 },
        { 88, 0x203f }, /* ultra DMA 0-5, 5 is selected */
        { 93, 0x6001 }, /* 80-wire cable */
    };
    uint64_t cylinders = MIN_OF(sectors / (HEADS * SECTORS), CYLINDERS_MAX);

    identify_words(d, fixed, ARRAY_SIZE(fixed));
    ide_identify_set_word(d, 1, (uint16_t)cylinders);
    ide_identify_set_word(d, 54, (uint16_t)cylinders);
    identify_u32(d, 57, (uint32_t)(cylinders * HEADS * SECTORS));
    identify_u32(d, 60, (uint32_t)MIN_OF(sectors, LBA28_MAX));
    store_le64(d->identify_data + 2 * 100, sectors);
    identify_text(d, 27, 20, "STASIS HARDDISK");
}

static void identify_cdrom(IdeDrive *d)
{
    static const uint16_t fixed[][2] = {
        { 0, 0x85c0 }, /* CD-ROM, removable, DRQ within 50 us, 12-byte packets */
        { 48, 1 },
        { 49, 0x0b00 },
        { 53, 0x0007 },
        { 62, 0x0007 },
        { 63, 0x0007 },
        { 64, 0x0003 },
        { 65, 0x00b4 },
        { 66, 0x00b4 },
        { 67, 0x012c },
        { 68, 0x00b4 },
        { 71, 30 },
        { 72, 30 },
        { 80, 0x001e }, /* ATA-1 to ATA/ATAPI-4 */
        { 82, 0x4210 }, /* NOP, DEVICE RESET, PACKET */
        { 83, 0x4000 },
        { 84, 0x4000 },
        { 85, 0x4210 },
        { 87, 0x4000 },
        { 88, 0x203f },
        { 93, 0x6001 },
    };

    identify_words(d, fixed, ARRAY_SIZE(fixed));
    identify_text(d, 27, 20, "STASIS CD-ROM");
}

void ide_identify_fill(IdeBus *bus, unsigned unit)
{
    IdeDrive *d = &bus->ifs[unit];
    char serial[24];

    memset(d->identify_data, 0, sizeof(d->identify_data));
    if (bus->cdrom[unit])
        identify_cdrom(d);
    else
        identify_disk(d, block_dev_size(bus->blk[unit]) / IDE_SECTOR);
    g_snprintf(serial, sizeof(serial), "QM%05u", bus->number * IDE_UNITS + unit + 1);
    identify_text(d, 10, 10, bus->serial[unit] && *bus->serial[unit] ? bus->serial[unit] : serial);
    identify_text(d, 23, 4, "1.0");
    d->identify_set = 1;
}
