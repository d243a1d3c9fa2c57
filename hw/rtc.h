/* SPDX-License-Identifier: MIT */
/* What a board tells the real-time clock. */
#pragma once

#include "core/device.h"

/* Sets a CMOS byte as the machine's maker would have: it is there at power-on, and now. */
void rtc_set_cmos(Device *dev, unsigned index, uint8_t value);
