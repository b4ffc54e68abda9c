/*
 * The image of a whole program (PROGRAM.cella, which `cella sign` made): what goes in beside what every image has.
 * Side: tools. Called by cli/image_job.c. Never runs the program.
 */
#ifndef CELLA_CLI_IMAGE_PROGRAM_H
#define CELLA_CLI_IMAGE_PROGRAM_H

#include "cli/image_job.h"

/* The runner and its libraries, files that the image is checked against but does not hold, folders to mount at. */
CELLA_MUST_USE cella_result image_program_add_host(struct image_job *job,
                                                   struct cella_error *error);

/* The signed image: alone, where it was attached to an executable. Read into job->inspect before. */
CELLA_MUST_USE cella_result image_program_add_enclave(struct image_job *job,
                                                      struct cella_error *error);

/* cella.dev/program and cella.dev/mounts; nothing for an enclave that runs no program. */
void image_program_annotate(const struct inspect *inspect, json_t *annotations);

/* The name of a program's file without its ending; borrowed from `path`. */
struct cella_bytes image_program_name(const char *path);

#endif
