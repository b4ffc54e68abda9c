/*
 * The epoll module: epoll_create1, epoll_ctl, epoll_wait. Opt-in: -u cella_module_epoll.
 * Side: enclave. The host's epoll waits for what the host has open, edges and all; objects inside are looked at here.
 * Never hands out a cookie that the host said: it is a place in the list here, and the list has the libc's data.
 */
#include "enclave/waiting.h"

#define EPOLL_CTL_ADD 1u
#define EPOLL_CTL_DEL 2u
#define EPOLL_CTL_MOD 3u
#define EPOLL_ONESHOT (1u << 30)
#define EPOLL_EDGE (1u << 31)
#define EPOLL_ALLOWED 0xF000201Fu /* and what follows IN to HUP in normal and urgent bands */
#define EPOLL_BANDS 0x000007C0u
#define ALWAYS (LINUX_POLLERR | LINUX_POLLHUP)
#define INTEREST_MAX CELLA_DESCRIPTOR_COUNT
#define EVENTS_MAX 1024u
#define CHUNK 64u
#define CHUNKS (INTEREST_MAX / CHUNK)
#define HASH 64u

extern const char cella_module_epoll;
const char cella_module_epoll = 1;

/* struct epoll_event of x86-64 is packed: 12 bytes. */
struct linux_event {
    uint32_t events;
    uint32_t data[2];
};

/* One descriptor that an epoll object watches; serial 0: free. Places are numbered from 1 in what links them. */
struct interest {
    struct cella_open *open;
    uint64_t serial;
    uint32_t fd;
    uint32_t events; /* 0 after a one-shot */
    uint32_t data[2];
    uint32_t reported; /* `changes` of an object inside when it was reported last */
    uint32_t was_reported;
    uint32_t next;        /* of the same hash of `fd`, or the next free one */
    uint32_t next_inside; /* of the objects that can be looked at here */
};

/* What is watched lies in chunks, which come as they are needed. */
struct epoll {
    struct cella_lock lock;
    uint32_t count;  /* places in chunks */
    uint32_t free;   /* of these, linked by `next` */
    uint32_t inside; /* linked by `next_inside` */
    uint32_t hash[HASH];
    struct interest *chunks[CHUNKS];
};

static uint32_t epoll_ready(struct cella_open *open);
static void epoll_release(struct cella_open *open);
static const struct cella_open_class epoll_class = {.ready = epoll_ready, .release = epoll_release};

static struct epoll *epoll_of(const struct cella_open *open)
{
    return open->data;
}

static void epoll_release(struct cella_open *open)
{
    struct epoll *epoll = epoll_of(open);
    for (uint32_t i = 0; i < CHUNKS && epoll->chunks[i]; i++) {
        cella_pages_free(epoll->chunks[i], CHUNK * sizeof(struct interest));
    }
}

/* By its number, which is 1 to count. */
static struct interest *place_of(const struct epoll *epoll, uint32_t number)
{
    const uint64_t index = cella_index_clamp(number - 1, epoll->count);
    return &epoll->chunks[index / CHUNK][index % CHUNK];
}

static struct cella_open *epoll_get(uint64_t fd, long *ret_error)
{
    struct cella_open *open = cella_descriptor_get(fd);
    *ret_error = open ? -EINVAL : -EBADF;
    if (open && open->class != &epoll_class) {
        cella_open_put(open);
        return NULL;
    }
    return open;
}
#define EPOLL_GET(name, fd, error)                                                                 \
    CELLA_CLEANUP(cella_open_put_at) struct cella_open *name = epoll_get(fd, &(error))

static long call_create(uint64_t flags)
{
    long error;
    if ((flags & ~(uint64_t)LINUX_O_CLOEXEC) != 0) {
        return -EINVAL;
    }
    struct epoll *epoll = cella_pages_new(sizeof(*epoll));
    if (!epoll) {
        return -ENOMEM;
    }
    const long handle =
        cella_ask_plain(CELLA_OCALL_EPOLL, CELLA_EPOLL_NEW, CELLA_NO_HANDLE, 0, 0, INT32_MAX);
    struct cella_open *open =
        handle < 0 ? NULL : cella_open_new(&epoll_class, (int32_t)handle, LINUX_O_RDWR, &error);
    if (!open) {
        cella_pages_free(epoll, sizeof(*epoll));
        return handle < 0 ? handle : error;
    }
    open->data = epoll;
    open->data_size = sizeof(*epoll);
    return cella_descriptor_add(open, flags != 0, 0);
}

