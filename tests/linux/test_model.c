/*
 * Random calls on paths and descriptors, made in the program's tree and to the real kernel in a folder: answers, errors,
 * content, names and modes must be the same.
 * Side: tests. test_model [memory|host|encrypted] [seed [steps]]; without arguments all, several seeds.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/program.h"
#include "tests/linux/world.h"

#define FDS 12
#define PATH_SIZE 1024

static uint64_t state;
static bool is_host, is_encrypted;
static int inside_fds[FDS], outside_fds[FDS];
static char log_lines[400][700];
static unsigned long log_count;

static uint32_t pick(uint32_t count)
{
    return (uint32_t)(world_random(&state) % count);
}

static void note(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(log_lines[log_count++ % 400], sizeof(log_lines[0]), format, list);
    va_end(list);
}

static void __attribute__((noreturn)) differ(const char *what, long inside, long outside)
{
    fprintf(stderr, "%s: inside %ld (%s), outside %ld (%s)\n", what, inside,
            inside < 0 ? strerror((int)-inside) : "", outside,
            outside < 0 ? strerror((int)-outside) : "");
    const unsigned long first = log_count > 350 ? log_count - 350 : 0;
    for (unsigned long i = first; i < log_count; i++) {
        fprintf(stderr, "  %s\n", log_lines[i % 400]);
    }
    exit(1);
}

/* Both answers must be the same. */
static long same(const char *what, long inside, long outside)
{
    if (inside != outside) {
        differ(what, inside, outside);
    }
    return inside;
}

static long real(long number, ...)
{
    uint64_t words[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) {
        words[i] = va_arg(list, uint64_t);
    }
    va_end(list);
    const long result = syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
    return result < 0 ? -errno : result;
}
#define REAL(number, ...) real((number), __VA_ARGS__, 0ul, 0ul, 0ul, 0ul, 0ul, 0ul)

static const char *const names[] = {"a", "b", "c", "d", "e"};

/* Up to four parts; ".." only as often as names went down, plus what the start allows. */
static void path_make(char *path)
{
    static char long_name[300];
    const uint32_t parts = 1 + pick(3);
    size_t used = 0;
    int up = 0;
    if (pick(60) == 0) {
        path[0] = 0;
        return;
    }
    for (uint32_t i = 0; i < parts; i++) {
        const uint32_t what = pick(20);
        const char *part = names[pick(5)];
        if (what == 0) {
            part = ".";
        } else if (what == 1 && up < 1) {
            part = "..";
            up++;
        } else if (what == 2 && pick(10) == 0) {
            memset(long_name, 'x', 290);
            long_name[pick(2) ? 255 : 256] = 0;
            part = long_name;
        }
        used += (size_t)snprintf(path + used, PATH_SIZE - used, "%s%s", part,
                                 i + 1 < parts ? (pick(15) ? "/" : "//")
                                 : pick(12)    ? ""
                                               : "/");
    }
}

static uint32_t open_flags(void)
{
    static const uint32_t extra[] = {O_CREAT,  O_CREAT,    O_CREAT,     O_EXCL, O_TRUNC,
                                     O_APPEND, O_NOFOLLOW, O_DIRECTORY, O_PATH, O_CLOEXEC};
    uint32_t flags = pick(3);
    for (uint32_t i = 0, count = pick(4); i < count; i++) {
        flags |= extra[pick(sizeof(extra) / sizeof(extra[0]))];
    }
    if ((flags & O_CREAT) != 0) {
        flags &= ~(uint32_t)O_DIRECTORY; /* what it means has changed between versions of Linux */
    }
    if ((flags & O_EXCL) != 0 && (flags & O_CREAT) == 0) {
        flags &= ~(uint32_t)O_EXCL;
    }
    return flags;
}

static int slot_free(void)
{
    for (int i = 0; i < FDS; i++) {
        if (inside_fds[i] < 0) {
            return i;
        }
    }
    return -1;
}

static void close_one(int slot)
{
    same("close", CALL(SYS_close, W(inside_fds[slot])), REAL(SYS_close, W(outside_fds[slot])));
    inside_fds[slot] = outside_fds[slot] = -1;
}

