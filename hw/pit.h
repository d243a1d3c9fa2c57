/* SPDX-License-Identifier: MIT */
/* The gate and output pins of the interval timer, for the speaker port. */
#pragma once

#include "core/device.h"

void pit_set_gate(Device *dev, unsigned channel, bool level);
bool pit_gate(Device *dev, unsigned channel);
/* The output pin as it is now. */
bool pit_out(Device *dev, unsigned channel);
