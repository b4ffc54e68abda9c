/*
 * The pipes module: pipe and eventfd. Opt-in: -u cella_module_pipes.
 * Side: enclave. Called for the libc's system calls.
 * Never leaves the enclave: what threads say to each other is not the host's business. It only puts them to sleep.
 */
#include "enclave/descriptors.h"

#define PIPE_SIZE 65536u
#define PIPE_ATOMIC 4096u
#define EVENT_SEMAPHORE 1u
#define EVENT_MAX (UINT64_MAX - 1)
#define SUPPORTED (LINUX_O_NONBLOCK | LINUX_O_CLOEXEC)
#define FUTEX_WAIT_PRIVATE 128u

extern const char cella_module_pipes;
const char cella_module_pipes = 1;

/*
 * Both ends' own; the pages go with the last end. `ends`: 1 = the reader is there, 2 = the writer. The lock is never held
 * over the caller's memory, which may have to come from the host first: who copies has the turn of its end, so nobody else
 * touches the bytes that it reads, or the room that it fills.
 */
struct pipe {
    struct cella_lock lock;
    _Atomic uint32_t ends;
    uint32_t head, used;
    _Atomic uint32_t turns[2]; /* 0: free, 1: taken, 2: and somebody sleeps for it */
    struct cella_open *open[2];
    uint64_t serial[2];
    uint8_t bytes[PIPE_SIZE];
};

static void turn_take(_Atomic uint32_t *turn)
{
    uint32_t free = 0;
    if (atomic_compare_exchange_strong(turn, &free, 1)) {
        return;
    }
    while (atomic_exchange(turn, 2) != 0) {
        cella_futex_wait_uninterrupted((uint64_t)turn, 2, NULL);
    }
}

static void turn_give(_Atomic uint32_t *turn)
{
    if (atomic_exchange(turn, 0) == 2) {
        cella_futex_wake((uint64_t)turn, 1);
    }
}

/* Sleeps until the object has changed since `seen`. false: the thread has a signal to look at. */
static bool object_wait(struct cella_open *open, uint32_t seen)
{
    struct cella_regs regs = {
        .rdi = (uint64_t)&open->changes, .rsi = FUTEX_WAIT_PRIVATE, .rdx = seen};
    return cella_futex(&regs) != -EINTR;
}

/* Whoever sleeps on the object, in a read or write or in poll, looks again. */
static void object_changed(struct cella_open *open)
{
    cella_poll_notify(open);
    cella_futex_wake((uint64_t)&open->changes, INT32_MAX);
}

static void other_changed(struct cella_open *open, uint64_t serial)
{
    if (cella_open_take(open, serial)) {
        object_changed(open);
        cella_open_put(open);
    }
}

/* With the turn: at most `size` bytes from `at` on in the ring; how many. */
static uint32_t pipe_copy(struct pipe *pipe, const struct cella_transfer *transfer, uint64_t done,
                          uint32_t at, uint32_t size)
{
    const uint32_t first = size < PIPE_SIZE - at ? size : PIPE_SIZE - at;
    uint64_t copied =
        cella_gather_bytes(&transfer->bytes, done, pipe->bytes + at, first, !transfer->writing);
    if (copied == first && size > first) { /* round the end */
        copied += cella_gather_bytes(&transfer->bytes, done + first, pipe->bytes, size - first,
                                     !transfer->writing);
    }
    return (uint32_t)copied;
}

/* Under the lock: what can be done at once with `left` bytes. A count, 0 for the end, or -EAGAIN, -EPIPE. */
static long pipe_look(const struct pipe *pipe, bool writing, uint64_t left)
{
    const uint32_t there = writing ? PIPE_SIZE - pipe->used : pipe->used;
    if (writing && (pipe->ends & 1) == 0) {
        return -EPIPE;
    }
    if (!writing && there == 0) {
        return (pipe->ends & 2) != 0 ? -EAGAIN : 0;
    }
    if (there == 0 || (writing && left <= PIPE_ATOMIC && there < left)) {
        return -EAGAIN;
    }
    return left < there ? (long)left : (long)there;
}

