/* SPDX-License-Identifier: MIT */
/* Loading a snapshot again: see snapshot_index.h. */
#include "migration/snapshot_index.h"

#include <string.h>

#include "migration/ram.h"
#include "migration/snapshot_set.h"
#include "migration/switches.h"

enum {
    FEW = 4,  /* one page in so many is worth a read of its own */
    MOST = 4, /* indexes: each takes 8 bytes for a page */
};

typedef struct IndexBlock {
    RamBlock *block;
    char *idstr;
    uint64_t size;
    uint64_t *at;  /* LoadBlock.at */
    uint64_t *far; /* a bit for each page: the base may have another */
} IndexBlock;

struct SnapshotIndex {
    Machine *m;
    SnapshotInfo info;
    uint64_t head, tail; /* bytes of VM state before the first and from behind the last of RAM */
    uint32_t ram_id;
    GArray *blocks; /* IndexBlock */
};

/* Of a machine; its slot. */
typedef struct IndexList {
    GPtrArray *all;      /* SnapshotIndex, the last one kept first */
    SnapshotIndex *base; /* NULL: a save that has not become a snapshot */
} IndexList;

static void index_free(void *opaque)
{
    SnapshotIndex *x = opaque;

    for (guint i = 0; i < x->blocks->len; i++) {
        IndexBlock *b = &g_array_index(x->blocks, IndexBlock, i);

        g_free(b->idstr);
        g_free(b->at);
        g_free(b->far);
    }
    g_array_free(x->blocks, TRUE);
    g_free(x);
}

static void index_destroy(void *slot)
{
    IndexList *l = slot;

    if (l->all) g_ptr_array_free(l->all, TRUE);
}

static IndexList *index_list(Machine *m)
{
    IndexList *l = machine_slot(m, "snapshot-index", sizeof(IndexList), index_destroy);

    if (!l->all) l->all = g_ptr_array_new_with_free_func(index_free);
    return l;
}

void snapshot_index_drop(Machine *m)
{
    IndexList *l = index_list(m);

    g_ptr_array_set_size(l->all, 0);
    l->base = NULL;
}

static SnapshotIndex *index_new(Machine *m, const SnapshotInfo *info)
{
    SnapshotIndex *x = g_new0(SnapshotIndex, 1);

    x->m = m;
    x->info = *info;
    x->blocks = g_array_new(FALSE, FALSE, sizeof(IndexBlock));
    return x;
}

/* Steals at. */
static void index_add_block(SnapshotIndex *x, RamBlock *b, uint64_t *at)
{
    IndexBlock ib = { b, g_strdup(b->idstr), b->size, at,
        g_new0(uint64_t, (b->size >> PAGE_BITS) / 64 + 1) };

    g_array_append_val(x->blocks, ib);
}

static void index_add(SnapshotIndex *x)
{
    IndexList *l = index_list(x->m);

    g_ptr_array_insert(l->all, 0, x);
    if (l->all->len > MOST) g_ptr_array_set_size(l->all, MOST);
    l->base = x;
}

static void index_watch_all(Machine *m)
{
    for (RamBlock *b = ram_block_first(m); b; b = b->next)
        ram_watch(b, 0, b->size >> PAGE_BITS, WATCH_SNAPSHOT);
}

void snapshot_index_keep(LoadRun *run, const SnapshotInfo *info)
{
    SnapshotIndex *x;

    snapshot_index_drop(run->m);
    if (!run->index.on || !run->index.tail) return;
    x = index_new(run->m, info);
    x->head = run->index.head;
    x->tail = run->index.tail;
    x->ram_id = run->index.id;
    for (LoadBlock *b = run->blocks; b; b = b->next)
        index_add_block(x, b->block, g_steal_pointer(&b->at));
    index_watch_all(run->m);
    index_add(x);
}

static bool index_is_far(const IndexBlock *ib, uint64_t page)
{
    return ib->far[page / 64] >> page % 64 & 1;
}

/* What is dirty now, no index of before can count on. */
static void index_fold(SnapshotIndex *x)
{
    for (guint i = 0; i < x->blocks->len; i++) {
        const IndexBlock *ib = &g_array_index(x->blocks, IndexBlock, i);
        uint64_t n = ib->size >> PAGE_BITS;

        for (uint64_t p = 0; (p = ram_next_dirty(ib->block, p, WATCH_SNAPSHOT)) < n; p++)
            ib->far[p / 64] |= UINT64_C(1) << p % 64;
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

void snapshot_index_saving(SaveRun *run)
{
    IndexList *l = index_list(run->m);

    ram_save_note(run);
    for (guint i = l->all->len; i-- > 0;) {
        if (index_fits(l->all->pdata[i]))
            index_fold(l->all->pdata[i]);
        else
            g_ptr_array_remove_index(l->all, i);
    }
    l->base = NULL;
    index_watch_all(run->m);
}

void snapshot_index_saved(SaveRun *run, const SnapshotInfo *info)
{
    SnapshotIndex *x = index_new(run->m, info);

    x->head = run->rounds_from;
    x->tail = run->rounds_to;
    for (Section *s = run->m->sections; s; s = s->next)
        if (s->iterable == &ram_ops) x->ram_id = s->id;
    for (RamBlock *b = ram_block_first(run->m); b; b = b->next)
        index_add_block(x, b, ram_save_noted(run, b));
    index_add(x);
}

SnapshotIndex *snapshot_index_find(Machine *m, const SnapshotInfo *info)
{
    const GPtrArray *all = index_list(m)->all;

    for (guint i = 0; i < all->len; i++) {
        SnapshotIndex *x = all->pdata[i];

        if (snapshot_same_set(&x->info, info) && x->info.vm_state_size == info->vm_state_size)
            return index_fits(x) ? x : NULL;
    }
    return NULL;
}

/* What x may differ in from the base, it may from RAM; and so may the others from x. */
static void index_make_base(IndexList *l, SnapshotIndex *x)
{
    for (guint i = 0; i < x->blocks->len; i++) {
        const IndexBlock *ib = &g_array_index(x->blocks, IndexBlock, i);
        uint64_t n = ib->size >> PAGE_BITS;

        for (guint k = 0; k < l->all->len; k++) {
            const SnapshotIndex *other = l->all->pdata[k];

            for (guint j = 0; other != x && j < other->blocks->len; j++) {
                const IndexBlock *ob = &g_array_index(other->blocks, IndexBlock, j);

                for (uint64_t w = 0; ob->block == ib->block && w <= n / 64; w++)
                    ob->far[w] |= ib->far[w];
            }
        }
        for (uint64_t p = 0; p < n; p++)
            if (index_is_far(ib, p)) ram_unwatch_page(ib->block, p, WATCH_SNAPSHOT);
        memset(ib->far, 0, (n / 64 + 1) * sizeof(*ib->far));
    }
    l->base = x;
}

GArray *snapshot_index_changed(SnapshotIndex *x)
{
    GArray *pages = g_array_new(FALSE, TRUE, sizeof(LoadPage));
    uint64_t all = 0;

    if (index_list(x->m)->base != x) index_make_base(index_list(x->m), x);
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
