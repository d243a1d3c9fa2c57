/* SPDX-License-Identifier: MIT */
/* migrate_set_parameter and info migrate_parameters, and the same for programs. */
#include "migration/parameters.h"

#include <string.h>

#include "core/qmp.h"
#include "net/net.h"

typedef struct MigrationParameter {
    const char *name;
    enum { PARAM_INT, PARAM_SIZE, PARAM_POWER, PARAM_BOOL, PARAM_ANNOUNCE, PARAM_CONST } kind;
    size_t offset;
    uint64_t initial, min, max;
    const char *unit;  /* behind the number, with its space */
    const char *range; /* as the error has it; NULL: "%min to %max" */
} MigrationParameter;

#define P(member) offsetof(MigrationParameters, member)
#define A(member) offsetof(AnnounceParams, member)

static const MigrationParameter parameters[] = {
    { "announce-initial", PARAM_ANNOUNCE, A(initial_ms), 50, 0, 100000, " ms", NULL },
    { "announce-max", PARAM_ANNOUNCE, A(max_ms), 550, 0, 100000, " ms", NULL },
    { "announce-rounds", PARAM_ANNOUNCE, A(rounds), 5, 0, 1000, "", NULL },
    { "announce-step", PARAM_ANNOUNCE, A(step_ms), 100, 0, 10000, " ms", NULL },
    { "compress-level", PARAM_INT, P(compress_level), 1, 0, 9, "", NULL },
    { "compress-threads", PARAM_INT, P(compress_threads), 8, 1, 255, "", NULL },
    { "compress-wait-thread", PARAM_BOOL, P(compress_wait_thread), 1, 0, 1, "", NULL },
    { "decompress-threads", PARAM_INT, P(decompress_threads), 2, 1, 255, "", NULL },
    { "throttle-trigger-threshold", PARAM_INT, P(throttle_trigger_threshold), 50, 1, 100, "",
        NULL },
    { "cpu-throttle-initial", PARAM_INT, P(cpu_throttle_initial), 20, 1, 99, "", NULL },
    { "cpu-throttle-increment", PARAM_INT, P(cpu_throttle_increment), 10, 1, 99, "", NULL },
    { "cpu-throttle-tailslow", PARAM_BOOL, P(cpu_throttle_tailslow), 0, 0, 1, "", NULL },
    { "max-cpu-throttle", PARAM_INT, P(max_cpu_throttle), 99, 1, 99, "", NULL },
    { "tls-creds", PARAM_CONST, 0, 0, 0, 0, "''", NULL },
    { "tls-hostname", PARAM_CONST, 0, 0, 0, 0, "''", NULL },
    { "max-bandwidth", PARAM_SIZE, P(max_bandwidth), 134217728, 0, INT64_MAX, " bytes/second",
        "an integer in the range of 0 to 9223372036854775807 bytes/second" },
    { "downtime-limit", PARAM_INT, P(downtime_limit), 300, 0, 2000 * 1000, " ms",
        "an integer in the range of 0 to (2000 * 1000) ms" },
    { "x-checkpoint-delay", PARAM_INT, P(checkpoint_delay), 20000, 0, UINT32_MAX, " ms", NULL },
    { "block-incremental", PARAM_BOOL, P(block_incremental), 0, 0, 1, "", NULL },
    { "multifd-channels", PARAM_INT, P(multifd_channels), 2, 1, 255, "", NULL },
    { "multifd-compression", PARAM_CONST, 0, 0, 0, 0, "none", NULL },
    { "xbzrle-cache-size", PARAM_POWER, P(xbzrle_cache_size), 67108864, PAGE_SIZE, INT64_MAX,
        " bytes", "a power of two no less than the target page size" },
    { "max-postcopy-bandwidth", PARAM_SIZE, P(max_postcopy_bandwidth), 0, 0, INT64_MAX, "", NULL },
    { "tls-authz", PARAM_CONST, 0, 0, 0, 0, "''", NULL },
};

static bool parameter_is_size(const MigrationParameter *p)
{
    return p->kind == PARAM_SIZE || p->kind == PARAM_POWER; /* of two */
}

MigrationParameters *migration_parameters(Machine *m)
{
    struct {
        MigrationParameters p;
        bool filled;
    } *slot = machine_slot(m, "migration-parameters", sizeof(*slot), NULL);

    for (size_t i = 0; !slot->filled && i < ARRAY_SIZE(parameters); i++) {
        char *member = (char *)&slot->p + parameters[i].offset;

        if (parameters[i].kind == PARAM_BOOL)
            *(bool *)member = parameters[i].initial != 0;
        else if (parameter_is_size(&parameters[i]) || parameters[i].kind == PARAM_INT)
            *(uint64_t *)(void *)member = parameters[i].initial;
    }
    slot->filled = true;
    return &slot->p;
}

static bool parameter_range(const MigrationParameter *p, Error *err)
{
    char *name = g_strdelimit(g_strdup(p->name), "-", '_');

    if (p->range)
        error_set(err, "Parameter '%s' expects %s", name, p->range);
    else
        error_set(err,
            "Parameter '%s' expects a value between %" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT,
            name, p->min, p->max);
    g_free(name);
    return false;
}

static bool parameter_fits(const MigrationParameter *p, uint64_t v)
{
    return v >= p->min && v <= p->max && (p->kind != PARAM_POWER || !(v & (v - 1)));
}

static bool parameter_fixed(const MigrationParameter *p, Error *err)
{
    return error_set(err,
        "Parameter '%s' cannot be changed: encryption and parallel channels "
        "are not available",
        p->name);
}

