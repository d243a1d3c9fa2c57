/* SPDX-License-Identifier: MIT */
/*
 * 16550A serial port.
 * Source: National Semiconductor PC16550D data sheet.
 * Not modelled: the time that a character takes to send (the back end takes it at once), parity and
 * framing errors, modem lines of a real port behind the back end.
 */
#include "core/machine.h"
#include "hw/acpi.h"
#include "util/chardev.h"

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR, REGS };
enum { IER_RX = 0x01, IER_TX = 0x02, IER_LINE = 0x04, IER_MODEM = 0x08 };
enum { IIR_NONE = 0x01, IIR_MODEM = 0x00, IIR_TX = 0x02, IIR_RX = 0x04, IIR_LINE = 0x06 };
enum { IIR_TIMEOUT = 0x0c, IIR_CAUSE = 0x0f, IIR_FIFO = 0xc0 };
enum { FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02, FCR_CLEAR_TX = 0x04, FCR_TRIGGER = 0xc0 };
enum { LCR_STOP = 0x04, LCR_PARITY = 0x08, LCR_BREAK = 0x40, LCR_DLAB = 0x80 };
enum { MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10 };
enum { LSR_DATA = 0x01, LSR_OVERRUN = 0x02, LSR_BREAK = 0x10, LSR_ERRORS = 0x1e };
enum { LSR_THRE = 0x20, LSR_EMPTY = 0x40 };
enum { MSR_DCTS = 0x01, MSR_DDSR = 0x02, MSR_TERI = 0x04, MSR_DDCD = 0x08, MSR_CHANGES = 0x0f };
enum { MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };
enum { FIFO_SIZE = 16, UART_HZ = 1843200 / 16 };

typedef struct UartFifo {
    uint8_t data[FIFO_SIZE];
    uint32_t head, num;
} UartFifo;

typedef struct Uart {
    Device dev;
    int32_t index; /* COM1 is 0; -1: the next one */
    uint16_t iobase;
    Irq irq;
    Chardev *chardev;
    MachineNotifier notifier;
    Timer timeout, kick;
    struct UartState {
        uint16_t divider;
        uint8_t rbr, ier, iir, lcr, mcr, lsr, msr, scr, fcr;
        uint8_t thr, tsr; /* what is on its way while tsr_retry is set: from a loaded state only */
        int32_t thr_ipending; /* THR has run empty and nobody has been told */
        int32_t tsr_retry;
        UartFifo recv_fifo, xmit_fifo;
        int64_t fifo_timeout_timer; /* virtual ns; -1: not running */
        int32_t timeout_ipending;
        int32_t poll_msl; /* of a real port: -1 */
        int64_t modem_status_poll;
    } s;
} Uart;
#define UART(d) ((Uart *)(d))

/* -- on the wire -- */

static const VmField uart_thr_ipending_fields[] = { VM_INT(struct UartState, thr_ipending),
    VM_END };

/* It is read only while its interrupt is on, and usually follows from IIR. */
static bool uart_thr_ipending_needed(const void *state)
{
    const struct UartState *s = state;

    return s->ier & IER_TX && s->thr_ipending != ((s->iir & IIR_CAUSE) == IIR_TX);
}

static const VmState uart_thr_ipending_vmstate = {
    .name = "serial/thr_ipending",
    .version = 1,
    .min_version = 1,
    .fields = uart_thr_ipending_fields,
    .needed = uart_thr_ipending_needed,
};

static const VmField uart_tsr_fields[] = {
    VM_INT(struct UartState, tsr_retry),
    VM_INT(struct UartState, thr),
    VM_INT(struct UartState, tsr),
    VM_END,
};

static bool uart_tsr_needed(const void *state)
{
    return ((const struct UartState *)state)->tsr_retry != 0;
}

static const VmState uart_tsr_vmstate = {
    .name = "serial/tsr",
    .version = 1,
    .min_version = 1,
    .fields = uart_tsr_fields,
    .needed = uart_tsr_needed,
};

static const VmField uart_fifo_fields[] = {
    VM_BUFFER(UartFifo, data),
    VM_INT(UartFifo, head),
    VM_INT(UartFifo, num),
    VM_END,
};

