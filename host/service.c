/*
 * The kernel's own ocalls: memory, sleeping and waking, threads, console, clock.
 * Side: host. Called by call.c with sizes as the enclave gave them.
 * Never writes more than the capacity it was given.
 */
#include "host/bridge.h"
#include "host/host.h"
#include "host/quote.h"
#include "host/services.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "abi/blocks.h"
#include "host/blocks.h"

#define CHUNK_MAX (1ull << 36)
#define OCALL_WORKERS_MAX 8u
#define PAGES_TRIES 100000u /* in a row without a page: the driver is stuck */

static long futex(uint32_t *word, int operation, uint32_t value, const struct timespec *timeout,
                  uint32_t bits)
{
    return syscall(SYS_futex, word, operation, value, timeout, NULL, bits);
}

static cella_result service_alloc(const void *in, void *out, size_t out_capacity, size_t *ret_size)
{
    uint64_t size;
    memcpy(&size, in, sizeof(size));
    CELLA_ENSURE(out_capacity >= sizeof(uint64_t), BUFFER_TOO_SMALL);
    CELLA_ENSURE(size > 0 && size <= CHUNK_MAX, OUT_OF_MEMORY);
    void *memory = aligned_alloc(64, (size + 63) & ~(size_t)63);
    CELLA_ENSURE(memory != NULL, OUT_OF_MEMORY);
    const uint64_t address = (uint64_t)memory;
    memcpy(out, &address, sizeof(address));
    *ret_size = sizeof(address);
    return CELLA_OK;
}

static cella_result service_free(const void *in)
{
    uint64_t address;
    memcpy(&address, in, sizeof(address));
    free((void *)address);
    return CELLA_OK;
}

/* Sleeps on the slot's event word until somebody sets it or the time is over (BUSY). */
static cella_result service_wait(cella_enclave *enclave, const void *in)
{
    struct cella_call_wait wait;
    memcpy(&wait, in, sizeof(wait));
    CELLA_ENSURE(wait.slot < enclave->thread_count, OUT_OF_RANGE);
    struct cella_host_slot *slot = &enclave->slots[wait.slot];
    uint32_t *event = &slot->arena->event;
    struct timespec time = {.tv_sec = wait.seconds, .tv_nsec = wait.nanoseconds};
    int clock = 0;
    if (wait.clock == CELLA_WAIT_UNTIL_REALTIME) {
        clock = FUTEX_CLOCK_REALTIME;
    } else if (wait.clock == CELLA_WAIT_RELATIVE) {
        clock_gettime(CLOCK_MONOTONIC, &time);
        time.tv_sec += wait.seconds;
        time.tv_nsec += wait.nanoseconds;
        if (time.tv_nsec >= 1000000000) {
            time.tv_nsec -= 1000000000;
            time.tv_sec++;
        }
    }
    while ((__atomic_exchange_n(event, 0, __ATOMIC_SEQ_CST) & CELLA_EVENT_WAKE) == 0) {
        if (cella_kick_take(slot)) {
            return CELLA_RESULT(INTERRUPTED);
        }
        if (atomic_load(&enclave->stopping) || atomic_load(&enclave->dead)) {
            return CELLA_OK;
        }
        long slept = futex(event, FUTEX_WAIT_BITSET_PRIVATE | clock, 0,
                           wait.clock == CELLA_WAIT_FOREVER ? NULL : &time, FUTEX_BITSET_MATCH_ANY);
        if (slept < 0 && (errno == ETIMEDOUT || errno == EINVAL)) {
            return CELLA_RESULT(BUSY);
        }
    }
    return CELLA_OK;
}

static void wake_slot(cella_enclave *enclave, uint32_t slot)
{
    uint32_t *event = &enclave->slots[slot].arena->event;
    __atomic_fetch_or(event, CELLA_EVENT_WAKE, __ATOMIC_SEQ_CST);
    futex(event, FUTEX_WAKE_PRIVATE, 1, NULL, 0);
}

void cella_host_wake_all(cella_enclave *enclave)
{
    cella_services_stop(enclave);
    for (uint32_t i = 0; i < enclave->thread_count; i++) {
        wake_slot(enclave, i);
    }
}

static cella_result service_wake(cella_enclave *enclave, const uint8_t *in, size_t in_size)
{
    for (size_t at = 0; at + 4 <= in_size; at += 4) {
        uint32_t slot;
        memcpy(&slot, in + at, sizeof(slot));
        CELLA_ENSURE(slot < enclave->thread_count, OUT_OF_RANGE);
        wake_slot(enclave, slot);
    }
    return CELLA_OK;
}

static cella_result service_kick(cella_enclave *enclave, const uint8_t *in, size_t in_size)
{
    CELLA_ENSURE(enclave->is_interruptible, UNSUPPORTED);
    for (size_t at = 0; at + 4 <= in_size; at += 4) {
        uint32_t slot;
        memcpy(&slot, in + at, sizeof(slot));
        CELLA_ENSURE(slot < enclave->thread_count, OUT_OF_RANGE);
        cella_kick(enclave, slot);
    }
    return CELLA_OK;
}

