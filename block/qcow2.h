/* SPDX-License-Identifier: MIT */
/*
 * Inside the qcow2 format (versions 2 and 3).  Source: the published qcow2 specification.
 * Not modelled: encryption, external data files, persistent bitmaps (they are marked invalid by the
 * autoclear rule when an image is written).
 *
 * What is in memory may be ahead of the file.  Two ways bring the file up to date:
 *
 * Write-back (qcow2_writeback.c), for the guest's writes, in this order with a flush in between:
 *   1. reference counts (in-memory ones were only raised),  2. the reference table,
 *   3. L2 tables,  4. the active L1,  5. lowered reference counts of what nothing refers to now.
 * A crash in between leaves at worst clusters that are counted and not used.
 *
 * A transaction (qcow2_txn.c), for snapshots: every table that changes, reference counts included,
 * is written to clusters that are free before and after; then one write of the header's roots makes
 * all of it valid at once.  A crash leaves exactly the old or exactly the new image.
 *
 * Invariants:
 *   - A cluster is handed out only if it is free on disk, in memory and in a running transaction.
 *   - A cluster that lost a reference in memory goes to `frees`, and is lowered only after the file
 *     no longer holds the reference.
 *   - COPIED is set in the active L1 and its L2 tables exactly where the reference count is 1, and
 *     never in a snapshot's tables that we write.
 *   - The active L1 refers to no VM state except between vmstate_write and snapshot_create.
 */
#pragma once

#include "block/driver.h"

#define Q2_COPIED (1ull << 63)
#define Q2_COMPRESSED (1ull << 62)
#define Q2_ZERO 1ull
#define Q2_OFFSET_MASK 0x00fffffffffffe00ull
#define Q2_L1_RESERVED 0x7f000000000001ffull

enum {
    Q2_MAGIC = 0x514649fb,
    Q2_INCOMPAT_DIRTY = 1 << 0,
    Q2_INCOMPAT_CORRUPT = 1 << 1,
    Q2_INCOMPAT_DATA_FILE = 1 << 2,
    Q2_INCOMPAT_COMPRESSION = 1 << 3,
    Q2_INCOMPAT_EXTENDED_L2 = 1 << 4,
    Q2_INCOMPAT_KNOWN =
        Q2_INCOMPAT_DIRTY | Q2_INCOMPAT_CORRUPT | Q2_INCOMPAT_COMPRESSION | Q2_INCOMPAT_EXTENDED_L2,
    Q2_COMPAT_LAZY = 1 << 0,
    Q2_EXT_BACKING_FORMAT = (int)0xe2792aca,
    Q2_EXT_FEATURE_NAMES = 0x6803f857,
    Q2_MAX_REFTABLE = 8 * MiB,
    Q2_MAX_L1 = 32 * MiB,
    Q2_MAX_SNAPSHOTS = 65536,
    Q2_MAX_SNAPSHOT_TABLE = 64 * MiB,
    Q2_MIN_CLUSTER_BITS = 9,
    Q2_MAX_CLUSTER_BITS = 21,
    Q2_ROOTS_OFFSET = 24, /* size .. snapshots_offset: one write of 48 bytes */
};

/* The fields of the header that say where everything is. */
typedef struct Qcow2Roots {
    uint64_t size, l1_offset, reftable_offset, snapshots_offset;
    uint32_t l1_size, reftable_clusters, snapshots;
} Qcow2Roots;

/* A cluster of metadata in memory, in the file's byte order. */
typedef struct Qcow2Table {
    uint64_t offset; /* in the file */
    bool dirty, used;
    uint8_t data[];
} Qcow2Table;

typedef struct Qcow2Range {
    uint64_t offset, len; /* bytes, whole clusters */
} Qcow2Range;

typedef struct Qcow2Snapshot {
    SnapshotInfo info;
    uint64_t l1_offset;
    uint32_t l1_size;
    GByteArray *raw; /* the entry as it is in the table, preserved */
    uint64_t *l1;    /* loaded for reading VM state, or NULL */
} Qcow2Snapshot;

