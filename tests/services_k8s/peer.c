/*
 * The plugin as a process, and a gRPC client. peer.h is the manual.
 * Side: tests.
 */
#include "peer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t milliseconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------- the process */

void plugin_path(const struct plugin_process *plugin, const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", plugin->folder, name);
}

void plugin_socket(const struct plugin_process *plugin, const char *resource, char out[128])
{
    const int used = snprintf(out, 128, "%s/plugins/", plugin->folder);
    snprintf(out + used, 128 - (size_t)used, "cella-%s.sock", resource);
    char *slash = strchr(out + used, '/');
    if (slash) {
        *slash = '_';
    }
}

static bool file_write(const struct plugin_process *plugin, const char *name, const char *text)
{
    char path[128];
    plugin_path(plugin, name, path);
    FILE *file = fopen(path, "w");
    return file && fputs(text, file) >= 0 && fclose(file) == 0;
}

static bool folder_fill(struct plugin_process *plugin, const char *more)
{
    static const char *const folders[] = {"plugins",
                                          "dev",
                                          "sys",
                                          "sys/class",
                                          "sys/class/misc",
                                          "sys/class/misc/sgx_enclave",
                                          "sys/class/misc/sgx_provision"};
    char path[128], text[2048];
    strcpy(plugin->folder, "/tmp/cella-k8s-XXXXXX");
    if (!mkdtemp(plugin->folder)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        plugin_path(plugin, folders[i], path);
        mkdir(path, 0755);
    }
    plugin_path(plugin, "dev/sgx_enclave", path);
    bool good = symlink("/dev/null", path) == 0;
    plugin_path(plugin, "dev/sgx_provision", path);
    good = good && symlink("/dev/zero", path) == 0;
    snprintf(text, sizeof(text),
             "listen = unix:%1$s/http\nfolder = %1$s/plugins\ndev_folder = %1$s/dev\n"
             "sys_folder = %1$s/sys\nquote_socket = %1$s/aesm.socket\n%2$s",
             plugin->folder, more);
    return good && file_write(plugin, "sys/class/misc/sgx_enclave/dev", "1:3\n") &&
           file_write(plugin, "sys/class/misc/sgx_provision/dev", "1:5\n") &&
           file_write(plugin, "conf", text);
}

bool plugin_start(struct plugin_process *plugin, const char *program, const char *more)
{
    char config[128], log[128], http[128];
    struct stat status;
    signal(SIGPIPE, SIG_IGN);
    if (!folder_fill(plugin, more)) {
        return false;
    }
    plugin_path(plugin, "conf", config);
    plugin_path(plugin, "log", log);
    plugin_path(plugin, "http", http);
    plugin->pid = fork();
    if (plugin->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(open(log, O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
        execl(program, program, "--config", config, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 1000 && plugin_lives(plugin); i++) {
        if (stat(http, &status) == 0) {
            return true;
        }
        usleep(10000);
    }
    return false;
}

bool plugin_lives(const struct plugin_process *plugin)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)plugin->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

int plugin_stop(struct plugin_process *plugin)
{
    int status = 0;
    char command[80];
    kill(plugin->pid, SIGTERM);
    for (int i = 0; i < 1000 && plugin_lives(plugin); i++) {
        usleep(10000);
    }
    const bool killed = plugin_lives(plugin);
    if (killed) {
        kill(plugin->pid, SIGKILL);
    }
    waitpid(plugin->pid, &status, 0);
    const int code = !killed && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code != 0) {
        snprintf(command, sizeof(command), "tail -n 40 %s/log >&2", plugin->folder);
        if (system(command) != 0) {
            return -1;
        }
    }
    snprintf(command, sizeof(command), "rm -rf %s", plugin->folder);
    return system(command) == 0 ? code : -1;
}

bool plugin_said(const struct plugin_process *plugin, const char *text)
{
    char path[128];
    plugin_path(plugin, "log", path);
    for (int i = 0; i < 150; i++) {
        static char log[4 << 20];
        const int fd = open(path, O_RDONLY);
        const ssize_t size = read(fd, log, sizeof(log) - 1);
        close(fd);
        log[size > 0 ? size : 0] = 0;
        if (strstr(log, text)) {
            return true;
        }
        usleep(20000);
    }
    return false;
}

long plugin_resident(const struct plugin_process *plugin, const char *which)
{
    char path[64], line[256];
    long value = -1;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)plugin->pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, which, strlen(which)) == 0) {
            value = strtol(line + strlen(which) + 1, NULL, 10);
        }
    }
    if (file) {
        fclose(file);
    }
    return value;
}

