/*
 * Structs that come back with memory of their own, for either side: F(deep_out) allocates, calls_deep_out checks and frees.
 * Side: both. Included by deep_out_enclave.c and test_deep_out.c. Needs malloc and free.
 */
#include <stdlib.h>

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return __LINE__;                                                                       \
        }                                                                                          \
    } while (0)

int F(deep_out)(struct box *p, size_t n, int how)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i].items || p[i].raw || p[i].corner.x) {
            return -1; /* it comes in as zeros */
        }
        p[i].corner.x = (int)i + 1;
        p[i].item_count = 2;
        p[i].items = (struct item *)calloc(2, sizeof(struct item));
        for (size_t k = 0; k < 2; k++) {
            p[i].items[k].count = k + 3;
            p[i].items[k].tag = (int)(10 * i + k);
            p[i].items[k].values = (uint32_t *)calloc(k + 3, sizeof(uint32_t));
            p[i].items[k].values[k + 2] = (uint32_t)(100 * i + k);
        }
        p[i].raw_size = i == 0 ? 5 : 0;
        p[i].raw = i == 2 ? NULL : malloc(8);
        if (i == 0) {
            __builtin_memcpy(p[i].raw, "12345", 5);
        }
    }
    if (how == 1) {
        p[0].raw_size = -1; /* no size at all: the call fails */
    }
    return (int)n;
}

static void boxes_free(struct box *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (uint32_t k = 0; p[i].items && k < p[i].item_count; k++) {
            free(p[i].items[k].values);
        }
        free(p[i].items);
        free(p[i].raw);
    }
}

static int calls_deep_out(void)
{
    struct box boxes[4] = {0};
    int result = 0;
    EXPECT(C(deep_out, &result, boxes, 3, 0) && result == 3);
    for (size_t i = 0; i < 3; i++) {
        EXPECT(boxes[i].corner.x == (int)i + 1 && boxes[i].item_count == 2 && boxes[i].items);
        for (size_t k = 0; k < 2; k++) {
            const struct item *item = &boxes[i].items[k];
            EXPECT(item->count == k + 3 && item->tag == (int)(10 * i + k) && item->values);
            EXPECT(item->values[0] == 0 && item->values[k + 2] == 100 * i + k);
        }
        EXPECT(i == 2 ? !boxes[i].raw : boxes[i].raw != NULL);
    }
    EXPECT(__builtin_memcmp(boxes[0].raw, "12345", 5) == 0 && !boxes[3].items);
    boxes_free(boxes, 3);
    EXPECT(C(deep_out, &result, NULL, 0, 0) && result == 0);
    EXPECT(C(deep_out, &result, boxes, 0, 0) && result == 0);
    return 0;
}

/* The call fails, and nothing of it stays. */
static int calls_deep_out_refused(int how)
{
    struct box boxes[3] = {0};
    int result = 7;
    EXPECT(!C(deep_out, &result, boxes, 3, how) && result == AFTER_FAILURE(7));
    for (size_t i = 0; i < 3; i++) {
        EXPECT(!boxes[i].items && !boxes[i].raw && boxes[i].corner.x == 0);
    }
    return 0;
}
