/*
 * A client of the AESM socket: the ECDSA requests, one connection each.
 * Side: host. Called by quote.c. Messages: docs/formats/aesm.md; written and read here by hand, because a host
 * library should not bring a protobuf runtime along (ADR 0103).
 * Never believes a size that the daemon says; never waits longer than CELLA_AESM_TIMEOUT for a request.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/cleanup.h"
#include "host/quote.h"
#include "host/quote_key.h"

#define REQUEST_MAX 4096u
#define RESPONSE_MAX (CELLA_QUOTE_MAX + 4096u)

/* Field numbers of Request and Response. */
#define MESSAGE_INIT_QUOTE 15u
#define MESSAGE_QUOTE_SIZE 16u
#define MESSAGE_GET_QUOTE 17u
#define MESSAGE_SELECT_KEY 19u
#define MESSAGE_UNSUPPORTED 20u

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
    connection->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
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
                         struct cella_bytes fields[5], uint64_t numbers[5],
                         struct cella_error *error)
{
    struct out request = {0};
    size_t size = 0;
    request.failed = body->failed;
    put_bytes(&request, message, body->data, body->size);
    uint8_t *buffer = malloc(RESPONSE_MAX);
    CELLA_ENSURE(buffer != NULL, OUT_OF_MEMORY);
    cella_result result = exchange(&request, buffer, RESPONSE_MAX, &size);
    if (cella_is_ok(result)) {
        result = cella_aesm_answer_parse(cella_bytes_of(buffer, size), message, fields, numbers);
    }
    if (cella_is_ok(result)) {
        result = code_result(numbers[1]);
    }
    if (!cella_is_ok(result)) {
        free(buffer);
        return cella_error_set(error, result, "%s: request %u: %s%s%.0llu", cella_aesm_path(),
                               message, cella_result_text(result), numbers[1] > 1 ? ", code " : "",
                               numbers[1] > 1 ? (unsigned long long)numbers[1] : 0ull);
    }
    *ret_buffer = buffer;
    return CELLA_OK;
}

static void buffer_done(uint8_t **buffer)
{
    free(*buffer);
}

/* ------------------------------------------------------------------- requests */

/* The key that the daemon offers to whoever names none: known once asked. */
static cella_result key_select(uint8_t ret_key_id[SGX_KEY_ID_SIZE], struct cella_error *error)
{
    CELLA_CLEANUP(buffer_done) uint8_t *buffer = NULL;
    struct cella_bytes fields[5] = {0};
    uint64_t numbers[5] = {0};
    struct out body = {0};
    put_number(&body, 2, CELLA_AESM_TIMEOUT);
    CELLA_TRY(call(MESSAGE_SELECT_KEY, &body, &buffer, fields, numbers, error));
    if (fields[2].size != SGX_KEY_ID_SIZE ||
        cella_le_get(fields[2].data + SGX_KEY_ID_ALGORITHM, 4) != SGX_QUOTE3_KEY_ECDSA_P256) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "%s: its attestation key is not ECDSA with P-256",
                               cella_aesm_path());
    }
    memcpy(ret_key_id, fields[2].data, SGX_KEY_ID_SIZE);
    return CELLA_OK;
}

/* ret_public: 32 bytes, or NULL. */
static cella_result init_quote(const uint8_t key_id[SGX_KEY_ID_SIZE],
                               struct sgx_targetinfo *ret_target, uint8_t *ret_public,
                               struct cella_error *error)
{
    CELLA_CLEANUP(buffer_done) uint8_t *buffer = NULL;
    struct cella_bytes fields[5] = {0};
    uint64_t numbers[5] = {0};
    struct out body = {0};
    put_bytes(&body, 1, key_id, SGX_KEY_ID_SIZE);
    put_number(&body, 3, 1); /* the key's id too: that makes the daemon have the key */
    put_number(&body, 4, 32);
    put_number(&body, 9, CELLA_AESM_TIMEOUT);
    CELLA_TRY(call(MESSAGE_INIT_QUOTE, &body, &buffer, fields, numbers, error));
    CELLA_ENSURE(fields[2].size == sizeof(*ret_target), HOST_VALUE);
    CELLA_ENSURE(!ret_public || fields[4].size == 32, HOST_VALUE);
    if (ret_public) {
        memcpy(ret_public, fields[4].data, 32);
    }
    memcpy(ret_target, fields[2].data, sizeof(*ret_target));
    return CELLA_OK;
}

