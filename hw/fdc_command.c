/* SPDX-License-Identifier: MIT */
/*
 * The floppy controller's commands.  See fdc.h; source: 82077AA data sheet, chapter 5.
 *
 * A command is collected in the FIFO; once it has all of its bytes it runs, and ends in the command
 * phase, in a result, or in an execution phase (fdc_transfer.c), which calls fdc_end.
 */
#include <string.h>

#include "hw/fdc.h"

/* Bits of the first byte. */
enum { OP_MT = 0x80, OP_MFM = 0x40, OP_SK = 0x20 };
/* Places in the commands that name a sector. */
enum { AT_UNIT = 1, AT_CYLINDER, AT_HEAD, AT_SECTOR, AT_SIZE, AT_EOT, AT_GAP, AT_DTL };
enum { UNIT_EC = 0x80, UNIT_HEAD = 0x04, SIZE_512 = 2 };
enum { VERSION_82077 = 0x90, PART_ID = 0x41, STEPS_MAX = 79, ID_NS = 20000000 };
enum { SPEC_DONE = 0x80, SPEC_NO_RESULT = 0x40, SPEC_DRIVE_SHIFT = 5 };

/* -- phases -- */

void fdc_command_phase(Fdc *f)
{
    f->s.phase = PHASE_COMMAND;
    f->s.data_pos = 0;
    f->s.data_len = 1;
    f->s.data_dir = DIR_WRITE;
}

void fdc_result_phase(Fdc *f, unsigned n)
{
    f->s.phase = PHASE_RESULT;
    f->s.data_pos = 0;
    f->s.data_len = n;
    f->s.data_dir = DIR_READ;
}

static void fdc_result(Fdc *f, uint8_t byte)
{
    f->s.fifo[0] = byte;
    fdc_result_phase(f, 1);
}

void fdc_end(Fdc *f, uint8_t st0, uint8_t st1, uint8_t st2)
{
    FdcState *s = &f->s;
    static const FdcDrive nowhere;
    const FdcDrive *d = fdc_drive(f) ? fdc_drive(f) : &nowhere;

    fdc_transfer_cancel(f);
    s->status0 = (uint8_t)(st0 | (d->head ? ST0_HEAD : 0) | fdc_unit(f));
    s->status1 = st1;
    s->status2 = st2;
    memcpy(s->fifo, (uint8_t[]){ s->status0, st1, st2, d->track, d->head, d->sect, SIZE_512 }, 7);
    fdc_result_phase(f, 7);
    fdc_raise(f);
}

/* -- data transfers -- */

static void fdc_select(Fdc *f)
{
    f->s.dor = (uint8_t)((f->s.dor & ~DOR_UNIT) | (f->s.fifo[AT_UNIT] & DOR_UNIT));
}

/* The head's place after a seek by the drive's own steps: none beyond the last cylinder. */
static void fdc_step_to(Fdc *f, FdcDrive *d, unsigned track)
{
    const FdcMedium *medium = fdc_medium(f);
    unsigned last = medium ? medium->tracks - 1u : STEPS_MAX + 3;

    d->track = (uint8_t)MIN_OF(track, last);
    if (medium) d->media_changed = 0;
}

/* What the head finds where a command wants it: 0, or bits of ST1 and of ST2 above them. */
static unsigned fdc_find_sector(Fdc *f, FdcDrive *d)
{
    const uint8_t *c = f->s.fifo;
    const FdcMedium *medium = fdc_medium(f);

    if (f->s.config & CONFIG_SEEK) fdc_step_to(f, d, c[AT_CYLINDER]);
    d->head = !!(c[AT_UNIT] & UNIT_HEAD);
    d->sect = MAX_OF(c[AT_SECTOR], 1);
    if (!medium || (f->s.dsr & DSR_RATE) != d->media_rate || !(c[0] & OP_MFM) ||
        d->head >= medium->heads)
        return ST1_NO_MARK;
    if (c[AT_CYLINDER] != d->track) return ST1_NO_DATA | ST2_WRONG_CYLINDER << 8;
    if (c[AT_HEAD] != d->head || c[AT_SIZE] != SIZE_512 || !c[AT_SECTOR] ||
        c[AT_SECTOR] > medium->sectors)
        return ST1_NO_DATA;
    return 0;
}

/* Bytes that the host would count; the transfer itself goes by EOT and terminal count. */
static uint32_t fdc_transfer_len(const uint8_t *c)
{
    unsigned sectors = c[AT_EOT] >= c[AT_SECTOR] ? c[AT_EOT] - c[AT_SECTOR] + 1u : 1;

    return (sectors + (c[0] & OP_MT && !(c[AT_UNIT] & UNIT_HEAD) ? c[AT_EOT] : 0)) * FDC_SECTOR;
}

