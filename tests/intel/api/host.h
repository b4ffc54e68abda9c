/*
 * The host of the api enclaves: a check that fails prints its line and counts.
 * Side: host, tests.
 */
#ifndef CELLA_TEST_INTEL_HOST_H
#define CELLA_TEST_INTEL_HOST_H

#include <stdio.h>

#include "api_u.h"
#include "sgx_urts.h"

extern unsigned failures;

#define CHECK_HOST(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("%s:%d: FAILED: %s\n", __FILE__, __LINE__, #condition);                         \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

/* A status that is another one is printed. */
#define STATUS(call, wanted)                                                                       \
    do {                                                                                           \
        const unsigned status_ = (unsigned)(call);                                                 \
        if (status_ != (unsigned)(wanted)) {                                                       \
            printf("%s:%d: FAILED: %s is 0x%x, not %s\n", __FILE__, __LINE__, #call, status_,      \
                   #wanted);                                                                       \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

/* An ecall that gives 0 or a line. */
#define RUN(enclave, name, ...)                                                                    \
    do {                                                                                           \
        int line_ = -1;                                                                            \
        const unsigned status_ = (unsigned)name(enclave, &line_, ##__VA_ARGS__);                   \
        const int good_ = status_ == SGX_SUCCESS && line_ == 0;                                    \
        printf("%-20s %s", #name, good_ ? "ok\n" : "FAILED");                                      \
        if (!good_) {                                                                              \
            printf(" (0x%x, line %d)\n", status_, line_);                                          \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

/* The images that installed.sh has made: NAME.signed.so. 0 when it cannot be created. */
sgx_enclave_id_t enclave_of(const char *name);
const char *image_of(const char *name);
extern int debug_mode;

void codes_creation(const char *folder);
void codes_calls(void);
void codes_end(void);
void between_enclaves(const char *folder);
int sealed_file(const char *how, const char *path);
void several_threads(void);
void blocked_wait(unsigned count); /* host_blocked was called as often */
void blocked_release(void);

#endif
