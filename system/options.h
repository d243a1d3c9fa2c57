/* SPDX-License-Identifier: MIT */
/* The command line: what it says, before anything is made of it. */
#pragma once

#include "core/machine.h"
#include "util/error.h"
#include "util/options.h"

/* One use of an option, kept for its turn: "-drive", "file=x,if=ide". */
typedef struct OptionUse {
    const char *option; /* without dashes */
    char *text;
    Options *opts; /* parsed, or NULL where the text is taken whole */
} OptionUse;

typedef struct CommandLine {
    MachineConfig config;
    GPtrArray *drives, *netdevs, *nics, *chardevs, *objects, *smbios, *mons; /* OptionUse ... */
    GPtrArray *serials, *parallels, *monitors, *debugcons; /* ... with opts NULL */
    bool snapshot;       /* -snapshot: every drive writes to a temporary overlay */
    bool no_nic;         /* -nic none */
    OptionUse *net_half; /* of nics: a -net whose other half has not come yet, or NULL */
    char *display;       /* -display */
    bool nographic;
    bool icount, icount_sleep;
    unsigned icount_shift;
    int rtc_clock; /* of Clock.rtc_source; -1: the default */
    char *loadvm, *incoming;
    char *log_mask, *log_file;
    char *pidfile;
    char *dump_vmstate; /* the file */
    bool daemonize;
    int64_t torture;
    bool answered; /* --help, -version, -device help ...: printed, nothing else to do */
} CommandLine;

/* Parses argv.  False with a text that begins with the option. */
bool options_parse_args(CommandLine *cl, int argc, char **argv, Error *err);
void command_line_free(CommandLine *cl);
/* What --help prints. */
void options_print_help(FILE *to);

/* The handler of an option: arg is "" where it takes none. */
typedef bool OptionSet(CommandLine *cl, const char *option, const char *arg, Error *err);

/* -- opt_machine.c: the machine and how it runs -- */
OptionSet opt_machine, opt_cpu, opt_memory, opt_smp, opt_accel, opt_boot, opt_rtc, opt_icount,
    opt_global, opt_name, opt_uuid, opt_device, opt_vga, opt_no_acpi, opt_no_hpet, opt_action,
    opt_fw_cfg;
/* -- opt_backend.c: what it is connected to -- */
OptionSet opt_disk, opt_cdrom, opt_floppy, opt_drive, opt_netdev, opt_nic, opt_chardev, opt_line,
    opt_mon, opt_object, opt_smbios, opt_display, opt_log, opt_net, opt_vnc, opt_keymap;
/* -- help_values.c: lists for `help` -- */
bool option_wants_help(const char *arg);
bool help_values(const char *option); /* false: it has no list of keys */
void help_line_devices(void);
void help_machines(void);
void help_devices(void);
bool help_device_props(const char *driver, Error *err);
void help_netdevs(void);
void help_nics(void);
void help_displays(void);

/* An error "'x' is not ...", with the nearest of names behind where there is one. */
bool error_unknown(Error *err, const char *what, const char *word, GPtrArray *names);
