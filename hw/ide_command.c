/* SPDX-License-Identifier: MIT */
/*
 * ATA commands.  Source: ATA/ATAPI-6, chapter 8; ATA-3 for the commands that it dropped.
 * Commands that need no host end at once, within the write to the command register.
 */
#include "core/machine.h"
#include "hw/ide.h"

enum { FOR_DISK = 1, FOR_CD = 2, FOR_ALL = 3 };
enum { CMD_DEVICE_RESET = 0x08 };

typedef void CommandFn(IdeBus *bus, IdeDrive *d, uint8_t cmd);

/* -- addresses and counts -- */

/* Takes the count from the registers: a 0 is the most that they can say. */
static void cmd_count(IdeDrive *d, bool lba48)
{
    d->lba48 = lba48;
    if (lba48) {
        d->nsector = (uint32_t)d->hob_nsector << 8 | (d->nsector & 0xff);
        if (!d->nsector) d->nsector = 65536;
    } else {
        d->nsector &= 0xff;
        if (!d->nsector) d->nsector = 256;
    }
}

/* Whether the command's sectors are on the disk; ends the command otherwise. */
static bool cmd_in_range(IdeBus *bus, IdeDrive *d)
{
    uint64_t sector = ide_get_sector(d), total = ide_sectors(bus);

    if (sector < total && d->nsector <= total - sector) return true;
    ide_fail(bus, ERR_IDNF);
    return false;
}

static bool cmd_may_write(IdeBus *bus)
{
    if (block_dev_writable(ide_blk(bus))) return true;
    ide_fail(bus, ERR_ABRT);
    return false;
}

/* -- reads and writes -- */

static void cmd_pio_read(IdeBus *bus, IdeDrive *d, bool lba48, int32_t block)
{
    cmd_count(d, lba48);
    if (!cmd_in_range(bus, d)) return;
    d->req_nb_sectors = block;
    ide_read_next(bus, true);
}

static void cmd_pio_write(IdeBus *bus, IdeDrive *d, bool lba48, int32_t block)
{
    cmd_count(d, lba48);
    if (!cmd_may_write(bus) || !cmd_in_range(bus, d)) return;
    d->req_nb_sectors = block;
    d->status = ST_READY | ST_SEEK;
    ide_transfer(d, 0, MIN_OF(d->nsector, (uint32_t)block) * IDE_SECTOR, THEN_WRITE);
}

static void cmd_dma(IdeBus *bus, IdeDrive *d, bool lba48, enum IdeFlight flight)
{
    if (!bus->dma) {
        ide_fail(bus, ERR_ABRT);
        return;
    }
    cmd_count(d, lba48);
    if (flight == FLIGHT_DMA_WRITE && !cmd_may_write(bus)) return;
    if (cmd_in_range(bus, d))
        ide_flight_start(bus, flight, (uint64_t)d->nsector * IDE_SECTOR, true);
}

static void cmd_read(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    cmd_pio_read(bus, d, cmd == 0x24, 1);
}
static void cmd_write(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    cmd_pio_write(bus, d, cmd == 0x34, 1);
}

static void cmd_read_multiple(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    if (d->mult_sectors)
        cmd_pio_read(bus, d, cmd == 0x29, d->mult_sectors);
    else
        ide_fail(bus, ERR_ABRT);
}

static void cmd_write_multiple(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    if (d->mult_sectors)
        cmd_pio_write(bus, d, cmd == 0x39 || cmd == 0xce, d->mult_sectors);
    else
        ide_fail(bus, ERR_ABRT);
}

static void cmd_read_dma(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    cmd_dma(bus, d, cmd == 0x25, FLIGHT_DMA_READ);
}

static void cmd_write_dma(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    cmd_dma(bus, d, cmd == 0x35 || cmd == 0x3d, FLIGHT_DMA_WRITE);
}

static void cmd_verify(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    cmd_count(d, cmd == 0x42);
    if (!cmd_in_range(bus, d)) return;
    ide_set_sector(d, ide_get_sector(d) + d->nsector - 1);
    d->nsector = 0;
    ide_done(bus);
}

