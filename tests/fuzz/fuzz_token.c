/*
 * Fuzz target: a key set, a newline, and a token.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>
#include <string.h>

#include "cella/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char fallback[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\","
                                   "\"x\":\"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY\","
                                   "\"y\":\"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\"}]}";
    const uint8_t *end = memchr(data, '\n', size);
    size_t keys_size = end ? (size_t)(end - data) : 0;
    cella_token_keys *keys = NULL;
    cella_token *token = NULL;
    struct cella_error error = {0};

    if (!cella_is_ok(cella_token_keys_read((const char *)data, keys_size, &keys, &error)) &&
        !cella_is_ok(cella_token_keys_read(fallback, sizeof(fallback) - 1, &keys, NULL))) {
        abort();
    }
    struct cella_token_rules rules = {.issuer = "i", .attestation_type = "sgx", .time = 1800000000};
    const char *text = (const char *)data + keys_size + (end ? 1 : 0);
    size_t text_size = size - keys_size - (end ? 1 : 0);
    for (int unsigned_too = 0; unsigned_too <= 1; unsigned_too++) {
        rules.insecure_unsigned = unsigned_too;
        memset(&error, 0, sizeof(error));
        cella_result result = cella_token_check(text, text_size, keys, &rules, &token, &error);
        if (!cella_is_ok(result)) {
            if (error.text[0] == 0) {
                abort(); /* every refusal says why */
            }
            continue;
        }
        if (strcmp(cella_token_text(token, "iss"), "i") != 0 ||
            (!unsigned_too && !cella_token_is_signed(token))) {
            abort();
        }
        (void)cella_token_json(token, "exp");
        cella_token_free(token);
    }
    cella_token_keys_free(keys);
    return 0;
}
