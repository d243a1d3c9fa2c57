/* SPDX-License-Identifier: MIT */
/* The PCI face of the VGA: identity, video memory and registers behind its base addresses. */
#include "tests/device/bare.h"

#include "hw/vga.h"

enum { FRAME_BUFFER = 0xc0000000, REGISTERS = 0xc8000000 };

typedef struct Fixture {
    Machine *m;
    PciDev *pd;
    Vga *vga;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    (void)data;
    f->m = bare_new();
    bare_add(f->m, "PCIBUS", "pci.0");
    bare_add(f->m, "PCIHost", NULL);
    Device *dev = bare_add(f->m, "VGA", "vga", "addr", "0x02.0", "romfile", "");

    f->pd = (PciDev *)dev;
    f->vga = vga_of(dev);
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
}

static uint32_t config(Fixture *f, unsigned off)
{
    pio_write(f->m, 0xcf8, 0x80000000 | 2 << 11 | off, 4);
    return pio_read(f->m, 0xcfc, 4);
}

static void set_config(Fixture *f, unsigned off, uint32_t val)
{
    pio_write(f->m, 0xcf8, 0x80000000 | 2 << 11 | off, 4);
    pio_write(f->m, 0xcfc, val, 4);
}

static uint64_t load(Fixture *f, uint32_t gpa, unsigned size)
{
    return mem_load(f->m, (MemAttrs){ 0 }, gpa, size);
}

static void store(Fixture *f, uint32_t gpa, uint64_t val, unsigned size)
{
    mem_store(f->m, (MemAttrs){ 0 }, gpa, val, size);
}

static void map(Fixture *f)
{
    set_config(f, PCI_BAR0, FRAME_BUFFER);
    set_config(f, PCI_BAR0 + 8, REGISTERS);
    set_config(f, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
}

static void test_identity(Fixture *f, gconstpointer data)
{
    (void)data;
    g_assert_cmphex(config(f, 0), ==, 0x11111234);
    g_assert_cmphex(config(f, 8), ==, 0x03000002);
    g_assert_cmphex(config(f, PCI_SUBSYSTEM_VENDOR_ID), ==, 0x11001af4);
    set_config(f, PCI_BAR0, 0xffffffff);
    g_assert_cmphex(config(f, PCI_BAR0), ==, 0xff000008); /* 16 MiB, prefetchable */
    set_config(f, PCI_BAR0 + 8, 0xffffffff);
    g_assert_cmphex(config(f, PCI_BAR0 + 8), ==, 0xfffff000);
    g_assert_nonnull(ram_block_find(f->m, "0000:00:02.0/vga.vram"));
    g_assert_nonnull(section_find(f->m, "0000:00:02.0/vga", 0));
}

static void test_frame_buffer(Fixture *f, gconstpointer data)
{
    (void)data;
    g_assert_cmphex(load(f, FRAME_BUFFER, 4), ==, 0xffffffff);
    map(f);
    store(f, FRAME_BUFFER + 16 * MiB - 4, 0x12345678, 4);
    g_assert_cmphex(load_le32(f->vga->vram->host + 16 * MiB - 4), ==, 0x12345678);
    /* The window at A0000h does not ask the command register. */
    set_config(f, PCI_COMMAND, 0);
    out8(f->m, 0x3c2, 0x63);
    out8(f->m, 0x3c4, 2);
    out8(f->m, 0x3c5, 0x0f);
    out8(f->m, 0x3ce, 8);
    out8(f->m, 0x3cf, 0xff);
    out8(f->m, 0x3ce, 6);
    out8(f->m, 0x3cf, 5);
    out8(f->m, 0x3c4, 4);
    out8(f->m, 0x3c5, 6);
    store(f, 0xa0001, 0x5a, 1);
    g_assert_cmphex(load_le32(f->vga->vram->host + 4), ==, 0x5a5a5a5a);
}

static void test_registers(Fixture *f, gconstpointer data)
{
    (void)data;
    map(f);
    /* 400h: ports 3C0h and on, bytes and words. */
    store(f, REGISTERS + 0x402, 0x67, 1);
    g_assert_cmphex(in8(f->m, 0x3cc), ==, 0x67);
    store(f, REGISTERS + 0x414, 0x5a0e, 2);
    out8(f->m, 0x3d4, 0x0e);
    g_assert_cmphex(in8(f->m, 0x3d5), ==, 0x5a);
    g_assert_cmphex(load(f, REGISTERS + 0x414, 2), ==, 0x5a0e);
    /* 500h: the dispi registers, 16 bits each. */
    g_assert_cmphex(load(f, REGISTERS + 0x500, 2), ==, 0xb0c5);
    g_assert_cmphex(load(f, REGISTERS + 0x514, 2), ==, 256);
    store(f, REGISTERS + 0x502, 640, 2);
    store(f, REGISTERS + 0x504, 480, 2);
    store(f, REGISTERS + 0x506, 32, 2);
    store(f, REGISTERS + 0x508, 0x41, 2);
    g_assert_cmpuint(f->vga->s->vbe_line_offset, ==, 2560);
    pio_write(f->m, 0x1ce, VBE_XRES, 2);
    g_assert_cmpuint(pio_read(f->m, 0x1cf, 2), ==, 640);
    /* 600h: how long this extension is, and the byte order. */
    g_assert_cmphex(load(f, REGISTERS + 0x600, 4), ==, 8);
    g_assert_cmphex(load(f, REGISTERS + 0x604, 4), ==, 0x1e1e1e1e);
    g_assert_cmphex(load(f, REGISTERS + 0x608, 4), ==, 0);
}

static void test_wire(Fixture *f, gconstpointer data)
{
    Section *sec = section_find(f->m, "0000:00:02.0/vga", 0);
    Stream st;

    (void)data;
    stream_init(&st);
    vmstate_save(&st, sec->vmsd, sec->state);
    g_assert_cmpuint(st.size, ==, 1407);
    stream_free(&st);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/vga-pci/identity", Fixture, NULL, setup, test_identity, teardown);
    g_test_add("/vga-pci/frame-buffer", Fixture, NULL, setup, test_frame_buffer, teardown);
    g_test_add("/vga-pci/registers", Fixture, NULL, setup, test_registers, teardown);
    g_test_add("/vga-pci/wire", Fixture, NULL, setup, test_wire, teardown);
    return g_test_run();
}
