/* SPDX-License-Identifier: MIT */
/* Migration in QMP: migrate, migrate_cancel, migrate-pause, migrate-recover, migrate-continue,
 * migrate-start-postcopy, migrate-incoming, query-migrate, capabilities, and the
 * events MIGRATION and MIGRATION_PASS.  The parameters' commands are in parameters.c. */
#include "migration/qmp_migrate.h"

#include <string.h>

#include "core/qmp.h"
#include "migration/capability.h"
#include "migration/incoming.h"
#include "migration/info.h"

/* -- events -- */

typedef struct MigrationEvents {
    Machine *m;
    MachineNotifier notifier;
    MigrationStatus told;
} MigrationEvents;

static void migration_events_notify(void *opaque, MachineEvent event)
{
    MigrationEvents *e = opaque;
    MigrationStatus now = event == EVENT_MIGRATION ? migration_info(e->m).status : e->told;

    if (now == e->told) return;
    /* Of interest to those only who had it paused before. */
    if (now == MIGRATION_DEVICE && e->told != MIGRATION_PRE_SWITCHOVER) return;
    e->told = now;
    if (!capability_on(e->m, "events")) return;
    qmp_event(e->m, "MIGRATION", json_pack("{s:s}", "status", migration_status_name(now)));
}

void migration_events_start(Machine *m)
{
    MigrationEvents *e = machine_slot(m, "migration-events", sizeof(MigrationEvents), NULL);

    *e = (MigrationEvents){ .m = m, .told = MIGRATION_NONE };
    e->notifier = (MachineNotifier){ .notify = migration_events_notify, .opaque = e };
    machine_notifier_add(m, &e->notifier);
}

void migration_event_pass(Machine *m, uint64_t round)
{
    if (!capability_on(m, "events")) return;
    qmp_event(m, "MIGRATION_PASS", json_pack("{s:I}", "pass", (json_int_t)round));
}

/* -- commands -- */

static json_t *migrate_qmp_run(QmpCall *call, Error *err)
{
    Machine *m = call->m;
    const char *uri = qmp_text(call, "uri");

    if (qmp_bool(call, "resume", false)) {
        outgoing_resume(m, uri, &call->sink, NULL, err);
        return NULL;
    }
    if (block_options_begin(m, qmp_bool(call, "blk", false), qmp_bool(call, "inc", false), err) &&
        !outgoing_start(m, uri, &call->sink, NULL, err))
        block_options_end(m);
    return NULL;
}
QMP_COMMAND(migrate, .name = "migrate", .args = "uri:s,blk:b?,inc:b?,detach:b?,resume:b?",
    .run = migrate_qmp_run);

static json_t *migrate_cancel_qmp_run(QmpCall *call, Error *err)
{
    (void)err;
    outgoing_cancel(call->m);
    return NULL;
}
QMP_COMMAND(migrate_cancel, .name = "migrate_cancel", .run = migrate_cancel_qmp_run);

static json_t *migrate_pause_qmp_run(QmpCall *call, Error *err)
{
    migrate_pause(call->m, err);
    return NULL;
}
QMP_COMMAND(migrate_pause, .name = "migrate-pause", .run = migrate_pause_qmp_run);

static json_t *migrate_recover_qmp_run(QmpCall *call, Error *err)
{
    incoming_recover(call->m, qmp_text(call, "uri"), &call->sink, err);
    return NULL;
}
QMP_COMMAND(
    migrate_recover, .name = "migrate-recover", .args = "uri:s", .run = migrate_recover_qmp_run);

static json_t *migrate_start_postcopy_qmp_run(QmpCall *call, Error *err)
{
    outgoing_start_postcopy(call->m, err);
    return NULL;
}
QMP_COMMAND(migrate_start_postcopy, .name = "migrate-start-postcopy",
    .run = migrate_start_postcopy_qmp_run);

static json_t *migrate_continue_qmp_run(QmpCall *call, Error *err)
{
    outgoing_continue(call->m, qmp_text(call, "state"), err);
    return NULL;
}
QMP_COMMAND(migrate_continue, .name = "migrate-continue", .args = "state:s",
    .run = migrate_continue_qmp_run);

static json_t *migrate_incoming_qmp_run(QmpCall *call, Error *err)
{
    incoming_start_deferred(call->m, qmp_text(call, "uri"), &call->sink, err);
    return NULL;
}
QMP_COMMAND(
    migrate_incoming, .name = "migrate-incoming", .args = "uri:s", .run = migrate_incoming_qmp_run);

/* -- query-migrate -- */

static json_t *migrate_ram(const MigrationInfo *i)
{
    const RamStats *s = &i->ram;

    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:I,s:i}",
        "total", (json_int_t)s->total, "transferred", (json_int_t)s->transferred, "remaining",
        (json_int_t)i->remaining, "duplicate", (json_int_t)s->duplicate, "normal",
        (json_int_t)s->normal, "normal-bytes", (json_int_t)(s->normal * PAGE_SIZE),
        "dirty-sync-count", (json_int_t)s->rounds, "pages-per-second",
        (json_int_t)i->pages_per_second, "mbps", i->mbps, "precopy-bytes", (json_int_t)s->precopy,
        "downtime-bytes", (json_int_t)s->downtime, "postcopy-bytes", (json_int_t)s->postcopy,
        "postcopy-requests", (json_int_t)s->requests, "page-size", (json_int_t)PAGE_SIZE,
        "multifd-bytes", (json_int_t)0, "skipped", 0, "dirty-pages-rate",
        (json_int_t)i->dirty_pages_rate, "dirty-sync-missed-zero-copy", 0);
}

