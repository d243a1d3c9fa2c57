/* SPDX-License-Identifier: MIT */
/*
 * QMP, the side of those who have something to say in it: commands and events as JSON objects.
 * A folder registers its commands here; the monitor owns sessions and framing.  Source: the QMP
 * specification's behaviour as QEMU 7.2 shows it.  Not modelled: out-of-band execution.
 *
 * args is a text of "name:type" items separated by commas; a trailing ? marks optional ones:
 *   s  string      i  integer      b  boolean      o  object      a  array
 *   n  number      *  anything
 * The name * takes whatever is given; run checks it.
 * What a call has been given fits them before run is called.
 */
#pragma once

#include <jansson.h>

#include "core/command.h"
#include "core/machine.h"

typedef struct QmpCall QmpCall;
struct QmpCall {
    /* For functions that want a Sink: they find descriptors in it, what they write is dropped.
     * sink_done on it ends a pending call without a result. */
    Sink sink;
    Machine *m;
    const json_t *args;      /* an object */
    const char *error_class; /* NULL: GenericError */
    bool pending;            /* run has started something: qmp_done comes later */
    /* Steals result (NULL: an empty object).  The call is gone afterwards. */
    void (*done)(QmpCall *call, json_t *result, const Error *err);
    /* The next descriptor that came over the session's socket, or -1; the caller's. */
    int (*next_fd)(QmpCall *call);
    GHashTable *fds; /* what getfd named: name -> descriptor */
};

typedef struct QmpCommand {
    const char *name; /* "query-status" */
    const char *args; /* "device:s?,force:b?"; NULL: none */
    /* Answers with a new reference; NULL means an empty object where err is not set.  Sets pending
     * where the answer comes later, by qmp_done. */
    json_t *(*run)(QmpCall *call, Error *err);
} QmpCommand;

#define QMP_COMMAND(ident, ...)                                                                    \
    static const QmpCommand ident##_qmp = { __VA_ARGS__ };                                         \
    SET_ADD(qmp_commands, ident##_qmp)
SET_DECLARE(qmp_commands);

const QmpCommand *qmp_command_find(const char *name);
/* Whether args (an object) fit a command's specification; else err has what does not. */
bool qmp_args_check(const char *spec, const json_t *args, Error *err);

const char *qmp_text(const QmpCall *call, const char *name); /* NULL: not given */
int64_t qmp_int(const QmpCall *call, const char *name, int64_t fallback);
bool qmp_bool(const QmpCall *call, const char *name, bool fallback);
void qmp_done(QmpCall *call, json_t *result, const Error *err);

/* "Device 'x' not found", of the class DeviceNotFound. */
bool qmp_device_not_found(QmpCall *call, const char *id, Error *err);
/* "Parameter 'x' does not accept value 'y'". */
bool qmp_bad_value(const char *name, const char *value, Error *err);
/* "Parameter 'x' expects ...". */
bool qmp_expects(const char *name, const char *what, Error *err);

/* Where a device is found: its id where the user gave one, else its place among all devices.
 * g_free it. */
char *qmp_device_path(const Device *dev);
/* The same for the device that holds a drive; NULL where none does. */
char *qmp_drive_holder(Machine *m, const struct BlockDev *drive);

/* -- events -- */

/* Tells every session; steals data (NULL: none). */
void qmp_event(Machine *m, const char *name, json_t *data);

typedef struct QmpListener QmpListener;
struct QmpListener {
    void (*event)(void *opaque, json_t *event);
    void *opaque;
    QmpListener *next;
};
void qmp_listener_add(Machine *m, QmpListener *l);
