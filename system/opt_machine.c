/* SPDX-License-Identifier: MIT */
/* Options about the machine itself and how it runs. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/cpu.h"
#include "migration/migration.h"
#include "system/options.h"
#include "util/bits.h"

static void opt_replace(char **at, const char *text)
{
    g_free(*at);
    *at = g_strdup(text);
}

bool error_unknown(Error *err, const char *what, const char *word, GPtrArray *names)
{
    const char *near = did_you_mean(word, (const char *const *)names->pdata, names->len);

    if (near) return error_set(err, "'%s' is not a valid %s; did you mean '%s'?", word, what, near);
    return error_set(err, "'%s' is not a valid %s", word, what);
}

/* -- -M, -accel, -smp -- */

static bool opt_accel_name(const char *name, Error *err)
{
    /* "kvm:tcg" asks for the first that is there. */
    char **names = g_strsplit(name, ":", -1);
    bool found = g_strv_contains((const char *const *)names, "tcg");

    g_strfreev(names);
    return found || error_set(err, "invalid accelerator %s; 'tcg' is the one there is", name);
}

/* What this board cannot have yet may be switched off, or left to us by "auto". */
static bool opt_absent(Options *o, const char *key, const char *what, Error *err)
{
    const char *v = options_get(o, key);
    bool on = false;

    if (!v || !strcmp(v, "auto")) return true;
    if (!parse_bool(v, &on, err)) return error_prefix(err, "%s: ", key);
    return !on || error_set(err, "%s=on: %s not modelled; use %s=off", key, what, key);
}

/* "auto" leaves the choice to us. */
static bool opt_switch(Options *o, const char *key, bool *to, Error *err)
{
    const char *v = options_get(o, key);

    if (!v || !strcmp(v, "auto")) return true;
    return parse_bool(v, to, err) || error_prefix(err, "%s: ", key);
}

bool opt_machine(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    static const struct {
        const char *key, *what;
    } absent[] = { { "usb", "USB is" }, { "vmport", "the VMware port is" } };

    (void)option;
    if (option_wants_help(arg)) {
        help_machines();
        return cl->answered = true;
    }
    Options *o = options_parse(arg, "type", err);
    if (!o) return false;
    const char *type = options_get(o, "type"), *accel = options_get(o, "accel");
    bool ok = !accel || opt_accel_name(accel, err), suppress;
    if (ok && type && option_wants_help(type)) {
        help_machines();
        cl->answered = true;
    }
    for (unsigned i = 0; ok && i < ARRAY_SIZE(absent); i++) {
        ok = opt_absent(o, absent[i].key, absent[i].what, err);
    }
    ok = ok && opt_switch(o, "acpi", &cl->config.acpi, err) &&
         opt_switch(o, "hpet", &cl->config.hpet, err) &&
         opt_switch(o, "smm", &cl->config.smm, err) &&
         options_get_bool(o, "suppress-vmdesc", &suppress, err);
    if (ok && !cl->answered) ok = options_check_used(o, "machine", err);
    if (ok && type) opt_replace(&cl->config.type, type);
    for (unsigned i = 0; ok && i < o->entries->len; i++) {
        const OptionsEntry *e = o->entries->pdata[i];
        options_set(cl->config.type_opts, e->key, e->value);
    }
    options_free(o);
    return ok;
}

bool opt_accel(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    (void)option;
    if (option_wants_help(arg)) {
        puts("Accelerators supported in this binary:\ntcg");
        return cl->answered = true;
    }
    Options *o = options_parse(arg, "accel", err);
    if (!o) return false;
    const char *thread = options_get_or(o, "thread", "single");
    bool ok = opt_accel_name(options_get_or(o, "accel", ""), err);
    options_get(o, "tb-size");
    options_get(o, "one-insn-per-tb");
    if (ok && strcmp(thread, "single") && strcmp(thread, "multi")) {
        ok = error_set(err, "thread: 'single' or 'multi' expected");
    }
    ok = ok && options_check_used(o, "tcg", err);
    options_free(o);
    return ok;
}

