/*
 * What the service tests' enclave sources and host share: checks by name, probes by number.
 * Side: tests, both sides.
 * Never part of an installed interface.
 */
#ifndef CELLA_TESTS_SERVICES_H
#define CELLA_TESTS_SERVICES_H

#include <stdint.h>

enum services_ecall {
    SERVICES_RUN,   /* name of a check -> text: "" when it holds */
    SERVICES_PROBE, /* u32 enum services_probe -> i32: errno of one call; below 0: memory was written that must not be */
    SERVICES_BLOCK, /* u32 enum services_block: starts a thread that waits for ever */
    SERVICES_ECALL_COUNT,
};

/* One call each, so that a host can lie in it. */
enum services_probe {
    PROBE_READ,
    PROBE_READLINK,
    PROBE_STAT,
    PROBE_STATFS,
    PROBE_LOCK,
    PROBE_ENTRIES,
    PROBE_OPEN_TWICE,
    PROBE_SEEK,
    PROBE_IOCTL,
    PROBE_RECEIVE,
    PROBE_RECEIVE_FROM,
    PROBE_SEND,
    PROBE_ACCEPT,
    PROBE_NAME,
    PROBE_OPTION,
    PROBE_PAIR,
    PROBE_POLL,
    PROBE_EPOLL,
    PROBE_RESOLVE,
    PROBE_RESOLVE_PORT,
    PROBE_NAMES,
    PROBE_GROUPS,
    PROBE_UNAME,
    PROBE_COUNT,
};

enum services_block {
    BLOCK_ACCEPT,
    BLOCK_POLL,
    BLOCK_READ,
    BLOCK_COUNT,
};

/* enclave_*.c: 0, or the line that failed. */
struct services_check {
    const char *name;
    int (*run)(void);
};
extern const struct services_check files_checks[], paths_checks[], sockets_checks[],
    waiting_checks[], process_checks[], absent_checks[];
int services_probe(uint32_t which);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return __LINE__;                                                                       \
        }                                                                                          \
    } while (0)
#define CHECK_ERRNO(call, expected) CHECK((call) == -1 && errno == (expected))

#endif
