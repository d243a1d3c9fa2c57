/* SPDX-License-Identifier: MIT */
/* The state of the devices alone, without RAM, to a file and back. */
#pragma once

#include "core/machine.h"

/* A running guest is stopped meanwhile. */
bool device_state_save(Machine *m, const char *path, Error *err);
/* Refused while the guest runs.  Whatever is wrong with the file, nothing has changed. */
bool device_state_load(Machine *m, const char *path, Error *err);
