/*
 * Builds the test enclave of probe_enclave.S through the kernel ABI of the software processor, and enters it.
 * Side: tests (host). Called by tests/soft/transition*_test.c. Asserts instead of returning errors.
 */
#include "tests/soft/probe_bench.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/soft/signer.h"

extern const uint8_t probe_code[], probe_code_end[];

static void measure(EVP_MD_CTX *context, const char *what, uint64_t a, uint64_t b, const void *data)
{
    uint8_t block[64] = {0};
    memcpy(block, what, strlen(what));
    if (strcmp(what, "ECREATE") == 0) {
        uint32_t frames = (uint32_t)a;
        memcpy(block + 8, &frames, 4);
        memcpy(block + 12, &b, 8);
    } else {
        memcpy(block + 8, &a, 8);
        memcpy(block + 16, &b, 8);
    }
    assert_int_equal(EVP_DigestUpdate(context, block, sizeof(block)), 1);
    if (data) {
        assert_int_equal(EVP_DigestUpdate(context, data, 256), 1);
    }
}

static void add(struct probe *p, EVP_MD_CTX *context, uint64_t page, uint64_t flags,
                const uint8_t *data)
{
    _Alignas(64) struct sgx_secinfo secinfo = {.flags = flags};
    struct sgx_linux_add_pages request = {
        .src = (uint64_t)(uintptr_t)data,
        .offset = p->first + page * SGX_PAGE_SIZE,
        .length = SGX_PAGE_SIZE,
        .secinfo = (uint64_t)(uintptr_t)&secinfo,
        .flags = SGX_LINUX_PAGE_MEASURE,
    };
    assert_int_equal(p->processor->ioctl(p->fd, SGX_LINUX_IOC_ENCLAVE_ADD_PAGES, &request), 0);
    measure(context, "EADD", p->first + page * SGX_PAGE_SIZE, flags, NULL);
    for (uint64_t i = 0; i < SGX_PAGE_SIZE; i += 256) {
        measure(context, "EEXTEND", p->first + page * SGX_PAGE_SIZE + i, 0, data + i);
    }
}

static void add_all(struct probe *p, EVP_MD_CTX *context, const struct probe_options *options)
{
    static _Alignas(4096) uint8_t code[4096], zero[4096], page[4096];
    const uint64_t rw = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W;
    memset(code, 0xCC, sizeof(code));
    assert_true(probe_code_end - probe_code <= (ptrdiff_t)sizeof(code));
    memcpy(code, probe_code, (size_t)(probe_code_end - probe_code));
    add(p, context, PROBE_PAGE_CODE, SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_X, code);
    add(p, context, PROBE_PAGE_DATA, rw, zero);
    for (uint64_t i = 0; i < 2; i++) {
        uint64_t at = i ? PROBE_PAGE_TCS2 : PROBE_PAGE_TCS;
        struct sgx_tcs *tcs = (struct sgx_tcs *)page;
        memset(page, 0, sizeof(page));
        tcs->ossa = p->first + (at + 1) * SGX_PAGE_SIZE;
        tcs->nssa = 3;
        tcs->flags = options->tcs_flags;
        tcs->oentry = p->first;
        tcs->ofs_base = p->first + PROBE_PAGE_DATA * SGX_PAGE_SIZE;
        tcs->ogs_base = p->first + PROBE_PAGE_CODE * SGX_PAGE_SIZE;
        tcs->fs_limit = tcs->gs_limit = 0xFFFFFFFF;
        add(p, context, at, SGX_SECINFO_TCS, page);
        for (uint64_t j = 1; j <= 3; j++) {
            add(p, context, at + j, rw, zero);
        }
    }
    add(p, context, PROBE_PAGE_READ_ONLY, SGX_SECINFO_REG | SGX_SECINFO_R, zero);
}

static void map(struct probe *p, uint64_t page, uint64_t count, int prot)
{
    void *at = (void *)(p->base + page * SGX_PAGE_SIZE);
    assert_int_equal(
        p->processor->mmap(at, count * SGX_PAGE_SIZE, prot, MAP_SHARED | MAP_FIXED, p->fd, 0),
        (long)at);
}

static void map_all(struct probe *p)
{
    map(p, PROBE_PAGE_CODE, 1, PROT_READ | PROT_EXEC);
    map(p, PROBE_PAGE_DATA, PROBE_PAGE_READ_ONLY - PROBE_PAGE_DATA, PROT_READ | PROT_WRITE);
    map(p, PROBE_PAGE_READ_ONLY, 1, PROT_READ);
    map(p, PROBE_PAGE_READ_ONLY + 1, PROBE_PAGES - PROBE_PAGE_READ_ONLY - 1,
        PROT_READ | PROT_WRITE | PROT_EXEC);
}

/* Address space for ELRANGE; gives its base. */
static uint64_t reserve(struct probe *p, const struct probe_options *options, uint64_t size)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    const uint64_t low = options->base_zero ? PROBE_ZERO_LOW : 0;
    p->area_size = options->base_zero ? size - low : 2 * size;
    p->area = mmap((void *)low, p->area_size, PROT_NONE,
                   flags | (options->base_zero ? MAP_FIXED_NOREPLACE : 0), -1, 0);
    assert_ptr_not_equal(p->area, MAP_FAILED);
    p->first = options->base_zero ? PROBE_ZERO_FIRST : 0;
    const uint64_t base =
        options->base_zero ? 0 : ((uint64_t)(uintptr_t)p->area + size - 1) & ~(size - 1);
    p->base = base + p->first;
    return base;
}

