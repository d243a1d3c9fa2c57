/* SPDX-License-Identifier: MIT */
/*
 * Virtio over PCI: a transitional device's registers.  Source: VIRTIO 1.1, chapters 4.1 and 2.4.
 * BAR 0 has the legacy ports, BAR 1 the vectors of MSI-X, BAR 4 the modern structures, a page each.
 */
#include <string.h>

#include "core/machine.h"
#include "hw/virtio.h"

enum { VIRTIO_VENDOR = 0x1af4, VIRTIO_MODERN_ID = 0x1040 };
enum { BAR_LEGACY = 0, BAR_MSIX = 1, BAR_MODERN = 4, MODERN_SIZE = 0x4000 };
enum { PART_COMMON = 0, PART_ISR = 0x1000, PART_DEVICE = 0x2000, PART_NOTIFY = 0x3000 };
enum { NOTIFY_STEP = 4 };

enum LegacyReg {
    LEGACY_OFFERED = 0,
    LEGACY_FEATURES = 4,
    LEGACY_PFN = 8,
    LEGACY_NUM = 12,
    LEGACY_SELECT = 14,
    LEGACY_NOTIFY = 16,
    LEGACY_STATUS = 18,
    LEGACY_ISR = 19,
    LEGACY_CONFIG = 20, /* with MSI-X enabled the two vectors stand here, and it behind them */
    LEGACY_VECTOR = 20,
    LEGACY_QUEUE_VECTOR = 22,
    LEGACY_CONFIG_MSIX = 24,
};
enum CommonReg {
    COMMON_DFSELECT = 0x00,
    COMMON_DF = 0x04,
    COMMON_GFSELECT = 0x08,
    COMMON_GF = 0x0c,
    COMMON_VECTOR = 0x10,
    COMMON_QUEUES = 0x12,
    COMMON_STATUS = 0x14,
    COMMON_GENERATION = 0x15,
    COMMON_SELECT = 0x16,
    COMMON_NUM = 0x18,
    COMMON_QUEUE_VECTOR = 0x1a,
    COMMON_ENABLE = 0x1c,
    COMMON_NOTIFY_OFF = 0x1e,
    COMMON_DESC = 0x20,
    COMMON_AVAIL = 0x28,
    COMMON_USED = 0x30,
    COMMON_RESET = 0x3a,
};

/* Capabilities in configuration space: where they stand, and the one behind which reads and writes
 * reach the BARs. */
enum { CAP_VENDOR = 0x09, CAP_WINDOW = 0x84, CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12 };
enum { WINDOW_DATA = CAP_WINDOW + 16, CAP_MSIX = CAP_WINDOW + 20, CAP_MSIX_ALONE = 0x40 };

/* -- queues and status -- */

uint64_t virtio_offered(const VirtioPci *v)
{
    uint64_t f = (v->cls->features | VIRTIO_COMMON) & ~v->masked;

    return v->no_modern ? f & ~(VIRTIO_VERSION_1 | VIRTIO_RING_RESET) : f;
}

bool virtio_ready(VirtioPci *v)
{
    const VirtioState *s = virtio_state(v);

    return s->status & VIRTIO_DRIVER_OK && !s->broken &&
           load_le16(s->pci.config + PCI_COMMAND) & PCI_COMMAND_MASTER;
}

static void queue_reset(VirtioPci *v, unsigned n)
{
    VirtioQueue *q = &virtio_state(v)->queues[n];

    memset(q, 0, sizeof(*q));
    q->num = virtio_queue_size(v->cls, n);
    q->vector = VIRTIO_NO_VECTOR;
    virtio_unkick(v, n);
}

static void virtio_reset_state(VirtioPci *v)
{
    VirtioState *s = virtio_state(v);

    s->features = 0;
    s->dfselect = s->gfselect = 0;
    s->gfeatures[0] = s->gfeatures[1] = 0;
    s->queue_sel = 0;
    s->status = s->isr = 0;
    s->broken = false;
    s->vector = VIRTIO_NO_VECTOR;
    for (unsigned n = 0; n < v->pci.msix.vectors; n++) msix_forget(&v->pci, n);
    for (unsigned n = 0; n < v->queues; n++) queue_reset(v, n);
    if (v->cls->reset) v->cls->reset(v);
}

