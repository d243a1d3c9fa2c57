/* SPDX-License-Identifier: MIT */
/*
 * Keys and mouse movements on their way from displays and commands to the guest's devices.
 * A stopped guest gets nothing: what it must not miss, the release of keys that it knows to be
 * held, is given when it runs on.
 */
#include "ui/ui.h"

#include <inttypes.h>
#include <string.h>

#include "core/qmp.h"

enum { QUEUE_MAX = 1024, HOLD_MS = 100 };

typedef struct QueuedKey {
    int key;
    bool down;
    int64_t wait_ns; /* until the next one may go */
} QueuedKey;

typedef struct Input {
    Machine *m;
    InputHandler *handlers; /* the newest first */
    InputHandler *pointer;  /* chosen by mouse_set, or NULL: the newest */
    unsigned leds, buttons;
    bool held[KEY_MAX];   /* the guest was told of a press and of no release */
    bool let_go[KEY_MAX]; /* ... which came while it was stopped */
    GQueue *queue;        /* of QueuedKey: sendkey */
    Timer timer;          /* guest time: a slow guest sees keys held as long as a fast one */
    MachineNotifier notifier;
} Input;

static void input_queue_clear(Input *in)
{
    timer_cancel(&in->timer);
    g_queue_clear_full(in->queue, g_free);
}

static void input_queue_run(void *opaque)
{
    Input *in = opaque;
    QueuedKey *q;

    while ((q = g_queue_pop_head(in->queue))) {
        int64_t wait_ns = q->wait_ns;

        input_key(in->m, q->key, q->down);
        g_free(q);
        if (wait_ns) {
            timer_arm(&in->timer, clock_now(&in->m->clock) + wait_ns);
            return;
        }
    }
}

static void input_notify(void *opaque, MachineEvent event)
{
    Input *in = opaque;

    if (event == EVENT_LOADED) { /* another guest: it knows nothing of our keys */
        input_queue_clear(in);
        memset(in->held, 0, sizeof(in->held));
        memset(in->let_go, 0, sizeof(in->let_go));
    }
    if (event != EVENT_RUN_STATE || !machine_running(in->m)) return;
    for (int key = 0; key < KEY_MAX; key++) {
        if (in->let_go[key]) input_key(in->m, key, false);
    }
}

static void input_destroy(void *slot)
{
    Input *in = slot;

    input_queue_clear(in);
    g_queue_free(in->queue);
    machine_notifier_del(in->m, &in->notifier);
}

static Input *input_of(Machine *m)
{
    Input *in = machine_slot(m, "ui.input", sizeof(Input), input_destroy);

    if (in->m) return in;
    in->m = m;
    in->queue = g_queue_new();
    timer_init(&in->timer, &m->clock, input_queue_run, in);
    in->notifier = (MachineNotifier){ .notify = input_notify, .opaque = in };
    machine_notifier_add(m, &in->notifier);
    return in;
}

void input_handler_add(Machine *m, InputHandler *h)
{
    Input *in = input_of(m);

    h->next = in->handlers;
    in->handlers = h;
}

void input_handler_del(Machine *m, InputHandler *h)
{
    Input *in = input_of(m);

    if (in->pointer == h) in->pointer = NULL;
    for (InputHandler **p = &in->handlers; *p; p = &(*p)->next) {
        if (*p != h) continue;
        *p = h->next;
        return;
    }
}

static InputHandler *input_keyboard(Input *in)
{
    InputHandler *h = in->handlers;

    while (h && !h->key) h = h->next;
    return h;
}

static InputHandler *input_pointer(Input *in)
{
    InputHandler *h = in->handlers;

    if (in->pointer) return in->pointer;
    while (h && !h->mouse) h = h->next;
    return h;
}

void input_key(Machine *m, int key, bool down)
{
    Input *in = input_of(m);
    InputHandler *h = input_keyboard(in);

    if (!h || key < 0 || key >= KEY_MAX) return;
    if (!machine_running(m)) {
        in->let_go[key] = !down && in->held[key];
        return;
    }
    in->held[key] = down;
    in->let_go[key] = false;
    h->key(h->opaque, key, down);
}

void input_mouse(Machine *m, int dx, int dy, int dz, unsigned buttons)
{
    Input *in = input_of(m);
    InputHandler *h = input_pointer(in);

    in->buttons = buttons;
    if (h && machine_running(m)) h->mouse(h->opaque, dx, dy, dz, buttons);
}

void input_set_leds(Machine *m, unsigned leds) { input_of(m)->leds = leds; }

