/*
 * Fuzz target: the project file.
 * Side: tests. Run by libFuzzer, or replayed by replay.c over corpus/project.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/project.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct project project;
    struct cella_error error = {0};
    cella_result result = project_parse(cella_bytes_of(data, size), "fuzz", &project, &error);
    if (cella_is_ok(result) ? !project_name_is_good(project.name) : error.text[0] == '\0') {
        abort(); /* accepted without a name, or refused without a word */
    }
    return 0;
}
