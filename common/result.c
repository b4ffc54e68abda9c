/*
 * Names and texts of the result codes, out of common/result.def.
 * Side: both; freestanding. Called by everything. Never allocates, never prints.
 */
#include "common/result.h"

#include <stddef.h>

struct result_row {
    uint32_t code;
    enum cella_category category;
    const char *name;
    const char *text;
};

static const struct result_row *result_find(uint32_t code)
{
    static const struct result_row rows[] = {
#define X(number, name, category, text) {number, CELLA_CATEGORY_##category, #name, text},
#include "result.def"
#undef X
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].code == code) {
            return &rows[i];
        }
    }
    return NULL;
}

const char *cella_result_name(cella_result result)
{
    const struct result_row *row = result_find(result.code);
    return row ? row->name : "UNKNOWN";
}

const char *cella_result_text(cella_result result)
{
    const struct result_row *row = result_find(result.code);
    return row ? row->text : "unknown result";
}

enum cella_category cella_result_category(cella_result result)
{
    const struct result_row *row = result_find(result.code);
    return row ? row->category : CELLA_CATEGORY_INTERNAL;
}
