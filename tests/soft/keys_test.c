/*
 * Keys: what each depends on, the KDF and CMAC against libcrypto's own, report MACs.
 * Side: tests (host). The platform is an ephemeral one.
 */
#include "tests/soft/sdm.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdlib.h>
#include <string.h>

#include "soft/keys.h"

static const struct sdm_options rich = {
    .flags = SGX_FLAGS_KSS | SGX_FLAGS_PROVISIONKEY | SGX_FLAGS_EINITTOKENKEY,
    .misc_select = 1,
    .config_id = {1, 2, 3},
    .config_svn = 3,
    .isv_prod_id = 7,
    .isv_svn = 5,
    .isv_family_id = {4},
    .isv_ext_prod_id = {5},
};

/* ------------------------------------------------------------------ primitives */

static void evp_mac(const char *cipher, const uint8_t *key, size_t key_size, const void *data,
                    size_t size, uint8_t mac[16])
{
    EVP_MAC *method = EVP_MAC_fetch(NULL, "CMAC", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(method);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, (char *)(uintptr_t)cipher, 0),
        OSSL_PARAM_construct_end()};
    size_t length = 0;
    assert_int_equal(EVP_MAC_init(context, key, key_size, parameters), 1);
    assert_int_equal(EVP_MAC_update(context, data, size), 1);
    assert_int_equal(EVP_MAC_final(context, mac, &length, 16), 1);
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(method);
}

static void test_cmac_vectors(void **state)
{
    /* RFC 4493, section 4 */
    static const uint8_t key[16] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
                                    0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
    static const uint8_t empty[16] = {0xbb, 0x1d, 0x69, 0x29, 0xe9, 0x59, 0x37, 0x28,
                                      0x7f, 0xa3, 0x7d, 0x12, 0x9b, 0x75, 0x67, 0x46};
    uint8_t mac[16];
    uint8_t expected[16];
    uint8_t data[300];
    (void)state;
    soft_cmac(key, NULL, 0, mac);
    assert_memory_equal(mac, empty, 16);
    for (size_t size = 0; size <= sizeof(data); size++) {
        memset(data, (int)size, sizeof(data));
        soft_cmac(key, data, size, mac);
        evp_mac("AES-128-CBC", key, 16, data, size, expected);
        assert_memory_equal(mac, expected, 16);
    }
}

/* The derivation is NIST SP 800-108 in counter mode: libcrypto's KBKDF gives the same key. */
static void test_derivation_is_kbkdf(void **state)
{
    struct soft_key_inputs inputs;
    uint8_t root[32];
    uint8_t key[16];
    uint8_t expected[16];
    char label[] = "Cella software SGX key v1";
    (void)state;
    memset(&inputs, 0x3c, sizeof(inputs));
    soft_platform_root_key(root);
    EVP_KDF *method = EVP_KDF_fetch(NULL, "KBKDF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(method);
    char mode[] = "counter", mac[] = "CMAC", cipher[] = "AES-256-CBC";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, mode, 0),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MAC, mac, 0),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_CIPHER, cipher, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, root, sizeof(root)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, label, strlen(label)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, &inputs, sizeof(inputs)),
        OSSL_PARAM_construct_end()};
    assert_int_equal(EVP_KDF_derive(context, expected, sizeof(expected), parameters), 1);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(method);
    soft_derive_key(&inputs, key);
    assert_memory_equal(key, expected, 16);
}

/* Not one byte of the serialisation is without effect. */
static void test_every_input_byte_counts(void **state)
{
    struct soft_key_inputs inputs = {0};
    uint8_t base[16];
    uint8_t key[16];
    (void)state;
    soft_derive_key(&inputs, base);
    for (size_t i = 0; i < sizeof(inputs); i++) {
        ((uint8_t *)&inputs)[i] = 1;
        soft_derive_key(&inputs, key);
        assert_memory_not_equal(key, base, 16);
        ((uint8_t *)&inputs)[i] = 0;
    }
}

/* ------------------------------------------------------------------ the dependency table */

struct bed {
    struct sdm sdm;
    struct sgx_secs secs; /* as it was */
    struct sgx_keyrequest request;
};

static struct sgx_secs *secs_of(struct bed *bed)
{
    return &bed->sdm.e->control->shared.secs;
}

