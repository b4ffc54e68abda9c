/*
 * Checks of names, ids and the machine: resolver, getpid and its kin, uname, sleeping.
 * Side: enclave (tests). Called by enclave_main.c.
 * Never asks a name server: localhost and digits only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tests/services/services.h"

static int check_resolve_digits(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    CHECK(getaddrinfo("10.1.2.3", "443", &hints, &list) == 0 && list && !list->ai_next);
    const struct sockaddr_in *in = (const struct sockaddr_in *)list->ai_addr;
    CHECK(list->ai_family == AF_INET && list->ai_addrlen == sizeof(*in));
    CHECK(list->ai_protocol == IPPROTO_TCP && in->sin_port == htons(443));
    CHECK(in->sin_addr.s_addr == htonl(0x0A010203));
    freeaddrinfo(list);
    CHECK(getaddrinfo("fd00::7", NULL, NULL, &list) == 0 && list->ai_family == AF_INET6);
    freeaddrinfo(list);
    hints.ai_flags = AI_PASSIVE;
    CHECK(getaddrinfo(NULL, "80", &hints, &list) == 0 && list->ai_next);
    freeaddrinfo(list);
    hints.ai_flags = AI_NUMERICHOST;
    CHECK(getaddrinfo("localhost", "80", &hints, &list) == EAI_NONAME);
    hints = (struct addrinfo){.ai_family = AF_INET6};
    CHECK(getaddrinfo("1.2.3.4", "80", &hints, &list) != 0);
    CHECK(getaddrinfo(NULL, NULL, NULL, &list) == EAI_NONAME);
    CHECK(getaddrinfo("1.2.3.4", "70000", NULL, &list) != 0);
    return 0;
}

static int check_resolve_names(void)
{
    struct addrinfo hints = {.ai_family = AF_INET,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_CANONNAME},
                    *list = NULL;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(99), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char name[256], port[32];
    CHECK(getaddrinfo("localhost", "8080", &hints, &list) == 0 && list);
    const struct sockaddr_in *in = (const struct sockaddr_in *)list->ai_addr;
    CHECK(in->sin_port == htons(8080) && in->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    CHECK(list->ai_canonname && list->ai_canonname[0]);
    freeaddrinfo(list);
    CHECK(getnameinfo((struct sockaddr *)&address, sizeof(address), name, sizeof(name), port,
                      sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) == 0);
    CHECK(strcmp(name, "127.0.0.1") == 0 && strcmp(port, "99") == 0);
    CHECK(getnameinfo((struct sockaddr *)&address, sizeof(address), name, sizeof(name), port,
                      sizeof(port), NI_NUMERICSERV) == 0 &&
          name[0]);
    CHECK(getnameinfo((struct sockaddr *)&address, sizeof(address), name, 4, port, sizeof(port),
                      NI_NUMERICHOST) == EAI_OVERFLOW);
    return 0;
}

static int check_ids(void)
{
    gid_t groups[256];
    CHECK(getpid() > 1 && getppid() >= 0 && getpid() == getpid());
    CHECK(getpgid(0) == getpgrp() && getsid(0) >= 0 && getuid() == geteuid());
    const int count = getgroups(0, NULL);
    CHECK(count >= 0 && getgroups(256, groups) == count);
    CHECK(kill(getpid(), 0) == 0 && kill(getppid(), 0) == 0);
    CHECK_ERRNO(kill(getppid(), SIGTERM), EPERM);
    CHECK_ERRNO(kill(-1, SIGKILL), EPERM);
    return 0;
}

static int check_uname(void)
{
    struct utsname names;
    char name[128];
    CHECK(uname(&names) == 0 && strcmp(names.sysname, "Linux") == 0);
    CHECK(strcmp(names.machine, "x86_64") == 0 && strcmp(names.nodename, "enclave") != 0);
    CHECK(gethostname(name, sizeof(name)) == 0 && strcmp(name, names.nodename) == 0);
    return 0;
}

static int check_sleep(void)
{
    struct timespec start, end, time = {.tv_nsec = 25000000};
    struct sysinfo info;
    unsigned char bytes[16] = {0};
    CHECK(clock_gettime(CLOCK_MONOTONIC, &start) == 0 && nanosleep(&time, NULL) == 0);
    CHECK(clock_gettime(CLOCK_MONOTONIC, &end) == 0);
    CHECK((end.tv_sec - start.tv_sec) * 1000000000 + end.tv_nsec - start.tv_nsec >= 24000000);
    end.tv_nsec += end.tv_nsec < 980000000 ? 20000000 : 0;
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == 0);
    CHECK(clock_gettime(CLOCK_MONOTONIC, &start) == 0);
    CHECK(start.tv_sec > end.tv_sec ||
          (start.tv_sec == end.tv_sec && start.tv_nsec >= end.tv_nsec));
    CHECK(usleep(1000) == 0 && sysinfo(&info) == 0 && info.totalram > 0);
    CHECK(getrandom(bytes, sizeof(bytes), 0) == 16);
    return 0;
}

const struct services_check process_checks[] = {{"resolve_digits", check_resolve_digits},
                                                {"resolve_names", check_resolve_names},
                                                {"ids", check_ids},
                                                {"uname", check_uname},
                                                {"sleep", check_sleep},
                                                {NULL, NULL}};
