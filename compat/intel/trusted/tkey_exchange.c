/*
 * sgx_tkey_exchange.h and the ecalls of sgx_tkey_exchange.edl: the enclave's part of the remote key exchange.
 * Side: enclave. Called by applications and generated bridges. Never believes a quote's report without its MAC.
 */
#include "sgx_tkey_exchange.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <string.h>

#include "compat/intel/trusted/core.h"
#include "compat/intel/trusted/kdf.h"
#include "sgx_trts.h"
#include "sgx_utils.h"

#define CONTEXT_MAX 1024u

enum state { STATE_NEW, STATE_GAVE_GA, STATE_HAS_KEYS };

struct context {
    sgx_ec256_public_t g_a; /* these three lie together: their hash is what the report binds */
    sgx_ec256_public_t g_b;
    sgx_ec_key_128bit_t vk;
    sgx_ec256_public_t provider;
    sgx_ec256_private_t a;
    sgx_ec_key_128bit_t mk, sk, smk;
    sgx_quote_nonce_t nonce;
    sgx_target_info_t qe_target;
    enum state state;
    sgx_ra_derive_secret_keys_t derive;
};
#define BOUND_SIZE offsetof(struct context, provider)

static struct context *g_contexts[CONTEXT_MAX];
static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;

sgx_status_t sgx_ra_get_ga(sgx_ra_context_t context, sgx_ec256_public_t *g_a);
sgx_status_t sgx_ra_proc_msg2_trusted(sgx_ra_context_t context, const sgx_ra_msg2_t *p_msg2,
                                      const sgx_target_info_t *p_qe_target, sgx_report_t *p_report,
                                      sgx_quote_nonce_t *p_nonce);
sgx_status_t sgx_ra_get_msg3_trusted(sgx_ra_context_t context, uint32_t quote_size,
                                     sgx_report_t *qe_report, sgx_ra_msg3_t *p_msg3,
                                     uint32_t msg3_size);

/* Under the lock: calculations are short, and calls for one context do not overlap in good programs. */
static struct context *context_of(sgx_ra_context_t number)
{
    return number < CONTEXT_MAX ? g_contexts[number] : NULL;
}

static sgx_status_t told(sgx_status_t status)
{
    return status == SGX_SUCCESS || status == SGX_ERROR_OUT_OF_MEMORY ? status
                                                                      : SGX_ERROR_UNEXPECTED;
}

static sgx_status_t point_check(const sgx_ec256_public_t *point)
{
    sgx_ecc_state_handle_t state = NULL;
    int valid = 0;
    sgx_status_t status = sgx_ecc256_open_context(&state);
    if (status == SGX_SUCCESS) {
        status = sgx_ecc256_check_point(point, state, &valid);
        sgx_ecc256_close_context(state);
    }
    return status == SGX_SUCCESS && !valid ? SGX_ERROR_INVALID_PARAMETER : status;
}

sgx_status_t sgx_ra_init_ex(const sgx_ec256_public_t *p_pub_key, int b_pse,
                            sgx_ra_derive_secret_keys_t derive_key_cb, sgx_ra_context_t *p_context)
{
    (void)b_pse;
    if (!p_pub_key || !p_context || !sgx_is_within_enclave(p_pub_key, sizeof(*p_pub_key)) ||
        (derive_key_cb && !sgx_is_within_enclave((const void *)derive_key_cb, 0))) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const sgx_status_t status = point_check(p_pub_key);
    if (status != SGX_SUCCESS) {
        return status == SGX_ERROR_INVALID_PARAMETER ? status : told(status);
    }
    struct context *context = calloc(1, sizeof(*context));
    if (!context) {
        return SGX_ERROR_OUT_OF_MEMORY;
    }
    context->provider = *p_pub_key;
    context->derive = derive_key_cb;
    pthread_mutex_lock(&g_lock);
    uint32_t number = 0;
    while (number < CONTEXT_MAX && g_contexts[number]) {
        number++;
    }
    if (number < CONTEXT_MAX) {
        g_contexts[number] = context;
    }
    pthread_mutex_unlock(&g_lock);
    if (number == CONTEXT_MAX) {
        free(context);
        return SGX_ERROR_OUT_OF_MEMORY;
    }
    *p_context = number;
    return SGX_SUCCESS;
}

