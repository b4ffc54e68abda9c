/*
 * TCB info, versions 2 and 3 (Intel PCS API v3 and v4, "Get TCB Info"), as structures.
 * Side: both; freestanding. Called by evidence/prepare.c. Never verifies; arrays come from the caller's arena.
 */
#include "evidence/tcb_info.h"

#include "evidence/armor.h"
#include "evidence/bytes_util.h"

enum cella_tcb_status ev_tcb_status_of(struct cella_bytes name)
{
    for (unsigned i = CELLA_TCB_UP_TO_DATE; i < CELLA_TCB_STATUS_COUNT; i++) {
        if (ev_is(name, cella_tcb_status_name((enum cella_tcb_status)i))) {
            return (enum cella_tcb_status)i;
        }
    }
    return CELLA_TCB_NONE;
}

static size_t items_count(struct ev_json array)
{
    struct ev_json_iterator items = ev_json_items(array);
    struct cella_bytes key;
    struct ev_json item;
    size_t count = 0;
    while (ev_json_next(&items, &key, &item)) {
        count++;
    }
    return count;
}

/* An array `key` of 1 to `max` items, and room for as many of `item_size`. */
static cella_result list_open(const struct ev_json_members *owner, const char *key, size_t max,
                              size_t item_size, struct ev_arena *arena, struct ev_place *place,
                              struct ev_json *ret_array, void **ret_room, size_t *ret_count)
{
    CELLA_TRY(ev_json_get(owner, key, EV_JSON_ARRAY, place, ret_array));
    *ret_count = items_count(*ret_array);
    EV_ENSURE(place, *ret_count >= 1 && *ret_count <= max, ret_array->text.data, LIMIT_EXCEEDED,
              "a list that is neither empty nor endless");
    *ret_room = ev_arena_take(arena, *ret_count * item_size);
    EV_ENSURE(place, *ret_room != NULL, ret_array->text.data, BUFFER_TOO_SMALL,
              "more memory for prepared collateral");
    return CELLA_OK;
}

/* tcbDate, tcbStatus, advisoryIDs: what every kind of level has. */
static cella_result level_common_parse(const struct ev_json_members *value, struct ev_place *place,
                                       struct tcb_level *level)
{
    struct cella_bytes status;
    const struct ev_json *advisories = ev_json_member(value, "advisoryIDs");
    CELLA_TRY(ev_json_get_time(value, "tcbDate", place, &level->date));
    CELLA_TRY(ev_json_get_string(value, "tcbStatus", place, &status));
    level->status = ev_tcb_status_of(status);
    EV_ENSURE(place, level->status != CELLA_TCB_NONE && level->status <= CELLA_TCB_REVOKED,
              status.data, BAD_FIELD, "a known tcbStatus");
    level->advisories = advisories ? *advisories : (struct ev_json){.kind = EV_JSON_NULL};
    if (!advisories) {
        return CELLA_OK;
    }
    EV_ENSURE(place, level->advisories.kind == EV_JSON_ARRAY, level->advisories.text.data,
              BAD_FIELD, "a list of advisories");
    struct ev_json_iterator items = ev_json_items(level->advisories);
    struct cella_bytes text;
    struct ev_json item;
    while (ev_json_next(&items, &text, &item)) {
        CELLA_TRY(ev_json_string(item, place, &text));
    }
    return CELLA_OK;
}

/* Version 3: [{"svn": 4, …}, … 16 times]. */
static cella_result components_parse(const struct ev_json_members *tcb, const char *key,
                                     struct ev_place *place, uint8_t out[16])
{
    struct ev_json_members component;
    struct ev_json array;
    CELLA_TRY(ev_json_get(tcb, key, EV_JSON_ARRAY, place, &array));
    struct ev_json_iterator items = ev_json_items(array);
    struct cella_bytes name;
    struct ev_json item;
    uint64_t svn;
    size_t count = 0;
    while (ev_json_next(&items, &name, &item)) {
        EV_ENSURE(place, count < 16, item.text.data, BAD_FIELD, "16 TCB components");
        CELLA_TRY(ev_json_open(item, place, &component));
        CELLA_TRY(ev_json_get_unsigned(&component, "svn", UINT8_MAX, place, &svn));
        out[count++] = (uint8_t)svn;
    }
    EV_ENSURE(place, count == 16, array.text.data, BAD_FIELD, "16 TCB components");
    return CELLA_OK;
}

