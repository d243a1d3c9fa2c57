/* SPDX-License-Identifier: MIT */
/*
 * The main loop: CPU slices, timers, requests and host events take turns on one GLib context.
 *
 * Tests drive one or two machines, each on its own context or both on one, with machine_step.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/machine.h"

/* One turn: requests and due timers, a CPU slice, host events.  Without -icount the slice lasts at
 * most max_ns of host time; with it, at most max_ns of virtual time.  Where there is nothing to
 * run, waits up to max_ns (of host time) for the next deadline or host event; negative: as long as
 * it takes, and the slice has the usual length.  False once the machine has quit. */
bool machine_step(Machine *m, int64_t max_ns);

/* Turns until the machine quits. */
void machine_main_loop(Machine *m);

/* Saves and reloads the machine in place every insns instructions; 0: never. */
void machine_set_torture(Machine *m, int64_t insns);

/* SIGINT, SIGTERM and SIGHUP end the machine cleanly. */
void machine_catch_signals(Machine *m);
