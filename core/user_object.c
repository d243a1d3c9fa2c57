/* SPDX-License-Identifier: MIT */
/* See user_object.h. */
#include "core/user_object.h"

#include <string.h>

const UserObjectType *user_object_find(const char *name)
{
    SET_EACH (UserObjectType, type, user_objects) {
        if (!strcmp(type->name, name)) return type;
    }
    return NULL;
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char *user_object_names(const char *between)
{
    GPtrArray *names = g_ptr_array_new();
    char *text;

    SET_EACH (UserObjectType, type, user_objects) {
        g_ptr_array_add(names, (gpointer)type->name);
    }
    g_ptr_array_sort(names, name_compare);
    g_ptr_array_add(names, NULL);
    text = g_strjoinv(between, (char **)names->pdata);
    g_ptr_array_free(names, TRUE);
    return text;
}
