/*
 * Evidence: a quote and the claims it binds, in Open Enclave's form. docs/formats/evidence.md is the format.
 * Side: enclave, with a libc. Called by applications, and by the host's cella_enclave_evidence where this is linked.
 * Never lets the host choose what a quote binds without saying so: its words are claims by those names.
 */
#include "cella/attest.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/no_compression.h"
#include "enclave/evidence.h"

CELLA_NO_COMPRESSION;

#define CLAIMS_VERSION 1u
#define CLAIMS_MAX (1u << 20) /* bytes of names and values */

/* Open Enclave's oe_attestation_header_t */
struct evidence_head {
    uint32_t version;
    uint8_t format[16];
    uint32_t reserved;
    uint64_t size; /* of what is behind */
};
_Static_assert(sizeof(struct evidence_head) == 32, "docs/formats/evidence.md");

/* OE_FORMAT_UUID_SGX_ECDSA */
static const uint8_t g_format[16] = {0xa3, 0xa2, 0x1e, 0x87, 0x1b, 0x4d, 0x40, 0x14,
                                     0xb7, 0x0a, 0xa1, 0x25, 0xd2, 0xfb, 0xcd, 0x8c};

static void buffer_done(uint8_t **buffer)
{
    free(*buffer);
}

/* Adds to *total, unless that gets too large. */
static bool grow(size_t *total, size_t more)
{
    return more <= CLAIMS_MAX && (*total += more) <= CLAIMS_MAX;
}

static cella_result claims_measure(const struct cella_claim *claims, size_t count, size_t *ret_size)
{
    size_t size = 16;
    CELLA_ENSURE(count <= CLAIMS_MAX / 16, LIMIT_EXCEEDED);
    for (size_t i = 0; i < count; i++) {
        CELLA_ENSURE(claims[i].name != NULL && (claims[i].value || claims[i].value_size == 0),
                     INVALID_ARGUMENT);
        CELLA_ENSURE(grow(&size, 16) && grow(&size, strlen(claims[i].name) + 1) &&
                         grow(&size, claims[i].value_size),
                     LIMIT_EXCEEDED);
    }
    *ret_size = size;
    return CELLA_OK;
}

static uint8_t *put(uint8_t *at, const void *data, size_t size)
{
    if (size > 0) {
        memcpy(at, data, size);
    }
    return at + size;
}

static uint8_t *put_u64(uint8_t *at, uint64_t value)
{
    return put(at, &value, sizeof(value));
}

static void claims_write(const struct cella_claim *claims, size_t count, uint8_t *at)
{
    at = put_u64(put_u64(at, CLAIMS_VERSION), count);
    for (size_t i = 0; i < count; i++) {
        const size_t name = strlen(claims[i].name) + 1;
        at = put_u64(put_u64(at, name), claims[i].value_size);
        at = put(at, claims[i].name, name);
        at = put(at, claims[i].value, claims[i].value_size);
    }
}

/* The request's own claims behind those that nonce and user data are. */
static cella_result claims_list(const struct cella_evidence_request *request,
                                struct cella_claim **ret_claims, size_t *ret_count)
{
    size_t count = 0;
    CELLA_ENSURE((request->nonce || request->nonce_size == 0) &&
                     (request->user_data || request->user_data_size == 0) &&
                     (request->claims || request->claim_count == 0) &&
                     request->claim_count <= CLAIMS_MAX / 16,
                 INVALID_ARGUMENT);
    struct cella_claim *claims = calloc(request->claim_count + 2, sizeof(*claims));
    CELLA_ENSURE(claims != NULL, OUT_OF_MEMORY);
    if (request->nonce) {
        claims[count++] =
            (struct cella_claim){CELLA_CLAIM_NONCE, request->nonce, request->nonce_size};
    }
    if (request->user_data) {
        claims[count++] = (struct cella_claim){CELLA_CLAIM_USER_DATA, request->user_data,
                                               request->user_data_size};
    }
    for (size_t i = 0; i < request->claim_count; i++) {
        claims[count++] = request->claims[i];
    }
    *ret_claims = claims;
    *ret_count = count;
    return CELLA_OK;
}

