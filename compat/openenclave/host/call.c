/*
 * Ecalls of the skin: reports, keys, the log level.
 * Side: host. Called by report.c and keys.c.
 * Never believes a size that comes back to be larger than the buffer.
 */
#include <stdlib.h>
#include <string.h>

#include "compat/openenclave/host/skin.h"

cella_enclave *oe_enclave_core(oe_enclave_t *enclave)
{
    return enclave && enclave->magic == OE_ENCLAVE_ALIVE ? enclave->core : NULL;
}

oe_result_t oe_skin_call(oe_enclave_t *enclave, uint32_t number, const void *in, size_t in_size,
                         void *ret_rest, size_t capacity, uint32_t *ret_first, size_t *ret_size)
{
    struct oe_answer answer;
    size_t size = 0;
    cella_enclave *core = oe_enclave_core(enclave);
    OE_ENSURE(core != NULL, OE_INVALID_PARAMETER);
    uint8_t *out = malloc(sizeof(answer) + capacity);
    OE_ENSURE(out != NULL, OE_OUT_OF_MEMORY);
    const cella_result called =
        cella_ecall(core, number, in, in_size, out, sizeof(answer) + capacity, &size);
    oe_result_t result =
        called.code == CELLA_CODE_NOT_FOUND ? OE_UNSUPPORTED : oe_result_of(called);
    if (result == OE_OK && size < sizeof(answer)) {
        result = OE_UNEXPECTED;
    }
    if (result == OE_OK) {
        memcpy(&answer, out, sizeof(answer));
        size -= sizeof(answer);
        result = (oe_result_t)answer.result;
        if (result == OE_OK && answer.size > size) {
            result = OE_UNEXPECTED;
        }
    }
    if (result == OE_OK) {
        if (size > 0) {
            memcpy(ret_rest, out + sizeof(answer), size);
        }
        *ret_first = answer.size;
        *ret_size = size;
    }
    free(out);
    return result;
}

oe_result_t oe_set_enclave_log_level(oe_enclave_t *enclave, uint32_t log_level);
oe_result_t oe_set_enclave_log_level(oe_enclave_t *enclave, uint32_t log_level)
{
    uint32_t first;
    size_t size;
    OE_ENSURE(oe_enclave_core(enclave) != NULL && log_level < OE_LOG_LEVEL_MAX,
              OE_INVALID_PARAMETER);
    OE_ENSURE(log_level <= oe_log_level_now(), OE_CONSTRAINT_FAILED); /* the host would drop it */
    return oe_skin_call(enclave, OE_ECALL_LOG_LEVEL, &log_level, sizeof(log_level), NULL, 0, &first,
                        &size);
}
