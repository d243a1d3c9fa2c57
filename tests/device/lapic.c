/* SPDX-License-Identifier: MIT */
/* Local APIC: priorities, timer, interrupts to itself, virtual wire, errors, base. */
#include "core/apic.h"
#include "core/command.h"
#include "tests/device/bare.h"

enum { ID = 0x20, VERSION = 0x30, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0 };
enum { SVR = 0xf0, ISR = 0x100, IRR = 0x200, ESR = 0x280, ICR = 0x300, LVT_TIMER = 0x320 };
enum { LINT0 = 0x350, LVT_ERROR = 0x370, INITIAL = 0x380, CURRENT = 0x390, DIVIDE = 0x3e0 };
enum { MASKED = 0x10000, PERIODIC = 0x20000, TO_SELF = 0x40000, BY_ONE = 0xb };
#define BASE UINT64_C(0xfee00000)

static uint32_t get(Machine *m, uint64_t reg)
{
    return (uint32_t)mem_load(m, (MemAttrs){ 0 }, BASE + reg, 4);
}

static void put(Machine *m, uint64_t reg, uint32_t val)
{
    mem_store(m, (MemAttrs){ 0 }, BASE + reg, val, 4);
}

static Machine *new_machine(bool on)
{
    Machine *m = bare_new();

    bare_add(m, "apic", "apic0");
    if (on) put(m, SVR, 0x1ff);
    return m;
}

/* A machine with a second CPU, whose APIC has been switched on. */
static Machine *new_pair(MemAttrs *there)
{
    Machine *m = new_machine(true);
    Error err = ERROR_INIT;

    there->cpu = device_create(m, "test-probe", "cpu1", &err, NULL);
    bare_add(m, "apic", "apic1", "index", "1", "cpu", "cpu1");
    put(m, SVR, 0x1ff);
    mem_store(m, *there, BASE + SVR, 0x1ff, 4);
    return m;
}

static bool intr(Machine *m) { return bare_probe(m, "cpu0")->level[CPU_WIRE_INTR]; }

static int take(Machine *m)
{
    const CpuApic *apic = machine_apic(m, 0);

    return apic->ops->take(apic->dev);
}

static void test_reset(void)
{
    Machine *m = new_machine(false);
    const CpuApic *apic = machine_apic(m, 0);

    g_assert_cmphex(get(m, ID), ==, 0);
    g_assert_cmphex(get(m, VERSION), ==, 0x50014);
    g_assert_cmphex(get(m, SVR), ==, 0xff);
    g_assert_cmphex(get(m, DFR), ==, 0xffffffff);
    g_assert_cmphex(get(m, LVT_TIMER), ==, MASKED);
    g_assert_cmphex(get(m, LINT0), ==, 0x700);
    g_assert_cmphex(apic->ops->base(apic->dev), ==, 0xfee00900);
    machine_free(m);
}

static void test_priorities(void)
{
    Machine *m = new_machine(true);

    put(m, ICR, TO_SELF | 0x41);
    g_assert_true(intr(m));
    put(m, TPR, 0x40);
    g_assert_false(intr(m));
    put(m, ICR, TO_SELF | 0x52);
    put(m, ICR, TO_SELF | 0x31);
    g_assert_cmphex(get(m, IRR + 0x20), ==, 1u << 18 | 1u << 1);
    g_assert_cmpint(take(m), ==, 0x52);
    g_assert_cmphex(get(m, ISR + 0x20), ==, 1u << 18);
    g_assert_cmphex(get(m, PPR), ==, 0x50);
    put(m, TPR, 0);
    g_assert_false(intr(m)); /* 52h is being served */
    g_assert_cmpint(take(m), ==, -1);
    put(m, EOI, 0);
    g_assert_cmpint(take(m), ==, 0x41);
    put(m, EOI, 0);
    g_assert_cmpint(take(m), ==, 0x31);
    put(m, EOI, 0);
    g_assert_cmphex(get(m, ISR + 0x20) | get(m, IRR + 0x20) | get(m, PPR), ==, 0);
    machine_free(m);
}

