/* SPDX-License-Identifier: MIT */
/* Back ends that the command line asks for: made in its order, named as scripts expect. */
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "core/user_object.h"
#include "monitor/monitor.h"
#include "net/net.h"
#include "system/build.h"
#include "util/chardev.h"

enum { IDE_UNITS = 4, FLOPPY_UNITS = 2 };

static bool build_failed(const OptionUse *use, Error *err)
{
    return error_prefix(err, "-%s%s%s: ", use->option, *use->text ? " " : "", use->text);
}

/* -- character devices -- */

static void build_free_chardev(void *chr) { chardev_free(chr); }

static bool build_add_chardev(Machine *m, Chardev *chr, Error *err)
{
    if (!chr) return false;
    if (machine_object_add(m, "chardev", chr->id, chr, build_free_chardev, err)) return true;
    chardev_free(chr);
    return false;
}

/* "chardev:ID", "none", "vc" or a device's text.  *id gets the character device's name (owned by
 * the caller), or NULL for none. */
static bool build_line(
    Machine *m, CommandLine *cl, const OptionUse *use, const char *name, char **id, Error *err)
{
    const char *text = use->text;

    *id = NULL;
    if (!strcmp(text, "none")) return true;
    if (g_str_has_prefix(text, "chardev:")) {
        const char *other = text + strlen("chardev:");
        if (!machine_object(m, "chardev", other)) {
            return error_set(err, "Character device '%s' not found", other);
        }
        *id = g_strdup(other);
        return true;
    }
    /* A virtual console in the window is not there: such a line leads nowhere. */
    if (!strcmp(text, "vc") || g_str_has_prefix(text, "vc:")) text = "null";
    if (!build_add_chardev(m, chardev_from_text(m->ctx, name, text, err), err)) return false;
    *id = g_strdup(name);
    if (g_str_has_prefix(text, "mon:") && strcmp(use->option, "monitor")) {
        /* The monitor attaches after the device, which so has the input at first. */
        OptionUse *mon = g_new0(OptionUse, 1);
        mon->option = "monitor";
        mon->text = g_strdup_printf("chardev:%s", name);
        g_ptr_array_add(cl->monitors, mon);
    }
    return true;
}

static bool build_lines(
    Machine *m, CommandLine *cl, GPtrArray *uses, const char *name, GPtrArray *ids, Error *err)
{
    for (unsigned i = 0; i < uses->len; i++) {
        char *id, *own = g_strdup_printf("%s%u", name, i);
        bool ok = build_line(m, cl, uses->pdata[i], own, &id, err);
        g_free(own);
        if (!ok) return build_failed(uses->pdata[i], err);
        g_ptr_array_add(ids, id);
    }
    return true;
}

bool build_chardevs(Machine *m, CommandLine *cl, Error *err)
{
    for (unsigned i = 0; i < cl->chardevs->len; i++) {
        OptionUse *use = cl->chardevs->pdata[i];
        if (!build_add_chardev(m, chardev_from_options(m->ctx, use->opts, err), err)) {
            return build_failed(use, err);
        }
    }
    if (cl->parallels->len && !device_class_find("isa-parallel")) {
        error_set(err, "there is no parallel port device");
        return build_failed(cl->parallels->pdata[0], err);
    }
    if (cl->debugcons->len > 1) return error_set(err, "-debugcon: there is one debug port");
    if (cl->debugcons->len &&
        !build_line(m, cl, cl->debugcons->pdata[0], "debugcon", &m->config.debugcon, err)) {
        return build_failed(cl->debugcons->pdata[0], err);
    }
    return build_lines(m, cl, cl->serials, "serial", m->config.serials, err) &&
           build_lines(m, cl, cl->parallels, "parallel", m->config.parallels, err);
}

/* -- drives -- */

static void build_free_drive(void *bd) { block_dev_free(bd); }

static bool build_interface(DriveConfig *dc, const char *name, Error *err)
{
    static const struct {
        const char *name, *needs;
        int interface;
    } known[] = { { "ide", NULL, DRIVE_IDE }, { "none", NULL, DRIVE_NONE },
        { "floppy", "isa-fdc", DRIVE_FLOPPY }, { "virtio", "virtio-blk-pci", DRIVE_VIRTIO } };

    for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
        if (strcmp(known[i].name, name)) continue;
        if (known[i].needs && !device_class_find(known[i].needs)) {
            return error_set(err, "there is no %s device to attach it to; use if=ide", name);
        }
        dc->interface = known[i].interface;
        return true;
    }
    return error_set(err, "unsupported bus type '%s'; if=ide or if=none", name);
}

static bool build_index_taken(Machine *m, const DriveConfig *dc, int index)
{
    for (unsigned i = 0; i < m->config.drives->len; i++) {
        const DriveConfig *other = m->config.drives->pdata[i];
        if (other->interface == dc->interface && other->index == index) return true;
    }
    return false;
}

