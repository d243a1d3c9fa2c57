/* SPDX-License-Identifier: MIT */
/* Jobs, see job.h, and the commands query-jobs, job-dismiss and job-cancel.  Not modelled: pausing,
 * and cancelling: a job here is all or nothing and takes moments. */
#include "migration/job.h"

#include <string.h>

#include "core/qmp.h"

struct Job {
    Machine *m;
    const char *type, *status;
    char *id;
    Error err;
    GSource *end; /* job_end was called, and is not told yet */
};

typedef struct Jobs {
    GPtrArray *all; /* the oldest first */
} Jobs;

static void job_free(void *p)
{
    Job *job = p;

    if (job->end) {
        g_source_destroy(job->end);
        g_source_unref(job->end);
    }
    g_free(job->id);
    g_free(job);
}

static void jobs_free(void *slot) { g_ptr_array_free(((Jobs *)slot)->all, TRUE); }

static GPtrArray *jobs_of(Machine *m)
{
    Jobs *jobs = machine_slot(m, "jobs", sizeof(Jobs), jobs_free);

    if (!jobs->all) jobs->all = g_ptr_array_new_with_free_func(job_free);
    return jobs->all;
}

static Job *job_find(Machine *m, const char *id)
{
    GPtrArray *all = jobs_of(m);

    for (guint i = 0; i < all->len; i++)
        if (!strcmp(((Job *)all->pdata[i])->id, id)) return all->pdata[i];
    return NULL;
}

static void job_step(Job *job, const char *status)
{
    job->status = status;
    qmp_event(job->m, "JOB_STATUS_CHANGE", json_pack("{s:s,s:s}", "id", job->id, "status", status));
}

static bool job_id_valid(const char *id)
{
    if (!g_ascii_isalpha(*id)) return false;
    for (; *id; id++)
        if (!g_ascii_isalnum(*id) && !strchr("-._", *id)) return false;
    return true;
}

Job *job_begin(Machine *m, const char *type, const char *id, Error *err)
{
    Job *job;

    if (!job_id_valid(id)) {
        error_set(err, "Invalid job ID '%s'", id);
        return NULL;
    }
    if (job_find(m, id)) {
        error_set(err, "Job ID '%s' already in use", id);
        return NULL;
    }
    job = g_new0(Job, 1);
    job->m = m;
    job->type = type;
    job->id = g_strdup(id);
    g_ptr_array_add(jobs_of(m), job);
    job_step(job, "created");
    job_step(job, "running");
    return job;
}

static gboolean job_tell_end(gpointer opaque)
{
    Job *job = opaque;

    g_source_unref(job->end);
    job->end = NULL;
    if (error_is_set(&job->err)) {
        job_step(job, "aborting");
    } else {
        job_step(job, "waiting");
        job_step(job, "pending");
    }
    job_step(job, "concluded");
    return G_SOURCE_REMOVE;
}

void job_end(Job *job, const Error *err)
{
    if (error_is_set(err)) job->err = *err;
    job->end = g_timeout_source_new(0);
    g_source_set_callback(job->end, job_tell_end, job, NULL);
    g_source_attach(job->end, job->m->ctx);
}

/* -- commands -- */

static json_t *query_jobs_run(QmpCall *call, Error *err)
{
    GPtrArray *all = jobs_of(call->m);
    json_t *list = json_array();

    (void)err;
    for (guint i = all->len; i-- > 0;) {
        const Job *job = all->pdata[i];
        bool over = !strcmp(job->status, "concluded");

        json_array_append_new(
            list, json_pack("{s:s,s:s,s:s,s:i,s:i,s:s*}", "id", job->id, "type", job->type,
                      "status", job->status, "current-progress", over, "total-progress", 1, "error",
                      error_is_set(&job->err) ? job->err.msg : NULL));
    }
    return list;
}
QMP_COMMAND(query_jobs, .name = "query-jobs", .run = query_jobs_run);

static bool job_refuse(const Job *job, const char *verb, Error *err)
{
    return error_set(
        err, "Job '%s' in state '%s' cannot accept command verb '%s'", job->id, job->status, verb);
}

static json_t *job_dismiss_run(QmpCall *call, Error *err)
{
    Job *job = job_find(call->m, qmp_text(call, "id"));

    if (!job) {
        error_set(err, "Job not found");
    } else if (strcmp(job->status, "concluded")) {
        job_refuse(job, "dismiss", err);
    } else {
        job_step(job, "null");
        g_ptr_array_remove(jobs_of(call->m), job);
    }
    return NULL;
}
QMP_COMMAND(job_dismiss, .name = "job-dismiss", .args = "id:s", .run = job_dismiss_run);

static json_t *job_cancel_run(QmpCall *call, Error *err)
{
    Job *job = job_find(call->m, qmp_text(call, "id"));

    if (job)
        job_refuse(job, "cancel", err);
    else
        error_set(err, "Job not found");
    return NULL;
}
QMP_COMMAND(job_cancel, .name = "job-cancel", .args = "id:s", .run = job_cancel_run);
