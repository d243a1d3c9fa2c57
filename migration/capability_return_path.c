/* SPDX-License-Identifier: MIT */
/* return-path: the far side answers on the same socket, and says when all has arrived
 * (migration/postcopy_out.c).  Channels that go one way only do without. */
#include "migration/capability.h"

CAPABILITY(return_path, .name = "return-path", .rank = 10);