/* index=N, or bus=B,unit=U, or the next free place. */
static bool build_index(Machine *m, DriveConfig *dc, Options *o, Error *err)
{
    int places = dc->interface == DRIVE_IDE      ? IDE_UNITS
                 : dc->interface == DRIVE_FLOPPY ? FLOPPY_UNITS
                                                 : INT32_MAX;
    uint64_t index = 0, bus = 0, unit = 0;

    if (!options_get_u64(o, "index", &index, err) || !options_get_u64(o, "bus", &bus, err) ||
        !options_get_u64(o, "unit", &unit, err)) {
        return false;
    }
    if (options_get(o, "bus") || options_get(o, "unit")) {
        if (options_get(o, "index"))
            return error_set(err, "index cannot be used with bus and unit");
        if (bus > 1 || unit > 1) return error_set(err, "bus and unit are 0 or 1");
        index = dc->interface == DRIVE_IDE ? bus * 2 + unit : unit;
    } else if (!options_get(o, "index")) {
        /* A CD-ROM goes to the second channel, as media=cdrom on its own always did. */
        if (dc->interface == DRIVE_IDE && dc->cdrom) index = 2;
        while (index < (uint64_t)places && build_index_taken(m, dc, (int)index)) index++;
    }
    if (index >= (uint64_t)places) return error_set(err, "there is no place %d", (int)index);
    if (build_index_taken(m, dc, (int)index)) {
        return error_set(err, "drive with bus=%d, unit=%d (index=%d) exists", (int)index / 2,
            (int)index % 2, (int)index);
    }
    dc->index = (int)index;
    return true;
}

static char *build_drive_id(Machine *m, const DriveConfig *dc)
{
    char *id = NULL;

    switch (dc->interface) {
    case DRIVE_IDE:
        return g_strdup_printf("ide%d-%s%d", dc->index / 2, dc->cdrom ? "cd" : "hd", dc->index % 2);
    case DRIVE_FLOPPY: return g_strdup_printf("floppy%d", dc->index);
    default: break;
    }
    for (unsigned n = 0; !id || machine_object(m, "drive", id); n++) {
        g_free(id);
        id = g_strdup_printf("%s%u", dc->interface == DRIVE_VIRTIO ? "virtio" : "none", n);
    }
    return id;
}

static void build_free_drive_config(void *p)
{
    DriveConfig *dc = p;

    g_free(dc->id);
    g_free(dc->serial);
    g_free(dc);
}

static bool build_drive(Machine *m, CommandLine *cl, Options *o, DriveConfig *dc, Error *err)
{
    const char *media = options_get_or(o, "media", "disk"), *id = options_get(o, "id");
    Error ignored = ERROR_INIT;
    bool read_only = false;

    dc->cdrom = !strcmp(media, "cdrom");
    dc->serial = g_strdup(options_get(o, "serial"));
    if (!dc->cdrom && strcmp(media, "disk")) return error_set(err, "'%s' invalid media", media);
    if (!build_interface(dc, options_get_or(o, "if", "ide"), err)) return false;
    if (dc->interface != DRIVE_NONE && !build_index(m, dc, o, err)) return false;
    options_get_bool(o, "readonly", &read_only, &ignored);
    if (read_only && !dc->cdrom && dc->interface == DRIVE_IDE) {
        return error_set(err, "an IDE disk cannot be read-only; use media=cdrom or snapshot=on");
    }
    if (cl->snapshot && !options_get(o, "snapshot")) options_set(o, "snapshot", "on");
    dc->id = id ? g_strdup(id) : build_drive_id(m, dc);
    BlockDev *bd = block_dev_new(m->ctx, dc->id, o, cl->incoming != NULL, err);
    if (!bd) return false;
    if (dc->cdrom || dc->interface == DRIVE_FLOPPY) block_dev_set_removable(bd, true);
    if (machine_object_add(m, "drive", dc->id, bd, build_free_drive, err)) return true;
    block_dev_free(bd);
    return false;
}

bool build_drives(Machine *m, CommandLine *cl, Error *err)
{
    g_ptr_array_set_free_func(m->config.drives, build_free_drive_config);
    for (unsigned i = 0; i < cl->drives->len; i++) {
        OptionUse *use = cl->drives->pdata[i];
        DriveConfig *dc = g_new0(DriveConfig, 1);
        if (!build_drive(m, cl, use->opts, dc, err)) {
            build_free_drive_config(dc);
            return build_failed(use, err);
        }
        if (dc->interface == DRIVE_NONE) {
            build_free_drive_config(dc);
        } else {
            g_ptr_array_add(m->config.drives, dc);
        }
    }
    return true;
}

/* -- networks -- */

static void build_free_nic(void *p)
{
    NicConfig *nc = p;

    g_free(nc->model);
    g_free(nc->netdev);
    g_free(nc->mac);
    g_free(nc->id);
    g_free(nc);
}

