/* SPDX-License-Identifier: MIT */
/*
 * A guest that writes faster than the channel takes is slowed, by as much as it needs: what is
 * dirty has to fall on a line that ends once 1.5 times its RAM has gone out.  That needs no knob.
 *
 * auto-converge adds QEMU's steps, for those who set them: a first percentage after two rounds
 * that left too much dirty (throttle-trigger-threshold, percent of what the round sent), more of it
 * after each two more.  Not modelled: cpu-throttle-tailslow.
 */
#include "migration/converge.h"

#include "migration/capability.h"
#include "migration/parameters.h"
#include "util/bits.h"

enum {
    STEEP = 2000, /* percent at an excess of all RAM: full throttle at a twentieth */
    MOST = 99,
    LAGS = 2, /* rounds before a step */
};

void converge_round(Converge *c, Machine *m, const RamStats *s, uint64_t dirty)
{
    const MigrationParameters *p = migration_parameters(m);
    uint64_t sent = s->transferred - c->sent, next;

    c->sent = s->transferred;
    if (!capability_on(m, "auto-converge") || dirty <= sent * p->throttle_trigger_threshold / 100)
        return;
    if (++c->lags < LAGS) return;
    c->lags = 0;
    next = c->percent ? c->percent + p->cpu_throttle_increment : p->cpu_throttle_initial;
    c->percent = (unsigned)MIN_OF(next, p->max_cpu_throttle);
}

unsigned converge_throttle(const Converge *c, Machine *m, const RamStats *s, uint64_t left)
{
    double sent = (double)(s->pages << PAGE_BITS), total = (double)s->total;
    double excess = ((double)left - (total - sent / 1.5)) / total;
    unsigned own = (unsigned)CLAMP(excess * STEEP, 0, MOST);

    return capability_on(m, "auto-converge") ? MAX_OF(own, c->percent) : own;
}
