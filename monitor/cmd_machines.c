/* SPDX-License-Identifier: MIT */
/* query-machines: the boards that -M may name. */
#include "core/qmp.h"

static json_t *query_machines_run(QmpCall *call, Error *err)
{
    json_t *list = json_array();

    (void)call, (void)err;
    SET_EACH (MachineClass, cls, machines) {
        json_t *o = json_pack("{s:s,s:s*,s:i,s:b,s:b,s:b,s:s*,s:s}", "name", cls->name, "alias",
            cls->alias, "cpu-max", (int)MAX_OF(cls->max_cpus, 1u), "hotpluggable-cpus", 0,
            "numa-mem-supported", 0, "deprecated", 0, "default-cpu-type", cls->default_cpu,
            "default-ram-id", "pc.ram");

        if (cls->is_default) json_object_set_new(o, "is-default", json_true());
        json_array_append_new(list, o);
    }
    return list;
}
QMP_COMMAND(query_machines, .name = "query-machines", .run = query_machines_run);
