/*
 * The parts of `cella evidence`: one function a subcommand, and how results are printed.
 * Side: tools. Called by cli/cmd_evidence*.c. A command never calls exit().
 */
#ifndef CELLA_CLI_EVIDENCE_H
#define CELLA_CLI_EVIDENCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "cella/collateral.h"

enum evidence_status {
    EVIDENCE_STATUS_ACCEPTED = 0,
    EVIDENCE_STATUS_REFUSED = 1,
    EVIDENCE_STATUS_UNREADABLE = 2,
};

int evidence_fetch(int argc, char **argv);
int evidence_get(int argc, char **argv);
int evidence_show(int argc, char **argv);
int evidence_verify(int argc, char **argv);

/* malloc'd evidence out of a file of any form; the file's own bytes too, for collateral in it. */
struct evidence_input {
    uint8_t *file;
    size_t file_size;
    uint8_t *data;
    size_t size;
};
/* False: a line on stderr says why. */
bool evidence_input_read(const char *command, const char *path, struct evidence_input *ret_input);
void evidence_input_done(struct evidence_input *input);

static inline struct cella_span evidence_input_span(const struct evidence_input *input)
{
    return (struct cella_span){.data = input->data, .size = input->size};
}

/* "2026-01-31T12:00:00Z" */
void evidence_time_write(char *out, size_t size, int64_t time);
/* malloc'd lower-case hexadecimal. */
char *evidence_hex(struct cella_span bytes);

/* Claims, and the platform where it is known, one a line. */
void evidence_print_claims(FILE *out, const struct cella_evidence_claims *claims,
                           const struct cella_platform_claims *platform);
void evidence_print_result(FILE *out, const struct cella_evidence_result *result, int64_t time);
json_t *evidence_json_claims(const struct cella_evidence_claims *claims,
                             const struct cella_platform_claims *platform);
json_t *evidence_json_result(const struct cella_evidence_result *result, int64_t time);
/* What is printed when there is nothing to verify. */
json_t *evidence_json_unreadable(const char *reason);

#endif
