/* SPDX-License-Identifier: MIT */
/* How much a guest is slowed so that its migration ends: see converge.c. */
#pragma once

#include "migration/ram.h"

typedef struct Converge {
    unsigned percent; /* auto-converge's, 0: not yet */
    unsigned lags;    /* rounds in turn after which too much was dirty */
    uint64_t sent;    /* bytes, up to the last round */
} Converge;

/* A round has ended and left so many bytes dirty. */
void converge_round(Converge *c, Machine *m, const RamStats *s, uint64_t dirty);
/* Percent of host time that the CPU rests now, while so many bytes are to be sent. */
unsigned converge_throttle(const Converge *c, Machine *m, const RamStats *s, uint64_t left);
