/* SPDX-License-Identifier: MIT */
/*
 * The CPU, from inside: state, TLB, faults and what the files of this folder owe one another.
 * Sources: Intel SDM volumes 1 to 3 (mostly 1999's for what i686 does), AMD64 manual volume 2.
 *
 * Invariants
 * 1. Between instructions `s` plus the lazy flags are the whole guest-visible state; blocks, TLB
 *    and hflags' derived bits can be dropped at any time without a guest noticing.
 * 2. An instruction either commits wholly or faults with `s` as before it (REP string instructions
 *    commit iteration by iteration).  Every fault leaves by cpu_raise (longjmp to cpu/fault.c's one
 *    setjmp); nothing is committed before the last possible fault.
 * 3. An absent page (WATCH_ABSENT) ends the slice with the instruction unexecuted, likewise.
 * 4. Interrupts are taken between instructions only: at the exact one where they become due.  So an
 *    instruction that may change what is pending (ports, MMIO, STI, POPF, IRET ...) ends its block.
 */
#pragma once

#include "core/device.h"
#include "core/machine.h"
#include "core/wires.h"
#include "util/bits.h"

typedef struct Cpu Cpu;
typedef struct Cpus Cpus; /* cpu/cpus.h */
typedef struct Insn Insn; /* a decoded instruction: cpu/decode.h */

/* -- register numbers and bits -- */

enum { R_EAX, R_ECX, R_EDX, R_EBX, R_ESP, R_EBP, R_ESI, R_EDI, R_R11 = 11 };
enum { R_ES, R_CS, R_SS, R_DS, R_FS, R_GS, SEG_NONE };
enum { SEG_LDT = 8, SEG_TR = 9 }; /* pseudo numbers in a few calls */

enum {
    FLAG_CF = 1 << 0,
    FLAG_PF = 1 << 2,
    FLAG_AF = 1 << 4,
    FLAG_ZF = 1 << 6,
    FLAG_SF = 1 << 7,
    FLAG_TF = 1 << 8,
    FLAG_IF = 1 << 9,
    FLAG_DF = 1 << 10,
    FLAG_OF = 1 << 11,
    FLAG_IOPL = 3 << 12,
    FLAG_NT = 1 << 14,
    FLAG_RF = 1 << 16,
    FLAG_VM = 1 << 17,
    FLAG_AC = 1 << 18,
    FLAG_VIF = 1 << 19,
    FLAG_VIP = 1 << 20,
    FLAG_ID = 1 << 21,
    FLAGS_ARITH = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF,
};
enum {
    CR0_PE = 1 << 0,
    CR0_MP = 1 << 1,
    CR0_EM = 1 << 2,
    CR0_TS = 1 << 3,
    CR0_ET = 1 << 4,
    CR0_NE = 1 << 5,
    CR0_WP = 1 << 16,
    CR0_AM = 1 << 18,
    CR0_NW = 1 << 29,
    CR0_CD = 1 << 30,
};
#define CR0_PG (1u << 31)
enum { EFER_SCE = 1 << 0, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, EFER_NXE = 1 << 11 };
enum {
    CR4_VME = 1 << 0,
    CR4_PVI = 1 << 1,
    CR4_TSD = 1 << 2,
    CR4_DE = 1 << 3,
    CR4_PSE = 1 << 4,
    CR4_PAE = 1 << 5,
    CR4_MCE = 1 << 6,
    CR4_PGE = 1 << 7,
    CR4_PCE = 1 << 8,
    CR4_OSFXSR = 1 << 9,
    CR4_OSXMMEXCPT = 1 << 10,
    CR4_UMIP = 1 << 11,
    CR4_FSGSBASE = 1 << 16,
    CR4_SMEP = 1 << 20,
    CR4_SMAP = 1 << 21,
};
enum {
    EXC_DE = 0,
    EXC_DB = 1,
    EXC_NMI = 2,
    EXC_BP = 3,
    EXC_OF = 4,
    EXC_BR = 5,
    EXC_UD = 6,
    EXC_NM = 7,
    EXC_DF = 8,
    EXC_TS = 10,
    EXC_NP = 11,
    EXC_SS = 12,
    EXC_GP = 13,
    EXC_PF = 14,
    EXC_MF = 16,
    EXC_AC = 17,
    EXC_MC = 18,
    EXC_XM = 19,
};
/* hflags as they stand on the wire; all but CPL, SHADOW and SMM are derived. */
enum {
    HF_CPL = 3,
    HF_SHADOW = 1 << 3, /* STI or MOV SS shadow */
    HF_CS32 = 1 << 4,
    HF_SS32 = 1 << 5,
    HF_ADDSEG = 1 << 6,
    HF_PE = 1 << 7,
    HF_MP = 1 << 9,
    HF_EM = 1 << 10,
    HF_TS = 1 << 11,
    HF_LMA = 1 << 14,
    HF_CS64 = 1 << 15,
    HF_SMM = 1 << 19,
    HF_OSFXSR = 1 << 22,
};
/* cpu->mode: what decoded code depends on; cpu_mode_changed computes it from `s`. */
enum {
    MODE_CS32 = 1 << 0,
    MODE_SS32 = 1 << 1,
    MODE_PE = 1 << 2,
    MODE_VM = 1 << 3,
    MODE_USER = 1 << 4, /* CPL 3 */
    MODE_AC = 1 << 5,   /* alignment is checked */
    MODE_LM = 1 << 6,   /* long mode: 64-bit code or compatibility mode */
    MODE_CS64 = 1 << 7, /* 64-bit code; none of CS32, SS32, FLAT */
    MODE_FLAT = 1 << 8, /* << R_ES .. R_GS: base 0, limit 4 GiB, readable and writable (CS: code) */
};
/* HF2_NMI: NMIs are blocked, and with HF2_SMM_IN_NMI were already before an SMI. */
enum {
    HF2_GIF = 1 << 0,
    HF2_NMI = 1 << 2,
    HF2_SMM_IN_NMI = 1 << 4,
    HF2_IGNNE = 1 << 7,
    HF2_VGIF = 1 << 8
};
/* interrupt_request bits, as on the wire. */
enum { INTREQ_HARD = 0x0002, INTREQ_SMI = 0x0040, INTREQ_NMI = 0x0200, INTREQ_INIT = 0x0400 };
enum { INTREQ_SIPI = 0x2000 };

