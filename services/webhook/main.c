/*
 * cella-webhook: gives pods that ask for enclave memory what they need for it. cella-webhook(8) is the manual.
 * Side: services. The program's entry: settings, the route, renewed certificates.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "services/common/daemon.h"
#include "services/common/log.h"
#include "services/webhook/webhook.h"

#define FIELD(member) offsetof(struct webhook_settings, member)
#define LISTEN "tls://0.0.0.0:9443"

static const char g_usage[] =
    "usage: cella-webhook [--config FILE] [--check] [--version] [--help]\n"
    "\n"
    "A mutating admission webhook for Kubernetes: POST /mutate. Pods that ask for enclave memory,\n"
    "under any of the names for it, get the enclave device, the quote service's socket where an\n"
    "annotation says so, and tolerations. Misspelt names get a warning. Nothing is ever refused.\n"
    "\n"
    "  --config FILE   key = value lines; cella-webhook(8) lists the keys\n"
    "  --check         read the configuration and end\n"
    "\n"
    "Listens at " LISTEN " unless `listen` says otherwise; needs tls_certificate and tls_key.\n"
    "A certificate that is renewed in its file is taken up by itself.\n"
    "The log is JSON, a line an event, on standard error.\n";

static const char *const g_providers[] = {"none", "aesmd", NULL};
static const char *const g_scopes[] = {"any", "intel", NULL};

static const struct setting g_settings[] = {
    HTTP_SETTINGS(struct webhook_settings, http, LISTEN),
    {"quote_provider", SETTING_CHOICE, FIELD(quote_provider), 0, 0, g_providers, "none"},
    {"devices_for", SETTING_CHOICE, FIELD(devices_for), 0, 0, g_scopes, "any"},
    {"quote_folder", SETTING_TEXT, FIELD(quote_folder), 0, 0, 0, "/var/run/aesmd"},
    {"toleration", SETTING_LIST, FIELD(tolerations), 0, 0, 0, NULL},
    {NULL, SETTING_TEXT, 0, 0, 0, NULL, NULL},
};

enum { COUNT_PODS, COUNT_PATCHED, COUNT_WARNINGS, COUNT_BAD };

static struct metric g_metrics[] = {
    {"cella_webhook_reviews_total", "Reviews answered.", NULL, false, 0},
    {"cella_webhook_patched_total", "Pods changed.", NULL, false, 0},
    {"cella_webhook_warnings_total", "Warnings given.", NULL, false, 0},
    {"cella_webhook_malformed_total", "Bodies that were no AdmissionReview.", NULL, false, 0},
    {NULL, NULL, NULL, false, 0},
};

struct webhook {
    struct webhook_settings *settings;
    struct timespec certificate; /* when it was written */
};

static void mutate_handle(struct http_exchange *exchange, void *context)
{
    const struct webhook *webhook = context;
    struct review review = {0};
    struct cella_error error = {0};
    const cella_result result =
        review_answer(webhook->settings, http_body(exchange), &review, &error);
    if (!cella_is_ok(result)) {
        const char *text = error.text[0] ? error.text : cella_result_text(result);
        const bool ours = cella_result_category(result) == CELLA_CATEGORY_RESOURCE;
        metric_add(&g_metrics[COUNT_BAD], 1);
        http_note(exchange, "%.200s", text);
        json_t *json = json_pack("{s:s}", "error", text);
        http_reply_json(exchange, ours ? 503 : 400, "application/json",
                        json ? json : json_pack("{s:s}", "error", "no AdmissionReview"));
        return;
    }
    metric_add(&g_metrics[COUNT_PODS], 1);
    metric_add(&g_metrics[COUNT_PATCHED], review.operations > 0);
    metric_add(&g_metrics[COUNT_WARNINGS], (int64_t)review.warnings);
    if (review.asks || review.warnings) {
        http_note(exchange, "%zu operations, %zu warnings", review.operations, review.warnings);
    }
    http_reply_json(exchange, 200, "application/json", review.answer);
}

/* The second path is the one that Intel's webhook has: its configurations work unchanged. */
static const struct http_route g_routes[] = {
    {"POST", "/mutate", mutate_handle, false},
    {"POST", "/mutate--v1-pod", mutate_handle, false},
};

/* Keys of taints that are known from enclave nodes. */
static cella_result tolerations_default(struct setting_list *list)
{
    static const char *const keys[] = {"sgx.intel.com/epc",
                                       "kubernetes.azure.com/sgx_epc_mem_in_MiB"};
    if (list->count == 1 && strcmp(list->items[0], "none") == 0) {
        free(list->items[0]);
        list->count = 0;
        return CELLA_OK;
    }
    if (list->count) {
        return CELLA_OK;
    }
    list->items = calloc(CELLA_COUNT(keys), sizeof(*list->items));
    CELLA_ENSURE(list->items, OUT_OF_MEMORY);
    for (size_t i = 0; i < CELLA_COUNT(keys); i++) {
        list->items[i] = strdup(keys[i]);
        CELLA_ENSURE(list->items[i], OUT_OF_MEMORY);
        list->count++;
    }
    return CELLA_OK;
}

static struct timespec certificate_time(const struct webhook_settings *settings)
{
    struct stat status;
    if (!settings->http.tls_certificate || stat(settings->http.tls_certificate, &status) != 0) {
        return (struct timespec){0};
    }
    return status.st_mtim;
}

static cella_result webhook_start(void *values, struct http_service *ret_service,
                                  struct cella_error *error)
{
    struct webhook_settings *settings = values;
    (void)error;
    CELLA_TRY(tolerations_default(&settings->tolerations));
    struct webhook *webhook = calloc(1, sizeof(*webhook));
    CELLA_ENSURE(webhook, OUT_OF_MEMORY);
    webhook->settings = settings;
    webhook->certificate = certificate_time(settings);
    ret_service->context = webhook;
    ret_service->routes = g_routes;
    ret_service->route_count = CELLA_COUNT(g_routes);
    ret_service->metrics = g_metrics;
    return CELLA_OK;
}

/* A secret's files are replaced when it is renewed, and nobody sends a signal. */
static void webhook_tick(void *context)
{
    struct webhook *webhook = context;
    const struct timespec now = certificate_time(webhook->settings);
    if (now.tv_sec && (now.tv_sec != webhook->certificate.tv_sec ||
                       now.tv_nsec != webhook->certificate.tv_nsec)) {
        webhook->certificate = now;
        kill(getpid(), SIGHUP);
    }
}

static void webhook_stop(void *context)
{
    free(context);
}

int main(int argc, char **argv)
{
    static const struct setting *const tables[] = {g_settings};
    static const struct settings settings = {tables, CELLA_COUNT(tables)};
    static const struct daemon_service service = {
        .name = "cella-webhook",
        .usage = g_usage,
        .settings = &settings,
        .values_size = sizeof(struct webhook_settings),
        .http_offset = FIELD(http),
        .listen = LISTEN,
        .start = webhook_start,
        .tick = webhook_tick,
        .stop = webhook_stop,
    };
    return daemon_main(&service, argc, argv);
}
