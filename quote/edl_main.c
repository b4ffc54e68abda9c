/*
 * The EDL compiler alone, for what the host library itself is built of.
 * Side: tools, build only. Never installed.
 */
#include "cli/cli.h"

int main(int argc, char **argv)
{
    return cella_cmd_edl(argc, argv);
}
