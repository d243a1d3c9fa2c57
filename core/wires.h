/* SPDX-License-Identifier: MIT */
/* Lines of well-known input wires: the number in "cpu0.N" or "pic.N". */
#pragma once

/* Into an x86 CPU. */
enum CpuWire {
    CPU_WIRE_INTR = 0, /* level: the vector comes from the CPU's APIC, or else by machine_inta */
    CPU_WIRE_NMI,      /* edge */
    CPU_WIRE_INIT,     /* edge: INIT, as port 92h and the keyboard controller give it */
    CPU_WIRE_A20,      /* level: address line 20 is let through */
    CPU_WIRE_SMI,      /* edge */
    CPU_WIRE_IGNNE,    /* level: port F0h clears FERR */
    CPU_WIRE_STARTUP,  /* edge: a message that ends the wait after INIT has come to the APIC */
};

/* Into a local APIC. */
enum ApicWire {
    APIC_WIRE_LINT0 = 0, /* level: the PIC's INT output */
    APIC_WIRE_LINT1,     /* NMI */
};

/* Into an I/O APIC: ISA lines, of which line 0 is pin 2, and line 2 the other driver of that. */
enum IoapicWire { IOAPIC_WIRE_PIT = 0, IOAPIC_WIRE_HPET = 2 };

/* Into the master of the 8259s ("pic"): lines 0 to 15 as ISA devices drive them; as the chipset
 * drives them, too, they count from here on.  What the chip sees is the OR of all. */
enum PicWire {
    PIC_WIRE_PIRQ = 16, /* a PCI interrupt routed to this line */
    PIC_WIRE_SCI = 32,  /* power management */
    PIC_WIRE_HPET = 48, /* event timers: short pulses, which are latched; line 2 is a pin of the I/O
                         * APIC alone */
    PIC_WIRES = 64,
};
