/*
 * mount and umount of the host's file system: paths mean nothing until it is mounted somewhere.
 * Side: enclave. Called for the libc's system calls, and by the files module for each path.
 * Never gives the host a path outside what was mounted.
 */
#include <errno.h>
#include <string.h>

#include <openenclave/bits/fs.h>

#include "enclave/files.h"
#include "compat/openenclave/enclave/mounts.h"

#define MOUNT_MAX 16u

/* Without slashes at the end: "/" is "". */
struct mount {
    char target[CELLA_PATH_SIZE / 8];
    char source[CELLA_PATH_SIZE / 8];
    bool is_used;
};

static struct mount mounts[MOUNT_MAX];
static struct cella_lock mount_lock;
static _Atomic bool is_allowed;

void oe_mounts_allow(void)
{
    atomic_store(&is_allowed, true);
}

/* An absolute path of the libc's without slashes at its end. */
static long path_copy(char *to, size_t capacity, uint64_t from)
{
    size_t size = 0;
    for (;; size++) {
        if (size == capacity || !cella_user_range(from + size, 1)) {
            return size == capacity ? -ENAMETOOLONG : -EFAULT;
        }
        to[size] = ((const volatile char *)from)[size];
        if (to[size] == 0) {
            break;
        }
    }
    if (to[0] != '/') {
        return -EINVAL;
    }
    while (size > 0 && to[size - 1] == '/') {
        to[--size] = 0;
    }
    return 0;
}

static bool text_is(uint64_t at, const char *text)
{
    const size_t size = strlen(text) + 1;
    return cella_user_range(at, size) && memcmp((const void *)at, text, size) == 0;
}

/* With the lock held: the mount of exactly this target, or a free place, or NULL. */
static struct mount *mount_find(const char *target, bool is_used)
{
    for (uint32_t i = 0; i < MOUNT_MAX; i++) {
        if (mounts[i].is_used == is_used && (!is_used || strcmp(mounts[i].target, target) == 0)) {
            return &mounts[i];
        }
    }
    return NULL;
}

static long mount_add(uint64_t source, uint64_t target, uint64_t type)
{
    struct mount wanted = {.is_used = true};
    long result = path_copy(wanted.source, sizeof(wanted.source), source);
    if (result == 0) {
        result = path_copy(wanted.target, sizeof(wanted.target), target);
    }
    if (result != 0) {
        return result;
    }
    if (!text_is(type, OE_HOST_FILE_SYSTEM) || !atomic_load(&is_allowed)) {
        return -ENODEV;
    }
    cella_lock_take(&mount_lock);
    struct mount *place = mount_find(wanted.target, true);
    if (place) {
        result = -EEXIST;
    } else if (!(place = mount_find("", false))) {
        result = -ENOMEM;
    } else {
        *place = wanted;
    }
    cella_lock_give(&mount_lock);
    return result;
}

static long mount_remove(uint64_t target)
{
    char text[sizeof(mounts[0].target)];
    const long result = path_copy(text, sizeof(text), target);
    if (result != 0) {
        return result;
    }
    cella_lock_take(&mount_lock);
    struct mount *place = mount_find(text, true);
    if (place) {
        place->is_used = false;
    }
    cella_lock_give(&mount_lock);
    return place ? 0 : -ENOENT;
}

/* The size of the longest target that is `path` or a folder above it. NULL: nothing is mounted there. */
static const struct mount *mount_above(const char *path, size_t *ret_size)
{
    const struct mount *best = NULL;
    for (uint32_t i = 0; i < MOUNT_MAX; i++) {
        const size_t size = strlen(mounts[i].target);
        const bool is_above = mounts[i].is_used && strncmp(path, mounts[i].target, size) == 0 &&
                              (path[size] == '/' || path[size] == 0);
        if (is_above && (!best || size > *ret_size)) {
            best = &mounts[i];
            *ret_size = size;
        }
    }
    return best;
}

/* Paths that are not absolute stand in a directory that has been translated already. */
long cella_path_translate(struct cella_path *path, bool is_absolute)
{
    size_t above = 0;
    long result = 0;
    cella_lock_take(&mount_lock);
    const struct mount *mount = mount_above(is_absolute ? path->text : "/", &above);
    if (!mount && !is_absolute) { /* anything mounted at all? */
        for (uint32_t i = 0; i < MOUNT_MAX && !mount; i++) {
            mount = mounts[i].is_used ? &mounts[i] : NULL;
        }
    }
    if (!mount) {
        result = -ENOENT;
    } else if (is_absolute) {
        const size_t source = strlen(mount->source);
        const size_t rest = path->size - above;
        if (source + rest > CELLA_PATH_SIZE) {
            result = -ENAMETOOLONG;
        } else {
            memmove(path->text + source, path->text + above, rest);
            memcpy(path->text, mount->source, source);
            path->size = source + rest;
        }
    }
    cella_lock_give(&mount_lock);
    if (result == 0 && path->size == 1) { /* a mounted "/" itself */
        memcpy(path->text, "/", 2);
        path->size = 2;
    }
    return result;
}

static bool mounts_syscall(struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_mount:
        *ret_result = mount_add(ARG0(regs), ARG1(regs), ARG2(regs));
        return true;
    case __NR_umount2:
        *ret_result = mount_remove(ARG0(regs));
        return true;
    default:
        return false;
    }
}

static const struct cella_module mounts_module = {.name = "mounts", .syscall = mounts_syscall};
CELLA_MODULE(mounts_module);
