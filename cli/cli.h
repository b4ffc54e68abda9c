/*
 * The commands of `cella`: one function a file, one row a command in main.c.
 * Side: tools. Called by cli/main.c. A command never calls exit().
 */
#ifndef CELLA_CLI_CLI_H
#define CELLA_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

/* The software processor's preload library. */
#define CELLA_SOFT_LIBRARY "libcella-soft.so"
/* Its path, from the place of this program; false: not found. */
bool cella_soft_library_find(char *ret_path, size_t size);

/* argv[0] is the command's name. The result is the exit status: 0 done, 1 refused, 2 wrong use or
 * unreadable. */
typedef int (*cella_command_fn)(int argc, char **argv);

struct cella_command {
    const char *name;
    const char *summary; /* one line, lower case, no full stop */
    cella_command_fn run;
};

int cella_cmd_build(int argc, char **argv);
int cella_cmd_completion(int argc, char **argv);
int cella_cmd_doctor(int argc, char **argv);
int cella_cmd_edl(int argc, char **argv);
int cella_cmd_env(int argc, char **argv);
int cella_cmd_evidence(int argc, char **argv);
int cella_cmd_go(int argc, char **argv);
int cella_cmd_image(int argc, char **argv);
int cella_cmd_inspect(int argc, char **argv);
int cella_cmd_k8s(int argc, char **argv);
int cella_cmd_new(int argc, char **argv);
int cella_cmd_platform(int argc, char **argv);
int cella_cmd_run(int argc, char **argv);
int cella_cmd_sign(int argc, char **argv);
int cella_cmd_soft(int argc, char **argv);

#endif
