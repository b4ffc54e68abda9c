/*
 * The private call between the libc's names (resolver_names.c, ordinary code) and the resolver module.
 * Side: enclave, both kinds of code.
 * Never a system call that a host sees.
 */
#ifndef CELLA_ENCLAVE_RESOLVER_H
#define CELLA_ENCLAVE_RESOLVER_H

#include <stddef.h>
#include <stdint.h>

/* One address of an answer; as struct cella_call_resolved, checked. */
struct cella_resolved {
    uint32_t type, protocol;
    uint32_t size;
    uint8_t address[28];
};
#define CELLA_RESOLVED_MAX 64u
#define CELLA_RESOLVED_NAME 1025u
#define CELLA_RESOLVED_SERVICE 32u

struct cella_resolve {
    int32_t flags, family, type, protocol;
    const char *node; /* NULL: not given */
    const char *service;
    struct cella_resolved *results; /* room for CELLA_RESOLVED_MAX */
    char *name;                     /* room for CELLA_RESOLVED_NAME: canonical, or "" */
};

/*
 * The module, if it is linked. addresses: number of results, or EAI_* (below 0). names: 0 or EAI_*; takes its address in
 * results[0], `service` has room for CELLA_RESOLVED_SERVICE. All pointers are the enclave's.
 */
struct cella_resolver {
    long (*addresses)(struct cella_resolve *resolve);
    long (*names)(const struct cella_resolve *resolve, char *service);
};
extern const struct cella_resolver cella_resolver __attribute__((visibility("default")));

#define CELLA_EAI_FAIL (-4)
#define CELLA_EAI_FAMILY (-6)
#define CELLA_EAI_SERVICE (-8)
#define CELLA_EAI_MEMORY (-10)
#define CELLA_EAI_SYSTEM (-11)
#define CELLA_EAI_OVERFLOW (-12)
#define CELLA_EAI_NONAME (-2)
#define CELLA_EAI_BADFLAGS (-1)

#endif
