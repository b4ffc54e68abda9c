/*
 * Amounts as Kubernetes writes them: "10Mi", "1.5", "67108864", "1048576k". The API server gives them back in a form of its
 * own, so that they can be compared only as numbers.
 * Side: services. Called by the device plugin and the webhook. Never allocates.
 */
#ifndef CELLA_SERVICES_QUANTITY_H
#define CELLA_SERVICES_QUANTITY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* A quantity of Kubernetes, rounded up; false: it is none, or more than 2^63. */
bool quantity_parse(const json_t *quantity, uint64_t *ret_value);

#endif
