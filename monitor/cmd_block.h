/* SPDX-License-Identifier: MIT */
/* What the commands about drives share: HMP's in cmd_block.c, QMP's in qmp_block.c. */
#pragma once

#include "block/block.h"
#include "core/command.h"

bool block_locked(BlockDev *bd);
bool block_tray_open(BlockDev *bd);

/* Whether the medium may be taken out; a locked drive is asked to open unless forced. */
bool block_openable(BlockDev *bd, bool force, Error *err);
/* Puts another medium in; mode is "retain" (NULL), "read-only" or "read-write". */
bool block_change(BlockDev *bd, const char *file, const char *format, const char *mode, Error *err);
/* Opens the tray; there is no medium any more. */
bool block_eject(BlockDev *bd, Error *err);
