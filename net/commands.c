/* SPDX-License-Identifier: MIT */
/* Monitor commands about ports and cables. */
#include "core/qmp.h"
#include "net/internal.h"

static void network_line(GString *out, const NetPort *p)
{
    g_string_append_printf(out, "%s: index=0,type=%s,", p->id, p->ops->type);
    if (p->is_nic) {
        g_string_append_printf(out, "model=%s,macaddr=%02x:%02x:%02x:%02x:%02x:%02x", p->model,
            p->mac[0], p->mac[1], p->mac[2], p->mac[3], p->mac[4], p->mac[5]);
    } else if (p->ops->info) {
        p->ops->info(p->opaque, out);
    }
    g_string_append_c(out, '\n');
}

/* A NIC with its peer below it; a back end alone where no NIC hangs on it. */
static void network_port(void *ctx, NetPort *p)
{
    GString *out = ctx;

    if (!p->is_nic && p->peer && p->peer->is_nic) return;
    if (hub_number(p) >= 0 && !p->is_nic) return; /* shown with its hub */
    network_line(out, p);
    if (!p->is_nic || !p->peer) return;
    g_string_append(out, " \\ ");
    network_line(out, p->peer);
}

static void network_run(CommandCall *call, Error *err)
{
    GString *out = g_string_new(NULL);

    (void)err;
    hub_info(call->m, out);
    net_port_each(call->m, network_port, out);
    sink_printf(call->out, "%s", out->str);
    g_string_free(out, TRUE);
}

static void set_link_run(CommandCall *call, Error *err)
{
    const char *name = command_text(call, "name");
    NetPort *p = net_port_find(call->m, name);

    if (p) {
        net_set_link(p, command_num(call, "up", 1));
    } else {
        error_set(err, "Device '%s' not found", name);
    }
}

COMMAND(info_network, .name = "info network", .args = "", .usage = "",
    .help = "the NICs and what they are connected to", .run = network_run);
COMMAND(set_link, .name = "set_link", .args = "name:s,up:b", .usage = "name on|off",
    .help = "plug or pull the cable of a NIC or back end", .run = set_link_run);

static json_t *set_link_qmp_run(QmpCall *call, Error *err)
{
    const char *name = qmp_text(call, "name");
    NetPort *p = net_port_find(call->m, name);

    if (p) {
        net_set_link(p, qmp_bool(call, "up", true));
    } else {
        qmp_device_not_found(call, name, err);
    }
    return NULL;
}
QMP_COMMAND(set_link, .name = "set_link", .args = "name:s,up:b", .run = set_link_qmp_run);