/* Segment flags: the descriptor's high doubleword. */
enum {
    SEGF_A = 1 << 8,
    SEGF_RW = 1 << 9,  /* writable data, readable code */
    SEGF_EC = 1 << 10, /* expand-down data, conforming code */
    SEGF_CODE = 1 << 11,
    SEGF_S = 1 << 12,
    SEGF_DPL = 3 << 13,
    SEGF_P = 1 << 15,
    SEGF_AVL = 1 << 20,
    SEGF_L = 1 << 21,
    SEGF_DB = 1 << 22,
    SEGF_G = 1 << 23,
    SEGF_DPL_SHIFT = 13,
    SEGF_TYPE_SHIFT = 8,
};

/* -- guest state -- */

typedef struct SegReg {
    uint32_t selector;
    uint64_t base;
    uint32_t limit; /* bytes, inclusive */
    uint32_t flags;
} SegReg;

typedef struct FpReg { /* an x87 register; MMX lives in mant */
    uint64_t mant;
    uint16_t exp; /* sign and exponent */
} FpReg;

typedef struct MtrrVar {
    uint64_t base, mask;
} MtrrVar;

typedef struct XmmReg {
    uint64_t q[2];
} XmmReg;

/* Members and widths are those of the wire (sections cpu_common and cpu, and its subsections). */
typedef struct CpuState {
    uint32_t halted, interrupt_request;
    uint64_t regs[16];
    uint64_t eip, eflags; /* arithmetic flags in eflags are stale while lazy: cpu_get_eflags */
    uint32_t hflags;
    uint16_t fpuc, fpus_vmstate, fptag_vmstate, fpregs_format_vmstate;
    uint16_t fpus;   /* status without TOP (live; shadowed by fpus_vmstate) */
    uint8_t fpstt;   /* TOP (live) */
    uint8_t fptags;  /* live: bit i set means physical register i is in use (wire's sense) */
    FpReg fpregs[8]; /* physical order */
    SegReg segs[6], ldt, tr, gdt, idt;
    uint32_t sysenter_cs;
    uint64_t sysenter_esp, sysenter_eip;
    uint64_t cr[5]; /* [1] unused */
    uint64_t dr[8];
    int32_t a20_mask; /* -1 on, ~(1 << 20) off */
    uint32_t mxcsr;
    XmmReg xmm[16], ymmh[16];
    uint64_t efer, star, lstar, cstar, fmask, kernelgsbase;
    uint32_t smbase;
    uint64_t pat;
    uint32_t hflags2;
    uint64_t tsc_offset;
    uint64_t mtrr_fixed[11], mtrr_deftype;
    MtrrVar mtrr_var[8];
    int32_t interrupt_injected; /* a vector taken by INTA whose delivery has not committed, or -1 */
    uint32_t mp_state;
    uint64_t tsc; /* shadow: filled when saved */
    int32_t exception_nr;
    uint8_t soft_interrupt, nmi_injected, nmi_pending, has_error_code;
    uint32_t sipi_vector;
    uint64_t mcg_cap, mcg_status, mcg_ctl, mce_banks[40];
    uint64_t tsc_aux, system_time_msr, wall_clock_msr, xcr0, xstate_bv;
    uint64_t vm_hsave, vm_vmcb, intercept;
    uint16_t intercept_cr_read, intercept_cr_write, intercept_dr_read, intercept_dr_write;
    uint32_t intercept_exceptions;
    uint8_t v_tpr;
    uint64_t tsc_deadline; /* 0: none; stale once it is past: msr_settle_deadline */
    uint64_t poll_control_msr, msr_smi_count, misc_enable;
    uint16_t fpop; /* last x87 opcode and pointers */
    uint64_t fpip, fpdp;
    uint32_t ferr;          /* exact: FERR is asserted towards IRQ 13 */
    uint64_t pdptr[4];      /* exact: the PDPTEs that PAE paging works with ... */
    uint32_t pdptr_valid;   /* ... or 0: the next walk loads them */
    uint32_t debug_pending; /* exact: DR6 bits of a trap that a MOV SS has put off; DEBUG_SHADOW */
    uint32_t turn_left;     /* exact: instructions of the CPU's turn */
    uint8_t turn;           /* exact: its turn was the last one, and may go on */
} CpuState;

