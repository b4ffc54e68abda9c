/*
 * mbusafecrt.h and what string.h has beside the libc's.
 * Side: enclave, tests. Gives 0 or the line that failed.
 */
#include <errno.h>
#include <mbusafecrt.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#include "api_t.h"
#include "check.h"

static int copies(void)
{
    char text[8];
    CHECK(strcpy_s(text, sizeof(text), "seven..") == 0 && strcmp(text, "seven..") == 0);
    CHECK(strcpy_s(text, sizeof(text), "eight...") == ERANGE && text[0] == 0);
    CHECK(strcpy_s(NULL, sizeof(text), "x") == EINVAL && strcpy_s(text, 0, "x") == EINVAL);
    strcpy_s(text, sizeof(text), "x");
    CHECK(strcpy_s(text, sizeof(text), NULL) == EINVAL && text[0] == 0);
    CHECK(strncpy_s(text, sizeof(text), "truncated", 4) == 0 && strcmp(text, "trun") == 0);
    CHECK(strncpy_s(text, sizeof(text), "truncated", _TRUNCATE) == STRUNCATE);
    CHECK(strcmp(text, "truncat") == 0);
    CHECK(strncpy_s(text, 4, "truncated", 4) == ERANGE && text[0] == 0);
    strcpy_s(text, sizeof(text), "abc");
    CHECK(strcat_s(text, sizeof(text), "defg") == 0 && strcmp(text, "abcdefg") == 0);
    CHECK(strcat_s(text, sizeof(text), "h") == ERANGE && text[0] == 0);
    memset(text, 'x', sizeof(text)); /* without an end */
    CHECK(strcat_s(text, sizeof(text), "y") == EINVAL);
    strcpy_s(text, sizeof(text), "abc");
    CHECK(strncat_s(text, sizeof(text), "defgh", 2) == 0 && strcmp(text, "abcde") == 0);
    CHECK(strncat_s(text, sizeof(text), "fghij", _TRUNCATE) == STRUNCATE);
    CHECK(strcmp(text, "abcdefg") == 0);
    return 0;
}

static int wide(void)
{
    WCHAR text[8];
    CHECK(wcscpy_s(text, 8, L"seven..") == 0 && wcscmp(text, L"seven..") == 0);
    CHECK(wcscpy_s(text, 8, L"eight...") == ERANGE && text[0] == 0);
    CHECK(wcsncpy_s(text, 8, L"truncated", _TRUNCATE) == STRUNCATE);
    CHECK(wcscmp(text, L"truncat") == 0);
    wcscpy_s(text, 8, L"abc");
    CHECK(wcscat_s(text, 8, L"defg") == 0 && wcscmp(text, L"abcdefg") == 0);
    wcscpy_s(text, 8, L"abc");
    CHECK(wcsncat_s(text, 8, L"defg", 1) == 0 && wcscmp(text, L"abcd") == 0);
    CHECK(swprintf_s(text, 8, L"%d-%d", 12, 34) == 5 && wcscmp(text, L"12-34") == 0);
    return 0;
}

static int tokens(void)
{
    char list[] = ";;one;two,,three";
    char *state = NULL;
    CHECK(strcmp(strtok_s(list, ";,", &state), "one") == 0);
    CHECK(strcmp(strtok_s(NULL, ";,", &state), "two") == 0);
    CHECK(strcmp(strtok_s(NULL, ";,", &state), "three") == 0);
    CHECK(strtok_s(NULL, ";,", &state) == NULL);
    WCHAR wide_list[] = L"a b", *wide_state = NULL;
    CHECK(wcscmp(wcstok_s(wide_list, L" ", &wide_state), L"a") == 0);
    CHECK(wcscmp(wcstok_s(NULL, L" ", &wide_state), L"b") == 0);
    CHECK(wcstok_s(NULL, L" ", &wide_state) == NULL);
    return 0;
}

