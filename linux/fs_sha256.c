/*
 * SHA-256 for the kernel: OpenSSL's compression function, and the padding of FIPS 180-4, 5.1.1.
 * Side: enclave. Called by fs_image.c. Linked with one object of libcrypto.a (sha256_block_data_order).
 * Never leaves anything in the program's vector registers: they are saved around the function, which may use all of them
 * where a kernel has libcrypto for itself.
 */
#include "linux/fs_tree.h"

/* openssl/crypto/sha: state, blocks of 64 bytes, their count. */
void sha256_block_data_order(void *state, const void *blocks, size_t count);
/* What OpenSSL's assembly asks about the processor; libcrypto's own object with it is not linked. */
extern CELLA_KERNEL uint32_t OPENSSL_ia32cap_P[10];
uint32_t OPENSSL_ia32cap_P[10];

#define BLOCK 64u
#define CPUID_SSSE3 (1u << 9)
#define CPUID_SSE41 (1u << 19)
#define VECTORS_MIN 1024u /* a size of the pool whose objects are aligned to it, at least to 64 */
#define CPUID_SHA (1u << 29) /* leaf 7, EBX: third word of what OpenSSL keeps */

/* Only the SHA extensions are told of: with nothing else known the function keeps to general registers. */
static void processor_look(void)
{
    static _Atomic bool is_known;
    uint32_t basic[4], extended[4];
    if (atomic_load(&is_known)) {
        return;
    }
    cella_cpuid(1, 0, basic);
    cella_cpuid(7, 0, extended);
    if ((extended[1] & CPUID_SHA) != 0 && (basic[2] & CPUID_SSSE3) != 0 &&
        (basic[2] & CPUID_SSE41) != 0) {
        OPENSSL_ia32cap_P[2] |= CPUID_SHA;
    }
    atomic_store(&is_known, true);
}

static void blocks_take(struct fs_sha256 *hash, const void *blocks, size_t count)
{
    __asm__ volatile("xsave64 (%0)" : : "r"(hash->vectors), "a"(-1), "d"(-1) : "memory");
    sha256_block_data_order(hash->words, blocks, count);
    __asm__ volatile("xrstor64 (%0)" : : "r"(hash->vectors), "a"(-1), "d"(-1) : "memory");
}

bool fs_sha256_init(struct fs_sha256 *hash)
{
    static const uint32_t first[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                                      0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
    processor_look();
    __builtin_memcpy(hash->words, first, sizeof(first));
    hash->size = 0;
    hash->vectors = fs_new(cella_xsave_size < VECTORS_MIN ? VECTORS_MIN : cella_xsave_size);
    return hash->vectors != NULL;
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
    fs_sha256_done(hash);
}

void fs_sha256_done(struct fs_sha256 *hash)
{
    fs_free(hash->vectors, cella_xsave_size < VECTORS_MIN ? VECTORS_MIN : cella_xsave_size);
    hash->vectors = NULL;
}
