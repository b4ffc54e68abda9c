/*
 * sgx_trts.h: addresses, randomness, the state of the enclave.
 * Side: enclave. Called by applications.
 */
#include "sgx_trts.h"

#include "cella/enclave.h"

/*
 * The names that the export lists of enclaves give. Empty: the memory's state is the kernel's (enclave/memory.c).
 */
__attribute__((visibility("default"), used)) const char g_global_data[8] = "Cella";

int sgx_is_within_enclave(const void *addr, size_t size)
{
    return cella_enclave_inside(addr, size ? size : 1);
}

int sgx_is_outside_enclave(const void *addr, size_t size)
{
    return cella_enclave_outside(addr, size ? size : 1);
}

/* Whoever asks is running, and a dead enclave lets no thread run on. */
int sgx_is_enclave_crashed(void)
{
    return 0;
}

sgx_status_t sgx_read_rand(unsigned char *rand, size_t length_in_bytes)
{
    if (!rand || length_in_bytes == 0) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    if (!sgx_is_within_enclave(rand, length_in_bytes)) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    return cella_is_ok(cella_random(rand, length_in_bytes)) ? SGX_SUCCESS : SGX_ERROR_UNEXPECTED;
}

/* CR4.PKE as CPUID mirrors it: leaf 7, ECX bit 4. Without it the instructions fault. */
static int has_protection_keys(void)
{
    unsigned a = 7, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (c >> 4 & 1) != 0;
}

int sgx_rdpkru(uint32_t *val)
{
    unsigned d;
    if (!val || !has_protection_keys()) {
        return 0;
    }
    __asm__ volatile(".byte 0x0f, 0x01, 0xee" : "=a"(*val), "=d"(d) : "c"(0));
    return 1;
}

int sgx_wrpkru(uint32_t val)
{
    if (!has_protection_keys()) {
        return 0;
    }
    __asm__ volatile(".byte 0x0f, 0x01, 0xef" : : "a"(val), "c"(0), "d"(0) : "memory");
    return 1;
}

void *sgx_get_ossl_fips_sym(const char *symbol)
{
    (void)symbol;
    return NULL;
}
