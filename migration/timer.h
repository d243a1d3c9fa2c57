/* SPDX-License-Identifier: MIT */
/* The section `timer`. */
#pragma once

#include "core/machine.h"

bool timer_register(Machine *m, Error *err);
