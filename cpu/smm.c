/* SPDX-License-Identifier: MIT */
/*
 * System management mode: what an SMI saves, how the handler starts, and RSM.  Sources: Intel SDM
 * volume 3, chapter 34 (1999's 12); AMD64 manual volume 2, chapter 10, with its table of the state
 * save area.
 *
 * The save area is the 512 bytes below SMBASE + 10000h, in one of two forms.  The AMD64 form serves
 * every model, as with other emulators of long mode: a guest that is moved while its handler runs
 * finds there what it needs.  Models without long mode can have the form of 32-bit processors
 * (property smm-legacy).  Its manual leaves descriptors and CR4 out; they stand where P6 processors
 * are known to have them.
 *
 * NMIs are blocked as by an NMI: IRET lets them in, and HF2_SMM_IN_NMI remembers that they were
 * blocked before.  RSM brings that back.
 *
 * Not modelled: restart of I/O instructions (the revision says so), SVM, dual-monitor treatment.
 */
#include "cpu/smm.h"

#include "cpu/cpus.h"
#include "cpu/debug.h"
#include "cpu/decode.h"
#include "cpu/msr.h"
#include "cpu/tlb.h"

enum { HANDLER_EIP = 0x8000, AREA_OFF = 0xfe00, AREA_BYTES = 0x200 };
enum { REVISION_LEGACY = 0x00020000, REVISION_AMD64 = 0x00020064, REVISION_RELOCATES = 0x00020000 };
enum { SMM_DR7 = 0x400, SMM_CR0_CLEARS = CR0_PE | CR0_EM | CR0_TS };
enum { SMM_EFLAGS = 0x3f7fd7, RIGHTS_MASK = 0xf0ff };
enum { DR6_FIXED = 0xffff0ff0u, DR6_WRITABLE = 0xe00f, DR7_WRITABLE = 0xffff23ffu };

typedef struct CpuState CpuState;

/* A member of the state and where the area has it, counted from AREA_OFF. */
typedef struct SmmField {
    uint16_t at;
    uint8_t bytes;
    bool rights; /* of a segment: bits 8 to 23 of its flags */
    uint16_t member;
    uint8_t member_bytes;
} SmmField;

typedef struct SmmForm {
    const SmmField *fields;
    unsigned n;
    uint32_t revision;
    uint16_t revision_at, smbase_at, halt_at; /* halt_at: bit 0 is "restart the HLT" */
    bool has_efer;
} SmmForm;

#define AREA(at) ((at)-AREA_OFF)
#define FIELD(at, bytes, what)                                                                     \
    {                                                                                              \
        AREA(at), bytes, false, offsetof(CpuState, what), sizeof(((CpuState *)0)->what)            \
    }
#define RIGHTS(at, bytes, seg)                                                                     \
    {                                                                                              \
        AREA(at), bytes, true, offsetof(CpuState, seg.flags), 4                                    \
    }
#define SEGMENT(at, seg)                                                                           \
    FIELD(at, 2, seg.selector), RIGHTS((at) + 2, 2, seg), FIELD((at) + 4, 4, seg.limit),           \
        FIELD((at) + 8, 8, seg.base)

