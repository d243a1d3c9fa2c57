/* SPDX-License-Identifier: MIT */
/*
 * Virtio network card.  Source: VIRTIO 1.1, chapter 5.1.  Not modelled: offloads (no back end of
 * ours has them), several queue pairs, RSS.  Its boot ROM is iPXE's, where that is installed.
 *
 * Queues: 0 receives, 1 sends, 2 controls.  A frame is sent, and a received one stored, within one
 * access: the wire takes no time.
 */
#include <string.h>

#include "hw/virtio.h"
#include "net/net.h"

enum { QUEUE_RX, QUEUE_TX, QUEUE_CTRL };
enum { HEADER_SHORT = 10, HEADER_MERGED = 12, MERGED_COUNT = 10 /* offset in the header */ };
enum { MACS = 64, VLAN_BYTES = 4096 / 8, FRAME_USUAL = 1526 };
enum { LINK_UP = 1, ANNOUNCE = 2 /* bits of the configuration's status */ };
enum { C_MAC = 0, C_STATUS = 6, C_BYTES = 8 };
enum {
    F_OFFLOADS_CTRL = 1 << 2,
    F_MAC = 1 << 5,
    F_MERGED = 1 << 15,
    F_STATUS = 1 << 16,
    F_CTRL = 1 << 17,
    F_CTRL_RX = 1 << 18,
    F_CTRL_VLAN = 1 << 19,
    F_CTRL_RX_EXTRA = 1 << 20,
    F_ANNOUNCE = 1 << 21,
    F_CTRL_MAC = 1 << 23,
};
enum { CTRL_RX = 0, CTRL_MAC = 1, CTRL_VLAN = 2, CTRL_ANNOUNCE = 3, CTRL_OFFLOADS = 5 };
enum { CTRL_OK = 0, CTRL_ERROR = 1, CTRL_MAX = 4096 /* bytes of a command */ };
enum { RX_PROMISC, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST, RX_MODES };

typedef struct VirtioNet {
    VirtioPci v;
    NetPort *netdev, *port;
    uint8_t mac[6];
    char *romfile;
    VirtioChain rx, tx;
    struct VirtioNetState {
        VirtioState v;
        uint32_t in_use; /* entries of macs */
        uint8_t mac[6];
        uint8_t mode[RX_MODES]; /* by RX_* */
        uint8_t multi_overflow, uni_overflow;
        uint8_t macs[MACS][6];
        uint8_t vlans[VLAN_BYTES]; /* a bit per VLAN that is let in */
    } s;
} VirtioNet;
#define VIRTIO_NET(v) ((VirtioNet *)(v))

static void net_kick(VirtioPci *v, unsigned q);
static void net_config_write(VirtioPci *v, unsigned off, uint8_t val);
static void net_features_set(VirtioPci *v);
static void net_reset_part(VirtioPci *v);

static const VirtioClass net_class = { .device = 1,
    .pci_class = 0x0200,
    .legacy_id = 0x1000,
    .queues = 3,
    .vectors = 4,
    .num = { 256, 256, 64 },
    .config_len = C_BYTES,
    .features = F_OFFLOADS_CTRL | F_MAC | F_MERGED | F_STATUS | F_CTRL | F_CTRL_RX | F_CTRL_VLAN |
                F_CTRL_RX_EXTRA | F_ANNOUNCE | F_CTRL_MAC,
    .kick = net_kick,
    .config_write = net_config_write,
    .features_set = net_features_set,
    .reset = net_reset_part };

/* -- the wire -- */