static uint32_t *hash_of(struct epoll *epoll, uint32_t fd)
{
    return &epoll->hash[fd % HASH];
}

/* Under the lock: the place's number; 0: it is not watched. */
static uint32_t interest_find(struct epoll *epoll, uint32_t fd, const struct cella_open *open)
{
    for (uint32_t at = *hash_of(epoll, fd); at != 0; at = place_of(epoll, at)->next) {
        const struct interest *place = place_of(epoll, at);
        if (place->fd == fd && place->open == open && place->serial == open->serial) {
            return at;
        }
    }
    return 0;
}

static void unlink_inside(struct epoll *epoll, uint32_t number)
{
    for (uint32_t *at = &epoll->inside; *at != 0; at = &place_of(epoll, *at)->next_inside) {
        if (*at == number) {
            *at = place_of(epoll, number)->next_inside;
            return;
        }
    }
}

/* Under the lock: out of its lists, to the free ones. */
static void interest_free(struct epoll *epoll, uint32_t number)
{
    struct interest *place = place_of(epoll, number);
    for (uint32_t *at = hash_of(epoll, place->fd); *at != 0; at = &place_of(epoll, *at)->next) {
        if (*at == number) {
            *at = place->next;
            break;
        }
    }
    unlink_inside(epoll, number);
    *place = (struct interest){.next = epoll->free};
    epoll->free = number;
}

/* Under the lock: the objects of descriptors that were closed are not watched any more. */
static uint32_t interests_sweep(struct epoll *epoll)
{
    uint32_t freed = 0;
    for (uint32_t number = 1; number <= epoll->count; number++) {
        const struct interest *place = place_of(epoll, number);
        if (place->serial != 0 && place->open->serial != place->serial) {
            interest_free(epoll, number);
            freed++;
        }
    }
    return freed;
}

/*
 * A free place there will be, if there is memory; taken without the lock. A sweep that frees little is not made again soon:
 * then there is a chunk more.
 */
static bool interest_room(struct epoll *epoll)
{
    cella_lock_take(&epoll->lock);
    bool room = epoll->free != 0 || interests_sweep(epoll) > epoll->count / 4;
    const uint32_t count = epoll->count;
    cella_lock_give(&epoll->lock);
    if (room) {
        return true;
    }
    struct interest *chunk = count < INTEREST_MAX ? cella_pages_new(CHUNK * sizeof(*chunk)) : NULL;
    if (!chunk) {
        return false;
    }
    cella_lock_take(&epoll->lock);
    room = epoll->count == count;
    if (room) {
        epoll->chunks[count / CHUNK] = chunk;
        epoll->count += CHUNK;
        for (uint32_t number = epoll->count; number > count; number--) {
            *place_of(epoll, number) = (struct interest){.next = epoll->free};
            epoll->free = number;
        }
    }
    cella_lock_give(&epoll->lock);
    if (!room) { /* another thread has made some */
        cella_pages_free(chunk, CHUNK * sizeof(*chunk));
    }
    return true;
}

static uint64_t cookie_of(const struct epoll *epoll, uint32_t number)
{
    return (uint64_t)(number - 1) | place_of(epoll, number)->serial << 32;
}

/* Under the lock: a free place for it; 0: there is none. */
static uint32_t interest_new(struct epoll *epoll, uint32_t fd, const struct cella_open *open)
{
    const uint32_t number = epoll->free;
    if (number == 0) {
        return 0;
    }
    struct interest *place = place_of(epoll, number);
    epoll->free = place->next;
    *place = (struct interest){.fd = fd, .next = *hash_of(epoll, fd)};
    *hash_of(epoll, fd) = number;
    if (open->class->ready) {
        place->next_inside = epoll->inside;
        epoll->inside = number;
    }
    return number;
}

