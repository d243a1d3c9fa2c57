/* SPDX-License-Identifier: MIT */
/*
 * QMP sessions: a character device, JSON in and out.
 *
 *   closed --far side opens--> negotiating: greeted; only qmp_capabilities is known
 *   negotiating --qmp_capabilities--> ready: commands run, events are told
 *   ready --a pending call--> suspended --qmp_done--> ready: input waits meanwhile
 *   any --far side closes--> closed
 *
 * Requests run one after the other, each is answered before the next begins.
 */
#include "core/qmp.h"

#include <string.h>
#include <unistd.h>

#include "monitor/monitor.h"
#include "monitor/qmp_events.h"
#include "monitor/qmp_frame.h"
#include "monitor/qmp_version.h"

enum { QMP_CHUNK = 4096 };

typedef struct QmpRequest QmpRequest;

typedef struct QmpSession {
    Machine *m;
    Chardev *chr;
    bool pretty;
    bool ready; /* negotiated */
    bool draining;
    QmpRequest *pending; /* whose end is waited for, or NULL */
    QmpFrame frame;
    GQueue *input; /* QmpInput, not yet run */
    GHashTable *fds;
    QmpListener listener;
} QmpSession;

/* A value that came in, or what was wrong with it. */
typedef struct QmpInput {
    json_t *value;
    char *complaint;
} QmpInput;

/* A command under way.  Outlives its session where that is closed meanwhile. */
struct QmpRequest {
    QmpCall call;
    QmpSession *session; /* NULL: gone */
    json_t *request;
    bool returned; /* run is back, so qmp_done comes from outside */
    bool done;
};

/* -- output -- */

static void qmp_send(QmpSession *s, json_t *value)
{
    size_t flags = JSON_ENSURE_ASCII | (s->pretty ? JSON_INDENT(4) : 0);
    char *text = json_dumps(value, flags);

    g_assert(text);
    chardev_write(s->chr, text, strlen(text));
    chardev_write(s->chr, "\r\n", 2);
    free(text);
    json_decref(value);
}

/* request (NULL: none) has the id that is sent back. */
static void qmp_answer(QmpSession *s, const json_t *request, json_t *answer)
{
    json_t *id = json_object_get(request, "id");

    if (id) json_object_set(answer, "id", id);
    qmp_send(s, answer);
}

static void qmp_fail(QmpSession *s, const json_t *request, const char *class, const char *text)
{
    char *valid = g_utf8_make_valid(text, -1);

    qmp_answer(s, request,
        json_pack(
            "{s:{s:s,s:s}}", "error", "class", class ? class : "GenericError", "desc", valid));
    g_free(valid);
}

static void qmp_tell(void *opaque, json_t *event)
{
    QmpSession *s = opaque;

    if (s->ready) qmp_send(s, json_incref(event));
}

/* -- calls -- */

static void qmp_request_free(QmpRequest *r)
{
    json_decref(r->request);
    json_decref((json_t *)r->call.args);
    g_free(r);
}

static void qmp_drain(QmpSession *s);

static void qmp_request_done(QmpCall *call, json_t *result, const Error *err)
{
    QmpRequest *r = (QmpRequest *)call;
    QmpSession *s = r->session;

    g_assert(!r->done);
    r->done = true;
    if (s && error_is_set(err)) {
        qmp_fail(s, r->request, call->error_class, err->msg);
    } else if (s) {
        qmp_answer(s, r->request,
            json_pack("{s:O}", "return", result ? result : (result = json_object())));
    }
    json_decref(result);
    if (!r->returned) return; /* qmp_execute goes on itself */
    qmp_request_free(r);
    if (!s) return;
    s->pending = NULL;
    qmp_drain(s);
    if (!s->pending) chardev_accept_input(s->chr);
}

static void qmp_sink_write(Sink *sink, const char *text) { (void)sink, (void)text; }

static void qmp_sink_done(Sink *sink, const Error *err)
{
    qmp_request_done((QmpCall *)sink, NULL, err);
}