int plugin_descriptors(const struct plugin_process *plugin)
{
    char path[64];
    int count = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)plugin->pid);
    DIR *folder = opendir(path);
    while (folder && readdir(folder)) {
        count++;
    }
    if (folder) {
        closedir(folder);
    }
    return count;
}

/* ------------------------------------------------------------------- the client */

struct client {
    int fd;
    nghttp2_session *h2;
    char authority[128];
    bool is_broken;
};

struct upload {
    const uint8_t *data;
    size_t size, sent;
};

static ssize_t on_upload(nghttp2_session *h2, int32_t id, uint8_t *out, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct upload *upload = source->ptr;
    const size_t left = upload->size - upload->sent, size = left < room ? left : room;
    (void)h2, (void)id, (void)user;
    memcpy(out, upload->data + upload->sent, size);
    upload->sent += size;
    *flags |= upload->sent == upload->size ? NGHTTP2_DATA_FLAG_EOF : 0;
    return (ssize_t)size;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user)
{
    struct reply *reply = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
    (void)name_size, (void)flags, (void)user;
    if (!reply) {
        return 0;
    }
    if (strcmp((const char *)name, ":status") == 0) {
        reply->http = atoi((const char *)value);
    } else if (strcmp((const char *)name, "grpc-status") == 0) {
        reply->grpc = atoi((const char *)value);
    } else if (strcmp((const char *)name, "grpc-message") == 0) {
        snprintf(reply->text, sizeof(reply->text), "%.*s", (int)value_size, (const char *)value);
    }
    return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
                   void *user)
{
    struct reply *reply = nghttp2_session_get_stream_user_data(h2, id);
    (void)flags, (void)user;
    if (reply) {
        reply->data = realloc(reply->data, reply->size + size);
        memcpy(reply->data + reply->size, data, size);
        reply->size += size;
    }
    return 0;
}

static int on_close(nghttp2_session *h2, int32_t id, uint32_t code, void *user)
{
    struct reply *reply = nghttp2_session_get_stream_user_data(h2, id);
    (void)code, (void)user;
    if (reply) {
        reply->ended = true;
    }
    return 0;
}

int raw_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    for (int i = 0; i < 200; i++) {
        const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
            return fd;
        }
        close(fd);
        usleep(10000);
    }
    return -1;
}

bool raw_send(int fd, const void *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        const ssize_t sent = send(fd, (const uint8_t *)data + at, size - at, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        at += (size_t)sent;
    }
    return true;
}

bool raw_closed(int fd, int milliseconds)
{
    const int64_t end = milliseconds_now() + milliseconds;
    uint8_t bytes[4096];
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        const int64_t left = end - milliseconds_now();
        if (left <= 0 || poll(&wait, 1, (int)left) <= 0) {
            return false;
        }
        if (recv(fd, bytes, sizeof(bytes), 0) <= 0) {
            return true;
        }
    }
}

struct client *client_open(const char *path, const char *authority)
{
    struct client *client = calloc(1, sizeof(*client));
    nghttp2_session_callbacks *callbacks;
    client->fd = raw_connect(path);
    if (client->fd < 0) {
        free(client);
        return NULL;
    }
    snprintf(client->authority, sizeof(client->authority), "%s",
             authority ? authority : "localhost");
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_client_new(&client->h2, callbacks, client);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(client->h2, NGHTTP2_FLAG_NONE, NULL, 0);
    return client;
}

void client_close(struct client *client)
{
    if (client) {
        close(client->fd);
        nghttp2_session_del(client->h2);
        free(client);
    }
}

/* One turn: sends what there is, reads what comes within the time. */
static bool client_turn(struct client *client, int milliseconds)
{
    const uint8_t *out;
    uint8_t in[65536];
    ssize_t size;
    while ((size = nghttp2_session_mem_send(client->h2, &out)) > 0) {
        if (!raw_send(client->fd, out, (size_t)size)) {
            client->is_broken = true;
            return false;
        }
    }
    struct pollfd wait = {.fd = client->fd, .events = POLLIN};
    if (poll(&wait, 1, milliseconds) <= 0) {
        return true;
    }
    size = recv(client->fd, in, sizeof(in), 0);
    client->is_broken = size <= 0 || nghttp2_session_mem_recv(client->h2, in, (size_t)size) < 0;
    return !client->is_broken;
}

