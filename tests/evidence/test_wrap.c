/*
 * Evidence in its wrappings and text forms, collateral in its bundles; the readers of time, hexadecimal and base64.
 * Side: tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cella/collateral.h"
#include "common/cleanup.h"
#include "evidence/armor.h"
#include "evidence/json.h"
#include "evidence/text.h"
#include "tests/evidence/maker.h"

#define BUFFER 65536

static const char g_claims[] = "these are custom claims";
static const uint8_t g_sgx_ecdsa[16] = {0xA3, 0xA2, 0x1E, 0x87, 0x1B, 0x4D, 0x40, 0x14,
                                        0xB7, 0x0A, 0xA1, 0x25, 0xD2, 0xFB, 0xCD, 0x8C};
static const uint8_t g_legacy[16] = {0xC8, 0x30, 0x34, 0x54, 0xD9, 0x23, 0x4C, 0x2C,
                                     0xA6, 0x91, 0xDF, 0x7D, 0xEF, 0x46, 0x0A, 0x76};
static const uint8_t g_raw_quote[16] = {0x19, 0x23, 0xD9, 0x1E, 0x12, 0xD2, 0x4C, 0x72,
                                        0xB2, 0x20, 0x25, 0xCD, 0x8D, 0xAC, 0xE8, 0x71};
static const uint8_t g_tdx[16] = {0x8B, 0xA7, 0x02, 0x86, 0xC1, 0xCF, 0x11, 0xED,
                                  0xAF, 0xA1, 0x02, 0x42, 0xAC, 0x12, 0x00, 0x02};
static const uint8_t g_local[16] = {0x09, 0x26, 0x8C, 0x33, 0x6E, 0x0B, 0x45, 0xE5,
                                    0x8A, 0x27, 0x15, 0x64, 0x4D, 0x0E, 0xF8, 0x9A};

struct world {
    struct spec spec;
    struct made made;
    uint8_t report_data[64];
    uint8_t *buffer;
    size_t used;
    struct cella_collateral_set *set;
    struct cella_roots roots;
};

static void put(uint8_t *out, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

/* A quote whose report data names the claims. */
static void world_make(struct world *world, enum cella_tee tee, unsigned version,
                       const char *claims)
{
    *world = (struct world){.buffer = calloc(1, BUFFER), .set = cella_collateral_set_new()};
    assert_true(world->buffer && world->set);
    spec_init(&world->spec, tee, version);
    if (claims) {
        assert_true(
            EVP_Digest(claims, strlen(claims), world->report_data, NULL, EVP_sha256(), NULL) > 0);
        world->spec.report_data = world->report_data;
    }
    make(&world->spec, &world->made);
    assert_true(
        cella_is_ok(cella_roots_add(&world->roots, blob_span(&world->made.der[ROLE_ROOT]))));
}

static void world_done(struct world *world)
{
    made_done(&world->made);
    cella_collateral_set_free(world->set);
    free(world->buffer);
}

static void append(struct world *world, const void *data, size_t size)
{
    assert_true(size <= BUFFER - world->used);
    memcpy(world->buffer + world->used, data, size);
    world->used += size;
}

static void append_report(struct world *world, uint32_t version, uint32_t type)
{
    uint8_t head[16];
    put(head, version, 4);
    put(head + 4, type, 4);
    put(head + 8, world->made.quote.size, 8);
    append(world, head, sizeof(head));
    append(world, world->made.quote.data, world->made.quote.size);
}

/* Puts Open Enclave's attestation header before what is in the buffer. */
static void prepend_header(struct world *world, uint32_t version, const uint8_t id[16])
{
    assert_true(world->used + 32 <= BUFFER);
    memmove(world->buffer + 32, world->buffer, world->used);
    put(world->buffer, version, 4);
    memcpy(world->buffer + 4, id, 16);
    put(world->buffer + 20, 0xFFFFFFFF, 4); /* no meaning: compilers leave what was there */
    put(world->buffer + 24, world->used, 8);
    world->used += 32;
}

static void set_fill(struct world *world)
{
    struct cella_collateral_item items[8];
    size_t count = made_items(&world->spec, &world->made, items);
    for (size_t i = 0; i < count; i++) {
        assert_true(
            cella_is_ok(cella_collateral_set_add(world->set, items[i].name, items[i].bytes, NULL)));
    }
}

