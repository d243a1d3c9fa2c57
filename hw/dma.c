/* SPDX-License-Identifier: MIT */
/*
 * 8237A DMA controllers of a PC with their page registers.
 * Source: Intel 8237A data sheet (order 231466); IBM PC AT Technical Reference for the pages.
 * Not modelled: memory-to-memory transfers, bus timing, cascade mode.
 *
 * One device is one controller: the 8-bit one (channels 0 to 3) with the defaults, the 16-bit one
 * (4 to 7) with base 0xc0, page-base 0x88, dshift 1.  now[0] is the byte address where the block
 * starts and now[1] the bytes moved since; both are what a snapshot holds.
 */
#include "hw/dma.h"

enum { DMA_CHANNELS = 4, ADDRESS = 0, COUNT = 1 };
/* Registers: 0 to 7 of the channels, control registers, and behind PAGES the page registers. */
enum {
    REG_COMMAND = 8, /* read: status */
    REG_REQUEST,
    REG_MASK,
    REG_MODE,
    REG_FLIP_FLOP,
    REG_CLEAR, /* read: temporary register */
    REG_UNMASK,
    REG_ALL_MASK,
    REGS,
    PAGES = 0x40,
    PAGES_HIGH = 0x48
};
enum { COMMAND_DISABLE = 0x04, MODE_AUTOINIT = 0x10, MODE_DOWN = 0x20, MODE_TRANSFER = 0x0c };

typedef struct DmaRegs {
    int32_t now[2];
    uint16_t base[2];
    uint8_t mode, page, pageh, dack, eop;
} DmaRegs;

typedef struct Dma {
    Device dev;
    uint16_t base, page_base;
    int32_t pageh_base; /* of page registers for address bits 24 to 31, -1: none */
    uint8_t dshift_prop;
    IsaDmaClient clients[DMA_CHANNELS];
    struct DmaState {
        uint8_t command, mask, flip_flop;
        int32_t dshift;
        DmaRegs regs[DMA_CHANNELS];
        uint8_t status; /* terminal counts, and requests in the high half */
    } s;
} Dma;
#define DMA(d) ((Dma *)(d))

static const VmField dma_regs_fields[] = {
    VM_INTS(DmaRegs, now),
    VM_INTS(DmaRegs, base),
    VM_INT(DmaRegs, mode),
    VM_INT(DmaRegs, page),
    VM_INT(DmaRegs, pageh),
    VM_INT(DmaRegs, dack),
    VM_INT(DmaRegs, eop),
    VM_END,
};

static const VmState dma_regs_vmstate = {
    .name = "dma_regs",
    .version = 1,
    .min_version = 1,
    .fields = dma_regs_fields,
};

static const VmField dma_fields[] = {
    VM_INT(struct DmaState, command),
    VM_INT(struct DmaState, mask),
    VM_INT(struct DmaState, flip_flop),
    VM_INT(struct DmaState, dshift),
    VM_STRUCTS(struct DmaState, regs, "regs", dma_regs_vmstate, 1),
    VM_END,
};

static bool dma_post_load(void *state, int version, Error *err)
{
    struct DmaState *s = state;

    (void)version;
    if (s->dshift < 0 || s->dshift > 1) return error_set(err, "dma: dshift out of range");
    for (int i = 0; i < DMA_CHANNELS; i++)
        if (s->regs[i].now[COUNT] < 0 || s->regs[i].now[COUNT] > 0x10000 << s->dshift)
            return error_set(err, "dma: count out of range");
    return true;
}

static const VmState dma_vmstate = {
    .name = "dma",
    .version = 1,
    .min_version = 1,
    .fields = dma_fields,
    .post_load = dma_post_load,
};

static const VmField dma_exact[] = { VM_INT(struct DmaState, status), VM_END };

static const Prop dma_props[] = {
    PROP(Dma, base, "0"),
    PROP_AS(Dma, page_base, "page-base", "0x80"),
    PROP_AS(Dma, pageh_base, "pageh-base", "-1"),
    PROP_AS(Dma, dshift_prop, "dshift", "0"),
    PROP_END,
};

/* Which channel a page register is of: by its offset from the first one (81h, 89h). */
static const int8_t dma_page_channel[8] = { -1, 2, 3, 1, -1, -1, -1, 0 };

static int32_t dma_block_bytes(const struct DmaState *s, unsigned ch)
{
    return (s->regs[ch].base[COUNT] + 1) << s->dshift;
}

static void dma_start_block(struct DmaState *s, unsigned ch)
{
    s->regs[ch].now[ADDRESS] = s->regs[ch].base[ADDRESS] << s->dshift;
    s->regs[ch].now[COUNT] = 0;
}

static bool dma_usable(const struct DmaState *s, unsigned ch)
{
    return !(s->command & COMMAND_DISABLE) && !(s->mask & 1 << ch);
}

/* Tells the devices whose requests can be served now. */
static void dma_wake(Dma *d)
{
    for (unsigned ch = 0; ch < DMA_CHANNELS; ch++) {
        const IsaDmaClient *c = &d->clients[ch];

        if (c->ready && d->s.status & 0x10 << ch && dma_usable(&d->s, ch)) c->ready(c->opaque);
    }
}

