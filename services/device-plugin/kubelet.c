/*
 * With the kubelet: sockets in its folder, registration, and starting over when it does.
 * Side: services. Called by main.c; runs on the loop's thread.
 *
 * A kubelet that starts removes every socket of the folder and then makes its own. So: a socket of ours that is gone is
 * made anew, and whenever kubelet.sock is another one than before, everything registers again. inotify tells at once; a
 * look each second finds what inotify missed (a folder that was replaced, a full queue).
 * Register is answered only after the kubelet has called back: nothing here waits for an answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "deviceplugin.pb-c.h"
#include "services/common/log_limit.h"
#include "services/device-plugin/plugin.h"

#define REGISTER_MILLISECONDS 15000u /* a kubelet may take 10 s to call back */
#define BACKOFF_FIRST 50u
#define BACKOFF_LAST 1000u
#define LONELY_FIRST 5000u /* a registered resource whose list nobody watches */
#define LONELY_LAST 60000u
#define PATH_SIZE 512u

static void path_of(const struct plugin *plugin, const char *name, char out[PATH_SIZE])
{
    snprintf(out, PATH_SIZE, "%s/%s", plugin->settings->folder, name);
}

/* ------------------------------------------------------------------- registration */

static void registered_update(struct plugin *plugin)
{
    bool all = true;
    for (size_t i = 0; i < plugin->resource_count; i++) {
        all &= !plugin->resources[i].is_offered ||
               plugin->resources[i].registration == REGISTRATION_DONE;
    }
    plugin->is_registered = all;
}

static void registration_log(const struct resource *resource, enum log_level level,
                             const char *event, const char *reason)
{
    struct log_line line;
    log_begin(&line, level, event);
    log_text(&line, "resource", resource->kind->name);
    log_number(&line, "devices", resource->count);
    log_text(&line, "reason", reason);
    log_end(&line);
}

/* Tries again soon; says why, once for each reason. */
static void registration_failed(struct resource *resource, const char *reason)
{
    plugin_count(METRIC_REGISTRATION_FAILURES, resource->index);
    if (strcmp(resource->last_failure, reason) != 0) {
        registration_log(resource, LOG_WARNING, "registration-failed", reason);
        snprintf(resource->last_failure, sizeof(resource->last_failure), "%s", reason);
    }
    resource->registration = REGISTRATION_NEEDED;
    resource->backoff = resource->backoff ? resource->backoff * 2 : BACKOFF_FIRST;
    resource->backoff = resource->backoff < BACKOFF_LAST ? resource->backoff : BACKOFF_LAST;
    resource->retry_at = wire_now() + resource->backoff;
}

static void soon(struct plugin *plugin, uint32_t milliseconds)
{
    const struct timeval time = {.tv_sec = milliseconds / 1000,
                                 .tv_usec = milliseconds % 1000 * 1000};
    evtimer_add(plugin->soon, &time);
}

static void on_registered(void *context, const struct rpc_outcome *outcome)
{
    struct resource *resource = context;
    char reason[RPC_TEXT_SIZE];
    resource->call = NULL;
    if (resource->registration != REGISTRATION_PENDING) {
        return; /* it was for a kubelet that is gone */
    }
    if (outcome->status == RPC_OK) {
        resource->registration = REGISTRATION_DONE;
        resource->backoff = 0;
        resource->last_failure[0] = 0;
        resource->lonely_since = wire_now();
        plugin_count(METRIC_REGISTRATIONS, resource->index);
        registration_log(resource, LOG_INFO, "registered", NULL);
    } else {
        snprintf(reason, sizeof(reason), "%s: %.200s", rpc_status_name(outcome->status),
                 outcome->text);
        registration_failed(resource, reason);
        soon(resource->plugin, resource->backoff);
    }
    registered_update(resource->plugin);
}

