/*
 * What the host of a program serves beside the host library. program_service.h is the manual.
 * Side: tools. Called on the threads of the enclave. Nothing of what is given is trusted inside but signatures.
 */
#include "cli/program_service.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "abi/call.h"
#include "abi/program.h"
#include "cella/collateral.h"
#include "cli/marble_host.h"

#define SAID_LINES 3u
#define SAID_SIZE 128u

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static char g_said[SAID_LINES][SAID_SIZE];
static unsigned g_said_count;

/* All but system calls, which a trace has begin with "t ". */
static void remember(const char *line, size_t size)
{
    if (size == 0 || (size > 1 && line[0] == 't' && line[1] == ' ')) {
        return;
    }
    pthread_mutex_lock(&g_lock);
    char *to = g_said[g_said_count++ % SAID_LINES];
    size = size < SAID_SIZE - 1 ? size : SAID_SIZE - 1;
    for (size_t i = 0; i < size; i++) {
        to[i] = line[i] >= ' ' && line[i] < 127 ? line[i] : '?';
    }
    to[size] = 0;
    pthread_mutex_unlock(&g_lock);
}

void program_service_said(char *ret_text, size_t size)
{
    size_t used = 0;
    ret_text[0] = 0;
    pthread_mutex_lock(&g_lock);
    const unsigned first = g_said_count > SAID_LINES ? g_said_count - SAID_LINES : 0;
    for (unsigned i = first; i < g_said_count && used < size; i++) {
        const int added = snprintf(ret_text + used, size - used, "; %s", g_said[i % SAID_LINES]);
        used += added > 0 ? (size_t)added : 0;
    }
    pthread_mutex_unlock(&g_lock);
}

cella_result program_service(void *context, uint32_t number, const void *in, size_t in_size,
                             void *out, size_t out_capacity, size_t *ret_size)
{
    (void)context;
    if (number == CELLA_OCALL_TRACE) {
        remember((const char *)in, in_size);
    }
    if (number == CELLA_OCALL_PROGRAM_MARBLE) {
        return marble_host(in, in_size, out, out_capacity, ret_size);
    }
    if (number != CELLA_OCALL_PROGRAM_COLLATERAL) {
        return CELLA_RESULT(NOT_FOUND);
    }
    return cella_collateral_answer(
        (struct cella_span){.data = (const uint8_t *)in, .size = in_size}, out, out_capacity,
        ret_size, NULL);
}
