/*
 * The resolver module: names and addresses as the host finds them. Opt-in: -u cella_module_resolver.
 * Side: enclave. Called by resolver_names.c. Which address a name has is the host's word: authenticate the peer.
 * Never hands out a record of another family, size, type or protocol than was asked for, nor a name that is no text.
 */
#include "enclave/resolver.h"

#include "abi/service.h"
#include "enclave/libc.h"

#define FAMILY_INET 2u
#define FAMILY_INET6 10u
#define SIZE_INET 16u
#define SIZE_INET6 28u
#define EAI_LOWEST (-12)

extern const char cella_module_resolver;
const char cella_module_resolver = 1;

struct addresses_answer {
    int64_t value;
    struct cella_call_resolved records[CELLA_CALL_RESOLVED_MAX];
    char name[CELLA_CALL_NAME_MAX];
};

static bool text_is_name(const char *text, uint64_t capacity)
{
    for (uint64_t i = 0; i < capacity; i++) {
        if (text[i] == 0) {
            return true;
        }
        if (text[i] <= ' ' || text[i] > '~') {
            return false;
        }
    }
    return false;
}

static bool record_is_sane(const struct cella_call_resolved *record,
                           const struct cella_resolve *resolve)
{
    uint16_t family;
    __builtin_memcpy(&family, record->address, sizeof(family));
    const bool whole = (family == FAMILY_INET && record->size == SIZE_INET) ||
                       (family == FAMILY_INET6 && record->size == SIZE_INET6);
    return whole && (resolve->family == 0 || resolve->family == (int32_t)family) &&
           (resolve->type == 0 || resolve->type == (int32_t)record->type) &&
           (resolve->protocol == 0 || resolve->protocol == (int32_t)record->protocol) &&
           record->type <= 10 && record->protocol <= 255;
}

static long answer_check(const struct addresses_answer *answer, uint64_t size,
                         struct cella_resolve *resolve)
{
    const uint64_t head = sizeof(answer->value);
    if (size < head || answer->value < EAI_LOWEST ||
        answer->value > (int64_t)CELLA_CALL_RESOLVED_MAX || answer->value == 0) {
        return CELLA_EAI_FAIL;
    }
    if (answer->value < 0) {
        return (long)answer->value;
    }
    if (size != sizeof(*answer)) {
        return CELLA_EAI_FAIL;
    }
    for (int64_t i = 0; i < answer->value; i++) {
        if (!record_is_sane(&answer->records[i], resolve)) {
            return CELLA_EAI_FAIL;
        }
        __builtin_memcpy(&resolve->results[i], &answer->records[i], sizeof(answer->records[i]));
    }
    if (!text_is_name(answer->name, sizeof(answer->name))) {
        return CELLA_EAI_FAIL;
    }
    __builtin_memcpy(resolve->name, answer->name, sizeof(answer->name));
    return (long)answer->value;
}

/* The request's texts; 0: too long. */
static uint64_t texts_pack(char *to, const struct cella_resolve *resolve)
{
    const char *const texts[2] = {resolve->node ? resolve->node : "",
                                  resolve->service ? resolve->service : ""};
    uint64_t used = 0;
    for (uint32_t i = 0; i < 2; i++) {
        const uint64_t size = cella_strlen(texts[i]) + 1;
        if (size > CELLA_CALL_NAME_MAX) {
            return 0;
        }
        __builtin_memcpy(to + used, texts[i], size);
        used += size;
    }
    return used;
}

static long addresses(struct cella_resolve *resolve)
{
    struct {
        struct cella_call_request head;
        char texts[2 * CELLA_CALL_NAME_MAX];
        struct addresses_answer answer __attribute__((aligned(8)));
    } *work = cella_pages_new(sizeof(*work));
    if (!work) {
        return CELLA_EAI_MEMORY;
    }
    size_t size = 0;
    const uint64_t used = texts_pack(work->texts, resolve);
    work->head =
        (struct cella_call_request){.operation = CELLA_RESOLVE_ADDRESSES,
                                    .handle = (resolve->node ? 1 : 0) | (resolve->service ? 2 : 0),
                                    .a = resolve->flags,
                                    .b = (int64_t)((uint32_t)resolve->family & 0xFFFF) |
                                         (int64_t)((uint32_t)resolve->type & 0xFFFF) << 16 |
                                         (int64_t)((uint32_t)resolve->protocol & 0xFFFF) << 32};
    long result = CELLA_EAI_NONAME;
    if (used > 0) {
        const cella_result answered =
            cella_system_ocall(CELLA_OCALL_RESOLVE, &work->head, sizeof(work->head) + used,
                               &work->answer, sizeof(work->answer), &size);
        result =
            cella_is_ok(answered) ? answer_check(&work->answer, size, resolve) : CELLA_EAI_FAIL;
    }
    cella_pages_free(work, sizeof(*work));
    return result;
}

static long names(const struct cella_resolve *resolve, char *service)
{
    struct {
        struct cella_call_request head;
        uint8_t address[CELLA_CALL_ADDRESS_MAX];
    } request = {.head = {.operation = CELLA_RESOLVE_NAMES,
                          .handle = -1,
                          .a = resolve->flags,
                          .b = (int64_t)resolve->results[0].size}};
    struct {
        int64_t value;
        char name[CELLA_CALL_NAME_MAX];
        char service[CELLA_CALL_SERVICE_MAX];
    } answer = {0};
    size_t size = 0;
    const uint64_t whole = sizeof(answer.value) + sizeof(answer.name) + sizeof(answer.service);
    __builtin_memcpy(request.address, resolve->results[0].address,
                     sizeof(resolve->results[0].address));
    const cella_result result =
        cella_system_ocall(CELLA_OCALL_RESOLVE, &request, sizeof(request), &answer, whole, &size);
    if (!cella_is_ok(result) || size < 8 || answer.value > 0 || answer.value < EAI_LOWEST) {
        return CELLA_EAI_FAIL;
    }
    if (answer.value != 0) {
        return (long)answer.value;
    }
    if (size != whole || !text_is_name(answer.name, sizeof(answer.name)) ||
        !text_is_name(answer.service, sizeof(answer.service))) {
        return CELLA_EAI_FAIL;
    }
    __builtin_memcpy(resolve->name, answer.name, sizeof(answer.name));
    __builtin_memcpy(service, answer.service, sizeof(answer.service));
    return 0;
}

const struct cella_resolver cella_resolver = {.addresses = addresses, .names = names};
