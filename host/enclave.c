/*
 * An enclave's life on the host: create, identity, destroy.
 * Side: host. Called by applications. Owns every resource of struct cella_enclave.
 * Never leaves a half-made enclave behind.
 */
#include "host/blocks.h"
#include "host/bridge.h"
#include "host/host.h"
#include "host/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARENA_DEFAULT (64u * 1024u)
#define ARENA_MAX (1u << 30)

static cella_result slots_make(cella_enclave *enclave, const struct cella_image_info *info,
                               size_t arena_size, struct cella_error *error)
{
    const size_t stride = arena_size ? (arena_size + 4095) & ~(size_t)4095 : ARENA_DEFAULT;
    if (stride > ARENA_MAX) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "arena_size %zu: at most %u is possible", arena_size, ARENA_MAX);
    }
    enclave->thread_count = info->thread_count;
    enclave->slot_count = info->thread_count - info->enclave_thread_count;
    enclave->arena_stride = stride;
    enclave->slots = aligned_alloc(64, (size_t)info->thread_count * sizeof(struct cella_host_slot));
    void *arenas = mmap(NULL, stride * info->thread_count, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    enclave->arenas = arenas == MAP_FAILED ? NULL : arenas;
    if (!enclave->slots || !enclave->arenas) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_MEMORY), "%s: buffers of %u threads",
                               enclave->name, info->thread_count);
    }
    memset(enclave->slots, 0, (size_t)info->thread_count * sizeof(struct cella_host_slot));
    for (uint32_t i = 0; i < info->thread_count; i++) {
        struct cella_host_slot *slot = &enclave->slots[i];
        slot->index = i;
        slot->tcs = enclave->base + info->threads_offset + i * info->thread_stride + info->slot_tcs;
        slot->arena = (struct cella_call_arena *)(enclave->arenas + i * stride);
        slot->enclave = enclave;
        slot->run.tcs = slot->tcs;
        slot->run.user_handler = (uint64_t)cella_host_handler;
    }
    return CELLA_OK;
}

/* Strings of the environment, one behind the other, as INIT hands them over. */
static size_t environment_pack(const char *const *environment, char *out, size_t capacity)
{
    size_t used = 0;
    for (; environment && *environment; environment++) {
        const size_t size = strlen(*environment) + 1;
        if (size > capacity - used) {
            break;
        }
        memcpy(out + used, *environment, size);
        used += size;
    }
    return used;
}

static cella_result enclave_start(cella_enclave *enclave,
                                  const struct cella_enclave_options *options,
                                  struct cella_error *error)
{
    struct {
        struct cella_call_init init;
        struct cella_call_cpuid cpuid[CELLA_CALL_CPUID_MAX];
        char environment[CELLA_CALL_ENVIRONMENT_MAX];
    } *start = calloc(1, sizeof(*start));
    struct cella_image_processor offers;
    uint32_t flags;
    if (!start) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_MEMORY), "%s: start", enclave->name);
    }
    enclave->init = &start->init;
    cella_processor_offers(&offers, &flags);
    start->init.arenas = (uint64_t)enclave->arenas;
    start->init.arena_stride = enclave->arena_stride;
    start->init.cpuid = (uint64_t)start->cpuid;
    start->init.cpuid_count = cella_processor_cpuid(start->cpuid, CELLA_CALL_CPUID_MAX);
    start->init.flags = flags;
    start->init.tsc_hz = cella_processor_tsc_hz();
    start->init.environment = (uint64_t)start->environment;
    start->init.environment_size =
        environment_pack(options->environment, start->environment, sizeof(start->environment));
    start->init.ocall_ring = (uint64_t)enclave->ocall_ring;
    atomic_store(&enclave->slots[0].busy, 1);
    cella_result result = cella_host_call(enclave, &enclave->slots[0], CELLA_ENTER_INIT,
                                          (uint64_t)&start->init, sizeof(start->init));
    atomic_store(&enclave->slots[0].busy, 0);
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "%s: the enclave did not start: %s%s%s",
                               enclave->name, cella_result_text(result),
                               enclave->abort_text[0] ? ": " : "", enclave->abort_text);
    }
    return CELLA_OK;
}

static void enclave_free(cella_enclave *enclave)
{
    if (enclave->gdb) {
        cella_gdb_forget(enclave);
    }
    if (enclave->size) {
        enclave->processor->munmap((void *)enclave->range_start,
                                   enclave->base + enclave->size - enclave->range_start);
    }
    if (enclave->fd >= 0) {
        enclave->processor->close(enclave->fd);
    }
    if (enclave->arenas) {
        munmap(enclave->arenas, enclave->arena_stride * enclave->thread_count);
    }
    cella_host_blocks_end(enclave);
    if (enclave->file_root >= 0) {
        close(enclave->file_root);
    }
    cella_services_free(enclave);
    pthread_mutex_destroy(&enclave->lock);
    cella_switchless_free(enclave);
    cella_bindings_free(enclave);
    free(enclave->init);
    free(enclave->slots);
    free(enclave);
}

