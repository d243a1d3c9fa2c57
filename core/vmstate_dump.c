/* SPDX-License-Identifier: MIT */
/*
 * -dump-vmstate: the tables of all device classes as JSON, in the form in which QEMU prints its
 * own, so that the same scripts compare two versions of either.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/machine.h"

static json_t *dump_table(const VmState *v);

static json_t *dump_field(const VmField *f)
{
    json_t *o = json_object();

    json_object_set_new(o, "field", json_string(f->name));
    json_object_set_new(o, "version_id", json_integer(f->since));
    json_object_set_new(o, "field_exists", json_boolean(f->exists));
    json_object_set_new(o, "size", json_integer((json_int_t)f->size));
    if (f->vmsd) json_object_set_new(o, "Description", dump_table(f->vmsd));
    return o;
}

static json_t *dump_table(const VmState *v)
{
    json_t *o = json_object(), *fields = json_array(), *subs = json_array();

    json_object_set_new(o, "name", json_string(v->name));
    json_object_set_new(o, "version_id", json_integer(v->version));
    json_object_set_new(o, "minimum_version_id", json_integer(v->min_version));
    for (const VmField *f = v->fields; f && f->name; f++)
        if (!(f->flags & VMF_MUST_EXIST)) json_array_append_new(fields, dump_field(f));
    for (const VmState *const *s = v->subsections; s && *s; s++)
        json_array_append_new(subs, dump_table(*s));
    if (json_array_size(fields)) json_object_set(o, "Fields", fields);
    if (json_array_size(subs)) json_object_set(o, "Subsections", subs);
    json_decref(fields);
    json_decref(subs);
    return o;
}

/* A class with several sections has one entry for each: the first under its own name. */
static void dump_class(json_t *top, const DeviceClass *cls)
{
    for (const VmState *const *v = cls->vmstates; v && *v; v++) {
        json_t *o = json_object();
        char *key = v == cls->vmstates ? g_strdup(cls->name)
                                       : g_strdup_printf("%s/%s", cls->name, (*v)->name);

        json_object_set_new(o, "Name", json_string(key));
        json_object_set_new(o, "version_id", json_integer((*v)->version));
        json_object_set_new(o, "minimum_version_id", json_integer((*v)->min_version));
        json_object_set_new(o, "Description", dump_table(*v));
        json_object_set_new(top, key, o);
        g_free(key);
    }
}

static int dump_order(const void *a, const void *b)
{
    return strcmp((*(const DeviceClass *const *)a)->name, (*(const DeviceClass *const *)b)->name);
}

bool vmstate_dump(FILE *to, const char *machine)
{
    json_t *top = json_object();
    GPtrArray *classes = g_ptr_array_new();
    int ret;

    json_object_set_new(top, "vmschkmachine", json_pack("{s:s}", "Name", machine));
    SET_EACH (DeviceClass, cls, devices) g_ptr_array_add(classes, (void *)cls);
    qsort(classes->pdata, classes->len, sizeof(void *), dump_order);
    for (guint i = 0; i < classes->len; i++) dump_class(top, classes->pdata[i]);
    ret = json_dumpf(top, to, JSON_PRESERVE_ORDER | JSON_INDENT(2));
    g_ptr_array_free(classes, TRUE);
    json_decref(top);
    return ret == 0 && fputc('\n', to) != EOF;
}
