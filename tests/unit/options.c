/* SPDX-License-Identifier: MIT */
/* The command line: what each option sets, what is refused and how, and the defaults. */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "system/build.h"
#include "system/options.h"

static bool parse(CommandLine *cl, const char *line, Error *err)
{
    char **argv, *text = g_strconcat("stasis ", line, NULL);
    int argc;

    *err = (Error)ERROR_INIT;
    g_assert_true(g_shell_parse_argv(text, &argc, &argv, NULL));
    bool ok = options_parse_args(cl, argc, argv, err);
    g_strfreev(argv);
    g_free(text);
    return ok;
}

static CommandLine parsed(const char *line)
{
    CommandLine cl;
    Error err;

    parse(&cl, line, &err);
    g_assert_cmpstr(err.msg, ==, "");
    return cl;
}

static void refused(const char *line, const char *want)
{
    CommandLine cl;
    Error err;

    g_assert_false(parse(&cl, line, &err));
    g_assert_cmpstr(err.msg, ==, want);
    command_line_free(&cl);
}

static const char *use_text(const GPtrArray *uses, unsigned i)
{
    g_assert_cmpuint(i, <, uses->len);
    return ((OptionUse *)uses->pdata[i])->text;
}

static const char *use_get(const GPtrArray *uses, unsigned i, const char *key)
{
    g_assert_cmpuint(i, <, uses->len);
    return options_get(((OptionUse *)uses->pdata[i])->opts, key);
}

static void test_machine(void)
{
    CommandLine cl =
        parsed("-M pc,acpi=off,usb=off,vmport=auto -cpu pentium3,-apic -m 64 -smp 1 "
               "-name guest=vm,debug-threads=on --no-reboot -no-shutdown -S -only-migratable "
               "-uuid 12345678-1234-ABCD-1234-123456789abc -accel tcg,thread=single");

    g_assert_cmpstr(cl.config.type, ==, "pc");
    g_assert_cmpstr(options_get(cl.config.type_opts, "acpi"), ==, "off");
    g_assert_cmpstr(cl.config.cpu, ==, "pentium3,-apic");
    g_assert_cmpuint(cl.config.ram_size, ==, 64 * MiB);
    g_assert_cmpstr(cl.config.name, ==, "vm");
    g_assert_cmpstr(cl.config.uuid, ==, "12345678-1234-abcd-1234-123456789abc");
    g_assert_true(cl.config.no_reboot && cl.config.no_shutdown && cl.config.stopped &&
                  cl.config.only_migratable);
    command_line_free(&cl);

    cl = parsed("-machine isapc -m size=1G -name plain");
    g_assert_cmpstr(cl.config.type, ==, "isapc");
    g_assert_cmpuint(cl.config.ram_size, ==, GiB);
    g_assert_cmpstr(cl.config.name, ==, "plain");
    command_line_free(&cl);

    cl = parsed("-M pc");
    g_assert_true(cl.config.hpet);
    command_line_free(&cl);
    cl = parsed("-M pc,hpet=off");
    g_assert_false(cl.config.hpet);
    command_line_free(&cl);
    cl = parsed("-no-hpet");
    g_assert_false(cl.config.hpet);
    command_line_free(&cl);
    refused("-M pc,usb=on", "-M pc,usb=on: usb=on: USB is not modelled; use usb=off");
}

