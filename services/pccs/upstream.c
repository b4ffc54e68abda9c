/*
 * Collateral from upstream: another cache, or the provisioning service itself.
 * Side: services. Called on threads that may block. What comes is kept as it came.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/common/fetch.h"
#include "services/common/log.h"
#include "services/pccs/pccs.h"

static cella_result get(struct pccs *pccs, const char *url, struct fetch_answer *ret_answer,
                        struct cella_error *error)
{
    const struct fetch_options options = {.ca_file = pccs->settings->upstream_ca,
                                          .key_name = "Ocp-Apim-Subscription-Key",
                                          .key_value = pccs->settings->upstream_key,
                                          .seconds = 10,
                                          .size_max = 4 << 20};
    metric_add(&pccs_metrics[METRIC_FETCH], 1);
    cella_result result = fetch_get(url, &options, ret_answer, error);
    if (cella_is_ok(result) && ret_answer->status != 200) {
        result = cella_error_set(error,
                                 ret_answer->status == 404 || ret_answer->status == 461
                                     ? CELLA_RESULT(NOT_FOUND)
                                     : CELLA_RESULT(IO),
                                 "%s: status %d", url, ret_answer->status);
        fetch_done(ret_answer);
    }
    if (!cella_is_ok(result)) {
        metric_add(&pccs_metrics[METRIC_FETCH_FAILED], 1);
        log_say(LOG_WARNING, "upstream", "%s", error->text);
    }
    return result;
}

/* The upstream's base with this version and TEE in the place of those it is configured with. */
static void base_of(const struct pccs *pccs, const char *tee, unsigned version, char *out,
                    size_t size)
{
    const char *url = pccs->settings->upstream_url;
    const char *place = strstr(url, "/sgx/certification/v");
    if (place) {
        snprintf(out, size, "%.*s/%s/certification/v%u", (int)(place - url), url, tee, version);
    } else {
        snprintf(out, size, "%s", url);
    }
}

/* From a document's name to its address; the chain's header comes along. False: not one of upstream's. */
static bool address_of(const struct pccs *pccs, const char *name, char *url, size_t size,
                       const char **ret_header)
{
    char base[768];
    char tee[4];
    char fmspc[13];
    char update[16];
    char what[16];
    unsigned version;
    if (sscanf(name, "v%1u/%3[a-z]/tcb/%12[0-9A-F]/%15[a-z]", &version, tee, fmspc, update) == 4) {
        base_of(pccs, tee, version, base, sizeof(base));
        snprintf(url, size, "%s/tcb?fmspc=%s%s", base, fmspc,
                 strcmp(update, "early") == 0 ? "&update=early" : "");
        *ret_header = version < 4 ? "SGX-TCB-Info-Issuer-Chain" : "TCB-Info-Issuer-Chain";
        return true;
    }
    if (sscanf(name, "v%1u/%3[a-z]/%3[a-z]/%15[a-z]", &version, tee, what, update) == 4) {
        base_of(pccs, tee, version, base, sizeof(base));
        snprintf(url, size, "%s/%s/identity%s", base, what,
                 strcmp(update, "early") == 0 ? "?update=early" : "");
        *ret_header = "SGX-Enclave-Identity-Issuer-Chain";
        return true;
    }
    base_of(pccs, "sgx", 4, base, sizeof(base));
    if (strncmp(name, "pckcrl/", 7) == 0) {
        snprintf(url, size, "%s/pckcrl?ca=%s&encoding=der", base,
                 strcmp(name + 7, "PLATFORM") == 0 ? "platform" : "processor");
        *ret_header = "SGX-PCK-CRL-Issuer-Chain";
        return true;
    }
    if (strcmp(name, "rootcacrl") == 0) {
        snprintf(url, size, "%s/rootcacrl", base);
        return true;
    }
    return false;
}

static bool is_crl(const char *name)
{
    return strncmp(name, "pckcrl/", 7) == 0 || strcmp(name, "rootcacrl") == 0 ||
           strncmp(name, "crl/", 4) == 0;
}

cella_result upstream_fetch(struct pccs *pccs, const char *name, struct cella_error *error)
{
    char url[1024];
    const char *header = NULL;
    struct fetch_answer answer = {0};
    uint8_t *der = NULL;
    size_t size = 0;

    if (!pccs->settings->upstream_url || !address_of(pccs, name, url, sizeof(url), &header)) {
        return CELLA_RESULT(UNSUPPORTED);
    }
    CELLA_TRY(get(pccs, url, &answer, error));
    struct cella_bytes body = cella_bytes_of(answer.body, answer.size);
    cella_result result = CELLA_OK;
    if (is_crl(name)) {
        result = crl_der(body, &der, &size);
        body = cella_bytes_of(der, size);
    }
    const char *chain = header ? fetch_header(&answer, header) : NULL;
    if (cella_is_ok(result)) {
        result = document_put(pccs, name, body, chain);
    }
    free(der);
    fetch_done(&answer);
    return result;
}

