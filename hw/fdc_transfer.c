/* SPDX-License-Identifier: MIT */
/*
 * The floppy controller's execution phase.  See the invariants in fdc.h.
 *
 *   transfer_sector   a sector begins: READ, or MOVE where the host's bytes come first
 *   transfer_due      the deadline of READ, WRITE or SCAN; or MOVE is tried again
 *   transfer_moved    the FIFO has been emptied or filled: the next stage
 *   transfer_next     the sector is over: the next one, or the end
 *
 * The host reads ahead to the end of the cylinder, and writes a sector at a time.  Its request
 * outlives a transfer that is cancelled or replaced by a load: it is orphaned then, and frees
 * itself.
 */
#include <errno.h>
#include <string.h>

#include "core/machine.h"
#include "hw/dma.h"
#include "hw/drive_error.h"
#include "hw/fdc.h"

enum { SECTOR_NS = 20000, DONT_CARE = 0xff, ID_BYTES = 4 };
/* Where FORMAT's parameters and the host's bytes stand in the FIFO. */
enum { FORMAT_SIZE = 2, FORMAT_FILLER = 5, FORMAT_ID = 6 };

struct FdcRequest {
    BlockReq block;
    Fdc *f;         /* NULL: an orphan */
    BlockDev *from; /* the drive */
    bool done;
    bool late; /* the deadline has passed: whoever completes it goes on */
};

/* -- the host's side -- */

static void request_free(FdcRequest *r)
{
    g_free(r->block.buf);
    g_free(r);
}

static void request_done(BlockReq *block)
{
    FdcRequest *r = container_of(block, FdcRequest, block);

    r->done = true;
    if (!r->f)
        request_free(r);
    else if (r->late)
        timer_arm(&r->f->timer, clock_now(r->f->timer.clock));
}

static void request_drop(Fdc *f)
{
    FdcRequest *r = f->req;

    f->req = NULL;
    if (!r) return;
    r->f = NULL;
    if (r->done) request_free(r);
}

/* buf is taken over. */
static void request_submit(Fdc *f, int op, uint64_t off, size_t len, void *buf)
{
    FdcRequest *r = g_new0(FdcRequest, 1);

    r->block.op = op;
    r->block.off = off;
    r->block.len = len;
    r->block.buf = buf;
    r->block.done = request_done;
    r->f = f;
    r->from = f->blk[fdc_unit(f)];
    f->req = r;
    block_submit(r->from, &r->block);
}

/* -- where a transfer is -- */

bool fdc_transfer_to_host(const FdcState *s) { return s->data_dir == DIR_READ; }

static bool transfer_scans(const FdcState *s)
{
    return s->data_dir >= DIR_SCAN_EQUAL && s->data_dir <= DIR_SCAN_HIGH;
}

static bool transfer_formats(const FdcState *s) { return s->data_state & STATE_FORMAT; }

/* Bytes of one turn of the host's, and how many of them have moved. */
static unsigned transfer_unit(const FdcState *s)
{
    return transfer_formats(s) ? ID_BYTES : FDC_SECTOR;
}
static unsigned transfer_done(const FdcState *s) { return s->data_pos % transfer_unit(s); }
static uint8_t *transfer_at(FdcState *s)
{
    return s->fifo + (transfer_formats(s) ? FORMAT_ID : 0) + transfer_done(s);
}

/* Where the present sector is on the image; false where neither medium nor image has it. */
static bool transfer_offset(Fdc *f, uint64_t *off)
{
    const FdcMedium *m = fdc_medium(f);
    const FdcDrive *d = fdc_drive(f);

    if (!m || !d || !d->sect || d->sect > m->sectors || d->head >= m->heads ||
        d->track >= m->tracks)
        return false;
    *off = (((uint64_t)d->track * m->heads + d->head) * m->sectors + d->sect - 1) * FDC_SECTOR;
    return *off + FDC_SECTOR <= block_dev_size(f->blk[fdc_unit(f)]);
}

static void transfer_stage(Fdc *f, enum FdcStage stage, int64_t deadline)
{
    f->s.stage = (uint8_t)stage;
    f->s.deadline = deadline;
    timer_arm(&f->timer, deadline);
}

static int64_t transfer_soon(Fdc *f) { return clock_now(f->timer.clock) + SECTOR_NS; }

/* -- host reads -- */

static bool transfer_has(const Fdc *f, uint64_t off)
{
    const FdcRequest *r = f->req;

    return r && r->from == f->blk[fdc_unit(f)] && r->block.op == BLOCK_READ &&
           off >= r->block.off && off + FDC_SECTOR <= r->block.off + r->block.len;
}

