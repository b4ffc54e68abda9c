/*
 * QE identity, version 2 (Intel PCS API v3 and v4, "Get Quoting Enclave Identity"), as a structure.
 * Side: both; freestanding. Called by evidence/prepare.c. Never verifies; arrays come from the caller's arena.
 */
#include "evidence/bytes_util.h"
#include "evidence/tcb_info.h"

static cella_result enclave_parse(const struct ev_json_members *body, struct ev_place *place,
                                  struct qe_identity *identity)
{
    uint8_t misc[4];
    uint64_t product;
    CELLA_TRY(ev_json_get_hex(body, "miscselect", place, misc, 4));
    identity->misc_select = (uint32_t)cella_le_get(misc, 4);
    CELLA_TRY(ev_json_get_hex(body, "miscselectMask", place, misc, 4));
    identity->misc_mask = (uint32_t)cella_le_get(misc, 4);
    CELLA_TRY(ev_json_get_hex(body, "attributes", place, identity->attributes, 16));
    CELLA_TRY(ev_json_get_hex(body, "attributesMask", place, identity->attributes_mask, 16));
    CELLA_TRY(ev_json_get_hex(body, "mrsigner", place, identity->mr_signer, 32));
    CELLA_TRY(ev_json_get_unsigned(body, "isvprodid", UINT16_MAX, place, &product));
    identity->isv_prod_id = (uint16_t)product;
    return CELLA_OK;
}

cella_result ev_qe_identity_parse(struct ev_json json, struct ev_arena *arena,
                                  struct ev_place *place, struct qe_identity *ret_identity)
{
    struct qe_identity identity = {0};
    struct ev_json_members members;
    const struct ev_json_members *body = &members;
    struct cella_bytes id;
    CELLA_TRY(ev_json_open(json, place, &members));
    CELLA_TRY(ev_json_get_unsigned(body, "version", UINT32_MAX, place, &identity.version));
    EV_ENSURE(place, identity.version == 2, body->at, UNSUPPORTED_VERSION, "QE identity version 2");
    CELLA_TRY(ev_json_get_string(body, "id", place, &id));
    bool is_tdx = ev_is(id, "TD_QE");
    EV_ENSURE(place, is_tdx || ev_is(id, "QE"), id.data, BAD_FIELD, "the id QE or TD_QE");
    identity.tee = is_tdx ? CELLA_TEE_TDX : CELLA_TEE_SGX;
    CELLA_TRY(ev_json_get_time(body, "issueDate", place, &identity.issued));
    CELLA_TRY(ev_json_get_time(body, "nextUpdate", place, &identity.next_update));
    CELLA_TRY(ev_json_get_unsigned(body, "tcbEvaluationDataNumber", UINT32_MAX, place,
                                   &identity.evaluation_number));
    CELLA_TRY(enclave_parse(body, place, &identity));
    CELLA_TRY(ev_tcb_svn_levels_parse(body, arena, place, &identity.levels, &identity.level_count));
    *ret_identity = identity;
    return CELLA_OK;
}
