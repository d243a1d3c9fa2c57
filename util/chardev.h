/* SPDX-License-Identifier: MIT */
/*
 * Character devices: where a serial port or a monitor talks to.
 *
 * A back end is one file that adds a ChardevClass to the set `chardevs`.  A Chardev has one front
 * end (a device or a monitor) at a time, or a mux in between (`mux=on`, `mon:`), which gives
 * several.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/options.h"
#include "util/registry.h"

typedef struct Chardev Chardev;

typedef enum ChardevEvent {
    CHARDEV_OPENED, /* the far side is there (also sent at attach where it already is) */
    CHARDEV_CLOSED, /* the far side has gone */
    CHARDEV_BREAK,
    CHARDEV_FOCUS_IN, /* mux: input goes to this front end from now on */
    CHARDEV_FOCUS_OUT,
} ChardevEvent;

/* The front end's side.  All run on the main context's thread; each may be NULL. */
typedef struct ChardevFront {
    size_t (*can_receive)(void *opaque); /* how many bytes it would take now */
    void (*receive)(void *opaque, const uint8_t *buf, size_t len); /* len <= can_receive() */
    void (*event)(void *opaque, ChardevEvent event);
} ChardevFront;

typedef struct ChardevClass {
    const char *name; /* "stdio" */
    const char *desc;
    const char *implied_key; /* key of the text behind the colon in "name:text", or NULL */
    size_t size;             /* of the back end's struct, which starts with a Chardev */
    bool (*open)(Chardev *chr, Options *opts, Error *err);
    size_t (*write)(Chardev *chr, const uint8_t *buf, size_t len); /* how many it took */
    void (*accept_input)(Chardev *chr); /* the front end has room again */
    void (*close)(Chardev *chr);
    int (*take_fd)(Chardev *chr); /* a descriptor that the far side passed over, or -1 */
    /* NULL: one front end.  Otherwise keeps several; front NULL takes out the one of opaque. */
    void (*attach)(Chardev *chr, const ChardevFront *front, void *opaque);
} ChardevClass;

#define CHARDEV(cls) SET_ADD(chardevs, cls)
SET_DECLARE(chardevs);

struct Chardev {
    const ChardevClass *cls;
    GMainContext *ctx;
    char *id;       /* owned */
    char *filename; /* as `info chardev` shows it; owned */
    const ChardevFront *front;
    void *opaque;     /* of the front end */
    bool connected;   /* the far side is there */
    bool is_terminal; /* the far side is a terminal: line editing makes sense */
    GByteArray *out;  /* what write did not take yet */
    int log_fd;       /* logfile=: gets a copy of all output; -1: none */
};

/* From `-chardev backend,id=x,...`. */
Chardev *chardev_from_options(GMainContext *ctx, Options *opts, Error *err);

/* From the old form: "stdio", "mon:stdio", "tcp:host:port,server=on", "unix:path", "file:x",
 * "pipe:x", "pty", "null", "chardev:id" is resolved by the caller. */
Chardev *chardev_from_text(GMainContext *ctx, const char *id, const char *text, Error *err);

void chardev_free(Chardev *chr);

/* Attaches a front end (front NULL: detaches; of a mux's several, the one with this opaque). */
void chardev_attach(Chardev *chr, const ChardevFront *front, void *opaque);

/* Sends bytes; what the far side does not take now is queued (a disconnected one drops it). */
void chardev_write(Chardev *chr, const void *buf, size_t len);
void chardev_printf(Chardev *chr, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The front end can take bytes again. */
void chardev_accept_input(Chardev *chr);

/* True where chr is a mux (or may be shared): several front ends, Ctrl-A c goes round them. */
bool chardev_is_mux(const Chardev *chr);

/* Puts a mux over chr and returns it; it owns chr.  See util/chardev_mux.c. */
Chardev *chardev_mux_new(Chardev *chr);
/* What a mux lies over; NULL where chr is none. */
Chardev *chardev_mux_base(const Chardev *chr);
/* Gives the input to the front end attached with opaque.  Without, the first to attach has it. */
void chardev_mux_focus(Chardev *mux, void *opaque);
/* Ctrl-A x ('x': leave) and Ctrl-A s ('s': commit the disks) end up here. */
void chardev_mux_on_escape(Chardev *mux, void (*escape)(void *opaque, char key), void *opaque);

/* A descriptor that came over a Unix socket (SCM_RIGHTS), oldest first, or -1; the caller's. */
int chardev_take_fd(Chardev *chr);

/* How many bytes wait for the far side to take them. */
size_t chardev_unsent(const Chardev *chr);

/* For back ends: the far side came or went, bytes came in. */
void chardev_set_connected(Chardev *chr, bool connected);
size_t chardev_can_receive(Chardev *chr);
void chardev_receive(Chardev *chr, const uint8_t *buf, size_t len);
void chardev_event(Chardev *chr, ChardevEvent event);
/* For back ends: the far side takes bytes again, send the queue. */
void chardev_flush(Chardev *chr);

/* Lists the back ends, sorted ("-chardev help"). */
void chardev_help(void);