static json_t *migrate_xbzrle(const RamStats *s)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:f,s:f,s:I}", "cache-size", (json_int_t)s->cache_size,
        "bytes", (json_int_t)s->xbzrle_bytes, "pages", (json_int_t)s->xbzrle_pages, "cache-miss",
        (json_int_t)s->xbzrle_misses, "cache-miss-rate", xbzrle_miss_rate(s), "encoding-rate",
        xbzrle_encoding_rate(s), "overflow", (json_int_t)s->xbzrle_overflows);
}

static json_t *migrate_compress(const RamStats *s)
{
    return json_pack("{s:I,s:I,s:f,s:I,s:f}", "pages", (json_int_t)s->compress_pages, "busy",
        (json_int_t)s->compress_busy, "busy-rate", compress_busy_rate(s), "compressed-size",
        (json_int_t)s->compress_bytes, "compression-rate", compress_rate(s));
}

static void migrate_blocktime(const Blocktime *b, json_t *o)
{
    json_t *each = json_array();

    for (unsigned i = 0; i < b->n; i++)
        json_array_append_new(each, json_integer((json_int_t)b->ms[i]));
    json_object_set_new(o, "postcopy-blocktime", json_integer((json_int_t)b->all_ms));
    json_object_set_new(o, "postcopy-vcpu-blocktime", each);
}

static json_t *query_migrate_run(QmpCall *call, Error *err)
{
    MigrationInfo i = migration_info(call->m);
    json_t *o;

    (void)err;
    if (i.status == MIGRATION_NONE) return NULL;
    o = json_pack("{s:s,s:s*}", "status", migration_status_name(i.status), "error-desc", i.error);
    if (i.blocktime) migrate_blocktime(i.blocktime, o);
    if (!i.has_times) return o;
    json_object_set_new(o, "total-time", json_integer(i.total_ms));
    json_object_set_new(o, "setup-time", json_integer(i.setup_ms));
    if (i.downtime_ms >= 0) json_object_set_new(o, "downtime", json_integer(i.downtime_ms));
    if (i.expected_downtime_ms >= 0)
        json_object_set_new(o, "expected-downtime", json_integer(i.expected_downtime_ms));
    json_object_set_new(o, "ram", migrate_ram(&i));
    if (i.has_disk)
        json_object_set_new(o, "disk",
            json_pack("{s:I,s:I,s:I}", "total", (json_int_t)i.disk.total, "transferred",
                (json_int_t)i.disk.transferred, "remaining",
                (json_int_t)(i.disk.total - i.disk.transferred)));
    if (i.ram.cache_size) json_object_set_new(o, "xbzrle-cache", migrate_xbzrle(&i.ram));
    if (i.ram.compress) json_object_set_new(o, "compression", migrate_compress(&i.ram));
    if (i.throttle) json_object_set_new(o, "cpu-throttle-percentage", json_integer(i.throttle));
    return o;
}
QMP_COMMAND(query_migrate, .name = "query-migrate", .run = query_migrate_run);

/* -- capabilities -- */

static json_t *query_capabilities_run(QmpCall *call, Error *err)
{
    json_t *list = json_array();
    size_t n;
    const Capability **all = capability_list(&n);

    (void)err;
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s,s:b}", "capability", all[i]->name, "state",
                                        capability_on(call->m, all[i]->name)));
    g_free(all);
    return list;
}
QMP_COMMAND(
    query_capabilities, .name = "query-migrate-capabilities", .run = query_capabilities_run);

static bool capability_known(const char *name)
{
    SET_EACH (Capability, c, capabilities)
        if (!strcmp(c->name, name)) return true;
    return false;
}

/* An element of "capabilities": {"capability": name, "state": bool}. */
static bool capability_element(json_t *e, size_t i, Error *err)
{
    const json_t *name = json_object_get(e, "capability"), *state = json_object_get(e, "state"), *v;
    const char *key;

    if (!json_is_object(e))
        return error_set(
            err, "Invalid parameter type for 'capabilities[%zu]', expected: object", i);
    if (!name || !state)
        return error_set(
            err, "Parameter 'capabilities[%zu].%s' is missing", i, name ? "state" : "capability");
    if (!json_is_string(name))
        return error_set(
            err, "Invalid parameter type for 'capabilities[%zu].capability', expected: string", i);
    if (!capability_known(json_string_value(name)))
        return qmp_bad_value("capability", json_string_value(name), err);
    if (!json_is_boolean(state))
        return error_set(
            err, "Invalid parameter type for 'capabilities[%zu].state', expected: boolean", i);
    json_object_foreach (e, key, v) {
        if (v != name && v != state)
            return error_set(err, "Parameter 'capabilities[%zu].%s' is unexpected", i, key);
    }
    return true;
}

static json_t *set_capabilities_run(QmpCall *call, Error *err)
{
    json_t *list = json_object_get(call->args, "capabilities"), *e;
    g_autofree CapabilityWish *wishes = g_new(CapabilityWish, json_array_size(list));
    size_t i;

    json_array_foreach (list, i, e) {
        if (!capability_element(e, i, err)) return NULL;
        wishes[i].name = json_string_value(json_object_get(e, "capability"));
        wishes[i].on = json_is_true(json_object_get(e, "state"));
    }
    capabilities_set(call->m, wishes, json_array_size(list), err);
    return NULL;
}
QMP_COMMAND(set_capabilities, .name = "migrate-set-capabilities", .args = "capabilities:a",
    .run = set_capabilities_run);
