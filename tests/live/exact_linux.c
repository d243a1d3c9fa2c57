/* SPDX-License-Identifier: MIT */
/* TEST-TIMEOUT: 300 */
/*
 * Exactness of Debian's i386 Linux: while it boots, and when it is up with its disk at work and
 * frames going from one network card to the other.  See exact.h.
 */
#include "tests/live/exact.h"

#define LINUX_ARGS                                                                                 \
    "-m", "64", "-cpu", "pentium3", "-netdev", "hubport,id=n0,hubid=0", "-device",                 \
        "ne2k_pci,netdev=n0", "-netdev", "hubport,id=n1,hubid=0", "-device", "ne2k_pci,netdev=n1", \
        "-append", "console=ttyS0 panic=-1 quiet cryptomgr.notests noisapnp", "-kernel"
enum { KERNEL = 15 };      /* where its path goes in args */
#define UP (14 * NS_PER_S) /* it has booted */

static Guest boot = { .name = "Linux boots",
    .args = { LINUX_ARGS },
    .first = 100000000,
    .span = 5 * NS_PER_S,
    .quick = 4,
    .slow = 420 };

static Guest busy = { .name = "Linux under load",
    .args = { LINUX_ARGS },
    .first = UP + 50000000,
    .span = 4 * NS_PER_S,
    .quick = 6,
    .slow = 420 };

/* The load is on from here: every run of the busy guest begins with this snapshot. */
static void test_comes_up(void)
{
    Machine *m;

    busy.disk = make_qcow2("busy.qcow2", NULL, "4M");
    m = start_at(&busy, busy.disk, NULL);
    run_until(m, UP);
    command(m, "savevm up");
    machine_free(m);
    busy.base = "up";
}

int main(int argc, char **argv)
{
    char **lines;
    int result;

    g_test_init(&argc, &argv, NULL);
    lines = guest_paths("linux");
    if (lines) {
        Guest *const both[] = { &boot, &busy };

        for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
            both[i]->args[KERNEL] = lines[0];
            both[i]->args[KERNEL + 1] = "-initrd";
            both[i]->args[KERNEL + 2] = lines[1];
        }
        boot.disk = make_qcow2("boot.qcow2", NULL, "4M");
        if (!g_test_quick()) boot.span = 12 * NS_PER_S;
        g_test_add_data_func("/exact/linux/boot", &boot, test_guest);
        g_test_add_data_func("/exact/linux/digests", &boot, test_digests);
        g_test_add_func("/exact/linux/comes-up", test_comes_up);
        g_test_add_data_func("/exact/linux/busy", &busy, test_guest);
    }
    result = g_test_run();
    g_strfreev(lines);
    return result;
}
