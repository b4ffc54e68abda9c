/*
 * The default for which environment variables the host may set: none.
 * Side: enclave. An application that wants some defines cella_environment_allow itself.
 * Weak, for links of the whole archive.
 */
#include <stddef.h>

extern const char *const cella_environment_allow[];
__attribute__((weak)) const char *const cella_environment_allow[] = {NULL};
