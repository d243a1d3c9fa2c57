/* SPDX-License-Identifier: MIT */
/* migrate_set_parameter and info migrate_parameters, and the same for programs. */
#include "migration/parameters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/qmp.h"
#include "net/net.h"

typedef struct MigrationParameter {
    const char *name;
    enum {
        PARAM_U8,
        PARAM_U32,
        PARAM_SIZE,
        PARAM_BANDWIDTH, /* without a suffix MiB, in the monitor: scripts rely on it */
        PARAM_CACHE,     /* a power of two */
        PARAM_ANNOUNCE,
        PARAM_BOOL,
        PARAM_TEXT, /* nothing else than what there is: nobody has such credentials */
        PARAM_METHOD,
        PARAM_LEVEL, /* of a method that there is not: looked at and not kept, as in QEMU */
    } kind;
    size_t offset;
    uint64_t initial, min, max;
    const char *unit;  /* behind the number, with its space */
    const char *range; /* as the error has it; NULL: "a value between %min and %max" */
} MigrationParameter;

#define P(member) offsetof(MigrationParameters, member)
#define A(member) offsetof(AnnounceParams, member)

#define PERCENT "an integer in the range of 1 to 99"
#define BANDWIDTH "an integer in the range of 0 to 9223372036854775807 bytes/second"

static const MigrationParameter parameters[] = {
    { "announce-initial", PARAM_ANNOUNCE, A(initial_ms), 50, 0, 100000, " ms", NULL },
    { "announce-max", PARAM_ANNOUNCE, A(max_ms), 550, 0, 100000, " ms", NULL },
    { "announce-rounds", PARAM_ANNOUNCE, A(rounds), 5, 0, 1000, "", NULL },
    { "announce-step", PARAM_ANNOUNCE, A(step_ms), 100, 1, 10000, " ms",
        "a value between 0 and 10000" },
    { "compress-level", PARAM_U8, P(compress_level), 1, 0, 9, "", NULL },
    { "compress-threads", PARAM_U8, P(compress_threads), 8, 1, 255, "", NULL },
    { "compress-wait-thread", PARAM_BOOL, P(compress_wait_thread), 1, 0, 1, "", NULL },
    { "decompress-threads", PARAM_U8, P(decompress_threads), 2, 1, 255, "", NULL },
    { "throttle-trigger-threshold", PARAM_U8, P(throttle_trigger_threshold), 50, 1, 100, "",
        "an integer in the range of 1 to 100" },
    { "cpu-throttle-initial", PARAM_U8, P(cpu_throttle_initial), 20, 1, 99, "", PERCENT },
    { "cpu-throttle-increment", PARAM_U8, P(cpu_throttle_increment), 10, 1, 99, "", PERCENT },
    { "cpu-throttle-tailslow", PARAM_BOOL, P(cpu_throttle_tailslow), 0, 0, 1, "", NULL },
    { "max-cpu-throttle", PARAM_U8, P(max_cpu_throttle), 99, 1, 99, "",
        "an integer in the range of cpu_throttle_initial to 99" },
    { "tls-creds", PARAM_TEXT, 0, 0, 0, 0, "", NULL },
    { "tls-hostname", PARAM_TEXT, 0, 0, 0, 0, "", NULL },
    { "max-bandwidth", PARAM_BANDWIDTH, P(max_bandwidth), 134217728, 0, INT64_MAX, " bytes/second",
        BANDWIDTH },
    { "downtime-limit", PARAM_SIZE, P(downtime_limit), 300, 0, 2000 * 1000, " ms",
        "an integer in the range of 0 to (2000 * 1000) ms" },
    { "x-checkpoint-delay", PARAM_U32, P(checkpoint_delay), 20000, 0, UINT32_MAX, " ms", NULL },
    { "block-incremental", PARAM_BOOL, P(block_incremental), 0, 0, 1, "", NULL },
    { "multifd-channels", PARAM_U8, P(multifd_channels), 2, 1, 255, "", NULL },
    { "multifd-compression", PARAM_METHOD, 0, 0, 0, 0, "none", NULL },
    { "multifd-zlib-level", PARAM_LEVEL, 0, 1, 0, 255, "", NULL },
    { "multifd-zstd-level", PARAM_LEVEL, 0, 1, 0, 255, "", NULL },
    { "xbzrle-cache-size", PARAM_CACHE, P(xbzrle_cache_size), 67108864, PAGE_SIZE, INT64_MAX,
        " bytes", "a power of two no less than the target page size" },
    { "max-postcopy-bandwidth", PARAM_SIZE, P(max_postcopy_bandwidth), 0, 0, INT64_MAX, "",
        BANDWIDTH },
    { "tls-authz", PARAM_TEXT, 0, 0, 0, 0, "", NULL },
};

/* What there is is set, or changed as a copy of which all is taken or nothing. */
typedef struct ParameterCopy {
    MigrationParameters p;
    AnnounceParams announce;
} ParameterCopy;

