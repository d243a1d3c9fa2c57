/* SPDX-License-Identifier: MIT */
/* savevm and loadvm: see snapshot.h. */
#include "migration/snapshot.h"

#include <string.h>
#include <time.h>

#include "migration/info.h"
#include "migration/load.h"
#include "migration/migration.h"
#include "migration/save.h"
#include "migration/snapshot_guard.h"
#include "migration/snapshot_index.h"
#include "migration/snapshot_set.h"

/* What stays in a processor's cache between who makes it and who takes it. */
enum { SAVE_PIECE = 256 * KiB, LOAD_PIECE = 1 * MiB };

typedef struct SnapshotJob {
    Machine *m;
    SnapshotProgress *progress;
    SnapshotDone *done;
    void *opaque;
    char *name;
    SnapshotDisks disks;
    SnapshotInfo info; /* of what is being saved, or of what is being loaded */
    bool was_running;
    bool stopped; /* the guest waits for us */
    RunState was_state;
    SaveRun *save;
    LoadRun *load;
    LoadStatus parsed;
    SnapshotIndex *index; /* of the snapshot, where it was saved or loaded before */
    BlockReq req;
    uint64_t off; /* in the VM state */
    Stream out;   /* saves: the piece that is being written */
    uint8_t *buf; /* loads: a piece */
    int64_t last_progress_ns;
    uint64_t total;
    Error err;
} SnapshotJob;

/* One at a time: a save and a load at once would be of nothing. */
typedef struct SnapshotBusy {
    bool busy;
} SnapshotBusy;

static SnapshotBusy *snapshot_busy(Machine *m)
{
    return machine_slot(m, "snapshot-busy", sizeof(SnapshotBusy), NULL);
}

bool snapshot_under_way(Machine *m) { return snapshot_busy(m)->busy; }

static bool snapshot_idle(Machine *m, Error *err)
{
    if (!snapshot_under_way(m)) return true;
    return error_set(err, "Another snapshot is being saved or loaded");
}

/* The guest has one journey at a time, and none while its state is looked at or replaced. */
static bool snapshot_allowed(Machine *m, Error *err)
{
    if (m->run_state == RUN_INMIGRATE)
        return error_set(err, "Guest is waiting for an incoming migration");
    if (migration_under_way(m)) return error_set(err, "There's a migration process in progress");
    return snapshot_idle(m, err) && save_allowed(m, err);
}

static SnapshotJob *snapshot_job_new(
    Machine *m, const char *name, SnapshotProgress *progress, SnapshotDone *done, void *opaque)
{
    SnapshotJob *j = g_new0(SnapshotJob, 1);

    j->m = m;
    j->name = g_strdup(name);
    j->progress = progress;
    j->done = done;
    j->opaque = opaque;
    j->was_running = machine_running(m);
    j->was_state = m->run_state;
    j->last_progress_ns = host_ns();
    return j;
}

/* The end of both: the guest goes on as it was. */
static void snapshot_job_end(SnapshotJob *j)
{
    if (j->stopped) {
        snapshot_busy(j->m)->busy = false;
        if (j->was_running)
            machine_start(j->m, NULL);
        else
            machine_set_run_state(j->m, j->was_state);
    }
    j->done(j->opaque, &j->err);
    save_end(j->save);
    load_end(j->load);
    snapshot_disks_free(&j->disks);
    stream_free(&j->out);
    g_free(j->buf);
    g_free(j->name);
    g_free(j);
}

static void snapshot_job_stop_guest(SnapshotJob *j, RunState why)
{
    snapshot_busy(j->m)->busy = j->stopped = true;
    if (j->was_running)
        machine_stop(j->m, why);
    else
        machine_set_run_state(j->m, why);
    for (unsigned i = 0; i < j->disks.n; i++) block_drain(j->disks.disk[i].bd);
}

static void snapshot_job_tell(SnapshotJob *j)
{
    int64_t now = host_ns();

    if (!j->progress || now - j->last_progress_ns < NS_PER_S || !j->total) return;
    j->last_progress_ns = now;
    j->progress(j->opaque, (unsigned)(MIN_OF(j->off, j->total) * 100 / j->total));
}

/* -- savevm -- */

static void save_create_call(BlockImage *img, void *opaque)
{
    SnapshotJob *j = opaque;
    SnapshotInfo info = j->info;

    image_snapshot_create(img, &info, &j->err);
}

