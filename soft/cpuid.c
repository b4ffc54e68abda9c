/*
 * CPUID under the software processor: faults (where the CPU and kernel offer that), so that programs see an SGX
 * machine and enclave code gets #UD as on hardware. Elsewhere the main program's own CPUID instructions, which
 * `cella soft` has found, are made to trap.
 * Side: soft. Called at activation, at a thread's first EENTER, and by trap.c for a host's CPUID.
 * Never changes a leaf that does not speak of SGX.
 */
#include "soft/transition.h"

#include <cpuid.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "soft/driver.h"
#include "soft/processor.h"
#include "soft/xstate.h"

#define ARCH_SET_CPUID_CODE 0x1012
#define EPC_PHYSICAL_BASE 0x70000000ull
#define CPUID_7_EBX_SGX (1u << 2)
#define CPUID_7_ECX_SGX_LC (1u << 30)
#define CPUID_12_SGX1 (1u << 0)
#define CPUID_12_SGX2 (1u << 1)
#define CPUID_12_EDECCSSA (1u << 11)
#define CPUID_12_MAX32_LOG2 31u

#define SITES_MAX 64u

static bool g_faulting;
static uint64_t g_sites[SITES_MAX]; /* addresses of patched instructions */
static uint32_t g_site_count;

static bool set_faulting(bool on)
{
    return soft_syscall(SYS_arch_prctl, ARCH_SET_CPUID_CODE, on ? 0 : 1, 0, 0, 0, 0) == 0;
}

void soft_cpuid_activate(void)
{
    soft_xstate_learn();
    (void)soft_cpu_xcr0();
    (void)soft_cpu_xsave_size(
        soft_cpu_xcr0()); /* asks CPUID once a component, before CPUID faults */
    const char *told = getenv("CELLA_SOFT_CPUID"); /* "sites": as on a CPU that cannot trap it */
    g_faulting = !(told && strcmp(told, "sites") == 0) && set_faulting(true);
}

void soft_cpuid_thread(void)
{
    if (g_faulting) {
        set_faulting(true);
    }
}

bool soft_cpuid_faults(void)
{
    return g_faulting;
}

/* Leaf 12H, "Intel SGX Resource Enumeration" (SDM 34.7.2, tables 34-4 to 34-6). */
static void resource_leaf(uint32_t subleaf, uint32_t regs[4])
{
    uint64_t size = soft_epc_stats().total * SGX_PAGE_SIZE;
    regs[0] = regs[1] = regs[2] = regs[3] = 0;
    switch (subleaf) {
    case 0:
        regs[0] = CPUID_12_SGX1 | CPUID_12_SGX2 | CPUID_12_EDECCSSA;
        regs[1] = SGX_MISC_EXINFO;
        regs[3] = CPUID_12_MAX32_LOG2 | SOFT_MAX_SIZE_LOG2 << 8;
        break;
    case 1:
        regs[0] = SGX_FLAGS_DEBUG | SGX_FLAGS_MODE64BIT | SGX_FLAGS_PROVISIONKEY |
                  SGX_FLAGS_EINITTOKENKEY | SGX_FLAGS_KSS | SGX_FLAGS_AEXNOTIFY;
        regs[2] = (uint32_t)soft_cpu_xcr0();
        regs[3] = (uint32_t)(soft_cpu_xcr0() >> 32);
        break;
    case 2:
        regs[0] = 1 | (uint32_t)(EPC_PHYSICAL_BASE & 0xFFFFF000u);
        regs[1] = (uint32_t)(EPC_PHYSICAL_BASE >> 32);
        regs[2] = 1 | (uint32_t)(size & 0xFFFFF000u);
        regs[3] = (uint32_t)(size >> 32) & 0xFFFFF;
        break;
    default:
        break;
    }
}

/* CPUID becomes UD2, in memory only. The page is writable for that moment; nothing else runs yet. */
static void patch_site(uint64_t address)
{
    const uint64_t page = address & ~(uint64_t)(SGX_PAGE_SIZE - 1);
    const uint64_t size = ((address + 1) & ~(uint64_t)(SGX_PAGE_SIZE - 1)) + SGX_PAGE_SIZE - page;
    uint8_t *code = (uint8_t *)address;
    if (code[0] != 0x0F || code[1] != 0xA2 || g_site_count == SITES_MAX ||
        soft_syscall(SYS_mprotect, page, size, PROT_READ | PROT_WRITE, 0, 0, 0) < 0) {
        return;
    }
    code[1] = 0x0B;
    g_sites[g_site_count++] = address;
    soft_syscall(SYS_mprotect, page, size, PROT_READ | PROT_EXEC, 0, 0, 0);
}

static int main_program(struct dl_phdr_info *info, size_t size, void *ret_base)
{
    (void)size;
    *(uint64_t *)ret_base = info->dlpi_addr;
    return 1; /* the first is the program */
}

/* `sites`: "device:inode:address,address…" in hexadecimal, for the program with that file only. */
void soft_cpuid_patch(const char *sites)
{
    struct stat status;
    uint64_t base = 0;
    char *at;
    if (g_faulting || !sites || stat("/proc/self/exe", &status) < 0 ||
        strtoull(sites, &at, 16) != status.st_dev || *at != ':' ||
        strtoull(at + 1, &at, 16) != status.st_ino || *at != ':') {
        return;
    }
    dl_iterate_phdr(main_program, &base);
    while (*at == ':' || *at == ',') {
        const char *start = at + 1;
        uint64_t address = strtoull(start, &at, 16);
        if (at == start) {
            return;
        }
        patch_site(base + address);
    }
}

/* Whether the UD2 at `address` stands for a CPUID of the program. */
bool soft_cpuid_is_site(uint64_t address)
{
    for (uint32_t i = 0; i < g_site_count; i++) {
        if (g_sites[i] == address) {
            return true;
        }
    }
    return false;
}

bool soft_cpuid_emulate(ucontext_t *context)
{
    greg_t *registers = context->uc_mcontext.gregs;
    uint32_t leaf = (uint32_t)registers[REG_RAX], subleaf = (uint32_t)registers[REG_RCX];
    uint32_t regs[4];
    if (g_faulting && !set_faulting(false)) {
        return false;
    }
    __cpuid_count(leaf, subleaf, regs[0], regs[1], regs[2], regs[3]);
    if (g_faulting) {
        set_faulting(true);
    }
    if (leaf == 0 && regs[0] < 0x12) {
        regs[0] = 0x12;
    } else if (leaf == 7 && subleaf == 0) {
        regs[1] |= CPUID_7_EBX_SGX;
        regs[2] |= CPUID_7_ECX_SGX_LC;
    } else if (leaf == 0x12) {
        resource_leaf(subleaf, regs);
    }
    registers[REG_RAX] = regs[0];
    registers[REG_RBX] = regs[1];
    registers[REG_RCX] = regs[2];
    registers[REG_RDX] = regs[3];
    registers[REG_RIP] += 2;
    return true;
}
