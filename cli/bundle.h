/*
 * An OCI runtime bundle: the settings under which an image's files run.
 * Side: tools. Called by cli/container.c. Never starts anything but `docker load`.
 * Source: OCI runtime-spec 1.0 (config.md, config-linux.md).
 */
#ifndef CELLA_CLI_BUNDLE_H
#define CELLA_CLI_BUNDLE_H

#include <limits.h>

#include "cli/image_job.h"

#define BUNDLE_DEVICES_MAX 2u

struct bundle {
    const struct image_job *job;
    char **arguments;
    int argument_count;
    bool host_network;
    bool terminal;
    const char *const *volumes; /* FOLDER:PATH or FOLDER:PATH:rw */
    unsigned volume_count;
    char rootfs[PATH_MAX + 64];  /* from the settings' folder, or absolute */
    char platform[PATH_MAX];     /* on this machine */
    char seccomp_path[PATH_MAX]; /* empty: no profile */
    const char *devices[BUNDLE_DEVICES_MAX];
    unsigned device_count;
};

/* The processor's nodes, where this machine has them. */
void bundle_find_devices(struct bundle *bundle);
/* `chosen`: a path, "none", or NULL for the profile that comes with Cella. */
CELLA_MUST_USE cella_result bundle_find_seccomp(struct bundle *bundle, const char *chosen,
                                                struct cella_error *error);
struct bundle_volume {
    char source[PATH_MAX];
    char path[PATH_MAX];
    bool writable;
};
/* INVALID_ARGUMENT unless both paths are there and the second is absolute. */
CELLA_MUST_USE cella_result bundle_volume_parse(const char *text, struct bundle_volume *ret_volume,
                                                struct cella_error *error);
/* FOLDER/config.json. */
CELLA_MUST_USE cella_result bundle_write(const struct bundle *bundle, const char *folder,
                                         struct cella_error *error);
CELLA_MUST_USE cella_result bundle_docker_load(const char *docker, const char *archive,
                                               struct cella_error *error);

#endif
