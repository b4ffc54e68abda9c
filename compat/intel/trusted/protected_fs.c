/*
 * sgx_tprotected_fs.h over Cella's protected files.
 * Side: enclave. Called by applications. Never reads a format of its own: docs/formats/protected-file.md.
 */
#include "sgx_tprotected_fs.h"

#include <errno.h>
#include <string.h>

#include "cella/protected_file.h"
#include "compat/intel/trusted/folder.h"
#include "sgx_error.h"
#include "sgx_trts.h"

#define PATH_SIZE 4096u

/* A result as sgx_ferror and errno say it: one of the SDK's own codes where it has one. */
static int error_of(cella_result result)
{
    switch (result.code) {
    case CELLA_CODE_BAD_MAGIC:
    case CELLA_CODE_UNSUPPORTED_VERSION:
    case CELLA_CODE_TRUNCATED:
        return SGX_ERROR_FILE_NOT_SGX_FILE;
    case CELLA_CODE_NAME_MISMATCH:
        return SGX_ERROR_FILE_NAME_MISMATCH;
    case CELLA_CODE_WRONG_KEY:
    case CELLA_CODE_AUTH_FAILED:
    case CELLA_CODE_ROLLED_BACK:
        return SGX_ERROR_MAC_MISMATCH;
    case CELLA_CODE_WRONG_STATE:
        return SGX_ERROR_FILE_BAD_STATUS;
    default:
        return cella_protected_errno(result);
    }
}

static SGX_FILE *file_open(const char *name, const char *mode,
                           const struct cella_protected_options *options)
{
    cella_protected_file *file = NULL;
    char buffer[PATH_SIZE];
    const char *path = name ? intel_path(name, buffer, sizeof(buffer)) : NULL;
    if (!path || !mode) {
        errno = name && !path ? ENAMETOOLONG : EINVAL;
        return NULL;
    }
    const cella_result result = cella_protected_open(path, mode, options, &file);
    if (!cella_is_ok(result)) {
        errno = error_of(result);
        return NULL;
    }
    return file;
}

SGX_FILE *sgx_fopen_ex(const char *filename, const char *mode, const sgx_key_128bit_t *key,
                       const uint64_t cache_size)
{
    struct cella_protected_options options = {
        .key = {.kind = key ? CELLA_PROTECTED_USER : CELLA_PROTECTED_AUTO_MRSIGNER,
                .bytes = key,
                .size = sizeof(sgx_key_128bit_t)},
        .cache_size = cache_size < CELLA_PROTECTED_CACHE_MIN ? 0 : cache_size,
    };
    if (cache_size % 4096 != 0 || (key && !sgx_is_within_enclave(key, sizeof(*key)))) {
        errno = EINVAL;
        return NULL;
    }
    return file_open(filename, mode, &options);
}

SGX_FILE *sgx_fopen(const char *filename, const char *mode, const sgx_key_128bit_t *key)
{
    if (!key) {
        errno = EINVAL;
        return NULL;
    }
    return sgx_fopen_ex(filename, mode, key, 0);
}

SGX_FILE *sgx_fopen_auto_key(const char *filename, const char *mode)
{
    return sgx_fopen_ex(filename, mode, NULL, 0);
}

static int32_t status_of(cella_result result)
{
    if (cella_is_ok(result)) {
        return 0;
    }
    errno = error_of(result);
    return -1;
}

size_t sgx_fwrite(const void *ptr, size_t size, size_t count, SGX_FILE *stream)
{
    size_t bytes, done = 0;
    if (!ptr || !stream || size == 0 || count == 0 || __builtin_mul_overflow(size, count, &bytes)) {
        return 0;
    }
    cella_ignore(cella_protected_write(stream, ptr, bytes, &done));
    return done / size;
}

size_t sgx_fread(void *ptr, size_t size, size_t count, SGX_FILE *stream)
{
    size_t bytes, done = 0;
    if (!ptr || !stream || size == 0 || count == 0 || __builtin_mul_overflow(size, count, &bytes)) {
        return 0;
    }
    cella_ignore(cella_protected_read(stream, ptr, bytes, &done));
    return done / size;
}

