/* SPDX-License-Identifier: MIT */
/*
 * Names of CPUID's features.  Source: Intel SDM volume 2 and AMD's manual volume 3 (CPUID); the
 * names are those that QEMU's users know.  Most of them do not work here: who takes one away gets
 * what is the case anyway, who asks for one is told.
 * Not known: the features of Centaur's processors, of SGX, of VMX and of KVM, one by one.
 */
#include "cpu/features.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "util/bits.h"

static const char *const word_names[WORDS] = {
    [WORD_1_ECX] = "01H:ECX",
    [WORD_1_EDX] = "01H:EDX",
    [WORD_80000001_ECX] = "80000001H:ECX",
    [WORD_80000001_EDX] = "80000001H:EDX",
    [WORD_7_EBX] = "07H:EBX",
    [WORD_7_ECX] = "07H:ECX",
    [WORD_6_EAX] = "06H:EAX",
    [WORD_7_EDX] = "07H:EDX",
    [WORD_7_1_EAX] = "07H:EAX",
    [WORD_D_1_EAX] = "0DH:EAX",
    [WORD_80000007_EDX] = "80000007H:EDX",
    [WORD_80000008_EBX] = "80000008H:EBX",
    [WORD_8000000A_EDX] = "8000000AH:EDX",
};

/* clang-format off */
static const char *const names[WORDS][32] = {
    [WORD_1_ECX] = {
        [0] = "pni", [1] = "pclmulqdq", [2] = "dtes64", [3] = "monitor", [4] = "ds-cpl",
        [5] = "vmx", [6] = "smx", [7] = "est", [8] = "tm2", [9] = "ssse3", [10] = "cid",
        [12] = "fma", [13] = "cx16", [14] = "xtpr", [15] = "pdcm", [17] = "pcid", [18] = "dca",
        [19] = "sse4.1", [20] = "sse4.2", [21] = "x2apic", [22] = "movbe", [23] = "popcnt",
        [24] = "tsc-deadline", [25] = "aes", [26] = "xsave", [28] = "avx", [29] = "f16c",
        [30] = "rdrand", [31] = "hypervisor",
    },
    [WORD_1_EDX] = {
        [0] = "fpu", [1] = "vme", [2] = "de", [3] = "pse", [4] = "tsc", [5] = "msr", [6] = "pae",
        [7] = "mce", [8] = "cx8", [9] = "apic", [11] = "sep", [12] = "mtrr", [13] = "pge",
        [14] = "mca", [15] = "cmov", [16] = "pat", [17] = "pse36", [18] = "pn", [19] = "clflush",
        [21] = "ds", [22] = "acpi", [23] = "mmx", [24] = "fxsr", [25] = "sse", [26] = "sse2",
        [27] = "ss", [28] = "ht", [29] = "tm", [30] = "ia64", [31] = "pbe",
    },
    [WORD_80000001_ECX] = {
        [0] = "lahf-lm", [1] = "cmp-legacy", [2] = "svm", [3] = "extapic", [4] = "cr8legacy",
        [5] = "abm", [6] = "sse4a", [7] = "misalignsse", [8] = "3dnowprefetch", [9] = "osvw",
        [10] = "ibs", [11] = "xop", [12] = "skinit", [13] = "wdt", [15] = "lwp", [16] = "fma4",
        [17] = "tce", [19] = "nodeid-msr", [21] = "tbm", [22] = "topoext", [23] = "perfctr-core",
        [24] = "perfctr-nb",
    },
    [WORD_80000001_EDX] = {
        [11] = "syscall", [20] = "nx", [22] = "mmxext", [25] = "fxsr-opt", [26] = "pdpe1gb",
        [27] = "rdtscp", [29] = "lm", [30] = "3dnowext", [31] = "3dnow",
    },
    [WORD_7_EBX] = {
        [0] = "fsgsbase", [1] = "tsc-adjust", [2] = "sgx", [3] = "bmi1", [4] = "hle", [5] = "avx2",
        [7] = "smep", [8] = "bmi2", [9] = "erms", [10] = "invpcid", [11] = "rtm", [14] = "mpx",
        [16] = "avx512f", [17] = "avx512dq", [18] = "rdseed", [19] = "adx", [20] = "smap",
        [21] = "avx512ifma", [22] = "pcommit", [23] = "clflushopt", [24] = "clwb",
        [25] = "intel-pt", [26] = "avx512pf", [27] = "avx512er", [28] = "avx512cd",
        [29] = "sha-ni", [30] = "avx512bw", [31] = "avx512vl",
    },
    [WORD_7_ECX] = {
        [1] = "avx512vbmi", [2] = "umip", [3] = "pku", [5] = "waitpkg", [6] = "avx512vbmi2",
        [8] = "gfni", [9] = "vaes", [10] = "vpclmulqdq", [11] = "avx512vnni",
        [12] = "avx512bitalg", [14] = "avx512-vpopcntdq", [16] = "la57", [22] = "rdpid",
        [24] = "bus-lock-detect", [25] = "cldemote", [27] = "movdiri", [28] = "movdir64b",
        [30] = "sgxlc", [31] = "pks",
    },
    [WORD_6_EAX] = { [2] = "arat" },
    [WORD_7_EDX] = {
        [2] = "avx512-4vnniw", [3] = "avx512-4fmaps", [4] = "fsrm", [8] = "avx512-vp2intersect",
        [10] = "md-clear", [14] = "serialize", [16] = "tsx-ldtrk", [19] = "arch-lbr",
        [22] = "amx-bf16", [23] = "avx512-fp16", [24] = "amx-tile", [25] = "amx-int8",
        [26] = "spec-ctrl", [27] = "stibp", [29] = "arch-capabilities", [30] = "core-capability",
        [31] = "ssbd",
    },
    [WORD_7_1_EAX] = { [4] = "avx-vnni", [5] = "avx512-bf16" },
    [WORD_D_1_EAX] = {
        [0] = "xsaveopt", [1] = "xsavec", [2] = "xgetbv1", [3] = "xsaves", [4] = "xfd",
    },
    [WORD_80000007_EDX] = { [8] = "invtsc" },
    [WORD_80000008_EBX] = {
        [0] = "clzero", [2] = "xsaveerptr", [9] = "wbnoinvd", [12] = "ibpb", [14] = "ibrs",
        [15] = "amd-stibp", [24] = "amd-ssbd", [25] = "virt-ssbd", [26] = "amd-no-ssb",
    },
    [WORD_8000000A_EDX] = {
        [0] = "npt", [1] = "lbrv", [2] = "svm-lock", [3] = "nrip-save", [4] = "tsc-scale",
        [5] = "vmcb-clean", [6] = "flushbyasid", [7] = "decodeassists", [10] = "pause-filter",
        [12] = "pfthreshold", [13] = "avic", [15] = "v-vmsave-vmload", [16] = "vgif",
        [28] = "svme-addr-chk",
    },
};
/* clang-format on */

