/* SPDX-License-Identifier: MIT */
/* release-ram: pages sent in post-copy are given back to the host (ram_release.h).  As in QEMU it
 * does nothing in a migration without post-copy, where the guest may go on here until its end. */
#include "migration/capability.h"
#include "migration/command.h"
#include "migration/ram_release.h"

enum { WORTH = 256 }; /* pages that a ping is sent for */

struct RamRelease {
    /* RamRun: sent since the last ping, and before it. */
    GArray *sent, *asked;
    uint64_t pages; /* in sent */
    bool asking;
};

typedef struct RamRun {
    RamBlock *block;
    uint64_t first, pages;
} RamRun;

CAPABILITY(release_ram, .name = "release-ram", .rank = 8, .excludes = "background-snapshot");

void ram_release_begin(SaveRun *run)
{
    if (!capability_on(run->m, "release-ram")) return;
    run->release = g_new0(RamRelease, 1);
    run->release->sent = g_array_new(FALSE, FALSE, sizeof(RamRun));
    run->release->asked = g_array_new(FALSE, FALSE, sizeof(RamRun));
}

void ram_release_end(SaveRun *run)
{
    if (!run->release) return;
    g_array_free(run->release->sent, TRUE);
    g_array_free(run->release->asked, TRUE);
    g_free(run->release);
    run->release = NULL;
}

void ram_release_sent(SaveRun *run, RamBlock *b, uint64_t page)
{
    RamRelease *r = run->release;
    RamRun *last, next = { b, page, 1 };

    if (!r) return;
    last = r->sent->len ? &g_array_index(r->sent, RamRun, r->sent->len - 1) : NULL;
    if (last && last->block == b && last->first + last->pages == page)
        last->pages++;
    else
        g_array_append_val(r->sent, next);
    r->pages++;
}

void ram_release_ask(SaveRun *run)
{
    RamRelease *r = run->release;
    GArray *empty;

    if (!r || r->asking || r->pages < WORTH) return;
    save_ping(&run->st, PING_HAVE);
    empty = r->asked;
    r->asked = r->sent;
    r->sent = empty;
    r->pages = 0;
    r->asking = true;
}

static void ram_release_list(GArray *list)
{
    for (guint i = 0; i < list->len; i++) {
        RamRun *p = &g_array_index(list, RamRun, i);

        ram_give_back(p->block, p->first, p->pages);
    }
    g_array_set_size(list, 0);
}

void ram_release_answered(SaveRun *run)
{
    if (!run->release) return;
    ram_release_list(run->release->asked);
    run->release->asking = false;
}

static void ram_release_clean(GArray *list, const RamBlock *b)
{
    for (guint i = 0; i < list->len; i++) {
        RamRun *p = &g_array_index(list, RamRun, i);

        if (p->block != b) continue;
        for (uint64_t page = p->first; page < p->first + p->pages; page++)
            if (ram_is_clean(b, page, WATCH_MIGRATION)) ram_give_back(p->block, page, 1);
        p->pages = 0;
    }
}

void ram_release_recovered(SaveRun *run, const RamBlock *b)
{
    RamRelease *r = run->release;

    if (!r) return;
    ram_release_clean(r->asked, b);
    ram_release_clean(r->sent, b);
    r->asking = false;
}

static bool ram_release_refuse(Machine *m, Error *err)
{
    (void)m;
    return error_set(
        err, "The guest has left, and release-ram has given its RAM back; it cannot go on here");
}

void ram_release_all(SaveRun *run)
{
    if (!run->release) return;
    ram_release_list(run->release->asked);
    ram_release_list(run->release->sent);
    run->m->take_back = ram_release_refuse;
}
