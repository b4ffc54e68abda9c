/*
 * What a relying party does with a token: check_token JWKS ISSUER TYPE [NONCE] < TOKEN; prints "good" or the reason.
 * Side: tests. Called by the scripts of tests/attestd.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cella/token.h"

int main(int argc, char **argv)
{
    static char text[CELLA_TOKEN_SIZE_MAX];
    static char jwks[CELLA_TOKEN_SIZE_MAX];
    struct cella_error error = {0};
    cella_token_keys *keys = NULL;
    cella_token *token = NULL;
    FILE *file = argc >= 4 ? fopen(argv[1], "rb") : NULL;
    if (!file) {
        return 2;
    }
    size_t jwks_size = fread(jwks, 1, sizeof(jwks), file);
    fclose(file);
    size_t size = fread(text, 1, sizeof(text), stdin);
    const struct cella_token_rules rules = {.issuer = argv[2],
                                            .attestation_type = argv[3],
                                            .nonce = argc > 4 ? argv[4] : NULL,
                                            .time = (int64_t)time(NULL)};
    bool good = cella_is_ok(cella_token_keys_read(jwks, jwks_size, &keys, &error)) &&
                cella_is_ok(cella_token_check(text, size, keys, &rules, &token, &error));
    puts(good ? "good" : error.text);
    cella_token_free(token);
    cella_token_keys_free(keys);
    return good ? 0 : 1;
}
