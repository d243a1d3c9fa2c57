/* SPDX-License-Identifier: MIT */
/*
 * Writing a machine's stream, piece by piece.
 *
 *   save_begin -> save_iterate ... -> (guest stopped) save_complete -> bytes drained -> save_end
 *
 * The bytes pile up in run->st; whoever runs the save drains them to where they go.
 */
#pragma once

#include "core/machine.h"
#include "util/stream.h"

enum {
    SECTION_EOF = 0x00,
    SECTION_START = 0x01,
    SECTION_PART = 0x02,
    SECTION_END = 0x03,
    SECTION_FULL = 0x04,
    SECTION_SUBSECTION = 0x05,
    SECTION_VMDESC = 0x06,
    SECTION_CONFIGURATION = 0x07,
    SECTION_COMMAND = 0x08,
    SECTION_FOOTER = 0x7e,
};
enum { STREAM_MAGIC = 0x5145564d, STREAM_VERSION = 3 };

typedef struct SaveRun SaveRun;
typedef struct StreamSwitches StreamSwitches;
typedef struct LoadRun LoadRun;

/* An iterable section's handler: sent in rounds while the guest runs.  Section.opaque is its
 * own. */
typedef struct IterableOps {
    /* Does a live save send it?  NULL: every save does. */
    bool (*active)(Machine *m);
    void (*setup)(SaveRun *run, Stream *st);
    /* Writes about max bytes; false once a round ended with nothing left to send.  True holds the
     * sections behind this one back. */
    bool (*iterate)(SaveRun *run, Stream *st, size_t max);
    /* Bytes that complete would write now; any number above enough stands for more. */
    uint64_t (*pending)(SaveRun *run, uint64_t enough);
    /* The guest has stopped: writes the rest. */
    bool (*complete)(SaveRun *run, Stream *st, size_t max);
    void (*cleanup)(SaveRun *run);
    /* Reads the next record; *end is set behind the last one of this START, PART or END. */
    void (*load)(LoadRun *run, Stream *st, int version, bool *end);
} IterableOps;

typedef struct RamSave RamSave;       /* migration/ram_save.c */
typedef struct BlockSave BlockSave;   /* migration/block_save.c */
typedef struct RamRelease RamRelease; /* migration/capability_release_ram.c */

struct SaveRun {
    Machine *m;
    Stream st;
    RamSave *ram;
    BlockSave *block;
    RamRelease *release;
    bool live; /* the guest runs meanwhile: dirty pages are tracked */
    const StreamSwitches *without;
    enum { SAVE_ITERATE, SAVE_COMPLETE_RAM, SAVE_DEVICES, SAVE_DONE } state;
    bool postcopy;      /* the guest has left */
    bool return_path;   /* the far side answers */
    RunState run_state; /* what globalstate will say */
    /* Where the sections that are sent in rounds begin to be, and where they have ended. */
    uint64_t rounds_from, rounds_to;
};

/* live: the guest goes on running while save_iterate is called.  return_path: the far side can
 * answer. */
SaveRun *save_begin(Machine *m, bool live, bool return_path);
/* About max bytes more of the iterable sections; false: only what save_complete writes is left. */
bool save_iterate(SaveRun *run, size_t max);
/* The guest is stopped.  About max bytes more; true once the stream is whole. */
bool save_complete(SaveRun *run, size_t max);
uint64_t save_pending(SaveRun *run);
/* Every section that is not iterable, as it is now. */
void save_devices(SaveRun *run);
/* Whether a section is one of them now. */
bool save_section_needed(const Section *s);
/* Ends a section. */
void save_footer(SaveRun *run, uint32_t id);
/* A stream of devices alone, whole at once, without configuration. */
SaveRun *save_devices_only(Machine *m);
/* Post-copy, the guest has left: about max bytes more; true once the stream is whole. */
bool save_postcopy(SaveRun *run, size_t max);
void save_end(SaveRun *run);

/* Why the machine cannot be saved (a device says so), or true. */
bool save_allowed(Machine *m, Error *err);

/* One table or old-style section's body as it would be written now. */
void save_section_body(Stream *st, Section *sec);

/* The JSON behind the stream: descriptions, and what only exactness needs.  g_free the text. */
char *vmdesc_text(Machine *m);
/* The part that only exactness needs. */
char *vmdesc_exact_text(Machine *m);