static void fd_keep(const char *what, long inside, long outside)
{
    if (inside < 0 || outside < 0) {
        same(what, inside, outside);
        return;
    }
    int slot = slot_free();
    if (slot < 0) {
        slot = (int)pick(FDS);
        close_one(slot);
    }
    inside_fds[slot] = (int)inside;
    outside_fds[slot] = (int)outside;
}

static void try_open(const char *path)
{
    const uint32_t flags = open_flags(), mode = pick(2) ? 0644 : 0600;
    note("open %s %o %o", path, flags, mode);
    fd_keep("open", CALL(SYS_open, W(path), W(flags), W(mode)),
            REAL(SYS_open, W(path), W(flags), W(mode)));
}

static void stat_same(const char *what, long inside, long outside, const struct stat *a,
                      const struct stat *b)
{
    same(what, inside, outside);
    if (inside != 0) {
        return;
    }
    same("st_mode", (long)a->st_mode, (long)b->st_mode);
    if (!S_ISDIR(a->st_mode)) {
        same("st_size", a->st_size, b->st_size);
        same("st_nlink", (long)a->st_nlink, (long)b->st_nlink);
    } else if (!is_host) {
        same("st_nlink of a directory", (long)a->st_nlink, (long)b->st_nlink);
    }
}

static void try_stat(const char *path)
{
    struct stat a, b;
    const bool of_link = pick(2);
    note("%s %s", of_link ? "lstat" : "stat", path);
    const long number = of_link ? SYS_lstat : SYS_stat;
    const long inside = CALL(number, W(path), W(&a));
    stat_same("stat", inside, REAL(number, W(path), W(&b)), &a, &b);
    const uint32_t mode = pick(8);
    note("access %s %o", path, mode);
    same("access", CALL(SYS_access, W(path), W(mode)), REAL(SYS_access, W(path), W(mode)));
}

static void try_readlink(const char *path)
{
    char a[64] = "", b[64] = "";
    const uint64_t size = pick(3) ? 64 : pick(4);
    note("readlink %s %lu", path, size);
    const long inside = CALL(SYS_readlink, W(path), W(a), size);
    same("readlink", inside, REAL(SYS_readlink, W(path), W(b), size));
    if (inside > 0 && memcmp(a, b, (size_t)inside) != 0) {
        differ("the link's text", 0, 1);
    }
}

static void try_names(const char *path)
{
    char other[PATH_SIZE];
    path_make(other);
    const uint32_t mode = pick(2) ? 0755 : 0700;
    const uint32_t flags = pick(4) == 0 ? 1 + pick(is_encrypted ? 1 : 2) : 0;
    switch (pick(9)) {
    case 0:
    case 1:
        note("mkdir %s", path);
        same("mkdir", CALL(SYS_mkdir, W(path), W(mode)), REAL(SYS_mkdir, W(path), W(mode)));
        break;
    case 2:
        note("rmdir %s", path);
        same("rmdir", CALL(SYS_rmdir, W(path)), REAL(SYS_rmdir, W(path)));
        break;
    case 3:
        note("unlink %s", path);
        same("unlink", CALL(SYS_unlink, W(path)), REAL(SYS_unlink, W(path)));
        break;
    case 4:
    case 5:
        note("rename %s %s %u", path, other, flags);
        same("rename", CALL(SYS_renameat2, W(AT_FDCWD), W(path), W(AT_FDCWD), W(other), W(flags)),
             REAL(SYS_renameat2, W(AT_FDCWD), W(path), W(AT_FDCWD), W(other), W(flags)));
        break;
    case 6: {
        if (is_encrypted) {
            break; /* two names for what is bound to one */
        }
        const uint64_t follow = pick(2) ? AT_SYMLINK_FOLLOW : 0;
        note("link %s %s %lu", path, other, follow);
        same("link", CALL(SYS_linkat, W(AT_FDCWD), W(path), W(AT_FDCWD), W(other), follow),
             REAL(SYS_linkat, W(AT_FDCWD), W(path), W(AT_FDCWD), W(other), follow));
        break;
    }
    case 7:
        note("symlink %s %s", other, path);
        same("symlink", CALL(SYS_symlink, W(other), W(path)), REAL(SYS_symlink, W(other), W(path)));
        break;
    default: {
        const uint64_t size = pick(20000);
        note("truncate %s %lu", path, size);
        same("truncate", CALL(SYS_truncate, W(path), size), REAL(SYS_truncate, W(path), size));
        break;
    }
    }
}

