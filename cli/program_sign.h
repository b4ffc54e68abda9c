/*
 * From a program and its manifest to a signed image: the kernel's file and the interpreter are found and read here.
 * Side: tools. Called by cella sign, cella go and ego. Runs nothing.
 */
#ifndef CELLA_CLI_PROGRAM_SIGN_H
#define CELLA_CLI_PROGRAM_SIGN_H

#include "cli/program_manifest.h"
#include "image/buffer.h"
#include "image/sign.h"

struct program_sign {
    const char *command;               /* begins what is written to stderr */
    struct program_manifest *manifest; /* loaded; its config's debug is set when there is no key */
    const char *key; /* PEM; NULL: the manifest's, or else the machine's debug key */
    uint32_t date;   /* BCD; 0: signing_date */
    struct cella_program_report report; /* `site` may be set */
    struct sgx_sigstruct sigstruct;     /* out, of program_sign */
};

/* The manifest of a program that has none: `executable` on the host, arguments from the host allowed. */
CELLA_MUST_USE cella_result program_sign_default(const char *executable,
                                                 struct program_manifest *manifest,
                                                 struct cella_error *error);

/* program_manifest_load, once the executable has been found. */
CELLA_MUST_USE cella_result program_sign_load(struct program_manifest *manifest,
                                              struct cella_error *error);

/* The unsigned image, appended to the empty buffer. An image attached to the program's file is not part of it. */
CELLA_MUST_USE cella_result program_sign_image(struct program_sign *job,
                                               struct cella_buffer *output,
                                               struct cella_error *error);

/* The key that the job names; config.debug is set when there is none. */
CELLA_MUST_USE cella_result program_sign_key(struct program_sign *job, struct cella_key *ret_key,
                                             struct cella_error *error);

/* The signed image: program_sign_key, program_sign_image, measured and signed. */
CELLA_MUST_USE cella_result program_sign(struct program_sign *job, struct cella_buffer *output,
                                         struct cella_error *error);

/*
 * The kernel of whole programs: CELLA_PROGRAM_KERNEL, or libexec/cella/program-kernel of the prefix that CELLA_SDK or this
 * program's folder names, or linux/program-kernel of the build tree this program lies in. `full`: program-kernel-full, which
 * has the libcrypto that encrypted mounts and EGo's verifier stand on.
 */
CELLA_MUST_USE cella_result program_sign_kernel(bool full, char *ret_path, size_t size,
                                                struct cella_error *error);

#endif