/* The first failed step; COUNT: accepted. */
static enum cella_evidence_step verify(struct world *world, struct cella_span evidence,
                                       struct cella_evidence_result *result)
{
    size_t count;
    const struct cella_collateral_item *items = cella_collateral_set_items(world->set, &count);
    size_t size = (cella_collateral_set_prepared_size(world->set) + 15) & ~(size_t)15;
    void *memory = aligned_alloc(16, size);
    void *scratch = aligned_alloc(16, CELLA_EVIDENCE_SCRATCH_SIZE);
    struct cella_evidence_policy policy;
    struct cella_prepared *prepared;
    assert_true(memory && scratch);
    cella_evidence_policy_init(&policy);
    assert_true(cella_is_ok(
        cella_evidence_prepare(items, count, &evidence, &world->roots, memory, size, &prepared)));
    cella_result verdict = cella_evidence_verify(evidence, prepared, MAKER_NOW, &policy, scratch,
                                                 CELLA_EVIDENCE_SCRATCH_SIZE, result);
    cella_evidence_prepared_done(prepared);
    free(memory);
    free(scratch);
    assert_int_equal(result->accepted, cella_is_ok(verdict));
    return result->failure_count ? result->failures[0].step : CELLA_STEP_COUNT;
}

static void expect(struct world *world, enum cella_evidence_step step,
                   enum cella_evidence_format format, size_t claims)
{
    static struct cella_evidence_result result;
    struct cella_span evidence = {.data = world->buffer, .size = world->used};
    enum cella_evidence_step found = verify(world, evidence, &result);
    if (found != step) {
        fail_msg("step %s: %s", cella_evidence_step_name(found),
                 result.failure_count ? result.failures[0].text : "accepted");
    }
    if (step == CELLA_STEP_COUNT) {
        assert_int_equal(result.claims.format, format);
        assert_int_equal(result.claims.custom_claims.size, claims);
    }
}

static void test_report(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, CELLA_TEE_SGX, 3, NULL);
    set_fill(&world);
    append_report(&world, 1, 2);
    expect(&world, CELLA_STEP_COUNT, CELLA_EVIDENCE_OE_REPORT, 0);
    put(world.buffer + 4, 1, 4);
    expect(&world, CELLA_STEP_EVIDENCE_PARSE, 0, 0);
    put(world.buffer + 4, 2, 4);
    put(world.buffer + 8, world.made.quote.size + 1, 8);
    expect(&world, CELLA_STEP_EVIDENCE_PARSE, 0, 0);
    put(world.buffer + 8, world.made.quote.size - 1, 8);
    expect(&world, CELLA_STEP_EVIDENCE_PARSE, 0, 0);
    world_done(&world);
}

static void test_evidence(void **state)
{
    (void)state;
    struct world world;
    const size_t size = strlen(g_claims);
    world_make(&world, CELLA_TEE_SGX, 3, g_claims);
    set_fill(&world);
    /* Without a header the report data alone tells that these are claims. */
    append(&world, world.made.quote.data, world.made.quote.size);
    append(&world, g_claims, size);
    expect(&world, CELLA_STEP_COUNT, CELLA_EVIDENCE_OE_EVIDENCE, size);
    prepend_header(&world, 3, g_sgx_ecdsa);
    expect(&world, CELLA_STEP_COUNT, CELLA_EVIDENCE_OE_EVIDENCE, size);
    world.buffer[world.used - 1] ^= 1;
    expect(&world, CELLA_STEP_CUSTOM_CLAIMS, 0, 0);
    world.buffer[world.used - 1] ^= 1;
    put(world.buffer, 4, 4);
    expect(&world, CELLA_STEP_EVIDENCE_PARSE, 0, 0);
    put(world.buffer, 3, 4);
    put(world.buffer + 24, world.used - 33, 8);
    expect(&world, CELLA_STEP_EVIDENCE_PARSE, 0, 0);
    put(world.buffer + 24, world.used - 32, 8);
    memcpy(world.buffer + 4, g_local, 16);
    expect(&world, CELLA_STEP_EVIDENCE_PARSE, 0, 0);
    world_done(&world);
}

