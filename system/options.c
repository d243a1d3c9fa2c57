/* SPDX-License-Identifier: MIT */
/* The table of options: it parses the command line and makes --help. */
#include "system/options.h"

#include <stdio.h>
#include <string.h>

typedef struct OptionDef {
    const char *name; /* without dashes; NULL: a heading, its text in help */
    const char *arg;  /* as --help shows it; NULL: takes none */
    const char *help; /* lines; NULL: listed with the option before */
    OptionSet *set;   /* or one of these: */
    size_t text;      /* offset of a char * in CommandLine that takes the argument */
    size_t flag;      /* offset of a bool in CommandLine that becomes true */
} OptionDef;

#define HEADING(text_)                                                                             \
    {                                                                                              \
        .help = (text_)                                                                            \
    }
#define CALL(name_, arg_, help_, set_)                                                             \
    {                                                                                              \
        .name = (name_), .arg = (arg_), .help = (help_), .set = (set_)                             \
    }
#define TEXT(name_, arg_, help_, member)                                                           \
    {                                                                                              \
        .name = (name_), .arg = (arg_), .help = (help_), .text = offsetof(CommandLine, member)     \
    }
#define FLAG(name_, help_, member)                                                                 \
    {                                                                                              \
        .name = (name_), .help = (help_), .flag = offsetof(CommandLine, member)                    \
    }

static OptionSet opt_help, opt_version, opt_torture, opt_no_user_config;

