/*
 * Codes of the AESM protocol, and answering one request: bytes in, bytes out, no sockets.
 * Side: host, service. Called by server.c, the fuzz target and tests. Source: aesm_error_t of Intel's aesm_error.h.
 */
#ifndef CELLA_SERVICES_QUOTED_AESM_H
#define CELLA_SERVICES_QUOTED_AESM_H

#include "common/bytes.h"
#include "host/quote.h"

enum aesm_code {
    AESM_SUCCESS = 0,
    AESM_UNEXPECTED_ERROR = 1,
    AESM_PARAMETER_ERROR = 3,
    AESM_BUSY = 18,
    AESM_OUT_OF_MEMORY_ERROR = 21,
    AESM_MSG_ERROR = 22,
    AESM_OUT_OF_EPC = 29,
    AESM_SERVICE_UNAVAILABLE = 30,
    AESM_UNSUPPORTED_ATT_KEY_ID = 38,
    AESM_NO_PLATFORM_CERT_DATA = 44,
    AESM_INVALID_REPORT = 47,
    AESM_ENCLAVE_LOAD_ERROR = 48,
};

#define AESM_REQUEST_MAX 65536u /* bytes of a frame; real ones are below 4 KiB */
#define AESM_KEYS_MAX 10u       /* ids in a list, as Intel's daemon takes */

/* What a service answers with: a source of quotes and the ids of its attestation key. */
struct aesm_backend {
    const struct cella_quote_source *source;
    uint8_t
        key_ids[2][256]; /* the first is ours; the second is Intel's, which clients have built in */
};

CELLA_MUST_USE cella_result aesm_backend_init(int software, struct aesm_backend *ret_backend,
                                              struct cella_error *error);

/* One answered request, for the log. */
struct aesm_answer {
    uint8_t *data; /* the frame with its size in front; free() */
    size_t size;
    const char *request; /* its name */
    uint32_t code;
    char reason[256]; /* why it failed, for the log only */
};

/*
 * Answers one message. Whatever the bytes are there is an answer; OUT_OF_MEMORY is the only error. `refused`: the client
 * is over its limit, so the answer is AESM_BUSY and costs nothing. Thread-safe.
 */
CELLA_MUST_USE cella_result aesm_answer_make(const struct aesm_backend *backend,
                                             struct cella_bytes message, bool refused,
                                             struct aesm_answer *ret_answer);

#endif