sgx_status_t sgx_ra_init(const sgx_ec256_public_t *p_pub_key, int b_pse,
                         sgx_ra_context_t *p_context)
{
    return sgx_ra_init_ex(p_pub_key, b_pse, NULL, p_context);
}

sgx_status_t sgx_ra_close(sgx_ra_context_t context)
{
    pthread_mutex_lock(&g_lock);
    struct context *c = context_of(context);
    if (c) {
        g_contexts[context] = NULL;
        OPENSSL_cleanse(c, sizeof(*c));
        free(c);
    }
    pthread_mutex_unlock(&g_lock);
    return c ? SGX_SUCCESS : SGX_ERROR_INVALID_PARAMETER;
}

static sgx_status_t keys_get(const struct context *c, sgx_ra_key_type_t type,
                             sgx_ra_key_128_t *ret_key)
{
    if (c->state != STATE_HAS_KEYS) {
        return SGX_ERROR_INVALID_STATE;
    }
    switch (type) {
    case SGX_RA_KEY_SK:
        memcpy(ret_key, c->sk, sizeof(*ret_key));
        return SGX_SUCCESS;
    case SGX_RA_KEY_MK:
        memcpy(ret_key, c->mk, sizeof(*ret_key));
        return SGX_SUCCESS;
    default:
        return SGX_ERROR_INVALID_PARAMETER;
    }
}

sgx_status_t sgx_ra_get_keys(sgx_ra_context_t context, sgx_ra_key_type_t type,
                             sgx_ra_key_128_t *p_key)
{
    if (!p_key || !sgx_is_within_enclave(p_key, sizeof(*p_key))) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    pthread_mutex_lock(&g_lock);
    const struct context *c = context_of(context);
    const sgx_status_t status = c ? keys_get(c, type, p_key) : SGX_ERROR_INVALID_PARAMETER;
    pthread_mutex_unlock(&g_lock);
    return status;
}

static sgx_status_t ga_make(struct context *c, sgx_ec256_public_t *ret_g_a)
{
    sgx_ecc_state_handle_t state = NULL;
    if (c->state != STATE_NEW) {
        return SGX_ERROR_INVALID_STATE;
    }
    sgx_status_t status = sgx_ecc256_open_context(&state);
    if (status == SGX_SUCCESS) {
        status = sgx_ecc256_create_key_pair(&c->a, &c->g_a, state);
        sgx_ecc256_close_context(state);
    }
    if (status != SGX_SUCCESS) {
        return told(status);
    }
    *ret_g_a = c->g_a;
    c->state = STATE_GAVE_GA;
    return SGX_SUCCESS;
}

sgx_status_t sgx_ra_get_ga(sgx_ra_context_t context, sgx_ec256_public_t *g_a)
{
    if (!g_a) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    pthread_mutex_lock(&g_lock);
    struct context *c = context_of(context);
    const sgx_status_t status = c ? ga_make(c, g_a) : SGX_ERROR_INVALID_PARAMETER;
    pthread_mutex_unlock(&g_lock);
    return status;
}

/* The provider's signature over g_b | g_a, and the shared secret. */
static sgx_status_t provider_check(const struct context *c, const sgx_ra_msg2_t *message,
                                   sgx_ec256_dh_shared_t *ret_shared)
{
    const sgx_ec256_public_t both[2] = {message->g_b, c->g_a};
    sgx_ecc_state_handle_t state = NULL;
    uint8_t verdict = SGX_EC_INVALID_SIGNATURE;
    sgx_status_t status = sgx_ecc256_open_context(&state);
    if (status != SGX_SUCCESS) {
        return told(status);
    }
    status = sgx_ecc256_compute_shared_dhkey(&c->a, &message->g_b, ret_shared, state);
    if (status == SGX_SUCCESS) {
        status = sgx_ecdsa_verify((const uint8_t *)both, sizeof(both), &c->provider,
                                  &message->sign_gb_ga, &verdict, state);
    }
    sgx_ecc256_close_context(state);
    if (status != SGX_SUCCESS) {
        return told(status);
    }
    return verdict == SGX_EC_VALID ? SGX_SUCCESS : SGX_ERROR_INVALID_SIGNATURE;
}

