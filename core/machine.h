/* SPDX-License-Identifier: MIT */
/*
 * A machine: what everything hangs off.  One thread (that of its GMainContext) owns it.
 */
#pragma once

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/device.h"
#include "core/memory.h"
#include "core/section.h"
#include "util/error.h"
#include "util/log.h"
#include "util/options.h"
#include "util/registry.h"

/* Names as `info status` and globalstate have them. */
typedef enum RunState {
    RUN_PRELAUNCH,
    RUN_INMIGRATE,
    RUN_RUNNING,
    RUN_PAUSED,
    RUN_SAVE_VM,
    RUN_RESTORE_VM,
    RUN_FINISH_MIGRATE,
    RUN_POSTMIGRATE,
    RUN_POSTCOPY_PAUSED,
    RUN_SHUTDOWN,
    RUN_IO_ERROR,
    RUN_INTERNAL_ERROR,
    RUN_DEBUG,
    RUN_STATES
} RunState;

const char *run_state_name(RunState s); /* "inmigrate" ... */
bool run_state_parse(const char *name, RunState *out);

/* A drive, NIC or character device that the command line asks for; machines attach them. */
typedef struct DriveConfig {
    char *id; /* of the backend object */
    enum { DRIVE_NONE, DRIVE_IDE, DRIVE_FLOPPY, DRIVE_VIRTIO } interface;
    int index; /* IDE: bus * 2 + unit; -1: the next free one */
    bool cdrom;
    char *serial; /* of the disk, or NULL */
} DriveConfig;

typedef struct NicConfig {
    char *model;     /* NULL: the machine's default */
    char *netdev;    /* id of the backend object, or NULL */
    bool no_vectors; /* without MSI-X */
    char *mac;       /* text, or NULL: the next of 52:54:00:12:34:56 ... */
    char *id;
} NicConfig;

typedef struct MachineConfig {
    char *type;         /* "pc" */
    Options *type_opts; /* -M name,option=value */
    char *cpu;          /* "pentium3,-apic"; NULL: the machine's default */
    uint64_t ram_size;
    unsigned cpus;
    unsigned dies, cores, threads; /* of a package, a die, a core; at least 1 */
    char *name, *uuid;             /* -name, -uuid (36 characters); NULL: none */
    char *bios_dir, *bios;         /* -L, -bios */
    char *kernel, *initrd, *append;
    char *boot_order; /* "cad"; NULL: the machine's default */
    char *boot_once;
    bool boot_menu;
    int boot_menu_timeout_ms; /* -1: the firmware's */
    int boot_retry_ms;        /* how long after all has failed it is tried again, or -1: never */
    bool boot_strict;         /* from nothing that has no bootindex= */
    char *vga;                /* "std", "none" */
    bool acpi, hpet, usb, vmport;
    bool smm; /* what raises SMIs is wired */
    bool no_defaults;
    bool firmware_on_serial;     /* -nographic: the firmware talks on the first serial port too */
    bool no_reboot, no_shutdown; /* what a guest's reset and power-off do */
    bool only_migratable;        /* no device is made that blocks savevm and migration */
    bool stopped;            /* -S: the guest waits for `cont`, after an incoming migration too */
    GPtrArray *drives;       /* DriveConfig */
    GPtrArray *nics;         /* NicConfig */
    GPtrArray *serials;      /* char *: ids of character devices, NULL for -serial none */
    GPtrArray *parallels;    /* likewise */
    GPtrArray *devices;      /* Options of each -device, created after the board's own */
    GPtrArray *fw_cfg_files; /* Options {name, string or file} of -fw_cfg; may be NULL */
    GPtrArray *globals;      /* Options {driver, property, value} of -global */
    char *debugcon;          /* id of a character device, or NULL */
    int64_t rtc_base;        /* Unix seconds of -rtc base=, or INT64_MIN: the host's time */
    bool rtc_localtime;
} MachineConfig;

typedef struct MachineClass {
    const char *name;  /* on the wire too: "pc-i440fx-7.2" */
    const char *alias; /* "pc", or NULL */
    const char *desc;
    const char *default_cpu;
    bool is_default;
    uint64_t default_ram;
    unsigned max_cpus; /* 0: one */
    /* Creates the board: CPU, chips and what the config asks for. */
    bool (*init)(Machine *m, Error *err);
} MachineClass;