/* The list here. The host is told afterwards, of what it knows. -EAGAIN: no place is free. */
static long list_try(struct epoll *epoll, uint32_t operation, uint32_t fd, struct cella_open *open,
                     const struct linux_event *event, uint64_t *ret_cookie)
{
    long result = 0;
    cella_lock_take(&epoll->lock);
    uint32_t number = interest_find(epoll, fd, open);
    if (operation == EPOLL_CTL_ADD) {
        result = number != 0 ? -EEXIST : -EAGAIN;
        number = number != 0 ? 0 : interest_new(epoll, fd, open);
    } else if (number == 0) {
        result = -ENOENT;
    }
    if (number != 0) {
        struct interest *place = place_of(epoll, number);
        result = 0;
        if (operation == EPOLL_CTL_DEL) {
            *ret_cookie = cookie_of(epoll, number);
            interest_free(epoll, number);
        } else {
            place->open = open;
            place->serial = open->serial;
            place->events = event->events;
            place->data[0] = event->data[0];
            place->data[1] = event->data[1];
            place->reported = place->was_reported = 0;
            *ret_cookie = cookie_of(epoll, number);
        }
    }
    cella_lock_give(&epoll->lock);
    return result;
}

static long list_change(struct epoll *epoll, uint32_t operation, uint32_t fd,
                        struct cella_open *open, const struct linux_event *event,
                        uint64_t *ret_cookie)
{
    long result;
    do {
        result = list_try(epoll, operation, fd, open, event, ret_cookie);
    } while (result == -EAGAIN && interest_room(epoll));
    return result == -EAGAIN ? -ENOSPC : result;
}

static long host_change(struct cella_open *epoll, uint32_t operation, struct cella_open *open,
                        uint32_t events, uint64_t cookie)
{
    const struct cella_call_event event = {.events = events, .cookie = cookie};
    const struct cella_call_request request = {.operation = CELLA_EPOLL_CONTROL,
                                               .handle = epoll->handle,
                                               .a = operation,
                                               .b = open->handle};
    const struct cella_gather bytes = CELLA_GATHER_ONE(&event, sizeof(event));
    return cella_ask(CELLA_OCALL_EPOLL, &request, &bytes, 0);
}

static long call_control(uint64_t epoll_fd, uint64_t operation, uint64_t fd, uint64_t at)
{
    struct linux_event event = {0};
    uint64_t cookie = 0;
    long error;
    EPOLL_GET(epoll, epoll_fd, error);
    if (!epoll) {
        return error;
    }
    CELLA_OPEN_GET(open, fd);
    if (!open) {
        return -EBADF;
    }
    if (operation < EPOLL_CTL_ADD || operation > EPOLL_CTL_MOD || open == epoll) {
        return -EINVAL;
    }
    if (open->handle == CELLA_NO_HANDLE &&
        ((open->mode & 0170000u) == 0100000u || (open->mode & 0170000u) == 0040000u)) {
        return -EPERM; /* files are always ready; of the host's it says so itself */
    }
    if (operation != EPOLL_CTL_DEL) {
        if (!cella_user_range(at, sizeof(event))) {
            return -EFAULT;
        }
        event = *(const struct linux_event *)at;
        event.events &= EPOLL_ALLOWED | EPOLL_BANDS;
    }
    error = list_change(epoll_of(epoll), (uint32_t)operation, (uint32_t)fd, open, &event, &cookie);
    if (error != 0) {
        return error;
    }
    if (open->handle != CELLA_NO_HANDLE) {
        error = host_change(epoll, (uint32_t)operation, open, event.events, cookie);
        if (error != 0 && operation == EPOLL_CTL_ADD) {
            (void)list_change(epoll_of(epoll), EPOLL_CTL_DEL, (uint32_t)fd, open, &event, &cookie);
        }
        return error;
    }
    cella_poll_notify(epoll);
    return 0;
}

/* Under the lock: what holds now of one object inside, as its trigger wants it reported. */
static uint32_t interest_ready(const struct interest *at)
{
    if (at->serial == 0 || at->open->serial != at->serial || !at->open->class->ready ||
        at->events == 0) {
        return 0;
    }
    if ((at->events & EPOLL_EDGE) != 0 && at->was_reported &&
        at->reported == atomic_load(&at->open->changes)) {
        return 0;
    }
    return at->open->class->ready(at->open) & (at->events | ALWAYS);
}

/*
 * The next object inside from place `*number` on, with a reference, so that `ready` is called on what is there and without
 * the list's lock: an epoll in an epoll has a lock of its own. A list that changes meanwhile is looked at again: whoever
 * changes it calls those who wait.
 */