static void test_one_shot(void)
{
    Machine *m = new_machine(true);

    put(m, DIVIDE, BY_ONE);
    put(m, LVT_TIMER, 0x60);
    put(m, INITIAL, 1000);
    bare_run(m, 400);
    g_assert_cmpuint(get(m, CURRENT), ==, 600);
    g_assert_false(intr(m));
    bare_run(m, 700);
    g_assert_cmpuint(get(m, CURRENT), ==, 0);
    g_assert_cmpint(take(m), ==, 0x60);
    put(m, EOI, 0);
    bare_run(m, 1000000);
    g_assert_false(intr(m));
    put(m, DIVIDE, 3); /* by 16 */
    put(m, INITIAL, 100);
    bare_run(m, 800);
    g_assert_cmpuint(get(m, CURRENT), ==, 50);
    machine_free(m);
}

/* Counts that are over before the write is: they expire all the same. */
static void test_shortest(void)
{
    Machine *m = new_machine(true);

    bare_host_time(m);
    put(m, DIVIDE, BY_ONE);
    put(m, LVT_TIMER, 0x60);
    for (int i = 0; i < 1000; i++) {
        put(m, INITIAL, 1);
        clock_run_timers(&m->clock);
        g_assert_cmpint(take(m), ==, 0x60);
        put(m, EOI, 0);
    }
    machine_free(m);
}

static void test_periodic(void)
{
    Machine *m = new_machine(true);

    put(m, DIVIDE, BY_ONE);
    put(m, LVT_TIMER, PERIODIC | 0x61);
    put(m, INITIAL, 999);
    for (int i = 0; i < 3; i++) {
        bare_run(m, 1000);
        g_assert_cmpint(take(m), ==, 0x61);
        put(m, EOI, 0);
    }
    put(m, LVT_TIMER, MASKED | PERIODIC | 0x61);
    bare_run(m, 5500);
    g_assert_false(intr(m));
    g_assert_cmpuint(get(m, CURRENT), ==, 499);
    put(m, LVT_TIMER, PERIODIC | 0x61); /* in step with what it was */
    bare_run(m, 499);
    g_assert_false(intr(m));
    bare_run(m, 1);
    g_assert_true(intr(m));
    put(m, INITIAL, 0);
    take(m);
    put(m, EOI, 0);
    bare_run(m, 5000);
    g_assert_false(intr(m));
    machine_free(m);
}

static void pic_line(Machine *m, bool level)
{
    irq_set(&(Irq){ device_find(m, "apic0"), APIC_WIRE_LINT0 }, level);
}

static int vector_20(Device *dev)
{
    (void)dev;
    return 0x20;
}

static void test_virtual_wire(void)
{
    Machine *m = new_machine(false);

    machine_set_inta(m, device_find(m, "pic"), vector_20);
    pic_line(m, true);
    g_assert_true(intr(m)); /* before anyone has switched it on */
    g_assert_cmpint(take(m), ==, 0x20);
    put(m, SVR, 0x1ff);
    put(m, LINT0, 0x700 | MASKED);
    g_assert_false(intr(m));
    g_assert_cmpint(take(m), ==, -1);
    put(m, LINT0, 0x700);
    g_assert_true(intr(m));
    put(m, ICR, TO_SELF | 0x33); /* the APIC's own go first */
    g_assert_cmpint(take(m), ==, 0x33);
    g_assert_cmpint(take(m), ==, 0x20);
    pic_line(m, false);
    g_assert_false(intr(m));
    put(m, LINT0, 0x44); /* fixed: an edge */
    pic_line(m, true);
    put(m, EOI, 0);
    g_assert_cmpint(take(m), ==, 0x44);
    g_assert_false(intr(m));
    put(m, EOI, 0);
    pic_line(m, false);
    m->syncing = true; /* a load finds the line high: that is no edge */
    pic_line(m, true);
    m->syncing = false;
    g_assert_false(intr(m));
    machine_free(m);
}

static void test_nmi(void)
{
    Machine *m = new_machine(true);
    Probe *cpu = bare_probe(m, "cpu0");

    put(m, 0x360, 0x400);
    irq_set(&(Irq){ device_find(m, "apic0"), APIC_WIRE_LINT1 }, true);
    g_assert_cmpuint(cpu->rises[CPU_WIRE_NMI], ==, 1);
    put(m, ICR, TO_SELF | 0x400);
    g_assert_cmpuint(cpu->rises[CPU_WIRE_NMI], ==, 2);
    machine_free(m);
}

