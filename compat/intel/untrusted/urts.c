/*
 * sgx_urts.h over the core: enclaves by number, errors in the Intel SDK's words.
 * Side: host. Called by applications and generated bridges. Never looks at launch tokens: nobody makes them any more.
 */
#include "sgx_urts.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cella/bridge_host.h"
#include "compat/intel/untrusted/enclaves.h"
#include "compat/intel/untrusted/urts_service.h"
#include "sgx_edger8r_core.h"

#define EXPORT __attribute__((visibility("default")))

static pthread_rwlock_t g_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct intel_enclave *g_first;
static sgx_enclave_id_t g_last_id = 1;

struct intel_enclave *intel_enclave_take(sgx_enclave_id_t id)
{
    pthread_rwlock_rdlock(&g_lock);
    struct intel_enclave *enclave = g_first;
    while (enclave && enclave->id != id) {
        enclave = enclave->next;
    }
    if (enclave) {
        atomic_fetch_add(&enclave->users, 1);
    }
    pthread_rwlock_unlock(&g_lock);
    return enclave;
}

void intel_enclave_give(struct intel_enclave *enclave)
{
    if (atomic_fetch_sub(&enclave->users, 1) == 1) {
        intel_switchless_stop(enclave);
        cella_enclave_destroy(enclave->core);
        free(enclave);
    }
}

EXPORT struct cella_enclave *sgx_enclave_core(sgx_enclave_id_t eid)
{
    struct intel_enclave *enclave = intel_enclave_take(eid);
    struct cella_enclave *core = enclave ? enclave->core : NULL;
    if (enclave) {
        intel_enclave_give(enclave);
    }
    return core;
}

EXPORT cella_result sgx_bridge_ecall(sgx_enclave_id_t eid, const struct cella_bridge_module *module,
                                     uint32_t index, const struct cella_bridge_function *function,
                                     void *message, void *const *at, void *reply)
{
    struct intel_enclave *enclave = intel_enclave_take(eid);
    const cella_result result = cella_bridge_ecall(enclave ? enclave->core : NULL, module, index,
                                                   function, message, at, reply);
    if (enclave) {
        intel_enclave_give(enclave);
    }
    return result;
}

/* What creation says, where it is not what calls say. */
static sgx_status_t create_status(cella_result result)
{
    switch (result.code) {
    case CELLA_CODE_NO_DEVICE:
        return SGX_ERROR_NO_DEVICE;
    case CELLA_CODE_DEBUG_MISMATCH:
        return SGX_ERROR_NDEBUG_ENCLAVE;
    case CELLA_CODE_BAD_SIGNATURE:
        return SGX_ERROR_INVALID_SIGNATURE;
    case CELLA_CODE_MEASUREMENT_MISMATCH:
        return SGX_ERROR_INVALID_ENCLAVE;
    case CELLA_CODE_OUT_OF_EPC:
        return SGX_ERROR_OUT_OF_EPC;
    case CELLA_CODE_UNSUPPORTED_VERSION:
        return SGX_ERROR_INVALID_VERSION;
    case CELLA_CODE_ATTRIBUTE_REFUSED:
        return SGX_ERROR_INVALID_ATTRIBUTE;
    case CELLA_CODE_ACCESS_DENIED:
        return SGX_ERROR_SERVICE_INVALID_PRIVILEGE;
    case CELLA_CODE_NOT_FOUND:
    case CELLA_CODE_IO:
        return SGX_ERROR_ENCLAVE_FILE_ACCESS;
    case CELLA_CODE_OUT_OF_MEMORY:
    case CELLA_CODE_ENCLAVE_ABORTED:
    case CELLA_CODE_ENCLAVE_LOST:
    case CELLA_CODE_INVALID_ARGUMENT:
        return sgx_status_of(result);
    default:
        return cella_result_category(result) == CELLA_CATEGORY_MALFORMED ? SGX_ERROR_INVALID_ENCLAVE
                                                                         : SGX_ERROR_UNEXPECTED;
    }
}

/* Why in words: applications of this SDK see only a number. */
static void explain(const struct cella_error *error)
{
    if (getenv("CELLA_TRACE") && error->text[0]) {
        fprintf(stderr, "sgx_create_enclave: %s\n", error->text);
    }
}

struct source {
    const char *path; /* or */
    const void *bytes;
    size_t size;
    int debug;
};

static const void *feature(uint32_t features, const void *const *arguments, unsigned index)
{
    return (features >> index & 1) != 0 && arguments ? arguments[index] : NULL;
}

