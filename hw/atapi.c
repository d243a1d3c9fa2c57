/* SPDX-License-Identifier: MIT */
/*
 * The ATAPI CD-ROM: packet protocol, reads, tray and media events.
 * Source: ATA/ATAPI-6, sections 9.8 and 9.9; MMC-3 (T10/1363-D).  Not modelled: audio, writing,
 * raw sectors other than data in mode 1, or more of them on the data port than io_buffer holds,
 * changers.
 *
 * A packet that needs the host, or whose reply goes by DMA, becomes a flight with the packet in
 * io_buffer (see ide.h).  On the data port a read comes in chunks of what io_buffer holds; for the
 * next chunk the drive writes itself a packet that reads the rest.
 */
#include "core/machine.h"
#include "hw/ide.h"

enum { CHUNK_SECTORS = 64, RAW_SECTOR = 2352, READ_MAX = 1 << 16, PACKET_BYTES = 12 };
enum { REASON_COMMAND = 1, REASON_IN = 2, REASON_MASK = 7 };
enum {
    OP_TEST_READY = 0x00,
    OP_REQUEST_SENSE = 0x03,
    OP_INQUIRY = 0x12,
    OP_START_STOP = 0x1b,
    OP_PREVENT = 0x1e,
    OP_READ10 = 0x28,
    OP_SEEK = 0x2b,
    OP_GET_CONFIG = 0x46,
    OP_GET_EVENT = 0x4a,
    OP_READ12 = 0xa8,
    OP_SET_SPEED = 0xbb,
    OP_READ_CD = 0xbe
};

/* -- ends of a packet command -- */

static void atapi_reason(IdeDrive *d, uint8_t reason)
{
    d->nsector = (d->nsector & 0xf8u) | reason;
}

void atapi_ok(IdeBus *bus)
{
    IdeDrive *d = ide_active(bus);

    d->error = 0;
    d->status = ST_READY | ST_SEEK;
    atapi_reason(d, REASON_IN | REASON_COMMAND);
    ide_set_intrq(bus, true);
}

void atapi_error(IdeBus *bus, uint8_t sense_key, uint8_t asc)
{
    IdeDrive *d = ide_active(bus);

    d->error = (uint8_t)(sense_key << 4);
    d->status = ST_READY | ST_ERR;
    atapi_reason(d, REASON_IN | REASON_COMMAND);
    d->sense_key = sense_key;
    d->asc = asc;
    ide_set_intrq(bus, true);
}

bool atapi_ready(IdeBus *bus)
{
    return block_dev_has_medium(ide_blk(bus)) && !ide_active(bus)->tray_open;
}

/* -- replies on the data port -- */

/* The most bytes of one block, as the guest has put them into the cylinder registers. */
static uint32_t atapi_block_max(const IdeDrive *d)
{
    uint32_t max = (uint32_t)d->hcyl << 8 | d->lcyl;

    if (!max || max == 0xffff) return 0xfffe;
    return max == 1 ? 2 : max & ~1u;
}

/* The next block: left bytes of the reply lie in io_buffer from off on. */
static void atapi_block(IdeBus *bus, uint32_t off, uint32_t left)
{
    IdeDrive *d = ide_active(bus);
    /* The limit is what the registers held with the packet; a shorter block is the last one. */
    uint32_t n = MIN_OF(left, atapi_block_max(d));

    atapi_reason(d, REASON_IN);
    d->lcyl = (uint8_t)n;
    d->hcyl = (uint8_t)(n >> 8);
    d->packet_transfer_size = (int32_t)(left - n);
    d->elementary_transfer_size = 0;
    d->status = ST_READY | ST_SEEK;
    ide_transfer(d, off, n, THEN_ATAPI_REPLY);
    ide_set_intrq(bus, true);
}

/* The rest of a read that is longer than io_buffer. */
static void atapi_next_chunk(IdeBus *bus)
{
    IdeDrive *d = ide_active(bus);
    uint32_t left = d->cd_left;

    memset(d->io_buffer, 0, PACKET_BYTES);
    d->io_buffer[0] = OP_READ12;
    store_be32(d->io_buffer + 2, d->cd_lba);
    store_be32(d->io_buffer + 6, left);
    d->cd_left = 0;
    d->end_transfer_fn_idx = THEN_ATAPI_PACKET;
    ide_flight_start(bus, FLIGHT_ATAPI, (uint64_t)MIN_OF(left, CHUNK_SECTORS) * CD_SECTOR, false);
}

void atapi_reply_end(IdeBus *bus)
{
    IdeDrive *d = ide_active(bus);

    if (d->packet_transfer_size)
        atapi_block(bus, (uint32_t)d->cur_io_buffer_offset,
            (uint32_t)MIN_OF(d->packet_transfer_size, IDE_BUFFER - d->cur_io_buffer_offset));
    else if (d->cd_left)
        atapi_next_chunk(bus);
    else
        atapi_ok(bus);
}