static const SmmField smm_amd64[] = { SEGMENT(0xfe00, segs[R_ES]), SEGMENT(0xfe10, segs[R_CS]),
    SEGMENT(0xfe20, segs[R_SS]), SEGMENT(0xfe30, segs[R_DS]), SEGMENT(0xfe40, segs[R_FS]),
    SEGMENT(0xfe50, segs[R_GS]), FIELD(0xfe64, 4, gdt.limit), FIELD(0xfe68, 8, gdt.base),
    SEGMENT(0xfe70, ldt), FIELD(0xfe84, 4, idt.limit), FIELD(0xfe88, 8, idt.base),
    SEGMENT(0xfe90, tr), FIELD(0xfed0, 8, efer), FIELD(0xff48, 4, cr[4]), FIELD(0xff50, 8, cr[3]),
    FIELD(0xff58, 4, cr[0]), FIELD(0xff60, 4, dr[7]), FIELD(0xff68, 4, dr[6]),
    FIELD(0xff70, 4, eflags), FIELD(0xff78, 8, eip), FIELD(0xff80, 8, regs[15]),
    FIELD(0xff88, 8, regs[14]), FIELD(0xff90, 8, regs[13]), FIELD(0xff98, 8, regs[12]),
    FIELD(0xffa0, 8, regs[11]), FIELD(0xffa8, 8, regs[10]), FIELD(0xffb0, 8, regs[9]),
    FIELD(0xffb8, 8, regs[8]), FIELD(0xffc0, 8, regs[R_EDI]), FIELD(0xffc8, 8, regs[R_ESI]),
    FIELD(0xffd0, 8, regs[R_EBP]), FIELD(0xffd8, 8, regs[R_ESP]), FIELD(0xffe0, 8, regs[R_EBX]),
    FIELD(0xffe8, 8, regs[R_EDX]), FIELD(0xfff0, 8, regs[R_ECX]), FIELD(0xfff8, 8, regs[R_EAX]) };

#define HIDDEN(at, seg)                                                                            \
    RIGHTS(at, 4, seg), FIELD((at) + 4, 4, seg.limit), FIELD((at) + 8, 4, seg.base)

static const SmmField smm_legacy[] = { FIELD(0xff14, 4, cr[4]), HIDDEN(0xff2c, segs[R_DS]),
    HIDDEN(0xff38, segs[R_FS]), HIDDEN(0xff44, segs[R_GS]), FIELD(0xff54, 4, idt.limit),
    FIELD(0xff58, 4, idt.base), HIDDEN(0xff5c, tr), FIELD(0xff70, 4, gdt.limit),
    FIELD(0xff74, 4, gdt.base), HIDDEN(0xff78, ldt), HIDDEN(0xff84, segs[R_ES]),
    HIDDEN(0xff90, segs[R_CS]), HIDDEN(0xff9c, segs[R_SS]), FIELD(0xffa8, 4, segs[R_ES].selector),
    FIELD(0xffac, 4, segs[R_CS].selector), FIELD(0xffb0, 4, segs[R_SS].selector),
    FIELD(0xffb4, 4, segs[R_DS].selector), FIELD(0xffb8, 4, segs[R_FS].selector),
    FIELD(0xffbc, 4, segs[R_GS].selector), FIELD(0xffc0, 4, ldt.selector),
    FIELD(0xffc4, 4, tr.selector), FIELD(0xffc8, 4, dr[7]), FIELD(0xffcc, 4, dr[6]),
    FIELD(0xffd0, 4, regs[R_EAX]), FIELD(0xffd4, 4, regs[R_ECX]), FIELD(0xffd8, 4, regs[R_EDX]),
    FIELD(0xffdc, 4, regs[R_EBX]), FIELD(0xffe0, 4, regs[R_ESP]), FIELD(0xffe4, 4, regs[R_EBP]),
    FIELD(0xffe8, 4, regs[R_ESI]), FIELD(0xffec, 4, regs[R_EDI]), FIELD(0xfff0, 4, eip),
    FIELD(0xfff4, 4, eflags), FIELD(0xfff8, 4, cr[3]), FIELD(0xfffc, 4, cr[0]) };

static const SmmForm smm_forms[] = {
    { smm_amd64, ARRAY_SIZE(smm_amd64), REVISION_AMD64, AREA(0xfefc), AREA(0xff00), AREA(0xfec9),
        true },
    { smm_legacy, ARRAY_SIZE(smm_legacy), REVISION_LEGACY, AREA(0xfefc), AREA(0xfef8), AREA(0xff02),
        false },
};

static const SmmForm *smm_form(const Cpu *cpu)
{
    return &smm_forms[cpu->smm_legacy && !cpu_has_ext(cpu, FEAT_LM)];
}

/* -- the save area -- */

static uint64_t smm_area(const Cpu *cpu) { return cpu->s.smbase + (uint64_t)AREA_OFF; }