static void test_boot(void)
{
    CommandLine cl = parsed("-boot order=dc,once=a,menu=on,splash-time=500 -kernel k -initrd i "
                            "-append 'a b,c=d' -bios b -L dir");

    g_assert_cmpstr(cl.config.boot_order, ==, "dc");
    g_assert_cmpstr(cl.config.boot_once, ==, "a");
    g_assert_true(cl.config.boot_menu);
    g_assert_cmpint(cl.config.boot_menu_timeout_ms, ==, 500);
    g_assert_cmpstr(cl.config.append, ==, "a b,c=d");
    g_assert_cmpstr(cl.config.bios_dir, ==, "dir");
    command_line_free(&cl);
    cl = parsed("-boot d");
    g_assert_cmpstr(cl.config.boot_order, ==, "d");
    g_assert_cmpint(cl.config.boot_menu_timeout_ms, ==, -1);
    command_line_free(&cl);
    refused("-boot order=zz", "-boot order=zz: Invalid boot device for 'zz'");
    refused("-boot order=cc", "-boot order=cc: Boot device 'c' was given twice");
    refused("-append x", "-append only allowed with -kernel option");
    refused("-initrd x", "-initrd only allowed with -kernel option");
}

static void test_time(void)
{
    CommandLine cl = parsed("-rtc base=2006-06-17T16:01:21,clock=vm -icount shift=3,sleep=off");

    g_assert_cmpint(cl.config.rtc_base, ==, 1150560081);
    g_assert_cmpint(cl.rtc_clock, ==, RTC_CLOCK_VM);
    g_assert_true(cl.icount && !cl.icount_sleep);
    g_assert_cmpuint(cl.icount_shift, ==, 3);
    command_line_free(&cl);
    cl = parsed("-rtc base=localtime -icount 0");
    g_assert_true(cl.config.rtc_localtime && cl.icount && cl.icount_sleep);
    g_assert_cmpint(cl.config.rtc_base, ==, INT64_MIN);
    g_assert_cmpint(cl.rtc_clock, ==, -1);
    command_line_free(&cl);
    cl = parsed("-rtc base=1999-12-31 -torture 1000");
    g_assert_cmpint(cl.config.rtc_base, ==, 946598400);
    g_assert_cmpint(cl.torture, ==, 1000);
    command_line_free(&cl);
    refused("-icount shift=11", "-icount shift=11: Invalid shift value 11: 0 to 10");
    refused("-icount shift=auto",
        "-icount shift=auto: shift=auto is not there: give a fixed shift, 0 to 10");
}

static void test_drives(void)
{
    CommandLine cl = parsed("disk.img -hdb a,b.img -cdrom c.iso -drive "
                            "file=x,,y.qcow2,if=none,id=d0 -snapshot -loadvm tag");

    g_assert_cmpuint(cl.drives->len, ==, 4);
    g_assert_cmpstr(use_get(cl.drives, 0, "file"), ==, "disk.img");
    g_assert_cmpstr(use_get(cl.drives, 0, "index"), ==, "0");
    g_assert_cmpstr(use_get(cl.drives, 1, "file"), ==, "a,b.img");
    g_assert_cmpstr(use_get(cl.drives, 1, "index"), ==, "1");
    g_assert_cmpstr(use_get(cl.drives, 2, "media"), ==, "cdrom");
    g_assert_cmpstr(use_get(cl.drives, 2, "index"), ==, "2");
    g_assert_cmpstr(use_get(cl.drives, 3, "file"), ==, "x,y.qcow2");
    g_assert_true(cl.snapshot);
    g_assert_cmpstr(cl.loadvm, ==, "tag");
    command_line_free(&cl);
    refused("-loadvm a -incoming defer", "-loadvm and -incoming exclude each other");
}

static void test_devices(void)
{
    CommandLine cl = parsed("-device isa-debug-exit,iobase=0xf4 -global isa-serial.index=1 "
                            "-global driver=VGA,property=vgamem_mb,value=8 -vga none -netdev "
                            "user,id=n0 -nic none -object filter-dump,id=f,netdev=n0,file=p.pcap");
    Options *o = cl.config.devices->pdata[0], *g = cl.config.globals->pdata[1];

    g_assert_cmpstr(options_get(o, "driver"), ==, "isa-debug-exit");
    g_assert_cmpstr(options_get(o, "iobase"), ==, "0xf4");
    g_assert_cmpstr(options_get(cl.config.globals->pdata[0], "property"), ==, "index");
    g_assert_cmpstr(options_get(g, "value"), ==, "8");
    g_assert_true(cl.no_nic);
    g_assert_cmpstr(use_get(cl.netdevs, 0, "type"), ==, "user");
    g_assert_cmpuint(cl.objects->len, ==, 1);
    command_line_free(&cl);
    refused("-device isa-seril", "-device isa-seril: 'isa-seril' is not a valid device model "
                                 "name; did you mean 'isa-serial'?");
    refused("-object foo,id=x",
        "-object foo,id=x: invalid object type 'foo'; there are: filter-dump, "
        "rng-builtin, rng-random");
}

