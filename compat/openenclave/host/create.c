/*
 * An enclave's life: create, name its calls, start switchless workers, terminate.
 * Side: host. Called by the generated oe_create_NAME_enclave and by applications.
 * Never leaves a half-made enclave behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compat/openenclave/host/image.h"
#include "compat/openenclave/host/skin.h"

/* What of the settings counts before the enclave runs. */
struct choices {
    const oe_enclave_setting_context_switchless_t *switchless;
    const oe_sgx_enclave_setting_config_data *config_data;
};

static oe_result_t settings_take(const oe_enclave_setting_t *settings, uint32_t count,
                                 struct choices *ret_choices)
{
    for (uint32_t i = 0; i < count; i++) {
        switch (settings[i].setting_type) {
        case OE_ENCLAVE_SETTING_CONTEXT_SWITCHLESS:
            OE_ENSURE(ret_choices->switchless == NULL &&
                          settings[i].u.context_switchless_setting != NULL,
                      OE_INVALID_PARAMETER);
            ret_choices->switchless = settings[i].u.context_switchless_setting;
            break;
        case OE_SGX_ENCLAVE_CONFIG_DATA:
            OE_ENSURE(settings[i].u.config_data != NULL, OE_INVALID_PARAMETER);
            ret_choices->config_data = settings[i].u.config_data;
            break;
        default:
            oe_log(OE_LOG_LEVEL_ERROR, "oe_create_enclave: setting %u: unknown type 0x%x\n", i,
                   (unsigned)settings[i].setting_type);
            return OE_INVALID_PARAMETER;
        }
    }
    return OE_OK;
}

static oe_result_t fail(const char *path, cella_result result, const struct cella_error *error)
{
    oe_log(OE_LOG_LEVEL_ERROR, "oe_create_enclave: %s%s%s\n", error->text[0] ? "" : path,
           error->text[0] ? "" : ": ", error->text[0] ? error->text : cella_result_text(result));
    switch (cella_result_category(result)) {
    case CELLA_CATEGORY_MALFORMED:
        return OE_INVALID_IMAGE;
    default:
        return result.code == CELLA_CODE_NOT_FOUND ? OE_FAILURE : oe_result_of(result);
    }
}

static cella_result core_create(oe_enclave_t *enclave, const char *path, uint32_t flags,
                                const struct choices *choices, struct cella_error *error)
{
    char handle[64], level[64];
    const char *const environment[] = {handle, level, NULL};
    struct cella_enclave_options options = {
        .environment = environment,
        .file_root = "/",
        .flags = CELLA_ENCLAVE_NETWORK | CELLA_ENCLAVE_NO_NESTING, /* OE_REENTRANT_ECALL */
        .module = &enclave->module,
        .service = oe_host_service,
    };
    CELLA_CLEANUP(oe_image_done) struct oe_image image = {0};
    CELLA_TRY(oe_image_open(path, flags, &image, error));
    options.flags |= image.is_debug ? CELLA_ENCLAVE_DEBUG : 0;
    options.flags |= (flags & OE_ENCLAVE_FLAG_SIMULATE) ? CELLA_ENCLAVE_SOFTWARE : 0;
    if (choices->config_data) {
        options.config_id = choices->config_data->config_id;
        options.config_svn = choices->config_data->config_svn;
    }
    snprintf(handle, sizeof(handle), "%s%lx", OE_ENVIRONMENT_HANDLE, (unsigned long)enclave);
    snprintf(level, sizeof(level), "%s%u", OE_ENVIRONMENT_LOG_LEVEL, oe_log_level_now());
    if (image.output.size == 0) {
        return cella_enclave_create(path, &options, &enclave->core, error);
    }
    return cella_enclave_create_bytes(image.output.data, image.output.size, path, &options,
                                      &enclave->core, error);
}

/* One function may stand for two ecalls when the enclave's worker count is 0: host workers alone are fine. */
static cella_result workers_start(oe_enclave_t *enclave,
                                  const oe_enclave_setting_context_switchless_t *setting)
{
    const struct cella_switchless_options options = {
        .workers = (uint32_t)setting->max_enclave_workers,
        .ocall_workers = (uint32_t)setting->max_host_workers,
    };
    if (options.workers == 0 && options.ocall_workers == 0) {
        return CELLA_OK;
    }
    return cella_switchless_start(enclave->core, &options);
}

static oe_result_t enclave_make(oe_enclave_t *enclave, const char *path, uint32_t flags,
                                const oe_enclave_setting_t *settings, uint32_t setting_count)
{
    struct choices choices = {0};
    struct cella_error error = {0};
    OE_TRY(settings_take(settings, setting_count, &choices));
    cella_result result = core_create(enclave, path, flags, &choices, &error);
    if (result.code == CELLA_CODE_ATTRIBUTE_REFUSED && choices.config_data &&
        choices.config_data->ignore_if_unsupported) {
        choices.config_data = NULL;
        result = core_create(enclave, path, flags, &choices, &error);
    }
    if (!cella_is_ok(result)) {
        return fail(path, result, &error);
    }
    if (enclave->module.ecall_count > 0 || enclave->module.ocall_count > 0) {
        result = cella_enclave_bind(enclave->core, &enclave->module);
        const char *missing =
            cella_is_ok(result) ? cella_enclave_missing(enclave->core, &enclave->module) : NULL;
        if (missing) { /* only calling it is an error */
            oe_log(OE_LOG_LEVEL_WARNING, "oe_create_enclave: %s has no ecall %s\n", path, missing);
        }
    }
    if (cella_is_ok(result) && choices.switchless) {
        result = workers_start(enclave, choices.switchless);
    }
    return cella_is_ok(result) ? OE_OK : fail(path, result, &error);
}

oe_result_t oe_create_enclave(const char *path, oe_enclave_type_t type, uint32_t flags,
                              const oe_enclave_setting_t *settings, uint32_t setting_count,
                              const oe_ocall_func_t *ocall_table, uint32_t ocall_count,
                              const oe_ecall_info_t *ecall_name_table, uint32_t ecall_count,
                              oe_enclave_t **enclave)
{
    if (enclave) {
        *enclave = NULL;
    }
    OE_ENSURE(path != NULL && enclave != NULL &&
                  (type == OE_ENCLAVE_TYPE_SGX || type == OE_ENCLAVE_TYPE_AUTO) &&
                  (settings != NULL) == (setting_count > 0) &&
                  (flags & OE_ENCLAVE_FLAG_RESERVED) == 0,
              OE_INVALID_PARAMETER);
    oe_enclave_t *made = calloc(1, sizeof(*made));
    OE_ENSURE(made != NULL, OE_OUT_OF_MEMORY);
    made->magic = OE_ENCLAVE_ALIVE;
    made->module = (struct cella_bridge_module){.name = path,
                                                .ecalls = ecall_name_table,
                                                .ocalls = ocall_table,
                                                .ecall_count = ecall_count,
                                                .ocall_count = ocall_count};
    const oe_result_t result = enclave_make(made, path, flags, settings, setting_count);
    if (result != OE_OK) {
        cella_enclave_destroy(made->core);
        free(made);
        return result;
    }
    made->module.name = "enclave"; /* the path is the caller's */
    *enclave = made;
    return OE_OK;
}

oe_result_t oe_terminate_enclave(oe_enclave_t *enclave)
{
    cella_enclave *core = oe_enclave_core(enclave);
    OE_ENSURE(core != NULL, OE_INVALID_PARAMETER);
    cella_enclave_destroy(core); /* exit handlers may still call out */
    enclave->magic = 0;
    free(enclave);
    return OE_OK;
}
