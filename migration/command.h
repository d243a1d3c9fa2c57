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
};

enum {
    RP_SHUT = 1,         /* be32: 0 when all has arrived */
    RP_PONG = 2,         /* be32 */
    RP_REQ_PAGES_ID = 3, /* be64 start, be32 length, block's name */
    RP_REQ_PAGES = 4,    /* be64 start, be32 length, in the block of the last request */
};

enum {
    PACKAGE_MAX = 1 << 24,
    DISCARD_RANGES = 12,      /* of a command, at most */
    PING_FIRST = 1,           /* any value: the return path is there */
    PING_WHO = 0x53544153,    /* asks for more than an echo: "STAS" ... */
    PONG_STASIS = 0x49534f4b, /* ... which a Stasis answers by this */
};

void save_command(Stream *st, uint16_t cmd, const void *data, uint16_t len);

/* One command, behind its section's mark; false: starved or failed. */
bool load_command(LoadRun *run);
#define EXACT_SECTION "stasis"
enum { EXACT_SECTION_ID = 0x53544153 };

/* The section between two Stasis that carries what a description would (exactness). */
void save_exact_section(Stream *st, Machine *m);
bool load_exact_section(LoadRun *run);
/* Appends a message to run->answers. */
void load_answer(LoadRun *run, uint16_t type, const void *data, uint16_t len);