static cella_result options_take(cella_enclave *enclave,
                                 const struct cella_enclave_options *options,
                                 struct cella_error *error)
{
    enclave->flags = options->flags;
    enclave->ocalls = options->ocalls;
    enclave->ocall_count = options->ocall_count;
    enclave->ocall_context = options->ocall_context;
    enclave->starting_module = options->module;
    enclave->service = options->service;
    enclave->service_context = options->service_context;
    enclave->config_id = options->config_id;
    enclave->config_svn = options->config_svn;
    memcpy(enclave->console, options->console, sizeof(enclave->console));
    if (options->ocall_count > 0 && !options->ocalls) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "options: ocall_count is %u, ocalls is NULL", options->ocall_count);
    }
    if (options->file_root) {
        enclave->file_root = open(options->file_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (enclave->file_root < 0) {
            return cella_error_errno(error, CELLA_RESULT(NOT_FOUND), errno, "file_root %s",
                                     options->file_root);
        }
    }
    return CELLA_OK;
}

static bool wants_gdb(const struct cella_enclave_options *options)
{
    return (options->flags & (CELLA_ENCLAVE_DEBUG | CELLA_ENCLAVE_NO_GDB)) == CELLA_ENCLAVE_DEBUG;
}

/* Programs get their memory page by page while they run: SGX2, and a kernel that lets an enclave have it. */
static cella_result program_check(const cella_enclave *enclave, const struct cella_image *image,
                                  struct cella_error *error)
{
    struct cella_image_processor offers;
    struct sgx_linux_restrict_permissions none = {0};
    uint32_t flags;
    cella_processor_offers(&offers, &flags);
    if (image->info.program_offset == 0) {
        return CELLA_OK;
    }
    if ((flags & CELLA_INIT_SGX2) == 0) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "%s: a program needs a processor with SGX2 (EDMM), and this one has"
                               " SGX1; CELLA_PROCESSOR=software runs it on the software processor",
                               enclave->name);
    }
    if (enclave->processor->ioctl(enclave->fd, SGX_LINUX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, &none) ==
        -ENOTTY) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "%s: a program needs a kernel that adds pages to running enclaves:"
                               " Linux 6.0 or newer",
                               enclave->name);
    }
    return CELLA_OK;
}

static cella_result enclave_make(struct cella_host_image_file *file, const char *name,
                                 const struct cella_enclave_options *options,
                                 struct cella_image *image, cella_enclave *enclave,
                                 struct cella_error *error)
{
    static _Atomic uint64_t serial;
    const struct cella_bytes bytes = cella_bytes_of(file->data, file->size);
    CELLA_TRY(cella_image_parse(bytes, image, error));
    if (!image->is_signed) {
        return cella_error_set(error, CELLA_RESULT(BAD_SIGNATURE), "%s: the image is not signed",
                               name);
    }
    snprintf(enclave->name, sizeof(enclave->name), "%.*s", (int)sizeof(enclave->name) - 1,
             image->name[0] ? image->name : name);
    enclave->serial = atomic_fetch_add(&serial, 1) + 1;
    CELLA_TRY(options_take(enclave, options, error));
    CELLA_TRY(cella_switchless_prepare_ocalls(enclave));
    CELLA_TRY(cella_processor_open(options->flags & CELLA_ENCLAVE_SOFTWARE, &enclave->processor,
                                   &enclave->fd, error));
    enclave->enter = enclave->processor->enter();
    if (enclave->flags & CELLA_ENCLAVE_INTERRUPTIBLE || image->info.program_offset != 0) {
        enclave->is_interruptible = cella_kick_prepare();
        if (!enclave->is_interruptible) {
            return cella_error_set(
                error, CELLA_RESULT(LIMIT_EXCEEDED),
                "%s: this process has a handler for every real-time signal, and one"
                " is needed to interrupt the enclave's threads",
                enclave->name);
        }
    }
    CELLA_TRY(program_check(enclave, image, error));
    CELLA_TRY(cella_host_load(enclave, image, file, error));
    CELLA_TRY(slots_make(enclave, &image->info, options->arena_size, error));
    if (!cella_is_ok(cella_services_new(enclave))) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_MEMORY), "%s: services", name);
    }
    if (file->path && wants_gdb(options)) {
        cella_gdb_register(enclave, file->path, bytes);
    }
    return enclave_start(enclave, options, error);
}

