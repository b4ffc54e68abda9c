/*
 * Verifying evidence for a program (EGo's system call 1007): what the kernel's side and the libc's side hand each other.
 * Side: enclave. Included by ego_evidence.c, which is the kernel's, and ego_verify.c, which is the libc's.
 */
#ifndef CELLA_LINUX_EGO_VERIFY_H
#define CELLA_LINUX_EGO_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EGO_ADVISORIES_MAX 4096u

/* Evidence in; an answer, and what the claims are made of. */
struct ego_verify {
    const uint8_t *evidence; /* a copy that the program cannot change */
    size_t size;
    int64_t time; /* seconds since 1970, as the host says */
    bool debug;   /* this enclave is open to its host: whom that trusts it may trust */
    /* out */
    uint32_t result; /* oe_result_t; the rest is filled when it is OE_OK or OE_TCB_LEVEL_INVALID */
    uint32_t security_version;
    uint32_t tcb_status; /* OE_SGX_TCB_STATUS_* */
    bool of_debug;
    uint8_t unique_id[32], signer_id[32], report_data[64];
    uint16_t product_id;
    char advisories[EGO_ADVISORIES_MAX]; /* {"tcbInfo":{"tcbLevels":[{"advisoryIDs":[…]}]}} */
    char reason[320];                    /* of a refusal, for the trace */
};

/* ego_verify.c: `argument` is a struct ego_verify. 0. */
long cella_linux_ego_verify(void *argument);

#endif
