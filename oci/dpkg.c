/*
 * dpkg's database: who owns a file, and what version a package has.
 * Side: tools. Called inside oci/. Reads only the database's files.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/file.h"
#include "common/cleanup.h"
#include "oci/sbom.h"

#define STATUS_MAX (1u << 28)
#define LIST_MAX (1u << 26)

/* The value of `field` in one stanza; cut to `size`. */
static bool field_get(struct cella_bytes stanza, const char *field, char *ret_value, size_t size)
{
    const size_t length = strlen(field);
    for (size_t at = 0; at < stanza.size;) {
        const uint8_t *line = stanza.data + at;
        const uint8_t *end = memchr(line, '\n', stanza.size - at);
        const size_t width = end ? (size_t)(end - line) : stanza.size - at;
        if (width > length + 1 && memcmp(line, field, length) == 0 && line[length] == ':') {
            snprintf(ret_value, size, "%.*s", (int)(width - length - 2),
                     (const char *)line + length + 2);
            return true;
        }
        at += width + 1;
    }
    return false;
}

/* The stanza of a package, by name and, when it is given, architecture. */
static cella_result stanza_find(struct cella_bytes status, const char *name,
                                const char *architecture, struct oci_package *ret_package)
{
    char value[128], state[128];
    for (size_t at = 0; at < status.size;) {
        const uint8_t *start = status.data + at;
        const uint8_t *end = memmem(start, status.size - at, "\n\n", 2);
        const size_t size = end ? (size_t)(end - start) : status.size - at;
        const struct cella_bytes stanza = cella_bytes_of(start, size);
        at += size + 2;
        if (!field_get(stanza, "Package", value, sizeof(value)) || strcmp(value, name) != 0 ||
            !field_get(stanza, "Status", state, sizeof(state)) || !strstr(state, " installed")) {
            continue;
        }
        *ret_package = (struct oci_package){0};
        snprintf(ret_package->name, sizeof(ret_package->name), "%s", name);
        if (!field_get(stanza, "Version", ret_package->version, sizeof(ret_package->version)) ||
            !field_get(stanza, "Architecture", ret_package->architecture,
                       sizeof(ret_package->architecture)) ||
            (architecture && strcmp(architecture, ret_package->architecture) != 0)) {
            continue;
        }
        if (!field_get(stanza, "Source", ret_package->source, sizeof(ret_package->source))) {
            snprintf(ret_package->source, sizeof(ret_package->source), "%s", name);
        }
        ret_package->source[strcspn(ret_package->source, " ")] = '\0';
        return CELLA_OK;
    }
    return CELLA_RESULT(NOT_FOUND);
}

static cella_result package_find(const char *database, const char *name, const char *architecture,
                                 struct oci_package *ret_package)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    struct cella_error ignored = {0};
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/status", database);
    CELLA_TRY(cella_file_read(path, STATUS_MAX, &file, &ignored));
    return stanza_find(cella_file_bytes(&file), name, architecture, ret_package);
}

cella_result oci_dpkg_package(const char *database, const char *name,
                              struct oci_package *ret_package)
{
    return package_find(database, name, NULL, ret_package);
}

/* A line of the list that is `path`. */
static bool list_has(struct cella_bytes list, const char *path)
{
    const size_t length = strlen(path);
    for (size_t at = 0; at + length <= list.size;) {
        const uint8_t *found = memmem(list.data + at, list.size - at, path, length);
        if (!found) {
            return false;
        }
        const size_t place = (size_t)(found - list.data);
        if ((place == 0 || list.data[place - 1] == '\n') &&
            (place + length == list.size || list.data[place + length] == '\n')) {
            return true;
        }
        at = place + 1;
    }
    return false;
}

/* /lib is /usr/lib now, but packages may still name the old place. */
static const char *other_name(const char *path, char *ret_path, size_t size)
{
    if (strncmp(path, "/usr/lib", 8) == 0) {
        return path + 4;
    }
    snprintf(ret_path, size, "/usr%s", path);
    return ret_path;
}

cella_result oci_dpkg_owner(const char *database, const char *path, struct oci_package *ret_package)
{
    char folder[PATH_MAX], list[PATH_MAX], other[PATH_MAX];
    const char *second = other_name(path, other, sizeof(other));
    cella_result result = CELLA_RESULT(NOT_FOUND);
    snprintf(folder, sizeof(folder), "%s/info", database);
    DIR *handle = opendir(folder);
    CELLA_ENSURE(handle != NULL, NOT_FOUND);
    for (struct dirent *entry; (entry = readdir(handle)) != NULL;) {
        CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
        struct cella_error ignored = {0};
        char name[256];
        const size_t length = strlen(entry->d_name);
        if (length <= 5 || length >= sizeof(name) ||
            strcmp(entry->d_name + length - 5, ".list") != 0 ||
            snprintf(list, sizeof(list), "%s/%s", folder, entry->d_name) >= (int)sizeof(list) ||
            !cella_is_ok(cella_file_read(list, LIST_MAX, &file, &ignored)) ||
            !(list_has(cella_file_bytes(&file), path) ||
              list_has(cella_file_bytes(&file), second))) {
            continue;
        }
        snprintf(name, sizeof(name), "%.*s", (int)length - 5, entry->d_name);
        char *architecture = strchr(name, ':');
        if (architecture) {
            *architecture++ = '\0';
        }
        result = package_find(database, name, architecture, ret_package);
        break;
    }
    closedir(handle);
    return result;
}
