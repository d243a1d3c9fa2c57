/* SPDX-License-Identifier: MIT */
/*
 * IDE requests under way.  See the invariants in ide.h.
 *
 *   ide_flight_start  -> busy; host reads and flushes begin
 *   flight_due        -> the deadline: host writes begin; waits for the host
 *   flight_end        -> bytes move, registers change, INTRQ rises
 *
 * A host request outlives a flight that is cancelled or replaced by a load: it is orphaned then,
 * and frees itself.
 */
#include <errno.h>

#include "core/machine.h"
#include "hw/drive_error.h"
#include "hw/ide.h"

/* How long a drive takes: to begin a command, to go on with it, and for each byte. */
enum { COMMAND_NS = 20000, BLOCK_NS = 2000, BYTE_NS = 1 };

struct IdeRequest {
    BlockReq block;
    IdeBus *bus; /* NULL: an orphan */
    bool done;
    bool late;   /* the deadline has passed: whoever completes it ends the flight */
    bool longer; /* of a DMA write: the guest's table is longer than the transfer */
};

/* -- the host's side -- */

static void request_free(IdeRequest *r)
{
    g_free(r->block.buf);
    g_free(r);
}

static void request_done(BlockReq *block)
{
    IdeRequest *r = container_of(block, IdeRequest, block);

    r->done = true;
    if (!r->bus)
        request_free(r);
    else if (r->late)
        timer_arm(&r->bus->timer, clock_now(r->bus->timer.clock));
}

static void request_drop(IdeBus *bus)
{
    IdeRequest *r = bus->req;

    bus->req = NULL;
    if (!r) return;
    r->bus = NULL;
    if (r->done) request_free(r);
}

/* data (may be NULL for a read) is taken over.  Without memory there is no request. */
static void request_submit(IdeBus *bus, int op, uint64_t off, size_t len, void *data)
{
    IdeRequest *r = g_new0(IdeRequest, 1);

    if (len && !data) data = g_try_malloc(len);
    r->block.op = op;
    r->block.off = off;
    r->block.buf = data;
    r->block.len = len;
    r->block.done = request_done;
    r->bus = bus;
    bus->req = r;
    if (len && !data) {
        r->block.ret = -ENOMEM;
        r->done = true;
        return;
    }
    block_submit(ide_blk(bus), &r->block);
}

/* -- what a flight is about -- */

static bool flight_is_dma(const IdeDrive *d)
{
    return d->flight == FLIGHT_DMA_READ || d->flight == FLIGHT_DMA_WRITE ||
           (d->flight == FLIGHT_ATAPI && d->feature & 1);
}

/* Sectors of one block on the data port. */
static uint32_t block_sectors(const IdeDrive *d)
{
    uint32_t n = (uint32_t)MAX_OF(MIN_OF(d->req_nb_sectors, 256), 1);

    return MIN_OF(d->nsector, n);
}

/* The medium's bytes from here to the end of the command; false where it has not got them. */
static bool flight_range(IdeBus *bus, uint64_t *off, uint64_t *len)
{
    const IdeDrive *d = ide_active(bus);
    uint64_t sector = ide_get_sector(d), total = ide_sectors(bus);

    if (sector >= total || d->nsector > total - sector) return false;
    *off = sector * IDE_SECTOR;
    *len = (uint64_t)d->nsector * IDE_SECTOR;
    return true;
}

static uint64_t flight_bytes(IdeBus *bus)
{
    const IdeDrive *d = ide_active(bus);
    uint64_t off, len;

    /* A raw sector of a CD has 2352 bytes. */
    if (d->flight == FLIGHT_ATAPI)
        return atapi_read_range(bus, &off, &len) ? len / CD_SECTOR * 2352 : CD_SECTOR;
    return (uint64_t)d->nsector * IDE_SECTOR;
}

