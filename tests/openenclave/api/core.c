/*
 * Memory, randomness, exceptions, files, heap, log and corelibc of the Open Enclave API.
 * Side: enclave, tests. Each function gives 0 or the line that failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <openenclave/advanced/mallinfo.h>
#include <openenclave/corelibc/errno.h>
#include <openenclave/corelibc/stdlib.h>
#include <openenclave/corelibc/string.h>
#include <openenclave/tracee.h>

#include "api_t.h"
#include "check.h"

/* A constructor may call out. */
static int at_start;
__attribute__((constructor)) static void start(void)
{
    if (host_at_start(&at_start, 41) != OE_OK) {
        at_start = -1;
    }
}

int test_core(void *handle)
{
    CHECK(at_start == 42);
    uint8_t a[32] = {0}, b[32] = {0};
    int on_stack = 0;
    CHECK((void *)oe_get_enclave() == handle);
    CHECK(oe_is_within_enclave(&on_stack, sizeof(on_stack)));
    CHECK(!oe_is_outside_enclave(&on_stack, sizeof(on_stack)));
    CHECK(oe_is_outside_enclave(handle, 8) && !oe_is_within_enclave(handle, 8));
    CHECK(!oe_is_within_enclave(&on_stack, SIZE_MAX / 2) &&
          !oe_is_outside_enclave(&on_stack, SIZE_MAX / 2));
    CHECK(oe_random(a, sizeof(a)) == OE_OK && oe_random(b, sizeof(b)) == OE_OK);
    CHECK(memcmp(a, b, sizeof(a)) != 0);
    CHECK(oe_random(NULL, 1) == OE_INVALID_PARAMETER);
    CHECK(strcmp(oe_result_str(OE_OK), "OE_OK") == 0);
    CHECK(strcmp(oe_result_str(OE_DEBUG_DOWNGRADE), "OE_DEBUG_DOWNGRADE") == 0);
    CHECK(strcmp(oe_result_str((oe_result_t)9999), "OE_UNKNOWN") == 0);
    return 0;
}

int test_host_memory(void)
{
    char *text = oe_host_strndup("outside, cut", 7);
    CHECK(text && oe_is_outside_enclave(text, 8));
    CHECK(memcmp(text, "outside", 8) == 0);
    text = oe_host_realloc(text, 100000);
    CHECK(text && memcmp(text, "outside", 8) == 0 && oe_is_outside_enclave(text, 100000));
    oe_host_free(text);
    unsigned char *zero = oe_host_calloc(100, 10);
    CHECK(zero && oe_is_outside_enclave(zero, 1000));
    for (int i = 0; i < 1000; i++) {
        CHECK(zero[i] == 0);
    }
    oe_host_free(zero);
    CHECK(oe_host_calloc(SIZE_MAX, 2) == NULL);
    CHECK(oe_host_malloc(1ull << 50) == NULL);
    int inside;
    CHECK(oe_host_realloc(&inside, 10) == NULL);
    return 0;
}

int test_barrier(void *host, size_t size)
{
    uint8_t mine[64], again[64];
    CHECK(size >= 64 && oe_is_outside_enclave(host, size));
    for (int i = 0; i < 64; i++) {
        mine[i] = (uint8_t)(i * 7);
    }
    for (size_t from = 0; from < 9; from++) {
        oe_memset_with_barrier(host, 0xEE, 64);
        oe_memcpy_with_barrier((uint8_t *)host + from, mine, 64 - 2 * from);
        memcpy(again, host, 64);
        CHECK(memcmp(again + from, mine, 64 - 2 * from) == 0);
        CHECK(from == 0 || (again[from - 1] == 0xEE && again[64 - from] == 0xEE));
    }
    /* A wrong destination is left alone, one whose source is wrong is cleared. */
    CHECK(oe_memcpy_s_with_barrier(NULL, 8, mine, 8) == OE_INVALID_PARAMETER);
    CHECK(oe_memcpy_s_with_barrier(host, SIZE_MAX, mine, 8) == OE_INVALID_PARAMETER);
    CHECK(((uint8_t *)host)[9] != 0);
    CHECK(oe_memcpy_s_with_barrier(host, 8, mine, 9) == OE_INVALID_PARAMETER);
    CHECK(((uint8_t *)host)[0] == 0 && ((uint8_t *)host)[9] != 0);
    CHECK(oe_memmove_s_with_barrier(host, 10, NULL, 1) == OE_INVALID_PARAMETER);
    CHECK(((uint8_t *)host)[9] == 0);
    CHECK(oe_memset_s_with_barrier(host, 4, 5, 6) == OE_INVALID_PARAMETER);
    CHECK(((uint8_t *)host)[3] == 5 && ((uint8_t *)host)[4] == 0);
    CHECK(oe_memset_s_with_barrier(NULL, 4, 5, 4) == OE_INVALID_PARAMETER);
    CHECK(oe_memcpy_s_with_barrier(mine, 32, mine + 31, 1) == OE_OVERLAPPED_COPY);
    CHECK(oe_memcpy_s_with_barrier(mine, 32, mine + 8, 32) == OE_OVERLAPPED_COPY);
    memcpy(mine, again, 64);
    CHECK(oe_memmove_s_with_barrier(mine + 1, 63, mine, 63) == OE_OK);
    CHECK(memcmp(mine + 1, again, 63) == 0);
    OE_WRITE_VALUE_WITH_BARRIER(host, (uint32_t)0x11223344);
    CHECK(((uint32_t *)host)[0] == 0x11223344);
    oe_memcpy_aligned(host, again, 64);
    CHECK(memcmp(host, again, 64) == 0);
    return 0;
}

