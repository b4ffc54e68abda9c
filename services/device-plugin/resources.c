/*
 * What the plugin offers: counts, ids, health, and the list that a kubelet watches.
 * Side: services. Called by kubelet.c and service.c, on the loop's thread.
 * Never holds the list: a device is an index, and messages are made as the kubelet takes them, so that a hundred thousand
 * of them cost no memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "deviceplugin.pb-c.h"
#include "services/common/log.h"
#include "services/device-plugin/plugin.h"

/* ------------------------------------------------------------------- ids */

/*
 * Units of memory are named by their number, 6 bits a character: with three of them 262,144 units (256 GiB at a MiB each)
 * fit into a message of 4 MiB, to the byte; with decimal numbers they do not.
 */
static const char g_digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

void resource_id(const struct resource *resource, uint32_t index, char ret_id[40])
{
    char reversed[8];
    size_t size = 0;
    if (resource->kind->id_prefix) {
        snprintf(ret_id, 40, "%s%u", resource->kind->id_prefix, index);
        return;
    }
    do {
        reversed[size++] = g_digits[index & 63];
        index >>= 6;
    } while (index);
    for (size_t i = 0; i < size; i++) {
        ret_id[i] = reversed[size - 1 - i];
    }
    ret_id[size] = 0;
}

static bool decimal_parse(const char *text, uint32_t *ret_number)
{
    uint64_t number = 0;
    if (!*text || strlen(text) > 9 || (text[0] == '0' && text[1])) {
        return false;
    }
    for (; *text; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(*text - '0');
    }
    *ret_number = (uint32_t)number;
    return true;
}

bool resource_id_parse(const struct resource *resource, const char *id, uint32_t *ret_index)
{
    const char *prefix = resource->kind->id_prefix;
    uint32_t index = 0;
    if (prefix) {
        if (strncmp(id, prefix, strlen(prefix)) != 0 ||
            !decimal_parse(id + strlen(prefix), &index)) {
            return false;
        }
    } else {
        if (!*id || strlen(id) > 5 || (id[0] == '0' && id[1])) {
            return false;
        }
        for (; *id; id++) {
            const char *digit = strchr(g_digits, *id);
            if (!digit) {
                return false;
            }
            index = index << 6 | (uint32_t)(digit - g_digits);
        }
    }
    *ret_index = index;
    return index < resource->count;
}

/* ------------------------------------------------------------------- the list */

/* One device of a ListAndWatchResponse: field 1, length-delimited. */
static size_t piece_make(const struct resource *resource, uint32_t index, bool healthy,
                         uint8_t out[96])
{
    char id[40];
    V1beta1__Device device = V1BETA1__DEVICE__INIT;
    resource_id(resource, index, id);
    device.id = id;
    device.health = healthy ? "Healthy" : "Unhealthy";
    const size_t size = v1beta1__device__pack(&device, out + 2);
    out[0] = 1 << 3 | 2;
    out[1] = (uint8_t)size; /* below 128: the id has at most 40 bytes */
    return size + 2;
}

static uint64_t list_size(const struct resource *resource, uint32_t count, bool healthy,
                          uint64_t limit, uint32_t *ret_fit)
{
    uint64_t size = 0;
    char id[40];
    const size_t rest = 2 + 2 + 2 + strlen(healthy ? "Healthy" : "Unhealthy");
    uint32_t i = 0;
    for (; i < count; i++) {
        resource_id(resource, i, id);
        const size_t more = rest + strlen(id);
        if (size + more > limit) {
            break;
        }
        size += more;
    }
    *ret_fit = i;
    return size;
}

uint32_t resource_fit(const struct resource *resource, uint32_t count, bool healthy)
{
    uint32_t fit;
    list_size(resource, count, healthy, RPC_MESSAGE_MAX, &fit);
    return fit;
}

static void message_begin(struct watch *watch)
{
    const struct resource *resource = watch->resource;
    watch->sent = resource->version;
    watch->healthy = resource->healthy;
    watch->index = 0;
    const uint64_t size =
        list_size(resource, resource->count, watch->healthy, RPC_MESSAGE_MAX, &watch->count);
    rpc_prefix_put(watch->piece, (uint32_t)size);
    watch->piece_size = RPC_PREFIX_SIZE;
    watch->piece_sent = 0;
    watch->in_message = true;
}

