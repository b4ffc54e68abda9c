/*
 * PUT /platformcollateral: what an administrator fetched elsewhere for platforms of this site.
 * Side: services. Called by services/pccs/store.c inside a transaction: all of it or nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/pccs/pccs.h"

struct put {
    struct pccs *pccs;
    const json_t *platforms;
    const json_t *collaterals;
    const json_t *chains;
    unsigned version;
    struct cella_error *error;
};

static cella_result fail(const struct put *put, const char *what)
{
    return cella_error_set(put->error, CELLA_RESULT(BAD_FIELD), "%s", what);
}

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* A string as it is, anything else as JSON without blanks: what was signed has none. From malloc. */
static char *text_of(const json_t *value)
{
    return json_is_string(value) ? strdup(json_string_value(value))
                                 : json_dumps(value, JSON_COMPACT);
}

static cella_result put_text(const struct put *put, const char *name, const json_t *value,
                             const char *chain)
{
    if (!value || json_is_null(value)) {
        return CELLA_OK;
    }
    char *text = text_of(value);
    CELLA_ENSURE(text, OUT_OF_MEMORY);
    cella_result result =
        document_put(put->pccs, name, cella_bytes_of(text, strlen(text)), chain[0] ? chain : NULL);
    free(text);
    return result;
}

static cella_result put_crl(const struct put *put, const char *name, const json_t *value,
                            const char *chain)
{
    uint8_t *der = NULL;
    size_t size = 0;
    if (!value || json_is_null(value) || json_string_length(value) == 0) {
        return CELLA_OK;
    }
    if (!cella_is_ok(crl_der(cella_bytes_of(json_string_value(value), json_string_length(value)),
                             &der, &size))) {
        return fail(put, "a CRL is neither DER in hexadecimal nor PEM");
    }
    cella_result result =
        document_put(put->pccs, name, cella_bytes_of(der, size), chain[0] ? chain : NULL);
    free(der);
    return result;
}

/* ------------------------------------------------------------- PCK certificates */

static cella_result put_certificate(const struct put *put, const char *qe_id, const char *pce_id,
                                    const json_t *entry, struct pck_certificate *ret_certificate)
{
    struct pck_certificate certificate = {.pem = NULL};
    char *pem = strdup(member(entry, "cert"));
    CELLA_ENSURE(pem, OUT_OF_MEMORY);
    percent_decode(pem);
    cella_result result = pck_read(pem, &certificate);
    free(pem);
    if (!cella_is_ok(result)) {
        return fail(put, "a PCK certificate cannot be read");
    }
    if (is_hex(member(entry, "tcbm"), 36, 36)) {
        snprintf(certificate.tcbm, sizeof(certificate.tcbm), "%s", member(entry, "tcbm"));
        to_upper(certificate.tcbm);
    }
    result = pck_put(put->pccs, qe_id, pce_id, &certificate);
    pck_done(ret_certificate);
    *ret_certificate = certificate;
    return result;
}

/* The platforms of the request with these ids. */
static cella_result put_platforms(const struct put *put, const char *qe_id, const char *pce_id,
                                  const struct pck_certificate *certificate)
{
    for (size_t i = 0; i < json_array_size(put->platforms); i++) {
        const json_t *platform = json_array_get(put->platforms, i);
        if (strcasecmp(member(platform, "qe_id"), qe_id) != 0 ||
            strcasecmp(member(platform, "pce_id"), pce_id) != 0) {
            continue;
        }
        json_t *copy = json_object();
        const char *name;
        json_t *value;
        json_object_foreach((json_t *)platform, name, value)
        {
            char *text = json_is_string(value) ? strdup(json_string_value(value)) : NULL;
            if (text) {
                to_upper(text);
                json_object_set_new(copy, name, json_string(text));
            }
            free(text);
        }
        cella_result result = platform_put(put->pccs, copy, certificate->fmspc, certificate->ca);
        json_decref(copy);
        CELLA_TRY(result);
    }
    return CELLA_OK;
}

static cella_result put_pck(const struct put *put, const json_t *entry)
{
    char qe_id[261];
    char pce_id[5];
    const json_t *certs = json_object_get(entry, "certs");
    struct pck_certificate certificate = {.pem = NULL};
    if (!is_hex(member(entry, "qe_id"), 2, 260) || !is_hex(member(entry, "pce_id"), 4, 4) ||
        json_array_size(certs) == 0) {
        return fail(put, "pck_certs: expected qe_id, pce_id and certs");
    }
    strcpy(qe_id, member(entry, "qe_id"));
    strcpy(pce_id, member(entry, "pce_id"));
    to_upper(qe_id);
    to_upper(pce_id);
    cella_result result = pck_clear(put->pccs, qe_id, pce_id);
    for (size_t i = 0; i < json_array_size(certs) && cella_is_ok(result); i++) {
        result = put_certificate(put, qe_id, pce_id, json_array_get(certs, i), &certificate);
    }
    if (cella_is_ok(result)) {
        result = put_platforms(put, qe_id, pce_id, &certificate);
    }
    pck_done(&certificate);
    return result;
}

/* ----------------------------------------------------------------------- the rest */