#define CHANGE(name, statement)                                                                    \
    static void name(struct bed *bed)                                                              \
    {                                                                                              \
        (void)bed;                                                                                 \
        statement;                                                                                 \
    }

static const uint8_t svn_now[16] = {4, 4};
static const uint8_t svn_raised[16] = {4, 5};
static const uint8_t epoch_now[16] = {9};
static const uint8_t epoch_new[16] = {9, 1};

CHANGE(owner_epoch, soft_platform_set_owner_epoch(epoch_new))
CHANGE(cpu_svn_asked, bed->request.cpu_svn[0] = 3)
CHANGE(cpu_svn_current, soft_platform_set_cpu_svn(svn_raised))
CHANGE(isv_svn_asked, bed->request.isv_svn = 4)
CHANGE(isv_svn_secs, secs_of(bed)->isv_svn = 6)
CHANGE(isv_prod_id, secs_of(bed)->isv_prod_id ^= 0x100)
CHANGE(family_id, soft_secs_tail(secs_of(bed))->isv_family_id[15] ^= 1)
CHANGE(ext_prod_id, soft_secs_tail(secs_of(bed))->isv_ext_prod_id[15] ^= 1)
CHANGE(config_id, secs_of(bed)->config_id[63] ^= 1)
CHANGE(config_svn_asked, bed->request.config_svn = 1)
CHANGE(config_svn_secs, secs_of(bed)->config_svn = 4)
CHANGE(mr_enclave, secs_of(bed)->mr_enclave[31] ^= 1)
CHANGE(mr_signer, secs_of(bed)->mr_signer[31] ^= 1)
CHANGE(key_id, bed->request.key_id[31] ^= 1)
CHANGE(debug_flag, secs_of(bed)->attributes.flags ^= SGX_FLAGS_DEBUG)
CHANGE(init_flag, secs_of(bed)->attributes.flags ^= SGX_FLAGS_INIT)
CHANGE(masked_flag, secs_of(bed)->attributes.flags ^= SGX_FLAGS_AEXNOTIFY)
CHANGE(unmasked_flag, secs_of(bed)->attributes.flags ^= SGX_FLAGS_MODE64BIT)
CHANGE(masked_xfrm, secs_of(bed)->attributes.xfrm ^= 4)
CHANGE(unmasked_xfrm, secs_of(bed)->attributes.xfrm ^= 8)
CHANGE(attribute_mask, bed->request.attribute_mask.flags ^= 1ull << 40)
CHANGE(xfrm_mask, bed->request.attribute_mask.xfrm ^= 1ull << 40)
CHANGE(masked_misc, secs_of(bed)->misc_select ^= 1)
CHANGE(unmasked_misc, secs_of(bed)->misc_select ^= 2)
CHANGE(misc_mask, bed->request.misc_mask ^= 1u << 20)
CHANGE(padding, soft_secs_tail(secs_of(bed))->padding[200] ^= 1)
CHANGE(mr_reserved, secs_of(bed)->reserved2[0] ^= 1)

