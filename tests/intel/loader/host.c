/*
 * The raw loader of sgx_enclave_common.h: lays out the enclave of make_blob.py, enters it by its own instruction, and what
 * is refused.
 * Side: host, tests. Usage: host BLOB SIGSTRUCT. Ends with 0 when all passed.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "sgx_enclave_common.h"

#define PAGE 4096u
#define SIZE (4 * PAGE)

static unsigned failures;
static uint8_t blob[2 * PAGE] __attribute__((aligned(4096)));
static enclave_init_sgx_t init;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("line %d: FAILED: %s (error 0x%x)\n", __LINE__, #condition, error);             \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

static int file_read(const char *path, void *to, size_t size)
{
    FILE *file = fopen(path, "rb");
    const int good = file && fread(to, 1, size, file) == size;
    if (file) {
        fclose(file);
    }
    return good;
}

/* SECS: size at 0, SSAFRAMESIZE at 16, ATTRIBUTES at 48 (MODE64BIT | DEBUG), XFRM at 56. */
static void secs_fill(enclave_create_sgx_t *create)
{
    memset(create, 0, sizeof(*create));
    create->secs[16] = 1;
    create->secs[48] = 6;
    create->secs[56] = 3;
}

static uint8_t *create(void *at, uint32_t *error)
{
    static enclave_create_sgx_t info;
    secs_fill(&info);
    return enclave_create(at, SIZE, SIZE, ENCLAVE_TYPE_SGX1, &info, sizeof(info), error);
}

static void load(uint8_t *base)
{
    uint32_t error = 99;
    CHECK(enclave_load_data(base, PAGE, blob, ENCLAVE_PAGE_THREAD_CONTROL, &error) == PAGE);
    CHECK(enclave_load_data(base + PAGE, PAGE, blob + PAGE,
                            ENCLAVE_PAGE_READ | ENCLAVE_PAGE_EXECUTE, &error) == PAGE);
    CHECK(enclave_load_data(base + 2 * PAGE, PAGE, NULL, ENCLAVE_PAGE_READ | ENCLAVE_PAGE_WRITE,
                            &error) == PAGE);
    CHECK(error == ENCLAVE_ERROR_SUCCESS);
}

static uint32_t enter(uint8_t *tcs)
{
    uint32_t answer = 0;
    uint64_t leaf = 2, thread = (uint64_t)tcs, where = (uint64_t)&answer, aep;
    __asm__ volatile("leaq 1f(%%rip), %%rcx\n1:\n\tenclu"
                     : "+a"(leaf), "+b"(thread), "=&c"(aep), "+D"(where)
                     :
                     : "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory",
                       "cc");
    return answer;
}

static void refused(void)
{
    uint32_t error = 0;
    enclave_create_sgx_t info;
    enclave_elrange_t range = {.elrange_start_address = 0x5000, .elrange_size = SIZE};
    const void *features[32] = {&range};
    secs_fill(&info);
    CHECK(!enclave_create(NULL, SIZE, SIZE, 77, &info, sizeof(info), &error) &&
          error == ENCLAVE_NOT_SUPPORTED);
    CHECK(!enclave_create(NULL, SIZE, SIZE, ENCLAVE_TYPE_SGX1, NULL, 0, &error) &&
          error == ENCLAVE_INVALID_PARAMETER);
    CHECK(
        !enclave_create(NULL, SIZE + PAGE, SIZE, ENCLAVE_TYPE_SGX1, &info, sizeof(info), &error) &&
        error == ENCLAVE_INVALID_PARAMETER);
    CHECK(!enclave_create_ex(NULL, SIZE, SIZE, ENCLAVE_TYPE_SGX1, &info, sizeof(info),
                             ENCLAVE_CREATE_EX_EL_RANGE, features, &error) &&
          error == ENCLAVE_INVALID_PARAMETER);
    CHECK(!enclave_create_ex(NULL, SIZE, SIZE, ENCLAVE_TYPE_SGX1, &info, sizeof(info), 8, features,
                             NULL));
    CHECK(enclave_load_data(blob, PAGE, blob, ENCLAVE_PAGE_READ, &error) == 0 &&
          error == ENCLAVE_INVALID_ENCLAVE);
    CHECK(!enclave_initialize(blob, &init, sizeof(init), &error) &&
          error == ENCLAVE_INVALID_ENCLAVE);
    CHECK(!enclave_delete(blob, &error) && error == ENCLAVE_INVALID_ENCLAVE);
    CHECK(!enclave_get_information(blob, ENCLAVE_LAUNCH_TOKEN, NULL, NULL, &error) &&
          error == ENCLAVE_INVALID_PARAMETER);
    CHECK((enclave_get_features() & ENCLAVE_FEATURE_SGX1) != 0);
}

static void wrong(void)
{
    uint32_t error = 0;
    uint8_t *base = create(NULL, &error);
    CHECK(base != NULL);
    CHECK(enclave_load_data(base, PAGE + 1, blob, ENCLAVE_PAGE_READ, &error) == 0);
    CHECK(enclave_load_data(base, SIZE + PAGE, blob, ENCLAVE_PAGE_READ, &error) == 0);
    CHECK(!enclave_initialize(base, &init, sizeof(init) - 1, &error) &&
          error == ENCLAVE_INVALID_PARAMETER);
    /* Another order of pages is another measurement. */
    CHECK(enclave_load_data(base + PAGE, PAGE, blob + PAGE,
                            ENCLAVE_PAGE_READ | ENCLAVE_PAGE_EXECUTE, &error) == PAGE);
    CHECK(enclave_load_data(base + PAGE, PAGE, blob, ENCLAVE_PAGE_READ, &error) == 0);
    CHECK(!enclave_initialize(base, &init, sizeof(init), &error));
    CHECK(enclave_delete(base, &error));
    base = create(NULL, &error);
    load(base);
    init.sigstruct[600] ^= 1;
    CHECK(!enclave_initialize(base, &init, sizeof(init), &error));
    init.sigstruct[600] ^= 1;
    CHECK(enclave_initialize(base, &init, sizeof(init), &error));
    CHECK(!enclave_initialize(base, &init, sizeof(init), &error) &&
          error == ENCLAVE_ALREADY_INITIALIZED);
    CHECK(enclave_load_data(base + 3 * PAGE, PAGE, NULL, ENCLAVE_PAGE_READ, &error) == 0 &&
          error == ENCLAVE_ALREADY_INITIALIZED);
    CHECK(enclave_delete(base, &error));
    CHECK(!enclave_delete(base, &error));
}

int main(int argc, char **argv)
{
    uint32_t error = 99;
    if (argc != 3 || !file_read(argv[1], blob, sizeof(blob)) ||
        !file_read(argv[2], &init, sizeof(init))) {
        return 2;
    }
    for (int round = 0; round < 2; round++) {
        uint8_t *base = create(round ? (void *)0x200000000000 : NULL, &error);
        CHECK(base && error == ENCLAVE_ERROR_SUCCESS);
        CHECK(round == 0 || base == (uint8_t *)0x200000000000);
        load(base);
        CHECK(enclave_initialize(base, &init, sizeof(init), &error));
        CHECK(error == ENCLAVE_ERROR_SUCCESS);
        CHECK(enter(base) == 42 && enter(base) == 42);
        CHECK(enclave_delete(base, &error) && error == ENCLAVE_ERROR_SUCCESS);
    }
    refused();
    wrong();
    printf("%u failures\n", failures);
    return failures != 0;
}