static sgx_status_t features_take(struct intel_enclave *enclave, uint32_t features,
                                  const void *const *arguments,
                                  struct cella_enclave_options *options)
{
    if ((features & ~_SGX_EX_FEATURES_MASK_) != 0 || (features != 0 && !arguments)) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    for (unsigned i = 0; features != 0 && i < MAX_EX_FEATURES_COUNT; i++) {
        if (((features >> i & 1) != 0) != (arguments[i] != NULL)) {
            return SGX_ERROR_INVALID_PARAMETER;
        }
    }
    const sgx_kss_config_t *kss = feature(features, arguments, SGX_CREATE_ENCLAVE_EX_KSS_BIT_IDX);
    if (kss) {
        enclave->kss = *kss;
        options->config_id = enclave->kss.config_id;
        options->config_svn = enclave->kss.config_svn;
    }
    const sgx_uswitchless_config_t *switchless =
        feature(features, arguments, SGX_CREATE_ENCLAVE_EX_SWITCHLESS_BIT_IDX);
    if (switchless) {
        enclave->switchless = *switchless;
    }
    return SGX_SUCCESS;
}

static void attributes_give(const cella_enclave *core, sgx_misc_attribute_t *ret)
{
    if (ret) {
        memset(ret, 0, sizeof(*ret));
        cella_enclave_attributes(core, &ret->secs_attr.flags, &ret->secs_attr.xfrm,
                                 &ret->misc_select);
    }
}

/* For names of files: they are the process's, as in the original. */
#define FOLDER_VARIABLE "CELLA_WORKING_FOLDER="
struct folder {
    char text[sizeof(FOLDER_VARIABLE) + 4096];
    const char *environment[2];
};

static const char *const *folder_environment(struct folder *folder)
{
    const size_t size = sizeof(FOLDER_VARIABLE) - 1;
    memcpy(folder->text, FOLDER_VARIABLE, size);
    folder->environment[0] =
        getcwd(folder->text + size, sizeof(folder->text) - size) ? folder->text : NULL;
    folder->environment[1] = NULL;
    return folder->environment;
}

/* No image is encrypted (docs/adr/0073): one that should be is loaded only by explicit order. */
static bool clear_images_allowed(void)
{
    const char *value = secure_getenv("CELLA_INSECURE_CLEAR_IMAGES");
    return value && strcmp(value, "1") == 0;
}

static sgx_status_t enclave_make(const struct source *source, struct intel_enclave *enclave,
                                 uint32_t features, const void *const *arguments)
{
    struct cella_enclave_options options = {
        .flags = intel_create_flags | (source->debug ? CELLA_ENCLAVE_DEBUG : 0),
        .file_root = "/",
        .service = intel_service,
    };
    struct cella_error error = {0};
    struct folder folder;
    options.environment = folder_environment(&folder);
    if ((features & SGX_CREATE_ENCLAVE_EX_PCL) != 0 && !clear_images_allowed()) {
        return SGX_ERROR_PCL_NOT_ENCRYPTED;
    }
    sgx_status_t status = features_take(enclave, features, arguments, &options);
    if (status != SGX_SUCCESS) {
        return status;
    }
    const cella_result result =
        source->path ? cella_enclave_create(source->path, &options, &enclave->core, &error)
                     : cella_enclave_create_bytes(source->bytes, source->size, NULL, &options,
                                                  &enclave->core, &error);
    if (!cella_is_ok(result)) {
        explain(&error);
        return create_status(result);
    }
    if ((features & SGX_CREATE_ENCLAVE_EX_SWITCHLESS) != 0) {
        status = intel_switchless_start(enclave);
    }
    if (status != SGX_SUCCESS) {
        cella_enclave_destroy(enclave->core);
    }
    return status;
}

static sgx_status_t create(const struct source *source, sgx_enclave_id_t *ret_id,
                           sgx_misc_attribute_t *ret_attributes, uint32_t features,
                           const void *const *arguments)
{
    if (!ret_id) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    struct intel_enclave *enclave = calloc(1, sizeof(*enclave));
    if (!enclave) {
        return SGX_ERROR_OUT_OF_MEMORY;
    }
    const sgx_status_t status = enclave_make(source, enclave, features, arguments);
    if (status != SGX_SUCCESS) {
        free(enclave);
        return status;
    }
    attributes_give(enclave->core, ret_attributes);
    atomic_store(&enclave->users, 1);
    pthread_rwlock_wrlock(&g_lock);
    enclave->id = ++g_last_id;
    enclave->next = g_first;
    g_first = enclave;
    *ret_id = enclave->id;
    pthread_rwlock_unlock(&g_lock);
    return SGX_SUCCESS;
}

