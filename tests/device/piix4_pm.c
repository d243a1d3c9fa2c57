/* SPDX-License-Identifier: MIT */
/* PIIX4 power management: timer and its carry, SCI, power button, soft off, APM, SMBus. */
#include "tests/device/pci_bare.h"

enum { PM = 0x600, SMB = 0x700, SCI = 9 };
enum { STS = PM, EN = PM + 2, CNT = PM + 4, TMR = PM + 8 };

static Machine *new_machine_smi(const char *smi)
{
    Machine *m = bare_new();

    bare_add(m, "PCIBUS", "pci.0");
    bare_add(m, "PCIHost", "pcihost");
    bare_add(m, "PIIX4_PM", "pm", "addr", "01.3", "smi", smi);
    config_out(m, 1, 3, 0x40, PM, 4);
    config_out(m, 1, 3, 0x80, 1, 1);
    config_out(m, 1, 3, 0x90, SMB, 4);
    config_out(m, 1, 3, 0xd2, 9, 1);
    return m;
}

static Machine *new_machine(void) { return new_machine_smi(""); }

static void button(Machine *m)
{
    irq_set(&(Irq){ device_find(m, "pm"), 0 }, true);
    irq_set(&(Irq){ device_find(m, "pm"), 0 }, false);
}

static void test_identity(void)
{
    Machine *m = new_machine();

    g_assert_cmphex(config_in(m, 1, 3, 0, 4), ==, 0x71138086);
    g_assert_cmphex(config_in(m, 1, 3, 0x0a, 2), ==, 0x0680);
    g_assert_cmphex(config_in(m, 1, 3, 0x40, 4), ==, PM | 1);
    g_assert_cmphex(config_in(m, 1, 3, 0x5b, 1), ==, 2);
    config_out(m, 1, 3, 0x40, 0xb000, 4);
    g_assert_cmphex(pio_read(m, CNT, 2), ==, 0xffff);
    g_assert_cmphex(pio_read(m, 0xb004, 2), ==, 0);
    config_out(m, 1, 3, 0x80, 0, 1);
    g_assert_cmphex(pio_read(m, 0xb004, 2), ==, 0xffff);
    machine_free(m);
}

static void test_timer(void)
{
    Machine *m = new_machine();
    uint32_t from = pio_read(m, TMR, 4);

    bare_run(m, 1000000000);
    g_assert_cmpuint((pio_read(m, TMR, 4) - from) & 0xffffff, ==, 3579545);
    g_assert_cmpuint(pio_read(m, TMR, 4) >> 24, ==, 0);
    g_assert_cmphex(pio_read(m, STS, 2), ==, 0);
    bare_run(m, 2000000000); /* bit 23 has turned */
    g_assert_cmphex(pio_read(m, STS, 2), ==, 1);
    pio_write(m, STS, 1, 2);
    g_assert_cmphex(pio_read(m, STS, 2), ==, 0);
    machine_free(m);
}

/* Under the host's clock, which moves between the bytes: one access is of one instant. */
static void test_timer_is_whole(void)
{
    Machine *m = new_machine();
    uint32_t was, now;

    bare_host_time(m);
    was = pio_read(m, TMR, 4);
    for (int i = 0; i < 200000; i++, was = now) {
        now = pio_read(m, TMR, 4);
        g_assert_cmphex((now - was) & 0xffffff, <, 1 << 22); /* a second's pause, at most */
    }
    machine_free(m);
}

static void test_carry_interrupts(void)
{
    Machine *m = new_machine();

    pio_write(m, EN, 1, 2);
    out8(m, 0xb2, 0xf1);
    g_assert_cmphex(pio_read(m, CNT, 2), ==, 1);
    bare_run(m, INT64_C(2343484000)); /* 2^23 ticks are 2343484437 ns */
    g_assert_false(bare_irq(m, SCI));
    bare_run(m, 1000);
    g_assert_true(bare_irq(m, SCI));
    pio_write(m, STS, 1, 2);
    g_assert_false(bare_irq(m, SCI));
    bare_run(m, INT64_C(2343485000));
    g_assert_cmpuint(bare_rises(m, SCI), ==, 2);
    machine_free(m);
}

static void pm_saved(Machine *m, Stream *st)
{
    stream_init(st);
    bare_settle(m);
    for (Section *sec = m->sections; sec; sec = sec->next) bare_save_section(st, sec);
}

