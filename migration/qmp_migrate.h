/* SPDX-License-Identifier: MIT */
/* What QMP tells of migrations while the capability `events` is on. */
#pragma once

#include "core/machine.h"

/* From now on, every change of a status is told as MIGRATION. */
void migration_events_start(Machine *m);
/* Dirty pages are looked for once more: MIGRATION_PASS. */
void migration_event_pass(Machine *m, uint64_t round);
