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
    if (is_read) {
        result = inspect_read(&inspect, path, cella_file_bytes(&file), &error);
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
