/* SPDX-License-Identifier: MIT */
/* The steps of auto-converge: when one comes, how far it goes, and where they end. */
#include <glib.h>

#include "migration/capability.h"
#include "migration/converge.h"
#include "migration/parameters.h"
#include "util/bits.h"

static bool converge_test_init(Machine *m, Error *err)
{
    (void)m;
    (void)err;
    return true;
}
MACHINE(converge_test, .name = "converge-test", .desc = "nothing", .default_ram = MiB,
    .init = converge_test_init);

typedef struct Fixture {
    Machine *m;
    Converge c;
    RamStats s;
} Fixture;

static void setup(Fixture *x, gconstpointer data)
{
    MigrationParameters *p;

    x->m = machine_new("converge-test", NULL, NULL);
    g_assert_nonnull(x->m);
    p = migration_parameters(x->m);
    p->cpu_throttle_initial = 40;
    p->cpu_throttle_increment = 30;
    p->throttle_trigger_threshold = 50;
    p->max_cpu_throttle = 95;
    p->cpu_throttle_tailslow = data != NULL;
    g_assert_true(capability_set(x->m, "auto-converge", true, NULL));
    x->s.total = 1000 * MiB;
}

static void teardown(Fixture *x, gconstpointer data)
{
    (void)data;
    machine_free(x->m);
}

/* A round of 100 MiB, so that 50 MiB may be dirty. */
static unsigned after_round(Fixture *x, uint64_t dirty_mib)
{
    x->s.transferred += 100 * MiB;
    converge_round(&x->c, x->m, &x->s, dirty_mib * MiB);
    return x->c.percent;
}

static void test_steps(Fixture *x, gconstpointer data)
{
    (void)data;
    g_assert_cmpuint(after_round(x, 60), ==, 0); /* the first that left too much */
    g_assert_cmpuint(after_round(x, 50), ==, 0); /* as much as may be */
    g_assert_cmpuint(after_round(x, 60), ==, 40);
    g_assert_cmpuint(after_round(x, 60), ==, 40);
    g_assert_cmpuint(after_round(x, 60), ==, 70);
    after_round(x, 60);
    g_assert_cmpuint(after_round(x, 60), ==, 95);
    after_round(x, 90);
    g_assert_cmpuint(after_round(x, 90), ==, 95);
}

static void test_small_steps(Fixture *x, gconstpointer data)
{
    (void)data;
    after_round(x, 60);
    g_assert_cmpuint(after_round(x, 60), ==, 40); /* the first is whole */
    after_round(x, 60);
    g_assert_cmpuint(after_round(x, 60), ==, 50); /* of 60 % running, 50 of 60 MiB's worth */
    after_round(x, 200);
    g_assert_cmpuint(after_round(x, 200), ==, 80); /* a fourth would do; no more than 30 at once */
    after_round(x, 100);
    g_assert_cmpuint(after_round(x, 100), ==, 90);
    after_round(x, 100);
    g_assert_cmpuint(after_round(x, 100), ==, 95);
}

static void test_off(Fixture *x, gconstpointer data)
{
    (void)data;
    capability_set(x->m, "auto-converge", false, NULL);
    for (unsigned i = 0; i < 6; i++) g_assert_cmpuint(after_round(x, 100), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/converge/steps", Fixture, NULL, setup, test_steps, teardown);
    g_test_add("/converge/small-steps", Fixture, "", setup, test_small_steps, teardown);
    g_test_add("/converge/off", Fixture, NULL, setup, test_off, teardown);
    return g_test_run();
}
