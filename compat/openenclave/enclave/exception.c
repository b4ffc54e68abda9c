/*
 * Vectored exception handlers, over the kernel's: one handler there asks those that are registered here.
 * Side: enclave. Called on the interrupted thread's stack, at CSSA 0.
 * Never calls a handler that is not enclave memory.
 */
#include <string.h>

#include <openenclave/enclave.h>

#include "compat/openenclave/enclave/skin.h"
#include "enclave/kernel.h"

#define HANDLER_MAX 64u
#define MXCSR_AT 24u      /* in the legacy region of XSAVE */
#define XSTATE_BV_AT 512u /* in its header */
#define XSTATE_X87_AND_SSE 3u

static struct cella_lock handler_lock;
static oe_vectored_exception_handler_t handlers[HANDLER_MAX];
static uint32_t handler_count;
static bool is_attached;

static uint32_t code_of(uint32_t vector)
{
    static const struct {
        uint32_t vector, code;
    } codes[] = {
        {0, OE_EXCEPTION_DIVIDE_BY_ZERO},     {3, OE_EXCEPTION_BREAKPOINT},
        {5, OE_EXCEPTION_BOUND_OUT_OF_RANGE}, {6, OE_EXCEPTION_ILLEGAL_INSTRUCTION},
        {13, OE_EXCEPTION_ACCESS_VIOLATION},  {14, OE_EXCEPTION_PAGE_FAULT},
        {16, OE_EXCEPTION_X87_FLOAT_POINT},   {17, OE_EXCEPTION_MISALIGNMENT},
        {19, OE_EXCEPTION_SIMD_FLOAT_POINT},
    };
    for (size_t i = 0; i < CELLA_COUNT(codes); i++) {
        if (codes[i].vector == vector) {
            return codes[i].code;
        }
    }
    return OE_EXCEPTION_UNKNOWN;
}

/* The same registers in either struct. clang-format has two opinions of how to break the list. */
/* clang-format off */
#define EACH_REGISTER(X)                                                                           \
    X(rax, rax)                                                                                    \
    X(rbx, rbx)                                                                                    \
    X(rcx, rcx)                                                                                    \
    X(rdx, rdx)                                                                                    \
    X(rbp, rbp) X(rsp, rsp) X(rdi, rdi) X(rsi, rsi) X(r8, r8) X(r9, r9) X(r10, r10) X(r11, r11)    \
        X(r12, r12) X(r13, r13) X(r14, r14) X(r15, r15) X(rip, rip) X(flags, rflags)
/* clang-format on */

static void context_take(oe_context_t *context, const struct cella_exception *exception)
{
    const struct cella_registers *from = exception->registers;
    const uint8_t *xsave = cella_exception_xsave(exception);
#define TAKE(ours, theirs) context->ours = from->theirs;
    EACH_REGISTER(TAKE)
#undef TAKE
    memcpy(&context->mxcsr, xsave + MXCSR_AT, sizeof(context->mxcsr));
    memcpy(context->basic_xstate.blob, xsave, sizeof(context->basic_xstate.blob));
}

static void context_give(const oe_context_t *context, const struct cella_exception *exception)
{
    struct cella_registers *to = exception->registers;
    uint8_t *xsave = cella_exception_xsave(exception);
    uint64_t components;
#define GIVE(ours, theirs) to->theirs = context->ours;
    EACH_REGISTER(GIVE)
#undef GIVE
    memcpy(xsave, context->basic_xstate.blob, sizeof(context->basic_xstate.blob));
    memcpy(xsave + MXCSR_AT, &context->mxcsr, sizeof(context->mxcsr));
    memcpy(&components, xsave + XSTATE_BV_AT, sizeof(components));
    components |= XSTATE_X87_AND_SSE;
    memcpy(xsave + XSTATE_BV_AT, &components, sizeof(components));
}

static uint64_t handlers_ask(oe_exception_record_t *record)
{
    for (uint32_t i = 0;; i++) {
        oe_vectored_exception_handler_t handler = NULL;
        cella_lock_take(&handler_lock);
        if (i < handler_count) {
            handler = handlers[i];
        }
        cella_lock_give(&handler_lock);
        if (!handler) {
            return OE_EXCEPTION_CONTINUE_SEARCH;
        }
        const uint64_t verdict = handler(record);
        if (verdict == OE_EXCEPTION_CONTINUE_EXECUTION || verdict == OE_EXCEPTION_ABORT_EXECUTION) {
            return verdict;
        }
    }
}

static enum cella_exception_verdict on_exception(struct cella_exception *exception)
{
    oe_context_t context;
    oe_exception_record_t record = {
        .code = code_of(exception->vector),
        .flags = exception->vector == 3 ? OE_EXCEPTION_FLAGS_SOFTWARE : OE_EXCEPTION_FLAGS_HARDWARE,
        .address = exception->registers->rip,
        .faulting_address = exception->address,
        .error_code = exception->error,
        .context = &context,
    };
    memset(&context, 0, sizeof(context));
    context_take(&context, exception);
    if (handlers_ask(&record) != OE_EXCEPTION_CONTINUE_EXECUTION) {
        return CELLA_EXCEPTION_NOT_MINE;
    }
    context_give(&context, exception);
    return CELLA_EXCEPTION_CONTINUE;
}

/* With the lock held. */
static oe_result_t handler_add(bool is_first, oe_vectored_exception_handler_t handler)
{
    for (uint32_t i = 0; i < handler_count; i++) {
        OE_ENSURE(handlers[i] != handler, OE_FAILURE);
    }
    OE_ENSURE(handler_count < HANDLER_MAX, OE_FAILURE);
    if (!is_attached) {
        OE_TRY_CELLA(cella_exception_add(on_exception, 0));
        is_attached = true;
    }
    uint32_t at = handler_count++;
    for (; is_first && at > 0; at--) {
        handlers[at] = handlers[at - 1];
    }
    handlers[at] = handler;
    return OE_OK;
}

oe_result_t oe_add_vectored_exception_handler(bool is_first_handler,
                                              oe_vectored_exception_handler_t vectored_handler)
{
    OE_ENSURE(vectored_handler && cella_enclave_inside((const void *)vectored_handler, 8),
              OE_INVALID_PARAMETER);
    cella_lock_take(&handler_lock);
    const oe_result_t result = handler_add(is_first_handler, vectored_handler);
    cella_lock_give(&handler_lock);
    return result;
}

oe_result_t oe_remove_vectored_exception_handler(oe_vectored_exception_handler_t vectored_handler)
{
    oe_result_t result = OE_FAILURE;
    OE_ENSURE(vectored_handler && cella_enclave_inside((const void *)vectored_handler, 8),
              OE_INVALID_PARAMETER);
    cella_lock_take(&handler_lock);
    for (uint32_t i = 0; i < handler_count; i++) {
        if (handlers[i] == vectored_handler) {
            for (handler_count--; i < handler_count; i++) {
                handlers[i] = handlers[i + 1];
            }
            result = OE_OK;
        }
    }
    cella_lock_give(&handler_lock);
    return result;
}
