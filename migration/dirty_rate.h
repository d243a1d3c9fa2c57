/* SPDX-License-Identifier: MIT */
/* How fast the guest makes pages dirty while it is on its way: what users look at to see whether a
 * migration will come to its end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct DirtyRate {
    uint64_t per_second; /* pages that became dirty, of the last whole period; 0: none is over */
    uint64_t marked;     /* pages that have been dirty so far, at the period's start */
    int64_t since_ns;    /* when that was; 0: not begun, before all pages have gone once */
} DirtyRate;

/* Whether the period has lasted so long that the end of a round may close it: a second. */
bool dirty_rate_due(const DirtyRate *d, int64_t now_ns);
/* Begins, or closes a period.  pages: dealt with since the start of the migration and dirty now,
 * together.  now_ns: any clock's, but one. */
void dirty_rate_round(DirtyRate *d, uint64_t pages, int64_t now_ns);
