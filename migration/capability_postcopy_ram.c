/* SPDX-License-Identifier: MIT */
/* postcopy-ram: migrate_start_postcopy lets the guest go before its RAM has gone
 * (migration/postcopy_out.c).  Both sides set it. */
#include "migration/capability.h"

CAPABILITY(postcopy_ram, .name = "postcopy-ram", .rank = 6,
    .excludes = "x-ignore-shared,background-snapshot");