static size_t watch_read(void *state, uint8_t *out, size_t room)
{
    struct watch *watch = state;
    size_t used = 0;
    while (used < room) {
        if (watch->piece_sent < watch->piece_size) {
            const size_t left = watch->piece_size - watch->piece_sent;
            const size_t size = left < room - used ? left : room - used;
            memcpy(out + used, watch->piece + watch->piece_sent, size);
            watch->piece_sent += size;
            used += size;
        } else if (watch->in_message && watch->index < watch->count) {
            watch->piece_size =
                piece_make(watch->resource, watch->index++, watch->healthy, watch->piece);
            watch->piece_sent = 0;
        } else if (watch->sent != watch->resource->version) {
            message_begin(watch);
        } else {
            watch->in_message = false;
            break;
        }
    }
    return used;
}

static void watch_closed(void *state)
{
    struct watch *watch = state;
    struct resource *resource = watch->resource;
    *watch->link = watch->next;
    if (watch->next) {
        watch->next->link = watch->link;
    }
    if (!resource->watches) {
        resource->lonely_since = wire_now();
    }
    metric_add(plugin_metric(METRIC_WATCHES, resource->index), -1);
    free(watch);
}

void resource_watch(struct resource *resource, struct rpc_call *call)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    watch->resource = resource;
    watch->call = call;
    watch->next = resource->watches;
    watch->link = &resource->watches;
    if (watch->next) {
        watch->next->link = &watch->next;
    }
    resource->watches = watch;
    resource->lonely_limit = 0;
    plugin_count(METRIC_WATCHES, resource->index);
    const struct rpc_source source = {.read = watch_read, .closed = watch_closed, .state = watch};
    rpc_call_stream(call, &source);
}

/* ------------------------------------------------------------------- health */

static void health_set(struct resource *resource, bool healthy, const char *reason)
{
    struct log_line line;
    const bool changes = !resource->version || healthy != resource->healthy;
    if (!changes && strcmp(resource->reason, reason) == 0) {
        return;
    }
    resource->healthy = healthy;
    resource->version += changes;
    snprintf(resource->reason, sizeof(resource->reason), "%s", reason);
    plugin_gauge(METRIC_HEALTHY, resource->index, healthy ? resource->count : 0);
    log_begin(&line, healthy ? LOG_INFO : LOG_WARNING, healthy ? "healthy" : "unhealthy");
    log_text(&line, "resource", resource->kind->name);
    log_text(&line, "reason", healthy ? NULL : reason);
    log_end(&line);
    for (struct watch *watch = resource->watches; changes && watch; watch = watch->next) {
        rpc_call_resume(watch->call);
    }
}

/* What its devices lack; "": nothing. */
static const char *resource_trouble(const struct resource *resource)
{
    const struct node_devices *devices = &resource->plugin->devices;
    if ((resource->kind->devices & RESOURCE_ENCLAVE) && !devices->enclave.is_there) {
        return devices->enclave.reason;
    }
    if (resource->kind->devices == RESOURCE_PROVISION && !devices->provision.is_there) {
        return devices->provision.reason; /* memory is of use without it */
    }
    return "";
}

void quotes_probe(struct plugin *plugin)
{
    const struct plugin_settings *settings = plugin->settings;
    if (settings->quote_health == QUOTE_OFF) {
        return;
    }
    const bool quotes = devices_quotes(settings->quote_socket);
    if (quotes != plugin->quotes) {
        log_say(quotes ? LOG_INFO : LOG_WARNING, "quote-service", "%s: %s", settings->quote_socket,
                quotes ? "answers" : "nobody listens");
    }
    plugin->quotes = quotes;
    plugin_gauge(METRIC_QUOTES, 0, quotes);
}