static bool uart_fifo_post_load(void *state, int version, Error *err)
{
    const UartFifo *f = state;

    (void)version;
    if (f->head >= FIFO_SIZE || f->num > FIFO_SIZE)
        return error_set(err, "serial: FIFO out of range");
    return true;
}

static const VmState uart_fifo_vmstate = {
    .name = "Fifo8",
    .version = 1,
    .min_version = 1,
    .fields = uart_fifo_fields,
    .post_load = uart_fifo_post_load,
};

static const VmField uart_recv_fifo_fields[] = {
    VM_STRUCT(struct UartState, recv_fifo, "recv_fifo", uart_fifo_vmstate, 1),
    VM_END,
};

static bool uart_recv_fifo_needed(const void *state)
{
    return ((const struct UartState *)state)->recv_fifo.num != 0;
}

static const VmState uart_recv_fifo_vmstate = {
    .name = "serial/recv_fifo",
    .version = 1,
    .min_version = 1,
    .fields = uart_recv_fifo_fields,
    .needed = uart_recv_fifo_needed,
};

static const VmField uart_xmit_fifo_fields[] = {
    VM_STRUCT(struct UartState, xmit_fifo, "xmit_fifo", uart_fifo_vmstate, 1),
    VM_END,
};

static bool uart_xmit_fifo_needed(const void *state)
{
    return ((const struct UartState *)state)->xmit_fifo.num != 0;
}

static const VmState uart_xmit_fifo_vmstate = {
    .name = "serial/xmit_fifo",
    .version = 1,
    .min_version = 1,
    .fields = uart_xmit_fifo_fields,
    .needed = uart_xmit_fifo_needed,
};

static const VmField uart_timeout_fields[] = {
    VM_TIMER(struct UartState, fifo_timeout_timer, "fifo_timeout_timer"),
    VM_END,
};

static bool uart_timeout_needed(const void *state)
{
    return ((const struct UartState *)state)->fifo_timeout_timer >= 0;
}

static const VmState uart_timeout_vmstate = {
    .name = "serial/fifo_timeout_timer",
    .version = 1,
    .min_version = 1,
    .fields = uart_timeout_fields,
    .needed = uart_timeout_needed,
};

static const VmField uart_timeout_pending_fields[] = {
    VM_INT(struct UartState, timeout_ipending),
    VM_END,
};

static bool uart_timeout_pending_needed(const void *state)
{
    return ((const struct UartState *)state)->timeout_ipending != 0;
}

static const VmState uart_timeout_pending_vmstate = {
    .name = "serial/timeout_ipending",
    .version = 1,
    .min_version = 1,
    .fields = uart_timeout_pending_fields,
    .needed = uart_timeout_pending_needed,
};

static const VmField uart_poll_fields[] = {
    VM_INT(struct UartState, poll_msl),
    VM_TIMER(struct UartState, modem_status_poll, "modem_status_poll"),
    VM_END,
};

static bool uart_poll_needed(const void *state)
{
    return ((const struct UartState *)state)->poll_msl >= 0;
}

static const VmState uart_poll_vmstate = {
    .name = "serial/poll",
    .version = 1,
    .min_version = 1,
    .fields = uart_poll_fields,
    .needed = uart_poll_needed,
};

static const VmField uart_fields[] = {
    VM_INT_V(struct UartState, divider, "divider", 2),
    VM_INT(struct UartState, rbr),
    VM_INT(struct UartState, ier),
    VM_INT(struct UartState, iir),
    VM_INT(struct UartState, lcr),
    VM_INT(struct UartState, mcr),
    VM_INT(struct UartState, lsr),
    VM_INT(struct UartState, msr),
    VM_INT(struct UartState, scr),
    VM_INT_V(struct UartState, fcr, "fcr_vmstate", 3),
    VM_END,
};

enum { THR_UNKNOWN = -1 };

static bool uart_pre_load(void *state, Error *err)
{
    (void)err;
    ((struct UartState *)state)->thr_ipending = THR_UNKNOWN;
    return true;
}

static bool uart_post_load(void *state, int version, Error *err)
{
    struct UartState *s = state;

    (void)version;
    if (s->thr_ipending == THR_UNKNOWN) s->thr_ipending = (s->iir & IIR_CAUSE) == IIR_TX;
    if (s->tsr_retry <= 0 && !(s->lsr & LSR_THRE))
        return error_set(err, "serial: a character to be sent is missing");
    return true;
}

