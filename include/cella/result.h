/*
 * The result type of every Cella call, for both sides.
 * Public header: plain C11, C++-safe. Values, names and texts are in common/result.def.
 * Never includes anything that is not freestanding.
 */
#ifndef CELLA_RESULT_H
#define CELLA_RESULT_H

#include "common/result.h"

#endif
