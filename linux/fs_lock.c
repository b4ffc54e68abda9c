/*
 * Locks on files: flock, and those of fcntl. They hold between the open files of this program; there is no other process.
 * Side: enclave. Called by fs_file.c.
 * Never waits for itself: locks of the process (F_SETLK) cannot collide with each other.
 */
#include "linux/fs_tree.h"

#define LOCK_SH 1u
#define LOCK_EX 2u
#define LOCK_NB 4u
#define LOCK_UN 8u
#define F_GETLK 5u
#define F_SETLK 6u
#define F_SETLKW 7u
#define F_OFD_GETLK 36u
#define F_OFD_SETLK 37u
#define F_OFD_SETLKW 38u
#define F_RDLCK 0
#define F_WRLCK 1
#define F_UNLCK 2

static const char process_owner;  /* of F_SETLK */
static _Atomic uint32_t released; /* counts; who waits for a lock looks again */

/* Under `lists`: a lock of somebody else's that is in the way. */
static const struct fs_lock *collision(const struct fs_node *node, const struct fs_lock *wanted)
{
    for (const struct fs_lock *at = node->locks; at; at = at->next) {
        if (at->owner != wanted->owner && at->whole == wanted->whole &&
            (at->exclusive || wanted->exclusive) && at->start < wanted->end &&
            wanted->start < at->end) {
            return at;
        }
    }
    return NULL;
}

/* Under `lists`: takes the range out of what the owner has. `spare` serves the second half of a lock that is cut in two. */
static struct fs_lock *locks_cut(struct fs_node *node, const struct fs_lock *range,
                                 struct fs_lock **spare)
{
    struct fs_lock *dead = NULL;
    struct fs_lock **at = &node->locks;
    while (*at) {
        struct fs_lock *lock = *at;
        if (lock->owner != range->owner || lock->whole != range->whole ||
            lock->end <= range->start || lock->start >= range->end) {
            at = &lock->next;
        } else if (lock->start >= range->start && lock->end <= range->end) {
            *at = lock->next;
            lock->next = dead;
            dead = lock;
        } else if (lock->start < range->start && lock->end > range->end) {
            struct fs_lock *rest = CELLA_TAKE(*spare);
            *rest = *lock;
            rest->start = range->end;
            lock->end = range->start;
            lock->next = rest;
            at = &rest->next;
        } else {
            if (lock->start < range->start) {
                lock->end = range->start;
            } else {
                lock->start = range->end;
            }
            at = &lock->next;
        }
    }
    return dead;
}

static void locks_free(struct fs_lock *lock)
{
    while (lock) {
        struct fs_lock *next = lock->next;
        fs_free(lock, sizeof(*lock));
        lock = next;
    }
}

static void tell_waiters(void)
{
    atomic_fetch_add(&released, 1);
    cella_futex_wake((uint64_t)&released, INT32_MAX);
}

/* Sets or takes away; 0, -EAGAIN, -ENOLCK. */
static long lock_try(struct fs_node *node, const struct fs_lock *wanted, bool unlocks)
{
    struct fs_lock *made = unlocks ? NULL : fs_new(sizeof(*made));
    struct fs_lock *spare = fs_new(sizeof(*spare));
    struct fs_lock *dead = NULL;
    long result = spare && (unlocks || made) ? 0 : -ENOLCK;
    if (result == 0) {
        cella_lock_take(&node->lists);
        if (!unlocks && collision(node, wanted)) {
            result = -EAGAIN;
        } else {
            dead = locks_cut(node, wanted, &spare);
            if (made) {
                *made = *wanted;
                made->next = node->locks;
                node->locks = CELLA_TAKE(made);
            }
        }
        cella_lock_give(&node->lists);
    }
    fs_free(made, sizeof(*made));
    fs_free(spare, sizeof(*spare));
    locks_free(dead);
    if (result == 0) {
        tell_waiters();
    }
    return result;
}

static long lock_set(struct fs_node *node, const struct fs_lock *wanted, bool unlocks, bool waits)
{
    for (;;) {
        const uint32_t seen = atomic_load(&released);
        const long result = lock_try(node, wanted, unlocks);
        if (result != -EAGAIN || !waits) {
            return result;
        }
        struct cella_regs regs = {.rdi = (uint64_t)&released, .rsi = 128, .rdx = seen};
        if (cella_futex(&regs) == -EINTR) {
            return -EINTR;
        }
    }
}