static const VmState uart_state_vmstate = {
    .name = "serial",
    .version = 3,
    .min_version = 2,
    .fields = uart_fields,
    .subsections = VMSTATES(&uart_thr_ipending_vmstate, &uart_tsr_vmstate, &uart_recv_fifo_vmstate,
        &uart_xmit_fifo_vmstate, &uart_timeout_vmstate, &uart_timeout_pending_vmstate,
        &uart_poll_vmstate),
    .pre_load = uart_pre_load,
    .post_load = uart_post_load,
};

typedef struct UartSection {
    struct UartState state;
} UartSection;

static const VmField uart_section_fields[] = {
    VM_STRUCT(UartSection, state, "state", uart_state_vmstate, 3),
    VM_END,
};

static const VmState uart_vmstate = {
    .name = "serial",
    .version = 3,
    .min_version = 2,
    .fields = uart_section_fields,
};

static const Prop uart_props[] = {
    PROP(Uart, index, "-1"),
    PROP(Uart, iobase, "0"), /* by index */
    PROP(Uart, irq, ""),     /* by index */
    PROP(Uart, chardev, ""),
    PROP_END,
};

/* -- FIFOs -- */

static void fifo_put(UartFifo *f, uint8_t byte)
{
    f->data[(f->head + f->num++) % FIFO_SIZE] = byte;
}

/* An empty one is all zeros: a load, to which it is not sent, finds the same. */
static uint8_t fifo_get(UartFifo *f)
{
    uint8_t byte = f->data[f->head];

    f->data[f->head] = 0;
    f->head = --f->num ? (f->head + 1) % FIFO_SIZE : 0;
    return byte;
}

static unsigned uart_trigger(const struct UartState *s)
{
    static const uint8_t levels[] = { 1, 4, 8, 14 };

    return levels[s->fcr >> 6];
}

/* -- interrupts -- */

static uint8_t uart_cause(const struct UartState *s)
{
    if (s->ier & IER_LINE && s->lsr & LSR_ERRORS) return IIR_LINE;
    if (s->ier & IER_RX && s->timeout_ipending) return IIR_TIMEOUT;
    if (s->ier & IER_RX && s->lsr & LSR_DATA &&
        (!(s->fcr & FCR_ENABLE) || s->recv_fifo.num >= uart_trigger(s)))
        return IIR_RX;
    if (s->ier & IER_TX && s->thr_ipending) return IIR_TX;
    if (s->ier & IER_MODEM && s->msr & MSR_CHANGES) return IIR_MODEM;
    return IIR_NONE;
}

static void uart_update(Uart *u)
{
    struct UartState *s = &u->s;

    s->iir = uart_cause(s) | (s->iir & IIR_FIFO);
    irq_set(&u->irq, !(s->iir & IIR_NONE));
}

/* -- receiving -- */

/* Four characters' time at the rate that is set; what stands in no register is a start bit. */
static int64_t uart_timeout_ns(const struct UartState *s)
{
    unsigned bits = 1 + 5 + (s->lcr & 3) + !!(s->lcr & LCR_PARITY) + (s->lcr & LCR_STOP ? 2 : 1);
    unsigned divider = s->divider ? s->divider : 0x10000;

    return (int64_t)(4 * bits * (uint64_t)divider * NS_PER_S / UART_HZ);
}

static void uart_set_timeout(Uart *u, int64_t when)
{
    u->s.fifo_timeout_timer = when;
    timer_arm(&u->timeout, when);
}

static void uart_restart_timeout(Uart *u)
{
    u->s.timeout_ipending = 0;
    if (u->s.fcr & FCR_ENABLE && u->s.recv_fifo.num)
        uart_set_timeout(u, clock_now(&u->dev.m->clock) + uart_timeout_ns(&u->s));
    else
        uart_set_timeout(u, TIMER_NEVER);
}

static void uart_timeout_fire(void *opaque)
{
    Uart *u = opaque;

    u->s.fifo_timeout_timer = TIMER_NEVER;
    if (u->s.recv_fifo.num) u->s.timeout_ipending = 1;
    uart_update(u);
}

