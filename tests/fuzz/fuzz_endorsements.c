/*
 * Fuzz target: collateral in one piece: Open Enclave's endorsements, those of trust domains, and a host's answer to an
 * enclave. What is accepted lies in the input; the first byte chooses the form.
 * Side: tests. Run by libFuzzer, or replayed by replay.c over corpus/endorsements.
 */
#include <stdint.h>
#include <stdlib.h>

#include "compat/openenclave/common/quote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition) {
        abort();
    }
}

static void inside(struct cella_span part, const uint8_t *data, size_t size)
{
    require(part.size == 0 || (part.data >= data && part.size <= size &&
                               (size_t)(part.data - data) <= size - part.size));
}

static void items_inside(const struct cella_collateral_item *items, const uint8_t *data,
                         size_t size)
{
    for (size_t i = 0; i < CELLA_DOCUMENT_COUNT; i++) {
        require(items[i].name != NULL);
        inside(items[i].bytes, data, size);
    }
}

static void endorsements(const uint8_t *data, size_t size, int td)
{
    struct oe_endorsements_parts parts;
    struct cella_collateral_item items[CELLA_DOCUMENT_COUNT];
    if ((td ? oe_td_endorsements_read : oe_endorsements_read)(data, size, &parts) != OE_OK) {
        return;
    }
    require(td == (parts.created == OE_CREATED_UNKNOWN));
    for (size_t i = td ? 1 : 0; i < OE_SGX_ENDORSEMENT_FIELD_CREATION_DATETIME; i++) {
        inside(parts.parts[i], data, size);
    }
    oe_endorsements_items(&parts, items);
    items_inside(items, data, size);
}

static void answer(const uint8_t *data, size_t size)
{
    struct cella_collateral_item items[CELLA_DOCUMENT_COUNT];
    struct cella_roots roots = {.count = 0};
    if (!cella_is_ok(
            cella_collateral_answer_read((struct cella_span){data, size}, items, &roots))) {
        return;
    }
    require(roots.count <= CELLA_ROOT_MAX);
    items_inside(items, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] % 3 < 2) {
        endorsements(data + 1, size - 1, data[0] % 3);
    } else if (size > 0) {
        answer(data + 1, size - 1);
    }
    return 0;
}
