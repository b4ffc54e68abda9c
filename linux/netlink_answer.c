/*
 * Answers to the requests of rtnetlink(7): lists of interfaces and addresses; of anything else there is nothing.
 * Side: enclave; pure. Called by netlink.c and by tests.
 * Never changes anything: what would is refused as to a program without the right to.
 */
#include "linux/interfaces.h"

#include <asm/errno.h>

#define HEAD_SIZE 16u
#define NLMSG_ERROR_TYPE 2u
#define NLMSG_DONE_TYPE 3u
#define TYPE_FIRST 16u /* below it: of netlink itself */
#define TYPE_LAST 123u
#define RTM_NEWLINK_TYPE 16u
#define RTM_GETLINK_TYPE 18u
#define RTM_NEWADDR_TYPE 20u
#define RTM_GETADDR_TYPE 22u
#define FLAG_REQUEST 1u
#define FLAG_MULTI 2u
#define FLAG_ACK 4u
#define FLAG_DUMP 0x300u
#define FAMILY_ANY 0u
#define FAMILY_INET 2u
#define FAMILY_INET6 10u
#define IFLA_ADDRESS 1u
#define IFLA_BROADCAST 2u
#define IFLA_IFNAME 3u
#define IFLA_MTU 4u
#define IFLA_TXQLEN 13u
#define IFLA_OPERSTATE 16u
#define IFA_ADDRESS 1u
#define IFA_LOCAL 2u
#define IFA_LABEL 3u
#define IFA_FLAGS 8u
#define IFA_PERMANENT 0x80u
#define OPERSTATE_UP 6u
#define HARDWARE_SIZE 6u

struct head {
    uint32_t size;
    uint16_t type, flags;
    uint32_t sequence, port;
};
_Static_assert(sizeof(struct head) == HEAD_SIZE, "struct nlmsghdr");

static void put(struct netlink_answers *to, const void *data, uint32_t size)
{
    const uint32_t whole = (size + 3) & ~3u;
    if (to->is_full || whole > sizeof(to->bytes) - to->size) {
        to->is_full = true;
        return;
    }
    for (uint32_t i = 0; i < whole; i++) {
        to->bytes[to->size + i] = i < size ? ((const uint8_t *)data)[i] : 0;
    }
    to->size += whole;
}

static void put_attribute(struct netlink_answers *to, uint16_t type, const void *data,
                          uint16_t size)
{
    const uint16_t head[2] = {(uint16_t)(4 + size), type};
    put(to, head, sizeof(head));
    put(to, data, size);
}

static uint32_t message_begin(struct netlink_answers *to, const struct head *request, uint16_t type,
                              uint16_t flags, uint32_t port)
{
    const uint32_t at = to->size;
    const struct head head = {
        .type = type, .flags = flags, .sequence = request->sequence, .port = port};
    put(to, &head, sizeof(head));
    return at;
}

/* The size goes into the head; a message that does not fit is none. */
static void message_end(struct netlink_answers *to, uint32_t at)
{
    const uint32_t size = to->size - at;
    if (to->is_full) {
        to->size = at;
        return;
    }
    __builtin_memcpy(to->bytes + at, &size, sizeof(size));
}

static void answer_error(struct netlink_answers *to, const struct head *request, uint32_t port,
                         int32_t error)
{
    const uint32_t at = message_begin(to, request, NLMSG_ERROR_TYPE, 0, port);
    put(to, &error, sizeof(error));
    put(to, request, sizeof(*request));
    message_end(to, at);
}

static void answer_done(struct netlink_answers *to, const struct head *request, uint32_t port)
{
    const int32_t zero = 0;
    const uint32_t at = message_begin(to, request, NLMSG_DONE_TYPE, FLAG_MULTI, port);
    put(to, &zero, sizeof(zero));
    message_end(to, at);
}

