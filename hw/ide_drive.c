/* SPDX-License-Identifier: MIT */
/*
 * IDE drives as devices of their own, for -device ide-hd and ide-cd: they hang on a channel of the
 * machine's controller, which has their state.
 */
#include <stdio.h>

#include "core/machine.h"
#include "hw/boot_order.h"
#include "hw/ide.h"
#include "hw/pci.h"

enum { UNIT_ANY = -1 };

typedef struct IdeDriveDev {
    Device dev;
    BlockDev *drive;
    char *serial, *bus;
    int32_t unit, bootindex;
} IdeDriveDev;

static const Prop ide_drive_props[] = {
    PROP(IdeDriveDev, drive, ""),
    PROP(IdeDriveDev, serial, ""),
    PROP(IdeDriveDev, bus, ""),
    PROP(IdeDriveDev, unit, "-1"),
    PROP(IdeDriveDev, bootindex, "-1"),
    PROP_END,
};

/* A free place on the channel: the given one, or the first. */
static int ide_drive_unit(const IdeDriveDev *d, const IdeBus *bus)
{
    if (d->unit != UNIT_ANY) return bus->blk[d->unit] ? UNIT_ANY : d->unit;
    for (int unit = 0; unit < IDE_UNITS; unit++)
        if (!bus->blk[unit]) return unit;
    return UNIT_ANY;
}

static bool ide_drive_boot_order(const IdeDriveDev *d, unsigned bus, int unit, Error *err)
{
    Machine *m = d->dev.m;
    char *path = pci_nth(m, 0)
                     ? g_strdup_printf("/pci@i0cf8/ide@1,1/drive@%u/disk@%d", bus, unit)
                     : g_strdup_printf("/isa/ide@%s/drive@0/disk@%d", bus ? "0170" : "01f0", unit);
    bool ok = boot_order_add(m, d->bootindex, path, err);

    g_free(path);
    return ok;
}

/* Without bus= the last channel comes first, as in QEMU. */
static bool ide_drive_plug(IdeDriveDev *d, bool cdrom, Error *err)
{
    Machine *m = d->dev.m;
    unsigned last = 0, first = IDE_BUSES - 1;
    void *user;
    char end;

    if (!d->drive) return error_set(err, "drive property not set");
    if (block_dev_media_ops(d->drive, &user))
        return error_set(
            err, "Drive '%s' is already in use by another block device", block_dev_id(d->drive));
    if (d->unit < UNIT_ANY || d->unit >= IDE_UNITS)
        return error_set(err, "Can't create IDE unit %d, bus supports only 2 units", d->unit);
    if (*d->bus) {
        if (sscanf(d->bus, "ide.%u%c", &first, &end) != 1 || !ide_bus_find(m, first))
            return error_set(err, "Bus '%s' not found", d->bus);
        last = first;
    }
    for (unsigned n = first + 1; n-- > last;) {
        IdeBus *bus = ide_bus_find(m, n);
        int unit = bus ? ide_drive_unit(d, bus) : UNIT_ANY;

        if (unit == UNIT_ANY) continue;
        return ide_drive_boot_order(d, n, unit, err) &&
               ide_bus_plug(bus, (unsigned)unit, d->drive, cdrom, d->serial, err);
    }
    return error_set(
        err, "there is no free place for another IDE drive%s%s", *d->bus ? " on " : "", d->bus);
}

static bool ide_hd_realize(Device *dev, Error *err)
{
    return ide_drive_plug((IdeDriveDev *)dev, false, err);
}

static bool ide_cd_realize(Device *dev, Error *err)
{
    return ide_drive_plug((IdeDriveDev *)dev, true, err);
}

DEVICE_STATELESS(ide_hd, "IDE disk", IdeDriveDev, .name = "ide-hd", .bus = "IDE",
    .user_creatable = true, .props = ide_drive_props, .realize = ide_hd_realize);
DEVICE_STATELESS(ide_cd, "IDE CD-ROM drive", IdeDriveDev, .name = "ide-cd", .bus = "IDE",
    .user_creatable = true, .props = ide_drive_props, .realize = ide_cd_realize);
