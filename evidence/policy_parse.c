/*
 * Policies as JSON (docs/formats/evidence-policy.md): strict, unknown keys are errors.
 * Side: both. Called by relying parties. Never weakens a policy by leaving something out.
 */
#include "common/cleanup.h"
#include "evidence/armor.h"
#include "evidence/bytes_util.h"
#include "evidence/json.h"
#include "evidence/text.h"
#include "evidence/verify.h"

struct policy_reader {
    struct cella_evidence_policy *policy;
    struct ev_place *place;
};

static cella_result flag_read(struct ev_json value, struct ev_place *place, bool *out)
{
    EV_ENSURE(place, value.kind == EV_JSON_TRUE || value.kind == EV_JSON_FALSE, value.text.data,
              BAD_FIELD, "true or false");
    *out = value.kind == EV_JSON_TRUE;
    return CELLA_OK;
}

static cella_result digest_read(struct ev_json value, struct ev_place *place,
                                struct cella_policy_digest *out)
{
    struct cella_bytes text;
    CELLA_TRY(ev_json_string(value, place, &text));
    EV_ENSURE(place, text.size >= 2 && text.size <= 2 * sizeof(out->data), value.text.data,
              BAD_FIELD, "1 to 64 bytes in hexadecimal");
    EV_ENSURE(place, cella_is_ok(ev_armor_hex(text, out->data)), value.text.data, BAD_FIELD,
              "hexadecimal digits");
    out->size = text.size / 2;
    return CELLA_OK;
}

/* One digest, or a list of them. */
static cella_result digests_read(struct ev_json value, struct ev_place *place,
                                 struct cella_policy_digest *list, size_t *count)
{
    struct ev_json_iterator items = ev_json_items(value);
    struct cella_bytes key;
    struct ev_json item;
    *count = 0;
    if (value.kind != EV_JSON_ARRAY) {
        *count = 1;
        return digest_read(value, place, &list[0]);
    }
    while (ev_json_next(&items, &key, &item)) {
        EV_ENSURE(place, *count < CELLA_POLICY_LIST_MAX, item.text.data, LIMIT_EXCEEDED,
                  "a shorter list");
        CELLA_TRY(digest_read(item, place, &list[*count]));
        (*count)++;
    }
    EV_ENSURE(place, *count, value.text.data, BAD_FIELD, "a list that is not empty");
    return CELLA_OK;
}

static cella_result statuses_read(struct ev_json value, struct ev_place *place, uint32_t *out)
{
    struct ev_json_iterator items = ev_json_items(value);
    struct cella_bytes key;
    struct ev_json item;
    EV_ENSURE(place, value.kind == EV_JSON_ARRAY, value.text.data, BAD_FIELD, "a list of statuses");
    *out = 0;
    while (ev_json_next(&items, &key, &item)) {
        struct cella_bytes name;
        CELLA_TRY(ev_json_string(item, place, &name));
        enum cella_tcb_status status = ev_tcb_status_of(name);
        EV_ENSURE(place, status != CELLA_TCB_NONE, item.text.data, BAD_FIELD, "a TCB status");
        *out |= 1u << status;
    }
    return CELLA_OK;
}

static cella_result tees_read(struct ev_json value, struct ev_place *place, uint32_t *out)
{
    struct ev_json_iterator items = ev_json_items(value);
    struct cella_bytes key;
    struct ev_json item;
    EV_ENSURE(place, value.kind == EV_JSON_ARRAY, value.text.data, BAD_FIELD, "a list of TEEs");
    *out = 0;
    while (ev_json_next(&items, &key, &item)) {
        struct cella_bytes name;
        unsigned tee = CELLA_TEE_SGX;
        CELLA_TRY(ev_json_string(item, place, &name));
        while (tee <= CELLA_TEE_SNP && !ev_is(name, cella_tee_name((enum cella_tee)tee))) {
            tee++;
        }
        EV_ENSURE(place, tee <= CELLA_TEE_SNP, item.text.data, BAD_FIELD, "sgx, tdx or snp");
        *out |= 1u << tee;
    }
    EV_ENSURE(place, *out, value.text.data, BAD_FIELD, "a list that is not empty");
    return CELLA_OK;
}

