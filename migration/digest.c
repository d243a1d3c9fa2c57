/* SPDX-License-Identifier: MIT */
/* A digest of the whole machine, and the round trip in place that -torture makes. */
#include <string.h>

#include "block/block.h"
#include "core/command.h"
#include "migration/globalstate.h"
#include "migration/disks.h"
#include "migration/incoming.h"
#include "migration/block_migration.h"
#include "migration/load.h"
#include "migration/migration.h"
#include "migration/qmp_migrate.h"
#include "migration/ram.h"
#include "migration/save.h"
#include "migration/switches.h"
#include "migration/timer.h"

bool migration_init(Machine *m, Error *err)
{
    migration_events_start(m);
    return stream_switches_set(m, err) && timer_register(m, err) && block_register(m, err) &&
           ram_register(m, err) && globalstate_register(m, err);
}

/* -- digest -- */

typedef struct DigestDisks {
    GChecksum *sum;
    Error err;
} DigestDisks;

static void digest_disk_call(BlockImage *img, void *opaque)
{
    DigestDisks *d = opaque;

    image_digest(img, d->sum, &d->err);
}

static void digest_disk(void *opaque, const char *id, void *obj)
{
    DigestDisks *d = opaque;

    g_checksum_update(d->sum, (const guchar *)id, (gssize)strlen(id) + 1);
    if (block_dev_has_medium(obj)) block_call_sync(obj, digest_disk_call, d);
}

static void digest_ram(Machine *m, GChecksum *sum)
{
    static const uint8_t zero[PAGE_SIZE];

    for (RamBlock *b = ram_block_first(m); b; b = b->next) {
        g_checksum_update(sum, (const guchar *)b->idstr, (gssize)strlen(b->idstr) + 1);
        for (uint64_t page = 0, end = 0, hole = false; page < b->size >> PAGE_BITS; page++) {
            uint64_t off = page << PAGE_BITS;

            if (page >= end) hole = ram_is_hole(b, page, &end);
            if (hole || !memcmp(b->host + off, zero, PAGE_SIZE)) continue;
            g_checksum_update(sum, (const guchar *)&off, sizeof(off));
            g_checksum_update(sum, b->host + off, PAGE_SIZE);
        }
    }
}

/* Sections as they would be sent, and what the description adds to them. */
static void digest_devices(Machine *m, GChecksum *sum)
{
    char *desc;
    Stream st;

    for (Section *s = m->sections; s; s = s->next) {
        if (s->iterable || !strcmp(s->idstr, "globalstate") || !s->vmsd) continue;
        stream_init(&st);
        save_section_body(&st, s);
        g_checksum_update(sum, (const guchar *)s->idstr, (gssize)strlen(s->idstr) + 1);
        g_checksum_update(sum, st.data, (gssize)st.size);
        stream_free(&st);
    }
    desc = vmdesc_exact_text(m);
    g_checksum_update(sum, (const guchar *)desc, -1);
    g_free(desc);
}

char *machine_digest(Machine *m, Error *err)
{
    DigestDisks d = { .sum = g_checksum_new(G_CHECKSUM_SHA256) };
    char *text = NULL;

    if (incoming_late(m)) {
        error_set(err, "The guest's RAM is still arriving");
        g_checksum_free(d.sum);
        return NULL;
    }
    disks_drain(m);
    digest_ram(m, d.sum);
    digest_devices(m, d.sum);
    machine_object_each(m, "drive", digest_disk, &d);
    if (error_is_set(&d.err))
        error_set(err, "%s", d.err.msg);
    else
        text = g_strdup(g_checksum_get_string(d.sum));
    g_checksum_free(d.sum);
    return text;
}

static void info_hash_run(CommandCall *call, Error *err)
{
    char *text = machine_digest(call->m, err);

    if (!text) return;
    sink_printf(call->out, "%s\n", text);
    g_free(text);
}

COMMAND(info_hash, .name = "info hash", .args = "", .usage = "",
    .help = "show a digest of RAM, devices and disks", .run = info_hash_run);

/* -- round trip -- */

bool machine_roundtrip(Machine *m, Error *err)
{
    SaveRun *save;
    LoadRun *load;
    LoadStatus status;
    bool ok;

    if (!save_allowed(m, err)) return false;
    disks_drain(m);
    save = save_begin(m, false, false);
    while (!save_complete(save, SIZE_MAX)) {}
    load = load_begin(m);
    load_feed(load, save->st.data, save->st.size);
    load_eof(load);
    save_end(save);
    status = load_step(load);
    ok = status == LOAD_DONE
             ? load_commit(load, err)
             : error_set(err, "%s", status == LOAD_FAILED ? load->err.msg : "the stream is short");
    load_end(load);
    return ok;
}