/* A reply of len bytes, by the way that the guest has asked for. */
static void atapi_reply(IdeBus *bus, const uint8_t *data, size_t len)
{
    IdeDrive *d = ide_active(bus);
    bool longer = false;
    size_t moved;

    if (!(d->feature & 1)) {
        if (data != d->io_buffer) memmove(d->io_buffer, data, len);
        if (len)
            atapi_block(bus, 0, (uint32_t)len);
        else
            atapi_ok(bus);
        return;
    }
    moved = bus->dma->move(bus, (void *)data, len, true, &longer);
    bus->dma->stop(bus, longer);
    if (moved == len)
        atapi_ok(bus);
    else
        d->status = ST_READY | ST_SEEK; /* the table is too short: no interrupt */
}

/* -- reads -- */

typedef struct CdRead {
    uint32_t lba, sectors;
    uint8_t fields; /* of READ CD: which parts of a sector are wanted */
} CdRead;

enum { FIELD_USER = 0x10, FIELD_ALL = 0xf8 };

static bool atapi_parse_read(const uint8_t *p, CdRead *r)
{
    r->lba = load_be32(p + 2);
    r->fields = FIELD_USER;
    switch (p[0]) {
    case OP_READ10: r->sectors = load_be16(p + 7); return true;
    case OP_READ12: r->sectors = load_be32(p + 6); return true;
    case OP_READ_CD:
        r->sectors = (uint32_t)p[6] << 16 | load_be16(p + 7);
        r->fields = p[9] & FIELD_ALL;
        return true;
    default: return false;
    }
}

static size_t cd_sector_bytes(const CdRead *r)
{
    return r->fields == FIELD_ALL ? RAW_SECTOR : CD_SECTOR;
}

static uint32_t cd_sectors(IdeBus *bus)
{
    return (uint32_t)MIN_OF(block_dev_size(ide_blk(bus)) / CD_SECTOR, UINT32_MAX);
}

/* What one flight reads of it. */
static uint32_t cd_chunk(const IdeDrive *d, const CdRead *r)
{
    size_t room = (IDE_BUFFER - 4) / cd_sector_bytes(r);

    return d->feature & 1 ? r->sectors : (uint32_t)MIN_OF(r->sectors, room);
}

bool atapi_read_range(IdeBus *bus, uint64_t *off, uint64_t *len)
{
    const IdeDrive *d = ide_active(bus);
    CdRead r;

    if (!atapi_parse_read(d->io_buffer, &r) || !atapi_ready(bus)) return false;
    if (cd_sector_bytes(&r) == RAW_SECTOR && cd_chunk(d, &r) < r.sectors) return false;
    if (!r.sectors || r.sectors > READ_MAX || r.lba >= cd_sectors(bus) ||
        r.sectors > cd_sectors(bus) - r.lba)
        return false;
    *off = (uint64_t)r.lba * CD_SECTOR;
    *len = (uint64_t)cd_chunk(d, &r) * CD_SECTOR;
    return true;
}

static uint8_t bcd(unsigned v) { return (uint8_t)(v / 10 << 4 | v % 10); }

/* A whole sector of mode 1 around its 2048 bytes; error detection and correction are left zero. */
static void cd_raw_sector(uint8_t *out, const uint8_t *data, uint32_t lba)
{
    uint32_t frame = lba + 150;

    memset(out, 0, RAW_SECTOR);
    memset(out + 1, 0xff, 10);
    out[12] = bcd(frame / 75 / 60 % 100);
    out[13] = bcd(frame / 75 % 60);
    out[14] = bcd(frame % 75);
    out[15] = 1;
    memcpy(out + 16, data, CD_SECTOR);
}

static void atapi_read_end(IdeBus *bus, const CdRead *r, const uint8_t *data)
{
    IdeDrive *d = ide_active(bus);
    uint32_t n = cd_chunk(d, r);
    size_t each = cd_sector_bytes(r);
    uint8_t *raw = NULL;

    if (each == RAW_SECTOR) {
        raw = g_malloc((size_t)n * each);
        for (uint32_t i = 0; i < n; i++)
            cd_raw_sector(raw + i * each, data + (size_t)i * CD_SECTOR, r->lba + i);
    }
    d->cd_lba = r->lba + n;
    d->cd_left = r->sectors - n;
    atapi_reply(bus, raw ? raw : data, (size_t)n * each);
    g_free(raw);
}

/* -- packets that change something -- */

static void atapi_start_stop(IdeBus *bus, const uint8_t *p)
{
    enum { START = 1, LOAD_EJECT = 2 };
    IdeDrive *d = ide_active(bus);
    bool open = !(p[4] & START);

    if (p[4] & 0xf0 || !(p[4] & LOAD_EJECT)) { /* power conditions, spinning: nothing to see */
        atapi_ok(bus);
        return;
    }
    if (open && !d->tray_open && d->tray_locked) {
        atapi_error(bus, SENSE_ILLEGAL, ASC_LOCKED);
        return;
    }
    if (open != d->tray_open) {
        d->tray_open = open;
        d->eject_request = false;
        if (!open && block_dev_has_medium(ide_blk(bus))) d->new_media = true;
        ide_tray_moved(bus, bus->s->unit);
    }
    atapi_ok(bus);
}

