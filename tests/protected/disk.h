/*
 * A host's disk in memory: the store of the tests. It can fail, lie, die after any write and forget what was not synced.
 * Side: tests (native). Called by tests/protected and the fuzz target, with the processor's stand-ins for keys.
 * Never believed by anything: it plays the attacker too.
 */
#ifndef CELLA_TESTS_PROTECTED_DISK_H
#define CELLA_TESTS_PROTECTED_DISK_H

#include "enclave/protected.h"

#define DISK_WRITES_MAX 4096u

/* A write that a sync has not followed yet. */
struct disk_write {
    uint64_t offset;
    size_t size;
    uint8_t *bytes;
};

struct disk {
    bool exists;
    uint8_t *bytes; /* what reads see */
    size_t size, capacity;
    int readers, writers;
    /* counted: */
    uint64_t operations; /* reads, writes, settles, syncs, resizes */
    uint64_t writes;
    /* failing: operation number fail_at, and fail_count - 1 after it */
    uint64_t fail_at, fail_count;
    cella_result failure;
    /* dying: with write number die_at the machine is gone; every later operation fails */
    uint64_t die_at;
    bool dead;
    /* what a dead machine's disk may have: `stable` and any part of the writes since */
    bool record;
    uint8_t *stable;
    size_t stable_size;
    struct disk_write pending[DISK_WRITES_MAX];
    size_t pending_count;
    /* lying: flips a bit of what a read gives when its number is lie_at */
    uint64_t lie_at;
    uint64_t reads;
    /* what was brought, until the next operation; what was put, all of it in order, before it is sent */
    uint64_t brought_at;
    size_t brought_size;
    uint8_t put[PROTECTED_BATCH * PROTECTED_BLOCK];
    size_t put_size;
};

extern const struct protected_store disk_store;

void disk_done(struct disk *disk);
void disk_set(struct disk *disk, const void *bytes, size_t size);
/*
 * What the disk of a machine that died holds: each pending write whole, not at all, or a part of its bytes, as
 * `choice` (a random number) says; choice 0: all whole, 1: none.
 */
void disk_crash(struct disk *disk, uint64_t choice);

uint64_t disk_random(uint64_t *state);

/* The processor's stand-in: who the enclave is. */
extern uint8_t disk_identity;
extern uint16_t disk_svn;

#endif