static void try_mode(const char *path)
{
    const uint32_t mode = 0400 | pick(01000);
    if (pick(2)) {
        note("chmod %s %o", path, mode);
        same("chmod", CALL(SYS_chmod, W(path), W(mode)), REAL(SYS_chmod, W(path), W(mode)));
        return;
    }
    const struct timespec times[2] = {{.tv_sec = pick(1000000), .tv_nsec = pick(1000)},
                                      {.tv_sec = pick(1000000), .tv_nsec = 1000 * pick(1000)}};
    struct stat a, b;
    note("utimensat %s", path);
    const long inside = CALL(SYS_utimensat, W(AT_FDCWD), W(path), W(times), W(0));
    same("utimensat", inside, REAL(SYS_utimensat, W(AT_FDCWD), W(path), W(times), W(0)));
    if (inside == 0) {
        stat_same("stat", CALL(SYS_stat, W(path), W(&a)), REAL(SYS_stat, W(path), W(&b)), &a, &b);
        same("st_mtime", a.st_mtim.tv_sec, b.st_mtim.tv_sec);
        same("st_mtime's nanoseconds", a.st_mtim.tv_nsec, b.st_mtim.tv_nsec);
        same("st_atime", a.st_atim.tv_sec, b.st_atim.tv_sec);
    }
}

static bool is_regular(int slot)
{
    struct stat status;
    return fstat(outside_fds[slot], &status) == 0 && S_ISREG(status.st_mode);
}

static void try_transfer(int slot)
{
    static uint8_t a[20000], b[20000];
    const uint64_t size = pick(4) ? pick(600) : pick(20000), offset = pick(30000);
    const uint64_t in = W(inside_fds[slot]), out = W(outside_fds[slot]);
    const bool writing = pick(2), positioned = pick(2);
    memset(a, 0xEE, sizeof(a));
    for (uint64_t i = 0; writing && i < size; i++) {
        a[i] = (uint8_t)world_random(&state);
    }
    memcpy(b, a, sizeof(a));
    note("%s%s %d %lu at %lu", positioned ? "p" : "", writing ? "write" : "read", slot, size,
         offset);
    const long number = writing      ? positioned ? SYS_pwrite64 : SYS_write
                        : positioned ? SYS_pread64
                                     : SYS_read;
    same("transfer", CALL(number, in, W(a), size, offset), REAL(number, out, W(b), size, offset));
    if (memcmp(a, b, sizeof(a)) != 0) {
        differ("content", 0, 1);
    }
}

static void try_seek(int slot)
{
    static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END, 7};
    const int whence = whences[pick(4)];
    const int64_t offset = (int64_t)pick(30000) - 5000;
    struct stat status;
    if (fstat(outside_fds[slot], &status) == 0 && S_ISDIR(status.st_mode)) {
        return; /* positions of directories are each kernel's own */
    }
    note("lseek %d %ld %d", slot, offset, whence);
    same("lseek", CALL(SYS_lseek, W(inside_fds[slot]), W(offset), W(whence)),
         REAL(SYS_lseek, W(outside_fds[slot]), W(offset), W(whence)));
}

static void try_reserve(int slot)
{
    static const uint64_t modes[] = {0, 1, 3, 16, 17, 2};
    const uint64_t mode = modes[pick(6)], offset = pick(20000), size = pick(20000);
    if (is_host && mode != 0) {
        return;
    }
    if ((mode & 16) != 0) {
        return; /* a tmpfs cannot zero ranges */
    }
    note("fallocate %d %lu %lu %lu", slot, mode, offset, size);
    same("fallocate", CALL(SYS_fallocate, W(inside_fds[slot]), mode, offset, size),
         REAL(SYS_fallocate, W(outside_fds[slot]), mode, offset, size));
}

