/* SPDX-License-Identifier: MIT */
/*
 * An IDE channel: registers, drive selection, resets, interrupt, data port.
 * Source: ATA/ATAPI-6 (T13/1410D), chapters 7 (registers) and 9 (protocols).  Not modelled: overlap
 * and queueing, ATA security, host protected area, ultra DMA timing.  See ide.h for the invariants.
 */
#include "hw/ide.h"

#include <assert.h>

#include "core/machine.h"
#include "core/qmp.h"
#include "hw/drive_error.h"

/* Registers of the command block; behind them, the control block's one. */
enum { REG_DATA, REG_ERROR, REG_COUNT, REG_SECTOR, REG_LCYL, REG_HCYL, REG_DEVICE, REG_STATUS };
enum { REG_CONTROL = 8 };
enum { FEATURE = REG_ERROR, COMMAND = REG_STATUS };

/* -- tables -- */

static bool pio_needed(const void *state)
{
    const IdeDrive *d = state;

    return d->status & ST_DRQ || d->flight == FLIGHT_PIO_READ || d->flight == FLIGHT_PIO_WRITE ||
           d->flight == FLIGHT_ATAPI;
}

static bool pio_post_load(void *state, int version, Error *err)
{
    IdeDrive *d = state;

    (void)version;
    if (d->cur_io_buffer_offset < 0 || d->cur_io_buffer_len < 0 || d->packet_transfer_size < 0 ||
        d->cur_io_buffer_offset > IDE_BUFFER ||
        d->cur_io_buffer_len > IDE_BUFFER - d->cur_io_buffer_offset)
        return error_set(err, "the data port is outside its buffer");
    if (d->end_transfer_fn_idx > THEN_NOTHING) return error_set(err, "unknown end of a transfer");
    return true;
}

static const VmField pio_fields[] = {
    VM_INT(IdeDrive, req_nb_sectors),
    VM_FIELD(IdeDrive, io_buffer, "io_buffer", &vm_u8, IDE_BUFFER, 1),
    VM_INT(IdeDrive, cur_io_buffer_offset),
    VM_INT(IdeDrive, cur_io_buffer_len),
    VM_INT(IdeDrive, end_transfer_fn_idx),
    VM_INT(IdeDrive, elementary_transfer_size),
    VM_INT(IdeDrive, packet_transfer_size),
    VM_END,
};
static const VmState pio_vmstate = {
    .name = "ide_drive/pio_state",
    .version = 1,
    .min_version = 1,
    .needed = pio_needed,
    .fields = pio_fields,
    .post_load = pio_post_load,
};

static bool tray_needed(const void *state)
{
    const IdeDrive *d = state;

    return d->tray_open || d->tray_locked;
}

static const VmField tray_fields[] = {
    VM_INT(IdeDrive, tray_open),
    VM_INT(IdeDrive, tray_locked),
    VM_END,
};
static const VmState tray_vmstate = {
    .name = "ide_drive/tray_state",
    .version = 1,
    .min_version = 1,
    .needed = tray_needed,
    .fields = tray_fields,
};

static bool gesn_needed(const void *state)
{
    const IdeDrive *d = state;

    return d->new_media || d->eject_request;
}

static const VmField gesn_fields[] = {
    VM_INT_AS(IdeDrive, new_media, "events.new_media"),
    VM_INT_AS(IdeDrive, eject_request, "events.eject_request"),
    VM_END,
};
static const VmState gesn_vmstate = {
    .name = "ide_drive/atapi/gesn_state",
    .version = 1,
    .min_version = 1,
    .needed = gesn_needed,
    .fields = gesn_fields,
};

static bool identify_is_set(const void *state, int version)
{
    (void)version;
    return ((const IdeDrive *)state)->identify_set != 0;
}

static bool drive_post_load(void *state, int version, Error *err)
{
    const IdeDrive *d = state;

    (void)version;
    if (d->nsector > 65536) return error_set(err, "%u sectors are too many", d->nsector);
    if (d->mult_sectors < 0 || d->mult_sectors > 128)
        return error_set(err, "%d sectors in a block are too many", d->mult_sectors);
    return true;
}