static void press(Machine *m)
{
    CommandCall call = { .m = m };
    Error err = ERROR_INIT;

    SET_EACH (Command, c, commands) {
        if (!strcmp(c->name, "nmi")) c->run(&call, &err);
    }
}

/* The button's goes to each CPU whose LINT1 lets it through. */
static void test_button(void)
{
    MemAttrs there = { 0 };
    Machine *m = new_pair(&there);

    m->config.cpus = 2;
    for (unsigned i = 0; i < 3; i++) {
        if (i == 1) mem_store(m, there, BASE + 0x360, 0x400, 4);
        if (i == 2) put(m, 0x360, 0x400);
        press(m);
        g_assert_cmpuint(bare_probe(m, "cpu0")->rises[CPU_WIRE_NMI], ==, i == 2);
        g_assert_cmpuint(bare_probe(m, "cpu1")->rises[CPU_WIRE_NMI], ==, i);
    }
    machine_free(m);
    m = bare_new(); /* without an APIC */
    m->config.cpus = 1;
    press(m);
    g_assert_cmpuint(bare_probe(m, "cpu0")->rises[CPU_WIRE_NMI], ==, 1);
    machine_free(m);
}

static void test_errors(void)
{
    Machine *m = new_machine(true);

    put(m, LVT_ERROR, 0xfe);
    put(m, ICR, TO_SELF | 0x05);
    g_assert_cmpint(take(m), ==, 0xfe);
    put(m, EOI, 0);
    g_assert_cmphex(get(m, ESR), ==, 0);
    put(m, ESR, 0);
    g_assert_cmphex(get(m, ESR), ==, 0x20);
    put(m, ESR, 0);
    g_assert_cmphex(get(m, ESR), ==, 0);
    put(m, SVR, 0xff); /* off: nothing comes, everything is masked */
    put(m, ICR, TO_SELF | 0x70);
    g_assert_false(intr(m));
    put(m, LVT_TIMER, 0x60);
    g_assert_cmphex(get(m, LVT_TIMER), ==, MASKED | 0x60);
    put(m, SVR, 0x1ff);
    put(m, LVT_TIMER, 0x60);
    put(m, SVR, 0xff); /* switched off, it masks what it has */
    put(m, SVR, 0x1ff);
    g_assert_cmphex(get(m, LVT_TIMER), ==, MASKED | 0x60);
    machine_free(m);
}

static void test_logical(void)
{
    Machine *m = new_machine(true);

    put(m, LDR, 0x02000000);
    put(m, 0x310, 0x05000000);
    put(m, ICR, 0x800 | 0x50);
    g_assert_false(intr(m));
    put(m, 0x310, 0x06000000);
    put(m, ICR, 0x800 | 0x100 | 0x50); /* to the lowest priority */
    g_assert_cmpint(take(m), ==, 0x50);
    put(m, EOI, 0);
    put(m, LDR, 0x12000000);
    put(m, 0x310, 0x30000000); /* a bit in common, whichever */
    put(m, ICR, 0x800 | 0x50);
    g_assert_cmpint(take(m), ==, 0x50);
    put(m, EOI, 0);
    put(m, DFR, 0); /* clusters */
    put(m, LDR, 0x32000000);
    put(m, 0x310, 0x22000000);
    put(m, ICR, 0x800 | 0x51);
    g_assert_false(intr(m));
    put(m, 0x310, 0x33000000);
    put(m, ICR, 0x800 | 0x51);
    g_assert_cmpint(take(m), ==, 0x51);
    machine_free(m);
}

/* Of two that are meant, the one with the lower priority gets it. */
static void test_lowest(void)
{
    MemAttrs there = { 0 };
    Machine *m = new_pair(&there);

    put(m, LDR, 0x01000000);
    mem_store(m, there, BASE + LDR, 0x02000000, 4);
    for (int busy = 0; busy < 2; busy++) {
        put(m, TPR, busy ? 0 : 0x20);
        mem_store(m, there, BASE + TPR, busy ? 0x20 : 0, 4);
        put(m, 0x310, 0x03000000);
        put(m, ICR, 0x800 | 0x100 | 0x50);
        g_assert_true(intr(m) == busy);
        g_assert_true(bare_probe(m, "cpu1")->level[CPU_WIRE_INTR] == !busy);
        machine_apic(m, 1)->ops->take(machine_apic(m, 1)->dev);
        mem_store(m, there, BASE + EOI, 0, 4);
    }
    machine_free(m);
}

