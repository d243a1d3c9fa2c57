/* SPDX-License-Identifier: MIT */
/*
 * The host's CPU as judge of whole unprivileged instructions, in 16-bit, 32-bit and 64-bit code:
 * one instruction from a state of registers, flags, segments and memory, entered by IRETQ and ended
 * by what it raises itself, by single step or by a HLT behind it.  Segments come from an LDT of our
 * own (modify_ldt), so that bases, limits, kinds and error codes are the host's word, too.  The
 * guest has the same descriptors at the same selectors and the same pages at the same addresses.
 */
#pragma once

#include <asm/ldt.h>
#include <asm/prctl.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/oracle.h"

enum {
    USER_CODE = 0x40000,   /* a page to be executed and read */
    USER_DATA = 0x90000,   /* a page to be written ... */
    USER_CONST = 0x91000,  /* ... and one to be read behind it; none around them */
    USER_SUP = 0x7bad0000, /* the guest's tables and handlers, linear ... */
    USER_SUP_AT = 0x10000, /* ... and where they are */
    USER_SUP_SIZE = 0x10000,
    USER_PAGES = 0xa0000,
    USER_IDT = 0x1000, /* offsets in USER_SUP; the GDT is at 0 */
    USER_TSS = 0x2000,
    USER_LDT = 0x3000,
    USER_HANDLERS = 0x4000,
    USER_STACK = 0x8000,
    USER_GDT_LIMIT = 0x7f, /* as Linux has it */
    USER_TSS_SEL = 0x40,
    USER_LDT_SEL = 0x50,
    USER_CS32 = 0x23,
    USER_DS = 0x2b,
    USER_CS64 = 0x33,
    USER_INTERRUPTED = -2, /* for a vector: a second has passed, nobody knows what it did */
};

/* The LDT's entries: number is the selector's index. */
enum {
    SEG_CODE16 = 1, /* 64 KiB from USER_CODE */
    SEG_STACK16,    /* 64 KiB, data's pages in its middle */
    SEG_TOP16,      /* 64 KiB that end with the page that is written */
    SEG_SMALL,      /* ends in the middle of the page */
    SEG_DOWN16,
    SEG_DOWN32,
    SEG_CONST,
    SEG_ABSENT,
    SEG_CODE32,  /* ends in the middle of the page of code */
    SEG_EXECUTE, /* must not be read */
    SEG_NOCODE,  /* absent */
    SEG_PAGES,   /* limit in pages */
    SEG_ENTRIES
};

typedef struct UserState {
    OracleState o; /* x87, SSE, general registers, flags, vector */
    uint64_t rip, error, cr2;
    uint16_t seg[6];
} UserState;

typedef struct User {
    Oracle *o;
    Machine *m;
    Cpu *cpu;
    bool long_mode; /* of the guest */
    bool amd;
    uint8_t *code; /* the host's page of code, to be written */
    uint64_t cases, skipped;
} User;

/* -- the host -- */

/* What the assembler code below works with. */
typedef struct UserFrame {
    uint64_t gpr[16];
    uint64_t rip, cs, flags, rsp, ss; /* for IRETQ */
    uint64_t host_rsp, fs_base;
    uint16_t ds, es, fs, gs, ds_after, es_after, fs_after, gs_after;
    uint64_t active;
    uint8_t fx[512] __attribute__((aligned(16)));
} UserFrame;
_Static_assert(offsetof(UserFrame, rip) == 128 && offsetof(UserFrame, host_rsp) == 168 &&
                   offsetof(UserFrame, ds) == 184 && offsetof(UserFrame, active) == 200 &&
                   offsetof(UserFrame, fx) == 208,
    "see user_enter");