typedef struct Qcow2 {
    BlockImage *img;
    BlockFile *file;
    unsigned version, cluster_bits, refcount_order, header_length;
    uint64_t cluster_size;
    uint64_t incompatible, compatible, autoclear;
    uint8_t compression;     /* 0 zlib, 1 zstd */
    unsigned l2_entry_bytes; /* 8, or 16 with subclusters */
    uint64_t l2_entries;     /* per table */
    uint64_t l2_span;        /* guest bytes that a table covers */
    uint64_t size;
    bool corrupt;   /* found so at run time: no more writes */
    bool unflushed; /* written since the last flush */

    uint64_t *l1; /* active, host order */
    uint32_t l1_size;
    uint64_t l1_offset;
    uint32_t l1_dirty_first, l1_dirty_end; /* entries; equal: clean */
    bool l1_moved;                         /* l1_offset is not yet in the header */

    GHashTable *l2; /* uint64_t offset -> Qcow2Table */
    unsigned l2_dirty;
    unsigned l2_max; /* tables kept */

    uint64_t *reftable; /* host order, `refblocks` entries */
    Qcow2Table **blocks;
    Qcow2Table **shadow; /* a transaction's changed copies */
    uint32_t refblocks;
    uint64_t reftable_offset;
    uint32_t reftable_clusters;
    bool reftable_dirty, reftable_moved;
    bool blocks_dirty;
    bool in_txn;
    uint64_t free_hint; /* cluster index: none before it is free */
    uint64_t file_end;  /* nothing was ever written from here on */
    GArray *frees;      /* of Qcow2Range */
    GArray *txn_frees;  /* clusters that a transaction makes free: to be punched */
    const uint32_t
        *in_use; /* repair: the references found, where the old counts cannot be trusted */
    uint64_t in_use_clusters;
    uint64_t txn_hint; /* free_hint's counterpart in a transaction */
    bool revocable;    /* what the last transaction made free still holds the old image ... */
    Qcow2Roots before; /* ... whose roots these are */

    GPtrArray *snapshots; /* of Qcow2Snapshot */
    uint64_t snapshots_offset, snapshots_bytes;
    Qcow2Roots disk; /* what the header holds */

    bool vmstate_started; /* vmstate_write since the last create, discard or open */
    uint64_t packed_end;  /* where the next compressed cluster may continue, or 0 */
    uint64_t inflated_at; /* the compressed cluster in `inflated`, by L2 entry; 0: none */
    uint8_t *inflated;
} Qcow2;

#define QCOW2(img) ((Qcow2 *)(img)->opaque)

static inline uint64_t qcow2_cluster(const Qcow2 *q, uint64_t off)
{
    return off >> q->cluster_bits;
}
/* A table cannot be there: between clusters, or behind the end (of a file that nobody else makes
 * longer). */
static inline bool qcow2_is_astray(const Qcow2 *q, uint64_t off)
{
    return off & (q->cluster_size - 1) ||
           (q->img->writable && !q->img->inactive && off >= q->file_end);
}
static inline uint64_t qcow2_round(const Qcow2 *q, uint64_t n)
{
    return align_up(n, q->cluster_size);
}
/* Where the VM state begins for a disk of that size. */
static inline uint64_t qcow2_vmstate_base(const Qcow2 *q, uint64_t disk_size)
{
    return align_up(disk_size, q->l2_span);
}

/* -- header (qcow2_header.c) -- */
bool qcow2_header_read(Qcow2 *q, Error *err);
int qcow2_header_write_roots(Qcow2 *q, const Qcow2Roots *roots);
int qcow2_header_write_features(Qcow2 *q);
int qcow2_flush_file(Qcow2 *q);
/* Remembers, in the file too where it can be said there, that the image is bad; returns -EIO. */
int qcow2_mark_corrupt(Qcow2 *q);

