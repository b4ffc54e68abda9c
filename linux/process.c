/*
 * What a program asks about its process and machine, and what it may set.
 * Side: enclave. Called for the program's system calls.
 * Never asks the host but for processor time: the answers are the image's, the enclave's own state, or RDRAND.
 */
#include "enclave/descriptors.h"
#include "linux/identity.h"
#include "linux/linux.h"

#define PROCESS_ID 1
#define LIMIT_COUNT 16u
#define DESCRIPTORS_USUAL 1024u /* what programs have that raise nothing: select knows no more */
#define LIMIT_STACK 3u
#define LIMIT_NOFILE 7u
#define LIMIT_CORE 4u
#define LIMIT_AS 9u
#define ARCH_SET_GS 0x1001u
#define ARCH_SET_FS 0x1002u
#define ARCH_GET_FS 0x1003u
#define RANDOM_MAX 33554431u
#define RANDOM_FLAGS 7u
#define PR_SET_PDEATHSIG 1u
#define PR_GET_PDEATHSIG 2u
#define PR_GET_DUMPABLE 3u
#define PR_SET_DUMPABLE 4u
#define PR_SET_KEEPCAPS 8u
#define PR_SET_NAME 15u
#define PR_GET_NAME 16u
#define PR_GET_SECCOMP 21u
#define PR_CAPBSET_READ 23u
#define PR_SET_TIMERSLACK 29u
#define PR_GET_TIMERSLACK 30u
#define PR_SET_NO_NEW_PRIVS 38u
#define PR_GET_NO_NEW_PRIVS 39u
#define PR_SET_THP_DISABLE 41u
#define PR_SET_VMA 0x53564d41u
#define CLOCK_PROCESS_CPU_ID 2u
#define CLOCK_THREAD_CPU_ID 3u
#define NANOSECONDS 1000000000ull
#define TICK 10000000ull
#define CPU_MAX 1024u

static uint64_t limits[LIMIT_COUNT][2];
static struct cella_lock process_lock;
static uint64_t file_mask = 022;

static void text_into(char *to, uint32_t capacity, const char *text, uint32_t size)
{
    const uint32_t part = size < capacity - 1 ? size : capacity - 1;
    __builtin_memcpy(to, text, part);
    to[part] = 0;
}

static long call_uname(uint64_t at)
{
    static const char *const fields[] = {"Linux", "", "6.12.0", "#1 SMP Cella", "x86_64", "(none)"};
    if (!cella_user_writable(at, 6 * 65)) {
        return -EFAULT;
    }
    cella_zero((void *)at, 6 * 65);
    for (uint32_t i = 0; i < CELLA_COUNT(fields); i++) {
        uint32_t size = (uint32_t)cella_strlen(fields[i]);
        const char *text = fields[i];
        if (i == 1) {
            text = cella_linux_text(cella_linux_program->host_name, &size);
        }
        text_into((char *)at + i * 65, 65, text, size);
    }
    return 0;
}

void linux_limits_init(void)
{
    for (uint32_t i = 0; i < LIMIT_COUNT; i++) {
        limits[i][0] = limits[i][1] = UINT64_MAX;
    }
    const uint32_t wanted = cella_linux_program->descriptor_max;
    const uint32_t most =
        wanted == 0 || wanted > CELLA_DESCRIPTOR_COUNT ? CELLA_DESCRIPTOR_COUNT : wanted;
    const uint32_t descriptors = wanted == 0 ? DESCRIPTORS_USUAL : most;
    limits[LIMIT_STACK][0] = cella_linux_program->stack_size;
    limits[LIMIT_NOFILE][0] = descriptors;
    limits[LIMIT_NOFILE][1] = most;
    atomic_store(&cella_descriptor_limit, descriptors);
    limits[LIMIT_CORE][0] = limits[LIMIT_CORE][1] = 0;
}

uint64_t linux_descriptor_max(void)
{
    return __atomic_load_n(&limits[LIMIT_NOFILE][1], __ATOMIC_RELAXED);
}