static void test_unknown(void)
{
    refused("-serail x", "-serail: invalid option (did you mean '-serial'?)");
    refused("--nografic", "-nografic: invalid option (did you mean '-nographic'?)");
    refused("-qqqqqqqqqq", "-qqqqqqqqqq: invalid option ('stasis -help' lists them)");
    refused("-m", "-m: requires an argument");
    refused("-m 1T", "-m 1T: guest memory is 1 MiB to 1023 GiB");
    refused("-smp 0", "-smp 0: cpus: a number from 1 to 1024 expected");
    refused("-smp 3,cores=2,sockets=1",
        "-smp 3,cores=2,sockets=1: Invalid CPU topology: sockets (1) * dies (1) * "
        "cores (2) * threads (1) != maxcpus (3)");
    refused("-smp 2,maxcpus=4",
        "-smp 2,maxcpus=4: maxcpus=4: no CPU can be plugged in later; use cpus=4");
    refused("-uuid 12", "-uuid 12: failed to parse UUID string: wrong format");
    refused("-vga foo", "-vga foo: invalid adapter; 'std' or 'none'");
    refused("-d foo", "-d foo: unknown log item 'foo'");
    refused("-daemonize -nographic", "-nographic cannot be used with -daemonize");
}

/* -- defaults -- */

static CommandLine defaulted(const char *line)
{
    CommandLine cl = parsed(line);
    command_line_defaults(&cl);
    return cl;
}

static void test_defaults(void)
{
    CommandLine cl = defaulted("");

    g_assert_cmpstr(use_text(cl.serials, 0), ==, "null");
    g_assert_cmpstr(use_text(cl.monitors, 0), ==, "stdio");
    g_assert_cmpstr(cl.config.vga, ==, "std");
    g_assert_cmpstr(use_get(cl.drives, 0, "media"), ==, "cdrom");
    g_assert_cmpstr(use_get(cl.nics, 0, "type"), ==, "user");
    g_assert_null(cl.display);
    command_line_free(&cl);

    cl = defaulted("-nographic");
    g_assert_cmpstr(use_text(cl.serials, 0), ==, "mon:stdio");
    g_assert_cmpuint(cl.monitors->len, ==, 0);
    g_assert_cmpstr(cl.display, ==, "none");
    command_line_free(&cl);

    cl = defaulted("-nographic -monitor none");
    g_assert_cmpstr(use_text(cl.serials, 0), ==, "stdio");
    command_line_free(&cl);

    cl = defaulted("-nographic -serial null");
    g_assert_cmpstr(use_text(cl.monitors, 0), ==, "stdio");
    command_line_free(&cl);

    cl = defaulted("-serial stdio");
    g_assert_cmpuint(cl.monitors->len, ==, 0);
    command_line_free(&cl);

    cl = defaulted("-daemonize");
    g_assert_cmpuint(cl.monitors->len, ==, 0);
    g_assert_cmpstr(cl.display, ==, "none");
    command_line_free(&cl);

    cl = defaulted("-nodefaults");
    g_assert_cmpuint(cl.serials->len + cl.monitors->len + cl.drives->len + cl.nics->len, ==, 0);
    g_assert_cmpstr(cl.config.vga, ==, "none");
    command_line_free(&cl);

    cl = defaulted("-nodefaults -vga std");
    g_assert_cmpstr(cl.config.vga, ==, "std");
    command_line_free(&cl);

    cl = defaulted("-hdc x -netdev user,id=a"); /* and an empty floppy drive */
    g_assert_cmpuint(cl.drives->len, ==, 2);
    g_assert_cmpuint(cl.nics->len, ==, 0);
    command_line_free(&cl);

    cl = defaulted("-hdc x -fda y");
    g_assert_cmpuint(cl.drives->len, ==, 2);
    command_line_free(&cl);
}