UserFrame user_frame __attribute__((aligned(1024)));
void user_enter(void);
void user_signal_entry(int sig, siginfo_t *info, void *context);
bool user_signal(int sig, siginfo_t *info, void *context);
__asm__(".pushsection .text\n"
        "user_enter:\n\t"
        "push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
        "mov %rsp, user_frame+168(%rip)\n\t"
        "rdfsbase %rax\n\tmov %rax, user_frame+176(%rip)\n\t"
        "fxrstor64 user_frame+208(%rip)\n\t"
        "mov user_frame+184(%rip), %ds\n\tmov user_frame+186(%rip), %es\n\t"
        "mov user_frame+190(%rip), %gs\n\t"
        "mov user_frame+0(%rip), %rax\n\tmov user_frame+8(%rip), %rcx\n\t"
        "mov user_frame+16(%rip), %rdx\n\tmov user_frame+24(%rip), %rbx\n\t"
        "mov user_frame+40(%rip), %rbp\n\tmov user_frame+48(%rip), %rsi\n\t"
        "mov user_frame+56(%rip), %rdi\n\tmov user_frame+64(%rip), %r8\n\t"
        "mov user_frame+72(%rip), %r9\n\tmov user_frame+80(%rip), %r10\n\t"
        "mov user_frame+88(%rip), %r11\n\tmov user_frame+96(%rip), %r12\n\t"
        "mov user_frame+104(%rip), %r13\n\tmov user_frame+112(%rip), %r14\n\t"
        "mov user_frame+120(%rip), %r15\n\t"
        "lea user_frame+128(%rip), %rsp\n\t"
        "iretq\n"
        /* a signal is the way back, where the frame is active */
        "user_signal_entry:\n\t"
        "pushfq\n\tandl $0xfffbbbff, (%rsp)\n\tpopfq\n\t" /* AC, NT, DF */
        "cmpl $0, user_frame+200(%rip)\n\tje 1f\n\t"
        "mov %ds, user_frame+192(%rip)\n\tmov %es, user_frame+194(%rip)\n\t"
        "mov %fs, user_frame+196(%rip)\n\tmov %gs, user_frame+198(%rip)\n\t"
        "xor %eax, %eax\n\tmov %eax, %ds\n\tmov %eax, %es\n\tmov %eax, %gs\n\tmov %eax, %fs\n\t"
        "mov user_frame+176(%rip), %rax\n\twrfsbase %rax\n\t"
        "1: push %rbp\n\tcall user_signal\n\tpop %rbp\n\t"
        "test %al, %al\n\tjne 2f\n\tret\n"
        "2: mov user_frame+168(%rip), %rsp\n\t"
        "pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\tret\n\t"
        ".popsection");

static UserState *user_result; /* where the signal puts what it finds */

bool user_signal(int sig, siginfo_t *info, void *context)
{
    static const uint8_t order[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
        REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };
    mcontext_t *mc = &((ucontext_t *)context)->uc_mcontext;
    uint64_t selectors = (uint64_t)mc->gregs[REG_CSGSFS];
    UserState *s = user_result;

    (void)info;
    if (!user_frame.active) {
        if (sig != SIGALRM) signal(sig, SIG_DFL);
        return false;
    }
    user_frame.active = 0;
    for (unsigned i = 0; i < 16; i++) s->o.gpr[i] = (uint64_t)mc->gregs[order[i]];
    memcpy(s->o.fx, mc->fpregs, 512);
    s->o.flags = (uint64_t)mc->gregs[REG_EFL];
    s->rip = (uint64_t)mc->gregs[REG_RIP];
    s->o.vector = sig == SIGALRM ? USER_INTERRUPTED : mc->gregs[REG_TRAPNO];
    s->error = (uint64_t)mc->gregs[REG_ERR];
    s->cr2 = (uint64_t)mc->gregs[REG_CR2];
    s->seg[R_CS] = (uint16_t)selectors;
    s->seg[R_GS] = user_frame.gs_after;
    s->seg[R_FS] = user_frame.fs_after;
    s->seg[R_SS] = (uint16_t)(selectors >> 48);
    s->seg[R_DS] = user_frame.ds_after;
    s->seg[R_ES] = user_frame.es_after;
    return true;
}

static inline void user_run_host(UserState *s)
{
    UserFrame *f = &user_frame;

    user_result = s;
    memcpy(f->gpr, s->o.gpr, sizeof(f->gpr));
    memcpy(f->fx, s->o.fx, 512);
    f->rip = s->rip;
    f->flags = s->o.flags;
    f->rsp = s->o.gpr[R_ESP];
    f->cs = s->seg[R_CS];
    f->ss = s->seg[R_SS];
    f->ds = s->seg[R_DS];
    f->es = s->seg[R_ES];
    f->gs = s->seg[R_GS];
    f->active = 1;
    user_enter();
}

static inline bool user_set_ldt(const struct user_desc *d)
{
    return syscall(SYS_modify_ldt, 0x11, d, sizeof(*d)) == 0;
}

