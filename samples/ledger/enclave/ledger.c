/*
 * A book of amounts in a protected file: encrypted, and bound to the signer, the product and the machine.
 * Side: enclave. Called by samples/ledger/host/main.c.
 * Believes nothing of the host; an old copy of the file it can tell only by a receipt that somebody else has kept.
 */
#include <stdlib.h>
#include <string.h>

#include "cella/protected_file.h"
#include "ledger_t.h"

#define BOOK "/book"

static cella_protected_file *g_book;
static struct ledger_page g_page;

/* One entry in the file; the sum is made anew when it is opened, with overflow looked for. */
static cella_result take(int64_t amount)
{
    int64_t total;
    CELLA_ENSURE(!__builtin_add_overflow(g_page.total, amount, &total), OUT_OF_RANGE);
    g_page.total = total;
    g_page.entries++;
    return CELLA_OK;
}

static cella_result read_entries(void)
{
    int64_t amount;
    size_t size;
    for (;;) {
        CELLA_TRY(cella_protected_read(g_book, &amount, sizeof(amount), &size));
        if (size == 0) {
            return CELLA_OK;
        }
        CELLA_ENSURE(size == sizeof(amount), TRUNCATED);
        CELLA_TRY(take(amount));
    }
}

cella_result ledger_open(const struct ledger_receipt *since)
{
    struct cella_protected_version version;
    struct cella_protected_options options = {.key = {.kind = CELLA_PROTECTED_AUTO_MRSIGNER}};
    CELLA_ENSURE(g_book == NULL, WRONG_STATE);
    if (since) {
        version.generation = since->generation;
        memcpy(version.digest, since->digest, sizeof(version.digest));
        options.version = &version;
        options.flags = CELLA_PROTECTED_OR_NEWER;
    }
    cella_result result = cella_protected_open(BOOK, "r+", &options, &g_book);
    if (result.code == CELLA_CODE_NOT_FOUND && !since) {
        result = cella_protected_open(BOOK, "w+x", &options, &g_book); /* the very first time */
    }
    CELLA_TRY(result);
    return read_entries();
}

cella_result ledger_add(int64_t amount)
{
    size_t size;
    CELLA_ENSURE(g_book != NULL, WRONG_STATE);
    CELLA_TRY(take(amount));
    CELLA_TRY(cella_protected_seek(g_book, 0, 2));
    CELLA_TRY(cella_protected_write(g_book, &amount, sizeof(amount), &size));
    return cella_protected_flush(g_book); /* on the disk before anybody is told */
}

cella_result ledger_show(struct ledger_page *page)
{
    struct cella_protected_version version;
    CELLA_ENSURE(g_book != NULL, WRONG_STATE);
    CELLA_TRY(cella_protected_version(g_book, &version));
    *page = g_page;
    page->receipt.generation = version.generation;
    memcpy(page->receipt.digest, version.digest, sizeof(page->receipt.digest));
    return CELLA_OK;
}
