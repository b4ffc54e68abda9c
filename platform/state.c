/*
 * What a software platform keeps of its provisioning. state.h is the manual.
 * Side: host. Called by host/provision.c, cli/, services/.
 * Never overwrites in place.
 */
#include "platform/state.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/internal.h"

#define PATH_SIZE 1024u
#define CERTIFICATE_MAX 16384u

cella_result platform_state_seed(const uint8_t root_key[32], uint8_t ret_seed[PLATFORM_SEED_SIZE],
                                 struct cella_error *error)
{
    return platform_bytes_derive(root_key, "seed of the certification authorities", ret_seed,
                                 PLATFORM_SEED_SIZE, error);
}

static void fd_done(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

static cella_result path_join(const char *folder, const char *name, char ret_path[PATH_SIZE],
                              struct cella_error *error)
{
    const int size = snprintf(ret_path, PATH_SIZE, "%s/%s", folder, name);
    if (size < 0 || (size_t)size >= PATH_SIZE) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE), "%s: the path is too long",
                               folder);
    }
    return CELLA_OK;
}

cella_result platform_file_read(const char *path, size_t limit, struct platform_blob *ret_blob,
                                struct cella_error *error)
{
    CELLA_CLEANUP(fd_done) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0) {
        return cella_error_errno(
            error, errno == ENOENT ? CELLA_RESULT(NOT_FOUND) : CELLA_RESULT(IO), errno, "%s", path);
    }
    if (!S_ISREG(status.st_mode) || status.st_size < 0 || (uint64_t)status.st_size > limit) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "%s: expected a file of at most %zu bytes", path, limit);
    }
    const size_t size = (size_t)status.st_size;
    uint8_t *data = malloc(size + 1);
    CELLA_ENSURE(data != NULL, OUT_OF_MEMORY);
    size_t got = 0;
    for (ssize_t part = 1; got < size && part > 0; got += part > 0 ? (size_t)part : 0) {
        part = read(fd, data + got, size - got);
    }
    if (got != size) {
        free(data);
        return cella_error_set(error, CELLA_RESULT(IO), "%s: could not be read whole", path);
    }
    data[size] = 0;
    *ret_blob = (struct platform_blob){data, size};
    return CELLA_OK;
}

