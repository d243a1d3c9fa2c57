/* SPDX-License-Identifier: MIT */
/* A machine's consoles in order of creation: inside of ui/. */
#pragma once

#include "ui/ui.h"

typedef struct Consoles {
    GPtrArray *list; /* of Console, owned by their devices */
} Consoles;

GPtrArray *consoles_of(Machine *m);