cella_result upstream_pck(struct pccs *pccs, const char *qe_id, const char *pce_id,
                          const char *cpu_svn, const char *pce_svn, const char *encrypted_ppid,
                          struct cella_error *error)
{
    char url[2600];
    char base[768];
    char name[32];
    struct fetch_answer answer = {0};
    struct pck_certificate certificate = {.pem = NULL};

    CELLA_ENSURE(pccs->settings->upstream_url, UNSUPPORTED);
    base_of(pccs, "sgx", 4, base, sizeof(base));
    snprintf(url, sizeof(url), "%s/pckcert?qeid=%s&cpusvn=%s&pcesvn=%s&pceid=%s%s%s", base, qe_id,
             cpu_svn, pce_svn, pce_id, encrypted_ppid ? "&encrypted_ppid=" : "",
             encrypted_ppid ? encrypted_ppid : "");
    CELLA_TRY(get(pccs, url, &answer, error));
    cella_result result = pck_read(answer.body, &certificate);
    const char *tcbm = fetch_header(&answer, "SGX-TCBm");
    if (cella_is_ok(result) && is_hex(tcbm, 36, 36)) {
        snprintf(certificate.tcbm, sizeof(certificate.tcbm), "%s", tcbm);
        to_upper(certificate.tcbm);
    }
    if (cella_is_ok(result)) {
        json_t *platform = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "qe_id", qe_id, "pce_id",
                                     pce_id, "cpu_svn", cpu_svn, "pce_svn", pce_svn, "enc_ppid",
                                     encrypted_ppid ? encrypted_ppid : "", "platform_manifest", "");
        result = platform_put(pccs, platform, certificate.fmspc, certificate.ca);
        json_decref(platform);
    }
    if (cella_is_ok(result)) {
        result = pck_put(pccs, qe_id, pce_id, &certificate);
    }
    const char *chain = fetch_header(&answer, "SGX-PCK-Certificate-Issuer-Chain");
    if (cella_is_ok(result) && chain) {
        snprintf(name, sizeof(name), "pckchain/%s", certificate.ca);
        result = document_put(pccs, name, cella_bytes_of("", 0), chain);
    }
    pck_done(&certificate);
    fetch_done(&answer);
    return result;
}

static cella_result refresh_certificates(struct pccs *pccs, const char *fmspc,
                                         struct cella_error *error)
{
    cella_result result = CELLA_OK;
    json_t *wanted = json_array();
    if (fmspc) {
        json_array_append_new(wanted, json_string(fmspc));
    }
    json_t *list = platforms_of(pccs, wanted);
    for (size_t i = 0; i < json_array_size(list) && cella_is_ok(result); i++) {
        const char *values[5] = {NULL};
        static const char *const names[] = {"qe_id", "pce_id", "cpu_svn", "pce_svn", "enc_ppid"};
        for (size_t j = 0; j < CELLA_COUNT(names); j++) {
            values[j] = json_string_value(json_object_get(json_array_get(list, i), names[j]));
        }
        if (values[0] && values[1] && is_hex(values[2], 32, 32) && is_hex(values[3], 4, 4)) {
            result = upstream_pck(pccs, values[0], values[1], values[2], values[3],
                                  values[4] && values[4][0] ? values[4] : NULL, error);
        }
    }
    json_decref(list);
    json_decref(wanted);
    return result;
}

cella_result upstream_refresh(struct pccs *pccs, bool certificates, const char *fmspc,
                              struct cella_error *error)
{
    CELLA_ENSURE(pccs->settings->upstream_url, UNSUPPORTED);
    if (certificates) {
        return refresh_certificates(pccs, fmspc, error);
    }
    cella_result result = CELLA_OK;
    json_t *names = document_names(pccs, "");
    for (size_t i = 0; i < json_array_size(names) && cella_is_ok(result); i++) {
        result = upstream_fetch(pccs, json_string_value(json_array_get(names, i)), error);
        if (result.code == CELLA_CODE_UNSUPPORTED || result.code == CELLA_CODE_NOT_FOUND) {
            result = CELLA_OK; /* not one of upstream's: a software platform's, a policy */
        }
    }
    json_decref(names);
    return result;
}
