/* SPDX-License-Identifier: MIT */
/*
 * What holds for every device, checked without naming one: its tables cover its state, a load
 * brings back what was saved, a cut stream fails without harm, a damaged one is refused or can be
 * lived with, and a twin made by saving and loading answers alike to whatever is done to both.
 */
#include <unistd.h>

#include "block/block.h"
#include "tests/device/bare.h"
#include "ui/ui.h"

enum { SEEDS = 6, LOADS = 40, ACCESSES = 80, DAMAGES = 20, PORTS_MAX = 512, RANGES_MAX = 16 };

/* Classes that cannot stand alone on a bare machine, and why. */
static const struct {
    const char *cls, *why;
} skipped[] = {
    { "test-probe", "is the test's own" },
    { "ide-hd", "hangs on a controller, which has its state" },
    { "ide-cd", "likewise" },
};

static const char *skip_reason(const DeviceClass *cls)
{
    for (size_t i = 0; i < ARRAY_SIZE(skipped); i++)
        if (!strcmp(skipped[i].cls, cls->name)) return skipped[i].why;
    return NULL;
}

/* A PCI bus stands on the machine for devices of it, and for what names it in a property. */
static bool needs_pci(const DeviceClass *cls)
{
    for (const Prop *p = cls->props; p && p->name; p++)
        if (p->type == PROP_DEVICE && p->fallback && !strcmp(p->fallback, "pci.0")) return true;
    return cls->bus && !strcmp(cls->bus, "pci");
}

/* One that moves its data by ISA DMA needs the controller. */
static bool needs_dma(const DeviceClass *cls)
{
    for (const Prop *p = cls->props; p && p->name; p++)
        if (!strcmp(p->name, "dma")) return true;
    return false;
}

static void free_disk(void *bd) { block_dev_free(bd); }

/* A disk of zeroes in a file that has no name any more. */
static void add_empty_disk(Machine *m)
{
    Error err = ERROR_INIT;
    char *path;
    int fd = g_file_open_tmp("stasis-generic-XXXXXX", &path, NULL);
    Options *o = options_parse("format=raw", NULL, &err);
    BlockDev *bd;

    g_assert_cmpint(ftruncate(fd, 1 * MiB), ==, 0);
    close(fd);
    options_set(o, "file", path);
    bd = block_dev_new(m->ctx, "disk", o, false, &err);
    if (!bd || !machine_object_add(m, "drive", "disk", bd, free_disk, &err)) g_error("%s", err.msg);
    options_free(o);
    unlink(path);
    g_free(path);
}

/* A machine with the device under test, and children of it behind. */
static Machine *machine_with(const DeviceClass *cls)
{
    Error err = ERROR_INIT;
    Machine *m = bare_new();
    Device *dut;

    if (needs_pci(cls) && !device_create(m, "PCIBUS", "pci.0", &err, NULL)) g_error("%s", err.msg);
    if (cls->bus && !strcmp(cls->bus, "pci") && !device_create(m, "PCIHost", NULL, &err, NULL))
        g_error("%s", err.msg);
    if (needs_dma(cls) && !device_create(m, "i8257", NULL, &err, NULL)) g_error("%s", err.msg);
    dut = device_new(m, cls->name, "dut", &err);
    for (const Prop *p = cls->props; dut && p && p->name; p++) {
        if (p->type == PROP_CHARDEV) {
            bare_tape(m, "tape");
            device_set(dut, p->name, "tape", &err);
        } else if (p->type == PROP_BLOCK &&
                   (!strcmp(p->name, "drive") || !strcmp(p->name, "driveA"))) {
            add_empty_disk(m);
            device_set(dut, p->name, "disk", &err);
        }
    }
    if (!dut || !device_realize(dut, &err)) g_error("%s: %s", cls->name, err.msg);
    machine_reset(m);
    return m;
}

/* -- what can be accessed -- */

