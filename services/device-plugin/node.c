/*
 * Enclave memory as capacity of the node, and its labels: two JSON patches through the API server.
 * Side: services. Called by main.c and kubelet.c; has a thread of its own, on which everything that may block is.
 * Never in the way of the kubelet's calls: without an API server, devices are granted all the same.
 *
 * A kubelet that starts sets extended resources that it does not manage to zero. So the node is looked at again after each
 * start, and each minute; it is changed only where it differs.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "services/common/fetch.h"
#include "services/common/log.h"
#include "services/common/quantity.h"
#include "services/device-plugin/plugin.h"

#define LOOK_SECONDS 60
#define RETRY_FIRST 1
#define NODE_MAX (4u << 20)
#define ANSWER_SECONDS 10
#define LABELS 2

struct node {
    const struct plugin_settings *settings;
    char epc[24]; /* in bytes; "": the capacity is none of ours */
    const char *labels[LABELS];
    size_t label_count;
    char url[768];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping, refresh;
};

/* One request, with the service account's token as it is now: it is renewed in its file. */
static cella_result ask(const struct node *node, const char *method, const char *suffix,
                        const char *body, struct fetch_answer *ret_answer,
                        struct cella_error *error)
{
    char url[800], bearer[8300];
    char *token = NULL;
    size_t size = 0;
    snprintf(url, sizeof(url), "%s%s", node->url, suffix);
    CELLA_TRY(file_read(node->settings->api_token, 8192, &token, &size, error));
    token[strcspn(token, "\r\n")] = 0;
    snprintf(bearer, sizeof(bearer), "Bearer %s", token);
    free(token);
    const struct fetch_options options = {
        .ca_file = node->settings->api_ca,
        .key_name = "Authorization",
        .key_value = bearer,
        .method = method,
        .type = body ? "application/json-patch+json" : NULL,
        .body = body,
        .seconds = ANSWER_SECONDS,
        .size_max = NODE_MAX,
    };
    CELLA_TRY(fetch_get(url, &options, ret_answer, error));
    if (ret_answer->status < 200 || ret_answer->status > 299) {
        const cella_result result =
            cella_error_set(error, CELLA_RESULT(ACCESS_DENIED), "%s %s: status %d: %.200s", method,
                            url, ret_answer->status, ret_answer->body);
        fetch_done(ret_answer);
        return result;
    }
    return CELLA_OK;
}

/* An operation of RFC 6902 on a key below `path`; '/' in the key is "~1", '~' is "~0" (RFC 6901). */
static void operation_append(json_t *patch, const char *path, const char *key, const char *value)
{
    char pointer[256];
    size_t used = (size_t)snprintf(pointer, sizeof(pointer), "%s/", path);
    for (; *key && used + 3 < sizeof(pointer); key++) {
        if (*key == '/' || *key == '~') {
            pointer[used++] = '~';
            pointer[used++] = *key == '/' ? '1' : '0';
        } else {
            pointer[used++] = *key;
        }
    }
    pointer[used] = 0;
    json_array_append_new(patch,
                          json_pack("{s:s,s:s,s:s}", "op", "add", "path", pointer, "value", value));
}

static bool has(const json_t *object, const char *key, const char *value)
{
    const char *is = json_string_value(json_object_get(object, key));
    return is && strcmp(is, value) == 0;
}

/* The same amount; the API server writes 1048576000 as "1048576k". */
static bool has_amount(const json_t *object, const char *key, const char *value)
{
    json_t *wanted = json_string(value);
    uint64_t is = 0, should = 0;
    const bool same = quantity_parse(wanted, &should) &&
                      quantity_parse(json_object_get(object, key), &is) && is == should;
    json_decref(wanted);
    return same;
}

static cella_result change(const struct node *node, const char *suffix, json_t *patch,
                           struct cella_error *error)
{
    struct fetch_answer answer;
    cella_result result = CELLA_OK;
    if (json_array_size(patch) > 0) {
        char *text = json_dumps(patch, JSON_COMPACT);
        result =
            text ? ask(node, "PATCH", suffix, text, &answer, error) : CELLA_RESULT(OUT_OF_MEMORY);
        if (cella_is_ok(result)) {
            fetch_done(&answer);
            plugin_count(METRIC_NODE_UPDATES, 0);
            log_say(LOG_INFO, "node-updated", "%s%s: %s", node->settings->node_name, suffix, text);
        }
        free(text);
    }
    json_decref(patch);
    return result;
}

