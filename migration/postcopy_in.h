/* SPDX-License-Identifier: MIT */
/* The return path of an arriving guest, and its demand for pages: see postcopy_in.c. */
#pragma once

#include "migration/load.h"

typedef struct PostcopyIn PostcopyIn;

/* For the life of a load on fd; answers go out as fd takes them. */
PostcopyIn *postcopy_in_new(LoadRun *run, int fd, bool socket);
/* From now on absent pages are asked for. */
void postcopy_in_listen(PostcopyIn *p);
/* Writes what run->answers holds. */
void postcopy_in_flush(PostcopyIn *p);
/* The connection has been lost (fd -1), or there is a new one. */
void postcopy_in_connect(PostcopyIn *p, int fd);
/* After a recovery: what was asked for and has not come. */
void postcopy_in_ask_again(PostcopyIn *p);
/* Tells the far side how it went; when all has arrived, nothing is asked for any more. */
void postcopy_in_last_word(PostcopyIn *p, bool ok);
/* p may be NULL. */
void postcopy_in_free(PostcopyIn *p);
