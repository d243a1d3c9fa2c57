/* SPDX-License-Identifier: MIT */
/* What a guest that arrives by post-copy loses by waiting for its pages. */
#pragma once

#include "core/apic.h"
#include "core/machine.h"

typedef struct Blocktime {
    bool known; /* post-copy is over, and the capability was on */
    bool begun;
    unsigned n;                               /* CPUs */
    int64_t before[MACHINE_CPUS], all_before; /* ns that they had waited when it began */
    uint64_t ms[MACHINE_CPUS];                /* how long each of them waited ... */
    uint64_t all_ms;                          /* ... so that none could run */
} Blocktime;

/* From now on a CPU may meet absent pages; again after a recovery, which changes nothing. */
void blocktime_begin(Machine *m);
/* All of them have come. */
void blocktime_end(Machine *m);
const Blocktime *blocktime_of(Machine *m);
