/*
 * Sealing: EGETKEY for the key, libcrypto's AES-256-GCM for the data.
 * Side: enclave, with a libc. Called by applications. docs/formats/sealed.md is the format.
 * Never keeps a key: it is wiped on every way out. Never gives out a byte that was not authenticated.
 */
#include "cella/seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "cella/enclave.h"
#include "cella/report.h"
#include "common/bytes.h"
#include "common/cleanup.h"
#include "common/no_compression.h"

CELLA_NO_COMPRESSION;

#define SEAL_MAGIC 0x414553414C4C4543ull /* "CELLASEA", little endian */
#define SEAL_VERSION 1u
#define TAG_SIZE 16u
#define IV_SIZE 12u
#define KEY_SIZE 32u
#define SIZE_LIMIT (1ull << 36) /* GCM's own limit for one IV */
#define CHUNK (1u << 30)        /* EVP counts in int */

/* DEBUG and INIT must be the same; reserved flags too. Architectural features of the processor may differ. */
#define FLAGS_MASK 0xFF0000000000000Bull
#define MISC_MASK 0xF0000000u

/* The first 128 bytes; all of them are authenticated. */
struct seal_header {
    uint64_t magic;
    uint16_t version;
    uint16_t policy;
    uint32_t reserved1;
    uint16_t isv_svn;
    uint16_t reserved2;
    uint32_t misc_mask;
    uint8_t cpu_svn[16];
    struct sgx_attributes attribute_mask;
    uint8_t key_id[31]; /* the 32nd byte numbers the half of the key */
    uint8_t reserved3;
    uint8_t iv[IV_SIZE];
    uint32_t reserved4;
    uint64_t additional_size;
    uint64_t data_size;
    uint64_t reserved5;
};
_Static_assert(sizeof(struct seal_header) == CELLA_SEAL_OVERHEAD - TAG_SIZE,
               "docs/formats/sealed.md");
_Static_assert(offsetof(struct seal_header, cpu_svn) == 24, "docs/formats/sealed.md");
_Static_assert(offsetof(struct seal_header, key_id) == 56, "docs/formats/sealed.md");
_Static_assert(offsetof(struct seal_header, iv) == 88, "docs/formats/sealed.md");
_Static_assert(offsetof(struct seal_header, additional_size) == 104, "docs/formats/sealed.md");
_Static_assert(offsetof(struct seal_header, data_size) == 112, "docs/formats/sealed.md");

struct seal_key {
    uint8_t bytes[KEY_SIZE];
};

static void seal_key_done(struct seal_key *key)
{
    OPENSSL_cleanse(key->bytes, sizeof(key->bytes));
}

static void cipher_done(EVP_CIPHER_CTX **context)
{
    EVP_CIPHER_CTX_free(*context);
}

size_t cella_seal_size(size_t additional_size, size_t data_size)
{
    if (additional_size >= SIZE_LIMIT || data_size >= SIZE_LIMIT) {
        return 0;
    }
    return CELLA_SEAL_OVERHEAD + additional_size + data_size;
}

/* EGETKEY gives 128 bits; the two halves are two keys whose KEYID differs in the last byte. */
static cella_result key_derive(const struct seal_header *header, struct seal_key *key)
{
    struct sgx_keyrequest request = {.key_name = SGX_KEY_SEAL};
    request.key_policy =
        header->policy == CELLA_SEAL_MRENCLAVE ? SGX_KEYPOLICY_MRENCLAVE : SGX_KEYPOLICY_MRSIGNER;
    request.isv_svn = header->isv_svn;
    memcpy(request.cpu_svn, header->cpu_svn, sizeof(request.cpu_svn));
    request.attribute_mask = header->attribute_mask;
    request.misc_mask = header->misc_mask;
    memcpy(request.key_id, header->key_id, sizeof(header->key_id));
    for (uint8_t half = 0; half < 2; half++) {
        request.key_id[31] = half;
        CELLA_TRY(cella_key_get(&request, key->bytes + half * 16));
    }
    return CELLA_OK;
}

/*
 * EGETKEY costs as much as sealing many kilobytes, so a policy's key and its KEYID serve for a while: 2^16 seals with
 * random 96-bit IVs keep the chance of a repeated one below 2^-64.
 */
#define KEY_USES_MAX 65536u

static struct kept_key {
    uint32_t uses; /* left */
    uint8_t key_id[31];
    struct seal_key key;
} kept_keys[2];
static atomic_flag kept_lock = ATOMIC_FLAG_INIT;

