/*
 * Encryption of protected files: nodes and roots, by libcrypto's AES-256-GCM.
 * Side: enclave, with a libc. Called by the other parts of protected files.
 * Never uses a nonce twice under a key: see docs/formats/protected-file.md, "Nonces". Never leaves plaintext that was
 * not authenticated.
 */
#include "enclave/protected.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <stddef.h>
#include <string.h>

#include "cella/enclave.h"
#include "common/no_compression.h"

CELLA_NO_COMPRESSION;

cella_result protected_crypto_init(cella_protected_file *file)
{
    file->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    CELLA_ENSURE(file->cipher != NULL, CRYPTO);
    return CELLA_OK;
}

void protected_crypto_done(cella_protected_file *file)
{
    EVP_CIPHER_CTX_free(file->writer.context);
    for (uint32_t i = 0; i < PROTECTED_READERS; i++) {
        EVP_CIPHER_CTX_free(file->readers[i].context);
    }
    EVP_CIPHER_free(file->cipher);
}

/* The key of an epoch is HMAC-SHA256(data key, label, epoch). */
static cella_result cipher_key(cella_protected_file *file, struct protected_cipher *cipher,
                               uint32_t epoch, bool encrypting)
{
    static const uint8_t nonce[PROTECTED_NONCE];
    uint8_t input[16] = "node epoch ";
    uint8_t key[32];
    unsigned size = sizeof(key);
    cipher->known = false;
    if (!cipher->context) {
        cipher->context = EVP_CIPHER_CTX_new();
        CELLA_ENSURE(cipher->context != NULL, OUT_OF_MEMORY);
    }
    memcpy(input + 12, &epoch, sizeof(epoch));
    const bool good =
        HMAC(EVP_sha256(), file->root.data_key, sizeof(file->root.data_key), input, sizeof(input),
             key, &size) != NULL &&
        EVP_CipherInit_ex(cipher->context, file->cipher, NULL, key, nonce, encrypting) == 1;
    OPENSSL_cleanse(key, sizeof(key));
    CELLA_ENSURE(good, CRYPTO);
    cipher->epoch = epoch;
    cipher->known = true;
    return CELLA_OK;
}

/* A random epoch and prefix, then a counter: 96 random bits tell one session from all others, also after a rollback. */
static cella_result session_start(cella_protected_file *file)
{
    uint32_t epoch;
    CELLA_TRY(cella_random(&epoch, sizeof(epoch)));
    CELLA_TRY(cella_random(file->nonce_prefix, sizeof(file->nonce_prefix)));
    CELLA_TRY(cipher_key(file, &file->writer, epoch, true));
    file->nonce_count = 0;
    file->nonce_flushed = 0;
    file->session = true;
    return CELLA_OK;
}

cella_result protected_encrypt(cella_protected_file *file, const void *from, void *to,
                               struct protected_entry *entry)
{
    EVP_CIPHER_CTX *context;
    int size;
    if (!file->session || file->nonce_count == UINT32_MAX) {
        CELLA_TRY(session_start(file));
    }
    context = file->writer.context;
    entry->epoch = file->writer.epoch;
    memcpy(entry->nonce, file->nonce_prefix, sizeof(file->nonce_prefix));
    memcpy(entry->nonce + 8, &file->nonce_count, sizeof(file->nonce_count));
    file->nonce_count++;
    CELLA_ENSURE(EVP_EncryptInit_ex(context, NULL, NULL, NULL, entry->nonce) == 1, CRYPTO);
    CELLA_ENSURE(EVP_EncryptUpdate(context, to, &size, from, PROTECTED_BLOCK) == 1, CRYPTO);
    CELLA_ENSURE(EVP_EncryptFinal_ex(context, (uint8_t *)to + size, &size) == 1, CRYPTO);
    OSSL_PARAM tag[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, entry->tag, PROTECTED_TAG),
        OSSL_PARAM_construct_end(),
    };
    CELLA_ENSURE(EVP_CIPHER_CTX_get_params(context, tag) == 1, CRYPTO);
    return CELLA_OK;
}

bool protected_is_fresh(const cella_protected_file *file, const struct protected_entry *entry)
{
    uint32_t count;
    memcpy(&count, entry->nonce + 8, sizeof(count));
    return file->session && entry->block != 0 && entry->epoch == file->writer.epoch &&
           memcmp(entry->nonce, file->nonce_prefix, sizeof(file->nonce_prefix)) == 0 &&
           count >= file->nonce_flushed;
}

