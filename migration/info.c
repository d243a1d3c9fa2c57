/* SPDX-License-Identifier: MIT */
/* info migrate. */
#include "migration/info.h"

#include <inttypes.h>

#include "migration/incoming.h"
#include "migration/switches.h"

MigrationInfo migration_info(Machine *m)
{
    MigrationInfo i = { .status = outgoing_status(m) };

    if (i.status != MIGRATION_NONE) {
        outgoing_info(m, &i);
    } else {
        i.status = incoming_status(m);
        i.incoming = i.status != MIGRATION_NONE;
        if (i.status == MIGRATION_COMPLETED && blocktime_of(m)->known)
            i.blocktime = blocktime_of(m);
    }
    return i;
}

bool migration_under_way(Machine *m)
{
    MigrationStatus in = incoming_status(m);

    return outgoing_under_way(m) || (in > MIGRATION_SETUP && in < MIGRATION_COMPLETED);
}

double xbzrle_miss_rate(const RamStats *s)
{
    uint64_t tried = s->xbzrle_pages + s->xbzrle_overflows + s->xbzrle_misses;

    return tried ? (double)s->xbzrle_misses / (double)tried : 0;
}

double xbzrle_encoding_rate(const RamStats *s)
{
    double whole = (double)s->xbzrle_pages * PAGE_SIZE;

    return s->xbzrle_bytes ? whole / (double)s->xbzrle_bytes : 0;
}

double compress_busy_rate(const RamStats *s)
{
    uint64_t tried = s->compress_pages + s->compress_busy;

    return tried ? (double)s->compress_busy / (double)tried : 0;
}

double compress_rate(const RamStats *s)
{
    double whole = (double)s->compress_pages * PAGE_SIZE;

    return s->compress_bytes ? whole / (double)s->compress_bytes : 0;
}

bool migrate_pause(Machine *m, Error *err)
{
    if (outgoing_pause_postcopy(m) || incoming_pause_postcopy(m)) return true;
    return error_set(err, "migrate-pause is currently only supported during postcopy-active state");
}

static void info_print_ram(const MigrationInfo *i, Sink *out)
{
    const RamStats *s = &i->ram;

    sink_printf(out, "transferred ram: %" PRIu64 " kbytes\n", s->transferred / KiB);
    sink_printf(out, "throughput: %0.2f mbps\n", i->mbps);
    sink_printf(out, "remaining ram: %" PRIu64 " kbytes\n", i->remaining / KiB);
    sink_printf(out, "total ram: %" PRIu64 " kbytes\n", s->total / KiB);
    sink_printf(out, "duplicate: %" PRIu64 " pages\n", s->duplicate);
    sink_printf(out, "skipped: 0 pages\n");
    sink_printf(out, "normal: %" PRIu64 " pages\n", s->normal);
    sink_printf(out, "normal bytes: %" PRIu64 " kbytes\n", s->normal * (PAGE_SIZE / KiB));
    sink_printf(out, "dirty sync count: %" PRIu64 "\n", s->rounds);
    sink_printf(out, "page size: %d kbytes\n", PAGE_SIZE / KiB);
    sink_printf(out, "multifd bytes: 0 kbytes\n");
    sink_printf(out, "pages-per-second: %" PRIu64 "\n", i->pages_per_second);
    if (i->dirty_pages_rate)
        sink_printf(out, "dirty pages rate: %" PRIu64 " pages\n", i->dirty_pages_rate);
    if (s->requests) sink_printf(out, "postcopy request count: %" PRIu64 "\n", s->requests);
    sink_printf(out, "precopy ram: %" PRIu64 " kbytes\n", s->precopy / KiB);
    if (s->downtime) sink_printf(out, "downtime ram: %" PRIu64 " kbytes\n", s->downtime / KiB);
    if (s->postcopy) sink_printf(out, "postcopy ram: %" PRIu64 " kbytes\n", s->postcopy / KiB);
    if (i->throttle) sink_printf(out, "cpu throttle percentage: %u\n", i->throttle);
}

