/*
 * What pages cost that come and go while an enclave runs, on the software processor: nanoseconds a page.
 * Side: host (bench). Called by bench/run. Prints `name value goal ok|short`; never fails by a time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/edmm.h"
#include "cella/host.h"

#define ROUNDS 30

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void must(cella_result result, const char *what)
{
    if (!cella_is_ok(result)) {
        fprintf(stderr, "bench: %s: %s\n", what, cella_result_text(result));
        exit(1);
    }
}

static void report(const char *name, double value, double goal)
{
    printf("%-28s %8.1f <=%-7g %s\n", name, value, goal, value <= goal ? "ok" : "short");
    fflush(stdout);
}

/* Nanoseconds a page; the least of them is in *least. */
static void step(cella_enclave *enclave, uint32_t number, const char *what, double *least)
{
    const double since = now();
    must(cella_ecall(enclave, number, NULL, 0, NULL, 0, NULL), what);
    const double taken = (now() - since) / EDMM_PAGES;
    *least = *least == 0 || taken < *least ? taken : *least;
}

int main(int argc, char **argv)
{
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    double accept_page = 0, drop = 0, protect = 0, widen = 0, fault = 0, touch = 0, again = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: bench_edmm edmm.signed\n");
        return 2;
    }
    if (!cella_is_ok(cella_enclave_create(argv[1], NULL, &enclave, &error))) {
        fprintf(stderr, "bench: %s: %s\n", argv[1], error.text);
        return 1;
    }
    for (int i = 0; i < ROUNDS; i++) {
        step(enclave, EDMM_ACCEPT, "accept", &accept_page);
        step(enclave, EDMM_TOUCH, "touch", &touch);
        step(enclave, EDMM_PROTECT, "protect", &protect);
        step(enclave, EDMM_WIDEN, "widen", &widen);
        step(enclave, EDMM_DROP, "drop", &drop);
        step(enclave, EDMM_FAULT, "fault", &fault);
        step(enclave, EDMM_DROP, "drop", &again);
    }
    report("edmm/accept_page_ns", accept_page, 150);
    report("edmm/touch_page_ns", touch, 5000);
    report("edmm/restrict_page_ns", protect, 400);
    report("edmm/extend_page_ns", widen, 150);
    report("edmm/remove_page_ns", drop, 1000);
    report("edmm/fault_page_ns", fault, 15000);
    cella_enclave_destroy(enclave);
    return 0;
}