static void net_wire_put(Stream *st, const void *state)
{
    const struct VirtioNetState *s = state;

    stream_put(st, s->mac, 6);
    stream_put_be32(st, s->v.kicks[0] >> QUEUE_TX & 1);
    stream_put_be32(st, !!(s->v.features & F_MERGED));
    stream_put_be16(st, load_le16(s->v.config + C_STATUS));
    stream_put_u8(st, s->mode[RX_PROMISC]);
    stream_put_u8(st, s->mode[RX_ALLMULTI]);
    stream_put_be32(st, s->in_use);
    stream_put(st, s->macs, s->in_use * (size_t)6);
    stream_put(st, s->vlans, VLAN_BYTES);
    stream_put_be32(st, 0); /* headers of offloads go to the back end: they do not */
    stream_put_u8(st, s->multi_overflow);
    stream_put_u8(st, s->uni_overflow);
    for (unsigned i = RX_ALLUNI; i < RX_MODES; i++) stream_put_u8(st, s->mode[i]);
    stream_put_u8(st, 0); /* nor UDP fragments */
    if (s->v.features & F_OFFLOADS_CTRL) stream_put_be64(st, 0);
}

static void net_wire_get(Stream *st, void *state)
{
    struct VirtioNetState *s = state;

    stream_get(st, s->mac, 6);
    stream_skip(st, 8);
    store_le16(s->v.config + C_STATUS, stream_get_be16(st));
    s->mode[RX_PROMISC] = stream_get_u8(st);
    s->mode[RX_ALLMULTI] = stream_get_u8(st);
    s->in_use = stream_get_be32(st);
    if (stream_ok(st) && s->in_use > MACS) stream_fail(st, "%u MAC filters", s->in_use);
    if (!stream_ok(st)) return;
    memset(s->macs, 0, sizeof(s->macs));
    stream_get(st, s->macs, s->in_use * (size_t)6);
    stream_get(st, s->vlans, VLAN_BYTES);
    if (stream_get_be32(st) && stream_ok(st))
        stream_fail(st, "virtio-net: vnet_hdr requires a back end that has it");
    s->multi_overflow = stream_get_u8(st);
    s->uni_overflow = stream_get_u8(st);
    for (unsigned i = RX_ALLUNI; i < RX_MODES; i++) s->mode[i] = stream_get_u8(st);
    stream_skip(st, 1);
    if (s->v.features & F_OFFLOADS_CTRL) stream_skip(st, 8);
}

static const VirtioWire net_wire = {
    .cls = &net_class, .save = net_wire_put, .load = net_wire_get
};
VIRTIO_WIRE(virtio_net, &net_wire);

static const VmField virtio_net_fields[] = { VM_VIRTIO(struct VirtioNetState, virtio_net_wire),
    VM_END };
static const VmState virtio_net_vmstate = {
    .name = "virtio-net", .version = 11, .min_version = 11, .fields = virtio_net_fields
};
static const VmField virtio_net_exact[] = { VIRTIO_EXACT(struct VirtioNetState), VM_END };
#define VIRTIO_NET_ROM "efi-virtio.rom" /* for BIOS and EFI */
static const Prop virtio_net_props[] = { VIRTIO_PROPS(VirtioNet),
    PROP_AS(VirtioNet, v.pci.bootindex, "bootindex", "-1"), PROP(VirtioNet, netdev, ""),
    PROP_MAC_ADDR(VirtioNet, mac, "00:00:00:00:00:00"), PROP(VirtioNet, romfile, VIRTIO_NET_ROM),
    PROP_END };

/* -- receiving -- */

static unsigned net_header(VirtioNet *n)
{
    return virtio_has(&n->v, F_MERGED | VIRTIO_VERSION_1) ? HEADER_MERGED : HEADER_SHORT;
}

static bool net_can_receive(void *opaque)
{
    VirtioNet *n = opaque;
    VirtioPeek got;

    do {
        got = virtio_peek(&n->v, QUEUE_RX, 0, &n->rx);
    } while (got == VIRTIO_EMPTY && !virtio_idle(&n->v, QUEUE_RX));
    if (got == VIRTIO_WAIT) n->s.v.kicks[0] |= 1 << QUEUE_RX;
    return got == VIRTIO_CHAIN;
}

static bool net_mac_listed(const VirtioNet *n, const uint8_t *to)
{
    for (unsigned i = 0; i < n->s.in_use; i++)
        if (!memcmp(n->s.macs[i], to, 6)) return true;
    return false;
}

