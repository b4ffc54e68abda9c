/*
 * Keeps zlib, zstd and brotli out of what links libcrypto.a: newer ones name them in their start and end.
 * Side: both; freestanding. Called by libcrypto's own clean-up, and only where its compression is not linked.
 * Never stands in the way of the real ones: weak, so that a program that does compress gets libcrypto's own.
 */
#include "common/no_compression.h"

#include <openssl/opensslv.h>

const char cella_no_compression = 1;

void *ossl_load_builtin_compressions(void);
void ossl_free_compression_methods_int(void *methods);
void ossl_comp_zlib_cleanup(void);
void ossl_comp_zstd_cleanup(void);
void ossl_comp_brotli_cleanup(void);

/*
 * From OpenSSL 3.2 on libssl asks for each method, and none is an answer. An older one asks for zlib's only, does not
 * expect that answer, and finds libcrypto's own, which it was built without.
 */
#if OPENSSL_VERSION_NUMBER >= 0x30200000L
#define NONE(name)                                                                                 \
    void *name(void);                                                                              \
    __attribute__((weak)) void *name(void)                                                         \
    {                                                                                              \
        return (void *)0;                                                                          \
    }
NONE(COMP_zlib)
NONE(COMP_zlib_oneshot)
NONE(COMP_zstd)
NONE(COMP_zstd_oneshot)
NONE(COMP_brotli)
NONE(COMP_brotli_oneshot)
NONE(BIO_f_zlib)
NONE(BIO_f_zstd)
NONE(BIO_f_brotli)
#undef NONE
#endif

/* The list of methods that libssl may offer: none. It names the compressors. */
__attribute__((weak)) void *ossl_load_builtin_compressions(void)
{
    return (void *)0;
}

__attribute__((weak)) void ossl_free_compression_methods_int(void *methods)
{
    (void)methods;
}

__attribute__((weak)) void ossl_comp_zlib_cleanup(void)
{
}

__attribute__((weak)) void ossl_comp_zstd_cleanup(void)
{
}

__attribute__((weak)) void ossl_comp_brotli_cleanup(void)
{
}