static void smm_read(Cpu *cpu, uint8_t *area)
{
    mmu_smram_await(cpu, smm_area(cpu), AREA_BYTES);
    mem_read(
        cpu->dev.m, (MemAttrs){ .cpu = &cpu->dev, .smm = true }, smm_area(cpu), area, AREA_BYTES);
}

static uint64_t smm_get(const uint8_t *p, unsigned bytes)
{
    return bytes == 2 ? load_le16(p) : bytes == 4 ? load_le32(p) : load_le64(p);
}

static void smm_put(uint8_t *p, uint64_t val, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) p[i] = (uint8_t)(val >> 8 * i);
}

static void smm_save(const SmmForm *form, const CpuState *s, uint8_t *area)
{
    for (unsigned i = 0; i < form->n; i++) {
        const SmmField *f = &form->fields[i];
        const void *from = (const char *)s + f->member;
        uint64_t val = f->member_bytes == 8 ? *(const uint64_t *)from : *(const uint32_t *)from;

        if (f->rights) val = val >> 8 & RIGHTS_MASK;
        smm_put(area + f->at, val, f->bytes);
    }
    smm_put(area + form->revision_at, form->revision, 4);
    smm_put(area + form->smbase_at, s->smbase, 4);
    area[form->halt_at] = s->halted != 0;
}

static void smm_restore(const SmmForm *form, CpuState *s, const uint8_t *area)
{
    for (unsigned i = 0; i < form->n; i++) {
        const SmmField *f = &form->fields[i];
        uint64_t val = smm_get(area + f->at, f->bytes);
        void *to = (char *)s + f->member;

        if (f->rights) val = (val & RIGHTS_MASK) << 8;
        if (f->member_bytes == 8)
            *(uint64_t *)to = val;
        else
            *(uint32_t *)to = (uint32_t)val;
    }
    if (smm_get(area + form->revision_at, 4) & REVISION_RELOCATES)
        s->smbase = (uint32_t)smm_get(area + form->smbase_at, 4);
    s->halted = area[form->halt_at] & 1;
}

/* What is derived from the state, of which much has changed at once. */
static void smm_changed(Cpu *cpu)
{
    cpu->s.pdptr_valid = 0;
    cpu_tlb_flush(cpu, true);
    cpu_debug_update(cpu);
    cpu_update_mode(cpu);
    cpu->exit_pending = true;
}

/* -- entry -- */

bool smm_ready(const Cpu *cpu)
{
    return cpu->s.interrupt_request & INTREQ_SMI && !(cpu->s.hflags & HF_SMM) &&
           !(cpu->s.halted && cpu_waits(cpu));
}

static void smm_start(CpuState *s, bool has_efer)
{
    uint32_t rights = SEGF_P | SEGF_S | SEGF_RW | SEGF_A | SEGF_G;

    for (unsigned i = 0; i < ARRAY_SIZE(s->segs); i++)
        s->segs[i] = (SegReg){ .limit = UINT32_MAX, .flags = rights };
    s->segs[R_CS].selector = s->smbase >> 4 & 0xffff;
    s->segs[R_CS].base = s->smbase;
    s->eip = HANDLER_EIP;
    s->eflags = 2;
    s->cr[0] &= ~(uint64_t)(SMM_CR0_CLEARS | CR0_PG);
    s->cr[4] = 0;
    if (has_efer) s->efer = 0;
    s->dr[7] = SMM_DR7;
    s->halted = 0;
    s->hflags = (s->hflags & ~(uint32_t)(HF_CPL | HF_SHADOW)) | HF_SMM;
    s->hflags2 |= s->hflags2 & HF2_NMI ? HF2_SMM_IN_NMI : HF2_NMI;
    s->interrupt_request &= ~(uint32_t)INTREQ_SMI;
    s->msr_smi_count++;
}