static unsigned handled, passed_on;
static uint32_t last_code;

static uint64_t pass_on(oe_exception_record_t *record)
{
    (void)record;
    passed_on++;
    return OE_EXCEPTION_CONTINUE_SEARCH;
}

static uint64_t skip_ud2(oe_exception_record_t *record)
{
    last_code = record->code;
    handled++;
    if (record->code != OE_EXCEPTION_ILLEGAL_INSTRUCTION) {
        return OE_EXCEPTION_CONTINUE_SEARCH;
    }
    record->context->rip += 2;
    record->context->rbx = 4711;
    ((uint64_t *)(record->context->basic_xstate.blob + 160))[0] = 0x5a5a; /* XMM0 */
    return OE_EXCEPTION_CONTINUE_EXECUTION;
}

int test_exceptions(void)
{
    uint64_t rbx, xmm;
    CHECK(oe_add_vectored_exception_handler(false, NULL) == OE_INVALID_PARAMETER);
    CHECK(oe_add_vectored_exception_handler(false, skip_ud2) == OE_OK);
    CHECK(oe_add_vectored_exception_handler(false, skip_ud2) == OE_FAILURE);
    CHECK(oe_add_vectored_exception_handler(true, pass_on) == OE_OK);
    __asm__ volatile("pxor %%xmm0, %%xmm0\n\tud2\n\tmovq %%xmm0, %1"
                     : "=b"(rbx), "=r"(xmm)
                     :
                     : "xmm0");
    CHECK(handled == 1 && passed_on == 1 && last_code == OE_EXCEPTION_ILLEGAL_INSTRUCTION);
    CHECK(rbx == 4711 && xmm == 0x5a5a);
    CHECK(oe_remove_vectored_exception_handler(pass_on) == OE_OK);
    CHECK(oe_remove_vectored_exception_handler(pass_on) == OE_FAILURE);
    __asm__ volatile("ud2" : : : "rbx", "xmm0");
    CHECK(handled == 2 && passed_on == 1);
    CHECK(oe_remove_vectored_exception_handler(skip_ud2) == OE_OK);
    return 0;
}

/* What the distribution's static libraries call them: compiled for glibc, linked with musl. */
#undef fopen64
#undef open64
#undef lseek64
FILE *glibc_fopen(const char *path, const char *mode) __asm__("fopen64");
int glibc_open(const char *path, int flags, ...) __asm__("open64");
off_t glibc_lseek(int fd, off_t offset, int from) __asm__("lseek64");
int glibc_swapcontext(void *old, const void *context) __asm__("swapcontext");

static int glibc_names(const char *path)
{
    char text[8] = {0};
    FILE *file = glibc_fopen(path, "r");
    CHECK(file && fgets(text, 5, file) && strcmp(text, "from") == 0 && fclose(file) == 0);
    const int fd = glibc_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd < 0 && errno == EEXIST);
    const int again = glibc_open(path, O_RDONLY);
    CHECK(again >= 0 && glibc_lseek(again, 5, SEEK_SET) == 5 && read(again, text, 6) == 6);
    CHECK(memcmp(text, "inside", 6) == 0 && close(again) == 0);
    CHECK(glibc_swapcontext(text, text) == -1 && errno == ENOSYS);
    return 0;
}