/* -- cached L2 tables (qcow2_table.c) -- */
int qcow2_table_get(Qcow2 *q, uint64_t offset, Qcow2Table **table);
/* A zeroed table for a cluster just allocated. */
Qcow2Table *qcow2_table_new(Qcow2 *q, uint64_t offset);
void qcow2_table_dirty(Qcow2 *q, Qcow2Table *table);
void qcow2_table_forget(Qcow2 *q, uint64_t offset);
void qcow2_tables_forget_dirty(Qcow2 *q);
int qcow2_tables_write(Qcow2 *q);
int qcow2_tables_trim(Qcow2 *q);   /* between operations: keeps the cache within bounds */
void qcow2_tables_limit(Qcow2 *q); /* same, without writing: only clean ones go */
static inline uint64_t qcow2_entry(const Qcow2 *q, const Qcow2Table *t, uint64_t i)
{
    return load_be64(t->data + i * q->l2_entry_bytes);
}
static inline uint64_t qcow2_bitmap(const Qcow2 *q, const Qcow2Table *t, uint64_t i)
{
    return load_be64(t->data + i * q->l2_entry_bytes + 8);
}
void qcow2_entry_set(Qcow2 *q, Qcow2Table *t, uint64_t i, uint64_t entry, uint64_t bitmap);

/* -- reference counts (qcow2_refcount.c) -- */
int qcow2_refcount_get(Qcow2 *q, uint64_t cluster, uint64_t *count);
int qcow2_refcount_set(Qcow2 *q, uint64_t cluster, uint64_t count);
/* Raises (or, in a transaction or where nothing on disk ever referred to it, lowers) counts. */
int qcow2_refcount_add(Qcow2 *q, uint64_t off, uint64_t len, int delta);
/* Contiguous clusters, counted once each; the offset or a negative errno. */
int64_t qcow2_alloc(Qcow2 *q, uint64_t bytes);
/* As many as there are together, at least one, at most *clusters. */
int64_t qcow2_alloc_run(Qcow2 *q, uint64_t *clusters);
/* Space for a compressed cluster, at any byte. */
int64_t qcow2_alloc_packed(Qcow2 *q, uint64_t bytes);
/* A reference is gone from memory: at once in a transaction, else with the next write-back. */
void qcow2_free(Qcow2 *q, uint64_t off, uint64_t len);
void qcow2_free_entry(Qcow2 *q, uint64_t entry);
/* Bytes of the host file that a compressed entry describes. */
void qcow2_compressed_range(const Qcow2 *q, uint64_t entry, uint64_t *off, uint64_t *len);
bool qcow2_overlaps_metadata(Qcow2 *q, uint64_t off, uint64_t len);
bool qcow2_grow_refblocks(Qcow2 *q, uint64_t entries);
uint64_t qcow2_counts_per_block(const Qcow2 *q);
uint64_t qcow2_count_at(const Qcow2 *q, const uint8_t *data, uint64_t i);
Qcow2Table *qcow2_refblock_loaded(Qcow2 *q, uint64_t index, int *ret);
/* The block that changes go to: the shadow in a transaction. */
Qcow2Table *qcow2_refblock_writable(Qcow2 *q, uint64_t index, int *ret);

/* -- bringing the file up to date -- */
int qcow2_writeback(Qcow2 *q);
void qcow2_txn_begin(Qcow2 *q);
void qcow2_txn_abort(Qcow2 *q);
/* Writes the reference counts and the roots; on success the caller's new tables are in force. */
int qcow2_txn_commit(Qcow2 *q, const Qcow2Roots *roots);
/* The same, and nothing that the old image needs is given back before txn_keep: until then txn_back
 * makes the file the old image again, and the caller reads all tables anew. */
int qcow2_txn_commit_revocably(Qcow2 *q, const Qcow2Roots *roots);
void qcow2_txn_keep(Qcow2 *q);
int qcow2_txn_back(Qcow2 *q);
void qcow2_punch(Qcow2 *q, GArray *ranges);

/* -- guest address to host address (qcow2_map.c) -- */
typedef enum Qcow2Kind {
    QCOW2_UNALLOCATED,
    QCOW2_ZERO,
    QCOW2_DATA,
    QCOW2_COMPRESSED,
} Qcow2Kind;

