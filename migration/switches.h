/* SPDX-License-Identifier: MIT */
/*
 * What a stream leaves out, for the sake of other senders and readers: -global migration.NAME=off
 * and -M suppress-vmdesc=on.  Both ends are told the same: a stream does not say what it lacks.
 */
#pragma once

#include "core/machine.h"

typedef struct StreamSwitches {
    bool no_configuration; /* send-configuration=off */
    bool no_footers;       /* send-section-footer=off */
    bool no_global_state; /* store-global-state=off: only where the guest neither runs nor pauses */
    bool no_description;  /* suppress-vmdesc=on */
} StreamSwitches;

const StreamSwitches *stream_switches(Machine *m);
/* From the machine's config, once; what was not checked before is an error. */
bool stream_switches_set(Machine *m, Error *err);