static cella_result kept_key_use(struct kept_key *kept, struct seal_header *header,
                                 struct seal_key *key)
{
    if (kept->uses == 0) {
        CELLA_TRY(cella_random(header->key_id, sizeof(header->key_id)));
        CELLA_TRY(key_derive(header, &kept->key));
        memcpy(kept->key_id, header->key_id, sizeof(kept->key_id));
        kept->uses = KEY_USES_MAX;
    }
    kept->uses--;
    memcpy(header->key_id, kept->key_id, sizeof(header->key_id));
    *key = kept->key;
    return CELLA_OK;
}

static cella_result key_for_sealing(struct seal_header *header, struct seal_key *key)
{
    while (atomic_flag_test_and_set_explicit(&kept_lock, memory_order_acquire)) {
        __builtin_ia32_pause();
    }
    cella_result result =
        kept_key_use(&kept_keys[header->policy == CELLA_SEAL_MRENCLAVE ? 0 : 1], header, key);
    atomic_flag_clear_explicit(&kept_lock, memory_order_release);
    return result;
}

static cella_result header_fill(struct seal_header *header, enum cella_seal_policy policy,
                                size_t additional_size, size_t data_size)
{
    struct sgx_report self;
    CELLA_TRY(cella_report_self(&self));
    *header = (struct seal_header){
        .magic = SEAL_MAGIC,
        .version = SEAL_VERSION,
        .policy = (uint16_t)policy,
        .isv_svn = self.body.isv_svn,
        .misc_mask = MISC_MASK,
        .attribute_mask = {.flags = FLAGS_MASK, .xfrm = 0},
        .additional_size = additional_size,
        .data_size = data_size,
    };
    memcpy(header->cpu_svn, self.body.cpu_svn, sizeof(header->cpu_svn));
    return cella_random(header->iv, sizeof(header->iv));
}

static cella_result cipher_update(EVP_CIPHER_CTX *context, uint8_t *out, const uint8_t *in,
                                  size_t size)
{
    for (size_t at = 0; at < size;) {
        const size_t part = size - at < CHUNK ? size - at : CHUNK;
        int done = 0;
        CELLA_ENSURE(EVP_CipherUpdate(context, out ? out + at : NULL, &done, in + at, (int)part) ==
                         1,
                     CRYPTO);
        at += part;
    }
    return CELLA_OK;
}

/* One pass over header, additional data and data; `tag` is written when sealing and checked when not. */
static cella_result cipher_run(const struct seal_header *header, const struct seal_key *key,
                               const void *additional, const uint8_t *in, uint8_t *out,
                               uint8_t tag[TAG_SIZE], bool sealing)
{
    CELLA_CLEANUP(cipher_done) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    uint8_t rest[TAG_SIZE];
    int done = 0;
    CELLA_ENSURE(context != NULL, OUT_OF_MEMORY);
    CELLA_ENSURE(
        EVP_CipherInit_ex(context, EVP_aes_256_gcm(), NULL, key->bytes, header->iv, sealing) == 1,
        CRYPTO);
    CELLA_TRY(cipher_update(context, NULL, (const uint8_t *)header, sizeof(*header)));
    CELLA_TRY(cipher_update(context, NULL, additional, header->additional_size));
    CELLA_TRY(cipher_update(context, out, in, header->data_size));
    if (!sealing) {
        CELLA_ENSURE(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) == 1,
                     CRYPTO);
        CELLA_ENSURE(EVP_CipherFinal_ex(context, rest, &done) == 1, AUTH_FAILED);
        return CELLA_OK;
    }
    CELLA_ENSURE(EVP_CipherFinal_ex(context, rest, &done) == 1, CRYPTO);
    CELLA_ENSURE(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, tag) == 1, CRYPTO);
    return CELLA_OK;
}