/* Host reads start at once.  A PIO command of many blocks reads all of them ahead. */
static void flight_prepare(IdeBus *bus)
{
    const IdeDrive *d = ide_active(bus);
    const IdeRequest *r = bus->req;
    uint64_t off, len;
    bool reads = false;

    if (!ide_blk(bus)) return;
    switch (d->flight) {
    case FLIGHT_PIO_READ:
        reads = flight_range(bus, &off, &len);
        if (reads && r && r->block.op == BLOCK_READ && off >= r->block.off &&
            off + len == r->block.off + r->block.len)
            return;
        break;
    case FLIGHT_DMA_READ: reads = flight_range(bus, &off, &len); break;
    case FLIGHT_ATAPI: reads = atapi_read_range(bus, &off, &len); break;
    default: break;
    }
    request_drop(bus);
    if (reads) request_submit(bus, BLOCK_READ, off, len, NULL);
    if (d->flight == FLIGHT_FLUSH) request_submit(bus, BLOCK_FLUSH, 0, 0, NULL);
}

/* -- ends -- */

static void flight_clear(IdeBus *bus)
{
    ide_active(bus)->flight = FLIGHT_NONE;
    bus->s->deadline = TIMER_NEVER;
    timer_cancel(&bus->timer);
}

static void end_pio_read(IdeBus *bus)
{
    IdeDrive *d = ide_active(bus);
    uint32_t n = block_sectors(d);
    uint64_t sector = ide_get_sector(d);
    const IdeRequest *r = bus->req;

    memcpy(
        d->io_buffer, (char *)r->block.buf + (sector * IDE_SECTOR - r->block.off), n * IDE_SECTOR);
    ide_set_sector(d, sector + n);
    d->nsector -= n;
    d->status = ST_READY | ST_SEEK;
    if (!d->nsector) request_drop(bus);
    ide_transfer(d, 0, n * IDE_SECTOR, THEN_READ);
    ide_set_intrq(bus, true);
}

static void end_pio_write(IdeBus *bus)
{
    IdeDrive *d = ide_active(bus);
    uint32_t n = block_sectors(d);

    request_drop(bus);
    ide_set_sector(d, ide_get_sector(d) + n);
    d->nsector -= n;
    d->status = ST_READY | ST_SEEK;
    if (d->nsector) ide_transfer(d, 0, block_sectors(d) * IDE_SECTOR, THEN_WRITE);
    ide_set_intrq(bus, true);
}

/* longer: the table goes on; moved: what it had room for. */
static void end_dma(IdeBus *bus, size_t moved, bool longer)
{
    IdeDrive *d = ide_active(bus);
    size_t want = (size_t)d->nsector * IDE_SECTOR;

    request_drop(bus);
    d->status = ST_READY | ST_SEEK;
    bus->dma->stop(bus, longer);
    if (moved < want) {
        guest_error(bus->dev, "DMA table holds %zu bytes of %zu", moved, want);
        return; /* the controller stops without an interrupt */
    }
    ide_set_sector(d, ide_get_sector(d) + d->nsector);
    d->nsector = 0;
    ide_done(bus);
}

static void end_dma_read(IdeBus *bus)
{
    bool longer = false;
    size_t moved = bus->dma->move(bus, bus->req->block.buf, bus->req->block.len, true, &longer);

    end_dma(bus, moved, longer);
}

/* Stops the machine; the flight stays, and starts over when the machine goes on. */
static void flight_stop_machine(IdeBus *bus)
{
    request_drop(bus);
    timer_arm(&bus->timer, clock_now(bus->timer.clock) + 1);
    machine_stop(bus->dev->m, RUN_IO_ERROR);
}

/* A host error: true where the flight does not end now.  May make a success of it. */
static bool flight_failed(IdeBus *bus, int *ret)
{
    uint8_t flight = ide_active(bus)->flight;
    bool write = flight == FLIGHT_PIO_WRITE || flight == FLIGHT_DMA_WRITE || flight == FLIGHT_FLUSH;
    DriveErrorAction action = drive_error_action(bus->dev->m, ide_blk(bus), write, *ret);

    if (action == DRIVE_ERROR_STOP) {
        flight_stop_machine(bus);
        return true;
    }
    if (action == DRIVE_ERROR_REPORT) return false;
    if (!write && bus->req->block.buf) memset(bus->req->block.buf, 0, bus->req->block.len);
    if (bus->req->block.buf || flight == FLIGHT_FLUSH) *ret = 0;
    return false;
}

static void flight_fail(IdeBus *bus, uint8_t error)
{
    bool dma = flight_is_dma(ide_active(bus));

    flight_clear(bus);
    request_drop(bus);
    if (dma) bus->dma->stop(bus, false);
    ide_fail(bus, error);
}

