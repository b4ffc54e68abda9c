/*
 * A client of the AESM socket: the ECDSA requests, one connection each.
 * Side: host. Called by quote_aesm.c and the Intel skin's libsgx_quote_ex, which has nothing else of host/. Messages:
 * docs/formats/aesm.md; written and read here by hand, because a host library should not bring a protobuf runtime along
 * (ADR 0103).
 * Never believes a size that the daemon says; never waits longer than CELLA_AESM_TIMEOUT for a request.
 */
#include "host/aesm_client.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"

#define PATH_SIZE sizeof(((struct sockaddr_un *)0)->sun_path)
#define REQUEST_MAX 4096u
#define RESPONSE_MAX (CELLA_AESM_QUOTE_MAX + 4096u)

/* Field numbers of Request and Response. */
#define MESSAGE_INIT_QUOTE 15u
#define MESSAGE_QUOTE_SIZE 16u
#define MESSAGE_GET_QUOTE 17u
#define MESSAGE_SELECT_KEY 19u
#define MESSAGE_UNSUPPORTED 20u
#define MESSAGE_KEY_COUNT 21u
#define MESSAGE_KEYS 22u

#define WIRE_VARINT 0u
#define WIRE_FIXED64 1u
#define WIRE_BYTES 2u
#define WIRE_FIXED32 5u

#define AESM_SUCCESS 0u
#define AESM_PARAMETER_ERROR 3u
#define AESM_BUSY 18u
#define AESM_KEY_NOT_INITIALIZED 42u
#define AESM_ERROR_REPORT 45u
#define AESM_INVALID_REPORT 47u

/* A message that is written; `failed` sticks. */
struct out {
    uint8_t data[REQUEST_MAX];
    size_t size;
    bool failed;
};

static void put_varint(struct out *out, uint64_t value)
{
    do {
        if (out->size == sizeof(out->data)) {
            out->failed = true;
            return;
        }
        out->data[out->size++] = (uint8_t)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
        value >>= 7;
    } while (value > 0);
}

static void put_number(struct out *out, uint32_t field, uint64_t value)
{
    put_varint(out, field << 3 | WIRE_VARINT);
    put_varint(out, value);
}

static void put_bytes(struct out *out, uint32_t field, const void *data, size_t size)
{
    put_varint(out, field << 3 | WIRE_BYTES);
    put_varint(out, size);
    if (out->failed || size > sizeof(out->data) - out->size) {
        out->failed = true;
        return;
    }
    memcpy(out->data + out->size, data, size);
    out->size += size;
}

static cella_result take_varint(struct cella_cursor *cursor, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte;
        CELLA_TRY(cella_cursor_u8(cursor, &byte));
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) {
            *ret_value = value;
            return CELLA_OK;
        }
    }
    return CELLA_RESULT(BAD_FIELD);
}

/* One field: its number, and its value or bytes. */
struct field {
    uint64_t number;
    uint64_t value;
    struct cella_bytes bytes;
};

static cella_result take_field(struct cella_cursor *cursor, struct field *ret_field)
{
    uint64_t tag, size;
    struct field field = {0};
    CELLA_TRY(take_varint(cursor, &tag));
    field.number = tag >> 3;
    switch (tag & 7) {
    case WIRE_VARINT:
        CELLA_TRY(take_varint(cursor, &field.value));
        break;
    case WIRE_BYTES:
        CELLA_TRY(take_varint(cursor, &size));
        CELLA_TRY(cella_cursor_take(cursor, size, &field.bytes));
        break;
    case WIRE_FIXED64:
        CELLA_TRY(cella_cursor_u64(cursor, &field.value));
        break;
    case WIRE_FIXED32:
        CELLA_TRY(cella_cursor_skip(cursor, 4));
        break;
    default:
        return CELLA_RESULT(BAD_FIELD);
    }
    *ret_field = field;
    return CELLA_OK;
}