cella_result cella_seal(enum cella_seal_policy policy, const void *additional,
                        size_t additional_size, const void *data, size_t data_size, void *out,
                        size_t out_capacity, size_t *ret_size)
{
    const size_t size = cella_seal_size(additional_size, data_size);
    CELLA_CLEANUP(seal_key_done) struct seal_key key;
    struct seal_header header;
    uint8_t *at = out;
    CELLA_ENSURE(policy == CELLA_SEAL_MRENCLAVE || policy == CELLA_SEAL_MRSIGNER, INVALID_ARGUMENT);
    CELLA_ENSURE(size != 0, OUT_OF_RANGE);
    CELLA_ENSURE(out_capacity >= size, BUFFER_TOO_SMALL);
    CELLA_ENSURE(cella_enclave_inside(out, size), INVALID_ARGUMENT);
    CELLA_TRY(header_fill(&header, policy, additional_size, data_size));
    CELLA_TRY(key_for_sealing(&header, &key));
    memcpy(at, &header, sizeof(header));
    uint8_t *tag = at + sizeof(header);
    uint8_t *stored = tag + TAG_SIZE;
    if (additional_size > 0) {
        memcpy(stored, additional, additional_size);
    }
    CELLA_TRY(cipher_run(&header, &key, stored, data, stored + additional_size, tag, true));
    *ret_size = size;
    return CELLA_OK;
}

struct sealed {
    struct seal_header header;
    struct cella_bytes tag, additional, data;
};

static cella_result sealed_parse(struct cella_bytes bytes, struct sealed *ret_sealed)
{
    struct cella_cursor cursor = cella_cursor_of(bytes);
    CELLA_TRY(cella_cursor_copy(&cursor, &ret_sealed->header, sizeof(ret_sealed->header)));
    const struct seal_header *header = &ret_sealed->header;
    CELLA_ENSURE(header->magic == SEAL_MAGIC, BAD_MAGIC);
    CELLA_ENSURE(header->version == SEAL_VERSION, UNSUPPORTED_VERSION);
    CELLA_ENSURE(header->policy == CELLA_SEAL_MRENCLAVE || header->policy == CELLA_SEAL_MRSIGNER,
                 BAD_FIELD);
    CELLA_ENSURE(header->reserved1 == 0 && header->reserved2 == 0 && header->reserved3 == 0 &&
                     header->reserved4 == 0 && header->reserved5 == 0,
                 BAD_FIELD);
    /* A mask that asks for less would open data of a debug enclave to a production one, or the other way round. */
    CELLA_ENSURE(header->attribute_mask.flags == FLAGS_MASK && header->attribute_mask.xfrm == 0 &&
                     header->misc_mask == MISC_MASK,
                 BAD_FIELD);
    CELLA_TRY(cella_cursor_take(&cursor, TAG_SIZE, &ret_sealed->tag));
    CELLA_TRY(cella_cursor_take(&cursor, header->additional_size, &ret_sealed->additional));
    CELLA_TRY(cella_cursor_take(&cursor, header->data_size, &ret_sealed->data));
    return cella_end(&cursor);
}

static void sealed_tell(const struct sealed *sealed, struct cella_sealed_info *ret_info)
{
    *ret_info = (struct cella_sealed_info){
        .policy = (enum cella_seal_policy)sealed->header.policy,
        .isv_svn = sealed->header.isv_svn,
        .additional = sealed->additional.data,
        .additional_size = sealed->additional.size,
        .data_size = sealed->data.size,
    };
}

cella_result cella_sealed_inspect(const void *sealed, size_t size,
                                  struct cella_sealed_info *ret_info)
{
    struct sealed parsed;
    CELLA_TRY(sealed_parse(cella_bytes_of(sealed, size), &parsed));
    sealed_tell(&parsed, ret_info);
    return CELLA_OK;
}

cella_result cella_unseal(const void *sealed, size_t size, void *out, size_t out_capacity,
                          struct cella_sealed_info *ret_info)
{
    struct sealed parsed;
    CELLA_CLEANUP(seal_key_done) struct seal_key key;
    uint8_t tag[TAG_SIZE];
    CELLA_ENSURE(cella_enclave_inside(sealed, size), INVALID_ARGUMENT);
    CELLA_TRY(sealed_parse(cella_bytes_of(sealed, size), &parsed));
    CELLA_ENSURE(out_capacity >= parsed.data.size, BUFFER_TOO_SMALL);
    /* Decrypted bytes are in `out` before the tag is known to be right: nobody else may see them there. */
    CELLA_ENSURE(parsed.data.size == 0 || cella_enclave_inside(out, parsed.data.size),
                 INVALID_ARGUMENT);
    memcpy(tag, parsed.tag.data, sizeof(tag));
    CELLA_TRY(key_derive(&parsed.header, &key));
    cella_result result =
        cipher_run(&parsed.header, &key, parsed.additional.data, parsed.data.data, out, tag, false);
    if (!cella_is_ok(result)) {
        OPENSSL_cleanse(out, parsed.data.size);
        return result;
    }
    if (ret_info) {
        sealed_tell(&parsed, ret_info);
    }
    return CELLA_OK;
}