static bool build_nic(Machine *m, OptionUse *use, unsigned n, Error *err)
{
    Options *o = use->opts;
    bool legacy = !strcmp(use->option, "net");
    const char *mac = options_get(o, legacy ? "macaddr" : "mac"), *id = options_get(o, "id");
    uint8_t bytes[6];
    NicConfig *nc = g_new0(NicConfig, 1);

    nc->model = g_strdup(options_get(o, "model"));
    nc->mac = g_strdup(mac);
    nc->no_vectors = !legacy;
    g_ptr_array_add(m->config.nics, nc);
    if (mac && !mac_parse(mac, bytes)) return error_set(err, "invalid MAC address '%s'", mac);
    if (legacy && !strcmp(options_get_or(o, "type", ""), "nic")) { /* a card by itself */
        nc->netdev = g_strdup(options_get(o, "netdev"));
        return options_check_used(o, "net", err);
    }
    if (legacy && !options_get(o, "card")) return error_set(err, "-net nic is missing");
    nc->netdev = id ? g_strdup(id) : g_strdup_printf("#net%03u", n);
    if (!id) options_set(o, "id", nc->netdev);
    return net_backend_create(m, o, err) != NULL;
}

bool build_networks(Machine *m, CommandLine *cl, Error *err)
{
    g_ptr_array_set_free_func(m->config.nics, build_free_nic);
    for (unsigned i = 0; i < cl->netdevs->len; i++) {
        OptionUse *use = cl->netdevs->pdata[i];
        if (!options_get(use->opts, "id")) {
            error_set(err, "Parameter 'id' is missing");
            return build_failed(use, err);
        }
        if (!net_backend_create(m, use->opts, err)) return build_failed(use, err);
    }
    for (unsigned i = 0; i < cl->nics->len; i++) {
        if (!build_nic(m, cl->nics->pdata[i], i, err)) return build_failed(cl->nics->pdata[i], err);
    }
    return true;
}

bool build_objects(Machine *m, CommandLine *cl, bool early, Error *err)
{
    for (unsigned i = 0; i < cl->objects->len; i++) {
        const OptionUse *use = cl->objects->pdata[i];
        const UserObjectType *type = user_object_find(options_get(use->opts, "qom-type"));

        if (type->early == early && !type->create(m, use->opts, err)) return build_failed(use, err);
    }
    return true;
}

/* -- monitors -- */

static void build_escape(void *opaque, char key)
{
    if (key == 'x') machine_request_shutdown(opaque, SHUTDOWN_HOST_QUIT);
}

typedef enum MonitorMode { MONITOR_HUMAN, MONITOR_QMP, MONITOR_QMP_PRETTY } MonitorMode;

static bool build_monitor(Machine *m, const char *chardev, MonitorMode mode, Error *err)
{
    Chardev *chr = machine_object(m, "chardev", chardev);

    if (!chr) return error_set(err, "chardev \"%s\" not found", chardev);
    if (chardev_is_mux(chr)) chardev_mux_on_escape(chr, build_escape, m);
    return mode == MONITOR_HUMAN ? monitor_new(m, chr, err)
                                 : monitor_new_qmp(m, chr, mode == MONITOR_QMP_PRETTY, err);
}

/* Of -mon, and of -monitor, -qmp and -qmp-pretty. */
static MonitorMode build_monitor_mode(const OptionUse *use)
{
    bool pretty = false;

    if (!use->opts) {
        return !strcmp(use->option, "qmp")          ? MONITOR_QMP
               : !strcmp(use->option, "qmp-pretty") ? MONITOR_QMP_PRETTY
                                                    : MONITOR_HUMAN;
    }
    options_get_bool(use->opts, "pretty", &pretty, NULL); /* checked when it was parsed */
    if (strcmp(options_get_or(use->opts, "mode", "readline"), "control")) return MONITOR_HUMAN;
    return pretty ? MONITOR_QMP_PRETTY : MONITOR_QMP;
}

bool build_monitors(Machine *m, CommandLine *cl, Error *err)
{
    for (unsigned i = 0; i < cl->mons->len; i++) {
        OptionUse *use = cl->mons->pdata[i];
        const char *chardev = options_get(use->opts, "chardev");
        if (!build_monitor(m, chardev, build_monitor_mode(use), err)) {
            return build_failed(use, err);
        }
    }
    for (unsigned i = 0; i < cl->monitors->len; i++) {
        OptionUse *use = cl->monitors->pdata[i];
        char *id, *own = g_strdup_printf("compat_monitor%u", i);
        bool ok = build_line(m, cl, use, own, &id, err) &&
                  (!id || build_monitor(m, id, build_monitor_mode(use), err));
        g_free(own);
        if (!ok) return build_failed(use, err);
        g_free(id);
    }
    return true;
}
