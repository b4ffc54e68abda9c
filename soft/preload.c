/*
 * libcella-soft.so's constructor: puts the software processor under the program that preloads the library.
 * Side: soft. Called by the dynamic loader. Only in the preload library, never in libcella_host.
 * Never fails the program: what cannot be offered is found missing by the program itself.
 */
#include "soft/processor.h"

#include <stdlib.h>

__attribute__((constructor)) static void preload(int argc, char **argv, char **environment)
{
    (void)argc;
    (void)argv;
    soft_intercept_nodes();
    soft_activate();
    soft_cpuid_patch(getenv("CELLA_SOFT_CPUID_SITES"));
    (void)soft_vdso_publish(environment);
}
