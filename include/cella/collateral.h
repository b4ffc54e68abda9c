/*
 * Sets of collateral for the verifier, from files and bundles: what is needed around cella/evidence.h on a host.
 * Public header: plain C11, C++-safe. Library: libcella_collateral. Allocates and reads files; the verifier itself does not.
 */
#ifndef CELLA_COLLATERAL_H
#define CELLA_COLLATERAL_H

#include "cella/evidence.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cella_collateral_set;

/* NULL: out of memory. `free(NULL)` is fine. */
CELLA_MUST_USE struct cella_collateral_set *cella_collateral_set_new(void);
void cella_collateral_set_free(struct cella_collateral_set *set);

/*
 * Adds a document, copied. Known by content: what cella/evidence.h recognises; JSON bundles with such documents as
 * strings or objects in their members (tcb_info beside tcb_info_signature, qe_identity, root_ca_crl, vcekCert …); Open
 * Enclave endorsements; any of these in base64. `ret_count` (may be NULL): how many documents it held; 0: none known.
 * OUT_OF_MEMORY, LIMIT_EXCEEDED.
 */
CELLA_MUST_USE cella_result cella_collateral_set_add(struct cella_collateral_set *set,
                                                     const char *name, struct cella_span bytes,
                                                     size_t *ret_count);

/* Adds every file of a directory, and of directories in it two levels down. IO, NOT_FOUND, OUT_OF_MEMORY. */
CELLA_MUST_USE cella_result cella_collateral_set_add_directory(struct cella_collateral_set *set,
                                                               const char *path);
/* One file. IO, NOT_FOUND, OUT_OF_MEMORY, LIMIT_EXCEEDED. */
CELLA_MUST_USE cella_result cella_collateral_set_add_file(struct cella_collateral_set *set,
                                                          const char *path, size_t *ret_count);

/* For cella_evidence_prepare; valid until the set changes or is freed. */
const struct cella_collateral_item *
cella_collateral_set_items(const struct cella_collateral_set *set, size_t *ret_count);

/* Memory that preparing this set takes at most: CELLA_EVIDENCE_PREPARED_SIZE, or more for big sets. */
size_t cella_collateral_set_prepared_size(const struct cella_collateral_set *set);

/*
 * Evidence as people keep it: raw, hexadecimal, base64 of either alphabet, a string in a JSON file, an SNP report in
 * Azure's HCLA blob. `ret_evidence` is malloc'd. BAD_MAGIC: none of these holds evidence. OUT_OF_MEMORY.
 */
CELLA_MUST_USE cella_result cella_evidence_decode(struct cella_span bytes, uint8_t **ret_evidence,
                                                  size_t *ret_size);

#ifdef __cplusplus
}
#endif
#endif