static void info_print_xbzrle(const RamStats *s, Sink *out)
{
    sink_printf(out, "cache size: %" PRIu64 " bytes\n", s->cache_size);
    sink_printf(out, "xbzrle transferred: %" PRIu64 " kbytes\n", s->xbzrle_bytes / KiB);
    sink_printf(out, "xbzrle pages: %" PRIu64 " pages\n", s->xbzrle_pages);
    sink_printf(out, "xbzrle cache miss: %" PRIu64 " pages\n", s->xbzrle_misses);
    sink_printf(out, "xbzrle cache miss rate: %0.2f\n", xbzrle_miss_rate(s));
    sink_printf(out, "xbzrle encoding rate: %0.2f\n", xbzrle_encoding_rate(s));
    sink_printf(out, "xbzrle overflow: %" PRIu64 "\n", s->xbzrle_overflows);
}

static void info_print_compress(const RamStats *s, Sink *out)
{
    sink_printf(out, "compression pages: %" PRIu64 " pages\n", s->compress_pages);
    sink_printf(out, "compression busy: %" PRIu64 "\n", s->compress_busy);
    sink_printf(out, "compression busy rate: %0.2f\n", compress_busy_rate(s));
    sink_printf(out, "compressed size: %" PRIu64 " kbytes\n", s->compress_bytes / KiB);
    sink_printf(out, "compression rate: %0.2f\n", compress_rate(s));
}

static void info_print_disk(const BlockTotals *t, Sink *out)
{
    sink_printf(out, "transferred disk: %" PRIu64 " kbytes\n", t->transferred / KiB);
    sink_printf(out, "remaining disk: %" PRIu64 " kbytes\n", (t->total - t->transferred) / KiB);
    sink_printf(out, "total disk: %" PRIu64 " kbytes\n", t->total / KiB);
}

static void info_print_blocktime(const Blocktime *b, Sink *out)
{
    sink_printf(out, "postcopy blocktime: %" PRIu64 "\npostcopy vcpu blocktime: ", b->all_ms);
    for (unsigned i = 0; i < b->n; i++) sink_printf(out, "%s%" PRIu64, i ? "," : "", b->ms[i]);
    sink_printf(out, "\n");
}

static void info_migrate_run(CommandCall *call, Error *err)
{
    MigrationInfo i = migration_info(call->m);
    Sink *out = call->out;
    const StreamSwitches *without = stream_switches(call->m);

    (void)err;
    sink_printf(out,
        "globals:\n"
        "store-global-state: %s\n"
        "only-migratable: %s\n"
        "send-configuration: %s\n"
        "send-section-footer: %s\n"
        "decompress-error-check: on\n"
        "clear-bitmap-shift: 18\n",
        without->no_global_state ? "off" : "on", call->m->config.only_migratable ? "on" : "off",
        without->no_configuration ? "off" : "on", without->no_footers ? "off" : "on");
    if (i.status == MIGRATION_NONE) return;
    sink_printf(out, "Migration status: %s", migration_status_name(i.status));
    if (i.error) sink_printf(out, " (%s)", i.error);
    sink_printf(out, "\ntotal time: %" PRId64 " ms\n", i.total_ms);
    if (i.blocktime) info_print_blocktime(i.blocktime, out);
    if (!i.has_times) return;
    if (i.expected_downtime_ms >= 0)
        sink_printf(out, "expected downtime: %" PRId64 " ms\n", i.expected_downtime_ms);
    if (i.downtime_ms >= 0) sink_printf(out, "downtime: %" PRId64 " ms\n", i.downtime_ms);
    sink_printf(out, "setup: %" PRId64 " ms\n", i.setup_ms);
    info_print_ram(&i, out);
    if (i.has_disk) info_print_disk(&i.disk, out);
    if (i.ram.cache_size) info_print_xbzrle(&i.ram, out);
    if (i.ram.compress) info_print_compress(&i.ram, out);
}

COMMAND(info_migrate, .name = "info migrate", .args = "", .usage = "",
    .help = "show migration status", .run = info_migrate_run);