typedef struct Targets {
    uint32_t ports[PORTS_MAX];
    unsigned nports;
    struct {
        uint64_t gpa, size;
    } ranges[RANGES_MAX];
    unsigned nranges;
} Targets;

static void targets_add_ports(
    void *opaque, uint32_t first, uint32_t last, Device *dev, const char *name)
{
    Targets *t = opaque;

    (void)dev, (void)name;
    for (uint32_t p = first; p <= last && t->nports < PORTS_MAX; p++) t->ports[t->nports++] = p;
}

static void targets_find(Targets *t, Machine *m)
{
    const FlatRange *r;
    size_t n;

    *t = (Targets){ .nports = 0 };
    pio_each(m, targets_add_ports, t);
    r = mem_ranges(m, false, &n);
    for (size_t i = 0; i < n && t->nranges < RANGES_MAX; i++) {
        if (!r[i].region->ops) continue;
        t->ranges[t->nranges].gpa = r[i].gpa;
        t->ranges[t->nranges++].size = r[i].size;
    }
}

/* -- one random step, from a seeded generator so that both twins take the same one -- */

typedef struct Step {
    enum {
        STEP_IN,
        STEP_OUT,
        STEP_LOAD,
        STEP_STORE,
        STEP_TIME,
        STEP_CONFIG,
        STEP_STIMULUS,
    } kind;
    uint64_t addr;
    unsigned size;
    uint32_t val;
    int64_t ns;
} Step;

/* Values that mean something to a chip more often than evenly spread ones would. */
static uint32_t random_value(GRand *r)
{
    static const uint32_t likely[] = { 0, 0xff, 0x11, 0x36, 0xffff, 0x20, 0xf4, 0x60 };

    switch (g_rand_int_range(r, 0, 5)) {
    case 0: return g_rand_int(r);
    case 1: return likely[g_rand_int_range(r, 0, 8)];
    case 2: return 1u << g_rand_int_range(r, 0, 16);
    case 3: return (uint32_t)g_rand_int_range(r, 0, 16);
    default: return g_rand_int(r) & 0xff;
    }
}

/* A few ports get most of the accesses for a while: chips want sequences. */
static uint32_t random_port(GRand *r, const Targets *t, unsigned phase)
{
    unsigned i = (unsigned)g_rand_int_range(r, 0, (int)t->nports);

    return t->ports[g_rand_int_range(r, 0, 3) ? (phase * 7919 + i % 3) % t->nports : i];
}

enum { PHASE = 20 };

static Step step_random(GRand *r, const Targets *t, bool pci, int n)
{
    Step s = { .kind = STEP_TIME, .size = 1u << g_rand_int_range(r, 0, 3) };
    int dice = g_rand_int_range(r, 0, 100);

    s.val = random_value(r);
    s.ns = (int64_t)g_rand_int(r) >> g_rand_int_range(r, 2, 32);
    s.addr = g_rand_int(r);
    if (g_rand_int_range(r, 0, 4)) s.size = 1;
    if (dice < 66 && t->nports) {
        s.kind = dice < 30 ? STEP_IN : STEP_OUT;
        s.addr = random_port(r, t, (unsigned)n / PHASE);
    } else if (dice < 84 && t->nranges) {
        unsigned i = (unsigned)g_rand_int_range(r, 0, (int)t->nranges);

        s.kind = dice < 75 ? STEP_LOAD : STEP_STORE;
        s.addr = t->ranges[i].gpa + (s.addr % t->ranges[i].size & ~7ull);
    } else if (dice < 88 && pci) {
        s.kind = STEP_CONFIG;
    } else if (dice < 96) {
        s.kind = STEP_STIMULUS;
    }
    return s;
}

/* Writes a random configuration register; enables what it decodes. */
static void step_config(Machine *m, const Step *s)
{
    uint32_t addr = 0x80000000u | ((uint32_t)s->addr >> 8 & 3) << 11 | (s->addr & 0x3c);

    pio_write(m, 0xcf8, addr, 4);
    pio_write(m, 0xcfc, (s->addr & 0x3c) == 4 ? s->val | 7 : s->val, 4);
}

