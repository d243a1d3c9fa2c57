/* SPDX-License-Identifier: MIT */
/* Monitors, from outside. */
#pragma once

#include "core/command.h"
#include "core/machine.h"
#include "util/chardev.h"

/* An HMP monitor on a character device (which it does not own). */
bool monitor_new(Machine *m, Chardev *chr, Error *err);

/* A QMP session on a character device (which it does not own). */
bool monitor_new_qmp(Machine *m, Chardev *chr, bool pretty, Error *err);

/* Runs one line as if typed and collects what it prints.  done (which owns text) is called when the
 * command has ended, perhaps before this returns. */
void monitor_start_line(
    Machine *m, const char *line, void (*done)(void *opaque, char *text), void *opaque);

/* The same, waiting: for tests.  g_free the result. */
char *monitor_run_line(Machine *m, const char *line);
