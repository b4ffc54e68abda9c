/*
 * The shared libraries that a program is linked with. program_libraries.h is the manual.
 * Side: tools. Called by cli/program_manifest.c. Runs nothing.
 */
#include "cli/program_libraries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "oci/tree.h"

/* Of a program of EGo's users: out of sight, below the one folder that EGo itself has in the root. */
#define EGO_FOLDER "/edg/lib"

/* Where the library lies inside; NULL: out of memory. */
static char *inside_path(struct program_manifest *manifest, const struct oci_entry *entry)
{
    const char *slash = strrchr(entry->path, '/');
    const char *base = slash ? slash + 1 : entry->path;
    const char *folder = manifest->from_ego ? EGO_FOLDER : "";
    const char *rest = manifest->from_ego ? base : entry->path;
    char *path = (char *)program_manifest_allocate(manifest, strlen(folder) + strlen(rest) + 2);
    if (path) {
        sprintf(path, "%s/%s", folder, rest);
    }
    return path;
}

static cella_result add_entry(struct program_manifest *manifest, const struct oci_entry *entry,
                              struct cella_error *error)
{
    struct cella_program_file_config file = {.mode = 0755};
    file.path = inside_path(manifest, entry);
    CELLA_ENSURE(file.path != NULL, OUT_OF_MEMORY);
    if (!entry->source || program_manifest_has_file(manifest, file.path)) {
        return CELLA_OK;
    }
    /* The tree's own copy has lost its sections, which the rewriter reads. */
    CELLA_TRY(program_manifest_read_file(manifest, entry->source, &file.content, error));
    return program_manifest_add_file(manifest, &file, error);
}

/* Tells the loader of an EGo program where they are. */
static cella_result add_search_path(struct program_manifest *manifest)
{
    struct cella_program_config *config = &manifest->config;
    struct cella_program_variable_config *variables =
        (struct cella_program_variable_config *)program_manifest_allocate(
            manifest, sizeof(*variables) * (config->environment_count + 1));
    CELLA_ENSURE(variables != NULL, OUT_OF_MEMORY);
    for (uint32_t i = 0; i < config->environment_count; i++) {
        variables[i] = config->environment[i];
        if (strcmp(variables[i].name, "LD_LIBRARY_PATH") == 0) {
            return CELLA_OK;
        }
    }
    variables[config->environment_count++] =
        (struct cella_program_variable_config){.name = "LD_LIBRARY_PATH", .value = EGO_FOLDER};
    config->environment = variables;
    return CELLA_OK;
}

cella_result program_libraries_add(struct program_manifest *manifest, struct cella_error *error)
{
    CELLA_CLEANUP(oci_tree_done) struct oci_tree tree = {0};
    char *program = manifest->from_ego ? strdup(manifest->executable)
                                       : program_manifest_host_path(manifest, manifest->executable);
    CELLA_ENSURE(program != NULL, OUT_OF_MEMORY);
    cella_result result = oci_tree_add_needs(&tree, program, "/proc", error);
    free(program);
    CELLA_TRY(result);
    CELLA_TRY(oci_tree_sort(&tree, error));
    for (size_t i = 0; i < tree.count; i++) {
        CELLA_TRY(add_entry(manifest, &tree.entries[i], error));
    }
    return manifest->from_ego && tree.count ? add_search_path(manifest) : CELLA_OK;
}
