/* SPDX-License-Identifier: MIT */
/* Configuration cycles, for tests of PCI devices on a bare machine. */
#pragma once

#include "tests/device/bare.h"

static inline uint32_t config_addr(unsigned slot, unsigned fn, unsigned off)
{
    return 0x80000000u | slot << 11 | fn << 8 | (off & 0xfc);
}

static inline uint32_t config_in(
    Machine *m, unsigned slot, unsigned fn, unsigned off, unsigned size)
{
    pio_write(m, 0xcf8, config_addr(slot, fn, off), 4);
    return pio_read(m, 0xcfc + (off & 3), size);
}

static inline void config_out(
    Machine *m, unsigned slot, unsigned fn, unsigned off, uint32_t val, unsigned size)
{
    pio_write(m, 0xcf8, config_addr(slot, fn, off), 4);
    pio_write(m, 0xcfc + (off & 3), val, size);
}

/* A bus with its host; lines lead to "router". */
static inline void bare_add_pci(Machine *m)
{
    bare_add(m, "test-probe", "router");
    bare_add(m, "PCIBUS", "pci.0", "irq0", "router.0", "irq1", "router.1", "irq2", "router.2",
        "irq3", "router.3");
    bare_add(m, "PCIHost", "pcihost");
}
