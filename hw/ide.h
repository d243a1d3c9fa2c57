/* SPDX-License-Identifier: MIT */
/*
 * The ATA core: an IDE channel with up to two drives, disks or ATAPI CD-ROMs.  Controllers embed
 * IdeBus and the state structs.
 *
 * ide.c           registers, reset, interrupt, data port, tables
 * ide_flight.c    requests under way: what the host does, when the guest sees it
 * ide_command.c   ATA commands
 * ide_identify.c  what drives say about themselves
 * ide_drive.c     drives of -device
 * atapi.c         packet commands that move data or the tray; atapi_info.c: those that tell
 *
 * 1. A command that needs the host is a *flight*: which one is IdeDrive.flight, and everything else
 *    about it stands in the task file, in io_buffer (a written sector, a packet) and in guest
 * memory.
 *    So a flight can be started over from state alone, here or in another emulator, which finds it
 *    as a request to retry (error_status).
 * 2. The guest sees a flight end at the virtual instant `deadline` and no earlier.  Host reads
 * start
 *    at once into a buffer of their own; host writes start at the deadline.  If the host is late,
 * the
 *    CPU waits under -icount; otherwise the flight ends when the host is done.
 * 3. While a flight is under way the status is busy and the guest cannot write the task file.
 */
#pragma once

#include "block/block.h"
#include "core/device.h"

enum { IDE_SECTOR = 512, IDE_BUFFER = 256 * IDE_SECTOR + 4, CD_SECTOR = 2048 };
enum { IDE_MULT_MAX = 16, IDE_UNITS = 2, IDE_BUSES = 2 };

/* Status, error, device and device control registers. */
enum { ST_BUSY = 0x80, ST_READY = 0x40, ST_SEEK = 0x10, ST_DRQ = 0x08, ST_ERR = 0x01 };
enum { ERR_UNC = 0x40, ERR_IDNF = 0x10, ERR_ABRT = 0x04, ERR_DIAG_OK = 0x01 };
enum { DEV_LBA = 0x40, DEV_UNIT = 0x10, DEV_FIXED = 0xa0 };
enum { CTL_HOB = 0x80, CTL_SRST = 0x04, CTL_NIEN = 0x02 };

/* What happens once the data port has moved cur_io_buffer_len bytes: numbers on the wire. */
enum IdeThen {
    THEN_READ,  /* the next sectors are read */
    THEN_WRITE, /* the sectors are written */
    THEN_STOP,
    THEN_ATAPI_REPLY,  /* the next part of the reply */
    THEN_ATAPI_PACKET, /* the packet is executed */
    THEN_NOTHING,
};

enum IdeFlight {
    FLIGHT_NONE,
    FLIGHT_PIO_READ,
    FLIGHT_PIO_WRITE,
    FLIGHT_DMA_READ,
    FLIGHT_DMA_WRITE,
    FLIGHT_FLUSH,
    FLIGHT_ATAPI, /* the packet is in io_buffer */
    FLIGHTS
};

/* Bits of error_status, as the wire has them. */
enum {
    RETRY_DMA = 0x08,
    RETRY_PIO = 0x10,
    RETRY_READ = 0x20,
    RETRY_ATAPI = 0x20, /* alone */
    RETRY_FLUSH = 0x40,
    RETRY_TRIM = 0x80,
    RETRY_BMDMA = RETRY_DMA | RETRY_PIO | RETRY_READ | RETRY_FLUSH, /* those in the bus master */
};

typedef struct IdeDrive { /* guest state */
    int32_t mult_sectors; /* of READ/WRITE MULTIPLE; 0: not allowed */
    int32_t identify_set;
    uint32_t nsector;       /* register, and the count of sectors that are left (65536 for a 0) */
    int32_t req_nb_sectors; /* of one block on the data port */
    int32_t cur_io_buffer_offset, cur_io_buffer_len;
    int32_t elementary_transfer_size;
    int32_t packet_transfer_size; /* bytes of the reply behind the present block */
    uint32_t cd_lba, cd_left;     /* CD sectors that a PIO read has not fetched yet */
    uint8_t feature, error, sector, lcyl, hcyl;
    uint8_t hob_feature, hob_sector, hob_nsector, hob_lcyl, hob_hcyl;
    uint8_t select, status;
    uint8_t lba48; /* the present command has 48-bit addresses */
    uint8_t sense_key, asc;
    uint8_t cdrom_changed; /* 1, 2: stages of telling the guest */
    uint8_t end_transfer_fn_idx;
    uint8_t flight;
    bool tray_open, tray_locked;
    bool new_media, eject_request; /* events that are to be told */
    uint8_t identify_data[512];
    uint8_t io_buffer[IDE_BUFFER];
} IdeDrive;

