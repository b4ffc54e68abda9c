/*
 * Options of sockets of the program, and what ioctl says of them.
 * Side: enclave. Called by unix.c. Source: socket(7), unix(7).
 * Never takes an option that would have to mean something here and does not.
 */
#include "linux/interfaces.h"
#include "linux/unix.h"

#define LEVEL_SOCKET 1u
#define SO_TYPE_NAME 3u
#define SO_ERROR_NAME 4u
#define SO_SNDBUF_NAME 7u
#define SO_RCVBUF_NAME 8u
#define SO_LINGER_NAME 13u
#define SO_PASSCRED_NAME 16u
#define SO_PEERCRED_NAME 17u
#define SO_RCVLOWAT_NAME 18u
#define SO_SNDLOWAT_NAME 19u
#define SO_RCVTIMEO_NAME 20u
#define SO_SNDTIMEO_NAME 21u
#define SO_ACCEPTCONN_NAME 30u
#define SO_SNDBUFFORCE_NAME 32u
#define SO_RCVBUFFORCE_NAME 33u
#define SO_PROTOCOL_NAME 38u
#define SO_DOMAIN_NAME 39u
#define SO_COOKIE_NAME 57u
/* DEBUG, REUSEADDR, DONTROUTE, BROADCAST, KEEPALIVE, OOBINLINE, PRIORITY, REUSEPORT, TIMESTAMP, PASSSEC */
#define SWITCHES                                                                                   \
    (1ull << 1 | 1ull << 2 | 1ull << 5 | 1ull << 6 | 1ull << 9 | 1ull << 10 | 1ull << 12 |         \
     1ull << 15 | 1ull << 29 | 1ull << 34)
#define SEND_SIZE_MIN 4608u
#define RECEIVE_SIZE_MIN 2304u
#define MICROSECONDS 1000000ll
#define TIOCOUTQ_REQUEST 0x5411u

static bool is_switch(uint32_t name)
{
    return name < 64 && (SWITCHES >> name & 1) != 0;
}

/* Linux doubles what it is asked for, for its own bookkeeping, and shows that. */
static uint32_t size_of(int32_t wanted, uint32_t least, bool forced)
{
    const uint32_t size = wanted < 0 ? 0 : (uint32_t)wanted;
    const uint32_t most = forced ? (uint32_t)INT32_MAX / 2 : UNIX_BUFFER;
    const uint32_t doubled = (size < most ? size : most) * 2;
    return doubled < least ? least : doubled;
}

static long limit_set(int64_t *limit, uint64_t at, uint64_t size)
{
    int64_t time[2];
    if (size < sizeof(time)) {
        return -EINVAL;
    }
    if (!linux_user_read(time, at, sizeof(time))) {
        return -EFAULT;
    }
    if (time[1] < 0 || time[1] >= MICROSECONDS) {
        return -EDOM;
    }
    *limit = time[0] < 0           ? 1 /* does not wait at all */
             : time[0] > INT32_MAX ? 0
                                   : (time[0] * MICROSECONDS + time[1]) * 1000;
    return 0;
}

static long number_set(struct unix_socket *socket, uint32_t name, int32_t value)
{
    switch (name) {
    case SO_SNDBUF_NAME:
    case SO_SNDBUFFORCE_NAME:
        socket->send_size = size_of(value, SEND_SIZE_MIN, name == SO_SNDBUFFORCE_NAME);
        return 0;
    case SO_RCVBUF_NAME:
    case SO_RCVBUFFORCE_NAME:
        socket->receive_size = size_of(value, RECEIVE_SIZE_MIN, name == SO_RCVBUFFORCE_NAME);
        return 0;
    case SO_PASSCRED_NAME:
        socket->passes_credentials = value != 0;
        return 0;
    case SO_RCVLOWAT_NAME:
        socket->low_water = value < 0 ? INT32_MAX : value == 0 ? 1 : (uint32_t)value;
        return 0;
    default:
        break;
    }
    if (!is_switch(name)) {
        return -ENOPROTOOPT;
    }
    unix_take();
    socket->switches = (socket->switches & ~(1ull << name)) | (value != 0 ? 1ull << name : 0);
    unix_give();
    return 0;
}

long unix_option_set(struct cella_open *open, uint32_t level, uint32_t name, uint64_t at,
                     uint64_t size)
{
    struct unix_socket *socket = open->data;
    int32_t value;
    if (level != LEVEL_SOCKET) {
        return -EOPNOTSUPP;
    }
    if (size < sizeof(value)) {
        return -EINVAL;
    }
    if (!linux_user_read(&value, at, sizeof(value))) {
        return -EFAULT;
    }
    switch (name) {
    case SO_RCVTIMEO_NAME:
        return limit_set(&socket->receive_limit, at, size);
    case SO_SNDTIMEO_NAME:
        return limit_set(&socket->send_limit, at, size);
    case SO_LINGER_NAME:
        if (size < sizeof(socket->linger)) {
            return -EINVAL;
        }
        return linux_user_read(socket->linger, at, sizeof(socket->linger)) ? 0 : -EFAULT;
    default:
        return number_set(socket, name, value);
    }
}

