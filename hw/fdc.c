/* SPDX-License-Identifier: MIT */
/*
 * Floppy controller of a PC: registers, reset, interrupt, tables.
 * Source: Intel 82077AA data sheet (order 290166), AT mode; that of the 82078 for PART ID and
 * DRIVE SPECIFICATION.  Not modelled: seek, spin-up and head load times, deleted address marks
 * (nothing on an image can hold them), FM, gaps and CRCs, tape drives, PS/2 and Model 30 modes.
 */
#include "hw/fdc.h"

#include <string.h>

#include "core/machine.h"
#include "core/qmp.h"
#include "hw/acpi.h"
#include "hw/boot_order.h"
#include "hw/drive_error.h"

enum { REG_SRB = 1, REG_DOR, REG_TDR, REG_MSR, REG_DATA, REG_DIR = 7 };
enum { REG_DSR = REG_MSR, REG_CCR = REG_DIR };
enum { DIR_CHANGED = 0x80, TDR_TAPE = 0x03 };

/* -- interrupt -- */

void fdc_update_irq(Fdc *f) { irq_set(&f->irq, f->s.sra & SRA_INTPEND && f->s.dor & DOR_DMAGATE); }

void fdc_raise(Fdc *f)
{
    f->s.sra |= SRA_INTPEND;
    fdc_update_irq(f);
}

void fdc_lower(Fdc *f)
{
    f->s.sra &= (uint8_t)~SRA_INTPEND;
    fdc_update_irq(f);
}

/* -- resets -- */

/* What DOR, DSR and the reset pin share.  LOCK keeps the FIFO's settings over the first two. */
static void fdc_reset_state(FdcState *s)
{
    s->result_timer = s->deadline = TIMER_NEVER;
    s->sra &= (uint8_t)~SRA_INTPEND;
    s->status0 = s->status1 = s->status2 = 0;
    s->data_pos = 0;
    s->data_len = 1;
    s->data_state = s->data_dir = 0;
    s->phase = PHASE_COMMAND;
    s->stage = STAGE_NONE;
    s->tc = false;
    s->reset_sensei = 0;
    s->dsr &= (uint8_t)~DSR_POWERDOWN;
    s->config = s->lock ? s->config & (CONFIG_NO_FIFO | CONFIG_THRESHOLD) : CONFIG_NO_FIFO;
    if (!s->lock) s->precomp_trk = 0;
    for (unsigned i = 0; i < FDC_DRIVES; i++) s->drives[i].perpendicular &= PERPENDICULAR_DRIVE;
}

/* The drives are polled once it is over, and all of them have become ready. */
static void fdc_soft_reset(Fdc *f)
{
    fdc_transfer_cancel(f);
    timer_cancel(&f->result_timer);
    fdc_reset_state(&f->s);
    fdc_lower(f);
    if (!(f->s.dor & DOR_NRESET)) return;
    f->s.status0 = ST0_POLLING;
    f->s.reset_sensei = 4;
    fdc_raise(f);
}

static void fdc_power_on(Device *dev)
{
    Fdc *f = FDC(dev);

    f->s.num_floppies = FDC_DRIVES;
    for (unsigned i = 0; i < FDC_DRIVES; i++) {
        f->s.drives[i].media_changed = f->blk[i] != NULL;
        f->s.drives[i].media_rate = f->units[i].medium.rate;
    }
}

static void fdc_reset(Device *dev)
{
    FdcState *s = &FDC(dev)->s;

    s->lock = 0;
    fdc_reset_state(s);
    s->sra = FDC(dev)->blk[1] ? 0 : SRA_NDRV2;
    s->srb = SRB_ONES;
    s->dor = DOR_NRESET | DOR_DMAGATE;
    s->tdr = s->dsr = 0;
    s->timer0 = s->timer1 = s->hut = 0;
    s->nondma = false;
    s->eot = s->scan_step = s->pwrd = 0;
    memset(s->fifo, 0, sizeof(s->fifo));
    for (unsigned i = 0; i < FDC_DRIVES; i++) {
        s->drives[i].head = s->drives[i].track = 0;
        s->drives[i].sect = FDC(dev)->blk[i] != NULL;
        s->drives[i].perpendicular = 0;
    }
}

/* -- registers -- */

