/*
 * Sockets of AF_UNIX: the same calls inside and to the real kernel; then what is the tree's own.
 * Side: tests (native).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "abi/program.h"
#include "tests/linux/world.h"

static char root[64];
static bool is_inside;

/* Either kernel. */
static long call(long number, ...)
{
    uint64_t words[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) {
        words[i] = va_arg(list, uint64_t);
    }
    va_end(list);
    if (is_inside) {
        return world_call(number, words[0], words[1], words[2], words[3], words[4], words[5]);
    }
    const long result = syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
    return result < 0 ? -errno : result;
}
#define DO(number, ...) call((number), __VA_ARGS__, 0ul, 0ul, 0ul, 0ul, 0ul, 0ul)

static struct sockaddr_un address_of(const char *path, uint64_t *ret_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path[0] == '@') {
        memcpy(address.sun_path + 1, path + 1, strlen(path) - 1);
    } else {
        strcpy(address.sun_path, path);
    }
    *ret_size = offsetof(struct sockaddr_un, sun_path) + strlen(path) + (path[0] != '@');
    return address;
}

static long bind_to(long fd, const char *path)
{
    uint64_t size;
    const struct sockaddr_un address = address_of(path, &size);
    return DO(SYS_bind, W(fd), W(&address), size);
}

static long connect_to(long fd, const char *path)
{
    uint64_t size;
    const struct sockaddr_un address = address_of(path, &size);
    return DO(SYS_connect, W(fd), W(&address), size);
}

/* Lines that both kernels must write alike. */
static char lines[2][16384];
static void note(const char *what, long value)
{
    char *to = lines[is_inside];
    const size_t used = strlen(to);
    snprintf(to + used, sizeof(lines[0]) - used, "%s %ld\n", what, value);
}
#define NOTE(expression) note(#expression, (long)(expression))

static void streams(const char *path)
{
    char bytes[64] = "";
    struct sockaddr_un name;
    uint32_t size = sizeof(name);
    long left = 0;
    const long listener = DO(SYS_socket, W(AF_UNIX), W(SOCK_STREAM), W(0));
    NOTE(DO(SYS_listen, W(listener), W(1)));
    NOTE(bind_to(listener, path));
    NOTE(bind_to(listener, path));
    NOTE(connect_to(listener, path));
    const long client = DO(SYS_socket, W(AF_UNIX), W(SOCK_STREAM | SOCK_NONBLOCK), W(0));
    NOTE(connect_to(client, path));
    NOTE(connect_to(client, "/nowhere/at/all"));
    NOTE(DO(SYS_write, W(client), W("x"), W(1)));
    NOTE(DO(SYS_listen, W(listener), W(5)));
    NOTE(connect_to(client, path));
    NOTE(connect_to(client, path));
    const long server = DO(SYS_accept4, W(listener), W(&name), W(&size), W(SOCK_NONBLOCK));
    note("accept", server >= 0);
    note("size of nobody's name", size);
    NOTE(DO(SYS_write, W(client), W("hello there"), W(11)));
    NOTE(DO(SYS_ioctl, W(server), W(FIONREAD), W(&left)));
    note("left", left);
    NOTE(DO(SYS_recvfrom, W(server), W(bytes), W(5), W(MSG_PEEK), W(0), W(0)));
    NOTE(DO(SYS_read, W(server), W(bytes), W(6)));
    NOTE(DO(SYS_read, W(server), W(bytes + 6), W(60)));
    note(bytes, 0);
    NOTE(DO(SYS_read, W(server), W(bytes), W(1)));
    NOTE(DO(SYS_shutdown, W(server), W(SHUT_WR)));
    NOTE(DO(SYS_read, W(client), W(bytes), W(1)));
    NOTE(DO(SYS_write, W(client), W("more"), W(4)));
    NOTE(DO(SYS_close, W(client)));
    NOTE(DO(SYS_read, W(server), W(bytes), W(10)));
    NOTE(DO(SYS_read, W(server), W(bytes), W(10)));
    NOTE(DO(SYS_sendto, W(server), W("x"), W(1), W(MSG_NOSIGNAL), W(0), W(0)));
    size = sizeof(name);
    NOTE(DO(SYS_getsockname, W(server), W(&name), W(&size)));
    note(name.sun_path, size);
    NOTE(DO(SYS_close, W(server)));
    NOTE(DO(SYS_close, W(listener)));
    const long again = DO(SYS_socket, W(AF_UNIX), W(SOCK_STREAM), W(0));
    NOTE(connect_to(again, path));
    NOTE(bind_to(again, path));
    NOTE(DO(SYS_unlink, W(path)));
    NOTE(bind_to(again, path));
    NOTE(DO(SYS_unlink, W(path)));
    NOTE(DO(SYS_close, W(again)));
}