/* Whether the frame passes the filters that the driver has set. */
static bool net_wants(VirtioNet *n, const uint8_t *frame, size_t len)
{
    static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    const uint8_t *mode = n->s.mode;

    if (len < 14) return false;
    if (mode[RX_PROMISC]) return true;
    if (virtio_has(&n->v, F_CTRL_VLAN) && len >= 16 && frame[12] == 0x81 && !frame[13]) {
        unsigned vlan = (frame[14] << 8 | frame[15]) & 0xfff;

        if (!(n->s.vlans[vlan / 8] & 1u << vlan % 8)) return false;
    }
    if (!memcmp(frame, broadcast, 6)) return !mode[RX_NOBCAST];
    if (frame[0] & 1) {
        if (mode[RX_NOMULTI]) return false;
        return mode[RX_ALLMULTI] || n->s.multi_overflow || net_mac_listed(n, frame);
    }
    if (mode[RX_NOUNI]) return false;
    return mode[RX_ALLUNI] || n->s.uni_overflow || !memcmp(frame, n->s.mac, 6) ||
           net_mac_listed(n, frame);
}

/* How many chains the bytes need; 0: there are not so many. */
static unsigned net_chains_for(VirtioNet *n, uint64_t bytes)
{
    uint64_t room = 0;
    unsigned chains = 0;

    while (room < bytes) {
        if (chains && !virtio_has(&n->v, F_MERGED)) return 0;
        if (virtio_peek(&n->v, QUEUE_RX, chains, &n->rx) != VIRTIO_CHAIN) return 0;
        room += n->rx.in_len;
        chains++;
    }
    return chains;
}

static void net_store(VirtioNet *n, const uint8_t *frame, size_t len, unsigned chains)
{
    uint8_t header[HEADER_MERGED] = { 0 };
    size_t at = 0, head = net_header(n);

    store_le16(header + MERGED_COUNT, (uint16_t)chains);
    for (unsigned i = 0; i < chains; i++) {
        size_t part = 0;

        if (virtio_peek(&n->v, QUEUE_RX, i, &n->rx) != VIRTIO_CHAIN) return;
        if (!i) part = virtio_write(&n->v, &n->rx, 0, header, head);
        if (!i && part < head) return; /* the first buffer cannot hold a header */
        at += virtio_write(&n->v, &n->rx, part, frame + at, len - at);
        virtio_fill(&n->v, QUEUE_RX, i, &n->rx,
            (uint32_t)(i ? MIN_OF(n->rx.in_len, len) : MIN_OF(n->rx.in_len, len + head)));
    }
    virtio_publish(&n->v, QUEUE_RX, chains);
}

static void net_receive(void *opaque, const uint8_t *frame, size_t len)
{
    VirtioNet *n = opaque;
    unsigned chains;

    if (!net_wants(n, frame, len)) return;
    chains = net_chains_for(n, len + net_header(n));
    if (chains) net_store(n, frame, len, chains);
}

static void net_link_changed(void *opaque, bool up)
{
    VirtioNet *n = opaque;
    uint16_t was = load_le16(n->s.v.config + C_STATUS);
    uint16_t now = (uint16_t)((was & ~LINK_UP) | (up ? LINK_UP : 0));

    if (now == was) return;
    store_le16(n->s.v.config + C_STATUS, now);
    virtio_config_changed(&n->v);
}

static const NetPortOps net_ops = { .type = "nic",
    .can_receive = net_can_receive,
    .receive = net_receive,
    .link_changed = net_link_changed };

/* -- sending -- */

static void net_send_chain(VirtioNet *n)
{
    unsigned head = net_header(n);
    size_t len = n->tx.out_len > head ? (size_t)MIN_OF(n->tx.out_len - head, NET_FRAME_MAX) : 0;
    uint8_t *frame = g_malloc(MAX_OF(len, 1));

    virtio_read(&n->v, &n->tx, head, frame, len);
    virtio_fill(&n->v, QUEUE_TX, 0, &n->tx, 0);
    virtio_publish(&n->v, QUEUE_TX, 1);
    if (len) net_send(n->port, frame, len);
    g_free(frame);
}

