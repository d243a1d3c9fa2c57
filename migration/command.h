/* SPDX-License-Identifier: MIT */
/*
 * Commands of a stream (sections 0x08) and messages of the return path, as numbers and lengths.
 * Source: the stream of QEMU 7.2 as observed.
 *
 * A command: be16 number, be16 length, data.  A message: be16 type, be16 length, data.
 */
#pragma once

#include "migration/load.h"
#include "migration/save.h"

enum {
    CMD_OPEN_RETURN_PATH = 1, /* nothing */
    CMD_PING = 2,             /* be32 value, which comes back by RP_PONG */
    CMD_POSTCOPY_ADVISE = 3,  /* be64 page sizes in use, be64 the target's page size */
    CMD_POSTCOPY_LISTEN = 4,  /* nothing: what follows the package comes while the guest runs */
    CMD_POSTCOPY_RUN = 5,     /* nothing: the guest is yours */
    CMD_POSTCOPY_DISCARD = 6, /* version 0, name, 0, then be64 start and be64 length each */
    CMD_PACKAGED = 7,         /* be32 length of what follows the command and belongs together */
    CMD_POSTCOPY_RESUME = 9,  /* nothing: a broken post-copy goes on over this connection */
    CMD_RECV_BITMAP = 10,     /* name of a block: which of its pages have come? */
};

enum {
    RP_SHUT = 1,         /* be32: 0 when all has arrived */
    RP_PONG = 2,         /* be32 */
    RP_REQ_PAGES_ID = 3, /* be64 start, be32 length, block's name */
    RP_REQ_PAGES = 4,    /* be64 start, be32 length, in the block of the last request */
    RP_RECV_BITMAP = 5,  /* block's name; behind the message: be64 bytes of the bitmap, the bitmap
                          * (a bit for each page, 64-bit words, little endian), be64 BITMAP_END */
    RP_RESUME_ACK = 6,   /* be32 RESUME_VALUE */
};

enum {
    PACKAGE_MAX = 1 << 24,
    DISCARD_RANGES = 12,      /* of a command, at most */
    PING_FIRST = 1,           /* any value: the return path is there */
    PING_WHO = 0x53544153,    /* asks for more than an echo: "STAS" ... */
    PONG_STASIS = 0x49534f4b, /* ... which a Stasis answers by this */
    PING_READY = 0x52454459,  /* last in a package without RUN: is all of it accepted?  An echo is
                               * a yes, and RUN follows */
    PING_HAVE = 0x48415645,   /* "HAVE": an echo says that all pages before it have arrived */
    PING_YOURS =
        0x594f5552, /* behind a whole stream, to a Stasis that has accepted it: the guest is
                               * yours */
    RESUME_VALUE = 1,
};
#define BITMAP_END UINT64_C(0x0123456789abcdef)

void save_command(Stream *st, uint16_t cmd, const void *data, uint16_t len);
void save_ping(Stream *st, uint32_t value);

/* One command, behind its section's mark; false: starved or failed. */
bool load_command(LoadRun *run);
#define EXACT_SECTION "stasis"
enum { EXACT_SECTION_ID = 0x53544153 };

/* The section between two Stasis that carries what a description would (exactness). */
void save_exact_section(Stream *st, Machine *m);
bool load_exact_section(LoadRun *run);
/* Whether PING_YOURS stands behind a stream that has been read. */
bool load_yours(LoadRun *run);
/* A new connection for a post-copy that broke: sections follow at once, RECV_BITMAP and RESUME
 * first.  What the old connection left over is forgotten. */
void load_resume(LoadRun *run);
/* Appends a message to run->answers. */
void load_answer(LoadRun *run, uint16_t type, const void *data, uint16_t len);
