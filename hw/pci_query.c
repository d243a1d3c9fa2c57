/* SPDX-License-Identifier: MIT */
/* query-pci: what `info pci` prints, for programs.  Not modelled: bridges. */
#include "core/qmp.h"
#include "hw/pci_bus.h"
#include "util/bits.h"

static json_t *query_region(const PciBar *bar, int n)
{
    json_int_t at = bar->mapped ? (json_int_t)bar->at : -1;
    json_t *o = json_pack("{s:i,s:s,s:I,s:I}", "bar", n, "type", bar->io ? "io" : "memory",
        "address", at, "size", (json_int_t)bar->size);

    if (!bar->io) {
        json_object_set_new(o, "prefetch", json_boolean(bar->prefetchable));
        json_object_set_new(o, "mem_type_64", json_false());
    }
    return o;
}

static json_t *query_device(PciDev *pd)
{
    const uint8_t *config = pci_config(pd);
    uint16_t class = load_le16(config + PCI_CLASS);
    char *path = qmp_device_path(&pd->dev);
    json_t *regions = json_array(), *o;

    for (int n = 0; n <= PCI_ROM; n++)
        if (pd->bars[n].size) json_array_append_new(regions, query_region(&pd->bars[n], n));
    o = json_pack("{s:i,s:i,s:i,s:{s:i,s:s*},s:{s:i,s:i,s:i,s:i},s:i,s:s,s:o}", "bus", 0, "slot",
        pd->addr / 8, "function", pd->addr % 8, "class_info", "class", class, "desc",
        pci_class_text(class), "id", "vendor", load_le16(config + PCI_VENDOR_ID), "device",
        load_le16(config + PCI_DEVICE_ID), "subsystem-vendor",
        load_le16(config + PCI_SUBSYSTEM_VENDOR_ID), "subsystem",
        load_le16(config + PCI_SUBSYSTEM_ID), "irq_pin", config[PCI_INTERRUPT_PIN], "qdev_id",
        *path == '/' ? "" : path, "regions", regions);
    if (config[PCI_INTERRUPT_PIN])
        json_object_set_new(o, "irq", json_integer(config[PCI_INTERRUPT_LINE]));
    g_free(path);
    return o;
}

static json_t *query_pci_run(QmpCall *call, Error *err)
{
    json_t *devices, *list = json_array();
    PciDev *pd;

    (void)err;
    if (!pci_bus_find(call->m)) return list;
    devices = json_array();
    for (unsigned n = 0; (pd = pci_nth(call->m, n)); n++)
        json_array_append_new(devices, query_device(pd));
    json_array_append_new(list, json_pack("{s:i,s:o}", "bus", 0, "devices", devices));
    return list;
}
QMP_COMMAND(query_pci, .name = "query-pci", .run = query_pci_run);