static const VmField drive_fields[] = {
    VM_INT(IdeDrive, mult_sectors),
    VM_INT(IdeDrive, identify_set),
    VM_BUFFER_TEST(IdeDrive, identify_data, "identify_data", identify_is_set),
    VM_INT(IdeDrive, feature),
    VM_INT(IdeDrive, error),
    VM_INT(IdeDrive, nsector),
    VM_INT(IdeDrive, sector),
    VM_INT(IdeDrive, lcyl),
    VM_INT(IdeDrive, hcyl),
    VM_INT(IdeDrive, hob_feature),
    VM_INT(IdeDrive, hob_sector),
    VM_INT(IdeDrive, hob_nsector),
    VM_INT(IdeDrive, hob_lcyl),
    VM_INT(IdeDrive, hob_hcyl),
    VM_INT(IdeDrive, select),
    VM_INT(IdeDrive, status),
    VM_INT(IdeDrive, lba48),
    VM_INT(IdeDrive, sense_key),
    VM_INT(IdeDrive, asc),
    VM_INT_V(IdeDrive, cdrom_changed, "cdrom_changed", 3),
    VM_END,
};
const VmState ide_drive_vmstate = {
    .name = "ide_drive",
    .version = 3,
    .min_version = 0,
    .fields = drive_fields,
    .subsections = VMSTATES(&pio_vmstate, &tray_vmstate, &gesn_vmstate),
    .post_load = drive_post_load,
};

static bool error_needed(const void *state)
{
    return ((const IdeBusState *)state)->error_status != 0;
}

static const VmField error_fields[] = {
    VM_INT(IdeBusState, error_status),
    VM_INT_V(IdeBusState, retry_sector_num, "retry_sector_num", 2),
    VM_INT_V(IdeBusState, retry_nsector, "retry_nsector", 2),
    VM_INT_V(IdeBusState, retry_unit, "retry_unit", 2),
    VM_END,
};
static const VmState error_vmstate = {
    .name = "ide_bus/error",
    .version = 2,
    .min_version = 1,
    .needed = error_needed,
    .fields = error_fields,
};

static const VmField bus_fields[] = {
    VM_INT(IdeBusState, cmd),
    VM_INT(IdeBusState, unit),
    VM_END,
};
const VmState ide_bus_vmstate = {
    .name = "ide_bus",
    .version = 1,
    .min_version = 1,
    .fields = bus_fields,
    .subsections = VMSTATES(&error_vmstate),
};

bool ide_bus_check(const IdeBusState *s, const IdeDrive *ifs, Error *err)
{
    if (s->unit >= IDE_UNITS) return error_set(err, "an IDE channel has no drive %u", s->unit);
    for (int i = 0; i < IDE_UNITS; i++)
        if (ifs[i].flight >= FLIGHTS) return error_set(err, "unknown IDE request");
    return true;
}

/* -- interrupt and ends of commands -- */

static void ide_update_irq(IdeBus *bus)
{
    bool level = bus->s->intrq && !(bus->s->cmd & CTL_NIEN);

    if (level == bus->line) return;
    bus->line = level;
    if (level && bus->dma) bus->dma->interrupt(bus);
    irq_set(&bus->irq, level);
}

void ide_set_intrq(IdeBus *bus, bool level)
{
    bus->s->intrq = level;
    ide_update_irq(bus);
}

void ide_done(IdeBus *bus)
{
    IdeDrive *d = ide_active(bus);

    d->status = ST_READY | ST_SEEK;
    d->error = 0;
    ide_set_intrq(bus, true);
}

void ide_fail(IdeBus *bus, uint8_t error)
{
    IdeDrive *d = ide_active(bus);

    d->status = ST_READY | ST_SEEK | ST_ERR;
    d->error = error;
    ide_set_intrq(bus, true);
}

void ide_transfer(IdeDrive *d, uint32_t off, uint32_t len, enum IdeThen then)
{
    assert(off <= IDE_BUFFER && len <= IDE_BUFFER - off);
    d->cur_io_buffer_offset = (int32_t)off;
    d->cur_io_buffer_len = (int32_t)len;
    d->end_transfer_fn_idx = (uint8_t)then;
    d->status = (uint8_t)((d->status & ~(ST_BUSY | ST_ERR)) | ST_READY | ST_DRQ);
}

