/*
 * cella-attestd: the attestation service.
 * Side: services. The program's entry. Never does the work of a request itself.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "services/attestd/attestd.h"
#include "services/common/daemon.h"
#include "services/common/log.h"

#define LISTEN "tcp://127.0.0.1:8443"

static const char g_usage[] =
    "usage: cella-attestd [--config FILE] [--check]\n"
    "\n"
    "The attestation service: Azure Attestation's data plane over the Cella verifier.\n"
    "\n"
    "  --config FILE   read FILE; without it every key has its default\n"
    "  --check         say whether FILE is good, and end\n"
    "  --version       print the version\n"
    "\n"
    "cella-attestd(8) describes the keys. SIGHUP reads FILE, the certificate and collateral "
    "again;\n"
    "SIGTERM lets requests end first.\n";

static const char *const g_modes[] = {"aad", "isolated", NULL};
static const char *const g_policy_modes[] = {"strict", "compatible", NULL};
static const char *const g_algorithms[] = {"RS256", "ES256", NULL};

#define FIELD(name) offsetof(struct attestd_settings, name)

static const struct setting g_settings[] = {
    HTTP_SETTINGS(struct attestd_settings, http, LISTEN),
    {"issuer", SETTING_TEXT, FIELD(issuer), 0, 0, NULL, NULL},
    {"database", SETTING_TEXT, FIELD(database), 0, 0, NULL, "attestd.sqlite"},
    {"mode", SETTING_CHOICE, FIELD(mode), 0, 0, g_modes, "aad"},
    {"policy_mode", SETTING_CHOICE, FIELD(policy_mode), 0, 0, g_policy_modes, "strict"},
    {"signer", SETTING_LIST, FIELD(signer), 0, 0, NULL, NULL},
    {"admin_token_sha256", SETTING_LIST, FIELD(admin_token_sha256), 0, 0, NULL, NULL},
    {"admin_jwks", SETTING_TEXT, FIELD(admin_jwks), 0, 0, NULL, NULL},
    {"admin_issuer", SETTING_TEXT, FIELD(admin_issuer), 0, 0, NULL, NULL},
    {"admin_audience", SETTING_TEXT, FIELD(admin_audience), 0, 0, NULL, NULL},
    {"insecure_open_admin", SETTING_FLAG, FIELD(insecure_open_admin), 0, 0, NULL, "no"},
    {"signing_algorithm", SETTING_CHOICE, FIELD(signing_algorithm), 0, 0, g_algorithms, "RS256"},
    {"key_days", SETTING_NUMBER, FIELD(key_days), 1, 3650, NULL, "90"},
    {"key_overlap_seconds", SETTING_NUMBER, FIELD(key_overlap_seconds), 0, 2592000, NULL, "86400"},
    {"root", SETTING_LIST, FIELD(root), 0, 0, NULL, NULL},
    {"built_in_roots", SETTING_FLAG, FIELD(built_in_roots), 0, 0, NULL, "yes"},
    {"collateral", SETTING_LIST, FIELD(collateral), 0, 0, NULL, NULL},
    {"collateral_url", SETTING_TEXT, FIELD(collateral_url), 0, 0, NULL, NULL},
    {"collateral_ca", SETTING_TEXT, FIELD(collateral_ca), 0, 0, NULL, NULL},
    {"collateral_seconds", SETTING_NUMBER, FIELD(collateral_seconds), 1, 2592000, NULL, "3600"},
    {"accept_expired_collateral", SETTING_FLAG, FIELD(accept_expired_collateral), 0, 0, NULL, "no"},
    {"accept_status", SETTING_LIST, FIELD(accept_status), 0, 0, NULL, NULL},
    {"compliance_status", SETTING_TEXT, FIELD(compliance_status), 0, 0, NULL, NULL},
    {NULL, SETTING_TEXT, 0, 0, 0, NULL, NULL},
};

struct metric attestd_metrics[] = {
    [METRIC_ACCEPTED] = {"cella_attestd_attestations_total", "Attest requests by outcome.",
                         "outcome=\"token\"", false, 0},
    [METRIC_REFUSED] = {"cella_attestd_attestations_total", "Attest requests by outcome.",
                        "outcome=\"evidence\"", false, 0},
    [METRIC_DENIED] = {"cella_attestd_attestations_total", "Attest requests by outcome.",
                       "outcome=\"policy\"", false, 0},
    [METRIC_FETCHES] = {"cella_attestd_collateral_fetches_total", "Documents asked for.", NULL,
                        false, 0},
    [METRIC_FETCH_FAILURES] = {"cella_attestd_collateral_failures_total", "Fetches that failed.",
                               NULL, false, 0},
    {NULL, NULL, NULL, false, 0},
};

static const struct http_route g_routes[] = {
    {"GET", "/certs", handle_certs, false},
    {"GET", "/.well-known/openid-configuration", handle_openid, false},
    {"POST", "/attest/{type}", handle_attest, false},
    {"GET", "/policies/{type}", handle_policy_get, false},
    {"PUT", "/policies/{type}", handle_policy_set, true},
    {"POST", "/policies/{type}:reset", handle_policy_reset, true},
    {"GET", "/certificates", handle_signers_get, false},
    {"POST", "/certificates:add", handle_signers_add, true},
    {"POST", "/certificates:remove", handle_signers_remove, true},
    {"GET", "/tcbbaselines/{type}", handle_baselines, false},
    {"POST", "/cella/keys:rotate", handle_rotate, true},
    {"POST", "/cella/explain", handle_explain, false},
    {"GET", "/cella/overview", handle_overview, false},
    {"GET", "/cella/page.css", handle_page, false},
    {"GET", "/cella/page.js", handle_page, false},
    {"GET", "/", handle_page, false},
};

static const char *const g_schema[] = {
    "CREATE TABLE policies(type TEXT PRIMARY KEY, jws TEXT NOT NULL, signer TEXT, changed INTEGER);"
    "CREATE TABLE signers(thumbprint TEXT PRIMARY KEY, der BLOB NOT NULL);"
    "CREATE TABLE keys(kid TEXT PRIMARY KEY, private BLOB NOT NULL, certificate BLOB NOT NULL,"
    " created INTEGER NOT NULL, active_from INTEGER NOT NULL);",
};

static cella_result read_roots(struct attestd *attestd, struct cella_error *error)
{
    const struct setting_list *list = &attestd->settings->root;
    attestd->roots.no_built_in = !attestd->settings->built_in_roots;
    for (size_t i = 0; i < list->count; i++) {
        char *text;
        size_t size;
        CELLA_TRY(file_read(list->items[i], 1 << 20, &text, &size, error));
        const struct cella_span span = {(const uint8_t *)text, size};
        cella_result result = cella_roots_add(&attestd->roots, span);
        free(text);
        if (!cella_is_ok(result)) {
            return cella_error_set(error, result, "root = %s: %s", list->items[i],
                                   cella_result_text(result));
        }
    }
    return CELLA_OK;
}

static cella_result read_statuses(struct attestd *attestd, struct cella_error *error)
{
    const struct setting_list *list = &attestd->settings->accept_status;
    cella_evidence_policy_init(&attestd->evidence_policy);
    attestd->evidence_policy.allow_debug = true; /* for policies to decide */
    attestd->evidence_policy.allow_expired = attestd->settings->accept_expired_collateral;
    if (list->count) {
        attestd->evidence_policy.statuses = 1u << CELLA_TCB_UNSPECIFIED; /* SNP has no other */
    }
    for (size_t i = 0; i < list->count; i++) {
        unsigned status = CELLA_TCB_UP_TO_DATE;
        while (status < CELLA_TCB_STATUS_COUNT &&
               strcmp(cella_tcb_status_name(status), list->items[i]) != 0) {
            status++;
        }
        if (status == CELLA_TCB_STATUS_COUNT) {
            return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                                   "accept_status = %s: expected a TCB status, as UpToDate",
                                   list->items[i]);
        }
        attestd->evidence_policy.statuses |= 1u << status;
    }
    return CELLA_OK;
}

