/*
 * The extensions that hold evidence. Sources: CCC "Interoperable RA-TLS"; TCG DICE Attestation Architecture; Gramine's
 * ra_tls.h; Open Enclave's internal/report.h and internal/evidence.h.
 * Side: both. Called inside tls/.
 */
#include "tls/extension.h"

#include <openssl/x509v3.h>
#include <string.h>

/* Contents of the OBJECT IDENTIFIER. */
static const struct cella_bytes g_identifiers[TLS_EXTENSION_COUNT] = {
    [TLS_EXTENSION_EVIDENCE] = {(const uint8_t *)"\x67\x81\x05\x05\x04\x09", 6},
    [TLS_EXTENSION_ENDORSEMENTS] = {(const uint8_t *)"\x67\x81\x05\x05\x04\x02", 6},
    [TLS_EXTENSION_QUOTE] = {(const uint8_t *)"\x06\x09\x2A\x86\x48\x86\xF8\x4D\x8A\x39\x06", 11},
    [TLS_EXTENSION_QUOTE_PLAIN] = {(const uint8_t *)"\x2A\x86\x48\x86\xF8\x4D\x8A\x39\x06", 9},
    [TLS_EXTENSION_OE_EVIDENCE] = {(const uint8_t *)"\x2B\x06\x01\x04\x01\x82\x37\x69\x02", 9},
    [TLS_EXTENSION_OE_EVIDENCE_OLD] = {(const uint8_t *)"\x2A\x86\x48\x86\xF7\x14\x0A\x01\x02", 9},
    [TLS_EXTENSION_OE_REPORT] = {(const uint8_t *)"\x2B\x06\x01\x04\x01\x82\x37\x69\x01", 9},
    [TLS_EXTENSION_OE_REPORT_OLD] = {(const uint8_t *)"\x2A\x86\x48\x86\xF7\x14\x0A\x01\x01", 9},
};

static bool is_object(const ASN1_OBJECT *object, struct cella_bytes identifier)
{
    return OBJ_length(object) == identifier.size &&
           memcmp(OBJ_get0_data(object), identifier.data, identifier.size) == 0;
}

cella_result tls_extension_find(const X509 *certificate, enum tls_extension which,
                                struct cella_bytes *ret_value)
{
    const ASN1_OCTET_STRING *found = NULL;
    for (int i = 0; i < X509_get_ext_count(certificate); i++) {
        X509_EXTENSION *extension = X509_get_ext(certificate, i);
        if (is_object(X509_EXTENSION_get_object(extension), g_identifiers[which])) {
            CELLA_ENSURE(found == NULL, BAD_FIELD);
            found = X509_EXTENSION_get_data(extension);
        }
    }
    CELLA_ENSURE(found != NULL, NOT_FOUND);
    *ret_value = cella_bytes_of(ASN1_STRING_get0_data(found), (size_t)ASN1_STRING_length(found));
    return CELLA_OK;
}

cella_result tls_extension_add(X509 *certificate, enum tls_extension which,
                               struct cella_bytes value)
{
    const struct cella_bytes identifier = g_identifiers[which];
    uint8_t der[2 + 16] = {0x06, (uint8_t)identifier.size};
    const uint8_t *at = der;
    memcpy(der + 2, identifier.data, identifier.size);
    ASN1_OBJECT *object = d2i_ASN1_OBJECT(NULL, &at, (long)(2 + identifier.size));
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension = NULL;
    bool good = object && octets && value.size <= INT32_MAX &&
                ASN1_OCTET_STRING_set(octets, value.data, (int)value.size) == 1;
    good = good && (extension = X509_EXTENSION_create_by_OBJ(NULL, object, 0, octets)) != NULL &&
           X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(octets);
    ASN1_OBJECT_free(object);
    CELLA_ENSURE(good, CRYPTO);
    return CELLA_OK;
}