void probe_build(struct probe *p, const struct probe_options *options)
{
    const uint64_t size = options->base_zero ? PROBE_ZERO_SIZE : PROBE_PAGES * SGX_PAGE_SIZE;
    memset(p, 0, sizeof(*p));
    p->processor = cella_soft_processor();
    p->fd = p->processor->open(SGX_LINUX_ENCLAVE_NODE, O_RDWR);
    assert_true(p->fd >= 0);
    const uint64_t base = reserve(p, options, size);
    static _Alignas(4096) struct sgx_secs secs;
    memset(&secs, 0, sizeof(secs));
    secs.size = size;
    secs.base = base;
    secs.ssa_frame_size = 1;
    secs.misc_select = options->misc_select;
    secs.attributes.flags = SGX_FLAGS_MODE64BIT | options->flags;
    secs.attributes.xfrm = options->xfrm ? options->xfrm : SGX_XFRM_LEGACY | SGX_XFRM_AVX;
    struct sgx_linux_create create = {.src = (uint64_t)(uintptr_t)&secs};
    assert_int_equal(p->processor->ioctl(p->fd, SGX_LINUX_IOC_ENCLAVE_CREATE, &create), 0);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestInit_ex(context, EVP_sha256(), NULL), 1);
    measure(context, "ECREATE", 1, size, NULL);
    add_all(p, context, options);
    assert_int_equal(EVP_DigestFinal_ex(context, p->mr_enclave, NULL), 1);
    EVP_MD_CTX_free(context);
    map_all(p);
    p->tcs = p->base + PROBE_PAGE_TCS * SGX_PAGE_SIZE;
    p->tcs2 = p->base + PROBE_PAGE_TCS2 * SGX_PAGE_SIZE;
    p->enclave = soft_enclave_at(p->base);
    assert_non_null(p->enclave);
    p->secs_attributes = secs.attributes;
    p->misc_select = secs.misc_select;
}

void probe_init(struct probe *p)
{
    static _Alignas(4096) struct sgx_sigstruct sig;
    signer_prepare(&sig, p->mr_enclave);
    sig.attributes = p->secs_attributes;
    sig.misc_select = p->misc_select;
    signer_sign(&sig, 0);
    struct sgx_linux_init init = {.sigstruct = (uint64_t)(uintptr_t)&sig};
    assert_int_equal(p->processor->ioctl(p->fd, SGX_LINUX_IOC_ENCLAVE_INIT, &init), 0);
}

void probe_open(struct probe *p, const struct probe_options *options)
{
    probe_build(p, options);
    probe_init(p);
}

void probe_close(struct probe *p)
{
    p->processor->munmap(p->area, p->area_size);
    p->processor->close(p->fd);
}

struct sgx_tcs *probe_tcs(const struct probe *p)
{
    return soft_alias(p->enclave, p->tcs);
}

struct sgx_gprsgx *probe_gpr(const struct probe *p, uint64_t tcs, uint32_t frame)
{
    uint8_t *page = soft_alias(p->enclave, tcs + (1 + (uint64_t)frame) * SGX_PAGE_SIZE);
    return (struct sgx_gprsgx *)(page + SGX_PAGE_SIZE - sizeof(struct sgx_gprsgx));
}

uint8_t *probe_ssa(const struct probe *p, uint64_t tcs, uint32_t frame)
{
    return soft_alias(p->enclave, tcs + (1 + (uint64_t)frame) * SGX_PAGE_SIZE);
}

/* The EPCM changed by hand: what was cached must be checked again. */
void probe_touch(const struct probe *p)
{
    atomic_fetch_add(&p->enclave->shared->generation, 1);
}

long probe_run(struct probe *p, uint64_t tcs, uint32_t function, uint64_t operation,
               struct probe_call *call)
{
    memset(&p->run, 0, sizeof(p->run));
    p->run.tcs = tcs;
    call->in[0] = operation;
    call->function = function;
    call->stack = (uint64_t)(uintptr_t)p->stacks[tcs == p->tcs2] + sizeof(p->stacks[0]);
    return probe_call(p->processor->enter(), call, &p->run);
}

void probe_expect_fault(struct probe *p, uint64_t tcs, uint64_t operation, struct probe_call *call,
                        uint16_t vector)
{
    assert_int_equal(probe_run(p, tcs, SGX_EENTER, operation, call), 0);
    assert_int_equal(p->run.function, SGX_ERESUME);
    assert_int_equal(p->run.exception_vector, vector);
}

/* Skips `bytes` of the interrupted code, as an exception handler inside does, and resumes. */
void probe_resume_behind(struct probe *p, uint64_t tcs, uint32_t frame, uint64_t bytes)
{
    struct probe_call call = {.in = {0, (uint64_t)(uintptr_t)probe_gpr(p, tcs, frame), bytes}};
    call.in[1] = call.in[1] - (uint64_t)(uintptr_t)p->enclave->alias + p->base;
    assert_int_equal(probe_run(p, tcs, SGX_EENTER, PROBE_ADVANCE, &call), 0);
    assert_int_equal(p->run.function, SGX_EEXIT);
    assert_int_equal(probe_run(p, tcs, SGX_ERESUME, 0, &call), 0);
}
