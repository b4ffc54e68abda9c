/*
 * The inside of the host runtime: an enclave, its TCS slots, the frame of an entry.
 * Side: host (untrusted). Included by host/ and tests/ only.
 * Never includes anything of enclave/.
 */
#ifndef CELLA_HOST_HOST_H
#define CELLA_HOST_HOST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/call.h"
#include "abi/processor.h"
#include "abi/sgx_linux.h"
#include "cella/host.h"
#include "common/cleanup.h"
#include "host/frame.h"
#include "image/image.h"

/* What enter.S loads before the vDSO call and stores after it. */
struct cella_host_frame {
    uint64_t rdi, rsi, rdx, r8, r9;
    struct sgx_linux_run *run;
    sgx_linux_enter_fn enter;
    struct cella_host_slot *slot;
    uint32_t function; /* ENCLU leaf to start with */
    uint32_t status;   /* enum cella_host_status */
};

enum cella_host_status {
    CELLA_HOST_LEFT,    /* by EEXIT: the registers are the enclave's answer */
    CELLA_HOST_ABORTED, /* an exception that the enclave could not handle; rdx: CELLA_ABORT_* */
    CELLA_HOST_LOST,    /* EENTER or ERESUME itself fails: the enclave is gone */
};

#define CELLA_FRAME_AT(member, at)                                                                 \
    _Static_assert(offsetof(struct cella_host_frame, member) == (at), "host/enter.S")
CELLA_FRAME_AT(rdi, FRAME_RDI);
CELLA_FRAME_AT(rsi, FRAME_RSI);
CELLA_FRAME_AT(rdx, FRAME_RDX);
CELLA_FRAME_AT(r8, FRAME_R8);
CELLA_FRAME_AT(r9, FRAME_R9);
CELLA_FRAME_AT(run, FRAME_RUN);
CELLA_FRAME_AT(enter, FRAME_ENTER);
CELLA_FRAME_AT(function, FRAME_FUNCTION);
CELLA_FRAME_AT(status, FRAME_STATUS);
_Static_assert(CELLA_HOST_LOST == FRAME_LOST, "host/enter.S");

/* One TCS. `busy` is the pool: whoever moves it from 0 to 1 may enter. */
struct cella_host_slot {
    _Alignas(64) _Atomic uint32_t busy;
    uint32_t index;
    uint64_t tcs;
    cella_enclave *enclave;
    struct cella_call_arena *arena;
    /* kick.c */
    _Atomic uint32_t tid;      /* of the thread that has entered by this slot; 0: none */
    _Atomic uint32_t kicked;   /* it is to look at its signals */
    _Atomic uint32_t kick_tid; /* the thread that a kick is on its way to */
    _Atomic uint32_t in_host;  /* it serves an ocall or an exception */
    _Atomic uint32_t looked;   /* stage one has had an entry, by a kick */
    _Alignas(64) struct sgx_linux_run run;
};

/* A host thread that runs an enclave-made thread, or a switchless worker. */
struct cella_host_thread {
    struct cella_host_thread *next;
    pthread_t thread;
    cella_enclave *enclave;
    struct cella_host_slot *slot;
};

/* An entry of the thread that has not ended, the innermost first: an ocall's ecall finds its TCS here. */
struct cella_host_active {
    struct cella_host_active *outer;
    cella_enclave *enclave;
    struct cella_host_slot *slot;
    bool apart; /* serves a switchless call that no worker took */
};

struct cella_switchless;
struct cella_gdb;
struct cella_services;
struct cella_bindings;

