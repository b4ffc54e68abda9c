/*
 * cella-device-plugin at its sockets: every call, broken and slow peers, kubelets that start, refuse, hang and vanish,
 * sockets and devices that go away.
 * Side: tests. Argument: the program. The peer is peer.c's, which shares no code with the plugin.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>
/* its macros need those before it */
#include <cmocka.h>

#include "peer.h"

#define SERVICE "/v1beta1.DevicePlugin/"
#define SOON 1000 /* milliseconds: a second to recover in */

/* A sanitizer's own memory is not what is measured. */
#if defined(__SANITIZE_ADDRESS__)
#define MEASURES_MEMORY 0
#elif defined(__has_feature)
#define MEASURES_MEMORY !__has_feature(address_sanitizer)
#else
#define MEASURES_MEMORY 1
#endif

static const char *g_program;
static struct plugin_process g_plugin;

static struct client *open_resource(const char *resource)
{
    char path[128];
    plugin_socket(&g_plugin, resource, path);
    struct client *client = client_open(path, NULL);
    assert_non_null(client);
    return client;
}

static int setup(void **state)
{
    (void)state;
    return plugin_start(&g_plugin, g_program, "epc_mib = 100\nsoft_enclaves = 3\n") ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return plugin_stop(&g_plugin);
}

/* AllocateRequest with one container and one id. */
static size_t allocate_make(const char *id, uint8_t out[128])
{
    const size_t size = strlen(id);
    const uint8_t head[] = {0x0a, (uint8_t)(size + 2), 0x0a, (uint8_t)size};
    memcpy(out, head, 4);
    memcpy(out + 4, id, size);
    return size + 4;
}

static int allocate(struct client *client, const char *id, struct reply *reply)
{
    uint8_t message[128];
    const size_t size = allocate_make(id, message);
    return client_call(client, SERVICE "Allocate", message, size, NULL, reply) ? reply->grpc : -1;
}

static bool holds(const struct reply *reply, const char *text)
{
    return memmem(reply->data, reply->size, text, strlen(text)) != NULL;
}

/* The plugin answers as it should: after each ill-treatment. */
static void still_well(void)
{
    struct client *client = open_resource(ENCLAVE);
    struct reply reply;
    assert_int_equal(allocate(client, "sgx-enclave-0", &reply), 0);
    assert_true(holds(&reply, "/dev/sgx_enclave"));
    reply_done(&reply);
    client_close(client);
    assert_true(plugin_lives(&g_plugin));
}

/* ------------------------------------------------------------------- calls */

static void test_calls(void **state)
{
    struct reply reply, list;
    struct client *client = open_resource(ENCLAVE);
    (void)state;
    assert_true(client_call(client, SERVICE "GetDevicePluginOptions", NULL, 0, NULL, &reply));
    assert_int_equal(reply.grpc, 0);
    assert_memory_equal(reply.data, "\0\0\0\0\4\x08\1\x10\1", 9);
    reply_done(&reply);

    client_begin(client, SERVICE "ListAndWatch", &list);
    assert_true(client_wait(client, &list, 1, SOON));
    assert_int_equal(reply_devices(&list, 0, "Healthy"), 110);

    assert_int_equal(allocate(client, "sgx-enclave-109", &reply), 0);
    assert_true(holds(&reply, "\x0a\x10/dev/sgx_enclave\x12\x09/dev/null\x1a\2rw"));
    assert_true(holds(&reply, "\x0a\x10/dev/sgx/enclave\x12\x09/dev/null\x1a\2rw"));
    reply_done(&reply);
    client_ping(client);
    assert_false(list.ended);
    client_close(client);
    reply_done(&list);

    client = open_resource(AZURE);
    assert_int_equal(allocate(client, "1A", &reply), 5); /* 1 * 64 + 36 = 100: one too many */
    reply_done(&reply);
    client_close(client);
}

