/*
 * Protected files, inside the enclave: encrypted, integrity-checked files in the host's file system, read and written as
 * with stdio. Public header: plain C11, C++-safe; for enclave code only. Library: libcella_enclave_protected.a with
 * libcrypto and a libc. Format: docs/formats/protected-file.md. Never writes a file that it refuses.
 *
 * What was flushed last is readable after a crash at any moment. A host can put back a whole older file: an application
 * to which that matters keeps a struct cella_protected_version in a place it trusts and gives it to the next open.
 */
#ifndef CELLA_PROTECTED_FILE_H
#define CELLA_PROTECTED_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "cella/result.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cella_protected_file cella_protected_file;

enum cella_protected_kind {
    CELLA_PROTECTED_AUTO_MRSIGNER =
        1, /* EGETKEY: enclaves of the same signer and product id, this SVN or newer */
    CELLA_PROTECTED_AUTO_MRENCLAVE = 2, /* EGETKEY: this very enclave */
    CELLA_PROTECTED_USER = 3,           /* the caller's key */
};

/* `size`: 16 to 64 bytes for a caller's key; for EGETKEY's 16 or 32, `bytes` NULL; 0: 32, or what the file has. */
struct cella_protected_key {
    enum cella_protected_kind kind;
    const void *bytes;
    size_t size;
};

/* Names one state of one file. The generation counts flushes; the digest is SHA-256 of the root. */
struct cella_protected_version {
    uint64_t generation;
    uint8_t digest[32];
};

#define CELLA_PROTECTED_CACHE_MIN (192u << 10)
#define CELLA_PROTECTED_CACHE_DEFAULT (2u << 20)
#define CELLA_PROTECTED_NAME_MAX 255u
#define CELLA_PROTECTED_KEY_MAX 64u

#define CELLA_PROTECTED_NO_SYNC                                                                    \
    0x1u /* a flush survives the end of the process, but not that of the machine: no fsync */
#define CELLA_PROTECTED_OR_NEWER 0x2u /* `version` is the oldest that is accepted, by generation */

struct cella_protected_options {
    struct cella_protected_key key;
    size_t
        cache_size; /* bytes of cached nodes, at most; 0: CACHE_DEFAULT. Taken from the heap as needed */
    uint32_t flags; /* CELLA_PROTECTED_NO_SYNC, … */
    const struct cella_protected_version
        *version; /* NULL: any. Else ROLLED_BACK when it is another */
};

/*
 * `mode`: one of r, w, a; then b and + in any order, x with w. As fopen's, but w takes effect at once: the old file is
 * gone. The last component of `path` is bound to the file: found under another name, it is refused.
 *
 * Many readers or one writer: else BUSY. NOT_FOUND, ALREADY_EXISTS, ACCESS_DENIED, IO, NO_SPACE from the host.
 * BAD_MAGIC: no protected file. UNSUPPORTED_VERSION. TRUNCATED. WRONG_KEY: another key, enclave, signer or machine.
 * INVALID_ARGUMENT: also when the file has another kind of key. SVN_TOO_OLD. NAME_MISMATCH. AUTH_FAILED: altered.
 * ROLLED_BACK. A refused file is not touched.
 */
CELLA_MUST_USE cella_result cella_protected_open(const char *path, const char *mode,
                                                 const struct cella_protected_options *options,
                                                 cella_protected_file **ret_file);

/* Flushes and closes. The handle is gone also when that fails; the file is then as it was flushed last. */
CELLA_MUST_USE cella_result cella_protected_close(cella_protected_file *file);

/*
 * Functions of one handle may be called on several threads; each is done in one piece. Buffers must be enclave memory.
 *
 * *ret_size is always written, also on failure: bytes that were read or written. Fewer than `size` read with OK: the end
 * of the file. ACCESS_DENIED: not opened for that. WRONG_STATE: see cella_protected_status. Everything an open may say.
 */
CELLA_MUST_USE cella_result cella_protected_read(cella_protected_file *file, void *to, size_t size,
                                                 size_t *ret_size);
CELLA_MUST_USE cella_result cella_protected_write(cella_protected_file *file, const void *from,
                                                  size_t size, size_t *ret_size);
/* The same at an offset, without moving the position. Writing behind the end fills the gap with zeros. */
CELLA_MUST_USE cella_result cella_protected_read_at(cella_protected_file *file, uint64_t offset,
                                                    void *to, size_t size, size_t *ret_size);
CELLA_MUST_USE cella_result cella_protected_write_at(cella_protected_file *file, uint64_t offset,
                                                     const void *from, size_t size,
                                                     size_t *ret_size);

/* `whence`: 0 start, 1 position, 2 end. OUT_OF_RANGE outside [0, size]. */
CELLA_MUST_USE cella_result cella_protected_seek(cella_protected_file *file, int64_t offset,
                                                 int whence);
CELLA_MUST_USE cella_result cella_protected_tell(cella_protected_file *file, uint64_t *ret_offset);
CELLA_MUST_USE cella_result cella_protected_size(cella_protected_file *file, uint64_t *ret_size);
CELLA_MUST_USE cella_result cella_protected_truncate(cella_protected_file *file, uint64_t size);

/* What was written so far becomes the state that is found after a crash. */
CELLA_MUST_USE cella_result cella_protected_flush(cella_protected_file *file);

enum cella_protected_status {
    CELLA_PROTECTED_STATUS_OK,
    CELLA_PROTECTED_STATUS_FLUSH_ERROR,  /* the host did not write; clear_error tries again */
    CELLA_PROTECTED_STATUS_CRYPTO_ERROR, /* no more randomness, or libcrypto failed; for good */
    CELLA_PROTECTED_STATUS_CORRUPTED,    /* a part of the file is not what was written; for good */
};
/* Any status but OK: reading, writing, seeking and flushing give WRONG_STATE. */
enum cella_protected_status cella_protected_status(cella_protected_file *file);
/* What failed last since clear_error; OK: nothing. */
cella_result cella_protected_error(cella_protected_file *file);
int cella_protected_eof(cella_protected_file *file);
/* Forgets error and end of file; after FLUSH_ERROR flushes first, and forgets only when that goes well. */
void cella_protected_clear_error(cella_protected_file *file);

/* Flushes, then wipes and frees the cached plaintext. */
CELLA_MUST_USE cella_result cella_protected_clear_cache(cella_protected_file *file);

/* The state that was flushed or opened last. */
CELLA_MUST_USE cella_result cella_protected_version(cella_protected_file *file,
                                                    struct cella_protected_version *ret_version);

CELLA_MUST_USE cella_result cella_protected_remove(const char *path);

/*
 * For files with an EGETKEY key: takes the key out of one enclave (machine, signer) and lets another make the file its
 * own. `key` has room for 32 bytes. After an import the file opens with options->key; its version is two flushes newer.
 */
CELLA_MUST_USE cella_result
cella_protected_export_key(const char *path, const struct cella_protected_options *options,
                           uint8_t key[32], size_t *ret_size);
CELLA_MUST_USE cella_result cella_protected_import_key(
    const char *path, const struct cella_protected_options *options, const void *key, size_t size);

/* The errno that fits a result best, 0 for OK; in Linux's numbers. */
int cella_protected_errno(cella_result result);

#ifdef __cplusplus
}
#endif
#endif
