/* SPDX-License-Identifier: MIT */
/* What the command line says of the SMBIOS tables: from there to the board that makes them. */
#pragma once

#include "core/machine.h"
#include "util/options.h"

typedef struct SmbiosOptions {
    GPtrArray *list; /* Options of each -smbios, not owned: read by machine_init */
} SmbiosOptions;

static inline void smbios_options_free(void *slot)
{
    if (((SmbiosOptions *)slot)->list) g_ptr_array_free(((SmbiosOptions *)slot)->list, TRUE);
}

/* The machine's list, empty at first. */
static inline GPtrArray *smbios_options(Machine *m)
{
    SmbiosOptions *o = machine_slot(m, "smbios", sizeof(SmbiosOptions), smbios_options_free);

    if (!o->list) o->list = g_ptr_array_new();
    return o->list;
}
