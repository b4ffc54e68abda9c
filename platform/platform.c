/*
 * A software platform: its keys from its seed, its certificates, and the chains they make.
 * Side: host. Called by whoever provisions a platform or tests a verifier. platform.h is the manual.
 * Never reads a clock or a file.
 */
#include "platform/platform.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "platform/internal.h"

#define URL_SIZE_MAX 400u

cella_result platform_blob_of(const void *data, size_t size, struct platform_blob *ret_blob)
{
    uint8_t *copy = malloc(size + 1);
    CELLA_ENSURE(copy != NULL, OUT_OF_MEMORY);
    memcpy(copy, data, size);
    copy[size] = 0;
    *ret_blob = (struct platform_blob){copy, size};
    return CELLA_OK;
}

cella_result platform_blob_join(const struct platform_blob *const *parts, size_t count,
                                struct platform_blob *ret_blob)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += parts[i]->size;
    }
    uint8_t *whole = malloc(size + 1);
    CELLA_ENSURE(whole != NULL, OUT_OF_MEMORY);
    uint8_t *at = whole;
    for (size_t i = 0; i < count; i++) {
        memcpy(at, parts[i]->data, parts[i]->size);
        at += parts[i]->size;
    }
    *at = 0;
    *ret_blob = (struct platform_blob){whole, size};
    return CELLA_OK;
}

void platform_blob_done(struct platform_blob *blob)
{
    free(blob->data);
    *blob = (struct platform_blob){0};
}

/* A URL goes into configuration text of the library: nothing that ends a line or a value. */
static bool url_is_good(const char *url)
{
    const size_t size = strlen(url);
    return size > 0 && size < URL_SIZE_MAX && strcspn(url, ", ;\\\"'\r\n\t#$") == size;
}

static cella_result keys_make(struct platform *platform, struct cella_error *error)
{
    const struct platform_options *options = &platform->options;
    static const char *const labels[PLATFORM_CERTIFICATES] = {
        [PLATFORM_ROOT] = "root CA",
        [PLATFORM_PCK_CA] = "PCK platform CA",
        [PLATFORM_TCB_SIGNING] = "TCB signing",
        [PLATFORM_PCK] = "PCK of no enclave",
    };
    for (size_t i = 0; i < PLATFORM_CERTIFICATES; i++) {
        if (i == PLATFORM_PCK && options->pck_public) {
            CELLA_TRY(platform_key_public(options->pck_public, &platform->keys[i], error));
            continue;
        }
        const bool processor = i == PLATFORM_PCK_CA && options->ca == PLATFORM_CA_PROCESSOR;
        CELLA_TRY(platform_key_derive(options->seed, processor ? "PCK processor CA" : labels[i],
                                      &platform->keys[i], error));
    }
    CELLA_TRY(platform_bytes_derive(options->seed, "PPID", platform->ppid, 16, error));
    return platform_bytes_derive(options->seed, "platform instance id", platform->instance_id, 16,
                                 error);
}

static cella_result chains_make(struct platform *platform)
{
    const struct platform_blob *pem = platform->pem;
    const struct platform_blob *const pck[] = {&pem[PLATFORM_PCK], &pem[PLATFORM_PCK_CA],
                                               &pem[PLATFORM_ROOT]};
    const struct platform_blob *const tcb[] = {&pem[PLATFORM_TCB_SIGNING], &pem[PLATFORM_ROOT]};
    CELLA_TRY(platform_blob_join(pck, 3, &platform->pck_chain));
    CELLA_TRY(platform_blob_join(pck + 1, 2, &platform->pck_ca_chain));
    return platform_blob_join(tcb, 2, &platform->tcb_chain);
}

static cella_result make(struct platform *platform, struct cella_error *error)
{
    CELLA_TRY(keys_make(platform, error));
    CELLA_TRY(platform_certify(platform, error));
    return chains_make(platform);
}

cella_result platform_new(const struct platform_options *options, struct platform **ret_platform,
                          struct cella_error *error)
{
    const char *url = options->url ? options->url : PLATFORM_URL;
    if (options->created <= 0 || options->ca > PLATFORM_CA_PROCESSOR || options->sgx_type > 2 ||
        !url_is_good(url)) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "platform: it needs a time, a kind of CA, an SGX type up to 2 and a "
                               "URL without blanks, commas and quotes");
    }
    struct platform *platform = calloc(1, sizeof(*platform));
    CELLA_ENSURE(platform != NULL, OUT_OF_MEMORY);
    platform->options = *options;
    platform->url = strdup(url);
    if (options->pck_public) {
        memcpy(platform->pck_public, options->pck_public, PLATFORM_KEY_SIZE);
        platform->options.pck_public = platform->pck_public;
    }
    platform->options.url = platform->url;
    const cella_result result = platform->url ? make(platform, error) : CELLA_RESULT(OUT_OF_MEMORY);
    if (!cella_is_ok(result)) {
        platform_free(platform);
        return result;
    }
    *ret_platform = platform;
    return CELLA_OK;
}

void platform_free(struct platform *platform)
{
    if (!platform) {
        return;
    }
    for (size_t i = 0; i < PLATFORM_CERTIFICATES; i++) {
        EVP_PKEY_free(platform->keys[i]);
        X509_free(platform->certificates[i]);
        platform_blob_done(&platform->der[i]);
        platform_blob_done(&platform->pem[i]);
    }
    platform_blob_done(&platform->pck_chain);
    platform_blob_done(&platform->pck_ca_chain);
    platform_blob_done(&platform->tcb_chain);
    free(platform->url);
    OPENSSL_cleanse(platform, sizeof(*platform));
    free(platform);
}

const struct platform_blob *platform_der(const struct platform *platform,
                                         enum platform_certificate which)
{
    return &platform->der[which];
}

const struct platform_blob *platform_pem(const struct platform *platform,
                                         enum platform_certificate which)
{
    return &platform->pem[which];
}

const struct platform_blob *platform_pck_chain(const struct platform *platform)
{
    return &platform->pck_chain;
}

const struct platform_blob *platform_pck_ca_chain(const struct platform *platform)
{
    return &platform->pck_ca_chain;
}

const struct platform_blob *platform_tcb_chain(const struct platform *platform)
{
    return &platform->tcb_chain;
}

const uint8_t *platform_ppid(const struct platform *platform)
{
    return platform->ppid;
}

cella_result platform_collateral_make(const struct platform *platform,
                                      const struct platform_collateral_options *options,
                                      struct platform_collateral *ret_collateral,
                                      struct cella_error *error)
{
    struct platform_collateral collateral = {0};
    cella_result result = platform_crls_make(platform, options, &collateral, error);
    if (cella_is_ok(result)) {
        result = platform_documents_make(platform, options, &collateral, error);
    }
    if (!cella_is_ok(result)) {
        platform_collateral_done(&collateral);
        return result;
    }
    *ret_collateral = collateral;
    return CELLA_OK;
}

void platform_collateral_done(struct platform_collateral *collateral)
{
    struct platform_blob *const blobs[] = {
        &collateral->root_ca_crl_der, &collateral->root_ca_crl_pem, &collateral->pck_crl_der,
        &collateral->pck_crl_pem,     &collateral->tcb_info,        &collateral->qe_identity,
    };
    for (size_t i = 0; i < CELLA_COUNT(blobs); i++) {
        platform_blob_done(blobs[i]);
    }
}