static void test_base(void)
{
    Machine *m = new_machine(true);
    const CpuApic *apic = machine_apic(m, 0);

    g_assert_false(apic->ops->set_base(apic->dev, BASE | 0xc00)); /* x2APIC */
    g_assert_false(apic->ops->set_base(apic->dev, BASE | 1ull << 40));
    g_assert_true(apic->ops->set_base(apic->dev, 0xfe000800));
    g_assert_cmphex(get(m, VERSION), ==, 0xffffffff);
    g_assert_cmphex(mem_load(m, (MemAttrs){ 0 }, 0xfe000030, 4), ==, 0x50014);
    g_assert_cmphex(apic->ops->base(apic->dev), ==, 0xfe000900);
    put(m, ICR, TO_SELF | 0x50);
    g_assert_true(apic->ops->set_base(apic->dev, BASE));
    g_assert_false(intr(m));
    pic_line(m, true); /* as if there were none */
    g_assert_true(intr(m));
    machine_free(m);
}

/* Each CPU's registers are where it has put them. */
static void test_bases(void)
{
    MemAttrs here = { 0 }, there = { 0 };
    Machine *m = new_pair(&there);
    const CpuApic *apic = machine_apic(m, 1), *first = machine_apic(m, 0);
    uint64_t elsewhere = 0xfe000000;

    here.cpu = device_find(m, "cpu0");
    g_assert_cmphex(mem_load(m, there, BASE + ID, 4), ==, 0x01000000);
    g_assert_true(apic->ops->set_base(apic->dev, elsewhere | 0x800));
    g_assert_cmphex(mem_load(m, there, elsewhere + ID, 4), ==, 0x01000000);
    g_assert_cmphex(mem_load(m, there, BASE + ID, 4), ==, 0xffffffff);
    g_assert_cmphex(mem_load(m, here, elsewhere + ID, 4), ==, 0xffffffff);
    g_assert_cmphex(mem_load(m, here, BASE + ID, 4), ==, 0);
    mem_store(m, there, BASE + TPR, 0x30, 4); /* reaches nobody */
    mem_store(m, there, elsewhere + TPR, 0x50, 4);
    g_assert_cmphex(mem_load(m, here, BASE + TPR, 4), ==, 0);
    g_assert_cmphex(mem_load(m, there, elsewhere + TPR, 4), ==, 0x50);
    g_assert_true(first->ops->set_base(first->dev, BASE)); /* off, and the other one stays on */
    g_assert_cmphex(mem_load(m, here, BASE + ID, 4), ==, 0xffffffff);
    g_assert_true(apic->ops->set_base(apic->dev, BASE | 0x800));
    g_assert_cmphex(mem_load(m, there, BASE + ID, 4), ==, 0x01000000);
    g_assert_cmphex(mem_load(m, here, BASE + ID, 4), ==, 0xffffffff);
    g_assert_cmphex(mem_load(m, there, elsewhere + ID, 4), ==, 0xffffffff);
    machine_free(m);
}

/* Of two startup messages the first one says where, also if it came right behind INIT. */
static void test_startup(void)
{
    enum { INIT = 0x4500, STARTUP = 0x4600 };
    MemAttrs there = { 0 };
    Machine *m = new_pair(&there);
    const CpuApic *apic = machine_apic(m, 1);
    const unsigned *rises = &bare_probe(m, "cpu1")->rises[CPU_WIRE_STARTUP];

    put(m, 0x310, 0x01000000);
    put(m, ICR, STARTUP | 0x12); /* it waits since its reset */
    put(m, ICR, STARTUP | 0x13);
    g_assert_cmpuint(*rises, ==, 2);
    g_assert_cmphex((unsigned)apic->ops->startup(apic->dev), ==, 0x12);
    g_assert_cmpint(apic->ops->startup(apic->dev), ==, -1);
    put(m, ICR, STARTUP | 0x14); /* it runs */
    g_assert_cmpint(apic->ops->startup(apic->dev), ==, -1);
    put(m, ICR, INIT);
    put(m, ICR, STARTUP | 0x15);
    put(m, ICR, STARTUP | 0x16);
    g_assert_true(apic->ops->init(apic->dev)); /* only now the CPU has a look */
    g_assert_cmphex((unsigned)apic->ops->startup(apic->dev), ==, 0x15);
    put(m, ICR, STARTUP | 0x17);
    put(m, ICR, INIT); /* what has come before it is void */
    put(m, ICR, STARTUP | 0x18);
    apic->ops->init(apic->dev);
    g_assert_cmphex((unsigned)apic->ops->startup(apic->dev), ==, 0x18);
    machine_free(m);
}