/* clang-format off */
static const OptionDef options_table[] = {
    HEADING("Standard options"),
    CALL("h", NULL, NULL, opt_help),
    CALL("help", NULL, "show this text", opt_help),
    CALL("version", NULL, "show the version", opt_version),
    CALL("M", "NAME[,PROP=VALUE...]", NULL, opt_machine),
    CALL("machine", "[type=]NAME[,PROP=VALUE...]",
        "the machine ('-M help' lists them); acpi=, smm=, hpet=, usb=, vmport=, accel=",
        opt_machine),
    CALL("cpu", "MODEL[,-FEATURE...]", "the CPU model ('-cpu help' lists them)", opt_cpu),
    CALL("accel", "tcg", "how instructions are executed: by this program", opt_accel),
    CALL("smp", "[cpus=]N[,sockets=][,dies=][,cores=][,threads=]",
        "how many CPUs, and how they are made up", opt_smp),
    CALL("m", "[size=]MEGS", "guest memory, with an optional suffix K, M or G", opt_memory),
    CALL("boot", "[order=]DRIVES[,once=DRIVES][,menu=on|off][,splash-time=MS]",
        "what to boot from: floppy (a), disk (c), CD-ROM (d), network (n); also strict=, "
        "reboot-timeout=", opt_boot),
    CALL("device", "DRIVER[,PROP=VALUE...]",
        "adds a device ('-device help' lists them, '-device DRIVER,help' its properties)",
        opt_device),
    CALL("global", "DRIVER.PROP=VALUE",
        "another default for a property of all devices of a driver", opt_global),
    CALL("name", "[guest=]NAME", "the guest's name, for window title and monitor", opt_name),
    CALL("uuid", "UUID", "the machine's UUID", opt_uuid),
    CALL("smbios", "type=N[,FIELD=VALUE...]",
        "what the firmware's tables say ('-smbios help' lists the fields)", opt_smbios),
    CALL("fw_cfg", "[name=]NAME,string=TEXT|file=FILE", "a file for the firmware and the guest",
        opt_fw_cfg),
    FLAG("nodefaults", "no devices that were not asked for", config.no_defaults),
    CALL("no-user-config", NULL, "nothing: there are no such files", opt_no_user_config),

    HEADING("Disks"),
    CALL("hda", "FILE", NULL, opt_disk),
    CALL("hdb", "FILE", "IDE disks 0 and 1", opt_disk),
    CALL("hdc", "FILE", NULL, opt_disk),
    CALL("hdd", "FILE", "IDE disks 2 and 3", opt_disk),
    CALL("cdrom", "FILE", "CD-ROM image (IDE unit 2)", opt_cdrom),
    CALL("fda", "FILE", NULL, opt_floppy),
    CALL("fdb", "FILE", "floppy images", opt_floppy),
    CALL("drive", "file=FILE[,if=ide|virtio|none][,index=N][,media=disk|cdrom][,format=FMT]...",
        "a drive; also id=, snapshot=, readonly=, cache=, werror=, rerror=, serial=", opt_drive),
    FLAG("snapshot", "write to temporary files instead of the images", snapshot),
    TEXT("loadvm", "TAG", "start with a snapshot that savevm took", loadvm),

    HEADING("Display"),
    CALL("display", "TYPE", "what shows the screen ('-display help' lists them)", opt_display),
    FLAG("nographic", "no display; serial port and monitor on the terminal", nographic),
    CALL("vnc", "none", NULL, opt_vnc),
    CALL("k", "en-us", "as QEMU has them, and no others", opt_keymap),
    CALL("vga", "std|none", "the display adapter", opt_vga),

    HEADING("Network"),
    CALL("netdev", "TYPE,id=ID[,...]", "a network back end ('-netdev help' lists them)",
        opt_netdev),
    CALL("nic", "TYPE|none[,model=MODEL][,mac=MAC][,...]",
        "a network card with its back end in one", opt_nic),
    CALL("net", "nic|TYPE|none[,...]", "the old form: -net nic[,model=][,macaddr=] -net user[,...]",
        opt_net),
    CALL("object", "TYPE,id=ID[,...]",
        "filter-dump (traffic to a pcap file), a source of rng= ... ('-object help' lists them)",
        opt_object),

    HEADING("Lines (DEV: stdio, pty, null, file:F, pipe:F, tcp:HOST:PORT, unix:F, chardev:ID)"),
    CALL("chardev", "TYPE,id=ID[,mux=on|off][,...]",
        "a character device ('-chardev help' lists the types)", opt_chardev),
    CALL("serial", "DEV", "what a serial port talks to; mon:DEV shares DEV with a monitor",
        opt_line),
    CALL("parallel", "DEV", "what a parallel port talks to", opt_line),
    CALL("monitor", "DEV", "a monitor on DEV", opt_line),
    CALL("qmp", "DEV", "a QMP session on DEV, for programs", opt_line),
    CALL("qmp-pretty", "DEV", "the same, with its JSON over several lines", opt_line),
    CALL("mon", "[chardev=]ID[,mode=readline|control][,pretty=on|off]",
        "a monitor or QMP session on a -chardev", opt_mon),
    CALL("debugcon", "DEV", "what is written to the debug port", opt_line),

    HEADING("Booting Linux or a multiboot kernel"),
    TEXT("kernel", "FILE", "the kernel", config.kernel),
    TEXT("append", "TEXT", "its command line", config.append),
    TEXT("initrd", "FILE", "its initial RAM disk", config.initrd),
    TEXT("bios", "FILE", "another firmware", config.bios),
    TEXT("L", "DIR", "where firmware is looked for first", config.bios_dir),

    HEADING("Running"),
    FLAG("S", "do not start the CPU ('cont' in the monitor does)", config.stopped),
    TEXT("incoming", "URI", "wait for a migration on tcp:, unix:, exec:, fd:, file: or defer",
        incoming),
    FLAG("only-migratable", "no devices that savevm and migration cannot take along",
        config.only_migratable),
    CALL("rtc", "[base=utc|localtime|DATE][,clock=host|rt|vm]", "the real-time clock", opt_rtc),
    CALL("icount", "[shift=]N[,sleep=on|off]",
        "virtual time counts instructions, 2^N ns each: a run is repeatable", opt_icount),
    FLAG("no-reboot", "end instead of rebooting", config.no_reboot),
    FLAG("no-shutdown", "stop instead of ending when the guest powers off", config.no_shutdown),
    CALL("action", "[reboot=reset|shutdown][,shutdown=poweroff|pause]",
        "what a guest's reset and power-off do", opt_action),
    CALL("no-acpi", NULL, "no ACPI", opt_no_acpi),
    CALL("no-hpet", NULL, "no event timers (HPET)", opt_no_hpet),
    TEXT("pidfile", "FILE", "write the process id to FILE", pidfile),
    FLAG("daemonize", "go to the background once everything is set up", daemonize),
    CALL("d", "ITEM[,...]", "what to log ('-d help' lists it)", opt_log),
    TEXT("D", "FILE", "log to FILE instead of standard error", log_file),
    TEXT("dump-vmstate", "FILE", "write the layout of all devices' states to FILE, and end",
        dump_vmstate),
    CALL("torture", "N", "save and reload the machine in place every N instructions", opt_torture),
};
/* clang-format on */

