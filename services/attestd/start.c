/*
 * The program, as an ordinary process. Inside an enclave, enclave/main.c stands here.
 * Side: services.
 */
#include "services/attestd/attestd.h"

int main(int argc, char **argv)
{
    return attestd_main(argc, argv);
}
