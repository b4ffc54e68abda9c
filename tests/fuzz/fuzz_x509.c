/*
 * Fuzz target: the DER readers: certificates with Intel's and AMD's extensions, and revocation lists.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include "evidence/pck.h"
#include "evidence/snp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cella_bytes der = cella_bytes_of(data, size);
    struct x509_certificate certificate;
    struct x509_crl crl;
    struct cella_platform_claims platform;
    struct snp_endorsement endorsement;
    struct ev_place place = {0};
    if (cella_is_ok(ev_x509_certificate_parse(der, &place, &certificate))) {
        cella_ignore(ev_pck_parse(&certificate, &place, &platform));
        cella_ignore(ev_snp_endorsement_parse(&certificate, &place, &endorsement));
    }
    if (ev_x509_looks_like_crl(der) && cella_is_ok(ev_x509_crl_parse(der, &place, &crl))) {
        (void)ev_x509_crl_has(&crl, cella_bytes_of("\x03\xEB", 2));
    }
    return 0;
}
