/*
 * cella-pccs: the collateral cache.
 * Side: services. The program's entry. Never does the work of a request itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "services/common/daemon.h"
#include "services/common/log.h"
#include "services/pccs/pccs.h"

#define LISTEN "tcp://127.0.0.1:8081"

static const char g_usage[] =
    "usage: cella-pccs [--config FILE] [--check]\n"
    "       cella-pccs [--config FILE] import FILE|FOLDER...\n"
    "       cella-pccs [--config FILE] export FILE\n"
    "\n"
    "The collateral cache: the PCCS protocol, versions 3 and 4, for platforms and verifiers.\n"
    "\n"
    "  import          take bundles, and folders of `cella platform export-collateral`, into the\n"
    "                  database of a service that is not running\n"
    "  export          write all that is cached into a bundle\n"
    "  --config FILE   read FILE; without it every key has its default\n"
    "  --check         say whether FILE is good, and end\n"
    "  --version       print the version\n"
    "\n"
    "cella-pccs(8) describes the keys. SIGHUP reads FILE, the certificate and platforms' folders "
    "again;\n"
    "SIGTERM lets requests end first.\n";

static const char *const g_modes[] = {"lazy", "req", "offline", NULL};

#define FIELD(name) offsetof(struct pccs_settings, name)

static const struct setting g_settings[] = {
    HTTP_SETTINGS(struct pccs_settings, http, LISTEN),
    {"database", SETTING_TEXT, FIELD(database), 0, 0, NULL, "pccs.sqlite"},
    {"mode", SETTING_CHOICE, FIELD(mode), 0, 0, g_modes, "lazy"},
    {"upstream_url", SETTING_TEXT, FIELD(upstream_url), 0, 0, NULL, NULL},
    {"upstream_ca", SETTING_TEXT, FIELD(upstream_ca), 0, 0, NULL, NULL},
    {"upstream_key", SETTING_TEXT, FIELD(upstream_key), 0, 0, NULL, NULL},
    {"user_token_sha512", SETTING_LIST, FIELD(user_token_sha512), 0, 0, NULL, NULL},
    {"admin_token_sha512", SETTING_LIST, FIELD(admin_token_sha512), 0, 0, NULL, NULL},
    {"refresh_hours", SETTING_NUMBER, FIELD(refresh_hours), 0, 8760, NULL, "24"},
    {"platform", SETTING_LIST, FIELD(platform), 0, 0, NULL, NULL},
    {NULL, SETTING_TEXT, 0, 0, 0, NULL, NULL},
};

struct metric pccs_metrics[] = {
    [METRIC_HIT] = {"cella_pccs_lookups_total", "Documents looked up in the cache.",
                    "found=\"yes\"", false, 0},
    [METRIC_MISS] = {"cella_pccs_lookups_total", "Documents looked up in the cache.",
                     "found=\"no\"", false, 0},
    [METRIC_FETCH] = {"cella_pccs_fetches_total", "Requests to upstream.", NULL, false, 0},
    [METRIC_FETCH_FAILED] = {"cella_pccs_fetch_failures_total", "Those that gave nothing.", NULL,
                             false, 0},
    {NULL, NULL, NULL, false, 0},
};

#define SGX "/sgx/certification/{version}"
#define TDX "/tdx/certification/{version}"

static const struct http_route g_routes[] = {
    {"GET", SGX "/pckcert", handle_pckcert, false},
    {"GET", SGX "/pckcrl", handle_pckcrl, false},
    {"GET", SGX "/tcb", handle_sgx_tcb, false},
    {"GET", TDX "/tcb", handle_tdx_tcb, false},
    {"GET", SGX "/qe/identity", handle_sgx_qe, false},
    {"GET", TDX "/qe/identity", handle_tdx_qe, false},
    {"GET", SGX "/qve/identity", handle_qve, false},
    {"GET", SGX "/rootcacrl", handle_rootcacrl, false},
    {"GET", SGX "/crl", handle_crl, false},
    {"POST", SGX "/platforms", handle_platforms_post, true},
    {"GET", SGX "/platforms", handle_platforms_get, true},
    {"PUT", SGX "/platformcollateral", handle_collateral, true},
    {"GET", SGX "/refresh", handle_refresh, true},
    {"POST", SGX "/refresh", handle_refresh, true},
    {"PUT", SGX "/appraisalpolicy", handle_policy_put, true},
    {"GET", SGX "/appraisalpolicy", handle_policy_get, false},
    /* The agent of a node in Azure; its global cache has the paths above. */
    {"GET", "/metadata/THIM" SGX "/pckcert", handle_pckcert, false},
    {"GET", "/metadata/THIM" SGX "/pckcrl", handle_pckcrl, false},
    {"GET", "/metadata/THIM" SGX "/tcb", handle_sgx_tcb, false},
    {"GET", "/metadata/THIM" SGX "/qe/identity", handle_sgx_qe, false},
    {"GET", "/metadata/THIM" SGX "/qve/identity", handle_qve, false},
    {"GET", "/metadata/THIM" SGX "/rootcacrl", handle_rootcacrl, false},
    {"GET", "/cella/bundle", handle_bundle_get, true},
    {"PUT", "/cella/bundle", handle_bundle_put, true},
};

static cella_result check_hashes(const struct setting_list *list, const char *name,
                                 struct cella_error *error)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!is_hex(list->items[i], 128, 128)) {
            return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                                   "%s: expected 128 hexadecimal digits", name);
        }
    }
    return CELLA_OK;
}