static void uart_receive_byte(Uart *u, uint8_t byte)
{
    struct UartState *s = &u->s;

    if (s->fcr & FCR_ENABLE) {
        if (s->recv_fifo.num == FIFO_SIZE)
            s->lsr |= LSR_OVERRUN;
        else
            fifo_put(&s->recv_fifo, byte);
        s->lsr |= LSR_DATA;
        uart_restart_timeout(u);
    } else {
        if (s->lsr & LSR_DATA) s->lsr |= LSR_OVERRUN;
        s->rbr = byte;
        s->lsr |= LSR_DATA;
    }
    uart_update(u);
}

static size_t uart_can_receive(void *opaque)
{
    const Uart *u = opaque;

    /* While the machine stands its state does not change; a load would drop what came before. */
    if (!machine_running(u->dev.m) || u->s.mcr & MCR_LOOP) return 0;
    if (u->s.fcr & FCR_ENABLE) return FIFO_SIZE - u->s.recv_fifo.num;
    return !(u->s.lsr & LSR_DATA);
}

static void uart_receive(void *opaque, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) uart_receive_byte(opaque, buf[i]);
}

static void uart_event(void *opaque, ChardevEvent event)
{
    Uart *u = opaque;

    if (event != CHARDEV_BREAK || u->s.mcr & MCR_LOOP) return;
    u->s.lsr |= LSR_BREAK;
    uart_receive_byte(u, 0);
}

static uint8_t uart_read_rbr(Uart *u)
{
    struct UartState *s = &u->s;
    uint8_t byte;

    if (s->fcr & FCR_ENABLE) {
        s->rbr = s->recv_fifo.num ? fifo_get(&s->recv_fifo) : 0;
        if (!s->recv_fifo.num) s->lsr &= ~(LSR_DATA | LSR_BREAK);
        uart_restart_timeout(u);
    } else {
        s->lsr &= ~(LSR_DATA | LSR_BREAK);
    }
    uart_update(u);
    byte = s->rbr;
    /* a mux hands the next one over at once */
    if (u->chardev && !(s->mcr & MCR_LOOP)) chardev_accept_input(u->chardev);
    return byte;
}

/* -- sending -- */

static void uart_send(Uart *u, uint8_t byte)
{
    if (u->s.mcr & MCR_LOOP)
        uart_receive_byte(u, byte);
    else if (u->chardev)
        chardev_write(u->chardev, &byte, 1);
}

/* Sends what a loaded state had waiting for its back end. */
static void uart_send_waiting(Uart *u)
{
    struct UartState *s = &u->s;

    if (s->tsr_retry <= 0) return;
    s->tsr_retry = 0;
    uart_send(u, s->tsr);
    if (!(s->lsr & LSR_THRE) && !(s->fcr & FCR_ENABLE)) uart_send(u, s->thr);
    while (s->xmit_fifo.num) uart_send(u, fifo_get(&s->xmit_fifo));
    s->thr_ipending |= !(s->lsr & LSR_THRE);
    s->lsr |= LSR_THRE | LSR_EMPTY;
    uart_update(u);
}

static void uart_kick_fire(void *opaque)
{
    Uart *u = opaque;

    uart_send_waiting(u);
    if (u->chardev) chardev_accept_input(u->chardev);
}

static void uart_write_thr(Uart *u, uint8_t byte)
{
    uart_send_waiting(u);
    uart_send(u, byte);
    u->s.lsr |= LSR_THRE | LSR_EMPTY;
    u->s.thr_ipending = 1;
    uart_update(u);
}

/* -- modem lines -- */

/* The far side's lines: our own in loopback, else a peer that is always ready. */
static void uart_update_modem(Uart *u)
{
    struct UartState *s = &u->s;
    uint8_t lines = MSR_DCD | MSR_DSR | MSR_CTS, changed;

    if (s->mcr & MCR_LOOP)
        lines = (uint8_t)((s->mcr & MCR_DTR ? MSR_DSR : 0) | (s->mcr & MCR_RTS ? MSR_CTS : 0) |
                          (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0));
    changed = (s->msr ^ lines) & 0xf0;
    s->msr = (s->msr & MSR_CHANGES) | lines;
    if (changed & MSR_CTS) s->msr |= MSR_DCTS;
    if (changed & MSR_DSR) s->msr |= MSR_DDSR;
    if (changed & MSR_DCD) s->msr |= MSR_DDCD;
    if (changed & MSR_RI && !(lines & MSR_RI)) s->msr |= MSR_TERI;
}

