/*
 * `cella`: finds the command and runs it.
 * Side: tools. The program's entry. Never does the work of a command itself.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "common/cleanup.h"

#ifndef CELLA_VERSION
#define CELLA_VERSION "unknown"
#endif

static const struct cella_command g_commands[] = {
    {"new", "make a project of a host program and an enclave", cella_cmd_new},
    {"build", "compile, link and sign a project", cella_cmd_build},
    {"run", "build a project if needed, and run it", cella_cmd_run},
    {"env", "print the environment for builds made for Open Enclave or the Intel SGX SDK",
     cella_cmd_env},
    {"edl", "make the C code of calls from an EDL file", cella_cmd_edl},
    {"go", "build, sign and run Go programs for enclaves", cella_cmd_go},
    {"doctor", "say what this machine offers for enclaves, what is missing and the mend",
     cella_cmd_doctor},
    {"image", "write a project as a container image, or verify the enclave in one",
     cella_cmd_image},
    {"k8s", "print Kubernetes' objects for a project or an image", cella_cmd_k8s},
    {"inspect", "show the identity, layout and signature of an enclave image", cella_cmd_inspect},
    {"evidence", "show and verify quotes, reports and other evidence", cella_cmd_evidence},
    {"platform", "make, show, export or forget the software platform", cella_cmd_platform},
    {"sign", "make a signed enclave image of a linked static PIE", cella_cmd_sign},
    {"soft", "run a program on the software SGX processor", cella_cmd_soft},
    {"completion", "print completion for bash, zsh or fish", cella_cmd_completion},
};

static void usage(FILE *stream)
{
    fputs("usage: cella COMMAND [ARGUMENTS]\n\ncommands:\n", stream);
    for (size_t i = 0; i < CELLA_COUNT(g_commands); i++) {
        fprintf(stream, "  %-10s %s\n", g_commands[i].name, g_commands[i].summary);
    }
    fputs("\n`cella COMMAND --help` tells more. `cella --version` prints the version.\n", stream);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("cella " CELLA_VERSION);
        return 0;
    }
    for (size_t i = 0; i < CELLA_COUNT(g_commands); i++) {
        if (strcmp(argv[1], g_commands[i].name) == 0) {
            return g_commands[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "cella: no command '%s'; `cella --help` lists them\n", argv[1]);
    return 2;
}