/* What comes from the other side: input wires, characters, keys, a mouse. */
static void step_stimulus(Machine *m, const Step *s)
{
    Device *dut = device_find(m, "dut");

    if (dut->cls->irq_in && s->addr & 0x100)
        dut->cls->irq_in(dut, (int)(s->addr % 2), s->val & 1);
    else if (machine_object(m, "chardev", "tape"))
        tape_feed(bare_tape(m, "tape"), &s->val, s->size);
    else if (s->addr & 0x200)
        input_key(m, (int)(s->addr & 0xff), s->val & 1);
    else
        input_mouse(m, (int8_t)s->val, (int8_t)s->addr, (int)(s->val >> 9 & 3), s->val & 0x1f);
}

static uint64_t step_do(Machine *m, const Step *s)
{
    MemAttrs attrs = { .cpu = NULL };
    uint64_t seen = 0;

    switch (s->kind) {
    case STEP_IN: seen = pio_read(m, (uint32_t)s->addr, s->size); break;
    case STEP_OUT: pio_write(m, (uint32_t)s->addr, s->val, s->size); break;
    case STEP_LOAD: seen = mem_load(m, attrs, s->addr, s->size); break;
    case STEP_STORE: mem_store(m, attrs, s->addr, s->val, s->size); break;
    case STEP_TIME: bare_run(m, s->ns); break;
    case STEP_CONFIG: step_config(m, s); break;
    case STEP_STIMULUS: step_stimulus(m, s); break;
    }
    clock_run_timers(&m->clock);
    if (m->reset_requested) {
        m->reset_requested = false;
        machine_reset(m);
        seen ^= 1ull << 40;
    }
    m->shutdown_requested = m->quit = false;
    return seen;
}

/* -- the checks -- */

/* Marks what a table names: the first byte of an element by its alignment, the others by 1. */
static void mark_fields(uint8_t *map, const VmField *f, size_t base);

static void mark_table(uint8_t *map, const VmState *v, size_t base)
{
    mark_fields(map, v->fields, base);
    for (const VmState *const *sub = v->subsections; sub && *sub; sub++)
        mark_table(map, *sub, base);
}

static void mark_fields(uint8_t *map, const VmField *f, size_t base)
{
    for (; f && f->name; f++) {
        size_t off = base + f->offset;

        if (f->type == &vm_unused) continue;
        for (uint32_t i = 0; i < f->count; i++, off += f->stride) {
            if (f->vmsd) {
                mark_table(map, f->vmsd, off);
            } else {
                memset(map + off, 1, f->size);
                if (f->type != &vm_buffer && f->size <= 8) map[off] = (uint8_t)f->size;
                if (f->type == &vm_pci_irq_state) map[off] = 4;
            }
        }
    }
}

/* Bytes of `s` that no table names can only be padding: fewer than the alignment of what follows,
 * or of a whole struct that ends there; and never written. */
static void check_padding(const DeviceClass *cls, const uint8_t *map, size_t start, size_t end)
{
    size_t align = end % 8 && end < cls->state_size ? map[end] : 8;

    if (end - start >= align)
        g_error("%s: bytes %zu to %zu of its state are in no table", cls->name, start, end - 1);
}

/* (1) The map of what is covered; freed by the caller. */
static uint8_t *check_coverage(const DeviceClass *cls)
{
    uint8_t *map = g_malloc0(cls->state_size + 1), *core = g_malloc0(cls->state_size + 1);

    for (const VmState *const *v = cls->vmstates; v && *v; v++) {
        mark_table(map, *v, 0);
        vmstate_cover(*v, core, 0, cls->state_size);
    }
    for (size_t i = 0; i < cls->state_size; i++) g_assert_cmpint(!map[i], ==, !core[i]);
    g_free(core);
    mark_fields(map, cls->exact, 0);
    for (size_t i = 0; i < cls->state_size;) {
        size_t start = i;

        while (i < cls->state_size && !map[i]) i++;
        if (i > start) check_padding(cls, map, start, i);
        i += i == start;
    }
    return map;
}