/* sgx-abi: EGETKEY's table. Y always, N never, P when the policy bit is set, Q when it is clear. */
static const struct {
    const char *input;
    void (*change)(struct bed *bed);
    uint16_t policy;
    char by_name[6]; /* EINITTOKEN, PROVISION, PROVISION_SEAL, REPORT, SEAL */
} table[] = {
    {"owner epoch", owner_epoch, 0, "YNNYY"},
    {"CPUSVN asked for", cpu_svn_asked, 0, "YYYNY"},
    {"CPUSVN of the platform", cpu_svn_current, 0, "NNNYN"},
    {"ISVSVN asked for", isv_svn_asked, 0, "YYYNY"},
    {"ISVSVN of the SECS", isv_svn_secs, 0, "NNNNN"},
    {"ISVPRODID", isv_prod_id, SGX_KEYPOLICY_NOISVPRODID, "YYQNQ"},
    {"ISVFAMILYID", family_id, SGX_KEYPOLICY_ISVFAMILYID, "NNPNP"},
    {"ISVEXTPRODID", ext_prod_id, SGX_KEYPOLICY_ISVEXTPRODID, "NNPNP"},
    {"CONFIGID", config_id, SGX_KEYPOLICY_CONFIGID, "NNPYP"},
    {"CONFIGSVN asked for", config_svn_asked, SGX_KEYPOLICY_CONFIGID, "NNPNP"},
    {"CONFIGSVN of the SECS", config_svn_secs, 0, "NNNYN"},
    {"MRENCLAVE", mr_enclave, SGX_KEYPOLICY_MRENCLAVE, "NNNYP"},
    {"MRSIGNER", mr_signer, SGX_KEYPOLICY_MRSIGNER, "YYYNP"},
    {"KEYID", key_id, 0, "YNNYY"},
    {"ATTRIBUTES.DEBUG", debug_flag, 0, "YYYYY"},
    {"ATTRIBUTES.INIT", init_flag, 0, "YYYYY"},
    {"an attribute in the mask", masked_flag, 0, "YYYYY"},
    {"an attribute outside the mask", unmasked_flag, 0, "NNNYN"},
    {"XFRM in the mask", masked_xfrm, 0, "YYYYY"},
    {"XFRM outside the mask", unmasked_xfrm, 0, "NNNYN"},
    {"ATTRIBUTEMASK", attribute_mask, 0, "NYYNY"},
    {"ATTRIBUTEMASK.XFRM", xfrm_mask, 0, "NYYNY"},
    {"MISCSELECT in the mask", masked_misc, 0, "YYYYY"},
    {"MISCSELECT outside the mask", unmasked_misc, 0, "NNNYN"},
    {"MISCMASK", misc_mask, 0, "NYYNY"},
    {"PADDING", padding, 0, "YYYNY"},
    {"reserved bytes of the SECS", mr_reserved, 0, "NNNNN"},
};

static void restore(struct bed *bed, uint16_t name, uint16_t policy)
{
    *secs_of(bed) = bed->secs;
    soft_platform_set_cpu_svn(svn_now);
    soft_platform_set_owner_epoch(epoch_now);
    memset(&bed->request, 0, sizeof(bed->request));
    bed->request.key_name = name;
    bed->request.key_policy = policy;
    bed->request.isv_svn = 5;
    bed->request.config_svn = 2;
    bed->request.misc_mask = 1;
    bed->request.attribute_mask.flags = SGX_FLAGS_AEXNOTIFY;
    bed->request.attribute_mask.xfrm = 4;
    memcpy(bed->request.cpu_svn, svn_now, 16);
}

static struct soft_outcome get_key(struct bed *bed, uint8_t key[16])
{
    memcpy(sdm_page(&bed->sdm, SDM_DATA), &bed->request, sizeof(bed->request));
    struct soft_outcome outcome =
        soft_enclu(&bed->sdm.e->pub, SGX_EGETKEY, SDM_BASE + SDM_DATA, SDM_BASE + SDM_MORE, 0);
    memcpy(key, sdm_page(&bed->sdm, SDM_MORE), 16);
    return outcome;
}

static bool depends(size_t row, uint16_t name, uint16_t policy)
{
    switch (table[row].by_name[name]) {
    case 'Y':
        return true;
    case 'P':
        return policy & table[row].policy;
    case 'Q':
        return !(policy & table[row].policy);
    default:
        return false;
    }
}

static void test_dependencies(void **state)
{
    struct bed bed;
    uint8_t base[16];
    uint8_t key[16];
    (void)state;
    sdm_init(&bed.sdm, &rich);
    sdm_map(&bed.sdm);
    bed.secs = *secs_of(&bed);
    for (uint16_t name = 0; name <= SGX_KEY_SEAL; name++) {
        for (uint16_t policy = 0; policy < 64; policy++) {
            restore(&bed, name, policy);
            assert_int_equal(get_key(&bed, base).kind, SOFT_DONE);
            for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                restore(&bed, name, policy);
                table[i].change(&bed);
                assert_int_equal(get_key(&bed, key).kind, SOFT_DONE);
                bool changed = memcmp(key, base, 16) != 0;
                if (changed != depends(i, name, policy)) {
                    fail_msg("key %u policy %#x: %s %s", name, policy, table[i].input,
                             changed ? "changes it" : "does not change it");
                }
            }
        }
    }
    sdm_close(&bed.sdm);
}

