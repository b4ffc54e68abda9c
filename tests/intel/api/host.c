/*
 * The host of the api enclaves: runs every group.
 * Side: host, tests. Usage: host IMAGES FOLDER DEBUG. Ends with 0 when all passed; RSA numbers come from IMAGES/numbers.
 * Or: host IMAGES FILE DEBUG seal|open, for a blob that outlives a run.
 */
#include "host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sgx_uswitchless.h"

unsigned failures;
int debug_mode;
static const char *images;

int host_double(int number)
{
    return 2 * number;
}

int host_double_switchless(int number)
{
    return 2 * number;
}

int host_errno(int number)
{
    errno = number;
    return -1;
}

const char *image_of(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s/%s.signed.so", images, name);
    return path;
}

sgx_enclave_id_t enclave_of(const char *name)
{
    sgx_enclave_id_t enclave = 0;
    const sgx_status_t status =
        sgx_create_enclave(image_of(name), debug_mode, NULL, NULL, &enclave, NULL);
    if (status != SGX_SUCCESS) {
        printf("create %s: 0x%x\n", image_of(name), (unsigned)status);
        failures++;
        return 0;
    }
    return enclave;
}

/* n, e, d, p, q, dmp1, dmq1, iqmp, signature, ciphertext: one a line. */
#define RSA_LINES 10
static void rsa(sgx_enclave_id_t enclave)
{
    static char lines[RSA_LINES][1024];
    char path[4096];
    snprintf(path, sizeof(path), "%s/numbers", images);
    FILE *file = fopen(path, "r");
    int count = 0;
    while (file && count < RSA_LINES && fgets(lines[count], sizeof(lines[0]), file)) {
        lines[count][strcspn(lines[count], "\n")] = 0;
        count++;
    }
    CHECK_HOST(file && count == RSA_LINES);
    if (file) {
        fclose(file);
    }
    RUN(enclave, test_rsa, lines[0], lines[1], lines[2], lines[3], lines[4], lines[5], lines[6],
        lines[7], lines[8], lines[9]);
    RUN(enclave, test_rsa_new);
}

static void groups(sgx_enclave_id_t enclave, const char *folder)
{
    uint8_t text[64], room[64];
    uint32_t length = sizeof(room);
    memset(text, 0x55, sizeof(text));
    RUN(enclave, test_hashes);
    RUN(enclave, test_macs);
    RUN(enclave, test_gcm);
    RUN(enclave, test_ctr);
    RUN(enclave, test_ecc);
    RUN(enclave, test_ecdsa);
    rsa(enclave);
    RUN(enclave, test_trts, text);
    RUN(enclave, test_report);
    RUN(enclave, test_keys, 3, 0);
    RUN(enclave, test_seal);
    RUN(enclave, seal_outside, text, room, &length);
    RUN(enclave, test_dh_states);
    RUN(enclave, test_threads_alone);
    RUN(enclave, test_reserved);
    RUN(enclave, test_mm);
    RUN(enclave, test_align);
    RUN(enclave, test_heap);
    RUN(enclave, test_strings);
    RUN(enclave, test_faults);
    RUN(enclave, test_files, folder);
    RUN(enclave, call_host, 7);
}

/* ------------------------------------------------------------------- switchless */

static unsigned started[2], ended[2];

static void on_start(sgx_uswitchless_worker_type_t type, sgx_uswitchless_worker_event_t event,
                     const sgx_uswitchless_worker_stats_t *stats)
{
    (void)event;
    (void)stats;
    __atomic_fetch_add(&started[type], 1, __ATOMIC_RELAXED);
}

static void on_end(sgx_uswitchless_worker_type_t type, sgx_uswitchless_worker_event_t event,
                   const sgx_uswitchless_worker_stats_t *stats)
{
    (void)event;
    (void)stats;
    __atomic_fetch_add(&ended[type], 1, __ATOMIC_RELAXED);
}

static void switchless(void)
{
    sgx_uswitchless_config_t config = SGX_USWITCHLESS_CONFIG_INITIALIZER;
    const void *features[MAX_EX_FEATURES_COUNT] = {0};
    const int numbers[3] = {1, 2, 39};
    sgx_enclave_id_t enclave = 0;
    int sum = 0;
    config.num_uworkers = 2;
    config.num_tworkers = 1;
    config.callback_func[SGX_USWITCHLESS_WORKER_EVENT_START] = on_start;
    config.callback_func[SGX_USWITCHLESS_WORKER_EVENT_EXIT] = on_end;
    features[SGX_CREATE_ENCLAVE_EX_SWITCHLESS_BIT_IDX] = &config;
    STATUS(sgx_create_enclave_ex(image_of("api"), debug_mode, NULL, NULL, &enclave, NULL,
                                 SGX_CREATE_ENCLAVE_EX_SWITCHLESS, features),
           SGX_SUCCESS);
    CHECK_HOST(started[SGX_USWITCHLESS_WORKER_TYPE_UNTRUSTED] == 2);
    CHECK_HOST(started[SGX_USWITCHLESS_WORKER_TYPE_TRUSTED] == 1);
    for (int i = 0; i < 200; i++) {
        sum = 0;
        STATUS(call_sum(enclave, &sum, numbers, 3), SGX_SUCCESS);
        CHECK_HOST(sum == 42);
    }
    RUN(enclave, call_host, 9);
    STATUS(sgx_destroy_enclave(enclave), SGX_SUCCESS);
    CHECK_HOST(ended[SGX_USWITCHLESS_WORKER_TYPE_UNTRUSTED] == 2);
    CHECK_HOST(ended[SGX_USWITCHLESS_WORKER_TYPE_TRUSTED] == 1);
    config.num_tworkers = 1ull << 40;
    STATUS(sgx_create_enclave_ex(image_of("api"), debug_mode, NULL, NULL, &enclave, NULL,
                                 SGX_CREATE_ENCLAVE_EX_SWITCHLESS, features),
           SGX_ERROR_INVALID_PARAMETER);
    config.num_tworkers = 1;
    config.switchless_calls_pool_size_qwords = SL_MAX_TASKS_MAX_QWORDS + 1;
    STATUS(sgx_create_enclave_ex(image_of("api"), debug_mode, NULL, NULL, &enclave, NULL,
                                 SGX_CREATE_ENCLAVE_EX_SWITCHLESS, features),
           SGX_ERROR_INVALID_PARAMETER);
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5) {
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    images = argv[1];
    debug_mode = atoi(argv[3]);
    if (argc == 5) {
        return sealed_file(argv[4], argv[2]);
    }
    codes_creation(argv[2]);
    const sgx_enclave_id_t enclave = enclave_of("api");
    if (enclave) {
        groups(enclave, argv[2]);
        STATUS(sgx_destroy_enclave(enclave), SGX_SUCCESS);
        switchless();
        several_threads();
        between_enclaves(argv[2]);
        codes_calls();
        codes_end();
    }
    printf("%u failures\n", failures);
    return failures != 0;
}