/* Fills the LDT; false where the kernel lets nobody. */
static inline bool user_host_ldt(void)
{
    static const struct user_desc ldt[] = {
        { .entry_number = SEG_CODE16, .base_addr = USER_CODE, .limit = 0xffff, .contents = 2 },
        { .entry_number = SEG_STACK16, .base_addr = USER_DATA - 0x8000, .limit = 0xffff },
        { .entry_number = SEG_TOP16, .base_addr = USER_CONST - 0x10000, .limit = 0xffff },
        { .entry_number = SEG_SMALL, .base_addr = USER_DATA, .limit = 0x7ff, .seg_32bit = 1 },
        { .entry_number = SEG_DOWN16,
            .base_addr = USER_DATA - 0x8000,
            .limit = 0x87ff,
            .contents = 1 },
        { .entry_number = SEG_DOWN32,
            .base_addr = USER_DATA - 0x10000,
            .limit = 0x10,
            .contents = 1,
            .seg_32bit = 1,
            .limit_in_pages = 1 },
        { .entry_number = SEG_CONST,
            .limit = 0xfffff,
            .limit_in_pages = 1,
            .seg_32bit = 1,
            .read_exec_only = 1 },
        { .entry_number = SEG_ABSENT,
            .limit = 0xfffff,
            .limit_in_pages = 1,
            .seg_32bit = 1,
            .seg_not_present = 1 },
        { .entry_number = SEG_CODE32,
            .base_addr = USER_CODE,
            .limit = 0x7ff,
            .contents = 2,
            .seg_32bit = 1 },
        { .entry_number = SEG_EXECUTE,
            .limit = 0xfffff,
            .contents = 2,
            .seg_32bit = 1,
            .limit_in_pages = 1,
            .read_exec_only = 1 },
        { .entry_number = SEG_NOCODE,
            .limit = 0xfffff,
            .contents = 2,
            .seg_32bit = 1,
            .limit_in_pages = 1,
            .seg_not_present = 1 },
        { .entry_number = SEG_PAGES,
            .base_addr = USER_DATA + 0x10,
            .limit = 0,
            .seg_32bit = 1,
            .limit_in_pages = 1,
            .useable = 1 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(ldt); i++)
        if (!user_set_ldt(&ldt[i])) return false;
    return true;
}

/* Nothing of ours is where 32-bit code could find it. */
static inline bool user_low_is_free(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char line[512];
    bool is_free = f != NULL;

    while (f && fgets(line, sizeof(line), f)) {
        if (strtoull(line, NULL, 16) < 1ull << 32) is_free = false;
    }
    if (f) fclose(f);
    return is_free;
}

static inline void *user_map(uint64_t at, int prot, int fd, off_t off)
{
    int flags =
        (at ? MAP_FIXED_NOREPLACE : 0) | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
    void *p = mmap((void *)at, 4096, prot, flags | MAP_POPULATE, fd, off);

    g_assert_true(p != MAP_FAILED && (!at || p == (void *)at));
    mlock(p, 4096); /* a fault's error code tells whether the page is there */
    return p;
}

/* Why this host cannot be asked, or NULL. */
static inline const char *user_host_init(User *u)
{
    static const int signals[] = { SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGTRAP, SIGALRM };
    struct sigaction act = { .sa_sigaction = user_signal_entry,
        .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };
    stack_t stack = { .ss_sp = g_malloc(64 * KiB), .ss_size = 64 * KiB };
    int fd = memfd_create("code", MFD_CLOEXEC), page = memfd_create("const", MFD_CLOEXEC);
    struct itimerval second = { { 1, 0 }, { 1, 0 } };
    cpu_set_t set;

    if (!(getauxval(AT_HWCAP2) & 2)) return "the host's processor has no FSGSBASE";
    if (!user_low_is_free()) return "the low 4 GiB are in use";
    if (!user_host_ldt()) return "no LDT";
    CPU_ZERO(&set); /* selector 78h tells the processor's number */
    CPU_SET((unsigned)sched_getcpu(), &set);
    sched_setaffinity(0, sizeof(set), &set);
    sigaltstack(&stack, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(signals); i++) sigaction(signals[i], &act, NULL);
    setitimer(ITIMER_REAL, &second, NULL);
    if (ftruncate(fd, 4096) || ftruncate(page, 4096)) return "no memory";
    u->code = user_map(0, PROT_READ | PROT_WRITE, fd, 0);
    user_map(USER_CODE, PROT_READ | PROT_EXEC, fd, 0);
    user_map(USER_DATA, PROT_READ | PROT_WRITE, -1, 0);
    memcpy(user_map(0, PROT_READ | PROT_WRITE, page, 0), u->o->pool, 4096);
    user_map(USER_CONST, PROT_READ, page, 0);
    close(fd);
    close(page);
    return NULL;
}

/* -- the guest -- */

static inline uint8_t *user_sup(User *u, uint32_t off)
{
    return test_ram(u->m) + USER_SUP_AT + off;
}

static inline uint64_t user_descriptor(uint32_t base, uint32_t limit, uint32_t flags)
{
    return (uint64_t)(base & 0xff000000) << 32 | (uint64_t)flags << 32 |
           (limit & 0xf0000ull) << 32 | (uint64_t)(base & 0xffffff) << 16 | (limit & 0xffff);
}

/* What the host tells unprivileged code of its GDT. */
static inline void user_guest_gdt(User *u)
{
    for (unsigned i = 1; i < (USER_GDT_LIMIT + 1) / 8; i++) {
        uint32_t rights, limit, sel = 8 * i | 3;
        bool ok;

        __asm__ volatile("lar %3, %1\n\tsetz %0\n\tlsl %3, %2"
                         : "=&q"(ok), "=&r"(rights), "=&r"(limit)
                         : "r"(sel)
                         : "cc");
        if (!ok) continue;
        if (rights & SEGF_G) limit >>= 12;
        store_le64(user_sup(u, 8 * i), user_descriptor(0, limit, rights & 0xf0ff00));
    }
    g_assert_cmphex(load_le64(user_sup(u, USER_CS32 & ~7)), ==, 0x00cffb000000ffff);
    store_le64(user_sup(u, 8), u->long_mode ? 0x00af9b000000ffff : 0x00cf9b000000ffff);
    store_le64(user_sup(u, 16), 0x00cf93000000ffff);
    store_le64(user_sup(u, USER_TSS_SEL), user_descriptor(USER_SUP + USER_TSS, 0x67, 0x8b00));
    store_le64(user_sup(u, USER_LDT_SEL),
        user_descriptor(USER_SUP + USER_LDT, SEG_ENTRIES * 8 - 1, 0x8200));
    syscall(SYS_modify_ldt, 0, user_sup(u, USER_LDT), SEG_ENTRIES * 8);
}

static inline void user_guest_tables(User *u)
{
    static const uint8_t hlt = 0xf4;
    uint8_t *ram = test_ram(u->m), *tss = user_sup(u, USER_TSS);
    uint64_t pt = USER_PAGES + 0x3000, sup = USER_PAGES + 0x4000, nx = 1ull << 63;

    store_le64(ram + USER_PAGES, (USER_PAGES + 0x1000) | 7);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t pd = USER_PAGES + 0x2000 + 0x4000 * i;

        store_le64(ram + USER_PAGES + 0x1000 + 8 * i, pd | (u->long_mode ? 7 : 1));
        store_le64(ram + pd + (i ? (USER_SUP >> 21 & 511) * 8 : 0), (i ? sup : pt) | 7);
    }
    store_le64(ram + pt + 8 * (USER_CODE >> 12), USER_CODE | 5);
    store_le64(ram + pt + 8 * (USER_DATA >> 12), USER_DATA | 7 | nx);
    store_le64(ram + pt + 8 * (USER_CONST >> 12), USER_CONST | 5 | nx);
    for (unsigned i = 0; i < 16; i++)
        store_le64(ram + sup + 8 * ((USER_SUP >> 12 & 511) + i), (USER_SUP_AT + 4096 * i) | 3);
    for (unsigned v = 0; v < 256; v++) {
        uint32_t handler = USER_SUP + USER_HANDLERS + 16 * v, dpl = v == 3 || v == 4 ? 0x6000 : 0;

        store_le64(user_sup(u, USER_IDT + (u->long_mode ? 16 : 8) * v),
            (uint64_t)(handler & 0xffff0000) << 32 | (uint64_t)(0x8e00 | dpl) << 32 | 8 << 16 |
                (handler & 0xffff));
        test_poke(u->m, USER_SUP_AT + USER_HANDLERS + 16 * v, &hlt, 1);
    }
    store_le32(tss + 4, USER_SUP + USER_STACK);
    if (!u->long_mode) store_le32(tss + 8, 16);
    store_le16(tss + 0x66, 0x8000);
    test_poke(u->m, USER_CONST, u->o->pool, 4096);
}

