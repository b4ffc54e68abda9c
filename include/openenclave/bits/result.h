/*
 * Result codes of the Open Enclave API.
 * Skin header for both sides; C11 and C++. Numbers follow Open Enclave's order: never renumber.
 * Never says more than a code: the host's log has the words.
 */
#ifndef _OE_BITS_RESULT_H
#define _OE_BITS_RESULT_H

#include "defs.h"
#include "types.h"

OE_EXTERNC_BEGIN

/* Every code, in the order of its number from 0 on. */
#define OE_RESULT_CODES(X)                                                                         \
    X(OE_OK)                                                                                       \
    X(OE_FAILURE)                                                                                  \
    X(OE_BUFFER_TOO_SMALL)                                                                         \
    X(OE_INVALID_PARAMETER)                                                                        \
    X(OE_REENTRANT_ECALL)                                                                          \
    X(OE_OUT_OF_MEMORY)                                                                            \
    X(OE_OUT_OF_THREADS)                                                                           \
    X(OE_UNEXPECTED)                                                                               \
    X(OE_VERIFY_FAILED)                                                                            \
    X(OE_NOT_FOUND)                                                                                \
    X(OE_INTEGER_OVERFLOW)                                                                         \
    X(OE_PUBLIC_KEY_NOT_FOUND)                                                                     \
    X(OE_OUT_OF_BOUNDS)                                                                            \
    X(OE_OVERLAPPED_COPY)                                                                          \
    X(OE_CONSTRAINT_FAILED)                                                                        \
    X(OE_IOCTL_FAILED)                                                                             \
    X(OE_UNSUPPORTED)                                                                              \
    X(OE_READ_FAILED)                                                                              \
    X(OE_SERVICE_UNAVAILABLE)                                                                      \
    X(OE_ENCLAVE_ABORTING)                                                                         \
    X(OE_ENCLAVE_ABORTED)                                                                          \
    X(OE_PLATFORM_ERROR)                                                                           \
    X(OE_INVALID_CPUSVN)                                                                           \
    X(OE_INVALID_ISVSVN)                                                                           \
    X(OE_INVALID_KEYNAME)                                                                          \
    X(OE_DEBUG_DOWNGRADE)                                                                          \
    X(OE_REPORT_PARSE_ERROR)                                                                       \
    X(OE_MISSING_CERTIFICATE_CHAIN)                                                                \
    X(OE_BUSY)                                                                                     \
    X(OE_NOT_OWNER)                                                                                \
    X(OE_INVALID_SGX_CERTIFICATE_EXTENSIONS)                                                       \
    X(OE_MEMORY_LEAK)                                                                              \
    X(OE_BAD_ALIGNMENT)                                                                            \
    X(OE_JSON_INFO_PARSE_ERROR)                                                                    \
    X(OE_TCB_LEVEL_INVALID)                                                                        \
    X(OE_QUOTE_PROVIDER_LOAD_ERROR)                                                                \
    X(OE_QUOTE_PROVIDER_CALL_ERROR)                                                                \
    X(OE_INVALID_REVOCATION_INFO)                                                                  \
    X(OE_INVALID_UTC_DATE_TIME)                                                                    \
    X(OE_INVALID_QE_IDENTITY_INFO)                                                                 \
    X(OE_INVALID_ENDORSEMENT)                                                                      \
    X(OE_UNSUPPORTED_ENCLAVE_IMAGE)                                                                \
    X(OE_VERIFY_CRL_EXPIRED)                                                                       \
    X(OE_VERIFY_CRL_MISSING)                                                                       \
    X(OE_VERIFY_REVOKED)                                                                           \
    X(OE_VERIFY_FAILED_TO_FIND_VALIDITY_PERIOD)                                                    \
    X(OE_CRYPTO_ERROR)                                                                             \
    X(OE_INCORRECT_REPORT_SIZE)                                                                    \
    X(OE_QUOTE_VERIFICATION_ERROR)                                                                 \
    X(OE_QUOTE_ENCLAVE_IDENTITY_VERIFICATION_FAILED)                                               \
    X(OE_QUOTE_ENCLAVE_IDENTITY_UNIQUEID_MISMATCH)                                                 \
    X(QE_QUOTE_ENCLAVE_IDENTITY_PRODUCTID_MISMATCH)                                                \
    X(OE_VERIFY_FAILED_AES_CMAC_MISMATCH)                                                          \
    X(OE_CONTEXT_SWITCHLESS_OCALL_MISSED)                                                          \
    X(OE_THREAD_CREATE_ERROR)                                                                      \
    X(OE_THREAD_JOIN_ERROR)                                                                        \
    X(OE_ALREADY_EXISTS)                                                                           \
    X(OE_ALREADY_INITIALIZED)                                                                      \
    X(OE_QUOTE_HASH_MISMATCH)                                                                      \
    X(OE_INVALID_SGX_SIGNING_KEY)                                                                  \
    X(OE_INVALID_IMAGE)                                                                            \
    X(OE_QUOTE_LIBRARY_LOAD_ERROR)                                                                 \
    X(OE_SGX_QUOTE_LIBRARY_ERROR)

typedef enum _oe_result {
#define OE_RESULT_ENUM(name) name,
    OE_RESULT_CODES(OE_RESULT_ENUM)
#undef OE_RESULT_ENUM
        __OE_RESULT_MAX = OE_ENUM_MAX,
} oe_result_t;

/* The name of the code, e.g. "OE_OK"; "OE_UNKNOWN" for others. Static. */
const char *oe_result_str(oe_result_t result);

OE_EXTERNC_END

#endif