/* Version 2: "sgxtcbcomp01svn" to "sgxtcbcomp16svn". */
static cella_result components_v2_parse(const struct ev_json_members *tcb, struct ev_place *place,
                                        uint8_t out[16])
{
    char key[] = "sgxtcbcomp00svn";
    uint64_t svn;
    for (unsigned i = 1; i <= 16; i++) {
        key[10] = (char)('0' + i / 10);
        key[11] = (char)('0' + i % 10);
        const struct ev_json *value = ev_json_member(tcb, key);
        EV_ENSURE(place, value, tcb->at, BAD_FIELD, "16 TCB components");
        CELLA_TRY(ev_json_unsigned(*value, UINT8_MAX, place, &svn));
        out[i - 1] = (uint8_t)svn;
    }
    return CELLA_OK;
}

static cella_result level_parse(const struct tcb_info *info, struct ev_json json,
                                struct ev_place *place, struct tcb_level *level)
{
    struct ev_json_members value;
    struct ev_json_members members;
    const struct ev_json_members *tcb = &members;
    struct ev_json versions;
    uint64_t pce_svn;
    CELLA_TRY(ev_json_open(json, place, &value));
    CELLA_TRY(level_common_parse(&value, place, level));
    CELLA_TRY(ev_json_get(&value, "tcb", EV_JSON_OBJECT, place, &versions));
    CELLA_TRY(ev_json_open(versions, place, &members));
    CELLA_TRY(ev_json_get_unsigned(tcb, "pcesvn", UINT16_MAX, place, &pce_svn));
    level->pce_svn = (uint16_t)pce_svn;
    if (info->version == 2) {
        return components_v2_parse(tcb, place, level->sgx);
    }
    CELLA_TRY(components_parse(tcb, "sgxtcbcomponents", place, level->sgx));
    if (info->tee == CELLA_TEE_TDX) {
        CELLA_TRY(components_parse(tcb, "tdxtcbcomponents", place, level->tdx));
    }
    return CELLA_OK;
}

/* Positive: `a` comes first. Components of SGX, then the PCE's, then those of TDX. */
static int level_compare(const struct tcb_level *a, const struct tcb_level *b)
{
    int order = memcmp(a->sgx, b->sgx, 16);
    if (order == 0) {
        order = (int)a->pce_svn - (int)b->pce_svn;
    }
    return order ? order : memcmp(a->tdx, b->tdx, 16);
}

/* Descending; two levels with the same versions are a contradiction. */
static cella_result levels_sort(struct tcb_level *levels, size_t count, const uint8_t *at,
                                struct ev_place *place)
{
    for (size_t i = 1; i < count; i++) {
        struct tcb_level level = levels[i];
        size_t j = i;
        for (; j > 0 && level_compare(&level, &levels[j - 1]) > 0; j--) {
            levels[j] = levels[j - 1];
        }
        EV_ENSURE(place, j == 0 || level_compare(&level, &levels[j - 1]) != 0, at, BAD_FIELD,
                  "TCB levels that all differ");
        levels[j] = level;
    }
    return CELLA_OK;
}

static cella_result levels_parse(const struct ev_json_members *body, struct ev_arena *arena,
                                 struct ev_place *place, struct tcb_info *info)
{
    struct cella_bytes key;
    struct ev_json array;
    struct ev_json item;
    void *room;
    CELLA_TRY(list_open(body, "tcbLevels", TCB_LEVEL_MAX, sizeof(struct tcb_level), arena, place,
                        &array, &room, &info->level_count));
    info->levels = room;
    struct ev_json_iterator items = ev_json_items(array);
    for (size_t i = 0; i < info->level_count && ev_json_next(&items, &key, &item); i++) {
        CELLA_TRY(level_parse(info, item, place, &info->levels[i]));
    }
    return levels_sort(info->levels, info->level_count, array.text.data, place);
}

cella_result ev_tcb_svn_levels_parse(const struct ev_json_members *owner, struct ev_arena *arena,
                                     struct ev_place *place, struct tcb_level **ret_levels,
                                     size_t *ret_count)
{
    struct cella_bytes key;
    struct ev_json array;
    struct ev_json item;
    void *room;
    uint64_t svn;
    CELLA_TRY(list_open(owner, "tcbLevels", TCB_MODULE_LEVEL_MAX, sizeof(struct tcb_level), arena,
                        place, &array, &room, ret_count));
    struct tcb_level *levels = room;
    struct ev_json_iterator items = ev_json_items(array);
    for (size_t i = 0; i < *ret_count && ev_json_next(&items, &key, &item); i++) {
        struct ev_json_members level;
        struct ev_json_members tcb;
        struct ev_json versions;
        CELLA_TRY(ev_json_open(item, place, &level));
        CELLA_TRY(level_common_parse(&level, place, &levels[i]));
        CELLA_TRY(ev_json_get(&level, "tcb", EV_JSON_OBJECT, place, &versions));
        CELLA_TRY(ev_json_open(versions, place, &tcb));
        CELLA_TRY(ev_json_get_unsigned(&tcb, "isvsvn", UINT16_MAX, place, &svn));
        levels[i].pce_svn = (uint16_t)svn;
    }
    *ret_levels = levels;
    return levels_sort(levels, *ret_count, array.text.data, place);
}

