/*
 * The keys that chains may end in: those of Intel and AMD, and what the caller names.
 * Side: both. Called by evidence/pool.c and by callers of cella_roots_add. Keys are known by the SHA-256 of their
 * SubjectPublicKeyInfo. Sources: certificates.trustedservices.intel.com, kdsintf.amd.com (cert_chain of each product).
 */
#include "evidence/roots.h"

#include <string.h>

#include "common/cleanup.h"
#include "evidence/armor.h"
#include "evidence/bytes_util.h"

#define CERTIFICATE_DER_MAX 4096u

struct built_in_root {
    enum ev_vendor vendor;
    struct cella_root_key key;
};

static const struct built_in_root g_roots[] = {
    /* Intel SGX Root CA */
    {EV_VENDOR_INTEL,
     {{0xA0, 0xAF, 0x03, 0x12, 0x89, 0xF5, 0xD5, 0xD4, 0x13, 0x2F, 0x91,
       0x86, 0x06, 0x8A, 0x7F, 0xC1, 0x36, 0x28, 0x63, 0x3B, 0xA2, 0x35,
       0x77, 0x74, 0x72, 0xE2, 0x9B, 0x6B, 0x6C, 0x67, 0xA4, 0x9E},
      {0x44, 0xA0, 0x19, 0x6B, 0x2B, 0x99, 0xF8, 0x89, 0xB8, 0xE1, 0x49,
       0xE9, 0x5B, 0x80, 0x7A, 0x35, 0x0E, 0x74, 0x24, 0x96, 0x43, 0x99,
       0xE8, 0x85, 0xA7, 0xCB, 0xB8, 0xCC, 0xFA, 0xB6, 0x74, 0xD3}}},
    /* ARK-Milan */
    {EV_VENDOR_AMD,
     {{0x9F, 0x05, 0x6B, 0xEE, 0x44, 0x37, 0x7E, 0x29, 0x30, 0x8C, 0xB5,
       0xFF, 0xA8, 0x95, 0xBD, 0xFB, 0x62, 0xD1, 0x88, 0x81, 0xFA, 0x6B,
       0xED, 0x8D, 0x6F, 0x07, 0x5B, 0x02, 0x04, 0x08, 0x9C, 0xB9},
      {0x69, 0xD0, 0x63, 0xB4, 0x53, 0x44, 0xD2, 0x6A, 0x2E, 0x94, 0xE1,
       0xF4, 0x21, 0x0D, 0xE4, 0x9E, 0xF5, 0x55, 0x30, 0x82, 0x87, 0xD4,
       0xC1, 0x74, 0x44, 0x5C, 0x95, 0x63, 0x9A, 0x54, 0x0B, 0xCD}}},
    /* ARK-Genoa */
    {EV_VENDOR_AMD,
     {{0x42, 0x9A, 0x69, 0xC9, 0x42, 0x2A, 0xA2, 0x58, 0xEE, 0x4D, 0x8D,
       0xB5, 0xFC, 0xDA, 0x9C, 0x64, 0x70, 0xEF, 0x15, 0xF8, 0xCD, 0x5A,
       0x9C, 0xEB, 0xD6, 0xCB, 0xC7, 0xD9, 0x0B, 0x86, 0x38, 0x31},
      {0x4C, 0x65, 0x98, 0xD1, 0x9C, 0x18, 0x71, 0x9C, 0x5D, 0xFD, 0x4A,
       0x7D, 0x33, 0x5F, 0x67, 0x4E, 0x5B, 0xFE, 0x1D, 0x8F, 0x80, 0x0C,
       0xEA, 0x2C, 0xF2, 0x70, 0xC1, 0x0D, 0x10, 0x3D, 0xB2, 0xF1}}},
    /* ARK-Turin */
    {EV_VENDOR_AMD,
     {{0x4F, 0x12, 0x54, 0x10, 0x56, 0x3A, 0x2A, 0xB9, 0xA5, 0x03, 0x56,
       0xF9, 0x24, 0x3F, 0x6F, 0xE0, 0xB6, 0xF7, 0x3D, 0xE9, 0x86, 0x03,
       0xF5, 0x3F, 0x90, 0x33, 0x9C, 0x70, 0xE9, 0xD7, 0xAD, 0x08},
      {0x1F, 0x08, 0x41, 0x61, 0xA4, 0x4B, 0xB6, 0xD9, 0x37, 0x78, 0xA9,
       0x04, 0x87, 0x7D, 0x48, 0x19, 0xCA, 0xFA, 0x5D, 0x05, 0xEF, 0x41,
       0x93, 0xB2, 0xDE, 0xD9, 0xDD, 0x9C, 0x73, 0xDD, 0x3F, 0x6A}}},
};

