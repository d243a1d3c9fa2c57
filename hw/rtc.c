/* SPDX-License-Identifier: MIT */
/*
 * MC146818 real-time clock with 128 bytes of CMOS RAM; IRQ 8.
 * Source: Motorola MC146818A data sheet.
 * Not modelled: daylight saving, the square wave output, time bases other than 32768 Hz.
 *
 * The time is base_rtc seconds (Unix) plus what the clock behind -rtc clock= has advanced since
 * last_update, plus offset.  Registers are computed when they are read; while SET is on or the
 * divider is held in reset, they stand in cmos_data.  Timers run only while the flag that they
 * would set is clear: a set flag says no more by being set again.
 */
#include <time.h>

#include "core/machine.h"
#include "core/qmp.h"
#include "hw/acpi.h"
#include "hw/rtc.h"

enum {
    RTC_SECONDS = 0,
    RTC_SECONDS_ALARM,
    RTC_MINUTES,
    RTC_MINUTES_ALARM,
    RTC_HOURS,
    RTC_HOURS_ALARM,
    RTC_DAY_OF_WEEK,
    RTC_DAY_OF_MONTH,
    RTC_MONTH,
    RTC_YEAR,
    RTC_A,
    RTC_B,
    RTC_C,
    RTC_D,
    RTC_CENTURY = 0x32,
    RTC_CENTURY_PS2 = 0x37, /* another name for the same byte */
    RTC_BYTES = 128,
};
enum { A_UIP = 0x80, A_DIVIDER = 0x70, A_RATE = 0x0f };
enum {
    B_SET = 0x80,
    B_PIE = 0x40,
    B_AIE = 0x20,
    B_UIE = 0x10,
    B_SQWE = 8,
    B_BINARY = 4,
    B_24H = 2
};
enum { C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10 };
enum { D_VALID = 0x80 };

enum { RTC_HZ = 32768, UIP_NS = 244141, DAY_S = 86400 };

typedef struct Rtc {
    Device dev;
    uint16_t iobase;
    Irq irq;
    Timer periodic, update;
    MachineNotifier notifier;
    uint8_t board_cmos[RTC_BYTES]; /* content at power-on */
    struct RtcState {
        uint8_t cmos_data[RTC_BYTES];
        uint8_t cmos_index;
        int64_t periodic_timer; /* instants of clock_rtc, ns; -1: none */
        int64_t next_periodic_time;
        uint32_t irq_coalesced;
        uint32_t period; /* of PF in ticks of 32768 Hz, or 0 */
        uint64_t base_rtc;
        uint64_t last_update;
        int64_t offset;
        int64_t update_timer;
        uint64_t next_alarm_time;
        uint16_t irq_reinject_on_ack_count;
    } s;
} Rtc;
#define RTC(d) ((Rtc *)(d))

static const VmField rtc_fields[] = {
    VM_BUFFER(struct RtcState, cmos_data),
    VM_INT(struct RtcState, cmos_index),
    VM_UNUSED(28),
    VM_TIMER(struct RtcState, periodic_timer, "periodic_timer"),
    VM_INT(struct RtcState, next_periodic_time),
    VM_UNUSED(24),
    VM_INT_V(struct RtcState, irq_coalesced, "irq_coalesced", 2),
    VM_INT_V(struct RtcState, period, "period", 2),
    VM_INT_V(struct RtcState, base_rtc, "base_rtc", 3),
    VM_INT_V(struct RtcState, last_update, "last_update", 3),
    VM_INT_V(struct RtcState, offset, "offset", 3),
    VM_FIELD(struct RtcState, update_timer, "update_timer", &vm_timer, 1, 8, .since = 3),
    VM_INT_V(struct RtcState, next_alarm_time, "next_alarm_time", 3),
    VM_END,
};

static const VmField rtc_reinject_fields[] = {
    VM_INT(struct RtcState, irq_reinject_on_ack_count),
    VM_END,
};

