/*
 * The one word that both SDKs' worlds share: how Cella's results read in Open Enclave's.
 * Side: both. Included by the skin.
 * Never included by applications; generated code declares it through its own headers.
 */
#ifndef CELLA_COMPAT_OE_GLUE_H
#define CELLA_COMPAT_OE_GLUE_H

#include <openenclave/bits/result.h>

#include "cella/result.h"

oe_result_t oe_result_of(cella_result result);

/* Returns from the calling function, which gives an oe_result_t, when `expression` fails. */
#define OE_TRY_CELLA(expression)                                                                   \
    do {                                                                                           \
        const cella_result oe_try_ = (expression);                                                 \
        if (!cella_is_ok(oe_try_)) {                                                               \
            return oe_result_of(oe_try_);                                                          \
        }                                                                                          \
    } while (0)

#define OE_TRY(expression)                                                                         \
    do {                                                                                           \
        const oe_result_t oe_try_ = (expression);                                                  \
        if (oe_try_ != OE_OK) {                                                                    \
            return oe_try_;                                                                        \
        }                                                                                          \
    } while (0)

#define OE_ENSURE(condition, code)                                                                 \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return (code);                                                                         \
        }                                                                                          \
    } while (0)

#endif
