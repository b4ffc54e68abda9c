/*
 * The table of descriptors and the objects behind them.
 * Side: enclave. Called by the modules that open something; linked only with one of them.
 * Never holds the table's lock over an ocall, never gives an object back while somebody uses it.
 */
#include "enclave/descriptors.h"

#define OPENS_OF_SLAB (SGX_PAGE_SIZE / sizeof(struct cella_open))
#define SLABS (CELLA_DESCRIPTOR_COUNT / 32) /* objects may outlive their numbers: as many again */
#define CHUNK 1024u
#define CHUNKS (CELLA_DESCRIPTOR_COUNT / CHUNK)
#define WORDS (CHUNK / 64)
#define HANDLES_OF_PAGE (SGX_PAGE_SIZE * 8)
#define HANDLE_PAGES 32u /* a host has no more than 2^20 */
#define NOTIFY_MAX 32u

struct slab {
    struct cella_open opens[OPENS_OF_SLAB];
};
_Static_assert(sizeof(struct slab) <= SGX_PAGE_SIZE, "a slab is a page");

struct descriptor {
    struct cella_open *open; /* changed under the lock, looked at without */
    bool close_on_exec;
};

/* Numbers come by chunks, as they are needed; a bit says which are taken. */
struct chunk {
    struct descriptor descriptors[CHUNK];
    uint64_t used[WORDS];
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
static struct chunk first = {
    .descriptors = {{&consoles[0], false}, {&consoles[1], false}, {&consoles[2], false}},
    .used = {7}};
static struct chunk *chunks[CHUNKS] = {&first};
static struct slab *slabs[SLABS];
static struct cella_open *free_opens;   /* linked by `data` */
static uint64_t *handles[HANDLE_PAGES]; /* a bit each: open, as an object of ours */
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

/* A page more of objects; its memory is taken without the lock. */
static bool slab_add(void)
{
    struct slab *slab = cella_pages_new(sizeof(*slab));
    if (!slab) {
        return false;
    }
    cella_lock_take(&table_lock);
    uint32_t at = 0;
    while (at < SLABS && slabs[at]) {
        at++;
    }
    const bool added = at < SLABS;
    if (added) {
        slabs[at] = slab;
        for (uint32_t i = 0; i < OPENS_OF_SLAB; i++) {
            slab->opens[i].data = free_opens;
            free_opens = &slab->opens[i];
        }
    }
    cella_lock_give(&table_lock);
    if (!added) {
        cella_pages_free(slab, sizeof(*slab));
    }
    return added;
}

/* Room for the bit of a handle; its memory is taken without the lock. false: none, or no handle of a host. */
static bool handle_room(int32_t handle)
{
    const uint32_t index = (uint32_t)handle / HANDLES_OF_PAGE;
    if (handle == CELLA_NO_HANDLE) {
        return true;
    }
    if (handle < 0 || index >= HANDLE_PAGES) {
        return false;
    }
    if (__atomic_load_n(&handles[index], __ATOMIC_ACQUIRE)) {
        return true;
    }
    uint64_t *page = cella_pages_new(SGX_PAGE_SIZE);
    uint64_t *nothing = NULL;
    if (page && !__atomic_compare_exchange_n(&handles[index], &nothing, page, false,
                                             __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        cella_pages_free(page, SGX_PAGE_SIZE);
        return true;
    }
    return page != NULL;
}

/* Under the lock: two objects of ours must never be one of the host's. */
static bool handle_take(int32_t handle)
{
    if (handle == CELLA_NO_HANDLE) {
        return true;
    }
    const uint32_t bit = (uint32_t)handle % HANDLES_OF_PAGE;
    uint64_t *word = &handles[(uint32_t)handle / HANDLES_OF_PAGE][bit / 64];
    const bool is_free = (*word >> bit % 64 & 1) == 0;
    *word |= 1ull << bit % 64;
    return is_free;
}

static void handle_give(int32_t handle)
{
    if (handle != CELLA_NO_HANDLE) {
        const uint32_t bit = (uint32_t)handle % HANDLES_OF_PAGE;
        handles[(uint32_t)handle / HANDLES_OF_PAGE][bit / 64] &= ~(1ull << bit % 64);
    }
}

static struct cella_open *open_take(int32_t handle, bool *ret_is_open)
{
    cella_lock_take(&table_lock);
    struct cella_open *open = free_opens;
    *ret_is_open = open && !handle_take(handle);
    if (open && !*ret_is_open) {
        free_opens = open->data;
        const uint64_t serial = serial_next++;
        cella_zero(open, sizeof(*open));
        open->serial = serial;
        open->handle = handle;
        atomic_store(&open->references, 1);
    }
    cella_lock_give(&table_lock);
    return *ret_is_open ? NULL : open;
}

struct cella_open *cella_open_new(const struct cella_open_class *class, int32_t handle,
                                  uint32_t flags, long *ret_error)
{
    bool is_open;
    if (!handle_room(handle)) {
        *ret_error = -ENOMEM;
        return NULL;
    }
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
    if (!handle_room(handle)) {
        return false;
    }
    cella_lock_take(&table_lock);
    const bool is_free = handle_take(handle);
    if (is_free) {
        open->handle = handle;
    }
    cella_lock_give(&table_lock);
    return is_free;
}

/* One more, unless the object is being put away, or is nobody's. */
static bool reference_add(struct cella_open *open)
{
    uint32_t count = atomic_load_explicit(&open->references, memory_order_relaxed);
    while (count != 0) {
        if (atomic_compare_exchange_weak(&open->references, &count, count + 1)) {
            return true;
        }
    }
    return false;
}

/* Whether this was the last reference. Then nobody can find the object any more. */
static bool open_is_last(struct cella_open *open)
{
    uint32_t count = atomic_load_explicit(&open->references, memory_order_relaxed);
    while (count > 1) {
        if (atomic_compare_exchange_weak(&open->references, &count, count - 1)) {
            return false;
        }
    }
    cella_lock_take(&table_lock);
    const bool ends = atomic_fetch_sub(&open->references, 1) == 1;
    if (ends) {
        open->serial = 0;
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
    handle_give(handle);
    open->handle = CELLA_NO_HANDLE;
    open->data = free_opens;
    free_opens = open;
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
    const bool is_there = serial != 0 && open->serial == serial && reference_add(open);
    cella_lock_give(&table_lock);
    return is_there;
}

/* NULL: there is no room for it yet, and nothing there. */
static struct descriptor *descriptor_of(uint64_t fd)
{
    struct chunk *chunk = __atomic_load_n(
        &chunks[cella_index_clamp(fd, CELLA_DESCRIPTOR_COUNT) / CHUNK], __ATOMIC_ACQUIRE);
    return chunk ? &chunk->descriptors[fd % CHUNK] : NULL;
}

static void descriptor_put(uint64_t fd, struct cella_open *open, bool close_on_exec)
{
    struct chunk *chunk = chunks[cella_index_clamp(fd, CELLA_DESCRIPTOR_COUNT) / CHUNK];
    const uint64_t bit = 1ull << fd % 64;
    uint64_t *word = &chunk->used[fd % CHUNK / 64];
    chunk->descriptors[fd % CHUNK].close_on_exec = close_on_exec;
    __atomic_store_n(&chunk->descriptors[fd % CHUNK].open, open, __ATOMIC_RELEASE);
    *word = open ? *word | bit : *word & ~bit;
}

bool cella_descriptor_room(uint64_t fd)
{
    struct chunk **at = &chunks[cella_index_clamp(fd, CELLA_DESCRIPTOR_COUNT) / CHUNK];
    if (__atomic_load_n(at, __ATOMIC_ACQUIRE)) {
        return true;
    }
    struct chunk *chunk = cella_pages_new(sizeof(*chunk));
    struct chunk *nothing = NULL;
    if (chunk && !__atomic_compare_exchange_n(at, &nothing, chunk, false, __ATOMIC_ACQ_REL,
                                              __ATOMIC_ACQUIRE)) {
        cella_pages_free(chunk, sizeof(*chunk));
        return true;
    }
    return chunk != NULL;
}

/* Under the lock: the lowest number from `from` on that is free (or in use), by words; COUNT: none. */
static uint64_t number_find(uint64_t from, bool in_use)
{
    for (uint64_t at = from; at < CELLA_DESCRIPTOR_COUNT; at = (at | 63) + 1) {
        const struct chunk *chunk = chunks[at / CHUNK];
        const uint64_t used = chunk ? chunk->used[at % CHUNK / 64] : 0;
        const uint64_t wanted = (in_use ? used : ~used) & ~0ull << at % 64;
        if (wanted != 0) {
            return (at & ~63ull) + (uint64_t)__builtin_ctzll(wanted);
        }
    }
    return CELLA_DESCRIPTOR_COUNT;
}

uint64_t cella_descriptor_next(uint64_t from)
{
    cella_lock_take(&table_lock);
    const uint64_t fd = number_find(from, true);
    cella_lock_give(&table_lock);
    return fd;
}

long cella_descriptor_add(struct cella_open *open, bool close_on_exec, uint64_t minimum)
{
    long result = -EAGAIN; /* once more, with room */
    while (result == -EAGAIN) {
        cella_lock_take(&table_lock);
        const uint64_t fd = number_find(minimum, false);
        if (fd >= atomic_load(&cella_descriptor_limit)) {
            result = -EMFILE;
        } else if (descriptor_of(fd)) {
            descriptor_put(fd, open, close_on_exec);
            result = (long)fd;
        }
        cella_lock_give(&table_lock);
        if (result == -EAGAIN && !cella_descriptor_room(fd)) {
            result = -ENOMEM;
        }
    }
    if (result < 0) {
        cella_open_put(open);
    }
    return result;
}

struct cella_open *cella_console_get(uint32_t number)
{
    struct cella_open *open = &consoles[number < CELLA_COUNT(consoles) ? number : 0];
    cella_lock_take(&table_lock);
    atomic_fetch_add(&open->references, 1);
    cella_lock_give(&table_lock);
    return open;
}

/*
 * Without the lock: objects' memory never goes away, so a reference may be tried on whatever is there; it counts when the
 * number still has the object afterwards.
 */
struct cella_open *cella_descriptor_get(uint64_t fd)
{
    const struct descriptor *at = fd < CELLA_DESCRIPTOR_COUNT ? descriptor_of(fd) : NULL;
    struct cella_open *open = NULL;
    while (at && (open = __atomic_load_n(&at->open, __ATOMIC_ACQUIRE)) != NULL) {
        if (!reference_add(open)) {
            continue; /* it has just been taken out */
        }
        if (__atomic_load_n(&at->open, __ATOMIC_ACQUIRE) == open) {
            break;
        }
        cella_open_put(open);
    }
    return open;
}

/* Puts `open` (NULL: nothing) at `fd`; what was there comes back with its reference. */
struct cella_open *cella_descriptor_swap(uint64_t fd, struct cella_open *open, bool close_on_exec)
{
    cella_lock_take(&table_lock);
    const struct descriptor *at = descriptor_of(fd);
    struct cella_open *before = at ? at->open : NULL;
    if (at) {
        descriptor_put(fd, open, close_on_exec);
    }
    cella_lock_give(&table_lock);
    return before;
}

/* The flag of a descriptor that is open; set < 0: only looked at. */
long cella_descriptor_close_on_exec(uint64_t fd, int set)
{
    long result = -EBADF;
    cella_lock_take(&table_lock);
    struct descriptor *at = fd < CELLA_DESCRIPTOR_COUNT ? descriptor_of(fd) : NULL;
    if (at && at->open) {
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