static void fdc_start(Fdc *f, enum FdcDir dir)
{
    FdcState *s = &f->s;
    FdcDrive *d;
    unsigned trouble;

    fdc_select(f);
    s->phase = PHASE_EXECUTION;
    s->status2 = 0;
    d = fdc_drive(f);
    trouble = d ? fdc_find_sector(f, d) : ST1_NO_MARK;
    if (!trouble && dir == DIR_WRITE && !block_dev_writable(f->blk[fdc_unit(f)]))
        trouble = ST1_PROTECTED;
    if (trouble) {
        fdc_end(f, ST0_ABNORMAL, (uint8_t)trouble, (uint8_t)(trouble >> 8));
        return;
    }
    s->data_dir = (uint8_t)dir;
    s->data_state = s->fifo[0] & OP_MT ? STATE_MULTI : 0;
    s->data_len = fdc_transfer_len(s->fifo);
    s->eot = s->fifo[AT_EOT];
    s->scan_step = s->fifo[AT_DTL];
    fdc_transfer_start(f);
}

static void fdc_do_read(Fdc *f) { fdc_start(f, DIR_READ); }
static void fdc_do_write(Fdc *f) { fdc_start(f, DIR_WRITE); }
static void fdc_do_scan_equal(Fdc *f) { fdc_start(f, DIR_SCAN_EQUAL); }
static void fdc_do_scan_low(Fdc *f) { fdc_start(f, DIR_SCAN_LOW); }
static void fdc_do_scan_high(Fdc *f) { fdc_start(f, DIR_SCAN_HIGH); }

/* EC: the last byte counts sectors. */
static void fdc_do_verify(Fdc *f)
{
    uint32_t count = f->s.fifo[AT_UNIT] & UNIT_EC ? f->s.fifo[AT_DTL] : 0;

    fdc_start(f, DIR_VERIFY);
    if (f->s.phase == PHASE_EXECUTION && count) f->s.data_len = count * FDC_SECTOR;
}

/* From the index hole on, whatever the sector's number. */
static void fdc_do_read_track(Fdc *f)
{
    f->s.fifo[AT_SECTOR] = 1;
    fdc_start(f, DIR_READ);
}

/* No sector of an image is a deleted one: with SK all are skipped, and without it the first one is
 * read and ends the command.  That one's end is what its mark says, so it reads no further. */
static void fdc_do_read_deleted(Fdc *f)
{
    FdcDrive *d;
    bool skip = f->s.fifo[0] & OP_SK;

    if (!skip) f->s.fifo[AT_EOT] = f->s.fifo[AT_SECTOR];
    f->s.fifo[0] &= (uint8_t)~OP_MT;
    fdc_start(f, DIR_READ);
    if (f->s.phase != PHASE_EXECUTION) return;
    if (!skip) {
        f->s.status2 = ST2_CONTROL_MARK;
        return;
    }
    d = fdc_drive(f);
    d->track++;
    d->sect = 1;
    fdc_end(f, 0, 0, ST2_CONTROL_MARK);
    d->track--;
}

/* N, SC, gap and filler stay in the FIFO; the host's C, H, R, N of each sector go behind them. */
static void fdc_do_format(Fdc *f)
{
    FdcState *s = &f->s;
    const FdcMedium *medium;
    FdcDrive *d;

    fdc_select(f);
    s->phase = PHASE_EXECUTION;
    d = fdc_drive(f);
    medium = fdc_medium(f);
    if (d) d->head = !!(s->fifo[AT_UNIT] & UNIT_HEAD);
    if (!medium || d->head >= medium->heads || (s->dsr & DSR_RATE) != d->media_rate) {
        fdc_end(f, ST0_ABNORMAL, ST1_NO_MARK, 0);
        return;
    }
    if (!block_dev_writable(f->blk[fdc_unit(f)])) {
        fdc_end(f, ST0_ABNORMAL, ST1_PROTECTED, 0);
        return;
    }
    d->sect = 1;
    s->data_dir = DIR_WRITE;
    s->data_state = STATE_FORMAT;
    s->data_len = s->fifo[3] * 4u;
    s->eot = s->fifo[3];
    fdc_transfer_start(f);
}

/* The IDs pass one after the other. */
static void fdc_do_read_id(Fdc *f)
{
    FdcState *s = &f->s;

    fdc_select(f);
    s->phase = PHASE_EXECUTION;
    if (fdc_drive(f)) fdc_drive(f)->head = !!(s->fifo[AT_UNIT] & UNIT_HEAD);
    s->data_state = 0;
    s->result_timer = clock_now(f->result_timer.clock) + ID_NS;
    timer_arm(&f->result_timer, s->result_timer);
}

