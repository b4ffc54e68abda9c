/*
 * What urts and calls say when something is not right.
 * Side: host, tests.
 */
#include "host.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sgx_capable.h"

static uint8_t *file_read(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    *ret_size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*ret_size);
    if (bytes && fread(bytes, 1, *ret_size, file) != *ret_size) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    return bytes;
}

static void from_buffer(void)
{
    size_t size = 0;
    sgx_enclave_id_t enclave = 0;
    sgx_misc_attribute_t attributes;
    const int numbers[2] = {20, 22};
    int result = 0;
    uint8_t *bytes = file_read(image_of("api"), &size);
    CHECK_HOST(bytes != NULL);
    STATUS(
        sgx_create_enclave_from_buffer_ex(bytes, size, debug_mode, &enclave, &attributes, 0, NULL),
        SGX_SUCCESS);
    CHECK_HOST((attributes.secs_attr.flags & SGX_FLAGS_INITTED) != 0);
    CHECK_HOST(((attributes.secs_attr.flags & SGX_FLAGS_DEBUG) != 0) == (debug_mode != 0));
    CHECK_HOST(attributes.misc_select == 1); /* EXINFO */
    STATUS(call_sum(enclave, &result, numbers, 2), SGX_SUCCESS);
    CHECK_HOST(result == 42);
    STATUS(sgx_destroy_enclave(enclave), SGX_SUCCESS);
    STATUS(sgx_create_enclave_from_buffer_ex(NULL, size, debug_mode, &enclave, NULL, 0, NULL),
           SGX_ERROR_INVALID_PARAMETER);
    STATUS(sgx_create_enclave_from_buffer_ex(bytes, 0, debug_mode, &enclave, NULL, 0, NULL),
           SGX_ERROR_INVALID_PARAMETER);
    STATUS(sgx_create_enclave_from_buffer_ex(bytes, size / 2, debug_mode, &enclave, NULL, 0, NULL),
           SGX_ERROR_INVALID_ENCLAVE);
    /* One byte of the code: another measurement than the signed one. */
    bytes[0x3000] ^= 1;
    const sgx_status_t status =
        sgx_create_enclave_from_buffer_ex(bytes, size, debug_mode, &enclave, NULL, 0, NULL);
    CHECK_HOST(status == SGX_ERROR_INVALID_ENCLAVE || status == SGX_ERROR_INVALID_SIGNATURE);
    free(bytes);
}

/* No image is encrypted: one that should be is not loaded in the clear. */
static void encrypted(void)
{
    static uint8_t key[1024];
    const void *features[MAX_EX_FEATURES_COUNT] = {[SGX_CREATE_ENCLAVE_EX_PCL_BIT_IDX] = key};
    sgx_enclave_id_t enclave = 0;
    STATUS(
        sgx_create_encrypted_enclave(image_of("api"), debug_mode, NULL, NULL, &enclave, NULL, key),
        SGX_ERROR_PCL_NOT_ENCRYPTED);
    STATUS(sgx_create_enclave_ex(image_of("api"), debug_mode, NULL, NULL, &enclave, NULL,
                                 SGX_CREATE_ENCLAVE_EX_PCL, features),
           SGX_ERROR_PCL_NOT_ENCRYPTED);
}