static void flight_end(IdeBus *bus)
{
    IdeRequest *r = bus->req;
    enum IdeFlight flight = ide_active(bus)->flight;
    int ret = r ? r->block.ret : 0;

    if (ret < 0 && flight_failed(bus, &ret)) return;
    if (flight == FLIGHT_ATAPI) {
        flight_clear(bus);
        bus->req = NULL;
        atapi_flight_end(bus, r ? r->block.buf : NULL, ret);
        if (r) request_free(r);
        return;
    }
    if (!r || ret < 0) { /* none: the address is outside the disk */
        flight_fail(bus, !r ? ERR_IDNF : flight == FLIGHT_FLUSH ? ERR_ABRT : ERR_UNC);
        return;
    }
    flight_clear(bus);
    switch (flight) {
    case FLIGHT_PIO_READ: end_pio_read(bus); break;
    case FLIGHT_PIO_WRITE: end_pio_write(bus); break;
    case FLIGHT_DMA_READ: end_dma_read(bus); break;
    case FLIGHT_DMA_WRITE: end_dma(bus, r->block.len, r->longer); break;
    default: /* flush */ request_drop(bus); ide_done(bus);
    }
}

/* -- the deadline -- */

/* The guest's data leaves now.  False where the flight has ended over it. */
static bool flight_write(IdeBus *bus)
{
    IdeDrive *d = ide_active(bus);
    uint64_t off, len;
    bool longer = false;
    size_t moved;
    char *data;

    if (!flight_range(bus, &off, &len) || !block_dev_writable(ide_blk(bus))) {
        flight_fail(bus, block_dev_writable(ide_blk(bus)) ? ERR_IDNF : ERR_ABRT);
        return false;
    }
    if (d->flight == FLIGHT_PIO_WRITE) {
        len = block_sectors(d) * IDE_SECTOR;
        request_submit(bus, BLOCK_WRITE, off, len, g_memdup2(d->io_buffer, len));
        return true;
    }
    data = g_try_malloc(len);
    if (!data) {
        flight_fail(bus, ERR_ABRT);
        return false;
    }
    moved = bus->dma->move(bus, data, len, false, &longer);
    if (moved < len) {
        g_free(data);
        flight_clear(bus);
        end_dma(bus, moved, false);
        return false;
    }
    request_submit(bus, BLOCK_WRITE, off, len, data);
    bus->req->longer = longer;
    return true;
}

static void flight_due(void *opaque)
{
    IdeBus *bus = opaque;
    IdeDrive *d = ide_active(bus);
    bool writes = d->flight == FLIGHT_PIO_WRITE || d->flight == FLIGHT_DMA_WRITE;

    if (d->flight == FLIGHT_NONE || !ide_blk(bus)) return;
    if (flight_is_dma(d) && !(writes && bus->req)) {
        if (!bus->dma || !bus->dma->started(bus)) {
            bus->s->deadline = TIMER_NEVER;
            return;
        }
        if (!bus->dma->present(bus, flight_bytes(bus))) return;
    }
    if (writes && !bus->req && !flight_write(bus)) return;
    if (bus->req && !bus->req->done) {
        if (!bus->dev->m->clock.icount) {
            bus->req->late = true;
            return;
        }
        block_wait(&bus->req->block);
    }
    flight_end(bus);
}

void ide_flight_init(IdeBus *bus) { timer_init(&bus->timer, &bus->dev->m->clock, flight_due, bus); }

static int64_t flight_deadline(IdeBus *bus, bool first)
{
    return clock_now(bus->timer.clock) + (first ? COMMAND_NS : BLOCK_NS) +
           (int64_t)flight_bytes(bus) * BYTE_NS;
}

void ide_flight_start(IdeBus *bus, enum IdeFlight flight, uint64_t bytes, bool first)
{
    IdeDrive *d = ide_active(bus);

    d->flight = (uint8_t)flight;
    d->status = ST_BUSY | ST_READY | ST_SEEK;
    if (flight_is_dma(d) && !(bus->dma && bus->dma->started(bus)))
        bus->s->deadline = TIMER_NEVER;
    else
        bus->s->deadline = clock_now(bus->timer.clock) + (first ? COMMAND_NS : BLOCK_NS) +
                           (int64_t)bytes * BYTE_NS;
    flight_prepare(bus);
    timer_arm(&bus->timer, bus->s->deadline);
}

