/*
 * Values of the options of cella k8s manifest, by Kubernetes' own rules for names, so that what is wrong is said here and not
 * by a cluster later.
 * Side: tools. Called by cli/cmd_k8s.c. manifest.h is the manual; keeps no pointer but into the options' texts.
 * Sources: RFC 1123, RFC 6335; apimachinery's util/validation and api/resource; distribution's reference grammar.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/manifest.h"
#include "common/cleanup.h"

#define QUALIFIED_NAME_MAX 63u
#define DOMAIN_MAX 253u
#define REFERENCE_MAX 400u
#define COMMAND_WORDS_MAX 64u

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_letter(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

/* A DNS label that starts with a letter: good for every kind of object, Services among them. */
bool manifest_name_parse(const char *text, char ret_name[MANIFEST_LABEL_SIZE])
{
    const size_t size = strlen(text);
    if (size == 0 || size >= MANIFEST_LABEL_SIZE || !is_lower(text[0]) || text[size - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (!is_lower(text[i]) && !is_digit(text[i]) && text[i] != '-') {
            return false;
        }
    }
    memcpy(ret_name, text, size + 1);
    return true;
}

/* Labels between points. */
static bool domain_is_good(const char *text, size_t size)
{
    if (size == 0 || size > DOMAIN_MAX) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        const bool edge = i == 0 || i + 1 == size || text[i - 1] == '.' || text[i + 1] == '.';
        if (!is_lower(text[i]) && !is_digit(text[i]) &&
            (edge || (text[i] != '-' && text[i] != '.'))) {
            return false;
        }
    }
    return true;
}

/* Letters, digits, and between them '-', '_' and '.'. */
static bool word_is_good(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const bool edge = i == 0 || i + 1 == size;
        if (!is_letter(text[i]) && !is_digit(text[i]) &&
            (edge || (text[i] != '-' && text[i] != '_' && text[i] != '.'))) {
            return false;
        }
    }
    return size <= QUALIFIED_NAME_MAX;
}

/* The key of a label or a taint: [DOMAIN/]NAME. */
static bool key_parse(const char *text, size_t size, char ret_key[256])
{
    const char *slash = memchr(text, '/', size);
    const size_t domain = slash ? (size_t)(slash - text) : 0;
    const size_t name = slash ? domain + 1 : 0;
    if (size == name || size >= 256 || (slash && !domain_is_good(text, domain)) ||
        !word_is_good(text + name, size - name)) {
        return false;
    }
    memcpy(ret_key, text, size);
    ret_key[size] = '\0';
    return true;
}

/* ------------------------------------------------------------------------- images, amounts */

static bool digest_is_good(const char *text)
{
    return strncmp(text, "sha256:", 7) == 0 && strlen(text + 7) == 64 &&
           strspn(text + 7, "0123456789abcdef") == 64;
}

/* One part of a repository's path: no separator at an end. */
static bool part_is_good(const char *text, size_t size, bool host)
{
    for (size_t i = 0; i < size; i++) {
        const bool edge = i == 0 || i + 1 == size;
        const bool separator = text[i] == '.' || text[i] == '_' || text[i] == '-';
        if (!is_lower(text[i]) && !is_digit(text[i]) && !(separator && !edge) &&
            !(host && (is_letter(text[i]) || text[i] == ':'))) {
            return false;
        }
    }
    return size > 0;
}

static bool tag_is_good(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!is_letter(text[i]) && !is_digit(text[i]) && text[i] != '_' &&
            (i == 0 || (text[i] != '.' && text[i] != '-'))) {
            return false;
        }
    }
    return size > 0 && size <= 128;
}