MigrationParameters *migration_parameters(Machine *m)
{
    struct {
        MigrationParameters p;
        bool filled;
    } *slot = machine_slot(m, "migration-parameters", sizeof(*slot), NULL);

    for (size_t i = 0; !slot->filled && i < ARRAY_SIZE(parameters); i++) {
        char *member = (char *)&slot->p + parameters[i].offset;

        switch (parameters[i].kind) {
        case PARAM_BOOL: *(bool *)member = parameters[i].initial != 0; break;
        case PARAM_U8:
        case PARAM_U32:
        case PARAM_SIZE:
        case PARAM_BANDWIDTH:
        case PARAM_CACHE: *(uint64_t *)(void *)member = parameters[i].initial; break;
        default: break;
        }
    }
    slot->filled = true;
    return &slot->p;
}

static ParameterCopy parameter_copy(Machine *m)
{
    return (ParameterCopy){ *migration_parameters(m), *net_announce_params(m) };
}

static uint64_t parameter_load(const ParameterCopy *c, const MigrationParameter *p)
{
    const char *member = (const char *)&c->p + p->offset;

    switch (p->kind) {
    case PARAM_BOOL: return *(const bool *)member;
    case PARAM_ANNOUNCE:
        member = (const char *)&c->announce + p->offset;
        return *(const uint32_t *)(const void *)member;
    case PARAM_TEXT:
    case PARAM_METHOD:
    case PARAM_LEVEL: return p->initial;
    default: return *(const uint64_t *)(const void *)member;
    }
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

/* Into the copy, where it is in range. */
static bool parameter_store(ParameterCopy *c, const MigrationParameter *p, uint64_t v, Error *err)
{
    char *member = (char *)&c->p + p->offset;

    if (v < p->min || v > p->max || (p->kind == PARAM_CACHE && (v & (v - 1))))
        return parameter_range(p, err);
    if (p->kind == PARAM_BOOL)
        *(bool *)member = v != 0;
    else if (p->kind == PARAM_ANNOUNCE)
        *(uint32_t *)(void *)((char *)&c->announce + p->offset) = (uint32_t)v;
    else if (p->kind != PARAM_LEVEL)
        *(uint64_t *)(void *)member = v;
    return true;
}

static const MigrationParameter *parameter_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(parameters); i++)
        if (!strcmp(parameters[i].name, name)) return &parameters[i];
    return NULL;
}

/* The copy is what there is now, where its members fit one another. */
static bool parameter_commit(Machine *m, const ParameterCopy *c, Error *err)
{
    if (c->p.cpu_throttle_initial > c->p.max_cpu_throttle)
        return parameter_range(parameter_find("max-cpu-throttle"), err);
    *migration_parameters(m) = c->p;
    *net_announce_params(m) = c->announce;
    return true;
}

static bool parameter_text(const MigrationParameter *p, const char *text, Error *err)
{
    static const char *const methods[] = { "none", "zlib", "zstd", NULL };

    if (p->kind == PARAM_METHOD && !g_strv_contains(methods, text))
        return qmp_bad_value(p->name, text, err);
    if (!strcmp(text, p->unit)) return true;
    return error_set(err,
        "Parameter '%s' cannot be changed: encryption and parallel channels are not available",
        p->name);
}

static bool parameter_fits(const MigrationParameter *p, uint64_t v, Error *err)
{
    if (p->kind == PARAM_U32 && v > UINT32_MAX) return qmp_expects(p->name, "uint32_t", err);
    if ((p->kind == PARAM_U8 || p->kind == PARAM_LEVEL) && v > UINT8_MAX)
        return qmp_expects(p->name, "uint8_t", err);
    return true;
}

/* -- in the monitor -- */

static bool parameter_parse_size(
    const MigrationParameter *p, const char *text, uint64_t *v, Error *err)
{
    SizeFault fault = scan_size(text, p->kind == PARAM_BANDWIDTH ? 'M' : 'B', v);
    bool far = !fault && *v > INT64_MAX;

    if ((p->kind == PARAM_BANDWIDTH && (fault || far)) || (p->kind == PARAM_CACHE && far))
        return error_set(err, "Invalid size %s", text);
    if (fault == SIZE_RANGE)
        return error_set(err, "Value '%s' is out of range for parameter '%s'", text, p->name);
    if (fault)
        return error_set(err,
            "Parameter '%s' expects a non-negative number below 2^64\nOptional suffix k, M, G, T, "
            "P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes, respectively.",
            p->name);
    return true;
}

/* C's integers, of which a negative one counts from 2^64 down. */
static bool parameter_parse_int(
    const MigrationParameter *p, const char *text, uint64_t *v, Error *err)
{
    char *end;

    errno = 0;
    *v = strtoull(text, &end, 0);
    if (errno || end == text || *end) return qmp_expects(p->name, "uint64", err);
    return parameter_fits(p, *v, err);
}