static cella_result quote_size(const uint8_t key_id[SGX_KEY_ID_SIZE], uint32_t *ret_size,
                               struct cella_error *error)
{
    CELLA_CLEANUP(buffer_done) uint8_t *buffer = NULL;
    struct cella_bytes fields[5] = {0};
    uint64_t numbers[5] = {0};
    struct out body = {0};
    put_bytes(&body, 1, key_id, SGX_KEY_ID_SIZE);
    put_number(&body, 9, CELLA_AESM_TIMEOUT);
    CELLA_TRY(call(MESSAGE_QUOTE_SIZE, &body, &buffer, fields, numbers, error));
    CELLA_ENSURE(numbers[2] > 0 && numbers[2] <= CELLA_QUOTE_MAX, HOST_VALUE);
    *ret_size = (uint32_t)numbers[2];
    return CELLA_OK;
}

static cella_result aesm_target(struct sgx_targetinfo *ret_target, uint32_t *ret_quote_size,
                                struct cella_error *error)
{
    uint8_t key_id[SGX_KEY_ID_SIZE];
    struct sgx_targetinfo target;
    CELLA_TRY(key_select(key_id, error));
    CELLA_TRY(init_quote(key_id, ret_target ? ret_target : &target, NULL, error));
    return ret_quote_size ? quote_size(key_id, ret_quote_size, error) : CELLA_OK;
}

static cella_result aesm_quote(const struct sgx_report *report, struct sgx_qe_report_info *info,
                               void *out, size_t out_capacity, size_t *ret_size,
                               struct cella_error *error)
{
    CELLA_CLEANUP(buffer_done) uint8_t *buffer = NULL;
    struct cella_bytes fields[5] = {0};
    uint64_t numbers[5] = {0};
    uint8_t key_id[SGX_KEY_ID_SIZE];
    uint32_t size;
    struct out body = {0};
    CELLA_TRY(key_select(key_id, error));
    CELLA_TRY(quote_size(key_id, &size, error));
    *ret_size = size;
    CELLA_ENSURE(out_capacity >= size, BUFFER_TOO_SMALL);
    put_bytes(&body, 1, report, sizeof(*report));
    put_bytes(&body, 2, key_id, sizeof(key_id));
    if (info) {
        put_bytes(&body, 3, info, sizeof(*info));
    }
    put_number(&body, 4, size);
    put_number(&body, 9, CELLA_AESM_TIMEOUT);
    CELLA_TRY(call(MESSAGE_GET_QUOTE, &body, &buffer, fields, numbers, error));
    CELLA_ENSURE(fields[2].size > 0 && fields[2].size <= out_capacity, HOST_VALUE);
    CELLA_ENSURE(!info || fields[3].size == sizeof(*info), HOST_VALUE);
    if (info) {
        memcpy(info, fields[3].data, sizeof(*info));
    }
    memcpy(out, fields[2].data, fields[2].size);
    *ret_size = fields[2].size;
    return CELLA_OK;
}

static cella_result aesm_key_id(uint8_t ret_key_id[32], struct cella_error *error)
{
    uint8_t key_id[SGX_KEY_ID_SIZE];
    struct sgx_targetinfo target;
    CELLA_TRY(key_select(key_id, error));
    return init_quote(key_id, &target, ret_key_id, error);
}

const struct cella_quote_source *cella_quote_aesm(void)
{
    static const struct cella_quote_source source = {
        .name = "AESM socket", .target = aesm_target, .quote = aesm_quote, .key_id = aesm_key_id};
    return &source;
}
