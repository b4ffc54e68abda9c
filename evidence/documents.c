/*
 * The collateral for one quote, wherever this machine has it: a directory, the software platform's own, a provider library.
 * Side: host. Called by the skins. Believes nothing: all of it is signed, and verified with the quote.
 * Sources: the quote provider interface of Intel's DCAP libraries, sgx_default_quote_provider.h.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/collateral.h"
#include "cella/collateral.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "evidence/files.h"

#define PROVIDER "libdcap_quoteprov.so.1"

/* sgx_ql_qve_collateral_t: version, TEE, then a string and its size seven times, in the order of enum cella_document. */
struct provided {
    uint32_t version;
    uint32_t tee_type;
    struct {
        char *data;
        uint32_t size;
    } documents[CELLA_DOCUMENT_COUNT];
};

typedef int (*provider_get_fn)(const uint8_t *fmspc, uint16_t fmspc_size, const char *pck_ca,
                               struct provided **ret);
typedef int (*provider_free_fn)(struct provided *collateral);

static const char *const g_files[CELLA_DOCUMENT_COUNT][2] = {
    [CELLA_DOCUMENT_PCK_CRL_CHAIN] = {"pck_crl_issuer_chain.pem"},
    [CELLA_DOCUMENT_ROOT_CRL] = {"root_ca_crl.der", "root_ca_crl.pem"},
    [CELLA_DOCUMENT_PCK_CRL] = {"pck_crl.der", "pck_crl.pem"},
    [CELLA_DOCUMENT_TCB_INFO_CHAIN] = {"tcb_info_issuer_chain.pem"},
    [CELLA_DOCUMENT_TCB_INFO] = {"tcb_info.json"},
    [CELLA_DOCUMENT_QE_IDENTITY_CHAIN] = {"qe_identity_issuer_chain.pem"},
    [CELLA_DOCUMENT_QE_IDENTITY] = {"qe_identity.json"},
};

/* One look for one quote. */
struct look {
    struct cella_platform_claims platform;
    enum cella_tee tee;
    struct cella_quote_documents *ret;
    struct cella_error *error;
};

static void pieces_done(struct files_blob (*pieces)[CELLA_DOCUMENT_COUNT])
{
    for (size_t i = 0; i < CELLA_DOCUMENT_COUNT; i++) {
        free((*pieces)[i].data);
    }
}

/* Together in one block, a zero behind each. */
static cella_result pack(struct cella_quote_documents *ret,
                         const struct cella_span spans[CELLA_DOCUMENT_COUNT])
{
    size_t size = 0, used = 0;
    for (size_t i = 0; i < CELLA_DOCUMENT_COUNT; i++) {
        size += spans[i].size + 1;
    }
    uint8_t *memory = calloc(1, size);
    CELLA_ENSURE(memory, OUT_OF_MEMORY);
    for (size_t i = 0; i < CELLA_DOCUMENT_COUNT; i++) {
        if (spans[i].size) {
            memcpy(memory + used, spans[i].data, spans[i].size);
        }
        ret->documents[i] = (struct cella_span){.data = memory + used, .size = spans[i].size};
        used += spans[i].size + 1;
    }
    ret->memory = memory;
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- a directory */

static cella_result file_find(const char *folder, const char *const names[2],
                              struct files_blob *ret_blob, struct cella_error *error)
{
    char path[FILES_PATH_SIZE];
    cella_result result = CELLA_RESULT(NOT_FOUND);
    for (size_t i = 0; i < 2 && names[i] && result.code == CELLA_CODE_NOT_FOUND; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        result = files_read(path, ret_blob);
    }
    return cella_is_ok(result) ? CELLA_OK
                               : cella_error_set(error, result, "%s/%s: %s", folder, names[0],
                                                 cella_result_text(result));
}

static cella_result from_folder(const struct look *look, const char *folder)
{
    struct cella_span spans[CELLA_DOCUMENT_COUNT];
    CELLA_CLEANUP(pieces_done) struct files_blob pieces[CELLA_DOCUMENT_COUNT] = {{0}};
    for (size_t i = 0; i < CELLA_DOCUMENT_COUNT; i++) {
        CELLA_TRY(file_find(folder, g_files[i], &pieces[i], look->error));
        spans[i] = (struct cella_span){.data = pieces[i].data, .size = pieces[i].size};
    }
    return pack(look->ret, spans);
}

static void fmspc_write(const struct look *look, char out[13])
{
    for (size_t i = 0; i < sizeof(look->platform.fmspc); i++) {
        snprintf(out + 2 * i, 3, "%02x", look->platform.fmspc[i]);
    }
}

static cella_result from_directory(const struct look *look, const char *directory)
{
    char folder[FILES_PATH_SIZE], fmspc[13];
    fmspc_write(look, fmspc);
    snprintf(folder, sizeof(folder), "%s/%s", directory, fmspc);
    const cella_result own = from_folder(look, folder);
    return own.code == CELLA_CODE_NOT_FOUND ? from_folder(look, directory) : own;
}

/* ------------------------------------------------------------------------- the software platform */

/* What software platforms call themselves: PLATFORM_FMSPC of platform/platform.h. */
static bool is_software(const struct look *look)
{
    static const uint8_t fmspc[6] = {0x00, 0xCE, 0x11, 0xA0, 0x00, 0x00};
    return memcmp(look->platform.fmspc, fmspc, sizeof(fmspc)) == 0;
}

/* ------------------------------------------------------------------------- a provider library */

/* One symbol in each direction, for the TEE. */
static bool provider_bind(void *library, enum cella_tee tee, provider_get_fn *ret_get,
                          provider_free_fn *ret_free)
{
    const bool tdx = tee == CELLA_TEE_TDX;
    *(void **)ret_get = dlsym(library, tdx ? "tdx_ql_get_quote_verification_collateral"
                                           : "sgx_ql_get_quote_verification_collateral");
    *(void **)ret_free = dlsym(library, tdx ? "tdx_ql_free_quote_verification_collateral"
                                            : "sgx_ql_free_quote_verification_collateral");
    return *ret_get && *ret_free;
}

/* The library stays loaded: unloading what may have threads of its own is no service to anybody. */
static cella_result from_provider(const struct look *look, const char *path)
{
    provider_get_fn get;
    provider_free_fn release;
    struct provided *provided = NULL;
    struct cella_span spans[CELLA_DOCUMENT_COUNT];
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library) {
        return cella_error_set(look->error, CELLA_RESULT(NO_DEVICE), "no collateral: %s",
                               dlerror());
    }
    if (!provider_bind(library, look->tee, &get, &release)) {
        return cella_error_set(look->error, CELLA_RESULT(NO_DEVICE),
                               "%s gives no collateral for %s", path, cella_tee_name(look->tee));
    }
    /* Only PCK certificates of a platform CA have an instance id. */
    const int code = get(look->platform.fmspc, sizeof(look->platform.fmspc),
                         look->platform.has_instance_id ? "platform" : "processor", &provided);
    if (code != 0 || !provided) {
        return cella_error_set(look->error, CELLA_RESULT(IO), "%s: 0x%04x", path, (unsigned)code);
    }
    for (size_t i = 0; i < CELLA_DOCUMENT_COUNT; i++) {
        spans[i] = cella_collateral_trim(
            (struct cella_span){.data = (const uint8_t *)provided->documents[i].data,
                                .size = provided->documents[i].size});
    }
    const cella_result result = pack(look->ret, spans);
    release(provided);
    return result;
}