/* -- registers -- */

static void uart_write_ier(Uart *u, uint8_t val)
{
    struct UartState *s = &u->s;
    uint8_t rising = val & ~s->ier;

    s->ier = val & 0x0f;
    /* Turning the interrupt on tells of an empty register; turning it off forgets. */
    if (rising & IER_TX) s->thr_ipending = !!(s->lsr & LSR_THRE);
    if (!(s->ier & IER_TX)) s->thr_ipending = 0;
    uart_update(u);
}

static void uart_write_fcr(Uart *u, uint8_t val)
{
    struct UartState *s = &u->s;
    bool switched = (val ^ s->fcr) & FCR_ENABLE;

    if (switched || val & FCR_CLEAR_RX) {
        s->recv_fifo = (UartFifo){ 0 };
        s->lsr &= ~(LSR_DATA | LSR_BREAK);
        s->timeout_ipending = 0;
        uart_set_timeout(u, TIMER_NEVER);
    }
    if (switched || val & FCR_CLEAR_TX) {
        s->xmit_fifo = (UartFifo){ 0 };
        s->lsr |= LSR_THRE;
        s->thr_ipending = 1;
    }
    s->fcr = val & FCR_ENABLE ? val & (FCR_TRIGGER | 0x08 | FCR_ENABLE) : 0;
    s->iir = (s->iir & ~IIR_FIFO) | (val & FCR_ENABLE ? IIR_FIFO : 0);
    uart_update(u);
    if (u->chardev) chardev_accept_input(u->chardev);
}

static void uart_write_mcr(Uart *u, uint8_t val)
{
    bool left_loop = u->s.mcr & ~val & MCR_LOOP;

    u->s.mcr = val & 0x1f;
    uart_update_modem(u);
    uart_update(u);
    if (left_loop && u->chardev) chardev_accept_input(u->chardev);
}

static void uart_write(Device *dev, uint32_t reg, uint32_t data, unsigned size)
{
    Uart *u = UART(dev);
    struct UartState *s = &u->s;
    uint8_t val = (uint8_t)data;

    (void)size;
    if (reg <= REG_IER && s->lcr & LCR_DLAB) {
        set_byte16(&s->divider, reg, val);
        return;
    }
    switch (reg) {
    case REG_DATA: uart_write_thr(u, val); break;
    case REG_IER: uart_write_ier(u, val); break;
    case REG_IIR_FCR: uart_write_fcr(u, val); break;
    case REG_LCR: s->lcr = val; break;
    case REG_MCR: uart_write_mcr(u, val); break;
    case REG_SCR: s->scr = val; break;
    default: guest_error(dev, "write to read-only register %u", reg);
    }
}

static uint8_t uart_read_iir(Uart *u)
{
    uint8_t val = u->s.iir;

    if ((val & IIR_CAUSE) == IIR_TX) {
        u->s.thr_ipending = 0;
        uart_update(u);
    }
    return val;
}

static uint8_t uart_read_lsr(Uart *u)
{
    uint8_t val = u->s.lsr;

    if (val & LSR_ERRORS) {
        u->s.lsr &= ~LSR_ERRORS;
        uart_update(u);
    }
    return val;
}

static uint8_t uart_read_msr(Uart *u)
{
    uint8_t val = u->s.msr;

    if (val & MSR_CHANGES) {
        u->s.msr &= ~MSR_CHANGES;
        uart_update(u);
    }
    return val;
}

static uint32_t uart_read(Device *dev, uint32_t reg, unsigned size)
{
    Uart *u = UART(dev);
    const struct UartState *s = &u->s;

    (void)size;
    if (reg <= REG_IER && s->lcr & LCR_DLAB) return get_byte16(s->divider, reg);
    switch (reg) {
    case REG_DATA: return uart_read_rbr(u);
    case REG_IER: return s->ier;
    case REG_IIR_FCR: return uart_read_iir(u);
    case REG_LCR: return s->lcr;
    case REG_MCR: return s->mcr;
    case REG_LSR: return uart_read_lsr(u);
    case REG_MSR: return uart_read_msr(u);
    default: return s->scr;
    }
}

