/* SPDX-License-Identifier: MIT */
/*
 * CPUs that wait for pages which have not come.  The others run on meanwhile; with -icount they do
 * not, since then nothing may depend on when a page comes.
 */
#pragma once

#include "cpu/cpus.h"

/* Its turn has ended at an absent page. */
void blocked_begin(Cpu *cpu);
/* The page has come, or the CPU tries again. */
void blocked_end(Cpu *cpu);
/* It leaves its turns to others: it has had no answer yet.  Now and then it tries again. */
bool blocked_waits(const Cpu *cpu);
/* Some CPU waits, and no other one can run; until there is something to try again for. */
void blocked_all_begin(Cpus *cpus);
void blocked_all_end(Cpus *cpus);
