/* SPDX-License-Identifier: MIT */
/* The machine's own events, told in QMP. */
#pragma once

#include "core/machine.h"

/* From now on; more than once does no harm. */
void qmp_events_start(Machine *m);
