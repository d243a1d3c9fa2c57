/* SPDX-License-Identifier: MIT */
/*
 * The object model: a class, its properties, its state, its wires.
 *
 * A device struct starts with a Device (or something that starts with one, such as PciDev), holds
 * wiring set through properties, host handles and caches, and a flat pointer-free `s`: the guest
 * state, which is all that resets, saves and migrates.
 *
 * Life: device_new (allocates, takes property texts) -> device_realize (sets properties, calls
 * realize, zeroes s, calls power_on and reset, registers sections) -> machine_reset resets all and
 * syncs all -> ... -> device_free.
 *
 * power_on, reset: write `s` and nothing else.  sync: recompute outputs (IRQ lines, mappings, armed
 * timers, caches) from `s`; called for every device after a reset or a load, and by the device
 * itself when its state changes.  settle: the reverse, bring `s` up to date from caches (lazy
 * flags) before it is read.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/clock.h"
#include "core/memory.h"
#include "core/section.h"
#include "core/vmstate.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/registry.h"

typedef struct Machine Machine;
typedef struct Device Device;
typedef struct DeviceClass DeviceClass;

/* An output wire: where it leads.  dev NULL: to nothing. */
typedef struct Irq {
    Device *dev;
    int line;
} Irq;

void irq_set(const Irq *irq, bool level);

/* -- properties: text in, a typed member out -- */

typedef struct Chardev Chardev;
typedef struct BlockDev BlockDev;
typedef struct NetPort NetPort;

typedef enum PropType {
    PROP_U8,
    PROP_U16,
    PROP_U32,
    PROP_U64,
    PROP_I32,
    PROP_BOOL,
    PROP_STR,     /* char *, owned by core */
    PROP_IRQ,     /* "id.line": a wire to a device's irq_in; "" leads to nothing */
    PROP_CHARDEV, /* an id of -chardev; "" is NULL */
    PROP_BLOCK,   /* an id of -drive */
    PROP_NET,     /* an id of -netdev: the member is the port to which the device attaches */
    PROP_DEVICE,  /* another device's id: Device * */
    PROP_MAC,     /* uint8_t[6] */
} PropType;

typedef struct Prop {
    const char *name; /* NULL ends the table */
    PropType type;
    size_t offset;
    const char *fallback; /* text taken where none is given; NULL: must be given */
} Prop;

#define PROP_TYPE_OF(lvalue)                                                                       \
    _Generic((lvalue),                                                                             \
        uint8_t: PROP_U8,                                                                          \
        uint16_t: PROP_U16,                                                                        \
        uint32_t: PROP_U32,                                                                        \
        uint64_t: PROP_U64,                                                                        \
        int32_t: PROP_I32,                                                                         \
        bool: PROP_BOOL,                                                                           \
        char *: PROP_STR,                                                                          \
        Irq: PROP_IRQ,                                                                             \
        Chardev *: PROP_CHARDEV,                                                                   \
        BlockDev *: PROP_BLOCK,                                                                    \
        NetPort *: PROP_NET,                                                                       \
        Device *: PROP_DEVICE)
#define PROP(T, member, text) PROP_AS(T, member, #member, text)
#define PROP_AS(T, member, prop_name, text)                                                        \
    {                                                                                              \
        .name = (prop_name), .type = PROP_TYPE_OF(((T *)0)->member),                               \
        .offset = offsetof(T, member), .fallback = (text)                                          \
    }
#define PROP_MAC_ADDR(T, member, text)                                                             \
    {                                                                                              \
        .name = "mac", .type = PROP_MAC, .offset = offsetof(T, member), .fallback = (text)         \
    }
#define PROP_END                                                                                   \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* -- classes -- */

