/* SPDX-License-Identifier: MIT */
/* Pages written to a memfd in one call: see page_run.h. */
#include "migration/page_run.h"

#include <assert.h>
#include <errno.h>
#include <sys/types.h>

#include "core/memory.h"

/* Takes n written bytes off the front. */
static void page_run_written(PageRun *run, size_t n, int *first)
{
    run->off += n;
    while (n) {
        struct iovec *v = &run->iov[*first];
        size_t part = n < v->iov_len ? n : v->iov_len;

        v->iov_base = (uint8_t *)v->iov_base + part;
        v->iov_len -= part;
        n -= part;
        if (!v->iov_len) ++*first;
    }
}

bool page_run_flush(PageRun *run, Error *err)
{
    int first = 0, pages = run->pages;

    run->pages = 0;
    while (first < pages) {
        ssize_t n = pwritev(run->fd, run->iov + first, pages - first, (off_t)run->off);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_errno(err, errno, "cannot get memory for the guest's RAM");
        page_run_written(run, (size_t)n, &first);
    }
    return true;
}

bool page_run_fits(const PageRun *run, int fd, uint64_t off)
{
    if (!run->pages) return true;
    return run->pages < PAGE_RUN_MAX && run->fd == fd &&
           off == run->off + (uint64_t)run->pages * PAGE_SIZE;
}

void page_run_add(PageRun *run, int fd, uint64_t off, const uint8_t *data)
{
    assert(page_run_fits(run, fd, off));
    if (!run->pages) {
        run->fd = fd;
        run->off = off;
    }
    run->iov[run->pages++] = (struct iovec){ (void *)data, PAGE_SIZE };
}