static nghttp2_nv pair_of(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static int32_t submit(struct client *client, const char *method, const char *const *pairs,
                      struct upload *upload, struct reply *reply)
{
    nghttp2_nv headers[24] = {
        pair_of(":method", "POST"), pair_of(":scheme", "http"),
        pair_of(":path", method),   pair_of(":authority", client->authority),
        pair_of("te", "trailers"),  pair_of("content-type", "application/grpc"),
    };
    size_t count = 6;
    for (size_t i = 0; pairs && pairs[i]; i += 2) {
        size_t at = 0;
        while (at < count && strcmp((const char *)headers[at].name, pairs[i]) != 0) {
            at++;
        }
        headers[at] = pair_of(pairs[i], pairs[i + 1]);
        count += at == count;
    }
    const nghttp2_data_provider provider = {.source.ptr = upload, .read_callback = on_upload};
    return nghttp2_submit_request(client->h2, NULL, headers, count, upload ? &provider : NULL,
                                  reply);
}

bool client_raw(struct client *client, const char *method, const void *body, size_t size,
                const char *const *pairs, struct reply *ret_reply)
{
    struct upload upload = {.data = body, .size = size};
    const int64_t end = milliseconds_now() + 5000;
    *ret_reply = (struct reply){.http = -1, .grpc = -1};
    submit(client, method, pairs, &upload, ret_reply);
    while (!ret_reply->ended && milliseconds_now() < end) {
        if (!client_turn(client, 100)) {
            return false;
        }
    }
    return ret_reply->ended;
}

bool client_call(struct client *client, const char *method, const void *message, size_t size,
                 const char *const *pairs, struct reply *ret_reply)
{
    uint8_t *body = malloc(size + 5);
    const uint8_t prefix[5] = {0, (uint8_t)(size >> 24), (uint8_t)(size >> 16),
                               (uint8_t)(size >> 8), (uint8_t)size};
    memcpy(body, prefix, 5);
    if (size) {
        memcpy(body + 5, message, size);
    }
    const bool good = client_raw(client, method, body, size + 5, pairs, ret_reply);
    free(body);
    return good;
}

void client_begin(struct client *client, const char *method, struct reply *reply)
{
    static const uint8_t empty[5];
    static struct upload uploads[256];
    static unsigned next;
    struct upload *upload = &uploads[next++ % 256];
    *upload = (struct upload){.data = empty, .size = 5};
    *reply = (struct reply){.http = -1, .grpc = -1};
    submit(client, method, NULL, upload, reply);
    client_turn(client, 0);
}

/* The nth message; false: it is not there whole. */
static bool message_of(const struct reply *reply, unsigned nth, const uint8_t **ret_data,
                       size_t *ret_size)
{
    size_t at = 0;
    for (unsigned i = 0; at + 5 <= reply->size; i++) {
        const uint8_t *data = reply->data + at;
        const size_t size =
            (size_t)data[1] << 24 | (size_t)data[2] << 16 | (size_t)data[3] << 8 | data[4];
        if (size > reply->size - at - 5) {
            return false;
        }
        if (i == nth) {
            *ret_data = data + 5;
            *ret_size = size;
            return true;
        }
        at += size + 5;
    }
    return false;
}

bool client_wait(struct client *client, struct reply *reply, unsigned count, int milliseconds)
{
    const int64_t end = milliseconds_now() + milliseconds;
    const uint8_t *data;
    size_t size;
    while (!reply->ended && (count == 0 || !message_of(reply, count - 1, &data, &size))) {
        if (milliseconds_now() >= end || !client_turn(client, 20)) {
            return false;
        }
    }
    return true;
}

void client_ping(struct client *client)
{
    nghttp2_submit_ping(client->h2, NGHTTP2_FLAG_NONE, NULL);
    client_turn(client, 50);
}

void client_reset(struct client *client, const char *method)
{
    const int32_t id = submit(client, method, NULL, NULL, NULL);
    client_turn(client, 0);
    nghttp2_submit_rst_stream(client->h2, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    client_turn(client, 0);
}

void reply_done(struct reply *reply)
{
    free(reply->data);
    reply->data = NULL;
}

size_t reply_devices(const struct reply *reply, unsigned nth, const char *health)
{
    const uint8_t *data;
    size_t size, count = 0;
    if (!message_of(reply, nth, &data, &size)) {
        return 0;
    }
    for (size_t at = 0; at + 2 <= size; count++) {
        const size_t device = data[at + 1], id = data[at + 3];
        const size_t length = strlen(health);
        /* 0a SIZE 0a ID-SIZE ID 12 HEALTH-SIZE HEALTH */
        if (data[at] != 0x0a || at + 2 + device > size || data[at + 2] != 0x0a ||
            device != 2 + id + 2 + length || data[at + 4 + id] != 0x12 ||
            memcmp(data + at + 6 + id, health, length) != 0) {
            return 0;
        }
        at += 2 + device;
    }
    return count;
}
