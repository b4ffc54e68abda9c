/*
 * The table of descriptors and the objects behind them.
 * Side: enclave. Called by the modules that open something; linked only with one of them.
 * Never holds the table's lock over an ocall, never gives an object back while somebody uses it.
 */
#include "enclave/descriptors.h"

#define OPENS_OF_SLAB (SGX_PAGE_SIZE / sizeof(struct cella_open))
#define SLABS 32u
#define NOTIFY_MAX 32u

struct slab {
    struct cella_open opens[OPENS_OF_SLAB];
};
_Static_assert(sizeof(struct slab) <= SGX_PAGE_SIZE, "a slab is a page");

struct descriptor {
    struct cella_open *open;
    bool close_on_exec;
};

static long console_transfer(struct cella_open *open, const struct cella_transfer *transfer);
static long console_stat(struct cella_open *open, struct cella_call_stat *ret_stat);
static uint32_t console_ready(struct cella_open *open);

static const struct cella_open_class console_class = {
    .transfer = console_transfer, .stat = console_stat, .ready = console_ready};

/* words[0]: the number under which the layer below knows it. One reference is its own: it never goes. */
#define CONSOLE(number)                                                                            \
    {                                                                                              \
        .class = &console_class, .references = 2, .handle = CELLA_NO_HANDLE,                       \
        .flags = LINUX_O_RDWR, .mode = 0020000, .serial = 1 + (number), .words = {number},         \
    }
static struct cella_open consoles[] = {CONSOLE(0), CONSOLE(1), CONSOLE(2)};
static struct descriptor table[CELLA_DESCRIPTOR_COUNT] = {
    {&consoles[0], false}, {&consoles[1], false}, {&consoles[2], false}};
static struct slab *slabs[SLABS];
_Atomic uint32_t cella_descriptor_limit = CELLA_DESCRIPTOR_COUNT;
static uint64_t serial_next = 4;
static struct cella_lock table_lock;

/* The console is the layer's below: the libc's own call, with the number that it had there. */
static long console_transfer(struct cella_open *open, const struct cella_transfer *transfer)
{
    long total = 0;
    uint64_t skip = transfer->bytes.skip;
    for (uint32_t i = 0; i < transfer->bytes.count && (uint64_t)total < transfer->bytes.size; i++) {
        const struct cella_part part = transfer->bytes.parts[i];
        const uint64_t from = skip < part.size ? skip : part.size;
        struct cella_regs regs = {.rax = transfer->writing ? __NR_write : __NR_read,
                                  .rdi = open->words[0],
                                  .rsi = part.at + from,
                                  .rdx = part.size - from};
        long done = -EBADF;
        skip -= from;
        if (regs.rdx == 0) {
            continue;
        }
        cella_libc_console(&regs, &done);
        if (done < 0) {
            return total > 0 ? total : done;
        }
        total += done;
        if ((uint64_t)done < regs.rdx) {
            break;
        }
    }
    return total;
}

static long console_stat(struct cella_open *open, struct cella_call_stat *ret_stat)
{
    (void)open;
    *ret_stat = (struct cella_call_stat){.links = 1, .mode = 0020620, .block_size = 1024};
    return 0;
}

static uint32_t console_ready(struct cella_open *open)
{
    return open->words[0] == 0 ? LINUX_POLLIN : LINUX_POLLOUT;
}

/* Under the lock. Also finds a handle that is open: two objects of ours must never be one of the host's. */
static struct cella_open *open_free(int32_t handle, bool *ret_is_open)
{
    struct cella_open *found = NULL;
    *ret_is_open = false;
    for (uint32_t i = 0; i < SLABS && slabs[i]; i++) {
        for (uint32_t j = 0; j < OPENS_OF_SLAB; j++) {
            struct cella_open *open = &slabs[i]->opens[j];
            if (atomic_load(&open->references) == 0) {
                found = found ? found : open;
            } else if (handle != CELLA_NO_HANDLE && open->handle == handle) {
                *ret_is_open = true;
            }
        }
    }
    return found;
}