/* Evidence of that format without claims names the hash of nothing. */
static void test_no_claims(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, CELLA_TEE_SGX, 3, "");
    set_fill(&world);
    append(&world, world.made.quote.data, world.made.quote.size);
    prepend_header(&world, 3, g_sgx_ecdsa);
    expect(&world, CELLA_STEP_COUNT, CELLA_EVIDENCE_OE_EVIDENCE, 0);
    world_done(&world);
    world_make(&world, CELLA_TEE_SGX, 3, NULL);
    set_fill(&world);
    append(&world, world.made.quote.data, world.made.quote.size);
    prepend_header(&world, 3, g_sgx_ecdsa);
    expect(&world, CELLA_STEP_CUSTOM_CLAIMS, 0, 0);
    world_done(&world);
}

/* Version 2 has a report header around the quote; the other formats have a quote or a report only. */
static void test_other_formats(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, CELLA_TEE_SGX, 3, g_claims);
    set_fill(&world);
    append_report(&world, 1, 2);
    append(&world, g_claims, strlen(g_claims));
    prepend_header(&world, 2, g_sgx_ecdsa);
    expect(&world, CELLA_STEP_COUNT, CELLA_EVIDENCE_OE_EVIDENCE, strlen(g_claims));
    world.used = 0;
    append_report(&world, 1, 2);
    prepend_header(&world, 3, g_legacy);
    expect(&world, CELLA_STEP_COUNT, CELLA_EVIDENCE_OE_EVIDENCE, 0);
    world.used = 0;
    append(&world, world.made.quote.data, world.made.quote.size);
    prepend_header(&world, 3, g_raw_quote);
    expect(&world, CELLA_STEP_COUNT, CELLA_EVIDENCE_OE_EVIDENCE, 0);
    world_done(&world);
    world_make(&world, CELLA_TEE_TDX, 4, NULL);
    set_fill(&world);
    append(&world, world.made.quote.data, world.made.quote.size);
    prepend_header(&world, 3, g_tdx);
    expect(&world, CELLA_STEP_COUNT, CELLA_EVIDENCE_OE_EVIDENCE, 0);
    world_done(&world);
}

static char *hex_of(const struct blob *blob)
{
    char *text = malloc(2 * blob->size + 1);
    for (size_t i = 0; i < blob->size; i++) {
        sprintf(text + 2 * i, "%02X", blob->data[i]);
    }
    return text;
}

static char *base64_of(const struct blob *blob, bool is_url)
{
    char *text = malloc(blob->size / 3 * 4 + 8);
    int size = EVP_EncodeBlock((unsigned char *)text, blob->data, (int)blob->size);
    for (int i = 0; is_url && i < size; i++) {
        text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i] == '=' ? 0 : text[i];
    }
    return text;
}

static void decode_check(const struct blob *quote, const char *format, const char *text)
{
    uint8_t *evidence;
    size_t size;
    size_t all_size = strlen(format) + strlen(text) + 1;
    char *all = malloc(all_size);
    char *mark = strstr(format, "%s");
    size_t used = (size_t)(mark - format);
    memcpy(all, format, used);
    strcpy(all + used, text);
    strcat(all, mark + 2);
    cella_result result = cella_evidence_decode(
        (struct cella_span){.data = (const uint8_t *)all, .size = strlen(all)}, &evidence, &size);
    if (!cella_is_ok(result)) {
        fail_msg("%s: not decoded", format);
    }
    assert_int_equal(size, quote->size);
    assert_memory_equal(evidence, quote->data, size);
    free(evidence);
    free(all);
}

static void test_decode(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, CELLA_TEE_SGX, 3, NULL);
    const struct blob *quote = &world.made.quote;
    char *hex = hex_of(quote);
    char *base64 = base64_of(quote, false);
    char *url = base64_of(quote, true);
    struct blob outer = {.data = (uint8_t *)malloc(strlen(url) + 64)};
    outer.size = (size_t)sprintf((char *)outer.data, "{\"report\":\"%s\"}", url);
    char *inner = base64_of(&outer, true);
    decode_check(quote, "%s", hex);
    decode_check(quote, "  0x%s\n\n", hex);
    decode_check(quote, "%s\n", base64);
    decode_check(quote, "%s", url);
    decode_check(quote, "{\"a\":1,\"quote\":\"%s\"}", hex);
    decode_check(quote, "\n {\"attest\":{\"evidence\":[\"nothing\",\"%s\"]}}", base64);
    decode_check(quote, "{\"report\":\"%s\",\"more\":\"x\"}", inner);
    uint8_t *evidence;
    size_t size;
    cella_result result = cella_evidence_decode(
        (struct cella_span){.data = (const uint8_t *)"{\"a\":\"00\"}", .size = 10}, &evidence,
        &size);
    assert_int_equal(result.code, CELLA_CODE_BAD_MAGIC);
    free(hex);
    free(base64);
    free(url);
    free(inner);
    free(outer.data);
    world_done(&world);
}

