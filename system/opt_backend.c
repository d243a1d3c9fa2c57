/* SPDX-License-Identifier: MIT */
/* Options about what the machine is connected to: disks, networks, lines, displays, logs. */
#include <stdio.h>
#include <string.h>

#include "block/block.h"
#include "core/user_object.h"
#include "net/net.h"
#include "system/options.h"
#include "ui/ui.h"
#include "util/chardev.h"
#include "util/log.h"

static void opt_keep(GPtrArray *uses, const char *option, const char *arg, Options *opts)
{
    OptionUse *use = g_new0(OptionUse, 1);

    use->option = option;
    use->text = g_strdup(arg);
    use->opts = opts;
    g_ptr_array_add(uses, use);
}

static bool opt_keep_parsed(
    GPtrArray *uses, const char *option, const char *arg, const char *implied, Error *err)
{
    Options *o = options_parse(arg, implied, err);

    if (!o) return false;
    opt_keep(uses, option, arg, o);
    return true;
}

/* -- drives -- */

/* A file name taken whole: commas in it mean nothing. */
static void opt_drive_file(CommandLine *cl, const char *option, const char *file,
    const char *interface, int index, const char *media)
{
    Options *o = options_new();
    char text[16];

    g_snprintf(text, sizeof(text), "%d", index);
    if (*file) options_set(o, "file", file);
    options_set(o, "if", interface);
    options_set(o, "index", text);
    options_set(o, "media", media);
    opt_keep(cl->drives, option, file, o);
}

bool opt_disk(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    (void)err;
    opt_drive_file(cl, option, arg, "ide", option[2] - 'a', "disk");
    return true;
}

bool opt_cdrom(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    (void)err;
    opt_drive_file(cl, option, arg, "ide", 2, "cdrom");
    return true;
}

bool opt_floppy(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    (void)err;
    opt_drive_file(cl, option, arg, "floppy", option[2] - 'a', "disk");
    return true;
}

bool opt_drive(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    if (!strcmp(arg, "format=help") || !strcmp(arg, "format=?")) {
        block_formats_help();
        return cl->answered = true;
    }
    return opt_keep_parsed(cl->drives, option, arg, NULL, err);
}

/* -- networks -- */

bool opt_netdev(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    if (option_wants_help(arg) || g_str_has_suffix(arg, ",help")) {
        help_netdevs();
        return cl->answered = true;
    }
    return opt_keep_parsed(cl->netdevs, option, arg, "type", err);
}

bool opt_nic(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    if (option_wants_help(arg)) {
        help_netdevs();
        return cl->answered = true;
    }
    if (!strcmp(arg, "none")) return cl->no_nic = true;
    Options *o = options_parse(arg, "type", err);
    if (!o) return false;
    const char *model = options_get(o, "model");
    if (model && option_wants_help(model)) {
        help_nics();
        options_free(o);
        return cl->answered = true;
    }
    opt_keep(cl->nics, option, arg, o);
    return true;
}

static void opt_net_add(Options *to, const Options *card)
{
    for (unsigned i = 0; i < card->entries->len; i++) {
        const OptionsEntry *e = card->entries->pdata[i];

        if (strcmp(e->key, "type")) options_set(to, e->key, e->value);
    }
    options_set(to, "card", "on");
}

/* The form of old: a card and its back end, each by a -net.  They are put together. */
bool opt_net(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    Options *o, *other;
    OptionUse *use = cl->net_half;

    if (!strcmp(arg, "none")) return cl->no_nic = true;
    o = options_parse(arg, "type", err);
    if (!o) return false;
    bool card = !strcmp(options_get_or(o, "type", ""), "nic");
    if (!use) {
        opt_keep(cl->nics, option, arg, o);
        if (!options_get(o, "netdev")) cl->net_half = cl->nics->pdata[cl->nics->len - 1];
        return true;
    }
    other = use->opts;
    cl->net_half = NULL;
    if (card == !strcmp(options_get_or(other, "type", ""), "nic")) {
        options_free(o);
        return error_set(err, "a card (-net nic) and one back end expected; use -nic or -netdev");
    }
    /* The back end's options with the card's. */
    use->opts = card ? other : o;
    opt_net_add(use->opts, card ? o : other);
    options_free(card ? o : other);
    return true;
}