/* Sees to it that the sector at off is read or being read, and what follows it on the cylinder. */
static void transfer_read_ahead(Fdc *f, uint64_t off)
{
    const FdcMedium *m = fdc_medium(f);
    const FdcDrive *d = fdc_drive(f);
    uint64_t left = block_dev_size(f->blk[fdc_unit(f)]) - off, len;
    unsigned sectors = MIN_OF(MAX_OF(f->s.eot, d->sect), m->sectors) - d->sect + 1u;

    if (transfer_has(f, off)) return;
    request_drop(f);
    if (f->s.data_state & STATE_MULTI && d->head + 1 < m->heads && f->s.eot >= m->sectors)
        sectors += m->sectors;
    len = MIN_OF(sectors * (uint64_t)FDC_SECTOR, left);
    request_submit(f, BLOCK_READ, off, len, g_malloc(len));
}

/* -- sectors -- */

static void transfer_end(Fdc *f, uint8_t st0, uint8_t st1, uint8_t st2)
{
    fdc_end(f, st0, st1, f->s.status2 | st2);
}

static void transfer_try_move(Fdc *f);

/* The host's turn. */
static void transfer_move(Fdc *f)
{
    transfer_stage(f, STAGE_MOVE, TIMER_NEVER);
    if (f->s.nondma)
        fdc_raise(f);
    else
        transfer_try_move(f);
}

/* The sector under the head comes next. */
static void transfer_sector(Fdc *f)
{
    uint64_t off;

    if (transfer_formats(&f->s)) {
        transfer_move(f);
        return;
    }
    if (!transfer_offset(f, &off)) {
        transfer_end(f, ST0_ABNORMAL, ST1_NO_DATA, 0);
        return;
    }
    if (f->s.data_dir == DIR_WRITE) {
        transfer_move(f);
        return;
    }
    transfer_read_ahead(f, off);
    if (transfer_scans(&f->s))
        transfer_move(f);
    else
        transfer_stage(f, STAGE_READ, transfer_soon(f));
}

/* The head goes on by one sector (SCAN: by STP); false at the end of the cylinder, whose successor
 * the result names. */
static bool transfer_advance(Fdc *f)
{
    FdcState *s = &f->s;
    FdcDrive *d = fdc_drive(f);
    unsigned next = d->sect + (transfer_scans(s) && s->scan_step == 2 ? 2u : 1u);

    if (d->sect != s->eot && next <= 255 && !(next > s->eot && transfer_scans(s))) {
        d->sect = (uint8_t)next;
        return true;
    }
    d->sect = 1;
    if (!(s->data_state & STATE_MULTI)) return false;
    d->head ^= 1;
    return d->head;
}

/* The result's position behind the last sector of a cylinder is the next cylinder's, where the head
 * does not go. */
static void transfer_end_cylinder(Fdc *f, uint8_t st0, uint8_t st1, uint8_t st2)
{
    FdcDrive *d = fdc_drive(f);

    d->track++;
    transfer_end(f, st0, st1, st2);
    d->track--;
}

static void transfer_next(Fdc *f)
{
    FdcState *s = &f->s;
    bool more = transfer_formats(s) ? s->data_pos < s->data_len : transfer_advance(f);
    bool enough =
        s->tc || transfer_formats(s) || s->status2 & ST2_CONTROL_MARK || s->data_dir == DIR_VERIFY;

    if (transfer_formats(s) && s->data_pos >= s->data_len)
        transfer_end(f, 0, 0, 0);
    else if (s->tc && more)
        transfer_end(f, 0, 0, 0);
    else if (s->data_dir == DIR_VERIFY && s->data_pos >= s->data_len && more)
        transfer_end(f, 0, 0, 0);
    else if (more)
        transfer_sector(f);
    else if (transfer_scans(s))
        transfer_end_cylinder(f, 0, 0, ST2_SCAN_MISS);
    else
        transfer_end_cylinder(f, enough ? 0 : ST0_ABNORMAL, enough ? 0 : ST1_END, 0);
}

/* -- stages at their deadline -- */

/* A host error: true where the transfer does not go on now.  May make a success of it. */
static bool transfer_failed(Fdc *f)
{
    FdcRequest *r = f->req;
    bool write = r->block.op == BLOCK_WRITE;
    DriveErrorAction action;

    if (!write && r->block.len > FDC_SECTOR) { /* whose fault it is shows by single sectors */
        uint64_t off = 0;

        transfer_offset(f, &off);
        request_drop(f);
        request_submit(f, BLOCK_READ, off, FDC_SECTOR, g_malloc(FDC_SECTOR));
        timer_arm(&f->timer, clock_now(f->timer.clock));
        return true;
    }
    action = drive_error_action(f->dev.m, r->from, write, r->block.ret);
    if (action == DRIVE_ERROR_STOP) { /* done over when the machine goes on */
        request_drop(f);
        timer_arm(&f->timer, clock_now(f->timer.clock) + 1);
        machine_stop(f->dev.m, RUN_IO_ERROR);
        return true;
    }
    if (action == DRIVE_ERROR_IGNORE) {
        if (!write) memset(r->block.buf, 0, r->block.len);
        r->block.ret = 0;
        return false;
    }
    transfer_end(f, ST0_ABNORMAL, ST1_DATA_ERROR, 0);
    return true;
}

