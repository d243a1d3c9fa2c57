/* SPDX-License-Identifier: MIT */
/* What a stream leaves out: see switches.h. */
#include "migration/switches.h"

#include <string.h>

#include "migration/migration.h"

/* on: what off sets. */
static const struct {
    const char *name;
    size_t offset;
} switches[] = {
    { "send-configuration", offsetof(StreamSwitches, no_configuration) },
    { "send-section-footer", offsetof(StreamSwitches, no_footers) },
    { "store-global-state", offsetof(StreamSwitches, no_global_state) },
};

static StreamSwitches *switches_slot(Machine *m)
{
    return machine_slot(m, "migration-switches", sizeof(StreamSwitches), NULL);
}

const StreamSwitches *stream_switches(Machine *m) { return switches_slot(m); }

static bool switch_set(StreamSwitches *s, const char *name, const char *value, Error *err)
{
    const char *names[ARRAY_SIZE(switches)], *near;
    bool on;

    for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
        names[i] = switches[i].name;
        if (strcmp(name, switches[i].name)) continue;
        if (!parse_bool(value, &on, err)) return false;
        *(bool *)((char *)s + switches[i].offset) = !on;
        return true;
    }
    near = did_you_mean(name, names, ARRAY_SIZE(switches));
    return error_set(err, "'%s' is not a valid property of 'migration'%s%s%s", name,
        near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

bool migration_global_check(const char *property, const char *value, Error *err)
{
    StreamSwitches nowhere = { 0 };

    return switch_set(&nowhere, property, value, err);
}

bool stream_switches_set(Machine *m, Error *err)
{
    StreamSwitches *s = switches_slot(m);
    const char *suppress = NULL;

    for (unsigned i = 0; m->config.globals && i < m->config.globals->len; i++) {
        Options *o = m->config.globals->pdata[i];

        if (strcmp(options_get(o, "driver"), "migration")) continue;
        if (!switch_set(s, options_get(o, "property"), options_get(o, "value"), err)) return false;
    }
    if (m->config.type_opts) suppress = options_get(m->config.type_opts, "suppress-vmdesc");
    return !suppress || parse_bool(suppress, &s->no_description, err) ||
           error_prefix(err, "suppress-vmdesc: ");
}
