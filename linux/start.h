/*
 * Arguments and variables of a program on their way to its stack.
 * Side: enclave. Included by start.c, which collects and lays them, and marble.c, which may change them.
 */
#ifndef CELLA_LINUX_START_H
#define CELLA_LINUX_START_H

#include "enclave/kernel.h"

/* First what it is, then where it lies. Borrowed. */
struct linux_item {
    struct cella_bytes name; /* of a variable; empty: an argument */
    const void *text;
    uint64_t size;
    uint64_t at;
};

struct linux_items {
    struct linux_item *list;
    uint64_t count;
};

/*
 * marble.c; absent_libc.c in a kernel without libcrypto. Where the environment says that the program is a Marble that its runtime
 * activates (`ego marblerun`): asks the coordinator, writes the files that it names, and replaces both lists. Says on
 * standard error what it does and what went wrong. Once, when the file tree is there.
 */
CELLA_KERNEL cella_result linux_marble(struct linux_items *arguments,
                                       struct linux_items *environment);

#endif