static bool inside_next(struct epoll *epoll, uint32_t *number, struct interest *ret_copy)
{
    bool found = false;
    cella_lock_take(&epoll->lock);
    uint32_t at = *number == 0 ? epoll->inside : place_of(epoll, *number)->next_inside;
    for (; at != 0 && !found; at = found ? at : place_of(epoll, at)->next_inside) {
        *ret_copy = *place_of(epoll, at);
        found = ret_copy->serial != 0 && cella_open_take(ret_copy->open, ret_copy->serial);
        *number = at;
    }
    cella_lock_give(&epoll->lock);
    return found;
}

static uint32_t look_inside(struct epoll *epoll, struct linux_event *ret_events, uint32_t max)
{
    uint32_t count = 0, number = 0;
    struct interest copy;
    const uint32_t places = __atomic_load_n(&epoll->count, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < places && count < max && inside_next(epoll, &number, &copy); i++) {
        const uint32_t changes = atomic_load(&copy.open->changes);
        const uint32_t ready = interest_ready(&copy);
        if (ready != 0) {
            ret_events[count++] =
                (struct linux_event){.events = ready, .data = {copy.data[0], copy.data[1]}};
            cella_lock_take(&epoll->lock);
            struct interest *at = place_of(epoll, number);
            if (at->serial == copy.serial) {
                at->reported = changes;
                at->was_reported = 1;
                at->events = (at->events & EPOLL_ONESHOT) != 0 ? 0 : at->events;
            }
            cella_lock_give(&epoll->lock);
        }
        cella_open_put(copy.open);
    }
    return count;
}

/* For poll and for an epoll around this one. Objects inside only; the host knows about its own by the handle. */
static uint32_t epoll_ready(struct cella_open *open)
{
    struct epoll *epoll = epoll_of(open);
    uint32_t ready = 0;
    cella_lock_take(&epoll->lock);
    for (uint32_t number = epoll->inside; number != 0 && ready == 0;) {
        const struct interest *at = place_of(epoll, number);
        number = at->next_inside;
        /* An epoll in this one is not asked: lists could go in circles. */
        if (at->serial != 0 && at->open->class != &epoll_class && interest_ready(at) != 0) {
            ready = LINUX_POLLIN;
        }
    }
    cella_lock_give(&epoll->lock);
    return ready;
}

/* One event of the host: its cookie must name a place in use, its bits must have been asked for. */
static bool event_take(struct epoll *epoll, const struct cella_call_event *from,
                       struct linux_event *ret_event)
{
    bool good = false;
    cella_lock_take(&epoll->lock);
    const uint64_t index = from->cookie & UINT32_MAX;
    if (index < epoll->count) {
        struct interest *at = place_of(epoll, (uint32_t)index + 1);
        const uint32_t events = from->events & (at->events | ALWAYS) & 0x3FFFu;
        if (at->serial != 0 && (uint32_t)at->serial == from->cookie >> 32 && at->events != 0 &&
            events != 0 && at->open->handle != CELLA_NO_HANDLE) {
            *ret_event = (struct linux_event){.events = events, .data = {at->data[0], at->data[1]}};
            at->events = (at->events & EPOLL_ONESHOT) != 0 ? 0 : at->events;
            good = true;
        }
    }
    cella_lock_give(&epoll->lock);
    return good;
}

struct epoll_answer {
    struct cella_call_waited waited;
    struct cella_call_event events[];
};

/* Waits in the host; returns how many of its events were good, or an errno. */
static long wait_outside(struct cella_open *open, struct epoll_answer *answer,
                         struct linux_event *ret_events, uint32_t max, int64_t *timeout)
{
    const struct cella_call_request request = {
        .operation = CELLA_EPOLL_WAIT,
        .handle = open->handle,
        .a = *timeout,
        .b = (int64_t)((uint64_t)cella_td_self()->slot << 32 | max)};
    const size_t expected = sizeof(*answer) + max * sizeof(answer->events[0]);
    size_t size = 0;
    cella_result result =
        cella_system_ocall(CELLA_OCALL_EPOLL, &request, sizeof(request), answer, expected, &size);
    if (!cella_is_ok(result)) {
        return cella_errno_of(result);
    }
    if (size < sizeof(*answer)) {
        return -EIO;
    }
    const long count = cella_waited_take(&answer->waited, max, timeout);
    if (count > 0 && size != sizeof(*answer) + (uint64_t)count * sizeof(answer->events[0])) {
        return -EIO;
    }
    long good = count < 0 ? count : 0;
    for (long i = 0; i < count; i++) {
        good += event_take(epoll_of(open), &answer->events[i], &ret_events[good]) ? 1 : 0;
    }
    return good;
}