static bool rtc_reinject_needed(const void *state)
{
    return ((const struct RtcState *)state)->irq_reinject_on_ack_count != 0;
}

static const VmState rtc_reinject_vmstate = {
    .name = "mc146818rtc/irq_reinject_on_ack_count",
    .version = 1,
    .min_version = 1,
    .fields = rtc_reinject_fields,
    .needed = rtc_reinject_needed,
};

static bool rtc_post_load(void *state, int version, Error *err)
{
    struct RtcState *s = state;

    (void)version;
    if (s->cmos_index >= RTC_BYTES) return error_set(err, "mc146818rtc: index out of range");
    return true;
}

static const VmState rtc_vmstate = {
    .name = "mc146818rtc",
    .version = 3,
    .min_version = 1,
    .fields = rtc_fields,
    .subsections = VMSTATES(&rtc_reinject_vmstate),
    .post_load = rtc_post_load,
};

static const Prop rtc_props[] = {
    PROP(Rtc, iobase, "0x70"),
    PROP(Rtc, irq, "pic.8"),
    PROP_END,
};

/* -- time -- */

static uint64_t rtc_clock(const Rtc *r) { return (uint64_t)clock_rtc(&r->dev.m->clock); }

/* Guest time in Unix ns at an instant of that clock; before 1970 it is negative. */
static int64_t rtc_at(const struct RtcState *s, uint64_t clock)
{
    return (
        int64_t)(s->base_rtc * (uint64_t)NS_PER_S + (clock - s->last_update) + (uint64_t)s->offset);
}

static int64_t rtc_now(const Rtc *r) { return rtc_at(&r->s, rtc_clock(r)); }

static int64_t rtc_second(int64_t now) { return now / NS_PER_S - (now % NS_PER_S < 0); }
static int64_t rtc_fraction(int64_t now) { return (now % NS_PER_S + NS_PER_S) % NS_PER_S; }
static unsigned rtc_second_of_day(int64_t now)
{
    return (unsigned)((rtc_second(now) % DAY_S + DAY_S) % DAY_S);
}

static bool rtc_divider_runs(const struct RtcState *s)
{
    return (s->cmos_data[RTC_A] & A_DIVIDER) <= 0x20;
}

static bool rtc_runs(const struct RtcState *s)
{
    return !(s->cmos_data[RTC_B] & B_SET) && rtc_divider_runs(s);
}

static uint8_t rtc_encode(const struct RtcState *s, int v)
{
    return (uint8_t)(s->cmos_data[RTC_B] & B_BINARY ? v : v / 10 % 10 << 4 | v % 10);
}

static int rtc_decode(const struct RtcState *s, uint8_t v)
{
    return s->cmos_data[RTC_B] & B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}