/* What can be done at once: bytes, 0 for the end, or -EAGAIN. */
static long pipe_try(struct pipe *pipe, const struct cella_transfer *transfer, uint64_t done)
{
    const bool writing = transfer->writing;
    turn_take(&pipe->turns[writing]);
    cella_lock_take(&pipe->lock);
    long result = pipe_look(pipe, writing, transfer->bytes.size - done);
    const uint32_t at = (pipe->head + (writing ? pipe->used : 0)) % PIPE_SIZE;
    cella_lock_give(&pipe->lock);
    if (result > 0) {
        const uint32_t now = pipe_copy(pipe, transfer, done, at, (uint32_t)result);
        cella_lock_take(&pipe->lock);
        pipe->head = (pipe->head + (writing ? 0 : now)) % PIPE_SIZE;
        pipe->used += writing ? now : 0u - now;
        cella_lock_give(&pipe->lock);
        result = now > 0 ? (long)now : -EFAULT;
    }
    turn_give(&pipe->turns[writing]);
    return result;
}

static long pipe_transfer(struct cella_open *open, const struct cella_transfer *transfer)
{
    struct pipe *pipe = open->data;
    uint64_t done = 0;
    if (transfer->bytes.size == 0) {
        return 0;
    }
    while (done < transfer->bytes.size) {
        const uint32_t seen = atomic_load(&open->changes);
        const long part = pipe_try(pipe, transfer, done);
        if (part > 0) {
            done += (uint64_t)part;
            const uint32_t other = transfer->writing ? 0 : 1;
            other_changed(pipe->open[other], pipe->serial[other]);
            if (!transfer->writing) {
                break;
            }
        } else if (part != -EAGAIN || (open->flags & LINUX_O_NONBLOCK) != 0) {
            return done > 0 ? (long)done : part;
        } else if (!object_wait(open, seen)) {
            return done > 0 ? (long)done : -EINTR;
        }
    }
    return (long)done;
}

static uint32_t pipe_ready(struct cella_open *open)
{
    struct pipe *pipe = open->data;
    uint32_t ready = 0;
    cella_lock_take(&pipe->lock);
    if (open->words[0] == 0) {
        ready = (pipe->used > 0 ? LINUX_POLLIN : 0) | ((pipe->ends & 2) == 0 ? LINUX_POLLHUP : 0);
    } else {
        ready = (PIPE_SIZE - pipe->used >= PIPE_ATOMIC ? LINUX_POLLOUT : 0) |
                ((pipe->ends & 1) == 0 ? LINUX_POLLERR : 0);
    }
    cella_lock_give(&pipe->lock);
    return ready;
}

static void pipe_release(struct cella_open *open)
{
    struct pipe *pipe = open->data;
    const uint32_t end = open->words[0];
    cella_lock_take(&pipe->lock);
    pipe->ends &= ~(1u << end);
    const bool last = pipe->ends == 0;
    struct cella_open *other = pipe->open[1 - end];
    const uint64_t serial = pipe->serial[1 - end];
    cella_lock_give(&pipe->lock);
    if (last) {
        cella_pages_free(pipe, sizeof(*pipe));
    } else {
        other_changed(other, serial); /* its end may have taken the pipe away by now */
    }
}

static long pipe_control(struct cella_open *open, uint64_t request, uint64_t argument)
{
    struct pipe *pipe = open->data;
    if (request != LINUX_FIONREAD) {
        return -ENOTTY;
    }
    if (!cella_user_writable(argument, 4)) {
        return -EFAULT;
    }
    *(uint32_t *)argument = pipe->used;
    return 0;
}

static const struct cella_open_class pipe_class = {.transfer = pipe_transfer,
                                                   .control = pipe_control,
                                                   .ready = pipe_ready,
                                                   .release = pipe_release};

static struct cella_open *pipe_end(struct pipe *pipe, uint32_t end, uint32_t flags)
{
    long error;
    struct cella_open *open =
        cella_open_new(&pipe_class, CELLA_NO_HANDLE,
                       (flags & LINUX_O_NONBLOCK) | (end == 0 ? 0 : LINUX_O_WRONLY), &error);
    if (open) {
        open->mode = 0010000;
        open->words[0] = end;
        open->data = pipe;
        pipe->open[end] = open;
        pipe->serial[end] = open->serial;
        pipe->ends |= 1u << end;
    }
    return open;
}

