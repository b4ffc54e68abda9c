/*
 * `ego signerid` and `ego uniqueid`: MRSIGNER of an executable or of a public key, MRENCLAVE of an executable.
 * Side: tools. Called by ego.c.
 */
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <string.h>

#include "cli/ego.h"
#include "common/cleanup.h"
#include "image/image.h"

#define KEY_FILE_MAX (1u << 20)
#define MODULUS_SIZE 384 /* RSA-3072 */

static void print_hex(const uint8_t id[32])
{
    for (unsigned i = 0; i < 32; i++) {
        printf("%02x", id[i]);
    }
    putchar('\n');
}

/* SHA-256 of the modulus, little endian. */
static cella_result key_id(EVP_PKEY *key, uint8_t ret_id[32], struct cella_error *error)
{
    uint8_t modulus[MODULUS_SIZE];
    BIGNUM *n = NULL;
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA ||
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) != 1) {
        return cella_error_set(error, CELLA_RESULT(WRONG_KEY), "expected RSA public key, got %s",
                               EVP_PKEY_get0_type_name(key));
    }
    const int filled = BN_bn2lebinpad(n, modulus, sizeof(modulus));
    BN_free(n);
    if (filled < 0) {
        return cella_error_set(error, CELLA_RESULT(WRONG_KEY),
                               "expected a key of 3072 bits, got one of %d",
                               EVP_PKEY_get_bits(key));
    }
    SHA256(modulus, sizeof(modulus), ret_id);
    return CELLA_OK;
}

static cella_result id_of_key(const char *path, uint8_t ret_id[32], struct cella_error *error)
{
    CELLA_CLEANUP(ego_executable_done) struct ego_executable file = {0};
    CELLA_TRY(ego_executable_read(path, "reading key file: ", &file, error));
    const struct cella_bytes text = cella_file_bytes(&file.file);
    if (text.size > KEY_FILE_MAX || memmem(text.data, text.size, "-----BEGIN ", 11) == NULL) {
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX), "failed to decode PEM");
    }
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (!key) {
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX),
                               "parsing public key: no public key (SubjectPublicKeyInfo) in %s",
                               path);
    }
    const cella_result result = key_id(key, ret_id, error);
    EVP_PKEY_free(key);
    return result;
}

/* The signature of an executable; all zero for one that is not signed. */
static cella_result sigstruct_of(const char *path, struct sgx_sigstruct *ret_sigstruct,
                                 struct cella_error *error)
{
    CELLA_CLEANUP(ego_executable_done) struct ego_executable executable = {0};
    struct cella_image image;
    CELLA_TRY(ego_executable_read(path, "", &executable, error));
    const struct cella_bytes file = executable.parts.program;
    if (file.size < 4 || memcmp(file.data, "\177ELF", 4) != 0) {
        return file.size < 4
                   ? cella_error_set(error, CELLA_RESULT(TRUNCATED), "EOF")
                   : cella_error_set(error, CELLA_RESULT(BAD_MAGIC),
                                     "bad magic number '[%u %u %u %u]' in record at byte 0x0",
                                     file.data[0], file.data[1], file.data[2], file.data[3]);
    }
    memset(ret_sigstruct, 0, sizeof(*ret_sigstruct));
    if (executable.parts.image.size != 0) {
        CELLA_TRY(cella_image_parse(executable.parts.image, &image, error));
        *ret_sigstruct = image.sigstruct;
    }
    return CELLA_OK;
}

static bool is_unsigned(const struct sgx_sigstruct *sigstruct)
{
    static const uint8_t zeros[MODULUS_SIZE];
    return memcmp(sigstruct->modulus, zeros, sizeof(zeros)) == 0;
}

int ego_signerid(int argc, char **argv)
{
    const size_t size = strlen(argv[1]);
    struct cella_error error = {0};
    struct sgx_sigstruct sigstruct;
    uint8_t id[32] = {0};
    cella_result result;
    (void)argc;
    if (size > 4 && strcmp(argv[1] + size - 4, ".pem") == 0) {
        result = id_of_key(argv[1], id, &error);
    } else {
        result = sigstruct_of(argv[1], &sigstruct, &error);
        if (cella_is_ok(result) && !is_unsigned(&sigstruct)) {
            result = cella_sigstruct_signer(&sigstruct, id);
        }
    }
    if (!cella_is_ok(result)) {
        error.result = result;
        ego_explain(&error);
        return 1;
    }
    print_hex(id);
    return 0;
}

int ego_uniqueid(int argc, char **argv)
{
    struct cella_error error = {0};
    struct sgx_sigstruct sigstruct;
    (void)argc;
    const cella_result result = sigstruct_of(argv[1], &sigstruct, &error);
    if (!cella_is_ok(result)) {
        fprintf(stderr, "Error: %s\n", error.text[0] ? error.text : cella_result_text(result));
        return 1;
    }
    print_hex(sigstruct.enclave_hash);
    return 0;
}