typedef struct SmpCounts {
    uint64_t cpus, maxcpus, sockets, dies, clusters, cores, threads;
} SmpCounts;

/* What was not given follows from the rest, cores first. */
static void smp_complete(SmpCounts *n)
{
    if (!n->dies) n->dies = 1;
    if (!n->cpus && !n->maxcpus) {
        n->sockets = MAX_OF(n->sockets, 1);
        n->cores = MAX_OF(n->cores, 1);
    } else {
        if (!n->maxcpus) n->maxcpus = n->cpus;
        if (!n->cores) {
            n->sockets = MAX_OF(n->sockets, 1);
            n->threads = MAX_OF(n->threads, 1);
            n->cores = n->maxcpus / (n->sockets * n->dies * n->threads);
        } else if (!n->sockets) {
            n->threads = MAX_OF(n->threads, 1);
            n->sockets = n->maxcpus / (n->dies * n->cores * n->threads);
        }
        if (!n->threads && n->sockets) n->threads = n->maxcpus / (n->sockets * n->dies * n->cores);
    }
    n->threads = MAX_OF(n->threads, 1);
    if (!n->maxcpus) n->maxcpus = n->sockets * n->dies * n->cores * n->threads;
    if (!n->cpus) n->cpus = n->maxcpus;
}

static bool smp_check(const SmpCounts *n, Error *err)
{
    char made[160];

    snprintf(made, sizeof(made), "sockets (%llu) * dies (%llu) * cores (%llu) * threads (%llu)",
        (unsigned long long)n->sockets, (unsigned long long)n->dies, (unsigned long long)n->cores,
        (unsigned long long)n->threads);
    if (n->clusters > 1)
        return error_set(err, "clusters not supported by this machine's CPU topology");
    if (n->sockets * n->dies * n->cores * n->threads != n->maxcpus)
        return error_set(err, "Invalid CPU topology: %s != maxcpus (%llu)", made,
            (unsigned long long)n->maxcpus);
    if (n->maxcpus < n->cpus)
        return error_set(err, "Invalid CPU topology: %s == maxcpus (%llu) < smp_cpus (%llu)", made,
            (unsigned long long)n->maxcpus, (unsigned long long)n->cpus);
    return n->maxcpus == n->cpus ||
           error_set(err, "maxcpus=%llu: no CPU can be plugged in later; use cpus=%llu",
               (unsigned long long)n->maxcpus, (unsigned long long)n->maxcpus);
}

bool opt_smp(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    enum { COUNT_MAX = 1 << 10 };
    SmpCounts n = { 0 };
    const struct {
        const char *key;
        uint64_t *to;
    } keys[] = { { "cpus", &n.cpus }, { "maxcpus", &n.maxcpus }, { "sockets", &n.sockets },
        { "dies", &n.dies }, { "clusters", &n.clusters }, { "cores", &n.cores },
        { "threads", &n.threads } };
    Options *o = options_parse(arg, "cpus", err);
    bool ok = o != NULL;

    (void)option;
    for (unsigned i = 0; ok && i < ARRAY_SIZE(keys); i++) {
        ok = options_get_u64(o, keys[i].key, keys[i].to, err);
        if (ok && options_get(o, keys[i].key) && (!*keys[i].to || *keys[i].to > COUNT_MAX))
            ok = error_set(err, "%s: a number from 1 to %d expected", keys[i].key, COUNT_MAX);
    }
    ok = ok && options_check_used(o, "smp", err);
    if (o) options_free(o);
    if (!ok) return false;
    smp_complete(&n);
    if (!smp_check(&n, err)) return false;
    cl->config.cpus = (unsigned)n.cpus;
    cl->config.dies = (unsigned)n.dies;
    cl->config.cores = (unsigned)n.cores;
    cl->config.threads = (unsigned)n.threads;
    return true;
}

/* -- -cpu, -m, -boot -- */

