/* SPDX-License-Identifier: MIT */
/* The return path of an arriving guest, and its demand for pages: see postcopy_in.c. */
#pragma once

#include "migration/load.h"

typedef struct PostcopyIn PostcopyIn;

/* For the life of a load on fd; answers go out as fd takes them. */
PostcopyIn *postcopy_in_new(LoadRun *run, int fd);
/* From now on absent pages are asked for. */
void postcopy_in_listen(PostcopyIn *p);
/* Writes what run->answers holds. */
void postcopy_in_flush(PostcopyIn *p);
/* Tells the far side how it went; absent pages are asked for no more.  p may be NULL. */
void postcopy_in_end(PostcopyIn *p, bool ok);