/* -- addresses -- */

uint64_t ide_sectors(IdeBus *bus) { return block_dev_size(ide_blk(bus)) / IDE_SECTOR; }

uint64_t ide_get_sector(const IdeDrive *d)
{
    unsigned heads = ide_identify_word(d, 55), spt = ide_identify_word(d, 56);
    uint32_t low = (uint32_t)d->hcyl << 16 | (uint32_t)d->lcyl << 8 | d->sector;

    if (d->select & DEV_LBA) {
        if (!d->lba48) return (uint64_t)(d->select & 15) << 24 | low;
        return (uint64_t)d->hob_hcyl << 40 | (uint64_t)d->hob_lcyl << 32 |
               (uint64_t)d->hob_sector << 24 | low;
    }
    if (!d->sector || d->sector > spt || (d->select & 15u) >= heads) return UINT64_MAX;
    return ((uint64_t)(low >> 8) * heads + (d->select & 15)) * spt + d->sector - 1;
}

void ide_set_sector(IdeDrive *d, uint64_t sector)
{
    unsigned heads = ide_identify_word(d, 55), spt = ide_identify_word(d, 56);
    uint64_t cylinder;

    if (d->select & DEV_LBA) {
        d->sector = (uint8_t)sector;
        d->lcyl = (uint8_t)(sector >> 8);
        d->hcyl = (uint8_t)(sector >> 16);
        if (d->lba48) {
            d->hob_sector = (uint8_t)(sector >> 24);
            d->hob_lcyl = (uint8_t)(sector >> 32);
            d->hob_hcyl = (uint8_t)(sector >> 40);
        } else {
            d->select = (uint8_t)((d->select & 0xf0) | (sector >> 24 & 15));
        }
        return;
    }
    if (!heads || !spt) return;
    cylinder = sector / (heads * spt);
    d->lcyl = (uint8_t)cylinder;
    d->hcyl = (uint8_t)(cylinder >> 8);
    d->select = (uint8_t)((d->select & 0xf0) | (sector / spt % heads & 15));
    d->sector = (uint8_t)(sector % spt + 1);
}

/* -- resets -- */

void ide_set_signature(IdeBus *bus, unsigned unit)
{
    IdeDrive *d = &bus->ifs[unit];

    d->select &= 0xf0;
    d->nsector = 1;
    d->sector = 1;
    d->lcyl = bus->cdrom[unit] ? 0x14 : bus->blk[unit] ? 0 : 0xff;
    d->hcyl = bus->cdrom[unit] ? 0xeb : bus->blk[unit] ? 0 : 0xff;
}

static void ide_drive_reset(IdeBus *bus, unsigned unit)
{
    IdeDrive *d = &bus->ifs[unit];

    d->mult_sectors = IDE_MULT_MAX;
    d->feature = 0;
    d->error = ERR_DIAG_OK;
    d->hob_feature = d->hob_sector = d->hob_nsector = d->hob_lcyl = d->hob_hcyl = 0;
    d->select = DEV_FIXED;
    d->status = ST_READY | ST_SEEK;
    d->lba48 = 0;
    d->sense_key = d->asc = 0;
    d->cdrom_changed = 0;
    d->tray_locked = false;
    d->new_media = d->eject_request = false;
    d->flight = FLIGHT_NONE;
    d->req_nb_sectors = d->cur_io_buffer_offset = d->cur_io_buffer_len = 0;
    d->elementary_transfer_size = d->packet_transfer_size = 0;
    d->cd_lba = d->cd_left = 0;
    d->end_transfer_fn_idx = THEN_STOP;
    ide_set_signature(bus, unit);
}

void ide_bus_power_on(IdeBus *bus)
{
    for (unsigned unit = 0; unit < IDE_UNITS; unit++)
        if (bus->blk[unit]) ide_identify_fill(bus, unit);
}

void ide_bus_reset(IdeBus *bus)
{
    for (unsigned unit = 0; unit < IDE_UNITS; unit++) ide_drive_reset(bus, unit);
    *bus->s = (IdeBusState){ .deadline = TIMER_NEVER };
}

