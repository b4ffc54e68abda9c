/*
 * What a libc asks about its process, and signals as far as there are any.
 * Side: enclave. Called for the libc's system calls.
 * Never asks the host: the answers are constants, the enclave's own state, or RDRAND.
 */
#include "enclave/libc.h"

#define PROCESS_ID 1
#define SIGNAL_ABORT 6u
#define SIGNAL_MAX 64u
#define LIMIT_STACK 3u
#define LIMIT_NOFILE 7u
#define LIMIT_COUNT 16u
#define ARCH_SET_FS 0x1002u
#define ARCH_GET_FS 0x1003u
#define RANDOM_MAX 33554431u

/* struct sigaction as system calls have it. Recorded: nobody sends signals into an enclave. */
struct signal_action {
    uint64_t handler, flags, restorer, mask;
};

static struct signal_action actions[SIGNAL_MAX + 1];
static struct cella_lock action_lock;

long cella_errno_of(cella_result result)
{
    switch (cella_result_category(result)) {
    case CELLA_CATEGORY_OK:
        return 0;
    case CELLA_CATEGORY_POLICY:
        return -EACCES;
    case CELLA_CATEGORY_RESOURCE:
        return result.code == CELLA_CODE_BUSY ? -EAGAIN : -ENOMEM;
    default:
        return -EIO;
    }
}

static long text_out(uint64_t to, uint64_t capacity, const char *text)
{
    const uint64_t size = cella_strlen(text);
    const uint64_t part = size < capacity ? size : capacity;
    if (!cella_user_range(to, part)) {
        return -EFAULT;
    }
    __builtin_memcpy((void *)to, text, part);
    return (long)part;
}

static long process_uname(uint64_t at)
{
    static const char *const fields[] = {"Linux", "enclave", "6.1.0", "#1 Cella", "x86_64", ""};
    if (!cella_user_range(at, 6 * 65)) {
        return -EFAULT;
    }
    cella_zero((void *)at, 6 * 65);
    for (uint32_t i = 0; i < CELLA_COUNT(fields); i++) {
        text_out(at + i * 65, 64, fields[i]);
    }
    return 0;
}

static long process_limit(uint64_t resource, uint64_t old)
{
    uint64_t value = UINT64_MAX;
    if (resource >= LIMIT_COUNT) {
        return -EINVAL;
    }
    if (resource == LIMIT_STACK) {
        value = cella_image_info.stack_size;
    } else if (resource == LIMIT_NOFILE) {
        value = 1024;
    }
    if (old != 0) {
        if (!cella_user_range(old, 16)) {
            return -EFAULT;
        }
        ((uint64_t *)old)[0] = value;
        ((uint64_t *)old)[1] = value;
    }
    return 0;
}

static long process_sysinfo(uint64_t at)
{
    uint64_t total, used;
    if (!cella_user_range(at, 112)) {
        return -EFAULT;
    }
    cella_pages_count(&total, &used);
    cella_zero((void *)at, 112);
    *(uint64_t *)(at + 32) = total * SGX_PAGE_SIZE;
    *(uint64_t *)(at + 40) = (total - used) * SGX_PAGE_SIZE;
    *(uint16_t *)(at + 80) = 1;  /* procs */
    *(uint32_t *)(at + 104) = 1; /* mem_unit */
    return 0;
}

static bool path_is(uint64_t path, const char *text)
{
    const uint64_t size = cella_strlen(text) + 1;
    return cella_user_range(path, size) && cella_equal((const void *)path, text, size);
}

static long process_readlink(uint64_t path, uint64_t to, uint64_t capacity)
{
    return path_is(path, "/proc/self/exe") ? text_out(to, capacity, "/enclave") : -ENOENT;
}

