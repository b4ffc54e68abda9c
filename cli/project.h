/*
 * A project: a folder with host/, enclave/ and the file cella.project.
 * Side: tools. Called by cella build, run and new. cella-build(1) describes the file.
 * Never runs anything.
 */
#ifndef CELLA_CLI_PROJECT_H
#define CELLA_CLI_PROJECT_H

#include <stdbool.h>

#include "common/bytes.h"
#include "common/error.h"

#define PROJECT_FILE "cella.project"
#define PROJECT_NAME_MAX 64
#define PROJECT_WORDS_MAX 32
#define PROJECT_TEXT_MAX 1024

enum project_libc {
    PROJECT_LIBC_NONE,
    PROJECT_LIBC_MUSL,
    PROJECT_LIBC_GLIBC,
};

/* Words separated by blanks. */
struct project_words {
    char text[PROJECT_TEXT_MAX];
    const char *words[PROJECT_WORDS_MAX];
    unsigned count;
};

struct project {
    char folder[4096];
    char name[PROJECT_NAME_MAX];
    enum project_libc libc;
    struct project_words modules;   /* seal, or those of enclave/recipe.h */
    struct project_words libraries; /* static libraries of the enclave, without lib and .a */
    struct project_words enclave_flags;
    struct project_words host_libraries;
    struct project_words host_flags;
    bool
        host_static_crypto; /* the host carries its libcrypto; no other library of it may use one */
    char key[4096];         /* PEM, relative to the folder; empty: the machine's debug key */
    char edl[PROJECT_NAME_MAX + 4]; /* the interface, in the folder; empty: a C table of calls */
    /* Projects with a build of their own have these three and nothing else but the name. */
    struct project_words build; /* command, run in the folder; no words: not such a project */
    char host[4096];            /* the program it makes, relative to the folder */
    char image[4096];           /* the signed image it makes, likewise */
};

/* `path` is for the error text, which gives the line. Leaves `folder` empty. */
CELLA_MUST_USE cella_result project_parse(struct cella_bytes text, const char *path,
                                          struct project *ret_project, struct cella_error *error);

/* Reads FOLDER/cella.project. Errors give file, line and what was expected. */
CELLA_MUST_USE cella_result project_read(const char *folder, struct project *ret_project,
                                         struct cella_error *error);
/* Whether the project is built by a command of its own. */
bool project_builds_itself(const struct project *project);
bool project_has_module(const struct project *project, const char *name);
/* Letters, digits, '-' and '_', not empty, not too long. */
bool project_name_is_good(const char *name);

#endif
