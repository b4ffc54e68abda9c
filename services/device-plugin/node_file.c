/*
 * Files that the plugin puts on its node: the devices' description, and the seccomp profile of containers with enclaves.
 * Side: services. Called by cdi.c and main.c. Replaces a file in one step, so that a runtime never reads half of one.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "services/device-plugin/plugin.h"

#define PROFILE_NAME "cella.json"

cella_result node_file_write(const char *folder, const char *name, const void *data, size_t size,
                             struct cella_error *error)
{
    char path[512], temporary[600];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    snprintf(temporary, sizeof(temporary), "%s/.cella.%d", folder, (int)getpid());
    FILE *file = fopen(temporary, "we");
    bool good = file && fwrite(data, 1, size, file) == size && fputc('\n', file) != EOF;
    good = file && fclose(file) == 0 && good && chmod(temporary, 0644) == 0 &&
           rename(temporary, path) == 0;
    const int saved = errno;
    if (!good) {
        unlink(temporary);
        return cella_error_errno(error, CELLA_RESULT(IO), saved, "%s", path);
    }
    return CELLA_OK;
}

static void json_done(json_t **json)
{
    json_decref(*json);
}

/* Read whole and written anew: a file that is no profile would keep every container from starting that names it. */
cella_result seccomp_install(const struct plugin_settings *settings, struct cella_error *error)
{
    json_error_t place;
    if (!settings->seccomp_profile) {
        return CELLA_OK;
    }
    CELLA_CLEANUP(json_done)
    json_t *profile = json_load_file(settings->seccomp_profile, JSON_REJECT_DUPLICATES, &place);
    if (!json_is_string(json_object_get(profile, "defaultAction")) ||
        !json_is_array(json_object_get(profile, "syscalls"))) {
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX), "seccomp_profile = %s: %s",
                               settings->seccomp_profile,
                               profile ? "no seccomp profile" : place.text);
    }
    char *text = json_dumps(profile, JSON_INDENT(1));
    CELLA_ENSURE(text, OUT_OF_MEMORY);
    mkdir(settings->seccomp_folder, 0755);
    const cella_result result =
        node_file_write(settings->seccomp_folder, PROFILE_NAME, text, strlen(text), error);
    free(text);
    return result;
}