/* -- help -- */

static bool opt_help(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    (void)option, (void)arg, (void)err;
    options_print_help(stdout);
    cl->answered = true;
    return true;
}

static bool opt_version(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    (void)option, (void)arg, (void)err;
    puts("Stasis emulator version " STASIS_VERSION);
    cl->answered = true;
    return true;
}

void options_print_help(FILE *to)
{
    fputs("Stasis emulator version " STASIS_VERSION "\n"
          "usage: stasis [options] [disk_image]\n\n"
          "'disk_image' is a hard disk image for IDE hard disk 0\n",
        to);
    for (unsigned i = 0; i < ARRAY_SIZE(options_table); i++) {
        const OptionDef *o = &options_table[i];
        if (!o->name) {
            fprintf(to, "\n%s:\n", o->help);
            continue;
        }
        int n = fprintf(to, "-%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        if (!o->help) {
            fputc('\n', to);
        } else if (n < 16) {
            fprintf(to, "%*s%s\n", 16 - n, "", o->help);
        } else {
            fprintf(to, "\n%16s%s\n", "", o->help);
        }
    }
}

/* -- parsing -- */

static bool opt_no_user_config(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    (void)cl, (void)option, (void)arg, (void)err;
    return true;
}

static bool opt_torture(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    uint64_t n = 0;

    (void)option;
    if (!parse_u64(arg, &n, err)) return false;
    if (n < 1 || n > INT64_MAX) return error_set(err, "not a number of instructions");
    cl->torture = (int64_t)n;
    return true;
}

static const OptionDef *options_find(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(options_table); i++) {
        if (options_table[i].name && !strcmp(options_table[i].name, name)) return &options_table[i];
    }
    return NULL;
}

/* What people try that know QEMU, and why it is not there. */
static const struct {
    const char *name, *why;
} options_absent[] = {
    { "enable-kvm", "there is no KVM: instructions are executed by this program (-accel tcg)" },
    { "usb", "USB is not modelled" },
    { "usbdevice", "USB is not modelled" },
    { "s", "there is no gdb server" },
    { "gdb", "there is no gdb server" },
    { "blockdev", "use -drive" },
    { "soundhw", "there are no sound cards" },
    { "audiodev", "there are no sound cards" },
    { "curses", "use -nographic, or -display sdl" },
    { "sdl", "use -display sdl" },
    { "spice", "use -display sdl" },
    { "pflash", "there are no flash chips; use -bios" },
};

static bool options_unknown(const char *name, Error *err)
{
    for (unsigned i = 0; i < ARRAY_SIZE(options_absent); i++)
        if (!strcmp(options_absent[i].name, name))
            return error_set(err, "-%s: %s", name, options_absent[i].why);

    const char *names[ARRAY_SIZE(options_table)];
    size_t n = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(options_table); i++) {
        if (options_table[i].name) names[n++] = options_table[i].name;
    }
    const char *near = did_you_mean(name, names, n);
    if (near) return error_set(err, "-%s: invalid option (did you mean '-%s'?)", name, near);
    return error_set(err, "-%s: invalid option ('stasis -help' lists them)", name);
}

static bool options_apply(CommandLine *cl, const OptionDef *o, const char *arg, Error *err)
{
    if (option_wants_help(arg) && help_values(o->name)) {
        cl->answered = true;
    } else if (o->text) {
        char **at = (char **)((char *)cl + o->text);
        g_free(*at);
        *at = g_strdup(arg);
    } else if (o->flag) {
        *(bool *)((char *)cl + o->flag) = true;
    } else if (!o->set(cl, o->name, arg, err)) {
        return error_prefix(err, "-%s%s%s: ", o->name, o->arg ? " " : "", o->arg ? arg : "");
    }
    return true;
}