/* -- TLB -- */

/* 32-bit code's linear pages index a table of 2^20 entries; an entry that is not zero is added
 * to the linear address to give the host's.  Zero: slow path.  64-bit code's pages share the
 * places of a smaller table whose entries tell which one they hold.  Tables for user and
 * supervisor, read and write; a page that is watched (clean, code) is never in a write table, an
 * absent one in neither, MMIO in none.  See cpu/tlb.h for fills, flushes and the list of filled
 * entries. */
typedef struct Tlb Tlb;
typedef struct TlbEntry TlbEntry;

/* -- the CPU -- */

/* What the instruction in front of which `left` was left of the slice has used up: it is given back
 * where that one did not happen. */
typedef struct CpuHeld {
    int64_t left;
    bool shadow, rf;
} CpuHeld;

struct Cpu {
    Device dev;
    char *model_text;             /* property "model" */
    uint32_t index;               /* property: 0 is the boot CPU */
    bool smm_legacy;              /* property: cpu/smm.c */
    const struct CpuModel *model; /* cpu/models.c */
    struct CpuFeatures {
        uint32_t ecx1, edx1, ecx80000001, edx80000001, ebx7,
            ecx7; /* after +x,-y, masked by what works */
    } features;

    /* runtime: derived, never saved */
    uint64_t next_eip; /* slow instructions: where to go on; handlers of jumps set it */
    uint32_t mode;     /* decoding mode and block key: cpu_update_mode */
    uint64_t cc_res, cc_op1, cc_op2; /* lazy arithmetic flags, cpu/flags.h ... */
    uint32_t cc_kind;                /* ... CC_EFLAGS (0): eflags is up to date */
    bool exit_pending;               /* look for interrupts and exits before the next block */
    bool in_slice;
    bool stop_slice;    /* with exit_pending: the slice ends (an earlier deadline, a kick) ... */
    bool stop_turn;     /* ... or this CPU's part of it */
    bool soft_int;      /* the instruction was a software interrupt: no trap of TF behind it */
    bool cur_synced;    /* s.eip is already cur's own */
    bool in_iret;       /* an IRET is under way */
    int64_t slice_left; /* instructions left in this stretch of the slice; a block is taken off
                          * when it is entered, so at call-outs the calling one counts as done */
    int64_t slice_rest; /* of the slice, behind this stretch (cpu/run.c) */
    int64_t slice_total;
    int64_t blocked_ns, blocked_since_ns; /* cpu/blocked.c; since: 0 while it does not wait */
    CpuHeld held;
    const Insn *cur;     /* the fast instruction whose slow path runs: s.eip is its block's start;
                          * NULL: s.eip is exact and the instruction may do I/O */
    uint64_t *rd, *wr;   /* TLB tables of the current privilege: cpu_mode_changed sets them */
    TlbEntry *lrd, *lwr; /* ... their tagged form */
    uint64_t cs_desc;    /* the GDT's entry that CS was loaded from, or 0: not known (cpu/far.c) */
    uint64_t code_base;  /* CS's base where it counts; linear addresses and EIP wrap by eip_mask */
    uint64_t eip_mask;   /* 32 or 64 ones */
    uint64_t sp_mask;    /* 16, 32 or 64 ones: how much of RSP is the stack pointer */
    uint64_t zero;       /* what an absent base or index register reads as */
    struct Block *block; /* the one that runs ... */
    struct Block **link; /* ... and where it wants to be linked to its successor, or NULL */
    const Insn *resume;  /* loop form of dispatch: the next instruction, NULL: leave */
    Tlb *tlb;
    struct BlockCache *blocks;
    Cpus *cpus;
    struct FaultFrame *fault_frame; /* cpu/fault.c */
    GArray *task_steps;             /* what is under way and may be undone, or NULL: cpu/task.c */
    uint64_t peek_absent;           /* the absent page that the monitor's last walk met; 0: none */
    MemListener listener;
    bool sse_live;    /* the guest's MXCSR stands in the host's: cpu/sse.h */
    uint8_t x87_host; /* exception flags that stand in the host's x87: cpu/x87.h */
    uint8_t debug;    /* DEBUG_* of cpu/debug.h: what TF and DR7 demand of the run loop */
    Irq ferr;         /* property: FERR, to IRQ 13 */
    struct CpuState s;
};
#define CPU(d) ((Cpu *)(d))

