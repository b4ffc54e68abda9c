/*
 * Every call of the opt-in modules, made in enclaves of both libcs; calls that wait, and what is left when they end.
 * Side: tests (host). Arguments: the images of musl, glibc, and one without modules.
 * Never looks away: a check that is not found fails.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "abi/service.h"
#include "cella/host.h"
#include "tests/runtime/docs_hex.h"
#include "tests/services/services.h"

static char **g_images;
static char g_folder[] = "/tmp/cella-services-XXXXXX";
static char g_root[64];

static cella_enclave *enclave_new(const char *image, uint32_t flags, const char *root)
{
    const struct cella_enclave_options options = {.flags = CELLA_ENCLAVE_DEBUG | flags,
                                                  .file_root = root};
    cella_enclave *enclave = NULL;
    struct cella_error error = {0};
    cella_result result = cella_enclave_create(image, &options, &enclave, &error);
    if (!cella_is_ok(result)) {
        fail_msg("%s: %s", image, error.text);
    }
    return enclave;
}

static void check_in(cella_enclave *enclave, const char *image, const char *name)
{
    char text[128] = {0};
    size_t size = 0;
    cella_result result =
        cella_ecall(enclave, SERVICES_RUN, name, strlen(name), text, sizeof(text), &size);
    if (!cella_is_ok(result) || text[0] != 0) {
        fail_msg("%s in %s: %s %s %s", name, image, cella_result_text(result),
                 cella_enclave_abort_text(enclave), text);
    }
}

static void run_all(const char *image)
{
    static const char *const names[] = {"read_write",
                                        "vectors",
                                        "big",
                                        "stdio",
                                        "dup",
                                        "console",
                                        "flags",
                                        "sizes",
                                        "locks",
                                        "map",
                                        "many",
                                        "limit",
                                        "names",
                                        "links",
                                        "modes",
                                        "folders",
                                        "at",
                                        "large_folder",
                                        "current",
                                        "confined",
                                        "odd_paths",
                                        "tcp",
                                        "errors",
                                        "udp",
                                        "messages",
                                        "ipv6",
                                        "local",
                                        "options",
                                        "nonblocking",
                                        "one_table",
                                        "pairs",
                                        "bulk",
                                        "pipe",
                                        "pipe_threads",
                                        "eventfd",
                                        "poll",
                                        "poll_threads",
                                        "select",
                                        "epoll",
                                        "epoll_edges",
                                        "epoll_threads",
                                        "resolve_digits",
                                        "resolve_names",
                                        "ids",
                                        "uname",
                                        "sleep"};
    cella_enclave *enclave = enclave_new(image, CELLA_ENCLAVE_NETWORK, g_root);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        check_in(enclave, image, names[i]);
    }
    cella_enclave_destroy(enclave);
}

static void test_musl(void **state)
{
    (void)state;
    run_all(g_images[1]);
}

static void test_glibc(void **state)
{
    (void)state;
    run_all(g_images[2]);
}

static void test_absent(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new(g_images[3], CELLA_ENCLAVE_NETWORK, g_root);
    check_in(enclave, g_images[3], "absent");
    check_in(enclave, g_images[3], "constants");
    cella_enclave_destroy(enclave);
}

static int32_t probe(cella_enclave *enclave, uint32_t which)
{
    int32_t value = -1;
    size_t size = 0;
    assert_true(cella_is_ok(
        cella_ecall(enclave, SERVICES_PROBE, &which, sizeof(which), &value, sizeof(value), &size)));
    return value;
}

/* Without a root there are no files, without the flag no network; a pair of sockets needs neither. */
static void test_refused(void **state)
{
    (void)state;
    for (int i = 1; i <= 2; i++) {
        cella_enclave *enclave = enclave_new(g_images[i], 0, NULL);
        assert_int_equal(probe(enclave, PROBE_READ), 13); /* EACCES */
        assert_int_equal(probe(enclave, PROBE_NAME), 13);
        assert_int_not_equal(probe(enclave, PROBE_RESOLVE), 0);
        assert_int_equal(probe(enclave, PROBE_RECEIVE), 0);
        cella_enclave_destroy(enclave);
        enclave = enclave_new(g_images[i], CELLA_ENCLAVE_NETWORK, g_root);
        for (uint32_t which = 0; which < PROBE_COUNT; which++) {
            assert_int_equal(probe(enclave, which), 0);
        }
        cella_enclave_destroy(enclave);
    }
}

static int descriptors_open(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count;
}

/* Threads that wait for ever hold up neither ecalls nor the end, and what they had open is closed. */
static void test_blocked(void **state)
{
    (void)state;
    for (int i = 1; i <= 2; i++) {
        const int before = descriptors_open();
        cella_enclave *enclave = enclave_new(g_images[i], CELLA_ENCLAVE_NETWORK, g_root);
        for (uint32_t which = 0; which < BLOCK_COUNT; which++) {
            assert_true(cella_is_ok(
                cella_ecall(enclave, SERVICES_BLOCK, &which, sizeof(which), NULL, 0, NULL)));
        }
        check_in(enclave, g_images[i], "tcp");
        check_in(enclave, g_images[i], "read_write");
        const struct timespec moment = {.tv_nsec = 50000000};
        nanosleep(&moment, NULL);
        assert_true(descriptors_open() > before);
        cella_enclave_destroy(enclave);
        assert_int_equal(descriptors_open(), before);
    }
}

/* The example of docs/formats/services.md. */
static void test_docs(void **state)
{
    const struct {
        struct cella_call_request request;
        int64_t value;
        char bytes[3];
    } expected = {.request = {.operation = CELLA_FILE_READ, .handle = 7, .a = 5, .b = 16},
                  .value = 3,
                  .bytes = {'a', 'b', 'c'}};
    unsigned char example[64];
    (void)state;
    assert_int_equal(docs_hex("services.md", example, sizeof(example)), 35);
    assert_memory_equal(example, &expected, 35);
}

static int folder_make(void **state)
{
    char path[128];
    (void)state;
    if (!mkdtemp(g_folder)) {
        return -1;
    }
    snprintf(g_root, sizeof(g_root), "%s/root", g_folder);
    snprintf(path, sizeof(path), "%s/beside", g_folder);
    if (mkdir(g_root, 0755) != 0 || mkdir(path, 0755) != 0) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/beside/secret", g_folder);
    const int fd = open(path, O_WRONLY | O_CREAT, 0644);
    snprintf(path, sizeof(path), "%s/out", g_root);
    return fd >= 0 && close(fd) == 0 && symlink("../beside", path) == 0 ? 0 : -1;
}

static int folder_remove(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", g_folder);
    return system(command);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_musl),    cmocka_unit_test(test_glibc),
        cmocka_unit_test(test_absent),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_blocked), cmocka_unit_test(test_docs),
    };
    if (argc != 4) {
        fprintf(stderr, "usage: %s MUSL GLIBC ABSENT\n", argv[0]);
        return 2;
    }
    g_images = argv;
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
