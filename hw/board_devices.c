/* SPDX-License-Identifier: MIT */
/* What the command line attaches to a board: ports, network cards, drives, -device. */
#include <stdio.h>
#include <string.h>

#include "hw/board.h"

enum { SERIALS_MAX = 4, PARALLELS_MAX = 3 };

static bool class_has_prop(const DeviceClass *cls, const char *name)
{
    for (const Prop *p = cls->props; p && p->name; p++)
        if (!strcmp(p->name, name)) return true;
    return false;
}

/* -- ports -- */

static bool board_ports(
    Board *b, const GPtrArray *ports, const char *cls, const char *what, unsigned max, Error *err)
{
    if (ports->len > max)
        return error_set(err, "too many %s ports: a machine has at most %u", what, max);
    for (guint i = 0; i < ports->len; i++) {
        char index[4], id[32];

        if (!ports->pdata[i]) continue;
        g_snprintf(index, sizeof(index), "%u", i);
        g_snprintf(id, sizeof(id), "%s%u", what, i);
        if (!device_create(
                b->m, cls, id, err, "index", index, "chardev", (char *)ports->pdata[i], NULL))
            return false;
    }
    return true;
}

bool board_serials(Board *b, Error *err)
{
    return board_ports(b, b->m->config.serials, "isa-serial", "serial", SERIALS_MAX, err);
}

bool board_parallels(Board *b, Error *err)
{
    return board_ports(b, b->m->config.parallels, "isa-parallel", "parallel", PARALLELS_MAX, err);
}

bool board_debugcon(Board *b, Error *err)
{
    const char *chardev = b->m->config.debugcon;

    return !chardev ||
           device_create(b->m, "isa-debugcon", "debugcon", err, "chardev", chardev, NULL);
}

/* -- network cards -- */

static bool board_set_mac(Board *b, Device *dev, const char *given, Error *err)
{
    char mac[18];

    g_snprintf(mac, sizeof(mac), "52:54:00:12:34:%02x", (0x56 + b->nics++) & 0xff);
    return device_set(dev, "mac", given ? given : mac, err);
}

/* ISA cards are told apart by jumpers. */
static bool board_set_jumpers(Board *b, Device *dev, Error *err)
{
    static const struct {
        const char *iobase, *irq;
    } jumpers[] = { { "0x300", "pic.9" }, { "0x320", "pic.10" }, { "0x340", "pic.11" },
        { "0x360", "pic.3" }, { "0x280", "pic.4" }, { "0x380", "pic.5" } };

    if (b->isa_nics == ARRAY_SIZE(jumpers)) return error_set(err, "too many ISA network cards");
    if (!device_set(dev, "iobase", jumpers[b->isa_nics].iobase, err)) return false;
    return device_set(dev, "irq", jumpers[b->isa_nics++].irq, err);
}

static bool board_nic(Board *b, const NicConfig *nic, const char *model, Error *err)
{
    Device *dev = device_new(b->m, model, nic->id, err);

    /* As in QEMU, a card of -nic has no vectors of MSI-X, and one of -device has. */
    return dev && board_set_mac(b, dev, nic->mac, err) &&
           (!nic->netdev || device_set(dev, "netdev", nic->netdev, err)) &&
           (!nic->no_vectors || !class_has_prop(dev->cls, "vectors") ||
               device_set(dev, "vectors", "0", err)) &&
           (strcmp(dev->cls->bus, "isa") || board_set_jumpers(b, dev, err)) &&
           device_realize(dev, err);
}

