/* SPDX-License-Identifier: MIT */
/* The registry of sections: see section.h. */
#include "core/section.h"

#include <glib.h>
#include <string.h>

#include "core/machine.h"

Section *section_find(Machine *m, const char *idstr, uint32_t instance)
{
    for (Section *s = m->sections; s; s = s->next)
        if (!strcmp(s->idstr, idstr) && s->instance == instance) return s;
    return NULL;
}

static bool section_was_sent_as(const Section *s, const char *idstr, uint32_t instance, int version)
{
    if (!strcmp(s->idstr, idstr))
        return s->alias_id >= 0 && (uint32_t)s->alias_id == instance && version <= s->alias_version;
    if (!s->compat[0] || strcmp(s->compat, idstr)) return false;
    return s->compat_instance == instance ||
           (s->alias_id >= 0 && (uint32_t)s->alias_id == instance && version <= s->alias_version);
}

Section *section_find_sent(Machine *m, const char *idstr, uint32_t instance, int version)
{
    Section *exact = section_find(m, idstr, instance);

    for (Section *s = m->sections; s && !exact; s = s->next)
        if (section_was_sent_as(s, idstr, instance, version)) exact = s;
    return exact;
}

/* The lowest instance id above all that sections of this name have. */
static uint32_t section_free_instance(Machine *m, const char *idstr, bool compat)
{
    uint32_t free_id = 0;

    for (Section *s = m->sections; s; s = s->next) {
        const char *name = compat ? s->compat : s->idstr;
        uint32_t id = compat ? s->compat_instance : s->instance;

        if (!strcmp(name, idstr) && id >= free_id) free_id = id + 1;
    }
    return free_id;
}

/* Behind every section of the same or a higher priority. */
static void section_insert(Machine *m, Section *sec)
{
    Section **p = &m->sections;

    while (*p && (*p)->priority >= sec->priority) p = &(*p)->next;
    sec->next = *p;
    *p = sec;
}

Section *section_register(Machine *m, const char *path, const Section *tmpl, Error *err)
{
    Section *sec;

    if (strlen(tmpl->idstr) + (path ? strlen(path) + 1 : 0) > SECTION_ID_MAX) {
        error_set(err, "Path too long for VMState (%s)", path ? path : tmpl->idstr);
        return NULL;
    }
    g_assert(tmpl->alias_id < 0 || !tmpl->vmsd || tmpl->alias_version >= tmpl->vmsd->min_version);
    sec = g_new(Section, 1);
    *sec = *tmpl;
    if (path) {
        g_snprintf(sec->idstr, sizeof(sec->idstr), "%s/%s", path, tmpl->idstr);
        strcpy(sec->compat, tmpl->idstr);
        sec->compat_instance = tmpl->instance == (uint32_t)INSTANCE_ANY
                                   ? section_free_instance(m, tmpl->idstr, true)
                                   : tmpl->instance;
        sec->instance = (uint32_t)INSTANCE_ANY;
    }
    if (sec->instance == (uint32_t)INSTANCE_ANY)
        sec->instance = section_free_instance(m, sec->idstr, false);
    if (section_find(m, sec->idstr, sec->instance)) {
        error_set(err, "section '%s' instance %u is registered already", sec->idstr, sec->instance);
        g_free(sec);
        return NULL;
    }
    sec->id = m->next_section_id++;
    section_insert(m, sec);
    return sec;
}

void section_unregister(Machine *m, Section *sec)
{
    for (Section **p = &m->sections; *p; p = &(*p)->next) {
        if (*p != sec) continue;
        *p = sec->next;
        g_free(sec);
        return;
    }
}
