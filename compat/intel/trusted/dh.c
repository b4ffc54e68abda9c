/*
 * sgx_dh.h: the key agreement of two enclaves of one machine, versions 1 and 2 of Intel's protocol. The messages are
 * described in docs/compatibility-intel.md. A responder answers both versions.
 * Side: enclave. Called by applications. Never leaves a secret in a session that failed.
 */
#include <limits.h>
#include <openssl/crypto.h>
#include <string.h>

#include "compat/intel/trusted/kdf.h"
#include "sgx_dh.h"
#include "sgx_trts.h"
#include "sgx_utils.h"

enum state {
    STATE_ERROR,
    STATE_RESET,
    STATE_RESPONDER_WAITS,  /* for message 2 */
    STATE_INITIATOR_STARTS, /* for message 1 */
    STATE_INITIATOR_WAITS,  /* for message 3 */
    STATE_ACTIVE,
};

/* What sgx_dh_session_t holds. */
struct session {
    uint32_t role;
    uint32_t state;
    sgx_ec256_private_t own_private; /* responder */
    sgx_ec256_public_t own;
    sgx_ec256_public_t peer;      /* initiator */
    sgx_ec256_dh_shared_t shared; /* initiator */
};
_Static_assert(sizeof(struct session) == SGX_DH_SESSION_DATA_SIZE, "sgx_dh_session_t");

/* ------------------------------------------------------------------- version 2's description of a TARGETINFO */

/*
 * 64 bytes that take the place of report data: which parts of a REPORT make the TARGETINFO of whoever made it. Each part:
 * bits 0..3 log2 of its size (to which its place is aligned), bits 4..15 its offset in the report, -1: nothing.
 */
struct specification {
    char signature[6];
    uint8_t version, revision;
    uint16_t parts[28]; /* the first: revision (low byte) and number (high byte) of the others */
};
_Static_assert(sizeof(struct specification) == sizeof(sgx_report_data_t), "report data");

static const struct specification own_specification = {
    .signature = {'S', 'G', 'X', ' ', 'L', 'A'},
    .version = 2,
    .parts = {0x0600, 0x0405 /* MRENCLAVE */, 0x0304 /* ATTRIBUTES */, 0x0140 /* CETATTRIBUTES */,
              0x1041 /* CONFIGSVN */, 0x0102 /* MISCSELECT */, 0x0C06 /* CONFIGID */},
};

static sgx_status_t target_make(const struct specification *specification,
                                const sgx_report_t *report, sgx_target_info_t *ret_target)
{
    const unsigned count = specification->parts[0] >> 8;
    uint8_t *target = (uint8_t *)ret_target;
    unsigned to = 0;
    if (specification->version != 2 || specification->revision != 0 ||
        (specification->parts[0] & 0xFF) != 0 || count >= 28) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    memset(ret_target, 0, sizeof(*ret_target));
    __builtin_ia32_lfence();
    for (unsigned i = 1; i <= count; i++) {
        const unsigned size = 1u << (specification->parts[i] & 0xF);
        const int from = (int16_t)specification->parts[i] >> 4;
        to = (to + size - 1) & ~(size - 1);
        if (to + size > sizeof(*ret_target) || from < -1 ||
            (from >= 0 && (unsigned)from + size > sizeof(*report))) {
            return SGX_ERROR_UNEXPECTED;
        }
        if (from >= 0) {
            memcpy(target + to, (const uint8_t *)report + from, size);
        }
        to += size;
    }
    return SGX_SUCCESS;
}

/* ------------------------------------------------------------------- common parts */

/* Report data: SHA-256 of two pieces, then zeros. */
static sgx_status_t bind_two(const void *a, size_t a_size, const void *b, size_t b_size,
                             sgx_report_data_t *ret_data)
{
    uint8_t text[2 * sizeof(sgx_ec256_public_t)];
    memset(ret_data, 0, sizeof(*ret_data));
    memcpy(text, a, a_size);
    memcpy(text + a_size, b, b_size);
    return sgx_sha256_msg(text, (uint32_t)(a_size + b_size), (sgx_sha256_hash_t *)ret_data->d);
}