/* ------------------------------------------------------------------------- all of them */

static cella_result look_everywhere(const struct look *look, const char *provider)
{
    char folder[FILES_PATH_SIZE];
    const char *directory = getenv("CELLA_COLLATERAL_DIR");
    if (directory && *directory) {
        return from_directory(look, directory);
    }
    if (is_software(look) && files_platform("provisioning/collateral", folder)) {
        const cella_result result = from_folder(look, folder);
        if (result.code != CELLA_CODE_NOT_FOUND) {
            return result;
        }
    }
    return from_provider(look, provider ? provider : PROVIDER);
}

cella_result cella_quote_documents_get(struct cella_span quote, const char *provider,
                                       struct cella_quote_documents *ret_documents,
                                       struct cella_error *error)
{
    struct look look = {.ret = ret_documents, .error = error};
    struct cella_evidence_claims claims;
    CELLA_ENSURE(ret_documents && (quote.data || !quote.size), INVALID_ARGUMENT);
    CELLA_TRY(cella_evidence_parse(quote, &claims, NULL));
    void *scratch = aligned_alloc(16, CELLA_EVIDENCE_SCRATCH_SIZE);
    CELLA_ENSURE(scratch, OUT_OF_MEMORY);
    const cella_result result =
        cella_evidence_platform(quote, scratch, CELLA_EVIDENCE_SCRATCH_SIZE, &look.platform);
    free(scratch);
    CELLA_TRY(result);
    look.tee = claims.tee;
    *ret_documents = (struct cella_quote_documents){0};
    return look_everywhere(&look, provider);
}

void cella_quote_documents_done(struct cella_quote_documents *documents)
{
    free(documents->memory);
    *documents = (struct cella_quote_documents){0};
}

void cella_quote_documents_items(const struct cella_quote_documents *documents,
                                 struct cella_collateral_item ret_items[CELLA_DOCUMENT_COUNT])
{
    for (size_t i = 0; i < CELLA_DOCUMENT_COUNT; i++) {
        ret_items[i] =
            (struct cella_collateral_item){.name = g_files[i][0], .bytes = documents->documents[i]};
    }
}

/* No quote: no documents, the roots alone. */
static cella_result answer_documents(struct cella_span quote, struct cella_quote_documents *ret,
                                     struct cella_error *error)
{
    static const struct cella_span none[CELLA_DOCUMENT_COUNT];
    return quote.size ? cella_quote_documents_get(quote, NULL, ret, error) : pack(ret, none);
}

cella_result cella_collateral_answer(struct cella_span quote, void *out, size_t out_capacity,
                                     size_t *ret_size, struct cella_error *error)
{
    struct cella_collateral_head head = {0};
    struct cella_roots roots = {0};
    struct cella_quote_documents found;
    size_t count = 0, size = sizeof(head);
    CELLA_TRY(cella_roots_add_environment(&roots, &count, error));
    CELLA_TRY(answer_documents(quote, &found, error));
    for (size_t i = 0; i < CELLA_DOCUMENT_COUNT; i++) {
        head.sizes[i] = (uint32_t)found.documents[i].size;
        size += found.documents[i].size + 1;
    }
    *ret_size = size;
    const bool fits = size <= out_capacity;
    if (fits) {
        head.root_count = (uint32_t)roots.count;
        for (size_t i = 0; i < roots.count; i++) {
            memcpy(head.roots[i], roots.keys[i].spki_sha256, sizeof(head.roots[i]));
        }
        memcpy(out, &head, sizeof(head));
        memcpy((uint8_t *)out + sizeof(head), found.memory, size - sizeof(head));
    }
    cella_quote_documents_done(&found);
    CELLA_ENSURE(fits, BUFFER_TOO_SMALL);
    return CELLA_OK;
}