/* A carry that nobody has looked at yet is in the state all the same. */
static void test_carry_is_state(void)
{
    Machine *m = new_machine(), *copy = new_machine();
    Stream a, b;

    bare_run(m, 3000000000);
    bare_copy(copy, m);
    pm_saved(m, &a);
    pm_saved(copy, &b);
    g_assert_cmpmem(a.data, a.size, b.data, b.size);
    stream_free(&a);
    stream_free(&b);
    machine_free(m);
    machine_free(copy);
}

static void test_button(void)
{
    Machine *m = new_machine();

    button(m);
    g_assert_cmphex(pio_read(m, STS, 2), ==, 0x100);
    pio_write(m, EN, 0x100, 2);
    g_assert_false(bare_irq(m, SCI)); /* the firmware still has the events */
    out8(m, 0xb2, 0xf1);
    g_assert_true(bare_irq(m, SCI));
    out8(m, 0xb2, 0xf0);
    g_assert_false(bare_irq(m, SCI));
    out8(m, 0xb2, 0xf1);
    out8(m, STS + 1, 1);
    g_assert_false(bare_irq(m, SCI));
    machine_reset(m);
    g_assert_cmphex(config_in(m, 1, 3, 0x40, 4), ==, 1);
    machine_free(m);
}

static void test_soft_off(void)
{
    Machine *m = new_machine();

    pio_write(m, CNT, 1 << 10 | 1 << 13, 2); /* suspend: not there */
    g_assert_false(m->shutdown_requested);
    pio_write(m, CNT, 1 << 13 | 1, 2);
    g_assert_true(m->shutdown_requested);
    g_assert_cmpint(m->shutdown_reason, ==, SHUTDOWN_GUEST);
    g_assert_cmphex(pio_read(m, CNT, 2), ==, 1); /* SLP_EN reads 0 */
    machine_free(m);
}

/* Port B2h where SMIs lead somewhere: once APMC_EN is set, and not for ACPI's commands. */
static void test_smi(void)
{
    enum { LINE = 5 };
    Machine *m = new_machine_smi("pic.5");

    g_assert_cmphex(config_in(m, 1, 3, 0x5b, 1), ==, 0);
    out8(m, 0xb2, 0x12);
    g_assert_cmpuint(bare_rises(m, LINE), ==, 0);
    config_out(m, 1, 3, 0x5b, 2, 1);
    g_assert_cmpuint(bare_rises(m, LINE), ==, 0);
    out8(m, 0xb3, 0x34);
    g_assert_cmpuint(bare_rises(m, LINE), ==, 0);
    out8(m, 0xb2, 0x12);
    out8(m, 0xb2, 0x12);
    g_assert_cmpuint(bare_rises(m, LINE), ==, 2);
    g_assert_false(bare_irq(m, LINE));
    g_assert_cmphex(in8(m, 0xb2), ==, 0x12);
    out8(m, 0xb2, 0xf1);
    out8(m, 0xb2, 0xf0);
    g_assert_cmpuint(bare_rises(m, LINE), ==, 2);
    machine_reset(m);
    g_assert_cmphex(config_in(m, 1, 3, 0x5b, 1), ==, 0);
    machine_free(m);
}

static void test_apm_and_smbus(void)
{
    Machine *m = new_machine();

    out8(m, 0xb3, 0x5a);
    out8(m, 0xb2, 0x12);
    g_assert_cmphex(in8(m, 0xb3), ==, 0x5a);
    g_assert_cmphex(in8(m, 0xb2), ==, 0x12);
    out8(m, SMB + 4, 0xa1);
    out8(m, SMB + 2, 0x48);
    g_assert_cmphex(in8(m, SMB), ==, 4); /* nobody answers */
    out8(m, SMB, 4);
    g_assert_cmphex(in8(m, SMB), ==, 0);
    g_assert_cmphex(in8(m, SMB + 4), ==, 0xa1);
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/device/piix4_pm/identity", test_identity);
    g_test_add_func("/device/piix4_pm/timer", test_timer);
    g_test_add_func("/device/piix4_pm/timer-is-whole", test_timer_is_whole);
    g_test_add_func("/device/piix4_pm/carry-interrupts", test_carry_interrupts);
    g_test_add_func("/device/piix4_pm/carry-is-state", test_carry_is_state);
    g_test_add_func("/device/piix4_pm/button", test_button);
    g_test_add_func("/device/piix4_pm/soft-off", test_soft_off);
    g_test_add_func("/device/piix4_pm/apm-and-smbus", test_apm_and_smbus);
    g_test_add_func("/device/piix4_pm/smi", test_smi);
    return g_test_run();
}