static void save_discard_call(BlockImage *img, void *opaque)
{
    (void)opaque;
    image_vmstate_discard(img, NULL);
}

/* Takes back the entries that this save made, and the state that it wrote. */
static void save_undo_call(BlockImage *img, void *opaque)
{
    SnapshotJob *j = opaque;

    for (unsigned k = image_snapshot_count(img); k-- > 0;)
        if (snapshot_same_set(image_snapshot(img, k), &j->info))
            image_snapshot_delete(img, k, NULL);
}

static void save_undo(SnapshotJob *j)
{
    for (unsigned i = 0; i < j->disks.n; i++)
        block_call_sync(j->disks.disk[i].bd, save_undo_call, j);
    block_call_sync(j->disks.disk[j->disks.holder].bd, save_discard_call, j);
}

static void save_create_entries(SnapshotJob *j)
{
    uint64_t size = j->off;

    for (unsigned i = 0; i < j->disks.n && !error_is_set(&j->err); i++) {
        j->info.vm_state_size = i == j->disks.holder ? size : 0;
        block_call_sync(j->disks.disk[i].bd, save_create_call, j);
        if (error_is_set(&j->err))
            error_prefix(&j->err,
                "Error while creating snapshot on '%s': ", block_dev_id(j->disks.disk[i].bd));
    }
    if (error_is_set(&j->err)) {
        save_undo(j);
    } else {
        snapshot_disks_delete(&j->disks, j->name, &j->info, &j->err);
        j->info.vm_state_size = size;
        snapshot_index_saved(j->save, &j->info);
    }
    snapshot_job_end(j);
}

static void save_next_piece(SnapshotJob *j);

static void save_piece_call(BlockReq *req, BlockImage *img)
{
    SnapshotJob *j = req->opaque;
    int ret = image_vmstate_write(img, j->off, j->out.data, j->out.size);

    if (ret < 0) error_errno(&req->err, -ret, "Error while writing VM state");
}

static void save_piece_done(BlockReq *req)
{
    SnapshotJob *j = req->opaque;

    j->off += j->out.size;
    if (error_is_set(&req->err)) {
        j->err = req->err;
        save_undo(j);
        snapshot_job_end(j);
        return;
    }
    snapshot_job_tell(j);
    save_next_piece(j);
}

static void save_produce(SnapshotJob *j)
{
    if (j->save->state != SAVE_DONE) save_complete(j->save, SAVE_PIECE);
}

/* The stream's piece goes to the worker, which has given the last one's buffer back. */
static void save_hand_over(SnapshotJob *j)
{
    Stream last = j->out;

    j->out = j->save->st;
    j->save->st = (Stream){
        .data = last.data, .capacity = last.capacity, .offset = j->out.offset + j->out.size
    };
}

/* Writes what has been produced, and produces the next piece meanwhile. */
static void save_next_piece(SnapshotJob *j)
{
    if (!stream_ok(&j->save->st)) {
        j->err = j->save->st.err;
        save_undo(j);
        snapshot_job_end(j);
        return;
    }
    if (!stream_left(&j->save->st)) {
        save_create_entries(j);
        return;
    }
    save_hand_over(j);
    j->req = (BlockReq){
        .op = BLOCK_CALL, .call = save_piece_call, .done = save_piece_done, .opaque = j
    };
    block_submit(j->disks.disk[j->disks.holder].bd, &j->req);
    save_produce(j);
}

static void save_fill_info(SnapshotJob *j)
{
    int64_t now = host_wall_ns();

    j->info = (SnapshotInfo){ .date_s = (uint32_t)(now / NS_PER_S),
        .date_ns = (uint32_t)(now % NS_PER_S),
        .vm_clock_ns = (uint64_t)clock_now(&j->m->clock),
        .icount = j->m->clock.icount ? (uint64_t)clock_insns(&j->m->clock) : UINT64_MAX };
    g_strlcpy(j->info.name, j->name, sizeof(j->info.name));
}

static char *save_default_name(void)
{
    time_t now = time(NULL);
    struct tm tm;
    char buf[64];

    localtime_r(&now, &tm);
    strftime(buf, sizeof(buf), "vm-%Y%m%d%H%M%S", &tm);
    return g_strdup(buf);
}

