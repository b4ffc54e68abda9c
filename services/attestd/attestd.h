/*
 * The attestation service: what its sources share.
 * Side: services. Used inside services/attestd/ only.
 *
 * A request: evidence -> verify.c (with collateral.c) -> claims.c -> the policy in force (policies.c) -> a token (keys.c).
 */
#ifndef CELLA_ATTESTD_H
#define CELLA_ATTESTD_H

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <pthread.h>

#include "cella/evidence.h"
#include "policy/policy.h"
#include "services/common/database.h"
#include "services/common/http.h"
#include "token/internal.h"

#define KEYS_MAX 16u
#define KID_SIZE 44u
#define TOKEN_SECONDS (8 * 3600)

enum attestd_mode { MODE_AAD, MODE_ISOLATED };
enum attestd_policy_mode { POLICY_STRICT, POLICY_COMPATIBLE };

struct attestd_settings {
    struct http_options http;
    char *issuer;
    char *database;
    uint32_t mode;
    uint32_t policy_mode;
    struct setting_list signer; /* PEM files: the first policy signers of an isolated service */
    struct setting_list admin_token_sha256;
    char *admin_jwks;
    char *admin_issuer;
    char *admin_audience;
    bool insecure_open_admin;
    uint32_t signing_algorithm;
    uint32_t key_days;
    uint32_t key_overlap_seconds;
    struct setting_list root; /* PEM files of roots to trust beside, or instead of, the built-in */
    bool built_in_roots;
    struct setting_list collateral; /* directories */
    char *collateral_url;
    char *collateral_ca;
    uint32_t collateral_seconds;
    bool accept_expired_collateral;
    struct setting_list accept_status;
    char *compliance_status;
};

/* A type of evidence, as it stands in paths. */
struct attest_type {
    const char *name;     /* SgxEnclave */
    const char *token;    /* x-ms-attestation-type */
    const char *standard; /* text of the policy when none is set */
    bool served;          /* attest requests are answered */
};
#define ATTEST_TYPES 6u
extern const struct attest_type attest_types[ATTEST_TYPES];
/* -1 when there is none of that name. */
int attest_type_find(const char *name);

/* A policy ready for use; counted. */
struct policy_entry {
    _Atomic unsigned references;
    struct cella_policy *policy;
    char *jws;  /* as it was set; of the standard policy an unsigned one */
    char *text; /* of the policy */
    char hash[KID_SIZE];
    json_t *signer; /* NULL: not signed. Never changed: json_deep_copy it */
    bool is_standard;
};

struct signing_key {
    char kid[KID_SIZE];
    EVP_PKEY *key;
    X509 *certificate;
    int64_t created;
    int64_t active_from;
};

struct attestd {
    const struct attestd_settings *settings; /* those at the start */
    char *issuer;
    struct database database;
    pthread_rwlock_t policy_lock;
    struct policy_entry *policies[ATTEST_TYPES];
    pthread_rwlock_t key_lock;
    struct signing_key keys[KEYS_MAX]; /* oldest first */
    size_t key_count;
    char *jwks;
    cella_token_keys *admin_keys;
    struct collateral_cache *collateral;
    struct cella_evidence_policy evidence_policy;
    struct cella_roots roots;
};

extern struct metric attestd_metrics[];
enum { METRIC_ACCEPTED, METRIC_REFUSED, METRIC_DENIED, METRIC_FETCHES, METRIC_FETCH_FAILURES };

int64_t time_now(void);

/* ------------------------------------------------------------------------- reply.c */

/* {"error": {"code", "message"}} and x-ms-error-code. */
void reply_error(struct http_exchange *exchange, int status, const char *code, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));
/* {"token": …}: `claims` (taken over) completed with iss, iat, nbf, exp, jti, and signed. */
void reply_token(struct http_exchange *exchange, struct attestd *attestd, json_t *claims,
                 bool is_signed);
/* Is the api-version a known one? Else answers. */
bool require_version(struct http_exchange *exchange);
void attestd_fail(struct http_exchange *exchange, int status, const char *message);
void attestd_finish(struct http_exchange *exchange, void *context);

/* ------------------------------------------------------------------------- authorize.c */

cella_result admin_open(struct attestd *attestd, struct cella_error *error);
/* Is the bearer an administrator? Else answers 401. */
bool require_admin(struct http_exchange *exchange, const struct attestd *attestd);

/* ------------------------------------------------------------------------- keys.c */

cella_result keys_open(struct attestd *attestd, struct cella_error *error);
void keys_close(struct attestd *attestd);
/* A new key when the newest is old enough, or at once. */
cella_result keys_rotate(struct attestd *attestd, bool now, struct cella_error *error);
/* A token of `claims`; unsigned when asked for. From malloc. */
cella_result keys_sign(struct attestd *attestd, const json_t *claims, bool is_signed,
                       char **ret_token);

