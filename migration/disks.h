/* SPDX-License-Identifier: MIT */
/* Who owns the disks: given up before a switchover, taken after an arrival or a failure. */
#pragma once

#include "core/machine.h"

/* Waits for every request of every drive. */
void disks_drain(Machine *m);
/* Flushes and unlocks every image / locks and reads its tables anew. */
bool disks_give_up(Machine *m, Error *err);
bool disks_take(Machine *m, Error *err);
