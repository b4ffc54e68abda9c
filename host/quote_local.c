/*
 * Quotes in this process: the quoting enclave on the software processor, certified by the provisioning enclave.
 * Side: host. Called by quote.c and services/quoted. Loaded once, when it is first asked for; again after it was lost.
 * Never holds its lock while a quote is made.
 */
#include <dlfcn.h>
#include <errno.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cella/host.h"
#include "common/cleanup.h"
#include "host/quote.h"
#include "provisioning_u.h"
#include "quoting_u.h"

#ifndef CELLA_LIBDIR_CELLA
#define CELLA_LIBDIR_CELLA "/usr/local/lib/cella"
#endif

#define QE_IMAGE "cella-qe.signed"
#define PCE_IMAGE "cella-pce.signed"
#define PATH_SIZE 1024u
#define HEAD_SIZE (sizeof(struct sgx_quote3_signed) + 4 + 64 + 64)

/* Counted: whoever makes a quote holds it, so that a lost one is not destroyed under somebody's call. */
struct quoting {
    _Atomic uint32_t holders;
    cella_enclave *enclave;
    struct sgx_targetinfo target;
    struct cella_quote_identity identity;
    uint8_t *certification; /* QE report … certificates, as it is in the quote */
    size_t certification_size;
};

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static struct quoting *g_quoting;

static void enclave_done(cella_enclave **enclave)
{
    cella_enclave_destroy(*enclave);
}

static void quoting_put(struct quoting *quoting)
{
    if (quoting && atomic_fetch_sub(&quoting->holders, 1) == 1) {
        cella_enclave_destroy(quoting->enclave);
        free(quoting->certification);
        free(quoting);
    }
}

static void quoting_done(struct quoting **quoting)
{
    quoting_put(*quoting);
}

/* The folder of a file, by its real path. */
static bool folder_of(const char *path, char ret_folder[PATH_SIZE])
{
    char *real = realpath(path, NULL);
    char *slash = real ? strrchr(real, '/') : NULL;
    if (slash) {
        *slash = 0;
        snprintf(ret_folder, PATH_SIZE, "%s", real);
    }
    free(real);
    return slash != NULL;
}

/* Of this library, or of the program that it is linked into: what the loader calls it may be relative, or only a name. */
static bool own_folder(char ret_folder[PATH_SIZE])
{
    Dl_info info;
    return (dladdr((void *)cella_quote_image_find, &info) && info.dli_fname &&
            info.dli_fname[0] == '/' && folder_of(info.dli_fname, ret_folder)) ||
           folder_of("/proc/self/exe", ret_folder);
}

cella_result cella_quote_image_find(const char *name, char *ret_path, size_t size,
                                    struct cella_error *error)
{
    static const char *const beside[] = {
        "cella",
        "../lib/cella",
        "../lib/x86_64-linux-gnu/cella",
        "../lib64/cella",
        "../quote/enclave",
        "../../quote/enclave",
        "../../lib/cella",
        "../../lib/x86_64-linux-gnu/cella",
    };
    const char *chosen = getenv("CELLA_QUOTE_ENCLAVES");
    char folder[PATH_SIZE];
    if (chosen && *chosen) {
        snprintf(ret_path, size, "%s/%s", chosen, name);
        return CELLA_OK; /* what is wrong with it, loading will say */
    }
    const bool has_folder = own_folder(folder);
    for (size_t i = 0; has_folder && i < CELLA_COUNT(beside); i++) {
        if (snprintf(ret_path, size, "%s/%s/%s", folder, beside[i], name) < (int)size &&
            access(ret_path, R_OK) == 0) {
            return CELLA_OK;
        }
    }
    snprintf(ret_path, size, "%s/%s", CELLA_LIBDIR_CELLA, name);
    if (access(ret_path, R_OK) == 0) {
        return CELLA_OK;
    }
    return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                           "%s is not installed; CELLA_QUOTE_ENCLAVES names its folder", name);
}

/* An ecall whose own result is looked at too. */
static cella_result both(cella_result call, cella_result value, const char *what,
                         struct cella_error *error)
{
    const cella_result result = cella_is_ok(call) ? value : call;
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "%s: %s", what, cella_result_text(result));
    }
    return CELLA_OK;
}

