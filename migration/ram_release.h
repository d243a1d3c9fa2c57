/* SPDX-License-Identifier: MIT */
/*
 * Post-copy with release-ram: the source gives pages back to the host once the far side has them.
 *
 * A page that has been written to the channel may still be lost with it, and then has to be sent
 * again.  So what was sent is kept until the far side has answered a ping that was sent behind it,
 * or has named it in the bitmap of a recovery, or has everything.
 */
#pragma once

#include "migration/save.h"

/* The guest leaves; where release-ram is off nothing is ever given back. */
void ram_release_begin(SaveRun *run);
void ram_release_end(SaveRun *run);
/* A page has been sent after the guest had left. */
void ram_release_sent(SaveRun *run, RamBlock *b, uint64_t page);
/* Between two sections: asks by a ping whether what was sent is there, when it is worth it. */
void ram_release_ask(SaveRun *run);
/* That ping has come back. */
void ram_release_answered(SaveRun *run);
/* What the far side has of a block is marked clean, after a recovery; other pages go again. */
void ram_release_recovered(SaveRun *run, const RamBlock *b);
/* The far side has every page.  From here on the guest cannot run on: the machine says why. */
void ram_release_all(SaveRun *run);
