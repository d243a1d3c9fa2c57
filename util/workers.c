/* SPDX-License-Identifier: MIT */
/* Threads that do batches of jobs together: see workers.h. */
#include "util/workers.h"

#include <assert.h>
#include <glib.h>

typedef struct Worker {
    Workers *all;
    unsigned number;
} Worker;

struct Workers {
    void (*work)(void *opaque, unsigned thread, unsigned job);
    void *opaque;
    GThreadPool *pool;
    GMutex lock; /* holds what follows */
    GCond idle;
    unsigned next, end; /* jobs that nobody has begun */
    unsigned busy;      /* threads at work */
    unsigned threads;
    Worker worker[];
};

static bool workers_next(Workers *w, unsigned *job)
{
    bool more;

    g_mutex_lock(&w->lock);
    more = w->next < w->end;
    if (more) *job = w->next++;
    g_mutex_unlock(&w->lock);
    return more;
}

static void worker_run(gpointer data, gpointer unused)
{
    Worker *me = data;
    Workers *w = me->all;
    unsigned job;

    (void)unused;
    while (workers_next(w, &job)) w->work(w->opaque, me->number, job);
    g_mutex_lock(&w->lock);
    if (!--w->busy) g_cond_signal(&w->idle);
    g_mutex_unlock(&w->lock);
}

Workers *workers_new(
    unsigned threads, void (*work)(void *opaque, unsigned thread, unsigned job), void *opaque)
{
    Workers *w = g_malloc0(sizeof(*w) + threads * sizeof(w->worker[0]));

    w->work = work;
    w->opaque = opaque;
    w->threads = threads;
    w->pool = g_thread_pool_new(worker_run, NULL, (gint)threads, FALSE, NULL);
    g_mutex_init(&w->lock);
    g_cond_init(&w->idle);
    for (unsigned i = 0; i < threads; i++) w->worker[i] = (Worker){ w, i };
    return w;
}

void workers_free(Workers *w)
{
    if (!w) return;
    g_thread_pool_free(w->pool, FALSE, TRUE);
    g_mutex_clear(&w->lock);
    g_cond_clear(&w->idle);
    g_free(w);
}

void workers_start(Workers *w, unsigned jobs)
{
    unsigned n = jobs < w->threads ? jobs : w->threads;

    assert(!w->busy);
    w->next = 0;
    w->end = jobs;
    w->busy = n;
    for (unsigned i = 0; i < n; i++) g_thread_pool_push(w->pool, &w->worker[i], NULL);
}

bool workers_take_back(Workers *w, unsigned *job)
{
    bool more;

    g_mutex_lock(&w->lock);
    more = w->next < w->end;
    if (more) *job = --w->end;
    g_mutex_unlock(&w->lock);
    return more;
}

void workers_wait(Workers *w)
{
    g_mutex_lock(&w->lock);
    while (w->busy) g_cond_wait(&w->idle, &w->lock);
    g_mutex_unlock(&w->lock);
}
