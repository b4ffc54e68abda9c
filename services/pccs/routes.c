/*
 * What platforms and verifiers ask for.
 * Side: services. Called by the HTTP server. What is not cached comes from upstream in lazy mode only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/pccs/pccs.h"

static const struct {
    enum pccs_status status;
    const char *text;
} g_statuses[] = {
    {PCCS_SUCCESS, "Operation successful."},
    {PCCS_INVALID, "Invalid request parameters."},
    {PCCS_UNAUTHORIZED, "Authentication failed."},
    {PCCS_NO_CACHE_DATA, "No cache data for this platform."},
    {PCCS_INTEGRITY, "The integrity of the data can't be verified."},
    {PCCS_PLATFORM_UNKNOWN, "The platform was not found in the cache."},
    {PCCS_CERTS_UNAVAILABLE, "Certificates are not available for certain TCBs."},
    {PCCS_INTERNAL, "Internal server error occurred."},
    {PCCS_UPSTREAM, "Unable to retrieve the collateral from the Intel SGX PCS."},
    {PCCS_UNAVAILABLE, "Server is currently unable to process the request."},
};

void reply_status(struct http_exchange *exchange, enum pccs_status status)
{
    for (size_t i = 0; i < CELLA_COUNT(g_statuses); i++) {
        if (g_statuses[i].status == status) {
            http_reply(exchange, (int)status, "text/html; charset=utf-8",
                       cella_bytes_of(g_statuses[i].text, strlen(g_statuses[i].text)));
        }
    }
}

void pccs_fail(struct http_exchange *exchange, int status, const char *message)
{
    http_reply(exchange, status, "text/plain; charset=utf-8",
               cella_bytes_of(message, strlen(message)));
}

void pccs_finish(struct http_exchange *exchange, void *context)
{
    (void)context;
    http_reply_header(exchange, "Request-ID", http_id(exchange));
    http_reply_header(exchange, "X-Content-Type-Options", "nosniff");
}

unsigned require_version(struct http_exchange *exchange, bool tdx)
{
    const char *version = http_segment(exchange, 0);
    if (version && strcmp(version, "v4") == 0) {
        return 4;
    }
    if (version && strcmp(version, "v3") == 0 && !tdx) {
        return 3;
    }
    pccs_fail(exchange, 404, "this version of the API is not served; expected v3 or v4");
    return 0;
}

static void reply_failure(struct http_exchange *exchange, cella_result result)
{
    switch (result.code) {
    case CELLA_CODE_NOT_FOUND:
    case CELLA_CODE_UNSUPPORTED:
        reply_status(exchange, PCCS_NO_CACHE_DATA);
        break;
    case CELLA_CODE_IO:
    case CELLA_CODE_BAD_FIELD:
        reply_status(exchange, PCCS_UPSTREAM);
        break;
    default:
        http_note(exchange, "%s", cella_result_text(result));
        reply_status(exchange, PCCS_INTERNAL);
        break;
    }
}

/* A document from the cache, or in lazy mode from upstream. BUSY: to be asked again where it may block. */
static cella_result obtain(struct http_exchange *exchange, struct pccs *pccs, const char *name,
                           struct document *ret_document)
{
    struct cella_error error = {0};
    cella_result result = document_get(pccs, name, ret_document);
    metric_add(&pccs_metrics[cella_is_ok(result) ? METRIC_HIT : METRIC_MISS], 1);
    if (result.code != CELLA_CODE_NOT_FOUND || pccs->settings->mode != MODE_LAZY ||
        !pccs->settings->upstream_url) {
        return result;
    }
    CELLA_ENSURE(http_may_block(exchange), BUSY);
    CELLA_TRY(upstream_fetch(pccs, name, &error));
    return document_get(pccs, name, ret_document);
}

