/*
 * What the processor is, for /proc/cpuinfo and /sys: from CPUID as the kernel knows it.
 * Side: enclave. Called by fs_proc.c and fs_sys.c.
 * Never promises more than CPUID says: the host chose that table, the kernel has checked of it what it can.
 */
#include "linux/fs_proc.h"

#define BRAND_FIRST 0x80000002u
#define REGISTER_EDX 3u
#define REGISTER_ECX 2u
#define REGISTER_EBX 1u

struct feature {
    uint32_t leaf;
    uint8_t index; /* of the register */
    uint8_t bit;
    char name[14];
};

/* Names as Linux writes them, of what programs look for. */
static const struct feature features[] = {
    {1, REGISTER_EDX, 0, "fpu"},
    {1, REGISTER_EDX, 4, "tsc"},
    {1, REGISTER_EDX, 8, "cx8"},
    {1, REGISTER_EDX, 15, "cmov"},
    {1, REGISTER_EDX, 19, "clflush"},
    {1, REGISTER_EDX, 23, "mmx"},
    {1, REGISTER_EDX, 24, "fxsr"},
    {1, REGISTER_EDX, 25, "sse"},
    {1, REGISTER_EDX, 26, "sse2"},
    {1, REGISTER_EDX, 28, "ht"},
    {0x80000001, REGISTER_EDX, 11, "syscall"},
    {0x80000001, REGISTER_EDX, 20, "nx"},
    {0x80000001, REGISTER_EDX, 27, "rdtscp"},
    {0x80000001, REGISTER_EDX, 29, "lm"},
    {1, REGISTER_ECX, 0, "pni"},
    {1, REGISTER_ECX, 1, "pclmulqdq"},
    {1, REGISTER_ECX, 9, "ssse3"},
    {1, REGISTER_ECX, 12, "fma"},
    {1, REGISTER_ECX, 13, "cx16"},
    {1, REGISTER_ECX, 19, "sse4_1"},
    {1, REGISTER_ECX, 20, "sse4_2"},
    {1, REGISTER_ECX, 22, "movbe"},
    {1, REGISTER_ECX, 23, "popcnt"},
    {1, REGISTER_ECX, 25, "aes"},
    {1, REGISTER_ECX, 26, "xsave"},
    {1, REGISTER_ECX, 28, "avx"},
    {1, REGISTER_ECX, 29, "f16c"},
    {1, REGISTER_ECX, 30, "rdrand"},
    {0x80000001, REGISTER_ECX, 0, "lahf_lm"},
    {0x80000001, REGISTER_ECX, 5, "abm"},
    {7, REGISTER_EBX, 0, "fsgsbase"},
    {7, REGISTER_EBX, 2, "sgx"},
    {7, REGISTER_EBX, 3, "bmi1"},
    {7, REGISTER_EBX, 5, "avx2"},
    {7, REGISTER_EBX, 8, "bmi2"},
    {7, REGISTER_EBX, 9, "erms"},
    {7, REGISTER_EBX, 16, "avx512f"},
    {7, REGISTER_EBX, 17, "avx512dq"},
    {7, REGISTER_EBX, 18, "rdseed"},
    {7, REGISTER_EBX, 19, "adx"},
    {7, REGISTER_EBX, 21, "avx512ifma"},
    {7, REGISTER_EBX, 28, "avx512cd"},
    {7, REGISTER_EBX, 29, "sha_ni"},
    {7, REGISTER_EBX, 30, "avx512bw"},
    {7, REGISTER_EBX, 31, "avx512vl"},
    {7, REGISTER_ECX, 1, "avx512vbmi"},
    {7, REGISTER_ECX, 8, "gfni"},
    {7, REGISTER_ECX, 9, "vaes"},
    {7, REGISTER_ECX, 10, "vpclmulqdq"},
    {7, REGISTER_ECX, 11, "avx512_vnni"},
    {7, REGISTER_ECX, 12, "avx512_bitalg"},
    {7, REGISTER_EDX, 22, "amx_bf16"},
    {7, REGISTER_EDX, 24, "amx_tile"},
    {7, REGISTER_EDX, 25, "amx_int8"},
};

