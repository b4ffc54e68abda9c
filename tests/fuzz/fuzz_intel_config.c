/*
 * Fuzz target: the XML configuration of an Intel enclave.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>
#include <string.h>

#include "compat/intel/sign/config_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the rest of the signer counts on. */
static void check(const struct intel_config *config)
{
    static const struct {
        uint64_t low, high;
    } limits[INTEL_KEY_COUNT] = {
#define X(name, low, high, value) {low, high},
        INTEL_CONFIG_KEYS(X)
#undef X
    };
    const uint64_t *value = config->value;
    for (unsigned i = 0; i < INTEL_KEY_COUNT; i++) {
        if (config->line[i] != 0 && (value[i] < limits[i].low || value[i] > limits[i].high)) {
            abort();
        }
    }
    if (value[INTEL_KEY_StackMinSize] > value[INTEL_KEY_StackMaxSize] ||
        value[INTEL_KEY_HeapMinSize] > value[INTEL_KEY_HeapMaxSize] ||
        value[INTEL_KEY_ReservedMemMinSize] > value[INTEL_KEY_ReservedMemMaxSize] ||
        (value[INTEL_KEY_StackMaxSize] | value[INTEL_KEY_HeapMaxSize] |
         value[INTEL_KEY_ReservedMemMaxSize] | value[INTEL_KEY_UserRegionSize]) %
                0x1000 !=
            0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct intel_config config;
    struct cella_error error = {0};
    const cella_result result =
        intel_config_parse(cella_bytes_of(data, size), "fuzz", &config, &error);
    if (cella_is_ok(result)) {
        check(&config);
    } else if (strncmp(error.text, "fuzz:", 5) != 0) {
        abort(); /* every refusal says where and why */
    }
    return 0;
}