struct cella_enclave {
    const struct cella_processor *processor;
    sgx_linux_enter_fn enter;
    uint64_t serial;               /* no two enclaves of a process have the same */
    _Atomic uint32_t dead;         /* enum: 0 alive, else the result code that every call gets */
    uint32_t slot_count;           /* for ecalls */
    struct cella_host_slot *slots; /* thread_count of them */
    uint32_t flags;
    uint32_t ocall_count;
    const cella_ocall_function *ocalls;
    void *ocall_context;
    uint32_t thread_count;
    bool is_interruptible;
    int fd;
    uint64_t base, size;
    uint64_t
        range_start; /* [range_start, base + size) is reserved; base, but where ELRANGE starts at 0 */
    uint8_t *arenas;
    size_t arena_stride;
    int console[2];
    int file_root;                   /* directory descriptor, -1: no files */
    struct cella_services *services; /* what the opt-in services have open */
    _Atomic uint32_t waiters;        /* ecalls that wait for a slot */
    _Atomic uint32_t free_event;
    _Atomic uint32_t is_ending; /* exit handlers run, or have run */
    _Atomic uint32_t stopping;
    uint64_t abort_reason;
    char abort_text[96];
    pthread_mutex_t lock; /* threads, switchless start and stop */
    struct cella_host_thread *threads;
    struct cella_switchless *switchless;
    struct cella_gdb *gdb;
    struct cella_call_ring *ocall_ring;
    struct cella_call_init *init;
    _Atomic(struct cella_bindings *) bindings; /* binding.c; NULL: called by number */
    uint8_t mr_enclave[32], mr_signer[32];
    struct sgx_attributes attributes;
    uint32_t misc_select;
    char name[CELLA_IMAGE_NAME_SIZE];
    const struct cella_bridge_module *starting_module;
    cella_service_function service;
    void *service_context;
    const uint8_t *config_id; /* while loading */
    uint16_t config_svn;
};

/*
 * enter.S: the vDSO call with every callee-saved register kept, from EENTER to an exit that is no ocall. The run's
 * user_handler must be cella_host_handler and its user_data the frame.
 */
void cella_host_enter(struct cella_host_frame *frame);
int cella_host_handler(long rdi, long rsi, long rdx, long rsp, long r8, long r9,
                       struct sgx_linux_run *run);
/* call.c, called by enter.S: serves one ocall and leaves the registers of RETURN in the frame. */
void cella_host_ocall(struct cella_host_frame *frame);
/* This thread's entries. */
const struct cella_host_active *cella_host_active(void);

/* exception.c */
/* Stage one of `slot`, by an entry at CSSA 1. The frame has its answer. */
void cella_host_look(struct cella_host_slot *slot, sgx_linux_enter_fn enter,
                     struct cella_host_frame *ret_frame);
/* kick.c: CELLA_OCALL_KICK. */
/* Chooses a signal and installs its handler, once in a process. false: none is free. */
bool cella_kick_prepare(void);
/* The thread in slot `index` looks at its signals; nothing when there is none. */
void cella_kick(cella_enclave *enclave, uint32_t index);
/* Notes who is in the slot. */
void cella_kick_enter(struct cella_host_slot *slot);
/* Whether kicks are noted only: host code that this thread runs for the slot will see them. */
static inline void cella_kick_note(struct cella_host_slot *slot, uint32_t in_host)
{
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&slot->in_host, in_host, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}
/* Takes the kick, if there is one. */
static inline bool cella_kick_take(struct cella_host_slot *slot)
{
    return atomic_load_explicit(&slot->kicked, memory_order_seq_cst) != 0 &&
           atomic_exchange(&slot->kicked, 0) != 0;
}

/* exception.c, called by enter.S after anything but EEXIT: 1 = ERESUME now, 0 = give up, see frame->status. */
int cella_host_exception(struct cella_host_frame *frame);

/* call.c */
/* Runs from one entry to its DONE, serving ocalls. `frame` holds the entry's registers. */
CELLA_MUST_USE cella_result cella_host_run(cella_enclave *enclave, struct cella_host_slot *slot,
                                           struct cella_host_frame *frame);
/* As cella_ecall; is_switchless: the call was for a worker. */
CELLA_MUST_USE cella_result cella_host_ecall(cella_enclave *enclave, bool is_switchless,
                                             uint32_t number, const void *in, size_t in_size,
                                             void *out, size_t out_capacity, size_t *ret_size);
