/*
 * The SGX extensions of PCK certificates (Intel SGX PCK Certificate and CRL Profile Specification, 1.3.5).
 * Side: both; freestanding. Called inside evidence/. Never verifies.
 */
#include "evidence/pck.h"

#include "evidence/bytes_util.h"

/* 1.2.840.113741.1.13.1; the values are one or two arcs below. */
static const uint8_t g_oid[] = {0x2A, 0x86, 0x48, 0x86, 0xF8, 0x4D, 0x01, 0x0D, 0x01};

enum pck_value {
    PCK_PPID = 1,
    PCK_TCB = 2,
    PCK_PCE_ID = 3,
    PCK_FMSPC = 4,
    PCK_SGX_TYPE = 5,
    PCK_INSTANCE_ID = 6,
    PCK_CONFIGURATION = 7,
};

enum pck_tcb {
    PCK_TCB_COMPONENT_1 = 1,
    PCK_TCB_PCE_SVN = 17,
    PCK_TCB_CPU_SVN = 18,
};

enum pck_configuration {
    PCK_DYNAMIC_PLATFORM = 1,
    PCK_CACHED_KEYS = 2,
    PCK_SMT_ENABLED = 3,
};

/* SEQUENCE { OID g_oid.(parent.)arc, value }: gives the last arc; `ret_value` stands at the value. */
static cella_result pair_read(struct der *list, unsigned parent, unsigned *ret_arc,
                              struct der *ret_value)
{
    const uint8_t *at = ev_cursor_at(&list->cursor);
    struct cella_bytes oid;
    size_t prefix = sizeof(g_oid) + (parent ? 1 : 0);
    CELLA_TRY(ev_der_enter(list, DER_SEQUENCE, ret_value));
    CELLA_TRY(ev_der_take(ret_value, DER_OID, &oid, NULL));
    bool is_ours = oid.size == prefix + 1 && memcmp(oid.data, g_oid, sizeof(g_oid)) == 0 &&
                   (!parent || oid.data[sizeof(g_oid)] == parent) && oid.data[prefix] < 0x80;
    EV_ENSURE(list->place, is_ours, at, BAD_FIELD, "a value of the SGX extensions");
    *ret_arc = oid.data[prefix];
    return CELLA_OK;
}

static cella_result octets_read(struct der *value, uint8_t *out, size_t size)
{
    const uint8_t *at = ev_cursor_at(&value->cursor);
    struct cella_bytes bytes;
    CELLA_TRY(ev_der_take(value, DER_OCTET_STRING, &bytes, NULL));
    EV_ENSURE(value->place, bytes.size == size, at, BAD_FIELD, "a value of the right size");
    memcpy(out, bytes.data, size);
    return CELLA_OK;
}

/* Each value once: `seen` collects them. */
static cella_result once(struct ev_place *place, const uint8_t *at, uint32_t *seen, unsigned arc)
{
    EV_ENSURE(place, arc < 32 && !(*seen & 1u << arc), at, BAD_FIELD,
              "each value of the SGX extensions once");
    *seen |= 1u << arc;
    return CELLA_OK;
}

static cella_result tcb_read(struct der *value, struct cella_platform_claims *platform)
{
    const uint8_t *at = ev_cursor_at(&value->cursor);
    struct der list;
    uint32_t seen = 0;
    CELLA_TRY(ev_der_enter(value, DER_SEQUENCE, &list));
    while (!ev_der_at_end(&list)) {
        struct der item;
        unsigned arc;
        uint64_t number;
        CELLA_TRY(pair_read(&list, PCK_TCB, &arc, &item));
        CELLA_TRY(once(list.place, at, &seen, arc));
        if (arc == PCK_TCB_CPU_SVN) {
            CELLA_TRY(octets_read(&item, platform->cpu_svn, sizeof(platform->cpu_svn)));
        } else if (arc == PCK_TCB_PCE_SVN) {
            CELLA_TRY(ev_der_number(&item, DER_INTEGER, UINT16_MAX, &number));
            platform->pce_svn = (uint16_t)number;
        } else {
            EV_ENSURE(list.place, arc >= 1 && arc <= 16, at, BAD_FIELD, "TCB components 1 to 16");
            CELLA_TRY(ev_der_number(&item, DER_INTEGER, UINT8_MAX, &number));
            platform->components[arc - PCK_TCB_COMPONENT_1] = (uint8_t)number;
        }
        CELLA_TRY(ev_der_end(&item));
    }
    EV_ENSURE(list.place, seen == 0x7FFFE, at, BAD_FIELD,
              "16 TCB components, the PCE SVN and the CPU SVN");
    return CELLA_OK;
}

