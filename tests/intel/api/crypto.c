/*
 * sgx_tcrypto.h: hashes, MACs and AES, by the answers of FIPS 180-4, RFC 4231, RFC 4493, SP 800-38A and the GCM paper.
 * Side: enclave, tests. Each function gives 0 or the line that failed.
 */
#include "sgx_tcrypto.h"

#include <stdlib.h>

#include "api_t.h"
#include "bytes.h"
#include "check.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* SHA-1 */

#define TEXT(text) (const uint8_t *)(text), sizeof(text) - 1
#define TWO_BLOCKS "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"

static const char sha1_abc[] = "a9993e364706816aba3e25717850c26c9cd0d89d";
static const char sha1_two[] = "84983e441c3bd26ebaae4aa1f95129e5e54670f1";
static const char sha256_abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char sha256_two[] = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
static const char sha384_abc[] = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                                 "8086072ba1e7cc2358baeca134c825a7";
static const char sha384_two[] = "3391fdddfc8dc7393707a65b1b4709397cf8b1d162af05abfe8f450de5f36bc6"
                                 "b0455a8520bc4e6f5fe95b1fe3c8452b";

/* One family: the message at once and in parts, the state going on after its hash was asked for. */
#define FAMILY(bits)                                                                               \
    static int family_##bits(void)                                                                 \
    {                                                                                              \
        sgx_sha##bits##_hash_t hash;                                                               \
        sgx_sha_state_handle_t state = NULL;                                                       \
        GOOD(sgx_sha##bits##_msg(TEXT("abc"), &hash));                                             \
        CHECK(bytes_are(hash, sha##bits##_abc));                                                   \
        GOOD(sgx_sha##bits##_init(&state));                                                        \
        GOOD(sgx_sha##bits##_update(TEXT("abc"), state));                                          \
        GOOD(sgx_sha##bits##_get_hash(state, &hash));                                              \
        CHECK(bytes_are(hash, sha##bits##_abc));                                                   \
        GOOD(sgx_sha##bits##_update((const uint8_t *)TWO_BLOCKS, 3, state));                       \
        GOOD(sgx_sha##bits##_close(state));                                                        \
        GOOD(sgx_sha##bits##_init(&state));                                                        \
        GOOD(sgx_sha##bits##_update((const uint8_t *)TWO_BLOCKS, 30, state));                      \
        GOOD(sgx_sha##bits##_update((const uint8_t *)TWO_BLOCKS + 30, 26, state));                 \
        GOOD(sgx_sha##bits##_get_hash(state, &hash));                                              \
        CHECK(bytes_are(hash, sha##bits##_two));                                                   \
        BAD_PARAMETER(sgx_sha##bits##_update(NULL, 1, state));                                     \
        BAD_PARAMETER(sgx_sha##bits##_update(TEXT("abc"), NULL));                                  \
        BAD_PARAMETER(sgx_sha##bits##_get_hash(state, NULL));                                      \
        BAD_PARAMETER(sgx_sha##bits##_get_hash(NULL, &hash));                                      \
        GOOD(sgx_sha##bits##_close(state));                                                        \
        BAD_PARAMETER(sgx_sha##bits##_close(NULL));                                                \
        BAD_PARAMETER(sgx_sha##bits##_init(NULL));                                                 \
        BAD_PARAMETER(sgx_sha##bits##_msg(NULL, 1, &hash));                                        \
        BAD_PARAMETER(sgx_sha##bits##_msg(TEXT("abc"), NULL));                                     \
        return 0;                                                                                  \
    }
FAMILY(1)
FAMILY(256)
FAMILY(384)

int test_hashes(void)
{
    CHECK(family_1() == 0);
    CHECK(family_256() == 0);
    CHECK(family_384() == 0);
    return 0;
}

static int test_hmac(void)
{
    static const char wanted[] = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const unsigned char *key = (const unsigned char *)"Jefe";
    const unsigned char *text = (const unsigned char *)"what do ya want for nothing?";
    unsigned char mac[32];
    sgx_hmac_state_handle_t state = NULL;
    GOOD(sgx_hmac_sha256_msg(text, 28, key, 4, mac, 32));
    CHECK(bytes_are(mac, wanted));
    memset(mac, 0, sizeof(mac));
    GOOD(sgx_hmac256_init(key, 4, &state));
    GOOD(sgx_hmac256_update(text, 10, state));
    GOOD(sgx_hmac256_update(text + 10, 18, state));
    GOOD(sgx_hmac256_final(mac, 32, state));
    GOOD(sgx_hmac256_close(state));
    CHECK(bytes_are(mac, wanted));
    BAD_PARAMETER(sgx_hmac_sha256_msg(NULL, 28, key, 4, mac, 32));
    BAD_PARAMETER(sgx_hmac_sha256_msg(text, 28, NULL, 4, mac, 32));
    BAD_PARAMETER(sgx_hmac_sha256_msg(text, 28, key, 0, mac, 32));
    BAD_PARAMETER(sgx_hmac_sha256_msg(text, 28, key, 4, NULL, 32));
    BAD_PARAMETER(sgx_hmac256_init(key, 4, NULL));
    BAD_PARAMETER(sgx_hmac256_update(text, 0, NULL));
    BAD_PARAMETER(sgx_hmac256_close(NULL));
    return 0;
}

static int test_cmac(void)
{
    static const char text[] = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
                               "30c81c46a35ce411";
    static const char wanted[] = "dfa66747de9ae63030ca32611497c827";
    sgx_cmac_128bit_key_t key;
    sgx_cmac_128bit_tag_t mac;
    sgx_cmac_state_handle_t state = NULL;
    uint8_t bytes[40];
    bytes_of("2b7e151628aed2a6abf7158809cf4f3c", key, sizeof(key));
    bytes_of(text, bytes, sizeof(bytes));
    GOOD(sgx_rijndael128_cmac_msg(&key, bytes, 16, &mac));
    CHECK(bytes_are(mac, "070a16b46b4d4144f79bdd9dd04a287c"));
    GOOD(sgx_rijndael128_cmac_msg(&key, bytes, 40, &mac));
    CHECK(bytes_are(mac, wanted));
    GOOD(sgx_cmac128_init(&key, &state));
    GOOD(sgx_cmac128_update(bytes, 7, state));
    GOOD(sgx_cmac128_update(bytes + 7, 33, state));
    memset(mac, 0, sizeof(mac));
    GOOD(sgx_cmac128_final(state, &mac));
    CHECK(bytes_are(mac, wanted));
    GOOD(sgx_cmac128_close(state));
    BAD_PARAMETER(sgx_rijndael128_cmac_msg(NULL, bytes, 16, &mac));
    BAD_PARAMETER(sgx_rijndael128_cmac_msg(&key, NULL, 16, &mac));
    BAD_PARAMETER(sgx_rijndael128_cmac_msg(&key, bytes, 16, NULL));
    BAD_PARAMETER(sgx_cmac128_init(NULL, &state));
    BAD_PARAMETER(sgx_cmac128_final(NULL, &mac));
    BAD_PARAMETER(sgx_cmac128_close(NULL));
    return 0;
}

int test_macs(void)
{
    const int line = test_hmac();
    return line ? line : test_cmac();
}

/* Cases 4 and 16 of the GCM paper. */
static const char gcm_text[] = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                               "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
static const char gcm_128[] = "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
                              "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091";
static const char gcm_128_tag[] = "5bc94fbc3221a5db94fae95ae7121a47";
static const char gcm_256[] = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                              "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662";
static const char gcm_256_tag[] = "76fc6ece0f4e1768cddf8853bb2d551b";

struct gcm {
    uint8_t key[32], iv[12], additional[20], text[60], out[60], back[60];
    sgx_aes_gcm_128bit_tag_t tag;
};

static void gcm_fill(struct gcm *gcm)
{
    bytes_of("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", gcm->key, 32);
    bytes_of("cafebabefacedbaddecaf888", gcm->iv, 12);
    bytes_of("feedfacedeadbeeffeedfacedeadbeefabaddad2", gcm->additional, 20);
    bytes_of(gcm_text, gcm->text, 60);
}

static int gcm_whole(struct gcm *g)
{
    static const uint8_t none[60];
    const sgx_aes_gcm_128bit_key_t *key = (const sgx_aes_gcm_128bit_key_t *)g->key;
    GOOD(sgx_rijndael128GCM_encrypt(key, g->text, 60, g->out, g->iv, 12, g->additional, 20,
                                    &g->tag));
    CHECK(bytes_are(g->out, gcm_128) && bytes_are(g->tag, gcm_128_tag));
    GOOD(sgx_rijndael128GCM_decrypt(key, g->out, 60, g->back, g->iv, 12, g->additional, 20,
                                    (const sgx_aes_gcm_128bit_tag_t *)&g->tag));
    CHECK(bytes_are(g->back, gcm_text));
    /* Whatever is changed, nothing comes out. */
    uint8_t *const changed[] = {g->out, g->additional, g->tag, g->iv};
    for (size_t i = 0; i < 4; i++) {
        changed[i][3] ^= 4;
        CHECK(sgx_rijndael128GCM_decrypt(key, g->out, 60, g->back, g->iv, 12, g->additional, 20,
                                         (const sgx_aes_gcm_128bit_tag_t *)&g->tag) ==
              SGX_ERROR_MAC_MISMATCH);
        CHECK(memcmp(g->back, none, sizeof(none)) == 0);
        changed[i][3] ^= 4;
    }
    /* Authenticated text alone; text alone. */
    GOOD(sgx_rijndael128GCM_encrypt(key, NULL, 0, NULL, g->iv, 12, g->additional, 20, &g->tag));
    GOOD(sgx_rijndael128GCM_decrypt(key, NULL, 0, NULL, g->iv, 12, g->additional, 20,
                                    (const sgx_aes_gcm_128bit_tag_t *)&g->tag));
    GOOD(sgx_rijndael128GCM_encrypt(key, g->text, 60, g->out, g->iv, 12, NULL, 0, &g->tag));
    CHECK(bytes_are(g->out, gcm_128));
    return 0;
}

static int gcm_refused(struct gcm *g)
{
    const sgx_aes_gcm_128bit_key_t *key = (const sgx_aes_gcm_128bit_key_t *)g->key;
    BAD_PARAMETER(
        sgx_rijndael128GCM_encrypt(NULL, g->text, 60, g->out, g->iv, 12, NULL, 0, &g->tag));
    BAD_PARAMETER(sgx_rijndael128GCM_encrypt(key, NULL, 60, g->out, g->iv, 12, NULL, 0, &g->tag));
    BAD_PARAMETER(sgx_rijndael128GCM_encrypt(key, g->text, 60, NULL, g->iv, 12, NULL, 0, &g->tag));
    BAD_PARAMETER(
        sgx_rijndael128GCM_encrypt(key, g->text, 60, g->out, g->iv, 11, NULL, 0, &g->tag));
    BAD_PARAMETER(sgx_rijndael128GCM_encrypt(key, g->text, 60, g->out, NULL, 12, NULL, 0, &g->tag));
    BAD_PARAMETER(
        sgx_rijndael128GCM_encrypt(key, g->text, 60, g->out, g->iv, 12, NULL, 20, &g->tag));
    BAD_PARAMETER(sgx_rijndael128GCM_encrypt(key, g->text, 60, g->out, g->iv, 12, NULL, 0, NULL));
    BAD_PARAMETER(sgx_rijndael128GCM_encrypt(key, NULL, 0, NULL, g->iv, 12, NULL, 0, &g->tag));
    return 0;
}

/* The functions that take either size of key; encryption makes its own IV. */
static int gcm_either(struct gcm *g)
{
    sgx_aes_gcm_128bit_tag_t tag;
    uint8_t iv[12] = {0};
    bytes_of(gcm_256, g->out, 60);
    bytes_of(gcm_256_tag, tag, sizeof(tag));
    GOOD(sgx_aes_gcm_decrypt(g->key, 32, g->out, 60, g->back, g->iv, 12, g->additional, 20,
                             (const sgx_aes_gcm_128bit_tag_t *)&tag));
    CHECK(bytes_are(g->back, gcm_text));
    for (uint32_t size = 16; size <= 32; size += 16) {
        uint8_t before[12];
        memcpy(before, iv, sizeof(iv));
        GOOD(sgx_aes_gcm_encrypt(g->key, size, g->text, 60, g->out, iv, 12, NULL, 0, &g->tag));
        CHECK(memcmp(before, iv, sizeof(iv)) != 0);
        GOOD(sgx_aes_gcm_decrypt(g->key, size, g->out, 60, g->back, iv, 12, NULL, 0,
                                 (const sgx_aes_gcm_128bit_tag_t *)&g->tag));
        CHECK(bytes_are(g->back, gcm_text));
    }
    g->tag[0] ^= 1;
    CHECK(sgx_aes_gcm_decrypt(g->key, 32, g->out, 60, g->back, iv, 12, NULL, 0,
                              (const sgx_aes_gcm_128bit_tag_t *)&g->tag) == SGX_ERROR_MAC_MISMATCH);
    BAD_PARAMETER(sgx_aes_gcm_encrypt(g->key, 24, g->text, 60, g->out, iv, 12, NULL, 0, &g->tag));
    BAD_PARAMETER(sgx_aes_gcm_encrypt(g->key, 16, g->text, 60, g->out, NULL, 12, NULL, 0, &g->tag));
    return 0;
}

static int gcm_parts(struct gcm *g)
{
    sgx_aes_state_handle_t state = NULL;
    GOOD(sgx_aes_gcm128_enc_init(g->key, g->iv, 12, g->additional, 20, &state));
    GOOD(sgx_aes_gcm128_enc_update(g->text, 21, g->out, state));
    GOOD(sgx_aes_gcm128_enc_update(g->text + 21, 39, g->out + 21, state));
    GOOD(sgx_aes_gcm128_enc_get_mac(g->tag, state));
    CHECK(bytes_are(g->out, gcm_128) && bytes_are(g->tag, gcm_128_tag));
    BAD_PARAMETER(sgx_aes_gcm128_enc_update(NULL, 1, g->out, state));
    BAD_PARAMETER(sgx_aes_gcm128_enc_get_mac(NULL, state));
    GOOD(sgx_aes_gcm_close(state));
    BAD_PARAMETER(sgx_aes_gcm_close(NULL));
    BAD_PARAMETER(sgx_aes_gcm128_enc_init(g->key, g->iv, 16, NULL, 0, &state));
    BAD_PARAMETER(sgx_aes_gcm128_enc_init(NULL, g->iv, 12, NULL, 0, &state));
    return 0;
}

int test_gcm(void)
{
    struct gcm gcm;
    gcm_fill(&gcm);
    int line = gcm_whole(&gcm);
    line = line ? line : gcm_refused(&gcm);
    line = line ? line : gcm_either(&gcm);
    return line ? line : gcm_parts(&gcm);
}

/* SP 800-38A, F.5.1. */
int test_ctr(void)
{
    static const char text[] = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
                               "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    static const char wanted[] = "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
                                 "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee";
    sgx_aes_ctr_128bit_key_t key;
    uint8_t counter[16], bytes[64], out[64], again[64];
    bytes_of("2b7e151628aed2a6abf7158809cf4f3c", key, sizeof(key));
    bytes_of("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", counter, sizeof(counter));
    bytes_of(text, bytes, sizeof(bytes));
    GOOD(sgx_aes_ctr_encrypt(&key, bytes, 64, counter, 128, out));
    CHECK(bytes_are(out, wanted) && bytes_are(counter, "f0f1f2f3f4f5f6f7f8f9fafbfcfdff03"));
    bytes_of("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", counter, sizeof(counter));
    GOOD(sgx_aes_ctr_decrypt(&key, out, 20, counter, 128, again));
    CHECK(memcmp(again, bytes, 20) == 0 && bytes_are(counter, "f0f1f2f3f4f5f6f7f8f9fafbfcfdff01"));
    /* Only the last 8 bits count: ..feff, then ..fe00, not ..ff00. */
    bytes_of("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", counter, sizeof(counter));
    GOOD(sgx_aes_ctr_encrypt(&key, bytes, 64, counter, 8, out));
    CHECK(bytes_are(counter, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfe03"));
    bytes_of("f0f1f2f3f4f5f6f7f8f9fafbfcfdfe00", counter, sizeof(counter));
    GOOD(sgx_aes_ctr_encrypt(&key, bytes + 16, 48, counter, 128, again));
    CHECK(memcmp(out + 16, again, 48) == 0);
    BAD_PARAMETER(sgx_aes_ctr_encrypt(NULL, bytes, 64, counter, 128, out));
    BAD_PARAMETER(sgx_aes_ctr_encrypt(&key, NULL, 64, counter, 128, out));
    BAD_PARAMETER(sgx_aes_ctr_encrypt(&key, bytes, 64, NULL, 128, out));
    BAD_PARAMETER(sgx_aes_ctr_encrypt(&key, bytes, 64, counter, 128, NULL));
    BAD_PARAMETER(sgx_aes_ctr_encrypt(&key, bytes, 64, counter, 0, out));
    return 0;
}