void fdc_read_id_end(Fdc *f)
{
    const FdcMedium *medium = fdc_medium(f);
    FdcDrive *d = fdc_drive(f);

    if (!medium || !d || (f->s.dsr & DSR_RATE) != d->media_rate || d->head >= medium->heads) {
        fdc_end(f, ST0_ABNORMAL, ST1_NO_MARK, 0);
        return;
    }
    d->sect = (uint8_t)(d->sect % medium->sectors + 1);
    fdc_end(f, 0, 0, 0);
}

/* -- heads -- */

static void fdc_seek_end(Fdc *f, uint8_t st0)
{
    fdc_command_phase(f);
    f->s.status0 = (uint8_t)(st0 | fdc_unit(f));
    fdc_raise(f);
}

static void fdc_do_recalibrate(Fdc *f)
{
    FdcDrive *d;

    fdc_select(f);
    d = fdc_drive(f);
    if (!d) { /* track 0 is never reported */
        fdc_seek_end(f, ST0_ABNORMAL | ST0_SEEK_END | ST0_EQUIPMENT);
        return;
    }
    fdc_step_to(f, d, d->track > STEPS_MAX ? d->track - STEPS_MAX : 0);
    fdc_seek_end(f, d->track ? ST0_ABNORMAL | ST0_SEEK_END | ST0_EQUIPMENT : ST0_SEEK_END);
}

static void fdc_do_seek(Fdc *f)
{
    fdc_select(f);
    if (fdc_drive(f)) {
        fdc_drive(f)->head = !!(f->s.fifo[AT_UNIT] & UNIT_HEAD);
        fdc_step_to(f, fdc_drive(f), f->s.fifo[2]);
    }
    fdc_seek_end(f, ST0_SEEK_END);
}

/* Bit 6 of the first byte: inwards, to higher numbers. */
static void fdc_do_relative_seek(Fdc *f)
{
    FdcDrive *d;
    unsigned steps = f->s.fifo[2];

    fdc_select(f);
    d = fdc_drive(f);
    if (d && f->s.fifo[0] & 0x40)
        fdc_step_to(f, d, d->track + steps);
    else if (d)
        fdc_step_to(f, d, steps < d->track ? d->track - steps : 0);
    fdc_seek_end(f, ST0_SEEK_END);
}

static void fdc_do_sense_interrupt(Fdc *f)
{
    FdcState *s = &f->s;
    unsigned unit;

    if (s->reset_sensei > 0) {
        unit = 4u - (unsigned)MIN_OF(s->reset_sensei, 4);
        s->reset_sensei--;
        s->fifo[0] = (uint8_t)(ST0_POLLING | unit);
    } else if (s->sra & SRA_INTPEND) {
        unit = s->status0 & DOR_UNIT;
        s->fifo[0] = s->status0;
    } else {
        fdc_result(f, ST0_INVALID);
        return;
    }
    s->fifo[1] = unit < FDC_DRIVES ? s->drives[unit].track : 0;
    fdc_lower(f);
    fdc_result_phase(f, 2);
}

static void fdc_do_sense_drive(Fdc *f)
{
    enum { ST3_PROTECTED = 0x40, ST3_ONES = 0x28, ST3_TRACK0 = 0x10 };
    unsigned st3 = ST3_ONES | (f->s.fifo[AT_UNIT] & (UNIT_HEAD | DOR_UNIT));
    FdcDrive *d;

    fdc_select(f);
    d = fdc_drive(f);
    if (d) d->head = !!(f->s.fifo[AT_UNIT] & UNIT_HEAD);
    if (d && !d->track) st3 |= ST3_TRACK0;
    if (d && !block_dev_writable(f->blk[fdc_unit(f)])) st3 |= ST3_PROTECTED;
    fdc_result(f, (uint8_t)st3);
}

/* -- settings -- */

static void fdc_do_specify(Fdc *f)
{
    f->s.timer0 = f->s.fifo[1] >> 4;
    f->s.hut = f->s.fifo[1] & 0x0f;
    f->s.timer1 = f->s.fifo[2] >> 1;
    f->s.nondma = f->s.fifo[2] & 1;
    fdc_command_phase(f);
}

static void fdc_do_configure(Fdc *f)
{
    f->s.config = f->s.fifo[2] & 0x7f;
    f->s.precomp_trk = f->s.fifo[3];
    fdc_command_phase(f);
}

/* OW: the bits of the drives are meant too. */
static void fdc_do_perpendicular(Fdc *f)
{
    uint8_t val = f->s.fifo[1];

    for (unsigned i = 0; i < FDC_DRIVES; i++) {
        uint8_t *p = &f->s.drives[i].perpendicular;

        if (val & 0x80) *p = val & 4 << i ? PERPENDICULAR_DRIVE : 0;
        *p = (uint8_t)((*p & PERPENDICULAR_DRIVE) | (val & 3));
    }
    fdc_command_phase(f);
}

