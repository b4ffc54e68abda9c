/*
 * cella-quoted at its socket: every request, wrong ones, hostile clients, limits, and quotes of a real enclave.
 * Side: tests. Arguments: the daemon, the enclave of quotes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../quote/calls.h"
#include "../quote/layout.h"
#include "../runtime/docs_hex.h"
#include "abi/quote.h"
#include "cella/attest.h"
#include "cella/host.h"
#include "daemon.h"

#define INIT_QUOTE 15u
#define QUOTE_SIZE 16u
#define GET_QUOTE 17u
#define SELECT_KEY 19u
#define UNSUPPORTED 20u
#define KEY_COUNT 21u
#define KEYS 22u

static const char *g_program, *g_image;
static struct daemon g_daemon;

/* What Intel's clients have built in: id of the ECDSA key of Intel's quoting enclave. */
static void intel_key(uint8_t key_id[256])
{
    static const uint8_t signer[32] = {0x8C, 0x4F, 0x57, 0x75, 0xD7, 0x96, 0x50, 0x3E,
                                       0x96, 0x13, 0x7F, 0x77, 0xC6, 0x8A, 0x82, 0x9A,
                                       0x00, 0x56, 0xAC, 0x8D, 0xED, 0x70, 0x14, 0x0B,
                                       0x08, 0x1B, 0x09, 0x44, 0x90, 0xC5, 0x7B, 0xFF};
    memset(key_id, 0, 256);
    key_id[4] = 32;
    memcpy(key_id + 6, signer, 32);
    key_id[54] = 1;
    key_id[154] = 2;
}

/* Asks; the answer is of that kind. Its code comes back, the answer in *ret_answer (free it; may be NULL). */
static int64_t ask(uint32_t field, const struct message *body, uint32_t kind, uint8_t **ret_answer,
                   uint32_t *ret_size)
{
    const struct message request = message_in(field, body);
    uint32_t size;
    uint8_t *answer = client_ask(&g_daemon, request.data, request.size, &size);
    assert_non_null(answer);
    assert_int_equal(answer_kind(answer, size), kind);
    const int64_t code = answer_number(answer, size, 1);
    if (ret_answer) {
        *ret_answer = answer;
        *ret_size = size;
    } else {
        free(answer);
    }
    return code;
}

static void target_get(struct sgx_targetinfo *ret_target)
{
    uint8_t key_id[256], *answer;
    uint32_t size, field_size;
    struct message body = {.size = 0};
    intel_key(key_id);
    message_bytes(&body, 1, key_id, sizeof(key_id));
    message_number(&body, 3, 1);
    message_number(&body, 4, 32);
    assert_int_equal(ask(INIT_QUOTE, &body, INIT_QUOTE, &answer, &size), 0);
    const uint8_t *target = answer_bytes(answer, size, 2, &field_size);
    assert_int_equal(field_size, 512);
    memcpy(ret_target, target, 512);
    assert_int_equal(answer_number(answer, size, 3), 32);
    assert_non_null(answer_bytes(answer, size, 4, &field_size));
    assert_int_equal(field_size, 32);
    free(answer);
}

