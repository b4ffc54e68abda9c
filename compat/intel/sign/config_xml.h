/*
 * The XML configuration of an Intel enclave: <EnclaveConfiguration> with one element for each setting.
 * Side: tools (hosted; expat). Called by sgx_sign. Never opens a file itself.
 */
#ifndef COMPAT_INTEL_SIGN_CONFIG_XML_H
#define COMPAT_INTEL_SIGN_CONFIG_XML_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bytes.h"
#include "common/error.h"

/* Name, least and greatest value, value when it is not given. */
#define INTEL_CONFIG_KEYS(X)                                                                       \
    X(ProdID, 0, 0xFFFF, 0)                                                                        \
    X(ISVSVN, 0, 0xFFFF, 0)                                                                        \
    X(ReleaseType, 0, 1, 0)                                                                        \
    X(IntelSigned, 0, 1, 0)                                                                        \
    X(ProvisionKey, 0, 1, 0)                                                                       \
    X(LaunchKey, 0, 1, 0)                                                                          \
    X(DisableDebug, 0, 1, 0)                                                                       \
    X(HW, 0, 0x10, 0)                                                                              \
    X(TCSNum, 1, 0xFFFFFFFF, 1)                                                                    \
    X(TCSMaxNum, 1, 0xFFFFFFFF, 1)                                                                 \
    X(TCSMinPool, 0, 0xFFFFFFFF, 1)                                                                \
    X(TCSPolicy, 0, 1, 1)                                                                          \
    X(StackMaxSize, 0x2000, INTEL_CONFIG_SIZE_MAX, 0x40000)                                        \
    X(StackMinSize, 0x2000, INTEL_CONFIG_SIZE_MAX, 0x2000)                                         \
    X(HeapMaxSize, 0, INTEL_CONFIG_SIZE_MAX, 0x1000000)                                            \
    X(HeapMinSize, 0, INTEL_CONFIG_SIZE_MAX, 0x1000)                                               \
    X(HeapInitSize, 0, INTEL_CONFIG_SIZE_MAX, 0x1000)                                              \
    X(ReservedMemMaxSize, 0, INTEL_CONFIG_SIZE_MAX, 0)                                             \
    X(ReservedMemMinSize, 0, INTEL_CONFIG_SIZE_MAX, 0)                                             \
    X(ReservedMemInitSize, 0, INTEL_CONFIG_SIZE_MAX, 0)                                            \
    X(ReservedMemExecutable, 0, 1, 0)                                                              \
    X(MiscSelect, 0, 0xFFFFFFFF, 0)                                                                \
    X(MiscMask, 0, 0xFFFFFFFF, 0xFFFFFFFF)                                                         \
    X(EnableKSS, 0, 1, 0)                                                                          \
    X(ISVFAMILYID_H, 0, UINT64_MAX, 0)                                                             \
    X(ISVFAMILYID_L, 0, UINT64_MAX, 0)                                                             \
    X(ISVEXTPRODID_H, 0, UINT64_MAX, 0)                                                            \
    X(ISVEXTPRODID_L, 0, UINT64_MAX, 0)                                                            \
    X(EnclaveImageAddress, 0x1000, UINT64_MAX, 0)                                                  \
    X(ELRangeStartAddress, 0, UINT64_MAX, 0)                                                       \
    X(ELRangeSize, 0x1000, UINT64_MAX, 0)                                                          \
    X(PKRU, 0, 2, 0)                                                                               \
    X(AMX, 0, 2, 0)                                                                                \
    X(UserRegionSize, 0, INTEL_CONFIG_SIZE_MAX, 0)                                                 \
    X(EnableAEXNotify, 0, 1, 0)                                                                    \
    X(EnableIPPFIPS, 0, 1, 0)                                                                      \
    X(EnableOSSLFIPS, 0, 1, 0)

#define INTEL_CONFIG_SIZE_MAX 0x1000000000ull
#define INTEL_CONFIG_FILE_MAX (1u << 20)

enum intel_config_key {
#define X(name, low, high, value) INTEL_KEY_##name,
    INTEL_CONFIG_KEYS(X)
#undef X
        INTEL_KEY_COUNT
};

struct intel_config {
    const char *file_name; /* borrowed; for errors */
    uint64_t value[INTEL_KEY_COUNT];
    uint32_t line[INTEL_KEY_COUNT]; /* where it is given; 0: it is not */
};

static inline bool intel_config_given(const struct intel_config *config, enum intel_config_key key)
{
    return config->line[key] != 0;
}

/* The values of a configuration that says nothing. */
void intel_config_defaults(struct intel_config *ret_config);

/*
 * Reads `xml` over the defaults, then checks what binds two settings to each other. Errors give file, line and setting.
 */
CELLA_MUST_USE cella_result intel_config_parse(struct cella_bytes xml, const char *file_name,
                                               struct intel_config *ret_config,
                                               struct cella_error *error);

/* What is wrong with one setting: `format` goes on behind its place and "<Name>". Gives `result`. */
CELLA_MUST_USE cella_result intel_config_refuse(const struct intel_config *config,
                                                enum intel_config_key key, cella_result result,
                                                struct cella_error *error, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
