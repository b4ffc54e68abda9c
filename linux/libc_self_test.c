/*
 * The first thing that the kernel's libc does: a digest, whose value is known.
 * Side: enclave, ordinary code of the libc. Called by start.c in the full program kernel.
 * Never goes on with a libcrypto that gives wrong answers.
 */
#include <openssl/evp.h>
#include <string.h>

long cella_linux_libc_self_test(void *argument);

long cella_linux_libc_self_test(void *argument)
{
    static const unsigned char expected[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
                                               0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                               0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
                                               0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    unsigned char digest[32];
    (void)argument;
    return EVP_Digest("abc", 3, digest, NULL, EVP_sha256(), NULL) == 1 &&
                   memcmp(digest, expected, sizeof(digest)) == 0
               ? 0
               : -1;
}