static const struct {
    const char *name, *real;
} others[] = { { "ffxsr", "fxsr-opt" }, { "i64", "lm" }, { "pclmuldq", "pclmulqdq" },
    { "sse3", "pni" }, { "sse4-1", "sse4.1" }, { "sse4-2", "sse4.2" }, { "xd", "nx" } };

/* -- parsing -- */

static bool features_set(FeatureRequest *r, const char *name, bool on)
{
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
        if (!strcmp(others[i].name, name)) name = others[i].real;
    }
    if (!strcmp(name, "check")) {
        r->check = on;
        return true;
    }
    if (!strcmp(name, "enforce")) {
        r->enforce = on;
        return true;
    }
    for (unsigned i = 0; i < WORDS * 32; i++) {
        uint32_t *word = &r->word[i / 32], bit = 1u << i % 32;

        if (g_strcmp0(names[i / 32][i % 32], name)) continue;
        *word = on ? *word | bit : *word & ~bit;
        return true;
    }
    return false;
}

bool features_parse_item(FeatureRequest *r, const char *model, const char *item, Error *err)
{
    bool on = true, ok = true;
    char *name, *value;

    if (*item == '+' || *item == '-') on = *item++ == '+';
    name = g_strdup(item);
    value = strchr(name, '=');
    if (value) {
        *value++ = 0;
        if (!strcmp(value, "off") || !strcmp(value, "no") || !strcmp(value, "false")) {
            on = false;
        } else if (strcmp(value, "on") && strcmp(value, "yes") && strcmp(value, "true")) {
            ok = error_set(err, "Property '%s' of a CPU is on or off, not '%s'", name, value);
        }
    }
    g_strdelimit(name, "_", '-');
    if (ok && !features_set(r, name, on))
        ok = error_set(err, "Property '%s-x86_64-cpu.%s' not found", model, name);
    g_free(name);
    return ok;
}

/* -- what there is -- */

bool features_mask(FeatureRequest *r, const uint32_t works[WORDS_SOME], bool quiet, Error *err)
{
    GString *absent = g_string_new(NULL);
    bool ok;

    for (unsigned i = 0; i < WORDS * 32; i++) {
        unsigned word = i / 32, bit = i % 32;
        char *text;

        if (!(r->word[word] & ~(word < WORDS_SOME ? works[word] : 0) & 1u << bit)) continue;
        r->word[word] &= ~(1u << bit);
        text = g_strdup_printf("CPUID.%s.%s [bit %u]", word_names[word], names[word][bit], bit);
        if (r->enforce) {
            g_string_append_printf(absent, "%s%s", absent->len ? ", " : "", text);
        } else if (r->check && !quiet) {
            fprintf(
                stderr, "stasis: warning: the CPU doesn't support requested feature: %s\n", text);
        }
        g_free(text);
    }
    ok = !absent->len;
    if (!ok) error_set(err, "the CPU doesn't support requested features: %s", absent->str);
    g_string_free(absent, true);
    return ok;
}

void features_help(void)
{
    int column = 0;

    puts("\nRecognized CPUID flags:");
    for (unsigned i = 0; i < WORDS * 32; i++) {
        const char *name = names[i / 32][i % 32];

        if (!name) continue;
        if (column + (int)strlen(name) > 78) {
            putchar('\n');
            column = 0;
        }
        column += printf("%s%s", column ? " " : "  ", name);
    }
    putchar('\n');
}
