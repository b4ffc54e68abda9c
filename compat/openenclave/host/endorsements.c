/*
 * Endorsements for a quote in Open Enclave's form: a table of offsets, then the elements, each with a zero behind it.
 * Side: host. Called by service.c for the enclave's attester.
 * Never verifies what it finds: whoever is given it does.
 */
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openenclave/bits/attestation.h>

#include "cella/collateral.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "compat/openenclave/host/skin.h"

#define DER_SEQUENCE 0x30

struct elements {
    struct cella_span items[OE_SGX_ENDORSEMENT_COUNT];
    uint32_t version;
    char created[24];
    BIO *texts[2]; /* CRLs in PEM */
};

static void elements_done(struct elements *elements)
{
    BIO_free(elements->texts[0]);
    BIO_free(elements->texts[1]);
}

static void documents_done(struct cella_quote_documents *documents)
{
    cella_quote_documents_done(documents);
}

/* Lists come in DER or PEM; Open Enclave's verifiers read PEM everywhere. The zero behind it counts. */
static cella_result crl_set(struct elements *elements, unsigned place, uint32_t field,
                            struct cella_span crl)
{
    static const char zero;
    char *text;
    if (crl.size == 0 || crl.data[0] != DER_SEQUENCE) {
        elements->items[field] = (struct cella_span){crl.data, crl.size + 1};
        return CELLA_OK;
    }
    BIO *bio = elements->texts[place] = BIO_new(BIO_s_mem());
    CELLA_ENSURE(bio != NULL &&
                     PEM_write_bio(bio, PEM_STRING_X509_CRL, "", crl.data, (long)crl.size) > 0 &&
                     BIO_write(bio, &zero, 1) == 1,
                 CRYPTO);
    const long size = BIO_get_mem_data(bio, &text);
    elements->items[field] = (struct cella_span){(const uint8_t *)text, (size_t)size};
    return CELLA_OK;
}

static cella_result elements_fill(const struct cella_quote_documents *documents,
                                  struct elements *elements)
{
    static const struct {
        uint32_t field;
        enum cella_document document;
    } rows[] = {
        {OE_SGX_ENDORSEMENT_FIELD_TCB_INFO, CELLA_DOCUMENT_TCB_INFO},
        {OE_SGX_ENDORSEMENT_FIELD_TCB_ISSUER_CHAIN, CELLA_DOCUMENT_TCB_INFO_CHAIN},
        {OE_SGX_ENDORSEMENT_FIELD_CRL_ISSUER_CHAIN_PCK_CERT, CELLA_DOCUMENT_PCK_CRL_CHAIN},
        {OE_SGX_ENDORSEMENT_FIELD_QE_ID_INFO, CELLA_DOCUMENT_QE_IDENTITY},
        {OE_SGX_ENDORSEMENT_FIELD_QE_ID_ISSUER_CHAIN, CELLA_DOCUMENT_QE_IDENTITY_CHAIN},
    };
    const time_t now = time(NULL);
    struct tm parts;
    for (size_t i = 0; i < CELLA_COUNT(rows); i++) {
        const struct cella_span *document = &documents->documents[rows[i].document];
        elements->items[rows[i].field] = (struct cella_span){document->data, document->size + 1};
    }
    CELLA_TRY(crl_set(elements, 0, OE_SGX_ENDORSEMENT_FIELD_CRL_PCK_CERT,
                      documents->documents[CELLA_DOCUMENT_PCK_CRL]));
    CELLA_TRY(crl_set(elements, 1, OE_SGX_ENDORSEMENT_FIELD_CRL_PCK_PROC_CA,
                      documents->documents[CELLA_DOCUMENT_ROOT_CRL]));
    elements->version = OE_SGX_ENDORSEMENTS_VERSION;
    gmtime_r(&now, &parts);
    const size_t size =
        strftime(elements->created, sizeof(elements->created), "%Y-%m-%dT%H:%M:%SZ", &parts);
    elements->items[OE_SGX_ENDORSEMENT_FIELD_VERSION] =
        (struct cella_span){(const uint8_t *)&elements->version, sizeof(elements->version)};
    elements->items[OE_SGX_ENDORSEMENT_FIELD_CREATION_DATETIME] =
        (struct cella_span){(const uint8_t *)elements->created, size + 1};
    return CELLA_OK;
}

static cella_result write_all(const struct elements *elements, uint8_t *out, size_t capacity,
                              size_t *ret_size)
{
    oe_endorsements_t head = {.version = OE_ATTESTATION_ENDORSEMENT_VERSION,
                              .enclave_type = OE_ENCLAVE_TYPE_SGX,
                              .num_elements = OE_SGX_ENDORSEMENT_COUNT};
    uint32_t offsets[OE_SGX_ENDORSEMENT_COUNT];
    size_t size = 0;
    for (size_t i = 0; i < OE_SGX_ENDORSEMENT_COUNT; i++) {
        offsets[i] = (uint32_t)size;
        size += elements->items[i].size;
        CELLA_ENSURE(size <= OE_ATTESTATION_ENDORSEMENT_MAX_SIZE, LIMIT_EXCEEDED);
    }
    CELLA_ENSURE(sizeof(head) + sizeof(offsets) + size <= capacity, BUFFER_TOO_SMALL);
    head.buffer_size = (uint32_t)(sizeof(offsets) + size);
    memcpy(out, &head, sizeof(head));
    memcpy(out + sizeof(head), offsets, sizeof(offsets));
    uint8_t *data = out + sizeof(head) + sizeof(offsets);
    for (size_t i = 0; i < OE_SGX_ENDORSEMENT_COUNT; i++) {
        memcpy(data + offsets[i], elements->items[i].data, elements->items[i].size);
    }
    *ret_size = sizeof(head) + head.buffer_size;
    return CELLA_OK;
}

cella_result oe_endorsements_make(const void *quote, size_t quote_size, void *out, size_t capacity,
                                  size_t *ret_size)
{
    CELLA_CLEANUP(documents_done) struct cella_quote_documents documents = {.memory = NULL};
    CELLA_CLEANUP(elements_done) struct elements elements = {.version = 0};
    struct cella_error error = {.text = ""};
    const cella_result found =
        cella_quote_documents_get((struct cella_span){quote, quote_size}, NULL, &documents, &error);
    if (!cella_is_ok(found)) {
        oe_log(OE_LOG_LEVEL_ERROR, "endorsements: %s",
               error.text[0] ? error.text : cella_result_text(found));
        return found;
    }
    CELLA_TRY(elements_fill(&documents, &elements));
    return write_all(&elements, out, capacity, ret_size);
}