static cella_result enclave_create(struct cella_host_image_file *file, const char *name,
                                   const struct cella_enclave_options *options,
                                   cella_enclave **ret_enclave, struct cella_error *error)
{
    static const struct cella_enclave_options none;
    cella_enclave *enclave = aligned_alloc(64, (sizeof(*enclave) + 63) & ~(size_t)63);
    if (!enclave) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_MEMORY), "%s", name);
    }
    memset(enclave, 0, sizeof(*enclave));
    enclave->fd = -1;
    enclave->file_root = -1;
    pthread_mutex_init(&enclave->lock, NULL);
    struct cella_image *image = calloc(1, sizeof(*image));
    cella_result result = CELLA_RESULT(OUT_OF_MEMORY);
    if (image) {
        result = enclave_make(file, name, options ? options : &none, image, enclave, error);
    }
    free(image);
    if (!cella_is_ok(result)) {
        atomic_store(&enclave->stopping, 1);
        if (enclave->slots) {
            cella_host_die(enclave, result, 0);
            cella_host_threads_join(enclave);
        }
        enclave_free(enclave);
        return result;
    }
    if (error) { /* what a processor that was tried before said */
        *error = (struct cella_error){.result = CELLA_OK};
    }
    *ret_enclave = enclave;
    return CELLA_OK;
}

cella_result cella_enclave_create(const char *path, const struct cella_enclave_options *options,
                                  cella_enclave **ret_enclave, struct cella_error *error)
{
    CELLA_CLEANUP(cella_host_image_file_done) struct cella_host_image_file file = {0};
    CELLA_TRY(cella_host_image_file_read(path, options && wants_gdb(options), &file, error));
    return enclave_create(&file, path, options, ret_enclave, error);
}

cella_result cella_enclave_create_bytes(const void *image, size_t size, const char *name,
                                        const struct cella_enclave_options *options,
                                        cella_enclave **ret_enclave, struct cella_error *error)
{
    CELLA_CLEANUP(cella_host_image_file_done) struct cella_host_image_file file = {0};
    CELLA_TRY(cella_host_image_file_new(&file, size, error));
    memcpy(file.data, image, size);
    return enclave_create(&file, name ? name : "image", options, ret_enclave, error);
}

void cella_enclave_destroy(cella_enclave *enclave)
{
    if (!enclave) {
        return;
    }
    /* Exit handlers may make switchless calls, unless a worker has the TCS that they run on. */
    atomic_store(&enclave->is_ending, 1);
    if (cella_switchless_holds(enclave, &enclave->slots[0])) {
        cella_switchless_stop(enclave);
    }
    if (atomic_load(&enclave->dead) == 0) {
        cella_ignore(cella_host_call(enclave, &enclave->slots[0], CELLA_ENTER_DESTROY, 0, 0));
    }
    cella_switchless_stop(enclave);
    atomic_store(&enclave->stopping, 1);
    cella_host_die(enclave, CELLA_RESULT(ENCLAVE_LOST), 0);
    cella_host_wake_all(enclave);
    cella_host_threads_join(enclave);
    enclave_free(enclave);
}

const char *cella_enclave_abort_text(cella_enclave *enclave)
{
    return atomic_load(&enclave->dead) ? enclave->abort_text : "";
}

const char *cella_enclave_processor(const cella_enclave *enclave)
{
    return enclave->processor->name;
}

void cella_enclave_identity(const cella_enclave *enclave, uint8_t *ret_mr_enclave,
                            uint8_t *ret_mr_signer)
{
    if (ret_mr_enclave) {
        memcpy(ret_mr_enclave, enclave->mr_enclave, sizeof(enclave->mr_enclave));
    }
    if (ret_mr_signer) {
        memcpy(ret_mr_signer, enclave->mr_signer, sizeof(enclave->mr_signer));
    }
}

void cella_enclave_range(const cella_enclave *enclave, uint64_t *ret_base, uint64_t *ret_size)
{
    *ret_base = enclave->base;
    *ret_size = enclave->size;
}

void cella_enclave_attributes(const cella_enclave *enclave, uint64_t *ret_flags, uint64_t *ret_xfrm,
                              uint32_t *ret_misc_select)
{
    *ret_flags = enclave->attributes.flags;
    *ret_xfrm = enclave->attributes.xfrm;
    *ret_misc_select = enclave->misc_select;
}

int cella_enclave_descriptor(const cella_enclave *enclave)
{
    return enclave->fd;
}
