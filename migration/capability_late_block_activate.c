/* SPDX-License-Identifier: MIT */
/* late-block-activate: a guest that arrives and does not run at once takes its disks when it is
 * continued (migration/incoming.c), so that the source can have them until then. */
#include "migration/capability.h"

CAPABILITY(late_block_activate, .name = "late-block-activate", .rank = 15);
