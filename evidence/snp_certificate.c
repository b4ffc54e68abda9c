/*
 * AMD's extensions of VCEK and VLEK certificates (AMD 57230, tables 8 to 10).
 * Side: both; freestanding. Called inside evidence/. Never verifies.
 */
#include "evidence/bytes_util.h"
#include "evidence/snp.h"

/* 1.3.6.1.4.1.3704.1 */
#define AMD "\x2B\x06\x01\x04\x01\x9C\x78\x01"
#define AMD_OID(tail) cella_bytes_of(AMD tail, sizeof(AMD tail) - 1)

#define TCB_SIZE(member) offsetof(struct cella_snp_tcb, member)

static const struct {
    const char *tail;
    size_t member;
    bool is_required;
} g_parts[] = {
    {"\x03\x01", offsetof(struct cella_snp_tcb, bootloader), true},
    {"\x03\x02", offsetof(struct cella_snp_tcb, tee), true},
    {"\x03\x03", offsetof(struct cella_snp_tcb, snp), true},
    {"\x03\x08", offsetof(struct cella_snp_tcb, microcode), true},
    {"\x03\x09", offsetof(struct cella_snp_tcb, fmc), false}, /* from Turin on */
};

static bool part_find(const struct x509_certificate *certificate, const char *tail,
                      struct cella_bytes *ret_value)
{
    uint8_t oid[sizeof(AMD) + 1];
    memcpy(oid, AMD, sizeof(AMD) - 1);
    memcpy(oid + sizeof(AMD) - 1, tail, 2);
    return ev_x509_extension_find(certificate, cella_bytes_of(oid, sizeof(oid)), ret_value);
}

static cella_result tcb_read(const struct x509_certificate *certificate, struct ev_place *place,
                             struct cella_snp_tcb *tcb)
{
    for (size_t i = 0; i < sizeof(g_parts) / sizeof(g_parts[0]); i++) {
        struct cella_bytes value;
        uint64_t level;
        if (!part_find(certificate, g_parts[i].tail, &value)) {
            EV_ENSURE(place, !g_parts[i].is_required, certificate->tbs.data, BAD_FIELD,
                      "AMD's extensions with the TCB's parts");
            continue;
        }
        struct der der = ev_der_of(value, place);
        CELLA_TRY(ev_der_number(&der, DER_INTEGER, UINT8_MAX, &level));
        CELLA_TRY(ev_der_end(&der));
        ((uint8_t *)tcb)[g_parts[i].member] = (uint8_t)level;
    }
    return CELLA_OK;
}

/* KDS puts the bare bytes where DER would have an OCTET STRING around them; both are taken. */
static cella_result hwid_read(struct cella_bytes value, struct ev_place *place,
                              struct cella_bytes *ret_hwid)
{
    struct der der = ev_der_of(value, place);
    if (value.size == 64 || value.size == 8) {
        *ret_hwid = value;
        return CELLA_OK;
    }
    CELLA_TRY(ev_der_take(&der, DER_OCTET_STRING, ret_hwid, NULL));
    EV_ENSURE(place, ret_hwid->size == 64 || ret_hwid->size == 8, value.data, BAD_FIELD,
              "a hardware id of 64 or 8 bytes");
    return ev_der_end(&der);
}

enum cella_snp_product ev_snp_product_of(struct cella_bytes name)
{
    static const struct {
        const char *name;
        enum cella_snp_product product;
    } products[] = {{"Milan", CELLA_SNP_MILAN},
                    {"Genoa", CELLA_SNP_GENOA},
                    {"Bergamo", CELLA_SNP_GENOA},
                    {"Siena", CELLA_SNP_GENOA},
                    {"Turin", CELLA_SNP_TURIN}};
    for (size_t i = 0; i < sizeof(products) / sizeof(products[0]); i++) {
        if (ev_contains(name, products[i].name)) {
            return products[i].product;
        }
    }
    return CELLA_SNP_UNKNOWN;
}

cella_result ev_snp_endorsement_parse(const struct x509_certificate *certificate,
                                      struct ev_place *place,
                                      struct snp_endorsement *ret_endorsement)
{
    struct snp_endorsement endorsement = {0};
    struct cella_bytes value;
    EV_ENSURE(place, certificate->key_kind == EV_KEY_P384, certificate->spki.data, BAD_FIELD,
              "a key on P-384");
    EV_ENSURE(place, ev_x509_extension_find(certificate, AMD_OID("\x02"), &value),
              certificate->tbs.data, BAD_FIELD, "AMD's extension with the product's name");
    struct der der = ev_der_of(value, place);
    struct cella_bytes name;
    CELLA_TRY(ev_der_take(&der, DER_IA5_STRING, &name, NULL));
    CELLA_TRY(ev_der_end(&der));
    endorsement.product = ev_snp_product_of(name);
    CELLA_TRY(tcb_read(certificate, place, &endorsement.tcb));
    bool has_hwid = ev_x509_extension_find(certificate, AMD_OID("\x04"), &value);
    if (has_hwid) {
        CELLA_TRY(hwid_read(value, place, &endorsement.hwid));
    }
    endorsement.is_vlek = ev_x509_extension_find(certificate, AMD_OID("\x05"), &value);
    EV_ENSURE(place, has_hwid != endorsement.is_vlek, certificate->tbs.data, BAD_FIELD,
              "a hardware id (VCEK) or a provider id (VLEK)");
    *ret_endorsement = endorsement;
    return CELLA_OK;
}
