/*
 * What the host of a program serves beside the host library. program_service.h is the manual.
 * Side: tools. Called on the threads of the enclave. Nothing of what is given is trusted inside but signatures.
 */
#include "cli/program_service.h"

#include "abi/program.h"
#include "cella/collateral.h"

cella_result program_service(void *context, uint32_t number, const void *in, size_t in_size,
                             void *out, size_t out_capacity, size_t *ret_size)
{
    (void)context;
    if (number != CELLA_OCALL_PROGRAM_COLLATERAL) {
        return CELLA_RESULT(NOT_FOUND);
    }
    return cella_collateral_answer(
        (struct cella_span){.data = (const uint8_t *)in, .size = in_size}, out, out_capacity,
        ret_size, NULL);
}
