/*
 * sgx_dh.h between two enclaves, and the remote exchange of sgx_tkey_exchange.h: this enclave plays client, service
 * provider or quoting enclave.
 * Side: enclave, tests. Functions that give a number give 0 or the line that failed.
 */
#define SGX_USE_LAv2_INITIATOR
#include "sgx_dh.h"

#include <stddef.h>
#include <string.h>

#include "api_t.h"
#include "bytes.h"
#include "check.h"
#include "sgx_tkey_exchange.h"
#include "sgx_utils.h"

/* ------------------------------------------------------------------- local */

static sgx_dh_session_t responder, initiator;

/* What the host may know of a key, to compare. */
static void digest_give(const sgx_key_128bit_t *key, uint8_t digest[16])
{
    sgx_sha256_hash_t hash;
    sgx_sha256_msg((const uint8_t *)key, sizeof(*key), &hash);
    memcpy(digest, hash, 16);
}

sgx_status_t dh_respond1(sgx_dh_msg1_t *message1)
{
    const sgx_status_t status = sgx_dh_init_session(SGX_DH_SESSION_RESPONDER, &responder);
    return status ? status : sgx_dh_responder_gen_msg1(message1, &responder);
}

sgx_status_t dh_initiate1(int version, sgx_dh_msg1_t *message1, sgx_dh_msg2_t *message2)
{
    const sgx_status_t status = sgx_dh_init_session(SGX_DH_SESSION_INITIATOR, &initiator);
    if (status != SGX_SUCCESS) {
        return status;
    }
    return version == 2 ? sgx_dh_initiator_proc_msg1(message1, message2, &initiator)
                        : sgx_LAv1_initiator_proc_msg1(message1, message2, &initiator);
}

sgx_status_t dh_respond2(sgx_dh_msg2_t *message2, sgx_dh_msg3_t *message3,
                         sgx_dh_session_enclave_identity_t *who, uint8_t *digest)
{
    sgx_key_128bit_t key = {0};
    message3->msg3_body.additional_prop_length = 0;
    const sgx_status_t status =
        sgx_dh_responder_proc_msg2(message2, message3, &responder, &key, who);
    digest_give((const sgx_key_128bit_t *)&key, digest);
    return status;
}

sgx_status_t dh_initiate3(int version, sgx_dh_msg3_t *message3,
                          sgx_dh_session_enclave_identity_t *who, uint8_t *digest)
{
    sgx_key_128bit_t key = {0};
    const sgx_status_t status = version == 2
                                    ? sgx_dh_initiator_proc_msg3(message3, &initiator, &key, who)
                                    : sgx_LAv1_initiator_proc_msg3(message3, &initiator, &key, who);
    digest_give((const sgx_key_128bit_t *)&key, digest);
    return status;
}

