/*
 * The extensions of certificates that hold evidence, in their two spellings each.
 * Side: both. Included by certificate.c and enclave/certificate.c. docs/formats/attested-tls.md has the bytes.
 */
#ifndef CELLA_COMPAT_OE_CERTIFICATE_H
#define CELLA_COMPAT_OE_CERTIFICATE_H

#define OE_CERTIFICATE_REPORT_OLD "1.2.840.113556.10.1.1"
#define OE_CERTIFICATE_REPORT "1.3.6.1.4.1.311.105.1"
#define OE_CERTIFICATE_EVIDENCE_OLD "1.2.840.113556.10.1.2"
#define OE_CERTIFICATE_EVIDENCE "1.3.6.1.4.1.311.105.2"

#define OE_CERTIFICATE_MAX ((size_t)1 << 20)

#endif
