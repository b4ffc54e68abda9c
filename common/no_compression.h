/*
 * What pulls common/no_compression.c out of its library before libcrypto.a is searched.
 * Side: both; freestanding. Used by whatever is linked with libcrypto.a.
 * Never read: the reference alone matters.
 */
#ifndef CELLA_COMMON_NO_COMPRESSION_H
#define CELLA_COMMON_NO_COMPRESSION_H

extern const char cella_no_compression;

/* At file scope, in a source of which something is always used. */
#define CELLA_NO_COMPRESSION                                                                       \
    __attribute__((used)) static const char *const no_compression_ = &cella_no_compression

#endif