static cella_result module_parse(const struct ev_json_members *value, struct ev_place *place,
                                 struct tcb_module *module)
{
    CELLA_TRY(ev_json_get_hex(value, "mrsigner", place, module->mr_signer, 48));
    CELLA_TRY(ev_json_get_hex(value, "attributes", place, module->attributes, 8));
    return ev_json_get_hex(value, "attributesMask", place, module->attributes_mask, 8);
}

static cella_result identities_parse(const struct ev_json_members *body, struct ev_arena *arena,
                                     struct ev_place *place, struct tcb_info *info)
{
    struct cella_bytes key;
    struct ev_json array;
    struct ev_json item;
    void *room;
    const struct ev_json *list = ev_json_member(body, "tdxModuleIdentities");
    if (!list || (list->kind == EV_JSON_ARRAY && items_count(*list) == 0)) {
        return CELLA_OK;
    }
    CELLA_TRY(list_open(body, "tdxModuleIdentities", TCB_MODULE_MAX, sizeof(struct tcb_module),
                        arena, place, &array, &room, &info->identity_count));
    info->identities = room;
    struct ev_json_iterator items = ev_json_items(array);
    for (size_t i = 0; i < info->identity_count && ev_json_next(&items, &key, &item); i++) {
        struct tcb_module *module = &info->identities[i];
        struct ev_json_members identity;
        CELLA_TRY(ev_json_open(item, place, &identity));
        CELLA_TRY(ev_json_get_string(&identity, "id", place, &module->id));
        CELLA_TRY(module_parse(&identity, place, module));
        CELLA_TRY(ev_tcb_svn_levels_parse(&identity, arena, place, &module->levels,
                                          &module->level_count));
    }
    return CELLA_OK;
}

static cella_result tee_parse(const struct ev_json_members *body, struct ev_place *place,
                              struct tcb_info *info)
{
    struct cella_bytes id;
    info->tee = CELLA_TEE_SGX;
    if (info->version == 2) {
        return CELLA_OK;
    }
    CELLA_TRY(ev_json_get_string(body, "id", place, &id));
    bool is_tdx = ev_is(id, "TDX");
    EV_ENSURE(place, is_tdx || ev_is(id, "SGX"), id.data, BAD_FIELD, "the id SGX or TDX");
    info->tee = is_tdx ? CELLA_TEE_TDX : CELLA_TEE_SGX;
    return CELLA_OK;
}

cella_result ev_tcb_info_parse(struct ev_json json, struct ev_arena *arena, struct ev_place *place,
                               struct tcb_info *ret_info)
{
    struct tcb_info info = {0};
    struct ev_json_members members;
    struct ev_json_members module_members;
    const struct ev_json_members *body = &members;
    struct ev_json module;
    uint64_t type;
    CELLA_TRY(ev_json_open(json, place, &members));
    CELLA_TRY(ev_json_get_unsigned(body, "version", UINT32_MAX, place, &info.version));
    EV_ENSURE(place, info.version == 2 || info.version == 3, body->at, UNSUPPORTED_VERSION,
              "TCB info version 2 or 3");
    CELLA_TRY(tee_parse(body, place, &info));
    CELLA_TRY(ev_json_get_time(body, "issueDate", place, &info.issued));
    CELLA_TRY(ev_json_get_time(body, "nextUpdate", place, &info.next_update));
    CELLA_TRY(ev_json_get_hex(body, "fmspc", place, info.fmspc, 6));
    CELLA_TRY(ev_json_get_hex(body, "pceId", place, info.pce_id, 2));
    CELLA_TRY(ev_json_get_unsigned(body, "tcbType", UINT32_MAX, place, &type));
    EV_ENSURE(place, type == 0, body->at, UNSUPPORTED_VERSION,
              "tcbType 0, whose components compare one by one");
    CELLA_TRY(ev_json_get_unsigned(body, "tcbEvaluationDataNumber", UINT32_MAX, place,
                                   &info.evaluation_number));
    CELLA_TRY(levels_parse(body, arena, place, &info));
    if (info.tee == CELLA_TEE_TDX) {
        CELLA_TRY(ev_json_get(body, "tdxModule", EV_JSON_OBJECT, place, &module));
        CELLA_TRY(ev_json_open(module, place, &module_members));
        CELLA_TRY(module_parse(&module_members, place, &info.module));
        info.has_module = true;
        CELLA_TRY(identities_parse(body, arena, place, &info));
    }
    *ret_info = info;
    return CELLA_OK;
}