static void parameter_store(Machine *m, const MigrationParameter *p, uint64_t v)
{
    char *member = (char *)migration_parameters(m) + p->offset;

    if (p->kind == PARAM_BOOL)
        *(bool *)member = v != 0;
    else if (p->kind == PARAM_ANNOUNCE)
        *(uint32_t *)(void *)((char *)net_announce_params(m) + p->offset) = (uint32_t)v;
    else
        *(uint64_t *)(void *)member = v;
}

static uint64_t parameter_load(Machine *m, const MigrationParameter *p)
{
    const char *member = (const char *)migration_parameters(m) + p->offset;

    if (p->kind == PARAM_BOOL) return *(const bool *)member;
    if (p->kind != PARAM_ANNOUNCE) return *(const uint64_t *)(const void *)member;
    member = (const char *)net_announce_params(m) + p->offset;
    return *(const uint32_t *)(const void *)member;
}

static bool parameter_set(Machine *m, const MigrationParameter *p, const char *text, Error *err)
{
    uint64_t v;

    if (p->kind == PARAM_BOOL)
        return parse_bool(text, (bool *)((char *)migration_parameters(m) + p->offset), err);
    if (p->kind == PARAM_CONST) return parameter_fixed(p, err);
    /* A bandwidth without a suffix counts MiB: an old custom that scripts rely on. */
    if (parameter_is_size(p) ? !parse_size(text, strstr(p->name, "bandwidth") ? 'M' : 'B', &v, err)
                             : !parse_u64(text, &v, err))
        return error_prefix(err, "%s: ", p->name);
    if (!parameter_fits(p, v)) return parameter_range(p, err);
    parameter_store(m, p, v);
    return true;
}

static void migrate_set_parameter_run(CommandCall *call, Error *err)
{
    const char *name = command_text(call, "parameter"), *names[ARRAY_SIZE(parameters)], *hint;

    for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
        names[i] = parameters[i].name;
        if (strcmp(name, names[i])) continue;
        parameter_set(call->m, &parameters[i], command_text(call, "value"), err);
        return;
    }
    hint = did_you_mean(name, names, ARRAY_SIZE(names));
    error_set(err, "invalid parameter value: %s", name);
    if (hint) sink_printf(call->out, "Did you mean \"%s\"?\n", hint);
}

static void info_migrate_parameters_run(CommandCall *call, Error *err)
{
    (void)err;
    for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
        const MigrationParameter *p = &parameters[i];

        if (p->kind == PARAM_CONST)
            sink_printf(call->out, "%s: %s\n", p->name, p->unit);
        else if (p->kind == PARAM_BOOL)
            sink_printf(call->out, "%s: %s\n", p->name, parameter_load(call->m, p) ? "on" : "off");
        else
            sink_printf(call->out, "%s: %" G_GUINT64_FORMAT "%s\n", p->name,
                parameter_load(call->m, p), p->unit);
    }
}

static void parameters_complete(Machine *m, unsigned n, const char *prefix,
    void (*offer)(void *ctx, const char *word), void *ctx)
{
    (void)m;
    for (size_t i = 0; !n && i < ARRAY_SIZE(parameters); i++)
        if (g_str_has_prefix(parameters[i].name, prefix)) offer(ctx, parameters[i].name);
}

COMMAND(migrate_set_parameter, .name = "migrate_set_parameter", .args = "parameter:s,value:s",
    .usage = "parameter value", .help = "Set the parameter for migration",
    .run = migrate_set_parameter_run, .complete = parameters_complete);
COMMAND(info_migrate_parameters, .name = "info migrate_parameters", .args = "", .usage = "",
    .help = "show current migration parameters", .run = info_migrate_parameters_run);

/* -- for programs -- */

static json_t *query_migrate_parameters_run(QmpCall *call, Error *err)
{
    json_t *o = json_object(), *value;

    (void)err;
    for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
        const MigrationParameter *p = &parameters[i];

        if (p->kind == PARAM_CONST)
            value = json_string(strcmp(p->unit, "''") ? p->unit : "");
        else if (p->kind == PARAM_BOOL)
            value = json_boolean(parameter_load(call->m, p));
        else
            value = json_integer((json_int_t)parameter_load(call->m, p));
        json_object_set_new(o, p->name, value);
    }
    return o;
}
QMP_COMMAND(query_migrate_parameters, .name = "query-migrate-parameters",
    .run = query_migrate_parameters_run);

static bool parameter_check(const char *name, const json_t *value, Error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
        const MigrationParameter *p = &parameters[i];
        json_int_t v = json_integer_value(value);

        if (strcmp(p->name, name)) continue;
        if (p->kind == PARAM_CONST) return parameter_fixed(p, err);
        if (p->kind == PARAM_BOOL ? !json_is_boolean(value) : !json_is_integer(value))
            return error_set(err, "Invalid parameter type for '%s', expected: %s", name,
                p->kind == PARAM_BOOL ? "boolean" : "integer");
        if (p->kind == PARAM_BOOL) return true;
        return (v >= 0 && parameter_fits(p, (uint64_t)v)) || parameter_range(p, err);
    }
    return error_set(err, "Parameter '%s' is unexpected", name);
}

/* All of them, or none. */
static json_t *migrate_set_parameters_run(QmpCall *call, Error *err)
{
    const char *name;
    json_t *value;

    json_object_foreach ((json_t *)call->args, name, value) {
        if (!parameter_check(name, value, err)) return NULL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
        value = json_object_get(call->args, parameters[i].name);
        if (!value) continue;
        parameter_store(call->m, &parameters[i],
            json_is_boolean(value) ? json_is_true(value) : (uint64_t)json_integer_value(value));
    }
    return NULL;
}
QMP_COMMAND(migrate_set_parameters, .name = "migrate-set-parameters", .args = "*:*?",
    .run = migrate_set_parameters_run);
