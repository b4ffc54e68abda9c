/*
 * The shared libraries that a program is linked with, as measured files of its image.
 * Side: tools. Called by cli/program_manifest.c. Runs nothing; what a program loads by dlopen it does not find.
 */
#ifndef CELLA_CLI_PROGRAM_LIBRARIES_H
#define CELLA_CLI_PROGRAM_LIBRARIES_H

#include "cli/program_manifest.h"

/*
 * Adds what the manifest's executable needs, as its loader would find it on this machine, but for files that the manifest
 * has itself. NOT_FOUND names the library and who needs it.
 */
CELLA_MUST_USE cella_result program_libraries_add(struct program_manifest *manifest,
                                                  struct cella_error *error);

#endif
