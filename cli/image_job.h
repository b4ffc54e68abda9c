/*
 * A project's container image: what goes in, and where it lands.
 * Side: tools. Called by cella image and cella run --container. Never runs anything of the project's.
 */
#ifndef CELLA_CLI_IMAGE_JOB_H
#define CELLA_CLI_IMAGE_JOB_H

#include "cli/compile.h"
#include "cli/inspect.h"
#include "oci/image.h"

#define IMAGE_ADD_MAX 64u
#define IMAGE_PROGRAM_MAX 16u
#define IMAGE_PLATFORM_PATH "/var/lib/cella/platform"

struct image_options {
    const char *name;                 /* NAME or NAME:TAG; NULL: the project's */
    const char *added[IMAGE_ADD_MAX]; /* FILE or FILE=PATH */
    unsigned added_count;
    const char
        *programs[IMAGE_PROGRAM_MAX]; /* FILE, or NAME beside this program; in place of a project */
    unsigned program_count;
    const char *signed_program; /* PROGRAM.cella, a whole program; in place of a project */
    bool ca_certificates;
    bool software; /* a place for the software platform's keys */
    bool preload;  /* the software processor for hosts that do not have it in them */
    bool node;     /* the seccomp profile, for the device plugin to install */
    bool quoting;  /* the software platform's quoting enclaves */
    bool keep_debug;
    uint32_t user;
    int64_t epoch;
};

/* Zero-initialise. */
struct image_job {
    const struct project *project;      /* NULL: a whole program, or programs without an enclave */
    const struct compile_result *built; /* of the project */
    struct image_options options;
    char title[128];
    char tag[128];
    struct oci_tree tree;
    struct oci_image image;
    struct inspect inspect; /* of the enclave; borrows its bytes from the tree */
    char host_path[4096];   /* in the image, without a slash at the start */
    char enclave_path[4096];
    json_t *annotations, *entrypoint, *environment;
};

/* NULL options fields have their defaults here; SOURCE_DATE_EPOCH is read. */
CELLA_MUST_USE cella_result image_options_settle(struct image_options *options,
                                                 struct cella_error *error);

/* Gathers, layers. `cache` may be NULL. */
CELLA_MUST_USE cella_result image_job_make(struct image_job *job, const char *cache,
                                           struct cella_error *error);
void image_job_done(struct image_job *job);

/* What the annotations say of an enclave: cella.dev/… to texts. NULL: out of memory. */
json_t *image_annotations(const struct inspect *inspect, const char *path);

/* The project's folder for layers, made if need be. */
CELLA_MUST_USE cella_result image_cache_folder(const struct project *project, char *ret_folder,
                                               size_t size, struct cella_error *error);

#endif