void snapshot_save(Machine *m, const char *name, const SnapshotChoice *choice,
    SnapshotProgress *progress, SnapshotDone *done, void *opaque)
{
    SnapshotJob *j = snapshot_job_new(m, name, progress, done, opaque);

    if (!j->name || !*j->name) {
        g_free(j->name);
        j->name = save_default_name();
    }
    if (strlen(j->name) >= sizeof(j->info.name))
        error_set(&j->err, "a snapshot's name has at most %zu bytes", sizeof(j->info.name) - 1);
    if (error_is_set(&j->err) || !snapshot_allowed(m, &j->err) ||
        !snapshot_disks_collect(m, choice, &j->disks, &j->err) ||
        !snapshot_name_free(&j->disks, j->name, choice, &j->err)) {
        snapshot_job_end(j);
        return;
    }
    snapshot_job_stop_guest(j, RUN_SAVE_VM);
    save_fill_info(j);
    j->save = save_begin(m, false, false);
    snapshot_index_saving(j->save);
    j->save->run_state = j->was_running ? RUN_RUNNING : RUN_PAUSED;
    j->total = save_pending(j->save);
    save_produce(j);
    save_next_piece(j);
}

/* -- loadvm -- */

static void load_check_call(BlockImage *img, void *opaque)
{
    SnapshotJob *j = opaque;

    for (unsigned k = 0; k < image_snapshot_count(img); k++)
        if (snapshot_same_set(image_snapshot(img, k), &j->info)) {
            image_snapshot_check(img, k, &j->err);
            return;
        }
}

static void load_switch_call(BlockImage *img, void *opaque)
{
    SnapshotJob *j = opaque;

    for (unsigned k = image_snapshot_count(img); k-- > 0;)
        if (snapshot_same_set(image_snapshot(img, k), &j->info)) {
            image_snapshot_switch(img, k, &j->err);
            return;
        }
}

static void load_keep_call(BlockImage *img, void *opaque)
{
    (void)opaque;
    image_snapshot_switch_keep(img);
}

static void load_back_call(BlockImage *img, void *opaque)
{
    image_snapshot_switch_back(img, opaque);
}

/* On how many disks the call succeeded: all, unless j->err is set. */
static unsigned load_on_disks(SnapshotJob *j, void (*call)(BlockImage *img, void *opaque))
{
    for (unsigned i = 0; i < j->disks.n; i++) {
        block_call_sync(j->disks.disk[i].bd, call, j);
        if (!error_is_set(&j->err)) continue;
        error_prefix(&j->err, "Error while activating snapshot '%s' on '%s': ", j->name,
            block_dev_id(j->disks.disk[i].bd));
        return i;
    }
    return j->disks.n;
}

/* The first n disks are again what they were. */
static void load_switch_back(SnapshotJob *j, unsigned n)
{
    while (n-- > 0) {
        Error err = ERROR_INIT;

        block_call_sync(j->disks.disk[n].bd, load_back_call, &err);
        if (!error_is_set(&err)) continue;
        error_prefix(&j->err, "'%s' is lost: %s; ", block_dev_id(j->disks.disk[n].bd), err.msg);
    }
}

/* All has been read and accepted.  The disks and the machine go together or not at all. */
static void load_switch(SnapshotJob *j)
{
    unsigned switched = 0;

    if (load_on_disks(j, load_check_call) == j->disks.n &&
        snapshot_guard_set(&j->disks, j->name, &j->err))
        switched = load_on_disks(j, load_switch_call);
    if (!error_is_set(&j->err) && load_commit(j->load, &j->err)) {
        for (unsigned i = 0; i < j->disks.n; i++)
            block_call_sync(j->disks.disk[i].bd, load_keep_call, NULL);
        if (!j->index) snapshot_index_keep(j->load, &j->info);
        machine_notify(j->m, EVENT_LOADED);
    } else {
        load_switch_back(j, switched);
    }
    snapshot_guard_clear(&j->disks);
    snapshot_job_end(j);
}

/* The stream has come to its end, or was refused. */
static void load_parsed(SnapshotJob *j)
{
    if (j->parsed != LOAD_FAILED) {
        load_switch(j);
        return;
    }
    j->err = j->load->err;
    error_prefix(&j->err, "Error while loading VM state: ");
    snapshot_job_end(j);
}

static void load_next_piece(SnapshotJob *j);

static void load_piece_call(BlockReq *req, BlockImage *img)
{
    SnapshotJob *j = req->opaque;
    const SnapshotDisk *d = &j->disks.disk[j->disks.holder];
    int ret = image_vmstate_read(img, (unsigned)d->entry, j->off, j->buf, req->len);

    if (ret < 0) error_errno(&req->err, -ret, "Error while reading VM state");
}

