/*
 * Protected files on disk. docs/formats/protected-file.md is the text.
 * Side: enclave (and tools that look at the plain part). Included by enclave/protected_*.c and cli/.
 * Never has pointers; little endian; every offset asserted.
 */
#ifndef CELLA_ENCLAVE_PROTECTED_FORMAT_H
#define CELLA_ENCLAVE_PROTECTED_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define PROTECTED_BLOCK 4096u
#define PROTECTED_MAGIC 0x465250414C4C4543ull /* "CELLAPRF" */
#define PROTECTED_VERSION 1u
#define PROTECTED_MARKER_AT 512u
#define PROTECTED_MARKER_SIZE 32u
#define PROTECTED_SLOT_FIRST 1u /* blocks 1 and 2: generation g is in block 1 + g % 2 */
#define PROTECTED_FIRST 3u      /* the first block for nodes */
#define PROTECTED_FANOUT 102u
#define PROTECTED_HEIGHT_MAX 6u /* 102^6 nodes of 4 KiB: 4 PiB */
#define PROTECTED_SIZE_MAX (1ull << 52)
#define PROTECTED_TAG 16u
#define PROTECTED_NONCE 12u
#define PROTECTED_INLINE_MAX 3456u

/* The start of block 0. Everything behind it in the block is zero, but for the marker. */
struct protected_header {
    uint64_t magic;
    uint16_t version;
    uint16_t block_log2;
    uint32_t reserved1;
    uint64_t reserved2[6];
};
_Static_assert(sizeof(struct protected_header) == 64, "docs/formats/protected-file.md");
_Static_assert(offsetof(struct protected_header, block_log2) == 10,
               "docs/formats/protected-file.md");

/* Where a node lies, under which key it was written, and its tag. All zero: a hole of zeros. */
struct protected_entry {
    uint64_t block;
    uint32_t epoch;
    uint8_t nonce[PROTECTED_NONCE];
    uint8_t tag[PROTECTED_TAG];
};
_Static_assert(sizeof(struct protected_entry) == 40, "docs/formats/protected-file.md");

/* A node above the data. */
struct protected_index {
    struct protected_entry entries[PROTECTED_FANOUT];
    uint8_t reserved[16];
};
_Static_assert(sizeof(struct protected_index) == PROTECTED_BLOCK, "docs/formats/protected-file.md");

/* What a slot says in the clear: enough to find the key. All but the tag is authenticated, with the header. */
struct protected_slot {
    uint64_t generation;
    uint16_t kind;
    uint16_t key_size;
    uint16_t isv_svn;
    uint16_t reserved1;
    uint8_t cpu_svn[16];
    uint8_t key_id[32];
    uint8_t salt[32];
    uint8_t key_check[16];
    uint8_t reserved2[128];
    uint8_t tag[PROTECTED_TAG];
};
_Static_assert(sizeof(struct protected_slot) == 256, "docs/formats/protected-file.md");
_Static_assert(offsetof(struct protected_slot, key_id) == 32, "docs/formats/protected-file.md");
_Static_assert(offsetof(struct protected_slot, salt) == 64, "docs/formats/protected-file.md");
_Static_assert(offsetof(struct protected_slot, key_check) == 96, "docs/formats/protected-file.md");
_Static_assert(offsetof(struct protected_slot, tag) == 240, "docs/formats/protected-file.md");

/* The encrypted rest of a slot. */
struct protected_root {
    uint64_t size;   /* bytes of the file */
    uint64_t blocks; /* of the host's file, at least */
    uint32_t height; /* levels above the data */
    uint32_t inlined;
    uint16_t name_size;
    uint16_t rekeyed; /* the generation before is under an imported key */
    uint32_t reserved1;
    uint8_t data_key[32];
    struct protected_entry top;
    uint8_t reserved2[24];
    uint8_t name[256];
    uint8_t data[PROTECTED_INLINE_MAX]; /* when inlined: the file */
};
_Static_assert(sizeof(struct protected_root) == PROTECTED_BLOCK - sizeof(struct protected_slot),
               "docs/formats/protected-file.md");
_Static_assert(offsetof(struct protected_root, data_key) == 32, "docs/formats/protected-file.md");
_Static_assert(offsetof(struct protected_root, top) == 64, "docs/formats/protected-file.md");
_Static_assert(offsetof(struct protected_root, name) == 128, "docs/formats/protected-file.md");
_Static_assert(offsetof(struct protected_root, data) == 384, "docs/formats/protected-file.md");

#endif
