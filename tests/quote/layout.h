/*
 * A reading of quotes that is the tests' own: every field by its offset in Intel's document, signatures by libcrypto.
 * Side: tests.
 */
#ifndef TESTS_QUOTE_LAYOUT_H
#define TESTS_QUOTE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a quote v3 of certification data type 5 says; every part points into it. */
struct quote_layout {
    const uint8_t *header, *body, *signature, *key, *qe_report, *qe_signature, *auth, *chain;
    size_t auth_size, chain_size;
};

/* false: the sizes do not add up to exactly `size`, or a constant is not what it has to be. */
bool quote_layout_read(const uint8_t *quote, size_t size, struct quote_layout *ret_layout);
/* Both signatures hold, the key is bound, and the chain ends in that root (PEM). */
bool quote_layout_verify(const struct quote_layout *layout, const char *root_pem);

#endif
