/*
 * sgx_tseal.h: what is sealed opens again, and nothing else does.
 * Side: enclave, tests. Functions named test_ give 0 or the line that failed.
 */
#include "sgx_tseal.h"

#include <stdlib.h>
#include <string.h>

#include "api_t.h"
#include "check.h"
#include "sgx_trts.h"

#define TEXT_SIZE 100u
#define MORE_SIZE 37u
#define BLOB_SIZE ((uint32_t)sizeof(sgx_sealed_data_t) + TEXT_SIZE + MORE_SIZE)

struct texts {
    uint8_t text[TEXT_SIZE], more[MORE_SIZE];
    uint8_t text_back[TEXT_SIZE], more_back[MORE_SIZE + 3];
    uint32_t text_size, more_size;
};

static void texts_reset(struct texts *t)
{
    memset(t->text, 0x11, sizeof(t->text));
    memset(t->more, 0x22, sizeof(t->more));
    memset(t->text_back, 0, sizeof(t->text_back));
    memset(t->more_back, 0, sizeof(t->more_back));
    t->text_size = sizeof(t->text_back);
    t->more_size = sizeof(t->more_back);
}

static sgx_status_t open_blob(const sgx_sealed_data_t *blob, struct texts *t)
{
    texts_reset(t);
    return sgx_unseal_data(blob, t->more_back, &t->more_size, t->text_back, &t->text_size);
}

static int seal_round(sgx_sealed_data_t *blob)
{
    struct texts t;
    texts_reset(&t);
    CHECK(sgx_calc_sealed_data_size(MORE_SIZE, TEXT_SIZE) == BLOB_SIZE);
    CHECK(sgx_calc_sealed_data_size(UINT32_MAX, 1) == UINT32_MAX);
    CHECK(sgx_calc_sealed_data_size(UINT32_MAX - 100, 1) == UINT32_MAX);
    GOOD(sgx_seal_data(MORE_SIZE, t.more, TEXT_SIZE, t.text, BLOB_SIZE, blob));
    CHECK(sgx_get_add_mac_txt_len(blob) == MORE_SIZE && sgx_get_encrypt_txt_len(blob) == TEXT_SIZE);
    CHECK(memmem(blob, BLOB_SIZE, t.text, 16) == NULL);
    CHECK(memmem(blob, BLOB_SIZE, t.more, MORE_SIZE) != NULL);
    GOOD(open_blob(blob, &t));
    CHECK(t.text_size == TEXT_SIZE && t.more_size == MORE_SIZE);
    CHECK(memcmp(t.text, t.text_back, TEXT_SIZE) == 0);
    CHECK(memcmp(t.more, t.more_back, MORE_SIZE) == 0);
    return 0;
}

/* Every byte of key request (but its masks' spare bits), sizes, tag and texts counts. */
static int seal_altered(sgx_sealed_data_t *blob)
{
    static const uint8_t nothing[TEXT_SIZE];
    struct texts t;
    uint8_t *bytes = (uint8_t *)blob;
    for (uint32_t at = sizeof(sgx_key_request_t); at < BLOB_SIZE; at++) {
        if (at >= offsetof(sgx_sealed_data_t, reserved) &&
            at < offsetof(sgx_sealed_data_t, aes_data)) {
            continue;
        }
        if (at >= offsetof(sgx_sealed_data_t, aes_data.reserved) &&
            at < offsetof(sgx_sealed_data_t, aes_data.payload_tag)) {
            continue;
        }
        bytes[at] ^= 0x40;
        const sgx_status_t status = open_blob(blob, &t);
        CHECK(status == SGX_ERROR_MAC_MISMATCH || status == SGX_ERROR_INVALID_PARAMETER);
        CHECK(memcmp(t.text_back, nothing, sizeof(nothing)) == 0);
        bytes[at] ^= 0x40;
    }
    blob->key_request.key_id.id[5] ^= 1;
    CHECK(open_blob(blob, &t) == SGX_ERROR_MAC_MISMATCH);
    blob->key_request.key_id.id[5] ^= 1;
    blob->key_request.isv_svn++;
    CHECK(open_blob(blob, &t) == SGX_ERROR_INVALID_ISVSVN);
    blob->key_request.isv_svn--;
    memset(&blob->key_request.cpu_svn, 0xFF, sizeof(blob->key_request.cpu_svn));
    CHECK(open_blob(blob, &t) == SGX_ERROR_INVALID_CPUSVN);
    return 0;
}