static void say_flags(struct fs_text *text)
{
    uint32_t regs[4] = {0};
    uint32_t leaf = UINT32_MAX;
    fs_say(text, "flags\t\t:");
    for (uint32_t i = 0; i < CELLA_COUNT(features); i++) {
        if (features[i].leaf != leaf) {
            leaf = features[i].leaf;
            cella_cpuid(leaf, 0, regs);
        }
        if ((regs[features[i].index] >> features[i].bit & 1) != 0) {
            fs_say(text, " ");
            fs_say(text, features[i].name);
        }
    }
    fs_say(text, "\n");
}

static void say_brand(struct fs_text *text)
{
    char brand[3 * 16 + 1] = "";
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t regs[4];
        cella_cpuid(BRAND_FIRST + i, 0, regs);
        __builtin_memcpy(brand + 16 * i, regs, sizeof(regs));
    }
    const char *from = brand;
    while (*from == ' ') {
        from++;
    }
    fs_say(text, "model name\t: ");
    fs_say(text, *from != 0 ? from : "unknown");
    fs_say(text, "\n");
}

static void say_field(struct fs_text *text, const char *name, uint64_t value)
{
    fs_say(text, name);
    fs_say_number(text, value);
    fs_say(text, "\n");
}

static void say_one(struct fs_text *text, uint32_t index)
{
    uint32_t vendor[4], model[4];
    cella_cpuid(0, 0, vendor);
    cella_cpuid(1, 0, model);
    const uint32_t family =
        (model[0] >> 8 & 15) == 15 ? 15 + (model[0] >> 20 & 255) : model[0] >> 8 & 15;
    say_field(text, "processor\t: ", index);
    fs_say(text, "vendor_id\t: ");
    fs_say_bytes(text, &vendor[1], 4);
    fs_say_bytes(text, &vendor[3], 4);
    fs_say_bytes(text, &vendor[2], 4);
    say_field(text, "\ncpu family\t: ", family);
    say_field(text, "model\t\t: ", (model[0] >> 4 & 15) | (model[0] >> 12 & 0xF0));
    say_brand(text);
    say_field(text, "stepping\t: ", model[0] & 15);
    const uint64_t megahertz = cella_kernel.tsc_hz / 1000000;
    fs_say(text, "cpu MHz\t\t: ");
    fs_say_number(text, megahertz);
    fs_say(text, ".000\n");
    say_field(text, "physical id\t: ", 0);
    say_field(text, "siblings\t: ", fs_system_cpus());
    say_field(text, "core id\t\t: ", index);
    say_field(text, "cpu cores\t: ", fs_system_cpus());
    say_field(text, "apicid\t\t: ", index);
    fs_say(text, "fpu\t\t: yes\nfpu_exception\t: yes\nwp\t\t: yes\n");
    say_flags(text);
    fs_say(text, "bugs\t\t:\nbogomips\t: ");
    fs_say_number(text, megahertz * 2);
    fs_say(text, ".00\nclflush size\t: 64\ncache_alignment\t: 64\n"
                 "address sizes\t: 46 bits physical, 48 bits virtual\npower management:\n\n");
}

void fs_say_cpus(struct fs_text *text, const struct fs_node *node)
{
    (void)node;
    for (uint32_t i = 0; i < fs_system_cpus() && !text->failed; i++) {
        say_one(text, i);
    }
}

void fs_say_cpu_list(struct fs_text *text)
{
    const uint32_t cpus = fs_system_cpus();
    fs_say(text, "0");
    if (cpus > 1) {
        fs_say(text, "-");
        fs_say_number(text, cpus - 1);
    }
    fs_say(text, "\n");
}