typedef struct Qcow2Run {
    Qcow2Kind kind;
    uint64_t host; /* DATA: offset of the first byte */
    uint64_t len;
    uint64_t entry;
} Qcow2Run;

int qcow2_lookup(
    Qcow2 *q, const uint64_t *l1, uint32_t l1_size, uint64_t off, uint64_t len, Qcow2Run *run);
/* below: where unallocated, what is under this layer; else zeroes. */
int qcow2_read_via(Qcow2 *q, const uint64_t *l1, uint32_t l1_size, uint64_t off, void *buf,
    size_t len, bool below);
int qcow2_table_writable(Qcow2 *q, uint64_t l1_index, Qcow2Table **table);
int qcow2_l1_load(Qcow2 *q, uint64_t offset, uint32_t size, uint64_t **l1);
void qcow2_l1_set(Qcow2 *q, uint32_t index, uint64_t entry);
int qcow2_l1_grow(Qcow2 *q, uint32_t size);

/* -- changing the guest's content (qcow2_write.c) -- */
int qcow2_write_at(Qcow2 *q, uint64_t off, const uint8_t *buf, size_t len);
int qcow2_zero_at(Qcow2 *q, uint64_t off, uint64_t len);
/* Drops all clusters under L1 entries [first, end). */
int qcow2_drop_tables(Qcow2 *q, uint32_t first, uint32_t end);
int qcow2_file_write(Qcow2 *q, uint64_t off, const void *buf, size_t len);
/* Makes sure that a later write of metadata finds space on the host's disk. */
int qcow2_reserve(Qcow2 *q, uint64_t off, uint64_t len);

/* -- compressed clusters (qcow2_compress.c) -- */
int qcow2_inflate(Qcow2 *q, uint64_t entry);
int qcow2_write_compressed(BlockImage *img, uint64_t off, const void *buf, size_t len);

/* -- snapshots (qcow2_snapshot*.c, qcow2_vmstate.c) -- */
extern const ImageSnapshotOps qcow2_snapshot_ops;
bool qcow2_snapshots_read(Qcow2 *q, Error *err);
void qcow2_snapshots_free(Qcow2 *q);
Qcow2Snapshot *qcow2_snapshot_new(const SnapshotInfo *info, uint64_t l1_offset, uint32_t l1_size);
void qcow2_snapshot_free(void *p);
/* Writes a table of these snapshots to newly allocated clusters; *offset 0 where it is empty. */
int qcow2_snapshots_write(Qcow2 *q, GPtrArray *snapshots, uint64_t *offset, uint64_t *bytes);
int qcow2_snapshot_tables(Qcow2 *q, Qcow2Snapshot *s); /* loads s->l1 */
int qcow2_vmstate_write(BlockImage *img, uint64_t off, const void *buf, size_t len);
int qcow2_vmstate_read(BlockImage *img, unsigned n, uint64_t off, void *buf, size_t len);
bool qcow2_vmstate_discard(BlockImage *img, Error *err);
/* For transactions: the reference counts of everything under an L1; VM state from entry `end` on is
 * left out.  What the active layer's COPIED flags become is qcow2_tree_settle's. */
int qcow2_tree_count(Qcow2 *q, const uint64_t *l1, uint32_t end, int delta);
int qcow2_tree_settle(Qcow2 *q, uint64_t *l1, uint32_t size);
int qcow2_write_l1(Qcow2 *q, const uint64_t *l1, uint32_t size, uint64_t *offset);
/* Takes over a new active layer after a commit. */
void qcow2_adopt_l1(Qcow2 *q, uint64_t *l1, uint32_t size, uint64_t offset);

/* -- the rest -- */
bool qcow2_reload(BlockImage *img, Error *err);
bool qcow2_check(BlockImage *img, ImageCheck *check, Error *err);
bool qcow2_repair_dirty(Qcow2 *q, Error *err);
bool qcow2_create(const char *filename, uint64_t size, Options *opts, Error *err);
extern const ImageOption qcow2_create_options[];
bool qcow2_resize(BlockImage *img, uint64_t size, Error *err);
bool qcow2_make_empty(BlockImage *img, Error *err);
