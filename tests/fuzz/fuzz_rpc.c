/*
 * Fuzz target: gRPC over HTTP/2, as the device plugin serves it and as it asks a kubelet.
 * The first byte says which side and which resource, and in how large pieces the rest comes.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>
#include <string.h>

#include "services/common/log.h"
#include "services/device-plugin/plugin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_done(void *context, const struct rpc_outcome *outcome)
{
    int *count = context;
    if (memchr(outcome->text, 0, sizeof(outcome->text)) == NULL) {
        abort();
    }
    ++*count;
}

/* Takes at most a mebibyte of what is sent. */
static void drain(struct rpc_session *session)
{
    struct cella_bytes bytes;
    for (size_t sum = 0; sum < 1 << 20; sum += bytes.size) {
        if (!cella_is_ok(rpc_session_next(session, &bytes)) || bytes.size == 0) {
            return;
        }
    }
}

static void feed(struct rpc_session *session, const uint8_t *data, size_t size, size_t piece)
{
    int64_t now = 1;
    while (size > 0) {
        const size_t part = size < piece ? size : piece;
        if (!cella_is_ok(rpc_session_receive(session, cella_bytes_of(data, part), now++))) {
            break;
        }
        drain(session);
        data += part;
        size -= part;
    }
    rpc_session_expire(session, now + 1000000000);
    drain(session);
    (void)rpc_session_is_over(session);
}

/* A resource without devices, or one with many units. */
static struct plugin *plugin_make(bool many)
{
    static struct plugin_settings settings = {.dev_folder = "/nonexistent",
                                              .sys_folder = "/nonexistent",
                                              .quote_socket = "/nonexistent/socket",
                                              .quote_mount = true,
                                              .legacy_paths = true,
                                              .quote_health = QUOTE_OFF};
    static struct plugin plugin;
    struct resource *resource = &plugin.resources[0];
    plugin = (struct plugin){.settings = &settings, .resource_count = 1, .quotes = true};
    resource->plugin = &plugin;
    resource->index = many ? 3 : 5;
    resource->kind = &enclave_resources[resource->index];
    resource->count = many ? 5000 : 4;
    resource->version = 1;
    resource->healthy = !many;
    resource->service = (struct rpc_service){
        .methods = plugin_methods, .method_count = plugin_method_count, .context = resource};
    return &plugin;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rpc_session *session = NULL;
    int done = 0;
    if (size == 0) {
        return 0;
    }
    log_set_level(LOG_ERROR);
    const size_t piece = (size_t)1 << (data[0] >> 4);
    if (data[0] & 1) {
        const struct rpc_request request = {.path = "/v1beta1.Registration/Register",
                                            .message = cella_bytes_of("x", 1),
                                            .milliseconds = 1000,
                                            .answer_max = 1000};
        if (cella_is_ok(rpc_client_new(&request, 0, on_done, &done, &session))) {
            drain(session);
            feed(session, data + 1, size - 1, piece);
            rpc_session_free(session);
            if (done != 1) {
                abort();
            }
        }
        return 0;
    }
    struct plugin *plugin = plugin_make(data[0] & 2);
    if (cella_is_ok(rpc_server_new(&plugin->resources[0].service, &session))) {
        feed(session, data + 1, size - 1, piece);
        rpc_session_free(session);
        if (plugin->resources[0].watches) {
            abort();
        }
    }
    return 0;
}
