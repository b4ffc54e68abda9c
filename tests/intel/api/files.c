/*
 * sgx_tprotected_fs.h, every call.
 * Side: enclave, tests. Each function gives 0 or the line that failed.
 */
#include "sgx_tprotected_fs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api_t.h"
#include "check.h"
#include "sgx_error.h"

#define BIG 20000u

static char name[300];

static const char *path_of(const char *folder, const char *file)
{
    snprintf(name, sizeof(name), "%s/%s", folder, file);
    return name;
}

static int write_and_read(SGX_FILE *file)
{
    static uint8_t bytes[BIG], back[BIG];
    for (size_t i = 0; i < BIG; i++) {
        bytes[i] = (uint8_t)(i * 13 + i / 256);
    }
    CHECK(sgx_fwrite(bytes, 1, BIG, file) == BIG && sgx_ftell(file) == BIG);
    CHECK(sgx_fflush(file) == 0 && sgx_fset_parallel_level(file, 2) == 0);
    CHECK(sgx_fseek(file, 0, SEEK_SET) == 0 && sgx_fread(back, 100, BIG / 100, file) == BIG / 100);
    CHECK(memcmp(bytes, back, BIG) == 0 && sgx_feof(file) == 0);
    CHECK(sgx_fread(back, 1, 1, file) == 0 && sgx_feof(file) == 1 && sgx_ferror(file) == 0);
    sgx_clearerr(file);
    CHECK(sgx_feof(file) == 0);
    CHECK(sgx_fclear_cache(file) == 0);
    CHECK(sgx_fseek(file, -5, SEEK_END) == 0 && sgx_ftell(file) == BIG - 5);
    CHECK(sgx_fread(back, 1, 10, file) == 5 && memcmp(back, bytes + BIG - 5, 5) == 0);
    CHECK(sgx_fseek(file, 4090, SEEK_SET) == 0 && sgx_fwrite("across", 6, 1, file) == 1);
    CHECK(sgx_fseek(file, -6, SEEK_CUR) == 0 && sgx_fread(back, 6, 1, file) == 1);
    CHECK(memcmp(back, "across", 6) == 0);
    CHECK(sgx_fseek(file, -1, SEEK_SET) == -1 && sgx_fseek(file, 0, 77) == -1);
    return 0;
}

static int modes(const char *folder, const sgx_key_128bit_t *key)
{
    char back[16] = {0};
    CHECK(sgx_fopen(path_of(folder, "modes"), "r", key) == NULL && errno == ENOENT);
    CHECK(sgx_fopen(name, "x", key) == NULL && sgx_fopen(name, NULL, key) == NULL);
    CHECK(sgx_fopen(NULL, "w", key) == NULL && sgx_fopen(name, "w", NULL) == NULL);
    SGX_FILE *file = sgx_fopen(name, "w", key);
    CHECK(file && sgx_fwrite("first", 1, 5, file) == 5);
    CHECK(sgx_fread(back, 1, 1, file) == 0 && sgx_ferror(file) != 0);
    sgx_clearerr(file);
    CHECK(sgx_ferror(file) == 0 && sgx_fclose(file) == 0);
    file = sgx_fopen(name, "a", key);
    CHECK(file && sgx_fwrite("+second", 1, 7, file) == 7 && sgx_fclose(file) == 0);
    file = sgx_fopen(name, "r", key);
    CHECK(file && sgx_fread(back, 1, sizeof(back), file) == 12);
    CHECK(memcmp(back, "first+second", 12) == 0 && sgx_fwrite("x", 1, 1, file) == 0);
    CHECK(sgx_fclose(file) == 0);
    file = sgx_fopen(name, "r+", key);
    CHECK(file && sgx_fwrite("FIRST", 1, 5, file) == 5 && sgx_fclose(file) == 0);
    file = sgx_fopen(name, "a+", key);
    CHECK(file && sgx_fseek(file, 0, SEEK_SET) == 0 && sgx_fread(back, 1, 6, file) == 6);
    CHECK(memcmp(back, "FIRST+", 6) == 0 && sgx_fclose(file) == 0);
    file = sgx_fopen(name, "w+", key);
    CHECK(file && sgx_fread(back, 1, 1, file) == 0 && sgx_fclose(file) == 0);
    CHECK(sgx_remove(name) == 0 && sgx_remove(name) != 0 && sgx_remove(NULL) != 0);
    return 0;
}

