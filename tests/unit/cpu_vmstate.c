/* SPDX-License-Identifier: MIT */
/*
 * The CPU on the wire: sizes and order of its sections' fields, what the shadow members carry, and
 * that a load recomputes what is derived.
 */
#include <jansson.h>

#include "cpu/vmstate.h"
#include "tests/unit/cpu_machine.h"

enum { COMMON_BYTES = 8, CPU_BYTES = 1817 };

/* Fields of section cpu: name and bytes of one element (structs: of the whole), in order. */
static const struct {
    const char *name;
    unsigned len, size;
} wire[] = { { "env.regs", 16, 8 }, { "env.eip", 0, 8 }, { "env.eflags", 0, 8 },
    { "env.hflags", 0, 4 }, { "env.fpuc", 0, 2 }, { "env.fpus_vmstate", 0, 2 },
    { "env.fptag_vmstate", 0, 2 }, { "env.fpregs_format_vmstate", 0, 2 }, { "env.fpregs", 8, 10 },
    { "env.segs", 6, 20 }, { "env.ldt", 0, 20 }, { "env.tr", 0, 20 }, { "env.gdt", 0, 20 },
    { "env.idt", 0, 20 }, { "env.sysenter_cs", 0, 4 }, { "env.sysenter_esp", 0, 8 },
    { "env.sysenter_eip", 0, 8 }, { "env.cr[0]", 0, 8 }, { "env.cr[2]", 0, 8 },
    { "env.cr[3]", 0, 8 }, { "env.cr[4]", 0, 8 }, { "env.dr", 8, 8 }, { "env.a20_mask", 0, 4 },
    { "env.mxcsr", 0, 4 }, { "env.xmm_regs[0]", 16, 16 }, { "env.efer", 0, 8 },
    { "env.star", 0, 8 }, { "env.lstar", 0, 8 }, { "env.cstar", 0, 8 }, { "env.fmask", 0, 8 },
    { "env.kernelgsbase", 0, 8 }, { "env.smbase", 0, 4 }, { "env.pat", 0, 8 },
    { "env.hflags2", 0, 4 }, { "env.vm_hsave", 0, 8 }, { "env.vm_vmcb", 0, 8 },
    { "env.tsc_offset", 0, 8 }, { "env.intercept", 0, 8 }, { "env.intercept_cr_read", 0, 2 },
    { "env.intercept_cr_write", 0, 2 }, { "env.intercept_dr_read", 0, 2 },
    { "env.intercept_dr_write", 0, 2 }, { "env.intercept_exceptions", 0, 4 }, { "env.v_tpr", 0, 1 },
    { "env.mtrr_fixed", 11, 8 }, { "env.mtrr_deftype", 0, 8 }, { "env.mtrr_var", 8, 16 },
    { "env.interrupt_injected", 0, 4 }, { "env.mp_state", 0, 4 }, { "env.tsc", 0, 8 },
    { "env.exception_nr", 0, 4 }, { "env.soft_interrupt", 0, 1 }, { "env.nmi_injected", 0, 1 },
    { "env.nmi_pending", 0, 1 }, { "env.has_error_code", 0, 1 }, { "env.sipi_vector", 0, 4 },
    { "env.mcg_cap", 0, 8 }, { "env.mcg_status", 0, 8 }, { "env.mcg_ctl", 0, 8 },
    { "env.mce_banks", 40, 8 }, { "env.tsc_aux", 0, 8 }, { "env.system_time_msr", 0, 8 },
    { "env.wall_clock_msr", 0, 8 }, { "env.xcr0", 0, 8 }, { "env.xstate_bv", 0, 8 },
    { "env.xmm_regs[1]", 16, 16 } };

static void test_fields(void)
{
    Machine *m = test_machine_new("pentium3");
    json_t *o = json_object(), *fields, *subs;
    unsigned total = 0;

    vmstate_describe((Json *)o, &cpu_vmstate, &test_cpu(m)->s);
    fields = json_object_get(o, "fields");
    g_assert_cmpuint(json_array_size(fields), ==, G_N_ELEMENTS(wire));
    for (unsigned i = 0; i < G_N_ELEMENTS(wire); i++) {
        json_t *f = json_array_get(fields, i);

        g_assert_cmpstr(json_string_value(json_object_get(f, "name")), ==, wire[i].name);
        g_assert_cmpint(json_integer_value(json_object_get(f, "size")), ==, wire[i].size);
        g_assert_cmpint(json_integer_value(json_object_get(f, "array_len")), ==, wire[i].len);
        total += wire[i].size * MAX(wire[i].len, 1);
    }
    g_assert_cmpuint(total, ==, CPU_BYTES);
    subs = json_object_get(o, "subsections");
    g_assert_cmpuint(json_array_size(subs), ==, 1);
    g_assert_cmpstr(json_string_value(json_object_get(json_array_get(subs, 0), "vmsd_name")), ==,
        "cpu/poll_control_msr");
    json_decref(o);
    machine_free(m);
}