/* The policy itself is an input of SEAL and PROVISION_SEAL, even when what it selects is zero. */
static void test_policy_is_an_input(void **state)
{
    struct bed bed;
    uint8_t keys[2][16];
    (void)state;
    sdm_init(&bed.sdm, &rich);
    sdm_map(&bed.sdm);
    bed.secs = *secs_of(&bed);
    memset(soft_secs_tail(&bed.secs)->isv_family_id, 0, 16);
    for (uint16_t name = 0; name <= SGX_KEY_SEAL; name++) {
        for (unsigned i = 0; i < 2; i++) {
            restore(&bed, name, i ? SGX_KEYPOLICY_ISVFAMILYID : 0);
            assert_int_equal(get_key(&bed, keys[i]).kind, SOFT_DONE);
        }
        bool is_input = name == SGX_KEY_SEAL || name == SGX_KEY_PROVISION_SEAL;
        assert_int_equal(memcmp(keys[0], keys[1], 16) != 0, is_input);
    }
    sdm_close(&bed.sdm);
}

/* Seal fuses go into every key but PROVISION; key names give different keys. */
static void test_fuses_and_names(void **state)
{
    struct bed bed;
    uint8_t keys[5][16];
    uint8_t fuses[16];
    (void)state;
    sdm_init(&bed.sdm, &rich);
    sdm_map(&bed.sdm);
    bed.secs = *secs_of(&bed);
    soft_platform_seal_fuses(fuses);
    for (uint16_t name = 0; name <= SGX_KEY_SEAL; name++) {
        struct soft_key_inputs inputs;
        restore(&bed, name, 0);
        soft_key_inputs_for_request(&inputs, &bed.request, secs_of(&bed));
        assert_int_equal(!memcmp(inputs.seal_fuses, fuses, 16), name != SGX_KEY_PROVISION);
        assert_int_equal(soft_all_zero(inputs.seal_fuses, 16), name == SGX_KEY_PROVISION);
        assert_int_equal(get_key(&bed, keys[name]).kind, SOFT_DONE);
        for (uint16_t other = 0; other < name; other++) {
            assert_memory_not_equal(keys[name], keys[other], 16);
        }
    }
    sdm_close(&bed.sdm);
}

/* Another platform, other keys. */
static void test_root_key(void **state)
{
    struct bed bed;
    uint8_t keys[2][16];
    (void)state;
    sdm_init(&bed.sdm, &rich);
    sdm_map(&bed.sdm);
    bed.secs = *secs_of(&bed);
    for (uint16_t name = 0; name <= SGX_KEY_SEAL; name++) {
        for (unsigned i = 0; i < 2; i++) {
            restore(&bed, name, 3);
            assert_int_equal(get_key(&bed, keys[i]).kind, SOFT_DONE);
            soft_platform_reset();
        }
        assert_memory_not_equal(keys[0], keys[1], 16);
    }
    sdm_close(&bed.sdm);
}

/* ------------------------------------------------------------------ reports */

static void describe(struct sdm *sdm, struct sgx_targetinfo *target)
{
    const struct sgx_secs *secs = &sdm->e->control->shared.secs;
    memset(target, 0, sizeof(*target));
    memcpy(target->measurement, secs->mr_enclave, 32);
    target->attributes = secs->attributes;
    target->misc_select = secs->misc_select;
    target->config_svn = secs->config_svn;
    memcpy(target->config_id, secs->config_id, 64);
}

static struct sgx_report report_for(struct sdm *sdm, const struct sgx_targetinfo *target)
{
    memcpy(sdm_page(sdm, SDM_DATA), target, sizeof(*target));
    memset((uint8_t *)sdm_page(sdm, SDM_DATA) + 512, 0xda, 64);
    assert_int_equal(soft_enclu(&sdm->e->pub, SGX_EREPORT, SDM_BASE + SDM_DATA,
                                SDM_BASE + SDM_DATA + 512, SDM_BASE + SDM_MORE)
                         .kind,
                     SOFT_DONE);
    return *(struct sgx_report *)sdm_page(sdm, SDM_MORE);
}

