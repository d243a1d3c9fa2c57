/* SPDX-License-Identifier: MIT */
/* The section `globalstate`: the run state that the guest had, so that it goes on so elsewhere. */
#pragma once

#include "core/machine.h"

bool globalstate_register(Machine *m, Error *err);
/* What the next save will say. */
void globalstate_set(Machine *m, RunState s);
/* The state that a loaded copy of the section's state names. */
RunState globalstate_of(const void *copy);
