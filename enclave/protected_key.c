/*
 * Keys of protected files: the root key (EGETKEY, the caller's, an imported one) and what each generation derives.
 * Side: enclave, with a libc. Called by protected_root.c.
 * Never keeps a key that it does not hand over.
 */
#include "enclave/protected.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include "cella/enclave.h"
#include "cella/report.h"

/* DEBUG and INIT must be the same; reserved flags too. As in sealing. */
#define FLAGS_MASK 0xFF0000000000000Bull
#define MISC_MASK 0xF0000000u
#define AUTO_KEY_MAX 32u

void protected_secret_done(struct protected_secret *secret)
{
    OPENSSL_cleanse(secret, sizeof(*secret));
}

void protected_keys_done(struct protected_keys *keys)
{
    OPENSSL_cleanse(keys, sizeof(*keys));
}

/* EGETKEY gives 128 bits; a longer key has a second half, whose KEYID differs in the last byte. */
static cella_result auto_key(const struct protected_slot *slot, struct protected_secret *ret_secret)
{
    struct sgx_keyrequest request = {.key_name = SGX_KEY_SEAL};
    request.key_policy = slot->kind == CELLA_PROTECTED_AUTO_MRENCLAVE ? SGX_KEYPOLICY_MRENCLAVE
                                                                      : SGX_KEYPOLICY_MRSIGNER;
    request.isv_svn = slot->isv_svn;
    memcpy(request.cpu_svn, slot->cpu_svn, sizeof(request.cpu_svn));
    request.attribute_mask.flags = FLAGS_MASK;
    request.misc_mask = MISC_MASK;
    memcpy(request.key_id, slot->key_id, sizeof(request.key_id));
    for (uint8_t half = 0; half < slot->key_size / 16; half++) {
        request.key_id[31] = half;
        CELLA_TRY(cella_key_get(&request, ret_secret->bytes + half * 16));
    }
    ret_secret->size = slot->key_size;
    return CELLA_OK;
}

cella_result protected_secret_find(cella_protected_file *file, const struct protected_slot *slot,
                                   struct protected_secret *ret_secret)
{
    CELLA_ENSURE(slot->kind == file->kind, INVALID_ARGUMENT);
    if (file->kind == CELLA_PROTECTED_USER) {
        CELLA_ENSURE(slot->key_size == file->user.size, WRONG_KEY);
        *ret_secret = file->user;
        return CELLA_OK;
    }
    CELLA_ENSURE(slot->key_size == 16 || slot->key_size == 32, AUTH_FAILED);
    CELLA_ENSURE(slot->key_id[31] == 0, AUTH_FAILED);
    if (file->imported.size != 0) {
        CELLA_ENSURE(slot->key_size == file->imported.size, WRONG_KEY);
        *ret_secret = file->imported;
        return CELLA_OK;
    }
    CELLA_ENSURE(file->key_size == 0 || slot->key_size == file->key_size, INVALID_ARGUMENT);
    return auto_key(slot, ret_secret);
}

cella_result protected_secret_make(cella_protected_file *file, struct protected_slot *slot,
                                   struct protected_secret *ret_secret)
{
    struct sgx_report self;
    slot->kind = (uint16_t)file->kind;
    if (file->kind == CELLA_PROTECTED_USER) {
        slot->key_size = (uint16_t)file->user.size;
        *ret_secret = file->user;
        return CELLA_OK;
    }
    CELLA_TRY(cella_report_self(&self));
    slot->key_size = (uint16_t)(file->key_size != 0 ? file->key_size : AUTO_KEY_MAX);
    if (file->key_size == 0 && file->slot.key_size != 0) {
        slot->key_size = file->slot.key_size;
    }
    slot->isv_svn = self.body.isv_svn;
    memcpy(slot->cpu_svn, self.body.cpu_svn, sizeof(slot->cpu_svn));
    CELLA_TRY(cella_random(slot->key_id, sizeof(slot->key_id) - 1));
    slot->key_id[31] = 0;
    return auto_key(slot, ret_secret);
}

/* HKDF-SHA256 with the generation's salt: no two generations share a key, whatever the host puts back. */
cella_result protected_keys_derive(const struct protected_secret *secret,
                                   const struct protected_slot *slot,
                                   struct protected_keys *ret_keys)
{
    static const char *const labels[] = {"user", "auto"};
    char digest[] = "SHA256";
    uint8_t info[32] = "cella protected file 1 ";
    memcpy(info + 23, labels[slot->kind != CELLA_PROTECTED_USER], 4);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret->bytes,
                                          secret->size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)slot->salt,
                                          sizeof(slot->salt)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, 27),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = hkdf ? EVP_KDF_CTX_new(hkdf) : NULL;
    const int done =
        context ? EVP_KDF_derive(context, (unsigned char *)ret_keys, sizeof(*ret_keys), parameters)
                : 0;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(hkdf);
    CELLA_ENSURE(done == 1, CRYPTO);
    return CELLA_OK;
}
