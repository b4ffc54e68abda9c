/*
 * Control messages: open objects and credentials that travel with bytes; and what is done about those that nobody can
 * receive any more.
 * Side: enclave. Called by unix*.c. Source: cmsg(3), unix(7): SCM_RIGHTS, SCM_CREDENTIALS.
 * Never puts objects back by recursion: a socket in a socket's queue in a socket's queue ... goes one by one.
 */
#include "linux/unix.h"

#define LEVEL_SOCKET 1u
#define SCM_RIGHTS_TYPE 1u
#define SCM_CREDENTIALS_TYPE 2u
#define HEAD_SIZE 16u
#define CREDENTIALS_SIZE 12u
#define CONTROL_MAX 20480u /* net.core.optmem_max */
#define ALIGN_UP(size) (((size) + 7) & ~7ull)

static uint32_t in_flight;       /* objects in queues, under the lock */
static struct unix_rights *dead; /* to be put, under the lock */
static bool is_putting;

struct unix_rights *unix_rights_new(uint32_t count)
{
    const uint32_t size = (uint32_t)(sizeof(struct unix_rights) + count * sizeof(void *));
    struct unix_rights *rights = fs_new(size);
    if (rights) {
        rights->capacity = size;
    }
    return rights;
}

/* Whoever comes while another thread puts leaves it to that one. */
void unix_rights_put(struct unix_rights *rights)
{
    unix_take();
    rights->next = dead;
    dead = rights;
    const bool is_mine = !is_putting;
    is_putting = true;
    unix_give();
    while (is_mine) {
        unix_take();
        struct unix_rights *next = dead;
        dead = next ? next->next : NULL;
        is_putting = next != NULL;
        unix_give();
        if (!next) {
            return;
        }
        for (uint32_t i = 0; i < next->count; i++) {
            cella_open_put_at(&next->opens[i]);
        }
        fs_free(next, next->capacity);
    }
}

void unix_rights_copy(struct unix_rights *to, const struct unix_rights *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        if (cella_open_take(from->opens[i], from->opens[i]->serial)) {
            to->opens[to->count++] = from->opens[i];
        }
    }
}

void unix_rights_fly(struct unix_rights *rights)
{
    rights->in_flight = true;
    in_flight += rights->count;
}

void unix_rights_land(struct unix_rights *rights)
{
    in_flight -= rights->in_flight ? rights->count : 0;
    rights->in_flight = false;
}

/* ------------------------------------------------------------------ out of the program */

static long rights_read(struct cella_bytes data, struct unix_outgoing *outgoing)
{
    struct cella_cursor cursor = cella_cursor_of(data);
    const uint64_t count = data.size / 4;
    if (count > UNIX_RIGHTS_MAX - (outgoing->rights ? outgoing->rights->count : 0)) {
        return -EINVAL;
    }
    if (count == 0) {
        return 0;
    }
    if (!outgoing->rights) {
        outgoing->rights = unix_rights_new(UNIX_RIGHTS_MAX);
    }
    struct unix_rights *rights = outgoing->rights;
    if (!rights) {
        return -ENOMEM;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint32_t fd;
        if (!cella_is_ok(cella_cursor_u32(&cursor, &fd))) {
            return -EINVAL;
        }
        rights->opens[rights->count] = cella_descriptor_get(fd);
        if (!rights->opens[rights->count]) {
            return -EBADF;
        }
        rights->count++;
    }
    return 0;
}

/* Nobody but root says that it is somebody else; and there is only this process. */
static long credentials_read(struct cella_bytes data, struct unix_outgoing *outgoing)
{
    struct cella_cursor cursor = cella_cursor_of(data);
    struct unix_credentials said;
    const struct unix_credentials own = unix_credentials_own();
    if (data.size != CREDENTIALS_SIZE ||
        !cella_is_ok(cella_cursor_copy(&cursor, &said, sizeof(said)))) {
        return -EINVAL;
    }
    if (own.user != 0 &&
        (said.process != own.process || said.user != own.user || said.group != own.group)) {
        return -EPERM;
    }
    if (said.process != own.process) {
        return -ESRCH;
    }
    outgoing->credentials = said;
    outgoing->has_credentials = true;
    return 0;
}