/* The board reads the fields; whether they are known shows when it is built. */
bool opt_smbios(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    if (option_wants_help(arg)) return cl->answered = help_values(option);
    Options *o = options_parse(arg, NULL, err);
    if (!o) return false;
    opt_keep(cl->smbios, option, arg, o);
    return true;
}

bool opt_object(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    if (option_wants_help(arg)) {
        char *names = user_object_names("\n  ");

        printf("List of user creatable objects:\n  %s\n", names);
        g_free(names);
        return cl->answered = true;
    }
    Options *o = options_parse(arg, "qom-type", err);
    if (!o) return false;
    const char *name = options_get_or(o, "qom-type", "");
    const UserObjectType *type = user_object_find(name);
    if (type && g_str_has_suffix(arg, ",help")) {
        printf("%s options:\n%s\n", type->name, type->help);
        options_free(o);
        return cl->answered = true;
    }
    if (!type) {
        char *names = user_object_names(", ");

        error_set(err, "invalid object type '%s'; there are: %s", name, names);
        g_free(names);
        options_free(o);
        return false;
    }
    opt_keep(cl->objects, option, arg, o);
    return true;
}

/* -- lines -- */

bool opt_chardev(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    if (option_wants_help(arg) || g_str_has_suffix(arg, ",help")) {
        chardev_help();
        return cl->answered = true;
    }
    return opt_keep_parsed(cl->chardevs, option, arg, "backend", err);
}

bool opt_line(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    GPtrArray *uses = !strcmp(option, "serial")     ? cl->serials
                      : !strcmp(option, "parallel") ? cl->parallels
                      : !strcmp(option, "debugcon") ? cl->debugcons
                                                    : cl->monitors;

    (void)err;
    if (option_wants_help(arg)) {
        help_line_devices();
        return cl->answered = true;
    }
    opt_keep(uses, option, arg, NULL);
    return true;
}

bool opt_mon(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    Options *o = options_parse(arg, "chardev", err);
    bool pretty;

    if (!o) return false;
    const char *mode = options_get_or(o, "mode", "readline");
    bool ok = options_get_bool(o, "pretty", &pretty, err);
    if (ok && !options_get(o, "chardev")) ok = error_set(err, "chardev= is missing");
    if (ok && strcmp(mode, "readline") && strcmp(mode, "control")) {
        ok = error_set(err, "mode=%s is not there; 'readline' and 'control' are", mode);
    }
    if (ok && options_check_used(o, "mon", err)) {
        opt_keep(cl->mons, option, arg, o);
        return true;
    }
    options_free(o);
    return false;
}

/* -- display and log -- */

bool opt_vnc(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    (void)cl, (void)option;
    return !strcmp(arg, "none") || error_set(err, "there is no VNC server; 'none' is accepted");
}

/* Keys come as positions: a window needs no layout. */
bool opt_keymap(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    (void)cl, (void)option;
    return !strcmp(arg, "en-us") || error_set(err, "'en-us' is the one keyboard layout there is");
}

bool opt_display(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    (void)option;
    if (option_wants_help(arg)) {
        help_displays();
        return cl->answered = true;
    }
    if (!display_exists(arg, err)) return false;
    g_free(cl->display);
    cl->display = g_strdup(arg);
    return true;
}

bool opt_log(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    Log log;

    (void)option;
    if (option_wants_help(arg)) {
        log_help(stdout);
        return cl->answered = true;
    }
    log_init(&log);
    bool ok = log_set_mask(&log, arg, err);
    log_close(&log);
    if (!ok) return false;
    g_free(cl->log_mask);
    cl->log_mask = g_strdup(arg);
    return true;
}
