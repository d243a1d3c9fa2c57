/* SPDX-License-Identifier: MIT */
/* Sources of random numbers for devices: objects of kind "rng" (rng-random, rng-builtin). */
#pragma once

#include "core/machine.h"

typedef struct RngSource RngSource;

/* NULL: there is none with this id. */
RngSource *rng_source_find(Machine *m, const char *id);
/* Up to len bytes; returns how many there are at the moment, perhaps none.  r NULL: the host's own
 * generator. */
size_t rng_source_read(const RngSource *r, uint8_t *buf, size_t len);