bool opt_cpu(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    (void)option, (void)err;
    if (option_wants_help(arg)) {
        cpu_models_help();
        return cl->answered = true;
    }
    opt_replace(&cl->config.cpu, arg);
    return true;
}

bool opt_memory(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    Options *o = options_parse(arg, "size", err);

    (void)option;
    if (!o) return false;
    const char *size = options_get(o, "size");
    uint64_t bytes = 0;
    bool ok = !size || parse_size(size, 'M', &bytes, err);
    if (ok && size && (bytes < MiB || bytes > 1023 * GiB)) {
        ok = error_set(err, "guest memory is 1 MiB to 1023 GiB");
    }
    ok = ok && options_check_used(o, "memory", err);
    if (ok && size) cl->config.ram_size = align_up(bytes, MiB);
    options_free(o);
    return ok;
}

static bool opt_boot_order(const char *order, Error *err)
{
    for (const char *p = order; *p; p++) {
        if (*p < 'a' || *p > 'p') return error_set(err, "Invalid boot device for '%s'", order);
        if (strchr(p + 1, *p)) {
            return error_set(err, "Boot device '%c' was given twice", *p);
        }
    }
    return true;
}

bool opt_boot(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    MachineConfig *c = &cl->config;
    Options *o = options_parse(arg, "order", err);

    (void)option;
    if (!o) return false;
    const char *order = options_get(o, "order"), *once = options_get(o, "once");
    uint64_t splash = 0;
    uint64_t retry = 0;
    bool ok = options_get_bool(o, "menu", &c->boot_menu, err) &&
              options_get_bool(o, "strict", &c->boot_strict, err) &&
              options_get_u64(o, "splash-time", &splash, err);
    if (ok && options_get(o, "reboot-timeout") && strcmp(options_get(o, "reboot-timeout"), "-1")) {
        ok = options_get_u64(o, "reboot-timeout", &retry, err) &&
             (retry <= 0xffff || error_set(err, "reboot-timeout is -1 to 65535 ms"));
        c->boot_retry_ms = (int)retry;
    }
    if (ok && options_get(o, "splash-time")) {
        ok = splash <= 0xffff || error_set(err, "splash-time is 0 to 65535 ms");
        c->boot_menu_timeout_ms = (int)splash;
    }
    ok = ok && (!order || opt_boot_order(order, err)) && (!once || opt_boot_order(once, err)) &&
         options_check_used(o, "boot", err);
    if (ok && order) opt_replace(&c->boot_order, order);
    if (ok && once) opt_replace(&c->boot_once, once);
    options_free(o);
    return ok;
}

/* -- time -- */

static bool opt_rtc_base(CommandLine *cl, const char *base, Error *err)
{
    struct tm tm = { 0 };
    const char *end;

    cl->config.rtc_base = INT64_MIN;
    cl->config.rtc_localtime = !strcmp(base, "localtime");
    if (!strcmp(base, "utc") || cl->config.rtc_localtime) return true;
    end = strptime(base, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!end || *end) {
        tm = (struct tm){ 0 };
        end = strptime(base, "%Y-%m-%d", &tm);
    }
    if (!end || *end) {
        return error_set(err,
            "invalid datetime format '%s'; use utc, localtime, "
            "2006-06-17T16:01:21 or 2006-06-17",
            base);
    }
    cl->config.rtc_base = timegm(&tm);
    return true;
}

bool opt_rtc(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    Options *o = options_parse(arg, NULL, err);

    (void)option;
    if (!o) return false;
    const char *base = options_get_or(o, "base", "utc"), *clock = options_get(o, "clock");
    const char *drift = options_get_or(o, "driftfix", "none");
    bool ok = opt_rtc_base(cl, base, err);
    if (ok && strcmp(drift, "none"))
        ok = error_set(err, "driftfix=%s: only 'none' is there", drift);
    if (!clock) {
        cl->rtc_clock = -1;
    } else if (!strcmp(clock, "host")) {
        cl->rtc_clock = RTC_CLOCK_HOST;
    } else if (!strcmp(clock, "vm")) {
        cl->rtc_clock = RTC_CLOCK_VM;
    } else if (!strcmp(clock, "rt")) {
        cl->rtc_clock = RTC_CLOCK_RT;
    } else if (ok) {
        ok = error_set(err, "invalid clock '%s': host, rt or vm", clock);
    }
    ok = ok && options_check_used(o, "rtc", err);
    options_free(o);
    return ok;
}