static cella_result configuration_read(struct der *value, struct cella_platform_claims *platform)
{
    const uint8_t *at = ev_cursor_at(&value->cursor);
    struct der list;
    uint32_t seen = 0;
    CELLA_TRY(ev_der_enter(value, DER_SEQUENCE, &list));
    while (!ev_der_at_end(&list)) {
        struct der item;
        unsigned arc;
        bool flag;
        CELLA_TRY(pair_read(&list, PCK_CONFIGURATION, &arc, &item));
        CELLA_TRY(once(list.place, at, &seen, arc));
        CELLA_TRY(ev_der_boolean(&item, &flag));
        CELLA_TRY(ev_der_end(&item));
        platform->dynamic_platform |= arc == PCK_DYNAMIC_PLATFORM && flag;
        platform->cached_keys |= arc == PCK_CACHED_KEYS && flag;
        platform->smt_enabled |= arc == PCK_SMT_ENABLED && flag;
    }
    platform->has_configuration = true;
    return CELLA_OK;
}

static cella_result value_read(unsigned arc, struct der *value,
                               struct cella_platform_claims *platform)
{
    uint64_t number;
    switch (arc) {
    case PCK_PPID:
        return octets_read(value, platform->ppid, sizeof(platform->ppid));
    case PCK_TCB:
        return tcb_read(value, platform);
    case PCK_PCE_ID:
        return octets_read(value, platform->pce_id, sizeof(platform->pce_id));
    case PCK_FMSPC:
        return octets_read(value, platform->fmspc, sizeof(platform->fmspc));
    case PCK_SGX_TYPE:
        CELLA_TRY(ev_der_number(value, DER_ENUMERATED, 2, &number));
        platform->sgx_type = (uint8_t)number;
        return CELLA_OK;
    case PCK_INSTANCE_ID:
        platform->has_instance_id = true;
        return octets_read(value, platform->instance_id, sizeof(platform->instance_id));
    case PCK_CONFIGURATION:
        return configuration_read(value, platform);
    default:
        return ev_fail(value->place, ev_cursor_at(&value->cursor), CELLA_RESULT(BAD_FIELD),
                       "a known value of the SGX extensions");
    }
}

cella_result ev_pck_parse(const struct x509_certificate *certificate, struct ev_place *place,
                          struct cella_platform_claims *ret_platform)
{
    struct cella_platform_claims platform = {0};
    struct cella_bytes extension;
    uint32_t seen = 0;
    struct der list;
    bool is_there =
        ev_x509_extension_find(certificate, cella_bytes_of(g_oid, sizeof(g_oid)), &extension);
    EV_ENSURE(place, is_there, certificate->tbs.data, BAD_FIELD,
              "the SGX extensions of a PCK certificate");
    struct der outer = ev_der_of(extension, place);
    CELLA_TRY(ev_der_enter(&outer, DER_SEQUENCE, &list));
    CELLA_TRY(ev_der_end(&outer));
    while (!ev_der_at_end(&list)) {
        const uint8_t *at = ev_cursor_at(&list.cursor);
        struct der value;
        unsigned arc;
        CELLA_TRY(pair_read(&list, 0, &arc, &value));
        CELLA_TRY(once(place, at, &seen, arc));
        CELLA_TRY(value_read(arc, &value, &platform));
        CELLA_TRY(ev_der_end(&value));
    }
    EV_ENSURE(place, (seen & 0x3E) == 0x3E, extension.data, BAD_FIELD,
              "PPID, TCB, PCE id, FMSPC and SGX type");
    platform.known = true;
    *ret_platform = platform;
    return CELLA_OK;
}
