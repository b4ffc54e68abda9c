/*
 * Collateral that came from a host in one piece, taken apart.
 * Side: both. Called by the skins, in enclaves and in tests. Never believes a size, never allocates.
 */
#include <string.h>

#include "abi/collateral.h"
#include "cella/collateral.h"
#include "common/bytes.h"

static_assert(CELLA_COLLATERAL_DOCUMENTS == CELLA_DOCUMENT_COUNT, "abi/collateral.h");
static_assert(CELLA_COLLATERAL_ROOTS <= CELLA_ROOT_MAX, "abi/collateral.h");

static const char *const g_names[CELLA_DOCUMENT_COUNT] = {
    [CELLA_DOCUMENT_PCK_CRL_CHAIN] = "pck_crl_issuer_chain",
    [CELLA_DOCUMENT_ROOT_CRL] = "root_ca_crl",
    [CELLA_DOCUMENT_PCK_CRL] = "pck_crl",
    [CELLA_DOCUMENT_TCB_INFO_CHAIN] = "tcb_info_issuer_chain",
    [CELLA_DOCUMENT_TCB_INFO] = "tcb_info",
    [CELLA_DOCUMENT_QE_IDENTITY_CHAIN] = "qe_identity_issuer_chain",
    [CELLA_DOCUMENT_QE_IDENTITY] = "qe_identity",
};

cella_result
cella_collateral_answer_read(struct cella_span answer,
                             struct cella_collateral_item ret_items[CELLA_DOCUMENT_COUNT],
                             struct cella_roots *ret_roots)
{
    struct cella_cursor cursor = cella_cursor_of(cella_bytes_of(answer.data, answer.size));
    struct cella_collateral_head head;
    struct cella_collateral_item items[CELLA_DOCUMENT_COUNT];
    struct cella_bytes bytes, zero;
    CELLA_TRY(cella_cursor_copy(&cursor, &head, sizeof(head)));
    CELLA_ENSURE(head.root_count <= CELLA_COLLATERAL_ROOTS, OUT_OF_RANGE);
    for (size_t i = 0; i < CELLA_DOCUMENT_COUNT; i++) {
        CELLA_TRY(cella_cursor_take(&cursor, head.sizes[i], &bytes));
        CELLA_TRY(cella_cursor_take(&cursor, 1, &zero));
        CELLA_ENSURE(zero.data[0] == 0, OUT_OF_RANGE);
        items[i] =
            (struct cella_collateral_item){.name = g_names[i], .bytes = {bytes.data, bytes.size}};
    }
    CELLA_TRY(cella_end(&cursor));
    memcpy(ret_items, items, sizeof(items));
    if (ret_roots) {
        for (size_t i = 0; i < head.root_count; i++) {
            ret_roots->keys[i] = (struct cella_root_key){0};
            memcpy(ret_roots->keys[i].spki_sha256, head.roots[i], sizeof(head.roots[i]));
        }
        ret_roots->count = head.root_count;
    }
    return CELLA_OK;
}

/* What a DER SEQUENCE says of its own size, head included; 0: there is none at the start of the bytes. */
static size_t der_size(const uint8_t *bytes, size_t size)
{
    if (size < 2 || bytes[0] != 0x30) {
        return 0;
    }
    const size_t width = bytes[1] & 0x7Fu; /* of the length, in its long form */
    if ((bytes[1] & 0x80u) == 0) {
        return 2 + width;
    }
    if (width < 1 || width > 4 || size < 2 + width) {
        return 0;
    }
    size_t content = 0;
    for (size_t i = 0; i < width; i++) {
        content = content << 8 | bytes[2 + i];
    }
    return 2 + width + content;
}

/* A DER document may end in zeros of its own: it says where it ends. */
struct cella_span cella_collateral_trim(struct cella_span document)
{
    const uint8_t *bytes = document.data;
    size_t size = bytes ? document.size : 0;
    const size_t whole = der_size(bytes, size);
    if (whole > 0) {
        size = whole < size ? whole : size;
    } else {
        while (size > 0 && bytes[size - 1] == 0) {
            size--;
        }
    }
    return (struct cella_span){.data = bytes, .size = size};
}
