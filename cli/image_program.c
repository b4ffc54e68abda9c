/*
 * The image of a whole program. image_program.h is the manual.
 * Side: tools. Called by cli/image_job.c. Never runs the program.
 */
#include "cli/image_program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/file.h"
#include "cli/sdk.h"
#include "common/cleanup.h"
#include "image/attach.h"

#define RUNNER "cella-run"
#define ENDING ".cella"

struct cella_bytes image_program_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t size = strlen(name);
    if (size > strlen(ENDING) && strcmp(name + size - strlen(ENDING), ENDING) == 0) {
        size -= strlen(ENDING);
    }
    return cella_bytes_of(name, size);
}

/* In the folder of this program, or in libexec. */
static cella_result find_runner(char *ret_path, size_t size, struct cella_error *error)
{
    char folder[SDK_PATH_MAX];
    CELLA_TRY(sdk_program_folder(folder, sizeof(folder), error));
    const char *const places[] = {"", "/../libexec/cella"};
    for (size_t i = 0; i < CELLA_COUNT(places); i++) {
        if ((size_t)snprintf(ret_path, size, "%s%s/" RUNNER, folder, places[i]) < size &&
            access(ret_path, R_OK) == 0) {
            return CELLA_OK;
        }
    }
    return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                           "%s: no " RUNNER " beside this program; is the installation whole?",
                           folder);
}

/* ------------------------------------------------------------------------- what its description names */

/* A path of the host as the container will have it: relative ones are looked for in /app. */
static cella_result place(const struct inspect *inspect, struct cella_program_text text,
                          char *ret_path, size_t size, struct cella_error *error)
{
    const struct cella_bytes bytes = cella_program_text(&inspect->program, text);
    const bool absolute = bytes.size > 0 && bytes.data[0] == '/';
    const int length = snprintf(ret_path, size, "%s%.*s", absolute ? "" : "app/",
                                (int)(bytes.size - absolute), (const char *)bytes.data + absolute);
    if (length < 0 || (size_t)length >= size) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%.80s...: too long", ret_path);
    }
    while (length > 0 && ret_path[strlen(ret_path) - 1] == '/') {
        ret_path[strlen(ret_path) - 1] = '\0';
    }
    return CELLA_OK;
}

/* What stays on the host is in the container: the file that the signer saw, or none. Relative: beside the program. */
static cella_result add_measured(struct image_job *job, const struct cella_program_file *file,
                                 struct cella_error *error)
{
    char path[OCI_PATH_MAX], source[OCI_PATH_MAX];
    const struct cella_bytes named = cella_program_text(&job->inspect.program, file->source);
    CELLA_TRY(place(&job->inspect, file->source, path, sizeof(path), error));
    const char *program = job->options.signed_program;
    const char *slash = named.data[0] == '/' ? NULL : strrchr(program, '/');
    if (snprintf(source, sizeof(source), "%.*s%.*s", slash ? (int)(slash + 1 - program) : 0,
                 program, (int)named.size, (const char *)named.data) >= (int)sizeof(source)) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%s: too long", source);
    }
    const size_t before = job->tree.count;
    CELLA_TRY(
        oci_tree_add_file(&job->tree, OCI_LAYER_BASE, path, source, 0644, OCI_TRIM_NOT, error));
    const struct oci_entry *entry = &job->tree.entries[job->tree.count - 1];
    if (job->tree.count > before && memcmp(entry->digest, file->hash, sizeof(file->hash)) != 0) {
        return cella_error_set(error, CELLA_RESULT(BAD_SIGNATURE),
                               "%s: not the file that the program was signed with", source);
    }
    return CELLA_OK;
}

/* A folder to mount at, unless something else is there anyhow. */
static cella_result add_mount(struct image_job *job, const struct cella_program_mount *mount,
                              struct cella_error *error)
{
    char path[OCI_PATH_MAX];
    if (mount->kind == CELLA_PROGRAM_MOUNT_MEMORY) {
        return CELLA_OK;
    }
    CELLA_TRY(place(&job->inspect, mount->source, path, sizeof(path), error));
    for (size_t i = 0; i < job->tree.count; i++) {
        const size_t length = strlen(path);
        if (strncmp(job->tree.entries[i].path, path, length) == 0 &&
            (job->tree.entries[i].path[length] == '/' || !job->tree.entries[i].path[length])) {
            return CELLA_OK;
        }
    }
    if (!path[0]) {
        return CELLA_OK; /* all of the container's own files */
    }
    const bool read_only = (mount->flags & CELLA_PROGRAM_MOUNT_READ_ONLY) != 0;
    return oci_tree_add(&job->tree,
                        &(struct oci_entry){.kind = OCI_FOLDER,
                                            .layer = OCI_LAYER_BASE,
                                            .mode = read_only ? 0755 : 0700,
                                            .owner = read_only ? 0 : job->options.user,
                                            .path = path},
                        error);
}

