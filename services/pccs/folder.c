/*
 * A software platform's collateral from the folder that `cella platform export-collateral` makes.
 * Side: services. Called at start, on SIGHUP and by `cella-pccs import`. Reads only the names it knows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/pccs/pccs.h"

struct folder {
    struct pccs *pccs;
    const char *path;
    struct cella_error *error;
    struct pck_certificate pck; /* of pck_certificate_chain.pem */
};

static cella_result read_file(const struct folder *folder, const char *name, char **ret_text,
                              size_t *ret_size)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder->path, name);
    return file_read(path, 1 << 20, ret_text, ret_size, folder->error);
}

static cella_result read_chain(const struct folder *folder, const char *name, char **ret_chain)
{
    char *text = NULL;
    size_t size = 0;
    CELLA_TRY(read_file(folder, name, &text, &size));
    *ret_chain = percent_encode(text, size);
    free(text);
    CELLA_ENSURE(*ret_chain, OUT_OF_MEMORY);
    return CELLA_OK;
}

/* A document from FILE with the chain of CHAIN (NULL: none), under each of `names`, which ends in NULL. */
static cella_result take(const struct folder *folder, const char *file, const char *chain_file,
                         const char *const *names)
{
    char *text = NULL;
    char *chain = NULL;
    size_t size = 0;
    cella_result result = read_file(folder, file, &text, &size);
    if (cella_is_ok(result) && chain_file) {
        result = read_chain(folder, chain_file, &chain);
    }
    for (; cella_is_ok(result) && *names; names++) {
        result = document_put(folder->pccs, *names, cella_bytes_of(text, size), chain);
    }
    free(text);
    free(chain);
    return result;
}

/* The leaf; what stands behind it is the issuers' chain. */
static cella_result take_pck(struct folder *folder)
{
    static const char end[] = "-----END CERTIFICATE-----\n";
    char *text = NULL;
    size_t size = 0;
    char name[32];
    CELLA_TRY(read_file(folder, "pck_certificate_chain.pem", &text, &size));
    char *behind = strstr(text, end);
    cella_result result = CELLA_RESULT(BAD_FIELD);
    if (behind) {
        behind += strlen(end);
        char *chain = percent_encode(behind, strlen(behind));
        *behind = 0;
        result = pck_read(text, &folder->pck);
        if (cella_is_ok(result) && chain) {
            snprintf(name, sizeof(name), "pckchain/%s", folder->pck.ca);
            result = document_put(folder->pccs, name, cella_bytes_of("", 0), chain);
        }
        free(chain);
    }
    free(text);
    return result;
}

cella_result folder_import(struct pccs *pccs, const char *path, struct cella_error *error)
{
    struct folder folder = {.pccs = pccs, .path = path, .error = error};
    char tcb[2][64];
    char crl[32];
    cella_result result = take_pck(&folder);
    if (!cella_is_ok(result)) {
        return error->text[0]
                   ? result
                   : cella_error_set(error, result, "%s: no PCK certificate in it", path);
    }
    snprintf(tcb[0], sizeof(tcb[0]), "v4/sgx/tcb/%s/standard", folder.pck.fmspc);
    snprintf(tcb[1], sizeof(tcb[1]), "v4/sgx/tcb/%s/early", folder.pck.fmspc);
    snprintf(crl, sizeof(crl), "pckcrl/%s", folder.pck.ca);
    const char *const tcb_names[] = {tcb[0], tcb[1], NULL};
    static const char *const qe_names[] = {"v4/sgx/qe/standard", "v4/sgx/qe/early", NULL};
    const char *const crl_names[] = {crl, NULL};
    static const char *const root_names[] = {"rootcacrl", NULL};
    const struct {
        const char *file;
        const char *chain;
        const char *const *names;
    } files[] = {
        {"tcb_info.json", "tcb_info_issuer_chain.pem", tcb_names},
        {"qe_identity.json", "qe_identity_issuer_chain.pem", qe_names},
        {"pck_crl.der", "pck_crl_issuer_chain.pem", crl_names},
        {"root_ca_crl.der", NULL, root_names},
    };
    for (size_t i = 0; i < CELLA_COUNT(files) && cella_is_ok(result); i++) {
        result = take(&folder, files[i].file, files[i].chain, files[i].names);
    }
    /* Any quoting enclave of a software platform has the one certificate: the wildcard of its FMSPC. */
    if (cella_is_ok(result)) {
        result = pck_put(pccs, "*", "*", &folder.pck);
    }
    pck_done(&folder.pck);
    return result;
}
