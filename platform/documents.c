/*
 * TCB info v3 and QE identity v2, with their signatures over the exact bytes of the inner object.
 * Side: host. Called by platform.c. Source: Intel PCS API v4, "Get SGX TCB Info", "Get Quoting Enclave Identity".
 * Never writes a string that would have to be escaped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "platform/internal.h"

/* Text that grows; `failed` sticks. */
struct text {
    FILE *stream;
    char *data;
    size_t size;
};

static void text_done(struct text *text)
{
    if (text->stream) {
        fclose(text->stream);
    }
    free(text->data);
}

static void hex_print(FILE *stream, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        fprintf(stream, "%02X", ((const uint8_t *)data)[i]);
    }
}

static void time_print(FILE *stream, const char *name, int64_t when)
{
    const time_t seconds = (time_t)when;
    struct tm parts = {0};
    char value[32] = "";
    gmtime_r(&seconds, &parts);
    strftime(value, sizeof(value), "%Y-%m-%dT%H:%M:%SZ", &parts);
    fprintf(stream, "\"%s\":\"%s\"", name, value);
}

static bool word_is_good(const char *word)
{
    return word && word[0] &&
           strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789-_. ") == strlen(word);
}

static bool words_are_good(const char *status, const char *const *advisories, size_t count)
{
    bool good = word_is_good(status);
    for (size_t i = 0; i < count && good; i++) {
        good = word_is_good(advisories[i]);
    }
    return good;
}

static void level_end_print(FILE *stream, int64_t date, const char *status,
                            const char *const *advisories, size_t count)
{
    fputs("},", stream);
    time_print(stream, "tcbDate", date);
    fprintf(stream, ",\"tcbStatus\":\"%s\"", status);
    for (size_t i = 0; i < count; i++) {
        fprintf(stream, "%s\"%s\"", i ? "," : ",\"advisoryIDs\":[", advisories[i]);
    }
    fputs(count ? "]}" : "}", stream);
}

static void tcb_level_print(FILE *stream, const struct platform_tcb_level *level)
{
    fputs("{\"tcb\":{\"sgxtcbcomponents\":[", stream);
    for (size_t i = 0; i < PLATFORM_COMPONENTS; i++) {
        fprintf(stream, "%s{\"svn\":%u}", i ? "," : "", level->components[i]);
    }
    fprintf(stream, "],\"pcesvn\":%u", level->pce_svn);
    level_end_print(stream, level->date, level->status, level->advisories, level->advisory_count);
}

static void tcb_info_print(FILE *stream, const struct platform *platform,
                           const struct platform_collateral_options *options,
                           const struct platform_tcb_level *levels, size_t count)
{
    fputs("{\"id\":\"SGX\",\"version\":3,", stream);
    time_print(stream, "issueDate", options->issued);
    fputc(',', stream);
    time_print(stream, "nextUpdate", options->next_update);
    fputs(",\"fmspc\":\"", stream);
    hex_print(stream, options->fmspc ? options->fmspc : platform->options.fmspc, 6);
    fputs("\",\"pceId\":\"", stream);
    hex_print(stream, platform->options.pce_id, 2);
    fprintf(stream, "\",\"tcbType\":0,\"tcbEvaluationDataNumber\":%u,\"tcbLevels\":[",
            options->evaluation_number ? options->evaluation_number : PLATFORM_EVALUATION_NUMBER);
    for (size_t i = 0; i < count; i++) {
        fputs(i ? "," : "", stream);
        tcb_level_print(stream, &levels[i]);
    }
    fputs("]}", stream);
}

static void qe_identity_print(FILE *stream, const struct platform_collateral_options *options,
                              const struct platform_qe_level *levels, size_t count)
{
    const struct platform_qe *qe = &options->qe;
    /* verifiers compare what a report has under the mask with the whole of these */
    const struct sgx_attributes attributes = {
        .flags = qe->attributes.flags & qe->attribute_mask.flags,
        .xfrm = qe->attributes.xfrm & qe->attribute_mask.xfrm,
    };
    const uint32_t misc = __builtin_bswap32(qe->misc_select & qe->misc_mask);
    const uint32_t misc_mask = __builtin_bswap32(qe->misc_mask);
    fputs("{\"id\":\"QE\",\"version\":2,", stream);
    time_print(stream, "issueDate", options->issued);
    fputc(',', stream);
    time_print(stream, "nextUpdate", options->next_update);
    fprintf(stream, ",\"tcbEvaluationDataNumber\":%u,\"miscselect\":\"",
            options->evaluation_number ? options->evaluation_number : PLATFORM_EVALUATION_NUMBER);
    hex_print(stream, &misc, 4);
    fputs("\",\"miscselectMask\":\"", stream);
    hex_print(stream, &misc_mask, 4);
    fputs("\",\"attributes\":\"", stream);
    hex_print(stream, &attributes, 16);
    fputs("\",\"attributesMask\":\"", stream);
    hex_print(stream, &qe->attribute_mask, 16);
    fputs("\",\"mrsigner\":\"", stream);
    hex_print(stream, qe->mr_signer, 32);
    fprintf(stream, "\",\"isvprodid\":%u,\"tcbLevels\":[", qe->isv_prod_id);
    for (size_t i = 0; i < count; i++) {
        fprintf(stream, "%s{\"tcb\":{\"isvsvn\":%u", i ? "," : "", levels[i].isv_svn);
        level_end_print(stream, levels[i].date, levels[i].status, levels[i].advisories,
                        levels[i].advisory_count);
    }
    fputs("]}", stream);
}

