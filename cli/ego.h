/*
 * `ego`: the commands of EGo's users, over programs of Cella. What its parts know of each other.
 * Side: tools. A program of its own. Commands, files, messages and exit statuses are EGo's (docs/ego.md).
 */
#ifndef CELLA_CLI_EGO_H
#define CELLA_CLI_EGO_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/file.h"
#include "cli/go_binary.h"
#include "common/error.h"
#include "image/attach.h"

#define EGO_FILE_MAX (1ull << 32)
#define EGO_PATH_MAX 4096u
#define EGO_VERSION "1.9.0+cella." CELLA_VERSION /* whose commands, and who makes them */
#ifndef CELLA_VERSION
#define CELLA_VERSION "unknown"
#endif

/* Commands: argv[0] is the command's name. Exit statuses. */
int ego_sign(int argc, char **argv);
int ego_run(int argc, char **argv);
int ego_marblerun(int argc, char **argv);
int ego_bundle(int argc, char **argv);
int ego_signerid(int argc, char **argv);
int ego_uniqueid(int argc, char **argv);
int ego_env(int argc, char **argv);
int ego_install(int argc, char **argv);

/* ego_log.c: both as text, or as JSON with EDG_LOG_FORMAT=json. Version and commit, on stderr. */
void ego_log_version(void);
/* A line of the start-up on stdout: "[erthost] loading enclave ...", or a JSON record with it. */
void ego_say(const char *line);

/* An executable, with or without a signed image behind it. Zero-initialise. */
struct ego_executable {
    struct cella_file file;
    struct cella_attach_parts parts;
    struct go_binary go;
};

void ego_executable_done(struct ego_executable *executable);
/* Errors in EGo's words; `doing` is what they say a missing file was wanted for ("opening file: "). */
CELLA_MUST_USE cella_result ego_executable_read(const char *path, const char *doing,
                                                struct ego_executable *executable,
                                                struct cella_error *error);
/* Reads its build information, and refuses what imports the package for programs outside enclaves. */
CELLA_MUST_USE cella_result ego_executable_check(struct ego_executable *executable,
                                                 struct cella_error *error);
/* What EGo prints for the errors that it explains; else "ERROR: " and the text. On stdout. */
void ego_explain(const struct cella_error *error);

/* Texts of errors that ego_explain has more to say about. */
#define EGO_ERROR_ECLIENT "unsupported import: github.com/edgelesssys/ego/eclient"
#define EGO_ERROR_SMALL_HEAP "large heap is enabled, but heapSize is too small"
#define EGO_ERROR_LARGE_HEAP "this heapSize requires large heap mode"
#define EGO_ERROR_UNSIGNED "OE_FAILURE: oe_sgx_is_valid_attributes failed: attributes = 0"
#define EGO_ERROR_MEASUREMENT                                                                      \
    "OE_PLATFORM_ERROR: enclave_initialize failed: ENCLAVE_INVALID_MEASUREMENT"
#define EGO_ERROR_NO_SGX "OE_PLATFORM_ERROR: Failed to open Intel SGX device"

/* go_tool.c: the Go toolchain of this machine. */
/* Its program; false, and an error that says where it was looked for: there is none. */
bool go_tool_find(char *ret_path, size_t size, struct cella_error *error);
/* Sets the environment for builds: cgo, and tags that leave the libc out where nothing needs it. */
bool go_tool_environment(struct cella_error *error);
/* Adds those tags to the ones of a command line of go, which would take their place. false: no memory. */
bool go_tool_tags(char **argv);

#endif
