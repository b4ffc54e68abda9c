/*
 * A host that lies in the opt-in services: a table of lies, each with what the enclave must say; then lies at random.
 * Side: tests (host). Linked with --wrap=cella_services_serve. Arguments: the images of musl and glibc.
 * Never lets a lie pass that the enclave can see: it ends in an errno, and no byte outside the caller's room is written.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "abi/service.h"
#include "host/host.h"
#include "tests/services/services.h"

/* What a lie does to an answer. */
enum kind {
    VALUE,  /* the first word is `at` */
    SIZE,   /* so many bytes are said to have come: `at`, or more than there is room for */
    WORD,   /* a 64-bit word at offset `at` becomes `word` */
    HALF,   /* a 32-bit one */
    BYTES,  /* all bytes from offset `at` on are `word` */
    RESULT, /* the service's own result is `at` */
    SAME,   /* value is the handle of the first answer to this operation */
};

#define ANY UINT32_MAX
#define OVERLONG ((int64_t)1 << 40)

struct lie {
    uint32_t probe;
    uint32_t service, operation; /* in which the lie is told */
    enum kind kind;
    int64_t at;
    uint64_t word;
    int32_t expected;
};

#define FILE_LIE(probe, operation, ...)                                                            \
    {                                                                                              \
        probe, CELLA_OCALL_FILE, operation, __VA_ARGS__                                            \
    }
#define SOCKET_LIE(probe, operation, ...)                                                          \
    {                                                                                              \
        probe, CELLA_OCALL_SOCKET, operation, __VA_ARGS__                                          \
    }
#define READ_LIE(...) FILE_LIE(PROBE_READ, CELLA_FILE_READ, __VA_ARGS__)
#define STAT_LIE(...) FILE_LIE(PROBE_STAT, CELLA_FILE_STAT, __VA_ARGS__)
#define SPACE_LIE(...) FILE_LIE(PROBE_STATFS, CELLA_FILE_SPACE, __VA_ARGS__)
#define LOCK_LIE(...) FILE_LIE(PROBE_LOCK, CELLA_FILE_LOCK, __VA_ARGS__)
#define ENTRIES_LIE(...) FILE_LIE(PROBE_ENTRIES, CELLA_FILE_ENTRIES, __VA_ARGS__)
#define RECEIVE_LIE(...) SOCKET_LIE(PROBE_RECEIVE, CELLA_SOCKET_RECEIVE, __VA_ARGS__)
#define FROM_LIE(...) SOCKET_LIE(PROBE_RECEIVE_FROM, CELLA_SOCKET_RECEIVE, __VA_ARGS__)
#define ACCEPT_LIE(...) SOCKET_LIE(PROBE_ACCEPT, CELLA_SOCKET_ACCEPT, __VA_ARGS__)
#define NAME_LIE(...) SOCKET_LIE(PROBE_NAME, CELLA_SOCKET_NAME, __VA_ARGS__)
#define POLL_LIE(...)                                                                              \
    {                                                                                              \
        PROBE_POLL, CELLA_OCALL_POLL, ANY, __VA_ARGS__                                             \
    }
#define EPOLL_LIE(...)                                                                             \
    {                                                                                              \
        PROBE_EPOLL, CELLA_OCALL_EPOLL, CELLA_EPOLL_WAIT, __VA_ARGS__                              \
    }
#define RESOLVE_LIE(...)                                                                           \
    {                                                                                              \
        PROBE_RESOLVE, CELLA_OCALL_RESOLVE, CELLA_RESOLVE_ADDRESSES, __VA_ARGS__                   \
    }
#define NAMES_LIE(...)                                                                             \
    {                                                                                              \
        PROBE_NAMES, CELLA_OCALL_RESOLVE, CELLA_RESOLVE_NAMES, __VA_ARGS__                         \
    }
#define UNAME_LIE(...)                                                                             \
    {                                                                                              \
        PROBE_UNAME, CELLA_OCALL_UNAME, ANY, __VA_ARGS__                                           \
    }
#define GROUPS_LIE(...)                                                                            \
    {                                                                                              \
        PROBE_GROUPS, CELLA_OCALL_IDS, CELLA_ID_GROUPS, __VA_ARGS__                                \
    }
