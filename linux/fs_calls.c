/*
 * The system calls of the file tree: which part answers which.
 * Side: enclave. Called by syscall.c for every call that memory, threads, signals and clocks do not know.
 * Never passes one on to the host: what there is of the host's files comes through fs_host.c.
 */
#include "linux/fs_tree.h"

#define NR_OPENAT2 437u
#define NR_MOUNT_SETATTR 442u
#define NR_QUOTACTL_FD 443u
#define NR_OPEN_TREE 428u
#define NR_FSPICK 433u

static bool is_xattr(uint64_t number)
{
    return number >= __NR_setxattr && number <= __NR_fremovexattr;
}

/* What a program may ask and is refused: by which error it goes another way. */
static bool refused_calls(const struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_mount:
    case __NR_umount2:
    case __NR_pivot_root:
    case __NR_chroot:
    case __NR_swapon:
    case __NR_swapoff:
    case __NR_acct:
    case __NR_quotactl:
        *ret_result = -EPERM;
        return true;
    case __NR_inotify_init:
    case __NR_inotify_init1:
    case __NR_inotify_add_watch:
    case __NR_inotify_rm_watch:
    case __NR_fanotify_init:
    case __NR_fanotify_mark:
    case __NR_name_to_handle_at:
    case __NR_open_by_handle_at:
    case NR_OPENAT2:
    case NR_MOUNT_SETATTR:
    case NR_QUOTACTL_FD:
        *ret_result = -ENOSYS;
        return true;
    default:
        break;
    }
    if (regs->rax >= NR_OPEN_TREE && regs->rax <= NR_FSPICK) { /* the mount calls of Linux 5.2 */
        *ret_result = -ENOSYS;
        return true;
    }
    if (is_xattr(regs->rax)) {
        *ret_result = -EOPNOTSUPP;
        return true;
    }
    return false;
}

bool fs_syscall(struct cella_regs *regs, long *ret_result)
{
    return fs_open_calls(regs, ret_result) || fs_stat_calls(regs, ret_result) ||
           fs_file_calls(regs, ret_result) || fs_name_calls(regs, ret_result) ||
           fs_copy_calls(regs, ret_result) || refused_calls(regs, ret_result);
}