static uint8_t fdc_msr(const FdcState *s, bool port)
{
    if (!(s->dor & DOR_NRESET)) return 0;
    switch (s->phase) {
    case PHASE_RESULT: return MSR_RQM | MSR_DIO | MSR_BUSY;
    case PHASE_EXECUTION:
        return MSR_BUSY | (s->nondma && s->stage != STAGE_NONE ? MSR_NONDMA : 0) |
               (port ? MSR_RQM | (fdc_transfer_to_host(s) ? MSR_DIO : 0) : 0);
    default: return s->data_pos ? MSR_RQM | MSR_BUSY : MSR_RQM;
    }
}

static uint8_t fdc_read_data(Fdc *f)
{
    FdcState *s = &f->s;
    uint8_t val;

    if (fdc_transfer_wants_port(f)) return fdc_transfer_port(f, false, 0);
    if (s->phase != PHASE_RESULT || !(s->dor & DOR_NRESET)) {
        guest_error(&f->dev, "data register read with nothing in it");
        return 0;
    }
    if (!s->data_pos) fdc_lower(f);
    val = s->fifo[s->data_pos++ % FDC_SECTOR];
    if (s->data_pos >= s->data_len) fdc_command_phase(f);
    return val;
}

static void fdc_write_data(Fdc *f, uint8_t val)
{
    FdcState *s = &f->s;

    if (!(s->dor & DOR_NRESET)) return;
    s->dsr &= (uint8_t)~DSR_POWERDOWN;
    if (fdc_transfer_wants_port(f)) {
        fdc_transfer_port(f, true, val);
    } else if (s->phase == PHASE_COMMAND && s->data_pos < FDC_SECTOR) {
        s->fifo[s->data_pos++] = val;
        fdc_command_byte(f);
    } else {
        guest_error(&f->dev, "data register written while the controller is busy");
    }
}

static void fdc_write_dor(Fdc *f, uint8_t val)
{
    FdcState *s = &f->s;
    uint8_t was = s->dor;

    s->srb = (uint8_t)(SRB_ONES | (val & DOR_UNIT ? SRB_DR0 : 0) | (val >> 4 & SRB_MOTORS));
    s->dor = val;
    /* It stays in reset while the bit is low; the drives are polled when it rises. */
    if ((was ^ val) & DOR_NRESET) fdc_soft_reset(f);
    fdc_update_irq(f);
}

static uint8_t fdc_read_dir(Fdc *f)
{
    const FdcDrive *d = fdc_drive(f);

    /* The line is driven by a drive whose motor runs; the other bits float. */
    return d && d->media_changed && f->s.dor & 0x10 << fdc_unit(f) ? DIR_CHANGED : 0;
}

static uint32_t fdc_read(Device *dev, uint32_t reg, unsigned size)
{
    Fdc *f = FDC(dev);
    FdcState *s = &f->s;

    (void)size;
    switch (reg) {
    case REG_SRB: return s->srb;
    case REG_DOR: return s->dor;
    case REG_TDR: return s->tdr;
    case REG_MSR: s->dsr &= (uint8_t)~DSR_POWERDOWN; return fdc_msr(s, fdc_transfer_wants_port(f));
    case REG_DATA: return fdc_read_data(f);
    default: return fdc_read_dir(f);
    }
}

static void fdc_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    Fdc *f = FDC(dev);
    FdcState *s = &f->s;

    (void)size;
    switch (reg) {
    case REG_DOR: fdc_write_dor(f, (uint8_t)val); break;
    case REG_TDR: s->tdr = val & TDR_TAPE; break;
    case REG_DSR:
        if (val & DSR_RESET) fdc_soft_reset(f);
        s->dsr = val & (uint8_t)~DSR_RESET;
        break;
    case REG_DATA: fdc_write_data(f, (uint8_t)val); break;
    case REG_CCR: s->dsr = (uint8_t)((s->dsr & ~DSR_RATE) | (val & DSR_RATE)); break;
    default: break; /* SRB is read-only */
    }
}

static const IoOps fdc_io = { .read = fdc_read, .write = fdc_write };

/* -- tables -- */

static bool drive_changed_needed(const void *state)
{
    const FdcDrive *d = state;

    return d->sect && d->media_changed != 1; /* a sector number of 0: there is no drive */
}

static bool drive_perpendicular_needed(const void *state)
{
    return ((const FdcDrive *)state)->perpendicular != 0;
}

#define SUBSECTION(ident, wire, test, ...)                                                         \
    static const VmField ident##_fields[] = { __VA_ARGS__, VM_END };                               \
    static const VmState ident##_vmstate = {                                                       \
        .name = (wire), .version = 1, .min_version = 1, .needed = (test), .fields = ident##_fields \
    }

SUBSECTION(
    drive_changed, "fdrive/media_changed", drive_changed_needed, VM_INT(FdcDrive, media_changed));