static void reply_document(struct http_exchange *exchange, struct pccs *pccs, const char *name,
                           const char *fallback, const char *chain_header, const char *type)
{
    struct document document = {0};
    cella_result result = obtain(exchange, pccs, name, &document);
    if (!cella_is_ok(result) && result.code != CELLA_CODE_BUSY && fallback) {
        result = obtain(exchange, pccs, fallback, &document);
    }
    if (result.code == CELLA_CODE_BUSY && !http_may_block(exchange)) {
        http_later(exchange);
        return;
    }
    if (!cella_is_ok(result)) {
        reply_failure(exchange, result);
        return;
    }
    if (chain_header && document.chain) {
        http_reply_header(exchange, chain_header, document.chain);
    }
    azure_keep(exchange);
    http_reply(exchange, 200, type, cella_bytes_of(document.body, document.size));
    document_done(&document);
}

/* standard or early; NULL with an answer for anything else. */
static const char *update_type(struct http_exchange *exchange)
{
    const char *update = http_query(exchange, "update");
    if (!update || strcasecmp(update, "standard") == 0) {
        return "standard";
    }
    if (strcasecmp(update, "early") == 0) {
        return "early";
    }
    reply_status(exchange, PCCS_INVALID);
    return NULL;
}

/* ------------------------------------------------------------------ PCK certificate */

struct pck_query {
    char qe_id[261];
    char cpu_svn[33];
    char pce_svn[5];
    char pce_id[5];
    char ppid[769]; /* empty: not given */
};

static bool take_hex(struct http_exchange *exchange, const char *name, size_t least, size_t most,
                     char *out)
{
    const char *value = http_query(exchange, name);
    if (!is_hex(value, least, most)) {
        return false;
    }
    strcpy(out, value);
    to_upper(out);
    return true;
}

static bool read_query(struct http_exchange *exchange, struct pck_query *query)
{
    memset(query, 0, sizeof(*query));
    return take_hex(exchange, "qeid", 2, 260, query->qe_id) &&
           take_hex(exchange, "cpusvn", 32, 32, query->cpu_svn) &&
           take_hex(exchange, "pcesvn", 4, 4, query->pce_svn) &&
           take_hex(exchange, "pceid", 4, 4, query->pce_id) &&
           (!http_query(exchange, "encrypted_ppid") ||
            take_hex(exchange, "encrypted_ppid", 768, 768, query->ppid));
}

static cella_result find_pck(struct pccs *pccs, const struct pck_query *query,
                             struct pck_certificate *ret_certificate)
{
    cella_result result =
        pck_get(pccs, query->qe_id, query->pce_id, query->cpu_svn, query->pce_svn, ret_certificate);
    if (result.code ==
        CELLA_CODE_NOT_FOUND) { /* a software platform's is for any of its enclaves */
        result = pck_get(pccs, "*", "*", query->cpu_svn, query->pce_svn, ret_certificate);
    }
    return result;
}

static void reply_pck(struct http_exchange *exchange, struct pccs *pccs,
                      const struct pck_certificate *certificate)
{
    struct document chain = {0};
    char name[32];
    snprintf(name, sizeof(name), "pckchain/%s", certificate->ca);
    cella_result result = document_get(pccs, name, &chain);
    if (!cella_is_ok(result) || !chain.chain) {
        reply_failure(exchange, CELLA_RESULT(NOT_FOUND));
    } else if (azure_asks(exchange)) {
        azure_reply_pck(exchange, certificate, chain.chain);
    } else {
        http_reply_header(exchange, "SGX-TCBm", certificate->tcbm);
        http_reply_header(exchange, "SGX-FMSPC", certificate->fmspc);
        http_reply_header(exchange, "SGX-PCK-Certificate-CA-Type", certificate->ca);
        http_reply_header(exchange, "SGX-PCK-Certificate-Issuer-Chain", chain.chain);
        http_reply(exchange, 200, "application/x-pem-file",
                   cella_bytes_of(certificate->pem, strlen(certificate->pem)));
    }
    document_done(&chain);
}

