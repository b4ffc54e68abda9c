/*
 * The work behind oesign's commands.
 * Side: tools. Included by oesign.c, oesign_sign.c and oesign_dump.c.
 * Never prints an error itself.
 */
#ifndef CELLA_COMPAT_OESIGN_H
#define CELLA_COMPAT_OESIGN_H

#include "common/cleanup.h"
#include "common/error.h"

struct oesign_options {
    const char *image, *config, *key, *digest, *output, *x509;
    const char *engine, *load_path, *key_id; /* refused */
};

CELLA_MUST_USE cella_result oesign_sign(const struct oesign_options *options,
                                        struct cella_error *error);
CELLA_MUST_USE cella_result oesign_digest(const struct oesign_options *options,
                                          struct cella_error *error);
CELLA_MUST_USE cella_result oesign_dump(const char *path, struct cella_error *error);

#endif