/* The selected queue, or NULL. */
static VirtioQueue *queue_selected(VirtioPci *v)
{
    VirtioState *s = virtio_state(v);

    return s->queue_sel < v->queues ? &s->queues[s->queue_sel] : NULL;
}

static void virtio_notify(VirtioPci *v, unsigned n)
{
    VirtioState *s = virtio_state(v);

    if (n >= v->queues || !virtio_ready(v)) return;
    s->kicks[n / 64] |= 1ull << n % 64;
    v->cls->kick(v, n);
}

static void virtio_work(void *opaque)
{
    VirtioPci *v = opaque;

    for (unsigned n = 0; n < v->queues; n++)
        if (virtio_kicked(v, n) && virtio_ready(v)) v->cls->kick(v, n);
}

/* Queues that were kicked are looked at again. */
static void virtio_resume(VirtioPci *v)
{
    bool any = false;

    for (unsigned n = 0; n < v->queues; n++) any |= virtio_kicked(v, n);
    timer_arm(&v->work, any ? clock_now(v->work.clock) : TIMER_NEVER);
}

static void virtio_set_features(VirtioPci *v, uint64_t features)
{
    uint64_t offered = virtio_offered(v);

    if (features & ~offered)
        guest_error(&v->pci.dev, "driver takes features that were not offered: %#llx",
            (unsigned long long)(features & ~offered));
    virtio_state(v)->features = features & offered;
    if (v->cls->features_set) v->cls->features_set(v);
}

static void virtio_drop(VirtioPci *v)
{
    if (v->cls->cancel) v->cls->cancel(v);
    virtio_reset_state(v);
    pci_set_irq(&v->pci, false);
}

static void virtio_set_status(VirtioPci *v, uint8_t status)
{
    VirtioState *s = virtio_state(v);
    uint64_t wanted = (uint64_t)s->gfeatures[1] << 32 | s->gfeatures[0];

    if (!status) {
        virtio_drop(v);
        return;
    }
    if (status & VIRTIO_FEATURES_OK && !(s->status & VIRTIO_FEATURES_OK) &&
        (wanted & ~virtio_offered(v) || !(wanted & VIRTIO_VERSION_1)))
        status &= (uint8_t)~VIRTIO_FEATURES_OK;
    s->status = status;
}

static uint8_t virtio_take_isr(VirtioPci *v)
{
    VirtioState *s = virtio_state(v);
    uint8_t isr = s->isr;

    s->isr = 0;
    pci_set_irq(&v->pci, false);
    return isr;
}

void virtio_interrupt(VirtioPci *v, uint8_t isr, uint16_t vector)
{
    virtio_state(v)->isr |= isr;
    if (msix_enabled(&v->pci))
        msix_notify(&v->pci, vector);
    else
        pci_set_irq(&v->pci, true);
}

void virtio_config_changed(VirtioPci *v)
{
    VirtioState *s = virtio_state(v);

    s->generation++;
    if (s->status & VIRTIO_DRIVER_OK) virtio_interrupt(v, 3, s->vector);
}

static bool vector_used(VirtioPci *v, uint16_t vector)
{
    const VirtioState *s = virtio_state(v);
    bool used = s->vector == vector;

    for (unsigned n = 0; n < v->queues; n++) used |= s->queues[n].vector == vector;
    return used;
}

/* A vector that there is not becomes none, by which the driver sees that it cannot have it. */
static void vector_set(VirtioPci *v, uint16_t *at, uint32_t val)
{
    uint16_t old = *at;

    *at = val < v->pci.msix.vectors ? (uint16_t)val : VIRTIO_NO_VECTOR;
    if (!vector_used(v, old)) msix_forget(&v->pci, old);
}

