/* SPDX-License-Identifier: MIT */
/* Sections of other programs for devices that this one lacks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/stream.h"

/* Consumes the body of a section whose layout is known; false (nothing consumed) where it is not.
 * A starved or failed stream gives true. */
bool foreign_section_skip(Stream *st, const char *idstr, uint32_t version);
