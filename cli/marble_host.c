/*
 * What the host does for a Marble: keeps its UUID, and carries the bytes of its connection. marble_host.h is the manual.
 * Side: tools. Called by program_service.c on a thread of the enclave that waits for it.
 */
#include "cli/marble_host.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/program.h"
#include "cella/host.h"

#define SECONDS 60
#define TEXT_MAX 4096u

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static int g_fd = -1;

/* ------------------------------------------------------------------ the UUID */

/* RFC 9562, 5.4: random. */
static cella_result uuid_make(char *ret_text)
{
    uint8_t bytes[16];
    CELLA_ENSURE(getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes), ENTROPY);
    bytes[6] = (uint8_t)((bytes[6] & 0x0F) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3F) | 0x80);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        const bool has_dash = i == 4 || i == 6 || i == 8 || i == 10;
        ret_text += sprintf(ret_text, has_dash ? "-%02x" : "%02x", bytes[i]);
    }
    return CELLA_OK;
}

/* As it stands in the file, in small letters; the enclave looks whether it is one. */
static cella_result uuid_read(int fd, char *ret_text)
{
    CELLA_ENSURE(read(fd, ret_text, CELLA_MARBLE_UUID_SIZE) == CELLA_MARBLE_UUID_SIZE, BAD_SYNTAX);
    for (size_t i = 0; i < CELLA_MARBLE_UUID_SIZE; i++) {
        ret_text[i] =
            (char)(ret_text[i] >= 'A' && ret_text[i] <= 'F' ? ret_text[i] | 0x20 : ret_text[i]);
    }
    return CELLA_OK;
}

static cella_result uuid_write(const char *path, char *ret_text)
{
    CELLA_TRY(uuid_make(ret_text));
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CELLA_ENSURE(fd >= 0, IO);
    const bool is_written =
        write(fd, ret_text, CELLA_MARBLE_UUID_SIZE) == (ssize_t)CELLA_MARBLE_UUID_SIZE;
    const bool done = close(fd) == 0 && is_written;
    if (!done) {
        unlink(path);
    }
    CELLA_ENSURE(done, IO);
    return CELLA_OK;
}

static cella_result uuid(const char *path, char *out, size_t room, size_t *ret_size)
{
    char text[CELLA_MARBLE_UUID_SIZE + 1] = {0};
    CELLA_ENSURE(room >= CELLA_MARBLE_UUID_SIZE, BUFFER_TOO_SMALL);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    cella_result result = CELLA_RESULT(IO);
    if (fd >= 0) {
        result = uuid_read(fd, text);
        close(fd);
    } else if (errno == ENOENT) {
        result = uuid_write(path, text);
    }
    if (!cella_is_ok(result)) {
        fprintf(stderr, "%s: %s\n", path,
                result.code == CELLA_CODE_BAD_SYNTAX ? "this holds no UUID" : strerror(errno));
        return result;
    }
    memcpy(out, text, CELLA_MARBLE_UUID_SIZE);
    *ret_size = CELLA_MARBLE_UUID_SIZE;
    return CELLA_OK;
}

/* ------------------------------------------------------------------ the connection */

static void close_now(void)
{
    if (g_fd >= 0) {
        close(g_fd);
    }
    g_fd = -1;
}

static int connect_one(const struct addrinfo *address)
{
    const struct timeval patience = {.tv_sec = SECONDS};
    const int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)); /* of connect, too */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        const int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* HOST:PORT, [ADDRESS]:PORT. */
static cella_result connect_to(char *text)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    char *port = strrchr(text, ':');
    char *host = text;
    close_now();
    if (!port) {
        fprintf(stderr, "%s: an address of a coordinator is HOST:PORT\n", text);
        return CELLA_RESULT(BAD_SYNTAX);
    }
    *port++ = 0;
    const size_t size = strlen(host);
    if (size > 1 && host[0] == '[' && host[size - 1] == ']') {
        host[size - 1] = 0;
        host++;
    }
    const int found = getaddrinfo(host[0] ? host : "localhost", port, &hints, &addresses);
    if (found != 0) {
        fprintf(stderr, "%s:%s: %s\n", host, port, gai_strerror(found));
        return CELLA_RESULT(NOT_FOUND);
    }
    for (const struct addrinfo *at = addresses; at && g_fd < 0; at = at->ai_next) {
        g_fd = connect_one(at);
    }
    if (g_fd < 0) {
        fprintf(stderr, "%s:%s: %s\n", host, port, strerror(errno));
    }
    freeaddrinfo(addresses);
    CELLA_ENSURE(g_fd >= 0, IO);
    return CELLA_OK;
}

static cella_result send_all(const uint8_t *bytes, size_t size)
{
    CELLA_ENSURE(g_fd >= 0, WRONG_STATE);
    while (size > 0) {
        const ssize_t sent = send(g_fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        CELLA_ENSURE(sent > 0, IO);
        bytes += sent;
        size -= (size_t)sent;
    }
    return CELLA_OK;
}

static cella_result receive(void *out, size_t room, size_t *ret_size)
{
    CELLA_ENSURE(g_fd >= 0, WRONG_STATE);
    ssize_t got;
    do {
        got = recv(g_fd, out, room, 0);
    } while (got < 0 && errno == EINTR);
    CELLA_ENSURE(got >= 0, IO);
    *ret_size = (size_t)got;
    return CELLA_OK;
}

static cella_result answer(uint32_t operation, const uint8_t *in, size_t in_size, void *out,
                           size_t room, size_t *ret_size)
{
    char text[TEXT_MAX] = {0};
    if (operation == CELLA_MARBLE_UUID || operation == CELLA_MARBLE_CONNECT) {
        CELLA_ENSURE(in_size < sizeof(text), LIMIT_EXCEEDED);
        memcpy(text, in, in_size);
    }
    switch (operation) {
    case CELLA_MARBLE_UUID:
        return uuid(text, out, room, ret_size);
    case CELLA_MARBLE_CONNECT:
        return connect_to(text);
    case CELLA_MARBLE_SEND:
        return send_all(in, in_size);
    case CELLA_MARBLE_RECEIVE:
        return receive(out, room, ret_size);
    case CELLA_MARBLE_CLOSE:
        close_now();
        return CELLA_OK;
    default:
        return CELLA_RESULT(NOT_FOUND);
    }
}

cella_result marble_host(const void *in, size_t in_size, void *out, size_t room, size_t *ret_size)
{
    uint32_t operation;
    CELLA_ENSURE(in_size >= sizeof(operation), TRUNCATED);
    memcpy(&operation, in, sizeof(operation));
    pthread_mutex_lock(&g_lock);
    const cella_result result = answer(operation, (const uint8_t *)in + sizeof(operation),
                                       in_size - sizeof(operation), out, room, ret_size);
    pthread_mutex_unlock(&g_lock);
    return result;
}