static void test_keys(void **state)
{
    (void)state;
    uint8_t list[8 + 2 * 256] = {0}, key_id[256], *answer;
    uint32_t size, field_size;
    struct message body = {.size = 0};
    assert_int_equal(ask(KEY_COUNT, &body, KEY_COUNT, &answer, &size), 0);
    assert_int_equal(answer_number(answer, size, 2), 1);
    free(answer);
    message_number(&body, 1, 256);
    assert_int_equal(ask(KEYS, &body, KEYS, &answer, &size), 0);
    const uint8_t *own = answer_bytes(answer, size, 2, &field_size);
    assert_int_equal(field_size, 256);
    assert_int_equal(own[154], 2);
    memcpy(key_id, own, 256);
    free(answer);
    body.size = 0;
    message_number(&body, 1, 255);
    assert_int_equal(ask(KEYS, &body, KEYS, NULL, NULL), 3);

    /* no list: ours; a list: the first one that there is; none of it there; a list that is none */
    body.size = 0;
    assert_int_equal(ask(SELECT_KEY, &body, SELECT_KEY, &answer, &size), 0);
    assert_memory_equal(answer_bytes(answer, size, 2, &field_size), key_id, 256);
    free(answer);
    list[4] = 2;
    memset(list + 8, 0xEE, 256);
    intel_key(list + 8 + 256);
    message_bytes(&body, 1, list, sizeof(list));
    assert_int_equal(ask(SELECT_KEY, &body, SELECT_KEY, &answer, &size), 0);
    assert_memory_equal(answer_bytes(answer, size, 2, &field_size), list + 8 + 256, 256);
    free(answer);
    body.size = 0;
    list[4] = 1;
    message_bytes(&body, 1, list, 8 + 256);
    assert_int_equal(ask(SELECT_KEY, &body, SELECT_KEY, NULL, NULL), 38);
    for (uint32_t bad = 0; bad < 4; bad++) {
        uint8_t wrong[8 + 256] = {0};
        wrong[4] = bad == 0 ? 2 : bad == 1 ? 0 : 1;
        wrong[7] = bad == 2 ? 0xFF : 0;
        wrong[0] = bad == 3;
        body.size = 0;
        message_bytes(&body, 1, wrong, sizeof(wrong));
        assert_int_equal(ask(SELECT_KEY, &body, SELECT_KEY, NULL, NULL), 3);
    }
}

/* The frames of docs/formats/aesm.md. */
static void test_document(void **state)
{
    (void)state;
    uint8_t frames[64];
    uint32_t size, answer_size;
    const size_t all = docs_hex("aesm.md", frames, sizeof(frames));
    assert_true(all > 8);
    memcpy(&size, frames, 4);
    uint8_t *answer = client_ask(&g_daemon, frames + 4, size, &answer_size);
    assert_non_null(answer);
    assert_int_equal(all, 4 + size + 4 + answer_size);
    assert_memory_equal(frames + 4 + size, &answer_size, 4);
    assert_memory_equal(frames + 4 + size + 4, answer, answer_size);
    free(answer);
}

static void test_wrong_requests(void **state)
{
    (void)state;
    uint8_t key_id[256], report[432] = {0}, info[960] = {0};
    struct message body = {.size = 0};
    intel_key(key_id);
    /* keys: none, too short, another's */
    message_number(&body, 3, 0);
    assert_int_equal(ask(INIT_QUOTE, &body, INIT_QUOTE, NULL, NULL), 3);
    message_bytes(&body, 1, key_id, 255);
    assert_int_equal(ask(INIT_QUOTE, &body, INIT_QUOTE, NULL, NULL), 3);
    key_id[6] ^= 1;
    message_bytes(&body, 1, key_id, 256);
    assert_int_equal(ask(INIT_QUOTE, &body, INIT_QUOTE, NULL, NULL), 38);
    assert_int_equal(ask(QUOTE_SIZE, &(struct message){.size = 0}, QUOTE_SIZE, NULL, NULL), 3);
    intel_key(key_id);
    /* room for the key's id */
    body.size = 0;
    message_bytes(&body, 1, key_id, 256);
    message_number(&body, 3, 1);
    assert_int_equal(ask(INIT_QUOTE, &body, INIT_QUOTE, NULL, NULL), 3);
    message_number(&body, 4, 31);
    assert_int_equal(ask(INIT_QUOTE, &body, INIT_QUOTE, NULL, NULL), 3);
    /* reports: sizes, nobody's, room, a bad target */
    const struct {
        size_t report_size, info_size;
        uint32_t room;
        int64_t code;
    } rows[] = {
        {431, 0, 8192, 3},   {433, 0, 8192, 3},        {0, 0, 8192, 3},      {432, 0, 8192, 47},
        {432, 959, 8192, 3}, {432, 961, 8192, 3},      {432, 960, 8192, 47}, {432, 0, 100, 3},
        {432, 0, 0, 3},      {432, 0, 0xFFFFFFFF, 47},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t bytes[1024] = {0};
        body.size = 0;
        memcpy(bytes, report, sizeof(report));
        message_bytes(&body, 1, bytes, rows[i].report_size);
        message_bytes(&body, 2, key_id, 256);
        if (rows[i].info_size > 0) {
            memcpy(bytes, info, sizeof(info));
            message_bytes(&body, 3, bytes, rows[i].info_size);
        }
        message_number(&body, 4, rows[i].room);
        assert_int_equal(ask(GET_QUOTE, &body, GET_QUOTE, NULL, NULL), rows[i].code);
    }
    /* requests of times past, and of the future */
    body.size = 0;
    const uint32_t others[] = {1, 2, 3, 4, 10, 12, 14, 18, 30, 1000};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(ask(others[i], &body, UNSUPPORTED, NULL, NULL), 30);
    }
    /* what is no message at all, and an empty one */
    uint32_t size;
    uint8_t *answer = client_ask(&g_daemon, "\x7A\xFF\xFF\xFF\xFF\x0F", 6, &size);
    assert_non_null(answer);
    assert_int_equal(answer_kind(answer, size), UNSUPPORTED);
    assert_int_equal(answer_number(answer, size, 1), 22);
    free(answer);
    answer = client_ask(&g_daemon, "", 0, &size);
    assert_non_null(answer);
    assert_int_equal(answer_kind(answer, size), UNSUPPORTED);
    free(answer);
    assert_true(daemon_lives(&g_daemon));
}