#define PORT_AT (8 + 12 + 2) /* of the first record, which starts with type, protocol and size */

static const struct lie lies[] = {
    READ_LIE(VALUE, 17, 0, EIO), /* more than was asked for */
    READ_LIE(VALUE, 15, 0, EIO), /* not as many as came */
    READ_LIE(VALUE, INT64_MAX, 0, EIO),
    READ_LIE(VALUE, INT64_MIN, 0, EIO),
    READ_LIE(VALUE, -4096, 0, EIO), /* no errno */
    READ_LIE(VALUE, -ENOSPC, 0, ENOSPC),
    READ_LIE(SIZE, OVERLONG, 0, EIO),
    READ_LIE(SIZE, 0, 0, EIO),
    READ_LIE(SIZE, 7, 0, EIO),
    READ_LIE(SIZE, 8, 0, EIO),
    READ_LIE(RESULT, 4242, 0, EIO),
    READ_LIE(RESULT, CELLA_CODE_OUT_OF_MEMORY, 0, ENOMEM),
    FILE_LIE(PROBE_READ, CELLA_FILE_WRITE, VALUE, 21, 0, EIO),
    FILE_LIE(PROBE_READ, CELLA_FILE_OPEN, VALUE, (int64_t)INT32_MAX + 1, 0, EIO),
    FILE_LIE(PROBE_READ, CELLA_FILE_OPEN, SIZE, 8, 0, EIO),
    FILE_LIE(PROBE_OPEN_TWICE, CELLA_FILE_OPEN, SAME, 0, 0, EIO),
    FILE_LIE(PROBE_SEEK, CELLA_FILE_SEEK, VALUE, -5000, 0, EIO),
    FILE_LIE(PROBE_READLINK, CELLA_FILE_READLINK, VALUE, 1 << 20, 0, EIO),
    FILE_LIE(PROBE_READLINK, CELLA_FILE_READLINK, BYTES, 10, 0, EIO),
    FILE_LIE(PROBE_IOCTL, CELLA_FILE_CONTROL, WORD, 8, UINT64_MAX, EIO),
    FILE_LIE(PROBE_IOCTL, CELLA_FILE_CONTROL, VALUE, 1, 0, EIO),
    STAT_LIE(WORD, 8 + 24, UINT64_MAX, EIO),   /* size */
    STAT_LIE(HALF, 8 + 48, 0xFFFFFFFF, EIO),   /* mode */
    STAT_LIE(HALF, 8 + 52, 0xFFFFFFFF, EIO),   /* block size */
    STAT_LIE(WORD, 8 + 72, 1000000000, EIO),   /* nanoseconds */
    STAT_LIE(WORD, 8 + 88, (uint64_t)-1, EIO), /* nanoseconds */
    STAT_LIE(SIZE, 64, 0, EIO),
    STAT_LIE(VALUE, 1, 0, EIO),
    SPACE_LIE(WORD, 8 + 8, 0, EIO),           /* block size */
    SPACE_LIE(WORD, 8 + 24, UINT64_MAX, EIO), /* more free than there is */
    SPACE_LIE(WORD, 8 + 56, 1 << 30, EIO),    /* longest name */
    LOCK_LIE(HALF, 8, 7, EIO),                /* type */
    LOCK_LIE(HALF, 8 + 24, 0x80000000, EIO),  /* process */
    LOCK_LIE(VALUE, 3, 0, EIO),
    ENTRIES_LIE(HALF, 8 + 16, 0, EIO),          /* size of a record */
    ENTRIES_LIE(HALF, 8 + 16, 0x0408FFF8, EIO), /* longer than all */
    ENTRIES_LIE(HALF, 8 + 16, 0x0408000C, EIO), /* not a multiple of 8 */
    ENTRIES_LIE(BYTES, 8 + 19, 'a', EIO),       /* a name without an end */
    ENTRIES_LIE(HALF, 8 + 19, 0x2F2E2E2F, EIO), /* a name with a slash */
    ENTRIES_LIE(HALF, 8 + 19, 0, EIO),          /* no name */
    ENTRIES_LIE(HALF, 8 + 17, 0x2E2E0700, EIO), /* a type that there is not */
    ENTRIES_LIE(VALUE, 100000, 0, EIO),
    RECEIVE_LIE(VALUE, 9, 0, EIO),
    RECEIVE_LIE(VALUE, 17, 0, EIO),
    RECEIVE_LIE(SIZE, 20, 0, EIO),
    RECEIVE_LIE(HALF, 20, 129, EIO), /* size of the address */
    SOCKET_LIE(PROBE_SEND, CELLA_SOCKET_SEND, VALUE, 9, 0, EIO),
    SOCKET_LIE(PROBE_SEND, CELLA_SOCKET_SEND, VALUE, INT64_MIN, 0, EIO),
    SOCKET_LIE(PROBE_PAIR, CELLA_SOCKET_PAIR, WORD, 8, UINT64_MAX, EIO),
    SOCKET_LIE(PROBE_PAIR, CELLA_SOCKET_PAIR, SAME, 8, 0, EIO),
    FROM_LIE(HALF, 20, 0xFFFFFFFF, EIO),
    FROM_LIE(HALF, 20, 28, EIO), /* of another family's size */
    FROM_LIE(HALF, 20, 1, EIO),
    FROM_LIE(HALF, 24, AF_INET6, EIO), /* another family */
    FROM_LIE(HALF, 24, AF_UNIX, EIO),
    ACCEPT_LIE(HALF, 20, 128, EIO),
    ACCEPT_LIE(HALF, 24, 77, EIO),
    ACCEPT_LIE(VALUE, (int64_t)1 << 33, 0, EIO),
    NAME_LIE(HALF, 20, 110, EIO),
    NAME_LIE(HALF, 20, 0, EIO),
    NAME_LIE(VALUE, 4, 0, EIO),
    SOCKET_LIE(PROBE_OPTION, CELLA_SOCKET_OPTION_GET, VALUE, 5, 0, EIO),
    SOCKET_LIE(PROBE_OPTION, CELLA_SOCKET_OPTION_GET, HALF, 8, 5000, EIO), /* SO_ERROR */
    POLL_LIE(VALUE, 2, 0, EIO),
    POLL_LIE(VALUE, -4096, 0, EIO),
    POLL_LIE(WORD, 8, UINT64_MAX, EIO), /* what is left of the time */
    POLL_LIE(WORD, 8, 2000000000, EIO), /* more than there was */
    POLL_LIE(SIZE, 16, 0, EIO),
    EPOLL_LIE(VALUE, 2, 0, EIO),
    EPOLL_LIE(SIZE, 16, 0, EIO),
    EPOLL_LIE(WORD, 8, (uint64_t)1 << 60, EIO),
    RESOLVE_LIE(VALUE, 65, 0, EAI_FAIL),
    RESOLVE_LIE(VALUE, 0, 0, EAI_FAIL),
    RESOLVE_LIE(VALUE, -13, 0, EAI_FAIL),
    RESOLVE_LIE(VALUE, EAI_AGAIN, 0, EAI_AGAIN),
    RESOLVE_LIE(SIZE, 48, 0, EAI_FAIL),
    RESOLVE_LIE(HALF, 8, SOCK_DGRAM, EAI_FAIL),           /* type */
    RESOLVE_LIE(HALF, 16, 28, EAI_FAIL),                  /* size */
    RESOLVE_LIE(HALF, 20, AF_INET6, EAI_FAIL),            /* family */
    RESOLVE_LIE(BYTES, 8 + 64 * 40, 'x', EAI_FAIL),       /* a name without an end */
    RESOLVE_LIE(HALF, 8 + 64 * 40, 0x000A0D61, EAI_FAIL), /* line ends in a name */
    {PROBE_RESOLVE_PORT, CELLA_OCALL_RESOLVE, CELLA_RESOLVE_ADDRESSES, HALF, PORT_AT - 2,
     0x51000002, EAI_FAIL}, /* another port */
    NAMES_LIE(VALUE, 1, 0, EAI_FAIL),
    NAMES_LIE(SIZE, 100, 0, EAI_FAIL),
    NAMES_LIE(BYTES, 8, 'x', EAI_FAIL),
    NAMES_LIE(HALF, 8, 0x00000161, EAI_FAIL),
    UNAME_LIE(BYTES, 8, 'x', EIO),
    UNAME_LIE(HALF, 8, 0x0000019B, EIO),
    UNAME_LIE(SIZE, 300, 0, EIO),
    UNAME_LIE(VALUE, 5, 0, EIO),
    GROUPS_LIE(VALUE, 257, 0, EIO),
    GROUPS_LIE(VALUE, 99, 0, EIO),
    GROUPS_LIE(SIZE, 4, 0, EIO),
};

