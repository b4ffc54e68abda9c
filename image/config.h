/*
 * The configuration file of an enclave: one `key = value` a line, `#` comments.
 * Side: tools (hosted). Called by cli/ and image/. Never opens a file itself.
 */
#ifndef CELLA_IMAGE_CONFIG_H
#define CELLA_IMAGE_CONFIG_H

#include <stdbool.h>

#include "abi/image.h"
#include "common/bytes.h"
#include "common/error.h"

enum cella_config_exinfo {
    CELLA_CONFIG_EXINFO_NO,
    CELLA_CONFIG_EXINFO_AUTO, /* used where the processor has it */
    CELLA_CONFIG_EXINFO_YES,
};

struct cella_image_config {
    char name[CELLA_IMAGE_NAME_SIZE];
    uint64_t heap_size;       /* bytes */
    uint64_t heap_initial;    /* bytes; CELLA_CONFIG_HEAP_ALL: the whole heap */
    uint64_t stack_size;      /* bytes, each thread */
    uint32_t threads;         /* TCS for ecalls */
    uint32_t enclave_threads; /* further TCS for threads that the enclave makes */
    uint32_t nssa;
    uint32_t product_id;
    uint32_t svn;
    bool debug;
    bool kss;
    bool kss_by_loader; /* without kss: the mask leaves it to the loader; no key, for skins */
    bool provision_key;
    uint8_t family_id[16];
    uint8_t ext_product_id[16];
    enum cella_config_exinfo exinfo;
    uint64_t xfrm;      /* bits that the enclave demands */
    uint64_t xfrm_mask; /* bits that the processor must not add to */
};

#define CELLA_CONFIG_HEAP_ALL UINT64_MAX

/* The values of an empty file. */
void cella_config_defaults(struct cella_image_config *ret_config);

/*
 * Reads `text` over the defaults. `file_name` is for the error text, which gives line and column.
 * Limits that depend on other keys are checked here too (an id without kss, heap_initial above
 * heap_size).
 */
CELLA_MUST_USE cella_result cella_config_parse(struct cella_bytes text, const char *file_name,
                                               struct cella_image_config *ret_config,
                                               struct cella_error *error);

#endif