int64_t sgx_ftell(SGX_FILE *stream)
{
    uint64_t offset = 0;
    if (!stream) {
        errno = EINVAL;
        return -1;
    }
    return status_of(cella_protected_tell(stream, &offset)) == 0 ? (int64_t)offset : -1;
}

int32_t sgx_fseek(SGX_FILE *stream, int64_t offset, int origin)
{
    if (!stream) {
        errno = EINVAL;
        return -1;
    }
    return status_of(cella_protected_seek(stream, offset, origin));
}

int32_t sgx_fset_parallel_level(SGX_FILE *stream, uint32_t max_threads_number)
{
    (void)max_threads_number;
    return stream ? 0 : -1;
}

/* 0, or 1 as fflush's EOF is spelled there. */
int32_t sgx_fflush(SGX_FILE *stream)
{
    if (!stream) {
        errno = EINVAL;
        return 1;
    }
    return status_of(cella_protected_flush(stream)) == 0 ? 0 : 1;
}

int32_t sgx_ferror(SGX_FILE *stream)
{
    if (!stream) {
        return -1;
    }
    switch (cella_protected_status(stream)) {
    case CELLA_PROTECTED_STATUS_FLUSH_ERROR:
        return SGX_ERROR_FILE_FLUSH_FAILED;
    case CELLA_PROTECTED_STATUS_CORRUPTED:
        return SGX_ERROR_MAC_MISMATCH;
    default: {
        const cella_result result = cella_protected_error(stream);
        return cella_is_ok(result) ? 0 : error_of(result);
    }
    }
}

int32_t sgx_feof(SGX_FILE *stream)
{
    return stream ? cella_protected_eof(stream) : -1;
}

void sgx_clearerr(SGX_FILE *stream)
{
    if (stream) {
        cella_protected_clear_error(stream);
    }
}

int32_t sgx_fclose(SGX_FILE *stream)
{
    if (!stream) {
        errno = EINVAL;
        return -1;
    }
    return status_of(cella_protected_close(stream)) == 0 ? 0 : 1;
}

int32_t sgx_remove(const char *filename)
{
    char buffer[PATH_SIZE];
    const char *path = filename ? intel_path(filename, buffer, sizeof(buffer)) : NULL;
    if (!path) {
        errno = EINVAL;
        return 1;
    }
    return status_of(cella_protected_remove(path)) == 0 ? 0 : 1;
}

int32_t sgx_fexport_auto_key(const char *filename, sgx_key_128bit_t *key)
{
    const struct cella_protected_options options = {
        .key = {.kind = CELLA_PROTECTED_AUTO_MRSIGNER, .size = sizeof(*key)}};
    uint8_t bytes[32];
    size_t size = 0;
    char buffer[PATH_SIZE];
    const char *path = filename ? intel_path(filename, buffer, sizeof(buffer)) : NULL;
    if (!path || !key) {
        errno = EINVAL;
        return 1;
    }
    const cella_result result = cella_protected_export_key(path, &options, bytes, &size);
    if (cella_is_ok(result) && size == sizeof(*key)) {
        memcpy(key, bytes, sizeof(*key));
    }
    memset(bytes, 0, sizeof(bytes));
    __asm__ volatile("" : : "r"(bytes) : "memory");
    if (cella_is_ok(result) && size != sizeof(*key)) {
        errno = EINVAL;
        return 1;
    }
    return status_of(result) == 0 ? 0 : 1;
}

int32_t sgx_fimport_auto_key(const char *filename, const sgx_key_128bit_t *key)
{
    const struct cella_protected_options options = {
        .key = {.kind = CELLA_PROTECTED_AUTO_MRSIGNER, .size = sizeof(*key)}};
    char buffer[PATH_SIZE];
    const char *path = filename ? intel_path(filename, buffer, sizeof(buffer)) : NULL;
    if (!path || !key) {
        errno = EINVAL;
        return 1;
    }
    return status_of(cella_protected_import_key(path, &options, key, sizeof(*key))) == 0 ? 0 : 1;
}

int32_t sgx_fclear_cache(SGX_FILE *stream)
{
    if (!stream) {
        errno = EINVAL;
        return 1;
    }
    return status_of(cella_protected_clear_cache(stream)) == 0 ? 0 : 1;
}
