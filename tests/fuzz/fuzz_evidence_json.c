/*
 * Fuzz target: the JSON readers of the verifier: TCB info, QE identity, policies.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include "evidence/tcb_info.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(16) uint8_t g_memory[1 << 18];

static void document(struct ev_json json, const char *key)
{
    struct ev_place place = {0};
    struct ev_json_members members;
    struct ev_json body;
    struct tcb_info info;
    struct qe_identity identity;
    struct ev_arena arena = {.data = g_memory, .size = sizeof(g_memory)};
    if (!cella_is_ok(ev_json_open(json, &place, &members)) ||
        !cella_is_ok(ev_json_get(&members, key, EV_JSON_OBJECT, &place, &body))) {
        return;
    }
    cella_ignore(ev_tcb_info_parse(body, &arena, &place, &info));
    cella_ignore(ev_qe_identity_parse(body, &arena, &place, &identity));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cella_evidence_policy policy;
    struct cella_evidence_failure failure;
    struct ev_place place = {0};
    struct ev_json json;
    cella_evidence_policy_init(&policy);
    cella_ignore(cella_evidence_policy_parse(
        &policy, (struct cella_span){.data = data, .size = size}, &failure));
    if (cella_is_ok(ev_json_parse(cella_bytes_of(data, size), &place, &json)) &&
        json.kind == EV_JSON_OBJECT) {
        document(json, "tcbInfo");
        document(json, "enclaveIdentity");
    }
    return 0;
}
