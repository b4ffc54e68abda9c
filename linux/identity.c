/*
 * Users, groups and capabilities. identity.h is the manual.
 * Side: enclave. A program that starts as user 0 gives its rights up as servers do, and does not get them back.
 * Never per thread: C libraries change all of their threads anyhow.
 */
#include "linux/identity.h"

#define GROUPS_MAX 64u
#define CAPABILITIES ((1ull << 41) - 1)
#define NOBODY_CHANGED UINT32_MAX /* -1: leave it as it is */

enum { REAL, EFFECTIVE, SAVED, IDS };

struct identity {
    uint32_t version; /* counts changes; 0: not filled */
    uint32_t users[IDS], groups[IDS];
    uint32_t more[GROUPS_MAX]; /* supplementary groups */
    uint32_t more_count;
    uint64_t effective, permitted, inheritable; /* capabilities */
};

static struct identity identity;
static struct cella_lock
    identity_lock; /* never while the program's memory is touched: that can end a call */

static void fill(struct identity *who)
{
    if (who->version != 0) {
        return;
    }
    for (uint32_t i = 0; i < IDS; i++) {
        who->users[i] = cella_linux_program->user;
        who->groups[i] = cella_linux_program->group;
    }
    who->effective = who->permitted = who->users[EFFECTIVE] == 0 ? CAPABILITIES : 0;
    who->version = 1;
}

static bool is_one_of(uint32_t id, const uint32_t ids[IDS], bool with_saved)
{
    return id == NOBODY_CHANGED || id == ids[REAL] || id == ids[EFFECTIVE] ||
           (with_saved && id == ids[SAVED]);
}

/* capabilities(7): what changes of users do to capabilities. */
static void users_changed(struct identity *who, const uint32_t before[IDS])
{
    const bool was_root = before[REAL] == 0 || before[EFFECTIVE] == 0 || before[SAVED] == 0;
    const bool is_root =
        who->users[REAL] == 0 || who->users[EFFECTIVE] == 0 || who->users[SAVED] == 0;
    if (was_root && !is_root) {
        who->permitted = who->effective = 0;
    } else if (before[EFFECTIVE] == 0 && who->users[EFFECTIVE] != 0) {
        who->effective = 0;
    } else if (before[EFFECTIVE] != 0 && who->users[EFFECTIVE] == 0) {
        who->effective = who->permitted;
    }
}

/* All three at once. */
static long ids_set(struct identity *who, uint32_t ids[IDS], const uint32_t wanted[IDS])
{
    uint32_t before[IDS];
    __builtin_memcpy(before, ids, sizeof(before));
    for (uint32_t i = 0; i < IDS; i++) {
        ids[i] = wanted[i] == NOBODY_CHANGED ? ids[i] : wanted[i];
    }
    if (ids == who->users) {
        users_changed(who, before);
    }
    return 0;
}

/* setuid, setgid. */
static long set_one(struct identity *who, uint32_t ids[IDS], uint32_t id)
{
    if (id == NOBODY_CHANGED) {
        return -EINVAL;
    }
    if (who->users[EFFECTIVE] == 0) {
        return ids_set(who, ids, (const uint32_t[IDS]){id, id, id});
    }
    if (id != ids[REAL] && id != ids[SAVED]) {
        return -EPERM;
    }
    return ids_set(who, ids, (const uint32_t[IDS]){NOBODY_CHANGED, id, NOBODY_CHANGED});
}

/* setreuid, setregid. */
static long set_two(struct identity *who, uint32_t ids[IDS], uint32_t real, uint32_t effective)
{
    if (who->users[EFFECTIVE] != 0 &&
        (!is_one_of(real, ids, false) || !is_one_of(effective, ids, true))) {
        return -EPERM;
    }
    const bool saves =
        real != NOBODY_CHANGED || (effective != NOBODY_CHANGED && effective != ids[REAL]);
    const uint32_t now = effective == NOBODY_CHANGED ? ids[EFFECTIVE] : effective;
    return ids_set(who, ids, (const uint32_t[IDS]){real, effective, saves ? now : NOBODY_CHANGED});
}