/* A page more of objects; its memory is taken without the lock. */
static bool slab_add(void)
{
    struct slab *slab = cella_pages_new(sizeof(*slab));
    if (!slab) {
        return false;
    }
    cella_lock_take(&table_lock);
    for (uint32_t i = 0; i < SLABS; i++) {
        if (!slabs[i]) {
            slabs[i] = slab;
            slab = NULL;
            break;
        }
    }
    cella_lock_give(&table_lock);
    const bool added = slab == NULL;
    cella_pages_free(slab, sizeof(*slab));
    return added;
}

static struct cella_open *open_take(int32_t handle, bool *ret_is_open)
{
    cella_lock_take(&table_lock);
    struct cella_open *open = open_free(handle, ret_is_open);
    if (open && !*ret_is_open) {
        const uint64_t serial = serial_next++;
        cella_zero(open, sizeof(*open));
        open->serial = serial;
        open->handle = handle;
        atomic_store(&open->references, 1);
    }
    cella_lock_give(&table_lock);
    return open;
}

struct cella_open *cella_open_new(const struct cella_open_class *class, int32_t handle,
                                  uint32_t flags, long *ret_error)
{
    bool is_open;
    struct cella_open *open = open_take(handle, &is_open);
    if (!open && !is_open && slab_add()) {
        open = open_take(handle, &is_open);
    }
    *ret_error = is_open ? -EIO : -ENOMEM;
    if (!open || is_open) {
        return NULL;
    }
    open->class = class;
    atomic_store(&open->flags, flags & ~(LINUX_O_CREAT | LINUX_O_CLOEXEC | 01700u));
    *ret_error = 0;
    return open;
}

bool cella_open_handle_set(struct cella_open *open, int32_t handle)
{
    bool is_open;
    cella_lock_take(&table_lock);
    (void)open_free(handle, &is_open);
    if (!is_open) {
        open->handle = handle;
    }
    cella_lock_give(&table_lock);
    return !is_open;
}

/* Under the lock: whether this was the last reference. Then nobody can find the object any more. */
static bool open_is_last(struct cella_open *open)
{
    cella_lock_take(&table_lock);
    const bool ends = atomic_load(&open->references) == 1;
    if (ends) {
        open->serial = 0;
    } else {
        atomic_fetch_sub(&open->references, 1);
    }
    cella_lock_give(&table_lock);
    return ends;
}

/* The host may give the handle to somebody else from CLOSE on: it is not ours any more before that. */
long cella_open_close(struct cella_open *open)
{
    if (!open_is_last(open)) {
        return 0;
    }
    if (open->class->release) {
        open->class->release(open);
    }
    if (open->data_size > 0) {
        cella_pages_free(open->data, open->data_size);
    }
    cella_lock_take(&table_lock);
    const int32_t handle = open->handle;
    open->handle = CELLA_NO_HANDLE;
    atomic_store(&open->references, 0);
    cella_lock_give(&table_lock);
    return handle == CELLA_NO_HANDLE
               ? 0
               : cella_ask_plain(CELLA_OCALL_FILE, CELLA_FILE_CLOSE, handle, 0, 0, 0);
}

void cella_open_put(struct cella_open *open)
{
    (void)cella_open_close(open);
}

bool cella_open_take(struct cella_open *open, uint64_t serial)
{
    cella_lock_take(&table_lock);
    const bool is_there = serial != 0 && open->serial == serial;
    if (is_there) {
        atomic_fetch_add(&open->references, 1);
    }
    cella_lock_give(&table_lock);
    return is_there;
}

