/*
 * Where the HTTP server listens: tcp://, tls:// and unix: addresses, and the certificate of the second.
 * Side: services. Called by services/common/http_server.c. Never accepts.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "services/common/http_internal.h"

#define BACKLOG 1024

/* HOST:PORT or [HOST]:PORT. */
static bool split_host(const char *text, struct listener *listener)
{
    const char *colon = strrchr(text, ':');
    if (!colon || strlen(colon + 1) >= sizeof(listener->port) || !colon[1] ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1)) {
        return false;
    }
    size_t size = (size_t)(colon - text);
    if (size >= 2 && text[0] == '[' && text[size - 1] == ']') {
        text++;
        size -= 2;
    }
    if (size == 0 || size >= sizeof(listener->host)) {
        return false;
    }
    memcpy(listener->host, text, size);
    listener->host[size] = 0;
    strcpy(listener->port, colon + 1);
    return true;
}

cella_result listener_parse(const char *text, struct listener *ret_listener,
                            struct cella_error *error)
{
    struct listener listener = {.unix_fd = -1};
    bool good = false;
    if (strncmp(text, "tcp://", 6) == 0 || strncmp(text, "tls://", 6) == 0) {
        listener.kind = text[1] == 'c' ? LISTENER_TCP : LISTENER_TLS;
        good = split_host(text + 6, &listener);
    } else if (strncmp(text, "unix:", 5) == 0) {
        listener.kind = LISTENER_UNIX;
        good = text[5] && strlen(text + 5) < sizeof(listener.path);
        if (good) {
            strcpy(listener.path, text + 5);
        }
    }
    if (!good) {
        return cella_error_set(
            error, CELLA_RESULT(BAD_SYNTAX),
            "listen = %s: expected tcp://HOST:PORT, tls://HOST:PORT or unix:PATH", text);
    }
    *ret_listener = listener;
    return CELLA_OK;
}

static cella_result tcp_socket(struct listener *listener, const struct addrinfo *address,
                               int *ret_fd, struct cella_error *error)
{
    const int on = 1;
    struct sockaddr_storage bound;
    socklen_t size = sizeof(bound);
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
        (address->ai_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &size) != 0) {
        int saved = errno;
        if (fd >= 0) {
            close(fd);
        }
        return cella_error_errno(error, CELLA_RESULT(IO), saved, "cannot listen on %s port %s",
                                 listener->host, listener->port);
    }
    listener->bound_port =
        ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                          : ((struct sockaddr_in *)&bound)->sin_port);
    *ret_fd = fd;
    return CELLA_OK;
}

/* A socket left by a service that was killed is in the way; one that answers is not ours to take. */
static cella_result remove_stale(const struct sockaddr_un *address, struct cella_error *error)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0) {
        return CELLA_OK;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
    if (fd >= 0) {
        close(fd);
    }
    if (!S_ISSOCK(status.st_mode) || answers) {
        return cella_error_set(error, CELLA_RESULT(ALREADY_EXISTS), "%s: %s", address->sun_path,
                               answers ? "another service listens there" : "is not a socket");
    }
    unlink(address->sun_path);
    return CELLA_OK;
}

static cella_result unix_socket(struct listener *listener, int *ret_fd, struct cella_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, listener->path);
    if (listener->unix_fd < 0) {
        CELLA_TRY(remove_stale(&address, error));
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
            listen(fd, BACKLOG) != 0) {
            int saved = errno;
            if (fd >= 0) {
                close(fd);
            }
            return cella_error_errno(error, CELLA_RESULT(IO), saved, "cannot listen on %s",
                                     listener->path);
        }
        listener->unix_fd = fd;
    }
    *ret_fd = dup(listener->unix_fd); /* each worker accepts from the one socket */
    CELLA_ENSURE(*ret_fd >= 0, IO);
    return CELLA_OK;
}

cella_result listener_socket(struct listener *listener, int *ret_fd, struct cella_error *error)
{
    if (listener->kind == LISTENER_UNIX) {
        return unix_socket(listener, ret_fd, error);
    }
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    char port[12];
    /* The first worker's choice of a port holds for the others. */
    snprintf(port, sizeof(port), "%s", listener->port);
    if (listener->bound_port) {
        snprintf(port, sizeof(port), "%u", listener->bound_port);
    }
    int failed = getaddrinfo(strcmp(listener->host, "*") == 0 ? NULL : listener->host, port, &hints,
                             &addresses);
    if (failed) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "listen: %s: %s", listener->host,
                               gai_strerror(failed));
    }
    cella_result result = tcp_socket(listener, addresses, ret_fd, error);
    freeaddrinfo(addresses);
    return result;
}

static cella_result tls_fail(struct cella_error *error, const char *what, const char *path)
{
    unsigned long code = ERR_peek_last_error();
    cella_result result = cella_error_set(error, CELLA_RESULT(BAD_FIELD), "%s = %s: %s", what, path,
                                          code ? ERR_reason_error_string(code) : "cannot be used");
    ERR_clear_error();
    return result;
}

cella_result tls_context_new(const struct http_options *options, SSL_CTX **ret_context,
                             struct cella_error *error)
{
    if (!options->tls_certificate || !options->tls_key) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "tls:// needs tls_certificate and tls_key");
    }
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    CELLA_ENSURE(context, OUT_OF_MEMORY);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    cella_result result = CELLA_OK;
    if (SSL_CTX_use_certificate_chain_file(context, options->tls_certificate) != 1) {
        result = tls_fail(error, "tls_certificate", options->tls_certificate);
    } else if (SSL_CTX_use_PrivateKey_file(context, options->tls_key, SSL_FILETYPE_PEM) != 1 ||
               SSL_CTX_check_private_key(context) != 1) {
        result = tls_fail(error, "tls_key", options->tls_key);
    }
    if (!cella_is_ok(result)) {
        SSL_CTX_free(context);
        return result;
    }
    *ret_context = context;
    return CELLA_OK;
}