unsigned input_leds(Machine *m) { return input_of(m)->leds; }

/* -- commands -- */

/* "ctrl-alt-delete" to codes; 0 and *bad (g_free it) on an unknown name. */
static unsigned sendkey_parse(const char *text, int *keys, unsigned max, char **bad)
{
    char **names = g_strsplit(text, "-", -1);
    unsigned n = 0;

    for (; names[n] && n < max; n++) {
        keys[n] = key_from_name(!strcmp(names[n], "<") ? "less" : names[n]);
        if (keys[n] >= 0) continue;
        *bad = g_strdup(names[n]);
        n = 0;
        break;
    }
    g_strfreev(names);
    return n;
}

static void sendkey_queue(Input *in, int key, bool down, int64_t wait_ns)
{
    QueuedKey *q = g_new(QueuedKey, 1);

    *q = (QueuedKey){ .key = key, .down = down, .wait_ns = wait_ns };
    g_queue_push_tail(in->queue, q);
}

/* Presses the keys one after the other, and releases them in the opposite order. */
static void sendkey_start(Input *in, const int *keys, unsigned n, int64_t hold_ns, Error *err)
{
    if (in->queue->length + 2 * n > QUEUE_MAX) {
        error_set(err, "too many keys are waiting to be sent");
        return;
    }
    if (!n || !machine_running(in->m)) return;
    for (unsigned i = 0; i < n; i++) sendkey_queue(in, keys[i], true, hold_ns);
    for (unsigned i = n; i-- > 0;) sendkey_queue(in, keys[i], false, hold_ns);
    if (!timer_armed(&in->timer)) input_queue_run(in);
}

static void sendkey_run(CommandCall *call, Error *err)
{
    Input *in = input_of(call->m);
    int64_t hold_ns = MAX_OF(command_num(call, "hold_ms", HOLD_MS), 0) * NS_PER_MS;
    int keys[64];
    char *bad = NULL;
    unsigned n = sendkey_parse(command_text(call, "keys"), keys, ARRAY_SIZE(keys), &bad);

    if (bad) { /* plain, as scripts know it */
        sink_printf(call->out, "invalid parameter: %s\n", bad);
        g_free(bad);
        return;
    }
    sendkey_start(in, keys, n, hold_ns, err);
}

typedef struct KeyName {
    const char *name;
    bool found;
} KeyName;

static void sendkey_compare(void *ctx, const char *name)
{
    KeyName *k = ctx;

    k->found |= !strcmp(k->name, name);
}

/* An element of send-key's keys: {"type": "qcode" | "number", "data": ...}; -1: err is set. */
static int sendkey_element(const json_t *e, unsigned n, Error *err)
{
    const json_t *type = json_object_get(e, "type"), *data = json_object_get(e, "data");
    const char *kind = json_string_value(type);
    bool number = kind && !strcmp(kind, "number");
    KeyName k = { .name = json_string_value(data) };

    if (!json_is_object(e)) {
        error_set(err, "Invalid parameter type for 'keys[%u]', expected: object", n);
    } else if (!type || !data) {
        error_set(err, "Parameter 'keys[%u].%s' is missing", n, type ? "data" : "type");
    } else if (!kind) {
        error_set(err, "Invalid parameter type for 'keys[%u].type', expected: string", n);
    } else if (!number && strcmp(kind, "qcode")) {
        qmp_bad_value("type", kind, err);
    } else if (number ? !json_is_integer(data) : !k.name) {
        error_set(err, "Invalid parameter type for 'keys[%u].data', expected: %s", n,
            number ? "integer" : "string");
    } else if (number) {
        return (int)(json_integer_value(data) & 0xff);
    } else {
        key_names_each(sendkey_compare, &k);
        if (k.found) return key_from_name(k.name);
        qmp_bad_value("data", k.name, err);
    }
    return -1;
}

static json_t *send_key_qmp_run(QmpCall *call, Error *err)
{
    int64_t hold_ms = qmp_int(call, "hold-time", HOLD_MS);
    const json_t *list = json_object_get(call->args, "keys"), *e;
    int keys[64];
    size_t i;

    if (json_array_size(list) > ARRAY_SIZE(keys)) {
        error_set(err, "too many keys at once");
        return NULL;
    }
    json_array_foreach (list, i, e) {
        keys[i] = sendkey_element(e, (unsigned)i, err);
        if (keys[i] < 0) return NULL;
    }
    sendkey_start(input_of(call->m), keys, (unsigned)json_array_size(list),
        CLAMP(hold_ms, 0, 3600 * 1000) * NS_PER_MS, err);
    return NULL;
}
QMP_COMMAND(send_key, .name = "send-key", .args = "keys:a,hold-time:i?", .run = send_key_qmp_run);

