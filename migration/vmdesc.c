/* SPDX-License-Identifier: MIT */
/*
 * The JSON behind a stream: a description of every section, and under the key "stasis" the integers
 * that no section has and exactness needs (DeviceClass.exact).  Others skip the text unread.
 */
#include <jansson.h>
#include <string.h>

#include "migration/load.h"
#include "migration/save.h"

static json_t *vmdesc_section(Section *s)
{
    json_t *o = json_object();

    json_object_set_new(o, "name", json_string(s->idstr));
    json_object_set_new(o, "instance_id", json_integer(s->instance));
    if (s->vmsd) {
        vmstate_describe((Json *)o, s->vmsd, s->state);
    } else {
        json_t *f = json_object();
        json_int_t size;
        Stream st;

        stream_init(&st);
        save_section_body(&st, s);
        size = (json_int_t)st.size;
        stream_free(&st);
        json_object_set_new(o, "size", json_integer(size));
        json_object_set_new(f, "name", json_string("data"));
        json_object_set_new(f, "size", json_integer(size));
        json_object_set_new(f, "type", json_string("buffer"));
        json_object_set_new(o, "fields", json_pack("[o]", f));
    }
    return o;
}

static size_t exact_count(const VmField *f) { return f->count; }

/* An integer member's value, from its bytes. */
static json_int_t exact_get(const VmField *f, const void *elem)
{
    Stream st;
    uint64_t v = 0;

    stream_init(&st);
    f->type->save(&st, elem, f);
    for (size_t i = 0; i < st.size; i++) v = v << 8 | st.data[i];
    if (f->type == &vm_i32) v = (uint64_t)(int64_t)(int32_t)v;
    stream_free(&st);
    return (json_int_t)v;
}

static void exact_set(const VmField *f, void *elem, json_int_t val)
{
    Stream st;

    stream_init(&st);
    for (size_t i = f->size; i-- > 0;) stream_put_u8(&st, (uint8_t)((uint64_t)val >> 8 * i));
    f->type->load(&st, elem, f);
    stream_free(&st);
}

/* VM_VALIDATE: a check of what was loaded before it, and no value. */
static bool exact_is_check(const VmField *f) { return f->flags & VMF_MUST_EXIST; }

static json_t *vmdesc_exact(Device *dev)
{
    json_t *o = json_object();

    device_settle(dev);
    for (const VmField *f = dev->cls->exact; f->name; f++) {
        const char *elem = (const char *)device_state(dev) + f->offset;
        json_t *a;

        if (exact_is_check(f)) continue;
        a = json_array();
        for (size_t i = 0; i < exact_count(f); i++)
            json_array_append_new(a, json_integer(exact_get(f, elem + i * f->stride)));
        json_object_set_new(o, f->name, a);
    }
    return o;
}

static json_t *vmdesc_exact_all(Machine *m)
{
    json_t *exact = json_object();

    EACH_DEVICE (dev, m)
        if (dev->cls->exact) json_object_set_new(exact, dev->id, vmdesc_exact(dev));
    return exact;
}

static char *vmdesc_dump(json_t *top)
{
    char *text = json_dumps(top, JSON_PRESERVE_ORDER), *copy = g_strdup(text);

    free(text);
    json_decref(top);
    return copy;
}

char *vmdesc_exact_text(Machine *m) { return vmdesc_dump(vmdesc_exact_all(m)); }

char *vmdesc_text(Machine *m)
{
    json_t *top = json_object(), *devices = json_array();

    json_object_set_new(top, "page_size", json_integer(PAGE_SIZE));
    for (Section *s = m->sections; s; s = s->next)
        if (save_section_needed(s)) json_array_append_new(devices, vmdesc_section(s));
    json_object_set_new(top, "devices", devices);
    json_object_set_new(top, "stasis", vmdesc_exact_all(m));
    return vmdesc_dump(top);
}

/* The copy that a device's sections load into; NULL where it has no section. */
static void *vmdesc_copy(LoadRun *run, Device *dev)
{
    for (LoadCopy *c = run->copies; c; c = c->next)
        if (c->state == device_state(dev)) return c->copy;
    return NULL;
}

static bool vmdesc_apply_device(Device *dev, char *copy, json_t *values, Error *err)
{
    for (const VmField *f = dev->cls->exact; f->name; f++) {
        json_t *a = json_object_get(values, f->name);

        if (exact_is_check(f) && !f->exists(copy, 0))
            return error_set(err, "vmdescription: '%s': %s", dev->id, f->name);
        if (!a || exact_is_check(f)) continue;
        if (!json_is_array(a) || json_array_size(a) != exact_count(f))
            return error_set(
                err, "vmdescription: '%s.%s' has not %zu values", dev->id, f->name, exact_count(f));
        for (size_t i = 0; i < exact_count(f); i++)
            exact_set(
                f, copy + f->offset + i * f->stride, json_integer_value(json_array_get(a, i)));
    }
    return true;
}

bool vmdesc_apply(LoadRun *run, const char *text, Error *err)
{
    json_t *top = json_loads(text, 0, NULL), *exact = json_object_get(top, "stasis");
    bool ok = true;

    EACH_DEVICE (dev, run->m) {
        json_t *values = json_object_get(exact, dev->id);
        char *copy = vmdesc_copy(run, dev);

        if (ok && dev->cls->exact && copy && json_is_object(values))
            ok = vmdesc_apply_device(dev, copy, values, err);
    }
    json_decref(top);
    return ok;
}
