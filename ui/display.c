/* SPDX-License-Identifier: MIT */
/* -display: which displays there are, which one is taken. */
#include "ui/ui.h"

#include <string.h>

static int display_compare(gconstpointer a, gconstpointer b)
{
    const DisplayClass *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

static GPtrArray *display_list(void)
{
    GPtrArray *all = g_ptr_array_new();

    SET_EACH (DisplayClass, cls, displays) g_ptr_array_add(all, (void *)cls);
    g_ptr_array_sort(all, display_compare);
    return all;
}

static const DisplayClass *display_default(void)
{
    GPtrArray *all = display_list();
    const DisplayClass *best = NULL;

    for (guint i = 0; i < all->len; i++) {
        const DisplayClass *cls = all->pdata[i];

        if (cls->priority < 0 || (cls->usable && !cls->usable())) continue;
        if (!best || cls->priority > best->priority) best = cls;
    }
    g_ptr_array_free(all, TRUE);
    return best;
}

static const DisplayClass *display_find(const char *name, Error *err)
{
    const char *names[32], *hint;
    size_t n = 0;

    SET_EACH (DisplayClass, cls, displays) {
        if (!strcmp(cls->name, name)) return cls;
        if (n < ARRAY_SIZE(names)) names[n++] = cls->name;
    }
    hint = did_you_mean(name, names, n);
    error_set(err, "Parameter 'type' does not accept value '%s'%s%s%s", name,
        hint ? "; did you mean '" : "", hint ? hint : "", hint ? "'?" : "");
    return NULL;
}

bool display_exists(const char *text, Error *err)
{
    Options *opts = options_parse(text, "type", err);
    const char *name = opts ? options_get(opts, "type") : NULL;
    bool ok = opts && (!name || display_find(name, err));

    options_free(opts);
    return ok;
}

bool display_open(Machine *m, const char *text, Error *err)
{
    Options *opts = text ? options_parse(text, "type", err) : options_new();

    if (!opts) return false;
    const char *name = options_get(opts, "type");
    const DisplayClass *cls = name ? display_find(name, err) : display_default();
    bool ok = cls && cls->open(m, opts, err) && options_check_used(opts, cls->name, err);

    options_free(opts);
    return ok;
}
