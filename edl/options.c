/*
 * The warnings: their names, and which each dialect gives unasked.
 * Side: tools. Called by cli/ and inside edl/.
 */
#include <string.h>

#include "edl/edl.h"

static const char *const g_names[CELLA_EDL_WARNING_COUNT] = {
#define X(name, spelling, text) [CELLA_EDL_W_##name] = spelling,
#include "edl/warnings.def"
#undef X
};

static const char *const g_texts[CELLA_EDL_WARNING_COUNT] = {
#define X(name, spelling, text) [CELLA_EDL_W_##name] = text,
#include "edl/warnings.def"
#undef X
};

const char *cella_edl_warning_name(enum cella_edl_warning warning)
{
    return g_names[warning];
}

const char *cella_edl_warning_text(enum cella_edl_warning warning)
{
    return g_texts[warning];
}

bool cella_edl_warning_find(const char *name, enum cella_edl_warning *ret_warning)
{
    for (size_t i = 0; i < CELLA_EDL_WARNING_COUNT; i++) {
        if (strcmp(name, g_names[i]) == 0) {
            *ret_warning = (enum cella_edl_warning)i;
            return true;
        }
    }
    return false;
}

void cella_edl_options_init(struct cella_edl_options *options, enum cella_edl_dialect dialect)
{
    *options = (struct cella_edl_options){.dialect = dialect};
    for (size_t i = 0; i < CELLA_EDL_WARNING_COUNT; i++) {
        options->warnings[i] = CELLA_EDL_WARNS;
    }
    /* The other tools' own defaults: these are off until asked for. */
    options->warnings[CELLA_EDL_W_FOREIGN_TYPE_PTR] = CELLA_EDL_IGNORED;
    options->warnings[CELLA_EDL_W_RETURN_PTR] = CELLA_EDL_IGNORED;
    if (dialect != CELLA_EDL_CELLA) {
        options->warnings[CELLA_EDL_W_PTR_IN_STRUCT] = CELLA_EDL_IGNORED;
        options->warnings[CELLA_EDL_W_PTR_IN_FUNCTION] = CELLA_EDL_IGNORED;
        options->warnings[CELLA_EDL_W_UNSUPPORTED_ALLOW] = CELLA_EDL_IGNORED;
    }
    if (dialect != CELLA_EDL_OPENENCLAVE) {
        options->warnings[CELLA_EDL_W_NON_PORTABLE_TYPE] = CELLA_EDL_IGNORED;
    }
    if (dialect == CELLA_EDL_OPENENCLAVE) {
        options->warnings[CELLA_EDL_W_STRUCT_TYPEDEF] = CELLA_EDL_IGNORED;
    }
}
