/*
 * Enclaves and modules find each other by the names of their functions.
 * Side: host. Called by bridge.c, by skins (cella_enclave_bind) and by enclave.c at the end.
 * Never holds the lock during an ecall; the hot path reads one list head.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/bridge.h"
#include "host/host.h"

#define NAMES_FIRST 16384u
#define NAMES_MAX (1u << 26)

/* One module's view of one enclave. */
struct binding {
    struct binding *next;
    const struct cella_bridge_name *ecalls; /* which module */
    uint32_t numbers[];
};

struct cella_bindings {
    _Atomic(struct binding *) first;
    uint32_t ecall_count, ocall_count;
    char *names; /* zero-terminated; ecalls first */
    const char **ecalls, **ocalls;
    cella_ocall_function *functions; /* by the enclave's numbers */
};

static cella_result ocall_missing(void *context, const void *in, size_t in_size, void *out,
                                  size_t out_capacity, size_t *ret_size)
{
    (void)context;
    (void)in;
    (void)in_size;
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    return CELLA_RESULT(NOT_FOUND);
}

static void bindings_free(struct cella_bindings *bindings)
{
    if (!bindings) {
        return;
    }
    struct binding *next;
    for (struct binding *binding = atomic_load(&bindings->first); binding; binding = next) {
        next = binding->next;
        free(binding);
    }
    free(bindings->names);
    free(bindings->ecalls);
    free(bindings->ocalls);
    free(bindings->functions);
    free(bindings);
}

void cella_bindings_free(cella_enclave *enclave)
{
    bindings_free(atomic_load(&enclave->bindings));
}

/* Sets `lists` to the starts of `count` strings; NULL when there are not so many. */
static const char *names_split(const char *names, const char *end, const char **list,
                               uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const char *zero = memchr(names, 0, (size_t)(end - names));
        if (!zero) {
            return NULL;
        }
        list[i] = names;
        names = zero + 1;
    }
    return names;
}

static cella_result names_parse(struct cella_bindings *bindings, const uint8_t *answer, size_t size)
{
    struct cella_bridge_names head;
    memcpy(&head, answer, sizeof(head));
    CELLA_ENSURE(head.size == size - sizeof(head) && head.ecall_count <= head.size &&
                     head.ocall_count <= head.size,
                 BAD_FIELD);
    bindings->ecall_count = head.ecall_count;
    bindings->ocall_count = head.ocall_count;
    bindings->names = malloc(head.size + 1);
    bindings->ecalls = calloc(head.ecall_count + 1ul, sizeof(char *));
    bindings->ocalls = calloc(head.ocall_count + 1ul, sizeof(char *));
    bindings->functions = calloc(head.ocall_count + 1ul, sizeof(cella_ocall_function));
    CELLA_ENSURE(bindings->names && bindings->ecalls && bindings->ocalls && bindings->functions,
                 OUT_OF_MEMORY);
    memcpy(bindings->names, answer + sizeof(head), head.size);
    const char *end = bindings->names + head.size;
    const char *at = names_split(bindings->names, end, bindings->ecalls, head.ecall_count);
    at = at ? names_split(at, end, bindings->ocalls, head.ocall_count) : NULL;
    CELLA_ENSURE(at == end, BAD_FIELD);
    for (uint32_t i = 0; i < head.ocall_count; i++) {
        bindings->functions[i] = ocall_missing;
    }
    return CELLA_OK;
}

/* Asks with a bigger buffer when the names do not fit. */
static cella_result names_ask(cella_enclave *enclave, uint8_t **ret_answer, size_t *ret_size)
{
    size_t capacity = NAMES_FIRST;
    for (;;) {
        size_t got = 0;
        struct cella_bridge_names head;
        uint8_t *answer = malloc(capacity);
        CELLA_ENSURE(answer != NULL, OUT_OF_MEMORY);
        cella_result result = cella_ecall(enclave, 0, NULL, 0, answer, capacity, &got);
        *ret_answer = answer;
        *ret_size = got;
        CELLA_TRY(result);
        CELLA_ENSURE(got >= sizeof(head), BAD_MAGIC);
        memcpy(&head, answer, sizeof(head));
        CELLA_ENSURE(head.magic == CELLA_BRIDGE_MAGIC, BAD_MAGIC);
        if (head.size <= got - sizeof(head)) {
            return CELLA_OK;
        }
        CELLA_ENSURE(head.size <= NAMES_MAX && capacity == NAMES_FIRST, BAD_FIELD);
        capacity = sizeof(head) + head.size;
        free(answer);
        *ret_answer = NULL;
    }
}

