/*
 * Certificates of all sources in one pool, and which of them a trusted root vouches for.
 * Side: both. Called by evidence/prepare.c and the verifiers. Dates and revocation are not looked at here.
 */
#ifndef CELLA_EVIDENCE_POOL_H
#define CELLA_EVIDENCE_POOL_H

#include "cella/evidence.h"
#include "evidence/arena.h"
#include "evidence/x509.h"

/* A document: what it is called, its bytes as given, and decoded where they were text. */
struct ev_object {
    const char *name;
    unsigned ordinal; /* nth certificate in it, from 1; 0: the only object */
    struct cella_bytes original, decoded;
    struct cella_bytes armor; /* the base64 that was decoded; empty: none */
};

enum ev_vendor {
    EV_VENDOR_NONE,
    EV_VENDOR_INTEL,
    EV_VENDOR_AMD,
    EV_VENDOR_CALLER, /* a root that the caller named */
};

enum ev_distrust {
    EV_TRUSTED,
    EV_NO_ISSUER,     /* nobody here has the issuer's name */
    EV_BAD_SIGNATURE, /* the issuer's key, or one's own, does not verify it */
    EV_NOT_A_CA,      /* the issuer may not sign certificates */
    EV_UNKNOWN_ROOT,  /* self-signed, and not trusted */
    EV_ISSUER_DISTRUSTED,
};

#define EV_DEPTH_MAX 4u

struct ev_certificate {
    struct x509_certificate x509;
    struct ev_object object;
    struct ev_key key;
    enum ev_distrust distrust;
    enum ev_vendor vendor;               /* of the root, once trusted */
    unsigned depth;                      /* 0: a root */
    const struct ev_certificate *issuer; /* trusted, or the one that it fails at */
};

struct ev_pool {
    const struct ev_crypto *crypto;
    const struct cella_roots *roots;
    const struct ev_pool *base; /* looked at too; never changed */
    struct ev_certificate *certificates;
    size_t count, max;
};

/* Adds one, unless its very bytes are there already. MALFORMED results; LIMIT_EXCEEDED. */
CELLA_MUST_USE cella_result ev_pool_add(struct ev_pool *pool, const struct ev_object *object,
                                        struct ev_place *place,
                                        const struct ev_certificate **ret_certificate);
/* The same bytes in the pool or its base; NULL: none. */
const struct ev_certificate *ev_pool_same(const struct ev_pool *pool, struct cella_bytes der);
/* The same by the base64 it came in, which saves decoding it again. */
const struct ev_certificate *ev_pool_same_armor(const struct ev_pool *pool,
                                                struct cella_bytes armor);

/* Decides for all that were added which are trusted. Fails only where libcrypto does. */
CELLA_MUST_USE cella_result ev_pool_resolve(struct ev_pool *pool);
void ev_pool_done(struct ev_pool *pool);

/* The n-th certificate counting the base's first; NULL: no more. */
const struct ev_certificate *ev_pool_at(const struct ev_pool *pool, size_t n);

/* Where trust stops: the certificate that is to blame for `certificate` not being trusted. */
const struct ev_certificate *ev_pool_blame(const struct ev_certificate *certificate);

#endif