static inline unsigned cpu_cpl(const Cpu *cpu) { return cpu->s.hflags & HF_CPL; }
static inline bool cpu_protected(const Cpu *cpu) { return cpu->s.cr[0] & CR0_PE; }
static inline bool cpu_v86(const Cpu *cpu) { return cpu->s.eflags & FLAG_VM; }
static inline bool cpu_long(const Cpu *cpu) { return cpu->s.efer & EFER_LMA; }
/* In long mode, running 64-bit code. */
static inline bool cpu_code64(const Cpu *cpu)
{
    return cpu_long(cpu) && (cpu->s.segs[R_CS].flags & SEGF_L);
}
/* The linear address of s.eip. */
static inline uint64_t cpu_code_lin(const Cpu *cpu)
{
    return (cpu->code_base + cpu->s.eip) & cpu->eip_mask;
}
/* Bits 63 to 48 become what bit 47 is ... */
static inline uint64_t cpu_canonical(uint64_t lin)
{
    return (uint64_t)((int64_t)(lin << 16) >> 16);
}
/* ... and whether they are. */
static inline bool cpu_is_canonical(uint64_t lin) { return cpu_canonical(lin) == lin; }

/* -- flags (cpu/flags.c) -- */
uint32_t cpu_get_eflags(Cpu *cpu); /* materialised */
/* Sets the bits of mask; recomputes what hangs on TF, IF, VM, AC. */
void cpu_set_eflags(Cpu *cpu, uint32_t val, uint32_t mask);

/* -- faults (cpu/fault.c) -- */
/* Raises an exception with the instruction's EIP; for vectors with an error code, code is
 * pushed. */
_Noreturn void cpu_raise(Cpu *cpu, int vector, uint32_t code);
_Noreturn void cpu_page_fault(Cpu *cpu, uint64_t lin, uint32_t code); /* sets CR2 at delivery */
_Noreturn void cpu_blocked(Cpu *cpu); /* absent page: end the slice, restart the instruction */

