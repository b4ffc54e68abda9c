/*
 * A kubelet that takes registrations, in the mood that a test wants. peer.h is the manual.
 * Side: tests. A thread a connection.
 */
#include <dirent.h>
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "peer.h"

#define NAMES 8
#define CONNECTIONS 256

struct kubelet {
    int listener;
    char folder[80], path[128];
    pthread_t thread;
    _Atomic int mood;
    atomic_bool stopping;
    pthread_mutex_t lock;
    struct {
        char resource[64];
        unsigned asked, accepted;
    } names[NAMES];
    pthread_t threads[CONNECTIONS];
    size_t thread_count;
};

struct connection {
    struct kubelet *kubelet;
    int fd;
    uint8_t body[1024];
    size_t size;
    bool is_over;
};

static void count(struct kubelet *kubelet, const char *resource, bool accepted)
{
    pthread_mutex_lock(&kubelet->lock);
    for (int i = 0; i < NAMES; i++) {
        if (!kubelet->names[i].resource[0]) {
            snprintf(kubelet->names[i].resource, sizeof(kubelet->names[i].resource), "%s",
                     resource);
        }
        if (strcmp(kubelet->names[i].resource, resource) == 0) {
            *(accepted ? &kubelet->names[i].accepted : &kubelet->names[i].asked) += 1;
            break;
        }
    }
    pthread_mutex_unlock(&kubelet->lock);
}

/* A string field of the request: version 1, endpoint 2, resource_name 3. */
static bool field_of(const struct connection *connection, unsigned number, char *out, size_t room)
{
    for (size_t at = 5; at + 2 <= connection->size;) {
        const size_t size = connection->body[at + 1];
        if (at + 2 + size > connection->size) {
            return false;
        }
        if (connection->body[at] == (number << 3 | 2)) {
            snprintf(out, room, "%.*s", (int)size, (const char *)connection->body + at + 2);
            return true;
        }
        at += 2 + size;
    }
    return false;
}

/* As a kubelet does before it answers. */
static bool call_back(const struct kubelet *kubelet, const char *endpoint)
{
    char path[256];
    struct reply reply;
    snprintf(path, sizeof(path), "%s/%s", kubelet->folder, endpoint);
    struct client *client = client_open(path, NULL);
    if (!client) {
        return false;
    }
    const bool good = client_call(client, "/v1beta1.DevicePlugin/GetDevicePluginOptions", NULL, 0,
                                  NULL, &reply) &&
                      reply.grpc == 0;
    reply_done(&reply);
    client_close(client);
    return good;
}

static ssize_t on_answer(nghttp2_session *h2, int32_t id, uint8_t *out, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    static const nghttp2_nv trailer = {(uint8_t *)(uintptr_t) "grpc-status",
                                       (uint8_t *)(uintptr_t) "0", 11, 1, 0};
    (void)room, (void)source;
    const struct connection *connection = user;
    const size_t size = connection->kubelet->mood == KUBELET_EMPTY ? 0 : 5;
    memset(out, 0, size);
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_submit_trailer(h2, id, &trailer, 1);
    return (ssize_t)size;
}

static void answer(struct connection *connection, nghttp2_session *h2, int32_t id)
{
    struct kubelet *kubelet = connection->kubelet;
    static const nghttp2_nv good[] = {
        {(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "200", 7, 3, 0},
        {(uint8_t *)(uintptr_t) "content-type", (uint8_t *)(uintptr_t) "application/grpc", 12, 16,
         0}};
    const nghttp2_nv refused[] = {
        good[0],
        good[1],
        {(uint8_t *)(uintptr_t) "grpc-status", (uint8_t *)(uintptr_t) "14", 11, 2, 0},
        {(uint8_t *)(uintptr_t) "grpc-message", (uint8_t *)(uintptr_t) "100%25 busy", 12, 11, 0}};
    static const nghttp2_nv absent[] = {
        {(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "404", 7, 3, 0}};
    const nghttp2_data_provider provider = {.read_callback = on_answer};
    char resource[64] = "", endpoint[128] = "", version[16] = "";
    field_of(connection, 1, version, sizeof(version));
    field_of(connection, 2, endpoint, sizeof(endpoint));
    field_of(connection, 3, resource, sizeof(resource));
    count(kubelet, resource, false);
    switch ((enum kubelet_mood)kubelet->mood) {
    case KUBELET_GOOD:
        if (strcmp(version, "v1beta1") != 0 || strchr(endpoint, '/') ||
            !call_back(kubelet, endpoint)) {
            nghttp2_submit_response(h2, id, refused, 4, NULL);
            break;
        }
        count(kubelet, resource, true);
        nghttp2_submit_response(h2, id, good, 2, &provider);
        break;
    case KUBELET_EMPTY:
        nghttp2_submit_response(h2, id, good, 2, &provider);
        break;
    case KUBELET_REFUSES:
        nghttp2_submit_response(h2, id, refused, 4, NULL);
        break;
    case KUBELET_NOT_FOUND:
        nghttp2_submit_response(h2, id, absent, 1, NULL);
        break;
    case KUBELET_LEAVES:
        nghttp2_submit_goaway(h2, 0, 0, NGHTTP2_NO_ERROR, NULL, 0);
        break;
    case KUBELET_DROPS:
        connection->is_over = true;
        break;
    case KUBELET_SILENT:
    case KUBELET_NO_HTTP2:
        break;
    }
}

static int on_chunk(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data,
                    size_t size, void *user)
{
    struct connection *connection = user;
    (void)h2, (void)flags, (void)id;
    if (connection->size + size <= sizeof(connection->body)) {
        memcpy(connection->body + connection->size, data, size);
        connection->size += size;
    }
    return 0;
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    if (frame->hd.type == NGHTTP2_DATA && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        answer(user, h2, frame->hd.stream_id);
    }
    return 0;
}

static void connection_turn(struct connection *connection, nghttp2_session *h2)
{
    uint8_t in[4096];
    const uint8_t *out;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(h2, &out)) > 0) {
        connection->is_over |= !raw_send(connection->fd, out, (size_t)size);
    }
    struct pollfd wait = {.fd = connection->fd, .events = POLLIN};
    if (poll(&wait, 1, 20) > 0) {
        size = recv(connection->fd, in, sizeof(in), 0);
        connection->is_over |= size <= 0 || nghttp2_session_mem_recv(h2, in, (size_t)size) < 0;
    }
}