static bool key_is(const struct cella_root_key *key, const struct cella_root_key *candidate)
{
    return memcmp(key->spki_sha256, candidate->spki_sha256, 32) == 0;
}

/* The key is the same: are the certificate's other bytes known, too? */
static struct ev_root root_of(enum ev_vendor vendor, const struct cella_root_key *key,
                              const struct cella_root_key *candidate)
{
    return (struct ev_root){
        .vendor = vendor,
        .is_exact = memcmp(key->certificate_sha256, candidate->certificate_sha256, 32) == 0,
    };
}

struct ev_root ev_roots_find(const struct cella_roots *roots,
                             const struct cella_root_key *candidate)
{
    for (size_t i = 0; roots && i < roots->count && i < CELLA_ROOT_MAX; i++) {
        if (key_is(&roots->keys[i], candidate)) {
            return root_of(EV_VENDOR_CALLER, &roots->keys[i], candidate);
        }
    }
    bool is_built_in = !roots || !roots->no_built_in;
    for (size_t i = 0; is_built_in && i < CELLA_COUNT(g_roots); i++) {
        if (key_is(&g_roots[i].key, candidate)) {
            return root_of(g_roots[i].vendor, &g_roots[i].key, candidate);
        }
    }
    return (struct ev_root){0};
}

static cella_result certificate_decode(struct cella_bytes bytes, uint8_t *buffer,
                                       struct cella_bytes *ret_der)
{
    struct cella_cursor cursor = cella_cursor_of(bytes);
    struct ev_place place = {0};
    struct cella_bytes body;
    bool is_found;
    size_t size;
    if (bytes.size && bytes.data[0] == DER_SEQUENCE) {
        *ret_der = bytes;
        return CELLA_OK;
    }
    CELLA_TRY(ev_armor_pem(&cursor, "CERTIFICATE", false, &place, &is_found, &body));
    CELLA_ENSURE(is_found, BAD_SYNTAX);
    CELLA_ENSURE(body.size / 4 * 3 + 3 <= CERTIFICATE_DER_MAX, LIMIT_EXCEEDED);
    CELLA_TRY(ev_armor_base64(body, false, &place, buffer, &size));
    *ret_der = cella_bytes_of(buffer, size);
    return CELLA_OK;
}

cella_result cella_roots_add(struct cella_roots *roots, struct cella_span certificate)
{
    uint8_t buffer[CERTIFICATE_DER_MAX];
    struct x509_certificate x509;
    struct ev_place place = {0};
    struct cella_bytes der;
    CELLA_ENSURE(roots->count < CELLA_ROOT_MAX, LIMIT_EXCEEDED);
    CELLA_TRY(certificate_decode(cella_bytes_of(certificate.data, certificate.size), buffer, &der));
    CELLA_TRY(ev_x509_certificate_parse(der, &place, &x509));
    struct cella_root_key *key = &roots->keys[roots->count];
    CELLA_ENSURE(
        EVP_Digest(x509.spki.data, x509.spki.size, key->spki_sha256, NULL, EVP_sha256(), NULL) > 0,
        CRYPTO);
    CELLA_ENSURE(EVP_Digest(der.data, der.size, key->certificate_sha256, NULL, EVP_sha256(), NULL) >
                     0,
                 CRYPTO);
    roots->count++;
    return CELLA_OK;
}