long cella_descriptor_add(struct cella_open *open, bool close_on_exec, uint64_t minimum)
{
    long fd = -EMFILE;
    cella_lock_take(&table_lock);
    for (uint64_t i = minimum; i < atomic_load(&cella_descriptor_limit); i++) {
        if (!table[i].open) {
            table[i] = (struct descriptor){.open = open, .close_on_exec = close_on_exec};
            fd = (long)i;
            break;
        }
    }
    cella_lock_give(&table_lock);
    if (fd < 0) {
        cella_open_put(open);
    }
    return fd;
}

struct cella_open *cella_console_get(uint32_t number)
{
    struct cella_open *open = &consoles[number < CELLA_COUNT(consoles) ? number : 0];
    cella_lock_take(&table_lock);
    atomic_fetch_add(&open->references, 1);
    cella_lock_give(&table_lock);
    return open;
}

struct cella_open *cella_descriptor_get(uint64_t fd)
{
    if (fd >= CELLA_DESCRIPTOR_COUNT) {
        return NULL;
    }
    cella_lock_take(&table_lock);
    struct cella_open *open = table[cella_index_clamp(fd, CELLA_DESCRIPTOR_COUNT)].open;
    if (open) {
        atomic_fetch_add(&open->references, 1);
    }
    cella_lock_give(&table_lock);
    return open;
}

/* Puts `open` (NULL: nothing) at `fd`; what was there comes back with its reference. */
struct cella_open *cella_descriptor_swap(uint64_t fd, struct cella_open *open, bool close_on_exec)
{
    cella_lock_take(&table_lock);
    struct descriptor *at = &table[cella_index_clamp(fd, CELLA_DESCRIPTOR_COUNT)];
    struct cella_open *before = at->open;
    *at = (struct descriptor){.open = open, .close_on_exec = close_on_exec};
    cella_lock_give(&table_lock);
    return before;
}

/* The flag of a descriptor that is open; set < 0: only looked at. */
long cella_descriptor_close_on_exec(uint64_t fd, int set)
{
    long result = -EBADF;
    cella_lock_take(&table_lock);
    struct descriptor *at = &table[cella_index_clamp(fd, CELLA_DESCRIPTOR_COUNT)];
    if (at->open) {
        result = at->close_on_exec;
        at->close_on_exec = set < 0 ? at->close_on_exec : set != 0;
    }
    cella_lock_give(&table_lock);
    return result;
}

static struct cella_poll_waiter *waiters;
static struct cella_lock waiter_lock;

void cella_poll_waiter_add(struct cella_poll_waiter *waiter)
{
    waiter->slot = cella_td_self()->slot;
    waiter->called = false;
    cella_lock_take(&waiter_lock);
    waiter->next = waiters;
    waiters = waiter;
    cella_lock_give(&waiter_lock);
}

void cella_poll_waiter_remove(struct cella_poll_waiter *waiter)
{
    cella_lock_take(&waiter_lock);
    for (struct cella_poll_waiter **at = &waiters; *at; at = &(*at)->next) {
        if (*at == waiter) {
            *at = waiter->next;
            break;
        }
    }
    cella_lock_give(&waiter_lock);
}

/* Each waiter is called once between two looks; in rounds, because the host is called without the lock. */
void cella_poll_notify(struct cella_open *open)
{
    uint32_t count = NOTIFY_MAX;
    atomic_fetch_add(&open->changes, 1);
    while (count == NOTIFY_MAX) {
        uint32_t slots[NOTIFY_MAX];
        count = 0;
        cella_lock_take(&waiter_lock);
        for (struct cella_poll_waiter *at = waiters; at && count < NOTIFY_MAX; at = at->next) {
            if (!at->called) {
                at->called = true;
                slots[count++] = at->slot;
            }
        }
        cella_lock_give(&waiter_lock);
        if (count > 0) {
            cella_ignore(cella_system_ocall(CELLA_OCALL_POLL_WAKE, slots, count * sizeof(slots[0]),
                                            NULL, 0, NULL));
        }
    }
}

/* The calls come with the table. */
CELLA_MODULE(cella_descriptor_module);