void ide_bus_sync(IdeBus *bus)
{
    bus->line = bus->s->intrq && !(bus->s->cmd & CTL_NIEN);
    irq_set(&bus->irq, bus->line);
    ide_flight_resume(bus);
}

static void ide_soft_reset_begin(IdeBus *bus)
{
    ide_flight_cancel(bus);
    for (unsigned unit = 0; unit < IDE_UNITS; unit++) {
        bus->ifs[unit].status = ST_BUSY | ST_SEEK;
        bus->ifs[unit].error = ERR_DIAG_OK;
    }
    ide_set_intrq(bus, false);
}

static void ide_soft_reset_end(IdeBus *bus)
{
    bus->s->unit = 0;
    for (unsigned unit = 0; unit < IDE_UNITS; unit++) {
        bus->ifs[unit].select = DEV_FIXED;
        bus->ifs[unit].status = bus->cdrom[unit] ? 0 : ST_READY | ST_SEEK;
        ide_set_signature(bus, unit);
    }
}

static void ide_control_write(IdeBus *bus, uint8_t val)
{
    uint8_t was = bus->s->cmd;

    bus->s->cmd = val;
    if (val & ~was & CTL_SRST)
        ide_soft_reset_begin(bus);
    else if (was & ~val & CTL_SRST)
        ide_soft_reset_end(bus);
    ide_update_irq(bus);
}

/* -- the data port -- */

static void ide_transfer_end(IdeBus *bus)
{
    IdeDrive *d = ide_active(bus);

    d->status &= (uint8_t)~ST_DRQ;
    d->cur_io_buffer_len = 0;
    switch (d->end_transfer_fn_idx) {
    case THEN_READ: ide_read_next(bus, false); break;
    case THEN_WRITE:
        ide_flight_start(bus, FLIGHT_PIO_WRITE, (uint64_t)d->cur_io_buffer_offset, false);
        break;
    case THEN_ATAPI_REPLY: atapi_reply_end(bus); break;
    case THEN_ATAPI_PACKET: atapi_packet(bus); break;
    default: d->status = ST_READY | ST_SEEK;
    }
}

static bool ide_writes_data(const IdeDrive *d)
{
    return d->end_transfer_fn_idx == THEN_WRITE || d->end_transfer_fn_idx == THEN_ATAPI_PACKET;
}

/* Both directions: the port is 16 or 32 bits wide; a byte access uses up a word. */
static uint32_t ide_data(IdeBus *bus, bool write, uint32_t val, unsigned size)
{
    IdeDrive *d = ide_active(bus);
    uint8_t bytes[4], *p = d->io_buffer + d->cur_io_buffer_offset;
    unsigned n;

    if (!(d->status & ST_DRQ) || ide_writes_data(d) != write || !ide_blk(bus)) return 0;
    n = MIN_OF(MAX_OF(size, 2), (unsigned)d->cur_io_buffer_len);
    memset(bytes, 0, sizeof(bytes));
    if (write) {
        store_le32(bytes, val);
        memcpy(p, bytes, n);
    } else {
        memcpy(bytes, p, n);
    }
    d->cur_io_buffer_offset += (int32_t)n;
    d->cur_io_buffer_len -= (int32_t)n;
    val = load_le32(bytes);
    if (!d->cur_io_buffer_len) ide_transfer_end(bus);
    return val;
}

/* -- the task file -- */

static uint8_t ide_reg_read(IdeBus *bus, unsigned reg)
{
    IdeDrive *d = ide_active(bus);
    bool hob = bus->s->cmd & CTL_HOB;

    /* Without drives nobody drives the bus; drive 0 answers for an absent drive 1 with zeroes. */
    if (!ide_blk(bus) && (reg != REG_DEVICE || !bus->blk[0])) return 0;
    switch (reg) {
    case REG_ERROR: return hob ? d->hob_feature : d->error;
    case REG_COUNT: return hob ? d->hob_nsector : (uint8_t)d->nsector;
    case REG_SECTOR: return hob ? d->hob_sector : d->sector;
    case REG_LCYL: return hob ? d->hob_lcyl : d->lcyl;
    case REG_HCYL: return hob ? d->hob_hcyl : d->hcyl;
    case REG_DEVICE: return d->select;
    case REG_STATUS: ide_set_intrq(bus, false); return d->status;
    default: return d->status; /* alternate status */
    }
}