static int qmp_sink_take_fd(Sink *sink, const char *name)
{
    QmpSession *s = ((QmpRequest *)sink)->session;
    gpointer fd;

    if (!s || !g_hash_table_steal_extended(s->fds, name, NULL, &fd)) return -1;
    return GPOINTER_TO_INT(fd);
}

static int qmp_next_fd(QmpCall *call)
{
    QmpSession *s = ((QmpRequest *)call)->session;

    return s ? chardev_take_fd(s->chr) : -1;
}

static void qmp_execute(
    QmpSession *s, const QmpCommand *cmd, const json_t *request, const json_t *args)
{
    QmpRequest *r = g_new0(QmpRequest, 1);
    Error err = ERROR_INIT;
    json_t *result;

    r->call = (QmpCall){ .sink = { qmp_sink_write, qmp_sink_done, qmp_sink_take_fd },
        .m = s->m,
        .args = json_incref((json_t *)args),
        .done = qmp_request_done,
        .next_fd = qmp_next_fd,
        .fds = s->fds };
    r->session = s;
    r->request = json_incref((json_t *)request);
    result = cmd->run(&r->call, &err);
    if (!r->call.pending || error_is_set(&err)) qmp_request_done(&r->call, result, &err);
    r->returned = true;
    if (r->done) {
        qmp_request_free(r);
    } else {
        s->pending = r;
    }
}

/* -- negotiation -- */

static bool qmp_negotiate(QmpSession *s, const json_t *args, Error *err)
{
    const json_t *enable = json_object_get(args, "enable"), *cap;
    size_t i;

    if (!qmp_args_check("enable:a?", args, err)) return false;
    json_array_foreach (enable, i, cap) {
        const char *name = json_string_value(cap);
        char *path;

        if (name && !strcmp(name, "oob")) {
            return error_set(err, "Capability oob not available");
        }
        path = g_strdup_printf("enable[%zu]", i);
        if (name) {
            qmp_bad_value(path, name, err);
        } else {
            error_set(err, "Invalid parameter type for '%s', expected: string", path);
        }
        g_free(path);
        return false;
    }
    return s->ready = true;
}

/* The names of qmp_capabilities as of any command; what it does is above. */
static json_t *qmp_capabilities_again(QmpCall *call, Error *err)
{
    call->error_class = "CommandNotFound";
    error_set(err, "Capabilities negotiation is already complete, command ignored");
    return NULL;
}
QMP_COMMAND(
    capabilities, .name = "qmp_capabilities", .args = "enable:a?", .run = qmp_capabilities_again);

static void qmp_dispatch_early(
    QmpSession *s, const char *name, const json_t *request, const json_t *args)
{
    Error err = ERROR_INIT;

    if (strcmp(name, "qmp_capabilities")) {
        qmp_fail(s, request, "CommandNotFound",
            "Expecting capabilities negotiation with 'qmp_capabilities'");
    } else if (!qmp_negotiate(s, args, &err)) {
        qmp_fail(s, request, NULL, err.msg);
    } else {
        qmp_answer(s, request, json_pack("{s:{}}", "return"));
    }
}

/* -- requests -- */

static bool qmp_request_check(const json_t *request, Error *err)
{
    const char *name;
    json_t *value;

    if (!json_is_object(request)) return error_set(err, "QMP input must be a JSON object");
    json_object_foreach ((json_t *)request, name, value) {
        if (!strcmp(name, "execute")) {
            if (!json_is_string(value))
                return error_set(err, "QMP input member 'execute' must be a string");
        } else if (!strcmp(name, "arguments")) {
            if (!json_is_object(value))
                return error_set(err, "QMP input member 'arguments' must be an object");
        } else if (strcmp(name, "id")) {
            return error_set(err, "QMP input member '%s' is unexpected", name);
        }
    }
    if (!json_object_get(request, "execute"))
        return error_set(err, "QMP input lacks member 'execute'");
    return true;
}