static void try_copy(int slot)
{
    const int to = (int)pick(FDS);
    const uint64_t size = pick(9000);
    if (inside_fds[to] < 0) {
        return;
    }
    if (pick(2) && is_regular(slot)) {
        note("sendfile %d %d %lu", to, slot, size);
        same("sendfile", CALL(SYS_sendfile, W(inside_fds[to]), W(inside_fds[slot]), W(0), size),
             REAL(SYS_sendfile, W(outside_fds[to]), W(outside_fds[slot]), W(0), size));
        return;
    }
    note("copy_file_range %d %d %lu", slot, to, size);
    same("copy_file_range",
         CALL(SYS_copy_file_range, W(inside_fds[slot]), W(0), W(inside_fds[to]), W(0), size, W(0)),
         REAL(SYS_copy_file_range, W(outside_fds[slot]), W(0), W(outside_fds[to]), W(0), size,
              W(0)));
}

static void try_at(int slot, const char *path)
{
    const uint64_t in = W(inside_fds[slot]), out = W(outside_fds[slot]);
    struct stat a, b;
    switch (pick(5)) {
    case 0: {
        const uint32_t flags = open_flags();
        note("openat %d %s %o", slot, path, flags);
        fd_keep("openat", CALL(SYS_openat, in, W(path), W(flags), W(0640)),
                REAL(SYS_openat, out, W(path), W(flags), W(0640)));
        break;
    }
    case 1:
        note("mkdirat %d %s", slot, path);
        same("mkdirat", CALL(SYS_mkdirat, in, W(path), W(0711)),
             REAL(SYS_mkdirat, out, W(path), W(0711)));
        break;
    case 2: {
        const uint64_t flags = pick(2) ? AT_REMOVEDIR : 0;
        note("unlinkat %d %s %lu", slot, path, flags);
        same("unlinkat", CALL(SYS_unlinkat, in, W(path), flags),
             REAL(SYS_unlinkat, out, W(path), flags));
        break;
    }
    case 3: {
        const uint64_t flags =
            (pick(2) ? AT_SYMLINK_NOFOLLOW : 0) | (pick(2) && !is_encrypted ? AT_EMPTY_PATH : 0);
        note("newfstatat %d '%s' %lu", slot, path, flags);
        const long inside = CALL(SYS_newfstatat, in, W(path), W(&a), flags);
        stat_same("newfstatat", inside, REAL(SYS_newfstatat, out, W(path), W(&b), flags), &a, &b);
        break;
    }
    default:
        note("fchdir %d", slot);
        if (same("fchdir", CALL(SYS_fchdir, in), REAL(SYS_fchdir, out)) == 0) {
            note("(went there)");
        }
        break;
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of a directory with their types, sorted: from getdents64 in buffers of a random size. */
static size_t names_take(bool inside, int fd, char *list[64], char storage[64][64])
{
    _Alignas(8) uint8_t bytes[512];
    size_t count = 0;
    for (;;) {
        const uint64_t size = 64 + 8 * pick(56);
        const long got = inside ? CALL(SYS_getdents64, W(fd), W(bytes), size)
                                : REAL(SYS_getdents64, W(fd), W(bytes), size);
        if (got == -EINVAL) {
            continue; /* not even one fits */
        }
        if (got <= 0) {
            break;
        }
        for (long at = 0; at < got;) {
            struct dirent64 *entry = (struct dirent64 *)(bytes + at);
            if (count < 64 && strlen(entry->d_name) < 24) {
                snprintf(storage[count], 64, "%.30s %d", entry->d_name, entry->d_type);
                list[count] = storage[count];
                count++;
            }
            at += entry->d_reclen;
        }
    }
    qsort(list, count, sizeof(list[0]), by_name);
    return count;
}

static void try_list(const char *path)
{
    static char a_text[64][64], b_text[64][64];
    char *a[64], *b[64];
    const uint64_t flags = O_RDONLY | O_DIRECTORY;
    const long in = CALL(SYS_open, W(path), flags), out = REAL(SYS_open, W(path), flags);
    note("list %s", path);
    if (in < 0 || out < 0) {
        same("open of a directory", in, out);
        return;
    }
    const size_t count = names_take(true, (int)in, a, a_text);
    same("how many names", (long)count, (long)names_take(false, (int)out, b, b_text));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(a[i], b[i]) != 0) {
            fprintf(stderr, "name %s | %s\n", a[i], b[i]);
            differ("names", (long)i, 0);
        }
    }
    CALL(SYS_close, W(in));
    REAL(SYS_close, W(out));
}

