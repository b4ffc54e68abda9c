/*
 * Certificates of all sources in one pool, and which of them a trusted root vouches for.
 * Side: both. Called by evidence/prepare.c and the verifiers. Dates and revocation are not looked at here.
 */
#include "evidence/pool.h"

#include "evidence/bytes_util.h"
#include "evidence/roots.h"

#define EXPLAIN_TRIES_MAX 4u

const struct ev_certificate *ev_pool_at(const struct ev_pool *pool, size_t n)
{
    size_t below = pool->base ? pool->base->count : 0;
    if (n < below) {
        return &pool->base->certificates[n];
    }
    return n - below < pool->count ? &pool->certificates[n - below] : NULL;
}

const struct ev_certificate *ev_pool_same(const struct ev_pool *pool, struct cella_bytes der)
{
    const struct ev_certificate *certificate;
    for (size_t i = 0; (certificate = ev_pool_at(pool, i)) != NULL; i++) {
        if (ev_equal(certificate->x509.der, der)) {
            return certificate;
        }
    }
    return NULL;
}

const struct ev_certificate *ev_pool_same_armor(const struct ev_pool *pool,
                                                struct cella_bytes armor)
{
    const struct ev_certificate *certificate;
    for (size_t i = 0; (certificate = ev_pool_at(pool, i)) != NULL; i++) {
        if (armor.size && ev_equal(certificate->object.armor, armor)) {
            return certificate;
        }
    }
    return NULL;
}

cella_result ev_pool_add(struct ev_pool *pool, const struct ev_object *object,
                         struct ev_place *place, const struct ev_certificate **ret_certificate)
{
    *ret_certificate = ev_pool_same(pool, object->decoded);
    if (*ret_certificate) {
        return CELLA_OK;
    }
    EV_ENSURE(place, pool->count < pool->max, object->decoded.data, LIMIT_EXCEEDED,
              "fewer certificates");
    struct ev_certificate *certificate = &pool->certificates[pool->count];
    *certificate = (struct ev_certificate){.object = *object, .distrust = EV_NO_ISSUER};
    CELLA_TRY(ev_x509_certificate_parse(object->decoded, place, &certificate->x509));
    cella_result result = ev_x509_key(pool->crypto, &certificate->x509, &certificate->key);
    if (!cella_is_ok(result)) {
        return ev_fail(place, certificate->x509.spki.data, result, "a public key on its curve");
    }
    pool->count++;
    *ret_certificate = certificate;
    return CELLA_OK;
}

void ev_pool_done(struct ev_pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        ev_key_done(&pool->certificates[i].key);
    }
    pool->count = 0;
}

/* Is this key that of a trusted root, and whose? */
static cella_result root_find(const struct ev_pool *pool, const struct x509_certificate *x509,
                              struct ev_root *ret_root)
{
    struct cella_root_key key;
    CELLA_TRY(ev_sha256(pool->crypto, x509->spki, key.spki_sha256));
    CELLA_TRY(ev_sha256(pool->crypto, x509->der, key.certificate_sha256));
    *ret_root = ev_roots_find(pool->roots, &key);
    return CELLA_OK;
}

static bool may_issue(const struct ev_certificate *issuer)
{
    const struct x509_certificate *x509 = &issuer->x509;
    return x509->is_ca && (!x509->has_key_usage || x509->may_sign_certificates);
}

static bool path_is_short_enough(const struct ev_certificate *issuer, bool is_ca)
{
    return !is_ca || !issuer->x509.has_path_length || issuer->x509.path_length > 0;
}

static bool is_self_issued(const struct x509_certificate *x509)
{
    return ev_equal(x509->issuer, x509->subject);
}

/* A root that somebody vouches for to the last byte need not vouch for itself. */
static cella_result root_decide(const struct ev_pool *pool, struct ev_certificate *certificate)
{
    const struct x509_certificate *x509 = &certificate->x509;
    struct ev_root root;
    CELLA_TRY(root_find(pool, x509, &root));
    certificate->issuer = certificate;
    certificate->vendor = root.vendor;
    certificate->distrust = root.vendor == EV_VENDOR_NONE ? EV_UNKNOWN_ROOT : EV_TRUSTED;
    if (!may_issue(certificate)) {
        certificate->distrust = EV_NOT_A_CA;
    }
    if (!root.is_exact &&
        !cella_is_ok(ev_verify(pool->crypto, &certificate->key, x509->signature.kind, x509->tbs,
                               x509->signature.bytes))) {
        certificate->distrust = EV_BAD_SIGNATURE;
    }
    return CELLA_OK;
}