static cella_result write_whole(const char *path, const uint8_t *data, size_t size,
                                struct cella_error *error)
{
    CELLA_CLEANUP(fd_done)
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    ssize_t part = fd < 0 ? -1 : 0;
    for (size_t put = 0; part >= 0 && put<size; put += part> 0 ? (size_t)part : 0) {
        part = write(fd, data + put, size - put);
    }
    if (part < 0 || fsync(fd) < 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    return CELLA_OK;
}

/* `first`: only if nobody has put one there yet, else ALREADY_EXISTS. */
static cella_result file_put(const char *folder, const char *name, const void *data, size_t size,
                             bool first, struct cella_error *error)
{
    char path[PATH_SIZE], temporary[PATH_SIZE + 32];
    uint64_t random = 0;
    CELLA_TRY(path_join(folder, name, path, error));
    CELLA_ENSURE(getrandom(&random, sizeof(random), 0) == sizeof(random), ENTROPY);
    snprintf(temporary, sizeof(temporary), "%s.%016llx", path, (unsigned long long)random);
    cella_result result = write_whole(temporary, data, size, error);
    if (cella_is_ok(result) && (first ? link(temporary, path) : rename(temporary, path)) < 0) {
        result = first && errno == EEXIST
                     ? CELLA_RESULT(ALREADY_EXISTS)
                     : cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    if (first || !cella_is_ok(result)) {
        unlink(temporary);
    }
    return result;
}

cella_result platform_file_write(const char *folder, const char *name, const void *data,
                                 size_t size, struct cella_error *error)
{
    return file_put(folder, name, data, size, false, error);
}

static cella_result folder_make(const char *path, mode_t mode, struct cella_error *error)
{
    if (mkdir(path, mode) < 0 && errno != EEXIST) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    return CELLA_OK;
}

/* The file of each certificate; the PCK certificate's says for which versions it is. */
static void certificate_name(const struct platform_facts *facts, enum platform_certificate which,
                             char ret_name[96])
{
    static const char *const names[] = {
        [PLATFORM_ROOT] = "root_ca.der",
        [PLATFORM_PCK_CA] = "pck_ca.der",
        [PLATFORM_TCB_SIGNING] = "tcb_signing.der",
    };
    if (which != PLATFORM_PCK) {
        snprintf(ret_name, 96, "%s", names[which]);
        return;
    }
    char *at = ret_name + sprintf(ret_name, "pck-");
    for (size_t i = 0; i < sizeof(facts->cpu_svn); i++) {
        at += sprintf(at, "%02x", facts->cpu_svn[i]);
    }
    sprintf(at, "-%u.der", facts->pce_svn);
}

struct kept {
    struct platform_blob blobs[PLATFORM_CERTIFICATES];
};

static void kept_done(struct kept *kept)
{
    for (size_t i = 0; i < PLATFORM_CERTIFICATES; i++) {
        platform_blob_done(&kept->blobs[i]);
    }
}

static cella_result kept_read(const char *folder, const struct platform_facts *facts,
                              struct kept *kept, struct cella_error *error)
{
    for (size_t i = 0; i < PLATFORM_CERTIFICATES; i++) {
        char name[96], path[PATH_SIZE];
        certificate_name(facts, (enum platform_certificate)i, name);
        CELLA_TRY(path_join(folder, name, path, error));
        const cella_result result =
            platform_file_read(path, CERTIFICATE_MAX, &kept->blobs[i], error);
        if (result.code != CELLA_CODE_NOT_FOUND) {
            CELLA_TRY(result);
        }
    }
    return CELLA_OK;
}

static cella_result kept_write(const char *folder, const struct platform_facts *facts,
                               const struct kept *kept, const struct platform *platform,
                               struct cella_error *error)
{
    for (size_t i = 0; i < PLATFORM_CERTIFICATES; i++) {
        const struct platform_blob *now = &platform->der[i];
        const struct platform_blob *before = &kept->blobs[i];
        char name[96];
        if (before->size == now->size && memcmp(before->data, now->data, now->size) == 0) {
            continue;
        }
        certificate_name(facts, (enum platform_certificate)i, name);
        CELLA_TRY(file_put(folder, name, now->data, now->size, before->data == NULL, error));
    }
    return CELLA_OK;
}

/* Once: ALREADY_EXISTS when another process was first with a certificate, which is to be used then. */
static cella_result open_once(const char *folder, const struct platform_facts *facts,
                              struct platform_options *options, struct platform **ret_platform,
                              struct cella_error *error)
{
    CELLA_CLEANUP(kept_done) struct kept kept = {0};
    if (folder) {
        CELLA_TRY(kept_read(folder, facts, &kept, error));
    }
    for (size_t i = 0; i < PLATFORM_CERTIFICATES; i++) {
        options->kept[i] = kept.blobs[i].data ? &kept.blobs[i] : NULL;
    }
    struct platform *platform = NULL;
    CELLA_TRY(platform_new(options, &platform, error));
    const cella_result result =
        folder ? kept_write(folder, facts, &kept, platform, error) : CELLA_OK;
    if (!cella_is_ok(result)) {
        platform_free(platform);
        return result;
    }
    *ret_platform = platform;
    return CELLA_OK;
}

cella_result platform_state_open(const char *directory, const struct platform_facts *facts,
                                 int64_t now, struct platform **ret_platform,
                                 struct cella_error *error)
{
    char folder[PATH_SIZE];
    struct platform_options options = {
        .ca = PLATFORM_CA_PLATFORM,
        .created = now,
        .fmspc = PLATFORM_FMSPC,
        .pce_svn = facts->pce_svn,
        .sgx_type = 1,
        .pck_public = facts->pck_public,
        .url = facts->url,
    };
    memcpy(options.cpu_svn, facts->cpu_svn, sizeof(options.cpu_svn));
    memcpy(options.components, facts->cpu_svn, sizeof(options.components));
    if (directory) {
        CELLA_TRY(path_join(directory, PLATFORM_FOLDER, folder, error));
        CELLA_TRY(folder_make(folder, 0755, error));
    }
    memcpy(options.seed, facts->seed, sizeof(options.seed));
    cella_result result = CELLA_RESULT(ALREADY_EXISTS);
    for (int i = 0; result.code == CELLA_CODE_ALREADY_EXISTS && i < PLATFORM_CERTIFICATES + 1;
         i++) {
        result = open_once(directory ? folder : NULL, facts, &options, ret_platform, error);
    }
    OPENSSL_cleanse(&options, sizeof(options));
    return result;
}

cella_result platform_state_export(const char *folder, const struct platform *platform,
                                   const struct platform_collateral *collateral,
                                   struct cella_error *error)
{
    const struct {
        const char *name;
        const struct platform_blob *blob;
    } files[] = {
        {"root_ca.pem", &platform->pem[PLATFORM_ROOT]},
        {"root_ca.der", &platform->der[PLATFORM_ROOT]},
        {"root_ca_crl.der", &collateral->root_ca_crl_der},
        {"root_ca_crl.pem", &collateral->root_ca_crl_pem},
        {"pck_crl.der", &collateral->pck_crl_der},
        {"pck_crl.pem", &collateral->pck_crl_pem},
        {"pck_crl_issuer_chain.pem", &platform->pck_ca_chain},
        {"tcb_info.json", &collateral->tcb_info},
        {"tcb_info_issuer_chain.pem", &platform->tcb_chain},
        {"qe_identity.json", &collateral->qe_identity},
        {"qe_identity_issuer_chain.pem", &platform->tcb_chain},
        {"pck_certificate_chain.pem", &platform->pck_chain},
    };
    CELLA_TRY(folder_make(folder, 0755, error));
    for (size_t i = 0; i < CELLA_COUNT(files); i++) {
        CELLA_TRY(platform_file_write(folder, files[i].name, files[i].blob->data,
                                      files[i].blob->size, error));
    }
    return CELLA_OK;
}