static void load_piece_done(BlockReq *req)
{
    SnapshotJob *j = req->opaque;
    bool reads;

    if (error_is_set(&req->err)) {
        j->err = req->err;
        snapshot_job_end(j);
        return;
    }
    if (j->parsed != LOAD_MORE) {
        load_parsed(j);
        return;
    }
    load_feed(j->load, j->buf, req->len);
    j->off += req->len;
    reads = j->off < j->total;
    if (reads)
        load_next_piece(j); /* is read while this one is parsed */
    else
        load_eof(j->load);
    snapshot_job_tell(j);
    j->parsed = load_step(j->load);
    if (!reads) load_parsed(j);
}

static void load_next_piece(SnapshotJob *j)
{
    j->req = (BlockReq){ .op = BLOCK_CALL,
        .call = load_piece_call,
        .done = load_piece_done,
        .opaque = j,
        .len = (size_t)MIN_OF((uint64_t)LOAD_PIECE, j->total - j->off) };
    block_submit(j->disks.disk[j->disks.holder].bd, &j->req);
}

/* -- loadvm of what was loaded before: snapshot_index.h -- */

static void load_again_call(BlockReq *req, BlockImage *img)
{
    SnapshotJob *j = req->opaque;
    unsigned entry = (unsigned)j->disks.disk[j->disks.holder].entry;

    snapshot_index_read(j->index, img, entry, j->load->again, &j->load->st, &req->err);
}

static void load_again_done(BlockReq *req)
{
    SnapshotJob *j = req->opaque;

    if (error_is_set(&req->err)) {
        j->err = req->err;
        snapshot_job_end(j);
        return;
    }
    load_eof(j->load);
    j->parsed = load_step(j->load);
    load_parsed(j);
}

/* False where all of the VM state has to be read. */
static bool load_again(SnapshotJob *j)
{
    j->index = snapshot_index_find(j->m, &j->info);
    if (j->index) j->load->again = snapshot_index_changed(j->index);
    if (!j->load->again) j->index = NULL;
    if (!j->index) return false;
    j->req = (BlockReq){
        .op = BLOCK_CALL, .call = load_again_call, .done = load_again_done, .opaque = j
    };
    block_submit(j->disks.disk[j->disks.holder].bd, &j->req);
    return true;
}

void snapshot_load(Machine *m, const char *name, const SnapshotChoice *choice,
    SnapshotProgress *progress, SnapshotDone *done, void *opaque)
{
    SnapshotJob *j = snapshot_job_new(m, name, progress, done, opaque);

    if (!snapshot_allowed(m, &j->err) || !snapshot_disks_collect(m, choice, &j->disks, &j->err) ||
        !snapshot_disks_find(&j->disks, name, &j->err)) {
        snapshot_job_end(j);
        return;
    }
    j->info = *snapshot_disk_info(&j->disks.disk[j->disks.holder]);
    snapshot_job_stop_guest(j, RUN_RESTORE_VM);
    j->total = j->info.vm_state_size;
    j->buf = g_malloc(LOAD_PIECE);
    j->load = load_begin(m);
    j->parsed = LOAD_MORE;
    if (load_again(j)) return;
    snapshot_index_drop(m);
    ram_load_compare(j->load);
    j->load->index.on = true;
    load_next_piece(j);
}

bool snapshot_delete(Machine *m, const char *name, const SnapshotChoice *choice, Error *err)
{
    SnapshotDisks d;
    bool ok = snapshot_idle(m, err) && snapshot_disks_collect(m, choice, &d, err);

    if (!ok) return false;
    ok = snapshot_disks_delete(&d, name, NULL, err);
    snapshot_disks_free(&d);
    return ok;
}

/* -- -loadvm -- */

typedef struct AtStart {
    bool over;
    Error err;
} AtStart;

static void load_at_start_done(void *opaque, const Error *err)
{
    AtStart *a = opaque;

    a->over = true;
    a->err = *err;
}

bool snapshot_load_at_start(Machine *m, const char *name, Error *err)
{
    AtStart a = { .over = false };

    snapshot_load(m, name, NULL, NULL, load_at_start_done, &a);
    while (!a.over) g_main_context_iteration(m->ctx, TRUE);
    return !error_is_set(&a.err) || error_set(err, "%s", a.err.msg);
}
