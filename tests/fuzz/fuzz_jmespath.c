/*
 * Fuzz target: JMESPath queries: a query, a zero byte, and a JSON document.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/jmespath.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, 0, size);
    size_t query = end ? (size_t)(end - data) : size;
    json_t *document =
        end ? json_loadb((const char *)end + 1, size - query - 1, JSON_DECODE_ANY, NULL) : NULL;
    struct arena arena = {.limit = 64u << 20};
    struct policy_failure failure = {""};
    json_t *value = NULL;

    document = document ? document : json_loads("{\"a\":[1,2,{\"b\":\"x\"}],\"c\":{}}", 0, NULL);
    cella_result result =
        jmespath_search(&arena, (const char *)data, query, document, &value, &failure);
    if (cella_is_ok(result)) {
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        if (!text) {
            abort(); /* a result is always JSON */
        }
        free(text);
        json_decref(value);
    } else if (result.code != CELLA_CODE_OUT_OF_MEMORY && failure.text[0] == 0) {
        abort(); /* every refusal says why */
    }
    json_decref(document);
    arena_done(&arena);
    return 0;
}