static cella_result claims_make(const struct cella_evidence_request *request, uint8_t **ret_bytes,
                                size_t *ret_size)
{
    struct cella_claim *claims = NULL;
    size_t count = 0;
    CELLA_TRY(claims_list(request, &claims, &count));
    cella_result result = CELLA_OK;
    *ret_size = 0;
    *ret_bytes = NULL;
    if (count > 0) {
        result = claims_measure(claims, count, ret_size);
    }
    if (cella_is_ok(result) && count > 0) {
        *ret_bytes = malloc(*ret_size);
        result = *ret_bytes ? CELLA_OK : CELLA_RESULT(OUT_OF_MEMORY);
    }
    if (cella_is_ok(result) && count > 0) {
        claims_write(claims, count, *ret_bytes);
    }
    free(claims);
    return result;
}

cella_result cella_evidence_get(const struct cella_evidence_request *request, void *out,
                                size_t out_capacity, size_t *ret_size)
{
    uint8_t data[64] = {0};
    struct evidence_head head = {.version = 3};
    size_t claims_size, quote_size = 0;
    CELLA_CLEANUP(buffer_done) uint8_t *claims = NULL;
    CELLA_ENSURE(request && ret_size && (out || out_capacity == 0), INVALID_ARGUMENT);
    CELLA_TRY(claims_make(request, &claims, &claims_size));
    SHA256(claims ? claims : data, claims_size, data);
    const size_t around = sizeof(head) + claims_size;
    const size_t room = out_capacity > around ? out_capacity - around : 0;
    uint8_t *quote = room > 0 ? (uint8_t *)out + sizeof(head) : NULL;
    const cella_result result = cella_quote_create(data, quote, room, &quote_size);
    if (cella_is_ok(result) || result.code == CELLA_CODE_BUFFER_TOO_SMALL) {
        *ret_size = around + quote_size;
    }
    CELLA_TRY(result);
    memcpy(head.format, g_format, sizeof(g_format));
    head.size = quote_size + claims_size;
    memcpy(out, &head, sizeof(head));
    put(quote + quote_size, claims, claims_size);
    return CELLA_OK;
}

/* ------------------------------------------------------------------- at the host's request */

cella_result cella_evidence_serve(const void *in, size_t in_size, void *out, size_t out_capacity,
                                  size_t *ret_size)
{
    struct cella_call_evidence head;
    size_t size = 0;
    CELLA_ENSURE(in_size >= sizeof(head) && out_capacity >= 8, TRUNCATED);
    memcpy(&head, in, sizeof(head));
    const uint8_t *words = (const uint8_t *)in + sizeof(head);
    CELLA_ENSURE(head.nonce_size <= in_size - sizeof(head) &&
                     head.user_data_size == in_size - sizeof(head) - head.nonce_size,
                 TRUNCATED);
    /* Not under the names of the enclave's own: nobody shall take the host's words for the enclave's. */
    struct cella_claim claims[2];
    size_t count = 0;
    if (head.nonce_size) {
        claims[count++] = (struct cella_claim){CELLA_CLAIM_HOST_NONCE, words, head.nonce_size};
    }
    if (head.user_data_size) {
        claims[count++] = (struct cella_claim){CELLA_CLAIM_HOST_USER_DATA, words + head.nonce_size,
                                               head.user_data_size};
    }
    const struct cella_evidence_request request = {.claims = claims, .claim_count = count};
    const cella_result result =
        cella_evidence_get(&request, (uint8_t *)out + 8, out_capacity - 8, &size);
    CELLA_ENSURE(cella_is_ok(result) || result.code == CELLA_CODE_BUFFER_TOO_SMALL, HOST_REFUSED);
    const uint64_t needed = size;
    memcpy(out, &needed, sizeof(needed)); /* the size that is needed; the bytes when they fit */
    *ret_size = 8 + (cella_is_ok(result) ? size : 0);
    return CELLA_OK;
}