static void registration_begin(struct resource *resource)
{
    struct plugin *plugin = resource->plugin;
    struct cella_error error = {0};
    char path[PATH_SIZE];
    uint8_t message[512];
    V1beta1__RegisterRequest request = V1BETA1__REGISTER_REQUEST__INIT;
    V1beta1__DevicePluginOptions options = V1BETA1__DEVICE_PLUGIN_OPTIONS__INIT;
    options.pre_start_required = resource->kind->devices != 0;
    options.get_preferred_allocation_available = resource->kind->unit == RESOURCE_SLOT;
    request.version = "v1beta1";
    request.endpoint = resource->endpoint;
    request.resource_name = (char *)(uintptr_t)resource->kind->name;
    request.options = &options;
    const size_t size = v1beta1__register_request__pack(&request, message);
    path_of(plugin, KUBELET_SOCKET, path);
    const cella_result result = wire_call(plugin->base, path, "/v1beta1.Registration/Register",
                                          cella_bytes_of(message, size), REGISTER_MILLISECONDS,
                                          on_registered, resource, &resource->call, &error);
    if (cella_is_ok(result)) {
        resource->registration = REGISTRATION_PENDING;
    } else {
        registration_failed(resource, error.text[0] ? error.text : cella_result_text(result));
        soon(plugin, resource->backoff);
    }
}

/* From the start, at once: the kubelet knows nothing of us. */
static void registration_reset(struct resource *resource)
{
    struct wire *call = CELLA_TAKE(resource->call);
    resource->registration = REGISTRATION_NEEDED;
    resource->retry_at = 0;
    resource->backoff = 0;
    if (call) {
        wire_cancel(call);
    }
}

/* A kubelet that has taken the registration and does not watch has lost it, whatever its socket says. */
static void lonely_check(struct resource *resource)
{
    const uint32_t limit = resource->lonely_limit ? resource->lonely_limit : LONELY_FIRST;
    if (resource->registration == REGISTRATION_DONE && !resource->watches &&
        wire_now() - resource->lonely_since >= limit) {
        registration_log(resource, LOG_WARNING, "not-watched", "registers again");
        resource->lonely_limit = limit * 2 < LONELY_LAST ? limit * 2 : LONELY_LAST;
        registration_reset(resource);
    }
}

/* ------------------------------------------------------------------- the folder */

static bool kubelet_changed(struct plugin *plugin)
{
    char path[PATH_SIZE];
    struct stat status;
    path_of(plugin, KUBELET_SOCKET, path);
    plugin->kubelet_is_there = stat(path, &status) == 0 && S_ISSOCK(status.st_mode);
    if (!plugin->kubelet_is_there) {
        return false; /* whatever comes will be another one */
    }
    const int64_t id[4] = {(int64_t)status.st_dev, (int64_t)status.st_ino, status.st_ctim.tv_sec,
                           status.st_ctim.tv_nsec};
    if (memcmp(id, plugin->kubelet_id, sizeof(id)) == 0) {
        return false;
    }
    memcpy(plugin->kubelet_id, id, sizeof(id));
    return true;
}

/* Our socket, if it is not there. true: it has been made. */
static bool socket_make(struct resource *resource, bool is_tick)
{
    struct cella_error error = {0};
    struct stat status;
    char path[PATH_SIZE];
    if (resource->listener && wire_listener_is_there(resource->listener)) {
        return false;
    }
    path_of(resource->plugin, resource->endpoint, path);
    if (resource->listener && !is_tick && lstat(path, &status) == 0) {
        return false; /* another plugin's: no race to take the name back */
    }
    const cella_result result = resource->listener
                                    ? wire_listener_rebind(resource->listener, &error)
                                    : wire_listen(resource->plugin->base, path, &resource->service,
                                                  &resource->listener, &error);
    if (!cella_is_ok(result)) {
        const char *reason = error.text[0] ? error.text : cella_result_text(result);
        if (strcmp(resource->last_failure, reason) != 0) {
            registration_log(resource, LOG_WARNING, "no-socket", reason);
            snprintf(resource->last_failure, sizeof(resource->last_failure), "%.250s", reason);
        }
        return false;
    }
    return true;
}

