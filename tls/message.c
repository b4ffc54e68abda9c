/*
 * The CBOR inside attested certificates. Sources: message.h.
 * Side: both. Called inside tls/. Allocates nothing.
 */
#include "tls/message.h"

#include <string.h>

#include "tls/cbor.h"

#define CLAIMS_MAX 32u
#define KEY_CLAIM "pubkey-hash"
#define NONCE_CLAIM "nonce"
#define ENDORSEMENTS_VERSION 1u

static bool is_name(struct cella_bytes text, const char *name)
{
    return text.size == strlen(name) && memcmp(text.data, name, text.size) == 0;
}

/* [algorithm, hash] */
static CELLA_MUST_USE cella_result key_hash_parse(struct cella_bytes bytes,
                                                  struct tls_message *message)
{
    struct cella_cursor cursor = cella_cursor_of(bytes);
    uint64_t count;
    CELLA_TRY(cbor_take(&cursor, CBOR_ARRAY, &count));
    CELLA_ENSURE(count == 2, BAD_SYNTAX);
    CELLA_TRY(cbor_take(&cursor, CBOR_UNSIGNED, &message->hash));
    CELLA_TRY(cbor_take_string(&cursor, CBOR_BYTES, &message->key_hash));
    return cella_end(&cursor);
}

static CELLA_MUST_USE cella_result claims_parse(struct tls_message *message)
{
    struct cella_cursor cursor = cella_cursor_of(message->claims);
    struct cella_bytes key = {0};
    uint64_t count;
    CELLA_TRY(cbor_take(&cursor, CBOR_MAP, &count));
    CELLA_ENSURE(count <= CLAIMS_MAX, LIMIT_EXCEEDED);
    for (uint64_t i = 0; i < count; i++) {
        struct cella_bytes name, value;
        CELLA_TRY(cbor_take_string(&cursor, CBOR_TEXT, &name));
        CELLA_TRY(cbor_take_string(&cursor, CBOR_BYTES, &value));
        if (is_name(name, KEY_CLAIM)) {
            CELLA_ENSURE(key.data == NULL, BAD_FIELD);
            key = value;
        } else if (is_name(name, NONCE_CLAIM)) {
            CELLA_ENSURE(!message->has_nonce, BAD_FIELD);
            message->nonce = value;
            message->has_nonce = true;
        }
    }
    CELLA_TRY(cella_end(&cursor));
    CELLA_ENSURE(key.data != NULL, NOT_FOUND);
    return key_hash_parse(key, message);
}

static CELLA_MUST_USE cella_result tagged_array(struct cella_cursor *cursor, uint64_t *ret_count)
{
    uint64_t tag;
    CELLA_TRY(cbor_take(cursor, CBOR_TAG, &tag));
    CELLA_ENSURE(tag == TLS_TAG_TEE_QUOTE, UNSUPPORTED);
    return cbor_take(cursor, CBOR_ARRAY, ret_count);
}

cella_result tls_message_parse(struct cella_bytes extension, struct tls_message *ret_message)
{
    struct cella_cursor cursor = cella_cursor_of(extension);
    struct tls_message message = {0};
    uint64_t count;
    CELLA_TRY(tagged_array(&cursor, &count));
    CELLA_ENSURE(count == 2, BAD_SYNTAX);
    CELLA_TRY(cbor_take_string(&cursor, CBOR_BYTES, &message.quote));
    CELLA_TRY(cbor_take_string(&cursor, CBOR_BYTES, &message.claims));
    CELLA_TRY(cella_end(&cursor));
    CELLA_TRY(claims_parse(&message));
    *ret_message = message;
    return CELLA_OK;
}

