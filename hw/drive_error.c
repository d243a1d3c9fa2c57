/* SPDX-License-Identifier: MIT */
/* Host errors of drives: werror= (enospc where not given) and rerror= (report). */
#include "hw/drive_error.h"

#include <errno.h>
#include <string.h>

#include "core/qmp.h"

static DriveErrorAction drive_error_policy(const BlockDev *bd, bool write, int ret)
{
    const char *policy = block_dev_option(bd, write ? "werror" : "rerror");

    if (!policy) policy = write ? "enospc" : "report";
    if (!strcmp(policy, "stop") || (!strcmp(policy, "enospc") && ret == -ENOSPC))
        return DRIVE_ERROR_STOP;
    return strcmp(policy, "ignore") ? DRIVE_ERROR_REPORT : DRIVE_ERROR_IGNORE;
}

static bool drive_error_check_one(const BlockDev *bd, const char *key, const char *what, Error *err)
{
    static const char *const known[] = { "report", "stop", "ignore", "enospc", "auto" };
    const char *text = block_dev_option(bd, key);

    for (size_t i = 0; text && i < ARRAY_SIZE(known); i++)
        if (!strcmp(text, known[i])) return true;
    return !text || error_set(err, "'%s' invalid %s error action", text, what);
}

bool drive_error_check(const BlockDev *bd, Error *err)
{
    return drive_error_check_one(bd, "werror", "write", err) &&
           drive_error_check_one(bd, "rerror", "read", err);
}

DriveErrorAction drive_error_action(Machine *m, const BlockDev *bd, bool write, int ret)
{
    static const char *const names[] = {
        [DRIVE_ERROR_REPORT] = "report",
        [DRIVE_ERROR_IGNORE] = "ignore",
        [DRIVE_ERROR_STOP] = "stop",
    };
    DriveErrorAction action = drive_error_policy(bd, write, ret);
    const char *node = block_dev_option(bd, "node-name");

    qmp_event(m, "BLOCK_IO_ERROR",
        json_pack("{s:s,s:s,s:s,s:s,s:b,s:s}", "device", block_dev_id(bd), "node-name",
            node ? node : block_dev_id(bd), "operation", write ? "write" : "read", "action",
            names[action], "nospace", ret == -ENOSPC, "reason", strerror(-ret)));
    return action;
}