static long wait_rounds(struct cella_open *open, struct epoll_answer *answer,
                        struct linux_event *events, uint32_t max, int64_t timeout)
{
    for (;;) {
        struct cella_poll_waiter waiter;
        cella_poll_waiter_add(&waiter);
        const uint32_t ready = look_inside(epoll_of(open), events, max);
        int64_t left = ready > 0 ? 0 : timeout;
        const long outside = ready == max ? 0
                             : left != 0 && cella_is_interrupted()
                                 ? -EINTR
                                 : wait_outside(open, answer, events + ready, max - ready, &left);
        cella_poll_waiter_remove(&waiter);
        if (ready > 0) {
            return (long)ready + (outside > 0 ? outside : 0);
        }
        if (outside != 0) {
            return outside;
        }
        if (left == 0) {
            return look_inside(epoll_of(open), events, max);
        }
        timeout = left;
    }
}

static long call_wait(uint64_t fd, uint64_t to, int32_t max, int64_t timeout)
{
    long error;
    EPOLL_GET(open, fd, error);
    if (!open) {
        return error;
    }
    if (max <= 0) {
        return -EINVAL;
    }
    const uint32_t count = max < (int32_t)EVENTS_MAX ? (uint32_t)max : EVENTS_MAX;
    if (!cella_user_writable(to, count * sizeof(struct linux_event))) {
        return -EFAULT;
    }
    const uint64_t answer_size =
        sizeof(struct epoll_answer) + count * sizeof(struct cella_call_event);
    const uint64_t size = answer_size + count * sizeof(struct linux_event);
    uint8_t *pages = cella_pages_new(size);
    if (!pages) {
        return -ENOMEM;
    }
    struct linux_event *events = (struct linux_event *)(pages + answer_size);
    const long result = wait_rounds(open, (struct epoll_answer *)pages, events, count, timeout);
    if (result > 0) {
        __builtin_memcpy((void *)to, events, (uint64_t)result * sizeof(*events));
    }
    cella_pages_free(pages, size);
    return result;
}

static long call_wait2(const struct cella_regs *regs)
{
    int64_t timeout = -1;
    if (ARG3(regs) != 0) {
        if (!cella_user_range(ARG3(regs), 16)) {
            return -EFAULT;
        }
        const int64_t *limit = (const int64_t *)ARG3(regs);
        if (limit[0] < 0 || limit[1] < 0 || limit[1] > 999999999) {
            return -EINVAL;
        }
        timeout = limit[0] > INT32_MAX ? INT64_MAX / 2 : limit[0] * 1000000000 + limit[1];
    }
    return call_wait((uint32_t)ARG0(regs), ARG1(regs), (int32_t)ARG2(regs), timeout);
}

static bool epoll_syscall(struct cella_regs *regs, long *ret_result)
{
    int64_t timeout;
    switch (regs->rax) {
    case __NR_epoll_create:
        *ret_result = (int32_t)ARG0(regs) > 0 ? call_create(0) : -EINVAL;
        return true;
    case __NR_epoll_create1:
        *ret_result = call_create((uint32_t)ARG0(regs));
        return true;
    case __NR_epoll_ctl:
        *ret_result = call_control((uint32_t)ARG0(regs), (uint32_t)ARG1(regs), (uint32_t)ARG2(regs),
                                   ARG3(regs));
        return true;
    case __NR_epoll_wait:
    case __NR_epoll_pwait:
        timeout = (int32_t)ARG3(regs) < 0 ? -1 : (int64_t)(int32_t)ARG3(regs) * 1000000;
        *ret_result = call_wait((uint32_t)ARG0(regs), ARG1(regs), (int32_t)ARG2(regs), timeout);
        return true;
    case 441: /* epoll_pwait2, newer than some headers */
        *ret_result = call_wait2(regs);
        return true;
    default:
        return false;
    }
}

static const struct cella_module epoll_module = {.name = "epoll", .syscall = epoll_syscall};
CELLA_MODULE(epoll_module);