static uint16_t name_size(const struct linux_interface *interface)
{
    uint16_t size = 0;
    while (size < LINUX_INTERFACE_NAME - 1 && interface->name[size] != 0) {
        size++;
    }
    return (uint16_t)(size + 1);
}

static void answer_link(struct netlink_answers *to, const struct head *request, uint32_t port,
                        uint16_t flags, const struct linux_interface *interface)
{
    static const uint8_t hardware[HARDWARE_SIZE];
    const uint32_t queue = 1000;
    const uint8_t state = OPERSTATE_UP;
    const struct {
        uint8_t family, pad;
        uint16_t kind;
        uint32_t index, flags, change;
    } body = {.kind = interface->kind, .index = interface->index, .flags = interface->flags};
    const uint32_t at = message_begin(to, request, RTM_NEWLINK_TYPE, flags, port);
    put(to, &body, sizeof(body));
    put_attribute(to, IFLA_IFNAME, interface->name, name_size(interface));
    put_attribute(to, IFLA_TXQLEN, &queue, sizeof(queue));
    put_attribute(to, IFLA_OPERSTATE, &state, sizeof(state));
    put_attribute(to, IFLA_MTU, &interface->mtu, sizeof(interface->mtu));
    if (interface->index == 1) {
        put_attribute(to, IFLA_ADDRESS, hardware, sizeof(hardware));
        put_attribute(to, IFLA_BROADCAST, hardware, sizeof(hardware));
    }
    message_end(to, at);
}

static void answer_address(struct netlink_answers *to, const struct head *request, uint32_t port,
                           uint8_t family, const struct linux_interface *interface)
{
    const uint32_t flags = IFA_PERMANENT;
    const bool is_v4 = family == FAMILY_INET;
    const struct {
        uint8_t family, prefix, flags, scope;
        uint32_t index;
    } body = {.family = family,
              .prefix = is_v4 ? interface->prefix4 : interface->prefix6,
              .flags = IFA_PERMANENT,
              .scope = interface->scope,
              .index = interface->index};
    const uint32_t at = message_begin(to, request, RTM_NEWADDR_TYPE, FLAG_MULTI, port);
    put(to, &body, sizeof(body));
    if (is_v4) {
        put_attribute(to, IFA_ADDRESS, interface->address4, sizeof(interface->address4));
        put_attribute(to, IFA_LOCAL, interface->address4, sizeof(interface->address4));
        put_attribute(to, IFA_LABEL, interface->name, name_size(interface));
    } else {
        put_attribute(to, IFA_ADDRESS, interface->address6, sizeof(interface->address6));
    }
    put_attribute(to, IFA_FLAGS, &flags, sizeof(flags));
    message_end(to, at);
}

struct answering {
    struct netlink_answers *to;
    const struct linux_interface *list;
    uint32_t count, port;
};

static void answer_dump(const struct answering *a, const struct head *request, uint8_t family)
{
    for (uint32_t i = 0; request->type == RTM_GETLINK_TYPE && i < a->count; i++) {
        answer_link(a->to, request, a->port, FLAG_MULTI, &a->list[i]);
    }
    static const uint8_t families[] = {FAMILY_INET, FAMILY_INET6};
    for (uint32_t f = 0; request->type == RTM_GETADDR_TYPE && f < 2; f++) {
        for (uint32_t i = 0; (family == FAMILY_ANY || family == families[f]) && i < a->count; i++) {
            answer_address(a->to, request, a->port, families[f], &a->list[i]);
        }
    }
    answer_done(a->to, request, a->port);
}

/* An IFLA_IFNAME among the attributes. */
static bool name_find(struct cella_cursor attributes, struct cella_bytes *ret_name)
{
    uint16_t size, type;
    while (cella_is_ok(cella_cursor_u16(&attributes, &size)) &&
           cella_is_ok(cella_cursor_u16(&attributes, &type)) && size >= 4 &&
           cella_is_ok(cella_cursor_take(&attributes, size - 4u, ret_name))) {
        if (type == IFLA_IFNAME) {
            return true;
        }
        const size_t left = cella_cursor_left(&attributes);
        const uint32_t pad = (4u - size % 4) % 4;
        cella_ignore(cella_cursor_skip(&attributes, pad < left ? pad : left));
    }
    return false;
}