bool opt_icount(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    Options *o = options_parse(arg, "shift", err);
    uint64_t shift = 0;
    bool align = false;

    (void)option;
    if (!o) return false;
    const char *text = options_get_or(o, "shift", "");
    bool ok = options_get_bool(o, "sleep", &cl->icount_sleep, err) &&
              options_get_bool(o, "align", &align, err);
    if (ok && align)
        ok = error_set(err, "align=on is not there: virtual time follows no host clock");
    if (ok && !strcmp(text, "auto")) {
        ok = error_set(err, "shift=auto is not there: give a fixed shift, 0 to 10");
    }
    if (ok && !parse_u64(text, &shift, NULL)) ok = error_set(err, "Invalid shift value '%s'", text);
    if (ok && shift > 10) ok = error_set(err, "Invalid shift value %s: 0 to 10", text);
    ok = ok && options_check_used(o, "icount", err);
    cl->icount = ok;
    cl->icount_shift = (unsigned)shift;
    options_free(o);
    return ok;
}

/* -- -global, -name, -uuid, -device, -vga -- */

/* The driver by its first name: an alias is replaced. */
static bool opt_global_check(Options *o, Error *err)
{
    const char *driver = options_get(o, "driver"), *property = options_get(o, "property");
    const DeviceClass *cls = device_class_find(driver);
    GPtrArray *names;
    char *what;

    if (!strcmp(driver, "migration"))
        return migration_global_check(property, options_get(o, "value"), err);
    names = g_ptr_array_new();
    if (!cls) {
        SET_EACH (DeviceClass, c, devices) {
            g_ptr_array_add(names, (void *)c->name);
        }
        error_unknown(err, "driver", driver, names);
        g_ptr_array_unref(names);
        return false;
    }
    for (const Prop *p = cls->props; p && p->name; p++) g_ptr_array_add(names, (void *)p->name);
    for (unsigned i = 0; i < names->len; i++) {
        if (strcmp(names->pdata[i], property)) continue;
        g_ptr_array_unref(names);
        options_set(o, "driver", cls->name);
        return true;
    }
    what = g_strdup_printf("property of '%s'", cls->name);
    error_unknown(err, what, property, names);
    g_free(what);
    g_ptr_array_unref(names);
    return false;
}

bool opt_global(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    const char *dot = strchr(arg, '.'), *eq = strchr(arg, '=');
    Options *o;

    (void)option;
    if (dot && eq && dot < eq) {
        char *driver = g_strndup(arg, (size_t)(dot - arg));
        char *prop = g_strndup(dot + 1, (size_t)(eq - dot - 1));
        o = options_new();
        options_set(o, "driver", driver);
        options_set(o, "property", prop);
        options_set(o, "value", eq + 1);
        g_free(driver);
        g_free(prop);
    } else {
        o = options_parse(arg, NULL, err);
        if (!o) return false;
        if (!options_get(o, "driver") || !options_get(o, "property") || !options_get(o, "value")) {
            options_free(o);
            return error_set(err, "DRIVER.PROPERTY=VALUE expected");
        }
    }
    if (!opt_global_check(o, err)) {
        options_free(o);
        return false;
    }
    g_ptr_array_add(cl->config.globals, o);
    return true;
}

