/*
 * What host and enclave of the ledger share.
 * Side: both.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include <stdint.h>

#include "cella/result.h"

/* Names one state of the book. Whoever keeps it can tell later whether an older one was put back. */
struct ledger_receipt {
    uint64_t generation;
    uint8_t digest[32];
};

struct ledger_page {
    uint64_t entries;
    int64_t total;
    struct ledger_receipt receipt;
};

#endif