static bool is_signed_by(const struct ev_pool *pool, const struct ev_certificate *certificate,
                         const struct ev_certificate *issuer)
{
    const struct x509_certificate *x509 = &certificate->x509;
    return cella_is_ok(ev_verify(pool->crypto, &issuer->key, x509->signature.kind, x509->tbs,
                                 x509->signature.bytes));
}

/* The next after `*at` that bears the issuer's name; NULL: no more. */
static const struct ev_certificate *
issuer_next(const struct ev_pool *pool, const struct ev_certificate *certificate, size_t *at)
{
    const struct ev_certificate *candidate;
    while ((candidate = ev_pool_at(pool, (*at)++)) != NULL) {
        if (candidate != certificate &&
            ev_equal(candidate->x509.subject, certificate->x509.issuer)) {
            return candidate;
        }
    }
    return NULL;
}

/* Trusted, if one that is trusted vouches for it. */
static bool issued_resolve(const struct ev_pool *pool, struct ev_certificate *certificate)
{
    const struct ev_certificate *issuer;
    for (size_t at = 0; (issuer = issuer_next(pool, certificate, &at)) != NULL;) {
        if (issuer->distrust == EV_TRUSTED && may_issue(issuer) && issuer->depth < EV_DEPTH_MAX &&
            path_is_short_enough(issuer, certificate->x509.is_ca) &&
            is_signed_by(pool, certificate, issuer)) {
            certificate->distrust = EV_TRUSTED;
            certificate->issuer = issuer;
            certificate->vendor = issuer->vendor;
            certificate->depth = issuer->depth + 1;
            return true;
        }
    }
    return false;
}

/* Why nobody vouches for it: the issuer that signed it is not trusted, or those that bear its name did not sign it. */
static void issued_explain(const struct ev_pool *pool, struct ev_certificate *certificate)
{
    const struct ev_certificate *issuer;
    unsigned tries = 0;
    certificate->issuer = NULL;
    certificate->distrust = EV_NO_ISSUER;
    for (size_t at = 0; (issuer = issuer_next(pool, certificate, &at)) != NULL;) {
        bool is_trusted = issuer->distrust == EV_TRUSTED;
        bool is_signer = tries++ < EXPLAIN_TRIES_MAX && is_signed_by(pool, certificate, issuer);
        if (is_signer) {
            certificate->issuer = issuer;
            certificate->distrust = is_trusted ? EV_NOT_A_CA : EV_ISSUER_DISTRUSTED;
            return;
        }
        if (!certificate->issuer || is_trusted) {
            certificate->issuer = issuer;
            certificate->distrust = is_trusted ? EV_BAD_SIGNATURE : EV_ISSUER_DISTRUSTED;
        }
    }
}

cella_result ev_pool_resolve(struct ev_pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        if (is_self_issued(&pool->certificates[i].x509)) {
            CELLA_TRY(root_decide(pool, &pool->certificates[i]));
        }
    }
    /* Each round trusts at least one level more, or is the last one. */
    bool has_changed = true;
    for (unsigned round = 0; round < EV_DEPTH_MAX && has_changed; round++) {
        has_changed = false;
        for (size_t i = 0; i < pool->count; i++) {
            struct ev_certificate *certificate = &pool->certificates[i];
            if (certificate->distrust != EV_TRUSTED && !is_self_issued(&certificate->x509)) {
                has_changed |= issued_resolve(pool, certificate);
            }
        }
    }
    for (size_t i = 0; i < pool->count; i++) {
        struct ev_certificate *certificate = &pool->certificates[i];
        if (certificate->distrust != EV_TRUSTED && !is_self_issued(&certificate->x509)) {
            issued_explain(pool, certificate);
        }
    }
    return CELLA_OK;
}

const struct ev_certificate *ev_pool_blame(const struct ev_certificate *certificate)
{
    for (unsigned i = 0; i < EV_DEPTH_MAX; i++) {
        if (certificate->distrust != EV_ISSUER_DISTRUSTED || !certificate->issuer) {
            break;
        }
        certificate = certificate->issuer;
    }
    return certificate;
}