static void add_text(struct world *world, const char *text, size_t expected)
{
    size_t count = 99;
    struct cella_span span = {.data = (const uint8_t *)text, .size = strlen(text)};
    assert_true(cella_is_ok(cella_collateral_set_add(world->set, "bundle", span, &count)));
    assert_int_equal(count, expected);
}

/* A JSON string with its escapes. */
static char *escaped(const struct blob *blob)
{
    char *text = malloc(6 * blob->size + 1);
    size_t used = 0;
    for (size_t i = 0; i < blob->size; i++) {
        uint8_t byte = blob->data[i];
        used += (size_t)sprintf(text + used,
                                byte == '\n'                  ? "\\n"
                                : byte == '"' || byte == '\\' ? "\\%c"
                                : byte == '/'                 ? "\\u002f"
                                                              : "%c",
                                byte);
    }
    text[used] = 0;
    return text;
}

/* As dcap-qvl keeps sets: everything a string of one object, the inner documents beside their signatures. */
static void test_bundle(void **state)
{
    (void)state;
    static struct cella_evidence_result result;
    struct world world;
    world_make(&world, CELLA_TEE_SGX, 3, NULL);
    char *bundle = calloc(1, BUFFER * 4);
    char *chain = escaped(&world.made.pem[ROLE_TCB]);
    char *root = escaped(&world.made.pem[ROLE_ROOT]);
    char *root_crl = hex_of(&world.made.root_crl);
    char *pck_crl = base64_of(&world.made.pck_crl, false);
    /* {"tcbInfo":BODY,"signature":"HEX"} taken apart */
    struct blob body = world.made.tcb_info;
    char *signature = strndup((char *)body.data + body.size - 130, 128);
    body.data += strlen("{\"tcbInfo\":");
    body.size -= strlen("{\"tcbInfo\":") + strlen(",\"signature\":\"") + 128 + 2;
    char *info = escaped(&body);
    sprintf(bundle,
            "{\"tcb_info_issuer_chain\":\"%s%s\",\"root_ca_crl\":\"%s\",\"pck_crl\":\"%s\","
            "\"tcb_info\":\"%s\",\"tcb_info_signature\":\"%s\",\"qe\":%s,\"other\":\"nothing\"}",
            chain, root, root_crl, pck_crl, info, signature, (char *)world.made.qe_identity.data);
    add_text(&world, bundle, 5);
    enum cella_evidence_step step = verify(&world, blob_span(&world.made.quote), &result);
    if (step != CELLA_STEP_COUNT) {
        fail_msg("%s: %s", result.failures[0].object, result.failures[0].text);
    }
    char *all[] = {bundle, chain, root, root_crl, pck_crl, signature, info};
    for (size_t i = 0; i < CELLA_COUNT(all); i++) {
        free(all[i]);
    }
    world_done(&world);
}

/* Open Enclave's endorsements and Intel's collateral structure, as files. */
static void test_binary_sets(void **state)
{
    (void)state;
    static struct cella_evidence_result result;
    for (int kind = 0; kind < 2; kind++) {
        struct world world;
        world_make(&world, CELLA_TEE_SGX, 3, NULL);
        const struct blob *parts[7] = {&world.made.pem[ROLE_CA], &world.made.root_crl,
                                       &world.made.pck_crl,      &world.made.pem[ROLE_TCB],
                                       &world.made.tcb_info,     &world.made.pem[ROLE_ROOT],
                                       &world.made.qe_identity};
        size_t head = kind ? 120 : 16 + 4 * 7;
        world.used = head;
        for (size_t i = 0; i < 7; i++) {
            size_t start = world.used - head;
            append(&world, parts[i]->data, parts[i]->size);
            append(&world, "", 1);
            put(world.buffer + (kind ? 16 + 16 * i : 16 + 4 * i), kind ? parts[i]->size + 1 : start,
                4);
        }
        put(world.buffer, kind ? 4 : 1, 4);
        put(world.buffer + 4, kind ? 0x81 : 2, 4);
        if (!kind) {
            put(world.buffer + 8, world.used - 16, 4);
            put(world.buffer + 12, 7, 4);
        }
        size_t count = 0;
        struct cella_span span = {.data = world.buffer, .size = world.used};
        assert_true(cella_is_ok(cella_collateral_set_add(world.set, "set", span, &count)));
        assert_int_equal(count, 7);
        assert_int_equal(verify(&world, blob_span(&world.made.quote), &result), CELLA_STEP_COUNT);
        world_done(&world);
    }
}