/* ------------------------------------------------------------------------- policies.c */

cella_result policies_open(struct attestd *attestd, struct cella_error *error);
void policies_close(struct attestd *attestd);
struct policy_entry *policy_get(struct attestd *attestd, int type);
/* Of a draft's text (or JWS); the error is for a person. */
cella_result policy_draft(const struct attestd *attestd, const char *text, size_t size,
                          struct policy_entry **ret_entry, struct cella_error *error);
void policy_put(struct policy_entry *entry);
void handle_policy_get(struct http_exchange *exchange, void *context);
void handle_policy_set(struct http_exchange *exchange, void *context);
void handle_policy_reset(struct http_exchange *exchange, void *context);

/* ------------------------------------------------------------------------- signers.c */

cella_result signers_open(struct attestd *attestd, struct cella_error *error);
/*
 * A JWS of an administrator: its signature, and in isolated mode that a registered signer made it. `ret_signer` is the
 * key as a JWK, NULL when it is not signed. Answers and gives false otherwise. jose_done is due on true.
 */
bool require_signed(struct http_exchange *exchange, struct attestd *attestd, const char *text,
                    size_t size, struct jose_jws *ret_jws, json_t **ret_signer);
/* The body as a JWS: without blanks and quotation marks around it. */
struct cella_bytes body_token(const struct http_exchange *exchange);
void handle_signers_get(struct http_exchange *exchange, void *context);
void handle_signers_add(struct http_exchange *exchange, void *context);
void handle_signers_remove(struct http_exchange *exchange, void *context);

/* ------------------------------------------------------------------------- collateral.c */

struct collateral_entry; /* prepared collateral, counted */

cella_result collateral_open(struct attestd *attestd, struct cella_error *error);
void collateral_close(struct attestd *attestd);
/* What is needed for this evidence. Asks the cache service when one is configured; BUSY when it would have to and may not. */
cella_result collateral_get(struct attestd *attestd, struct cella_span evidence, bool may_block,
                            struct collateral_entry **ret_entry, struct cella_error *error);
/* SIGHUP: the directories are read again. */
cella_result collateral_reload(struct attestd *attestd, struct cella_error *error);
void collateral_put(struct collateral_entry *entry);
const struct cella_prepared *collateral_prepared(const struct collateral_entry *entry);
/* The documents' hashes, as they stand in x-ms-sgx-collateral; NULL on failure. */
json_t *collateral_hashes(const struct collateral_entry *entry, struct cella_span quote);
/* Evidence that brings its certificates along (SNP). */
cella_result collateral_with(struct attestd *attestd, struct cella_span certificates,
                             struct collateral_entry **ret_entry, struct cella_error *error);
json_t *collateral_summary(const struct attestd *attestd);
/* {number, date} of the TCB infos at hand for SGX or TDX, each number once. */
json_t *collateral_baselines(const struct attestd *attestd, bool tdx);

/* ------------------------------------------------------------------------- verify.c, claims.c, attest.c */

struct evidence_check {
    struct cella_evidence_result result;
    struct collateral_entry *collateral;
};

struct evidence_input {
    struct cella_span evidence;
    struct cella_span certificates; /* brought along (SNP); may be empty */
    uint32_t evaluation_number;     /* of the TCB info, at least */
    bool may_block;
};

/* A refusal is OK with result.accepted false. On OK evidence_done is due. BUSY as of collateral_get. */
cella_result evidence_verify(struct attestd *attestd, const struct evidence_input *input,
                             struct evidence_check *ret_check, struct cella_error *error);
/* What was refused, for a person. */
void evidence_reason(const struct cella_evidence_result *result, char *text, size_t size);
void evidence_done(struct evidence_check *check);

/* Claims of verified evidence under the service's names. NULL: out of memory. */
json_t *claims_of_evidence(const struct attestd *attestd, const struct evidence_check *check);
/* Whether the root is one of those named in the configuration, not a built-in one. */
bool roots_name_software(const struct attestd *attestd);

void handle_attest(struct http_exchange *exchange, void *context);
/* POST /cella/explain, for the page. */
void handle_explain(struct http_exchange *exchange, void *context);

/* ------------------------------------------------------------------------- tpm.c */

/* POST /attest/Tpm, of a known version. */
void handle_tpm(struct http_exchange *exchange, struct attestd *attestd);

/* ------------------------------------------------------------------------- metadata.c, page.c */

void handle_certs(struct http_exchange *exchange, void *context);
void handle_openid(struct http_exchange *exchange, void *context);
void handle_baselines(struct http_exchange *exchange, void *context);
void handle_rotate(struct http_exchange *exchange, void *context);
void handle_overview(struct http_exchange *exchange, void *context);
void handle_page(struct http_exchange *exchange, void *context);

/* ------------------------------------------------------------------------- main.c */

/* The whole service; gives the exit status. */
int attestd_main(int argc, char **argv);

#endif