static void datagrams(const char *first, const char *second)
{
    char bytes[64] = "";
    struct sockaddr_un name;
    uint64_t size;
    uint32_t name_size = sizeof(name);
    const long a = DO(SYS_socket, W(AF_UNIX), W(SOCK_DGRAM | SOCK_NONBLOCK), W(0));
    const long b = DO(SYS_socket, W(AF_UNIX), W(SOCK_DGRAM), W(0));
    NOTE(bind_to(a, first));
    NOTE(bind_to(b, second));
    NOTE(DO(SYS_write, W(b), W("x"), W(1)));
    NOTE(DO(SYS_listen, W(b), W(1)));
    const struct sockaddr_un to = address_of(first, &size);
    NOTE(DO(SYS_sendto, W(b), W("message one"), W(11), W(0), W(&to), size));
    NOTE(DO(SYS_sendto, W(b), W(""), W(0), W(0), W(&to), size));
    NOTE(connect_to(b, first));
    NOTE(DO(SYS_write, W(b), W("three"), W(5)));
    NOTE(DO(SYS_recvfrom, W(a), W(bytes), W(7), W(MSG_TRUNC), W(&name), W(&name_size)));
    note(name.sun_path[0] == 0 ? "abstract" : name.sun_path, name_size);
    NOTE(DO(SYS_read, W(a), W(bytes), W(64)));
    NOTE(DO(SYS_read, W(a), W(bytes), W(64)));
    NOTE(DO(SYS_read, W(a), W(bytes), W(64)));
    NOTE(DO(SYS_close, W(a)));
    NOTE(DO(SYS_write, W(b), W("x"), W(1)));
    NOTE(DO(SYS_close, W(b)));
    DO(SYS_unlink, W(first));
    DO(SYS_unlink, W(second));
}

static void pairs(void)
{
    int32_t fds[2] = {-1, -1};
    char bytes[64] = "";
    NOTE(DO(SYS_socketpair, W(AF_UNIX), W(SOCK_SEQPACKET), W(0), W(fds)));
    NOTE(DO(SYS_write, W(fds[0]), W("one"), W(3)));
    NOTE(DO(SYS_write, W(fds[0]), W("second"), W(6)));
    NOTE(DO(SYS_read, W(fds[1]), W(bytes), W(2)));
    NOTE(DO(SYS_read, W(fds[1]), W(bytes), W(64)));
    note(bytes, 0);
    NOTE(DO(SYS_close, W(fds[0])));
    NOTE(DO(SYS_read, W(fds[1]), W(bytes), W(64)));
    NOTE(DO(SYS_close, W(fds[1])));
    NOTE(DO(SYS_socketpair, W(AF_UNIX), W(SOCK_STREAM), W(0), W(8)));
    NOTE(DO(SYS_socket, W(AF_UNIX), W(77), W(0)));
    NOTE(DO(SYS_socket, W(AF_UNIX), W(SOCK_STREAM), W(9)));
}

