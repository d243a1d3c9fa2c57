/* SPDX-License-Identifier: MIT */
/* The section `globalstate`: see globalstate.h. */
#include "migration/globalstate.h"

#include <string.h>

#include "migration/switches.h"

typedef struct GlobalState {
    uint32_t size; /* of the text with its NUL */
    uint8_t runstate[100];
    bool optional; /* left out where the far side would guess the same */
} GlobalState;

static bool globalstate_needed(const void *opaque)
{
    const GlobalState *s = opaque;
    const char *name = (const char *)s->runstate;

    return !s->optional || (strcmp(name, "running") && strcmp(name, "paused"));
}

static bool globalstate_post_load(void *opaque, int version, Error *err)
{
    GlobalState *s = opaque;
    RunState state;

    (void)version;
    if (s->size > sizeof(s->runstate)) return error_set(err, "run state of %u bytes", s->size);
    if (!memchr(s->runstate, 0, sizeof(s->runstate)))
        return error_set(err, "run state without an end");
    if (!run_state_parse((const char *)s->runstate, &state))
        return error_set(err, "invalid parameter value: %s", (const char *)s->runstate);
    return true;
}

static const VmField globalstate_fields[] = {
    VM_INT(GlobalState, size),
    VM_BUFFER(GlobalState, runstate),
    VM_END,
};
static const VmState globalstate_vmstate = {
    .name = "globalstate",
    .version = 1,
    .min_version = 1,
    .fields = globalstate_fields,
    .needed = globalstate_needed,
    .post_load = globalstate_post_load,
};

static GlobalState *globalstate_get(Machine *m)
{
    return machine_slot(m, "globalstate", sizeof(GlobalState), NULL);
}

void globalstate_set(Machine *m, RunState state)
{
    GlobalState *s = globalstate_get(m);
    const char *name = run_state_name(state);

    *s = (GlobalState){ .size = (uint32_t)strlen(name) + 1,
        .optional = stream_switches(m)->no_global_state };
    memcpy(s->runstate, name, s->size);
}

RunState globalstate_of(const void *copy)
{
    RunState state = RUN_PAUSED;

    run_state_parse((const char *)((const GlobalState *)copy)->runstate, &state);
    return state;
}

bool globalstate_register(Machine *m, Error *err)
{
    /* The lowest priority: it stands last in the stream. */
    Section s = { .idstr = "globalstate",
        .version = 1,
        .vmsd = &globalstate_vmstate,
        .state = globalstate_get(m),
        .state_size = sizeof(GlobalState),
        .alias_id = -1,
        .priority = -1 };

    globalstate_set(m, RUN_RUNNING);
    return section_register(m, NULL, &s, err) != NULL;
}