static sgx_status_t mac_check(const sgx_key_128bit_t *key, const void *at, uint32_t size,
                              const uint8_t mac[SGX_DH_MAC_SIZE])
{
    sgx_cmac_128bit_tag_t own;
    const sgx_status_t status = sgx_rijndael128_cmac_msg(key, at, size, &own);
    if (status != SGX_SUCCESS) {
        return status;
    }
    return CRYPTO_memcmp(own, mac, sizeof(own)) == 0 ? SGX_SUCCESS : SGX_ERROR_MAC_MISMATCH;
}

/* CMAC over the properties behind a message 3 and the responder's public key. */
static sgx_status_t properties_mac(const sgx_key_128bit_t *key, const sgx_dh_msg3_t *message,
                                   const sgx_ec256_public_t *g_a, sgx_cmac_128bit_tag_t *ret_mac)
{
    sgx_cmac_state_handle_t state = NULL;
    sgx_status_t status = sgx_cmac128_init(key, &state);
    if (status != SGX_SUCCESS) {
        return status;
    }
    if (message->msg3_body.additional_prop_length > 0) {
        status = sgx_cmac128_update(message->msg3_body.additional_prop,
                                    message->msg3_body.additional_prop_length, state);
    }
    if (status == SGX_SUCCESS) {
        status = sgx_cmac128_update((const uint8_t *)g_a, sizeof(*g_a), state);
    }
    if (status == SGX_SUCCESS) {
        status = sgx_cmac128_final(state, ret_mac);
    }
    sgx_cmac128_close(state);
    return status;
}

static sgx_status_t key_pair(sgx_ec256_private_t *ret_private, sgx_ec256_public_t *ret_public)
{
    sgx_ecc_state_handle_t state = NULL;
    sgx_status_t status = sgx_ecc256_open_context(&state);
    if (status == SGX_SUCCESS) {
        status = sgx_ecc256_create_key_pair(ret_private, ret_public, state);
        sgx_ecc256_close_context(state);
    }
    return status;
}

/* The shared secret and SMK, the key under which messages are authenticated. */
static sgx_status_t agree(const sgx_ec256_private_t *own, const sgx_ec256_public_t *peer,
                          sgx_ec256_dh_shared_t *ret_shared, sgx_key_128bit_t *ret_smk)
{
    sgx_ecc_state_handle_t state = NULL;
    sgx_status_t status = sgx_ecc256_open_context(&state);
    if (status == SGX_SUCCESS) {
        status = sgx_ecc256_compute_shared_dhkey(own, peer, ret_shared, state);
        sgx_ecc256_close_context(state);
    }
    return status == SGX_SUCCESS ? intel_derive_key(ret_shared, "SMK", ret_smk) : status;
}

static sgx_status_t fail(struct session *session, sgx_status_t status)
{
    OPENSSL_cleanse(session, sizeof(*session));
    session->state = STATE_ERROR;
    return status;
}

/* Of what went wrong inside only this much is told. */
static sgx_status_t told(sgx_status_t status)
{
    return status == SGX_ERROR_OUT_OF_MEMORY ? status : SGX_ERROR_UNEXPECTED;
}

static int inside(const void *at, size_t size)
{
    return at && sgx_is_within_enclave(at, size);
}

static int message3_inside(const sgx_dh_msg3_t *message)
{
    if (!inside(message, sizeof(*message))) {
        return 0;
    }
    const uint32_t more = message->msg3_body.additional_prop_length;
    return more <= UINT32_MAX - sizeof(*message) && inside(message, sizeof(*message) + more);
}

sgx_status_t sgx_dh_init_session(sgx_dh_session_role_t role, sgx_dh_session_t *session)
{
    struct session *s = (struct session *)session;
    if (!inside(s, sizeof(*s)) ||
        (role != SGX_DH_SESSION_INITIATOR && role != SGX_DH_SESSION_RESPONDER)) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    OPENSSL_cleanse(s, sizeof(*s));
    s->role = role;
    s->state = role == SGX_DH_SESSION_INITIATOR ? STATE_INITIATOR_STARTS : STATE_RESET;
    return SGX_SUCCESS;
}

/* ------------------------------------------------------------------- responder */

