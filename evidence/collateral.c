/*
 * Sets of collateral: documents known by their content, taken out of bundles.
 * Side: host. Called by cli/ and services. Never judges: what is broken inside a document, the verifier says.
 */
#include "evidence/collateral.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evidence/bytes_util.h"
#include "evidence/der.h"

#define ITEMS_MAX 256u
#define NAME_MAX_SIZE 96u

/* Open Enclave endorsements (oe_endorsements_t): version 1, enclave type, buffer size, number of elements, offsets. */
#define OE_ENDORSEMENTS_HEADER 16u
#define OE_ENDORSEMENTS_MAX 16u

/* Intel's sgx_ql_qve_collateral_t, written to a file with what its seven pointers point to behind it. */
#define QVE_HEADER 120u
#define QVE_PARTS 7u

struct cella_collateral_set {
    struct cella_collateral_item items[ITEMS_MAX];
    size_t count;
};

/* What is being looked into, and what was found. */
struct search {
    struct cella_collateral_set *set;
    size_t found;
    unsigned depth;
};

struct cella_collateral_set *cella_collateral_set_new(void)
{
    return calloc(1, sizeof(struct cella_collateral_set));
}

void cella_collateral_set_free(struct cella_collateral_set *set)
{
    for (size_t i = 0; set && i < set->count; i++) {
        free((void *)(uintptr_t)set->items[i].name);
        free((void *)(uintptr_t)set->items[i].bytes.data);
        free((void *)(uintptr_t)set->items[i].signature.data);
    }
    free(set);
}

static struct cella_span span_copy(struct cella_bytes bytes)
{
    uint8_t *copy = malloc(bytes.size + 1);
    if (!copy) {
        return (struct cella_span){0};
    }
    memcpy(copy, bytes.data, bytes.size);
    copy[bytes.size] = 0;
    return (struct cella_span){.data = copy, .size = bytes.size};
}

/* A member of a bundle: a bare inner object is signed beside it. NULL: what is searched is no member. */
struct member {
    struct ev_json bundle;
    struct cella_bytes key;
};

/* The member "<key>_signature" or "<key>Signature" beside `key`: a bare inner object is signed there. */
static struct cella_bytes signature_find(struct ev_json bundle, struct cella_bytes key)
{
    static const char *const tails[] = {"_signature", "Signature"};
    struct ev_json_iterator items = ev_json_items(bundle);
    struct ev_place place = {0};
    struct cella_bytes other;
    struct cella_bytes text;
    struct ev_json item;
    while (ev_json_next(&items, &other, &item)) {
        for (size_t i = 0; i < 2; i++) {
            bool is_ours = other.size == key.size + strlen(tails[i]) &&
                           ev_equal(ev_part(other, 0, key.size), key) &&
                           ev_is(ev_part(other, key.size, other.size - key.size), tails[i]);
            if (is_ours && cella_is_ok(ev_json_string(item, &place, &text))) {
                return text;
            }
        }
    }
    return (struct cella_bytes){0};
}

