/*
 * Reading the measured description of a program (abi/program.h).
 * Side: enclave; freestanding, also built natively for tests. Called once by linux/start.c, then by whoever needs a part.
 * Never copies the description: texts are borrowed from it. What was taken is whole: no accessor can leave its bytes.
 */
#ifndef CELLA_LINUX_DESCRIPTION_H
#define CELLA_LINUX_DESCRIPTION_H

#include <stdbool.h>

#include "abi/program.h"
#include "common/bytes.h"

#define CELLA_PROGRAM_PATH_MAX 4095u /* bytes, the zero that is added not counted */
#define CELLA_PROGRAM_TEXT_MAX                                                                     \
    131071u /* of an argument or a value: MAX_ARG_STRLEN of Linux, less the zero */
#define CELLA_PROGRAM_COUNT_MAX 65536u /* arguments, variables, hosts, patched files, mounts */
#define CELLA_PROGRAM_FILES_MAX 1000000u
#define CELLA_PROGRAM_SITES_MAX 10000000u

struct cella_program_description {
    struct cella_bytes bytes; /* all of it */
    struct cella_program head;
};

/*
 * Takes and checks a description: all of `bytes`, or its first head.size of them. Every text lies inside and has no zero;
 * paths are absolute; every list, content and patch lies inside; loads are ascending pages of the program's space. When it
 * fails, *ret_part names the part that is wrong (a static text).
 */
CELLA_MUST_USE cella_result cella_program_description_take(
    struct cella_bytes bytes, struct cella_program_description *ret_description,
    const char **ret_part);

/* A text of a description that was taken; empty when it is absent. */
struct cella_bytes cella_program_text(const struct cella_program_description *description,
                                      struct cella_program_text text);

/* Records by index. An index that is not below the list's count gives a record of zeros. */
#define CELLA_PROGRAM_AT(what, type)                                                               \
    struct type cella_program_##what##_at(const struct cella_program_description *description,     \
                                          uint32_t index)
CELLA_PROGRAM_AT(load, cella_program_load);
CELLA_PROGRAM_AT(argument, cella_program_text);
CELLA_PROGRAM_AT(variable, cella_program_variable);
CELLA_PROGRAM_AT(mount, cella_program_mount);
CELLA_PROGRAM_AT(file, cella_program_file);
CELLA_PROGRAM_AT(patches, cella_program_patches);
CELLA_PROGRAM_AT(host, cella_program_text);
#undef CELLA_PROGRAM_AT

/* The site of a patched file; of zeros when there is none. */
struct cella_program_site cella_program_site_at(const struct cella_program_description *description,
                                                const struct cella_program_patches *patches,
                                                uint32_t index);
struct cella_bytes cella_program_trampolines(const struct cella_program_description *description,
                                             const struct cella_program_patches *patches);
/* Of a file that is in the image; else empty. */
struct cella_bytes cella_program_content(const struct cella_program_description *description,
                                         const struct cella_program_file *file);

#endif
