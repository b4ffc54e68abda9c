#include "cli/cli.h"
int cella_cmd_inspect(int argc, char **argv){(void)argc;(void)argv;return 2;}
