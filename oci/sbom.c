/*
 * The list of what is in an image: SPDX 2.3 in JSON.
 * Side: tools. Called by cli/. Never guesses: what no package owns is said to be of the project.
 * Source: SPDX specification 2.3, chapters 6 (document), 7 (packages), 8 (files), 11 (relationships).
 */
#include "oci/sbom.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "oci/image.h"

#define DPKG_DATABASE "/var/lib/dpkg"
#define PACKAGES_MAX 512u
#define ROOT_ID "SPDXRef-Image"

struct sbom {
    json_t *packages, *files, *relationships;
    struct oci_package known[PACKAGES_MAX];
    unsigned count;
};

static void sbom_done(struct sbom **sbom)
{
    if (*sbom) {
        json_decref((*sbom)->packages);
        json_decref((*sbom)->files);
        json_decref((*sbom)->relationships);
    }
    free(*sbom);
}

static void relate(struct sbom *sbom, const char *from, const char *kind, const char *to)
{
    json_array_append_new(sbom->relationships,
                          json_pack("{s:s, s:s, s:s}", "spdxElementId", from, "relationshipType",
                                    kind, "relatedSpdxElement", to));
}

static void package_id(const struct oci_package *package, char *ret_id, size_t size)
{
    snprintf(ret_id, size, "SPDXRef-Package-%s-%s", package->name, package->architecture);
    for (char *at = ret_id; *at; at++) {
        const bool good = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                          (*at >= '0' && *at <= '9') || *at == '-' || *at == '.';
        *at = good ? *at : '-';
    }
}

/* Once for each package; `how` relates the image to it. */
static void add_package(struct sbom *sbom, const struct oci_package *package, const char *how)
{
    char id[256];
    for (unsigned i = 0; i < sbom->count; i++) {
        if (strcmp(sbom->known[i].name, package->name) == 0 &&
            strcmp(sbom->known[i].architecture, package->architecture) == 0) {
            return;
        }
    }
    if (sbom->count == PACKAGES_MAX) {
        return;
    }
    sbom->known[sbom->count++] = *package;
    package_id(package, id, sizeof(id));
    json_array_append_new(
        sbom->packages,
        json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:[{s:s, s:s, s:o}]}", "SPDXID",
                  id, "name", package->name, "versionInfo", package->version, "downloadLocation",
                  "NOASSERTION", "filesAnalyzed", 0, "licenseConcluded", "NOASSERTION",
                  "licenseDeclared", "NOASSERTION", "copyrightText", "NOASSERTION", "sourceInfo",
                  package->source, "externalRefs", "referenceCategory", "PACKAGE-MANAGER",
                  "referenceType", "purl", "referenceLocator",
                  json_sprintf("pkg:deb/debian/%s@%s?arch=%s", package->name, package->version,
                               package->architecture)));
    relate(sbom, ROOT_ID, how, id);
}

static cella_result add_file(struct sbom *sbom, const struct oci_entry *entry, unsigned number)
{
    char id[64], owner[256], sha1[65] = "", sha256[65];
    uint8_t digest[32];
    unsigned length = sizeof(digest);
    struct oci_package package;
    CELLA_ENSURE(EVP_Digest(entry->data, entry->size, digest, &length, EVP_sha1(), NULL) == 1,
                 CRYPTO);
    oci_hex(digest, 20, sha1);
    oci_hex(entry->digest, 32, sha256);
    snprintf(id, sizeof(id), "SPDXRef-File-%u", number);
    json_array_append_new(
        sbom->files,
        json_pack("{s:s, s:o, s:[{s:s, s:s}, {s:s, s:s}], s:s, s:[s], s:s, s:s?}", "SPDXID", id,
                  "fileName", json_sprintf("./%s", entry->path), "checksums", "algorithm", "SHA1",
                  "checksumValue", sha1, "algorithm", "SHA256", "checksumValue", sha256,
                  "licenseConcluded", "NOASSERTION", "licenseInfoInFiles", "NOASSERTION",
                  "copyrightText", "NOASSERTION", "comment",
                  entry->trimmed ? "without the debugging information of its source" : NULL));
    relate(sbom, ROOT_ID, "CONTAINS", id);
    if (entry->source && cella_is_ok(oci_dpkg_owner(DPKG_DATABASE, entry->source, &package))) {
        add_package(sbom, &package, "CONTAINS");
        package_id(&package, owner, sizeof(owner));
        relate(sbom, owner, "CONTAINS", id);
    }
    return CELLA_OK;
}

/* The image itself is a package of the document. */
static json_t *root_package(const char *name)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s}", "SPDXID", ROOT_ID, "name", name,
                     "downloadLocation", "NOASSERTION", "filesAnalyzed", 0, "licenseConcluded",
                     "NOASSERTION", "licenseDeclared", "NOASSERTION", "copyrightText",
                     "NOASSERTION", "primaryPackagePurpose", "CONTAINER");
}

static json_t *document(const struct sbom *sbom, const struct oci_sbom *what)
{
    char created[32];
    oci_time_text(what->epoch, created);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:{s:s, s:[s]}, s:[s], s:O, s:O, s:O}", "spdxVersion",
        "SPDX-2.3", "dataLicense", "CC0-1.0", "SPDXID", "SPDXRef-DOCUMENT", "name", what->name,
        "documentNamespace",
        json_sprintf("https://cella.dev/spdx/%s-%s", what->name, what->namespace_digest),
        "creationInfo", "created", created, "creators", "Tool: cella image", "documentDescribes",
        ROOT_ID, "packages", sbom->packages, "files", sbom->files, "relationships",
        sbom->relationships);
}

cella_result oci_sbom_make(const struct oci_tree *tree, const struct oci_sbom *what,
                           char **ret_text, struct cella_error *error)
{
    CELLA_CLEANUP(sbom_done) struct sbom *sbom = calloc(1, sizeof(*sbom));
    struct oci_package package;
    unsigned number = 0;
    CELLA_ENSURE(sbom != NULL, OUT_OF_MEMORY);
    sbom->packages = json_array();
    sbom->files = json_array();
    sbom->relationships = json_array();
    json_array_append_new(sbom->packages, root_package(what->name));
    relate(sbom, "SPDXRef-DOCUMENT", "DESCRIBES", ROOT_ID);
    for (size_t i = 0; i < tree->count; i++) {
        if (tree->entries[i].kind == OCI_FILE) {
            CELLA_TRY(add_file(sbom, &tree->entries[i], ++number));
        }
    }
    for (size_t i = 0; what->linked && what->linked[i]; i++) {
        if (cella_is_ok(oci_dpkg_package(DPKG_DATABASE, what->linked[i], &package))) {
            add_package(sbom, &package, "STATIC_LINK");
        }
    }
    json_t *json = document(sbom, what);
    *ret_text = json ? json_dumps(json, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
    json_decref(json);
    if (!*ret_text) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_MEMORY), "%s: no memory for its SBOM",
                               what->name);
    }
    return CELLA_OK;
}
