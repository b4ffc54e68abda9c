/*
 * Keeps zlib, zstd and brotli out of what links libcrypto.a: newer ones clean them up, and so pull them in.
 * Side: both; freestanding. Called by libcrypto's own clean-up, and only where its compression is not linked.
 * Never stands in the way of the real ones: weak, so that a program that does compress gets libcrypto's own.
 */
#include "common/no_compression.h"

const char cella_no_compression = 1;

void ossl_comp_zlib_cleanup(void);
void ossl_comp_zstd_cleanup(void);
void ossl_comp_brotli_cleanup(void);

__attribute__((weak)) void ossl_comp_zlib_cleanup(void)
{
}

__attribute__((weak)) void ossl_comp_zstd_cleanup(void)
{
}

__attribute__((weak)) void ossl_comp_brotli_cleanup(void)
{
}
