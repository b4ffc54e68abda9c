/*
 * libcella-soft.so's constructor: puts the software processor under the program that preloads the library.
 * Side: soft. Called by the dynamic loader. Only in the preload library, never in libcella_host.
 * Never fails the program: what cannot be offered is found missing by the program itself.
 */
#include "soft/processor.h"

#include <stdlib.h>
#include <sys/auxv.h>

#include "soft/transition.h"

/*
 * Libraries of the program are initialised before this one: a host runtime that looks for the vDSO in its constructor
 * (Intel's does) must find the processor's there already.
 */
SOFT_EXPORT unsigned long getauxval(unsigned long type)
{
    static unsigned long (*next)(unsigned long);
    if (!next) {
        next = (unsigned long (*)(unsigned long))soft_next("getauxval");
    }
    unsigned long value = next(type);
    unsigned long image = type == AT_SYSINFO_EHDR ? soft_vdso_image(value) : 0;
    return image ? image : value;
}

__attribute__((constructor)) static void preload(int argc, char **argv, char **environment)
{
    (void)argc;
    (void)argv;
    soft_intercept_nodes();
    soft_activate();
    soft_cpuid_patch(getenv("CELLA_SOFT_CPUID_SITES"));
    (void)soft_vdso_publish(environment);
}