static inline SegReg user_segment(User *u, uint16_t sel)
{
    uint64_t d = sel > 3 ? load_le64(user_sup(u, (sel & 4 ? USER_LDT : 0) + (sel & ~7u))) : 0;
    uint32_t limit = (uint32_t)(d & 0xffff) | (uint32_t)(d >> 32 & 0xf0000);
    uint32_t flags = (uint32_t)(d >> 32) & 0xf0ff00;

    return (SegReg){ .selector = sel,
        .base = (uint32_t)(d >> 16 & 0xffffff) | (uint32_t)(d >> 32 & 0xff000000),
        .limit = flags & SEGF_G ? limit << 12 | 0xfff : limit,
        .flags = flags };
}

static inline void user_guest_init(User *u)
{
    struct CpuState *s = &u->cpu->s;

    user_guest_gdt(u);
    user_guest_tables(u);
    s->gdt = (SegReg){ .base = USER_SUP, .limit = USER_GDT_LIMIT };
    s->idt = (SegReg){ .base = USER_SUP + USER_IDT, .limit = u->long_mode ? 0xfff : 0x7ff };
    s->tr = user_segment(u, USER_TSS_SEL);
    s->ldt = user_segment(u, USER_LDT_SEL);
    s->cr[0] = CR0_PG | CR0_PE | CR0_WP | CR0_AM | CR0_NE | CR0_ET;
    s->cr[3] = USER_PAGES + (u->long_mode ? 0 : 0x1000);
    s->cr[4] = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_DE | CR4_UMIP;
    s->efer = EFER_NXE | (u->long_mode ? EFER_LME | EFER_LMA : 0);
    cpu_update_mode(u->cpu);
    device_sync(&u->cpu->dev);
}