static long set_three(struct identity *who, uint32_t ids[IDS], const struct cella_regs *regs)
{
    const uint32_t wanted[IDS] = {(uint32_t)ARG0(regs), (uint32_t)ARG1(regs), (uint32_t)ARG2(regs)};
    for (uint32_t i = 0; who->users[EFFECTIVE] != 0 && i < IDS; i++) {
        if (!is_one_of(wanted[i], ids, true)) {
            return -EPERM;
        }
    }
    return ids_set(who, ids, wanted);
}

static long get_three(const uint32_t ids[IDS], const struct cella_regs *regs)
{
    const uint64_t to[IDS] = {ARG0(regs), ARG1(regs), ARG2(regs)};
    for (uint32_t i = 0; i < IDS; i++) {
        if (!cella_user_writable(to[i], 4)) {
            return -EFAULT;
        }
    }
    for (uint32_t i = 0; i < IDS; i++) {
        *(uint32_t *)to[i] = ids[i];
    }
    return 0;
}

static long groups_set(struct identity *who, uint64_t count, uint64_t from)
{
    if (who->users[EFFECTIVE] != 0) {
        return -EPERM;
    }
    if (count > GROUPS_MAX) {
        return -EINVAL;
    }
    if (!cella_user_range(from, count * 4)) {
        return -EFAULT;
    }
    __builtin_memcpy(who->more, (const void *)from, count * 4);
    who->more_count = (uint32_t)count;
    return 0;
}

static long groups_get(struct identity *who, uint64_t room, uint64_t to)
{
    if ((int32_t)room < 0 || ((uint32_t)room != 0 && (uint32_t)room < who->more_count)) {
        return -EINVAL;
    }
    if ((uint32_t)room != 0) {
        if (!cella_user_writable(to, (uint64_t)who->more_count * 4)) {
            return -EFAULT;
        }
        __builtin_memcpy((void *)to, who->more, (uint64_t)who->more_count * 4);
    }
    return who->more_count;
}

/* ------------------------------------------------------------------ capabilities */

#define CAPABILITY_1 0x19980330u /* one block of three words */
#define CAPABILITY_2 0x20071026u /* two */
#define CAPABILITY_3 0x20080522u

/* struct __user_cap_header_struct. *ret_blocks 0: only the version was asked for. */
static long capability_head(const struct cella_regs *regs, uint32_t *ret_blocks)
{
    if (!cella_user_range(ARG0(regs), 8)) {
        return -EFAULT;
    }
    uint32_t *head = (uint32_t *)ARG0(regs);
    const uint32_t version = head[0];
    *ret_blocks = version == CAPABILITY_1 ? 1 : 2;
    if (version != CAPABILITY_1 && version != CAPABILITY_2 && version != CAPABILITY_3) {
        if (!cella_user_writable(ARG0(regs), 4)) {
            return -EFAULT;
        }
        head[0] = CAPABILITY_3;
        *ret_blocks = 0;
        return ARG1(regs) == 0 && regs->rax == __NR_capget ? 0 : -EINVAL;
    }
    if ((int32_t)head[1] < 0) {
        return -EINVAL;
    }
    if (head[1] != 0 && head[1] != 1 && !linux_thread_of(head[1])) {
        return -ESRCH;
    }
    const bool stored = regs->rax == __NR_capget;
    return cella_user_may(ARG1(regs), (uint64_t)*ret_blocks * 12, stored) ? 0 : -EFAULT;
}

static long capability_get(struct identity *who, const struct cella_regs *regs)
{
    uint32_t blocks;
    const long result = capability_head(regs, &blocks);
    uint32_t *words = (uint32_t *)ARG1(regs);
    for (uint32_t i = 0; result == 0 && i < blocks; i++) {
        words[3 * i] = (uint32_t)(who->effective >> (32 * i));
        words[3 * i + 1] = (uint32_t)(who->permitted >> (32 * i));
        words[3 * i + 2] = (uint32_t)(who->inheritable >> (32 * i));
    }
    return result;
}