/* [HOST[:PORT]/]PATH[:TAG][@sha256:HEX] */
bool manifest_image_is_good(const char *reference)
{
    const char *at = strchr(reference, '@');
    size_t size = at ? (size_t)(at - reference) : strlen(reference);
    if (size > REFERENCE_MAX || (at && !digest_is_good(at + 1))) {
        return false;
    }
    const char *slash = memrchr(reference, '/', size);
    const char *last = slash ? slash + 1 : reference;
    const char *colon = memchr(last, ':', size - (size_t)(last - reference));
    if (colon) {
        if (!tag_is_good(colon + 1, size - (size_t)(colon + 1 - reference))) {
            return false;
        }
        size = (size_t)(colon - reference);
    }
    const char *end = reference + size;
    for (const char *part = reference;;) {
        const char *next = memchr(part, '/', (size_t)(end - part));
        if (!part_is_good(part, (size_t)((next ? next : end) - part), next && part == reference)) {
            return false;
        }
        if (!next) {
            return true;
        }
        part = next + 1;
    }
}

/* Digits, perhaps with a point, and a suffix of Kubernetes'; not zero. */
bool manifest_quantity_is_good(const char *text)
{
    static const char *const suffixes[] = {"",  "m",  "k",  "M",  "G",  "T",  "P",
                                           "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    const size_t digits = strspn(text, "0123456789.");
    const char *point = memchr(text, '.', digits);
    if (digits == 0 || digits > 18 || !is_digit(text[0]) || !is_digit(text[digits - 1]) ||
        (point && strchr(point + 1, '.')) || strspn(text, "0.") == digits) {
        return false;
    }
    for (size_t i = 0; i < CELLA_COUNT(suffixes); i++) {
        if (strcmp(text + digits, suffixes[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------------- paths */

/* No empty parts, no "." and "..", no colon, which the kubelet's mounts cannot have. */
static bool parts_are_good(const char *text, size_t size)
{
    for (const char *part = text, *end = text + size; part <= end;) {
        const char *next = memchr(part, '/', (size_t)(end - part));
        const size_t length = (size_t)((next ? next : end) - part);
        if (length == 0 || (length == 1 && part[0] == '.') ||
            (length == 2 && memcmp(part, "..", 2) == 0)) {
            return false;
        }
        for (size_t i = 0; i < length; i++) {
            if ((unsigned char)part[i] <= ' ' || part[i] == 0x7f || part[i] == ':') {
                return false;
            }
        }
        if (!next) {
            return true;
        }
        part = next + 1;
    }
    return false;
}

static bool path_parse(const char *text, size_t size, char ret_path[256])
{
    if (size < 2 || size >= 256 || text[0] != '/' || !parts_are_good(text + 1, size - 1)) {
        return false;
    }
    memcpy(ret_path, text, size);
    ret_path[size] = '\0';
    return true;
}

bool manifest_seccomp_is_good(const char *path)
{
    return strlen(path) < 256 && path[0] != '/' && parts_are_good(path, strlen(path));
}

/* ------------------------------------------------------------------------- ports, volumes, probes */

static bool port_number_parse(const char *text, size_t size, uint16_t *ret_port)
{
    unsigned long value = 0;
    if (size == 0 || size > 5) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (!is_digit(text[i])) {
            return false;
        }
        value = value * 10 + (unsigned long)(text[i] - '0');
    }
    *ret_port = (uint16_t)value;
    return value > 0 && value <= UINT16_MAX;
}

/* RFC 6335: lower case letters, digits, single '-' between them, a letter among them, at most 15. */
static bool port_name_parse(const char *text, size_t size, char ret_name[16])
{
    bool letter = false;
    if (size == 0 || size > 15) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        const bool hyphen = text[i] == '-' && i > 0 && i + 1 < size && text[i - 1] != '-';
        letter = letter || is_lower(text[i]);
        if (!is_lower(text[i]) && !is_digit(text[i]) && !hyphen) {
            return false;
        }
    }
    memcpy(ret_name, text, size);
    ret_name[size] = '\0';
    return letter;
}

/* [NAME=]PORT[:TARGET] */
bool manifest_port_parse(const char *text, struct manifest_port *ret_port)
{
    const char *equals = strchr(text, '=');
    const char *number = equals ? equals + 1 : text;
    const char *colon = strchr(number, ':');
    const size_t size = colon ? (size_t)(colon - number) : strlen(number);
    if (!port_number_parse(number, size, &ret_port->port)) {
        return false;
    }
    ret_port->target = ret_port->port;
    if (colon && !port_number_parse(colon + 1, strlen(colon + 1), &ret_port->target)) {
        return false;
    }
    if (equals) {
        return port_name_parse(text, (size_t)(equals - text), ret_port->name);
    }
    memcpy(ret_port->name, "port-", 5);
    memcpy(ret_port->name + 5, number, size);
    ret_port->name[5 + size] = '\0';
    return true;
}

/* What is behind the path: ":ro", ":SIZE", both in any order, or nothing. */
static bool volume_options_parse(const char *text, struct manifest_volume *volume)
{
    while (*text) {
        const size_t size = strcspn(text + 1, ":");
        char word[24];
        if (size == 0 || size >= sizeof(word)) {
            return false;
        }
        memcpy(word, text + 1, size);
        word[size] = '\0';
        text += 1 + size;
        if (strcmp(word, "ro") == 0 && volume->kind != MANIFEST_SCRATCH) {
            volume->read_only = true;
        } else if ((volume->kind == MANIFEST_CLAIM || volume->kind == MANIFEST_SCRATCH) &&
                   manifest_quantity_is_good(word)) {
            memcpy(volume->size, word, sizeof(word));
        } else {
            return false;
        }
    }
    return true;
}

/* [KIND/]NAME:/PATH[:ro][:SIZE], or scratch:/PATH[:SIZE] */
bool manifest_volume_parse(const char *text, struct manifest_volume *ret_volume)
{
    static const struct {
        const char *text;
        enum manifest_volume_kind kind;
    } kinds[] = {
        {"claim/", MANIFEST_CLAIM}, {"configmap/", MANIFEST_CONFIG}, {"secret/", MANIFEST_SECRET}};
    const char *colon = strchr(text, ':');
    *ret_volume = (struct manifest_volume){.kind = MANIFEST_CLAIM};
    if (!colon) {
        return false;
    }
    for (size_t i = 0; i < CELLA_COUNT(kinds); i++) {
        if (strncmp(text, kinds[i].text, strlen(kinds[i].text)) == 0) {
            ret_volume->kind = kinds[i].kind;
            text += strlen(kinds[i].text);
            break;
        }
    }
    char name[MANIFEST_LABEL_SIZE];
    const size_t size = (size_t)(colon - text);
    if (size >= sizeof(name)) {
        return false;
    }
    memcpy(name, text, size);
    name[size] = '\0';
    if (strcmp(name, "scratch") == 0) {
        ret_volume->kind = MANIFEST_SCRATCH;
    }
    const size_t path = strcspn(colon + 1, ":");
    return manifest_name_parse(name, ret_volume->name) &&
           path_parse(colon + 1, path, ret_volume->path) &&
           volume_options_parse(colon + 1 + path, ret_volume);
}

/* Words between blanks, or a JSON array of strings. */
static json_t *command_parse(const char *text)
{
    json_t *words = text[0] == '[' ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : json_array();
    while (words && text[0] != '[' && *text) {
        text += strspn(text, " ");
        const size_t size = strcspn(text, " ");
        if (size > 0) {
            json_array_append_new(words, json_stringn(text, size)); /* fails on what is no UTF-8 */
        }
        text += size;
    }
    bool good = json_array_size(words) > 0 && json_array_size(words) <= COMMAND_WORDS_MAX;
    for (size_t i = 0; i < json_array_size(words); i++) {
        good = good && json_is_string(json_array_get(words, i));
    }
    if (!good) {
        json_decref(words);
        return NULL;
    }
    return words;
}

/* http:/PATH:PORT, https:/PATH:PORT, tcp:PORT, grpc:PORT, exec:COMMAND */
bool manifest_probe_parse(const char *text, struct manifest_probe *ret_probe)
{
    static const char *const kinds[] = {"", "http:", "https:", "tcp:", "grpc:", "exec:"};
    *ret_probe = (struct manifest_probe){0};
    for (size_t i = 1; i < CELLA_COUNT(kinds); i++) {
        if (strncmp(text, kinds[i], strlen(kinds[i])) == 0) {
            ret_probe->kind = (enum manifest_probe_kind)i;
            text += strlen(kinds[i]);
            break;
        }
    }
    switch (ret_probe->kind) {
    case MANIFEST_PROBE_NONE:
        return false;
    case MANIFEST_PROBE_EXEC:
        ret_probe->command = command_parse(text);
        return ret_probe->command != NULL;
    case MANIFEST_PROBE_TCP:
    case MANIFEST_PROBE_GRPC:
        return port_number_parse(text, strlen(text), &ret_probe->port);
    default:
        break;
    }
    const char *colon = strrchr(text, ':');
    const size_t size = colon ? (size_t)(colon - text) : 0;
    if (!colon || size == 0 || size >= sizeof(ret_probe->path) || text[0] != '/') {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (text[i] <= ' ' || text[i] == 0x7f) { /* what is no ASCII is negative */
            return false;
        }
        ret_probe->path[i] = text[i];
    }
    return port_number_parse(colon + 1, strlen(colon + 1), &ret_probe->port);
}

/* ------------------------------------------------------------------------- pairs */

/* NAME=VALUE; the name as C and shells have it, and with '-' and '.'. */
bool manifest_variable_parse(const char *text, struct manifest_pair *ret_variable)
{
    const char *equals = strchr(text, '=');
    const size_t size = equals ? (size_t)(equals - text) : 0;
    *ret_variable = (struct manifest_pair){0};
    if (size == 0 || size >= sizeof(ret_variable->key) || is_digit(text[0])) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (!is_letter(text[i]) && !is_digit(text[i]) && text[i] != '_' && text[i] != '-' &&
            text[i] != '.') {
            return false;
        }
        ret_variable->key[i] = text[i];
    }
    ret_variable->value = equals + 1;
    ret_variable->value_size = strlen(equals + 1);
    json_t *value = json_stringn(ret_variable->value, ret_variable->value_size);
    json_decref(value);
    return value != NULL; /* UTF-8 */
}

static bool pair_parse(const char *text, size_t size, bool needs_value,
                       struct manifest_pair *ret_pair)
{
    const char *equals = memchr(text, '=', size);
    const size_t key = equals ? (size_t)(equals - text) : size;
    if ((!equals && needs_value) || !key_parse(text, key, ret_pair->key)) {
        return false;
    }
    if (equals) {
        ret_pair->value = equals + 1;
        ret_pair->value_size = size - key - 1;
    }
    return !equals || word_is_good(ret_pair->value, ret_pair->value_size);
}

/* KEY[=VALUE][:EFFECT] */
bool manifest_toleration_parse(const char *text, struct manifest_pair *ret_toleration)
{
    static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute"};
    const char *colon = strchr(text, ':');
    *ret_toleration = (struct manifest_pair){0};
    for (size_t i = 0; colon && i < CELLA_COUNT(effects); i++) {
        if (strcmp(colon + 1, effects[i]) == 0) {
            ret_toleration->effect = effects[i];
        }
    }
    return !colon == !ret_toleration->effect &&
           pair_parse(text, colon ? (size_t)(colon - text) : strlen(text), false, ret_toleration);
}

/* KEY=VALUE */
bool manifest_node_label_parse(const char *text, struct manifest_pair *ret_label)
{
    *ret_label = (struct manifest_pair){0};
    return pair_parse(text, strlen(text), true, ret_label);
}