cella_result cella_aesm_answer_parse(struct cella_bytes message, uint32_t expected,
                                     struct cella_bytes fields[5], uint64_t numbers[5])
{
    struct field outer, inner;
    bool found = false;
    struct cella_cursor cursor = cella_cursor_of(message);
    memset(fields, 0, 5 * sizeof(fields[0]));
    memset(numbers, 0, 5 * sizeof(numbers[0]));
    numbers[1] = 1; /* errorCode's default */
    while (cella_cursor_left(&cursor) > 0) {
        CELLA_TRY(take_field(&cursor, &outer));
        CELLA_ENSURE(outer.number != MESSAGE_UNSUPPORTED, UNSUPPORTED);
        if (outer.number != expected) {
            continue;
        }
        found = true;
        struct cella_cursor body = cella_cursor_of(outer.bytes);
        while (cella_cursor_left(&body) > 0) {
            CELLA_TRY(take_field(&body, &inner));
            if (inner.number >= 1 && inner.number <= 4) {
                fields[inner.number] = inner.bytes;
                numbers[inner.number] = inner.value;
            }
        }
    }
    CELLA_ENSURE(found, BAD_FIELD);
    return cella_end(&cursor);
}

/* ------------------------------------------------------------------- the connection */

static char g_path[PATH_SIZE]; /* empty: of the environment */

cella_result cella_aesm_path_set(const char *path)
{
    CELLA_ENSURE(!path || strlen(path) < sizeof(g_path), INVALID_ARGUMENT);
    snprintf(g_path, sizeof(g_path), "%s", path ? path : "");
    return CELLA_OK;
}

const char *cella_aesm_path(void)
{
    const char *own = getenv("CELLA_AESM_SOCKET");
    const char *sdk = getenv("SGX_AESM_ADDR");
    if (g_path[0]) {
        return g_path;
    }
    return own && *own ? own : sdk && sdk[0] == '/' ? sdk : CELLA_AESM_PATH;
}

struct connection {
    int fd;
    int64_t deadline; /* milliseconds */
};

static void connection_done(struct connection *connection)
{
    if (connection->fd >= 0) {
        close(connection->fd);
    }
}

static int64_t now_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static cella_result wait_for(struct connection *connection, short events)
{
    for (;;) {
        const int64_t left = connection->deadline - now_milliseconds();
        struct pollfd one = {.fd = connection->fd, .events = events};
        const int ready = left > 0 ? poll(&one, 1, (int)left) : 0;
        if (ready > 0) {
            return CELLA_OK;
        }
        CELLA_ENSURE(ready != 0, BUSY);
        CELLA_ENSURE(errno == EINTR, IO);
    }
}

static cella_result send_all(struct connection *connection, const void *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        const ssize_t sent = send(connection->fd, (const uint8_t *)data + at, size - at,
                                  MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
            CELLA_TRY(wait_for(connection, POLLOUT));
            continue;
        }
        CELLA_ENSURE(sent > 0, IO);
        at += (size_t)sent;
    }
    return CELLA_OK;
}

static cella_result receive_all(struct connection *connection, void *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        const ssize_t got = recv(connection->fd, (uint8_t *)data + at, size - at, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            CELLA_TRY(wait_for(connection, POLLIN));
            continue;
        }
        CELLA_ENSURE(got >= 0, IO);
        CELLA_ENSURE(got > 0, TRUNCATED);
        at += (size_t)got;
    }
    return CELLA_OK;
}

static cella_result connect_to(const char *path, struct connection *connection)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CELLA_ENSURE(strlen(path) < sizeof(address.sun_path), OUT_OF_RANGE);
    strcpy(address.sun_path, path);
    connection->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CELLA_ENSURE(connection->fd >= 0, IO);
    while (connect(connection->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        CELLA_ENSURE(errno != ENOENT && errno != ECONNREFUSED, NOT_FOUND);
        CELLA_ENSURE(errno == EINTR || errno == EAGAIN, IO);
        CELLA_ENSURE(now_milliseconds() < connection->deadline, BUSY);
        usleep(1000);
    }
    return CELLA_OK;
}

