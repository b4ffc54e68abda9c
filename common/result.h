/*
 * The one result type of Cella.
 * Side: both; freestanding. Called by everything. Never allocates, never prints.
 */
#ifndef CELLA_COMMON_RESULT_H
#define CELLA_COMMON_RESULT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cella_code {
#define X(number, name, category, text) CELLA_CODE_##name = number,
#include "result.def"
#undef X
};

/* Who has to act on a failure. */
enum cella_category {
    CELLA_CATEGORY_OK,
    CELLA_CATEGORY_USAGE,
    CELLA_CATEGORY_MALFORMED,
    CELLA_CATEGORY_POLICY,
    CELLA_CATEGORY_HOST,
    CELLA_CATEGORY_RESOURCE,
    CELLA_CATEGORY_INTERNAL,
};

/* A struct and not an enum, so that it is neither compared with 0 by accident nor dropped. */
typedef struct cella_result {
    uint32_t code;
} cella_result;

#define CELLA_MUST_USE __attribute__((warn_unused_result))

#ifdef __cplusplus
#define CELLA_RESULT(name) (cella_result{CELLA_CODE_##name})
#else
#define CELLA_RESULT(name) ((cella_result){CELLA_CODE_##name})
#endif
#define CELLA_OK CELLA_RESULT(OK)

static inline int cella_is_ok(cella_result result)
{
    return result.code == CELLA_CODE_OK;
}

/* The only way to drop a result. */
static inline void cella_ignore(cella_result result)
{
    (void)result;
}

/* Returns from the calling function when `expression` fails. */
#define CELLA_TRY(expression)                                                                      \
    do {                                                                                           \
        cella_result cella_try_ = (expression);                                                    \
        if (__builtin_expect(!cella_is_ok(cella_try_), 0)) {                                       \
            return cella_try_;                                                                     \
        }                                                                                          \
    } while (0)

/* Returns result `name` from the calling function unless `condition` holds. */
#define CELLA_ENSURE(condition, name)                                                              \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            return CELLA_RESULT(name);                                                             \
        }                                                                                          \
    } while (0)

/* Static strings; an unknown code gives "UNKNOWN" and "unknown result". Thread-safe. */
const char *cella_result_name(cella_result result);
const char *cella_result_text(cella_result result);
enum cella_category cella_result_category(cella_result result);

#ifdef __cplusplus
}
#endif
#endif
