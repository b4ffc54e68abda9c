/*
 * Calls between the two halves of the Open Enclave skin, beside the application's: numbers and records.
 * Side: both. Included by compat/openenclave/enclave and host; docs/formats/calls.md has the way they travel.
 * Never holds a pointer.
 */
#ifndef CELLA_COMPAT_OE_CALLS_H
#define CELLA_COMPAT_OE_CALLS_H

#include <stdint.h>

/* CELLA_ECALL_SYSTEM and CELLA_OCALL_SKIN of abi/call.h, which is not included: SGX names would come twice. */
#define OE_SKIN_BASE 0x80010000u

/* Into the enclave. Each answers with struct oe_answer and, when its result is OE_OK, what is named here. */
#define OE_ECALL_REPORT (OE_SKIN_BASE + 1) /* in: u32 flags, target info or nothing; out: report */
#define OE_ECALL_VERIFY (OE_SKIN_BASE + 2) /* in: report */
#define OE_ECALL_KEY (OE_SKIN_BASE + 3)    /* in: struct oe_key_request … */
#define OE_ECALL_LOG_LEVEL (OE_SKIN_BASE + 4) /* in: u32 */

#define OE_ECALL_REPORT_MAX (132u * 1024u) /* a quote, at most */
#define OE_ECALL_VERIFY_MAX (10u * 1024u)
#define OE_ECALL_KEY_MAX 8192u

struct oe_answer {
    uint32_t result; /* oe_result_t */
    uint32_t size;   /* of what follows; OE_ECALL_KEY: of the key, then the key info to the end */
};

/* `policy` 0: the key of `info_size` bytes of key info behind the user data. Public keys only. */
struct oe_key_request {
    uint32_t type;
    uint32_t format;
    uint32_t policy;
    uint32_t user_data_size;
    uint32_t info_size;
    uint32_t has_user_data;
};

/* Out of the enclave. */
#define OE_OCALL_LOG (OE_SKIN_BASE + 1)     /* in: u64 level, text without zero */
#define OE_OCALL_REALLOC (OE_SKIN_BASE + 2) /* in: struct oe_realloc; out: u64 address, 0: none */

#define OE_OCALL_ENDORSEMENTS (OE_SKIN_BASE + 3) /* in: quote; out: oe_endorsements_t */
#define OE_OCALL_ROOTS (OE_SKIN_BASE + 4)        /* out: abi/collateral.h, without documents */

struct oe_realloc {
    uint64_t address;
    uint64_t size;
    uint64_t is_zeroed; /* address 0 only */
};

/* Strings of the environment that only the skin reads; see enclave/environment.c. */
#define OE_ENVIRONMENT_HANDLE "OE_ENCLAVE_HANDLE="
#define OE_ENVIRONMENT_LOG_LEVEL "OE_ENCLAVE_LOG_LEVEL="

#endif
