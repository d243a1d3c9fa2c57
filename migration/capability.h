/* SPDX-License-Identifier: MIT */
/*
 * Migration capabilities: what a migration may do beyond the plain one, off until it is set.  One
 * file each (capability_*.c); whoever obeys one asks capability_on.
 */
#pragma once

#include "core/machine.h"
#include "util/registry.h"

typedef struct Capability {
    const char *name;
    unsigned rank;           /* its place in lists, and its bit; below 64 */
    const char *unavailable; /* why it cannot be set; NULL: it can */
    /* Names of those that exclude this one, comma-separated; said on one side is enough. */
    const char *excludes;
    bool both; /* a sender names it in its configuration, and the reader must have it too */
    /* May it be set now?  NULL: yes. */
    bool (*check)(Machine *m, Error *err);
    /* Writes its subsection of the configuration, where it has one. */
    void (*configuration)(Machine *m, Stream *st);
} Capability;

#define CAPABILITY(ident, ...)                                                                     \
    static const Capability ident##_capability = { __VA_ARGS__ };                                  \
    SET_ADD(capabilities, ident##_capability)
SET_DECLARE(capabilities);

bool capability_on(Machine *m, const char *name);
/* The sender has it, says the configuration: whether that fits. */
bool capability_received(Machine *m, const char *name, Error *err);
/* Refused while a migration runs, where two exclude one another, or where there is no such one. */
bool capability_set(Machine *m, const char *name, bool on, Error *err);
/* All of these, of which the last of a name counts, or none. */
typedef struct CapabilityWish {
    const char *name;
    bool on;
} CapabilityWish;
bool capabilities_set(Machine *m, const CapabilityWish *wishes, size_t n, Error *err);
/* The ones that there are, in the order of lists; g_free the array.  *n: how many. */
const Capability **capability_list(size_t *n);
