/* SPDX-License-Identifier: MIT */
/* postcopy-blocktime: where a guest has arrived by post-copy, `info migrate` and query-migrate tell
 * how long its CPUs have waited for pages. */
#include "cpu/cpu.h"
#include "migration/blocktime.h"
#include "migration/capability.h"
#include "util/bits.h"

CAPABILITY(postcopy_blocktime, .name = "postcopy-blocktime", .rank = 14);

static Blocktime *blocktime_get(Machine *m)
{
    return machine_slot(m, "blocktime", sizeof(Blocktime), NULL);
}

const Blocktime *blocktime_of(Machine *m) { return blocktime_get(m); }

void blocktime_begin(Machine *m)
{
    Blocktime *b = blocktime_get(m);

    if (b->begun || !capability_on(m, "postcopy-blocktime")) return;
    *b = (Blocktime){ .begun = true, .n = cpu_count(m) };
    for (unsigned i = 0; i < b->n; i++) b->before[i] = cpu_blocked_ns(m, i);
    b->all_before = cpu_all_blocked_ns(m);
}

void blocktime_end(Machine *m)
{
    Blocktime *b = blocktime_get(m);

    if (!b->begun) return;
    for (unsigned i = 0; i < b->n; i++)
        b->ms[i] = (uint64_t)((cpu_blocked_ns(m, i) - b->before[i]) / NS_PER_MS);
    b->all_ms = (uint64_t)((cpu_all_blocked_ns(m) - b->all_before) / NS_PER_MS);
    b->begun = false;
    b->known = true;
}
