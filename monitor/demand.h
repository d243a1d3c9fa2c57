/* SPDX-License-Identifier: MIT */
/* Commands that look at guest memory, and wait where it is still to come: see demand.c. */
#pragma once

#include "core/command.h"

typedef struct DemandRange {
    bool physical;
    uint64_t addr, len;
} DemandRange;

/* Calls run once all of the range is present, mostly at once, and ends out by sink_done; physical
 * is the range's. */
void demand_start(Machine *m, Sink *out, DemandRange range,
    void (*run)(void *opaque, bool physical, Error *err), void *opaque);
/* The same for an async command. */
void demand_command(
    CommandCall *call, DemandRange range, void (*run)(CommandCall *call, Error *err));
