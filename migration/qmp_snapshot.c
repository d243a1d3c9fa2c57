/* SPDX-License-Identifier: MIT */
/*
 * snapshot-save, snapshot-load and snapshot-delete: the same as savevm, loadvm and delvm, but as
 * jobs and on the disks that are named.  A name is a drive's node-name= or id=.
 */
#include "core/qmp.h"
#include "migration/job.h"
#include "migration/snapshot.h"

/* The names of "devices", as a vector that ends with NULL (its texts belong to the call); NULL (err
 * set) where one is no text. */
static const char **snapshot_names(const QmpCall *call, Error *err)
{
    const json_t *list = json_object_get(call->args, "devices"), *e;
    const char **names = g_new0(const char *, json_array_size(list) + 1);
    size_t i;

    json_array_foreach (list, i, e) {
        names[i] = json_string_value(e);
        if (names[i]) continue;
        error_set(err, "Invalid parameter type for 'devices[%zu]', expected: string", i);
        g_free(names);
        return NULL;
    }
    return names;
}

static void snapshot_job_done(void *opaque, const Error *err) { job_end(opaque, err); }

static void snapshot_delete_now(Job *job, Machine *m, const char *tag, const SnapshotChoice *choice)
{
    Error failed = ERROR_INIT;

    snapshot_delete(m, tag, choice, &failed);
    job_end(job, &failed);
}

static json_t *snapshot_start(QmpCall *call, const char *type, Error *err)
{
    const char *tag = qmp_text(call, "tag"), **names = snapshot_names(call, err);
    SnapshotChoice choice = { names, qmp_text(call, "vmstate"), .keep_others = true };
    Job *job = names ? job_begin(call->m, type, qmp_text(call, "job-id"), err) : NULL;

    if (job && !strcmp(type, "snapshot-save")) {
        snapshot_save(call->m, tag, &choice, NULL, snapshot_job_done, job);
    } else if (job && !strcmp(type, "snapshot-load")) {
        snapshot_load(call->m, tag, &choice, NULL, snapshot_job_done, job);
    } else if (job) {
        snapshot_delete_now(job, call->m, tag, &choice);
    }
    g_free(names);
    return NULL;
}

static json_t *snapshot_save_run(QmpCall *call, Error *err)
{
    return snapshot_start(call, "snapshot-save", err);
}
QMP_COMMAND(snapshot_save, .name = "snapshot-save", .args = "job-id:s,tag:s,vmstate:s,devices:a",
    .run = snapshot_save_run);

static json_t *snapshot_load_run(QmpCall *call, Error *err)
{
    return snapshot_start(call, "snapshot-load", err);
}
QMP_COMMAND(snapshot_load, .name = "snapshot-load", .args = "job-id:s,tag:s,vmstate:s,devices:a",
    .run = snapshot_load_run);

static json_t *snapshot_delete_run(QmpCall *call, Error *err)
{
    return snapshot_start(call, "snapshot-delete", err);
}
QMP_COMMAND(snapshot_delete, .name = "snapshot-delete", .args = "job-id:s,tag:s,devices:a",
    .run = snapshot_delete_run);
