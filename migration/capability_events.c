/* SPDX-License-Identifier: MIT */
/* events: every change of a migration's status is told to QMP sessions, which ask for it. */
#include "migration/capability.h"

CAPABILITY(events, .name = "events", .rank = 5);
