/* SPDX-License-Identifier: MIT */
/* Host errors of drives: werror= (enospc where not given) and rerror= (report). */
#include "hw/drive_error.h"

#include <errno.h>
#include <string.h>

DriveErrorAction drive_error_action(const BlockDev *bd, bool write, int ret)
{
    const char *policy = block_dev_option(bd, write ? "werror" : "rerror");

    if (!policy) policy = write ? "enospc" : "report";
    if (!strcmp(policy, "stop") || (!strcmp(policy, "enospc") && ret == -ENOSPC))
        return DRIVE_ERROR_STOP;
    return strcmp(policy, "ignore") ? DRIVE_ERROR_REPORT : DRIVE_ERROR_IGNORE;
}