static cella_result import_platforms(struct pccs *pccs, const struct setting_list *folders,
                                     struct cella_error *error)
{
    for (size_t i = 0; i < folders->count; i++) {
        CELLA_TRY(folder_import(pccs, folders->items[i], error));
        log_say(LOG_INFO, "platform", "%s", folders->items[i]);
    }
    return CELLA_OK;
}

static void pccs_stop(void *context)
{
    struct pccs *pccs = context;
    database_close(&pccs->database);
    free(pccs);
}

static cella_result open_cache(const struct pccs_settings *settings, struct pccs **ret_pccs,
                               struct cella_error *error)
{
    umask(077);
    struct pccs *pccs = calloc(1, sizeof(*pccs));
    CELLA_ENSURE(pccs, OUT_OF_MEMORY);
    pccs->settings = settings;
    cella_result result = check_hashes(&settings->user_token_sha512, "user_token_sha512", error);
    if (cella_is_ok(result)) {
        result = check_hashes(&settings->admin_token_sha512, "admin_token_sha512", error);
    }
    if (cella_is_ok(result)) {
        result = store_open(pccs, error);
    }
    if (!cella_is_ok(result)) {
        pccs_stop(pccs);
        return result;
    }
    *ret_pccs = pccs;
    return CELLA_OK;
}

static cella_result pccs_start(void *values, struct http_service *ret_service,
                               struct cella_error *error)
{
    struct pccs *pccs = NULL;
    CELLA_TRY(open_cache(values, &pccs, error));
    cella_result result = import_platforms(pccs, &pccs->settings->platform, error);
    if (!cella_is_ok(result)) {
        pccs_stop(pccs);
        return result;
    }
    pccs->next_refresh = (int64_t)time(NULL) + (int64_t)pccs->settings->refresh_hours * 3600;
    ret_service->context = pccs;
    ret_service->routes = g_routes;
    ret_service->route_count = CELLA_COUNT(g_routes);
    ret_service->metrics = pccs_metrics;
    ret_service->fail = pccs_fail;
    ret_service->finish = pccs_finish;
    return CELLA_OK;
}

static cella_result pccs_reload(void *context, const void *values, struct cella_error *error)
{
    return import_platforms(context, &((const struct pccs_settings *)values)->platform, error);
}

static void pccs_tick(void *context)
{
    struct pccs *pccs = context;
    struct cella_error error = {0};
    int64_t now = (int64_t)time(NULL);
    if (pccs->settings->mode == MODE_OFFLINE || !pccs->settings->upstream_url ||
        !pccs->settings->refresh_hours || now < pccs->next_refresh) {
        return;
    }
    pccs->next_refresh = now + (int64_t)pccs->settings->refresh_hours * 3600;
    cella_result result = upstream_refresh(pccs, false, NULL, &error);
    log_say(cella_is_ok(result) ? LOG_INFO : LOG_ERROR, "refresh", "%s",
            cella_is_ok(result) ? "done" : error.text);
}

static cella_result import_bundle(struct pccs *pccs, const char *path, struct cella_error *error)
{
    char *text = NULL;
    size_t size = 0;
    struct stat status;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        return folder_import(pccs, path, error);
    }
    CELLA_TRY(file_read(path, 256u << 20, &text, &size, error));
    json_t *bundle = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    cella_result result = store_import(pccs, bundle, error);
    json_decref(bundle);
    return result;
}

static cella_result export_bundle(struct pccs *pccs, const char *path, struct cella_error *error)
{
    json_t *bundle = store_export(pccs);
    CELLA_ENSURE(bundle, OUT_OF_MEMORY);
    int failed = json_dump_file(bundle, path, JSON_COMPACT);
    json_decref(bundle);
    return failed ? cella_error_set(error, CELLA_RESULT(IO), "%s: cannot be written", path)
                  : CELLA_OK;
}

static int pccs_command(int argc, char **argv, void *values)
{
    struct pccs *pccs = NULL;
    struct cella_error error = {0};
    bool import = strcmp(argv[0], "import") == 0;
    if (argc < 2 || (!import && (strcmp(argv[0], "export") != 0 || argc != 2))) {
        fprintf(stderr, "cella-pccs: expected import FILE… or export FILE; --help tells more\n");
        return 2;
    }
    cella_result result = open_cache(values, &pccs, &error);
    for (int i = 1; i < argc && cella_is_ok(result); i++) {
        result =
            import ? import_bundle(pccs, argv[i], &error) : export_bundle(pccs, argv[i], &error);
    }
    if (!cella_is_ok(result)) {
        fprintf(stderr, "cella-pccs: %s\n", error.text[0] ? error.text : cella_result_text(result));
    }
    if (pccs) {
        pccs_stop(pccs);
    }
    return cella_is_ok(result) ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const struct setting *const tables[] = {g_settings};
    static const struct settings settings = {tables, CELLA_COUNT(tables)};
    static const struct daemon_service service = {
        .name = "cella-pccs",
        .usage = g_usage,
        .settings = &settings,
        .values_size = sizeof(struct pccs_settings),
        .http_offset = FIELD(http),
        .listen = LISTEN,
        .start = pccs_start,
        .reload = pccs_reload,
        .tick = pccs_tick,
        .stop = pccs_stop,
        .command = pccs_command,
    };
    return daemon_main(&service, argc, argv);
}
