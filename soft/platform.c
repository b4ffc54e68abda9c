/*
 * The platform: root key, seal fuses, CPUSVN, owner epoch, report key id; and what this CPU can
 * save.
 * Side: soft (untrusted; it plays the processor and its fuses). Called by the leaves and the
 * driver. Files are made atomically, so that processes that start together agree. Raw system calls
 * only. docs/formats/platform-directory.md describes the directory.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_*: as encls_build.c */
#include "soft/driver.h"
#include "soft/keys.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define KEY_FILE "root.key"
#define SVN_FILE "cpusvn"
#define EPOCH_FILE "epoch"
#define PATH_SIZE 640u

struct key_file {
    uint8_t magic[16];
    uint8_t root[32];
    uint8_t seal_fuses[16];
};
static const uint8_t key_magic[16] = "CELLA PLATFORM 1";

static struct {
    _Atomic uint32_t lock;
    _Atomic uint32_t loaded;
    struct key_file keys;
    uint8_t cpu_svn[16];
    uint8_t owner_epoch[16];
    uint8_t report_key_id[32];
    struct soft_platform_info info;
} g_platform;

static const uint8_t default_cpu_svn[16] = {1};

static bool random_bytes(void *data, size_t size)
{
    return soft_syscall(SYS_getrandom, data, size, 0, 0, 0, 0) == (long)size;
}

static int file_read(const char *path, void *data, size_t size)
{
    int fd = (int)soft_syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0) {
        return fd;
    }
    long got = soft_syscall(SYS_read, fd, data, size, 0, 0, 0);
    soft_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    return (int)got;
}

static int file_create(const char *path, const void *data, size_t size)
{
    int fd = (int)soft_syscall(SYS_openat, AT_FDCWD, path,
                               O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600, 0, 0);
    if (fd < 0) {
        return fd;
    }
    long put = soft_syscall(SYS_write, fd, data, size, 0, 0, 0);
    if (put == (long)size) {
        put = soft_syscall(SYS_fsync, fd, 0, 0, 0, 0, 0);
    } else {
        put = put < 0 ? put : -EIO;
    }
    soft_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    return (int)put;
}

/* A name beside `path` that nobody else uses. */
static void temporary_name(char *temporary, const char *path)
{
    uint64_t random = 0;
    random_bytes(&random, sizeof(random));
    snprintf(temporary, PATH_SIZE + 32, "%s.%016llx", path, (unsigned long long)random);
}

static int make_directories(char *path)
{
    for (char *at = path + 1;; at++) {
        if (*at != '/' && *at) {
            continue;
        }
        char kept = *at;
        *at = 0;
        long made = soft_syscall(SYS_mkdirat, AT_FDCWD, path, 0700, 0, 0, 0);
        *at = kept;
        if (made && made != -EEXIST && (made != -EROFS || !kept)) {
            return (int)made;
        }
        if (!kept) {
            return 0;
        }
    }
}

bool soft_platform_directory(char *directory, size_t size)
{
    const char *chosen = getenv("CELLA_PLATFORM_DIR");
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int used = -1;
    if (chosen && chosen[0]) {
        used = snprintf(directory, size, "%s", chosen);
    } else if (state && state[0] == '/') {
        used = snprintf(directory, size, "%s/cella/platform", state);
    } else if (home && home[0] == '/') {
        used = snprintf(directory, size, "%s/.local/state/cella/platform", home);
    }
    return used > 0 && (size_t)used < size;
}

static bool key_file_is_good(const struct key_file *keys, int size)
{
    return size == (int)sizeof(*keys) && !memcmp(keys->magic, key_magic, sizeof(key_magic));
}

static void key_file_make(struct key_file *keys)
{
    memcpy(keys->magic, key_magic, sizeof(key_magic));
    if (!random_bytes(keys->root, sizeof(keys->root)) ||
        !random_bytes(keys->seal_fuses, sizeof(keys->seal_fuses))) {
        abort(); /* no randomness: any key would be a known one */
    }
}

/* link() makes the file appear whole or not at all, and only for the first of several processes. */
static int key_file_load(const char *path, struct key_file *keys)
{
    int size = file_read(path, keys, sizeof(*keys));
    if (size == -ENOENT) {
        char temporary[PATH_SIZE + 32];
        temporary_name(temporary, path);
        key_file_make(keys);
        int made = file_create(temporary, keys, sizeof(*keys));
        if (!made) {
            made = (int)soft_syscall(SYS_linkat, AT_FDCWD, temporary, AT_FDCWD, path, 0, 0);
        }
        soft_syscall(SYS_unlinkat, AT_FDCWD, temporary, 0, 0, 0, 0);
        if (made && made != -EEXIST) {
            return made;
        }
        size = file_read(path, keys, sizeof(*keys));
    }
    if (size < 0) {
        return size;
    }
    return key_file_is_good(keys, size) ? 0 : -EBADMSG;
}

static int hex_digit(char digit)
{
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                          : -1;
}

