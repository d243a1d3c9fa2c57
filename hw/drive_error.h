/* SPDX-License-Identifier: MIT */
/* What a drive's werror= and rerror= say to do about a host error. */
#pragma once

#include "block/block.h"

typedef enum DriveErrorAction {
    DRIVE_ERROR_REPORT, /* the guest sees it */
    DRIVE_ERROR_IGNORE, /* it counts as done; what was to be read is zeroes */
    DRIVE_ERROR_STOP,   /* the machine stops, and does it over when it goes on */
} DriveErrorAction;

/* ret: the negative errno.  write: flushes included. */
DriveErrorAction drive_error_action(const BlockDev *bd, bool write, int ret);