static cella_result exchange(const struct out *request, uint8_t *response, size_t capacity,
                             size_t *ret_size)
{
    uint32_t size = (uint32_t)request->size;
    CELLA_CLEANUP(connection_done) struct connection connection = {.fd = -1};
    CELLA_ENSURE(!request->failed, SIZE_OVERFLOW);
    connection.deadline = now_milliseconds() + CELLA_AESM_TIMEOUT;
    CELLA_TRY(connect_to(cella_aesm_path(), &connection));
    CELLA_TRY(send_all(&connection, &size, sizeof(size)));
    CELLA_TRY(send_all(&connection, request->data, request->size));
    CELLA_TRY(receive_all(&connection, &size, sizeof(size)));
    CELLA_ENSURE(size <= capacity, LIMIT_EXCEEDED);
    CELLA_TRY(receive_all(&connection, response, size));
    *ret_size = size;
    return CELLA_OK;
}

static cella_result code_result(uint64_t code)
{
    switch (code) {
    case AESM_SUCCESS:
        return CELLA_OK;
    case AESM_BUSY:
        return CELLA_RESULT(BUSY);
    case AESM_KEY_NOT_INITIALIZED:
        return CELLA_RESULT(WRONG_STATE);
    case AESM_ERROR_REPORT:
    case AESM_INVALID_REPORT:
        return CELLA_RESULT(AUTH_FAILED);
    default:
        return CELLA_RESULT(HOST_REFUSED);
    }
}

/* Sends the body as field `message` and parses its answer, which lies in *ret_buffer: free it. */
static cella_result call(uint32_t message, const struct out *body, uint8_t **ret_buffer,
                         struct cella_bytes fields[5], uint64_t numbers[5], uint64_t *ret_code,
                         struct cella_error *error)
{
    struct out request = {0};
    size_t size = 0;
    request.failed = body->failed;
    put_bytes(&request, message, body->data, body->size);
    uint8_t *buffer = malloc(RESPONSE_MAX);
    CELLA_ENSURE(buffer != NULL, OUT_OF_MEMORY);
    *ret_code = AESM_SUCCESS;
    cella_result result = exchange(&request, buffer, RESPONSE_MAX, &size);
    if (cella_is_ok(result)) {
        result = cella_aesm_answer_parse(cella_bytes_of(buffer, size), message, fields, numbers);
    }
    if (cella_is_ok(result)) {
        *ret_code = numbers[1];
        result = code_result(numbers[1]);
    }
    if (!cella_is_ok(result)) {
        free(buffer);
        if (result.code == CELLA_CODE_NOT_FOUND) {
            return cella_error_set(error, result,
                                   "%s: nobody listens there: start cella-quoted or aesmd, or, in "
                                   "a container, mount that folder of the node",
                                   cella_aesm_path());
        }
        return cella_error_set(error, result, "%s: request %u: %s, code %llu", cella_aesm_path(),
                               message, cella_result_text(result), (unsigned long long)*ret_code);
    }
    *ret_buffer = buffer;
    return CELLA_OK;
}

static void buffer_done(uint8_t **buffer)
{
    free(*buffer);
}

/* ------------------------------------------------------------------- requests */

#define CALL(message, body)                                                                        \
    CELLA_CLEANUP(buffer_done) uint8_t *buffer = NULL;                                             \
    struct cella_bytes fields[5] = {0};                                                            \
    uint64_t numbers[5] = {0};                                                                     \
    CELLA_TRY(call(message, body, &buffer, fields, numbers, ret_code, error))

cella_result cella_aesm_select_key(const void *list, size_t list_size, void *ret_key_id,
                                   uint64_t *ret_code, struct cella_error *error)
{
    struct out body = {0};
    if (list) {
        put_bytes(&body, 1, list, list_size);
    }
    put_number(&body, 2, CELLA_AESM_TIMEOUT);
    CALL(MESSAGE_SELECT_KEY, &body);
    CELLA_ENSURE(fields[2].size == CELLA_AESM_KEY_ID_SIZE, HOST_VALUE);
    memcpy(ret_key_id, fields[2].data, CELLA_AESM_KEY_ID_SIZE);
    return CELLA_OK;
}