/* 32 hexadecimal digits; false when the file is missing or is anything else. */
static bool hex_file_load(const char *path, uint8_t value[16])
{
    char text[33];
    if (file_read(path, text, sizeof(text)) < 32) {
        return false;
    }
    uint8_t parsed[16];
    for (size_t i = 0; i < 16; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        parsed[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(value, parsed, 16);
    return true;
}

static int hex_file_store(const char *name, const uint8_t value[16])
{
    char path[PATH_SIZE];
    char temporary[PATH_SIZE + 32];
    char text[34];
    if (g_platform.info.ephemeral) {
        return 0;
    }
    for (size_t i = 0; i < 16; i++) {
        snprintf(text + 2 * i, 3, "%02x", value[i]);
    }
    text[32] = '\n';
    snprintf(path, sizeof(path), "%s/%s", g_platform.info.directory, name);
    temporary_name(temporary, path);
    int result = file_create(temporary, text, 33);
    if (!result) {
        result = (int)soft_syscall(SYS_renameat, AT_FDCWD, temporary, AT_FDCWD, path, 0, 0);
    }
    if (result) {
        soft_syscall(SYS_unlinkat, AT_FDCWD, temporary, 0, 0, 0, 0);
    }
    return result;
}

static int load_directory(void)
{
    struct soft_platform_info *info = &g_platform.info;
    char path[PATH_SIZE];
    if (!soft_platform_directory(info->directory, sizeof(info->directory))) {
        return -ENOENT;
    }
    int result = make_directories(info->directory);
    if (result) {
        return result;
    }
    snprintf(path, sizeof(path), "%s/" KEY_FILE, info->directory);
    result = key_file_load(path, &g_platform.keys);
    if (result) {
        return result;
    }
    snprintf(path, sizeof(path), "%s/" SVN_FILE, info->directory);
    hex_file_load(path, g_platform.cpu_svn);
    snprintf(path, sizeof(path), "%s/" EPOCH_FILE, info->directory);
    hex_file_load(path, g_platform.owner_epoch);
    return 0;
}

/* Processes of one boot on one platform agree on it without a file. */
static void make_report_key_id(void)
{
    uint8_t boot[64] = {0};
    int size = file_read("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
    if (size <= 0 && !random_bytes(boot, sizeof(boot))) {
        abort();
    }
    SHA256_CTX hash;
    SHA256_Init(&hash);
    SHA256_Update(&hash, "report key id", 13);
    SHA256_Update(&hash, g_platform.keys.seal_fuses, sizeof(g_platform.keys.seal_fuses));
    SHA256_Update(&hash, boot, sizeof(boot));
    SHA256_Final(g_platform.report_key_id, &hash);
}

static void load_all(void)
{
    memset(&g_platform.info, 0, sizeof(g_platform.info));
    memset(g_platform.owner_epoch, 0, sizeof(g_platform.owner_epoch));
    memcpy(g_platform.cpu_svn, default_cpu_svn, sizeof(default_cpu_svn));
    int result = load_directory();
    if (result) {
        memset(&g_platform.info, 0, sizeof(g_platform.info));
        g_platform.info.ephemeral = true;
        g_platform.info.error = -result;
        key_file_make(&g_platform.keys);
    }
    make_report_key_id();
}

void soft_platform_load(void)
{
    if (atomic_load_explicit(&g_platform.loaded, memory_order_acquire)) {
        return;
    }
    uint64_t mask = soft_signals_block();
    soft_lock(&g_platform.lock);
    if (!g_platform.loaded) {
        load_all();
        atomic_store_explicit(&g_platform.loaded, 1, memory_order_release);
    }
    soft_unlock(&g_platform.lock);
    soft_signals_restore(mask);
}

void soft_platform_reset(void)
{
    g_platform.loaded = 0;
}

struct soft_platform_info soft_platform_info(void)
{
    soft_platform_load();
    return g_platform.info;
}

bool soft_cpu_svn_allowed(const uint8_t cpu_svn[16])
{
    soft_platform_load();
    for (size_t i = 0; i < 16; i++) {
        if (cpu_svn[i] > g_platform.cpu_svn[i]) {
            return false;
        }
    }
    return true;
}

void soft_platform_cpu_svn(uint8_t cpu_svn[16])
{
    soft_platform_load();
    memcpy(cpu_svn, g_platform.cpu_svn, 16);
}

int soft_platform_set_cpu_svn(const uint8_t cpu_svn[16])
{
    soft_platform_load();
    memcpy(g_platform.cpu_svn, cpu_svn, 16);
    return hex_file_store(SVN_FILE, cpu_svn);
}

void soft_platform_owner_epoch(uint8_t epoch[16])
{
    soft_platform_load();
    memcpy(epoch, g_platform.owner_epoch, 16);
}

int soft_platform_set_owner_epoch(const uint8_t epoch[16])
{
    soft_platform_load();
    memcpy(g_platform.owner_epoch, epoch, 16);
    return hex_file_store(EPOCH_FILE, epoch);
}

void soft_platform_seal_fuses(uint8_t fuses[16])
{
    soft_platform_load();
    memcpy(fuses, g_platform.keys.seal_fuses, 16);
}

void soft_platform_root_key(uint8_t key[32])
{
    soft_platform_load();
    memcpy(key, g_platform.keys.root, 32);
}

void soft_platform_report_key_id(uint8_t key_id[32])
{
    soft_platform_load();
    memcpy(key_id, g_platform.report_key_id, 32);
}

uint64_t soft_cpu_xcr0(void)
{
    static _Atomic uint64_t known;
    if (!known) {
        uint32_t low;
        uint32_t high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        known = (uint64_t)high << 32 | low;
    }
    return known;
}

/* CPUID traps under virtualisation: each component is asked for once. */
uint32_t soft_cpu_xsave_size(uint64_t xfrm)
{
    static _Atomic uint32_t ends[64]; /* end of the component plus 1, 0: not asked yet */
    uint32_t size = 512 + 64;
    for (uint32_t bit = 2; bit < 63; bit++) {
        if (!(xfrm >> bit & 1)) {
            continue;
        }
        if (!ends[bit]) {
            uint32_t length = 0;
            uint32_t offset = 0;
            uint32_t unused_c;
            uint32_t unused_d;
            __cpuid_count(0x0d, bit, length, offset, unused_c, unused_d);
            ends[bit] = offset + length + 1;
        }
        size = ends[bit] - 1 > size ? ends[bit] - 1 : size;
    }
    return size;
}
