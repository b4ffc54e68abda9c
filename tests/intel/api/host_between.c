/*
 * Two enclaves: reports, sealed data and protected files of one for the other, and both key exchanges.
 * Side: host, tests. Images: `older` and `newer` are `api` with other SVNs, `other` has another signer, `kss` identities.
 */
#include "host.h"

#include <stdlib.h>
#include <string.h>

#include "sgx_tseal.h"
#include "sgx_ukey_exchange.h"

#define BLOB_SIZE ((uint32_t)sizeof(sgx_sealed_data_t) + 17)

static void reports(sgx_enclave_id_t a, sgx_enclave_id_t b)
{
    sgx_target_info_t target;
    sgx_report_t report;
    sgx_status_t inner = SGX_ERROR_UNEXPECTED;
    STATUS(sgx_get_target_info(b, &target), SGX_SUCCESS);
    STATUS(report_make(a, &inner, &target, &report), SGX_SUCCESS);
    STATUS(inner, SGX_SUCCESS);
    STATUS(report_check(b, &inner, &report), SGX_SUCCESS);
    STATUS(inner, SGX_SUCCESS);
    STATUS(report_check(a, &inner, &report), SGX_SUCCESS);
    STATUS(inner, SGX_ERROR_MAC_MISMATCH);
    report.body.isv_svn++;
    STATUS(report_check(b, &inner, &report), SGX_SUCCESS);
    STATUS(inner, SGX_ERROR_MAC_MISMATCH);
    STATUS(sgx_get_target_info(b, NULL), SGX_ERROR_INVALID_PARAMETER);
    STATUS(sgx_get_target_info(0x7777, &target), SGX_ERROR_INVALID_ENCLAVE_ID);
}

static void sealed(sgx_enclave_id_t from, uint16_t policy, sgx_enclave_id_t to, sgx_status_t wanted)
{
    uint8_t blob[BLOB_SIZE];
    sgx_status_t inner = SGX_ERROR_UNEXPECTED;
    STATUS(blob_make(from, &inner, policy, blob, BLOB_SIZE), SGX_SUCCESS);
    STATUS(inner, SGX_SUCCESS);
    STATUS(blob_open(to, &inner, blob, BLOB_SIZE), SGX_SUCCESS);
    STATUS(inner, wanted);
}

static void sealing(sgx_enclave_id_t a, sgx_enclave_id_t older, sgx_enclave_id_t newer,
                    sgx_enclave_id_t other, sgx_enclave_id_t kss)
{
    sealed(a, 0, a, SGX_SUCCESS);
    sealed(a, 0, newer, SGX_SUCCESS);
    sealed(a, 0, older, SGX_ERROR_INVALID_ISVSVN);
    sealed(a, 0, other, SGX_ERROR_MAC_MISMATCH);
    sealed(a, SGX_KEYPOLICY_MRSIGNER, newer, SGX_SUCCESS);
    sealed(a, SGX_KEYPOLICY_MRENCLAVE, a, SGX_SUCCESS);
    sealed(a, SGX_KEYPOLICY_MRENCLAVE, newer, SGX_ERROR_MAC_MISMATCH);
    sealed(a, SGX_KEYPOLICY_MRENCLAVE, other, SGX_ERROR_MAC_MISMATCH);
    sealed(kss, 0, kss, SGX_SUCCESS);
    sealed(kss, 0, a, SGX_ERROR_MAC_MISMATCH);
    sealed(kss, SGX_KEYPOLICY_MRSIGNER | SGX_KEYPOLICY_NOISVPRODID, kss, SGX_SUCCESS);
}

/* `alter`: 1 and 2 change a byte of that message; 3, of message 3. */
static void local_exchange(sgx_enclave_id_t initiator, sgx_enclave_id_t responder, int version,
                           int alter)
{
    sgx_dh_msg1_t message1;
    sgx_dh_msg2_t message2;
    sgx_dh_msg3_t message3;
    sgx_dh_session_enclave_identity_t who_initiates, who_responds;
    sgx_target_info_t target;
    uint8_t key_a[16], key_b[16];
    sgx_status_t inner = SGX_ERROR_UNEXPECTED;
    STATUS(dh_respond1(responder, &inner, &message1), SGX_SUCCESS);
    STATUS(inner, SGX_SUCCESS);
    message1.target.mr_enclave.m[3] ^= (uint8_t)(alter == 1);
    STATUS(dh_initiate1(initiator, &inner, version, &message1, &message2), SGX_SUCCESS);
    STATUS(inner, SGX_SUCCESS);
    message2.report.body.mr_signer.m[0] ^= (uint8_t)(alter == 2);
    STATUS(dh_respond2(responder, &inner, &message2, &message3, &who_initiates, key_a),
           SGX_SUCCESS);
    if (alter == 1 || alter == 2) {
        CHECK_HOST(inner != SGX_SUCCESS);
        return;
    }
    STATUS(inner, SGX_SUCCESS);
    message3.msg3_body.report.body.isv_svn ^= (uint16_t)(alter == 3);
    STATUS(dh_initiate3(initiator, &inner, version, &message3, &who_responds, key_b), SGX_SUCCESS);
    if (alter == 3) {
        CHECK_HOST(inner != SGX_SUCCESS);
        return;
    }
    STATUS(inner, SGX_SUCCESS);
    CHECK_HOST(memcmp(key_a, key_b, sizeof(key_a)) == 0);
    STATUS(sgx_get_target_info(initiator, &target), SGX_SUCCESS);
    CHECK_HOST(memcmp(&who_initiates.mr_enclave, &target.mr_enclave, 32) == 0);
    STATUS(sgx_get_target_info(responder, &target), SGX_SUCCESS);
    CHECK_HOST(memcmp(&who_responds.mr_enclave, &target.mr_enclave, 32) == 0);
    /* A session is used once. */
    STATUS(dh_respond2(responder, &inner, &message2, &message3, &who_initiates, key_a),
           SGX_SUCCESS);
    STATUS(inner, SGX_ERROR_INVALID_STATE);
}

