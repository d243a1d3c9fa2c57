/* SPDX-License-Identifier: MIT */
/*
 * A guest that writes faster than the channel takes is slowed, by as much as it needs, so that
 * what is dirty is nothing once 1.5 times its RAM has gone out.  That needs no knob.  Of the time
 * between two slices the CPU rests more and more as what is dirty rises above a line that ends
 * there; and however much a guest dirties in one slice, it has a budget of pages that it may dirty,
 * which ends the slice: an eighth of RAM, and one for every four that have gone out.  With S sent
 * of T, dirty is at most T + T/8 + S/4 - S, which is nothing at S = 1.5 T.
 *
 * A channel that takes nothing for a second must not stop the guest: until it moves, it is free.
 *
 * auto-converge adds QEMU's steps, for those who set them: a first percentage after two rounds
 * that left too much dirty (throttle-trigger-threshold, percent of what the round sent), more of it
 * after each two more.  With cpu-throttle-tailslow a step goes no further than to where the guest,
 * as it writes now, would dirty what the threshold allows: so the last steps are small ones.
 */
#include "migration/converge.h"

#include "migration/capability.h"
#include "migration/parameters.h"
#include "util/bits.h"

enum {
    STEEP = 2000, /* percent at an excess of all RAM: full throttle at a twentieth */
    MOST = 99,
    LAGS = 2,            /* rounds before a step */
    BUDGET_AT_ONCE = 8,  /* a part of RAM ... */
    BUDGET_PER_SENT = 4, /* ... and of what has gone out */
};

void converge_begin(Converge *c, Machine *m, uint64_t total)
{
    c->granted = 0;
    c->stalled = false;
    m->dirty_budget = (int64_t)((total >> PAGE_BITS) / BUDGET_AT_ONCE);
}

void converge_sent(Converge *c, Machine *m, uint64_t pages)
{
    uint64_t grant = (pages - c->granted) / BUDGET_PER_SENT;

    if (!grant) return;
    if (c->stalled) m->dirty_budget = 0;
    c->stalled = false;
    c->granted += grant * BUDGET_PER_SENT;
    m->dirty_budget += (int64_t)grant;
}

void converge_stall(Converge *c, Machine *m)
{
    c->stalled = true;
    m->dirty_budget = DIRTY_UNLIMITED;
}

void converge_end(Machine *m)
{
    m->throttle = 0;
    m->dirty_budget = DIRTY_UNLIMITED;
}

/* The step from where the guest is slowed already and still leaves more dirty than is allowed. */
static uint64_t converge_step(
    const Converge *c, const MigrationParameters *p, uint64_t dirty, uint64_t allowed)
{
    unsigned runs = 100 - c->percent, ideal;

    if (!c->percent) return p->cpu_throttle_initial;
    if (!p->cpu_throttle_tailslow) return p->cpu_throttle_increment;
    ideal = (unsigned)(runs * ((double)allowed / (double)dirty));
    return MIN_OF(runs - ideal, p->cpu_throttle_increment);
}

void converge_round(Converge *c, Machine *m, const RamStats *s, uint64_t dirty)
{
    const MigrationParameters *p = migration_parameters(m);
    uint64_t allowed = (s->transferred - c->sent) * p->throttle_trigger_threshold / 100, next;

    c->sent = s->transferred;
    if (!capability_on(m, "auto-converge") || dirty <= allowed) return;
    if (++c->lags < LAGS) return;
    c->lags = 0;
    next = c->percent + converge_step(c, p, dirty, allowed);
    c->percent = (unsigned)MIN_OF(next, p->max_cpu_throttle);
}

unsigned converge_throttle(const Converge *c, Machine *m, const RamStats *s, uint64_t left)
{
    double sent = (double)(s->pages << PAGE_BITS), total = (double)s->total;
    double excess = ((double)left - (total - sent / 1.5)) / total;
    unsigned own = (unsigned)CLAMP(excess * STEEP, 0, MOST);

    return capability_on(m, "auto-converge") ? MAX_OF(own, c->percent) : own;
}
