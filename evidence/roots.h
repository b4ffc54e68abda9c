/*
 * The keys that chains may end in: those of Intel and AMD, and what the caller names.
 * Side: both. Called by evidence/pool.c. Keys are known by the SHA-256 of their SubjectPublicKeyInfo.
 */
#ifndef CELLA_EVIDENCE_ROOTS_H
#define CELLA_EVIDENCE_ROOTS_H

#include "cella/evidence.h"
#include "evidence/pool.h"

/* EV_VENDOR_NONE: not trusted. */
enum ev_vendor ev_roots_find(const struct cella_roots *roots, const uint8_t spki_sha256[32]);

#endif