static sgx_status_t keys_derive(struct context *c, const sgx_ec256_dh_shared_t *shared,
                                uint16_t kdf)
{
    if (c->derive) {
        const sgx_status_t status = c->derive(shared, kdf, &c->smk, &c->sk, &c->mk, &c->vk);
        return status == SGX_ERROR_INVALID_PARAMETER || status == SGX_ERROR_KDF_MISMATCH
                   ? status
                   : told(status);
    }
    if (kdf != INTEL_KDF_ID) {
        return SGX_ERROR_KDF_MISMATCH;
    }
    sgx_status_t status = intel_derive_key(shared, "SMK", &c->smk);
    status = status == SGX_SUCCESS ? intel_derive_key(shared, "SK", &c->sk) : status;
    status = status == SGX_SUCCESS ? intel_derive_key(shared, "MK", &c->mk) : status;
    return status == SGX_SUCCESS ? intel_derive_key(shared, "VK", &c->vk) : status;
}

static sgx_status_t message2_take(struct context *c, const sgx_ra_msg2_t *message,
                                  const sgx_target_info_t *qe_target, sgx_report_t *ret_report,
                                  sgx_quote_nonce_t *ret_nonce)
{
    sgx_ec256_dh_shared_t shared;
    sgx_cmac_128bit_tag_t mac;
    sgx_report_data_t data = {{0}};
    if (c->state != STATE_GAVE_GA) {
        return SGX_ERROR_INVALID_STATE;
    }
    sgx_status_t status = provider_check(c, message, &shared);
    if (status == SGX_SUCCESS) {
        status = keys_derive(c, &shared, message->kdf_id);
    }
    OPENSSL_cleanse(&shared, sizeof(shared));
    if (status != SGX_SUCCESS) {
        return status;
    }
    status = told(sgx_rijndael128_cmac_msg((const sgx_cmac_128bit_key_t *)&c->smk,
                                           (const uint8_t *)message, offsetof(sgx_ra_msg2_t, mac),
                                           &mac));
    if (status == SGX_SUCCESS && CRYPTO_memcmp(mac, message->mac, sizeof(mac)) != 0) {
        return SGX_ERROR_MAC_MISMATCH;
    }
    c->g_b = message->g_b;
    c->qe_target = *qe_target;
    if (status == SGX_SUCCESS) {
        status = told(sgx_read_rand(c->nonce.rand, sizeof(c->nonce.rand)));
    }
    if (status == SGX_SUCCESS) {
        status = told(sgx_sha256_msg((const uint8_t *)c, BOUND_SIZE, (sgx_sha256_hash_t *)data.d));
    }
    if (status == SGX_SUCCESS) {
        status = told(sgx_create_report(qe_target, &data, ret_report));
    }
    if (status == SGX_SUCCESS) {
        *ret_nonce = c->nonce;
        c->state = STATE_HAS_KEYS;
    }
    return status;
}

sgx_status_t sgx_ra_proc_msg2_trusted(sgx_ra_context_t context, const sgx_ra_msg2_t *p_msg2,
                                      const sgx_target_info_t *p_qe_target, sgx_report_t *p_report,
                                      sgx_quote_nonce_t *p_nonce)
{
    if (!p_msg2 || !p_qe_target || !p_report || !p_nonce) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    pthread_mutex_lock(&g_lock);
    struct context *c = context_of(context);
    const sgx_status_t status =
        c ? message2_take(c, p_msg2, p_qe_target, p_report, p_nonce) : SGX_ERROR_INVALID_PARAMETER;
    pthread_mutex_unlock(&g_lock);
    return status;
}

