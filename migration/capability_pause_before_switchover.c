/* SPDX-License-Identifier: MIT */
/* pause-before-switchover: the source stops its guest and waits for migrate_continue before it
 * gives up the disks (migration/outgoing.c). */
#include "migration/capability.h"

CAPABILITY(pause_before_switchover, .name = "pause-before-switchover", .rank = 11);