static void test_init(void)
{
    Machine *m = new_machine(true);
    const CpuApic *apic = machine_apic(m, 0);

    put(m, ID, 0x03000000);
    put(m, TPR, 0x70);
    apic->ops->set_priority(apic->dev, 9);
    g_assert_cmphex(get(m, TPR), ==, 0x90);
    g_assert_cmpuint(apic->ops->priority(apic->dev), ==, 9);
    apic->ops->init(apic->dev);
    g_assert_cmphex(get(m, TPR), ==, 0);
    g_assert_cmphex(get(m, SVR), ==, 0xff);
    g_assert_cmphex(get(m, ID), ==, 0x03000000);
    machine_free(m);
}

static bool wrmsr(Machine *m, unsigned cpu, uint64_t reg, uint64_t val)
{
    const CpuApic *apic = machine_apic(m, cpu);

    return apic->ops->write_msr(apic->dev, (unsigned)(reg >> 4), val);
}

static uint64_t rdmsr(Machine *m, unsigned cpu, uint64_t reg)
{
    const CpuApic *apic = machine_apic(m, cpu);
    uint64_t val;

    return apic->ops->read_msr(apic->dev, (unsigned)(reg >> 4), &val) ? val : UINT64_MAX;
}

static bool set_mode(Machine *m, unsigned cpu, uint64_t bits)
{
    const CpuApic *apic = machine_apic(m, cpu);

    return apic->ops->set_base(apic->dev, BASE | bits);
}

static void test_x2_modes(void)
{
    Machine *m = new_machine(true);

    machine_want_apics(m, APIC_PRESENT | APIC_X2);
    g_assert_true(rdmsr(m, 0, ID) == UINT64_MAX); /* not in this mode */
    g_assert_false(wrmsr(m, 0, TPR, 0));
    g_assert_false(set_mode(m, 0, 0x400));
    g_assert_true(set_mode(m, 0, 0xc00));
    g_assert_cmphex(get(m, VERSION), ==, 0xffffffff); /* memory is no APIC now */
    g_assert_cmphex(rdmsr(m, 0, VERSION), ==, 0x50014);
    g_assert_cmphex(rdmsr(m, 0, SVR), ==, 0x1ff);
    g_assert_true(rdmsr(m, 0, DFR) == UINT64_MAX);
    g_assert_true(rdmsr(m, 0, 0x310) == UINT64_MAX);
    g_assert_false(wrmsr(m, 0, ID, 0));
    g_assert_false(wrmsr(m, 0, LDR, 0));
    g_assert_false(wrmsr(m, 0, EOI, 1));
    g_assert_false(wrmsr(m, 0, TPR, 1ull << 32));
    g_assert_false(set_mode(m, 0, 0x800)); /* no way back but by switching off */
    g_assert_true(set_mode(m, 0, 0));
    g_assert_false(set_mode(m, 0, 0xc00));
    g_assert_true(set_mode(m, 0, 0x800));
    g_assert_cmphex(get(m, SVR), ==, 0xff);
    machine_free(m);
}

