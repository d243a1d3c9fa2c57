/* SPDX-License-Identifier: MIT */
/* Pages that become dirty: see dirty_rate.h.  A page that is written twice before it is sent counts
 * once, as in a bitmap that is fetched each round. */
#include "migration/dirty_rate.h"

enum { NS_PER_S = 1000000000 };

bool dirty_rate_due(const DirtyRate *d, int64_t now_ns)
{
    return !d->since_ns || now_ns - d->since_ns >= NS_PER_S;
}

void dirty_rate_round(DirtyRate *d, uint64_t pages, int64_t now_ns)
{
    int64_t took = now_ns - d->since_ns;

    if (d->since_ns)
        d->per_second = (uint64_t)((double)(pages - d->marked) * NS_PER_S / (double)took);
    d->marked = pages;
    d->since_ns = now_ns;
}
