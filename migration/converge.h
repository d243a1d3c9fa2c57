/* SPDX-License-Identifier: MIT */
/* How much a guest is slowed so that its migration ends: see converge.c. */
#pragma once

#include "migration/ram.h"

typedef struct Converge {
    unsigned percent; /* auto-converge's, 0: not yet */
    unsigned lags;    /* rounds in turn after which too much was dirty */
    uint64_t sent;    /* bytes, up to the last round */
    uint64_t granted; /* pages sent for which the guest has had its share */
    bool stalled;     /* the channel takes nothing: the guest is free */
} Converge;

/* A migration of a machine with so many bytes of RAM begins. */
void converge_begin(Converge *c, Machine *m, uint64_t total);
/* So many pages have gone out since then. */
void converge_sent(Converge *c, Machine *m, uint64_t pages);
/* For a second nothing has. */
void converge_stall(Converge *c, Machine *m);
/* It is over: the guest is free. */
void converge_end(Machine *m);

/* A round has ended and left so many bytes dirty. */
void converge_round(Converge *c, Machine *m, const RamStats *s, uint64_t dirty);
/* Percent of host time that the CPU rests now, while so many bytes are to be sent. */
unsigned converge_throttle(const Converge *c, Machine *m, const RamStats *s, uint64_t left);
