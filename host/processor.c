/*
 * The hardware table (libc calls and the vDSO), the choice of a processor, and what CPUID says about it.
 * Side: host. Called by load.c and enclave.c. Under `cella soft` the software processor stands behind these calls.
 * Never opens anything but the SGX nodes.
 */
#include "host/host.h"

#include <cpuid.h>
#include <pthread.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

static int hardware_open(const char *path, int flags)
{
    const int fd = open(path, flags);
    return fd < 0 ? -errno : fd;
}

static int hardware_close(int fd)
{
    return close(fd) < 0 ? -errno : 0;
}

static int hardware_ioctl(int fd, unsigned long request, void *argument)
{
    const int result = ioctl(fd, request, argument);
    return result < 0 ? -errno : result;
}

static long hardware_mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
    void *at = mmap(address, length, prot, flags, fd, offset);
    return at == MAP_FAILED ? -errno : (long)at;
}

static int hardware_munmap(void *address, size_t length)
{
    return munmap(address, length) < 0 ? -errno : 0;
}

static int hardware_mprotect(void *address, size_t length, int prot)
{
    return mprotect(address, length, prot) < 0 ? -errno : 0;
}

/* The dynamic symbol `name` of the vDSO at `base`, 0 when it has none. The kernel's own image: not checked further. */
static uint64_t vdso_symbol(uint64_t base, const char *name)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)base;
    const Elf64_Phdr *programs = (const Elf64_Phdr *)(base + header->e_phoff);
    const Elf64_Dyn *dynamic = NULL;
    uint64_t bias = base;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (programs[i].p_type == PT_LOAD && programs[i].p_offset == 0) {
            bias = base - programs[i].p_vaddr;
        } else if (programs[i].p_type == PT_DYNAMIC) {
            dynamic = (const Elf64_Dyn *)(base + programs[i].p_offset);
        }
    }
    const Elf64_Sym *symbols = NULL;
    const char *strings = NULL;
    const uint32_t *hash = NULL;
    for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
        const uint64_t at = bias + dynamic->d_un.d_ptr;
        if (dynamic->d_tag == DT_SYMTAB) {
            symbols = (const Elf64_Sym *)at;
        } else if (dynamic->d_tag == DT_STRTAB) {
            strings = (const char *)at;
        } else if (dynamic->d_tag == DT_HASH) {
            hash = (const uint32_t *)at;
        }
    }
    for (uint32_t i = 0; symbols && strings && hash && i < hash[1]; i++) {
        if (symbols[i].st_shndx != SHN_UNDEF && strcmp(strings + symbols[i].st_name, name) == 0) {
            return bias + symbols[i].st_value;
        }
    }
    return 0;
}

static sgx_linux_enter_fn hardware_enter(void)
{
    const uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
    return vdso ? (sgx_linux_enter_fn)vdso_symbol(vdso, SGX_LINUX_VDSO_SYMBOL) : NULL;
}

const struct cella_processor *cella_hardware_processor(void)
{
    static const struct cella_processor table = {
        .name = "hardware",
        .open = hardware_open,
        .close = hardware_close,
        .ioctl = hardware_ioctl,
        .mmap = hardware_mmap,
        .munmap = hardware_munmap,
        .mprotect = hardware_mprotect,
        .enter = hardware_enter,
    };
    return &table;
}

static cella_result processor_try(const struct cella_processor *processor, int *ret_fd,
                                  struct cella_error *error)
{
    const int fd = processor->open(SGX_LINUX_ENCLAVE_NODE, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return cella_error_errno(error, CELLA_RESULT(NO_DEVICE), -fd, "%s processor: %s",
                                 processor->name, SGX_LINUX_ENCLAVE_NODE);
    }
    if (!processor->enter()) {
        processor->close(fd);
        return cella_error_set(error, CELLA_RESULT(NO_DEVICE),
                               "%s processor: the vDSO has no %s (Linux 5.11 or later is needed)",
                               processor->name, SGX_LINUX_VDSO_SYMBOL);
    }
    *ret_fd = fd;
    return CELLA_OK;
}

cella_result cella_processor_open(bool software, const struct cella_processor **ret_processor,
                                  int *ret_fd, struct cella_error *error)
{
    const char *choice = getenv("CELLA_PROCESSOR");
    const bool soft = choice && strcmp(choice, "software") == 0;
    const bool hard = choice && strcmp(choice, "hardware") == 0;
    if (choice && *choice && !soft && !hard && strcmp(choice, "soft") != 0) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "CELLA_PROCESSOR is \"%s\"; expected \"hardware\" or \"software\"",
                               choice);
    }
    if (!software && (!choice || !*choice || hard)) {
        *ret_processor = cella_hardware_processor();
        cella_result result = processor_try(*ret_processor, ret_fd, error);
        if (cella_is_ok(result) || hard) {
            return result;
        }
    }
    *ret_processor = cella_soft_processor();
    return processor_try(*ret_processor, ret_fd, error);
}

#define XFRM_USABLE (SGX_XFRM_LEGACY | SGX_XFRM_AVX | SGX_XFRM_AVX512)

/*
 * What CPUID says, asked once: where the software processor traps CPUID each question costs microseconds.
 */