static void test_x2_messages(void)
{
    Machine *m = new_machine(true), *twin;
    Error err = ERROR_INIT;
    Device *other = device_create(m, "test-probe", "cpu1", &err, NULL);
    const bool *there = &bare_probe(m, "cpu1")->level[CPU_WIRE_INTR];

    bare_add(m, "apic", "apic1", "index", "1", "cpu", "cpu1");
    g_assert_nonnull(other);
    machine_want_apics(m, APIC_PRESENT | APIC_X2);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_true(set_mode(m, i, 0xc00));
        g_assert_true(wrmsr(m, i, SVR, 0x1ff));
        g_assert_cmphex(rdmsr(m, i, ID), ==, i);
        g_assert_cmphex(rdmsr(m, i, LDR), ==, 1u << i);
    }
    g_assert_true(wrmsr(m, 0, 0x3f0, 0x61)); /* to itself */
    g_assert_cmpint(take(m), ==, 0x61);
    g_assert_true(wrmsr(m, 0, EOI, 0));
    g_assert_true(wrmsr(m, 0, ICR, 1ull << 32 | 0x62)); /* to an id */
    g_assert_cmphex(rdmsr(m, 0, ICR), ==, 1ull << 32 | 0x62);
    g_assert_true(*there && !intr(m));
    g_assert_cmpint(machine_apic(m, 1)->ops->take(machine_apic(m, 1)->dev), ==, 0x62);
    g_assert_true(wrmsr(m, 1, EOI, 0));
    g_assert_true(wrmsr(m, 0, ICR, 2ull << 32 | 0x800 | 0x63)); /* logical, cluster 0 */
    g_assert_true(*there && !intr(m));
    g_assert_cmpint(machine_apic(m, 1)->ops->take(machine_apic(m, 1)->dev), ==, 0x63);
    g_assert_true(wrmsr(m, 1, EOI, 0));
    g_assert_true(wrmsr(m, 0, ICR, 0x10002ull << 32 | 0x800 | 0x64)); /* another cluster */
    g_assert_true(!*there && !intr(m));
    g_assert_true(wrmsr(m, 0, ICR, 0xffffffffull << 32 | 0x65)); /* to all */
    g_assert_true(*there && intr(m));
    twin = new_machine(false);
    g_assert_nonnull(device_create(twin, "test-probe", "cpu1", &err, NULL));
    bare_add(twin, "apic", "apic1", "index", "1", "cpu", "cpu1");
    bare_copy(twin, m);
    g_assert_cmphex(rdmsr(twin, 1, ID), ==, 1);
    g_assert_cmpint(take(twin), ==, 0x65);
    machine_free(twin);
    machine_free(m);
}

static void test_deadline(void)
{
    enum { DEADLINE = 0x40000 };
    Machine *m = new_machine(true);
    const CpuApic *apic = machine_apic(m, 0);

    put(m, LVT_TIMER, DEADLINE | 0x70);
    g_assert_cmphex(get(m, LVT_TIMER), ==, 0x70); /* this model has no such mode */
    machine_want_apics(m, APIC_PRESENT | APIC_DEADLINE);
    g_assert_false(apic->ops->set_deadline(apic->dev, bare_now(m) + 1000));
    put(m, LVT_TIMER, DEADLINE | 0x70);
    put(m, INITIAL, 500); /* means nothing here */
    g_assert_cmphex(get(m, CURRENT), ==, 0);
    g_assert_false(apic->ops->deadline_armed(apic->dev));
    g_assert_true(apic->ops->set_deadline(apic->dev, bare_now(m) + 1000));
    g_assert_true(apic->ops->deadline_armed(apic->dev));
    bare_run(m, 999);
    g_assert_false(intr(m));
    bare_run(m, 1);
    g_assert_cmpint(take(m), ==, 0x70);
    g_assert_false(apic->ops->deadline_armed(apic->dev)); /* once */
    put(m, EOI, 0);
    g_assert_true(apic->ops->set_deadline(apic->dev, bare_now(m) + 1000));
    put(m, LVT_TIMER, 0x70); /* another mode ends it */
    bare_run(m, 5000);
    g_assert_false(intr(m));
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/lapic/reset", test_reset);
    g_test_add_func("/lapic/priorities", test_priorities);
    g_test_add_func("/lapic/one-shot", test_one_shot);
    g_test_add_func("/lapic/shortest", test_shortest);
    g_test_add_func("/lapic/periodic", test_periodic);
    g_test_add_func("/lapic/virtual-wire", test_virtual_wire);
    g_test_add_func("/lapic/nmi", test_nmi);
    g_test_add_func("/lapic/button", test_button);
    g_test_add_func("/lapic/errors", test_errors);
    g_test_add_func("/lapic/logical", test_logical);
    g_test_add_func("/lapic/lowest", test_lowest);
    g_test_add_func("/lapic/base", test_base);
    g_test_add_func("/lapic/bases", test_bases);
    g_test_add_func("/lapic/startup", test_startup);
    g_test_add_func("/lapic/init", test_init);
    g_test_add_func("/lapic/x2-modes", test_x2_modes);
    g_test_add_func("/lapic/x2-messages", test_x2_messages);
    g_test_add_func("/lapic/deadline", test_deadline);
    return g_test_run();
}
