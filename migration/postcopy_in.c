/* SPDX-License-Identifier: MIT */
/*
 * The return path from where a guest arrives: echoes, demands for absent pages, the last word.
 *
 * An access to an absent page (by the CPU, whose slice ends, or by a device, whose DMA waits) comes
 * here as a request, which goes out once; the page comes with the stream like any other.
 */
#include "migration/postcopy_in.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#include "migration/blocktime.h"
#include "migration/command.h"
#include "util/bits.h"

struct PostcopyIn {
    LoadRun *run;
    int fd;            /* -1 while there is no connection */
    bool socket;       /* a last word gets through, also where none was asked for */
    GSource *writable; /* while answers wait for room */
    bool listening;
};

PostcopyIn *postcopy_in_new(LoadRun *run, int fd, bool socket)
{
    PostcopyIn *p = g_new0(PostcopyIn, 1);

    p->run = run;
    p->fd = fd;
    p->socket = socket;
    return p;
}

/* Asks for a page; names its block, so that it stands for itself. */
static void postcopy_ask(PostcopyIn *p, const RamBlock *b, uint64_t page)
{
    uint8_t msg[13 + 255];
    size_t len = strlen(b->idstr);

    store_be64(msg, page << PAGE_BITS);
    store_be32(msg + 8, PAGE_SIZE);
    msg[12] = (uint8_t)len;
    memcpy(msg + 13, b->idstr, len);
    load_answer(p->run, RP_REQ_PAGES_ID, msg, (uint16_t)(13 + len));
}

static bool postcopy_request(void *opaque, RamBlock *b, uint64_t page)
{
    PostcopyIn *p = opaque;
    bool connected = p->fd >= 0 && !p->run->resuming;

    for (LoadBlock *l = p->run->blocks; l; l = l->next) {
        if (l->block != b) continue;
        if (l->requested[page]) return connected;
        l->requested[page] = 1;
    }
    if (!connected) return false; /* postcopy_in_ask_again */
    postcopy_ask(p, b, page);
    postcopy_in_flush(p);
    return true;
}

void postcopy_in_listen(PostcopyIn *p)
{
    PageSource src = { postcopy_request, p };

    p->listening = true;
    blocktime_begin(p->run->m);
    mem_set_page_source(p->run->m, &src);
}

void postcopy_in_ask_again(PostcopyIn *p)
{
    for (LoadBlock *l = p->run->blocks; l; l = l->next)
        for (uint64_t page = 0; page < l->block->size >> PAGE_BITS; page++)
            if (l->requested[page] && !l->received[page]) postcopy_ask(p, l->block, page);
    postcopy_in_flush(p);
}

static void postcopy_drop_writable(PostcopyIn *p)
{
    if (!p->writable) return;
    g_source_destroy(p->writable);
    g_source_unref(p->writable);
    p->writable = NULL;
}

void postcopy_in_connect(PostcopyIn *p, int fd)
{
    postcopy_drop_writable(p);
    p->fd = fd;
    if (fd < 0) mem_source_lost(p->run->m);
}

static gboolean postcopy_writable(gint fd, GIOCondition cond, gpointer opaque)
{
    PostcopyIn *p = opaque;

    (void)fd;
    (void)cond;
    g_source_unref(p->writable);
    p->writable = NULL;
    postcopy_in_flush(p);
    return G_SOURCE_REMOVE;
}

void postcopy_in_flush(PostcopyIn *p)
{
    Stream *st = &p->run->answers;

    if (p->fd < 0) return;
    while (stream_left(st)) {
        ssize_t n = write(p->fd, st->data + st->pos, stream_left(st));

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break; /* a far side that has gone is seen by the reader */
        st->pos += (size_t)n;
    }
    stream_discard(st, st->pos);
    if (!stream_left(st) || p->writable || errno != EAGAIN) return;
    p->writable = g_unix_fd_source_new(p->fd, G_IO_OUT);
    g_source_set_callback(p->writable, G_SOURCE_FUNC(postcopy_writable), p, NULL);
    g_source_attach(p->writable, p->run->m->ctx);
}

void postcopy_in_last_word(PostcopyIn *p, bool ok)
{
    uint8_t status[4];

    store_be32(status, !ok);
    if (p->run->return_path || p->socket) load_answer(p->run, RP_SHUT, status, sizeof(status));
    postcopy_in_flush(p);
    if (p->listening && ok) {
        mem_set_page_source(p->run->m, NULL);
        blocktime_end(p->run->m);
    }
    p->listening &= !ok;
}

void postcopy_in_free(PostcopyIn *p)
{
    if (!p) return;
    postcopy_drop_writable(p);
    if (p->listening) mem_set_page_source(p->run->m, NULL);
    g_free(p);
}