static const IoOps uart_io = { .read = uart_read, .write = uart_write };
static const ChardevFront uart_front = {
    .can_receive = uart_can_receive, .receive = uart_receive, .event = uart_event
};

/* -- life -- */

static void uart_reset(Device *dev)
{
    UART(dev)->s = (struct UartState){ .divider = 12,
        .iir = IIR_NONE,
        .mcr = MCR_OUT2,
        .lsr = LSR_EMPTY | LSR_THRE,
        .msr = MSR_DCD | MSR_DSR | MSR_CTS,
        .fifo_timeout_timer = TIMER_NEVER,
        .poll_msl = -1,
        .modem_status_poll = TIMER_NEVER };
}

static void uart_sync(Device *dev)
{
    Uart *u = UART(dev);

    timer_arm(&u->timeout, u->s.fifo_timeout_timer);
    /* Bytes move, and make edges, only once every device is in place. */
    timer_arm(&u->kick, u->s.tsr_retry > 0 || u->chardev ? 0 : TIMER_NEVER);
    irq_set(&u->irq, !(u->s.iir & IIR_NONE));
}

static bool uart_realize(Device *dev, Error *err);

static void uart_unrealize(Device *dev)
{
    timer_cancel(&UART(dev)->timeout);
    timer_cancel(&UART(dev)->kick);
    machine_notifier_del(dev->m, &UART(dev)->notifier);
    if (UART(dev)->chardev) chardev_attach(UART(dev)->chardev, NULL, dev);
}

DEVICE(uart, "16550A serial port", Uart, .name = "isa-serial", .bus = "isa", .user_creatable = true,
    .props = uart_props, .vmstates = VMSTATES(&uart_vmstate), .realize = uart_realize,
    .unrealize = uart_unrealize, .power_on = uart_reset, .reset = uart_reset, .sync = uart_sync);

static void uart_declare(Device *dev, Aml *a)
{
    Uart *u = UART(dev);
    char name[] = { 'C', 'O', 'M', (char)('1' + u->index), 0 };
    Aml *res = aml_new();

    aml_res_io(res, u->iobase, REGS);
    if (u->irq.dev) aml_res_irq(res, (unsigned)u->irq.line);
    acpi_isa_device(a, name, "PNP0501", u->index + 1, res);
    aml_free(res);
}
ACPI_PART(uart, ACPI_ON_ISA, uart_declare);

static void uart_notify(void *opaque, MachineEvent event)
{
    Uart *u = opaque;

    if (event != EVENT_RUN_STATE || !u->chardev || !machine_running(u->dev.m)) return;
    chardev_accept_input(u->chardev);
}

/* COM1 to COM4: where they are on a PC. */
static bool uart_place(Uart *u, Error *err)
{
    static const uint16_t bases[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
    Device *pic = device_find(u->dev.m, "pic");

    if (u->index < 0) {
        u->index = 0;
        EACH_DEVICE (dev, u->dev.m) u->index += dev->cls == &uart_class && dev->realized;
    }
    if (u->index >= (int)ARRAY_SIZE(bases))
        return error_set(err, "Max. supported number of ISA serial ports is 4.");
    if (!u->iobase) u->iobase = bases[u->index];
    if (!u->irq.dev && pic) u->irq = (Irq){ pic, u->index % 2 ? 3 : 4 };
    return true;
}

static bool uart_realize(Device *dev, Error *err)
{
    Uart *u = UART(dev);

    if (!uart_place(u, err)) return false;
    device_set_alias(dev, u->iobase, 3);
    timer_init(&u->timeout, &dev->m->clock, uart_timeout_fire, u);
    timer_init(&u->kick, &dev->m->clock, uart_kick_fire, u);
    if (!pio_map(dev, u->iobase, REGS, &uart_io, 0, "serial", err)) return false;
    if (u->chardev) chardev_attach(u->chardev, &uart_front, u);
    u->notifier = (MachineNotifier){ .notify = uart_notify, .opaque = u };
    machine_notifier_add(dev->m, &u->notifier);
    return true;
}