static struct {
    pthread_once_t once;
    struct cella_image_processor offers;
    uint32_t init_flags;
    struct cella_call_cpuid rows[CELLA_CALL_CPUID_MAX];
    uint32_t row_count;
    uint64_t tsc_hz;
} g_answers = {.once = PTHREAD_ONCE_INIT};

/*
 * On a machine with SGX the processor's own leaves count; elsewhere (the software processor) what XCR0 has on. Newer
 * components than AVX-512 are not used: their frames do not fit one page.
 */
static void ask_offers(struct cella_image_processor *ret_offers, uint32_t *ret_init_flags)
{
    uint32_t a, b, c, d;
    *ret_offers = (struct cella_image_processor){.xfrm = SGX_XFRM_LEGACY};
    *ret_init_flags = 0;
    if (__get_cpuid_count(1, 0, &a, &b, &c, &d) && (c & (1u << 27)) != 0) {
        uint32_t low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        ret_offers->xfrm = ((uint64_t)high << 32 | low) & XFRM_USABLE;
    }
    if (__get_cpuid_count(0xD, 1, &a, &b, &c, &d) && (a & 4u) != 0) {
        *ret_init_flags |= CELLA_INIT_XGETBV1;
    }
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 4u) != 0 &&
        __get_cpuid_count(0x12, 0, &a, &b, &c, &d)) {
        ret_offers->misc_select = b & SGX_MISC_EXINFO;
        *ret_init_flags |= (a & 2u) != 0 ? CELLA_INIT_SGX2 : 0;
        if (__get_cpuid_count(0x12, 1, &a, &b, &c, &d)) {
            ret_offers->xfrm &= (uint64_t)d << 32 | c;
        }
    } else {
        ret_offers->misc_select = SGX_MISC_EXINFO;
        *ret_init_flags |= CELLA_INIT_SGX2;
    }
    if ((ret_offers->xfrm & SGX_XFRM_AVX512) != SGX_XFRM_AVX512) {
        ret_offers->xfrm &= ~SGX_XFRM_AVX512;
    }
}

static uint32_t rows_add(struct cella_call_cpuid *rows, uint32_t count, uint32_t capacity,
                         uint32_t leaf, uint32_t subleaf)
{
    if (count == capacity) {
        return count;
    }
    struct cella_call_cpuid *row = &rows[count];
    row->leaf = leaf;
    row->subleaf = subleaf;
    __cpuid_count(leaf, subleaf == UINT32_MAX ? 0 : subleaf, row->eax, row->ebx, row->ecx,
                  row->edx);
    return count + 1;
}

static bool leaf_has_subleaves(uint32_t leaf)
{
    return leaf == 4 || leaf == 7 || leaf == 0xB || leaf == 0xD || leaf == 0x14 || leaf == 0x18 ||
           leaf == 0x1D || leaf == 0x1F;
}

static uint32_t ask_rows(struct cella_call_cpuid *rows, uint32_t capacity)
{
    uint32_t count = 0;
    const uint32_t base_max = __get_cpuid_max(0, NULL);
    for (uint32_t leaf = 0; leaf <= base_max && leaf <= 0x20; leaf++) {
        if (!leaf_has_subleaves(leaf)) {
            count = rows_add(rows, count, capacity, leaf, UINT32_MAX);
            continue;
        }
        const uint32_t last = leaf == 0xD ? 9 : leaf == 7 ? 2 : 4;
        for (uint32_t subleaf = 0; subleaf <= last; subleaf++) {
            count = rows_add(rows, count, capacity, leaf, subleaf);
        }
    }
    const uint32_t extended_max = __get_cpuid_max(0x80000000u, NULL);
    for (uint32_t leaf = 0x80000000u; leaf <= extended_max && leaf <= 0x80000021u; leaf++) {
        if (leaf == 0x8000001Du) {
            for (uint32_t subleaf = 0; subleaf < 5; subleaf++) {
                count = rows_add(rows, count, capacity, leaf, subleaf);
            }
        } else {
            count = rows_add(rows, count, capacity, leaf, UINT32_MAX);
        }
    }
    return count;
}

/* From leaf 15h where it is filled in; 0 = unknown. Only a hint for the enclave. */
static uint64_t ask_tsc_hz(void)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid_count(0x15, 0, &a, &b, &c, &d) || a == 0 || b == 0 || c == 0) {
        return 0;
    }
    return (uint64_t)c * b / a;
}

static void ask(void)
{
    ask_offers(&g_answers.offers, &g_answers.init_flags);
    g_answers.row_count = ask_rows(g_answers.rows, CELLA_CALL_CPUID_MAX);
    g_answers.tsc_hz = ask_tsc_hz();
}

void cella_processor_offers(struct cella_image_processor *ret_offers, uint32_t *ret_init_flags)
{
    pthread_once(&g_answers.once, ask);
    *ret_offers = g_answers.offers;
    *ret_init_flags = g_answers.init_flags;
}

uint32_t cella_processor_cpuid(struct cella_call_cpuid *rows, uint32_t capacity)
{
    pthread_once(&g_answers.once, ask);
    const uint32_t count = g_answers.row_count < capacity ? g_answers.row_count : capacity;
    memcpy(rows, g_answers.rows, count * sizeof(*rows));
    return count;
}

uint64_t cella_processor_tsc_hz(void)
{
    pthread_once(&g_answers.once, ask);
    return g_answers.tsc_hz;
}
