/*
 * `ego sign`: the signed image of an executable goes behind its own end (ADR 0162).
 * Side: tools. Called by ego.c. Leaves the executable as it was when anything fails.
 */
#include <errno.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/ego.h"
#include "cli/program_sign.h"
#include "common/cleanup.h"

#define KEY_FILE "private.pem"
#define PUBLIC_KEY_FILE "public.pem"
#define LARGE_HEAP_TAG "ego_largeheap"
#define HEAP_MAX_NORMAL 16384 /* MiB, of a program without the tag */
#define HEAP_MIN_LARGE 512

static cella_result check_heap(const struct go_binary *go, int64_t heap_size,
                               struct cella_error *error)
{
    const bool large = go_binary_has_tag(go, LARGE_HEAP_TAG);
    if (!large && heap_size > HEAP_MAX_NORMAL) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE), EGO_ERROR_LARGE_HEAP);
    }
    if (large && heap_size < HEAP_MIN_LARGE) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE), EGO_ERROR_SMALL_HEAP);
    }
    return CELLA_OK;
}

/* public.pem beside the private key. */
static cella_result write_public_key(const char *key_path, const struct cella_key *key,
                                     struct cella_error *error)
{
    const char *slash = strrchr(key_path, '/');
    char path[EGO_PATH_MAX];
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    cella_result result = CELLA_RESULT(CRYPTO);
    if (bio && PEM_write_bio_PUBKEY(bio, (EVP_PKEY *)key->handle) == 1) {
        const long size = BIO_get_mem_data(bio, &text);
        snprintf(path, sizeof(path), "%.*s" PUBLIC_KEY_FILE,
                 slash ? (int)(slash + 1 - key_path) : 0, key_path);
        result = cella_file_write(path, text, (size_t)size, 0644, error);
    }
    BIO_free(bio);
    return result;
}

/* Where the manifest names a key that is not there, one is made, with its public half beside it. */
static cella_result make_key(const char *path, struct cella_error *error)
{
    CELLA_CLEANUP(cella_key_done) struct cella_key key = {0};
    char *pem;
    size_t size;
    if (access(path, F_OK) == 0 || errno != ENOENT) {
        return CELLA_OK;
    }
    printf("Generating new %s\n", path);
    fflush(stdout);
    CELLA_TRY(cella_key_generate(&key, error));
    CELLA_TRY(cella_key_write(&key, &pem, &size));
    cella_result result = cella_file_write(path, pem, size, 0600, error);
    explicit_bzero(pem, size);
    free(pem);
    CELLA_TRY(result);
    return write_public_key(path, &key, error);
}

/* The executable with its image, in its place; its mode stays. */
static cella_result write_back(const char *path, const struct cella_attach_parts *parts,
                               const struct cella_buffer *image, struct cella_error *error)
{
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer output = {0};
    struct stat status;
    if (stat(path, &status) != 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    CELLA_TRY(cella_attach_write(parts->program, cella_buffer_bytes(image), &output));
    return cella_file_write(path, output.data, output.size, status.st_mode & 07777, error);
}

static cella_result sign(struct program_manifest *manifest, struct cella_error *error)
{
    CELLA_CLEANUP(ego_executable_done) struct ego_executable executable = {0};
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer image = {0};
    struct program_sign job = {.command = "ego sign", .manifest = manifest};
    struct cella_error inner = {0};
    cella_result result =
        ego_executable_read(manifest->executable, "opening file: ", &executable, &inner);
    if (cella_is_ok(result)) {
        result = ego_executable_check(&executable, &inner);
    }
    if (!cella_is_ok(result)) {
        const bool explained = strcmp(inner.text, EGO_ERROR_ECLIENT) == 0;
        return cella_error_set(error, result, "%s%s",
                               explained ? "" : "getting ELF metadata: ", inner.text);
    }
    CELLA_TRY(check_heap(&executable.go, manifest->ego_heap_size, error));
    CELLA_TRY(program_manifest_load(manifest, error));
    CELLA_TRY(make_key(manifest->key, error));
    CELLA_TRY(program_sign(&job, &image, error));
    return write_back(manifest->executable, &executable.parts, &image, error);
}

/* NOT_FOUND: there is no such file. */
static cella_result read_manifest(const char *path, struct program_manifest *manifest,
                                  struct cella_error *error)
{
    program_manifest_init(manifest);
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "enclave config file not found: %s",
                               path);
    }
    return program_manifest_read(path, manifest, stdout, error);
}

/* By enclave.json, which must name this executable, or by a new one. */
static cella_result sign_executable(const char *path, struct program_manifest *manifest,
                                    struct cella_error *error)
{
    cella_result result = read_manifest(PROGRAM_MANIFEST_EGO_FILE, manifest, error);
    if (result.code == CELLA_CODE_NOT_FOUND) {
        *error = (struct cella_error){0};
        program_manifest_done(manifest);
        puts("Generating new " PROGRAM_MANIFEST_EGO_FILE);
        char *text = program_manifest_ego_default(path);
        CELLA_ENSURE(text != NULL, OUT_OF_MEMORY);
        result = cella_file_write(PROGRAM_MANIFEST_EGO_FILE, text, strlen(text), 0644, error);
        free(text);
        CELLA_TRY(result);
        CELLA_TRY(read_manifest(PROGRAM_MANIFEST_EGO_FILE, manifest, error));
    } else if (!cella_is_ok(result)) {
        return result;
    } else if (strcmp(manifest->executable, path) != 0) {
        return cella_error_set(error, CELLA_RESULT(NAME_MISMATCH),
                               "provided path to executable does not match the one in %s",
                               PROGRAM_MANIFEST_EGO_FILE);
    }
    return sign(manifest, error);
}

int ego_sign(int argc, char **argv)
{
    CELLA_CLEANUP(program_manifest_done) struct program_manifest manifest = {0};
    struct cella_error error = {0};
    const char *name = argc > 1 ? argv[1] : "";
    const size_t size = strlen(name);
    cella_result result;
    if (size > 0 && (size < 5 || strcmp(name + size - 5, ".json") != 0)) {
        result = sign_executable(name, &manifest, &error);
    } else {
        result = read_manifest(size ? name : PROGRAM_MANIFEST_EGO_FILE, &manifest, &error);
        if (cella_is_ok(result)) {
            result = sign(&manifest, &error);
        }
    }
    if (!cella_is_ok(result)) {
        error.result = result;
        ego_explain(&error);
        return 1;
    }
    return 0;
}