static void file_write(const char *folder, const char *name, const struct blob *blob)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(blob->data, 1, blob->size, file), blob->size);
    fclose(file);
}

static void test_directory(void **state)
{
    (void)state;
    static struct cella_evidence_result result;
    char folder[] = "/tmp/cella-test-XXXXXX";
    char inner[64];
    struct world world;
    world_make(&world, CELLA_TEE_SGX, 3, NULL);
    assert_non_null(mkdtemp(folder));
    snprintf(inner, sizeof(inner), "%s/inner", folder);
    assert_int_equal(mkdir(inner, 0700), 0);
    char *hex = hex_of(&world.made.pck_crl);
    char *percent = calloc(1, 3 * world.made.pem[ROLE_TCB].size + 1);
    for (size_t i = 0; i < world.made.pem[ROLE_TCB].size; i++) {
        char byte = (char)world.made.pem[ROLE_TCB].data[i];
        sprintf(percent + strlen(percent), byte == '\n' || byte == ' ' ? "%%%02X" : "%c", byte);
    }
    struct blob hex_blob = {.data = (uint8_t *)hex, .size = strlen(hex)};
    struct blob percent_blob = {.data = (uint8_t *)percent, .size = strlen(percent)};
    file_write(folder, "a", &world.made.tcb_info);
    file_write(folder, "b.txt", &world.made.qe_identity);
    file_write(inner, "c.bin", &world.made.root_crl);
    file_write(folder, "d", &hex_blob);
    file_write(folder, "e", &percent_blob);
    file_write(folder, "unrelated.md", &(struct blob){(uint8_t *)"# Notes\n", 8});
    assert_true(cella_is_ok(cella_collateral_set_add_directory(world.set, folder)));
    size_t count;
    cella_collateral_set_items(world.set, &count);
    assert_int_equal(count, 5);
    assert_int_equal(verify(&world, blob_span(&world.made.quote), &result), CELLA_STEP_COUNT);
    cella_result missing = cella_collateral_set_add_directory(world.set, "/nonexistent/folder");
    assert_int_equal(missing.code, CELLA_CODE_NOT_FOUND);
    char command[128];
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
    free(hex);
    free(percent);
    world_done(&world);
}

static void test_time(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t time;
        bool is_bad;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0, false},
        {"2025-06-15T15:06:40Z", 1750000000, false},
        {"2025-06-15T17:06:40.25+02:00", 1750000000, false},
        {"2000-02-29T00:00:00Z", 951782400, false},
        {"1969-12-31T23:59:59Z", -1, false},
        {"9999-12-31T23:59:59Z", 253402300799, false},
        {"2025-02-29T00:00:00Z", 0, true},
        {"2025-06-15", 0, true},
        {"2025-06-15T15:06:40", 0, true},
        {"2025-06-15T24:00:00Z", 0, true},
        {"2025-06-15T15:06:40.Z", 0, true},
        {"2025-06-15T15:06:40Zx", 0, true},
        {"0000-06-15T15:06:40Z", 0, true},
    };
    for (size_t i = 0; i < CELLA_COUNT(cases); i++) {
        int64_t time = 0;
        cella_result result = cella_evidence_time(cases[i].text, strlen(cases[i].text), &time);
        assert_int_equal(cella_is_ok(result), !cases[i].is_bad);
        assert_int_equal(time, cases[i].time);
        if (!cases[i].is_bad && strlen(cases[i].text) == 20) {
            char back[40];
            struct ev_text text = ev_text_of(back, sizeof(back));
            ev_text_time(&text, time);
            assert_string_equal(back, cases[i].text);
        }
    }
}