/* -- linear memory (cpu/mmu.c): size 1, 2, 4, 8; page faults by CPL, or as supervisor ("sys") -- */
uint64_t cpu_load(Cpu *cpu, uint64_t lin, unsigned size);
void cpu_store(Cpu *cpu, uint64_t lin, uint64_t val, unsigned size);
uint64_t cpu_load_sys(Cpu *cpu, uint64_t lin, unsigned size);
void cpu_store_sys(Cpu *cpu, uint64_t lin, uint64_t val, unsigned size);
/* Raises whatever fault an access of len bytes would raise, and touches nothing but A/D bits. */
void cpu_probe(Cpu *cpu, uint64_t lin, unsigned len, bool write, bool sys);
void cpu_tlb_flush(Cpu *cpu, bool globals_too);
void cpu_tlb_flush_page(Cpu *cpu, uint64_t lin);

/* -- segmented memory (cpu/mmu.c) -- */
/* Checks off..off+size-1 against the segment (type, limit; #GP or #SS) and gives the linear
 * address. */
uint64_t cpu_seg_lin(Cpu *cpu, int seg, uint64_t off, unsigned size, bool write);

/* -- segments (cpu/segment.c) -- */
/* Loads ES, SS, DS, FS, GS as MOV does, with all checks; not CS. */
void cpu_load_seg(Cpu *cpu, int seg, uint16_t selector);
/* Real-mode and v86 form: base = selector << 4; v86 sets limit and rights too. */
void cpu_load_seg_real(Cpu *cpu, int seg, uint16_t selector);
/* After a change of CR0, CPL, eflags.VM or any segment register (base, limit, rights): hflags'
 * derived bits; ends with cpu_mode_changed. */
void cpu_update_mode(Cpu *cpu);
/* Sets CPL; ends with cpu_mode_changed, too. */
void cpu_set_cpl(Cpu *cpu, unsigned cpl);

/* -- the interpreter's life and hooks (cpu/run.c, cpu/mmu.c, cpu/blocks.c) -- */
/* realize and unrealize: TLB, block cache, listener, clock hook. */
bool cpu_core_init(Cpu *cpu, Error *err);
void cpu_core_free(Cpu *cpu);
/* Drops everything derived from `s` and memory (TLB, blocks); recomputes mode.  sync() calls it. */
void cpu_core_drop(Cpu *cpu);
/* Recomputes cpu->mode (bits below) and selects the TLB tables of the CPL; also after a change of
 * CR0.AM or eflags.AC. */
void cpu_mode_changed(Cpu *cpu);

/* -- interrupts (cpu/interrupt.c) -- */
enum IntKind { INT_EXCEPTION, INT_SOFT, INT_HARD, INT_ICEBP, INT_NMI_KIND };
/* Delivers through the IDT (or IVT).  next_eip of soft ones is what is pushed; others push s.eip.
 * Nested faults become double and triple faults (fault.c drives that). */
void cpu_deliver(Cpu *cpu, int vector, enum IntKind kind, bool has_code, uint32_t code);
/* Takes the highest pending event (SMI, INIT, startup, NMI, INTR) if it may be taken now; true if
 * one was. */
bool cpu_poll_events(Cpu *cpu);
/* True where an unmasked event would wake a halted CPU. */
bool cpu_has_event(Cpu *cpu);

/* -- privileged pieces used by more than one file -- */
void cpu_write_cr0(Cpu *cpu, uint64_t val); /* cpu/system.c */
void cpu_write_cr3(Cpu *cpu, uint64_t val);
void cpu_write_cr4(Cpu *cpu, uint64_t val);
void cpu_check_umip(Cpu *cpu); /* #GP where CR4.UMIP hides descriptor-table registers */
void cpu_task_switch(Cpu *cpu, uint16_t selector, int why, uint64_t return_eip, bool has_code,
    uint32_t code); /* cpu/task.c */
/* #GP where CPL, IOPL and the TSS's bitmap forbid these ports. */
void cpu_check_io(Cpu *cpu, uint32_t port, unsigned size); /* cpu/system.c */
void cpu_reset_state(Cpu *cpu, bool power_on);             /* cpu/state.c: RESET and INIT */
/* x87: called before waiting instructions and by port F0h's IGNNE. cpu/x87.c */
void cpu_fpu_check(Cpu *cpu);