static char base_inside[128], base_outside[128];

static void try_directory(const char *path)
{
    char a[4096], b[4096];
    note("chdir %s", path);
    same("chdir", CALL(SYS_chdir, W(path)), REAL(SYS_chdir, W(path)));
    const long in = CALL(SYS_getcwd, W(a), 4096ul), out = REAL(SYS_getcwd, W(b), 4096ul);
    if (in < 0 || out < 0) {
        same("getcwd", in, out);
        return;
    }
    if (strncmp(b, base_outside, strlen(base_outside)) != 0) {
        return; /* above the base: put back by the caller */
    }
    if (strncmp(a, base_inside, strlen(base_inside)) != 0 ||
        strcmp(a + strlen(base_inside), b + strlen(base_outside)) != 0) {
        fprintf(stderr, "%s | %s\n", a, b);
        differ("getcwd", 0, 1);
    }
}

/* Not above the base, nor in a directory that is gone for long. */
static void go_back(void)
{
    char text[4096];
    const long size = REAL(SYS_getcwd, W(text), 4096ul);
    if (size < 0 || strncmp(text, base_outside, strlen(base_outside)) != 0 || pick(4) == 0) {
        note("back to the base");
        same("back", CALL(SYS_chdir, W(base_inside)), REAL(SYS_chdir, W(base_outside)));
    }
}

static void try_fd(int slot)
{
    const uint64_t in = W(inside_fds[slot]), out = W(outside_fds[slot]);
    char path[PATH_SIZE];
    struct stat a, b;
    switch (pick(14)) {
    case 0:
        note("close %d", slot);
        close_one(slot);
        break;
    case 1:
        try_seek(slot);
        break;
    case 2: {
        const uint64_t size = pick(20000);
        note("ftruncate %d %lu", slot, size);
        same("ftruncate", CALL(SYS_ftruncate, in, size), REAL(SYS_ftruncate, out, size));
        break;
    }
    case 3:
        note("fstat %d", slot);
        if (is_encrypted && (REAL(SYS_fcntl, out, W(F_GETFL)) & O_PATH) != 0) {
            break; /* a file that is gone is known as it was when somebody could read it last */
        }
        stat_same("fstat", CALL(SYS_fstat, in, W(&a)), REAL(SYS_fstat, out, W(&b)), &a, &b);
        break;
    case 4:
        note("dup %d", slot);
        fd_keep("dup", CALL(SYS_dup, in), REAL(SYS_dup, out));
        break;
    case 5: {
        const uint64_t mode = 0400 | pick(01000);
        note("fchmod %d %lo", slot, mode);
        same("fchmod", CALL(SYS_fchmod, in, mode), REAL(SYS_fchmod, out, mode));
        break;
    }
    case 6: {
        const long flags = REAL(SYS_fcntl, out, W(F_GETFL));
        note("fcntl %d", slot);
        same("F_GETFL", CALL(SYS_fcntl, in, W(F_GETFL)), flags);
        const uint64_t wanted = pick(2) ? O_APPEND : 0;
        same("F_SETFL", CALL(SYS_fcntl, in, W(F_SETFL), wanted),
             REAL(SYS_fcntl, out, W(F_SETFL), wanted));
        break;
    }
    case 7:
        try_reserve(slot);
        break;
    case 8:
        try_copy(slot);
        break;
    case 9:
        path_make(path);
        try_at(slot, path);
        go_back();
        break;
    case 10:
        note("fsync %d", slot);
        same("fsync", CALL(SYS_fsync, in), REAL(SYS_fsync, out));
        break;
    default:
        try_transfer(slot);
        break;
    }
}

