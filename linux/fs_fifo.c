/*
 * Pipes with a name.
 * Side: enclave. Called by fs_open.c; the open ends are objects of a class of their own.
 * Never leaves the enclave: an end that waits sleeps on a word inside.
 */
#include "linux/fs_tree.h"

#define FIFO_SIZE 65536u
#define FIFO_ATOMIC 4096u
#define FUTEX_WAIT_PRIVATE 128u

struct fifo {
    struct cella_lock lock;
    _Atomic uint32_t changes; /* whoever waits looks again when it moves */
    uint32_t readers, writers;
    uint32_t readers_ever,
        writers_ever; /* how often an end was opened: who waits for one knows it came */
    uint32_t head, used;
    uint8_t bytes[FIFO_SIZE];
};

/* An end: which fifo, and a reference of its node. */
struct fifo_end {
    struct fifo *fifo;
    struct fs_node *node;
    bool is_reader, is_writer;
};

static void changed(struct fifo *fifo, struct cella_open *open)
{
    atomic_fetch_add(&fifo->changes, 1);
    cella_futex_wake((uint64_t)&fifo->changes, INT32_MAX);
    if (open) {
        cella_poll_notify(open);
    }
}

/* 0, or -EINTR. */
static long wait(struct fifo *fifo, uint32_t seen)
{
    struct cella_regs regs = {
        .rdi = (uint64_t)&fifo->changes, .rsi = FUTEX_WAIT_PRIVATE, .rdx = seen};
    return cella_futex(&regs) == -EINTR ? -EINTR : 0;
}

/* Under the lock: one run of the ring. Kernel memory only: `bytes` is a buffer. */
static uint32_t ring_copy(struct fifo *fifo, uint8_t *bytes, uint32_t size, bool writing)
{
    const uint32_t room = writing ? FIFO_SIZE - fifo->used : fifo->used;
    uint32_t done = 0;
    size = size < room ? size : room;
    while (done < size) {
        const uint32_t at = (fifo->head + (writing ? fifo->used : 0)) % FIFO_SIZE;
        uint32_t part = size - done < FIFO_SIZE - at ? size - done : FIFO_SIZE - at;
        if (writing) {
            __builtin_memcpy(fifo->bytes + at, bytes + done, part);
            fifo->used += part;
        } else {
            __builtin_memcpy(bytes + done, fifo->bytes + at, part);
            fifo->head = (fifo->head + part) % FIFO_SIZE;
            fifo->used -= part;
        }
        done += part;
    }
    return done;
}

/* What can be done at once with `size` bytes: a count, 0 for the end, -EAGAIN, -EPIPE. */
static long ring_try(struct fifo *fifo, uint8_t *bytes, uint32_t size, bool whole, bool writing)
{
    long result = -EAGAIN;
    cella_lock_take(&fifo->lock);
    if (writing && fifo->readers == 0) {
        result = -EPIPE;
    } else if (!writing && fifo->used == 0) {
        result = fifo->writers == 0 ? 0 : -EAGAIN;
    } else if (!writing || (whole ? FIFO_SIZE - fifo->used >= size : fifo->used < FIFO_SIZE)) {
        result = ring_copy(fifo, bytes, size, writing);
    }
    cella_lock_give(&fifo->lock);
    return result;
}

static long fifo_write(struct cella_open *open, struct fifo *fifo, const struct cella_gather *bytes,
                       uint8_t *page)
{
    uint64_t done = 0;
    while (done < bytes->size) {
        struct cella_gather rest = *bytes;
        rest.skip += done;
        rest.size -= done;
        const uint64_t wanted = rest.size < FIFO_ATOMIC ? rest.size : FIFO_ATOMIC;
        const long taken = fs_pieces_take(&rest, page, wanted);
        if (taken <= 0) {
            return done > 0 ? (long)done : taken;
        }
        for (;;) {
            const uint32_t seen = atomic_load(&fifo->changes);
            const long part =
                ring_try(fifo, page, (uint32_t)taken, bytes->size <= FIFO_ATOMIC, true);
            if (part > 0) {
                done += (uint64_t)part;
                changed(fifo, open);
                break;
            }
            if (part != -EAGAIN || (open->flags & LINUX_O_NONBLOCK) != 0) {
                return done > 0 ? (long)done : part;
            }
            if (wait(fifo, seen) != 0) {
                return done > 0 ? (long)done : -EINTR;
            }
        }
    }
    return (long)done;
}

