/* SPDX-License-Identifier: MIT */
/* QMP for those who register commands and send events: see qmp.h. */
#include "core/qmp.h"

#include <string.h>

const QmpCommand *qmp_command_find(const char *name)
{
    SET_EACH (QmpCommand, cmd, qmp_commands) {
        if (!strcmp(cmd->name, name)) return cmd;
    }
    return NULL;
}

/* -- arguments -- */

typedef struct QmpSpec {
    char name[40];
    char type;
    bool optional;
} QmpSpec;

/* The entry at *p, which goes on to the next; false at the end. */
static bool qmp_spec_next(const char **p, QmpSpec *spec)
{
    size_t n = *p ? strcspn(*p, ":") : 0;

    if (!n) return false;
    g_assert(n < sizeof(spec->name) && (*p)[n] == ':' && (*p)[n + 1]);
    memcpy(spec->name, *p, n);
    spec->name[n] = 0;
    spec->type = (*p)[n + 1];
    *p += n + 2;
    spec->optional = **p == '?';
    if (spec->optional) ++*p;
    if (**p == ',') ++*p;
    return true;
}

static const char *qmp_type_wrong(char type, const json_t *value)
{
    switch (type) {
    case 's': return json_is_string(value) ? NULL : "string";
    case 'i': return json_is_integer(value) ? NULL : "integer";
    case 'b': return json_is_boolean(value) ? NULL : "boolean";
    case 'n': return json_is_number(value) ? NULL : "number";
    case 'o': return json_is_object(value) ? NULL : "object";
    case 'a': return json_is_array(value) ? NULL : "array";
    default: g_assert(type == '*'); return NULL;
    }
}

static bool qmp_spec_has(const char *spec, const char *name)
{
    QmpSpec s;

    while (qmp_spec_next(&spec, &s)) {
        if (!strcmp(s.name, name) || !strcmp(s.name, "*")) return true;
    }
    return false;
}

bool qmp_args_check(const char *spec, const json_t *args, Error *err)
{
    const char *p = spec, *name;
    json_t *value;
    QmpSpec s;

    while (qmp_spec_next(&p, &s)) {
        const json_t *given = json_object_get(args, s.name);
        const char *expected = given ? qmp_type_wrong(s.type, given) : NULL;

        if (!given && !s.optional) return error_set(err, "Parameter '%s' is missing", s.name);
        if (expected) {
            return error_set(
                err, "Invalid parameter type for '%s', expected: %s", s.name, expected);
        }
    }
    json_object_foreach ((json_t *)args, name, value) {
        if (!qmp_spec_has(spec, name)) return error_set(err, "Parameter '%s' is unexpected", name);
    }
    return true;
}

const char *qmp_text(const QmpCall *call, const char *name)
{
    return json_string_value(json_object_get(call->args, name));
}

int64_t qmp_int(const QmpCall *call, const char *name, int64_t fallback)
{
    const json_t *v = json_object_get(call->args, name);

    return v ? json_integer_value(v) : fallback;
}

bool qmp_bool(const QmpCall *call, const char *name, bool fallback)
{
    const json_t *v = json_object_get(call->args, name);

    return v ? json_is_true(v) : fallback;
}

void qmp_done(QmpCall *call, json_t *result, const Error *err) { call->done(call, result, err); }

/* -- errors -- */

bool qmp_device_not_found(QmpCall *call, const char *id, Error *err)
{
    call->error_class = "DeviceNotFound";
    return error_set(err, "Device '%s' not found", id);
}

bool qmp_bad_value(const char *name, const char *value, Error *err)
{
    return error_set(err, "Parameter '%s' does not accept value '%s'", name, value);
}

bool qmp_expects(const char *name, const char *what, Error *err)
{
    return error_set(err, "Parameter '%s' expects %s", name, what);
}

char *qmp_device_path(const Device *dev)
{
    const GPtrArray *user = dev->m->config.devices;
    unsigned n = 0;

    for (guint i = 0; i < user->len; i++) {
        if (!strcmp(options_get_or(user->pdata[i], "id", ""), dev->id)) return g_strdup(dev->id);
    }
    EACH_DEVICE (d, dev->m) {
        if (d == dev) break;
        n++;
    }
    return g_strdup_printf("/machine/unattached/device[%u]", n);
}

static bool qmp_device_holds(const Device *dev, const struct BlockDev *drive)
{
    for (const Prop *p = dev->cls->props; p && p->name; p++) {
        if (p->type != PROP_BLOCK) continue;
        if (*(struct BlockDev **)(void *)((char *)dev + p->offset) == drive) return true;
    }
    return false;
}

char *qmp_drive_holder(Machine *m, const struct BlockDev *drive)
{
    char *found = NULL;

    /* The user's own device comes after the controller that it is plugged into. */
    EACH_DEVICE (dev, m) {
        if (!qmp_device_holds(dev, drive)) continue;
        char *path = qmp_device_path(dev);
        if (found && *path == '/') {
            g_free(path);
            continue;
        }
        g_free(found);
        found = path;
    }
    return found;
}

/* -- events -- */

typedef struct QmpListeners {
    QmpListener *first;
} QmpListeners;

static QmpListeners *qmp_listeners(Machine *m)
{
    return machine_slot(m, "qmp-listeners", sizeof(QmpListeners), NULL);
}

void qmp_listener_add(Machine *m, QmpListener *l)
{
    QmpListeners *all = qmp_listeners(m);

    l->next = all->first;
    all->first = l;
}

void qmp_event(Machine *m, const char *name, json_t *data)
{
    int64_t us = g_get_real_time();
    json_t *event =
        json_pack("{s:{s:I,s:I},s:s}", "timestamp", "seconds", (json_int_t)(us / G_USEC_PER_SEC),
            "microseconds", (json_int_t)(us % G_USEC_PER_SEC), "event", name);

    g_assert(event);
    if (data) json_object_set_new(event, "data", data);
    for (QmpListener *l = qmp_listeners(m)->first, *next; l; l = next) {
        next = l->next;
        l->event(l->opaque, event);
    }
    json_decref(event);
}