/* Options of one number; false: not one of these. */
static bool number_get(struct cella_open *open, uint32_t name, uint32_t *ret_value)
{
    struct unix_socket *socket = open->data;
    switch (name) {
    case SO_TYPE_NAME:
        *ret_value = socket->type;
        return true;
    case SO_DOMAIN_NAME:
        *ret_value = LINUX_AF_UNIX;
        return true;
    case SO_PROTOCOL_NAME:
        *ret_value = 0;
        return true;
    case SO_ERROR_NAME:
        unix_take();
        *ret_value = socket->error;
        socket->error = 0;
        unix_give();
        return true;
    case SO_ACCEPTCONN_NAME:
        *ret_value = socket->state == UNIX_LISTENS;
        return true;
    case SO_SNDBUF_NAME:
        *ret_value = socket->send_size;
        return true;
    case SO_RCVBUF_NAME:
        *ret_value = socket->receive_size;
        return true;
    case SO_PASSCRED_NAME:
        *ret_value = socket->passes_credentials;
        return true;
    case SO_RCVLOWAT_NAME:
        *ret_value = socket->low_water;
        return true;
    case SO_SNDLOWAT_NAME:
        *ret_value = 1;
        return true;
    default:
        *ret_value = is_switch(name) && (socket->switches >> name & 1) != 0;
        return is_switch(name);
    }
}

/* The value's bytes; their size, or an errno. */
static long value_get(struct cella_open *open, uint32_t name, uint64_t ret_value[2])
{
    const struct unix_socket *socket = open->data;
    uint32_t number;
    int64_t limit;
    switch (name) {
    case SO_RCVTIMEO_NAME:
    case SO_SNDTIMEO_NAME:
        limit = (name == SO_RCVTIMEO_NAME ? socket->receive_limit : socket->send_limit) / 1000;
        ret_value[0] = (uint64_t)(limit / MICROSECONDS);
        ret_value[1] = (uint64_t)(limit % MICROSECONDS);
        return 16;
    case SO_LINGER_NAME:
        __builtin_memcpy(ret_value, socket->linger, sizeof(socket->linger));
        return sizeof(socket->linger);
    case SO_PEERCRED_NAME:
        __builtin_memcpy(ret_value, &socket->peer_credentials, sizeof(socket->peer_credentials));
        return sizeof(socket->peer_credentials);
    case SO_COOKIE_NAME:
        ret_value[0] = open->serial;
        return 8;
    default:
        if (!number_get(open, name, &number)) {
            return -ENOPROTOOPT;
        }
        ret_value[0] = number;
        return 4;
    }
}

long unix_option_get(struct cella_open *open, uint32_t level, uint32_t name, uint64_t to,
                     uint64_t size_at)
{
    uint64_t value[2] = {0};
    int32_t capacity;
    if (level != LEVEL_SOCKET) {
        return -EOPNOTSUPP;
    }
    if (!linux_user_read(&capacity, size_at, sizeof(capacity))) {
        return -EFAULT;
    }
    if (capacity < 0) {
        return -EINVAL;
    }
    const long size = value_get(open, name, value);
    if (size < 0) {
        return size;
    }
    const uint32_t part = (uint32_t)(size < capacity ? size : capacity);
    return linux_user_write(to, value, part) && linux_user_write(size_at, &part, sizeof(part))
               ? 0
               : -EFAULT;
}

long unix_control(struct cella_open *open, uint64_t request, uint64_t argument)
{
    const struct unix_socket *socket = open->data;
    uint32_t value;
    if (request == LINUX_FIONREAD && socket->state == UNIX_LISTENS) {
        return -EINVAL;
    }
    if (request == LINUX_FIONREAD && unix_is_hosts(open)) {
        return cella_handle_control(open, request, argument);
    }
    if (request != LINUX_FIONREAD && request != TIOCOUTQ_REQUEST) {
        return linux_interface_control(request, argument);
    }
    unix_take();
    value = request == TIOCOUTQ_REQUEST     ? socket->charged
            : socket->type != UNIX_DATAGRAM ? (uint32_t)socket->used
            : socket->first                 ? socket->first->size
                                            : 0;
    unix_give();
    return linux_user_write(argument, &value, sizeof(value)) ? 0 : -EFAULT;
}