/* What scripts use is in the table. */
static void test_help(void)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    options_print_help(f);
    fclose(f);
    const char *const named[] = { "-M ", "-cpu ", "-m ", "-hda ", "-hdd ", "-cdrom ", "-fda ",
        "-drive ", "-snapshot", "-boot ", "-kernel ", "-initrd ", "-append ", "-bios ", "-L ",
        "-nic ", "-netdev ", "-device ", "-serial ", "-parallel ", "-monitor ", "-chardev ",
        "-nographic", "-display ", "-vga ", "-rtc ", "-icount ", "-loadvm ", "-incoming ", "-S",
        "-no-reboot", "-no-shutdown", "-name ", "-uuid ", "-pidfile ", "-daemonize", "-object ",
        "-global ", "-debugcon ", "-nodefaults", "-no-acpi", "-accel ", "-machine ", "-d ", "-D ",
        "-version", "-h", "-smp ", "-torture ", "-mon " };
    for (unsigned i = 0; i < ARRAY_SIZE(named); i++) {
        char *line = g_strconcat("\n", named[i], NULL);
        if (!strstr(text, line)) g_error("--help does not show %s", named[i]);
        g_free(line);
    }
    free(text);
}

/* Sizes to the last byte, where a double has not as many bits. */
static void test_sizes(void)
{
    static const struct {
        const char *text;
        char suffix;
        uint64_t want;
    } good[] = {
        { "0", 'B', 0 },
        { "9007199254740993", 'B', 9007199254740993 },
        { "9223372036854775807", 'B', INT64_MAX },
        { "3", 'M', 3 * MiB },
        { "0x10", 'K', 16 * KiB },
        { "010", 'B', 10 },
        { "1.5", 'M', MiB + MiB / 2 },
        { "1.1k", 'B', 1126 },
        { "1.", 'B', 1 },
        { " 5b", 'M', 5 },
        { "1E", 'B', UINT64_C(1) << 60 },
    };
    static const char *const bad[] = { "", "k", "-1", "1.5", "1.5B", ".5M", "1e3", "1kb", "1 ",
        "0x", "nan", "9223372036854775808", "8E", "16E", "18446744073709551616" };
    Error err = ERROR_INIT;
    uint64_t v;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        g_assert_true(parse_size(good[i].text, good[i].suffix, &v, &err));
        g_assert_cmpuint(v, ==, good[i].want);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) g_assert_false(parse_size(bad[i], 'B', &v, NULL));
    g_assert_cmpint(scan_size("18446744073709551615", 'B', &v), ==, SIZE_FINE);
    g_assert_cmpuint(v, ==, UINT64_MAX);
    g_assert_cmpint(scan_size("16777216T", 'B', &v), ==, SIZE_RANGE);
    g_assert_cmpint(scan_size("16777215.5T", 'B', &v), ==, SIZE_FINE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/sizes", test_sizes);
    g_test_add_func("/options/machine", test_machine);
    g_test_add_func("/options/boot", test_boot);
    g_test_add_func("/options/time", test_time);
    g_test_add_func("/options/drives", test_drives);
    g_test_add_func("/options/devices", test_devices);
    g_test_add_func("/options/unknown", test_unknown);
    g_test_add_func("/options/defaults", test_defaults);
    g_test_add_func("/options/help", test_help);
    return g_test_run();
}
