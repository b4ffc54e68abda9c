/*
 * sgx_trts_exception.h: the application's handlers, asked by one handler of the core's.
 * Side: enclave. Called by applications and by enclave/exception.c.
 * Never keeps a lock while a handler runs.
 */
#include "sgx_trts_exception.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cella/enclave.h"
#include "compat/intel/trusted/core.h"
#include "sgx_spinlock.h"
#include "sgx_trts.h"

#define HANDLER_MAX 64u

/* A registration's name is its node, whose address the application gets back. */
struct node {
    sgx_exception_handler_t handler;
};

static struct node *g_order[HANDLER_MAX];
static unsigned g_count;
static sgx_spinlock_t g_lock = SGX_SPINLOCK_INITIALIZER;

static void context_from(sgx_cpu_context_t *context, const struct cella_registers *registers)
{
    *context = (sgx_cpu_context_t){
        .rax = registers->rax,
        .rcx = registers->rcx,
        .rdx = registers->rdx,
        .rbx = registers->rbx,
        .rsp = registers->rsp,
        .rbp = registers->rbp,
        .rsi = registers->rsi,
        .rdi = registers->rdi,
        .r8 = registers->r8,
        .r9 = registers->r9,
        .r10 = registers->r10,
        .r11 = registers->r11,
        .r12 = registers->r12,
        .r13 = registers->r13,
        .r14 = registers->r14,
        .r15 = registers->r15,
        .rflags = registers->rflags,
        .rip = registers->rip,
    };
}

static void context_to(struct cella_registers *registers, const sgx_cpu_context_t *context)
{
    *registers = (struct cella_registers){
        .r15 = context->r15,
        .r14 = context->r14,
        .r13 = context->r13,
        .r12 = context->r12,
        .rbp = context->rbp,
        .rbx = context->rbx,
        .r11 = context->r11,
        .r10 = context->r10,
        .r9 = context->r9,
        .r8 = context->r8,
        .rcx = context->rcx,
        .rdx = context->rdx,
        .rsi = context->rsi,
        .rdi = context->rdi,
        .rax = context->rax,
        .rflags = context->rflags,
        .rip = context->rip,
        .rsp = context->rsp,
    };
}

/* The XSAVE area (SDM Vol. 1, 13.4): legacy region, header, then the extended components. It fits a page of an SSA frame. */
#define XSAVE_MAX 4096u
#define XSAVE_HEADER_AT 512u
#define XSAVE_HEADER_SIZE 64u
#define XSAVE_X87_AND_SSE 3u

struct information {
    sgx_exception_info_t info;
    uint8_t xsave[XSAVE_MAX]; /* where info.xsave_area is */
};
_Static_assert(sizeof(sgx_exception_info_t) == offsetof(struct information, xsave), "xsave_area");

static void vectors_from(sgx_exception_info_t *info, const struct cella_exception *exception)
{
    size_t size;
    const void *area = intel_core_xsave(exception, &size);
    if (size <= XSAVE_MAX) {
        memcpy(info->xsave_area, area, size);
        info->xsave_size = size;
    }
}

/* All but the header, which XRSTOR looks at: what a handler writes there must not end the enclave. */
static void vectors_to(const struct cella_exception *exception, const sgx_exception_info_t *info)
{
    size_t size;
    uint8_t *area = intel_core_xsave(exception, &size);
    const size_t rest = XSAVE_HEADER_AT + XSAVE_HEADER_SIZE;
    if (size > XSAVE_MAX || memcmp(area, info->xsave_area, size) == 0) {
        return;
    }
    memcpy(area, info->xsave_area, XSAVE_HEADER_AT);
    memcpy(area + rest, info->xsave_area + rest, size - rest);
    area[XSAVE_HEADER_AT] |= XSAVE_X87_AND_SSE;
}

/* The list as it is now: handlers may change it. */
static unsigned handlers_copy(sgx_exception_handler_t copy[HANDLER_MAX])
{
    sgx_spin_lock(&g_lock);
    const unsigned count = g_count;
    for (unsigned i = 0; i < count; i++) {
        copy[i] = g_order[i]->handler;
    }
    sgx_spin_unlock(&g_lock);
    return count;
}

static enum cella_exception_verdict ask(struct cella_exception *exception)
{
    sgx_exception_handler_t handlers[HANDLER_MAX];
    const unsigned count = handlers_copy(handlers);
    struct information information;
    sgx_exception_info_t *info = &information.info;
    memset(info, 0, sizeof(*info));
    context_from(&info->cpu_context, exception->registers);
    vectors_from(info, exception);
    info->exception_vector = (sgx_exception_vector_t)exception->vector;
    info->exception_type = exception->vector == SGX_EXCEPTION_VECTOR_BP ? SGX_EXCEPTION_SOFTWARE
                                                                        : SGX_EXCEPTION_HARDWARE;
    info->exinfo.faulting_address = exception->address;
    info->exinfo.error_code = exception->error;
    info->exception_valid = 1;
    for (unsigned i = 0; i < count; i++) {
        if (handlers[i](info) == EXCEPTION_CONTINUE_EXECUTION) {
            context_to(exception->registers, &info->cpu_context);
            vectors_to(exception, info);
            return CELLA_EXCEPTION_CONTINUE;
        }
    }
    return CELLA_EXCEPTION_NOT_MINE;
}

/* The core asks us from the first registration on. false: it has too many handlers of its own. */
static int ensure_asked(void)
{
    static sgx_spinlock_t lock = SGX_SPINLOCK_INITIALIZER;
    static int asked;
    sgx_spin_lock(&lock);
    if (!asked) {
        asked = cella_is_ok(cella_exception_add(ask, 0));
    }
    const int result = asked;
    sgx_spin_unlock(&lock);
    return result;
}

void *sgx_register_exception_handler(int is_first_handler,
                                     sgx_exception_handler_t exception_handler)
{
    if (!exception_handler || !sgx_is_within_enclave((const void *)exception_handler, 0) ||
        !ensure_asked()) {
        return NULL;
    }
    struct node *node = malloc(sizeof(*node));
    if (!node) {
        return NULL;
    }
    node->handler = exception_handler;
    sgx_spin_lock(&g_lock);
    if (g_count == HANDLER_MAX) {
        sgx_spin_unlock(&g_lock);
        free(node);
        return NULL;
    }
    const unsigned at = is_first_handler ? 0 : g_count;
    memmove(g_order + at + 1, g_order + at, (g_count - at) * sizeof(g_order[0]));
    g_order[at] = node;
    g_count++;
    sgx_spin_unlock(&g_lock);
    return node;
}

int sgx_unregister_exception_handler(void *handler)
{
    int found = 0;
    if (!handler) {
        return 0;
    }
    sgx_spin_lock(&g_lock);
    for (unsigned i = 0; i < g_count && !found; i++) {
        if (g_order[i] == handler) {
            g_count--;
            memmove(g_order + i, g_order + i + 1, (g_count - i) * sizeof(g_order[0]));
            found = 1;
        }
    }
    sgx_spin_unlock(&g_lock);
    if (found) {
        free(handler);
    }
    return found;
}