static void dma_resume(Device *dev) { dma_wake(DMA(dev)); }

/* -- registers -- */

static uint8_t dma_next_byte(struct DmaState *s)
{
    bool high = s->flip_flop; /* a loaded one may be any byte */

    s->flip_flop = !high;
    return high;
}

static uint8_t dma_read_channel(Dma *d, unsigned ch, unsigned which)
{
    struct DmaState *s = &d->s;
    const DmaRegs *r = &s->regs[ch];
    uint32_t v, done = (uint32_t)r->now[COUNT];

    if (which == COUNT)
        v = ((uint32_t)r->base[COUNT] << s->dshift) - done;
    else
        v = (uint32_t)r->now[ADDRESS] + (r->mode & MODE_DOWN ? -done : done);
    return get_byte16((uint16_t)(v >> s->dshift), dma_next_byte(s));
}

static void dma_write_channel(Dma *d, unsigned ch, unsigned which, uint8_t val)
{
    struct DmaState *s = &d->s;

    set_byte16(&s->regs[ch].base[which], dma_next_byte(s), val);
    dma_start_block(s, ch);
}

static void dma_clear(struct DmaState *s)
{
    s->command = s->flip_flop = s->status = 0;
    s->mask = 0x0f;
}

static void dma_write_control(Dma *d, uint32_t reg, uint8_t val)
{
    struct DmaState *s = &d->s;
    unsigned ch = val & 3, bit = 1u << ch;

    switch (reg) {
    case REG_COMMAND:
        if (val & 0x01) unimplemented(&d->dev, "memory-to-memory transfer");
        s->command = val;
        break;
    case REG_REQUEST:
        s->status = (uint8_t)(val & 4 ? s->status | bit << 4 : s->status & ~(bit << 4));
        break;
    case REG_MASK: s->mask = (uint8_t)(val & 4 ? s->mask | bit : s->mask & ~bit); break;
    case REG_MODE: s->regs[ch].mode = val; break;
    case REG_FLIP_FLOP: s->flip_flop = 0; break;
    case REG_CLEAR: dma_clear(s); break;
    case REG_UNMASK: s->mask = 0; break;
    case REG_ALL_MASK: s->mask = val & 0x0f; break;
    }
    dma_wake(d);
}

static uint8_t *dma_page_register(Dma *d, uint32_t reg)
{
    DmaRegs *r = &d->s.regs[dma_page_channel[reg & 7]];

    return reg >= PAGES_HIGH ? &r->pageh : &r->page;
}

static uint32_t dma_reg_read(Device *dev, uint32_t reg, unsigned size)
{
    Dma *d = DMA(dev);
    uint8_t val = 0;

    (void)size;
    if (reg >= PAGES) return *dma_page_register(d, reg);
    reg >>= d->s.dshift;
    if (reg < REG_COMMAND) return dma_read_channel(d, reg >> 1, reg & 1);
    if (reg == REG_COMMAND) {
        val = d->s.status;
        d->s.status &= 0xf0;
    } else if (reg == REG_ALL_MASK) {
        val = d->s.mask;
    }
    return val;
}

static void dma_reg_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    Dma *d = DMA(dev);

    (void)size;
    if (reg >= PAGES)
        *dma_page_register(d, reg) = (uint8_t)val;
    else if (reg >> d->s.dshift < REG_COMMAND)
        dma_write_channel(d, reg >> d->s.dshift >> 1, reg >> d->s.dshift & 1, (uint8_t)val);
    else
        dma_write_control(d, reg >> d->s.dshift, (uint8_t)val);
}

static const IoOps dma_io = { .read = dma_reg_read, .write = dma_reg_write };

/* -- transfers -- */

/* Which controller serves a channel, by its dshift. */
typedef struct DmaSlot {
    Dma *controllers[2];
} DmaSlot;

static DmaSlot *dma_slot(Machine *m) { return machine_slot(m, "isa-dma", sizeof(DmaSlot), NULL); }

static Dma *dma_of_channel(Machine *m, unsigned channel)
{
    return dma_slot(m)->controllers[channel / DMA_CHANNELS];
}

bool isa_dma_attach(Machine *m, unsigned channel, const IsaDmaClient *client, Error *err)
{
    Dma *d = channel < 2 * DMA_CHANNELS ? dma_of_channel(m, channel) : NULL;
    IsaDmaClient *c;

    if (!d) return error_set(err, "there is no DMA channel %u", channel);
    c = &d->clients[channel % DMA_CHANNELS];
    if (c->ready) return error_set(err, "DMA channel %u is taken", channel);
    *c = *client;
    return true;
}

void isa_dma_detach(Machine *m, unsigned channel)
{
    dma_of_channel(m, channel)->clients[channel % DMA_CHANNELS] = (IsaDmaClient){ 0 };
}

void isa_dma_request(Machine *m, unsigned channel, bool level)
{
    struct DmaState *s = &dma_of_channel(m, channel)->s;
    uint8_t bit = (uint8_t)(0x10 << channel % DMA_CHANNELS);

    s->status = level ? s->status | bit : s->status & ~bit;
}