static cella_result answer_i64(int64_t value, void *out, size_t out_capacity, size_t *ret_size)
{
    CELLA_ENSURE(out_capacity >= sizeof(value), BUFFER_TOO_SMALL);
    memcpy(out, &value, sizeof(value));
    *ret_size = sizeof(value);
    return CELLA_OK;
}

static cella_result service_write(cella_enclave *enclave, const uint8_t *in, size_t in_size,
                                  void *out, size_t out_capacity, size_t *ret_size)
{
    uint64_t fd;
    memcpy(&fd, in, sizeof(fd));
    CELLA_ENSURE(fd == 1 || fd == 2, OUT_OF_RANGE);
    const int console = enclave->console[fd - 1] ? enclave->console[fd - 1] : (int)fd;
    ssize_t written;
    do {
        written = write(console, in + sizeof(fd), in_size - sizeof(fd));
    } while (written < 0 && errno == EINTR);
    return answer_i64(written < 0 ? -errno : written, out, out_capacity, ret_size);
}

static cella_result service_read(cella_enclave *enclave, uint8_t *out, size_t out_capacity,
                                 size_t *ret_size)
{
    CELLA_ENSURE(out_capacity >= sizeof(int64_t), BUFFER_TOO_SMALL);
    const int64_t ready = cella_handle_wait(enclave, STDIN_FILENO, POLLIN, CELLA_WAIT_FOR_EVER);
    if (ready < 0) {
        return answer_i64(ready, out, out_capacity, ret_size);
    }
    const ssize_t got = read(0, out + sizeof(int64_t), out_capacity - sizeof(int64_t));
    CELLA_TRY(answer_i64(got < 0 ? -errno : got, out, out_capacity, ret_size));
    *ret_size += got > 0 ? (size_t)got : 0;
    return CELLA_OK;
}

static cella_result service_clock(const void *in, void *out, size_t out_capacity, size_t *ret_size)
{
    uint64_t clock;
    struct timespec time;
    memcpy(&clock, in, sizeof(clock));
    CELLA_ENSURE(clock <= CLOCK_TAI && out_capacity >= 16, OUT_OF_RANGE);
    CELLA_ENSURE(clock_gettime((clockid_t)clock, &time) == 0, UNSUPPORTED);
    const int64_t values[2] = {time.tv_sec, time.tv_nsec};
    memcpy(out, values, sizeof(values));
    *ret_size = sizeof(values);
    return CELLA_OK;
}

static void service_trace(const void *in, size_t in_size)
{
    char line[160];
    const size_t size = in_size < sizeof(line) - 16 ? in_size : sizeof(line) - 16;
    memcpy(line, "cella: ", 7);
    memcpy(line + 7, in, size);
    line[7 + size] = '\n';
    if (getenv("CELLA_TRACE") && write(2, line, size + 8) < 0) {
        return;
    }
}

/* One of the driver's calls about [offset, offset + length); *ret_count: bytes that are done, also when it fails. */
static int pages_ioctl(const cella_enclave *enclave, uint32_t number, uint64_t offset,
                       uint64_t length, uint64_t permissions, uint64_t *ret_count)
{
    int done;
    if (number == CELLA_OCALL_RESTRICT) {
        struct sgx_linux_restrict_permissions restrict_to = {
            .offset = offset, .length = length, .permissions = permissions};
        done = enclave->processor->ioctl(enclave->fd, SGX_LINUX_IOC_ENCLAVE_RESTRICT_PERMISSIONS,
                                         &restrict_to);
        *ret_count = restrict_to.count;
    } else if (number == CELLA_OCALL_REMOVE) {
        struct sgx_linux_remove_pages remove_them = {.offset = offset, .length = length};
        done = enclave->processor->ioctl(enclave->fd, SGX_LINUX_IOC_ENCLAVE_REMOVE_PAGES,
                                         &remove_them);
        *ret_count = remove_them.count;
    } else {
        struct sgx_linux_modify_types modify = {
            .offset = offset,
            .length = length,
            .page_type = number == CELLA_OCALL_TRIM ? SGX_PT_TRIM : SGX_PT_TCS};
        done = enclave->processor->ioctl(enclave->fd, SGX_LINUX_IOC_ENCLAVE_MODIFY_TYPES, &modify);
        *ret_count = modify.count;
    }
    return done;
}

/* The driver does one such call of an enclave at a time (EBUSY), and stops in the middle for a signal or a page in use. */
static int pages_change(const cella_enclave *enclave, uint32_t number, uint64_t offset,
                        uint64_t length, uint64_t permissions)
{
    for (uint32_t tries = 0;; tries++) {
        uint64_t count = 0;
        const int done = pages_ioctl(enclave, number, offset, length, permissions, &count);
        if (done >= 0 || count > length) {
            return done;
        }
        if (count == length) {
            return 0;
        }
        tries = count > 0 ? 0 : tries;
        offset += count;
        length -= count;
        if ((done != -EBUSY && done != -EAGAIN && done != -EINTR) || tries == PAGES_TRIES) {
            return done;
        }
        sched_yield();
    }
}

