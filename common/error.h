/*
 * An error a person reads: the result, and one line that names the thing, the place and what was expected.
 * Side: host and tools (hosted). Called by image/, host/, cli/. Never prints by itself.
 */
#ifndef CELLA_COMMON_ERROR_H
#define CELLA_COMMON_ERROR_H

#include "result.h"

#define CELLA_ERROR_TEXT_SIZE 512

/* Caller-owned; zero-initialise. `text` is always terminated. */
struct cella_error {
    cella_result result;
    char text[CELLA_ERROR_TEXT_SIZE];
};

/*
 * Records `result` and the formatted line, and gives `result` back, so that a failure reads
 *     return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "%s: program header %u: ...", ...);
 * `error` may be NULL. A text too long is cut.
 */
cella_result cella_error_set(struct cella_error *error, cella_result result, const char *format,
                             ...) __attribute__((format(printf, 3, 4)));

/* The same, with ": strerror(saved_errno)" behind the line. */
cella_result cella_error_errno(struct cella_error *error, cella_result result, int saved_errno,
                               const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
