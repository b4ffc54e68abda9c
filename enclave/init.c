/*
 * INIT: the first entry, once. Relocates the image, learns what the processor is, starts the libc.
 * Side: enclave. Called by dispatch.c. Trusts the measured information object and EREPORT.
 * Never takes anything from the host but addresses to be checked and hints whose falsity only harms the host.
 */
#include "enclave/kernel.h"

#include "cella/report.h"

#include <elf.h>

uint32_t cella_exit_xfrm = SGX_XFRM_LEGACY; /* until INIT there is nothing to hide */
uint8_t cella_exit_xgetbv1;
uint64_t cella_xsave_size = SGX_PAGE_SIZE;
char cella_environment[CELLA_CALL_ENVIRONMENT_MAX + 64];

uint64_t cella_slot_address(uint32_t slot)
{
    return cella_kernel.base + cella_image_info.threads_offset +
           slot * cella_image_info.thread_stride;
}

struct cella_td *cella_td_of_slot(uint32_t slot)
{
    return (struct cella_td *)(cella_slot_address(slot) + cella_image_info.slot_td);
}

/*
 * RELATIVE relocations only: a libc's start code does the others (and these again, to the same effect). The table
 * is measured and the signer has checked it; the targets are checked here all the same.
 */
static cella_result image_relocate(uint64_t base)
{
    const Elf64_Rela *rela = (const Elf64_Rela *)(base + cella_image_info.rela_offset);
    const uint64_t bias = base + cella_image_info.kernel_bias;
    for (uint32_t i = 0; i < cella_image_info.rela_count; i++) {
        if (ELF64_R_TYPE(rela[i].r_info) != R_X86_64_RELATIVE) {
            CELLA_ENSURE(cella_image_info.libc_entry != 0, UNSUPPORTED);
            continue;
        }
        CELLA_ENSURE(rela[i].r_offset <=
                         cella_image_info.image_size - cella_image_info.kernel_bias - 8,
                     BAD_FIELD);
        *(uint64_t *)(bias + rela[i].r_offset) = bias + (uint64_t)rela[i].r_addend;
    }
    return CELLA_OK;
}

/* What the host says about itself: copied in once, addresses checked. */
static cella_result init_take(uint64_t at, uint64_t size, struct cella_call_init *init)
{
    CELLA_ENSURE(size == sizeof(*init), BAD_FIELD);
    CELLA_TRY(cella_copy_in(init, cella_host_pointer(at), sizeof(*init)));
    CELLA_ENSURE(init->arena_stride >= CELLA_CALL_ARENA_MIN && init->arena_stride <= 1u << 30 &&
                     init->arena_stride % 64 == 0 && init->arenas % 64 == 0 && init->arenas != 0,
                 HOST_VALUE);
    CELLA_TRY(cella_span_check(init->arenas, init->arena_stride * cella_image_info.thread_count));
    CELLA_ENSURE(init->cpuid_count <= CELLA_CALL_CPUID_MAX, HOST_VALUE);
    CELLA_ENSURE(init->environment_size <= CELLA_CALL_ENVIRONMENT_MAX, HOST_VALUE);
    CELLA_ENSURE(init->tsc_hz <= 100000000000ull, HOST_VALUE);
    if (init->ocall_ring != 0) {
        CELLA_TRY(cella_ring_attach(&cella_kernel.ocall_ring, init->ocall_ring));
    }
    return CELLA_OK;
}

/* The environment is the host's and so only for what cannot harm; two zeros end it whatever came. */
static cella_result environment_take(const struct cella_call_init *init)
{
    CELLA_TRY(cella_copy_in(cella_environment, cella_host_pointer(init->environment),
                            init->environment_size));
    cella_environment[init->environment_size] = 0;
    cella_environment[init->environment_size + 1] = 0;
    return CELLA_OK;
}

static cella_result processor_learn(const struct cella_call_init *init)
{
    struct sgx_report report;
    CELLA_TRY(cella_report_self(&report));
    cella_kernel.attributes = report.body.attributes;
    cella_kernel.misc_select = report.body.misc_select;
    cella_kernel.features = init->flags & (CELLA_INIT_SGX2 | CELLA_INIT_XGETBV1);
    cella_kernel.tsc_hz = init->tsc_hz;
    cella_exit_xfrm = (uint32_t)report.body.attributes.xfrm;
    cella_exit_xgetbv1 = (init->flags & CELLA_INIT_XGETBV1) != 0;
    return cella_cpuid_init(init->cpuid, init->cpuid_count);
}

/*
 * An enclave without a libc has its thread-local variables in blocks of the heap: the template, then the thread
 * pointer, which starts with its own address (x86-64 TLS, variant II).
 */
