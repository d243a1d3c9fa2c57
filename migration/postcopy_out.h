/* SPDX-License-Identifier: MIT */
/* The return path and post-copy as the side that a guest leaves has them: see postcopy_out.c. */
#pragma once

#include "migration/save.h"

/* What has come back so far. */
typedef struct ReturnPath {
    Stream in;
    bool met;         /* the far side has answered who it is ... */
    bool stasis;      /* ... and is a Stasis */
    bool ready;       /* it has accepted the package */
    bool resumed;     /* of a recovery: it goes on ... */
    unsigned bitmaps; /* ... having said which pages of how many blocks have come */
    bool shut;        /* it has said its last word ... */
    uint32_t code;    /* ... 0: all has arrived */
} ReturnPath;

/* Behind the header: the return path, and that pages may come late. */
void postcopy_out_advise(SaveRun *run);
/* The guest has stopped: what is stale over there, and all devices in one package. */
void postcopy_out_package(SaveRun *run, bool stasis);
/* A new connection: asks for the bitmap of each block; answers how many there are. */
unsigned postcopy_out_recover(SaveRun *run);
/* Takes messages apart; requests go to run.  False with err: the far side talks nonsense. */
bool return_path_parse(ReturnPath *rp, SaveRun *run, Error *err);