static void *connection_run(void *argument)
{
    struct connection *connection = argument;
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *h2;
    if (connection->kubelet->mood == KUBELET_NO_HTTP2) {
        raw_send(connection->fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
        count(connection->kubelet, "", false);
    } else {
        nghttp2_session_callbacks_new(&callbacks);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_server_new(&h2, callbacks, connection);
        nghttp2_session_callbacks_del(callbacks);
        nghttp2_submit_settings(h2, NGHTTP2_FLAG_NONE, NULL, 0);
        while (!connection->is_over && !connection->kubelet->stopping) {
            connection_turn(connection, h2);
        }
        nghttp2_session_del(h2);
    }
    close(connection->fd);
    free(connection);
    return NULL;
}

static void *kubelet_run(void *argument)
{
    struct kubelet *kubelet = argument;
    while (!kubelet->stopping) {
        struct pollfd wait = {.fd = kubelet->listener, .events = POLLIN};
        if (poll(&wait, 1, 20) <= 0 || kubelet->thread_count == CONNECTIONS) {
            continue;
        }
        struct connection *connection = calloc(1, sizeof(*connection));
        connection->kubelet = kubelet;
        connection->fd = accept4(kubelet->listener, NULL, NULL, SOCK_CLOEXEC);
        pthread_create(&kubelet->threads[kubelet->thread_count++], NULL, connection_run,
                       connection);
    }
    return NULL;
}

static void sockets_wipe(const char *folder)
{
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        struct stat status;
        if (fstatat(dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISSOCK(status.st_mode)) {
            unlinkat(dirfd(entries), entry->d_name, 0);
        }
    }
    if (entries) {
        closedir(entries);
    }
}

struct kubelet *kubelet_start(const struct plugin_process *plugin, enum kubelet_mood mood)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct kubelet *kubelet = calloc(1, sizeof(*kubelet));
    snprintf(kubelet->folder, sizeof(kubelet->folder), "%s/plugins", plugin->folder);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/kubelet.sock", kubelet->folder);
    kubelet->mood = (int)mood;
    pthread_mutex_init(&kubelet->lock, NULL);
    sockets_wipe(kubelet->folder);
    kubelet->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(kubelet->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(kubelet->listener, 16) != 0 ||
        pthread_create(&kubelet->thread, NULL, kubelet_run, kubelet) != 0) {
        abort();
    }
    return kubelet;
}

void kubelet_stop(struct kubelet *kubelet)
{
    kubelet->stopping = true;
    pthread_join(kubelet->thread, NULL);
    for (size_t i = 0; i < kubelet->thread_count; i++) {
        pthread_join(kubelet->threads[i], NULL);
    }
    close(kubelet->listener);
    pthread_mutex_destroy(&kubelet->lock);
    free(kubelet);
}

void kubelet_mood(struct kubelet *kubelet, enum kubelet_mood mood)
{
    kubelet->mood = (int)mood;
}

static unsigned wait_for(struct kubelet *kubelet, const char *resource, bool accepted,
                         unsigned least, int milliseconds)
{
    const int64_t end = milliseconds_now() + milliseconds;
    for (;;) {
        unsigned now = 0;
        pthread_mutex_lock(&kubelet->lock);
        for (int i = 0; i < NAMES; i++) {
            if (strcmp(kubelet->names[i].resource, resource) == 0) {
                now += accepted ? kubelet->names[i].accepted : kubelet->names[i].asked;
            }
        }
        pthread_mutex_unlock(&kubelet->lock);
        if (now >= least || milliseconds_now() >= end) {
            return now;
        }
        usleep(5000);
    }
}

unsigned kubelet_asked(struct kubelet *kubelet, const char *resource, unsigned least,
                       int milliseconds)
{
    return wait_for(kubelet, resource, false, least, milliseconds);
}

unsigned kubelet_accepted(struct kubelet *kubelet, const char *resource, unsigned least,
                          int milliseconds)
{
    return wait_for(kubelet, resource, true, least, milliseconds);
}
