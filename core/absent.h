/* SPDX-License-Identifier: MIT */
/* What the main loop asks about absent pages; all else of them is in memory.h. */
#pragma once

#include "core/machine.h"

/* A CPU or a device waits for a page. */
bool mem_device_waits(Machine *m);