/* Ids that are none of a resource's. */
static void test_ids(void **state)
{
    static const struct {
        const char *resource, *id;
        int status;
    } rows[] = {
        {ENCLAVE, "sgx-enclave-0", 0},
        {ENCLAVE, "sgx-enclave-109", 0},
        {ENCLAVE, "sgx-enclave-110", 5},
        {ENCLAVE, "sgx-enclave-", 5},
        {ENCLAVE, "sgx-enclave-00", 5},
        {ENCLAVE, "sgx-enclave--1", 5},
        {ENCLAVE, "sgx-enclave-4294967296", 5},
        {ENCLAVE, "sgx-provision-1", 5},
        {ENCLAVE, "", 5},
        {PROVISION, "sgx-provision-1", 0},
        {AZURE, "0", 0},
        {AZURE, "1z", 0},
        {AZURE, "1B", 5},
        {AZURE, "00", 5},
        {AZURE, "sgx-enclave-0", 5},
        {SOFT, "soft-enclave-2", 0},
        {SOFT, "soft-enclave-3", 5},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct client *client = open_resource(rows[i].resource);
        struct reply reply;
        const int status = allocate(client, rows[i].id, &reply);
        if (status != rows[i].status) {
            fail_msg("%s '%s': %d, expected %d", rows[i].resource, rows[i].id, status,
                     rows[i].status);
        }
        reply_done(&reply);
        client_close(client);
    }
}

static void test_soft(void **state)
{
    struct client *client = open_resource(SOFT);
    struct reply reply;
    (void)state;
    assert_int_equal(allocate(client, "soft-enclave-0", &reply), 0);
    assert_true(holds(&reply, "\x0a\x0f"
                              "CELLA_PROCESSOR\x12\x08software"));
    assert_false(holds(&reply, "/dev/"));
    reply_done(&reply);
    client_close(client);
}

