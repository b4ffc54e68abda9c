/*
 * The default for which environment variables the host may set: none.
 * Side: enclave. An application that wants some defines cella_environment_allow itself.
 * Never linked in then: it is an archive member of its own.
 */
#include <stddef.h>

extern const char *const cella_environment_allow[];
const char *const cella_environment_allow[] = {NULL};