/* What a target enclave does: EGETKEY(REPORT, KEYID of the report), CMAC, compare. */
static bool verifies(struct sdm *sdm, const struct sgx_report *report)
{
    uint8_t mac[16];
    struct sgx_keyrequest request = {.key_name = SGX_KEY_REPORT};
    memcpy(request.key_id, report->key_id, 32);
    memcpy(sdm_page(sdm, SDM_DATA), &request, sizeof(request));
    assert_int_equal(
        soft_enclu(&sdm->e->pub, SGX_EGETKEY, SDM_BASE + SDM_DATA, SDM_BASE + SDM_MORE, 0).kind,
        SOFT_DONE);
    evp_mac("AES-128-CBC", sdm_page(sdm, SDM_MORE), 16, report, 384, mac);
    return !memcmp(mac, report->mac, 16);
}

static void test_report(void **state)
{
    struct sdm sdm;
    struct sgx_targetinfo target;
    uint8_t svn[16];
    (void)state;
    sdm_init(&sdm, &rich);
    sdm_map(&sdm);
    describe(&sdm, &target);
    struct sgx_report report = report_for(&sdm, &target);
    const struct sgx_secs *secs = &sdm.e->control->shared.secs;
    soft_platform_cpu_svn(svn);
    assert_memory_equal(report.body.cpu_svn, svn, 16);
    assert_int_equal(report.body.misc_select, 1);
    assert_memory_equal(report.body.isv_ext_prod_id, rich.isv_ext_prod_id, 16);
    assert_memory_equal(report.body.isv_family_id, rich.isv_family_id, 16);
    assert_memory_equal(&report.body.attributes, &secs->attributes, 16);
    assert_memory_equal(report.body.mr_enclave, secs->mr_enclave, 32);
    assert_memory_equal(report.body.mr_signer, secs->mr_signer, 32);
    assert_memory_equal(report.body.config_id, rich.config_id, 64);
    assert_int_equal(report.body.isv_prod_id, 7);
    assert_int_equal(report.body.isv_svn, 5);
    assert_int_equal(report.body.config_svn, 3);
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(report.body.report_data[i], 0xda);
    }
    assert_true(soft_all_zero(report.body.reserved1, sizeof(report.body.reserved1)));
    assert_true(soft_all_zero(report.body.reserved2, sizeof(report.body.reserved2)));
    assert_true(soft_all_zero(report.body.reserved4, sizeof(report.body.reserved4)));
    assert_true(verifies(&sdm, &report));
    sdm_close(&sdm);
}

/*
 * A report verifies for the enclave it was made for and for no other, and not when a byte differs.
 */
static void test_report_is_bound(void **state)
{
    struct sdm sdm;
    struct sgx_targetinfo target;
    (void)state;
    sdm_init(&sdm, &rich);
    sdm_map(&sdm);
    describe(&sdm, &target);
    static const struct {
        size_t at;
        bool bound;
    } fields[] = {
        {offsetof(struct sgx_targetinfo, measurement), true},
        {offsetof(struct sgx_targetinfo, attributes), true},
        {offsetof(struct sgx_targetinfo, attributes) + 8, true},
        {offsetof(struct sgx_targetinfo, config_svn), true},
        {offsetof(struct sgx_targetinfo, misc_select), true},
        {offsetof(struct sgx_targetinfo, config_id) + 63, true},
        {offsetof(struct sgx_targetinfo, reserved2), false},
        {offsetof(struct sgx_targetinfo, reserved3), false},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct sgx_targetinfo other = target;
        ((uint8_t *)&other)[fields[i].at] ^= 0x10;
        struct sgx_report report = report_for(&sdm, &other);
        assert_int_equal(verifies(&sdm, &report), !fields[i].bound);
    }
    struct sgx_report good = report_for(&sdm, &target);
    for (size_t i = 0; i < sizeof(good); i++) {
        struct sgx_report bad = good;
        ((uint8_t *)&bad)[i] ^= 1;
        assert_false(verifies(&sdm, &bad));
    }
    sdm_close(&sdm);
}

int main(void)
{
    unsetenv("CELLA_PLATFORM_DIR");
    unsetenv("XDG_STATE_HOME");
    unsetenv("HOME");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cmac_vectors),
        cmocka_unit_test(test_derivation_is_kbkdf),
        cmocka_unit_test(test_every_input_byte_counts),
        cmocka_unit_test(test_dependencies),
        cmocka_unit_test(test_policy_is_an_input),
        cmocka_unit_test(test_fuses_and_names),
        cmocka_unit_test(test_root_key),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_report_is_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