sgx_status_t sgx_dh_responder_gen_msg1(sgx_dh_msg1_t *msg1, sgx_dh_session_t *dh_session)
{
    struct session *s = (struct session *)dh_session;
    sgx_target_info_t target;
    if (!inside(s, sizeof(*s))) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    if (!inside(msg1, sizeof(*msg1)) || s->role != SGX_DH_SESSION_RESPONDER) {
        return fail(s, SGX_ERROR_INVALID_PARAMETER);
    }
    if (s->state != STATE_RESET) {
        return fail(s, SGX_ERROR_INVALID_STATE);
    }
    sgx_status_t status = sgx_self_target(&target);
    if (status == SGX_SUCCESS) {
        status = key_pair(&s->own_private, &s->own);
    }
    if (status != SGX_SUCCESS) {
        return fail(s, told(status));
    }
    msg1->g_a = s->own;
    msg1->target = target;
    s->state = STATE_RESPONDER_WAITS;
    return SGX_SUCCESS;
}

/* Version 1: report data is SHA-256(g_a | g_b), then the number of the key derivation. */
static sgx_status_t message2_check_v1(const sgx_dh_msg2_t *message, const sgx_ec256_public_t *g_a,
                                      const sgx_key_128bit_t *smk)
{
    sgx_report_data_t wanted;
    uint16_t kdf;
    memcpy(&kdf, message->report.body.report_data.d + SGX_SHA256_HASH_SIZE, sizeof(kdf));
    if (kdf != INTEL_KDF_ID) {
        return SGX_ERROR_KDF_MISMATCH;
    }
    sgx_status_t status = mac_check(smk, &message->report, sizeof(message->report), message->cmac);
    if (status == SGX_SUCCESS) {
        status = sgx_verify_report(&message->report);
    }
    if (status == SGX_SUCCESS) {
        status = bind_two(g_a, sizeof(*g_a), &message->g_b, sizeof(message->g_b), &wanted);
    }
    if (status == SGX_SUCCESS &&
        CRYPTO_memcmp(wanted.d, message->report.body.report_data.d, SGX_SHA256_HASH_SIZE) != 0) {
        status = SGX_ERROR_MAC_MISMATCH;
    }
    return status;
}

/* Version 2: the report was made over SHA-256(specification | g_b); the specification stands in its place. */
static sgx_status_t message2_check_v2(const sgx_dh_msg2_t *message, const sgx_key_128bit_t *smk)
{
    sgx_report_t report = message->report;
    const struct specification *specification =
        (const struct specification *)message->report.body.report_data.d;
    sgx_status_t status = bind_two(specification, sizeof(*specification), &message->g_b,
                                   sizeof(message->g_b), &report.body.report_data);
    if (status == SGX_SUCCESS) {
        status = sgx_verify_report(&report);
    }
    if (status == SGX_SUCCESS) {
        status = mac_check(smk, &message->g_b, sizeof(message->g_b), message->cmac);
    }
    if (status == SGX_SUCCESS &&
        memcmp(specification, &own_specification, offsetof(struct specification, revision)) != 0) {
        status = SGX_ERROR_MAC_MISMATCH;
    }
    return status;
}

static sgx_status_t message3_make_v1(const sgx_dh_msg2_t *message2, const sgx_ec256_public_t *g_a,
                                     const sgx_key_128bit_t *smk, sgx_dh_msg3_t *message)
{
    sgx_target_info_t target;
    sgx_report_data_t data;
    const uint32_t more = message->msg3_body.additional_prop_length;
    sgx_status_t status = target_make(&own_specification, &message2->report, &target);
    if (status == SGX_SUCCESS) {
        status = bind_two(&message2->g_b, sizeof(message2->g_b), g_a, sizeof(*g_a), &data);
    }
    if (status == SGX_SUCCESS) {
        status = sgx_create_report(&target, &data, &message->msg3_body.report);
    }
    if (status == SGX_SUCCESS) {
        status = sgx_rijndael128_cmac_msg(smk, (const uint8_t *)&message->msg3_body,
                                          (uint32_t)sizeof(message->msg3_body) + more,
                                          (sgx_cmac_128bit_tag_t *)message->cmac);
    }
    return status;
}

