/*
 * Users, groups and capabilities, as servers give them up; and answers about scheduling that are errors.
 * Side: a program of the tests. Prints the same natively and in an enclave; outside it only knows what it sees as root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAPABILITY_VERSION 0x20080522u /* linux/capability.h, which musl does not have */
#define CAP_SETGID 6u
#define CAP_SETUID 7u

static int is_root;

static void is(const char *what, int good)
{
    printf("%s: %s\n", what, good || !is_root ? "yes" : "no");
}

static int has(unsigned capability)
{
    unsigned head[2] = {CAPABILITY_VERSION, 0},
             data[6]; /* effective, permitted, inheritable; twice */
    return syscall(SYS_capget, head, data) == 0 && (data[0] >> capability & 1);
}

static int fails(long result, int error)
{
    return result == -1 && errno == error;
}

int main(void)
{
    const gid_t groups[] = {33, 44};
    gid_t seen[8];
    uid_t real, effective, saved;
    is_root = geteuid() == 0 && has(CAP_SETUID) && has(CAP_SETGID);
    is("groups",
       !is_root || (setgroups(2, groups) == 0 && getgroups(8, seen) == 2 && seen[1] == 44));
    is("no room", fails(getgroups(1, seen), EINVAL));
    is("a user for a while", !is_root || (seteuid(33) == 0 && geteuid() == 33 && getuid() == 0));
    is("without rights", !has(CAP_SETUID) && fails(setgroups(0, NULL), EPERM));
    is("and back", !is_root || (seteuid(0) == 0 && has(CAP_SETUID)));
    is("a group", !is_root || (setgid(33) == 0 && getegid() == 33 && getgid() == 33));
    is("a user", !is_root || (setuid(33) == 0 && getresuid(&real, &effective, &saved) == 0 &&
                              real == 33 && effective == 33 && saved == 33));
    is("for good", fails(setuid(0), EPERM) && fails(seteuid(0), EPERM) && fails(setgid(0), EPERM) &&
                       fails(setgroups(0, NULL), EPERM) && !has(CAP_SETUID));
    struct rusage usage;
    struct sched_param parameter;
    printf("errors: %d %d %d %d\n", fails(sched_getscheduler(-1), EINVAL),
           fails(sched_get_priority_min(-23), EINVAL), fails(getrusage(-5, &usage), EINVAL),
           fails(sched_getparam(-1, &parameter), EINVAL));
    printf("usage: %d %d\n", getrusage(RUSAGE_CHILDREN, &usage), getrusage(RUSAGE_THREAD, &usage));
    cpu_set_t none;
    CPU_ZERO(&none);
    printf("no processor: %d\n", fails(sched_setaffinity(0, sizeof(none), &none), EINVAL));
    return 0;
}
