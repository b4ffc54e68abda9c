/*
 * Protected files: what is in them is secret, and a change from outside is seen. Trusted library sgx_tprotected_fs.
 * Source compatible with the Intel SGX SDK; the format of the files is Cella's (docs/formats/protected-file.md).
 */
#ifndef _SGX_TPROTECTED_FS_H_
#define _SGX_TPROTECTED_FS_H_

#include <stddef.h>
#include <stdint.h>

#include "sgx_defs.h"
#include "sgx_key.h"

#define SGX_FILE void

#ifndef EOF
#define EOF (-1)
#endif
#ifndef SEEK_SET
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2
#endif
#ifndef FILENAME_MAX
#define FILENAME_MAX 260
#endif
#ifndef FOPEN_MAX
#define FOPEN_MAX 20
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Opens in the modes of fopen, without text modes. NULL with errno set. The key is the caller's, or derived by sealing. */
SGX_FILE *SGXAPI sgx_fopen(const char *filename, const char *mode, const sgx_key_128bit_t *key);
SGX_FILE *SGXAPI sgx_fopen_auto_key(const char *filename, const char *mode);
SGX_FILE *SGXAPI sgx_fopen_ex(const char *filename, const char *mode, const sgx_key_128bit_t *key,
                              const uint64_t cache_size);

/* These are as their namesakes without sgx_. */
size_t SGXAPI sgx_fwrite(const void *ptr, size_t size, size_t count, SGX_FILE *stream);
size_t SGXAPI sgx_fread(void *ptr, size_t size, size_t count, SGX_FILE *stream);
int64_t SGXAPI sgx_ftell(SGX_FILE *stream);
int32_t SGXAPI sgx_fseek(SGX_FILE *stream, int64_t offset, int origin);
int32_t SGXAPI sgx_fflush(SGX_FILE *stream);
int32_t SGXAPI sgx_ferror(SGX_FILE *stream); /* an errno value or SGX_ERROR_FILE_* */
int32_t SGXAPI sgx_feof(SGX_FILE *stream);
void SGXAPI sgx_clearerr(SGX_FILE *stream);
int32_t SGXAPI sgx_fclose(SGX_FILE *stream);
int32_t SGXAPI sgx_remove(const char *filename);

/* A hint. */
int32_t SGXAPI sgx_fset_parallel_level(SGX_FILE *stream, uint32_t max_threads_number);

/* The key of a closed file that was made with an automatic one, to move it elsewhere; and the way back. */
int32_t SGXAPI sgx_fexport_auto_key(const char *filename, sgx_key_128bit_t *key);
int32_t SGXAPI sgx_fimport_auto_key(const char *filename, const sgx_key_128bit_t *key);

/* Wipes what is kept in memory of the file. */
int32_t SGXAPI sgx_fclear_cache(SGX_FILE *stream);

#ifdef __cplusplus
}
#endif
#endif