/* cella_host_run for one entry code without buffers. */
CELLA_MUST_USE cella_result cella_host_call(cella_enclave *enclave, struct cella_host_slot *slot,
                                            uint64_t code, uint64_t rsi, uint64_t rdx);
struct cella_host_slot *cella_host_slot_take(cella_enclave *enclave);
/* For workers, never waits: the first slot, where exit handlers run, is taken last. */
struct cella_host_slot *cella_host_slot_take_last(cella_enclave *enclave);
/*
 * A slot for a switchless call that its caller makes itself: taken, or the one that waits for this thread. NULL: none is
 * free now.
 */
struct cella_host_slot *cella_host_slot_spare(cella_enclave *enclave, bool *ret_is_taken);
CELLA_MUST_USE cella_result cella_host_ecall_on(cella_enclave *enclave,
                                                struct cella_host_slot *slot, uint32_t number,
                                                const void *in, size_t in_size, void *out,
                                                size_t out_capacity, size_t *ret_size);
void cella_host_slot_give(cella_enclave *enclave, struct cella_host_slot *slot);
void cella_host_die(cella_enclave *enclave, cella_result result, uint64_t reason);

/* service.c: ocalls with CELLA_OCALL_SYSTEM set. */
CELLA_MUST_USE cella_result cella_host_service(cella_enclave *enclave, struct cella_host_slot *slot,
                                               uint32_t number, const void *in, size_t in_size,
                                               void *out, size_t out_capacity, size_t *ret_size);
void cella_host_wake_all(cella_enclave *enclave);

/* thread.c */
CELLA_MUST_USE cella_result cella_host_thread_start(cella_enclave *enclave, uint32_t slot);
void cella_host_threads_join(cella_enclave *enclave);

/* services.c: files, sockets, waiting, names, ids (abi/service.h). NOT_FOUND: not one of these. */
CELLA_MUST_USE cella_result cella_services_new(cella_enclave *enclave);
CELLA_MUST_USE cella_result cella_services_serve(cella_enclave *enclave, uint32_t number,
                                                 const void *in, size_t in_size, void *out,
                                                 size_t out_capacity, size_t *ret_size);
/* Calls that wait come back. */
void cella_services_stop(cella_enclave *enclave);
void cella_services_free(cella_enclave *enclave);

/* processor.c */
const struct cella_processor *cella_hardware_processor(void);
CELLA_MUST_USE cella_result cella_processor_open(bool software,
                                                 const struct cella_processor **ret_processor,
                                                 int *ret_fd, struct cella_error *error);
void cella_processor_offers(struct cella_image_processor *ret_offers, uint32_t *ret_init_flags);
uint32_t cella_processor_cpuid(struct cella_call_cpuid *rows, uint32_t capacity);
uint64_t cella_processor_tsc_hz(void);

/* load.c: ECREATE to EINIT and the mappings. `file` holds the image's bytes. */
struct cella_host_image_file;
CELLA_MUST_USE cella_result cella_host_load(cella_enclave *enclave, const struct cella_image *image,
                                            struct cella_host_image_file *file,
                                            struct cella_error *error);

/* gdb.c: tells a debugger where the image's sections are. Best effort. */
void cella_gdb_register(cella_enclave *enclave, const char *path, struct cella_bytes file);
void cella_gdb_forget(cella_enclave *enclave);

/* switchless.c */
CELLA_MUST_USE cella_result cella_switchless_prepare_ocalls(cella_enclave *enclave);
void cella_switchless_free(cella_enclave *enclave);
/* Whether a worker has this slot. */
bool cella_switchless_holds(const cella_enclave *enclave, const struct cella_host_slot *slot);
CELLA_MUST_USE cella_result cella_switchless_wait(cella_enclave *enclave,
                                                  const struct cella_host_slot *slot,
                                                  uint32_t ticket);
void cella_switchless_wake(cella_enclave *enclave);

#endif
