/*
 * The opt-in services: dispatch, what an enclave has open, waiting that ends with the enclave.
 * Side: host. Called by service.c, with sizes as the enclave gave them.
 * Never blocks in a call that cannot be ended: descriptors do not block, waiting is poll with the stop event.
 */
#include "host/services.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS 1000000000ll

cella_result cella_services_new(cella_enclave *enclave)
{
    struct cella_services *services =
        calloc(1, sizeof(*services) + enclave->thread_count * sizeof(services->bells[0]));
    CELLA_ENSURE(services != NULL, OUT_OF_MEMORY);
    services->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    enclave->services = services;
    CELLA_ENSURE(services->stop >= 0, IO);
    return CELLA_OK;
}

void cella_services_stop(cella_enclave *enclave)
{
    const uint64_t one = 1;
    if (enclave->services && write(enclave->services->stop, &one, sizeof(one)) < 0) {
        return; /* it is set already */
    }
}

void cella_services_free(cella_enclave *enclave)
{
    struct cella_services *services = enclave->services;
    if (!services) {
        return;
    }
    for (uint32_t fd = 0; fd < CELLA_HANDLES_MAX; fd++) {
        if ((atomic_load(&services->open[fd / 64]) >> fd % 64 & 1) != 0) {
            close((int)fd);
        }
    }
    for (uint32_t i = 0; i < enclave->thread_count; i++) {
        if (services->bells[i] > 0) {
            close(services->bells[i] - 1);
        }
    }
    if (services->stop >= 0) {
        close(services->stop);
    }
    free(services);
    enclave->services = NULL;
}

/* Nobody's close but the kernel's has to see what the services opened. */
static int fd_close(int fd)
{
    return (int)syscall(SYS_close, fd);
}

/* Regular files and directories are ready at any time: they need no O_NONBLOCK. */
int64_t cella_handle_own_file(cella_enclave *enclave, int fd)
{
    if (fd >= (int)CELLA_HANDLES_MAX) {
        fd_close(fd);
        return -EMFILE;
    }
    atomic_fetch_or(&enclave->services->open[fd / 64], 1ull << fd % 64);
    return fd;
}

int64_t cella_handle_own(cella_enclave *enclave, int fd)
{
    if (fd < 0) {
        return -errno;
    }
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0) {
        fd_close(fd);
        return -EMFILE;
    }
    if ((flags & (O_PATH | O_NONBLOCK)) == 0) {
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    }
    return cella_handle_own_file(enclave, fd);
}

bool cella_handle_is_open(const cella_enclave *enclave, int32_t handle)
{
    return handle >= 0 && handle < (int32_t)CELLA_HANDLES_MAX &&
           (atomic_load(&enclave->services->open[handle / 64]) >> handle % 64 & 1) != 0;
}

int64_t cella_handle_close(cella_enclave *enclave, int32_t handle)
{
    if (!cella_handle_is_open(enclave, handle)) {
        return -EBADF;
    }
    atomic_fetch_and(&enclave->services->open[handle / 64], ~(1ull << handle % 64));
    const int64_t result = cella_errno_or(fd_close(handle));
    return result == -EINTR ? 0 : result; /* it is closed all the same */
}

int64_t cella_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NANOSECONDS + now.tv_nsec;
}

bool cella_is_stopping(const cella_enclave *enclave)
{
    return atomic_load(&enclave->stopping) != 0 || atomic_load(&enclave->dead) != 0;
}

/* The slot in which this thread serves the enclave; NULL: in none, or in one that nobody kicks. */
static struct cella_host_slot *slot_here(const cella_enclave *enclave)
{
    const struct cella_host_active *active = cella_host_active();
    return active && active->enclave == enclave && enclave->is_interruptible ? active->slot : NULL;
}

static void bell_clear(int bell)
{
    uint64_t count;
    if (read(bell, &count, sizeof(count)) < 0) {
        return; /* nobody rang it */
    }
}