void codes_creation(const char *folder)
{
    sgx_enclave_id_t enclave = 0;
    const void *features[MAX_EX_FEATURES_COUNT] = {0};
    const sgx_kss_config_t kss = {.config_svn = 1};
    char path[4096];
    int capable = -1;
    sgx_device_status_t device;
    STATUS(sgx_create_enclave(NULL, debug_mode, NULL, NULL, &enclave, NULL),
           SGX_ERROR_INVALID_PARAMETER);
    STATUS(sgx_create_enclave(image_of("api"), debug_mode, NULL, NULL, NULL, NULL),
           SGX_ERROR_INVALID_PARAMETER);
    STATUS(sgx_create_enclave(image_of("none"), debug_mode, NULL, NULL, &enclave, NULL),
           SGX_ERROR_ENCLAVE_FILE_ACCESS);
    snprintf(path, sizeof(path), "%s/plain", folder);
    STATUS(sgx_create_enclave(path, debug_mode, NULL, NULL, &enclave, NULL),
           SGX_ERROR_INVALID_ENCLAVE);
    STATUS(sgx_create_enclave("/proc/self/exe", debug_mode, NULL, NULL, &enclave, NULL),
           SGX_ERROR_INVALID_ENCLAVE);
    STATUS(sgx_create_enclave(image_of("production"), 1, NULL, NULL, &enclave, NULL),
           SGX_ERROR_NDEBUG_ENCLAVE);
    STATUS(sgx_create_enclave(image_of("production"), 0, NULL, NULL, &enclave, NULL), SGX_SUCCESS);
    STATUS(sgx_destroy_enclave(enclave), SGX_SUCCESS);
    /* Features without their arguments, and the other way round; unknown ones. */
    STATUS(sgx_create_enclave_ex(image_of("api"), debug_mode, NULL, NULL, &enclave, NULL,
                                 SGX_CREATE_ENCLAVE_EX_KSS, NULL),
           SGX_ERROR_INVALID_PARAMETER);
    STATUS(sgx_create_enclave_ex(image_of("api"), debug_mode, NULL, NULL, &enclave, NULL,
                                 SGX_CREATE_ENCLAVE_EX_KSS, features),
           SGX_ERROR_INVALID_PARAMETER);
    features[SGX_CREATE_ENCLAVE_EX_KSS_BIT_IDX] = &kss;
    STATUS(sgx_create_enclave_ex(image_of("api"), debug_mode, NULL, NULL, &enclave, NULL, 1u << 9,
                                 features),
           SGX_ERROR_INVALID_PARAMETER);
    STATUS(sgx_create_enclave_ex(image_of("kss"), debug_mode, NULL, NULL, &enclave, NULL,
                                 SGX_CREATE_ENCLAVE_EX_KSS, features),
           SGX_SUCCESS);
    STATUS(sgx_destroy_enclave(enclave), SGX_SUCCESS);
    from_buffer();
    encrypted();
    STATUS(sgx_is_capable(&capable), SGX_SUCCESS);
    STATUS(sgx_is_capable(NULL), SGX_ERROR_INVALID_PARAMETER);
    STATUS(sgx_cap_get_status(&device), SGX_SUCCESS);
    STATUS(sgx_cap_enable_device(NULL), SGX_ERROR_INVALID_PARAMETER);
    CHECK_HOST(capable == 0 || capable == 1);
}

/* ------------------------------------------------------------------- calls */

static sgx_enclave_id_t current;
static sgx_status_t nested_private, nested_never, nested_public;

/* Allowed here: call_private, and nothing else. */
void host_call_back(int which)
{
    int result = 0;
    switch (which) {
    case 0:
        nested_private = call_private(current, &result, 42);
        CHECK_HOST(result == 42);
        break;
    case 1:
        nested_never = call_never(current, &result);
        break;
    case 3:
        STATUS(sgx_destroy_enclave(current), SGX_SUCCESS);
        STATUS(call_private(current, &result, 42), SGX_ERROR_INVALID_ENCLAVE_ID);
        break;
    default:
        nested_public = call_private_result(current, &result);
        break;
    }
}

void host_never_called(void)
{
    failures++;
}

static void private_calls(void)
{
    int result = -1;
    STATUS(call_private(current, &result, 1), SGX_ERROR_ECALL_NOT_ALLOWED);
    STATUS(call_never(current, &result), SGX_ERROR_ECALL_NOT_ALLOWED);
    nested_private = nested_never = nested_public = SGX_ERROR_UNEXPECTED;
    RUN(current, call_back, 0);
    STATUS(nested_private, SGX_SUCCESS);
    STATUS(call_private_result(current, &result), SGX_SUCCESS);
    CHECK_HOST(result == 43);
    RUN(current, call_back, 1);
    STATUS(nested_never, SGX_ERROR_ECALL_NOT_ALLOWED);
    RUN(current, call_back, 2);
    STATUS(nested_public, SGX_ERROR_ECALL_NOT_ALLOWED);
}

static void buffers(void)
{
    static uint8_t room[64]; /* low in the address space, as the stack is not */
    uint8_t bytes[64];
    int numbers[4] = {1, 2, 3, 4};
    int result = 0, fd = -2;
    sgx_target_info_t target;
    memset(bytes, 0xA0, sizeof(bytes));
    STATUS(call_sum(current, &result, NULL, 0), SGX_SUCCESS);
    CHECK_HOST(result == 0);
    STATUS(call_sum(current, &result, numbers, 4), SGX_SUCCESS);
    CHECK_HOST(result == 10);
    /* Sizes that overflow, or that the enclave has no room for. */
    STATUS(call_sum(current, &result, numbers, SIZE_MAX / 2), SGX_ERROR_INVALID_PARAMETER);
    STATUS(call_sum(current, &result, numbers, SIZE_MAX), SGX_ERROR_INVALID_PARAMETER);
    STATUS(call_both(current, &result, bytes, 1ul << 40), SGX_ERROR_INVALID_PARAMETER);
    STATUS(call_both(current, &result, room, 1u << 26), SGX_ERROR_OUT_OF_MEMORY);
    STATUS(call_both(current, &result, bytes, sizeof(bytes)), SGX_SUCCESS);
    CHECK_HOST(bytes[0] == 0x5F && bytes[63] == 0x5F);
    STATUS(call_both(current, &result, NULL, 8), SGX_SUCCESS);
    CHECK_HOST(result == -1);
    STATUS(call_length(current, &result, NULL), SGX_SUCCESS);
    CHECK_HOST(result == -1);
    STATUS(call_length(current, &result, "four"), SGX_SUCCESS);
    CHECK_HOST(result == 4);
    STATUS(call_raw(current, &result, bytes), SGX_SUCCESS);
    CHECK_HOST(result == 1);
    STATUS(sgx_get_enclave_file_handle(NULL, &fd), SGX_ERROR_INVALID_PARAMETER);
    STATUS(sgx_get_enclave_file_handle(bytes, &fd), SGX_ERROR_INVALID_ENCLAVE);
    STATUS(sgx_get_target_info(current, &target), SGX_SUCCESS);
}

