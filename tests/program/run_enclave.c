/*
 * Runs a program image in an enclave of the software processor: no more than the tests need.
 * Side: tests. usage: run_enclave IMAGE [ARGUMENT...]. What the program printed is the result. RUN_ENCLAVE_ROOT: where the
 * host's files are for it; without, it has none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/program.h"
#include "cella/host.h"

int main(int argc, char **argv)
{
    static uint8_t call[CELLA_CALL_PROGRAM_MAX];
    struct cella_call_program head = {.cpu_count = 2};
    struct cella_enclave_options options = {.flags = CELLA_ENCLAVE_SOFTWARE,
                                            .file_root = getenv("RUN_ENCLAVE_ROOT")};
    char directory[4096];
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    size_t size = sizeof(head);
    size_t answered = 0;

    for (int i = 2; i < argc; i++) {
        size_t length = strlen(argv[i]) + 1;
        if (length > sizeof(call) - size) {
            return 2;
        }
        memcpy(call + size, argv[i], length);
        size += length;
        head.argument_count++;
    }
    if (getcwd(directory, sizeof(directory)) && strlen(directory) <= sizeof(call) - size) {
        head.directory_size = (int64_t)strlen(directory); /* sources of mounts are relative to it */
        memcpy(call + size, directory, strlen(directory));
        size += strlen(directory);
    }
    memcpy(call, &head, sizeof(head));
    if (argc < 2 || !cella_is_ok(cella_enclave_create(argv[1], &options, &enclave, &error))) {
        fprintf(stderr, "run_enclave: %s\n", error.text);
        return 125;
    }
    /* The program's end is the enclave's. */
    cella_result result = cella_ecall(enclave, CELLA_ECALL_PROGRAM, call, size, NULL, 0, &answered);
    cella_enclave_destroy(enclave);
    if (cella_is_ok(result)) {
        fputs("run_enclave: the program did not end\n", stderr);
        return 125;
    }
    return 0;
}