/* False while the host is at work, or where there is nothing to go on with. */
static bool transfer_wait(Fdc *f)
{
    if (!f->req->done) {
        if (!f->dev.m->clock.icount) {
            f->req->late = true;
            return false;
        }
        block_wait(&f->req->block);
    }
    return f->req->block.ret >= 0 || !transfer_failed(f);
}

/* Compares as the chip does: a byte of ones on either side matches.  < 0: the medium's is less. */
static int transfer_compare(const uint8_t *medium, const uint8_t *host)
{
    for (unsigned i = 0; i < FDC_SECTOR; i++)
        if (medium[i] != host[i] && medium[i] != DONT_CARE && host[i] != DONT_CARE)
            return medium[i] < host[i] ? -1 : 1;
    return 0;
}

static void transfer_scan(Fdc *f, const uint8_t *medium)
{
    FdcState *s = &f->s;
    int diff = transfer_compare(medium, s->fifo);
    bool hit = s->data_dir == DIR_SCAN_EQUAL ? !diff
               : s->data_dir == DIR_SCAN_LOW ? diff <= 0
                                             : diff >= 0;

    if (hit)
        transfer_end(f, 0, 0, diff ? 0 : ST2_SCAN_HIT);
    else if (s->tc)
        transfer_end(f, 0, 0, ST2_SCAN_MISS);
    else
        transfer_next(f);
}

static void transfer_read_due(Fdc *f)
{
    FdcState *s = &f->s;
    uint64_t off;
    const uint8_t *sector;

    if (!transfer_offset(f, &off)) {
        transfer_end(f, ST0_ABNORMAL, ST1_NO_DATA, 0);
        return;
    }
    transfer_read_ahead(f, off);
    if (!transfer_wait(f)) return;
    sector = (uint8_t *)f->req->block.buf + (off - f->req->block.off);
    if (s->stage == STAGE_SCAN) {
        transfer_scan(f, sector);
        return;
    }
    memcpy(s->fifo, sector, FDC_SECTOR);
    if (s->data_dir == DIR_VERIFY) {
        s->data_pos += FDC_SECTOR;
        transfer_next(f);
    } else {
        transfer_move(f);
    }
}

/* Where FORMAT writes for the ID that the host has given: false where that is not on the medium. */
static bool transfer_format_sector(Fdc *f, uint64_t *off)
{
    const uint8_t *id = f->s.fifo + FORMAT_ID;
    FdcDrive *d = fdc_drive(f);
    uint8_t sect = d->sect;
    bool found;

    d->sect = id[2];
    found = id[0] == d->track && id[1] == d->head && id[3] == 2 && f->s.fifo[FORMAT_SIZE] == 2 &&
            transfer_offset(f, off);
    d->sect = sect;
    if (!found)
        guest_error(&f->dev, "a sector %u/%u/%u of size %u is not on the medium", id[0], id[1],
            id[2], id[3]);
    return found;
}

static void transfer_write_due(Fdc *f)
{
    FdcState *s = &f->s;
    uint64_t off;
    void *data;

    if (!f->req) {
        if (!fdc_drive(f) || !block_dev_writable(f->blk[fdc_unit(f)]) ||
            !(transfer_formats(s) || transfer_offset(f, &off))) {
            transfer_end(f, ST0_ABNORMAL, ST1_NO_DATA, 0);
            return;
        }
        if (transfer_formats(s) && !transfer_format_sector(f, &off)) {
            transfer_next(f);
            return;
        }
        data = g_memdup2(s->fifo, FDC_SECTOR);
        if (transfer_formats(s)) memset(data, s->fifo[FORMAT_FILLER], FDC_SECTOR);
        request_submit(f, BLOCK_WRITE, off, FDC_SECTOR, data);
    }
    if (!transfer_wait(f)) return;
    request_drop(f);
    transfer_next(f);
}

static void transfer_due(void *opaque)
{
    Fdc *f = opaque;

    if (f->s.phase != PHASE_EXECUTION || !fdc_drive(f)) return;
    switch (f->s.stage) {
    case STAGE_READ:
    case STAGE_SCAN: transfer_read_due(f); break;
    case STAGE_WRITE: transfer_write_due(f); break;
    case STAGE_MOVE:
        if (!f->s.nondma) transfer_try_move(f);
        break;
    default: break;
    }
}

