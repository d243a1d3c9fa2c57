/* SPDX-License-Identifier: MIT */
/* The CPU's sections, and what only exactness needs. */
#pragma once

#include "core/vmstate.h"

extern const VmState cpu_common_vmstate, cpu_vmstate;
extern const VmField cpu_exact[];
