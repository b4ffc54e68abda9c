/*
 * The list of what is in an image: SPDX 2.3 in JSON, with packages from the distribution's database.
 * Side: tools (hosted; jansson). Called by cli/. Never runs the package manager, never asks a network.
 */
#ifndef CELLA_OCI_SBOM_H
#define CELLA_OCI_SBOM_H

#include <jansson.h>

#include "oci/tree.h"

struct oci_package {
    char name[128];
    char architecture[32];
    char version[128];
    char source[128];
};

/* The package that owns `path`, by dpkg's database in `database` (/var/lib/dpkg). NOT_FOUND: none does. */
CELLA_MUST_USE cella_result oci_dpkg_owner(const char *database, const char *path,
                                           struct oci_package *ret_package);
/* An installed package by its name. */
CELLA_MUST_USE cella_result oci_dpkg_package(const char *database, const char *name,
                                             struct oci_package *ret_package);

struct oci_sbom {
    const char *name; /* of the project */
    int64_t epoch;    /* "created" */
    const char *const
        *linked; /* names of packages whose code is in host or enclave; NULL at the end */
    const char *namespace_digest; /* hexadecimal digits that only this content has */
};

/* The caller frees `*ret_text`. */
CELLA_MUST_USE cella_result oci_sbom_make(const struct oci_tree *tree, const struct oci_sbom *what,
                                          char **ret_text, struct cella_error *error);

#endif