static cella_result reader_for(cella_protected_file *file, uint32_t epoch,
                               EVP_CIPHER_CTX **ret_context)
{
    for (uint32_t i = 0; i < PROTECTED_READERS; i++) {
        if (file->readers[i].known && file->readers[i].epoch == epoch) {
            *ret_context = file->readers[i].context;
            return CELLA_OK;
        }
    }
    struct protected_cipher *reader = &file->readers[file->reader_next++ % PROTECTED_READERS];
    CELLA_TRY(cipher_key(file, reader, epoch, false));
    *ret_context = reader->context;
    return CELLA_OK;
}

/* Parameters and not EVP_CIPHER_CTX_ctrl: a tenth of the time for 4 KiB goes into the latter's translations. */
static bool decrypt(EVP_CIPHER_CTX *context, const void *from, void *to,
                    const struct protected_entry *entry)
{
    uint8_t copy[PROTECTED_TAG];
    int size;
    memcpy(copy, entry->tag, sizeof(copy));
    const OSSL_PARAM tag[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, copy, PROTECTED_TAG),
        OSSL_PARAM_construct_end(),
    };
    return EVP_DecryptInit_ex2(context, NULL, NULL, entry->nonce, tag) == 1 &&
           EVP_DecryptUpdate(context, to, &size, from, PROTECTED_BLOCK) == 1 &&
           EVP_DecryptFinal_ex(context, (uint8_t *)to + size, &size) == 1;
}

cella_result protected_decrypt(cella_protected_file *file, const void *from, void *to,
                               const struct protected_entry *entry)
{
    EVP_CIPHER_CTX *context;
    CELLA_TRY(reader_for(file, entry->epoch, &context));
    if (!decrypt(context, from, to, entry)) {
        OPENSSL_cleanse(to, PROTECTED_BLOCK);
        return CELLA_RESULT(AUTH_FAILED);
    }
    return CELLA_OK;
}

/* Header and all of the slot before its tag are authenticated. The key is used once, so the nonce is zero. */
static bool root_run(EVP_CIPHER_CTX *context, const struct protected_header *header,
                     const struct protected_slot *slot, const void *from, void *to)
{
    int size;
    return EVP_CipherUpdate(context, NULL, &size, (const uint8_t *)header, sizeof(*header)) == 1 &&
           EVP_CipherUpdate(context, NULL, &size, (const uint8_t *)slot,
                            offsetof(struct protected_slot, tag)) == 1 &&
           EVP_CipherUpdate(context, to, &size, from, sizeof(struct protected_root)) == 1 &&
           EVP_CipherFinal_ex(context, (uint8_t *)to + size, &size) == 1;
}

cella_result protected_seal_root(cella_protected_file *file, const struct protected_header *header,
                                 const struct protected_keys *keys, struct protected_slot *slot,
                                 const struct protected_root *root, uint8_t *to)
{
    static const uint8_t nonce[PROTECTED_NONCE];
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    CELLA_ENSURE(context != NULL, OUT_OF_MEMORY);
    const bool good =
        EVP_EncryptInit_ex(context, file->cipher, NULL, keys->cipher, nonce) == 1 &&
        root_run(context, header, slot, root, to) &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, PROTECTED_TAG, slot->tag) == 1;
    EVP_CIPHER_CTX_free(context);
    CELLA_ENSURE(good, CRYPTO);
    return CELLA_OK;
}

cella_result protected_open_root(cella_protected_file *file, const struct protected_header *header,
                                 const struct protected_keys *keys,
                                 const struct protected_slot *slot, const uint8_t *from,
                                 struct protected_root *ret_root)
{
    static const uint8_t nonce[PROTECTED_NONCE];
    uint8_t tag[PROTECTED_TAG];
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    CELLA_ENSURE(context != NULL, OUT_OF_MEMORY);
    memcpy(tag, slot->tag, sizeof(tag));
    const bool ready = EVP_DecryptInit_ex(context, file->cipher, NULL, keys->cipher, nonce) == 1 &&
                       EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, PROTECTED_TAG, tag) == 1;
    const bool good = ready && root_run(context, header, slot, from, ret_root);
    EVP_CIPHER_CTX_free(context);
    if (!good) {
        OPENSSL_cleanse(ret_root, sizeof(*ret_root));
        return ready ? CELLA_RESULT(AUTH_FAILED) : CELLA_RESULT(CRYPTO);
    }
    return CELLA_OK;
}
