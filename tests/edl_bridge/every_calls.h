/*
 * Calls of every function of every.edl and what must come of them, for either side: C(name, …) calls the other side's
 * function and says whether the call itself succeeded.
 * Side: both. Included by every_enclave.c and every_host.h, which use some. Each function gives 0, or the line that failed. No libc.
 */
#define MAYBE_UNUSED __attribute__((unused))
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return __LINE__;                                                                       \
        }                                                                                          \
    } while (0)

MAYBE_UNUSED static int calls_scalars(CONTEXT)
{
    int sum = 0;
    long double wide = 0;
    struct point point = {0, 0};
    const struct point p = {3, 4};
    union number u;
    u.words[0] = 10;
    u.words[1] = 20;
    EXPECT(C(scalars, &sum, 1, 2, 3, 4, 5, 6.5F, 7.25, true, L'a', 9, BLUE));
    EXPECT(sum == 1 + 2 + 3 + 4 + 5 + 6 + 7 + 1 + 'a' + 9 + 6);
    EXPECT(C0(nothing));
    EXPECT(C(wide, &wide, 2.5L));
    EXPECT(wide >= 6.0L);
    EXPECT(C(struct, &point, p, u));
    EXPECT(point.x == 14 && point.y == 23);
    return 0;
}

MAYBE_UNUSED static int calls_buffers(CONTEXT)
{
    static uint8_t big[100000];
    uint8_t bytes[37];
    uint32_t words[9];
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof(big); i++) {
        big[i] = (uint8_t)(i * 7);
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)i;
    }
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        EXPECT(C(in, &sum, bytes, size));
        EXPECT(sum == bytes_sum(bytes, size) || (size == 0 && sum == 77));
    }
    EXPECT(C(in, &sum, big, sizeof(big)) && sum == bytes_sum(big, sizeof(big)));
    EXPECT(C(in, &sum, NULL, 5) && sum == 77);
    for (int i = 0; i < 9; i++) {
        words[i] = 0xAAAAAAAA;
    }
    EXPECT(CV(out, words, 8));
    for (int i = 0; i < 8; i++) {
        EXPECT(words[i] == (uint32_t)i * 3 + 1);
    }
    EXPECT(words[8] == 0xAAAAAAAA);
    EXPECT(CV(out, NULL, 8));
    EXPECT(CV(in_out, bytes + 1, 20)); /* neither aligned nor a multiple of 8 */
    for (int i = 0; i < 37; i++) {
        EXPECT(bytes[i] == (i >= 1 && i < 21 ? (i ^ 0x5A) : i));
    }
    EXPECT(!CV(out, words, -1));
    EXPECT(words[8] == 0xAAAAAAAA && words[0] == 1);
    return 0;
}

MAYBE_UNUSED static int calls_pointers(CONTEXT)
{
    const struct point p = {7, 8};
    struct point q = {1, 1};
    enum color color = RED;
    int result = 0;
    int a[2][3] = {{1, 2, 3}, {4, 5, 6}};
    int b[4] = {9, 9, 9, 9};
    uint8_t c[5] = {1, 2, 3, 4, 5};
    uint8_t bytes[3] = {1, 2, 3};
    four_ints four = {1, 2, 3, 4};
    const handle_t handle = {40};
    EXPECT(C(one, &result, &p, &q, &color));
    EXPECT(result == 7 && q.x == 8 && q.y == 7 && color == GREEN);
    EXPECT(C(arrays, &result, a, b, c));
    EXPECT(result == 21 && b[0] == 21 && b[3] == 24 && c[0] == 2 && c[4] == 6);
    EXPECT(C(foreign, &result, bytes, 3, four, handle));
    EXPECT(result == (int)bytes_sum(bytes, 3) && four[0] == 41 && four[3] == 44);
    return 0;
}

MAYBE_UNUSED static int calls_strings(CONTEXT)
{
    char text[] = "abcX";
    wchar_t wide[] = L"abc";
    char nothing[] = "";
    size_t size = 0;
    EXPECT(C(string, &size, "hello", text));
    EXPECT(size == 5 && text[0] == 'A' && text[2] == 'C' && text[3] == 'X' && text[4] == 0);
    EXPECT(C(string, &size, "", nothing) && size == 0 && nothing[0] == 0);
    EXPECT(C(string, &size, NULL, NULL) && size == 1000);
    EXPECT(C(wstring, &size, L"four", wide));
    EXPECT(size == 4 && wide[0] == L'b' && wide[2] == L'd' && wide[3] == 0);
    EXPECT(C(wstring, &size, L"", NULL) && size == 0);
    return 0;
}

MAYBE_UNUSED static int calls_deep(CONTEXT)
{
    uint32_t values[3][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}};
    uint8_t raw[3] = {1, 2, 3};
    struct item items[3] = {{values[0], 4, 1}, {NULL, 4, 2}, {values[2], 0, 3}};
    struct item others[2] = {{values[0], 4, 10}, {values[1], 2, 20}};
    struct box boxes[2] = {{others, 2, raw, 3, {1, 2}}, {NULL, 9, NULL, 0, {3, 4}}};
    uint64_t sum = 0;
    uint64_t wanted = 6 + 8000 + bytes_sum(values[0], 16) + 5;
    EXPECT(C(deep_in, &sum, items, 3));
    EXPECT(sum == wanted + bytes_sum(values[2], 0) || sum == wanted + 5);
    EXPECT(C(deep_in, &sum, items, 0) && sum == 0);
    EXPECT(C(deep_in, &sum, NULL, 0) && sum == 0);
    EXPECT(items[0].values == values[0] && items[1].values == NULL);
    EXPECT(C(deep_in_out, &sum, boxes, 2));
    EXPECT(sum == 6 && boxes[0].items == others && boxes[0].raw == raw && !boxes[1].items);
    EXPECT(others[0].values == values[0] && others[0].tag == 11 && others[1].tag == 21);
    EXPECT(values[0][0] == 11 && values[0][3] == 14 && values[1][0] == 25 && values[1][1] == 26);
    EXPECT(values[1][2] == 7 && raw[0] == 0xFE && raw[2] == 0xFC);
    EXPECT(boxes[0].corner.x == 2 && boxes[1].corner.y == 3 && boxes[1].item_count == 9);
    return 0;
}

MAYBE_UNUSED static int calls_switchless(CONTEXT)
{
    int numbers[4] = {1, 2, 3, -4};
    int sum = 0;
    EXPECT(C(switchless, &sum, numbers, 4));
    EXPECT(sum == 2 && numbers[0] == -1 && numbers[3] == 4);
    return 0;
}