#define MACHINE(ident, ...)                                                                        \
    static const MachineClass ident##_machine = { __VA_ARGS__ };                                   \
    SET_ADD(machines, ident##_machine)
SET_DECLARE(machines);

/* Told when the run state or something else of note changes. */
typedef enum MachineEvent {
    EVENT_RUN_STATE, /* m->run_state has changed */
    EVENT_RESET,     /* the machine was reset */
    EVENT_SHUTDOWN,  /* the guest or user ended it */
    EVENT_LOADED,    /* a load has been committed and synced: loadvm or an incoming migration */
    EVENT_TRAY,      /* a removable medium moved */
    EVENT_MIGRATION, /* the migration's status changed */
    EVENT_DISPLAY,   /* the display mode changed */
} MachineEvent;

typedef struct MachineNotifier MachineNotifier;
struct MachineNotifier {
    void (*notify)(void *opaque, MachineEvent event);
    void *opaque;
    MachineNotifier *next;
};

typedef enum ResetReason { RESET_HOST, RESET_GUEST, RESET_SILENT } ResetReason;
typedef enum ShutdownReason {
    SHUTDOWN_HOST_QUIT,
    SHUTDOWN_HOST_SIGNAL,
    SHUTDOWN_GUEST,
    SHUTDOWN_GUEST_RESET, /* a reset, which -no-reboot makes an end */
    SHUTDOWN_ERROR
} ShutdownReason;

#define DIRTY_UNLIMITED INT64_MAX

struct Machine {
    const MachineClass *cls;
    MachineConfig config;
    GMainContext *ctx;
    Log log;
    Clock clock;
    Memory *mem;
    Device *devices; /* in order of creation */
    Section *sections;
    uint32_t next_section_id;
    GPtrArray *objects; /* backend objects by kind and id: chardev, drive, netdev, console ... */
    MachineNotifier *notifiers;
    RunState run_state;
    /* The CPU slice ends soon where this is set, by any thread. */
    atomic_int kick;
    bool reset_requested, shutdown_requested; /* acted on by the main loop between slices */
    ResetReason reset_reason;
    ShutdownReason shutdown_reason;
    int exit_code; /* of the process, from isa-debug-exit */
    bool quit;     /* the main loop ends */
    /* What the guest needs was given to another process: taken back before it starts.  Or NULL. */
    bool (*take_back)(Machine *m, Error *err);
    /* Percent of host time that the CPU rests: a migration that lags behind asks for it. */
    unsigned throttle;
    /* Pages that the guest may make dirty for WATCH_MIGRATION before the CPU has to rest until more
     * are granted; DIRTY_UNLIMITED: any number. */
    int64_t dirty_budget;
    /* How long the CPU runs at most before host events get a look; 0: as is usual.  Who takes long
     * for such an event, and often, lets the CPU have its share in smaller pieces. */
    int64_t slice_ns;
    bool syncing; /* inside machine_sync: a wire that changes is no edge */
    /* Interrupt acknowledge: the PIC's vector.  A wire with an answer. */
    int (*inta)(Device *dev);
    Device *inta_dev;
    GHashTable *singletons; /* per-machine state of folders ("migration" ...), see machine_slot */
};

/* A machine of the class with this name or alias, empty: config is filled by the caller before
 * machine_init.  ctx NULL: the default context. */
Machine *machine_new(const char *type, GMainContext *ctx, Error *err);
/* Creates the board from config, resets it; run state prelaunch. */
bool machine_init(Machine *m, Error *err);
void machine_free(Machine *m);
const MachineClass *machine_class_find(const char *name);

/* Starts or stops the guest: clock, run state and notifiers.  A start is refused (false) in a
 * state from which one may not run, or where its disks are another's. */
bool machine_start(Machine *m, Error *err);
void machine_stop(Machine *m, RunState why);
void machine_set_run_state(Machine *m, RunState s);
static inline bool machine_running(const Machine *m) { return m->run_state == RUN_RUNNING; }

/* Asks for a reset or shutdown; the main loop does it between CPU slices. */
void machine_request_reset(Machine *m, ResetReason reason);
void machine_request_shutdown(Machine *m, ShutdownReason reason);
/* Resets every device, then syncs all. */
void machine_reset(Machine *m);
/* After a reset or a load: clock first, then sync() of every device. */
void machine_sync(Machine *m);

/* Ends the current CPU slice soon; from any thread or signal handler. */
void machine_kick(Machine *m);

void machine_notifier_add(Machine *m, MachineNotifier *n);
void machine_notifier_del(Machine *m, MachineNotifier *n);
void machine_notify(Machine *m, MachineEvent event);

/* Named backend objects: machine_object_add(m, "chardev", "serial0", chr, (GDestroyNotify)...).
 * False where taken. */
bool machine_object_add(Machine *m, const char *kind, const char *id, void *obj,
    void (*destroy)(void *obj), Error *err);
void *machine_object(Machine *m, const char *kind, const char *id);
void machine_object_del(Machine *m, const char *kind, const char *id);
/* Calls fn for each object of a kind, in the order of their addition. */
void machine_object_each(
    Machine *m, const char *kind, void (*fn)(void *ctx, const char *id, void *obj), void *ctx);

/* A folder's own per-machine struct, made (zeroed) on first use: what would be a global
 * elsewhere. */
void *machine_slot(Machine *m, const char *name, size_t size, void (*destroy)(void *slot));

/* The 16 bytes of -uuid; false where none was given. */
bool machine_uuid(const Machine *m, uint8_t uuid[16]);

/* The interrupt controller announces itself; the CPU acknowledges: a vector, or -1 spurious. */
void machine_set_inta(Machine *m, Device *dev, int (*inta)(Device *dev));
int machine_inta(Machine *m);

/* The firmware file `name` from -L, then the built-in directories; g_free the result.  NULL with an
 * error naming the package to install. */
char *machine_find_firmware(Machine *m, const char *name, Error *err);