/* Both drives hear what is written; each keeps the value before for 48-bit commands. */
static void ide_task_write(IdeDrive *d, unsigned reg, uint8_t val)
{
    switch (reg) {
    case FEATURE:
        d->hob_feature = d->feature;
        d->feature = val;
        break;
    case REG_COUNT:
        d->hob_nsector = (uint8_t)d->nsector;
        d->nsector = val;
        break;
    case REG_SECTOR:
        d->hob_sector = d->sector;
        d->sector = val;
        break;
    case REG_LCYL:
        d->hob_lcyl = d->lcyl;
        d->lcyl = val;
        break;
    case REG_HCYL:
        d->hob_hcyl = d->hcyl;
        d->hcyl = val;
        break;
    default: d->select = val | DEV_FIXED;
    }
}

static void ide_reg_write(IdeBus *bus, unsigned reg, uint8_t val)
{
    if (reg == REG_CONTROL) {
        ide_control_write(bus, val);
        return;
    }
    bus->s->cmd &= (uint8_t)~CTL_HOB;
    if (reg == COMMAND) {
        ide_command(bus, val);
        return;
    }
    if (ide_active(bus)->status & (ST_BUSY | ST_DRQ)) {
        guest_error(bus->dev, "register %u written while the drive is busy", reg);
        return;
    }
    for (unsigned unit = 0; unit < IDE_UNITS; unit++) ide_task_write(&bus->ifs[unit], reg, val);
    if (reg == REG_DEVICE) bus->s->unit = !!(val & DEV_UNIT);
}

/* -- ports: reg is the register, and above it where in the controller's struct the channel is -- */

enum { REG_BITS = 4, REG_MASK = (1 << REG_BITS) - 1 };

static IdeBus *ide_port_bus(Device *dev, uint32_t reg)
{
    return (IdeBus *)(void *)((char *)dev + (reg >> REG_BITS));
}

static uint32_t ide_port_read(Device *dev, uint32_t reg, unsigned size)
{
    IdeBus *bus = ide_port_bus(dev, reg);
    uint32_t val = 0;

    reg &= REG_MASK;
    if (reg == REG_DATA) return ide_data(bus, false, 0, size);
    for (unsigned i = 0; i < size; i++) val |= (uint32_t)ide_reg_read(bus, reg + i) << 8 * i;
    return val;
}

static void ide_port_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    IdeBus *bus = ide_port_bus(dev, reg);

    reg &= REG_MASK;
    if (reg == REG_DATA) {
        ide_data(bus, true, val, size);
        return;
    }
    for (unsigned i = 0; i < size; i++) ide_reg_write(bus, reg + i, (uint8_t)(val >> 8 * i));
}

static const IoOps ide_io = { .read = ide_port_read, .write = ide_port_write, .width = 4 };

/* -- media -- */

typedef struct IdeMedia {
    IdeBus *bus;
    unsigned unit;
} IdeMedia;

void ide_tray_moved(IdeBus *bus, unsigned unit)
{
    Machine *m = bus->dev->m;
    char *holder = qmp_drive_holder(m, bus->blk[unit]);

    machine_notify(m, EVENT_TRAY);
    qmp_event(m, "DEVICE_TRAY_MOVED",
        json_pack("{s:s,s:s,s:b}", "device", block_dev_id(bus->blk[unit]), "id",
            holder ? holder : "", "tray-open", bus->ifs[unit].tray_open));
    g_free(holder);
}

/* A medium is taken out by opening the tray, and put in by closing it. */
static void media_changed(void *opaque, bool has_medium)
{
    IdeMedia *media = opaque;
    IdeDrive *d = &media->bus->ifs[media->unit];
    bool moved = d->tray_open == has_medium;

    if (!media->bus->cdrom[media->unit]) return;
    d->tray_open = !has_medium;
    d->cdrom_changed = 1;
    d->new_media = has_medium;
    d->eject_request = false;
    if (moved) ide_tray_moved(media->bus, media->unit);
}

