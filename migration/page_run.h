/* SPDX-License-Identifier: MIT */
/*
 * Pages that follow each other in a memfd, written to it in one call.  A page that is written so
 * needs neither be cleared by the host nor faulted in, which costs more than the copy itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/error.h"

enum { PAGE_RUN_MAX = 256 };

typedef struct PageRun {
    int fd;
    uint64_t off; /* bytes, where the first page goes */
    int pages;
    struct iovec iov[PAGE_RUN_MAX];
} PageRun;

/* Whether a page for fd at off, a multiple of the page size, can be added before a flush. */
bool page_run_fits(const PageRun *run, int fd, uint64_t off);
/* Adds such a page; data stays the caller's and must be there until the flush. */
void page_run_add(PageRun *run, int fd, uint64_t off, const uint8_t *data);
/* Writes what was added. */
bool page_run_flush(PageRun *run, Error *err);