static const struct lie *g_lie;
static unsigned g_told;
static int64_t g_first; /* value of the first answer to the lie's operation */
static unsigned g_asked;
static bool g_random;
static char **g_images;
static char g_root[] = "/tmp/cella-lies-XXXXXX";

cella_result __real_cella_services_serve(cella_enclave *enclave, uint32_t number, const void *in,
                                         size_t in_size, void *out, size_t out_capacity,
                                         size_t *ret_size);
cella_result __wrap_cella_services_serve(cella_enclave *enclave, uint32_t number, const void *in,
                                         size_t in_size, void *out, size_t out_capacity,
                                         size_t *ret_size);

static uint64_t random_next(void)
{
    static uint64_t counter = 1;
    uint64_t value = counter += 0x9E3779B97F4A7C15ull;
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9ull;
    value = (value ^ value >> 27) * 0x94D049BB133111EBull;
    return value ^ value >> 31;
}

static cella_result lie_tell(uint8_t *out, size_t out_capacity, size_t *ret_size)
{
    const size_t at = (size_t)g_lie->at;
    int64_t value;
    memcpy(&value, out, sizeof(value));
    g_first = g_asked++ == 0 ? value : g_first;
    switch (g_lie->kind) {
    case VALUE:
        memcpy(out, &g_lie->at, sizeof(g_lie->at));
        break;
    case SIZE:
        *ret_size = at;
        break;
    case WORD:
        memcpy(out + at, &g_lie->word, sizeof(g_lie->word));
        break;
    case HALF:
        memcpy(out + at, &g_lie->word, sizeof(uint32_t));
        break;
    case BYTES:
        memset(out + at, (int)g_lie->word, out_capacity - at);
        break;
    case SAME:
        if (g_lie->at == 0 && g_asked < 2) {
            return CELLA_OK;
        }
        memcpy(out + g_lie->at, &g_first, sizeof(g_first));
        break;
    case RESULT:
        g_told++;
        return (cella_result){.code = (uint32_t)g_lie->at};
    }
    g_told++;
    return CELLA_OK;
}