void ide_flight_cancel(IdeBus *bus)
{
    flight_clear(bus);
    request_drop(bus);
}

void ide_flight_kick(IdeBus *bus)
{
    IdeDrive *d = ide_active(bus);

    if (!flight_is_dma(d)) return;
    if (!bus->dma->started(bus)) {
        if (d->flight == FLIGHT_DMA_WRITE && bus->req) return; /* the data has left already */
        bus->s->deadline = TIMER_NEVER;
    } else if (bus->s->deadline == TIMER_NEVER) {
        bus->s->deadline = flight_deadline(bus, true);
    }
    timer_arm(&bus->timer, bus->s->deadline);
}

void ide_flight_resume(IdeBus *bus)
{
    request_drop(bus);
    timer_cancel(&bus->timer);
    if (ide_active(bus)->flight == FLIGHT_NONE) return;
    flight_prepare(bus);
    timer_arm(&bus->timer, bus->s->deadline);
}

void ide_read_next(IdeBus *bus, bool first)
{
    IdeDrive *d = ide_active(bus);

    if (d->nsector)
        ide_flight_start(bus, FLIGHT_PIO_READ, block_sectors(d) * IDE_SECTOR, first);
    else
        d->status = ST_READY | ST_SEEK;
}

/* -- the wire -- */

void ide_flight_to_wire(IdeBusState *s, const IdeDrive *ifs)
{
    static const uint8_t status[FLIGHTS] = {
        [FLIGHT_PIO_READ] = RETRY_PIO | RETRY_READ,
        [FLIGHT_PIO_WRITE] = RETRY_PIO,
        [FLIGHT_DMA_READ] = RETRY_DMA | RETRY_READ,
        [FLIGHT_DMA_WRITE] = RETRY_DMA,
        [FLIGHT_FLUSH] = RETRY_FLUSH,
        [FLIGHT_ATAPI] = RETRY_ATAPI,
    };
    const IdeDrive *d = &ifs[s->unit];

    s->error_status = d->flight < FLIGHTS ? status[d->flight] : 0;
    s->retry_unit = s->error_status ? s->unit : 0;
    s->retry_nsector = s->error_status ? d->nsector : 0;
    s->retry_sector_num = s->error_status ? (int64_t)ide_get_sector(d) : 0;
}

static enum IdeFlight flight_of(int32_t status)
{
    bool read = status & RETRY_READ;

    if ((status & (RETRY_BMDMA | RETRY_TRIM)) == RETRY_ATAPI) return FLIGHT_ATAPI;
    if (status & RETRY_TRIM) return FLIGHT_NONE;
    if (status & RETRY_DMA) return read ? FLIGHT_DMA_READ : FLIGHT_DMA_WRITE;
    if (status & RETRY_PIO) return read ? FLIGHT_PIO_READ : FLIGHT_PIO_WRITE;
    return status & RETRY_FLUSH ? FLIGHT_FLUSH : FLIGHT_NONE;
}

void ide_flight_from_wire(IdeBusState *s, IdeDrive *ifs)
{
    IdeDrive *d = &ifs[s->unit];

    if (s->error_status && ifs[0].flight == FLIGHT_NONE && ifs[1].flight == FLIGHT_NONE) {
        if (s->retry_unit < IDE_UNITS) d = &ifs[s->unit = s->retry_unit];
        d->flight = (uint8_t)flight_of(s->error_status);
        s->deadline = d->flight == FLIGHT_NONE ? TIMER_NEVER : 0; /* at once */
        if (d->flight == FLIGHT_DMA_READ || d->flight == FLIGHT_DMA_WRITE) {
            /* The table is walked from its start, so the sectors are those of the start too. */
            d->nsector = MIN_OF(s->retry_nsector, 65536);
            ide_set_sector(d, (uint64_t)s->retry_sector_num);
        }
        if (d->flight != FLIGHT_NONE) d->status = ST_BUSY | ST_READY | ST_SEEK;
    }
    s->error_status = 0;
    s->retry_unit = 0;
    s->retry_nsector = 0;
    s->retry_sector_num = 0;
}