static void options_init(CommandLine *cl)
{
    MachineConfig *c = &cl->config;
    GPtrArray **uses[] = { &cl->drives, &cl->netdevs, &cl->nics, &cl->chardevs, &cl->objects,
        &cl->smbios, &cl->mons, &cl->serials, &cl->parallels, &cl->monitors, &cl->debugcons };

    *cl = (CommandLine){ .icount_sleep = true, .rtc_clock = -1 };
    for (unsigned i = 0; i < ARRAY_SIZE(uses); i++) *uses[i] = g_ptr_array_new();
    c->cpus = c->dies = c->cores = c->threads = 1;
    c->boot_menu_timeout_ms = c->boot_retry_ms = -1;
    c->rtc_base = INT64_MIN;
    c->type_opts = options_new();
    c->acpi = c->hpet = c->smm = true;
    c->drives = g_ptr_array_new();
    c->nics = g_ptr_array_new();
    c->serials = g_ptr_array_new();
    c->parallels = g_ptr_array_new();
    c->devices = g_ptr_array_new();
    c->globals = g_ptr_array_new();
    c->fw_cfg_files = g_ptr_array_new();
}

/* What makes sense only together. */
static bool options_check(const CommandLine *cl, Error *err)
{
    if (!cl->config.kernel && cl->config.append) {
        return error_set(err, "-append only allowed with -kernel option");
    }
    if (!cl->config.kernel && cl->config.initrd) {
        return error_set(err, "-initrd only allowed with -kernel option");
    }
    if (cl->loadvm && cl->incoming) {
        return error_set(err, "-loadvm and -incoming exclude each other");
    }
    if (cl->daemonize && cl->nographic) {
        return error_set(err, "-nographic cannot be used with -daemonize");
    }
    return true;
}

bool options_parse_args(CommandLine *cl, int argc, char **argv, Error *err)
{
    options_init(cl);
    for (int i = 1; i < argc && !cl->answered; i++) {
        const char *name = argv[i], *arg = "";
        const OptionDef *o;
        if (name[0] != '-' || !name[1]) {
            o = options_find("hda");
            arg = name;
        } else {
            name += name[1] == '-' ? 2 : 1;
            o = options_find(name);
            if (!o) return options_unknown(name, err);
            if (o->arg) {
                if (++i == argc) return error_set(err, "-%s: requires an argument", name);
                arg = argv[i];
            }
        }
        if (!options_apply(cl, o, arg, err)) return false;
    }
    return cl->answered || options_check(cl, err);
}

/* -- freeing -- */

static void option_uses_free(GPtrArray *uses)
{
    for (unsigned i = 0; uses && i < uses->len; i++) {
        OptionUse *use = uses->pdata[i];
        if (use->opts) options_free(use->opts);
        g_free(use->text);
        g_free(use);
    }
    if (uses) g_ptr_array_unref(uses);
}

static void options_list_free(GPtrArray *list)
{
    for (unsigned i = 0; list && i < list->len; i++) options_free(list->pdata[i]);
    if (list) g_ptr_array_unref(list);
}

/* A config that no machine took (build.c moves it there, and leaves nothing here). */
static void options_config_free(MachineConfig *c)
{
    char *texts[] = { c->type, c->cpu, c->name, c->uuid, c->bios_dir, c->bios, c->kernel, c->initrd,
        c->append, c->boot_order, c->boot_once, c->vga };
    GPtrArray *empty[] = { c->drives, c->nics, c->serials, c->parallels };

    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) g_free(texts[i]);
    for (unsigned i = 0; i < ARRAY_SIZE(empty); i++) {
        if (empty[i]) g_ptr_array_unref(empty[i]);
    }
    if (c->type_opts) options_free(c->type_opts);
    options_list_free(c->devices);
    options_list_free(c->globals);
    options_list_free(c->fw_cfg_files);
}

void command_line_free(CommandLine *cl)
{
    options_config_free(&cl->config);
    option_uses_free(cl->drives);
    option_uses_free(cl->netdevs);
    option_uses_free(cl->nics);
    option_uses_free(cl->chardevs);
    option_uses_free(cl->objects);
    option_uses_free(cl->smbios);
    option_uses_free(cl->mons);
    option_uses_free(cl->serials);
    option_uses_free(cl->parallels);
    option_uses_free(cl->monitors);
    option_uses_free(cl->debugcons);
    g_free(cl->display);
    g_free(cl->loadvm);
    g_free(cl->incoming);
    g_free(cl->log_mask);
    g_free(cl->log_file);
    g_free(cl->pidfile);
    g_free(cl->dump_vmstate);
}
