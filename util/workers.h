/* SPDX-License-Identifier: MIT */
/*
 * Threads that do batches of jobs together.  A batch is jobs 0 .. n-1, each done once; its owner
 * starts it, may take jobs back that nobody has begun, and waits for the end before it touches
 * what the jobs touch.
 */
#pragma once

#include <stdbool.h>

typedef struct Workers Workers;

/* work runs in a thread: `thread` is below threads and no two run at once with the same. */
Workers *workers_new(
    unsigned threads, void (*work)(void *opaque, unsigned thread, unsigned job), void *opaque);
/* No batch is going on. */
void workers_free(Workers *w);

void workers_start(Workers *w, unsigned jobs);
/* Takes the last job that nobody has begun; false where there is none. */
bool workers_take_back(Workers *w, unsigned *job);
void workers_wait(Workers *w);