cella_result image_program_add_host(struct image_job *job, struct cella_error *error)
{
    char source[SDK_PATH_MAX + 64];
    CELLA_TRY(find_runner(source, sizeof(source), error));
    snprintf(job->host_path, sizeof(job->host_path), "usr/bin/" RUNNER);
    CELLA_TRY(oci_tree_add_file(&job->tree, OCI_LAYER_HOST, job->host_path, source, 0755,
                                job->options.keep_debug ? OCI_TRIM_NOT : OCI_TRIM_PROGRAM, error));
    CELLA_TRY(oci_tree_add_needs(&job->tree, source, "/proc", error));
    for (uint32_t i = 0; i < job->inspect.program.head.files.count; i++) {
        const struct cella_program_file file = cella_program_file_at(&job->inspect.program, i);
        if (file.source.size) {
            CELLA_TRY(add_measured(job, &file, error));
        }
    }
    for (uint32_t i = 0; i < job->inspect.program.head.mounts.count; i++) {
        const struct cella_program_mount mount = cella_program_mount_at(&job->inspect.program, i);
        CELLA_TRY(add_mount(job, &mount, error));
    }
    return CELLA_OK;
}

cella_result image_program_add_enclave(struct image_job *job, struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    struct cella_attach_parts parts;
    const char *source = job->options.signed_program;
    const struct cella_bytes name = image_program_name(source);
    CELLA_TRY(cella_file_read(source, OCI_FILE_MAX, &file, error));
    struct cella_bytes image = cella_file_bytes(&file);
    if (cella_is_ok(cella_attach_parse(image, &parts, NULL)) && parts.image.size != 0) {
        image = parts.image;
    }
    snprintf(job->enclave_path, sizeof(job->enclave_path), "app/%.*s" ENDING, (int)name.size,
             (const char *)name.data);
    CELLA_TRY(oci_tree_add(&job->tree,
                           &(struct oci_entry){.kind = OCI_FILE,
                                               .layer = OCI_LAYER_ENCLAVE,
                                               .mode = 0644,
                                               .path = job->enclave_path,
                                               .source = (char *)(uintptr_t)source,
                                               .data = (uint8_t *)(uintptr_t)image.data,
                                               .size = image.size},
                           error));
    const struct oci_entry *entry = &job->tree.entries[job->tree.count - 1];
    CELLA_TRY(inspect_read(&job->inspect, source, cella_bytes_of(entry->data, entry->size), error));
    if (!job->inspect.has_program) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "%s: runs no whole program", source);
    }
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- what is said of it */

void image_program_annotate(const struct inspect *inspect, json_t *annotations)
{
    static const char *const kinds[] = {"", "", "insecure_host", "encrypted"};
    char text[4096] = "";
    size_t used = 0;
    if (!inspect->has_program) {
        return;
    }
    const struct cella_bytes path =
        cella_program_text(&inspect->program, inspect->program.head.executable);
    json_t *program = json_stringn((const char *)path.data, path.size);
    json_object_set_new(annotations, "cella.dev/program", program ? program : json_string("?"));
    for (uint32_t i = 0; i < inspect->program.head.mounts.count && used < sizeof(text); i++) {
        const struct cella_program_mount mount = cella_program_mount_at(&inspect->program, i);
        const struct cella_bytes source = cella_program_text(&inspect->program, mount.source);
        if (mount.kind != CELLA_PROGRAM_MOUNT_MEMORY) {
            used +=
                (size_t)snprintf(text + used, sizeof(text) - used, "%s%.*s:%s:%s", used ? " " : "",
                                 (int)source.size, (const char *)source.data, kinds[mount.kind],
                                 mount.flags & CELLA_PROGRAM_MOUNT_READ_ONLY ? "ro" : "rw");
        }
    }
    json_t *mounts = used < sizeof(text) ? json_string(text) : NULL;
    json_object_set_new(annotations, "cella.dev/mounts", mounts ? mounts : json_string("?"));
}
