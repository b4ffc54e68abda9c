/*
 * Keys and report MACs of the software processor, and the platform they come from.
 * Side: soft (untrusted; it plays the processor). Included by the leaves, platform.c, and
 * tests/soft/. Nothing here allocates or locks: EREPORT and EGETKEY run in a signal handler.
 */
#ifndef CELLA_SOFT_KEYS_H
#define CELLA_SOFT_KEYS_H

#include "soft/soft.h"

/*
 * What a key depends on: TMP_KEYDEPENDENCIES of the manual, in the one serialisation that is ever
 * hashed. docs/formats/platform-directory.md gives the layout; numbers are little endian, as in the
 * SECS.
 */
struct soft_key_inputs {
    uint16_t key_name;
    uint16_t key_policy;
    uint16_t isv_prod_id;
    uint16_t isv_svn;
    uint16_t config_svn;
    uint16_t reserved;
    uint32_t misc_select;
    uint32_t misc_mask;
    uint32_t reserved2;
    uint64_t attributes[2];
    uint64_t attribute_mask[2];
    uint8_t owner_epoch[16];
    uint8_t cpu_svn[16];
    uint8_t seal_fuses[16];
    uint8_t isv_family_id[16];
    uint8_t isv_ext_prod_id[16];
    uint8_t mr_enclave[32];
    uint8_t mr_signer[32];
    uint8_t key_id[32];
    uint8_t config_id[64];
    uint8_t padding[352];
};
CELLA_ABI_ASSERT(sizeof(struct soft_key_inputs) == 648);

/*
 * 128-bit key: KDF in counter mode (NIST SP 800-108) over AES-256-CMAC with the platform's root
 * key.
 */
void soft_derive_key(const struct soft_key_inputs *inputs, uint8_t key[16]);
/* AES-128-CMAC (RFC 4493). */
void soft_cmac(const uint8_t key[16], const void *data, size_t size, uint8_t mac[16]);

/* Inputs of the REPORT key of the enclave that `target` describes. */
void soft_key_inputs_for_report(struct soft_key_inputs *inputs, const struct sgx_targetinfo *target,
                                const uint8_t key_id[32]);
/* Inputs of the EINITTOKEN key, as EINIT derives it. */
void soft_key_inputs_for_token(struct soft_key_inputs *inputs, const struct sgx_einittoken *token,
                               const uint8_t le_key_hash[32]);
/* Inputs for a checked KEYREQUEST of the enclave with this SECS. */
void soft_key_inputs_for_request(struct soft_key_inputs *inputs,
                                 const struct sgx_keyrequest *request, const struct sgx_secs *secs);
/* Every component of `cpu_svn` is at most the platform's. */
bool soft_cpu_svn_allowed(const uint8_t cpu_svn[16]);

/* Where the platform's secrets are. */
struct soft_platform_info {
    char directory[512]; /* empty when ephemeral */
    bool
        ephemeral; /* nothing could be kept: sealed data dies with the process (and its children) */
    int error;     /* errno of what went wrong with the directory, 0 when nothing did */
};

/* The folder that is meant, made or not; false: none can be named. */
bool soft_platform_directory(char *directory, size_t size);
/* Loads or creates the platform state once a process. Called at open and by the leaves. */
void soft_platform_load(void);
struct soft_platform_info soft_platform_info(void);
/* Forgets what was loaded, so that the next call reads the directory anew. For tests. */
void soft_platform_reset(void);

/* Changing writes through to the directory; 0 or a negative errno. */
void soft_platform_cpu_svn(uint8_t cpu_svn[16]);
int soft_platform_set_cpu_svn(const uint8_t cpu_svn[16]);
void soft_platform_owner_epoch(uint8_t epoch[16]);
int soft_platform_set_owner_epoch(const uint8_t epoch[16]);
void soft_platform_seal_fuses(uint8_t fuses[16]);
void soft_platform_root_key(uint8_t key[32]);
/* CR_REPORT_KEYID: the same for all processes of a boot. */
void soft_platform_report_key_id(uint8_t key_id[32]);

#endif