static bool media_locked(void *opaque)
{
    IdeMedia *media = opaque;

    return media->bus->ifs[media->unit].tray_locked;
}

static bool media_tray_open(void *opaque)
{
    IdeMedia *media = opaque;

    return media->bus->ifs[media->unit].tray_open;
}

static void media_eject_request(void *opaque, bool force)
{
    IdeMedia *media = opaque;
    IdeDrive *d = &media->bus->ifs[media->unit];

    d->eject_request = true;
    if (force) d->tray_locked = false;
}

static const BlockMediaOps media_ops = {
    .changed = media_changed,
    .locked = media_locked,
    .tray_open = media_tray_open,
    .eject_request = media_eject_request,
};

static bool ide_attach_drive(IdeBus *bus, unsigned unit, Error *err)
{
    BlockDev *bd = bus->blk[unit];
    IdeMedia *media;

    if (!drive_error_check(bd, err)) return false;
    media = g_new(IdeMedia, 1);
    *media = (IdeMedia){ bus, unit };
    block_dev_set_removable(bd, bus->cdrom[unit]);
    block_dev_attach(bd, &media_ops, media);
    return true;
}

static void ide_detach_drive(IdeBus *bus, unsigned unit)
{
    void *media;

    if (block_dev_media_ops(bus->blk[unit], &media) != &media_ops) return;
    block_dev_attach(bus->blk[unit], NULL, NULL);
    g_free(media);
}

/* The machine's channels by number. */
typedef struct IdeBuses {
    IdeBus *bus[IDE_BUSES];
} IdeBuses;

static IdeBuses *ide_buses(Machine *m) { return machine_slot(m, "ide", sizeof(IdeBuses), NULL); }

IdeBus *ide_bus_find(Machine *m, unsigned number)
{
    return number < IDE_BUSES ? ide_buses(m)->bus[number] : NULL;
}

bool ide_bus_plug(
    IdeBus *bus, unsigned unit, BlockDev *blk, bool cdrom, const char *serial, Error *err)
{
    const char *fallback = block_dev_option(blk, "serial");

    assert(!bus->blk[unit]);
    bus->blk[unit] = blk;
    bus->cdrom[unit] = cdrom;
    g_free(bus->serial[unit]);
    bus->serial[unit] = g_strdup(!*serial && fallback ? fallback : serial);
    if (!ide_attach_drive(bus, unit, err)) {
        bus->blk[unit] = NULL;
        return false;
    }
    ide_identify_fill(bus, unit);
    ide_drive_reset(bus, unit);
    return true;
}

bool ide_bus_realize(IdeBus *bus, uint32_t port, uint32_t control_port, Error *err)
{
    Device *dev = bus->dev;
    uint32_t first_reg = (uint32_t)((char *)bus - (char *)dev) << REG_BITS;

    ide_flight_init(bus);
    if (bus->number >= IDE_BUSES || ide_bus_find(dev->m, bus->number))
        return error_set(err, "there is an IDE channel %u already", bus->number);
    ide_buses(dev->m)->bus[bus->number] = bus;
    for (unsigned unit = 0; unit < IDE_UNITS; unit++)
        if (bus->blk[unit] && !ide_attach_drive(bus, unit, err)) return false;
    return pio_map(dev, port, 8, &ide_io, first_reg, "ide", err) &&
           pio_map(dev, control_port, 1, &ide_io, first_reg + REG_CONTROL, "ide", err);
}

void ide_bus_unrealize(IdeBus *bus)
{
    timer_cancel(&bus->timer);
    if (bus->s) ide_flight_cancel(bus);
    if (ide_bus_find(bus->dev->m, bus->number) == bus)
        ide_buses(bus->dev->m)->bus[bus->number] = NULL;
    for (unsigned unit = 0; unit < IDE_UNITS; unit++) {
        if (!bus->blk[unit]) continue;
        block_drain(bus->blk[unit]);
        ide_detach_drive(bus, unit);
    }
}