static int numbers(void)
{
    char text[66];
    WCHAR wide_text[66];
    CHECK(_itoa_s(-42, text, sizeof(text), 10) == 0 && strcmp(text, "-42") == 0);
    CHECK(_itoa_s(-1, text, sizeof(text), 16) == 0 && strcmp(text, "ffffffff") == 0);
    CHECK(_ltoa_s(35, text, sizeof(text), 36) == 0 && strcmp(text, "z") == 0);
    CHECK(_ultoa_s(255, text, sizeof(text), 2) == 0 && strcmp(text, "11111111") == 0);
    CHECK(_i64toa_s(INT64_MIN, text, sizeof(text), 10) == 0);
    CHECK(strcmp(text, "-9223372036854775808") == 0);
    CHECK(_ui64toa_s(UINT64_MAX, text, sizeof(text), 10) == 0);
    CHECK(strcmp(text, "18446744073709551615") == 0);
    CHECK(_itoa_s(100, text, 3, 10) == ERANGE && text[0] == 0);
    CHECK(_itoa_s(1, text, sizeof(text), 1) == EINVAL &&
          _itoa_s(1, text, sizeof(text), 37) == EINVAL);
    CHECK(_itoa_s(1, NULL, 5, 10) == EINVAL && _itoa_s(1, text, 0, 10) == EINVAL);
    CHECK(_itow_s(-7, wide_text, 66, 10) == 0 && wcscmp(wide_text, L"-7") == 0);
    CHECK(_ui64tow_s(10, wide_text, 66, 16) == 0 && wcscmp(wide_text, L"a") == 0);
    return 0;
}

static int prints(void)
{
    char text[8];
    CHECK(sprintf_s(text, sizeof(text), "%s-%d", "ab", 12) == 5 && strcmp(text, "ab-12") == 0);
    CHECK(sprintf_s(text, sizeof(text), "%s", "eight...") == -1 && text[0] == 0);
    CHECK(_snprintf_s(text, sizeof(text), 3, "%s", "abcdef") == -1 && strcmp(text, "abc") == 0);
    CHECK(_snprintf_s(text, sizeof(text), _TRUNCATE, "%s", "abcdefgh") == -1);
    CHECK(strcmp(text, "abcdefg") == 0);
    CHECK(sprintf_s(NULL, sizeof(text), "x") == -1);
    return 0;
}

static int memories(void)
{
    uint8_t from[16], to[16];
    memset(from, 7, sizeof(from));
    memset(to, 1, sizeof(to));
    CHECK(memcpy_s(to, sizeof(to), from, 10) == 0 && to[9] == 7 && to[10] == 1);
    CHECK(memcpy_s(to, 8, from, 9) == ERANGE && to[0] == 0 && to[7] == 0 && to[8] == 7);
    CHECK(memcpy_s(NULL, 8, from, 8) == EINVAL && memcpy_s(to, 8, from, 0) == 0);
    to[0] = 9;
    CHECK(memcpy_s(to, 8, NULL, 8) == EINVAL && to[0] == 0);
    for (uint8_t i = 0; i < 16; i++) {
        to[i] = i;
    }
    CHECK(memmove_s(to + 1, 15, to, 15) == 0 && to[1] == 0 && to[15] == 14);
    CHECK(memmove_verw_s(to, 16, to + 1, 15) == 0 && to[0] == 0 && to[14] == 14);
    CHECK(memcpy_verw_s(to, 16, from, 16) == 0 && memcmp(to, from, 16) == 0);
    CHECK(memset_s(to, sizeof(to), 3, 8) == 0 && to[7] == 3 && to[8] == 7);
    CHECK(memset_s(to, 4, 5, 8) != 0 && to[3] == 5 && to[4] == 3); /* C11: fills what there is */
    CHECK(memset_s(NULL, 4, 5, 4) != 0);
    memset_verw(to, 6, sizeof(to));
    memcpy_verw(to, from, 8);
    memmove_verw(to + 8, to, 4);
    CHECK(to[7] == 7 && to[8] == 7 && to[11] == 7 && to[12] == 6);
    CHECK(consttime_memequal(to, from, 12) == 1 && consttime_memequal(to, from, 13) == 0);
    CHECK(strlcpy((char *)to, "longer than it is", 8) == 17 && strcmp((char *)to, "longer ") == 0);
    return 0;
}

int test_strings(void)
{
    static int (*const parts[])(void) = {copies, wide, tokens, numbers, prints, memories};
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const int line = parts[i]();
        if (line != 0) {
            return line;
        }
    }
    return 0;
}