static size_t section_bytes(const VmState *vmsd, Machine *m)
{
    Stream st;
    size_t n;

    device_settle(&test_cpu(m)->dev);
    stream_init(&st);
    vmstate_save(&st, vmsd, &test_cpu(m)->s);
    n = st.size;
    stream_free(&st);
    return n;
}

static void test_sizes(void)
{
    Machine *m = test_machine_new("pentium3");
    size_t subsection = 1 + 1 + 4, plain, fpu;

    g_assert_cmpuint(section_bytes(&cpu_common_vmstate, m), ==, COMMON_BYTES);
    plain = CPU_BYTES + subsection + strlen("cpu/poll_control_msr") + 8;
    g_assert_cmpuint(section_bytes(&cpu_vmstate, m), ==, plain);
    test_cpu(m)->s.fpip = 0x1234;
    fpu = plain + subsection + strlen("cpu/fpop_ip_dp") + 2 + 8 + 8;
    g_assert_cmpuint(section_bytes(&cpu_vmstate, m), ==, fpu);
    machine_free(m);
}

/* From one CPU to another by way of the wire. */
static void copy(Machine *to, Machine *from)
{
    Stream st;

    device_settle(&test_cpu(from)->dev);
    stream_init(&st);
    vmstate_save(&st, &cpu_vmstate, &test_cpu(from)->s);
    stream_put_u8(&st, 0x7e);
    g_assert_true(vmstate_load(&st, &cpu_vmstate, &test_cpu(to)->s, cpu_vmstate.version));
    stream_free(&st);
    device_sync(&test_cpu(to)->dev);
}

static void test_x87_shadows(void)
{
    static const uint8_t code[] = { 0xd9, 0xe8, 0xd9, 0xee, 0x39, 0xc0, 0xd8, 0xd9 };
    Machine *a = test_machine_new("pentium3"), *b = test_machine_new("pentium3");
    Cpu *from = test_cpu(a), *to = test_cpu(b);

    test_flat32(from, 0x1000);
    test_poke(a, 0x1000, code, sizeof(code)); /* fld1; fldz; cmp; fcomp st1 */
    test_run(a, 3);
    device_settle(&from->dev);
    g_assert_cmphex(from->s.fpus_vmstate, ==, 0x3000);
    g_assert_cmphex(from->s.fptag_vmstate, ==, 0xc0);
    g_assert_cmphex(from->s.eflags & FLAGS_ARITH, ==, FLAG_ZF | FLAG_PF);
    copy(b, a);
    g_assert_cmpuint(to->s.fpstt, ==, 6);
    g_assert_cmphex(to->s.fptags, ==, 0xc0);
    g_assert_cmphex(to->s.fpregs[7].mant, ==, 1ull << 63);
    g_assert_cmphex(to->s.fpregs[7].exp, ==, 0x3fff);
    g_assert_cmphex(cpu_get_eflags(to) & FLAGS_ARITH, ==, FLAG_ZF | FLAG_PF);
    g_assert_cmphex(to->mode, ==, from->mode);
    g_assert_cmphex(to->s.fpip, ==, 0x1002 | 8ull << 32);
    machine_free(a);
    machine_free(b);
}

/* hflags as a foreign loader needs them, in the modes there are. */
static void test_hflags(void)
{
    Machine *m = test_machine_new("pentium3");
    Cpu *cpu = test_cpu(m);

    g_assert_cmphex(cpu->s.hflags, ==, 0x040);
    g_assert_cmphex(cpu->s.hflags2, ==, 0x101);
    test_flat32(cpu, 0x1000);
    g_assert_cmphex(cpu->s.hflags, ==, 0x0b0);
    cpu->s.segs[R_DS].base = 0x10;
    cpu_update_mode(cpu);
    g_assert_cmphex(cpu->s.hflags, ==, 0x0f0);
    cpu->s.segs[R_DS].base = 0;
    cpu->s.segs[R_CS].flags &= ~(uint32_t)SEGF_DB;
    cpu_update_mode(cpu);
    g_assert_cmphex(cpu->s.hflags, ==, 0x0e0);
    cpu->s.segs[R_SS].flags &= ~(uint32_t)SEGF_DB;
    cpu_update_mode(cpu);
    g_assert_cmphex(cpu->s.hflags, ==, 0x0c0);
    cpu->s.cr[0] |= CR0_TS | CR0_MP;
    cpu_update_mode(cpu);
    g_assert_cmphex(cpu->s.hflags, ==, 0xac0);
    machine_free(m);
}

static void test_refused(void)
{
    Machine *m = test_machine_new("pentium3");
    struct CpuState s = test_cpu(m)->s;
    Error err = ERROR_INIT;

    s.efer |= EFER_LMA | EFER_LME; /* without paging */
    g_assert_false(cpu_vmstate.post_load(&s, 12, &err));
    g_assert_true(error_is_set(&err));
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/vmstate/fields", test_fields);
    g_test_add_func("/cpu/vmstate/sizes", test_sizes);
    g_test_add_func("/cpu/vmstate/x87", test_x87_shadows);
    g_test_add_func("/cpu/vmstate/hflags", test_hflags);
    g_test_add_func("/cpu/vmstate/refused", test_refused);
    return g_test_run();
}