/* A descriptor in a message: the same open file at the other end. */
static void rights(void)
{
    int32_t fds[2] = {-1, -1}, pipe_ends[2] = {-1, -1};
    char byte = 'r', got = 0, read_byte = 0;
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int32_t))];
    } control;
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    NOTE(DO(SYS_socketpair, W(AF_UNIX), W(SOCK_STREAM), W(0), W(fds)));
    NOTE(DO(SYS_pipe2, W(pipe_ends), W(0)));
    control.head = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int32_t)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.head), &pipe_ends[1], sizeof(int32_t));
    NOTE(DO(SYS_sendmsg, W(fds[0]), W(&message), W(0)));
    NOTE(DO(SYS_close, W(pipe_ends[1])));
    memset(&control, 0, sizeof(control));
    vector.iov_base = &got;
    NOTE(DO(SYS_recvmsg, W(fds[1]), W(&message), W(MSG_CMSG_CLOEXEC)));
    note("flags", message.msg_flags & ~MSG_CMSG_CLOEXEC);
    int32_t passed = -1;
    memcpy(&passed, CMSG_DATA(&control.head), sizeof(passed));
    note("control", (long)message.msg_controllen);
    NOTE(DO(SYS_write, W(passed), W("z"), W(1)));
    NOTE(DO(SYS_read, W(pipe_ends[0]), W(&read_byte), W(1)));
    note("byte", read_byte);
    NOTE(DO(SYS_close, W(passed)));
    NOTE(DO(SYS_read, W(pipe_ends[0]), W(&read_byte), W(1)));
    message.msg_control = NULL;
    message.msg_controllen = 0;
    vector.iov_base = &byte;
    NOTE(DO(SYS_sendmsg, W(fds[0]), W(&message), W(0)));
    NOTE(DO(SYS_close, W(pipe_ends[0])));
    NOTE(DO(SYS_close, W(fds[0])));
    NOTE(DO(SYS_close, W(fds[1])));
}

static void as_linux_has_it(void **context)
{
    char path[128], outside[2][128];
    (void)context;
    snprintf(outside[0], sizeof(outside[0]), "%s/a", root);
    snprintf(outside[1], sizeof(outside[1]), "%s/b", root);
    (void)path;
    for (int i = 0; i < 2; i++) {
        is_inside = i == 1;
        if (is_inside) {
            CALL(SYS_chdir, W("/scratch"));
        } else {
            assert_int_equal(chdir(root), 0);
        }
        streams("a");
        streams("@cella-test-abstract");
        datagrams("a", "b");
        datagrams("@cella-test-1", "@cella-test-2");
        pairs();
        rights();
    }
    const char *a = lines[1], *b = lines[0];
    while (*a && *a == *b) {
        a++;
        b++;
    }
    if (*a != *b) { /* from a few lines before */
        while (a > lines[1] && lines[1] + 200 < a && a[-1] != '\n') {
            a--;
            b--;
        }
        fail_msg("inside '%.60s', outside '%.60s', after '%.160s'", a, b,
                 a - lines[1] > 160 ? a - 160 : lines[1]);
    }
    is_inside = true;
}

static void *echo(void *context)
{
    const long listener = (long)context;
    const long fd = CALL(SYS_accept, W(listener), W(0), W(0));
    static char bytes[3000];
    long total = 0;
    for (long count; (count = CALL(SYS_read, W(fd), W(bytes), W(sizeof(bytes)))) > 0;) {
        total += count;
        for (long done = 0; done < count;) {
            const long part = CALL(SYS_write, W(fd), W(bytes + done), W(count - done));
            if (part <= 0) {
                return NULL;
            }
            done += part;
        }
    }
    CALL(SYS_close, W(fd));
    return (void *)total;
}

static void *pour(void *context)
{
    static char bytes[100000];
    for (int i = 0; i < 20; i++) {
        memset(bytes, 'a' + i, sizeof(bytes));
        if (CALL(SYS_write, W(context), W(bytes), W(sizeof(bytes))) != sizeof(bytes)) {
            return NULL;
        }
    }
    CALL(SYS_shutdown, W(context), W(SHUT_WR));
    return context;
}

