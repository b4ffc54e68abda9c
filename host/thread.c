/*
 * Host threads for the threads that an enclave makes.
 * Side: host. Called by service.c (CELLA_OCALL_THREAD) and at destruction.
 * Never enters a TCS that another thread has.
 */
#include "host/host.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define JOIN_NANOSECONDS 20000000 /* between two kicks */

static void *thread_main(void *argument)
{
    struct cella_host_thread *self = argument;
    cella_ignore(cella_host_call(self->enclave, self->slot, CELLA_ENTER_THREAD, 0, 0));
    atomic_store(&self->slot->busy, 0);
    return NULL;
}

cella_result cella_host_thread_start(cella_enclave *enclave, uint32_t slot)
{
    CELLA_ENSURE(slot >= enclave->slot_count && slot < enclave->thread_count, OUT_OF_RANGE);
    CELLA_ENSURE(!atomic_load(&enclave->stopping), WRONG_STATE);
    uint32_t idle = 0;
    /* The thread that had the slot may be on its last steps out. */
    while (!atomic_compare_exchange_weak(&enclave->slots[slot].busy, &idle, 1)) {
        CELLA_ENSURE(atomic_load(&enclave->dead) == 0, ENCLAVE_ABORTED);
        idle = 0;
        sched_yield();
    }
    struct cella_host_thread *thread = calloc(1, sizeof(*thread));
    if (!thread) {
        atomic_store(&enclave->slots[slot].busy, 0);
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    thread->enclave = enclave;
    thread->slot = &enclave->slots[slot];
    if (pthread_create(&thread->thread, NULL, thread_main, thread) != 0) {
        atomic_store(&enclave->slots[slot].busy, 0);
        free(thread);
        return CELLA_RESULT(OUT_OF_THREADS);
    }
    pthread_mutex_lock(&enclave->lock);
    thread->next = enclave->threads;
    enclave->threads = thread;
    pthread_mutex_unlock(&enclave->lock);
    return CELLA_OK;
}

/* A thread that computes inside a dead enclave does not find out by itself. */
static void thread_join(struct cella_host_thread *thread)
{
    struct timespec until;
    int result;
    do {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += JOIN_NANOSECONDS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        result = thread->enclave->is_interruptible
                     ? pthread_timedjoin_np(thread->thread, NULL, &until)
                     : pthread_join(thread->thread, NULL);
        if (result == ETIMEDOUT) {
            cella_kick(thread->enclave, thread->slot->index);
        }
    } while (result == ETIMEDOUT);
}

void cella_host_threads_join(cella_enclave *enclave)
{
    for (;;) {
        pthread_mutex_lock(&enclave->lock);
        struct cella_host_thread *thread = enclave->threads;
        if (thread) {
            enclave->threads = thread->next;
        }
        pthread_mutex_unlock(&enclave->lock);
        if (!thread) {
            return;
        }
        thread_join(thread);
        free(thread);
    }
}