/* Only a document that is kept has its signature looked for: a bundle may have any number of members. */
static cella_result item_keep(struct search *search, const char *name, struct cella_bytes bytes,
                              const struct member *member)
{
    struct cella_bytes signature =
        member ? signature_find(member->bundle, member->key) : (struct cella_bytes){0};
    struct cella_collateral_set *set = search->set;
    CELLA_ENSURE(set->count < ITEMS_MAX, LIMIT_EXCEEDED);
    struct cella_collateral_item item = {.name = strdup(name), .bytes = span_copy(bytes)};
    if (signature.size) {
        item.signature = span_copy(signature);
    }
    if (!item.name || !item.bytes.data || (signature.size && !item.signature.data)) {
        free((void *)(uintptr_t)item.name);
        free((void *)(uintptr_t)item.bytes.data);
        free((void *)(uintptr_t)item.signature.data);
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    set->items[set->count++] = item;
    search->found++;
    return CELLA_OK;
}

static cella_result bytes_search(struct search *search, const char *name, struct cella_bytes bytes,
                                 const struct member *member);

static void member_name(char *name, const char *bundle, struct cella_bytes key)
{
    snprintf(name, NAME_MAX_SIZE, "%s%s%.*s", bundle, key.size ? ":" : "",
             (int)(key.size < 64 ? key.size : 64), (const char *)key.data);
}

static cella_result member_search(struct search *search, const char *bundle, struct ev_json json,
                                  struct cella_bytes key, struct ev_json item)
{
    const struct member member = {.bundle = json, .key = key};
    char name[NAME_MAX_SIZE];
    struct unwrapped text;
    member_name(name, bundle, key);
    if (ev_unwrap_numbers(item, &text)) {
        cella_result result =
            bytes_search(search, name, cella_bytes_of(text.data, text.size), NULL);
        free(text.data);
        return result;
    }
    if (item.kind == EV_JSON_OBJECT || item.kind == EV_JSON_ARRAY) {
        return bytes_search(search, name, item.text, &member);
    }
    if (!ev_unwrap_string(item, &text)) {
        return CELLA_OK;
    }
    cella_result result = bytes_search(search, name, cella_bytes_of(text.data, text.size), &member);
    free(text.data);
    return result;
}

static cella_result bundle_search(struct search *search, const char *name, struct ev_json json)
{
    struct ev_json_iterator items = ev_json_items(json);
    struct cella_bytes key;
    struct ev_json item;
    while (ev_json_next(&items, &key, &item)) {
        CELLA_TRY(member_search(search, name, json, key, item));
    }
    return CELLA_OK;
}

/* Strings, and CRLs too, are kept with a terminating zero byte. */
static struct cella_bytes terminator_cut(struct cella_bytes part)
{
    bool has_one = part.size && part.data[part.size - 1] == 0;
    struct ev_place place = {0};
    struct der der = ev_der_of(part, &place);
    struct cella_bytes content;
    struct cella_bytes whole;
    uint8_t tag;
    if (part.size && part.data[0] == DER_SEQUENCE) {
        return cella_is_ok(ev_der_take_any(&der, &tag, &content, &whole)) ? whole : part;
    }
    part.size -= has_one;
    return part;
}

static cella_result endorsements_search(struct search *search, const char *name,
                                        struct cella_bytes bytes, bool *ret_is_ours)
{
    char member[NAME_MAX_SIZE];
    uint64_t count = bytes.size >= OE_ENDORSEMENTS_HEADER ? cella_le_get(bytes.data + 12, 4) : 0;
    *ret_is_ours = count >= 1 && count <= OE_ENDORSEMENTS_MAX && cella_le_get(bytes.data, 4) == 1 &&
                   cella_le_get(bytes.data + 8, 4) == bytes.size - OE_ENDORSEMENTS_HEADER &&
                   bytes.size >= OE_ENDORSEMENTS_HEADER + 4 * count;
    if (!*ret_is_ours) {
        return CELLA_OK;
    }
    struct cella_bytes buffer = ev_part(bytes, OE_ENDORSEMENTS_HEADER + (size_t)(4 * count),
                                        bytes.size - OE_ENDORSEMENTS_HEADER - (size_t)(4 * count));
    for (size_t i = 0; i < count; i++) {
        const uint8_t *offsets = bytes.data + OE_ENDORSEMENTS_HEADER;
        uint64_t start = cella_le_get(offsets + 4 * i, 4);
        uint64_t end = i + 1 < count ? cella_le_get(offsets + 4 * i + 4, 4) : buffer.size;
        struct cella_bytes part;
        if (end < start || !cella_is_ok(cella_bytes_slice(buffer, start, end - start, &part))) {
            continue;
        }
        part = terminator_cut(part);
        snprintf(member, sizeof(member), "%s:%zu", name, i);
        CELLA_TRY(bytes_search(search, member, part, NULL));
    }
    return CELLA_OK;
}

/* version, TEE type, then pointers (of no meaning here) and sizes. */
static cella_result qve_search(struct search *search, const char *name, struct cella_bytes bytes,
                               bool *ret_is_ours)
{
    char member[NAME_MAX_SIZE];
    uint64_t offset = QVE_HEADER;
    *ret_is_ours = false;
    if (bytes.size <= QVE_HEADER) {
        return CELLA_OK;
    }
    uint64_t tee = cella_le_get(bytes.data + 4, 4);
    for (size_t i = 0; i < QVE_PARTS; i++) {
        offset += cella_le_get(bytes.data + 16 + 16 * i, 4);
    }
    *ret_is_ours = offset == bytes.size && (tee == 0 || tee == 0x81);
    offset = QVE_HEADER;
    for (size_t i = 0; *ret_is_ours && i < QVE_PARTS; i++) {
        size_t size = (size_t)cella_le_get(bytes.data + 16 + 16 * i, 4);
        struct cella_bytes part = ev_part(bytes, (size_t)offset, size);
        offset += size;
        part = terminator_cut(part);
        snprintf(member, sizeof(member), "%s:%zu", name, i);
        CELLA_TRY(bytes_search(search, member, part, NULL));
    }
    return CELLA_OK;
}

/* Binary forms of whole sets: certificates show through them, so they come first. */
static cella_result binary_search(struct search *search, const char *name, struct cella_bytes bytes,
                                  bool *ret_is_ours)
{
    CELLA_TRY(endorsements_search(search, name, bytes, ret_is_ours));
    return *ret_is_ours ? CELLA_OK : qve_search(search, name, bytes, ret_is_ours);
}

/* What is no document itself may hold some. */
static cella_result inside_search(struct search *search, const char *name, struct cella_bytes bytes)
{
    struct ev_place place = {0};
    struct unwrapped inner;
    struct ev_json json;
    if (cella_is_ok(ev_json_parse(bytes, &place, &json)) && json.kind <= EV_JSON_ARRAY) {
        return bundle_search(search, name, json);
    }
    bool is_percent = ev_contains(bytes, "-----BEGIN%20");
    if (!(is_percent ? ev_unwrap_percent(bytes, &inner) : ev_unwrap_text(bytes, &inner))) {
        return CELLA_OK;
    }
    cella_result result = bytes_search(search, name, cella_bytes_of(inner.data, inner.size), NULL);
    free(inner.data);
    return result;
}

static cella_result bytes_search(struct search *search, const char *name, struct cella_bytes bytes,
                                 const struct member *member)
{
    bool is_ours = false;
    if (search->depth < UNWRAP_DEPTH_MAX) {
        search->depth++;
        CELLA_TRY(binary_search(search, name, bytes, &is_ours));
        search->depth--;
    }
    if (is_ours) {
        return CELLA_OK;
    }
    enum cella_collateral_kind kind =
        cella_collateral_recognise((struct cella_span){.data = bytes.data, .size = bytes.size});
    if (kind != CELLA_COLLATERAL_UNKNOWN) {
        return item_keep(search, name, bytes, member);
    }
    if (bytes.size == 0 || search->depth == UNWRAP_DEPTH_MAX) {
        return CELLA_OK;
    }
    search->depth++;
    cella_result result = inside_search(search, name, bytes);
    search->depth--;
    return result;
}

cella_result cella_collateral_set_add(struct cella_collateral_set *set, const char *name,
                                      struct cella_span bytes, size_t *ret_count)
{
    struct search search = {.set = set};
    CELLA_ENSURE(bytes.data || !bytes.size, INVALID_ARGUMENT);
    CELLA_TRY(bytes_search(&search, name, cella_bytes_of(bytes.data, bytes.size), NULL));
    if (ret_count) {
        *ret_count = search.found;
    }
    return CELLA_OK;
}

const struct cella_collateral_item *
cella_collateral_set_items(const struct cella_collateral_set *set, size_t *ret_count)
{
    *ret_count = set->count;
    return set->items;
}

size_t cella_collateral_set_prepared_size(const struct cella_collateral_set *set)
{
    size_t size = CELLA_EVIDENCE_PREPARED_SIZE;
    for (size_t i = 0; i < set->count; i++) {
        size += set->items[i].bytes.size;
    }
    return size;
}