static void test_base64(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        bool is_bad, is_loose;
    } cases[] = {
        {"", 0, false, false},         {"QQ==", 1, false, false},      {"QUI=", 2, false, false},
        {"QUJD\r\n", 3, false, false}, {"QQ", 1, false, true},         {"QQ", 0, true, false},
        {"QR==", 0, true, false},      {"QUJ=", 0, true, false},       {"Q", 0, true, true},
        {"QQ=", 0, true, false},       {"QQ==QQ==", 0, true, false},   {"Q Q=", 0, true, false},
        {"-_-_", 3, false, false},     {"\xC3\xA4==", 0, true, false},
    };
    for (size_t i = 0; i < CELLA_COUNT(cases); i++) {
        struct ev_place place = {0};
        uint8_t out[16];
        size_t size = 0;
        cella_result result = ev_armor_base64(cella_bytes_of(cases[i].text, strlen(cases[i].text)),
                                              cases[i].is_loose, &place, out, &size);
        if (cella_is_ok(result) == cases[i].is_bad || (!cases[i].is_bad && size != cases[i].size)) {
            fail_msg("'%s'", cases[i].text);
        }
    }
}

static void test_json(void **state)
{
    (void)state;
    static const char *const good[] = {"0",
                                       " [ ] ",
                                       "{}",
                                       "-1.5e+10",
                                       "\"\\ud83d\\ude00\"",
                                       "[[],{},[{}]]",
                                       "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\":true}",
                                       "\"\xF0\x9F\x98\x80\""};
    static const char *const bad[] = {
        "",      "{",      "[1,]",  "{\"a\"}", "{\"a\":1,}", "01",           "1.",
        "+1",    "'a'",    "nul",   "\"\t\"",  "\"\\u12\"",  "\"\xC0\x80\"", "\"\xED\xA0\x80\"",
        "[1] 2", "{a:1}",  "[1 2]", "]",       "{\"a\":1]",  "\"",           "-",
        "[",     "{\"a\":"};
    struct ev_json json;
    for (size_t i = 0; i < CELLA_COUNT(good); i++) {
        struct ev_place place = {0};
        if (!cella_is_ok(ev_json_parse(cella_bytes_of(good[i], strlen(good[i])), &place, &json))) {
            fail_msg("%s: expected %s", good[i], place.expected);
        }
    }
    for (size_t i = 0; i < CELLA_COUNT(bad); i++) {
        struct ev_place place = {0};
        if (cella_is_ok(ev_json_parse(cella_bytes_of(bad[i], strlen(bad[i])), &place, &json))) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_non_null(place.expected);
    }
}