IsaDmaDir isa_dma_direction(Machine *m, unsigned channel)
{
    switch (dma_of_channel(m, channel)->s.regs[channel % DMA_CHANNELS].mode & MODE_TRANSFER) {
    case 4: return ISA_DMA_TO_MEMORY;
    case 8: return ISA_DMA_FROM_MEMORY;
    default: return ISA_DMA_VERIFY;
    }
}

size_t isa_dma_space(Machine *m, unsigned channel)
{
    const struct DmaState *s = &dma_of_channel(m, channel)->s;
    unsigned ch = channel % DMA_CHANNELS;
    int32_t left = dma_block_bytes(s, ch) - s->regs[ch].now[COUNT];

    return dma_usable(s, ch) && left > 0 ? (size_t)left : 0;
}

/* Where the next unit goes.  The address counter has 16 bits (of words on a 16-bit channel) and
 * wraps without touching the page. */
static uint64_t dma_next_address(const struct DmaState *s, unsigned ch, uint32_t *until_wrap)
{
    const DmaRegs *r = &s->regs[ch];
    uint32_t window = 0x10000u << s->dshift, done = (uint32_t)r->now[COUNT];
    uint32_t off = (uint32_t)r->now[ADDRESS] + (r->mode & MODE_DOWN ? -done : done);
    uint64_t page = (uint64_t)(r->pageh & 0x7f) << 24 | (uint64_t)r->page << 16;

    off &= window - 1;
    *until_wrap = r->mode & MODE_DOWN ? 1u << s->dshift : window - off;
    return (page & ~(uint64_t)(window - 1)) | off;
}

static void dma_end_block(struct DmaState *s, unsigned ch)
{
    s->status |= (uint8_t)(1 << ch);
    if (s->regs[ch].mode & MODE_AUTOINIT)
        dma_start_block(s, ch);
    else
        s->mask |= (uint8_t)(1 << ch);
}

size_t isa_dma_move(Machine *m, unsigned channel, void *buf, size_t len, bool *tc)
{
    Dma *d = dma_of_channel(m, channel);
    unsigned ch = channel % DMA_CHANNELS;
    size_t todo = MIN_OF(len, isa_dma_space(m, channel)) & ~((1u << d->s.dshift) - 1u), done = 0;
    IsaDmaDir dir = isa_dma_direction(m, channel);

    *tc = false;
    while (done < todo) {
        uint32_t until_wrap;
        uint64_t gpa = dma_next_address(&d->s, ch, &until_wrap);
        size_t n = MIN_OF(todo - done, until_wrap);

        if (dir != ISA_DMA_VERIFY && !dma_probe(&d->dev, gpa, n, dma_resume)) return done;
        if (dir == ISA_DMA_TO_MEMORY) dma_write(&d->dev, gpa, (char *)buf + done, n);
        if (dir == ISA_DMA_FROM_MEMORY) dma_read(&d->dev, gpa, (char *)buf + done, n);
        d->s.regs[ch].now[COUNT] += (int32_t)n;
        done += n;
    }
    if (todo && d->s.regs[ch].now[COUNT] == dma_block_bytes(&d->s, ch)) {
        dma_end_block(&d->s, ch);
        *tc = true;
    }
    return done;
}

/* -- life -- */

static bool dma_map_pages(Dma *d, uint32_t port, uint32_t first_reg, Error *err)
{
    for (uint32_t i = 0; i < ARRAY_SIZE(dma_page_channel); i++)
        if (dma_page_channel[i] >= 0 &&
            !pio_map(&d->dev, port + i, 1, &dma_io, first_reg + i, "dma-page", err))
            return false;
    return true;
}

static bool dma_realize(Device *dev, Error *err)
{
    Dma *d = DMA(dev);
    uint32_t half;

    if (d->dshift_prop > 1) return error_set(err, "dshift is 0 or 1");
    half = 8u << d->dshift_prop;
    dma_slot(dev->m)->controllers[d->dshift_prop] = d;
    if (d->pageh_base >= 0 && !dma_map_pages(d, (uint32_t)d->pageh_base, PAGES_HIGH, err))
        return false;
    return pio_map(dev, d->base, half, &dma_io, 0, "dma-chan", err) &&
           pio_map(dev, d->base + half, half, &dma_io, half, "dma-cont", err) &&
           dma_map_pages(d, d->page_base, PAGES, err);
}

static void dma_unrealize(Device *dev)
{
    dma_slot(dev->m)->controllers[DMA(dev)->dshift_prop] = NULL;
}

static void dma_reset(Device *dev)
{
    DMA(dev)->s.dshift = DMA(dev)->dshift_prop;
    dma_clear(&DMA(dev)->s);
}

DEVICE(dma, "8237A DMA controller", Dma, .name = "i8257", .bus = "isa", .props = dma_props,
    .vmstates = VMSTATES(&dma_vmstate), .exact = dma_exact, .realize = dma_realize,
    .unrealize = dma_unrealize, .reset = dma_reset);