static sgx_status_t message3_make_v2(const sgx_dh_msg2_t *message2, const sgx_ec256_public_t *g_a,
                                     const sgx_key_128bit_t *smk, sgx_dh_msg3_t *message)
{
    const struct specification *specification =
        (const struct specification *)message2->report.body.report_data.d;
    sgx_target_info_t target;
    sgx_report_data_t data;
    sgx_status_t status = target_make(specification, &message2->report, &target);
    if (status == SGX_SUCCESS) {
        status = bind_two(g_a, sizeof(*g_a), specification, sizeof(*specification), &data);
    }
    if (status == SGX_SUCCESS) {
        status = sgx_create_report(&target, &data, &message->msg3_body.report);
    }
    if (status == SGX_SUCCESS) {
        status = properties_mac(smk, message, g_a, (sgx_cmac_128bit_tag_t *)message->cmac);
    }
    return status;
}

static void identity_give(const sgx_report_t *report, sgx_dh_session_enclave_identity_t *ret)
{
    const sgx_report_body_t *body = &report->body;
    memset(ret, 0, sizeof(*ret));
    ret->cpu_svn = body->cpu_svn;
    ret->misc_select = body->misc_select;
    ret->attributes = body->attributes;
    ret->mr_enclave = body->mr_enclave;
    ret->mr_signer = body->mr_signer;
    ret->isv_prod_id = body->isv_prod_id;
    ret->isv_svn = body->isv_svn;
}

static sgx_status_t respond(struct session *s, const sgx_dh_msg2_t *msg2, sgx_dh_msg3_t *msg3,
                            sgx_key_128bit_t *ret_aek)
{
    sgx_ec256_dh_shared_t shared;
    sgx_key_128bit_t smk;
    int version = 1;
    sgx_status_t status = agree(&s->own_private, &msg2->g_b, &shared, &smk);
    if (status == SGX_SUCCESS) {
        status = message2_check_v1(msg2, &s->own, &smk);
        if (status != SGX_SUCCESS && message2_check_v2(msg2, &smk) == SGX_SUCCESS) {
            version = 2;
            status = SGX_SUCCESS;
        }
    }
    if (status == SGX_SUCCESS) {
        status = version == 1 ? message3_make_v1(msg2, &s->own, &smk, msg3)
                              : message3_make_v2(msg2, &s->own, &smk, msg3);
    }
    if (status == SGX_SUCCESS) {
        status = intel_derive_key(&shared, "AEK", ret_aek);
    }
    OPENSSL_cleanse(&shared, sizeof(shared));
    OPENSSL_cleanse(&smk, sizeof(smk));
    return status;
}

sgx_status_t sgx_dh_responder_proc_msg2(const sgx_dh_msg2_t *msg2, sgx_dh_msg3_t *msg3,
                                        sgx_dh_session_t *dh_session, sgx_key_128bit_t *aek,
                                        sgx_dh_session_enclave_identity_t *initiator_identity)
{
    struct session *s = (struct session *)dh_session;
    if (!inside(s, sizeof(*s))) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    if (!message3_inside(msg3) || !inside(msg2, sizeof(*msg2)) || !inside(aek, sizeof(*aek)) ||
        !inside(initiator_identity, sizeof(*initiator_identity)) ||
        s->role != SGX_DH_SESSION_RESPONDER) {
        return fail(s, SGX_ERROR_INVALID_PARAMETER);
    }
    if (s->state != STATE_RESPONDER_WAITS) {
        return fail(s, SGX_ERROR_INVALID_STATE);
    }
    const sgx_status_t status = respond(s, msg2, msg3, aek);
    if (status != SGX_SUCCESS) {
        return fail(s, status == SGX_ERROR_KDF_MISMATCH ? status : told(status));
    }
    identity_give(&msg2->report, initiator_identity);
    OPENSSL_cleanse(s, sizeof(*s));
    s->role = SGX_DH_SESSION_RESPONDER;
    s->state = STATE_ACTIVE;
    return SGX_SUCCESS;
}

/* ------------------------------------------------------------------- initiator */