bool opt_name(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    Options *o = options_parse(arg, "guest", err);
    bool threads = false;

    (void)option;
    if (!o) return false;
    const char *guest = options_get(o, "guest");
    options_get(o, "process");
    bool ok =
        options_get_bool(o, "debug-threads", &threads, err) && options_check_used(o, "name", err);
    if (ok && guest) opt_replace(&cl->config.name, guest);
    options_free(o);
    return ok;
}

bool opt_uuid(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    (void)option;
    if (!g_uuid_string_is_valid(arg)) {
        return error_set(err, "failed to parse UUID string: wrong format");
    }
    g_free(cl->config.uuid);
    cl->config.uuid = g_ascii_strdown(arg, -1);
    return true;
}

static bool opt_device_check(const char *driver, Error *err)
{
    const DeviceClass *cls = device_class_find(driver);

    if (cls && cls->user_creatable) return true;
    if (cls) return error_set(err, "'%s' is part of the board: it cannot be added", driver);
    GPtrArray *names = g_ptr_array_new();
    SET_EACH (DeviceClass, c, devices) {
        if (c->user_creatable) g_ptr_array_add(names, (void *)c->name);
    }
    error_unknown(err, "device model name", driver, names);
    g_ptr_array_unref(names);
    return false;
}

bool opt_device(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    (void)option;
    if (option_wants_help(arg)) {
        help_devices();
        return cl->answered = true;
    }
    Options *o = options_parse(arg, "driver", err);
    if (!o) return false;
    const char *driver = options_get_or(o, "driver", "");
    bool help = options_get(o, "help") || options_get(o, "?");
    bool ok = help ? help_device_props(driver, err) : opt_device_check(driver, err);
    if (help && ok) cl->answered = true;
    if (ok && !help) {
        g_ptr_array_add(cl->config.devices, o);
    } else {
        options_free(o);
    }
    return ok;
}

bool opt_vga(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    (void)option;
    if (option_wants_help(arg)) {
        puts("none            no graphic card\nstd             standard VGA (default)");
        return cl->answered = true;
    }
    if (strcmp(arg, "std") && strcmp(arg, "none")) {
        return error_set(err, "invalid adapter; 'std' or 'none'");
    }
    opt_replace(&cl->config.vga, arg);
    return true;
}

/* What follows upon an event: each may be chosen once and again. */
bool opt_action(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    static const struct {
        const char *key, *usual, *other;
        size_t flag; /* in MachineConfig: the other one is wanted; 0: it is not there */
    } actions[] = {
        { "reboot", "reset", "shutdown", offsetof(MachineConfig, no_reboot) },
        { "shutdown", "poweroff", "pause", offsetof(MachineConfig, no_shutdown) },
        { "panic", "none", "none", 0 },
        { "watchdog", "none", "none", 0 },
    };
    Options *o = options_parse(arg, NULL, err);
    bool ok = o != NULL;

    (void)option;
    for (unsigned i = 0; ok && i < ARRAY_SIZE(actions); i++) {
        const char *to = options_get(o, actions[i].key);

        if (!to) continue;
        if (strcmp(to, actions[i].usual) && strcmp(to, actions[i].other))
            ok = error_set(err, "%s=%s: %s%s%s expected", actions[i].key, to, actions[i].usual,
                actions[i].flag ? " or " : "", actions[i].flag ? actions[i].other : "");
        else if (actions[i].flag)
            *(bool *)((char *)&cl->config + actions[i].flag) = strcmp(to, actions[i].usual) != 0;
    }
    ok = ok && options_check_used(o, "action", err);
    if (o) options_free(o);
    return ok;
}

bool opt_fw_cfg(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    Options *o = options_parse(arg, "name", err);

    (void)option;
    if (o) g_ptr_array_add(cl->config.fw_cfg_files, o);
    return o != NULL;
}

bool opt_no_hpet(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    (void)option, (void)arg, (void)err;
    cl->config.hpet = false;
    return true;
}

bool opt_no_acpi(CommandLine *cl, const char *option, const char *arg, Error *err)
{
    (void)option, (void)arg, (void)err;
    cl->config.acpi = false;
    return true;
}