static long process_arch(uint64_t code, uint64_t value)
{
    struct cella_td *td = cella_td_self();
    switch (code) {
    case ARCH_SET_FS:
        if (!cella_user_range(value, 8)) {
            return -EPERM;
        }
        td->fs_base = value;
        __asm__ volatile("wrfsbase %0" : : "r"(value) : "memory");
        return 0;
    case ARCH_GET_FS:
        if (!cella_user_range(value, 8)) {
            return -EFAULT;
        }
        *(uint64_t *)value = td->fs_base;
        return 0;
    default:
        return -EINVAL; /* CET and its kin are not for enclaves of this kind */
    }
}

static long process_random(uint64_t to, uint64_t size)
{
    if (size > RANDOM_MAX) {
        size = RANDOM_MAX;
    }
    if (!cella_user_range(to, size)) {
        return -EFAULT;
    }
    return cella_is_ok(cella_random((void *)to, size)) ? (long)size : -EIO;
}

static long signal_action(uint64_t number, uint64_t action, uint64_t old)
{
    if (number < 1 || number > SIGNAL_MAX) {
        return -EINVAL;
    }
    if ((action != 0 && !cella_user_range(action, sizeof(struct signal_action))) ||
        (old != 0 && !cella_user_range(old, sizeof(struct signal_action)))) {
        return -EFAULT;
    }
    cella_lock_take(&action_lock);
    const struct signal_action before = actions[number];
    if (action != 0) {
        actions[number] = *(const struct signal_action *)action;
    }
    cella_lock_give(&action_lock);
    if (old != 0) {
        *(struct signal_action *)old = before;
    }
    return 0;
}

static long signal_mask(uint64_t how, uint64_t set, uint64_t old)
{
    struct cella_td *td = cella_td_self();
    if ((set != 0 && !cella_user_range(set, 8)) || (old != 0 && !cella_user_range(old, 8))) {
        return -EFAULT;
    }
    const uint64_t before = td->signal_mask;
    if (set != 0) {
        const uint64_t bits = *(const uint64_t *)set;
        switch (how) {
        case 0:
            td->signal_mask |= bits;
            break;
        case 1:
            td->signal_mask &= ~bits;
            break;
        case 2:
            td->signal_mask = bits;
            break;
        default:
            return -EINVAL;
        }
    }
    if (old != 0) {
        *(uint64_t *)old = before;
    }
    return 0;
}

/*
 * A signal that the enclave sends to itself. What is ignored is ignored; a handler is called here and now when the
 * thread means itself; all else is death, as it would be outside.
 */
static long signal_send(uint64_t tid, uint64_t number)
{
    struct cella_td *td = cella_td_self();
    if (number > SIGNAL_MAX) {
        return -EINVAL;
    }
    if (number == 0) {
        return 0;
    }
    const uint64_t handler = actions[number].handler;
    if (handler == 1 ||
        (handler == 0 && (number == 17 || number == 18 || number == 23 || number == 28))) {
        return 0; /* SIG_IGN, or ignored by default: CHLD, CONT, URG, WINCH */
    }
    if (handler == 0 || tid != td->tid || (actions[number].flags & 4) != 0) {
        if (number != SIGNAL_ABORT && handler != 0) {
            return -ENOSYS; /* to another thread, or with siginfo */
        }
        cella_kernel_abort(CELLA_ABORT_CALLED);
    }
    ((void (*)(int))handler)((int)number);
    return 0;
}

static long process_sleep(const struct cella_regs *regs, uint64_t clock, bool absolute, uint64_t at)
{
    (void)regs;
    if (!cella_user_range(at, sizeof(struct libc_timespec))) {
        return -EFAULT;
    }
    const struct libc_timespec time = *(const struct libc_timespec *)at;
    if (time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds > 999999999) {
        return -EINVAL;
    }
    return cella_sleep(!absolute    ? CELLA_WAIT_RELATIVE
                       : clock == 0 ? CELLA_WAIT_UNTIL_REALTIME
                                    : CELLA_WAIT_UNTIL_MONOTONIC,
                       &time);
}

