/* SPDX-License-Identifier: MIT */
/*
 * Line editing, history and completion on terminals, by libedit.
 *
 * libedit wants a terminal of its own to set modes on and blocks for its input; ours is a character
 * device that may be shared.  So it gets a private pseudo terminal, whose modes harm nobody, reads
 * through a callback from what has arrived, and writes to a stream that ends in the monitor.
 */
#include <errno.h>
#include <histedit.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "monitor/hmp.h"

enum { EDIT_HISTORY = 500, EDIT_COLUMNS = 80, EDIT_ROWS = 24 };

struct Editor {
    Monitor *mon;
    EditLine *el;
    History *history;
    FILE *in, *out;
    int master, slave; /* the private pseudo terminal */
    GByteArray *keys;  /* arrived, not yet edited */
    bool editing;      /* a prompt is shown */
    bool feeding;      /* editor_feed is under way: it takes what editor_prompt leaves */
};

static ssize_t editor_write(void *cookie, const char *buf, size_t len)
{
    Editor *e = cookie;
    char *text = g_strndup(buf, len);

    hmp_puts(e->mon, text);
    g_free(text);
    return (ssize_t)len;
}

static int editor_getc(EditLine *el, wchar_t *c)
{
    Editor *e = NULL;

    el_get(el, EL_CLIENTDATA, &e);
    if (!e->keys->len) {
        errno = EAGAIN;
        return -1;
    }
    *c = e->keys->data[0];
    g_byte_array_remove_index(e->keys, 0);
    return 1;
}

static char *editor_show_prompt(EditLine *el)
{
    (void)el;
    return (char *)hmp_prompt;
}

/* -- completion -- */

static void editor_collect(void *ctx, const char *word) { g_ptr_array_add(ctx, g_strdup(word)); }

static int editor_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* How much all words have in common. */
static size_t editor_common(GPtrArray *words)
{
    const char *first = words->pdata[0];
    size_t n = strlen(first);

    for (unsigned i = 1; i < words->len; i++) {
        const char *w = words->pdata[i];
        size_t k = 0;
        while (k < n && w[k] == first[k]) k++;
        n = k;
    }
    return n;
}

static void editor_list(Editor *e, GPtrArray *words)
{
    hmp_puts(e->mon, "\n");
    for (unsigned i = 0; i < words->len; i++) {
        hmp_puts(e->mon, words->pdata[i]);
        hmp_puts(e->mon, "\n");
    }
}

static unsigned char editor_complete(EditLine *el, int key)
{
    Editor *e = NULL;
    const LineInfo *li = el_line(el);
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);
    unsigned char result = CC_ERROR;

    (void)key;
    el_get(el, EL_CLIENTDATA, &e);
    char *line = g_strndup(li->buffer, (size_t)(li->cursor - li->buffer));
    complete_line(e->mon->m, line, editor_collect, words);
    g_ptr_array_sort(words, editor_order);
    if (words->len) {
        const char *space = strrchr(line, ' ');
        size_t typed = strlen(space ? space + 1 : line), common = editor_common(words);
        char *more = g_strdup_printf("%.*s%s", (int)(common - typed),
            (char *)words->pdata[0] + typed, words->len == 1 ? " " : "");
        if (*more) {
            el_insertstr(el, more);
            result = CC_REFRESH;
        } else {
            editor_list(e, words);
            result = CC_REDISPLAY;
        }
        g_free(more);
    }
    g_free(line);
    g_ptr_array_unref(words);
    return result;
}

/* -- feeding -- */

/* True where keys hold the whole of what one key press sends: libedit must not run dry in the midst
 * of an escape sequence. */
static bool editor_key_complete(const GByteArray *keys)
{
    const uint8_t *k = keys->data;

    if (!keys->len) return false;
    if (k[0] != 0x1b) return true;
    if (keys->len < 2) return false;
    if (k[1] == 'O') return keys->len >= 3;
    if (k[1] != '[') return true;
    for (unsigned i = 2; i < keys->len; i++) {
        if (k[i] >= 0x40 && k[i] <= 0x7e) return true;
    }
    return false;
}

static void editor_line(Editor *e, const char *text)
{
    char *line = g_strchomp(g_strdup(text));

    e->editing = false;
    el_set(e->el, EL_UNBUFFERED, 0);
    if (*line) {
        HistEvent ev;
        history(e->history, &ev, H_ENTER, line);
    }
    hmp_run(e->mon, line);
    g_free(line);
}

static void editor_work(Editor *e)
{
    e->feeding = true;
    while (e->editing && editor_key_complete(e->keys)) {
        int n = 0;
        const char *text = el_gets(e->el, &n);
        if (text && n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r')) editor_line(e, text);
    }
    fflush(e->out);
    e->feeding = false;
}

void editor_feed(Editor *e, const uint8_t *buf, size_t len)
{
    g_byte_array_append(e->keys, buf, (guint)len);
    if (!e->feeding) editor_work(e);
}

void editor_prompt(Editor *e)
{
    e->editing = true;
    el_set(e->el, EL_UNBUFFERED, 1);
    fflush(e->out);
    if (!e->feeding) editor_work(e);
}

/* -- life -- */

static void editor_setup(Editor *e)
{
    HistEvent ev;

    e->history = history_init();
    history(e->history, &ev, H_SETSIZE, EDIT_HISTORY);
    history(e->history, &ev, H_SETUNIQUE, 1);
    el_set(e->el, EL_CLIENTDATA, e);
    el_set(e->el, EL_GETCFN, editor_getc);
    el_set(e->el, EL_PROMPT, editor_show_prompt);
    el_set(e->el, EL_EDITOR, "emacs");
    el_set(e->el, EL_HIST, history, e->history);
    el_set(e->el, EL_ADDFN, "monitor-complete", "completes the word", editor_complete);
    el_set(e->el, EL_BIND, "\t", "monitor-complete", NULL);
    el_set(e->el, EL_BIND, "^D", "ed-delete-next-char", NULL);
    el_set(e->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(e->el, EL_BIND, "^W", "ed-delete-prev-word", NULL);
}

Editor *editor_new(Monitor *mon)
{
    static const cookie_io_functions_t output = { .write = editor_write };
    Editor *e = g_new0(Editor, 1);
    struct winsize ws = { .ws_row = EDIT_ROWS, .ws_col = EDIT_COLUMNS };

    if (isatty(STDIN_FILENO)) ioctl(STDIN_FILENO, TIOCGWINSZ, &ws);
    if (!ws.ws_col) ws = (struct winsize){ .ws_row = EDIT_ROWS, .ws_col = EDIT_COLUMNS };
    e->mon = mon;
    e->master = e->slave = -1;
    e->keys = g_byte_array_new();
    if (openpty(&e->master, &e->slave, NULL, NULL, &ws) == 0) {
        e->in = fdopen(dup(e->slave), "r");
        e->out = fopencookie(e, "w", output);
    }
    if (e->in && e->out) {
        e->el = el_init_fd("stasis", e->in, e->out, e->out, e->slave, e->slave, e->slave);
    }
    if (!e->el) {
        editor_free(e);
        return NULL;
    }
    editor_setup(e);
    return e;
}

void editor_free(Editor *e)
{
    if (!e) return;
    if (e->el) {
        el_end(e->el);
        history_end(e->history);
    }
    if (e->in) fclose(e->in);
    if (e->out) fclose(e->out);
    if (e->master >= 0) close(e->master);
    if (e->slave >= 0) close(e->slave);
    g_byte_array_unref(e->keys);
    g_free(e);
}