/* -- the device's own configuration -- */

static uint32_t config_read(VirtioPci *v, uint32_t off, unsigned size)
{
    const VirtioState *s = virtio_state(v);
    uint32_t val = 0;

    for (unsigned i = 0; i < size; i++)
        if (off + i < v->cls->config_len) val |= (uint32_t)s->config[off + i] << 8 * i;
    return val;
}

static void config_write(VirtioPci *v, uint32_t off, uint32_t val, unsigned size)
{
    if (!v->cls->config_write) return;
    for (unsigned i = 0; i < size; i++, val >>= 8)
        if (off + i < v->cls->config_len) v->cls->config_write(v, off + i, (uint8_t)val);
}

/* -- legacy ports -- */

static uint32_t legacy_config_at(VirtioPci *v)
{
    return msix_enabled(&v->pci) ? LEGACY_CONFIG_MSIX : LEGACY_CONFIG;
}

static uint32_t legacy_read(Device *dev, uint32_t reg, unsigned size)
{
    VirtioPci *v = VIRTIO_PCI(dev);
    VirtioState *s = virtio_state(v);
    const VirtioQueue *q = queue_selected(v);

    if (reg >= legacy_config_at(v)) return config_read(v, reg - legacy_config_at(v), size);
    switch (reg) {
    case LEGACY_OFFERED: return (uint32_t)virtio_offered(v);
    case LEGACY_FEATURES: return (uint32_t)s->features;
    case LEGACY_PFN: return q ? (uint32_t)(q->desc >> PAGE_BITS) : 0;
    case LEGACY_NUM: return q ? virtio_queue_size(v->cls, s->queue_sel) : 0;
    case LEGACY_SELECT: return s->queue_sel;
    case LEGACY_STATUS: return s->status;
    case LEGACY_ISR: return virtio_take_isr(v);
    case LEGACY_VECTOR: return s->vector;
    case LEGACY_QUEUE_VECTOR: return q ? q->vector : VIRTIO_NO_VECTOR;
    default: return 0;
    }
}

static void legacy_set_pfn(VirtioPci *v, uint32_t pfn)
{
    VirtioQueue *q = queue_selected(v);

    if (!pfn) {
        virtio_drop(v);
    } else if (q) {
        q->desc = (uint64_t)pfn << PAGE_BITS;
        q->num = virtio_queue_size(v->cls, virtio_state(v)->queue_sel);
        virtio_legacy_ring(q);
    }
}

static void legacy_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    VirtioPci *v = VIRTIO_PCI(dev);
    VirtioState *s = virtio_state(v);
    VirtioQueue *q = queue_selected(v);

    if (reg >= legacy_config_at(v)) {
        config_write(v, reg - legacy_config_at(v), val, size);
        return;
    }
    switch (reg) {
    case LEGACY_FEATURES:
        if (!(s->status & VIRTIO_FEATURES_OK)) virtio_set_features(v, val & virtio_offered(v));
        break;
    case LEGACY_PFN: legacy_set_pfn(v, val); break;
    case LEGACY_SELECT: s->queue_sel = (uint16_t)val; break;
    case LEGACY_NOTIFY: virtio_notify(v, val & 0xffff); break;
    case LEGACY_STATUS:
        if (val & 0xff)
            s->status = (uint8_t)val;
        else
            virtio_drop(v);
        break;
    case LEGACY_VECTOR: vector_set(v, &s->vector, val & 0xffff); break;
    case LEGACY_QUEUE_VECTOR:
        if (q) vector_set(v, &q->vector, val & 0xffff);
        break;
    default: break;
    }
}

static const IoOps legacy_io = { .read = legacy_read, .write = legacy_write, .width = 4 };

/* -- modern structures -- */