static void cmd_flush(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    (void)d, (void)cmd;
    ide_flight_start(bus, FLIGHT_FLUSH, 0, true);
}

/* -- identity, capacity, settings -- */

static void reply_512(IdeBus *bus, IdeDrive *d)
{
    d->status = ST_READY | ST_SEEK;
    ide_transfer(d, 0, IDE_SECTOR, THEN_STOP);
    ide_set_intrq(bus, true);
}

static void cmd_identify(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    bool cd = bus->cdrom[bus->s->unit];

    if (cd != (cmd == 0xa1)) {
        if (cd) ide_set_signature(bus, bus->s->unit);
        ide_fail(bus, ERR_ABRT);
        return;
    }
    memcpy(d->io_buffer, d->identify_data, sizeof(d->identify_data));
    reply_512(bus, d);
}

static void cmd_native_max(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    uint64_t last = ide_sectors(bus) ? ide_sectors(bus) - 1 : 0;

    d->lba48 = cmd == 0x27;
    if (!(d->select & DEV_LBA)) {
        ide_fail(bus, ERR_ABRT);
        return;
    }
    ide_set_sector(d, d->lba48 ? last : MIN_OF(last, 0x0fffffff));
    ide_done(bus);
}

static void cmd_set_multiple(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    uint8_t n = (uint8_t)d->nsector;

    (void)cmd;
    if (n > IDE_MULT_MAX || (n && !is_pow2(n))) {
        ide_fail(bus, ERR_ABRT);
        return;
    }
    d->mult_sectors = n;
    ide_identify_set_word(d, 59, n ? 0x0100 | n : 0);
    ide_done(bus);
}

/* The translation of CHS addresses, as words 54 to 58 tell it. */
static void cmd_set_geometry(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    unsigned heads = (d->select & 15u) + 1, spt = d->nsector & 0xff;
    uint64_t total = ide_sectors(bus), cylinders, capacity;

    (void)cmd;
    if (!spt) {
        ide_fail(bus, ERR_ABRT);
        return;
    }
    cylinders = MIN_OF(total / (heads * spt), 65535);
    capacity = cylinders * heads * spt;
    ide_identify_set_word(d, 54, (uint16_t)cylinders);
    ide_identify_set_word(d, 55, (uint16_t)heads);
    ide_identify_set_word(d, 56, (uint16_t)spt);
    ide_identify_set_word(d, 57, (uint16_t)capacity);
    ide_identify_set_word(d, 58, (uint16_t)(capacity >> 16));
    ide_done(bus);
}

/* SET FEATURES 03h: the count register names the kind (high bits) and number of the mode. */
static bool set_transfer_mode(IdeDrive *d, uint8_t mode)
{
    enum { PIO_DEFAULT, PIO, SINGLE, MULTI = 4, ULTRA = 8 };
    unsigned kind = mode >> 3, bit = 1u << (mode & 7);
    uint16_t single = ide_identify_word(d, 62) & 0xff, multi = ide_identify_word(d, 63) & 0xff;
    uint16_t ultra = ide_identify_word(d, 88) & 0xff;

    switch (kind) {
    case PIO_DEFAULT:
    case PIO: break;
    case SINGLE: single |= (uint16_t)(bit << 8); break;
    case MULTI: multi |= (uint16_t)(bit << 8); break;
    case ULTRA: ultra |= (uint16_t)(bit << 8); break;
    default: return false;
    }
    ide_identify_set_word(d, 62, single);
    ide_identify_set_word(d, 63, multi);
    ide_identify_set_word(d, 88, ultra);
    return true;
}

static void set_word_bit(IdeDrive *d, unsigned word, uint16_t bit, bool on)
{
    uint16_t val = ide_identify_word(d, word);

    ide_identify_set_word(d, word, on ? val | bit : (uint16_t)(val & ~bit));
}

