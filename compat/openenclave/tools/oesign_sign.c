/*
 * oesign sign and digest.
 * Side: tools. Called by oesign.c.
 * Never keeps a private key longer than it signs.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "cli/file.h"
#include "compat/openenclave/tools/oesign.h"
#include "compat/openenclave/tools/properties.h"

#define CONFIG_MAX (1u << 20)
#define PATH_MAX_SIZE 4096

/* Everything up to the signature. */
static cella_result prepare(const struct oesign_options *options, struct cella_buffer *output,
                            struct sgx_sigstruct *ret_sigstruct, struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file input = {0};
    CELLA_CLEANUP(cella_file_done) struct cella_file conf = {0};
    oe_sgx_enclave_properties_t properties;
    uint64_t offset;
    CELLA_TRY(cella_file_read(options->image, CELLA_IMAGE_FILE_MAX, &input, error));
    cella_result result = oe_properties_read(cella_file_bytes(&input), &properties, &offset, error);
    if (!cella_is_ok(result)) {
        char reason[CELLA_ERROR_TEXT_SIZE];
        snprintf(reason, sizeof(reason), "%s", error->text);
        return cella_error_set(error, result, "Failed to load enclave: %s: %.400s", options->image,
                               reason);
    }
    if (options->config) {
        CELLA_TRY(cella_file_read(options->config, CONFIG_MAX, &conf, error));
        CELLA_TRY(
            oe_properties_configure(&properties, cella_file_bytes(&conf), options->config, error));
    } else {
        oe_properties_configure_none(&properties);
    }
    return oe_image_build(cella_file_bytes(&input), &properties, offset, options->image, output,
                          ret_sigstruct, error);
}

static cella_result sign_with_key(const char *path, struct sgx_sigstruct *sigstruct,
                                  struct cella_error *error)
{
    CELLA_CLEANUP(cella_key_done) struct cella_key key = {0};
    CELLA_CLEANUP(cella_file_done) struct cella_file pem = {0};
    CELLA_TRY(cella_file_read(path, CONFIG_MAX, &pem, error));
    const cella_result read = cella_key_read(cella_file_bytes(&pem), true, path, &key, error);
    explicit_bzero(pem.data, pem.size);
    CELLA_TRY(read);
    return cella_sigstruct_sign(sigstruct, &key, error);
}

/* The public key of a certificate, as PEM; the caller frees. NULL: not a certificate. */
static char *certificate_key(const struct cella_file *file, size_t *ret_size)
{
    char *pem = NULL, *text;
    BIO *in = BIO_new_mem_buf(file->data, (int)file->size);
    BIO *out = BIO_new(BIO_s_mem());
    X509 *certificate = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = certificate ? X509_get0_pubkey(certificate) : NULL;
    if (out && key && PEM_write_bio_PUBKEY(out, key) == 1) {
        const long size = BIO_get_mem_data(out, &text);
        pem = size > 0 ? malloc((size_t)size) : NULL;
        if (pem) {
            memcpy(pem, text, (size_t)size);
            *ret_size = (size_t)size;
        }
    }
    X509_free(certificate);
    BIO_free(in);
    BIO_free(out);
    return pem;
}

static cella_result sign_with_digest(const struct oesign_options *options,
                                     struct sgx_sigstruct *sigstruct, struct cella_error *error)
{
    CELLA_CLEANUP(cella_key_done) struct cella_key key = {0};
    CELLA_CLEANUP(cella_file_done) struct cella_file x509 = {0};
    CELLA_CLEANUP(cella_file_done) struct cella_file signature = {0};
    size_t size = 0;
    CELLA_TRY(cella_file_read(options->x509, CONFIG_MAX, &x509, error));
    CELLA_TRY(cella_file_read(options->digest, CONFIG_MAX, &signature, error));
    char *pem = certificate_key(&x509, &size);
    if (!pem) {
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX), "%s: expected a certificate in PEM",
                               options->x509);
    }
    cella_result result =
        cella_key_read(cella_bytes_of(pem, size), false, options->x509, &key, error);
    free(pem);
    CELLA_TRY(result);
    result = cella_sigstruct_attach(sigstruct, &key, cella_file_bytes(&signature), error);
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result,
                               "Digest signature cannot be validated against the specified enclave "
                               "configuration using the provided certificate.");
    }
    return CELLA_OK;
}

cella_result oesign_sign(const struct oesign_options *options, struct cella_error *error)
{
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer output = {0};
    struct sgx_sigstruct sigstruct;
    char path[PATH_MAX_SIZE];
    const int used =
        snprintf(path, sizeof(path), "%s%s", options->output ? options->output : options->image,
                 options->output ? "" : ".signed");
    if (used < 0 || (size_t)used >= sizeof(path)) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "the path is too long");
    }
    CELLA_TRY(prepare(options, &output, &sigstruct, error));
    if (options->key) {
        CELLA_TRY(sign_with_key(options->key, &sigstruct, error));
    } else {
        CELLA_TRY(sign_with_digest(options, &sigstruct, error));
    }
    CELLA_TRY(cella_image_put_sigstruct(&output, &sigstruct));
    CELLA_TRY(cella_file_write(path, output.data, output.size, 0755, error));
    printf("Created %s\n", path);
    return CELLA_OK;
}

cella_result oesign_digest(const struct oesign_options *options, struct cella_error *error)
{
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer output = {0};
    struct sgx_sigstruct sigstruct;
    uint8_t message[CELLA_SIGSTRUCT_MESSAGE_SIZE], digest[32];
    unsigned size = sizeof(digest);
    CELLA_TRY(prepare(options, &output, &sigstruct, error));
    cella_sigstruct_message(&sigstruct, message);
    if (EVP_Digest(message, sizeof(message), digest, &size, EVP_sha256(), NULL) != 1) {
        return cella_error_set(error, CELLA_RESULT(CRYPTO), "SHA-256 failed");
    }
    CELLA_TRY(cella_file_write(options->digest, digest, sizeof(digest), 0644, error));
    printf("Created %s\n", options->digest);
    return CELLA_OK;
}