/* Works off a medium change: first there was none, then there is another.  True where told. */
static bool atapi_tell_change(IdeBus *bus, uint8_t op)
{
    IdeDrive *d = ide_active(bus);

    if (op == OP_REQUEST_SENSE || op == OP_INQUIRY || op == OP_GET_CONFIG || op == OP_GET_EVENT)
        return false;
    if (!d->cdrom_changed) return false;
    if (d->cdrom_changed == 1 || !atapi_ready(bus)) {
        d->cdrom_changed = 2;
        atapi_error(bus, SENSE_NOT_READY, ASC_NO_MEDIUM);
    } else {
        d->cdrom_changed = 0;
        atapi_error(bus, SENSE_ATTENTION, ASC_CHANGED);
    }
    return true;
}

/* A read that is not to be: why. */
static void atapi_refuse_read(IdeBus *bus, const CdRead *r)
{
    if (!atapi_ready(bus))
        atapi_error(bus, SENSE_NOT_READY, ASC_NO_MEDIUM);
    else if (!r->sectors || !r->fields)
        atapi_ok(bus);
    else if ((r->fields != FIELD_USER && r->fields != FIELD_ALL) ||
             cd_chunk(ide_active(bus), r) < r->sectors)
        atapi_error(bus, SENSE_ILLEGAL, ASC_FIELD);
    else
        atapi_error(bus, SENSE_ILLEGAL, ASC_RANGE);
}

static bool atapi_moves_data(uint8_t op)
{
    CdRead r;

    return atapi_parse_read((uint8_t[PACKET_BYTES]){ op }, &r) || atapi_info_known(op);
}

/* Executes a packet that needs nothing of the host any more. */
static void atapi_execute(IdeBus *bus)
{
    IdeDrive *d = ide_active(bus);
    uint8_t packet[PACKET_BYTES], *reply;
    int len;

    memcpy(packet, d->io_buffer, PACKET_BYTES);
    switch (packet[0]) {
    case OP_TEST_READY:
    case OP_SEEK:
        if (atapi_ready(bus))
            atapi_ok(bus);
        else
            atapi_error(bus, SENSE_NOT_READY, ASC_NO_MEDIUM);
        return;
    case OP_START_STOP: atapi_start_stop(bus, packet); return;
    case OP_PREVENT:
        d->tray_locked = packet[4] & 1;
        atapi_ok(bus);
        return;
    case OP_SET_SPEED: atapi_ok(bus); return;
    default: break;
    }
    reply = g_malloc0(IDE_BUFFER);
    len = atapi_info(bus, packet, reply);
    if (len < 0)
        atapi_error(bus, SENSE_ILLEGAL, ASC_OPCODE);
    else if (len)
        atapi_reply(bus, reply, (size_t)len);
    g_free(reply);
}

void atapi_packet(IdeBus *bus)
{
    IdeDrive *d = ide_active(bus);
    uint64_t off, len;
    CdRead r;

    d->cd_left = 0;
    if (d->feature & 1 && !bus->dma && atapi_moves_data(d->io_buffer[0])) {
        atapi_error(bus, SENSE_ILLEGAL, ASC_FIELD);
        return;
    }
    if (atapi_tell_change(bus, d->io_buffer[0])) return;
    if (atapi_parse_read(d->io_buffer, &r)) {
        if ((r.fields == FIELD_USER || r.fields == FIELD_ALL) && atapi_read_range(bus, &off, &len))
            ide_flight_start(bus, FLIGHT_ATAPI, len, true);
        else
            atapi_refuse_read(bus, &r);
    } else if (d->feature & 1 && atapi_moves_data(d->io_buffer[0])) {
        ide_flight_start(bus, FLIGHT_ATAPI, CD_SECTOR, true);
    } else {
        atapi_execute(bus);
    }
}

void atapi_flight_end(IdeBus *bus, const uint8_t *data, int ret)
{
    IdeDrive *d = ide_active(bus);
    uint64_t off, len;
    CdRead r;

    d->end_transfer_fn_idx = THEN_STOP;
    if (!atapi_parse_read(d->io_buffer, &r)) {
        atapi_execute(bus);
    } else if (!atapi_read_range(bus, &off, &len)) { /* the medium has gone meanwhile */
        atapi_refuse_read(bus, &r);
    } else if (ret < 0 || !data) {
        atapi_error(bus, SENSE_MEDIUM, ASC_UNREADABLE);
    } else {
        atapi_read_end(bus, &r, data);
    }
}