static long control_parse(struct cella_bytes control, struct unix_outgoing *outgoing)
{
    struct cella_cursor cursor = cella_cursor_of(control);
    while (cella_cursor_left(&cursor) >= HEAD_SIZE) {
        const size_t left = cella_cursor_left(&cursor);
        struct cella_bytes data;
        uint64_t size = 0;
        uint32_t level = 0, type = 0;
        if (!cella_is_ok(cella_cursor_u64(&cursor, &size)) ||
            !cella_is_ok(cella_cursor_u32(&cursor, &level)) ||
            !cella_is_ok(cella_cursor_u32(&cursor, &type)) || size < HEAD_SIZE || size > left ||
            !cella_is_ok(cella_cursor_take(&cursor, size - HEAD_SIZE, &data))) {
            return -EINVAL;
        }
        const uint64_t pad = ALIGN_UP(size) - size;
        cella_ignore(cella_cursor_skip(
            &cursor, pad < cella_cursor_left(&cursor) ? pad : cella_cursor_left(&cursor)));
        if (level != LEVEL_SOCKET) {
            continue;
        }
        const long result = type == SCM_RIGHTS_TYPE        ? rights_read(data, outgoing)
                            : type == SCM_CREDENTIALS_TYPE ? credentials_read(data, outgoing)
                                                           : -EINVAL;
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

/* As many on their way as there may be open: what nobody can get at is let go first. */
static long flight_check(const struct unix_rights *rights)
{
    const uint32_t limit = atomic_load(&cella_descriptor_limit);
    if (rights && in_flight + rights->count > limit) {
        unix_collect();
        return in_flight + rights->count > limit ? -ETOOMANYREFS : 0;
    }
    return 0;
}

long unix_control_read(uint64_t at, uint64_t size, struct unix_outgoing *outgoing)
{
    if (size == 0) {
        return 0;
    }
    if (size > CONTROL_MAX) {
        return -ENOBUFS;
    }
    uint8_t *control = fs_new(size);
    if (!control) {
        return -ENOBUFS;
    }
    long result = linux_user_read(control, at, size)
                      ? control_parse(cella_bytes_of(control, size), outgoing)
                      : -EFAULT;
    fs_free(control, size);
    if (result == 0) {
        result = flight_check(outgoing->rights);
    }
    return result;
}

/* ------------------------------------------------------------------ into the program */

struct control {
    uint64_t at, left, used;
    uint32_t flags;
};

static bool message_write(struct control *to, uint32_t type, const void *data, uint64_t size)
{
    struct {
        uint64_t size;
        uint32_t level, type;
    } head = {.size = HEAD_SIZE + size, .level = LEVEL_SOCKET, .type = type};
    if (to->left < HEAD_SIZE) {
        to->flags |= MSG_CTRUNC_FLAG;
        return false;
    }
    if (to->left < head.size) {
        to->flags |= MSG_CTRUNC_FLAG;
        head.size = to->left;
    }
    if (!linux_user_write(to->at, &head, HEAD_SIZE) ||
        !linux_user_write(to->at + HEAD_SIZE, data, head.size - HEAD_SIZE)) {
        return false;
    }
    const uint64_t whole = ALIGN_UP(HEAD_SIZE + size);
    const uint64_t step = whole < to->left ? whole : to->left;
    to->at += step;
    to->used += step;
    to->left -= step;
    return true;
}

static void rights_write(struct control *to, struct unix_rights *rights, bool close_on_exec)
{
    int32_t fds[UNIX_RIGHTS_MAX];
    const uint64_t room = to->left <= HEAD_SIZE ? 0 : (to->left - HEAD_SIZE) / 4;
    uint32_t count = 0;
    while (count < rights->count && count < room) {
        const long fd = cella_descriptor_add(CELLA_TAKE(rights->opens[count]), close_on_exec, 0);
        if (fd < 0) {
            break;
        }
        fds[count++] = (int32_t)fd;
    }
    if (count > 0) {
        message_write(to, SCM_RIGHTS_TYPE, fds, count * 4ull);
    }
    to->flags |= count < rights->count ? MSG_CTRUNC_FLAG : 0;
}

void unix_control_write(struct unix_incoming *incoming, bool wants_credentials, uint64_t at,
                        uint64_t size, bool close_on_exec, uint64_t *ret_used)
{
    struct control to = {.at = at, .left = at != 0 ? size : 0};
    if (wants_credentials && incoming->has_credentials) {
        message_write(&to, SCM_CREDENTIALS_TYPE, &incoming->credentials, CREDENTIALS_SIZE);
    }
    if (incoming->rights) {
        rights_write(&to, incoming->rights, close_on_exec);
    }
    incoming->flags |= to.flags;
    *ret_used = to.used;
}

/* ------------------------------------------------------------------ what nobody can reach */

static struct unix_socket *socket_of(const struct cella_open *open)
{
    return open->class == &linux_unix_class ? open->data : NULL;
}

/* Under the lock: one more for each socket in a queue, by the word that unix.h has for it. */
static void flights_count(void)
{
    for (struct unix_socket *at = unix_all(); at; at = at->next) {
        at->flights = 0;
    }
    for (struct unix_socket *at = unix_all(); at; at = at->next) {
        for (const struct unix_message *m = at->first; m; m = m->next) {
            for (uint32_t i = 0; m->rights && i < m->rights->count; i++) {
                struct unix_socket *inner = socket_of(m->rights->opens[i]);
                if (inner) {
                    inner->flights++;
                }
            }
        }
    }
}

/* Those with a reference from elsewhere than a queue; those that wait to be accepted hang on their listener. */
static void roots_mark(void)
{
    for (struct unix_socket *at = unix_all(); at; at = at->next) {
        at->is_marked =
            !at->open || at->is_dead || atomic_load(&at->open->references) > at->flights;
        at->is_scanned = false;
    }
    for (struct unix_socket *at = unix_all(); at; at = at->next) {
        for (struct unix_socket *embryo = at->accept_first; embryo; embryo = embryo->accept_next) {
            embryo->is_marked = false;
        }
    }
}

static void reach_from(struct unix_socket *socket)
{
    socket->is_scanned = true;
    for (struct unix_socket *embryo = socket->accept_first; embryo; embryo = embryo->accept_next) {
        embryo->is_marked = true;
    }
    for (const struct unix_message *m = socket->first; m; m = m->next) {
        for (uint32_t i = 0; m->rights && i < m->rights->count; i++) {
            struct unix_socket *inner = socket_of(m->rights->opens[i]);
            if (inner) {
                inner->is_marked = true;
            }
        }
    }
}

/* Under the lock: the messages of all that are not marked, as one list. */
static struct unix_message *garbage_take(void)
{
    struct unix_message *list = NULL;
    for (struct unix_socket *at = unix_all(); at; at = at->next) {
        if (!at->is_marked && at->first) {
            struct unix_message *last = at->last;
            struct unix_message *first = unix_queue_take(at);
            last->next = list;
            list = first;
        }
    }
    return list;
}

void unix_collect(void)
{
    struct unix_message *garbage = NULL;
    unix_take();
    if (in_flight > 0) {
        flights_count();
        roots_mark();
        for (bool more = true; more;) {
            more = false;
            for (struct unix_socket *at = unix_all(); at; at = at->next) {
                if (at->is_marked && !at->is_scanned) {
                    reach_from(at);
                    more = true;
                }
            }
        }
        garbage = garbage_take();
    }
    unix_give();
    unix_messages_free(garbage);
}
