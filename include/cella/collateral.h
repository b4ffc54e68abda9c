/*
 * Sets of collateral for the verifier, from files and bundles: what is needed around cella/evidence.h on a host.
 * Public header: plain C11, C++-safe. Library: libcella_collateral, but for what says otherwise. Allocates and reads files;
 * the verifier itself does not.
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

/* ------------------------------------------------------------------- the documents for one quote */

/* By what they are for; the names are those of sgx_ql_qve_collateral_t. */
enum cella_document {
    CELLA_DOCUMENT_PCK_CRL_CHAIN,
    CELLA_DOCUMENT_ROOT_CRL,
    CELLA_DOCUMENT_PCK_CRL,
    CELLA_DOCUMENT_TCB_INFO_CHAIN,
    CELLA_DOCUMENT_TCB_INFO,
    CELLA_DOCUMENT_QE_IDENTITY_CHAIN,
    CELLA_DOCUMENT_QE_IDENTITY,
    CELLA_DOCUMENT_COUNT
};

/* Chains in PEM, JSON, CRLs in DER or PEM. Behind each is a zero byte that its size does not count. */
struct cella_quote_documents {
    struct cella_span documents[CELLA_DOCUMENT_COUNT];
    void *memory;
};

struct cella_error;

/*
 * Finds the collateral for the platform of a quote (SGX or TDX, with its PCK chain in it):
 * - $CELLA_COLLATERAL_DIR, where that is set: there and nowhere else. Files as `cella evidence fetch-collateral` and
 *   `cella platform export-collateral` write them, in DIR/<FMSPC in hex> or in DIR;
 * - the software platform's own, for quotes of one: the folder provisioning/collateral of the platform directory;
 * - the quote provider library, `provider` or libdcap_quoteprov.so.1, Intel's or Azure's: dlopen()ed.
 * Nothing that is found is verified. NOT_FOUND, NO_DEVICE (no provider library), IO (the provider failed), MALFORMED
 * results for the quote. On success cella_quote_documents_done is due. Thread-safe where the provider is.
 */
CELLA_MUST_USE cella_result cella_quote_documents_get(struct cella_span quote, const char *provider,
                                                      struct cella_quote_documents *ret_documents,
                                                      struct cella_error *error);
void cella_quote_documents_done(struct cella_quote_documents *documents);

/* For cella_evidence_prepare. */
void cella_quote_documents_items(const struct cella_quote_documents *documents,
                                 struct cella_collateral_item ret_items[CELLA_DOCUMENT_COUNT]);

/*
 * Adds the roots that $CELLA_INSECURE_ROOTS names: certificates in PEM or DER, their paths separated by colons, or the
 * word "platform" for the software platform of this user (ADR 0130). Set-user-id programs read no such variable.
 * `ret_count`: how many. Results of cella_roots_add; NOT_FOUND, IO.
 */
CELLA_MUST_USE cella_result cella_roots_add_environment(struct cella_roots *roots,
                                                        size_t *ret_count,
                                                        struct cella_error *error);

/* ------------------------------------------------------------------- the same across an enclave's boundary */

/* How much an answer can be; the enclave's buffer. */
#define CELLA_COLLATERAL_ANSWER_MAX ((size_t)512 * 1024)

/*
 * Outside: the documents for `quote` (empty: none) and the roots of the environment, in one piece
 * (docs/formats/collateral-answer.md).
 * Errors as cella_quote_documents_get and cella_roots_add_environment; BUFFER_TOO_SMALL.
 */
CELLA_MUST_USE cella_result cella_collateral_answer(struct cella_span quote, void *out,
                                                    size_t out_capacity, size_t *ret_size,
                                                    struct cella_error *error);

/*
 * Inside (libcella_enclave_evidence): takes such a piece apart, which the host made and may have made up. Documents are
 * signed; the roots are the host's word, and only an enclave that hides nothing from its host may take it. Items point
 * into `answer`. `ret_roots` may be NULL. TRUNCATED, OUT_OF_RANGE, TRAILING_BYTES.
 */
CELLA_MUST_USE cella_result cella_collateral_answer_read(
    struct cella_span answer, struct cella_collateral_item ret_items[CELLA_DOCUMENT_COUNT],
    struct cella_roots *ret_roots);

/* A document without the zeros behind it that interfaces for C strings count. */
struct cella_span cella_collateral_trim(struct cella_span document);

#ifdef __cplusplus
}
#endif
#endif