struct DeviceClass {
    const char *name; /* of -device */
    const char *alias;
    const char *desc;
    size_t size;         /* of the whole struct */
    size_t state_offset; /* of s ... */
    size_t state_size;   /* ... and its size; 0: no state */
    const Prop *props;
    const VmState *const *vmstates; /* NULL-terminated: a section each, all over s; see VMSTATES */
    /* Integers that no section has and exactness needs, and checks of them: vmdescription key. */
    const VmField *exact;
    const char *unmigratable; /* why this device blocks savevm and migration, or NULL */
    bool user_creatable;      /* by -device */
    const char *bus;          /* "isa", "pci", NULL: neither */
    bool (*realize)(Device *dev, Error *err);
    void (*unrealize)(Device *dev);
    void (*power_on)(Device *dev);
    void (*reset)(Device *dev);
    void (*settle)(Device *dev);
    void (*sync)(Device *dev);
    void (*irq_in)(Device *dev, int line, bool level);
};

/* The sections of a class: VMSTATES(&uart_vmstate) or several. */
#define VMSTATES(...) ((const VmState *const[]){ __VA_ARGS__, NULL })

/* DEVICE(uart, "16450 serial port", Uart, .realize = ..., .vmstates = VMSTATES(&uart_vmstate)):
 * a class named after its first argument; another name by .name = "isa-serial". */
#define DEVICE(ident, text, T, ...)                                                                \
    static const DeviceClass ident##_class = { .name = #ident,                                     \
        .desc = (text),                                                                            \
        .size = sizeof(T),                                                                         \
        .state_offset = offsetof(T, s),                                                            \
        .state_size = sizeof(((T *)0)->s),                                                         \
        __VA_ARGS__ };                                                                             \
    SET_ADD(devices, ident##_class)
/* The same without a state. */
#define DEVICE_STATELESS(ident, text, T, ...)                                                      \
    static const DeviceClass ident##_class = {                                                     \
        .name = #ident, .desc = (text), .size = sizeof(T), __VA_ARGS__                             \
    };                                                                                             \
    SET_ADD(devices, ident##_class)

SET_DECLARE(devices);

struct Device {
    const DeviceClass *cls;
    Machine *m;
    char *id;          /* unique in the machine: "pic", "uart0", or from -device id= */
    char *path;        /* what stands in front of its sections' names ("0000:00:02.0"), or NULL */
    GHashTable *props; /* texts given, char * to char *: for `info qtree` */
    bool realized;
    int instance;      /* section instance: INSTANCE_ANY takes the next free one */
    int alias_id;      /* the instance that older senders used ... */
    int alias_version; /* ... up to this version of the table; 0: no older one */
    Device *next;      /* in order of creation */
};

static inline void *device_state(Device *dev) { return (char *)dev + dev->cls->state_offset; }

const DeviceClass *device_class_find(const char *name);

/* From realize: the section instance that older senders used, up to this version of the table. */
static inline void device_set_alias(Device *dev, int id, int version)
{
    dev->alias_id = id;
    dev->alias_version = version;
}

/* -dump-vmstate: the tables of all classes as JSON; machine: its name.  False: writing failed. */
bool vmstate_dump(FILE *to, const char *machine);

/* Allocates a device of a class by its name.  id must be free (NULL: the class name, with a number
 * where taken). */
Device *device_new(Machine *m, const char *cls, const char *id, Error *err);
/* Gives a property's text; false on an unknown one. */
bool device_set(Device *dev, const char *prop, const char *text, Error *err);
/* Parses the properties, realizes, powers on and resets the device, registers its sections.
 * On failure the device is gone. */
bool device_realize(Device *dev, Error *err);
/* All in one: "prop", "text", ..., NULL. */
Device *device_create(Machine *m, const char *cls, const char *id, Error *err, ...)
    __attribute__((sentinel));
void device_free(Device *dev);

Device *device_find(Machine *m, const char *id);
Device *device_first(Machine *m);
#define EACH_DEVICE(dev, m) for (Device *dev = device_first(m); dev; dev = dev->next)

/* The state that the device has after power-on and bus reset, written to buf (state_size bytes);
 * the live state is untouched. */
void device_initial_state(Device *dev, void *buf);

void device_reset(Device *dev); /* bus reset and sync of one device */
void device_sync(Device *dev);
void device_settle(Device *dev);

/* The guest did what no sane driver does: logged under -d guest_errors, with a limit. */
void guest_error(Device *dev, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The guest uses what is not modelled: logged under -d unimp. */
void unimplemented(Device *dev, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
