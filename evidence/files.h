/*
 * Small files of the host: documents, roots, and where the software platform keeps its own.
 * Side: host. Called by evidence/documents.c and evidence/roots_environment.c. Never writes.
 */
#ifndef CELLA_EVIDENCE_FILES_H
#define CELLA_EVIDENCE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cella/result.h"

#define FILES_PATH_SIZE 4096u
#define FILES_SIZE_MAX ((size_t)4 << 20)

/* malloc'd. */
struct files_blob {
    uint8_t *data;
    size_t size;
};

/* NOT_FOUND, IO (no regular file, not whole), LIMIT_EXCEEDED, OUT_OF_MEMORY. */
CELLA_MUST_USE cella_result files_read(const char *path, struct files_blob *ret_blob);

/* A path below the platform directory (docs/formats/platform-directory.md). False: there is no such directory to name. */
bool files_platform(const char *name, char ret_path[FILES_PATH_SIZE]);

#endif
