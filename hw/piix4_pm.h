/* SPDX-License-Identifier: MIT */
/* What ACPI tables tell of the PIIX4's power management. */
#pragma once

#include "core/device.h"

enum { PIIX4_PM_GPE = 0xafe0, PIIX4_PM_GPE_PORTS = 4 };
enum { PIIX4_PM_APMC = 0xb2, PIIX4_PM_ACPI_ON = 0xf1, PIIX4_PM_ACPI_OFF = 0xf0 };

/* The first of the PM ports as the firmware has placed them, or 0. */
uint16_t piix4_pm_base(Machine *m);