void handle_pckcert(struct http_exchange *exchange, void *context)
{
    struct pccs *pccs = context;
    struct pck_query query;
    struct pck_certificate certificate = {.pem = NULL};
    struct cella_error error = {0};
    if (!require_version(exchange, false)) {
        return;
    }
    if (!read_query(exchange, &query)) {
        reply_status(exchange, PCCS_INVALID);
        return;
    }
    cella_result result = find_pck(pccs, &query, &certificate);
    bool known = result.code == CELLA_CODE_SVN_TOO_OLD;
    metric_add(&pccs_metrics[cella_is_ok(result) ? METRIC_HIT : METRIC_MISS], 1);
    if (!cella_is_ok(result) && pccs->settings->mode == MODE_LAZY && pccs->settings->upstream_url) {
        if (!http_may_block(exchange)) {
            http_later(exchange);
            return;
        }
        result = upstream_pck(pccs, query.qe_id, query.pce_id, query.cpu_svn, query.pce_svn,
                              query.ppid[0] ? query.ppid : NULL, &error);
        if (cella_is_ok(result)) {
            result = find_pck(pccs, &query, &certificate);
        } else if (result.code == CELLA_CODE_NOT_FOUND) {
            reply_status(exchange, known ? PCCS_CERTS_UNAVAILABLE : PCCS_PLATFORM_UNKNOWN);
            return;
        }
    }
    if (cella_is_ok(result)) {
        reply_pck(exchange, pccs, &certificate);
    } else if (result.code == CELLA_CODE_SVN_TOO_OLD) {
        reply_status(exchange, PCCS_CERTS_UNAVAILABLE);
    } else {
        reply_failure(exchange, result);
    }
    pck_done(&certificate);
}

/* ------------------------------------------------------------------------- lists */

enum list_form { LIST_HEX, LIST_DER, LIST_PEM };

static char *hex_of(const struct document *document)
{
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(2 * document->size + 1);
    for (size_t i = 0; text && i < document->size; i++) {
        text[2 * i] = digits[document->body[i] >> 4];
        text[2 * i + 1] = digits[document->body[i] & 15];
    }
    if (text) {
        text[2 * document->size] = 0;
    }
    return text;
}

static void reply_list(struct http_exchange *exchange, const struct document *document,
                       enum list_form form, const char *type)
{
    struct cella_bytes der = cella_bytes_of(document->body, document->size);
    if (form == LIST_DER) {
        http_reply(exchange, 200, type, der);
        return;
    }
    char *text = form == LIST_PEM ? crl_pem(der) : hex_of(document);
    if (text) {
        http_reply(exchange, 200, type, cella_bytes_of(text, strlen(text)));
    } else {
        reply_status(exchange, PCCS_INTERNAL);
    }
    free(text);
}

/* The certificates above a list. The root's own come with no chain: it is the last one of the others. */
static void put_list_chain(struct http_exchange *exchange, struct pccs *pccs, const char *name,
                           const struct document *list)
{
    struct document platform = {0};
    char *root = NULL;
    const char *chain = list->chain;
    if (azure_asks(exchange) && strcmp(name, "rootcacrl") == 0) {
        if (cella_is_ok(document_get(pccs, "pckchain/PLATFORM", &platform)) ||
            cella_is_ok(document_get(pccs, "pckchain/PROCESSOR", &platform))) {
            root = platform.chain ? chain_root(platform.chain) : NULL;
        }
        chain = root;
    }
    if (chain) {
        http_reply_header(exchange, "SGX-PCK-CRL-Issuer-Chain", chain);
    }
    free(root);
    document_done(&platform);
}

static void reply_crl(struct http_exchange *exchange, struct pccs *pccs, const char *name,
                      enum list_form form, bool with_chain, const char *type)
{
    struct document document = {0};
    cella_result result = obtain(exchange, pccs, name, &document);
    if (result.code == CELLA_CODE_BUSY && !http_may_block(exchange)) {
        http_later(exchange);
        return;
    }
    if (!cella_is_ok(result)) {
        reply_failure(exchange, result);
        return;
    }
    if (with_chain) {
        put_list_chain(exchange, pccs, name, &document);
    }
    azure_keep(exchange);
    reply_list(exchange, &document, form, type);
    document_done(&document);
}