typedef struct IdeBusState {
    int64_t deadline; /* of the flight: virtual time, or TIMER_NEVER while DMA is not started */
    int64_t retry_sector_num; /* these four are filled for a save, and turned into a */
    uint32_t retry_nsector;   /* flight by a load */
    int32_t error_status;
    uint8_t retry_unit;
    uint8_t cmd; /* device control */
    uint8_t unit;
    uint8_t intrq;
} IdeBusState;

typedef struct IdeBus IdeBus;

/* A controller that masters the bus; NULL where there is none. */
typedef struct IdeDma {
    bool (*started)(IdeBus *bus);
    /* All of the guest's memory that the transfer touches is here; otherwise it has been asked for,
     * and ide_flight_kick follows. */
    bool (*present)(IdeBus *bus, size_t len);
    /* Moves up to len bytes; *longer: the guest's table describes more than that. */
    size_t (*move)(IdeBus *bus, void *buf, size_t len, bool to_memory, bool *longer);
    /* The engine stops, or stays active where the table is longer than the transfer. */
    void (*stop)(IdeBus *bus, bool stay_active);
    void (*interrupt)(IdeBus *bus); /* INTRQ has risen */
} IdeDma;

typedef struct IdeRequest IdeRequest; /* of the host; ide_flight.c */

struct IdeBus {
    Device *dev;
    IdeBusState *s;
    IdeDrive *ifs; /* two */
    const IdeDma *dma;
    unsigned number; /* of the channel */
    Irq irq;
    BlockDev *blk[IDE_UNITS];
    char *serial[IDE_UNITS];
    bool cdrom[IDE_UNITS];
    Timer timer;     /* the flight's deadline */
    IdeRequest *req; /* the host's part of the flight, or sectors read ahead for the next */
    bool line;       /* level of irq: a cache */
};

/* What the wire has of a channel and a drive. */
extern const VmState ide_bus_vmstate, ide_drive_vmstate;
bool ide_bus_check(const IdeBusState *s, const IdeDrive *ifs, Error *err); /* after a load */

/* For DeviceClass.exact of a controller whose struct S has bus[b] at B and its drives at D. */
#define IDE_EXACT(S, B, D, n)                                                                      \
    VM_INT_AS(S, B.deadline, "bus" n ".deadline"), VM_INT_AS(S, B.intrq, "bus" n ".intrq"),        \
        VM_INT_AS(S, D[0].flight, "bus" n ".flight0"),                                             \
        VM_INT_AS(S, D[1].flight, "bus" n ".flight1"),                                             \
        VM_INT_AS(S, D[0].cd_lba, "bus" n ".cd_lba0"),                                             \
        VM_INT_AS(S, D[1].cd_lba, "bus" n ".cd_lba1"),                                             \
        VM_INT_AS(S, D[0].cd_left, "bus" n ".cd_left0"),                                           \
        VM_INT_AS(S, D[1].cd_left, "bus" n ".cd_left1")

/* Properties of a channel: "drive0", "cd0", "serial0" and the same with 1, n in front where a
 * controller has several. */
#define IDE_DRIVE_PROPS(T, B, n)                                                                   \
    PROP_AS(T, B.blk[0], "drive" n "0", ""), PROP_AS(T, B.blk[1], "drive" n "1", ""),              \
        PROP_AS(T, B.cdrom[0], "cd" n "0", "off"), PROP_AS(T, B.cdrom[1], "cd" n "1", "off"),      \
        PROP_AS(T, B.serial[0], "serial" n "0", ""), PROP_AS(T, B.serial[1], "serial" n "1", "")

/* -- life: for controllers -- */

/* dev, s, ifs, dma, number, irq, blk, serial and cdrom are set by the controller, in whose struct
 * the IdeBus is. */
