/*
 * Host threads for the threads that an enclave makes.
 * Side: host. Called by service.c (CELLA_OCALL_THREAD) and at destruction.
 * Never enters a TCS that another thread has.
 */
#include "host/host.h"

#include <signal.h>
#include <stdlib.h>

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
        pthread_join(thread->thread, NULL);
        free(thread);
    }
}
