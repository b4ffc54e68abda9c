/*
 * signalfd: signals that are blocked, read as records.
 * Side: enclave. Called for the program's system calls; told by signal.c of each signal that becomes pending.
 * Never takes a signal that a thread would have a handler called for: it reads what is pending, as sigtimedwait does.
 */
#include "enclave/descriptors.h"
#include "linux/fs_tree.h"
#include "linux/linux.h"

#define FLAGS (LINUX_O_NONBLOCK | LINUX_O_CLOEXEC)
#define BIT(number) (1ull << ((number)-1))
#define UNBLOCKABLE (BIT(9) | BIT(19))
#define FUTEX_WAIT_PRIVATE 128u
#define RECORD_SIZE 128u

/* struct signalfd_siginfo */
struct record {
    uint32_t number;
    int32_t error, code;
    uint32_t process, user;
    int32_t fd;
    uint32_t timer, band, overrun, trap;
    int32_t status, value;
    uint64_t pointer, user_time, system_time, address;
    uint8_t pad[RECORD_SIZE - 80];
};
_Static_assert(sizeof(struct record) == RECORD_SIZE, "signalfd(2)");

struct signal_reader {
    struct signal_reader *next;
    struct cella_open *open;
    uint64_t serial;
    _Atomic uint64_t mask;
};

static struct signal_reader *readers;
static struct cella_lock lock;

/* The next reader that wants this signal, behind `after`, with a reference. */
static struct cella_open *reader_next(uint64_t bit, uint64_t after, uint64_t *ret_serial)
{
    struct cella_open *found = NULL;
    cella_lock_take(&lock);
    for (struct signal_reader *at = readers; at; at = at->next) {
        if ((atomic_load(&at->mask) & bit) != 0 && at->serial < after &&
            cella_open_take(at->open, at->serial)) {
            found = at->open;
            *ret_serial = at->serial;
            break;
        }
    }
    cella_lock_give(&lock);
    return found;
}

/* Serials fall along the list: the newest is its first. */
void linux_signalfd_notify(uint32_t number)
{
    uint64_t after = UINT64_MAX;
    for (;;) {
        struct cella_open *open = readers ? reader_next(BIT(number), after, &after) : NULL;
        if (!open) {
            return;
        }
        cella_poll_notify(open);
        cella_futex_wake((uint64_t)&open->changes, INT32_MAX);
        cella_open_put(open);
    }
}

static long record_put(const struct cella_gather *bytes, uint64_t done, uint32_t number,
                       const struct linux_signal_info *info)
{
    struct cella_gather rest = *bytes;
    const struct record record = {
        .number = number,
        .code = info->code,
        .process = info->process,
        .user = info->user,
        .timer = info->timer,
        .overrun = info->overrun,
        .value = (int32_t)info->value,
        .pointer = info->value,
    };
    rest.skip += done;
    rest.size -= done;
    return fs_pieces_put(&rest, &record, sizeof(record));
}

static long reader_transfer(struct cella_open *open, const struct cella_transfer *transfer)
{
    const struct signal_reader *reader = open->data;
    uint64_t done = 0;
    if (transfer->writing || transfer->bytes.size < RECORD_SIZE) {
        return -EINVAL;
    }
    while (transfer->bytes.size - done >= RECORD_SIZE) {
        struct linux_signal_info info;
        const uint32_t seen = atomic_load(&open->changes);
        const uint32_t number = linux_signal_take(atomic_load(&reader->mask), &info);
        if (number != 0) {
            const long put = record_put(&transfer->bytes, done, number, &info);
            if (put != RECORD_SIZE) {
                return done > 0 ? (long)done : -EFAULT;
            }
            done += RECORD_SIZE;
            continue;
        }
        if (done > 0 || (open->flags & LINUX_O_NONBLOCK) != 0) {
            break;
        }
        struct cella_regs regs = {
            .rdi = (uint64_t)&open->changes, .rsi = FUTEX_WAIT_PRIVATE, .rdx = seen};
        if (cella_futex(&regs) == -EINTR) {
            return -EINTR;
        }
    }
    return done > 0 ? (long)done : -EAGAIN;
}

static uint32_t reader_ready(struct cella_open *open)
{
    const struct signal_reader *reader = open->data;
    return (linux_signal_pending() & atomic_load(&reader->mask)) != 0 ? LINUX_POLLIN : 0;
}

static void reader_release(struct cella_open *open)
{
    struct signal_reader *reader = open->data;
    cella_lock_take(&lock);
    for (struct signal_reader **at = &readers; *at; at = &(*at)->next) {
        if (*at == reader) {
            *at = reader->next;
            break;
        }
    }
    cella_lock_give(&lock);
    fs_free(reader, sizeof(*reader));
    open->data = NULL;
}

static const struct cella_open_class reader_class = {
    .transfer = reader_transfer, .ready = reader_ready, .release = reader_release};

static long reader_new(uint64_t mask, uint32_t flags)
{
    long error;
    struct signal_reader *reader = fs_new(sizeof(*reader));
    struct cella_open *open =
        reader ? cella_open_new(&reader_class, CELLA_NO_HANDLE,
                                LINUX_O_RDWR | (flags & LINUX_O_NONBLOCK), &error)
               : NULL;
    if (!open) {
        fs_free(reader, sizeof(*reader));
        return reader ? error : -ENOMEM;
    }
    reader->open = open;
    reader->serial = open->serial;
    atomic_store(&reader->mask, mask);
    open->data = reader;
    cella_lock_take(&lock);
    struct signal_reader **at = &readers;
    while (*at && (*at)->serial > reader->serial) {
        at = &(*at)->next;
    }
    reader->next = *at;
    *at = reader;
    cella_lock_give(&lock);
    return cella_descriptor_add(open, (flags & LINUX_O_CLOEXEC) != 0, 0);
}

static long call_signalfd(uint32_t fd, uint64_t at, uint64_t size, uint32_t flags)
{
    uint64_t mask;
    if ((flags & ~FLAGS) != 0 || size != sizeof(mask)) {
        return -EINVAL;
    }
    if (!linux_user_read(&mask, at, sizeof(mask))) {
        return -EFAULT;
    }
    mask &= ~UNBLOCKABLE;
    if ((int32_t)fd == -1) {
        return reader_new(mask, flags);
    }
    CELLA_OPEN_GET(open, fd);
    if (!open || open->class != &reader_class) {
        return open ? -EINVAL : -EBADF;
    }
    struct signal_reader *reader = open->data;
    atomic_store(&reader->mask, mask);
    cella_poll_notify(open);
    cella_futex_wake((uint64_t)&open->changes, INT32_MAX);
    return (long)fd;
}

bool linux_signalfd_syscall(struct cella_regs *regs, long *ret_result)
{
    if (regs->rax != __NR_signalfd && regs->rax != __NR_signalfd4) {
        return false;
    }
    *ret_result = call_signalfd((uint32_t)ARG0(regs), ARG1(regs), ARG2(regs),
                                regs->rax == __NR_signalfd4 ? (uint32_t)ARG3(regs) : 0);
    return true;
}