/* Hash and MAC over a quote that lies outside, fetched once in pieces. */
static sgx_status_t quote_read(const struct context *c, const uint8_t *quote, uint32_t size,
                               sgx_sha_state_handle_t hash, sgx_cmac_state_handle_t mac)
{
    static const sgx_ps_sec_prop_desc_t no_properties;
    uint8_t piece[512];
    sgx_status_t status = sgx_sha256_update(c->nonce.rand, sizeof(c->nonce.rand), hash);
    status = status == SGX_SUCCESS
                 ? sgx_cmac128_update((const uint8_t *)&c->g_a, sizeof(c->g_a), mac)
                 : status;
    status = status == SGX_SUCCESS
                 ? sgx_cmac128_update((const uint8_t *)&no_properties, sizeof(no_properties), mac)
                 : status;
    for (uint32_t at = 0; at < size && status == SGX_SUCCESS;) {
        const uint32_t part = size - at < sizeof(piece) ? size - at : (uint32_t)sizeof(piece);
        if (!cella_is_ok(intel_core_copy_in(piece, quote + at, part))) {
            return SGX_ERROR_INVALID_PARAMETER;
        }
        status = sgx_sha256_update(piece, part, hash);
        status = status == SGX_SUCCESS ? sgx_cmac128_update(piece, part, mac) : status;
        at += part;
    }
    return status;
}

static sgx_status_t message3_make(const struct context *c, uint32_t quote_size,
                                  const sgx_report_t *qe_report, sgx_ra_msg3_t *host_message)
{
    sgx_ra_msg3_t head = {{0}, c->g_a, {{0}}};
    sgx_sha_state_handle_t hash = NULL;
    sgx_cmac_state_handle_t mac = NULL;
    sgx_sha256_hash_t digest;
    sgx_status_t status = sgx_sha256_init(&hash);
    status = status == SGX_SUCCESS ? sgx_cmac128_init((const sgx_cmac_128bit_key_t *)&c->smk, &mac)
                                   : status;
    status =
        status == SGX_SUCCESS ? quote_read(c, host_message->quote, quote_size, hash, mac) : status;
    status = status == SGX_SUCCESS ? sgx_sha256_get_hash(hash, &digest) : status;
    status = status == SGX_SUCCESS ? sgx_cmac128_final(mac, &head.mac) : status;
    if (hash) {
        sgx_sha256_close(hash);
    }
    if (mac) {
        sgx_cmac128_close(mac);
    }
    if (status != SGX_SUCCESS) {
        return status == SGX_ERROR_INVALID_PARAMETER ? status : told(status);
    }
    if (CRYPTO_memcmp(digest, qe_report->body.report_data.d, sizeof(digest)) != 0) {
        return SGX_ERROR_MAC_MISMATCH;
    }
    return cella_is_ok(intel_core_copy_out(host_message, &head, sizeof(head)))
               ? SGX_SUCCESS
               : SGX_ERROR_INVALID_PARAMETER;
}

static sgx_status_t message3_check(const struct context *c, const sgx_report_t *qe_report)
{
    if (c->state != STATE_HAS_KEYS) {
        return SGX_ERROR_INVALID_STATE;
    }
    if (memcmp(&qe_report->body.attributes, &c->qe_target.attributes, sizeof(sgx_attributes_t)) !=
            0 ||
        memcmp(&qe_report->body.mr_enclave, &c->qe_target.mr_enclave, sizeof(sgx_measurement_t)) !=
            0) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    return SGX_SUCCESS;
}

sgx_status_t sgx_ra_get_msg3_trusted(sgx_ra_context_t context, uint32_t quote_size,
                                     sgx_report_t *qe_report, sgx_ra_msg3_t *p_msg3,
                                     uint32_t msg3_size)
{
    uint32_t size;
    if (quote_size == 0 || !qe_report || !p_msg3 ||
        __builtin_add_overflow(quote_size, (uint32_t)sizeof(*p_msg3), &size) || size != msg3_size ||
        !sgx_is_outside_enclave(p_msg3, msg3_size)) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    __builtin_ia32_lfence();
    sgx_status_t status = sgx_verify_report(qe_report);
    if (status != SGX_SUCCESS) {
        return status == SGX_ERROR_MAC_MISMATCH ? status : told(status);
    }
    pthread_mutex_lock(&g_lock);
    const struct context *c = context_of(context);
    status = c ? message3_check(c, qe_report) : SGX_ERROR_INVALID_PARAMETER;
    if (status == SGX_SUCCESS) {
        status = message3_make(c, quote_size, qe_report, p_msg3);
    }
    pthread_mutex_unlock(&g_lock);
    return status;
}
