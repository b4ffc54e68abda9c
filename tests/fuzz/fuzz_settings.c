/*
 * Fuzz target: configuration files of services.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>
#include <string.h>

#include "services/common/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct values {
    struct http_options http;
    char *text;
    struct setting_list list;
    uint32_t choice;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const choices[] = {"one", "two", NULL};
    static const struct setting rows[] = {
        HTTP_SETTINGS(struct values, http, "tcp://127.0.0.1:0"),
        {"text", SETTING_TEXT, offsetof(struct values, text), 0, 0, NULL, "standard"},
        {"list", SETTING_LIST, offsetof(struct values, list), 0, 0, NULL, NULL},
        {"choice", SETTING_CHOICE, offsetof(struct values, choice), 0, 0, choices, "one"},
        {NULL, SETTING_TEXT, 0, 0, 0, NULL, NULL},
    };
    static const struct setting *const tables[] = {rows};
    static const struct settings settings = {tables, 1};
    struct values values = {.text = NULL};
    struct cella_error error = {0};

    cella_result result =
        settings_parse(&settings, cella_bytes_of(data, size), "fuzz", &values, &error);
    if (!cella_is_ok(result)) {
        if (error.text[0] == 0 || values.text || values.list.items) {
            abort(); /* every refusal says why, and leaves nothing behind */
        }
        return 0;
    }
    if (!values.text || values.choice > 1 || values.http.threads > 64) {
        abort();
    }
    settings_done(&settings, &values);
    return 0;
}
