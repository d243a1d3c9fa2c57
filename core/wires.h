/* SPDX-License-Identifier: MIT */
/* Lines of well-known input wires: the number in "cpu0.N". */
#pragma once

/* Into an x86 CPU. */
enum CpuWire {
    CPU_WIRE_INTR = 0, /* level: the PIC's INT output; the vector comes by machine_inta */
    CPU_WIRE_NMI,      /* edge */
    CPU_WIRE_INIT,     /* edge: INIT, as port 92h and the keyboard controller give it */
    CPU_WIRE_A20,      /* level: address line 20 is let through */
    CPU_WIRE_SMI,      /* edge */
    CPU_WIRE_IGNNE,    /* level: port F0h clears FERR */
};
