/*
 * The information object, as the enclave library defines it, for test images.
 * Side: tests. Linked into test images. Never read natively.
 */
#include "abi/image.h"

CELLA_IMAGE_INFO_DEFINE;