static void step(void)
{
    char path[PATH_SIZE];
    const int slot = (int)pick(FDS);
    path_make(path);
    switch (pick(12)) {
    case 0:
    case 1:
        try_open(path);
        break;
    case 2:
        try_stat(path);
        break;
    case 3:
    case 4:
        try_names(path);
        break;
    case 5:
        try_readlink(path);
        break;
    case 6:
        try_mode(path);
        break;
    case 7:
        try_list(path);
        break;
    case 8:
        try_directory(path);
        go_back();
        break;
    default:
        if (inside_fds[slot] >= 0) {
            try_fd(slot);
        }
        break;
    }
}

/* In a process of its own: a tree is one for each. */
enum kind {
    MEMORY,
    HOST,
    ENCRYPTED,
};
static const char *const kinds[] = {"memory", "host", "encrypted"};

static int run(enum kind kind, uint64_t seed, unsigned long steps)
{
    char root[64], path[160];
    world_folder_make(root);
    const pid_t child = fork();
    if (child != 0) {
        int status = 1;
        waitpid(child, &status, 0);
        world_folder_remove(root);
        if (status != 0) {
            fprintf(stderr, "%s, seed %lu: failed\n", kinds[kind], seed);
        }
        return status != 0;
    }
    snprintf(path, sizeof(path), "%s/in", root);
    mkdir(path, 0755);
    static const struct world_mount mounts[] = {
        {.target = "/w", .kind = CELLA_PROGRAM_MOUNT_MEMORY},
        {.target = "/w", .source = "/in", .kind = CELLA_PROGRAM_MOUNT_HOST},
        {.target = "/w", .source = "/in", .kind = CELLA_PROGRAM_MOUNT_ENCRYPTED}};
    const struct world world = {.mounts = &mounts[kind], .mount_count = 1};
    umask(022);
    if (world_start(&world, root) != 0) {
        fprintf(stderr, "the tree does not start\n");
        exit(1);
    }
    state = seed;
    is_host = kind != MEMORY;
    is_encrypted = kind == ENCRYPTED;
    memset(inside_fds, 0xFF, sizeof(inside_fds));
    memset(outside_fds, 0xFF, sizeof(outside_fds));
    snprintf(base_outside, sizeof(base_outside), "%s/out", root);
    mkdir(base_outside, 0755);
    const char *const down[] = {"", "/p", "/q", "/base"};
    strcpy(base_inside, "/w");
    for (int i = 1; i < 4; i++) {
        strcat(base_inside, down[i]);
        strcat(base_outside, down[i]);
        same("mkdir", CALL(SYS_mkdir, W(base_inside), W(0755)),
             REAL(SYS_mkdir, W(base_outside), W(0755)));
    }
    same("chdir", CALL(SYS_chdir, W(base_inside)), REAL(SYS_chdir, W(base_outside)));
    for (unsigned long i = 0; i < steps; i++) {
        step();
    }
    for (int i = 0; i < FDS; i++) {
        if (inside_fds[i] >= 0) {
            close_one(i);
        }
    }
    same("handles that are left", (long)world_host_open_count(), 0);
    exit(0);
}

int main(int argc, char **argv)
{
    int failed = 0;
    if (argc > 1) {
        const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
        const enum kind kind = strcmp(argv[1], "host") == 0        ? HOST
                               : strcmp(argv[1], "encrypted") == 0 ? ENCRYPTED
                                                                   : MEMORY;
        return run(kind, seed, argc > 3 ? strtoul(argv[3], NULL, 10) : 20000);
    }
    for (uint64_t seed = 1; seed <= 12; seed++) {
        failed += run(MEMORY, seed, 8000);
        failed += run(HOST, seed, 4000);
        failed += run(ENCRYPTED, seed, 2000);
    }
    return failed != 0;
}