/* A buffer inside the enclave is refused, whatever is in it. */
static void buffers_inside(void)
{
    void *inside = NULL;
    int result = 0, fd = -2;
    STATUS(call_address(current, &inside), SGX_SUCCESS);
    STATUS(call_sum(current, &result, inside, 1), SGX_ERROR_INVALID_PARAMETER);
    STATUS(call_both(current, &result, inside, 8), SGX_ERROR_INVALID_PARAMETER);
    STATUS(call_raw(current, &result, inside), SGX_SUCCESS);
    CHECK_HOST(result == 0);
    STATUS(sgx_get_enclave_file_handle(inside, &fd), SGX_SUCCESS);
    CHECK_HOST(fd >= 0);
}

void codes_calls(void)
{
    int result = 0;
    const int one = 1;
    current = enclave_of("api");
    private_calls();
    buffers();
    buffers_inside();
    STATUS(call_host_in_handler(current, &result), SGX_SUCCESS);
    STATUS(result, SGX_ERROR_OCALL_NOT_ALLOWED);
    STATUS(sgx_destroy_enclave(current), SGX_SUCCESS);
    STATUS(call_sum(current, &result, &one, 1), SGX_ERROR_INVALID_ENCLAVE_ID);
    STATUS(sgx_destroy_enclave(current), SGX_ERROR_INVALID_ENCLAVE_ID);
    STATUS(call_sum(0, &result, &one, 1), SGX_ERROR_INVALID_ENCLAVE_ID);
}

/* ------------------------------------------------------------------- the end of an enclave */

static int is_enclave(const uint8_t *at)
{
    int fd;
    return sgx_get_enclave_file_handle((void *)(uintptr_t)at, &fd) == SGX_SUCCESS;
}

/* Takes the enclave's address range away. */
static void unmap_around(const void *inside)
{
    const size_t page = 4096;
    uint8_t *start = (uint8_t *)((uintptr_t)inside & ~(page - 1)), *end = start;
    while (is_enclave(start - page)) {
        start -= page;
    }
    while (is_enclave(end)) {
        end += page;
    }
    munmap(start, (size_t)(end - start));
}

/* The memory of the enclave is gone, as after a sleep of the machine. */
static void lost(void)
{
    void *inside = NULL;
    int result = 0;
    const int one = 1;
    current = enclave_of("api");
    STATUS(call_address(current, &inside), SGX_SUCCESS);
    unmap_around(inside);
    STATUS(call_sum(current, &result, &one, 1), SGX_ERROR_ENCLAVE_LOST);
    STATUS(call_sum(current, &result, &one, 1), SGX_ERROR_ENCLAVE_LOST);
    STATUS(sgx_destroy_enclave(current), SGX_SUCCESS);
}

static void *block(void *unused)
{
    STATUS(call_block(current), SGX_SUCCESS);
    return unused;
}

/* By another thread, and by an ocall: the call that runs comes back, and no other begins. */
static void destroyed_meanwhile(void)
{
    pthread_t thread;
    int result = 0;
    const int one = 1;
    current = enclave_of("api");
    pthread_create(&thread, NULL, block, NULL);
    blocked_wait(1);
    STATUS(sgx_destroy_enclave(current), SGX_SUCCESS);
    STATUS(call_sum(current, &result, &one, 1), SGX_ERROR_INVALID_ENCLAVE_ID);
    blocked_release();
    pthread_join(thread, NULL);
    current = enclave_of("api");
    RUN(current, call_back, 3);
    STATUS(sgx_destroy_enclave(current), SGX_ERROR_INVALID_ENCLAVE_ID);
}

void codes_end(void)
{
    int result = 0;
    const int one = 1;
    for (int kind = 0; kind < 4; kind++) {
        current = enclave_of("api");
        const sgx_status_t status = fault_unhandled(current, kind);
        CHECK_HOST(status == SGX_ERROR_ENCLAVE_CRASHED ||
                   (kind == 2 && status == SGX_ERROR_STACK_OVERRUN));
        STATUS(call_sum(current, &result, &one, 1), SGX_ERROR_ENCLAVE_CRASHED);
        STATUS(sgx_destroy_enclave(current), SGX_SUCCESS);
    }
    destroyed_meanwhile();
    lost();
}