int test_dh_states(void)
{
    sgx_dh_session_t session;
    sgx_dh_msg1_t message1;
    sgx_dh_msg2_t message2;
    sgx_dh_msg3_t message3;
    sgx_dh_session_enclave_identity_t who;
    sgx_key_128bit_t key;
    memset(&message1, 0, sizeof(message1));
    memset(&message2, 0, sizeof(message2));
    memset(&message3, 0, sizeof(message3));
    BAD_PARAMETER(sgx_dh_init_session(SGX_DH_SESSION_INITIATOR, NULL));
    BAD_PARAMETER(sgx_dh_init_session((sgx_dh_session_role_t)7, &session));
    GOOD(sgx_dh_init_session(SGX_DH_SESSION_INITIATOR, &session));
    BAD_PARAMETER(sgx_dh_responder_gen_msg1(&message1, &session)); /* the other role */
    GOOD(sgx_dh_init_session(SGX_DH_SESSION_RESPONDER, &session));
    BAD_PARAMETER(sgx_dh_responder_gen_msg1(NULL, &session));
    CHECK(sgx_dh_responder_gen_msg1(&message1, &session) != SGX_SUCCESS); /* after an error */
    GOOD(sgx_dh_init_session(SGX_DH_SESSION_RESPONDER, &session));
    CHECK(sgx_dh_responder_proc_msg2(&message2, &message3, &session, &key, &who) ==
          SGX_ERROR_INVALID_STATE);
    GOOD(sgx_dh_init_session(SGX_DH_SESSION_RESPONDER, &session));
    GOOD(sgx_dh_responder_gen_msg1(&message1, &session));
    BAD_PARAMETER(sgx_dh_responder_proc_msg2(&message2, &message3, &session, NULL, &who));
    GOOD(sgx_dh_init_session(SGX_DH_SESSION_INITIATOR, &session));
    CHECK(sgx_dh_initiator_proc_msg3(&message3, &session, &key, &who) == SGX_ERROR_INVALID_STATE);
    GOOD(sgx_dh_init_session(SGX_DH_SESSION_INITIATOR, &session));
    message1.g_a.gx[0] ^= 1; /* not on the curve */
    CHECK(sgx_dh_initiator_proc_msg1(&message1, &message2, &session) != SGX_SUCCESS);
    /* A length that goes beyond the enclave. */
    GOOD(sgx_dh_init_session(SGX_DH_SESSION_RESPONDER, &session));
    GOOD(sgx_dh_responder_gen_msg1(&message1, &session));
    message3.msg3_body.additional_prop_length = 0xFFFFFFF0;
    BAD_PARAMETER(sgx_dh_responder_proc_msg2(&message2, &message3, &session, &key, &who));
    return 0;
}

/* ------------------------------------------------------------------- remote: the service provider */

static sgx_ec256_private_t provider_private;
static sgx_ec256_public_t provider_public;

int provider_key(sgx_ec256_public_t *key)
{
    sgx_ecc_state_handle_t state = NULL;
    GOOD(sgx_ecc256_open_context(&state));
    GOOD(sgx_ecc256_create_key_pair(&provider_private, &provider_public, state));
    GOOD(sgx_ecc256_close_context(state));
    *key = provider_public;
    return 0;
}

/* KDK = CMAC(0, shared); key = CMAC(KDK, 01 | label | 00 | 80 00). */
static int key_derive(const sgx_ec256_dh_shared_t *shared, const char *label, uint8_t key[16])
{
    static const sgx_cmac_128bit_key_t zero;
    sgx_cmac_128bit_tag_t kdk;
    uint8_t text[8] = {1, (uint8_t)label[0], (uint8_t)label[1]};
    uint32_t size = 3;
    if (label[2]) {
        text[size++] = (uint8_t)label[2];
    }
    size++;
    text[size++] = 0x80;
    size++;
    GOOD(sgx_rijndael128_cmac_msg(&zero, shared->s, sizeof(shared->s), &kdk));
    GOOD(sgx_rijndael128_cmac_msg((const sgx_cmac_128bit_key_t *)&kdk, text, size,
                                  (sgx_cmac_128bit_tag_t *)key));
    return 0;
}

int provider_message2(const sgx_ec256_public_t *g_a, sgx_ra_msg2_t *message, uint8_t *mk)
{
    sgx_ec256_private_t b;
    sgx_ec256_public_t both[2];
    sgx_ec256_dh_shared_t shared;
    uint8_t smk[16];
    sgx_ecc_state_handle_t state = NULL;
    memset(message, 0, sizeof(*message));
    GOOD(sgx_ecc256_open_context(&state));
    GOOD(sgx_ecc256_create_key_pair(&b, &message->g_b, state));
    GOOD(sgx_ecc256_compute_shared_dhkey(&b, g_a, &shared, state));
    both[0] = message->g_b;
    both[1] = *g_a;
    message->kdf_id = 1;
    GOOD(sgx_ecdsa_sign((const uint8_t *)both, sizeof(both), &provider_private,
                        &message->sign_gb_ga, state));
    GOOD(sgx_ecc256_close_context(state));
    CHECK(key_derive(&shared, "SMK", smk) == 0 && key_derive(&shared, "MK", mk) == 0);
    GOOD(sgx_rijndael128_cmac_msg((const sgx_cmac_128bit_key_t *)&smk, (const uint8_t *)message,
                                  offsetof(sgx_ra_msg2_t, mac),
                                  (sgx_cmac_128bit_tag_t *)&message->mac));
    return 0;
}