int64_t cella_list_wait(cella_enclave *enclave, struct pollfd *list, size_t count, int64_t timeout,
                        int bell, bool *ret_rung)
{
    const int64_t end = timeout < 0 ? 0 : cella_now() + timeout;
    struct cella_host_slot *slot = slot_here(enclave);
    if (slot && bell < 0) {
        bell = cella_slot_bell(enclave, slot->index);
    }
    list[count] = (struct pollfd){.fd = enclave->services->stop, .events = POLLIN};
    list[count + 1] = (struct pollfd){.fd = bell, .events = POLLIN};
    for (;;) {
        if (slot && cella_kick_take(slot)) { /* the bell exists by now: later kicks ring it */
            return -EINTR;
        }
        const int64_t left = timeout < 0 ? 0 : end - cella_now();
        const struct timespec limit = {.tv_sec = left > 0 ? left / NANOSECONDS : 0,
                                       .tv_nsec = left > 0 ? left % NANOSECONDS : 0};
        int ready = ppoll(list, count + 2, timeout < 0 ? NULL : &limit, NULL);
        if (cella_is_stopping(enclave) || (ready > 0 && list[count].revents != 0)) {
            return -EINTR;
        }
        const bool rung = ready > 0 && list[count + 1].revents != 0;
        if (rung) {
            bell_clear(bell);
            ready--;
        }
        if (ret_rung) {
            *ret_rung = rung;
        }
        if (ready > 0 || (ready == 0 && (!rung || (ret_rung && !(slot && slot->kicked)))) ||
            (ready < 0 && errno != EINTR)) {
            return cella_errno_or(ready);
        }
    }
}

int64_t cella_handle_wait(cella_enclave *enclave, int fd, short events, int64_t timeout)
{
    struct pollfd list[3] = {{.fd = fd, .events = events}};
    return cella_list_wait(enclave, list, 1, timeout, -1, NULL);
}

static int64_t serve(uint32_t number, struct cella_service_call *call)
{
    switch (number) {
    case CELLA_OCALL_FILE:
        return cella_files_serve(call);
    case CELLA_OCALL_SOCKET:
        return cella_sockets_serve(call);
    case CELLA_OCALL_EPOLL:
        return cella_epoll_serve(call);
    case CELLA_OCALL_RESOLVE:
        return cella_resolve_serve(call);
    case CELLA_OCALL_IDS:
        return cella_ids_serve(call);
    default:
        return cella_uname_serve(call);
    }
}

cella_result cella_services_serve(cella_enclave *enclave, uint32_t number, const void *in,
                                  size_t in_size, void *out, size_t out_capacity, size_t *ret_size)
{
    if (number == CELLA_OCALL_POLL) {
        return cella_poll_serve(enclave, in, in_size, out, out_capacity, ret_size);
    }
    if (number == CELLA_OCALL_POLL_WAKE) {
        return cella_poll_wake(enclave, in, in_size);
    }
    CELLA_ENSURE(number == CELLA_OCALL_FILE ||
                     (number >= CELLA_OCALL_SOCKET && number <= CELLA_OCALL_UNAME),
                 NOT_FOUND);
    struct cella_service_call call = {.enclave = enclave};
    const size_t head = number == CELLA_OCALL_UNAME ? 0 : sizeof(call.head);
    CELLA_ENSURE(in_size >= head && out_capacity >= sizeof(int64_t), TRUNCATED);
    memcpy(&call.head, in, head);
    call.bytes = (const uint8_t *)in + head;
    call.size = in_size - head;
    call.out = (uint8_t *)out + sizeof(int64_t);
    call.capacity = out_capacity - sizeof(int64_t);
    const int64_t value = serve(number, &call);
    memcpy(out, &value, sizeof(value));
    *ret_size = sizeof(value) + call.extra;
    return CELLA_OK;
}
