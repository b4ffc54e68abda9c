/*
 * Roots that are part of a program: for enclaves whose verifier is called through an API that names no roots, as Open
 * Enclave's. Public header: plain C11 (the macro), C++-safe. Libraries: libcella_evidence, libcella_enclave_evidence.
 * What is linked into an enclave is measured: whoever knows its MRENCLAVE knows whom it trusts (ADR 0130).
 *
 *     #include "cella/roots.h"
 *     CELLA_TRUSTED_ROOTS({.spki_sha256 = {0x12, 0x34, …}});
 *
 * with SHA-256 of the root certificate's SubjectPublicKeyInfo; `cella platform export-root --source` prints it.
 */
#ifndef CELLA_ROOTS_H
#define CELLA_ROOTS_H

#include "cella/evidence.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Beside Intel's and AMD's. The libraries have one with no keys; a program's own goes before it. */
extern const struct cella_roots cella_trusted_roots;

/* Defines it; at most CELLA_ROOT_MAX keys. Once a program, in a C file. */
#define CELLA_TRUSTED_ROOTS(...)                                                                   \
    const struct cella_roots cella_trusted_roots = {                                               \
        .keys = {__VA_ARGS__},                                                                     \
        .count =                                                                                   \
            sizeof((const struct cella_root_key[]){__VA_ARGS__}) / sizeof(struct cella_root_key)}

/* Adds those keys. LIMIT_EXCEEDED. */
CELLA_MUST_USE cella_result cella_roots_add_linked(struct cella_roots *roots);

#ifdef __cplusplus
}
#endif
#endif