SUBSECTION(drive_rate, "fdrive/media_rate", NULL, VM_INT(FdcDrive, media_rate));
SUBSECTION(drive_perpendicular, "fdrive/perpendicular", drive_perpendicular_needed,
    VM_INT(FdcDrive, perpendicular));

static const VmField drive_fields[] = {
    VM_INT(FdcDrive, head),
    VM_INT(FdcDrive, track),
    VM_INT(FdcDrive, sect),
    VM_END,
};
static const VmState drive_vmstate = {
    .name = "fdrive",
    .version = 1,
    .min_version = 1,
    .fields = drive_fields,
    .subsections =
        VMSTATES(&drive_changed_vmstate, &drive_rate_vmstate, &drive_perpendicular_vmstate),
};

static bool fdc_sensei_needed(const void *state)
{
    return ((const FdcState *)state)->reset_sensei != 0;
}

static bool fdc_timer_needed(const void *state)
{
    return ((const FdcState *)state)->result_timer != TIMER_NEVER;
}

/* What the other side makes of the phase from MSR. */
static uint8_t fdc_phase_of_msr(uint8_t msr)
{
    if (msr & MSR_NONDMA || !(msr & MSR_RQM)) return PHASE_EXECUTION;
    return msr & MSR_DIO ? PHASE_RESULT : PHASE_COMMAND;
}

static bool fdc_phase_needed(const void *state)
{
    const FdcState *s = state;

    return s->phase != fdc_phase_of_msr(s->msr);
}

SUBSECTION(fdc_sensei, "fdc/reset_sensei", fdc_sensei_needed, VM_INT(FdcState, reset_sensei));
SUBSECTION(fdc_timer, "fdc/result_timer", fdc_timer_needed,
    VM_TIMER(FdcState, result_timer, "result_timer"));
SUBSECTION(fdc_phase, "fdc/phase", fdc_phase_needed, VM_INT(FdcState, phase));

/* There a transfer is by DMA where DOR's gate is open, and SPECIFY closes it; and data passes the
 * port whenever the guest asks. */
static bool fdc_pre_save(void *state, Error *err)
{
    FdcState *s = state;

    (void)err;
    s->dor_vmstate = (uint8_t)(s->nondma ? s->dor & ~DOR_DMAGATE : s->dor);
    s->msr = fdc_msr(s, s->nondma && s->stage != STAGE_NONE);
    return true;
}

static bool fdc_pre_load(void *state, Error *err)
{
    FdcState *s = state;

    (void)err;
    s->phase = PHASE_NONE;
    for (unsigned i = 0; i < FDC_DRIVES; i++) s->drives[i].media_changed = s->drives[i].sect;
    return true;
}

/* A transfer that comes without its stage: what it does next. */
static uint8_t fdc_stage_of_wire(const FdcState *s)
{
    bool whole = !(s->data_pos % FDC_SECTOR);

    if (s->phase != PHASE_EXECUTION || s->result_timer != TIMER_NEVER) return STAGE_NONE;
    return whole && (s->data_dir == DIR_READ || s->data_dir == DIR_VERIFY) ? STAGE_READ
                                                                           : STAGE_MOVE;
}

static bool fdc_post_load(void *state, int version, Error *err)
{
    FdcState *s = state;

    (void)version;
    if (s->data_dir >= DIRS) return error_set(err, "fdc: unknown direction of a transfer");
    if (s->phase == PHASE_NONE) s->phase = fdc_phase_of_msr(s->msr);
    if (s->phase > PHASE_RESULT) return error_set(err, "fdc: unknown phase");
    if (s->phase != PHASE_EXECUTION && s->data_pos >= FDC_SECTOR)
        return error_set(err, "fdc: the data register is outside its buffer");
    s->dor = s->dor_vmstate | DOR_DMAGATE;
    s->nondma = !(s->dor_vmstate & DOR_DMAGATE);
    s->stage = fdc_stage_of_wire(s);
    s->deadline = s->stage == STAGE_NONE ? TIMER_NEVER : 0; /* at once */
    s->dor_vmstate = s->msr = 0;
    return true;
}