static void check_padding_untouched(Machine *m, const uint8_t *map)
{
    Device *dut = device_find(m, "dut");
    const uint8_t *s = device_state(dut);

    for (size_t i = 0; i < dut->cls->state_size; i++)
        if (!map[i] && s[i]) g_error("%s: byte %zu is state, in no table", dut->cls->name, i);
}

static void save_all(Stream *st, Machine *m)
{
    bare_settle(m);
    for (Section *s = m->sections; s; s = s->next)
        if (s->vmsd) bare_save_section(st, s);
}

/* (2), and again after both have done the same. */
static void check_same_state(Machine *a, Machine *b, const char *what)
{
    Stream x, y;
    size_t i = 0;

    stream_init(&x);
    stream_init(&y);
    save_all(&x, a);
    save_all(&y, b);
    while (i < x.size && i < y.size && x.data[i] == y.data[i]) i++;
    if (i < x.size || i < y.size) g_error("%s: saved states differ from byte %zu", what, i);
    stream_free(&x);
    stream_free(&y);
}

/* (3) Every byte near the ends, a sample of the middle of a long section. */
static void check_truncation(Machine *m)
{
    for (Section *s = m->sections; s; s = s->next) {
        uint8_t *live, *copy;
        Stream st;

        if (!s->vmsd || !s->dev) continue;
        live = g_memdup2(s->state, s->state_size);
        copy = g_malloc(s->state_size + 1);
        stream_init(&st);
        bare_save_section(&st, s);
        for (size_t n = 0; n < st.size; n += n < 1024 || n + 1024 > st.size ? 1 : 509) {
            Stream cut;

            stream_init(&cut);
            stream_put(&cut, st.data, n);
            device_initial_state(s->dev, copy);
            g_assert_false(vmstate_load(&cut, s->vmsd, copy, s->version));
            g_assert_false(stream_ok(&cut));
            stream_free(&cut);
        }
        g_assert_cmpmem(live, s->state_size, s->state, s->state_size);
        stream_free(&st);
        g_free(live);
        g_free(copy);
    }
}

static void check_same_wires(Machine *a, Machine *b, const char *what)
{
    static const char *const ids[] = { "cpu0", "pic" };

    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        const Probe *p = bare_probe(a, ids[i]), *q = bare_probe(b, ids[i]);

        for (int line = 0; line < PROBE_LINES; line++)
            if (p->level[line] != q->level[line] || p->rises[line] != q->rises[line])
                g_error("%s: wire %s.%d differs", what, ids[i], line);
    }
}

/* What both wrote since the copy. */
static void check_same_tape(Machine *a, Machine *b, unsigned a_start, unsigned b_start)
{
    GByteArray *x, *y;

    if (!machine_object(a, "chardev", "tape")) return;
    x = bare_tape(a, "tape")->written;
    y = bare_tape(b, "tape")->written;
    g_assert_cmpmem(x->data + a_start, x->len - a_start, y->data + b_start, y->len - b_start);
}

static unsigned tape_length(Machine *m)
{
    return machine_object(m, "chardev", "tape") ? bare_tape(m, "tape")->written->len : 0;
}

static void check_same_ram(Machine *a, Machine *b)
{
    for (RamBlock *r = ram_block_first(a); r; r = r->next)
        g_assert_cmpint(memcmp(r->host, ram_block_find(b, r->idstr)->host, r->size), ==, 0);
}

/* Random steps of a machine on its own. */
static void run_steps(Machine *m, GRand *r, bool pci, int n)
{
    Targets t;

    for (int i = 0; i < n; i++) {
        Step s;

        if (i % PHASE == 0) targets_find(&t, m); /* mappings come and go */
        s = step_random(r, &t, pci, i);
        step_do(m, &s);
    }
}