/* QE report, its signature, authentication data, certificates. */
static cella_result certification_make(struct quoting *quoting,
                                       const struct sgx_report_body *report,
                                       const uint8_t signature[64],
                                       const uint8_t authentication[32],
                                       const struct platform_blob *chain)
{
    const uint16_t auth_size = SGX_QUOTE3_AUTH_SIZE, type = SGX_QUOTE3_CERTIFICATES;
    const uint32_t chain_size = (uint32_t)chain->size;
    const struct {
        const void *data;
        size_t size;
    } parts[] = {
        {report, sizeof(*report)},
        {signature, 64},
        {&auth_size, 2},
        {authentication, SGX_QUOTE3_AUTH_SIZE},
        {&type, 2},
        {&chain_size, 4},
        {chain->data, chain->size},
    };
    size_t size = 0;
    for (size_t i = 0; i < CELLA_COUNT(parts); i++) {
        size += parts[i].size;
    }
    quoting->certification = malloc(size);
    CELLA_ENSURE(quoting->certification != NULL, OUT_OF_MEMORY);
    for (size_t i = 0; i < CELLA_COUNT(parts); i++) {
        memcpy(quoting->certification + quoting->certification_size, parts[i].data, parts[i].size);
        quoting->certification_size += parts[i].size;
    }
    return CELLA_OK;
}

/* The provisioning enclave certifies the attestation key; it is needed for this only. */
static cella_result certify(struct quoting *quoting, cella_enclave *pce,
                            struct cella_provision *ret_provision, struct cella_error *error)
{
    struct sgx_targetinfo pce_target;
    struct sgx_report binding;
    uint8_t point[64], authentication[32], signature[64], pck_public[64], cpu_svn[16];
    uint16_t pce_svn;
    cella_result value;
    CELLA_TRY(both(pce_identify(pce, &value, &pce_target, &pce_svn, cpu_svn, pck_public), value,
                   PCE_IMAGE, error));
    CELLA_TRY(
        both(qe_bind_key(quoting->enclave, &value, &pce_target, point, authentication, &binding),
             value, QE_IMAGE, error));
    CELLA_TRY(both(pce_certify(pce, &value, &binding, signature), value, PCE_IMAGE, error));
    CELLA_TRY(cella_provision_open(pck_public, cpu_svn, pce_svn, &quoting->identity.report.body,
                                   ret_provision, error));
    quoting->identity.pce_svn = pce_svn;
    memcpy(quoting->identity.key_id, binding.body.report_data, 32);
    return certification_make(quoting, &binding.body, signature, authentication,
                              platform_pck_chain(ret_provision->platform));
}

static cella_result image_load(const char *name, cella_enclave **ret_enclave, bool is_quoting,
                               struct cella_error *error)
{
    const struct cella_enclave_options options = {
        .flags = CELLA_ENCLAVE_SOFTWARE | CELLA_ENCLAVE_WAIT | CELLA_ENCLAVE_NO_GDB,
    };
    char path[PATH_SIZE];
    CELLA_TRY(cella_quote_image_find(name, path, sizeof(path), error));
    return is_quoting ? cella_create_quoting(path, &options, ret_enclave, error)
                      : cella_create_provisioning(path, &options, ret_enclave, error);
}

static cella_result quoting_load(struct quoting **ret_quoting,
                                 struct cella_provision *ret_provision, struct cella_error *error)
{
    uint8_t qe_id[16];
    cella_result value;
    CELLA_CLEANUP(quoting_done) struct quoting *quoting = calloc(1, sizeof(*quoting));
    CELLA_CLEANUP(enclave_done) cella_enclave *pce = NULL;
    CELLA_ENSURE(quoting != NULL, OUT_OF_MEMORY);
    quoting->holders = 1;
    CELLA_TRY(image_load(QE_IMAGE, &quoting->enclave, true, error));
    CELLA_TRY(image_load(PCE_IMAGE, &pce, false, error));
    CELLA_TRY(both(
        qe_identify(quoting->enclave, &value, &quoting->identity.report, &quoting->target, qe_id),
        value, QE_IMAGE, error));
    CELLA_TRY(certify(quoting, pce, ret_provision, error));
    /* Verifiers of this machine lack it then, and say so; quotes are good without. */
    cella_ignore(cella_provision_publish(ret_provision, time(NULL), NULL));
    *ret_quoting = CELLA_TAKE(quoting);
    return CELLA_OK;
}

