/* SPDX-License-Identifier: MIT */
/*
 * The registry of sections: everything that goes into a stream, in the order of registration.
 *
 * Devices are registered by core when they are realized; what is no device (RAM, the clock,
 * libslirp) registers itself.  migration/ walks the registry; nobody else does.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/vmstate.h"

typedef struct Machine Machine;
typedef struct Device Device;

enum { INSTANCE_ANY = -1 };    /* the next free instance id of that idstr */
enum { SECTION_ID_MAX = 255 }; /* bytes of an idstr */

/* What goes with a section beyond its table.  Each may be NULL. */
typedef struct SectionOps {
    /* Beside a table: brings the state up to date before it is read; the loaded state has been
     * copied in (before any device's sync). */
    void (*settle)(void *opaque);
    void (*commit)(void *opaque);
    /* Old style, instead of a table: the handler writes and reads bytes itself.  A load is a
     * transaction, so there are two steps: probe consumes the section's bytes, reports failures
     * through the stream and changes nothing (it may be called again from the start when the stream
     * was starved); load gets exactly those bytes later, when everything else has been accepted. */
    void (*save)(Stream *st, void *opaque);
    void (*probe)(Stream *st, void *opaque, int version);
    void (*load)(Stream *st, void *opaque, int version);
} SectionOps;

typedef struct Section Section;
struct Section {
    char idstr[SECTION_ID_MAX + 1]; /* with the device path in front, where there is one */
    uint32_t instance;
    uint32_t id; /* section id on the wire: counts up at registration */
    int version;
    int priority;          /* higher ones are written earlier; 0 for most */
    const VmState *vmsd;   /* a table ... */
    const SectionOps *ops; /* ... or an old-style handler ... */
    const void *iterable;  /* ... or an iterable one, known to migration/ alone */
    Device *dev;           /* the owner, where it is a device */
    void *state;           /* the struct that the table describes */
    size_t state_size;
    void *opaque;                    /* of ops and iterable */
    char compat[SECTION_ID_MAX + 1]; /* idstr without the path, as older senders wrote it; or "" */
    uint32_t compat_instance;
    int alias_id;      /* -1: none.  Older senders used this instance id ... */
    int alias_version; /* ... in versions up to this one, which the table still loads */
    Section *next;
};

/* Template: idstr (without path), version, vmsd/ops/iterable, state ... ; instance INSTANCE_ANY is
 * passed as UINT32_MAX: the lowest one above all that the name has.  path (NULL: none) is put in
 * front: "path/idstr".  The copy is owned by the machine.  Fails with "Path too long" or on a taken
 * (idstr, instance). */
Section *section_register(Machine *m, const char *path, const Section *tmpl, Error *err);
void section_unregister(Machine *m, Section *sec);
Section *section_find(Machine *m, const char *idstr, uint32_t instance);
/* What a stream means by these: also by an older sender's names and instances. */
Section *section_find_sent(Machine *m, const char *idstr, uint32_t instance, int version);