static sgx_status_t message2_make_v1(const sgx_dh_msg1_t *message1, const sgx_ec256_public_t *g_b,
                                     const sgx_key_128bit_t *smk, sgx_dh_msg2_t *message)
{
    const uint16_t kdf = INTEL_KDF_ID;
    sgx_report_data_t data;
    message->g_b = *g_b;
    sgx_status_t status = bind_two(&message1->g_a, sizeof(message1->g_a), g_b, sizeof(*g_b), &data);
    memcpy(data.d + SGX_SHA256_HASH_SIZE, &kdf, sizeof(kdf));
    if (status == SGX_SUCCESS) {
        status = sgx_create_report(&message1->target, &data, &message->report);
    }
    if (status == SGX_SUCCESS) {
        status = sgx_rijndael128_cmac_msg(smk, (const uint8_t *)&message->report,
                                          sizeof(message->report),
                                          (sgx_cmac_128bit_tag_t *)message->cmac);
    }
    return status;
}

static sgx_status_t message2_make_v2(const sgx_dh_msg1_t *message1, const sgx_ec256_public_t *g_b,
                                     const sgx_key_128bit_t *smk, sgx_dh_msg2_t *message)
{
    sgx_report_data_t data;
    message->g_b = *g_b;
    sgx_status_t status =
        bind_two(&own_specification, sizeof(own_specification), g_b, sizeof(*g_b), &data);
    if (status == SGX_SUCCESS) {
        status = sgx_create_report(&message1->target, &data, &message->report);
    }
    if (status == SGX_SUCCESS) {
        memcpy(&message->report.body.report_data, &own_specification, sizeof(own_specification));
        status = sgx_rijndael128_cmac_msg(smk, (const uint8_t *)g_b, sizeof(*g_b),
                                          (sgx_cmac_128bit_tag_t *)message->cmac);
    }
    return status;
}

typedef sgx_status_t (*message2_make_fn)(const sgx_dh_msg1_t *, const sgx_ec256_public_t *,
                                         const sgx_key_128bit_t *, sgx_dh_msg2_t *);

static sgx_status_t initiate(struct session *s, const sgx_dh_msg1_t *msg1, sgx_dh_msg2_t *msg2,
                             message2_make_fn make)
{
    sgx_ec256_private_t private_key;
    sgx_key_128bit_t smk;
    sgx_status_t status = key_pair(&private_key, &s->own);
    if (status == SGX_SUCCESS) {
        status = agree(&private_key, &msg1->g_a, &s->shared, &smk);
    }
    if (status == SGX_SUCCESS) {
        s->peer = msg1->g_a;
        status = make(msg1, &s->own, &smk, msg2);
    }
    OPENSSL_cleanse(&private_key, sizeof(private_key));
    OPENSSL_cleanse(&smk, sizeof(smk));
    return status;
}

static sgx_status_t initiator_message1(const sgx_dh_msg1_t *msg1, sgx_dh_msg2_t *msg2,
                                       sgx_dh_session_t *dh_session, message2_make_fn make)
{
    struct session *s = (struct session *)dh_session;
    if (!inside(s, sizeof(*s))) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    if (!inside(msg1, sizeof(*msg1)) || !inside(msg2, sizeof(*msg2)) ||
        s->role != SGX_DH_SESSION_INITIATOR) {
        return fail(s, SGX_ERROR_INVALID_PARAMETER);
    }
    if (s->state != STATE_INITIATOR_STARTS) {
        return fail(s, SGX_ERROR_INVALID_STATE);
    }
    const sgx_status_t status = initiate(s, msg1, msg2, make);
    if (status != SGX_SUCCESS) {
        return fail(s, told(status));
    }
    s->state = STATE_INITIATOR_WAITS;
    return SGX_SUCCESS;
}

sgx_status_t sgx_LAv1_initiator_proc_msg1(const sgx_dh_msg1_t *msg1, sgx_dh_msg2_t *msg2,
                                          sgx_dh_session_t *dh_session)
{
    return initiator_message1(msg1, msg2, dh_session, message2_make_v1);
}

sgx_status_t sgx_LAv2_initiator_proc_msg1(const sgx_dh_msg1_t *msg1, sgx_dh_msg2_t *msg2,
                                          sgx_dh_session_t *dh_session)
{
    return initiator_message1(msg1, msg2, dh_session, message2_make_v2);
}

