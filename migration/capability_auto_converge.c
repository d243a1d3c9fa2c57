/* SPDX-License-Identifier: MIT */
/* auto-converge: accepted, since scripts set it.  A guest that writes faster than the channel takes
 * is slowed in any case (outgoing_converge in migration/outgoing.c). */
#include "migration/capability.h"

CAPABILITY(auto_converge, .name = "auto-converge", .rank = 2);