static void test_quote(void **state)
{
    (void)state;
    static uint8_t quote[CELLA_QUOTE_MAX];
    struct cella_error error = {0};
    struct quote_layout layout;
    struct sgx_targetinfo target, again;
    struct sgx_report report;
    struct sgx_qe_report_info info = {.nonce = {1}};
    cella_enclave *enclave = NULL;
    uint8_t data[64] = {42};
    size_t size;
    char platform[96], root[4096] = "";
    const struct cella_enclave_options options = {.flags = CELLA_ENCLAVE_SOFTWARE};
    /* both are on one platform, or the report proves nothing */
    snprintf(platform, sizeof(platform), "%s/platform", g_daemon.folder);
    assert_true(cella_is_ok(cella_quotes_use(CELLA_QUOTE_SOCKET, g_daemon.socket)));
    assert_true(cella_is_ok(cella_enclave_create(g_image, &options, &enclave, &error)));
    assert_true(cella_is_ok(
        cella_ecall(enclave, CALL_QUOTE, data, sizeof(data), quote, sizeof(quote), &size)));
    assert_true(quote_layout_read(quote, size, &layout));
    assert_memory_equal(layout.body + 320, data, 64);
    /* the chain in the quote ends in the platform's root */
    const char *last = strstr((const char *)layout.chain + 1, "-----BEGIN");
    last = strstr(last + 1, "-----BEGIN");
    memcpy(root, last, layout.chain_size - (size_t)(last - (const char *)layout.chain));
    assert_true(quote_layout_verify(&layout, root));
    /* with a report of the quoting enclave, through the host's API */
    target_get(&target);
    assert_true(cella_is_ok(cella_quote_target(1, &again, NULL, &error)));
    assert_memory_equal(&target, &again, sizeof(target));
    assert_true(cella_is_ok(cella_ecall(enclave, CALL_REPORT, &target, sizeof(target), &report,
                                        sizeof(report), &size)));
    memcpy(info.target.measurement, report.body.mr_enclave, 32);
    info.target.attributes = report.body.attributes;
    info.target.misc_select = report.body.misc_select;
    assert_true(
        cella_is_ok(cella_quote_of_report(1, &report, &info, quote, sizeof(quote), &size, &error)));
    assert_true(cella_is_ok(
        cella_ecall(enclave, CALL_VERIFY, &info.report, sizeof(info.report), NULL, 0, NULL)));
    report.mac[0] ^= 1;
    assert_int_equal(
        cella_quote_of_report(1, &report, NULL, quote, sizeof(quote), &size, &error).code,
        CELLA_CODE_AUTH_FAILED);
    cella_enclave_destroy(enclave);
}

