/* SPDX-License-Identifier: MIT */
/* What -object creates: each type announces itself in its own file. */
#pragma once

#include "core/machine.h"
#include "util/registry.h"

typedef struct UserObjectType {
    const char *name;
    const char *help; /* a line for each option */
    bool early;       /* created before the devices, which look for it; else behind them */
    /* Checks that all options were used, too; "qom-type" has been. */
    bool (*create)(Machine *m, Options *opts, Error *err);
} UserObjectType;
#define USER_OBJECT(ident, ...)                                                                    \
    static const UserObjectType ident##_type = { __VA_ARGS__ };                                    \
    SET_ADD(user_objects, ident##_type)
SET_DECLARE(user_objects);

/* NULL: there is no such type. */
const UserObjectType *user_object_find(const char *name);
/* All names, sorted, with this between them; g_free it. */
char *user_object_names(const char *between);