typedef struct KeyOffer {
    const char *typed; /* the whole argument */
    size_t done;       /* its part up to the last '-' */
    void (*offer)(void *ctx, const char *word);
    void *ctx;
} KeyOffer;

static void sendkey_offer(void *opaque, const char *name)
{
    KeyOffer *o = opaque;

    if (!g_str_has_prefix(name, o->typed + o->done)) return;
    char *word = g_strdup_printf("%.*s%s", (int)o->done, o->typed, name);

    o->offer(o->ctx, word);
    g_free(word);
}

static void sendkey_complete(Machine *m, unsigned n, const char *prefix,
    void (*offer)(void *ctx, const char *word), void *ctx)
{
    const char *dash = strrchr(prefix, '-');
    KeyOffer o = {
        .typed = prefix, .done = dash ? (size_t)(dash - prefix) + 1 : 0, .offer = offer, .ctx = ctx
    };

    (void)m;
    if (n == 0) key_names_each(sendkey_offer, &o);
}

COMMAND(sendkey, .name = "sendkey", .args = "keys:s,hold_ms:i?", .usage = "keys [hold_ms]",
    .help = "send keys to the VM (e.g. 'sendkey ctrl-alt-f1', default hold time=100 ms)",
    .run = sendkey_run, .complete = sendkey_complete);

static int64_t mouse_number(CommandCall *call, const char *name)
{
    const char *text = command_text(call, name);

    return text ? CLAMP(g_ascii_strtoll(text, NULL, 0), -32768, 32767) : 0;
}

static void mouse_move_run(CommandCall *call, Error *err)
{
    (void)err;
    input_mouse(call->m, (int)mouse_number(call, "dx"), (int)mouse_number(call, "dy"),
        (int)mouse_number(call, "dz"), input_of(call->m)->buttons);
}
COMMAND(mouse_move, .name = "mouse_move", .args = "dx:s,dy:s,dz:s?", .usage = "dx dy [dz]",
    .help = "send mouse move events", .run = mouse_move_run);

static void mouse_button_run(CommandCall *call, Error *err)
{
    (void)err;
    input_mouse(call->m, 0, 0, 0, (unsigned)command_num(call, "state", 0) & 7);
}
COMMAND(mouse_button, .name = "mouse_button", .args = "state:i", .usage = "state",
    .help = "change mouse button state (1=L, 2=R, 4=M)", .run = mouse_button_run);

/* Handlers are numbered from 1 in the order in which they came. */
static unsigned mice_number(const InputHandler *h)
{
    unsigned n = 0;

    for (; h; h = h->next) n++;
    return n;
}

static void mouse_set_run(CommandCall *call, Error *err)
{
    Input *in = input_of(call->m);
    int64_t number = command_num(call, "index", 0);

    (void)err;
    for (InputHandler *h = in->handlers; h; h = h->next) {
        if (!h->mouse || mice_number(h) != number) continue;
        in->pointer = h;
        return;
    }
    sink_printf(call->out, "Mouse at index '%" PRId64 "' not found\n", number);
}
COMMAND(mouse_set, .name = "mouse_set", .args = "index:i", .usage = "index",
    .help = "set which mouse device receives events", .run = mouse_set_run);

static void info_mice_run(CommandCall *call, Error *err)
{
    Input *in = input_of(call->m);

    (void)err;
    if (!input_pointer(in)) sink_printf(call->out, "No mouse devices connected\n");
    for (InputHandler *h = in->handlers; h; h = h->next) {
        if (!h->mouse) continue;
        sink_printf(call->out, "%c Mouse #%u: %s\n", h == input_pointer(in) ? '*' : ' ',
            mice_number(h), h->name);
    }
}
COMMAND(info_mice, .name = "info mice", .args = "", .usage = "",
    .help = "show which guest mouse is receiving events", .run = info_mice_run);

static json_t *query_mice_run(QmpCall *call, Error *err)
{
    Input *in = input_of(call->m);
    json_t *list = json_array();

    (void)err;
    for (InputHandler *h = in->handlers; h; h = h->next) {
        if (!h->mouse) continue;
        json_array_append_new(
            list, json_pack("{s:s,s:i,s:b,s:b}", "name", h->name, "index", (int)mice_number(h),
                      "current", h == input_pointer(in), "absolute", 0));
    }
    return list;
}
QMP_COMMAND(query_mice, .name = "query-mice", .run = query_mice_run);
