/* SPDX-License-Identifier: MIT */
/* auto-converge: a guest that writes faster than the channel takes is slowed by the steps that the
 * parameters give, where converge.c would not slow it more anyway. */
#include "migration/capability.h"

CAPABILITY(auto_converge, .name = "auto-converge", .rank = 2);