/* The wrong key, another name, no such file. */
static int refused(const char *folder, sgx_key_128bit_t *key)
{
    char second[300];
    SGX_FILE *file = sgx_fopen(path_of(folder, "refused"), "w", (const sgx_key_128bit_t *)key);
    CHECK(file && sgx_fwrite("x", 1, 1, file) == 1 && sgx_fclose(file) == 0);
    (*key)[0] ^= 1;
    CHECK(sgx_fopen(name, "r", (const sgx_key_128bit_t *)key) == NULL);
    CHECK(errno == SGX_ERROR_MAC_MISMATCH);
    (*key)[0] ^= 1;
    CHECK(sgx_fopen_auto_key(name, "r") == NULL);
    snprintf(second, sizeof(second), "%s/plain", folder); /* made by the host */
    CHECK(sgx_fopen(second, "r", (const sgx_key_128bit_t *)key) == NULL);
    CHECK(errno == SGX_ERROR_FILE_NOT_SGX_FILE);
    CHECK(sgx_fwrite("x", 1, 1, NULL) == 0 && sgx_fread(second, 1, 1, NULL) == 0);
    CHECK(sgx_ftell(NULL) == -1 && sgx_fseek(NULL, 0, SEEK_SET) == -1 && sgx_fflush(NULL) != 0);
    CHECK(sgx_ferror(NULL) == -1 && sgx_feof(NULL) == -1 && sgx_fclose(NULL) != 0);
    CHECK(sgx_fclear_cache(NULL) != 0 && sgx_fset_parallel_level(NULL, 1) != 0);
    sgx_clearerr(NULL);
    CHECK(sgx_remove(name) == 0);
    return 0;
}

static int with_cache(const char *folder)
{
    char back[4];
    CHECK(sgx_fopen_ex(path_of(folder, "cache"), "w", NULL, 4095) == NULL && errno == EINVAL);
    SGX_FILE *file = sgx_fopen_ex(name, "w+", NULL, 64 * 4096);
    CHECK(file != NULL);
    for (unsigned i = 0; i < 200; i++) {
        unsigned page[1024] = {i};
        CHECK(sgx_fwrite(page, sizeof(page), 1, file) == 1);
    }
    CHECK(sgx_fseek(file, 201 * 4096, SEEK_SET) == -1); /* beyond the end, as in the original */
    for (unsigned i = 200; i > 0; i--) {
        unsigned got = 0;
        CHECK(sgx_fseek(file, (int64_t)(i - 1) * 4096, SEEK_SET) == 0);
        CHECK(sgx_fread(&got, sizeof(got), 1, file) == 1 && got == i - 1);
    }
    CHECK(sgx_fclose(file) == 0);
    file = sgx_fopen_auto_key(name, "r");
    CHECK(file && sgx_fread(back, 4, 1, file) == 1 && sgx_fclose(file) == 0);
    CHECK(sgx_remove(name) == 0);
    return 0;
}

int test_files(const char *folder)
{
    sgx_key_128bit_t key;
    memset(key, 0x42, sizeof(key));
    SGX_FILE *file = sgx_fopen(path_of(folder, "own_key"), "w+", (const sgx_key_128bit_t *)&key);
    CHECK(file != NULL);
    int line = write_and_read(file);
    CHECK(sgx_fclose(file) == 0 && sgx_remove(name) == 0);
    file = sgx_fopen_auto_key(path_of(folder, "auto_key"), "w+");
    CHECK(file != NULL);
    line = line ? line : write_and_read(file);
    CHECK(sgx_fclose(file) == 0 && sgx_remove(name) == 0);
    line = line ? line : modes(folder, (const sgx_key_128bit_t *)&key);
    line = line ? line : refused(folder, &key);
    return line ? line : with_cache(folder);
}

/* A file with the automatic key, for another enclave. */
int file_make(const char *file_name, uint8_t *key)
{
    SGX_FILE *file = sgx_fopen_auto_key(file_name, "w");
    CHECK(file && sgx_fwrite("moved", 1, 5, file) == 5 && sgx_fclose(file) == 0);
    CHECK(sgx_fexport_auto_key(file_name, (sgx_key_128bit_t *)key) == 0);
    CHECK(sgx_fexport_auto_key(file_name, NULL) != 0 && sgx_fexport_auto_key(NULL, NULL) != 0);
    return 0;
}

/* The other enclave makes it its own. */
int file_take(const char *file_name, const uint8_t *key)
{
    char back[8] = {0};
    sgx_key_128bit_t wrong = {1};
    CHECK(sgx_fopen_auto_key(file_name, "r") == NULL);
    CHECK(sgx_fimport_auto_key(file_name, (const sgx_key_128bit_t *)&wrong) != 0);
    CHECK(sgx_fimport_auto_key(file_name, NULL) != 0);
    CHECK(sgx_fimport_auto_key(file_name, (const sgx_key_128bit_t *)key) == 0);
    SGX_FILE *file = sgx_fopen_auto_key(file_name, "r");
    CHECK(file && sgx_fread(back, 1, 5, file) == 5 && memcmp(back, "moved", 5) == 0);
    CHECK(sgx_fclose(file) == 0);
    return 0;
}

/* Altered by the host meanwhile: it does not open, or reading it fails. */
int file_refused(const char *file_name)
{
    char back[8];
    SGX_FILE *file = sgx_fopen_auto_key(file_name, "r");
    if (file) {
        CHECK(sgx_fread(back, 1, 5, file) == 0 && sgx_ferror(file) != 0);
        sgx_fclose(file);
    }
    return 0;
}
