/*
 * The log inside the enclave, and oe_host_printf.
 * Side: enclave. Called by the skin and by applications. Linked to the host when the EDL imports logging.edl.
 * Never holds a secret: the skin logs codes and names only.
 */
#include <stdio.h>
#include <string.h>

#include <openenclave/tracee.h>

#include "compat/openenclave/enclave/skin.h"
#include "enclave/kernel.h"

#define MESSAGE_MAX 2048

extern const char cella_module_oe_log __attribute__((weak));

static struct cella_lock log_lock;
static oe_enclave_log_callback_t log_callback;
static void *log_context;
static _Atomic uint32_t log_level = OE_LOG_LEVEL_MAX; /* MAX: not asked for yet */

static uint32_t level_now(void)
{
    uint32_t level = atomic_load(&log_level);
    if (level == OE_LOG_LEVEL_MAX) {
        level = (uint32_t)oe_environment_number(OE_ENVIRONMENT_LOG_LEVEL, 10, OE_LOG_LEVEL_ERROR);
        level = level < OE_LOG_LEVEL_MAX ? level : OE_LOG_LEVEL_ERROR;
        atomic_store(&log_level, level);
    }
    return level;
}

oe_result_t oe_enclave_log_set_callback(void *context, oe_enclave_log_callback_t callback)
{
    cella_lock_take(&log_lock);
    log_context = context;
    log_callback = callback;
    cella_lock_give(&log_lock);
    return OE_OK;
}

static oe_result_t log_send(uint32_t level, const char *text, size_t size)
{
    struct {
        uint64_t level;
        char text[MESSAGE_MAX];
    } message;
    OE_ENSURE(&cella_module_oe_log != NULL, OE_UNSUPPORTED);
    message.level = level;
    memcpy(message.text, text, size);
    return oe_result_of(
        cella_system_ocall(OE_OCALL_LOG, &message, sizeof(message.level) + size, NULL, 0, NULL));
}

oe_result_t oe_log(oe_log_level_t level, const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list list;
    if ((uint32_t)level > level_now()) {
        return OE_OK;
    }
    va_start(list, format);
    const int size = vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    OE_ENSURE(size >= 0, OE_FAILURE);
    cella_lock_take(&log_lock);
    oe_enclave_log_callback_t callback = log_callback;
    void *context = log_context;
    cella_lock_give(&log_lock);
    if (callback) {
        callback(context, level, cella_td_self()->tid, text);
        return OE_OK;
    }
    return log_send((uint32_t)level, text,
                    (size_t)size < sizeof(text) ? (size_t)size : sizeof(text) - 1);
}

oe_log_level_t oe_get_current_logging_level(void);
oe_log_level_t oe_get_current_logging_level(void)
{
    return (oe_log_level_t)level_now();
}

/* The host's oe_set_enclave_log_level. */
static cella_result serve_level(const void *in, size_t in_size, void *out, size_t out_capacity,
                                size_t *ret_size)
{
    uint32_t level;
    struct oe_answer answer = {0};
    CELLA_ENSURE(in_size == sizeof(level) && out_capacity >= sizeof(answer), TRUNCATED);
    memcpy(&level, in, sizeof(level));
    answer.result = level < OE_LOG_LEVEL_MAX ? OE_OK : OE_INVALID_PARAMETER;
    if (level < OE_LOG_LEVEL_MAX) {
        atomic_store(&log_level, level);
    }
    memcpy(out, &answer, sizeof(answer));
    *ret_size = sizeof(answer);
    return CELLA_OK;
}

static const struct cella_system_ecall level_ecall = {
    .number = OE_ECALL_LOG_LEVEL,
    .ecall = {
        .function = serve_level, .in_max = sizeof(uint32_t), .out_max = sizeof(struct oe_answer)}};
CELLA_SYSTEM_ECALL(level_ecall);
