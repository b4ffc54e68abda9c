/*
 * The service tests' enclave: runs a check, a probe, or blocks.
 * Side: enclave (tests). Called by test_services.c, test_service_lies.c.
 * Never a model of good manners.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cella/enclave.h"
#include "tests/services/services.h"

static int find_and_run(const char *name, int *ret_errno)
{
#ifdef WITHOUT_MODULES
    static const struct services_check *const lists[] = {absent_checks};
#else
    static const struct services_check *const lists[] = {files_checks, paths_checks, sockets_checks,
                                                         waiting_checks, process_checks};
#endif
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (const struct services_check *check = lists[i]; check->name; check++) {
            if (strcmp(check->name, name) == 0) {
                errno = 0;
                const int line = check->run();
                *ret_errno = errno;
                return line;
            }
        }
    }
    return -1;
}

static cella_result run(const void *in, size_t in_size, void *out, size_t out_capacity,
                        size_t *ret_size)
{
    char name[64] = {0};
    int error = 0;
    CELLA_ENSURE(in_size < sizeof(name) && out_capacity > 80, INVALID_ARGUMENT);
    memcpy(name, in, in_size);
    const int line = find_and_run(name, &error);
    if (line != 0) {
        *ret_size = (size_t)snprintf(out, out_capacity, "line %d, errno %d", line, error) + 1;
    } else {
        *ret_size = 1; /* "" */
    }
    return CELLA_OK;
}

static cella_result probe(const void *in, size_t in_size, void *out, size_t out_capacity,
                          size_t *ret_size)
{
    CELLA_ENSURE(in_size == 4 && out_capacity >= 4, INVALID_ARGUMENT);
#ifndef WITHOUT_MODULES
    *(int32_t *)out = services_probe(*(const uint32_t *)in);
#else
    *(uint32_t *)out = *(const uint32_t *)in;
#endif
    *ret_size = 4;
    return CELLA_OK;
}

#ifndef WITHOUT_MODULES
/* A thread of the enclave's own that waits for what never comes. */
static void *block_main(void *argument)
{
    const struct sockaddr_in here = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const uint32_t which = (uint32_t)(uintptr_t)argument;
    int pair[2];
    char byte;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
        abort();
    }
    if (which == BLOCK_ACCEPT) {
        const int server = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(server, (const struct sockaddr *)&here, sizeof(here)) != 0 ||
            listen(server, 1) != 0) {
            abort();
        }
        accept(server, NULL, NULL);
    } else if (which == BLOCK_POLL) {
        struct pollfd list = {.fd = pair[0], .events = POLLIN};
        poll(&list, 1, -1);
    } else if (read(pair[0], &byte, 1) != 1) {
        return argument;
    }
    return argument;
}
#endif

static cella_result block(const void *in, size_t in_size, void *out, size_t out_capacity,
                          size_t *ret_size)
{
    (void)in;
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    CELLA_ENSURE(in_size == 4, INVALID_ARGUMENT);
#ifndef WITHOUT_MODULES
    pthread_t thread;
    CELLA_ENSURE(
        pthread_create(&thread, NULL, block_main, (void *)(uintptr_t) * (const uint32_t *)in) == 0,
        OUT_OF_THREADS);
#endif
    return CELLA_OK;
}

CELLA_ECALLS([SERVICES_RUN] = {run, 63, 128}, [SERVICES_PROBE] = {probe, 4, 4},
             [SERVICES_BLOCK] = {block, 4, 0});
