/*
 * `ego completion`: scripts for bash, zsh, fish and PowerShell.
 * Side: tools. Called by ego.c.
 */
#ifndef CELLA_CLI_EGO_COMPLETION_H
#define CELLA_CLI_EGO_COMPLETION_H

/* argv[0] is "completion"; `names`: the commands, NULL at the end. The exit status. */
int ego_completion(int argc, char **argv, const char *const *names);

#endif