static long call_pipe(uint64_t to, uint64_t flags)
{
    long fds[2] = {-ENOMEM, -ENOMEM};
    if ((flags & ~(uint64_t)SUPPORTED) != 0) {
        return -EINVAL;
    }
    if (!cella_user_writable(to, 8)) {
        return -EFAULT;
    }
    struct pipe *pipe = cella_pages_new(sizeof(*pipe));
    if (!pipe) {
        return -ENOMEM;
    }
    struct cella_open *reader = pipe_end(pipe, 0, (uint32_t)flags);
    struct cella_open *writer = reader ? pipe_end(pipe, 1, (uint32_t)flags) : NULL;
    if (!reader) {
        cella_pages_free(pipe, sizeof(*pipe));
        return -ENOMEM;
    }
    if (!writer) {
        cella_open_put(reader); /* and with it the pipe */
        return -ENOMEM;
    }
    fds[0] = cella_descriptor_add(reader, (flags & LINUX_O_CLOEXEC) != 0, 0);
    fds[1] = cella_descriptor_add(writer, (flags & LINUX_O_CLOEXEC) != 0, 0);
    if (fds[0] < 0 || fds[1] < 0) {
        struct cella_open *left =
            fds[0] >= 0 ? cella_descriptor_swap((uint64_t)fds[0], NULL, false) : NULL;
        if (left) {
            cella_open_put(left);
        }
        return -EMFILE;
    }
    ((int32_t *)to)[0] = (int32_t)fds[0];
    ((int32_t *)to)[1] = (int32_t)fds[1];
    return 0;
}

/* An event counter. */
struct event {
    uint64_t value;
    struct cella_lock lock;
    uint32_t semaphore;
};

static struct event *event_of(struct cella_open *open)
{
    return (struct event *)open->data;
}

static long event_try(struct event *event, uint64_t *value, bool writing)
{
    long result = -EAGAIN;
    cella_lock_take(&event->lock);
    if (writing && *value <= EVENT_MAX - event->value) {
        event->value += *value;
        result = 8;
    } else if (!writing && event->value > 0) {
        *value = event->semaphore ? 1 : event->value;
        event->value -= *value;
        result = 8;
    }
    cella_lock_give(&event->lock);
    return result;
}

static long event_transfer(struct cella_open *open, const struct cella_transfer *transfer)
{
    uint64_t value = 0;
    if (transfer->bytes.size < sizeof(value)) {
        return -EINVAL;
    }
    if (transfer->writing) {
        if (cella_gather_bytes(&transfer->bytes, 0, &value, sizeof(value), false) !=
            sizeof(value)) {
            return -EFAULT;
        }
        if (value == UINT64_MAX) {
            return -EINVAL;
        }
    }
    for (;;) {
        const uint32_t seen = atomic_load(&open->changes);
        const long result = event_try(event_of(open), &value, transfer->writing);
        if (result > 0) {
            object_changed(open);
            if (!transfer->writing && cella_gather_bytes(&transfer->bytes, 0, &value, sizeof(value),
                                                         true) != sizeof(value)) {
                return -EFAULT;
            }
            return result;
        }
        if ((open->flags & LINUX_O_NONBLOCK) != 0) {
            return result;
        }
        if (!object_wait(open, seen)) {
            return -EINTR;
        }
    }
}

static uint32_t event_ready(struct cella_open *open)
{
    struct event *event = event_of(open);
    cella_lock_take(&event->lock);
    const uint64_t value = event->value;
    cella_lock_give(&event->lock);
    return (value > 0 ? LINUX_POLLIN : 0) | (value < EVENT_MAX ? LINUX_POLLOUT : 0);
}

static const struct cella_open_class event_class = {.transfer = event_transfer,
                                                    .ready = event_ready};

static long call_eventfd(uint64_t value, uint64_t flags)
{
    long error;
    if ((flags & ~(uint64_t)(SUPPORTED | EVENT_SEMAPHORE)) != 0) {
        return -EINVAL;
    }
    struct event *event = cella_pages_new(sizeof(*event));
    if (!event) {
        return -ENOMEM;
    }
    event->value = value;
    event->semaphore = flags & EVENT_SEMAPHORE;
    struct cella_open *open = cella_open_new(&event_class, CELLA_NO_HANDLE,
                                             (flags & LINUX_O_NONBLOCK) | LINUX_O_RDWR, &error);
    if (!open) {
        cella_pages_free(event, sizeof(*event));
        return error;
    }
    open->data = event;
    open->data_size = sizeof(*event);
    return cella_descriptor_add(open, (flags & LINUX_O_CLOEXEC) != 0, 0);
}

static bool pipes_syscall(struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_pipe:
        *ret_result = call_pipe(ARG0(regs), 0);
        return true;
    case __NR_pipe2:
        *ret_result = call_pipe(ARG0(regs), (uint32_t)ARG1(regs));
        return true;
    case __NR_eventfd:
        *ret_result = call_eventfd((uint32_t)ARG0(regs), 0);
        return true;
    case __NR_eventfd2:
        *ret_result = call_eventfd((uint32_t)ARG0(regs), (uint32_t)ARG1(regs));
        return true;
    default:
        return false;
    }
}

static const struct cella_module pipes_module = {.name = "pipes", .syscall = pipes_syscall};
CELLA_MODULE(pipes_module);