bool board_nics(Board *b, const char *fallback, const char *bus, Error *err)
{
    const GPtrArray *nics = b->m->config.nics;

    for (guint i = 0; i < nics->len; i++) {
        const NicConfig *nic = nics->pdata[i];
        const char *model = nic->model ? nic->model : fallback;
        const DeviceClass *cls;

        if (!strcmp(model, "virtio")) model = "virtio-net-pci"; /* its name in -nic */
        cls = device_class_find(model);

        if (!cls || !class_has_prop(cls, "netdev") || !cls->bus)
            return error_set(err, "Unsupported NIC model: %s", model);
        if (strcmp(cls->bus, bus)) {
            if (!strcmp(cls->bus, "pci") && !strcmp(fallback, "ne2k_isa"))
                return error_set(err, "No 'PCI' bus found for device '%s'", model);
            continue;
        }
        if (!board_nic(b, nic, model, err)) return false;
    }
    return true;
}

/* -- IDE and floppy drives -- */

static bool board_put_drive(Board *b, int index, const BoardDrive *drive, Error *err)
{
    if (index < 0)
        for (index = 0; index < BOARD_DRIVES && b->drives[index].backend;) index++;
    if (index >= BOARD_DRIVES)
        return error_set(
            err, "drive '%s': a machine has %d IDE drives at most", drive->backend, BOARD_DRIVES);
    if (b->drives[index].backend)
        return error_set(
            err, "drive with bus=%d, unit=%d (index=%d) exists", index / 2, index % 2, index);
    b->drives[index] = *drive;
    return true;
}

bool board_take_drives(Board *b, Error *err)
{
    const MachineConfig *c = &b->m->config;

    /* Those with a place first, so that the others find what is left. */
    for (int pass = 0; pass < 2; pass++) {
        for (guint i = 0; i < c->drives->len; i++) {
            const DriveConfig *d = c->drives->pdata[i];
            BoardDrive drive = { .backend = d->id, .serial = d->serial, .cdrom = d->cdrom };

            if (d->interface == DRIVE_FLOPPY) b->floppies[d->index] = d->id;
            if (d->interface != DRIVE_IDE) continue;
            if ((d->index >= 0) == (pass == 0) && !board_put_drive(b, d->index, &drive, err))
                return false;
        }
    }
    return true;
}

/* -- -device -- */

static bool board_user_device(Board *b, Options *o, Error *err)
{
    const char *driver = options_get(o, "driver"), *id = options_get(o, "id");
    const DeviceClass *cls = driver ? device_class_find(driver) : NULL;
    Device *dev;

    if (!driver) return error_set(err, "Parameter 'driver' is missing");
    if (cls && !cls->user_creatable)
        return error_set(err, "Parameter 'driver' expects a pluggable device type");
    dev = device_new(b->m, driver, id, err);
    if (!dev) return false;
    for (guint i = 0; i < o->entries->len; i++) {
        const OptionsEntry *e = o->entries->pdata[i];

        if (!strcmp(e->key, "driver") || !strcmp(e->key, "id")) continue;
        /* There is one bus of a kind, except for drives. */
        if (!strcmp(e->key, "bus") && !class_has_prop(dev->cls, "bus")) continue;
        if (!device_set(dev, e->key, e->value, err)) return false;
    }
    if (class_has_prop(dev->cls, "mac") && !options_get(o, "mac") &&
        !board_set_mac(b, dev, NULL, err))
        return false;
    return device_realize(dev, err);
}

bool board_user_devices(Board *b, Error *err)
{
    const GPtrArray *devices = b->m->config.devices;

    for (guint i = 0; i < devices->len; i++) {
        if (!board_user_device(b, devices->pdata[i], err))
            return error_prefix(
                err, "-device %s: ", options_get_or(devices->pdata[i], "driver", ""));
    }
    return true;
}

bool board_virtio_drives(Board *b, Error *err)
{
    const GPtrArray *drives = b->m->config.drives;

    for (guint i = 0; i < drives->len; i++) {
        const DriveConfig *d = drives->pdata[i];

        if (d->interface != DRIVE_VIRTIO) continue;
        if (!device_create(b->m, "virtio-blk-pci", NULL, err, "drive", d->id, "serial",
                d->serial ? d->serial : "", NULL))
            return false;
    }
    return true;
}
