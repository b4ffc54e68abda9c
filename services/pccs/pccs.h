/*
 * The collateral cache: what its sources share.
 * Side: services. Used inside services/pccs/ only. Documents are kept and given as they came; verifiers check them.
 */
#ifndef CELLA_PCCS_H
#define CELLA_PCCS_H

#include <jansson.h>

#include "common/cleanup.h"
#include "services/common/database.h"
#include "services/common/http.h"

enum pccs_mode { MODE_LAZY, MODE_REQ, MODE_OFFLINE };

struct pccs_settings {
    struct http_options http;
    char *database;
    uint32_t mode;
    char *upstream_url;
    char *upstream_ca;
    char *upstream_key;
    struct setting_list user_token_sha512;
    struct setting_list admin_token_sha512;
    uint32_t refresh_hours;
    struct setting_list platform; /* folders that `cella platform export-collateral` made */
};

struct pccs {
    const struct pccs_settings *settings;
    struct database database;
    int64_t next_refresh;
};

extern struct metric pccs_metrics[];
enum { METRIC_HIT, METRIC_MISS, METRIC_FETCH, METRIC_FETCH_FAILED };

/* Statuses of the protocol, with their texts. */
enum pccs_status {
    PCCS_SUCCESS = 200,
    PCCS_INVALID = 400,
    PCCS_UNAUTHORIZED = 401,
    PCCS_NO_CACHE_DATA = 404,
    PCCS_INTEGRITY = 460,
    PCCS_PLATFORM_UNKNOWN = 461,
    PCCS_CERTS_UNAVAILABLE = 462,
    PCCS_INTERNAL = 500,
    PCCS_UPSTREAM = 502,
    PCCS_UNAVAILABLE = 503,
};
void reply_status(struct http_exchange *exchange, enum pccs_status status);
void pccs_fail(struct http_exchange *exchange, int status, const char *message);
void pccs_finish(struct http_exchange *exchange, void *context);
bool require_user(struct http_exchange *exchange, const struct pccs *pccs);
bool require_admin(struct http_exchange *exchange, const struct pccs *pccs);
/* 3 or 4 from the path; answers 404 and gives 0 for others, and for TDX below 4. */
unsigned require_version(struct http_exchange *exchange, bool tdx);

/* ------------------------------------------------------------------------- store.c */

/*
 * A document by its name: "v4/sgx/tcb/00906EA10000/standard", "v4/tdx/qe/standard", "pckcrl/PLATFORM", "rootcacrl",
 * "crl/URI", "pckchain/PLATFORM". CRLs are in DER; `chain` is percent-encoded PEM as it goes into a header.
 */
struct document {
    uint8_t *body; /* with a zero byte behind it */
    size_t size;
    char *chain; /* may be NULL */
};
void document_done(struct document *document);

cella_result store_open(struct pccs *pccs, struct cella_error *error);
/* NOT_FOUND. */
cella_result document_get(struct pccs *pccs, const char *name, struct document *ret_document);
cella_result document_put(struct pccs *pccs, const char *name, struct cella_bytes body,
                          const char *chain);
/* Names that begin with `prefix`, as a JSON list. */
json_t *document_names(struct pccs *pccs, const char *prefix);

/* All hexadecimal in upper case. */
struct pck_certificate {
    char *pem;
    char tcbm[37];
    char fmspc[13];
    char ca[10]; /* PLATFORM or PROCESSOR */
};
void pck_done(struct pck_certificate *certificate);
cella_result pck_put(struct pccs *pccs, const char *qe_id, const char *pce_id,
                     const struct pck_certificate *certificate);
cella_result pck_clear(struct pccs *pccs, const char *qe_id, const char *pce_id);
/*
 * The best certificate for these versions: of those that none exceeds, the one with the highest. NOT_FOUND: no
 * certificate of this platform; SVN_TOO_OLD: all are for later versions.
 */
cella_result pck_get(struct pccs *pccs, const char *qe_id, const char *pce_id, const char *cpu_svn,
                     const char *pce_svn, struct pck_certificate *ret_certificate);

/* What a platform said of itself; members as in the protocol, all strings. */
cella_result platform_put(struct pccs *pccs, const json_t *platform, const char *fmspc,
                          const char *ca);
cella_result registration_put(struct pccs *pccs, const json_t *platform, bool available);
/* Those of `available`, or those cached with one of `fmspcs` (a list; empty: all); taken away when `take`. */
json_t *registrations(struct pccs *pccs, bool available, bool take);
json_t *platforms_of(struct pccs *pccs, const json_t *fmspcs);
/* Everything, for bundles. NULL on failure. */
json_t *store_export(struct pccs *pccs);
cella_result store_import(struct pccs *pccs, const json_t *bundle, struct cella_error *error);

