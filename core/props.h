/* SPDX-License-Identifier: MIT */
/* Properties, for core/device.c. */
#pragma once

#include "core/device.h"

const Prop *prop_find(const DeviceClass *cls, const char *name);
/* Sets every member from its text: given, -global, or the fallback. */
bool props_apply(Device *dev, Error *err);
/* Frees the string members. */
void props_free(Device *dev);