static int seal_refused(sgx_sealed_data_t *blob)
{
    struct texts t;
    const sgx_attributes_t mask = {SGX_FLAGS_INITTED | SGX_FLAGS_DEBUG, 0};
    const sgx_attributes_t no_debug = {SGX_FLAGS_INITTED, 0};
    texts_reset(&t);
    BAD_PARAMETER(sgx_seal_data(MORE_SIZE, t.more, TEXT_SIZE, t.text, BLOB_SIZE - 1, blob));
    BAD_PARAMETER(sgx_seal_data(MORE_SIZE, t.more, TEXT_SIZE, t.text, BLOB_SIZE + 1, blob));
    BAD_PARAMETER(sgx_seal_data(MORE_SIZE, NULL, TEXT_SIZE, t.text, BLOB_SIZE, blob));
    BAD_PARAMETER(sgx_seal_data(MORE_SIZE, t.more, TEXT_SIZE, NULL, BLOB_SIZE, blob));
    BAD_PARAMETER(sgx_seal_data(MORE_SIZE, t.more, 0, t.text, BLOB_SIZE - TEXT_SIZE, blob));
    BAD_PARAMETER(sgx_seal_data(MORE_SIZE, t.more, TEXT_SIZE, t.text, BLOB_SIZE, NULL));
    BAD_PARAMETER(
        sgx_seal_data_ex(0, mask, 0, 0, NULL, TEXT_SIZE, t.text, BLOB_SIZE - MORE_SIZE, blob));
    BAD_PARAMETER(
        sgx_seal_data_ex(0x8001, mask, 0, 0, NULL, TEXT_SIZE, t.text, BLOB_SIZE - MORE_SIZE, blob));
    BAD_PARAMETER(sgx_seal_data_ex(SGX_KEYPOLICY_MRENCLAVE, no_debug, 0, 0, NULL, TEXT_SIZE, t.text,
                                   BLOB_SIZE - MORE_SIZE, blob));
    GOOD(sgx_seal_data_ex(SGX_KEYPOLICY_MRENCLAVE, mask, 0, 0, NULL, TEXT_SIZE, t.text,
                          BLOB_SIZE - MORE_SIZE, blob));
    t.text_size = TEXT_SIZE - 1;
    BAD_PARAMETER(sgx_unseal_data(blob, NULL, NULL, t.text_back, &t.text_size));
    t.text_size = TEXT_SIZE;
    BAD_PARAMETER(sgx_unseal_data(blob, NULL, NULL, NULL, &t.text_size));
    BAD_PARAMETER(sgx_unseal_data(blob, NULL, NULL, t.text_back, NULL));
    BAD_PARAMETER(sgx_unseal_data(NULL, NULL, NULL, t.text_back, &t.text_size));
    GOOD(sgx_unseal_data(blob, NULL, NULL, t.text_back, &t.text_size));
    CHECK(memcmp(t.text, t.text_back, TEXT_SIZE) == 0);
    /* It has no authenticated text alone. */
    BAD_PARAMETER(sgx_unmac_aadata(blob, t.more_back, &t.more_size));
    return 0;
}

