/* SPDX-License-Identifier: MIT */
/* From a command line to a machine that is ready to run. */
#pragma once

#include "core/machine.h"
#include "system/options.h"

/* Makes the machine with everything that the command line asks for, its monitors and display; loads
 * a snapshot or waits for a migration where told to.  It does not run yet (machine_begin).  The
 * command line's config is moved into the machine.  NULL on failure, with a text that begins with
 * the option. */
Machine *machine_build(CommandLine *cl, GMainContext *ctx, Error *err);

/* The name of the machine that there is without -M. */
const char *machine_default(void);

/* Lets the guest run, unless -S or an incoming migration say otherwise. */
bool machine_begin(Machine *m, Error *err);

/* -- build_backend.c: back ends of the machine, in the order of the command line -- */
bool build_chardevs(Machine *m, CommandLine *cl, Error *err);
bool build_drives(Machine *m, CommandLine *cl, Error *err);
bool build_networks(Machine *m, CommandLine *cl, Error *err);
/* -object, of the types that come before the devices, or of those that come behind them. */
bool build_objects(Machine *m, CommandLine *cl, bool early, Error *err);
bool build_monitors(Machine *m, CommandLine *cl, Error *err);

/* -- defaults.c -- */
/* Adds to the command line what nobody gave and -nodefaults does not forbid. */
void command_line_defaults(CommandLine *cl);