/* One of the six words that say where a queue's parts are, or NULL. */
static uint32_t *common_address(VirtioQueue *q, uint32_t reg)
{
    if (reg & 3 || reg < COMMON_DESC || reg >= COMMON_USED + 8) return NULL;
    if (reg < COMMON_AVAIL) return &q->set_desc[(reg - COMMON_DESC) / 4];
    if (reg < COMMON_USED) return &q->set_avail[(reg - COMMON_AVAIL) / 4];
    return &q->set_used[(reg - COMMON_USED) / 4];
}

static uint32_t common_queue_read(VirtioPci *v, uint32_t reg)
{
    VirtioState *s = virtio_state(v);
    VirtioQueue *q = queue_selected(v);
    const uint32_t *addr;

    if (!q) return 0;
    addr = common_address(q, reg);
    if (addr) return *addr;
    switch (reg) {
    case COMMON_NUM: return q->num;
    case COMMON_QUEUE_VECTOR: return q->vector;
    case COMMON_ENABLE: return q->enabled;
    case COMMON_NOTIFY_OFF: return s->queue_sel;
    default: return 0;
    }
}

static uint32_t common_read(VirtioPci *v, uint32_t reg)
{
    const VirtioState *s = virtio_state(v);

    switch (reg) {
    case COMMON_DFSELECT: return s->dfselect;
    case COMMON_DF: return s->dfselect < 2 ? (uint32_t)(virtio_offered(v) >> 32 * s->dfselect) : 0;
    case COMMON_GFSELECT: return s->gfselect;
    case COMMON_GF: return s->gfselect < 2 ? s->gfeatures[s->gfselect] : 0;
    case COMMON_VECTOR: return s->vector;
    case COMMON_QUEUES: return v->queues;
    case COMMON_STATUS: return s->status;
    case COMMON_GENERATION: return s->generation;
    case COMMON_SELECT: return s->queue_sel;
    default: return common_queue_read(v, reg);
    }
}

static void queue_enable(VirtioPci *v, VirtioQueue *q)
{
    if (q->enabled) return;
    q->enabled = true;
    q->num = q->set_num ? q->set_num : q->num;
    q->desc = (uint64_t)q->set_desc[1] << 32 | q->set_desc[0];
    q->avail = (uint64_t)q->set_avail[1] << 32 | q->set_avail[0];
    q->used = (uint64_t)q->set_used[1] << 32 | q->set_used[0];
    q->last_avail = 0;
    if (!is_pow2(q->num)) virtio_break(v, "a queue's size is no power of two");
}

static void common_queue_write(VirtioPci *v, uint32_t reg, uint32_t val)
{
    VirtioState *s = virtio_state(v);
    VirtioQueue *q = queue_selected(v);
    uint32_t *addr;

    if (!q) return;
    addr = common_address(q, reg);
    if (addr) *addr = val;
    val &= 0xffff;
    switch (reg) {
    case COMMON_NUM:
        if (val && val <= virtio_queue_size(v->cls, s->queue_sel))
            q->set_num = (uint16_t)(q->num = val);
        break;
    case COMMON_QUEUE_VECTOR: vector_set(v, &q->vector, val); break;
    case COMMON_ENABLE:
        if (val == 1) queue_enable(v, q);
        break;
    case COMMON_RESET:
        if (val != 1 || !virtio_has(v, VIRTIO_RING_RESET)) break;
        if (v->cls->cancel) v->cls->cancel(v);
        queue_reset(v, s->queue_sel);
        virtio_resume(v);
        break;
    default: break;
    }
}

static void common_write(VirtioPci *v, uint32_t reg, uint32_t val)
{
    VirtioState *s = virtio_state(v);

    switch (reg) {
    case COMMON_DFSELECT: s->dfselect = val; break;
    case COMMON_GFSELECT: s->gfselect = val; break;
    case COMMON_GF:
        if (s->gfselect > 1 || s->status & VIRTIO_FEATURES_OK) break;
        s->gfeatures[s->gfselect] = val;
        virtio_set_features(v, (uint64_t)s->gfeatures[1] << 32 | s->gfeatures[0]);
        break;
    case COMMON_VECTOR: vector_set(v, &s->vector, val & 0xffff); break;
    case COMMON_STATUS: virtio_set_status(v, (uint8_t)val); break;
    case COMMON_SELECT: s->queue_sel = (uint16_t)val; break;
    default: common_queue_write(v, reg, val);
    }
}