static bool name_is(const struct linux_interface *interface, struct cella_bytes name)
{
    const uint16_t size = (uint16_t)(name_size(interface) - 1);
    if (name.size < size || (name.size > size && name.data[size] != 0)) {
        return false;
    }
    for (uint16_t i = 0; i < size; i++) {
        if (name.data[i] != (uint8_t)interface->name[i]) {
            return false;
        }
    }
    return true;
}

/* One interface, by its number or its name; the errno of the answer. */
static int32_t answer_one(const struct answering *a, const struct head *request,
                          struct cella_cursor body)
{
    uint32_t index;
    struct cella_bytes name = {0};
    if (!cella_is_ok(cella_cursor_skip(&body, 4)) ||
        !cella_is_ok(cella_cursor_u32(&body, &index)) ||
        !cella_is_ok(cella_cursor_skip(&body, 8))) {
        return -EINVAL;
    }
    const bool has_name = index == 0 && name_find(body, &name);
    if (index == 0 && !has_name) {
        return -EINVAL;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (has_name ? name_is(&a->list[i], name) : a->list[i].index == index) {
            answer_link(a->to, request, a->port, 0, &a->list[i]);
            return 0;
        }
    }
    return -ENODEV;
}

/* NEW, DEL and SET come before and after GET in each four: types are 16 + 4 n + kind. */
static void answer_request(const struct answering *a, const struct head *request,
                           struct cella_cursor body)
{
    const bool is_get = request->type % 4 == 2;
    uint8_t family = FAMILY_ANY;
    int32_t error = 0;
    if (request->type > TYPE_LAST) {
        error = -EOPNOTSUPP;
    } else if (!cella_is_ok(cella_cursor_u8(&body, &family))) {
        error = -EINVAL;
    } else if (!is_get) {
        error = -EPERM;
    } else if ((request->flags & FLAG_DUMP) != 0) {
        answer_dump(a, request, family);
        return;
    } else {
        body.offset = 0;
        error = request->type == RTM_GETLINK_TYPE ? answer_one(a, request, body) : -EOPNOTSUPP;
    }
    if (error != 0 || (request->flags & FLAG_ACK) != 0) {
        answer_error(a->to, request, a->port, error);
    }
}

void linux_netlink_answer(struct cella_bytes requests, uint32_t port,
                          const struct linux_interface *list, uint32_t count,
                          struct netlink_answers *answers)
{
    const struct answering answering = {.to = answers, .list = list, .count = count, .port = port};
    struct cella_cursor cursor = cella_cursor_of(requests);
    while (cella_cursor_left(&cursor) >= HEAD_SIZE) {
        const size_t left = cella_cursor_left(&cursor);
        struct head head;
        struct cella_bytes body;
        if (!cella_is_ok(cella_cursor_copy(&cursor, &head, sizeof(head))) ||
            head.size < HEAD_SIZE || head.size > left ||
            !cella_is_ok(cella_cursor_take(&cursor, head.size - HEAD_SIZE, &body))) {
            return;
        }
        const size_t rest = cella_cursor_left(&cursor);
        const uint32_t pad = (4u - head.size % 4) % 4;
        cella_ignore(cella_cursor_skip(&cursor, pad < rest ? pad : rest));
        if ((head.flags & FLAG_REQUEST) == 0) {
            continue;
        }
        if (head.type >= TYPE_FIRST) {
            answer_request(&answering, &head, cella_cursor_of(body));
        } else if ((head.flags & FLAG_ACK) != 0) {
            answer_error(answers, &head, port, 0);
        }
    }
}
