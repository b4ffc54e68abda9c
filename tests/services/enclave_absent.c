/*
 * Without the modules there are no such calls; what the layer under them answers is what it always was.
 * Side: enclave (tests). Called by enclave_main.c of the image without modules.
 * Never linked together with a module.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/services/services.h"

static int check_absent(void)
{
    static const long numbers[] = {
        SYS_open,      SYS_openat,     SYS_stat,       SYS_lseek,    SYS_getdents64,
        SYS_mkdir,     SYS_rename,     SYS_unlink,     SYS_truncate, SYS_flock,
        SYS_chdir,     SYS_socket,     SYS_socketpair, SYS_connect,  SYS_accept4,
        SYS_bind,      SYS_listen,     SYS_sendto,     SYS_recvmsg,  SYS_setsockopt,
        SYS_poll,      SYS_ppoll,      SYS_select,     SYS_pselect6, SYS_epoll_create1,
        SYS_epoll_ctl, SYS_epoll_wait, SYS_eventfd2,   SYS_pipe2,    SYS_dup,
        SYS_dup3,      SYS_getgroups,  SYS_getpgrp};
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        errno = 0;
        if (syscall(numbers[i], 5, 0, 0, 0, 0) != -1 || errno != ENOSYS) {
            return 10000 + (int)numbers[i];
        }
    }
    return 0;
}

static int check_constants(void)
{
    struct utsname names;
    CHECK(getpid() == 1 && getuid() == 0);
    CHECK(uname(&names) == 0 && strcmp(names.nodename, "enclave") == 0);
    return 0;
}

const struct services_check absent_checks[] = {
    {"absent", check_absent}, {"constants", check_constants}, {NULL, NULL}};