static void qmp_dispatch(QmpSession *s, const json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "execute"));
    json_t *args = json_object_get(request, "arguments");
    const QmpCommand *cmd = name ? qmp_command_find(name) : NULL;
    Error err = ERROR_INIT;

    args = args ? json_incref(args) : json_object();
    if (!qmp_request_check(request, &err)) {
        qmp_fail(s, request, NULL, err.msg);
    } else if (!s->ready) {
        qmp_dispatch_early(s, name, request, args);
    } else if (!cmd) {
        error_set(&err, "The command %s has not been found", name);
        qmp_fail(s, request, "CommandNotFound", err.msg);
    } else if (!qmp_args_check(cmd->args, args, &err)) {
        qmp_fail(s, request, NULL, err.msg);
    } else {
        qmp_execute(s, cmd, request, args);
    }
    json_decref(args);
}

static void qmp_input_free(void *p)
{
    QmpInput *in = p;

    json_decref(in->value);
    g_free(in->complaint);
    g_free(in);
}

/* Runs what has come, until something has to be waited for.  A command may dispatch other events
 * of the machine's context; those that come back here find the outer one at work. */
static void qmp_drain(QmpSession *s)
{
    QmpInput *in;

    if (s->draining) return;
    s->draining = true;
    while (!s->pending && (in = g_queue_pop_head(s->input))) {
        if (in->value) {
            qmp_dispatch(s, in->value);
        } else {
            qmp_fail(s, NULL, NULL, in->complaint);
        }
        qmp_input_free(in);
    }
    s->draining = false;
}

/* -- the far side -- */

static void qmp_take(void *opaque, json_t *value, const char *complaint)
{
    QmpSession *s = opaque;
    QmpInput *in = g_new0(QmpInput, 1);

    in->value = json_incref(value);
    in->complaint = g_strdup(complaint);
    g_queue_push_tail(s->input, in);
}

static size_t qmp_can_receive(void *opaque)
{
    QmpSession *s = opaque;

    return s->pending || s->draining ? 0 : QMP_CHUNK;
}

static void qmp_receive(void *opaque, const uint8_t *buf, size_t len)
{
    QmpSession *s = opaque;

    qmp_frame_feed(&s->frame, buf, len, qmp_take, s);
    qmp_drain(s);
}

static void qmp_close(QmpSession *s)
{
    if (s->pending) s->pending->session = NULL;
    s->pending = NULL;
    s->ready = false;
    qmp_frame_reset(&s->frame);
    g_queue_clear_full(s->input, qmp_input_free);
}

static void qmp_open(QmpSession *s)
{
    qmp_close(s);
    qmp_send(s, json_pack("{s:{s:o,s:[]}}", "QMP", "version", qmp_version(), "capabilities"));
}

static void qmp_chardev_event(void *opaque, ChardevEvent event)
{
    if (event == CHARDEV_OPENED) qmp_open(opaque);
    if (event == CHARDEV_CLOSED) qmp_close(opaque);
}

/* -- life -- */

static const ChardevFront qmp_front = { qmp_can_receive, qmp_receive, qmp_chardev_event };

static void qmp_close_fd(gpointer fd) { close(GPOINTER_TO_INT(fd)); }

static void qmp_free(void *opaque)
{
    QmpSession *s = opaque;

    qmp_close(s);
    chardev_attach(s->chr, NULL, s);
    g_hash_table_destroy(s->fds);
    g_queue_free(s->input);
    qmp_frame_free(&s->frame);
    g_free(s);
}

bool monitor_new_qmp(Machine *m, Chardev *chr, bool pretty, Error *err)
{
    QmpSession *s = g_new0(QmpSession, 1);

    if (!machine_object_add(m, "monitor", chr->id, s, qmp_free, err)) {
        g_free(s);
        return false;
    }
    s->m = m;
    s->chr = chr;
    s->pretty = pretty;
    s->input = g_queue_new();
    s->fds = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, qmp_close_fd);
    qmp_frame_init(&s->frame);
    s->listener = (QmpListener){ .event = qmp_tell, .opaque = s };
    qmp_listener_add(m, &s->listener);
    qmp_events_start(m);
    chardev_attach(chr, &qmp_front, s);
    return true;
}
