/* SPDX-License-Identifier: MIT */
/* What an option's value `help` lists: made from the link-time sets, sorted by name. */
#include <stdio.h>
#include <string.h>

#include "migration/migration.h"
#include "net/net.h"
#include "system/options.h"
#include "ui/ui.h"
#include "util/chardev.h"

bool option_wants_help(const char *arg)
{
    return arg && (!strcmp(arg, "help") || !strcmp(arg, "?"));
}

/* The keys of options whose values are not listed by a set. */
static const struct {
    const char *option, *keys;
} help_key_lists[] = {
    { "m", "  size=<size> - with an optional suffix K, M or G" },
    { "smp", "  cpus=<number>\n"
             "  sockets=<number>\n"
             "  dies=<number> - in a socket\n"
             "  cores=<number> - in a die\n"
             "  threads=<number> - in a core" },
    { "boot", "  order=<drives> - of a (floppy), c (disk), d (CD-ROM), n (network)\n"
              "  once=<drives> - for the first boot alone\n"
              "  menu=<bool>\n"
              "  splash-time=<ms> - how long the menu waits\n"
              "  strict=<bool>" },
    { "rtc", "  base=<utc, localtime, or a date as 2006-06-17T16:01:21>\n"
             "  clock=<host, rt or vm>\n"
             "  driftfix=<none>" },
    { "icount", "  shift=<0 to 10> - an instruction takes 2^shift ns\n"
                "  sleep=<bool> - whether an idle guest waits for real time\n"
                "  align=<off>" },
    { "name", "  guest=<str>\n  process=<str>\n  debug-threads=<bool>" },
    { "global", "  driver=<str>\n  property=<str>\n  value=<str>" },
    { "uuid", "  32 hexadecimal digits, as 12345678-1234-1234-1234-123456789abc" },
    { "torture", "  <num> - of instructions" },
    { "smbios", "  file=<a table as it is>, or type=<num> and fields of this type:\n"
                "  0: vendor, version, date, release=<num.num>, uefi=<bool>\n"
                "  1: manufacturer, product, version, serial, uuid, sku, family\n"
                "  2: manufacturer, product, version, serial, asset, location\n"
                "  3: manufacturer, version, serial, asset, sku\n"
                "  4: sock_pfx, manufacturer, version, serial, asset, part, max-speed, "
                "current-speed\n"
                "  11: value=<str>, as often as wanted\n"
                "  17: loc_pfx, bank, manufacturer, serial, asset, part, speed" },
    { "mon", "  chardev=<id of a -chardev>\n  mode=<readline or control>\n  pretty=<bool>" },
    { "drive", "  file=<str>\n"
               "  format=<str> - 'format=help' lists them\n"
               "  if=<ide or none>\n"
               "  index=<num>, or bus=<num> and unit=<num>\n"
               "  media=<disk or cdrom>\n"
               "  id=<str>\n"
               "  serial=<str>\n"
               "  snapshot=<bool>\n"
               "  readonly=<bool>\n"
               "  cache=<writeback, writethrough, none, directsync or unsafe>\n"
               "  werror=<report, ignore, enospc or stop>\n"
               "  rerror=<report, ignore or stop>" },
};

static void help_directories(void)
{
    for (const char *p = FIRMWARE_PATH; *p; p += strcspn(p, ":"), p += *p == ':')
        printf("%.*s\n", (int)strcspn(p, ":"), p);
}

/* Options whose one value is of a kind that has a list. */
static bool help_lists(const char *option)
{
    if (!strcmp(option, "L"))
        help_directories();
    else if (!strcmp(option, "incoming"))
        migration_help_channels();
    else
        return false;
    return true;
}

bool help_values(const char *option)
{
    if (help_lists(option)) return true;
    for (unsigned i = 0; i < ARRAY_SIZE(help_key_lists); i++) {
        if (strcmp(help_key_lists[i].option, option)) continue;
        printf("-%s options:\n%s\n", option, help_key_lists[i].keys);
        return true;
    }
    return false;
}

