/* SPDX-License-Identifier: MIT */
/*
 * Looking at memory of which pages are still to come: each one that is not there is asked for, and
 * the command goes on when it has come.  The guest runs meanwhile and may map other pages, so the
 * range is gone over again until nothing was missing.
 */
#include "monitor/demand.h"

#include <inttypes.h>

#include "cpu/cpu.h"
#include "util/bits.h"

/* No RAM lies behind this much. */
#define RANGE_MAX (UINT64_C(1) << 36)

typedef struct Demand {
    Machine *m;
    Sink *out;
    DemandRange range;
    uint64_t at; /* present up to here */
    bool waited;
    void (*run)(void *opaque, bool physical, Error *err);
    void *opaque;
    CommandCall call; /* of demand_command */
    void (*run_command)(CommandCall *call, Error *err);
} Demand;

static void demand_told(void *opaque, bool there);

/* The first absent page of what n bytes at d->at need. */
static bool demand_missing(Demand *d, uint64_t n, RamBlock **b, uint64_t *page)
{
    uint64_t gpa = d->range.addr + d->at;

    if (!d->range.physical) {
        if (cpu_table_absent(d->m, gpa, &gpa)) return mem_find_absent(d->m, gpa, 1, b, page);
        if (!cpu_translate(d->m, gpa, &gpa)) return false;
    }
    return mem_find_absent(d->m, gpa, n, b, page);
}

static void demand_end(Demand *d, Error *err)
{
    sink_done(d->out, err);
    g_free(d);
}

static void demand_step(Demand *d)
{
    uint64_t end = mem_has_page_source(d->m) ? MIN_OF(d->range.len, RANGE_MAX) : 0;
    Error err = ERROR_INIT;

    for (;;) {
        while (d->at < end) {
            uint64_t in_page = PAGE_SIZE - ((d->range.addr + d->at) & PAGE_MASK), page;
            uint64_t n = MIN_OF(end - d->at, in_page);
            RamBlock *b;

            if (demand_missing(d, n, &b, &page)) {
                d->waited = true;
                ram_await(b, page, demand_told, d);
                return;
            }
            d->at += n;
        }
        if (!d->waited) break;
        d->waited = false;
        d->at = 0;
    }
    d->run(d->opaque, d->range.physical, &err);
    demand_end(d, &err);
}

static void demand_told(void *opaque, bool there)
{
    Demand *d = opaque;
    Error err = ERROR_INIT;

    if (there) {
        demand_step(d);
        return;
    }
    error_set(&err,
        "Memory at 0x%" PRIx64 " has not arrived, and the connection to where it is is lost",
        d->range.addr + d->at);
    demand_end(d, &err);
}

void demand_start(Machine *m, Sink *out, DemandRange range,
    void (*run)(void *opaque, bool physical, Error *err), void *opaque)
{
    Demand *d = g_new0(Demand, 1);

    *d = (Demand){ .m = m, .out = out, .range = range, .run = run, .opaque = opaque };
    demand_step(d);
}

static void demand_run_command(void *opaque, bool physical, Error *err)
{
    Demand *d = opaque;

    (void)physical;
    d->run_command(&d->call, err);
}

void demand_command(
    CommandCall *call, DemandRange range, void (*run)(CommandCall *call, Error *err))
{
    Demand *d = g_new0(Demand, 1);

    *d = (Demand){ .m = call->m,
        .out = call->out,
        .range = range,
        .run = demand_run_command,
        .opaque = d,
        .call = *call,
        .run_command = run };
    demand_step(d);
}
