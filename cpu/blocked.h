/* SPDX-License-Identifier: MIT */
/* How long a CPU waits for pages that have not come: cpu_blocked_ns of cpu/cpu.h. */
#pragma once

#include "cpu/state.h"

/* Its slice has ended at an absent page. */
void blocked_begin(Cpu *cpu);
/* The page has come, or the CPU tries again. */
void blocked_end(Cpu *cpu);
