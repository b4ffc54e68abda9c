/*
 * sgx_uswitchless.h over the core's switchless workers.
 * Side: host. Called by urts.c. Never enters an enclave itself.
 */
#include "compat/intel/untrusted/enclaves.h"
#include "sgx_edger8r_core.h"

static void tell(const struct intel_enclave *enclave, sgx_uswitchless_worker_type_t type,
                 sgx_uswitchless_worker_event_t event, uint64_t workers)
{
    const sgx_uswitchless_worker_stats_t stats = {0};
    sgx_uswitchless_worker_callback_t callback = enclave->switchless.callback_func[event];
    for (uint64_t i = 0; callback && i < workers; i++) {
        callback(type, event, &stats);
    }
}

static void tell_all(const struct intel_enclave *enclave, sgx_uswitchless_worker_event_t event)
{
    tell(enclave, SGX_USWITCHLESS_WORKER_TYPE_UNTRUSTED, event, enclave->switchless.num_uworkers);
    tell(enclave, SGX_USWITCHLESS_WORKER_TYPE_TRUSTED, event, enclave->switchless.num_tworkers);
}

sgx_status_t intel_switchless_start(struct intel_enclave *enclave)
{
    const sgx_uswitchless_config_t *config = &enclave->switchless;
    const struct cella_switchless_options options = {
        .workers = (uint32_t)config->num_tworkers,
        .ocall_workers = (uint32_t)config->num_uworkers,
        .spins = config->retries_before_sleep > UINT32_MAX ? UINT32_MAX
                                                           : (uint32_t)config->retries_before_sleep,
    };
    if (config->num_tworkers > UINT32_MAX || config->num_uworkers > UINT32_MAX ||
        config->switchless_calls_pool_size_qwords > SL_MAX_TASKS_MAX_QWORDS) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    if (options.workers == 0 && options.ocall_workers == 0) {
        return SGX_SUCCESS;
    }
    const cella_result result = cella_switchless_start(enclave->core, &options);
    if (cella_is_ok(result)) {
        enclave->has_switchless = true;
        tell_all(enclave, SGX_USWITCHLESS_WORKER_EVENT_START);
    }
    return sgx_status_of(result);
}

void intel_switchless_stop(struct intel_enclave *enclave)
{
    if (enclave->has_switchless) {
        cella_switchless_stop(enclave->core);
        enclave->has_switchless = false;
        tell_all(enclave, SGX_USWITCHLESS_WORKER_EVENT_EXIT);
    }
}
