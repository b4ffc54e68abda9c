/*
 * `cella inspect`: shows the identity, layout and signature of an enclave image.
 * Side: tools. Called by cli/main.c. Never loads the image; it reads files of any signer and trusts
 * none.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/file.h"
#include "cli/inspect.h"
#include "common/cleanup.h"
#include "image/attach.h"
#include "enclave/protected_format.h"

static const char g_usage[] =
    "usage: cella inspect IMAGE [--json] [--pages]\n"
    "\n"
    "Shows an enclave image signed by Cella, by Open Enclave or by Intel's tool: identity, "
    "attributes,\n"
    "layout, size by section, and whether the MRENCLAVE computed from the file is the signed one.\n"
    "\n"
    "  --json    print JSON\n"
    "  --pages   list every range of pages in adding order\n"
    "  --help    this text\n"
    "\n"
    "exit status: 0 the measurement is the signed one and the signature is valid, 1 it is not,\n"
    "2 the file cannot be read as an enclave image\n";

enum inspect_status {
    INSPECT_STATUS_GOOD = 0,
    INSPECT_STATUS_DIFFERS = 1,
    INSPECT_STATUS_UNREADABLE = 2,
};

/* The slot with the higher generation; false: no protected file. */
static bool protected_read(struct cella_bytes file, struct protected_header *ret_header,
                           struct protected_slot *ret_slot)
{
    struct protected_slot other;
    struct cella_cursor cursor = cella_cursor_of(file);
    if (!cella_is_ok(cella_cursor_copy(&cursor, ret_header, sizeof(*ret_header))) ||
        ret_header->magic != PROTECTED_MAGIC || file.size < PROTECTED_FIRST * PROTECTED_BLOCK) {
        return false;
    }
    cursor.offset = PROTECTED_SLOT_FIRST * PROTECTED_BLOCK;
    cella_result first = cella_cursor_copy(&cursor, ret_slot, sizeof(*ret_slot));
    cursor.offset = (PROTECTED_SLOT_FIRST + 1) * PROTECTED_BLOCK;
    cella_result second = cella_cursor_copy(&cursor, &other, sizeof(other));
    if (other.generation > ret_slot->generation) {
        *ret_slot = other;
    }
    return cella_is_ok(first) && cella_is_ok(second);
}

/* A protected file (docs/formats/protected-file.md): what it says of itself in the clear. */
static bool protected_print(struct cella_bytes file, bool json)
{
    static const char *const kinds[] = {"unknown", "EGETKEY by MRSIGNER", "EGETKEY by MRENCLAVE",
                                        "the application's"};
    struct protected_header header;
    struct protected_slot slot;
    if (!protected_read(file, &header, &slot)) {
        return false;
    }
    const char *kind = kinds[slot.kind < CELLA_COUNT(kinds) ? slot.kind : 0];
    const unsigned node_size = 1u << (header.block_log2 & 31);
    const unsigned long long generation = slot.generation;
    const unsigned bits = slot.key_size * 8u;
    if (json) {
        printf("{\"kind\": \"protected-file\", \"version\": %u, \"node_size\": %u, "
               "\"generation\": %llu, \"key\": \"%s\", \"key_bits\": %u}\n",
               header.version, node_size, generation, kind, bits);
    } else {
        printf("protected file, version %u (as it says; only an enclave with the key can check)\n"
               "  node size   %u\n  generation  %llu\n  key         %s, %u bits\n",
               header.version, node_size, generation, kind, bits);
    }
    return true;
}

int cella_cmd_inspect(int argc, char **argv)
{
    static const struct option longs[] = {
        {"json", no_argument, NULL, 'j'},
        {"pages", no_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    CELLA_CLEANUP(inspect_done) struct inspect inspect = {0};
    struct cella_error error = {0};
    bool json = false;
    bool pages = false;
    int option;

    optind = 1;
    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (option) {
        case 'j':
            json = true;
            break;
        case 'p':
            pages = true;
            break;
        case 'h':
            fputs(g_usage, stdout);
            return INSPECT_STATUS_GOOD;
        default:
            return INSPECT_STATUS_UNREADABLE;
        }
    }
    if (optind + 1 != argc) {
        fputs(g_usage, stderr);
        return INSPECT_STATUS_UNREADABLE;
    }
    const char *path = argv[optind];
    cella_result result = cella_file_read(path, CELLA_IMAGE_FILE_MAX, &file, &error);
    bool is_read = cella_is_ok(result);
    if (is_read && protected_print(cella_file_bytes(&file), json)) {
        return INSPECT_STATUS_GOOD;
    }
    struct cella_attach_parts parts = {0};
    if (is_read) {
        result = cella_attach_parse(cella_file_bytes(&file), &parts, &error);
    }
    if (is_read &&
        cella_is_ok(result)) { /* of a program that was signed in place: what is behind it */
        result =
            inspect_read(&inspect, path, parts.image.size ? parts.image : parts.program, &error);
    }
    if (!cella_is_ok(result)) {
        fprintf(stderr, "cella inspect: %s%s%s\n", is_read ? path : "", is_read ? ": " : "",
                error.text[0] ? error.text : cella_result_text(result));
        return INSPECT_STATUS_UNREADABLE;
    }
    if (json) {
        inspect_print_json(&inspect, pages);
    } else {
        inspect_print_text(&inspect, pages);
    }
    return inspect_is_good(&inspect) ? INSPECT_STATUS_GOOD : INSPECT_STATUS_DIFFERS;
}