static void cmd_set_features(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    enum { WRITE_CACHE = 0x20 };
    bool ok = true;

    (void)cmd;
    switch (d->feature) {
    case 0x02:
    case 0x82: set_word_bit(d, 85, WRITE_CACHE, d->feature == 0x02); break;
    case 0x03: ok = set_transfer_mode(d, (uint8_t)d->nsector); break;
    case 0x05: /* advanced power management on and off, reverting to defaults, look-ahead, */
    case 0x42: /* acoustic management: nothing that a guest could tell apart */
    case 0x55:
    case 0x66:
    case 0x67:
    case 0x69:
    case 0x85:
    case 0xaa:
    case 0xc2:
    case 0xcc: break;
    default: ok = false;
    }
    if (ok)
        ide_done(bus);
    else
        ide_fail(bus, ERR_ABRT);
}

/* -- SMART: the drive says that it is well -- */

enum { SMART_DATA_CHECKSUM = 511 };

static void smart_checksum(uint8_t *data)
{
    uint8_t sum = 0;

    for (int i = 0; i < SMART_DATA_CHECKSUM; i++) sum = (uint8_t)(sum + data[i]);
    data[SMART_DATA_CHECKSUM] = (uint8_t)-sum;
}

static void cmd_smart(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    enum { READ_DATA = 0xd0, THRESHOLDS, AUTOSAVE, ENABLE = 0xd8, DISABLE, STATUS };
    enum { SMART_ON = 0x01 };
    bool on = ide_identify_word(d, 85) & SMART_ON;

    (void)cmd;
    if (d->lcyl != 0x4f || d->hcyl != 0xc2 || (!on && d->feature != ENABLE)) {
        ide_fail(bus, ERR_ABRT);
        return;
    }
    switch (d->feature) {
    case READ_DATA:
    case THRESHOLDS:
        memset(d->io_buffer, 0, IDE_SECTOR);
        store_le16(d->io_buffer, 1); /* revision; there are no attributes */
        smart_checksum(d->io_buffer);
        reply_512(bus, d);
        return;
    case ENABLE:
    case DISABLE: set_word_bit(d, 85, SMART_ON, d->feature == ENABLE); break;
    case STATUS: /* 4Fh and C2h left as they are: no threshold exceeded */
    case AUTOSAVE: break;
    default: ide_fail(bus, ERR_ABRT); return;
    }
    ide_done(bus);
}

/* -- the rest -- */

static void cmd_nop(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    (void)d, (void)cmd;
    ide_fail(bus, ERR_ABRT); /* as the standard has it */
}

static void cmd_accept(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    (void)d, (void)cmd;
    ide_done(bus);
}

static void cmd_power_mode(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    (void)cmd;
    d->nsector = 0xff; /* active or idle */
    ide_done(bus);
}

/* Both drives run their diagnostics; drive 0 tells the outcome. */
static void cmd_diagnose(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    (void)d, (void)cmd;
    bus->s->unit = 0;
    for (unsigned unit = 0; unit < IDE_UNITS; unit++) {
        bus->ifs[unit].select &= (uint8_t)~DEV_UNIT;
        bus->ifs[unit].error = ERR_DIAG_OK;
        bus->ifs[unit].status = bus->cdrom[unit] ? 0 : ST_READY | ST_SEEK;
        ide_set_signature(bus, unit);
    }
    ide_set_intrq(bus, true);
}

static void cmd_device_reset(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    (void)cmd;
    ide_flight_cancel(bus);
    ide_set_signature(bus, bus->s->unit);
    d->status = 0;
    d->error = ERR_DIAG_OK;
}

static void cmd_packet(IdeBus *bus, IdeDrive *d, uint8_t cmd)
{
    (void)cmd;
    if (d->feature & 2) { /* overlapped */
        ide_fail(bus, ERR_ABRT);
        return;
    }
    d->status = ST_READY | ST_SEEK;
    d->nsector = 1; /* interrupt reason: a command goes to the drive */
    d->error = 0;
    ide_transfer(d, 0, 12, THEN_ATAPI_PACKET);
}