static bool parameter_set(Machine *m, const MigrationParameter *p, const char *text, Error *err)
{
    ParameterCopy c = parameter_copy(m);
    uint64_t v = 0;
    bool on, ok;

    switch (p->kind) {
    case PARAM_TEXT:
    case PARAM_METHOD: return parameter_text(p, text, err);
    case PARAM_BOOL:
        ok = parse_bool(text, &on, NULL) || qmp_expects(p->name, "'on' or 'off'", err);
        v = ok && on;
        break;
    case PARAM_U8:
    case PARAM_U32:
    case PARAM_LEVEL: ok = parameter_parse_int(p, text, &v, err); break;
    default: ok = parameter_parse_size(p, text, &v, err);
    }
    return ok && parameter_store(&c, p, v, err) && parameter_commit(m, &c, err);
}

static void migrate_set_parameter_run(CommandCall *call, Error *err)
{
    const char *name = command_text(call, "parameter"), *names[ARRAY_SIZE(parameters)], *hint;
    const MigrationParameter *p = parameter_find(name);

    if (p) {
        parameter_set(call->m, p, command_text(call, "value"), err);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) names[i] = parameters[i].name;
    hint = did_you_mean(name, names, ARRAY_SIZE(names));
    error_set(err, "invalid parameter value: %s", name);
    if (hint) sink_printf(call->out, "Did you mean \"%s\"?\n", hint);
}

static void info_migrate_parameters_run(CommandCall *call, Error *err)
{
    ParameterCopy c = parameter_copy(call->m);

    (void)err;
    for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
        const MigrationParameter *p = &parameters[i];
        uint64_t v = parameter_load(&c, p);

        switch (p->kind) {
        case PARAM_TEXT: sink_printf(call->out, "%s: ''\n", p->name); break;
        case PARAM_METHOD: sink_printf(call->out, "%s: %s\n", p->name, p->unit); break;
        case PARAM_BOOL: sink_printf(call->out, "%s: %s\n", p->name, v ? "on" : "off"); break;
        case PARAM_LEVEL: break;
        default: sink_printf(call->out, "%s: %" G_GUINT64_FORMAT "%s\n", p->name, v, p->unit);
        }
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
    ParameterCopy c = parameter_copy(call->m);
    json_t *o = json_object(), *value;

    (void)err;
    for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
        const MigrationParameter *p = &parameters[i];

        if (p->kind == PARAM_TEXT || p->kind == PARAM_METHOD)
            value = json_string(p->unit);
        else if (p->kind == PARAM_BOOL)
            value = json_boolean(parameter_load(&c, p));
        else
            value = json_integer((json_int_t)parameter_load(&c, p));
        json_object_set_new(o, p->name, value);
    }
    return o;
}
QMP_COMMAND(query_migrate_parameters, .name = "query-migrate-parameters",
    .run = query_migrate_parameters_run);

static bool parameter_wrong_type(const char *name, const char *want, Error *err)
{
    return error_set(err, "Invalid parameter type for '%s', expected: %s", name, want);
}

/* Its type and width. */
static bool parameter_check(const MigrationParameter *p, const json_t *value, Error *err)
{
    switch (p->kind) {
    case PARAM_TEXT:
        return json_is_string(value) || json_is_null(value) ||
               parameter_wrong_type(p->name, "StrOrNull", err);
    case PARAM_METHOD: return json_is_string(value) || parameter_wrong_type(p->name, "string", err);
    case PARAM_BOOL: return json_is_boolean(value) || parameter_wrong_type(p->name, "boolean", err);
    default:
        if (!json_is_integer(value)) return qmp_expects(p->name, "uint64", err);
        return parameter_fits(p, (uint64_t)json_integer_value(value), err);
    }
}

static bool parameter_take(
    ParameterCopy *c, const MigrationParameter *p, const json_t *value, Error *err)
{
    if (p->kind == PARAM_TEXT || p->kind == PARAM_METHOD)
        return parameter_text(p, json_is_null(value) ? "" : json_string_value(value), err);
    return parameter_store(c, p,
        json_is_boolean(value) ? json_is_true(value) : (uint64_t)json_integer_value(value), err);
}

/* All of them, or none. */
static json_t *migrate_set_parameters_run(QmpCall *call, Error *err)
{
    ParameterCopy c = parameter_copy(call->m);
    const char *name;
    json_t *value;

    for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
        value = json_object_get(call->args, parameters[i].name);
        if (value && !parameter_check(&parameters[i], value, err)) return NULL;
    }
    json_object_foreach ((json_t *)call->args, name, value) {
        if (parameter_find(name)) continue;
        error_set(err, "Parameter '%s' is unexpected", name);
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
        value = json_object_get(call->args, parameters[i].name);
        if (value && !parameter_take(&c, &parameters[i], value, err)) return NULL;
    }
    parameter_commit(call->m, &c, err);
    return NULL;
}
QMP_COMMAND(migrate_set_parameters, .name = "migrate-set-parameters", .args = "*:*?",
    .run = migrate_set_parameters_run);