static cella_result put_tcb(const struct put *put, const json_t *entry, const char *chain)
{
    static const struct {
        const char *member;
        const char *name;
        bool v4;
    } kinds[] = {
        {"tcbinfo", "v3/sgx/tcb/%s/standard", false},
        {"tcbinfo_early", "v3/sgx/tcb/%s/early", false},
        {"sgx_tcbinfo", "v4/sgx/tcb/%s/standard", true},
        {"sgx_tcbinfo_early", "v4/sgx/tcb/%s/early", true},
        {"tdx_tcbinfo", "v4/tdx/tcb/%s/standard", true},
        {"tdx_tcbinfo_early", "v4/tdx/tcb/%s/early", true},
    };
    char fmspc[13];
    char name[64];
    if (!is_hex(member(entry, "fmspc"), 12, 12)) {
        return fail(put, "tcbinfos: expected an fmspc of 12 hexadecimal digits");
    }
    strcpy(fmspc, member(entry, "fmspc"));
    to_upper(fmspc);
    for (size_t i = 0; i < CELLA_COUNT(kinds); i++) {
        if (kinds[i].v4 == (put->version >= 4)) {
            const char *tee = strchr(kinds[i].name, '/') + 1;
            snprintf(name, sizeof(name), "v%u/%.3s/tcb/%s/%s", put->version, tee, fmspc,
                     strrchr(kinds[i].name, '/') + 1);
            CELLA_TRY(put_text(put, name, json_object_get(entry, kinds[i].member), chain));
        }
    }
    return CELLA_OK;
}

static cella_result put_identities(const struct put *put, const char *chain)
{
    static const struct {
        const char *member;
        const char *tee;
        const char *enclave;
        const char *update;
    } kinds[] = {
        {"qeidentity", "sgx", "qe", "standard"},   {"qeidentity_early", "sgx", "qe", "early"},
        {"tdqeidentity", "tdx", "qe", "standard"}, {"tdqeidentity_early", "tdx", "qe", "early"},
        {"qveidentity", "sgx", "qve", "standard"}, {"qveidentity_early", "sgx", "qve", "early"},
    };
    char name[64];
    for (size_t i = 0; i < CELLA_COUNT(kinds); i++) {
        snprintf(name, sizeof(name), "v%u/%s/%s/%s", put->version, kinds[i].tee, kinds[i].enclave,
                 kinds[i].update);
        CELLA_TRY(put_text(put, name, json_object_get(put->collaterals, kinds[i].member), chain));
    }
    return CELLA_OK;
}

static cella_result put_lists(const struct put *put)
{
    static const struct {
        const char *member;
        const char *ca;
    } kinds[] = {{"processorCrl", "PROCESSOR"}, {"platformCrl", "PLATFORM"}};
    const json_t *crls = json_object_get(put->collaterals, "pckcacrl");
    const json_t *chains = json_object_get(put->chains, "SGX-PCK-Certificate-Issuer-Chain");
    char name[32];
    for (size_t i = 0; i < CELLA_COUNT(kinds); i++) {
        const char *chain = member(chains, kinds[i].ca);
        snprintf(name, sizeof(name), "pckcrl/%s", kinds[i].ca);
        CELLA_TRY(put_crl(put, name, json_object_get(crls, kinds[i].member), chain));
        if (chain[0]) {
            snprintf(name, sizeof(name), "pckchain/%s", kinds[i].ca);
            CELLA_TRY(document_put(put->pccs, name, cella_bytes_of("", 0), chain));
        }
    }
    return put_crl(put, "rootcacrl", json_object_get(put->collaterals, "rootcacrl"), "");
}

/* All chains of the request end in one root. */
static cella_result check_roots(const struct put *put, const char *tcb_chain,
                                const char *identity_chain)
{
    const json_t *chains = json_object_get(put->chains, "SGX-PCK-Certificate-Issuer-Chain");
    const char *all[] = {tcb_chain, identity_chain, member(chains, "PROCESSOR"),
                         member(chains, "PLATFORM")};
    const char *first = NULL;
    for (size_t i = 0; i < CELLA_COUNT(all); i++) {
        if (!all[i][0]) {
            continue;
        }
        if (first && !same_root(first, all[i])) {
            return cella_error_set(put->error, CELLA_RESULT(BAD_SIGNATURE),
                                   "the chains do not end in one root");
        }
        first = first ? first : all[i];
    }
    return CELLA_OK;
}

cella_result collateral_put_locked(struct pccs *pccs, const json_t *body, unsigned version,
                                   struct cella_error *error)
{
    struct put put = {.pccs = pccs, .version = version, .error = error};
    put.platforms = json_object_get(body, "platforms");
    put.collaterals = json_object_get(body, "collaterals");
    put.chains = json_object_get(put.collaterals, "certificates");
    const json_t *pck = json_object_get(put.collaterals, "pck_certs");
    const json_t *tcbs = json_object_get(put.collaterals, "tcbinfos");
    const char *tcb_chain =
        member(put.chains, version < 4 ? "SGX-TCB-Info-Issuer-Chain" : "TCB-Info-Issuer-Chain");
    const char *identity_chain = member(put.chains, "SGX-Enclave-Identity-Issuer-Chain");

    if (!json_is_array(put.platforms) || !json_is_array(pck) || !json_is_array(tcbs)) {
        return fail(&put, "expected platforms, and collaterals with pck_certs and tcbinfos");
    }
    CELLA_TRY(check_roots(&put, tcb_chain, identity_chain));
    for (size_t i = 0; i < json_array_size(pck); i++) {
        CELLA_TRY(put_pck(&put, json_array_get(pck, i)));
    }
    for (size_t i = 0; i < json_array_size(tcbs); i++) {
        CELLA_TRY(put_tcb(&put, json_array_get(tcbs, i), tcb_chain));
    }
    CELLA_TRY(put_identities(&put, identity_chain));
    return put_lists(&put);
}
