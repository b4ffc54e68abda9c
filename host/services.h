/*
 * The inside of the host's opt-in services: what an enclave has open, and waiting that can be ended.
 * Side: host. Included by host/services*.c, files*.c, sockets.c, poll.c, names.c.
 * Never gives an enclave a descriptor that was not opened for it.
 */
#ifndef CELLA_HOST_SERVICES_H
#define CELLA_HOST_SERVICES_H

#include <errno.h>

#include "abi/service.h"
#include "host/host.h"

#define CELLA_HANDLES_MAX 65536u
#define CELLA_WAIT_FOR_EVER (-1)

struct cella_services {
    _Atomic uint64_t open[CELLA_HANDLES_MAX / 64]; /* a bit for each descriptor of the enclave's */
    int stop;            /* eventfd: readable when blocked calls must end */
    _Atomic int bells[]; /* of each slot: eventfd + 1 that POLL_WAKE writes; 0: none yet */
};

/* One request and the room for its answer, whose first 8 bytes are the value. */
struct cella_service_call {
    cella_enclave *enclave;
    struct cella_call_request head;
    const uint8_t *bytes; /* behind the head */
    size_t size;
    uint8_t *out; /* behind the value */
    size_t capacity;
    size_t extra; /* bytes of `out` that were written */
};

/* Takes over a descriptor: not blocking, closed on exec and with the enclave. `fd` or -errno of a failed call. */
int64_t cella_handle_own(cella_enclave *enclave, int fd);
/* The same for an open regular file or directory. */
int64_t cella_handle_own_file(cella_enclave *enclave, int fd);
bool cella_handle_is_open(const cella_enclave *enclave, int32_t handle);
int64_t cella_handle_close(cella_enclave *enclave, int32_t handle);

/*
 * Until `fd` has one of `events`: 1. Nanoseconds, or for ever; 0: time is over. -EINTR: the enclave is ending, or the thread
 * was kicked.
 */
int64_t cella_handle_wait(cella_enclave *enclave, int fd, short events, int64_t timeout);
/*
 * poll(2) that also ends by the enclave's end and by a kick (-EINTR). `list` has two places more than `count`, for that.
 * With `ret_rung` it ends by POLL_WAKE too, which rings `bell`.
 */
struct pollfd;
int64_t cella_list_wait(cella_enclave *enclave, struct pollfd *list, size_t count, int64_t timeout,
                        int bell, bool *ret_rung);
int64_t cella_now(void);
bool cella_is_stopping(const cella_enclave *enclave);

/* Each answers its service's operations: the value. */
int64_t cella_files_serve(struct cella_service_call *call);
int64_t cella_files_paths(struct cella_service_call *call);
int64_t cella_sockets_serve(struct cella_service_call *call);
int64_t cella_epoll_serve(struct cella_service_call *call);
int64_t cella_resolve_serve(struct cella_service_call *call);
int64_t cella_ids_serve(struct cella_service_call *call);
int64_t cella_uname_serve(struct cella_service_call *call);
cella_result cella_poll_serve(cella_enclave *enclave, const uint8_t *in, size_t in_size,
                              uint8_t *out, size_t out_capacity, size_t *ret_size);
cella_result cella_poll_wake(cella_enclave *enclave, const uint8_t *in, size_t in_size);
/* The bell of a slot, made when it is first asked for; -1: none can be had. */
int cella_slot_bell(cella_enclave *enclave, uint32_t slot);

/* files_paths.c: a directory below the root for the socket of a path; the name in it. fd or -errno. */
int64_t cella_path_parent(const cella_enclave *enclave, const char *path, const char **ret_name);

static inline int64_t cella_errno_or(int64_t result)
{
    return result < 0 ? -errno : result;
}

#endif
