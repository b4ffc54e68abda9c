/*
 * Roots that are part of the program. cella/roots.h is the manual.
 * Side: both. Called by the skins. Never reads anything but what was linked.
 */
#include "cella/roots.h"

__attribute__((weak)) const struct cella_roots cella_trusted_roots = {.count = 0};

cella_result cella_roots_add_linked(struct cella_roots *roots)
{
    const struct cella_roots *linked = &cella_trusted_roots;
    CELLA_ENSURE(linked->count <= CELLA_ROOT_MAX && linked->count <= CELLA_ROOT_MAX - roots->count,
                 LIMIT_EXCEEDED);
    for (size_t i = 0; i < linked->count; i++) {
        roots->keys[roots->count++] = linked->keys[i];
    }
    return CELLA_OK;
}