/* -- controlling -- */

static uint8_t ctrl_rx(VirtioNet *n, uint8_t cmd, const uint8_t *data, size_t len)
{
    if (cmd >= RX_MODES || !len) return CTRL_ERROR;
    n->s.mode[cmd] = data[0] != 0;
    return CTRL_OK;
}

/* One of the two lists of a table; false: it is cut off. */
static bool ctrl_mac_list(VirtioNet *n, const uint8_t **data, size_t *len, uint8_t *overflow)
{
    uint32_t count;

    if (*len < 4) return false;
    count = load_le32(*data);
    if (count > (*len - 4) / 6) return false;
    *overflow = count > MACS - n->s.in_use;
    if (!*overflow) {
        memcpy(n->s.macs[n->s.in_use], *data + 4, count * (size_t)6);
        n->s.in_use += count;
    }
    *data += 4 + count * (size_t)6;
    *len -= 4 + count * (size_t)6;
    return true;
}

static void net_set_mac(VirtioNet *n, const uint8_t *mac)
{
    memcpy(n->s.mac, mac, 6);
    memcpy(n->s.v.config + C_MAC, mac, 6);
    memcpy(n->port->mac, mac, 6);
}

static uint8_t ctrl_mac(VirtioNet *n, uint8_t cmd, const uint8_t *data, size_t len)
{
    if (cmd == 1 && len >= 6) {
        net_set_mac(n, data);
        return CTRL_OK;
    }
    if (cmd) return CTRL_ERROR;
    n->s.in_use = 0;
    memset(n->s.macs, 0, sizeof(n->s.macs));
    return ctrl_mac_list(n, &data, &len, &n->s.uni_overflow) &&
                   ctrl_mac_list(n, &data, &len, &n->s.multi_overflow)
               ? CTRL_OK
               : CTRL_ERROR;
}

static uint8_t ctrl_vlan(VirtioNet *n, uint8_t cmd, const uint8_t *data, size_t len)
{
    unsigned vlan;

    if (len < 2 || cmd > 1) return CTRL_ERROR;
    vlan = load_le16(data);
    if (vlan >= VLAN_BYTES * 8) return CTRL_ERROR;
    if (cmd)
        n->s.vlans[vlan / 8] &= (uint8_t) ~(1u << vlan % 8);
    else
        n->s.vlans[vlan / 8] |= (uint8_t)(1u << vlan % 8);
    return CTRL_OK;
}

static uint8_t ctrl_command(VirtioNet *n, const uint8_t *cmd, size_t len)
{
    if (len < 2) return CTRL_ERROR;
    switch (cmd[0]) {
    case CTRL_RX: return ctrl_rx(n, cmd[1], cmd + 2, len - 2);
    case CTRL_MAC: return ctrl_mac(n, cmd[1], cmd + 2, len - 2);
    case CTRL_VLAN: return ctrl_vlan(n, cmd[1], cmd + 2, len - 2);
    case CTRL_ANNOUNCE:
        n->s.v.config[C_STATUS] &= (uint8_t)~ANNOUNCE;
        return cmd[1] ? CTRL_ERROR : CTRL_OK;
    case CTRL_OFFLOADS: /* there are none to be switched on */
        return cmd[1] || len < 10 || load_le64(cmd + 2) ? CTRL_ERROR : CTRL_OK;
    default: return CTRL_ERROR;
    }
}

static void net_control_chain(VirtioNet *n)
{
    uint8_t cmd[CTRL_MAX], ack;
    size_t len;

    if (n->tx.out_len < 2 || !n->tx.in_len) {
        virtio_break(&n->v, "a control command has no room for its answer");
        return;
    }
    len = virtio_read(&n->v, &n->tx, 0, cmd, sizeof(cmd));
    ack = ctrl_command(n, cmd, len);
    virtio_write(&n->v, &n->tx, n->tx.in_len - 1, &ack, 1);
    virtio_fill(&n->v, QUEUE_CTRL, 0, &n->tx, 1);
    virtio_publish(&n->v, QUEUE_CTRL, 1);
}