/* What gRPC's protocol says of requests that are not right. */
static void test_requests(void **state)
{
#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})
    static const char options[] = SERVICE "GetDevicePluginOptions";
    char long_value[20000], long_path[300];
    const struct {
        const char *what, *path, *body;
        size_t size;
        const char *const *pairs;
        int http, grpc;
    } rows[] = {
        {"a path as authority", options, "\0\0\0\0", 5, PAIRS(":authority", "/var/lib/x.sock"), 200,
         0},
        {"no authority", options, "\0\0\0\0", 5, PAIRS(":authority", ""), 200, 0},
        {"a format", options, "\0\0\0\0", 5, PAIRS("content-type", "application/grpc+proto"), 200,
         0},
        {"no such method", SERVICE "Nothing", "\0\0\0\0", 5, NULL, 200, 12},
        {"no such service", "/v1.DevicePlugin/Allocate", "\0\0\0\0", 5, NULL, 200, 12},
        {"GET", options, "\0\0\0\0", 5, PAIRS(":method", "GET"), 405, 2},
        {"JSON", options, "{}", 2, PAIRS("content-type", "application/json"), 415, 2},
        {"a type that begins alike", options, "\0\0\0\0", 5,
         PAIRS("content-type", "application/grpcx"), 415, 2},
        {"a compressed message", options, "\1\0\0\0\0", 5, NULL, 200, 12},
        {"an encoding", options, "\0\0\0\0", 5, PAIRS("grpc-encoding", "gzip"), 200, 12},
        {"identity", options, "\0\0\0\0", 5, PAIRS("grpc-encoding", "identity"), 200, 0},
        {"no message", options, "", 0, NULL, 200, 13},
        {"half a prefix", options, "\0\0", 3, NULL, 200, 13},
        {"half a message", options, "\0\0\0\0\7abc", 8, NULL, 200, 13},
        {"two messages", options, "\0\0\0\0\0\0\0\0\0", 10, NULL, 200, 13},
        {"a message of 4 GiB", options, "\0\xff\xff\xff\xff", 5, NULL, 200, 13},
        {"no protobuf", SERVICE "Allocate", "\0\0\0\0\4\xff\xff\xff\xff", 9, NULL, 200, 13},
        {"a length that lies", SERVICE "Allocate", "\0\0\0\0\2\x0a\x7f", 7, NULL, 200, 13},
        {"no container", SERVICE "Allocate", "\0\0\0\0\0", 5, NULL, 200, 0},
        {"unknown fields", options, "\0\0\0\0\3\x7a\1x", 8, NULL, 200, 0},
        {"a deadline", options, "\0\0\0\0", 5, PAIRS("grpc-timeout", "99999999H"), 200, 0},
        {"a deadline of nonsense", options, "\0\0\0\0", 5, PAIRS("grpc-timeout", "1x"), 200, 13},
        {"a negative deadline", options, "\0\0\0\0", 5, PAIRS("grpc-timeout", "-1S"), 200, 13},
        {"a long path", long_path, "\0\0\0\0", 5, NULL, 200, 12},
        {"long headers", options, "\0\0\0\0", 5, PAIRS("x", long_value), 200, 8},
        {"more asked for than there is", SERVICE "GetPreferredAllocation",
         "\0\0\0\0\4\x0a\2\x18\x7f", 9, NULL, 200, 3},
        {"a negative number", SERVICE "GetPreferredAllocation",
         "\0\0\0\0\x0d\x0a\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 18, NULL, 200, 0},
    };
    (void)state;
    memset(long_value, 'a', sizeof(long_value) - 1);
    long_value[sizeof(long_value) - 1] = 0;
    memset(long_path, '/', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = 0;
    struct client *client = open_resource(ENCLAVE);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reply reply;
        if (!client_raw(client, rows[i].path, rows[i].body, rows[i].size, rows[i].pairs, &reply)) {
            fail_msg("%s: no answer", rows[i].what);
        }
        if (reply.http != rows[i].http || reply.grpc != rows[i].grpc) {
            fail_msg("%s: HTTP %d, status %d; expected %d, %d (%s)", rows[i].what, reply.http,
                     reply.grpc, rows[i].http, rows[i].grpc, reply.text);
        }
        reply_done(&reply);
    }
    client_close(client);
    still_well();
}

static void test_large_request(void **state)
{
    const size_t size = (4u << 20) + 6;
    uint8_t *body = calloc(1, size);
    struct client *client = open_resource(ENCLAVE);
    struct reply reply;
    (void)state;
    assert_true(client_raw(client, SERVICE "Allocate", body, size, NULL, &reply));
    assert_int_equal(reply.grpc, 8);
    reply_done(&reply);
    client_close(client);
    /* as large as may be, and of empty ids: read, and refused for what it says */
    body[1] = 0, body[2] = 0x3f, body[3] = 0xff, body[4] = 0xff;
    for (size_t i = 5; i + 2 <= 5 + 0x3fffff; i += 2) {
        body[i] = 0x0a;
    }
    client = open_resource(ENCLAVE);
    assert_true(client_raw(client, SERVICE "Allocate", body, 5 + 0x3fffff, NULL, &reply));
    assert_true(reply.grpc == 13 || reply.grpc == 3);
    reply_done(&reply);
    client_close(client);
    free(body);
    still_well();
}

/* ------------------------------------------------------------------- broken peers */

static void test_frames(void **state)
{
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
    static const struct {
        const char *data;
        size_t size;
    } rows[] = {
        BYTES("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        BYTES(PREFACE "\0\0\4\4\0\0\0\0\0\0\0\0\1"), /* SETTINGS of 4 bytes */
        BYTES(PREFACE "\xff\xff\xff\0\0\0\0\0\1"),   /* DATA of 16 MiB */
        BYTES(PREFACE "\0\0\0\4\0\0\0\0\0"
                      "\0\0\5\1\4\0\0\0\1\xff\xff\xff\xff\xff"), /* HPACK */
        BYTES(PREFACE "\0\0\0\4\0\0\0\0\0"
                      "\0\0\1\1\4\0\0\0\2\x82"), /* an even stream */
        BYTES(PREFACE "\0\0\0\4\0\0\0\0\0"
                      "\0\0\1\0\0\0\0\0\1x"), /* DATA of no stream */
        BYTES(PREFACE "\0\0\0\4\0\0\0\0\0"
                      "\0\0\4\x08\0\0\0\0\0\0\0\0\0"), /* WINDOW_UPDATE of 0 */
        BYTES(PREFACE "\0\0\0\4\0\0\0\0\0"
                      "\0\0\7\6\0\0\0\0\0abcdefg"), /* PING of 7 bytes */
        BYTES(PREFACE "\0\0\0\4\0\0\0\0\0"
                      "\0\0\1\x09\4\0\0\0\1\x82"), /* CONTINUATION alone */
        BYTES(PREFACE "\0\0\0\4\0\0\0\0\0"
                      "\0\0\4\5\4\0\0\0\1\0\0\0\2"), /* PUSH_PROMISE */
    };
    char path[128];
    (void)state;
    plugin_socket(&g_plugin, ENCLAVE, path);
    usleep(1100000); /* what others have caused is limited to so many lines a second */
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const int fd = raw_connect(path);
        assert_true(fd >= 0);
        raw_send(fd, rows[i].data, rows[i].size);
        if (!raw_closed(fd, 2000)) {
            fail_msg("bytes %zu: the connection stays open", i);
        }
        close(fd);
    }
    assert_true(plugin_said(&g_plugin, "\"event\":\"connection-closed\""));
    still_well();
}

/* Reproducible noise behind a good beginning. */
static void test_noise(void **state)
{
    char path[128];
    uint32_t seed = 1;
    (void)state;
    plugin_socket(&g_plugin, ENCLAVE, path);
    for (int round = 0; round < 200; round++) {
        uint8_t bytes[512];
        const int fd = raw_connect(path);
        assert_true(fd >= 0);
        for (size_t i = 0; i < sizeof(bytes); i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = (uint8_t)(seed >> 24);
        }
        raw_send(fd, PREFACE "\0\0\0\4\0\0\0\0\0", sizeof(PREFACE) - 1 + 9);
        bytes[0] = 0, bytes[1] = 0, bytes[2] &= 0x7f, bytes[3] &= 0x0f;
        bytes[5] = 0, bytes[6] = 0, bytes[7] = 0, bytes[8] &= 3;
        raw_send(fd, bytes, sizeof(bytes));
        close(fd);
    }
    still_well();
}

/* More PINGs than anybody has use for, streams that are reset as soon as they begin. */
static void test_floods(void **state)
{
    char path[128];
    uint8_t ping[17] = {0, 0, 8, 6};
    (void)state;
    plugin_socket(&g_plugin, ENCLAVE, path);
    const int fd = raw_connect(path);
    const int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    raw_send(fd, PREFACE "\0\0\0\4\0\0\0\0\0", sizeof(PREFACE) - 1 + 9);
    const struct timeval limit = {.tv_sec = 1};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    for (int i = 0; i < 100000 && raw_send(fd, ping, sizeof(ping)); i++) {
    }
    still_well(); /* while that one is not read from */
    close(fd);
    struct client *client = open_resource(ENCLAVE);
    for (int i = 0; i < 300; i++) {
        client_reset(client, SERVICE "ListAndWatch");
    }
    client_close(client);
    still_well();
    assert_true(!MEASURES_MEMORY || plugin_resident(&g_plugin, "VmRSS:") < 20000);
}

/* Peers that come and say nothing, or half of something, are many and hinder nobody. */
static void test_slow(void **state)
{
    int fds[100];
    char path[128];
    struct reply list;
    (void)state;
    plugin_socket(&g_plugin, SOFT, path);
    for (int i = 0; i < 100; i++) {
        fds[i] = raw_connect(path);
        raw_send(fds[i], PREFACE, 1 + (size_t)i % 24);
    }
    still_well();
    for (int i = 0; i < 100; i++) {
        close(fds[i]);
    }
    /* a byte at a time */
    static const char begin[] = PREFACE "\0\0\0\4\0\0\0\0\0";
    const int fd = raw_connect(path);
    for (size_t i = 0; i < sizeof(begin) - 1; i++) {
        raw_send(fd, begin + i, 1);
        usleep(1000);
    }
    uint8_t answer[9];
    assert_int_equal(recv(fd, answer, 9, MSG_WAITALL), 9);
    assert_int_equal(answer[3], 4); /* SETTINGS */
    close(fd);
    /* one that opens a list and does not read it */
    struct client *client = open_resource(AZURE);
    client_begin(client, SERVICE "ListAndWatch", &list);
    still_well();
    client_close(client);
    reply_done(&list);
}

/* A request that does not become whole ends at its deadline. */
static void test_deadline(void **state)
{
    static const char headers[] = PREFACE "\0\0\0\4\0\0\0\0\0";
    char path[128];
    struct client *client = open_resource(ENCLAVE);
    struct reply reply;
    (void)state;
    /* a list with a deadline ends with DEADLINE_EXCEEDED, after its first message */
    const int64_t started = milliseconds_now();
    assert_true(client_raw(client, SERVICE "ListAndWatch", "\0\0\0\0", 5,
                           PAIRS("grpc-timeout", "300m"), &reply));
    assert_int_equal(reply.grpc, 4);
    assert_int_equal(reply_devices(&reply, 0, "Healthy"), 110);
    assert_in_range(milliseconds_now() - started, 250, 3000);
    reply_done(&reply);
    client_close(client);
    /* nothing at all: closed after ten seconds is too long to wait for here; the socket stays usable */
    plugin_socket(&g_plugin, ENCLAVE, path);
    const int fd = raw_connect(path);
    raw_send(fd, headers, 10);
    still_well();
    close(fd);
}

static void test_many(void **state)
{
    struct client *client = open_resource(ENCLAVE);
    (void)state;
    const int before = plugin_descriptors(&g_plugin);
    for (int i = 0; i < 3000; i++) {
        char id[32];
        struct reply reply;
        snprintf(id, sizeof(id), "sgx-enclave-%d", i % 110);
        assert_int_equal(allocate(client, id, &reply), 0);
        reply_done(&reply);
    }
    client_close(client);
    for (int i = 0; i < 200; i++) {
        client_close(open_resource(ENCLAVE));
    }
    still_well();
    usleep(100000);
    assert_in_range(plugin_descriptors(&g_plugin), before - 2, before + 1);
}

/* ------------------------------------------------------------------- devices */

static void test_devices(void **state)
{
    char path[128], other[128];
    struct client *client = open_resource(ENCLAVE);
    struct reply list, reply;
    (void)state;
    plugin_path(&g_plugin, "dev/sgx_enclave", path);
    client_begin(client, SERVICE "ListAndWatch", &list);
    assert_true(client_wait(client, &list, 1, SOON));
    /* gone; a file; a directory; the wrong device; a link that leads nowhere */
    for (int i = 0; i < 5; i++) {
        remove(path);
        if (i == 1) {
            close(open(path, O_CREAT | O_WRONLY, 0600));
        } else if (i == 2) {
            mkdir(path, 0755);
        } else if (i == 3) {
            assert_int_equal(symlink("/dev/full", path), 0);
        } else if (i == 4) {
            assert_int_equal(symlink("nowhere", path), 0);
        }
        assert_int_equal(allocate(client, "sgx-enclave-1", &reply), 14);
        reply_done(&reply);
    }
    assert_true(client_wait(client, &list, 2, 1500));
    assert_int_equal(reply_devices(&list, 1, "Unhealthy"), 110);
    assert_true(plugin_said(&g_plugin, "is a directory, not a character device"));
    assert_true(plugin_said(&g_plugin, "the driver's is 1:3"));
    /* left over from a driver that is not loaded, with a number that another driver has now */
    struct stat misc;
    remove(path);
    if (stat("/dev/fuse", &misc) == 0 && major(misc.st_rdev) == 10) {
        plugin_path(&g_plugin, "sys/class/misc/sgx_enclave/dev", other);
        remove(other);
        plugin_path(&g_plugin, "dev/isgx", other);
        assert_int_equal(symlink("/dev/fuse", other), 0);
        assert_int_equal(allocate(client, "sgx-enclave-1", &reply), 14);
        reply_done(&reply);
        assert_true(plugin_said(&g_plugin, "no driver is loaded"));
        remove(other);
    }
    /* back, under the name that the driver of times past had */
    remove(path);
    plugin_path(&g_plugin, "dev/sgx", other);
    mkdir(other, 0755);
    plugin_path(&g_plugin, "sys/class/misc/sgx!enclave", other);
    mkdir(other, 0755);
    plugin_path(&g_plugin, "sys/class/misc/sgx!enclave/dev", other);
    FILE *file = fopen(other, "w");
    fputs("1:3\n", file);
    fclose(file);
    plugin_path(&g_plugin, "dev/sgx/enclave", other);
    assert_int_equal(symlink("/dev/null", other), 0);
    assert_true(client_wait(client, &list, 3, 1500));
    assert_int_equal(reply_devices(&list, 2, "Healthy"), 110);
    still_well();
    assert_int_equal(symlink("/dev/null", path), 0);
    client_close(client);
    reply_done(&list);
}

static void test_quotes(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[128];
    (void)state;
    assert_true(plugin_said(&g_plugin, "nobody listens"));
    still_well(); /* which is reported, no more */
    plugin_path(&g_plugin, "aesm.socket", path);
    strcpy(address.sun_path, path);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_true(plugin_said(&g_plugin, "aesm.socket: answers"));
    close(fd);
}

/* ------------------------------------------------------------------- kubelets */

static void test_kubelet(void **state)
{
    struct kubelet *kubelet = kubelet_start(&g_plugin, KUBELET_GOOD);
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kubelet_accepted(kubelet, ENCLAVE, 1, SOON), 1);
        assert_int_equal(kubelet_accepted(kubelet, PROVISION, 1, SOON), 1);
        assert_int_equal(kubelet_accepted(kubelet, AZURE, 1, SOON), 1);
        assert_int_equal(kubelet_accepted(kubelet, SOFT, 1, SOON), 1);
        still_well();
        kubelet_stop(kubelet);
        kubelet = kubelet_start(&g_plugin, KUBELET_GOOD);
    }
    kubelet_stop(kubelet);
}