static long call_limit(uint64_t resource, uint64_t wanted, uint64_t old)
{
    if (resource >= LIMIT_COUNT) {
        return -EINVAL;
    }
    if ((wanted != 0 && !cella_user_range(wanted, 16)) ||
        (old != 0 && !cella_user_writable(old, 16))) {
        return -EFAULT;
    }
    resource = cella_index_clamp(resource, LIMIT_COUNT);
    uint64_t next[2] = {0, 0};
    if (wanted != 0) {
        __builtin_memcpy(next, (const void *)wanted, sizeof(next));
        if (next[0] > next[1]) {
            return -EINVAL;
        }
    }
    cella_lock_take(&process_lock);
    const uint64_t before[2] = {limits[resource][0], limits[resource][1]};
    const bool is_allowed = wanted == 0 || next[1] <= before[1];
    if (wanted != 0 && is_allowed) {
        limits[resource][0] = next[0];
        limits[resource][1] = next[1];
        if (resource == LIMIT_NOFILE) {
            atomic_store(&cella_descriptor_limit, (uint32_t)next[0]);
        }
    }
    cella_lock_give(&process_lock);
    if (!is_allowed) {
        return -EPERM;
    }
    if (old != 0) {
        __builtin_memcpy((void *)old, before, sizeof(before));
    }
    return 0;
}

static uint64_t memory_total(void)
{
    const uint64_t max = cella_linux_program->memory_max;
    return max != 0 ? max : CELLA_PROGRAM_KERNEL / 4;
}

static long call_sysinfo(uint64_t at)
{
    if (!cella_user_writable(at, 112)) {
        return -EFAULT;
    }
    const uint64_t used = linux_pages_used() * SGX_PAGE_SIZE, total = memory_total();
    cella_zero((void *)at, 112);
    *(uint64_t *)at = (linux_clock_now(false) - cella_linux_start_time) / NANOSECONDS;
    *(uint64_t *)(at + 32) = total;
    *(uint64_t *)(at + 40) = used < total ? total - used : 0;
    *(uint16_t *)(at + 80) = 1;
    *(uint32_t *)(at + 104) = 1;
    return 0;
}

static long call_arch(uint64_t code, uint64_t value)
{
    struct cella_td *td = cella_td_self();
    switch (code) {
    case ARCH_SET_FS:
        if (value >= CELLA_PROGRAM_KERNEL) {
            return -EPERM;
        }
        td->fs_base = value;
        __asm__ volatile("wrfsbase %0" : : "r"(value) : "memory");
        return 0;
    case ARCH_GET_FS:
        if (!cella_user_writable(value, 8)) {
            return -EFAULT;
        }
        __asm__ volatile("rdfsbase %0" : "=r"(*(uint64_t *)value));
        return 0;
    case ARCH_SET_GS:
        return -EPERM; /* the kernel's own */
    default:
        return -EINVAL;
    }
}

static long call_random(uint64_t to, uint64_t size, uint64_t flags)
{
    if ((flags & ~(uint64_t)RANDOM_FLAGS) != 0) {
        return -EINVAL;
    }
    size = size > RANDOM_MAX ? RANDOM_MAX : size;
    if (!cella_user_writable(to, size)) {
        return -EFAULT;
    }
    return cella_is_ok(cella_random((void *)to, size)) ? (long)size : -EIO;
}

static long call_usage(uint64_t who, uint64_t to)
{
    if ((int32_t)who < -1 || (int32_t)who > 1) {
        return -EINVAL;
    }
    if (!cella_user_writable(to, 144)) {
        return -EFAULT;
    }
    cella_zero((void *)to, 144);
    if ((int32_t)who != -1) {
        const uint64_t time =
            linux_clock_host(who == 1 ? CLOCK_THREAD_CPU_ID : CLOCK_PROCESS_CPU_ID);
        ((uint64_t *)to)[0] = time / NANOSECONDS;
        ((uint64_t *)to)[1] = time % NANOSECONDS / 1000;
        ((uint64_t *)to)[4] = linux_pages_peak() * (SGX_PAGE_SIZE / 1024);
    }
    return 0;
}

static long call_times(uint64_t to)
{
    if (to != 0) {
        if (!cella_user_writable(to, 32)) {
            return -EFAULT;
        }
        cella_zero((void *)to, 32);
        *(uint64_t *)to = linux_clock_host(CLOCK_PROCESS_CPU_ID) / TICK;
    }
    return (long)(linux_clock_now(false) / TICK);
}