static cella_result snp_tcb_read(struct ev_json value, struct ev_place *place,
                                 struct cella_snp_tcb *out)
{
    static const struct {
        const char *key;
        size_t member;
    } parts[] = {{"fmc", offsetof(struct cella_snp_tcb, fmc)},
                 {"bootloader", offsetof(struct cella_snp_tcb, bootloader)},
                 {"tee", offsetof(struct cella_snp_tcb, tee)},
                 {"snp", offsetof(struct cella_snp_tcb, snp)},
                 {"microcode", offsetof(struct cella_snp_tcb, microcode)}};
    struct ev_json_iterator items = ev_json_items(value);
    struct cella_bytes key;
    struct ev_json item;
    EV_ENSURE(place, value.kind == EV_JSON_OBJECT, value.text.data, BAD_FIELD, "a JSON object");
    *out = (struct cella_snp_tcb){0};
    while (ev_json_next(&items, &key, &item)) {
        uint64_t level;
        size_t i = 0;
        while (i < CELLA_COUNT(parts) && !ev_is(key, parts[i].key)) {
            i++;
        }
        EV_ENSURE(place, i < CELLA_COUNT(parts), key.data, BAD_FIELD,
                  "bootloader, tee, snp, microcode or fmc");
        CELLA_TRY(ev_json_unsigned(item, UINT8_MAX, place, &level));
        ((uint8_t *)out)[parts[i].member] = (uint8_t)level;
    }
    return CELLA_OK;
}

/* Keys that are one flag each. */
static bool flag_find(struct cella_bytes key, struct cella_evidence_policy *policy, bool **ret_flag)
{
    const struct {
        const char *key;
        bool *flag;
    } flags[] = {{"allow_debug", &policy->allow_debug},
                 {"refuse_trailing", &policy->refuse_trailing},
                 {"allow_expired", &policy->allow_expired},
                 {"refuse_smt", &policy->refuse_smt},
                 {"refuse_dynamic_platform", &policy->refuse_dynamic_platform},
                 {"refuse_cached_keys", &policy->refuse_cached_keys},
                 {"require_sept_ve_disable", &policy->require_sept_ve_disable},
                 {"refuse_service_td", &policy->refuse_service_td},
                 {"refuse_snp_smt", &policy->refuse_snp_smt},
                 {"refuse_migration_agent", &policy->refuse_migration_agent},
                 {"require_snp_crl", &policy->require_snp_crl}};
    for (size_t i = 0; i < CELLA_COUNT(flags); i++) {
        if (ev_is(key, flags[i].key)) {
            *ret_flag = flags[i].flag;
            return true;
        }
    }
    return false;
}

static cella_result number_read(const struct policy_reader *reader, struct cella_bytes key,
                                struct ev_json value, bool *ret_is_ours)
{
    struct cella_evidence_policy *policy = reader->policy;
    uint64_t number = 0;
    *ret_is_ours = true;
    if (ev_is(key, "product_id")) {
        CELLA_TRY(ev_json_unsigned(value, UINT16_MAX, reader->place, &number));
        policy->has_product_id = true;
        policy->product_id = (uint16_t)number;
    } else if (ev_is(key, "min_svn")) {
        CELLA_TRY(ev_json_unsigned(value, UINT32_MAX, reader->place, &number));
        policy->min_svn = (uint32_t)number;
    } else if (ev_is(key, "min_tcb_evaluation_number")) {
        CELLA_TRY(ev_json_unsigned(value, UINT32_MAX, reader->place, &number));
        policy->min_tcb_evaluation_number = (uint32_t)number;
    } else if (ev_is(key, "max_vmpl")) {
        CELLA_TRY(ev_json_unsigned(value, 3, reader->place, &number));
        policy->has_max_vmpl = true;
        policy->max_vmpl = (uint32_t)number;
    } else {
        *ret_is_ours = false;
    }
    return CELLA_OK;
}

