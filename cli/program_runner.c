/*
 * The host of a whole program in a container: `cella-run PROGRAM.cella [ARGUMENT...]`, and nothing else of `cella`.
 * Side: tools. A program of its own; `cella image PROGRAM.cella` puts it into images.
 * Never decides what a program may see: its measured description does.
 */
#include <stdio.h>
#include <string.h>

#include "cli/program_run.h"
#include "common/error.h"

int main(int argc, char **argv)
{
    const struct program_run_options options = {0};
    struct cella_error error = {0};
    int status = 1;
    if (argc < 2 || argv[1][0] == '-') {
        fputs("usage: cella-run PROGRAM.cella [ARGUMENT...]\n", stderr);
        return argc > 1 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    const cella_result result = program_run(argv[1], argv + 2, &options, &status, &error);
    if (!cella_is_ok(result)) {
        fprintf(stderr, "cella-run: %s: %s\n", argv[1],
                error.text[0] ? error.text : cella_result_text(result));
        return 1;
    }
    return status;
}