static uint64_t tls_make(struct cella_td *td)
{
    const uint64_t align = cella_image_info.tls_align > 16 ? cella_image_info.tls_align : 16;
    const uint64_t size = (cella_image_info.tls_size + align - 1) & ~(align - 1);
    const uint64_t pages = (size + 256 + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE;
    const uint64_t block = align <= SGX_PAGE_SIZE ? cella_pages_map(pages, true) : 0;
    if (block == 0) {
        return 0;
    }
    const uint64_t pointer = block + size;
    const uint64_t linked = cella_image_info.tls_align > 1 ? cella_image_info.tls_align : 1;
    const uint64_t distance = (cella_image_info.tls_size + linked - 1) & ~(linked - 1);
    __builtin_memcpy((void *)(pointer - distance),
                     (const void *)(cella_kernel.base + cella_image_info.tls_offset),
                     cella_image_info.tls_file_size);
    *(uint64_t *)pointer = pointer;
    *(uint64_t *)(pointer + TD_CANARY) = td->canary;
    return pointer;
}

cella_result cella_tls_attach(struct cella_td *td)
{
    if (cella_kernel.has_libc || cella_image_info.tls_size == 0 || td->fs_base != td->self) {
        return CELLA_OK;
    }
    const uint64_t pointer = tls_make(td);
    CELLA_ENSURE(pointer != 0, OUT_OF_MEMORY);
    td->fs_base = pointer;
    __asm__ volatile("wrfsbase %0" : : "r"(pointer) : "memory");
    return CELLA_OK;
}

typedef void (*constructor)(void);
extern const constructor __init_array_start[] CELLA_KERNEL;
extern const constructor __init_array_end[] CELLA_KERNEL;

static cella_result init_run(uint64_t at, uint64_t size)
{
    struct cella_call_init init;
    struct cella_td *td = cella_td_self();
    CELLA_TRY(image_relocate(cella_kernel.base));
    CELLA_TRY(init_take(at, size, &init));
    CELLA_TRY(environment_take(&init));
    CELLA_TRY(processor_learn(&init));
    CELLA_TRY(cella_memory_init());
    cella_kernel.arenas = init.arenas;
    cella_kernel.arena_stride = init.arena_stride;
    td->tid = 1;
    cella_arena_attach(td);
    if (cella_kernel.has_libc) {
        for (const struct cella_module *const *m = __start_cella_modules; m < __stop_cella_modules;
             m++) {
            if (*m && (*m)->start) {
                CELLA_TRY((*m)->start());
            }
        }
        return CELLA_RESULT(
            UNSUPPORTED); /* an image with a libc, without the kernel's system calls */
    }
    CELLA_TRY(cella_tls_attach(td));
    for (const constructor *c = __init_array_start; c < __init_array_end; c++) {
        (*c)();
    }
    cella_kernel_thread_ready(td);
    return CELLA_OK;
}

struct cella_pair cella_kernel_init(uint64_t init, uint64_t size)
{
    uint32_t fresh = KERNEL_NEW;
    if (!atomic_compare_exchange_strong(&cella_kernel_state, &fresh, KERNEL_STARTING)) {
        return (struct cella_pair){.first = CELLA_CODE_WRONG_STATE, .second = 0};
    }
    cella_kernel.base = (uint64_t)__ehdr_start - cella_image_info.kernel_offset;
    cella_kernel.size = cella_image_info.enclave_size;
    cella_kernel.has_libc = cella_image_info.libc_entry != 0;
    struct cella_td *td = cella_td_self();
    const bool main_slot = td == cella_td_of_slot(0);
    cella_result result = main_slot ? init_run(init, size) : CELLA_RESULT(WRONG_STATE);
    atomic_store(&cella_kernel_state, cella_is_ok(result) ? KERNEL_READY : KERNEL_DEAD);
    return (struct cella_pair){.first = result.code, .second = 0};
}

/*
 * A constructor's ocall comes before the host could ask for names (ecall 0): it gets them here, and may then know the
 * function.
 */
bool cella_names_offer(void)
{
    static _Atomic bool is_offered;
    const size_t capacity = 1u << 16;
    size_t size = 0;
    if (atomic_load(&cella_kernel_state) != KERNEL_STARTING || cella_ecall_count == 0 ||
        atomic_exchange(&is_offered, true)) {
        return false;
    }
    uint8_t *answer = cella_pages_new(capacity);
    bool done = false;
    if (answer) {
        done = cella_is_ok(cella_ecall_table[0].function(NULL, 0, answer, capacity, &size)) &&
               cella_is_ok(cella_system_ocall(CELLA_OCALL_NAMES, answer, size, NULL, 0, NULL));
        cella_pages_free(answer, capacity);
    }
    return done;
}