size_t tls_claims_make(const uint8_t key_sha256[32], const void *nonce, size_t nonce_size,
                       uint8_t *out)
{
    uint8_t entry[48];
    struct cbor_writer hash = {.out = entry, .capacity = sizeof(entry)};
    struct cbor_writer writer = {.out = out, .capacity = TLS_CLAIMS_MAX};
    cbor_put(&hash, CBOR_ARRAY, 2);
    cbor_put(&hash, CBOR_UNSIGNED, TLS_SHA256);
    cbor_put_string(&hash, CBOR_BYTES, key_sha256, 32);
    cbor_put(&writer, CBOR_MAP, nonce ? 2 : 1);
    cbor_put_string(&writer, CBOR_TEXT, KEY_CLAIM, strlen(KEY_CLAIM));
    cbor_put_string(&writer, CBOR_BYTES, entry, hash.size);
    if (nonce) {
        cbor_put_string(&writer, CBOR_TEXT, NONCE_CLAIM, strlen(NONCE_CLAIM));
        cbor_put_string(&writer, CBOR_BYTES, nonce, nonce_size);
    }
    return writer.size;
}

cella_result tls_message_make(struct cella_bytes quote, struct cella_bytes claims, uint8_t *out,
                              size_t capacity, size_t *ret_size)
{
    struct cbor_writer writer = {.out = out, .capacity = capacity};
    cbor_put(&writer, CBOR_TAG, TLS_TAG_TEE_QUOTE);
    cbor_put(&writer, CBOR_ARRAY, 2);
    cbor_put_string(&writer, CBOR_BYTES, quote.data, quote.size);
    cbor_put_string(&writer, CBOR_BYTES, claims.data, claims.size);
    CELLA_ENSURE(!writer.full, BUFFER_TOO_SMALL);
    *ret_size = writer.size;
    return CELLA_OK;
}

cella_result tls_endorsements_parse(struct cella_bytes extension,
                                    struct cella_bytes ret_items[TLS_ENDORSEMENTS])
{
    struct cella_cursor cursor = cella_cursor_of(extension);
    struct cella_bytes date;
    uint64_t count, version;
    CELLA_TRY(tagged_array(&cursor, &count));
    CELLA_ENSURE(count == TLS_ENDORSEMENTS + 1 || count == TLS_ENDORSEMENTS + 2, BAD_SYNTAX);
    CELLA_TRY(cbor_take(&cursor, CBOR_UNSIGNED, &version));
    CELLA_ENSURE(version == ENDORSEMENTS_VERSION, UNSUPPORTED_VERSION);
    for (size_t i = 0; i < TLS_ENDORSEMENTS; i++) {
        CELLA_TRY(cbor_take_string(&cursor, CBOR_BYTES, &ret_items[i]));
    }
    if (count == TLS_ENDORSEMENTS + 2) {
        CELLA_TRY(cbor_take_string(&cursor, CBOR_BYTES, &date));
    }
    return cella_end(&cursor);
}

cella_result tls_endorsements_make(const struct cella_tls_endorsements *endorsements, uint8_t *out,
                                   size_t capacity, size_t *ret_size)
{
    const struct cella_span items[TLS_ENDORSEMENTS] = {
        endorsements->tcb_info,          endorsements->tcb_info_chain, endorsements->pck_crl,
        endorsements->root_ca_crl,       endorsements->pck_crl_chain,  endorsements->qe_identity,
        endorsements->qe_identity_chain,
    };
    struct cbor_writer writer = {.out = out, .capacity = capacity};
    cbor_put(&writer, CBOR_TAG, TLS_TAG_TEE_QUOTE);
    cbor_put(&writer, CBOR_ARRAY, TLS_ENDORSEMENTS + 1);
    cbor_put(&writer, CBOR_UNSIGNED, ENDORSEMENTS_VERSION);
    for (size_t i = 0; i < TLS_ENDORSEMENTS; i++) {
        cbor_put_string(&writer, CBOR_BYTES, items[i].data, items[i].size);
    }
    CELLA_ENSURE(!writer.full, BUFFER_TOO_SMALL);
    *ret_size = writer.size;
    return CELLA_OK;
}
