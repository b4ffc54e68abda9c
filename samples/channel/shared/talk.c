/*
 * The client's side of one connection.
 * Side: both: compiled into the enclave, and into the host for clients that are no enclaves.
 */
#include "talk.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int talk_connect(const char *address, uint16_t port)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(port)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (inet_pton(AF_INET, address, &where.sin_addr) != 1 ||
                    connect(fd, (const struct sockaddr *)&where, sizeof(where)) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Why there is no connection: what the evidence lacks, or what TLS says. */
static cella_result refused(const SSL *connection, struct channel_answer *answer)
{
    const struct cella_tls_peer *peer = cella_tls_peer(connection);
    if (peer && !cella_is_ok(peer->result)) {
        snprintf(answer->text, sizeof(answer->text), "%s", peer->reason);
        return peer->result;
    }
    const unsigned long code = ERR_peek_last_error();
    snprintf(answer->text, sizeof(answer->text), "%s",
             code ? ERR_reason_error_string(code) : "the other side has closed the connection");
    ERR_clear_error();
    return CELLA_RESULT(IO);
}

/* The body of the answer. */
static cella_result read_answer(SSL *connection, struct channel_answer *answer)
{
    char bytes[2 * CHANNEL_TEXT_SIZE];
    size_t used = 0, got = 0;
    while (used < sizeof(bytes) - 1 &&
           SSL_read_ex(connection, bytes + used, sizeof(bytes) - 1 - used, &got) == 1) {
        used += got;
    }
    bytes[used] = 0;
    const char *body = strstr(bytes, "\r\n\r\n");
    if (!body) {
        return refused(connection, answer);
    }
    snprintf(answer->text, sizeof(answer->text), "%s", body + 4);
    answer->text[strcspn(answer->text, "\n")] = 0;
    return CELLA_OK;
}

cella_result talk_ask(SSL_CTX *context, int socket, struct channel_answer *answer)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    SSL *connection = SSL_new(context);
    cella_result result = CELLA_RESULT(OUT_OF_MEMORY);
    memset(answer, 0, sizeof(*answer));
    if (connection && SSL_set_fd(connection, socket) == 1) {
        if (SSL_connect(connection) != 1 ||
            SSL_write(connection, request, sizeof(request) - 1) != sizeof(request) - 1) {
            result = refused(connection, answer);
        } else {
            result = read_answer(connection, answer);
        }
        SSL_shutdown(connection);
    }
    SSL_free(connection);
    close(socket);
    return result;
}
