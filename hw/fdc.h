/* SPDX-License-Identifier: MIT */
/*
 * The floppy controller: shared between its files, and what boards ask.
 *
 * fdc.c           registers, reset, interrupt, tables, life
 * fdc_command.c   commands and their results
 * fdc_transfer.c  the execution phase: sectors between medium, FIFO and memory
 * fdc_media.c     what a medium's size says about it
 *
 * 1. The execution phase goes from sector to sector.  What it does next is FdcState.stage; with the
 *    FIFO (one sector), data_pos and the drive's position that is all there is to it, so it goes on
 *    from state alone, here or in another emulator.
 * 2. The guest sees a sector end at the virtual instant `deadline` and no earlier; where the host
 *    is late the CPU waits under -icount, and otherwise the sector ends when the host is done.
 * 3. MSR is a function of phase, stage and direction.  The copy in the state is for the wire.
 */
#pragma once

#include "block/block.h"
#include "core/device.h"

enum { FDC_DRIVES = 2, FDC_SECTOR = 512 };

enum { SRA_INTPEND = 0x80, SRA_NDRV2 = 0x40 };
enum { SRB_ONES = 0xc0, SRB_DR0 = 0x20, SRB_MOTORS = 0x03 };
enum { DOR_UNIT = 0x03, DOR_NRESET = 0x04, DOR_DMAGATE = 0x08, DOR_MOTORS = 0xf0 };
enum { DSR_RATE = 0x03, DSR_POWERDOWN = 0x40, DSR_RESET = 0x80 };
enum { MSR_RQM = 0x80, MSR_DIO = 0x40, MSR_NONDMA = 0x20, MSR_BUSY = 0x10 };
enum {
    ST0_ABNORMAL = 0x40,
    ST0_INVALID = 0x80,
    ST0_POLLING = 0xc0, /* the ready line has changed */
    ST0_SEEK_END = 0x20,
    ST0_EQUIPMENT = 0x10,
    ST0_HEAD = 0x04
};
enum {
    ST1_END = 0x80,
    ST1_DATA_ERROR = 0x20,
    ST1_NO_DATA = 0x04,
    ST1_PROTECTED = 0x02,
    ST1_NO_MARK = 0x01
};
enum { ST2_CONTROL_MARK = 0x40, ST2_WRONG_CYLINDER = 0x10, ST2_SCAN_HIT = 8, ST2_SCAN_MISS = 4 };
enum { CONFIG_SEEK = 0x40, CONFIG_NO_FIFO = 0x20, CONFIG_NO_POLL = 0x10, CONFIG_THRESHOLD = 0x0f };
enum { PERPENDICULAR_DRIVE = 4 }; /* this drive's bit, above GAP and WGATE */

/* Numbers on the wire. */
enum FdcPhase { PHASE_NONE, PHASE_COMMAND, PHASE_EXECUTION, PHASE_RESULT };
enum FdcDir { DIR_WRITE, DIR_READ, DIR_SCAN_EQUAL, DIR_SCAN_LOW, DIR_SCAN_HIGH, DIR_VERIFY, DIRS };
enum { STATE_MULTI = 1, STATE_FORMAT = 2 }; /* data_state */

enum FdcStage {
    STAGE_NONE,
    STAGE_READ,  /* the sector comes from the medium into the FIFO */
    STAGE_MOVE,  /* bytes move between FIFO and host */
    STAGE_WRITE, /* the sector goes to the medium */
    STAGE_SCAN,  /* the sector is compared with the FIFO */
    STAGES
};

typedef struct FdcDrive { /* guest state */
    uint8_t head, track, sect;
    uint8_t media_rate; /* at which the medium is recorded, as in DSR */
    uint8_t media_changed;
    uint8_t perpendicular;
} FdcDrive;