int test_files(const char *folder)
{
    char path[300], text[16] = {0};
    snprintf(path, sizeof(path), "%s/file", folder);
    errno = 0;
    CHECK(fopen(path, "w") == NULL && errno == ENOENT); /* nothing is mounted */
    CHECK(mount("/", "/", OE_HOST_FILE_SYSTEM, 0, NULL) != 0);
    CHECK(oe_load_module_host_file_system() == OE_OK);
    CHECK(mount("/", "/", "no_file_system", 0, NULL) != 0);
    CHECK(mount("/", "/", OE_HOST_FILE_SYSTEM, 0, NULL) == 0);
    CHECK(mount("/", "/", OE_HOST_FILE_SYSTEM, 0, NULL) != 0);
    FILE *file = fopen(path, "w+");
    CHECK(file && fputs("from inside", file) >= 0 && fflush(file) == 0);
    rewind(file);
    CHECK(fgets(text, sizeof(text), file) && strcmp(text, "from inside") == 0);
    CHECK(fclose(file) == 0 && access(path, F_OK) == 0);
    const int names = glibc_names(path);
    if (names != 0) {
        return names;
    }
    CHECK(mount(folder, "/here", OE_HOST_FILE_SYSTEM, 0, NULL) == 0);
    const int fd = open("/here/file", O_RDONLY);
    CHECK(fd >= 0 && read(fd, text, 4) == 4 && memcmp(text, "from", 4) == 0 && close(fd) == 0);
    CHECK(umount("/here") == 0 && open("/here/file", O_RDONLY) < 0);
    CHECK(unlink(path) == 0 && access(path, F_OK) != 0);
    CHECK(umount("/") == 0 && fopen(path, "w") == NULL);
    return 0;
}

int test_heap(void)
{
    oe_mallinfo_t before, during;
    CHECK(oe_allocator_mallinfo(NULL) == OE_INVALID_PARAMETER);
    CHECK(oe_allocator_mallinfo(&before) == OE_OK);
    CHECK(before.max_total_heap_size == 1024 * 4096);
    char *big = malloc(1 << 20);
    CHECK(big && oe_is_within_enclave(big, 1 << 20));
    memset(big, 1, 1 << 20);
    CHECK(oe_allocator_mallinfo(&during) == OE_OK);
    CHECK(during.current_allocated_heap_size >= before.current_allocated_heap_size + (1 << 20));
    CHECK(during.peak_allocated_heap_size >= during.current_allocated_heap_size);
    free(big);
    void *volatile too_much = malloc(1ull << 40); /* volatile: compilers know malloc */
    CHECK(too_much == NULL);
    return 0;
}

static unsigned logged;
static void on_log(void *context, oe_log_level_t level, uint64_t thread, const char *message)
{
    (void)level, (void)thread, (void)message;
    (*(unsigned *)context)++;
}

int test_log(void)
{
    int lines = -1;
    CHECK(oe_enclave_log_set_callback(&logged, on_log) == OE_OK);
    CHECK(oe_enclave_log_set_callback(NULL, NULL) == OE_OK);
    CHECK(strcmp(oe_log_level_strings[OE_LOG_LEVEL_WARNING], "WARNING") == 0);
    CHECK(host_log_lines(&lines) == OE_OK && lines >= 0);
    return 0;
}

int test_corelibc(void)
{
    char text[8];
    void *at = NULL;
    CHECK(oe_strlen("four") == 4 && oe_strcmp("a", "b") < 0 && oe_strncmp("ab", "ac", 1) == 0);
    CHECK(oe_strlcpy(text, "longer than it", sizeof(text)) == 14 && strcmp(text, "longer ") == 0);
    CHECK(oe_strlcat(text, "x", sizeof(text)) == 8);
    CHECK(oe_posix_memalign(&at, 256, 10) == 0 && (uintptr_t)at % 256 == 0);
    CHECK(oe_malloc_usable_size(at) >= 10);
    oe_free(at);
    CHECK(oe_strtoul("0x10", NULL, 16) == 16);
    errno = EBUSY;
    CHECK(oe_errno == OE_EBUSY);
    at = oe_strdup("copy");
    CHECK(at && strcmp(at, "copy") == 0);
    oe_free(at);
    return 0;
}

void test_abort(void)
{
    oe_abort();
}

OE_SET_ENCLAVE_SGX(7, 3, true, 1024, 64, 4)