static uint64_t modern_read(Device *dev, MemAttrs attrs, uint64_t off, unsigned size)
{
    VirtioPci *v = VIRTIO_PCI(dev);

    (void)attrs;
    if (off >= PART_NOTIFY) return 0;
    if (off >= PART_DEVICE) return config_read(v, (uint32_t)off - PART_DEVICE, size);
    if (off >= PART_ISR) return off == PART_ISR ? virtio_take_isr(v) : 0;
    return common_read(v, (uint32_t)off);
}

static void modern_write(Device *dev, MemAttrs attrs, uint64_t off, uint64_t val, unsigned size)
{
    VirtioPci *v = VIRTIO_PCI(dev);

    (void)attrs;
    if (off >= PART_NOTIFY)
        virtio_notify(v, (unsigned)(off - PART_NOTIFY) / NOTIFY_STEP);
    else if (off >= PART_DEVICE)
        config_write(v, (uint32_t)off - PART_DEVICE, (uint32_t)val, size);
    else if (off < PART_ISR)
        common_write(v, (uint32_t)off, (uint32_t)val);
}

static const MmioOps modern_ops = { .read = modern_read, .write = modern_write, .max = 4 };

/* -- configuration space -- */

/* The capabilities in the order in which they were made: each points to the one before. */
static const struct VirtioCap {
    uint8_t at, next, len, type;
    uint16_t offset;
} virtio_caps[] = {
    { 0x40, 0x00, 0x10, 1, PART_COMMON },
    { 0x50, 0x40, 0x10, 3, PART_ISR },
    { 0x60, 0x50, 0x10, 4, PART_DEVICE },
    { 0x70, 0x60, 0x14, 2, PART_NOTIFY },
    { CAP_WINDOW, 0x70, 0x14, 5, 0 },
};
enum { CAP_TYPE_NOTIFY = 2, CAP_TYPE_WINDOW = 5, PCI_STATUS_CAPS = 0x10 };

static void virtio_add_caps(VirtioPci *v)
{
    uint8_t *config = pci_config(&v->pci);

    for (unsigned i = 0; i < ARRAY_SIZE(virtio_caps); i++) {
        const struct VirtioCap *c = &virtio_caps[i];
        uint8_t *at = config + c->at;

        at[0] = CAP_VENDOR;
        at[1] = c->next;
        at[2] = c->len;
        at[3] = c->type;
        if (c->type == CAP_TYPE_WINDOW) continue;
        at[CAP_BAR] = BAR_MODERN;
        store_le32(at + CAP_OFFSET, c->offset);
        store_le32(at + CAP_LENGTH, PART_ISR);
        if (c->type == CAP_TYPE_NOTIFY) store_le32(at + 16, NOTIFY_STEP);
    }
    config[PCI_CAPABILITY_LIST] = CAP_WINDOW;
    config[PCI_STATUS] |= PCI_STATUS_CAPS;
}

/* What the window points at: true where that makes sense. */
static bool window_target(VirtioPci *v, uint32_t *off, unsigned *size)
{
    const uint8_t *cap = pci_config(&v->pci) + CAP_WINDOW;
    uint32_t len = load_le32(cap + CAP_LENGTH);

    *off = load_le32(cap + CAP_OFFSET);
    *size = len;
    return cap[CAP_BAR] == BAR_MODERN && (len == 1 || len == 2 || len == 4) &&
           *off <= MODERN_SIZE - len && !(*off % len);
}

static bool touches_window(unsigned off, unsigned len)
{
    return off < WINDOW_DATA + 4 && off + len > WINDOW_DATA;
}

