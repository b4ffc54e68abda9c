/*
 * The keys that chains may end in: those of Intel and AMD, and what the caller names.
 * Side: both. Called by evidence/pool.c. Keys are known by the SHA-256 of their SubjectPublicKeyInfo.
 */
#ifndef CELLA_EVIDENCE_ROOTS_H
#define CELLA_EVIDENCE_ROOTS_H

#include "cella/evidence.h"
#include "evidence/pool.h"

struct ev_root {
    enum ev_vendor vendor; /* EV_VENDOR_NONE: not trusted */
    bool is_exact;         /* the certificate is known to the last byte */
};

struct ev_root ev_roots_find(const struct cella_roots *roots,
                             const struct cella_root_key *candidate);

#endif
