/*
 * The test enclave with a libc: one source for musl, glibc, and glibc with libcrypto and zlib (WITH_LIBRARIES).
 * Side: enclave (tests). Called by test_libc.c.
 * Never a model of good manners.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_LIBRARIES
#include <openssl/evp.h>
#include <zlib.h>

#include "cella/seal.h"
#endif

#include "cella/enclave.h"
#include "tests/runtime/calls.h"

#define ECALL(name)                                                                                \
    static cella_result name(const void *in, size_t in_size, void *out, size_t out_capacity,       \
                             size_t *ret_size)
#define UNUSED_CALL                                                                                \
    (void)in;                                                                                      \
    (void)in_size;                                                                                 \
    (void)out;                                                                                     \
    (void)out_capacity;                                                                            \
    (void)ret_size

const char *const cella_environment_allow[] = {"CELLA_TEST", NULL};

static int constructed;
static __thread int own = 7;

__attribute__((constructor)) static void construct(void)
{
    constructed = 1;
}

static void at_exit(void)
{
    puts("exit handler");
    fflush(stdout);
}

ECALL(hello)
{
    char *text = malloc(65536);
    CELLA_ENSURE(text != NULL && constructed, OUT_OF_MEMORY);
    const int size =
        snprintf(text, 65536, "hello %.*s, %.3f", (int)in_size, (const char *)in, 3.25);
    CELLA_ENSURE(size > 0 && (size_t)size <= out_capacity, BUFFER_TOO_SMALL);
    memcpy(out, text, (size_t)size);
    *ret_size = (size_t)size;
    printf("%s\n", text);
    fflush(stdout);
    free(text);
    atexit(at_exit);
    return CELLA_OK;
}

ECALL(nothing)
{
    UNUSED_CALL;
    return CELLA_OK;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint32_t arrived, total;

static void *thread_main(void *argument)
{
    const uint32_t all = *(uint32_t *)argument;
    own += 35;
    pthread_mutex_lock(&lock);
    total += (uint32_t)own;
    arrived++;
    pthread_cond_broadcast(&changed);
    while (arrived < all) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&lock);
        total++;
        pthread_mutex_unlock(&lock);
    }
    return &own;
}

/* Threads that all wait for each other, then fight for a lock. */
ECALL(threads)
{
    uint32_t count = *(const uint32_t *)in;
    pthread_t threads[16];
    CELLA_ENSURE(in_size == 4 && count <= 16 && out_capacity >= 4, INVALID_ARGUMENT);
    arrived = 0;
    total = 0;
    for (uint32_t i = 0; i < count; i++) {
        CELLA_ENSURE(pthread_create(&threads[i], NULL, thread_main, &count) == 0, OUT_OF_THREADS);
    }
    for (uint32_t i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    *(uint32_t *)out = total == count * (42 + 2000);
    *ret_size = 4;
    return CELLA_OK;
}

ECALL(abort_call)
{
    UNUSED_CALL;
    abort();
}

ECALL(exit_call)
{
    UNUSED_CALL;
    exit(3);
}

ECALL(timed_wait)
{
    UNUSED_CALL;
    struct timespec until = {.tv_sec = 1,
                             .tv_nsec = 0}; /* long ago: no clock is needed to know that */
    CELLA_ENSURE(out_capacity >= 4, BUFFER_TOO_SMALL);
    pthread_mutex_lock(&lock);
    *(uint32_t *)out = (uint32_t)pthread_cond_timedwait(&changed, &lock, &until);
    pthread_mutex_unlock(&lock);
    *ret_size = 4;
    return CELLA_OK;
}

ECALL(clock_call)
{
    UNUSED_CALL;
    struct timespec now = {0};
    CELLA_ENSURE(out_capacity >= 8, BUFFER_TOO_SMALL);
    const int result = clock_gettime(CLOCK_MONOTONIC, &now);
    *(int64_t *)out = result == 0 ? now.tv_sec * 1000000000 + now.tv_nsec : -errno;
    *ret_size = 8;
    return CELLA_OK;
}

static int file_check(void)
{
    char text[64] = {0};
    FILE *file = fopen("/written", "w");
    if (!file) {
        return -errno;
    }
    for (int i = 0; i < 20000; i++) {
        fprintf(file, "line %d\n", i);
    }
    if (fclose(file) != 0) {
        return -errno;
    }
    file = fopen("/written", "r");
    if (!file || fseek(file, -12, SEEK_END) != 0 || !fgets(text, sizeof(text), file) ||
        !fgets(text, sizeof(text), file)) {
        return -errno - 1000;
    }
    fclose(file);
    if (strcmp(text, "line 19999\n") != 0 || rename("/written", "/renamed") != 0 ||
        access("/written", F_OK) == 0 || unlink("/renamed") != 0) {
        return -2000;
    }
    return open("/../../../../etc/passwd", O_RDONLY) >= 0 ? -3000 : 1;
}

ECALL(file)
{
    UNUSED_CALL;
    CELLA_ENSURE(out_capacity >= 4, BUFFER_TOO_SMALL);
    *(int32_t *)out = file_check();
    *ret_size = 4;
    return CELLA_OK;
}

ECALL(environment)
{
    char name[64] = {0};
    CELLA_ENSURE(in_size < sizeof(name), OUT_OF_RANGE);
    memcpy(name, in, in_size);
    const char *value = getenv(name);
    CELLA_ENSURE(value != NULL, NOT_FOUND);
    *ret_size = strlen(value);
    CELLA_ENSURE(*ret_size <= out_capacity, BUFFER_TOO_SMALL);
    memcpy(out, value, *ret_size);
    return CELLA_OK;
}

ECALL(allocate)
{
    CELLA_ENSURE(in_size == 8 && out_capacity >= 4, INVALID_ARGUMENT);
    const uint64_t size = *(const uint64_t *)in;
    char *memory = calloc(1, size);
    *(uint32_t *)out = memory != NULL && memory[0] == 0 && memory[size - 1] == 0;
    if (memory) {
        memset(memory, 0x55, size);
        memory = realloc(memory, size * 2);
    }
    free(memory);
    *ret_size = 4;
    return CELLA_OK;
}

ECALL(newest)
{
    UNUSED_CALL;
    struct timespec moment = {.tv_sec = 0, .tv_nsec = 1000000};
    nanosleep(&moment, NULL);
    return CELLA_OK;
}

#ifdef WITH_LIBRARIES
ECALL(seal)
{
    CELLA_ENSURE(in_size >= 4, INVALID_ARGUMENT);
    const uint32_t policy = *(const uint32_t *)in;
    return cella_seal((enum cella_seal_policy)policy, "label", 5, (const char *)in + 4, in_size - 4,
                      out, out_capacity, ret_size);
}

ECALL(unseal)
{
    struct cella_sealed_info info;
    CELLA_TRY(cella_unseal(in, in_size, out, out_capacity, &info));
    CELLA_ENSURE(info.additional_size == 5 && memcmp(info.additional, "label", 5) == 0, INTERNAL);
    *ret_size = info.data_size;
    return CELLA_OK;
}

ECALL(libraries)
{
    UNUSED_CALL;
    static unsigned char text[100000], packed[100000], again[100000];
    unsigned char digest[32];
    unsigned int digest_size = 0;
    uLongf packed_size = sizeof(packed), again_size = sizeof(again);
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (unsigned char)(i / 100);
    }
    CELLA_ENSURE(compress(packed, &packed_size, text, sizeof(text)) == Z_OK, INTERNAL);
    CELLA_ENSURE(uncompress(again, &again_size, packed, packed_size) == Z_OK, INTERNAL);
    CELLA_ENSURE(memcmp(text, again, sizeof(text)) == 0 && packed_size < 5000, INTERNAL);
    CELLA_ENSURE(EVP_Digest("abc", 3, digest, &digest_size, EVP_sha256(), NULL) == 1, CRYPTO);
    *(uint32_t *)out = digest[0] == 0xBA && digest[31] == 0xAD;
    *ret_size = 4;
    return CELLA_OK;
}
#else
#define seal nothing
#define unseal nothing
#define libraries nothing
#endif

CELLA_ECALLS([LIBC_HELLO] = {hello, 256, 256}, [LIBC_NOTHING] = {nothing, 0, 0},
             [LIBC_THREADS] = {threads, 4, 4}, [LIBC_ABORT] = {abort_call, 0, 0},
             [LIBC_EXIT] = {exit_call, 0, 0}, [LIBC_SEAL] = {seal, 1 << 20, 2 << 20},
             [LIBC_UNSEAL] = {unseal, 2 << 20, 1 << 20}, [LIBC_ZLIB] = {libraries, 0, 4},
             [LIBC_TIMED_WAIT] = {timed_wait, 0, 4}, [LIBC_CLOCK] = {clock_call, 0, 8},
             [LIBC_FILE] = {file, 0, 4}, [LIBC_GETENV] = {environment, 64, 256},
             [LIBC_MALLOC] = {allocate, 8, 4}, [LIBC_NEWEST] = {newest, 0, 0});
