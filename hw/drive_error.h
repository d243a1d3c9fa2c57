/* SPDX-License-Identifier: MIT */
/* What a drive's werror= and rerror= say to do about a host error. */
#pragma once

#include "block/block.h"
#include "core/machine.h"

typedef enum DriveErrorAction {
    DRIVE_ERROR_REPORT, /* the guest sees it */
    DRIVE_ERROR_IGNORE, /* it counts as done; what was to be read is zeroes */
    DRIVE_ERROR_STOP,   /* the machine stops, and does it over when it goes on */
} DriveErrorAction;

/* Are the drive's actions known ones?  For a device that takes it. */
bool drive_error_check(const BlockDev *bd, Error *err);
/* ret: the negative errno.  write: flushes included.  Tells it as BLOCK_IO_ERROR. */
DriveErrorAction drive_error_action(Machine *m, const BlockDev *bd, bool write, int ret);