#define QUOTE_SIZE 600u

/* `alter`: 1 message 2's signature, 2 its MAC, 3 the quote behind the quoting enclave's report. */
static void remote_exchange(sgx_enclave_id_t client, sgx_enclave_id_t provider, int own_keys,
                            int alter)
{
    const uint32_t size = sizeof(sgx_ra_msg3_t) + QUOTE_SIZE;
    sgx_ra_msg3_t *message3 = calloc(1, size);
    sgx_ec256_public_t key, g_a, again;
    sgx_ra_msg2_t message2;
    sgx_ra_context_t context = 0;
    sgx_target_info_t client_target, quoting_target;
    sgx_report_t report, quoting;
    sgx_quote_nonce_t nonce;
    uint8_t mk[16], own_mk[16] = {0};
    sgx_status_t inner = SGX_ERROR_UNEXPECTED;
    int line = -1;
    memset(message3->quote, 0x21, QUOTE_SIZE);
    STATUS(sgx_get_target_info(client, &client_target), SGX_SUCCESS);
    STATUS(sgx_get_target_info(provider, &quoting_target), SGX_SUCCESS);
    STATUS(provider_key(provider, &line, &key), SGX_SUCCESS);
    STATUS(client_start(client, &inner, &key, own_keys, &context), SGX_SUCCESS);
    STATUS(inner, SGX_SUCCESS);
    STATUS(client_key(client, &inner, context, own_mk), SGX_SUCCESS);
    STATUS(inner, SGX_ERROR_INVALID_STATE);
    STATUS(sgx_ra_get_ga(client, &inner, context, &g_a), SGX_SUCCESS);
    STATUS(inner, SGX_SUCCESS);
    STATUS(sgx_ra_get_ga(client, &inner, context, &again), SGX_SUCCESS);
    STATUS(inner, SGX_ERROR_INVALID_STATE);
    STATUS(provider_message2(provider, &line, &g_a, &message2, mk), SGX_SUCCESS);
    STATUS(line, 0);
    message2.sign_gb_ga.x[1] ^= alter == 1;
    message2.mac[2] ^= (uint8_t)(alter == 2);
    STATUS(sgx_ra_proc_msg2_trusted(client, &inner, context, &message2, &quoting_target, &report,
                                    &nonce),
           SGX_SUCCESS);
    if (alter == 1 || alter == 2) {
        STATUS(inner, alter == 1 ? SGX_ERROR_INVALID_SIGNATURE : SGX_ERROR_MAC_MISMATCH);
        free(message3);
        return;
    }
    STATUS(inner, SGX_SUCCESS);
    STATUS(report_check(provider, &inner, &report), SGX_SUCCESS);
    STATUS(inner, SGX_SUCCESS);
    STATUS(quoting_report(provider, &line, &client_target, &nonce, message3->quote, QUOTE_SIZE,
                          &quoting),
           SGX_SUCCESS);
    CHECK_HOST(line == 0);
    message3->quote[5] ^= (uint8_t)(alter == 3);
    STATUS(sgx_ra_get_msg3_trusted(client, &inner, context, QUOTE_SIZE, &quoting, message3, size),
           SGX_SUCCESS);
    if (alter == 3) {
        STATUS(inner, SGX_ERROR_MAC_MISMATCH);
        free(message3);
        return;
    }
    STATUS(inner, SGX_SUCCESS);
    CHECK_HOST(memcmp(&message3->g_a, &g_a, sizeof(g_a)) == 0);
    STATUS(
        sgx_ra_get_msg3_trusted(client, &inner, context, QUOTE_SIZE, &quoting, message3, size - 1),
        SGX_SUCCESS);
    STATUS(inner, SGX_ERROR_INVALID_PARAMETER);
    STATUS(client_key(client, &inner, context, own_mk), SGX_SUCCESS);
    STATUS(inner, SGX_SUCCESS);
    if (own_keys) {
        memset(mk, 0x77, sizeof(mk));
    }
    CHECK_HOST(memcmp(mk, own_mk, sizeof(mk)) == 0);
    RUN(client, test_key_exchange, context);
    free(message3);
}