static cella_result bindings_new(const uint8_t *answer, size_t size,
                                 struct cella_bindings **ret_bindings)
{
    struct cella_bindings *bindings = calloc(1, sizeof(*bindings));
    CELLA_ENSURE(bindings != NULL, OUT_OF_MEMORY);
    const cella_result result = names_parse(bindings, answer, size);
    if (!cella_is_ok(result)) {
        bindings_free(bindings);
        return result;
    }
    *ret_bindings = bindings;
    return CELLA_OK;
}

static cella_result bindings_make(cella_enclave *enclave, struct cella_bindings **ret_bindings)
{
    uint8_t *answer = NULL;
    size_t size = 0;
    cella_result result = names_ask(enclave, &answer, &size);
    if (cella_is_ok(result)) {
        result = bindings_new(answer, size, ret_bindings);
    }
    free(answer);
    return result;
}

/* The first one stays; the enclave's ocalls go through it from then on. Gives that one. */
static struct cella_bindings *bindings_install(cella_enclave *enclave,
                                               struct cella_bindings *bindings)
{
    struct cella_bindings *other = NULL;
    pthread_mutex_lock(&enclave->lock);
    if (atomic_compare_exchange_strong(&enclave->bindings, &other, bindings)) {
        enclave->ocalls = bindings->functions;
        __atomic_store_n(&enclave->ocall_count, bindings->ocall_count, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&enclave->lock);
    if (!other) {
        return bindings;
    }
    bindings_free(bindings);
    return other;
}

static cella_result bindings_get(cella_enclave *enclave, struct cella_bindings **ret_bindings)
{
    struct cella_bindings *bindings = atomic_load(&enclave->bindings);
    if (!bindings) {
        CELLA_ENSURE(enclave->ocall_count == 0, WRONG_STATE);
        CELLA_TRY(bindings_make(enclave, &bindings));
        bindings = bindings_install(enclave, bindings);
    }
    *ret_bindings = bindings;
    return CELLA_OK;
}

static uint32_t name_find(const char *const *names, uint32_t count, const char *name,
                          uint32_t guess)
{
    if (guess < count && strcmp(names[guess], name) == 0) {
        return guess;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return CELLA_BRIDGE_MISSING;
}

static void ocalls_fill(struct cella_bindings *bindings, const struct cella_bridge_module *module)
{
    for (uint32_t i = 0; i < module->ocall_count; i++) {
        const uint32_t number =
            name_find(bindings->ocalls, bindings->ocall_count, module->ocalls[i].name, i);
        if (number != CELLA_BRIDGE_MISSING && bindings->functions[number] == ocall_missing) {
            __atomic_store_n(&bindings->functions[number], module->ocalls[i].function,
                             __ATOMIC_RELEASE);
        }
    }
}

cella_result cella_bindings_offer(cella_enclave *enclave, const void *answer, size_t size)
{
    struct cella_bridge_names head;
    struct cella_bindings *bindings = NULL;
    CELLA_ENSURE(enclave->starting_module && enclave->ocall_count == 0, WRONG_STATE);
    CELLA_ENSURE(size >= sizeof(head), TRUNCATED);
    memcpy(&head, answer, sizeof(head));
    CELLA_ENSURE(head.magic == CELLA_BRIDGE_MAGIC, BAD_MAGIC);
    CELLA_TRY(bindings_new(answer, size, &bindings));
    bindings = bindings_install(enclave, bindings);
    pthread_mutex_lock(&enclave->lock);
    ocalls_fill(bindings, enclave->starting_module);
    pthread_mutex_unlock(&enclave->lock);
    return CELLA_OK;
}

static const struct binding *binding_find(struct cella_bindings *bindings,
                                          const struct cella_bridge_module *module)
{
    const struct binding *binding =
        bindings ? atomic_load_explicit(&bindings->first, memory_order_acquire) : NULL;
    while (binding && binding->ecalls != module->ecalls) {
        binding = binding->next;
    }
    return binding;
}

static cella_result binding_make(cella_enclave *enclave, const struct cella_bridge_module *module,
                                 const struct binding **ret_binding)
{
    struct cella_bindings *bindings = NULL;
    CELLA_TRY(bindings_get(enclave, &bindings));
    struct binding *binding =
        malloc(sizeof(*binding) + module->ecall_count * sizeof(binding->numbers[0]));
    CELLA_ENSURE(binding != NULL, OUT_OF_MEMORY);
    binding->ecalls = module->ecalls;
    for (uint32_t i = 0; i < module->ecall_count; i++) {
        const uint32_t found =
            name_find(bindings->ecalls, bindings->ecall_count, module->ecalls[i].name, i);
        binding->numbers[i] = found == CELLA_BRIDGE_MISSING ? found : found + 1;
    }
    pthread_mutex_lock(&enclave->lock);
    const struct binding *other = binding_find(bindings, module);
    if (other) {
        free(binding);
    } else {
        ocalls_fill(bindings, module);
        binding->next = atomic_load(&bindings->first);
        atomic_store(&bindings->first, binding);
        other = binding;
    }
    pthread_mutex_unlock(&enclave->lock);
    *ret_binding = other;
    return CELLA_OK;
}

static cella_result binding_get(cella_enclave *enclave, const struct cella_bridge_module *module,
                                const struct binding **ret_binding)
{
    const struct binding *binding =
        binding_find(atomic_load_explicit(&enclave->bindings, memory_order_acquire), module);
    if (!binding) {
        CELLA_TRY(binding_make(enclave, module, &binding));
    }
    *ret_binding = binding;
    return CELLA_OK;
}

cella_result cella_binding_number(cella_enclave *enclave, const struct cella_bridge_module *module,
                                  uint32_t index, uint32_t *ret_number)
{
    const struct binding *binding = NULL;
    CELLA_TRY(binding_get(enclave, module, &binding));
    CELLA_ENSURE(index < module->ecall_count && binding->numbers[index] != CELLA_BRIDGE_MISSING,
                 NOT_FOUND);
    *ret_number = binding->numbers[index];
    return CELLA_OK;
}

cella_result cella_enclave_bind(cella_enclave *enclave, const struct cella_bridge_module *module)
{
    const struct binding *binding = NULL;
    return binding_get(enclave, module, &binding);
}

const char *cella_enclave_missing(cella_enclave *enclave, const struct cella_bridge_module *module)
{
    const struct binding *binding = binding_find(atomic_load(&enclave->bindings), module);
    for (uint32_t i = 0; i < module->ecall_count; i++) {
        if (!binding || binding->numbers[i] == CELLA_BRIDGE_MISSING) {
            return module->ecalls[i].name;
        }
    }
    return NULL;
}

cella_result cella_bridge_create(const char *path, const struct cella_enclave_options *options,
                                 const struct cella_bridge_module *module,
                                 cella_enclave **ret_enclave, struct cella_error *error)
{
    cella_enclave *enclave = NULL;
    if (options && options->ocall_count != 0) {
        return cella_error_set(
            error, CELLA_RESULT(INVALID_ARGUMENT),
            "%s: options.ocalls is for enclaves without an EDL; %s brings its own", path,
            module->name);
    }
    CELLA_TRY(cella_enclave_create(path, options, &enclave, error));
    cella_result result = cella_enclave_bind(enclave, module);
    const char *missing = cella_is_ok(result) ? cella_enclave_missing(enclave, module) : NULL;
    if (missing) {
        result = cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                                 "%s: the enclave has no ecall '%s' of %s.edl", path, missing,
                                 module->name);
    } else if (!cella_is_ok(result)) {
        cella_ignore(cella_error_set(error, result, "%s: its ecalls have no names: %s", path,
                                     cella_result_text(result)));
    }
    if (!cella_is_ok(result)) {
        cella_enclave_destroy(enclave);
        return result;
    }
    *ret_enclave = enclave;
    return CELLA_OK;
}
