/*
 * Custom claims as bytes: u64 version, u64 count, then for each claim u64 name size (with its zero), u64 value size, name,
 * value; little endian.
 * Side: both. Called by applications; the bytes may come from anybody.
 * Never reads past the buffer; never believes a count before the bytes are there.
 */
#include <stdlib.h>
#include <string.h>

#include <openenclave/attestation/custom_claims.h>

#include "common/bytes.h"
#include "compat/openenclave/common/glue.h"

#define HEAD_SIZE 16u
#define ENTRY_SIZE 16u

oe_result_t oe_free_serialized_custom_claims(uint8_t *custom_claims_buffer)
{
    free(custom_claims_buffer);
    return OE_OK;
}

static uint8_t *put_u64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t size)
{
    if (size > 0) {
        memcpy(at, bytes, size);
    }
    return at + size;
}

oe_result_t oe_serialize_custom_claims(const oe_claim_t *custom_claims, size_t custom_claims_length,
                                       uint8_t **claims_out, size_t *claims_size_out)
{
    size_t size = HEAD_SIZE;
    const size_t count = custom_claims ? custom_claims_length : 0;
    OE_ENSURE(claims_out != NULL && claims_size_out != NULL, OE_INVALID_PARAMETER);
    for (size_t i = 0; i < count; i++) {
        const oe_claim_t *claim = &custom_claims[i];
        OE_ENSURE(claim->name != NULL && (claim->value != NULL || claim->value_size == 0),
                  OE_INVALID_PARAMETER);
        OE_ENSURE(!__builtin_add_overflow(size, ENTRY_SIZE + strlen(claim->name) + 1, &size) &&
                      !__builtin_add_overflow(size, claim->value_size, &size),
                  OE_INTEGER_OVERFLOW);
    }
    uint8_t *claims = malloc(size);
    OE_ENSURE(claims != NULL, OE_OUT_OF_MEMORY);
    uint8_t *at = put_u64(put_u64(claims, OE_CUSTOM_CLAIMS_VERSION), count);
    for (size_t i = 0; i < count; i++) {
        const oe_claim_t *claim = &custom_claims[i];
        at = put_u64(put_u64(at, strlen(claim->name) + 1), claim->value_size);
        at = put_bytes(at, claim->name, strlen(claim->name) + 1);
        at = put_bytes(at, claim->value, claim->value_size);
    }
    *claims_out = claims;
    *claims_size_out = size;
    return OE_OK;
}

static void *copy_of(struct cella_bytes bytes)
{
    void *copy = malloc(bytes.size + (bytes.size == 0));
    if (copy && bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    return copy;
}

static oe_result_t claim_read(struct cella_cursor *cursor, oe_claim_t *claim)
{
    uint64_t name_size, value_size;
    struct cella_bytes name, value;
    if (!cella_is_ok(cella_cursor_u64(cursor, &name_size)) ||
        !cella_is_ok(cella_cursor_u64(cursor, &value_size)) ||
        !cella_is_ok(cella_cursor_take(cursor, name_size, &name)) ||
        !cella_is_ok(cella_cursor_take(cursor, value_size, &value)) || name.size == 0 ||
        name.data[name.size - 1] != 0) {
        return OE_CONSTRAINT_FAILED;
    }
    claim->name = copy_of(name);
    claim->value = copy_of(value);
    claim->value_size = value.size;
    return claim->name && claim->value ? OE_OK : OE_OUT_OF_MEMORY;
}

oe_result_t oe_deserialize_custom_claims(const uint8_t *claims_buffer, size_t claims_buffer_size,
                                         oe_claim_t **claims_out, size_t *claims_length_out)
{
    uint64_t version, count;
    OE_ENSURE(claims_out != NULL && claims_length_out != NULL, OE_INVALID_PARAMETER);
    OE_ENSURE(claims_buffer_size >= HEAD_SIZE, OE_CONSTRAINT_FAILED);
    OE_ENSURE(claims_buffer != NULL, OE_INVALID_PARAMETER);
    struct cella_cursor cursor = cella_cursor_of(cella_bytes_of(claims_buffer, claims_buffer_size));
    if (!cella_is_ok(cella_cursor_u64(&cursor, &version)) ||
        !cella_is_ok(cella_cursor_u64(&cursor, &count)) || version != OE_CUSTOM_CLAIMS_VERSION ||
        count > cella_cursor_left(&cursor) / ENTRY_SIZE) {
        return OE_CONSTRAINT_FAILED;
    }
    oe_claim_t *claims = calloc(count + 1, sizeof(*claims));
    oe_result_t result = claims ? OE_OK : OE_OUT_OF_MEMORY;
    for (uint64_t i = 0; result == OE_OK && i < count; i++) {
        result = claim_read(&cursor, &claims[i]);
    }
    if (result != OE_OK) {
        if (claims) {
            oe_free_custom_claims(claims, count);
        }
        return result;
    }
    *claims_out = claims;
    *claims_length_out = count;
    return OE_OK;
}
