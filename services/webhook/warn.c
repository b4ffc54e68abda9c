/*
 * Warnings: misspelt resource names, and amounts in the wrong unit.
 * Side: services. Called by mutate.c. Never refuses.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "services/webhook/webhook.h"

#define NAME_MAX_SIZE 128u
#define PAGE 4096u

void warn(struct mutation *mutation, const char *format, ...)
{
    char text[WARNING_SIZE];
    va_list arguments;
    if (json_array_size(mutation->warnings) >= WARNINGS_MAX) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    json_t *warning = json_string(text);
    if (!warning) { /* cut within a character */
        for (char *at = text; *at; at++) {
            *at = (unsigned char)*at < 0x80 ? *at : '?';
        }
        warning = json_string(text);
    }
    for (size_t i = 0; i < json_array_size(mutation->warnings); i++) {
        if (json_equal(json_array_get(mutation->warnings, i), warning)) {
            json_decref(warning);
            return; /* limits and requests say the same */
        }
    }
    json_array_append_new(mutation->warnings, warning);
}

/* ------------------------------------------------------------------- names */

/* Letters to insert, drop or replace, regardless of case. Both shorter than NAME_MAX_SIZE. */
static unsigned distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    unsigned row[NAME_MAX_SIZE + 1];
    for (unsigned j = 0; j <= b_size; j++) {
        row[j] = j;
    }
    for (unsigned i = 1; i <= a_size; i++) {
        unsigned corner = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b_size; j++) {
            const bool same = strncasecmp(&a[i - 1], &b[j - 1], 1) == 0;
            unsigned best = corner + !same;
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            corner = row[j];
            row[j] = best;
        }
    }
    return row[b_size];
}

/* Resources of Intel's plugin that this one does not offer. */
static bool is_known_elsewhere(const char *name)
{
    static const char *const names[] = {"sgx.intel.com/qe", "sgx.intel.com/registration"};
    for (size_t i = 0; i < CELLA_COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* How far `name` is from the one of `resource`; a right domain or a right second part weighs more than letters. */
static unsigned distance_to(const char *name, const struct enclave_resource *resource)
{
    const char *slash = strchr(name, '/');
    const char *right = strchr(resource->name, '/');
    const size_t domain = slash ? (size_t)(slash - name) : 0;
    const char *last = slash ? slash + 1 : name;
    const size_t right_domain = (size_t)(right - resource->name);
    const unsigned domains = distance(name, domain, resource->name, right_domain);
    const unsigned lasts = strcasestr(last, right + 1)
                               ? 0
                               : distance(last, strlen(last), right + 1, strlen(right + 1));
    return (domains ? 16 + domains : 0) + (lasts ? 16 + lasts : 0);
}

const struct enclave_resource *name_meant(const char *name)
{
    const struct enclave_resource *best = NULL;
    unsigned least = 0;
    if (strlen(name) >= NAME_MAX_SIZE || enclave_resource_find(name) || is_known_elsewhere(name)) {
        return NULL;
    }
    for (size_t i = 0; i < ENCLAVE_RESOURCES; i++) {
        const unsigned far = distance_to(name, &enclave_resources[i]);
        if (!best || far < least) {
            best = &enclave_resources[i];
            least = far;
        }
    }
    const bool speaks_of_it =
        strcasestr(name, "sgx") || strcasestr(name, "epc") || strcasestr(name, "enclave");
    return speaks_of_it || least <= 16 + 2 ? best : NULL;
}

/* ------------------------------------------------------------------- amounts */

void warn_resource(struct mutation *mutation, const char *container, const char *name,
                   const json_t *quantity)
{
    const struct enclave_resource *known = enclave_resource_find(name);
    uint64_t amount = 0;
    if (known) {
        if (known->unit == RESOURCE_BYTES && quantity_parse(quantity, &amount) && amount > 0 &&
            amount < PAGE) {
            warn(mutation,
                 "container \"%.63s\": %s is in bytes, and %llu is less than a page: is it %lluMi?",
                 container, name, (unsigned long long)amount, (unsigned long long)amount);
        } else if (known->unit == RESOURCE_MIB && quantity_parse(quantity, &amount) &&
                   amount >= 1u << 20) {
            warn(mutation, "container \"%.63s\": %s is in MiB, and %llu is more than any node has",
                 container, name, (unsigned long long)amount);
        }
        return;
    }
    const struct enclave_resource *meant =
        mutation->unknown_names++ < UNKNOWN_NAMES_MAX ? name_meant(name) : NULL;
    if (meant) {
        warn(mutation, "container \"%.63s\": no node offers \"%.80s\"; the name is \"%s\"%s",
             container, name, meant->name,
             meant->unit == RESOURCE_BYTES ? ", in bytes (10Mi)"
             : meant->unit == RESOURCE_MIB ? ", in MiB (10)"
                                           : "");
    }
}