static void fdc_do_lock(Fdc *f)
{
    f->s.lock = f->s.fifo[0] >> 7;
    fdc_result(f, (uint8_t)(f->s.lock << 4));
}

static void fdc_do_dump(Fdc *f)
{
    FdcState *s = &f->s;
    unsigned perpendicular = s->drives[0].perpendicular & 3;

    for (unsigned i = 0; i < FDC_DRIVES; i++)
        if (s->drives[i].perpendicular & PERPENDICULAR_DRIVE) perpendicular |= 4u << i;
    memcpy(s->fifo,
        (uint8_t[]){ s->drives[0].track, s->drives[1].track, 0, 0,
            (uint8_t)(s->timer0 << 4 | s->hut), (uint8_t)(s->timer1 << 1 | s->nondma), s->eot,
            (uint8_t)(s->lock << 7 | perpendicular), s->config, s->precomp_trk },
        10);
    fdc_result_phase(f, 10);
}

static void fdc_do_version(Fdc *f) { fdc_result(f, VERSION_82077); }
static void fdc_do_part_id(Fdc *f) { fdc_result(f, PART_ID); }

/* A byte per drive until one that says "done".  Nothing here goes by what they say. */
static void fdc_do_drive_specification(Fdc *f)
{
    FdcState *s = &f->s;
    uint8_t last = s->fifo[s->data_pos - 1], specs[4] = { 0 };

    if (!(last & SPEC_DONE)) {
        if (s->data_pos < 8) return;
        fdc_result(f, ST0_INVALID);
        return;
    }
    for (unsigned i = 1; i < s->data_pos - 1; i++)
        specs[s->fifo[i] >> SPEC_DRIVE_SHIFT & 3] = s->fifo[i] & 0x1f;
    if (last & SPEC_NO_RESULT) {
        fdc_command_phase(f);
        return;
    }
    memcpy(s->fifo, specs, sizeof(specs));
    fdc_result_phase(f, sizeof(specs));
}

/* -- the table -- */

typedef struct FdcCommand {
    uint8_t op, mask, bytes;
    void (*run)(Fdc *f);
} FdcCommand;

static const FdcCommand fdc_commands[] = {
    { 0x06, 0x1f, 9, fdc_do_read },
    { 0x05, 0x3f, 9, fdc_do_write },
    { 0x0c, 0x1f, 9, fdc_do_read_deleted },
    { 0x09, 0x3f, 9, fdc_do_write }, /* deleted data */
    { 0x02, 0x9f, 9, fdc_do_read_track },
    { 0x16, 0x1f, 9, fdc_do_verify },
    { 0x11, 0x1f, 9, fdc_do_scan_equal },
    { 0x19, 0x1f, 9, fdc_do_scan_low },
    { 0x1d, 0x1f, 9, fdc_do_scan_high },
    { 0x0d, 0xbf, 6, fdc_do_format },
    { 0x07, 0xff, 2, fdc_do_recalibrate },
    { 0x08, 0xff, 1, fdc_do_sense_interrupt },
    { 0x03, 0xff, 3, fdc_do_specify },
    { 0x04, 0xff, 2, fdc_do_sense_drive },
    { 0x0f, 0xff, 3, fdc_do_seek },
    { 0x8f, 0xbf, 3, fdc_do_relative_seek },
    { 0x13, 0xff, 4, fdc_do_configure },
    { 0x0e, 0xff, 1, fdc_do_dump },
    { 0x0a, 0xbf, 2, fdc_do_read_id },
    { 0x12, 0xff, 2, fdc_do_perpendicular },
    { 0x14, 0x7f, 1, fdc_do_lock },
    { 0x10, 0xff, 1, fdc_do_version },
    { 0x18, 0xff, 1, fdc_do_part_id },
    { 0x8e, 0xff, 2, fdc_do_drive_specification },
};

static const FdcCommand *fdc_command_find(uint8_t op)
{
    for (size_t i = 0; i < ARRAY_SIZE(fdc_commands); i++)
        if ((op & fdc_commands[i].mask) == fdc_commands[i].op) return &fdc_commands[i];
    return NULL;
}

void fdc_command_byte(Fdc *f)
{
    const FdcCommand *c = fdc_command_find(f->s.fifo[0]);

    if (!c) {
        guest_error(&f->dev, "unknown command %02x", f->s.fifo[0]);
        fdc_result(f, ST0_INVALID);
        return;
    }
    f->s.data_len = c->bytes;
    if (f->s.data_pos >= c->bytes) c->run(f);
}
