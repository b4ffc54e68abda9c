/*
 * A program for run.sh: says what it was given, copies its input, waits or computes until a signal.
 * Side: tests (a program in an enclave, or not).
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t g_signal;

static void on_signal(int number)
{
    g_signal = number;
}

static void say(const char *text)
{
    fputs(text, stdout);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "copy") == 0) {
        char line[256];
        while (fgets(line, sizeof(line), stdin)) {
            say(line);
        }
        return 0;
    }
    if (strcmp(what, "handle-wait") == 0 || strcmp(what, "handle-spin") == 0) {
        signal(SIGUSR1, on_signal);
        say("ready\n");
        while (!g_signal) {
            if (strcmp(what, "handle-wait") == 0) {
                pause();
            }
        }
        printf("signal %d\n", (int)g_signal);
        return 3;
    }
    if (strcmp(what, "wait") == 0 || strcmp(what, "spin") == 0) {
        say("ready\n");
        while (strcmp(what, "spin") == 0 || pause() < 0) {
        }
    }
    if (strcmp(what, "abort") == 0) {
        __builtin_trap();
    }
    printf("%d arguments, the last is %s\n", argc, argv[argc - 1]);
    return 7;
}
