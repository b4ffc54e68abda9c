/*
 * The ids module: who the host's process is. Opt-in: -u cella_module_ids; without it the enclave is process 1 of user 0.
 * Side: enclave. Called for the libc's system calls.
 * Never lets an answer change: what the host said first stays. Signals to other processes are refused.
 */
#include "enclave/libc.h"

#include "abi/service.h"

#define ID_MAX INT32_MAX
#define KNOWN_COUNT (CELLA_ID_GROUP_EFFECTIVE + 1)

extern const char cella_module_ids;
const char cella_module_ids = 1;

static _Atomic uint64_t known[KNOWN_COUNT]; /* plus 1; 0: not asked yet */

static long filter(int64_t value, int64_t max)
{
    return value >= -4095 && value <= max ? (long)value : -EIO;
}

static long ask(uint32_t which, int64_t argument, int64_t max)
{
    const struct cella_call_request request = {.operation = which, .handle = -1, .a = argument};
    int64_t value = 0;
    size_t size = 0;
    cella_result result = cella_system_ocall(CELLA_OCALL_IDS, &request, sizeof(request), &value,
                                             sizeof(value), &size);
    if (!cella_is_ok(result)) {
        return cella_errno_of(result);
    }
    return size == sizeof(value) ? filter(value, max) : -EIO;
}

/* These calls cannot fail; a host that does not say is answered for as without the module. */
static long id_of(uint32_t which, long otherwise)
{
    uint64_t value = atomic_load(&known[which]);
    if (value == 0) {
        const long said =
            ask(which, 0, which <= CELLA_ID_PARENT ? ID_MAX : (int64_t)UINT32_MAX - 1);
        const uint64_t mine = (uint64_t)(said < 0 ? otherwise : said) + 1;
        value = atomic_compare_exchange_strong(&known[which], &value, mine) ? mine : value;
    }
    return (long)(value - 1);
}

static long groups(uint64_t capacity, uint64_t to)
{
    struct {
        int64_t value;
        uint32_t groups[CELLA_CALL_GROUPS_MAX];
    } answer = {0};
    const struct cella_call_request request = {.operation = CELLA_ID_GROUPS, .handle = -1};
    size_t size = 0;
    cella_result result = cella_system_ocall(CELLA_OCALL_IDS, &request, sizeof(request), &answer,
                                             sizeof(answer), &size);
    if (!cella_is_ok(result)) {
        return cella_errno_of(result);
    }
    const long count = size >= 8 ? filter(answer.value, (int64_t)CELLA_COUNT(answer.groups)) : -EIO;
    if (count < 0 || capacity == 0) {
        return count;
    }
    if (size != 8 + (uint64_t)count * 4) {
        return -EIO;
    }
    if ((uint64_t)count > capacity) {
        return -EINVAL;
    }
    if (!cella_user_range(to, (uint64_t)count * 4)) {
        return -EFAULT;
    }
    __builtin_memcpy((void *)to, answer.groups, (uint64_t)count * 4);
    return count;
}

/* Real, effective and saved; the last is not asked for. */
static long three(const struct cella_regs *regs, uint32_t real, uint32_t effective)
{
    const uint64_t to[3] = {ARG0(regs), ARG1(regs), ARG2(regs)};
    for (uint32_t i = 0; i < 3; i++) {
        if (!cella_user_range(to[i], 4)) {
            return -EFAULT;
        }
        *(uint32_t *)to[i] = (uint32_t)id_of(i == 0 ? real : effective, 0);
    }
    return 0;
}

/* Signals to itself are the layer's below. Another process may be asked for, and nothing else. */
static bool kill_other(const struct cella_regs *regs, long *ret_result)
{
    const int32_t process = (int32_t)ARG0(regs);
    if (process == 0 || process == id_of(CELLA_ID_PROCESS, 1)) {
        return false;
    }
    *ret_result =
        (int32_t)ARG1(regs) == 0 && process > 0 ? ask(CELLA_ID_EXISTS, process, 0) : -EPERM;
    return true;
}

static bool ids_syscall(struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_getpid:
        *ret_result = id_of(CELLA_ID_PROCESS, 1);
        return true;
    case __NR_getppid:
        *ret_result = id_of(CELLA_ID_PARENT, 0);
        return true;
    case __NR_getuid:
        *ret_result = id_of(CELLA_ID_USER, 0);
        return true;
    case __NR_geteuid:
        *ret_result = id_of(CELLA_ID_USER_EFFECTIVE, 0);
        return true;
    case __NR_getgid:
        *ret_result = id_of(CELLA_ID_GROUP, 0);
        return true;
    case __NR_getegid:
        *ret_result = id_of(CELLA_ID_GROUP_EFFECTIVE, 0);
        return true;
    case __NR_getresuid:
        *ret_result = three(regs, CELLA_ID_USER, CELLA_ID_USER_EFFECTIVE);
        return true;
    case __NR_getresgid:
        *ret_result = three(regs, CELLA_ID_GROUP, CELLA_ID_GROUP_EFFECTIVE);
        return true;
    case __NR_getpgrp:
        *ret_result = ask(CELLA_ID_PROCESS_GROUP, 0, ID_MAX);
        return true;
    case __NR_getpgid:
        *ret_result = ask(CELLA_ID_PROCESS_GROUP, (int32_t)ARG0(regs), ID_MAX);
        return true;
    case __NR_getsid:
        *ret_result = ask(CELLA_ID_SESSION, (int32_t)ARG0(regs), ID_MAX);
        return true;
    case __NR_getgroups:
        *ret_result = groups((uint32_t)ARG0(regs), ARG1(regs));
        return true;
    case __NR_kill:
        return kill_other(regs, ret_result);
    default:
        return false;
    }
}

static const struct cella_module ids_module = {.name = "ids", .syscall = ids_syscall};
CELLA_MODULE(ids_module);