static cella_result name_issuer(struct attestd *attestd, struct cella_error *error)
{
    const char *issuer = attestd->settings->issuer;
    if (!issuer) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "issuer is not set: expected the URL under which clients know this "
                               "service");
    }
    attestd->issuer = strdup(issuer);
    CELLA_ENSURE(attestd->issuer, OUT_OF_MEMORY);
    size_t size = strlen(attestd->issuer);
    while (size && attestd->issuer[size - 1] == '/') {
        attestd->issuer[--size] = 0;
    }
    if (strncmp(issuer, "https://", 8) != 0 || size > 400) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "issuer = %s: expected an https:// URL", issuer);
    }
    return CELLA_OK;
}

static cella_result open_all(struct attestd *attestd, struct cella_error *error)
{
    umask(077); /* the database holds the signing keys */
    CELLA_TRY(name_issuer(attestd, error));
    CELLA_TRY(read_roots(attestd, error));
    CELLA_TRY(read_statuses(attestd, error));
    CELLA_TRY(admin_open(attestd, error));
    CELLA_TRY(database_open(attestd->settings->database, g_schema, CELLA_COUNT(g_schema),
                            &attestd->database, error));
    CELLA_TRY(policies_open(attestd, error));
    CELLA_TRY(signers_open(attestd, error));
    CELLA_TRY(keys_open(attestd, error));
    return collateral_open(attestd, error);
}