/* ------------------------------------------------------------------------- certificate.c */

/* FMSPC, TCBm and kind of CA of a PCK certificate. BAD_FIELD. */
cella_result pck_read(const char *pem, struct pck_certificate *ret_certificate);
/* The last certificates of both chains are the same one; true when one is missing. */
bool same_root(const char *encoded_chain, const char *other);
/* Percent-encodes; from malloc. And back, in place. */
char *percent_encode(const char *text, size_t size);
void percent_decode(char *text);
bool is_hex(const char *text, size_t least, size_t most);
void to_upper(char *text);
/* DER of a CRL that is in DER, PEM or hexadecimal; from malloc. */
cella_result crl_der(struct cella_bytes crl, uint8_t **ret_der, size_t *ret_size);
/* And its PEM; from malloc, NULL when it cannot be read. */
char *crl_pem(struct cella_bytes der);
/* The last certificate of a chain alone, percent-encoded as the chain is; from malloc, NULL when there is none. */
char *chain_root(const char *encoded_chain);

/* ------------------------------------------------------------------------- upstream.c */

/*
 * A document from upstream into the cache. `path` stands behind the upstream's base, which has the version and TEE that
 * the name begins with. NOT_FOUND, IO, or UNSUPPORTED when there is no upstream.
 */
cella_result upstream_fetch(struct pccs *pccs, const char *name, struct cella_error *error);
cella_result upstream_pck(struct pccs *pccs, const char *qe_id, const char *pce_id,
                          const char *cpu_svn, const char *pce_svn, const char *encrypted_ppid,
                          struct cella_error *error);
/* All documents (or, with `certificates`, all PCK certificates, of one FMSPC when it is given) anew. */
cella_result upstream_refresh(struct pccs *pccs, bool certificates, const char *fmspc,
                              struct cella_error *error);

/* ------------------------------------------------------------------------- folder.c */

/* A software platform's folder. */
cella_result folder_import(struct pccs *pccs, const char *folder, struct cella_error *error);

/* ------------------------------------------------------------------------- collateral.c */

/* What PUT /platformcollateral brings, all of it or nothing. BAD_FIELD, BAD_SIGNATURE (roots differ). */
cella_result collateral_put(struct pccs *pccs, const json_t *body, unsigned version,
                            struct cella_error *error);
/* The same inside the transaction that store.c opens. */
cella_result collateral_put_locked(struct pccs *pccs, const json_t *body, unsigned version,
                                   struct cella_error *error);

/* ------------------------------------------------------------------------- azure.c */

/* Whether the client speaks the dialect of Azure's caches, and whether it takes lists in PEM. */
bool azure_asks(const struct http_exchange *exchange);
bool azure_wants_pem(const struct http_exchange *exchange);
/* To such a client: how long what follows may be kept. */
void azure_keep(struct http_exchange *exchange);
void azure_reply_pck(struct http_exchange *exchange, const struct pck_certificate *certificate,
                     const char *chain);
/*
 * The document that an address of a list stands for: the root's and the PCK CAs' only, NULL for others. Nothing is
 * fetched from an address that a client names.
 */
const char *list_at(const char *uri);

/* ------------------------------------------------------------------------- handlers */

void handle_pckcert(struct http_exchange *exchange, void *context);
void handle_pckcrl(struct http_exchange *exchange, void *context);
void handle_sgx_tcb(struct http_exchange *exchange, void *context);
void handle_tdx_tcb(struct http_exchange *exchange, void *context);
void handle_sgx_qe(struct http_exchange *exchange, void *context);
void handle_tdx_qe(struct http_exchange *exchange, void *context);
void handle_qve(struct http_exchange *exchange, void *context);
void handle_rootcacrl(struct http_exchange *exchange, void *context);
void handle_crl(struct http_exchange *exchange, void *context);
void handle_platforms_post(struct http_exchange *exchange, void *context);
void handle_platforms_get(struct http_exchange *exchange, void *context);
void handle_collateral(struct http_exchange *exchange, void *context);
void handle_refresh(struct http_exchange *exchange, void *context);
void handle_policy_put(struct http_exchange *exchange, void *context);
void handle_policy_get(struct http_exchange *exchange, void *context);
void handle_bundle_get(struct http_exchange *exchange, void *context);
void handle_bundle_put(struct http_exchange *exchange, void *context);

#endif