static long capability_set(struct identity *who, const struct cella_regs *regs)
{
    uint32_t blocks;
    const long result = capability_head(regs, &blocks);
    if (result != 0) {
        return result;
    }
    const uint32_t *words = (const uint32_t *)ARG1(regs);
    uint64_t sets[3] = {0};
    for (uint32_t i = 0; i < 3 * blocks; i++) {
        sets[i % 3] |= (uint64_t)words[i] << (32 * (i / 3));
    }
    for (uint32_t i = 0; i < 3; i++) {
        sets[i] &= CAPABILITIES;
    }
    if ((sets[1] & ~who->permitted) != 0 || (sets[0] & ~sets[1]) != 0 ||
        (sets[2] & ~(who->inheritable | who->permitted)) != 0) {
        return -EPERM;
    }
    who->effective = sets[0];
    who->permitted = sets[1];
    who->inheritable = sets[2];
    return 0;
}

/* ------------------------------------------------------------------ the calls */

static bool answer_get(struct identity *who, const struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_getuid:
        *ret_result = who->users[REAL];
        return true;
    case __NR_geteuid:
        *ret_result = who->users[EFFECTIVE];
        return true;
    case __NR_getgid:
        *ret_result = who->groups[REAL];
        return true;
    case __NR_getegid:
        *ret_result = who->groups[EFFECTIVE];
        return true;
    case __NR_getresuid:
        *ret_result = get_three(who->users, regs);
        return true;
    case __NR_getresgid:
        *ret_result = get_three(who->groups, regs);
        return true;
    case __NR_getgroups:
        *ret_result = groups_get(who, ARG0(regs), ARG1(regs));
        return true;
    case __NR_capget:
        *ret_result = capability_get(who, regs);
        return true;
    /* They answer what was before, whether it changes or not; files ask nobody. */
    case __NR_setfsuid:
        *ret_result = who->users[EFFECTIVE];
        return true;
    case __NR_setfsgid:
        *ret_result = who->groups[EFFECTIVE];
        return true;
    default:
        return false;
    }
}

static bool answer_set(struct identity *who, const struct cella_regs *regs, long *ret_result)
{
    const uint32_t first = (uint32_t)ARG0(regs), second = (uint32_t)ARG1(regs);
    switch (regs->rax) {
    case __NR_setuid:
        *ret_result = set_one(who, who->users, first);
        return true;
    case __NR_setgid:
        *ret_result = set_one(who, who->groups, first);
        return true;
    case __NR_setreuid:
        *ret_result = set_two(who, who->users, first, second);
        return true;
    case __NR_setregid:
        *ret_result = set_two(who, who->groups, first, second);
        return true;
    case __NR_setresuid:
        *ret_result = set_three(who, who->users, regs);
        return true;
    case __NR_setresgid:
        *ret_result = set_three(who, who->groups, regs);
        return true;
    case __NR_setgroups:
        *ret_result = groups_set(who, ARG0(regs), ARG1(regs));
        return true;
    case __NR_capset:
        *ret_result = capability_set(who, regs);
        return true;
    default:
        return false;
    }
}

/* Answered from a copy, which becomes what is unless another thread was quicker; then once more. */
bool linux_identity_syscall(struct cella_regs *regs, long *ret_result)
{
    for (;;) {
        cella_lock_take(&identity_lock);
        fill(&identity);
        struct identity now = identity;
        cella_lock_give(&identity_lock);
        if (answer_get(&now, regs, ret_result)) {
            return true;
        }
        const uint32_t version = now.version++;
        if (!answer_set(&now, regs, ret_result)) {
            return false;
        }
        cella_lock_take(&identity_lock);
        const bool is_alone = identity.version == version;
        if (is_alone && *ret_result == 0) {
            identity = now;
        }
        cella_lock_give(&identity_lock);
        if (is_alone) {
            return true;
        }
    }
}
