/* SPDX-License-Identifier: MIT */
/* Loading a snapshot again: see snapshot_index.h. */
#include "migration/snapshot_index.h"

#include <string.h>

#include "migration/ram.h"
#include "migration/snapshot_set.h"
#include "migration/switches.h"

enum { FEW = 4 }; /* one page in so many is worth a read of its own */

typedef struct IndexBlock {
    RamBlock *block;
    char *idstr;
    uint64_t size;
    uint64_t *at; /* LoadBlock.at */
} IndexBlock;

struct SnapshotIndex {
    Machine *m;
    SnapshotInfo info;
    uint64_t head, tail; /* bytes of VM state before the first and from behind the last of RAM */
    uint32_t ram_id;
    GArray *blocks; /* IndexBlock; NULL: there is no index */
};

static void index_drop(SnapshotIndex *x)
{
    if (!x->blocks) return;
    for (guint i = 0; i < x->blocks->len; i++) {
        IndexBlock *b = &g_array_index(x->blocks, IndexBlock, i);

        g_free(b->idstr);
        g_free(b->at);
    }
    g_array_free(x->blocks, TRUE);
    x->blocks = NULL;
}

static void index_destroy(void *slot) { index_drop(slot); }

static SnapshotIndex *index_of(Machine *m)
{
    SnapshotIndex *x = machine_slot(m, "snapshot-index", sizeof(SnapshotIndex), index_destroy);

    x->m = m;
    return x;
}

void snapshot_index_keep(LoadRun *run, const SnapshotInfo *info)
{
    SnapshotIndex *x = index_of(run->m);

    index_drop(x);
    if (!run->index.on || !run->index.tail) return;
    x->info = *info;
    x->head = run->index.head;
    x->tail = run->index.tail;
    x->ram_id = run->index.id;
    x->blocks = g_array_new(FALSE, FALSE, sizeof(IndexBlock));
    for (LoadBlock *b = run->blocks; b; b = b->next) {
        IndexBlock ib = { b->block, g_strdup(b->block->idstr), b->block->size, b->at };

        b->at = NULL;
        g_array_append_val(x->blocks, ib);
        ram_watch(b->block, 0, b->block->size >> PAGE_BITS, WATCH_SNAPSHOT);
    }
}

static bool index_fits(const SnapshotIndex *x)
{
    guint n = 0;

    for (RamBlock *b = ram_block_first(x->m); b; b = b->next) n++;
    if (n != x->blocks->len) return false;
    for (guint i = 0; i < n; i++) {
        const IndexBlock *ib = &g_array_index(x->blocks, IndexBlock, i);
        const RamBlock *b = ram_block_find(x->m, ib->idstr);

        if (b != ib->block || b->size != ib->size) return false;
    }
    return true;
}

void snapshot_index_drop(Machine *m) { index_drop(index_of(m)); }

SnapshotIndex *snapshot_index_find(Machine *m, const SnapshotInfo *info)
{
    SnapshotIndex *x = index_of(m);

    if (!x->blocks || !snapshot_same_set(&x->info, info)) return NULL;
    return x->info.vm_state_size == info->vm_state_size && index_fits(x) ? x : NULL;
}

GArray *snapshot_index_changed(const SnapshotIndex *x)
{
    GArray *pages = g_array_new(FALSE, TRUE, sizeof(LoadPage));
    uint64_t all = 0;

    for (guint i = 0; i < x->blocks->len; i++) {
        const IndexBlock *ib = &g_array_index(x->blocks, IndexBlock, i);
        uint64_t n = ib->size >> PAGE_BITS;

        all += n;
        for (uint64_t p = 0; (p = ram_next_dirty(ib->block, p, WATCH_SNAPSHOT)) < n; p++) {
            LoadPage page = { .block = ib->block, .page = p, .at = ib->at[p] };

            g_array_append_val(pages, page);
        }
    }
    if (pages->len <= all / FEW) return pages;
    g_array_free(pages, TRUE);
    return NULL;
}

static bool index_read_page(BlockImage *img, unsigned entry, LoadPage *p, Error *err)
{
    int ret;

    p->data = g_malloc(PAGE_SIZE);
    if (p->at & LOAD_FILL) {
        memset(p->data, (uint8_t)p->at, PAGE_SIZE);
        return true;
    }
    ret = image_vmstate_read(img, entry, p->at, p->data, PAGE_SIZE);
    return ret >= 0 || error_errno(err, -ret, "Error while reading VM state");
}

static bool index_read_rest(
    BlockImage *img, unsigned entry, uint64_t from, uint64_t to, Stream *rest, Error *err)
{
    g_autofree uint8_t *buf = g_malloc(to - from);
    int ret = image_vmstate_read(img, entry, from, buf, to - from);

    if (ret < 0) return error_errno(err, -ret, "Error while reading VM state");
    stream_put(rest, buf, to - from);
    return true;
}

bool snapshot_index_read(const SnapshotIndex *x, BlockImage *img, unsigned entry, GArray *pages,
    Stream *rest, Error *err)
{
    for (guint i = 0; i < pages->len; i++)
        if (!index_read_page(img, entry, &g_array_index(pages, LoadPage, i), err)) return false;
    if (!index_read_rest(img, entry, 0, x->head, rest, err)) return false;
    stream_put_u8(rest, SECTION_END);
    stream_put_be32(rest, x->ram_id);
    stream_put_be64(rest, RAM_EOS);
    if (!stream_switches(x->m)->no_footers) {
        stream_put_u8(rest, SECTION_FOOTER);
        stream_put_be32(rest, x->ram_id);
    }
    return index_read_rest(img, entry, x->tail, x->info.vm_state_size, rest, err);
}