/* The loaded one, held for the caller. `lost`: which one was found dead; only that is replaced. */
static cella_result quoting_get(struct quoting *lost, struct quoting **ret_quoting,
                                struct cella_error *error)
{
    cella_result result = CELLA_OK;
    pthread_mutex_lock(&g_lock);
    if (g_quoting && g_quoting == lost) {
        quoting_put(CELLA_TAKE(g_quoting));
    }
    if (!g_quoting) {
        struct cella_provision provision = {0};
        result = quoting_load(&g_quoting, &provision, error);
        cella_provision_done(&provision);
    }
    if (cella_is_ok(result)) {
        atomic_fetch_add(&g_quoting->holders, 1);
        *ret_quoting = g_quoting;
    }
    pthread_mutex_unlock(&g_lock);
    return result;
}

cella_result cella_provision_load(struct cella_provision *ret_provision, struct cella_error *error)
{
    CELLA_CLEANUP(quoting_done) struct quoting *quoting = NULL;
    return quoting_load(&quoting, ret_provision, error);
}

cella_result cella_quote_local_identity(struct cella_quote_identity *ret_identity,
                                        struct cella_error *error)
{
    CELLA_CLEANUP(quoting_done) struct quoting *quoting = NULL;
    CELLA_TRY(quoting_get(NULL, &quoting, error));
    *ret_identity = quoting->identity;
    return CELLA_OK;
}

static cella_result local_target(struct sgx_targetinfo *ret_target, uint32_t *ret_quote_size,
                                 struct cella_error *error)
{
    CELLA_CLEANUP(quoting_done) struct quoting *quoting = NULL;
    CELLA_TRY(quoting_get(NULL, &quoting, error));
    if (ret_target) {
        *ret_target = quoting->target;
    }
    if (ret_quote_size) {
        *ret_quote_size = (uint32_t)(HEAD_SIZE + quoting->certification_size);
    }
    return CELLA_OK;
}

static bool is_lost(cella_result result)
{
    return result.code == CELLA_CODE_ENCLAVE_LOST || result.code == CELLA_CODE_ENCLAVE_ABORTED;
}

static cella_result quote_once(struct quoting *quoting, const struct sgx_report *report,
                               struct sgx_qe_report_info *info, void *out, size_t out_capacity,
                               size_t *ret_size)
{
    const size_t size = HEAD_SIZE + quoting->certification_size;
    cella_result value;
    *ret_size = size;
    CELLA_ENSURE(out_capacity >= size, BUFFER_TOO_SMALL);
    CELLA_TRY(qe_quote(quoting->enclave, &value, report, quoting->identity.pce_svn,
                       quoting->certification, quoting->certification_size, info, out, size));
    return value;
}

static cella_result local_quote(const struct sgx_report *report, struct sgx_qe_report_info *info,
                                void *out, size_t out_capacity, size_t *ret_size,
                                struct cella_error *error)
{
    CELLA_CLEANUP(quoting_done) struct quoting *quoting = NULL;
    CELLA_TRY(quoting_get(NULL, &quoting, error));
    cella_result result = quote_once(quoting, report, info, out, out_capacity, ret_size);
    if (is_lost(result)) {
        CELLA_CLEANUP(quoting_done) struct quoting *again = NULL;
        CELLA_TRY(quoting_get(quoting, &again, error));
        result = quote_once(again, report, info, out, out_capacity, ret_size);
    }
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "quoting enclave: %s", cella_result_text(result));
    }
    return CELLA_OK;
}

static cella_result local_key_id(uint8_t ret_key_id[32], struct cella_error *error)
{
    struct cella_quote_identity identity;
    CELLA_TRY(cella_quote_local_identity(&identity, error));
    memcpy(ret_key_id, identity.key_id, sizeof(identity.key_id));
    return CELLA_OK;
}

const struct cella_quote_source *cella_quote_local(void)
{
    static const struct cella_quote_source source = {.name = "quoting enclave in this process",
                                                     .target = local_target,
                                                     .quote = local_quote,
                                                     .key_id = local_key_id};
    return &source;
}
