/* SPDX-License-Identifier: MIT */
/* Monitors, from outside. */
#pragma once

#include "core/command.h"
#include "core/machine.h"
#include "util/chardev.h"

/* An HMP monitor on a character device (which it does not own). */
bool monitor_new(Machine *m, Chardev *chr, Error *err);

/* Runs one line as if typed and collects what it prints: for QMP's human-monitor-command and tests.
 * Waits for asynchronous commands.  g_free the result. */
char *monitor_run_line(Machine *m, const char *line);