/* The application's half checks its arguments before it asks anybody. */
static void remote_arguments(sgx_enclave_id_t client)
{
    sgx_ra_msg1_t message1;
    sgx_ra_msg2_t message2;
    sgx_ra_msg3_t *message3 = NULL;
    uint32_t size = 0;
    memset(&message2, 0, sizeof(message2));
    message2.sig_rl_size = 5;
    STATUS(sgx_ra_get_msg1(0, client, sgx_ra_get_ga, NULL), SGX_ERROR_INVALID_PARAMETER);
    STATUS(sgx_ra_get_msg1(0, client, NULL, &message1), SGX_ERROR_INVALID_PARAMETER);
    STATUS(sgx_ra_get_msg1_ex(NULL, 0, client, sgx_ra_get_ga, &message1),
           SGX_ERROR_INVALID_PARAMETER);
    STATUS(sgx_ra_proc_msg2(0, client, sgx_ra_proc_msg2_trusted, sgx_ra_get_msg3_trusted, &message2,
                            sizeof(message2), &message3, &size),
           SGX_ERROR_INVALID_PARAMETER);
    STATUS(sgx_ra_proc_msg2(0, client, NULL, sgx_ra_get_msg3_trusted, &message2, sizeof(message2),
                            &message3, &size),
           SGX_ERROR_INVALID_PARAMETER);
}

static void files(sgx_enclave_id_t a, sgx_enclave_id_t other, const char *folder)
{
    char name[4096];
    uint8_t key[16];
    snprintf(name, sizeof(name), "%s/moved", folder);
    RUN(a, file_make, name, key);
    RUN(other, file_take, name, key);
    /* A byte of the file changes on the disk. */
    FILE *file = fopen(name, "r+b");
    CHECK_HOST(file != NULL);
    if (file) {
        fseek(file, 200, SEEK_SET);
        const int byte = fgetc(file);
        fseek(file, 200, SEEK_SET);
        fputc(byte ^ 1, file);
        fclose(file);
    }
    RUN(other, file_refused, name);
    remove(name);
}

/* Another run opens what this one seals; gives what opening it says. */
int sealed_file(const char *how, const char *path)
{
    uint8_t blob[BLOB_SIZE];
    sgx_status_t inner = SGX_ERROR_UNEXPECTED;
    const int seals = strcmp(how, "seal") == 0;
    const sgx_enclave_id_t enclave = enclave_of("api");
    FILE *file = fopen(path, seals ? "wb" : "rb");
    CHECK_HOST(file != NULL);
    if (file && seals) {
        STATUS(blob_make(enclave, &inner, 0, blob, BLOB_SIZE), SGX_SUCCESS);
        CHECK_HOST(fwrite(blob, 1, BLOB_SIZE, file) == BLOB_SIZE);
    } else if (file) {
        CHECK_HOST(fread(blob, 1, BLOB_SIZE, file) == BLOB_SIZE);
        STATUS(blob_open(enclave, &inner, blob, BLOB_SIZE), SGX_SUCCESS);
    }
    if (file) {
        fclose(file);
    }
    STATUS(sgx_destroy_enclave(enclave), SGX_SUCCESS);
    printf("%s: 0x%x\n", how, (unsigned)inner);
    return failures != 0;
}

void between_enclaves(const char *folder)
{
    const sgx_enclave_id_t a = enclave_of("api"), older = enclave_of("older"),
                           newer = enclave_of("newer"), other = enclave_of("other"),
                           kss = enclave_of("kss");
    reports(a, other);
    reports(kss, a);
    reports(a, kss);
    RUN(kss, test_keys, 3, 1);
    sealing(a, older, newer, other, kss);
    for (int version = 1; version <= 2; version++) {
        for (int alter = 0; alter <= 3; alter++) {
            local_exchange(a, other, version, alter);
        }
        local_exchange(kss, a, version, 0);
        local_exchange(a, kss, version, 0);
        local_exchange(a, a, version, 0);
    }
    for (int alter = 0; alter <= 3; alter++) {
        remote_exchange(a, other, 0, alter);
    }
    remote_exchange(other, a, 1, 0);
    remote_arguments(a);
    files(a, other, folder);
    const sgx_enclave_id_t all[] = {a, older, newer, other, kss};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        STATUS(sgx_destroy_enclave(all[i]), SGX_SUCCESS);
    }
}
