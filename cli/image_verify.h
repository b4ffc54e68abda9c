/*
 * cella image verify: what enclave a container image has in it, and whether it is the one that somebody means.
 * Side: tools. Called by cli/cmd_image.c. Never starts or unpacks the image.
 */
#ifndef CELLA_CLI_IMAGE_VERIFY_H
#define CELLA_CLI_IMAGE_VERIFY_H

/* argv[0] is "verify". The exit status: 0 good, 1 refused, 2 wrong use or unreadable. */
int cella_image_verify(int argc, char **argv);

#endif
