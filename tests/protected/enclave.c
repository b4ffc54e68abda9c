/*
 * The protected files' test enclave: glibc, libcrypto and the host's file system.
 * Side: enclave (tests). Called by test_enclave.c.
 */
#include <stdlib.h>
#include <string.h>

#include "cella/enclave.h"
#include "cella/protected_file.h"
#include "tests/protected/calls.h"

#define ECALL(name)                                                                                \
    static cella_result name(const void *in, size_t in_size, void *out, size_t out_capacity,       \
                             size_t *ret_size)
#define UNUSED_CALL                                                                                \
    (void)in;                                                                                      \
    (void)in_size;                                                                                 \
    (void)out;                                                                                     \
    (void)out_capacity;                                                                            \
    (void)ret_size

#define RUN_SIZE (3u << 20)

static const struct cella_protected_options g_signer = {
    .key = {.kind = CELLA_PROTECTED_AUTO_MRSIGNER}};
static const uint8_t g_key[16] = "sixteen bytes of";
static uint8_t g_bytes[RUN_SIZE], g_again[RUN_SIZE];

static void closed(cella_protected_file **file)
{
    if (*file) {
        cella_ignore(cella_protected_close(*file));
    }
}
#define CLOSED __attribute__((cleanup(closed))) cella_protected_file *

static cella_result finish(cella_protected_file **file)
{
    cella_protected_file *it = *file;
    *file = NULL;
    return cella_protected_close(it);
}

static cella_result run_write(const struct cella_protected_options *options)
{
    CLOSED file = NULL;
    size_t done;
    for (size_t i = 0; i < RUN_SIZE; i++) {
        g_bytes[i] = (uint8_t)(i + i / 997);
    }
    CELLA_TRY(cella_protected_open("/run", "w+", options, &file));
    CELLA_TRY(cella_protected_write(file, g_bytes, RUN_SIZE - 5, &done)); /* the direct way */
    CELLA_TRY(cella_protected_write(file, g_bytes + RUN_SIZE - 5, 5, &done));
    CELLA_TRY(cella_protected_flush(file));
    for (size_t at = 0; at < RUN_SIZE; at += 100001) {
        g_bytes[at] ^= 1;
        CELLA_TRY(cella_protected_write_at(file, at, g_bytes + at, 1, &done));
    }
    CELLA_TRY(cella_protected_clear_cache(file));
    CELLA_TRY(cella_protected_read_at(file, 0, g_again, RUN_SIZE, &done));
    CELLA_ENSURE(done == RUN_SIZE && memcmp(g_again, g_bytes, RUN_SIZE) == 0, INTERNAL);
    return finish(&file);
}

static cella_result run_read(const struct cella_protected_options *options)
{
    CLOSED file = NULL;
    size_t done;
    memset(g_again, 0, RUN_SIZE);
    CELLA_TRY(cella_protected_open("/run", "r", options, &file));
    for (size_t at = 0; at < RUN_SIZE; at += done) { /* piece by piece, read ahead */
        CELLA_TRY(cella_protected_read(file, g_again + at, 3000, &done));
        CELLA_ENSURE(done > 0, INTERNAL);
    }
    CELLA_ENSURE(memcmp(g_again, g_bytes, RUN_SIZE) == 0, INTERNAL);
    /* A buffer outside the enclave is no buffer. */
    CELLA_ENSURE(cella_protected_read_at(file, 0, (void *)4096, 100, &done).code ==
                     CELLA_CODE_INVALID_ARGUMENT,
                 INTERNAL);
    return finish(&file);
}

ECALL(run)
{
    UNUSED_CALL;
    const struct cella_protected_options user = {
        .key = {.kind = CELLA_PROTECTED_USER, .bytes = g_key, .size = sizeof(g_key)},
        .flags = CELLA_PROTECTED_NO_SYNC,
    };
    CLOSED file = NULL;
    CELLA_TRY(run_write(&g_signer));
    CELLA_TRY(run_read(&g_signer));
    CELLA_TRY(cella_protected_remove("/run"));
    CELLA_ENSURE(cella_protected_open("/run", "r", &user, &file).code == CELLA_CODE_NOT_FOUND,
                 INTERNAL);
    CELLA_TRY(run_write(&user));
    CELLA_TRY(run_read(&user));
    CELLA_ENSURE(cella_protected_open("/missing/run", "w", &user, &file).code ==
                     CELLA_CODE_NOT_FOUND,
                 INTERNAL);
    return cella_protected_remove("run");
}

ECALL(put)
{
    UNUSED_CALL;
    CLOSED file = NULL;
    size_t done;
    for (size_t i = 0; i < PROTECTED_PUT_SIZE; i++) {
        g_bytes[i] = protected_pattern(i);
    }
    CELLA_TRY(cella_protected_open("/put", "w", &g_signer, &file));
    CELLA_TRY(cella_protected_write(file, g_bytes, PROTECTED_PUT_SIZE, &done));
    return finish(&file);
}

ECALL(get)
{
    UNUSED_CALL;
    CLOSED file = NULL;
    size_t done;
    CELLA_TRY(cella_protected_open("/put", "r", &g_signer, &file));
    CELLA_TRY(cella_protected_read(file, g_again, RUN_SIZE, &done));
    CELLA_ENSURE(done == PROTECTED_PUT_SIZE, INTERNAL);
    for (size_t i = 0; i < done; i++) {
        CELLA_ENSURE(g_again[i] == protected_pattern(i), INTERNAL);
    }
    return finish(&file);
}

ECALL(export_key)
{
    (void)in;
    (void)in_size;
    CELLA_ENSURE(out_capacity >= 32, BUFFER_TOO_SMALL);
    return cella_protected_export_key("/put", &g_signer, out, ret_size);
}

ECALL(import_key)
{
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    return cella_protected_import_key("/put", &g_signer, in, in_size);
}

ECALL(busy)
{
    UNUSED_CALL;
    CLOSED file = NULL;
    CLOSED other = NULL;
    CELLA_TRY(cella_protected_open("/put", "r", &g_signer, &file));
    CELLA_TRY(cella_protected_open("/put", "r", &g_signer, &other));
    CELLA_TRY(finish(&other));
    CELLA_ENSURE(cella_protected_open("/put", "r+", &g_signer, &other).code == CELLA_CODE_BUSY,
                 INTERNAL);
    CELLA_ENSURE(cella_protected_open("/put", "w", &g_signer, &other).code == CELLA_CODE_BUSY,
                 INTERNAL);
    return finish(&file);
}

CELLA_ECALLS([PROTECTED_RUN] = {run, 0, 0}, [PROTECTED_PUT] = {put, 0, 0},
             [PROTECTED_GET] = {get, 0, 0}, [PROTECTED_EXPORT] = {export_key, 0, 32},
             [PROTECTED_IMPORT] = {import_key, 32, 0}, [PROTECTED_BUSY] = {busy, 0, 0});
