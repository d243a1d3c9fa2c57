/* SPDX-License-Identifier: MIT */
/*
 * Reading a stream as a transaction: into copies, committed together once all has been accepted.
 *
 * Bytes are fed as they come; load_step parses as far as they go.  A unit (a section, a record of
 * an iterable one) that is not there whole is tried again from its start when more has come, so
 * nothing here waits.
 */
#pragma once

#include "core/machine.h"
#include "migration/save.h"
#include "util/stream.h"

/* LOAD_RUN: the guest's devices are here, its RAM is not yet: commit, run, and go on. */
typedef enum LoadStatus { LOAD_MORE, LOAD_RUN, LOAD_DONE, LOAD_FAILED } LoadStatus;

/* How far a post-copy has come: see command.c. */
typedef enum LoadPostcopy {
    LOAD_PRECOPY,
    LOAD_ADVISED,
    LOAD_DISCARD,
    LOAD_LISTENING,
    LOAD_RUNNING,
} LoadPostcopy;

#define LOAD_FILL (1ull << 63) /* the page is one repeated byte, the low one */

/* A page that is loaded alone, where all others are what the stream has. */
typedef struct LoadPage {
    RamBlock *block;
    uint64_t page, at; /* LoadBlock.at */
    uint8_t *data;     /* owned */
} LoadPage;

/* A RAM block on its way in. */
typedef struct LoadBlock LoadBlock;
struct LoadBlock {
    RamBlock *block;
    uint8_t *host;                 /* what replaces its memory; NULL once it has */
    uint8_t *received;             /* a byte per page, 0: it has not come */
    uint8_t *requested;            /* of a running post-copy, likewise */
    bool discarded;                /* what has not been received need not be zeroes */
    uint64_t kind_first, kind_end; /* these pages of the block itself are ... */
    bool hole;                     /* ... a hole, or none is */
    bool few;                      /* little differs from what the block itself holds */
    uint64_t *at; /* for an index: where in the stream each page stands, or LOAD_FILL */
    LoadBlock *next;
};

typedef struct LoadSkipped LoadSkipped;
struct LoadSkipped {
    char *idstr;
    uint64_t size;
    LoadSkipped *next;
};

/* A section's state on its way in; several sections of a device share one. */
typedef struct LoadCopy LoadCopy;
struct LoadCopy {
    Section *sec;
    void *state; /* where it goes ... */
    size_t size;
    void *copy;  /* ... once all is accepted */
    bool loaded; /* a section has come for it */
    bool moved;  /* what it has behind pointers is the state's now */
    LoadCopy *next;
};

/* An old-style section's bytes, kept until the commit. */
typedef struct LoadBytes LoadBytes;
struct LoadBytes {
    Section *sec;
    int version;
    uint8_t *data;
    size_t size;
    LoadBytes *next;
};

struct LoadRun {
    Machine *m;
    Stream st;
    const StreamSwitches *without;
    bool devices_only; /* set by the owner: no RAM, and a configuration or none */
    enum {
        LOAD_HEADER,
        LOAD_CONFIGURATION,
        LOAD_SECTIONS,
        LOAD_RECORDS,
        LOAD_VMDESC,
        LOAD_END
    } state;
    Section *current; /* LOAD_RECORDS: whose records */
    int current_version;
    uint32_t current_id;  /* as the stream numbers it */
    uint8_t current_type; /* SECTION_START ... */
    GHashTable *ids;      /* stream's section id -> Section, for PART and END */
    GHashTable *versions; /* stream's section id -> version */
    LoadBlock *blocks;
    LoadBlock *last_block; /* for records that continue in it */
    struct RamZip *unzip;  /* threads that decompress pages, once one has come */
    bool skipping_block;   /* the last block named is one that is skipped */
    LoadCopy *copies;
    LoadBytes *bytes;
    /* Where RAM stands in the stream: its section, the end of its START and of its END. */
    struct {
        bool on; /* set by the owner; taken back where the stream is too unusual */
        uint32_t id;
        uint64_t head, tail;
    } index;
    bool compare;         /* ram_load_compare */
    GArray *again;        /* set by the owner: LoadPage, all that is dirty for WATCH_SNAPSHOT */
    uint32_t vmdesc_left; /* bytes of the description still to come */
    GString *vmdesc;
    LoadSkipped *skipped; /* blocks of the stream that there are none of here */
    bool return_path;     /* the sender listens for answers */
    bool from_stasis;     /* the sender is one */
    bool may_postcopy;    /* set by the owner */
    LoadPostcopy postcopy;
    bool ready;           /* the package is accepted, and RUN is still to come */
    bool resuming;        /* the connection is a new one, and RESUME is still to come */
    bool committed;       /* the guest runs here while the rest comes */
    uint64_t package_end; /* the stream's position there, or 0 */
    Stream answers;       /* messages for the return path */
    Error err;
};

LoadRun *load_begin(Machine *m);
/* Appends bytes. */
void load_feed(LoadRun *run, const void *buf, size_t len);
/* Likewise without a copy: room for len bytes, of which load_fed says how many were put there. */
uint8_t *load_room(LoadRun *run, size_t len);
void load_fed(LoadRun *run, size_t len);
/* Nothing more will come. */
void load_eof(LoadRun *run);
/* Parses what is there.  LOAD_FAILED: run->err says why; the machine is untouched. */
LoadStatus load_step(LoadRun *run);
/* After LOAD_DONE: puts everything in place, clock first, and syncs all devices.  On failure (the
 * host ran out of something) the machine is as it was. */
bool load_commit(LoadRun *run, Error *err);
/* The run state that the stream's globalstate names; fallback where it has none. */
RunState load_run_state(LoadRun *run, RunState fallback);
void load_end(LoadRun *run);

/* The copy that a section loads into. */
LoadCopy *load_copy(LoadRun *run, Section *sec);

/* migration/vmdesc.c: applies the description's exactness key to the copies. */
bool vmdesc_apply(LoadRun *run, const char *text, Error *err);

/* migration/ram_load.c */
void ram_load_free(LoadRun *run);
/* Forgets that pages have come; false where there are no such pages. */
bool ram_load_discard(LoadRun *run, const char *name, uint64_t start, uint64_t len);
/* Appends the length and the bits of a block's bitmap of pages that have come; false: there is no
 * such block.  Of blocks that are skipped all have. */
bool ram_load_bitmap(const LoadRun *run, const char *name, Stream *out);
/* The first page that has not come; false where all have. */
bool ram_load_missing(LoadRun *run);
/* Before the first byte: RAM as it is may be right for the most part; what the stream has otherwise
 * is kept apart.  Uses WATCH_SNAPSHOT. */
void ram_load_compare(LoadRun *run);
/* Whether what was found to be here already still is; asked before anything is put in place. */
bool ram_load_check(LoadRun *run, Error *err);
/* Fails only where the host does. */
bool ram_load_commit(LoadRun *run, Error *err);
