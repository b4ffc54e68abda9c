/*
 * From the syntax tree to C.
 * Side: tools. Called by cli/. Never writes a file.
 */
#include "edl/edl.h"

cella_result cella_edl_emit(const struct cella_edl_unit *unit,
                            const struct cella_edl_emit_options *options,
                            struct cella_edl_outputs *ret_outputs, struct cella_error *error)
{
    (void)options;
    (void)ret_outputs;
    return cella_error_set(error, CELLA_RESULT(UNSUPPORTED), "%s: nothing is generated yet",
                           unit->name);
}

void cella_edl_outputs_done(struct cella_edl_outputs *outputs)
{
    outputs->count = 0;
}
