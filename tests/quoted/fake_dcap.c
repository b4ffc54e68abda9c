/*
 * A library that stands for Intel's libsgx_dcap_ql.so.1 on SGX hardware: answers with bytes that say who was asked what.
 * Side: tests. Loaded by host/quote_dcap.c from LD_LIBRARY_PATH.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define QUOTE_SIZE 1200u

#ifdef FAKE_MARKED
/* as this project's own library of that name has it */
const char cella_dcap_skin = 1;
#endif

uint32_t sgx_qe_get_target_info(uint8_t *target);
uint32_t sgx_qe_get_quote_size(uint32_t *size);
uint32_t sgx_qe_get_quote(const uint8_t *report, uint32_t size, uint8_t *quote);
uint32_t sgx_ql_get_quote(const uint8_t *report, const uint8_t *key_id, uint8_t *info,
                          uint8_t *quote, uint32_t size);
uint32_t sgx_ql_init_quote(const uint8_t *key_id, uint8_t *target, bool refresh,
                           size_t *public_key_id_size, uint8_t *public_key_id);

uint32_t sgx_qe_get_target_info(uint8_t *target)
{
    memset(target, 0xA1, 512);
    return 0;
}

uint32_t sgx_qe_get_quote_size(uint32_t *size)
{
    *size = QUOTE_SIZE;
    return 0;
}

/* A report whose MAC starts with 0xEE is refused, one with 0xDD fails otherwise. */
static uint32_t refusal(const uint8_t *report)
{
    return report[416] == 0xEE ? 0xE015 : report[416] == 0xDD ? 0xE019 : 0;
}

uint32_t sgx_qe_get_quote(const uint8_t *report, uint32_t size, uint8_t *quote)
{
    if (size != QUOTE_SIZE) {
        return 0xE002;
    }
    memset(quote, 0xB2, size);
    return refusal(report);
}

uint32_t sgx_ql_get_quote(const uint8_t *report, const uint8_t *key_id, uint8_t *info,
                          uint8_t *quote, uint32_t size)
{
    if (size != QUOTE_SIZE || key_id[154] != 2) {
        return 0xE002;
    }
    memset(quote, 0xC3, size);
    memset(info + 528, 0xC4, 432);
    return refusal(report);
}

uint32_t sgx_ql_init_quote(const uint8_t *key_id, uint8_t *target, bool refresh,
                           size_t *public_key_id_size, uint8_t *public_key_id)
{
    if (key_id[154] != 2 || refresh || *public_key_id_size != 32) {
        return 0xE002;
    }
    memset(target, 0xA1, 512);
    memset(public_key_id, 0xD5, 32);
    return 0;
}