/* -- between FIFO and host -- */

/* The turn is over: the FIFO has been filled or emptied, or there is nothing more (tc). */
static void transfer_moved(Fdc *f)
{
    FdcState *s = &f->s;
    unsigned done = transfer_done(s);

    if (s->data_dir == DIR_READ) {
        transfer_next(f);
        return;
    }
    if (done) memset(transfer_at(s), 0, transfer_unit(s) - done);
    if (transfer_scans(s)) {
        transfer_stage(f, STAGE_SCAN, transfer_soon(f));
        return;
    }
    request_drop(f);
    transfer_stage(f, STAGE_WRITE, transfer_soon(f));
}

static void transfer_try_move(Fdc *f)
{
    FdcState *s = &f->s;
    unsigned left = transfer_unit(s) - transfer_done(s);
    size_t moved;
    bool tc = false;

    isa_dma_request(f->dev.m, f->dma, s->dor & DOR_DMAGATE);
    if (!(s->dor & DOR_DMAGATE)) return;
    moved = isa_dma_move(f->dev.m, f->dma, transfer_at(s), left, &tc);
    s->data_pos += (uint32_t)moved;
    s->tc |= tc;
    if (moved == left || tc) {
        isa_dma_request(f->dev.m, f->dma, false);
        transfer_moved(f);
    }
}

static void transfer_dma_ready(void *opaque)
{
    Fdc *f = opaque;

    if (f->s.phase == PHASE_EXECUTION && f->s.stage == STAGE_MOVE && !f->s.nondma && fdc_drive(f))
        transfer_try_move(f);
}

bool fdc_transfer_wants_port(const Fdc *f)
{
    return f->s.phase == PHASE_EXECUTION && f->s.nondma && f->s.stage == STAGE_MOVE &&
           f->s.dor & DOR_NRESET;
}

/* How many bytes one interrupt is for. */
static unsigned transfer_burst(const FdcState *s)
{
    unsigned threshold = s->config & CONFIG_THRESHOLD;

    if (s->config & CONFIG_NO_FIFO) return 1;
    return s->data_dir == DIR_READ ? 16 - threshold : threshold + 1;
}

uint8_t fdc_transfer_port(Fdc *f, bool write, uint8_t val)
{
    FdcState *s = &f->s;
    uint8_t *at = transfer_at(s);

    if (write == fdc_transfer_to_host(s)) {
        guest_error(&f->dev, "data register used against the direction of the transfer");
        return 0;
    }
    if (write)
        *at = val;
    else
        val = *at;
    s->data_pos++;
    if (!transfer_done(s)) {
        fdc_lower(f);
        transfer_moved(f);
    } else if (transfer_done(s) % transfer_burst(s) == 0) {
        fdc_lower(f);
        fdc_raise(f);
    }
    return write ? 0 : val;
}

/* -- life -- */

void fdc_transfer_start(Fdc *f)
{
    f->s.data_pos = 0;
    f->s.tc = false;
    transfer_sector(f);
}

void fdc_transfer_cancel(Fdc *f)
{
    request_drop(f);
    timer_cancel(&f->timer);
    f->s.stage = STAGE_NONE;
    f->s.deadline = TIMER_NEVER;
    f->s.tc = false;
    if (f->dma_taken) isa_dma_request(f->dev.m, f->dma, false);
}

void fdc_transfer_resume(Fdc *f)
{
    request_drop(f);
    timer_arm(&f->timer, f->s.deadline);
    if (!f->dma_taken) return;
    isa_dma_request(f->dev.m, f->dma,
        f->s.phase == PHASE_EXECUTION && f->s.stage == STAGE_MOVE && !f->s.nondma &&
            f->s.dor & DOR_DMAGATE);
}

void fdc_transfer_media_changed(Fdc *f)
{
    if (f->req && f->req->block.op == BLOCK_READ) request_drop(f);
    if (f->s.stage == STAGE_READ || f->s.stage == STAGE_SCAN)
        timer_arm(&f->timer, clock_now(f->timer.clock));
}

bool fdc_transfer_realize(Fdc *f, Error *err)
{
    IsaDmaClient client = { transfer_dma_ready, f };

    timer_init(&f->timer, &f->dev.m->clock, transfer_due, f);
    f->dma_taken = isa_dma_attach(f->dev.m, f->dma, &client, err);
    return f->dma_taken;
}

void fdc_transfer_unrealize(Fdc *f)
{
    if (f->timer.clock) timer_cancel(&f->timer);
    request_drop(f);
    if (f->dma_taken) isa_dma_detach(f->dev.m, f->dma);
}