/* By the CA's name, or, as Azure's clients do, by the list's address. */
void handle_pckcrl(struct http_exchange *exchange, void *context)
{
    const char *ca = http_query(exchange, "ca");
    const char *encoding = http_query(exchange, "encoding");
    if (!require_version(exchange, false)) {
        return;
    }
    const char *name = !ca                                ? list_at(http_query(exchange, "uri"))
                       : strcasecmp(ca, "platform") == 0  ? "pckcrl/PLATFORM"
                       : strcasecmp(ca, "processor") == 0 ? "pckcrl/PROCESSOR"
                                                          : NULL;
    if (!name) {
        reply_status(exchange, PCCS_INVALID);
    } else if (!ca) {
        bool pem = azure_wants_pem(exchange);
        reply_crl(exchange, context, name, pem ? LIST_PEM : LIST_DER, true,
                  pem ? "application/x-pem-file" : "application/pkix-crl");
    } else if (encoding && strcasecmp(encoding, "der") == 0) {
        reply_crl(exchange, context, name, LIST_DER, true, "application/pkix-crl");
    } else {
        reply_crl(exchange, context, name, LIST_HEX, true, "application/x-pem-file");
    }
}

void handle_rootcacrl(struct http_exchange *exchange, void *context)
{
    if (require_version(exchange, false)) {
        reply_crl(exchange, context, "rootcacrl", LIST_HEX, azure_asks(exchange),
                  "application/pkix-crl");
    }
}

void handle_crl(struct http_exchange *exchange, void *context)
{
    if (!require_version(exchange, false)) {
        return;
    }
    const char *name = list_at(http_query(exchange, "uri"));
    if (name) {
        reply_crl(exchange, context, name, LIST_DER, false, "application/pkix-crl");
    } else {
        reply_status(exchange, PCCS_INVALID);
    }
}

/* --------------------------------------------------------------------- documents */

static void reply_tcb(struct http_exchange *exchange, struct pccs *pccs, bool tdx)
{
    char fmspc[13];
    char name[64];
    char fallback[64];
    unsigned version = require_version(exchange, tdx);
    if (!version) {
        return;
    }
    const char *update = update_type(exchange);
    if (!update) {
        return;
    }
    if (!take_hex(exchange, "fmspc", 12, 12, fmspc)) {
        reply_status(exchange, PCCS_INVALID);
        return;
    }
    snprintf(name, sizeof(name), "v%u/%s/tcb/%s/%s", version, tdx ? "tdx" : "sgx", fmspc, update);
    snprintf(fallback, sizeof(fallback), "v4/sgx/tcb/%s/%s", fmspc, update);
    reply_document(exchange, pccs, name, version < 4 ? fallback : NULL,
                   version < 4 ? "SGX-TCB-Info-Issuer-Chain" : "TCB-Info-Issuer-Chain",
                   "application/json");
}

void handle_sgx_tcb(struct http_exchange *exchange, void *context)
{
    reply_tcb(exchange, context, false);
}

void handle_tdx_tcb(struct http_exchange *exchange, void *context)
{
    reply_tcb(exchange, context, true);
}

static void reply_identity(struct http_exchange *exchange, struct pccs *pccs, const char *tee,
                           const char *enclave)
{
    char name[64];
    char fallback[64];
    unsigned version = require_version(exchange, strcmp(tee, "tdx") == 0);
    const char *update = version ? update_type(exchange) : NULL;
    if (update) {
        snprintf(name, sizeof(name), "v%u/%s/%s/%s", version, tee, enclave, update);
        snprintf(fallback, sizeof(fallback), "v4/%s/%s/%s", tee, enclave, update);
        reply_document(exchange, pccs, name, version < 4 ? fallback : NULL,
                       "SGX-Enclave-Identity-Issuer-Chain", "application/json");
    }
}

void handle_sgx_qe(struct http_exchange *exchange, void *context)
{
    reply_identity(exchange, context, "sgx", "qe");
}

void handle_tdx_qe(struct http_exchange *exchange, void *context)
{
    reply_identity(exchange, context, "tdx", "qe");
}

void handle_qve(struct http_exchange *exchange, void *context)
{
    reply_identity(exchange, context, "sgx", "qve");
}