cella_result cella_aesm_init_quote(const void *key_id, void *ret_target, size_t *ret_key_size,
                                   void *ret_key, size_t room, uint64_t *ret_code,
                                   struct cella_error *error)
{
    struct out body = {0};
    put_bytes(&body, 1, key_id, CELLA_AESM_KEY_ID_SIZE);
    put_number(&body, 3, ret_key != NULL);
    put_number(&body, 4, room);
    put_number(&body, 9, CELLA_AESM_TIMEOUT);
    CALL(MESSAGE_INIT_QUOTE, &body);
    CELLA_ENSURE(!ret_target || fields[2].size == CELLA_AESM_TARGET_SIZE || !ret_key, HOST_VALUE);
    CELLA_ENSURE(!ret_key || fields[4].size <= room, HOST_VALUE);
    if (ret_target && fields[2].size == CELLA_AESM_TARGET_SIZE) {
        memcpy(ret_target, fields[2].data, CELLA_AESM_TARGET_SIZE);
    }
    if (ret_key && fields[4].size > 0) {
        memcpy(ret_key, fields[4].data, fields[4].size);
    }
    *ret_key_size = numbers[3] <= SIZE_MAX ? numbers[3] : 0;
    return CELLA_OK;
}

cella_result cella_aesm_quote_size(const void *key_id, uint32_t *ret_size, uint64_t *ret_code,
                                   struct cella_error *error)
{
    struct out body = {0};
    put_bytes(&body, 1, key_id, CELLA_AESM_KEY_ID_SIZE);
    put_number(&body, 9, CELLA_AESM_TIMEOUT);
    CALL(MESSAGE_QUOTE_SIZE, &body);
    CELLA_ENSURE(numbers[2] > 0 && numbers[2] <= CELLA_AESM_QUOTE_MAX, HOST_VALUE);
    *ret_size = (uint32_t)numbers[2];
    return CELLA_OK;
}

cella_result cella_aesm_get_quote(const void *key_id, const void *report, void *info, void *out,
                                  size_t out_capacity, size_t *ret_size, uint64_t *ret_code,
                                  struct cella_error *error)
{
    struct out body = {0};
    put_bytes(&body, 1, report, CELLA_AESM_REPORT_SIZE);
    put_bytes(&body, 2, key_id, CELLA_AESM_KEY_ID_SIZE);
    if (info) {
        put_bytes(&body, 3, info, CELLA_AESM_REPORT_INFO_SIZE);
    }
    put_number(&body, 4, out_capacity < UINT32_MAX ? out_capacity : UINT32_MAX);
    put_number(&body, 9, CELLA_AESM_TIMEOUT);
    CALL(MESSAGE_GET_QUOTE, &body);
    CELLA_ENSURE(fields[2].size > 0 && fields[2].size <= out_capacity, HOST_VALUE);
    CELLA_ENSURE(!info || fields[3].size == CELLA_AESM_REPORT_INFO_SIZE, HOST_VALUE);
    if (info) {
        memcpy(info, fields[3].data, CELLA_AESM_REPORT_INFO_SIZE);
    }
    memcpy(out, fields[2].data, fields[2].size);
    *ret_size = fields[2].size;
    return CELLA_OK;
}

cella_result cella_aesm_key_count(uint32_t *ret_count, uint64_t *ret_code,
                                  struct cella_error *error)
{
    struct out body = {0};
    put_number(&body, 9, CELLA_AESM_TIMEOUT);
    CALL(MESSAGE_KEY_COUNT, &body);
    CELLA_ENSURE(numbers[2] > 0 && numbers[2] <= CELLA_AESM_KEYS_MAX, HOST_VALUE);
    *ret_count = (uint32_t)numbers[2];
    return CELLA_OK;
}

cella_result cella_aesm_keys(void *ret_key_ids, uint32_t count, uint64_t *ret_code,
                             struct cella_error *error)
{
    struct out body = {0};
    CELLA_ENSURE(count > 0 && count <= CELLA_AESM_KEYS_MAX, INVALID_ARGUMENT);
    put_number(&body, 1, count * CELLA_AESM_KEY_ID_SIZE);
    put_number(&body, 9, CELLA_AESM_TIMEOUT);
    CALL(MESSAGE_KEYS, &body);
    CELLA_ENSURE(fields[2].size == count * CELLA_AESM_KEY_ID_SIZE, HOST_VALUE);
    memcpy(ret_key_ids, fields[2].data, fields[2].size);
    return CELLA_OK;
}