static long call_affinity(const struct cella_regs *regs)
{
    const uint64_t size = ARG1(regs);
    if (ARG0(regs) != 0 && !linux_thread_of((uint32_t)ARG0(regs))) {
        return -ESRCH;
    }
    const uint32_t count = cella_linux_cpu_count();
    const uint64_t bytes = (uint64_t)(count + 63) / 64 * 8;
    if (size < bytes || size % 8 != 0) {
        return -EINVAL;
    }
    if (!cella_user_writable(ARG2(regs), bytes)) {
        return -EFAULT;
    }
    cella_zero((void *)ARG2(regs), bytes);
    for (uint32_t i = 0; i < count; i++) {
        ((uint8_t *)ARG2(regs))[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    return (long)bytes;
}

/* Where its threads run is the host's to say; a set without any processor that is there is refused, as Linux does. */
static long call_affinity_set(const struct cella_regs *regs)
{
    const uint32_t count = cella_linux_cpu_count();
    const uint64_t size = ARG1(regs) < 128 ? ARG1(regs) : 128;
    if (ARG0(regs) != 0 && !linux_thread_of((uint32_t)ARG0(regs))) {
        return (int32_t)ARG0(regs) < 0 ? -EINVAL : -ESRCH;
    }
    if (!cella_user_writable(ARG2(regs), size)) {
        return -EFAULT;
    }
    const uint8_t *mask = (const uint8_t *)ARG2(regs);
    for (uint32_t i = 0; i < count && i / 8 < size; i++) {
        if ((mask[i / 8] & 1u << (i % 8)) != 0) {
            return 0;
        }
    }
    return -EINVAL;
}

static long call_prctl(const struct cella_regs *regs)
{
    struct linux_thread *thread = linux_thread_self();
    switch ((uint32_t)ARG0(regs)) {
    case PR_SET_NAME: {
        const char *name = (const char *)ARG1(regs);
        uint32_t size = 0;
        while (size < LINUX_NAME_SIZE - 1) {
            if (!cella_user_range(ARG1(regs) + size, 1)) {
                return -EFAULT;
            }
            if (name[size] == 0) {
                break;
            }
            size++;
        }
        text_into(thread->name, LINUX_NAME_SIZE, name, size);
        return 0;
    }
    case PR_GET_NAME:
        if (!cella_user_writable(ARG1(regs), LINUX_NAME_SIZE)) {
            return -EFAULT;
        }
        __builtin_memcpy((void *)ARG1(regs), thread->name, LINUX_NAME_SIZE);
        return 0;
    case PR_SET_PDEATHSIG:
    case PR_SET_DUMPABLE:
    case PR_SET_KEEPCAPS:
    case PR_SET_TIMERSLACK:
    case PR_SET_NO_NEW_PRIVS:
    case PR_SET_THP_DISABLE:
    case PR_GET_DUMPABLE:
    case PR_GET_SECCOMP:
    case PR_CAPBSET_READ:
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return 1;
    case PR_GET_TIMERSLACK:
        return 50000;
    case PR_GET_PDEATHSIG:
        if (!cella_user_writable(ARG1(regs), 4)) {
            return -EFAULT;
        }
        *(uint32_t *)ARG1(regs) = 0;
        return 0;
    default:
        return -EINVAL; /* PR_SET_VMA as well: names of areas are not kept */
    }
}

static long call_cpu(uint64_t cpu, uint64_t node)
{
    if ((cpu != 0 && !cella_user_writable(cpu, 4)) ||
        (node != 0 && !cella_user_writable(node, 4))) {
        return -EFAULT;
    }
    if (cpu != 0) {
        *(uint32_t *)cpu = cella_td_self()->slot % cella_linux_cpu_count();
    }
    if (node != 0) {
        *(uint32_t *)node = 0;
    }
    return 0;
}

static bool process_ids(const struct cella_regs *regs, long *ret_result)
{
    long result = 0;
    switch (regs->rax) {
    case __NR_getpid:
    case __NR_getpgrp:
        result = PROCESS_ID;
        break;
    case __NR_getpgid:
    case __NR_getsid:
        result = ARG0(regs) == 0 || ARG0(regs) == PROCESS_ID ? PROCESS_ID : -ESRCH;
        break;
    case __NR_setsid:
    case __NR_setpgid:
        result = regs->rax == __NR_setsid ? -EPERM : 0;
        break;
    case __NR_getppid:
        result = 0;
        break;
    default:
        return false;
    }
    *ret_result = result;
    return true;
}

static bool process_schedule(struct cella_regs *regs, long *ret_result)
{
    long result = 0;
    switch (regs->rax) {
    case __NR_sched_getaffinity:
        result = call_affinity(regs);
        break;
    case __NR_sched_setaffinity:
        result = call_affinity_set(regs);
        break;
    case __NR_sched_setparam:
    case __NR_sched_setscheduler:
    case __NR_sched_getscheduler:
        result = (int32_t)ARG0(regs) < 0 ? -EINVAL : 0;
        break;
    case __NR_setpriority:
    case __NR_ioprio_set:
    case __NR_ioprio_get:
        break;
    case __NR_getpriority:
        result = 20;
        break;
    case __NR_sched_getparam:
        result = (int32_t)ARG0(regs) < 0              ? -EINVAL
                 : cella_user_writable(ARG1(regs), 4) ? 0
                                                      : -EFAULT;
        if (result == 0) {
            *(uint32_t *)ARG1(regs) = 0;
        }
        break;
    case __NR_sched_get_priority_max:
    case __NR_sched_get_priority_min:
        result = ARG0(regs) > 6 || ARG0(regs) == 4 ? -EINVAL /* SCHED_OTHER to SCHED_DEADLINE */
                 : ARG0(regs) == 1 || ARG0(regs) == 2
                     ? (regs->rax == __NR_sched_get_priority_max ? 99 : 1)
                     : 0;
        break;
    case __NR_getcpu:
        result = call_cpu(ARG0(regs), ARG1(regs));
        break;
    default:
        return false;
    }
    *ret_result = result;
    return true;
}

bool linux_process_syscall(struct cella_regs *regs, long *ret_result)
{
    if (process_ids(regs, ret_result) || process_schedule(regs, ret_result)) {
        return true;
    }
    long result = 0;
    switch (regs->rax) {
    case __NR_uname:
        result = call_uname(ARG0(regs));
        break;
    case __NR_getrlimit:
        result = call_limit(ARG0(regs), 0, ARG1(regs));
        break;
    case __NR_setrlimit:
        result = call_limit(ARG0(regs), ARG1(regs), 0);
        break;
    case __NR_prlimit64:
        result = ARG0(regs) != 0 && ARG0(regs) != PROCESS_ID
                     ? -ESRCH
                     : call_limit(ARG1(regs), ARG2(regs), ARG3(regs));
        break;
    case __NR_sysinfo:
        result = call_sysinfo(ARG0(regs));
        break;
    case __NR_getrusage:
        result = call_usage(ARG0(regs), ARG1(regs));
        break;
    case __NR_times:
        result = call_times(ARG0(regs));
        break;
    case __NR_arch_prctl:
        result = call_arch(ARG0(regs), ARG1(regs));
        break;
    case __NR_getrandom:
        result = call_random(ARG0(regs), ARG1(regs), ARG2(regs));
        break;
    case __NR_prctl:
        result = call_prctl(regs);
        break;
    case __NR_umask:
        result = (long)__atomic_exchange_n(&file_mask, ARG0(regs) & 0777, __ATOMIC_SEQ_CST);
        break;
    case __NR_personality:
        result = ARG0(regs) == 0xFFFFFFFF || ARG0(regs) == 0 ? 0 : -EINVAL;
        break;
    case __NR_wait4:
    case __NR_waitid:
        result = -ECHILD;
        break;
    case __NR_membarrier:
        result = ARG0(regs) == 0 ? 0 : -EINVAL; /* QUERY: none */
        break;
    case __NR_rseq:
    case __NR_seccomp:
    case __NR_bpf:
    case __NR_perf_event_open:
    case __NR_io_uring_setup:
    case __NR_userfaultfd:
    case __NR_pidfd_open:
    case __NR_ptrace:
    case __NR_keyctl:
    case __NR_add_key:
    case __NR_request_key:
    case __NR_process_vm_readv:
    case __NR_process_vm_writev:
    case __NR_kcmp:
    case __NR_landlock_create_ruleset:
        result = -ENOSYS; /* known, and known not to be needed: no trace */
        break;
    case __NR_syslog:
    case __NR_reboot:
    case __NR_swapon:
    case __NR_sethostname:
    case __NR_setdomainname:
    case __NR_chroot:
    case __NR_pivot_root:
    case __NR_init_module:
        result = -EPERM;
        break;
    default:
        return linux_identity_syscall(regs, ret_result);
    }
    *ret_result = result;
    return true;
}