static int mac_alone(sgx_sealed_data_t *blob)
{
    struct texts t;
    const uint32_t size = sgx_calc_sealed_data_size(MORE_SIZE, 0);
    const sgx_attributes_t mask = {SGX_FLAGS_INITTED | SGX_FLAGS_DEBUG, 0};
    texts_reset(&t);
    GOOD(sgx_mac_aadata(MORE_SIZE, t.more, size, blob));
    CHECK(sgx_get_add_mac_txt_len(blob) == MORE_SIZE && sgx_get_encrypt_txt_len(blob) == 0);
    GOOD(sgx_unmac_aadata(blob, t.more_back, &t.more_size));
    CHECK(t.more_size == MORE_SIZE && memcmp(t.more, t.more_back, MORE_SIZE) == 0);
    t.more_size = MORE_SIZE - 1;
    BAD_PARAMETER(sgx_unmac_aadata(blob, t.more_back, &t.more_size));
    t.more_size = MORE_SIZE;
    BAD_PARAMETER(sgx_unseal_data(blob, t.more_back, &t.more_size, t.text_back, &t.text_size));
    blob->aes_data.payload[3] ^= 1;
    CHECK(sgx_unmac_aadata(blob, t.more_back, &t.more_size) == SGX_ERROR_MAC_MISMATCH);
    GOOD(sgx_mac_aadata_ex(SGX_KEYPOLICY_MRENCLAVE, mask, 0, MORE_SIZE, t.more, size, blob));
    GOOD(sgx_unmac_aadata(blob, t.more_back, &t.more_size));
    BAD_PARAMETER(sgx_mac_aadata(0, t.more, size, blob));
    BAD_PARAMETER(sgx_mac_aadata(MORE_SIZE, NULL, size, blob));
    BAD_PARAMETER(sgx_mac_aadata(MORE_SIZE, t.more, size + 1, blob));
    return 0;
}

int test_seal(void)
{
    sgx_sealed_data_t *blob = malloc(BLOB_SIZE);
    CHECK(blob != NULL);
    int line = seal_round(blob);
    line = line ? line : seal_altered(blob);
    line = line ? line : seal_refused(blob);
    line = line ? line : mac_alone(blob);
    free(blob);
    return line;
}

/* Authenticated text may lie outside, as may the room for it; encrypted text and the blob may not. */
int seal_outside(uint8_t *text, uint8_t *room, uint32_t *length)
{
    struct texts t;
    static union {
        sgx_sealed_data_t blob;
        uint8_t bytes[BLOB_SIZE];
    } u;
    texts_reset(&t);
    GOOD(sgx_seal_data(MORE_SIZE, text, TEXT_SIZE, t.text, BLOB_SIZE, &u.blob));
    CHECK(memcmp(u.blob.aes_data.payload + TEXT_SIZE, text, MORE_SIZE) == 0);
    GOOD(sgx_unseal_data(&u.blob, room, length, t.text_back, &t.text_size));
    CHECK(*length == MORE_SIZE && memcmp(room, text, MORE_SIZE) == 0);
    BAD_PARAMETER(sgx_seal_data(MORE_SIZE, text, MORE_SIZE, text, BLOB_SIZE, &u.blob));
    BAD_PARAMETER(
        sgx_seal_data(MORE_SIZE, text, TEXT_SIZE, t.text, BLOB_SIZE, (sgx_sealed_data_t *)room));
    BAD_PARAMETER(
        sgx_unseal_data((const sgx_sealed_data_t *)room, NULL, NULL, t.text_back, &t.text_size));
    BAD_PARAMETER(sgx_unseal_data(&u.blob, t.more_back, &t.more_size, room, &t.text_size));
    return 0;
}

/* For the tests between enclaves. policy 0: sgx_seal_data's own. */
sgx_status_t blob_make(uint16_t policy, uint8_t *blob, uint32_t size)
{
    static const uint8_t text[] = "between enclaves";
    const sgx_attributes_t mask = {SGX_FLAGS_INITTED | SGX_FLAGS_DEBUG, 0};
    return policy ? sgx_seal_data_ex(policy, mask, 0, 0, NULL, sizeof(text), text, size,
                                     (sgx_sealed_data_t *)blob)
                  : sgx_seal_data(0, NULL, sizeof(text), text, size, (sgx_sealed_data_t *)blob);
}

sgx_status_t blob_open(uint8_t *blob, uint32_t size)
{
    uint8_t text[64];
    uint32_t text_size = sizeof(text);
    if (size < sizeof(sgx_sealed_data_t)) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const sgx_status_t status =
        sgx_unseal_data((const sgx_sealed_data_t *)blob, NULL, NULL, text, &text_size);
    return status == SGX_SUCCESS && strcmp((const char *)text, "between enclaves") != 0
               ? SGX_ERROR_UNEXPECTED
               : status;
}