/* The frame that an exception pushed. */
static inline void user_frame_read(User *u, UserState *s)
{
    unsigned word = u->long_mode ? 8 : 4, top = USER_STACK - 5 * word;
    const uint8_t *p = user_sup(u, top);
    bool code = (uint32_t)u->cpu->s.regs[R_ESP] != USER_SUP + top;

    s->error = code ? load_le32(p - word) : 0;
    s->rip = u->long_mode ? load_le64(p) : load_le32(p);
    s->seg[R_CS] = load_le16(p + word);
    s->o.flags = load_le32(p + 2 * word);
    s->o.gpr[R_ESP] = u->long_mode ? load_le64(p + 3 * word) : load_le32(p + 3 * word);
    s->seg[R_SS] = load_le16(p + 4 * word);
    s->cr2 = u->cpu->s.cr[2];
}

/* False where it goes on for too long. */
static inline bool user_run_guest(User *u, UserState *s)
{
    Cpu *cpu = u->cpu;
    CpuExit why = CPU_BUDGET;
    uint64_t handler, vector;

    for (unsigned i = 0; i < 6; i++) cpu->s.segs[i] = user_segment(u, s->seg[i]);
    oracle_to_guest(cpu, &s->o, 0);
    cpu->s.regs[R_ESP] = s->o.gpr[R_ESP];
    cpu->s.eip = s->rip;
    cpu->s.halted = 0;
    cpu->s.hflags &= ~(uint32_t)HF_SHADOW;
    cpu->s.debug_pending = 0;
    cpu->s.hflags |= 3;
    cpu->s.eflags = 2;
    cpu_update_mode(cpu);
    cpu_set_eflags(cpu, (uint32_t)s->o.flags, UINT32_MAX);
    for (unsigned i = 0; i < 100 && why != CPU_HALTED; i++) why = test_run(u->m, 1000);
    if (why != CPU_HALTED) return false;
    handler = cpu->s.eip - (USER_SUP + USER_HANDLERS);
    vector = handler / 16;
    g_assert_cmpuint(vector, <, 256);
    oracle_from_guest(cpu, &s->o);
    s->o.vector = (int64_t)vector;
    for (unsigned i = R_DS; i <= R_GS; i++) s->seg[i] = (uint16_t)cpu->s.segs[i].selector;
    s->seg[R_ES] = (uint16_t)cpu->s.segs[R_ES].selector;
    user_frame_read(u, s);
    return true;
}

static inline User *user_new(bool long_mode, uint64_t seed, const char **why)
{
    User *u = g_new0(User, 1);
    Oracle *o = g_new0(Oracle, 1);

    o->m = test_machine_new("max");
    o->cpu = test_cpu(o->m);
    o->seed = seed;
    o->wide = true;
    for (unsigned i = 0; i < sizeof(o->pool); i += 16) oracle_fill_element(o, o->pool + i);
    *u = (User){ .o = o, .m = o->m, .cpu = o->cpu, .long_mode = long_mode };
    *why = user_host_init(u);
    if (!*why) user_guest_init(u);
    return u;
}

static inline void user_free(User *u)
{
    if (u->code) {
        munmap(u->code, 4096);
        munmap((void *)(uint64_t)USER_CODE, 4096);
        munmap((void *)(uint64_t)USER_DATA, 4096);
        munmap((void *)(uint64_t)USER_CONST, 4096);
    }
    machine_free(u->m);
    g_free(u->o);
    g_free(u);
}