static void test_socket(void **state)
{
    (void)state;
    struct stat status;
    assert_int_equal(stat(g_daemon.socket, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0777);
    /* another one is told that there is one already */
    struct daemon second = g_daemon;
    snprintf(second.log, sizeof(second.log), "%s/second", g_daemon.folder);
    daemon_start(&second, g_program, (const char *const[]){NULL});
    for (int i = 0; i < 250 && daemon_lives(&second); i++) {
        usleep(20000);
    }
    assert_int_equal(daemon_stop(&second), 1);
    assert_true(daemon_said(&second, "Address already in use"));
    assert_true(daemon_lives(&g_daemon));
}

static bool still_answers(void)
{
    struct message body = {.size = 0};
    return ask(KEY_COUNT, &body, KEY_COUNT, NULL, NULL) == 0;
}

/* Frames in pieces, several on one connection, several at once, larger than allowed, and none. */
static void test_frames(void **state)
{
    (void)state;
    const struct message body = {.size = 0};
    const struct message request = message_in(KEY_COUNT, &body);
    uint8_t frame[64];
    uint32_t size;
    memcpy(frame, &request.size, 4);
    memcpy(frame + 4, request.data, request.size);
    const uint32_t frame_size = 4 + request.size;
    int fd = client_connect(&g_daemon);
    for (uint32_t i = 0; i < frame_size; i++) {
        assert_true(client_send(fd, frame + i, 1));
        usleep(5000);
    }
    uint8_t *answer = client_receive(fd, &size);
    assert_non_null(answer);
    free(answer);
    memcpy(frame + frame_size, frame, frame_size);
    assert_true(client_send(fd, frame, 2 * frame_size));
    for (int i = 0; i < 2; i++) {
        answer = client_receive(fd, &size);
        assert_non_null(answer);
        assert_int_equal(answer_kind(answer, size), KEY_COUNT);
        free(answer);
    }
    close(fd);
    usleep(1100000); /* a second of the log's own, which says only so much in each */
    /* a hundred at once, all answered */
    fd = client_connect(&g_daemon);
    for (int i = 0; i < 100; i++) {
        assert_true(client_send(fd, frame, frame_size));
    }
    for (int i = 0; i < 100; i++) {
        answer = client_receive(fd, &size);
        assert_non_null(answer);
        free(answer);
    }
    close(fd);
    const uint32_t large[] = {65537, 0x7FFFFFFF, 0xFFFFFFFF};
    for (size_t i = 0; i < 3; i++) {
        fd = client_connect(&g_daemon);
        assert_true(client_send(fd, &large[i], 4));
        assert_null(client_receive(fd, &size)); /* closed at once */
        close(fd);
    }
    assert_true(daemon_said(&g_daemon, "frame-too-large"));
    /* away in the middle of a frame, and while the answer is on its way */
    for (uint32_t i = 0; i < frame_size; i++) {
        fd = client_connect(&g_daemon);
        client_send(fd, frame, i);
        close(fd);
    }
    for (int i = 0; i < 50; i++) {
        fd = client_connect(&g_daemon);
        client_send(fd, frame, frame_size);
        close(fd);
    }
    assert_true(still_answers());
}

/* Random bytes, and every real request with a byte changed. */
static void test_garbage(void **state)
{
    (void)state;
    uint8_t key_id[256];
    struct message body = {.size = 0};
    uint32_t random = 12345, size;
    intel_key(key_id);
    message_bytes(&body, 1, key_id, 256);
    message_number(&body, 3, 1);
    message_number(&body, 4, 32);
    struct message request = message_in(INIT_QUOTE, &body);
    for (uint32_t i = 0; i < request.size; i++) {
        request.data[i] ^= 0x81;
        free(client_ask(&g_daemon, request.data, request.size, &size));
        request.data[i] ^= 0x81;
    }
    for (int i = 0; i < 300; i++) {
        uint8_t bytes[700];
        for (size_t j = 0; j < sizeof(bytes); j++) {
            random = random * 1664525 + 1013904223;
            bytes[j] = (uint8_t)(random >> 24);
        }
        uint8_t *answer = client_ask(&g_daemon, bytes, 1 + random % sizeof(bytes), &size);
        assert_non_null(answer); /* whatever it is, it is answered */
        free(answer);
    }
    assert_true(still_answers());
}

/* A thousand that say nothing, and one that is served all the same. */
static void test_many(void **state)
{
    (void)state;
    static int fds[1000];
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    const int count = limit.rlim_cur >= 1200 ? 1000 : 200;
    for (int i = 0; i < count; i++) {
        fds[i] = client_connect(&g_daemon);
        assert_true(fds[i] >= 0);
        client_send(fds[i], "\5\0", 2);
    }
    assert_true(still_answers());
    for (int i = 0; i < count; i++) {
        close(fds[i]);
    }
    assert_true(still_answers());
}

static void test_limits(void **state)
{
    (void)state;
    static const char *const arguments[] = {
        "--client-connections", "5", "--client-rate", "20", "--timeout", "2", NULL};
    struct daemon limited = {0};
    const struct message body = {.size = 0};
    const struct message request = message_in(KEY_COUNT, &body);
    int fds[8], refused = 0, busy = 0, served = 0;
    uint32_t size;
    assert_true(daemon_start(&limited, g_program, arguments));
    usleep(100000); /* the starter's own connection is gone */
    for (int i = 0; i < 8; i++) {
        fds[i] = client_connect(&limited);
        assert_true(fds[i] >= 0);
    }
    /* five stay, whichever they are */
    for (int tries = 0; tries < 250 && refused < 3; tries++) {
        usleep(20000);
        refused = 0;
        for (int i = 0; i < 8; i++) {
            uint8_t byte;
            refused += recv(fds[i], &byte, 1, MSG_DONTWAIT) == 0;
        }
    }
    assert_true(refused >= 3); /* more, if the others were idle for too long already */
    assert_true(daemon_said(&limited, "client-limit"));
    for (int i = 0; i < 8; i++) {
        close(fds[i]);
    }
    /* half a frame is waited for, but not for ever; before, until the others are known to be gone */
    uint8_t byte;
    int half = -1;
    for (int tries = 0; tries < 250 && half < 0; tries++) {
        usleep(20000);
        half = client_connect(&limited);
        usleep(20000);
        if (recv(half, &byte, 1, MSG_DONTWAIT) == 0) {
            close(half);
            half = -1;
        }
    }
    assert_true(client_send(half, "\5\0\0\0\1", 5));
    assert_true(recv(half, &byte, 1, 0) <= 0);
    assert_true(daemon_said(&limited, "timeout"));
    close(half);
    usleep(1200000); /* enough for the full measure again */
    const time_t start = time(NULL);
    for (int i = 0; i < 60; i++) {
        uint8_t *answer = client_ask(&limited, request.data, request.size, &size);
        assert_non_null(answer);
        const int64_t code = answer_number(answer, size, 1);
        busy += code == 18;
        served += code == 0;
        free(answer);
    }
    /* twenty at once, and twenty more for each second that it took */
    assert_in_range(served, 20, 20 + 20 * (2 + time(NULL) - start));
    assert_int_equal(busy + served, 60);
    assert_true(time(NULL) - start > 1 || busy > 0);
    assert_int_equal(daemon_stop(&limited), 0);
    assert_int_not_equal(access(limited.socket, F_OK), 0);
    assert_true(daemon_clean(&limited));
}

/* A killed daemon leaves its socket; the next one takes it over, and clients go on. */
static void test_taken_over(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    assert_int_equal(kill(g_daemon.pid, SIGKILL), 0);
    waitpid(g_daemon.pid, NULL, 0);
    assert_int_equal(access(g_daemon.socket, F_OK), 0);
    assert_true(daemon_start(&g_daemon, g_program, none));
    test_quote(NULL);
    assert_int_equal(daemon_stop(&g_daemon), 0);
    assert_int_not_equal(access(g_daemon.socket, F_OK), 0);
}

static int start(void **state)
{
    static const char *const none[] = {NULL};
    char platform[96];
    (void)state;
    if (!daemon_start(&g_daemon, g_program, none)) {
        return -1;
    }
    snprintf(platform, sizeof(platform), "%s/platform", g_daemon.folder);
    return setenv("CELLA_PLATFORM_DIR", platform, 1);
}

static int clean(void **state)
{
    (void)state;
    return daemon_clean(&g_daemon) ? 0 : -1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),           cmocka_unit_test(test_document),
        cmocka_unit_test(test_wrong_requests), cmocka_unit_test(test_quote),
        cmocka_unit_test(test_socket),         cmocka_unit_test(test_frames),
        cmocka_unit_test(test_garbage),        cmocka_unit_test(test_many),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_taken_over),
    };
    struct rlimit limit;
    if (argc != 3) {
        return 2;
    }
    g_program = argv[1];
    g_image = argv[2];
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    unsetenv("SGX_AESM_ADDR");
    unsetenv("CELLA_AESM_SOCKET");
    return cmocka_run_group_tests(tests, start, clean);
}
