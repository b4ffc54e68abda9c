/*
 * EGo's system calls, and a Marble's report: what their parts know of each other.
 * Side: enclave. Included by ego*.c and marble_identity.c.
 */
#ifndef CELLA_LINUX_EGO_H
#define CELLA_LINUX_EGO_H

#include "enclave/kernel.h"

/* Open Enclave's results, by name. */
enum oe_result {
#define X(number, name) name = number,
#include "linux/ego_results.def"
#undef X
};

/* Before each report (Open Enclave's oe_report_header_t). */
struct linux_ego_header {
    uint32_t version;
    uint32_t type;
    uint64_t size; /* of what follows */
};
#define LINUX_EGO_VERSION 1u
#define LINUX_EGO_LOCAL 1u
#define LINUX_EGO_REMOTE 2u

/* Room for a result on pages of the program, which its call for that kind of result frees; 0: none. */
CELLA_KERNEL uint64_t linux_ego_result_new(uint64_t size);
/* Call 1007: ego_evidence.c; absent_libc.c in a kernel without libcrypto. */
CELLA_KERNEL long linux_ego_evidence(const struct cella_regs *regs);

#endif
