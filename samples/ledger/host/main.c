/*
 * The ledger's host: starts the enclave over a folder, adds amounts, prints the sum and a receipt.
 * Side: host.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_u.h"

static const char g_usage[] =
    "usage: ledger IMAGE FOLDER [--since RECEIPT] [AMOUNT...]\n"
    "\n"
    "Adds the amounts to the book in FOLDER and prints the sum, with a receipt. --since refuses a\n"
    "book that is older than that receipt.\n";

/* An ecall has two results: that of the call, and what the function inside returned. */
static cella_result both(cella_result call, const cella_result *value)
{
    return cella_is_ok(call) ? *value : call;
}

/* GENERATION-DIGEST */
static int receipt_read(const char *text, struct ledger_receipt *receipt)
{
    char *digits;
    receipt->generation = strtoull(text, &digits, 10);
    if (digits == text || *digits != '-' || strlen(digits + 1) != 64 ||
        strspn(digits + 1, "0123456789abcdef") != 64) {
        fprintf(stderr, "ledger: --since %s: expected a receipt\n", text);
        return -1;
    }
    for (size_t i = 0; i < sizeof(receipt->digest); i++) {
        const char pair[] = {digits[1 + 2 * i], digits[2 + 2 * i], 0};
        receipt->digest[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return 0;
}

static void print_page(const struct ledger_page *page)
{
    printf("%" PRIu64 " entries, total %" PRId64 "\nreceipt %" PRIu64 "-", page->entries,
           page->total, page->receipt.generation);
    for (size_t i = 0; i < sizeof(page->receipt.digest); i++) {
        printf("%02x", page->receipt.digest[i]);
    }
    printf("\n");
}

static cella_result run(cella_enclave *enclave, const struct ledger_receipt *since, char **amounts)
{
    struct ledger_page page;
    cella_result value;
    CELLA_TRY(both(ledger_open(enclave, &value, since), &value));
    for (; *amounts; amounts++) {
        CELLA_TRY(both(ledger_add(enclave, &value, strtoll(*amounts, NULL, 10)), &value));
    }
    CELLA_TRY(both(ledger_show(enclave, &value, &page), &value));
    print_page(&page);
    return CELLA_OK;
}

/* Every argument behind the options must be a whole number. */
static int amounts_check(char **amounts)
{
    for (; *amounts; amounts++) {
        char *end;
        errno = 0;
        (void)strtoll(*amounts, &end, 10);
        if (errno || end == *amounts || *end) {
            fprintf(stderr, "ledger: %s: expected a whole number\n", *amounts);
            return -1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct ledger_receipt since;
    const int has_since = argc > 4 && strcmp(argv[3], "--since") == 0;
    char **amounts = argv + (has_since ? 5 : 3);
    if (argc < 3) {
        fputs(g_usage, stderr);
        return 2;
    }
    if ((has_since && receipt_read(argv[4], &since) != 0) || amounts_check(amounts) != 0) {
        return 2;
    }
    const struct cella_enclave_options options = {.file_root = argv[2]};
    struct cella_error error = {0};
    cella_enclave *enclave;
    if (!cella_is_ok(cella_create_ledger(argv[1], &options, &enclave, &error))) {
        fprintf(stderr, "ledger: %s\n", error.text);
        return 1;
    }
    const cella_result result = run(enclave, has_since ? &since : NULL, amounts);
    if (!cella_is_ok(result)) {
        fprintf(stderr, "ledger: %s/book: %s\n", argv[2], cella_result_text(result));
    }
    cella_enclave_destroy(enclave);
    return cella_is_ok(result) ? 0 : 1;
}