long fs_flock(struct fs_file *file, uint64_t operation)
{
    const uint64_t what = (uint32_t)operation & ~LOCK_NB;
    const struct fs_lock wanted = {
        .owner = file, .start = 0, .end = UINT64_MAX, .exclusive = what == LOCK_EX, .whole = true};
    if (what != LOCK_SH && what != LOCK_EX && what != LOCK_UN) {
        return -EINVAL;
    }
    return lock_set(file->entry->node, &wanted, what == LOCK_UN, (operation & LOCK_NB) == 0);
}

/* The range of a struct flock; 0, or an errno. */
static long range_of(struct fs_file *file, const struct cella_call_lock *lock,
                     struct fs_lock *ret_range)
{
    struct cella_call_stat stat = {0};
    int64_t base = 0, start, end;
    if (lock->whence == 1) {
        base = (int64_t)file->position;
    } else if (lock->whence == 2) {
        const long result = fs_stat(file->entry, file, &stat);
        if (result != 0) {
            return result;
        }
        base = (int64_t)stat.size;
    } else if (lock->whence != 0) {
        return -EINVAL;
    }
    if (__builtin_add_overflow(base, lock->start, &start) ||
        (lock->size > 0 && __builtin_add_overflow(start, lock->size - 1, &end))) {
        return -EOVERFLOW;
    }
    if (start < 0 || (lock->size < 0 && start + lock->size < 0)) {
        return -EINVAL;
    }
    ret_range->start = (uint64_t)(lock->size < 0 ? start + lock->size : start);
    ret_range->end = lock->size == 0  ? UINT64_MAX
                     : lock->size < 0 ? (uint64_t)start
                                      : (uint64_t)start + (uint64_t)lock->size;
    return 0;
}

static long lock_get(struct fs_node *node, const struct fs_lock *wanted,
                     struct cella_call_lock *lock)
{
    cella_lock_take(&node->lists);
    const struct fs_lock *found = collision(node, wanted);
    if (found) {
        lock->type = found->exclusive ? F_WRLCK : F_RDLCK;
        lock->whence = 0;
        lock->start = (int64_t)found->start;
        lock->size = found->end == UINT64_MAX ? 0 : (int64_t)(found->end - found->start);
        lock->process = found->owner == &process_owner ? 1 : -1;
    } else {
        lock->type = F_UNLCK;
    }
    cella_lock_give(&node->lists);
    return 0;
}

long fs_lock_call(struct fs_file *file, uint64_t command, uint64_t at)
{
    struct cella_call_lock lock;
    const bool of_file = command >= F_OFD_GETLK;
    const bool asks = command == F_GETLK || command == F_OFD_GETLK;
    const uint32_t access = file->open->flags & LINUX_O_ACCMODE;
    if (!linux_user_read(&lock, at, sizeof(lock))) {
        return -EFAULT;
    }
    if (lock.type < F_RDLCK || lock.type > F_UNLCK || (of_file && lock.process != 0) ||
        (asks && !of_file && lock.type == F_UNLCK)) {
        return -EINVAL;
    }
    struct fs_lock wanted = {.owner = of_file ? (const void *)file : &process_owner,
                             .exclusive = lock.type == F_WRLCK};
    const long result = range_of(file, &lock, &wanted);
    if (result != 0) {
        return result;
    }
    if (asks) {
        lock_get(file->entry->node, &wanted, &lock);
        return linux_user_write(at, &lock, sizeof(lock)) ? 0 : -EFAULT;
    }
    if ((lock.type == F_RDLCK && access == LINUX_O_WRONLY) ||
        (lock.type == F_WRLCK && access == 0)) {
        return -EBADF;
    }
    return lock_set(file->entry->node, &wanted, lock.type == F_UNLCK,
                    command == F_SETLKW || command == F_OFD_SETLKW);
}

/* The last descriptor of an open file is gone; and with any of a file's the locks of the process. */
void fs_locks_release(struct fs_file *file)
{
    struct fs_node *node = file->entry->node;
    struct fs_lock *dead = NULL;
    cella_lock_take(&node->lists);
    for (struct fs_lock **at = &node->locks; *at;) {
        struct fs_lock *lock = *at;
        if (lock->owner == file || lock->owner == &process_owner) {
            *at = lock->next;
            lock->next = dead;
            dead = lock;
        } else {
            at = &lock->next;
        }
    }
    cella_lock_give(&node->lists);
    if (dead) {
        locks_free(dead);
        tell_waiters();
    }
}
