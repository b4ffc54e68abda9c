/*
 * The socket server of cella-quoted under AddressSanitizer and UBSan, or ThreadSanitizer: many clients on many threads,
 * good and bad, while it answers and while it stops. Quotes are a mock's: enclaves and sanitizers do not go together.
 * Side: tests.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon.h"
#include "mock.h"
#include "services/common/log.h"
#include "services/quoted/server.h"

#define CLIENTS 8
#define ROUNDS 150u

static struct daemon g_place; /* only the socket's path is used */
static struct aesm_backend g_backend;
static _Atomic unsigned g_wrong;

static struct server *server_new(uint32_t threads, uint32_t timeout)
{
    struct server *server = NULL;
    struct cella_error error = {0};
    g_backend = mock_backend();
    const struct server_options options = {.path = g_place.socket,
                                           .backend = &g_backend,
                                           .limits = {.connections = 4000},
                                           .connections = 4000,
                                           .threads = threads,
                                           .timeout = timeout,
                                           .socket = -1};
    const cella_result result = server_start(&options, &server, &error);
    if (!cella_is_ok(result)) {
        fail_msg("server_start: %s %s", cella_result_name(result), error.text);
    }
    return server;
}

static struct message quote_request(uint8_t mac)
{
    uint8_t report[432] = {0}, key_id[256] = {0};
    struct message body = {.size = 0};
    report[416] = mac;
    key_id[154] = 2;
    message_bytes(&body, 1, report, sizeof(report));
    message_bytes(&body, 2, key_id, sizeof(key_id));
    message_number(&body, 4, 8192);
    return message_in(17, &body);
}

/* One of: a quote, a refusal, half a frame, garbage, a frame too large, away before the answer. */
static void client_act(uint32_t random)
{
    const uint8_t mac = (uint8_t)(random >> 8);
    const struct message request = quote_request(mac);
    const uint32_t large = 0x7FFFFFFF;
    uint32_t size = 0, bytes_size = 0;
    const int fd = client_connect(&g_place);
    if (fd < 0) {
        g_wrong++;
        return;
    }
    switch (random % 6) {
    case 2:
        client_send(fd, &request.size, 3);
        break;
    case 3:
        client_send(fd, &request.size, 4);
        client_send(fd, request.data + 5, request.size - 5);
        break;
    case 4:
        client_send(fd, &large, 4);
        break;
    case 5:
        client_send(fd, &request.size, 4);
        client_send(fd, request.data, request.size);
        break;
    default:
        client_send(fd, &request.size, 4);
        client_send(fd, request.data, request.size);
        uint8_t *answer = client_receive(fd, &size);
        const uint8_t *quote = answer ? answer_bytes(answer, size, 2, &bytes_size) : NULL;
        const int64_t code = answer ? answer_number(answer, size, 1) : -1;
        g_wrong +=
            mac & 1 ? code != 47 : code != 0 || bytes_size != MOCK_QUOTE_SIZE || quote[17] != mac;
        free(answer);
    }
    close(fd);
}

static void *client_run(void *argument)
{
    uint32_t random = (uint32_t)(uintptr_t)argument * 2654435761u + 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        random = random * 1664525u + 1013904223u;
        client_act(random >> 8);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    (void)state;
    pthread_t threads[CLIENTS];
    struct server *server = server_new(4, 5);
    g_wrong = 0;
    for (uintptr_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, client_run, (void *)i), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(g_wrong, 0);
    server_stop(server);
    assert_int_not_equal(access(g_place.socket, F_OK), 0);
}

/* Stops while clients are in the middle of everything. */
static void test_stop(void **state)
{
    (void)state;
    const struct message request = quote_request(2);
    struct server *server = server_new(2, 5);
    int fds[60];
    for (int i = 0; i < 60; i++) {
        fds[i] = client_connect(&g_place);
        assert_true(fds[i] >= 0);
        client_send(fds[i], &request.size, (size_t)i % 5);
        if (i % 5 == 4) {
            client_send(fds[i], request.data, request.size / (1 + (unsigned)i % 3));
        }
    }
    server_stop(server);
    for (int i = 0; i < 60; i++) {
        uint32_t size;
        free(client_receive(fds[i], &size)); /* an answer or the end; it must not hang */
        close(fds[i]);
    }
}

/* A client that never reads: its answers fill the socket, then its time is over, and others were served meanwhile. */
static void test_deaf_client(void **state)
{
    (void)state;
    const struct message request = quote_request(2);
    struct server *server = server_new(1, 1);
    uint32_t size;
    const int deaf = client_connect(&g_place);
    const int small = 2048;
    setsockopt(deaf, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    bool alive = true;
    for (int i = 0; i < 3000 && alive; i++) {
        uint8_t frame[8192];
        memcpy(frame, &request.size, 4);
        memcpy(frame + 4, request.data, request.size);
        alive = send(deaf, frame, 4 + request.size, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
    }
    uint8_t *answer = client_ask(&g_place, request.data, request.size, &size);
    assert_non_null(answer);
    free(answer);
    sleep(2);
    uint8_t byte;
    while (recv(deaf, &byte, 1, 0) > 0) { /* what had been sent, then the end */
    }
    close(deaf);
    server_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_deaf_client),
    };
    log_start("test");
    log_set_level(LOG_ERROR);
    strcpy(g_place.folder, "/tmp/cella-server-XXXXXX");
    if (!mkdtemp(g_place.folder)) {
        return 2;
    }
    snprintf(g_place.socket, sizeof(g_place.socket), "%s/aesm.socket", g_place.folder);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(g_place.folder);
    return failed;
}