static void watch_folder(struct plugin *plugin)
{
    const uint32_t what = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |
                          IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
    /* the same folder gives the same watch: harmless each second, and right when it was replaced */
    cella_ignore(inotify_add_watch(plugin->watch_fd, plugin->settings->folder, what) >= 0
                     ? CELLA_OK
                     : CELLA_RESULT(IO));
}

/* Everything that is due. */
static void advance(struct plugin *plugin, bool is_tick)
{
    const bool changed = kubelet_changed(plugin);
    const int64_t now = wire_now();
    if (changed) {
        char path[PATH_SIZE];
        path_of(plugin, KUBELET_SOCKET, path);
        log_say(LOG_INFO, "kubelet", "%s: a new kubelet", path);
        plugin_count(METRIC_KUBELET_RESTARTS, 0);
        node_refresh(plugin->node);
    }
    for (size_t i = 0; i < plugin->resource_count; i++) {
        struct resource *resource = &plugin->resources[i];
        if (!resource->is_offered) {
            continue;
        }
        if (socket_make(resource, is_tick) || changed) {
            registration_reset(resource);
        }
        lonely_check(resource);
        if (resource->registration == REGISTRATION_NEEDED && plugin->kubelet_is_there &&
            resource->listener && now >= resource->retry_at) {
            registration_begin(resource);
        }
    }
    registered_update(plugin);
}

static void on_changes(evutil_socket_t fd, short what, void *argument)
{
    char events[4096] __attribute__((aligned(8)));
    (void)what;
    while (read((int)fd, events, sizeof(events)) > 0) {
        continue; /* which ones does not matter */
    }
    advance(argument, false);
}

static void on_soon(evutil_socket_t fd, short what, void *argument)
{
    (void)fd, (void)what;
    advance(argument, false);
}

void kubelet_tick(struct plugin *plugin)
{
    quotes_probe(plugin);
    resources_probe(plugin);
    watch_folder(plugin);
    advance(plugin, true);
}

/* ------------------------------------------------------------------- start and end */

static void on_answered(void *context, const char *path, enum rpc_status status, const char *text)
{
    const struct resource *resource = context;
    struct log_line line;
    plugin_count(METRIC_CALLS, 0);
    if (status == RPC_OK) {
        return;
    }
    plugin_count(METRIC_CALLS_FAILED, 0);
    if (!log_may(LOG_WARNING)) {
        return;
    }
    log_begin(&line, LOG_WARNING, "call-failed");
    log_text(&line, "resource", resource->kind->name);
    log_text(&line, "method", path);
    log_text(&line, "status", rpc_status_name(status));
    log_text(&line, "reason", text);
    log_end(&line);
}

cella_result kubelet_open(struct plugin *plugin, struct cella_error *error)
{
    plugin->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (plugin->watch_fd < 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "inotify");
    }
    plugin->changes =
        event_new(plugin->base, plugin->watch_fd, EV_READ | EV_PERSIST, on_changes, plugin);
    plugin->soon = evtimer_new(plugin->base, on_soon, plugin);
    CELLA_ENSURE(plugin->changes && plugin->soon && event_add(plugin->changes, NULL) == 0,
                 OUT_OF_MEMORY);
    for (size_t i = 0; i < plugin->resource_count; i++) {
        plugin->resources[i].service.answered = on_answered;
    }
    watch_folder(plugin);
    if (plugin->resource_count == 0) {
        log_say(LOG_WARNING, "nothing-offered", "no SGX memory, and soft_enclaves is 0");
    }
    advance(plugin, true);
    return CELLA_OK;
}

void kubelet_close(struct plugin *plugin)
{
    for (size_t i = 0; i < plugin->resource_count; i++) {
        registration_reset(&plugin->resources[i]);
        wire_listener_free(CELLA_TAKE(plugin->resources[i].listener));
    }
    if (plugin->changes) {
        event_free(CELLA_TAKE(plugin->changes));
    }
    if (plugin->soon) {
        event_free(CELLA_TAKE(plugin->soon));
    }
    if (plugin->watch_fd > 0) {
        close(plugin->watch_fd);
    }
}