static long fifo_read(struct cella_open *open, struct fifo *fifo, const struct cella_gather *bytes,
                      uint8_t *page)
{
    uint64_t done = 0;
    while (done < bytes->size) {
        struct cella_gather rest = *bytes;
        rest.skip += done;
        rest.size -= done;
        const uint32_t wanted = rest.size < FIFO_ATOMIC ? (uint32_t)rest.size : FIFO_ATOMIC;
        const uint32_t seen = atomic_load(&fifo->changes);
        const long part = ring_try(fifo, page, wanted, false, false);
        if (part > 0) {
            changed(fifo, open);
            const long put = fs_pieces_put(&rest, page, (uint64_t)part);
            if (put < part) {
                return done > 0 || put > 0 ? (long)done + (put > 0 ? put : 0) : put;
            }
            done += (uint64_t)part;
            continue;
        }
        if (part == 0 || done > 0) {
            break;
        }
        if ((open->flags & LINUX_O_NONBLOCK) != 0) {
            return -EAGAIN;
        }
        if (wait(fifo, seen) != 0) {
            return -EINTR;
        }
    }
    return (long)done;
}

static long fifo_transfer(struct cella_open *open, const struct cella_transfer *transfer)
{
    const struct fifo_end *end = open->data;
    uint8_t *page = fs_new(FIFO_ATOMIC);
    if (!page) {
        return -ENOMEM;
    }
    const long result = transfer->writing ? fifo_write(open, end->fifo, &transfer->bytes, page)
                                          : fifo_read(open, end->fifo, &transfer->bytes, page);
    fs_free(page, FIFO_ATOMIC);
    return result;
}

static uint32_t fifo_ready(struct cella_open *open)
{
    const struct fifo_end *end = open->data;
    struct fifo *fifo = end->fifo;
    uint32_t ready = 0;
    cella_lock_take(&fifo->lock);
    if (end->is_reader) {
        ready |= fifo->used > 0 ? LINUX_POLLIN : 0;
        ready |= fifo->writers == 0 && fifo->writers_ever > 0 ? LINUX_POLLHUP : 0;
    }
    if (end->is_writer) {
        ready |= FIFO_SIZE - fifo->used >= FIFO_ATOMIC ? LINUX_POLLOUT : 0;
        ready |= fifo->readers == 0 ? LINUX_POLLERR : 0;
    }
    cella_lock_give(&fifo->lock);
    return ready;
}

static long fifo_stat(struct cella_open *open, struct cella_call_stat *ret_stat)
{
    const struct fifo_end *end = open->data;
    const struct fs_node *node = end->node;
    *ret_stat = (struct cella_call_stat){
        .device = node->tree->device,
        .inode = node->inode,
        .links = node->links,
        .mode = node->mode,
        .block_size = SGX_PAGE_SIZE,
        .user = node->user,
        .group = node->group,
        .accessed = {node->accessed[0], node->accessed[1]},
        .modified = {node->modified[0], node->modified[1]},
        .changed = {node->changed[0], node->changed[1]},
    };
    return 0;
}

static long fifo_control(struct cella_open *open, uint64_t request, uint64_t argument)
{
    const struct fifo_end *end = open->data;
    const uint32_t used = end->fifo->used;
    if (request != LINUX_FIONREAD) {
        return -ENOTTY;
    }
    return linux_user_write(argument, &used, sizeof(used)) ? 0 : -EFAULT;
}

