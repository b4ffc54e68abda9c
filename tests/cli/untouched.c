/*
 * Run by `cella soft --` and without it: a program that opens no enclave has its threads as the kernel made them.
 * Side: tests (host). A Go runtime asks by raw system calls, and runs its handlers where the kernel's answer says.
 * Never touches an SGX node.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile sig_atomic_t g_on_own;
static char g_stack[65536];

static void on_signal(int number)
{
    char here;
    (void)number;
    g_on_own = &here >= g_stack && &here < g_stack + sizeof(g_stack);
}

/* 0: no alternate stack at first; then the one that is set by a raw system call is used. */
static void *check(void *ret_error)
{
    const char **error = ret_error;
    stack_t now, own = {.ss_sp = g_stack, .ss_size = sizeof(g_stack)};
    const stack_t none = {.ss_flags = SS_DISABLE};
    struct sigaction action = {.sa_flags = SA_ONSTACK};
    action.sa_handler = on_signal;
    memset(&now, 0xFF, sizeof(now));
    if (syscall(SYS_sigaltstack, NULL, &now) != 0 || now.ss_flags != SS_DISABLE) {
        *error = "an alternate stack is there that nobody has set";
    } else if (sigaction(SIGUSR1, &action, NULL) != 0 ||
               syscall(SYS_sigaltstack, &own, NULL) != 0 ||
               pthread_kill(pthread_self(), SIGUSR1) != 0 || !g_on_own) {
        *error = "a handler does not run on the alternate stack";
    }
    syscall(SYS_sigaltstack, &none, NULL);
    g_on_own = 0;
    return NULL;
}

int main(void)
{
    const char *error = NULL, *in_thread = NULL;
    pthread_t thread;
    check(&error);
    if (pthread_create(&thread, NULL, check, &in_thread) != 0 || pthread_join(thread, NULL) != 0) {
        return 2;
    }
    if (error || in_thread) {
        fprintf(stderr, "main: %s; thread: %s\n", error ? error : "good",
                in_thread ? in_thread : "good");
        return 1;
    }
    return 0;
}