static const VmField fdc_state_fields[] = {
    VM_INT(FdcState, sra),
    VM_INT(FdcState, srb),
    VM_INT(FdcState, dor_vmstate),
    VM_INT(FdcState, tdr),
    VM_INT(FdcState, dsr),
    VM_INT(FdcState, msr),
    VM_INT(FdcState, status0),
    VM_INT(FdcState, status1),
    VM_INT(FdcState, status2),
    VM_FIELD(FdcState, fifo, "fifo", &vm_u8, FDC_SECTOR, 1),
    VM_INT(FdcState, data_pos),
    VM_INT(FdcState, data_len),
    VM_INT(FdcState, data_state),
    VM_INT(FdcState, data_dir),
    VM_INT(FdcState, eot),
    VM_INT(FdcState, timer0),
    VM_INT(FdcState, timer1),
    VM_INT(FdcState, precomp_trk),
    VM_INT(FdcState, config),
    VM_INT(FdcState, lock),
    VM_INT(FdcState, pwrd),
    VM_ELEM(FdcState, num_floppies, "num_floppies", &vm_u8_equal),
    VM_FIELD(FdcState, drives, "drives", &vm_struct, FDC_DRIVES, sizeof(FdcDrive),
        .vmsd = &drive_vmstate, .struct_version = 1, .flags = VMF_LISTED),
    VM_END,
};
static const VmState fdc_state_vmstate = {
    .name = "fdc",
    .version = 2,
    .min_version = 2,
    .fields = fdc_state_fields,
    .subsections = VMSTATES(&fdc_sensei_vmstate, &fdc_timer_vmstate, &fdc_phase_vmstate),
    .pre_save = fdc_pre_save,
    .pre_load = fdc_pre_load,
    .post_load = fdc_post_load,
};

static const VmField fdc_fields[] = {
    {
        .name = "state",
        .type = &vm_struct,
        .count = 1,
        .size = sizeof(FdcState),
        .stride = sizeof(FdcState),
        .vmsd = &fdc_state_vmstate,
        .struct_version = 2,
    },
    VM_END,
};
static const VmState fdc_vmstate = {
    .name = "fdc",
    .version = 2,
    .min_version = 2,
    .fields = fdc_fields,
};

static const VmField fdc_exact[] = {
    VM_INT(FdcState, dor),
    VM_INT(FdcState, deadline),
    VM_INT(FdcState, stage),
    VM_INT(FdcState, hut),
    VM_INT(FdcState, scan_step),
    VM_INT(FdcState, nondma),
    VM_INT(FdcState, tc),
    VM_END,
};

static const Prop fdc_props[] = {
    PROP(Fdc, iobase, "0x3f0"),
    PROP(Fdc, irq, "pic.6"),
    PROP(Fdc, dma, "2"),
    PROP_AS(Fdc, blk[0], "driveA", ""),
    PROP_AS(Fdc, blk[1], "driveB", ""),
    PROP_AS(Fdc, fdtype[0], "fdtypeA", "auto"),
    PROP_AS(Fdc, fdtype[1], "fdtypeB", "auto"),
    PROP(Fdc, fallback, "288"),
    PROP_AS(Fdc, bootindex[0], "bootindexA", "-1"),
    PROP_AS(Fdc, bootindex[1], "bootindexB", "-1"),
    PROP_END,
};

/* -- media -- */

static void fdc_find_medium(FdcUnit *u)
{
    BlockDev *bd = u->f->blk[u->unit];

    u->medium = block_dev_has_medium(bd) ? fdc_medium_of_size(block_dev_size(bd), u->type, FDC_288)
                                         : (FdcMedium){ 0 };
}

static void fdc_media_changed(void *opaque, bool has_medium)
{
    FdcUnit *u = opaque;
    FdcDrive *d = &u->f->s.drives[u->unit];

    (void)has_medium;
    fdc_find_medium(u);
    d->media_rate = u->medium.rate;
    d->media_changed = 1;
    fdc_transfer_media_changed(u->f);
}

static const BlockMediaOps fdc_media_ops = { .changed = fdc_media_changed };

enum FdcType fdc_drive_type(Device *dev, unsigned unit)
{
    return unit < FDC_DRIVES && FDC(dev)->blk[unit] ? FDC(dev)->units[unit].type : FDC_NONE;
}

static bool fdc_parse_type(const char *text, enum FdcType *type, Error *err)
{
    static const struct {
        const char *name;
        enum FdcType type;
    } known[] = { { "120", FDC_120 }, { "144", FDC_144 }, { "288", FDC_288 },
        { "auto", FDC_NONE } };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (strcmp(known[i].name, text)) continue;
        *type = known[i].type;
        return true;
    }
    return error_set(err, "'%s' is no floppy drive type; there are 120, 144, 288 and auto", text);
}

