/*
 * The main function of an enclave with a libc: makes the libc's threads for the ecall TCSs, then serves.
 * Side: enclave, compiled as ordinary code of the libc. Called by the libc's start code after the constructors.
 * Names no libc type, so that one object serves glibc and musl; an application with its own main does without it.
 */
#include <stddef.h>
#include <stdint.h>

/* pthread_t is a word, pthread_attr_t 56 bytes in both libcs on x86-64. */
union thread_attributes {
    char bytes[56];
    long align;
};

int pthread_attr_init(union thread_attributes *attributes);
int pthread_attr_setstack(union thread_attributes *attributes, void *stack, size_t size);
int pthread_create(unsigned long *thread, const union thread_attributes *attributes,
                   void *(*function)(void *), void *argument);

/* glibc's; musl has none. */
int mallopt(int parameter, int value) __attribute__((weak));
#define M_ARENA_MAX (-8)

int cella_libc_serve(void);
int cella_libc_arenas(void);
void cella_libc_park_worker(void);
uint32_t cella_libc_worker_stack(uint32_t worker, void **ret_stack, size_t *ret_size);

static void *worker(void *argument)
{
    (void)argument;
    cella_libc_park_worker();
    return NULL;
}

int main(void)
{
    void *stack;
    size_t size;
    /* glibc sets 64 MiB aside for each thread that allocates; the heap is no address space to be generous with. */
    if (mallopt) {
        mallopt(M_ARENA_MAX, cella_libc_arenas());
    }
    const uint32_t count = cella_libc_worker_stack(0, &stack, &size);
    for (uint32_t i = 0; i < count; i++) {
        union thread_attributes attributes;
        unsigned long thread;
        cella_libc_worker_stack(i, &stack, &size);
        if (pthread_attr_init(&attributes) != 0 ||
            pthread_attr_setstack(&attributes, stack, size) != 0 ||
            pthread_create(&thread, &attributes, worker, NULL) != 0) {
            return 1;
        }
    }
    return cella_libc_serve();
}
