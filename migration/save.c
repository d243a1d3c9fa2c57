/* SPDX-License-Identifier: MIT */
/* Writes a machine's stream: see save.h.  Framing as QEMU's version 3, footers and description
 * included. */
#include "migration/save.h"

#include <assert.h>
#include <string.h>

#include "migration/capability.h"
#include "migration/globalstate.h"
#include "migration/incoming.h"
#include "migration/postcopy_out.h"
#include "migration/ram_release.h"
#include "migration/switches.h"

bool save_allowed(Machine *m, Error *err)
{
    if (incoming_late(m)) return error_set(err, "The guest's RAM is still arriving");
    EACH_DEVICE (dev, m)
        if (dev->cls->unmigratable)
            return error_set(err, "State blocked by non-migratable device '%s': %s", dev->id,
                dev->cls->unmigratable);
    return true;
}

static void save_header(SaveRun *run)
{
    stream_put_be32(&run->st, STREAM_MAGIC);
    stream_put_be32(&run->st, STREAM_VERSION);
}

static void save_configuration(SaveRun *run)
{
    const char *name = run->m->cls->name;

    if (run->without->no_configuration) return;
    stream_put_u8(&run->st, SECTION_CONFIGURATION);
    stream_put_be32(&run->st, (uint32_t)strlen(name));
    stream_put(&run->st, name, strlen(name));
    SET_EACH (Capability, c, capabilities)
        if (c->configuration && run->live && capability_on(run->m, c->name))
            c->configuration(run->m, &run->st);
}

static void save_section_header(Stream *st, const Section *sec, uint8_t type)
{
    stream_put_u8(st, type);
    stream_put_be32(st, sec->id);
    if (type == SECTION_PART || type == SECTION_END) return;
    stream_put_str8(st, sec->idstr);
    stream_put_be32(st, sec->instance);
    stream_put_be32(st, (uint32_t)sec->version);
}

void save_footer(SaveRun *run, uint32_t id)
{
    if (run->without->no_footers) return;
    stream_put_u8(&run->st, SECTION_FOOTER);
    stream_put_be32(&run->st, id);
}

void save_section_body(Stream *st, Section *sec)
{
    if (sec->dev) device_settle(sec->dev);
    if (sec->ops && sec->ops->settle) sec->ops->settle(sec->opaque);
    if (sec->vmsd)
        vmstate_save(st, sec->vmsd, sec->state);
    else if (sec->ops)
        sec->ops->save(st, sec->opaque);
}

static const IterableOps *section_iterable(const Section *sec) { return sec->iterable; }

/* This save sends it in rounds. */
static bool save_sends(const SaveRun *run, const Section *sec)
{
    const IterableOps *ops = sec->iterable;

    return ops && (!ops->active || (run->live && ops->active(run->m)));
}

static SaveRun *save_new(Machine *m)
{
    SaveRun *run = g_new0(SaveRun, 1);

    run->m = m;
    run->without = stream_switches(m);
    run->run_state = m->run_state;
    stream_init(&run->st);
    save_header(run);
    return run;
}

SaveRun *save_begin(Machine *m, bool live, bool return_path)
{
    SaveRun *run = save_new(m);

    run->live = live;
    run->return_path = return_path;
    save_configuration(run);
    if (return_path) postcopy_out_advise(run);
    for (Section *s = m->sections; s; s = s->next) {
        if (!save_sends(run, s)) continue;
        save_section_header(&run->st, s, SECTION_START);
        section_iterable(s)->setup(run, &run->st);
        save_footer(run, s->id);
    }
    run->state = SAVE_ITERATE;
    run->rounds_from = run->st.offset + run->st.size;
    return run;
}

bool save_iterate(SaveRun *run, size_t max)
{
    bool more = false;

    assert(run->state == SAVE_ITERATE);
    for (Section *s = run->m->sections; s && !more; s = s->next) {
        if (!save_sends(run, s)) continue;
        save_section_header(&run->st, s, SECTION_PART);
        more = section_iterable(s)->iterate(run, &run->st, max);
        save_footer(run, s->id);
    }
    return more;
}

uint64_t save_pending(SaveRun *run)
{
    uint64_t n = 0;

    for (Section *s = run->m->sections; s; s = s->next)
        if (save_sends(run, s)) n += section_iterable(s)->pending(run, UINT64_MAX);
    return n;
}

bool save_section_needed(const Section *s)
{
    return !s->iterable && (!s->vmsd || !s->vmsd->needed || s->vmsd->needed(s->state));
}

void save_devices(SaveRun *run)
{
    globalstate_set(run->m, run->run_state);
    for (Section *s = run->m->sections; s; s = s->next) {
        if (!save_section_needed(s)) continue;
        save_section_header(&run->st, s, SECTION_FULL);
        save_section_body(&run->st, s);
        save_footer(run, s->id);
    }
}

static void save_description(SaveRun *run)
{
    char *desc;

    stream_put_u8(&run->st, SECTION_EOF);
    if (run->without->no_description) return;
    desc = vmdesc_text(run->m);
    stream_put_u8(&run->st, SECTION_VMDESC);
    stream_put_be32(&run->st, (uint32_t)strlen(desc));
    stream_put(&run->st, desc, strlen(desc));
    g_free(desc);
}

/* The rest of RAM goes out in PARTs of about max bytes, so that the owner can drain them; the last
 * piece is the END. */
static bool save_complete_iterables(SaveRun *run, size_t max)
{
    for (Section *s = run->m->sections; s; s = s->next) {
        bool last;

        if (!save_sends(run, s)) continue;
        last = section_iterable(s)->pending(run, max) <= max;
        save_section_header(&run->st, s, last ? SECTION_END : SECTION_PART);
        section_iterable(s)->complete(run, &run->st, last ? SIZE_MAX : max);
        save_footer(run, s->id);
        if (!last) return false;
    }
    return true;
}

bool save_complete(SaveRun *run, size_t max)
{
    if (run->state == SAVE_ITERATE) run->state = SAVE_COMPLETE_RAM;
    if (run->state == SAVE_COMPLETE_RAM && save_complete_iterables(run, max)) {
        run->state = SAVE_DEVICES;
        run->rounds_to = run->st.offset + run->st.size;
    }
    if (run->state != SAVE_DEVICES) return run->state == SAVE_DONE;
    save_devices(run);
    save_description(run);
    run->state = SAVE_DONE;
    return true;
}

SaveRun *save_devices_only(Machine *m)
{
    SaveRun *run = save_new(m);

    save_devices(run);
    save_description(run);
    run->state = SAVE_DONE;
    return run;
}

bool save_postcopy(SaveRun *run, size_t max)
{
    run->state = SAVE_COMPLETE_RAM;
    if (!save_complete_iterables(run, max)) {
        ram_release_ask(run);
        return false;
    }
    stream_put_u8(&run->st, SECTION_EOF);
    run->state = SAVE_DONE;
    return true;
}

void save_end(SaveRun *run)
{
    if (!run) return;
    for (Section *s = run->m->sections; s; s = s->next)
        if (s->iterable && section_iterable(s)->cleanup) section_iterable(s)->cleanup(run);
    ram_release_end(run);
    stream_free(&run->st);
    g_free(run);
}
