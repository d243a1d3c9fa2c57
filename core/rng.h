/* SPDX-License-Identifier: MIT */
/* Sources of random numbers that the command line names: objects of kind "rng". */
#pragma once

#include "core/machine.h"

typedef struct RngSource {
    int fd; /* of the file that is read; -1: the host's own generator */
} RngSource;

/* -object rng-random,id=ID[,filename=FILE] and rng-builtin,id=ID */
bool rng_source_create(Machine *m, Options *opts, Error *err);
