/*
 * From a path to something that can be loaded.
 * Side: host. Called by create.c.
 * Never makes a production enclave of an image that nobody signed.
 */
#include "compat/openenclave/host/image.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openenclave/host.h>

#include "compat/openenclave/tools/properties.h"

struct mapping {
    void *data;
    size_t size;
    struct stat status;
};

static void mapping_done(struct mapping *mapping)
{
    if (mapping->size > 0) {
        munmap(mapping->data, mapping->size);
    }
}

static cella_result mapping_open(const char *path, struct mapping *ret_mapping,
                                 struct cella_error *error)
{
    struct stat status;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0) {
        const int number = errno;
        if (fd >= 0) {
            close(fd);
        }
        return cella_error_errno(error, CELLA_RESULT(NOT_FOUND), number, "%s", path);
    }
    void *data = S_ISREG(status.st_mode) && status.st_size > 0
                     ? mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
                     : MAP_FAILED;
    close(fd);
    if (data == MAP_FAILED) {
        return cella_error_set(error, CELLA_RESULT(BAD_MAGIC), "%s: not an enclave image", path);
    }
    ret_mapping->data = data;
    ret_mapping->size = (size_t)status.st_size;
    ret_mapping->status = status;
    return CELLA_OK;
}

void oe_image_done(struct oe_image *image)
{
    cella_buffer_done(&image->output);
}

/* DEBUG asks for a debug enclave, DEBUG_AUTO for what the image allows. */
static cella_result debug_choose(uint32_t flags, bool image_allows, const char *path,
                                 bool *ret_debug, struct cella_error *error)
{
    *ret_debug = (flags & OE_ENCLAVE_FLAG_DEBUG) != 0 ||
                 ((flags & OE_ENCLAVE_FLAG_DEBUG_AUTO) != 0 && image_allows);
    if (*ret_debug && !image_allows) {
        return cella_error_set(error, CELLA_RESULT(DEBUG_MISMATCH),
                               "%s: OE_ENCLAVE_FLAG_DEBUG was given, but the image was signed with "
                               "Debug=0",
                               path);
    }
    return CELLA_OK;
}

/*
 * The image that was built last: tests make one enclave after the other of the same file. Keyed by what a changed file
 * cannot keep.
 */
static struct {
    pthread_mutex_t lock;
    struct stat status;
    struct cella_buffer output;
} g_last = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool last_get(const struct stat *status, struct cella_buffer *output)
{
    pthread_mutex_lock(&g_last.lock);
    const bool found =
        g_last.output.size > 0 && is_same_file(status, &g_last.status) &&
        cella_is_ok(cella_buffer_append(output, g_last.output.data, g_last.output.size));
    pthread_mutex_unlock(&g_last.lock);
    return found;
}

static void last_put(const struct stat *status, const struct cella_buffer *output)
{
    struct cella_buffer copy = {0};
    if (!cella_is_ok(cella_buffer_append(&copy, output->data, output->size))) {
        return;
    }
    pthread_mutex_lock(&g_last.lock);
    cella_buffer_done(&g_last.output);
    g_last.output = copy;
    g_last.status = *status;
    pthread_mutex_unlock(&g_last.lock);
}

static cella_result sign_in_memory(struct cella_bytes file, const struct stat *status,
                                   const char *path, struct oe_image *image,
                                   const oe_sgx_enclave_properties_t *properties, uint64_t offset,
                                   struct cella_error *error)
{
    CELLA_CLEANUP(cella_key_done) struct cella_key key = {0};
    struct sgx_sigstruct sigstruct;
    if (last_get(status, &image->output)) {
        return CELLA_OK;
    }
    CELLA_TRY(oe_image_build(file, properties, offset, path, &image->output, &sigstruct, error));
    CELLA_TRY(cella_key_read(cella_bytes_of(oe_debug_key, strlen(oe_debug_key)), true, "debug key",
                             &key, error));
    CELLA_TRY(cella_sigstruct_sign(&sigstruct, &key, error));
    CELLA_TRY(cella_image_put_sigstruct(&image->output, &sigstruct));
    last_put(status, &image->output);
    return CELLA_OK;
}

static cella_result unsigned_open(struct cella_bytes file, const struct stat *status,
                                  const char *path, uint32_t flags, struct oe_image *image,
                                  struct cella_error *error)
{
    oe_sgx_enclave_properties_t properties;
    uint64_t offset;
    CELLA_TRY(oe_properties_read(file, &properties, &offset, error));
    const bool allows = (properties.config.attributes & OE_SGX_FLAGS_DEBUG) != 0;
    CELLA_TRY(debug_choose(flags, allows, path, &image->is_debug, error));
    if (!image->is_debug && !(flags & OE_ENCLAVE_FLAG_SIMULATE)) {
        return cella_error_set(
            error, CELLA_RESULT(ACCESS_DENIED),
            "%s: the image is not signed; sign it with oesign, or create it with "
            "OE_ENCLAVE_FLAG_DEBUG",
            path);
    }
    return sign_in_memory(file, status, path, image, &properties, offset, error);
}

cella_result oe_image_open(const char *path, uint32_t flags, struct oe_image *ret_image,
                           struct cella_error *error)
{
    CELLA_CLEANUP(mapping_done) struct mapping mapping = {0};
    struct cella_error parse_error = {0};
    CELLA_TRY(mapping_open(path, &mapping, error));
    const struct cella_bytes file = cella_bytes_of(mapping.data, mapping.size);
    struct cella_image *image = calloc(1, sizeof(*image));
    if (!image) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_MEMORY), "%s", path);
    }
    const cella_result parsed = cella_image_parse(file, image, &parse_error);
    const uint64_t signed_flags = image->sigstruct.attributes.flags;
    const bool is_signed = cella_is_ok(parsed) && image->is_signed;
    free(image);
    if (parsed.code == CELLA_CODE_BAD_MAGIC) {
        return unsigned_open(file, &mapping.status, path, flags, ret_image, error);
    }
    if (!cella_is_ok(parsed)) {
        return cella_error_set(error, parsed, "%s: %s", path, parse_error.text);
    }
    if (!is_signed) {
        return cella_error_set(error, CELLA_RESULT(ACCESS_DENIED), "%s: not signed", path);
    }
    return debug_choose(flags, (signed_flags & OE_SGX_FLAGS_DEBUG) != 0, path, &ret_image->is_debug,
                        error);
}