void resources_probe(struct plugin *plugin)
{
    const struct plugin_settings *settings = plugin->settings;
    devices_probe(settings, &plugin->devices);
    for (size_t i = 0; i < plugin->resource_count; i++) {
        struct resource *resource = &plugin->resources[i];
        const char *reason = resource_trouble(resource);
        if (!*reason) {
            resource->is_offered = true;
        }
        if (resource->is_offered && !*reason && !plugin->quotes &&
            settings->quote_health == QUOTE_REQUIRE) {
            reason = "nobody listens at the quote socket";
        }
        health_set(resource, !*reason, reason);
    }
}

/* ------------------------------------------------------------------- which ones */

static bool dialect_wanted(const struct plugin_settings *settings, enum resource_dialect dialect)
{
    for (size_t i = 0; i < settings->dialects.count; i++) {
        if (strcmp(settings->dialects.items[i], dialect_names[dialect]) == 0) {
            return true;
        }
    }
    return settings->dialects.count == 0 && dialect != DIALECT_CELLA;
}

static cella_result dialects_check(const struct plugin_settings *settings,
                                   struct cella_error *error)
{
    for (size_t i = 0; i < settings->dialects.count; i++) {
        bool known = false;
        for (size_t j = 0; j < DIALECT_CELLA; j++) {
            known |= strcmp(settings->dialects.items[i], dialect_names[j]) == 0;
        }
        if (!known) {
            return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                                   "dialect = %s: expected intel, azure or alibaba",
                                   settings->dialects.items[i]);
        }
    }
    return CELLA_OK;
}

/* 0: this node does not offer it. */
static uint64_t count_of(const struct plugin *plugin, const struct enclave_resource *kind)
{
    const struct plugin_settings *settings = plugin->settings;
    if (kind->dialect == DIALECT_CELLA) {
        return settings->soft_enclaves;
    }
    if (!dialect_wanted(settings, kind->dialect)) {
        return 0;
    }
    switch (kind->unit) {
    case RESOURCE_SLOT:
        return kind->devices & RESOURCE_ENCLAVE ? settings->enclave_limit
                                                : settings->provision_limit;
    case RESOURCE_MIB:
        return plugin->epc_bytes >> 20;
    case RESOURCE_BYTES:
        break;
    }
    return 0; /* node.c's */
}

static void endpoint_name(const struct enclave_resource *kind, char *out, size_t room)
{
    snprintf(out, room, "cella-%s.sock", kind->name);
    for (char *at = out; *at; at++) {
        if (*at == '/') {
            *at = '_';
        }
    }
}

static void resource_add(struct plugin *plugin, size_t index, uint64_t wanted)
{
    struct resource *resource = &plugin->resources[plugin->resource_count++];
    resource->plugin = plugin;
    resource->index = index;
    resource->kind = &enclave_resources[index];
    resource->count =
        resource_fit(resource, wanted < UNITS_MAX ? (uint32_t)wanted : UNITS_MAX, true);
    if (resource->count < wanted) {
        log_say(LOG_WARNING, "message-limit",
                "%s: %u of %llu units: more do not fit into a message of the kubelet's interface",
                resource->kind->name, resource->count, (unsigned long long)wanted);
    }
    endpoint_name(resource->kind, resource->endpoint, sizeof(resource->endpoint));
    resource->service = (struct rpc_service){
        .methods = plugin_methods, .method_count = plugin_method_count, .context = resource};
    plugin_gauge(METRIC_DEVICES, index, resource->count);
}

cella_result resources_open(struct plugin *plugin, struct cella_error *error)
{
    CELLA_TRY(dialects_check(plugin->settings, error));
    plugin->epc_bytes = devices_epc_bytes(plugin->settings);
    plugin->quotes = true; /* so that an absent service is said */
    plugin_gauge(METRIC_EPC_BYTES, 0, (int64_t)plugin->epc_bytes);
    for (size_t i = 0; i < ENCLAVE_RESOURCES; i++) {
        const uint64_t count = count_of(plugin, &enclave_resources[i]);
        if (count) {
            resource_add(plugin, i, count);
        }
    }
    plugin->counts_bytes = plugin->epc_bytes && dialect_wanted(plugin->settings, DIALECT_INTEL);
    quotes_probe(plugin);
    resources_probe(plugin);
    return CELLA_OK;
}