/* Defined by the clock module, when it is linked. */
extern const char cella_module_clock __attribute__((weak));

/*
 * No clock. Not ENOSYS: musl then asks gettimeofday, does not look at the answer and takes what lay in its buffer for the
 * time. The buffer is cleared for those callers of a libc that do not look at all.
 */
static bool process_clock(const struct cella_regs *regs, long *ret_result)
{
    if (&cella_module_clock != NULL || regs->rax != __NR_clock_gettime) {
        return false;
    }
    *ret_result = -EFAULT;
    if (cella_user_range(ARG1(regs), sizeof(struct libc_timespec))) {
        *(struct libc_timespec *)ARG1(regs) = (struct libc_timespec){0};
        *ret_result = -EINVAL;
    }
    return true;
}

static bool process_signals(struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_rt_sigaction:
        *ret_result = signal_action(ARG0(regs), ARG1(regs), ARG2(regs));
        return true;
    case __NR_rt_sigprocmask:
        *ret_result = signal_mask(ARG0(regs), ARG1(regs), ARG2(regs));
        return true;
    case __NR_sigaltstack:
        *ret_result = 0;
        return true;
    case __NR_kill:
        *ret_result = signal_send(cella_td_self()->tid, ARG1(regs));
        return true;
    case __NR_tkill:
        *ret_result = signal_send(ARG0(regs), ARG1(regs));
        return true;
    case __NR_tgkill:
        *ret_result = signal_send(ARG1(regs), ARG2(regs));
        return true;
    default:
        return false;
    }
}

static bool process_ids(const struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_getpid:
        *ret_result = PROCESS_ID;
        return true;
    case __NR_getppid:
    case __NR_getuid:
    case __NR_geteuid:
    case __NR_getgid:
    case __NR_getegid:
    case __NR_umask:
        *ret_result = 0;
        return true;
    default:
        return false;
    }
}

bool cella_libc_process(struct cella_regs *regs, long *ret_result)
{
    if (process_ids(regs, ret_result) || process_signals(regs, ret_result) ||
        process_clock(regs, ret_result)) {
        return true;
    }
    long result = 0;
    switch (regs->rax) {
    case __NR_uname:
        result = process_uname(ARG0(regs));
        break;
    case __NR_getrlimit:
        result = process_limit(ARG0(regs), ARG1(regs));
        break;
    case __NR_prlimit64:
        result = ARG2(regs) != 0 ? -EPERM : process_limit(ARG1(regs), ARG3(regs));
        break;
    case __NR_sysinfo:
        result = process_sysinfo(ARG0(regs));
        break;
    case __NR_readlink:
        result = process_readlink(ARG0(regs), ARG1(regs), ARG2(regs));
        break;
    case __NR_readlinkat:
        result = process_readlink(ARG1(regs), ARG2(regs), ARG3(regs));
        break;
    case __NR_arch_prctl:
        result = process_arch(ARG0(regs), ARG1(regs));
        break;
    case __NR_getrandom:
        result = process_random(ARG0(regs), ARG1(regs));
        break;
    case __NR_nanosleep:
        result = process_sleep(regs, 1, false, ARG0(regs));
        break;
    case __NR_clock_nanosleep:
        result = process_sleep(regs, ARG0(regs), (ARG1(regs) & 1) != 0, ARG2(regs));
        break;
    case __NR_getcwd:
        result = ARG1(regs) >= 2 ? text_out(ARG0(regs), 2, "/") + 1 : -ERANGE;
        if (result == 2) {
            *(char *)(ARG0(regs) + 1) = 0;
        }
        break;
    case __NR_prctl:
        result = ARG0(regs) == 15 /* PR_SET_NAME */ ? 0 : -EINVAL;
        break;
    case __NR_rseq:
    case __NR_clone3:
    case __NR_membarrier:
        result = -ENOSYS; /* known, and known not to be needed: no trace */
        break;
    default:
        return false;
    }
    *ret_result = result;
    return true;
}
