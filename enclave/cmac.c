/*
 * AES-128-CMAC (NIST SP 800-38B) on the processor's AES instructions: report MACs in enclaves without libcrypto.
 * Side: enclave. Called by report.c only. Not a general cipher: bulk encryption is libcrypto's.
 * Never branches on, nor indexes by, secret bytes. Built apart, with vector registers.
 */
#include <stddef.h>
#include <stdint.h>
#include <wmmintrin.h>

void cella_cmac_128(const uint8_t key[16], const void *data, size_t size, uint8_t ret_mac[16])
    __attribute__((visibility("hidden")));

static __m128i schedule_next(__m128i key, __m128i assist)
{
    assist = _mm_shuffle_epi32(assist, 0xFF);
    key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    return _mm_xor_si128(key, assist);
}

static void schedule(const uint8_t key[16], __m128i rounds[11])
{
    rounds[0] = _mm_loadu_si128((const __m128i *)key);
#define ROUND(i, constant)                                                                         \
    rounds[i] = schedule_next(rounds[(i)-1], _mm_aeskeygenassist_si128(rounds[(i)-1], constant))
    ROUND(1, 0x01);
    ROUND(2, 0x02);
    ROUND(3, 0x04);
    ROUND(4, 0x08);
    ROUND(5, 0x10);
    ROUND(6, 0x20);
    ROUND(7, 0x40);
    ROUND(8, 0x80);
    ROUND(9, 0x1B);
    ROUND(10, 0x36);
#undef ROUND
}

static __m128i encrypt(const __m128i rounds[11], __m128i block)
{
    block = _mm_xor_si128(block, rounds[0]);
    for (int i = 1; i < 10; i++) {
        block = _mm_aesenc_si128(block, rounds[i]);
    }
    return _mm_aesenclast_si128(block, rounds[10]);
}

/* Multiplies by x in GF(2^128), big endian: the subkeys of SP 800-38B, 6.1. */
static void subkey(uint8_t block[16])
{
    const uint8_t carry = (uint8_t) - (block[0] >> 7);
    for (int i = 0; i < 15; i++) {
        block[i] = (uint8_t)(block[i] << 1 | block[i + 1] >> 7);
    }
    block[15] = (uint8_t)(block[15] << 1 ^ (carry & 0x87));
}

void cella_cmac_128(const uint8_t key[16], const void *data, size_t size, uint8_t ret_mac[16])
{
    const uint8_t *at = data;
    __m128i rounds[11];
    uint8_t last[16] = {0};
    uint8_t mask[16];
    schedule(key, rounds);
    __m128i state = _mm_setzero_si128();
    _mm_storeu_si128((__m128i *)mask, encrypt(rounds, state));
    subkey(mask);
    while (size > 16) {
        state = encrypt(rounds, _mm_xor_si128(state, _mm_loadu_si128((const __m128i *)at)));
        at += 16;
        size -= 16;
    }
    for (size_t i = 0; i < size; i++) {
        last[i] = at[i];
    }
    if (size < 16) {
        last[size] = 0x80;
        subkey(mask);
    }
    for (int i = 0; i < 16; i++) {
        last[i] ^= mask[i];
    }
    state = encrypt(rounds, _mm_xor_si128(state, _mm_loadu_si128((const __m128i *)last)));
    _mm_storeu_si128((__m128i *)ret_mac, state);
    for (int i = 0; i < 11; i++) {
        ((volatile __m128i *)rounds)[i] = _mm_setzero_si128();
    }
}
