/*
 * A daemon and a client for tests. daemon.h is the manual. The messages are written apart from the code under test.
 * Side: tests.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void program_run(const struct daemon *daemon, const char *program,
                        const char *const *arguments)
{
    char platform[96];
    const char *list[24] = {program, "--socket", daemon->socket, "--platform", platform};
    size_t count = 5;
    snprintf(platform, sizeof(platform), "%s/platform", daemon->folder);
    while (*arguments && count < 23) {
        list[count++] = *arguments++;
    }
    const int log = open(daemon->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, STDERR_FILENO);
    execv(program, (char **)list);
    _exit(127);
}

bool daemon_start(struct daemon *daemon, const char *program, const char *const *arguments)
{
    if (!daemon->folder[0]) {
        strcpy(daemon->folder, "/tmp/cella-quoted-XXXXXX");
        if (!mkdtemp(daemon->folder)) {
            return false;
        }
        snprintf(daemon->socket, sizeof(daemon->socket), "%s/aesm.socket", daemon->folder);
        snprintf(daemon->log, sizeof(daemon->log), "%s/log", daemon->folder);
    }
    daemon->pid = fork();
    if (daemon->pid == 0) {
        program_run(daemon, program, arguments);
    }
    for (int i = 0; i < 500; i++) {
        const int fd = client_connect(daemon);
        if (fd >= 0) {
            close(fd);
            return true;
        }
        if (!daemon_lives(daemon)) {
            return false;
        }
        usleep(20000);
    }
    return false;
}

bool daemon_lives(const struct daemon *daemon)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)daemon->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

int daemon_stop(struct daemon *daemon)
{
    int status = 0;
    kill(daemon->pid, SIGTERM);
    for (int i = 0; i < 500 && daemon_lives(daemon); i++) {
        usleep(20000);
    }
    const bool killed = daemon_lives(daemon);
    if (killed) {
        kill(daemon->pid, SIGKILL);
    }
    waitpid(daemon->pid, &status, 0);
    return !killed && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool daemon_clean(const struct daemon *daemon)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", daemon->folder);
    return system(command) == 0;
}

bool daemon_said(const struct daemon *daemon, const char *text)
{
    for (int i = 0; i < 500; i++) {
        static char log[1 << 20];
        const int fd = open(daemon->log, O_RDONLY);
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

int client_connect(const struct daemon *daemon)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval limit = {.tv_sec = 5};
    strcpy(address.sun_path, daemon->socket);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
}

bool client_send(int fd, const void *data, size_t size)
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

static bool receive(int fd, void *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        const ssize_t got = recv(fd, (uint8_t *)data + at, size - at, 0);
        if (got <= 0) {
            return false;
        }
        at += (size_t)got;
    }
    return true;
}

uint8_t *client_receive(int fd, uint32_t *ret_size)
{
    uint8_t *body = NULL;
    if (!receive(fd, ret_size, 4) || *ret_size > 1 << 20 || !(body = malloc(*ret_size + 1)) ||
        !receive(fd, body, *ret_size)) {
        free(body);
        return NULL;
    }
    return body;
}

uint8_t *client_ask(const struct daemon *daemon, const void *message, uint32_t size,
                    uint32_t *ret_size)
{
    uint8_t *answer = NULL;
    const int fd = client_connect(daemon);
    if (fd >= 0 && client_send(fd, &size, 4) && client_send(fd, message, size)) {
        answer = client_receive(fd, ret_size);
    }
    close(fd);
    return answer;
}

static void put(struct message *message, uint64_t value)
{
    for (; value > 0x7F; value >>= 7) {
        message->data[message->size++] = (uint8_t)(value | 0x80);
    }
    message->data[message->size++] = (uint8_t)value;
}

void message_number(struct message *message, uint32_t field, uint64_t value)
{
    put(message, field << 3);
    put(message, value);
}

void message_bytes(struct message *message, uint32_t field, const void *data, size_t size)
{
    put(message, field << 3 | 2);
    put(message, size);
    memcpy(message->data + message->size, data, size);
    message->size += (uint32_t)size;
}

struct message message_in(uint32_t field, const struct message *inner)
{
    struct message outer = {.size = 0};
    message_bytes(&outer, field, inner->data, inner->size);
    return outer;
}

static bool take(const uint8_t **at, const uint8_t *end, uint64_t *ret_value)
{
    *ret_value = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        const uint8_t byte = *(*at)++;
        *ret_value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

/* The field's bytes (wire type 2) or its number. */
static bool find(const uint8_t *at, uint32_t size, uint32_t field, uint64_t *ret_number,
                 const uint8_t **ret_bytes, uint32_t *ret_size)
{
    const uint8_t *end = at + size;
    uint64_t tag, value;
    while (at < end && take(&at, end, &tag) && take(&at, end, &value)) {
        const bool bytes = (tag & 7) == 2;
        if (bytes && value > (uint64_t)(end - at)) {
            return false;
        }
        if (field == 0 || tag >> 3 == field) {
            *ret_number = field == 0 ? tag >> 3 : value;
            *ret_bytes = at;
            *ret_size = bytes ? (uint32_t)value : 0;
            return true;
        }
        at += bytes ? value : 0;
    }
    return false;
}

int64_t answer_kind(const uint8_t *answer, uint32_t size)
{
    uint64_t number;
    const uint8_t *bytes;
    uint32_t bytes_size;
    return find(answer, size, 0, &number, &bytes, &bytes_size) ? (int64_t)number : -1;
}

const uint8_t *answer_bytes(const uint8_t *answer, uint32_t size, uint32_t field,
                            uint32_t *ret_size)
{
    uint64_t number;
    const uint8_t *inner, *bytes;
    uint32_t inner_size;
    if (!find(answer, size, 0, &number, &inner, &inner_size) ||
        !find(inner, inner_size, field, &number, &bytes, ret_size)) {
        return NULL;
    }
    return bytes;
}

int64_t answer_number(const uint8_t *answer, uint32_t size, uint32_t field)
{
    uint64_t number;
    const uint8_t *inner, *bytes;
    uint32_t inner_size, bytes_size;
    return find(answer, size, 0, &number, &inner, &inner_size) &&
                   find(inner, inner_size, field, &number, &bytes, &bytes_size)
               ? (int64_t)number
               : -1;
}
