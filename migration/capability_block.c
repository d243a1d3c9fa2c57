/* SPDX-License-Identifier: MIT */
/* block: writable disks go along, for machines that do not share them (block_migration.h); with the
 * parameter block-incremental, only what the images have above their backing files.  `migrate -b`
 * and `-i` set both for one migration.  zero-blocks: chunks of zeroes go without their zeroes. */
#include "migration/block_migration.h"
#include "migration/capability.h"
#include "migration/info.h"
#include "migration/parameters.h"

CAPABILITY(block, .name = "block", .rank = 9);
CAPABILITY(zero_blocks, .name = "zero-blocks", .rank = 3);

static bool *block_options_given(Machine *m)
{
    return machine_slot(m, "block-options", sizeof(bool), NULL);
}

bool block_options_begin(Machine *m, bool whole, bool incremental, Error *err)
{
    if (!whole && !incremental) return true;
    if (migration_under_way(m)) return error_set(err, "There's a migration process in progress");
    if (capability_on(m, "block") || migration_parameters(m)->block_incremental)
        return error_set(
            err, "Command options are incompatible with current migration capabilities");
    if (!capability_set(m, "block", true, err)) return false;
    migration_parameters(m)->block_incremental = incremental;
    *block_options_given(m) = true;
    return true;
}

void block_options_end(Machine *m)
{
    if (!*block_options_given(m)) return;
    *block_options_given(m) = false;
    migration_parameters(m)->block_incremental = false;
    capability_set(m, "block", false, NULL);
}