static void net_kick(VirtioPci *v, unsigned q)
{
    VirtioNet *n = VIRTIO_NET(v);
    VirtioPeek got;

    if (q == QUEUE_RX) {
        v = &n->v;
        virtio_unkick(v, q);
        net_flush(n->port);
        return;
    }
    do {
        while ((got = virtio_peek(v, q, 0, &n->tx)) == VIRTIO_CHAIN) {
            if (q == QUEUE_TX)
                net_send_chain(n);
            else
                net_control_chain(n);
        }
        if (got == VIRTIO_WAIT) return;
    } while (!virtio_idle(v, q));
    virtio_unkick(v, q);
}

/* -- life -- */

static void net_features_set(VirtioPci *v)
{
    memset(VIRTIO_NET(v)->s.vlans, virtio_has(v, F_CTRL_VLAN) ? 0 : 0xff, VLAN_BYTES);
}

static void net_reset_part(VirtioPci *v)
{
    VirtioNet *n = VIRTIO_NET(v);

    memset(n->s.mode, 0, sizeof(n->s.mode));
    n->s.mode[RX_PROMISC] = 1;
    n->s.in_use = 0;
    n->s.multi_overflow = n->s.uni_overflow = 0;
    memset(n->s.macs, 0, sizeof(n->s.macs));
    memset(n->s.vlans, 0xff, VLAN_BYTES);
    memcpy(n->s.mac, n->mac, 6);
    memcpy(n->s.v.config + C_MAC, n->mac, 6);
    store_le16(n->s.v.config + C_STATUS, n->port->link_down ? 0 : LINK_UP);
}

/* A legacy driver may write the address. */
static void net_config_write(VirtioPci *v, unsigned off, uint8_t val)
{
    VirtioNet *n = VIRTIO_NET(v);
    uint8_t mac[6];

    if (off >= C_STATUS || virtio_has(v, VIRTIO_VERSION_1 | F_CTRL_MAC)) return;
    memcpy(mac, n->s.mac, 6);
    mac[off] = val;
    net_set_mac(n, mac);
}

static bool net_realize(Device *dev, Error *err)
{
    VirtioNet *n = (VirtioNet *)dev;

    net_mac_default(dev->m, n->mac);
    if (!virtio_realize(&n->v, &net_class, err) ||
        !pci_boot_order(&n->v.pci, "ethernet", "/ethernet-phy@0", err))
        return false;
    if (!pci_load_boot_rom(&n->v.pci, n->romfile, VIRTIO_NET_ROM, "virtio-net-pci.rom", err))
        return false;
    n->port = net_nic_new(dev, "virtio-net-pci", n->mac, n->netdev, &net_ops, err);
    return n->port != NULL;
}

static void net_unrealize(Device *dev) { net_port_free(((VirtioNet *)dev)->port); }

static void net_power_on(Device *dev) { virtio_power_on(VIRTIO_PCI(dev)); }

static void net_reset(Device *dev) { virtio_reset(VIRTIO_PCI(dev)); }

static void net_sync(Device *dev)
{
    VirtioNet *n = (VirtioNet *)dev;

    memcpy(n->port->mac, n->s.mac, 6);
    virtio_sync(&n->v);
}

DEVICE(virtio_net, "Virtio network card", VirtioNet, .name = "virtio-net-pci",
    .alias = "virtio-net", .bus = "pci", .user_creatable = true, .props = virtio_net_props,
    .vmstates = VMSTATES(&virtio_net_vmstate), .exact = virtio_net_exact, .realize = net_realize,
    .unrealize = net_unrealize, .power_on = net_power_on, .reset = net_reset, .sync = net_sync);