static bool fdc_attach_drive(Fdc *f, unsigned unit, enum FdcType fallback, Error *err)
{
    FdcUnit *u = &f->units[unit];
    BlockDev *bd = f->blk[unit];

    *u = (FdcUnit){ .f = f, .unit = unit };
    if (!fdc_parse_type(f->fdtype[unit], &u->type, err)) return false;
    if (!bd) return true;
    if (!drive_error_check(bd, err)) return false;
    /* A drive of no type is of the one that takes what is in it. */
    if (u->type == FDC_NONE && block_dev_has_medium(bd))
        u->type = fdc_medium_of_size(block_dev_size(bd), FDC_NONE, fallback).type;
    if (u->type == FDC_NONE) u->type = fallback;
    block_dev_set_removable(bd, true);
    block_dev_attach(bd, &fdc_media_ops, u);
    fdc_find_medium(u);
    return true;
}

/* -- life -- */

static void fdc_result_due(void *opaque)
{
    Fdc *f = opaque;

    f->s.result_timer = TIMER_NEVER;
    fdc_read_id_end(f);
}

static bool fdc_boot_order(Fdc *f, unsigned unit, Error *err)
{
    char *path = g_strdup_printf(
        "%s/fdc@%04x/floppy@%u", boot_order_isa(f->dev.m), (unsigned)f->iobase, unit);
    bool ok = boot_order_add(f->dev.m, f->bootindex[unit], path, err);

    g_free(path);
    return ok;
}

static bool fdc_realize(Device *dev, Error *err)
{
    Fdc *f = FDC(dev);
    enum FdcType fallback = FDC_NONE;

    timer_init(&f->result_timer, &dev->m->clock, fdc_result_due, f);
    if (!fdc_parse_type(f->fallback, &fallback, err)) return false;
    if (fallback == FDC_NONE) return error_set(err, "fallback is a drive type, not 'auto'");
    for (unsigned unit = 0; unit < FDC_DRIVES; unit++)
        if (!fdc_attach_drive(f, unit, fallback, err) || !fdc_boot_order(f, unit, err))
            return false;
    return fdc_transfer_realize(f, err) &&
           pio_map(dev, f->iobase + REG_SRB, REG_DATA, &fdc_io, REG_SRB, "fdc", err) &&
           pio_map(dev, f->iobase + REG_DIR, 1, &fdc_io, REG_DIR, "fdc", err);
}

static void fdc_unrealize(Device *dev)
{
    Fdc *f = FDC(dev);

    timer_cancel(&f->result_timer);
    fdc_transfer_unrealize(f);
    for (unsigned unit = 0; unit < FDC_DRIVES; unit++) {
        void *opaque;

        if (!f->blk[unit]) continue;
        block_drain(f->blk[unit]);
        if (block_dev_media_ops(f->blk[unit], &opaque) == &fdc_media_ops)
            block_dev_attach(f->blk[unit], NULL, NULL);
    }
}

static void fdc_sync(Device *dev)
{
    Fdc *f = FDC(dev);

    fdc_update_irq(f);
    timer_arm(&f->result_timer, f->s.result_timer);
    fdc_transfer_resume(f);
}

DEVICE(fdc, "82077AA floppy controller", Fdc, .name = "isa-fdc", .bus = "isa", .props = fdc_props,
    .vmstates = VMSTATES(&fdc_vmstate), .exact = fdc_exact, .realize = fdc_realize,
    .unrealize = fdc_unrealize, .power_on = fdc_power_on, .reset = fdc_reset, .sync = fdc_sync);

/* _FDE: which of four drives are there, and that a tape is not known of; a double word each. */
static void fdc_declare(Device *dev, Aml *a)
{
    enum { TAPE_AT = 16, TAPE_UNKNOWN = 2, BYTES = 20 };
    Fdc *f = FDC(dev);
    uint8_t drives[BYTES] = { [TAPE_AT] = TAPE_UNKNOWN };
    size_t mark = aml_device(a, "FDC0");
    Aml *res = aml_new();

    for (unsigned i = 0; i < FDC_DRIVES; i++) drives[4 * i] = fdc_drive_type(dev, i) != FDC_NONE;
    aml_res_io(res, (uint16_t)(f->iobase + REG_DOR), 4);
    aml_res_io(res, (uint16_t)(f->iobase + REG_DIR), 1);
    aml_res_irq(res, (unsigned)f->irq.line);
    aml_res_dma(res, f->dma);
    aml_name_eisa(a, "_HID", "PNP0700");
    aml_name_resources(a, "_CRS", res);
    aml_name_bytes(a, "_FDE", drives, BYTES);
    aml_close(a, mark);
    aml_free(res);
}
ACPI_PART(fdc, ACPI_ON_ISA, fdc_declare);
