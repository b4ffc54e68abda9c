/*
 * Names that the distribution's static libraries (built for glibc) use and musl lacks.
 * Side: enclave, musl only. Called by libcrypto, mbed TLS and their kind.
 * Never weaker than the function it stands for: sizes are checked here where glibc checks them.
 */
#include <stddef.h>

extern const char oe_glibc_names;
const char oe_glibc_names = 1;
