/*
 * SHA-256 for the kernel: OpenSSL's compression function, and the padding of FIPS 180-4, 5.1.1.
 * Side: enclave. Called by fs_image.c. Linked with one object of libcrypto.a (sha256_block_data_order).
 * Never touches a register of the program: without SHA extensions the function keeps to general registers (it is told of
 * no others); with them it uses XMM registers in their old encoding, which are saved around it.
 */
#include "linux/fs_tree.h"

/* openssl/crypto/sha: state, blocks of 64 bytes, their count. */
void sha256_block_data_order(void *state, const void *blocks, size_t count);
/* What OpenSSL's assembly asks about the processor; libcrypto's own object with it is not linked. */
extern CELLA_KERNEL uint32_t OPENSSL_ia32cap_P[10];
uint32_t OPENSSL_ia32cap_P[10];

#define BLOCK 64u
#define CPUID_SHA (1u << 29) /* leaf 7, EBX: third word of what OpenSSL keeps */

static void blocks_take(struct fs_sha256 *hash, const void *blocks, size_t count)
{
    static _Atomic uint32_t known; /* 1: no SHA extensions, 2: there are */
    _Alignas(16) uint8_t vectors[512];
    if (atomic_load(&known) == 0) {
        uint32_t basic[4], extended[4];
        cella_cpuid(1, 0, basic);
        cella_cpuid(7, 0, extended);
        const bool has = (extended[1] & CPUID_SHA) != 0 && (basic[2] & 1u << 9) != 0 &&
                         (basic[2] & 1u << 19) != 0; /* and SSSE3, SSE4.1 */
        OPENSSL_ia32cap_P[2] = has ? CPUID_SHA : 0;
        atomic_store(&known, has ? 2 : 1);
    }
    if (atomic_load(&known) == 2) {
        __asm__ volatile("fxsave64 %0" : "=m"(vectors));
    }
    sha256_block_data_order(hash->words, blocks, count);
    if (atomic_load(&known) == 2) {
        __asm__ volatile("fxrstor64 %0" : : "m"(vectors) : "memory");
    }
}

void fs_sha256_init(struct fs_sha256 *hash)
{
    static const uint32_t first[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                                      0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
    __builtin_memcpy(hash->words, first, sizeof(first));
    hash->size = 0;
}

void fs_sha256_update(struct fs_sha256 *hash, const void *bytes, uint64_t size)
{
    const uint8_t *from = bytes;
    const uint64_t used = hash->size % BLOCK;
    hash->size += size;
    if (used > 0) {
        const uint64_t part = size < BLOCK - used ? size : BLOCK - used;
        __builtin_memcpy(hash->block + used, from, part);
        from += part;
        size -= part;
        if (used + part < BLOCK) {
            return;
        }
        blocks_take(hash, hash->block, 1);
    }
    if (size >= BLOCK) {
        blocks_take(hash, from, size / BLOCK);
        from += size / BLOCK * BLOCK;
    }
    __builtin_memcpy(hash->block, from, size % BLOCK);
}

void fs_sha256_final(struct fs_sha256 *hash, uint8_t ret_digest[32])
{
    uint8_t end[2 * BLOCK] = {0x80};
    const uint64_t bits = __builtin_bswap64(hash->size * 8);
    const uint64_t used = hash->size % BLOCK;
    const uint64_t zeros = used < BLOCK - 8 ? BLOCK - 8 - used : 2 * BLOCK - 8 - used;
    fs_sha256_update(hash, end, zeros);
    fs_sha256_update(hash, &bits, sizeof(bits));
    for (uint32_t i = 0; i < 8; i++) {
        const uint32_t word = __builtin_bswap32(hash->words[i]);
        __builtin_memcpy(ret_digest + 4 * i, &word, sizeof(word));
    }
}