static void forget_edges(Machine *m)
{
    static const char *const ids[] = { "cpu0", "pic" };

    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        memset(bare_probe(m, ids[i])->rises, 0, sizeof(bare_probe(m, ids[i])->rises));
}

/* Both do the same for a while. */
static void run_together(Machine *a, Machine *b, GRand *r, bool pci, const char *name)
{
    Targets t;

    for (int i = 0; i < ACCESSES; i++) {
        uint64_t x, y;
        Step s;

        if (i % PHASE == 0) targets_find(&t, a);
        s = step_random(r, &t, pci, i);
        x = step_do(a, &s);
        y = step_do(b, &s);
        if (x != y)
            g_error("%s: access %d (kind %d at %#" G_GINT64_MODIFIER
                    "x, %u bytes): %#" G_GINT64_MODIFIER "x here, %#" G_GINT64_MODIFIER
                    "x in the twin",
                name, i, s.kind, s.addr, s.size, x, y);
        check_same_wires(a, b, name);
    }
}

/* (4) The twin has had a life of its own: nothing of it may show after the load. */
static void check_twins(Machine *a, Machine *b, GRand *r, const char *name, bool pci)
{
    unsigned a_written, b_written;

    run_steps(b, r, pci, g_rand_int_range(r, 0, ACCESSES));
    run_steps(a, r, pci, g_rand_int_range(r, 0, ACCESSES));
    bare_copy(b, a);
    forget_edges(a);
    forget_edges(b);
    a_written = tape_length(a);
    b_written = tape_length(b);
    check_same_wires(a, b, name);
    check_same_state(a, b, name);
    run_together(a, b, r, pci, name);
    check_same_state(a, b, name);
    check_same_ram(a, b);
    check_same_tape(a, b, a_written, b_written);
}

/* Loads a section with some of its bytes damaged; false where it is refused. */
static bool load_damaged(Section *sec, GRand *r)
{
    uint8_t *copy = g_malloc(sec->state_size + 1);
    Stream st;
    bool ok;

    stream_init(&st);
    bare_save_section(&st, sec);
    for (int n = g_rand_int_range(r, 1, 5); n && st.size; n--) {
        uint8_t *byte = &st.data[g_rand_int_range(r, 0, (int)st.size)];

        *byte = (uint8_t)(g_rand_boolean(r) ? 0xff : g_rand_int(r));
    }
    stream_put_u8(&st, BARE_FOOTER);
    device_initial_state(sec->dev, copy);
    ok = vmstate_load(&st, sec->vmsd, copy, sec->version);
    if (ok) memcpy(sec->state, copy, sec->state_size);
    stream_free(&st);
    g_free(copy);
    return ok;
}

/* (5) A damaged state is refused, or is one that the device can live with. */
static void check_damaged(Machine *m, GRand *r, bool pci)
{
    for (int i = 0; i < DAMAGES; i++) {
        for (Section *s = m->sections; s; s = s->next)
            if (s->vmsd && s->dev) load_damaged(s, r);
        machine_sync(m);
        run_steps(m, r, pci, ACCESSES / 2);
    }
}

static void test_class(gconstpointer data)
{
    const DeviceClass *cls = data;
    uint8_t *map = check_coverage(cls);
    bool pci = cls->bus && !strcmp(cls->bus, "pci");

    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        Machine *a = machine_with(cls), *b = machine_with(cls);
        GRand *r = g_rand_new_with_seed(seed);

        for (int i = 0; i < LOADS; i++) check_twins(a, b, r, cls->name, pci);
        check_padding_untouched(a, map);
        if (seed == 1) check_truncation(a);
        check_damaged(b, r, pci);
        g_rand_free(r);
        machine_free(a);
        machine_free(b);
    }
    g_free(map);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpuint(SET_SIZE(devices), >, 1);
    SET_EACH (DeviceClass, cls, devices) {
        char *path = g_strdup_printf("/device/generic/%s", cls->name);

        if (!skip_reason(cls)) g_test_add_data_func(path, cls, test_class);
        g_free(path);
    }
    return g_test_run();
}