/* Each mood in turn, and a good one after it, by the same kubelet and by the next. */
static void test_moods(void **state)
{
    (void)state;
    for (int mood = KUBELET_SILENT; mood <= KUBELET_LEAVES; mood++) {
        struct kubelet *kubelet = kubelet_start(&g_plugin, (enum kubelet_mood)mood);
        const char *name = mood == KUBELET_NO_HTTP2 ? "" : ENCLAVE;
        if (!kubelet_asked(kubelet, name, 1, SOON)) {
            fail_msg("mood %d: not asked", mood);
        }
        usleep(50000);
        still_well(); /* while a registration is under way */
        if (mood != KUBELET_SILENT) {
            kubelet_mood(kubelet, KUBELET_GOOD);
            if (!kubelet_accepted(kubelet, ENCLAVE, 1, 2 * SOON)) {
                fail_msg("mood %d: not registered afterwards", mood);
            }
        }
        kubelet_stop(kubelet);
        kubelet = kubelet_start(&g_plugin, KUBELET_GOOD);
        if (!kubelet_accepted(kubelet, ENCLAVE, 1, SOON)) {
            fail_msg("mood %d: the next kubelet is not registered with", mood);
        }
        kubelet_stop(kubelet);
    }
    assert_true(plugin_said(&g_plugin, "UNAVAILABLE: 100% busy"));
}

