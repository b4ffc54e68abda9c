/*
 * Descriptors of enclaves that are copied and closed in every way a program has: what the processor counts stays right.
 * Side: tests (host), through the interposers. Called by meson.
 * Never asks the kernel driver's question, only whether an enclave lives as long as one of its descriptors.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soft/driver.h"
#include "soft/processor.h"

int close_range(unsigned int first, unsigned int last, int flags);

static int node_open(void)
{
    int fd = open("/dev/sgx_enclave", O_RDWR);
    assert_true(fd >= 0);
    assert_true(soft_any_enclave());
    return fd;
}

static void test_copied_by_fcntl(void **state)
{
    (void)state;
    static const int commands[] = {F_DUPFD, F_DUPFD_CLOEXEC};
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        int fd = node_open();
        int copy = fcntl(fd, commands[i], 100);
        assert_true(copy >= 100);
        assert_int_equal(close(fd), 0);
        assert_true(soft_any_enclave());
        assert_int_equal(close(copy), 0);
        assert_false(soft_any_enclave());
    }
}

/* The child of a vfork has the parent's memory and its own descriptors: what it closes is still open here. */
static void test_closed_in_vfork(void **state)
{
    (void)state;
    int fd = node_open();
    pid_t child = vfork();
    if (child == 0) {
        close(fd);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(soft_any_enclave());
    assert_int_equal(close(fd), 0);
    assert_false(soft_any_enclave());
}

static void test_close_range(void **state)
{
    (void)state;
    int fd = node_open();
    int own = soft_next_own_fd(0);
    assert_true(own > fd);
    int other = dup(0);
    assert_int_equal(close_range((unsigned int)other, ~0u, 0), 0);
    assert_int_equal(fcntl(other, F_GETFD), -1);
    assert_true(fcntl(own, F_GETFD) >= 0); /* the processor's own is spared */
    assert_true(soft_any_enclave());
    assert_int_equal(close_range((unsigned int)fd, (unsigned int)fd, 0), 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_false(soft_any_enclave());
    assert_int_equal(close_range(5, 4, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copied_by_fcntl),
        cmocka_unit_test(test_closed_in_vfork),
        cmocka_unit_test(test_close_range),
    };
    soft_intercept_nodes();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