static const struct {
    CommandFn *run;
    uint8_t kinds;
} commands[256] = {
    [0x00] = { cmd_nop, FOR_ALL },
    [CMD_DEVICE_RESET] = { cmd_device_reset, FOR_CD },
    [0x10 ... 0x1f] = { cmd_accept, FOR_DISK }, /* RECALIBRATE */
    [0x20 ... 0x21] = { cmd_read, FOR_DISK },
    [0x24] = { cmd_read, FOR_DISK },
    [0x25] = { cmd_read_dma, FOR_DISK },
    [0x27] = { cmd_native_max, FOR_DISK },
    [0x29] = { cmd_read_multiple, FOR_DISK },
    [0x30 ... 0x31] = { cmd_write, FOR_DISK },
    [0x34] = { cmd_write, FOR_DISK },
    [0x35] = { cmd_write_dma, FOR_DISK },
    [0x39] = { cmd_write_multiple, FOR_DISK },
    [0x3c] = { cmd_write, FOR_DISK }, /* WRITE VERIFY */
    [0x3d] = { cmd_write_dma, FOR_DISK },
    [0x40 ... 0x42] = { cmd_verify, FOR_DISK },
    [0x70 ... 0x7f] = { cmd_accept, FOR_DISK }, /* SEEK */
    [0x90] = { cmd_diagnose, FOR_ALL },
    [0x91] = { cmd_set_geometry, FOR_DISK },
    [0x94 ... 0x97] = { cmd_accept, FOR_ALL }, /* power commands of ATA-1 */
    [0x98] = { cmd_power_mode, FOR_ALL },
    [0x99] = { cmd_accept, FOR_ALL },
    [0xa0] = { cmd_packet, FOR_CD },
    [0xa1] = { cmd_identify, FOR_ALL },
    [0xb0] = { cmd_smart, FOR_DISK },
    [0xc4] = { cmd_read_multiple, FOR_DISK },
    [0xc5] = { cmd_write_multiple, FOR_DISK },
    [0xc6] = { cmd_set_multiple, FOR_DISK },
    [0xc8 ... 0xc9] = { cmd_read_dma, FOR_DISK },
    [0xca ... 0xcb] = { cmd_write_dma, FOR_DISK },
    [0xce] = { cmd_write_multiple, FOR_DISK },
    [0xe0 ... 0xe3] = { cmd_accept, FOR_ALL }, /* STANDBY, IDLE */
    [0xe5] = { cmd_power_mode, FOR_ALL },
    [0xe6] = { cmd_accept, FOR_ALL }, /* SLEEP */
    [0xe7] = { cmd_flush, FOR_ALL },
    [0xea] = { cmd_flush, FOR_DISK },
    [0xec] = { cmd_identify, FOR_ALL },
    [0xef] = { cmd_set_features, FOR_ALL },
    [0xf8] = { cmd_native_max, FOR_DISK },
};

void ide_command(IdeBus *bus, uint8_t cmd)
{
    unsigned unit = bus->s->unit;
    IdeDrive *d = ide_active(bus);

    ide_set_intrq(bus, false);
    /* EXECUTE DEVICE DIAGNOSTIC reaches both drives whichever is selected. */
    if (!bus->blk[unit] && !(cmd == 0x90 && bus->blk[0])) return;
    if (d->status & (ST_BUSY | ST_DRQ) && cmd != CMD_DEVICE_RESET) {
        guest_error(bus->dev, "command %02x while the drive is busy", cmd);
        return;
    }
    if (!commands[cmd].run || !(commands[cmd].kinds & (bus->cdrom[unit] ? FOR_CD : FOR_DISK))) {
        if (bus->cdrom[unit] && (cmd == 0x20 || cmd == 0x21)) ide_set_signature(bus, unit);
        ide_fail(bus, ERR_ABRT);
        return;
    }
    d->error = 0;
    /* What an earlier transfer left there does not travel (see pio_needed), so it does not stay. */
    memset(d->io_buffer, 0, IDE_BUFFER);
    d->req_nb_sectors = d->cur_io_buffer_offset = d->cur_io_buffer_len = 0;
    d->elementary_transfer_size = d->packet_transfer_size = 0;
    d->end_transfer_fn_idx = THEN_STOP;
    commands[cmd].run(bus, d, cmd);
}
