/*
 * An error a person reads.
 * Side: host and tools (hosted). Called by image/, host/, cli/. Never prints by itself.
 */
#include "common/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void error_format(struct cella_error *error, cella_result result, const char *format,
                         va_list arguments)
{
    error->result = result;
    vsnprintf(error->text, sizeof(error->text), format, arguments);
}

cella_result cella_error_set(struct cella_error *error, cella_result result, const char *format,
                             ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error_format(error, result, format, arguments);
        va_end(arguments);
    }
    return result;
}

cella_result cella_error_errno(struct cella_error *error, cella_result result, int saved_errno,
                               const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error_format(error, result, format, arguments);
        va_end(arguments);
        size_t used = strlen(error->text);
        snprintf(error->text + used, sizeof(error->text) - used, ": %s", strerror(saved_errno));
    }
    return result;
}