static cella_result member_read(const struct policy_reader *reader, struct cella_bytes key,
                                struct ev_json value)
{
    struct cella_evidence_policy *policy = reader->policy;
    struct ev_place *place = reader->place;
    bool is_number;
    bool *flag;
    if (flag_find(key, policy, &flag)) {
        return flag_read(value, place, flag);
    }
    CELLA_TRY(number_read(reader, key, value, &is_number));
    if (is_number) {
        return CELLA_OK;
    }
    if (ev_is(key, "accept_status")) {
        return statuses_read(value, place, &policy->statuses);
    }
    if (ev_is(key, "tees")) {
        return tees_read(value, place, &policy->tees);
    }
    if (ev_is(key, "measurement")) {
        return digests_read(value, place, policy->measurements, &policy->measurement_count);
    }
    if (ev_is(key, "signer")) {
        return digests_read(value, place, policy->signers, &policy->signer_count);
    }
    if (ev_is(key, "report_data")) {
        return digest_read(value, place, &policy->report_data);
    }
    if (ev_is(key, "host_data")) {
        return digest_read(value, place, &policy->host_data);
    }
    EV_ENSURE(place, ev_is(key, "min_snp_tcb"), key.data, BAD_FIELD, "a key that policies have");
    policy->has_min_snp_tcb = true;
    return snp_tcb_read(value, place, &policy->min_snp_tcb);
}

static cella_result policy_read(struct cella_evidence_policy *policy, struct cella_bytes text,
                                struct ev_place *place)
{
    struct policy_reader reader = {.policy = policy, .place = place};
    struct cella_bytes key;
    struct cella_bytes seen[32];
    size_t count = 0;
    struct ev_json json;
    struct ev_json item;
    CELLA_TRY(ev_json_parse(text, place, &json));
    EV_ENSURE(place, json.kind == EV_JSON_OBJECT, json.text.data, BAD_FIELD, "a JSON object");
    struct ev_json_iterator items = ev_json_items(json);
    while (ev_json_next(&items, &key, &item)) {
        for (size_t i = 0; i < count; i++) {
            EV_ENSURE(place, !ev_equal(seen[i], key), key.data, BAD_FIELD, "each key once");
        }
        EV_ENSURE(place, count < CELLA_COUNT(seen), key.data, LIMIT_EXCEEDED, "fewer keys");
        seen[count++] = key;
        CELLA_TRY(member_read(&reader, key, item));
    }
    return CELLA_OK;
}

cella_result cella_evidence_policy_parse(struct cella_evidence_policy *policy,
                                         struct cella_span json,
                                         struct cella_evidence_failure *ret_failure)
{
    struct cella_bytes text = cella_bytes_of(json.data, json.size);
    struct cella_evidence_policy read = *policy;
    struct ev_place place = {0};
    cella_result result = policy_read(&read, text, &place);
    if (cella_is_ok(result)) {
        *policy = read;
        return CELLA_OK;
    }
    struct ev_text object = ev_text_of(ret_failure->object, sizeof(ret_failure->object));
    struct ev_text line = ev_text_of(ret_failure->text, sizeof(ret_failure->text));
    ret_failure->step = CELLA_STEP_PLATFORM_POLICY;
    ret_failure->result = result;
    ret_failure->excused = false;
    ret_failure->offset = place.at ? (uint64_t)(place.at - text.data) : CELLA_EVIDENCE_NO_OFFSET;
    ev_text_add(&object, "policy");
    ev_text_add(&line, cella_result_text(result));
    ev_text_add(&line, "; expected ");
    ev_text_add(&line, place.expected);
    return result;
}