static void virtio_config_reading(PciDev *pd, unsigned off, unsigned len)
{
    VirtioPci *v = VIRTIO_PCI(&pd->dev);
    uint32_t at;
    unsigned size;

    if (!touches_window(off, len) || !window_target(v, &at, &size)) return;
    store_le32(
        pci_config(pd) + WINDOW_DATA, (uint32_t)modern_read(&pd->dev, (MemAttrs){ 0 }, at, size));
}

static void virtio_config_written(PciDev *pd, unsigned off, unsigned len)
{
    VirtioPci *v = VIRTIO_PCI(&pd->dev);
    uint32_t at;
    unsigned size;

    if (!touches_window(off, len) || !window_target(v, &at, &size)) return;
    modern_write(&pd->dev, (MemAttrs){ 0 }, at, load_le32(pci_config(pd) + WINDOW_DATA), size);
}

/* -- life -- */

static bool virtio_init_msix(VirtioPci *v, Error *err)
{
    if (v->vectors == VIRTIO_VECTORS_DEFAULT)
        v->vectors = v->cls->vectors ? v->cls->vectors : v->queues + 1;
    return msix_init(&v->pci, BAR_MSIX, "virtio-pci-msix", v->vectors, offsetof(VirtioState, msix),
        v->no_modern ? CAP_MSIX_ALONE : CAP_MSIX, err);
}

bool virtio_realize(VirtioPci *v, const VirtioClass *cls, Error *err)
{
    PciDev *pd = &v->pci;
    uint32_t ports = 4, config_at;

    v->cls = cls;
    if (!v->queues) v->queues = cls->queues;
    if (v->no_legacy && v->no_modern)
        return error_set(err, "device cannot work as neither modern nor legacy mode is enabled");
    if (!pci_attach(pd, err) || !virtio_init_msix(v, err)) return false;
    timer_init(&v->work, &pd->dev.m->clock, virtio_work, v);
    config_at = v->vectors ? LEGACY_CONFIG_MSIX : LEGACY_CONFIG;
    while (ports < config_at + cls->config_len) ports *= 2;
    if (!v->no_legacy) pci_bar_io(pd, BAR_LEGACY, "virtio-pci", ports, &legacy_io, 0);
    if (v->no_modern) return true;
    pd->bars[BAR_MODERN].prefetchable = true;
    pd->bars[BAR_MODERN].wide = true;
    pci_bar_mmio(pd, BAR_MODERN, "virtio-pci-modern", MODERN_SIZE, &modern_ops);
    memset(pd->wmask + CAP_WINDOW + CAP_BAR, 0xff, 1);
    memset(pd->wmask + CAP_WINDOW + CAP_OFFSET, 0xff, 12);
    pd->config_reading = virtio_config_reading;
    pd->config_written = virtio_config_written;
    return true;
}

void virtio_power_on(VirtioPci *v)
{
    uint8_t *config = pci_config(&v->pci);
    uint16_t id = v->no_legacy ? VIRTIO_MODERN_ID + v->cls->device : v->cls->legacy_id;

    pci_power_on(&v->pci, VIRTIO_VENDOR, id, v->no_legacy, v->cls->pci_class, 1);
    store_le16(config + PCI_SUBSYSTEM_VENDOR_ID, VIRTIO_VENDOR);
    store_le16(config + PCI_SUBSYSTEM_ID, v->no_legacy ? 0x1100 : v->cls->device);
    if (!v->no_modern) virtio_add_caps(v);
    virtio_state(v)->nqueues = (uint16_t)v->queues;
    msix_power_on(&v->pci);
}

void virtio_reset(VirtioPci *v)
{
    pci_reset(&v->pci);
    if (!v->no_modern) memset(pci_config(&v->pci) + CAP_WINDOW + CAP_BAR, 0, 16);
    msix_reset(&v->pci);
    virtio_reset_state(v);
}

void virtio_sync(VirtioPci *v)
{
    if (v->cls->cancel) v->cls->cancel(v);
    pci_sync(&v->pci);
    virtio_resume(v);
}
