/*
 * What cella run --container lays out in the project's build/container: the image's files, and a bundle for each run.
 * Side: tools. Called by cli/container.c. Never touches what a container that runs may use.
 *
 *   rootfs-DIGEST   an image's files, whole or not there; all runs of it share them
 *   run-XXXXXX      one run's bundle; `lock` in it is held by the runtime for as long as it lives
 *   state           the runtime's own; has an entry cella-XXXXXX while that container is there
 *   platform        the software platform's keys
 */
#ifndef CELLA_CLI_CONTAINER_FILES_H
#define CELLA_CLI_CONTAINER_FILES_H

#include <limits.h>
#include <sys/types.h>

#include "cli/image_job.h"

#define CONTAINER_PLACE_MAX (PATH_MAX + 64) /* a folder and a name of ours in it */
#define CONTAINER_ROOTFS_PREFIX "rootfs-"
#define CONTAINER_ID_MAX 32

/* Nobody else lays out anything in `folder` until the descriptor is closed; exec closes it. */
CELLA_MUST_USE cella_result container_lock(const char *folder, int *ret_fd,
                                           struct cella_error *error);

/* With the lock: the image's files as FOLDER/NAME; those of other images go, unless something runs. */
CELLA_MUST_USE cella_result container_lay_out(const struct image_job *job, const char *folder,
                                              const char *name, struct cella_error *error);

/*
 * With the lock: an empty folder for one run, and its id. What other runs have left is removed. The run counts as alive as
 * long as this process, or what it becomes by exec, and its children.
 */
CELLA_MUST_USE cella_result container_run_folder(const char *folder,
                                                 char ret_path[CONTAINER_PLACE_MAX],
                                                 char ret_id[CONTAINER_ID_MAX],
                                                 struct cella_error *error);

CELLA_MUST_USE cella_result container_make_folder(const char *path, mode_t mode,
                                                  struct cella_error *error);

/* Gives a folder and what is in it to `user`, whatever somebody does in it meanwhile: no link is followed. */
CELLA_MUST_USE cella_result container_give(const char *path, uint32_t user,
                                           struct cella_error *error);

#endif
