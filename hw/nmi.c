/* SPDX-License-Identifier: MIT */
/*
 * The button that gives an NMI to every CPU: by the LINT1 input of its local APIC, which may have
 * it masked, and straight where there is none.
 */
#include "core/apic.h"
#include "core/qmp.h"
#include "core/wires.h"

static void nmi_pulse(const Irq *wire)
{
    irq_set(wire, true);
    irq_set(wire, false);
}

static void nmi_press(Machine *m)
{
    for (unsigned i = 0; i < m->config.cpus; i++) {
        Device *apic = machine_apic(m, i)->dev;
        char id[16];

        g_snprintf(id, sizeof(id), "cpu%u", i);
        nmi_pulse(
            apic ? &(Irq){ apic, APIC_WIRE_LINT1 } : &(Irq){ device_find(m, id), CPU_WIRE_NMI });
    }
}

static void nmi_run(CommandCall *call, Error *err)
{
    (void)err;
    nmi_press(call->m);
}
COMMAND(nmi, .name = "nmi", .args = "", .usage = "", .help = "inject an NMI", .run = nmi_run);

static json_t *inject_nmi_run(QmpCall *call, Error *err)
{
    (void)err;
    nmi_press(call->m);
    return NULL;
}
QMP_COMMAND(inject_nmi, .name = "inject-nmi", .run = inject_nmi_run);