/* Anything: words, sizes and results, in one answer of three. */
static cella_result lie_at_random(uint8_t *out, size_t out_capacity, size_t *ret_size)
{
    static const int64_t words[] = {-1, -4095, -4096, INT64_MIN, INT64_MAX, 0, 1, 3, 1 << 20, -4};
    const uint64_t dice = random_next();
    if (dice % 3 != 0 || out_capacity < 8) {
        return CELLA_OK;
    }
    g_told++;
    switch (dice >> 8 & 3) {
    case 0:
        memcpy(out, &words[(dice >> 16) % 10], 8);
        return CELLA_OK;
    case 1:
        *ret_size = (dice >> 16) % (out_capacity + 9);
        return CELLA_OK;
    case 2:
        out[(dice >> 16) % out_capacity] ^= (uint8_t)(dice >> 48 | 1);
        return CELLA_OK;
    default:
        return (cella_result){.code = (uint32_t)(dice >> 16) % 110};
    }
}

cella_result __wrap_cella_services_serve(cella_enclave *enclave, uint32_t number, const void *in,
                                         size_t in_size, void *out, size_t out_capacity,
                                         size_t *ret_size)
{
    cella_result result =
        __real_cella_services_serve(enclave, number, in, in_size, out, out_capacity, ret_size);
    uint32_t operation = ANY;
    if (g_random) {
        return lie_at_random(out, out_capacity, ret_size);
    }
    if (in_size >= sizeof(struct cella_call_request)) {
        memcpy(&operation, in, sizeof(operation));
    }
    if (!g_lie || number != g_lie->service ||
        (g_lie->operation != ANY && g_lie->operation != operation)) {
        return result;
    }
    return lie_tell(out, out_capacity, ret_size);
}

