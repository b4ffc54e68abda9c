/*
 * cella env: the environment in which builds for Open Enclave or for the Intel SGX SDK find Cella.
 * Side: tools. Called by cli/main.c.
 * Never changes a file outside the build tree it may lie in.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/sdk.h"

static const char g_help[] =
    "usage: cella env [--json]\n"
    "       cella env -- COMMAND [ARGUMENT...]\n"
    "\n"
    "Prints the variables by which Makefiles, CMake and pkg-config of projects written for the\n"
    "Open Enclave SDK or the Intel SGX SDK find Cella in their place, for\n"
    "  eval \"$(cella env)\"\n"
    "or runs COMMAND with them:\n"
    "  cella env -- make SGX_MODE=SIM\n"
    "  cella env -- cmake -B build\n"
    "\n"
    "  --json    the variables as an object\n";

/* For a POSIX shell: whatever the value holds. */
static void print_quoted(const char *value)
{
    putchar('\'');
    for (; *value; value++) {
        if (*value == '\'') {
            fputs("'\\''", stdout);
        } else {
            putchar(*value);
        }
    }
    putchar('\'');
}

static void print_shell(const struct sdk_environment *environment)
{
    for (unsigned i = 0; i < environment->count; i++) {
        printf("export %s=", environment->variables[i].name);
        print_quoted(environment->variables[i].value);
        putchar('\n');
    }
}

static int print_json(const struct sdk_environment *environment)
{
    json_t *object = json_object();
    int failed = object == NULL;
    for (unsigned i = 0; !failed && i < environment->count; i++) {
        failed = json_object_set_new(object, environment->variables[i].name,
                                     json_string(environment->variables[i].value)) < 0;
    }
    failed = failed || json_dumpf(object, stdout, JSON_INDENT(2)) < 0 || putchar('\n') == EOF;
    json_decref(object);
    return failed;
}

static int run(const struct sdk_environment *environment, char **command)
{
    for (unsigned i = 0; i < environment->count; i++) {
        if (setenv(environment->variables[i].name, environment->variables[i].value, 1) < 0) {
            perror("cella env");
            return 1;
        }
    }
    execvp(command[0], command);
    fprintf(stderr, "cella env: %s: %s\n", command[0], strerror(errno));
    return 127;
}

int cella_cmd_env(int argc, char **argv)
{
    static struct sdk_environment environment;
    struct cella_error error = {0};
    char **command = NULL;
    bool json = false;
    for (int i = 1; i < argc && !command; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(g_help, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--") == 0 && i + 1 < argc) {
            command = argv + i + 1;
        } else {
            fprintf(stderr, "cella env: %s: unexpected; see cella env --help\n", argv[i]);
            return 2;
        }
    }
    if (!cella_is_ok(sdk_environment(&environment, &error))) {
        fprintf(stderr, "cella env: %s\n", error.text);
        return 1;
    }
    if (command) {
        return run(&environment, command);
    }
    if (json) {
        return print_json(&environment);
    }
    print_shell(&environment);
    return 0;
}
