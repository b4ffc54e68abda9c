/*
 * JSON values as YAML: block style, and no scalar that a reader of YAML 1.1 or 1.2 could take for anything but the string,
 * number or truth value that it is.
 * Side: tools. Called by cella k8s. Never folds, tags, anchors or reads.
 */
#ifndef CELLA_CLI_YAML_H
#define CELLA_CLI_YAML_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define YAML_DEPTH_MAX 64u

/* An object or array, without a line that starts the document. False: nested deeper than YAML_DEPTH_MAX. */
bool yaml_write(const json_t *json, FILE *out);
/* Text behind '#', what is no printable ASCII replaced: a line of its own can never end it. */
void yaml_comment(const char *text, FILE *out);

#endif