/* The quoting enclave's word for a quote: SHA-256(nonce | quote) in a report for the client. */
int quoting_report(const sgx_target_info_t *client, const sgx_quote_nonce_t *nonce,
                   const uint8_t *quote, uint32_t size, sgx_report_t *report)
{
    uint8_t text[sizeof(*nonce) + 4096];
    sgx_report_data_t data = {{0}};
    CHECK(size <= 4096);
    memcpy(text, nonce, sizeof(*nonce));
    memcpy(text + sizeof(*nonce), quote, size);
    GOOD(sgx_sha256_msg(text, (uint32_t)sizeof(*nonce) + size, (sgx_sha256_hash_t *)data.d));
    GOOD(sgx_create_report(client, &data, report));
    return 0;
}

/* ------------------------------------------------------------------- remote: the client */

static sgx_status_t own_derivation(const sgx_ec256_dh_shared_t *shared, uint16_t kdf_id,
                                   sgx_ec_key_128bit_t *smk, sgx_ec_key_128bit_t *sk,
                                   sgx_ec_key_128bit_t *mk, sgx_ec_key_128bit_t *vk)
{
    if (kdf_id != 1 || key_derive(shared, "SMK", (uint8_t *)smk) != 0 ||
        key_derive(shared, "SK", (uint8_t *)sk) != 0 || key_derive(shared, "VK", (uint8_t *)vk)) {
        return SGX_ERROR_UNEXPECTED;
    }
    memset(mk, 0x77, sizeof(*mk));
    return SGX_SUCCESS;
}

sgx_status_t client_start(const sgx_ec256_public_t *provider, int own_keys,
                          sgx_ra_context_t *context)
{
    return own_keys ? sgx_ra_init_ex(provider, 0, own_derivation, context)
                    : sgx_ra_init(provider, 0, context);
}

sgx_status_t client_key(sgx_ra_context_t context, uint8_t *mk)
{
    return sgx_ra_get_keys(context, SGX_RA_KEY_MK, (sgx_ra_key_128_t *)mk);
}

/* With a context that has its keys; closes it. */
int test_key_exchange(sgx_ra_context_t context)
{
    sgx_ra_key_128_t sk, mk;
    sgx_ec256_public_t bad;
    sgx_ra_context_t other;
    memset(&bad, 3, sizeof(bad));
    GOOD(sgx_ra_get_keys(context, SGX_RA_KEY_SK, &sk));
    GOOD(sgx_ra_get_keys(context, SGX_RA_KEY_MK, &mk));
    CHECK(memcmp(sk, mk, sizeof(sk)) != 0);
    BAD_PARAMETER(sgx_ra_get_keys(context, (sgx_ra_key_type_t)9, &sk));
    BAD_PARAMETER(sgx_ra_get_keys(context, SGX_RA_KEY_SK, NULL));
    BAD_PARAMETER(sgx_ra_get_keys(context + 1, SGX_RA_KEY_SK, &sk));
    GOOD(sgx_ra_close(context));
    BAD_PARAMETER(sgx_ra_close(context));
    BAD_PARAMETER(sgx_ra_get_keys(context, SGX_RA_KEY_SK, &sk));
    BAD_PARAMETER(sgx_ra_init(&bad, 0, &other));
    BAD_PARAMETER(sgx_ra_init(NULL, 0, &other));
    BAD_PARAMETER(sgx_ra_init(&provider_public, 0, NULL));
    return 0;
}