static void fifo_release(struct cella_open *open)
{
    struct fifo_end *end = open->data;
    struct fifo *fifo = end->fifo;
    cella_lock_take(&fifo->lock);
    fifo->readers -= end->is_reader;
    fifo->writers -= end->is_writer;
    if (fifo->readers == 0 && fifo->writers == 0) {
        fifo->used = 0;
    }
    cella_lock_give(&fifo->lock);
    changed(fifo, open);
    fs_node_put(end->node);
    fs_free(end, sizeof(*end));
    open->data = NULL;
}

static const struct cella_open_class fifo_class = {
    .transfer = fifo_transfer,
    .stat = fifo_stat,
    .control = fifo_control,
    .ready = fifo_ready,
    .release = fifo_release,
};

void fs_fifo_release(struct fs_node *node)
{
    cella_pages_free(node->fifo, sizeof(struct fifo));
    node->fifo = NULL;
}

static struct fifo *fifo_of(struct fs_node *node)
{
    struct fifo *made = node->fifo ? NULL : cella_pages_new(sizeof(*made));
    fs_take();
    if (!node->fifo) {
        node->fifo = CELLA_TAKE(made);
    }
    struct fifo *fifo = node->fifo;
    fs_give();
    cella_pages_free(made, sizeof(*made));
    return fifo;
}

/* Counts the end in; then waits until somebody has the other one, or has had it meanwhile. */
static long end_open(struct fifo *fifo, const struct fifo_end *end, uint32_t flags)
{
    cella_lock_take(&fifo->lock);
    if (!end->is_reader && fifo->readers == 0 && (flags & LINUX_O_NONBLOCK) != 0) {
        cella_lock_give(&fifo->lock);
        return -ENXIO;
    }
    fifo->readers += end->is_reader;
    fifo->writers += end->is_writer;
    fifo->readers_ever += end->is_reader;
    fifo->writers_ever += end->is_writer;
    const uint32_t readers_ever = fifo->readers_ever, writers_ever = fifo->writers_ever;
    cella_lock_give(&fifo->lock);
    changed(fifo, NULL);
    if ((flags & LINUX_O_NONBLOCK) != 0) {
        return 0;
    }
    for (;;) {
        const uint32_t seen = atomic_load(&fifo->changes);
        cella_lock_take(&fifo->lock);
        const bool has_other = end->is_reader
                                   ? fifo->writers > 0 || fifo->writers_ever != writers_ever
                                   : fifo->readers > 0 || fifo->readers_ever != readers_ever;
        cella_lock_give(&fifo->lock);
        if (has_other) {
            return 0;
        }
        if (wait(fifo, seen) != 0) {
            return -EINTR;
        }
    }
}

long fs_fifo_open(struct fs_node *node, uint32_t flags, struct cella_open **ret_open)
{
    const uint32_t access = flags & LINUX_O_ACCMODE;
    long error = -ENOMEM;
    struct fifo *fifo = fifo_of(node);
    struct fifo_end *end = fifo ? fs_new(sizeof(*end)) : NULL;
    struct cella_open *open =
        end ? cella_open_new(&fifo_class, CELLA_NO_HANDLE, flags, &error) : NULL;
    if (!open) {
        fs_free(end, sizeof(*end));
        return error;
    }
    fs_take();
    node->references++;
    fs_give();
    *end = (struct fifo_end){.fifo = fifo,
                             .node = node,
                             .is_reader = access != LINUX_O_WRONLY,
                             .is_writer = access != 0};
    open->mode = MODE_FIFO;
    open->data = end;
    error = end_open(fifo, end, flags);
    if (error == -ENXIO) {
        end->is_writer = false; /* not counted in */
    }
    if (error != 0) {
        cella_open_put(open);
        return error;
    }
    *ret_open = open;
    return 0;
}