/* A new kubelet in the middle of each call of the old one. */
static void test_restart_within(void **state)
{
    static const char *const methods[] = {
        SERVICE "ListAndWatch", SERVICE "Allocate", SERVICE "GetPreferredAllocation",
        SERVICE "PreStartContainer", SERVICE "GetDevicePluginOptions"};
    (void)state;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        struct client *old = open_resource(ENCLAVE);
        struct reply reply;
        client_begin(old, methods[i], &reply);
        struct kubelet *kubelet = kubelet_start(&g_plugin, KUBELET_GOOD);
        client_close(old);
        reply_done(&reply);
        assert_int_equal(kubelet_accepted(kubelet, ENCLAVE, 1, SOON), 1);
        still_well();
        kubelet_stop(kubelet);
    }
}

static void test_sockets(void **state)
{
    char path[128], moved[128];
    struct reply list;
    struct kubelet *kubelet = kubelet_start(&g_plugin, KUBELET_GOOD);
    (void)state;
    assert_int_equal(kubelet_accepted(kubelet, ENCLAVE, 1, SOON), 1);
    /* removed: made again, registered again, and those connected keep their stream */
    struct client *client = open_resource(ENCLAVE);
    client_begin(client, SERVICE "ListAndWatch", &list);
    assert_true(client_wait(client, &list, 1, SOON));
    plugin_socket(&g_plugin, ENCLAVE, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(kubelet_accepted(kubelet, ENCLAVE, 2, SOON), 2);
    still_well();
    assert_false(client_wait(client, &list, 2, 100));
    assert_false(list.ended);
    client_close(client);
    reply_done(&list);
    /* a directory in its place, for a while */
    assert_int_equal(unlink(path), 0);
    mkdir(path, 0755);
    usleep(1200000);
    assert_true(plugin_lives(&g_plugin));
    rmdir(path);
    assert_true(kubelet_accepted(kubelet, ENCLAVE, 3, 2 * SOON) >= 3);
    still_well();
    kubelet_stop(kubelet);
    /* the folder is another one */
    plugin_path(&g_plugin, "plugins", path);
    plugin_path(&g_plugin, "plugins.old", moved);
    assert_int_equal(rename(path, moved), 0);
    usleep(100000);
    assert_int_equal(mkdir(path, 0755), 0);
    kubelet = kubelet_start(&g_plugin, KUBELET_GOOD);
    assert_true(kubelet_accepted(kubelet, ENCLAVE, 1, 2 * SOON) >= 1);
    still_well();
    kubelet_stop(kubelet);
}

/* 262,144 units of a MiB are one message that a kubelet takes; the memory of the plugin does not know of them. */
static void test_size(void **state)
{
    struct plugin_process before = g_plugin;
    struct reply list;
    (void)state;
    assert_true(plugin_start(&g_plugin, g_program, "epc_mib = 300000\ndialect = azure\n"));
    assert_true(plugin_said(&g_plugin, "message-limit"));
    struct client *client = open_resource(AZURE);
    client_begin(client, SERVICE "ListAndWatch", &list);
    assert_true(client_wait(client, &list, 1, 10000));
    assert_true(list.size <= (4u << 20) + 5);
    assert_true(reply_devices(&list, 0, "Healthy") >= 262144);
    client_close(client);
    reply_done(&list);
    const long anonymous = plugin_resident(&g_plugin, "RssAnon:");
    assert_int_equal(plugin_stop(&g_plugin), 0);
    g_plugin = before;
    assert_true(!MEASURES_MEMORY || anonymous < 6000);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),         cmocka_unit_test(test_ids),
        cmocka_unit_test(test_soft),          cmocka_unit_test(test_requests),
        cmocka_unit_test(test_large_request), cmocka_unit_test(test_frames),
        cmocka_unit_test(test_noise),         cmocka_unit_test(test_floods),
        cmocka_unit_test(test_slow),          cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_many),          cmocka_unit_test(test_devices),
        cmocka_unit_test(test_quotes),        cmocka_unit_test(test_kubelet),
        cmocka_unit_test(test_moods),         cmocka_unit_test(test_restart_within),
        cmocka_unit_test(test_sockets),       cmocka_unit_test(test_size),
    };
    if (argc != 2) {
        return 2;
    }
    g_program = argv[1];
    return cmocka_run_group_tests(tests, setup, teardown);
}