static cella_result reconcile(const struct node *node, struct cella_error *error)
{
    struct fetch_answer answer;
    CELLA_TRY(ask(node, "GET", "", NULL, &answer, error));
    json_t *now = json_loadb(answer.body, answer.size, 0, NULL);
    fetch_done(&answer);
    if (!json_is_object(now)) {
        json_decref(now);
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX), "%s: the answer is no node",
                               node->url);
    }
    const json_t *capacity = json_object_get(json_object_get(now, "status"), "capacity");
    const json_t *labels = json_object_get(json_object_get(now, "metadata"), "labels");
    json_t *status = json_array(), *metadata = json_array();
    if (node->epc[0] && !has_amount(capacity, RESOURCE_EPC, node->epc)) {
        if (!json_is_object(capacity)) {
            json_array_append_new(status, json_pack("{s:s,s:s,s:{}}", "op", "add", "path",
                                                    "/status/capacity", "value"));
        }
        operation_append(status, "/status/capacity", RESOURCE_EPC, node->epc);
    }
    for (size_t i = 0; i < node->label_count; i++) {
        if (!has(labels, node->labels[i], "true")) {
            if (!json_is_object(labels) && i == 0) {
                json_array_append_new(metadata, json_pack("{s:s,s:s,s:{}}", "op", "add", "path",
                                                          "/metadata/labels", "value"));
            }
            operation_append(metadata, "/metadata/labels", node->labels[i], "true");
        }
    }
    json_decref(now);
    cella_result result = change(node, "/status", status, error);
    const cella_result second = change(node, "", metadata, cella_is_ok(result) ? error : NULL);
    return cella_is_ok(result) ? second : result;
}

/* Until it is told to, or `seconds` have passed. false: it is the end. */
static bool wait_for(struct node *node, int seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&node->lock);
    while (!node->stopping && !node->refresh &&
           pthread_cond_timedwait(&node->changed, &node->lock, &until) == 0) {
    }
    node->refresh = false;
    const bool goes_on = !node->stopping;
    pthread_mutex_unlock(&node->lock);
    return goes_on;
}

static void *node_run(void *argument)
{
    struct node *node = argument;
    char said[CELLA_ERROR_TEXT_SIZE] = "";
    int wait = 0;
    while (wait_for(node, wait)) {
        struct cella_error error = {0};
        const cella_result result = reconcile(node, &error);
        if (cella_is_ok(result)) {
            wait = LOOK_SECONDS;
            said[0] = 0;
            continue;
        }
        const char *text = error.text[0] ? error.text : cella_result_text(result);
        plugin_count(METRIC_NODE_FAILURES, 0);
        if (strcmp(said, text) != 0) {
            log_say(LOG_WARNING, "node-failed", "%s", text);
            snprintf(said, sizeof(said), "%s", text);
        }
        wait = wait == 0 || wait == LOOK_SECONDS ? RETRY_FIRST
               : wait * 2 < LOOK_SECONDS         ? wait * 2
                                                 : LOOK_SECONDS - 1;
    }
    return NULL;
}

static cella_result url_make(struct node *node, struct cella_error *error)
{
    const char *server = node->settings->api_server;
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    char standard[300];
    if (!server && host) {
        const bool is_6 = strchr(host, ':') != NULL;
        snprintf(standard, sizeof(standard), "https://%s%.200s%s:%.8s", is_6 ? "[" : "", host,
                 is_6 ? "]" : "", port ? port : "443");
        server = standard;
    }
    if (!server || !node->settings->node_name) {
        return cella_error_set(
            error, CELLA_RESULT(INVALID_ARGUMENT), "node_update: %s is not known: set %s",
            server ? "the node's name" : "the API server",
            server ? "node_name, or NODE_NAME in the environment" : "api_server, or run in a pod");
    }
    if (strspn(node->settings->node_name, "abcdefghijklmnopqrstuvwxyz0123456789.-") !=
        strlen(node->settings->node_name)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "node_name = %s: not a node's name",
                               node->settings->node_name);
    }
    snprintf(node->url, sizeof(node->url), "%.290s/api/v1/nodes/%.260s", server,
             node->settings->node_name);
    return CELLA_OK;
}

cella_result node_open(const struct plugin_settings *settings, uint64_t epc_bytes, bool has_devices,
                       struct node **ret_node, struct cella_error *error)
{
    pthread_condattr_t attributes;
    struct node *node = calloc(1, sizeof(*node));
    CELLA_ENSURE(node, OUT_OF_MEMORY);
    node->settings = settings;
    if (epc_bytes) {
        snprintf(node->epc, sizeof(node->epc), "%llu", (unsigned long long)epc_bytes);
    }
    if (settings->node_labels && has_devices && epc_bytes) {
        node->labels[node->label_count++] = "sgx.intel.com/capable";
    }
    if (settings->node_labels && settings->soft_enclaves) {
        node->labels[node->label_count++] = "cella.dev/soft-enclave";
    }
    const cella_result result = url_make(node, error);
    if (!cella_is_ok(result)) {
        free(node);
        return result;
    }
    pthread_mutex_init(&node->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&node->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&node->thread, NULL, node_run, node) != 0) {
        free(node);
        return CELLA_RESULT(OUT_OF_THREADS);
    }
    *ret_node = node;
    return CELLA_OK;
}

void node_refresh(struct node *node)
{
    if (node) {
        pthread_mutex_lock(&node->lock);
        node->refresh = true;
        pthread_cond_signal(&node->changed);
        pthread_mutex_unlock(&node->lock);
    }
}

void node_close(struct node *node)
{
    if (!node) {
        return;
    }
    pthread_mutex_lock(&node->lock);
    node->stopping = true;
    pthread_cond_signal(&node->changed);
    pthread_mutex_unlock(&node->lock);
    pthread_join(node->thread, NULL);
    pthread_cond_destroy(&node->changed);
    pthread_mutex_destroy(&node->lock);
    free(node);
}
