/* SPDX-License-Identifier: MIT */
/* System management mode. */
#pragma once

#include "cpu/state.h"

/* Whether an SMI is pending and may be taken. */
bool smm_ready(const Cpu *cpu);
/* Takes it: saves the state and goes to the handler.  May find the save area's page absent, and has
 * then done nothing. */
void smm_enter(Cpu *cpu);