static void attestd_stop(void *context)
{
    struct attestd *attestd = context;
    collateral_close(attestd);
    keys_close(attestd);
    policies_close(attestd);
    database_close(&attestd->database);
    cella_token_keys_free(attestd->admin_keys);
    free(attestd->issuer);
    free(attestd);
}

static cella_result attestd_start(void *values, struct http_service *ret_service,
                                  struct cella_error *error)
{
    CRYPTO_secure_malloc_init(1 << 16, 64); /* where a private key is written out to be stored */
    struct attestd *attestd = calloc(1, sizeof(*attestd));
    CELLA_ENSURE(attestd, OUT_OF_MEMORY);
    attestd->settings = values;
    cella_result result = open_all(attestd, error);
    if (!cella_is_ok(result)) {
        attestd_stop(attestd);
        return result;
    }
    ret_service->context = attestd;
    ret_service->routes = g_routes;
    ret_service->route_count = CELLA_COUNT(g_routes);
    ret_service->metrics = attestd_metrics;
    ret_service->fail = attestd_fail;
    ret_service->finish = attestd_finish;
    return CELLA_OK;
}

static cella_result attestd_reload(void *context, const void *values, struct cella_error *error)
{
    (void)values;
    return collateral_reload(context, error);
}

static void attestd_tick(void *context)
{
    struct cella_error error = {0};
    cella_result result = keys_rotate(context, false, &error);
    if (!cella_is_ok(result)) {
        log_say(LOG_ERROR, "rotation", "%s",
                error.text[0] ? error.text : cella_result_text(result));
    }
}

int attestd_main(int argc, char **argv)
{
    static const struct setting *const tables[] = {g_settings};
    static const struct settings settings = {tables, CELLA_COUNT(tables)};
    static const struct daemon_service service = {
        .name = "cella-attestd",
        .usage = g_usage,
        .settings = &settings,
        .values_size = sizeof(struct attestd_settings),
        .http_offset = FIELD(http),
        .listen = LISTEN,
        .start = attestd_start,
        .reload = attestd_reload,
        .tick = attestd_tick,
        .stop = attestd_stop,
    };
    return daemon_main(&service, argc, argv);
}