/* {"name":inner,"signature":"hex"}, the signature over inner. */
static cella_result document_sign(const struct platform *platform, const char *name,
                                  struct text *inner, struct platform_blob *ret_document,
                                  struct cella_error *error)
{
    uint8_t signature[64];
    FILE *stream = CELLA_TAKE(inner->stream);
    CELLA_ENSURE(fclose(stream) == 0, OUT_OF_MEMORY);
    CELLA_TRY(platform_sign(platform->keys[PLATFORM_TCB_SIGNING], inner->data, inner->size,
                            signature, error));
    CELLA_CLEANUP(text_done) struct text whole = {0};
    whole.stream = open_memstream(&whole.data, &whole.size);
    CELLA_ENSURE(whole.stream != NULL, OUT_OF_MEMORY);
    fprintf(whole.stream, "{\"%s\":", name);
    fwrite(inner->data, 1, inner->size, whole.stream);
    fputs(",\"signature\":\"", whole.stream);
    for (size_t i = 0; i < sizeof(signature); i++) {
        fprintf(whole.stream, "%02x", signature[i]);
    }
    fputs("\"}", whole.stream);
    CELLA_ENSURE(fflush(whole.stream) == 0, OUT_OF_MEMORY);
    return platform_blob_of(whole.data, whole.size, ret_document);
}

static cella_result tcb_info_make(const struct platform *platform,
                                  const struct platform_collateral_options *options,
                                  struct platform_blob *ret_document, struct cella_error *error)
{
    struct platform_tcb_level own = {
        .pce_svn = platform->options.pce_svn, .date = options->issued, .status = "UpToDate"};
    memcpy(own.components, platform->options.components, sizeof(own.components));
    const struct platform_tcb_level *levels = options->tcb_levels ? options->tcb_levels : &own;
    const size_t count = options->tcb_levels ? options->tcb_level_count : 1;
    for (size_t i = 0; i < count; i++) {
        CELLA_ENSURE(
            words_are_good(levels[i].status, levels[i].advisories, levels[i].advisory_count),
            INVALID_ARGUMENT);
    }
    CELLA_CLEANUP(text_done) struct text inner = {0};
    inner.stream = open_memstream(&inner.data, &inner.size);
    CELLA_ENSURE(inner.stream != NULL, OUT_OF_MEMORY);
    tcb_info_print(inner.stream, platform, options, levels, count);
    return document_sign(platform, "tcbInfo", &inner, ret_document, error);
}

static cella_result qe_identity_make(const struct platform *platform,
                                     const struct platform_collateral_options *options,
                                     struct platform_blob *ret_document, struct cella_error *error)
{
    const struct platform_qe_level own = {
        .isv_svn = options->qe.isv_svn, .date = options->issued, .status = "UpToDate"};
    const struct platform_qe_level *levels = options->qe_levels ? options->qe_levels : &own;
    const size_t count = options->qe_levels ? options->qe_level_count : 1;
    for (size_t i = 0; i < count; i++) {
        CELLA_ENSURE(
            words_are_good(levels[i].status, levels[i].advisories, levels[i].advisory_count),
            INVALID_ARGUMENT);
    }
    CELLA_CLEANUP(text_done) struct text inner = {0};
    inner.stream = open_memstream(&inner.data, &inner.size);
    CELLA_ENSURE(inner.stream != NULL, OUT_OF_MEMORY);
    qe_identity_print(inner.stream, options, levels, count);
    return document_sign(platform, "enclaveIdentity", &inner, ret_document, error);
}

cella_result platform_documents_make(const struct platform *platform,
                                     const struct platform_collateral_options *options,
                                     struct platform_collateral *collateral,
                                     struct cella_error *error)
{
    CELLA_TRY(tcb_info_make(platform, options, &collateral->tcb_info, error));
    return qe_identity_make(platform, options, &collateral->qe_identity, error);
}