bool ide_bus_realize(IdeBus *bus, uint32_t port, uint32_t control_port, Error *err);
void ide_bus_unrealize(IdeBus *bus);
void ide_bus_power_on(IdeBus *bus);
void ide_bus_reset(IdeBus *bus);
void ide_bus_sync(IdeBus *bus);

/* The machine's channel of this number, or NULL. */
IdeBus *ide_bus_find(Machine *m, unsigned number);
/* Attaches a drive to a free place of a realized channel, before the machine is first reset. */
bool ide_bus_plug(
    IdeBus *bus, unsigned unit, BlockDev *blk, bool cdrom, const char *serial, Error *err);

static inline IdeDrive *ide_active(IdeBus *bus) { return &bus->ifs[bus->s->unit]; }
static inline BlockDev *ide_blk(IdeBus *bus) { return bus->blk[bus->s->unit]; }

/* -- between the files -- */

void ide_set_intrq(IdeBus *bus, bool level);
/* The command has ended well, or with an error (status ERR and these error bits). */
void ide_done(IdeBus *bus);
void ide_fail(IdeBus *bus, uint8_t error);
void ide_set_signature(IdeBus *bus, unsigned unit);
/* The data port moves len bytes at io_buffer + off, then goes on as then says. */
void ide_transfer(IdeDrive *d, uint32_t off, uint32_t len, enum IdeThen then);

/* The tray of a CD-ROM drive has been opened or closed, by whomever. */
void ide_tray_moved(IdeBus *bus, unsigned unit);

uint64_t ide_sectors(IdeBus *bus);
/* The address in the task file; UINT64_MAX where it is none. */
uint64_t ide_get_sector(const IdeDrive *d);
void ide_set_sector(IdeDrive *d, uint64_t sector);

void ide_command(IdeBus *bus, uint8_t cmd);
void ide_identify_fill(IdeBus *bus, unsigned unit);
uint16_t ide_identify_word(const IdeDrive *d, unsigned n);
void ide_identify_set_word(IdeDrive *d, unsigned n, uint16_t val);

/* -- flights -- */

void ide_flight_init(IdeBus *bus);
/* first: the command's first one, which takes a drive longer than the next block of it. */
void ide_flight_start(IdeBus *bus, enum IdeFlight flight, uint64_t bytes, bool first);
void ide_flight_cancel(IdeBus *bus);
/* The bus master was started or stopped, or its memory has arrived. */
void ide_flight_kick(IdeBus *bus);
/* From state to host: after a load or a reset. */
void ide_flight_resume(IdeBus *bus);
/* Fills what the wire has of flights; reads it where the stream had no better knowledge. */
void ide_flight_to_wire(IdeBusState *s, const IdeDrive *ifs);
void ide_flight_from_wire(IdeBusState *s, IdeDrive *ifs);
void ide_read_next(IdeBus *bus, bool first);

/* -- ATAPI -- */

void atapi_packet(IdeBus *bus);    /* the packet is in io_buffer */
void atapi_reply_end(IdeBus *bus); /* the guest has taken a block of the reply */
/* The flight's host read: false where the packet is none of a read.  Bytes on the medium. */
bool atapi_read_range(IdeBus *bus, uint64_t *off, uint64_t *len);
/* The deadline of a packet: data is what the host has read, or NULL. */
void atapi_flight_end(IdeBus *bus, const uint8_t *data, int ret);
void atapi_error(IdeBus *bus, uint8_t sense_key, uint8_t asc);
void atapi_ok(IdeBus *bus);
bool atapi_ready(IdeBus *bus); /* has a medium and the tray is closed */

enum { SENSE_NOT_READY = 2, SENSE_MEDIUM = 3, SENSE_ILLEGAL = 5, SENSE_ATTENTION = 6 };
enum {
    ASC_OPCODE = 0x20,
    ASC_RANGE = 0x21,
    ASC_FIELD = 0x24,
    ASC_CHANGED = 0x28,
    ASC_SAVING = 0x39,
    ASC_NO_MEDIUM = 0x3a,
    ASC_LOCKED = 0x53,
    ASC_UNREADABLE = 0x11,
};
/* Commands that only tell: builds the reply in buf (of IDE_BUFFER bytes).  Its length, 0 after an
 * error was reported, -1 where the operation is no such command. */
int atapi_info(IdeBus *bus, const uint8_t *packet, uint8_t *buf);
bool atapi_info_known(uint8_t op);
