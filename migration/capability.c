/* SPDX-License-Identifier: MIT */
/* The registry of capabilities (see capability.h), migrate_set_capability and
 * info migrate_capabilities. */
#include "migration/capability.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/command.h"
#include "migration/info.h"

static uint64_t *capability_bits(Machine *m)
{
    return machine_slot(m, "migration-capabilities", sizeof(uint64_t), NULL);
}

static uint64_t capability_bit(const Capability *c)
{
    assert(c->rank < 64);
    return UINT64_C(1) << c->rank;
}

static const Capability *capability_find(const char *name)
{
    SET_EACH (Capability, c, capabilities)
        if (!strcmp(c->name, name)) return c;
    return NULL;
}

bool capability_on(Machine *m, const char *name)
{
    const Capability *c = capability_find(name);

    assert(c);
    return (*capability_bits(m) & capability_bit(c)) != 0;
}

bool capability_received(Machine *m, const char *name, Error *err)
{
    const Capability *c = capability_find(name);

    if (!c) return error_set(err, "Received unknown capability %s", name);
    if (!c->both || capability_on(m, name)) return true;
    return error_set(err, "Capability %s is off, but received capability is on", name);
}

static int capability_order(const void *a, const void *b)
{
    const Capability *x = *(const Capability *const *)a, *y = *(const Capability *const *)b;

    return (x->rank > y->rank) - (x->rank < y->rank);
}

const Capability **capability_list(size_t *n)
{
    const Capability **list = g_new(const Capability *, SET_SIZE(capabilities));

    *n = 0;
    SET_EACH (Capability, c, capabilities) list[(*n)++] = c;
    qsort(list, *n, sizeof(*list), capability_order);
    return list;
}

static bool capability_names(const char *list, const char *name)
{
    char **names = g_strsplit(list ? list : "", ",", -1);
    bool found = g_strv_contains((const char *const *)names, name);

    g_strfreev(names);
    return found;
}

/* May it be on beside those that are to be? */
static bool capability_fits(Machine *m, const Capability *c, uint64_t bits, Error *err)
{
    if (c->unavailable)
        return error_set(err, "Capability '%s' is not available: %s", c->name, c->unavailable);
    SET_EACH (Capability, other, capabilities) {
        if (!(bits & capability_bit(other))) continue;
        if (capability_names(c->excludes, other->name) ||
            capability_names(other->excludes, c->name))
            return error_set(err, "%c%s is not compatible with %s", g_ascii_toupper(*c->name),
                c->name + 1, other->name);
    }
    return !c->check || c->check(m, err);
}

bool capabilities_set(Machine *m, const CapabilityWish *wishes, size_t n, Error *err)
{
    uint64_t bits = *capability_bits(m);

    for (size_t i = 0; i < n; i++) {
        const Capability *c = capability_find(wishes[i].name);

        if (!c) return error_set(err, "invalid parameter value: %s", wishes[i].name);
        bits = wishes[i].on ? bits | capability_bit(c) : bits & ~capability_bit(c);
    }
    if (migration_under_way(m)) return error_set(err, "There's a migration process in progress");
    SET_EACH (Capability, c, capabilities) {
        if (!(bits & ~*capability_bits(m) & capability_bit(c))) continue;
        if (!capability_fits(m, c, bits, err)) return false;
    }
    *capability_bits(m) = bits;
    return true;
}

bool capability_set(Machine *m, const char *name, bool on, Error *err)
{
    return capabilities_set(m, &(CapabilityWish){ name, on }, 1, err);
}

static void migrate_set_capability_run(CommandCall *call, Error *err)
{
    capability_set(
        call->m, command_text(call, "capability"), command_num(call, "state", 0) != 0, err);
}

static void info_migrate_capabilities_run(CommandCall *call, Error *err)
{
    size_t n;
    const Capability **list = capability_list(&n);

    (void)err;
    for (size_t i = 0; i < n; i++)
        sink_printf(call->out, "%s: %s\n", list[i]->name,
            capability_on(call->m, list[i]->name) ? "on" : "off");
    g_free(list);
}

static void capabilities_complete(Machine *m, unsigned n, const char *prefix,
    void (*offer)(void *ctx, const char *word), void *ctx)
{
    (void)m;
    if (n) return;
    SET_EACH (Capability, c, capabilities)
        if (g_str_has_prefix(c->name, prefix)) offer(ctx, c->name);
}

COMMAND(migrate_set_capability, .name = "migrate_set_capability", .args = "capability:s,state:b",
    .usage = "capability state", .help = "Enable/Disable the usage of a capability for migration",
    .run = migrate_set_capability_run, .complete = capabilities_complete);
COMMAND(info_migrate_capabilities, .name = "info migrate_capabilities", .args = "", .usage = "",
    .help = "show current migration capabilities", .run = info_migrate_capabilities_run);
