/*
 * Freeing what oe_get_*_key gave.
 * Side: both. Called by applications.
 * Never leaves a key in freed memory.
 */
#include <stdlib.h>
#include <string.h>

#ifdef OE_SKIN_ENCLAVE
#include <openenclave/enclave.h>
#else
#include <openenclave/host.h>
#endif

void oe_free_key(uint8_t *key_buffer, size_t key_buffer_size, uint8_t *key_info,
                 size_t key_info_size)
{
    if (key_buffer) {
        explicit_bzero(key_buffer, key_buffer_size);
    }
    if (key_info) {
        explicit_bzero(key_info, key_info_size);
    }
    free(key_buffer);
    free(key_info);
}