static cella_enclave *enclave_new(const char *image)
{
    const struct cella_enclave_options options = {
        .flags = CELLA_ENCLAVE_DEBUG | CELLA_ENCLAVE_NETWORK, .file_root = g_root};
    cella_enclave *enclave = NULL;
    struct cella_error error = {0};
    g_lie = NULL;
    g_random = false;
    if (!cella_is_ok(cella_enclave_create(image, &options, &enclave, &error))) {
        fail_msg("%s: %s", image, error.text);
    }
    return enclave;
}

static int32_t probe(cella_enclave *enclave, uint32_t which)
{
    int32_t value = -1;
    size_t size = 0;
    cella_result result =
        cella_ecall(enclave, SERVICES_PROBE, &which, sizeof(which), &value, sizeof(value), &size);
    if (!cella_is_ok(result)) {
        fail_msg("probe %u: %s %s", which, cella_result_text(result),
                 cella_enclave_abort_text(enclave));
    }
    return value;
}

static void test_table(void **state)
{
    (void)state;
    for (int image = 1; image <= 2; image++) {
        cella_enclave *enclave = enclave_new(g_images[image]);
        for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
            g_asked = g_told = 0;
            g_lie = &lies[i];
            const int32_t said = probe(enclave, lies[i].probe);
            g_lie = NULL;
            if (said != lies[i].expected || g_told == 0) {
                fail_msg("lie %zu (probe %u), told %u times: %d instead of %d", i, lies[i].probe,
                         g_told, said, lies[i].expected);
            }
            assert_int_equal(probe(enclave, lies[i].probe), 0); /* and then the truth */
        }
        cella_enclave_destroy(enclave);
    }
}

/* A wrong cookie is passed over, not believed: the real event comes later. Events not asked for are left out. */
static void test_epoll_cookies(void **state)
{
    static const struct lie cookies[] = {
        EPOLL_LIE(WORD, 24, UINT64_MAX, 0),
        EPOLL_LIE(WORD, 24, 0, 0),
        EPOLL_LIE(HALF, 16, 4, 0),
    };
    (void)state;
    cella_enclave *enclave = enclave_new(g_images[1]);
    for (size_t i = 0; i < sizeof(cookies) / sizeof(cookies[0]); i++) {
        g_told = 0;
        g_lie = &cookies[i];
        assert_int_equal(probe(enclave, PROBE_EPOLL), 0);
        assert_true(g_told > 0);
        g_lie = NULL;
    }
    cella_enclave_destroy(enclave);
}

static void test_random(void **state)
{
    (void)state;
    for (int image = 1; image <= 2; image++) {
        cella_enclave *enclave = enclave_new(g_images[image]);
        g_told = 0;
        for (int round = 0; round < 60; round++) {
            for (uint32_t which = 0; which < PROBE_COUNT; which++) {
                g_random = true;
                const int32_t said = probe(enclave, which);
                g_random = false;
                const bool names =
                    which == PROBE_RESOLVE || which == PROBE_RESOLVE_PORT || which == PROBE_NAMES;
                if (names ? said > 0 || said < -12 : said < 0) {
                    fail_msg("probe %u: %d", which, said);
                }
            }
        }
        assert_true(g_told > 100);
        cella_enclave_destroy(enclave);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_epoll_cookies),
        cmocka_unit_test(test_random),
    };
    char command[64];
    if (argc != 3) {
        fprintf(stderr, "usage: %s MUSL GLIBC\n", argv[0]);
        return 2;
    }
    g_images = argv;
    if (!mkdtemp(g_root)) {
        return 2;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(command, sizeof(command), "rm -r %s", g_root);
    return system(command) != 0 ? 2 : failed;
}