static void much_goes_both_ways(void **context)
{
    static char bytes[65536];
    pthread_t threads[2];
    void *result[2];
    (void)context;
    const long listener = CALL(SYS_socket, W(AF_UNIX), W(SOCK_STREAM), W(0));
    const long client = CALL(SYS_socket, W(AF_UNIX), W(SOCK_STREAM), W(0));
    assert_int_equal(bind_to(listener, "/scratch/echo"), 0);
    assert_int_equal(CALL(SYS_listen, W(listener), W(5)), 0);
    assert_int_equal(connect_to(client, "/scratch/echo"), 0);
    pthread_create(&threads[0], NULL, echo, (void *)listener);
    pthread_create(&threads[1], NULL, pour, (void *)client);
    long total = 0;
    for (long count; (count = CALL(SYS_read, W(client), W(bytes), W(sizeof(bytes)))) > 0;) {
        for (long i = 0; i < count; i++) {
            assert_int_equal(bytes[i], 'a' + (total + i) / 100000);
        }
        total += count;
    }
    pthread_join(threads[0], &result[0]);
    pthread_join(threads[1], &result[1]);
    assert_int_equal(total, 2000000);
    assert_int_equal((long)result[0], 2000000);
    CALL(SYS_close, W(client));
    CALL(SYS_close, W(listener));
}

/* Paths in a directory of the host: a program outside connects, and the other way round. */
static void sockets_of_the_host(void **context)
{
    char path[128], byte = 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    (void)context;
    const long listener = CALL(SYS_socket, W(AF_UNIX), W(SOCK_STREAM), W(0));
    assert_int_equal(bind_to(listener, "/data/in"), 0);
    assert_int_equal(CALL(SYS_listen, W(listener), W(5)), 0);
    snprintf(path, sizeof(path), "%s/data/in", root);
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    const int outside = socket(AF_UNIX, SOCK_STREAM, 0);
    strcpy(address.sun_path, path);
    assert_int_equal(connect(outside, (struct sockaddr *)&address, sizeof(address)), 0);
    const long server = CALL(SYS_accept, W(listener), W(0), W(0));
    assert_true(server >= 0);
    assert_int_equal(write(outside, "h", 1), 1);
    assert_int_equal(CALL(SYS_read, W(server), W(&byte), W(1)), 1);
    assert_int_equal(byte, 'h');
    close(outside);
    CALL(SYS_close, W(server));
    CALL(SYS_close, W(listener));
    const long late = CALL(SYS_socket, W(AF_UNIX), W(SOCK_STREAM), W(0));
    assert_int_equal(connect_to(late, "/data/in"), -ECONNREFUSED);
    assert_int_equal(CALL(SYS_unlink, W("/data/in")), 0);
    assert_int_equal(connect_to(late, "/data/in"), -ENOENT);
    CALL(SYS_close, W(late));
    assert_int_equal(access("/tmp/cella-local-inside", F_OK), -1);
    const long inside = CALL(SYS_socket, W(AF_UNIX), W(SOCK_STREAM), W(0));
    assert_int_equal(bind_to(inside, "/tmp/cella-local-inside"), 0);
    assert_int_equal(access("/tmp/cella-local-inside", F_OK), -1); /* not on the host */
    assert_int_equal(CALL(SYS_stat, W("/tmp/cella-local-inside"), W(&status)), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(CALL(SYS_open, W("/tmp/cella-local-inside"), W(O_RDONLY)), -ENXIO);
    CALL(SYS_close, W(inside));
}

/* Threads that do whatever they like to the same few sockets; then nothing of any is left. */
#define SHARED 12
static _Atomic long shared[SHARED];

static void swap_in(uint64_t where, long fd)
{
    const long before = atomic_exchange(&shared[where % SHARED], fd);
    if (before >= 0) {
        CALL(SYS_close, W(before));
    }
}

static void send_one(uint64_t random, long fd)
{
    int32_t passed = (int32_t)atomic_load(&shared[random % SHARED]);
    struct iovec vector = {"some bytes", random % 11};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(passed))];
    } control = {.head = {.cmsg_len = CMSG_LEN(sizeof(passed)),
                          .cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS}};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    memcpy(CMSG_DATA(&control.head), &passed, sizeof(passed));
    if (random % 3 == 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
    }
    CALL(SYS_sendmsg, W(fd), W(&message), W(MSG_DONTWAIT | MSG_NOSIGNAL));
}