static int rtc_decode_hour(const struct RtcState *s, uint8_t v)
{
    if (s->cmos_data[RTC_B] & B_24H) return rtc_decode(s, v);
    return rtc_decode(s, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

/* Brings the time registers up to date. */
static void rtc_fill_registers(struct RtcState *s, int64_t now_ns)
{
    time_t seconds = (time_t)rtc_second(now_ns);
    struct tm tm = { 0 };
    int hour;

    if (!gmtime_r(&seconds, &tm)) return;
    s->cmos_data[RTC_SECONDS] = rtc_encode(s, tm.tm_sec);
    s->cmos_data[RTC_MINUTES] = rtc_encode(s, tm.tm_min);
    if (s->cmos_data[RTC_B] & B_24H) {
        s->cmos_data[RTC_HOURS] = rtc_encode(s, tm.tm_hour);
    } else {
        hour = tm.tm_hour % 12 ? tm.tm_hour % 12 : 12;
        s->cmos_data[RTC_HOURS] = rtc_encode(s, hour) | (tm.tm_hour >= 12 ? 0x80 : 0);
    }
    s->cmos_data[RTC_DAY_OF_WEEK] = rtc_encode(s, tm.tm_wday + 1);
    s->cmos_data[RTC_DAY_OF_MONTH] = rtc_encode(s, tm.tm_mday);
    s->cmos_data[RTC_MONTH] = rtc_encode(s, tm.tm_mon + 1);
    s->cmos_data[RTC_YEAR] = rtc_encode(s, (tm.tm_year + 1900) % 100);
    s->cmos_data[RTC_CENTURY] = rtc_encode(s, (tm.tm_year + 1900) / 100);
}

static uint64_t rtc_start_ns(const MachineConfig *config)
{
    uint64_t ns = (uint64_t)host_wall_ns();
    time_t seconds;
    struct tm tm;

    if (config->rtc_base != INT64_MIN) return (uint64_t)config->rtc_base * (uint64_t)NS_PER_S;
    seconds = (time_t)(ns / NS_PER_S);
    if (config->rtc_localtime && localtime_r(&seconds, &tm))
        ns += (uint64_t)(timegm(&tm) - seconds) * (uint64_t)NS_PER_S;
    return ns;
}

/* How far the guest has put its clock from what it would show otherwise, for management. */
static void rtc_tell_change(Rtc *r)
{
    Machine *m = r->dev.m;
    bool fixed = m->config.rtc_base != INT64_MIN;
    int64_t otherwise_ns = (int64_t)rtc_start_ns(&m->config) + (fixed ? clock_now(&m->clock) : 0);
    char *path = qmp_device_path(&r->dev);

    qmp_event(m, "RTC_CHANGE",
        json_pack("{s:I,s:s}", "offset",
            (json_int_t)((int64_t)r->s.base_rtc - otherwise_ns / NS_PER_S), "qom-path", path));
    g_free(path);
}

/* The time now is what the registers say; the fraction of a second goes on from fraction_ns. */
static void rtc_take_registers(Rtc *r, int64_t fraction_ns)
{
    struct RtcState *s = &r->s;
    struct tm tm = {
        .tm_sec = rtc_decode(s, s->cmos_data[RTC_SECONDS]),
        .tm_min = rtc_decode(s, s->cmos_data[RTC_MINUTES]),
        .tm_hour = rtc_decode_hour(s, s->cmos_data[RTC_HOURS]),
        .tm_mday = rtc_decode(s, s->cmos_data[RTC_DAY_OF_MONTH]),
        .tm_mon = rtc_decode(s, s->cmos_data[RTC_MONTH]) - 1,
        .tm_year = rtc_decode(s, s->cmos_data[RTC_YEAR]) +
                   rtc_decode(s, s->cmos_data[RTC_CENTURY]) * 100 - 1900,
    };

    s->base_rtc = (uint64_t)timegm(&tm);
    s->last_update = rtc_clock(r);
    s->offset = fraction_ns;
    rtc_tell_change(r);
}

/* -- alarm, update and periodic interrupts -- */

/* Whether an alarm byte says "any", or equals. */
static bool rtc_alarm_byte_matches(const struct RtcState *s, uint8_t alarm, int value, bool hour)
{
    if ((alarm & 0xc0) == 0xc0) return true;
    return (hour ? rtc_decode_hour(s, alarm) : rtc_decode(s, alarm)) == value;
}

/* Seconds from this second of the day to the next one that the alarm matches: 1 to DAY_S, or 0. */
static unsigned rtc_seconds_to_alarm(const struct RtcState *s, unsigned second)
{
    unsigned ahead = 1;

    while (ahead <= DAY_S) {
        int t = (int)((second + ahead) % DAY_S);

        if (!rtc_alarm_byte_matches(s, s->cmos_data[RTC_HOURS_ALARM], t / 3600, true))
            ahead += 3600 - (unsigned)t % 3600;
        else if (!rtc_alarm_byte_matches(s, s->cmos_data[RTC_MINUTES_ALARM], t / 60 % 60, false))
            ahead += 60 - (unsigned)t % 60;
        else if (!rtc_alarm_byte_matches(s, s->cmos_data[RTC_SECONDS_ALARM], t % 60, false))
            ahead++;
        else
            return ahead;
    }
    return 0;
}

/* Arms a timer of the machine for an instant of the clock that the RTC follows. */
static void rtc_arm(Rtc *r, Timer *t, int64_t when)
{
    const Clock *c = &r->dev.m->clock;

    if (when < 0 || when > INT64_MAX / 2)
        timer_cancel(t);
    else if (c->rtc_source == RTC_CLOCK_VM)
        timer_arm(t, when - c->rtc_offset);
    else
        timer_arm(t, clock_now(c) + (when - clock_rtc(c)));
}

static void rtc_drive(Rtc *r)
{
    struct RtcState *s = &r->s;

    if (s->cmos_data[RTC_C] & s->cmos_data[RTC_B] & (C_PF | C_AF | C_UF))
        s->cmos_data[RTC_C] |= C_IRQF;
    else
        s->cmos_data[RTC_C] &= ~C_IRQF;
    irq_set(&r->irq, s->cmos_data[RTC_C] & C_IRQF);
}

/* Finds the next second at which UF or AF would be set. */
static void rtc_find_update(Rtc *r)
{
    struct RtcState *s = &r->s;
    uint64_t clock = rtc_clock(r), next;
    int64_t now = rtc_at(s, clock);
    unsigned ahead;

    s->update_timer = TIMER_NEVER;
    if (rtc_runs(s)) {
        next = clock + (uint64_t)(NS_PER_S - rtc_fraction(now));
        ahead = rtc_seconds_to_alarm(s, rtc_second_of_day(now));
        s->next_alarm_time = ahead ? next + (ahead - 1) * (uint64_t)NS_PER_S : INT64_MAX;
        if (!(s->cmos_data[RTC_C] & C_UF))
            s->update_timer = (int64_t)next;
        else if (!(s->cmos_data[RTC_C] & C_AF) && ahead)
            s->update_timer = (int64_t)s->next_alarm_time;
    }
}

static void rtc_plan_update(Rtc *r)
{
    rtc_find_update(r);
    rtc_arm(r, &r->update, r->s.update_timer);
}

static void rtc_update_fire(void *opaque)
{
    Rtc *r = opaque;
    struct RtcState *s = &r->s;
    uint64_t now = rtc_clock(r);

    if (s->update_timer < 0) return;
    if (now >= (uint64_t)s->update_timer) {
        s->cmos_data[RTC_C] |= C_UF;
        if (now >= s->next_alarm_time) s->cmos_data[RTC_C] |= C_AF;
        rtc_drive(r);
        rtc_plan_update(r);
    } else { /* the host's clock was set back, or runs slower than virtual time */
        rtc_arm(r, &r->update, s->update_timer);
    }
}

static uint32_t rtc_period(const struct RtcState *s)
{
    unsigned rate = s->cmos_data[RTC_A] & A_RATE;

    if (!rate || !rtc_divider_runs(s)) return 0;
    return 1u << (rate <= 2 ? rate + 6 : rate - 1);
}

/* The period's phase is that of the clock, as if one divider chain had always been running. */
static void rtc_find_period(Rtc *r)
{
    struct RtcState *s = &r->s;
    uint64_t ticks;

    s->period = rtc_period(s);
    s->periodic_timer = TIMER_NEVER;
    if (s->period && !(s->cmos_data[RTC_C] & C_PF)) {
        ticks = muldiv64(rtc_clock(r), RTC_HZ, NS_PER_S);
        ticks = align_down(ticks, s->period) + s->period;
        s->next_periodic_time = (int64_t)muldiv64(ticks, NS_PER_S, RTC_HZ) + 1;
        s->periodic_timer = s->next_periodic_time;
    }
}

static void rtc_plan_periodic(Rtc *r)
{
    rtc_find_period(r);
    rtc_arm(r, &r->periodic, r->s.periodic_timer);
}

static void rtc_periodic_fire(void *opaque)
{
    Rtc *r = opaque;

    if (r->s.periodic_timer < 0) return;
    if (rtc_clock(r) >= (uint64_t)r->s.periodic_timer) {
        r->s.cmos_data[RTC_C] |= C_PF;
        rtc_drive(r);
        rtc_plan_periodic(r);
    } else {
        rtc_arm(r, &r->periodic, r->s.periodic_timer);
    }
}

/* After a jump of the clock (another host, or one that slept) the next period is not far. */
static void rtc_sync(Device *dev)
{
    Rtc *r = RTC(dev);
    int64_t now = clock_rtc(&dev->m->clock), when = r->s.periodic_timer;
    int64_t period_ns = (int64_t)muldiv64(r->s.period, NS_PER_S, RTC_HZ) + 1;

    if (when > now + period_ns) when = now + period_ns;
    rtc_arm(r, &r->periodic, when);
    rtc_arm(r, &r->update, r->s.update_timer);
    irq_set(&r->irq, r->s.cmos_data[RTC_C] & C_IRQF);
}

static void rtc_notify(void *opaque, MachineEvent event)
{
    Rtc *r = opaque;

    /* The clock behind -rtc clock=host went on while virtual time stood still. */
    if (event == EVENT_RUN_STATE && machine_running(r->dev.m)) rtc_sync(&r->dev);
}

static void rtc_settle(Device *dev)
{
    if (rtc_runs(&RTC(dev)->s)) rtc_fill_registers(&RTC(dev)->s, rtc_now(RTC(dev)));
}

/* -- ports -- */

static bool rtc_is_time(unsigned i)
{
    return i == RTC_SECONDS || i == RTC_MINUTES || i == RTC_HOURS ||
           (i >= RTC_DAY_OF_WEEK && i <= RTC_YEAR) || i == RTC_CENTURY;
}

static void rtc_write_a(Rtc *r, uint8_t val)
{
    struct RtcState *s = &r->s;
    bool ran = rtc_divider_runs(s);

    if (rtc_runs(s)) rtc_fill_registers(s, rtc_now(r));
    s->cmos_data[RTC_A] = val & ~A_UIP;
    /* Out of reset, the first update comes half a second later. */
    if (!ran && rtc_runs(s)) rtc_take_registers(r, NS_PER_S / 2);
    rtc_plan_periodic(r);
    rtc_plan_update(r);
}

static void rtc_write_b(Rtc *r, uint8_t val)
{
    struct RtcState *s = &r->s;
    int64_t now = rtc_now(r);
    bool was_set = s->cmos_data[RTC_B] & B_SET;

    if (rtc_runs(s)) rtc_fill_registers(s, now);
    if (val & B_SET) val &= ~B_UIE;
    s->cmos_data[RTC_B] = val;
    if (was_set && rtc_runs(s)) rtc_take_registers(r, rtc_fraction(now));
    rtc_drive(r);
    rtc_plan_update(r);
}

static void rtc_write_data(Rtc *r, uint8_t val)
{
    struct RtcState *s = &r->s;
    unsigned i = s->cmos_index == RTC_CENTURY_PS2 ? RTC_CENTURY : s->cmos_index;
    int64_t now = rtc_now(r);

    switch (i) {
    case RTC_A: rtc_write_a(r, val); return;
    case RTC_B: rtc_write_b(r, val); return;
    case RTC_C:
    case RTC_D: return; /* read-only */
    }
    if (rtc_is_time(i) && rtc_runs(s)) {
        rtc_fill_registers(s, now);
        s->cmos_data[i] = val;
        rtc_take_registers(r, rtc_fraction(now));
    } else {
        s->cmos_data[i] = val;
    }
    if (i < RTC_A || i == RTC_CENTURY) rtc_plan_update(r);
}

static uint8_t rtc_read_data(Rtc *r)
{
    struct RtcState *s = &r->s;
    unsigned i = s->cmos_index == RTC_CENTURY_PS2 ? RTC_CENTURY : s->cmos_index;
    uint8_t val;

    if (rtc_is_time(i) && rtc_runs(s)) rtc_fill_registers(s, rtc_now(r));
    val = s->cmos_data[i];
    if (i == RTC_A && rtc_runs(s) && rtc_fraction(rtc_now(r)) >= NS_PER_S - UIP_NS) val |= A_UIP;
    if (i == RTC_C) {
        s->cmos_data[RTC_C] = 0;
        rtc_drive(r);
        rtc_plan_periodic(r);
        rtc_plan_update(r);
    }
    return val;
}

static void rtc_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    (void)size;
    if (reg == 0)
        RTC(dev)->s.cmos_index = val & 0x7f; /* bit 7 masks the NMI, which nothing raises */
    else
        rtc_write_data(RTC(dev), (uint8_t)val);
}

static uint32_t rtc_read(Device *dev, uint32_t reg, unsigned size)
{
    (void)size;
    return reg == 0 ? 0xff : rtc_read_data(RTC(dev));
}

static const IoOps rtc_io = { .read = rtc_read, .write = rtc_write };

/* -- life -- */

void rtc_set_cmos(Device *dev, unsigned index, uint8_t value)
{
    RTC(dev)->board_cmos[index] = value;
    RTC(dev)->s.cmos_data[index] = value;
}

static bool rtc_realize(Device *dev, Error *err)
{
    Rtc *r = RTC(dev);

    device_set_alias(dev, r->iobase, 3);
    timer_init(&r->periodic, &dev->m->clock, rtc_periodic_fire, r);
    timer_init(&r->update, &dev->m->clock, rtc_update_fire, r);
    r->notifier = (MachineNotifier){ .notify = rtc_notify, .opaque = r };
    machine_notifier_add(dev->m, &r->notifier);
    return pio_map(dev, r->iobase, 1, &rtc_io, 0, "rtc-index", err) &&
           pio_map(dev, r->iobase + 1u, 1, &rtc_io, 1, "rtc", err);
}

static void rtc_unrealize(Device *dev)
{
    machine_notifier_del(dev->m, &RTC(dev)->notifier);
    timer_cancel(&RTC(dev)->periodic);
    timer_cancel(&RTC(dev)->update);
}

static void rtc_power_on(Device *dev)
{
    Rtc *r = RTC(dev);
    struct RtcState *s = &r->s;
    uint64_t start = rtc_start_ns(&dev->m->config);

    memcpy(s->cmos_data, r->board_cmos, RTC_BYTES);
    s->cmos_data[RTC_A] = 0x26;
    s->cmos_data[RTC_B] = B_24H;
    s->cmos_data[RTC_D] = D_VALID;
    s->base_rtc = start / NS_PER_S;
    s->offset = (int64_t)(start % NS_PER_S);
    s->last_update = rtc_clock(r);
}

/* The RESET pin: interrupts off, flags clear; the time and the RAM go on. */
static void rtc_reset(Device *dev)
{
    struct RtcState *s = &RTC(dev)->s;

    s->cmos_data[RTC_B] &= ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    s->cmos_data[RTC_C] = 0;
    rtc_find_period(RTC(dev));
    rtc_find_update(RTC(dev));
}

DEVICE(rtc, "MC146818 real-time clock", Rtc, .name = "mc146818rtc", .bus = "isa",
    .props = rtc_props, .vmstates = VMSTATES(&rtc_vmstate), .realize = rtc_realize,
    .unrealize = rtc_unrealize, .power_on = rtc_power_on, .reset = rtc_reset, .settle = rtc_settle,
    .sync = rtc_sync);

static void rtc_declare(Device *dev, Aml *a)
{
    Rtc *r = RTC(dev);
    Aml *res = aml_new();

    aml_res_io(res, r->iobase, 2);
    if (r->irq.dev) aml_res_irq(res, (unsigned)r->irq.line);
    acpi_isa_device(a, "RTC", "PNP0B00", -1, res);
    aml_free(res);
}
ACPI_PART(rtc, ACPI_ON_ISA, rtc_declare);