static cella_result service_pages(cella_enclave *enclave, uint32_t number, const void *in,
                                  size_t in_size)
{
    uint64_t words[3] = {0};
    CELLA_ENSURE(in_size >= 16, TRUNCATED);
    memcpy(words, in, in_size < sizeof(words) ? in_size : sizeof(words));
    int done;
    if (number == CELLA_OCALL_PROTECT) {
        CELLA_ENSURE(words[0] <= enclave->size && words[1] <= enclave->size - words[0],
                     OUT_OF_RANGE);
        done = enclave->processor->mprotect((void *)(enclave->base + words[0]), words[1],
                                            ((words[2] & SGX_SECINFO_R) ? PROT_READ : 0) |
                                                ((words[2] & SGX_SECINFO_W) ? PROT_WRITE : 0) |
                                                ((words[2] & SGX_SECINFO_X) ? PROT_EXEC : 0));
    } else {
        done = pages_change(enclave, number, words[0], words[1], words[2]);
    }
    CELLA_ENSURE(done >= 0, HOST_REFUSED);
    return CELLA_OK;
}

/* Bytes of input without which a service cannot even look at it. */
static size_t service_minimum(uint32_t number)
{
    switch (number) {
    case CELLA_OCALL_ALLOC:
    case CELLA_OCALL_WRITE:
    case CELLA_OCALL_CLOCK:
        return 8;
    case CELLA_OCALL_FREE:
        return 16;
    case CELLA_OCALL_WAIT:
        return sizeof(struct cella_call_wait);
    case CELLA_OCALL_THREAD:
    case CELLA_OCALL_RING_WAIT:
        return 4;
    default:
        return 0;
    }
}

/* Threads for the ring of ocalls, once. */
static cella_result service_workers(cella_enclave *enclave, const void *in, size_t in_size)
{
    uint32_t count;
    CELLA_ENSURE(in_size == sizeof(count), TRUNCATED);
    memcpy(&count, in, sizeof(count));
    CELLA_ENSURE(count >= 1 && count <= OCALL_WORKERS_MAX, OUT_OF_RANGE);
    const struct cella_switchless_options options = {.ocall_workers = count};
    return cella_switchless_start(enclave, &options);
}

cella_result cella_host_service(cella_enclave *enclave, struct cella_host_slot *slot,
                                uint32_t number, const void *in, size_t in_size, void *out,
                                size_t out_capacity, size_t *ret_size)
{
    uint32_t index;
    (void)slot;
    if (enclave->service) {
        const cella_result answer = enclave->service(enclave->service_context, number, in, in_size,
                                                     out, out_capacity, ret_size);
        if (answer.code != CELLA_CODE_NOT_FOUND) {
            return answer;
        }
    }
    CELLA_ENSURE(in_size >= service_minimum(number), TRUNCATED);
    switch (number) {
    case CELLA_OCALL_ALLOC:
        return service_alloc(in, out, out_capacity, ret_size);
    case CELLA_OCALL_FREE:
        return service_free(in);
    case CELLA_OCALL_WAIT:
        return service_wait(enclave, in);
    case CELLA_OCALL_WAKE:
        return service_wake(enclave, in, in_size);
    case CELLA_OCALL_KICK:
        return service_kick(enclave, in, in_size);
    case CELLA_OCALL_THREAD:
        memcpy(&index, in, sizeof(index));
        return cella_host_thread_start(enclave, index);
    case CELLA_OCALL_YIELD:
        sched_yield();
        return CELLA_OK;
    case CELLA_OCALL_WRITE:
        return service_write(enclave, in, in_size, out, out_capacity, ret_size);
    case CELLA_OCALL_READ:
        return service_read(enclave, out, out_capacity, ret_size);
    case CELLA_OCALL_CLOCK:
        return service_clock(in, out, out_capacity, ret_size);
    case CELLA_OCALL_TRACE:
        service_trace(in, in_size);
        return CELLA_OK;
    case CELLA_OCALL_RING_WAIT:
        memcpy(&index, in, sizeof(index));
        return cella_switchless_wait(enclave, slot, index);
    case CELLA_OCALL_RING_WAKE:
        cella_switchless_wake(enclave);
        return CELLA_OK;
    case CELLA_OCALL_BLOCKS:
        return cella_host_blocks(enclave, in, in_size, out, out_capacity, ret_size);
    case CELLA_OCALL_NAMES:
        return cella_bindings_offer(enclave, in, in_size);
    case CELLA_OCALL_QUOTE:
        return cella_quote_serve(enclave, in, in_size, out, out_capacity, ret_size);
    case CELLA_OCALL_RESTRICT:
    case CELLA_OCALL_TRIM:
    case CELLA_OCALL_TCS:
    case CELLA_OCALL_REMOVE:
    case CELLA_OCALL_PROTECT:
        return service_pages(enclave, number, in, in_size);
    case CELLA_OCALL_WORKERS:
        return service_workers(enclave, in, in_size);
    default:
        return cella_services_serve(enclave, number, in, in_size, out, out_capacity, ret_size);
    }
}