static void receive_one(uint64_t random, long fd)
{
    char bytes[16], control[64];
    struct iovec vector = {bytes, random % 17};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    const long flags = MSG_DONTWAIT | (random % 5 == 0 ? MSG_PEEK : 0);
    if (CALL(SYS_recvmsg, W(fd), W(&message), W(flags)) < 0) {
        return;
    }
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    int32_t got;
    if (head && head->cmsg_type == SCM_RIGHTS) {
        memcpy(&got, CMSG_DATA(head), sizeof(got));
        swap_in(random >> 8, got);
    }
}

static void do_something(uint64_t *state)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    const uint64_t random = world_random(state) >> 8;
    const int type = types[random % 3] | SOCK_NONBLOCK;
    const long fd = atomic_load(&shared[(random >> 4) % SHARED]);
    const char *name = random % 2 ? "@one" : "/scratch/two";
    int32_t fds[2];
    switch ((random >> 16) % 12) {
    case 0:
        if (CALL(SYS_socketpair, W(AF_UNIX), W(type), W(0), W(fds)) == 0) {
            swap_in(random >> 8, fds[0]);
            swap_in(random >> 12, fds[1]);
        }
        break;
    case 1:
        swap_in(random >> 8, CALL(SYS_socket, W(AF_UNIX), W(type), W(0)));
        break;
    case 2:
        bind_to(fd, name);
        CALL(SYS_listen, W(fd), W(2));
        break;
    case 3:
        connect_to(fd, name);
        break;
    case 4: {
        const long server = CALL(SYS_accept4, W(fd), W(0), W(0), W(SOCK_NONBLOCK));
        if (server >= 0) {
            swap_in(random >> 8, server);
        }
        break;
    }
    case 5:
        swap_in(random >> 4, -1);
        CALL(SYS_unlink, W("/scratch/two"));
        break;
    case 6:
        CALL(SYS_shutdown, W(fd), W(random % 3));
        break;
    case 7:
    case 8:
    case 9:
        send_one(random >> 20, fd);
        break;
    default:
        receive_one(random >> 20, fd);
        break;
    }
}

static void *do_things(void *context)
{
    uint64_t state = (uint64_t)(uintptr_t)context;
    for (int i = 0; i < 20000; i++) {
        do_something(&state);
    }
    return NULL;
}

static void nothing_is_left(void **context)
{
    pthread_t threads[4];
    (void)context;
    for (int i = 0; i < SHARED; i++) {
        atomic_store(&shared[i], -1);
    }
    for (uintptr_t i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, do_things, (void *)(i + 1));
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    for (uint64_t i = 0; i < SHARED; i++) {
        swap_in(i, -1);
    }
    const long last = CALL(SYS_socket, W(AF_UNIX), W(SOCK_DGRAM), W(0));
    assert_int_equal(CALL(SYS_close, W(last)), 0); /* collects */
    assert_int_equal(world_unix_count(), 0);
}

static int start(void **context)
{
    static const struct world_mount mounts[] = {
        {.target = "/data", .source = "/data", .kind = CELLA_PROGRAM_MOUNT_HOST},
        {.target = "/scratch", .kind = CELLA_PROGRAM_MOUNT_MEMORY}};
    const struct world world = {.mounts = mounts, .mount_count = 2};
    char path[128];
    (void)context;
    world_folder_make(root);
    snprintf(path, sizeof(path), "%s/data", root);
    return mkdir(path, 0755) != 0 || world_start(&world, root) != 0;
}

static int end(void **context)
{
    (void)context;
    world_folder_remove(root);
    return world_host_open_count() != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_linux_has_it),
        cmocka_unit_test(much_goes_both_ways),
        cmocka_unit_test(sockets_of_the_host),
        cmocka_unit_test(nothing_is_left),
    };
    return cmocka_run_group_tests(tests, start, end);
}