static sgx_status_t message3_check_v1(const sgx_dh_msg3_t *message, const struct session *s,
                                      const sgx_key_128bit_t *smk)
{
    sgx_report_data_t wanted;
    sgx_status_t status =
        mac_check(smk, &message->msg3_body,
                  (uint32_t)sizeof(message->msg3_body) + message->msg3_body.additional_prop_length,
                  message->cmac);
    if (status == SGX_SUCCESS) {
        status = sgx_verify_report(&message->msg3_body.report);
    }
    if (status == SGX_SUCCESS) {
        status = bind_two(&s->own, sizeof(s->own), &s->peer, sizeof(s->peer), &wanted);
    }
    if (status == SGX_SUCCESS &&
        CRYPTO_memcmp(wanted.d, message->msg3_body.report.body.report_data.d,
                      SGX_SHA256_HASH_SIZE) != 0) {
        status = SGX_ERROR_MAC_MISMATCH;
    }
    return status;
}

static sgx_status_t message3_check_v2(const sgx_dh_msg3_t *message, const struct session *s,
                                      const sgx_key_128bit_t *smk)
{
    sgx_report_data_t wanted;
    sgx_cmac_128bit_tag_t mac;
    sgx_status_t status =
        bind_two(&s->peer, sizeof(s->peer), &own_specification, sizeof(own_specification), &wanted);
    if (status == SGX_SUCCESS &&
        CRYPTO_memcmp(&wanted, &message->msg3_body.report.body.report_data, sizeof(wanted)) != 0) {
        status = SGX_ERROR_UNEXPECTED;
    }
    if (status == SGX_SUCCESS) {
        status = sgx_verify_report(&message->msg3_body.report);
    }
    if (status == SGX_SUCCESS) {
        status = properties_mac(smk, message, &s->peer, &mac);
    }
    if (status == SGX_SUCCESS && CRYPTO_memcmp(mac, message->cmac, sizeof(mac)) != 0) {
        status = SGX_ERROR_MAC_MISMATCH;
    }
    return status;
}

typedef sgx_status_t (*message3_check_fn)(const sgx_dh_msg3_t *, const struct session *,
                                          const sgx_key_128bit_t *);

static sgx_status_t initiator_message3(const sgx_dh_msg3_t *msg3, sgx_dh_session_t *dh_session,
                                       sgx_key_128bit_t *aek,
                                       sgx_dh_session_enclave_identity_t *identity,
                                       message3_check_fn check)
{
    struct session *s = (struct session *)dh_session;
    sgx_key_128bit_t smk;
    if (!inside(s, sizeof(*s))) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    if (!message3_inside(msg3) || !inside(aek, sizeof(*aek)) ||
        !inside(identity, sizeof(*identity)) || s->role != SGX_DH_SESSION_INITIATOR) {
        return fail(s, SGX_ERROR_INVALID_PARAMETER);
    }
    if (s->state != STATE_INITIATOR_WAITS) {
        return fail(s, SGX_ERROR_INVALID_STATE);
    }
    sgx_status_t status = intel_derive_key(&s->shared, "SMK", &smk);
    if (status == SGX_SUCCESS) {
        status = check(msg3, s, (const sgx_key_128bit_t *)&smk);
    }
    if (status == SGX_SUCCESS) {
        status = intel_derive_key(&s->shared, "AEK", aek);
    }
    OPENSSL_cleanse(&smk, sizeof(smk));
    if (status != SGX_SUCCESS) {
        return fail(s, told(status));
    }
    identity_give(&msg3->msg3_body.report, identity);
    OPENSSL_cleanse(s, sizeof(*s));
    s->role = SGX_DH_SESSION_INITIATOR;
    s->state = STATE_ACTIVE;
    return SGX_SUCCESS;
}

sgx_status_t sgx_LAv1_initiator_proc_msg3(const sgx_dh_msg3_t *msg3, sgx_dh_session_t *dh_session,
                                          sgx_key_128bit_t *aek,
                                          sgx_dh_session_enclave_identity_t *responder_identity)
{
    return initiator_message3(msg3, dh_session, aek, responder_identity, message3_check_v1);
}

sgx_status_t sgx_LAv2_initiator_proc_msg3(const sgx_dh_msg3_t *msg3, sgx_dh_session_t *dh_session,
                                          sgx_key_128bit_t *aek,
                                          sgx_dh_session_enclave_identity_t *responder_identity)
{
    return initiator_message3(msg3, dh_session, aek, responder_identity, message3_check_v2);
}