void smm_enter(Cpu *cpu)
{
    const SmmForm *form = smm_form(cpu);
    uint8_t area[AREA_BYTES];

    cpu_get_eflags(cpu);
    smm_read(cpu, area);
    if (log_on(&cpu->dev.m->log, LOG_INT))
        log_printf(&cpu->dev.m->log, "SMM: enter cpl=%u IP=%04x:%08llx\n", cpu_cpl(cpu),
            cpu->s.segs[R_CS].selector, (unsigned long long)cpu->s.eip);
    smm_save(form, &cpu->s, area);
    mem_write(
        cpu->dev.m, (MemAttrs){ .cpu = &cpu->dev, .smm = true }, smm_area(cpu), area, AREA_BYTES);
    smm_start(&cpu->s, form->has_efer);
    smm_changed(cpu);
}

/* -- RSM -- */

/* What a processor shuts down for: control registers that fit neither the model nor one another. */
static bool smm_is_valid(const Cpu *cpu, const CpuState *s)
{
    bool pe = s->cr[0] & CR0_PE, pg = s->cr[0] & CR0_PG, pae = s->cr[4] & CR4_PAE;
    bool lme = s->efer & EFER_LME, lma = s->efer & EFER_LMA;

    if ((pg && !pe) || (s->cr[0] & (CR0_NW | CR0_CD)) == CR0_NW) return false;
    if (s->cr[4] & ~(uint64_t)cpu_cr4_bits(cpu)) return false;
    if (s->efer & ~msr_efer_bits(cpu) || lma != (lme && pg)) return false;
    return !lma || (pae && !(s->cr[3] >> cpu_phys_bits(cpu)));
}

/* Bits that no register has are not taken from the area. */
static void smm_tidy(const Cpu *cpu, CpuState *s)
{
    bool lm = cpu_has_ext(cpu, FEAT_LM), pe = s->cr[0] & CR0_PE;

    s->cr[0] |= CR0_ET;
    s->dr[6] = (s->dr[6] & DR6_WRITABLE) | DR6_FIXED;
    s->dr[7] = (s->dr[7] & DR7_WRITABLE) | SMM_DR7;
    s->eflags = (s->eflags & SMM_EFLAGS) | 2;
    if (!pe || s->efer & EFER_LMA) s->eflags &= ~(uint64_t)FLAG_VM;
    if (!(s->efer & EFER_LMA)) s->eip = (uint32_t)s->eip;
    for (unsigned i = 0; i < ARRAY_SIZE(s->segs); i++)
        s->segs[i].base = lm ? cpu_canonical(s->segs[i].base) : (uint32_t)s->segs[i].base;
    s->hflags &= ~(uint32_t)(HF_CPL | HF_SHADOW | HF_SMM);
    if (s->eflags & FLAG_VM)
        s->hflags |= 3;
    else if (pe)
        s->hflags |= (s->segs[R_SS].flags & SEGF_DPL) >> SEGF_DPL_SHIFT;
}

void op_rsm(Cpu *cpu, const Insn *in)
{
    Log *log = &cpu->dev.m->log;
    uint8_t area[AREA_BYTES];
    CpuState s;

    (void)in;
    if (!(cpu->s.hflags & HF_SMM)) cpu_raise(cpu, EXC_UD, 0);
    smm_read(cpu, area);
    cpu_get_eflags(cpu);
    s = cpu->s;
    smm_restore(smm_form(cpu), &s, area);
    if (!smm_is_valid(cpu, &s)) {
        if (log_on(log, LOG_INT | LOG_CPU_RESET)) log_printf(log, "SMM: bad state to resume\n");
        machine_request_reset(cpu->dev.m, RESET_GUEST);
        cpu->exit_pending = true;
        return;
    }
    smm_tidy(cpu, &s);
    s.hflags2 &= ~(uint32_t)HF2_NMI;
    if (s.hflags2 & HF2_SMM_IN_NMI) s.hflags2 ^= HF2_SMM_IN_NMI | HF2_NMI;
    cpu->s = s;
    cpu->next_eip = s.eip;
    smm_changed(cpu);
    if (log_on(log, LOG_INT))
        log_printf(log, "SMM: after RSM cpl=%u IP=%04x:%08llx\n", cpu_cpl(cpu),
            s.segs[R_CS].selector, (unsigned long long)s.eip);
}
