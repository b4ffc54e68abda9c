/*
 * The object in section .oeinfo and the macros that define it.
 * Skin header for enclave code (and tools); included by bits/properties.h. Byte layout is Open Enclave's.
 * Never changed after signing.
 */
#ifndef _OE_BITS_SGX_SGXPROPERTIES_H
#define _OE_BITS_SGX_SGXPROPERTIES_H

OE_EXTERNC_BEGIN

#define OE_SGX_MAX_TCS 1024
#define OE_SGX_SIGSTRUCT_SIZE 1808

#define OE_SGX_FLAGS_DEBUG 0x0000000000000002ULL
#define OE_SGX_FLAGS_MODE64BIT 0x0000000000000004ULL
#define OE_SGX_FLAGS_KSS 0x0000000000000080ULL

#define OE_SGX_ENCLAVE_CREATE_MAX_EX_FEATURES_COUNT 32
#define OE_SGX_ENCLAVE_CREATE_EX_EL_RANGE_BIT_IDX 0
#define OE_SGX_ENCLAVE_CREATE_EX_EL_RANGE (1 << OE_SGX_ENCLAVE_CREATE_EX_EL_RANGE_BIT_IDX)
#define OE_ADDRESS_ZERO 0x0

typedef struct _oe_sgx_enclave_image_info_t {
    uint64_t oeinfo_rva;
    uint64_t oeinfo_size;
    uint64_t reloc_rva;
    uint64_t reloc_size;
    uint64_t heap_rva;
    uint64_t enclave_size;
} oe_sgx_enclave_image_info_t;

typedef struct _oe_sgx_enclave_flags_t {
    uint32_t capture_pf_gp_exceptions : 1;
    uint32_t create_zero_base_enclave : 1;
    uint32_t reserved : 30;
} oe_sgx_enclave_flags_t;

typedef struct oe_sgx_enclave_config_t {
    uint16_t product_id;
    uint16_t security_version;
    oe_sgx_enclave_flags_t flags;
    uint8_t family_id[16];
    uint8_t extended_product_id[16];
    uint64_t attributes; /* OE_SGX_FLAGS_* */
    uint64_t xfrm;
    uint64_t start_address;
} oe_sgx_enclave_config_t;

typedef struct _oe_sgx_enclave_properties {
    oe_enclave_properties_header_t header;
    oe_sgx_enclave_config_t config;
    oe_sgx_enclave_image_info_t image_info; /* unused here: zeros */
    uint8_t
        sigstruct[OE_SGX_SIGSTRUCT_SIZE]; /* unused here: the signature is in the image's note */
    uint64_t end_marker;
} oe_sgx_enclave_properties_t;

OE_STATIC_ASSERT(OE_OFFSETOF(oe_sgx_enclave_properties_t, config) == 32);
OE_STATIC_ASSERT(OE_OFFSETOF(oe_sgx_enclave_properties_t, sigstruct) == 144);
OE_STATIC_ASSERT(OE_OFFSETOF(oe_sgx_enclave_properties_t, image_info) == 96);
OE_EXTERNC_END

#define OE_INFO_SECTION_BEGIN OE_EXTERNC __attribute__((section(OE_INFO_SECTION_NAME), used))
#define OE_INFO_SECTION_END

#define OE_MAKE_ATTRIBUTES(ALLOW_DEBUG, REQUIRE_KSS)                                               \
    (OE_SGX_FLAGS_MODE64BIT | ((ALLOW_DEBUG) ? OE_SGX_FLAGS_DEBUG : 0) |                           \
     ((REQUIRE_KSS) ? OE_SGX_FLAGS_KSS : 0))

/* The ids are given as ({1, 2, …}): the parentheses keep their commas together. */
#define REMOVE_PARENTHESES(...) __VA_ARGS__

#define _OE_SET_ENCLAVE_SGX_IMPL(PRODUCT_ID, SECURITY_VERSION, EXTENDED_PRODUCT_ID, FAMILY_ID,     \
                                 ALLOW_DEBUG, REQUIRE_KSS, CAPTURE_PF_GP_EXCEPTIONS,               \
                                 CREATE_ZERO_BASE_ENCLAVE, ENCLAVE_START_ADDRESS, HEAP_PAGE_COUNT, \
                                 STACK_PAGE_COUNT, TCS_COUNT)                                      \
    OE_INFO_SECTION_BEGIN volatile const oe_sgx_enclave_properties_t oe_enclave_properties_sgx = { \
        {sizeof(oe_sgx_enclave_properties_t),                                                      \
         OE_ENCLAVE_TYPE_SGX,                                                                      \
         {HEAP_PAGE_COUNT, STACK_PAGE_COUNT, TCS_COUNT}},                                          \
        {PRODUCT_ID,                                                                               \
         SECURITY_VERSION,                                                                         \
         {CAPTURE_PF_GP_EXCEPTIONS, CREATE_ZERO_BASE_ENCLAVE, 0},                                  \
         REMOVE_PARENTHESES FAMILY_ID,                                                             \
         REMOVE_PARENTHESES EXTENDED_PRODUCT_ID,                                                   \
         OE_MAKE_ATTRIBUTES(ALLOW_DEBUG, REQUIRE_KSS),                                             \
         0,                                                                                        \
         (CREATE_ZERO_BASE_ENCLAVE) ? (ENCLAVE_START_ADDRESS) : 0},                                \
        {0, 0, 0, 0, 0, 0},                                                                        \
        {0},                                                                                       \
        0xecececececececec};                                                                       \
    OE_INFO_SECTION_END

/* Once in an enclave's source, at file scope. oesign's configuration file overrides it. */
#define OE_SET_ENCLAVE_SGX(PRODUCT_ID, SECURITY_VERSION, ALLOW_DEBUG, HEAP_PAGE_COUNT,             \
                           STACK_PAGE_COUNT, TCS_COUNT)                                            \
    _OE_SET_ENCLAVE_SGX_IMPL(PRODUCT_ID, SECURITY_VERSION, ({0}), ({0}), ALLOW_DEBUG, 0, 0, 0, 0,  \
                             HEAP_PAGE_COUNT, STACK_PAGE_COUNT, TCS_COUNT)

#define OE_SET_ENCLAVE_SGX2(PRODUCT_ID, SECURITY_VERSION, EXTENDED_PRODUCT_ID, FAMILY_ID,          \
                            ALLOW_DEBUG, CAPTURE_PF_GP_EXCEPTIONS, REQUIRE_KSS,                    \
                            CREATE_ZERO_BASE_ENCLAVE, ENCLAVE_START_ADDRESS, HEAP_PAGE_COUNT,      \
                            STACK_PAGE_COUNT, TCS_COUNT)                                           \
    _OE_SET_ENCLAVE_SGX_IMPL(PRODUCT_ID, SECURITY_VERSION, EXTENDED_PRODUCT_ID, FAMILY_ID,         \
                             ALLOW_DEBUG, REQUIRE_KSS, CAPTURE_PF_GP_EXCEPTIONS,                   \
                             CREATE_ZERO_BASE_ENCLAVE, ENCLAVE_START_ADDRESS, HEAP_PAGE_COUNT,     \
                             STACK_PAGE_COUNT, TCS_COUNT)

#endif