/* The text between two marks of a document in docs/formats. */
static char *document_part(const char *name, const char *from, const char *to)
{
    char path[1024];
    static char text[32768];
    snprintf(path, sizeof(path), "%s/%s", DOCS_DIR, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[size] = 0;
    char *start = strstr(text, from);
    assert_non_null(start);
    start += strlen(from);
    char *end = strstr(start, to);
    assert_non_null(end);
    *end = 0;
    return start;
}

static void test_docs_policy(void **state)
{
    (void)state;
    struct cella_evidence_policy policy;
    struct cella_evidence_failure failure;
    cella_evidence_policy_init(&policy);
    const char *text = document_part("evidence-policy.md", "```json\n", "```");
    assert_true(cella_is_ok(cella_evidence_policy_parse(
        &policy, (struct cella_span){.data = (const uint8_t *)text, .size = strlen(text)},
        &failure)));
    assert_int_equal(policy.statuses,
                     1u << CELLA_TCB_UP_TO_DATE | 1u << CELLA_TCB_SW_HARDENING_NEEDED);
    assert_int_equal(policy.measurement_count, 1);
    assert_int_equal(policy.signers[0].size, 32);
    assert_true(policy.has_product_id && policy.product_id == 7 && policy.min_svn == 3);
}

/* The header of the document, with 64 bytes behind it that are no quote. */
static void test_docs_header(void **state)
{
    (void)state;
    uint8_t evidence[96] = {0};
    struct cella_evidence_claims claims;
    struct cella_evidence_failure failure;
    size_t used = 0;
    const char *text = document_part("verified-evidence.md", "```hex\n", "```");
    for (unsigned byte, length; sscanf(text, " %2x%n", &byte, &length) == 1; text += length) {
        assert_true(used < 32);
        evidence[used++] = (uint8_t)byte;
    }
    assert_int_equal(used, 32);
    assert_memory_equal(evidence + 4, g_sgx_ecdsa, 16);
    cella_result result = cella_evidence_parse(
        (struct cella_span){.data = evidence, .size = sizeof(evidence)}, &claims, &failure);
    assert_false(cella_is_ok(result));
    assert_int_equal(failure.step, CELLA_STEP_EVIDENCE_PARSE);
    assert_int_equal(failure.offset, 32); /* the header is right, the quote's version is not */
}

/* Interfaces for C strings count a zero behind; what DER ends in itself stays, however short the DER is. */
static void test_trim(void **state)
{
    static const struct {
        const char *bytes;
        size_t size, kept;
    } rows[] = {
        {"{}", 3, 2},
        {"{}", 2, 2},
        {"\x30\x02\x05\x00", 5, 4},
        {"\x30\x02\x05\x00", 4, 4},
        {"\x30\x81\x03\x01\x00\x00\x00", 7, 6},
        {"\x30\x82\x00\x02\x05\x00\x00\x00", 8, 6},
        {"\x30\x82\x01\x00\x00", 5, 5}, /* cut short: nothing is taken away */
        {"\x00\x00", 2, 0},
        {"", 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < CELLA_COUNT(rows); i++) {
        const struct cella_span kept = cella_collateral_trim(
            (struct cella_span){.data = (const uint8_t *)rows[i].bytes, .size = rows[i].size});
        if (kept.size != rows[i].kept) {
            fail_msg("row %zu: %zu bytes are kept", i, kept.size);
        }
    }
}

/* A bundle of very many members is read once: with more than that for each, this would take minutes. */
static void test_many_members(void **state)
{
    (void)state;
    enum { MEMBERS = 60000 };
    static char text[MEMBERS * 6 + 2] = "{";
    size_t size = 1;
    size_t found = 1;
    for (size_t i = 0; i < MEMBERS; i++) {
        size += (size_t)sprintf(text + size, i ? ",\"\":\"\"" : "\"\":\"\"");
    }
    text[size++] = '}';
    struct cella_collateral_set *set = cella_collateral_set_new();
    assert_non_null(set);
    alarm(30);
    assert_true(cella_is_ok(cella_collateral_set_add(
        set, "many", (struct cella_span){.data = (const uint8_t *)text, .size = size}, &found)));
    alarm(0);
    assert_int_equal(found, 0);
    cella_collateral_set_free(set);
}

/* The same of the blocks of one PEM text. */
static void test_many_blocks(void **state)
{
    (void)state;
    enum { BLOCKS = 60000 };
    static const char block[] = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
    const size_t size = BLOCKS * (sizeof(block) - 1);
    const size_t memory_size = CELLA_EVIDENCE_PREPARED_SIZE + size / 16 * 16;
    uint8_t *text = malloc(size);
    void *memory = aligned_alloc(16, memory_size);
    struct cella_prepared *prepared = NULL;
    assert_true(text && memory);
    for (size_t i = 0; i < BLOCKS; i++) {
        memcpy(text + i * (sizeof(block) - 1), block, sizeof(block) - 1);
    }
    const struct cella_collateral_item item = {.name = "many", .bytes = {text, size}};
    alarm(30);
    assert_true(
        cella_is_ok(cella_evidence_prepare(&item, 1, NULL, NULL, memory, memory_size, &prepared)));
    alarm(0);
    cella_evidence_prepared_done(prepared);
    free(memory);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report),       cmocka_unit_test(test_evidence),
        cmocka_unit_test(test_no_claims),    cmocka_unit_test(test_other_formats),
        cmocka_unit_test(test_decode),       cmocka_unit_test(test_bundle),
        cmocka_unit_test(test_binary_sets),  cmocka_unit_test(test_directory),
        cmocka_unit_test(test_time),         cmocka_unit_test(test_base64),
        cmocka_unit_test(test_json),         cmocka_unit_test(test_docs_policy),
        cmocka_unit_test(test_docs_header),  cmocka_unit_test(test_trim),
        cmocka_unit_test(test_many_members), cmocka_unit_test(test_many_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