EXPORT sgx_status_t sgx_create_enclave_ex(const char *file_name, const int debug,
                                          sgx_reserved_field_1024t *reserved1, int *reserved2,
                                          sgx_enclave_id_t *enclave_id,
                                          sgx_misc_attribute_t *misc_attr,
                                          const uint32_t ex_features, const void *ex_features_p[32])
{
    (void)reserved1;
    (void)reserved2;
    if (!file_name) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    if (access(file_name, R_OK) < 0) {
        return SGX_ERROR_ENCLAVE_FILE_ACCESS;
    }
    const struct source source = {.path = file_name, .debug = debug};
    return create(&source, enclave_id, misc_attr, ex_features, ex_features_p);
}

EXPORT sgx_status_t sgx_create_enclave(const char *file_name, const int debug,
                                       sgx_reserved_field_1024t *reserved1, int *reserved2,
                                       sgx_enclave_id_t *enclave_id,
                                       sgx_misc_attribute_t *misc_attr)
{
    return sgx_create_enclave_ex(file_name, debug, reserved1, reserved2, enclave_id, misc_attr, 0,
                                 NULL);
}

EXPORT sgx_status_t sgx_create_enclave_from_buffer_ex(uint8_t *buffer, size_t buffer_size,
                                                      const int debug, sgx_enclave_id_t *enclave_id,
                                                      sgx_misc_attribute_t *misc_attr,
                                                      const uint32_t ex_features,
                                                      const void *ex_features_p[32])
{
    if (!buffer || buffer_size == 0) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const struct source source = {.bytes = buffer, .size = buffer_size, .debug = debug};
    return create(&source, enclave_id, misc_attr, ex_features, ex_features_p);
}

EXPORT sgx_status_t sgx_create_encrypted_enclave(const char *file_name, const int debug,
                                                 sgx_reserved_field_1024t *reserved1,
                                                 int *reserved2, sgx_enclave_id_t *enclave_id,
                                                 sgx_misc_attribute_t *misc_attr,
                                                 uint8_t *sealed_key)
{
    const void *arguments[MAX_EX_FEATURES_COUNT] = {[SGX_CREATE_ENCLAVE_EX_PCL_BIT_IDX] =
                                                        sealed_key};
    return sgx_create_enclave_ex(file_name, debug, reserved1, reserved2, enclave_id, misc_attr,
                                 SGX_CREATE_ENCLAVE_EX_PCL, arguments);
}

EXPORT sgx_status_t sgx_destroy_enclave(const sgx_enclave_id_t enclave_id)
{
    pthread_rwlock_wrlock(&g_lock);
    struct intel_enclave **at = &g_first;
    while (*at && (*at)->id != enclave_id) {
        at = &(*at)->next;
    }
    struct intel_enclave *enclave = *at;
    if (enclave) {
        *at = enclave->next;
    }
    pthread_rwlock_unlock(&g_lock);
    if (!enclave) {
        return SGX_ERROR_INVALID_ENCLAVE_ID;
    }
    intel_enclave_give(enclave);
    return SGX_SUCCESS;
}

EXPORT sgx_status_t sgx_get_target_info(const sgx_enclave_id_t enclave_id,
                                        sgx_target_info_t *target_info)
{
    if (!target_info) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    struct intel_enclave *enclave = intel_enclave_take(enclave_id);
    if (!enclave) {
        return SGX_ERROR_INVALID_ENCLAVE_ID;
    }
    memset(target_info, 0, sizeof(*target_info));
    cella_enclave_identity(enclave->core, target_info->mr_enclave.m, NULL);
    cella_enclave_attributes(enclave->core, &target_info->attributes.flags,
                             &target_info->attributes.xfrm, &target_info->misc_select);
    target_info->config_svn = enclave->kss.config_svn;
    memcpy(target_info->config_id, enclave->kss.config_id, sizeof(target_info->config_id));
    intel_enclave_give(enclave);
    return SGX_SUCCESS;
}

EXPORT sgx_status_t sgx_get_enclave_file_handle(void *virt_addr, int *enclave_fd)
{
    if (!virt_addr || !enclave_fd) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    sgx_status_t status = SGX_ERROR_INVALID_ENCLAVE;
    pthread_rwlock_rdlock(&g_lock);
    for (const struct intel_enclave *enclave = g_first; enclave; enclave = enclave->next) {
        uint64_t base, size;
        cella_enclave_range(enclave->core, &base, &size);
        if ((uint64_t)virt_addr - base < size) {
            *enclave_fd = cella_enclave_descriptor(enclave->core);
            status = SGX_SUCCESS;
        }
    }
    pthread_rwlock_unlock(&g_lock);
    return status;
}
