/*
 * The enclave of deep_out.edl.
 * Side: enclave (of tests). Linked beside every_enclave.c with deep_out_t.c.
 */
#include "deep_out_t.h"

#if defined(EVERY_OPENENCLAVE)
#define C(name, ...) ((o_##name(__VA_ARGS__)) == OE_OK)
#else
#define C(name, ...) cella_is_ok(o_##name(__VA_ARGS__))
#endif
#define F(name) e_##name
int every_deep_out(int which);
#include "deep_out_body.h"

int every_deep_out(int which)
{
    return which == 0 ? calls_deep_out() : calls_deep_out_refused(0);
}