typedef struct FdcState {
    int64_t result_timer; /* READ ID: when the next ID passes the head; TIMER_NEVER */
    int64_t deadline;     /* of the stage; TIMER_NEVER while it waits for the host */
    uint32_t data_pos, data_len;
    int32_t reset_sensei; /* SENSE INTERRUPTs that a reset left */
    uint8_t sra, srb, dor, tdr, dsr;
    uint8_t dor_vmstate, msr; /* on the wire */
    uint8_t status0, status1, status2;
    uint8_t fifo[FDC_SECTOR];
    uint8_t data_state, data_dir, eot;
    uint8_t timer0, timer1; /* step rate; head load time */
    uint8_t precomp_trk, config, lock, pwrd;
    uint8_t num_floppies;
    uint8_t phase, stage;
    uint8_t hut; /* head unload time */
    uint8_t scan_step;
    bool nondma, tc; /* SPECIFY's ND; terminal count was seen in this transfer */
    FdcDrive drives[FDC_DRIVES];
} FdcState;

/* A medium: a function of its size. */
typedef struct FdcMedium {
    uint16_t kib; /* 0: there is none */
    uint8_t heads, tracks, sectors, rate;
    uint8_t type; /* FdcType of the drive that takes it */
} FdcMedium;

/* Drive types by their number in CMOS. */
enum FdcType { FDC_NONE = 0, FDC_120 = 2, FDC_144 = 4, FDC_288 = 5 };

typedef struct FdcRequest FdcRequest; /* of the host; fdc_transfer.c */
typedef struct Fdc Fdc;

typedef struct FdcUnit {
    Fdc *f;
    unsigned unit;
    enum FdcType type;
    FdcMedium medium;
} FdcUnit;

struct Fdc {
    Device dev;
    uint16_t iobase;
    uint8_t dma;
    Irq irq;
    BlockDev *blk[FDC_DRIVES];
    char *fdtype[FDC_DRIVES], *fallback;
    int32_t bootindex[FDC_DRIVES];
    FdcUnit units[FDC_DRIVES];
    Timer timer, result_timer;
    FdcRequest *req;
    bool dma_taken;
    struct FdcState s;
};
#define FDC(d) ((Fdc *)(d))

/* The CMOS number of a drive, 0 where there is none. */
enum FdcType fdc_drive_type(Device *dev, unsigned unit);

/* -- between the files -- */

/* The medium of an image of this size in a drive of this type (FDC_NONE: in any). */
FdcMedium fdc_medium_of_size(uint64_t bytes, enum FdcType type, enum FdcType fallback);

static inline unsigned fdc_unit(const Fdc *f) { return f->s.dor & DOR_UNIT; }
/* The selected drive; NULL where there is none. */
static inline FdcDrive *fdc_drive(Fdc *f)
{
    unsigned unit = fdc_unit(f);

    return unit < FDC_DRIVES && f->blk[unit] ? &f->s.drives[unit] : NULL;
}
/* The medium in the selected drive; NULL where there is none. */
static inline const FdcMedium *fdc_medium(const Fdc *f)
{
    unsigned unit = fdc_unit(f);

    return unit < FDC_DRIVES && f->units[unit].medium.kib ? &f->units[unit].medium : NULL;
}

void fdc_update_irq(Fdc *f);
void fdc_raise(Fdc *f);
void fdc_lower(Fdc *f);

/* A byte of a command has arrived (in the FIFO, at data_pos - 1). */
void fdc_command_byte(Fdc *f);
void fdc_command_phase(Fdc *f);
/* n bytes of result stand in the FIFO. */
void fdc_result_phase(Fdc *f, unsigned n);
/* The result of a command with a position: status, C, H, R, N; and the interrupt. */
void fdc_end(Fdc *f, uint8_t st0, uint8_t st1, uint8_t st2);
/* READ ID: an ID has passed the head. */
void fdc_read_id_end(Fdc *f);

/* -- execution phase -- */

bool fdc_transfer_realize(Fdc *f, Error *err);
void fdc_transfer_unrealize(Fdc *f);
/* Position, data_dir, data_state, data_len and eot are set. */
void fdc_transfer_start(Fdc *f);
void fdc_transfer_cancel(Fdc *f);
void fdc_transfer_resume(Fdc *f); /* from state to host: after a load or a reset */
/* The medium is another one now: what was read ahead is not of it. */
void fdc_transfer_media_changed(Fdc *f);
/* The data register while the transfer goes through it. */
bool fdc_transfer_wants_port(const Fdc *f);
uint8_t fdc_transfer_port(Fdc *f, bool write, uint8_t val);
bool fdc_transfer_to_host(const FdcState *s);