void help_line_devices(void)
{
    chardev_help();
    puts("As in '-serial file:F'; also:\n"
         "  none       no such device\n"
         "  tcp:       socket, as tcp:HOST:PORT,server=on|off,wait=on|off\n"
         "  unix:      socket, as unix:PATH,server=on|off,wait=on|off\n"
         "  mon:       before one of them: shared with a monitor\n"
         "  chardev:   the -chardev of this id");
}

static int help_order(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts the lines, prints and frees them. */
static void help_lines(const char *title, GPtrArray *lines)
{
    g_ptr_array_sort(lines, help_order);
    puts(title);
    for (unsigned i = 0; i < lines->len; i++) puts(lines->pdata[i]);
    g_ptr_array_unref(lines);
}

static GPtrArray *help_new(void) { return g_ptr_array_new_with_free_func(g_free); }

void help_machines(void)
{
    GPtrArray *lines = help_new();

    SET_EACH (MachineClass, c, machines) {
        g_ptr_array_add(lines,
            g_strdup_printf("%-20s %s%s", c->name, c->desc, c->is_default ? " (default)" : ""));
        if (c->alias) {
            g_ptr_array_add(
                lines, g_strdup_printf("%-20s %s (alias of %s)", c->alias, c->desc, c->name));
        }
    }
    help_lines("Supported machines are:", lines);
}

void help_devices(void)
{
    GPtrArray *lines = help_new();

    SET_EACH (DeviceClass, c, devices) {
        if (!c->user_creatable) continue;
        char *bus = c->bus ? g_ascii_strup(c->bus, -1) : NULL;
        g_ptr_array_add(lines,
            g_strdup_printf("name \"%s\"%s%s%s%s, desc \"%s\"", c->name, bus ? ", bus " : "",
                bus ? bus : "", c->alias ? ", alias " : "", c->alias ? c->alias : "", c->desc));
        g_free(bus);
    }
    help_lines("Devices:", lines);
}

static const char *help_prop_type(PropType type)
{
    switch (type) {
    case PROP_U8: return "uint8";
    case PROP_U16: return "uint16";
    case PROP_U32: return "uint32";
    case PROP_U64: return "uint64";
    case PROP_I32: return "int32";
    case PROP_BOOL: return "bool";
    case PROP_STR: return "str";
    case PROP_IRQ: return "wire (device.line)";
    case PROP_CHARDEV: return "id of a -chardev";
    case PROP_BLOCK: return "id of a -drive";
    case PROP_NET: return "id of a -netdev";
    case PROP_DEVICE: return "id of a device";
    case PROP_MAC: return "Ethernet address";
    }
    return "str";
}

bool help_device_props(const char *driver, Error *err)
{
    const DeviceClass *cls = device_class_find(driver);

    if (!cls) return error_set(err, "'%s' is not a valid device model name", driver);
    GPtrArray *lines = help_new();
    for (const Prop *p = cls->props; p && p->name; p++) {
        g_ptr_array_add(
            lines, p->fallback ? g_strdup_printf("  %s=<%s> - (default: \"%s\")", p->name,
                                     help_prop_type(p->type), p->fallback)
                               : g_strdup_printf("  %s=<%s>", p->name, help_prop_type(p->type)));
    }
    char *title = g_strdup_printf("%s options:", driver);
    help_lines(title, lines);
    g_free(title);
    return true;
}

void help_netdevs(void)
{
    GPtrArray *lines = help_new();

    SET_EACH (NetBackend, b, net_backends) {
        g_ptr_array_add(lines, g_strdup_printf("%-10s %s", b->name, b->desc));
    }
    help_lines("Available netdev backend types:", lines);
}

void help_nics(void)
{
    GPtrArray *lines = help_new();

    SET_EACH (DeviceClass, c, devices) {
        for (const Prop *p = c->props; p && p->name; p++) {
            if (p->type == PROP_MAC) {
                g_ptr_array_add(lines, g_strdup_printf("%-14s %s", c->name, c->desc));
            }
        }
    }
    help_lines("Supported NIC models:", lines);
}

void help_displays(void)
{
    GPtrArray *lines = help_new();

    SET_EACH (DisplayClass, d, displays) {
        g_ptr_array_add(lines, g_strdup_printf("%-10s %s", d->name, d->desc));
    }
    help_lines("Available display backend types:", lines);
}
